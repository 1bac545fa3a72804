// Hands on a running release, only in the demo: Halt by Shift H from another page, then Roll back on a phone in two taps, where a double tap does nothing.
import { axe, overflow } from '../page.mjs'

export default async function checks({ browser, report }) {
  const { page, close } = await browser.at('/orders')
  const api = (path, body) => page.evaluate(async ([path, body]) => {
    const answer = await fetch(`/api/flyball/v1${path}`, body ? { method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify(body) } : {})
    return { status: answer.status, body: answer.ok ? await answer.json() : await answer.text() }
  }, [path, body])
  if ((await api('/demo')).status !== 200) return close()
  const state = async (number) => (await api(`/orders/${number}`)).body.state
  const until = async (number, wanted, limit = 20_000) => {
    const end = Date.now() + limit
    for (;;) {
      const now = await state(number)
      if (wanted.includes(now)) return now
      if (Date.now() > end) throw new Error(`order ${number} is ${now}, not ${wanted.join(' or ')}`)
      await page.waitForTimeout(100)
    }
  }
  let number
  await report.check('hands: Shift H halts what is being released, from another page; the request leaves within 100 ms', async () => {
    const made = await api('/demo/release', { kind: 'good' })
    number = made.body.outcome?.order
    if (!number) return JSON.stringify(made).slice(0, 300)
    await page.waitForSelector('.brake .btn.danf:not([aria-disabled])', { timeout: 30_000 })
    await page.evaluate(() => {
      const real = window.fetch
      window.fetch = (...all) => {
        if (String(all[0]).includes('/command')) window.leftAt ??= performance.now()
        return real(...all)
      }
      addEventListener('keydown', (event) => { if (event.key === 'H') window.pressedAt = performance.now() }, { capture: true })
    })
    await page.keyboard.press('Shift+H')
    await until(number, ['halted', 'rolling_back', 'rolled_back'])
    const took = await page.evaluate(() => window.leftAt - window.pressedAt)
    return took <= 100 ? '' : `left after ${took} ms`
  })
  await report.check('hands: on a phone Roll back takes two taps, and a double tap does nothing', async () => {
    if (!number) return 'no order'
    if ((await state(number)) !== 'halted') return `the order is ${await state(number)}`
    const phone = await browser.at('/deploy', { size: 'phone', touch: true, ready: '.phonebar' })
    const wrong = []
    const button = phone.page.locator('.phonebar .btn').nth(1)
    const box = await button.boundingBox()
    if (box.height < 52) wrong.push(`a button of ${box.height} px`)
    // Both taps of a double tap hit the same place, whatever lies there by then.
    const at = [box.x + box.width / 2, box.y + box.height / 2]
    await phone.page.touchscreen.tap(...at)
    await phone.page.touchscreen.tap(...at)
    await phone.page.waitForTimeout(900)
    if ((await state(number)) !== 'halted') wrong.push('a double tap rolled back')
    if ((await phone.page.locator('[role=dialog]').count()) === 0) await button.tap()
    await phone.page.waitForSelector('[role=dialog] .btn.danf')
    await phone.page.waitForTimeout(700)
    wrong.push(...(await axe(phone.page)))
    if ((await overflow(phone.page)) > 0) wrong.push('wider than the window')
    await phone.page.tap('[role=dialog] .btn.danf')
    await until(number, ['rolling_back', 'rolled_back'], 5_000)
    await until(number, ['rolled_back'], 60_000)
    await phone.close()
    return [...wrong, ...phone.errors]
  })
  await report.check('hands: on a phone Acknowledge is one tap', async () => {
    // A report on a service whose incident somebody has becomes a note in that one: what is left over is resolved first.
    for (const left of (await api('/incidents')).body) if (left.state !== 'resolved') await api(`/incidents/${left.number}/resolve`, {})
    const number = (await api('/incidents', { service: 'shop', summary: 'opened by a check', priority: 'P5' })).body.incident
    if (!number) return 'no incident is open'
    const phone = await browser.at(`/incidents/${number}`, { size: 'phone', touch: true, ready: '.phonebar' })
    await phone.page.locator('.phonebar .btn').first().tap()
    const end = Date.now() + 5_000
    while ((await api(`/incidents/${number}`)).body.state !== 'acknowledged') {
      if (Date.now() > end) return 'not acknowledged'
      await page.waitForTimeout(100)
    }
    await phone.close()
    return phone.errors
  })
  await close()
}
