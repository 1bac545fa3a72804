//! Scraping as Prometheus does it: discovery, relabelling, limits, and an end to every series that is gone.
//!
//! A job has sources of targets; each target has a run of its own on its own beat. A known series costs a hash of its text
//! in the answer: its labels were made and relabelled when it was new. Requests leave through the one dialer.

mod board;
mod cache;
mod discovery;
mod fetch;
mod job;
mod md5;
pub mod relabel;
mod run;
mod target;

use std::collections::BTreeMap;
use std::sync::Arc;

use model::config::ScrapeJob;
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinSet;

pub use board::{Active, Last, Pool, TargetBoard};
pub use target::Target;

use super::Telemetry;
use crate::perform::outgoing::Outgoing;
use job::Job;
use run::Shared;

/// So many answers are fetched and read at once, over all jobs.
const AT_ONCE: usize = 64;

/// All jobs of a server. What is dropped ends at once, without a last word about its series.
pub struct Scrapes {
    tasks: JoinSet<()>,
    jobs: BTreeMap<String, watch::Sender<Arc<ScrapeJob>>>,
    shared: Shared,
    board: TargetBoard,
}

impl Scrapes {
    /// None yet.
    pub fn new(telemetry: Telemetry, outgoing: Outgoing, board: TargetBoard) -> Scrapes {
        let shared = Shared { telemetry, outgoing, turns: Arc::new(Semaphore::new(AT_ONCE)) };
        Scrapes { tasks: JoinSet::new(), jobs: BTreeMap::new(), shared, board }
    }

    /// Makes the jobs those that are wanted. A job that stays as it is goes on undisturbed.
    pub fn configure(&mut self, wanted: Vec<ScrapeJob>) {
        while self.tasks.try_join_next().is_some() {}
        let mut jobs = BTreeMap::new();
        for job in wanted {
            let name = job.job_name.clone();
            let job = Arc::new(job);
            let told = match self.jobs.remove(&name) {
                Some(known) => {
                    if **known.borrow() != *job {
                        known.send_replace(job);
                    }
                    known
                }
                None => {
                    let (told, heard) = watch::channel(job);
                    self.tasks.spawn(Job::run(self.shared.clone(), self.board.clone(), heard));
                    told
                }
            };
            jobs.insert(name, told);
        }
        // Those that are left hear that nobody is there any more, and end their series.
        self.jobs = jobs;
    }
}
