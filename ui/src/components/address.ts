// What stands in the address: parameters of the path, filters and the time range. Everything that a link should carry.
import { useLocation, useNavigate, useParams } from '@tanstack/react-router'
import { useCallback, useMemo } from 'react'
import { useNow, usePaused } from '../data/clock'
import { defaultRange, isLive, resolve, type Range } from '../lib/range'

/** A parameter of the path: `usePathParam('number')`. */
export function usePathParam(name: string): string | undefined {
  return (useParams({ strict: false }) as Record<string, string | undefined>)[name]
}

export type Search = Readonly<Record<string, string | readonly string[] | undefined>>
export const useSearch = (): Search => useLocation({ select: (location) => location.search as Search })

type SetSearch = (part: Search, options?: { push?: boolean }) => void

/** Changes a part of the query string; undefined takes a name away. Filters are steps back and forward. */
export function useSetSearch(): SetSearch {
  const navigate = useNavigate()
  return useCallback(
    (part, options) => {
      void navigate({
        to: '.', replace: options?.push === false, resetScroll: false,
        search: ((before: Search) => Object.fromEntries(Object.entries({ ...before, ...part }).filter(([, value]) => value !== undefined && value !== ''))) as never,
      })
    },
    [navigate],
  )
}

/** One name of the query string as text. */
export function useSearchText(name: string): [string | undefined, (value: string | undefined) => void] {
  const value = useSearch()[name]
  const set = useSetSearch()
  return [typeof value === 'string' ? value : value?.[0], useCallback((next) => set({ [name]: next }), [set, name])]
}

export interface PageRange {
  range: Range
  /** Both ends in milliseconds; the end moves each second while live. */
  from: number
  to: number
  live: boolean
  set: (range: Range) => void
}

export function usePageRange(fallback: Range = defaultRange): PageRange {
  const search = useSearch()
  const setSearch = useSetSearch()
  const paused = usePaused()
  const ticking = useNow(1000)
  const text = (name: string, otherwise: string): string => (typeof search[name] === 'string' ? search[name] : otherwise)
  const from = text('from', fallback.from)
  const to = text('to', fallback.to)
  const live = isLive({ from, to }) && paused === undefined
  const now = paused ?? (isLive({ from, to }) ? ticking : 0)
  return useMemo(() => {
    const ends = resolve({ from, to }, now || Date.now())
    return { range: { from, to }, ...ends, live, set: (next: Range) => setSearch({ from: next.from, to: next.to }) }
  }, [from, to, now, live, setSearch])
}
