//! The Overview: one sentence that says how things are, what waits for a person, numbers, services, and the newest story.
//!
//! In two steps: numbers are measured first, without the state; then the state is read, shortly, since the pump waits.

use std::collections::BTreeMap;
use std::time::Duration;

use engine::State;
use model::api::{Number, OrderRow, Overview, OwnState, ServiceRow, StoryRef, Track, Waiting, WaitingKind};
use model::config::{Config, NumberConfig, PlaceConfig};
use model::incident::{Incident, IncidentState};
use model::order::{Order, OrderState};
use model::{AlertState, EnvironmentName, HostName, ProjectName, ServiceName, Text, Time};
use query::source::Source;

use super::{numbers, place, rows, servers};

/// How far back a number's line goes, and its step.
const NUMBER_BACK: Duration = Duration::from_secs(300);
const NUMBER_STEP: Duration = Duration::from_secs(5);
/// Most numbers shown.
const NUMBERS_MAX: usize = 5;
/// A story that ended longer ago is no news.
const STORY_FOR: Duration = Duration::from_secs(3600);

/// What the series say for the Overview.
#[derive(Clone, Debug, Default)]
pub struct Measured {
    /// The numbers, business first.
    pub numbers: Vec<Number>,
    /// By service and environment.
    pub places: BTreeMap<(ServiceName, EnvironmentName), PlaceFigures>,
}

/// What the series say of a service in one environment.
#[derive(Clone, Debug, Default)]
pub struct PlaceFigures {
    /// Requests per second at the balancer.
    pub requests: Option<f64>,
    /// Share of bad answers, 0 to 1.
    pub bad_share: Option<f64>,
    /// The 95th percentile of what its probes took within a minute, in seconds; of several probes the slowest.
    pub p95: Option<f64>,
    /// By server.
    pub servers: servers::Figures,
}

/// Measures all that the Overview shows. `machine` is shown where nobody has chosen numbers.
pub fn measure(config: &Config, machine: Option<&HostName>, source: &dyn Source, at: Time) -> Measured {
    let mut places = BTreeMap::new();
    for (_, service, of) in config.services() {
        for (environment, here) in &of.environments {
            places.insert((service.clone(), environment.clone()), measure_place(source, at, service, here));
        }
    }
    Measured { numbers: numbers_of(config, machine, source, at), places }
}

/// Measures one service in one environment.
pub fn measure_place(source: &dyn Source, at: Time, service: &ServiceName, here: &PlaceConfig) -> PlaceFigures {
    let (requests, bad_share) = match &here.balancer {
        Some(balancer) => {
            let backend = here.backend.clone().unwrap_or_else(|| service.to_string());
            let which = format!("balancer={:?}, proxy={backend:?}", balancer.as_str());
            let all = numbers::one(source, &format!("sum(rate(haproxy_server_http_responses_total{{{which}}}[10s]))"), at);
            let bad = numbers::one(
                source,
                &format!("sum(rate(haproxy_server_http_responses_total{{{which}, code=\"5xx\"}}[10s]))"),
                at,
            );
            (all, all.filter(|all| *all > 0.0).and_then(|all| bad.map(|bad| bad / all)))
        }
        None => (None, None),
    };
    let took = format!("max(quantile_over_time(0.95, probe_duration_seconds{{service={:?}}}[1m]))", service.as_str());
    let p95 = numbers::one(source, &took, at);
    PlaceFigures { requests, bad_share, p95, servers: servers::Figures::read(source, at, service, here) }
}

/// The Overview at this moment. `own` is what only the server knows of itself.
pub fn overview(state: &State, measured: Measured, at: Time, own: OwnState) -> Overview {
    let open: Vec<&Incident> = state.incidents.values().filter(|incident| incident.state != IncidentState::Resolved).collect();
    let hurting: Vec<&&Incident> = open.iter().filter(|incident| incident.recovered_at.is_none()).collect();
    let mut running: Vec<&Order> = state.orders.values().filter(|order| !order.state.is_final()).collect();
    running.sort_by_key(|order| (urgency(order), order.created_at));
    let story = story(state, at);
    let services = services(state, &measured);
    let (sentence, figures, well) = sentence(state, &hurting, &running, &services, &story, at);
    Overview {
        at,
        sentence,
        state: if well { AlertState::Ok } else { AlertState::Bad },
        figures,
        waiting: waiting(state, &open, &running, at),
        services,
        numbers: measured.numbers,
        heartbeats: rows::heartbeats(state, at),
        on_call: rows::on_call(&state.config),
        hosts: rows::hosts(state),
        running: running.into_iter().map(rows::order).collect::<Vec<OrderRow>>(),
        story,
        own,
    }
}

