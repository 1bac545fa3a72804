//! Whom to tell, and how often. Makes effects with keys of content; sends nothing.
//!
//! A webhook hears of every alert. A room hears of an incident's first alert of each rule, of its recovery, and of what a
//! release does: the page shows the rest live on the card.

use model::event::Card;
use model::incident::{TellResult, Told};
use model::order::Tone;
use model::{
    AlertKey, AlertState, EffectKey, IncidentNumber, Labels, ReceiverName, Recorded, RoomName, RuleName, ServiceName, Text, Time,
    Transition,
};
use std::time::Duration;

use crate::effect::AlertNotice;
use crate::incident::{HALT_RULE, TOLD_MAX};
use crate::{Effect, State, Tell, TellBody, alert};

/// An alert is told at most so often within [`TELLS_WITHIN`]; then it flaps and is silent.
pub const TELLS_MAX: usize = 4;
/// The time over which [`TELLS_MAX`] counts.
pub const TELLS_WITHIN: Duration = Duration::from_secs(3_600);
/// Alerts that were told longer ago are forgotten so often.
const SWEEP_EVERY: Duration = Duration::from_secs(60);
/// The room and the receiver that are always there.
pub const DEFAULT_ROOM: &str = "ops";

/// How a receiver is reached.
enum Way {
    Webhook { send_resolved: bool },
    Room(RoomName),
}

/// The receivers of a service: its own, else the default ones, else the room `ops`.
fn receivers(state: &State, service: Option<&ServiceName>) -> Vec<(ReceiverName, Way)> {
    let own = service.and_then(|name| state.config.service(name)).map(|(_, config)| &config.notify);
    let names = own.filter(|names| !names.is_empty()).unwrap_or(&state.config.notification.default);
    let mut found = Vec::new();
    for name in names {
        let Some(config) = state.config.notification.receivers.get(name) else { continue };
        if let Some(webhook) = &config.webhook {
            found.push((name.clone(), Way::Webhook { send_resolved: webhook.send_resolved }));
        }
        if let Some(room) = &config.room {
            found.push((name.clone(), Way::Room(room.clone())));
        }
    }
    if !found.iter().any(|(_, way)| matches!(way, Way::Room(_))) {
        let receiver = ReceiverName::new(DEFAULT_ROOM).expect("a plain name");
        found.push((receiver, Way::Room(RoomName::new(DEFAULT_ROOM).expect("a plain name"))));
    }
    found
}

/// Shows a card in the rooms of a service. `tail` ends the key: made of what the card speaks of.
pub fn rooms(
    state: &mut State,
    recorded: &Recorded,
    service: Option<&ServiceName>,
    tail: &str,
    card: &Card,
    effects: &mut Vec<Effect>,
) {
    for (receiver, way) in receivers(state, service) {
        if let Way::Room(room) = way {
            let body = TellBody::Card { room, card: card.clone() };
            owe(state, recorded, receiver, tail, card.incident, body, effects);
        }
    }
}

/// Tells of an alert that is not ok, or no longer so. `onset` is that of the trouble, also when it is over.
pub fn alert(
    state: &mut State,
    recorded: &Recorded,
    number: IncidentNumber,
    transition: &Transition,
    onset: Time,
    first_of_rule: bool,
    effects: &mut Vec<Effect>,
) {
    let service = state.incidents.get(&number).and_then(|incident| incident.scope.service.clone());
    let is_ok = transition.to == AlertState::Ok;
    let tail = format!("{}/{}/{}", transition.alert, onset.0, alert::word(transition.to).replace(' ', "_"));
    // Bad, its source down, and bad again since the same onset: that was told.
    let is_told = |told: &Told| told.key.as_ref().is_some_and(|key| key.as_str().ends_with(&tail));
    if state.incidents.get(&number).is_some_and(|incident| incident.told.iter().any(is_told)) {
        return;
    }
    if !is_ok && !may_tell(state, recorded, number, service.as_ref(), transition, effects) {
        return;
    }
    if is_ok && is_flapping(state, &transition.alert) {
        return;
    }
    for (receiver, way) in receivers(state, service.as_ref()) {
        let body = match way {
            Way::Webhook { send_resolved } if send_resolved || !is_ok => {
                TellBody::Alert(notice(state, recorded, number, transition, onset))
            }
            Way::Room(room) if !is_ok && first_of_rule && transition.rule.as_str() != HALT_RULE => {
                TellBody::Card { room, card: card(number, transition) }
            }
            _ => continue,
        };
        owe(state, recorded, receiver, &tail, Some(number), body, effects);
    }
}

