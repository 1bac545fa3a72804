// What an incident says of itself: its shape, its release, how far that is taken back.
import { useMemo } from 'react'
import type { Shape } from '../../components/State'
import { millis } from '../../components/language'
import type { Incident, IncidentState, Order } from '../../data/api'
import { useOrder, useTimeline } from '../../data/queries'
import { incidentStory, type Line } from '../../lib/story'

/** An incident that hurts is bad; one that hurts no more waits for a person until it is resolved. */
export const incidentShape = (row: { state: IncidentState; recovered_at?: string | null }): Shape => (row.state === 'resolved' ? 'ok' : row.recovered_at ? 'late' : 'bad')

/** Where it leads back to: the release that is the first suspect, and whether it can be, is being or was taken back. */
export interface Undo { order: string | undefined; is: 'none' | 'can' | 'going' | 'done'; release: Order | undefined }

export function useUndo(incident: Incident): Undo {
  const first = incident.suspects[0]
  const number = first?.undo ?? first?.change.order ?? undefined
  const release = useOrder(number).data
  if (!number) return { order: undefined, is: 'none', release: undefined }
  if (release?.state === 'rolled_back') return { order: number, is: 'done', release }
  if (release?.state === 'rolling_back') return { order: number, is: 'going', release }
  return { order: number, is: first?.undo ? 'can' : 'none', release }
}

/** From its first suspect, at most ten minutes before the onset, to a minute after it was well again. */
export function reach(incident: Incident, now: number): { from: number; to: number; live: boolean } {
  const onset = millis(incident.onset)
  const suspect = incident.suspects[0] ? millis(incident.suspects[0].received_at) : onset
  const from = Math.max(onset - 600_000, Math.min(onset - 20_000, suspect - 10_000))
  const end = incident.recovered_at ? millis(incident.recovered_at) + 60_000 : Infinity
  return { from, to: Math.max(Math.min(end, now), onset + 15_000), live: end > now }
}

export function useStory(incident: Incident, from: number): Line[] {
  const until = incident.recovered_at ? new Date(millis(incident.recovered_at) + 60_000).toISOString() : undefined
  const scope = incident.scope
  const timeline = useTimeline({ from: new Date(from).toISOString(), ...(until ? { to: until } : {}), ...(scope.service ? { service: scope.service } : {}), ...(scope.environment ? { environment: scope.environment } : {}) })
  return useMemo(() => incidentStory(incident.number, incident.story, timeline.data ?? []), [incident, timeline.data])
}
