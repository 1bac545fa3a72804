//! Performs what people ask to be changed, and answers. Who may ask was decided at the edge.
//!
//! The same command twice is performed once and answered the same. What can't be done is refused with what would be right.

use model::api::{ChatBody, ChatMessage};
use model::command::{Refusal, RefusalKind};
use model::incident::{IncidentAlert, IncidentState, Priority};
use model::order::Tone;
use model::{
    AlertState, Command, IncidentNumber, Outcome, PersonName, Recorded, RoomName, RuleName, Scope, ServiceName, Text, Verb,
};

use crate::state::ANSWERS_KEPT;
use crate::tell::DEFAULT_ROOM;
use crate::{Effect, State, incident, release, suspect, tell};

/// Longest note, summary and message, in bytes.
pub const TEXT_MAX: usize = 4 * 1024;

/// Performs a command.
pub fn perform(state: &mut State, recorded: &Recorded, command: &Command, effects: &mut Vec<Effect>) {
    if let Some((_, outcome)) = state.answers.iter().find(|(id, _)| *id == command.id) {
        effects.push(Effect::Answer { command: command.id.clone(), outcome: outcome.clone() });
        return;
    }
    if !state.first_time(&command.id) {
        let refusal = Refusal { kind: RefusalKind::State, text: Text::new("verb.already").with("state", "done") };
        effects.push(Effect::Answer { command: command.id.clone(), outcome: Outcome::Refused(refusal) });
        return;
    }
    let by = command.by.name.as_str();
    let outcome = match &command.verb {
        Verb::Acknowledge { incident } => acknowledge(state, recorded, by, *incident),
        Verb::Resolve { incident } => resolve(state, recorded, by, *incident),
        Verb::Note { incident, text } => note(state, recorded, by, *incident, text),
        Verb::Reassign { incident, to } => reassign(state, recorded, by, *incident, to),
        Verb::Trigger { service, summary, priority } => trigger(state, recorded, by, service, summary, *priority, effects),
        Verb::Say { room, text } => say(state, recorded, by, room, text),
        Verb::Deploy { .. }
        | Verb::Restart { .. }
        | Verb::Approve { .. }
        | Verb::Cancel { .. }
        | Verb::Halt { .. }
        | Verb::Brake { .. }
        | Verb::Resume { .. }
        | Verb::Retry { .. }
        | Verb::Rollback { .. } => {
            let first = effects.len();
            release::perform(state, recorded, command, effects);
            let answer = effects[first..].iter().find_map(|effect| match effect {
                Effect::Answer { command: id, outcome } if *id == command.id => Some(outcome.clone()),
                _ => None,
            });
            if let Some(outcome) = answer {
                remember(state, command, outcome);
            }
            return;
        }
    };
    let outcome = outcome.unwrap_or_else(Outcome::Refused);
    remember(state, command, outcome.clone());
    effects.push(Effect::Answer { command: command.id.clone(), outcome });
}

fn remember(state: &mut State, command: &Command, outcome: Outcome) {
    if state.answers.len() >= ANSWERS_KEPT {
        state.answers.pop_front();
    }
    state.answers.push_back((command.id.clone(), outcome));
}

fn acknowledge(state: &mut State, recorded: &Recorded, by: &str, number: IncidentNumber) -> Result<Outcome, Refusal> {
    expect(state, number, "acknowledge", &[IncidentState::Open])?;
    if let Some(incident) = state.incidents.get_mut(&number) {
        incident.state = IncidentState::Acknowledged;
        incident.acknowledged_at = Some(recorded.at);
        incident.owner = Some(by.to_owned());
    }
    Ok(done(state, recorded, by, number, Text::new("incident.acknowledged").with("person", by)))
}

fn resolve(state: &mut State, recorded: &Recorded, by: &str, number: IncidentNumber) -> Result<Outcome, Refusal> {
    expect(state, number, "resolve", &[IncidentState::Open, IncidentState::Acknowledged])?;
    let mut vanished = Vec::new();
    if let Some(incident) = state.incidents.get_mut(&number) {
        incident.state = IncidentState::Resolved;
        incident.resolved_at = Some(recorded.at);
        incident.owner.get_or_insert_with(|| by.to_owned());
        // What has vanished may never say "ok" again, a release that failed neither: a person's word ends it.
        let ends = |alert: &&mut IncidentAlert| alert.state != AlertState::Bad || alert.rule.as_str() == incident::HALT_RULE;
        for alert in incident.alerts.iter_mut().filter(ends) {
            if alert.state == AlertState::Ok {
                continue;
            }
            alert.state = AlertState::Ok;
            alert.changed_at = recorded.at;
            vanished.push(alert.alert.clone());
        }
    }
    for alert in vanished {
        state.alerts.remove(&alert);
    }
    Ok(done(state, recorded, by, number, Text::new("incident.resolved").with("person", by)))
}

fn note(state: &mut State, recorded: &Recorded, by: &str, number: IncidentNumber, text: &str) -> Result<Outcome, Refusal> {
    check_text("note", text)?;
    expect(state, number, "note", &[IncidentState::Open, IncidentState::Acknowledged, IncidentState::Resolved])?;
    Ok(done(state, recorded, by, number, Text::new("incident.note").with("person", by).with("note", text)))
}

fn reassign(
    state: &mut State,
    recorded: &Recorded,
    by: &str,
    number: IncidentNumber,
    to: &PersonName,
) -> Result<Outcome, Refusal> {
    expect(state, number, "reassign", &[IncidentState::Open, IncidentState::Acknowledged])?;
    if !state.config.users.is_empty() && !state.config.users.contains_key(to) {
        return Err(unknown("person", to.as_str(), state.config.users.keys().map(|name| name.as_str())));
    }
    if let Some(incident) = state.incidents.get_mut(&number) {
        incident.owner = Some(to.to_string());
    }
    Ok(done(state, recorded, by, number, Text::new("incident.reassigned").with("person", by).with("to", to)))
}

