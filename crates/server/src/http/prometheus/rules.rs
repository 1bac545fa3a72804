//! Rules and alerts as Prometheus lists them: the rules in force, how their last evaluation went, and their alerts.
//!
//! Read from the thread that evaluates them. Where it does not answer, what bad alerts there are is read from the engine's state,
//! and the rules' health is said to be unknown.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use axum::extract::State;
use axum::response::Response;
use engine::rule::{AlertSeen, RuleSeen};
use model::config::{Rule, RuleGroup, Span};
use model::{AlertState, Labels, Time, labels::METRIC_NAME};
use query::source::Matcher;
use serde_json::{Map, Value, json as value};
use sha2::Digest as _;
use wire::prom_json;

use super::{Asked, PromError, json};
use crate::http::app::App;
use crate::http::params::short;
use crate::http::selectors::selectors;
use crate::telemetry::RulesSeen;

/// Which rules are wanted.
struct Wanted {
    alerting: bool,
    recording: bool,
    alerts: bool,
    rules: BTreeSet<String>,
    groups: BTreeSet<String>,
    files: BTreeSet<String>,
    matching: Vec<Vec<Matcher>>,
    page: Option<Page>,
}

/// A part of a long list of groups.
struct Page {
    /// At most so many groups, at least one.
    limit: usize,
    /// The token of the group that it begins with; none: the first.
    from: Option<String>,
}

impl Page {
    fn of(asked: &Asked) -> Result<Option<Page>, PromError> {
        let from = asked.0.one("group_next_token").map(str::to_owned);
        let Some(limit) = asked.0.one("group_limit") else {
            let why = "group_limit needs to be present in order to paginate over the groups";
            return if from.is_none() { Ok(None) } else { Err(PromError::parameter("group_next_token", why)) };
        };
        match limit.parse::<i32>().map(usize::try_from) {
            Ok(Ok(limit @ 1..)) => Ok(Some(Page { limit, from })),
            Ok(_) => Err(PromError::parameter("group_limit", "group_limit needs to be greater than 0")),
            Err(why) => {
                let why = format!("group_limit needs to be a valid number: \"{}\": {why}", short(limit));
                Err(PromError::parameter("group_limit", why))
            }
        }
    }
}

/// What names a group in the address of the next page: the same as long as the group is there, whatever comes or goes before it.
fn token_of(group: &RuleGroup) -> String {
    let hash = sha2::Sha256::new().chain_update(&group.file).chain_update([0]).chain_update(&group.name).finalize();
    hex::encode(&hash[..20])
}

impl Wanted {
    fn of(asked: &Asked) -> Result<Wanted, PromError> {
        let (alerting, recording) = match asked.0.one("type") {
            None => (true, true),
            Some("alert") => (true, false),
            Some("record") => (false, true),
            Some(other) => {
                let why = format!("not supported value \"{}\"", short(other));
                return Err(PromError::parameter("type", why));
            }
        };
        let alerts = match asked.0.one("exclude_alerts") {
            None | Some("" | "0" | "f" | "F" | "false" | "FALSE" | "False") => true,
            Some("1" | "t" | "T" | "true" | "TRUE" | "True") => false,
            Some(other) => {
                return Err(PromError::parameter("exclude_alerts", format!("\"{}\" is neither true nor false", short(other))));
            }
        };
        let names = |name: &str| asked.0.all(name).map(str::to_owned).collect();
        let (rules, groups, files) = (names("rule_name[]"), names("rule_group[]"), names("file[]"));
        let (matching, page) = (selectors(&asked.0)?, Page::of(asked)?);
        Ok(Wanted { alerting, recording, alerts, rules, groups, files, matching, page })
    }

    fn group(&self, group: &RuleGroup) -> bool {
        let fits = |set: &BTreeSet<String>, name: &str| set.is_empty() || set.contains(name);
        fits(&self.groups, &group.name) && fits(&self.files, &group.file)
    }

