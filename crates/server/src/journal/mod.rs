//! The truth: events in their order, what is owed to the outside, snapshots; and the projections that the API reads.
//!
//! One transaction holds all that a batch of events brought about. What waits for an event waits for its transaction. The
//! engine never reads projections, and nothing but the pump writes events.

use std::path::PathBuf;

use async_trait::async_trait;
use engine::{Effect, State};
use model::api::{ChangeRow, ChatMessage, TimelineRow};
use model::incident::{Incident, IncidentState};
use model::order::{Order, OrderState};
use model::{
    EffectKey, EnvironmentName, IncidentNumber, OrderNumber, Outcome, ProjectName, Recorded, RoomName, Seq, ServiceName, Time,
};
use serde::{Deserialize, Serialize};

mod database;
mod memory;
mod read;
mod schema;
mod sqlite;
#[cfg(test)]
mod tests;
mod walk;

pub use database::{Database, FolderLock};
pub use memory::{Fault, MemoryJournal};
pub use read::SqliteProjections;
pub use sqlite::SqliteJournal;
pub use walk::{Walk, walk_audit};

/// Why the journal could not be read or written.
#[derive(Debug, Clone, thiserror::Error)]
pub enum JournalError {
    /// The database refused or failed.
    #[error("{doing}: {why}")]
    Database {
        /// What we were doing.
        doing: &'static str,
        /// What the database said.
        why: String,
    },
    /// No room on the disk.
    #[error("{doing}: the disk is full")]
    Full {
        /// What we were doing.
        doing: &'static str,
    },
    /// Another process has the data folder.
    #[error("open the data folder `{}`: another flyball uses it; stop that one or name another folder", folder.display())]
    Locked {
        /// The folder.
        folder: PathBuf,
    },
    /// Written by a newer flyball.
    #[error("{what} is of version {found}, this flyball knows {known}: start the newer flyball that wrote it")]
    Newer {
        /// What.
        what: &'static str,
        /// Its version.
        found: i64,
        /// What this program knows.
        known: i64,
    },
    /// What was stored can't be read.
    #[error("read {what}: {why}")]
    Unreadable {
        /// What.
        what: String,
        /// Why.
        why: String,
    },
    /// A file of the data folder can't be opened.
    #[error("open `{}`: {why}", path.display())]
    File {
        /// Which.
        path: PathBuf,
        /// What the system said.
        why: String,
    },
}

/// All that a batch of events brought about: one transaction, and once it is on disk what subscribers see.
#[derive(Clone, Debug, Default)]
pub struct Committed {
    /// The events with their places.
    pub recorded: Vec<Recorded>,
    /// Events on which the engine failed: kept, and left out when the journal is replayed.
    pub poisoned: Vec<Seq>,
    /// What is owed from now on and what no longer, in order.
    pub outbox: Vec<OutboxChange>,
    /// Incidents as they are now.
    pub incidents: Vec<Incident>,
    /// Orders as they are now.
    pub orders: Vec<Order>,
    /// New lines of the timeline.
    pub timeline: Vec<TimelineRow>,
    /// New messages in rooms.
    pub chat: Vec<ChatMessage>,
    /// New changes.
    pub changes: Vec<ChangeRow>,
    /// Commands and what came of them.
    pub audit: Vec<NewAudit>,
}

/// How the outbox changes.
#[derive(Clone, Debug, PartialEq)]
pub enum OutboxChange {
    /// Owed from now on; under a key that is owed already, what is asked now counts.
    Owe(Box<Owed>),
    /// Tried and failed: tries so far, and when again.
    Delay(EffectKey, u32, Time),
    /// No longer owed.
    Settle(EffectKey),
}

/// Something owed to the outside.
#[derive(Clone, Debug, PartialEq)]
pub struct Owed {
    /// Its key.
    pub key: EffectKey,
    /// The event that brought it about.
    pub seq: Seq,
    /// Since when.
    pub at: Time,
    /// Tries so far.
    pub tries: u32,
    /// Not tried before.
    pub next_at: Time,
    /// What.
    pub effect: Effect,
}

/// A line for the audit: who asked for what, and what came of it.
#[derive(Clone, Debug, PartialEq)]
pub struct NewAudit {
    /// When.
    pub at: Time,
    /// The event, where there is one; what was refused at the edge has none.
    pub seq: Option<Seq>,
    /// Who.
    pub by: String,
    /// What: a command's JSON, or a route.
    pub what: serde_json::Value,
    /// What came of it.
    pub outcome: AuditOutcome,
}

/// What came of something that was asked for.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(tag = "is", content = "of", rename_all = "snake_case")]
pub enum AuditOutcome {
    /// The engine's answer; none: it had none, as for a repeat.
    Answered(Option<Outcome>),
    /// Refused at the edge for want of a right.
    NotAllowed,
}

/// A line of the audit. Each carries the hash of the one before, so that a line taken out or altered shows.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct AuditRow {
    /// Its place: 1, 2, 3, ...
    pub number: u64,
    /// When.
    pub at: Time,
    /// The event, where there is one.
    pub seq: Option<Seq>,
    /// Who.
    pub by: String,
    /// What.
    #[schema(value_type = Object)]
    pub what: serde_json::Value,
    /// What came of it.
    pub outcome: AuditOutcome,
    /// The hash of the line before; 64 zeros in the first.
    pub prev: String,
    /// The sha256 of this line and `prev`.
    pub hash: String,
}

