// Made-up things for development: the bad release of the mock-ups, told relative to the moment this starts.
import type { Incident, IncidentRow, Me, Order, OrderRow, Overview, Place, ServerRow, TimelineRow, ChatMessage } from '../src/data/api'

/** The onset is 95 s before the start, so that the whole story is in the past five minutes. */
export const onset = Math.floor(Date.now() / 1000) * 1000 - 95_000 + 300
/** Milliseconds since 1970 at `seconds` from the onset. */
export const at = (seconds: number): number => onset + seconds * 1000
export const recovered = at(3.7)
const time = (seconds: number): string => new Date(at(seconds)).toISOString()
const stamp = new Date(at(-42)).toISOString().replace(/[-:]/g, '').replace('T', '-').slice(0, 15)
export const order = `${stamp}-7K`
const scope = { project: 'mall', service: 'shop', environment: 'prod' }

export const me: Me = { name: 'zhao.wei', shown: 'Zhao Wei', language: 'en', grants: [{ role: 'admin' }], rights: ['view', 'operate', 'release', 'approve', 'administer', 'ingest'], version: '0.1.0', bot: 'flyball', demo: true }

export const timeline: TimelineRow[] = [
  { seq: 101, at: time(-33.3), text: { id: 'order.started', args: { order, service: 'shop', from: '4.11.3', to: '4.12.0' } }, tone: 'change', flag: 'shop 4.12.0', by: 'Lin Mei', scope, order },
  { seq: 104, at: time(-7), text: { id: 'order.gate_passed', args: { batch: '1', seconds: '20' } }, tone: 'ok', scope, order },
  { seq: 106, at: time(0), text: { id: 'alert.bad', args: { rule: 'ShopBadAnswers', value: '1.2 %' } }, tone: 'bad', flag: 'ShopBadAnswers', scope, incident: 3727 },
  { seq: 107, at: time(0.7), text: { id: 'order.halted', args: { because: 'new gave 209 bad answers of 4,680 (4.5 %), old 3 of 4,702 (0.06 %)' } }, tone: 'halted', flag: 'halted', scope, order },
  { seq: 108, at: time(0.8), text: { id: 'incident.opened', args: { number: '#3727', suspects: '3' } }, tone: 'bad', scope, incident: 3727 },
  { seq: 109, at: time(1.0), text: { id: 'incident.told', args: { receiver: '#ops' } }, tone: 'told', scope, incident: 3727 },
  { seq: 112, at: time(3.7), text: { id: 'order.rolled_back', args: { count: '4', to: '4.11.3' } }, tone: 'rolled_back', flag: 'rolled back', scope, order },
  { seq: 113, at: time(8.7), text: { id: 'incident.recovered', args: { after: '3.7 s' } }, tone: 'ok', scope, incident: 3727 },
  { seq: 115, at: time(15.8), text: { id: 'incident.acknowledged', args: { person: 'Zhao Wei' } }, tone: 'person', by: 'Zhao Wei', scope, incident: 3727 },
]

export const orderRow = (state: OrderRow['state']): OrderRow => ({
  number: order, project: 'mall', service: 'shop', environment: 'prod', from: '4.11.3', to: '4.12.0', state, author: 'Lin Mei', reason: 'Price cache, larger connection pool (20 to 50)',
  hosts_done: state === 'rolling_back' ? 2 : state === 'rolled_back' ? 0 : 4, hosts: 8, created_at: time(-42), started_at: time(-33.3),
  ...(state === 'running' ? {} : { halted_at: time(0.7), because: { id: 'because.judge', args: { new_bad: '209', new_all: '4,680', new_share: '4.5 %', old_bad: '3', old_all: '4,702', old_share: '0.06 %' } } }),
  ...(state === 'rolled_back' ? { ended_at: time(3.7) } : {}),
})

const number = (title: string, value: number, unit: string, more: Partial<Overview['numbers'][number]> = {}): Overview['numbers'][number] => {
  const end = Math.floor(Date.now() / 1000)
  const times = Array.from({ length: 150 }, (_, index) => end - 298 + index * 2)
  const values = times.map((second) => {
    const hurt = second * 1000 >= onset && second * 1000 < recovered
    if (hurt && title === 'Orders') return value * 0.6
    if (hurt && title === 'Bad answers') return value * 60
    return value * (1 + 0.02 * Math.sin(second / 3) + 0.01 * Math.sin(second * 1.3))
  })
  return { title, query: title === 'Orders' ? 'sum(rate(orders_total[10s])) * 60' : 'sum(rate(http_requests_total{code=~"5.."}[10s]))', value, unit, state: 'ok', times, values, ...more }
}

