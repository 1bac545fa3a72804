// Tables for everything in lib/: what goes in, what must come out.
import { describe, expect, it, test } from 'vitest'
import { distance, nearest } from './distance'
import { crowd, gather, place } from './flags'
import { Chords, name as keyName } from './keys'
import { lanes } from './lanes'
import { measure, number, tick, unitNamed } from './number'
import { unitOf } from './unit'
import { errorSaid, errorSpan } from './place'
import { around, selectorOf, tokenAt, tokens, typing } from './promql'
import { frozen, parseSpan, queryStep, resolve, resolveEach, step } from './range'
import { isolated, ladder, logScale, logTicks, scale, stats, ticks, timeTicks } from './scale'
import { backoff, EventParser } from './sse'
import { fill, initials, orderTail, pieces } from './text'
import { clock, duration, offset, parseTime, when, withOffset, zoneName } from './time'
import { word, words } from './words'

const N = '\u202f'
const noon = Date.UTC(2026, 10, 22, 10, 15, 42) + 312.5

describe('time', () => {
  test.each([
    ['2026-11-22T10:15:42Z', Date.UTC(2026, 10, 22, 10, 15, 42)],
    ['2026-11-22T10:15:42.3125Z', noon],
    ['2026-11-22T18:15:42+08:00', Date.UTC(2026, 10, 22, 10, 15, 42)],
    ['yesterday', Number.NaN],
    ['2026-11-22', Number.NaN],
  ])('%s is read', (text, expected) => expect(parseTime(text)).toBe(expected))

  it('cuts the clock, never rounds it up', () => {
    expect(clock(noon, 'UTC')).toBe('10:15:42')
    expect(clock(noon, 'UTC', 1)).toBe('10:15:42.3')
    expect(clock(noon, 'UTC', 3)).toBe('10:15:42.312')
    expect(clock(Date.UTC(2026, 0, 1) + 999.9, 'UTC', 1)).toBe('00:00:00.9')
    expect(clock(noon, 'Asia/Shanghai')).toBe('18:15:42')
    expect(clock(Number.NaN, 'UTC')).toBe('-')
  })

  it('writes today as a clock, this week with its day, the rest with its date', () => {
    expect(when(noon - 3_600_000, noon, 'UTC', 'en')).toBe('09:15:42')
    expect(when(noon - 2 * 86_400_000, noon, 'UTC', 'en')).toBe('Fri 10:15')
    expect(when(noon - 2 * 86_400_000, noon, 'UTC', 'zh')).toBe('周五 10:15')
    expect(when(noon - 9 * 86_400_000, noon, 'UTC', 'en')).toBe('2026-11-13 10:15')
  })

  test.each([
    [0.4, `0.4${N}ms`, '0.4 毫秒'], [370, `370${N}ms`, '370 毫秒'], [3_700, `3.7${N}s`, '3.7 秒'], [20_000, `20${N}s`, '20 秒'], [89_000, `1${N}min 29${N}s`, '1 分 29 秒'],
    [7_500_000, `2${N}h 05${N}min`, '2 小时 05 分'], [260_000_000, `3${N}d`, '3 天'], [59_980, `1${N}min 00${N}s`, '1 分 00 秒'], [999.7, `1.0${N}s`, '1.0 秒'],
  ])('%d ms is said', (millis, en, zh) => {
    expect(duration(millis, 'en')).toBe(en)
    expect(duration(millis, 'zh')).toBe(zh)
  })

  test.each([[700, `+0.7${N}s`], [-33_300, `-33${N}s`], [0, '0'], [15_800, `+15.8${N}s`], [89_000, `+1${N}min 29${N}s`]])('%d ms from the onset', (millis, expected) => expect(offset(millis, 'en')).toBe(expected))

  it('gives machines the offset', () => {
    expect(withOffset(noon, 'UTC')).toBe('2026-11-22T10:15:42.312Z')
    expect(withOffset(noon, 'Asia/Kolkata')).toBe('2026-11-22T15:45:42.312+05:30')
    expect(zoneName('America/Argentina/Buenos_Aires')).toBe('Buenos Aires')
  })
})

