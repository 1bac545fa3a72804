// Explore without its page: the address, completion, brackets, stacks, the day before, tables as CSV, and what was asked.
import { describe, expect, it, test } from 'vitest'
import promql from '../data/promql.json'
import { parseAsked, withAsked } from './asked'
import { bracket, completed, fit, isWhole, offers, type Known } from './complete'
import { csv } from './csv'
import { everyOf, fittingStep, gridOf, timesOf, untilNext } from './grid'
import { askedFor, indexAt, ordered } from './held'
import { isShown, pressed, readState, seriesMark, stepsFor, writeState } from './explore'
import { metricOf, narrowed, readMatchers, selectorFor, writeMatchers } from './narrow'
import { compares, renamed, typing } from './promql'
import { seriesNames, tellingLabels } from './series'
import { moved, stacked } from './stack'
import { promqlHelp } from './words/promql'

describe('the address', () => {
  const all = {
    q: ['up', 'sum(x)'], view: 'table', rows: 'steps', step: '30s', changes: 'off', before: '1d', draw: 'stacked', scale: 'log', unit: 'bytes', refresh: '10s', hide: ['A.x', 'B.y'], only: 'A.z', sort: '-max',
  }
  it('holds all of the state, and gives it back', () => {
    const state = readState(all)
    expect(state).toMatchObject({ queries: ['up', 'sum(x)'], view: 'table', steps: true, step: 30, changes: false, before: 86_400_000, stacked: true, log: true, unit: 'bytes', refresh: 10_000, alone: 'A.z', sort: { by: 'max', descending: true } })
    expect(writeState(state)).toEqual(all)
  })
  it('leaves the usual out, and takes nonsense for the usual', () => {
    const usual = readState({})
    expect(Object.values(writeState(usual)).every((value) => value === undefined)).toBe(true)
    expect(readState({ view: 'pie', step: '-1', before: 'yesterday', scale: 'up', unit: 'parsec', refresh: 'now' })).toEqual(usual)
    expect(readState({ q: Array.from({ length: 20 }, (_, n) => `q${n}`) }).queries).toHaveLength(8)
  })
  it('says off, and steps below a second', () => {
    expect(readState({ refresh: 'off', step: '100ms' })).toMatchObject({ refresh: 0, step: 0.1 })
    expect(writeState({ refresh: 0, step: 0.1 })).toEqual({ refresh: 'off', step: '100ms' })
  })
  it('names a series by its labels, in whatever order they come', () => {
    expect(seriesMark('A', { a: '1', b: '2' })).toBe(seriesMark('A', { b: '2', a: '1' }))
    expect(seriesMark('A', { a: '1' })).not.toBe(seriesMark('A', { a: '2' }))
  })
  it('shows one alone, hides with Ctrl, and comes back', () => {
    const none = { hidden: [], alone: undefined }
    const alone = pressed(none, 'A.1', false)
    expect([isShown(alone, 'A', 'A.1'), isShown(alone, 'A', 'A.2'), isShown(alone, 'B', 'B.1')]).toEqual([true, false, true])
    expect(pressed(alone, 'A.1', false)).toEqual(none)
    const hidden = pressed(none, 'A.1', true)
    expect([isShown(hidden, 'A', 'A.1'), isShown(hidden, 'A', 'A.2')]).toEqual([false, true])
    expect(pressed(hidden, 'A.1', true)).toEqual(none)
  })
  it('offers the steps that a range can have', () => {
    expect(stepsFor(300_000)).toEqual([0.1, 0.2, 0.5, 1, 2, 5, 10, 15, 30, 60])
    expect(stepsFor(7 * 86_400_000)[0]).toBe(60)
  })
})

const known: Known = {
  metrics: ['http_requests_total', 'node_load1', 'up', 'my.name', 'rate_limit'], labels: ['__name__', 'host', 'my.label'], values: ['a', 'b"c', 'x.y'],
  words: promql,
}

