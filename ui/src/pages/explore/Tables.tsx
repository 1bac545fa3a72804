// The answer as a table: the values at the end of the range, or a row for each step; both can be copied as CSV. And as JSON.
import { useMemo, type ReactNode } from 'react'
import { CopyButton } from '../../components/Copy'
import { DataTable, type Column } from '../../components/DataTable'
import { GraphTable } from '../../components/Graph'
import { Figure } from '../../components/Text'
import type { GraphSeries } from '../../components/plot'
import { useFormat, useWord } from '../../components/language'
import { keyOf, type Instant, type Labels } from '../../data/prom'
import { csv } from '../../lib/csv'
import type { Unit } from '../../lib/number'
import { seriesNames } from '../../lib/series'
import { useTotal, type Answer } from './answers'

type Row = Instant['rows'][number]
const rowsMost = 200
const named = (name: string, metric: string): string => (name === '__name__' ? metric : name)

/** Labels as columns: those in which the rows differ, and behind them those that all share. */
function labelColumns(rows: readonly { labels: Labels }[]): { differing: string[]; shared: string[] } {
  const names = [...new Set(rows.flatMap((row) => Object.keys(row.labels)))]
  const differing = names.filter((name) => new Set(rows.map((row) => row.labels[name])).size > 1)
  return { differing, shared: names.filter((name) => !differing.includes(name)) }
}

export function InstantTable({ answer, instant, at, unit, title }: { answer: Answer; instant: Instant; at: number | undefined; unit: Unit; title: string }): ReactNode {
  const word = useWord()
  const total = useTotal(answer, at)
  const format = useFormat()
  const { differing, shared } = useMemo(() => labelColumns(instant.rows), [instant])
  const names = [...differing, ...shared]
  // On a phone the first line tells the rows apart, the second says the rest.
  const [first, second] = differing.length > 0 ? [differing, shared] : [shared.slice(0, 1), shared.slice(1)]
  // A figure as it is shown elsewhere; what is none (NaN, infinite, a text) as the server wrote it.
  const shown = (row: Row): string => (instant.kind !== 'string' && Number.isFinite(Number(row.value)) ? format.measure(Number(row.value), unit) : row.value)
  const columns: Column<Row>[] = [
    ...names.map((name, index): Column<Row> => ({ id: name, head: named(name, word('explore.kind.metric')), cell: (row) => row.labels[name] ?? <span className="t3">-</span>, sort: (row) => row.labels[name] ?? '', className: index === 0 ? 'm' : 'mono' })),
    { id: 'value', head: word('explore.value'), number: true, cell: (row) => <b title={row.value}><Figure>{shown(row)}</Figure></b>, sort: (row) => (Number.isNaN(Number(row.value)) ? row.value : Number(row.value)), className: 'm' },
    ...(instant.kind === 'matrix' ? [{ id: 'samples', className: 'samples', head: word('explore.series.samples'), cell: (row: Row) => <span className="mono t2">{(row.more ?? []).slice(-4).map(([at, value]) => `${value} @${format.clock(at * 1000, 1)}`).join(', ')}</span> }] : []),
  ]
  const rows = instant.rows.slice(0, rowsMost)
  const ids = new Map(rows.map((row) => [row, keyOf(row.labels)]))
  return (
    <>
      {instant.rows.length > rowsMost && <p className="warn sm pb">{answer.cut ? word('explore.rows.cut.read', { shown: rowsMost, count: total ?? `${instant.rows.length}+`, read: instant.rows.length }) : word('explore.rows.cut', { shown: rowsMost, count: instant.rows.length })}</p>}
      <div className="instant" role="group" aria-label={title} tabIndex={0}>
        <DataTable name={title} columns={columns} rows={rows} id={(row) => ids.get(row) ?? ''}
          narrow={(row) => (
            <>
              <div className="row between top"><span className="m prose">{first.flatMap((name) => row.labels[name] ?? []).join(' ') || title}</span><Figure as="b" className="nw">{shown(row)}</Figure></div>
              <div className="t2 sm">{second.flatMap((name) => (row.labels[name] === undefined ? [] : [`${named(name, word('explore.kind.metric'))} ${row.labels[name]}`])).join(word('explore.comma'))}</div>
            </>
          )} />
      </div>
    </>
  )
}

/** The table as CSV: one row for each series, or for each step, of all series that were read. Values stand as the server wrote them. */
export function answerCsv(answer: Answer): string {
  if (answer.instant) {
    const { differing, shared } = labelColumns(answer.instant.rows)
    const names = [...differing, ...shared]
    return csv([...names, 'value', 'time'], answer.instant.rows.map((row) => [...names.map((name) => row.labels[name]), row.value, new Date(row.at * 1000).toISOString()]))
  }
  const { times, series } = answer.frame ?? { times: [], series: [] }
  const names = seriesNames(series.map((one) => one.labels))
  return csv(['time', ...names.map((name) => name || answer.letter)], times.map((at, index) => [new Date(at * 1000).toISOString(), ...series.map((one) => one.values[index])]))
}

export function StepsTable({ answer, series, unit, from, to, title }: { answer: Answer; series: readonly GraphSeries[]; unit: Unit; from: number; to: number; title: string }): ReactNode {
  return <GraphTable name={title} times={answer.frame?.times ?? []} series={series} unit={unit} from={from} to={to} height={320} />
}

/** Most letters of JSON on the page; a copy has all. */
const lettersMost = 200_000

export function JsonView({ answer, at }: { answer: Answer; at: number | undefined }): ReactNode {
  const word = useWord()
  const total = useTotal(answer, at)
  const { frame, instant } = answer
  const text = (most?: number): string => JSON.stringify(instant ?? { times: frame?.times, series: frame?.series.slice(0, most) }, undefined, 1)
  // A value takes a line of four letters at least: series that can't be reached are not written out each second.
  const shown = useMemo(() => text(Math.ceil(lettersMost / 4 / Math.max(1, frame?.times.length ?? 1)) + 1), [frame, instant])
  return (
    <div className="json-box">
      <CopyButton text={() => text()} className="btn small">{word('do.copy')}</CopyButton>
      {answer.cut && <p className="warn sm">{word('explore.json.read', { read: answer.count ?? 0, count: total ?? `${answer.count ?? 0}+` })}</p>}
      {shown.length > lettersMost && <p className="t2 sm">{word('explore.json.cut')}</p>}
      <pre className="code json" tabIndex={0}>{shown.slice(0, lettersMost)}</pre>
    </div>
  )
}
