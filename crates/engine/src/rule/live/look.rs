//! What rules are like now, for whoever asks: health, last evaluation, alerts pending and bad.

use std::collections::BTreeMap;
use std::time::Duration;

use model::{AlertState, Labels, Time};

use super::Live;
use crate::rule::evaluate::annotations;
use crate::rule::{Kind, RuleId};

/// A rule as it is now.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct RuleSeen {
    /// Why its last evaluation failed; none where it did not.
    pub error: Option<String>,
    /// As of when it was evaluated last; none before the first time. A rule that is kept element by element counts as evaluated
    /// at each multiple of its interval: what was not looked at had not changed.
    pub evaluated: Option<Time>,
    /// How long its last evaluation took, or its share of what was evaluated at once.
    pub took: Duration,
    /// Its alerts that are not ok, and those that have not held long enough.
    pub alerts: Vec<AlertSeen>,
}

/// An alert as it is now.
#[derive(Clone, Debug, PartialEq)]
pub struct AlertSeen {
    /// Its labels.
    pub labels: Labels,
    /// Its annotations, filled in; `query` in them finds nothing here.
    pub annotations: BTreeMap<String, String>,
    /// Its state; ok while it is pending.
    pub state: AlertState,
    /// Since when its condition holds.
    pub since: Time,
    /// The last value for which it held.
    pub value: Option<f64>,
    /// Until when it stays bad though its condition is over.
    pub kept_until: Option<Time>,
}

impl Live {
    /// All rules, in the order of the files.
    pub fn look(&mut self) -> Vec<RuleSeen> {
        self.note_values();
        (0..self.rules.len() as u32).map(|rule| self.look_at(rule)).collect()
    }

    fn look_at(&self, rule: u32) -> RuleSeen {
        let own = &self.own[rule as usize];
        let compiled = &self.rules.rules[rule as usize];
        let beat = &self.beats[own.beat as usize];
        let came_round = Some(Time(beat.next - beat.every)).filter(|at| *at > self.started && !own.is_whole());
        let memory = self.state.rules.get(&compiled.key).filter(|_| compiled.kind == Kind::Alert);
        let alerts = memory.into_iter().flat_map(|memory| memory.alerts.values()).map(|held| AlertSeen {
            labels: held.labels.clone(),
            annotations: annotations(compiled, held, &self.rules.outside, None),
            state: held.said,
            since: held.since,
            value: held.value,
            kept_until: held.keep_until,
        });
        RuleSeen {
            error: own.error.clone(),
            evaluated: own.evaluated.max(came_round),
            took: if own.is_whole() { own.took } else { self.took },
            alerts: alerts.collect(),
        }
    }

    /// What evaluating the last rule that takes longer took, by the caller's clock.
    pub fn note_took(&mut self, rule: RuleId, took: Duration) {
        if let Some(own) = self.own.get_mut(rule.0 as usize) {
            own.took = took;
        }
    }

    /// What everything that was due took.
    pub fn note_tick_took(&mut self, took: Duration) {
        self.took = took / u32::try_from(self.rules.len().max(1)).unwrap_or(u32::MAX);
    }

    /// How an evaluation of a rule ended.
    pub(super) fn note_done(&mut self, rule: u32, error: Option<String>) {
        let own = &mut self.own[rule as usize];
        own.evaluated = Some(self.now);
        if let Some(why) = &error {
            self.found.failed.push((RuleId(rule), why.clone()));
        }
        own.error = error;
    }
}
