//! The registry of connected hosts. Steps go out through it, and it says who came and who went.
//!
//! A host has one connection: a newer one takes the place of the older. Coming and going are told to the pump in the order
//! in which they happen, one after the other.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use model::config::Config;
use model::plan::{Action, StepRequest};
use model::signal::HostSeen;
use model::{ArtifactDigest, EffectKey, Event, HostName, OrderNumber, Time};
use tokio::sync::{broadcast, mpsc, watch};
use tokio::time::timeout;
use tonic::Status;
use wire::link::{LinkFault, ServerBody, ServerFrame, SigningKey};

use super::LinkParts;
use super::authority::Authority;
use super::book::{Book, BookError};
use super::signer::StepSigner;
use super::tls::HostVerifier;
use crate::journal::Committed;
use crate::perform::outside;

/// Frames that may wait for one agent; then whoever sends waits.
pub const FRAMES_MAX: usize = 64;
/// An agent that takes no step for so long is not there.
const SEND_WITHIN: Duration = Duration::from_secs(5);
/// Times that a host may come within a minute. An agent that tries again and again comes 12 times; one that came as often
/// as it can would fill the journal with its coming and going.
const COMINGS_MAX: u32 = 30;
const MINUTE: Duration = Duration::from_secs(60);
/// Steps of which is remembered whom they were asked.
const ASKED_MAX: usize = 10_000;

/// The way down to one agent.
pub type Down = mpsc::Sender<Result<ServerFrame, Status>>;

/// Why a connection ends, as the agent hears it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// For people.
    pub text: String,
    /// True if connecting again can't help.
    pub is_final: bool,
}

impl Fault {
    /// Connecting again may help.
    pub fn passing(text: impl ToString) -> Fault {
        Fault { text: text.to_string(), is_final: false }
    }

    /// Connecting again can't help.
    pub fn lasting(text: impl ToString) -> Fault {
        Fault { text: text.to_string(), is_final: true }
    }

    /// As it goes over the line.
    pub fn frame(self) -> ServerFrame {
        let fault = LinkFault { text: self.text, is_final: self.is_final };
        ServerFrame { acknowledged: 0, body: Some(ServerBody::Error(fault)) }
    }
}

/// What an agent said of itself.
#[derive(Debug, Default)]
pub struct Presence {
    /// Its version.
    pub agent_version: String,
    /// The host's boot.
    pub boot_id: String,
    /// How far its clock is ahead, in microseconds; known once it has reported it.
    pub clock_ahead_us: AtomicI64,
}

/// What of a run of an agent is on disk.
#[derive(Clone, Debug, Default)]
pub struct Marks {
    /// The run.
    pub run_id: String,
    /// The last samples.
    pub samples: u64,
    /// The last event or answer.
    pub events: u64,
}

struct Connected {
    number: u64,
    down: Down,
    close: mpsc::Sender<Fault>,
    presence: Arc<Presence>,
}

#[derive(Clone)]
struct AskedStep {
    host: HostName,
    digest: Option<ArtifactDigest>,
}

#[derive(Default)]
struct AskedSteps {
    steps: HashMap<EffectKey, AskedStep>,
    order: VecDeque<EffectKey>,
}

