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
import { tick, type Unit } from '../lib/number'
import { isolated, scale, stats, ticks, timeTicks } from '../lib/scale'
import { hold, useHold } from './hold'
import { useFormat, useWord } from './language'
import { Glyph, tones, type Shape } from './State'

export interface GraphSeries {
  name: string
  values: readonly (number | null)[]
  /** A name of tokens.css: `--s1`, `--new`, `--old`, `--text`. */
  color?: string
  dash?: boolean
  hidden?: boolean
  area?: boolean
}
export interface GraphFlag {
  /** Milliseconds since 1970. */
  at: number
  shape: Shape
  /** Short: `shop 4.12.0`. */
  name: string
  /** A sentence for hover and readers. */
  title?: string
  note?: string
  to?: string | undefined
  id?: string | number
}
export interface GraphProps {
  /** What it shows: `Orders per minute`. */
  name: string
  /** Seconds since 1970, ascending; one for each value. */
  times: readonly number[]
  series: readonly GraphSeries[]
  unit?: Unit
  /** Both ends in milliseconds since 1970. */
  from: number
  to: number
  height?: number
  flags?: readonly GraphFlag[] | undefined
  /** False: poles only, because the graph above carries the names. */
  flagNames?: boolean
  /** Rows of names that are kept free, so that a flag that comes moves nothing. */
  flagRows?: number
  /** False: no time axis, because the graph below carries it. */
  axis?: boolean
  bands?: readonly { low: readonly (number | null)[]; high: readonly (number | null)[]; name: string; color?: string }[]
  gaps?: readonly { from: number; to: number; name: string }[]
  limits?: readonly { value: number; name: string }[]
  /** False: the axis is cut to the data (only beside a forecast band). */
  zero?: boolean
  /** Graphs of one group share their cursor. */
  group?: string
  onZoom?: (from: number, to: number) => void
  onReset?: () => void
  onCursor?: (index: number | undefined) => void
  /** Which flag is lit from outside (the list beside it). */
  lit?: string | number | undefined
  onLit?: (id: string | number | undefined) => void
  /** Names at the lines' ends; by default for fewer than four. */
  ends?: boolean
  sentence?: string
  /** Nothing was read yet: the empty frame does not say "no data". */
  loading?: boolean
  /** Shows the table in place of the plot, when the page has its own switch. */
  table?: boolean
  /** False: no switch of its own. */
  tableSwitch?: boolean
}

export const leftRoom = 60
export const rightRoom = 12
/** Height of a row of names: 24 px is the least that a finger hits. */
const flagRow = 24
export const seriesColors = ['--s1', '--s2', '--s3', '--s4', '--s5', '--s6', '--s7', '--s8'] as const
export const colorOf = (index: number): string => seriesColors[index % seriesColors.length]!
export const dashed = (index: number): boolean => index >= 4

const fontCanvas = document.createElement('canvas').getContext('2d')
function textWidth(text: string, bold: boolean): number {
  if (!fontCanvas) return text.length * 6
  fontCanvas.font = `${bold ? 600 : 500} 11px Inter Variable, sans-serif`
  return fontCanvas.measureText(text).width
}

function paint(): (name: string) => string {
  const style = getComputedStyle(document.documentElement)
  return (name) => (name.startsWith('--') ? style.getPropertyValue(name).trim() : name)
}

/** Keeps what it showed last while the hand is on one of its group, so that nothing moves under the pointer. */
export function Graph(props: GraphProps): ReactNode {
  const alone = useId()
  const group = props.group ?? alone
  const since = useHold(group)
  const kept = useRef(props)
  // A table, another unit or other names are what a person asked for: they are shown at once.
  const same = kept.current.name === props.name && kept.current.table === props.table && kept.current.series.length === props.series.length && kept.current.times.length > 0
  if (since === undefined || !same) kept.current = props
  const shown = since === undefined || !same ? props : { ...kept.current, lit: props.lit }
  useEffect(() => () => hold(group, false), [group])
  return <Drawn {...shown} pausedAt={since !== undefined && kept.current.to !== props.to ? since : undefined} onHold={(on) => hold(group, on)} />
}

