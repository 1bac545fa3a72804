//! One task owns the engine's state: it takes what has arrived, folds it in, commits it in one transaction, then answers.
//!
//! While a batch is being written the next one gathers, so the number of events in a batch follows the disk's speed. A full
//! queue makes senders wait; nothing that came in is dropped. Telling begins before the commit, doing after it.

mod fold;
#[cfg(test)]
mod tests;

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use engine::State;
use model::{Event, Outcome, Seq, Time};
use tokio::sync::{broadcast, mpsc, oneshot, watch};
use tokio::time::Instant;

pub use fold::{Fold, FoldResult, Folded, SharedState};

use crate::clock::SharedClock;
use crate::journal::{Committed, JournalError, OutboxChange, Owed};

/// Most events in one transaction.
pub const BATCH_MAX: usize = 512;
/// Most events that wait; then senders wait.
pub const QUEUE_LEN_MAX: usize = 8_192;
/// A snapshot is kept after so many events.
const SNAPSHOT_EVENTS: u64 = 5_000;
/// Two ticks are at least so far apart, whatever the engine says is due.
const TICK_GAP: Duration = Duration::from_millis(10);
/// Between two tries to write what could not be written.
const RETRY_PAUSE: Duration = Duration::from_millis(250);

/// Why an event was not accepted.
#[derive(Debug, Clone, thiserror::Error)]
pub enum PumpError {
    /// It is not on disk: the sender tries again.
    #[error("write the event: {0}")]
    Journal(#[from] JournalError),
    /// The engine failed on it: a bug. It is kept, and has no effect.
    #[error("fold in event {seq}: {why}")]
    Poisoned {
        /// Its place.
        seq: Seq,
        /// What the engine said.
        why: String,
    },
    /// The server ends.
    #[error("hand the event over: the server is stopping")]
    Stopping,
}

/// What became of an event: it is on disk.
#[derive(Clone, Debug, PartialEq)]
pub struct Submitted {
    /// Its place.
    pub seq: Seq,
    /// When the journal received it.
    pub at: Time,
    /// What came of it, for a command; none for a repeat that the engine did not answer.
    pub outcome: Option<Outcome>,
}

/// What the pump tells whoever performs effects.
#[derive(Debug)]
pub enum Dues {
    /// Owed, not on disk yet: only telling, whose keys are made of content.
    Early(Vec<Owed>),
    /// On disk now, in order; without what was handed out early.
    Committed(Vec<OutboxChange>),
    /// A commit failed: exactly this is owed, what was handed out early and is not in here is not.
    Reset(Vec<Owed>),
}

struct Submission {
    event: Event,
    answer: Option<oneshot::Sender<Result<Submitted, PumpError>>>,
}

/// The door to the pump. Cheap to clone.
#[derive(Clone)]
pub struct PumpHandle {
    queue: mpsc::Sender<Submission>,
    state: SharedState,
    committed: broadcast::Sender<Arc<Committed>>,
    on_disk: Arc<AtomicU64>,
    stop: Arc<watch::Sender<bool>>,
}

impl PumpHandle {
    /// Hands an event over and waits until it is on disk.
    pub async fn submit(&self, event: Event) -> Result<Submitted, PumpError> {
        let (answer, answered) = oneshot::channel();
        let submission = Submission { event, answer: Some(answer) };
        self.queue.send(submission).await.map_err(|_| PumpError::Stopping)?;
        answered.await.map_err(|_| PumpError::Stopping)?
    }

    /// Hands an event over and waits only for a place in the queue. The pump writes it again until it is on disk.
    pub async fn enqueue(&self, event: Event) -> Result<(), PumpError> {
        self.queue.send(Submission { event, answer: None }).await.map_err(|_| PumpError::Stopping)
    }

    /// As [`enqueue`](Self::enqueue), from a thread of its own; never from a task.
    pub fn enqueue_blocking(&self, event: Event) -> Result<(), PumpError> {
        self.queue.blocking_send(Submission { event, answer: None }).map_err(|_| PumpError::Stopping)
    }

