// What happened: tracks and lanes on one time axis, and the same as a list. Hover on one lights the other.
import { Link } from '@tanstack/react-router'
import { useMemo, useState, type ReactNode } from 'react'
import { Graph, leftRoom, rightRoom, type GraphFlag, type GraphSeries } from '../../components/Graph'
import { millis, useFormat, useWord } from '../../components/language'
import { Panel } from '../../components/Panel'
import { Glyph } from '../../components/State'
import { Say, Time } from '../../components/Text'
import { rowShape, rowTarget } from '../../components/tones'
import { Empty, Loaded } from '../../components/Waiting'
import type { Overview, StoryRef, TimelineRow, Track } from '../../data/api'
import { useNow } from '../../data/clock'
import { useRange, type Frame } from '../../data/prom'
import { useTimeline } from '../../data/queries'
import { lanes, type Lanes, type Span } from '../../lib/lanes'
import { unitNamed } from '../../lib/number'
import { queryStep } from '../../lib/range'

export function Story({ overview }: { overview: Overview }): ReactNode {
  const word = useWord()
  const format = useFormat()
  const now = useNow(1000)
  // Without a story: the last 15 minutes of the first two numbers. The start moves once a minute, so that nothing is asked twice.
  const minute = Math.floor(now / 60_000) * 60_000
  const story: StoryRef = overview.story ?? {
    from: new Date(minute - 900_000).toISOString(),
    tracks: overview.numbers.slice(0, 2).map((one) => ({ title: one.title, query: one.query, unit: one.unit })),
  }
  const from = millis(story.from)
  const to = story.to ? millis(story.to) : Math.max(now, from + 10_000)
  const timeline = useTimeline({ from: story.from, ...(story.to ? { to: story.to } : {}), service: story.service ?? undefined })
  const [lit, setLit] = useState<number>()
  const rows = timeline.data ?? []
  const flags = useMemo<GraphFlag[]>(
    () => rows.flatMap((row) => (row.flag ? [{ at: millis(row.at), shape: rowShape(row), name: row.flag, title: format.text(row.text), ...(row.by ? { note: row.by } : {}), to: rowTarget(row), id: row.seq }] : [])),
    [rows, format],
  )
  const drawn = useMemo(() => lanes(rows as never), [rows])
  const version = overview.running[0]?.to ?? rows.find((row) => row.text.id === 'order.started')?.text.args?.['to']
  const scope = [story.service, rows.find((row) => row.scope.environment)?.scope.environment?.toUpperCase()].filter(Boolean).join(', ')
  const range = story.to ? word('overview.story.range', { from: format.when(from), to: format.clock(to) }) : word('overview.story.to_now', { from: format.when(from) })
  const explore = { q: story.tracks.map((track) => track.query), from: story.from, to: story.to ?? 'now' }
  const quiet = !overview.story && timeline.data !== undefined && rows.length === 0
  return (
    <Panel title={word('overview.story')} note={[range, scope].filter(Boolean).join(', ')} actions={<Link className="btn small" to="/explore" search={explore as never}>{word('overview.explore')}</Link>}>
      <div className="story">
        <div className="tracks">
          {story.tracks.map((track, index) => (
            <TrackGraph key={track.query} track={track} story={story} from={from} to={to} flags={flags} first={index === 0} version={version} lit={lit} onLit={(id) => setLit(id as number | undefined)} />
          ))}
          <LaneRows lanes={drawn} from={from} to={to} />
        </div>
        <div className="evs">
          <h3 className="sr">{word('overview.story.list')}</h3>
          {quiet ? <Empty title={word('overview.story.none')}>{word('overview.story.none.hint')}</Empty> : (
            <Loaded query={timeline} rows={8}>{(all) => <StoryList rows={all} onset={story.onset ?? undefined} lit={lit} onLit={setLit} />}</Loaded>
          )}
        </div>
      </div>
    </Panel>
  )
}

interface TrackProps { track: Track; story: StoryRef; from: number; to: number; flags: readonly GraphFlag[]; first: boolean; version: string | undefined; lit: number | undefined; onLit: (id: string | number | undefined) => void }

function TrackGraph({ track, story, from, to, flags, first, version, lit, onLit }: TrackProps): ReactNode {
  const word = useWord()
  const format = useFormat()
  const unit = unitNamed(track.unit)
  const step = queryStep(from, to, 300, 0.2)
  // While the story goes on its end moves: then the range is a live one that began at the story's start.
  const live = !story.to
  const query = useRange(track.query, { from: live ? Math.floor(from / 1000) * 1000 : from, to: live ? Math.ceil(to / 10_000) * 10_000 : to }, step)
  const again = useRange(track.query, { from: to - 12_000, to }, step, { live, enabled: live })
  const frame = useMemo(() => merge(query.data, live ? again.data : undefined), [query.data, again.data, live])
  const series = useMemo<GraphSeries[]>(() => (frame?.series ?? []).slice(0, 8).map((one, index) => named(one.labels, one.values, index)), [frame, version, track.title, word])
  function named(labels: Readonly<Record<string, string>>, values: readonly (number | null)[], index: number): GraphSeries {
    const release = labels['release'] ?? labels['version']
    if (release !== undefined) {
      const fresh = release === version || release === 'new'
      return fresh
        ? { name: word('overview.story.new', { title: track.title, version: release }), values, color: '--new' }
        : { name: word('overview.story.old', { title: `${track.title} ${release}` }), values, color: '--old' }
    }
    const label = Object.entries(labels).filter(([name]) => name !== '__name__').map(([, value]) => value).join(' ')
    return { name: label || track.title, values, color: first ? '--text' : index === 0 ? '--new' : `--s${index + 1}`, dash: index >= 4 }
  }
  return (
    <div>
      <div className="track-name"><span className="t2 xs">{track.title}{unit === 'none' && track.unit ? ` (${track.unit})` : ''}</span></div>
      <Graph name={track.title} times={frame?.times ?? []} series={series} unit={unit} from={from} to={to} height={first ? 190 : 84} flags={flags} flagNames={first} axis={false}
        group="story" loading={query.isPending} zero={!first || unit === 'ratio' || unit === 'percent'} lit={lit} onLit={onLit} tableSwitch={first} ends={series.length > 1}
        {...(frame && series.length > 0 ? {} : { sentence: word('graph.sentence.none', { name: track.title }) })} />
      {query.error && !query.data ? <p className="bad sm" role="alert" style={{ padding: '0 14px' }}>{query.error.message}</p> : null}
      <span className="sr">{format.clock(from)}</span>
    </div>
  )
}

