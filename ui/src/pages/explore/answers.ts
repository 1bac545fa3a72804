// What the server answered to each query, ranked and named for graph, table and legend.
import { useState } from 'react'
import type { GraphSeries } from '../../components/plot'
import { colorOf, dashed } from '../../components/plot'
import { keyOf, useInstants, useRanges, useSeriesCount, type Explored, type Frame, type Instant, type Labels } from '../../data/prom'
import { client } from '../../data/queries'
import { isShown, seriesMark, type ExploreState } from '../../lib/explore'
import { seriesNames } from '../../lib/series'
import { moved, stacked } from '../../lib/stack'
import { stats, type Stats } from '../../lib/scale'

/** At most so many lines and rows of one query: the page says so and offers to group. */
export const shownMost = 50
/** At most so many series are read of one query. */
export const readMost = 500

const none: readonly string[] = []

export const letterOf = (index: number): string => String.fromCharCode(65 + index)

export interface Ranked { labels: Labels; mark: string; name: string; values: readonly (number | null)[]; stats: Stats | undefined; color: string; dash: boolean; before: readonly (number | null)[] | undefined; beforeMean: number | undefined }

export interface Answer {
  letter: string
  query: string
  frame: Frame | undefined
  instant: Instant | undefined
  error: unknown
  /** Asked, and nothing is there yet. */
  waiting: boolean
  /** It was asked, and then taken back: nothing is asked until Run. */
  stopped: boolean
  /** What is shown is the answer for the range before; the new one is being read. */
  old: boolean
  retry: () => void
  cancel: () => void
  /** Series in the answer; more exist where it was cut. */
  count: number | undefined
  cut: boolean
  /** Milliseconds until the answer was here. */
  took: number
  warnings: readonly string[]
  series: readonly Ranked[]
  /** Compared with an earlier time, and nothing was there. */
  nothingBefore: boolean
  /** Why the earlier time could not be read. */
  errorBefore: unknown
  retryBefore: () => void
}

export function useAnswers(shown: Omit<Explored, 'stopped'>, state: ExploreState): Answer[] {
  const [taken, setTaken] = useState<{ round: number; queries: readonly string[] }>({ round: 0, queries: [] })
  const stopped = taken.round === shown.round ? taken.queries : none
  const what = { ...shown, stopped }
  const now = state.view === 'table' && !state.steps
  const wanted = now ? state.queries.map(() => '') : state.queries
  const ranges = useRanges(wanted, what)
  const earlier = useRanges(what.before === undefined || now ? state.queries.map(() => '') : state.queries, what, what.before ?? 0)
  const instants = useInstants(state.queries, what, now)
  return state.queries.map((query, index) => {
    const range = ranges[index]!
    const instant = instants[index]!
    const asked = now ? instant : range
    const frame = now ? undefined : range.data
    const before = earlier[index]!.data
    const data = now ? instant.data : frame
    return {
      letter: letterOf(index), query, frame, instant: now ? instant.data : undefined,
      error: asked.error, waiting: asked.isPending && asked.fetchStatus === 'fetching',
      stopped: asked.fetchStatus !== 'fetching' && !asked.error && (stopped.includes(query) || asked.isPending || asked.isPlaceholderData),
      old: asked.isPlaceholderData || stopped.includes(query),
      retry: () => {
        void asked.refetch()
        setTaken({ round: shown.round, queries: stopped.filter((other) => other !== query) })
      },
      cancel: () => {
        setTaken({ round: shown.round, queries: [...stopped, query] })
        void client.cancelQueries({ predicate: ({ queryKey }) => String(queryKey[0]).startsWith('explored') && queryKey[1] === query })
      },
      count: now ? instant.data?.rows.length : frame?.series.length,
      cut: data?.cut === true, took: data?.tookMillis ?? 0, warnings: data?.warnings ?? [],
      series: frame ? rank(frame, letterOf(index), what.before === undefined ? undefined : before, (what.before ?? 0) / 1000, Math.min(what.step / 2, 10)) : [],
      nothingBefore: what.before !== undefined && !now && before !== undefined && !earlier[index]!.error && before.series.length === 0,
      errorBefore: what.before === undefined || now ? undefined : earlier[index]!.error,
      retryBefore: () => void earlier[index]!.refetch(),
    }
  })
}

/** How many series there are where the answer was cut off; else those in it. */
export function useTotal(answer: Answer, at: number | undefined): number | undefined {
  const counted = useSeriesCount(answer.query, at, answer.cut).data
  return answer.cut ? counted : answer.count
}

const ranked = new WeakMap<Frame, { before: Frame | undefined; letter: string; found: Ranked[] }>()

/** Worked out once for each answer, however often the page is drawn. */
function rank(frame: Frame, letter: string, before: Frame | undefined, shift: number, near: number): Ranked[] {
  const known = ranked.get(frame)
  if (known && known.before === before && known.letter === letter) return known.found
  let all = frame.series.map((one) => ({ ...one, stats: stats(one.values) }))
  if (all.length > shownMost) all = all.sort((a, b) => (b.stats?.max ?? -Infinity) - (a.stats?.max ?? -Infinity)).slice(0, shownMost)
  const names = seriesNames(all.map((one) => one.labels))
  const past = before && new Map(before.series.map((one) => [keyOf(one.labels), one]))
  const found = all.map((one, index): Ranked => {
    const earlier = past?.get(keyOf(one.labels))
    const values = earlier && before ? moved(frame.times, before.times, earlier.values, shift, near) : undefined
    return {
      labels: one.labels, values: one.values, stats: one.stats, mark: seriesMark(letter, one.labels), name: names[index]!, color: colorOf(index), dash: dashed(index % 8),
      before: values, beforeMean: values && stats(values)?.mean,
    }
  })
  ranked.set(frame, { before, letter, found })
  return found
}

/** As the graph wants them. Stacked, only the total of the earlier time is drawn: one muted line over the heap. */
export function drawn(answer: Answer, state: Pick<ExploreState, 'hidden' | 'alone' | 'stacked'>): GraphSeries[] {
  const list = answer.series.map((one): GraphSeries => ({
    name: one.name, values: one.values, color: one.color, dash: one.dash && !state.stacked, hidden: !isShown(state, answer.letter, one.mark), ...(one.before && !state.stacked ? { before: one.before } : {}),
  }))
  if (!state.stacked) return list
  const top = list.findLastIndex((one) => !one.hidden)
  const past = stacked(answer.series.map((one, index) => ({ values: one.before ?? [], hidden: list[index]!.hidden || one.before === undefined })))
  const last = past.findLast((_, index) => !list[index]!.hidden && answer.series[index]!.before !== undefined)
  return last && top >= 0 ? list.map((one, index) => (index === top ? { ...one, before: last } : one)) : list
}
