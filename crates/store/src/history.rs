//! The history: all that is on the disk in parts, day by day, and the manifest that says which parts those are.
//!
//! Parts are only added and replaced. A new set of parts counts from the moment at which its manifest is durable; what the manifest
//! does not name any more is removed after that, never before. So a crash at any step leaves the set before or the set after.
//! It has no thread and no clock of its own: the store calls [`History::compact`] and [`History::retain`] with the time.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};

use model::Time;
use query::source::Matcher;

mod compact;
mod manifest;
mod merge;
mod open;
mod snapshot;
#[cfg(test)]
mod tests;
mod view;
mod write;

pub use view::{Found, Places, View, none_known};
pub use write::{Give, Written};

use manifest::{Listed, Manifest};
use merge::{Target, Without, merge};

use crate::error::StoreError;
use crate::files::{Files, retry};
use crate::part::{self, Caches, Losses, OpenError, Part};

/// A merge leaves so much free beside what it writes, in bytes.
const FREE_BESIDE_MERGE: u64 = 16 << 20;

/// A day in microseconds.
pub const DAY: i64 = 86_400_000_000;

/// The day of an instant, counted from 1970-01-01 UTC.
pub fn day_of(time: i64) -> i64 {
    time.div_euclid(DAY)
}

/// What an opening found damaged.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct HistoryDamage {
    /// Parts that are missing or can't be opened; they are left out.
    pub parts: u64,
    /// Their bytes.
    pub part_bytes: u64,
    /// One copy of the manifest, or both; with both gone the parts themselves say which are there.
    pub manifest_copies: u64,
}

/// Figures of the history.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct HistoryStats {
    /// Parts.
    pub parts: u64,
    /// Days that have some.
    pub days: u64,
    /// Bytes on the disk.
    pub bytes: u64,
    /// Samples.
    pub samples: u64,
    /// Series, each counted once for every part that has it.
    pub series: u64,
    /// Time of the first sample; `None` where there is none.
    pub first: Option<i64>,
    /// Merges since the start.
    pub merges: u64,
    /// Samples that went through them.
    pub merged_samples: u64,
    /// Blocks of samples that were damaged when they were asked for.
    pub damaged_blocks: u64,
    /// Pages of indexes that were lost when they were asked for.
    pub damaged_pages: u64,
    /// Pages of indexes that were made again from their neighbours.
    pub restored_pages: u64,
    /// What the opening found.
    pub damage: HistoryDamage,
}

/// All parts of a store. Shared; every call may come from any thread.
pub struct History {
    files: Arc<dyn Files>,
    dir: PathBuf,
    caches: Arc<Caches>,
    losses: Arc<Losses>,
    state: Mutex<State>,
    view: RwLock<Arc<View>>,
    /// Held by whoever takes parts away or makes new ones of them: one at a time.
    work: Mutex<()>,
    next_number: AtomicU64,
    next_published: AtomicU64,
    merges: AtomicU64,
    merged_samples: AtomicU64,
    stopped: AtomicBool,
    damage: HistoryDamage,
}

/// What the manifest says, and the parts of it that could be opened.
struct State {
    manifest: Manifest,
    parts: BTreeMap<u64, Arc<Part>>,
    /// Parts of a change that failed: a manifest that names them may be on the disk, until the next one is.
    orphans: Vec<u64>,
}

impl State {
    fn view(&self) -> View {
        let missing = self.manifest.parts.iter().filter(|listed| !self.parts.contains_key(&listed.number));
        View::new(self.parts.values().cloned(), missing.map(|listed| (listed.day, listed.number)).collect())
    }
}

