//! Evaluates rules at one instant and says which alerts changed their state.
//!
//! An evaluation that fails changes nothing: an error is neither "ok" nor "bad". Holds a bounded number of alerts per rule.

use std::collections::{BTreeMap, BTreeSet};

use model::labels::METRIC_NAME;
use model::sample::{STALE_NAN, SampleBatch};
use model::{AlertKey, AlertState, Labels, Time, Transition};
use query::source::Source;
use query::{Params, Value};
use serde::{Deserialize, Serialize};

use super::bind::Known;
use super::template::Filling;
use super::vanish::became;
use super::{Compiled, Kind, Outside, RuleId, Rules};

/// Most alerts of one rule where its group names no limit.
pub const ALERTS_MAX: usize = 1_000;

/// What the rules remember between evaluations. Kept by the caller; what is lost with it is found again by [`RuleState::agree`],
/// but for how long a condition was pending.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct RuleState {
    pub(super) rules: BTreeMap<String, Memory>,
    /// Series that recording rules wrote last which are gone, until those that may write them now have had their turn.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    left: BTreeSet<Labels>,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Memory {
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub(super) alerts: BTreeMap<AlertKey, Held>,
    /// Whether it was told that there are too many.
    #[serde(default)]
    too_many: bool,
    /// Whether the last evaluation failed: no time of its own is worth another.
    #[serde(default)]
    pub(super) failed: bool,
    /// The series that a recording rule wrote last.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    recorded: BTreeSet<Labels>,
}

/// An alert whose condition holds, or held when it was last seen.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Held {
    /// Its labels.
    pub(super) labels: Labels,
    /// The labels of the expression's result, with the metric's name where it has one: templates may ask for it.
    pub(super) read: Labels,
    /// Since when its condition holds.
    pub(super) since: Time,
    /// What was said of it: ok while it is pending.
    pub(super) said: AlertState,
    pub(super) value: Option<f64>,
    /// Until when it stays bad though the condition is over.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) keep_until: Option<Time>,
}

/// What an evaluation found.
#[derive(Debug, Default)]
pub struct Evaluated {
    /// Alerts that changed their state, in the order of the rules: for the journal.
    pub transitions: Vec<Transition>,
    /// What recording rules recorded: for the store.
    pub recorded: SampleBatch,
    /// Rules that could not be evaluated, and why. Their alerts stay as they are.
    pub failed: Vec<(RuleId, String)>,
    /// Whether what is remembered of alerts is another: worth keeping at once, for the next start.
    pub(super) changed: bool,
}

impl RuleState {
    /// When a pending alert has held long enough next: worth an evaluation of its rule, whatever arrives.
    pub fn next_due(&self, rules: &Rules) -> Option<(Time, RuleId)> {
        let pending = |(place, rule): (usize, &Compiled)| {
            let memory = self.rules.get(&rule.key).filter(|memory| !memory.failed)?;
            let held = memory.alerts.values().filter(|held| held.said == AlertState::Ok);
            let first = held.map(|held| held.since + rule.hold.duration()).min()?;
            Some((first, RuleId(place as u32)))
        };
        rules.rules.iter().enumerate().filter_map(pending).min()
    }

