//! The write-ahead log: what was appended while a sync ran is written and synced by the next one. No timer anywhere.
//!
//! A batch is told durable only after the sync of the segment that holds it. After a failed write or sync nothing more sets out for
//! that file, and nothing in it that was not told before counts: those groups go into a new segment, whole and in their order. If that
//! fails too, the log takes nothing until a new segment can be made. Definitions of series are written twice, in two groups, so that no single damaged place makes
//! later samples unreadable.
//!
//! A busy log prepares the next segment while it fills one: its zeros are on the disk before, so that a sync changes nothing
//! about the file and waits neither for the file system's journal nor for what else goes through it. It has its name before it is
//! needed, so going on in it costs no more than writing its head. A segment that was not prepared is left for one that is, as soon as
//! that is there.
//!
//! In a prepared segment several groups may be on their way to the disk at once, each by a write and a sync of its own: who comes while
//! the disk is busy does not wait for it twice. They go past the page cache where the file system lets them: nothing is copied into
//! pages that nobody reads, and a sync is left with the disk's own flush. So each begins at a sector, and no write touches what another
//! made durable. A sync is good for its own group and for those before it that stood in the same file when it began; groups are told durable
//! in their order, as samples need the names that a group before defined. Each goes through a handle of its own, opened before
//! anything was written: of a write that failed in the page cache, Linux tells every open handle once (`errseq_t`), so none is told
//! that all is well because another heard of it first.

use std::collections::VecDeque;
use std::io;
use std::path::PathBuf;
use std::sync::atomic::Ordering::{Relaxed, SeqCst};
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use model::Time;

use crate::commit::{Commit, Group};
use crate::error::StoreError;
use crate::files::{File, Files, SECTOR, is_full, retry};
use crate::frame::{self, Kind};
use crate::record::{self, Row};
use crate::segment::{Segment, Spare};

mod ahead;
mod alone;
mod flight;
mod segments;

use ahead::Ahead;
use flight::Flight;
use segments::Current;

/// Buffers for records that are kept for the next.
const SPARE_LEN: usize = 8;
/// The largest of them.
const SPARE_BYTES_MAX: usize = 512 << 10;
/// The largest memory of a group that is kept for a next.
const SPENT_BYTES_MAX: usize = 1 << 20;
/// Room that a new segment takes at first.
const SEGMENT_BEGIN: u64 = 64 << 10;
/// A sync that takes no longer may be waited for by a thread that others need.
const QUICK: Duration = Duration::from_millis(1);
/// Groups that may be on their way to the disk at once.
const FLIGHTS_MAX: usize = 6;
/// How long after a failure the next try is made.
const PROBE_EVERY: Duration = Duration::from_secs(1);

/// The log of one store.
pub(crate) struct Log {
    files: Arc<dyn Files>,
    dir: PathBuf,
    segment_bytes: u64,
    queue_bytes_max: usize,
    driven_by_caller: bool,
    queue: Mutex<Queue>,
    wake: Condvar,
    /// Held for a short time, unless `changing` says otherwise.
    writer: Mutex<Writer>,
    /// Syncs that are on their way. Changed only with `writer` locked, as is the next.
    in_air: AtomicUsize,
    /// Somebody needs the segments for himself: nothing new sets out.
    changing: AtomicBool,
    /// Told after each change of the two, where somebody waits for one: telling nobody is a system call too.
    landed: Condvar,
    sync_nanos: AtomicU64,
    syncs: AtomicU64,
    bytes: AtomicU64,
    since_checkpoint: AtomicU64,
    /// Of the next segment.
    next_number: AtomicU64,
    spare: Mutex<Vec<Vec<u8>>>,
    ahead: Mutex<Ahead>,
    ahead_wake: Condvar,
    /// The current segment is so full that the next will be needed soon.
    ahead_late: AtomicBool,
}

struct Queue {
    frames: Vec<u8>,
    group: Arc<Group>,
    /// The series defined in `frames`, one entry per append.
    defined: Vec<Vec<u8>>,
    in_flight: usize,
    /// Memory for the next groups.
    spent: Vec<Vec<u8>>,
    /// The log's thread is to write `frames`: nobody who put something into them will.
    left: bool,
    next_sequence: u64,
    newest_received: Time,
    refusing: Option<StoreError>,
    paused: bool,
    probed: Time,
    probe: bool,
    stop: bool,
}