/// The worst first: halted, rolling back, running, the rest.
fn urgency(order: &Order) -> u8 {
    match order.state {
        OrderState::Halted => 0,
        OrderState::RollingBack => 1,
        OrderState::Running => 2,
        _ => 3,
    }
}

fn sentence(
    state: &State,
    hurting: &[&&Incident],
    running: &[&Order],
    services: &[ServiceRow],
    story: &Option<StoryRef>,
    at: Time,
) -> (Text, Option<Text>, bool) {
    if let Some(incident) = hurting.iter().min_by_key(|incident| (incident.priority, incident.onset)) {
        let name = incident.scope.service.as_ref().map_or_else(|| incident.number.to_string(), ToString::to_string);
        let text = Text::new("overview.hurts").with("what", name).with("since", incident.onset.clock());
        let suspect = incident.suspects.first().and_then(|suspect| suspect.change.order.clone());
        let undo =
            suspect.as_ref().and_then(|number| state.orders.get(number)).filter(|order| order.state == OrderState::RollingBack);
        let figures = match (undo, suspect) {
            (Some(order), _) => {
                let row = rows::order(order);
                let undone = order.hosts.values().filter(|host| host.state == model::order::HostState::Old).count();
                Some(
                    Text::new("overview.rolling_back")
                        .with("order", order.number.tail())
                        .with("done", undone)
                        .with("of", row.hosts),
                )
            }
            (None, Some(order)) => Some(Text::new("overview.suspect").with("order", order.tail())),
            (None, None) => Some(Text::new("overview.no_suspect").with("count", incident.changes_seen)),
        };
        return (text, figures, false);
    }
    if let Some(order) = running.iter().find(|order| matches!(order.state, OrderState::Halted | OrderState::RollingBack)) {
        let id = if order.state == OrderState::Halted { "overview.halted" } else { "overview.going_back" };
        return (Text::new(id).with("service", &order.service).with("to", &order.release.version), order.because.clone(), false);
    }
    if let Some((text, figures)) = services.iter().find_map(|row| none_in(state, running, row)) {
        return (text, Some(figures), false);
    }
    if let Some(order) = running.iter().find(|order| order.state == OrderState::Running) {
        let row = rows::order(order);
        let first = is_first(order) && services.iter().any(|row| is_of(order, row) && row.servers_in == 0);
        let id = if first { "overview.rolling_first" } else { "overview.rolling" };
        let text = Text::new(id).with("service", &order.service).with("to", &order.release.version);
        return (text, Some(Text::new("overview.progress").with("done", row.hosts_done).with("of", row.hosts)), true);
    }
    let ended = story.as_ref().and_then(|story| story.order.as_ref()).and_then(|number| state.orders.get(number));
    match ended {
        Some(order) if order.state == OrderState::RolledBack => {
            let text = Text::new("overview.taken_back").with("service", &order.service);
            (text, order.because.clone(), true)
        }
        _ => {
            let agents = rows::hosts(state).iter().filter(|host| host.state == AlertState::Ok).count();
            (
                Text::new("overview.well"),
                Some(Text::new("overview.well_figures").with("hosts", agents).with("at", at.clock())),
                true,
            )
        }
    }
}

/// What is said of a service that had servers in service and has none now, though no rule has noticed.
fn none_in(state: &State, running: &[&Order], row: &ServiceRow) -> Option<(Text, Text)> {
    if row.servers_in > 0 || row.on_line.is_empty() || !matches!(row.state, AlertState::Bad | AlertState::SourceDown) {
        return None;
    }
    let place = state.config.place(&row.service, &row.environment)?;
    // The last one to go was the last that served anybody.
    let since = place.servers.iter().filter_map(|server| servers::since(state, &row.service, &server.host)).max()?;
    let rolling = running.iter().find(|order| order.state == OrderState::Running && is_of(order, row));
    let text = match (rolling, row.state) {
        (_, AlertState::SourceDown) => Text::new("overview.lost").with("what", &row.service),
        (Some(order), _) => Text::new("overview.rolling_none").with("service", &row.service).with("to", &order.release.version),
        (None, _) => Text::new("overview.hurts").with("what", &row.service),
    };
    Some((text.with("since", since.clock()), Text::new("overview.none_in").with("of", row.servers)))
}

