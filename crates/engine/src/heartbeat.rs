//! Did the job run? Late and failed jobs become alerts like any other.
//!
//! Late is: no success within `every` of the last one (or since the job was configured), and `grace` over. The server may
//! have been away meanwhile: what is due is due once, at the first tick after its start.

use model::signal::{HeartbeatPing, HeartbeatSign};
use model::time::spoken;
use model::{AlertKey, AlertState, HeartbeatName, Labels, Recorded, RuleName, Text, Time, Transition};

use crate::{Effect, State, alert};

/// The configuration changed: new jobs are due from now on, changed ones by their new times, gone ones not at all.
pub fn configure(state: &mut State, recorded: &Recorded, effects: &mut Vec<Effect>) {
    let gone: Vec<HeartbeatName> =
        state.heartbeats.keys().filter(|name| !state.config.heartbeats.contains_key(*name)).cloned().collect();
    for name in gone {
        turn(state, recorded, &name, AlertState::Ok, recorded.at, String::new(), effects);
        state.heartbeats.remove(&name);
    }
    for (name, config) in &state.config.heartbeats {
        let known = state.heartbeats.entry(name.clone()).or_default();
        let due_at = known.success_at.map(|success| success + config.every.duration());
        // Without a success so far the old due time stays, else every reload would put it off.
        known.due_at = due_at.or(known.due_at).or(Some(recorded.at + config.every.duration()));
    }
    ok_where_not_late(state, recorded, effects);
}

/// A longer interval may take a job's lateness back; a failure stays until a success.
fn ok_where_not_late(state: &mut State, recorded: &Recorded, effects: &mut Vec<Effect>) {
    let names: Vec<HeartbeatName> = state.heartbeats.keys().cloned().collect();
    for name in names {
        let failed = matches!(&state.heartbeats[&name].last, Some((_, ping)) if matches!(ping.sign, HeartbeatSign::Fail(_)));
        if is_bad(state, &name) && !failed && late_at(state, &name).is_some_and(|late| late > recorded.at) {
            turn(state, recorded, &name, AlertState::Ok, recorded.at, String::new(), effects);
        }
    }
}

/// A job gave a sign of life. The same id twice is one sign; a job that nobody configured is nobody's.
pub fn ping(state: &mut State, recorded: &Recorded, ping: &HeartbeatPing, effects: &mut Vec<Effect>) {
    let Some(config) = state.config.heartbeats.get(&ping.heartbeat) else { return };
    let every = config.every.duration();
    if !state.first_time(&ping.id) {
        return;
    }
    let name = &ping.heartbeat;
    let known = state.heartbeats.entry(name.clone()).or_default();
    known.last = Some((recorded.at, ping.clone()));
    match ping.sign {
        HeartbeatSign::Start => known.started_at = Some(recorded.at),
        HeartbeatSign::Success => {
            known.took_ms = known.started_at.take().map(|started| recorded.at.since(started).as_millis() as u64);
            known.success_at = Some(recorded.at);
            known.due_at = Some(recorded.at + every);
            turn(state, recorded, name, AlertState::Ok, recorded.at, String::new(), effects);
        }
        HeartbeatSign::Fail(code) => {
            known.took_ms = known.started_at.take().map(|started| recorded.at.since(started).as_millis() as u64);
            let code = code.map_or("-".into(), |code| code.to_string());
            let text = Text::new("alert.heartbeat_failed").with("heartbeat", name).with("code", code);
            let summary = text.render(state.config.flyball.language);
            turn(state, recorded, name, AlertState::Bad, recorded.at, summary, effects);
        }
    }
}

/// Looks for jobs that are late.
pub fn late(state: &mut State, recorded: &Recorded, effects: &mut Vec<Effect>) {
    let late: Vec<HeartbeatName> = state
        .heartbeats
        .keys()
        .filter(|name| !is_bad(state, name) && late_at(state, name).is_some_and(|late| late <= recorded.at))
        .cloned()
        .collect();
    for name in late {
        let Some(due_at) = state.heartbeats[&name].due_at else { continue };
        let late = spoken(recorded.at.since(due_at));
        let text = Text::new("alert.heartbeat_late").with("heartbeat", &name).with("late", late);
        let summary = text.render(state.config.flyball.language);
        turn(state, recorded, &name, AlertState::Bad, due_at, summary, effects);
    }
}

/// When the next job would be late; jobs that are bad already don't count.
pub fn next_due(state: &State) -> Option<Time> {
    state.heartbeats.keys().filter(|name| !is_bad(state, name)).filter_map(|name| late_at(state, name)).min()
}

fn late_at(state: &State, name: &HeartbeatName) -> Option<Time> {
    let config = state.config.heartbeats.get(name)?;
    state.heartbeats.get(name)?.due_at.map(|due| due + config.grace.duration())
}

fn is_bad(state: &State, name: &HeartbeatName) -> bool {
    alert::of_rule(state, &rule(name)).next().is_some()
}

fn rule(name: &HeartbeatName) -> RuleName {
    RuleName::from(format!("heartbeat/{name}"))
}

/// Turns a job's alert. One that is over keeps the labels under which it began, whatever the configuration says now.
fn turn(
    state: &mut State,
    recorded: &Recorded,
    name: &HeartbeatName,
    to: AlertState,
    onset: Time,
    summary: String,
    effects: &mut Vec<Effect>,
) {
    let rule = rule(name);
    let known = alert::of_rule(state, &rule).next().map(|known| (known.labels.clone(), known.to));
    let (labels, from) = known.unwrap_or_else(|| (labels(state, name, &rule), AlertState::Ok));
    let mut annotations = std::collections::BTreeMap::new();
    if !summary.is_empty() {
        annotations.insert("summary".into(), summary);
    }
    let alert = AlertKey::of(&rule, &labels);
    let turned = Transition { alert, rule, labels, annotations, from, to, value: None, onset, expr: String::new() };
    alert::observe(state, recorded, &turned, effects);
}

fn labels(state: &State, name: &HeartbeatName, rule: &RuleName) -> Labels {
    let config = state.config.heartbeats.get(name);
    let service = config.and_then(|config| config.service.as_ref());
    let priority = config.map(|config| config.priority.to_string()).unwrap_or_default();
    Labels::new([
        ("alertname", rule.as_str()),
        ("heartbeat", name.as_str()),
        ("service", service.map_or("", |service| service.as_str())),
        ("priority", &priority),
    ])
    .unwrap_or_default()
}
