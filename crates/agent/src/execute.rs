//! Does the steps that the server signed, each at most once, and remembers what came of it.
//!
//! A step is done only if its signature, host, epoch, expiry and the host's own policy file allow it. It is noted on disk
//! before it begins and its answer before that leaves. Asked again it gets the recorded answer. If the agent ended in the
//! middle, the step is first looked at by its own verification; only when that says "not done" and the server asks again
//! it is done again, and every action here is one that may be. It knows a closed list of actions and no shell.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use ed25519_dalek::{Signature, VerifyingKey};
use futures::future::BoxFuture;
use futures::stream::BoxStream;
use model::plan::{Action, Doer, StepAnswer, StepOutcome, StepRequest};
use model::{ArtifactDigest, EffectKey, HostName, ServiceName};
use tokio::sync::watch;
use wire::link::SignedStep;
use wire::link::duty::HostDuty;

use crate::clock::ServerClock;
use crate::execute::journal::{Entry, Journal};
use crate::execute::release::{ReleaseError, check_digest, sha256_of};
use crate::folder::{Folder, FolderError};
use crate::link::chain;
use crate::outbox::Outbox;
use crate::policy::Policy;
use crate::probe::Seen;
use crate::supervise::Supervisor;

mod fetch;
pub mod journal;
pub mod release;
mod verify;

/// Longest signed payload, in bytes.
const PAYLOAD_LEN_MAX: usize = 64 * 1024;
/// Longest time that any step may take, whatever it says.
const TIME_LIMIT_MAX: Duration = Duration::from_secs(3_600);

/// Where artifacts come from.
pub trait ArtifactSource: Send + Sync {
    /// The bytes of an artifact from `offset` on, in order.
    fn fetch(&self, digest: &ArtifactDigest, offset: u64) -> BoxFuture<'static, Result<Chunks, String>>;
}

/// Bytes on their way; an error says why they end.
pub type Chunks = BoxStream<'static, Result<Vec<u8>, String>>;

/// Does the steps.
pub struct Executor {
    folder: Arc<Folder>,
    host: HostName,
    clock: Arc<ServerClock>,
    outbox: Arc<Outbox>,
    supervisor: Arc<Supervisor>,
    duty: watch::Receiver<Option<Arc<HostDuty>>>,
    policy_path: PathBuf,
    journal: Arc<Mutex<Journal>>,
    keys: Mutex<HashMap<String, VerifyingKey>>,
    busy: Mutex<HashSet<EffectKey>>,
    gates: Mutex<BTreeMap<ServiceName, Arc<Gate>>>,
    artifacts: Arc<dyn ArtifactSource>,
}

/// One step at a time per service.
#[derive(Default)]
struct Gate {
    turn: tokio::sync::Mutex<()>,
    /// Something is to be taken back: nobody needs to see the new version any more.
    undo: tokio::sync::Notify,
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// What an executor works with.
pub struct Parts {
    /// The agent's folder.
    pub folder: Arc<Folder>,
    /// This host.
    pub host: HostName,
    /// For expiry.
    pub clock: Arc<ServerClock>,
    /// For answers.
    pub outbox: Arc<Outbox>,
    /// For processes.
    pub supervisor: Arc<Supervisor>,
    /// For the host's own addresses.
    pub duty: watch::Receiver<Option<Arc<HostDuty>>>,
    /// The host's policy file.
    pub policy_path: PathBuf,
    /// For artifacts.
    pub artifacts: Arc<dyn ArtifactSource>,
}

impl Executor {
    /// Opens the journal.
    pub fn new(parts: Parts) -> Result<Executor, FolderError> {
        let Parts { folder, host, clock, outbox, supervisor, duty, policy_path, artifacts } = parts;
        let journal = Journal::open(&folder.file("steps.journal"))?;
        Ok(Executor {
            folder,
            host,
            clock,
            outbox,
            supervisor,
            duty,
            policy_path,
            journal: Arc::new(Mutex::new(journal)),
            keys: Mutex::default(),
            busy: Mutex::default(),
            gates: Mutex::default(),
            artifacts,
        })
    }

    /// The highest epoch that was seen.
    pub fn epoch_seen(&self) -> u64 {
        locked(&self.journal).epoch().0
    }