    fn rule(&self, group: &RuleGroup, rule: &Rule) -> bool {
        let kind = if rule.alert.is_some() { self.alerting } else { self.recording };
        let named = self.rules.is_empty() || self.rules.contains(name_of(rule));
        let labels = || {
            let own = labels_of(group, rule);
            own.with(METRIC_NAME, "")
        };
        let matches = |labels: &Labels| self.matching.iter().any(|all| all.iter().all(|matcher| matcher.matches_labels(labels)));
        kind && named && (self.matching.is_empty() || matches(&labels()))
    }
}

fn name_of(rule: &Rule) -> &str {
    rule.alert.as_deref().or(rule.record.as_deref()).unwrap_or("")
}

/// The labels that a rule puts on its results, as they stand in the file.
fn labels_of(group: &RuleGroup, rule: &Rule) -> Labels {
    let pairs = group.labels.iter().filter(|(name, _)| !rule.labels.contains_key(*name)).chain(&rule.labels);
    Labels::new(pairs).unwrap_or_default()
}

pub(super) async fn rules(State(app): State<App>, asked: Asked) -> Result<Response, PromError> {
    let wanted = Wanted::of(&asked)?;
    let seen = seen(&app).await;
    let mut rules = seen.rules.into_iter();
    let mut groups: Vec<Value> = Vec::new();
    let mut from = wanted.page.as_ref().and_then(|page| page.from.as_deref());
    let mut next = None;
    for group in seen.groups.iter() {
        let of_group: Vec<RuleSeen> = rules.by_ref().take(group.rules.len()).collect();
        if from.is_some_and(|from| from != token_of(group)) {
            continue;
        }
        from = None;
        let listed = group.rules.iter().zip(&of_group).filter(|(rule, _)| wanted.rule(group, rule));
        let listed: Vec<Value> = listed.map(|(rule, seen)| one(group, rule, seen, wanted.alerts)).collect();
        if listed.is_empty() || !wanted.group(group) {
            continue;
        }
        if wanted.page.as_ref().is_some_and(|page| groups.len() == page.limit) {
            next = Some(token_of(group));
            break;
        }
        let took: f64 = of_group.iter().map(|seen| seen.took.as_secs_f64()).sum();
        let last = of_group.iter().filter_map(|seen| seen.evaluated).max();
        groups.push(value!({
            "name": group.name, "file": group.file, "interval": group.interval.map_or(60.0, secs), "limit": group.limit,
            "rules": listed, "evaluationTime": took, "lastEvaluation": instant(last),
        }));
    }
    if let Some(from) = from {
        let why = format!("invalid group_next_token '{}'. were rule groups changed?", short(from));
        return Err(PromError::parameter("group_next_token", why));
    }
    let mut data = value!({ "groups": groups });
    if let (Some(next), Some(data)) = (next, data.as_object_mut()) {
        data.insert("groupNextToken".into(), value!(next));
    }
    let mut out = Vec::new();
    prom_json::data(&mut out, &data);
    Ok(json(out))
}

pub(super) async fn alerts(State(app): State<App>) -> Response {
    let seen = seen(&app).await;
    let rows: Vec<Value> = seen.rules.iter().flat_map(|rule| &rule.alerts).map(alert).collect();
    let mut out = Vec::new();
    prom_json::data(&mut out, &value!({ "alerts": rows }));
    json(out)
}

/// What the rules are like; where nobody says, what the engine knows.
async fn seen(app: &App) -> RulesSeen {
    let told = app.telemetry.rules().await;
    if let Some(told) = told.filter(|told| told.rules.len() == told.groups.iter().map(|group| group.rules.len()).sum::<usize>()) {
        return told;
    }
    let groups = std::sync::Arc::new(app.config().groups.clone());
    let known: Vec<_> = app.pump.read_state(|state| state.alerts.values().cloned().collect());
    let of_rule = |rule: &Rule| RuleSeen {
        alerts: known.iter().filter(|alert| Some(alert.rule.as_str()) == rule.alert.as_deref()).map(from_journal).collect(),
        ..RuleSeen::default()
    };
    let rules = groups.iter().flat_map(|group| &group.rules).map(of_rule).collect();
    RulesSeen { groups, rules }
}

