// Times and durations as the page writes them (one zone per page; absolute first). Pure: now and zone are given.

export type Language = 'en' | 'zh'
/** Milliseconds since 1970 in UTC, with a fraction for microseconds. */
export type Millis = number

const narrow = '\u202f'
const day = 86_400_000

/** RFC 3339 with up to nine digits after the point to milliseconds with a fraction; NaN when it is none. */
export function parseTime(text: string): Millis {
  const match = /^(\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d)(?:\.(\d{1,9}))?(Z|[+-]\d\d:?\d\d)$/i.exec(text.trim())
  if (!match) return Number.NaN
  const whole = Date.parse(`${match[1]!.replace(' ', 'T')}${match[3]!.toUpperCase()}`)
  return whole + (match[2] ? Number(`0.${match[2]}`) * 1000 : 0)
}

interface Fields { year: number; month: number; day: number; weekday: number; hour: number; minute: number; second: number }

const formatters = new Map<string, Intl.DateTimeFormat>()

function formatter(zone: string): Intl.DateTimeFormat {
  let made = formatters.get(zone)
  if (!made) {
    made = new Intl.DateTimeFormat('en-US', {
      timeZone: zone, hourCycle: 'h23', year: 'numeric', month: 'numeric', day: 'numeric', hour: 'numeric', minute: 'numeric', second: 'numeric',
    })
    formatters.set(zone, made)
  }
  return made
}

function fields(at: Millis, zone: string): Fields {
  if (zone === 'UTC') {
    const date = new Date(Math.floor(at))
    return {
      year: date.getUTCFullYear(), month: date.getUTCMonth() + 1, day: date.getUTCDate(), weekday: date.getUTCDay(),
      hour: date.getUTCHours(), minute: date.getUTCMinutes(), second: date.getUTCSeconds(),
    }
  }
  const found: Record<string, number> = {}
  for (const part of formatter(zone).formatToParts(Math.floor(at))) if (part.type !== 'literal') found[part.type] = Number(part.value)
  const { year = 0, month = 1, day: date = 1, hour = 0, minute = 0, second = 0 } = found
  return { year, month, day: date, hour, minute, second, weekday: new Date(Date.UTC(year, month - 1, date)).getUTCDay() }
}

const two = (value: number): string => String(value).padStart(2, '0')
const iso = (at: Fields): string => `${at.year}-${two(at.month)}-${two(at.day)}`

/** `10:15:42`, or `10:15:42.3` with digits; cut, not rounded, so that no time lies in the future. */
export function clock(at: Millis, zone: string, digits = 0): string {
  if (!Number.isFinite(at)) return '-'
  const { hour, minute, second } = fields(at, zone)
  const base = `${two(hour)}:${two(minute)}:${two(second)}`
  if (digits === 0) return base
  const fraction = ((at % 1000) + 1000) % 1000
  return `${base}.${String(Math.floor(fraction * 1000)).padStart(6, '0').slice(0, digits)}`
}

/** `2026-11-22`. */
export function date(at: Millis, zone: string): string {
  return iso(fields(at, zone))
}

const weekdays = {
  en: ['Sun', 'Mon', 'Tue', 'Wed', 'Thu', 'Fri', 'Sat'],
  zh: ['周日', '周一', '周二', '周三', '周四', '周五', '周六'],
}

/** As lists write it: today `10:15:42`, within six days `Fri 16:20`, else `2026-11-20 16:20`. */
export function when(at: Millis, now: Millis, zone: string, language: Language, digits = 0): string {
  if (!Number.isFinite(at)) return '-'
  const then = fields(at, zone)
  const today = fields(now, zone)
  if (iso(then) === iso(today)) return clock(at, zone, digits)
  const minute = `${two(then.hour)}:${two(then.minute)}`
  if (Math.abs(now - at) < 6 * day) return `${weekdays[language][then.weekday]} ${minute}`
  return `${iso(then)} ${minute}`
}

/** `2026-11-22 10:15:42.312 UTC`: for the title of a time. */
export function full(at: Millis, zone: string): string {
  if (!Number.isFinite(at)) return '-'
  return `${date(at, zone)} ${clock(at, zone, 3)} ${zone}`
}

const units = {
  en: { ms: 'ms', s: 's', min: 'min', h: 'h', d: 'd', join: narrow },
  zh: { ms: '毫秒', s: '秒', min: '分', h: '小时', d: '天', join: ' ' },
}

/** `370 ms`, `3.7 s`, `1 min 29 s`, `2 h 05 min`, `3 d`. */
export function duration(millis: Millis, language: Language): string {
  if (!Number.isFinite(millis)) return '-'
  const u = units[language]
  const span = Math.abs(millis)
  if (span === 0) return `0${u.join}${u.s}`
  if (span < 0.95) return `${Math.round(span * 100) / 100}${u.join}${u.ms}`
  if (span < 999.5) return `${Math.round(span)}${u.join}${u.ms}`
  if (span < 9_950) return `${(span / 1000).toFixed(1)}${u.join}${u.s}`
  if (span < 59_950) return `${stripZero((span / 1000).toFixed(1))}${u.join}${u.s}`
  const seconds = Math.round(span / 1000)
  if (seconds < 3_600) return `${Math.floor(seconds / 60)}${u.join}${u.min} ${two(seconds % 60)}${u.join}${u.s}`
  if (seconds < 86_400) return `${Math.floor(seconds / 3_600)}${u.join}${u.h} ${two(Math.floor((seconds % 3_600) / 60))}${u.join}${u.min}`
  return `${Math.floor(seconds / 86_400)}${u.join}${u.d}`
}

const stripZero = (text: string): string => text.replace(/\.0$/, '')

/** Distance from the onset: `+0.7 s`, `-33 s`, `0`; a minute and more as a duration. */
export function offset(millis: Millis, language: Language): string {
  if (Math.abs(millis) < 50) return '0'
  const sign = millis < 0 ? '-' : '+'
  const span = Math.abs(millis)
  const u = units[language]
  if (span < 20_000) return `${sign}${stripZero((span / 1000).toFixed(1))}${u.join}${u.s}`
  if (span < 60_000) return `${sign}${Math.round(span / 1000)}${u.join}${u.s}`
  return `${sign}${duration(span, language)}`
}

/** Minutes east of UTC of `zone` at `at`. */
export function offsetMinutes(at: Millis, zone: string): number {
  const f = fields(at, zone)
  return Math.round((Date.UTC(f.year, f.month - 1, f.day, f.hour, f.minute, f.second) - Math.floor(at / 1000) * 1000) / 60_000)
}

/** For `<time datetime>`: always with its offset. */
export function withOffset(at: Millis, zone: string): string {
  if (!Number.isFinite(at)) return ''
  const f = fields(at, zone)
  const minutes = offsetMinutes(at, zone)
  const sign = minutes < 0 ? '-' : '+'
  const off = minutes === 0 ? 'Z' : `${sign}${two(Math.floor(Math.abs(minutes) / 60))}:${two(Math.abs(minutes) % 60)}`
  return `${iso(f)}T${clock(at, zone, 3)}${off}`
}

/** `UTC`, `Shanghai`: the zone's name as the header writes it. */
export function zoneName(zone: string): string {
  return zone === 'UTC' || zone === 'Etc/UTC' ? 'UTC' : (zone.split('/').pop() ?? zone).replace(/_/g, ' ')
}
