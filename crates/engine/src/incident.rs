//! Incidents: opened, joined, told, recovered, resolved. One per service and environment at a time.
//!
//! Never resolves one by itself: recovered is not resolved, a person says so. Never looks at telemetry.

use model::api::{Answer, ChatBody, ChatMessage, TimelineRow};
use model::event::Card;
use model::incident::{Incident, IncidentAlert, IncidentState, Priority, StoryLine, TellResult};
use model::order::{Order, OrderState, Tone};
use model::time::spoken;
use model::{
    AlertKey, AlertState, EffectKey, EnvironmentName, IncidentNumber, Labels, OrderNumber, ReceiverName, Recorded, RoomName,
    RuleName, Scope, ServiceName, Text, Time, Transition,
};

use crate::state::ENDED_KEPT;
use crate::{Effect, State, alert, suspect, tell};

/// Most lines of a story; then the oldest but the first one give way.
pub const STORY_MAX: usize = 500;
/// Most lines of "who was told", the newest, and of alerts in one incident.
pub const TOLD_MAX: usize = 500;
/// Most hosts that an incident of a service names.
const HOSTS_MAX: usize = 50;

/// Tells the rooms of a service something: the rooms among its receivers, `ops` where there is none.
pub fn tell(
    state: &mut State,
    recorded: &Recorded,
    service: Option<&ServiceName>,
    card: Card,
    incident: Option<IncidentNumber>,
    effects: &mut Vec<Effect>,
) {
    let about = match (&card.order, incident) {
        (Some(order), _) => order.to_string(),
        (None, Some(number)) => number.0.to_string(),
        (None, None) => String::new(),
    };
    let tail = format!("{}/{about}/{}", card.text.id, recorded.seq);
    let card = Card { incident: card.incident.or(incident), ..card };
    tell::rooms(state, recorded, service, &tail, &card, effects);
}

/// A release was halted: opens an incident on its service, or joins the one that is open, and tells whoever cares. The
/// halt counts as an alert of its own, which is over when the order has ended without it.
pub fn release_halted(state: &mut State, recorded: &Recorded, number: &OrderNumber, because: &Text, effects: &mut Vec<Effect>) {
    let Some(order) = state.orders.get(number) else { return };
    let language = state.config.flyball.language;
    let (service, to) = (order.service.clone(), order.release.version.clone());
    let because = because.render(language);
    let author = order.author.clone();
    let mut transition = halt_transition(order, AlertState::Ok, AlertState::Bad, recorded.at);
    transition.annotations.insert("summary".into(), because.clone());
    let incident = alert::fold(state, recorded, &transition, effects);
    // Whoever was called as the first suspect's author a moment ago is not called again.
    let is_news = |number| state.called.entry(number).or_default().insert(author.clone());
    let calls = incident.is_some_and(is_news).then_some(author);
    let card = Card {
        text: Text::new("chat.halted").with("service", &service).with("to", to).with("because", because),
        tone: Tone::Halted,
        calls,
        incident,
        order: Some(number.clone()),
    };
    tell(state, recorded, Some(&service), card, incident, effects);
}

/// An order whose halt opened an incident has ended, or goes on: adds to the story and weighs the suspects anew.
pub fn release_ended(state: &mut State, recorded: &Recorded, number: &OrderNumber, effects: &mut Vec<Effect>) {
    let Some(order) = state.orders.get(number) else { return };
    let over = !matches!(order.state, OrderState::Failed | OrderState::Halted | OrderState::RollingBack);
    let line = Text::new("incident.order_ended").with("order", number).with("state", order.state.word());
    let tone = match order.state {
        OrderState::Done => Tone::Ok,
        OrderState::RolledBack => Tone::RolledBack,
        OrderState::Failed => Tone::Bad,
        _ => Tone::Running,
    };
    let transition = halt_transition(order, AlertState::Bad, AlertState::Ok, recorded.at);
    let (service, environment) = (order.service.clone(), order.environment.clone());
    let numbers: Vec<IncidentNumber> = state
        .incidents
        .values()
        .filter(|incident| is_live(incident) && fits(incident, &service, Some(&environment)))
        .map(|incident| incident.number)
        .collect();
    for incident in numbers {
        write_story(state, recorded, incident, line.clone(), tone, None, Some(number.clone()));
    }
    if over && state.alerts.contains_key(&transition.alert) {
        alert::fold(state, recorded, &transition, effects);
    }
    suspect::rank_all(state, recorded, effects);
}

/// The rule under which a halted release stands among an incident's alerts.
pub const HALT_RULE: &str = "release halted";

