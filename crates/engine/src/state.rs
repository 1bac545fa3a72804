//! Everything that the engine knows: the fold of [`step`](crate::step()) over the journal. Snapshots are its JSON.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use model::api::{ChatMessage, TimelineRow};
use model::config::Config;
use model::incident::Incident;
use model::order::{Artifact, Order};
use model::signal::{HeartbeatPing, HostSeen, ServiceSeen};
use model::{
    AlertKey, ArtifactDigest, Change, Epoch, EventId, HeartbeatName, HostName, IncidentNumber, OrderNumber, Outcome, Seq,
    ServiceName, Time, Transition,
};
use serde::{Deserialize, Serialize};

use crate::release::Releases;

/// The version of the snapshot's schema that this program writes.
pub const STATE_SCHEMA: u16 = 1;

/// Changes that are remembered for suspects: the newest so many.
pub const CHANGES_KEPT: usize = 2_000;
/// Ended orders and resolved incidents that stay in memory; older ones are in the projections only.
pub const ENDED_KEPT: usize = 200;
/// Ids of commands, changes and pings by which repeats are known.
pub const SEEN_KEPT: usize = 10_000;
/// Answers to commands that are remembered for repeats.
pub const ANSWERS_KEPT: usize = 1_000;

/// Everything that the engine knows.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct State {
    /// The last event that was folded in.
    pub seq: Seq,
    /// When that was; never goes back.
    pub at: Time,
    /// The server's start that counts.
    pub epoch: Epoch,
    /// The configuration in force.
    pub config: Config,
    /// The newest changes, oldest first.
    pub changes: VecDeque<SeenChange>,
    /// Alerts that are not ok, and since when.
    pub alerts: BTreeMap<AlertKey, Transition>,
    /// Incidents: all that are not resolved, and the newest that are.
    pub incidents: BTreeMap<IncidentNumber, Incident>,
    /// The last incident's number.
    pub last_incident: IncidentNumber,
    /// Orders: all that have not ended, and the newest that have.
    pub orders: BTreeMap<OrderNumber, Order>,
    /// Artifacts that were pushed.
    pub artifacts: BTreeMap<ArtifactDigest, Artifact>,
    /// Hosts as they were last seen.
    pub hosts: BTreeMap<HostName, HostState>,
    /// Services as their agents saw them last.
    pub services: BTreeMap<ServiceOnHost, ServiceSeen>,
    /// Jobs that report.
    pub heartbeats: BTreeMap<HeartbeatName, HeartbeatState>,
    /// Ids seen, oldest first: a repeat changes nothing.
    pub seen: SeenIds,
    /// What the newest commands came to, oldest first: a repeat gets the same answer.
    #[serde(default)]
    pub answers: VecDeque<(EventId, Outcome)>,
    /// How often each alert was told within the last hour, so that a flapping one falls silent.
    #[serde(default)]
    pub tells: BTreeMap<AlertKey, TellCount>,
    /// When those of longer ago were last taken out of `tells`.
    #[serde(default)]
    pub tells_swept_at: Time,
    /// Whom the bot has called about which incident, so that nobody is called twice.
    #[serde(default)]
    pub called: BTreeMap<IncidentNumber, BTreeSet<String>>,
    /// How far the orders are that have not ended.
    #[serde(default)]
    pub releases: Releases,
    /// What the last step touched; drained by the pump into projections, not part of the state.
    #[serde(skip)]
    pub touched: Touched,
}

/// A change and when the journal received it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SeenChange {
    /// Its place.
    pub seq: Seq,
    /// When.
    pub at: Time,
    /// The change.
    pub change: Change,
}

/// A host as it was last seen.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct HostState {
    /// The last that its link said.
    pub seen: HostSeen,
    /// When its link changed.
    pub since: Time,
    /// When it counts as lost unless its link comes back before.
    #[serde(default)]
    pub lost_at: Option<Time>,
}

/// How often an alert was told.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct TellCount {
    /// When, within the last hour, oldest first.
    pub at: VecDeque<Time>,
    /// Whether it was said that it flaps.
    pub flapping: bool,
}

/// A service on a host, as a map's key.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct ServiceOnHost {
    /// Which.
    pub service: ServiceName,
    /// Where.
    pub host: HostName,
}

/// A job's last signs of life.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct HeartbeatState {
    /// The last sign and when.
    pub last: Option<(Time, HeartbeatPing)>,
    /// When a run began that has not ended.
    pub started_at: Option<Time>,
    /// The last success.
    pub success_at: Option<Time>,
    /// How long the last run took, in milliseconds.
    pub took_ms: Option<u64>,
    /// When the next success is due; later by `grace` it is late.
    pub due_at: Option<Time>,
}

/// What a step touched.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Touched {
    /// Incidents to be written anew.
    pub incidents: BTreeSet<IncidentNumber>,
    /// Orders to be written anew.
    pub orders: BTreeSet<OrderNumber>,
    /// Lines for the timeline.
    pub timeline: Vec<TimelineRow>,
    /// Messages for rooms.
    pub chat: Vec<ChatMessage>,
}

impl State {
    /// Remembers an id; false if it was seen before, so that a repeat changes nothing.
    pub fn first_time(&mut self, id: &EventId) -> bool {
        self.seen.insert(id)
    }
}

/// The newest ids in the order in which they came, found without looking through all: with thousands of pings a second a
/// walk over [`SEEN_KEPT`] of them for each would take a tenth of a core.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct SeenIds {
    oldest_first: VecDeque<EventId>,
    known: BTreeSet<EventId>,
}

impl SeenIds {
    /// Adds an id; false if it is known. The oldest gives way to the newest.
    pub fn insert(&mut self, id: &EventId) -> bool {
        if !self.known.insert(id.clone()) {
            return false;
        }
        if self.oldest_first.len() >= SEEN_KEPT
            && let Some(oldest) = self.oldest_first.pop_front()
        {
            self.known.remove(&oldest);
        }
        self.oldest_first.push_back(id.clone());
        true
    }
}

impl Serialize for SeenIds {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(&self.oldest_first)
    }
}

impl<'de> Deserialize<'de> for SeenIds {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<SeenIds, D::Error> {
        let oldest_first = VecDeque::<EventId>::deserialize(deserializer)?;
        let known = oldest_first.iter().cloned().collect();
        Ok(SeenIds { oldest_first, known })
    }
}

impl Serialize for ServiceOnHost {
    /// `service@host`: a map's key in JSON is a text.
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&format_args!("{}@{}", self.service, self.host))
    }
}

impl<'de> Deserialize<'de> for ServiceOnHost {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<ServiceOnHost, D::Error> {
        use serde::de::Error;
        let text = String::deserialize(deserializer)?;
        let (service, host) = text.split_once('@').ok_or_else(|| D::Error::custom("expected service@host"))?;
        Ok(ServiceOnHost {
            service: ServiceName::new(service).map_err(D::Error::custom)?,
            host: HostName::new(host).map_err(D::Error::custom)?,
        })
    }
}
