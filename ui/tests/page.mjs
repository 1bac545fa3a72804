// What all browser checks share: arguments, the browser, a page in a theme, language and size, axe, screenshots, the report.
import AxeBuilder from '@axe-core/playwright'
import { chromium } from 'playwright-core'

export const sizes = { wide: { width: 1280, height: 800 }, phone: { width: 390, height: 844 } }

/** --url, --link, --chromium, --shots FOLDER, --only PART, --story NAME, --name and --password. */
export function readArguments(list) {
  const found = { url: 'http://127.0.0.1:7070', chromium: process.env.CHROMIUM ?? '/usr/bin/chromium' }
  for (let index = 0; index < list.length; index += 2) {
    const name = /^--(url|link|chromium|shots|only|story|name|password)$/.exec(list[index] ?? '')?.[1]
    if (!name || list[index + 1] === undefined) throw new Error(`unknown or empty argument ${list[index]}`)
    found[name] = list[index + 1]
  }
  found.url = found.url.replace(/\/$/, '')
  return found
}

/** A browser whose pages share one session: the one-time link, or name and password, is used once. */
export async function open(given) {
  const browser = await chromium.launch({
    executablePath: given.chromium, headless: true,
    args: ['--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking', '--disable-component-update', '--disable-sync'],
  })
  let state
  if (given.link || given.name) {
    const context = await browser.newContext()
    const page = await context.newPage()
    if (given.link) await page.goto(given.link.startsWith('http') ? given.link : `${given.url}/login?link=${encodeURIComponent(given.link)}`)
    else {
      await page.goto(`${given.url}/login`)
      await page.fill('#name', given.name)
      await page.fill('#password', given.password ?? '')
      await page.press('#password', 'Enter')
    }
    await page.waitForURL((address) => address.pathname !== '/login', { timeout: 30_000 })
    state = await context.storageState()
    await context.close()
  }
  return {
    close: () => browser.close(),
    /** A fresh page at `path`; ends when the network's first answers are in and `ready` is seen. */
    async at(path, { theme = 'light', language = 'en', size = 'wide', ready = 'main h1, main h2', zone = 'UTC', touch = false } = {}) {
      const context = await browser.newContext({ viewport: typeof size === 'string' ? sizes[size] : size, colorScheme: theme, storageState: state, hasTouch: touch, reducedMotion: 'reduce' })
      await context.addInitScript(`localStorage.getItem('flyball') ?? localStorage.setItem('flyball', ${JSON.stringify(JSON.stringify({ theme, language, zone }))})`)
      const page = await context.newPage()
      const errors = []
      page.on('pageerror', (error) => errors.push(String(error)))
      page.on('console', (message) => { if (message.type() === 'error' && /Content Security Policy/i.test(message.text())) errors.push(message.text().slice(0, 300)) })
      await page.goto(given.url + path)
      if (ready) await page.waitForSelector(ready)
      await page.evaluate(() => document.fonts.ready)
      await page.waitForTimeout(700)
      return { page, errors, close: () => context.close() }
    },
  }
}

/** Violations as text: rule, and where. `within` looks at one part only: what floats over the page covers things, which is no fault. */
export async function axe(page, within) {
  const builder = new AxeBuilder({ page })
  if (within) builder.include(within)
  const found = await builder.withTags(['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa', 'best-practice']).analyze()
  return found.violations.map((one) => `${one.id}: ${one.nodes.slice(0, 3).map((node) => `${node.target.join(' ')} ${node.failureSummary?.split('\n')[1]?.trim() ?? ''}`).join(' | ')}`)
}

/** How many pixels the page is wider than the window. */
export const overflow = (page) => page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth)

export class Report {
  passed = 0
  failed = 0

  /** Runs one check; a thrown error or a returned text (or non-empty list) is a failure with its reason. */
  async check(name, run) {
    let why
    try {
      const found = await run()
      why = Array.isArray(found) ? found.join('\n    ') : found
    } catch (error) {
      why = error instanceof Error ? error.message.split('\n').slice(0, 6).join('\n    ') : String(error)
    }
    if (why) this.failed += 1
    else this.passed += 1
    process.stdout.write(`${why ? 'FAIL' : 'ok  '} ${name}${why ? `\n    ${why}` : ''}\n`)
  }
}

/** Every page must hold these, in each theme, language and size: no script error, nothing wider than the window, axe silent. */
export async function holds({ browser, report, shots }, name, path, options = {}) {
  for (const width of [360, 768, 1120, 1920]) {
    await report.check(`${name} at ${width} px: no wider than the window`, async () => {
      const { page, errors, close } = await browser.at(path, { ...options, size: { width, height: 900 } })
      const by = await overflow(page)
      await close()
      return [...errors, ...(by > 0 ? [`by ${by} px`] : [])]
    })
  }
  for (const size of ['wide', 'phone']) {
    for (const theme of ['light', 'dark']) {
      for (const language of ['en', 'zh']) {
        const label = `${name} ${size} ${theme} ${language}`
        let opened
        await report.check(`${label}: opens`, async () => {
          opened = await browser.at(path, { ...options, size, theme, language, touch: size === 'phone' })
          if (options.before) await options.before(opened.page)
          if (shots) await opened.page.screenshot({ path: `${shots}/${name}-${size}-${theme}-${language}.png`, fullPage: true })
          return opened.errors
        })
        if (!opened) continue
        await report.check(`${label}: no wider than the window`, async () => { const by = await overflow(opened.page); return by > 0 ? `by ${by} px` : '' })
        await report.check(`${label}: axe finds nothing`, () => axe(opened.page))
        await opened.close()
      }
    }
  }
}
