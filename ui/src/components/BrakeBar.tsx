// The brake: what is being released, how far it is, Halt and Roll back. On every page, directly under the header.
import { Link } from '@tanstack/react-router'
import { useEffect, useId, useRef, useState, type ReactNode } from 'react'
import type { OrderRow } from '../data/api'
import { useNow } from '../data/clock'
import { ask, useMe, useOrders, useOverview } from '../data/queries'
import { orderTail } from '../lib/text'
import { HoldButton, holdMillis } from './HoldButton'
import { useKey } from './keyboard'
import { millis, useFormat, useWord } from './language'
import { Fact, Sheet } from './Sheet'
import { Glyph, State } from './State'
import { orderShape } from './tones'
import { Say } from './Text'

type Asked = 'halt' | 'rollback' | 'resume' | 'brake' | 'retry'
const moving = new Set(['running', 'halted', 'rolling_back'])
export const isMoving = (order: OrderRow): boolean => moving.has(order.state)

export function BrakeBar(): ReactNode {
  const overview = useOverview().data
  const running = overview?.running.filter(isMoving) ?? []
  const worst = running[0]
  if (worst) return <Bar key={worst.number} order={worst} more={running.length - 1} />
  return overview && overview.services.length > 0 ? <Quiet /> : null
}

/** Keeps the bar's place while nothing is released, so that a release that starts moves nothing; says what was last. */
function Quiet(): ReactNode {
  const word = useWord()
  const format = useFormat()
  const last = useOrders().data?.[0]
  return (
    <section className="brake-quiet t3 sm" aria-label={word('brake.name')}>
      <span>{word('brake.nothing')}</span>
      {last && (
        <Link to={`/orders/${last.number}`} className="plain row nw">
          <State shape={orderShape[last.state]} />
          <span className="t2">{last.service} {last.to} <span className="mono t3">{orderTail(last.number)}</span>, {format.when(last.ended_at ?? last.created_at)}</span>
        </Link>
      )}
    </section>
  )
}

