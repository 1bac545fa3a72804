//! What people can do with orders, and why not. Whether they may was decided at the edge; that nobody approves their own
//! order is decided here, where no surface can forget it.

use model::command::RefusalKind;
use model::order::{Artifact, HostState, Order, OrderKind, OrderState, Strategy, Tone};
use model::plan::{Approval, Doer, Plan};
use model::signal::ReleaseOnHost;
use model::{
    ArtifactDigest, Command, EnvironmentName, HostName, OrderNumber, Outcome, PersonName, PlanDigest, ProjectName, Recorded,
    Refusal, ServiceName, Text, Verb,
};

use super::plan::{plan, refusal, unknown};
use super::queue::{self, draft, needs_approval, untouched};
use super::run::Run;
use super::work::{Work, with_order};
use crate::{Effect, State};

/// Longest reason that is kept, in characters.
const REASON_MAX: usize = 4_096;
/// Longest version, in characters.
const VERSION_MAX: usize = 128;

/// Performs Deploy, Restart, Approve, Cancel, Halt, Brake, Resume, Retry and Rollback, and answers.
pub fn perform(state: &mut State, recorded: &Recorded, command: &Command, effects: &mut Vec<Effect>) {
    let done = match &command.verb {
        Verb::Deploy { .. } | Verb::Restart { .. } => create(state, recorded, command, effects),
        Verb::Approve { order, digest } => approve(state, recorded, command, order, digest, effects),
        Verb::Cancel { order } => change(state, recorded, command, order, effects, "cancel", cancel),
        Verb::Halt { order } => change(state, recorded, command, order, effects, "halt", halt),
        Verb::Brake { order } => change(state, recorded, command, order, effects, "brake", brake),
        Verb::Resume { order } => change(state, recorded, command, order, effects, "resume", resume),
        Verb::Retry { order } => change(state, recorded, command, order, effects, "retry", retry),
        Verb::Rollback { order } => rollback(state, recorded, command, order, effects),
        Verb::Acknowledge { .. }
        | Verb::Resolve { .. }
        | Verb::Note { .. }
        | Verb::Reassign { .. }
        | Verb::Trigger { .. }
        | Verb::Say { .. } => return,
    };
    let outcome = match done {
        Ok((order, text)) => Outcome::Accepted { text, order: Some(order), incident: None },
        Err(refusal) => Outcome::Refused(refusal),
    };
    effects.push(Effect::Answer { command: command.id.clone(), outcome });
    queue::start_waiting(state, recorded, effects);
}

type Done = Result<(OrderNumber, Text), Refusal>;

struct Wish {
    project: ProjectName,
    service: ServiceName,
    environment: EnvironmentName,
    kind: OrderKind,
    release: ReleaseOnHost,
    size: u64,
    reason: String,
    strategy: Option<Strategy>,
    hosts: Vec<HostName>,
}

fn create(state: &mut State, recorded: &Recorded, command: &Command, effects: &mut Vec<Effect>) -> Done {
    let wish = match &command.verb {
        Verb::Deploy { project, service, environment, artifact, version, size: _, reason, strategy, hosts } => {
            let known = pushed(state, artifact)?;
            Wish {
                project: project.clone(),
                service: service.clone(),
                environment: environment.clone(),
                kind: OrderKind::Deploy,
                release: ReleaseOnHost { version: said_version(version, known)?, digest: artifact.clone() },
                size: known.size,
                reason: reason.chars().take(REASON_MAX).collect(),
                strategy: *strategy,
                hosts: hosts.clone(),
            }
        }
        Verb::Restart { project, service, environment, hosts } => Wish {
            project: project.clone(),
            service: service.clone(),
            environment: environment.clone(),
            kind: OrderKind::Restart,
            release: newest_on_line(state, service, environment),
            size: 0,
            reason: String::new(),
            strategy: None,
            hosts: hosts.clone(),
        },
        other => unreachable!("not an order: {other:?}"),
    };
    let order = new_order(state, recorded, command, wish)?;
    let number = order.number.clone();
    let waits = order.state == OrderState::Draft;
    state.orders.insert(number.clone(), order);
    state.releases.runs.insert(number.clone(), Run { approved: recorded.seq, ..Run::default() });
    with_order(state, recorded, &number, effects, |work| {
        let text = work.headed("order.created").with("person", &command.by.name).with("environment", &work.order.environment);
        work.note(text.clone(), Tone::Person);
        work.timeline(text, Tone::Person, None, Some(command.by.name.clone()));
        if waits {
            let text = Text::new("order.waits_for_approval").with("order", &work.order.number).with("author", &work.order.author);
            work.note(text, Tone::Halted);
        }
    });
    queue::start_waiting(state, recorded, effects);
    let text = said_of(state, &number);
    Ok((number, text))
}

