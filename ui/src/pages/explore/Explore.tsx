// What did these series do, and what changed at that moment? Queries, one graph each with tied cursors, series, changes.
import { useMemo, useRef, useState, type ReactNode } from 'react'
import './explore.css'
import { usePageRange, useSearch, useSetSearch } from '../../components/address'
import { CopyButton } from '../../components/Copy'
import type { GraphFlag } from '../../components/Graph'
import { RangeMenu } from '../../components/Header'
import { useKey, usePageKeys } from '../../components/keyboard'
import { millis, useFormat, useWord } from '../../components/language'
import { Panel } from '../../components/Panel'
import { rowShape, rowTarget } from '../../components/tones'
import { Empty, Loaded } from '../../components/Waiting'
import { useWholeTimeline } from '../../data/queries'
import { keepAsked } from '../../lib/asked'
import { pressed, queriesMost, readState, writeState, type ExploreState } from '../../lib/explore'
import { fittingStep } from '../../lib/grid'
import { frozen, isLive, queryStep, spanText, type Range } from '../../lib/range'
import { lineKey, linesMost } from '../../lib/story'
import { letterOf, readMost, useAnswers, type Answer } from './answers'
import { Changes } from './Changes'
import { Cursor } from './cursor'
import { Head } from './Head'
import { History } from './History'
import { beforeChoices, useBeforeName } from './Options'
import { Pictures, unitFor } from './Pictures'
import { Queries } from './Queries'
import { Rule } from './Rule'
import { SeriesTable } from './SeriesTable'
import { Share } from './Share'
import { useShown, useZoom } from './window'

const starts = [
  'avg by (mode) (rate(node_cpu_seconds_total{mode!="idle"}[5s]))',
  'node_memory_MemTotal_bytes - node_memory_MemAvailable_bytes',
  'sum by (device) (rate(node_network_receive_bytes_total[5s]))',
]

export default function Explore(): ReactNode {
  const word = useWord()
  const search = useSearch()
  const set = useSetSearch()
  const state = useMemo(() => readState(search), [search])
  const change = (part: Partial<ExploreState>): void => set(writeState(part))
  const asked = state.queries
  const [drafts, setDrafts] = useState<readonly string[]>(asked.length > 0 ? asked : [''])
  const [seen, setSeen] = useState(asked)
  if (seen !== asked && seen.join('\n') !== asked.join('\n')) {
    // Back and forward, or a link of a colleague: the editors follow the address.
    setSeen(asked)
    setDrafts(asked.length > 0 ? asked : [''])
  }
  const [round, setRound] = useState(0)
  const [focused, setFocused] = useState(0)
  const [history, setHistory] = useState(false)
  const [ruled, setRuled] = useState<string>()
  const [shared, setShared] = useState<string>()
  const [lit, setLit] = useState<number>()
  const cursor = useRef<Cursor>(undefined)
  cursor.current ??= new Cursor()

  const page = usePageRange()
  const zoom = useZoom(page)
  const shown = useShown(page, state.refresh, round)
  const auto = queryStep(shown.from, shown.to)
  const step = fittingStep(state.step ?? auto, shown.to - shown.from)
  const answers = useAnswers({ ...shown, step, before: state.before, limit: readMost, round }, state)
  const beforeName = useBeforeName(state.before)

  const run = (queries: readonly string[] = drafts): void => {
    const kept = queries.map((query) => query.trim()).filter(Boolean).slice(0, queriesMost)
    setRound((before) => before + 1)
    keepAsked(kept, Date.now())
    if (kept.join('\n') !== asked.join('\n')) change({ queries: kept, hidden: [], alone: undefined })
  }
  const put = (index: number, query: string): void => {
    const all = drafts.map((other, at) => (at === index ? query : other))
    setDrafts(all)
    run(all)
  }
  const at = Math.min(focused, drafts.length - 1)
  const query = drafts[at]?.trim() ?? ''
  const makeRule = (): void => { if (query !== '') setRuled(query) }
  const share = (): void => { if (asked.length > 0) setShared(frozen(location.href, shown)) }
  useExploreKeys(state, change, run, zoom.back, () => setHistory(true), makeRule)
  const { rows, flags, timeline } = useFlags(state.changes && asked.length > 0, page)
  const rangeName = useRangeName()
  const back = zoom.to ? word('explore.zoom.back', { range: rangeName(zoom.to) }) : isLive(page.range) ? undefined : word('explore.zoom.now')
  return (
    <>
      <Head at="queries">
        <RangeMenu keys={false} times />
        <span className="end" />
        <History opened={history} onOpen={setHistory} letter={letterOf(at)} onTake={(taken) => setDrafts(drafts.map((other, index) => (index === at ? taken : other)))} />
        <button type="button" className="btn quiet" aria-haspopup="dialog" aria-disabled={query === '' || undefined} onClick={makeRule}>{word('rule.title')}</button>
        <CopyButton className="btn quiet" text={() => frozen(location.href, shown)}>{word('explore.share')}</CopyButton>
        <button type="button" className="btn quiet" aria-haspopup="dialog" aria-disabled={asked.length === 0 || undefined} onClick={share}>{word('share.button')}</button>
        <button type="button" className="btn pri" onClick={() => run()} aria-keyshortcuts="Control+Enter">{word('explore.run')}<kbd>Ctrl Enter</kbd></button>
      </Head>
      <Queries drafts={drafts} answers={answers} asked={asked} focused={focused} range={{ from: shown.from, to: shown.to, step }} onFocus={setFocused} onDrafts={setDrafts} onRun={run} onRule={setRuled} />
      {asked.length === 0 ? (
        <Panel name={word('nav.explore')}>
          <Empty title={word('explore.empty')} actions={starts.map((start) => <button key={start} type="button" className="btn small mono start" onClick={() => { setDrafts([start]); run([start]) }}>{start}</button>)} />
        </Panel>
      ) : (
        <>
          <Pictures answers={answers} state={state} shown={shown} step={step} live={isLive(page.range)} flags={flags} zoom={zoom} back={back} cursor={cursor.current} lit={lit} onLit={setLit} onChange={change} onQuery={put} />
          <div className={state.changes ? 'below' : 'stack'}>
            <div className="stack">
              {state.view === 'graph' && answers.filter((answer) => answer.series.length > 0).map((answer) => (
                <SeriesTable key={answer.letter} answer={answer} state={state} unit={unitFor(answer.query, state)} step={step} beforeName={beforeName} cursor={cursor.current!}
                  onPress={(mark, one) => change(pressed(state, mark, one))} onAll={() => change({ hidden: [], alone: undefined })} onSort={(sort) => change({ sort })} />
              ))}
            </div>
            {state.changes && (
              <Panel title={word('explore.changes.title')} note={word('explore.changes.note')} className="changes-panel">
                <Loaded query={timeline} rows={3}>{() => <Changes rows={rows} cut={(timeline.data?.length ?? 0) >= linesMost} lit={lit} onLit={setLit} />}</Loaded>
              </Panel>
            )}
          </div>
        </>
      )}
      {ruled !== undefined && <Rule query={ruled} unit={unitFor(ruled, state)} reach={reachOf(answers, ruled)} range={{ from: shown.from, to: shown.to }} onClose={() => setRuled(undefined)} />}
      {shared !== undefined && <Share queries={asked} link={shared} onClose={() => setShared(undefined)} />}
    </>
  )
}