function Bar({ order, more }: { order: OrderRow; more: number }): ReactNode {
  const word = useWord()
  const format = useFormat()
  const now = useNow(1000)
  const rights = useMe().data?.rights
  const [asked, setAsked] = useState<Asked>()
  const [problem, setProblem] = useState<string>()
  const [sheet, setSheet] = useState(false)
  const heading = useId()
  useEffect(() => setAsked(undefined), [order.state])

  const say = (verb: Asked): void => {
    setAsked(verb)
    setProblem(undefined)
    ask({ text: `${verb} ${order.number}`, yes: true }).then(
      (answer) => {
        if (answer.outcome?.is === 'refused') {
          setAsked(undefined)
          setProblem(format.text(answer.outcome.text))
        }
      },
      (error: unknown) => {
        setAsked(undefined)
        setProblem(error instanceof Error && error.message !== 'network' ? error.message : word('error.network'))
      },
    )
  }
  const mayHalt = rights === undefined || rights.includes('operate') || rights.includes('release')
  const mayRollBack = rights === undefined || rights.includes('release')
  const canHalt = order.state === 'running' && mayHalt && asked !== 'halt'
  const canRollBack = (order.state === 'running' || order.state === 'halted') && mayRollBack && asked !== 'rollback'
  useKey('Shift+h', () => say('halt'), canHalt)
  const held = useRef<ReturnType<typeof setTimeout>>(undefined)
  useKey('Shift+r', () => {
    held.current = setTimeout(() => say('rollback'), holdMillis)
    const release = (): void => {
      clearTimeout(held.current)
      removeEventListener('keyup', release)
    }
    addEventListener('keyup', release)
  }, canRollBack)

  const started = order.started_at ? millis(order.started_at) : millis(order.created_at)
  const share = order.hosts > 0 ? (order.hosts_done / order.hosts) * 100 : 0
  const tail = orderTail(order.number)
  return (
    <section className="brake" aria-labelledby={heading}>
      <h2 className="sr" id={heading}>{word('brake.name')}</h2>
      <div className="brake-what" aria-live="polite">
        <State shape={orderShape[order.state]}>
          {order.state === 'running' && word('brake.running', { time: format.clock(started) })}
          {order.state === 'halted' && word('brake.halted', { time: order.halted_at ? format.clock(order.halted_at, 1) : '' })}
          {order.state === 'rolling_back' && word('brake.rolling_back', { done: order.hosts - order.hosts_done, total: order.hosts })}
        </State>
        <Link to={`/orders/${order.number}`} className="plain m nw">{order.service} {order.to} <span className="mono t3">{tail}</span></Link>
        {order.because && <span className="t2 cut brake-why"><Say text={order.because} links={false} /></span>}
      </div>
      <span className="row nw" aria-hidden="true">
        <span className="bar" style={{ width: 96 }}><i style={{ width: `${share}%`, background: order.state === 'rolling_back' ? 'var(--ok)' : order.state === 'halted' ? 'var(--bad)' : 'var(--accent)' }} className={order.state === 'halted' ? '' : 'pulse'} /></span>
      </span>
      <span className="t2 sm nw">{word('brake.progress', { done: order.hosts_done, total: order.hosts })} <span className="t3">{format.duration(Math.floor(Math.max(0, now - started) / 1000) * 1000)}</span></span>
      {more > 0 && <Link to="/orders" className="sm nw in">{word('brake.more', { count: more })}</Link>}
      {problem && <span className="bad sm" role="alert">{problem}</span>}
      <div className="row end keep brake-do">
        <button type="button" className="btn brake-after" hidden={order.state !== 'running'} aria-disabled={!mayHalt || asked === 'brake' || undefined} onClick={() => mayHalt && asked !== 'brake' && say('brake')}>{word(asked === 'brake' ? 'brake.asked' : 'deploy.brake')}</button>
        <button type="button" className="btn" hidden={order.state !== 'halted' || order.because?.id.startsWith('because.step') !== true} aria-disabled={asked === 'retry' || !mayRollBack || undefined} onClick={() => mayRollBack && say('retry')}>{word('deploy.retry')}</button>
        <button type="button" className="btn" hidden={order.state !== 'halted'} aria-disabled={asked === 'resume' || !mayRollBack || undefined} onClick={() => mayRollBack && say('resume')}>{word('brake.resume')}</button>
        <button type="button" className={order.state === 'running' ? 'btn danf' : 'btn'} aria-disabled={!canHalt || undefined} aria-keyshortcuts="Shift+H" onClick={() => canHalt && say('halt')}>
          <Glyph shape="halted" tone="" />{word(asked === 'halt' ? 'brake.asked' : order.state === 'running' ? 'brake.halt' : 'brake.halted_now')}
        </button>
        <HoldButton onHeld={() => say('rollback')} onAsk={() => setSheet(true)} glyph={<Glyph shape="rolled_back" tone="" />} disabled={!canRollBack}
          reason={asked === 'rollback' ? word('brake.asked') : order.state === 'rolling_back' ? word('brake.rolling_back_now') : undefined}>
          {word('brake.roll_back')}
        </HoldButton>
      </div>
      <Sheet opened={sheet} onClose={() => setSheet(false)} title={word('brake.sheet', { service: order.service, environment: order.environment.toUpperCase() })}
        action={<button type="button" className="btn danf" data-autofocus onClick={() => { setSheet(false); say('rollback') }}><Glyph shape="rolled_back" tone="" />{word('brake.sheet.button', { done: order.hosts_done })}</button>}>
        <ul><Fact glyph={<Glyph shape="rolled_back" />}>{word('brake.sheet.what', { done: order.hosts_done, version: order.to })}</Fact></ul>
      </Sheet>
    </section>
  )
}
