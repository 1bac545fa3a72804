//! The whole loop on one thread: journal, step, outbox, performers, agents, balancer. Time is given, faults are drawn.
//!
//! After every event it holds the promises that a release makes: enough servers in the balancer, none of them without its
//! process, no step's effect twice.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use model::config::Config;
use model::event::EVENT_SCHEMA;
use model::order::{Artifact, JudgeVerdict, Order, OrderState, Strategy};
use model::plan::{Doer, StepAnswer, StepOutcome, StepRequest};
use model::signal::{HostSeen, Judged, ReleaseOnHost, ServiceSeen, ServiceState};
use model::{
    Actor, AlertKey, AlertState, ArtifactDigest, Command, EffectKey, EnvironmentName, Epoch, Event, EventId, HostName, Labels,
    Language, OrderNumber, Outcome, ProjectName, Recorded, RuleName, Seq, ServiceName, Surface, Time, Transition, Verb,
};

use super::agent::Accepted;
use super::{Random, SimulatedAgent, SimulatedBalancer};
use crate::{Effect, State, Tell, TellBody, next_due, step};

/// What goes wrong by itself, as shares of all messages.
#[derive(Clone, Copy, Debug, Default)]
pub struct Faults {
    /// A request does not arrive.
    pub lose_request: f64,
    /// An answer does not arrive.
    pub lose_answer: f64,
    /// A request arrives twice.
    pub twice: f64,
    /// A performer gives up and says "not reached".
    pub unreachable: f64,
}

/// Something that will happen.
#[derive(Clone, Debug)]
enum Thing {
    Arrives(StepRequest),
    Ends(StepRequest),
    Answered(StepAnswer, Epoch),
    SentAgain(EffectKey),
    Happens(Event),
    ServerDies,
    ServerStarts,
    AgentDies(HostName),
    LinkBreaks(HostName),
    LinkHeals(HostName),
    BalancerGone(bool),
    SaysCrashed(HostName),
    SaysService(HostName),
    BalancerRead,
}

/// A fleet with a server.
pub struct World {
    /// The seed, for messages.
    pub seed: u64,
    /// Now.
    pub now: Time,
    /// What the server knows.
    pub state: State,
    /// The agents.
    pub agents: BTreeMap<HostName, SimulatedAgent>,
    /// The balancer.
    pub balancer: SimulatedBalancer,
    /// What goes wrong.
    pub faults: Faults,
    /// What was told, oldest first.
    pub told: Vec<Tell>,
    /// What commands came to.
    pub answers: BTreeMap<EventId, Outcome>,
    /// Every request that was sent, oldest first.
    pub asked: Vec<StepRequest>,
    /// The random numbers.
    pub random: Random,
    journal: Vec<Recorded>,
    outbox: BTreeMap<EffectKey, StepRequest>,
    things: BTreeMap<(Time, u64), Thing>,
    begun: BTreeMap<HostName, Vec<StepRequest>>,
    crashed: BTreeSet<HostName>,
    busy_until: BTreeMap<HostName, Time>,
    server_up: bool,
    count: u64,
    first: State,
}

/// So often the judge of a release that rolls reads the balancer.
const READ_EVERY: Duration = Duration::from_secs(2);
const STARTED_AT: &str = "2026-11-22T10:00:00Z";

impl World {
    /// Four servers of `shop` in `prod`, behind a balancer, all on 4.11.3.
    pub fn with_seed(seed: u64) -> World {
        World::with_servers(seed, 4, Some("4.11.3"))
    }

    /// So many servers of `shop` in `prod`, on this version or on nothing.
    pub fn with_servers(seed: u64, servers: usize, version: Option<&str>) -> World {
        let now = Time::parse(STARTED_AT).unwrap_or_default();
        let release = version.map(release);
        let hosts: Vec<HostName> = (1..=servers).filter_map(|place| HostName::new(format!("shop-{place}")).ok()).collect();
        let agents = hosts.iter().map(|host| (host.clone(), SimulatedAgent::running(release.clone()))).collect();
        let balancer =
            SimulatedBalancer { servers: hosts.iter().map(|host| (host.to_string(), release.is_some())).collect(), gone: false };
        let first = State { at: now, ..State::default() };
        let mut world = World {
            seed,
            now,
            state: first.clone(),
            agents,
            balancer,
            faults: Faults::default(),
            told: Vec::new(),
            answers: BTreeMap::new(),
            asked: Vec::new(),
            random: Random::new(seed),
            journal: Vec::new(),
            outbox: BTreeMap::new(),
            things: BTreeMap::new(),
            begun: BTreeMap::new(),
            crashed: BTreeSet::new(),
            busy_until: BTreeMap::new(),
            server_up: true,
            count: 0,
            first,
        };
        world.submit(Event::Started { epoch: Epoch(1), version: "0.1.0".into() });
        world.configure(|_| {});
        for host in hosts {
            world.say_host(&host, true);
            world.say_service(&host);
        }
        world.plan_thing(now, Thing::BalancerRead);
        world
    }

