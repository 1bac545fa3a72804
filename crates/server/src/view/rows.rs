//! The engine's things as rows: incidents, orders, hosts, heartbeats. Pure: state in, rows out.

use engine::State;
use model::api::{HeartbeatRow, HostRow, IncidentRow, OnCallRow, OrderRow};
use model::config::Config;
use model::incident::Incident;
use model::order::{HostState, Order};
use model::signal::HeartbeatSign;
use model::{AlertState, ServiceName, Time};

/// An incident.
pub fn incident(incident: &Incident) -> IncidentRow {
    IncidentRow {
        number: incident.number,
        title: incident.title.clone(),
        priority: incident.priority,
        state: incident.state,
        scope: incident.scope.clone(),
        onset: incident.onset,
        recovered_at: incident.recovered_at,
        owner: incident.owner.clone(),
        suspect: incident.suspects.first().map(|suspect| suspect.change.what.clone()),
    }
}

/// An order.
pub fn order(order: &Order) -> OrderRow {
    let before: std::collections::BTreeSet<&str> = order
        .plan
        .batches
        .iter()
        .flat_map(|batch| &batch.lanes)
        .filter_map(|lane| lane.before.as_ref().map(|before| before.version.as_str()))
        .collect();
    let through = |state: HostState| matches!(state, HostState::New | HostState::Old);
    OrderRow {
        number: order.number.clone(),
        project: order.project.clone(),
        service: order.service.clone(),
        environment: order.environment.clone(),
        from: (before.len() == 1).then(|| before.first().map(|version| (*version).to_owned())).flatten(),
        to: order.release.version.clone(),
        state: order.state,
        author: order.author.clone(),
        reason: order.reason.clone(),
        hosts_done: order.hosts.values().filter(|host| through(host.state)).count() as u32,
        hosts: order.hosts.len() as u32,
        because: order.because.clone(),
        created_at: order.created_at,
        started_at: order.started_at,
        halted_at: order.halted_at,
        ended_at: order.ended_at,
    }
}

/// All hosts: configured ones and those whose agents report.
pub fn hosts(state: &State) -> Vec<HostRow> {
    let names: std::collections::BTreeSet<_> = state.config.hosts.keys().chain(state.hosts.keys()).collect();
    names
        .into_iter()
        .map(|name| {
            let seen = state.hosts.get(name);
            let services: std::collections::BTreeSet<ServiceName> = state
                .config
                .services()
                .filter(|(_, _, service)| {
                    service.environments.values().flat_map(|place| &place.servers).any(|server| server.host == *name)
                })
                .map(|(_, service, _)| service.clone())
                .collect();
            HostRow {
                host: name.clone(),
                state: match seen {
                    None => AlertState::NoData,
                    Some(host) if host.seen.up => AlertState::Ok,
                    Some(_) => AlertState::SourceDown,
                },
                since: seen.map(|host| host.since),
                agent_version: seen.map(|host| host.seen.agent_version.clone()).unwrap_or_default(),
                services: services.into_iter().collect(),
            }
        })
        .collect()
}

/// All heartbeats, late and failed ones first.
pub fn heartbeats(state: &State, now: Time) -> Vec<HeartbeatRow> {
    let mut rows: Vec<HeartbeatRow> = state
        .config
        .heartbeats
        .iter()
        .map(|(name, config)| {
            let seen = state.heartbeats.get(name);
            let late = seen.and_then(|seen| seen.due_at).is_some_and(|due| now > due + config.grace.duration());
            let failed =
                seen.and_then(|seen| seen.last.as_ref()).is_some_and(|(_, ping)| matches!(ping.sign, HeartbeatSign::Fail(_)));
            HeartbeatRow {
                heartbeat: name.clone(),
                state: match seen {
                    _ if late || failed => AlertState::Bad,
                    Some(seen) if seen.last.is_some() => AlertState::Ok,
                    _ => AlertState::NoData,
                },
                last_at: seen.and_then(|seen| seen.success_at),
                took_ms: seen.and_then(|seen| seen.took_ms),
                due_at: seen.and_then(|seen| seen.due_at),
            }
        })
        .collect();
    rows.sort_by_key(|row| (row.state != AlertState::Bad, row.heartbeat.clone()));
    rows
}

/// Who is on call, by service.
pub fn on_call(config: &Config) -> Vec<OnCallRow> {
    config
        .services()
        .filter_map(|(_, service, of)| {
            let person = of.on_call.as_ref()?;
            Some(OnCallRow { service: service.clone(), person: shown(config, person.as_str()) })
        })
        .collect()
}

/// A person's name as it is shown.
pub fn shown(config: &Config, name: &str) -> String {
    config.users.get(name).map(|user| user.name.clone()).filter(|shown| !shown.is_empty()).unwrap_or_else(|| name.to_owned())
}
