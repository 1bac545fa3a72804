// What is on line where, what is being done to it, is it well, how do I stop it?
import { Link, useNavigate } from '@tanstack/react-router'
import { useMemo, useState, type ReactNode } from 'react'
import './deploy.css'
import { usePathParam, useSearchText } from '../../components/address'
import { useKey } from '../../components/keyboard'
import { millis, useFormat, useWord } from '../../components/language'
import { Panel } from '../../components/Panel'
import { PhoneBar, useOneTap } from '../../components/PhoneBar'
import { Fact, Sheet } from '../../components/Sheet'
import { Glyph } from '../../components/State'
import { Say } from '../../components/Text'
import { orderShape } from '../../components/tones'
import { useVerbs } from '../../components/verb'
import { Empty, Fresh, Loaded } from '../../components/Waiting'
import type { Order, Place, Strategy } from '../../data/api'
import { useMe, useOrder, usePlace, useServices } from '../../data/queries'
import { JudgePanel } from './Judge'
import { Logs, useAppLog } from './Logs'
import { NewOrder } from './NewOrder'
import { active, before, touchedCount } from './parts'
import { OrderPanel } from './Plan'
import { Servers } from './Servers'

export default function Deploy(): ReactNode {
  const project = usePathParam('project')!
  const service = usePathParam('service')!
  const environment = usePathParam('environment')!
  const place = usePlace({ project, service, environment })
  return <Loaded query={place} rows={8}>{(found) => <At key={`${project}/${service}/${environment}`} place={found} />}</Loaded>
}

function At({ place }: { place: Place }): ReactNode {
  const word = useWord()
  const format = useFormat()
  const named = usePathParam('order')
  const number = named ?? (place.orders.find((order) => active.has(order.state)) ?? place.orders[0])?.number
  const order = useOrder(number)
  const [selected, setSelected] = useState<ReadonlySet<string>>(() => new Set(place.servers.map((row) => row.host)))
  const [strategy, setStrategy] = useState<Strategy>(place.strategy)
  const [host, setHost] = useSearchText('host')
  const [making, setMaking] = useState<'all' | 'selected'>()
  const started = order.data?.started_at ? millis(order.data.started_at) : undefined
  const hosts = useMemo(() => new Set(place.servers.map((row) => row.host)), [place.servers.map((row) => row.host).join(' ')])
  const lines = useAppLog(place.service, hosts, started)
  useKey('a', () => setSelected(new Set(hosts)))
  useKey('Escape', () => (host ? setHost(undefined) : setSelected(new Set())))
  const onLine = [...new Set(place.servers.flatMap((row) => (row.release ? [row.release.version] : [])))]
  const list = new Intl.ListFormat(format.language, { style: 'narrow', type: 'unit' })
  return (
    <>
      <Head place={place} number={number} onNew={() => setMaking('all')} />
      <Fresh className="stack">
        {number === undefined ? (
          <Panel title={word('deploy.plan')}><Empty title={onLine.length > 0 ? word('deploy.nothing', { versions: list.format(onLine) }) : word('deploy.nothing.first')} actions={<button type="button" className="btn" onClick={() => setMaking('all')}>{word('deploy.new')}</button>} /></Panel>
        ) : (
          <Loaded query={order} rows={6}>{(found) => <div className="duo"><OrderPanel order={found} servers={place.servers.length} /><JudgePanel order={found} /></div>}</Loaded>
        )}
        <Servers place={place} order={order.data} lines={lines} selected={selected} onSelect={setSelected} strategy={strategy} onStrategy={setStrategy} onOpen={(name) => setHost(host === name ? undefined : name)} onDeploy={() => setMaking('selected')} />
        <Logs order={order.data} lines={lines} host={host} since={started} />
      </Fresh>
      {order.data && active.has(order.data.state) && <Brakes order={order.data} servers={place.servers.length} />}
      {making && <NewOrder place={place} hosts={making === 'all' ? [] : [...selected].sort()} strategy={strategy} onStrategy={setStrategy} onClose={() => setMaking(undefined)} />}
    </>
  )
}