    /// Changes the configuration; before the first change it is that of the fleet.
    pub fn configure(&mut self, change: impl FnOnce(&mut Config)) {
        let fleet = || fleet(&self.agents.keys().cloned().collect::<Vec<_>>());
        let mut config = if self.state.config.projects.is_empty() { fleet() } else { self.state.config.clone() };
        change(&mut config);
        self.submit(Event::Configured { config: Box::new(config), change: None });
    }

    /// Lets time pass until this clock time of the first day.
    pub fn at(&mut self, clock: &str) -> &mut World {
        let until = Time::parse(&format!("2026-11-22T{clock}Z")).unwrap_or(self.now);
        self.run_until(until);
        self
    }

    /// Lets time pass.
    pub fn wait(&mut self, time: Duration) {
        self.run_until(self.now + time);
    }

    /// Somebody asks for something; the answer, if a server is there to give one.
    pub fn ask(&mut self, name: &str, verb: Verb) -> Option<Outcome> {
        self.count += 1;
        let id = EventId::from(format!("command-{}", self.count));
        let by = Actor { name: name.to_owned(), via: Surface::Cli };
        self.submit(Event::Command(Command { id: id.clone(), by, verb }));
        self.answers.get(&id).cloned()
    }

    /// Zhao.Wei pushes a version of `shop` and releases it in `prod`.
    pub fn deploy(&mut self, version: &str) -> OrderNumber {
        self.deploy_as(version, None, &[])
    }

    /// The same, with a strategy and chosen servers.
    pub fn deploy_as(&mut self, version: &str, strategy: Option<Strategy>, hosts: &[&str]) -> OrderNumber {
        match self.try_deploy(version, strategy, hosts) {
            Some(Outcome::Accepted { order: Some(order), .. }) => order,
            other => panic!("no order, but {other:?}; seed {}", self.seed),
        }
    }

    /// The same, with whatever comes of it.
    pub fn try_deploy(&mut self, version: &str, strategy: Option<Strategy>, hosts: &[&str]) -> Option<Outcome> {
        let pushed = release(version);
        if !self.state.artifacts.contains_key(&pushed.digest) {
            let name = format!("shop-{version}.tar.zst");
            let (digest, version, at) = (pushed.digest.clone(), version.to_owned(), self.now);
            self.submit(Event::ArtifactPushed(Artifact { digest, name, version, size: 3 << 20, by: "Zhao.Wei".into(), at }));
        }
        let verb = Verb::Deploy {
            project: named(ProjectName::new("web")),
            service: shop(),
            environment: prod(),
            artifact: pushed.digest,
            version: pushed.version,
            size: 0,
            reason: String::new(),
            strategy,
            hosts: hosts.iter().map(|host| named(HostName::new(host))).collect(),
        };
        self.ask("Zhao.Wei", verb)
    }

    /// A rule of `shop` changes its mind.
    pub fn alert(&mut self, rule: &str, to: AlertState, value: f64) {
        let rule = RuleName::from(rule);
        let labels = Labels::new([("alertname", rule.as_str()), ("service", "shop")]).unwrap_or_default();
        let alert = AlertKey::of(&rule, &labels);
        let from = self.state.alerts.get(&alert).map_or(AlertState::Ok, |known| known.to);
        let (onset, expr) = (self.now, "up == 0".to_owned());
        self.submit(Event::Alert(Transition {
            alert,
            rule,
            labels,
            annotations: BTreeMap::new(),
            from,
            to,
            value: Some(value),
            onset,
            expr,
        }));
    }

    /// An order.
    pub fn order(&self, number: &OrderNumber) -> &Order {
        &self.state.orders[number]
    }