/// What a start finds.
#[derive(Debug, Default)]
pub struct Loaded {
    /// The newest snapshot.
    pub snapshot: Option<Box<State>>,
    /// The events behind it, in order, without poisoned ones.
    pub tail: Vec<Recorded>,
    /// What is owed.
    pub owed: Vec<Owed>,
    /// The last place that was given out, poisoned ones too.
    pub last: Seq,
}

/// Where the pump writes.
#[async_trait]
pub trait Journal: Send + Sync + 'static {
    /// The newest snapshot, the events behind it, what is owed.
    async fn load(&self) -> Result<Loaded, JournalError>;

    /// Writes all of it or nothing. When it answers well, it is on disk.
    async fn commit(&self, committed: &Committed) -> Result<(), JournalError>;

    /// Keeps a snapshot, and drops events behind it that are older than `keep_from`.
    async fn snapshot(&self, state: &State, keep_from: Time) -> Result<(), JournalError>;

    /// Adds a line to the audit for what never became an event.
    async fn note(&self, audit: &NewAudit) -> Result<(), JournalError>;
}

/// Which incidents are wanted.
#[derive(Clone, Debug, Default)]
pub struct IncidentFilter {
    /// In this state.
    pub state: Option<IncidentState>,
    /// Leaves out those that are resolved.
    pub unresolved: bool,
    /// On this service.
    pub service: Option<ServiceName>,
    /// With a lower number.
    pub before: Option<IncidentNumber>,
    /// At most so many; 0 counts as 100, never more than 1,000.
    pub limit: u32,
}

/// Which orders are wanted.
#[derive(Clone, Debug, Default)]
pub struct OrderFilter {
    /// Of this project.
    pub project: Option<ProjectName>,
    /// Of this service.
    pub service: Option<ServiceName>,
    /// In this environment.
    pub environment: Option<EnvironmentName>,
    /// In this state.
    pub state: Option<OrderState>,
    /// Leaves out those that have ended.
    pub unended: bool,
    /// With a lower number.
    pub before: Option<OrderNumber>,
    /// At most so many; 0 counts as 100, never more than 1,000.
    pub limit: u32,
}

/// Which lines or changes are wanted: the newest first.
#[derive(Clone, Debug, Default)]
pub struct RangeFilter {
    /// Not before.
    pub from: Option<Time>,
    /// Not after.
    pub to: Option<Time>,
    /// On this service.
    pub service: Option<ServiceName>,
    /// In this environment.
    pub environment: Option<EnvironmentName>,
    /// With a lower place.
    pub before: Option<Seq>,
    /// At most so many; 0 counts as 100, never more than 1,000.
    pub limit: u32,
}

/// What the API reads. Always what is committed; all lists newest first.
#[async_trait]
pub trait Projections: Send + Sync + 'static {
    /// Incidents.
    async fn incidents(&self, filter: &IncidentFilter) -> Result<Vec<Incident>, JournalError>;
    /// One incident.
    async fn incident(&self, number: IncidentNumber) -> Result<Option<Incident>, JournalError>;
    /// Orders.
    async fn orders(&self, filter: &OrderFilter) -> Result<Vec<Order>, JournalError>;
    /// One order.
    async fn order(&self, number: &OrderNumber) -> Result<Option<Order>, JournalError>;
    /// Lines of the timeline.
    async fn timeline(&self, filter: &RangeFilter) -> Result<Vec<TimelineRow>, JournalError>;
    /// Messages of a room.
    async fn chat(&self, room: &RoomName, before: Option<Seq>, limit: u32) -> Result<Vec<ChatMessage>, JournalError>;
    /// Changes.
    async fn changes(&self, filter: &RangeFilter) -> Result<Vec<ChangeRow>, JournalError>;
    /// Lines of the audit with a lower number than `before`.
    async fn audit(&self, before: Option<u64>, limit: u32) -> Result<Vec<AuditRow>, JournalError>;
}

/// The hash of the line before the first.
const NO_HASH: &str = "0000000000000000000000000000000000000000000000000000000000000000";

/// A line of the audit as it is stored, chained to the one before.
fn chain(number: u64, prev: &str, new: &NewAudit) -> AuditRow {
    use sha2::Digest as _;
    let mut row = AuditRow {
        number,
        at: new.at,
        seq: new.seq,
        by: new.by.clone(),
        what: new.what.clone(),
        outcome: new.outcome.clone(),
        prev: prev.to_owned(),
        hash: String::new(),
    };
    row.hash = hex::encode(sha2::Sha256::digest(hashed_text(&row)));
    row
}

fn hashed_text(row: &AuditRow) -> String {
    let outcome = serde_json::to_string(&row.outcome).unwrap_or_default();
    let seq = row.seq.map_or(0, |seq| seq.0);
    format!("{}\n{}\n{}\n{}\n{:?}\n{}\n{}", row.prev, row.number, row.at.0, seq, row.by, row.what, outcome)
}

/// The first line whose hash or whose link to the line before is wrong; lines in rising order.
pub fn broken_link(rows: &[AuditRow]) -> Option<u64> {
    use sha2::Digest as _;
    let wrong = |row: &AuditRow| hex::encode(sha2::Sha256::digest(hashed_text(row))) != row.hash;
    let is_wrong = rows.iter().find(|row| wrong(row)).map(|row| row.number);
    let unlinked = rows.windows(2).find(|pair| pair[1].prev != pair[0].hash || pair[1].number != pair[0].number + 1);
    [is_wrong, unlinked.map(|pair| pair[1].number)].into_iter().flatten().min()
}

/// A list's limit: 100 where none is given, 1,000 at most.
fn limit_of(asked: u32) -> usize {
    if asked == 0 { 100 } else { asked.min(1_000) as usize }
}