describe('completion', () => {
  test.each([['http_requests_total', 'http', 1], ['http_requests_total', 'req', 2], ['http_requests_total', 'hrt', 4], ['http_requests_total', 'quest', 3], ['node_load1', 'hrt', undefined], ['up', 'up', 0]])('%s for %s', (name, typed, expected) => expect(fit(name, typed)).toBe(expected))
  const names = (source: string): string[] => offers(typing(source, source.length)!, known).map((offer) => offer.name)
  it('completes the call of a whole function', () => expect(names('rate')[0]).toBe('rate'))
  it('puts names of the data before words of the language', () => expect(names('rat').slice(0, 2)).toEqual(['rate_limit', 'rate']))
  it('offers labels without the name, values, and spans', () => {
    expect(names('up{')).toEqual(['host', 'my.label'])
    expect(names('up{host="')).toEqual(['a', 'b"c', 'x.y'])
    expect(names('rate(up[5')).toEqual(['5s', '5m'])
  })
  test.each([['up', true], ['sum(up', true], ['rate', false], ['node_load', false], ['up{host', true], ['my.name', false], ['up{my.label', false], ['up{"my.label', true], ['up{ho', false], ['up{host="a', true], ['rate(up[5m', true]])('%s is a whole name: %s', (source, expected) => expect(isWhole(typing(source, source.length)!, known)).toBe(expected))
  const after = (source: string, name: string): string => {
    const at = typing(source.replace('|', ''), source.indexOf('|'))!
    const text = source.replace('|', '')
    const { from, to, text: put, caret } = completed(text, at, offers(at, known).find((offer) => offer.name === name)!)
    const whole = text.slice(0, from) + put + text.slice(to)
    return `${whole.slice(0, caret)}|${whole.slice(caret)}`
  }
  test.each([
    ['sum(rat|)', 'rate', 'sum(rate(|))'], ['rat|(x)', 'rate', 'rate(|x)'], ['su|', 'sum', 'sum(|)'], ['sum b|', 'by', 'sum by (|)'], ['up{ho|', 'host', 'up{host="|"'], ['up{ho|}', 'host', 'up{host="|"}'],
    ['up{ho|="x"}', 'host', 'up{host|="x"}'], ['up{my|}', 'my.label', 'up{"my.label"="|"}'], ['up{host="b|"}', 'b"c', 'up{host="b\\"c"|}'], ['up{host="|', 'a', 'up{host="a"|'], ['my|', 'my.name', '{"my.name"}|'],
    ['sum by (h|) (up)', 'host', 'sum by (host|) (up)'], ['rate(up[5|])', '5m', 'rate(up[5m|])'],
    ['my.na|', 'my.name', '{"my.name"}|'], ['rate(my.name|[5m])', 'my.name', 'rate({"my.name"}|[5m])'], ['my.n|{host="a"}', 'my.name', '{"my.name", |host="a"}'], ['my.n|{}', 'my.name', '{"my.name"}|'],
    ['up{"my.la|"}', 'my.label', 'up{"my.label"="|"}'], ['up{"my.la|', 'my.label', 'up{"my.label"="|"'], ['up{"my|"="x"}', 'my.label', 'up{"my.label"|="x"}'], ['sum by (my.l|) (up)', 'my.label', 'sum by ("my.label"|) (up)'],
    ['up{host=~"x|"}', 'x.y', 'up{host=~"x\\\\.y"|}'], ['up{host="x|"}', 'x.y', 'up{host="x.y"|}'], ['up{path="}", ho|}', 'host', 'up{path="}", host="|"}'],
  ])('%s becomes %s', (source, name, expected) => expect(after(source, name)).toBe(expected))
})

it('of a pattern the last alternative is completed', () => {
  const source = 'up{host=~"a|x'
  const at = typing(source, source.length)!
  expect(at).toMatchObject({ kind: 'value', prefix: 'x', pattern: true })
  expect(offers(at, known).map((offer) => offer.text)).toEqual(['x\\\\.y'])
})

test.each([
  ['sum(nod) + nod{a="nod"}', 'nod', 'node', 'sum(node) + node{a="nod"}'], ['group(up)', 'up', 'ups', 'group(ups)'], ['a{x="1"}', 'a', 'my.name', '{"my.name", x="1"}'], ['rate(a[5m])', 'a', 'my.$&', 'rate({"my.$&"}[5m])'], ['a{}', 'a', 'b', 'b{}'],
])('%s with %s named %s', (query, metric, name, expected) => expect(renamed(query, metric, name)).toBe(expected))

test.each([
  ['sum|', '(', 'sum(|)'], ['sum(|)', ')', 'step'], ['up{a=|}', '"', 'up{a="|"}'], ['up{a="x|"}', '"', 'step'], ['up|x', '(', undefined], ['it|', '"', undefined], ['a|', ')', undefined],
])('bracket: %s and %s', (source, key, expected) => {
  const at = source.indexOf('|')
  const text = source.replace('|', '')
  const found = bracket(text, at, at, key)
  const shown = found === undefined ? undefined : 'step' in found ? 'step' : `${text.slice(0, at)}${found.text.slice(0, found.caret - at)}|${found.text.slice(found.caret - at)}${text.slice(at)}`
  expect(shown).toBe(expected)
})