describe('number', () => {
  test.each([[12_391, '12,391'], [0.05, '0.05'], [212, '212'], [9.876, '9.88'], [0, '0'], [-1_234.5, '-1,235'], [0.000123, '0.000123'], [-0.0000000001, '0'], [Number.NaN, '-']])('%d', (value, expected) => expect(number(value)).toBe(expected))
  test.each([
    [0.045, 'ratio', `4.5${N}%`, '4.5%'], [0.0006, 'ratio', `0.06${N}%`, '0.06%'], [0.212, 'seconds', `212${N}ms`, '212 毫秒'], [5_204, 'per_second', `5,204${N}/s`, '5,204/秒'],
    [1_240_000, 'bytes_per_second', `1.24${N}MB/s`, '1.24 MB/s'], [9_996, 'bytes', `10.0${N}kB`, '10.0 kB'], [99_960, 'bytes', `100${N}kB`, '100 kB'],
    [999_600, 'bytes', `1.00${N}MB`, '1.00 MB'], [999.6, 'bytes', `1.00${N}kB`, '1.00 kB'], [99.97, 'none', '100', '100'], [null, 'ratio', '-', '-'], [0, 'ratio', `0${N}%`, '0%'],
  ] as const)('%d as %s', (value, unit, en, zh) => {
    expect(measure(value, unit, 'en')).toBe(en)
    expect(measure(value, unit, 'zh')).toBe(zh)
  })
  test.each([[14_000, 'none', '14k'], [0.3, 'ratio', `30${N}%`], [0, 'none', '0'], [2_000_000_000, 'bytes', `2${N}GB`], [0.005, 'seconds', `5${N}ms`], [1_500_000, 'bytes', `1.5${N}MB`], [500_000, 'bytes', `500${N}kB`], [8_000, 'none', '8000']] as const)('tick %d', (value, unit, expected) => expect(tick(value, unit, 'en')).toBe(expected))
  it('writes all ticks of an axis alike', () => expect(tick(8_000, 'none', 'en', 14_000)).toBe('8k'))
  test.each([['/min', 'per_minute'], ['%', 'percent'], ['ms', 'millis'], ['carts', 'none']])('unit %s', (text, unit) => expect(unitNamed(text)).toBe(unit))
  test.each([
    ['rate(node_network_receive_bytes_total[5s])', 'bytes_per_second'], ['node_memory_MemFree_bytes', 'bytes'], ['rate(a_total{x="b/c"}[1s]) / rate(b_total[1s])', 'ratio'],
    ['sum(rate(orders_total[2s])) * 60', 'per_minute'], ['histogram_quantile(0.95, rate(x_seconds_bucket[1m]))', 'seconds'], ['avg(rate(node_cpu_seconds_total[5s]))', 'ratio'], ['up', 'none'],
    // Sum by count is what is measured; by a constant it has no unit that has a name.
    ['rate(a_seconds_sum[5m]) / rate(a_seconds_count[5m])', 'seconds'], ['sum by (job) (rate(a_bytes_sum[5m])) / on (job) sum by (job) (rate(a_bytes_count[5m]))', 'bytes'], ['rate(batch_size_sum[5m]) / rate(batch_size_count[5m])', 'none'],
    ['node_memory_MemFree_bytes / 1024 / 1024', 'none'], ['rate(x_total[5m]) / 60', 'none'], ['rate(x_bytes_total[5m]) * 8', 'none'], ['x_seconds * 1000', 'millis'],
    ['x_seconds_count', 'count'], ['x_seconds_bucket{le="1"}', 'count'], ['rate(x_seconds_count[5m])', 'per_second'], ['rate(x_seconds_bucket[5m])', 'per_second'], ['increase(x_seconds_count[1h])', 'count'],
    ['histogram_quantile(0.9, sum by (le) (rate(x_bytes_bucket[5m])))', 'bytes'], ['histogram_quantile(0.9, rate(x_size_bucket[5m]))', 'none'], ['histogram_quantile(0.99, rate(x_seconds[5m])) * 1000', 'millis'],
    ['100 * a_bytes / b_bytes', 'percent'], ['100 * (1 - avg(rate(node_cpu_seconds_total{mode="idle"}[5m])))', 'percent'], ['1 - node_memory_MemAvailable_bytes / node_memory_MemTotal_bytes', 'ratio'],
    ['(a_bytes - b_bytes) / a_bytes > 0.5', 'ratio'], ['a_seconds > bool 3', 'none'], ['sum(rate(a_total[5m]) > 0) by (x) or vector(0)', 'per_second'], ['node_load1 / 2', 'none'], ['a / b', 'none'], ['count(up == 0)', 'count'],
    ['time() - node_boot_time_seconds', 'seconds'], ['topk(3, x_bytes offset 5m)', 'bytes'], ['quantile_over_time(0.9, x_seconds[5m])', 'seconds'], ['rate({"my.bytes", a="b"}[5m])', 'bytes_per_second'], ['max(x_bytes @ end()) / 2', 'none'],
    ['x_percent / 100', 'ratio'], ['job:x_bytes:rate5m', 'bytes_per_second'], ['rate(a_bytes_total[5m]) / rate(b_total[5m])', 'none'], ['sum(', 'none'], ['', 'none'], ['a_bytes + on', 'none'], [')))', 'none'],
  ])('%s', (query, unit) => expect(unitOf(query)).toBe(unit))
})

