//! What is owed to the world: the only thing besides the state that a step produces. It goes to the outbox in the
//! transaction of its event; whoever performs it answers with an event, never by a call.

use std::collections::BTreeMap;

use model::event::Card;
use model::plan::StepRequest;
use model::{AlertState, EffectKey, EventId, IncidentNumber, Labels, Outcome, ReceiverName, RoomName, Time};
use serde::{Deserialize, Serialize};

/// Something owed to the world.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "effect", content = "of", rename_all = "snake_case")]
pub enum Effect {
    /// A step on a host or at a balancer. Begun only after the commit. Asked again under the key of a row that lies in
    /// the outbox still, it takes that row's place: the new epoch and the new expiry count.
    Do(StepRequest),
    /// Telling somebody. May begin before the commit: its key is made of content.
    Tell(Tell),
    /// What a command came to: given to whoever waits for it after the commit, never stored.
    Answer {
        /// Which command.
        command: EventId,
        /// What came of it.
        outcome: Outcome,
    },
    /// No longer owed: taken out of the outbox if it lies there still.
    Withdraw {
        /// Which.
        key: EffectKey,
    },
}

/// Telling one receiver one thing.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Tell {
    /// Made of content (rule, labels, onset, state, receiver): the repeat after a crash carries the same.
    pub key: EffectKey,
    /// Whom.
    pub receiver: ReceiverName,
    /// About which incident.
    pub incident: Option<IncidentNumber>,
    /// Since when it is owed.
    pub at: Time,
    /// What.
    pub body: TellBody,
}

/// What is told.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "is", rename_all = "snake_case")]
pub enum TellBody {
    /// By webhook, in Alertmanager's version 4 format.
    Alert(AlertNotice),
    /// In a room.
    Card {
        /// Which room.
        room: RoomName,
        /// What.
        card: Card,
    },
}

/// An alert as a webhook tells it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct AlertNotice {
    /// Bad, no data and source down are told as "firing", ok as "resolved".
    pub state: AlertState,
    /// Its labels, `alertname` among them.
    pub labels: Labels,
    /// Its annotations; `suspect` and `suspect_order` are added where there is one.
    pub annotations: BTreeMap<String, String>,
    /// Since when.
    pub starts_at: Time,
    /// Until when, once it is over.
    pub ends_at: Option<Time>,
    /// The rule's expression.
    pub expr: String,
}

impl Effect {
    /// The key under which it lies in the outbox; none for what is not stored.
    pub fn key(&self) -> Option<&EffectKey> {
        match self {
            Effect::Do(request) => Some(&request.key),
            Effect::Tell(tell) => Some(&tell.key),
            Effect::Answer { .. } | Effect::Withdraw { .. } => None,
        }
    }
}
