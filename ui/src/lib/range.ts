// The page's time range as it stands in the address: `now-5m`, `now`, or RFC 3339. Pure: now is given.
import { parseTime, type Millis } from './time'

export interface Range { from: string; to: string }

const spans: Record<string, number> = { ms: 1, s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000, w: 604_800_000 }

export const presets = ['1m', '5m', '15m', '1h', '6h', '24h', '7d', '30d'] as const
export const defaultRange: Range = { from: 'now-5m', to: 'now' }

/** `5m`, `1h30m` to milliseconds; NaN when it is none. */
export function parseSpan(text: string): Millis {
  if (!/^(\d+(ms|[smhdw]))+$/.test(text)) return Number.NaN
  let sum = 0
  for (const [, count, unit] of text.matchAll(/(\d+)(ms|[smhdw])/g)) sum += Number(count) * spans[unit!]!
  return sum
}

/** One end of a range as an instant; NaN when it can't be read. */
export function instant(text: string, now: Millis): Millis {
  const relative = /^now(?:-(\w+))?$/.exec(text)
  if (relative) return relative[1] ? now - parseSpan(relative[1]) : now
  if (/^\d{10}(\.\d+)?$/.test(text)) return Number(text) * 1000
  return parseTime(text)
}

/** Both ends; an unreadable or empty range falls back to the last five minutes. */
export function resolve(range: Range, now: Millis): { from: Millis; to: Millis } {
  const from = instant(range.from, now)
  const to = instant(range.to, now)
  if (Number.isFinite(from) && Number.isFinite(to) && from < to) return { from, to }
  return { from: now - 300_000, to: now }
}

/** Both ends of a range that moves on in steps of `every`; a fixed start stays where it is. */
export function resolveEach(range: Range, now: Millis, every: Millis): { from: Millis; to: Millis } {
  const end = Math.floor(now / every) * every
  // A start that lies behind the last step has no range before the next one.
  return resolve(range, instant(range.from, end) < end ? end : now)
}

export const isLive = (range: Range): boolean => range.to === 'now'

/** An address whose times stand still: what is seen now is seen from the link tomorrow. */
export function frozen(address: string, { from, to }: { from: Millis; to: Millis }): string {
  const url = new URL(address)
  url.searchParams.set('from', new Date(Math.round(from)).toISOString())
  url.searchParams.set('to', new Date(Math.round(to)).toISOString())
  return url.href
}

/** Half a range back (-1) or on (+1); going on past now becomes live again. */
export function step(range: Range, direction: -1 | 1, now: Millis): Range {
  const { from, to } = resolve(range, now)
  const half = (to - from) / 2
  const next = { from: from + direction * half, to: to + direction * half }
  if (next.to >= now) return { from: `now-${spanText(to - from)}`, to: 'now' }
  return { from: new Date(next.from).toISOString(), to: new Date(next.to).toISOString() }
}

/** The largest exact unit: 300000 is `5m`. */
export function spanText(millis: Millis): string {
  for (const unit of ['w', 'd', 'h', 'm', 's'] as const) if (millis >= spans[unit]! && Math.round(millis) % spans[unit]! === 0) return `${Math.round(millis) / spans[unit]!}${unit}`
  return `${Math.max(1, Math.round(millis / 1000))}s`
}

/** Step of a range query in seconds: about 400 points, never finer than `finest`, on a 1-2-5 ladder. */
export function queryStep(from: Millis, to: Millis, points = 400, finest = 1): number {
  const wanted = Math.max(finest, (to - from) / 1000 / points)
  for (const candidate of [0.1, 0.2, 0.5, 1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 21600, 86400]) if (candidate >= wanted) return candidate
  return 86_400
}