fn is_of(order: &Order, row: &ServiceRow) -> bool {
    order.service == row.service && order.environment == row.environment
}

/// Whether an order brings a service where it has never been: nobody misses it meanwhile.
fn is_first(order: &Order) -> bool {
    order.plan.batches.iter().flat_map(|batch| &batch.lanes).all(|lane| lane.before.is_none())
}

fn waiting(state: &State, open: &[&Incident], running: &[&Order], at: Time) -> Vec<Waiting> {
    let mut out = Vec::new();
    for incident in open {
        let id = match (incident.state, incident.recovered_at) {
            (IncidentState::Open, None) => "waiting.acknowledge",
            (_, Some(_)) => "waiting.resolve",
            _ => continue,
        };
        out.push(Waiting {
            text: Text::new(id).with("number", incident.number),
            to: format!("/incidents/{}", incident.number.0),
            state: WaitingKind::Incident,
        });
    }
    for row in rows::heartbeats(state, at).iter().filter(|row| row.state == AlertState::Bad) {
        let text = Text::new("waiting.heartbeat").with("heartbeat", &row.heartbeat);
        out.push(Waiting { text, to: "/".into(), state: WaitingKind::Heartbeat });
    }
    for host in rows::hosts(state).iter().filter(|host| host.state == AlertState::SourceDown) {
        let text = Text::new("self.host_lost").with("host", &host.host);
        out.push(Waiting { text, to: "/".into(), state: WaitingKind::SourceDown });
    }
    for order in running {
        let id = match order.state {
            OrderState::Draft => "waiting.approve",
            OrderState::Halted => "waiting.halted",
            _ => continue,
        };
        let to = format!("/deploy/{}/{}/{}/{}", order.project, order.service, order.environment, order.number);
        out.push(Waiting { text: Text::new(id).with("order", order.number.tail()), to, state: WaitingKind::Order });
    }
    out
}

fn numbers_of(config: &Config, machine: Option<&HostName>, source: &dyn Source, at: Time) -> Vec<Number> {
    let configured: Vec<_> = config.services().flat_map(|(_, _, service)| &service.numbers).take(NUMBERS_MAX).cloned().collect();
    let chosen = match machine {
        Some(host) if configured.is_empty() => machine_numbers(host),
        _ => configured,
    };
    chosen
        .into_iter()
        .map(|number| {
            let from = Time(at.0 / 5_000_000 * 5_000_000) - NUMBER_BACK;
            let series = numbers::over(source, &number.query, from, from + NUMBER_BACK, NUMBER_STEP).unwrap_or_default();
            let value = numbers::one(source, &number.query, at);
            let line = series.into_iter().next();
            Number {
                state: match (value, number.limit) {
                    (None, _) => AlertState::NoData,
                    (Some(value), Some(limit)) if value > limit => AlertState::Bad,
                    _ => AlertState::Ok,
                },
                title: number.title,
                query: number.query,
                value,
                unit: number.unit,
                limit: number.limit,
                times: line.as_ref().map(|line| line.times.clone()).unwrap_or_default(),
                values: line.map(|line| line.values).unwrap_or_default(),
            }
        })
        .collect()
}

/// A machine's own numbers: shown where nobody has chosen others, and by `check HOST`.
pub fn machine_numbers(host: &HostName) -> Vec<NumberConfig> {
    let on = format!("host={:?}", host.as_str());
    let number = |title: &str, query: String, unit: &str, limit: Option<f64>| NumberConfig {
        title: title.into(),
        query,
        unit: unit.into(),
        limit,
    };
    vec![
        number("CPU", format!("100 * (1 - avg(rate(node_cpu_seconds_total{{{on}, mode=\"idle\"}}[15s])))"), "%", Some(95.0)),
        number(
            "Memory",
            format!("100 * (1 - node_memory_MemAvailable_bytes{{{on}}} / node_memory_MemTotal_bytes{{{on}}})"),
            "%",
            Some(95.0),
        ),
        number(
            "Disk",
            format!("100 * max(1 - node_filesystem_avail_bytes{{{on}}} / (node_filesystem_size_bytes{{{on}}} > 0))"),
            "%",
            Some(90.0),
        ),
        number("Network in", format!("sum(rate(node_network_receive_bytes_total{{{on}, device!=\"lo\"}}[15s]))"), "B/s", None),
        number("TCP connections", format!("sum(node_tcp_connection_states{{{on}, state=\"established\"}})"), "", None),
    ]
}