fn halt_transition(order: &Order, from: AlertState, to: AlertState, at: Time) -> Transition {
    let rule = RuleName::from(HALT_RULE);
    let labels = Labels::new([
        ("alertname", HALT_RULE),
        ("service", order.service.as_str()),
        ("environment", order.environment.as_str()),
        ("project", order.project.as_str()),
        ("order", order.number.as_str()),
    ])
    .unwrap_or_default();
    Transition {
        alert: AlertKey::of(&rule, &labels),
        rule,
        labels,
        annotations: Default::default(),
        from,
        to,
        value: None,
        onset: at,
        expr: String::new(),
    }
}

/// True while an incident takes up what happens on its ground: not resolved, or resolved while something is still bad.
pub fn is_live(incident: &Incident) -> bool {
    let hurts = incident.alerts.iter().any(|alert| alert.state != AlertState::Ok);
    incident.state != IncidentState::Resolved || hurts
}

/// True when an incident is about this service; an environment that nobody named fits every one.
fn fits(incident: &Incident, service: &ServiceName, environment: Option<&EnvironmentName>) -> bool {
    let place = match (&incident.scope.environment, environment) {
        (Some(have), Some(asked)) => have == asked,
        _ => true,
    };
    incident.scope.service.as_ref() == Some(service) && place
}

/// The live incident on the same ground: service and environment, else the host, else the rule.
pub fn find(state: &State, scope: &Scope, rule: &RuleName) -> Option<IncidentNumber> {
    let same = |incident: &&Incident| match (&scope.service, &incident.scope.service) {
        (Some(service), _) => fits(incident, service, scope.environment.as_ref()),
        (None, Some(_)) => false,
        (None, None) if !scope.hosts.is_empty() => incident.scope.hosts == scope.hosts,
        (None, None) => incident.scope.hosts.is_empty() && incident.alerts.iter().any(|alert| alert.rule == *rule),
    };
    state.incidents.values().rev().filter(|incident| is_live(incident)).find(same).map(|incident| incident.number)
}

/// The newest incident that holds an alert.
pub fn holding(state: &State, alert: &AlertKey) -> Option<IncidentNumber> {
    let holds = |incident: &&Incident| incident.alerts.iter().any(|have| have.alert == *alert);
    state.incidents.values().rev().find(holds).map(|incident| incident.number)
}

/// An alert is not ok: opens an incident or joins the live one. `told` says whether people learn of it.
pub fn alert_bad(state: &mut State, recorded: &Recorded, transition: &Transition) -> IncidentNumber {
    let scope = alert::scope(&state.config, &transition.labels);
    let priority = alert::priority(transition);
    let summary = alert::summary(transition);
    let number = match find(state, &scope, &transition.rule) {
        Some(number) => {
            join(state, recorded, number, transition, scope, priority, &summary);
            number
        }
        None => {
            let title = title(&scope, &transition.rule, &summary);
            open(state, recorded, scope, title, priority, transition.onset)
        }
    };
    put_alert(state, recorded, number, transition, summary);
    suspect::rank(state, number);
    if state.incidents[&number].opened_at == recorded.at {
        opened_line(state, recorded, number);
    }
    number
}

/// What hurts, service, host or rule, and how.
fn title(scope: &Scope, rule: &RuleName, summary: &str) -> Text {
    let what = scope.service.as_ref().map(|service| service.to_string());
    let what = what.or_else(|| scope.hosts.first().map(|host| host.to_string())).unwrap_or(rule.to_string());
    Text::new("incident.title_rule").with("service", what).with("summary", summary)
}

/// Opens an incident without alerts: the caller adds them, or a person opened it by hand.
pub fn open(
    state: &mut State,
    recorded: &Recorded,
    scope: Scope,
    title: Text,
    priority: Priority,
    onset: Time,
) -> IncidentNumber {
    state.last_incident.0 += 1;
    let number = state.last_incident;
    let on_call =
        scope.service.as_ref().and_then(|name| state.config.service(name)).and_then(|(_, service)| service.on_call.clone());
    let incident = Incident {
        number,
        title,
        priority,
        scope,
        state: IncidentState::Open,
        onset: onset.min(recorded.at),
        opened_at: recorded.at,
        recovered_at: None,
        owner: None,
        acknowledged_at: None,
        resolved_at: None,
        on_call,
        alerts: Vec::new(),
        suspects: Vec::new(),
        changes_seen: 0,
        told: Vec::new(),
        story: Vec::new(),
    };
    state.incidents.insert(number, incident);
    forget_oldest(state);
    state.touched.incidents.insert(number);
    number
}

