// What did these series do, and what changed at that moment? Queries, one graph each with tied cursors, series, changes.
import { useMemo, useState, type ReactNode } from 'react'
import './explore.css'
import { usePageRange, useSearch, useSetSearch } from '../../components/address'
import type { GraphFlag } from '../../components/Graph'
import { Icon } from '../../components/Icon'
import { useKey } from '../../components/keyboard'
import { millis, useFormat, useWord } from '../../components/language'
import { Panel } from '../../components/Panel'
import { Glyph } from '../../components/State'
import { Say, Time } from '../../components/Text'
import { rowShape, rowTarget } from '../../components/tones'
import { Empty, Loaded } from '../../components/Waiting'
import type { TimelineRow } from '../../data/api'
import { useTimeline } from '../../data/queries'
import { Editor } from './Editor'
import { Result } from './Result'

export const letter = (index: number): string => String.fromCharCode(65 + index)
const most = 8
const starts = [
  'avg by (mode) (rate(node_cpu_seconds_total{mode!="idle"}[5s]))',
  'node_memory_MemTotal_bytes - node_memory_MemAvailable_bytes',
  'sum by (device) (rate(node_network_receive_bytes_total[5s]))',
]

export type View = 'graph' | 'table' | 'json'

export default function Explore(): ReactNode {
  const word = useWord()
  const format = useFormat()
  const search = useSearch()
  const set = useSetSearch()
  const range = usePageRange()
  const asked = useMemo(() => list(search['q']), [search['q']])
  const [drafts, setDrafts] = useState<readonly string[]>(asked.length > 0 ? asked : [''])
  const [seen, setSeen] = useState(asked)
  if (seen !== asked && seen.join('\n') !== asked.join('\n')) {
    // Back and forward, or a link of a colleague: the editors follow the address.
    setSeen(asked)
    setDrafts(asked.length > 0 ? asked : [''])
  }
  const [round, setRound] = useState(0)
  const view: View = search['view'] === 'table' || search['view'] === 'json' ? search['view'] : 'graph'
  const withChanges = search['changes'] !== 'off'
  const run = (queries: readonly string[] = drafts): void => {
    const kept = queries.map((query) => query.trim()).filter(Boolean).slice(0, most)
    setRound((before) => before + 1)
    if (kept.join('\n') !== asked.join('\n')) set({ q: kept.length === 0 ? undefined : kept })
  }
  useKey('Ctrl+Enter', () => run())
  const fixedTo = range.live ? undefined : new Date(range.to).toISOString()
  // A live start is rounded down to ten seconds, so that the list is not asked anew each second.
  const fixedFrom = new Date(range.live ? Math.floor(range.from / 10_000) * 10_000 : range.from).toISOString()
  const timeline = useTimeline(withChanges ? { from: fixedFrom, ...(fixedTo ? { to: fixedTo } : {}) } : undefined)
  const changes = useMemo(() => (timeline.data ?? []).filter((row) => row.flag), [timeline.data])
  const flags = useMemo<GraphFlag[]>(
    () => (withChanges ? changes.map((row) => ({ at: millis(row.at), shape: rowShape(row), name: row.flag!, title: format.text(row.text), ...(row.by ? { note: row.by } : {}), to: rowTarget(row), id: row.seq })) : []),
    [changes, withChanges, format],
  )
  const [lit, setLit] = useState<number>()
  return (
    <>
      <div className="row wrap">
        <h1>{word('nav.explore')}</h1>
        <span className="end" />
        <button type="button" className="btn pri" onClick={() => run()} aria-keyshortcuts="Control+Enter">{word('explore.run')}<kbd>Ctrl Enter</kbd></button>
      </div>
      <Panel name={word('explore.query', { letter: drafts.map((_, index) => letter(index)).join(', ') })}>
        {drafts.map((draft, index) => (
          <Editor key={index} letter={letter(index)} value={draft} asked={asked[index]} round={round} range={range}
            onChange={(text) => setDrafts(drafts.map((other, at) => (at === index ? text : other)))} onRun={() => run()}
            onRemove={drafts.length > 1 ? () => { const rest = drafts.filter((_, at) => at !== index); setDrafts(rest); run(rest) } : undefined} />
        ))}
        <div className="q add">
          <button type="button" className="btn quiet small" disabled={drafts.length >= most} onClick={() => setDrafts([...drafts, ''])}><Icon name="plus" />{word('explore.add')}</button>
          <span className="t3 sm grow">{word('explore.hint')}</span>
          {asked.length > 1 && <span className="t3 sm">{word('explore.tied')}</span>}
        </div>
      </Panel>
      {asked.length === 0 ? (
        <Panel name={word('nav.explore')}>
          <Empty title={word('explore.empty')} actions={starts.map((start) => <button key={start} type="button" className="btn small mono start" onClick={() => { setDrafts([start]); run([start]) }}>{start}</button>)} />
        </Panel>
      ) : (
        asked.map((query, index) => (
          <Result key={`${index}-${query}`} query={query} letter={letter(index)} range={range} view={view} flags={flags} first={index === 0} withChanges={withChanges} round={round} lit={lit} onLit={setLit} onQuery={(next) => { const all = asked.map((other, at) => (at === index ? next : other)); setDrafts(all); run(all) }} />
        ))
      )}
      {withChanges && asked.length > 0 && (
        <Panel title={word('explore.changes.title')} note={word('explore.changes.note')}>
          <Loaded query={timeline} rows={3}>{() => <ChangeList rows={changes} lit={lit} onLit={setLit} />}</Loaded>
        </Panel>
      )}
    </>
  )
}

function ChangeList({ rows, lit, onLit }: { rows: readonly TimelineRow[]; lit: number | undefined; onLit: (seq: number | undefined) => void }): ReactNode {
  const word = useWord()
  if (rows.length === 0) return <Empty title={word('explore.changes.none')} />
  return (
    <ol className="evs changes">
      {[...rows].reverse().slice(0, 50).map((row) => (
        <li key={row.seq} className={lit === row.seq ? 'lit' : ''} onPointerEnter={() => onLit(row.seq)} onPointerLeave={() => onLit(undefined)}>
          <Glyph shape={rowShape(row)} /><Time at={row.at} digits={1} /><span className="prose"><Say text={row.text} />{row.by && <span className="t3"> {row.by}</span>}</span><span />
        </li>
      ))}
    </ol>
  )
}

function list(value: string | readonly string[] | undefined): readonly string[] {
  return value === undefined ? [] : typeof value === 'string' ? [value] : value
}
