// Puts what happened into one story: the timeline's lines and those of an incident, each thing once, in order. Pure.
import { parseTime } from './time'

export interface Said { id: string; args?: Record<string, string> | undefined }
export interface Line { at: string; text: Said; tone: string; by?: string | null | undefined; order?: string | null | undefined; seq?: number; incident?: number | null | undefined; flag?: string | null | undefined }

/** One event can be told by several lines: its place alone does not tell them apart. */
export const lineKey = (line: Line): string => `${line.at} ${line.text.id} ${JSON.stringify(line.text.args ?? {})}`

/** Most lines of one request, as the server allows, and of all together. */
const pageMost = 500
export const linesMost = 5_000

/** The newest lines of a range, oldest first, read in pages from the newest on: at most `linesMost`. */
export async function allLines<One extends Line & { seq: number }>(page: (limit: number, before: number | undefined) => Promise<readonly One[]>): Promise<One[]> {
  let found: One[] = []
  const seen = new Set<string>()
  let before: number | undefined
  while (found.length < linesMost) {
    const lines = await page(pageMost, before)
    const key = (line: One): string => `${line.seq} ${lineKey(line)}`
    const fresh = lines.filter((line) => !seen.has(key(line)) && seen.add(key(line)))
    found = [...fresh, ...found]
    const oldest = lines[0]?.seq
    if (lines.length < pageMost || oldest === undefined) break
    // One event can have several lines, and the page may end between them: its place is asked again, unless that brings nothing.
    before = fresh.length > 0 ? oldest + 1 : oldest
  }
  return found.slice(-linesMost)
}

/** Who did it, where the sentence does not say so itself. */
export const bySomeone = (line: Line): string | undefined => (line.by && line.text.args?.['person'] !== line.by ? line.by : undefined)

/** What says the same with less, when the other one of the same order is there. */
const lesser: Readonly<Record<string, string>> = {
  'order.created': 'change.release',
  'order.started': 'change.release',
  'change.rollback': 'order.rolled_back',
  'incident.order_ended': 'order.rolled_back',
}

/** Each line once; of two that tell the same thing the better one. */
export function tidy<One extends Line>(lines: readonly One[]): One[] {
  const there = new Set(lines.map((line) => `${line.text.id} ${line.order ?? ''}`))
  const seen = new Set<string>()
  return lines.filter((line) => {
    const better = lesser[line.text.id]
    if (better !== undefined && line.order && there.has(`${better} ${line.order}`)) return false
    const key = lineKey(line)
    if (seen.has(key)) return false
    seen.add(key)
    return true
  })
}

/** The story of one incident: its own lines, and what else happened to its service from its first suspect on. */
export function incidentStory(number: number, own: readonly Line[], timeline: readonly Line[]): Line[] {
  const around = timeline.filter((line) => line.incident == null || line.incident === number)
  const all = tidy([...around, ...own])
  return all
    .map((line, index) => ({ line, index, at: parseTime(line.at) }))
    .sort((a, b) => a.at - b.at || (a.line.seq ?? Infinity) - (b.line.seq ?? Infinity) || a.index - b.index)
    .map((one) => one.line)
}

/** How long it hurt in all, in milliseconds: from the onset to the recovery, and again each time it was bad again. */
export function hurtFor(onset: number, lines: readonly Pick<Line, 'at' | 'text'>[], until: number): number {
  let sum = 0
  let since: number | undefined = onset
  for (const line of lines) {
    const { id } = line.text
    if (id === 'incident.recovered' && since !== undefined) {
      sum += Math.max(0, parseTime(line.at) - since)
      since = undefined
    } else if ((id === 'incident.bad_again' || id === 'incident.joined') && since === undefined) since = parseTime(line.at)
  }
  return since === undefined ? sum : sum + Math.max(0, until - since)
}

/** What a line is called on a graph; undefined when it has no flag. `named` is the server's own short name. */
export type FlagName = { is: 'named'; name: string } | { is: 'halted' | 'rolled_back' | 'opened' }

export function flagOf(line: Line): FlagName | undefined {
  const { id } = line.text
  if (id === 'order.halted') return { is: 'halted' }
  if (id === 'order.rolled_back') return { is: 'rolled_back' }
  if (id === 'incident.opened') return { is: 'opened' }
  if (id === 'change.rollback' || !line.flag) return undefined
  return { is: 'named', name: line.flag }
}
