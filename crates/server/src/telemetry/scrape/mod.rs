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

use dial::Turns;
use model::config::ScrapeJob;
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinSet;

pub use board::{Active, Last, Pool, TargetBoard};
pub use target::Target;

use super::Telemetry;
use crate::perform::outgoing::Outgoing;
use job::Job;
use run::Shared;

/// So many scrapes run at once, over all jobs: most of them wait for an answer. Each has a connection.
const SCRAPES_MAX: usize = 8_192;
/// So many long answers are in memory at once, over all jobs.
const LONG_ANSWERS_MAX: usize = 64;
/// Answers up to this length are not long, in bytes.
const SHORT_LEN_MAX: usize = 64 << 10;

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
        let shared = Shared {
            telemetry,
            outgoing,
            scrapes: Arc::new(Semaphore::new(SCRAPES_MAX)),
            turns: Turns::new(LONG_ANSWERS_MAX, SHORT_LEN_MAX),
        };
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
        // Those that are left hear that nobody is there any more, and end their series when it is time.
        self.jobs = jobs;
    }
}
