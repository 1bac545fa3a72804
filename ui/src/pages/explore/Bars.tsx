// A list of names with how many each has, as a bar and a figure; a press narrows to one.
import type { ReactNode } from 'react'
import { useWord } from '../../components/language'
import { Panel } from '../../components/Panel'

export interface Bar {
  key: string
  name: ReactNode
  /** How long the bar is, in any unit. */
  size: number
  /** The figure beside it. */
  said: string
  /** What else there is to say, smaller. */
  more?: string
  warn?: boolean
  pressed?: boolean
  onPress: () => void
}

interface Props { title: string; note: string; bars: readonly Bar[]; /** How many rows there are in all. */ total: number; /** At most so many are shown. */ most: number; many: boolean; actions?: ReactNode; onMore: () => void }

export function Bars({ title, note, bars: all, total, most, many, actions, onMore }: Props): ReactNode {
  const word = useWord()
  const bars = all.slice(0, most)
  const longest = Math.max(1, ...bars.map((bar) => bar.size))
  return (
    <Panel title={title} note={note} actions={actions}>
      <ul className="bars" aria-label={title}>
        {bars.map((bar) => (
          <li key={bar.key}>
            <button type="button" className="barrow" {...(bar.pressed === undefined ? {} : { 'aria-pressed': bar.pressed })} onClick={bar.onPress}>
              <span className="bar-name mono cut" title={bar.key}>{bar.name}</span>
              <b className="bar-said">{bar.said}</b>
              <span className="bar-line" aria-hidden="true"><i className={bar.warn ? 'warned' : ''} style={{ width: `${Math.max(0.5, (bar.size / longest) * 100)}%` }} /></span>
              <span className="bar-more t3">{bar.more}</span>
            </button>
          </li>
        ))}
      </ul>
      {(total > bars.length || many) && (
        <div className="row pb bars-foot">
          <span className="t3 sm">{word('cardinality.shown', { shown: bars.length, total: Math.max(total, bars.length) })}</span>
          {(!many && total > bars.length) && <button type="button" className="btn small end keep" onClick={onMore}>{word('cardinality.more')}</button>}
        </div>
      )}
    </Panel>
  )
}
