// How the answers are drawn: lines or stacked, log scale, what they are compared with, step, unit, how often they are read again.
import { useId, useState, type ReactNode } from 'react'
import { Icon } from '../../components/Icon'
import { useFormat, useWord } from '../../components/language'
import { refreshChoices, stepsFor, type ExploreState } from '../../lib/explore'
import { unitNames, type Unit } from '../../lib/number'

const hour = 3_600_000
export const beforeChoices = [[24 * hour, 'explore.before.day'], [7 * 24 * hour, 'explore.before.week'], [hour, 'explore.before.hour']] as const

/** `a day before`; any other span by its length. */
export function useBeforeName(before: number | undefined): string | undefined {
  const word = useWord()
  const format = useFormat()
  if (before === undefined) return undefined
  const known = beforeChoices.find(([span]) => span === before)
  return known ? word(known[1]) : word('graph.before', { offset: whole(format.duration(before)) })
}

/** `5 min` of `5 min 00 s`, `1 s` of `1.0 s`. */
export const whole = (duration: string): string => duration.replace(/(\d)\.0\b/, '$1').replace(/[\s\u202f]0+[\s\u202f](min|s|分|秒|分钟)$/, '')

interface Props {
  state: ExploreState
  span: number
  /** What `auto` stands for, in seconds. */
  step: number
  unit: Unit
  live: boolean
  onChange: (part: Partial<ExploreState>) => void
  children?: ReactNode
}

export function Options({ state, span, step, unit, live, onChange, children }: Props): ReactNode {
  const word = useWord()
  const format = useFormat()
  const [open, setOpen] = useState(false)
  const id = useId()
  const beforeName = useBeforeName(state.before)
  const seconds = (of: number): string => whole(format.duration(of * 1000))
  const steps = stepsFor(span)
  const known = (list: readonly number[], value: number | undefined): number[] => (value === undefined || value === 0 || list.includes(value) ? [...list] : [...list, value])
  return (
    <div className="opts-box">
      <button type="button" className="btn small opts-open" aria-expanded={open} aria-controls={id} onClick={() => setOpen(!open)}>{word('explore.options')}<Icon name="down" /></button>
      <div id={id} className={open ? 'opts open' : 'opts'}>
        {state.view === 'graph' && (
          <>
            <span className="seg small" role="group" aria-label={word('explore.draw')}>
              <button type="button" aria-pressed={!state.stacked} onClick={() => onChange({ stacked: false })}>{word('explore.lines')}</button>
              <button type="button" aria-pressed={state.stacked} onClick={() => onChange({ stacked: true, log: false })}>{word('explore.stacked')}</button>
            </span>
            <span className="seg small"><button type="button" aria-pressed={state.log} onClick={() => onChange({ log: !state.log, ...(state.log ? {} : { stacked: false }) })}>{word('explore.log')}</button></span>
            <Pick label={word('explore.before')} value={state.before === undefined ? '' : String(state.before)} onPick={(value) => onChange({ before: value ? Number(value) : undefined })}>
              <option value="">{word('explore.before.none')}</option>
              {beforeChoices.map(([span, name]) => <option key={span} value={span}>{word(name)}</option>)}
              {state.before !== undefined && !beforeChoices.some(([span]) => span === state.before) && <option value={state.before}>{beforeName}</option>}
            </Pick>
          </>
        )}
        {state.view === 'table' && (
          <span className="seg small" role="group" aria-label={word('explore.rows')}>
            <button type="button" aria-pressed={!state.steps} onClick={() => onChange({ steps: false })}>{word('explore.rows.end')}</button>
            <button type="button" aria-pressed={state.steps} onClick={() => onChange({ steps: true })}>{word('explore.rows.steps')}</button>
          </span>
        )}
        {(state.view !== 'table' || state.steps) && (
          <Pick label={word('explore.step')} value={state.step === undefined ? '' : String(state.step)} onPick={(value) => onChange({ step: value ? Number(value) : undefined })}>
            <option value="">{word('explore.step.auto', { step: seconds(step) })}</option>
            {known(steps, state.step).map((one) => <option key={one} value={one}>{seconds(one)}</option>)}
          </Pick>
        )}
        {state.view !== 'json' && (
          <Pick label={word('explore.unit')} value={state.unit ?? ''} onPick={(value) => onChange({ unit: unitNames.find((name) => name === value) })}>
            <option value="">{`${word('explore.auto')}${word('explore.comma')}${word(`explore.unit.${unit}`)}`}</option>
            {unitNames.map((one) => <option key={one} value={one}>{word(`explore.unit.${one}`)}</option>)}
          </Pick>
        )}
        {live && (
          <Pick label={word('explore.refresh')} value={state.refresh === undefined ? '' : String(state.refresh)} onPick={(value) => onChange({ refresh: value === '' ? undefined : Number(value) })}>
            <option value="">{word('explore.refresh.live')}</option>
            {known(refreshChoices, state.refresh).map((one) => <option key={one} value={one}>{seconds(one / 1000)}</option>)}
            <option value="0">{word('explore.refresh.off')}</option>
          </Pick>
        )}
        {children}
      </div>
    </div>
  )
}

/** A list to choose from, with its name beside it: the browser's own, so that it works on a phone as there. */
export function Pick({ label, value, onPick, children }: { label: string; value: string; onPick: (value: string) => void; children: ReactNode }): ReactNode {
  const id = useId()
  return (
    <span className="pick">
      <label htmlFor={id} className="t3 sm">{label}</label>
      <span className="pick-box"><select id={id} value={value} onChange={(event) => onPick(event.target.value)}>{children}</select><Icon name="down" /></span>
    </span>
  )
}
