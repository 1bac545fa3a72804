// What is under way, what waits for whom. What waits for an approval stands first.
import { Link, useNavigate } from '@tanstack/react-router'
import { useState, type ReactNode } from 'react'
import '../deploy/deploy.css'
import { useSearchText } from '../../components/address'
import { DataTable, type Column } from '../../components/DataTable'
import { millis, useFormat, useWord } from '../../components/language'
import { Panel } from '../../components/Panel'
import { State } from '../../components/State'
import { Say, Time } from '../../components/Text'
import { orderShape } from '../../components/tones'
import { Empty, Fresh, Loaded } from '../../components/Waiting'
import type { OrderRow } from '../../data/api'
import { useNow } from '../../data/clock'
import { useMe, useOrders } from '../../data/queries'
import type { WordId } from '../../lib/words'
import { useTook } from '../deploy/parts'

const filters = ['unended', 'draft', 'running', 'halted', 'done', 'failed', 'rolled_back', 'cancelled'] as const

export default function List(): ReactNode {
  const word = useWord()
  const [state, setState] = useSearchText('state')
  const [service, setService] = useSearchText('service')
  const orders = useOrders({ ...(state ? { state } : {}), ...(service ? { service } : {}) })
  const chip = (value: string | undefined, said: string): ReactNode => <button key={value ?? 'all'} type="button" aria-pressed={state === value} onClick={() => setState(value)}>{said}</button>
  return (
    <>
      <div className="row wrap">
        <h1>{word('orders.title')}</h1>
        {service && <button type="button" className="btn small" onClick={() => setService(undefined)}>{service} ×</button>}
      </div>
      <div className="chips"><span className="seg small" role="group" aria-label={word('orders.filter')}>
        {chip(undefined, word('orders.filter.all'))}
        {filters.map((one) => chip(one, one === 'unended' ? word('orders.filter.open') : word(`orders.state.${one}` as WordId)))}
      </span></div>
      <Fresh className="stack">
        <Loaded query={orders} rows={6}>{(rows) => <Rows rows={rows} filtered={state !== undefined || service !== undefined} onAll={() => { setState(undefined); setService(undefined) }} />}</Loaded>
      </Fresh>
    </>
  )
}

function Rows({ rows, filtered, onAll }: { rows: readonly OrderRow[]; filtered: boolean; onAll: () => void }): ReactNode {
  const word = useWord()
  const me = useMe().data
  const [most, setMost] = useState(100)
  if (rows.length === 0) {
    return (
      <Panel name={word('orders.title')}>
        {filtered ? <Empty title={word('orders.none.filter')} actions={<button type="button" className="btn small" onClick={onAll}>{word('incidents.show_all')}</button>} /> : <Empty title={word('orders.none')}>{word('orders.none.hint')}</Empty>}
      </Panel>
    )
  }
  const waits = rows.filter((row) => row.state === 'draft')
  // One's own order needs somebody else: it stands after those that wait for this person.
  const mine = waits.filter((row) => row.author !== me?.name && row.author !== me?.shown)
  const first = [...mine, ...waits.filter((row) => !mine.includes(row))]
  const rest = rows.filter((row) => row.state !== 'draft')
  return (
    <>
      {first.length > 0 && <Panel title={word('orders.waits')}><Table name={word('orders.waits')} rows={first} /></Panel>}
      {rest.length > 0 && <Panel name={word('orders.title')}><Table name={word('orders.title')} rows={rest.slice(0, most)} />{rest.length > most && <div className="pb"><button type="button" className="btn small" onClick={() => setMost(most + 100)}>{word('orders.older')}</button></div>}</Panel>}
    </>
  )
}

const numberOf = (row: OrderRow): string => row.number

function Table({ name, rows }: { name: string; rows: readonly OrderRow[] }): ReactNode {
  const word = useWord()
  const format = useFormat()
  const navigate = useNavigate()
  const now = useNow(1000)
  const took = useTook()
  const number = (row: OrderRow): ReactNode => <Link to={`/orders/${row.number}`} className="mono in nw">{row.number}</Link>
  const state = (row: OrderRow): ReactNode => <State shape={orderShape[row.state]}>{word(`orders.state.${row.state}` as WordId)}</State>
  const change = (row: OrderRow): ReactNode => <span><span className="m">{row.service}</span> <span className="mono">{row.from ? `${row.from} → ` : ''}{row.to}</span></span>
  const columns: Column<OrderRow>[] = [
    { id: 'state', head: word('deploy.state'), cell: state, sort: (row) => row.state },
    { id: 'number', head: word('orders.number'), cell: number, sort: numberOf },
    { id: 'change', head: word('orders.change'), cell: change, sort: (row) => row.service },
    { id: 'where', head: word('orders.where'), cell: (row) => row.environment.toUpperCase(), sort: (row) => row.environment },
    { id: 'servers', head: word('orders.servers'), number: true, cell: (row) => `${row.hosts_done}/${row.hosts}`, sort: (row) => row.hosts_done },
    { id: 'author', head: word('orders.author'), cell: (row) => row.author, sort: (row) => row.author },
    { id: 'made', head: word('orders.made'), number: true, cell: (row) => <Time at={row.created_at} />, sort: (row) => millis(row.created_at) },
    { id: 'took', head: word('orders.took'), number: true, wide: true, cell: (row) => took(row, now), sort: (row) => (row.started_at ? (row.ended_at ? millis(row.ended_at) : now) - millis(row.started_at) : 0) },
    { id: 'reason', head: word('deploy.reason'), wide: true, className: 't2', cell: (row) => (row.because ? <Say text={row.because} links={false} /> : row.reason) },
  ]
  return (
    <DataTable name={name} columns={columns} rows={rows} id={numberOf} onOpen={(row) => void navigate({ to: `/orders/${row.number}` })}
      narrow={(row) => (
        <>
          <div className="row between">{number(row)}{state(row)}</div>
          <div className="t2 sm row wrap">{change(row)}<span>{row.environment.toUpperCase()}</span><span>{row.author}</span><span>{format.when(row.created_at)}</span></div>
        </>
      )} />
  )
}