fn from_journal(alert: &model::Transition) -> AlertSeen {
    AlertSeen {
        labels: alert.labels.clone(),
        annotations: alert.annotations.clone(),
        state: alert.to,
        since: alert.onset,
        value: alert.value,
        kept_until: None,
    }
}

fn secs(span: Span) -> f64 {
    span.duration().as_secs_f64()
}

/// An instant as Go writes one that was never set.
fn instant(at: Option<Time>) -> Value {
    at.map_or_else(|| Value::from("0001-01-01T00:00:00Z"), |at| value!(at))
}

fn one(group: &RuleGroup, rule: &Rule, seen: &RuleSeen, with_alerts: bool) -> Value {
    let health = match (&seen.error, seen.evaluated) {
        (Some(_), _) => "err",
        (None, Some(_)) => "ok",
        (None, None) => "unknown",
    };
    let mut out = value!({
        "name": name_of(rule), "query": rule.expr, "labels": labels_of(group, rule), "health": health,
        "evaluationTime": seen.took.as_secs_f64(), "lastEvaluation": instant(seen.evaluated),
        "type": if rule.alert.is_some() { "alerting" } else { "recording" },
    });
    let more: &mut Map<String, Value> = out.as_object_mut().expect("an object was just made");
    if let Some(why) = &seen.error {
        more.insert("lastError".into(), value!(why));
    }
    if rule.alert.is_some() {
        let pending = |alert: &&AlertSeen| alert.state == AlertState::Ok;
        let state = match (seen.alerts.iter().filter(pending).count(), seen.alerts.len()) {
            (_, 0) => "inactive",
            (pending, all) if pending == all => "pending",
            _ => "firing",
        };
        more.insert("state".into(), value!(state));
        more.insert("duration".into(), value!(rule.hold.map_or(0.0, secs)));
        more.insert("keepFiringFor".into(), value!(rule.keep_firing_for.map_or(0.0, secs)));
        more.insert("annotations".into(), value!(rule.annotations));
        if with_alerts {
            more.insert("alerts".into(), seen.alerts.iter().map(alert).collect());
        }
    }
    out
}

/// One alert. Prometheus knows two states; ours that are no `bad` stand in a field beside it.
fn alert(seen: &AlertSeen) -> Value {
    let (state, ours) = match seen.state {
        AlertState::Bad => ("firing", "bad"),
        AlertState::NoData => ("firing", "no_data"),
        AlertState::SourceDown => ("firing", "source_down"),
        AlertState::Ok => ("pending", "ok"),
    };
    let mut out = value!({
        "labels": seen.labels, "annotations": seen.annotations, "state": state, "flyballState": ours, "activeAt": seen.since,
        "value": seen.value.map_or_else(|| "NaN".to_owned(), scientific),
    });
    if let (Some(until), Some(more)) = (seen.kept_until, out.as_object_mut()) {
        more.insert("flyballKeptUntil".into(), value!(until));
    }
    out
}

/// `1.5e+00`: a number as Prometheus shows an alert's value.
fn scientific(number: f64) -> String {
    let shown = format!("{number:e}");
    let Some((mantissa, power)) = shown.split_once('e') else { return shown };
    let mut out = mantissa.to_owned();
    let (sign, digits) = power.strip_prefix('-').map_or(('+', power), |digits| ('-', digits));
    // Writing into a text does not fail.
    let _ = write!(out, "e{sign}{digits:0>2}");
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_as_go_writes_them() {
        for (number, shown) in [(0.0, "0e+00"), (1.5, "1.5e+00"), (-31.0, "-3.1e+01"), (1e-7, "1e-07"), (1e120, "1e+120")] {
            assert_eq!(scientific(number), shown);
        }
    }
}