    /// Reads the engine's state. Be short: the pump waits. It may be one batch ahead of the disk.
    pub fn read_state<T>(&self, read: impl FnOnce(&State) -> T) -> T {
        read(&self.state.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// All batches from now on, each once it is on disk. Who is slower than 1,024 batches misses the oldest and is told so.
    pub fn subscribe(&self) -> broadcast::Receiver<Arc<Committed>> {
        self.committed.subscribe()
    }

    /// The last event on disk. Who subscribed before asking gets all that come behind it.
    pub fn on_disk(&self) -> Seq {
        Seq(self.on_disk.load(Ordering::Acquire))
    }

    /// Lets the pump write what it has, keep a snapshot, and end.
    pub fn stop(&self) {
        self.stop.send_replace(true);
    }
}

/// The task's own half.
pub struct Pump {
    fold: Fold,
    queue: mpsc::Receiver<Submission>,
    committed: broadcast::Sender<Arc<Committed>>,
    on_disk: Arc<AtomicU64>,
    dues: mpsc::Sender<Dues>,
    stop: watch::Receiver<bool>,
    /// Events are kept so long in the journal.
    retention: Duration,
    snapshot_at: Seq,
    last_tick: Option<Instant>,
    /// The state has to be built anew before anything else.
    stale: bool,
}

/// Makes a pump. What it owes goes to `dues`, whose receiver must never wait for the pump.
pub fn pump(fold: Fold, dues: mpsc::Sender<Dues>, retention: Duration) -> (PumpHandle, Pump) {
    let (sender, queue) = mpsc::channel(QUEUE_LEN_MAX);
    let (committed, _) = broadcast::channel(1_024);
    let (stop_sender, stop) = watch::channel(false);
    let state = fold.state();
    let snapshot_at = fold.last();
    let on_disk = Arc::new(AtomicU64::new(snapshot_at.0));
    let (committed_to, stop_door) = (committed.clone(), Arc::new(stop_sender));
    let handle = PumpHandle { queue: sender, state, committed: committed_to, on_disk: on_disk.clone(), stop: stop_door };
    (handle, Pump { fold, queue, committed, on_disk, dues, stop, retention, snapshot_at, last_tick: None, stale: false })
}

impl Pump {
    /// Runs until it is told to stop or nobody can send any more.
    pub async fn run(mut self) {
        let mut batch = Vec::new();
        loop {
            let stopping = *self.stop.borrow();
            if batch.is_empty() && !stopping {
                let tick_in = self.tick_in();
                let tick = async {
                    match tick_in {
                        Some(pause) => tokio::time::sleep(pause).await,
                        None => std::future::pending().await,
                    }
                };
                tokio::select! {
                    taken = self.queue.recv_many(&mut batch, BATCH_MAX) => if taken == 0 { break },
                    () = tick => {}
                    _ = self.stop.changed() => continue,
                }
            }
            while batch.len() < BATCH_MAX {
                let Ok(next) = self.queue.try_recv() else { break };
                batch.push(next);
            }
            if self.tick_in() == Some(Duration::ZERO) {
                self.last_tick = Some(Instant::now());
                batch.push(Submission { event: Event::Tick, answer: None });
            }
            if batch.is_empty() {
                if stopping {
                    break;
                }
                continue;
            }
            batch = self.turn(batch).await;
            if !batch.is_empty() {
                if stopping {
                    break;
                }
                tokio::time::sleep(RETRY_PAUSE).await;
            }
            if self.fold.last().0 >= self.snapshot_at.0 + SNAPSHOT_EVENTS {
                self.keep_snapshot();
            }
        }
        self.last_snapshot().await;
    }

    /// How long until the engine wants a tick; zero: now.
    fn tick_in(&self) -> Option<Duration> {
        if self.stale {
            return None;
        }
        let state = self.fold.state();
        let due = engine::next_due(&state.read().unwrap_or_else(PoisonError::into_inner))?;
        let gap = self.last_tick.map_or(Duration::ZERO, |tick| TICK_GAP.saturating_sub(tick.elapsed()));
        Some(due.since(self.fold.clock().now()).max(gap))
    }

    /// One batch. Gives back what must be written again: the events that nobody waits for, of a batch that failed.
    async fn turn(&mut self, batch: Vec<Submission>) -> Vec<Submission> {
        let (events, answers): (Vec<Event>, Vec<_>) =
            batch.into_iter().map(|submission| (submission.event, submission.answer)).unzip();
        match self.write(&events).await {
            Ok(folded) => {
                self.on_disk.store(self.fold.last().0, Ordering::Release);
                let places = folded.committed.recorded.iter();
                for ((recorded, result), answer) in places.zip(&folded.results).zip(answers) {
                    let result = match result {
                        FoldResult::Done(outcome) => {
                            Ok(Submitted { seq: recorded.seq, at: recorded.at, outcome: outcome.clone() })
                        }
                        FoldResult::Poisoned(why) => Err(PumpError::Poisoned { seq: recorded.seq, why: why.clone() }),
                    };
                    if let Some(answer) = answer {
                        let _ = answer.send(result);
                    }
                }
                let _ = self.committed.send(Arc::new(folded.committed));
                Vec::new()
            }
            Err(error) => {
                tracing::error!(%error, events = events.len(), "failed to write to the journal");
                let mut again = Vec::new();
                for (event, answer) in events.into_iter().zip(answers) {
                    match answer {
                        Some(answer) => {
                            let _ = answer.send(Err(PumpError::Journal(error.clone())));
                        }
                        None if event == Event::Tick => {}
                        None => again.push(Submission { event, answer: None }),
                    }
                }
                again
            }
        }
    }

    async fn write(&mut self, events: &[Event]) -> Result<Folded, JournalError> {
        if self.stale {
            let owed = self.fold.reload().await?;
            self.stale = false;
            let _ = self.dues.send(Dues::Reset(owed)).await;
        }
        let mut folded = match self.fold.fold(events).await {
            Ok(folded) => folded,
            Err(error) => {
                self.stale = true;
                return Err(error);
            }
        };
        let (early, later) = split(&folded.committed.outbox);
        if !early.is_empty() {
            let _ = self.dues.send(Dues::Early(early)).await;
        }
        if let Err(error) = self.fold.commit(&mut folded).await {
            self.stale = true;
            let last = self.fold.last();
            let owed = self.fold.reload().await?;
            self.stale = false;
            let _ = self.dues.send(Dues::Reset(owed)).await;
            if self.fold.last() < last {
                return Err(error);
            }
            // The database said no, but it is there: as when the answer to the commit was lost.
            tracing::warn!(%error, "a commit that seemed to fail is on disk");
        } else if !later.is_empty() {
            let _ = self.dues.send(Dues::Committed(later)).await;
        }
        Ok(folded)
    }

    /// Writes a snapshot beside the running work; the next one waits for at least as many events.
    fn keep_snapshot(&mut self) {
        self.snapshot_at = self.fold.last();
        let state = self.fold.state().read().unwrap_or_else(PoisonError::into_inner).clone();
        let (journal, keep_from) = (self.fold.journal().clone(), state.at - self.retention);
        tokio::spawn(async move {
            if let Err(error) = journal.snapshot(&state, keep_from).await {
                tracing::error!(%error, "failed to keep a snapshot; the journal's tail grows until the next one");
            }
        });
    }

    async fn last_snapshot(&mut self) {
        if self.stale || self.fold.last() == Seq(0) {
            return;
        }
        let state = self.fold.state().read().unwrap_or_else(PoisonError::into_inner).clone();
        if let Err(error) = self.fold.journal().snapshot(&state, state.at - self.retention).await {
            tracing::error!(%error, "failed to keep a snapshot at the end; the next start replays more");
        }
    }

    /// The clock that gives events their times.
    pub fn clock(&self) -> &SharedClock {
        self.fold.clock()
    }
}

/// What may begin before the commit, and what only after it.
pub fn split(outbox: &[OutboxChange]) -> (Vec<Owed>, Vec<OutboxChange>) {
    let (mut early, mut later) = (Vec::new(), Vec::new());
    for change in outbox {
        match change {
            OutboxChange::Owe(owed) if matches!(owed.effect, engine::Effect::Tell(_)) => early.push(Owed::clone(owed)),
            change => later.push(change.clone()),
        }
    }
    (early, later)
}
