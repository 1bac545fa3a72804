// Prometheus' own API as the server speaks it: queries, ranges, names. Results come as columns on one time axis.
import { useQueries, useQuery, type UseQueryResult } from '@tanstack/react-query'
import { useRef } from 'react'
import { get } from './http'

export type Labels = Readonly<Record<string, string>>
export interface Series { labels: Labels; values: (number | null)[] }
/** A range result on one axis: seconds since 1970, one column per series, null where nothing was. */
export interface Frame { times: number[]; series: Series[]; tookMillis: number; warnings: string[]; /** The answer was cut off at the limit. */ cut: boolean }

interface Body<T> { status: string; data: T; warnings?: string[]; infos?: string[] }
interface Matrix { resultType: string; result: { metric: Labels; values: [number, string][] }[] }

const cutOff = 'results truncated due to limit'
/** What the server notes beside an answer, without what the page says in its own words. */
const notes = (body: Body<unknown>): string[] => [...(body.warnings ?? []), ...(body.infos ?? [])].filter((note) => note !== cutOff)

export async function queryRange(query: string, from: number, to: number, step: number, signal?: AbortSignal, limit?: number): Promise<Frame> {
  const began = performance.now()
  const start = Math.floor(from / 1000 / step) * step
  const end = Math.floor(to / 1000 / step) * step
  const body = await get<Body<Matrix>>('/api/v1/query_range', { query, start, end, step, limit }, signal)
  const times: number[] = []
  for (let at = start; at <= end + 1e-9; at += step) times.push(at)
  const series = body.data.result.map(({ metric, values }) => {
    const column: (number | null)[] = new Array<number | null>(times.length).fill(null)
    for (const [at, text] of values) {
      const index = Math.round((at - start) / step)
      const value = Number(text === '+Inf' ? 'Infinity' : text === '-Inf' ? '-Infinity' : text)
      if (index >= 0 && index < column.length) column[index] = Number.isFinite(value) ? value : null
    }
    return { labels: metric, values: column }
  })
  return { times, series, tookMillis: performance.now() - began, warnings: notes(body), cut: body.warnings?.includes(cutOff) === true }
}

/** A range that ends now moves with the clock: asked again every `every` milliseconds while `live`. */
export function useRange(query: string, range: { from: number; to: number }, step: number, options: { enabled?: boolean; live?: boolean } = {}): UseQueryResult<Frame> {
  const span = range.to - range.from
  return useQuery({
    // A live range is one entry in the cache, not one per second.
    queryKey: options.live ? ['range', query, span, step, 'live'] : ['range', query, range.from, range.to, step],
    queryFn: ({ signal }) => {
      const to = options.live ? Date.now() : range.to
      return queryRange(query, to - span, to, step, signal)
    },
    enabled: options.enabled !== false && query.trim() !== '',
    refetchInterval: options.live ? Math.max(1000, step * 1000) : false,
    placeholderData: (before) => before,
    staleTime: options.live ? 0 : 60_000,
    retry: false,
  })
}

/** What Explore reads: one range for several queries, the same moved back by `before`, at most `limit` series of each. */
export interface Explored { from: number; to: number; step: number; /** The end is now: read again every so many milliseconds. */ every: number | undefined; before: number | undefined; limit: number; /** Counts presses of Run. */ round: number }

/** The newest answer to each query: a list of queries begins anew when the range of one changes, and would show nothing meanwhile. */
function useNewest<T>(queries: readonly string[]): { of: (query: string) => T | undefined; note: (results: readonly UseQueryResult<T>[]) => void } {
  const kept = useRef(new Map<string, T>())
  return {
    of: (query) => kept.current.get(query),
    note: (results) => {
      kept.current = new Map(queries.flatMap((query, index) => {
        const data = results[index]?.data
        return data === undefined ? [] : [[query, data] as const]
      }))
    },
  }
}

/** Each query over the range; with `back` the same that long before. An empty query is not asked. */
export function useRanges(queries: readonly string[], what: Explored, back = 0): UseQueryResult<Frame>[] {
  const span = what.to - what.from
  const live = what.every !== undefined
  const newest = useNewest<Frame>(queries)
  const results = useQueries({
    queries: queries.map((query, index) => ({
      queryKey: ['explored', query, index, span, what.step, back, what.limit, what.round, live ? 'live' : what.to] as const,
      queryFn: ({ signal }: { signal: AbortSignal }) => {
        const to = (live ? Date.now() : what.to) - back
        return queryRange(query, to - span, to, what.step, signal, what.limit)
      },
      enabled: query.trim() !== '',
      refetchInterval: what.every === undefined ? (false as const) : Math.max(what.every, what.step * 1000, 1000),
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
      enabled: enabled && query.trim() !== '',
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
