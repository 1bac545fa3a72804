//! What a back-test of rules answers: what would have been told, how often, how long, when; and how far that is exact.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::config::{RuleGroup, Span};
use crate::{AlertState, Time, Transition};

/// What is asked of a back-test.
#[derive(Clone, Debug, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct BacktestRequest {
    /// Rule groups, as a rule file has them.
    pub groups: Vec<RuleGroup>,
    /// From when on transitions are reported.
    pub from: Time,
    /// Until when.
    pub to: Time,
}

/// One change of an alert's state.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct BacktestChange {
    /// When it would have been told.
    pub at: Time,
    /// What.
    pub transition: Transition,
}

/// A time during which one alert of a rule was bad.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct BacktestSpell {
    /// The alert's labels.
    pub labels: BTreeMap<String, String>,
    /// When it was told.
    pub from: Time,
    /// When it was told that it is over; none where it was bad still at the end.
    pub to: Option<Time>,
}

/// What one rule would have done.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct BacktestRule {
    /// Its name.
    pub name: String,
    /// How often an alert of it went bad.
    pub times: u64,
    /// How long any alert of it was bad, overlaps counted once.
    pub bad_for: Span,
    /// The longest of these times.
    pub longest: Span,
    /// When, in order; at most 1,000.
    pub spells: Vec<BacktestSpell>,
    /// Whether it records: then it has no alerts.
    #[serde(default)]
    pub records: bool,
    /// Samples that it recorded.
    pub recorded: u64,
    /// Why it could not be evaluated at some time.
    pub failed: Option<String>,
}

/// The whole answer.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct BacktestReport {
    /// From when on transitions are reported.
    pub from: Time,
    /// Until when.
    pub to: Time,
    /// From this instant on it is what live rules told, batch by batch from the kept log; none where nothing of it is.
    pub exact_from: Option<Time>,
    /// Samples of the rules' series that were read.
    pub samples: u64,
    /// Of these, how many came later than a newer one of their series, or overwrote one.
    pub late: u64,
    /// What of the history can't be read, in words: the rules did not see it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub missed: Vec<String>,
    /// Each rule, in the order of the file.
    pub rules: Vec<BacktestRule>,
    /// Every change, in order; at most 100,000.
    pub changes: Vec<BacktestChange>,
    /// Changes that are not in the list.
    pub left_out: u64,
}

impl BacktestChange {
    /// Whether it begins to be bad.
    pub fn goes_bad(&self) -> bool {
        self.transition.to == AlertState::Bad
    }
}
