//! The lane of samples: into the store, past the rules at once, and the answer when they are on the disk.
//!
//! Nothing here writes events but changes of an alert's state. flyball's own figures come through the same door.

mod balancers;
mod evaluator;
mod own;
pub mod scrape;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use model::config::Config;
use model::intake::{KeySecret, Rows};
use model::{Event, SampleBatch, Time};
use query::Features;
use query::source::{Matcher, Source};
use store::{Appended, Store, StoreError};
use tokio::sync::{broadcast, watch};
use tokio::task::JoinSet;
use wire::Metadata;

pub use balancers::{BalancerBoard, ServerSeen};
pub use evaluator::{Evaluator, RulesSeen};
pub use own::OwnFigures;

use scrape::{Scrapes, TargetBoard};

use crate::clock::SharedClock;
use crate::http::doors::{IngestError, Ingested, Placed, Samples};
use crate::perform::outgoing::Outgoing;
use crate::pump::PumpHandle;

/// The door for samples. Cheap to clone.
#[derive(Clone)]
pub struct Telemetry {
    store: Arc<Store>,
    clock: SharedClock,
    evaluator: Arc<Evaluator>,
    pump: PumpHandle,
    targets: TargetBoard,
}

impl Telemetry {
    /// Over an open store; rules are those of the configuration in force, and follow it. Their memory lies in `folder`.
    pub fn start(store: Arc<Store>, clock: SharedClock, pump: PumpHandle, folder: &Path, features: Features) -> Telemetry {
        let evaluator = Evaluator::start(store.clone(), clock.clone(), pump.clone(), folder.join("rules.json"), features);
        Telemetry { store, clock, evaluator: Arc::new(evaluator), pump, targets: TargetBoard::default() }
    }

    /// Takes a batch; answers when what was accepted is on the disk. Rules are evaluated without waiting for that.
    pub async fn take(&self, batch: &SampleBatch) -> Result<Ingested, IngestError> {
        let now = self.clock.now();
        self.tell(self.store.append(batch, now)?, now).settle().await
    }

    /// Tells the rules what was touched.
    fn tell(&self, appended: Appended, now: Time) -> Placed {
        self.evaluator.touched(now, appended.touched, appended.new_series);
        Placed {
            accepted: appended.accepted as u64,
            refused: appended.refused,
            commit: appended.commit,
            unsealed: appended.unsealed,
        }
    }

    /// The store itself.
    pub fn store(&self) -> &Arc<Store> {
        &self.store
    }

    /// Scrapes, balancers, own figures and the rules' configuration: runs until `stop` turns true.
    pub async fn run(self, outgoing: Outgoing, board: BalancerBoard, own: OwnFigures, mut stop: watch::Receiver<bool>) {
        let mut commits = self.pump.subscribe();
        let mut config = self.pump.read_state(|state| state.config.clone());
        let mut own_task = JoinSet::new();
        own_task.spawn(own.run(self.clone()));
        let mut scrapes = Scrapes::new(self.clone(), outgoing, self.targets.clone());
        scrapes.configure(config.scrape_jobs());
        let mut tasks = self.balancers(&config, &board);
        loop {
            let next = tokio::select! {
                next = next_config(&mut commits, &self.pump) => next,
                _ = stop.wait_for(|stop| *stop) => None,
            };
            let Some(next) = next else { return };
            if next.groups != config.groups {
                self.evaluator.configure(next.groups.clone());
            }
            scrapes.configure(next.scrape_jobs());
            if next.balancers != config.balancers {
                tasks.shutdown().await;
                tasks = self.balancers(&next, &board);
            }
            config = next;
        }
    }

    fn balancers(&self, config: &Config, board: &BalancerBoard) -> JoinSet<()> {
        let mut tasks = JoinSet::new();
        for (name, balancer) in &config.balancers {
            tasks.spawn(balancers::run(self.clone(), self.pump.clone(), board.clone(), name.clone(), balancer.clone()));
        }
        tasks
    }

    /// Ends the rules' thread; their memory is kept.
    pub fn stop(&self) {
        self.evaluator.stop();
    }

    /// The clock.
    pub fn clock(&self) -> &SharedClock {
        &self.clock
    }
}

/// The next configuration that is committed; none when the pump has gone.
async fn next_config(commits: &mut broadcast::Receiver<Arc<crate::journal::Committed>>, pump: &PumpHandle) -> Option<Config> {
    loop {
        match commits.recv().await {
            Ok(committed) => {
                let newest = committed.recorded.iter().rev().find_map(|recorded| match &recorded.event {
                    Event::Configured { config, .. } => Some(Config::clone(config)),
                    _ => None,
                });
                if newest.is_some() {
                    return newest;
                }
            }
            Err(broadcast::error::RecvError::Lagged(_)) => return Some(pump.read_state(|state| state.config.clone())),
            Err(broadcast::error::RecvError::Closed) => return None,
        }
    }
}

#[async_trait]
impl Samples for Telemetry {
    async fn ingest(&self, batch: SampleBatch, metadata: Vec<Metadata>) -> Result<Ingested, IngestError> {
        let taken = self.take(&batch).await?;
        self.describe(&metadata);
        Ok(taken)
    }

    fn key_secret(&self) -> &KeySecret {
        self.store.key_secret()
    }

    fn place(&self, rows: &dyn Rows) -> Result<Placed, IngestError> {
        let now = self.clock.now();
        Ok(self.tell(self.store.append_rows(rows, now)?, now))
    }

    fn describe(&self, metadata: &[Metadata]) {
        for metadata in metadata {
            let known = store::Metadata {
                kind: metadata.kind.word().to_owned(),
                help: metadata.help.clone(),
                unit: metadata.unit.clone(),
            };
            if let Err(error) = self.store.set_metadata(&metadata.family, known) {
                tracing::debug!(%error, "metadata is left out");
            }
        }
    }

    fn source(&self) -> Arc<dyn Source + Send + Sync> {
        Arc::new(self.store.view())
    }

    async fn rules(&self) -> Option<RulesSeen> {
        self.evaluator.look().await
    }

    fn metadata(&self) -> BTreeMap<String, store::Metadata> {
        self.store.metadata()
    }

    fn stats(&self) -> store::Stats {
        self.store.stats()
    }

    fn store(&self) -> &Arc<Store> {
        &self.store
    }

    fn delete(&self, selectors: &[Vec<Matcher>], from: Time, to: Time) -> Result<u64, StoreError> {
        let deleted = self.store.delete(selectors, from, to);
        // Where it failed, some may be gone.
        if !matches!(deleted, Ok(0)) {
            self.evaluator.deleted();
        }
        deleted
    }

    fn targets(&self) -> TargetBoard {
        self.targets.clone()
    }
}

/// An instant on the grid of `every`, moved by a part of it that the name decides: many targets spread over it.
fn first_pause(now: Time, every: Duration, name: &str) -> Duration {
    let every_us = every.as_micros().max(1) as i64;
    let offset = model::Labels::new([("name", name)]).map_or(0, |labels| labels.fingerprint() % every_us as u64) as i64;
    Duration::from_micros((offset - now.0).rem_euclid(every_us) as u64)
}
