//! What every handler is given: the parts of a running server, the configuration in force, limits and counters.

use std::ops::Deref;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, PoisonError, RwLock};

use model::config::Config;
use model::rights::Right;
use model::{EnvironmentName, Event, ProjectName, Time};
use query::Features;
use tokio::sync::{Mutex, broadcast, watch};

use super::audit;
use super::doors::{ArtifactStore, Enrolment, Samples};
use super::error::HttpError;
use super::guard::Guard;
use super::intake::Memories;
use super::limits::Limits;
use super::metrics::Metrics;
use super::prometheus::ParsedQueries;
use crate::clock::SharedClock;
use crate::config::nearest;
use crate::journal::{Journal, Projections};
use crate::logs::Logs;
use crate::people::{Caller, People};
use crate::pump::PumpHandle;

/// The parts of a server that the HTTP door needs, all of them open.
pub struct Parts {
    /// Takes events.
    pub pump: PumpHandle,
    /// What the API reads.
    pub projections: Arc<dyn Projections>,
    /// For lines of the audit that are no events.
    pub journal: Arc<dyn Journal>,
    /// Accounts.
    pub people: Arc<People>,
    /// Takes samples, and answers queries.
    pub telemetry: Arc<dyn Samples>,
    /// The newest lines of services' logs.
    pub logs: Arc<Logs>,
    /// Programs that can be released.
    pub artifacts: Arc<dyn ArtifactStore>,
    /// Lets hosts in.
    pub enrol: Arc<dyn Enrolment>,
    /// How many effects are owed to the outside now.
    pub owed: Arc<dyn Fn() -> u64 + Send + Sync>,
    /// The server's clock.
    pub clock: SharedClock,
    /// When the server started.
    pub started_at: Time,
    /// Where the configuration is read again; none: it was started without.
    pub config_folder: Option<PathBuf>,
    /// What of PromQL's experimental parts is allowed.
    pub features: Features,
    /// Whether this is the demo.
    pub demo: bool,
    /// Whether people reach it by TLS: cookies are for TLS only then.
    pub secure: bool,
}

/// The state of all handlers. Cheap to clone.
#[derive(Clone)]
pub struct App(Arc<Shared>);

/// What [`App`] holds.
pub struct Shared {
    parts: Parts,
    /// Who may come in.
    pub guard: Guard,
    /// How much, how often, how many at once.
    pub limits: Arc<Limits>,
    /// Counters of this door.
    pub metrics: Metrics,
    /// Memory of bodies that were taken.
    pub(super) memories: Memories,
    /// Queries that were parsed.
    pub(super) parsed: ParsedQueries,
    /// One reload at a time.
    pub(super) reloading: Mutex<()>,
    /// Verbs that wait for a confirmation.
    pub pending: crate::verbs::Pending,
    /// The overview as every stream gets it.
    pub(super) overview: super::live::OverviewFeed,
    config: Arc<RwLock<Arc<Config>>>,
    ready: AtomicBool,
    stopping: watch::Sender<bool>,
}

impl Deref for App {
    type Target = Shared;
    fn deref(&self) -> &Shared {
        &self.0
    }
}

impl Deref for Shared {
    type Target = Parts;
    fn deref(&self) -> &Parts {
        &self.parts
    }
}

impl App {
    /// Over open parts. Must be called within a runtime: a task follows the configuration.
    pub fn new(parts: Parts) -> App {
        let config = Arc::new(RwLock::new(Arc::new(parts.pump.read_state(|state| state.config.clone()))));
        let now = config.clone();
        let guard = Guard::new(
            parts.people.clone(),
            Arc::new(move || now.read().unwrap_or_else(PoisonError::into_inner).clone()),
            audit::refusals(parts.journal.clone(), parts.clock.clone()),
        );
        let (stopping, _) = watch::channel(false);
        let app = App(Arc::new(Shared {
            parsed: ParsedQueries::new(parts.features),
            parts,
            guard,
            limits: Arc::new(Limits::new()),
            metrics: Metrics::default(),
            memories: Memories::default(),
            reloading: Mutex::new(()),
            pending: crate::verbs::Pending::default(),
            overview: super::live::OverviewFeed::default(),
            config,
            ready: AtomicBool::new(true),
            stopping,
        }));
        tokio::spawn(follow_config(Arc::downgrade(&app.0), app.pump.subscribe()));
        app
    }
}

/// Whoever changes the configuration, the door sees it.
async fn follow_config(shared: std::sync::Weak<Shared>, mut commits: broadcast::Receiver<Arc<crate::journal::Committed>>) {
    loop {
        let newest = match commits.recv().await {
            Ok(committed) => committed.recorded.iter().rev().find_map(|recorded| match &recorded.event {
                Event::Configured { config, .. } => Some(Config::clone(config)),
                _ => None,
            }),
            Err(broadcast::error::RecvError::Lagged(_)) => {
                shared.upgrade().map(|shared| shared.pump.read_state(|state| state.config.clone()))
            }
            Err(broadcast::error::RecvError::Closed) => return,
        };
        let Some(shared) = shared.upgrade() else { return };
        if let Some(config) = newest {
            shared.put_config(config);
        }
    }
}

impl Shared {
    /// The configuration in force.
    pub fn config(&self) -> Arc<Config> {
        self.config.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(super) fn put_config(&self, config: Config) {
        *self.config.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(config);
    }

    /// Refuses, with a line in the audit, what a caller may not do in that place.
    pub async fn demand(
        &self,
        caller: &Caller,
        right: Right,
        project: Option<&ProjectName>,
        environment: Option<&EnvironmentName>,
        (method, path): (&str, &str),
    ) -> Result<(), HttpError> {
        if caller.may(right, project, environment) {
            return Ok(());
        }
        self.guard.refused(caller, right, method, path).await;
        let place = match (project, environment) {
            (Some(project), Some(environment)) => format!(" in {project} / {environment}"),
            (Some(project), None) => format!(" in {project}"),
            _ => " everywhere".into(),
        };
        Err(HttpError::not_allowed(format!("needs the right `{right}`{place}")))
    }

    /// As [`demand`](Self::demand) for what has no place.
    pub async fn demand_everywhere(&self, caller: &Caller, right: Right, method: &str, path: &str) -> Result<(), HttpError> {
        self.demand(caller, right, None, None, (method, path)).await
    }

    /// 404 for a name, with the nearest known one.
    pub fn unknown<'a>(&self, what: &str, name: &str, known: impl IntoIterator<Item = &'a str>) -> HttpError {
        let error = HttpError::unknown(format!("no {what} is called `{}`", super::params::short(name))).at(what);
        error.hint(nearest(name, known).map(|name| format!("Nearest: `{name}`.")))
    }

    /// Whether it may be sent work.
    pub fn is_ready(&self) -> bool {
        self.ready.load(Ordering::Relaxed)
    }

    /// Says whether it may be sent work; it may from the beginning, since its parts are open.
    pub fn set_ready(&self, ready: bool) {
        self.ready.store(ready, Ordering::Relaxed);
    }

    /// Ends all streams and says that it is not ready any more.
    pub fn stop(&self) {
        self.set_ready(false);
        self.stopping.send_replace(true);
    }

    /// Turns true when the server ends.
    pub fn stopping(&self) -> watch::Receiver<bool> {
        self.stopping.subscribe()
    }
}
