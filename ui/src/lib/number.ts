// Numbers with their units, the same decimals for the same size. Pure.
import { duration, type Language } from './time'

/** `ratio` is 0..1 and shown in percent; `percent` is 0..100 already. */
export type Unit = 'none' | 'ratio' | 'percent' | 'seconds' | 'millis' | 'bytes' | 'bytes_per_second' | 'per_second' | 'per_minute' | 'count'
export const unitNames: readonly Unit[] = ['none', 'count', 'ratio', 'percent', 'seconds', 'millis', 'bytes', 'bytes_per_second', 'per_second', 'per_minute']

const narrow = '\u202f'

/** `12,391`, `0.05`, `212`: three figures that matter, thousands grouped, no exponent below 1e15. */
export function number(value: number, decimals?: number): string {
  if (!Number.isFinite(value)) return Number.isNaN(value) ? '-' : value > 0 ? '∞' : '-∞'
  const size = Math.abs(value)
  if (size < 1e-9 && decimals === undefined) return '0'
  if (size >= 1e15) return value.toExponential(2)
  const places = decimals ?? (size === 0 || size >= 99.95 || Number.isInteger(value) ? 0 : size >= 9.995 ? 1 : size >= 0.01 ? 2 : Math.min(8, 2 - Math.floor(Math.log10(size))))
  const text = size.toFixed(places)
  const [whole = '0', fraction] = text.split('.')
  const grouped = whole.replace(/\B(?=(\d{3})+$)/g, ',')
  const negative = value < 0 && Number(text) !== 0
  return `${negative ? '-' : ''}${grouped}${fraction ? `.${fraction}` : ''}`
}

export interface Quantity { value: string; unit: string }

/** Three figures in each unit, decided by what is shown: 9.996 is `10.0`, and 999.6 of one unit `1.00` of the next. */
function scaled(value: number, names: readonly string[]): Quantity {
  let size = Math.abs(value)
  let step = 0
  while (size >= 999.5 && step < names.length - 1) {
    size /= 1000
    step += 1
  }
  const places = step === 0 || size >= 99.95 ? 0 : size >= 9.995 ? 1 : 2
  return { value: number(Math.sign(value) * size, places), unit: names[step] ?? '' }
}

/** Figure and unit apart, for big numbers with a small unit beside. */
export function quantity(value: number | null | undefined, unit: Unit, language: Language): Quantity {
  if (value === null || value === undefined || Number.isNaN(value)) return { value: '-', unit: '' }
  switch (unit) {
    case 'ratio':
      return quantity(value * 100, 'percent', language)
    case 'percent':
      return { value: number(value, value === 0 || Math.abs(value) >= 100 ? 0 : Math.abs(value) >= 1 ? 1 : 2), unit: '%' }
    case 'seconds':
    case 'millis': {
      const millis = unit === 'seconds' ? value * 1000 : value
      // Below ten milliseconds a whole one says too little.
      if (Math.abs(millis) >= 0.95 && Math.abs(millis) < 9.95) return { value: millis.toFixed(1), unit: language === 'zh' ? '毫秒' : 'ms' }
      const text = duration(millis, language)
      const cut = text.search(/[\u202f ]/)
      return cut < 0 ? { value: text, unit: '' } : { value: (value < 0 ? '-' : '') + text.slice(0, cut), unit: text.slice(cut + 1) }
    }
    case 'bytes':
      return scaled(value, ['B', 'kB', 'MB', 'GB', 'TB', 'PB'])
    case 'bytes_per_second':
      return scaled(value, ['B/s', 'kB/s', 'MB/s', 'GB/s', 'TB/s'])
    case 'per_second':
      return { value: number(value), unit: language === 'zh' ? '/秒' : '/s' }
    case 'per_minute':
      return { value: number(value), unit: language === 'zh' ? '/分' : '/min' }
    default:
      return { value: number(value), unit: '' }
  }
}

/** Figure and unit as one text: `4.5 %` in English, `4.5%` in Chinese, `212 ms`, `5,204 /s`. */
export function measure(value: number | null | undefined, unit: Unit, language: Language): string {
  const parts = quantity(value, unit, language)
  if (!parts.unit) return parts.value
  const tight = language === 'zh' && (parts.unit === '%' || parts.unit.startsWith('/'))
  return `${parts.value}${tight ? '' : language === 'zh' ? ' ' : narrow}${parts.unit}`
}

/** A tick on an axis: shorter than a measure (`14k`, `30 %`, `1.5 GB`). `largest` of the axis decides about `k` and `M` for all of it. */
export function tick(value: number, unit: Unit, language: Language, largest = value): string {
  if (value === 0 && unit !== 'ratio' && unit !== 'percent') return '0'
  if (unit === 'ratio' || unit === 'percent') {
    const shown = unit === 'ratio' ? value * 100 : value
    return `${short(shown)}${language === 'zh' ? '' : narrow}%`
  }
  if (unit === 'seconds' || unit === 'millis') {
    const millis = unit === 'seconds' ? value * 1000 : value
    if (Math.abs(millis) < 1) return `${short(millis * 1000)}${narrow}µs`
    if (Math.abs(millis) < 1000) return `${short(millis)}${narrow}ms`
    if (Math.abs(millis) < 600_000) return `${short(millis / 1000)}${narrow}s`
    return duration(millis, language)
  }
  if (unit === 'bytes' || unit === 'bytes_per_second') {
    const parts = scaled(value, unit === 'bytes' ? ['B', 'kB', 'MB', 'GB', 'TB', 'PB'] : ['B/s', 'kB/s', 'MB/s', 'GB/s', 'TB/s'])
    return `${parts.value.includes('.') ? parts.value.replace(/\.?0+$/, '') : parts.value}${narrow}${parts.unit}`
  }
  const size = Math.max(Math.abs(value), Math.abs(largest))
  if (size >= 1e9) return `${short(value / 1e9)}G`
  if (size >= 1e6) return `${short(value / 1e6)}M`
  if (size >= 10_000) return `${short(value / 1e3)}k`
  return short(value)
}

function short(value: number): string {
  if (value === 0) return '0'
  const places = Math.max(0, Math.min(6, 3 - Math.ceil(Math.log10(Math.abs(value) + 1e-12))))
  return String(Number(value.toFixed(places)))
}

/** The unit that the server or a configuration names: `/min`, `%`, `ms`. `%` is 0..100 already; `ratio` is 0..1. */
export function unitNamed(text: string): Unit {
  const known: Record<string, Unit> = {
    '%': 'percent', percent: 'percent', ratio: 'ratio', share: 'ratio', s: 'seconds', seconds: 'seconds', ms: 'millis', B: 'bytes', bytes: 'bytes', 'B/s': 'bytes_per_second',
    '/s': 'per_second', '1/s': 'per_second', '/min': 'per_minute', '1/min': 'per_minute',
  }
  return known[text.trim()] ?? 'none'
}
