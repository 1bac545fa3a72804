// Chat: the room in every theme, language and size; a verb is answered, what is typed stays text, completion, and what is scrolled up stays.
import { axe, holds } from '../page.mjs'

export default async function checks(world) {
  const { browser, report } = world
  const say = async (page, text) => {
    await page.fill('.comp textarea', text)
    await page.press('.comp textarea', 'Escape')
    await page.press('.comp textarea', 'Enter')
    await page.waitForFunction(() => document.querySelector('.comp textarea').value === '', undefined, { timeout: 5000 })
  }
  const elsewhere = async (page, text) => {
    const status = await page.evaluate(async (text) => (await fetch('/api/flyball/v1/chat/ops', { method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify({ text }) })).status, text)
    if (status !== 200) throw new Error(`saying something was answered with ${status}`)
  }
  const shows = (page, text) => page.waitForFunction((text) => [...document.querySelectorAll('.said')].some((one) => one.textContent === text), text, { timeout: 8000 })
  await report.check('chat: a verb is answered in the room, with the verb that was understood', async () => {
    const { page, errors, close } = await browser.at('/chat/ops', { ready: '.comp textarea' })
    const before = await page.locator('.msg').count()
    await say(page, '/incidents all')
    await page.waitForFunction((known) => document.querySelectorAll('.msg').length >= known + 2, before, { timeout: 8000 })
    const found = await axe(page)
    await close()
    return [...found, ...errors]
  })
  await report.check('chat: what is typed is shown as text', async () => {
    const { page, errors, close } = await browser.at('/chat/ops', { ready: '.comp textarea' })
    const hostile = `<img src=x onerror="document.title='broken'"> {{7*7}} \u202egnol ${'x'.repeat(300)}`
    await say(page, hostile)
    await page.waitForFunction((text) => [...document.querySelectorAll('.said')].some((one) => one.textContent === text), hostile, { timeout: 5000 })
    const broken = await page.evaluate(() => document.title.includes('broken') || document.querySelector('.msgs img[src="x"]') !== null)
    const wide = await page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth)
    await close()
    return [...errors, ...(broken ? ['the text became markup'] : []), ...(wide > 0 ? [`wider by ${wide} px`] : [])]
  })
  await report.check('chat: a graph is a picture, and nothing of it is in the page', async () => {
    const { page, errors, close } = await browser.at('/chat/ops', { ready: '.comp textarea' })
    await say(page, '/graph node_load1 5m')
    await page.waitForFunction(() => [...document.querySelectorAll('.card.picture img')].some((one) => one.complete && one.naturalWidth > 0), undefined, { timeout: 30_000 })
    const inside = await page.locator('.card.picture svg').count()
    await close()
    return [...errors, ...(inside > 0 ? ['the picture is markup'] : [])]
  })
  await report.check('chat: @fly completes, verbs are offered, Tab takes one', async () => {
    const { page, close } = await browser.at('/chat/ops', { ready: '.comp textarea' })
    await page.fill('.comp textarea', '@fly')
    await page.waitForSelector('.sg')
    await page.press('.comp textarea', 'Tab')
    await page.type('.comp textarea', 'ch')
    await page.waitForSelector('.sg')
    const found = await axe(page)
    const offered = await page.locator('.sg .mono').allTextContents()
    await page.press('.comp textarea', 'Tab')
    const typed = await page.inputValue('.comp textarea')
    await close()
    return [...found, ...(typed.startsWith('@flyball ch') && typed.trim() === `@flyball ${offered[0].trim()}` ? [] : [`${typed} of ${offered}`])]
  })
  await report.check('chat: scrolled up nothing jumps, and new messages are counted at the edge', async () => {
    const { page, close } = await browser.at('/chat/ops', { ready: '.comp textarea', size: { width: 1280, height: 420 } })
    for (let count = 0; count < 8; count += 1) await say(page, `line ${count}\nand\nmore`)
    await page.waitForFunction(() => [...document.querySelectorAll('.said')].some((one) => one.textContent.startsWith('line 7')))
    // What grows in the very moment in which one scrolls up brings nobody back.
    await page.evaluate(() => {
      const list = document.querySelector('.msgs ol')
      requestAnimationFrame(() => { list.style.minHeight = `${list.offsetHeight + 300}px` })
      document.querySelector('.msgs').scrollTop = 0
    })
    await page.waitForTimeout(300)
    await elsewhere(page, 'from elsewhere')
    await page.waitForSelector('.newbar', { timeout: 5000 })
    const top = await page.evaluate(() => document.querySelector('.msgs').scrollTop)
    await page.click('.newbar')
    await page.waitForSelector('.newbar', { state: 'detached' })
    await close()
    return top === 0 ? '' : `jumped to ${top}`
  })
  await report.check('chat: an answer that was on its way when a message came does not take it away', async () => {
    const { page, errors, close } = await browser.at('/chat/ops', { ready: '.comp textarea' })
    let hold
    const held = new Promise((done) => { hold = done })
    await page.route('**/api/flyball/v1/chat/ops', async (route) => {
      if (route.request().method() !== 'GET') return route.continue()
      const response = await route.fetch()
      await held
      await route.fulfill({ response })
    })
    await say(page, 'this reads the room again')
    const come = `while it was read ${Math.random()}`
    const reads = page.waitForResponse((response) => response.request().method() === 'GET' && response.url().endsWith('/chat/ops'))
    await elsewhere(page, come)
    await shows(page, come)
    hold()
    await reads
    await page.waitForTimeout(300)
    const there = await page.evaluate((text) => [...document.querySelectorAll('.said')].filter((one) => one.textContent === text).length, come)
    await close()
    return [...errors, ...(there === 1 ? [] : [`it is there ${there} times`])]
  })
  await report.check('chat: what was said between the page and its stream is there', async () => {
    const { page, errors, close } = await browser.at('/incidents', { ready: 'main h1' })
    let open
    const opened = new Promise((done) => { open = done })
    await page.route('**/api/flyball/v1/live*', async (route) => {
      await opened
      await route.continue()
    })
    const address = new URL('/chat/ops', page.url()).href
    await page.goto(address)
    await page.waitForSelector('.msg')
    const come = `before the stream ${Math.random()}`
    await elsewhere(page, come)
    open()
    await shows(page, come)
    await close()
    return errors
  })
  await holds(world, 'chat', '/chat/ops', { ready: '.comp textarea' })
}
