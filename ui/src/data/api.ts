// The API's types under /api/flyball/v1, in the server's own names. Times are RFC 3339 in UTC.

export type Time = string
export type Seq = number
export type IncidentNumber = number
export type OrderNumber = string

export interface ErrorBody { error: { code: string; message: string; place?: string | null; hint?: string | null; id?: string | null } }

export interface Text { id: string; args?: Record<string, string> }
export type Language = 'en' | 'zh'
export type AlertState = 'ok' | 'bad' | 'no_data' | 'source_down'
export type Right = 'view' | 'ingest' | 'operate' | 'release' | 'approve' | 'administer'
export type Role = 'viewer' | 'sender' | 'operator' | 'releaser' | 'approver' | 'admin'
export interface Grant { role: Role; project?: string | null; environment?: string | null }

export interface Login { name: string; password: string }
export interface LoginLink { token: string }
export interface Me { name: string; shown: string; language: Language; grants: Grant[]; rights: Right[]; version: string; bot: string; demo: boolean }

export interface Scope { project?: string | null; service?: string | null; environment?: string | null; hosts?: string[] }
export type ChangeKind = 'release' | 'configuration' | 'sql' | 'system' | 'outside'
export interface Change { id: string; kind: ChangeKind; what: Text; scope?: Scope; author?: string | null; at: Time; detail?: string | null; link?: string | null; order?: OrderNumber | null }
export interface ChangeRow { seq: Seq; received_at: Time; change: Change }

export interface Overview {
  at: Time
  sentence: Text
  state: AlertState
  figures?: Text | null
  waiting: Waiting[]
  numbers: Number[]
  services: ServiceRow[]
  heartbeats: HeartbeatRow[]
  on_call: OnCallRow[]
  hosts: HostRow[]
  running: OrderRow[]
  story?: StoryRef | null
  own: OwnState
}
export type WaitingKind = 'incident' | 'heartbeat' | 'source_down' | 'order'
export interface Waiting { text: Text; to: string; state: WaitingKind }
export interface Number {
  title: string; query: string; value?: number | null; unit: string; limit?: number | null; state: AlertState; times: number[]; values: (number | null)[]
}
export interface ServiceRow {
  project: string; service: string; environment: string; state: AlertState
  requests?: number | null; bad_share?: number | null; p95?: number | null
  on_line: string[]; servers_in: number; servers: number; last_change?: Text | null; last_change_at?: Time | null
}
export interface HeartbeatRow { heartbeat: string; state: AlertState; last_at?: Time | null; took_ms?: number | null; due_at?: Time | null }
export interface OnCallRow { service: string; person: string }
export interface HostRow { host: string; state: AlertState; since?: Time | null; agent_version: string; services: string[] }
export interface OrderRow {
  number: OrderNumber; project: string; service: string; environment: string; from?: string | null; to: string; state: OrderState
  author: string; reason: string; hosts_done: number; hosts: number; because?: Text | null
  created_at: Time; started_at?: Time | null; halted_at?: Time | null; ended_at?: Time | null
}
export interface StoryRef { incident?: IncidentNumber | null; order?: OrderNumber | null; service?: string | null; from: Time; to?: Time | null; onset?: Time | null; tracks: Track[] }
export interface Track { title: string; query: string; unit: string }
export interface OwnState { state: AlertState; agents_up: number; agents: number; saved_at: Time; seq: Seq; outbox: number; series: number; started_at: Time }
export interface TimelineRow {
  seq: Seq; at: Time; text: Text; tone: Tone; flag?: string | null; by?: string | null; scope: Scope; incident?: IncidentNumber | null; order?: OrderNumber | null
}

export type Priority = 'P1' | 'P2' | 'P3' | 'P4' | 'P5'
export type IncidentState = 'open' | 'acknowledged' | 'resolved'
export interface IncidentRow {
  number: IncidentNumber; title: Text; priority: Priority; state: IncidentState; scope: Scope; onset: Time; recovered_at?: Time | null; owner?: string | null; suspect?: Text | null
}
export interface Incident {
  number: IncidentNumber; title: Text; priority: Priority; scope: Scope; state: IncidentState
  onset: Time; opened_at: Time; recovered_at?: Time | null; owner?: string | null; acknowledged_at?: Time | null; resolved_at?: Time | null; on_call?: string | null
  alerts: IncidentAlert[]; suspects: Suspect[]; changes_seen: number; told: Told[]; story: StoryLine[]
}
export interface IncidentAlert {
  alert: string; rule: string; labels: Record<string, string>; state: AlertState; value?: number | null; onset: Time; summary: string; expr: string; changed_at: Time
}
export interface Suspect { change: Change; seq: Seq; received_at: Time; percent: number; evidence: Evidence[]; undo?: OrderNumber | null }
export type Weight = 'for' | 'against' | 'neutral'
export interface Evidence { weight: Weight; text: Text }
export interface Told { receiver: string; channel: string; asked_at: Time; result: TellResult }
export type TellResult =
  | { is: 'asked' }
  | { is: 'delivered'; at: Time; tries: number }
  | { is: 'retrying'; tries: number; next_at: Time; why: string }
  | { is: 'failed'; why: string }
export interface StoryLine { at: Time; text: Text; tone: Tone; by?: string | null; order?: OrderNumber | null }

