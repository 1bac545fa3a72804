//! Folds alert transitions into incidents: what an alert is about, how urgent it is, and that a repeat changes nothing.
//!
//! Takes transitions from the rules' evaluator and makes them for hosts and heartbeats. Never evaluates anything.

use model::api::TimelineRow;
use model::config::Config;
use model::incident::Priority;
use model::order::Tone;
use model::{
    AlertKey, AlertState, EnvironmentName, HostName, IncidentNumber, Labels, ProjectName, Recorded, RuleName, Scope, ServiceName,
    Text, Transition,
};

use crate::incident::HALT_RULE;
use crate::{Effect, State, incident, release, suspect, tell};

/// An alert changed its state: incidents first, then the releases that it may halt.
pub fn observe(state: &mut State, recorded: &Recorded, transition: &Transition, effects: &mut Vec<Effect>) {
    if state_of(state, &transition.alert) == transition.to {
        return;
    }
    fold(state, recorded, transition, effects);
    release::alert(state, recorded, transition, effects);
}

/// Alerts of rules that are no longer configured end: nothing would ever say that they are ok.
pub fn configure(state: &mut State, recorded: &Recorded, effects: &mut Vec<Effect>) {
    let gone = |rule: &RuleName| {
        let ours = rule.as_str() == HALT_RULE || rule.as_str().starts_with("heartbeat/") || rule.as_str().starts_with("host/");
        let rules = state.config.groups.iter().flat_map(|group| &group.rules);
        !ours && !rules.into_iter().any(|have| have.alert.as_deref() == Some(rule.as_str()))
    };
    let over: Vec<Transition> = state.alerts.values().filter(|alert| gone(&alert.rule)).cloned().collect();
    for alert in over {
        let ok = Transition { from: alert.to, to: AlertState::Ok, onset: recorded.at, value: None, ..alert };
        observe(state, recorded, &ok, effects);
    }
}

/// What an alert's state is now.
pub fn state_of(state: &State, alert: &AlertKey) -> AlertState {
    state.alerts.get(alert).map_or(AlertState::Ok, |known| known.to)
}

/// The alerts of a rule that are not ok.
pub fn of_rule<'a>(state: &'a State, rule: &'a RuleName) -> impl Iterator<Item = &'a Transition> {
    let from = AlertKey::from(format!("{rule}/"));
    state
        .alerts
        .range(from..)
        .map(|(_, alert)| alert)
        .take_while(|alert| alert.alert.as_str().starts_with(rule.as_str()))
        .filter(move |alert| alert.rule == *rule)
}

/// Folds a transition into alerts and incidents; a repeat changes nothing. Returns the incident that holds the alert.
pub fn fold(
    state: &mut State,
    recorded: &Recorded,
    transition: &Transition,
    effects: &mut Vec<Effect>,
) -> Option<IncidentNumber> {
    let before = state.alerts.get(&transition.alert);
    let from = before.map_or(AlertState::Ok, |known| known.to);
    if from == transition.to {
        return incident::holding(state, &transition.alert);
    }
    // The trouble began when it first left ok, whatever it turned into since.
    let onset = before.map_or(transition.onset, |known| known.onset);
    let number = if transition.to == AlertState::Ok {
        let known = state.alerts.remove(&transition.alert)?;
        let over = Transition { onset, expr: known.expr, annotations: known.annotations, ..transition.clone() };
        let number = incident::alert_ok(state, recorded, &over, effects)?;
        tell::alert(state, recorded, number, &over, onset, false, effects);
        number
    } else {
        let now = Transition { onset, ..transition.clone() };
        state.alerts.insert(transition.alert.clone(), now.clone());
        let first_of_rule = !is_told_in_room(state, &now.rule, &now);
        let number = incident::alert_bad(state, recorded, &now);
        if from == AlertState::Ok || now.to == AlertState::Bad {
            tell::alert(state, recorded, number, &now, onset, first_of_rule, effects);
        }
        suspect::call_author(state, recorded, number, effects);
        number
    };
    write_row(state, recorded, transition, number);
    Some(number)
}

/// True when another alert of the same rule already hurts in the same place: its card is in the room and live.
fn is_told_in_room(state: &State, rule: &RuleName, alert: &Transition) -> bool {
    let place = |labels: &Labels| {
        let scope = scope(&state.config, labels);
        (scope.service.clone(), if scope.service.is_some() { Vec::new() } else { scope.hosts })
    };
    let ours = place(&alert.labels);
    state.alerts.values().any(|other| other.rule == *rule && other.alert != alert.alert && place(&other.labels) == ours)
}

