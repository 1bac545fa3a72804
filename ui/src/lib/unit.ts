// The unit of a query: what names of metrics say about theirs, carried through functions and arithmetic. Pure.
import type { Unit } from './number'
import { tokens } from './promql'

/** `some`: no unit is known; `sum`: all of an unknown amount; `cpu`: seconds of processors, whose rate is a share. */
type Base = 'some' | 'sum' | 'count' | 'ratio' | 'percent' | 'seconds' | 'cpu' | 'bytes'
/** A quantity: `factor` is what it was multiplied by, `rate` 1 for one per second. A constant has its value alone. */
type Quantity = { constant: number } | { base: Base; rate: number; factor: number }

const plain: Quantity = { base: 'some', rate: 0, factor: 1 }
const unknown: Quantity = { base: 'some', rate: 0, factor: Number.NaN }

/** The unit of what a query gives; `none` where it has none or is not known. */
export function unitOf(query: string): Unit {
  const found = new Reader(words(query)).binary(0)
  if ('constant' in found) return 'none'
  const { base, rate } = found
  // Divided by 1024 and multiplied again is what it was.
  const factor = Number(found.factor.toPrecision(9))
  if (rate === 0) {
    if (base === 'ratio') return factor === 1 ? 'ratio' : factor === 100 ? 'percent' : 'none'
    if (base === 'percent') return factor === 1 ? 'percent' : factor === 0.01 ? 'ratio' : 'none'
    if (base === 'seconds' || base === 'cpu') return factor === 1 ? 'seconds' : factor === 1000 ? 'millis' : 'none'
    return factor !== 1 ? 'none' : base === 'bytes' ? 'bytes' : base === 'count' ? 'count' : 'none'
  }
  if (rate !== 1) return 'none'
  if (base === 'cpu') return factor === 1 ? 'ratio' : factor === 100 ? 'percent' : 'none'
  if (base === 'bytes') return factor === 1 ? 'bytes_per_second' : 'none'
  return factor === 1 ? 'per_second' : factor === 60 ? 'per_minute' : 'none'
}

/** What the name of a metric says: `_bytes`, `_seconds_total`; counts and buckets of a histogram are counts whatever it measures. */
function named(name: string): Quantity {
  const parts = name.split(':')
  const rate = parts.length > 1 && /^i?rate/.test(parts.at(-1)!) ? 1 : 0
  const of = (base: Base): Quantity => ({ base, rate, factor: 1 })
  for (const part of parts) {
    if (/[_.](bucket|count)$/.test(part)) return of('count')
    const sum = /[_.]sum$/.test(part)
    const family = part.replace(/[_.](sum|total)$/, '').replace(/[_.]total$/, '')
    if (/[_.]ratio$/.test(family)) return of('ratio')
    if (/[_.]percent$/.test(family)) return of('percent')
    if (/[_.]bytes$/.test(family)) return of('bytes')
    if (/cpu(_\w+)?_seconds$/.test(family)) return of('cpu')
    if (/[_.]seconds$/.test(family)) return of('seconds')
    if (sum) return of('sum')
  }
  return of('some')
}

const constantOf = (one: Quantity): number | undefined => ('constant' in one ? one.constant : undefined)
const kin = (base: Base): Base => (base === 'cpu' ? 'seconds' : base)

function times(one: Quantity, other: Quantity): Quantity {
  if ('constant' in one) return 'constant' in other ? { constant: one.constant * other.constant } : { ...other, factor: other.factor * one.constant }
  if ('constant' in other) return { ...one, factor: one.factor * other.constant }
  // A share of something is something; so much per second for so many seconds is so much.
  if (one.base === 'ratio' && one.rate === 0) return { ...other, factor: other.factor * one.factor }
  if (other.base === 'ratio' && other.rate === 0) return { ...one, factor: one.factor * other.factor }
  return unknown
}

function over(one: Quantity, other: Quantity): Quantity {
  if ('constant' in other) return 'constant' in one ? { constant: one.constant / other.constant } : { ...one, factor: one.factor / other.constant }
  if ('constant' in one) return unknown
  const rate = one.rate - other.rate
  const factor = one.factor / other.factor
  const counts = (base: Base): boolean => base === 'count' || base === 'some'
  // Of two that are only known to be counted per second one is a share of the other; of two without any unit nothing is known.
  if (rate === 0 && (kin(one.base) === kin(other.base) || (counts(one.base) && counts(other.base)))) return one.base === 'some' && one.rate === 0 ? unknown : { base: 'ratio', rate: 0, factor }
  if (other.base === 'count' && one.base === 'sum') return rate === 0 ? { ...plain, factor } : unknown
  if (other.base === 'count' && !counts(one.base) && rate >= 0) return { base: one.base, rate, factor }
  if (kin(other.base) === 'seconds' && rate === 0 && one.rate === 0 && !counts(one.base)) return { base: one.base, rate: 1, factor }
  return unknown
}

/** Sums have one unit; a constant takes that of the other side. */
function plus(one: Quantity, other: Quantity): Quantity {
  if ('constant' in one) return other
  if ('constant' in other) return one
  return kin(one.base) === kin(other.base) && one.rate === other.rate && one.factor === other.factor ? one : unknown
}