it('every word of the language is explained in Chinese too', () => {
  expect(promql.filter((word) => !promqlHelp[word.word]).map((word) => word.word)).toEqual([])
  expect(Object.keys(promqlHelp).filter((name) => !promql.some((word) => word.word === name))).toEqual([])
  expect(promql.length).toBeGreaterThan(100)
})

describe('the instants of a range', () => {
  it('stand on whole steps, with the newest behind them where a step is long', () => {
    expect(timesOf(gridOf(100_000, 119_900, 5))).toEqual([100, 105, 110, 115])
    expect(timesOf(gridOf(0, 14_455_000, 7200))).toEqual([0, 7200, 14_400, 14_450])
    expect(timesOf(gridOf(0, 14_400_000, 7200))).toEqual([0, 7200, 14_400])
    expect(timesOf(gridOf(1_700_000_000_000, 1_700_000_000_300, 0.1)).map((at) => at.toFixed(1))).toEqual(['1700000000.0', '1700000000.1', '1700000000.2', '1700000000.3'])
  })
  test.each([[60, 300_000, 60], [3600, 300_000, 60], [900, 1_800_000, 900], [10, 100, 0.05]])('step %d of %d ms is %d', (step, span, expected) => expect(fittingStep(step, span)).toBe(expected))
  test.each([[1, undefined, 1000], [5, undefined, 5000], [7200, undefined, 10_000], [0.1, undefined, 1000], [300, 60_000, 60_000], [30, 5000, 10_000]])('of step %d are read again after %s: %d', (step, least, expected) => expect(everyOf(step, least)).toBe(expected))
  it('are read just behind a step, not a step after the page was opened', () => {
    expect(untilNext(109_900, 109_900, 10_000)).toBe(250)
    expect(untilNext(105_000, 106_000, 10_000)).toBe(4150)
    expect(untilNext(110_150, 110_150, 10_000)).toBe(10_000)
    // One that was missed comes at once.
    expect(untilNext(95_000, 125_000, 10_000)).toBe(250)
  })
})

test.each([
  [[{ __name__: 'a', host: 'x' }, { __name__: 'b', host: 'x' }], ['a', 'b']], [[{ host: 'x', __name__: 'a' }, { host: 'y', __name__: 'b' }], ['a x', 'b y']], [[{ __name__: 'a', host: 'x' }, { __name__: 'a', host: 'y' }], ['x', 'y']],
  [[{ __name__: 'a', host: 'x', job: 'j' }], ['x j']], [[{ __name__: 'a' }], ['a']], [[{ a: 'x' }, { b: 'x' }], ['a=x', 'b=x']], [[{}], ['']], [[{ __name__: 'a' }, {}], ['a', '']],
])('names of %j', (labels, names) => {
  expect(seriesNames(labels as never)).toEqual(names)
  expect(tellingLabels([{ b: '1', __name__: 'x' }, { b: '2', __name__: 'y' }])).toEqual(['__name__', 'b'])
})

test.each([['up == 0', true], ['up', false], ['up{a!="b", c=~"x>y"}', false], ['sum(a > bool 3)', true], ['a unless b', true], ['a or b', false], ['a # > 3', false]])('%s compares: %s', (query, expected) => expect(compares(query)).toBe(expected))

describe('a graph under the hand', () => {
  const shown = { name: 'up', id: 'up now-5m', series: [{ name: 'a' }, { name: 'b' }] }
  it('goes on standing when only values and their order change', () => expect(askedFor({ ...shown, series: [{ name: 'b' }, { name: 'a', hidden: false }] })).toBe(askedFor(shown)))
  test.each([{ unit: 'bytes' }, { stacked: true }, { log: true }, { id: 'sum(up) now-5m' }, { beforeName: 'a day before' }, { series: [{ name: 'a' }, { name: 'b', hidden: true }] }, { series: [{ name: 'a', before: [] }, { name: 'b' }] }])('shows %j at once', (part) =>
    expect(askedFor({ ...shown, ...part })).not.toBe(askedFor(shown)))
  test.each([[10, 0], [19, 1], [14, 0], [30, 2], [36, undefined], [4, undefined]])('of time %d has place %s', (at, index) => expect(indexAt([10, 20, 30], at, 5)).toBe(index))
  it('of no times has none', () => expect(indexAt([], 1, 5)).toBeUndefined())
})

