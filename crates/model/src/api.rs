//! The API's types under `/api/flyball/v1`: what pages, the command line and programs get and send.
//!
//! Incidents, orders, plans, changes and artifacts are the engine's own types; here is what only an answer needs.

pub mod store;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::alert::AlertState;
use crate::change::{Change, Scope};
use crate::command::{Outcome, Surface};
use crate::event::Card;
use crate::id::{
    EnvironmentName, EventId, HeartbeatName, HostName, IncidentNumber, OrderNumber, ProjectName, RoomName, Seq, ServiceName,
};
use crate::incident::{IncidentState, Priority};
use crate::labels::Labels;
use crate::order::{HostState, OrderState, Strategy, Tone};
use crate::rights::{Grant, Right};
use crate::signal::{LogLine, ReleaseOnHost, ServiceState};
use crate::text::{Language, Text};
use crate::time::Time;

/// Every error of the API: what failed, because of what, what would be right.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct ErrorBody {
    /// The error.
    pub error: ApiError,
}

/// What failed.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct ApiError {
    /// A word for programs: `bad_request`, `unknown`, `not_allowed`, `conflict`, `too_large`, `too_many`, `full`, `internal`.
    pub code: String,
    /// A sentence.
    pub message: String,
    /// Where: a field, `line 3, column 7`, an item of the batch.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub place: Option<String>,
    /// What would be right: the nearest name, an example.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hint: Option<String>,
    /// Found again in the server's log; only for failures of the server.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
}

/// POST /login
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Login {
    /// The person.
    pub name: String,
    /// The password.
    pub password: String,
}

/// POST /login/link
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct LoginLink {
    /// The one-time token of the link `/login?link=...`.
    pub token: String,
}

/// GET /me
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Me {
    /// The account.
    pub name: String,
    /// As it is shown.
    pub shown: String,
    /// The person's language.
    pub language: Language,
    /// What they may do.
    pub grants: Vec<Grant>,
    /// All rights that they have anywhere, for switching controls off.
    pub rights: Vec<Right>,
    /// flyball's version.
    pub version: String,
    /// The bot's name.
    pub bot: String,
    /// Whether this is the demo.
    pub demo: bool,
}

/// GET /overview, and the event `overview` of the stream.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Overview {
    /// On the server's clock.
    pub at: Time,
    /// The sentence that says how things are.
    pub sentence: Text,
    /// Whether it is a good one.
    pub state: AlertState,
    /// More figures to it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub figures: Option<Text>,
    /// What waits for a person.
    pub waiting: Vec<Waiting>,
    /// The numbers, business first.
    pub numbers: Vec<Number>,
    /// Services.
    pub services: Vec<ServiceRow>,
    /// Heartbeats, late ones first.
    pub heartbeats: Vec<HeartbeatRow>,
    /// Who is on call, by service.
    pub on_call: Vec<OnCallRow>,
    /// Hosts.
    pub hosts: Vec<HostRow>,
    /// Orders that run, wait or are halted; the worst first.
    pub running: Vec<OrderRow>,
    /// What the story graph shows: the newest incident, else release, else nothing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub story: Option<StoryRef>,
    /// flyball itself.
    pub own: OwnState,
}

/// Something waits for a person.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Waiting {
    /// A sentence: `#3727 to resolve`.
    pub text: Text,
    /// Its address on the page: `/incidents/3727`.
    pub to: String,
    /// How it looks.
    pub state: WaitingKind,
}

/// What kind of thing waits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum WaitingKind {
    /// An incident.
    Incident,
    /// A late heartbeat.
    Heartbeat,
    /// A source that is down.
    SourceDown,
    /// An order to approve, resume or roll back.
    Order,
}

/// A number on the Overview with its last five minutes.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Number {
    /// Its name.
    pub title: String,
    /// PromQL, for Explore.
    pub query: String,
    /// Its value now.
    pub value: Option<f64>,
    /// Its unit.
    pub unit: String,
    /// Its limit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit: Option<f64>,
    /// Its state.
    pub state: AlertState,
    /// The last five minutes: seconds since the epoch.
    pub times: Vec<f64>,
    /// The values; none is a gap.
    pub values: Vec<Option<f64>>,
}

/// A service as a row.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct ServiceRow {
    /// Its project.
    pub project: ProjectName,
    /// Its name.
    pub service: ServiceName,
    /// The environment.
    pub environment: EnvironmentName,
    /// The worst of its alerts and servers.
    pub state: AlertState,
    /// Requests per second at the balancer.
    pub requests: Option<f64>,
    /// Share of bad answers, 0 to 1.
    pub bad_share: Option<f64>,
    /// 95th percentile of its answers, in seconds, where it is known.
    pub p95: Option<f64>,
    /// Versions on line.
    pub on_line: Vec<String>,
    /// Servers in the balancer (or running, without one).
    pub servers_in: u32,
    /// Servers wanted.
    pub servers: u32,
    /// The last change.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_change: Option<Text>,
    /// When it was.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_change_at: Option<Time>,
}