describe('range', () => {
  it('moves in steps, from a fixed start too', () => {
    expect(resolveEach({ from: 'now-5m', to: 'now' }, 1_000_007, 10_000)).toEqual({ from: 700_000, to: 1_000_000 })
    expect(resolveEach({ from: '1970-01-01T00:10:00Z', to: 'now' }, 1_000_007, 10_000)).toEqual({ from: 600_000, to: 1_000_000 })
    expect(resolveEach({ from: '1970-01-01T00:16:42Z', to: 'now' }, 1_007_000, 10_000)).toEqual({ from: 1_002_000, to: 1_007_000 })
  })
  it('reads spans and ends', () => {
    expect(parseSpan('1h30m')).toBe(5_400_000)
    expect(parseSpan('5x')).toBeNaN()
    expect(resolve({ from: 'now-5m', to: 'now' }, 1_000_000_000)).toEqual({ from: 999_700_000, to: 1_000_000_000 })
    expect(resolve({ from: 'nonsense', to: 'now' }, 1_000_000_000)).toEqual({ from: 999_700_000, to: 1_000_000_000 })
    expect(resolve({ from: '2026-11-22T10:00:00Z', to: '2026-11-22T09:00:00Z' }, noon).to).toBe(noon)
  })
  it('steps half a range and becomes live again at the end', () => {
    const back = step({ from: 'now-10m', to: 'now' }, -1, noon)
    expect(resolve(back, noon).to).toBe(Math.floor(noon - 300_000))
    expect(step(back, 1, noon + 1)).toMatchObject({ to: expect.stringMatching(/now|Z$/) })
    expect(step(step(back, 1, noon), 1, noon)).toEqual({ from: 'now-10m', to: 'now' })
    expect(frozen('http://here/explore?q=a%2Bb&from=now-5m&to=now', { from: Date.UTC(2026, 0, 1), to: Date.UTC(2026, 0, 2) })).toBe('http://here/explore?q=a%2Bb&from=2026-01-01T00%3A00%3A00.000Z&to=2026-01-02T00%3A00%3A00.000Z')
  })
  it('asks for about 400 points', () => {
    expect(queryStep(0, 300_000)).toBe(1)
    expect(queryStep(0, 86_400_000)).toBe(300)
  })
})

