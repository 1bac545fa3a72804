// All of Explore's state as it stands in the address, so that what is seen can be sent. Pure.
import { unitNames, type Unit } from './number'
import { parseSpan } from './range'

export type View = 'graph' | 'table' | 'json'
export interface ExploreState {
  queries: readonly string[]
  view: View
  /** Table: values at the end of the range, or one row for each step. */
  steps: boolean
  /** Seconds; undefined: by the range. */
  step: number | undefined
  changes: boolean
  /** The same so many milliseconds before, drawn muted. */
  before: number | undefined
  stacked: boolean
  log: boolean
  unit: Unit | undefined
  /** Milliseconds between two reads of a live range; 0: only when Run is pressed; undefined: as it comes. */
  refresh: number | undefined
  /** `A.k3f9a1` for each series that is hidden. */
  hidden: readonly string[]
  /** The one series that is shown alone. */
  alone: string | undefined
  sort: { by: string; descending: boolean } | undefined
}

type Search = Readonly<Record<string, string | readonly string[] | undefined>>

export const queriesMost = 8
export const stepChoices = [0.1, 0.2, 0.5, 1, 2, 5, 10, 15, 30, 60, 300, 900, 3600, 21_600, 86_400] as const
export const refreshChoices = [5_000, 10_000, 30_000, 60_000] as const
/** Most points of one series in an answer, as the server allows. */
const pointsMost = 11_000
const hiddenMost = 64

const list = (value: string | readonly string[] | undefined): readonly string[] => (value === undefined ? [] : typeof value === 'string' ? [value] : value)
const one = (value: string | readonly string[] | undefined): string | undefined => list(value)[0]
const spanOf = (text: string | undefined): number | undefined => {
  const millis = parseSpan(text ?? '')
  return millis > 0 ? millis : undefined
}

/** What can't be read is as if it were not there. */
export function readState(search: Search): ExploreState {
  const view = one(search['view'])
  const unit = one(search['unit'])
  const step = spanOf(one(search['step']))
  const sort = one(search['sort'])
  const refresh = one(search['refresh'])
  return {
    queries: list(search['q']).slice(0, queriesMost),
    view: view === 'table' || view === 'json' ? view : 'graph',
    steps: one(search['rows']) === 'steps',
    step: step === undefined ? undefined : step / 1000,
    changes: one(search['changes']) !== 'off',
    before: spanOf(one(search['before'])),
    stacked: one(search['draw']) === 'stacked',
    log: one(search['scale']) === 'log',
    unit: unitNames.find((name) => name === unit),
    refresh: refresh === 'off' ? 0 : spanOf(refresh),
    hidden: list(search['hide']).slice(0, hiddenMost),
    alone: one(search['only']),
    sort: sort ? { by: sort.replace(/^-/, ''), descending: sort.startsWith('-') } : undefined,
  }
}

const spanText = (millis: number): string => (millis % 86_400_000 === 0 ? `${millis / 86_400_000}d` : millis % 1000 === 0 ? `${millis / 1000}s` : `${Math.round(millis)}ms`)

/** A part of the state as names of the query string; the usual is left out. */
export function writeState(part: Partial<ExploreState>): Record<string, string | readonly string[] | undefined> {
  const found: Record<string, string | readonly string[] | undefined> = {}
  const put = (name: string, value: string | readonly string[] | undefined): void => { found[name] = value === undefined || value.length === 0 ? undefined : value }
  if ('queries' in part) put('q', part.queries)
  if ('view' in part) put('view', part.view === 'graph' ? undefined : part.view)
  if ('steps' in part) put('rows', part.steps ? 'steps' : undefined)
  if ('step' in part) put('step', part.step === undefined ? undefined : spanText(part.step * 1000))
  if ('changes' in part) put('changes', part.changes ? undefined : 'off')
  if ('before' in part) put('before', part.before === undefined ? undefined : spanText(part.before))
  if ('stacked' in part) put('draw', part.stacked ? 'stacked' : undefined)
  if ('log' in part) put('scale', part.log ? 'log' : undefined)
  if ('unit' in part) put('unit', part.unit)
  if ('refresh' in part) put('refresh', part.refresh === undefined ? undefined : part.refresh === 0 ? 'off' : spanText(part.refresh))
  if ('hidden' in part) put('hide', part.hidden)
  if ('alone' in part) put('only', part.alone)
  if ('sort' in part) put('sort', part.sort && `${part.sort.descending ? '-' : ''}${part.sort.by}`)
  return found
}

/** Steps that make sense for a range: at least two points, at most as many as the server gives. */
export const stepsFor = (span: number): number[] => stepChoices.filter((step) => span / 1000 / step >= 2 && span / 1000 / step <= pointsMost)

/** A short name of a series for the address: its letter and a hash of its labels (FNV-1a, 32 bits). */
export function seriesMark(letter: string, labels: Readonly<Record<string, string>>): string {
  let hash = 0x811c9dc5
  for (const char of JSON.stringify(Object.entries(labels).sort(([a], [b]) => (a < b ? -1 : 1)))) hash = Math.imul(hash ^ char.codePointAt(0)!, 0x01000193) >>> 0
  return `${letter}.${hash.toString(36)}`
}

export const isShown = (state: Pick<ExploreState, 'hidden' | 'alone'>, letter: string, mark: string): boolean =>
  state.alone?.startsWith(`${letter}.`) ? state.alone === mark : !state.hidden.includes(mark)

/** Pressed alone: shown alone, or all again. With Ctrl: hidden, or shown again. */
export function pressed(state: Pick<ExploreState, 'hidden' | 'alone'>, mark: string, one: boolean): Pick<ExploreState, 'hidden' | 'alone'> {
  if (!one) return { hidden: state.hidden, alone: state.alone === mark ? undefined : mark }
  return { alone: undefined, hidden: state.hidden.includes(mark) ? state.hidden.filter((other) => other !== mark) : [...state.hidden, mark].slice(-hiddenMost) }
}