    /// Its story as people read it, `clock host: text note`.
    pub fn story(&self, number: &OrderNumber) -> Vec<String> {
        let line = |note: &model::order::OrderNote| {
            let host = note.host.as_ref().map_or(String::new(), |host| format!("{host}: "));
            format!("{} {host}{}", note.at.clock(), note.text.render(Language::En))
        };
        self.order(number).story.iter().map(line).collect()
    }

    /// What was said in rooms, oldest first.
    pub fn said(&self) -> Vec<String> {
        let cards = self.told.iter().filter_map(|tell| match &tell.body {
            TellBody::Card { card, .. } => Some(card.text.render(Language::En)),
            TellBody::Alert(_) => None,
        });
        cards.collect()
    }

    /// Which version runs on each host.
    pub fn versions(&self) -> Vec<&str> {
        self.agents.values().map(|agent| agent.running.as_ref().map_or("-", |running| running.version.as_str())).collect()
    }

    /// The server is killed at this time, and started again a while later.
    pub fn kill_server(&mut self, at: Time, down_for: Duration) {
        self.plan_thing(at, Thing::ServerDies);
        self.plan_thing(at + down_for, Thing::ServerStarts);
    }

    /// An agent is killed at this time, and started again a while later.
    pub fn kill_agent(&mut self, host: &str, at: Time, down_for: Duration) {
        let host = named(HostName::new(host));
        self.plan_thing(at, Thing::AgentDies(host.clone()));
        self.plan_thing(at + down_for, Thing::LinkHeals(host));
    }

    /// A host's link breaks at this time, and heals a while later.
    pub fn break_link(&mut self, host: &str, at: Time, down_for: Duration) {
        let host = named(HostName::new(host));
        self.plan_thing(at, Thing::LinkBreaks(host.clone()));
        self.plan_thing(at + down_for, Thing::LinkHeals(host));
    }

    /// The balancer does not answer from this time on, for a while.
    pub fn break_balancer(&mut self, at: Time, down_for: Duration) {
        self.plan_thing(at, Thing::BalancerGone(true));
        self.plan_thing(at + down_for, Thing::BalancerGone(false));
    }

    /// An agent says at this time that its service crashed, and a while later how it really is.
    pub fn flap_service(&mut self, host: &str, at: Time, for_so_long: Duration) {
        let host = named(HostName::new(host));
        self.plan_thing(at, Thing::SaysCrashed(host.clone()));
        self.plan_thing(at + for_so_long, Thing::SaysService(host));
    }

    /// A service's process dies now: its agent says so, and the balancer's own health check sees it.
    pub fn crash_service(&mut self, host: &str) {
        let host = named(HostName::new(host));
        let Some(agent) = self.agents.get_mut(&host) else { return };
        agent.running = None;
        self.balancer.servers.insert(host.to_string(), false);
        self.crashed.insert(host.clone());
        self.happen(Thing::SaysCrashed(host));
    }

    /// Something happens at this time.
    pub fn happens(&mut self, at: Time, event: Event) {
        self.plan_thing(at, Thing::Happens(event));
    }

    /// Lets time pass until the order has ended, half an hour at most.
    pub fn run_to_end(&mut self, number: &OrderNumber) -> OrderState {
        let until = self.now + Duration::from_secs(1_800);
        while !self.server_up || !self.order(number).state.is_final() {
            if !self.go_on(until) {
                break;
            }
        }
        self.order(number).state
    }

    /// Lets time pass until then.
    pub fn run_until(&mut self, until: Time) {
        while self.go_on(until) {}
        self.now = self.now.max(until);
    }

    /// Lets time pass until a step of this kind is owed, and says on which host.
    pub fn run_until_asked(&mut self, word: &str) -> HostName {
        let until = self.now + Duration::from_secs(1_800);
        loop {
            if let Some(request) = self.outbox.values().find(|request| request.action.word() == word) {
                return request.host.clone();
            }
            if !self.go_on(until) {
                panic!("{word} is never asked; seed {}", self.seed);
            }
        }
    }

