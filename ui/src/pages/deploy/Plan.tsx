// An order and its batch plan: change, reason, people, gates; batches left to right with their servers; undo from right to left.
import { Fragment, useState, type ReactNode } from 'react'
import './deploy.css'
import { HoldButton } from '../../components/HoldButton'
import { Icon } from '../../components/Icon'
import { millis, useFormat, useWord } from '../../components/language'
import { Panel } from '../../components/Panel'
import { Fact, Sheet } from '../../components/Sheet'
import { Glyph, State } from '../../components/State'
import { Say } from '../../components/Text'
import { orderShape } from '../../components/tones'
import { useVerbs } from '../../components/verb'
import { Loaded } from '../../components/Waiting'
import type { Batch, Order } from '../../data/api'
import { useNow } from '../../data/clock'
import { post } from '../../data/http'
import { useMe, usePlanText } from '../../data/queries'
import { orderTail } from '../../lib/text'
import type { WordId } from '../../lib/words'
import { active, before, digestHead, lanes, useHostSaid } from './parts'

export function OrderPanel({ order, servers }: { order: Order; servers?: number | undefined }): ReactNode {
  const word = useWord()
  const [sheet, setSheet] = useState(false)
  return (
    <Panel title={word('deploy.plan')} className="orderp" actions={(
      <>
        <button type="button" className="btn small quiet" onClick={() => setSheet(true)}>{word('deploy.plan.text')}</button>
        <span className="tag mono">{word('deploy.plan.digest', { digest: digestHead(order.digest) })}</span>
      </>
    )}>
      <div className="pb">
        <Facts order={order} servers={servers} />
        <Decide order={order} />
        <Batches order={order} />
        <Undo order={order} servers={servers} />
      </div>
      <PlanSheet order={order} opened={sheet} onClose={() => setSheet(false)} />
    </Panel>
  )
}

function Facts({ order, servers }: { order: Order; servers: number | undefined }): ReactNode {
  const word = useWord()
  const format = useFormat()
  const list = new Intl.ListFormat(format.language, { style: 'narrow', type: 'unit' })
  const gates = order.plan.batches[0]?.gate
  const all = servers ?? lanes(order).length
  const said = gates ? [
    ...(gates.judge ? [word('deploy.gate.judge')] : []),
    ...(gates.rules.length > 0 ? [word('deploy.gate.rules', { rules: list.format(gates.rules) })] : []),
    ...(gates.watch_ms > 0 ? [word('deploy.gate.watch', { span: format.duration(gates.watch_ms) })] : []),
    word('deploy.gate.keep', { min: order.plan.min_in_service, all }),
  ].join('; ') : '-'
  return (
    <dl className="ofacts">
      <dt>{word('deploy.state')}</dt>
      <dd>
        <State shape={orderShape[order.state]}>{word(`orders.state.${order.state}` as WordId)}{order.ended_at ? ` ${format.when(order.ended_at)}` : order.halted_at && order.state !== 'running' ? ` ${format.clock(order.halted_at, 1)}` : ''}</State>
        {order.because && <span className="t2 because"> <Say text={order.because} /></span>}
        {order.behind && <span className="t2"> {word('orders.behind', { order: orderTail(order.behind) })}</span>}
      </dd>
      <dt>{word('deploy.change')}</dt>
      <dd>{order.kind === 'restart' ? word('deploy.change.restart', { service: order.service }) : <>{word('deploy.change.what', { service: order.service, from: before(order), to: order.release.version })} <span className="mono t3">sha256 {digestHead(order.release.digest)}</span></>}</dd>
      <dt>{word('deploy.reason')}</dt><dd>{order.reason || <span className="t3">{word('deploy.reason.none')}</span>}</dd>
      <dt>{word('deploy.people')}</dt>
      <dd>{[word('deploy.people.filed', { person: order.author, time: format.when(order.created_at) }), ...(order.approvals ?? []).map((one) => word(one.digest === order.digest ? 'deploy.people.approved' : 'deploy.people.void', { person: one.by, time: format.when(one.at) }))].join(format.language === 'zh' ? '，' : ', ')}</dd>
      <dt>{word('deploy.gates')}</dt><dd>{said}</dd>
    </dl>
  )
}

