//! The planner: from what people want and what is on the hosts to the exact steps, or a reason why not.
//!
//! Pure: it reads the state that it is given and changes nothing. The plan that it makes leaves no choice to whoever
//! executes it; where a choice would be needed, the order is planned again.

use model::command::{Refusal, RefusalKind};
use model::config::{PlaceConfig, ServerConfig, ServiceConfig, Span};
use model::order::{HostState, OrderKind, Strategy};
use model::plan::{Action, Batch, Gate, Lane, PLAN_SCHEMA, Plan, Step, UndoStep};
use model::signal::{ReleaseOnHost, ServiceState};
use model::{EnvironmentName, HostName, OrderNumber, ServiceName, Text};

use crate::State;
use crate::state::ServiceOnHost;

/// Limit of one command at a balancer, in milliseconds: its socket answers at once or not at all.
const BALANCER_LIMIT_MS: u64 = 10_000;
/// Fetching may take the step limit and one second for each so many bytes: 1 MiB/s is a bad line.
const FETCH_BYTES_PER_SECOND: u64 = 1 << 20;
/// On top of the time that a step waits by itself, in milliseconds.
const MARGIN_MS: u64 = 5_000;

/// What is to be planned.
#[derive(Clone, Copy, Debug)]
pub struct Draft<'a> {
    /// Whose plan.
    pub number: &'a OrderNumber,
    /// Another release, or the same started anew.
    pub kind: OrderKind,
    /// The service.
    pub service: &'a ServiceName,
    /// The environment.
    pub environment: &'a EnvironmentName,
    /// What is released; not read for a restart.
    pub release: &'a ReleaseOnHost,
    /// Bytes of the artifact.
    pub size: u64,
    /// How the servers take turns.
    pub strategy: Strategy,
    /// Only these servers; empty: all.
    pub chosen: &'a [HostName],
}

/// Makes the plan of an order, or says why there is none.
pub fn plan(state: &State, draft: &Draft<'_>) -> Result<Plan, Refusal> {
    let (project, service) = state.config.service(draft.service).ok_or_else(|| unknown_service(state, draft.service))?;
    let place = service.environments.get(draft.environment).ok_or_else(|| unknown_environment(service, draft))?;
    if service.run.is_none() {
        return Err(refusal(RefusalKind::Form, Text::new("verb.no_run").with("service", draft.service)));
    }
    let servers = chosen_servers(place, draft)?;
    let planner = Planner { state, draft, service, place };
    let (work, idle): (Vec<Server<'_>>, Vec<Server<'_>>) =
        servers.into_iter().map(|server| planner.look(server)).partition(|server| server.needs_steps);
    if work.is_empty() {
        return Err(planner.nothing_to_do());
    }
    let (groups, min_in_service) = planner.take_turns(work)?;
    let mut ordinals = 0..;
    let mut batches: Vec<Batch> = groups
        .into_iter()
        .map(|servers| Batch {
            lanes: servers.into_iter().map(|server| planner.lane(server, &mut ordinals)).collect(),
            gate: planner.gate(),
        })
        .collect();
    // Servers that need nothing stand in the plan all the same, without steps: who reads it sees that they were looked at.
    batches[0].lanes.extend(idle.into_iter().map(|server| Lane {
        host: server.config.host.clone(),
        before: server.before,
        steps: Vec::new(),
    }));
    Ok(Plan {
        schema: PLAN_SCHEMA,
        order: draft.number.clone(),
        project: project.clone(),
        service: draft.service.clone(),
        environment: draft.environment.clone(),
        min_in_service,
        batches,
    })
}

/// A refusal with its kind.
pub fn refusal(kind: RefusalKind, text: Text) -> Refusal {
    Refusal { kind, text }
}

/// No thing of this kind has that name; says the nearest that exists.
pub fn unknown<'a>(kind: &str, name: &str, known: impl Iterator<Item = &'a str>) -> Refusal {
    let nearest = known.map(|known| (strsim::damerau_levenshtein(name, known), known)).min().map_or("-", |(_, known)| known);
    let text = Text::new("verb.unknown_thing").with("kind", kind).with("name", name).with("nearest", nearest);
    refusal(RefusalKind::Unknown, text)
}

