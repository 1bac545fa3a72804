// What every page has: keys, help, palette, person's menu, range, skip link, phone's bar; each without a finding of axe while open.
import { axe } from '../page.mjs'

export default async function checks({ browser, report }) {
  for (const theme of ['light', 'dark']) {
    await report.check(`frame ${theme}: help by ? is without findings and closes by Escape`, async () => {
      const { page, close, errors } = await browser.at('/', { theme })
      await page.keyboard.press('?')
      await page.waitForSelector('[role=dialog]')
      const found = await axe(page)
      await page.keyboard.press('Escape')
      await page.waitForSelector('[role=dialog]', { state: 'detached' })
      await close()
      return [...found, ...errors]
    })
    await report.check(`frame ${theme}: palette by Ctrl K is without findings`, async () => {
      const { page, close, errors } = await browser.at('/', { theme })
      await page.keyboard.press('Control+k')
      await page.waitForSelector('[role=dialog] input')
      const found = await axe(page)
      await close()
      return [...found, ...errors]
    })
    await report.check(`frame ${theme}: menu of the person and range are without findings`, async () => {
      const { page, close, errors } = await browser.at('/', { theme })
      await page.click('header button:has(.av)')
      await page.waitForSelector('.menu-item')
      const found = await axe(page, 'header')
      await page.keyboard.press('Escape')
      await page.waitForSelector('.menu-item', { state: 'detached' })
      await page.click('header .sel')
      await page.waitForSelector('.range-from')
      found.push(...(await axe(page, 'header')))
      await close()
      return [...found, ...errors]
    })
  }
  await report.check('frame: Shift D and Shift L change theme and language, and they stay', async () => {
    const { page, close } = await browser.at('/')
    await page.keyboard.press('Shift+D')
    await page.keyboard.press('Shift+L')
    await page.waitForTimeout(100)
    await page.reload()
    await page.waitForSelector('main h1')
    const root = await page.evaluate(() => [document.documentElement.dataset.theme, document.documentElement.lang].join(' '))
    await close()
    return root === 'dark zh' ? '' : root
  })
  await report.check('frame: g e goes to Explore, and back goes back', async () => {
    const { page, close } = await browser.at('/')
    await page.keyboard.press('g')
    await page.keyboard.press('e')
    await page.waitForURL('**/explore')
    await page.goBack()
    await page.waitForURL((address) => address.pathname === '/')
    await close()
  })
  await report.check('frame: keys are off in a text field', async () => {
    const { page, close } = await browser.at('/explore')
    await page.click('textarea')
    await page.keyboard.type('go?')
    await page.waitForTimeout(150)
    const there = [page.url().endsWith('/explore'), await page.inputValue('textarea'), await page.locator('[role=dialog]').count()].join(' ')
    await close()
    return there === 'true go? 0' ? '' : there
  })
  await report.check('frame: the first Tab reaches the skip link, and it leads to the content', async () => {
    const { page, close } = await browser.at('/')
    await page.keyboard.press('Tab')
    const first = await page.evaluate(() => document.activeElement?.className)
    await page.keyboard.press('Enter')
    const to = await page.evaluate(() => location.hash)
    await close()
    return first === 'skip' && to === '#main' ? '' : `${first} ${to}`
  })
  await report.check('frame: an address with nothing behind it says so and offers the nearest', async () => {
    const { page, close } = await browser.at('/explor')
    const text = await page.textContent('main')
    const found = await axe(page)
    await close()
    return [...(text.includes('/explore') ? [] : [text]), ...found]
  })
  await report.check('frame: nothing on the Overview is moved by ten seconds of live data', async () => {
    const { page, close } = await browser.at('/')
    await page.waitForTimeout(1500)
    const shift = await page.evaluate(() => new Promise((done) => {
      let sum = 0
      let what = ''
      new PerformanceObserver((list) => { for (const entry of list.getEntries()) if (!entry.hadRecentInput) { sum += entry.value; what = entry.sources.map((source) => { const at = source.node?.nodeType === 3 ? source.node.parentElement : source.node; return `${at?.tagName}.${at?.className} in ${at?.parentElement?.className}: ${at?.textContent?.slice(0, 40)}` }).join(' | ') } }).observe({ type: 'layout-shift' })
      setTimeout(() => done(sum > 0 ? `${sum} by ${what}` : ''), 10_000)
    }))
    await close()
    return shift
  })
  await report.check('frame: a cut line is said within 6 s, values turn grey, and it comes back by itself', async () => {
    const { page, close } = await browser.at('/login', { ready: '#name' })
    await page.route('**/api/flyball/v1/live*', (route) => route.abort())
    await page.goto(new URL('/', page.url()).href)
    await page.waitForSelector('header [role=status] .warn', { timeout: 6_500 })
    const grey = await page.locator('.stale-values').count()
    const found = await axe(page)
    await page.unroute('**/api/flyball/v1/live*')
    await page.waitForSelector('header [role=status] .warn', { state: 'detached', timeout: 13_000 })
    await close()
    return [...(grey > 0 ? [] : ['nothing turned grey']), ...found]
  })
  await report.check('frame: the language menu of the login page and its errors are without findings', async () => {
    const { page, close } = await browser.at('/login', { ready: '#name' })
    await page.fill('#name', 'nobody')
    await page.fill('#password', 'wrong')
    await page.press('#password', 'Enter')
    await page.waitForSelector('[role=alert]')
    const found = await axe(page)
    await close()
    return found
  })
  await report.check('frame: the login page leads nowhere else', async () => {
    const { page, close } = await browser.at('/login?link=none&next=https://example.org/', { ready: '[role=alert]' })
    const host = new URL(page.url()).host
    await close()
    return host === new URL(page.url()).host ? '' : host
  })
}
