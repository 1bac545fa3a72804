//! The ticket for a batch that is in memory but not yet on the disk. Depends on no async runtime.

use std::sync::{Arc, Condvar, Mutex, PoisonError};

use crate::error::StoreError;
use crate::log::Log;

type Told = Box<dyn FnOnce(Result<(), StoreError>) + Send>;

/// All batches that one sync makes durable.
pub(crate) struct Group {
    state: Mutex<GroupState>,
    done: Condvar,
}

enum GroupState {
    Waiting {
        told: Vec<Told>,
        /// A thread sleeps until it is done: telling nobody is a system call too.
        asleep: bool,
    },
    Done(Result<(), StoreError>),
}

impl Group {
    pub fn new() -> Arc<Group> {
        Arc::new(Group { state: Mutex::new(GroupState::Waiting { told: Vec::new(), asleep: false }), done: Condvar::new() })
    }

    /// A group with nothing to write.
    pub fn settled() -> Arc<Group> {
        Arc::new(Group { state: Mutex::new(GroupState::Done(Ok(()))), done: Condvar::new() })
    }

    /// Tells everybody who waits. The first outcome stays.
    pub fn settle(&self, outcome: Result<(), StoreError>) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let GroupState::Waiting { told, asleep } = &mut *state else { return };
        let (waiting, asleep) = (std::mem::take(told), *asleep);
        *state = GroupState::Done(outcome.clone());
        drop(state);
        if asleep {
            self.done.notify_all();
        }
        for told in waiting {
            // A panic of one must not take the writer's thread from all the others.
            if std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| told(outcome.clone()))).is_err() {
                tracing::error!("a callback for a commit panicked");
            }
        }
    }
}

/// Says when a batch is on the disk. Dropping it changes nothing: the batch is written all the same.
#[must_use = "a batch may be acknowledged only after its commit"]
pub struct Commit {
    group: Arc<Group>,
    /// The log's thread is told of the batch when this is given up, so that who waits may write it instead.
    log: Option<Arc<Log>>,
    /// The caller drives the log: waiting means writing.
    driven: bool,
}

impl Commit {
    pub(crate) fn new(group: Arc<Group>, log: Option<Arc<Log>>, driven: bool) -> Commit {
        Commit { group, log, driven }
    }

    /// Whether [`lead`](Self::lead) would write now, as far as can be seen, and be back in about a millisecond.
    pub fn may_lead(&self, others_max: usize) -> bool {
        !self.driven && self.log.as_ref().is_some_and(|log| log.is_quick_and_free(others_max))
    }

    /// Writes the batch and what else waits on this thread, unless `others_max` threads are writing, or as many as the log lets write
    /// at once: the way to the log's thread and back takes about as long as the disk does. Blocks as long as the disk does. True
    /// where it wrote; the batch itself may be on another thread's way still.
    pub fn lead(&self, others_max: usize) -> bool {
        !self.driven && self.log.as_ref().is_some_and(|log| log.lead(others_max))
    }

    /// Blocks until the batch is on the disk, or failed to get there.
    pub fn wait(self) -> Result<(), StoreError> {
        loop {
            if let Some(outcome) = self.poll() {
                return outcome;
            }
            match &self.log {
                Some(log) if self.driven => {
                    log.write_group();
                }
                _ => {
                    let state = self.group.state.lock().unwrap_or_else(PoisonError::into_inner);
                    let waiting = |state: &mut GroupState| match state {
                        GroupState::Waiting { asleep, .. } => {
                            *asleep = true;
                            true
                        }
                        GroupState::Done(_) => false,
                    };
                    drop(self.group.done.wait_while(state, waiting).unwrap_or_else(PoisonError::into_inner));
                }
            }
        }
    }

    /// The outcome, if there is one already; else the batch is on its way.
    pub fn poll(&self) -> Option<Result<(), StoreError>> {
        let outcome = match &*self.group.state.lock().unwrap_or_else(PoisonError::into_inner) {
            GroupState::Waiting { .. } => None,
            GroupState::Done(outcome) => Some(outcome.clone()),
        };
        if outcome.is_none() {
            self.wake();
        }
        outcome
    }

    fn wake(&self) {
        if let Some(log) = self.log.as_ref().filter(|_| !self.driven) {
            log.wake(&self.group);
        }
    }

    /// Calls `told` with the outcome: at once where there is one, else on the thread that writes. It must
    /// neither block nor call the store there.
    pub fn on_synced(self, told: impl FnOnce(Result<(), StoreError>) + Send + 'static) {
        let mut state = self.group.state.lock().unwrap_or_else(PoisonError::into_inner);
        match &mut *state {
            GroupState::Waiting { told: waiting, .. } => waiting.push(Box::new(told)),
            GroupState::Done(outcome) => {
                let outcome = outcome.clone();
                drop(state);
                told(outcome);
            }
        }
    }
}

impl Drop for Commit {
    fn drop(&mut self) {
        self.wake();
    }
}
