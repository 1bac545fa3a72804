// The demo's bad release as a person sees it: pressed, braked by itself, taken back, told on one timeline.
import { axe } from '../page.mjs'

export default async function story({ browser, report, shots }) {
  const { page, errors, close } = await browser.at('/')
  const picture = (name) => (shots ? page.screenshot({ path: `${shots}/story-${name}.png`, fullPage: true }) : undefined)
  await report.check('bad release: the button makes an order, and the brake bar shows it on every page', async () => {
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
    const flags = await page.locator('.tracks .flag').count()
    return flags >= 2 ? '' : `${flags} flags`
  })
  await report.check('bad release: numbers and tracks have data', async () => {
    const none = await page.locator('.tracks .graph-none').count()
    return none === 0 ? '' : `${none} tracks without data`
  })
  await report.check('bad release: no script error, axe finds nothing', async () => [...errors, ...(await axe(page))])
  await close()
}
