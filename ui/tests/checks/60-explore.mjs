// Explore: queries with a graph, in every theme, language and size; completion and help, a mistake at its place, the address carries
// all, zoom and the way back, compare, stack, tables with CSV, history, zones, a rule and a message from a query, nothing moved by live data.
// A machine with other work is slow: what must come is waited for, and only what must not come within a time has one.
import { axe, holds } from '../page.mjs'

const query = 'avg by (mode) (rate(node_cpu_seconds_total{mode!="idle"}[5s]))'
const two = `/explore?q=${encodeURIComponent(query)}&q=node_load1`
const graph = 'main .u-over'
const minutesAgo = (count) => new Date(Math.floor(Date.now() / 1000) * 1000 - count * 60_000).toISOString()

/** What shifts on the page within so many milliseconds, as text; empty when nothing does. */
const shifts = (page, during) => page.evaluate((wait) => new Promise((done) => {
  let sum = 0
  let what = ''
  const said = (source) => { const at = source.node?.nodeType === 3 ? source.node.parentElement : source.node; return `${at?.tagName}.${at?.className} in ${at?.parentElement?.className}: ${at?.textContent?.slice(0, 40)}` }
  new PerformanceObserver((list) => { for (const entry of list.getEntries()) if (!entry.hadRecentInput) { sum += entry.value; what = entry.sources.map(said).join(' | ') } }).observe({ type: 'layout-shift' })
  setTimeout(() => done(sum > 0 ? `${sum} by ${what}` : ''), wait)
}), during)

