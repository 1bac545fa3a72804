// A first start without services: this very machine, live, and the two lines that add a service.
import { useRef, type ReactNode } from 'react'
import { colorOf, Graph, type GraphSeries } from '../../components/Graph'
import { usePageRange } from '../../components/address'
import { useFormat, useWord } from '../../components/language'
import { Panel } from '../../components/Panel'
import type { Overview } from '../../data/api'
import { useRange } from '../../data/prom'
import type { Unit } from '../../lib/number'
import { queryStep } from '../../lib/range'
import type { WordId } from '../../lib/words'

interface Shown { title: WordId; note: WordId; unit: Unit; queries: readonly { query: string; name?: WordId; label?: string }[] }

// Names and labels are node_exporter's, as the agent sends them.
const shown: readonly Shown[] = [
  { title: 'overview.cpu', note: 'overview.cpu.note', unit: 'ratio', queries: [{ query: 'avg by (mode) (rate(node_cpu_seconds_total{mode!="idle"}[5s]))', label: 'mode' }] },
  { title: 'overview.memory', note: 'overview.memory.note', unit: 'bytes', queries: [{ query: 'node_memory_MemTotal_bytes - node_memory_MemAvailable_bytes', name: 'overview.used' }] },
  { title: 'overview.disk', note: 'overview.disk.note', unit: 'bytes_per_second', queries: [{ query: 'sum(rate(node_disk_read_bytes_total[5s]))', name: 'overview.read' }, { query: 'sum(rate(node_disk_written_bytes_total[5s]))', name: 'overview.written' }] },
  { title: 'overview.network', note: 'overview.network.note', unit: 'bytes_per_second', queries: [{ query: 'sum(rate(node_network_receive_bytes_total[5s]))', name: 'overview.received' }, { query: 'sum(rate(node_network_transmit_bytes_total[5s]))', name: 'overview.sent' }] },
  { title: 'overview.tcp', note: 'overview.tcp.note', unit: 'none', queries: [{ query: 'sum by (state) (node_tcp_connection_states)', label: 'state' }] },
  { title: 'overview.load', note: 'overview.load.note', unit: 'none', queries: [{ query: 'node_load1', name: 'overview.load' }] },
]

export function Machine({ overview }: { overview: Overview }): ReactNode {
  const word = useWord()
  const format = useFormat()
  const host = overview.hosts[0]
  return (
    <>
      <Panel name={word('overview.machine.name')} padded>
        <p className="m">{host ? word('overview.machine', { time: format.when(host.since ?? overview.own.started_at) }) : word('overview.machine.waiting')}</p>
        <p className="t2 sm" style={{ marginTop: 4 }}>{word('overview.machine.how')}</p>
        <pre className="code" style={{ marginTop: 6 }}>{`environments: {prod: {}}\nprojects: {mall: {services: {shop: {environments: {prod: {servers: [{host: ${host?.host ?? 'HOST'}, port: 8080}]}}}}}}`}</pre>
      </Panel>
      <div className="machine">{shown.map((one) => <MachineGraph key={one.title} shown={one} />)}</div>
    </>
  )
}

function MachineGraph({ shown: one }: { shown: Shown }): ReactNode {
  const word = useWord()
  const range = usePageRange()
  const step = queryStep(range.from, range.to, 300)
  const options = { live: range.live, text: range.range }
  const first = useRange(one.queries[0]!.query, range, step, options)
  const second = useRange(one.queries[1]?.query ?? '', range, step, { ...options, enabled: one.queries[1] !== undefined })
  const frames = [first.data, second.data]
  const series: GraphSeries[] = one.queries.flatMap((query, at) =>
    (frames[at]?.series ?? []).slice(0, 8).map((found, index) => ({ name: query.label ? (found.labels[query.label] ?? '') : query.name ? word(query.name) : '', values: found.values, color: colorOf(at + index), dash: index >= 4 })),
  )
  // Busiest first, so that colours and names go to what matters.
  const sum = (values: readonly (number | null)[]): number => values.reduce<number>((total, value) => total + (value ?? 0), 0)
  // As it was when the page opened: a name that changes places with another moves under the hand.
  const order = useRef<string[]>([])
  if (one.queries.length === 1) {
    series.sort((a, b) => sum(b.values) - sum(a.values))
    for (const found of series) if (!order.current.includes(found.name)) order.current.push(found.name)
    const place = (found: GraphSeries): number => order.current.indexOf(found.name)
    series.sort((a, b) => place(a) - place(b)).forEach((found, index) => { found.color = colorOf(index); found.dash = index >= 4 })
  }
  const times = first.data?.times ?? []
  return (
    <Panel title={word(one.title)} note={word(one.note)} actions={<span className="row wrap" style={{ gap: 10 }}>{series.length > 1 && series.slice(0, 4).map((found) => <span key={found.name} className="lg"><i style={{ background: `var(${found.color})` }} />{found.name}</span>)}</span>}>
      <div style={{ paddingTop: 4 }}>
        <Graph name={word(one.title)} times={times} series={series.map((found) => (found.values.length === times.length ? found : { ...found, values: found.values.slice(-times.length) }))} unit={one.unit} from={range.from} to={range.to} height={120} loading={first.isPending} group="machine" ends={false}
          onZoom={(from, to) => range.set({ from: new Date(from).toISOString(), to: new Date(to).toISOString() })} onReset={() => range.set({ from: 'now-5m', to: 'now' })} />
      </div>
      {first.error && !first.data ? <p className="bad sm" role="alert" style={{ padding: '0 14px 10px' }}>{first.error.message}</p> : null}
    </Panel>
  )
}
