// How far two names are apart: for proposing the nearest. Pure.

/** Letters to insert, delete, replace or swap to get from one to the other; stops counting above `limit`. */
export function distance(left: string, right: string, limit = 6): number {
  if (Math.abs(left.length - right.length) > limit) return limit + 1
  let previous = Array.from({ length: right.length + 1 }, (_, index) => index)
  let before: number[] = []
  for (let i = 1; i <= left.length; i += 1) {
    const current = [i]
    for (let j = 1; j <= right.length; j += 1) {
      const same = left[i - 1] === right[j - 1] ? 0 : 1
      let best = Math.min(previous[j]! + 1, current[j - 1]! + 1, previous[j - 1]! + same)
      if (i > 1 && j > 1 && left[i - 1] === right[j - 2] && left[i - 2] === right[j - 1]) best = Math.min(best, before[j - 2]! + 1)
      current.push(best)
    }
    before = previous
    previous = current
  }
  return previous[right.length]!
}

/** The nearest of `names`, when it is near enough to be meant. */
export function nearest(name: string, names: Iterable<string>): string | undefined {
  let found: string | undefined
  let least = Math.max(2, Math.floor(name.length / 3)) + 1
  for (const candidate of names) {
    const far = distance(name, candidate)
    if (far < least) {
      least = far
      found = candidate
    }
  }
  return found
}
