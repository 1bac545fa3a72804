//! Releases: order, plan, steps, gate, halt, undo.
//!
//! A request goes out as an effect and comes back as an event; in between nothing is assumed. After every event the order
//! is looked at as a whole and whatever can be asked now is asked, so that a restart, a lost answer and a host that comes
//! back need no road of their own. Never waits, never looks at a clock.

mod blind;
mod command;
mod execute;
mod plan;
mod queue;
mod reach;
mod run;
mod story;
mod undo;
mod work;

#[cfg(test)]
mod tests;

use model::order::{JudgeState, JudgeVerdict, OrderState};
use model::plan::{Doer, StepAnswer};
use model::signal::Judged;
use model::{AlertState, Epoch, HostName, OrderNumber, Recorded, Text, Time, Transition};

use crate::{Effect, State};

pub use command::perform;
pub use plan::{Draft, on_line, plan};
pub use run::{Asked, LaneRun, Releases, Run, UndoRun};
use work::with_order;

/// A server took over: what was being done is asked again under its epoch, with the same keys, so that agents answer from
/// their own journal instead of doing it twice. Goes on where the gate is well, else takes back.
pub fn take_over(state: &mut State, recorded: &Recorded, epoch: Epoch, version: &str, effects: &mut Vec<Effect>) {
    state.epoch = epoch;
    story::row(state, recorded, Text::new("self.started").with("version", version));
    for number in active(state) {
        with_order(state, recorded, &number, effects, |work| work.take_over());
    }
    queue::start_waiting(state, recorded, effects);
}

/// A step ended. What nobody waits for any more changes nothing: final states are absorbing.
pub fn advance(state: &mut State, recorded: &Recorded, answer: &StepAnswer, effects: &mut Vec<Effect>) {
    let waited_for = state
        .releases
        .runs
        .get(&answer.order)
        .and_then(|run| run.lanes.get(&answer.host))
        .and_then(|lane| lane.asked.as_ref())
        .is_some_and(|asked| asked.request.key == answer.key);
    if !waited_for {
        return;
    }
    with_order(state, recorded, &answer.order, effects, |work| {
        work.answered(answer);
        work.drive();
    });
    queue::start_waiting(state, recorded, effects);
}

/// The judge read the balancer's figures: its mind may have changed, and a gate that was only waiting for them closes.
pub fn judged(state: &mut State, recorded: &Recorded, judged: &Judged, effects: &mut Vec<Effect>) {
    if state.orders.get(&judged.order).is_none_or(|order| order.state.is_final() || order.started_at.is_none()) {
        return;
    }
    with_order(state, recorded, &judged.order, effects, |work| {
        work.order.judge = Some(JudgeState { verdict: judged.verdict, evidence: judged.evidence.clone(), at: work.recorded.at });
        let was_blind = std::mem::take(&mut work.run.blind);
        let is_bad = judged.verdict == JudgeVerdict::Worse && work.goes_on() && work.heeds_judge();
        if is_bad {
            work.bad(story::because_judge(&judged.evidence));
        }
        if is_bad || was_blind || work.order.watching_since.is_some() {
            work.drive();
        }
    });
    queue::start_waiting(state, recorded, effects);
}

/// Time has passed: silent steps, steps to be asked again, gates that have watched long enough.
pub fn due(state: &mut State, recorded: &Recorded, effects: &mut Vec<Effect>) {
    let now = state.at;
    let due: Vec<OrderNumber> =
        active(state).into_iter().filter(|number| order_due(state, number).is_some_and(|at| at <= now)).collect();
    for number in due {
        with_order(state, recorded, &number, effects, |work| {
            work.time_passed();
            work.drive();
        });
    }
    queue::start_waiting(state, recorded, effects);
}

/// When a step or a gate is due.
pub fn next_due(state: &State) -> Option<Time> {
    active(state).iter().filter_map(|number| order_due(state, number)).min()
}

/// A rule changed its mind: called after the state knows of it.
pub fn alert(state: &mut State, recorded: &Recorded, transition: &Transition, effects: &mut Vec<Effect>) {
    for number in active(state) {
        let Some(order) = state.orders.get(&number) else { continue };
        if !story::is_gate_alert(order, &transition.rule, &transition.labels) {
            continue;
        }
        with_order(state, recorded, &number, effects, |work| {
            match transition.to {
                AlertState::Ok => drop(work.run.excused.remove(&transition.alert)),
                AlertState::Bad if work.goes_on() => work.bad(story::because_rule(transition)),
                AlertState::Bad | AlertState::NoData | AlertState::SourceDown => {}
            }
            work.drive();
        });
    }
    queue::start_waiting(state, recorded, effects);
}

/// A host's link came up, or the host counts as lost: called after the state knows of it.
pub fn host(state: &mut State, recorded: &Recorded, host: &HostName, up: bool, effects: &mut Vec<Effect>) {
    for number in active(state) {
        if !state.releases.runs.get(&number).is_some_and(|run| run.lanes.contains_key(host)) {
            continue;
        }
        with_order(state, recorded, &number, effects, |work| {
            if up {
                work.host_back(host)
            } else {
                work.host_lost(host)
            }
            work.drive();
        });
    }
    queue::start_waiting(state, recorded, effects);
}

/// Orders that were started and have not ended.
fn active(state: &State) -> Vec<OrderNumber> {
    let is_active = |order: OrderState| matches!(order, OrderState::Running | OrderState::Halted | OrderState::RollingBack);
    state
        .releases
        .runs
        .keys()
        .filter(|number| state.orders.get(*number).is_some_and(|order| is_active(order.state)))
        .cloned()
        .collect()
}

fn order_due(state: &State, number: &OrderNumber) -> Option<Time> {
    let (order, run) = (state.orders.get(number)?, state.releases.runs.get(number)?);
    // While a host is away its gate does not close: what comes next is its return, or that it counts as lost.
    let watches = order.state == OrderState::Running && run.lanes.values().all(|lane| lane.away_since.is_none());
    let gate = blind::gate_due(state, order).filter(|_| watches);
    let away = |lane: &LaneRun| match order.state {
        OrderState::RollingBack => Some(lane.away_since? + undo::LOST_AFTER),
        OrderState::Running if lane.asked.as_ref().is_none_or(|asked| asked.request.action.doer() == Doer::Agent) => {
            Some(lane.away_since? + reach::LOST_AFTER)
        }
        _ => None,
    };
    let lost = run.lanes.values().filter_map(away).min();
    run.next_due().into_iter().chain(gate).chain(lost).min()
}
