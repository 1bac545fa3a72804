//! What a rule says of one thing, and how it changes.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::id::{AlertKey, RuleName};
use crate::labels::Labels;
use crate::time::Time;

/// The four states of an alert. A failed scrape or a vanished series is never an "OK".
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum AlertState {
    /// The condition does not hold.
    Ok,
    /// The condition holds, for long enough.
    Bad,
    /// What it reads has vanished.
    NoData,
    /// The source of what it reads does not answer.
    SourceDown,
}

/// A rule changed its mind about one thing: the only thing of a rule that becomes an event.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Transition {
    /// The rule and the labels, as one key.
    pub alert: AlertKey,
    /// The rule.
    pub rule: RuleName,
    /// The alert's labels, `alertname` among them.
    pub labels: Labels,
    /// The rule's annotations, filled in.
    pub annotations: BTreeMap<String, String>,
    /// Before.
    pub from: AlertState,
    /// Now.
    pub to: AlertState,
    /// The value that decided, where there is one.
    pub value: Option<f64>,
    /// Since when the condition holds (or the state lasts), on the server's clock.
    pub onset: Time,
    /// The rule's expression, for the link to Explore.
    pub expr: String,
}

impl AlertKey {
    /// The key of a rule's alert with these labels.
    pub fn of(rule: &RuleName, labels: &Labels) -> AlertKey {
        AlertKey::from(format!("{rule}/{:016x}", labels.fingerprint()))
    }
}