    /// Makes the memory agree with what the engine knows, whose journal is the truth: an alert that it has never heard of is
    /// told again if it still holds, one that only it knows is watched until it is over. Rules that are gone are forgotten, but for
    /// the series that they recorded.
    pub fn agree(&mut self, rules: &Rules, alerts: &BTreeMap<AlertKey, Transition>) {
        let keys: BTreeSet<&str> = rules.rules.iter().map(|rule| rule.key.as_str()).collect();
        let left = self.rules.iter().filter(|(key, _)| !keys.contains(key.as_str()));
        self.left.extend(left.flat_map(|(_, memory)| memory.recorded.iter().cloned()));
        self.rules.retain(|key, _| keys.contains(key.as_str()));
        for (key, held) in self.rules.values_mut().flat_map(|memory| &mut memory.alerts) {
            held.said = alerts.get(key).map_or(AlertState::Ok, |known| known.to);
        }
        let held: BTreeSet<AlertKey> = self.rules.values().flat_map(|memory| memory.alerts.keys().cloned()).collect();
        for alert in alerts.values().filter(|alert| !held.contains(&alert.alert)) {
            let fits = |rule: &&Compiled| {
                let plain = |(name, template): &(String, super::Template)| {
                    template.as_plain().is_none_or(|text| alert.labels.get(name) == Some(text))
                };
                rule.kind == Kind::Alert && rule.name == alert.rule && rule.labels.iter().all(plain)
            };
            let same_name = |rule: &&Compiled| rule.kind == Kind::Alert && rule.name == alert.rule;
            // The first of those that say most of its labels. Where its own rule is gone, another of the name finds that it is over.
            let rank = |rule: &&Compiled| (rule.is_of_copy(&alert.alert), rule.labels.len());
            let nearest = rules.rules.iter().rev().filter(fits).max_by_key(rank);
            let Some(rule) = nearest.or_else(|| rules.rules.iter().find(same_name)) else { continue };
            let memory = self.rules.entry(rule.key.clone()).or_default();
            if alert.labels.get(TOO_MANY).is_some() {
                memory.too_many = true;
                continue;
            }
            let own = |name: &str| name == "alertname" || rule.labels.iter().any(|(label, _)| label == name);
            memory.alerts.entry(alert.alert.clone()).or_insert_with(|| Held {
                labels: alert.labels.clone(),
                read: alert.labels.filter(|name| !own(name)),
                since: alert.onset,
                said: alert.to,
                value: alert.value,
                keep_until: None,
            });
        }
    }
}

impl RuleState {
    /// Ends the series of recording rules that are gone, but for those that a rule writes now, and for metrics that `waits` says
    /// are written by a rule that has not run yet. True where there were any.
    pub(super) fn end_left(&mut self, waits: impl Fn(&str) -> bool, at: Time, into: &mut SampleBatch) -> bool {
        let (still, over): (BTreeSet<Labels>, BTreeSet<Labels>) =
            std::mem::take(&mut self.left).into_iter().partition(|labels| waits(labels.metric()));
        self.left = still;
        for labels in &over {
            if !self.rules.values().any(|memory| memory.recorded.contains(labels)) {
                into.push(labels, at, STALE_NAN);
            }
        }
        !over.is_empty()
    }
}

/// Where an evaluation reads.
#[derive(Clone, Copy)]
pub(super) struct Sources<'a> {
    /// The series that rules are bound to, by the names that they were told.
    pub bound: &'a dyn Source,
    /// What expressions read instead, where it is given: the history, whose series have names of their own.
    pub history: Option<&'a dyn Source>,
    /// What `query` of templates reads.
    pub templates: &'a dyn Source,
}

/// Evaluates some rules at `at`, in the order given. Pure but for `state`: the same samples give the same answer.
pub fn evaluate(rules: &Rules, state: &mut RuleState, which: &[RuleId], at: Time, source: &dyn Source) -> Evaluated {
    evaluate_over(rules, state, which, at, Sources { bound: source, history: None, templates: source })
}

/// The same, from where the caller says.
pub(super) fn evaluate_over(rules: &Rules, state: &mut RuleState, which: &[RuleId], at: Time, sources: Sources<'_>) -> Evaluated {
    let mut found = Evaluated::default();
    for id in which {
        let Some(rule) = rules.rules.get(id.0 as usize) else { continue };
        let looked_at = at - rule.query_offset.duration();
        let known = Known { rule, source: sources.bound };
        let read: &dyn Source = sources.history.unwrap_or(&known);
        let delayed_name_removal = rules.outside.features.delayed_name_removal;
        let params = Params { delayed_name_removal, ..Params::instant(looked_at) };
        let answer = query::evaluate(&rule.expr, &params, read);
        let rows = answer.map_err(|error| error.to_string()).and_then(|answer| rows(answer.value));
        // Most rules have nothing to say: they need no memory.
        if !state.rules.contains_key(&rule.key) && rows.as_ref().is_ok_and(Vec::is_empty) {
            continue;
        }
        let memory = state.rules.entry(rule.key.clone()).or_default();
        let done = rows.and_then(|rows| match rule.kind {
            Kind::Alert => {
                let now = keyed(rules, rule, rows, looked_at, sources.templates)?;
                let changed = alerts(rules, rule, memory, now, at, looked_at, sources, &mut found.transitions)?;
                found.changed |= changed;
                Ok(())
            }
            Kind::Record => record(rule, memory, rows, looked_at, &mut found.recorded),
        });
        memory.failed = done.is_err();
        if let Err(why) = done {
            found.failed.push((*id, why));
        }
    }
    found
}