/// All services in all of their environments.
pub fn services(state: &State, measured: &Measured) -> Vec<ServiceRow> {
    let nothing = PlaceFigures::default();
    let mut out = Vec::new();
    for (project, service, config) in state.config.services() {
        for (environment, here) in &config.environments {
            let figures = measured.places.get(&(service.clone(), environment.clone())).unwrap_or(&nothing);
            out.push(service_row(state, figures, (project, service, environment), here));
        }
    }
    out
}

/// One service in one environment.
pub fn service_row(
    state: &State,
    figures: &PlaceFigures,
    (project, service, environment): (&ProjectName, &ServiceName, &EnvironmentName),
    here: &PlaceConfig,
) -> ServiceRow {
    let servers = servers::rows(state, &figures.servers, service, environment, here);
    let servers_in = servers.iter().filter(|row| servers::is_up(row)).count() as u32;
    let bad = state.incidents.values().any(|incident| {
        incident.state != IncidentState::Resolved
            && incident.recovered_at.is_none()
            && incident.scope.service.as_ref() == Some(service)
    });
    let lost = servers.iter().filter(|row| !row.host_up).count();
    let on_line = place::on_line(state, service, environment);
    let none_in = servers_in == 0 && !on_line.is_empty();
    let first = state.orders.values().any(|order| {
        order.state == OrderState::Running && order.service == *service && order.environment == *environment && is_first(order)
    });
    let last = state.changes.iter().rev().find(|seen| {
        seen.change.scope.service.as_ref() == Some(service)
            && seen.change.scope.environment.as_ref().is_none_or(|of| of == environment)
    });
    ServiceRow {
        project: project.clone(),
        service: service.clone(),
        environment: environment.clone(),
        state: match () {
            () if servers.is_empty() => AlertState::NoData,
            () if bad => AlertState::Bad,
            () if lost == servers.len() => AlertState::SourceDown,
            () if none_in && first => AlertState::NoData,
            () if none_in => AlertState::Bad,
            () if lost > 0 => AlertState::SourceDown,
            () => AlertState::Ok,
        },
        requests: figures.requests,
        bad_share: figures.bad_share,
        p95: figures.p95,
        on_line,
        servers_in,
        servers: here.servers.len() as u32,
        last_change: last.map(|seen| seen.change.what.clone()),
        last_change_at: last.map(|seen| seen.at),
    }
}

/// The newest incident, else the newest release, if it is news.
fn story(state: &State, at: Time) -> Option<StoryRef> {
    let fresh = |end: Option<Time>| end.is_none_or(|end| at.since(end) < STORY_FOR);
    let incident = state.incidents.values().filter(|incident| fresh(incident.recovered_at)).max_by_key(|incident| incident.onset);
    let order = state
        .orders
        .values()
        .filter(|order| order.started_at.is_some() && fresh(order.ended_at))
        .max_by_key(|order| order.started_at);
    let (service, onset, order, incident) = match (incident, order) {
        (Some(incident), order)
            if order.is_none_or(|order| order.started_at <= Some(incident.opened_at) || order.halted_at.is_some()) =>
        {
            // Bad again with a later release: then that one is the news, not the first of the incident.
            let again = order.filter(|order| {
                incident.scope.service.as_ref() == Some(&order.service) && order.started_at > Some(incident.onset)
            });
            let suspect = || incident.suspects.first().and_then(|suspect| suspect.change.order.clone());
            let onset = again.and_then(|order| order.halted_at).unwrap_or(incident.onset);
            let order = again.map(|order| order.number.clone()).or_else(suspect);
            (incident.scope.service.clone(), Some(onset), order, Some(incident))
        }
        (_, Some(order)) => (Some(order.service.clone()), order.halted_at, Some(order.number.clone()), None),
        _ => return None,
    };
    let begun = order.as_ref().and_then(|number| state.orders.get(number)).and_then(|order| order.started_at);
    let begin = begun.into_iter().chain(onset).min().unwrap_or(at);
    let ended = order
        .as_ref()
        .and_then(|number| state.orders.get(number))
        .and_then(|order| order.ended_at)
        .into_iter()
        .chain(incident.and_then(|incident| incident.recovered_at))
        .max();
    let margin = Duration::from_secs(15);
    Some(StoryRef {
        incident: incident.map(|incident| incident.number),
        tracks: service.as_ref().map(|service| tracks(state, service)).unwrap_or_default(),
        order,
        service,
        from: begin - margin,
        to: ended.map(|end| end + margin * 2).filter(|end| *end < at),
        onset,
    })
}

