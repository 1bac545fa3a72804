// Prometheus' own API as the server speaks it: queries, ranges, names. Results come as columns on one time axis.
import { useQueries, useQuery, type QueryFunctionContext, type UseQueryResult } from '@tanstack/react-query'
import { useRef } from 'react'
import { everyOf, gridOf, sameGrid, timesOf, untilNext, type Grid } from '../lib/grid'
import { resolve, type Range } from '../lib/range'
import { get } from './http'

export type Labels = Readonly<Record<string, string>>
export interface Series { labels: Labels; values: (number | null)[] }
/** A range result on one axis: seconds since 1970, one column per series, null where nothing was. */
export interface Frame { times: number[]; series: Series[]; tookMillis: number; warnings: string[]; /** The answer was cut off at the limit. */ cut: boolean; /** What was read at the whole steps, where more was read behind them. */ steps: Part | undefined }

interface Body<T> { status: string; data: T; warnings?: string[]; infos?: string[] }
interface Matrix { resultType: string; result: { metric: Labels; values: [number, string][] }[] }

const cutOff = 'results truncated due to limit'
/** What the server notes beside an answer, without what the page says in its own words. */
const notes = (body: Body<unknown>): string[] => [...(body.warnings ?? []), ...(body.infos ?? [])].filter((note) => note !== cutOff)

/** What one request of a range holds, and when it was asked. */
interface Part { result: Matrix['result']; warnings: string[]; cut: boolean; grid: Grid; at: number }

async function part(query: string, grid: Grid, start: number, end: number, limit: number | undefined, signal: AbortSignal | undefined): Promise<Part> {
  const at = Date.now()
  const body = await get<Body<Matrix>>('/api/v1/query_range', { query, start: round(start), end: round(end), step: grid.step, limit }, signal)
  return { result: body.data.result, warnings: notes(body), cut: body.warnings?.includes(cutOff) === true, grid, at }
}

/** Microseconds, as the server counts: products of steps below a second are no whole binary numbers. */
const round = (seconds: number): number => Math.round(seconds * 1e6) / 1e6

/** So many milliseconds after an instant its samples are all there, and its point is not asked again. */
const settled = 30_000

interface Asking { limit?: number | undefined; /** Milliseconds: the same instants, so long before. */ back?: number; /** The answer before, whose whole steps are kept while they are the same. */ known?: Frame | undefined; signal?: AbortSignal | undefined }

export async function queryRange(query: string, from: number, to: number, step: number, { limit, back = 0, known, signal }: Asking = {}): Promise<Frame> {
  const began = performance.now()
  const grid = gridOf(from, to, step)
  const shift = back / 1000
  const before = known?.steps
  const kept = before && grid.newest !== undefined && sameGrid(before.grid, grid) && before.at > grid.end * 1000 + settled ? before : undefined
  const [steps, newest] = await Promise.all([
    kept ?? part(query, grid, grid.start - shift, grid.end - shift, limit, signal),
    grid.newest === undefined ? undefined : part(query, grid, grid.newest - shift, grid.newest - shift, limit, signal),
  ])
  const times = timesOf(grid)
  const found = new Map<string, Series>()
  const column = (metric: Labels): (number | null)[] => {
    const key = keyOf(metric)
    const there = found.get(key) ?? { labels: metric, values: new Array<number | null>(times.length).fill(null) }
    found.set(key, there)
    return there.values
  }
  for (const { metric, values } of steps.result) {
    const into = column(metric)
    for (const [at, text] of values) {
      const index = Math.round((at + shift - grid.start) / step)
      if (index >= 0 && index < grid.count) into[index] = valueOf(text)
    }
  }
  // Of an answer that was cut off other series could be the first: none comes in by the newest instant alone.
  for (const { metric, values } of newest?.result ?? []) {
    if (steps.cut && !found.has(keyOf(metric))) continue
    const last = values.at(-1)
    if (last) column(metric)[times.length - 1] = valueOf(last[1])
  }
  return {
    times: times.map((at) => at - shift), series: [...found.values()], tookMillis: performance.now() - began,
    warnings: [...new Set([...steps.warnings, ...(newest?.warnings ?? [])])], cut: steps.cut || newest?.cut === true, steps: newest && steps,
  }
}

function valueOf(text: string): number | null {
  const value = Number(text)
  return Number.isFinite(value) ? value : null
}

/** Series are the same when their labels are. */
export const keyOf = (labels: Labels): string => JSON.stringify(Object.entries(labels).sort(([a], [b]) => (a < b ? -1 : 1)))