/// The rows of a result; a scalar is one row without labels.
fn rows(value: Value) -> Result<Vec<(Labels, f64)>, String> {
    match value {
        Value::Vector(samples) => Ok(samples.into_iter().map(|sample| (sample.labels, sample.value)).collect()),
        Value::Scalar { value, .. } => Ok(vec![(Labels::empty(), value)]),
        Value::String(_) | Value::Matrix(_) => Err("a rule's expression must give a vector or a number".into()),
    }
}

/// A result that is an alert: its labels, those of the expression's result, its value.
pub(super) type Now = BTreeMap<AlertKey, (Labels, Labels, f64)>;

fn keyed(rules: &Rules, rule: &Compiled, rows: Vec<(Labels, f64)>, at: Time, source: &dyn Source) -> Result<Now, String> {
    let mut now = Now::new();
    for (read, value) in rows {
        let filling = Filling { labels: &read, value, outside: &rules.outside, source: Some((source, at)) };
        let labels = labels_of(rule, &filling)?;
        if now.insert(rule.alert_key(&labels), (labels, read, value)).is_some() {
            return Err("two results have the same labels once the rule's own are on them".into());
        }
    }
    Ok(now)
}

/// Compares what holds now with what was held, and says what changed. True where what is remembered is another, but for values.
#[expect(clippy::too_many_arguments, reason = "one evaluation's inputs, read at one place")]
pub(super) fn alerts(
    rules: &Rules,
    rule: &Compiled,
    memory: &mut Memory,
    mut now: Now,
    at: Time,
    looked_at: Time,
    sources: Sources<'_>,
    transitions: &mut Vec<Transition>,
) -> Result<bool, String> {
    let told = transitions.len();
    let mut changed = false;
    limit(rule, memory, &mut now, at, transitions);
    let teller = Teller { outside: &rules.outside, rule, source: (sources.templates, looked_at) };
    let mut over = Vec::new();
    for (key, held) in memory.alerts.iter_mut().filter(|(key, _)| !now.contains_key(*key)) {
        if held.said == AlertState::Ok {
            over.push(key.clone());
            continue;
        }
        let became = became(rules, rule, &held.read, looked_at, sources.bound).map_err(|error| error.to_string())?;
        let keeps = became == AlertState::Ok && held.said == AlertState::Bad && rule.keep_firing.0 > 0;
        let longest = at + rule.keep_firing.duration();
        if keeps {
            let until = held.keep_until.map_or(longest, |until| until.min(longest));
            changed |= held.keep_until.replace(until) != Some(until);
            if at < until {
                continue;
            }
        }
        if became != held.said {
            transitions.push(teller.tell(key, held, held.said, became, at));
            held.said = became;
        }
        if became == AlertState::Ok {
            over.push(key.clone());
        }
    }
    changed |= !over.is_empty();
    for key in over {
        memory.alerts.remove(&key);
    }
    let kept = memory.alerts.len();
    for (key, (labels, read, value)) in now {
        let value = Some(value).filter(|value| value.is_finite());
        let fresh = || Held { labels, read: read.clone(), since: at, said: AlertState::Ok, value, keep_until: None };
        let held = memory.alerts.entry(key.clone()).or_insert_with(fresh);
        held.value = value;
        if held.read != read {
            // The rule's own label may hide what changed; and what is known of the journal alone has no metric's name.
            held.read = read;
            changed = true;
        }
        changed |= held.keep_until.take().is_some() || held.since > at;
        // A clock that was set back must not put the alert off by as much.
        held.since = held.since.min(at);
        let long_enough = at.since(held.since) >= rule.hold.duration() || held.said != AlertState::Ok;
        if held.said != AlertState::Bad && long_enough {
            transitions.push(teller.tell(&key, held, held.said, AlertState::Bad, held.since));
            held.said = AlertState::Bad;
        }
    }
    Ok(changed || kept != memory.alerts.len() || told != transitions.len())
}

pub(super) fn labels_of(rule: &Compiled, filling: &Filling<'_>) -> Result<Labels, String> {
    // Templates see the metric's name, the alert is without it.
    let mut labels = filling.labels.without(METRIC_NAME);
    for (name, template) in &rule.labels {
        labels = labels.with(name, &template.fill(filling));
    }
    labels = labels.with("alertname", rule.name.as_str());
    // A template may have made something that is longer than a label may be.
    Labels::from_key(labels.key()).map_err(|error| error.to_string())
}

