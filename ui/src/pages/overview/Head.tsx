// The first line: a sentence that says how things are. Then figures, then what waits for a person.
import { Link } from '@tanstack/react-router'
import type { ReactNode } from 'react'
import { Glyph, Pill, type Shape } from '../../components/State'
import { Say } from '../../components/Text'
import { useWord } from '../../components/language'
import { alertShape } from '../../components/tones'
import type { Overview, WaitingKind } from '../../data/api'

const waitingShape: Record<WaitingKind, Shape> = { incident: 'late', heartbeat: 'late', order: 'late', source_down: 'down' }

export function Head({ overview }: { overview: Overview }): ReactNode {
  const word = useWord()
  return (
    <section className="ohead" aria-label={word('nav.overview')}>
      <span style={{ paddingTop: 2 }}><Glyph shape={alertShape[overview.state]} big /></span>
      <div className="grow">
        <h1 aria-live="polite"><Say text={overview.sentence} /></h1>
        {(overview.figures || overview.waiting.length > 0) && <div className="row wrap" style={{ marginTop: 2, minHeight: 24 }}>
          {overview.figures && <p className="t2"><Say text={overview.figures} /></p>}
          {overview.waiting.length > 0 && (
            <div className="row wrap end" style={{ gap: 6 }}>
              <span className="t3 sm">{word('overview.waiting')}</span>
              {overview.waiting.slice(0, 6).map((one, index) => (
                <Link key={index} to={one.to} className="plain pill-link"><Pill shape={waitingShape[one.state]}><Say text={one.text} links={false} /></Pill></Link>
              ))}
              {overview.waiting.length > 6 && <Link to="/incidents" className="sm in">+{overview.waiting.length - 6}</Link>}
            </div>
          )}
        </div>}
      </div>
    </section>
  )
}
