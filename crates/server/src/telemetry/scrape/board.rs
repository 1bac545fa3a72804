//! What is scraped now and how it went, for the API: written by the scrapes, read by whoever asks.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use model::{Labels, Time};

use super::target::Target;

/// Most dropped targets of a job that are kept for show.
const DROPPED_MAX: usize = 10_000;

/// How a target's last scrape went.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Last {
    /// When; none: not yet.
    pub at: Option<Time>,
    /// How long it took.
    pub took: Duration,
    /// Why it failed; empty: it went well.
    pub error: String,
}

impl Last {
    /// `up`, `down` or `unknown`.
    pub fn health(&self) -> &'static str {
        match (self.at, self.error.is_empty()) {
            (None, _) => "unknown",
            (Some(_), true) => "up",
            (Some(_), false) => "down",
        }
    }
}

/// A target that is scraped.
#[derive(Debug)]
pub struct Active {
    /// What it is.
    pub target: Target,
    last: Mutex<Last>,
}

impl Active {
    /// Not scraped yet.
    pub fn new(target: Target) -> Active {
        Active { target, last: Mutex::default() }
    }

    /// How the last scrape went.
    pub fn last(&self) -> Last {
        self.last.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Notes how it went.
    pub fn scraped(&self, last: Last) {
        *self.last.lock().unwrap_or_else(PoisonError::into_inner) = last;
    }
}

/// The targets of a job.
#[derive(Clone, Debug, Default)]
pub struct Pool {
    /// Those that are scraped.
    pub active: Vec<Arc<Active>>,
    /// Labels of those that relabelling dropped, before it.
    pub dropped: Vec<Labels>,
    /// How many it dropped.
    pub dropped_total: usize,
}

/// The targets of all jobs. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub struct TargetBoard(Arc<Mutex<BTreeMap<String, Pool>>>);

impl TargetBoard {
    /// All jobs by name.
    pub fn pools(&self) -> BTreeMap<String, Pool> {
        self.lock().clone()
    }

    pub(super) fn put(&self, job: &str, mut pool: Pool) {
        pool.dropped_total = pool.dropped.len();
        pool.dropped.truncate(DROPPED_MAX);
        self.lock().insert(job.to_owned(), pool);
    }

    pub(super) fn remove(&self, job: &str) {
        self.lock().remove(job);
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<String, Pool>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
