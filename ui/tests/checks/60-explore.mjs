// Explore: queries with a graph, in every theme, language and size; completion and help, a mistake at its place, the address carries
// all, zoom and the way back, compare, stack, tables with CSV, history, nothing moved by live data.
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
    await page.waitForSelector('.graph-paused', { timeout: 5000 })
    await page.mouse.move(5, 5)
    await page.waitForSelector('.graph-paused', { state: 'detached', timeout: 3000 })
  })
  await check('names that the data holds are completed, with what they are', '/explore', async (page) => {
    await page.fill('textarea', 'node_loa')
    await page.press('textarea', 'Control+Space')
    await page.waitForSelector('.complete li', { timeout: 5000 })
    const found = await axe(page)
    await page.press('textarea', 'Enter')
    const typed = await page.inputValue('textarea')
    return [...found, ...(typed.startsWith('node_load') ? [] : [`completed to ${typed}`])]
  })
  await check('a function is completed with its bracket, labels and values with their quotes, and undo takes them back', '/explore', async (page) => {
    await page.click('textarea')
    await page.keyboard.type('avg_over')
    await page.waitForSelector('.complete li')
    const help = await page.textContent('.complete-help')
    await page.keyboard.press('Tab')
    await page.keyboard.type('node_cpu_seconds_total{mod')
    await page.waitForSelector('.complete li:has-text("mode")', { timeout: 5000 })
    await page.keyboard.press('Tab')
    await page.waitForSelector('.complete li:has-text("idle")', { timeout: 5000 })
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
    await page.waitForSelector('#explore-hint:has-text("range vector")', { timeout: 3000 }).catch(() => found.push('nothing below'))
    const box = await page.locator('.code-shown span').first().boundingBox()
    await page.mouse.move(box.x + 3, box.y + box.height / 2)
    await page.mouse.move(box.x + 5, box.y + box.height / 2)
    await page.waitForSelector('.hovercard:has-text("rate(r: range vector)")', { timeout: 3000 }).catch(() => found.push('nothing at the pointer'))
    return [...found, ...(await axe(page))]
  })
  await check('a mistake is said and underlined where it is', `/explore?q=${encodeURIComponent('sum((')}`, async (page) => {
    await page.waitForSelector('.q [role=alert]', { timeout: 5000 })
    return (await page.locator('.code-error u').count()) === 1 ? '' : 'nothing is underlined'
  })
  await check('a mistake is underlined before anything is run', '/explore', async (page) => {
    await page.fill('textarea', 'raet(node_load1[5m])')
    await page.keyboard.press('Escape')
    await page.waitForSelector('.code-error u', { timeout: 5000 })
    const marked = await page.textContent('.code-error u')
    return [...(marked === 'raet' ? [] : [`marked ${marked}`]), ...(page.url().includes('q=') ? ['it was run'] : [])]
  })
  await check('a mistyped name offers the nearest', '/explore?q=node_laod1', async (page) => {
    await page.waitForSelector('main .btn.mono', { timeout: 5000 })
    await page.click('main .btn.mono')
    await page.waitForSelector(graph, { timeout: 5000 })
    return /q=node_load1/.test(page.url()) ? '' : page.url()
  })
  await check('a drag zooms, and the way back leads to the range before', '/explore?q=node_load1', async (page) => {
    await page.waitForSelector(graph)
    const box = await page.locator(graph).first().boundingBox()
    await page.mouse.move(box.x + box.width * 0.5, box.y + 40)
    await page.mouse.down()
    await page.mouse.move(box.x + box.width * 0.9, box.y + 40, { steps: 5 })
    await page.mouse.up()
    await page.waitForURL(/from=20/, { timeout: 3000 })
    const zoomed = new URL(page.url()).searchParams
    const span = Date.parse(zoomed.get('to')) - Date.parse(zoomed.get('from'))
    await page.click('.opts button:has-text("Back to last 5m")')
    await page.waitForURL(/from=now-5m/, { timeout: 3000 })
    return span > 90_000 && span < 150_000 ? '' : `zoomed to ${span} ms`
  })
  await check('Shift drag moves the range, a double click goes back, with the pointer over the graph', `/explore?q=vector(1)&from=${minutesAgo(3)}&to=${minutesAgo(1)}`, async (page) => {
    await page.waitForSelector(graph)
    const start = Date.parse(new URL(page.url()).searchParams.get('from'))
    // The graph is drawn anew when its data comes: a gesture that falls into that moment is made again.
    const tried = async (gesture, reached) => {
      for (let tries = 0; tries < 4; tries++) {
        const box = await page.locator(graph).first().boundingBox()
        await gesture(box)
        if (await page.waitForFunction(reached, start, { timeout: 3000 }).then(() => true, () => false)) return true
      }
      return false
    }
    const drag = async (box) => {
      await page.keyboard.down('Shift')
      await page.mouse.move(box.x + box.width * 0.6, box.y + 40)
      await page.mouse.down()
      await page.mouse.move(box.x + box.width * 0.8, box.y + 40, { steps: 4 })
      await page.mouse.up()
      await page.keyboard.up('Shift')
    }
    const earlier = (from) => Date.parse(new URL(location.href).searchParams.get('from') ?? '') < from
    if (!(await tried(drag, earlier))) return 'a Shift drag does not move the range'
    const by = start - Date.parse(new URL(page.url()).searchParams.get('from'))
    const back = (from) => Date.parse(new URL(location.href).searchParams.get('from') ?? '') === from
    const twice = (box) => page.mouse.dblclick(box.x + box.width * 0.5, box.y + 40)
    if (!(await tried(twice, back))) return 'a double click does not go back'
    return by > 20_000 && by < 28_000 ? '' : `moved by ${by} ms`
  })
  await check('a slow query says that it is read, and can be stopped', '/explore', async (page) => {
    await page.route('**/api/v1/query_range*', (route) => void setTimeout(() => void route.continue().catch(() => undefined), 9_000))
    await page.fill('textarea', 'node_load15')
    await page.keyboard.press('Control+Enter')
    await page.waitForSelector('.picture [role=status] button', { timeout: 8000 })
    await page.click('.picture [role=status] button')
    await page.waitForSelector('text=Stopped before it was answered.', { timeout: 3000 })
    return axe(page)
  })
  await check('a click shows one series alone, Ctrl click hides one, and the address keeps it', two, async (page) => {
    await page.waitForSelector('.series-name')
    const shown = () => page.locator('section:has(h2:text-is("Series of A")) table .series-name[aria-pressed=true]').count()
    const all = await shown()
    const found = []
    await page.click('table .series-name >> nth=0')
    if ((await shown()) !== 1) found.push('a click does not show one alone')
    if (!page.url().includes('only=A.')) found.push(page.url())
    await page.reload()
    await page.waitForSelector('.series-name')
    if ((await shown()) !== 1) found.push('the address does not keep it')
    await page.click('section:has(h2:text-is("Series of A")) .ph button')
    await page.click('table .series-name >> nth=0', { modifiers: ['Control'] })
    if ((await shown()) !== all - 1) found.push('Ctrl click does not hide one')
    return found
  })
  await check('what is chosen stands in the address, and comes back from it', '/explore?q=node_load1', async (page) => {
    await page.waitForSelector(graph)
    await page.click('button:text-is("Log scale")')
    await page.selectOption('.pick:has(label:text-is("Compare")) select', { label: 'a day before' })
    await page.selectOption('.pick:has(label:text-is("Step")) select', { index: 6 })
    await page.selectOption('.pick:has(label:text-is("Refresh")) select', { label: 'when run' })
    const address = new URL(page.url()).searchParams.toString()
    await page.reload()
    await page.waitForSelector(graph)
    const kept = [await page.locator('button[aria-pressed=true]:text-is("Log scale")').count(), await page.inputValue('.pick:has(label:text-is("Compare")) select')].join(' ')
    return [...(/scale=log&before=1d&step=.+&refresh=off/.test(address) ? [] : [address]), ...(kept === '1 86400000' ? [] : [kept])]
  })
  await check('a minute before is drawn beside the present, and its mean stands in the legend', '/explore?q=node_load1&before=60s&from=now-1m&to=now', async (page) => {
    await page.waitForFunction(() => [...document.querySelectorAll('.series tbody td.t2')].some((cell) => /^\d/.test(cell.textContent ?? '')), undefined, { timeout: 70_000 })
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
    await page.waitForFunction(() => document.querySelector('textarea')?.value === 'sum by (job) (rate(node_load1[5m]))', undefined, { timeout: 3000 }).catch(async () => found.push(await page.inputValue('textarea')))
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
    await page.waitForSelector('.picture .warn', { timeout: 10_000 })
    const rows = await page.locator('.series tbody tr').count()
    const text = await page.textContent('.picture .warn')
    return [...(rows === 50 ? [] : [`${rows} rows`]), ...(/\d.* series\. Showing .*50/.test(text) ? [] : [text]), ...(await axe(page))]
  })
  for (const size of ['wide', 'phone']) {
    await check(`nothing is moved by ten seconds of live data, ${size}`, two, async (page) => {
      await page.waitForSelector(graph)
      await page.waitForTimeout(1500)
      return shifts(page, 10_000)
    }, { size, touch: size === 'phone' })
  }
}