/** Least and most of a query's series in what is shown. */
function reachOf(answers: readonly Answer[], query: string): { min: number; max: number } | undefined {
  const found = (answers.find((answer) => answer.query === query)?.series ?? []).flatMap((one) => one.stats ?? [])
  return found.length === 0 ? undefined : { min: Math.min(...found.map(({ min }) => min)), max: Math.max(...found.map(({ max }) => max)) }
}

/** Changes in the range, as flags for the graphs and as rows for the list. */
function useFlags(enabled: boolean, page: ReturnType<typeof usePageRange>): { rows: NonNullable<ReturnType<typeof useWholeTimeline>['data']>; flags: GraphFlag[]; timeline: ReturnType<typeof useWholeTimeline> } {
  const format = useFormat()
  // A live start is rounded down, by a sixtieth of the range, so that the list is not asked anew each second; what lies before the range is left out again.
  const coarse = Math.max(10_000, Math.round((page.to - page.from) / 60_000) * 1000)
  const from = new Date(page.live ? Math.floor(page.from / coarse) * coarse : page.from).toISOString()
  const begin = page.live ? Math.floor(page.from / 10_000) * 10_000 : page.from
  const timeline = useWholeTimeline(enabled ? { from, ...(page.live ? {} : { to: new Date(page.to).toISOString() }) } : undefined)
  const rows = useMemo(() => {
    const seen = new Set<string>()
    // What says the same of the same instant is one flag.
    return (enabled ? (timeline.data ?? []) : []).filter((row) => row.flag && millis(row.at) >= begin && !seen.has(lineKey(row)) && seen.add(lineKey(row)))
  }, [timeline.data, enabled, begin])
  const flags = useMemo<GraphFlag[]>(
    () => rows.map((row) => ({ at: millis(row.at), shape: rowShape(row), name: row.flag!, title: format.text(row.text), ...(row.by ? { note: row.by } : {}), to: rowTarget(row), id: row.seq })),
    [rows, format],
  )
  return { rows, flags, timeline }
}

/** `last 5 min`, or both ends. */
function useRangeName(): (range: Range) => string {
  const word = useWord()
  const format = useFormat()
  return (range) => {
    if (!isLive(range)) return `${format.when(range.from)} - ${format.when(range.to)}`
    const span = /^now-(\w+)$/.exec(range.from)?.[1]
    return word('explore.zoom.last', { span: span ?? spanText(300_000) })
  }
}

function useExploreKeys(state: ExploreState, change: (part: Partial<ExploreState>) => void, run: () => void, back: () => void, history: () => void, rule: () => void): void {
  const word = useWord()
  const next = <T,>(list: readonly T[], at: T): T => list[(list.indexOf(at) + 1) % list.length]!
  useKey('Ctrl+Enter', () => run())
  useKey('/', (event) => { event.preventDefault(); document.querySelector<HTMLTextAreaElement>('.code-typed')?.focus() })
  useKey('v', () => change({ view: next(['graph', 'table', 'json'] as const, state.view) }))
  useKey('c', () => change({ changes: !state.changes }))
  useKey('b', () => change({ before: next([undefined, ...beforeChoices.slice(0, 2).map(([span]) => span)], state.before) }))
  useKey('y', () => change({ log: !state.log, ...(state.log ? {} : { stacked: false }) }))
  useKey('s', () => change({ stacked: !state.stacked, ...(state.stacked ? {} : { log: false }) }))
  useKey('z', back)
  useKey('h', history)
  useKey('m', rule)
  usePageKeys([
    ['Ctrl Enter', word('explore.key.run')], ['Ctrl Space', word('explore.key.complete')], ['/', word('explore.key.edit')], ['V', word('explore.key.view')], ['C', word('explore.key.changes')],
    ['B', word('explore.key.before')], ['S', word('explore.key.stacked')], ['Y', word('explore.key.log')], ['Z', word('explore.key.zoom')], ['H', word('explore.key.history')], ['M', word('explore.key.rule')],
  ])
}
