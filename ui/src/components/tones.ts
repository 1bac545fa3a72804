// Which shape the server's states have.
import type { AlertState, HostState, OrderState, TimelineRow, Tone } from '../data/api'
import type { Shape } from './State'

export const toneShape: Record<Tone, Shape> = {
  running: 'running', ok: 'ok', bad: 'bad', halted: 'halted', rolled_back: 'rolled_back', person: 'person', told: 'message', change: 'release',
}
export const alertShape: Record<AlertState, Shape> = { ok: 'ok', bad: 'bad', no_data: 'no_data', source_down: 'down' }
export const orderShape: Record<OrderState, Shape> = {
  draft: 'late', approved: 'untouched', running: 'running', halted: 'halted', rolling_back: 'rolled_back', done: 'ok', failed: 'bad', rolled_back: 'rolled_back', cancelled: 'no_data',
}
export const hostShape: Record<HostState, Shape> = {
  not_touched: 'untouched', working: 'running', new: 'ok', undoing: 'running', old: 'rolled_back', unknown: 'down', stuck: 'bad',
}

/** A line of the timeline: a change that is no release has its own glyph by its text's id. */
export function rowShape(row: Pick<TimelineRow, 'tone' | 'text' | 'order'>): Shape {
  if (row.tone !== 'change' || row.order) return toneShape[row.tone]
  const id = row.text.id
  if (id === 'change.config') return 'configuration'
  if (id === 'change.package' || id === 'change.reboot' || id === 'change.file' || id === 'change.host_new') return 'system'
  return id === 'change.release' || id === 'change.rollback' ? 'release' : 'change'
}

/** Where a line of the timeline leads. */
export function rowTarget(row: { incident?: number | null | undefined; order?: string | null | undefined }): string | undefined {
  if (row.order) return `/orders/${row.order}`
  return row.incident == null ? undefined : `/incidents/${row.incident}`
}