fn unknown_service(state: &State, name: &ServiceName) -> Refusal {
    unknown("service", name.as_str(), state.config.services().map(|(_, name, _)| name.as_str()))
}

fn unknown_environment(service: &ServiceConfig, draft: &Draft<'_>) -> Refusal {
    unknown("environment", draft.environment.as_str(), service.environments.keys().map(EnvironmentName::as_str))
}

fn chosen_servers<'a>(place: &'a PlaceConfig, draft: &Draft<'_>) -> Result<Vec<&'a ServerConfig>, Refusal> {
    if place.servers.is_empty() {
        let text = Text::new("verb.no_host").with("service", draft.service).with("environment", draft.environment);
        return Err(refusal(RefusalKind::Form, text));
    }
    for host in draft.chosen {
        if !place.servers.iter().any(|server| server.host == *host) {
            return Err(unknown("host", host.as_str(), place.servers.iter().map(|server| server.host.as_str())));
        }
    }
    Ok(place.servers.iter().filter(|server| draft.chosen.is_empty() || draft.chosen.contains(&server.host)).collect())
}

struct Planner<'a> {
    state: &'a State,
    draft: &'a Draft<'a>,
    service: &'a ServiceConfig,
    place: &'a PlaceConfig,
}

struct Server<'a> {
    config: &'a ServerConfig,
    before: Option<ReleaseOnHost>,
    needs_steps: bool,
}

