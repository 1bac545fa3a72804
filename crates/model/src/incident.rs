//! An incident: what people handle. One story with its onset, alerts, suspects, and who was told.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::alert::AlertState;
use crate::change::{Change, Scope};
use crate::id::{AlertKey, EffectKey, IncidentNumber, OrderNumber, PersonName, RuleName, Seq};
use crate::labels::Labels;
use crate::order::Tone;
use crate::text::Text;
use crate::time::Time;

/// How urgent. A word, not a colour.
#[derive(
    Clone,
    Copy,
    Debug,
    Default,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    Serialize,
    Deserialize,
    utoipa::ToSchema,
    schemars::JsonSchema,
)]
pub enum Priority {
    /// Wakes everybody.
    P1,
    /// Wakes the person on call.
    P2,
    /// Told at once, wakes nobody.
    #[default]
    P3,
    /// In working hours.
    P4,
    /// For the record.
    P5,
}

impl fmt::Display for Priority {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self, f)
    }
}

/// An incident. The engine's own state, the stored projection and the API's answer are this one type.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Incident {
    /// Its number.
    pub number: IncidentNumber,
    /// A sentence.
    pub title: Text,
    /// How urgent.
    pub priority: Priority,
    /// What it concerns.
    pub scope: Scope,
    /// The state.
    pub state: IncidentState,
    /// Since when it hurts, on the server's clock.
    pub onset: Time,
    /// When it was opened.
    pub opened_at: Time,
    /// When everything in it was ok again; not resolved yet.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub recovered_at: Option<Time>,
    /// Who has it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub owner: Option<String>,
    /// When it was acknowledged.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub acknowledged_at: Option<Time>,
    /// When it was resolved.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resolved_at: Option<Time>,
    /// The person on call for the service when it was opened.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub on_call: Option<PersonName>,
    /// Its alerts, oldest first.
    pub alerts: Vec<IncidentAlert>,
    /// The changes most likely behind it, likeliest first.
    pub suspects: Vec<Suspect>,
    /// How many changes were looked at.
    pub changes_seen: u32,
    /// Who was told, with results.
    pub told: Vec<Told>,
    /// What happened, oldest first; 500 lines at most.
    pub story: Vec<StoryLine>,
}

/// Where an incident is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum IncidentState {
    /// Nobody has it yet.
    Open,
    /// Somebody has it.
    Acknowledged,
    /// Over, by a person's word.
    Resolved,
}

/// An alert in an incident.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct IncidentAlert {
    /// Which.
    pub alert: AlertKey,
    /// The rule.
    pub rule: RuleName,
    /// Its labels.
    pub labels: Labels,
    /// Its state now.
    pub state: AlertState,
    /// The value that decided last.
    pub value: Option<f64>,
    /// Since when bad.
    pub onset: Time,
    /// Its summary, as the rule's annotation gives it.
    pub summary: String,
    /// The rule's expression.
    pub expr: String,
    /// The last change of its state.
    pub changed_at: Time,
}

/// A change with the reasons to suspect it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Suspect {
    /// The change.
    pub change: Change,
    /// Its place in the journal.
    pub seq: Seq,
    /// When the journal received it: what is compared with the onset.
    pub received_at: Time,
    /// How likely among all of them, in percent; they add up to 100 with "none of them".
    pub percent: u8,
    /// Why, and why not.
    pub evidence: Vec<Evidence>,
    /// The order that can be rolled back for it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub undo: Option<OrderNumber>,
}

/// One reason.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Evidence {
    /// For it, against it, or neither.
    pub weight: Weight,
    /// What.
    pub text: Text,
}

/// Which way a reason points.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Weight {
    /// `+`
    For,
    /// `-`
    Against,
    /// `0`
    Neutral,
}

/// Somebody was told, or not.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Told {
    /// A receiver's or a person's name.
    pub receiver: String,
    /// How: `webhook`, `chat`.
    pub channel: String,
    /// Since when it is owed.
    pub asked_at: Time,
    /// Which effect, so that a result finds its line.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<EffectKey>,
    /// What came of it.
    pub result: TellResult,
}

/// What came of telling somebody.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(tag = "is", rename_all = "snake_case")]
pub enum TellResult {
    /// On its way.
    Asked,
    /// Arrived, after so many tries.
    Delivered {
        /// When.
        at: Time,
        /// Tries.
        tries: u32,
    },
    /// Tried so often, tried again then.
    Retrying {
        /// Tries.
        tries: u32,
        /// When again.
        next_at: Time,
        /// Why it failed last.
        why: String,
    },
    /// Given up.
    Failed {
        /// Why.
        why: String,
    },
}

/// One line of an incident's story.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct StoryLine {
    /// When.
    pub at: Time,
    /// What.
    pub text: Text,
    /// How it looks.
    pub tone: Tone,
    /// Who, where a person did it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub by: Option<String>,
    /// The order that it speaks of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub order: Option<OrderNumber>,
}
