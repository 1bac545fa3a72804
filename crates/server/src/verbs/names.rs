//! What the names in a verb mean here: services, hosts, environments, orders, incidents, artifacts. Reads state, changes
//! nothing. What is not known is refused with the nearest name, what could mean several things with those things.

use engine::State;
use model::config::{Config, PlaceConfig, ServiceConfig};
use model::incident::IncidentState;
use model::order::{Artifact, Order, OrderKind, OrderState};
use model::{EnvironmentName, HostName, IncidentNumber, OrderNumber, ProjectName, ServiceName};

use super::grammar::{OrderVerb, Target};
use crate::config::nearest;
use crate::http::error::HttpError;
use crate::http::params::short;

/// A service in one environment.
#[derive(Clone, Debug)]
pub struct Where {
    /// The project.
    pub project: ProjectName,
    /// The service.
    pub service: ServiceName,
    /// The environment.
    pub environment: EnvironmentName,
    /// Its servers.
    pub place: PlaceConfig,
}

/// What a name stands for.
#[derive(Clone, Debug)]
pub enum Thing {
    /// A service, in one environment or in each of its own.
    Service(Vec<Where>),
    /// A host.
    Host(HostName),
}

/// 404 with the nearest name.
pub fn unknown<'a>(what: &str, name: &str, known: impl IntoIterator<Item = &'a str>) -> HttpError {
    let lower = name.to_lowercase();
    let error = HttpError::unknown(format!("no {what} is called `{}`", short(name))).at(what);
    error.hint(nearest(&lower, known).map(|name| format!("Nearest: `{name}`.")))
}

fn same(have: &str, name: &str) -> bool {
    have.eq_ignore_ascii_case(name)
}

fn find_service<'a>(config: &'a Config, name: &str) -> Option<(&'a ProjectName, &'a ServiceName, &'a ServiceConfig)> {
    let exact = config.services().find(|(_, service, _)| service.as_str() == name);
    exact.or_else(|| config.services().find(|(_, service, _)| same(service.as_str(), name)))
}

/// A service by its name.
pub fn service<'a>(config: &'a Config, name: &str) -> Result<(&'a ProjectName, &'a ServiceName, &'a ServiceConfig), HttpError> {
    find_service(config, name).ok_or_else(|| unknown("service", name, config.services().map(|(_, service, _)| service.as_str())))
}

/// A host by its name: configured, or one whose agent reports.
pub fn host(state: &State, name: &str) -> Option<HostName> {
    let names = || state.config.hosts.keys().chain(state.hosts.keys());
    names().find(|host| host.as_str() == name).or_else(|| names().find(|host| same(host.as_str(), name))).cloned()
}

fn environment(service: &ServiceName, config: &ServiceConfig, name: &str) -> Result<EnvironmentName, HttpError> {
    let names = || config.environments.keys();
    let found = names().find(|have| have.as_str() == name).or_else(|| names().find(|have| same(have.as_str(), name)));
    found.cloned().ok_or_else(|| unknown(&format!("environment of {service}"), name, names().map(EnvironmentName::as_str)))
}

/// A service in the environment that is named, or in each of its environments.
pub fn places(config: &Config, target: &Target) -> Result<Vec<Where>, HttpError> {
    let (project, name, of) = service(config, &target.name)?;
    let wanted = target.environment.as_ref().map(|wanted| environment(name, of, wanted)).transpose()?;
    let fits = |environment: &EnvironmentName| wanted.as_ref().is_none_or(|wanted| wanted == environment);
    let places = of.environments.iter().filter(|(environment, _)| fits(environment));
    Ok(places
        .map(|(environment, place)| Where {
            project: project.clone(),
            service: name.clone(),
            environment: environment.clone(),
            place: place.clone(),
        })
        .collect())
}

/// A service in exactly one environment: the one that is named, or its only one.
pub fn one_place(config: &Config, target: &Target) -> Result<Where, HttpError> {
    let mut places = places(config, target)?;
    match (places.len(), places.pop()) {
        (1, Some(place)) => Ok(place),
        (0, _) => Err(HttpError::bad_request(format!("{} is in no environment", short(&target.name))).at("environment")),
        (_, last) => {
            let names: Vec<String> = places.iter().chain(&last).map(|place| place.environment.to_string()).collect();
            let error = HttpError::bad_request(format!("{} is in {}: say which", short(&target.name), names.join(", ")));
            Err(error.at("environment").hint(names.first().map(|name| format!("Add `{name}`."))))
        }
    }
}

