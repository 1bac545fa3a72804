//! Reads a balancer's counters, slowly at rest and five times a second while a release rolls, and feeds the judge with them.
//!
//! The judge's verdict is an event when it changes; its figures are one every two seconds as long as the balancer answers, for
//! people who watch and for the gate, which takes silence for blindness.

use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use engine::judge::Judge;
use model::config::BalancerConfig;
use model::order::{HostState, OrderState};
use model::signal::Judged;
use model::{BalancerName, Event, HostName, Labels, OrderNumber, SampleBatch, Time};
use wire::haproxy::stat::{RowKind, StatRow, to_samples};

use super::Telemetry;
use crate::perform::balancer::counters;
use crate::pump::PumpHandle;

#[cfg(test)]
mod tests;

/// Between two events with the judge's figures, while its verdict stays. The engine's gate counts on it.
const FIGURES_EVERY: Duration = Duration::from_secs(2);
/// The place of 5xx among the responses of a row.
const BAD: usize = 4;

/// A server as its balancer showed it last.
#[derive(Clone, Debug, PartialEq)]
pub struct ServerSeen {
    /// `in`, `draining`, `out`, `down`.
    pub state: &'static str,
    /// Sessions now.
    pub sessions: u64,
    /// When it was read.
    pub at: Time,
}

type Seen = BTreeMap<(BalancerName, String, String), ServerSeen>;

/// What the balancers showed last: by balancer, backend and server. Cheap to clone.
#[derive(Clone, Default)]
pub struct BalancerBoard(Arc<RwLock<Seen>>);

impl BalancerBoard {
    /// One server.
    pub fn server(&self, balancer: &BalancerName, backend: &str, server: &str) -> Option<ServerSeen> {
        let key = (balancer.clone(), backend.to_owned(), server.to_owned());
        self.0.read().unwrap_or_else(PoisonError::into_inner).get(&key).cloned()
    }

    fn show(&self, balancer: &BalancerName, rows: &[StatRow], at: Time) {
        use wire::haproxy::stat::RowState;
        let mut seen = self.0.write().unwrap_or_else(PoisonError::into_inner);
        seen.retain(|(name, _, _), _| name != balancer);
        for row in rows.iter().filter(|row| row.kind == RowKind::Server) {
            let state = match row.state {
                Some(RowState::Up) => "in",
                Some(RowState::Drain | RowState::NoLb) => "draining",
                Some(RowState::Maint) => "out",
                Some(RowState::Down) | None => "down",
            };
            let shown = ServerSeen { state, sessions: row.sessions.unwrap_or(0), at };
            seen.insert((balancer.clone(), row.proxy.clone(), row.server.clone()), shown);
        }
    }
}

/// A release that rolls behind this balancer.
struct Rolling {
    order: OrderNumber,
    backend: String,
    bound: u32,
    /// Whether a host's server has the new release, the old one, or is just being changed.
    servers: BTreeMap<String, Option<bool>>,
}

/// Runs until it is aborted.
pub async fn run(telemetry: Telemetry, pump: PumpHandle, board: BalancerBoard, name: BalancerName, config: BalancerConfig) {
    let mut judges: BTreeMap<OrderNumber, (Judge, Time)> = BTreeMap::new();
    let mut before: BTreeMap<(String, String), (u64, u64)> = BTreeMap::new();
    let mut was_up = true;
    loop {
        let rolling = rolling(&pump, &name);
        judges.retain(|order, _| rolling.iter().any(|rolling| rolling.order == *order));
        let at = telemetry.clock().now();
        let mut batch = SampleBatch::new();
        let up = match counters(&config).await {
            Ok(rows) => {
                board.show(&name, &rows, at);
                to_samples(&rows, &[("balancer", name.as_str())], at, &mut batch);
                for rolling in &rolling {
                    let (judge, told_at) =
                        judges.entry(rolling.order.clone()).or_insert_with(|| (Judge::new(rolling.bound), Time::MIN));
                    if let Some(judged) = judge_rows(judge, told_at, rolling, &rows, &before, at) {
                        let _ = pump.enqueue(Event::Judged(judged)).await;
                    }
                }
                before = rows.iter().filter_map(|row| Some(((row.proxy.clone(), row.server.clone()), answers(row)?))).collect();
                true
            }
            Err(error) => {
                if was_up {
                    tracing::warn!(balancer = %name, %error, "failed to read a balancer's counters");
                }
                board.show(&name, &[], at);
                false
            }
        };
        was_up = up;
        let labels = [(model::labels::METRIC_NAME, "flyball_balancer_up"), ("balancer", name.as_str())];
        if let Ok(labels) = Labels::new(labels) {
            batch.push(&labels, at, f64::from(u8::from(up)));
        }
        // Not awaited to the disk: the next look must not wait for it.
        let telemetry_now = telemetry.clone();
        tokio::spawn(async move {
            if let Err(error) = telemetry_now.take(&batch).await {
                tracing::debug!(%error, "failed to keep a balancer's counters");
            }
        });
        pause(&pump, &name, &config, !rolling.is_empty()).await;
    }
}