/// An artifact as it was pushed; its size is what the store says, not what a command says.
fn pushed<'a>(state: &'a State, artifact: &ArtifactDigest) -> Result<&'a Artifact, Refusal> {
    state.artifacts.get(artifact).ok_or_else(|| {
        let short = artifact.as_str().get(..12).unwrap_or(artifact.as_str());
        refusal(RefusalKind::Unknown, Text::new("verb.unknown_artifact").with("artifact", short))
    })
}

/// The version that the new servers have to show. An empty one would be seen in every answer.
fn said_version(said: &str, artifact: &Artifact) -> Result<String, Refusal> {
    let version = if said.trim().is_empty() { artifact.version.trim() } else { said.trim() };
    if version.is_empty() || version.chars().count() > VERSION_MAX {
        let usage = "deploy SERVICE VERSION [ENVIRONMENT]";
        return Err(refusal(RefusalKind::Form, Text::new("verb.usage").with("usage", usage)));
    }
    Ok(version.to_owned())
}

/// What a restart speaks of: the release that most servers have.
fn newest_on_line(state: &State, service: &ServiceName, environment: &EnvironmentName) -> ReleaseOnHost {
    let servers = state.config.place(service, environment).map_or(&[][..], |place| &place.servers[..]);
    let on_line: Vec<ReleaseOnHost> =
        servers.iter().filter_map(|server| super::plan::on_line(state, service, &server.host)).collect();
    let count = |release: &ReleaseOnHost| on_line.iter().filter(|other| *other == release).count();
    on_line
        .iter()
        .max_by_key(|release| count(release))
        .cloned()
        .unwrap_or_else(|| ReleaseOnHost { version: "-".into(), digest: ArtifactDigest::from("") })
}

fn new_order(state: &State, recorded: &Recorded, command: &Command, wish: Wish) -> Result<Order, Refusal> {
    let Some((project, service)) = state.config.service(&wish.service) else {
        return Err(unknown("service", wish.service.as_str(), state.config.services().map(|(_, name, _)| name.as_str())));
    };
    if *project != wish.project {
        return Err(unknown("project", wish.project.as_str(), [project.as_str()].into_iter()));
    }
    let number = queue::new_number(state, recorded);
    let nothing = Plan {
        schema: model::plan::PLAN_SCHEMA,
        order: number.clone(),
        project: wish.project.clone(),
        service: wish.service.clone(),
        environment: wish.environment.clone(),
        min_in_service: 0,
        batches: Vec::new(),
    };
    let mut order = Order {
        number,
        project: wish.project,
        service: wish.service,
        environment: wish.environment,
        release: wish.release,
        size: wish.size,
        kind: wish.kind,
        author: command.by.name.clone(),
        reason: wish.reason,
        strategy: wish.strategy.unwrap_or(service.release.strategy),
        chosen: wish.hosts,
        digest: nothing.digest(),
        plan: nothing,
        approvals: Vec::new(),
        state: OrderState::Approved,
        behind: None,
        because: None,
        batch: 0,
        watching_since: None,
        brake: false,
        hosts: Default::default(),
        judge: None,
        created_at: state.at,
        started_at: None,
        halted_at: None,
        ended_at: None,
        story: Vec::new(),
    };
    order.plan = plan(state, &draft(&order))?;
    order.digest = order.plan.digest();
    order.hosts = untouched(&order);
    if needs_approval(state, &order) {
        order.state = OrderState::Draft;
    }
    Ok(order)
}

/// Where an order is, as the answer to who made or approved it.
fn said_of(state: &State, number: &OrderNumber) -> Text {
    let Some(order) = state.orders.get(number) else { return Text::new("verb.accepted") };
    match (order.state, &order.behind) {
        (OrderState::Draft, _) => Text::new("order.waits_for_approval").with("order", number).with("author", &order.author),
        (OrderState::Approved, Some(behind)) => Text::new("order.waits_for_order").with("order", number).with("behind", behind),
        _ => Text::new(super::story::started(order.kind))
            .with("order", number)
            .with("service", &order.service)
            .with("from", super::story::from_version(order).unwrap_or_else(|| "-".into()))
            .with("to", &order.release.version),
    }
}

