// The servers of a service: what runs on each, in the balancer or not, last deployment, logs; selected ones are restarted or deployed to.
import { useState, type ReactNode } from 'react'
import { DataTable, type Column } from '../../components/DataTable'
import { HoldButton } from '../../components/HoldButton'
import { millis, useFormat, useWord } from '../../components/language'
import { Panel } from '../../components/Panel'
import { Fact, Sheet } from '../../components/Sheet'
import { Glyph, State } from '../../components/State'
import { Say } from '../../components/Text'
import { hostShape } from '../../components/tones'
import { useVerbs } from '../../components/verb'
import { Empty } from '../../components/Waiting'
import type { Order, Place, ServerRow, Strategy } from '../../data/api'
import { useMe } from '../../data/queries'
import { lineTone } from '../../lib/kinds'
import { orderTail } from '../../lib/text'
import type { AppLine } from './Logs'
import { active, touched, useHostSaid } from './parts'

interface Props {
  place: Place
  order: Order | undefined
  lines: readonly AppLine[]
  selected: ReadonlySet<string>
  onSelect: (selected: ReadonlySet<string>) => void
  strategy: Strategy
  onStrategy: (strategy: Strategy) => void
  onOpen: (host: string) => void
  onDeploy: () => void
}

const hostOf = (row: ServerRow): string => row.host

export function Servers({ place, order, lines, selected, onSelect, strategy, onStrategy, onOpen, onDeploy }: Props): ReactNode {
  const word = useWord()
  const servers = place.servers
  const half = Math.ceil(servers.length / 2)
  const pick = (rows: readonly ServerRow[]): void => onSelect(new Set(rows.map(hostOf)))
  const is = (rows: readonly ServerRow[]): boolean => rows.length > 0 && rows.length === selected.size && rows.every((row) => selected.has(row.host))
  const all = servers.length
  const count = servers.filter((row) => touched(order, row.host)).length
  if (all === 0) {
    return <Panel title={word('deploy.servers')}><Empty title={word('deploy.servers.none', { service: place.service, environment: place.environment.toUpperCase() })}>{word('deploy.servers.none.hint')}</Empty></Panel>
  }
  return (
    <Panel className="servers" title={word('deploy.servers')} note={word('deploy.servers.note', { selected: selected.size, all, touched: count })} actions={(
      <>
        <span className="seg small" role="group" aria-label={word('deploy.select')}>
          <button type="button" aria-pressed={is(servers)} onClick={() => pick(servers)}>{word('deploy.select.all')}</button>
          <button type="button" aria-pressed={selected.size === 0} onClick={() => pick([])}>{word('deploy.select.clear')}</button>
          {all > 1 && <button type="button" aria-pressed={is(servers.slice(0, half))} onClick={() => pick(servers.slice(0, half))}>{word('deploy.select.a')}</button>}
          {all > 1 && <button type="button" aria-pressed={is(servers.slice(half))} onClick={() => pick(servers.slice(half))}>{word('deploy.select.b')}</button>}
        </span>
        <span className="makes"><Ways strategy={strategy} onStrategy={onStrategy} most={all} /></span>
        <Do place={place} order={order} selected={selected} onDeploy={onDeploy} />
      </>
    )}>
      <Table place={place} order={order} lines={lines} selected={selected} onSelect={onSelect} onOpen={onOpen} />
    </Panel>
  )
}

