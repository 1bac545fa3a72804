//! The write-ahead log: what was appended while a sync ran is written and synced by the next one. No timer anywhere.
//!
//! A batch is told durable only after the sync of the segment that holds it. After a failed write or sync nothing more is
//! written to that file: the whole group goes into a new segment. If that fails too, the log takes nothing until a new
//! segment can be made. Definitions of series are written twice, in two groups, so that no single damaged place makes
//! later samples unreadable.
//!
//! A busy log prepares the next segment while it fills one: its zeros are on the disk before, so that a sync changes nothing
//! about the file and waits neither for the file system's journal nor for what else goes through it.

use std::io;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use model::Time;

use crate::commit::{Commit, Group};
use crate::error::StoreError;
use crate::files::{File, Files, is_full, retry, write_all_at};
use crate::frame::{self, Kind};
use crate::record::{self, Row};
use crate::segment::{self, RECORDS_AT, Segment, Spare};

/// Buffers for records that are kept for the next.
const SPARE_LEN: usize = 8;
/// The largest of them.
const SPARE_BYTES_MAX: usize = 512 << 10;
/// Room that a new segment takes at first.
const SEGMENT_BEGIN: u64 = 64 << 10;
/// A sync that takes no longer may be waited for by a thread that others need.
const QUICK: Duration = Duration::from_millis(1);
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
    writer: Mutex<Writer>,
    sync_nanos: AtomicU64,
    syncs: AtomicU64,
    bytes: AtomicU64,
    since_checkpoint: AtomicU64,
    spare: Mutex<Vec<Vec<u8>>>,
    ahead: Mutex<Ahead>,
    ahead_wake: Condvar,
}

/// What is known of the next segment's file.
#[derive(Default)]
struct Ahead {
    ready: Option<Spare>,
    /// Of so many bytes, not begun yet.
    wanted: Option<u64>,
    /// It is no longer wanted, whether it is there or only on the way.
    dropped: bool,
    stop: bool,
}

struct Queue {
    frames: Vec<u8>,
    group: Arc<Group>,
    /// The series defined in `frames`, one entry per append.
    defined: Vec<Vec<u8>>,
    in_flight: usize,
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
    segments: Vec<Segment>,
    next_number: u64,
    /// Definitions that lie once on the disk, and those whose group failed and that lie nowhere.
    owed_once: Vec<Vec<u8>>,
    owed_twice: Vec<Vec<u8>>,
    since_checkpoint: u64,
    /// All records below are in parts.
    position: u64,
    /// The segment during which the next was last asked for.
    asked_ahead: u64,
}

