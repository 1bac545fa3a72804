// Browser tests against a running server: `npm run test:browser -- --url http://127.0.0.1:7070 --link <one-time link>`.
// Prints one line per check and ends with `N passed, N failed`. The stories are in tests/checks/*.mjs, one file per page.
import { mkdir, readdir } from 'node:fs/promises'
import { fileURLToPath } from 'node:url'
import { open, readArguments, Report } from './page.mjs'

const given = readArguments(process.argv.slice(2))
const report = new Report()
const folder = new URL('./checks/', import.meta.url)
if (given.shots) await mkdir(given.shots, { recursive: true })
const browser = await open(given)
try {
  if (given.story) {
    const { default: story } = await import(new URL(`./stories/${given.story}.mjs`, import.meta.url).href)
    await story({ ...given, browser, report })
  }
  for (const file of (await readdir(fileURLToPath(folder))).filter((name) => name.endsWith('.mjs')).sort()) {
    if (given.only && !file.includes(given.only)) continue
    const { default: checks } = await import(new URL(file, folder).href)
    await checks({ ...given, browser, report })
  }
} finally {
  await browser.close()
}
process.stdout.write(`${report.passed} passed, ${report.failed} failed\n`)
process.exit(report.failed > 0 || report.passed === 0 ? 1 : 0)