describe('scale', () => {
  test.each([[0.3, 0.5], [1, 1], [14, 20], [3_001, 5_000]])('%d climbs to %d', (rough, expected) => expect(ladder(rough)).toBeCloseTo(expected))
  it('holds the data, and zero where it means something', () => {
    expect(scale(0.0006, 0.31, 4, true)).toEqual({ min: 0, max: 0.4, step: 0.1 })
    const cut = scale(7_700, 13_000, 4, false)
    expect(cut.min).toBe(6_000)
    expect(cut.max).toBe(14_000)
    expect(ticks(cut)).toEqual([6_000, 8_000, 10_000, 12_000, 14_000])
    expect(scale(Infinity, -Infinity, 4, true)).toEqual({ min: 0, max: 1, step: expect.any(Number) })
    expect(scale(0, 0, 4, true).max).toBe(1)
  })
  it('holds what is above zero between powers of ten', () => {
    expect(logScale(0.02, 340)).toEqual({ min: 0.01, max: 1000, step: 10 })
    expect(logTicks(logScale(0.02, 340), 3)).toEqual([0.01, 1, 100])
    expect(logScale(Infinity, -Infinity)).toEqual({ min: 0.001, max: 1, step: 10 })
    expect(logScale(5, 5)).toEqual({ min: 1, max: 10, step: 10 })
    expect(logScale(1e-30, 1).min).toBeCloseTo(1e-12)
  })
  it('puts time ticks on whole times of the zone', () => {
    const labels = timeTicks(Date.UTC(2026, 10, 22, 10, 15, 5), Date.UTC(2026, 10, 22, 10, 16, 20), 640, 'UTC').map((one) => one.label)
    expect(labels).toEqual(['10:15:10', '10:15:20', '10:15:30', '10:15:40', '10:15:50', '10:16:00', '10:16:10', '10:16:20'])
    expect(timeTicks(Date.UTC(2026, 10, 22, 1), Date.UTC(2026, 10, 22, 13), 400, 'Asia/Kolkata')[0]!.label).toBe('09:00')
    expect(timeTicks(5, 5, 100, 'UTC')).toEqual([])
  })
  it('finds lonely samples and counts gaps', () => {
    expect(isolated([1, null, 2, 3, null, 4])).toEqual([0, 5])
    expect(stats([null, 1, null, 3, null])).toEqual({ min: 1, mean: 2, max: 3, last: 3, gaps: 1, count: 2 })
    expect(stats([null])).toBeUndefined()
  })
})

describe('flags', () => {
  it('never lets names overlap', () => {
    const boxes = [{ x: 10, width: 90 }, { x: 60, width: 80 }, { x: 66, width: 80 }, { x: 400, width: 90 }, { x: 405, width: 60 }]
    const found = place(boxes, 420)
    const spans = found.flatMap((spot, index) => (spot ? [{ row: spot.row, from: spot.left, to: spot.left + boxes[index]!.width }] : []))
    for (const one of spans) for (const other of spans) if (one !== other && one.row === other.row) expect(one.to <= other.from || other.to <= one.from).toBe(true)
    expect(spans.every((span) => span.from >= 0 && span.to <= 420)).toBe(true)
    expect(spans.length).toBeGreaterThanOrEqual(4)
  })
  it('gathers a crowd', () => {
    const many = Array.from({ length: crowd + 2 }, (_, index) => ({ at: index * 10 }))
    expect(gather(many, 50)).toHaveLength(3)
    expect(gather(many.slice(0, crowd), 50)).toHaveLength(crowd)
  })
})

describe('lanes', () => {
  const line = (second: number, id: string, tone: string, args: Record<string, string> = {}) => ({ at: `2026-11-22T10:15:${String(second).padStart(2, '0')}Z`, text: { id, args }, tone, seq: second })
  const at = (second: number) => Date.UTC(2026, 10, 22, 10, 15, second)
  it('tells a release that was taken back', () => {
    const found = lanes([
      line(9, 'order.started', 'change'), line(35, 'order.batch_in', 'ok'), line(42, 'alert.bad', 'bad', { rule: 'R' }), line(43, 'order.halted', 'halted'),
      line(44, 'incident.told', 'told'), line(46, 'order.rolled_back', 'rolled_back'), line(51, 'alert.ok', 'ok', { rule: 'R' }),
    ])
    expect(found.servers.map((span) => [span.tone, span.from, span.to])).toEqual([['new', at(9), at(35)], ['newer', at(35), at(43)], ['bad', at(43), at(46)], ['undo', at(46), at(46)]])
    expect(found.alert).toMatchObject([{ from: at(42), to: at(51) }])
    expect(found.told).toMatchObject([{ seq: 44 }])
  })
  it('leaves open what has not ended', () => expect(lanes([line(1, 'alert.bad', 'bad', { rule: 'R' })]).alert[0]!.to).toBeUndefined())
})

