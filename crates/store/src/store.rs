//! The store whole: options, what is shared by its threads, and the calls that others make.

use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Condvar, Mutex, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};
use std::thread::JoinHandle;
use std::time::Duration;

use model::intake::{KEY_SECRET_LEN, KeySecret, KeyedBatch, Protocol, Rows};
use model::{Labels, SampleBatch, Time};
use query::source::{Matcher, SeriesRef};

use crate::commit::Commit;
use crate::error::StoreError;
use crate::files::Files;
use crate::flush::{Generation, Visible};
use crate::frame::Kind;
use crate::head::{Head, Limits, cell_of, place_of};
use crate::history::{History, HistoryStats};
use crate::intake::{Appended, Refused, RowsPool};
use crate::log::Log;
use crate::open::Damage;
use crate::record;

/// At least so many bytes of log for each series between two flushes.
const LOG_PER_SERIES: u64 = 128;
/// Where there is no room for new series a flush is due so often, in microseconds: idle ones leave memory with it.
const FLUSH_FOR_ROOM_EVERY: i64 = 300_000_000;
/// While samples are refused, what is too old is looked for so often, in microseconds.
const TIDY_FOR_ROOM_EVERY: i64 = 60_000_000;
/// Longest text of metadata, in bytes.
const METADATA_LEN_MAX: usize = 4 * 1024;
/// Most metrics with metadata.
const METADATA_MAX: usize = 100_000;

/// What a store is told when it opens.
#[derive(Clone, Debug)]
pub struct Options {
    /// Its own folder; made where it is missing. The caller holds the lock on the data folder.
    pub dir: PathBuf,
    /// Samples younger than this are kept. Default 30 days.
    pub retention: Duration,
    /// At most so many bytes of parts; the oldest days go first. Default none.
    pub retention_bytes: Option<u64>,
    /// What is in parts is kept in memory too, the newest, up to so many bytes. Default 64 MiB.
    pub memory_bytes: usize,
    /// The log is kept so long behind the last checkpoint, for back-tests. Default 3 days.
    pub keep_log: Duration,
    /// But not more bytes of it. Default 2 GiB: 2 days of 1,500 series at 1 s.
    pub keep_log_bytes: u64,
    /// A sample may be so much older than the newest of its series. Default 30 minutes.
    pub out_of_order: Duration,
    /// A sample may be so far in the future. Default 10 minutes.
    pub future_max: Duration,
    /// Length of a log segment. Default 16 MiB.
    pub segment_bytes: u64,
    /// After so many bytes of log what is in memory is written into parts. Default 64 MiB, and 128 bytes for each series.
    pub checkpoint_bytes: u64,
    /// Bytes that may wait for the disk before batches are refused. Default 32 MiB.
    pub queue_bytes_max: usize,
    /// Most series. Default 2,000,000.
    pub series_max: usize,
    /// Most memory that series may take, in bytes: labels differ in length, so a number of series does not say it. Default none.
    pub series_bytes_max: u64,
    /// Most series with the same value of [`source_label`](Self::source_label). Default 500,000.
    pub series_per_source_max: usize,
    /// The label that names a sender. Default `instance`.
    pub source_label: String,
    /// No thread is started: whoever waits for a commit, or calls [`Store::pump`], does the writing. For simulations.
    pub driven_by_caller: bool,
}

impl Options {
    pub(crate) fn limits(&self) -> Limits {
        Limits {
            series: self.series_max,
            bytes: self.series_bytes_max,
            per_source: self.series_per_source_max,
            source_label: self.source_label.clone(),
        }
    }

    /// The defaults, for a folder.
    pub fn new(dir: impl Into<PathBuf>) -> Options {
        Options {
            dir: dir.into(),
            retention: Duration::from_secs(30 * 86_400),
            retention_bytes: None,
            memory_bytes: 64 << 20,
            keep_log: Duration::from_secs(3 * 86_400),
            keep_log_bytes: 2 << 30,
            out_of_order: Duration::from_secs(1800),
            future_max: Duration::from_secs(600),
            segment_bytes: 16 << 20,
            checkpoint_bytes: 64 << 20,
            queue_bytes_max: 32 << 20,
            series_max: 2_000_000,
            series_bytes_max: u64::MAX,
            series_per_source_max: 500_000,
            source_label: "instance".to_owned(),
            driven_by_caller: false,
        }
    }
}

