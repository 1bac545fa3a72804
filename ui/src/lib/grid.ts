// The instants that a range query asks for: whole steps, so that a point once drawn stays where it is, and the newest instant behind them. Pure.
import { stepChoices } from './explore'
import type { Millis } from './time'

/** Seconds by which the newest instant moves on where the step is longer. */
const fine = 10
/** Samples of an instant are there so many milliseconds after it. */
const lag = 150

/** All in seconds. `newest` lies behind the last whole step: without it a long step would leave out what came since. */
export interface Grid { start: number; end: number; step: number; count: number; newest: number | undefined }

export function gridOf(from: Millis, to: Millis, step: number): Grid {
  const first = whole(from / 1000, step)
  const last = whole(to / 1000, step)
  const newest = step > fine ? whole(to / 1000, fine) * fine : undefined
  return { start: first * step, end: last * step, step, count: last - first + 1, newest: newest !== undefined && newest > last * step ? newest : undefined }
}

/** A tenth of a second at present is off by two millionths of itself. */
const whole = (at: number, step: number): number => Math.floor(at / step + 1e-5)

/** Each instant is its own product: added up, steps of 0.1 s would drift. */
export const timesOf = (grid: Grid): number[] => {
  const first = Math.round(grid.start / grid.step)
  const times = Array.from({ length: grid.count }, (_, index) => (first + index) * grid.step)
  return grid.newest === undefined ? times : [...times, grid.newest]
}

export const sameGrid = (one: Grid, other: Grid): boolean => one.start === other.start && one.end === other.end && one.step === other.step

/** The step, or a shorter one where the range would have no two points of it. Seconds; `span` in milliseconds. */
export function fittingStep(step: number, span: Millis): number {
  const most = span / 2000
  return step <= most ? step : (stepChoices.findLast((choice) => choice <= most) ?? most)
}

/** Milliseconds between two reads: with each step, but every ten seconds where it is longer, and never faster than `least`. */
export const everyOf = (step: number, least = 1000): Millis => Math.max(1000, least, Math.min(step, fine) * 1000)

/** Milliseconds until the next read after the one at `last`: just behind a whole `every`, so that a new point is shown when its time has come. */
export function untilNext(last: Millis, now: Millis, every: Millis): Millis {
  const due = (Math.floor((last - lag) / every) + 1) * every + lag
  return Math.min(every, Math.max(250, due - now))
}
