// Where series come from: which metric, which label, which pair and which source has how many; a press narrows to it, and says what could go.
import { Link } from '@tanstack/react-router'
import { useMemo, useRef, type ReactNode } from 'react'
import './explore.css'
import './cardinality.css'
import { useSearch, useSetSearch } from '../../components/address'
import { Icon } from '../../components/Icon'
import { useFormat, useWord } from '../../components/language'
import { Panel } from '../../components/Panel'
import { Glyph } from '../../components/State'
import { Figure } from '../../components/Text'
import { Empty, Loaded } from '../../components/Waiting'
import type { Cardinality as Counted } from '../../data/api'
import { useCardinality } from '../../data/queries'
import { metricOf, narrowed, readMatchers, selectorFor, writeMatchers, type Matcher } from '../../lib/narrow'
import { number } from '../../lib/number'
import { Advice, useAdvice, type Advised } from './Advice'
import { Bars, type Bar } from './Bars'
import { Head } from './Head'

const rowsFew = 10
const rowsMany = 200
/** So many rows more are asked for: what is not shown of them (the metric's own name, what it is narrowed to) leaves no hole. */
const rowsSpare = 20
/** From this share of a limit on the page says that it is near. */
const near = 0.8

/** What is shown: everything of it belongs to one count. */
interface Shown { data: Counted; matchers: readonly Matcher[]; label: string | undefined; limit: number; advised: Advised | null }

export default function Cardinality(): ReactNode {
  const word = useWord()
  const format = useFormat()
  const search = useSearch()
  const set = useSetSearch()
  const matchers = useMemo(() => readMatchers(search['where']), [search])
  const label = typeof search['label'] === 'string' ? search['label'] : undefined
  const limit = search['rows'] === 'many' ? rowsMany : rowsFew
  const selector = selectorFor(matchers)
  const counted = useCardinality(selector, label, limit + rowsSpare)
  // The whole is known beside every part of it.
  const all = useCardinality(undefined, undefined, rowsFew + rowsSpare)
  const narrow = (one: Matcher): void => set({ where: writeMatchers(narrowed(matchers, one)), ...(one.name === label ? { label: undefined } : {}) })
  const whole = matchers.length === 0 ? counted : all
  const here = counted.isPlaceholderData || (whole.data === undefined && !whole.isError) ? undefined : counted.data
  const advised = useAdvice(here, all.data, matchers)
  // The page changes as one, when all of the next step is counted: a row must not move away under the hand.
  const kept = useRef<Shown>(undefined)
  if (here !== undefined && advised !== undefined) kept.current = { data: here, matchers, label, limit, advised }
  const shown = kept.current
  const counts = shown === undefined || shown.matchers !== matchers || shown.label !== label || shown.limit !== limit || counted.isFetching
  return (
    <>
      <Head at="cardinality">
        <span className="end" />
        {counted.dataUpdatedAt > 0 && <span className="t3 sm nw"><Figure>{counts ? word('cardinality.counting') : word('cardinality.as_of', { time: format.clock(counted.dataUpdatedAt) })}</Figure></span>}
        <button type="button" className="btn" aria-disabled={counted.isFetching} onClick={() => { void counted.refetch(); void all.refetch() }}>{word('cardinality.again')}</button>
        <Link to="/explore" search={{ q: selector ?? 'topk(20, count by (__name__) ({__name__=~".+"}))', ...(selector ? {} : { view: 'table' }) } as never} className="btn pri">{word('cardinality.explore')}</Link>
      </Head>
      <Loaded query={{ ...counted, data: counted.isError && counted.data === undefined ? undefined : shown }} height={420}>
        {(now) => (
          <div className="stack" aria-busy={counts}>
            <Whole data={now.data} all={all.data} matchers={now.matchers} onMatchers={(next) => set({ where: writeMatchers(next) })} />
            {now.data.series === 0 ? (
              <Panel name={word('cardinality.all_series')}><Empty title={word(now.matchers.length > 0 ? 'cardinality.none' : 'cardinality.empty')}>{word(now.matchers.length > 0 ? 'cardinality.none.hint' : 'cardinality.empty.hint')}</Empty></Panel>
            ) : (
              <>
                {now.advised && <Advice advised={now.advised} onNarrow={narrow} onLabel={(name) => set({ label: name })} />}
                <Lists data={now.data} matchers={now.matchers} label={now.label} limit={now.limit} onNarrow={narrow} onLabel={(name) => set({ label: name })} onMore={() => set({ rows: limit === rowsMany ? undefined : 'many' })} />
              </>
            )}
          </div>
        )}
      </Loaded>
    </>
  )
}