/// A heartbeat as a row.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct HeartbeatRow {
    /// The job.
    pub heartbeat: HeartbeatName,
    /// ok, bad (late or failed), no data (never seen).
    pub state: AlertState,
    /// The last success.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_at: Option<Time>,
    /// How long that run took, in milliseconds, where it said when it began.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub took_ms: Option<u64>,
    /// When the next is due.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub due_at: Option<Time>,
}

/// Who is on call.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct OnCallRow {
    /// For which service.
    pub service: ServiceName,
    /// Who, as it is shown.
    pub person: String,
}

/// A host as a row.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct HostRow {
    /// Its name.
    pub host: HostName,
    /// ok or source down; no data: never seen.
    pub state: AlertState,
    /// Since when.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub since: Option<Time>,
    /// The agent's version.
    pub agent_version: String,
    /// Services on it.
    pub services: Vec<ServiceName>,
}

/// An order as a row and in the brake bar.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct OrderRow {
    /// Its number.
    pub number: OrderNumber,
    /// The project.
    pub project: ProjectName,
    /// The service.
    pub service: ServiceName,
    /// The environment.
    pub environment: EnvironmentName,
    /// From which version, where all had the same.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<String>,
    /// To which version.
    pub to: String,
    /// The state.
    pub state: OrderState,
    /// Who made it.
    pub author: String,
    /// Why.
    pub reason: String,
    /// Servers that are through.
    pub hosts_done: u32,
    /// Servers in all.
    pub hosts: u32,
    /// Why it was halted or waits.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub because: Option<Text>,
    /// When it was made.
    pub created_at: Time,
    /// When it began.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub started_at: Option<Time>,
    /// When it was halted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub halted_at: Option<Time>,
    /// When it ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ended_at: Option<Time>,
}

/// What the story graph shows.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct StoryRef {
    /// The incident.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub incident: Option<IncidentNumber>,
    /// The order.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub order: Option<OrderNumber>,
    /// The service.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub service: Option<ServiceName>,
    /// Where the graph begins.
    pub from: Time,
    /// Where it ends; none: now.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub to: Option<Time>,
    /// Zero of the offsets.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub onset: Option<Time>,
    /// PromQL of the tracks, business number first.
    pub tracks: Vec<Track>,
}

/// A track of the story graph.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Track {
    /// Its name.
    pub title: String,
    /// PromQL.
    pub query: String,
    /// Its unit.
    pub unit: String,
}

/// flyball itself.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct OwnState {
    /// Whether it is well.
    pub state: AlertState,
    /// Agents whose link is up.
    pub agents_up: u32,
    /// Agents in all.
    pub agents: u32,
    /// Up to when everything is on disk.
    pub saved_at: Time,
    /// The journal's last place.
    pub seq: Seq,
    /// Effects that are owed to the outside.
    pub outbox: u64,
    /// Series in the store.
    pub series: u64,
    /// Places on the disk whose damage has cost samples, since the start.
    pub damaged: u64,
    /// Since when it runs.
    pub started_at: Time,
}

/// GET /timeline: one line of it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct TimelineRow {
    /// Its place.
    pub seq: Seq,
    /// When.
    pub at: Time,
    /// What.
    pub text: Text,
    /// How it looks.
    pub tone: Tone,
    /// A short name for a flag on a graph: `shop 4.12.0`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub flag: Option<String>,
    /// Who.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub by: Option<String>,
    /// Where.
    pub scope: Scope,
    /// The incident that it speaks of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub incident: Option<IncidentNumber>,
    /// The order that it speaks of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub order: Option<OrderNumber>,
}

/// GET /changes: a change with its place.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct ChangeRow {
    /// Its place.
    pub seq: Seq,
    /// When the journal received it.
    pub received_at: Time,
    /// The change.
    pub change: Change,
}

/// GET /incidents: a row.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct IncidentRow {
    /// Its number.
    pub number: IncidentNumber,
    /// A sentence.
    pub title: Text,
    /// How urgent.
    pub priority: Priority,
    /// The state.
    pub state: IncidentState,
    /// What it concerns.
    pub scope: Scope,
    /// Since when it hurts.
    pub onset: Time,
    /// When all was ok again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub recovered_at: Option<Time>,
    /// Who has it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub owner: Option<String>,
    /// The first suspect.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub suspect: Option<Text>,
}

