// The judge's band and kinds of log lines.
import { describe, expect, it } from 'vitest'
import { band, oneIn, side } from './judge'
import { fresh, kind, lineTone } from './kinds'

describe('judge', () => {
  it('narrows with every answer and never promises a certain zero', () => {
    expect(band(0, 0, 32)).toEqual({ low: 0, high: 1 })
    expect(band(0, 100, 32).high).toBeGreaterThan(band(0, 1_000, 32).high)
    expect(band(0, 1_000_000, 32).high).toBeGreaterThan(0)
    expect(band(5, 5, 32).high).toBe(1)
  })
  it('is wider the rarer it may be wrong, and holds the share', () => {
    for (const [bad, all] of [[0, 3], [1, 3], [5, 1_000], [700, 1_000], [3, 3]] as const) {
      const narrow = band(bad, all, 10)
      const wide = band(bad, all, 1_000)
      expect(wide.low).toBeLessThanOrEqual(narrow.low)
      expect(wide.high).toBeGreaterThanOrEqual(narrow.high)
      expect(narrow.low).toBeLessThanOrEqual(bad / all)
      expect(narrow.high).toBeGreaterThanOrEqual(bad / all)
    }
  })
  it('knows two edges that can be reckoned by hand', () => {
    // Of one bad answer in one the mixture gives 1/2: a share below 1/2 : 32 is ruled out.
    expect(band(1, 1, 32).low).toBeCloseTo(1 / 64, 6)
    expect(band(0, 1, 32).high).toBeCloseTo(1 - 1 / 64, 6)
  })
  it('sets 4.5 % of 4,680 apart from 0.06 % of 4,702', () => {
    expect(band(209, 4_680, 32).low).toBeGreaterThan(band(3, 4_702, 32).high)
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
