//! Keeps book of what was told, and puts it together per rule.

use std::collections::BTreeMap;

use model::backtest::{BacktestChange, BacktestReport, BacktestRule, BacktestSpell};
use model::config::Span;
use model::{AlertKey, Labels, Time, Transition};

use super::Asked;

/// Most changes in the list.
const CHANGES_MAX: usize = 100_000;
/// Most spells of a rule.
const SPELLS_MAX: usize = 1_000;

/// What was told so far.
pub(super) struct Book {
    report: BacktestReport,
    /// Alerts that are bad, and since when that is known.
    bad: BTreeMap<AlertKey, (String, Labels, Time)>,
    /// Every time at which an alert of a rule was bad.
    spans: BTreeMap<String, Vec<(Time, Time)>>,
}

impl Book {
    pub(super) fn new(asked: &Asked<'_>) -> Book {
        let mut report = BacktestReport { from: asked.from, to: asked.to, ..BacktestReport::default() };
        for rule in asked.groups.iter().flat_map(|group| &group.rules) {
            let name = rule.alert.as_ref().or(rule.record.as_ref()).cloned().unwrap_or_default();
            if !report.rules.iter().any(|have| have.name == name) {
                report.rules.push(BacktestRule { name, records: rule.record.is_some(), ..BacktestRule::default() });
            }
        }
        Book { report, bad: BTreeMap::new(), spans: BTreeMap::new() }
    }

    pub(super) fn count(&mut self, samples: u64, late: u64) {
        self.report.samples += samples;
        self.report.late += late;
    }

    pub(super) fn recorded(&mut self, name: &str, count: u64) {
        if let Some(rule) = self.report.rules.iter_mut().find(|rule| rule.name == name) {
            rule.recorded += count;
        }
    }

    pub(super) fn failed(&mut self, name: &str, why: String) {
        if let Some(rule) = self.report.rules.iter_mut().find(|rule| rule.name == name) {
            rule.failed.get_or_insert(why);
        }
    }

    pub(super) fn told(&mut self, at: Time, transitions: Vec<Transition>) {
        for transition in transitions {
            let change = BacktestChange { at, transition };
            self.note(&change);
            if at < self.report.from || at > self.report.to {
                continue;
            }
            if self.report.changes.len() < CHANGES_MAX {
                self.report.changes.push(change);
            } else {
                self.report.left_out += 1;
            }
        }
    }

    fn note(&mut self, change: &BacktestChange) {
        let transition = &change.transition;
        if change.goes_bad() {
            let name = transition.rule.to_string();
            if change.at >= self.report.from
                && let Some(rule) = self.report.rules.iter_mut().find(|rule| rule.name == name)
            {
                rule.times += 1;
            }
            self.bad.insert(transition.alert.clone(), (name, transition.labels.clone(), change.at));
        } else if let Some((name, labels, since)) = self.bad.remove(&transition.alert) {
            self.spell(name, &labels, since, Some(change.at));
        }
    }

    fn spell(&mut self, name: String, labels: &Labels, since: Time, until: Option<Time>) {
        let end = until.unwrap_or(self.report.to);
        if end < self.report.from {
            return;
        }
        let span = (since.max(self.report.from), end.min(self.report.to));
        let Some(rule) = self.report.rules.iter_mut().find(|rule| rule.name == name) else { return };
        if rule.spells.len() < SPELLS_MAX {
            let labels = labels.iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
            rule.spells.push(BacktestSpell { labels, from: since, to: until });
        }
        self.spans.entry(name).or_default().push(span);
    }

    /// What of the history can't be read.
    pub(super) fn missed(&mut self, said: Vec<String>) {
        self.report.missed.extend(said);
    }

    /// What all of it comes to.
    pub(super) fn finish(mut self, exact_from: Option<Time>) -> BacktestReport {
        for (name, labels, since) in std::mem::take(&mut self.bad).into_values() {
            self.spell(name, &labels, since, None);
        }
        for rule in &mut self.report.rules {
            rule.spells.sort_by_key(|spell| (spell.from, spell.to));
            let joined = joined(self.spans.remove(&rule.name).unwrap_or_default());
            let length = |(from, to): &(Time, Time)| to.since(*from).as_millis() as u64;
            rule.bad_for = Span(joined.iter().map(length).sum());
            rule.longest = Span(joined.iter().map(length).max().unwrap_or(0));
        }
        self.report.exact_from = exact_from;
        self.report
    }
}

/// Spans without overlaps.
fn joined(mut spans: Vec<(Time, Time)>) -> Vec<(Time, Time)> {
    spans.sort_unstable();
    let mut out: Vec<(Time, Time)> = Vec::new();
    for (from, to) in spans {
        match out.last_mut() {
            Some(last) if from <= last.1 => last.1 = last.1.max(to),
            _ => out.push((from, to)),
        }
    }
    out
}