    /// An event reaches the journal and is folded in; what is owed is sent.
    pub fn submit(&mut self, event: Event) {
        if !self.server_up {
            return;
        }
        let seq = Seq(self.journal.len() as u64 + 1);
        let recorded = Recorded { seq, at: self.now, schema: EVENT_SCHEMA, event };
        self.journal.push(recorded.clone());
        let mut effects = Vec::new();
        step(&mut self.state, &recorded, &mut effects);
        self.state.touched = Default::default();
        for effect in effects {
            match effect {
                Effect::Do(request) => {
                    self.outbox.insert(request.key.clone(), request.clone());
                    self.asked.push(request.clone());
                    self.send(request);
                }
                Effect::Tell(tell) => self.told.push(tell),
                Effect::Answer { command, outcome } => drop(self.answers.insert(command, outcome)),
                Effect::Withdraw { key } => drop(self.outbox.remove(&key)),
            }
        }
        self.hold_promises();
    }

    fn go_on(&mut self, until: Time) -> bool {
        let thing = self.things.first_key_value().map(|(at, _)| *at);
        let due = next_due(&self.state).filter(|_| self.server_up).map(|due| due.max(self.now));
        match (thing, due) {
            (Some(at), due) if at.0 <= until && due.is_none_or(|due| at.0 <= due) => {
                self.now = self.now.max(at.0);
                if let Some(thing) = self.things.remove(&at) {
                    self.happen(thing);
                }
                self.hold_promises();
                true
            }
            (_, Some(due)) if due <= until => {
                let before = self.now;
                self.now = due;
                self.submit(Event::Tick);
                let again = next_due(&self.state);
                assert!(
                    again.is_none_or(|again| again > before || before < due),
                    "due again at once: {again:?}; seed {}",
                    self.seed
                );
                true
            }
            _ => false,
        }
    }

    fn happen(&mut self, thing: Thing) {
        match thing {
            Thing::Happens(event) => self.submit(event),
            Thing::Arrives(request) => self.arrive(request),
            Thing::Ends(request) => self.end(request),
            Thing::Answered(answer, epoch) => {
                if self.server_up && epoch == self.state.epoch {
                    self.outbox.remove(&answer.key);
                    self.submit(Event::StepAnswered(answer));
                }
            }
            Thing::SentAgain(key) => {
                if let Some(request) = self.outbox.get(&key).filter(|_| self.server_up) {
                    self.send(request.clone());
                }
            }
            Thing::ServerDies => self.server_up = false,
            Thing::ServerStarts => self.start_server(),
            Thing::AgentDies(host) => {
                self.lose_link(&host);
                if let Some(agent) = self.agents.get_mut(&host) {
                    for begun in self.begun.remove(&host).unwrap_or_default() {
                        agent.recover(&begun, self.random.chance(0.5));
                    }
                }
            }
            Thing::LinkBreaks(host) => self.lose_link(&host),
            Thing::LinkHeals(host) => {
                if let Some(agent) = self.agents.get_mut(&host) {
                    agent.up = true;
                }
                self.say_host(&host, true);
                self.say_service(&host);
            }
            Thing::BalancerGone(gone) => self.balancer.gone = gone,
            Thing::SaysCrashed(host) => {
                if let Some(agent) = self.agents.get(&host).filter(|agent| agent.up) {
                    let seen = self.service_seen(&host, agent, ServiceState::Crashed);
                    self.submit(Event::ServiceSeen(seen));
                }
            }
            Thing::SaysService(host) => self.say_service(&host),
            Thing::BalancerRead => self.read_balancer(),
        }
    }

    /// The judge's figures, as they were: the world has no traffic of its own.
    fn read_balancer(&mut self) {
        self.plan_thing(self.now + READ_EVERY, Thing::BalancerRead);
        if self.balancer.gone {
            return;
        }
        let rolls = |order: &&Order| matches!(order.state, OrderState::Running | OrderState::Halted);
        let judged = |order: &Order| {
            let said = order.judge.as_ref().map(|judge| (judge.verdict, judge.evidence.clone()));
            let (verdict, evidence) = said.unwrap_or((JudgeVerdict::Undecided, Default::default()));
            Event::Judged(Judged { order: order.number.clone(), verdict, evidence })
        };
        let events: Vec<Event> = self.state.orders.values().filter(rolls).map(judged).collect();
        for event in events {
            self.submit(event);
        }
    }

    fn lose_link(&mut self, host: &HostName) {
        if let Some(agent) = self.agents.get_mut(host) {
            agent.up = false;
        }
        self.say_host(host, false);
    }

