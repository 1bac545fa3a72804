// What a graph that stands still under the hand must show at once all the same: what a person asked for. Pure.

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
