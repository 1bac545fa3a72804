//! Decides which recent change is suspected of an incident, and says why and why not.
//!
//! Reads the changes and orders that the state remembers. Never queries the store, and never blames by itself: halting
//! and undoing are for the release's gate. The same state always gives the same ranking.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use model::api::TimelineRow;
use model::event::Card;
use model::incident::{Evidence, Incident, Suspect, Weight};
use model::order::{JudgeVerdict, Order, OrderState, Tone};
use model::time::spoken;
use model::{Change, ChangeKind, EventId, HostName, IncidentNumber, OrderNumber, Recorded, Scope, Seq, ServiceName, Text, Time};

use crate::state::{CHANGES_KEPT, SeenChange};
use crate::{Effect, State, incident, tell};

/// How long before the onset a change is looked at.
pub const BEFORE_MAX: Duration = Duration::from_secs(3_600);
/// Most suspects that an incident names; the others are only counted.
pub const SUSPECTS_MAX: usize = 10;
/// A reboot that two observers report is one reboot.
const SAME_REBOOT: Duration = Duration::from_secs(600);
/// The odds that the cause is none of the changes, against a change's own; a change on the same service a moment before
/// has 8.
const NONE_OF_THEM: f64 = 1.0;
/// A change half as close to the onset is believed half as much from here on.
const CLOSE: Duration = Duration::from_secs(300);
/// Answers on the new side from which "no difference" says something.
const JUDGED_ENOUGH: u64 = 500;

/// A change came in from outside: remembers it, weighs the suspects of live incidents anew, calls who became the first.
pub fn changed(state: &mut State, recorded: &Recorded, change: &Change, effects: &mut Vec<Effect>) {
    note(state, recorded, change);
    rank_all(state, recorded, effects);
}

/// Remembers a change; the same id twice is one change.
pub fn note(state: &mut State, recorded: &Recorded, change: &Change) {
    if is_same_reboot(state, recorded, change) || !state.first_time(&change.id) {
        return;
    }
    if state.changes.len() >= CHANGES_KEPT {
        state.changes.pop_front();
    }
    state.changes.push_back(SeenChange { seq: recorded.seq, at: recorded.at, change: change.clone() });
    let flag = change.scope.service.as_ref().map(|service| match change.what.args.get("to") {
        Some(to) if change.kind == ChangeKind::Release => format!("{service} {to}"),
        _ => service.to_string(),
    });
    state.touched.timeline.push(TimelineRow {
        seq: recorded.seq,
        at: recorded.at,
        text: change.what.clone(),
        tone: if change.what.id == "change.rollback" { Tone::RolledBack } else { Tone::Change },
        flag,
        by: change.author.clone(),
        scope: change.scope.clone(),
        incident: None,
        order: change.order.clone(),
    });
}

fn is_same_reboot(state: &State, recorded: &Recorded, change: &Change) -> bool {
    let reboots = |change: &Change| change.what.id == "change.reboot";
    reboots(change)
        && state
            .changes
            .iter()
            .rev()
            .take_while(|seen| recorded.at.since(seen.at) < SAME_REBOOT)
            .any(|seen| reboots(&seen.change) && seen.change.scope.hosts == change.scope.hosts)
}

/// Weighs the suspects of every live incident anew, and calls whoever became the first.
pub fn rank_all(state: &mut State, recorded: &Recorded, effects: &mut Vec<Effect>) {
    let live: Vec<IncidentNumber> =
        state.incidents.values().filter(|incident| incident::is_live(incident)).map(|incident| incident.number).collect();
    for number in live {
        rank(state, number);
        call_author(state, recorded, number, effects);
    }
}

/// Weighs the suspects of one incident anew.
pub fn rank(state: &mut State, number: IncidentNumber) {
    let Some(incident) = state.incidents.get(&number) else { return };
    let (suspects, seen) = suspects(state, incident);
    let Some(incident) = state.incidents.get_mut(&number) else { return };
    if incident.suspects != suspects || incident.changes_seen != seen {
        incident.suspects = suspects;
        incident.changes_seen = seen;
        state.touched.incidents.insert(number);
    }
}