/** Just behind each step a live range is read again; the clock decides, not when the page was opened. */
const again = (every: number) => (query: { state: { fetchStatus: string; dataUpdatedAt: number; errorUpdatedAt: number } }): number =>
  query.state.fetchStatus === 'fetching' ? every : untilNext(Math.max(query.state.dataUpdatedAt, query.state.errorUpdatedAt), Date.now(), every)

/** A range that ends now moves with the clock: asked again with each step while `live`. */
export function useRange(query: string, range: { from: number; to: number }, step: number, options: { enabled?: boolean; live?: boolean; /** The range as it stands in the address; else its length is what stays. */ text?: Range } = {}): UseQueryResult<Frame> {
  const text = options.text ?? { from: `now-${Math.round(range.to - range.from)}ms`, to: 'now' }
  return useQuery({
    // A live range is one entry in the cache, not one per second.
    queryKey: options.live ? ['range', query, text.from, text.to, step, 'live'] : ['range', query, range.from, range.to, step],
    queryFn: ({ signal, client, queryKey }) => {
      const { from, to } = options.live ? resolve(text, Date.now()) : range
      return queryRange(query, from, to, step, { signal, known: client.getQueryData<Frame>(queryKey) })
    },
    enabled: options.enabled !== false && query.trim() !== '',
    refetchInterval: options.live ? again(everyOf(step)) : false,
    placeholderData: (before) => before,
    staleTime: options.live ? 0 : 60_000,
    retry: false,
  })
}

/** What Explore reads: one range for several queries, the same moved back by `before`, at most `limit` series of each. */
export interface Explored { from: number; to: number; /** As it stands in the address. */ range: Range; step: number; /** The end is now: read again every so many milliseconds. */ every: number | undefined; before: number | undefined; limit: number; /** Counts presses of Run. */ round: number; /** Queries that were taken back: not asked again by the clock. */ stopped: readonly string[] }

/** What tells one range from another: of a live one the text, because its ends move with the clock, and one that began at a fixed time grows. */
export const rangeKey = (what: Pick<Explored, 'from' | 'to' | 'range' | 'every'>): readonly (string | number)[] => (what.every === undefined ? [what.from, what.to] : ['live', what.range.from, what.range.to])

/** The newest answer to each query: a list of queries begins anew when the range of one changes, and would show nothing meanwhile. What was asked of another time (`of`) is none. */
function useNewest<T>(queries: readonly string[], of: number = 0): { of: (query: string) => T | undefined; note: (results: readonly UseQueryResult<T>[]) => void } {
  const kept = useRef({ of, answers: new Map<string, T>() })
  return {
    of: (query) => (kept.current.of === of ? kept.current.answers.get(query) : undefined),
    note: (results) => {
      kept.current = {
        of,
        answers: new Map(queries.flatMap((query, index) => {
          const data = results[index]?.data
          return data === undefined ? [] : [[query, data] as const]
        })),
      }
    },
  }
}

/** Each query over the range; with `back` the same that long before. An empty query is not asked. */
export function useRanges(queries: readonly string[], what: Explored, back = 0): UseQueryResult<Frame>[] {
  const live = what.every !== undefined
  const newest = useNewest<Frame>(queries, back)
  const results = useQueries({
    queries: queries.map((query, index) => ({
      queryKey: ['explored', query, index, ...rangeKey(what), what.step, back, what.limit, what.round] as const,
      queryFn: ({ signal, client, queryKey }: QueryFunctionContext) => {
        const { from, to } = live ? resolve(what.range, Date.now()) : what
        return queryRange(query, from, to, what.step, { signal, limit: what.limit, back, known: client.getQueryData<Frame>(queryKey) })
      },
      enabled: query.trim() !== '' && !what.stopped.includes(query),
      refetchInterval: what.every === undefined ? (false as const) : again(everyOf(what.step, what.every)),
      // The picture of the same query stays until the new one is there; that of another query would be a lie.
      placeholderData: () => newest.of(query),
      staleTime: live ? 0 : 60_000,
      retry: false,
    })),
  })
  newest.note(results)
  return results
}

/** Rows of an instant answer: its labels, and its value as the server wrote it; of a range selector the newest samples. */
export interface Instant { kind: 'vector' | 'scalar' | 'string' | 'matrix'; rows: { labels: Labels; value: string; at: number; more?: [number, string][] }[]; tookMillis: number; warnings: string[]; cut: boolean }

