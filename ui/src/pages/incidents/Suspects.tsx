// The changes most likely behind it, with their reasons for and against as rows; what is next to impossible is folded to one line.
import { Link } from '@tanstack/react-router'
import type { ReactNode } from 'react'
import { useFormat, useWord } from '../../components/language'
import { Panel } from '../../components/Panel'
import { Glyph } from '../../components/State'
import { Say, Time } from '../../components/Text'
import { Empty } from '../../components/Waiting'
import type { Incident, Suspect } from '../../data/api'
import type { Undo } from './parts'

const sign = { for: '+', against: '-', neutral: '0' } as const
/** Below this a suspect after the first is no suspect. */
const least = 1

export function Suspects({ incident, undo, few = false }: { incident: Incident; undo: Undo; few?: boolean }): ReactNode {
  const word = useWord()
  const shown = incident.suspects.filter((suspect, index) => index === 0 || (!few && suspect.percent >= least)).slice(0, 5)
  const rest = incident.suspects.slice(shown.length)
  return (
    <Panel title={word('incident.suspects')} note={word('incident.suspects.of', { count: incident.changes_seen })} {...(incident.suspects.length > 0 ? { actions: <span className="t3 sm">{word('incident.suspects.likely')}</span> } : {})}>
      {incident.suspects.length === 0 ? <Empty title={word('incident.suspects.none')}>{word('incident.suspects.none.hint')}</Empty> : (
        <>
          <ol className="suspects">{shown.map((suspect, index) => <Row key={suspect.seq} suspect={suspect} rank={index + 1} undo={index === 0 ? undo : undefined} few={few} />)}</ol>
          {rest.length > 0 && !few && (
            <details className="suspect-more">
              <summary className="t2 sm">{word('incident.suspects.more', { count: rest.length, percent: Math.max(...rest.map((one) => one.percent)) + 1 })}</summary>
              <ul>{rest.map((one) => <li key={one.seq} className="row sm"><span className="grow cut"><Say text={one.change.what} /></span><Time at={one.received_at} /></li>)}</ul>
            </details>
          )}
        </>
      )}
    </Panel>
  )
}

function Row({ suspect, rank, undo, few }: { suspect: Suspect; rank: number; undo: Undo | undefined; few: boolean }): ReactNode {
  const word = useWord()
  const format = useFormat()
  const { change } = suspect
  return (
    <li className="suspect">
      <div className="row top">
        <span className={rank === 1 ? 'rank first' : 'rank'} title={word('incident.suspect.rank', { rank })}>{rank}</span>
        <span className="grow m"><Say text={change.what} short /></span>
        <span className="b likely">{suspect.percent}{format.language === 'zh' ? '' : '\u202f'}%</span>
      </div>
      <div className="suspect-in">
        <p className="t3 sm">{change.order && <><span className="mono">{change.order}</span>, </>}{change.author ? `${change.author}, ` : ''}<Time at={suspect.received_at} className="" /></p>
        {change.detail && !few && <p className="t2 sm cut" title={change.detail}>{change.detail}</p>}
        <ul className="why">{suspect.evidence.slice(0, few ? 3 : 12).map((one, index) => (
          <li key={index} className="row sm"><span className={one.weight === 'for' ? 'sign bad' : 'sign t3'} aria-hidden="true">{sign[one.weight]}</span><span className="sr">{word(`incident.suspect.${one.weight}`)}</span><Say text={one.text} /></li>
        ))}</ul>
        {(change.order || undo?.is === 'done') && (
          <div className="row wrap between">
            {undo?.is === 'done' ? <span className="st ok sm"><Glyph shape="rolled_back" tone="" />{word('incident.suspect.undone', { time: undo.release?.ended_at ? format.clock(undo.release.ended_at) : '' })}</span> : <span />}
            {change.order && <Link className="sm in" to={`/orders/${change.order}`}>{word('incident.suspect.open')}</Link>}
          </div>
        )}
      </div>
    </li>
  )
}
