//! The servers of a service as the Deploy page and `check` show them: what their agents say, what the balancer says, what
//! they use.

use std::collections::BTreeMap;

use engine::State;
use engine::state::ServiceOnHost;
use model::api::ServerRow;
use model::config::PlaceConfig;
use model::order::Order;
use model::signal::ServiceState;
use model::{EnvironmentName, HostName, Labels, ServiceName, Time};
use query::source::Source;

use super::numbers;

/// The servers of a service in one environment, in the configuration's order.
pub fn rows(
    state: &State,
    figures: &Figures,
    service: &ServiceName,
    environment: &EnvironmentName,
    place: &PlaceConfig,
) -> Vec<ServerRow> {
    place
        .servers
        .iter()
        .map(|server| {
            let host = state.hosts.get(&server.host);
            let seen = state.services.get(&ServiceOnHost { service: service.clone(), host: server.host.clone() });
            let last = last_order(state, service, environment, &server.host);
            let progress = last.and_then(|order| order.hosts.get(&server.host));
            let last_line = last.and_then(|order| order.story.iter().rev().find(|note| note.host.as_ref() == Some(&server.host)));
            let address = state.config.hosts.get(&server.host).map_or("", |host| host.address.as_str());
            let address = if address.is_empty() { server.host.as_str() } else { address };
            let name = server.name.clone().unwrap_or_else(|| server.host.to_string());
            ServerRow {
                host: server.host.clone(),
                address: format!("{address}:{}", server.port),
                container: "process".into(),
                release: seen.and_then(|seen| seen.release.clone()),
                state: seen.map(|seen| seen.state),
                since: seen.map(|seen| seen.since),
                host_up: host.is_some_and(|host| host.seen.up),
                balancer: figures.balancer.get(&name).cloned(),
                sessions: figures.sessions.get(&name).map(|sessions| *sessions as u64),
                cpu_cores: figures.cpu.get(server.host.as_str()).copied(),
                memory_bytes: figures.memory.get(server.host.as_str()).copied(),
                memory_limit_bytes: figures.memory_limit.get(server.host.as_str()).copied(),
                disk_share: figures.disk.get(server.host.as_str()).copied(),
                last_order: last.map(|order| order.number.clone()),
                last_result: progress.map(|progress| progress.state),
                last_at: progress.and_then(|progress| progress.ended_at.or(progress.asked_at)),
                last_line: last_line.map(|note| note.text.clone()),
            }
        })
        .collect()
}

/// Whether a server does its work: its host answers, its process runs, and the balancer sends it requests.
pub fn is_up(row: &ServerRow) -> bool {
    row.host_up && row.state == Some(ServiceState::Running) && row.balancer.as_deref().is_none_or(|word| word == "in")
}

/// Since when a server is as it is: its host's link or, where that is up, its process. None where neither was ever seen.
pub fn since(state: &State, service: &ServiceName, host: &HostName) -> Option<Time> {
    let link = state.hosts.get(host);
    let process = state.services.get(&ServiceOnHost { service: service.clone(), host: host.clone() });
    match (link, process) {
        (Some(link), Some(process)) if link.seen.up => Some(process.since),
        (Some(link), _) => Some(link.since),
        (None, process) => process.map(|process| process.since),
    }
}

/// The order that last did something on this host: the one under way, else the last that ended.
fn last_order<'a>(state: &'a State, service: &ServiceName, environment: &EnvironmentName, host: &HostName) -> Option<&'a Order> {
    state
        .orders
        .values()
        .filter(|order| order.service == *service && order.environment == *environment && order.started_at.is_some())
        .filter(|order| order.hosts.contains_key(host))
        .max_by_key(|order| (order.ended_at.is_none(), order.ended_at, order.started_at))
}

/// What the series say, by the balancer's server name or by host. Read before the state, which is held shortly.
#[derive(Clone, Debug, Default)]
pub struct Figures {
    balancer: BTreeMap<String, String>,
    sessions: BTreeMap<String, f64>,
    cpu: BTreeMap<String, f64>,
    memory: BTreeMap<String, f64>,
    memory_limit: BTreeMap<String, f64>,
    disk: BTreeMap<String, f64>,
}

