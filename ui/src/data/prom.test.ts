// Which instants are asked of the server, and what becomes of its answers. The server is played by a function.
import { afterEach, describe, expect, it, vi } from 'vitest'
import { resolve } from '../lib/range'
import { queryRange, rangeKey } from './prom'

interface Asked { start: number; end: number; step: number }
const asked: Asked[] = []

/** Answers each instant from `since` on with itself, in seconds. */
function play(since: number): void {
  asked.length = 0
  vi.stubGlobal('fetch', async (path: string) => {
    const params = new URL(path, 'http://here').searchParams
    const [start, end, step] = ['start', 'end', 'step'].map((name) => Number(params.get(name))) as [number, number, number]
    asked.push({ start, end, step })
    const values: [number, string][] = []
    for (let at = start; at <= end + 1e-9; at += step) if (at >= since) values.push([at, String(at)])
    return new Response(JSON.stringify({ status: 'success', data: { resultType: 'matrix', result: values.length > 0 ? [{ metric: { job: 'a' }, values }] : [] } }), { headers: { 'content-type': 'application/json' } })
  })
}

afterEach(() => {
  vi.unstubAllGlobals()
  vi.useRealTimers()
})

const now = 1_700_003_456
const day = 86_400
const read = (from: number, step: number, more = {}) => queryRange('up', from * 1000, now * 1000, step, more)

describe('a range', () => {
  it('of thirty days holds what a server of a minute has', async () => {
    play(now - 60)
    const frame = await read(now - 30 * day, 7200)
    expect(frame.series).toHaveLength(1)
    expect(frame.times.at(-1)).toBe(now - 6)
    expect(frame.series[0]!.values.at(-1)).toBe(now - 6)
    expect(frame.series[0]!.values).toHaveLength(frame.times.length)
  })
  it('of short steps is asked once, at whole steps', async () => {
    play(0)
    const frame = await read(now - 300, 5)
    expect(asked).toEqual([{ start: now - 301, end: now - 1, step: 5 }])
    expect(frame.series[0]!.values).toEqual(frame.times)
  })
  it('asks only for the newest instant while the whole steps are the same, once these have settled', async () => {
    play(0)
    vi.useFakeTimers({ now: now * 1000, toFake: ['Date'] })
    const first = await read(now - 30 * day, 7200)
    const second = await queryRange('up', (now - 30 * day + 10) * 1000, (now + 10) * 1000, 7200, { known: first })
    expect(asked).toHaveLength(3)
    expect(second.times.slice(0, -1)).toEqual(first.times.slice(0, -1))
    expect(second.times.at(-1)).toBe(first.times.at(-1)! + 10)
    expect(second.series[0]!.values).toEqual(second.times)
    // Just behind a step its samples may still come.
    const whole = Math.floor(now / 7200) * 7200
    vi.setSystemTime((whole + 11) * 1000)
    const early = await queryRange('up', (whole - 30 * day) * 1000, (whole + 11) * 1000, 7200)
    await queryRange('up', (whole - 30 * day) * 1000, (whole + 21) * 1000, 7200, { known: early })
    expect(asked).toHaveLength(7)
  })
  it('of an earlier time has the same instants, whatever the shift', async () => {
    play(0)
    const [present, earlier] = await Promise.all([read(now - day, 300), read(now - day, 300, { back: 1_000_000 })])
    expect(earlier.times).toEqual(present.times.map((at) => at - 1000))
    expect(earlier.series[0]!.values.every((value) => value !== null)).toBe(true)
  })
})

it('a range that grows with the clock is one entry in the cache', () => {
  const range = { from: '2026-11-22T10:00:00Z', to: 'now' }
  const at = (now: string): readonly unknown[] => rangeKey({ range, ...resolve(range, Date.parse(now)), every: 1000 })
  expect(at('2026-11-22T10:05:01Z')).toEqual(at('2026-11-22T10:05:02Z'))
  expect(at('2026-11-22T10:05:01Z')).not.toEqual(rangeKey({ range: { ...range, from: 'now-5m' }, ...resolve(range, Date.parse('2026-11-22T10:05:01Z')), every: 1000 }))
})
