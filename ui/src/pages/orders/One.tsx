// One order: its state, plan, approvals, and its log.
import { Link } from '@tanstack/react-router'
import { useMemo, type ReactNode } from 'react'
import { usePathParam } from '../../components/address'
import { Icon } from '../../components/Icon'
import { millis, useFormat, useWord } from '../../components/language'
import { LogView, type LogViewLine } from '../../components/LogView'
import { Panel } from '../../components/Panel'
import { Pill } from '../../components/State'
import { Say } from '../../components/Text'
import { orderShape } from '../../components/tones'
import { Fresh, Loaded } from '../../components/Waiting'
import type { Order } from '../../data/api'
import { useNow } from '../../data/clock'
import { useOrder, usePlace } from '../../data/queries'
import type { WordId } from '../../lib/words'
import { Brakes } from '../deploy/Deploy'
import { JudgePanel } from '../deploy/Judge'
import { active, before, useTook } from '../deploy/parts'
import { OrderPanel } from '../deploy/Plan'

export default function One(): ReactNode {
  const number = usePathParam('number')!
  const order = useOrder(number)
  return <Loaded query={order} rows={8}>{(found) => <Shown order={found} />}</Loaded>
}

function Shown({ order }: { order: Order }): ReactNode {
  const word = useWord()
  const format = useFormat()
  const now = useNow(1000)
  const took = useTook()
  const servers = usePlace({ project: order.project, service: order.service, environment: order.environment }).data?.servers.length
  const lines = useMemo<LogViewLine[]>(
    () => order.story.map((note, index) => ({
      id: index, at: note.at, who: note.host ?? word('deploy.log.plan'),
      text: <><Say text={note.text} links={false} />{note.note && <span className="t3"> {note.note}</span>}</>,
      tone: note.tone === 'bad' || note.tone === 'halted' ? 'bad' : note.tone === 'ok' || note.tone === 'rolled_back' ? 'ok' : undefined,
    })),
    [order.story, word],
  )
  const title = order.kind === 'restart' ? word('deploy.change.restart', { service: order.service }) : word('deploy.change.what', { service: order.service, from: before(order), to: order.release.version })
  return (
    <>
      <section aria-label={title}>
        <p className="row t3 sm"><Link to="/orders" className="in back">{word('orders.back_to_list')}</Link><Icon name="right" /><span className="mono">{order.number}</span></p>
        <div className="row wrap" style={{ gap: 10 }}>
          <h1>{title}</h1>
          <Link className="btn end keep" to={`/deploy/${order.project}/${order.service}/${order.environment}/${order.number}`}>{word('orders.open_deploy')}</Link>
        </div>
        <div className="row wrap" style={{ marginTop: 6 }}>
          <Pill shape={orderShape[order.state]}>{word(`orders.state.${order.state}` as WordId)}{order.ended_at ? ` ${format.when(order.ended_at)}` : ''}</Pill>
          <span className="t2 sm">{order.environment.toUpperCase()}, {order.author}, {format.when(millis(order.created_at))}{order.started_at ? `, ${took(order, now)}` : ''}</span>
        </div>
      </section>
      <Fresh className="stack">
        <div className="duo"><OrderPanel order={order} servers={servers} /><JudgePanel order={order} /></div>
        <Panel title={word('orders.log')} className="onelog"><LogView lines={lines} name={word('orders.log')} height={320} /></Panel>
      </Fresh>
      {active.has(order.state) && <Brakes order={order} servers={servers ?? order.plan.batches.flatMap((batch) => batch.lanes).length} />}
    </>
  )
}