    /// Performers keep a row until it is answered or withdrawn, and send it again every second.
    fn send(&mut self, request: StepRequest) {
        let again = self.now + Duration::from_secs(1);
        self.plan_thing(again, Thing::SentAgain(request.key.clone()));
        let no_link = request.action.doer() == Doer::Agent && !self.agents[&request.host].up && self.random.chance(0.5);
        if no_link || self.random.chance(self.faults.unreachable) {
            let outcome = StepOutcome::Unreachable { why: "no link".into() };
            return self.answer(&request, outcome);
        }
        if self.random.chance(self.faults.lose_request) {
            return;
        }
        if self.random.chance(self.faults.twice) {
            let at = self.soon(900);
            self.plan_thing(at, Thing::Arrives(request.clone()));
        }
        let at = self.soon(20);
        self.plan_thing(at, Thing::Arrives(request));
    }

    fn arrive(&mut self, request: StepRequest) {
        if request.action.doer() == Doer::Balancer {
            // A late repeat of an older server is not sent by a balancer's performer: it died with its server. What is on
            // its way to the socket gets there, even if it was withdrawn meanwhile.
            if request.epoch < self.state.epoch || !self.outbox.contains_key(&request.key) {
                return;
            }
            let at = self.soon(60);
            return self.plan_thing(at, Thing::Ends(request));
        }
        let Some(agent) = self.agents.get_mut(&request.host).filter(|agent| agent.up) else { return };
        match agent.accept(&request, self.now) {
            Accepted::Answer(outcome) => self.answer(&request, outcome),
            Accepted::Busy => {}
            Accepted::Begins => {
                // One after the other, as an agent works.
                let free_at = self.busy_until.get(&request.host).copied().unwrap_or(self.now).max(self.now);
                let at = free_at + Duration::from_millis(1 + self.random.below(400));
                self.busy_until.insert(request.host.clone(), at);
                self.begun.entry(request.host.clone()).or_default().push(request.clone());
                self.plan_thing(at, Thing::Ends(request));
            }
        }
    }

    fn end(&mut self, request: StepRequest) {
        if request.action.doer() == Doer::Balancer {
            let agents = &self.agents;
            let is_up = |server: &str| agents.get(server).is_some_and(|agent| agent.running.is_some());
            let outcome = self.balancer.perform(&request.action, is_up);
            return self.answer(&request, outcome);
        }
        let begun = self.begun.entry(request.host.clone()).or_default();
        let Some(place) = begun.iter().position(|begun| begun.key == request.key) else { return };
        let Some(agent) = self.agents.get_mut(&request.host) else { return };
        let Some(outcome) = agent.finish(&request) else { return };
        begun.remove(place);
        self.answer(&request, outcome);
        self.say_service(&request.host);
    }

    fn answer(&mut self, request: &StepRequest, outcome: StepOutcome) {
        let is_agents = request.action.doer() == Doer::Agent;
        let is_unreached = matches!(outcome, StepOutcome::Unreachable { .. });
        let is_cut_off = is_agents && !is_unreached && !self.agents[&request.host].up;
        if is_cut_off || self.random.chance(self.faults.lose_answer) {
            return;
        }
        let (key, order, host) = (request.key.clone(), request.order.clone(), request.host.clone());
        let answer = StepAnswer { key, order, host, outcome, took_ms: 100 };
        let at = self.soon(20);
        self.plan_thing(at, Thing::Answered(answer, request.epoch));
    }

    /// The state in memory is gone: it is the fold over the journal, and its JSON is the same again.
    fn start_server(&mut self) {
        if self.server_up {
            return;
        }
        let mut rebuilt = self.first.clone();
        for recorded in &self.journal {
            step(&mut rebuilt, recorded, &mut Vec::new());
            rebuilt.touched = Default::default();
        }
        assert_eq!(rebuilt, self.state, "replay gives another state; seed {}", self.seed);
        let snapshot = serde_json::to_string(&rebuilt).expect("a state is JSON");
        self.state = serde_json::from_str(&snapshot).expect("a snapshot is read");
        assert_eq!(rebuilt, self.state, "the snapshot is not the state; seed {}", self.seed);
        self.server_up = true;
        let rows: Vec<EffectKey> = self.outbox.keys().cloned().collect();
        self.submit(Event::Started { epoch: Epoch(self.state.epoch.0 + 1), version: "0.1.0".into() });
        for key in rows {
            let at = self.soon(50);
            self.plan_thing(at, Thing::SentAgain(key));
        }
        let linked: Vec<HostName> = self.agents.iter().filter(|(_, agent)| agent.up).map(|(host, _)| host.clone()).collect();
        for host in linked {
            let at = self.soon(1_500);
            self.plan_thing(at, Thing::LinkHeals(host));
        }
    }

