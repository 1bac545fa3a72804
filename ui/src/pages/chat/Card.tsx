// A card of the bot. It is live: state and buttons change where it stands, it is never sent twice, and it says when it was sent and last changed.
import { Link } from '@tanstack/react-router'
import { useState, type ReactNode } from 'react'
import { HoldButton } from '../../components/HoldButton'
import { millis, useFormat, useWord } from '../../components/language'
import { Sheet } from '../../components/Sheet'
import { Glyph, State, Tag } from '../../components/State'
import { Say } from '../../components/Text'
import { orderShape, toneShape } from '../../components/tones'
import { useVerbs } from '../../components/verb'
import type { Card, Incident, Order } from '../../data/api'
import { useNow } from '../../data/clock'
import { useIncident, useMe, useOrder } from '../../data/queries'
import type { WordId } from '../../lib/words'
import { BackFacts } from '../deploy/Deploy'
import { lanes, touchedCount } from '../deploy/parts'

export function AlertCard({ card, at }: { card: Card; at: string }): ReactNode {
  const word = useWord()
  const format = useFormat()
  const incident = useIncident(card.incident ?? undefined).data
  const order = useOrder(card.order ?? undefined).data
  const changed = [incident?.resolved_at, incident?.acknowledged_at, incident?.recovered_at, order?.ended_at, order?.halted_at].flatMap((time) => (time ? [millis(time)] : [])).sort((a, b) => b - a)[0]
  return (
    <article className="card">
      <p className="row wrap"><Glyph shape={toneShape[card.tone]} /><span className="b grow"><Say text={card.text} /></span></p>
      {card.calls && <p className="t2 sm">{word('chat.calls', { person: card.calls })}</p>}
      {incident && <IncidentPart incident={incident} />}
      {order && <OrderPart order={order} />}
      {(incident || order) && <Buttons incident={incident} order={order} />}
      <p className="t3 xs upd">{changed !== undefined && changed > millis(at) + 500 ? word('chat.sent.changed', { time: format.clock(at, 1), changed: format.clock(changed, 1) }) : word('chat.sent', { time: format.clock(at, 1) })}</p>
    </article>
  )
}

function IncidentPart({ incident }: { incident: Incident }): ReactNode {
  const word = useWord()
  const format = useFormat()
  const now = useNow(1000)
  const suspect = incident.suspects[0]
  return (
    <>
      <div className="row wrap state">
        {incident.recovered_at ? <State shape="ok">{word('incident.state.recovered', { time: format.clock(incident.recovered_at) })}</State>
          : <State shape="bad">{word('incident.state.bad', { span: format.duration(Math.floor(Math.max(0, now - millis(incident.onset)) / 1000) * 1000) })}</State>}
        <Link className="plain b grow" to={`/incidents/${incident.number}`}>#{incident.number} <Say text={incident.title} links={false} /></Link>
        <Tag>{incident.priority}</Tag>
        {incident.scope.environment && <span className="t3 xs">{incident.scope.environment.toUpperCase()}</span>}
      </div>
      <dl className="kv">
        <dt>{word('chat.since')}</dt><dd>{format.clock(incident.onset, 1)}</dd>
        {suspect && <><dt>{word('chat.suspect')}</dt><dd><Say text={suspect.change.what} />{suspect.change.author ? `, ${suspect.change.author}` : ''} <span className="t3">{suspect.percent}{'\u202f'}%</span></dd></>}
      </dl>
    </>
  )
}

function OrderPart({ order }: { order: Order }): ReactNode {
  const word = useWord()
  const format = useFormat()
  const all = lanes(order).length
  const done = touchedCount(order)
  return (
    <div className="row wrap state">
      <State shape={orderShape[order.state]}>{word(`orders.state.${order.state}` as WordId)}{order.ended_at ? ` ${format.clock(order.ended_at, 1)}` : order.halted_at ? ` ${format.clock(order.halted_at, 1)}` : ''}</State>
      <Link className="in mono" to={`/deploy/${order.project}/${order.service}/${order.environment}/${order.number}`}>{order.number}</Link>
      {(order.state === 'running' || order.state === 'halted' || order.state === 'rolling_back') && (
        <>
          <span className="bar" style={{ width: 96 }} aria-hidden="true"><i style={{ width: `${all > 0 ? (done / all) * 100 : 0}%`, background: order.state === 'running' ? 'var(--accent)' : order.state === 'halted' ? 'var(--bad)' : 'var(--ok)' }} /></span>
          <span className="t2 sm">{word('brake.progress', { done, total: all })}</span>
        </>
      )}
    </div>
  )
}