impl Figures {
    /// Reads them for a service in one environment.
    pub fn read(source: &dyn Source, at: Time, service: &ServiceName, place: &PlaceConfig) -> Figures {
        let by = |label: &str, promql: String| -> BTreeMap<String, f64> {
            let values = numbers::now(source, &promql, at).unwrap_or_default();
            values.into_iter().filter_map(|(labels, value)| Some((labels.get(label)?.to_owned(), value))).collect()
        };
        let names: Vec<String> = place.servers.iter().map(|server| server.host.as_str().replace('.', "[.]")).collect();
        let hosts = format!("host=~{:?}", names.join("|"));
        let (mut balancer, mut sessions) = (BTreeMap::new(), BTreeMap::new());
        if let Some(name) = &place.balancer {
            let backend = place.backend.clone().unwrap_or_else(|| service.to_string());
            let which = format!("balancer={:?}, proxy={backend:?}", name.as_str());
            // What was read last says nothing of a balancer that does not answer: nobody gets through it.
            let gone = format!("flyball_balancer_up{{balancer={:?}}} == 0", name.as_str());
            let gone = numbers::now(source, &gone, at).is_ok_and(|found| !found.is_empty());
            for (labels, _) in numbers::now(source, &format!("haproxy_server_status{{{which}}} == 1"), at).unwrap_or_default() {
                if let (Some(server), Some(word)) = (labels.get("server"), balancer_word(&labels)) {
                    balancer.insert(server.to_owned(), if gone { "down" } else { word }.to_owned());
                }
            }
            sessions = by("server", format!("haproxy_server_current_sessions{{{which}}}"));
        }
        Figures {
            balancer,
            sessions,
            cpu: by("host", format!("rate(flyball_service_cpu_seconds_total{{service={:?}}}[15s])", service.as_str())),
            memory: by("host", format!("flyball_service_memory_bytes{{service={:?}}}", service.as_str())),
            // An older agent does not say them: then a process may use what its machine has, and fill the fullest disk.
            memory_limit: by(
                "host",
                format!(
                    "max by (host) (flyball_service_memory_limit_bytes{{service={:?}}}) or max by (host) \
                     (node_memory_MemTotal_bytes{{{hosts}}})",
                    service.as_str()
                ),
            ),
            disk: by(
                "host",
                format!(
                    "max by (host) (flyball_service_disk_used_ratio{{service={:?}}}) or \
                     max by (host) (1 - node_filesystem_avail_bytes{{{hosts}}} / (node_filesystem_size_bytes{{{hosts}}} > 0))",
                    service.as_str()
                ),
            ),
        }
    }
}

/// HAProxy's word for a state in the page's words.
fn balancer_word(labels: &Labels) -> Option<&'static str> {
    Some(match labels.get("state")? {
        "UP" => "in",
        "DOWN" => "down",
        "NOLB" | "DRAIN" => "draining",
        "MAINT" => "out",
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use model::BalancerName;
    use query::testing::MemorySource;

    #[test]
    fn a_balancer_that_does_not_answer_sends_nobody_anything() {
        let place = PlaceConfig { balancer: Some(BalancerName::new("edge").unwrap()), ..PlaceConfig::default() };
        let status = r#"haproxy_server_status{balancer="edge", proxy="shop", server="shop-1", state="UP"}"#;
        let source =
            MemorySource::from_text(&format!("load 10s\n {status} 1 1 _\n flyball_balancer_up{{balancer=\"edge\"}} 1 1 0"));
        let source = source.unwrap();
        for (seconds, word) in [(10, "in"), (20, "down")] {
            let figures = Figures::read(&source, Time::from_secs(seconds), &ServiceName::new("shop").unwrap(), &place);
            assert_eq!(figures.balancer.get("shop-1").map(String::as_str), Some(word), "after {seconds} s");
        }
    }
}