impl<'a> Planner<'a> {
    fn look(&self, config: &'a ServerConfig) -> Server<'a> {
        let before = on_line(self.state, self.draft.service, &config.host);
        let needs_steps = match self.draft.kind {
            OrderKind::Restart => before.is_some(),
            OrderKind::Deploy => !self.has_it(config, before.as_ref()),
        };
        Server { config, before, needs_steps }
    }

    /// The release is there, it runs, and no order left the host half done.
    fn has_it(&self, config: &ServerConfig, before: Option<&ReleaseOnHost>) -> bool {
        let key = ServiceOnHost { service: self.draft.service.clone(), host: config.host.clone() };
        let runs = self.state.services.get(&key).is_some_and(|seen| seen.state == ServiceState::Running);
        let last = self
            .state
            .orders
            .values()
            .filter(|order| order.service == *self.draft.service && order.started_at.is_some())
            .filter_map(|order| order.hosts.get(&config.host).map(|host| (order.started_at, host.state)))
            .filter(|(_, host)| *host != HostState::NotTouched)
            .max_by_key(|(started_at, _)| *started_at);
        let whole = last.is_none_or(|(_, host)| matches!(host, HostState::New | HostState::Old));
        before.is_some_and(|before| before.digest == self.draft.release.digest) && runs && whole
    }

    fn nothing_to_do(&self) -> Refusal {
        let text = match self.draft.kind {
            OrderKind::Deploy => Text::new("verb.on_line_already").with("version", &self.draft.release.version),
            OrderKind::Restart => Text::new("verb.nothing_on_line"),
        };
        let text = text.with("service", self.draft.service).with("environment", self.draft.environment);
        refusal(RefusalKind::State, text)
    }

    /// Cuts the servers into batches, none wider than what may be out of service, and says how many always stay in.
    /// Servers without a release come first: they take nothing out of service, and add to it.
    fn take_turns(&self, mut work: Vec<Server<'a>>) -> Result<(Vec<Vec<Server<'a>>>, u32), Refusal> {
        work.sort_by_key(|server| server.before.is_some());
        let serving = self.serving(&work);
        let takes_out = work.iter().any(|server| server.before.is_some());
        let width_max = match self.service.release.min_in_service {
            Some(min) if takes_out => serving.saturating_sub(min) as usize,
            Some(_) | None => work.len(),
        };
        if width_max == 0 {
            let min = self.service.release.min_in_service.unwrap_or(0);
            let text = Text::new("verb.min_in_service").with("servers", serving).with("min", min);
            return Err(refusal(RefusalKind::State, text));
        }
        let mut widths = widths(self.draft.strategy, work.len()).into_iter();
        let mut groups = Vec::new();
        while !work.is_empty() {
            let mut wanted = widths.next().unwrap_or(work.len()).min(work.len());
            while wanted > 0 {
                let rest = work.split_off(wanted.min(width_max));
                wanted -= work.len();
                groups.push(std::mem::replace(&mut work, rest));
            }
        }
        let out_at_once = |group: &Vec<Server<'_>>| group.iter().filter(|server| server.before.is_some()).count() as u32;
        let widest = groups.iter().map(out_at_once).max().unwrap_or(0);
        let min = self.service.release.min_in_service.unwrap_or(u32::MAX).min(serving - widest);
        Ok((groups, if takes_out { min } else { 0 }))
    }

    /// Servers that are in service, or will be when those without a release have one.
    fn serving(&self, work: &[Server<'_>]) -> u32 {
        let counts = |server: &&ServerConfig| {
            on_line(self.state, self.draft.service, &server.host).is_some()
                || work.iter().any(|work| work.config.host == server.host)
        };
        self.place.servers.iter().filter(counts).count() as u32
    }

    fn gate(&self) -> Gate {
        let release = &self.service.release;
        Gate {
            watch_ms: release.watch.0,
            rules: release.rules.clone(),
            judge: release.judge && self.draft.kind == OrderKind::Deploy && self.place.balancer.is_some(),
        }
    }

    fn lane(&self, server: Server<'_>, ordinals: &mut std::ops::RangeFrom<u32>) -> Lane {
        let steps = match (self.draft.kind, &server.before) {
            (OrderKind::Deploy, before) => self.deploy_steps(server.config, before.as_ref()),
            (OrderKind::Restart, Some(before)) => self.restart_steps(server.config, before),
            (OrderKind::Restart, None) => Vec::new(),
        };
        let steps = steps
            .into_iter()
            .zip(ordinals)
            .map(|((does, undo), ordinal)| Step { ordinal, action: does.action, time_limit_ms: does.time_limit_ms, undo })
            .collect();
        Lane { host: server.config.host.clone(), before: server.before, steps }
    }

    /// Each step with what takes it back. Taken back in reverse they read: out, drain, stop, switch back, start, see the
    /// old version answer, in. Where nothing was before, nothing is left running.
    fn deploy_steps(&self, server: &ServerConfig, before: Option<&ReleaseOnHost>) -> Vec<(UndoStep, Vec<UndoStep>)> {
        let (name, release) = (self.draft.service, self.draft.release);
        let limit = self.service.release.step_limit.0;
        let fetch_ms = limit + self.draft.size / FETCH_BYTES_PER_SECOND * 1_000;
        let stop = within(Action::Stop { service: name.clone() }, self.stop_ms());
        let start = within(Action::Start { service: name.clone() }, limit);
        let switch = |to: Option<&ReleaseOnHost>| within(Action::Switch { service: name.clone(), to: to.cloned() }, limit);
        let begin_old = before.map_or(Vec::new(), |before| vec![start.clone(), self.verify(server, &before.version)]);
        let fetch = Action::Fetch { service: name.clone(), digest: release.digest.clone(), size: self.draft.size };
        let unpack = Action::Unpack { service: name.clone(), release: release.clone() };
        let mut steps = vec![(within(fetch, fetch_ms), vec![]), (within(unpack, fetch_ms), vec![])];
        steps.extend(self.out_of_balancer(server, before.is_some()));
        steps.extend([
            (stop.clone(), begin_old),
            (switch(Some(release)), vec![switch(before)]),
            (start, vec![stop]),
            (self.verify(server, &release.version), vec![]),
        ]);
        steps.extend(self.back_in_balancer(server, true));
        steps
    }

    fn restart_steps(&self, server: &ServerConfig, on_line: &ReleaseOnHost) -> Vec<(UndoStep, Vec<UndoStep>)> {
        let name = self.draft.service;
        let limit = self.service.release.step_limit.0;
        let start = within(Action::Start { service: name.clone() }, limit);
        let restart = within(Action::Restart { service: name.clone() }, self.stop_ms() + limit);
        let verify = self.verify(server, &on_line.version);
        let mut steps = self.out_of_balancer(server, true);
        // A restart that broke off between stop and start is taken back by the start.
        steps.extend([(restart, vec![start, verify.clone()]), (verify, vec![])]);
        steps.extend(self.back_in_balancer(server, false));
        steps
    }

    fn out_of_balancer(&self, server: &ServerConfig, goes_back: bool) -> Vec<(UndoStep, Vec<UndoStep>)> {
        let Some(ends) = self.balancer_steps(server) else { return Vec::new() };
        let undo = if goes_back { vec![ends.into] } else { vec![] };
        vec![(ends.out, undo), (ends.drain, vec![])]
    }

    fn back_in_balancer(&self, server: &ServerConfig, goes_out: bool) -> Vec<(UndoStep, Vec<UndoStep>)> {
        let Some(ends) = self.balancer_steps(server) else { return Vec::new() };
        vec![(ends.into, if goes_out { vec![ends.out, ends.drain] } else { vec![] })]
    }

    fn balancer_steps(&self, server: &ServerConfig) -> Option<BalancerSteps> {
        let balancer = self.place.balancer.clone()?;
        let backend = self.place.backend.clone().unwrap_or_else(|| self.draft.service.to_string());
        let server = server.name.clone().unwrap_or_else(|| server.host.to_string());
        let at_most_ms = self.service.release.drain.0;
        let out = Action::BalancerOut { balancer: balancer.clone(), backend: backend.clone(), server: server.clone() };
        let drain = Action::Drain { balancer: balancer.clone(), backend: backend.clone(), server: server.clone(), at_most_ms };
        Some(BalancerSteps {
            out: within(out, BALANCER_LIMIT_MS),
            drain: within(drain, at_most_ms + MARGIN_MS),
            into: within(Action::BalancerIn { balancer, backend, server }, self.service.release.step_limit.0),
        })
    }

    fn verify(&self, server: &ServerConfig, version: &str) -> UndoStep {
        let configured = self.state.config.hosts.get(&server.host).map_or("", |host| host.address.as_str());
        let address = if configured.is_empty() { server.host.as_str() } else { configured };
        let address = if address.contains(':') { format!("[{address}]") } else { address.to_owned() };
        let path = self.service.release.version_path.trim_start_matches('/');
        let url = format!("http://{address}:{}/{path}", server.port);
        let action = Action::Verify { service: self.draft.service.clone(), url, version: version.to_owned(), probe: None };
        within(action, self.service.release.step_limit.0)
    }

    fn stop_ms(&self) -> u64 {
        let stop_timeout = self.service.run.as_ref().map_or(Span::secs(10), |run| run.stop_timeout);
        (stop_timeout.0 + MARGIN_MS).max(self.service.release.step_limit.0)
    }
}

struct BalancerSteps {
    out: UndoStep,
    drain: UndoStep,
    into: UndoStep,
}

fn within(action: Action, time_limit_ms: u64) -> UndoStep {
    UndoStep { action, time_limit_ms }
}

/// The release on line on a host, as far as its agent and the orders said.
pub fn on_line(state: &State, service: &ServiceName, host: &HostName) -> Option<ReleaseOnHost> {
    state.services.get(&ServiceOnHost { service: service.clone(), host: host.clone() })?.release.clone()
}

/// How wide each batch is, before anything is clamped.
fn widths(strategy: Strategy, servers: usize) -> Vec<usize> {
    match strategy {
        Strategy::Serial => vec![1; servers],
        Strategy::Parallel(width) => std::iter::once(1).chain(std::iter::repeat_n(width.max(1) as usize, servers)).collect(),
        Strategy::Halves => vec![servers.div_ceil(2), servers / 2],
    }
}
