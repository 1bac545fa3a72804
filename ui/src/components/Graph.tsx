// The one graph: lines with gaps, forecast bands, limits, flags of changes, a cursor tied over all graphs of a group, drag to
// zoom, and the same data as a table. Draws by uPlot; knows nothing of where data comes from.
import { useElementSize, useMergedRef } from '@mantine/hooks'
import { Link } from '@tanstack/react-router'
import { useEffect, useId, useMemo, useRef, useState, type ReactNode } from 'react'
import uPlot from 'uplot'
import 'uplot/dist/uPlot.min.css'
import '../styles/graph.css'
import { scheme, useSettings } from '../data/settings'
import { gather, place } from '../lib/flags'
import { askedFor } from '../lib/held'
import { tick } from '../lib/number'
import { isolated, logScale, logTicks, scale, stats, ticks, timeTicks } from '../lib/scale'
import { CursorBox, GraphTable } from './GraphBox'
import { hold, useHold } from './hold'
import { useFormat, useWord } from './language'
import { colorOf, columns, leftRoom, over, paint, reach, rightRoom, shade, stackBands, type GraphProps } from './plot'
import { Glyph, tones } from './State'

export type { GraphFlag, GraphProps, GraphSeries } from './plot'
export { colorOf, dashed, leftRoom, rightRoom, seriesColors } from './plot'
export { GraphTable } from './GraphBox'

/** Height of a row of names: 24 px is the least that a finger hits. */
const flagRow = 24
/** A glyph and the gap to the name beside it. */
const flagGlyph = 16

/** One list for all that is left out: a new one each time would draw the plot anew each time. */
const none: readonly never[] = []

const fontCanvas = document.createElement('canvas').getContext('2d')
function textWidth(text: string, bold: boolean): number {
  if (!fontCanvas) return text.length * 6
  fontCanvas.font = `${bold ? 600 : 500} 11px Inter Variable, sans-serif`
  return fontCanvas.measureText(text).width
}

/** Keeps what it showed last while the hand is on one of its group, so that nothing moves under the pointer. */
export function Graph(props: GraphProps): ReactNode {
  const alone = useId()
  const group = props.group ?? alone
  const since = useHold(group)
  const kept = useRef(props)
  // A table, another unit, a series hidden or shown are what a person asked for: they are shown at once.
  const same = askedFor(kept.current) === askedFor(props) && kept.current.times.length > 0
  if (!same) kept.current = props
  const held = since !== undefined && props.holds !== false
  if (!held) kept.current = props
  const shown = !held || !same ? props : { ...kept.current, lit: props.lit }
  useEffect(() => () => hold(group, false), [group])
  return <Drawn {...shown} pausedAt={held && kept.current.to !== props.to ? since : undefined} onHold={(on) => hold(group, on)} />
}

