// Lays the names of flags out above a graph: in the lowest row that is free, never over one another; a crowd is gathered. Pure.

export interface FlagBox { /** Left edge of the pole in pixels. */ x: number; /** Width of glyph and name in pixels. */ width: number }
export interface Placed { row: number; left: number; /** The name stands left of its pole because there is no room at the right. */ before: boolean }
export const crowd = 12

/** One place for each box, boxes in order of x. Rows count up from the plot; a name that fits in no row is undefined (pole only). */
export function place(boxes: readonly FlagBox[], width: number, rows = 2, gap = 6): (Placed | undefined)[] {
  const taken: { from: number; to: number }[][] = Array.from({ length: rows }, () => [])
  const free = (row: number, from: number, to: number): boolean => from >= 0 && to <= width && taken[row]!.every((span) => to + gap <= span.from || from >= span.to + gap)
  // A name must not stand on the pole of a neighbour in its own row either, as far as rows allow.
  return boxes.map((box, index) => {
    for (let row = 0; row < rows; row += 1) {
      const next = boxes[index + 1]
      // At the very edge the name moves aside by the few pixels that it lacks.
      const start = Math.max(0, box.x - 6)
      const after = { from: start, to: start + box.width }
      const before = { from: box.x + 6 - box.width, to: box.x + 6 }
      const crossed = next !== undefined && next.x > box.x && next.x < after.to && row === 0
      const sides = crossed ? [before, after] : [after, before]
      for (const side of sides) {
        if (!free(row, side.from, side.to)) continue
        taken[row]!.push(side)
        return { row, left: side.from, before: side === before }
      }
    }
    return undefined
  })
}

export interface Gathered<F> { at: number; flags: readonly F[] }

/** More than twelve flags: neighbours closer than `near` become one with a count. */
export function gather<F extends { at: number }>(flags: readonly F[], near: number): Gathered<F>[] {
  const sorted = [...flags].sort((a, b) => a.at - b.at)
  if (sorted.length <= crowd) return sorted.map((flag) => ({ at: flag.at, flags: [flag] }))
  const found: { at: number; flags: F[] }[] = []
  for (const flag of sorted) {
    const last = found[found.length - 1]
    if (last && flag.at - last.at < near) last.flags.push(flag)
    else found.push({ at: flag.at, flags: [flag] })
  }
  return found
}
