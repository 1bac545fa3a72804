//! Rules and alerts as Prometheus lists them, read from the engine's state.

use std::collections::BTreeMap;

use axum::extract::State;
use axum::response::Response;
use model::config::{Config, Rule, RuleGroup};
use model::{AlertState, Time, Transition};
use serde_json::{Value, json as value};
use wire::prom_json;

use super::{Asked, PromError, json};
use crate::http::app::App;

pub(super) async fn rules(State(app): State<App>, asked: Asked) -> Result<Response, PromError> {
    let (alerting, recording) = match asked.0.one("type") {
        None => (true, true),
        Some("alert") => (true, false),
        Some("record") => (false, true),
        Some(other) => {
            let why = format!("not supported value \"{}\"", crate::http::params::short(other));
            return Err(PromError::parameter("type", why));
        }
    };
    let config: std::sync::Arc<Config> = app.config();
    let (alerts, at) = not_ok(&app);
    let groups: Vec<Value> = config
        .groups
        .iter()
        .map(|group| {
            let rules = group.rules.iter().filter(|rule| if rule.alert.is_some() { alerting } else { recording });
            value!({
                "name": group.name,
                "file": "",
                "interval": interval_secs(group),
                "limit": group.limit,
                "rules": rules.map(|rule| one(group, rule, &alerts, at)).collect::<Vec<_>>(),
                "evaluationTime": 0.0,
                "lastEvaluation": at,
            })
        })
        .collect();
    let mut out = Vec::new();
    prom_json::data(&mut out, &value!({ "groups": groups }));
    Ok(json(out))
}

pub(super) async fn alerts(State(app): State<App>) -> Response {
    let (alerts, _) = not_ok(&app);
    let rows: Vec<Value> = alerts.values().flatten().map(alert).collect();
    let mut out = Vec::new();
    prom_json::data(&mut out, &value!({ "alerts": rows }));
    json(out)
}

/// Alerts that are not ok by their rule's name, and the state's time.
fn not_ok(app: &App) -> (BTreeMap<String, Vec<Transition>>, Time) {
    app.pump.read_state(|state| {
        let mut found: BTreeMap<String, Vec<Transition>> = BTreeMap::new();
        for transition in state.alerts.values() {
            found.entry(transition.rule.to_string()).or_default().push(transition.clone());
        }
        (found, state.at)
    })
}

fn interval_secs(group: &RuleGroup) -> f64 {
    group.interval.map_or(60.0, |interval| interval.duration().as_secs_f64())
}

fn one(group: &RuleGroup, rule: &Rule, alerts: &BTreeMap<String, Vec<Transition>>, at: Time) -> Value {
    let labels: BTreeMap<_, _> = group.labels.iter().chain(&rule.labels).collect();
    let Some(name) = &rule.alert else {
        return value!({
            "name": rule.record, "query": rule.expr, "labels": labels, "health": "ok", "evaluationTime": 0.0,
            "lastEvaluation": at, "type": "recording",
        });
    };
    let secs = |span: Option<model::config::Span>| span.map_or(0.0, |span| span.duration().as_secs_f64());
    let firing: Vec<Value> = alerts.get(name).into_iter().flatten().map(alert).collect();
    let state = if firing.is_empty() { "inactive" } else { "firing" };
    value!({
        "state": state, "name": name, "query": rule.expr, "duration": secs(rule.hold),
        "keepFiringFor": secs(rule.keep_firing_for), "labels": labels, "annotations": rule.annotations, "alerts": firing,
        "health": "ok", "evaluationTime": 0.0, "lastEvaluation": at, "type": "alerting",
    })
}

/// One alert. Prometheus knows two states; ours that are no `bad` stand in a label's place beside it.
fn alert(transition: &Transition) -> Value {
    let state = match transition.to {
        AlertState::Bad => "bad",
        AlertState::NoData => "no_data",
        AlertState::SourceDown => "source_down",
        AlertState::Ok => "ok",
    };
    value!({
        "labels": transition.labels,
        "annotations": transition.annotations,
        "state": if transition.to == AlertState::Ok { "inactive" } else { "firing" },
        "flyballState": state,
        "activeAt": transition.onset,
        "value": transition.value.map_or_else(String::new, |value| value.to_string()),
    })
}