impl History {
    /// Opens the folder, made where it is missing. `cache_bytes` is the budget for what is read of indexes. Damaged parts are left out
    /// and counted; an error is a disk that fails, or a newer flyball's files.
    pub fn open(files: Arc<dyn Files>, dir: impl Into<PathBuf>, cache_bytes: usize) -> Result<History, StoreError> {
        open::open(files, dir.into(), cache_bytes)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn target_number(&self) -> u64 {
        self.next_number.fetch_add(1, Relaxed)
    }

    /// The parts as they are now.
    pub fn view(&self) -> Arc<View> {
        self.view.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// What the opening found damaged.
    pub fn damage(&self) -> HistoryDamage {
        self.damage
    }

    /// What the last [`publish`](Self::publish) said it had written: the log before this position is in parts.
    pub fn position(&self) -> u64 {
        self.state().manifest.position
    }

    /// No series of the history has this id or a greater one.
    pub fn id_end(&self) -> u64 {
        self.state().manifest.id_end
    }

    /// Writes samples of any days into new parts, which are nothing until they are [published](Self::publish). `feed` gives all
    /// samples, sorted by series (metric name, then id) and time, and is called again where they are of very many days. Of what is
    /// written by two calls, what the later call wrote is right where both have the same instant.
    pub fn write(&self, feed: &mut dyn FnMut(&mut Give<'_>) -> Result<(), StoreError>) -> Result<Vec<Written>, StoreError> {
        let published = self.next_published.fetch_add(1, Relaxed);
        let number = || self.target_number();
        write::write(&Target { files: &self.files, dir: &self.dir, number: &number }, published, feed)
    }

    /// Makes written parts count, with a position that the caller gets back from [`position`](Self::position). Durable when this
    /// returns. On an error nothing has changed, but the parts may be there after the next opening.
    pub fn publish(&self, written: Vec<Written>, position: u64) -> Result<(), StoreError> {
        self.replace(&[], written, Some(position))
    }

    /// One step from a set of parts to the next: everything that changes the set comes by here.
    fn replace(&self, old: &[u64], new: Vec<Written>, position: Option<u64>) -> Result<(), StoreError> {
        let opened = self.open_new(&new).inspect_err(|_| self.state().orphans.extend(new.iter().map(|part| part.number)))?;
        let mut state = self.state();
        let mut manifest = state.manifest.clone();
        manifest.generation += 1;
        manifest.next_number = self.next_number.load(Relaxed);
        manifest.next_published = self.next_published.load(Relaxed);
        manifest.position = position.unwrap_or(manifest.position);
        manifest.parts.retain(|part| !old.contains(&part.number));
        for part in &new {
            manifest.id_end = manifest.id_end.max(part.id_end);
            manifest.parts.push(Listed { number: part.number, day: part.summary.day, bytes: part.bytes });
        }
        if let Err(error) = manifest.store(&*self.files, &self.dir) {
            state.orphans.extend(new.iter().map(|part| part.number));
            return Err(error);
        }
        state.manifest = manifest;
        let orphans = std::mem::take(&mut state.orphans);
        old.iter().for_each(|number| drop(state.parts.remove(number)));
        state.parts.extend(opened.into_iter().map(|part| (part.number(), part)));
        let view = Arc::new(state.view());
        *self.view.write().unwrap_or_else(PoisonError::into_inner) = view;
        drop(state);
        for number in old.iter().chain(&orphans) {
            let path = part::path(&self.dir, *number);
            match retry(|| self.files.remove(&path)) {
                // One that was missing or damaged may be gone already.
                Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                    // The next opening removes it: the manifest does not name it.
                    tracing::error!(path = %path.display(), %error, "remove a part that is not needed any more");
                }
                _ => {}
            }
        }
        Ok(())
    }

    fn open_new(&self, new: &[Written]) -> Result<Vec<Arc<Part>>, StoreError> {
        let opened = new.iter().map(|part| self.open_part(part.number).map(Arc::new)).collect();
        retry(|| self.files.sync_dir(&self.dir)).map_err(StoreError::io("sync", &self.dir))?;
        opened
    }

    fn open_part(&self, number: u64) -> Result<Part, StoreError> {
        Part::open(&*self.files, &self.dir, number, self.caches.clone(), self.losses.clone()).map_err(|error| match error {
            OpenError::Store(error) => error,
            OpenError::Damaged(path) => StoreError::io("open the new part", &path)(std::io::ErrorKind::InvalidData.into()),
        })
    }

    /// Merges parts where it pays: call it again as long as it says that it did something. `now` tells which days are over.
    pub fn compact(&self, now: Time) -> Result<bool, StoreError> {
        let _work = self.work.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(due) = compact::due(&self.view(), now.0) else { return Ok(false) };
        // A merge is for later; samples, and before them events, need the room now.
        let needed = due.parts.iter().map(|part| part.len()).sum::<u64>().saturating_add(FREE_BESIDE_MERGE);
        let free = retry(|| self.files.free(&self.dir)).map_err(StoreError::io("ask for the free room of", &self.dir))?;
        if free < needed {
            tracing::info!(free, needed, "parts are not merged: there is too little room on the disk");
            return Ok(false);
        }
        match self.rewrite(&due.parts.iter().map(|part| (part.clone(), None)).collect::<Vec<_>>(), due.level) {
            Err(error) if !due.parts.iter().any(|part| part.is_damaged()) => Err(error),
            // What is damaged was not merged, and won't be: merged, nobody would know any more that something is missing.
            _ => Ok(true),
        }
    }

    /// Ends a merge that is on its way, and all later ones, with an error: nothing is lost by that.
    pub fn stop(&self) {
        self.stopped.store(true, Relaxed);
    }

    fn rewrite(&self, parts: &[(Arc<Part>, Option<Without>)], level: u32) -> Result<(), StoreError> {
        let number = || self.target_number();
        let target = Target { files: &self.files, dir: &self.dir, number: &number };
        let inputs: Vec<(&Part, Option<&Without>)> = parts.iter().map(|(part, without)| (&**part, without.as_ref())).collect();
        let written = merge(&target, &inputs, level, &self.stopped)?;
        self.merges.fetch_add(1, Relaxed);
        self.merged_samples.fetch_add(parts.iter().map(|(part, _)| part.summary().samples).sum(), Relaxed);
        let old: Vec<u64> = parts.iter().map(|(part, _)| part.number()).collect();
        self.replace(&old, written, None)
    }

    /// Drops days that ended before `cutoff`, then the oldest days as long as there are more than `bytes_max` on the disk; the newest day
    /// stays. Says how many bytes went.
    pub fn retain(&self, cutoff: Time, bytes_max: u64) -> Result<u64, StoreError> {
        let _work = self.work.lock().unwrap_or_else(PoisonError::into_inner);
        let mut days: BTreeMap<i64, (u64, Vec<u64>)> = BTreeMap::new();
        for part in &self.state().manifest.parts {
            let day = days.entry(part.day).or_default();
            day.0 += part.bytes;
            day.1.push(part.number);
        }
        let mut left: u64 = days.values().map(|(bytes, _)| bytes).sum();
        let (mut old, mut gone) = (Vec::new(), 0);
        let newest = days.keys().next_back().copied();
        for (day, (bytes, numbers)) in days {
            let over = (day + 1).saturating_mul(DAY) <= cutoff.0;
            if !over && (left <= bytes_max || Some(day) == newest) {
                break;
            }
            old.extend(numbers);
            left -= bytes;
            gone += bytes;
        }
        if !old.is_empty() {
            self.replace(&old, Vec::new(), None)?;
        }
        Ok(gone)
    }

    /// Deletes the samples from `from` to `to`, both included, of all series that fit all matchers of any set. They are gone from the
    /// disk when this returns; what was published meanwhile is left to the next call. Says how many samples went.
    pub fn delete(&self, sets: &[Vec<Matcher>], from: Time, to: Time) -> Result<u64, StoreError> {
        let _work = self.work.lock().unwrap_or_else(PoisonError::into_inner);
        let mut gone = 0;
        for part in self.view().parts() {
            let about = part.summary();
            if about.first > to.0 || about.last < from.0 {
                continue;
            }
            let (failures, missed) = (part.failures(), part::Missed::default());
            let found: BTreeSet<u32> = sets.iter().flat_map(|matchers| part.reading_for(&missed).matching(matchers)).collect();
            let series: Vec<u32> = found.into_iter().filter(|series| has_samples(part, *series, from.0, to.0)).collect();
            // What could not be read may have to go as well: nobody is told that it has.
            if part.failures() != failures {
                return Err(StoreError::io("read", part.path())(std::io::ErrorKind::Other.into()));
            }
            if let Some(missed) = missed.in_words() {
                let why = std::io::Error::new(std::io::ErrorKind::InvalidData, missed);
                return Err(StoreError::io("find what to delete in", part.path())(why));
            }
            if series.is_empty() {
                continue;
            }
            let before = about.samples;
            self.rewrite(&[(part.clone(), Some(Without { series, from: from.0, to: to.0 }))], about.level)?;
            gone += before - self.samples_in_place_of(part.number());
        }
        Ok(gone)
    }

    fn samples_in_place_of(&self, number: u64) -> u64 {
        let state = self.state();
        let parts = state.parts.values().filter(|part| part.summary().replaces.contains(&number));
        parts.map(|part| part.summary().samples).sum()
    }

    /// Figures.
    pub fn stats(&self) -> HistoryStats {
        let view = self.view();
        let parts = view.parts().iter().map(|part| part.summary());
        HistoryStats {
            parts: view.parts().len() as u64,
            days: parts.clone().map(|about| about.day).collect::<BTreeSet<_>>().len() as u64,
            bytes: view.parts().iter().map(|part| part.len()).sum(),
            samples: parts.clone().map(|about| about.samples).sum(),
            series: parts.clone().map(|about| u64::from(about.series)).sum(),
            first: parts.map(|about| about.first).min(),
            merges: self.merges.load(Relaxed),
            merged_samples: self.merged_samples.load(Relaxed),
            damaged_blocks: self.losses.blocks.load(Relaxed),
            damaged_pages: self.losses.pages.load(Relaxed),
            restored_pages: self.losses.restored.load(Relaxed),
            damage: self.damage,
        }
    }

    /// Where the parts lie.
    pub fn dir(&self) -> &Path {
        &self.dir
    }
}

fn has_samples(part: &Part, series: u32, from: i64, to: i64) -> bool {
    let (mut times, mut values) = (Vec::new(), Vec::new());
    part.reading().read(series, from, to, &mut times, &mut values);
    !times.is_empty()
}
