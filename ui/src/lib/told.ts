// Puts an answer that was read and what the stream told meanwhile into one list. Pure.

/**
 * A list in the order of its places, as it is now: what was found, before it the older ones that are known and reach up to
 * it, behind it what was told and is newer. An answer shows the moment at which it was read; what came while it was on
 * its way is only in `told`.
 */
export function withTold<Row extends { seq: number }>(found: readonly Row[], known: readonly Row[], told: readonly Row[], key: (row: Row) => string): Row[] {
  const first = found[0]?.seq ?? Infinity
  const last = found.at(-1)?.seq ?? -Infinity
  // Without a common row something may lie between both: the known ones are read again when they are asked for.
  const joined = known.some((row) => row.seq >= first && row.seq <= last)
  const seen = new Set(found.map(key))
  const more = (row: Row): boolean => !seen.has(key(row)) && Boolean(seen.add(key(row)))
  return [...(joined ? known.filter((row) => row.seq <= first && more(row)) : []), ...found, ...told.filter((row) => row.seq > last && more(row))]
}
