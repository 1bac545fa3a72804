// What happened: tracks and lanes on one time axis, and the same as a list. Hover on one lights the other.
import { Link } from '@tanstack/react-router'
import { useMemo, useState, type ReactNode } from 'react'
import { leftRoom, rightRoom } from '../../components/Graph'
import { millis, useFormat, useWord } from '../../components/language'
import { Panel } from '../../components/Panel'
import { Glyph } from '../../components/State'
import { Say, Time } from '../../components/Text'
import { TrackGraph, useFlags } from '../../components/Tracks'
import { rowShape } from '../../components/tones'
import { Empty, Loaded } from '../../components/Waiting'
import type { Overview, StoryRef } from '../../data/api'
import { useNow } from '../../data/clock'
import { useIncident, useTimeline } from '../../data/queries'
import { lanes, type Lanes, type Span } from '../../lib/lanes'
import { bySomeone, lineKey, tidy, type Line } from '../../lib/story'

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
  const [lit, setLit] = useState<string>()
  const all = timeline.data
  const rows = useMemo(() => tidy(all ?? []), [all])
  const flags = useFlags(rows, story.onset)
  const incident = useIncident(overview.story?.incident ?? undefined).data
  const drawn = useMemo(() => {
    const found = lanes((all ?? []) as never)
    // Who was told stands in the incident: the timeline names only what was delivered outside.
    const told = (incident?.told ?? []).map((one, index) => ({ at: millis(one.result.is === 'delivered' ? one.result.at : one.asked_at), seq: -1 - index, text: { id: 'incident.told', args: { receiver: one.channel === 'chat' ? `#${one.receiver}` : one.receiver } } }))
    return { ...found, told: [...found.told.filter((mark) => mark.text.id !== 'incident.told'), ...told] }
  }, [all, incident])
  const version = overview.running[0]?.to ?? rows.find((row) => row.text.id === 'change.release')?.text.args?.['to']
  const scope = [story.service, rows.find((row) => row.scope.environment)?.scope.environment?.toUpperCase()].filter(Boolean).join(', ')
  const range = story.to ? word('overview.story.range', { from: format.when(from), to: format.clock(to) }) : word('overview.story.to_now', { from: format.when(from) })
  const explore = { q: story.tracks.map((track) => track.query), from: story.from, to: story.to ?? 'now' }
  const quiet = !overview.story && timeline.data !== undefined && rows.length === 0
  return (
    <Panel title={word('overview.story')} note={[range, scope].filter(Boolean).join(', ')} actions={<Link className="btn small" to="/explore" search={explore as never}>{word('overview.explore')}</Link>}>
      <div className="story">
        <div className="tracks">
          {story.tracks.map((track, index) => (
            <TrackGraph key={track.query} track={track} from={from} to={to} flags={flags} first={index === 0} version={version} height={index === 0 ? 140 : 72} live={!story.to} lit={lit} onLit={setLit} />
          ))}
          <LaneRows lanes={drawn} from={from} to={to} />
        </div>
        <div className="evs">
          <h3 className="sr">{word('overview.story.list')}</h3>
          {quiet ? <Empty title={word('overview.story.none')}>{word('overview.story.none.hint')}</Empty> : (
            <Loaded query={timeline} rows={8}>{() => <StoryList rows={rows} onset={story.onset ?? undefined} lit={lit} onLit={setLit} />}</Loaded>
          )}
        </div>
      </div>
    </Panel>
  )
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
        <i className={`lane-bar ${span.tone}`} title={span.text ? format.text(span.text) : undefined} style={{ ['--at' as string]: start, width: `${Math.max(0.4, end - start)}%` }} />
      </span>
    )
  }
  const lastServer = servers.at(-1)
  const lastAlert = alert.at(-1)
  const label = (span: Span | undefined, all: readonly Span[]): ReactNode => {
    if (!span) return null
    const at = share(span.to ?? to)
    const start = share(all[0]?.from ?? from)
    // Beside the bars, never on them: where neither side has the room the bars' titles say it.
    if (at > 60 && start < 30) return null
    const text = span.text ? format.text(span.text) : ''
    const when = span.to === undefined ? word('overview.lane.since', { from: format.clock(span.from) }) : word('overview.lane.span', { from: format.clock(span.from), to: format.clock(span.to) })
    const said = span.tone === 'bad' && span === lastAlert ? when : text
    return <span className="lane-label t3 xs" data-side={at > 60 ? 'before' : 'after'} style={at > 60 ? { ['--at' as string]: start - 1, maxWidth: `${start - 1}%` } : { ['--at' as string]: at + 1, maxWidth: `${99 - at}%` }}>{said}</span>
  }
  return (
    <div className="lanes" role="group" style={{ ['--left' as string]: `${leftRoom}px`, ['--right' as string]: `${rightRoom}px` }}>
      <div className="lane"><span className="t3 xs">{word('overview.lane.servers')}</span><div>{servers.map(bar)}{label(lastServer, servers)}</div></div>
      <div className="lane"><span className="t3 xs">{word('overview.lane.alert')}</span><div>{alert.map(bar)}{label(lastAlert, alert)}</div></div>
      <div className="lane">
        <span className="t3 xs">{word('overview.lane.told')}</span>
        <div>{told.map((mark) => <span key={mark.seq} className="lane-mark" style={{ ['--at' as string]: share(mark.at) }} title={format.text(mark.text)}><Glyph shape={mark.text.id === 'incident.acknowledged' ? 'person' : 'message'} /></span>)}</div>
      </div>
      <div className="lane-axis xs t3" aria-hidden="true"><span />
        <div>{ticks.map((one) => <span key={one.part} style={{ left: `${one.part * 100}%`, transform: one.part < 0.1 ? undefined : one.part > 0.9 ? 'translateX(-100%)' : 'translateX(-50%)' }}>{format.clock(one.at)}</span>)}</div>
      </div>
    </div>
  )
}

function StoryList({ rows, onset, lit, onLit }: { rows: readonly Line[]; onset: string | undefined; lit: string | undefined; onLit: (key: string | undefined) => void }): ReactNode {
  const format = useFormat()
  const word = useWord()
  return (
    <ol tabIndex={0} aria-label={word('overview.story.list')}>
      {rows.slice(-40).map((row) => {
        const key = lineKey(row)
        return (
          <li key={key} className={lit === key ? 'lit' : ''} onPointerEnter={() => onLit(key)} onPointerLeave={() => onLit(undefined)} onFocus={() => onLit(key)} onBlur={() => onLit(undefined)}>
            <Glyph shape={rowShape(row as never)} />
            <Time at={row.at} clock />
            <span className="prose"><Say text={row.text} short />{bySomeone(row) && <span className="t3 xs" style={{ display: 'block' }}>{row.by}</span>}</span>
            <span className="t3 xs nw">{onset ? format.offset(millis(row.at) - millis(onset)) : ''}</span>
          </li>
        )
      })}
    </ol>
  )
}