const levels: readonly (readonly string[])[] = [['or'], ['and', 'unless'], ['==', '!=', '<=', '<', '>=', '>'], ['+', '-'], ['*', '/', '%', 'atan2'], ['^']]
const noUnit = new Set(['ln', 'log2', 'log10', 'exp', 'sqrt', 'sgn', 'stdvar', 'stdvar_over_time', 'absent', 'absent_over_time', 'present_over_time', 'group', 'histogram_stdvar'])
const counting = new Set(['count', 'count_over_time', 'count_values', 'changes', 'resets', 'histogram_count'])
const within = new Set(['histogram_quantile', 'histogram_avg', 'histogram_stddev'])

/** Reads the words of a query from left to right. What it can't read has no unit: the server says what is wrong. */
class Reader {
  private at = 0
  constructor(private readonly all: readonly string[]) {}

  binary(level: number): Quantity {
    const here = levels[level]
    if (!here) return this.unary()
    let found = this.binary(level + 1)
    while (here.includes((this.all[this.at] ?? '').toLowerCase())) {
      const sign = this.all[this.at]!.toLowerCase()
      this.at += 1
      const bool = this.all[this.at]?.toLowerCase() === 'bool'
      if (bool) this.at += 1
      const right = this.binary(level + 1)
      if (level < 3) found = bool ? plain : constantOf(found) === undefined ? found : right
      else found = sign === '*' ? times(found, right) : sign === '/' ? over(found, right) : sign === '+' || sign === '-' ? plus(found, right) : sign === '%' ? found : unknown
    }
    return found
  }

  private unary(): Quantity {
    const word = this.all[this.at] ?? ''
    this.at += 1
    if (word === '-' || word === '+') {
      const found = this.unary()
      return 'constant' in found && word === '-' ? { constant: -found.constant } : found
    }
    if (word === '(') return this.list()[0] ?? plain
    if (/^\d|^\.\d|^inf$|^nan$/i.test(word)) return { constant: Number(word) }
    if (!/^[a-z_:"]/i.test(word)) return unknown
    if (this.all[this.at] !== '(') return named(word.replace(/^"|"$/g, ''))
    const from = this.at
    this.at += 1
    return called(word.toLowerCase(), this.list(), this.all.slice(from, this.at))
  }

  /** What stands between brackets, up to the closing one. */
  private list(): Quantity[] {
    const found: Quantity[] = []
    while (this.at < this.all.length && this.all[this.at] !== ')') {
      const before = this.at
      found.push(this.binary(0))
      if (this.all[this.at] === ',' || this.at === before) this.at += 1
      else if (this.all[this.at] !== ')') break
    }
    this.at += 1
    return found
  }
}

function called(name: string, given: readonly Quantity[], inside: readonly string[]): Quantity {
  if (name === 'time' || name === 'timestamp') return { base: 'seconds', rate: 0, factor: 1 }
  if (noUnit.has(name) || /^(day|days|hour|minute|month|year)(_|$)/.test(name)) return plain
  if (counting.has(name)) return { base: 'count', rate: 0, factor: 1 }
  if (name === 'histogram_fraction') return { base: 'ratio', rate: 0, factor: 1 }
  if (within.has(name)) {
    // Of what is measured, not of how often: the family behind the buckets.
    const family = inside.find((word, index) => /^[a-z_:"]/i.test(word) && inside[index + 1] !== '(')?.replace(/^"|"$/g, '').replace(/[_.]bucket$/, '')
    const found = family === undefined ? plain : named(family)
    return 'constant' in found ? found : { ...found, rate: 0 }
  }
  const of = given.find((one) => !('constant' in one)) ?? given[0] ?? plain
  if ('constant' in of || !/^(rate|irate|deriv)$/.test(name)) return of
  return { ...of, rate: of.rate + 1 }
}

/** Names, numbers and signs: without labels, ranges, offsets, and the lists behind `by` and `on`. A name in quotes stands for itself. */
function words(query: string): string[] {
  const found: string[] = []
  const all = tokens(query).map((token) => token.text).filter((text) => text.trim() !== '' && !text.startsWith('#'))
  for (let at = 0; at < all.length; at += 1) {
    const text = all[at]!
    const low = text.toLowerCase()
    if (text === '{') {
      const end = all.indexOf('}', at)
      const inside = all.slice(at + 1, end < 0 ? undefined : end)
      const own = inside.find((part, index) => /^["'`]/.test(part) && (inside[index + 1] === undefined || inside[index + 1] === ',') && (index === 0 || inside[index - 1] === ','))
      const before = found.at(-1)
      if (before === undefined || !/^[a-z_:]/i.test(before)) found.push(own === undefined ? '_' : `"${own.slice(1, -1)}"`)
      at = end < 0 ? all.length : end
    } else if (/^(by|without|on|ignoring|group_left|group_right)$/.test(low)) {
      if (all[at + 1] === '(') at = Math.max(at, all.indexOf(')', at))
    } else if (low === 'offset' || text === '@') {
      at += all[at + 1] === '-' ? 2 : 1
      if (all[at + 1] === '(') at += 2
    } else if (text.startsWith('[')) {
      // A range says how much is looked at, not what it is.
    } else if (/^[=!<>]$/.test(text) && all[at + 1] === '=') {
      found.push(`${text}=`)
      at += 1
    } else found.push(/^['"`]/.test(text) ? '_' : text)
  }
  return found
}