/// What is known about a metric beside its samples.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Metadata {
    /// `counter`, `gauge`, `histogram`, `summary` or empty.
    pub kind: String,
    /// One sentence.
    pub help: String,
    /// `seconds`, `bytes`, or empty.
    pub unit: String,
}

/// Figures of a store.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Stats {
    /// Series with samples in memory.
    pub series: u64,
    /// Samples in memory.
    pub samples: u64,
    /// Bytes of samples that are on the disk and kept in memory too.
    pub sample_bytes: u64,
    /// What is on the disk in parts.
    pub history: HistoryStats,
    /// Bytes of log on the disk.
    pub log_bytes: u64,
    /// Bytes that wait for the disk.
    pub queued_bytes: u64,
    /// How long the last write and sync of the log took.
    pub last_sync: Duration,
    /// Syncs since the start.
    pub syncs: u64,
    /// Checkpoints since the start.
    pub checkpoints: u64,
    /// Checkpoints that failed since the start.
    pub checkpoints_failed: u64,
    /// Samples refused since the start.
    pub refused: Refused,
    /// What the last opening found damaged.
    pub damage: Damage,
    /// Why samples are refused now; `None` when all is well.
    pub refusing: Option<String>,
}

impl Stats {
    /// Places on the disk whose damage has cost something: at the last opening, and each time that one was asked for since.
    pub fn damaged_places(&self) -> u64 {
        self.damage.places() + self.history.damaged_blocks + self.history.damaged_pages
    }
}

/// What the threads of a store share.
pub(crate) struct Inner {
    pub options: Options,
    pub files: Arc<dyn Files>,
    pub log: Arc<Log>,
    pub secret: KeySecret,
    pub limits: Limits,
    head: RwLock<Head>,
    /// The newest sample of all.
    pub newest: AtomicI64,
    /// When the last batch came.
    pub received: AtomicI64,
    pub refused: Mutex<Refused>,
    pub rows_pool: RowsPool,
    /// Nobody has said yet which series to watch.
    pub watches_all: AtomicBool,
    /// A series was refused since the last flush, for want of room.
    pub no_room: AtomicBool,
    /// When it was opened: before nobody knows when a series that is in parts only got its last sample.
    pub opened_at: i64,
    /// When the last flush began.
    pub flushed_at: AtomicI64,
    pub samples: AtomicU64,
    pub sample_bytes: AtomicU64,
    pub checkpoints: AtomicU64,
    pub checkpoints_failed: AtomicU64,
    pub damage: Damage,
    /// Held by the flush that runs: what is frozen and not in parts yet.
    pub flushing: Mutex<Vec<Arc<Generation>>>,
    pub visible: Mutex<Arc<Visible>>,
    /// The newest sample that parts had when the store was opened; the least time where there was none.
    pub began_with: i64,
    pub history: History,
    pub metadata: RwLock<BTreeMap<String, Metadata>>,
    /// When it was last tried to find room among what is too old.
    tidied_for_room_at: AtomicI64,
    due: Mutex<Due>,
    due_changed: Condvar,
}

struct Due {
    flush: bool,
    merge: bool,
    stop: bool,
}

impl Default for Due {
    /// An opened store is tidied up at once: one that is often begun anew may never have enough for a flush of its own.
    fn default() -> Due {
        Due { flush: false, merge: true, stop: false }
    }
}

/// The metric store. Shared behind an `Arc`; every call may come from any thread.
pub struct Store {
    pub(crate) inner: Arc<Inner>,
    threads: Mutex<Vec<JoinHandle<()>>>,
}