function Head({ place, number, onNew }: { place: Place; number: string | undefined; onNew: () => void }): ReactNode {
  const word = useWord()
  const format = useFormat()
  const navigate = useNavigate()
  const services = useServices().data ?? []
  const rights = useMe().data?.rights
  const here = `${place.project}/${place.service}`
  const named = [...new Map([[here, place.environment], ...services.map((row): [string, string] => [`${row.project}/${row.service}`, row.environment])]).keys()]
  const address = (service: string): string => {
    const of = services.filter((row) => `${row.project}/${row.service}` === service)
    return `/deploy/${service}/${(of.find((row) => row.environment === place.environment) ?? of.at(-1))?.environment ?? place.environment}`
  }
  const off = rights !== undefined && !rights.includes('release') ? word('deploy.off.right', { right: 'release' }) : place.off_because ? format.text(place.off_because) : undefined
  const orders = place.orders.some((order) => order.number === number) || number === undefined ? place.orders : [{ number, service: place.service, to: '', state: 'done' as const }, ...place.orders]
  return (
    <section className="row wrap dhead" aria-label={word('nav.deploy')}>
      <h1>{word('nav.deploy')}</h1>
      <label className="selbox"><span className="sr">{word('deploy.service')}</span>
        <select className="sel" value={here} onChange={(event) => void navigate({ to: address(event.target.value) })}>
          {named.map((name) => <option key={name} value={name}>{name}</option>)}
        </select>
      </label>
      <span className="seg envs" role="group" aria-label={word('deploy.environments')}>
        {place.path.map((step) => (
          <Link key={step.environment} to={`/deploy/${place.project}/${place.service}/${step.environment}`} title={step.on_line.join(', ')} {...(step.environment === place.environment ? { 'aria-current': 'page' as const } : {})}>
            {step.state && <Glyph shape={orderShape[step.state]} />}{step.environment.toUpperCase()}
            {step.at && step.environment !== place.environment && <span className="t3 nw">{format.when(step.at).replace(/^(\d\d:\d\d):\d\d$/, '$1')}</span>}
          </Link>
        ))}
      </span>
      <label className="selbox order"><span className="sr">{word('deploy.order')}</span>
        {number === undefined ? <span className="t3">{word('deploy.order.none')}</span> : (
          <select className="sel mono" value={number} onChange={(event) => void navigate({ to: `/deploy/${here}/${place.environment}/${event.target.value}` })}>
            {orders.map((order) => <option key={order.number} value={order.number}>{`${order.number} ${order.service} ${order.to}`}</option>)}
          </select>
        )}
      </label>
      <button type="button" className="btn end keep makes" aria-disabled={off !== undefined || undefined} title={off} onClick={() => off === undefined && onNew()}>{word('deploy.new')}</button>
    </section>
  )
}

/** On a phone: Halt, and Roll back with its sheet. */
export function Brakes({ order, servers }: { order: Order; servers: number }): ReactNode {
  const word = useWord()
  const rights = useMe().data?.rights
  const verbs = useVerbs(order.state)
  const tap = useOneTap()
  const [sheet, setSheet] = useState(false)
  const canHalt = order.state === 'running' && rights?.includes('operate') !== false && verbs.asked === undefined
  const canBack = (order.state === 'running' || order.state === 'halted') && order.kind !== 'restart' && rights?.includes('release') !== false && verbs.asked !== 'rollback'
  const count = touchedCount(order)
  return (
    <PhoneBar name={word('deploy.bar')} note={verbs.problem ? <span className="bad" role="alert">{verbs.problem}</span> : order.because ? <Say text={order.because} links={false} /> : undefined}>
      <button type="button" className={canHalt ? 'btn danf' : 'btn'} aria-disabled={!canHalt || undefined} onClick={() => canHalt && tap(() => void verbs.say(`halt ${order.number}`))}>
        <Glyph shape="halted" tone="" />{word(verbs.asked === 'halt' ? 'brake.asked' : order.state === 'running' ? 'brake.halt' : 'brake.halted_now')}
      </button>
      <button type="button" className="btn dan" aria-disabled={!canBack || undefined} onClick={() => canBack && tap(() => setSheet(true))}>
        <Glyph shape="rolled_back" tone="" />{word(order.state === 'rolling_back' ? 'brake.rolling_back_now' : 'brake.roll_back_short')}
      </button>
      <Sheet opened={sheet} onClose={() => setSheet(false)} title={word('brake.sheet', { service: order.service, environment: order.environment.toUpperCase() })}
        action={<button type="button" className="btn danf" data-autofocus onClick={() => tap(() => { setSheet(false); void verbs.say(`rollback ${order.number}`) })}><Glyph shape="rolled_back" tone="" />{word('brake.sheet.button', { done: count })}</button>}>
        <BackFacts order={order} servers={servers} />
      </Sheet>
    </PhoneBar>
  )
}

/** What a roll back would do, in figures. */
export function BackFacts({ order, servers }: { order: Order; servers: number }): ReactNode {
  const word = useWord()
  const to = before(order)
  return (
    <ul>
      <Fact glyph={<Glyph shape="rolled_back" />}>{word('incident.sheet.go', { count: touchedCount(order), from: order.release.version, to })}</Fact>
      <Fact glyph={<Glyph shape="running" />}>{word('incident.sheet.keep', { min: order.plan.min_in_service, all: servers })}</Fact>
      <Fact glyph={<Glyph shape="ok" />}>{word('incident.sheet.disk', { to })}</Fact>
    </ul>
  )
}