struct Writer {
    current: Option<Current>,
    /// Groups that are written and not yet known to be on the disk, in the order of their records.
    flights: VecDeque<Flight>,
    next_flight: u64,
    /// So many wait for `landed`.
    waiting: usize,
    /// The current segment failed: what is in `flights` goes into a new one.
    failed: bool,
    segments: Vec<Segment>,
    /// Definitions that lie once on the disk, and those whose group failed and that lie nowhere.
    owed_once: Vec<Vec<u8>>,
    owed_twice: Vec<Vec<u8>>,
    since_checkpoint: u64,
    /// All records below are in parts.
    position: u64,
    /// The segment during which the next was last asked for.
    asked_ahead: u64,
}

/// Where a log goes on.
pub(crate) struct Resume {
    pub segments: Vec<Segment>,
    pub next_sequence: u64,
    pub since_checkpoint: u64,
    pub now: Time,
}

/// The figures of a log.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct LogStats {
    pub bytes: u64,
    pub queued: usize,
    pub last_sync: Duration,
    pub syncs: u64,
}

impl Log {
    pub fn new(files: Arc<dyn Files>, dir: PathBuf, options: &crate::Options, resume: Resume) -> Log {
        let next_number = resume.segments.iter().map(|segment| segment.number + 1).max().unwrap_or(1);
        let bytes = resume.segments.iter().map(|segment| segment.bytes).sum();
        Spare::remove_unfinished(&*files, &dir);
        Log {
            files,
            dir,
            segment_bytes: options.segment_bytes.next_multiple_of(SECTOR as u64),
            queue_bytes_max: options.queue_bytes_max,
            driven_by_caller: options.driven_by_caller,
            queue: Mutex::new(Queue {
                frames: Vec::new(),
                group: Group::new(),
                defined: Vec::new(),
                in_flight: 0,
                spent: Vec::new(),
                left: false,
                next_sequence: resume.next_sequence,
                newest_received: resume.now,
                refusing: None,
                paused: false,
                probed: Time::MIN,
                probe: false,
                stop: false,
            }),
            wake: Condvar::new(),
            writer: Mutex::new(Writer {
                current: None,
                flights: VecDeque::new(),
                next_flight: 0,
                waiting: 0,
                failed: false,
                segments: resume.segments,
                owed_once: Vec::new(),
                owed_twice: Vec::new(),
                since_checkpoint: resume.since_checkpoint,
                position: 0,
                asked_ahead: 0,
            }),
            in_air: AtomicUsize::new(0),
            changing: AtomicBool::new(false),
            landed: Condvar::new(),
            sync_nanos: AtomicU64::new(0),
            syncs: AtomicU64::new(0),
            bytes: AtomicU64::new(bytes),
            since_checkpoint: AtomicU64::new(resume.since_checkpoint),
            next_number: AtomicU64::new(next_number),
            spare: Mutex::new(Vec::new()),
            ahead: Mutex::new(Ahead::default()),
            ahead_wake: Condvar::new(),
            ahead_late: AtomicBool::new(false),
        }
    }

    /// Whether a batch may come now. After a failure one probe a second is made, on the writer's thread where there is one.
    pub fn admit(&self, received: Time) -> Result<(), StoreError> {
        let mut queue = self.queue();
        if queue.stop {
            return Err(StoreError::Closed);
        }
        if queue.paused {
            return Err(StoreError::ReadOnly { why: "writing is paused to leave room for events".into() });
        }
        if queue.refusing.is_some() {
            let apart = received.0.abs_diff(queue.probed.0);
            if u128::from(apart) >= PROBE_EVERY.as_micros() {
                queue.probed = received;
                queue.probe = true;
                self.wake.notify_one();
                if self.driven_by_caller {
                    drop(queue);
                    self.write_group();
                    queue = self.queue();
                }
            }
        }
        if let Some(why) = &queue.refusing {
            return Err(why.clone());
        }
        let queued = queue.frames.len() + queue.in_flight;
        if queued > self.queue_bytes_max {
            return Err(StoreError::Busy { queued, limit: self.queue_bytes_max });
        }
        Ok(())
    }

    /// Puts the samples of a batch in line. Their record is made before the line's lock is taken.
    pub fn append_samples(self: &Arc<Log>, received: Time, rows: &[Row]) -> Commit {
        if rows.is_empty() {
            return Commit::new(Group::settled(), None, false);
        }
        let mut body = self.spare.lock().unwrap_or_else(PoisonError::into_inner).pop().unwrap_or_default();
        record::put_packed(&mut body, received, rows);
        let commit = self.enqueue(|queue| {
            queue.newest_received = received;
            queue.put(Kind::Packed, |out| out.extend_from_slice(&body));
        });
        body.clear();
        let mut spare = self.spare.lock().unwrap_or_else(PoisonError::into_inner);
        if spare.len() < SPARE_LEN && body.capacity() <= SPARE_BYTES_MAX {
            spare.push(body);
        }
        commit
    }

