//! The Deploy page of a service in one environment.

use engine::State;
use model::api::{PathStep, Place};
use model::config::ApprovalRule;
use model::order::Order;
use model::{EnvironmentName, ProjectName, ServiceName, Text};

use super::{rows, servers};

/// Most orders and artifacts shown.
const ROWS_MAX: usize = 50;

/// The page's data; none where there is no such place.
pub fn place(
    state: &State,
    figures: &servers::Figures,
    project: &ProjectName,
    service: &ServiceName,
    environment: &EnvironmentName,
) -> Option<Place> {
    let config = state.config.projects.get(project)?.services.get(service)?;
    let here = config.environments.get(environment)?;
    let rules = state.config.environments.get(environment).cloned().unwrap_or_default();
    let mut orders: Vec<&Order> =
        state.orders.values().filter(|order| order.service == *service && order.environment == *environment).collect();
    orders.sort_by_key(|order| std::cmp::Reverse((order.created_at, order.number.clone())));
    let busy = orders.iter().find(|order| !order.state.is_final());
    let off_because = if here.servers.is_empty() {
        Some(Text::new("verb.no_host").with("service", service).with("environment", environment))
    } else {
        busy.map(|order| Text::new("order.waits_for_order").with("order", "").with("behind", order.number.tail()))
    };
    let mut artifacts: Vec<_> = state.artifacts.values().cloned().collect();
    artifacts.sort_by_key(|artifact| std::cmp::Reverse(artifact.at));
    artifacts.truncate(ROWS_MAX);
    Some(Place {
        project: project.clone(),
        service: service.clone(),
        environment: environment.clone(),
        path: config.environments.keys().map(|name| path_step(state, service, name)).collect(),
        approval: rules.approval == ApprovalRule::AnotherPerson,
        confirm: rules.confirm,
        strategy: config.release.strategy,
        servers: servers::rows(state, figures, service, environment, here),
        orders: orders.into_iter().take(ROWS_MAX).map(rows::order).collect(),
        artifacts,
        off_because,
    })
}

fn path_step(state: &State, service: &ServiceName, environment: &EnvironmentName) -> PathStep {
    let last = state
        .orders
        .values()
        .filter(|order| order.service == *service && order.environment == *environment)
        .max_by_key(|order| order.created_at);
    PathStep {
        environment: environment.clone(),
        state: last.map(|order| order.state),
        at: last.map(|order| order.ended_at.or(order.halted_at).or(order.started_at).unwrap_or(order.created_at)),
        on_line: on_line(state, service, environment),
    }
}

/// The versions that a service's servers have on line, each once.
pub fn on_line(state: &State, service: &ServiceName, environment: &EnvironmentName) -> Vec<String> {
    let Some(place) = state.config.place(service, environment) else { return Vec::new() };
    let versions: std::collections::BTreeSet<String> = state
        .services
        .iter()
        .filter(|(key, _)| key.service == *service && place.servers.iter().any(|server| server.host == key.host))
        .filter_map(|(_, seen)| seen.release.as_ref().map(|release| release.version.clone()))
        .collect();
    versions.into_iter().collect()
}