function Drawn(props: GraphProps & { pausedAt: number | undefined; onHold: (on: boolean) => void }): ReactNode {
  const { name, times, series, from, to, unit = 'none', height = 160, flags = [], flagNames = true, axis = true, limits = [], bands = [] } = props
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
  const y = useMemo(() => {
    let least = Infinity
    let most = -Infinity
    const see = (value: number | null | undefined): void => {
      if (value == null) return
      if (value < least) least = value
      if (value > most) most = value
    }
    // Only what lies in view counts, so that zooming in also stretches.
    times.forEach((at, index) => {
      if (at * 1000 < from || at * 1000 > to) return
      for (const one of series) if (!one.hidden) see(one.values[index])
      for (const band of bands) {
        see(band.low[index])
        see(band.high[index])
      }
    })
    for (const limit of limits) see(limit.value)
    return scale(least, most, Math.max(2, Math.floor(height / 44)), zero)
  }, [times, series, bands, limits, from, to, height, zero])
  const yRef = useRef(y)
  yRef.current = y

  const shapeKey = series.map((one) => `${one.name}|${one.color}|${one.dash}|${one.area}`).join('\n') + bands.length
  useEffect(() => {
    const element = host.current
    if (!element || width === 0 || table) return
    const color = paint()
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
        bind: { dblclick: (u) => () => { latest.current.onReset?.(); u.setSelect({ left: 0, top: 0, width: 0, height: 0 }, false); return null } },
      },
      scales: {
        x: { time: false, range: () => [latest.current.from / 1000, latest.current.to / 1000] },
        y: { range: () => [yRef.current.min, yRef.current.max] },
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
          splits: () => ticks(yRef.current),
          values: (_, splits) => splits.map((value) => tick(value, unit, settings.language, yRef.current.max)),
        },
      ],
      series: [
        {},
        ...series.map((one, index): uPlot.Series => ({
          label: one.name, stroke: color(one.color ?? colorOf(index)), width: 1.5, ...(one.dash ? { dash: [5, 3] } : {}), ...(one.area ? { fill: `${color(one.color ?? colorOf(index))}2e` } : {}),
          spanGaps: false, show: one.hidden !== true,
          points: { show: true, size: 4, width: 0, fill: color(one.color ?? colorOf(index)), filter: (u, at) => isolated((u.data[at] ?? []) as (number | null)[]) },
        })),
        ...bands.flatMap((): uPlot.Series[] => [
          { show: true, width: 0, points: { show: false }, stroke: 'transparent' },
          { show: true, width: 0, points: { show: false }, stroke: 'transparent' },
        ]),
      ],
      bands: bands.map((band, index) => ({ series: [series.length + 2 + index * 2, series.length + 1 + index * 2] as [number, number], fill: color(band.color ?? '--fc') })),
      hooks: {
        drawClear: [(u) => shade(u, latest.current, color)],
        draw: [(u) => over(u, latest.current, color)],
        setCursor: [
          (u) => {
            const index = u.cursor.idx
            const left = u.cursor.left
            if (index == null || left == null || left < 0) setCursor(undefined)
            else setCursor({ index, left, own: u.over.matches(':hover') })
            latest.current.onCursor?.(index == null || left == null || left < 0 ? undefined : index)
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
  }, [width === 0, shapeKey, theme, settings.zone, settings.language, unit, axis, props.group, table, props.onZoom === undefined])

  useEffect(() => {
    plot.current?.setSize({ width, height: height + (axis ? 24 : 4) })
  }, [width, height, axis])
  useEffect(() => {
    const u = plot.current
    if (!u) return
    series.forEach((one, index) => {
      if (u.series[index + 1]!.show !== (one.hidden !== true)) u.setSeries(index + 1, { show: one.hidden !== true })
    })
    u.setData(columns(latest.current))
  }, [times, series, bands, from, to, y, flags, props.lit])

  const inner = Math.max(0, width - leftRoom - rightRoom)
  const xOf = (at: number): number => ((at - from) / (to - from)) * inner
  const gathered = useMemo(() => gather(flags.filter((flag) => flag.at >= from && flag.at <= to), ((to - from) * 40) / Math.max(1, inner)), [flags, from, to, inner])
  const labels = gathered.map((one) => {
    const first = one.flags[0]!
    const text = one.flags.length > 1 ? word('graph.changes', { count: one.flags.length }) : first.name
    return { ...one, first, text, x: xOf(one.at), width: textWidth(text, tones[first.shape] !== 't2') + 22 }
  })
  const placed = flagNames ? place(labels, inner + rightRoom, 3) : []
  const rows = Math.max(props.flagRows ?? 0, flagNames && labels.length > 0 ? 1 + Math.max(0, ...placed.map((spot) => spot?.row ?? 0)) : 0)

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
                {!spot.before && <Glyph shape={label.first.shape} />}
                <span>{label.text}</span>
                {spot.before && <Glyph shape={label.first.shape} />}
              </>
            )
            const shared = {
              className: `flag ${tones[label.first.shape]}${props.lit !== undefined && props.lit === id ? ' lit' : ''}`,
              // Moved, not placed: while a live graph goes on nothing is laid out anew.
              style: { left: 0, transform: `translateX(${spot.left}px)`, bottom: spot.row * flagRow, maxWidth: inner },
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

function columns(props: GraphProps): uPlot.AlignedData {
  // Without a sample uPlot would draw no axes either: two empty ones keep the frame, so that nothing jumps when data comes.
  if (props.times.length === 0) {
    const holes = [null, null]
    return [[props.from / 1000, props.to / 1000], ...props.series.map(() => holes), ...(props.bands ?? []).flatMap(() => [holes, holes])] as unknown as uPlot.AlignedData
  }
  return [props.times, ...props.series.map((one) => one.values), ...(props.bands ?? []).flatMap((band) => [band.low, band.high])] as unknown as uPlot.AlignedData
}

/** Below the lines: shaded gaps. */
function shade(u: uPlot, props: GraphProps, color: (name: string) => string): void {
  const { ctx, bbox } = u
  for (const gap of props.gaps ?? []) {
    const start = Math.max(bbox.left, u.valToPos(gap.from / 1000, 'x', true))
    const end = Math.min(bbox.left + bbox.width, u.valToPos(gap.to / 1000, 'x', true))
    if (end <= start) continue
    ctx.save()
    ctx.fillStyle = color('--none-weak')
    ctx.fillRect(start, bbox.top, end - start, bbox.height)
    ctx.fillStyle = color('--text-3')
    ctx.font = `${11 * devicePixelRatio}px Inter Variable, sans-serif`
    ctx.textAlign = 'center'
    if (end - start > ctx.measureText(gap.name).width + 8) ctx.fillText(gap.name, (start + end) / 2, bbox.top + 14 * devicePixelRatio)
    ctx.restore()
  }
}

/** Above the lines: limits, poles of flags, names at the lines' ends. */
function over(u: uPlot, props: GraphProps, color: (name: string) => string): void {
  const { ctx, bbox } = u
  const ratio = devicePixelRatio
  ctx.save()
  ctx.font = `${11 * ratio}px Inter Variable, sans-serif`
  for (const limit of props.limits ?? []) {
    const at = Math.round(u.valToPos(limit.value, 'y', true))
    ctx.strokeStyle = color('--warn')
    ctx.lineWidth = ratio
    ctx.setLineDash([4 * ratio, 3 * ratio])
    ctx.beginPath()
    ctx.moveTo(bbox.left, at)
    ctx.lineTo(bbox.left + bbox.width, at)
    ctx.stroke()
    ctx.setLineDash([])
    ctx.fillStyle = color('--text-3')
    ctx.textAlign = 'right'
    ctx.fillText(limit.name, bbox.left + bbox.width - 2 * ratio, at - 4 * ratio)
  }
  for (const flag of props.flags ?? []) {
    if (flag.at < props.from || flag.at > props.to) continue
    const at = Math.round(u.valToPos(flag.at / 1000, 'x', true)) + 0.5
    const tone = tones[flag.shape]
    const lit = props.lit !== undefined && props.lit === (flag.id ?? flag.at)
    ctx.strokeStyle = color(tone === 'bad' ? '--bad' : tone === 'ok' ? '--ok' : tone === 'warn' ? '--warn' : tone === 'run' ? '--accent' : '--text-3')
    ctx.lineWidth = (lit ? 2 : 1) * ratio
    ctx.setLineDash(tone === 'bad' ? [] : [2 * ratio, 3 * ratio])
    ctx.beginPath()
    ctx.moveTo(at, bbox.top - 6 * ratio)
    ctx.lineTo(at, bbox.top + bbox.height)
    ctx.stroke()
  }
  ctx.setLineDash([])
  const visible = props.series.filter((one) => !one.hidden)
  if (props.ends ?? (visible.length > 1 && visible.length < 4)) {
    const spots: number[] = []
    props.series.forEach((one, index) => {
      if (one.hidden) return
      let last = one.values.length - 1
      while (last >= 0 && one.values[last] == null) last -= 1
      if (last < 0) return
      const x = u.valToPos(props.times[last]!, 'x', true)
      let y = u.valToPos(one.values[last]!, 'y', true) - 5 * ratio
      while (spots.some((spot) => Math.abs(spot - y) < 13 * ratio)) y -= 13 * ratio
      spots.push(y)
      const wide = ctx.measureText(one.name).width
      const left = x + wide + 6 * ratio < bbox.left + bbox.width ? x + 5 * ratio : x - wide - 3 * ratio
      ctx.lineWidth = 3 * ratio
      ctx.strokeStyle = color('--panel')
      ctx.textAlign = 'left'
      ctx.strokeText(one.name, left, Math.max(bbox.top + 10 * ratio, y))
      ctx.fillStyle = color(one.color ?? colorOf(index))
      ctx.fillText(one.name, left, Math.max(bbox.top + 10 * ratio, y))
    })
  }
  ctx.restore()
}

function CursorBox(props: GraphProps & { cursor: { index: number; left: number }; width: number; own: boolean }): ReactNode {
  const { cursor, series, times, unit = 'none', flags = [], width } = props
  const format = useFormat()
  const word = useWord()
  const at = (times[cursor.index] ?? 0) * 1000
  const digits = (props.to - props.from) / Math.max(1, times.length) < 1000 ? 2 : (props.to - props.from) < 120_000 ? 1 : 0
  const rows = series
    .map((one, index) => ({ name: one.name, value: one.values[cursor.index] ?? null, color: one.color ?? colorOf(index), dash: one.dash, hidden: one.hidden }))
    .filter((row) => !row.hidden)
    .sort((a, b) => (b.value ?? -Infinity) - (a.value ?? -Infinity))
  if (!props.own) {
    // A tied graph says its first value beside the cursor, without a box.
    const first = rows[0]
    return first && rows.length <= 2 ? (
      <div className="cursor-value" style={{ left: leftRoom + cursor.left + (cursor.left > width / 2 ? -6 : 6), transform: cursor.left > width / 2 ? 'translateX(-100%)' : undefined }}>{first.value === null ? word('graph.no_data') : format.measure(first.value, unit)}</div>
    ) : null
  }
  const near = [...flags].sort((a, b) => Math.abs(a.at - at) - Math.abs(b.at - at))[0]
  const distance = near ? at - near.at : 0
  const showNear = near && Math.abs(distance) < (props.to - props.from) / 12
  const right = cursor.left < width / 2
  return (
    <div className="cursor-box" style={right ? { left: leftRoom + cursor.left + 14 } : { right: width - cursor.left + rightRoom + 14 }}>
      <div className="row between"><b>{format.clock(at, digits)}</b><span className="t3">{props.name}</span></div>
      {rows.slice(0, 5).map((row, index) => (
        <div className="row between" key={index}>
          <span className="cut"><i className={row.dash ? 'sw dash' : 'sw'} style={{ ['--c' as string]: `var(${row.color})` }} />{row.name}</span>
          <span className="nw">{row.value === null ? word('graph.no_data') : format.measure(row.value, unit)}</span>
        </div>
      ))}
      {rows.length > 5 && <div className="t3 xs">{word('graph.more_under', { count: rows.length - 5 })}</div>}
      {showNear && (
        <div className="cursor-flag"><Glyph shape={near.shape} /> <span>{near.name}, {word(distance >= 0 ? 'graph.before' : 'graph.after', { offset: format.duration(Math.abs(distance)) })}</span></div>
      )}
    </div>
  )
}

/** The same data as rows, newest first; at most 500 of them. */
export function GraphTable({ times, series, unit = 'none', height = 160, name }: GraphProps): ReactNode {
  const format = useFormat()
  const word = useWord()
  const visible = series.filter((one) => !one.hidden).slice(0, 12)
  const from = Math.max(0, times.length - 500)
  const rows = Array.from({ length: times.length - from }, (_, index) => times.length - 1 - index)
  return (
    <div className="graph-table" role="region" aria-label={name} tabIndex={0} style={{ maxHeight: Math.max(160, height + 24) }}>
      <table aria-label={name}>
        <thead><tr><th>{word('graph.time')}</th>{visible.map((one, index) => <th key={index} className="num">{one.name}</th>)}</tr></thead>
        <tbody>
          {rows.map((row) => (
            <tr key={row}>
              <td className="mono">{format.clock(times[row]! * 1000, 1)}</td>
              {visible.map((one, index) => <td key={index} className="num">{one.values[row] == null ? <span className="t3">{word('graph.no_data')}</span> : format.measure(one.values[row], unit)}</td>)}
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  )
}
