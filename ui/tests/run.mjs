// Starts the real program and runs the browser checks against it: `node tests/run.mjs --flyball target/debug/flyball`.
// First as on a plain machine, then as the demo with the story of a bad release. Ends with `N passed, N failed`.
import { spawn } from 'node:child_process'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

const given = {}
for (let index = 2; index < process.argv.length; index += 2) {
  const name = /^--(flyball|only|shots|world)$/.exec(process.argv[index])?.[1]
  if (!name || process.argv[index + 1] === undefined) throw new Error(`unknown or empty argument ${process.argv[index]}`)
  given[name] = process.argv[index + 1]
}
if (!given.flyball) throw new Error('--flyball PATH is missing')

/** Starts the program in a folder of its own; ends when it says its address with the one-time link. */
async function start(more) {
  const data = await mkdtemp(join(tmpdir(), 'flyball-browser-'))
  const child = spawn(given.flyball, ['up', '--data', data, '--listen', '127.0.0.1:0', ...more], { stdio: ['ignore', 'pipe', 'pipe'] })
  let said = ''
  const link = await new Promise((found, failed) => {
    const timer = setTimeout(() => failed(new Error(`no login link within 60 s:\n${said}`)), 60_000)
    const hear = (part) => {
      said = (said + part).slice(-20_000)
      const seen = /http:\/\/\S+\/login\?link=\S+/.exec(said)?.[0]
      if (seen) {
        clearTimeout(timer)
        found(seen)
      }
    }
    child.stdout.on('data', hear)
    child.stderr.on('data', hear)
    child.on('exit', (code) => {
      clearTimeout(timer)
      failed(new Error(`the program ended with ${code} before it was ready:\n${said}`))
    })
  })
  return {
    link,
    url: new URL(link).origin,
    async stop() {
      const ended = new Promise((done) => child.once('exit', done))
      child.kill('SIGTERM')
      const hard = setTimeout(() => child.kill('SIGKILL'), 8_000)
      if (child.exitCode === null) await ended
      clearTimeout(hard)
      await rm(data, { recursive: true, force: true })
    },
  }
}

/** The checks as a process of their own; its last line holds the counts. */
function checks(list) {
  return new Promise((done) => {
    const child = spawn(process.execPath, [fileURLToPath(new URL('./browser.mjs', import.meta.url)), ...list], { stdio: ['ignore', 'pipe', 'inherit'] })
    let said = ''
    child.stdout.on('data', (part) => {
      said += part
      process.stdout.write(String(part).replace(/^\d+ passed, \d+ failed\n/m, ''))
    })
    child.on('exit', () => {
      const counts = /(\d+) passed, (\d+) failed\s*$/.exec(said)
      done(counts ? [Number(counts[1]), Number(counts[2])] : [0, 1])
    })
  })
}

const sum = [0, 0]
for (const world of [{ name: 'plain', more: [], list: [] }, { name: 'demo', more: ['--demo'], list: ['--story', 'bad-release'] }]) {
  if (given.world && given.world !== world.name) continue
  process.stdout.write(`== ${world.name}\n`)
  let running
  try {
    running = await start(world.more)
    const list = ['--url', running.url, '--link', running.link, ...world.list]
    if (given.only) list.push('--only', given.only)
    if (given.shots) list.push('--shots', join(given.shots, world.name))
    const [passed, failed] = await checks(list)
    sum[0] += passed
    sum[1] += failed
  } catch (error) {
    process.stdout.write(`FAIL ${world.name}: ${error.message}\n`)
    sum[1] += 1
  } finally {
    await running?.stop()
  }
}
process.stdout.write(`${sum[0]} passed, ${sum[1]} failed\n`)
process.exit(sum[1] > 0 || sum[0] === 0 ? 1 : 0)