fn approve(
    state: &mut State,
    recorded: &Recorded,
    command: &Command,
    number: &OrderNumber,
    digest: &PlanDigest,
    effects: &mut Vec<Effect>,
) -> Done {
    let order = find(state, number)?;
    if order.state != OrderState::Draft {
        return Err(wrong_state(order, "approve"));
    }
    if order.digest != *digest {
        return Err(refusal(RefusalKind::State, Text::new("verb.stale_plan").with("digest", order.digest.short())));
    }
    if order.author == command.by.name {
        return Err(refusal(RefusalKind::Right, Text::new("verb.own_approval").with("author", &order.author)));
    }
    let by = PersonName::new(&command.by.name).map_err(|error| refusal(RefusalKind::Form, Text::plain(error.to_string())))?;
    with_order(state, recorded, number, effects, |work| {
        let at = work.now();
        let text = Text::new("order.approved").with("person", &by).with("digest", work.order.digest.short());
        work.order.approvals.push(Approval { digest: digest.clone(), by, at });
        work.order.state = OrderState::Approved;
        work.run.approved = recorded.seq;
        work.note(text.clone(), Tone::Person);
        work.timeline(text, Tone::Person, None, Some(command.by.name.clone()));
    });
    queue::start_waiting(state, recorded, effects);
    Ok((number.clone(), said_of(state, number)))
}

/// Changes an order by a verb that either can be done now or says why not.
fn change(
    state: &mut State,
    recorded: &Recorded,
    command: &Command,
    number: &OrderNumber,
    effects: &mut Vec<Effect>,
    verb: &str,
    perform: fn(&mut Work<'_>, &str) -> Result<Text, Option<Text>>,
) -> Done {
    find(state, number)?;
    let mut done = Err(None);
    with_order(state, recorded, number, effects, |work| done = perform(work, &command.by.name));
    match (done, state.orders.get(number)) {
        (Ok(text), _) => Ok((number.clone(), text)),
        (Err(None), Some(order)) => Err(wrong_state(order, verb)),
        (Err(text), _) => Err(refusal(RefusalKind::State, text.unwrap_or_else(|| Text::new("verb.accepted")))),
    }
}

fn find<'a>(state: &'a State, number: &OrderNumber) -> Result<&'a Order, Refusal> {
    state.orders.get(number).ok_or_else(|| unknown("order", number.as_str(), state.orders.keys().map(OrderNumber::as_str)))
}

fn wrong_state(order: &Order, verb: &str) -> Refusal {
    let text = if order.state.is_final() {
        Text::new("verb.final").with("order", &order.number).with("state", order.state.word())
    } else {
        Text::new("verb.wrong_state").with("order", &order.number).with("state", order.state.word()).with("verb", verb)
    };
    refusal(RefusalKind::State, text)
}

fn cancel(work: &mut Work<'_>, person: &str) -> Result<Text, Option<Text>> {
    if !matches!(work.order.state, OrderState::Draft | OrderState::Approved) {
        return Err(None);
    }
    let now = work.now();
    work.order.state = OrderState::Cancelled;
    work.order.behind = None;
    work.order.ended_at = Some(now);
    let text = Text::new("order.cancelled").with("person", person);
    work.note(text.clone(), Tone::Person);
    work.timeline(text.clone(), Tone::Person, None, Some(person.to_owned()));
    Ok(text)
}

fn halt(work: &mut Work<'_>, person: &str) -> Result<Text, Option<Text>> {
    let because = Text::new("because.person").with("person", person);
    match work.order.state {
        OrderState::Running => {
            work.halt(because.clone());
            tell_halted_by(work, &because);
        }
        // It would have gone on by itself: now it waits for a person.
        OrderState::Halted if work.run.pauses => work.order.because = Some(because.clone()),
        OrderState::Halted => return Ok(Text::new("verb.already").with("state", OrderState::Halted.word())),
        _ => return Err(None),
    }
    work.run.pauses = false;
    work.forget_unreached();
    Ok(because)
}

fn tell_halted_by(work: &mut Work<'_>, because: &Text) {
    let because = because.render(work.state.config.flyball.language);
    let (service, to) = (work.order.service.clone(), work.order.release.version.clone());
    work.tell_card(Text::new("chat.halted").with("service", service).with("to", to).with("because", because), Tone::Halted);
}

fn brake(work: &mut Work<'_>, person: &str) -> Result<Text, Option<Text>> {
    if work.order.state != OrderState::Running {
        return Err(None);
    }
    work.order.brake = true;
    let text = Text::new("order.brake").with("person", person).with("batch", work.order.batch + 1);
    work.note(text.clone(), Tone::Person);
    Ok(text)
}