/// A service or a host.
pub fn thing(state: &State, target: &Target) -> Result<Thing, HttpError> {
    if find_service(&state.config, &target.name).is_some() {
        return places(&state.config, target).map(Thing::Service);
    }
    if let Some(host) = host(state, &target.name) {
        return Ok(Thing::Host(host));
    }
    let services = state.config.services().map(|(_, service, _)| service.as_str());
    let hosts = state.config.hosts.keys().chain(state.hosts.keys()).map(HostName::as_str);
    Err(unknown("service or host", &target.name, services.chain(hosts)))
}

/// Servers of a place by their names.
pub fn hosts_of(place: &Where, names: &[String]) -> Result<Vec<HostName>, HttpError> {
    let servers = || place.place.servers.iter().map(|server| &server.host);
    names
        .iter()
        .map(|name| {
            let found = servers().find(|host| same(host.as_str(), name)).cloned();
            let what = format!("server of {} in {}", place.service, place.environment);
            found.ok_or_else(|| unknown(&what, name, servers().map(HostName::as_str)))
        })
        .collect()
}

/// An order by its number or its tail.
pub fn order_by_number<'a>(state: &'a State, name: &str) -> Option<Result<&'a Order, HttpError>> {
    if let Some(order) = state.orders.get(&OrderNumber::from(name)) {
        return Some(Ok(order));
    }
    let tails: Vec<&Order> = state.orders.values().filter(|order| same(order.number.tail(), name)).collect();
    let open: Vec<&Order> = tails.iter().filter(|order| !order.state.is_final()).copied().collect();
    match (&tails[..], &open[..]) {
        ([], _) => None,
        (_, [order]) | ([order], _) => Some(Ok(order)),
        (all, _) => Some(Err(several(all, name))),
    }
}

fn several(orders: &[&Order], name: &str) -> HttpError {
    let numbers: Vec<&str> = orders.iter().rev().take(5).map(|order| order.number.as_str()).collect();
    let error = HttpError::bad_request(format!("`{}` could be any of: {}", short(name), numbers.join(", ")));
    error.at("order").hint(Some("Say the whole number.".into()))
}

/// Whether a verb has something to do with an order in this state. Others are behind it in the queue, and a halt in a
/// hurry must not have to tell them apart.
fn fits(verb: OrderVerb, state: OrderState) -> bool {
    match verb {
        OrderVerb::Halt | OrderVerb::Brake => state == OrderState::Running,
        OrderVerb::Resume | OrderVerb::Retry => state == OrderState::Halted,
        OrderVerb::Rollback => matches!(state, OrderState::Running | OrderState::Halted | OrderState::RollingBack),
        OrderVerb::Approve => state == OrderState::Draft,
        OrderVerb::Cancel => matches!(state, OrderState::Draft | OrderState::Approved),
    }
}

/// Of several orders those that the verb has something to do with; all of them where it has with none.
fn fitting(verb: OrderVerb, open: Vec<&Order>) -> Vec<&Order> {
    let fitting: Vec<&Order> = open.iter().filter(|order| fits(verb, order.state)).copied().collect();
    if fitting.is_empty() { open } else { fitting }
}