/// Makes transitions: what all of one evaluation have in common.
struct Teller<'a> {
    outside: &'a Outside,
    rule: &'a Compiled,
    source: (&'a dyn Source, Time),
}

impl Teller<'_> {
    fn tell(&self, key: &AlertKey, held: &Held, from: AlertState, to: AlertState, onset: Time) -> Transition {
        let rule = self.rule;
        Transition {
            alert: key.clone(),
            rule: rule.name.clone(),
            labels: held.labels.clone(),
            annotations: annotations(rule, held, self.outside, Some(self.source)),
            from,
            to,
            value: held.value,
            onset,
            expr: rule.text.clone(),
        }
    }
}

/// A rule's annotations, filled in for one alert.
pub(super) fn annotations(
    rule: &Compiled,
    held: &Held,
    outside: &Outside,
    source: Option<(&dyn Source, Time)>,
) -> BTreeMap<String, String> {
    let filling = Filling { labels: &held.read, value: held.value.unwrap_or(f64::NAN), outside, source };
    rule.annotations.iter().map(|(name, template)| (name.clone(), template.fill(&filling))).collect()
}

/// The label of the alert that says that a rule has too many.
const TOO_MANY: &str = "flyball_too_many";

/// Keeps as many alerts as a rule may have, those that are held already first, and says once that there are more.
fn limit(
    rule: &Compiled,
    memory: &mut Memory,
    now: &mut BTreeMap<AlertKey, (Labels, Labels, f64)>,
    at: Time,
    transitions: &mut Vec<Transition>,
) {
    let most = if rule.limit == 0 { ALERTS_MAX } else { rule.limit as usize };
    let count = now.len();
    if count > most {
        // Those that are held stay, also where a reload lowered the limit: they are not ok.
        let held = now.keys().filter(|key| memory.alerts.contains_key(*key));
        let others = now.keys().filter(|key| !memory.alerts.contains_key(*key));
        let room = most.saturating_sub(held.clone().count());
        let kept: BTreeSet<AlertKey> = held.chain(others.take(room)).cloned().collect();
        now.retain(|key, _| kept.contains(key));
    }
    let too_many = count > most;
    if memory.too_many != too_many {
        memory.too_many = too_many;
        let (from, to) = if too_many { (AlertState::Ok, AlertState::Bad) } else { (AlertState::Bad, AlertState::Ok) };
        transitions.push(too_many_alert(rule, count, most, (from, to), at));
    }
}

fn too_many_alert(rule: &Compiled, count: usize, most: usize, (from, to): (AlertState, AlertState), at: Time) -> Transition {
    let labels = Labels::new([("alertname", rule.name.as_str()), (TOO_MANY, "true")]).unwrap_or_default();
    let summary = model::Text::new("alert.too_many").with("rule", &rule.name).with("count", count).with("limit", most);
    Transition {
        alert: rule.alert_key(&labels),
        rule: rule.name.clone(),
        labels,
        annotations: [("summary".to_owned(), summary.render(model::text::Language::En))].into(),
        from,
        to,
        value: Some(count as f64),
        onset: at,
        expr: rule.text.clone(),
    }
}

fn recorded_labels(rule: &Compiled, read: &Labels) -> Labels {
    let named = read.with(METRIC_NAME, rule.name.as_str());
    rule.labels.iter().fold(named, |labels, (name, template)| labels.with(name, template.as_plain().unwrap_or("")))
}

/// Records a result, and ends the series that are not in it any more.
pub(super) fn record(
    rule: &Compiled,
    memory: &mut Memory,
    rows: Vec<(Labels, f64)>,
    at: Time,
    into: &mut SampleBatch,
) -> Result<(), String> {
    let most = if rule.limit == 0 { usize::MAX } else { rule.limit as usize };
    if rows.len() > most {
        return Err(format!("{} series, {most} at most", rows.len()));
    }
    let mut now = BTreeMap::new();
    for (read, value) in rows {
        if now.insert(recorded_labels(rule, &read), value).is_some() {
            return Err("two results have the same labels once the rule's own are on them".into());
        }
    }
    for gone in memory.recorded.iter().filter(|labels| !now.contains_key(*labels)) {
        into.push(gone, at, STALE_NAN);
    }
    for (labels, value) in &now {
        into.push(labels, at, *value);
    }
    memory.recorded = now.into_keys().collect();
    Ok(())
}
