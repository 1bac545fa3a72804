// The palette: things by name, a verb that looks is answered in place, a verb that changes shows first what it would do.
import { axe } from '../page.mjs'

export default async function checks({ browser, report }) {
  const opened = async (path = '/orders') => {
    const at = await browser.at(path)
    await at.page.keyboard.press('Control+k')
    await at.page.waitForSelector('.palette input')
    return at
  }
  await report.check('palette: a page by its name, and it is recent afterwards', async () => {
    const { page, close } = await opened()
    await page.fill('.palette input', 'explo')
    await page.keyboard.press('Enter')
    await page.waitForURL('**/explore')
    await page.keyboard.press('Control+k')
    await page.waitForSelector('.palette .pal')
    const first = await page.locator('.palette .pal').first().textContent()
    await close()
    return /Explore/.test(first) ? '' : first
  })
  await report.check('palette: a verb that looks is answered in place', async () => {
    const { page, errors, close } = await opened()
    await page.fill('.palette input', 'help')
    await page.keyboard.press('Enter')
    await page.waitForSelector('.pal-say .card.help', { timeout: 5000 })
    const found = await axe(page)
    await close()
    return [...found, ...errors]
  })
  await report.check('palette: a verb that changes says first what it would do, and Escape leaves everything as it was', async () => {
    const { page, close } = await opened()
    const orders = () => page.evaluate(() => fetch('/api/flyball/v1/orders').then((answer) => answer.json()).then((rows) => rows.length))
    const before = await orders()
    const service = await page.evaluate(() => fetch('/api/flyball/v1/services').then((answer) => answer.json()).then((rows) => rows[0]))
    if (!service) {
      await close()
      return ''
    }
    await page.fill('.palette input', `restart ${service.service} ${service.environment}`)
    await page.waitForFunction((name) => /\d+ servers/.test(document.querySelector('.pal[aria-selected=true]')?.textContent ?? '') && document.querySelector('.pal[aria-selected=true]').textContent.includes(name), service.service, { timeout: 8000 })
    await page.keyboard.press('Enter')
    await page.waitForSelector('.pal-say .btn.danf')
    const found = await axe(page)
    await page.keyboard.press('Escape')
    await page.waitForSelector('.palette', { state: 'detached' })
    const after = await orders()
    await close()
    return [...found, ...(after === before ? [] : ['an order was made'])]
  })
}