/// Calls the author of the first suspect by name, once per incident.
pub fn call_author(state: &mut State, recorded: &Recorded, number: IncidentNumber, effects: &mut Vec<Effect>) {
    let Some(incident) = state.incidents.get(&number) else { return };
    let Some(first) = incident.suspects.first() else { return };
    let none_of_them = 100_u32.saturating_sub(incident.suspects.iter().map(|suspect| u32::from(suspect.percent)).sum());
    let Some(author) = first.change.author.clone() else { return };
    if u32::from(first.percent) <= none_of_them || incident.recovered_at.is_some() {
        return;
    }
    let service = incident.scope.service.clone();
    let order = first.change.order.clone();
    let text = match &order {
        Some(order) => Text::new("chat.calls_author").with("order", order),
        None => {
            let what = first.change.what.render(state.config.flyball.language);
            Text::new("chat.calls_author_of_change").with("what", what)
        }
    };
    let text = text.with("author", &author).with("incident", number);
    if !state.called.entry(number).or_default().insert(author.clone()) {
        return;
    }
    let tail = format!("calls/{}/{author}", number.0);
    let card = Card { text, tone: Tone::Person, calls: Some(author), incident: Some(number), order };
    tell::rooms(state, recorded, service.as_ref(), &tail, &card, effects);
}

/// A change with what speaks for and against it.
struct Case {
    seen: SeenChange,
    /// When it counts as made, on the server's clock.
    made_at: Time,
    odds: f64,
    evidence: Vec<Evidence>,
}

/// The suspects of an incident, likeliest first, and how many changes were looked at.
fn suspects(state: &State, incident: &Incident) -> (Vec<Suspect>, u32) {
    let reach = Reach::of(state, &incident.scope);
    let mut seen = 0;
    let mut cases: Vec<Case> = Vec::new();
    for candidate in candidates(state, incident.onset) {
        let Some((made_at, late)) = made_at(state, &candidate, incident.onset) else { continue };
        seen += 1;
        let Some((relation, evidence)) = reach.relation(state, &candidate.change) else { continue };
        let mut case = Case { seen: candidate.into_owned(), made_at, odds: relation, evidence };
        weigh_time(&mut case, incident.onset, late);
        weigh_kind(&mut case);
        weigh_order(state, &mut case, incident);
        cases.push(case);
    }
    // Same odds: the later change first, then by place in the journal, so that the order never depends on chance.
    cases.sort_by(|a, b| b.odds.total_cmp(&a.odds).then(b.made_at.cmp(&a.made_at)).then(b.seen.seq.cmp(&a.seen.seq)));
    let percents = percents(&cases);
    let suspects = cases.into_iter().zip(percents).take(SUSPECTS_MAX).map(|(case, percent)| {
        let undo = undo(state, &case.seen.change);
        Suspect {
            seq: case.seen.seq,
            received_at: case.seen.at,
            change: case.seen.change,
            percent,
            evidence: case.evidence,
            undo,
        }
    });
    (suspects.collect(), seen)
}

/// Changes that came since an hour before the onset, and started orders of which no change was noted. Borrowed: thousands
/// are looked at for the few that are kept, while somebody waits to be told.
fn candidates(state: &State, onset: Time) -> Vec<Cow<'_, SeenChange>> {
    let recent = state.changes.iter().rev().take_while(|seen| seen.at >= onset - BEFORE_MAX);
    let mut found: Vec<Cow<'_, SeenChange>> = recent.map(Cow::Borrowed).collect();
    let noted: BTreeSet<&OrderNumber> = state
        .changes
        .iter()
        .filter(|seen| seen.change.what.id != "change.rollback")
        .filter_map(|seen| seen.change.order.as_ref())
        .collect();
    for order in state.orders.values().filter(|order| !noted.contains(&order.number)) {
        if let Some(started_at) = order.started_at {
            found.push(Cow::Owned(SeenChange { seq: Seq(0), at: started_at, change: change_of(order) }));
        }
    }
    found
}

fn change_of(order: &Order) -> Change {
    let before = order.plan.batches.iter().flat_map(|batch| &batch.lanes).find_map(|lane| lane.before.as_ref());
    let from = before.map_or(String::from("-"), |release| release.version.clone());
    Change {
        id: EventId::from(format!("order/{}", order.number)),
        kind: ChangeKind::Release,
        what: Text::new("change.release")
            .with("order", &order.number)
            .with("service", &order.service)
            .with("from", from)
            .with("to", &order.release.version),
        scope: Scope {
            project: Some(order.project.clone()),
            service: Some(order.service.clone()),
            environment: Some(order.environment.clone()),
            hosts: order.hosts.keys().cloned().collect(),
        },
        author: Some(order.author.clone()),
        at: order.started_at.unwrap_or(order.created_at),
        detail: None,
        link: None,
        order: Some(order.number.clone()),
    }
}