    /// Keys of steps that were started and have no answer.
    pub fn unanswered(&self) -> Vec<String> {
        locked(&self.journal)
            .entries()
            .filter(|entry| entry.answer.is_none())
            .map(|entry| entry.request.key.to_string())
            .collect()
    }

    /// The keys whose signatures count from now on.
    pub fn trust(&self, keys: impl Iterator<Item = (String, Vec<u8>)>) {
        let read = |(name, bytes): (String, Vec<u8>)| {
            let key = <[u8; 32]>::try_from(bytes).ok().and_then(|bytes| VerifyingKey::from_bytes(&bytes).ok());
            if key.is_none() {
                tracing::error!(name, "a signing key of the server is no Ed25519 key");
            }
            Some((name, key?))
        };
        *locked(&self.keys) = keys.filter_map(read).collect();
    }

    /// Tells what each service does now.
    pub fn tell_services(&self) {
        self.supervisor.tell_all();
    }

    /// The server has the answer to a step.
    pub fn told(&self, key: &str) {
        if let Err(error) = locked(&self.journal).told(&EffectKey::from(key)) {
            tracing::warn!(error = %chain(&error), "failed to note an acknowledged answer");
        }
    }

    async fn record(&self, write: impl FnOnce(&mut Journal) -> Result<(), FolderError> + Send + 'static) -> Result<(), String> {
        let journal = self.journal.clone();
        let written = tokio::task::spawn_blocking(move || write(&mut locked(&journal))).await;
        written.map_err(|error| error.to_string())?.map_err(|error| chain(&error))
    }

    fn tell(&self, answer: &StepAnswer) {
        match serde_json::to_vec(answer) {
            Ok(json) => self.outbox.answer(answer.key.as_str(), json),
            Err(error) => tracing::error!(%error, "an answer that can't be written"),
        }
    }

    /// After a start: tells again what the server may not have, and looks at what was left in the middle.
    pub async fn reconcile(&self) {
        let entries: Vec<Entry> = locked(&self.journal).entries().cloned().collect();
        for entry in entries {
            match &entry.answer {
                Some(answer) if !entry.told => self.tell(answer),
                Some(_) => {}
                None => {
                    let begun = Instant::now();
                    if let Some(note) = self.found_done(&entry).await {
                        self.finish(&entry.request, StepOutcome::Done { note }, begun.elapsed()).await;
                    } else {
                        tracing::info!(key = %entry.request.key, "left in the middle; done again only if it is asked again");
                    }
                }
            }
        }
    }

    /// Takes a step as it came; its answer goes to the outbox.
    pub async fn ask(&self, signed: SignedStep) {
        if signed.payload.len() > PAYLOAD_LEN_MAX {
            return tracing::error!(len = signed.payload.len(), "a step that is too long was ignored");
        }
        let request: StepRequest = match serde_json::from_slice(&signed.payload) {
            Ok(request) => request,
            Err(error) => return tracing::error!(%error, "a step that can't be read was ignored"),
        };
        // One at a time per key: the second gets what the first comes to.
        if !locked(&self.busy).insert(request.key.clone()) {
            return;
        }
        let begun = Instant::now();
        if let Err(why) = self.ask_once(&signed, &request).await {
            tracing::warn!(key = %request.key, why, "a step was refused");
            self.supervisor.log_own(format!("{} {}: refused, {why}", request.order, request.action.word()));
            self.tell(&answer(&request, StepOutcome::Refused { why }, begun.elapsed()));
        }
        locked(&self.busy).remove(&request.key);
    }