/** Puts the newest samples behind those that were read at first. */
function merge(first: Frame | undefined, newest: Frame | undefined): Frame | undefined {
  if (!first || !newest || newest.times.length === 0) return first ?? newest
  const key = (labels: Readonly<Record<string, string>>): string => JSON.stringify(Object.entries(labels).sort())
  const cut = newest.times[0]!
  const kept = first.times.filter((at) => at < cut).length
  const times = [...first.times.slice(0, kept), ...newest.times]
  const tails = new Map(newest.series.map((one) => [key(one.labels), one]))
  const series = first.series.map((one) => {
    const tail = tails.get(key(one.labels))
    tails.delete(key(one.labels))
    return { labels: one.labels, values: [...one.values.slice(0, kept), ...(tail?.values ?? newest.times.map(() => null))] }
  })
  for (const tail of tails.values()) series.push({ labels: tail.labels, values: [...new Array<null>(kept).fill(null), ...tail.values] })
  return { ...newest, times, series }
}

function LaneRows({ lanes: { servers, alert, told }, from, to }: { lanes: Lanes; from: number; to: number }): ReactNode {
  const word = useWord()
  const format = useFormat()
  const share = (at: number): number => Math.max(0, Math.min(100, ((at - from) / (to - from)) * 100))
  const ticks = useMemo(() => [0.02, 0.25, 0.5, 0.75, 0.98].map((part) => ({ part, at: from + (to - from) * part })), [from, to])
  const bar = (span: Span, index: number): ReactNode => {
    const start = share(span.from)
    const end = share(span.to ?? to)
    return (
      <span key={index}>
        <i className={`lane-bar ${span.tone}`} style={{ left: `${start}%`, width: `${Math.max(0.4, end - start)}%` }} />
      </span>
    )
  }
  const lastServer = servers.at(-1)
  const lastAlert = alert.at(-1)
  const label = (span: Span | undefined): ReactNode => {
    if (!span) return null
    const at = share(span.to ?? to)
    const text = span.text ? format.text(span.text) : ''
    const when = span.to === undefined ? word('overview.lane.since', { from: format.clock(span.from) }) : word('overview.lane.span', { from: format.clock(span.from), to: format.clock(span.to) })
    const said = span.tone === 'bad' && span === lastAlert ? when : text
    return <span className="lane-label t3 xs" style={at > 60 ? { right: `${Math.min(96, 100 - share(span.from) + 1)}%` } : { left: `${at + 1}%` }}>{said}</span>
  }
  return (
    <div className="lanes" role="group" style={{ ['--left' as string]: `${leftRoom}px`, ['--right' as string]: `${rightRoom}px` }}>
      <div className="lane"><span className="t3 xs">{word('overview.lane.servers')}</span><div>{servers.map(bar)}{label(lastServer)}</div></div>
      <div className="lane"><span className="t3 xs">{word('overview.lane.alert')}</span><div>{alert.map(bar)}{label(lastAlert)}</div></div>
      <div className="lane">
        <span className="t3 xs">{word('overview.lane.told')}</span>
        <div>{told.map((mark) => <span key={mark.seq} className="lane-mark" style={{ left: `${share(mark.at)}%` }} title={format.text(mark.text)}><Glyph shape={mark.text.id === 'incident.acknowledged' ? 'person' : 'message'} /></span>)}</div>
      </div>
      <div className="lane-axis xs t3" aria-hidden="true"><span />
        <div>{ticks.map((one) => <span key={one.part} style={{ left: `${one.part * 100}%`, transform: one.part < 0.1 ? undefined : one.part > 0.9 ? 'translateX(-100%)' : 'translateX(-50%)' }}>{format.clock(one.at)}</span>)}</div>
      </div>
    </div>
  )
}

export function StoryList({ rows, onset, lit, onLit }: { rows: readonly TimelineRow[]; onset: string | undefined; lit?: number | undefined; onLit?: (seq: number | undefined) => void }): ReactNode {
  const format = useFormat()
  const shown = rows.slice(-14)
  return (
    <ol>
      {shown.map((row) => (
        <li key={row.seq} className={lit === row.seq ? 'lit' : ''} onPointerEnter={() => onLit?.(row.seq)} onPointerLeave={() => onLit?.(undefined)} onFocus={() => onLit?.(row.seq)} onBlur={() => onLit?.(undefined)}>
          <Glyph shape={rowShape(row)} />
          <Time at={row.at} clock />
          <span className="prose"><Say text={row.text} />{row.by && <span className="t3 xs" style={{ display: 'block' }}>{row.by}</span>}</span>
          <span className="t3 xs nw">{onset ? format.offset(millis(row.at) - millis(onset)) : ''}</span>
        </li>
      ))}
    </ol>
  )
}