impl Store {
    /// Opens the folder, made where it is missing: the checkpoint, then the log behind it. What is damaged is left out and
    /// counted in [`damage`](Self::damage). Fails where the disk does, or where a newer flyball wrote.
    pub fn open(options: Options, files: Arc<dyn Files>, now: Time) -> Result<Store, StoreError> {
        let inner = Arc::new(crate::open::open(options, files, now)?);
        let mut threads = Vec::new();
        if !inner.options.driven_by_caller {
            let log = inner.log.clone();
            threads.push(start("store-log", false, move || log.run())?);
            let log = inner.log.clone();
            threads.push(start("store-ahead", true, move || log.run_ahead())?);
            let shared = inner.clone();
            threads.push(start("store-flush", true, move || shared.flush_when_due())?);
            let shared = inner.clone();
            threads.push(start("store-merge", true, move || shared.tidy_when_due())?);
        }
        Ok(Store { inner, threads: Mutex::new(threads) })
    }

    /// Puts samples into memory, where queries see them at once, and in line for the log. Acknowledge the batch only when
    /// [`Appended::commit`] says that it is on the disk. `received` is the server's clock.
    pub fn append(&self, batch: &SampleBatch, received: Time) -> Result<Appended, StoreError> {
        self.append_rows(&KeyedBatch::new(batch, &self.inner.secret), received)
    }

    /// The same for rows that a decoder of a hot protocol left: its keys must be hashed with [`key_secret`](Self::key_secret).
    pub fn append_rows(&self, rows: &dyn Rows, received: Time) -> Result<Appended, StoreError> {
        if self.inner.flush_is_due(received) {
            match self.inner.options.driven_by_caller {
                true => self.inner.flush_or_postpone(),
                false => self.inner.set_due(|due| due.flush = true),
            }
        }
        self.inner.append(rows, received)
    }

    /// What decoders hash keys with. Another one at each start.
    pub fn key_secret(&self) -> &KeySecret {
        &self.inner.secret
    }

    /// Whether samples of these series are told in [`Appended::touched`]. Those of a new series are, once; and all are until
    /// this was called for the first time.
    pub fn watch(&self, series: &[SeriesRef], watched: bool) {
        self.inner.watches_all.store(false, Relaxed);
        let head = self.inner.head();
        for SeriesRef(id) in series {
            if head.labels(*id).is_some()
                && let Some(cell) = head.cell(cell_of(*id))
            {
                cell.slab().watch(place_of(*id), watched);
            }
        }
    }

    /// When the newest sample of the series with these labels was; none: nobody knows the series, or it has none in memory.
    pub fn newest(&self, labels: &Labels) -> Option<Time> {
        let key = self.inner.secret.hash(Protocol::Labels, labels.key().as_bytes());
        let head = self.inner.head();
        let id = head.find(key)?;
        let newest = head.cell(cell_of(id))?.slab().last(place_of(id));
        (newest != i64::MIN).then_some(Time(newest))
    }

    /// Every sample that is not older than this is in memory: reading it asks no disk.
    pub fn in_memory_since(&self) -> Time {
        Time(self.inner.visible().since)
    }

    /// Writes what waits, where [`Options::driven_by_caller`] is set. False where nothing waited.
    pub fn pump(&self) -> bool {
        self.inner.log.write_group()
    }

    /// Sets what is known about a metric. Written to the log only where it differs from what is known.
    pub fn set_metadata(&self, metric: &str, metadata: Metadata) -> Result<Option<Commit>, StoreError> {
        let refuse = |why| Err(StoreError::Metadata { metric: metric.chars().take(64).collect(), why });
        if [metric, &metadata.kind, &metadata.help, &metadata.unit].iter().any(|text| text.len() > METADATA_LEN_MAX) {
            return refuse("a text is over 4 KiB");
        }
        self.inner.log.admit(self.inner.received())?;
        let mut known = self.inner.metadata.write().unwrap_or_else(PoisonError::into_inner);
        if known.get(metric) == Some(&metadata) {
            return Ok(None);
        }
        if known.len() >= METADATA_MAX && !known.contains_key(metric) {
            return refuse("100,000 metrics have some, the limit");
        }
        known.insert(metric.to_owned(), metadata.clone());
        // Under the same lock: a flush that takes its position after this has it.
        Ok(Some(self.inner.log.append_record(Kind::Metadata, |out| record::put_metadata(out, metric, &metadata))))
    }