export function Ways({ strategy, onStrategy, most }: { strategy: Strategy; onStrategy: (strategy: Strategy) => void; most: number }): ReactNode {
  const word = useWord()
  const width = typeof strategy === 'object' ? strategy.parallel : 2
  return (
    <span className="seg small" role="group" aria-label={word('deploy.way')}>
      <button type="button" aria-pressed={strategy === 'serial'} onClick={() => onStrategy('serial')}>{word('deploy.way.serial')}</button>
      <button type="button" aria-pressed={typeof strategy === 'object'} onClick={() => onStrategy({ parallel: width })}>{word('deploy.way.parallel', { width })}</button>
      {typeof strategy === 'object' && (
        <input type="number" className="width" min={1} max={Math.max(1, most)} value={width} aria-label={word('deploy.way.width')}
          onChange={(event) => onStrategy({ parallel: Math.max(1, Math.min(1_000, Math.floor(Number(event.target.value)) || 1)) })} />
      )}
      <button type="button" aria-pressed={strategy === 'halves'} onClick={() => onStrategy('halves')}>{word('deploy.way.halves')}</button>
    </span>
  )
}

function Do({ place, order, selected, onDeploy }: { place: Place; order: Order | undefined; selected: ReadonlySet<string>; onDeploy: () => void }): ReactNode {
  const word = useWord()
  const format = useFormat()
  const rights = useMe().data?.rights
  const verbs = useVerbs(order?.state)
  const [sheet, setSheet] = useState(false)
  const runs = order && active.has(order.state) ? word('deploy.off.order', { order: orderTail(order.number) }) : undefined
  const none = selected.size === 0 ? word('deploy.off.none') : undefined
  const may = (right: 'operate' | 'release'): string | undefined => (rights === undefined || rights.includes(right) ? undefined : word('deploy.off.right', { right }))
  const offRestart = may('operate') ?? runs ?? none
  const offDeploy = may('release') ?? (place.off_because ? format.text(place.off_because) : undefined) ?? runs ?? none
  const hosts = [...selected].sort()
  // Without --hosts all are meant: a full selection is said so, because then a new server counts too.
  const only = selected.size === place.servers.length ? '' : ` --hosts ${hosts.join(',')}`
  const restart = (): void => {
    setSheet(false)
    void verbs.say(`restart ${place.service} ${place.environment}${only}`)
  }
  const asks = place.confirm && selected.size > 1
  return (
    <>
      {verbs.problem && <span className="bad sm" role="alert">{verbs.problem}</span>}
      {asks ? (
        <HoldButton className="btn small" onHeld={restart} onAsk={() => setSheet(true)} disabled={offRestart !== undefined || verbs.asked !== undefined}>{word('deploy.restart')}</HoldButton>
      ) : (
        <button type="button" className="btn small" aria-disabled={offRestart !== undefined || undefined} title={offRestart} onClick={() => offRestart === undefined && restart()}>{word('deploy.restart')}</button>
      )}
      <button type="button" className="btn small makes" aria-disabled={offDeploy !== undefined || undefined} title={offDeploy} aria-describedby={offDeploy ? 'deploy-off' : undefined} onClick={() => offDeploy === undefined && onDeploy()}>{word('deploy.now')}</button>
      {offDeploy && <span id="deploy-off" className="sr">{offDeploy}</span>}
      <Sheet opened={sheet} onClose={() => setSheet(false)} title={word('deploy.restart.sheet', { service: place.service, environment: place.environment.toUpperCase() })}
        action={<button type="button" className="btn danf" data-autofocus onClick={restart}>{word('deploy.restart.button', { count: hosts.length })}</button>}>
        <ul><Fact glyph={<Glyph shape="running" />}>{word('deploy.restart.what', { count: hosts.length, hosts: hosts.join(', ') })}</Fact></ul>
      </Sheet>
    </>
  )
}

