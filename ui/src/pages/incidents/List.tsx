// All incidents, newest first: state, priority, what, since when, suspect, owner. The filter is in the address; several at once by selection.
import { Link, useNavigate } from '@tanstack/react-router'
import { useState, type ReactNode } from 'react'
import './incident.css'
import { useSearchText } from '../../components/address'
import { DataTable, type Column } from '../../components/DataTable'
import { useKey } from '../../components/keyboard'
import { millis, useFormat, useWord } from '../../components/language'
import { Panel } from '../../components/Panel'
import { State, Tag } from '../../components/State'
import { Say, Time } from '../../components/Text'
import { useVerbs } from '../../components/verb'
import { Empty, Loaded } from '../../components/Waiting'
import type { IncidentRow } from '../../data/api'
import { useNow } from '../../data/clock'
import { client, useIncidents } from '../../data/queries'
import { incidentShape } from './parts'

const states = ['open', 'acknowledged', 'resolved'] as const
const filters = ['all', 'unresolved', ...states] as const
type Filter = (typeof filters)[number]
const isFilter = (text: string | undefined): text is Filter => filters.includes(text as Filter)

export default function List(): ReactNode {
  const word = useWord()
  const format = useFormat()
  const navigate = useNavigate()
  const now = useNow(1000)
  const [asked, setAsked] = useSearchText('state')
  const filter: Filter = isFilter(asked) ? asked : 'all'
  const query = useIncidents(filter === 'all' || filter === 'unresolved' ? {} : { state: filter })
  const [selected, setSelected] = useState<ReadonlySet<string>>(new Set())
  const rows = (query.data ?? []).filter((row) => filter !== 'unresolved' || row.state !== 'resolved')
  const chosen = rows.filter((row) => selected.has(String(row.number)))
  const verbs = useVerbs(rows.map((row) => row.state).join())
  const since = (row: IncidentRow): number => Math.max(0, Math.floor((now - millis(row.onset)) / 1000) * 1000)
  const each = async (verb: 'ack' | 'resolve', from: readonly IncidentRow['state'][]): Promise<void> => {
    for (const row of chosen.filter((one) => from.includes(one.state))) await verbs.say(`${verb} ${row.number}`)
    setSelected(new Set())
    void client.invalidateQueries({ queryKey: ['incidents'] })
  }
  const canAck = chosen.some((row) => row.state === 'open')
  const canResolve = chosen.length > 0 && chosen.every((row) => row.state === 'acknowledged')
  useKey('e', () => void (canAck ? each('ack', ['open']) : each('resolve', ['acknowledged'])), canAck || canResolve)
  const title = (row: IncidentRow): ReactNode => <Link to={`/incidents/${row.number}`} className="plain m"><Say text={row.title} links={false} /></Link>
  const shown = (row: IncidentRow): ReactNode => <State shape={incidentShape(row)}>{word(row.state === 'resolved' ? 'incidents.is.resolved' : row.recovered_at ? (row.state === 'open' ? 'incidents.is.recovered' : 'incidents.is.recovered_has') : row.state === 'open' ? 'incidents.is.open' : 'incidents.is.has')}</State>
  const columns: Column<IncidentRow>[] = [
    { id: 'number', head: '#', cell: (row) => <span className="mono">#{row.number}</span>, sort: (row) => row.number },
    { id: 'state', head: word('incidents.filter'), cell: shown, sort: (row) => states.indexOf(row.state) },
    { id: 'priority', head: word('incidents.priority'), wide: true, cell: (row) => <span title={word('incidents.priority.name', { number: row.priority.slice(1) })}><Tag>{row.priority}</Tag></span>, sort: (row) => row.priority },
    { id: 'title', head: word('incidents.incident'), cell: title, className: 'inc-title' },
    { id: 'since', head: word('incidents.since'), cell: (row) => <Time at={row.onset} />, sort: (row) => millis(row.onset) },
    // How long it hurt in all stands in the incident: between the two times it may have been well.
    { id: 'recovered', head: word('incidents.recovered'), cell: (row) => (row.recovered_at ? <Time at={row.recovered_at} /> : <span className="bad">{word('incident.state.bad', { span: format.duration(since(row)) })}</span>), sort: (row) => (row.recovered_at ? millis(row.recovered_at) : Infinity) },
    { id: 'suspect', head: word('incidents.suspect'), wide: true, className: 'inc-suspect', cell: (row) => (row.suspect ? <span className="t2"><Say text={row.suspect} links={false} short /></span> : <span className="t3">-</span>) },
    { id: 'owner', head: word('incidents.owner'), wide: true, cell: (row) => row.owner ?? <span className="t3">{word('incidents.nobody')}</span> },
  ]
  const none = filter === 'all'
    ? <Empty title={word('incidents.none')}>{word('incidents.none.hint')}</Empty>
    : <Empty title={word('incidents.none.filter')} actions={<button type="button" className="btn small" onClick={() => setAsked(undefined)}>{word('incidents.show_all')}</button>} />
  return (
    <>
      <h1>{word('nav.incidents')}</h1>
      <div className="row wrap" style={{ minHeight: 28 }}>
        <div className="seg inc-filter" role="group" aria-label={word('incidents.filter')}>
          {filters.map((one) => <button key={one} type="button" aria-pressed={filter === one} onClick={() => setAsked(one === 'all' ? undefined : one)}>{word(`incidents.filter.${one}`)}</button>)}
        </div>
        {chosen.length > 0 && (
          <>
            <span className="t2 sm">{word('incidents.selected', { count: chosen.length })}</span>
            <button type="button" className="btn" aria-disabled={!canAck || verbs.asked !== undefined || undefined} onClick={() => canAck && void each('ack', ['open'])}>{word('incident.ack')}</button>
            <button type="button" className="btn" aria-disabled={!canResolve || verbs.asked !== undefined || undefined} onClick={() => canResolve && void each('resolve', ['acknowledged'])}>{word('incident.resolve')}</button>
          </>
        )}
        {verbs.problem && <span className="bad sm" role="alert">{verbs.problem}</span>}
      </div>
      <Panel name={word('nav.incidents')}>
        <Loaded query={query} rows={6}>
          {() => (
            <DataTable name={word('nav.incidents')} columns={columns} rows={rows} id={rowId} sortBy={{ column: 'number', descending: true }} onOpen={(row) => void navigate({ to: `/incidents/${row.number}` })} empty={none}
              selected={selected} onSelect={setSelected} selectName={(row) => word('incidents.select', { number: row.number })} selectAllName={word('incidents.select_all')}
              narrow={(row) => (
                <>
                  <div className="row between"><span className="row"><span className="mono t3">#{row.number}</span><Tag>{row.priority}</Tag></span>{shown(row)}</div>
                  <div>{title(row)}</div>
                  <div className="t2 sm"><Time at={row.onset} className="" />, {row.recovered_at ? word('incident.state.recovered', { time: format.when(row.recovered_at) }) : word('incident.state.bad', { span: format.duration(since(row)) })}{row.owner ? `, ${row.owner}` : ''}</div>
                </>
              )} />
          )}
        </Loaded>
      </Panel>
    </>
  )
}

const rowId = (row: IncidentRow): string => String(row.number)