export function overview(world: string): Overview {
  const now = Date.now()
  const plain = world === 'plain'
  const moving = world === 'rolling' ? 'rolling_back' : world === 'running' ? 'running' : world === 'ask' ? 'halted' : undefined
  return {
    at: new Date(now).toISOString(),
    sentence: plain ? { id: 'plain', args: { text: 'This machine is well.' } } : { id: 'plain', args: { text: moving ? 'shop hurts: orders 43 % under forecast. Suspect: release 7K.' : 'Nothing hurts now. A bad release of shop was halted and taken back by itself.' } },
    state: moving && moving !== 'running' ? 'bad' : 'ok',
    ...(plain ? {} : { figures: { id: 'plain', args: { text: 'Bad for 3.7 s: 1,418 bad answers, 191 orders failed.' } } }),
    waiting: plain ? [] : [
      { text: { id: 'plain', args: { text: '#3727 to resolve' } }, to: '/incidents/3727', state: 'incident' },
      { text: { id: 'plain', args: { text: '1 heartbeat late' } }, to: '/', state: 'heartbeat' },
      { text: { id: 'plain', args: { text: '1 source down' } }, to: '/', state: 'source_down' },
    ],
    numbers: plain ? [] : [number('Orders', 12_391, '/min'), number('Bad answers', 0.0005, 'ratio', { limit: 0.005 }), number('Requests', 9_812, '/s'), number('Home page p95', 0.212, 's', { limit: 0.4 }), number('Logins', 2_138, '/min')],
    services: plain ? [] : [
      { project: 'mall', service: 'shop', environment: 'prod', state: moving && moving !== 'running' ? 'bad' : 'ok', requests: 5_204, bad_share: 0.0005, p95: 0.212, on_line: ['4.11.3'], servers_in: 8, servers: 8, last_change: { id: 'plain', args: { text: 'taken back' } }, last_change_at: time(3.7) },
      { project: 'mall', service: 'pay', environment: 'prod', state: 'ok', requests: 611, bad_share: 0.0001, p95: 0.148, on_line: ['2.7.0'], servers_in: 4, servers: 4, last_change: { id: 'plain', args: { text: 'released' } }, last_change_at: time(-190_000) },
      { project: 'mall', service: 'stock', environment: 'prod', state: 'source_down', requests: null, bad_share: null, p95: null, on_line: ['1.19.4', '1.19.3'], servers_in: 3, servers: 4, last_change: { id: 'plain', args: { text: 'SQL' } }, last_change_at: time(-290_000) },
    ],
    heartbeats: plain ? [] : [
      { heartbeat: 'price-import', state: 'bad', last_at: time(-1400), due_at: time(-325) },
      { heartbeat: 'stock-sync', state: 'ok', last_at: time(-80), took_ms: 41_000, due_at: time(600) },
      { heartbeat: 'nightly-backup', state: 'ok', last_at: time(-26_000), took_ms: 1_320_000 },
      { heartbeat: 'sitemap', state: 'no_data' },
    ],
    on_call: plain ? [] : [{ service: 'shop', person: 'Zhao Wei' }, { service: 'pay', person: 'Ana Sousa' }],
    hosts: [{ host: 'shop-3', state: 'ok', since: time(-3000), agent_version: '0.1.0', services: plain ? [] : ['shop'] }],
    running: moving ? [orderRow(moving)] : [],
    ...(plain ? {} : {
      story: {
        incident: 3727, order, service: 'shop', from: time(-37), ...(moving ? {} : { to: time(38) }), onset: time(0),
        tracks: [{ title: 'orders', query: 'sum(rate(orders_total[2s])) * 60', unit: '/min' }, { title: 'bad answers', query: 'bad by release="new"', unit: 'ratio' }],
      },
    }),
    own: { state: 'ok', agents_up: plain ? 1 : 23, agents: plain ? 1 : 24, saved_at: new Date(now).toISOString(), seq: 120, outbox: 0, damaged: 0, series: 20_134, started_at: time(-600) },
  }
}

const servers: ServerRow[] = Array.from({ length: 8 }, (_, index) => ({
  host: `shop-${index + 1}`, address: `10.20.4.1${index + 1}:8080`, container: 'process', release: { version: index < 2 ? '4.12.0' : '4.11.3', digest: '9f3ca17e'.repeat(8) },
  state: 'running', since: time(-7_000), host_up: index !== 5, balancer: index === 0 ? 'draining' : index === 1 ? 'out' : 'in', sessions: index === 0 ? 14 : 3, cpu_cores: 0.4, memory_bytes: 412e6, memory_limit_bytes: 1e9, disk_share: 0.41,
  last_order: order, last_result: index < 2 ? 'new' : index < 4 ? 'old' : 'not_touched', last_at: time(index), last_line: { id: 'step.drain' },
}))