/// Tells every receiver of an incident that a person opened: nothing measured stands behind it.
pub fn incident(state: &mut State, recorded: &Recorded, number: IncidentNumber, text: &Text, effects: &mut Vec<Effect>) {
    let Some(incident) = state.incidents.get(&number) else { return };
    let scope = incident.scope.clone();
    let language = state.config.flyball.language;
    let place = |name: Option<&str>| name.unwrap_or("").to_owned();
    let labels = Labels::new([
        ("alertname", "incident".to_owned()),
        ("incident", number.0.to_string()),
        ("priority", incident.priority.to_string()),
        ("service", place(scope.service.as_ref().map(|name| name.as_str()))),
        ("environment", place(scope.environment.as_ref().map(|name| name.as_str()))),
    ]);
    let opened = Transition {
        alert: AlertKey::from(format!("incident/{}", number.0)),
        rule: RuleName::from("incident"),
        labels: labels.unwrap_or_default(),
        annotations: [("summary".to_owned(), incident.title.render(language))].into(),
        from: AlertState::Ok,
        to: AlertState::Bad,
        value: None,
        onset: incident.onset,
        expr: String::new(),
    };
    let tail = format!("incident/{}/opened", number.0);
    for (receiver, way) in receivers(state, scope.service.as_ref()) {
        let body = match way {
            Way::Webhook { .. } => TellBody::Alert(notice(state, recorded, number, &opened, opened.onset)),
            Way::Room(room) => {
                let card = Card { text: text.clone(), tone: Tone::Bad, calls: None, incident: Some(number), order: None };
                TellBody::Card { room, card }
            }
        };
        owe(state, recorded, receiver, &tail, Some(number), body, effects);
    }
}

/// True once more than [`TELLS_MAX`] tells fell into the last hour: until that has calmed down nothing more is told.
pub fn is_flapping(state: &State, alert: &AlertKey) -> bool {
    state.tells.get(alert).is_some_and(|count| count.flapping)
}

/// Counts one telling of an alert; false when it flaps, which is said once.
fn may_tell(
    state: &mut State,
    recorded: &Recorded,
    number: IncidentNumber,
    service: Option<&ServiceName>,
    transition: &Transition,
    effects: &mut Vec<Effect>,
) -> bool {
    let recent = |at: &Time| recorded.at.since(*at) < TELLS_WITHIN;
    // Not with each: a storm tells of ten thousand alerts in a row.
    if recorded.at.since(state.tells_swept_at) >= SWEEP_EVERY {
        state.tells_swept_at = recorded.at;
        state.tells.retain(|_, count| count.at.back().is_some_and(recent));
    }
    let count = state.tells.entry(transition.alert.clone()).or_default();
    count.at.retain(recent);
    if count.at.len() < TELLS_MAX {
        count.at.push_back(recorded.at);
        count.flapping = false;
        return true;
    }
    if !count.flapping {
        count.flapping = true;
        let say = |id: &str| Text::new(id).with("rule", &transition.rule).with("count", TELLS_MAX);
        crate::incident::write_story(state, recorded, number, say("incident.flapping"), Tone::Bad, None, None);
        let card = Card { text: say("chat.flapping"), tone: Tone::Bad, calls: None, incident: Some(number), order: None };
        let tail = format!("{}/{}/flapping", transition.alert, transition.onset.0);
        rooms(state, recorded, service, &tail, &card, effects);
    }
    false
}

fn owe(
    state: &mut State,
    recorded: &Recorded,
    receiver: ReceiverName,
    tail: &str,
    incident: Option<IncidentNumber>,
    body: TellBody,
    effects: &mut Vec<Effect>,
) {
    let channel = match &body {
        TellBody::Alert(_) => "webhook",
        TellBody::Card { .. } => "chat",
    };
    let key = EffectKey::from(match &body {
        TellBody::Alert(_) => format!("tell/{receiver}/{tail}"),
        TellBody::Card { room, .. } => format!("tell/{receiver}/{room}/{tail}"),
    });
    if let Some(incident) = incident.and_then(|number| state.incidents.get_mut(&number)) {
        if incident.told.len() >= TOLD_MAX {
            incident.told.remove(0);
        }
        incident.told.push(Told {
            receiver: receiver.to_string(),
            channel: channel.into(),
            asked_at: recorded.at,
            key: Some(key.clone()),
            result: TellResult::Asked,
        });
        state.touched.incidents.insert(incident.number);
    }
    effects.push(Effect::Tell(Tell { key, receiver, incident, at: recorded.at, body }));
}

fn notice(state: &State, recorded: &Recorded, number: IncidentNumber, transition: &Transition, onset: Time) -> AlertNotice {
    let mut annotations = transition.annotations.clone();
    annotations.insert("incident".into(), number.0.to_string());
    let suspects = state.incidents.get(&number).map(|incident| incident.suspects.as_slice()).unwrap_or_default();
    if let Some(first) = suspects.first() {
        annotations.insert("suspect".into(), first.change.what.render(state.config.flyball.language));
        if let Some(order) = &first.change.order {
            annotations.insert("suspect_order".into(), order.to_string());
        }
    }
    let ends_at = (transition.to == AlertState::Ok).then_some(recorded.at);
    let (labels, expr) = (transition.labels.clone(), transition.expr.clone());
    AlertNotice { state: transition.to, labels, annotations, starts_at: onset, ends_at, expr }
}

fn card(number: IncidentNumber, transition: &Transition) -> Card {
    let id = match transition.to {
        AlertState::NoData => "chat.alert_no_data",
        AlertState::SourceDown => "chat.alert_source_down",
        AlertState::Ok | AlertState::Bad => "chat.alert",
    };
    let text = Text::new(id).with("rule", &transition.rule).with("summary", alert::summary(transition));
    Card { text, tone: Tone::Bad, calls: None, incident: Some(number), order: None }
}