function Drawn(props: GraphProps & { pausedAt: number | undefined; onHold: (on: boolean) => void }): ReactNode {
  const { name, times, series, from, to, unit = 'none', height = 160, flags = none, flagNames = true, axis = true, limits = none, bands = none } = props
  const settings = useSettings()
  const theme = scheme(settings)
  const format = useFormat()
  const word = useWord()
  const { ref: sizeRef, width } = useElementSize<HTMLDivElement>()
  const host = useRef<HTMLDivElement>(null)
  const merged = useMergedRef(sizeRef, host)
  const plot = useRef<uPlot>(undefined)
  const latest = useRef(props)
  latest.current = props
  const [cursor, setCursor] = useState<{ index: number; left: number; own: boolean }>()
  const [own, setOwn] = useState(false)
  const [asTable, setAsTable] = useState(false)
  const [open, setOpen] = useState<number>()
  const cardId = useId()
  const table = props.table ?? asTable

  const zero = props.zero ?? true
  const { stacked: stack = false, log = false } = props
  const y = useMemo(() => {
    const [least, most] = reach(props)
    return log ? logScale(least, most) : scale(least, most, Math.max(2, Math.floor(height / 44)), zero)
  }, [times, series, bands, limits, from, to, height, zero, stack, log])
  const yRef = useRef(y)
  yRef.current = y

  const shapeKey = series.map((one) => `${one.name}|${one.color}|${one.dash}|${one.area}|${one.before !== undefined}|${stack && one.hidden === true}`).join('\n') + bands.length
  useEffect(() => {
    const element = host.current
    if (!element || width === 0 || table) return
    const color = paint()
    const before = series.filter((one) => one.before !== undefined).length
    // A label that would be cut at the right edge is left out.
    const shownTicks = (wide: number): { at: number; label: string }[] => {
      const inner = wide - leftRoom - rightRoom
      const { from: start, to: end } = latest.current
      return timeTicks(start, end, inner, settings.zone).filter((one) => ((one.at - start) / (end - start)) * inner + textWidth(one.label, false) / 2 <= inner + rightRoom)
    }
    const options: uPlot.Options = {
      width, height: height + (axis ? 24 : 4), legend: { show: false }, padding: [6, rightRoom, axis ? 0 : 4, 0],
      cursor: {
        ...(props.group ? { sync: { key: props.group, setSeries: false } } : {}),
        drag: { x: props.onZoom !== undefined, y: false, setScale: false },
        points: { size: 6, width: 1.5 }, y: false,
        bind: {
          mousedown: (u, _, usual) => (event: MouseEvent) => {
            if (!event.shiftKey || !latest.current.onMove) return usual(event)
            const start = event.clientX
            const end = (up: MouseEvent): void => latest.current.onMove?.(Math.round(((start - up.clientX) / u.over.clientWidth) * (latest.current.to - latest.current.from)))
            addEventListener('mouseup', end, { once: true })
            return null
          },
          dblclick: (u) => () => { latest.current.onReset?.(); u.setSelect({ left: 0, top: 0, width: 0, height: 0 }, false); return null },
        },
      },
      scales: {
        x: { time: false, range: () => [latest.current.from / 1000, latest.current.to / 1000] },
        y: { range: () => [yRef.current.min, yRef.current.max], ...(log ? { distr: 3 as const, log: 10 as const } : {}) },
      },
      axes: [
        {
          show: axis, size: 24, font: `11px Inter Variable, sans-serif`, stroke: color('--text-3'), grid: { show: false }, ticks: { show: true, size: 4, stroke: color('--line-2'), width: 1 }, gap: 4,
          border: { show: true, stroke: color('--line-2'), width: 1 },
          splits: (u) => shownTicks(u.width).map((one) => one.at / 1000),
          values: (u) => {
            return shownTicks(u.width).map((one) => one.label)
          },
        },
        {
          size: leftRoom, font: `11px Inter Variable, sans-serif`, stroke: color('--text-3'), gap: 6, ticks: { show: false }, grid: { stroke: color('--grid'), width: 1 },
          splits: () => (log ? logTicks(yRef.current, Math.floor(height / 30)) : ticks(yRef.current)),
          ...(log ? { filter: (_: uPlot, splits: number[]) => splits } : {}),
          values: (_, splits) => splits.map((value) => tick(value, unit, settings.language, log ? value : yRef.current.max)),
        },
      ],
      series: [
        {},
        ...series.map((one, index): uPlot.Series => ({
          label: one.name, stroke: color(one.color ?? colorOf(index)), width: 1.5, ...(one.dash ? { dash: [5, 3] } : {}), ...(one.area || stack ? { fill: `${color(one.color ?? colorOf(index))}${stack ? '4d' : '2e'}` } : {}),
          spanGaps: false, show: one.hidden !== true,
          points: { show: true, size: 4, width: 0, fill: color(one.color ?? colorOf(index)), filter: (u, at) => isolated((u.data[at] ?? []) as (number | null)[]) },
        })),
        ...series.flatMap((one, index): uPlot.Series[] => (one.before === undefined ? [] : [{
          label: `${one.name} ${props.beforeName ?? ''}`, stroke: `${color(one.color ?? colorOf(index))}8c`, width: 1, dash: [2, 2], spanGaps: false, show: one.hidden !== true, points: { show: false },
        }])),
        ...bands.flatMap((): uPlot.Series[] => [
          { show: true, width: 0, points: { show: false }, stroke: 'transparent' },
          { show: true, width: 0, points: { show: false }, stroke: 'transparent' },
        ]),
      ],
      bands: [
        ...stackBands(props),
        ...bands.map((band, index) => ({ series: [series.length + before + 2 + index * 2, series.length + before + 1 + index * 2] as [number, number], fill: color(band.color ?? '--fc') })),
      ],
      hooks: {
        drawClear: [(u) => shade(u, latest.current, color)],
        draw: [(u) => over(u, latest.current, color)],
        setCursor: [
          (u) => {
            const index = u.cursor.idx
            const left = u.cursor.left
            if (index == null || left == null || left < 0) setCursor(undefined)
            else {
              const own = u.over.matches(':hover')
              // uPlot tells the same place again whenever it gets data: what did not move must not be drawn anew.
              setCursor((before) => (before?.index === index && before.left === left && before.own === own ? before : { index, left, own }))
            }
            latest.current.onCursor?.(index == null || left == null || left < 0 ? undefined : latest.current.times[index])
          },
        ],
        setSelect: [
          (u) => {
            if (u.select.width < 5) return
            const start = u.posToVal(u.select.left, 'x') * 1000
            const end = u.posToVal(u.select.left + u.select.width, 'x') * 1000
            u.setSelect({ left: 0, top: 0, width: 0, height: 0 }, false)
            latest.current.onZoom?.(Math.round(start), Math.round(end))
          },
        ],
      },
    }
    const made = new uPlot(options, columns(latest.current), element)
    // Opera-size numbers of graphs on one page: the canvas says nothing to readers, the name beside it does.
    plot.current = made
    return () => {
      made.destroy()
      plot.current = undefined
    }
    // Data and range changes are fed below; only what changes the drawing's shape builds it anew.
  }, [width === 0, shapeKey, theme, settings.zone, settings.language, unit, axis, props.group, table, props.onZoom === undefined, stack, log])

  useEffect(() => {
    plot.current?.setSize({ width, height: height + (axis ? 24 : 4) })
  }, [width, height, axis])
  useEffect(() => {
    const u = plot.current
    if (!u) return
    let past = series.length
    series.forEach((one, index) => {
      for (const place of one.before === undefined ? [index + 1] : [index + 1, (past += 1)]) {
        if (u.series[place] && u.series[place].show !== (one.hidden !== true)) u.setSeries(place, { show: one.hidden !== true })
      }
    })
    u.setData(columns(latest.current))
  }, [times, series, bands, from, to, y, flags, props.lit, stack, log])

  const inner = Math.max(0, width - leftRoom - rightRoom)
  const xOf = (at: number): number => ((at - from) / (to - from)) * inner
  const gathered = useMemo(() => gather(flags.filter((flag) => flag.at >= from && flag.at <= to), ((to - from) * 40) / Math.max(1, inner)), [flags, from, to, inner])
  const labels = gathered.map((one) => {
    const first = one.flags[0]!
    const text = one.flags.length > 1 ? word('graph.changes', { count: one.flags.length }) : first.name
    return { ...one, first, text, x: xOf(one.at), width: textWidth(text, tones[first.shape] !== 't2') + 22 }
  })
  const placed = flagNames ? place(labels, inner + rightRoom, props.flagRows ?? 3) : []
  const rows = !flagNames ? 0 : (props.flagRows ?? (labels.length > 0 ? 1 + Math.max(0, ...placed.map((spot) => spot?.row ?? 0)) : 0))

  const sentence = props.sentence ?? say()
  function say(): string {
    const visible = series.filter((one) => !one.hidden)
    const parts = visible.slice(0, 4).map((one) => {
      const found = stats(one.values)
      const label = visible.length === 1 ? name : `${name}, ${one.name}`
      return found
        ? word('graph.sentence', { name: label, last: format.measure(found.last, unit), min: format.measure(found.min, unit), max: format.measure(found.max, unit) })
        : word('graph.sentence.none', { name: label })
    })
    if (parts.length === 0) return word('graph.sentence.none', { name })
    if (flags.length > 0) parts.push(flags.slice(0, 6).map((flag) => `${flag.name} ${format.clock(flag.at, 1)}`).join(', '))
    return parts.join(' ')
  }

  return (
    <figure className="graph" onPointerEnter={(event) => { setOwn(true); if (event.pointerType === 'mouse') props.onHold(true) }} onPointerLeave={() => { setOwn(false); props.onHold(false) }}>
      {rows > 0 && (
        <div className="flags" style={{ height: rows * flagRow, marginLeft: leftRoom }}>
          {labels.map((label, index) => {
            const spot = placed[index]
            if (!spot) return null
            const id = label.first.id ?? label.at
            const content = (
              <>
                {/* Both places are kept, so that the name stays where it is when its glyph changes sides. */}
                <i className={spot.before ? 'aside' : ''}><Glyph shape={label.first.shape} /></i>
                <span>{label.text}</span>
                <i className={spot.before ? '' : 'aside'}><Glyph shape={label.first.shape} /></i>
              </>
            )
            const shared = {
              className: `flag ${tones[label.first.shape]}${props.lit !== undefined && props.lit === id ? ' lit' : ''}`,
              // Moved, not placed: while a live graph goes on nothing is laid out anew.
              style: { left: 0, bottom: 0, transform: `translate(${spot.left - (spot.before ? flagGlyph : 0)}px, ${-spot.row * flagRow}px)`, maxWidth: inner + flagGlyph },
              onPointerEnter: () => { setOpen(index); props.onLit?.(id) },
              onPointerLeave: () => { setOpen(undefined); props.onLit?.(undefined) },
              onFocus: () => { setOpen(index); props.onLit?.(id) },
              onBlur: () => { setOpen(undefined); props.onLit?.(undefined) },
              'aria-describedby': open === index ? cardId : undefined,
            }
            return label.first.to && label.flags.length === 1
              ? <Link key={`${id}-${index}`} to={label.first.to} {...shared}>{content}</Link>
              : <button key={`${id}-${index}`} type="button" {...shared}>{content}</button>
          })}
          {open !== undefined && labels[open] && (
            <div id={cardId} role="tooltip" className="flagcard" style={{ left: Math.max(0, Math.min(labels[open].x - 12, inner - 260)) }}>
              {labels[open].flags.slice(0, 6).map((flag, index) => (
                <div key={index} className="flagline">
                  <Glyph shape={flag.shape} />
                  <span><b>{flag.title ?? flag.name}</b>{flag.note && <span className="t2"> {flag.note}</span>}<br /><span className="t3 mono">{format.clock(flag.at, 1)}</span></span>
                </div>
              ))}
              {labels[open].flags.length > 6 && <div className="t3 xs">{word('graph.more_under', { count: labels[open].flags.length - 6 })}</div>}
            </div>
          )}
        </div>
      )}
      <div className="graph-box">
        <div ref={merged} role="img" aria-label={sentence} hidden={table} className="plot" style={{ height: height + (axis ? 24 : 4) }} />
        {!table && cursor && <CursorBox {...props} cursor={cursor} width={inner} own={own && cursor.own} />}
        {!table && props.loading !== true && width > 0 && !series.some((one) => !one.hidden && one.values.some((value) => value !== null)) && <div className="graph-none t3 sm" aria-hidden="true">{word('graph.no_data')}</div>}
        {props.pausedAt !== undefined && own && <span className="tag graph-paused">{word('head.paused', { time: format.clock(props.to) })}</span>}
        {table && <GraphTable {...props} />}
        {props.tableSwitch !== false && props.table === undefined && (
          <button type="button" className="btn small quiet graph-switch" aria-pressed={table} onClick={() => setAsTable(!asTable)}>{word(table ? 'graph.graph' : 'graph.table')}</button>
        )}
      </div>
    </figure>
  )
}

