// Puts figures into sentences. A template has `{name}`, and `{name|server|servers}` which takes the first word for exactly 1. Pure.
import { measure, number } from './number'
import { duration, type Language } from './time'

export type Arg = string | number | boolean | null | undefined
export type Args = Readonly<Record<string, unknown>>

/** Fills a template. A missing argument stays visible as its name, so that it is seen and mended. */
export function fill(template: string, args: Args | undefined, language: Language): string {
  return template.replace(/\{([a-z_0-9]+)(?::([a-z_]+))?(?:\|([^|}]*)\|([^|}]*))?\}/gi, (_, name: string, kind: string | undefined, one?: string, other?: string) => {
    const value = args?.[name]
    if (one !== undefined && other !== undefined) return Number(value) === 1 ? one : other
    return value === undefined ? name : say(value, kind, language)
  })
}

/** One argument as text: numbers grouped; lists joined as the language joins them. */
function say(value: unknown, kind: string | undefined, language: Language): string {
  if (typeof value === 'number') {
    if (kind === 'percent' || kind === 'ratio' || kind === 'per_second' || kind === 'per_minute' || kind === 'bytes') return measure(value, kind, language)
    if (kind === 'millis') return duration(value, language)
    if (kind === 'seconds') return duration(value * 1000, language)
    return number(value)
  }
  if (Array.isArray(value)) return value.map((item) => say(item, kind, language)).join(language === 'zh' ? '、' : ', ')
  if (value === null) return '-'
  return String(value)
}

export type Piece = { kind: 'text' | 'order' | 'incident'; text: string; to?: string }

/** Finds order numbers and incidents in a sentence, so that they can be links. */
export function pieces(sentence: string): Piece[] {
  const found: Piece[] = []
  let last = 0
  for (const match of sentence.matchAll(/\b(\d{8}-\d{6}-[0-9A-Z]{2,4})\b|(?<![\w#&])#(\d{1,9})\b/g)) {
    if (match.index > last) found.push({ kind: 'text', text: sentence.slice(last, match.index) })
    if (match[1]) found.push({ kind: 'order', text: match[1], to: `/orders/${match[1]}` })
    else found.push({ kind: 'incident', text: match[0], to: `/incidents/${match[2]}` })
    last = match.index + match[0].length
  }
  if (last < sentence.length) found.push({ kind: 'text', text: sentence.slice(last) })
  return found
}

/** `7K` of `20261122-101500-7K`: after its first mention an order goes by its tail. */
export const orderTail = (order: string): string => order.split('-').pop() ?? order

/** `ZW` for Zhao Wei, `L` for lin, first letters of at most two words. */
export function initials(name: string): string {
  const words = name.trim().split(/[\s._-]+/).filter(Boolean)
  const letters = words.length > 1 ? [words[0], words[words.length - 1]] : words
  return letters.map((word) => [...(word ?? '')][0]?.toUpperCase() ?? '').join('')
}
