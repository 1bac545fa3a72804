//! Services as supervised processes: started, watched, restarted with a growing pause, stopped.
//!
//! A process has a group of its own, an environment that holds what the configuration says and nothing else, and writes
//! into a file. It outlives the agent; the next agent finds it by its note, or by the marks in its environment. Nothing is
//! started from a release whose files are not those that were unpacked, and nothing that the host's policy does not name.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::Child;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use model::signal::{LogLine, ReleaseOnHost, ServiceSeen, ServiceState};
use model::{HostName, ServiceName, Time};
use rustix::process::Signal;
use serde::{Deserialize, Serialize};
use tokio::sync::watch;
use wire::link::duty::{HostDuty, ServiceDuty};

use crate::clock::ServerClock;
use crate::execute::release::Releases;
use crate::folder::{Folder, make_private, read_json, write_json};
use crate::link::chain;
use crate::outbox::Outbox;
use crate::supervise::output::{LINE_LEN_MAX, Output};
use crate::supervise::process::{ProcessId, Seen, find_marked, signal_group};

mod begin;
pub mod output;
pub mod process;

/// How often processes are looked at.
pub const POLL_EVERY: Duration = Duration::from_millis(200);
/// A process that lives so long after its start is taken for started.
const STARTED_AFTER: Duration = Duration::from_millis(250);
/// First and longest pause before a crashed process is started again.
const RESTART_PAUSE_MIN: Duration = Duration::from_secs(1);
const RESTART_PAUSE_MAX: Duration = Duration::from_secs(30);
/// A process that lived so long crashed anew: the pause starts small again.
const STABLE_AFTER: Duration = Duration::from_secs(60);
/// Longest time for comparing a release's files before a restart.
const CHECK_LIMIT: Duration = Duration::from_secs(60);
/// From the stop signal to the kill, where the configuration says nothing.
const STOP_TIMEOUT: Duration = Duration::from_secs(10);
/// After the kill the kernel needs a moment.
const KILL_TIMEOUT: Duration = Duration::from_secs(5);

/// What is noted of a service, for the next agent.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
struct Note {
    /// Whether it is meant to run.
    wanted: bool,
    process: Option<ProcessId>,
    /// Which release the process was started from.
    release: Option<ReleaseOnHost>,
    since: Time,
    restarts: u32,
}

#[derive(Debug)]
struct State {
    note: Note,
    child: Option<Child>,
    seen: ServiceState,
    started: Instant,
    pause: Duration,
    due: Option<Instant>,
    output: Output,
}

/// One service. Its gate lets one start or stop through at a time.
#[derive(Debug)]
struct Service {
    name: ServiceName,
    folder: PathBuf,
    state: Mutex<State>,
    gate: tokio::sync::Mutex<()>,
}

/// What a running service uses.
#[derive(Clone, Debug)]
pub struct Usage {
    /// Which.
    pub service: ServiceName,
    /// Its process, if it runs.
    pub process: Option<(u32, Seen)>,
    /// Starts without being asked to.
    pub restarts: u32,
}