/// Writes that an incident was opened, once its suspects are known.
pub fn opened_line(state: &mut State, recorded: &Recorded, number: IncidentNumber) {
    let Some(incident) = state.incidents.get(&number) else { return };
    if incident.story.iter().any(|line| line.text.id == "incident.opened") {
        return;
    }
    let text = Text::new("incident.opened").with("number", number).with("suspects", incident.suspects.len());
    write_story(state, recorded, number, text, Tone::Bad, None, None);
}

fn join(
    state: &mut State,
    recorded: &Recorded,
    number: IncidentNumber,
    transition: &Transition,
    scope: Scope,
    priority: Priority,
    summary: &str,
) {
    let Some(incident) = state.incidents.get_mut(&number) else { return };
    let known = incident.alerts.iter().find(|alert| alert.alert == transition.alert).map(|alert| alert.state);
    let reopened = incident.state == IncidentState::Resolved;
    let again = incident.recovered_at.take().is_some();
    // What it is called says what hurts now: the worse cause, or the one that brought it back.
    if priority < incident.priority || again || reopened {
        incident.title = title(&incident.scope, &transition.rule, summary);
    }
    if reopened {
        incident.state = IncidentState::Open;
        incident.resolved_at = None;
        incident.acknowledged_at = None;
    }
    incident.onset = incident.onset.min(transition.onset);
    incident.scope.environment = incident.scope.environment.take().or(scope.environment);
    if incident.scope.service.is_some() && incident.scope.hosts.len() < HOSTS_MAX {
        incident.scope.hosts.extend(scope.hosts);
        incident.scope.hosts.sort();
        incident.scope.hosts.dedup();
    }
    if reopened {
        write_story(state, recorded, number, Text::new("incident.reopened"), Tone::Bad, None, None);
    } else if again {
        write_story(state, recorded, number, Text::new("incident.bad_again"), Tone::Bad, None, None);
    }
    match known {
        Some(from) if from != AlertState::Ok => {
            let text = Text::new("incident.state_changed").with("rule", &transition.rule);
            let text = text.with("from", alert::word(from)).with("to", alert::word(transition.to));
            write_story(state, recorded, number, text, Tone::Bad, None, None);
        }
        _ if !again || known.is_none() => {
            let text = Text::new("incident.joined").with("rule", &transition.rule).with("summary", summary);
            write_story(state, recorded, number, text, Tone::Bad, None, None);
        }
        _ => {}
    }
    raise(state, recorded, number, priority);
}

/// Makes an incident as urgent as this; never less than it is.
pub fn raise(state: &mut State, recorded: &Recorded, number: IncidentNumber, priority: Priority) {
    let Some(incident) = state.incidents.get_mut(&number) else { return };
    let was = incident.priority;
    if priority < was {
        incident.priority = priority;
        let text = Text::new("incident.priority").with("from", was).with("to", priority);
        write_story(state, recorded, number, text, Tone::Bad, None, None);
    }
}

fn put_alert(state: &mut State, recorded: &Recorded, number: IncidentNumber, transition: &Transition, summary: String) {
    let Some(incident) = state.incidents.get_mut(&number) else { return };
    let alert = IncidentAlert {
        alert: transition.alert.clone(),
        rule: transition.rule.clone(),
        labels: transition.labels.clone(),
        state: transition.to,
        value: transition.value,
        onset: transition.onset,
        summary,
        expr: transition.expr.clone(),
        changed_at: recorded.at,
    };
    let place = incident.alerts.iter().position(|have| have.alert == alert.alert);
    let full = incident.alerts.len() >= TOLD_MAX;
    let place = place.or_else(|| full.then(|| incident.alerts.iter().position(|have| have.state == AlertState::Ok)).flatten());
    match place {
        Some(place) => incident.alerts[place] = alert,
        None if !full => incident.alerts.push(alert),
        None => {}
    }
}

/// An alert is ok again. The incident has recovered when all of its alerts are; resolving it is a person's word.
pub fn alert_ok(
    state: &mut State,
    recorded: &Recorded,
    transition: &Transition,
    effects: &mut Vec<Effect>,
) -> Option<IncidentNumber> {
    let number = holding(state, &transition.alert)?;
    let incident = state.incidents.get_mut(&number)?;
    for alert in incident.alerts.iter_mut().filter(|alert| alert.alert == transition.alert) {
        alert.state = AlertState::Ok;
        alert.value = transition.value.or(alert.value);
        alert.changed_at = recorded.at;
    }
    state.touched.incidents.insert(number);
    if incident.recovered_at.is_none() && incident.alerts.iter().all(|alert| alert.state == AlertState::Ok) {
        recovered(state, recorded, number, transition, effects);
    }
    Some(number)
}