    /// What is known about metrics, sorted by name.
    pub fn metadata(&self) -> BTreeMap<String, Metadata> {
        self.inner.metadata.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Refuses batches until called with `false`: while a reserve is released for events, samples must not take its room.
    pub fn pause_writes(&self, paused: bool) {
        self.inner.log.pause(paused);
    }

    /// Writes all that is in memory into parts, and drops the log behind it, the part kept for back-tests too. Returns when it is
    /// on the disk.
    pub fn flush(&self) -> Result<(), StoreError> {
        self.inner.log.roll();
        self.inner.flush()?;
        self.inner.log.forget_kept();
        self.inner.set_due(|due| due.merge = true);
        Ok(())
    }

    /// Deletes the samples from `from` to `to`, both included, of all series that fit all matchers of any set: from memory and from the
    /// disk when this returns. The log that is kept for back-tests goes too. Says how many samples went.
    pub fn delete(&self, sets: &[Vec<Matcher>], from: Time, to: Time) -> Result<u64, StoreError> {
        loop {
            self.flush()?;
            // Who flushes at the same time may have frozen something that is in no part yet: that must stay.
            let pending = self.inner.flushing.lock().unwrap_or_else(PoisonError::into_inner);
            if pending.is_empty() {
                self.inner.forget_old(0, i64::MIN);
                break;
            }
        }
        let head = self.inner.head();
        for id in sets.iter().flat_map(|matchers| head.matching(matchers)) {
            if let Some(cell) = head.cell(cell_of(id)) {
                cell.slab().doubt(place_of(id));
            }
        }
        drop(head);
        let gone = self.inner.history.delete(sets, from, to)?;
        // What came while the slabs were frozen may be deleted from its part and stand in the log behind the flush.
        self.flush()?;
        Ok(gone)
    }

    /// Puts all samples up to now into the folder `to`, as `to/history`: a store that opens there has them. The folder must not hold a
    /// store yet. Durable when this returns; samples may come meanwhile.
    pub fn snapshot(&self, to: &std::path::Path) -> Result<(), StoreError> {
        self.inner.flush()?;
        self.inner.history.snapshot(&to.join("history"))
    }

    /// Figures. Never waits for the disk.
    pub fn stats(&self) -> Stats {
        let log = self.inner.log.stats();
        // Each lock on its own line: a guard within the literal would live to its end.
        let series = self.inner.head().len() as u64;
        let refused = self.inner.refused.lock().unwrap_or_else(PoisonError::into_inner).clone();
        Stats {
            series,
            samples: self.inner.samples.load(Relaxed),
            sample_bytes: self.inner.sample_bytes.load(Relaxed),
            history: self.inner.history.stats(),
            log_bytes: log.bytes,
            queued_bytes: log.queued as u64,
            last_sync: log.last_sync,
            syncs: log.syncs,
            checkpoints: self.inner.checkpoints.load(Relaxed),
            checkpoints_failed: self.inner.checkpoints_failed.load(Relaxed),
            refused,
            damage: self.inner.damage,
            refusing: self.inner.log.refusing().map(|why| why.to_string()),
        }
    }

    /// What it was opened with.
    pub fn options(&self) -> &Options {
        &self.inner.options
    }

    /// What the opening found damaged on the disk.
    pub fn damage(&self) -> Damage {
        self.inner.damage
    }

    /// Whether the log holds all that was ever received: none of it was dropped yet.
    pub fn keeps_whole_log(&self) -> bool {
        self.inner.log.segments().first().is_some_and(|first| first.first_sequence == Some(0))
    }

    /// Gives the kept batches in the order in which they were received, from `from` on, until `give` says that it
    /// wants no more. What is damaged is left out.
    pub fn replay_log(&self, from: Time, give: &mut dyn FnMut(Time, &SampleBatch) -> ControlFlow<()>) -> Result<(), StoreError> {
        crate::open::replay(&self.inner, from, give)
    }

    /// Writes what waits, and all that is in memory into parts, so that the next opening is quick. Takes nothing more afterwards.
    pub fn close(&self) -> Result<(), StoreError> {
        self.stop();
        let done = self.inner.flush();
        self.inner.log.roll();
        done
    }

    fn stop(&self) {
        self.inner.log.stop();
        self.inner.set_due(|due| due.stop = true);
        self.inner.history.stop();
        let threads = std::mem::take(&mut *self.threads.lock().unwrap_or_else(PoisonError::into_inner));
        for thread in threads {
            if thread.join().is_err() {
                tracing::error!("a thread of the store panicked");
            }
        }
        self.inner.log.write_group();
    }
}

impl Drop for Store {
    /// Without [`close`](Store::close) nothing is lost: what waits is written, the next opening reads the log.
    fn drop(&mut self) {
        if self.inner.options.driven_by_caller {
            self.inner.log.stop();
            self.inner.log.abandon();
        } else {
            self.stop();
        }
    }
}

/// Random bytes of this process.
pub(crate) fn random_secret() -> KeySecret {
    let random = ahash::RandomState::new();
    let mut secret = [0; KEY_SECRET_LEN];
    for (place, eight) in secret.chunks_exact_mut(8).enumerate() {
        eight.copy_from_slice(&random.hash_one(place).to_le_bytes());
    }
    KeySecret::new(secret)
}

/// How much less of a busy processor the threads get that nobody waits for: a third of what others do.
const BEHIND: i32 = 5;

fn start(name: &str, behind: bool, run: impl FnOnce() + Send + 'static) -> Result<JoinHandle<()>, StoreError> {
    let run = move || {
        if behind {
            // On Linux of this thread alone. Where it is not allowed, all have the same.
            let _ = rustix::process::setpriority_process(None, BEHIND);
        }
        run();
    };
    let thread = std::thread::Builder::new().name(name.to_owned()).spawn(run);
    thread.map_err(StoreError::io("start the thread", std::path::Path::new(name)))
}

/// What an opening found, for [`Inner::new`].
pub(crate) struct Opened {
    pub log: Arc<Log>,
    pub secret: KeySecret,
    pub head: Head,
    pub newest: i64,
    pub samples: u64,
    pub metadata: BTreeMap<String, Metadata>,
    pub damage: Damage,
    pub history: History,
    /// Parts may have samples before this.
    pub since: i64,
}

impl Inner {
    pub fn new(options: Options, files: Arc<dyn Files>, now: Time, opened: Opened) -> Inner {
        Inner {
            limits: options.limits(),
            options,
            files,
            log: opened.log,
            secret: opened.secret,
            head: RwLock::new(opened.head),
            newest: AtomicI64::new(opened.newest),
            received: AtomicI64::new(now.0),
            refused: Mutex::new(Refused::default()),
            rows_pool: RowsPool::default(),
            watches_all: AtomicBool::new(true),
            no_room: AtomicBool::new(false),
            opened_at: now.0,
            flushed_at: AtomicI64::new(now.0),
            samples: AtomicU64::new(opened.samples),
            sample_bytes: AtomicU64::new(0),
            checkpoints: AtomicU64::new(0),
            checkpoints_failed: AtomicU64::new(0),
            damage: opened.damage,
            flushing: Mutex::new(Vec::new()),
            visible: Mutex::new(Arc::new(Visible { since: opened.since, ..Visible::default() })),
            began_with: opened.since.saturating_sub(1),
            history: opened.history,
            metadata: RwLock::new(opened.metadata),
            tidied_for_room_at: AtomicI64::new(i64::MIN),
            due: Mutex::new(Due::default()),
            due_changed: Condvar::new(),
        }
    }