/** What a person decides about an order that does not run yet. */
function Decide({ order }: { order: Order }): ReactNode {
  const word = useWord()
  const me = useMe().data
  const verbs = useVerbs(order.state)
  const [sheet, setSheet] = useState(false)
  if (order.state !== 'draft' && order.state !== 'approved') return null
  const own = me !== undefined && (me.name === order.author || me.shown === order.author)
  const mayApprove = me?.rights.includes('approve') !== false && !own
  const reason = own ? undefined : word('deploy.off.right', { right: 'approve' })
  const approve = (): void => {
    setSheet(false)
    void verbs.run('approve', () => post(`/orders/${order.number}/approve`, { digest: order.digest }))
  }
  return (
    <div className="row wrap decide">
      {order.state === 'draft' && (
        <HoldButton className="btn pri" onHeld={approve} onAsk={() => setSheet(true)} disabled={!mayApprove || verbs.asked !== undefined} reason={mayApprove ? undefined : reason ?? word('order.new.approval')}>
          {word('deploy.approve', { digest: digestHead(order.digest) })}
        </HoldButton>
      )}
      <button type="button" className="btn" aria-disabled={verbs.asked !== undefined || undefined} onClick={() => void verbs.run('cancel', () => post(`/orders/${order.number}/cancel`))}>{word('deploy.cancel')}</button>
      {verbs.problem && <span className="bad sm" role="alert">{verbs.problem}</span>}
      <Sheet opened={sheet} onClose={() => setSheet(false)} title={word('deploy.approve.sheet')} action={<button type="button" className="btn pri" data-autofocus onClick={approve}>{word('deploy.approve', { digest: digestHead(order.digest) })}</button>}>
        <ul>
          <Fact glyph={<Glyph shape="release" />}>{word('order.new.preview.count', { count: lanes(order).length, version: order.release.version, batches: order.plan.batches.length, min: order.plan.min_in_service })}</Fact>
          <Fact glyph={<Glyph shape="person" />}>{order.author}{order.reason ? `: ${order.reason}` : ''}</Fact>
        </ul>
      </Sheet>
    </div>
  )
}

export function Batches({ order }: { order: Order }): ReactNode {
  const word = useWord()
  const batches = order.plan.batches
  return (
    <ol className="plan" aria-label={word('deploy.plan')}>
      {batches.map((batch, index) => (
        <Fragment key={index}>
          {index > 0 && <li className="ar" aria-hidden="true"><Icon name="right" /></li>}
          <BatchBox order={order} batch={batch} index={index} />
        </Fragment>
      ))}
    </ol>
  )
}

function BatchBox({ order, batch, index }: { order: Order; batch: Batch; index: number }): ReactNode {
  const word = useWord()
  const format = useFormat()
  const said = useHostSaid()
  const now = useNow(1000)
  const count = batch.lanes.length
  const watching = order.batch === index && order.state === 'running' && order.watching_since ? Math.max(0, now - millis(order.watching_since)) : undefined
  const untouched = batch.lanes.every((lane) => (order.hosts[lane.host]?.state ?? 'not_touched') === 'not_touched')
  return (
    <li className={untouched && active.has(order.state) && index > order.batch ? 'bt dim' : 'bt'} aria-current={order.batch === index && order.state === 'running' ? 'step' : undefined}>
      <div className="bh"><b className="nw">{word('deploy.batch', { number: index + 1 })}</b><span className="t3 cut">{index === 0 && count === 1 && order.plan.batches.length > 1 ? word('deploy.batch.canary') : word('deploy.batch.servers', { count })}</span></div>
      <ul>
        {batch.lanes.map((lane) => {
          const host = said(order, lane.host)
          return <li key={lane.host} className="cellsrv"><span className="m cut">{lane.host}</span><State shape={host.shape}><span className="cut">{host.said}</span></State></li>
        })}
      </ul>
      {batch.gate.watch_ms > 0 && (
        <div className="bf t3 xs">{watching === undefined ? word('deploy.batch.then', { span: format.duration(batch.gate.watch_ms) }) : word('deploy.batch.watching', { span: format.duration(Math.floor(watching / 1000) * 1000), all: format.duration(batch.gate.watch_ms) })}</div>
      )}
    </li>
  )
}

function Undo({ order, servers }: { order: Order; servers: number | undefined }): ReactNode {
  const word = useWord()
  if (order.kind === 'restart') return null
  const all = servers ?? lanes(order).length
  const back = order.state === 'rolling_back'
  const text = order.state === 'rolled_back' ? word('deploy.undo.done') : back || order.state === 'halted' ? word('deploy.undo.runs', { min: order.plan.min_in_service, all }) : word('deploy.undo.staged', { version: before(order) })
  return <p className="undo t2 sm"><Glyph shape="rolled_back" tone={back || order.state === 'rolled_back' ? 'ok' : 't3'} /> {text}</p>
}

export function PlanSheet({ order, opened, onClose }: { order: Order; opened: boolean; onClose: () => void }): ReactNode {
  const word = useWord()
  const text = usePlanText(order.number, opened)
  return (
    <Sheet opened={opened} onClose={onClose} title={word('deploy.plan.sheet')} wide>
      <p className="t2 sm">{word('deploy.plan.signs')}</p>
      <p className="mono sm digest">{order.digest}</p>
      <Loaded query={text} rows={8}>{(plan) => <pre className="code plantext" tabIndex={0} aria-label={word('deploy.plan.sheet')}>{plan}</pre>}</Loaded>
    </Sheet>
  )
}
