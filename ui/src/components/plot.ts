// What a graph is made of, and how uPlot's canvas is painted: columns, shaded gaps, limits, poles of flags, names at the ends.
import type uPlot from 'uplot'
import { stacked, type Column } from '../lib/stack'
import type { Unit } from '../lib/number'
import { tones, type Shape } from './State'

export interface GraphSeries {
  name: string
  values: readonly (number | null)[]
  /** A name of tokens.css: `--s1`, `--new`, `--old`, `--text`. */
  color?: string
  dash?: boolean
  hidden?: boolean
  area?: boolean
  /** The same of an earlier time, drawn muted below the line. */
  before?: readonly (number | null)[] | undefined
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
  /** Tells apart what has the same name: a graph that stands still under the hand shows another one at once. */
  id?: string
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
  /** So many rows are for names, whether there are any or not, so that a flag that comes or goes moves nothing. By default as many as are needed. */
  flagRows?: number
  /** False: no time axis, because the graph below carries it. */
  axis?: boolean
  bands?: readonly { low: readonly (number | null)[]; high: readonly (number | null)[]; name: string; color?: string }[]
  gaps?: readonly { from: number; to: number; name: string }[]
  limits?: readonly { value: number; name: string }[]
  /** What `before` of the series is: `a day before`. */
  beforeName?: string | undefined
  /** Series on top of each other, as parts of a whole. */
  stacked?: boolean
  /** The axis goes by powers of ten; zero and below have no place on it. */
  log?: boolean
  /** False: the axis is cut to the data (only beside a forecast band). */
  zero?: boolean
  /** Graphs of one group share their cursor. */
  group?: string
  onZoom?: (from: number, to: number) => void
  /** Dragged with Shift: by how many milliseconds the range moves. */
  onMove?: (by: number) => void
  /** False: new data is shown under the pointer too (a range that does not move by itself). */
  holds?: boolean
  onReset?: () => void
  /** The time of the sample at the cursor, in seconds: while the graph stands still its data is older than the page's. */
  onCursor?: (at: number | undefined) => void
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
export const seriesColors = ['--s1', '--s2', '--s3', '--s4', '--s5', '--s6', '--s7', '--s8'] as const
export const colorOf = (index: number): string => seriesColors[index % seriesColors.length]!
export const dashed = (index: number): boolean => index >= 4

export function paint(): (name: string) => string {
  const style = getComputedStyle(document.documentElement)
  return (name) => (name.startsWith('--') ? style.getPropertyValue(name).trim() : name)
}

/** Which columns uPlot gets, in order: the series, then what was before of those that have it, then bands. */
export function columns(props: GraphProps): uPlot.AlignedData {
  const bands = props.bands ?? []
  const before = props.series.filter((one) => one.before !== undefined)
  // Without a sample uPlot would draw no axes either: two empty ones keep the frame, so that nothing jumps when data comes.
  if (props.times.length === 0) {
    const holes = [null, null]
    return [[props.from / 1000, props.to / 1000], ...props.series.map(() => holes), ...before.map(() => holes), ...bands.flatMap(() => [holes, holes])] as unknown as uPlot.AlignedData
  }
  const drawn = (values: Column): Column => (props.log ? values.map((value) => (value !== null && value > 0 ? value : null)) : values)
  return [props.times, ...heights(props).map(drawn), ...before.map((one) => drawn(one.before!)), ...bands.flatMap((band) => [band.low, band.high])] as unknown as uPlot.AlignedData
}

/** How high each series is drawn: its values, or on top of those below it. */
export const heights = (props: Pick<GraphProps, 'series' | 'stacked'>): Column[] => (props.stacked ? stacked(props.series) : props.series.map((one) => one.values))

/** Neighbours of a stack: what lies between two shown series is the upper one's part. */
export function stackBands(props: GraphProps): uPlot.Band[] {
  if (!props.stacked) return []
  const shown = props.series.flatMap((one, index) => (one.hidden ? [] : [index + 1]))
  return shown.slice(1).map((upper, index) => ({ series: [upper, shown[index]!] }))
}

/** Least and most of what lies in view, so that zooming in also stretches. */
export function reach(props: GraphProps): [number, number] {
  let least = Infinity
  let most = -Infinity
  const see = (value: number | null | undefined): void => {
    if (value == null || (props.log && value <= 0)) return
    if (value < least) least = value
    if (value > most) most = value
  }
  const drawn = heights(props)
  props.times.forEach((at, index) => {
    if (at * 1000 < props.from || at * 1000 > props.to) return
    props.series.forEach((one, place) => {
      if (one.hidden) return
      see(drawn[place]![index])
      see(one.before?.[index])
    })
    for (const band of props.bands ?? []) {
      see(band.low[index])
      see(band.high[index])
    }
  })
  for (const limit of props.limits ?? []) see(limit.value)
  return [least, most]
}

/** Below the lines: shaded gaps. */
export function shade(u: uPlot, props: GraphProps, color: (name: string) => string): void {
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
export function over(u: uPlot, props: GraphProps, color: (name: string) => string): void {
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
    const drawn = heights(props)
    props.series.forEach((one, index) => {
      if (one.hidden) return
      const values = drawn[index]!
      let last = values.length - 1
      while (last >= 0 && (values[last] == null || (props.log && values[last]! <= 0))) last -= 1
      if (last < 0) return
      const x = u.valToPos(props.times[last]!, 'x', true)
      let y = u.valToPos(values[last]!, 'y', true) - 5 * ratio
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
