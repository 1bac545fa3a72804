//! Verbs that change something: what they mean here, who may, whether they are confirmed, and what came of them.
//!
//! Halt and brake stop harm: they are never asked about. A repeat of the same id is answered as the first time.

use std::time::Duration;

use engine::State;
use model::api::{Answer, AnswerPart, Cell, Confirmation};
use model::command::RefusalKind;
use model::incident::IncidentState;
use model::order::{OrderState, Strategy};
use model::rights::Right;
use model::{
    Actor, Command, EnvironmentName, Event, EventId, HostName, IncidentNumber, OrderNumber, Outcome, PersonName, PlanDigest,
    ProjectName, Surface, Text, Verb,
};
use tokio::sync::broadcast;

use super::grammar::{OrderVerb, Target, Wish};
use super::pending::{CONFIRM_WITHIN, ConfirmError, Waiting};
use super::{Question, names, preview};
use crate::http::app::App;
use crate::http::error::HttpError;
use crate::http::params::short;
use crate::people::{Caller, CallerKind};
use crate::view::rows;

/// A restart is waited for so long before its answer.
const RESTART_WAIT: Duration = Duration::from_secs(60);
/// Shortest beginning of a plan's digest that is an approval.
const DIGEST_HEAD_MIN: usize = 8;

/// A resolved wish to change something.
#[derive(Clone, Debug, PartialEq)]
pub struct Wanted {
    /// What the engine is asked.
    pub verb: Verb,
    /// The right that it needs ...
    pub right: Right,
    /// ... in this project ...
    pub project: Option<ProjectName>,
    /// ... and environment.
    pub environment: Option<EnvironmentName>,
    /// In the grammar's own form.
    pub understood: String,
    /// Whether the person confirms it first.
    pub confirm: bool,
}

impl Question<'_> {
    /// A verb that was shown before and is confirmed now, or a repeat of one that was done; none for anything else.
    pub(super) async fn confirmed(&self) -> Result<Option<Answer>, HttpError> {
        if !self.yes || self.dry_run {
            return Ok(None);
        }
        let waiting = self.app.pending.take(&self.id, &who(self.caller), self.text, self.app.clock.now());
        if let Some(Waiting { verb, understood, .. }) = waiting.map_err(of_confirm)? {
            let wanted = self.app.pump.read_state(|state| wanted_of(state, verb, understood));
            // Rights may have gone since it was shown.
            allowed(self.app, self.caller, &wanted, ("command", &wanted.understood)).await?;
            return self.perform(wanted).await.map(Some);
        }
        Ok(None)
    }

    pub(super) async fn change(&self, wish: &Wish) -> Result<Answer, HttpError> {
        if let Some(outcome) = self.app.pump.read_state(|state| done_before(state, &self.id)) {
            return Ok(answer_of(self.text.to_owned(), outcome, Vec::new()));
        }
        let wanted = self.app.pump.read_state(|state| resolve(state, wish))?;
        allowed(self.app, self.caller, &wanted, ("command", &wanted.understood)).await?;
        if self.dry_run {
            return self.would(wanted);
        }
        if wanted.confirm && !self.yes {
            return self.confirm(wanted);
        }
        self.perform(wanted).await
    }

    /// What would happen, without doing it.
    fn would(&self, wanted: Wanted) -> Result<Answer, HttpError> {
        let looked = self.app.pump.read_state(|state| {
            let plan = preview::plan_of(state, &wanted.verb)?;
            Ok::<_, model::Refusal>((preview::what(state, &wanted.verb)?, plan))
        });
        let (what, plan) = match looked {
            Ok(found) => found,
            Err(refusal) => return Ok(answer_of(wanted.understood, Outcome::Refused(refusal), Vec::new())),
        };
        let what = what.map_or_else(|| wanted.understood.clone(), |what| what.render(self.language()));
        let lines = plan.map(|plan| plan.text()).unwrap_or_default();
        let rows: Vec<Vec<Cell>> = lines.lines().map(|line| vec![Cell { text: line.to_owned(), state: None }]).collect();
        let parts = if rows.is_empty() { Vec::new() } else { vec![AnswerPart::Table { heads: vec!["plan".into()], rows }] };
        let text = Text::new("verb.would").with("what", what);
        Ok(Answer { understood: wanted.understood, text, well: true, parts, confirm: None, outcome: None })
    }

    /// Shows what would happen, and waits for the same person.
    fn confirm(&self, wanted: Wanted) -> Result<Answer, HttpError> {
        let what = match self.app.pump.read_state(|state| preview::what(state, &wanted.verb)) {
            Ok(what) => what.unwrap_or_else(|| Text::plain(&wanted.understood)),
            Err(refusal) => return Ok(answer_of(wanted.understood, Outcome::Refused(refusal), Vec::new())),
        };
        let until = self.app.clock.now() + CONFIRM_WITHIN;
        let waiting = Waiting {
            id: self.id.clone(),
            by: who(self.caller),
            asked: self.text.to_owned(),
            understood: wanted.understood.clone(),
            verb: wanted.verb,
            until,
        };
        self.app.pending.put(waiting).map_err(of_confirm)?;
        let text = Text::new("verb.confirm").with("what", what.render(self.language()));
        let confirm = Some(Confirmation { id: self.id.clone(), what, until });
        Ok(Answer { understood: wanted.understood, text, well: true, parts: Vec::new(), confirm, outcome: None })
    }

    async fn perform(&self, wanted: Wanted) -> Result<Answer, HttpError> {
        let restart = match &wanted.verb {
            Verb::Restart { service, environment, .. } => Some((service.clone(), environment.clone())),
            _ => None,
        };
        let commits = self.app.pump.subscribe();
        let outcome = submit(self.app, self.caller, self.via, &self.id, wanted.verb).await?;
        let Outcome::Accepted { order, .. } = &outcome else { return Ok(answer_of(wanted.understood, outcome, Vec::new())) };
        let Some(number) = order.clone() else { return Ok(answer_of(wanted.understood, outcome, Vec::new())) };
        let Some((service, environment)) = restart else {
            let row = self.app.pump.read_state(|state| state.orders.get(&number).map(rows::order));
            let parts = row.map(|row| AnswerPart::Orders { orders: vec![row] }).into_iter().collect();
            return Ok(answer_of(wanted.understood, outcome, parts));
        };
        let end = ended(self.app, commits, &number).await;
        let target = Target { name: service.to_string(), environment: Some(environment.to_string()) };
        let mut answer = self.check(&target).await?;
        answer.well = answer.well && end == Some(OrderState::Done);
        if let Some(state) = end.filter(|state| *state != OrderState::Done) {
            let text = Text::new("verb.still_going").with("order", &number).with("state", state.word());
            answer.text = text.with("seconds", RESTART_WAIT.as_secs());
        }
        answer.understood = wanted.understood;
        answer.outcome = Some(outcome);
        Ok(answer)
    }
}

