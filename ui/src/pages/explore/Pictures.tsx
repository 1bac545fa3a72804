// The answers in one panel, a graph for each query below each other with tied cursors; or as tables, or as JSON.
import { useEffect, useState, type ReactNode } from 'react'
import { CopyButton } from '../../components/Copy'
import { Graph, type GraphFlag } from '../../components/Graph'
import { useFormat, useWord } from '../../components/language'
import { Panel } from '../../components/Panel'
import { Glyph } from '../../components/State'
import { Empty, Loading, Problem } from '../../components/Waiting'
import { ApiError } from '../../data/http'
import { useMetricNames } from '../../data/prom'
import { nearest } from '../../lib/distance'
import type { ExploreState } from '../../lib/explore'
import type { Unit } from '../../lib/number'
import { errorSaid } from '../../lib/place'
import { compares, labelText, renamed, tokens } from '../../lib/promql'
import { unitOf } from '../../lib/unit'
import { drawn, shownMost, useTotal, type Answer } from './answers'
import type { Cursor } from './cursor'
import { Options, useBeforeName } from './Options'
import { answerCsv, InstantTable, JsonView, StepsTable } from './Tables'
import type { Shown, Zoom } from './window'

interface Props {
  answers: readonly Answer[]
  state: ExploreState
  shown: Shown
  step: number
  live: boolean
  flags: readonly GraphFlag[]
  zoom: Zoom
  back: string | undefined
  cursor: Cursor
  lit: number | undefined
  onLit: (id: number | undefined) => void
  onChange: (part: Partial<ExploreState>) => void
  onQuery: (index: number, query: string) => void
}

/** Rows for the names of flags above the first graph, with any or without. */
const flagRows = 2

export const unitFor = (query: string, state: Pick<ExploreState, 'unit'>): Unit => state.unit ?? unitOf(query)

export function Pictures(props: Props): ReactNode {
  const { answers, state, shown, step, onChange } = props
  const word = useWord()
  const format = useFormat()
  const first = answers[0]!
  const actions = (
    <>
      <span className="seg small" role="group" aria-label={word('explore.view')}>
        {(['graph', 'table', 'json'] as const).map((one) => <button key={one} type="button" aria-pressed={state.view === one} onClick={() => onChange({ view: one })}>{word(`explore.${one}`)}</button>)}
      </span>
      <span className="seg small"><button type="button" aria-pressed={state.changes} onClick={() => onChange({ changes: !state.changes })}><Glyph shape="release" tone={state.changes ? 'run' : 't3'} />{word('explore.changes')}</button></span>
    </>
  )
  const steps = format.duration(step * 1000).replace('.0', '')
  const unitSaid = (query: string): string => { const unit = unitFor(query, state); return unit === 'none' ? '' : word(`explore.unit.${unit}`) }
  const note = state.view === 'graph' || (state.view === 'table' && state.steps) ? [unitSaid(first.query), word(state.view === 'graph' ? 'explore.note' : 'explore.note.short', { step: steps })].filter(Boolean).join(word('explore.comma')) : undefined
  return (
    <Panel title={word('explore.panel', { letter: first.letter, title: headline(first.query) })} note={note && <span className="onmouse">{note}</span>} actions={actions} className="pictures">
      <Options state={state} span={shown.to - shown.from} step={step} unit={unitFor(first.query, state)} live={props.live} onChange={onChange}>
        {state.view === 'table' && answers.map((answer) => <CopyButton key={answer.letter} className="btn small" text={() => answerCsv(answer)}>{answers.length === 1 ? word('explore.csv') : `${word('explore.csv')} ${answer.letter}`}</CopyButton>)}
        {props.back && <button type="button" className="btn small" onClick={props.zoom.back}>{props.back}</button>}
      </Options>
      {answers.map((answer, index) => (
        <div key={answer.letter} className="picture">
          {index > 0 && <h3>{word('explore.panel', { letter: answer.letter, title: headline(answer.query) })} <span className="t3 sm">{unitSaid(answer.query)}</span></h3>}
          <Picture {...props} answer={answer} first={index === 0} onQuery={(query) => props.onQuery(index, query)} />
        </div>
      ))}
    </Panel>
  )
}

