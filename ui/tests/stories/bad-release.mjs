// The demo's bad release as a person sees it: pressed, braked by itself, taken back, told on one timeline, its incident read and taken by one tap.
import { axe, overflow } from '../page.mjs'

export default async function story({ browser, report, shots }) {
  const { page, errors, close } = await browser.at('/')
  const picture = (name, of = page) => (shots ? of.screenshot({ path: `${shots}/story-${name}.png`, fullPage: true }) : undefined)
  const until = async (what, holds, limit) => {
    for (const end = Date.now() + limit; !(await holds()); await page.waitForTimeout(200)) if (Date.now() > end) throw new Error(`${what} within ${limit} ms`)
  }
  const api = (path) => page.evaluate(async (path) => (await fetch(`/api/flyball/v1${path}`)).json(), path)
  await report.check('bad release: the button makes an order, and the brake bar shows it on every page', async () => {
    await page.waitForSelector('.demo .btn.dan:not([aria-disabled])', { timeout: 60_000 })
    await page.click('.demo .btn.dan')
    await page.waitForSelector('.brake', { timeout: 20_000 })
    await picture('running')
    return axe(page)
  })
  await report.check('bad release: halted by itself and taken back', async () => {
    await page.waitForSelector('.evs .g.bad', { timeout: 120_000 })
    await page.waitForFunction(() => /Rolled back/.test(document.querySelector('.evs')?.textContent ?? ''), undefined, { timeout: 120_000 })
    await page.waitForSelector('.brake', { state: 'detached', timeout: 60_000 })
    await picture('taken-back')
  })
  await report.check('bad release: the story names the incident, the flags stand on the graph', async () => {
    await page.waitForSelector('.evs a[href^="/incidents/"]', { timeout: 20_000 })
    // A graph is drawn anew once a second: the flag of the halt comes with the next picture.
    await until('fewer than two flags', async () => (await page.locator('.tracks .flag').count()) >= 2, 20_000)
  })
  await report.check('bad release: numbers and tracks have data', async () => {
    const none = await page.locator('.tracks .graph-none').count()
    return none === 0 ? '' : `${none} tracks without data`
  })
  await report.check('bad release: no script error, axe finds nothing', async () => [...errors, ...(await axe(page))])

  const number = (await api('/incidents'))[0]?.number
  await report.check("bad release: the incident's page tells it as the journal has it", async () => {
    await until('the incident has not recovered', async () => (await api(`/incidents/${number}`)).recovered_at, 60_000)
    const opened = await browser.at(`/incidents/${number}`, { ready: '.evs.inc li' })
    await opened.page.waitForFunction(() => document.querySelectorAll('.evs.inc li').length >= 5 && document.querySelectorAll('.inc-tracks canvas').length >= 1, undefined, { timeout: 10_000 })
    await picture('incident', opened.page)
    const incident = await api(`/incidents/${number}`)
    const seen = await opened.page.evaluate(() => ({
      figures: [...document.querySelectorAll('.facts dd b')].map((one) => one.textContent),
      why: document.querySelectorAll('.suspect:first-child .why li').length,
      first: document.querySelector('.suspect')?.textContent ?? '',
      told: document.querySelectorAll('.told').length,
      lines: [...document.querySelectorAll('.evs.inc li')].map((one) => `${one.querySelector('time').getAttribute('datetime')} ${one.textContent}`),
      text: document.querySelector('main').textContent,
    }))
    const wrong = [...opened.errors]
    if (seen.figures.length !== 6 || seen.figures.some((one) => !/\d|at once/.test(one))) wrong.push(`figures ${seen.figures.join(' | ')}`)
    if (seen.why < 3) wrong.push(`${seen.why} reasons`)
    if (!seen.first.includes(incident.suspects[0].change.order)) wrong.push(`the first suspect is ${seen.first}`)
    if (seen.told !== incident.told.length || seen.told === 0) wrong.push(`${seen.told} told, the journal has ${incident.told.length}`)
    if (/undefined|null|NaN|\{[a-z_]+\}/.test(seen.text)) wrong.push('a hole in the words')
    // The five times: release, halt, rollback, opening, recovery, to the millisecond.
    const timeline = await api(`/timeline?from=${new Date(Date.parse(incident.onset) - 600_000).toISOString()}&service=${incident.scope.service}`)
    for (const id of ['change.release', 'order.halted', 'order.rolled_back', 'incident.opened', 'incident.recovered']) {
      const row = timeline.findLast((one) => one.text.id === id)
      const at = row && Date.parse(row.at)
      if (!row || !seen.lines.some((line) => Math.abs(Date.parse(line.split(' ')[0]) - at) < 1000)) wrong.push(`${id} at ${row?.at} is not on the page`)
    }
    wrong.push(...(await axe(opened.page)))
    await opened.close()
    return wrong
  })
  await report.check('bad release: on a phone one tap acknowledges, the button for the rollback stays and says that it was', async () => {
    const phone = await browser.at(`/incidents/${number}`, { size: 'phone', touch: true, ready: '.phonebar .btn' })
    const wrong = [...phone.errors, ...(await axe(phone.page))]
    await picture('phone', phone.page)
    if ((await overflow(phone.page)) > 0) wrong.push('wider than the window')
    const boxes = await phone.page.locator('.phonebar .btn').evaluateAll((all) => all.map((one) => one.getBoundingClientRect().height))
    if (boxes.length !== 2 || boxes.some((height) => height < 52)) wrong.push(`buttons of ${boxes.join(' and ')} px`)
    const back = phone.page.locator('.phonebar .btn').nth(1)
    if ((await back.getAttribute('aria-disabled')) !== 'true' || !/Rolled back/.test(await back.textContent())) wrong.push(`the rollback's button says ${await back.textContent()}`)
    await phone.page.locator('.phonebar .btn').first().tap()
    await until('the tap has not acknowledged it', async () => (await api(`/incidents/${number}`)).state === 'acknowledged', 5_000)
    await phone.page.waitForFunction(() => /Resolve/.test(document.querySelector('.phonebar .btn').textContent), undefined, { timeout: 5_000 })
    await phone.close()
    return wrong
  })
  await close()
}
