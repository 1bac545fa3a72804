//! What is scraped now and how it went, for the API: written by the scrapes, read by whoever asks.

use std::collections::{BTreeMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use model::{Labels, Time};
use wire::Metadata;

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
    /// Whether the target answered well: its series `up`.
    pub is_up: bool,
    /// Why it failed, or why the store refused what it brought; empty: it went well.
    pub error: String,
}

impl Last {
    /// `up`, `down` or `unknown`.
    pub fn health(&self) -> &'static str {
        match (self.at, self.is_up) {
            (None, _) => "unknown",
            (Some(_), true) => "up",
            (Some(_), false) => "down",
        }
    }
}

/// A target that is scraped.
#[derive(Debug)]
pub struct Active {
    /// What it was when its run began.
    pub target: Target,
    /// As it was found last.
    discovered: Mutex<Labels>,
    last: Mutex<Last>,
    known: Mutex<Vec<Arc<Metadata>>>,
}

impl Active {
    /// Not scraped yet.
    pub fn new(target: Target) -> Active {
        let discovered = Mutex::new(target.discovered.clone());
        Active { target, discovered, last: Mutex::default(), known: Mutex::default() }
    }

    /// Its labels before relabelling, as it was found last.
    pub fn discovered(&self) -> Labels {
        self.discovered.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Notes that it was found with other labels that change nothing of how it is scraped.
    pub(super) fn discover(&self, labels: &Labels) {
        labels.clone_into(&mut self.discovered.lock().unwrap_or_else(PoisonError::into_inner));
    }

    /// How the last scrape went.
    pub fn last(&self) -> Last {
        self.last.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// What it last said of its metrics, by their names.
    pub fn known(&self) -> Vec<Arc<Metadata>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Notes what it says of its metrics.
    pub(crate) fn describe(&self, known: Vec<Arc<Metadata>>) {
        *self.known.lock().unwrap_or_else(PoisonError::into_inner) = known;
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
pub struct TargetBoard {
    pools: Arc<Mutex<BTreeMap<String, Pool>>>,
    said: Arc<Mutex<Said>>,
}

/// What targets say of their metrics, each thing once: a thousand targets of a job say the same of a thousand metrics.
#[derive(Debug, Default)]
struct Said {
    known: HashSet<Arc<Metadata>>,
    /// So many are looked through for what nobody says any more.
    forget_at: usize,
}

impl Said {
    fn share(&mut self, one: &Metadata) -> Arc<Metadata> {
        if let Some(known) = self.known.get(one) {
            return known.clone();
        }
        let new = Arc::new(one.clone());
        self.known.insert(new.clone());
        new
    }

    fn forget(&mut self) {
        if self.known.len() >= self.forget_at {
            self.known.retain(|one| Arc::strong_count(one) > 1);
            self.forget_at = 2 * self.known.len() + 1_000;
        }
    }
}

impl TargetBoard {
    /// All jobs by name.
    pub fn pools(&self) -> BTreeMap<String, Pool> {
        self.lock().clone()
    }

    /// What a target said of its metrics, sorted by their names; it takes no room for what others said as well.
    pub(crate) fn share(&self, said: &[Metadata]) -> Vec<Arc<Metadata>> {
        let mut shared = self.said.lock().unwrap_or_else(PoisonError::into_inner);
        shared.forget();
        let mut known: Vec<Arc<Metadata>> = said.iter().map(|one| shared.share(one)).collect();
        known.sort_by(|one, other| one.family.cmp(&other.family));
        known
    }

    /// Shows these targets as those of a job.
    pub(crate) fn put(&self, job: &str, mut pool: Pool) {
        pool.dropped_total = pool.dropped.len();
        pool.dropped.truncate(DROPPED_MAX);
        self.lock().insert(job.to_owned(), pool);
    }

    pub(super) fn remove(&self, job: &str) {
        self.lock().remove(job);
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<String, Pool>> {
        self.pools.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use wire::MetricKind;

    #[test]
    fn what_many_targets_say_is_kept_once_and_forgotten_with_the_last() {
        let board = TargetBoard::default();
        let said =
            |family: &str| Metadata { family: family.into(), kind: MetricKind::Gauge, help: "h".into(), unit: String::new() };
        let (one, other) = (board.share(&[said("b"), said("a")]), board.share(&[said("a")]));
        assert_eq!(one.iter().map(|known| known.family.as_str()).collect::<Vec<_>>(), ["a", "b"]);
        assert!(Arc::ptr_eq(&one[0], &other[0]));
        for n in 0..5_000 {
            drop(board.share(&[said(&format!("m{n}"))]));
        }
        let kept = board.said.lock().unwrap();
        assert!(kept.known.len() <= 1_010 && kept.known.contains(&said("a")), "{}", kept.known.len());
    }
}
