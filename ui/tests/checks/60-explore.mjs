// Explore: queries with a graph, in every theme, language and size; completion, a mistake at its place, the address carries all.
import { axe, holds } from '../page.mjs'

const query = 'avg by (mode) (rate(node_cpu_seconds_total{mode!="idle"}[5s]))'

export default async function checks(world) {
  const { browser, report } = world
  await holds(world, 'explore', `/explore?q=${encodeURIComponent(query)}&q=node_load1`, { ready: 'main .u-over' })
  await report.check('explore: an empty page offers queries, and one press shows a graph', async () => {
    const { page, close } = await browser.at('/explore')
    await page.click('.start')
    await page.waitForSelector('main .u-over')
    const address = page.url()
    await close()
    return address.includes('q=') ? '' : `the address ${address} does not carry the query`
  })
  await report.check('explore: a live graph stands still under the pointer, and goes on after', async () => {
    const { page, close } = await browser.at('/explore?q=node_load1')
    await page.waitForSelector('main .u-over')
    await page.hover('main .u-over')
    await page.waitForSelector('.graph-paused', { timeout: 5000 })
    await page.mouse.move(5, 5)
    await page.waitForSelector('.graph-paused', { state: 'detached', timeout: 3000 })
    await close()
  })
  await report.check('explore: names that the data holds are completed', async () => {
    const { page, close } = await browser.at('/explore')
    await page.fill('textarea', 'node_loa')
    await page.press('textarea', 'Control+Space')
    await page.waitForSelector('.complete li', { timeout: 5000 })
    const violations = await axe(page)
    await page.press('textarea', 'Enter')
    const typed = await page.inputValue('textarea')
    await close()
    return [...violations, ...(typed.startsWith('node_load') ? [] : [`completed to ${typed}`])]
  })
  await report.check('explore: a mistake is said and underlined where it is', async () => {
    const { page, close } = await browser.at(`/explore?q=${encodeURIComponent('sum((')}`)
    await page.waitForSelector('.q [role=alert]', { timeout: 5000 })
    const marked = await page.locator('.code-error u').count()
    await close()
    return marked === 1 ? '' : 'nothing is underlined'
  })
  await report.check('explore: a mistyped name offers the nearest', async () => {
    const { page, close } = await browser.at('/explore?q=node_laod1')
    await page.waitForSelector('main .btn.mono', { timeout: 5000 })
    await page.click('main .btn.mono')
    await page.waitForSelector('main .u-over', { timeout: 5000 })
    const address = page.url()
    await close()
    return /q=node_load1/.test(address) ? '' : address
  })
}
