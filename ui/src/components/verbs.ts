// The verbs of the one grammar with what can stand behind them: for the composer and the palette. Checks nothing: the server does.
import type { IncidentRow, OrderRow, Right, ServiceRow } from '../data/api'

interface VerbForm { verb: string; right: Right; takes: 'service' | 'deploy' | 'moving' | 'done' | 'open' | 'acknowledged' | 'incident' | 'nothing'; weighty?: boolean }

export const verbForms: readonly VerbForm[] = [
  { verb: 'check', right: 'view', takes: 'service' },
  { verb: 'status', right: 'view', takes: 'nothing' },
  { verb: 'deploy', right: 'release', takes: 'deploy', weighty: true },
  { verb: 'rollback', right: 'release', takes: 'done', weighty: true },
  { verb: 'halt', right: 'operate', takes: 'moving' },
  { verb: 'brake', right: 'operate', takes: 'moving' },
  { verb: 'resume', right: 'release', takes: 'moving', weighty: true },
  { verb: 'retry', right: 'release', takes: 'moving', weighty: true },
  { verb: 'approve', right: 'approve', takes: 'moving', weighty: true },
  { verb: 'cancel', right: 'release', takes: 'moving', weighty: true },
  { verb: 'restart', right: 'operate', takes: 'service', weighty: true },
  { verb: 'log', right: 'view', takes: 'service' },
  { verb: 'graph', right: 'view', takes: 'service' },
  { verb: 'ack', right: 'operate', takes: 'open' },
  { verb: 'resolve', right: 'operate', takes: 'acknowledged' },
  { verb: 'note', right: 'operate', takes: 'incident' },
  { verb: 'reassign', right: 'operate', takes: 'incident' },
  { verb: 'incidents', right: 'view', takes: 'nothing' },
  { verb: 'orders', right: 'view', takes: 'nothing' },
  { verb: 'changes', right: 'view', takes: 'nothing' },
  { verb: 'help', right: 'view', takes: 'nothing' },
]

export interface Known { services: readonly ServiceRow[]; orders: readonly OrderRow[]; incidents: readonly IncidentRow[]; rights: readonly Right[] | undefined }
export interface Offer { text: string; /** What it concerns, or why it can't work now. */ note: string; off: boolean; weighty: boolean }
export interface OfferWords { right: (right: Right) => string; nothing: string; title: (row: IncidentRow) => string; state: (row: OrderRow) => string }

/** Which orders a verb could mean now. */
function orderFits(verb: string, row: OrderRow): boolean {
  if (verb === 'halt' || verb === 'brake') return row.state === 'running'
  if (verb === 'resume' || verb === 'retry') return row.state === 'halted'
  if (verb === 'approve') return row.state === 'draft'
  if (verb === 'cancel') return row.state === 'draft' || row.state === 'approved'
  return row.state === 'running' || row.state === 'halted' || row.state === 'done'
}

/** What `typed` could become: verbs by their first letters, then things that fit the verb. */
export function offers(typed: string, known: Known, words: OfferWords, most = 6): Offer[] {
  const [head = '', ...rest] = typed.trimStart().toLowerCase().split(/\s+/)
  const tail = rest.join(' ')
  const found: Offer[] = []
  for (const form of verbForms) {
    if (!form.verb.startsWith(head) || (rest.length > 0 && form.verb !== head)) continue
    const allowed = known.rights === undefined || known.rights.includes(form.right)
    const add = (text: string, note: string, off = false): void => {
      found.push({ text, note: allowed ? note : words.right(form.right), off: off || !allowed, weighty: form.weighty === true })
    }
    const fits = (name: string): boolean => name.toLowerCase().includes(tail)
    if (form.takes === 'nothing') {
      if (tail === '') add(form.verb, '')
    } else if (form.takes === 'service' || form.takes === 'deploy') {
      for (const row of known.services) {
        const text = form.takes === 'deploy' ? `${form.verb} ${row.service} ` : `${form.verb} ${row.service} ${row.environment}`
        if (fits(`${row.service} ${row.environment}`)) add(text, `${row.environment.toUpperCase()}, ${row.on_line.join(', ') || '-'}`)
      }
    } else if (form.takes === 'moving' || form.takes === 'done') {
      const rows = known.orders.filter((row) => orderFits(form.verb, row))
      for (const row of rows.slice(0, 2)) if (fits(`${row.service} ${row.number}`)) add(`${form.verb} ${row.number}`, `${row.service} ${row.to}, ${words.state(row)}`)
      if (rows.length === 0 && tail === '') add(form.verb, words.nothing, true)
    } else {
      const rows = known.incidents.filter((row) => (form.takes === 'open' ? row.state === 'open' : form.takes === 'acknowledged' ? row.state === 'acknowledged' : row.state !== 'resolved'))
      for (const row of rows.slice(0, 3)) if (fits(String(row.number))) add(`${form.verb} ${row.number}${form.takes === 'incident' ? ' ' : ''}`, words.title(row))
      if (rows.length === 0 && tail === '') add(form.verb, words.nothing, true)
    }
  }
  // What works stands before what does not.
  return [...found.filter((one) => !one.off), ...found.filter((one) => one.off)].slice(0, most)
}
