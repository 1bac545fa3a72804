// What one query gave: graph, table or JSON, and its series with least, mean, most, last, at cursor, gaps.
import { useMemo, useState, type MouseEvent, type ReactNode } from 'react'
import { useSetSearch, type PageRange } from '../../components/address'
import { colorOf, dashed, Graph, GraphTable, type GraphFlag, type GraphSeries } from '../../components/Graph'
import { useFormat, useWord } from '../../components/language'
import { Panel } from '../../components/Panel'
import { Glyph } from '../../components/State'
import { Empty, Loading, Problem } from '../../components/Waiting'
import { useMetricNames, useRange, type Labels } from '../../data/prom'
import { ApiError } from '../../data/http'
import { nearest } from '../../lib/distance'
import { unitOf } from '../../lib/number'
import { tokens } from '../../lib/promql'
import { queryStep } from '../../lib/range'
import { stats, type Stats } from '../../lib/scale'
import type { View } from './Explore'

/** At most so many lines: the page says so and offers to group. */
const shownMost = 50

/** One read for editor and result. `round` counts presses of Run, so that Run asks again. */
export const useExplored = (query: string, range: PageRange, _round: number): ReturnType<typeof useRange> =>
  useRange(query, range, queryStep(range.from, range.to), { live: range.live, enabled: query !== '' })

interface Props {
  query: string
  letter: string
  range: PageRange
  view: View
  flags: readonly GraphFlag[]
  first: boolean
  withChanges: boolean
  round: number
  lit: number | undefined
  onLit: (id: number | undefined) => void
  onQuery: (query: string) => void
}

export function Result({ query, letter, range, view, flags, first, withChanges, round, lit, onLit, onQuery }: Props): ReactNode {
  const word = useWord()
  const format = useFormat()
  const set = useSetSearch()
  const result = useExplored(query, range, round)
  const frame = result.data
  const unit = unitOf(query)
  const [alone, setAlone] = useState<string>()
  const [hidden, setHidden] = useState<ReadonlySet<string>>(new Set())
  const [cursor, setCursor] = useState<number>()
  const [copied, setCopied] = useState(false)
  const ranked = useMemo(() => {
    const all = (frame?.series ?? []).map((one) => ({ ...one, key: nameOf(one.labels), stats: stats(one.values) }))
    return all.length <= shownMost ? all : [...all].sort((a, b) => (b.stats?.max ?? -Infinity) - (a.stats?.max ?? -Infinity)).slice(0, shownMost)
  }, [frame])
  const short = useMemo(() => differing(ranked.map((one) => one.labels)), [ranked])
  const series = useMemo<GraphSeries[]>(
    () => ranked.map((one, index) => ({ name: short(one.labels), values: one.values, color: colorOf(index), dash: dashed(index % 8), hidden: alone !== undefined ? alone !== one.key : hidden.has(one.key) })),
    [ranked, short, alone, hidden],
  )
  const title = headline(query)
  const step = queryStep(range.from, range.to)
  const press = (key: string, event: MouseEvent): void => {
    if (event.ctrlKey || event.metaKey) {
      const next = new Set(hidden)
      if (next.has(key)) next.delete(key)
      else next.add(key)
      setAlone(undefined)
      setHidden(next)
    } else setAlone(alone === key ? undefined : key)
  }
  const curl = async (): Promise<void> => {
    const address = `${location.origin}/api/v1/query_range?${new URLSearchParams({ query, start: String(range.from / 1000), end: String(range.to / 1000), step: String(step) }).toString()}`
    await navigator.clipboard.writeText(`curl -H "Authorization: Bearer $FLYBALL_TOKEN" '${address.replaceAll("'", '%27')}'`)
    setCopied(true)
  }
  const actions = (
    <>
      <span className="seg small" role="group" aria-label={`${word('explore.view')} ${letter}`}>
        {(['graph', 'table', 'json'] as const).map((one) => <button key={one} type="button" aria-pressed={view === one} onClick={() => set({ view: one === 'graph' ? undefined : one })}>{word(`explore.${one}`)}</button>)}
      </span>
      {first && <button type="button" className="btn small" aria-pressed={withChanges} onClick={() => set({ changes: withChanges ? 'off' : undefined })}><Glyph shape="release" tone={withChanges ? 'run' : 't3'} />{word('explore.changes')}</button>}
      <button type="button" className="btn small quiet" onClick={() => void curl()}>{word(copied ? 'explore.copied' : 'explore.copy_curl')}</button>
    </>
  )
  const table = ranked.length > 0 && (
    <SeriesTable rows={ranked.map((one, index) => ({ key: one.key, labels: one.labels, stats: one.stats, color: colorOf(index), dash: dashed(index % 8), at: cursor === undefined ? undefined : one.values[cursor], off: series[index]!.hidden === true }))}
      letter={letter} unit={unit} step={step} onPress={press} onAll={alone !== undefined || hidden.size > 0 ? () => { setAlone(undefined); setHidden(new Set()) } : undefined} />
  )
  return (
    <>
      <Panel title={word('explore.panel', { letter, title })} note={word('explore.note', { step: format.duration(step * 1000).replace('.0', '') })} actions={actions}>
        {result.error && !frame ? (
          // A mistake in the query is said under its editor; everything else here.
          <Problem error={result.error} title={result.error instanceof ApiError && result.error.status === 400 ? word('explore.error', { letter }) : undefined} onRetry={() => void result.refetch()} />
        ) : !frame ? <Loading height={200} /> : frame.series.length === 0 ? (
          <Nothing query={query} onQuery={onQuery} />
        ) : (
          <>
            {frame.series.length > shownMost && <TooMany count={frame.series.length} labels={frame.series[0]!.labels} query={query} onQuery={onQuery} />}
            {view === 'json' ? (
              <pre className="code json" tabIndex={0}>{JSON.stringify({ times: frame.times, series: ranked.map((one) => ({ labels: one.labels, values: one.values })) }, undefined, 1).slice(0, 200_000)}</pre>
            ) : view === 'table' ? <GraphTable name={title} times={frame.times} series={series} unit={unit} from={range.from} to={range.to} height={260} /> : (
              <div style={{ padding: '4px 2px 6px' }}>
                <Graph name={title} times={frame.times} series={series} unit={unit} from={range.from} to={range.to} height={first ? 200 : 140} flags={flags} flagNames={first} group="explore" tableSwitch={false} lit={lit}
                  onLit={(id) => onLit(id as number | undefined)} onCursor={setCursor}
                  onZoom={(from, to) => range.set({ from: new Date(from).toISOString(), to: new Date(to).toISOString() })} onReset={() => range.set({ from: 'now-5m', to: 'now' })} />
              </div>
            )}
          </>
        )}
      </Panel>
      {table}
    </>
  )
}

