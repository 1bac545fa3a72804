// Incidents: the list in every theme, language and size; one incident where there is one; a number with nothing behind it says so.
import { axe, holds } from '../page.mjs'

export default async function checks(world) {
  const { browser, report } = world
  await holds(world, 'incidents', '/incidents')
  const { page, close } = await browser.at('/incidents')
  const first = await page.locator('main table a[href^="/incidents/"]').first().getAttribute('href', { timeout: 2000 }).catch(() => null)
  await close()
  if (first) await holds(world, 'incident', first, { ready: 'main .evs' })
  await report.check('incidents: a number with nothing behind it says so', async () => {
    const opened = await browser.at('/incidents/999999')
    await opened.page.waitForSelector('main [role=alert]', { timeout: 5000 })
    const found = await axe(opened.page)
    await opened.close()
    return found
  })
}
