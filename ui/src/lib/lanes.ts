// Makes the lanes under a story's graph out of the timeline's lines: which servers had what, when an alert was bad, who was told. Pure.
import { parseTime, type Millis } from './time'

export interface Line { at: string; text: { id: string; args?: Record<string, string> | undefined }; tone: string; order?: string | null | undefined; seq: number }
export interface Span { from: Millis; to: Millis | undefined; tone: 'new' | 'newer' | 'bad' | 'undo'; text: { id: string; args?: Record<string, string> | undefined } | undefined }
export interface Mark { at: Millis; seq: number; text: Line['text'] }
export interface Lanes { servers: Span[]; alert: Span[]; told: Mark[] }

/** Spans that no later line ends stay open (`to` undefined): the caller draws them up to the graph's end. */
export function lanes(lines: readonly Line[]): Lanes {
  const servers: Span[] = []
  const alert: Span[] = []
  const told: Mark[] = []
  const bad = new Map<string, Span>()
  const close = (at: Millis): void => {
    const last = servers.at(-1)
    if (last && last.to === undefined) last.to = at
  }
  for (const line of lines) {
    const at = parseTime(line.at)
    const { id, args } = line.text
    if (id === 'order.started' || (id === 'change.release' && line.order) || id === 'order.batch_starts' || id === 'order.batch_in' || id === 'order.resumed') {
      close(at)
      servers.push({ from: at, to: undefined, tone: id === 'order.batch_in' ? 'newer' : 'new', text: id === 'order.resumed' || id === 'change.release' ? undefined : line.text })
    } else if (id === 'order.halted' || id === 'order.rolling_back') {
      close(at)
      servers.push({ from: at, to: undefined, tone: id === 'order.halted' ? 'bad' : 'undo', text: undefined })
    } else if (id === 'order.rolled_back' || id === 'order.done' || id === 'order.failed' || id === 'order.cancelled') {
      close(at)
      servers.push({ from: at, to: at, tone: 'undo', text: line.text })
    } else if (id === 'alert.bad' || id === 'incident.opened') {
      // An incident hurts from its opening to its recovery, also when no rule but the judge opened it.
      const key = id === 'incident.opened' ? 'incident' : (args?.['rule'] ?? '')
      if (bad.has(key)) continue
      const span: Span = { from: at, to: undefined, tone: 'bad', text: line.text }
      bad.set(key, span)
      alert.push(span)
    } else if (id === 'alert.ok' || id === 'alert.no_data') {
      const span = bad.get(args?.['rule'] ?? '')
      if (span) span.to = at
      bad.delete(args?.['rule'] ?? '')
    } else if (id === 'incident.recovered') {
      for (const span of bad.values()) span.to = at
      bad.clear()
    } else if (line.tone === 'told' || id === 'incident.acknowledged') told.push({ at, seq: line.seq, text: line.text })
  }
  return { servers, alert, told }
}
