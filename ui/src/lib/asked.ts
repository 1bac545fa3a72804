// The queries that were run in this browser, newest first: kept in local storage, sent nowhere.

export interface Asked { query: string; /** Milliseconds since 1970. */ at: number }

const place = 'flyball-queries'
const most = 50
const longest = 16_384

/** What is kept is read as what it is; anything else is left out. */
export function parseAsked(text: string | null): Asked[] {
  let kept: unknown
  try {
    kept = JSON.parse(text ?? '[]')
  } catch {
    return []
  }
  if (!Array.isArray(kept)) return []
  return kept.flatMap((one: unknown): Asked[] => {
    const { query, at } = (one ?? {}) as Record<string, unknown>
    return typeof query === 'string' && query !== '' && query.length <= longest && typeof at === 'number' && Number.isFinite(at) ? [{ query, at }] : []
  }).slice(0, most)
}

export function withAsked(before: readonly Asked[], queries: readonly string[], at: number): Asked[] {
  const fresh = [...new Set(queries)].filter((query) => query !== '')
  return [...fresh.map((query) => ({ query, at })), ...before.filter((one) => !fresh.includes(one.query))].slice(0, most)
}

export function asked(): Asked[] {
  try {
    return parseAsked(localStorage.getItem(place))
  } catch {
    return []
  }
}

export function keepAsked(queries: readonly string[], at: number): void {
  try {
    localStorage.setItem(place, JSON.stringify(withAsked(asked(), queries, at)))
  } catch {
    // Without storage there is no history.
  }
}

export function forgetAsked(): void {
  try {
    localStorage.removeItem(place)
  } catch {
    // Nothing was kept.
  }
}
