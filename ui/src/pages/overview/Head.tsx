// The first line: a sentence that says how things are. Then figures, then what waits for a person.
import { Link } from '@tanstack/react-router'
import type { ReactNode } from 'react'
import { useKey } from '../../components/keyboard'
import { Glyph, Pill, type Shape } from '../../components/State'
import { Say } from '../../components/Text'
import { useWord } from '../../components/language'
import { alertShape } from '../../components/tones'
import { useVerbs } from '../../components/verb'
import type { Overview, WaitingKind } from '../../data/api'
import { client, useIncidents } from '../../data/queries'

const waitingShape: Record<WaitingKind, Shape> = { incident: 'late', heartbeat: 'late', order: 'late', source_down: 'down' }

export function Head({ overview }: { overview: Overview }): ReactNode {
  const word = useWord()
  const open = useIncidents({ state: 'open' }).data ?? []
  const first = open.length > 0 ? Math.min(...open.map((row) => row.number)) : undefined
  const verbs = useVerbs(`${first ?? ''}`)
  const take = (): void => {
    if (first === undefined || verbs.asked !== undefined) return
    void verbs.say(`ack ${first}`).then(() => client.invalidateQueries({ queryKey: ['incidents'] }))
  }
  useKey('e', take, first !== undefined)
  return (
    <section className="ohead" aria-label={word('nav.overview')}>
      <span style={{ paddingTop: 2 }}><Glyph shape={alertShape[overview.state]} big /></span>
      <div className="grow">
        <h1 aria-live="polite"><Say text={overview.sentence} /></h1>
        {(overview.figures || overview.waiting.length > 0) && <div className="row wrap" style={{ marginTop: 2, minHeight: 24 }}>
          {overview.figures && <p className="t2 first-up"><Say text={overview.figures} /></p>}
          {overview.waiting.length > 0 && (
            <div className="row wrap end" style={{ gap: 6 }}>
              <span className="t3 sm">{word('overview.waiting')}</span>
              {overview.waiting.slice(0, 6).map((one, index) => (
                <Link key={index} to={one.to} className="plain pill-link"><Pill shape={waitingShape[one.state]}><Say text={one.text} links={false} /></Pill></Link>
              ))}
              {first !== undefined && <button type="button" className="btn small" aria-keyshortcuts="E" aria-disabled={verbs.asked !== undefined || undefined} onClick={take}>{word(verbs.asked ? 'incident.asked' : 'overview.take', { number: first })}<kbd>E</kbd></button>}
              {overview.waiting.length > 6 && <Link to="/incidents" className="sm in">+{overview.waiting.length - 6}</Link>}
            </div>
          )}
        </div>}
        {verbs.problem && <p className="bad sm" role="alert">{verbs.problem}</p>}
      </div>
    </section>
  )
}