/// When a change counts as made, if it was made before the onset and not too long before. Receive times are compared; a
/// change that came after the onset counts by its own clock (set right by what is known of its host's), and is late.
fn made_at(state: &State, seen: &SeenChange, onset: Time) -> Option<(Time, Option<Duration>)> {
    let in_time = |at: Time| at <= onset && onset.since(at) <= BEFORE_MAX;
    if let Some(order) = seen.change.order.as_ref().and_then(|number| state.orders.get(number)) {
        let started = order.started_at.filter(|_| seen.change.what.id != "change.rollback").unwrap_or(seen.at);
        return in_time(started).then_some((started, None));
    }
    if seen.at <= onset {
        return in_time(seen.at).then_some((seen.at, None));
    }
    let clock = seen.change.scope.hosts.first().and_then(|host| state.hosts.get(host)).map_or(0, |host| host.seen.clock_ahead_us);
    let own = Time(seen.change.at.0.saturating_sub(clock)).min(seen.at);
    in_time(own).then(|| (own, Some(seen.at.since(own))))
}

/// What the incident's ground is made of.
struct Reach {
    scope: Scope,
    hosts: Vec<HostName>,
    /// Services that it needs, with their distance.
    needs: BTreeMap<ServiceName, u32>,
    balancers: Vec<String>,
}

impl Reach {
    fn of(state: &State, scope: &Scope) -> Reach {
        let config = &state.config;
        let mut hosts = scope.hosts.clone();
        let mut balancers = Vec::new();
        let mut needs = BTreeMap::new();
        if let Some((_, service)) = scope.service.as_ref().and_then(|name| config.service(name)) {
            let asked = |name| scope.environment.as_ref().is_none_or(|environment| environment == name);
            for (_, place) in service.environments.iter().filter(|(name, _)| asked(*name)) {
                hosts.extend(place.servers.iter().map(|server| server.host.clone()));
                balancers.extend(place.balancer.iter().map(|balancer| balancer.to_string()));
            }
            let mut edge: Vec<ServiceName> = service.depends_on.clone();
            for distance in 1.. {
                edge.retain(|name| Some(name) != scope.service.as_ref() && !needs.contains_key(name));
                if edge.is_empty() {
                    break;
                }
                needs.extend(edge.iter().map(|name| (name.clone(), distance)));
                edge = edge
                    .iter()
                    .filter_map(|name| config.service(name))
                    .flat_map(|(_, service)| service.depends_on.clone())
                    .collect();
            }
        }
        hosts.sort();
        hosts.dedup();
        Reach { scope: scope.clone(), hosts, needs, balancers }
    }

    /// How closely a change is related, and how. None: not at all.
    fn relation(&self, state: &State, change: &Change) -> Option<(f64, Vec<Evidence>)> {
        let plus = |text: Text| Evidence { weight: Weight::For, text };
        let elsewhere = match (&change.scope.environment, &self.scope.environment) {
            (Some(theirs), Some(ours)) if theirs != ours => Some(theirs),
            _ => None,
        };
        let shared = change.scope.hosts.iter().find(|host| self.hosts.contains(host));
        let (odds, reason) = match &change.scope.service {
            Some(service) if Some(service) == self.scope.service.as_ref() => (8.0, plus(Text::new("suspect.same_service"))),
            Some(service) if self.needs.contains_key(service) => {
                (4.0 / f64::from(self.needs[service]), plus(Text::new("suspect.dependency").with("service", service)))
            }
            Some(service) if self.on_our_hosts(state, service) => {
                (3.0, plus(Text::new("suspect.same_host").with("host", shared.unwrap_or(self.hosts.first()?))))
            }
            _ if shared.is_some() => (4.0, plus(Text::new("suspect.same_host").with("host", shared?))),
            Some(service) if self.needs_us(state, service) => (1.0, plus(Text::new("suspect.depends_on_it"))),
            Some(_) => return None,
            None if !change.scope.hosts.is_empty() => return None,
            None if change.what.id == "change.config" => (1.0, plus(Text::new("suspect.flyball_config"))),
            None => match self.balancers.iter().find(|balancer| change.what.args.values().any(|value| value == *balancer)) {
                Some(balancer) => (4.0, plus(Text::new("suspect.balancer").with("balancer", balancer))),
                None => (0.5, Evidence { weight: Weight::Neutral, text: Text::new("suspect.nowhere") }),
            },
        };
        let mut evidence = vec![reason];
        let mut factor = 1.0;
        if let Some(environment) = elsewhere {
            let text = Text::new("suspect.other_environment").with("environment", environment);
            evidence.push(Evidence { weight: Weight::Against, text });
            factor = 0.15;
        }
        Some((odds * factor, evidence))
    }

    /// For an incident of a host: a service that runs there.
    fn on_our_hosts(&self, state: &State, service: &ServiceName) -> bool {
        let here = |host: &HostName| self.hosts.contains(host);
        self.scope.service.is_none()
            && state.config.service(service).is_some_and(|(_, config)| {
                config.environments.values().flat_map(|place| &place.servers).any(|server| here(&server.host))
            })
    }

