// Services, heartbeats with the late ones first, who is on call.
import { Link } from '@tanstack/react-router'
import type { ReactNode } from 'react'
import { DataTable, type Column } from '../../components/DataTable'
import { millis, useFormat, useWord } from '../../components/language'
import { Panel } from '../../components/Panel'
import { State } from '../../components/State'
import { Say } from '../../components/Text'
import { alertShape } from '../../components/tones'
import type { HeartbeatRow, OnCallRow, ServiceRow } from '../../data/api'
import { useNow } from '../../data/clock'
import { initials } from '../../lib/text'

const address = (row: ServiceRow): string => `/deploy/${row.project}/${row.service}/${row.environment}`

export function Services({ rows }: { rows: readonly ServiceRow[] }): ReactNode {
  const word = useWord()
  const format = useFormat()
  const environments = [...new Set(rows.map((row) => row.environment))]
  const name = (row: ServiceRow): ReactNode => <Link to={address(row)} className="plain m">{row.service}</Link>
  const change = (row: ServiceRow): ReactNode => row.last_change ? <span className="t2"><Say text={row.last_change} links={false} short />{row.last_change_at && <>, {format.when(row.last_change_at)}</>}</span> : <span className="t3">-</span>
  const columns: Column<ServiceRow>[] = [
    { id: 'service', head: word('overview.service'), cell: name, sort: (row) => row.service },
    ...(environments.length > 1 ? [{ id: 'environment', head: word('overview.environment'), cell: (row: ServiceRow) => row.environment.toUpperCase(), sort: (row: ServiceRow) => row.environment }] : []),
    { id: 'state', head: word('overview.state'), cell: (row) => <State shape={alertShape[row.state]} />, sort: (row) => ['bad', 'source_down', 'no_data', 'ok'].indexOf(row.state) },
    { id: 'requests', head: word('overview.requests'), number: true, cell: (row) => format.measure(row.requests), sort: (row) => row.requests ?? -1 },
    { id: 'bad', head: word('overview.bad'), number: true, cell: (row) => format.measure(row.bad_share, 'ratio'), sort: (row) => row.bad_share ?? -1 },
    { id: 'p95', head: word('overview.p95'), number: true, wide: true, cell: (row) => format.measure(row.p95, 'seconds'), sort: (row) => row.p95 ?? -1 },
    { id: 'on_line', head: word('overview.on_line'), className: 'mono', cell: (row) => row.on_line.join(', ') || '-' },
    { id: 'servers', head: word('overview.servers'), number: true, cell: (row) => `${row.servers_in}/${row.servers}` },
    { id: 'change', head: word('overview.last_change'), wide: true, className: 'change-cell', cell: change },
  ]
  return (
    <Panel title={word('overview.services')} note={environments.length === 1 ? environments[0]!.toUpperCase() : undefined}>
      <DataTable name={word('overview.services')} columns={columns} rows={rows} id={(row) => `${row.project}/${row.service}/${row.environment}`}
        narrow={(row) => (
          <>
            <div className="row between">{name(row)}<State shape={alertShape[row.state]} /></div>
            <div className="t2 sm row wrap"><span className="mono">{row.on_line.join(', ')}</span><span>{row.servers_in}/{row.servers}</span>{row.requests != null && <span>{format.measure(row.requests, 'per_second')}</span>}{row.bad_share != null && <span>{format.measure(row.bad_share, 'ratio')}</span>}</div>
          </>
        )} />
    </Panel>
  )
}

export function Heartbeats({ rows }: { rows: readonly HeartbeatRow[] }): ReactNode {
  const word = useWord()
  const format = useFormat()
  const now = useNow(10_000)
  return (
    <Panel title={word('overview.heartbeats')} note={rows.length > 0 ? word('overview.heartbeats.note', { count: rows.length }) : undefined}>
      <div className="pb" style={{ paddingTop: 2 }}>
        {rows.length === 0 && <><p className="t2 sm">{word('overview.heartbeats.none')}</p><pre className="code" style={{ marginTop: 6 }}>curl {location.origin}/ping/ID</pre></>}
        <ul>
          {rows.slice(0, 6).map((row) => {
            const late = row.due_at ? now - millis(row.due_at) : 0
            return (
              <li key={row.heartbeat} className="row heart">
                <span className="m grow cut">{row.heartbeat}</span>
                {row.state === 'bad' ? <State shape="late">{late > 0 ? word('overview.heartbeat.late', { late: format.duration(Math.floor(late / 60_000) * 60_000 || late).replace(/ 00.*$/, '') }) : undefined}</State>
                  : <State shape={row.state === 'no_data' ? 'no_data' : alertShape[row.state]}>{row.state === 'no_data' ? word('overview.heartbeat.never') : undefined}</State>}
                <span className="t3 sm nw heart-when">{row.last_at ? `${format.when(row.last_at).replace(/^(\d\d:\d\d):\d\d$/, '$1')}${row.took_ms == null ? '' : `, ${format.duration(row.took_ms).replace(/ 00.\S+$/, '')}`}` : row.due_at ? word('overview.heartbeat.due', { time: format.when(row.due_at) }) : ''}</span>
              </li>
            )
          })}
        </ul>
      </div>
    </Panel>
  )
}

export function OnCall({ rows }: { rows: readonly OnCallRow[] }): ReactNode {
  const word = useWord()
  return (
    <Panel title={word('overview.on_call')} padded>
      <ul>{rows.map((row) => <li key={`${row.service}/${row.person}`} className="row sm" style={{ height: 26 }}><span className="av" aria-hidden="true">{initials(row.person)}</span><span className="m">{row.person}</span><span className="t3 end keep">{row.service}</span></li>)}</ul>
    </Panel>
  )
}
