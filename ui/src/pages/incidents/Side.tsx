// Beside the story: who was told with what result, and what is at hand: the rule, who is on call, earlier incidents like this one.
import { Link } from '@tanstack/react-router'
import type { ReactNode } from 'react'
import { useFormat, useWord } from '../../components/language'
import { Panel } from '../../components/Panel'
import { State } from '../../components/State'
import { Say, Time } from '../../components/Text'
import { alertShape } from '../../components/tones'
import type { Incident, Told } from '../../data/api'
import { useIncidents, useOverview } from '../../data/queries'

export function WhoWasTold({ incident }: { incident: Incident }): ReactNode {
  const word = useWord()
  return (
    <Panel title={word('incident.told')} padded>
      {incident.told.length === 0 && <p className="t2 sm">{word('incident.told.none')}</p>}
      <ul>{incident.told.map((told, index) => (
        <li key={told.key ?? index} className="row told"><span className="m grow cut">{told.channel === 'chat' ? `#${told.receiver}` : told.receiver}</span><span className="t2 sm">{told.channel}</span><Result told={told} /></li>
      ))}</ul>
    </Panel>
  )
}

function Result({ told: { result, asked_at: asked, channel } }: { told: Told }): ReactNode {
  const word = useWord()
  const format = useFormat()
  if (result.is === 'delivered') return <State shape="ok">{word('incident.told.delivered', { time: format.clock(result.at) })}</State>
  if (result.is === 'retrying') return <span title={result.why}><State shape="late">{word('incident.told.retry', { tries: result.tries + 1, time: format.clock(result.next_at) })}</State></span>
  if (result.is === 'failed') return <span title={result.why} className="cut"><State shape="bad">{word('incident.told.failed', { why: result.why })}</State></span>
  // A room of flyball's own has the message at once: there is nobody in between who could answer for it.
  if (channel === 'chat') return <State shape="ok">{word('incident.told.in_room', { time: format.clock(asked) })}</State>
  return <State shape="running">{word('incident.told.asked', { time: format.clock(asked) })}</State>
}

/** One line per rule: the last that it said. */
const newest = (incident: Incident): Incident['alerts'] => incident.alerts.filter((alert, index, all) => all.findLastIndex((one) => one.rule === alert.rule) === index).slice(-6)

export function AtHand({ incident }: { incident: Incident }): ReactNode {
  const word = useWord()
  const format = useFormat()
  const service = incident.scope.service ?? undefined
  // The account's name as people know it, where the page knows it.
  const shown = useOverview().data?.on_call.find((row) => row.service === service)?.person ?? incident.on_call
  const before = (useIncidents(service ? { service } : {}).data ?? []).filter((row) => row.number < incident.number).sort((a, b) => b.number - a.number).slice(0, 3)
  return (
    <Panel title={word('incident.hand')} padded>
      <dl className="hand">
        {incident.on_call && <><dt className="t2">{word('incident.hand.on_call')}</dt><dd>{shown}</dd></>}
        {newest(incident).map((alert) => (
          <div key={alert.alert} className="hand-row"><dt className="t2">{word('incident.hand.rule')}</dt><dd className="row wrap">{alert.expr ? <Link className="in" to="/explore" search={{ q: alert.expr } as never}>{alert.rule}</Link> : <span>{alert.rule}</span>}<State shape={alertShape[alert.state]} /><Time at={alert.changed_at} /></dd></div>
        ))}
        <dt className="t2">{word('incident.hand.like')}</dt>
        <dd>{before.length === 0 ? <span className="t3">{word('incident.hand.like.none', { service: service ?? '' })}</span> : (
          <ul>{before.map((row) => <li key={row.number} className="cut"><Link className="in" to={`/incidents/${row.number}`}>#{row.number}</Link> <span className="t2">{format.when(row.onset)}, <Say text={row.title} links={false} /></span></li>)}</ul>
        )}</dd>
      </dl>
    </Panel>
  )
}