    async fn ask_once(&self, signed: &SignedStep, request: &StepRequest) -> Result<(), String> {
        self.check_signature(signed)?;
        if request.host != self.host {
            return Err(format!("it is for the host {}, this is {}", request.host, self.host));
        }
        self.check_epoch(request)?;
        let (epoch, key) = (request.epoch, request.key.clone());
        self.record(move |journal| journal.see_epoch(epoch)).await?;
        let known = locked(&self.journal).get(&key).cloned();
        if let Some(entry) = &known {
            if entry.request.action != request.action || entry.request.order != request.order {
                return Err("its key belongs to another step".into());
            }
            if let Some(answer) = &entry.answer {
                self.tell(answer);
                return Ok(());
            }
            let begun = Instant::now();
            if let Some(note) = self.found_done(entry).await {
                self.finish(request, StepOutcome::Done { note }, begun.elapsed()).await;
                return Ok(());
            }
        }
        self.check_expiry(request)?;
        let policy = Policy::load(&self.policy_path).map_err(|error| chain(&error))?;
        policy.judge(&request.action)?;
        let service = service_of(&request.action).ok_or("it is a step for a load balancer, not for a host")?;

        let gate = locked(&self.gates).entry(service.clone()).or_default().clone();
        // A look at a version that does not come takes half a minute; an undo that waited for it would leave users with
        // the bad one for as long.
        let needless = gate.undo.notified();
        if request.undo {
            gate.undo.notify_waiters();
        }
        let _turn = gate.turn.lock().await;
        // While it waited a newer server may have spoken, and time has passed.
        self.check_epoch(request)?;
        self.check_expiry(request)?;
        let (to_note, now) = (request.clone(), self.clock.now());
        self.record(move |journal| journal.start(to_note, now)).await?;

        let begun = Instant::now();
        let limit = Duration::from_millis(request.time_limit_ms).min(TIME_LIMIT_MAX);
        let may_end_early = matches!(request.action, Action::Verify { .. }) && !request.undo;
        let performed = async {
            tokio::select! {
                performed = self.perform(&request.action, limit) => performed,
                () = needless, if may_end_early => Err("not looked at any longer: it is taken back".into()),
            }
        };
        let outcome = match tokio::time::timeout(limit, performed).await {
            Ok(Ok(note)) => StepOutcome::Done { note },
            Ok(Err(why)) => StepOutcome::Failed { why },
            Err(_) => StepOutcome::Failed { why: format!("{}: not done within {} ms", request.action.word(), limit.as_millis()) },
        };
        self.finish(request, outcome, begun.elapsed()).await;
        Ok(())
    }

    async fn finish(&self, request: &StepRequest, outcome: StepOutcome, took: Duration) {
        let (word, said) = match &outcome {
            StepOutcome::Done { note } => ("done", note),
            StepOutcome::Failed { why } | StepOutcome::Refused { why } | StepOutcome::Unreachable { why } => ("failed", why),
        };
        let undo = if request.undo { "undo " } else { "" };
        let took_ms = took.as_millis();
        self.supervisor.log_own(format!("{} {undo}{}: {word} in {took_ms} ms, {said}", request.order, request.action.word()));
        let answer = answer(request, outcome, took);
        let to_note = answer.clone();
        if let Err(error) = self.record(move |journal| journal.answer(to_note)).await {
            // It is in memory, and after a restart the step's own verification says what was done.
            tracing::error!(error, "failed to note an answer");
        }
        self.tell(&answer);
        // Others tell by themselves what they change; the link `current` does not.
        if let Action::Switch { service, .. } = &request.action {
            self.supervisor.tell_one(service);
        }
    }

    fn check_signature(&self, signed: &SignedStep) -> Result<(), String> {
        let key = locked(&self.keys).get(&signed.key_id).copied();
        let key = key.ok_or("it is signed by a key that this host does not know")?;
        let signature = Signature::from_slice(&signed.signature).map_err(|_| "its signature has a wrong length")?;
        key.verify_strict(&signed.payload, &signature).map_err(|_| "its signature is wrong".to_owned())
    }

    fn check_epoch(&self, request: &StepRequest) -> Result<(), String> {
        let seen = locked(&self.journal).epoch();
        if request.epoch < seen {
            return Err(format!("older epoch {}: this host has seen {}", request.epoch.0, seen.0));
        }
        Ok(())
    }

    fn check_expiry(&self, request: &StepRequest) -> Result<(), String> {
        let now = self.clock.heard_now().ok_or("the server's time is not known yet")?;
        if now > request.expires_at { Err(format!("it expired at {}, now it is {now}", request.expires_at)) } else { Ok(()) }
    }

