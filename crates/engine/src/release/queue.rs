//! The queue: orders start in the order of their approval, one at a time on the same servers.
//!
//! Two orders are in each other's way when they release the same service in the same environment or share a host. One that
//! is halted is in the way too: a person decides about it first.

use std::collections::BTreeSet;

use model::config::ApprovalRule;
use model::order::{HostProgress, HostState, Order, OrderState, Tone};
use model::{HostName, OrderNumber, Recorded, Text, Time};

use super::plan::{Draft, plan};
use super::run::LaneRun;
use super::story;
use super::work::{Work, with_order};
use crate::state::ENDED_KEPT;
use crate::{Effect, State};

/// Letters and digits of the tail of an order's number: none that looks like another.
const TAIL: &[u8; 31] = b"23456789ABCDEFGHJKMNPQRSTUVWXYZ";

/// A number that no order has: the time, and a tail made of the journal's place.
pub fn new_number(state: &State, recorded: &Recorded) -> OrderNumber {
    let head = state.at.compact();
    let number = |place: u64| {
        // 577 has no factor in common with 31 x 31: neighbours in the journal look different, and none repeats for 961.
        let tail = (place.wrapping_mul(577) % 961) as usize;
        OrderNumber::from(format!("{head}-{}{}", TAIL[tail / 31] as char, TAIL[tail % 31] as char))
    };
    let mut places = recorded.seq.0..;
    places.find_map(|place| Some(number(place)).filter(|number| !state.orders.contains_key(number))).unwrap_or_else(|| number(0))
}

/// Starts every approved order that nothing is in the way of, the first approved first; the others learn whom they wait for.
pub fn start_waiting(state: &mut State, recorded: &Recorded, effects: &mut Vec<Effect>) {
    let mut waiting: Vec<_> = state
        .orders
        .values()
        .filter(|order| order.state == OrderState::Approved)
        .map(|order| (state.releases.runs.get(&order.number).map(|run| run.approved), order.number.clone()))
        .collect();
    waiting.sort();
    let mut ahead = Vec::new();
    for (_, number) in waiting {
        match in_the_way(state, &number, &ahead) {
            Some(behind) => wait_behind(state, &number, behind),
            None => with_order(state, recorded, &number, effects, |work| work.begin()),
        }
        ahead.push(number);
    }
    forget_ended(state);
}

/// Which order has to end before this one may start: of those that were approved before it the last, else the one that is on.
pub fn in_the_way(state: &State, number: &OrderNumber, ahead: &[OrderNumber]) -> Option<OrderNumber> {
    let order = state.orders.get(number)?;
    let hosts = hosts(order);
    let blocks = |other: &&Order| {
        let same_place = other.service == order.service && other.environment == order.environment;
        other.number != order.number && (same_place || !hosts.is_disjoint(&self::hosts(other)))
    };
    let is_on = |other: &&Order| matches!(other.state, OrderState::Running | OrderState::Halted | OrderState::RollingBack);
    let waits = |other: &&Order| other.state == OrderState::Approved;
    let before = ahead.iter().rev().filter_map(|number| state.orders.get(number)).filter(waits).find(blocks);
    let on = || state.orders.values().filter(is_on).filter(blocks).max_by_key(|other| other.started_at);
    before.or_else(on).map(|other| other.number.clone())
}

fn hosts(order: &Order) -> BTreeSet<&HostName> {
    order.plan.steps().map(|(host, _)| host).collect()
}

fn wait_behind(state: &mut State, number: &OrderNumber, behind: OrderNumber) {
    let at = state.at;
    let Some(order) = state.orders.get_mut(number).filter(|order| order.behind.as_ref() != Some(&behind)) else { return };
    let text = Text::new("order.waits_for_order").with("order", number).with("behind", &behind);
    order.story.push(model::order::OrderNote { at, host: None, text, note: String::new(), tone: Tone::Running });
    order.behind = Some(behind);
    state.touched.orders.insert(number.clone());
}

/// Only so many ended orders stay in memory: the oldest go, but never the last done one of a place, which can be rolled back.
fn forget_ended(state: &mut State) {
    let ended = |order: &&Order| order.state.is_final();
    let surplus = state.orders.values().filter(ended).count().saturating_sub(ENDED_KEPT);
    if surplus == 0 {
        return;
    }
    let mut oldest: Vec<(Option<Time>, OrderNumber)> = state
        .orders
        .values()
        .filter(ended)
        .filter(|order| {
            order.state != OrderState::Done || last_done(state, order).is_some_and(|last| last.number != order.number)
        })
        .map(|order| (order.ended_at, order.number.clone()))
        .collect();
    oldest.sort();
    for (_, number) in oldest.into_iter().take(surplus) {
        state.orders.remove(&number);
    }
}

