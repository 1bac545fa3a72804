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
}

impl Room {
    /// Takes the reserve if there is room for it.
    pub fn new(folder: &Path, len: u64, store: Arc<Store>) -> Room {
        let reserve = Reserve::new(Arc::new(OnDisk), folder.join("reserve"), len);
        Room { folder: folder.to_path_buf(), reserve, len, store, short: false }
    }

    /// Looks once: short of room, or with room again.
    pub fn look(&mut self) {
        let Some(free) = free(&self.folder) else { return };
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