function Buttons({ incident, order }: { incident: Incident | undefined; order: Order | undefined }): ReactNode {
  const word = useWord()
  const format = useFormat()
  const rights = useMe().data?.rights
  const verbs = useVerbs(`${incident?.state} ${order?.state}`)
  const [sheet, setSheet] = useState(false)
  const operate = rights === undefined || rights.includes('operate')
  const release = rights === undefined || rights.includes('release')
  const canHalt = order?.state === 'running' && operate && verbs.asked !== 'halt'
  const canBack = order !== undefined && (order.state === 'running' || order.state === 'halted') && order.kind !== 'restart' && release && verbs.asked !== 'rollback'
  const back = (): void => {
    setSheet(false)
    if (order) void verbs.say(`rollback ${order.number}`)
  }
  return (
    <>
      <div className="row wrap acts">
        {incident && (
          <button type="button" className={incident.state === 'open' ? 'btn pri' : 'btn'} aria-disabled={incident.state !== 'open' || !operate || verbs.asked !== undefined || undefined} onClick={() => incident.state === 'open' && operate && void verbs.say(`ack ${incident.number}`)}>
            <Glyph shape="person" tone="" />{verbs.asked === 'ack' ? word('brake.asked') : incident.state === 'open' ? word('incident.ack') : word('incident.state.acknowledged', { person: incident.owner ?? '', time: incident.acknowledged_at ? format.clock(incident.acknowledged_at) : '' })}
          </button>
        )}
        {order && order.state === 'running' && <button type="button" className="btn danf" aria-disabled={!canHalt || undefined} onClick={() => canHalt && void verbs.say(`halt ${order.number}`)}><Glyph shape="halted" tone="" />{word(verbs.asked === 'halt' ? 'brake.asked' : 'brake.halt')}</button>}
        {order && order.kind !== 'restart' && order.state !== 'done' && order.state !== 'cancelled' && order.state !== 'draft' && order.state !== 'approved' && (
          <HoldButton className={canBack ? 'btn dan' : 'btn'} glyph={<Glyph shape="rolled_back" tone="" />} onHeld={back} onAsk={() => setSheet(true)} disabled={!canBack}
            reason={verbs.asked === 'rollback' ? word('brake.asked') : order.state === 'rolling_back' ? word('incident.rolling') : order.state === 'rolled_back' ? word('incident.rolled_back') : undefined}>
            {word('incident.roll_back')}
          </HoldButton>
        )}
        {incident?.state === 'acknowledged' && <button type="button" className="btn" aria-disabled={!operate || undefined} onClick={() => operate && void verbs.say(`resolve ${incident.number}`)}>{word(verbs.asked === 'resolve' ? 'brake.asked' : 'incident.resolve')}</button>}
        {incident && <Link className="btn quiet" to={`/incidents/${incident.number}`}>{word('chat.open_incident')}</Link>}
        {!incident && order && <Link className="btn quiet" to={`/orders/${order.number}`}>{word('chat.open_order')}</Link>}
      </div>
      {verbs.problem && <p className="bad sm" role="alert">{verbs.problem}</p>}
      {order && (
        <Sheet opened={sheet} onClose={() => setSheet(false)} title={word('brake.sheet', { service: order.service, environment: order.environment.toUpperCase() })}
          action={<button type="button" className="btn danf" data-autofocus onClick={back}><Glyph shape="rolled_back" tone="" />{word('brake.sheet.button', { done: touchedCount(order) })}</button>}>
          <BackFacts order={order} servers={lanes(order).length} />
        </Sheet>
      )}
    </>
  )
}