/// The registry of connected hosts.
pub struct Links {
    pub(super) parts: LinkParts,
    pub(super) own_host: Option<HostName>,
    pub(super) authority: Arc<Authority>,
    pub(super) book: Arc<Book>,
    pub(super) hosts: HostVerifier,
    pub(super) config: watch::Sender<Arc<Config>>,
    pub(super) stopping: watch::Sender<bool>,
    signer: StepSigner,
    connected: Mutex<BTreeMap<HostName, Connected>>,
    marks: Mutex<HashMap<HostName, Marks>>,
    asked: Mutex<AskedSteps>,
    /// By host, since when is counted and how often it came since.
    comings: Mutex<HashMap<HostName, (Time, u32)>>,
    numbers: AtomicU64,
    /// Held while somebody comes or goes and the pump is told.
    door: tokio::sync::Mutex<()>,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Links {
    /// Nobody is connected yet. Must be called within a runtime: a task follows the configuration.
    pub(super) fn new(
        parts: LinkParts,
        own_host: Option<HostName>,
        authority: Arc<Authority>,
        book: Arc<Book>,
        signer: StepSigner,
        hosts: HostVerifier,
    ) -> Arc<Links> {
        // Listened to before it is read: nothing falls between.
        let commits = parts.pump.subscribe();
        let config = Arc::new(parts.pump.read_state(|state| state.config.clone()));
        let links = Arc::new(Links {
            parts,
            own_host,
            authority,
            book,
            hosts,
            config: watch::Sender::new(config),
            stopping: watch::Sender::new(false),
            signer,
            connected: Mutex::default(),
            marks: Mutex::default(),
            asked: Mutex::default(),
            comings: Mutex::default(),
            numbers: AtomicU64::new(1),
            door: tokio::sync::Mutex::new(()),
        });
        tokio::spawn(follow_config(Arc::downgrade(&links), commits));
        links
    }

    /// The hosts whose link is up.
    pub fn connected(&self) -> Vec<HostName> {
        lock(&self.connected).keys().cloned().collect()
    }

    /// From now on the host is refused and its open streams end. A fresh token lets it in again. False for a host that was
    /// never enrolled. Writes a small file, some milliseconds.
    pub fn revoke(&self, host: &HostName) -> Result<bool, BookError> {
        self.book.revoke(host, self.parts.clock.now())
    }

    /// What agents check signatures with.
    pub(super) fn signing_key(&self) -> SigningKey {
        self.signer.public()
    }

    /// Counts that a host comes; false if that is too often.
    pub(super) fn may_come(&self, host: &HostName) -> bool {
        let now = self.parts.clock.now();
        let mut comings = lock(&self.comings);
        let (since, count) = comings.entry(host.clone()).or_insert((now, 0));
        if now.since(*since) >= MINUTE {
            (*since, *count) = (now, 0);
        }
        *count += 1;
        *count <= COMINGS_MAX
    }

    /// A host is there: what it is sent from now on goes down here. Gives the connection's number and, later, why to end.
    pub(super) async fn join(&self, host: &HostName, down: &Down, presence: Arc<Presence>) -> (u64, mpsc::Receiver<Fault>) {
        let _door = self.door.lock().await;
        let number = self.numbers.fetch_add(1, Ordering::Relaxed);
        let (close, closing) = mpsc::channel(1);
        let before = lock(&self.connected)
            .insert(host.clone(), Connected { number, down: down.clone(), close, presence: presence.clone() });
        if let Some(before) = before {
            // Has the older one news of its clock, the newer one keeps it.
            presence.clock_ahead_us.store(before.presence.clock_ahead_us.load(Ordering::Relaxed), Ordering::Relaxed);
            let _ = before.close.try_send(Fault::passing("a newer connection of this host took the place of this one"));
        }
        self.say(host, true, &presence).await;
        self.parts.news.up(host.clone());
        (number, closing)
    }

    /// A connection has ended. Nothing is said if a newer one took its place, or the server ends.
    pub(super) async fn leave(&self, host: &HostName, number: u64) {
        let _door = self.door.lock().await;
        let gone = {
            let mut connected = lock(&self.connected);
            match connected.get(host) {
                Some(now) if now.number == number => connected.remove(host),
                _ => None,
            }
        };
        if let Some(gone) = gone.filter(|_| !*self.stopping.borrow()) {
            self.say(host, false, &gone.presence).await;
        }
    }

    /// Says how a host is: when it comes, when it goes, and when its clock turns out to be elsewhere.
    pub(super) async fn say(&self, host: &HostName, up: bool, presence: &Presence) {
        let seen = HostSeen {
            host: host.clone(),
            up,
            agent_version: presence.agent_version.clone(),
            boot_id: presence.boot_id.clone(),
            clock_ahead_us: presence.clock_ahead_us.load(Ordering::Relaxed),
        };
        if let Err(error) = self.parts.pump.enqueue(Event::HostSeen(seen)).await {
            tracing::debug!(%host, up, %error, "a host's coming or going was not noted");
        }
    }

    /// What of this run of the host's agent is on disk.
    pub(super) fn marks(&self, host: &HostName, run_id: &str) -> Marks {
        let known = lock(&self.marks).get(host).filter(|marks| marks.run_id == run_id).cloned();
        known.unwrap_or_else(|| Marks { run_id: run_id.to_owned(), ..Marks::default() })
    }

    /// Remembers it for the next connection.
    pub(super) fn keep_marks(&self, host: &HostName, marks: &Marks) {
        let mut all = lock(&self.marks);
        match all.get_mut(host) {
            Some(kept) if kept.run_id == marks.run_id => {
                kept.samples = kept.samples.max(marks.samples);
                kept.events = kept.events.max(marks.events);
            }
            _ => {
                all.insert(host.clone(), marks.clone());
            }
        }
    }

    fn remember(&self, request: &StepRequest) {
        let digest = match &request.action {
            Action::Fetch { digest, .. } => Some(digest.clone()),
            _ => None,
        };
        let mut asked = lock(&self.asked);
        if asked.steps.insert(request.key.clone(), AskedStep { host: request.host.clone(), digest }).is_none() {
            asked.order.push_back(request.key.clone());
        }
        if asked.order.len() > ASKED_MAX
            && let Some(oldest) = asked.order.pop_front()
        {
            asked.steps.remove(&oldest);
        }
    }

    /// Whether this host was asked this step. An answer to another's step would settle what that one still owes.
    pub(super) fn was_asked(&self, host: &HostName, order: &OrderNumber, key: &EffectKey) -> bool {
        if let Some(step) = lock(&self.asked).steps.get(key) {
            return step.host == *host;
        }
        // Asked before this server started.
        self.parts.pump.read_state(|state| {
            let lane = state.releases.runs.get(order).and_then(|run| run.lanes.get(host));
            lane.and_then(|lane| lane.asked.as_ref()).is_some_and(|asked| asked.request.key == *key)
        })
    }

    /// Whether this host has any business with an artifact: a step or a plan for it names it.
    pub(super) fn may_fetch(&self, host: &HostName, digest: &ArtifactDigest) -> bool {
        let was_asked = lock(&self.asked).steps.values().any(|step| step.host == *host && step.digest.as_ref() == Some(digest));
        was_asked
            || self.parts.pump.read_state(|state| {
                let fetches = |action: &Action| matches!(action, Action::Fetch { digest: named, .. } if named == digest);
                state.orders.values().any(|order| order.plan.steps().any(|(at, step)| at == host && fetches(&step.action)))
            })
    }
}

#[async_trait]
impl outside::Links for Links {
    async fn ask(&self, request: &StepRequest) -> bool {
        let line = lock(&self.connected).get(&request.host).map(|line| (line.down.clone(), line.close.clone()));
        let Some((down, close)) = line else { return false };
        let signed = match self.signer.sign(request) {
            Ok(signed) => signed,
            Err(error) => {
                tracing::error!(key = %request.key, %error, "failed to write a step as JSON");
                return false;
            }
        };
        // Before it is sent: its answer may be quick.
        self.remember(request);
        let frame = ServerFrame { acknowledged: 0, body: Some(ServerBody::Step(signed)) };
        match timeout(SEND_WITHIN, down.send(Ok(frame))).await {
            Ok(Ok(())) => true,
            Ok(Err(_)) => false,
            Err(_) => {
                let _ = close.try_send(Fault::passing("the agent took no step for 5 s"));
                false
            }
        }
    }
}

/// Whoever changes the configuration, hosts hear of it.
async fn follow_config(links: std::sync::Weak<Links>, mut commits: broadcast::Receiver<Arc<Committed>>) {
    loop {
        let committed = match commits.recv().await {
            Ok(committed) => Some(committed),
            Err(broadcast::error::RecvError::Lagged(_)) => None,
            Err(broadcast::error::RecvError::Closed) => return,
        };
        let Some(links) = links.upgrade() else { return };
        let newest = match committed {
            Some(committed) => configured(&committed),
            // Something was missed: perhaps that.
            None => Some(links.parts.pump.read_state(|state| state.config.clone())),
        };
        if let Some(config) = newest {
            links.config.send_replace(Arc::new(config));
        }
    }
}

fn configured(committed: &Committed) -> Option<Config> {
    let config = |event: &Event| match event {
        Event::Configured { config, .. } => Some(Config::clone(config)),
        _ => None,
    };
    committed.recorded.iter().rev().find_map(|recorded| config(&recorded.event))
}