fn resume(work: &mut Work<'_>, person: &str) -> Result<Text, Option<Text>> {
    if work.order.state != OrderState::Halted {
        return Err(None);
    }
    if work.run.lanes.values().any(|lane| lane.failed.is_some()) {
        return Err(Some(Text::new("verb.retry_first").with("order", &work.order.number)));
    }
    go_on(work, Text::new("order.resumed").with("person", person))
}

fn retry(work: &mut Work<'_>, person: &str) -> Result<Text, Option<Text>> {
    let failed = work.run.lanes.values_mut().filter(|lane| lane.failed.is_some());
    let failed = failed.map(|lane| lane.failed = None).count();
    if work.order.state != OrderState::Halted || failed == 0 {
        return Err(None);
    }
    go_on(work, Text::new("order.retried").with("person", person))
}

fn go_on(work: &mut Work<'_>, text: Text) -> Result<Text, Option<Text>> {
    work.note(text.clone(), Tone::Person);
    work.timeline(text.clone(), Tone::Person, None, None);
    work.excuse_known_alerts();
    work.go_on();
    work.drive();
    Ok(text)
}

fn rollback(state: &mut State, recorded: &Recorded, command: &Command, number: &OrderNumber, effects: &mut Vec<Effect>) -> Done {
    let order = find(state, number)?;
    if order.state == OrderState::Done {
        may_go_back(state, order)?;
    }
    change(state, recorded, command, number, effects, "rollback", |work, person| {
        let because = Text::new("because.person").with("person", person);
        match work.order.state {
            OrderState::Running | OrderState::Halted => {
                if work.order.state == OrderState::Running {
                    work.halt(because);
                }
                work.forget_unreached();
            }
            OrderState::Done => {
                work.reopen_done();
                let (now, text) = (work.now(), Text::new("order.taken_back_by").with("person", person));
                work.order.halted_at = Some(now);
                work.note(text, Tone::Person);
            }
            OrderState::RollingBack => {
                return Ok(Text::new("verb.already").with("state", OrderState::RollingBack.word()));
            }
            _ => return Err(None),
        }
        work.begin_undo();
        let text = work.order.story.last().map_or_else(|| Text::new("verb.accepted"), |note| note.text.clone());
        work.drive();
        Ok(text)
    })
}

/// Only the last release of its place can be taken back: an older one's undo would put back what was long replaced.
fn may_go_back(state: &State, order: &Order) -> Result<(), Refusal> {
    let state_refusal = |text: Text| Err(refusal(RefusalKind::State, text));
    if order.kind == OrderKind::Restart {
        return state_refusal(Text::new("verb.no_undo").with("order", &order.number));
    }
    if let Some(newer) = queue::last_done(state, order).filter(|last| last.number != order.number) {
        return state_refusal(Text::new("verb.newer_order").with("order", &order.number).with("newer", &newer.number));
    }
    match queue::in_the_way(state, &order.number, &[]) {
        Some(behind) => state_refusal(Text::new("order.waits_for_order").with("order", &order.number).with("behind", behind)),
        None => Ok(()),
    }
}

impl Work<'_> {
    /// What a balancer did not hear is no longer asked; whoever lets the order go on asks it anew.
    pub fn forget_unreached(&mut self) {
        let unreached: Vec<HostName> = self
            .run
            .lanes
            .iter()
            .filter(|(_, lane)| {
                let asked = lane.asked.as_ref();
                asked.is_some_and(|asked| asked.request.action.doer() == Doer::Balancer && lane.away_since.is_some())
            })
            .map(|(host, _)| host.clone())
            .collect();
        for host in unreached {
            self.withdraw(&host);
            self.lane_run(&host).away_since = None;
        }
    }

    /// A done order as if its last step had just been answered: all of its steps count as touched.
    pub fn reopen_done(&mut self) {
        self.set_up_lanes();
        self.order.ended_at = None;
        let lanes: Vec<(HostName, usize)> = self
            .order
            .plan
            .batches
            .iter()
            .flat_map(|batch| &batch.lanes)
            .filter(|lane| !lane.steps.is_empty())
            .map(|lane| (lane.host.clone(), lane.steps.len()))
            .collect();
        for (host, steps) in lanes {
            let lane = self.lane_run(&host);
            lane.done = steps;
            lane.touched = steps;
            self.run.touched.push(host.clone());
            self.show(&host, HostState::New);
        }
    }
}