/// Sleeps until the next look; wakes within 200 ms when a release begins to roll.
async fn pause(pump: &PumpHandle, name: &BalancerName, config: &BalancerConfig, is_rolling: bool) {
    let quick = config.every_while_rolling.duration().max(Duration::from_millis(20));
    if is_rolling {
        return tokio::time::sleep(quick).await;
    }
    let until = tokio::time::Instant::now() + config.every.duration().max(quick);
    while tokio::time::Instant::now() < until {
        tokio::time::sleep(Duration::from_millis(200).min(until - tokio::time::Instant::now())).await;
        if !rolling(pump, name).is_empty() {
            return;
        }
    }
}

fn rolling(pump: &PumpHandle, name: &BalancerName) -> Vec<Rolling> {
    pump.read_state(|state| {
        let active = state.orders.values().filter(|order| matches!(order.state, OrderState::Running | OrderState::Halted));
        active
            .filter_map(|order| {
                let place = state.config.place(&order.service, &order.environment)?;
                if place.balancer.as_ref() != Some(name) {
                    return None;
                }
                let release = &state.config.service(&order.service)?.1.release;
                let has_new = |host: &HostName| match order.hosts.get(host).map(|progress| progress.state) {
                    Some(HostState::New) => Some(true),
                    Some(HostState::NotTouched) | None => Some(false),
                    Some(_) => None,
                };
                let servers = place.servers.iter().map(|server| {
                    let named = server.name.clone().unwrap_or_else(|| server.host.to_string());
                    (named, has_new(&server.host))
                });
                Some(Rolling {
                    order: order.number.clone(),
                    backend: place.backend.clone().unwrap_or_else(|| order.service.to_string()),
                    bound: if release.judge { release.judge_bound } else { 0 },
                    servers: servers.collect(),
                })
            })
            .filter(|rolling| rolling.bound > 0)
            .collect()
    })
}

/// Bad answers and all answers of a server since its balancer started.
fn answers(row: &StatRow) -> Option<(u64, u64)> {
    if row.kind != RowKind::Server {
        return None;
    }
    let all = row.responses.iter().flatten().sum();
    Some((row.responses[BAD].unwrap_or(0), all))
}

fn judge_rows(
    judge: &mut Judge,
    told_at: &mut Time,
    rolling: &Rolling,
    rows: &[StatRow],
    before: &BTreeMap<(String, String), (u64, u64)>,
    at: Time,
) -> Option<Judged> {
    let (mut new, mut old) = ((0, 0), (0, 0));
    for row in rows.iter().filter(|row| row.proxy == rolling.backend) {
        let Some(Some(has_new)) = rolling.servers.get(&row.server) else { continue };
        let Some((bad, all)) = answers(row) else { continue };
        let Some((bad_before, all_before)) = before.get(&(row.proxy.clone(), row.server.clone())) else { continue };
        // A balancer that was restarted counts from zero.
        let (bad, all) = (bad.saturating_sub(*bad_before), all.saturating_sub(*all_before));
        let side = if *has_new { &mut new } else { &mut old };
        (side.0, side.1) = (side.0 + bad, side.1 + all);
    }
    let order = rolling.order.clone();
    if let Some(verdict) = judge.observe(new.0, new.1, old.0, old.1) {
        *told_at = at;
        return Some(Judged { order, verdict: verdict.verdict, evidence: verdict.evidence });
    }
    // Also when nothing was answered: a gate closes only while somebody reads the counters.
    if at.since(*told_at) >= FIGURES_EVERY {
        *told_at = at;
        return Some(Judged { order, verdict: judge.verdict(), evidence: judge.evidence().clone() });
    }
    None
}
