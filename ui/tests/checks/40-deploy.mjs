// Deploy, Orders and one order: in every theme, language and size; selection, plan as text, new order with its preview.
import { axe, holds } from '../page.mjs'

export default async function checks(world) {
  const { browser, report } = world
  await holds(world, 'deploy', '/deploy')
  await holds(world, 'orders', '/orders')
  const { page, close } = await browser.at('/orders')
  const first = await page.locator('main table a[href^="/orders/"]').first().getAttribute('href', { timeout: 2000 }).catch(() => null)
  await close()
  await report.check('orders: a number with nothing behind it says so', async () => {
    const opened = await browser.at('/orders/20200101-000000-XX', { ready: 'main [role=alert]' })
    await opened.close()
  })
  if (!first) return
  await holds(world, 'order', first)
  await report.check('deploy: keys j x a Esc select servers, and the selection stays while data comes', async () => {
    const opened = await browser.at('/deploy', { ready: '.servers tbody tr' })
    const chosen = () => opened.page.locator('.servers tbody input:checked').count()
    const all = await opened.page.locator('.servers tbody tr').count()
    const wrong = []
    if ((await chosen()) !== all) wrong.push('not all are selected at first')
    await opened.page.locator('.servers tbody tr').first().focus()
    await opened.page.keyboard.press('Escape')
    if ((await chosen()) !== 0) wrong.push('Escape left some')
    await opened.page.keyboard.press('j')
    await opened.page.keyboard.press('x')
    if ((await chosen()) !== 1) wrong.push('x did not select one')
    await opened.page.waitForTimeout(2500)
    if ((await chosen()) !== 1) wrong.push('the selection was lost while data came')
    await opened.page.keyboard.press('a')
    if ((await chosen()) !== all) wrong.push('a did not select all')
    await opened.close()
    return wrong
  })
  for (const theme of ['light', 'dark']) {
    await report.check(`deploy ${theme}: plan as text shows the plan and its digest`, async () => {
      const opened = await browser.at('/deploy', { theme, ready: '.orderp' })
      await opened.page.click('.orderp .ph .btn')
      await opened.page.waitForSelector('[role=dialog] .plantext')
      const text = await opened.page.textContent('[role=dialog] .plantext')
      const digest = (await opened.page.textContent('[role=dialog] .digest')).trim()
      const found = await axe(opened.page)
      await opened.close()
      return [...found, ...(/shop/.test(text) ? [] : ['no plan']), ...(/^[0-9a-f]{64}$/.test(digest) ? [] : [`digest ${digest}`])]
    })
    await report.check(`deploy ${theme}: a new order shows what would happen before it is made`, async () => {
      const opened = await browser.at('/deploy', { theme, ready: '.dhead' })
      await opened.page.click('.dhead .btn')
      await opened.page.waitForSelector('[role=dialog] .plantext', { timeout: 8000 })
      const found = await axe(opened.page)
      await opened.page.keyboard.press('Escape')
      await opened.page.waitForSelector('[role=dialog]', { state: 'detached' })
      await opened.close()
      return [...found, ...opened.errors]
    })
  }
}