/// 403 with the right and where, and a line in the audit, where the caller may not.
pub async fn allowed(app: &App, caller: &Caller, wanted: &Wanted, asked: (&str, &str)) -> Result<(), HttpError> {
    app.demand(caller, wanted.right, wanted.project.as_ref(), wanted.environment.as_ref(), asked).await
}

/// Hands a command to the engine; its answer is on disk.
pub async fn submit(app: &App, caller: &Caller, via: Surface, id: &EventId, verb: Verb) -> Result<Outcome, HttpError> {
    let by = Actor { name: caller.name.clone(), via };
    let submitted = app.pump.submit(Event::Command(Command { id: id.clone(), by, verb })).await?;
    let repeat = || Outcome::Accepted { text: Text::new("verb.accepted"), order: None, incident: None };
    Ok(submitted.outcome.unwrap_or_else(repeat))
}

/// Waits until an order rests: ended, or in need of a person. The state in which it is then.
async fn ended(
    app: &App,
    mut commits: broadcast::Receiver<std::sync::Arc<crate::journal::Committed>>,
    number: &OrderNumber,
) -> Option<OrderState> {
    let now = || app.pump.read_state(|state| state.orders.get(number).map(|order| order.state));
    let rests = |state: OrderState| state.is_final() || matches!(state, OrderState::Halted | OrderState::Draft);
    let waited = tokio::time::timeout(RESTART_WAIT, async {
        loop {
            match now() {
                Some(state) if !rests(state) => {}
                state => return state,
            }
            if matches!(commits.recv().await, Err(broadcast::error::RecvError::Closed)) {
                return now();
            }
        }
    });
    waited.await.unwrap_or_else(|_| now())
}

/// A person and a token may have the same name: only the same one of both confirms.
fn who(caller: &Caller) -> String {
    match caller.kind {
        CallerKind::Person => format!("person {}", caller.name),
        CallerKind::Token => format!("token {}", caller.name),
    }
}

fn done_before(state: &State, id: &EventId) -> Option<Outcome> {
    state.answers.iter().rev().find(|(done, _)| done == id).map(|(_, outcome)| outcome.clone())
}

