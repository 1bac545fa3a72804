//! Room on the disk: telemetry gives way first, events last.
//!
//! A reserve file holds room for events. When the disk runs short the store stops taking samples (507) and the reserve is
//! given back to the journal; when there is room again the reserve is taken first and then samples, without a restart.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use store::Store;
use store::files::{OnDisk, Reserve};
use tokio::time::MissedTickBehavior;

/// How often the disk is looked at. Until it is, an event that finds no room is refused too: so often, since it costs a
/// system call.
const LOOK_EVERY: Duration = Duration::from_millis(100);
/// With less free room than this, beside the reserve, telemetry is refused.
const FREE_MIN: u64 = 4 << 20;

/// Looks after the room in a data folder.
pub struct Room {
    folder: std::path::PathBuf,
    reserve: Reserve,
    len: u64,
    store: Arc<Store>,
    short: bool,
    free: Free,
}

/// Free bytes of a folder, where the system says.
type Free = Box<dyn Fn(&Path) -> Option<u64> + Send>;

impl Room {
    /// Takes the reserve if there is room for it.
    pub fn new(folder: &Path, len: u64, store: Arc<Store>) -> Room {
        let reserve = Reserve::new(Arc::new(OnDisk), folder.join("reserve"), len);
        Room { folder: folder.to_path_buf(), reserve, len, store, short: false, free: Box::new(free) }
    }

    /// Looks once: short of room, or with room again.
    pub fn look(&mut self) {
        let Some(free) = (self.free)(&self.folder) else { return };
        if !self.short && !self.reserve.is_held() && self.reserve.hold().is_err() {
            tracing::warn!(bytes = self.len, "no room for the reserve of events");
        }
        if !self.short && free < FREE_MIN {
            self.short = true;
            self.store.pause_writes(true);
            if let Err(error) = self.reserve.release() {
                tracing::error!(%error, "failed to release the reserve of events");
            }
            tracing::error!(free, "the disk is full: telemetry is refused, events and pages go on");
        } else if self.short && free > self.len + FREE_MIN * 2 && self.reserve.hold().is_ok() {
            self.short = false;
            self.store.pause_writes(false);
            tracing::info!("there is room on the disk again: telemetry is taken");
        }
    }

    /// Looks until it is dropped.
    pub async fn run(mut self) {
        let mut ticks = tokio::time::interval(LOOK_EVERY);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Skip);
        loop {
            ticks.tick().await;
            // Taking the reserve writes: not on a thread that answers.
            let looked = tokio::task::spawn_blocking(move || {
                self.look();
                self
            });
            match looked.await {
                Ok(room) => self = room,
                Err(_) => return,
            }
        }
    }
}

/// Free bytes on the filesystem of a folder, for programs without special rights.
fn free(folder: &Path) -> Option<u64> {
    let stat = rustix::fs::statvfs(folder).ok()?;
    Some(stat.f_bavail.saturating_mul(stat.f_frsize))
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU64, Ordering};

    use model::{Event, Labels, SampleBatch};

    use super::*;
    use crate::clock::{Clock, SystemClock};
    use crate::http::doors::{IngestError, Samples as _};
    use crate::journal::MemoryJournal;
    use crate::pump::{Fold, pump};
    use crate::telemetry::Telemetry;

    const RESERVE: u64 = 1 << 20;

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn short_of_room_samples_give_way_the_reserve_is_given_back_and_all_returns_without_a_restart() {
        let folder = tempfile::tempdir().unwrap();
        let clock = Arc::new(SystemClock::new());
        let (fold, _) = Fold::open(Arc::new(MemoryJournal::new()), clock.clone()).await.unwrap();
        let (dues, mut due) = tokio::sync::mpsc::channel(64);
        let (handle, running) = pump(fold, dues, Duration::from_secs(3_600));
        tokio::spawn(running.run());
        tokio::spawn(async move { while due.recv().await.is_some() {} });
        let options = store::Options::new(folder.path().join("telemetry"));
        let store = Arc::new(Store::open(options, Arc::new(OnDisk), clock.now()).unwrap());
        let telemetry = Telemetry::start(store.clone(), clock.clone(), handle.clone(), folder.path(), query::Features::STABLE);
        let free = Arc::new(AtomicU64::new(1 << 40));
        let seen = free.clone();
        let mut room = Room::new(folder.path(), RESERVE, store);
        room.free = Box::new(move |_| Some(seen.load(Ordering::SeqCst)));
        let reserve = folder.path().join("reserve");
        let mut batch = SampleBatch::new();
        batch.push(&Labels::new([("__name__", "up")]).unwrap(), clock.now(), 1.0);
        let taken = || telemetry.ingest(batch.clone(), Vec::new());

        room.look();
        assert_eq!(std::fs::metadata(&reserve).unwrap().len(), RESERVE);
        taken().await.unwrap();

        free.store(FREE_MIN - 1, Ordering::SeqCst);
        room.look();
        // What a sender gets as 507.
        assert!(matches!(taken().await, Err(IngestError::Full)));
        let reserved = std::fs::metadata(&reserve).map_or(0, |metadata| metadata.len());
        assert_eq!(reserved, 0, "events have its room");
        handle.submit(Event::Tick).await.expect("events are accepted");

        // A little more than too little is not room enough: it would go back and forth.
        free.store(RESERVE + FREE_MIN * 2, Ordering::SeqCst);
        room.look();
        assert!(matches!(taken().await, Err(IngestError::Full)));

        free.store(RESERVE + FREE_MIN * 2 + 1, Ordering::SeqCst);
        room.look();
        taken().await.unwrap();
        assert_eq!(std::fs::metadata(&reserve).unwrap().len(), RESERVE);
        tokio::task::spawn_blocking(move || telemetry.stop()).await.unwrap();
        handle.stop();
    }
}
