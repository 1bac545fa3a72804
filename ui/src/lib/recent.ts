// What was opened or said by the palette last, kept in this browser; eight at most.

export interface Recent { name: string; to?: string; verb?: string }

const place = 'flyball-recent'
const most = 8

/** Newest first. What is kept is read as what it is: text of the right form, else nothing. */
export function parseRecents(text: string | null): Recent[] {
  let kept: unknown
  try {
    kept = JSON.parse(text ?? '[]')
  } catch {
    return []
  }
  if (!Array.isArray(kept)) return []
  return kept.flatMap((one: unknown): Recent[] => {
    const { name, to, verb } = (one ?? {}) as Record<string, unknown>
    if (typeof name !== 'string' || name.length > 300) return []
    if (typeof to === 'string' && /^\/(?!\/)/.test(to)) return [{ name, to }]
    return typeof verb === 'string' && verb.length <= 2_000 ? [{ name, verb }] : []
  }).slice(0, most)
}

export function withRecent(before: readonly Recent[], one: Recent): Recent[] {
  return [one, ...before.filter((other) => other.to !== one.to || other.verb !== one.verb)].slice(0, most)
}

export function recents(): Recent[] {
  try {
    return parseRecents(localStorage.getItem(place))
  } catch {
    return []
  }
}

export function keep(one: Recent): void {
  try {
    localStorage.setItem(place, JSON.stringify(withRecent(recents(), one)))
  } catch {
    // Without storage nothing is recent.
  }
}

/** `sp` of `shop prod`: things are found by their first letters too. */
export const initialsOf = (name: string): string => name.toLowerCase().split(/[\s,./_-]+/).filter(Boolean).map((word) => word[0]).join('')