/// All services of the host.
pub struct Supervisor {
    folder: Arc<Folder>,
    host: HostName,
    clock: Arc<ServerClock>,
    outbox: Arc<Outbox>,
    duty: watch::Receiver<Option<Arc<HostDuty>>>,
    policy_path: PathBuf,
    boot_id: String,
    services: Mutex<BTreeMap<ServiceName, Arc<Service>>>,
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Supervisor {
    /// Finds what still runs.
    pub fn new(
        folder: Arc<Folder>,
        host: HostName,
        clock: Arc<ServerClock>,
        outbox: Arc<Outbox>,
        duty: watch::Receiver<Option<Arc<HostDuty>>>,
        policy_path: PathBuf,
    ) -> Supervisor {
        let boot_id = process::boot_id();
        let supervisor = Supervisor { folder, host, clock, outbox, duty, policy_path, boot_id, services: Mutex::default() };
        let marked = find_marked(supervisor.folder.root(), &supervisor.boot_id);
        let known = std::fs::read_dir(supervisor.folder.file("services")).into_iter().flatten().flatten();
        let mut names: Vec<String> = known.filter_map(|entry| entry.file_name().into_string().ok()).collect();
        names.extend(marked.keys().cloned());
        for name in names.iter().filter_map(|name| ServiceName::new(name).ok()) {
            let service = supervisor.service(&name);
            let mut state = locked(&service.state);
            if let Some(process) = marked.get(name.as_str()) {
                if state.note.process.as_ref() != Some(process) {
                    state.note.process = Some(process.clone());
                    state.note.release = supervisor.releases(&name).current();
                    state.note.wanted = true;
                }
                state.seen = ServiceState::Running;
                tracing::info!(service = %name, pid = process.pid, "found running");
            }
            supervisor.keep_note(&service, &state);
            supervisor.tell(&service, &state);
        }
        supervisor
    }

    /// The releases of a service.
    pub fn releases(&self, service: &ServiceName) -> Releases {
        Releases::new(self.folder.service(service), service.clone())
    }

    fn service(&self, name: &ServiceName) -> Arc<Service> {
        let mut services = locked(&self.services);
        if let Some(service) = services.get(name) {
            return service.clone();
        }
        let folder = self.folder.service(name);
        if let Err(error) = make_private(&folder) {
            tracing::error!(error = %chain(&error), "failed to make a service's folder");
        }
        let note = read_json::<Note>(&folder.join("process.json")).unwrap_or_else(|error| {
            tracing::error!(error = %chain(&error), "failed to read the note about a service");
            None
        });
        let note = note.unwrap_or_default();
        let alive = note.process.as_ref().is_some_and(|process| process.alive(&self.boot_id).is_some());
        let seen = match (alive, note.wanted) {
            (true, _) => ServiceState::Running,
            // Its end was not seen: it crashed, or the host was rebooted.
            (false, true) => ServiceState::Crashed,
            (false, false) => ServiceState::Stopped,
        };
        let due = (seen == ServiceState::Crashed).then(Instant::now);
        let state = State {
            note,
            child: None,
            seen,
            started: Instant::now(),
            pause: RESTART_PAUSE_MIN,
            due,
            output: Output::new(&folder),
        };
        let service =
            Arc::new(Service { name: name.clone(), folder, state: Mutex::new(state), gate: tokio::sync::Mutex::new(()) });
        services.insert(name.clone(), service.clone());
        service
    }

    fn keep_note(&self, service: &Service, state: &State) {
        if let Err(error) = write_json(&service.folder.join("process.json"), &state.note) {
            // The marks in its environment find it all the same.
            tracing::error!(service = %service.name, error = %chain(&error), "failed to keep the note about a service");
        }
    }

    fn tell(&self, service: &Service, state: &State) {
        let runs = matches!(state.seen, ServiceState::Running | ServiceState::Starting | ServiceState::Stopping);
        self.outbox.service(ServiceSeen {
            host: self.host.clone(),
            service: service.name.clone(),
            state: state.seen,
            release: self.releases(&service.name).current(),
            since: state.note.since,
            pid: state.note.process.as_ref().filter(|_| runs).map(|process| process.pid),
            restarts: state.note.restarts,
        });
    }

    fn set(&self, service: &Service, state: &mut State, seen: ServiceState) {
        if state.seen != seen {
            state.seen = seen;
            state.note.since = self.clock.now();
            self.tell(service, state);
        }
    }

    /// Tells the state of one service: after `current` was switched.
    pub fn tell_one(&self, name: &ServiceName) {
        let service = self.service(name);
        self.tell(&service, &locked(&service.state));
    }

    /// Tells the state of each service: after the link came up.
    pub fn tell_all(&self) {
        let services: Vec<_> = locked(&self.services).values().cloned().collect();
        for service in services {
            self.tell(&service, &locked(&service.state));
        }
    }

    /// A line of the agent's own about its work.
    pub fn log_own(&self, text: String) {
        let Ok(service) = ServiceName::new("deploy") else { return };
        self.outbox.log(vec![LogLine { at: self.clock.now(), host: self.host.clone(), service, text }]);
    }

    fn duty_of(&self, name: &ServiceName) -> Option<ServiceDuty> {
        let duty = self.duty.borrow();
        duty.as_ref()?.services.iter().find(|service| service.service == *name).cloned()
    }

    /// Whether its process runs, and from which release it was started, and since when.
    pub fn running(&self, name: &ServiceName) -> Option<(Option<ReleaseOnHost>, Time)> {
        let service = self.service(name);
        let state = locked(&service.state);
        state.note.process.as_ref()?.alive(&self.boot_id)?;
        Some((state.note.release.clone(), state.note.since))
    }

    /// Starts it, if it does not run. Done when the process has lived for a moment.
    pub async fn start(self: &Arc<Self>, name: &ServiceName, limit: Duration) -> Result<String, String> {
        let service = self.service(name);
        let _gate = service.gate.lock().await;
        {
            let mut state = locked(&service.state);
            state.note.restarts = 0;
            state.pause = RESTART_PAUSE_MIN;
        }
        self.start_within(&service, limit).await
    }

    async fn start_within(self: &Arc<Self>, service: &Arc<Service>, limit: Duration) -> Result<String, String> {
        if let Some((pid, _)) = self.usage_of(service).process {
            let mut state = locked(&service.state);
            state.note.wanted = true;
            self.keep_note(service, &state);
            self.set(service, &mut state, ServiceState::Running);
            return Ok(format!("runs already as process {pid}"));
        }
        {
            let mut state = locked(&service.state);
            state.note.wanted = true;
            state.due = None;
            self.set(service, &mut state, ServiceState::Starting);
            self.keep_note(service, &state);
        }
        let (this, to_start) = (self.clone(), service.clone());
        let begun = tokio::task::spawn_blocking(move || this.spawn(&to_start, Instant::now() + limit.min(CHECK_LIMIT))).await;
        let begun = begun.unwrap_or_else(|error| Err(error.to_string()));
        if let Err(why) = begun {
            let mut state = locked(&service.state);
            self.set(service, &mut state, ServiceState::Crashed);
            return Err(why);
        }
        tokio::time::sleep(STARTED_AFTER).await;
        self.look_at(service);
        let mut state = locked(&service.state);
        match state.note.process.as_ref().filter(|process| process.alive(&self.boot_id).is_some()) {
            Some(process) => {
                let note = format!("runs as process {}", process.pid);
                self.set(service, &mut state, ServiceState::Running);
                Ok(note)
            }
            None => Err(format!("start {}: its process ended at once; {}", service.name, state.output.last_lines())),
        }
    }

    /// Stops it and whatever it started, if it runs; it stays stopped. Gives back how it ended.
    pub async fn stop(self: &Arc<Self>, name: &ServiceName) -> Result<String, String> {
        let service = self.service(name);
        let _gate = service.gate.lock().await;
        self.stop_within(&service).await
    }

    async fn stop_within(&self, service: &Service) -> Result<String, String> {
        let stop_timeout =
            self.duty_of(&service.name).and_then(|duty| duty.run).map_or(STOP_TIMEOUT, |run| run.stop_timeout.duration());
        {
            let mut state = locked(&service.state);
            state.note.wanted = false;
            state.due = None;
            self.keep_note(service, &state);
            if self.ended(service, &mut state) {
                self.set(service, &mut state, ServiceState::Stopped);
                return Ok("did not run".into());
            }
            self.set(service, &mut state, ServiceState::Stopping);
        }
        let begun = Instant::now();
        for (signal, limit) in [(Signal::TERM, stop_timeout), (Signal::KILL, KILL_TIMEOUT)] {
            self.signal(service, signal);
            let since = Instant::now();
            while since.elapsed() < limit {
                tokio::time::sleep(Duration::from_millis(10)).await;
                let mut state = locked(&service.state);
                if self.ended(service, &mut state) {
                    self.set(service, &mut state, ServiceState::Stopped);
                    let how = if signal == Signal::KILL { "was killed" } else { "ended" };
                    return Ok(format!("{how} after {} ms", begun.elapsed().as_millis()));
                }
            }
        }
        Err("it did not end, not even by SIGKILL".into())
    }

    fn signal(&self, service: &Service, signal: Signal) {
        let state = locked(&service.state);
        if let Some(process) = state.note.process.as_ref().filter(|process| process.alive(&self.boot_id).is_some()) {
            signal_group(process.pid, signal);
        }
    }

    /// Stops and starts without a switch.
    pub async fn restart(self: &Arc<Self>, name: &ServiceName, limit: Duration) -> Result<String, String> {
        let service = self.service(name);
        let _gate = service.gate.lock().await;
        let stopped = self.stop_within(&service).await?;
        let started = self.start_within(&service, limit).await?;
        Ok(format!("{stopped}; {started}"))
    }

    /// True when its process has ended; then what is left of its group is killed, and the note says so.
    fn ended(&self, service: &Service, state: &mut State) -> bool {
        let Some(process) = state.note.process.clone() else { return true };
        if process.alive(&self.boot_id).is_some() {
            return false;
        }
        if let Some(mut child) = state.child.take() {
            // Before the child is waited for its number can't be another's: what it left behind may hold its port.
            signal_group(process.pid, Signal::KILL);
            match child.wait() {
                Ok(status) => tracing::info!(service = %service.name, pid = process.pid, %status, "ended"),
                Err(error) => tracing::warn!(service = %service.name, %error, "ended, nobody knows how"),
            }
        }
        state.note.process = None;
        self.keep_note(service, state);
        true
    }

    /// Sends new output, and notes an end that nobody asked for.
    fn look_at(&self, service: &Service) {
        let mut state = locked(&service.state);
        let at = self.clock.now();
        let line = |text: String| {
            let text = if text.len() > LINE_LEN_MAX { text.chars().take(LINE_LEN_MAX / 4).collect() } else { text };
            LogLine { at, host: self.host.clone(), service: service.name.clone(), text }
        };
        let lines = state.output.read();
        self.outbox.log(lines.into_iter().map(line).collect());
        let had = state.note.process.is_some();
        let ended = self.ended(service, &mut state);
        // A start or a stop that was given up in the middle, by its time limit, comes to its end here.
        if !ended && state.seen == ServiceState::Starting && state.started.elapsed() > STARTED_AFTER {
            self.set(service, &mut state, ServiceState::Running);
        }
        if ended && !state.note.wanted {
            self.set(service, &mut state, ServiceState::Stopped);
        }
        if had && ended && state.note.wanted {
            if state.started.elapsed() > STABLE_AFTER {
                state.pause = RESTART_PAUSE_MIN;
            }
            state.due = Some(Instant::now() + state.pause);
            state.pause = (state.pause * 2).min(RESTART_PAUSE_MAX);
            self.set(service, &mut state, ServiceState::Crashed);
        }
    }

    /// Looks at every process once and starts again what crashed and is due.
    pub fn poll(self: &Arc<Self>) {
        let services: Vec<_> = locked(&self.services).values().cloned().collect();
        for service in services {
            self.look_at(&service);
            let state = locked(&service.state);
            let due = state.note.wanted && state.due.is_some_and(|due| Instant::now() >= due);
            drop(state);
            // A start or a stop that somebody asked for goes first.
            if due && self.duty_of(&service.name).is_some() && service.gate.try_lock().is_ok() {
                let this = self.clone();
                tokio::spawn(async move { this.start_again(&service).await });
            }
        }
    }

    async fn start_again(self: Arc<Self>, service: &Arc<Service>) {
        let Ok(_gate) = service.gate.try_lock() else { return };
        {
            let mut state = locked(&service.state);
            if !state.note.wanted || state.due.take().is_none() {
                return;
            }
            state.note.restarts += 1;
        }
        if let Err(why) = self.start_within(service, CHECK_LIMIT).await {
            tracing::warn!(service = %service.name, why, "could not be started again");
            let mut state = locked(&service.state);
            if state.note.process.is_none() && state.due.is_none() {
                state.due = Some(Instant::now() + state.pause);
                state.pause = (state.pause * 2).min(RESTART_PAUSE_MAX);
            }
        }
    }

    fn usage_of(&self, service: &Service) -> Usage {
        let state = locked(&service.state);
        let process = state.note.process.as_ref().and_then(|process| Some((process.pid, process.alive(&self.boot_id)?)));
        Usage { service: service.name.clone(), process, restarts: state.note.restarts }
    }

    /// What each service uses now.
    pub fn usage(&self) -> Vec<Usage> {
        let services: Vec<_> = locked(&self.services).values().cloned().collect();
        services.iter().map(|service| self.usage_of(service)).collect()
    }

    /// Stops all, side by side, but leaves them wanted: the next agent starts them again.
    pub async fn stop_all(self: &Arc<Self>) {
        let services: Vec<_> = locked(&self.services).values().cloned().collect();
        let stops = services.iter().map(|service| async move {
            let _gate = service.gate.lock().await;
            let wanted = locked(&service.state).note.wanted;
            if let Err(why) = self.stop_within(service).await {
                tracing::warn!(service = %service.name, why, "could not be stopped");
            }
            let mut state = locked(&service.state);
            state.note.wanted = wanted;
            self.keep_note(service, &state);
        });
        futures::future::join_all(stops).await;
    }
}