function Table({ place, order, lines, selected, onSelect, onOpen }: Pick<Props, 'place' | 'order' | 'lines' | 'selected' | 'onSelect' | 'onOpen'>): ReactNode {
  const word = useWord()
  const format = useFormat()
  const said = useHostSaid()
  const counted = new Map<string, number>()
  const hurt = new Set<string>()
  for (const line of lines) {
    if (!line.fresh) continue
    counted.set(line.host, (counted.get(line.host) ?? 0) + 1)
    if (lineTone(line.text) === 'bad') hurt.add(line.host)
  }
  const balancer = (row: ServerRow): ReactNode => {
    if (row.balancer == null) return <span className="t3">{word('deploy.balancer.none')}</span>
    if (row.balancer === 'in') return <State shape="ok">{word('deploy.balancer.in')}</State>
    if (row.balancer === 'draining') return <State shape="running">{word('deploy.balancer.draining', { left: row.sessions ?? 0 })}</State>
    return <State shape="untouched">{row.balancer === 'out' ? word('deploy.balancer.out') : row.balancer}</State>
  }
  const last = (row: ServerRow): ReactNode => {
    if (!row.host_up) return <State shape="down">{word('state.down')}</State>
    if (order && touched(order, row.host) && active.has(order.state)) {
      const now = said(order, row.host)
      const at = order.hosts[row.host]?.ended_at ?? order.hosts[row.host]?.asked_at
      return <><State shape={now.shape}>{now.said}</State>{at && <span className="t3"> {format.when(at)}</span>}</>
    }
    if (!row.last_result || row.last_result === 'not_touched') return <span className="t3">{word('deploy.last.none')}</span>
    const id = row.last_result === 'new' ? 'deploy.last.new' : row.last_result === 'old' ? 'deploy.last.old' : row.last_result === 'unknown' ? 'deploy.unknown' : row.last_result === 'stuck' ? 'deploy.stuck' : 'deploy.last.working'
    return <><State shape={hostShape[row.last_result]}>{word(id)}</State>{row.last_at && <span className="t3"> {format.when(row.last_at)}</span>}</>
  }
  const release = (row: ServerRow): ReactNode => <span className={row.release && order && row.release.version === order.release.version && active.has(order.state) ? 'mono m run' : 'mono m'}>{row.release?.version ?? '-'}</span>
  const app = (row: ServerRow): ReactNode => {
    const count = counted.get(row.host) ?? 0
    return <button type="button" className="linky sm" onClick={() => onOpen(row.host)}>{count === 0 ? word('deploy.app.none') : hurt.has(row.host) ? <State shape="bad">{word('deploy.app.new', { count })}</State> : word('deploy.app.new', { count })}</button>
  }
  const deploy = (row: ServerRow): ReactNode => (row.last_line ? <Say text={row.last_line} links={false} /> : <span className="t3">-</span>)
  const columns: Column<ServerRow>[] = [
    { id: 'server', head: word('deploy.col.server'), cell: (row) => <span className="m">{row.host}</span>, sort: hostOf },
    { id: 'address', head: word('deploy.col.address'), className: 'mono t2', cell: (row) => row.address },
    { id: 'container', head: word('deploy.col.container'), className: 't2', wide: true, cell: (row) => row.container },
    { id: 'release', head: word('deploy.col.release'), cell: release, sort: (row) => row.release?.version ?? '' },
    { id: 'balancer', head: word('deploy.col.balancer'), cell: balancer, sort: (row) => row.balancer ?? '' },
    { id: 'last', head: word('deploy.col.last'), cell: last, sort: (row) => (row.last_at ? millis(row.last_at) : 0) },
    { id: 'app', head: word('deploy.col.app'), wide: true, cell: app, sort: (row) => counted.get(row.host) ?? 0 },
    { id: 'deploy', head: word('deploy.col.deploy'), wide: true, className: 't2 sm', cell: deploy },
  ]
  return (
    <DataTable name={word('deploy.servers')} columns={columns} rows={place.servers} id={hostOf} selected={selected} onSelect={onSelect} onOpen={(row) => onOpen(row.host)}
      selectName={(row) => word('deploy.select.one', { host: row.host })} selectAllName={word('deploy.select.all')}
      narrow={(row) => (
        <>
          <div className="row between"><span className="m cut">{row.host}</span>{last(row)}</div>
          <div className="row between t2 sm"><span className="row">{release(row)}<span className="mono t3">{row.address}</span></span>{balancer(row)}</div>
        </>
      )} />
  )
}