    pub fn head(&self) -> RwLockReadGuard<'_, Head> {
        self.head.read().unwrap_or_else(PoisonError::into_inner)
    }

    pub fn head_mut(&self) -> RwLockWriteGuard<'_, Head> {
        self.head.write().unwrap_or_else(PoisonError::into_inner)
    }

    /// When the last batch came, on the server's clock.
    pub fn received(&self) -> Time {
        Time(self.received.load(Relaxed))
    }

    /// After so many bytes of log a flush is due: it costs something for each series, so many series make it rarer.
    pub fn flush_after(&self) -> u64 {
        self.options.checkpoint_bytes.max(self.head().len() as u64 * LOG_PER_SERIES)
    }

    /// Whether there is enough to write, or series wait for the room of idle ones.
    fn flush_is_due(&self, now: Time) -> bool {
        let for_room = || now.0.saturating_sub(self.flushed_at.load(Relaxed)) >= FLUSH_FOR_ROOM_EVERY;
        self.log.since_checkpoint() >= self.flush_after() || (self.no_room.load(Relaxed) && for_room())
    }

    /// What is older is dropped. Counts from the newest sample, unless that is in the future of the clock.
    pub fn cutoff(&self, now: Time) -> i64 {
        self.newest.load(Relaxed).min(now.0).saturating_sub(self.options.retention.as_micros() as i64)
    }

    fn set_due(&self, set: impl FnOnce(&mut Due)) {
        set(&mut self.due.lock().unwrap_or_else(PoisonError::into_inner));
        self.due_changed.notify_all();
    }

    /// Flushes when told to.
    fn flush_when_due(&self) {
        while self.wait_due(|due| std::mem::take(&mut due.flush)) {
            self.flush_or_postpone();
            self.set_due(|due| due.merge = true);
        }
    }

    /// Tidies up when told to, a step at a time: beside the flushes, for a large merge takes minutes.
    fn tidy_when_due(&self) {
        while self.wait_due(|due| std::mem::take(&mut due.merge)) {
            if self.tidy() {
                self.set_due(|due| due.merge = true);
            }
        }
    }

    /// Waits for something to do; false: it is over.
    fn wait_due(&self, take: impl Fn(&mut Due) -> bool) -> bool {
        let mut due = self.due.lock().unwrap_or_else(PoisonError::into_inner);
        loop {
            if due.stop {
                return false;
            }
            if take(&mut due) {
                return true;
            }
            due = self.due_changed.wait(due).unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// Drops what is too old or too much, and merges some parts. Whether there may be more to merge.
    pub fn tidy(&self) -> bool {
        let now = self.received();
        let done = self.history.retain(Time(self.cutoff(now)), self.options.retention_bytes.unwrap_or(u64::MAX));
        let done = done.and_then(|_| self.history.compact(now));
        done.unwrap_or_else(|error| {
            if matches!(error, StoreError::Closed) {
                return false;
            }
            // Nothing is lost: the parts are as they were. The next flush tries again.
            tracing::error!(%error, "tidying up the parts failed");
            false
        })
    }

    /// Samples are refused for want of room: what is too old may give some, though no flush comes by.
    pub fn tidy_for_room(&self, now: Time) {
        let before = self.tidied_for_room_at.load(Relaxed);
        if now.0.saturating_sub(before) >= TIDY_FOR_ROOM_EVERY && !self.options.driven_by_caller {
            self.tidied_for_room_at.store(now.0, Relaxed);
            self.set_due(|due| due.merge = true);
        }
    }

    fn flush_or_postpone(&self) {
        if !self.flush_is_due(self.received()) {
            return;
        }
        if let Err(error) = self.flush() {
            // The log holds everything, so nothing is lost; the next try comes after as many bytes again.
            tracing::error!(%error, "writing parts failed, the log is kept");
            self.log.postpone_checkpoint();
        }
        if self.options.driven_by_caller {
            while self.tidy() {}
        }
    }
}