    /// Whether a step that was started is done, by the action's own verification. `None`: it is not, or nobody can say.
    async fn found_done(&self, entry: &Entry) -> Option<String> {
        match &entry.request.action {
            Action::Fetch { digest, size, .. } => {
                let (path, expected) = (self.folder.artifact(digest), digest.to_string());
                let length = std::fs::metadata(&path).ok()?.len();
                let deadline = Instant::now() + Duration::from_millis(entry.request.time_limit_ms);
                let found = tokio::task::spawn_blocking(move || sha256_of(&path, deadline)).await.ok()?.ok()?;
                (length == *size && found == expected).then(|| "found fetched".into())
            }
            Action::Unpack { service, release } => {
                self.supervisor.releases(service).has(release).then(|| "found unpacked".into())
            }
            Action::Switch { service, to } => {
                (self.supervisor.releases(service).current() == *to).then(|| "found switched".into())
            }
            Action::Stop { service } => self.supervisor.running(service).is_none().then(|| "found stopped".into()),
            Action::Start { service } => {
                let (release, _) = self.supervisor.running(service)?;
                (release == self.supervisor.releases(service).current()).then(|| "found running".into())
            }
            Action::Restart { service } => {
                let (_, since) = self.supervisor.running(service)?;
                (since >= entry.started_at).then(|| "found restarted".into())
            }
            // Changes nothing, so it may be repeated.
            Action::Verify { .. } | Action::BalancerOut { .. } | Action::Drain { .. } | Action::BalancerIn { .. } => None,
        }
    }

    async fn perform(&self, action: &Action, limit: Duration) -> Result<String, String> {
        let deadline = Instant::now() + limit;
        match action {
            Action::Fetch { digest, size, .. } => self.fetch(digest, *size, deadline).await,
            Action::Unpack { service, release } => {
                check_digest(&release.digest).map_err(|error| chain(&error))?;
                let (releases, artifact, release) =
                    (self.supervisor.releases(service), self.folder.artifact(&release.digest), release.clone());
                let folder = self.folder.clone();
                blocking(move || -> Result<(), ReleaseError> {
                    releases.unpack(&artifact, &release, deadline)?;
                    for digest in releases.prune() {
                        // It can be fetched again; that it is gone already is as good.
                        let _ = std::fs::remove_file(folder.artifact(&digest));
                    }
                    Ok(())
                })
                .await?;
                Ok("unpacked beside the old one".into())
            }
            Action::Switch { service, to } => {
                let (releases, to) = (self.supervisor.releases(service), to.clone());
                blocking(move || releases.switch(to.as_ref())).await?;
                Ok("switched".into())
            }
            Action::Stop { service } => self.supervisor.stop(service).await,
            Action::Start { service } => self.supervisor.start(service, limit).await,
            Action::Restart { service } => self.supervisor.restart(service, limit).await,
            Action::Verify { url, version, probe, service } => {
                let figures = |seen: &Seen| self.figures(probe.as_ref(), service, url, seen);
                self.verify(url, version, deadline, &figures).await
            }
            Action::BalancerOut { .. } | Action::Drain { .. } | Action::BalancerIn { .. } => Err("not a step of an agent".into()),
        }
    }
}

async fn blocking<T, E>(work: impl FnOnce() -> Result<T, E> + Send + 'static) -> Result<T, String>
where
    T: Send + 'static,
    E: std::error::Error + Send + 'static,
{
    let done = tokio::task::spawn_blocking(work).await;
    done.map_err(|error| error.to_string())?.map_err(|error| chain(&error))
}

fn answer(request: &StepRequest, outcome: StepOutcome, took: Duration) -> StepAnswer {
    StepAnswer {
        key: request.key.clone(),
        order: request.order.clone(),
        host: request.host.clone(),
        outcome,
        took_ms: took.as_millis() as u64,
    }
}

fn service_of(action: &Action) -> Option<&ServiceName> {
    match action {
        Action::Fetch { service, .. }
        | Action::Unpack { service, .. }
        | Action::Stop { service }
        | Action::Switch { service, .. }
        | Action::Start { service }
        | Action::Verify { service, .. }
        | Action::Restart { service } => Some(service),
        Action::BalancerOut { .. } | Action::Drain { .. } | Action::BalancerIn { .. } => {
            debug_assert_eq!(action.doer(), Doer::Balancer);
            None
        }
    }
}