export type Tone = 'running' | 'ok' | 'bad' | 'halted' | 'rolled_back' | 'person' | 'told' | 'change'
export type OrderKind = 'deploy' | 'restart'
export type Strategy = 'serial' | { parallel: number } | 'halves'
export type OrderState = 'draft' | 'approved' | 'running' | 'halted' | 'rolling_back' | 'done' | 'failed' | 'rolled_back' | 'cancelled'
export type HostState = 'not_touched' | 'working' | 'new' | 'undoing' | 'old' | 'unknown' | 'stuck'
export interface ReleaseOnHost { version: string; digest: string }
export interface Order {
  number: OrderNumber; project: string; service: string; environment: string; release: ReleaseOnHost; size: number; kind: OrderKind
  author: string; reason?: string; strategy: Strategy; chosen?: string[]; plan: Plan; digest: string; approvals?: Approval[]
  state: OrderState; behind?: OrderNumber | null; because?: Text | null; batch: number; watching_since?: Time | null; brake?: boolean
  hosts: Record<string, HostProgress>; judge?: JudgeState | null
  created_at: Time; started_at?: Time | null; halted_at?: Time | null; ended_at?: Time | null; story: OrderNote[]
}
export interface HostProgress { state: HostState; step?: number | null; doing?: string | null; asked_at?: Time | null; ended_at?: Time | null }
export interface OrderNote { at: Time; host?: string | null; text: Text; note?: string; tone: Tone }
export interface JudgeEvidence { new_bad: number; new_all: number; old_bad: number; old_all: number; e_value: number }
export interface JudgeState { verdict: 'undecided' | 'worse'; evidence: JudgeEvidence; at: Time }
export interface Artifact { digest: string; name: string; version: string; size: number; by: string; at: Time }

export interface Plan { schema: number; order: OrderNumber; project: string; service: string; environment: string; min_in_service: number; batches: Batch[] }
export interface Batch { lanes: Lane[]; gate: Gate }
export interface Lane { host: string; before?: ReleaseOnHost | null; steps: Step[] }
export interface Gate { watch_ms: number; rules: string[]; judge: boolean }
export interface Step { ordinal: number; action: Action; time_limit_ms: number; undo: UndoStep[] }
export interface UndoStep { action: Action; time_limit_ms: number }
export type Action =
  | { do: 'fetch'; service: string; digest: string; size: number }
  | { do: 'unpack'; service: string; release: ReleaseOnHost }
  | { do: 'balancer_out'; balancer: string; backend: string; server: string }
  | { do: 'drain'; balancer: string; backend: string; server: string; at_most_ms: number }
  | { do: 'stop'; service: string }
  | { do: 'switch'; service: string; to?: ReleaseOnHost | null }
  | { do: 'start'; service: string }
  | { do: 'verify'; service: string; url: string; version: string; probe?: string | null }
  | { do: 'balancer_in'; balancer: string; backend: string; server: string }
  | { do: 'restart'; service: string }
export interface Approval { digest: string; by: string; at: Time }

export type ServiceState = 'stopped' | 'starting' | 'running' | 'stopping' | 'crashed'
export interface LogLine { at: Time; host: string; service: string; text: string }
export interface Place {
  project: string; service: string; environment: string; path: PathStep[]; approval: boolean; confirm: boolean; strategy: Strategy
  servers: ServerRow[]; orders: OrderRow[]; artifacts: Artifact[]; off_because?: Text | null
}
export interface PathStep { environment: string; state?: OrderState | null; at?: Time | null; on_line: string[] }
export interface ServerRow {
  host: string; address: string; container: string; release?: ReleaseOnHost | null; state?: ServiceState | null; since?: Time | null; host_up: boolean
  balancer?: string | null; sessions?: number | null; cpu_cores?: number | null; memory_bytes?: number | null; memory_limit_bytes?: number | null; disk_share?: number | null
  last_order?: OrderNumber | null; last_result?: HostState | null; last_at?: Time | null; last_line?: Text | null
}

export interface Card { text: Text; tone: Tone; calls?: string | null; incident?: IncidentNumber | null; order?: OrderNumber | null }
export interface ChatMessage { seq: Seq; room: string; at: Time; by: string; bot: boolean; body: ChatBody }
export type ChatBody = { is: 'said'; text: string } | { is: 'card'; card: Card } | { is: 'answer'; asked: string; answer: Answer }

export type Surface = 'cli' | 'page' | 'chat' | 'api' | 'flyball'
export interface Ask { id?: string | null; text: string; via: Surface; yes?: boolean; dry_run?: boolean; room?: string | null }
export interface Answer { understood: string; text: Text; well: boolean; parts: AnswerPart[]; confirm?: Confirmation | null; outcome?: Outcome | null }
export interface Confirmation { id: string; what: Text; until: Time }
export type AnswerPart =
  | { is: 'table'; heads: string[]; rows: Cell[][] }
  | { is: 'servers'; service: string; environment: string; wanted: string; up: number; of: number; servers: ServerRow[] }
  | { is: 'log'; lines: LogLine[] }
  | { is: 'picture'; media_type: string; svg: string; series: PictureSeries[] }
  | { is: 'incidents'; incidents: IncidentRow[] }
  | { is: 'changes'; changes: ChangeRow[] }
  | { is: 'orders'; orders: OrderRow[] }
  | { is: 'help'; verbs: VerbHelp[] }
export interface PictureSeries { labels: Record<string, string>; times: number[]; values: (number | null)[] }
export interface Cell { text: string; state?: AlertState | null }
export interface VerbHelp { verb: string; usage: string; text: Text; right: Right }
export type RefusalKind = 'unknown' | 'state' | 'right' | 'form'
export type Outcome =
  | { is: 'accepted'; text: Text; order?: OrderNumber | null; incident?: IncidentNumber | null }
  | { is: 'refused'; kind: RefusalKind; text: Text }

export interface NewOrder { service: string; environment: string; artifact: string; reason?: string; strategy?: Strategy | null; hosts?: string[]; dry_run?: boolean }
export interface Accepted { seq: Seq; id: string }
export interface Demo { service: string; environment: string; releases: Record<string, string> }
