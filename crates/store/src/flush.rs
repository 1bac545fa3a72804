//! From memory to disk: freezes the head, writes what was frozen into parts of one day each, and lets the log behind it go.
//!
//! The order is what makes it safe. The log's position is read first, so every record below it is in what is frozen. Parts are
//! synced and named by the manifest before the names of the series are written, and those before any segment of the log is
//! removed. A crash in between replays records whose samples are in parts already: the same samples at the same times.
//! What was frozen stays in memory for queries until newer memory needs its room.

use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering::{Relaxed, SeqCst};
use std::sync::{Arc, OnceLock};

use ahash::AHashSet;
use model::Labels;
use model::labels::METRIC_NAME;

use crate::error::StoreError;
use crate::head::slab::Runs;
use crate::head::{Head, cell_of, place_of};
use crate::history::Give;
use crate::store::Inner;

/// A series without samples for so long leaves memory, in microseconds.
const IDLE_AFTER: i64 = 2 * 3_600_000_000;
/// The same where there is no room for new ones: longer than an instant query looks back, so that none misses one.
const IDLE_AFTER_WITHOUT_ROOM: i64 = 600_000_000;
/// Series whose labels are looked up under one lock.
const AT_ONCE: usize = 512;

/// So many samples take about as long to pack as a thread takes to wake up.
const WAY_EVERY: usize = 2_048;

/// Lets others run on this processor every now and then. A thread that woke up there waits for who is running until his turn is over,
/// which lasts milliseconds, however little he is to get on the whole; and it may be one that a sender waits for.
#[derive(Default)]
pub(crate) struct GiveWay(usize);

impl GiveWay {
    /// After work on so many samples.
    pub fn after(&mut self, samples: usize) {
        self.0 += samples;
        if self.0 >= WAY_EVERY {
            self.0 = 0;
            std::thread::yield_now();
        }
    }
}

/// What was frozen at once.
pub(crate) struct Generation {
    /// By cell.
    runs: Vec<(usize, Arc<Runs>)>,
    /// No sample of it is newer.
    newest: i64,
    bytes: usize,
    /// The slabs have let go of it, or are about to.
    pub forgotten: AtomicBool,
}

/// What a query sees of the flushes.
#[derive(Default)]
pub(crate) struct Visible {
    /// The oldest first; all that slabs hold on to, and one that a query began with may be forgotten since.
    pub generations: Vec<Arc<Generation>>,
    /// Every sample that is not older is in memory.
    pub since: i64,
    /// What new queries see instead, once there is something else.
    pub next: OnceLock<Arc<Visible>>,
}

impl Visible {
    /// What slabs have let go of since a query began with this: what it saw frozen then, and what was frozen later. Oldest first.
    pub fn gone(&self) -> Vec<&Arc<Generation>> {
        let mut gone: Vec<&Arc<Generation>> = Vec::new();
        let mut at = Some(self);
        while let Some(visible) = at {
            for kept in visible.generations.iter().filter(|kept| kept.forgotten.load(SeqCst)) {
                if !gone.iter().any(|have| Arc::ptr_eq(have, kept)) {
                    gone.push(kept);
                }
            }
            at = visible.next.get().map(|next| &**next);
        }
        gone
    }
}

impl Generation {
    /// What is frozen of a cell.
    pub fn of(&self, cell: usize) -> Option<&Arc<Runs>> {
        self.runs.binary_search_by_key(&cell, |(cell, _)| *cell).ok().map(|place| &self.runs[place].1)
    }
}

impl Inner {
    /// Writes all that is in memory into parts, and drops the log that nobody needs any more. Returns when it is on the disk.
    pub fn flush(&self) -> Result<(), StoreError> {
        let done = self.try_flush();
        match &done {
            Ok(()) => self.checkpoints.fetch_add(1, Relaxed),
            Err(_) => self.checkpoints_failed.fetch_add(1, Relaxed),
        };
        done
    }

