// Which times Explore shows: the page's range, held or moved in larger steps where a person asked for that; and the way back from a zoom.
import { useMemo, useState } from 'react'
import { usePageRange, type PageRange } from '../../components/address'
import { resolve, resolveEach, type Range } from '../../lib/range'

export interface Shown { from: number; to: number; /** As it stands in the address. */ range: Range; /** Milliseconds between two reads; undefined: it stands still. */ every: number | undefined }

/** `refresh` 0: moves only when `round` does; undefined: as it comes. */
export function useShown(page: PageRange, refresh: number | undefined, round: number): Shown {
  const ran = useMemo(() => Date.now(), [round, page.range.from, page.range.to])
  const { from, to, range } = page
  if (!page.live) return { from, to, range, every: undefined }
  if (refresh === 0) return { ...resolve(range, ran), range, every: undefined }
  if (refresh === undefined) return { from, to, range, every: 1000 }
  return { ...resolveEach(range, to, refresh), range, every: refresh }
}

export interface Zoom { in: (from: number, to: number) => void; move: (by: number) => void; back: () => void; /** Where back leads; undefined: the range was not changed by hand. */ to: Range | undefined }

/** Each zoom remembers the range before it; back takes them in turn, and ends at the present. */
export function useZoom(page: ReturnType<typeof usePageRange>): Zoom {
  const [before, setBefore] = useState<readonly Range[]>([])
  const go = (from: number, to: number): void => {
    setBefore([...before, page.range].slice(-50))
    page.set({ from: new Date(Math.round(from)).toISOString(), to: new Date(Math.round(to)).toISOString() })
  }
  const last = before.at(-1)
  return {
    in: go,
    move: (by) => { if (by !== 0) go(page.from + by, page.to + by) },
    back: () => {
      if (!last) return page.set({ from: 'now-5m', to: 'now' })
      setBefore(before.slice(0, -1))
      page.set(last)
    },
    to: last,
  }
}