    /// Puts the names of new series in line, before any sample of theirs. The commit of those samples covers them.
    pub fn define(self: &Arc<Log>, entries: Vec<u8>) {
        drop(self.enqueue(|queue| {
            queue.put(Kind::Series, |out| out.extend_from_slice(&entries));
            queue.defined.push(entries);
        }));
    }

    /// Puts another record in line.
    pub fn append_record(self: &Arc<Log>, kind: Kind, body: impl FnOnce(&mut Vec<u8>)) -> Commit {
        self.enqueue(|queue| queue.put(kind, body))
    }

    fn enqueue(self: &Arc<Log>, put: impl FnOnce(&mut Queue)) -> Commit {
        let mut queue = self.queue();
        if queue.stop {
            let group = Group::new();
            group.settle(Err(StoreError::Closed));
            return Commit::new(group, None, false);
        }
        put(&mut queue);
        let group = queue.group.clone();
        drop(queue);
        Commit::new(group, Some(self.clone()), self.driven_by_caller)
    }

    /// Leaves a group to the log's thread, unless somebody has taken it already.
    pub fn wake(&self, group: &Arc<Group>) {
        let mut queue = self.queue();
        if Arc::ptr_eq(&queue.group, group) && !queue.frames.is_empty() && !queue.left {
            queue.left = true;
            drop(queue);
            self.wake.notify_one();
        }
    }

    /// Whether fewer than `others_max` write now, and the last sync was a matter of a millisecond.
    pub fn is_quick_and_free(&self, others_max: usize) -> bool {
        let last = self.sync_nanos.load(Relaxed);
        last > 0 && last < QUICK.as_nanos() as u64 && self.is_free(others_max)
    }

    fn is_free(&self, others_max: usize) -> bool {
        !self.changing.load(SeqCst) && self.in_air.load(SeqCst) < others_max.min(FLIGHTS_MAX)
    }

    /// Writes a group on this thread, unless `others_max` are writing.
    pub fn lead(&self, others_max: usize) -> bool {
        if !self.is_free(others_max) {
            return false;
        }
        let writer = self.writer();
        if !self.is_free(others_max) {
            return false;
        }
        self.write_with(writer)
    }

    /// The sequence that the next record gets.
    pub fn next_sequence(&self) -> u64 {
        self.queue().next_sequence
    }

    /// Refuses batches until called with `false`.
    pub fn pause(&self, paused: bool) {
        if paused {
            self.drop_spare();
        }
        self.queue().paused = paused;
    }

    /// Why batches are refused, if they are.
    pub fn refusing(&self) -> Option<StoreError> {
        self.queue().refusing.clone()
    }

    /// Runs until [`stop`](Self::stop), then writes what is left.
    pub fn run(&self) {
        loop {
            let idle = |queue: &mut Queue| !queue.left && !queue.probe && !queue.stop;
            let stop = self.wake.wait_while(self.queue(), idle).unwrap_or_else(PoisonError::into_inner).stop;
            let wrote = self.write_group();
            if stop && !wrote {
                return self.alone(self.writer(), |_| ());
            }
        }
    }

    /// Takes nothing more.
    pub fn stop(&self) {
        self.queue().stop = true;
        self.wake.notify_all();
        self.ahead().stop = true;
        self.ahead_wake.notify_all();
    }

    /// Nobody will write what still waits.
    pub fn abandon(&self) {
        let group = std::mem::replace(&mut self.queue().group, Group::new());
        group.settle(Err(StoreError::Closed));
    }

    /// Writes and syncs what waits, and tells those who wait for it. False where there was nothing to do.
    pub fn write_group(&self) -> bool {
        self.write_with(self.writer())
    }

    /// Takes what waits out of the line; none where nothing does and nobody asks for a probe.
    fn take_group(&self, writer: &mut Writer) -> Option<Flight> {
        let mut queue = self.queue();
        if queue.frames.is_empty() && !queue.probe {
            return None;
        }
        (queue.probe, queue.left) = (false, false);
        let (mut once, mut twice) = (Vec::new(), Vec::new());
        if !queue.frames.is_empty() {
            (once, twice) = (std::mem::take(&mut writer.owed_once), std::mem::take(&mut writer.owed_twice));
            for entries in twice.iter().chain(&once) {
                queue.put(Kind::Series, |out| out.extend_from_slice(entries));
            }
        }
        let spent = queue.spent.pop().unwrap_or_default();
        let frames = std::mem::replace(&mut queue.frames, spent);
        queue.in_flight += frames.len();
        writer.next_flight += 1;
        Some(Flight {
            number: writer.next_flight,
            group: std::mem::replace(&mut queue.group, Group::new()),
            first: frame::first_sequence(&frames).unwrap_or(queue.next_sequence),
            received: queue.newest_received,
            defined: std::mem::take(&mut queue.defined),
            len: frames.len(),
            frames,
            segment: 0,
            written: false,
            synced: false,
            once,
            twice,
        })
    }