    fn try_flush(&self) -> Result<(), StoreError> {
        let mut pending = self.flushing.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        self.flushed_at.store(self.received().0, Relaxed);
        // Before the position is taken: the next segment then begins at it, or below.
        self.log.roll_unless_slower();
        let position = self.log.next_sequence();
        if let Some(frozen) = self.freeze() {
            self.show(|visible| visible.generations.push(frozen.clone()));
            pending.push(frozen);
        }
        if !pending.is_empty() {
            self.write_parts(&pending, position)?;
            pending.clear();
        }
        let newest = self.newest.load(Relaxed).min(self.received().0);
        if self.no_room.swap(false, Relaxed) {
            // A series stays in memory as long as samples of it do: where few come, that is for days.
            let idle_since = newest.saturating_sub(IDLE_AFTER_WITHOUT_ROOM);
            self.forget_old(self.options.memory_bytes, idle_since);
            self.retire_idle(idle_since);
        } else {
            self.forget_old(self.options.memory_bytes, i64::MIN);
            self.retire_idle(newest.saturating_sub(IDLE_AFTER));
        }
        self.write_checkpoint(position)
    }

    /// Changes what new queries see.
    fn show(&self, change: impl FnOnce(&mut Visible)) {
        let mut visible = self.visible.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let mut next = Visible { generations: visible.generations.clone(), since: visible.since, next: OnceLock::new() };
        change(&mut next);
        let next = Arc::new(next);
        let _ = visible.next.set(next.clone());
        *visible = next;
    }

    /// What new queries see.
    pub fn visible(&self) -> Arc<Visible> {
        self.visible.lock().unwrap_or_else(std::sync::PoisonError::into_inner).clone()
    }

    /// Freezes slab after slab. Senders wait for one slab as long as its open samples are sealed; what takes longer, packing what was
    /// frozen anew, is done beside them.
    fn freeze(&self) -> Option<Arc<Generation>> {
        let mut runs: Vec<(usize, Arc<Runs>)> = Vec::new();
        let mut bytes = 0;
        let cells: Vec<usize> = self.head().cells().map(|(cell, _)| cell).collect();
        for cell in cells {
            let Some(frozen) = self.head().cell(cell).and_then(|series| series.slab().freeze()) else { continue };
            let frozen = match frozen.joined().map(Arc::new) {
                Some(joined) => {
                    if let Some(series) = self.head().cell(cell) {
                        series.slab().replace(&frozen, &joined);
                    }
                    joined
                }
                None => frozen,
            };
            bytes += frozen.bytes();
            runs.push((cell, frozen));
        }
        // Of what is in it, not of the store: a sample that is being placed is here before the store has heard of its time.
        let newest = runs.iter().map(|(_, runs)| runs.newest_time()).max().unwrap_or(i64::MIN);
        let forgotten = AtomicBool::new(false);
        (!runs.is_empty()).then(|| Arc::new(Generation { runs, newest, bytes, forgotten }))
    }

    /// Writes what was frozen: of what is older, what is newer wins where both have the same instant.
    fn write_parts(&self, pending: &[Arc<Generation>], position: u64) -> Result<(), StoreError> {
        let order = order(&self.head());
        let mut feed = |give: &mut Give<'_>| self.feed(pending, &order, give);
        let written = self.history.write(&mut feed)?;
        self.history.publish(written, position)
    }

    fn feed(&self, pending: &[Arc<Generation>], order: &[u64], give: &mut Give<'_>) -> Result<(), StoreError> {
        let mut columns = (Vec::new(), Vec::new());
        let mut labels: Vec<(u64, Labels)> = Vec::new();
        let mut way = GiveWay::default();
        for ids in order.chunks(AT_ONCE) {
            labels.clear();
            let head = self.head();
            labels.extend(ids.iter().filter_map(|id| Some((*id, head.labels(*id)?.clone()))));
            drop(head);
            for (id, labels) in &labels {
                columns.0.clear();
                columns.1.clear();
                for runs in pending.iter().filter_map(|generation| generation.of(cell_of(*id))) {
                    read_over(runs, place_of(*id), &mut columns)
                        .ok_or_else(|| StoreError::Undecodable { series: labels.to_string() })?;
                }
                give(*id, labels, &columns.0, &columns.1)?;
                way.after(columns.0.len());
            }
        }
        Ok(())
    }