fn trigger(
    state: &mut State,
    recorded: &Recorded,
    by: &str,
    service: &ServiceName,
    summary: &str,
    priority: Priority,
    effects: &mut Vec<Effect>,
) -> Result<Outcome, Refusal> {
    check_text("summary", summary)?;
    let Some((project, config)) = state.config.service(service) else {
        let names: Vec<String> = state.config.services().map(|(_, name, _)| name.to_string()).collect();
        return Err(unknown("service", service.as_str(), names.iter().map(String::as_str)));
    };
    let only = (config.environments.len() == 1).then(|| config.environments.keys().next().cloned()).flatten();
    let scope = Scope { project: Some(project.clone()), service: Some(service.clone()), environment: only, hosts: Vec::new() };
    let title = Text::new("incident.title_rule").with("service", service).with("summary", summary);
    if let Some(number) = incident::find(state, &scope, &RuleName::from("incident")) {
        return Ok(add_to_live(state, recorded, by, number, summary, priority));
    }
    let number = incident::open(state, recorded, scope, title.clone(), priority, recorded.at);
    suspect::rank(state, number);
    incident::opened_line(state, recorded, number);
    let line = Text::new("incident.triggered").with("person", by);
    incident::write_story(state, recorded, number, line, Tone::Person, Some(by), None);
    let said = title.render(state.config.flyball.language);
    let text = Text::new("chat.incident").with("incident", number).with("priority", priority).with("title", said);
    tell::incident(state, recorded, number, &text, effects);
    suspect::call_author(state, recorded, number, effects);
    Ok(accepted(Text::new("incident.triggered").with("person", by), number))
}

/// A service has one incident at a time: what a person reports of it goes into the live one.
fn add_to_live(
    state: &mut State,
    recorded: &Recorded,
    by: &str,
    number: IncidentNumber,
    summary: &str,
    priority: Priority,
) -> Outcome {
    incident::raise(state, recorded, number, priority);
    done(state, recorded, by, number, Text::new("incident.note").with("person", by).with("note", summary))
}

fn say(state: &mut State, recorded: &Recorded, by: &str, room: &RoomName, text: &str) -> Result<Outcome, Refusal> {
    check_text("message", text)?;
    let rooms = rooms(state);
    if !rooms.iter().any(|have| have == room.as_str()) {
        return Err(unknown("room", room.as_str(), rooms.iter().map(String::as_str)));
    }
    let body = ChatBody::Said { text: text.to_owned() };
    let (seq, at) = (recorded.seq, recorded.at);
    state.touched.chat.push(ChatMessage { seq, room: room.clone(), at, by: by.to_owned(), bot: false, body });
    Ok(Outcome::Accepted { text: Text::new("verb.said").with("room", room), order: None, incident: None })
}

/// The rooms that there are: `ops`, the configured ones, those of receivers.
fn rooms(state: &State) -> Vec<String> {
    let own = state.config.flyball.rooms.iter();
    let told = state.config.notification.receivers.values().filter_map(|receiver| receiver.room.as_ref());
    let mut rooms: Vec<String> = own.chain(told).map(|room| room.to_string()).collect();
    rooms.push(DEFAULT_ROOM.to_owned());
    rooms.sort();
    rooms.dedup();
    rooms
}

fn done(state: &mut State, recorded: &Recorded, by: &str, number: IncidentNumber, text: Text) -> Outcome {
    incident::write_story(state, recorded, number, text.clone(), Tone::Person, Some(by), None);
    accepted(text, number)
}

fn accepted(text: Text, number: IncidentNumber) -> Outcome {
    Outcome::Accepted { text, order: None, incident: Some(number) }
}

/// Refuses where there is no such incident, or it is in no state for the verb.
fn expect(state: &State, number: IncidentNumber, verb: &str, states: &[IncidentState]) -> Result<(), Refusal> {
    let Some(incident) = state.incidents.get(&number) else {
        let numbers: Vec<String> = state.incidents.keys().map(|number| number.to_string()).collect();
        return Err(unknown("incident", &number.to_string(), numbers.iter().map(String::as_str)));
    };
    if states.contains(&incident.state) {
        return Ok(());
    }
    let word = match incident.state {
        IncidentState::Open => "open",
        IncidentState::Acknowledged => "acknowledged",
        IncidentState::Resolved => "resolved",
    };
    let text = Text::new("verb.incident_state").with("incident", number).with("state", word).with("verb", verb);
    Err(Refusal { kind: RefusalKind::State, text })
}

fn check_text(what: &str, text: &str) -> Result<(), Refusal> {
    let form = |text: Text| Err(Refusal { kind: RefusalKind::Form, text });
    if text.trim().is_empty() {
        return form(Text::new("verb.empty").with("what", what));
    }
    if text.len() > TEXT_MAX {
        return form(Text::new("verb.too_long").with("what", what).with("len", text.len()).with("limit", TEXT_MAX));
    }
    Ok(())
}

/// "No such thing", with the nearest name that there is.
pub fn unknown<'a>(kind: &str, name: &str, names: impl Iterator<Item = &'a str>) -> Refusal {
    let nearest = names.min_by_key(|have| (strsim::damerau_levenshtein(&have.to_lowercase(), &name.to_lowercase()), *have));
    let text = Text::new("verb.unknown_thing").with("kind", kind).with("name", name).with("nearest", nearest.unwrap_or("-"));
    Refusal { kind: RefusalKind::Unknown, text }
}
