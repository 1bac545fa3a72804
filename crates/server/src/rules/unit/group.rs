//! A group of rules at one instant, as Prometheus evaluates it: in order, each seeing what those before it wrote.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use engine::rule::{Outside, RuleId, Rules, Words};
use model::config::{Rule, RuleGroup};
use model::labels::METRIC_NAME;
use model::sample::STALE_NAN;
use model::{Labels, Time};
use query::testing::MemorySource;
use query::{Expr, Features};

use super::{Read, show};

/// A rule that could not be evaluated.
pub(super) struct Timed {
    pub(super) rule: String,
    pub(super) error: String,
}

/// A group with what its rules remember.
pub(super) struct Group {
    group: RuleGroup,
    rules: Vec<One>,
    features: Features,
}

struct One {
    expr: Expr,
    /// The rule alone: its place in it is 0.
    compiled: Rules,
    active: BTreeMap<Labels, Active>,
    /// The series that it wrote last.
    written: BTreeSet<Labels>,
}

struct Active {
    annotations: BTreeMap<String, String>,
    since: Time,
    firing: bool,
    over_since: Option<Time>,
}

impl Group {
    /// Compiles a group. Prometheus lets a rule stand twice, so each is compiled alone.
    pub(super) fn new(group: &RuleGroup, outside: &Outside) -> Result<Group, Vec<String>> {
        let mut rules = Vec::new();
        for rule in &group.rules {
            let alone = RuleGroup { rules: vec![rule.clone()], ..group.clone() };
            let said = |errors: Vec<engine::rule::RuleError>| errors.iter().map(ToString::to_string).collect::<Vec<_>>();
            let compiled = Rules::compile_with(&[alone], &outside.features).map_err(said)?.with_outside(outside.clone());
            let expr = query::parse(&rule.expr).map_err(|error| vec![error.to_string()])?;
            rules.push(One { expr, compiled, active: BTreeMap::new(), written: BTreeSet::new() });
        }
        Ok(Group { group: group.clone(), rules, features: outside.features })
    }

    pub(super) fn name(&self) -> &str {
        &self.group.name
    }

    /// The alerts of this name that fire.
    pub(super) fn firing(&self, alert: &str) -> Vec<show::Alert> {
        let named = self.group.rules.iter().zip(&self.rules).filter(|(rule, _)| rule.alert.as_deref() == Some(alert));
        let firing = named.flat_map(|(_, one)| one.active.iter().filter(|(_, active)| active.firing));
        firing
            .map(|(labels, active)| show::Alert {
                labels: labels.iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect(),
                annotations: active.annotations.clone(),
            })
            .collect()
    }

    /// Evaluates all rules at `at` and writes what they make.
    pub(super) fn evaluate(&mut self, source: &mut MemorySource, at: Time, every: Duration) -> Vec<Timed> {
        let looked_at = at - self.group.query_offset.unwrap_or_default().duration();
        let mut errors = Vec::new();
        for (rule, one) in self.group.rules.iter().zip(&mut self.rules) {
            let read = Read { source, every, features: self.features };
            let found = read.rows(&one.expr, looked_at).and_then(|rows| match &rule.record {
                Some(name) => record(&self.group, rule, name, rows),
                None => one.alerts(&self.group, rule, rows, at, source),
            });
            match found {
                Ok(samples) => {
                    for (labels, value) in &samples {
                        source.push(labels, looked_at, *value);
                    }
                    let now: BTreeSet<Labels> = samples.into_keys().collect();
                    for gone in one.written.difference(&now) {
                        source.push(gone, looked_at, STALE_NAN);
                    }
                    one.written = now;
                }
                Err(error) => {
                    let name = rule.alert.as_ref().or(rule.record.as_ref()).cloned().unwrap_or_default();
                    errors.push(Timed { rule: name, error });
                }
            }
        }
        errors
    }
}

fn record(group: &RuleGroup, rule: &Rule, name: &str, rows: Vec<(Labels, f64)>) -> Result<BTreeMap<Labels, f64>, String> {
    let mut samples = BTreeMap::new();
    for (read, value) in rows {
        let mut labels = read.with(METRIC_NAME, name);
        let own = group.labels.iter().filter(|(name, _)| !rule.labels.contains_key(*name)).chain(&rule.labels);
        for (name, text) in own {
            labels = labels.with(name, text);
        }
        if samples.insert(labels, value).is_some() {
            return Err("vector contains metrics with the same labelset after applying rule labels".into());
        }
    }
    if group.limit > 0 && samples.len() > group.limit as usize {
        return Err(format!("exceeded limit of {} with {} series", group.limit, samples.len()));
    }
    Ok(samples)
}

impl One {
    /// Takes the rows into account; the series `ALERTS` and `ALERTS_FOR_STATE` of what is active then.
    fn alerts(
        &mut self,
        group: &RuleGroup,
        rule: &Rule,
        rows: Vec<(Labels, f64)>,
        at: Time,
        source: &MemorySource,
    ) -> Result<BTreeMap<Labels, f64>, String> {
        let mut now = BTreeMap::new();
        for (read, value) in rows {
            let words =
                self.compiled.words(RuleId(0), &read, value, Some((source, at))).unwrap_or_else(|| Ok(Words::default()))?;
            if now.insert(words.labels, words.annotations).is_some() {
                return Err("vector contains metrics with the same labelset after applying alert labels".into());
            }
        }
        let keep = rule.keep_firing_for.unwrap_or_default().duration();
        self.active.retain(|labels, active| {
            if now.contains_key(labels) {
                active.over_since = None;
                return true;
            }
            let over_since = *active.over_since.get_or_insert(at);
            active.firing && keep > Duration::ZERO && at.since(over_since) < keep
        });
        for (labels, annotations) in now {
            let fresh = || Active { annotations: BTreeMap::new(), since: at, firing: false, over_since: None };
            self.active.entry(labels).or_insert_with(fresh).annotations = annotations;
        }
        let hold = rule.hold.unwrap_or_default().duration();
        let mut samples = BTreeMap::new();
        for (labels, active) in &mut self.active {
            active.firing |= at.since(active.since) >= hold;
            let state = if active.firing { "firing" } else { "pending" };
            samples.insert(labels.with(METRIC_NAME, "ALERTS").with("alertstate", state), 1.0);
            samples.insert(labels.with(METRIC_NAME, "ALERTS_FOR_STATE"), active.since.0.div_euclid(1_000_000) as f64);
        }
        if group.limit > 0 && self.active.len() > group.limit as usize {
            let count = std::mem::take(&mut self.active).len();
            return Err(format!("exceeded limit of {} with {count} alerts", group.limit));
        }
        Ok(samples)
    }
}
