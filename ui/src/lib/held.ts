// Nothing moves under the hand: what a graph that stands still must show at once all the same, and the order of rows that live data would sort. Pure.

interface Asked {
  name: string
  id?: string | undefined
  table?: boolean | undefined
  unit?: string | undefined
  stacked?: boolean | undefined
  log?: boolean | undefined
  beforeName?: string | undefined
  series: readonly { name: string; hidden?: boolean | undefined; before?: unknown }[]
}

/** Two of the same text differ in nothing but the time and the values. Their order may change with the values. */
export const askedFor = (of: Asked): string =>
  JSON.stringify([of.name, of.id, of.table, of.unit, of.stacked, of.log, of.beforeName, of.series.length, of.series.some((one) => one.before !== undefined), of.series.filter((one) => one.hidden).map((one) => one.name).sort()])

/** Where a time stands among ascending ones: the nearest, if it is within `near`. */
export function indexAt(times: readonly number[], at: number, near: number): number | undefined {
  let low = 0
  let high = times.length
  while (low < high) {
    const middle = (low + high) >> 1
    if (times[middle]! < at) low = middle + 1
    else high = middle
  }
  const found = low > 0 && (low === times.length || at - times[low - 1]! <= times[low]! - at) ? low - 1 : low
  return found < times.length && Math.abs(times[found]! - at) <= near ? found : undefined
}

/** An order of rows, and when it was made. */
export interface Order { by: string; at: number; rows: readonly string[] }

/** Between two live sortings, in milliseconds. */
const sortedEvery = 10_000

/**
 * The order in which rows are shown: as wanted when a person sorts by something else (`by`); under the hand (`held`) as before, new rows at the end; else
 * as wanted where rows came or went, or after ten seconds.
 */
export function ordered(before: Order, wanted: readonly string[], by: string, held: boolean, now: number): Order {
  const there = new Set(wanted)
  const kept = before.rows.filter((row) => there.has(row))
  const same = kept.length === wanted.length && kept.length === before.rows.length
  if (before.by !== by || (!held && (!same || now - before.at >= sortedEvery))) return { by, at: now, rows: wanted }
  if (same) return before
  const known = new Set(kept)
  return { ...before, rows: [...kept, ...wanted.filter((row) => !known.has(row))] }
}