    fn sync(&self, file: &dyn File, started: Instant) -> io::Result<()> {
        retry(|| file.sync_data())?;
        self.sync_nanos.store(started.elapsed().as_nanos() as u64, Relaxed);
        self.syncs.fetch_add(1, Relaxed);
        Ok(())
    }

    fn failed(&self, writer: &mut Writer, error: &io::Error) {
        tracing::warn!(%error, "a log segment failed, its last groups go into a new one");
        writer.failed = true;
        if is_full(error) {
            self.drop_spare();
        }
    }

    /// Tells those who wait for these groups what became of them.
    fn land(&self, mut writer: MutexGuard<'_, Writer>, flights: Vec<Flight>, outcome: Result<(), StoreError>) {
        let (mut groups, mut bytes, mut received, mut spent) = (Vec::new(), 0, None, Vec::new());
        for flight in flights {
            writer.note(&flight, outcome.is_ok());
            bytes += flight.len;
            received = Some(flight.received);
            groups.push(flight.group);
            spent = flight.frames;
        }
        self.note_sizes(&writer);
        if outcome.is_ok() {
            self.look_ahead(&mut writer);
        }
        drop(writer);

        let mut queue = self.queue();
        queue.in_flight -= bytes;
        if queue.refusing.is_some() != outcome.is_err() {
            match &outcome {
                Ok(()) => tracing::info!("the log is written again"),
                Err(error) => tracing::error!(%error, "the log can't be written, samples are refused"),
            }
        }
        if let (None, Some(received)) = (&queue.refusing, received) {
            queue.probed = received;
        }
        queue.refusing = outcome.clone().err();
        if queue.spent.len() < FLIGHTS_MAX && (1..=SPENT_BYTES_MAX).contains(&spent.capacity()) {
            spent.clear();
            queue.spent.push(spent);
        }
        drop(queue);
        groups.iter().for_each(|group| group.settle(outcome.clone()));
    }

    fn note_sizes(&self, writer: &Writer) {
        self.bytes.store(writer.segments.iter().map(|segment| segment.bytes).sum(), Relaxed);
        self.since_checkpoint.store(writer.since_checkpoint, Relaxed);
    }

    /// Definitions that lie in one place only: written again with the next group. And such that lie nowhere: with the next two.
    pub fn owe(&self, once: Vec<Vec<u8>>, twice: Vec<Vec<u8>>) {
        let mut writer = self.writer();
        writer.owed_once.extend(once);
        writer.owed_twice.extend(twice);
    }

    /// After a failed checkpoint: the next is due after as many bytes again.
    pub fn postpone_checkpoint(&self) {
        let mut writer = self.writer();
        writer.since_checkpoint = 0;
        self.note_sizes(&writer);
    }

    /// Bytes written since the last checkpoint.
    pub fn since_checkpoint(&self) -> u64 {
        self.since_checkpoint.load(Relaxed)
    }

    /// The kept segments, oldest first.
    pub fn segments(&self) -> Vec<Segment> {
        self.writer().segments.clone()
    }

    /// The folder of the segments.
    pub fn dir(&self) -> &std::path::Path {
        &self.dir
    }

    /// The figures now. Never waits for the disk.
    pub fn stats(&self) -> LogStats {
        let queue = self.queue();
        LogStats {
            bytes: self.bytes.load(Relaxed),
            queued: queue.frames.len() + queue.in_flight,
            last_sync: Duration::from_nanos(self.sync_nanos.load(Relaxed)),
            syncs: self.syncs.load(Relaxed),
        }
    }

    fn queue(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn writer(&self) -> MutexGuard<'_, Writer> {
        self.writer.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Writer {
    /// Counts a group that is on the disk, or that is nowhere.
    fn note(&mut self, flight: &Flight, on_disk: bool) {
        let news = flight.twice.iter().chain(&flight.defined).cloned();
        if on_disk {
            self.owed_once.extend(news);
            self.since_checkpoint += flight.len as u64;
        } else {
            self.owed_once.extend(flight.once.iter().cloned());
            self.owed_twice.extend(news);
        }
    }
}

impl Queue {
    fn put(&mut self, kind: Kind, body: impl FnOnce(&mut Vec<u8>)) {
        frame::put(&mut self.frames, kind, self.next_sequence, body);
        self.next_sequence += 1;
    }
}