/// GET /services/{project}/{service}/{environment}: the Deploy page.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Place {
    /// The project.
    pub project: ProjectName,
    /// The service.
    pub service: ServiceName,
    /// The environment.
    pub environment: EnvironmentName,
    /// All environments of the service, with the version on line and the state of the last order.
    pub path: Vec<PathStep>,
    /// Whether another person has to approve.
    pub approval: bool,
    /// Whether deploy, rollback and restart are confirmed.
    pub confirm: bool,
    /// How servers take turns where an order does not say.
    pub strategy: Strategy,
    /// The servers.
    pub servers: Vec<ServerRow>,
    /// Its orders, newest first; 50 at most.
    pub orders: Vec<OrderRow>,
    /// Artifacts that could be released, newest first; 50 at most.
    pub artifacts: Vec<crate::order::Artifact>,
    /// Why "deploy now" is off, if it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub off_because: Option<Text>,
}

/// One environment on the way of a release.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct PathStep {
    /// The environment.
    pub environment: EnvironmentName,
    /// The state of its last order.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub state: Option<OrderState>,
    /// When that was.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at: Option<Time>,
    /// Versions on line.
    pub on_line: Vec<String>,
}

/// One server on the Deploy page and in the answer of `check`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct ServerRow {
    /// The host.
    pub host: HostName,
    /// Address and port.
    pub address: String,
    /// How it runs: `process`.
    pub container: String,
    /// The release on line.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub release: Option<ReleaseOnHost>,
    /// Its process; none: the agent has not said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub state: Option<ServiceState>,
    /// Since when.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub since: Option<Time>,
    /// Whether the host's agent answers.
    pub host_up: bool,
    /// In the balancer: `in`, `draining`, `out`, `down`; none without a balancer or before its first answer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub balancer: Option<String>,
    /// Sessions at the balancer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sessions: Option<u64>,
    /// CPU in use, in cores.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cpu_cores: Option<f64>,
    /// Memory in use, in bytes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub memory_bytes: Option<f64>,
    /// Memory that it may use, in bytes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub memory_limit_bytes: Option<f64>,
    /// Disk in use in its folder's filesystem, 0 to 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub disk_share: Option<f64>,
    /// The last order that touched it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_order: Option<OrderNumber>,
    /// What came of it here.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_result: Option<HostState>,
    /// When.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_at: Option<Time>,
    /// The last line of the deploy log.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_line: Option<Text>,
}

/// GET /chat/{room}: one message.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct ChatMessage {
    /// Its place in the journal; also its id.
    pub seq: Seq,
    /// Where.
    pub room: RoomName,
    /// When.
    pub at: Time,
    /// Who: a person, or the bot.
    pub by: String,
    /// Whether the bot said it.
    pub bot: bool,
    /// What it says.
    pub body: ChatBody,
}

/// What a message holds.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(tag = "is", rename_all = "snake_case")]
pub enum ChatBody {
    /// What a person typed.
    Said {
        /// The text.
        text: String,
    },
    /// What the bot tells by itself.
    Card {
        /// The card.
        card: Card,
    },
    /// The bot's answer to a verb.
    Answer {
        /// What was asked.
        asked: String,
        /// The answer.
        answer: Answer,
    },
}

/// POST /command: a verb in the one grammar.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Ask {
    /// Made by the sender so that a repeat is not done twice; none: made here.
    #[serde(default)]
    pub id: Option<EventId>,
    /// `deploy shop 4.12.1 prod`
    pub text: String,
    /// From where; none said: a program.
    #[serde(default)]
    pub via: Surface,
    /// Confirmed already: `--yes`.
    #[serde(default)]
    pub yes: bool,
    /// Only say what would happen.
    #[serde(default)]
    pub dry_run: bool,
    /// In which room, where it was said in one.
    #[serde(default)]
    pub room: Option<RoomName>,
}

/// The answer of a verb: data, rendered by each surface.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Answer {
    /// The verb that was understood, in the grammar's own form.
    pub understood: String,
    /// One sentence.
    pub text: Text,
    /// Whether things are well, for the exit code.
    pub well: bool,
    /// What there is to see.
    pub parts: Vec<AnswerPart>,
    /// It waits for the same person's confirmation: POST /command with `yes` and the same id.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub confirm: Option<Confirmation>,
    /// What came of a changing verb.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub outcome: Option<Outcome>,
}

/// A confirmation that is waited for.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Confirmation {
    /// The command's id, to be sent again.
    pub id: EventId,
    /// What would happen, with figures.
    pub what: Text,
    /// Not after this.
    pub until: Time,
}