export async function queryInstant(query: string, at: number | undefined, signal?: AbortSignal, limit?: number): Promise<Instant> {
  const began = performance.now()
  type Result = { metric: Labels; value?: [number, string]; values?: [number, string][] }[] | [number, string]
  const body = await get<Body<{ resultType: Instant['kind']; result: Result }>>('/api/v1/query', { query, time: at === undefined ? undefined : at / 1000, limit }, signal)
  const { resultType, result } = body.data
  const rows = resultType === 'scalar' || resultType === 'string'
    ? [{ labels: {}, value: (result as [number, string])[1], at: (result as [number, string])[0] }]
    : (result as Exclude<Result, [number, string]>).flatMap(({ metric, value, values }) => {
        const last = value ?? values?.at(-1)
        return last ? [{ labels: metric, value: last[1], at: last[0], ...(values ? { more: values } : {}) }] : []
      })
  return { kind: resultType, rows, tookMillis: performance.now() - began, warnings: notes(body), cut: body.warnings?.includes(cutOff) === true }
}

/** Each query at the end of the range. */
export function useInstants(queries: readonly string[], what: Explored, enabled: boolean): UseQueryResult<Instant>[] {
  const live = what.every !== undefined
  const newest = useNewest<Instant>(queries)
  const results = useQueries({
    queries: queries.map((query, index) => ({
      queryKey: ['explored-now', query, index, what.limit, what.round, live ? 'live' : what.to] as const,
      queryFn: ({ signal }: { signal: AbortSignal }) => queryInstant(query, live ? undefined : what.to, signal, what.limit),
      enabled: enabled && query.trim() !== '' && !what.stopped.includes(query),
      refetchInterval: what.every === undefined ? (false as const) : Math.max(what.every, 1000),
      placeholderData: () => newest.of(query),
      staleTime: live ? 0 : 60_000,
      retry: false,
    })),
  })
  newest.note(results)
  return results
}

/** How many series a query really has, asked only where its answer was cut off. */
export const useSeriesCount = (query: string, at: number | undefined, enabled: boolean): UseQueryResult<number> =>
  useQuery({
    queryKey: ['series-count', query, at], enabled, staleTime: 30_000, retry: false,
    queryFn: async ({ signal }) => Number((await queryInstant(`count(${query})`, at, signal)).rows[0]?.value ?? 0),
  })

/** The query in its canonical form; refused with the place of the mistake. */
export const formatted = async (query: string, signal?: AbortSignal): Promise<string> => (await get<Body<string>>('/api/v1/format_query', { query }, signal)).data
/** Reads a draft without running it: its error is the mistake that stands in it. */
export const useSyntax = (draft: string, enabled: boolean): UseQueryResult<string> =>
  useQuery({ queryKey: ['syntax', draft], queryFn: ({ signal }) => formatted(draft, signal), enabled: enabled && draft.trim() !== '', staleTime: Infinity, gcTime: 60_000, retry: false })

export interface Metadata { type: string; help: string; unit: string }
export const useMetadata = (enabled: boolean): UseQueryResult<Record<string, Metadata[]>> =>
  useQuery({ queryKey: ['metadata'], queryFn: async ({ signal }) => (await get<Body<Record<string, Metadata[]>>>('/api/v1/metadata', { limit: namesMost }, signal)).data, enabled, staleTime: 60_000, retry: false })

/** Most names that completion reads at once. */
const namesMost = 10_000
const names = (path: string, match?: string) => async ({ signal }: { signal: AbortSignal }): Promise<string[]> =>
  (await get<Body<string[]>>(path, { limit: namesMost, ...(match ? { 'match[]': match } : {}) }, signal)).data

export const useMetricNames = (enabled = true): UseQueryResult<string[]> => useQuery({ queryKey: ['metric-names'], queryFn: names('/api/v1/label/__name__/values'), enabled, staleTime: 30_000, retry: false })
/** Labels of the series that fit a selector. */
export const useLabelNames = (selector: string | undefined, enabled: boolean): UseQueryResult<string[]> =>
  useQuery({ queryKey: ['label-names', selector], queryFn: names('/api/v1/labels', selector), enabled, staleTime: 30_000, retry: false })
export const useLabelValues = (label: string | undefined, selector: string | undefined): UseQueryResult<string[]> =>
  useQuery({ queryKey: ['label-values', label, selector], queryFn: names(`/api/v1/label/${encodeURIComponent(label ?? '')}/values`, selector), enabled: label !== undefined, staleTime: 30_000, retry: false })
