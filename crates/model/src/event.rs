//! The closed list of everything that can happen, and an event as the journal keeps it.

use serde::{Deserialize, Serialize};

use crate::alert::Transition;
use crate::api::Answer;
use crate::change::Change;
use crate::command::Command;
use crate::config::Config;
use crate::id::{EffectKey, Epoch, IncidentNumber, ReceiverName, RoomName, Seq};
use crate::incident::TellResult;
use crate::order::Artifact;
use crate::plan::StepAnswer;
use crate::signal::{HeartbeatPing, HostSeen, Judged, ServiceSeen};
use crate::text::Text;
use crate::time::Time;

/// The version of the event schema that this program writes.
pub const EVENT_SCHEMA: u16 = 1;

/// An event with its place in the journal. Order is by `seq`; `at` never goes back.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Recorded {
    /// Its place.
    pub seq: Seq,
    /// When the journal received it, on the server's clock.
    pub at: Time,
    /// [`EVENT_SCHEMA`] of its writer.
    pub schema: u16,
    /// What happened.
    pub event: Event,
}

/// Everything that can happen. Nothing else changes the engine's state.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(tag = "kind", content = "of", rename_all = "snake_case")]
pub enum Event {
    /// A server took over: after it nobody obeys an older epoch.
    Started {
        /// One more than the last.
        epoch: Epoch,
        /// The program's version.
        version: String,
    },
    /// The configuration is this from now on. With its difference to the one before, as a change.
    Configured {
        /// All of it.
        config: Box<Config>,
        /// What is different; none at the first start.
        change: Option<Box<Change>>,
    },
    /// Something was altered.
    Changed(Change),
    /// A rule changed its mind.
    Alert(Transition),
    /// Somebody wants something changed.
    Command(Command),
    /// A step ended.
    StepAnswered(StepAnswer),
    /// The judge changed its mind.
    Judged(Judged),
    /// A host's link came up or went down.
    HostSeen(HostSeen),
    /// A service's process changed its state.
    ServiceSeen(ServiceSeen),
    /// A job gave a sign of life.
    Heartbeat(HeartbeatPing),
    /// An artifact lies in the store.
    ArtifactPushed(Artifact),
    /// Telling somebody came to something.
    Told {
        /// Which effect.
        key: EffectKey,
        /// Whom.
        receiver: ReceiverName,
        /// About which incident.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        incident: Option<IncidentNumber>,
        /// What came of it.
        result: TellResult,
    },
    /// The bot said something in a room.
    Said {
        /// Which effect; a room shows a key once.
        key: EffectKey,
        /// Where.
        room: RoomName,
        /// What.
        card: Card,
    },
    /// The bot answered a verb in a room.
    Answered {
        /// Made of the question's id; kept for the reader of the journal.
        key: EffectKey,
        /// Where.
        room: RoomName,
        /// What was asked.
        asked: String,
        /// The answer.
        answer: Box<Answer>,
    },
    /// Time has passed: something may be due.
    Tick,
}

/// What the bot says in a room: a sentence, and what it speaks of, which the page shows live.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Card {
    /// The sentence.
    pub text: Text,
    /// How it looks.
    pub tone: crate::order::Tone,
    /// Whose name is called.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub calls: Option<String>,
    /// About which incident.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub incident: Option<IncidentNumber>,
    /// About which order.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub order: Option<crate::id::OrderNumber>,
}