describe('rows under the hand', () => {
  const made = ordered({ by: '', at: 0, rows: [] }, ['a', 'b', 'c'], 'max', false, 1000)
  it('stay where they are, new ones come last', () => {
    expect(ordered(made, ['c', 'a', 'b'], 'max', true, 60_000)).toBe(made)
    expect(ordered(made, ['d', 'c', 'a'], 'max', true, 60_000).rows).toEqual(['a', 'c', 'd'])
  })
  it('are sorted at once by what is pressed', () => expect(ordered(made, ['c', 'b', 'a'], 'min', true, 1001).rows).toEqual(['c', 'b', 'a']))
  it('are sorted by live data every ten seconds, and when rows come or go', () => {
    expect(ordered(made, ['c', 'b', 'a'], 'max', false, 10_999)).toBe(made)
    expect(ordered(made, ['c', 'b', 'a'], 'max', false, 11_000).rows).toEqual(['c', 'b', 'a'])
    expect(ordered(made, ['d', 'c', 'b', 'a'], 'max', false, 1001).rows).toEqual(['d', 'c', 'b', 'a'])
  })
})

describe('columns', () => {
  it('stack over gaps, without the hidden', () =>
    expect(stacked([{ values: [1, 2, null] }, { values: [9, 9, 9], hidden: true }, { values: [1, null, 3] }])).toEqual([[1, 2, null], [9, 9, 9], [2, null, 3]]))
  it('of the day before stand on the same times', () => {
    expect(moved([86_500, 86_510, 86_520], [100, 110], [7, 8], 86_400)).toEqual([7, 8, null])
    expect(moved([86_400.1, 86_400.2], [0.1, 0.2], [1, null], 86_400)).toEqual([1, null])
    // The newest instant of the two may have been read ten seconds apart.
    expect(moved([7200, 14_400, 15_010], [0, 7200, 7800], [1, 2, 3], 7200, 10)).toEqual([1, 2, 3])
    expect(moved([7200, 14_400, 15_010], [0, 7200], [1, 2], 7200, 10)).toEqual([1, 2, null])
  })
})

it('a table becomes CSV that a spreadsheet takes for text', () => {
  expect(csv(['host', 'value'], [['a,b', 1.5], ['say "x"', null], ['=1+1', -2], ['-5', '+Inf']])).toBe('host,value\r\n"a,b",1.5\r\n"say ""x""",\r\n\'=1+1,-2\r\n-5,+Inf\r\n')
})

describe('what was asked', () => {
  it('stands once, newest first, fifty at most', () => {
    const before = withAsked([], ['a', 'b'], 1)
    expect(withAsked(before, ['b', 'c'], 2).map((one) => one.query)).toEqual(['b', 'c', 'a'])
    expect(withAsked(before, Array.from({ length: 80 }, (_, n) => `q${n}`), 2)).toHaveLength(50)
  })
  test.each([null, 'x', '{}', '[1, null, {"query": 5}]'])('%s is nothing', (text) => expect(parseAsked(text)).toEqual([]))
})

describe('what the count is narrowed to', () => {
  it('stands in the address, whatever the value holds', () => {
    const matchers = readMatchers(['__name__=up', 'path=/a?b=c'])
    expect(matchers).toEqual([{ name: '__name__', value: 'up' }, { name: 'path', value: '/a?b=c' }])
    expect(writeMatchers(matchers)).toEqual(['__name__=up', 'path=/a?b=c'])
    expect(readMatchers(['=x', 'none'])).toEqual([])
    expect(writeMatchers([])).toBeUndefined()
  })
  test.each([
    [[], undefined], [['__name__=up'], 'up'], [['job=a'], '{job="a"}'], [['__name__=up', 'job=a"b'], 'up{job="a\\"b"}'], [['__name__=my.name', 'a.b=c'], '{"my.name", "a.b"="c"}'],
  ])('%j is %s', (texts, expected) => expect(selectorFor(readMatchers(texts))).toBe(expected))
  it('takes one value of each label', () => {
    const one = narrowed(readMatchers('__name__=up'), { name: 'job', value: 'a' })
    expect(narrowed(one, { name: 'job', value: 'b' }).map(({ value }) => value)).toEqual(['up', 'b'])
    expect(metricOf(one)).toBe('up')
  })
})