fn write_row(state: &mut State, recorded: &Recorded, transition: &Transition, number: IncidentNumber) {
    if transition.rule.as_str() == HALT_RULE {
        return;
    }
    let (id, tone) = match transition.to {
        AlertState::Ok => ("alert.ok", Tone::Ok),
        AlertState::Bad => ("alert.bad", Tone::Bad),
        AlertState::NoData => ("alert.no_data", Tone::Bad),
        AlertState::SourceDown => ("alert.source_down", Tone::Bad),
    };
    let text = Text::new(id).with("rule", &transition.rule);
    let text = if id == "alert.bad" { text.with("value", transition.value.map_or(summary(transition), figure)) } else { text };
    let scope = scope(&state.config, &transition.labels);
    let (seq, at) = (recorded.seq, recorded.at);
    state.touched.timeline.push(TimelineRow {
        seq,
        at,
        text,
        tone,
        flag: None,
        by: None,
        scope,
        incident: Some(number),
        order: None,
    });
}

/// A value with at most four figures that matter.
pub fn figure(value: f64) -> String {
    if value == 0.0 || !value.is_finite() {
        return format!("{value}");
    }
    let whole = value.abs().log10().floor() as i32 + 1;
    let text = format!("{value:.*}", (4 - whole).clamp(0, 9) as usize);
    if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.').to_owned() } else { text }
}

/// A state as people read it.
pub fn word(state: AlertState) -> &'static str {
    match state {
        AlertState::Ok => "ok",
        AlertState::Bad => "bad",
        AlertState::NoData => "no data",
        AlertState::SourceDown => "source down",
    }
}

/// How urgent an alert is: its label `priority`, else `severity`, else P3, and P4 where data are merely missing.
pub fn priority(transition: &Transition) -> Priority {
    let named = match transition.labels.get("priority").map(str::to_ascii_uppercase).as_deref() {
        Some("P1") => Some(Priority::P1),
        Some("P2") => Some(Priority::P2),
        Some("P3") => Some(Priority::P3),
        Some("P4") => Some(Priority::P4),
        Some("P5") => Some(Priority::P5),
        _ => None,
    };
    let by_severity = || match transition.labels.get("severity").map(str::to_ascii_lowercase).as_deref() {
        Some("page") => Some(Priority::P1),
        Some("critical") => Some(Priority::P2),
        Some("warning") => Some(Priority::P3),
        Some("info") => Some(Priority::P5),
        _ => None,
    };
    let usual = if transition.to == AlertState::NoData { Priority::P4 } else { Priority::P3 };
    named.or_else(by_severity).unwrap_or(usual)
}

/// One sentence about an alert: its annotation, else its rule's name.
pub fn summary(transition: &Transition) -> String {
    let text = transition.annotations.get("summary").or_else(|| transition.annotations.get("description"));
    text.cloned().unwrap_or_else(|| transition.rule.to_string())
}

/// What an alert is about, as its labels say and the configuration completes it.
pub fn scope(config: &Config, labels: &Labels) -> Scope {
    let host = host(config, labels);
    let named = labels.get("service").and_then(|name| ServiceName::new(name).ok());
    let by_job = || labels.get("job").and_then(|job| ServiceName::new(job).ok()).filter(|job| config.service(job).is_some());
    let service = named.or_else(by_job);
    let known = service.as_ref().and_then(|name| config.service(name));
    let environment = labels.get("environment").or_else(|| labels.get("env")).and_then(|name| EnvironmentName::new(name).ok());
    let environment = environment.or_else(|| {
        let (_, service) = known?;
        let runs_on = |host: &HostName| {
            service.environments.iter().find(|(_, place)| place.servers.iter().any(|server| server.host == *host))
        };
        let only = || (service.environments.len() == 1).then(|| service.environments.iter().next()).flatten();
        host.as_ref().and_then(runs_on).or_else(only).map(|(name, _)| name.clone())
    });
    let project = labels.get("project").and_then(|name| ProjectName::new(name).ok());
    let project = project.or_else(|| known.map(|(project, _)| project.clone()));
    Scope { project, service, environment, hosts: host.into_iter().collect() }
}

/// The host that labels speak of: `host`, else `instance` without its port, by name or by configured address.
fn host(config: &Config, labels: &Labels) -> Option<HostName> {
    if let Some(host) = labels.get("host").or_else(|| labels.get("nodename")) {
        return HostName::new(host).ok();
    }
    let instance = labels.get("instance")?;
    let bare = instance.rsplit_once(':').map_or(instance, |(host, _)| host);
    let known = config.hosts.iter().find(|(name, host)| name.as_str() == bare || (!bare.is_empty() && host.address == bare));
    known.map(|(name, _)| name.clone())
}
