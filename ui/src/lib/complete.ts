// What an editor of PromQL offers at the caret: names of the data first, then the words of the language, best fit first. Pure.
import { labelText, metricBefore, metricText, openBrace, type Typing } from './promql'

/** A word of the language, as the query crate's table has it. */
export interface Word { word: string; kind: string; signature: string; help: string; experimental: boolean }

export interface Offer {
  /** What the list shows. */
  name: string
  kind: 'metric' | 'function' | 'aggregation' | 'keyword' | 'label' | 'value' | 'span'
  /** What is put in the place of what was typed. */
  text: string
}

export interface Known { metrics: readonly string[]; labels: readonly string[]; values: readonly string[]; words: readonly Word[] }

const spans = ['1s', '5s', '10s', '30s', '1m', '5m', '15m', '1h', '6h', '1d', '7d']
const offeredMost = 40

/** How well a name fits what was typed: 0 is best, undefined is not at all. */
export function fit(name: string, typed: string): number | undefined {
  if (typed === '') return 1
  const [low, wanted] = [name.toLowerCase(), typed.toLowerCase()]
  if (name === typed) return 0
  if (low.startsWith(wanted)) return 1
  if (low.split(/[_:.]/).some((part) => part.startsWith(wanted))) return 2
  if (wanted.length < 2) return undefined
  if (low.includes(wanted)) return 3
  // `hrt` finds `http_requests_total`: first letters in order.
  let at = 0
  for (const part of low.split(/[_:.]/)) if (part[0] === wanted[at]) at += 1
  return at === wanted.length ? 4 : undefined
}

export function offers(at: Typing, known: Known): Offer[] {
  const pool: Offer[] =
    at.kind === 'value' ? known.values.map((value) => ({ name: value, kind: 'value', text: escaped(at.pattern ? literal(value) : value) }))
    : at.kind === 'label' ? known.labels.filter((name) => name !== '__name__').map((name) => ({ name, kind: 'label', text: labelText(name) }))
    : at.kind === 'span' ? spans.map((span) => ({ name: span, kind: 'span', text: span }))
    : [
        ...known.metrics.map((name): Offer => ({ name, kind: 'metric', text: metricText(name) })),
        ...known.words.map((word): Offer => ({ name: word.word, kind: word.kind as Offer['kind'], text: word.word })),
      ]
  // A span is completed by its first figure only: `5` to `5m`.
  const found = pool.flatMap((offer, index) => {
    const by = at.kind === 'span' && at.prefix !== '' && !offer.name.startsWith(at.prefix) ? undefined : fit(offer.name, at.prefix)
    return by === undefined || (offer.name === at.prefix && offer.text === at.prefix && !isCalled(offer.kind)) ? [] : [{ offer, by, index }]
  })
  found.sort((a, b) => a.by - b.by || a.index - b.index)
  return found.slice(0, offeredMost).map((one) => one.offer)
}

/** Its name alone is no query: parentheses follow. */
const isCalled = (kind: string): boolean => kind === 'function' || kind === 'aggregation'

/** What was typed is a name already, as a query writes it: there is nothing to complete unless another one is chosen. */
export function isWhole(at: Typing, known: Known): boolean {
  if (at.kind === 'value') return known.values.includes(at.prefix)
  if (at.kind === 'label') return known.labels.includes(at.prefix) && (at.quoted === true || labelText(at.prefix) === at.prefix)
  return at.kind === 'span' ? spans.includes(at.prefix) : (known.metrics.includes(at.prefix) && metricText(at.prefix) === at.prefix) || known.words.some((word) => word.word === at.prefix && !isCalled(word.kind))
}

const escaped = (value: string): string => JSON.stringify(value).slice(1, -1)
/** A pattern that fits this text alone. */
const literal = (value: string): string => value.replace(/[\\.+*?()|[\]{}^$]/g, '\\$&')

/** The text after a completion, and where the caret stands then. */
export function completed(source: string, at: Typing, offer: Offer): { from: number; to: number; text: string; caret: number } {
  const to = at.from + at.prefix.length
  const rest = source.slice(to)
  const close = (text: string, tail: string): { from: number; to: number; text: string; caret: number } => ({ from: at.from, to, text: text + tail, caret: at.from + text.length })
  if (isCalled(offer.kind)) return rest.startsWith('(') ? { ...close(offer.text, ''), caret: at.from + offer.text.length + 1 } : { ...close(`${offer.text}(`, ')') }
  if (offer.kind === 'value') return rest.startsWith('"') ? { ...close(offer.text, ''), caret: at.from + offer.text.length + 1 } : close(`${offer.text}"`, '')
  if (offer.kind === 'metric') {
    const { text, takes } = metricBefore(offer.name, rest)
    return { ...close(text, ''), to: to + takes }
  }
  if (offer.kind === 'label' && at.quoted) {
    const name = escaped(offer.name)
    const taken = rest.startsWith('"') ? 1 : 0
    if (/^\s*(=|!)/.test(rest.slice(taken))) return { ...close(`${name}"`, ''), to: to + taken }
    return { ...close(`${name}"="`, '"'), to: to + taken }
  }
  if (offer.kind === 'label' && insideBraces(source, at.from) && !/^\s*(=|!)/.test(rest)) return close(`${offer.text}="`, rest.startsWith('"') ? '' : '"')
  if (offer.kind === 'keyword' && ['by', 'without', 'on', 'ignoring', 'group_left', 'group_right'].includes(offer.name)) return close(`${offer.text} (`, ')')
  if (offer.kind === 'keyword') return close(`${offer.text} `, '')
  return close(offer.text, '')
}

const insideBraces = (source: string, at: number): boolean => openBrace(source.slice(0, at)) >= 0

const pairs: Readonly<Record<string, string>> = { '(': ')', '[': ']', '{': '}', '"': '"' }

/** What a key does to brackets: closes the one that is opened, steps over the one that is there. Undefined: as typed. */
export function bracket(source: string, from: number, to: number, key: string): { text: string; caret: number } | { step: 1 } | undefined {
  const next = source[to] ?? ''
  if (from === to && next === key && (key === ')' || key === ']' || key === '}' || key === '"')) return { step: 1 }
  const end = pairs[key]
  if (end === undefined) return undefined
  if (from !== to) return { text: key + source.slice(from, to) + end, caret: to + 2 }
  // Before a word the bracket is for that word; a quote behind one ends it.
  if (next !== '' && !/[\s)\]},]/.test(next)) return undefined
  if (key === '"' && /\w/.test(source[from - 1] ?? '')) return undefined
  return { text: key + end, caret: from + 1 }
}