fn recovered(state: &mut State, recorded: &Recorded, number: IncidentNumber, last: &Transition, effects: &mut Vec<Effect>) {
    let Some(incident) = state.incidents.get_mut(&number) else { return };
    incident.recovered_at = Some(recorded.at);
    // Since it was bad the last time: what was well in between did not hurt.
    let again = |line: &&StoryLine| matches!(line.text.id.as_str(), "incident.bad_again" | "incident.reopened");
    let since = incident.story.iter().rev().find(again).map_or(incident.onset, |line| line.at);
    let after = spoken(recorded.at.since(since));
    let service = incident.scope.service.clone();
    write_story(state, recorded, number, Text::new("incident.recovered").with("after", &after), Tone::Ok, None, None);
    suspect::rank(state, number);
    let text = Text::new("chat.recovered").with("incident", number).with("after", after);
    let card = Card { text, tone: Tone::Ok, calls: None, incident: Some(number), order: None };
    if !tell::is_flapping(state, &last.alert) {
        let tail = format!("{}/{}/recovered/{}", last.alert, last.onset.0, number.0);
        tell::rooms(state, recorded, service.as_ref(), &tail, &card, effects);
    }
}

/// Adds a line to an incident's story and the same to the timeline.
pub fn write_story(
    state: &mut State,
    recorded: &Recorded,
    number: IncidentNumber,
    text: Text,
    tone: Tone,
    by: Option<&str>,
    order: Option<OrderNumber>,
) {
    let Some(incident) = state.incidents.get_mut(&number) else { return };
    if incident.story.len() >= STORY_MAX {
        incident.story.remove(1);
    }
    let by = by.map(str::to_owned);
    incident.story.push(StoryLine { at: recorded.at, text: text.clone(), tone, by: by.clone(), order: order.clone() });
    let scope = incident.scope.clone();
    state.touched.incidents.insert(number);
    // The alert and the order write their own rows; twice the same sentence would only be noise.
    if !matches!(text.id.as_str(), "incident.joined" | "incident.state_changed" | "incident.order_ended" | "incident.told") {
        let row =
            TimelineRow { seq: recorded.seq, at: recorded.at, text, tone, flag: None, by, scope, incident: Some(number), order };
        state.touched.timeline.push(row);
    }
}

/// Only resolved incidents are forgotten, the oldest first; the projections keep them.
fn forget_oldest(state: &mut State) {
    let over: Vec<IncidentNumber> =
        state.incidents.values().filter(|incident| !is_live(incident)).map(|incident| incident.number).collect();
    for number in over.iter().take(over.len().saturating_sub(ENDED_KEPT)) {
        state.incidents.remove(number);
        state.called.remove(number);
    }
}

/// Telling somebody came to something.
pub fn told(
    state: &mut State,
    recorded: &Recorded,
    number: IncidentNumber,
    key: &EffectKey,
    receiver: &ReceiverName,
    result: &TellResult,
) {
    let Some(incident) = state.incidents.get_mut(&number) else { return };
    let is_first = !incident
        .told
        .iter()
        .any(|told| told.receiver == receiver.as_str() && matches!(told.result, TellResult::Delivered { .. }));
    let Some(told) = incident.told.iter_mut().rev().find(|told| told.key.as_ref() == Some(key)) else { return };
    told.result = result.clone();
    state.touched.incidents.insert(number);
    let text = match result {
        TellResult::Delivered { .. } if is_first => Text::new("incident.told").with("receiver", receiver),
        TellResult::Failed { why } => Text::new("incident.not_told").with("receiver", receiver).with("why", why),
        _ => return,
    };
    let tone = if matches!(result, TellResult::Failed { .. }) { Tone::Bad } else { Tone::Told };
    write_story(state, recorded, number, text, tone, None, None);
}

/// The bot said something in a room.
pub fn said(state: &mut State, recorded: &Recorded, _key: &EffectKey, room: &RoomName, card: &Card) {
    let by = state.config.flyball.bot.clone();
    let body = ChatBody::Card { card: card.clone() };
    state.touched.chat.push(ChatMessage { seq: recorded.seq, room: room.clone(), at: recorded.at, by, bot: true, body });
}

/// The bot answered a verb in a room.
pub fn answered(state: &mut State, recorded: &Recorded, room: &RoomName, asked: &str, answer: &Answer) {
    let by = state.config.flyball.bot.clone();
    let body = ChatBody::Answer { asked: asked.to_owned(), answer: answer.clone() };
    state.touched.chat.push(ChatMessage { seq: recorded.seq, room: room.clone(), at: recorded.at, by, bot: true, body });
}