/// The order that a verb means: by number, by tail, by its service, or the only one that there is.
pub fn order<'a>(
    state: &'a State,
    verb: OrderVerb,
    name: Option<&str>,
    environment: Option<&str>,
) -> Result<&'a Order, HttpError> {
    let Some(name) = name else {
        let candidates = fitting(verb, state.orders.values().filter(|order| !order.state.is_final()).collect());
        return match candidates[..] {
            [order] => Ok(order),
            [] => Err(HttpError::unknown("no order is under way: name one").at("order")),
            _ => Err(several(&candidates, "order")),
        };
    };
    if let Some(found) = order_by_number(state, name) {
        return found;
    }
    if find_service(&state.config, name).is_some() {
        let target = Target { name: name.to_owned(), environment: environment.map(str::to_owned) };
        let places = places(&state.config, &target)?;
        let there =
            |order: &&Order| places.iter().any(|place| place.service == order.service && place.environment == order.environment);
        let open = fitting(verb, state.orders.values().filter(|order| !order.state.is_final()).filter(there).collect());
        return match open[..] {
            [order] => Ok(order),
            [] if verb == OrderVerb::Rollback => {
                let place = one_place(&state.config, &target)?;
                let done = |order: &&Order| order.state == OrderState::Done && order.kind == OrderKind::Deploy;
                let last = state
                    .orders
                    .values()
                    .filter(|order| order.service == place.service && order.environment == place.environment)
                    .filter(done)
                    .max_by_key(|order| order.ended_at);
                last.ok_or_else(|| {
                    let text = format!("no release of {} in {} can be rolled back", place.service, place.environment);
                    HttpError::unknown(text).at("order")
                })
            }
            [] => Err(HttpError::unknown(format!("no order of {} is under way", short(name))).at("order")),
            _ => Err(several(&open, name)),
        };
    }
    let services = state.config.services().map(|(_, service, _)| service.as_str());
    Err(unknown("order or service", name, state.orders.keys().map(OrderNumber::as_str).chain(services)))
}

/// The incident that is meant: the one that is named, or the only one that fits.
pub fn incident(state: &State, number: Option<u64>, fits: fn(IncidentState) -> bool) -> Result<IncidentNumber, HttpError> {
    if let Some(number) = number {
        let number = IncidentNumber(number);
        let numbers: Vec<String> = state.incidents.keys().map(ToString::to_string).collect();
        let known = state.incidents.contains_key(&number);
        return if known {
            Ok(number)
        } else {
            Err(unknown("incident", &number.to_string(), numbers.iter().map(String::as_str)))
        };
    }
    let open: Vec<IncidentNumber> =
        state.incidents.values().filter(|incident| fits(incident.state)).map(|incident| incident.number).collect();
    match open[..] {
        [number] => Ok(number),
        [] => Err(HttpError::unknown("no incident waits for that").at("incident")),
        _ => {
            let numbers: Vec<String> = open.iter().rev().take(5).map(ToString::to_string).collect();
            Err(HttpError::bad_request(format!("{} incidents could be meant: {}", open.len(), numbers.join(", "))).at("incident"))
        }
    }
}

/// Shortest beginning of a digest that counts.
const DIGEST_HEAD_MIN: usize = 8;

/// An artifact by its version, its digest, or the beginning of its digest. Of several with the same version those count
/// whose name begins with the service's.
pub fn artifact<'a>(state: &'a State, service: &ServiceName, name: &str) -> Result<&'a Artifact, HttpError> {
    let hexadecimal = name.len() >= DIGEST_HEAD_MIN && name.bytes().all(|byte| byte.is_ascii_hexdigit());
    let head = name.to_ascii_lowercase();
    let mut found: Vec<&Artifact> = state.artifacts.values().filter(|artifact| artifact.version == name).collect();
    if found.len() > 1 {
        let own = |artifact: &&Artifact| {
            artifact.name.strip_prefix(service.as_str()).is_some_and(|rest| rest.starts_with(['-', '_', '.']))
        };
        let of_service: Vec<&Artifact> = found.iter().copied().filter(own).collect();
        if !of_service.is_empty() {
            found = of_service;
        }
    }
    if found.is_empty() && hexadecimal {
        found = state.artifacts.values().filter(|artifact| artifact.digest.as_str().starts_with(&head)).collect();
    }
    match found[..] {
        [artifact] => Ok(artifact),
        [] => Err(unknown("artifact", name, state.artifacts.values().map(|artifact| artifact.version.as_str()))),
        _ => {
            let choices: Vec<String> = found
                .iter()
                .take(5)
                .map(|artifact| format!("{} ({})", artifact.digest.as_str().get(..12).unwrap_or("-"), artifact.name))
                .collect();
            let error = HttpError::bad_request(format!("`{}` was pushed more than once: {}", short(name), choices.join(", ")));
            Err(error.at("artifact").hint(Some("Say the beginning of its digest.".into())))
        }
    }
}
