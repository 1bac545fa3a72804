//! A gate that cannot see: the judge's figures do not come, so nobody can say how the new release does.
//!
//! A gate closes only on a reading that is both of its own watch and fresh; a reading that counts nothing is one. Without it
//! the gate stays open for a while, then the order halts until figures come, and the watch begins anew.

use std::time::Duration;

use model::order::{Order, OrderState};
use model::{BalancerName, Text, Time};

use super::reach::LOST_AFTER;
use super::work::{Work, watch};
use crate::State;

/// Readings come at least so often, and once more as long as the balancer is read.
const READ_EVERY: Duration = Duration::from_secs(2);
/// A reading's way into the journal.
const ON_ITS_WAY: Duration = Duration::from_millis(500);

/// Whose figures a gate needs, and how often they are read.
struct Source {
    balancer: BalancerName,
    every: Duration,
}

/// None where no judge watches: without a balancer, where the configuration has none, where nothing is watched.
fn source(state: &State, order: &Order) -> Option<Source> {
    let gate = &order.plan.batches.get(order.batch as usize)?.gate;
    let release = &state.config.service(&order.service)?.1.release;
    let balancer = state.config.place(&order.service, &order.environment)?.balancer.clone()?;
    let every = state.config.balancers.get(&balancer)?.every_while_rolling.duration();
    let judges = gate.judge && gate.watch_ms > 0 && release.judge && release.judge_bound > 0;
    judges.then_some(Source { balancer, every })
}

/// When the judge read last within this watch.
fn read_at(order: &Order, since: Time) -> Option<Time> {
    order.judge.as_ref().map(|judge| judge.at).filter(|at| *at >= since)
}

fn sees(source: &Source, order: &Order, since: Time, now: Time) -> bool {
    read_at(order, since).is_some_and(|at| at + READ_EVERY + source.every + ON_ITS_WAY >= now)
}

/// When it halts, unless figures come.
fn given_up_at(source: &Source, order: &Order, since: Time) -> Time {
    let without_figures = read_at(order, since).unwrap_or(since) + LOST_AFTER + source.every;
    without_figures.max(since + watch(order))
}

/// When the gate has to be looked at: at the end of its watch, or when it has waited for figures long enough.
pub fn gate_due(state: &State, order: &Order) -> Option<Time> {
    let since = order.watching_since.filter(|_| order.state == OrderState::Running)?;
    let end = since + watch(order);
    match source(state, order) {
        Some(source) if state.at >= end && !sees(&source, order, since, state.at) => Some(given_up_at(&source, order, since)),
        _ => Some(end),
    }
}

impl Work<'_> {
    /// The watch is over and the judge has no fresh figures: the gate stays open, and after a while the order halts.
    pub fn waits_for_figures(&mut self) -> bool {
        let (Some(since), now) = (self.order.watching_since, self.now()) else { return false };
        let Some(source) = source(self.state, &self.order) else { return false };
        if sees(&source, &self.order, since, now) {
            return false;
        }
        if now >= given_up_at(&source, &self.order, since) {
            self.pause(Text::new("because.balancer_gone").with("balancer", source.balancer));
            self.run.blind = true;
        }
        true
    }
}
