// Prometheus' own API as the server speaks it: queries, ranges, names. Results come as columns on one time axis.
import { useQuery, type UseQueryResult } from '@tanstack/react-query'
import { get } from './http'

export type Labels = Readonly<Record<string, string>>
export interface Series { labels: Labels; values: (number | null)[] }
/** A range result on one axis: seconds since 1970, one column per series, null where nothing was. */
export interface Frame { times: number[]; series: Series[]; tookMillis: number; warnings: string[] }

interface Body<T> { status: string; data: T; warnings?: string[] }
interface Matrix { resultType: string; result: { metric: Labels; values: [number, string][] }[] }
interface Vector { resultType: string; result: { metric: Labels; value: [number, string] }[] | [number, string] }

export async function queryRange(query: string, from: number, to: number, step: number, signal?: AbortSignal): Promise<Frame> {
  const began = performance.now()
  const start = Math.floor(from / 1000 / step) * step
  const end = Math.floor(to / 1000 / step) * step
  const body = await get<Body<Matrix>>('/api/v1/query_range', { query, start, end, step }, signal)
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
  return { times, series, tookMillis: performance.now() - began, warnings: body.warnings ?? [] }
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

export async function queryNow(query: string, signal?: AbortSignal): Promise<{ labels: Labels; value: number }[]> {
  const body = await get<Body<Vector>>('/api/v1/query', { query }, signal)
  const result = body.data.result
  if (body.data.resultType === 'scalar') return [{ labels: {}, value: Number((result as [number, string])[1]) }]
  return (result as { metric: Labels; value: [number, string] }[]).map(({ metric, value }) => ({ labels: metric, value: Number(value[1]) }))
}

const names = (path: string, match?: string) => async ({ signal }: { signal: AbortSignal }): Promise<string[]> =>
  (await get<Body<string[]>>(path, match ? { 'match[]': match } : undefined, signal)).data

export const useMetricNames = (): UseQueryResult<string[]> => useQuery({ queryKey: ['metric-names'], queryFn: names('/api/v1/label/__name__/values'), staleTime: 30_000, retry: false })
export const useLabelNames = (metric: string | undefined, enabled: boolean): UseQueryResult<string[]> =>
  useQuery({ queryKey: ['label-names', metric], queryFn: names('/api/v1/labels', metric), enabled, staleTime: 30_000, retry: false })
export const useLabelValues = (label: string | undefined, metric: string | undefined): UseQueryResult<string[]> =>
  useQuery({ queryKey: ['label-values', label, metric], queryFn: names(`/api/v1/label/${label}/values`, metric), enabled: label !== undefined, staleTime: 30_000, retry: false })
