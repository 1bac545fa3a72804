// Axes: ranges and ticks on a 1-2-5 ladder, time ticks that fall on whole times of the page's zone. Pure.
import { clock, date, offsetMinutes, type Millis } from './time'

export interface Scale { min: number; max: number; step: number }

/** The next of 1, 2, 5 times a power of ten that is at least `rough`. */
export function ladder(rough: number): number {
  if (!(rough > 0)) return 1
  const power = 10 ** Math.floor(Math.log10(rough))
  for (const factor of [1, 2, 5, 10]) if (factor * power >= rough * (1 - 1e-9)) return factor * power
  return 10 * power
}

/** A range that holds all of least..most with about `ticks` steps; from zero where zero means something. */
export function scale(least: number, most: number, ticks: number, zero: boolean): Scale {
  let min = Number.isFinite(least) ? least : 0
  let max = Number.isFinite(most) ? most : 1
  if (zero) {
    min = Math.min(0, min)
    max = Math.max(0, max)
  }
  if (min === max) {
    const pad = min === 0 ? 1 : Math.abs(min) * 0.1
    max += pad
    if (!(zero && min >= 0)) min -= pad
  }
  const step = ladder((max - min) / Math.max(1, ticks))
  return { min: Math.floor(min / step + 1e-9) * step, max: Math.ceil(max / step - 1e-9) * step, step }
}

export function ticks(of: Scale): number[] {
  const count = Math.round((of.max - of.min) / of.step)
  return Array.from({ length: count + 1 }, (_, index) => Number((of.min + index * of.step).toPrecision(12)))
}

/** The powers of ten around what is above zero in least..most; a scale by powers has no place for the rest. */
export function logScale(least: number, most: number): Scale {
  const high = Number.isFinite(most) && most > 0 ? Math.ceil(Math.log10(most) - 1e-9) : 0
  const low = Number.isFinite(least) && least > 0 ? Math.floor(Math.log10(least) + 1e-9) : high - 3
  // Twelve powers are all that an eye tells apart.
  return { min: 10 ** Math.max(low, high - 12), max: 10 ** Math.max(high, low + 1), step: 10 }
}

/** Every power of ten, or every second or third where they would be closer than `room` allows. */
export function logTicks(of: Scale, count: number): number[] {
  const [low, high] = [Math.round(Math.log10(of.min)), Math.round(Math.log10(of.max))]
  const every = Math.max(1, Math.ceil((high - low) / Math.max(1, count)))
  const found: number[] = []
  for (let power = low; power <= high; power += every) found.push(10 ** power)
  return found
}

const second = 1000
const steps = [
  0.1 * second, 0.2 * second, 0.5 * second, second, 2 * second, 5 * second, 10 * second, 15 * second, 30 * second,
  60 * second, 120 * second, 300 * second, 600 * second, 900 * second, 1800 * second,
  3600 * second, 7200 * second, 10_800 * second, 21_600 * second, 43_200 * second, 86_400 * second, 172_800 * second, 604_800 * second,
]

export interface TimeTick { at: Millis; label: string }

/** Ticks at least `room` pixels apart, on whole times of the zone, each with the shortest label that tells them apart. */
export function timeTicks(from: Millis, to: Millis, width: number, zone: string, room = 82): TimeTick[] {
  if (!(to > from) || width <= 0) return []
  const rough = ((to - from) * room) / width
  const step = steps.find((candidate) => candidate >= rough) ?? Math.ceil(rough / 604_800_000) * 604_800_000
  const shift = offsetMinutes(from, zone) * 60_000
  const found: TimeTick[] = []
  for (let at = Math.ceil((from + shift) / step) * step - shift; at <= to; at += step) {
    // Steps such as 0.1 s are no whole binary numbers: the label is cut, so lift it by a hair.
    const exact = Math.round(at)
    const label = step >= 86_400_000 ? date(exact, zone).slice(5) : step >= 60_000 ? clock(exact, zone).slice(0, 5) : step >= 1000 ? clock(exact, zone) : clock(exact, zone, 1)
    found.push({ at: exact, label })
  }
  return found
}

/** Indexes of samples with no neighbour: drawn as dots, because a line needs two. */
export function isolated(values: readonly (number | null | undefined)[]): number[] {
  const found: number[] = []
  values.forEach((value, index) => {
    if (value != null && values[index - 1] == null && values[index + 1] == null) found.push(index)
  })
  return found
}

export interface Stats { min: number; mean: number; max: number; last: number; gaps: number; count: number }

/** Least, mean, most, last and how many samples are missing between first and last. */
export function stats(values: readonly (number | null)[]): Stats | undefined {
  let min = Infinity
  let max = -Infinity
  let sum = 0
  let count = 0
  let last = Number.NaN
  let first = -1
  let end = -1
  values.forEach((value, index) => {
    if (value === null) return
    if (first < 0) first = index
    end = index
    min = Math.min(min, value)
    max = Math.max(max, value)
    sum += value
    count += 1
    last = value
  })
  return count === 0 ? undefined : { min, mean: sum / count, max, last, count, gaps: end - first + 1 - count }
}
