// What a server is in an order, as shape and word; and which servers an order touches.
import { useFormat, useWord } from '../../components/language'
import type { Shape } from '../../components/State'
import { hostShape } from '../../components/tones'
import type { HostProgress, Lane, Order } from '../../data/api'
import { parseTime } from '../../lib/time'
import { words, type WordId } from '../../lib/words'

export const active = new Set<Order['state']>(['running', 'halted', 'rolling_back'])
export const ended = new Set<Order['state']>(['done', 'failed', 'rolled_back', 'cancelled'])
export const lanes = (order: Order): Lane[] => order.plan.batches.flatMap((batch) => batch.lanes)
export const touched = (order: Order | undefined, host: string): boolean => order !== undefined && (order.hosts[host]?.state ?? 'not_touched') !== 'not_touched'
export const digestHead = (digest: string): string => `${digest.slice(0, 4)} ${digest.slice(4, 8)}`

/** The versions that an order takes away: usually one. */
export function before(order: Order): string {
  return [...new Set(lanes(order).flatMap((lane) => (lane.before ? [lane.before.version] : [])))].join(', ') || '-'
}

/** How many servers stand on the new release, or were on their way to it. */
export const touchedCount = (order: Order): number => Object.values(order.hosts).filter((host) => host.state !== 'not_touched' && host.state !== 'old').length

export interface HostSaid { shape: Shape; said: string }

export function useHostSaid(): (order: Order, host: string) => HostSaid {
  const word = useWord()
  const doing = (name: string | null | undefined): string => {
    const id = `deploy.doing.${name}`
    return id in words ? word(id as WordId) : (name ?? word('state.running'))
  }
  return (order, host) => {
    const progress: HostProgress = order.hosts[host] ?? { state: 'not_touched' }
    const shape = hostShape[progress.state]
    const back = lanes(order).find((lane) => lane.host === host)?.before?.version
    switch (progress.state) {
      case 'not_touched':
        return { shape, said: word(ended.has(order.state) || order.state === 'rolling_back' || order.state === 'halted' ? 'deploy.touched.none' : 'deploy.waits') }
      case 'working':
        return { shape, said: doing(progress.doing) }
      case 'undoing':
        return { shape, said: word('deploy.undoing', { doing: doing(progress.doing) }) }
      case 'new':
        return { shape, said: word('deploy.on', { version: order.release.version }) }
      case 'old':
        return { shape, said: word('deploy.on', { version: back ?? '-' }) }
      case 'unknown':
        return { shape, said: word('deploy.unknown') }
      case 'stuck':
        return { shape, said: word('deploy.stuck') }
    }
  }
}

/** Since when each server answers with the new release, by the load balancer's name for it; from the order's own story. */
export function newSince(order: Order): Map<string, number> {
  const named = balancerNames(order)
  const halted = order.halted_at ? parseTime(order.halted_at) : Infinity
  const since = new Map<string, number>()
  for (const note of order.story) {
    if (!note.host || note.text.id !== 'step.balancer_in') continue
    const at = parseTime(note.at)
    const name = named.get(note.host)
    if (name && at <= halted && !since.has(name)) since.set(name, at)
  }
  return since
}

/** Host to the load balancer's name for its server. */
export function balancerNames(order: Order): Map<string, string> {
  const named = new Map<string, string>()
  for (const lane of lanes(order)) for (const step of lane.steps) if (step.action.do === 'balancer_out' || step.action.do === 'balancer_in' || step.action.do === 'drain') named.set(lane.host, step.action.server)
  return named
}

export function backendOf(order: Order): string | undefined {
  for (const lane of lanes(order)) for (const step of lane.steps) if (step.action.do === 'balancer_out' || step.action.do === 'drain') return step.action.backend
  return undefined
}

/** `56.9 s` of an order: from its first step to its end. */
export function useTook(): (row: { started_at?: string | null; ended_at?: string | null }, now: number) => string {
  const format = useFormat()
  return (row, now) => (row.started_at ? format.duration((row.ended_at ? parseTime(row.ended_at) : now) - parseTime(row.started_at)) : '-')
}