/// The order whose work is on line in the place of this one: of those that were not taken back, the one started last.
pub fn last_done<'a>(state: &'a State, of: &Order) -> Option<&'a Order> {
    state
        .orders
        .values()
        .filter(|order| order.service == of.service && order.environment == of.environment && order.kind == of.kind)
        .filter(|order| order.started_at.is_some() && order.state != OrderState::RolledBack)
        .max_by_key(|order| (order.started_at, order.number.clone()))
}

/// What this order is to be planned from.
pub fn draft(order: &Order) -> Draft<'_> {
    Draft {
        number: &order.number,
        kind: order.kind,
        service: &order.service,
        environment: &order.environment,
        release: &order.release,
        size: order.size,
        strategy: order.strategy,
        chosen: &order.chosen,
    }
}

/// The progress of every host of a plan before anything was asked.
pub fn untouched(order: &Order) -> std::collections::BTreeMap<HostName, HostProgress> {
    let progress = |has_steps: bool| HostProgress {
        state: if has_steps { HostState::NotTouched } else { HostState::New },
        step: None,
        doing: None,
        asked_at: None,
        ended_at: None,
    };
    let lanes = order.plan.batches.iter().flat_map(|batch| &batch.lanes);
    lanes.map(|lane| (lane.host.clone(), progress(!lane.steps.is_empty()))).collect()
}

impl Work<'_> {
    /// It is this order's turn: its plan is made anew, and if what it would do is what was approved, it starts.
    pub fn begin(&mut self) {
        self.order.behind = None;
        match plan(self.state, &draft(&self.order)) {
            Err(refusal) => return self.end_before_start(refusal.text),
            Ok(plan) if plan.digest() != self.order.digest => {
                self.order.digest = plan.digest();
                self.order.plan = plan;
                self.order.hosts = untouched(&self.order);
                let text = Text::new("order.planned_anew").with("digest", self.order.digest.short());
                self.note(text, Tone::Change);
                if needs_approval(self.state, &self.order) {
                    self.order.approvals.clear();
                    self.order.state = OrderState::Draft;
                    return;
                }
            }
            Ok(_) => {}
        }
        self.set_up_lanes();
        let now = self.now();
        self.order.state = OrderState::Running;
        self.order.started_at = Some(now);
        self.excuse_known_alerts();
        self.note(self.headed(story::started(self.order.kind)), Tone::Running);
        self.note_release();
        self.note_idle();
        self.note_batch();
        self.drive();
    }

    /// A lane for each host with steps, and how many servers are in service while none is out.
    pub fn set_up_lanes(&mut self) {
        let (service, environment) = (self.order.service.clone(), self.order.environment.clone());
        let with_steps: BTreeSet<HostName> = hosts(&self.order).into_iter().cloned().collect();
        let serves = |host: &HostName| with_steps.contains(host) || super::plan::on_line(self.state, &service, host).is_some();
        let servers = self
            .state
            .config
            .place(&service, &environment)
            .map_or(with_steps.len(), |place| place.servers.iter().filter(|server| serves(&server.host)).count());
        self.run.servers = servers as u32;
        self.run.lanes = with_steps.into_iter().map(|host| (host, LaneRun::default())).collect();
    }

    fn note_idle(&mut self) {
        let idle: Vec<(HostName, String)> = self
            .order
            .plan
            .batches
            .iter()
            .flat_map(|batch| &batch.lanes)
            .filter(|lane| lane.steps.is_empty())
            .map(|lane| (lane.host.clone(), lane.before.as_ref().map_or("-".into(), |before| before.version.clone())))
            .collect();
        for (host, version) in idle {
            let text = Text::new("order.no_steps").with("host", &host).with("version", version);
            self.note_on(&host, text, String::new(), Tone::Ok);
        }
    }

    /// What it was made for can't be done any more, or need not.
    fn end_before_start(&mut self, because: Text) {
        let now = self.now();
        self.order.state = OrderState::Cancelled;
        self.order.ended_at = Some(now);
        self.order.because = Some(because.clone());
        self.note(because, Tone::Halted);
        self.tell_ended();
    }
}

/// Whether somebody else has to approve before this order may start.
pub fn needs_approval(state: &State, order: &Order) -> bool {
    let environment = state.config.environments.get(&order.environment);
    environment.is_some_and(|environment| environment.approval == ApprovalRule::AnotherPerson)
}