fn tracks(state: &State, service: &ServiceName) -> Vec<Track> {
    let Some((_, config)) = state.config.service(service) else { return Vec::new() };
    config
        .numbers
        .iter()
        .take(2)
        .map(|number| Track { title: number.title.clone(), query: number.query.clone(), unit: number.unit.clone() })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use engine::state::{HostState, ServiceOnHost};
    use model::Language;
    use model::signal::{HostSeen, ServiceSeen, ServiceState};
    use serde_json::json;

    /// Two servers with 1.0 on line, their links up or not and their processes in a state, since 10 s.
    fn shop(hosts_up: bool, state: ServiceState) -> State {
        let config = json!({
            "hosts": {"a": {"address": "127.0.0.11"}, "b": {"address": "127.0.0.12"}},
            "environments": {"prod": {}},
            "projects": {"mall": {"services": {"shop": {"environments": {"prod": {
                "servers": [{"host": "a", "port": 8080}, {"host": "b", "port": 8080}]}}}}}},
        });
        let mut whole = State { config: serde_json::from_value(config).unwrap(), ..State::default() };
        let (since, service) = (Time::from_secs(10), ServiceName::new("shop").unwrap());
        for name in ["a", "b"] {
            let host = HostName::new(name).unwrap();
            let seen: HostSeen = serde_json::from_value(
                json!({"host": name, "up": hosts_up, "agent_version": "1", "boot_id": "1", "clock_ahead_us": 0}),
            )
            .unwrap();
            whole.hosts.insert(host.clone(), HostState { seen, since, lost_at: None });
            let release = serde_json::from_value(json!({"digest": "0", "version": "1.0"})).unwrap();
            let seen =
                ServiceSeen { host: host.clone(), service: service.clone(), state, release, since, pid: None, restarts: 0 };
            whole.services.insert(ServiceOnHost { service: service.clone(), host }, seen);
        }
        whole
    }

    #[test]
    fn nothing_is_well_while_no_server_is_in_service() {
        let own = || OwnState {
            state: AlertState::Ok,
            agents_up: 2,
            agents: 2,
            saved_at: Time(0),
            seq: model::Seq(1),
            outbox: 0,
            series: 0,
            damaged: 0,
            started_at: Time(0),
        };
        for (hosts_up, state, row, whole, said) in [
            (true, ServiceState::Running, AlertState::Ok, AlertState::Ok, "Nothing hurts now."),
            (true, ServiceState::Crashed, AlertState::Bad, AlertState::Bad, "shop hurts since 00:00:10."),
            (
                false,
                ServiceState::Running,
                AlertState::SourceDown,
                AlertState::Bad,
                "shop: no host of it answers since 00:00:10.",
            ),
        ] {
            let seen = overview(&shop(hosts_up, state), Measured::default(), Time::from_secs(60), own());
            assert_eq!(seen.services[0].state, row, "{said}");
            assert_eq!((seen.state, seen.sentence.render(Language::En).as_str()), (whole, said));
        }
        let mut one_left = shop(true, ServiceState::Crashed);
        one_left.services.values_mut().next().unwrap().state = ServiceState::Running;
        let seen = overview(&one_left, Measured::default(), Time::from_secs(60), own());
        assert_eq!((seen.services[0].servers_in, seen.services[0].state), (1, AlertState::Ok));
    }
}