interface SeriesRow { key: string; labels: Labels; stats: Stats | undefined; color: string; dash: boolean; at: number | null | undefined; off: boolean }

function SeriesTable({ rows, letter, unit, step, onPress, onAll }: { rows: readonly SeriesRow[]; letter: string; unit: ReturnType<typeof unitOf>; step: number; onPress: (key: string, event: MouseEvent) => void; onAll: (() => void) | undefined }): ReactNode {
  const word = useWord()
  const format = useFormat()
  const [sort, setSort] = useState<{ by: string; descending: boolean }>()
  const columns = ['min', 'mean', 'max', 'last'] as const
  const labels = useMemo(() => {
    const names = [...new Set(rows.flatMap((row) => Object.keys(row.labels)))].filter((name) => name !== '__name__')
    // Labels that are the same everywhere say nothing in a table of differences.
    const telling = names.filter((name) => new Set(rows.map((row) => row.labels[name])).size > 1)
    return (telling.length > 0 ? telling : names).slice(0, 4)
  }, [rows])
  const shown = useMemo(() => {
    if (!sort) return rows
    const value = (row: SeriesRow): number | string => (sort.by in (row.stats ?? {}) ? (row.stats as unknown as Record<string, number>)[sort.by]! : (row.labels[sort.by] ?? ''))
    return [...rows].sort((a, b) => {
      const [left, right] = [value(a), value(b)]
      const by = typeof left === 'number' && typeof right === 'number' ? left - right : String(left).localeCompare(String(right), undefined, { numeric: true })
      return sort.descending ? -by : by
    })
  }, [rows, sort])
  const head = (id: string, text: ReactNode, number: boolean): ReactNode => (
    <th key={id} className={number ? 'num' : ''} aria-sort={sort?.by === id ? (sort.descending ? 'descending' : 'ascending') : 'none'}>
      <button type="button" onClick={() => setSort({ by: id, descending: sort?.by === id ? !sort.descending : number })}>{text}{sort?.by === id && <span aria-hidden="true">{sort.descending ? ' ↓' : ' ↑'}</span>}</button>
    </th>
  )
  const name = word('explore.series', { letter })
  return (
    <Panel title={name} note={word('explore.series.note')} actions={onAll && <button type="button" className="btn small" onClick={onAll}>{word('explore.all')}</button>}>
      <div className="wide series" tabIndex={0} role="group" aria-label={name}>
        <table aria-label={name}>
          <thead>
            <tr>{labels.length === 0 ? <th>{word('explore.series.name')}</th> : labels.map((label) => head(label, label, false))}{columns.map((one) => head(one, word(`explore.${one}`), true))}<th className="num">{word('explore.cursor')}</th><th className="num">{word('explore.gaps')}</th></tr>
          </thead>
          <tbody>
            {shown.map((row) => (
              <tr key={row.key} className={row.off ? 'off' : ''}>
                {(labels.length === 0 ? ['__name__'] : labels).map((label, index) => (
                  <td key={label} className={index === 0 ? 'm' : 'mono'}>
                    {index === 0 ? <button type="button" className="series-name" aria-pressed={!row.off} onClick={(event) => onPress(row.key, event)}><i className={row.dash ? 'sw dash' : 'sw'} style={{ ['--c' as string]: `var(${row.color})` }} />{row.labels[label] ?? (labels.length === 0 ? letter : '-')}</button> : (row.labels[label] ?? '-')}
                  </td>
                ))}
                {columns.map((one) => <td key={one} className={one === 'max' ? 'num b' : 'num'}>{row.stats ? format.measure(row.stats[one], unit) : '-'}</td>)}
                <td className="num">{row.at === undefined ? '' : row.at === null ? <span className="t3">{word('graph.gap')}</span> : format.measure(row.at, unit)}</td>
                <td className="num t2">{row.stats && row.stats.gaps > 0 ? format.duration(row.stats.gaps * step * 1000) : word('explore.gaps.none')}</td>
              </tr>
            ))}
          </tbody>
        </table>
      </div>
    </Panel>
  )
}

