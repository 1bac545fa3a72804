// Series on top of each other, and the same series of another time on this time's axis. Pure.

export type Column = readonly (number | null)[]

/** Each column with all shown ones below it added; a gap adds nothing and stays a gap of its own. Hidden ones come back as they are. */
export function stacked(columns: readonly { values: Column; hidden?: boolean | undefined }[]): Column[] {
  const length = columns[0]?.values.length ?? 0
  const sum = new Array<number>(length).fill(0)
  return columns.map(({ values, hidden }) => {
    if (hidden) return values
    return values.map((value, index) => {
      if (value === null) return null
      sum[index]! += value
      return sum[index]!
    })
  })
}

/** A column of times `shift` seconds earlier, put onto `times`; what has no sample within `near` seconds there is a gap. */
export function moved(times: readonly number[], from: readonly number[], values: Column, shift: number, near = 0): (number | null)[] {
  const close = Math.max(near, 0.0005)
  let next = 0
  return times.map((time) => {
    const wanted = time - shift
    while (next + 1 < from.length && Math.abs(from[next + 1]! - wanted) <= Math.abs(from[next]! - wanted)) next += 1
    return next < from.length && Math.abs(from[next]! - wanted) <= close ? (values[next] ?? null) : null
  })
}