function Picture({ answer, first, state, shown, step, flags, zoom, cursor, lit, onLit, onQuery }: Omit<Props, 'onQuery'> & { answer: Answer; first: boolean; onQuery: (query: string) => void }): ReactNode {
  const word = useWord()
  const beforeName = useBeforeName(state.before)
  const title = headline(answer.query)
  const unit = unitFor(answer.query, state)
  const height = first ? 220 : 140
  // As high as the graph that comes in its place, so that what stands below stays where it is.
  const whole = state.view === 'graph' ? height + 24 + (first && state.changes ? flagRows * 24 : 0) : 200
  if (answer.error && answer.count === undefined) {
    // A mistake in the query is said under its editor; everything else here.
    const status = answer.error instanceof ApiError ? answer.error.status : 0
    const said = status === 400 ? word('explore.error', { letter: answer.letter }) : status > 400 && status < 500 ? word('explore.error.run', { letter: answer.letter }) : undefined
    return (
      <div style={{ minHeight: whole }}>
        {said ? <Empty title={<span className="st bad"><Glyph shape="bad" tone="" />{said}</span>} actions={status !== 400 && <button type="button" className="btn small" onClick={answer.retry}>{word('do.retry')}</button>}>{word('explore.error.where')}</Empty> : <Problem error={answer.error} onRetry={answer.retry} />}
      </div>
    )
  }
  if (answer.stopped && answer.count === undefined) return <div style={{ minHeight: whole }}><Empty title={word('explore.stopped')} actions={<button type="button" className="btn small" onClick={answer.retry}>{word('explore.run')}</button>} /></div>
  if (answer.count === undefined) return <Loading height={whole} onCancel={answer.cancel} />
  const old = answer.error
    ? <div className="rereading sm" role="status"><span className="bad">{word('explore.failed', { why: reason(answer.error, word) })}</span><button type="button" className="btn small" onClick={answer.retry}>{word('do.retry')}</button></div>
    : answer.old && <Rereading key={answer.stopped ? 'stopped' : 'reading'} stopped={answer.stopped} onCancel={answer.cancel} onRetry={answer.retry} />
  if (answer.count === 0) return <><div style={{ minHeight: whole }}><Nothing query={answer.query} onQuery={onQuery} /></div>{old}</>
  const at = shown.every === undefined ? shown.to : undefined
  if (state.view === 'json') return <><JsonView answer={answer} at={at} />{old}</>
  if (answer.instant) return <><InstantTable answer={answer} instant={answer.instant} at={at} unit={unit} title={title} />{old}</>
  const series = drawn(answer, state)
  return (
    <>
      {(answer.cut || answer.count > shownMost) && <TooMany answer={answer} at={at} onQuery={onQuery} />}
      {state.view === 'table' ? <StepsTable answer={answer} series={series} unit={unit} from={shown.from} to={shown.to} title={title} /> : (
        <>
          <Graph name={title} id={[answer.query, shown.range.from, shown.range.to, step, answer.old].join(' ')} times={answer.frame!.times} series={series} unit={unit} from={shown.from} to={shown.to} height={height} flags={flags} flagNames={first} flagRows={first && state.changes ? flagRows : 0} group="explore" tableSwitch={false}
            stacked={state.stacked} log={state.log} beforeName={beforeName} holds={shown.every !== undefined} lit={lit} onLit={(id) => onLit(id as number | undefined)} onCursor={(at) => cursor.set(answer.letter, at)}
            onZoom={zoom.in} onMove={zoom.move} onReset={zoom.back} />
          {answer.errorBefore !== null && answer.errorBefore !== undefined && <p className="bad sm note" role="status">{word('explore.before.failed', { before: beforeName, why: reason(answer.errorBefore, word) })} <button type="button" className="btn small" onClick={answer.retryBefore}>{word('do.retry')}</button></p>}
          {answer.nothingBefore && <p className="t3 sm note">{word('explore.before.empty', { before: beforeName })}</p>}
        </>
      )}
      {old}
    </>
  )
}

/** Why a read failed, in a few words. */
const reason = (error: unknown, word: ReturnType<typeof useWord>): string =>
  error instanceof ApiError && error.status === 0 ? word('error.network') : error instanceof ApiError ? errorSaid(error.message) : error instanceof Error ? error.message : String(error)

/** Over the answer for the range before, while that for the new one is read: after a second it says so, and it can be stopped. */
function Rereading({ stopped, onCancel, onRetry }: { stopped: boolean; onCancel: () => void; onRetry: () => void }): ReactNode {
  const word = useWord()
  const format = useFormat()
  const [elapsed, setElapsed] = useState(0)
  useEffect(() => {
    const began = performance.now()
    const timer = setInterval(() => setElapsed(performance.now() - began), 1000)
    return () => clearInterval(timer)
  }, [])
  if (stopped) return <div className="rereading sm" role="status"><span>{word('explore.stopped')}</span><button type="button" className="btn small" onClick={onRetry}>{word('explore.run')}</button></div>
  if (elapsed < 900) return null
  return <div className="rereading sm" role="status"><span>{word('wait.reading', { elapsed: format.duration(Math.floor(elapsed / 1000) * 1000) })}</span><button type="button" className="btn small" onClick={onCancel}>{word('do.cancel')}</button></div>
}

function Nothing({ query, onQuery }: { query: string; onQuery: (query: string) => void }): ReactNode {
  const word = useWord()
  const names = useMetricNames().data ?? []
  const metric = tokens(query).find((token) => token.kind === 'metric')?.text
  const near = metric !== undefined && !names.includes(metric) ? nearest(metric, names) : undefined
  if (near === undefined && compares(query)) return <Empty title={word('explore.none.compared')} />
  return (
    <Empty title={word('explore.none', { query: metric ?? query })}
      actions={near && <><span className="t2 sm">{word('explore.none.nearest')}</span><button type="button" className="btn small mono" onClick={() => onQuery(renamed(query, metric!, near))}>{near}</button></>}>
      {near === undefined && word('explore.none.hint')}
    </Empty>
  )
}

function TooMany({ answer, at, onQuery }: { answer: Answer; at: number | undefined; onQuery: (query: string) => void }): ReactNode {
  const word = useWord()
  const total = useTotal(answer, at)
  const read = answer.count ?? 0
  // Most useful to group by: labels with few values.
  const values = new Map<string, Set<string>>()
  for (const one of answer.frame?.series ?? []) for (const [name, value] of Object.entries(one.labels)) if (name !== '__name__') values.set(name, (values.get(name) ?? new Set()).add(value))
  const names = [...values].filter(([, found]) => found.size > 1).sort((a, b) => a[1].size - b[1].size).map(([name]) => name).slice(0, 4)
  return (
    <div className="row wrap note">
      <span className="warn sm">{answer.cut ? word('explore.too_many.cut', { count: total ?? `${read}+`, shown: shownMost, read }) : word('explore.too_many', { count: read, shown: shownMost })}</span>
      {names.map((name) => <button key={name} type="button" className="btn small mono" onClick={() => onQuery(`sum by (${labelText(name)}) (${answer.query})`)}>{name}</button>)}
    </div>
  )
}

/** The query's first metric name as a title. */
export function headline(query: string): string {
  return tokens(query).find((token) => token.kind === 'metric')?.text ?? query.slice(0, 60)
}
