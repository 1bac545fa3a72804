// The judge's band and kinds of log lines.
import { describe, expect, it } from 'vitest'
import { halfWidth, oneIn, side } from './judge'
import { fresh, kind, lineTone } from './kinds'

describe('judge', () => {
  it('narrows with every answer and never promises a certain zero', () => {
    expect(halfWidth(0, 0, 1000)).toBe(1)
    expect(halfWidth(0, 100, 1000)).toBeGreaterThan(halfWidth(0, 1_000, 1000))
    expect(halfWidth(0, 1_000_000, 1000)).toBeGreaterThan(0)
  })
  it('is wider the rarer it may be wrong', () => {
    expect(halfWidth(5, 1_000, 100_000)).toBeGreaterThan(halfWidth(5, 1_000, 100))
  })
  it('sets 4.5 % of 4,680 apart from 0.06 % of 4,702', () => {
    expect(209 / 4_680 - halfWidth(209, 4_680, 1000)).toBeGreaterThan(3 / 4_702 + halfWidth(3, 4_702, 1000))
  })
  it('counts what came after the server was in, over a restart of the counter, and leaves holes alone', () => {
    const counters = [
      { server: 'a', bad: [0, 1, null, 3, 1], all: [10, 20, null, 40, 5] },
      { server: 'b', bad: [0, 0, 0, 0, 0], all: [5, 10, 15, 20, 25] },
    ]
    const fresh = side([1, 2, 3, 4, 5], counters, (server) => (server === 'a' ? 2_000 : undefined), 1000)
    expect([fresh.bad, fresh.all]).toEqual([4, 35])
    expect(fresh.share[0]).toBeNull()
    expect(fresh.share[1]).toBeCloseTo(0.1)
    const old = side([1, 2, 3, 4, 5], counters, (server) => (server === 'b' ? 0 : undefined), 1000)
    expect([old.bad, old.all]).toEqual([0, 20])
  })
  it('says how rare', () => {
    expect(oneIn(3)).toBeUndefined()
    expect(oneIn(1.2e9)).toBe('10⁹')
    expect(oneIn(4.2e12)).toBe('10¹²')
  })
})

describe('kinds of lines', () => {
  it('knows the same line with other numbers', () => {
    expect(kind('POST /api/orders 500 31 ms user="a"')).toBe(kind('POST /api/orders 503 7 ms  user="b"'))
    expect(kind('pool waits 12')).not.toBe(kind('pool ready 12'))
  })
  it('calls new what was not seen before, and nothing when nothing is known', () => {
    const lines = [{ text: 'GET / 200', at: 1, host: 'a' }, { text: 'GET / 201', at: 5, host: 'a' }, { text: 'FATAL too many', at: 6, host: 'a' }, { text: 'FATAL too many', at: 7, host: 'b' }]
    expect([...fresh(lines, 4)]).toEqual([2])
    expect([...fresh(lines, 0)]).toEqual([])
    expect([...fresh(lines, undefined)]).toEqual([])
  })
  it('reads the level', () => {
    expect(lineTone('ERROR pool: too many')).toBe('bad')
    expect(lineTone('WARN pool waits')).toBe('warn')
    expect(lineTone('INFO ready')).toBeUndefined()
  })
})