function Nothing({ query, onQuery }: { query: string; onQuery: (query: string) => void }): ReactNode {
  const word = useWord()
  const names = useMetricNames().data ?? []
  const metric = tokens(query).find((token) => token.kind === 'metric')?.text
  const near = metric !== undefined && !names.includes(metric) ? nearest(metric, names) : undefined
  return (
    <Empty title={word('explore.none', { query: metric ?? query })}
      actions={near && <><span className="t2 sm">{word('explore.none.nearest')}</span><button type="button" className="btn small mono" onClick={() => onQuery(query.replace(metric!, near))}>{near}</button></>}>
      {near === undefined && word('explore.none.hint')}
    </Empty>
  )
}

function TooMany({ count, labels, query, onQuery }: { count: number; labels: Labels; query: string; onQuery: (query: string) => void }): ReactNode {
  const word = useWord()
  return (
    <div className="row wrap pb">
      <span className="warn sm">{word('explore.too_many', { count, shown: shownMost })}</span>
      {Object.keys(labels).filter((name) => name !== '__name__').slice(0, 4).map((name) => <button key={name} type="button" className="btn small mono" onClick={() => onQuery(`sum by (${name}) (${query})`)}>{name}</button>)}
    </div>
  )
}

const nameOf = (labels: Labels): string => JSON.stringify(Object.entries(labels).sort())

/** Names by the labels in which the series differ; all of them when there is only one. */
function differing(all: readonly Labels[]): (labels: Labels) => string {
  const names = [...new Set(all.flatMap((labels) => Object.keys(labels)))].filter((name) => name !== '__name__')
  const telling = names.filter((name) => new Set(all.map((labels) => labels[name])).size > 1)
  const used = telling.length > 0 ? telling : names
  return (labels) => used.map((name) => labels[name] ?? '').filter(Boolean).join(' ') || (labels['__name__'] ?? '')
}

/** The query's first metric name as a title. */
function headline(query: string): string {
  return tokens(query).find((token) => token.kind === 'metric')?.text ?? query.slice(0, 60)
}
