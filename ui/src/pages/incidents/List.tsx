// All incidents, newest first: state, priority, what, since when, suspect, owner. The filter is in the address.
import { Link, useNavigate } from '@tanstack/react-router'
import type { ReactNode } from 'react'
import { useSearchText } from '../../components/address'
import { DataTable, type Column } from '../../components/DataTable'
import { millis, useFormat, useWord } from '../../components/language'
import { Panel } from '../../components/Panel'
import { State, Tag, type Shape } from '../../components/State'
import { Say, Time } from '../../components/Text'
import { Empty, Loaded } from '../../components/Waiting'
import type { IncidentRow, IncidentState } from '../../data/api'
import { useNow } from '../../data/clock'
import { useIncidents } from '../../data/queries'

const states = ['open', 'acknowledged', 'resolved'] as const
const isState = (text: string | undefined): text is IncidentState => states.includes(text as IncidentState)

/** An incident that hurts is bad; one that hurts no more waits for a person until it is resolved. */
export const incidentShape = (row: { state: IncidentState; recovered_at?: string | null }): Shape => (row.state === 'resolved' || row.recovered_at ? 'ok' : 'bad')

export default function List(): ReactNode {
  const word = useWord()
  const format = useFormat()
  const navigate = useNavigate()
  const now = useNow(1000)
  const [asked, setState] = useSearchText('state')
  const state = isState(asked) ? asked : undefined
  const query = useIncidents(state ? { state } : {})
  const hurt = (row: IncidentRow): number => (row.recovered_at ? millis(row.recovered_at) : now) - millis(row.onset)
  const title = (row: IncidentRow): ReactNode => <Link to={`/incidents/${row.number}`} className="plain m"><Say text={row.title} links={false} /></Link>
  const shown = (row: IncidentRow): ReactNode => <State shape={incidentShape(row)}>{word(`incidents.state.${row.state}`)}</State>
  const columns: Column<IncidentRow>[] = [
    { id: 'number', head: word('incidents.number'), cell: (row) => <span className="mono">#{row.number}</span>, sort: (row) => row.number },
    { id: 'state', head: word('incidents.state'), cell: shown, sort: (row) => states.indexOf(row.state) },
    { id: 'priority', head: word('incidents.priority'), cell: (row) => <Tag>{row.priority}</Tag>, sort: (row) => row.priority },
    { id: 'title', head: word('incidents.title'), cell: title },
    { id: 'since', head: word('incidents.since'), cell: (row) => <Time at={row.onset} />, sort: (row) => millis(row.onset) },
    { id: 'hurt', head: word('incidents.hurt'), number: true, cell: (row) => format.duration(hurt(row)), sort: hurt },
    { id: 'suspect', head: word('incidents.suspect'), wide: true, cell: (row) => (row.suspect ? <span className="t2"><Say text={row.suspect} links={false} /></span> : <span className="t3">-</span>) },
    { id: 'owner', head: word('incidents.owner'), wide: true, cell: (row) => row.owner ?? <span className="t3">-</span> },
  ]
  return (
    <>
      <h1>{word('nav.incidents')}</h1>
      <div className="seg" role="group" aria-label={word('incidents.filter')} style={{ alignSelf: 'flex-start' }}>
        <button type="button" aria-pressed={!state} onClick={() => setState(undefined)}>{word('incidents.all')}</button>
        {states.map((one) => <button key={one} type="button" aria-pressed={state === one} onClick={() => setState(one)}>{word(`incidents.state.${one}`)}</button>)}
      </div>
      <Panel name={word('nav.incidents')}>
        <Loaded query={query} rows={6}>
          {(rows) => (
            <DataTable name={word('nav.incidents')} columns={columns} rows={rows} id={(row) => String(row.number)} sortBy={{ column: 'number', descending: true }} onOpen={(row) => void navigate({ to: `/incidents/${row.number}` })}
              empty={state ? <Empty title={word('incidents.none.filter', { state: word(`incidents.state.${state}`) })} actions={<button type="button" className="btn small" onClick={() => setState(undefined)}>{word('incidents.show_all')}</button>} /> : <Empty title={word('incidents.none')}>{word('incidents.none.hint')}</Empty>}
              narrow={(row) => (
                <>
                  <div className="row between"><span className="row"><span className="mono t3">#{row.number}</span><Tag>{row.priority}</Tag></span>{shown(row)}</div>
                  <div>{title(row)}</div>
                  <div className="t2 sm"><Time at={row.onset} className="" />, {format.duration(hurt(row))}</div>
                </>
              )} />
          )}
        </Loaded>
      </Panel>
    </>
  )
}