export const place = (project: string, service: string, environment: string, state: OrderRow['state']): Place => ({
  project, service, environment,
  path: [{ environment: 'fat', state: 'done', at: time(-3700), on_line: ['4.12.0'] }, { environment: 'uat', state: 'done', at: time(-2000), on_line: ['4.12.0'] }, { environment: 'prod', state, at: time(3.7), on_line: ['4.11.3'] }],
  approval: true, confirm: true, strategy: { parallel: 3 }, servers, orders: [orderRow(state)],
  artifacts: [{ digest: 'c07b44e1'.repeat(8), name: 'shop-4.12.1.tar.gz', version: '4.12.1', size: 4_200_000, by: 'Lin Mei', at: time(20) }, { digest: '9f3ca17e'.repeat(8), name: 'shop-4.12.0.tar.gz', version: '4.12.0', size: 4_180_000, by: 'Lin Mei', at: time(-60) }],
})

export const fullOrder = (state: Order['state']): Order => {
  const lane = (host: string, first: number): Order['plan']['batches'][number]['lanes'][number] => ({
    host, before: { version: '4.11.3', digest: 'a17e9f3c'.repeat(8) },
    steps: [
      { ordinal: first, action: { do: 'fetch', service: 'shop', digest: '9f3ca17e'.repeat(8), size: 4_180_000 }, time_limit_ms: 60_000, undo: [] },
      { ordinal: first + 1, action: { do: 'drain', balancer: 'edge', backend: 'shop', server: host, at_most_ms: 10_000 }, time_limit_ms: 15_000, undo: [{ action: { do: 'balancer_in', balancer: 'edge', backend: 'shop', server: host }, time_limit_ms: 5_000 }] },
    ],
  })
  const batch = (hosts: number[]): Order['plan']['batches'][number] => ({ lanes: hosts.map((host) => lane(`shop-${host}`, host * 10)), gate: { watch_ms: 20_000, rules: ['ShopBadAnswers'], judge: true } })
  return {
    number: order, project: 'mall', service: 'shop', environment: 'prod', release: { version: '4.12.0', digest: '9f3ca17e'.repeat(8) }, size: 4_180_000, kind: 'deploy', author: 'Lin Mei',
    reason: 'Price cache, larger connection pool (20 to 50)', strategy: { parallel: 3 }, plan: { schema: 1, order, project: 'mall', service: 'shop', environment: 'prod', min_in_service: 5, batches: [batch([1]), batch([2, 3, 4]), batch([5, 6, 7, 8])] },
    digest: '5d1e09b2'.repeat(8), approvals: [{ digest: '5d1e09b2'.repeat(8), by: 'Tom Weber', at: time(-35) }], state, batch: 1,
    because: { id: 'because.judge', args: { new_bad: '209', new_all: '4,680', new_share: '4.5 %', old_bad: '3', old_all: '4,702', old_share: '0.06 %' } },
    hosts: Object.fromEntries(servers.map((server, index) => [server.host, index < 2 ? { state: 'undoing', doing: 'drain', asked_at: time(1) } : index < 4 ? { state: 'old', ended_at: time(2) } : { state: 'not_touched' }])),
    judge: { verdict: 'worse', evidence: { new_bad: 209, new_all: 4_680, old_bad: 3, old_all: 4_702, e_value: 1e9 }, at: time(0.7) },
    created_at: time(-42), started_at: time(-33.3), halted_at: time(0.7), ...(state === 'rolled_back' ? { ended_at: time(3.7) } : {}),
    story: [
      { at: time(-42), text: { id: 'order.created', args: { person: 'Lin Mei', order, service: 'shop', from: '4.11.3', to: '4.12.0', environment: 'prod' } }, tone: 'person' },
      { at: time(-33.3), text: { id: 'order.started', args: { order, service: 'shop', from: '4.11.3', to: '4.12.0' } }, tone: 'change' },
      { at: time(-30), host: 'shop-1', text: { id: 'step.drain' }, note: 'drained in 372 ms', tone: 'running' },
      { at: time(0.7), text: { id: 'order.halted', args: { because: 'new 4.5 % bad, old 0.06 %' } }, tone: 'halted' },
      { at: time(1.2), host: 'shop-4', text: { id: 'step.balancer_out' }, note: '1 ms', tone: 'rolled_back' },
      { at: time(3.7), text: { id: 'order.rolled_back', args: { count: '4', to: '4.11.3' } }, tone: 'rolled_back' },
    ],
  }
}