describe('events', () => {
  it('takes a stream apart however it is cut', () => {
    const text = '\ufeff: hello\n\nevent: overview\nid: 7\ndata: {"a":1}\n\ndata: x\r\ndata: y\r\n\r\nevent: gone\n\n'
    for (let size = 1; size < 9; size += 1) {
      const parser = new EventParser()
      const found = []
      for (let from = 0; from < text.length; from += size) found.push(...parser.feed(text.slice(from, from + size)))
      expect(found).toEqual([{ event: 'overview', data: '{"a":1}', id: '7' }, { event: 'message', data: 'x\ny', id: '7' }])
    }
  })
  it('waits longer each time, never more than 12 s', () => {
    expect(backoff(0, 0)).toBe(500)
    expect(backoff(3, 0)).toBe(4_000)
    expect(backoff(50, 1)).toBe(12_000)
  })
})

describe('text', () => {
  it('fills places once, with plurals', () => {
    expect(fill('{n} {n|server|servers}', { n: 1 }, 'en')).toBe('1 server')
    expect(fill('{n} {n|server|servers}', { n: 4 }, 'en')).toBe('4 servers')
    expect(fill('{text}', { text: '{{7*7}} {n}' }, 'en')).toBe('{{7*7}} {n}')
    expect(fill('{a} and {missing}', { a: ['x', 'y'] }, 'zh')).toBe('x、y and missing')
  })
  it('finds what can be a link, and nothing else', () => {
    expect(pieces('#3727 opened by 20261122-101500-7K').map((piece) => piece.to)).toEqual(['/incidents/3727', undefined, '/orders/20261122-101500-7K'])
    expect(pieces('a#1 &#39; #ops').every((piece) => piece.kind === 'text')).toBe(true)
    expect(orderTail('20261122-101500-7K')).toBe('7K')
    expect(['Zhao Wei', 'lin', 'ana.sousa', ''].map(initials)).toEqual(['ZW', 'L', 'AS', ''])
  })
})

describe('keys', () => {
  const stroke = (key: string, more = {}) => ({ key, shift: false, ctrl: false, meta: false, alt: false, ...more })
  it('names strokes', () => {
    expect(keyName(stroke('K', { ctrl: true }))).toBe('Ctrl+k')
    expect(keyName(stroke('k', { meta: true }))).toBe('Ctrl+k')
    expect(keyName(stroke('H', { shift: true }))).toBe('Shift+h')
    expect(keyName(stroke('?', { shift: true }))).toBe('?')
  })
  it('joins g with its letter, within a while', () => {
    const chords = new Chords()
    expect(chords.press(stroke('g'), 0)).toBeUndefined()
    expect(chords.press(stroke('d'), 400)).toBe('g d')
    chords.press(stroke('g'), 1_000)
    expect(chords.press(stroke('d'), 3_000)).toBe('d')
  })
})

describe('promql', () => {
  it('colours without losing a letter', () => {
    const query = 'sum by (host) (rate(http_requests_total{service="shop", code=~"5.."}[1s])) / 2 # end'
    const found = tokens(query)
    expect(found.map((token) => token.text).join('')).toBe(query)
    expect(found.filter((token) => token.kind === 'function').map((token) => token.text)).toEqual(['sum', 'rate'])
    expect(found.filter((token) => token.kind === 'label').map((token) => token.text)).toEqual(['host', 'service', 'code'])
    expect(found.filter((token) => token.kind === 'metric').map((token) => token.text)).toEqual(['http_requests_total'])
  })
  test.each([
    ['rate(http_re', { kind: 'name', prefix: 'http_re' }],
    ['up{jo', { kind: 'label', prefix: 'jo', selector: 'up' }],
    ['up{job="no', { kind: 'value', prefix: 'no', label: 'job', selector: 'up' }],
    ['sum by (ho', { kind: 'label', prefix: 'ho' }],
    ['sum(up{a="{"}) by (ho', { kind: 'label', prefix: 'ho', selector: 'up' }],
    ['up{job="a", ', { kind: 'label', prefix: '', selector: 'up{job="a"}' }],
    ['up{job="a", host="sh', { kind: 'value', prefix: 'sh', label: 'host', selector: 'up{job="a"}' }],
    ['{"my.name", "a.b"="x', { kind: 'value', prefix: 'x', label: 'a.b', selector: '{"my.name"}' }],
    ['rate(x[5', { kind: 'span', prefix: '5' }],
    ['rate(x[1h:', { kind: 'span', prefix: '' }],
    ['x offset 1', { kind: 'span', prefix: '1' }],
  ])('%s can be completed', (source, expected) => expect(typing(source, source.length)).toMatchObject(expected))
  test.each(['rate(x[5m])', 'up{job="a"', 'up + 5'])('%s has nothing to complete', (source) => expect(typing(source, source.length)).toBeUndefined())
  test.each([
    ['sum by (host) (rate(x[5m]))', 3, 'sum'], ['sum by (host) (rate(x[5m]))', 17, 'rate'], ['sum by (host) (rate(x[5m]) / 2)', 29, 'sum'],
    ['sum by (host) (x)', 5, 'by'], ['histogram_quantile(0.9, ', 24, 'histogram_quantile'], ['1 + 2', 3, undefined], ['rate(x{a="b"}', 11, 'rate'],
  ])('%s at %d is about %s', (source, caret, expected) => expect(around(source, caret)).toBe(expected))
  it('finds the token under the pointer', () => {
    expect(tokenAt('sum(up)', 4)).toMatchObject({ text: 'up', kind: 'metric', from: 4 })
    expect(tokenAt('sum(up)', 9)).toBeUndefined()
  })
  test.each([['up', [], 'up'], ['my.name', [], '{"my.name"}'], ['up', [['a', 'x"y']], 'up{a="x\\"y"}'], ['my.name', [['b.c', '1']], '{"my.name", "b.c"="1"}']] as const)('%s %j is selected by %s', (name, matchers, expected) =>
    expect(selectorOf(name, matchers as unknown as [string, string][])).toBe(expected))
})

