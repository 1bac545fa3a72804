// The count of series: in every theme, language and size; a press narrows, the chips lead back, and Explore takes what was found.
import { holds } from '../page.mjs'

export default async function checks(world) {
  const { browser, report } = world
  await holds(world, 'cardinality', '/explore/cardinality', { ready: '.bars li' })
  await holds(world, 'cardinality-narrow', '/explore/cardinality?where=__name__%3Dnode_cpu_seconds_total&label=mode', { ready: '.bars li' })
  const check = (name, path, run) => report.check(`cardinality: ${name}`, async () => {
    const { page, close, errors } = await browser.at(path, { ready: '.bars li' })
    try {
      const found = await run(page)
      return [...errors, ...(Array.isArray(found) ? found : found ? [found] : [])]
    } finally {
      await close()
    }
  })
  /** Rows and chips belong to one count: it is there. */
  const counted = (page) => page.waitForSelector('main [aria-busy=false] .whole-said')
  const list = (title) => `section:has(h2:text-is("${title}"))`
  await check('a metric leads to its labels, a label to its values, a value to its series', '/explore/cardinality', async (page) => {
    const found = []
    await page.click(`${list('Metrics')} .barrow >> nth=0`)
    await page.waitForURL(/where=__name__/)
    await page.waitForSelector('.chip')
    await counted(page)
    await page.click(`${list('Labels')} .barrow >> nth=0`)
    await page.waitForURL(/label=/)
    await page.waitForSelector(list('Labels') + ' [aria-pressed=true]')
    await counted(page)
    const label = new URL(page.url()).searchParams.get('label')
    await page.click(`${list(`Values of ${label}`)} .barrow >> nth=0`)
    await page.waitForFunction((name) => new URL(location.href).searchParams.getAll('where').some((one) => one.startsWith(`${name}=`)), label)
    await page.waitForSelector('.chip >> nth=1')
    await counted(page)
    if ((await page.locator('.chip').count()) !== 2) found.push('two chips should say what it is narrowed to')
    await page.click('a:has-text("Open in Explore")')
    await page.waitForSelector('main .u-over')
    const query = new URL(page.url()).searchParams.get('q') ?? ''
    if (!query.includes(`${label}="`)) found.push(query)
    return found
  })
  await check('a chip leads back, and the counts fit together', '/explore/cardinality?where=__name__%3Dnode_cpu_seconds_total', async (page) => {
    await counted(page)
    const said = await page.textContent('.whole-said')
    const [part, whole] = (said.match(/[\d,]+/g) ?? []).map((text) => Number(text.replaceAll(',', '')))
    await page.click('.chip')
    await page.waitForSelector('.chip', { state: 'detached' })
    return part > 0 && part < whole ? '' : said
  })
  await check('the next step comes as one: no row moves while it is counted', '/explore/cardinality', async (page) => {
    await counted(page)
    await page.route('**/store/cardinality*', (route) => setTimeout(() => void route.continue().catch(() => undefined), 1500))
    const before = await page.textContent('.lists')
    await page.click(`${list('Metrics')} .barrow >> nth=0`)
    await page.waitForSelector('main [aria-busy=true] .whole-said')
    const during = await page.textContent('.lists')
    await page.waitForSelector('.chip')
    await counted(page)
    return during === before ? '' : 'the lists changed before the next step was counted'
  })
  await check('a name that nothing has says so', '/explore/cardinality', async (page) => {
    await page.goto(new URL('/explore/cardinality?where=__name__%3Dno_such_metric', page.url()).href)
    await page.waitForSelector('text=No series fit.')
  })
}