export const incident: Incident = {
  number: 3727, title: { id: 'incident.title_rule', args: { service: 'shop', summary: 'orders fail with HTTP 500' } }, priority: 'P2', scope, state: 'acknowledged', onset: time(0), opened_at: time(0.8), recovered_at: time(3.7), owner: 'Zhao Wei', acknowledged_at: time(15.8), on_call: 'zhao.wei',
  alerts: [{ alert: 'ShopBadAnswers/1', rule: 'ShopBadAnswers', labels: { alertname: 'ShopBadAnswers', service: 'shop' }, state: 'ok', value: 0.012, onset: time(0), summary: 'orders fail with HTTP 500', expr: 'sum(rate(http_requests_total{service="shop",code=~"5.."}[2s])) / sum(rate(http_requests_total{service="shop"}[2s])) > 0.005', changed_at: time(8.7) }],
  suspects: [
    { change: { id: 'c1', kind: 'release', what: { id: 'change.release', args: { order, service: 'shop', from: '4.11.3', to: '4.12.0' } }, scope, author: 'Lin Mei', at: time(-33.3), order }, seq: 101, received_at: time(-33.3), percent: 97, undo: order,
      evidence: [{ weight: 'for', text: { id: 'suspect.same_service' } }, { weight: 'for', text: { id: 'suspect.running' } }, { weight: 'for', text: { id: 'suspect.new_against_old', args: { new: '4.5 %', old: '0.06 %' } } }, { weight: 'neutral', text: { id: 'suspect.before', args: { before: '33 s' } } }] },
    { change: { id: 'c2', kind: 'configuration', what: { id: 'plain', args: { text: 'edge: HAProxy reloaded' } }, scope: { service: 'edge' }, author: 'Ana Sousa', at: time(-1060) }, seq: 80, received_at: time(-1060), percent: 2, evidence: [{ weight: 'for', text: { id: 'suspect.dependency', args: { service: 'edge' } } }, { weight: 'against', text: { id: 'suspect.before', args: { before: '17 min 40 s' } } }] },
  ],
  changes_seen: 7,
  told: [
    { receiver: '#ops', channel: 'chat', asked_at: time(0.8), result: { is: 'delivered', at: time(1), tries: 1 } },
    { receiver: 'status-page', channel: 'webhook', asked_at: time(0.8), result: { is: 'retrying', tries: 2, next_at: time(120), why: 'connection refused' } },
  ],
  story: timeline.map(({ at: when, text, tone, by, order: number }) => ({ at: when, text, tone, ...(by ? { by } : {}), ...(number ? { order: number } : {}) })),
}
export const incidentRow: IncidentRow = {
  number: 3727, title: incident.title, priority: 'P2', state: 'acknowledged', scope, onset: incident.onset, recovered_at: time(3.7), owner: 'Zhao Wei', suspect: incident.suspects[0]!.change.what,
}

export const chat: ChatMessage[] = [
  { seq: 107, room: 'ops', at: time(0.9), by: 'flyball', bot: true, body: { is: 'card', card: { text: { id: 'chat.halted', args: { service: 'shop', to: '4.12.0', because: 'new 4.5 % bad, old 0.06 %' } }, tone: 'halted', calls: 'Lin Mei', incident: 3727, order } } },
  { seq: 116, room: 'ops', at: time(30), by: 'Zhao Wei', bot: false, body: { is: 'said', text: '@flyball check shop' } },
  { seq: 117, room: 'ops', at: time(30.4), by: 'flyball', bot: true, body: { is: 'answer', asked: 'check shop', answer: { understood: 'check shop prod', text: { id: 'plain', args: { text: 'shop in PROD: 8 of 8 up' } }, well: true, parts: [{ is: 'servers', service: 'shop', environment: 'prod', wanted: '4.11.3', up: 8, of: 8, servers }] } } },
]

/** Replaces every name by something hostile: markup, templates, right-to-left marks, 300 letters. The page must show it as text. */
export function hostile<T>(of: T): T {
  const names = ['<img src=x onerror="document.title=\'broken\'">', '{{7*7}}', `${'x'.repeat(300)}`, '\u202egnol\u202c', '"><script>document.title="broken"</script>']
  let next = 0
  const plain = new Set(['id', 'state', 'tone', 'to', 'at', 'from', 'unit', 'query', 'onset', 'since', 'last_at', 'due_at', 'saved_at', 'started_at', 'created_at', 'halted_at', 'ended_at', 'last_change_at', 'project', 'order', 'number', 'is', 'do', 'kind', 'verdict', 'digest', 'last_result', 'balancer', 'weight', 'priority', 'strategy', 'svg', 'room', 'last_order', 'undo', 'opened_at', 'recovered_at', 'acknowledged_at', 'asked_at', 'next_at', 'received_at', 'changed_at'])
  const walk = (value: unknown, key: string): unknown => {
    if (typeof value === 'string') return plain.has(key) ? value : names[(next += 1) % names.length]
    if (Array.isArray(value)) return value.map((item) => walk(item, key))
    if (value && typeof value === 'object') return Object.fromEntries(Object.entries(value).map(([name, item]) => [name, walk(item, name)]))
    return value
  }
  return walk(of, '') as T
}