describe('place', () => {
  test.each([
    ['invalid parameter "query": 1:5: a name is wanted', undefined, 'sum((x))', '('],
    ['1:4: found duplicate series for the match group {} on the right side', undefined, 'up * on(none) up', '*'],
    ['unknown function', 'line 1, column 1', 'raet(x[5s])', 'raet'],
    ['1:99: the end', undefined, 'up', 'p'],
    ['2:3: oops', undefined, 'sum(\n  foo_bar', 'foo_bar'],
    ['bad', '4..6', 'sum(ab)', 'ab'],
  ])('%s', (message, place, source, expected) => {
    const span = errorSpan(source, { message, place })!
    expect(source.slice(span.from, span.to)).toBe(expected)
  })
  it('says nothing where no place is named', () => expect(errorSpan('up', { message: 'no disk' })).toBeUndefined())
  it('leaves the technical beginning out', () => expect(errorSaid('invalid parameter "query": 1:5: a name is wanted; like up')).toBe('a name is wanted; like up'))
})

describe('distance', () => {
  it('counts letters', () => {
    expect(distance('helth', 'health')).toBe(1)
    expect(distance('totl', 'total')).toBe(1)
    expect(distance('ab', 'ba')).toBe(1)
  })
  it('proposes only what may be meant', () => {
    expect(nearest('http_requests_totl', ['up', 'http_requests_total'])).toBe('http_requests_total')
    expect(nearest('zzz', ['up', 'http_requests_total'])).toBeUndefined()
  })
})

describe('words', () => {
  const places = (text: string): string[] => [...new Set([...text.matchAll(/\{([a-z_0-9]+)/gi)].map((match) => match[1]!))].sort()
  const all = Object.entries(words)
  test.each(all)('%s is whole in both languages', (_, [en, zh]) => {
    expect(en.trim()).not.toBe('')
    expect(zh.trim()).not.toBe('')
    expect(places(zh)).toEqual(places(en))
    expect(en).not.toMatch(/\w!|\bplease\b|successfully|oops/i)
    // Full-width punctuation beside Chinese letters, no blank before a percent sign.
    expect(zh).not.toMatch(/[\u4e00-\u9fff][,;:?!]|[\u4e00-\u9fff]\.(\s|$)|\d %/)
    // A Chinese sentence is shorter; three times the room means that something is wrong.
    expect(zh.length).toBeLessThanOrEqual(en.length * 2 + 12)
  })
  it('fills the right language', () => {
    expect(word('zh', 'brake.progress', { done: 2, total: 4 })).toBe('2/4 台服务器')
    expect(word('en', 'self.agents', { up: 1 })).toBe('1 agent')
  })
})