struct Current {
    file: Box<dyn File>,
    number: u64,
    at: u64,
    len: u64,
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
        Spare::remove(&*files, &dir);
        Log {
            files,
            dir,
            segment_bytes: options.segment_bytes,
            queue_bytes_max: options.queue_bytes_max,
            driven_by_caller: options.driven_by_caller,
            queue: Mutex::new(Queue {
                frames: Vec::new(),
                group: Group::new(),
                defined: Vec::new(),
                in_flight: 0,
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
                segments: resume.segments,
                next_number,
                owed_once: Vec::new(),
                owed_twice: Vec::new(),
                since_checkpoint: resume.since_checkpoint,
                position: 0,
                asked_ahead: 0,
            }),
            sync_nanos: AtomicU64::new(0),
            syncs: AtomicU64::new(0),
            bytes: AtomicU64::new(bytes),
            since_checkpoint: AtomicU64::new(resume.since_checkpoint),
            spare: Mutex::new(Vec::new()),
            ahead: Mutex::new(Ahead::default()),
            ahead_wake: Condvar::new(),
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

    /// Tells the log's thread that something waits.
    pub fn wake(&self) {
        if !self.queue().frames.is_empty() {
            self.wake.notify_one();
        }
    }

    /// Whether nobody writes now, and the last sync was a matter of a millisecond.
    pub fn is_quick_and_idle(&self) -> bool {
        let last = self.sync_nanos.load(Relaxed);
        last > 0 && last < QUICK.as_nanos() as u64 && self.writer.try_lock().is_ok()
    }

    /// Writes a group on this thread, unless another thread is writing.
    pub fn lead(&self) -> bool {
        let Ok(writer) = self.writer.try_lock() else { return false };
        let wrote = self.write_with(writer);
        // Those who came meanwhile saw that somebody was writing.
        self.wake();
        wrote
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
            let idle = |queue: &mut Queue| queue.frames.is_empty() && !queue.probe && !queue.stop;
            let stop = self.wake.wait_while(self.queue(), idle).unwrap_or_else(PoisonError::into_inner).stop;
            let wrote = self.write_group();
            if stop && !wrote {
                return;
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

    /// Prepares segments until [`stop`](Self::stop).
    pub fn run_ahead(&self) {
        loop {
            let idle = |ahead: &mut Ahead| ahead.wanted.is_none() && !ahead.stop;
            let stop = self.ahead_wake.wait_while(self.ahead(), idle).unwrap_or_else(PoisonError::into_inner).stop;
            if stop {
                return self.drop_spare();
            }
            self.prepare();
        }
    }

    /// Makes the file of the next segment where one is wanted. Without it a segment is made when it is needed.
    fn prepare(&self) {
        let Some(bytes) = self.ahead().wanted.take() else { return };
        let stop = || {
            let ahead = self.ahead();
            ahead.stop || ahead.dropped
        };
        let made = Spare::make(&*self.files, &self.dir, bytes, stop);
        let mut ahead = self.ahead();
        match made {
            Ok(Some(spare)) if !ahead.dropped => ahead.ready = Some(spare),
            made => {
                if let Err(error) = made {
                    tracing::debug!(%error, "the next log segment is not prepared");
                }
                Spare::remove(&*self.files, &self.dir);
            }
        }
    }

    /// Gives the room of the next segment's file back.
    fn drop_spare(&self) {
        let mut ahead = self.ahead();
        (ahead.wanted, ahead.dropped) = (None, true);
        if ahead.ready.take().is_some() {
            Spare::remove(&*self.files, &self.dir);
        }
    }

    /// Asks for the next segment's file once this one is well begun.
    fn look_ahead(&self, writer: &mut Writer) {
        let Some(current) = &writer.current else { return };
        if current.len < self.segment_bytes || current.at < current.len / 4 || writer.asked_ahead == current.number {
            return;
        }
        writer.asked_ahead = current.number;
        let mut ahead = self.ahead();
        if ahead.ready.is_some() {
            return;
        }
        (ahead.wanted, ahead.dropped) = (Some(self.segment_bytes), false);
        drop(ahead);
        match self.driven_by_caller {
            true => self.prepare(),
            false => self.ahead_wake.notify_one(),
        }
    }

    fn ahead(&self) -> MutexGuard<'_, Ahead> {
        self.ahead.lock().unwrap_or_else(PoisonError::into_inner)
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

    fn write_with(&self, mut writer: MutexGuard<'_, Writer>) -> bool {
        let mut queue = self.queue();
        if queue.frames.is_empty() && !queue.probe {
            return false;
        }
        queue.probe = false;
        let repeat = !queue.frames.is_empty();
        if repeat {
            for entries in writer.owed_twice.iter().chain(&writer.owed_once) {
                queue.put(Kind::Series, |out| out.extend_from_slice(entries));
            }
        }
        let mut frames = std::mem::take(&mut queue.frames);
        let defined = std::mem::take(&mut queue.defined);
        let group = std::mem::replace(&mut queue.group, Group::new());
        let received = queue.newest_received;
        let first = frame::first_sequence(&frames).unwrap_or(queue.next_sequence);
        queue.in_flight = frames.len();
        drop(queue);

        let outcome = self.write(&mut writer, &mut frames, first, received);
        let outcome = outcome.map_err(|error| match is_full(&error) {
            true => StoreError::Full,
            false => StoreError::ReadOnly { why: format!("write the log: {error}").into() },
        });
        if outcome.is_ok() && repeat {
            writer.owed_once = std::mem::take(&mut writer.owed_twice);
            writer.owed_once.extend(defined);
        } else {
            writer.owed_twice.extend(defined);
        }
        self.note_sizes(&writer);
        if outcome.is_ok() {
            self.look_ahead(&mut writer);
        }
        drop(writer);

        let mut queue = self.queue();
        queue.in_flight = 0;
        if queue.refusing.is_some() != outcome.is_err() {
            match &outcome {
                Ok(()) => tracing::info!("the log is written again"),
                Err(error) => tracing::error!(%error, "the log can't be written, samples are refused"),
            }
        }
        if queue.refusing.is_none() {
            queue.probed = received;
        }
        queue.refusing = outcome.clone().err();
        if queue.frames.is_empty() {
            // The memory of the next group.
            frames.clear();
            frames.shrink_to(1 << 20);
            queue.frames = frames;
        }
        drop(queue);
        group.settle(outcome);
        true
    }

    /// Into the current segment, else into a new one: after a failed sync the kernel counts the pages as clean, so a second
    /// sync of the same file would promise what is not there.
    fn write(&self, writer: &mut Writer, frames: &mut [u8], first: u64, received: Time) -> io::Result<()> {
        let probing = frames.is_empty();
        if !probing && writer.current.is_some() {
            match self.write_once(writer, frames, first, received) {
                Ok(()) => return Ok(()),
                Err(error) => {
                    tracing::warn!(%error, "a log segment failed, its last group goes into a new one");
                    if is_full(&error) {
                        self.drop_spare();
                    }
                }
            }
        }
        writer.current = None;
        self.write_once(writer, frames, first, received)
    }

    fn write_once(&self, writer: &mut Writer, frames: &mut [u8], first: u64, received: Time) -> io::Result<()> {
        let needed = frames.len() as u64;
        if writer.current.as_ref().is_none_or(|current| current.at + needed > current.len.max(self.segment_bytes)) {
            self.renew(writer, needed, first, received)?;
        }
        let current = writer.current.as_mut().expect("just made");
        if current.at + needed > current.len {
            // Room is taken in growing steps: an idle store takes little, a busy one rarely waits for more.
            let len = (current.len * 4).max(current.at + needed).min(self.segment_bytes);
            retry(|| current.file.preallocate(len))?;
            current.len = len;
            if let Some(segment) = writer.segments.iter_mut().find(|segment| segment.number == current.number) {
                segment.bytes = len;
            }
        }
        frame::seal(frames, segment::salt(current.number));
        write_all_at(&*current.file, frames, current.at)?;
        let started = Instant::now();
        retry(|| current.file.sync_data())?;
        self.sync_nanos.store(started.elapsed().as_nanos() as u64, Relaxed);
        self.syncs.fetch_add(1, Relaxed);
        current.at += needed;
        writer.since_checkpoint += needed;
        Ok(())
    }

    fn renew(&self, writer: &mut Writer, needed: u64, first: u64, received: Time) -> io::Result<()> {
        self.finish(writer);
        let spare = self.ahead().ready.take();
        let spare = spare.filter(|spare| spare.bytes >= RECORDS_AT + needed);
        let small = SEGMENT_BEGIN.min(self.segment_bytes).max(RECORDS_AT + needed);
        let bytes = spare.as_ref().map_or(small, |spare| spare.bytes);
        let number = writer.next_number;
        writer.next_number += 1;
        let segment = Segment { number, first_sequence: Some(first), created: received, bytes };
        let made = match spare {
            Some(spare) => segment::adopt(&*self.files, &self.dir, &segment, spare),
            None => segment::create(&*self.files, &self.dir, &segment),
        };
        match made {
            Ok(file) => {
                writer.segments.push(segment);
                writer.current = Some(Current { file, number, at: RECORDS_AT, len: bytes });
                Ok(())
            }
            Err(error) => {
                // Half a segment does no harm, but its room is needed. If removing fails too, it is removed with the others.
                if self.files.remove(&segment::path(&self.dir, number)).is_err() {
                    writer.segments.push(Segment { bytes: 0, ..segment });
                }
                Err(error)
            }
        }
    }

    /// Gives back the room that the current segment did not use.
    fn finish(&self, writer: &mut Writer) {
        if let Some(current) = writer.current.take()
            && current.file.truncate(current.at).is_ok()
            && let Some(segment) = writer.segments.iter_mut().find(|segment| segment.number == current.number)
        {
            segment.bytes = current.at;
        }
    }

    /// Ends the current segment; the next group begins a new one.
    pub fn roll(&self) {
        self.finish(&mut self.writer());
    }

    /// A checkpoint holds all records below `position`: removes segments that hold only such ones and are older than
    /// `keep_from`, or beyond `keep_bytes`.
    pub fn checkpointed(&self, position: u64, keep_from: Time, keep_bytes: u64) {
        let mut writer = self.writer();
        writer.since_checkpoint = 0;
        writer.position = position;
        while let Some(number) = writer.needless(keep_from, keep_bytes) {
            // Removing takes its time, and senders wait for who writes.
            drop(writer);
            let removed = retry(|| self.files.remove(&segment::path(&self.dir, number)));
            writer = self.writer();
            if removed.is_err_and(|error| error.kind() != io::ErrorKind::NotFound) {
                break;
            }
            writer.segments.retain(|segment| segment.number != number);
        }
        self.note_sizes(&writer);
    }

    /// Removes all segments that a flush has made needless, those too that were kept for back-tests.
    pub fn forget_kept(&self) {
        self.drop_spare();
        let mut writer = self.writer();
        let position = writer.position;
        if writer.current.is_none() && self.queue().next_sequence == position {
            // Nothing came since: not even the last one is needed. The next one says where it begins.
            writer.segments.retain(|segment| match retry(|| self.files.remove(&segment::path(&self.dir, segment.number))) {
                Err(error) => error.kind() != io::ErrorKind::NotFound,
                Ok(()) => false,
            });
        }
        drop(writer);
        self.checkpointed(position, Time::MAX, 0);
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
    /// The oldest segment, where a checkpoint holds all of it and it is too old or one too many.
    fn needless(&self, keep_from: Time, keep_bytes: u64) -> Option<u64> {
        let total: u64 = self.segments.iter().map(|segment| segment.bytes).sum();
        // A segment whose head is damaged says nothing: the one behind it does.
        let next = self.segments.iter().skip(1).find(|segment| segment.first_sequence.is_some())?;
        let covered = next.first_sequence.is_some_and(|first| first <= self.position);
        (covered && (next.created < keep_from || total > keep_bytes)).then(|| self.segments[0].number)
    }
}

impl Queue {
    fn put(&mut self, kind: Kind, body: impl FnOnce(&mut Vec<u8>)) {
        frame::put(&mut self.frames, kind, self.next_sequence, body);
        self.next_sequence += 1;
    }
}