fn answer_of(understood: String, outcome: Outcome, parts: Vec<AnswerPart>) -> Answer {
    let (text, well) = match &outcome {
        Outcome::Accepted { text, .. } => (text.clone(), true),
        Outcome::Refused(refusal) => (refusal.text.clone(), false),
    };
    Answer { understood, text, well, parts, confirm: None, outcome: Some(outcome) }
}

fn of_confirm(error: ConfirmError) -> HttpError {
    match error {
        ConfirmError::SomebodyElse => HttpError::not_allowed(error.to_string()),
        ConfirmError::Late | ConfirmError::Different => HttpError::conflict(error.to_string()),
    }
    .at("id")
}

/// What a wish means now.
fn resolve(state: &State, wish: &Wish) -> Result<Wanted, HttpError> {
    let wanted = |verb: Verb, understood: String| Ok(wanted_of(state, verb, understood));
    match wish {
        Wish::Deploy { target, artifact, strategy, hosts, reason } => deploy(state, target, artifact, *strategy, hosts, reason),
        Wish::Restart { target, hosts } => {
            let place = names::one_place(&state.config, target)?;
            let hosts = names::hosts_of(&place, hosts)?;
            let understood = format!("restart {} {}{}", place.service, place.environment, hosts_option(&hosts));
            let verb = Verb::Restart { project: place.project, service: place.service, environment: place.environment, hosts };
            wanted(verb, understood)
        }
        Wish::Order { verb, order, environment, digest } => {
            let found = names::order(state, *verb, order.as_deref(), environment.as_deref())?;
            let number = found.number.clone();
            let understood = format!("{} {number}", order_word(*verb));
            let verb = match verb {
                OrderVerb::Rollback => Verb::Rollback { order: number },
                OrderVerb::Halt => Verb::Halt { order: number },
                OrderVerb::Brake => Verb::Brake { order: number },
                OrderVerb::Resume => Verb::Resume { order: number },
                OrderVerb::Retry => Verb::Retry { order: number },
                OrderVerb::Cancel => Verb::Cancel { order: number },
                OrderVerb::Approve => {
                    let digest = approved(digest.as_deref(), &found.digest);
                    Verb::Approve { order: number, digest }
                }
            };
            let mut wanted = wanted_of(state, verb, understood);
            // Whoever names no digest has perhaps not read the plan: it is shown first.
            if let (Verb::Approve { digest: plan, .. }, None) = (&wanted.verb, digest) {
                wanted.understood = format!("{} {plan}", wanted.understood);
                wanted.confirm = true;
            }
            Ok(wanted)
        }
        Wish::Acknowledge(number) => {
            let incident = names::incident(state, *number, |incident| incident == IncidentState::Open)?;
            wanted(Verb::Acknowledge { incident }, format!("ack {}", incident.0))
        }
        Wish::Resolve(number) => {
            let incident = names::incident(state, *number, |incident| incident != IncidentState::Resolved)?;
            wanted(Verb::Resolve { incident }, format!("resolve {}", incident.0))
        }
        Wish::Note { incident, text } => {
            let incident = names::incident(state, Some(*incident), |_| true)?;
            wanted(Verb::Note { incident, text: text.clone() }, format!("note {} {}", incident.0, short(text)))
        }
        Wish::Reassign { incident, to } => {
            let incident = names::incident(state, Some(*incident), |_| true)?;
            let to = person(state, to)?;
            wanted(Verb::Reassign { incident, to: to.clone() }, format!("reassign {} {to}", incident.0))
        }
        other => Err(HttpError::bad_request(format!("{other:?} changes nothing")).at("text")),
    }
}

/// An order that would be made. Its artifact's size and version are those of its push.
pub fn deploy(
    state: &State,
    target: &Target,
    artifact: &str,
    strategy: Option<Strategy>,
    hosts: &[String],
    reason: &str,
) -> Result<Wanted, HttpError> {
    let place = names::one_place(&state.config, target)?;
    let artifact = names::artifact(state, &place.service, artifact)?;
    let hosts = names::hosts_of(&place, hosts)?;
    let how = match strategy {
        None => String::new(),
        Some(Strategy::Serial) => " --serial".into(),
        Some(Strategy::Parallel(width)) => format!(" --parallel {width}"),
        Some(Strategy::Halves) => " --halves".into(),
    };
    let (service, environment) = (place.service, place.environment);
    let understood = format!("deploy {service} {} {environment}{}{how}", artifact.version, hosts_option(&hosts));
    let verb = Verb::Deploy {
        project: place.project,
        service,
        environment,
        artifact: artifact.digest.clone(),
        version: artifact.version.clone(),
        size: artifact.size,
        reason: reason.to_owned(),
        strategy,
        hosts,
    };
    Ok(wanted_of(state, verb, understood))
}