    /// A service that calls ours: its change may bring another load.
    fn needs_us(&self, state: &State, service: &ServiceName) -> bool {
        let ours = |name: &ServiceName| Some(name) == self.scope.service.as_ref();
        state.config.service(service).is_some_and(|(_, config)| config.depends_on.iter().any(ours))
    }
}

fn weigh_time(case: &mut Case, onset: Time, late: Option<Duration>) {
    let before = onset.since(case.made_at);
    case.odds /= 1.0 + before.as_secs_f64() / CLOSE.as_secs_f64();
    let weight = if before <= CLOSE { Weight::For } else { Weight::Neutral };
    case.evidence.push(Evidence { weight, text: Text::new("suspect.before").with("before", spoken(before)) });
    if let Some(late) = late {
        case.odds *= 0.7;
        let text = Text::new("suspect.came_late").with("late", spoken(late));
        case.evidence.push(Evidence { weight: Weight::Neutral, text });
    }
}

fn weigh_kind(case: &mut Case) {
    case.odds *= match case.seen.change.kind {
        ChangeKind::Release => 1.5,
        ChangeKind::Configuration | ChangeKind::Sql => 1.2,
        ChangeKind::System => 0.8,
        ChangeKind::Outside => 0.6,
    };
}

/// What its order says of a release: rolled out at the onset, judged, undone.
fn weigh_order(state: &State, case: &mut Case, incident: &Incident) {
    let change = &case.seen.change;
    let Some(order) = change.order.as_ref().and_then(|number| state.orders.get(number)) else { return };
    if change.what.id == "change.rollback" {
        return;
    }
    let mut add = |factor: f64, weight: Weight, text: Text| {
        case.odds *= factor;
        case.evidence.push(Evidence { weight, text });
    };
    let stopped_at = order.halted_at.into_iter().chain(order.ended_at).min();
    if stopped_at.is_none_or(|stopped| stopped >= incident.onset) {
        add(3.0, Weight::For, Text::new("suspect.running"));
    }
    if let Some(judge) = &order.judge {
        let counts = &judge.evidence;
        let (new, old) = (share(counts.new_bad, counts.new_all), share(counts.old_bad, counts.old_all));
        match judge.verdict {
            JudgeVerdict::Worse => add(8.0, Weight::For, Text::new("suspect.new_against_old").with("new", new).with("old", old)),
            JudgeVerdict::Undecided if counts.new_all >= JUDGED_ENOUGH => {
                add(0.5, Weight::Against, Text::new("suspect.no_difference").with("new", new).with("old", old))
            }
            JudgeVerdict::Undecided => {}
        }
    }
    let undone_at = order.ended_at.filter(|_| order.state == OrderState::RolledBack);
    match (undone_at, order.halted_at, incident.recovered_at) {
        (Some(_), Some(halted), Some(recovered)) if recovered >= halted => {
            add(4.0, Weight::For, Text::new("suspect.ends_with_undo"))
        }
        (Some(undone), _, None) if state.at.since(undone) > CLOSE => {
            add(0.25, Weight::Against, Text::new("suspect.outlived_undo").with("after", spoken(state.at.since(undone))))
        }
        _ => {}
    }
}

fn share(bad: u64, all: u64) -> String {
    if all == 0 { "-".into() } else { format!("{:.1} %", bad as f64 * 100.0 / all as f64) }
}

/// Odds as percent, by largest remainder: with "none of them" they add up to 100.
fn percents(cases: &[Case]) -> Vec<u8> {
    let shown = &cases[..cases.len().min(SUSPECTS_MAX)];
    let rest: f64 = cases[shown.len()..].iter().map(|case| case.odds).sum();
    let odds: Vec<f64> = shown.iter().map(|case| case.odds).chain([NONE_OF_THEM + rest]).collect();
    let all: f64 = odds.iter().sum();
    let exact: Vec<f64> = odds.iter().map(|odds| odds * 100.0 / all).collect();
    let mut whole: Vec<u8> = exact.iter().map(|percent| percent.floor() as u8).collect();
    let mut places: Vec<usize> = (0..exact.len()).collect();
    places.sort_by(|&a, &b| (exact[b] - exact[b].floor()).total_cmp(&(exact[a] - exact[a].floor())).then(a.cmp(&b)));
    let missing = 100 - whole.iter().map(|percent| usize::from(*percent)).sum::<usize>();
    places.iter().take(missing).for_each(|&place| whole[place] += 1);
    whole.pop();
    whole
}

/// The order that can be rolled back for a change: one that has touched something and is not taken back.
fn undo(state: &State, change: &Change) -> Option<OrderNumber> {
    let order = state.orders.get(change.order.as_ref()?)?;
    let can = matches!(order.state, OrderState::Running | OrderState::Halted | OrderState::Done);
    can.then(|| order.number.clone())
}