    fn say_host(&mut self, host: &HostName, up: bool) {
        let (agent_version, boot_id) = ("0.1.0".to_owned(), "boot".to_owned());
        self.submit(Event::HostSeen(HostSeen { host: host.clone(), up, agent_version, boot_id, clock_ahead_us: 0 }));
    }

    fn say_service(&mut self, host: &HostName) {
        let Some(agent) = self.agents.get(host).filter(|agent| agent.up) else { return };
        let seen = self.service_seen(host, agent, agent.service_state());
        self.submit(Event::ServiceSeen(seen));
    }

    fn service_seen(&self, host: &HostName, agent: &SimulatedAgent, state: ServiceState) -> ServiceSeen {
        let (release, since) = (agent.current.clone(), self.now);
        ServiceSeen { host: host.clone(), service: shop(), state, release, since, pid: None, restarts: 0 }
    }

    fn soon(&mut self, millis: u64) -> Time {
        self.now + Duration::from_millis(1 + self.random.below(millis))
    }

    fn plan_thing(&mut self, at: Time, thing: Thing) {
        self.count += 1;
        self.things.insert((at, self.count), thing);
    }

    /// What must hold after every event.
    fn hold_promises(&self) {
        // Whoever crashed by itself was not taken out by a release.
        let is_out = |host: &&HostName| !self.balancer.servers.get(host.as_str()).copied().unwrap_or(false);
        let serving = self.balancer.in_service() + self.crashed.iter().filter(is_out).count();
        for order in self.state.orders.values() {
            let active = matches!(order.state, OrderState::Running | OrderState::Halted | OrderState::RollingBack);
            let min = order.plan.min_in_service as usize;
            assert!(
                !active || serving >= min,
                "{serving} in the balancer, {min} promised by {}; seed {}",
                order.number,
                self.seed
            );
        }
        for (host, agent) in &self.agents {
            let is_in = self.balancer.servers.get(host.as_str()).copied().unwrap_or(false);
            assert!(!is_in || agent.running.is_some(), "{host} gets requests without a process; seed {}", self.seed);
            let twice: BTreeSet<&EffectKey> = agent.effects.iter().filter(|(_, times)| **times > 1).map(|(key, _)| key).collect();
            assert!(twice.is_empty(), "{host} did {twice:?} twice; seed {}", self.seed);
        }
    }
}

/// A version as an artifact.
pub fn release(version: &str) -> ReleaseOnHost {
    let hex: String = version.bytes().map(|byte| format!("{byte:02x}")).collect();
    ReleaseOnHost { version: version.to_owned(), digest: ArtifactDigest::from(format!("{hex:0<64}")) }
}

fn shop() -> ServiceName {
    named(ServiceName::new("shop"))
}

fn prod() -> EnvironmentName {
    named(EnvironmentName::new("prod"))
}

fn named<T, E: std::fmt::Display>(name: Result<T, E>) -> T {
    name.unwrap_or_else(|error| panic!("{error}"))
}

/// The configuration of a fleet: `shop` of project `web` in `prod`, behind the balancer `front`.
fn fleet(hosts: &[HostName]) -> Config {
    let servers: Vec<serde_json::Value> = hosts.iter().map(|host| serde_json::json!({ "host": host, "port": 8080 })).collect();
    let addresses: serde_json::Map<String, serde_json::Value> = hosts
        .iter()
        .enumerate()
        .map(|(place, host)| (host.to_string(), serde_json::json!({ "address": format!("127.0.0.{}", place + 11) })))
        .collect();
    let config = serde_json::json!({
        "hosts": addresses,
        "environments": { "prod": {} },
        "balancers": { "front": { "haproxy": "127.0.0.1:9999" } },
        "projects": { "web": { "services": { "shop": {
            "run": { "command": ["{release}/shop"] },
            "environments": { "prod": { "balancer": "front", "servers": servers } }
        } } } },
    });
    serde_json::from_value(config).unwrap_or_else(|error| panic!("the fleet's configuration: {error}"))
}