fn hosts_option(hosts: &[HostName]) -> String {
    let names: Vec<&str> = hosts.iter().map(HostName::as_str).collect();
    if names.is_empty() { String::new() } else { format!(" --hosts {}", names.join(",")) }
}

fn order_word(verb: OrderVerb) -> &'static str {
    match verb {
        OrderVerb::Rollback => "rollback",
        OrderVerb::Halt => "halt",
        OrderVerb::Brake => "brake",
        OrderVerb::Resume => "resume",
        OrderVerb::Retry => "retry",
        OrderVerb::Approve => "approve",
        OrderVerb::Cancel => "cancel",
    }
}

/// The plan that is meant: the one of now where its beginning was given, else what was given, for the engine to refuse.
fn approved(given: Option<&str>, now: &PlanDigest) -> PlanDigest {
    match given {
        None => now.clone(),
        Some(head) if head.len() >= DIGEST_HEAD_MIN && now.as_str().starts_with(&head.to_ascii_lowercase()) => now.clone(),
        Some(other) => PlanDigest::from(short(other)),
    }
}

fn person(state: &State, name: &str) -> Result<PersonName, HttpError> {
    let users = &state.config.users;
    let by_shown =
        users.iter().find(|(have, user)| have.as_str().eq_ignore_ascii_case(name) || user.name.eq_ignore_ascii_case(name));
    if let Some((found, _)) = by_shown {
        return Ok(found.clone());
    }
    if !users.is_empty() {
        return Err(names::unknown("person", name, users.keys().map(PersonName::as_str)));
    }
    PersonName::new(name).map_err(|error| HttpError::bad_request(error.to_string()).at("person"))
}

/// A verb with the right that it needs, and where. What is not there any more is the engine's to refuse.
pub fn wanted_of(state: &State, verb: Verb, understood: String) -> Wanted {
    let of_order = |number: &OrderNumber| {
        let order = state.orders.get(number);
        (order.map(|order| order.project.clone()), order.map(|order| order.environment.clone()))
    };
    let of_incident = |number: &IncidentNumber| {
        let scope = state.incidents.get(number).map(|incident| incident.scope.clone()).unwrap_or_default();
        (scope.project, scope.environment)
    };
    let (right, (project, environment)) = match &verb {
        Verb::Deploy { project, environment, .. } => (Right::Release, (Some(project.clone()), Some(environment.clone()))),
        Verb::Restart { project, environment, .. } => (Right::Operate, (Some(project.clone()), Some(environment.clone()))),
        Verb::Approve { order, .. } => (Right::Approve, of_order(order)),
        Verb::Halt { order } | Verb::Brake { order } => (Right::Operate, of_order(order)),
        Verb::Cancel { order } | Verb::Resume { order } | Verb::Retry { order } | Verb::Rollback { order } => {
            (Right::Release, of_order(order))
        }
        Verb::Acknowledge { incident }
        | Verb::Resolve { incident }
        | Verb::Note { incident, .. }
        | Verb::Reassign { incident, .. } => (Right::Operate, of_incident(incident)),
        Verb::Trigger { service, .. } => {
            (Right::Operate, (state.config.service(service).map(|(project, _)| project.clone()), None))
        }
        Verb::Say { .. } => (Right::View, (None, None)),
    };
    let asks = environment.as_ref().and_then(|name| state.config.environments.get(name)).is_some_and(|rules| rules.confirm);
    let weighty = match &verb {
        Verb::Deploy { .. } | Verb::Rollback { .. } => true,
        Verb::Restart { service, environment, hosts, .. } => {
            let all = state.config.place(service, environment).map_or(0, |place| place.servers.len());
            hosts.len() > 1 || (hosts.is_empty() && all > 1)
        }
        _ => false,
    };
    Wanted { verb, right, project, environment, understood, confirm: asks && weighty }
}

/// The status of a refusal for routes that answer with one: 404, 409, 403 or 400.
pub fn of_refusal(refusal: &model::Refusal) -> HttpError {
    let text = refusal.text.render(model::Language::En);
    match refusal.kind {
        RefusalKind::Unknown => HttpError::unknown(text),
        RefusalKind::State => HttpError::conflict(text),
        RefusalKind::Right => HttpError::not_allowed(text),
        RefusalKind::Form => HttpError::bad_request(text),
    }
}
