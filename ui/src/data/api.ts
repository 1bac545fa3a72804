// Made by `cargo xtask gen` from docs/openapi.json. Do not edit.
/** What came of something that was sent. */
export type Accepted = {
  /** Its id. */
  id: EventId;
  /** Its place in the journal. */
  seq: Seq;
};
/** The closed list of what a step can do. Each is idempotent; its verification is named with it. */
export type Action = ({
  /** What. */
  digest: ArtifactDigest;
  do: "fetch";
  /** Of which service. */
  service: ServiceName;
  /** How big, in bytes. */
  size: number;
} | {
  do: "unpack";
  /** What. */
  release: ReleaseOnHost;
  /** Of which service. */
  service: ServiceName;
} | {
  /** Its backend. */
  backend: string;
  /** Which balancer. */
  balancer: BalancerName;
  do: "balancer_out";
  /** Its server. */
  server: string;
} | {
  /** Go on after this, in milliseconds. */
  at_most_ms: number;
  /** Its backend. */
  backend: string;
  /** Which balancer. */
  balancer: BalancerName;
  do: "drain";
  /** Its server. */
  server: string;
} | {
  do: "stop";
  /** Which. */
  service: ServiceName;
} | {
  do: "switch";
  /** Which. */
  service: ServiceName;
  to?: (ReleaseOnHost | null);
} | {
  do: "start";
  /** Which. */
  service: ServiceName;
} | {
  do: "verify";
  probe?: (ProbeName | null);
  /** Which service. */
  service: ServiceName;
  /** By which probe: `http://127.0.0.11:8080/version`. */
  url: string;
  /** What the body or the header `x-release` must contain. */
  version: string;
} | {
  /** Its backend. */
  backend: string;
  /** Which balancer. */
  balancer: BalancerName;
  do: "balancer_in";
  /** Its server. */
  server: string;
} | {
  do: "restart";
  /** Which. */
  service: ServiceName;
});
/** A rule and its alert's labels: `rule/16 hexadecimal digits`. */
export type AlertKey = string;
/** The four states of an alert. A failed scrape or a vanished series is never an "OK". */
export type AlertState = "ok" | "bad" | "no_data" | "source_down";
/** The answer of a verb: data, rendered by each surface. */
export type Answer = {
  confirm?: (Confirmation | null);
  outcome?: (Outcome | null);
  /** What there is to see. */
  parts: AnswerPart[];
  /** One sentence. */
  text: Text;
  /** The verb that was understood, in the grammar's own form. */
  understood: string;
  /** Whether things are well, for the exit code. */
  well: boolean;
};
/** A part of an answer. */
export type AnswerPart = ({
  /** Heads: ids of words that surfaces translate. */
  heads: string[];
  is: "table";
  /** Cells. */
  rows: Cell[][];
} | {
  /** Where. */
  environment: EnvironmentName;
  is: "servers";
  /** How many are wanted. */
  of: number;
  /** Each. */
  servers: ServerRow[];
  /** Which. */
  service: ServiceName;
  /** How many are up. */
  up: number;
  /** Wanted state: the release. */
  wanted: string;
} | {
  is: "log";
  /** Oldest first. */
  lines: LogLine[];
} | {
  is: "picture";
  /** `image/svg+xml` */
  media_type: string;
  /** The same as numbers. */
  series: PictureSeries[];
  /** The picture, as text. */
  svg: string;
  /** What is drawn, as `shop: Orders /min`: the series of one number often have no labels. */
  title?: string;
} | {
  /** Newest first. */
  incidents: IncidentRow[];
  is: "incidents";
} | {
  /** Newest first. */
  changes: ChangeRow[];
  is: "changes";
} | {
  is: "orders";
  /** Newest first. */
  orders: OrderRow[];
} | {
  is: "help";
  /** Each. */
  verbs: VerbHelp[];
});
/** What failed. */
export type ApiError = {
  /** A word for programs: `bad_request`, `unknown`, `not_allowed`, `conflict`, `too_large`, `too_many`, `full`, `internal`. */
  code: string;
  /** What would be right: the nearest name, an example. */
  hint?: string | null;
  /** Found again in the server's log; only for failures of the server. */
  id?: string | null;
  /** A sentence. */
  message: string;
  /** Where: a field, `line 3, column 7`, an item of the batch. */
  place?: string | null;
};
/** A signature over a plan's digest. */
export type Approval = {
  /** When. */
  at: Time;
  /** By whom. */
  by: PersonName;
  /** Over what. */
  digest: PlanDigest;
};
/** Who has to approve an order. */
export type ApprovalRule = "none" | "another person";
/** An artifact that was pushed. */
export type Artifact = {
  /** When. */
  at: Time;
  /** By whom. */
  by: string;
  /** Its sha256. */
  digest: ArtifactDigest;
  /** The file's name when it was pushed. */
  name: string;
  /** Bytes. */
  size: number;
  /** The version as people say it: given with the push, or read from the name. */
  version: string;
};
/** The sha256 of an artifact, 64 hexadecimal digits. */
export type ArtifactDigest = string;
/** POST /command: a verb in the one grammar. */
export type Ask = {
  /** Only say what would happen. */
  dry_run?: boolean;
  id?: (EventId | null);
  room?: (RoomName | null);
  /** `deploy shop 4.12.1 prod` */
  text: string;
  /** From where; none said: a program. */
  via?: Surface;
  /** Confirmed already: `--yes`. */
  yes?: boolean;
};
/** What came of something that was asked for. */
export type AuditOutcome = ({
  is: "answered";
  of: (Outcome | null);
} | {
  is: "not_allowed";
});
/** A line of the audit. Each carries the hash of the one before, so that a line taken out or altered shows. */
export type AuditRow = {
  /** When. */
  at: Time;
  /** Who. */
  by: string;
  /** The sha256 of this line and `prev`. */
  hash: string;
  /** Its place: 1, 2, 3, ... */
  number: number;
  /** What came of it. */
  outcome: AuditOutcome;
  /** The hash of the line before; 64 zeros in the first. */
  prev: string;
  seq?: (Seq | null);
  /** What. */
  what: Record<string, unknown>;
};
/** The header `Authorization`; its secret lies in a file. */
export type Authorization = {
  /** A file with the secret. */
  credentials_file: string;
  /** The word before the secret. */
  type?: string;
};
/** One change of an alert's state. */
export type BacktestChange = {
  /** When it would have been told. */
  at: Time;
  /** What. */
  transition: Transition;
};
/** The whole answer. */
export type BacktestReport = {
  /** Every change, in order; at most 100,000. */
  changes: BacktestChange[];
  exact_from?: (Time | null);
  /** From when on transitions are reported. */
  from: Time;
  /** Of these, how many came later than a newer one of their series, or overwrote one. */
  late: number;
  /** Changes that are not in the list. */
  left_out: number;
  /** What of the history can't be read, in words: the rules did not see it. */
  missed?: string[];
  /** Each rule, in the order of the file. */
  rules: BacktestRule[];
  /** Samples of the rules' series that were read. */
  samples: number;
  /** Until when. */
  to: Time;
};
/** What is asked of a back-test. */
export type BacktestRequest = {
  /** From when on transitions are reported. */
  from: Time;
  /** Rule groups, as a rule file has them. */
  groups: RuleGroup[];
  /** Until when. */
  to: Time;
};
/** What one rule would have done. */
export type BacktestRule = {
  /** How long any alert of it was bad, overlaps counted once. */
  bad_for: Span;
  /** Why it could not be evaluated at some time. */
  failed?: string | null;
  /** The longest of these times. */
  longest: Span;
  /** Its name. */
  name: string;
  /** Samples that it recorded. */
  recorded: number;
  /** Whether it records: then it has no alerts. */
  records?: boolean;
  /** When, in order; at most 1,000. */
  spells: BacktestSpell[];
  /** How often an alert of it went bad. */
  times: number;
};
/** A time during which one alert of a rule was bad. */
export type BacktestSpell = {
  /** When it was told. */
  from: Time;
  /** The alert's labels. */
  labels: Record<string, string>;
  to?: (Time | null);
};
/** A load balancer. */
export type BalancerConfig = {
  /** How often its counters are read while nothing rolls. */
  every?: Span;
  /** How often they are read while a release rolls. */
  every_while_rolling?: Span;
  /** HAProxy's runtime socket: a path, or `127.0.0.1:9999`. */
  haproxy: string;
};
export type BalancerName = string;
/** User and password; the password lies in a file. */
export type BasicAuth = {
  /** A file with the password. */
  password_file?: string | null;
  /** The user. */
  username?: string;
  /** Or a file with the user. */
  username_file?: string | null;
};
/** Servers that change side by side, and the gate behind them. */
export type Batch = {
  /** What must hold before the next batch starts. */
  gate: Gate;
  /** One per host. */
  lanes: Lane[];
};
/** What the bot says in a room: a sentence, and what it speaks of, which the page shows live. */
export type Card = {
  /** Whose name is called. */
  calls?: string | null;
  incident?: (IncidentNumber | null);
  order?: (OrderNumber | null);
  /** The sentence. */
  text: Text;
  /** How it looks. */
  tone: Tone;
};
/** GET /store/cardinality: the longest rows of each list, and how many rows each would have. */
export type Cardinality = {
  /** Labels, most different values first. */
  labels: LabelCount[];
  /** Different labels. */
  labels_total: number;
  /** Metrics, most series first. */
  metrics: SeriesCount[];
  /** Different metrics. */
  metrics_total: number;
  /** Pairs of label and value, most series first. */
  pairs: PairCount[];
  /** Different pairs. */
  pairs_total: number;
  /** Series that were counted: those that fit, or all. */
  series: number;
  /** Most series that the store takes. */
  series_max: number;
  /** Most series of one sender. */
  series_per_source_max: number;
  /** The label that names a sender: `instance`. */
  source_label: string;
  /** Senders, most series first: values of `source_label`. */
  sources: SeriesCount[];
  /** Different senders. */
  sources_total: number;
  /** Values of the label that was asked for with `label`, most series first; else empty. */
  values: SeriesCount[];
  /** Different values of it. */
  values_total: number;
};
/** A cell of a table. */
export type Cell = {
  state?: (AlertState | null);
  /** What it says. */
  text: string;
};
/** Something was altered, by whom, where, when. */
export type Change = {
  /** When it was made by the sender's own clock. Ranking uses the receive time of the journal, and shows this one. */
  at: Time;
  /** Who: a person, a program, or nobody known. */
  author?: string | null;
  /** A diff or other details; masked, 16 KiB at most. */
  detail?: string | null;
  /** Made where it was noticed; the same id twice is one change. */
  id: EventId;
  /** What sort. */
  kind: ChangeKind;
  /** Where to read more. */
  link?: string | null;
  order?: (OrderNumber | null);
  /** Where. */
  scope?: Scope;
  /** One sentence that says what. */
  what: Text;
};
/** What sort of thing was altered. */
export type ChangeKind = "release" | "configuration" | "sql" | "system" | "outside";
/** GET /changes: a change with its place. */
export type ChangeRow = {
  /** The change. */
  change: Change;
  /** When the journal received it. */
  received_at: Time;
  /** Its place. */
  seq: Seq;
};
/** What a message holds. */
export type ChatBody = ({
  is: "said";
  /** The text. */
  text: string;
} | {
  /** The card. */
  card: Card;
  is: "card";
} | {
  /** The answer. */
  answer: Answer;
  /** What was asked. */
  asked: string;
  is: "answer";
});
/** GET /chat/{room}: one message. */
export type ChatMessage = {
  /** When. */
  at: Time;
  /** What it says. */
  body: ChatBody;
  /** Whether the bot said it. */
  bot: boolean;
  /** Who: a person, or the bot. */
  by: string;
  /** Where. */
  room: RoomName;
  /** Its place in the journal; also its id. */
  seq: Seq;
};
/** GET /completion */
export type Completion = {
  /** Hosts. */
  hosts: HostName[];
  /** Names of labels, on `metric` where one is named. */
  labels: string[];
  /** Names of metrics. */
  metrics: string[];
  /** Services. */
  services: ServiceName[];
  /** Values of `label`, where one is named. */
  values: string[];
  /** Verbs of the grammar. */
  verbs: string[];
  /** Functions, aggregations and keywords of PromQL. */
  words: CompletionWord[];
};
/** A word of PromQL. */
export type CompletionWord = {
  /** One line of help. */
  help: string;
  /** `function`, `aggregation` or `keyword`. */
  kind: string;
  /** Its signature, empty for keywords. */
  signature: string;
  /** The word. */
  word: string;
};
/** All of the configuration. */
export type Config = {
  /** Load balancers, by name. */
  balancers?: Record<string, BalancerConfig>;
  /** Environments, by name. */
  environments?: Record<string, EnvironmentConfig>;
  /** flyball's own settings. */
  flyball?: Own;
  /** Prometheus' `global`: what `scrape_configs` and rule groups have where they say nothing. */
  global?: GlobalConfig;
  /** Rule groups, from the files under rules/. */
  groups?: RuleGroup[];
  /** Jobs that report. */
  heartbeats?: Record<string, HeartbeatConfig>;
  /** Hosts, by name. */
  hosts?: Record<string, HostConfig>;
  /** Whom to tell. */
  notification?: NotificationConfig;
  /** Where flyball may connect to besides public addresses: `127.0.0.1:9192`, `10.0.0.0/8`. */
  outgoing?: OutgoingConfig;
  /** Probes, by name. */
  probes?: Record<string, ProbeConfig>;
  /** Projects, by name. */
  projects?: Record<string, ProjectConfig>;
  /** Jobs to scrape as Prometheus writes them. */
  scrape_configs?: ScrapeJob[];
  /** Targets to scrape, by job name: the short form. */
  scrapes?: Record<string, ScrapeConfig>;
  /** People, by name. */
  users?: Record<string, UserConfig>;
};
/** A confirmation that is waited for. */
export type Confirmation = {
  /** The command's id, to be sent again. */
  id: EventId;
  /** Not after this. */
  until: Time;
  /** What would happen, with figures. */
  what: Text;
};
/** POST /store/delete: what came of it. */
export type Deleted = {
  /** Samples that went. */
  samples: number;
  /** How long it took. */
  seconds: number;
};
/** POST /store/delete: which samples. */
export type Deletion = {
  from?: (Time | null);
  /** Samples of series that fit any of these: `up{job="shop"}`. */
  selectors: string[];
  to?: (Time | null);
};
/** GET /demo */
export type Demo = {
  /** The environment. */
  environment: EnvironmentName;
  /** What can be released: `good`, `bad`, with version. */
  releases: Record<string, string>;
  /** The service that is released. */
  service: ServiceName;
};
/** POST /demo/release */
export type DemoRelease = {
  /** `good` or `bad`. */
  kind: string;
};
/** What makes an effect the same effect when it is performed again. */
export type EffectKey = string;
/** A token by which an agent enrols once. */
export type EnrolToken = {
  /** The host. */
  host: HostName;
  /** The token's text, kept nowhere. */
  token: string;
};
/** An environment. */
export type EnvironmentConfig = {
  /** Whether another person has to approve. */
  approval?: ApprovalRule;
  /** Whether deploy, rollback and restart are confirmed by the person who asks. */
  confirm?: boolean;
};
export type EnvironmentName = string;
/** Every error of the API: what failed, because of what, what would be right. */
export type ErrorBody = {
  /** The error. */
  error: ApiError;
};
/** An id made at the edge for something that comes in: uuid v7. The same id twice is the same thing twice. */
export type EventId = string;
/** One reason. */
export type Evidence = {
  /** What. */
  text: Text;
  /** For it, against it, or neither. */
  weight: Weight;
};
/** Targets in files. */
export type FileDiscovery = {
  /** Files that end in `.json`, `.yml` or `.yaml`; the last part may have a `*`. Relative to the configuration folder. */
  files: string[];
  /** They are read again at least so often, and soon after they changed. */
  refresh_interval?: Span;
};
/** POST /store/flush: what is on the disk now. */
export type Flushed = {
  /** Their bytes, indexes and checksums included. */
  history_bytes: number;
  /** Samples on the disk. */
  history_samples: number;
  /** Bytes of log that are kept. */
  log_bytes: number;
  /** Bytes of log before. */
  log_bytes_before: number;
  /** Samples in memory. */
  samples: number;
  /** How long it took. */
  seconds: number;
  /** Series in memory. */
  series: number;
};
/** Watches after a batch is in. */
export type Gate = {
  /** Whether the judge compares new with old. */
  judge: boolean;
  /** Rules that must not be bad, on alerts of this service. */
  rules: RuleName[];
  /** For how long, in milliseconds. */
  watch_ms: number;
};
/** Prometheus' `global`: what scrape configurations and rule groups have where they say nothing. */
export type GlobalConfig = {
  /** Largest answer, unpacked: `10MB`. */
  body_size_limit?: Size;
  evaluation_interval?: (Span | null);
  /** Most labels of a series. */
  label_limit?: number;
  /** Longest name of a label, in bytes. */
  label_name_length_limit?: number;
  /** Longest value of a label, in bytes. */
  label_value_length_limit?: number;
  /** Most samples after relabelling. */
  sample_limit?: number;
  scrape_interval?: (Span | null);
  /** Which formats are asked for, the dearest first; none: all that flyball reads. */
  scrape_protocols?: ScrapeProtocol[] | null;
  scrape_timeout?: (Span | null);
  /** Most targets of a job. */
  target_limit?: number;
};
/** A role within a project and an environment; without one of them: in all. */
export type Grant = {
  environment?: (EnvironmentName | null);
  project?: (ProjectName | null);
  /** What. */
  role: Role;
};
/** A job that reports. */
export type HeartbeatConfig = {
  /** Longest time between two successes. */
  every: Span;
  /** Later than that by so much: late. */
  grace?: Span;
  /** The secret part of its address: `/ping/<id>`. At least 16 characters. */
  id: string;
  /** How urgent it is when it is late. */
  priority?: Priority;
  service?: (ServiceName | null);
};
export type HeartbeatName = string;
/** A heartbeat as a row. */
export type HeartbeatRow = {
  due_at?: (Time | null);
  /** The job. */
  heartbeat: HeartbeatName;
  last_at?: (Time | null);
  /** ok, bad (late or failed), no data (never seen). */
  state: AlertState;
  /** How long that run took, in milliseconds, where it said when it began. */
  took_ms?: number | null;
};
/** A host. */
export type HostConfig = {
  /** Its address as people and probes use it. */
  address?: string;
  /** Labels on everything that it reports. */
  labels?: Record<string, string>;
  /** Report only the services on it, not the machine below. */
  services_only?: boolean;
  /** Files whose change is a change, by hash. At most 1,000. */
  watch_files?: string[];
};
export type HostName = string;
/** How far one host is. */
export type HostProgress = {
  asked_at?: (Time | null);
  /** The step's word, for pages: `drain`. */
  doing?: string | null;
  ended_at?: (Time | null);
  /** The state. */
  state: HostState;
  /** The step that was asked last: its ordinal in the plan. */
  step?: number | null;
};
/** A host that was shut out. */
export type HostRevoked = {
  /** The host. */
  host: HostName;
  /** Whether it had enrolled; else only its tokens are void now. */
  was_enrolled: boolean;
};
/** A host as a row. */
export type HostRow = {
  /** The agent's version. */
  agent_version: string;
  /** Its name. */
  host: HostName;
  /** Services on it. */
  services: ServiceName[];
  since?: (Time | null);
  /** ok or source down; no data: never seen. */
  state: AlertState;
};
/** The state of one host within an order. */
export type HostState = "not_touched" | "working" | "new" | "undoing" | "old" | "unknown" | "stuck";
/** Targets that a server names. */
export type HttpDiscovery = {
  authorization?: (Authorization | null);
  basic_auth?: (BasicAuth | null);
  /** How often it is asked. */
  refresh_interval?: Span;
  tls_config?: (ScrapeTls | null);
  /** Answers a GET with a list of groups as JSON. */
  url: string;
};
/** What happens when a release is bad. */
export type IfBad = "roll_back" | "halt";
/** An incident. The engine's own state, the stored projection and the API's answer are this one type. */
export type Incident = {
  acknowledged_at?: (Time | null);
  /** Its alerts, oldest first. */
  alerts: IncidentAlert[];
  /** How many changes were looked at. */
  changes_seen: number;
  /** Its number. */
  number: IncidentNumber;
  on_call?: (PersonName | null);
  /** Since when it hurts, on the server's clock. */
  onset: Time;
  /** When it was opened. */
  opened_at: Time;
  /** Who has it. */
  owner?: string | null;
  /** How urgent. */
  priority: Priority;
  recovered_at?: (Time | null);
  resolved_at?: (Time | null);
  /** What it concerns. */
  scope: Scope;
  /** The state. */
  state: IncidentState;
  /** What happened, oldest first; 500 lines at most. */
  story: StoryLine[];
  /** The changes most likely behind it, likeliest first. */
  suspects: Suspect[];
  /** A sentence. */
  title: Text;
  /** Who was told, with results. */
  told: Told[];
};
/** An alert in an incident. */
export type IncidentAlert = {
  /** Which. */
  alert: AlertKey;
  /** The last change of its state. */
  changed_at: Time;
  /** The rule's expression. */
  expr: string;
  /** Its labels. */
  labels: Labels;
  /** Since when bad. */
  onset: Time;
  /** The rule. */
  rule: RuleName;
  /** Its state now. */
  state: AlertState;
  /** Its summary, as the rule's annotation gives it. */
  summary: string;
  /** The value that decided last. */
  value?: number | null;
};
/** An incident's number: 1, 2, 3, ... */
export type IncidentNumber = number;
/** GET /incidents: a row. */
export type IncidentRow = {
  /** Its number. */
  number: IncidentNumber;
  /** Since when it hurts. */
  onset: Time;
  /** Who has it. */
  owner?: string | null;
  /** How urgent. */
  priority: Priority;
  recovered_at?: (Time | null);
  /** What it concerns. */
  scope: Scope;
  /** The state. */
  state: IncidentState;
  suspect?: (Text | null);
  /** A sentence. */
  title: Text;
};
/** Where an incident is. */
export type IncidentState = "open" | "acknowledged" | "resolved";
/** POST /incidents/{number}/... */
export type IncidentVerb = {
  id?: (EventId | null);
  /** What is noted, 4 KiB at most. */
  text?: string | null;
  to?: (PersonName | null);
};
/** What happens to string fields of the line protocol. */
export type InfluxStrings = "refuse" | "ignore";
/** The counts since the first new server is in, and the bound. */
export type JudgeEvidence = {
  /** The e-value of the sequential test: 1,000 means that a good release shows this at most once in 1,000, however often it was looked at. */
  e_value: number;
  /** All answers of servers with the new release. */
  new_all: number;
  /** Bad answers of servers with the new release. */
  new_bad: number;
  /** All answers of servers with the old release. */
  old_all: number;
  /** Bad answers of servers with the old release. */
  old_bad: number;
};
/** The judge within an order. */
export type JudgeState = {
  /** When it said so. */
  at: Time;
  /** Why. */
  evidence: JudgeEvidence;
  /** What it says. */
  verdict: JudgeVerdict;
};
/** What the judge thinks. */
export type JudgeVerdict = "undecided" | "worse";
/** A label, how many series have it, and with how many different values. */
export type LabelCount = {
  /** The label. */
  name: string;
  /** Series that have it. */
  series: number;
  /** Bytes of the different values. */
  value_bytes: number;
  /** Different values. */
  values: number;
};
export type Labels = Record<string, string>;
/** The steps on one host, in order. */
export type Lane = {
  before?: (ReleaseOnHost | null);
  /** Where. */
  host: HostName;
  /** In order. */
  steps: Step[];
};
/** The languages that every surface has. */
export type Language = "en" | "zh";
/** The stream of GET /live: the data of each server-sent event, by its name. */
export type Live = ({
  /** `position`: once, at the beginning; its id too is the journal's place. */
  data: LivePosition;
  event: "position";
} | {
  /** `overview`: at most four times a second. */
  data: Overview;
  event: "overview";
} | {
  /** `timeline`: a new line; its id is the journal's place. */
  data: TimelineRow;
  event: "timeline";
} | {
  /** `incident`: one changed. */
  data: Incident;
  event: "incident";
} | {
  /** `order`: one changed. */
  data: Order;
  event: "order";
} | {
  /** `chat`: a new message. */
  data: ChatMessage;
  event: "chat";
} | {
  /** `log`: lines of a service, for who looks at it. */
  data: LogLine;
  event: "log";
});
/** GET /live: from where on the stream tells everything. */
export type LivePosition = {
  /** Whether all between `Last-Event-ID` and here was sent before this; where not, lists that were read earlier have to be read again. */
  complete: boolean;
  /** The journal's place when the stream began. */
  seq: Seq;
};
/** Lines that a supervised process wrote. */
export type LogLine = {
  /** When, on the server's clock. */
  at: Time;
  /** Where. */
  host: HostName;
  /** Whose: a service, or `deploy` for the agent's own work. */
  service: ServiceName;
  /** The text, 8 KiB at most, without its line end. */
  text: string;
};
/** POST /login */
export type Login = {
  /** The person. */
  name: string;
  /** The password. */
  password: string;
};
/** POST /login/link */
export type LoginLink = {
  /** The one-time token of the link `/login?link=...`. */
  token: string;
};
/** GET /me */
export type Me = {
  /** The bot's name. */
  bot: string;
  /** Whether this is the demo. */
  demo: boolean;
  /** What they may do. */
  grants: Grant[];
  /** The person's language. */
  language: Language;
  /** The account. */
  name: string;
  /** All rights that they have anywhere, for switching controls off. */
  rights: Right[];
  /** As it is shown. */
  shown: string;
  /** flyball's version. */
  version: string;
};
/** POST /changes: a change as a sender writes it. */
export type NewChange = {
  at?: (Time | null);
  /** Who; none: the token's name. */
  author?: string | null;
  /** Details, 16 KiB at most. */
  detail?: string | null;
  environment?: (EnvironmentName | null);
  /** The hosts. */
  hosts?: HostName[];
  id?: (EventId | null);
  kind?: (ChangeKind | null);
  /** Where to read more. */
  link?: string | null;
  service?: (ServiceName | null);
  /** One sentence. */
  what: string;
};
/** POST /incidents */
export type NewIncident = {
  id?: (EventId | null);
  /** P1 to P5; none: P3. */
  priority?: Priority;
  /** On which service. */
  service: ServiceName;
  /** One sentence, 4 KiB at most. */
  summary: string;
};
/** POST /orders */
export type NewOrder = {
  /** A digest, its first 8 digits at least, or a version. */
  artifact: string;
  /** Only plan it, and show the plan. */
  dry_run?: boolean;
  /** The environment. */
  environment: EnvironmentName;
  /** Only these servers; empty: all. */
  hosts?: HostName[];
  /** Why. */
  reason?: string;
  /** The service. */
  service: ServiceName;
  strategy?: (Strategy | null);
};
/** POST /tokens */
export type NewToken = {
  /** What it may do. */
  grants?: Grant[];
  /** Its name. */
  name: TokenName;
  role?: (Role | null);
};
/** Whom to tell. */
export type NotificationConfig = {
  /** Told where a service names nobody; none: the room `ops`. */
  default?: ReceiverName[];
  /** By name. */
  receivers?: Record<string, ReceiverConfig>;
};
/** A number on the Overview with its last five minutes. */
export type Number = {
  /** Its limit. */
  limit?: number | null;
  /** PromQL, for Explore. */
  query: string;
  /** Its state. */
  state: AlertState;
  /** The last five minutes: seconds since the epoch. */
  times: number[];
  /** Its name. */
  title: string;
  /** Its unit. */
  unit: string;
  /** Its value now. */
  value?: number | null;
  /** The values; none is a gap. */
  values: (number | null)[];
};
/** A number on the Overview. */
export type NumberConfig = {
  /** Drawn as a limit; above it, it is bad. */
  limit?: number | null;
  /** PromQL with one value. */
  query: string;
  /** Its name: `Orders`. */
  title: string;
  /** Its unit: `/min`, `%`, `ms`. */
  unit?: string;
};
/** Who is on call. */
export type OnCallRow = {
  /** Who, as it is shown. */
  person: string;
  /** For which service. */
  service: ServiceName;
};
/** A release order. The engine's own state, the stored projection and the API's answer are this one type. */
export type Order = {
  /** Who approved. */
  approvals?: Approval[];
  /** Who made it. */
  author: string;
  /** The batch that runs or is being watched, from 0. */
  batch: number;
  because?: (Text | null);
  behind?: (OrderNumber | null);
  /** Stop after this batch. */
  brake?: boolean;
  /** Only these servers; empty: all of the service in the environment. */
  chosen?: HostName[];
  /** When it was made. */
  created_at: Time;
  /** The plan's digest. */
  digest: PlanDigest;
  ended_at?: (Time | null);
  /** The environment. */
  environment: EnvironmentName;
  halted_at?: (Time | null);
  /** Progress per host, in the plan's order of hosts. */
  hosts: Record<string, HostProgress>;
  judge?: (JudgeState | null);
  /** What it does. */
  kind: OrderKind;
  /** Its number. */
  number: OrderNumber;
  /** The plan. */
  plan: Plan;
  /** The project. */
  project: ProjectName;
  /** Why. */
  reason?: string;
  /** What is released. */
  release: ReleaseOnHost;
  /** The service. */
  service: ServiceName;
  /** How big the artifact is, in bytes. */
  size: number;
  started_at?: (Time | null);
  /** The state. */
  state: OrderState;
  /** What happened, oldest first; 500 lines at most, then the middle is left out. */
  story: OrderNote[];
  /** How the servers take turns. */
  strategy: Strategy;
  watching_since?: (Time | null);
};
/** What an order does on its servers. */
export type OrderKind = "deploy" | "restart";
/** One line of an order's story and of its deploy log. */
export type OrderNote = {
  /** When. */
  at: Time;
  host?: (HostName | null);
  /** What the agent said to it. */
  note?: string;
  /** What. */
  text: Text;
  /** How it looks: a glyph of the page. */
  tone: Tone;
};
/** An order's number, like `20261122-101500-7K`: UTC, and a tail made of the journal's sequence number. */
export type OrderNumber = string;
/** An order as a row and in the brake bar. */
export type OrderRow = {
  /** Who made it. */
  author: string;
  because?: (Text | null);
  /** When it was made. */
  created_at: Time;
  ended_at?: (Time | null);
  /** The environment. */
  environment: EnvironmentName;
  /** From which version, where all had the same. */
  from?: string | null;
  halted_at?: (Time | null);
  /** Servers in all. */
  hosts: number;
  /** Servers that are through. */
  hosts_done: number;
  /** Its number. */
  number: OrderNumber;
  /** The project. */
  project: ProjectName;
  /** Why. */
  reason: string;
  /** The service. */
  service: ServiceName;
  started_at?: (Time | null);
  /** The state. */
  state: OrderState;
  /** To which version. */
  to: string;
};
/** Where an order is. The last four are final. */
export type OrderState = "draft" | "approved" | "running" | "halted" | "rolling_back" | "done" | "failed" | "rolled_back" | "cancelled";
/** POST /orders/{number}/... */
export type OrderVerb = {
  /** The digest of the plan that is approved, 64 digits. */
  digest?: string | null;
  id?: (EventId | null);
};
/** What came of a command, known when its event is on disk. */
export type Outcome = ({
  incident?: (IncidentNumber | null);
  is: "accepted";
  order?: (OrderNumber | null);
  /** One sentence. */
  text: Text;
} | (Refusal & {
  is: "refused";
}));
/** Where flyball may connect to. */
export type OutgoingConfig = {
  /** Loopback and private addresses that are allowed: `127.0.0.1:9192`, `127.0.0.0/8`, `10.1.2.3`. */
  allow?: string[];
};
/** GET /overview, and the event `overview` of the stream. */
export type Overview = {
  /** On the server's clock. */
  at: Time;
  figures?: (Text | null);
  /** Heartbeats, late ones first. */
  heartbeats: HeartbeatRow[];
  /** Hosts. */
  hosts: HostRow[];
  /** The numbers, business first. */
  numbers: Number[];
  /** Who is on call, by service. */
  on_call: OnCallRow[];
  /** flyball itself. */
  own: OwnState;
  /** Orders that run, wait or are halted; the worst first. */
  running: OrderRow[];
  /** The sentence that says how things are. */
  sentence: Text;
  /** Services. */
  services: ServiceRow[];
  /** Whether it is a good one. */
  state: AlertState;
  story?: (StoryRef | null);
  /** What waits for a person. */
  waiting: Waiting[];
};
/** flyball's own settings. */
export type Own = {
  /** The bot's name in chat. */
  bot?: string;
  /** The address under which people reach the page, for links in messages. */
  external_url?: string;
  /** Line protocol: what happens to string fields. */
  influx_strings?: InfluxStrings;
  /** The language of what is sent where nobody chose one. */
  language?: Language;
  /** Rooms of the built-in chat; `ops` is always there. */
  rooms?: RoomName[];
};
/** flyball itself. */
export type OwnState = {
  /** Agents in all. */
  agents: number;
  /** Agents whose link is up. */
  agents_up: number;
  /** Places on the disk whose damage has cost samples, since the start. */
  damaged: number;
  /** Effects that are owed to the outside. */
  outbox: number;
  /** Up to when everything is on disk. */
  saved_at: Time;
  /** The journal's last place. */
  seq: Seq;
  /** Series in the store. */
  series: number;
  /** Since when it runs. */
  started_at: Time;
  /** Whether it is well. */
  state: AlertState;
};
/** A label with one value, and how many series have it. */
export type PairCount = {
  /** The label. */
  name: string;
  /** Series. */
  series: number;
  /** Its value. */
  value: string;
};
/** One environment on the way of a release. */
export type PathStep = {
  at?: (Time | null);
  /** The environment. */
  environment: EnvironmentName;
  /** Versions on line. */
  on_line: string[];
  state?: (OrderState | null);
};
export type PersonName = string;
/** One series of a picture. */
export type PictureSeries = {
  /** Its labels. */
  labels: Labels;
  /** Seconds since the epoch. */
  times: number[];
  /** Values; none is a gap. */
  values: (number | null)[];
};
/** GET /services/{project}/{service}/{environment}: the Deploy page. */
export type Place = {
  /** Whether another person has to approve. */
  approval: boolean;
  /** Artifacts that could be released, newest first; 50 at most. */
  artifacts: Artifact[];
  /** Whether deploy, rollback and restart are confirmed. */
  confirm: boolean;
  /** The environment. */
  environment: EnvironmentName;
  off_because?: (Text | null);
  /** Its orders, newest first; 50 at most. */
  orders: OrderRow[];
  /** All environments of the service, with the version on line and the state of the last order. */
  path: PathStep[];
  /** The project. */
  project: ProjectName;
  /** The servers. */
  servers: ServerRow[];
  /** The service. */
  service: ServiceName;
  /** How servers take turns where an order does not say. */
  strategy: Strategy;
};
/** A service in one environment. */
export type PlaceConfig = {
  /** The balancer's backend; none: the service's name. */
  backend?: string | null;
  balancer?: (BalancerName | null);
  /** Its servers, in the order in which they take turns. */
  servers?: ServerConfig[];
};
/** What exactly a release will do. */
export type Plan = {
  /** First to last. */
  batches: Batch[];
  /** The environment. */
  environment: EnvironmentName;
  /** Never fewer servers than this in the balancer while it runs. */
  min_in_service: number;
  /** Whose plan. */
  order: OrderNumber;
  /** The project. */
  project: ProjectName;
  /** [`PLAN_SCHEMA`] of its writer. */
  schema: number;
  /** The service. */
  service: ServiceName;
};
/** The sha256 of a plan's canonical text, 64 hexadecimal digits. */
export type PlanDigest = string;
/** How urgent. A word, not a colour. */
export type Priority = "P1" | "P2" | "P3" | "P4" | "P5";
/** A probe: one of `http` and `tcp`. */
export type ProbeConfig = {
  /** What the body must contain. */
  contains?: string | null;
  /** How often. */
  every?: Span;
  /** From which hosts; empty: from the server's own. */
  from?: HostName[];
  /** `http://127.0.0.11:8080/health`; GET. */
  http?: string | null;
  service?: (ServiceName | null);
  /** `127.0.0.11:8080` */
  tcp?: string | null;
  /** Given up after. */
  timeout?: Span;
};
export type ProbeName = string;
/** A project. */
export type ProjectConfig = {
  /** Its services, by name. A service's name is unique over all projects. */
  services?: Record<string, ServiceConfig>;
};
export type ProjectName = string;
/** A receiver: one of `webhook` and `room`. */
export type ReceiverConfig = {
  room?: (RoomName | null);
  webhook?: (WebhookConfig | null);
};
export type ReceiverName = string;
/** Why not. */
export type Refusal = {
  /** Which kind, for status and exit code. */
  kind: RefusalKind;
  /** One sentence, and what would be right. */
  text: Text;
};
/** Kinds of refusal. */
export type RefusalKind = "unknown" | "state" | "right" | "form";
/** What a step of relabelling does. */
export type RelabelAction = "replace" | "keep" | "drop" | "keepequal" | "dropequal" | "hashmod" | "labelmap" | "labeldrop" | "labelkeep" | "lowercase" | "uppercase";
/** One step of relabelling, as Prometheus has it. */
export type RelabelConfig = {
  /** What is done. */
  action?: RelabelAction;
  /** Of `hashmod`. */
  modulus?: number;
  /** What the joined text is compared with; anchored at both ends. */
  regex?: string;
  /** To what; `$1` is the regex' first group. */
  replacement?: string;
  /** With this between them. */
  separator?: string;
  /** The values of these labels are joined. */
  source_labels?: string[];
  /** Which label is set. */
  target_label?: string;
};
/** How a service is released. */
export type ReleaseConfig = {
  /** Wait at most so long for sessions to end. */
  drain?: Span;
  /** What happens when it is bad: halt and roll back, or halt and wait for a person. */
  if_bad?: IfBad;
  /** Whether new is compared with old by the balancer's counts. */
  judge?: boolean;
  /** The judge halts a good release at most once in so many. */
  judge_bound?: number;
  /** Never fewer servers than this in the balancer; none: all but one batch. */
  min_in_service?: number | null;
  /** Rules that must not be bad; none: every alert with this service's label. */
  rules?: RuleName[];
  /** Longest time for a step of the agent. */
  step_limit?: Span;
  /** How the servers take turns where an order does not say. */
  strategy?: Strategy;
  /** Path of the page that shows the version: `/version`. */
  version_path?: string;
  /** How long a batch is watched before the next. */
  watch?: Span;
};
/** A release as a host has it. */
export type ReleaseOnHost = {
  /** Its artifact. */
  digest: ArtifactDigest;
  /** Its version as people say it. */
  version: string;
};
/** What a reload came to. */
export type Reloaded = {
  /** Values that are different now. */
  changes: number;
  /** Each of them. */
  difference: string[];
  seq?: (Seq | null);
};
/** What a route or a verb asks for. */
export type Right = "view" | "ingest" | "operate" | "release" | "approve" | "administer";
/** A bundle of rights with a name that people know. */
export type Role = "viewer" | "sender" | "operator" | "releaser" | "approver" | "admin";
/** A room. */
export type Room = {
  /** Its name. */
  name: RoomName;
  newest?: (ChatMessage | null);
};
export type RoomName = string;
/** An alerting or a recording rule. */
export type Rule = {
  /** The alert's name, of an alerting rule. */
  alert?: string | null;
  /** Annotations: summary, description, runbook_url. */
  annotations?: Record<string, string>;
  /** PromQL. */
  expr: string;
  for?: (Span | null);
  keep_firing_for?: (Span | null);
  /** Labels on the result. */
  labels?: Record<string, string>;
  /** The metric's name, of a recording rule. */
  record?: string | null;
};
/** A rule group in Prometheus' own format. */
export type RuleGroup = {
  /** The file that it was read from, relative to the configuration folder. No key that people write. */
  file?: string;
  interval?: (Span | null);
  /** Labels on every result. */
  labels?: Record<string, string>;
  /** Most alerts per rule; 0: flyball's own limit. */
  limit?: number;
  /** Its name. */
  name: string;
  query_offset?: (Span | null);
  /** The rules. */
  rules?: Rule[];
};
/** A rule's name, as its file gives it. */
export type RuleName = string;
/** How a service's process runs. `{release}` stands for the folder of the release, `{port}` and `{address}` for the server's. */
export type RunConfig = {
  /** Program and arguments; the program is an absolute path or lies in `{release}`. No shell. */
  command: string[];
  /** Environment variables. */
  environment?: Record<string, string>;
  /** From the stop signal to the kill. */
  stop_timeout?: Span;
};
/** POST /chat/{room} */
export type Saying = {
  /** What, 4 KiB at most. */
  text: string;
};
/** How is asked. */
export type Scheme = "http" | "https";
/** Where a change or an alert belongs. Empty: nobody said. */
export type Scope = {
  environment?: (EnvironmentName | null);
  /** The hosts. */
  hosts?: HostName[];
  project?: (ProjectName | null);
  service?: (ServiceName | null);
};
/** Targets to scrape, the short form. */
export type ScrapeConfig = {
  /** How often. */
  every?: Span;
  /** Labels on everything from these targets. */
  labels?: Record<string, string>;
  /** The path. */
  path?: string;
  /** `127.0.0.1:9100` */
  targets: string[];
  timeout?: (Span | null);
};
/** A job that is scraped, as Prometheus writes it. */
export type ScrapeJob = {
  authorization?: (Authorization | null);
  basic_auth?: (BasicAuth | null);
  /** The same as `authorization` with `credentials_file`, as older files have it. */
  bearer_token_file?: string | null;
  /** Largest answer, unpacked: `10MB`. 0: that of `global`; beyond any limit the whole scrape fails. */
  body_size_limit?: Size;
  /** Whether the answer may be packed. */
  enable_compression?: boolean;
  fallback_scrape_protocol?: (ScrapeProtocol | null);
  /** Targets in files, read again when they change. */
  file_sd_configs?: FileDiscovery[];
  /** Redirects are not followed, whatever this says: a scrape that is redirected fails. */
  follow_redirects?: boolean | null;
  /** Whether a series keeps its own label where the target has one of that name; else it is renamed `exported_...`. */
  honor_labels?: boolean;
  /** Whether timestamps in the answer count. */
  honor_timestamps?: boolean;
  /** Targets that a server names. */
  http_sd_configs?: HttpDiscovery[];
  /** The job's name; also the label `job`. */
  job_name: string;
  /** Most labels of a series. */
  label_limit?: number;
  /** Longest name of a label, in bytes. */
  label_name_length_limit?: number;
  /** Longest value of a label, in bytes. */
  label_value_length_limit?: number;
  /** What is done to the labels of each series. */
  metric_relabel_configs?: RelabelConfig[];
  /** The path. */
  metrics_path?: string;
  /** Parameters of the address. */
  params?: Record<string, string[]>;
  /** What makes of a discovered target a scraped one. */
  relabel_configs?: RelabelConfig[];
  /** Most samples after relabelling. */
  sample_limit?: number;
  /** `http` or `https`. */
  scheme?: Scheme;
  scrape_interval?: (Span | null);
  /** Which formats are asked for, the dearest first; none: those of `global`, or all that flyball reads. */
  scrape_protocols?: ScrapeProtocol[] | null;
  scrape_timeout?: (Span | null);
  /** Targets by name. */
  static_configs?: TargetGroup[];
  /** Most targets of a job. */
  target_limit?: number;
  tls_config?: (ScrapeTls | null);
  /** Whether series with timestamps of their own end too when they vanish. */
  track_timestamps_staleness?: boolean;
};
/** A format that a target may answer in. */
export type ScrapeProtocol = "OpenMetricsText1.0.0" | "OpenMetricsText0.0.1" | "PrometheusText1.0.0" | "PrometheusText0.0.4";
/** Whom to trust. */
export type ScrapeTls = {
  /** A file with certificates in PEM that are trusted instead of the system's. */
  ca_file?: string | null;
};
/** The place of an event in the journal: 1, 2, 3, ... */
export type Seq = number;
/** Something, and how many series have it. */
export type SeriesCount = {
  /** A metric, or a label's value. */
  name: string;
  /** Series. */
  series: number;
};
/** One instance of a service. */
export type ServerConfig = {
  /** On which host. One server of a service per host. */
  host: HostName;
  /** Its name in the balancer; none: the host's. */
  name?: string | null;
  /** Its port. */
  port: number;
};
/** One server on the Deploy page and in the answer of `check`. */
export type ServerRow = {
  /** Address and port. */
  address: string;
  /** In the balancer: `in`, `draining`, `out`, `down`; none without a balancer or before its first answer. */
  balancer?: string | null;
  /** How it runs: `process`. */
  container: string;
  /** CPU in use, in cores. */
  cpu_cores?: number | null;
  /** Disk in use in its folder's filesystem, 0 to 1. */
  disk_share?: number | null;
  /** The host. */
  host: HostName;
  /** Whether the host's agent answers. */
  host_up: boolean;
  last_at?: (Time | null);
  last_line?: (Text | null);
  last_order?: (OrderNumber | null);
  last_result?: (HostState | null);
  /** Memory in use, in bytes. */
  memory_bytes?: number | null;
  /** Memory that it may use, in bytes. */
  memory_limit_bytes?: number | null;
  release?: (ReleaseOnHost | null);
  /** Sessions at the balancer. */
  sessions?: number | null;
  since?: (Time | null);
  state?: (ServiceState | null);
};
/** A service: how it runs, how it is released, who cares. */
export type ServiceConfig = {
  /** Services that it needs. */
  depends_on?: ServiceName[];
  /** Where it runs. */
  environments?: Record<string, PlaceConfig>;
  /** Where people meet when it hurts. */
  meeting?: string | null;
  /** Whom to tell, by receiver; none: the default of `notification`. */
  notify?: ReceiverName[];
  /** PromQL of its numbers on the Overview: title, query, unit. */
  numbers?: NumberConfig[];
  on_call?: (PersonName | null);
  /** How it is released. */
  release?: ReleaseConfig;
  run?: (RunConfig | null);
  /** Where to read what to do. */
  runbook?: string | null;
};
export type ServiceName = string;
/** A service as a row. */
export type ServiceRow = {
  /** Share of bad answers, 0 to 1. */
  bad_share?: number | null;
  /** The environment. */
  environment: EnvironmentName;
  last_change?: (Text | null);
  last_change_at?: (Time | null);
  /** Versions on line. */
  on_line: string[];
  /** 95th percentile of its answers, in seconds, where it is known. */
  p95?: number | null;
  /** Its project. */
  project: ProjectName;
  /** Requests per second at the balancer. */
  requests?: number | null;
  /** Servers wanted. */
  servers: number;
  /** Servers in the balancer (or running, without one). */
  servers_in: number;
  /** Its name. */
  service: ServiceName;
  /** The worst of its alerts and servers. */
  state: AlertState;
};
/** The state of a supervised process. */
export type ServiceState = "stopped" | "starting" | "running" | "stopping" | "crashed";
export type Size = string;
/** POST /store/snapshot: a copy of all samples up to now. */
export type Snapshot = {
  /** Where it lies on the server. */
  folder: string;
  /** Its name. */
  name: string;
  /** How long it took. */
  seconds: number;
};
export type Span = string;
/** One step: an action, its limit, how it is checked, and what takes it back. */
export type Step = {
  /** What is done. */
  action: Action;
  /** Its place in the plan, from 0, unique in the plan. */
  ordinal: number;
  /** Longest time until its answer, in milliseconds. */
  time_limit_ms: number;
  /** What takes it back, in order; empty where nothing has to be. */
  undo: UndoStep[];
};
/** One line of an incident's story. */
export type StoryLine = {
  /** When. */
  at: Time;
  /** Who, where a person did it. */
  by?: string | null;
  order?: (OrderNumber | null);
  /** What. */
  text: Text;
  /** How it looks. */
  tone: Tone;
};
/** What the story graph shows. */
export type StoryRef = {
  /** Where the graph begins. */
  from: Time;
  incident?: (IncidentNumber | null);
  onset?: (Time | null);
  order?: (OrderNumber | null);
  service?: (ServiceName | null);
  to?: (Time | null);
  /** PromQL of the tracks, business number first. */
  tracks: Track[];
};
/** How the servers take turns. */
export type Strategy = ("serial" | {
  /** First one server as canary, then so many at once. */
  parallel: number;
} | "halves");
/** From where somebody speaks to flyball. */
export type Surface = "cli" | "page" | "chat" | "api" | "flyball";
/** A change with the reasons to suspect it. */
export type Suspect = {
  /** The change. */
  change: Change;
  /** Why, and why not. */
  evidence: Evidence[];
  /** How likely among all of them, in percent; they add up to 100 with "none of them". */
  percent: number;
  /** When the journal received it: what is compared with the onset. */
  received_at: Time;
  /** Its place in the journal. */
  seq: Seq;
  undo?: (OrderNumber | null);
};
/** Targets with labels in common. */
export type TargetGroup = {
  /** Labels on all of them. */
  labels?: Record<string, string>;
  /** `127.0.0.1:9100` */
  targets?: string[];
};
/** What came of telling somebody. */
export type TellResult = ({
  is: "asked";
} | {
  /** When. */
  at: Time;
  is: "delivered";
  /** Tries. */
  tries: number;
} | {
  is: "retrying";
  /** When again. */
  next_at: Time;
  /** Tries. */
  tries: number;
  /** Why it failed last. */
  why: string;
} | {
  is: "failed";
  /** Why. */
  why: string;
});
/** A message: its id in the catalogue and what fills its places. */
export type Text = {
  /** What fills the places, as text with its unit. */
  args?: Record<string, string>;
  /** Its id, like `order.halted`. */
  id: string;
};
export type Time = string;
/** GET /timeline: one line of it. */
export type TimelineRow = {
  /** When. */
  at: Time;
  /** Who. */
  by?: string | null;
  /** A short name for a flag on a graph: `shop 4.12.0`. */
  flag?: string | null;
  incident?: (IncidentNumber | null);
  order?: (OrderNumber | null);
  /** Where. */
  scope: Scope;
  /** Its place. */
  seq: Seq;
  /** What. */
  text: Text;
  /** How it looks. */
  tone: Tone;
};
/** A token as the list shows it. */
export type Token = {
  /** When it was made. */
  created_at: Time;
  /** What it may do. */
  grants: Grant[];
  /** Its name. */
  name: string;
};
/** A token that was just made. */
export type TokenMade = {
  /** Its name. */
  name: TokenName;
  /** Its text, kept nowhere. */
  token: string;
};
export type TokenName = string;
/** Somebody was told, or not. */
export type Told = {
  /** Since when it is owed. */
  asked_at: Time;
  /** How: `webhook`, `chat`. */
  channel: string;
  key?: (EffectKey | null);
  /** A receiver's or a person's name. */
  receiver: string;
  /** What came of it. */
  result: TellResult;
};
/** How a line of a story looks. */
export type Tone = "running" | "ok" | "bad" | "halted" | "rolled_back" | "person" | "told" | "change";
/** A track of the story graph. */
export type Track = {
  /** PromQL. */
  query: string;
  /** Its name. */
  title: string;
  /** Its unit. */
  unit: string;
};
/** A rule changed its mind about one thing: the only thing of a rule that becomes an event. */
export type Transition = {
  /** The rule and the labels, as one key. */
  alert: AlertKey;
  /** The rule's annotations, filled in. */
  annotations: Record<string, string>;
  /** The rule's expression, for the link to Explore. */
  expr: string;
  /** Before. */
  from: AlertState;
  /** The alert's labels, `alertname` among them. */
  labels: Labels;
  /** Since when the condition holds (or the state lasts), on the server's clock. */
  onset: Time;
  /** The rule. */
  rule: RuleName;
  /** Now. */
  to: AlertState;
  /** The value that decided, where there is one. */
  value?: number | null;
};
/** One action of an undo. */
export type UndoStep = {
  /** What is done. */
  action: Action;
  /** Longest time until its answer, in milliseconds. */
  time_limit_ms: number;
};
/** A person. */
export type UserConfig = {
  /** What they may do. */
  grants?: Grant[];
  /** Their language. */
  language?: Language;
  /** As it is shown: `Zhao Wei`. */
  name?: string;
};
/** A verb and how it is written. */
export type VerbHelp = {
  /** The right that it needs. */
  right: Right;
  /** One sentence. */
  text: Text;
  /** `deploy SERVICE VERSION [ENVIRONMENT] [--hosts a,b] [--serial | --parallel N | --halves]` */
  usage: string;
  /** `deploy` */
  verb: string;
};
/** Something waits for a person. */
export type Waiting = {
  /** How it looks. */
  state: WaitingKind;
  /** A sentence: `#3727 to resolve`. */
  text: Text;
  /** Its address on the page: `/incidents/3727`. */
  to: string;
};
/** What kind of thing waits. */
export type WaitingKind = "incident" | "heartbeat" | "source_down" | "order";
/** Alertmanager's webhook. */
export type WebhookConfig = {
  /** A file with the value of the `Authorization` header. */
  authorization_file?: string | null;
  /** Whether it is told when it is over. */
  send_resolved?: boolean;
  /** Where to POST. */
  url: string;
};
/** Which way a reason points. */
export type Weight = "for" | "against" | "neutral";