/** How many there are of how many that fit, what it is narrowed to, and which limit is near. */
function Whole({ data, all, matchers, onMatchers }: { data: Counted; all: Counted | undefined; matchers: readonly Matcher[]; onMatchers: (next: readonly Matcher[]) => void }): ReactNode {
  const word = useWord()
  const format = useFormat()
  const whole = matchers.length === 0 ? data : all
  const of = whole ? whole.series / whole.series_max : 0
  const full = whole?.sources.filter((source) => source.series >= near * whole.series_per_source_max) ?? []
  const sentence = matchers.length === 0
    ? word('cardinality.all', { series: data.series, share: format.measure(of, 'ratio'), max: data.series_max })
    : all ? word('cardinality.some', { series: data.series, all: all.series }) : word('cardinality.one', { series: data.series })
  return (
    <Panel name={word('cardinality.all_series')} className="whole">
      <div className="pb">
        <p className="m whole-said" role="status">{sentence}</p>
        <div className="bar" role="meter" aria-label={word('cardinality.bar')} aria-valuemin={0} aria-valuemax={whole?.series_max ?? 0} aria-valuenow={whole?.series ?? 0}>
          <i style={{ width: `${Math.min(100, of * 100)}%`, minWidth: 2, background: of >= near ? 'var(--warn)' : 'var(--s5)' }} />
        </div>
        {matchers.length > 0 && (
          <ol className="row wrap chips" aria-label={word('cardinality.narrowed')}>
            <li><button type="button" className="btn small quiet" onClick={() => onMatchers([])}>{word('cardinality.all_series')}</button></li>
            {matchers.map((one) => (
              <li key={one.name} className="row">
                <span className="t3" aria-hidden="true">›</span>
                <button type="button" className="btn small chip" aria-label={word('cardinality.take_away', { name: `${one.name}=${one.value}` })} onClick={() => onMatchers(matchers.filter((other) => other !== one))}>
                  <span className="mono cut">{one.name === '__name__' ? one.value : `${one.name}=${one.value}`}</span><Icon name="close" />
                </button>
              </li>
            ))}
          </ol>
        )}
        {whole && of >= near && <p className="row warn sm"><Glyph shape="late" />{word('cardinality.limit', { series: whole.series, max: whole.series_max })}</p>}
        {full.slice(0, 3).map((source) => <p key={source.name} className="row warn sm"><Glyph shape="late" /><span className="prose">{word('cardinality.limit.source', { source: source.name, series: source.series, max: whole!.series_per_source_max })}</span></p>)}
      </div>
    </Panel>
  )
}

interface ListsProps {
  data: Counted
  matchers: readonly Matcher[]
  label: string | undefined
  limit: number
  onNarrow: (one: Matcher) => void
  onLabel: (name: string | undefined) => void
  onMore: () => void
}

function Lists({ data, matchers, label, limit, onNarrow, onLabel, onMore }: ListsProps): ReactNode {
  const word = useWord()
  const format = useFormat()
  const series = (of: number): string => word('cardinality.series.of', { series: of })
  const metric = metricOf(matchers)
  const fixed = new Set(matchers.map(({ name }) => name))
  const values = label === undefined ? undefined : data.values.map((one): Bar => ({ key: one.name, name: one.name || '""', size: one.series, said: number(one.series), more: format.measure(one.series / data.series, 'ratio'), onPress: () => onNarrow({ name: label, value: one.name }) }))
  const labels = data.labels.filter(({ name }) => name !== '__name__').map((one): Bar => ({
    key: one.name, name: one.name, size: one.values, said: word('cardinality.values.of', { values: one.values }), more: word('cardinality.label.more', { series: one.series, bytes: format.measure(one.value_bytes, 'bytes') }),
    pressed: one.name === label, onPress: () => onLabel(one.name === label ? undefined : one.name),
  }))
  // What the count is narrowed to is on every series of it, and says nothing.
  const pairs = data.pairs.filter(({ name }) => name !== '__name__' && !fixed.has(name)).map((one): Bar => ({
    key: `${one.name}=${one.value}`, name: <><span className="t2">{one.name}=</span>{one.value}</>, size: one.series, said: number(one.series), more: format.measure(one.series / data.series, 'ratio'), onPress: () => onNarrow(one),
  }))
  const metrics = data.metrics.map((one): Bar => ({ key: one.name, name: one.name, size: one.series, said: number(one.series), more: format.measure(one.series / data.series, 'ratio'), onPress: () => onNarrow({ name: '__name__', value: one.name }) }))
  const sources = data.sources.map((one): Bar => ({
    key: one.name, name: one.name, size: one.series, said: number(one.series), more: format.measure(one.series / data.series, 'ratio'), warn: matchers.length === 0 && one.series >= near * data.series_per_source_max,
    onPress: () => onNarrow({ name: data.source_label, value: one.name }),
  }))
  const shared = { most: limit, many: limit === rowsMany, onMore }
  return (
    <div className="lists">
      {values && (
        <Bars title={word('cardinality.values', { label })} note={word('cardinality.values.note', { total: data.values_total })} bars={values} total={data.values_total} {...shared}
          actions={<button type="button" className="btn small quiet" onClick={() => onLabel(undefined)}>{word('cardinality.close')}</button>} />
      )}
      {metric === undefined && <Bars title={word('cardinality.metrics')} note={word('cardinality.metrics.note')} bars={metrics} total={data.metrics_total} {...shared} />}
      <Bars title={word('cardinality.labels')} note={word('cardinality.labels.note')} bars={labels} total={data.labels_total - 1} {...shared} />
      <Bars title={word('cardinality.pairs')} note={word('cardinality.pairs.note')} bars={pairs} total={Math.max(pairs.length, data.pairs_total - data.metrics_total - [...fixed].filter((name) => name !== '__name__').length)} {...shared} />
      {!fixed.has(data.source_label) && data.sources.length > 0 && (
        <Bars title={word('cardinality.sources')} note={word('cardinality.sources.note', { label: data.source_label, max: data.series_per_source_max })} bars={sources} total={data.sources_total} {...shared} />
      )}
      <span className="sr" role="status">{series(data.series)}</span>
    </div>
  )
}