    /// Lets go of the oldest in memory where it takes too much room, or has nothing newer than an instant. Queries ask the parts
    /// for it then.
    pub fn forget_old(&self, keep_bytes: usize, older_than: i64) {
        let kept = &self.visible().generations;
        let mut bytes: usize = kept.iter().map(|generation| generation.bytes).sum();
        self.sample_bytes.store(bytes as u64, Relaxed);
        for oldest in kept {
            if bytes <= keep_bytes && oldest.newest >= older_than {
                break;
            }
            bytes -= oldest.bytes;
            self.show(|visible| {
                visible.generations.retain(|kept| !Arc::ptr_eq(kept, oldest));
                visible.since = visible.since.max(oldest.newest.saturating_add(1));
            });
            // Queries that began before have it still: they look at this after they have read the slab.
            oldest.forgotten.store(true, SeqCst);
            let head = self.head();
            for (cell, runs) in &oldest.runs {
                if let Some(cell) = head.cell(*cell) {
                    cell.slab().forget(runs);
                }
            }
        }
    }

    /// Series that have nothing in memory and got nothing since.
    fn retire_idle(&self, since: i64) {
        // A start is no reason to forget who was there: senders that were slower than a flush would find their room taken.
        let is_old = |last: i64| last.max(self.opened_at) < since;
        let mut gone = AHashSet::new();
        for (at, cell) in self.head().cells() {
            let slab = cell.slab();
            let idle = cell.series().filter(|(place, _)| slab.is_idle(*place) && is_old(slab.last(*place)));
            gone.extend(idle.map(|(place, _)| (at * crate::head::slab::SERIES + place) as u64));
        }
        if !gone.is_empty() {
            let mut head = self.head_mut();
            // A sample may have come meanwhile.
            gone.retain(|id| {
                head.slab_mut(*id).is_some_and(|slab| slab.is_idle(place_of(*id)) && is_old(slab.last(place_of(*id))))
            });
            head.retire(&gone, &self.secret, &self.limits);
        }
    }
}

/// All series as parts want them: by metric, then by number.
fn order(head: &Head) -> Vec<u64> {
    let mut metrics: Vec<&str> = head.postings.values(METRIC_NAME).map(|(value, _)| value).collect();
    metrics.sort_unstable();
    let mut order: Vec<u64> = head.series().filter(|(_, labels)| labels.metric().is_empty()).map(|(id, _)| id).collect();
    for metric in metrics {
        order.extend_from_slice(head.postings.list(METRIC_NAME, metric));
    }
    order
}

/// Reads one series of what was frozen, over what older frozen gave.
fn read_over(runs: &Runs, place: usize, into: &mut (Vec<i64>, Vec<f64>)) -> Option<()> {
    let (from, to) = (i64::MIN, i64::MAX);
    if into.0.is_empty() {
        return runs.read(place, from, to, &mut into.0, &mut into.1);
    }
    let mut newer = (Vec::new(), Vec::new());
    runs.read(place, from, to, &mut newer.0, &mut newer.1)?;
    if newer.0.first().is_none_or(|first| into.0.last().is_some_and(|last| first > last)) {
        into.0.append(&mut newer.0);
        into.1.append(&mut newer.1);
    } else {
        let over: Vec<(i64, f64)> = newer.0.into_iter().zip(newer.1).collect();
        crate::head::slab::merge(&over, 0, &mut into.0, &mut into.1);
    }
    Some(())
}
