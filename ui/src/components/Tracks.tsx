// Tracks of a story: one graph per number on one time axis, each with the flags of what happened.
import { useMemo, type ReactNode } from 'react'
import type { StoryRef, Track } from '../data/api'
import { useRange, type Frame } from '../data/prom'
import { unitNamed } from '../lib/number'
import { queryStep } from '../lib/range'
import { flagOf, lineKey, type Line } from '../lib/story'
import { Graph, type GraphFlag, type GraphProps, type GraphSeries } from './Graph'
import { millis, useFormat, useWord } from './language'
import { rowShape, rowTarget } from './tones'

/** The flags of a story's lines: releases by their names, halt and rollback by what they are, a leading onset. */
export function useFlags(lines: readonly Line[], onset?: string | null): GraphFlag[] {
  const word = useWord()
  const format = useFormat()
  return useMemo(() => {
    const flags = lines.flatMap((line): GraphFlag[] => {
      const flag = flagOf(line)
      if (!flag) return []
      if (flag.is === 'opened' && onset && Math.abs(millis(line.at) - millis(onset)) < 2000) return []
      const at = millis(line.at)
      const name = flag.is === 'named' ? flag.name : word(`story.flag.${flag.is}`, { time: format.clock(at, 1).slice(-4) })
      return [{ at, shape: rowShape(line as never), name, title: format.text(line.text), ...(line.by ? { note: line.by } : {}), to: rowTarget(line), id: lineKey(line) }]
    })
    // A halt at the onset is the same pole: it carries the name of both.
    const halted = onset ? flags.find((flag) => flag.shape === 'halted' && Math.abs(flag.at - millis(onset)) < 50) : undefined
    return onset && !halted ? [...flags, { at: millis(onset), shape: 'bad' as const, name: word('story.flag.onset'), title: word('story.flag.onset'), id: 'onset' }].sort((a, b) => a.at - b.at) : flags
  }, [lines, onset, word, format])
}

interface TrackProps {
  track: Track; from: number; to: number; flags: readonly GraphFlag[]; first: boolean; version?: string | undefined; height: number
  /** The end moves on with the clock. */
  live: boolean; axis?: boolean
  limits?: GraphProps['limits']; lit?: string | undefined; onLit?: (id: string | undefined) => void
}

export function TrackGraph({ track, from, to, flags, first, version, height, live, axis = false, limits, lit, onLit }: TrackProps): ReactNode {
  const word = useWord()
  const unit = unitNamed(track.unit)
  const step = queryStep(from, to, 300, 0.2)
  // While the story goes on its end moves: what was read at first is kept, and the newest seconds are read again.
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
      <div className="track-name"><span className="t2 xs">{track.title}{track.unit ? ` (${track.unit})` : ''}</span></div>
      <Graph name={track.title} times={frame?.times ?? []} series={series} unit={unit} from={from} to={to} height={height} flags={flags} flagNames={first} {...(first ? { flagRows: 3 } : {})} axis={axis}
        group="story" loading={query.isPending} zero={!first || unit === 'ratio' || unit === 'percent'} lit={lit} onLit={(id) => onLit?.(id as string | undefined)} tableSwitch={first} ends={series.length > 1} {...(limits ? { limits } : {})}
        {...(frame && series.length > 0 ? {} : { sentence: word('graph.sentence.none', { name: track.title }) })} />
      {query.error && !query.data ? <p className="bad sm" role="alert" style={{ padding: '0 14px' }}>{query.error.message}</p> : null}
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

/** What to draw for a service: the tracks of its story, else of the page's numbers. */
export const tracksOf = (story: StoryRef | null | undefined, service: string | undefined, numbers: readonly { title: string; query: string; unit: string }[]): Track[] =>
  story && (story.service ?? undefined) === service && story.tracks.length > 0 ? story.tracks : numbers.slice(0, 2).map(({ title, query, unit }) => ({ title, query, unit }))