/// A part of an answer.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(tag = "is", rename_all = "snake_case")]
pub enum AnswerPart {
    /// A table.
    Table {
        /// Heads: ids of words that surfaces translate.
        heads: Vec<String>,
        /// Cells.
        rows: Vec<Vec<Cell>>,
    },
    /// Servers of a service: the table of `check` and `restart`.
    Servers {
        /// Which.
        service: ServiceName,
        /// Where.
        environment: EnvironmentName,
        /// Wanted state: the release.
        wanted: String,
        /// How many are up.
        up: u32,
        /// How many are wanted.
        of: u32,
        /// Each.
        servers: Vec<ServerRow>,
    },
    /// Lines of a log.
    Log {
        /// Oldest first.
        lines: Vec<LogLine>,
    },
    /// A picture.
    Picture {
        /// `image/svg+xml`
        media_type: String,
        /// The picture, as text.
        svg: String,
        /// The same as numbers.
        series: Vec<PictureSeries>,
        /// What is drawn, as `shop: Orders /min`: the series of one number often have no labels.
        #[serde(default, skip_serializing_if = "String::is_empty")]
        title: String,
    },
    /// Incidents.
    Incidents {
        /// Newest first.
        incidents: Vec<IncidentRow>,
    },
    /// Changes.
    Changes {
        /// Newest first.
        changes: Vec<ChangeRow>,
    },
    /// Orders.
    Orders {
        /// Newest first.
        orders: Vec<OrderRow>,
    },
    /// Verbs with their usage.
    Help {
        /// Each.
        verbs: Vec<VerbHelp>,
    },
}

/// One series of a picture.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct PictureSeries {
    /// Its labels.
    pub labels: Labels,
    /// Seconds since the epoch.
    pub times: Vec<f64>,
    /// Values; none is a gap.
    pub values: Vec<Option<f64>>,
}

/// A cell of a table.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Cell {
    /// What it says.
    pub text: String,
    /// Its state, where it has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub state: Option<AlertState>,
}

/// A verb and how it is written.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct VerbHelp {
    /// `deploy`
    pub verb: String,
    /// `deploy SERVICE VERSION [ENVIRONMENT] [--hosts a,b] [--serial | --parallel N | --halves]`
    pub usage: String,
    /// One sentence.
    pub text: Text,
    /// The right that it needs.
    pub right: Right,
}

/// POST /orders
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewOrder {
    /// The service.
    pub service: ServiceName,
    /// The environment.
    pub environment: EnvironmentName,
    /// A digest, its first 8 digits at least, or a version.
    pub artifact: String,
    /// Why.
    #[serde(default)]
    pub reason: String,
    /// How.
    #[serde(default)]
    pub strategy: Option<Strategy>,
    /// Only these servers; empty: all.
    #[serde(default)]
    pub hosts: Vec<HostName>,
    /// Only plan it, and show the plan.
    #[serde(default)]
    pub dry_run: bool,
}

/// POST /changes: a change as a sender writes it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewChange {
    /// The same id twice is one change; none: made here.
    #[serde(default)]
    pub id: Option<EventId>,
    /// What sort; none: outside.
    #[serde(default)]
    pub kind: Option<crate::change::ChangeKind>,
    /// One sentence.
    pub what: String,
    /// The service.
    #[serde(default)]
    pub service: Option<ServiceName>,
    /// The environment.
    #[serde(default)]
    pub environment: Option<EnvironmentName>,
    /// The hosts.
    #[serde(default)]
    pub hosts: Vec<HostName>,
    /// Who; none: the token's name.
    #[serde(default)]
    pub author: Option<String>,
    /// When; none: now.
    #[serde(default)]
    pub at: Option<Time>,
    /// Details, 16 KiB at most.
    #[serde(default)]
    pub detail: Option<String>,
    /// Where to read more.
    #[serde(default)]
    pub link: Option<String>,
}

/// What came of something that was sent.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Accepted {
    /// Its place in the journal.
    pub seq: Seq,
    /// Its id.
    pub id: EventId,
}

/// GET /demo
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Demo {
    /// The service that is released.
    pub service: ServiceName,
    /// The environment.
    pub environment: EnvironmentName,
    /// What can be released: `good`, `bad`, with version.
    pub releases: BTreeMap<String, String>,
}

/// GET /live: from where on the stream tells everything.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct LivePosition {
    /// The journal's place when the stream began.
    pub seq: Seq,
    /// Whether all between `Last-Event-ID` and here was sent before this; where not, lists that were read earlier have to
    /// be read again.
    pub complete: bool,
}

/// The stream of GET /live: the data of each server-sent event, by its name.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(tag = "event", content = "data", rename_all = "snake_case")]
pub enum Live {
    /// `position`: once, at the beginning; its id too is the journal's place.
    Position(LivePosition),
    /// `overview`: at most four times a second.
    Overview(Box<Overview>),
    /// `timeline`: a new line; its id is the journal's place.
    Timeline(TimelineRow),
    /// `incident`: one changed.
    Incident(Box<crate::incident::Incident>),
    /// `order`: one changed.
    Order(Box<crate::order::Order>),
    /// `chat`: a new message.
    Chat(Box<ChatMessage>),
    /// `log`: lines of a service, for who looks at it.
    Log(LogLine),
}