export default async function checks(world) {
  const { browser, report } = world
  /** One check on a page of its own. */
  const check = (name, path, run, options = {}) => report.check(`explore: ${name}`, async () => {
    const { page, close, errors } = await browser.at(path, options)
    try {
      const found = await run(page)
      return [...errors, ...(Array.isArray(found) ? found : found ? [found] : [])]
    } finally {
      await close()
    }
  })
  await holds(world, 'explore', two, { ready: graph })
  await holds(world, 'explore-empty', '/explore')
  await holds(world, 'explore-mistake', `/explore?q=${encodeURIComponent('sum((node_load1)')}`, { ready: '.q [role=alert]' })
  await holds(world, 'explore-table', `${two}&view=table`, { ready: '.instant' })
  await holds(world, 'explore-stacked', `${two}&draw=stacked&before=60s&from=now-1m&to=now&changes=off`, { ready: graph })

  await check('an empty page offers queries, and one press shows a graph', '/explore', async (page) => {
    await page.click('.start')
    await page.waitForSelector(graph)
    return page.url().includes('q=') ? '' : `the address ${page.url()} does not carry the query`
  })
  await check('a live graph stands still under the pointer, and goes on after', '/explore?q=node_load1', async (page) => {
    await page.waitForSelector(graph)
    await page.hover(graph)
    await page.waitForSelector('.graph-paused')
    await page.mouse.move(5, 5)
    await page.waitForSelector('.graph-paused', { state: 'detached', timeout: 3000 })
  })
  await check('while a graph stands still the legend says the value under the pointer, and what is chosen is shown at once', `/explore?q=${encodeURIComponent('time() % 1000')}&unit=none`, async (page) => {
    await page.waitForSelector(graph)
    await page.waitForTimeout(2000)
    await page.hover(graph)
    await page.waitForSelector('.graph-paused')
    await page.waitForTimeout(3500)
    const box = await page.textContent('.cursor-box .row:nth-of-type(2) .nw')
    const cell = await page.textContent('.series tbody tr td:nth-last-child(2)')
    const name = () => page.getAttribute('main .plot', 'aria-label')
    const before = await name()
    await page.selectOption('.pick:has(label:text-is("Unit")) select', 'bytes', { force: true })
    await page.waitForFunction((old) => document.querySelector('main .plot').getAttribute('aria-label') !== old, before, { timeout: 3000 })
    return box.trim() === cell.trim() ? '' : `box ${box}, legend ${cell}`
  })
  // Goes up and down by turns, so that each second sorts them the other way.
  const turning = 'label_replace(vector(time() % 2), "row", "even", "", "") or label_replace(vector((time() + 1) % 2), "row", "odd", "", "")'
  for (const [view, rows, more] of [['legend', '.series tbody tr td:first-child', '&sort=-last'], ['table', '.instant tbody tr td:first-child', '&view=table']]) {
    await check(`rows stay under the pointer while live data would sort them anew, ${view}`, `/explore?q=${encodeURIComponent(view === 'table' ? `sort(${turning})` : turning)}${more}`, async (page) => {
      await page.waitForSelector(rows)
      await page.hover(rows)
      const seen = new Set()
      for (let count = 0; count < 12; count += 1) {
        seen.add((await page.locator(rows).allTextContents()).join(' '))
        await page.waitForTimeout(400)
      }
      return seen.size === 1 && [...seen][0].includes('odd') ? '' : [...seen].join(', ')
    })
  }
  await check('names that the data holds are completed, with what they are', '/explore', async (page) => {
    await page.fill('textarea', 'node_loa')
    await page.press('textarea', 'Control+Space')
    await page.waitForSelector('.complete li')
    const found = await axe(page)
    await page.press('textarea', 'Enter')
    const typed = await page.inputValue('textarea')
    return [...found, ...(typed.startsWith('node_load') ? [] : [`completed to ${typed}`])]
  })
  await check('Enter behind a whole name runs it, and takes another name only when that was chosen', '/explore', async (page) => {
    await page.click('textarea')
    await page.keyboard.type('node_load1')
    await page.waitForSelector('.complete li:has-text("node_load15")')
    await page.keyboard.press('Enter')
    await page.waitForURL(/q=node_load1(&|$)/)
    await page.waitForSelector(graph)
    await page.fill('textarea', '')
    await page.keyboard.type('node_load1')
    await page.waitForSelector('.complete li:has-text("node_load15")')
    await page.keyboard.press('ArrowDown')
    await page.keyboard.press('ArrowUp')
    await page.keyboard.press('Enter')
    const typed = await page.inputValue('textarea')
    return typed === 'node_load15' ? '' : `took ${typed}`
  })
  await check('Ctrl Enter runs from outside the editor too', '/explore', async (page) => {
    await page.fill('textarea', 'node_load5')
    await page.locator('textarea').blur()
    await page.keyboard.press('Control+Enter')
    await page.waitForURL(/q=node_load5/)
  })
  await check('a function is completed with its bracket, labels and values with their quotes, and undo takes them back', '/explore', async (page) => {
    await page.click('textarea')
    await page.keyboard.type('avg_over')
    await page.waitForSelector('.complete li')
    const help = await page.textContent('.complete-help')
    await page.keyboard.press('Tab')
    await page.keyboard.type('node_cpu_seconds_total{mod')
    await page.waitForSelector('.complete li:has-text("mode")')
    await page.keyboard.press('Tab')
    await page.waitForSelector('.complete li:has-text("idle")')
    await page.keyboard.press('Tab')
    await page.keyboard.type('}[1m')
    await page.keyboard.press('Escape')
    const typed = await page.inputValue('textarea')
    for (let count = 0; count < 3; count += 1) await page.keyboard.press('Control+z')
    const undone = await page.inputValue('textarea')
    return [
      ...(typed === 'avg_over_time(node_cpu_seconds_total{mode="idle"}[1m])' ? [] : [`typed ${typed}`]),
      ...(help.includes('range vector') ? [] : [`the help says ${help}`]),
      ...(undone.length < typed.length ? [] : ['undo took nothing back']),
    ]
  })
  await check('the word at the caret and the word under the pointer are explained', `/explore?q=${encodeURIComponent('rate(node_load1[5m])')}`, async (page) => {
    const found = []
    await page.click('textarea')
    await page.keyboard.press('Home')
    await page.waitForSelector('#explore-hint:has-text("range vector")').catch(() => found.push('nothing below'))
    const box = await page.locator('.code-shown span').first().boundingBox()
    await page.mouse.move(box.x + 3, box.y + box.height / 2)
    await page.mouse.move(box.x + 5, box.y + box.height / 2)
    await page.waitForSelector('.hovercard:has-text("rate(r: range vector)")').catch(() => found.push('nothing at the pointer'))
    return [...found, ...(await axe(page))]
  })
  await check('a mistake is said and underlined where it is', `/explore?q=${encodeURIComponent('sum((')}`, async (page) => {
    await page.waitForSelector('.q [role=alert]')
    return (await page.locator('.code-error u').count()) === 1 ? '' : 'nothing is underlined'
  })
  await check('a mistake is underlined before anything is run', '/explore', async (page) => {
    await page.fill('textarea', 'raet(node_load1[5m])')
    await page.keyboard.press('Escape')
    await page.waitForSelector('.code-error u')
    const marked = await page.textContent('.code-error u')
    return [...(marked === 'raet' ? [] : [`marked ${marked}`]), ...(page.url().includes('q=') ? ['it was run'] : [])]
  })
  await check('a mistyped name offers the nearest', '/explore?q=node_laod1', async (page) => {
    await page.waitForSelector('main .btn.mono')
    await page.click('main .btn.mono')
    await page.waitForSelector(graph)
    return /q=node_load1/.test(page.url()) ? '' : page.url()
  })
  await check('a drag zooms, and the way back leads to the range before', '/explore?q=node_load1', async (page) => {
    await page.waitForSelector(graph)
    // The hand stops the live graph first: what is dragged then stands still.
    await page.hover(graph)
    await page.waitForSelector('.graph-paused')
    const box = await page.locator(graph).first().boundingBox()
    await page.mouse.move(box.x + box.width * 0.5, box.y + 40)
    await page.mouse.down()
    await page.mouse.move(box.x + box.width * 0.9, box.y + 40, { steps: 5 })
    await page.mouse.up()
    await page.waitForURL(/from=20/)
    const zoomed = new URL(page.url()).searchParams
    const span = Date.parse(zoomed.get('to')) - Date.parse(zoomed.get('from'))
    await page.click('.opts button:has-text("Back to last 5m")')
    await page.waitForURL(/from=now-5m/)
    return span > 90_000 && span < 150_000 ? '' : `zoomed to ${span} ms`
  })
  await check('Shift drag moves the range, a double click goes back, with the pointer over the graph', `/explore?q=vector(1)&from=${minutesAgo(3)}&to=${minutesAgo(1)}`, async (page) => {
    await page.waitForSelector(graph)
    const start = Date.parse(new URL(page.url()).searchParams.get('from'))
    await page.evaluate((at) => { document.querySelector(at).dataset.first = 'yes' }, graph)
    const box = await page.locator(graph).first().boundingBox()
    await page.keyboard.down('Shift')
    await page.mouse.move(box.x + box.width * 0.6, box.y + 40)
    await page.mouse.down()
    await page.mouse.move(box.x + box.width * 0.8, box.y + 40, { steps: 4 })
    await page.mouse.up()
    await page.keyboard.up('Shift')
    await page.waitForFunction((from) => Date.parse(new URL(location.href).searchParams.get('from') ?? '') < from, start, { timeout: 30_000 })
    const by = start - Date.parse(new URL(page.url()).searchParams.get('from'))
    await page.mouse.dblclick(box.x + box.width * 0.5, box.y + 40)
    await page.waitForFunction((from) => Date.parse(new URL(location.href).searchParams.get('from') ?? '') === from, start, { timeout: 30_000 })
    const same = await page.locator(`${graph}[data-first=yes]`).count()
    return [...(by > 20_000 && by < 28_000 ? [] : [`moved by ${by} ms`]), ...(same === 1 ? [] : ['the graph was taken away and drawn anew'])]
  })
  await check('a slow query says that it is read, and can be stopped', '/explore', async (page) => {
    await page.route('**/api/v1/query_range*', () => undefined)
    await page.fill('textarea', 'node_load15')
    await page.keyboard.press('Control+Enter')
    await page.waitForSelector('.picture [role=status] button')
    await page.click('.picture [role=status] button')
    await page.waitForSelector('text=Stopped before it was answered.')
    return axe(page)
  })
  await check('a click shows one series alone, Ctrl click hides one, and the address keeps it', two, async (page) => {
    await page.waitForSelector('.series-name')
    const marks = 'section:has(h2:text-is("Series of A")) table .series-name'
    const all = await page.locator(marks).count()
    const shows = async (count, why) => {
      const there = () => page.locator(`${marks}[aria-pressed=true]`).count()
      for (const until = Date.now() + 30_000; Date.now() < until && (await there()) !== count;) await page.waitForTimeout(100)
      return (await there()) === count ? [] : [why]
    }
    const found = []
    await page.click('table .series-name >> nth=0')
    found.push(...(await shows(1, 'a click does not show one alone')))
    await page.waitForURL(/only=A\./)
    await page.reload()
    await page.waitForSelector('.series-name')
    found.push(...(await shows(1, 'the address does not keep it')))
    await page.click('section:has(h2:text-is("Series of A")) .ph button')
    found.push(...(await shows(all, 'all are not shown again')))
    await page.click('table .series-name >> nth=0', { modifiers: ['Control'] })
    return [...found, ...(await shows(all - 1, 'Ctrl click does not hide one'))]
  })
  await check('what is chosen stands in the address, and comes back from it', '/explore?q=node_load1', async (page) => {
    await page.waitForSelector(graph)
    await page.click('button:text-is("Log scale")')
    await page.selectOption('.pick:has(label:text-is("Compare")) select', { label: 'a day before' })
    await page.selectOption('.pick:has(label:text-is("Step")) select', { index: 6 })
    await page.selectOption('.pick:has(label:text-is("Refresh")) select', { label: 'when run' })
    await page.waitForURL(/refresh=off/)
    const address = new URL(page.url()).searchParams.toString()
    await page.reload()
    await page.waitForSelector(graph)
    const kept = [await page.locator('button[aria-pressed=true]:text-is("Log scale")').count(), await page.inputValue('.pick:has(label:text-is("Compare")) select')].join(' ')
    return [...(/scale=log&before=1d&step=.+&refresh=off/.test(address) ? [] : [address]), ...(kept === '1 86400000' ? [] : [kept])]
  })
  await check('a minute before is drawn beside the present, and its mean stands in the legend', '/explore?q=node_load1&before=60s&from=now-1m&to=now', async (page) => {
    await page.waitForFunction(() => [...document.querySelectorAll('.series tbody td.t2')].some((cell) => /^\d/.test(cell.textContent ?? '')), undefined, { timeout: 70_000 })
  })
  await check('thirty days of a young server show what there is, and a comparison that could not be read says why', '/explore?q=node_load1&from=now-30d&to=now', async (page) => {
    await page.waitForFunction(() => /^\d/.test(document.querySelector('.series tbody td.num.b')?.textContent ?? ''))
    // What is compared with ends a day ago: all of the present ends later.
    await page.route('**/api/v1/query_range*', (route) => (Number(new URL(route.request().url()).searchParams.get('end')) * 1000 > Date.now() - 80_000_000 ? route.continue() : route.fulfill({ status: 503, contentType: 'application/json', body: JSON.stringify({ status: 'error', error: 'the store is closed' }) })))
    await page.selectOption('.pick:has(label:text-is("Compare")) select', { label: 'a day before' })
    await page.waitForSelector('text=The data of a day before could not be read: the store is closed')
    return axe(page)
  })
  await check('the table sorts, and is copied as CSV', `/explore?q=${encodeURIComponent('node_cpu_seconds_total')}&view=table`, async (page) => {
    await page.context().grantPermissions(['clipboard-read', 'clipboard-write'])
    await page.waitForSelector('.instant tbody tr')
    await page.click('.instant th button:has-text("value")')
    await page.click('button:has-text("Copy as CSV")')
    await page.waitForSelector('.copies [role=status]:has-text("Copied")')
    const text = await page.evaluate(() => navigator.clipboard.readText())
    return /^cpu,mode,.*value,time\r\n/.test(text) && text.split('\r\n').length > 8 ? '' : text.slice(0, 200)
  })
  await check('the link that is copied has times in place of now', '/explore?q=node_load1', async (page) => {
    await page.context().grantPermissions(['clipboard-read', 'clipboard-write'])
    await page.click('button:has-text("Copy link")')
    await page.waitForSelector('.copies [role=status]:has-text("Copied")')
    const text = await page.evaluate(() => navigator.clipboard.readText())
    return /q=node_load1/.test(text) && /from=20\d\d-/.test(text) && /to=20\d\d-/.test(text) ? '' : text
  })
  await check('the link that is copied has the times that are shown, not those of the press', '/explore?q=node_load1', async (page) => {
    await page.context().grantPermissions(['clipboard-read', 'clipboard-write'])
    await page.waitForSelector(graph)
    await page.keyboard.press('.')
    await page.waitForSelector('.headbar .tag')
    const paused = Date.now()
    await page.waitForTimeout(2500)
    const found = []
    const times = async (press) => {
      await page.evaluate(() => navigator.clipboard.writeText(''))
      await press()
      await page.waitForFunction(async () => (await navigator.clipboard.readText()) !== '')
      const link = new URL(await page.evaluate(() => navigator.clipboard.readText())).searchParams
      const [from, to] = ['from', 'to'].map((name) => Date.parse(link.get(name)))
      if (Math.abs(to - paused) > 1500 || to - from !== 300_000) found.push(`${link.get('from')} to ${link.get('to')}, paused at ${new Date(paused).toISOString()}`)
    }
    await times(() => page.click('button:has-text("Copy link")'))
    await page.click('main .sel')
    await times(() => page.click('main button:text-is("Copy a link that keeps these times")'))
    return found
  })
  await check('what was run is found again', '/explore', async (page) => {
    await page.fill('textarea', 'node_load5 * 2')
    await page.keyboard.press('Control+Enter')
    await page.waitForSelector(graph)
    await page.goto(new URL('/explore', page.url()).href)
    await page.waitForSelector('.start')
    await page.keyboard.press('h')
    await page.waitForSelector('.history .menu-item')
    const found = await axe(page)
    await page.click('.history .menu-item')
    const typed = await page.inputValue('textarea')
    return [...found, ...(typed === 'node_load5 * 2' ? [] : [typed])]
  })
  await check('the menu of a query writes it tidily, and is without findings', `/explore?q=${encodeURIComponent('sum(rate(node_load1[5m]))by(job)')}`, async (page) => {
    await page.click('.q button[aria-haspopup=dialog]')
    await page.waitForSelector('.q .menu-item')
    const found = await axe(page)
    await page.click('.q .menu-item >> nth=0')
    await page.waitForFunction(() => document.querySelector('textarea')?.value === 'sum by (job) (rate(node_load1[5m]))', undefined).catch(async () => found.push(await page.inputValue('textarea')))
    return found
  })
  await check('keys change what is shown, and the help names them', '/explore?q=node_load1', async (page) => {
    await page.waitForSelector(graph)
    await page.keyboard.press('v')
    await page.waitForURL(/view=table/)
    await page.keyboard.press('c')
    await page.waitForURL(/changes=off/)
    await page.keyboard.press('?')
    await page.waitForSelector('[role=dialog]:has-text("log scale")')
    return axe(page)
  })
  await check('more series than can be told apart: the page says so and offers to group', `/explore?q=${encodeURIComponent('{__name__=~".+"}')}`, async (page) => {
    await page.waitForSelector('.picture .warn')
    const rows = await page.locator('.series tbody tr').count()
    const text = await page.textContent('.picture .warn')
    return [...(rows === 50 ? [] : [`${rows} rows`]), ...(/\d.* series\. Showing .*50/.test(text) ? [] : [text]), ...(await axe(page))]
  })
  await check('a comparison that fits nothing says so, and not that nothing is stored', `/explore?q=${encodeURIComponent('node_load1 < -1')}`, async (page) => {
    await page.waitForSelector('text=This query gives no series in this range.')
    return axe(page)
  })
  // Each series several times, so that a small machine has enough.
  const many = [1, 2, 3, 4].map((n) => `label_replace({__name__=~"node_.+"}, "copy", "${n}", "", "")`).join(' or ')
  await check('a copy has all series that were read, and the page says what was cut off', `/explore?q=${encodeURIComponent(many)}&view=json&from=now-1m&to=now`, async (page) => {
    await page.context().grantPermissions(['clipboard-read', 'clipboard-write'])
    await page.waitForSelector('.json-box .warn')
    const said = await page.textContent('.json-box .warn')
    const found = [...(/first 500 of \d/.test(said) ? [] : [said]), ...(await axe(page))]
    await page.click('.json-box .copies')
    await page.waitForSelector('.copies [role=status]:has-text("Copied")')
    const series = JSON.parse(await page.evaluate(() => navigator.clipboard.readText())).series.length
    await page.click('button:text-is("Table")')
    await page.waitForSelector('p.warn:has-text("A copy has the first 500.")')
    return [...found, ...(series === 500 ? [] : [`${series} series copied`])]
  })
  await check('times are shown in the zone of the address, on axis, in table and under the pointer, and the menu changes it', '/explore?q=node_load1&tz=Asia/Kabul', async (page) => {
    await page.waitForSelector(graph)
    const found = []
    const minutes = (text) => Number(/\d\d:(\d\d):\d\d/.exec(text ?? '')?.[1])
    // Kabul is half an hour off every whole hour: no other zone of the tests is.
    const off = async (selector) => {
      const text = await page.textContent(selector)
      const apart = (minutes(text) - new Date().getUTCMinutes() + 120) % 60
      if (!(apart >= 24 && apart <= 31)) found.push(`${selector} says ${text}`)
    }
    await off('.headbar .b')
    await page.hover(graph)
    await off('.cursor-box b')
    await page.mouse.move(5, 5)
    await page.click('main .sel')
    await page.waitForSelector('.zones select')
    if ((await page.inputValue('.zones select')) !== 'Asia/Kabul') found.push('the menu does not say it')
    found.push(...(await axe(page)))
    await page.keyboard.press('u')
    await page.waitForURL(/tz=UTC/)
    await page.waitForSelector('.headbar :text("UTC")')
    await page.selectOption('.zones select', 'Asia/Kabul')
    await page.waitForURL(/tz=Asia/)
    await page.keyboard.press('Escape')
    await page.click('button:text-is("Table")')
    await page.click('button:text-is("Each step")')
    await page.waitForSelector('.graph-table tbody td')
    await off('.graph-table tbody td')
    return found
  })
  // A server that began minutes ago has nothing yet at the few instants of a longer step.
  await check('a range of more than one day has its dates', `/explore?q=node_load1&view=table&rows=steps&from=now-2d&to=now&step=30s&changes=off`, async (page) => {
    await page.waitForSelector('.graph-table tbody td')
    const text = await page.textContent('.graph-table tbody td')
    // Rows further down come when they are scrolled to.
    const rows = () => page.locator('.graph-table tbody tr').count()
    const before = await rows()
    await page.evaluate(() => { const box = document.querySelector('.graph-table'); box.scrollTop = box.scrollHeight })
    await page.waitForFunction((known) => document.querySelectorAll('.graph-table tbody tr').length > known, before)
    return /^\d{4}-\d\d-\d\d \d\d:\d\d/.test(text) ? '' : text
  })
  await check('a new range keeps the picture until its own is there, says that it is read, and can be stopped', '/explore?q=node_load1', async (page) => {
    await page.waitForSelector(graph)
    await page.route('**/api/v1/query_range*', () => undefined)
    await page.keyboard.press('[')
    await page.waitForURL(/from=20/)
    await page.waitForSelector('.rereading button:text-is("Cancel")')
    if ((await page.locator(graph).count()) !== 1) return 'the picture is gone'
    await page.click('.rereading button')
    await page.waitForSelector('.rereading:has-text("Stopped")')
    await page.unroute('**/api/v1/query_range*')
    await page.click('.rereading button')
    await page.waitForSelector('.rereading', { state: 'detached' })
    return ''
  })
  await check('a live read that fails is said over the older picture, and no longer when one is well', '/explore?q=node_load1', async (page) => {
    await page.waitForSelector(graph)
    await page.route('**/api/v1/query_range*', (route) => route.fulfill({ status: 503, contentType: 'application/json', body: JSON.stringify({ status: 'error', errorType: 'unavailable', error: 'the store is closed' }) }))
    await page.waitForSelector('.rereading:has-text("the store is closed")')
    const found = [...((await page.locator(graph).count()) === 1 ? [] : ['the picture is gone']), ...(await axe(page))]
    await page.unroute('**/api/v1/query_range*')
    await page.waitForSelector('.rereading', { state: 'detached' })
    return found
  })
  await check('what was stopped is not asked again until it is run', '/explore', async (page) => {
    let asked = 0
    await page.route('**/api/v1/query_range*', () => { asked += 1 })
    await page.fill('textarea', 'node_load15')
    await page.keyboard.press('Control+Enter')
    await page.click('.picture [role=status] button')
    await page.waitForSelector('text=Stopped before it was answered.')
    asked = 0
    await page.waitForTimeout(3500)
    const found = asked === 0 ? [] : [`asked ${asked} times`]
    await page.unroute('**/api/v1/query_range*')
    await page.click('button.pri:has-text("Run")')
    await page.waitForSelector(graph)
    return found
  })
  await check('a rule of a query: what is missing is said, the server reads it, a back-test says what it would have told, and the file is copied', `/explore?q=${encodeURIComponent('node_load1')}`, async (page) => {
    await page.context().grantPermissions(['clipboard-read', 'clipboard-write'])
    await page.waitForSelector(graph)
    await page.click('button:text-is("Make a rule")')
    await page.waitForSelector('.sheet-foot .btn.pri[aria-disabled=true]')
    const found = await axe(page)
    await page.getByLabel('Limit', { exact: true }).fill('lots')
    await page.waitForSelector('.rule-reach .bad')
    await page.getByLabel('Limit', { exact: true }).fill('-1')
    await page.getByLabel('For', { exact: true }).fill('soon')
    await page.waitForSelector('text=Write a time, as 30s or 1m30s.')
    await page.getByLabel('For', { exact: true }).fill('0s')
    await page.getByLabel('Labels', { exact: true }).fill('team=shop, note="a \\"b\\""')
    await page.waitForSelector('.rule-said .ok')
    found.push(...(await axe(page)))
    await page.selectOption('.rule-try select', 'range')
    await page.click('button:text-is("Back-test")')
    await page.waitForSelector('.rule-tried p.m')
    const told = await page.textContent('.rule-tried p.m')
    if (!/^It would have told \d+ time/.test(told)) found.push(told)
    found.push(...(await axe(page)))
    await page.click('.sheet-foot .btn.pri')
    await page.waitForSelector('.sheet-foot .copies [role=status]:has-text("Copied")')
    const file = await page.evaluate(() => navigator.clipboard.readText())
    const wanted = 'groups:\n  - name: explore\n    rules:\n      - alert: NodeLoad1\n        expr: |-\n          node_load1 > -1\n        labels:\n          priority: P3\n          team: shop\n          note: "a \\"b\\""\n'
    return [...found, ...(file === wanted ? [] : [file])]
  })
  await check('what the server can not read makes no rule, and the reason is said', `/explore?q=${encodeURIComponent('sum((node_load1)')}`, async (page) => {
    await page.waitForSelector('.q [role=alert]')
    await page.keyboard.press('m')
    await page.getByLabel('Limit', { exact: true }).fill('1')
    await page.waitForSelector('.rule-said .bad')
    return (await page.locator('.sheet-foot .btn.pri[aria-disabled=true]').count()) === 1 ? axe(page) : 'it can be copied'
  })
  await check('what is shown is said in a room with a link that leads back to it', '/explore?q=node_load1&scale=log', async (page) => {
    await page.waitForSelector(graph)
    await page.click('button:text-is("Share to room")')
    await page.waitForSelector('.shared')
    const found = await axe(page)
    const words = `/help look at ${Date.now()}`
    await page.fill('.sheet textarea', words)
    await page.click('.sheet-foot .btn.pri')
    await page.waitForSelector('.sheet :text("Said in #")')
    await page.click('.sheet a.btn')
    await page.waitForURL(/\/chat\//)
    const said = `.said:has-text("${words}")`
    await page.waitForSelector(said)
    // Words that look like a command are none here: the room answers nothing.
    await page.click(`${said} a.own`)
    await page.waitForURL(/\/explore\?.*scale=log/)
    const back = new URL(page.url()).searchParams
    await page.waitForSelector(graph)
    return [...found, ...(back.get('q') === 'node_load1' && /^20\d\d-/.test(back.get('from') ?? '') ? [] : [page.url()])]
  })
  await check('a query that costs too much is refused with the reason', `/explore?q=${encodeURIComponent('count_over_time({__name__=~".+"}[30d:1ms])')}`, async (page) => {
    await page.waitForSelector('.q [role=alert]', { timeout: 60_000 })
    return axe(page)
  })
  // Twice as high as a screen, so that legends and tables below are looked at too.
  const sizes = { wide: { width: 1280, height: 1600 }, phone: { width: 390, height: 1800 } }
  const views = { graph: [two, graph], table: [`/explore?q=${encodeURIComponent('rate(node_cpu_seconds_total[5s])')}&view=table`, '.instant'], steps: [`/explore?q=${encodeURIComponent(query)}&view=table&rows=steps`, '.graph-table'] }
  for (const [view, [path, ready]] of Object.entries(views)) {
    for (const [name, size] of Object.entries(sizes)) {
      await check(`nothing is moved by ten seconds of live data, ${view}, ${name}`, path, async (page) => {
        await page.waitForSelector(ready)
        await page.waitForFunction(() => document.querySelectorAll('[aria-busy=true]').length === 0)
        await page.waitForTimeout(1500)
        return shifts(page, 10_000)
      }, { size, touch: name === 'phone' })
    }
  }
}
