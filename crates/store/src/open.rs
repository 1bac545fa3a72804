//! Opening a store: the newest checkpoint, then the log behind it. And reading the kept log again, for back-tests.
//!
//! Where the checkpoint is damaged or missing, the whole kept log is read instead of its end: it holds most of what was lost.
//! Never writes: a disk that is full, or read-only, opens too.

use std::collections::BTreeMap;
use std::io;
use std::ops::ControlFlow;
use std::path::Path;
use std::sync::Arc;

use ahash::AHashMap;
use model::intake::{KeySecret, Protocol};
use model::{Labels, SampleBatch, Time};

use crate::Metadata;
use crate::bits::Reader;
use crate::checkpoint::{self, Loaded};
use crate::error::StoreError;
use crate::files::{Files, retry};
use crate::frame::Kind;
use crate::head::slab::Placed;
use crate::head::{Head, Limits, place_of};
use crate::history::History;
use crate::log::{Log, Resume};
use crate::record::{self, Row};
use crate::segment::{self, Segment};
use crate::store::{Inner, Opened, Options, random_secret};

/// What is read of the parts' indexes is kept, up to so many bytes.
const CACHE_BYTES: usize = 32 << 20;
/// Samples held back for want of their series' name; more are given up.
const HELD_BACK_MAX: usize = 4_000_000;

/// What an opening found damaged. All zero on a healthy disk; a crash leaves `torn_bytes` at most.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Damage {
    /// Damaged places in the log, each one record at least.
    pub log_places: u64,
    /// Their bytes.
    pub log_bytes: u64,
    /// Damaged places in the checkpoint.
    pub checkpoint_places: u64,
    /// Their bytes.
    pub checkpoint_bytes: u64,
    /// Samples whose series is not known any more.
    pub samples_without_series: u64,
    /// Unreadable bytes of writes that a crash cut off.
    pub torn_bytes: u64,
    /// Parts that are missing or can't be opened, and copies of their manifest.
    pub parts: u64,
}

impl Damage {
    /// Whether anything that had been synced may be lost.
    pub fn any(&self) -> bool {
        self.places() + self.samples_without_series > 0
    }

    /// Places in the log and in the checkpoint, and parts.
    pub fn places(&self) -> u64 {
        self.log_places + self.checkpoint_places + self.parts
    }
}

/// Builds the head again.
struct Recovery {
    secret: KeySecret,
    limits: Limits,
    head: Head,
    newest: i64,
    /// Numbers whose labels another number has too: the series went out of memory and came back.
    same: AHashMap<u64, u64>,
    /// How often the log defines a series behind the checkpoint.
    defined: AHashMap<u64, u32>,
    /// Series whose name the checkpoint does not have, and the log only where the next opening may not look.
    loose: Vec<u64>,
    held_back: AHashMap<u64, Vec<(i64, f64)>>,
    held_back_len: usize,
    metadata: BTreeMap<String, Metadata>,
    damage: Damage,
    /// A write that a crash cut off may have named series whose samples came behind it. Nobody was told of those.
    torn_within: bool,
    position: u64,
    /// The samples of all records below are in parts.
    in_parts: u64,
    next_sequence: u64,
    last_sequence: Option<u64>,
    since_checkpoint: u64,
    samples: u64,
    rows: Vec<Row>,
}

/// Opens a folder.
pub(crate) fn open(options: Options, files: Arc<dyn Files>, now: Time) -> Result<Inner, StoreError> {
    let (log_dir, head_dir) = (options.dir.join("log"), checkpoint::head_dir(&options.dir));
    make_dirs(&*files, &options.dir, &[&log_dir, &head_dir])?;
    let history = History::open(files.clone(), options.dir.join("history"), CACHE_BYTES)?;
    let mut recovery = Recovery::new(&options);
    recovery.head.next_id = recovery.head.next_id.max(history.id_end());
    recovery.damage.parts = history.damage().parts + history.damage().manifest_copies;
    let segments = list_segments(&*files, &log_dir)?;
    let whole = recovery.load_checkpoint(&*files, &head_dir)?;
    // Where a crash came between the two, parts know more than the checkpoint.
    recovery.in_parts = recovery.position.max(history.position());
    recovery.next_sequence = recovery.next_sequence.max(recovery.in_parts);
    let behind = |segment: &Segment| segment.first_sequence.is_some_and(|first| first <= recovery.position);
    let start = if whole { segments.iter().rposition(behind).unwrap_or(0) } else { 0 };
    if !whole
        && segments.first().is_some_and(|first| first.first_sequence.is_some_and(|first| first > recovery.in_parts))
        && recovery.position == 0
    {
        // Only a checkpoint can have made the segments before needless, and it is gone.
        recovery.damage.checkpoint_places += 1;
    }
    for (segment, end) in segments[start..].iter().zip(segment::ends(&segments[start..])) {
        recovery.read_segment(&*files, &log_dir, segment, end)?;
    }
    let inner = recovery.finish(&options, files.clone(), history, &log_dir, segments, now);
    if inner.damage.any() {
        tracing::error!(damage = ?inner.damage, "the store's files are damaged; the rest of them is in use");
    }
    Ok(inner)
}

fn make_dirs(files: &dyn Files, dir: &Path, inside: &[&Path]) -> Result<(), StoreError> {
    if inside.iter().all(|dir| files.list(dir).is_ok_and(|names| !names.is_empty())) {
        return Ok(());
    }
    for dir in inside {
        retry(|| files.create_dir(dir)).map_err(StoreError::io("make the folder", dir))?;
    }
    for dir in [Some(dir), dir.parent()].into_iter().flatten().filter(|dir| !dir.as_os_str().is_empty()) {
        retry(|| files.sync_dir(dir)).map_err(StoreError::io("sync the folder", dir))?;
    }
    Ok(())
}

fn list_segments(files: &dyn Files, dir: &Path) -> Result<Vec<Segment>, StoreError> {
    let names = retry(|| files.list(dir)).map_err(StoreError::io("list the folder", dir))?;
    let mut numbers: Vec<u64> = names.iter().filter_map(|name| segment::number(name)).collect();
    numbers.sort_unstable();
    let mut segments = Vec::with_capacity(numbers.len());
    for number in numbers {
        let segment = segment::read_head(files, dir, number)?;
        let file = segment::path(dir, number);
        if segment::is_prepared_only(files, dir, &segment).map_err(StoreError::io("read", &file))? {
            // Where it can't be removed it takes room until the next start.
            let _ = retry(|| files.remove(&file));
        } else {
            segments.push(segment);
        }
    }
    Ok(segments)
}

impl Recovery {
    fn new(options: &Options) -> Recovery {
        Recovery {
            secret: random_secret(),
            limits: options.limits(),
            head: Head::new(1),
            newest: i64::MIN,
            same: AHashMap::new(),
            defined: AHashMap::new(),
            loose: Vec::new(),
            held_back: AHashMap::new(),
            held_back_len: 0,
            metadata: BTreeMap::new(),
            damage: Damage::default(),
            torn_within: false,
            position: 0,
            in_parts: 0,
            next_sequence: 0,
            last_sequence: None,
            since_checkpoint: 0,
            samples: 0,
            rows: Vec::new(),
        }
    }

    /// Takes the newest readable checkpoint. True where there is none, with an empty log, or an undamaged one.
    fn load_checkpoint(&mut self, files: &dyn Files, dir: &Path) -> Result<bool, StoreError> {
        let names = retry(|| files.list(dir)).map_err(StoreError::io("list the folder", dir))?;
        let mut positions: Vec<u64> = names.iter().filter_map(|name| checkpoint::position(name)).collect();
        positions.sort_unstable();
        for position in positions.into_iter().rev() {
            let loaded = checkpoint::load(files, dir, position)?;
            let Some(loaded) = loaded else {
                self.damage.checkpoint_places += 1;
                continue;
            };
            let whole = loaded.lost.places == 0;
            self.take_checkpoint(loaded);
            return Ok(whole);
        }
        Ok(false)
    }

    fn take_checkpoint(&mut self, loaded: Loaded) {
        let head = loaded.head;
        self.position = head.position;
        self.next_sequence = head.position;
        self.head.next_id = self.head.next_id.max(head.next_id);
        self.newest = head.newest;
        self.damage.checkpoint_places += loaded.lost.places;
        self.damage.checkpoint_bytes += loaded.lost.bytes;
        self.metadata.extend(loaded.metadata);
        let mut names: Vec<_> = loaded.names.into_iter().collect();
        names.sort_unstable_by_key(|(id, _)| *id);
        for (id, (labels, _)) in names {
            let _ = self.name(id, labels);
        }
        let (mut times, mut values) = (Vec::new(), Vec::new());
        for (id, chunks) in loaded.columns {
            for chunk in chunks {
                times.clear();
                values.clear();
                if chunk.read(&mut times, &mut values).is_none() || times.len() != values.len() {
                    self.damage.checkpoint_places += 1;
                    continue;
                }
                times.iter().zip(&values).for_each(|(time, value)| self.put(id, *time, *value));
            }
        }
    }

    /// A series and its number. Where the labels have a number already, that one is theirs. Whether it is new here.
    fn name(&mut self, id: u64, labels: Labels) -> bool {
        self.head.next_id = self.head.next_id.max(id.saturating_add(1));
        let by_labels = self.secret.hash(Protocol::Labels, labels.key().as_bytes());
        match self.head.find(by_labels) {
            Some(first) => {
                if first != id {
                    self.same.insert(id, first);
                }
                false
            }
            None => {
                self.head.insert(id, by_labels, labels, &self.limits);
                true
            }
        }
    }

    fn read_segment(&mut self, files: &dyn Files, dir: &Path, segment: &Segment, end: u64) -> Result<(), StoreError> {
        let file = segment::path(dir, segment.number);
        let bytes = match retry(|| files.read(&file, 0, u64::MAX)) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            read => read.map_err(StoreError::io("read the log", &file))?,
        };
        let lost = segment::records(&file, &bytes, segment.number, |record| {
            self.next_sequence = self.next_sequence.max(record.sequence + 1);
            // What was written again after a failed sync may stand in two segments: whole and in order in the later one alone. That may
            // have lost its head, and the number in it.
            if record.sequence >= end || self.last_sequence.is_some_and(|last| record.sequence <= last) {
                return Ok(());
            }
            self.last_sequence = Some(record.sequence);
            let behind = record.sequence >= self.position;
            let unwritten = record.sequence >= self.in_parts;
            if behind {
                self.since_checkpoint += record.body.len() as u64;
            }
            let read = match record.kind {
                kind if kind == Kind::Series as u8 => self.define(record.body, behind),
                kind if kind == Kind::Packed as u8 && unwritten => {
                    self.take_samples(|rows| record::read_packed(record.body, rows))
                }
                kind if kind == Kind::Samples as u8 && unwritten => {
                    self.take_samples(|rows| record::read_samples(record.body, rows))
                }
                kind if kind == Kind::Metadata as u8 && behind => {
                    let entry = record::read_metadata(&mut Reader::new(record.body));
                    entry.map(|(metric, metadata)| drop(self.metadata.insert(metric, metadata)))
                }
                kind if kind == Kind::Checkpointed as u8 => Reader::new(record.body).varint().map(|position| {
                    self.damage.checkpoint_places += u64::from(position > self.position);
                }),
                _ => Some(()),
            };
            if read.is_none() {
                self.damage.log_places += 1;
                self.damage.log_bytes += record.body.len() as u64;
            }
            Ok(())
        })?;
        self.damage.log_places += lost.places;
        self.damage.log_bytes += lost.bytes;
        self.damage.torn_bytes += lost.torn_bytes;
        self.torn_within |= lost.torn_within;
        Ok(())
    }

    fn define(&mut self, body: &[u8], behind: bool) -> Option<()> {
        for entry in record::read_series(body) {
            let (id, labels) = entry?;
            if behind {
                *self.defined.entry(id).or_insert(0) += 1;
            }
            if self.name(id, labels) && !behind {
                self.loose.push(id);
            }
            if let Some(held) = self.held_back.remove(&id) {
                self.held_back_len -= held.len();
                held.into_iter().for_each(|(time, value)| self.put(id, time, value));
            }
        }
        Some(())
    }

    fn take_samples(&mut self, read: impl FnOnce(&mut Vec<Row>) -> Option<Time>) -> Option<()> {
        let mut rows = std::mem::take(&mut self.rows);
        let received = read(&mut rows);
        if received.is_some() {
            rows.iter().for_each(|row| self.put(row.series, row.time, row.value));
        }
        self.rows = rows;
        received.map(drop)
    }

    fn put(&mut self, id: u64, time: i64, value: f64) {
        let known = if self.same.is_empty() { id } else { self.same.get(&id).copied().unwrap_or(id) };
        if let Some(slab) = self.head.slab_mut(known) {
            self.samples += u64::from(slab.put(place_of(known), time, value) != Placed::Replaced);
            self.newest = self.newest.max(time);
        } else if self.held_back_len < HELD_BACK_MAX {
            // Its name may stand behind a damaged place, and again further on.
            self.head.next_id = self.head.next_id.max(id.saturating_add(1));
            self.held_back.entry(id).or_default().push((time, value));
            self.held_back_len += 1;
        } else {
            self.damage.samples_without_series += 1;
        }
    }

    fn finish(
        mut self,
        options: &Options,
        files: Arc<dyn Files>,
        history: History,
        log_dir: &Path,
        segments: Vec<Segment>,
        now: Time,
    ) -> Inner {
        for (id, held) in std::mem::take(&mut self.held_back) {
            // Its name is lost in the log and in the checkpoint; a part may have it.
            let Some(labels) = labels_in(&history, id) else {
                if !self.torn_within {
                    self.damage.samples_without_series += held.len() as u64;
                }
                continue;
            };
            if self.name(id, labels) {
                self.loose.push(id);
            }
            held.into_iter().for_each(|(time, value)| self.put(id, time, value));
        }
        // What the log says once only, it must say again, and what it does not say where the next opening looks, twice: one
        // damaged place must not cost all later samples.
        let entry = |id: &u64| {
            let mut entry = Vec::new();
            record::put_series(&mut entry, *id, self.head.labels(*id)?);
            Some(entry)
        };
        let said = |id: &u64| self.defined.get(id).copied().unwrap_or(0);
        let once: Vec<Vec<u8>> = self.defined.keys().filter(|id| said(id) == 1).filter_map(entry).collect();
        let twice: Vec<Vec<u8>> = self.loose.iter().filter(|id| said(id) == 0).filter_map(entry).collect();
        let resume = Resume { segments, next_sequence: self.next_sequence, since_checkpoint: self.since_checkpoint, now };
        let log = Arc::new(Log::new(files.clone(), log_dir.to_owned(), options, resume));
        log.owe(once, twice);
        let opened = Opened {
            log,
            secret: self.secret,
            head: self.head,
            newest: self.newest,
            samples: self.samples,
            metadata: self.metadata,
            damage: self.damage,
            since: history.view().end(now.0.saturating_add(options.future_max.as_micros() as i64)),
            history,
        };
        Inner::new(options.clone(), files, now, opened)
    }
}

/// What parts say about the number of a series.
fn labels_in(history: &History, id: u64) -> Option<Labels> {
    history.view().parts().iter().rev().find_map(|part| part.reading().labels(part.reading().find(id)?))
}

/// Gives the kept batches from `from` on.
pub(crate) fn replay(
    inner: &Inner,
    from: Time,
    give: &mut dyn FnMut(Time, &SampleBatch) -> ControlFlow<()>,
) -> Result<(), StoreError> {
    let dir = inner.log.dir();
    let segments = inner.log.segments();
    let start = segments.iter().rposition(|segment| segment.created < from).unwrap_or(0);
    let mut names: AHashMap<u64, Labels> = AHashMap::new();
    let (mut rows, mut batch, mut last) = (Vec::new(), SampleBatch::new(), None);
    let mut enough = false;
    for (segment, end) in segments[start..].iter().zip(segment::ends(&segments[start..])) {
        let file = segment::path(dir, segment.number);
        let bytes = match retry(|| inner.files.read(&file, 0, u64::MAX)) {
            // A checkpoint removed it since.
            Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
            read => read.map_err(StoreError::io("read the log", &file))?,
        };
        segment::records(&file, &bytes, segment.number, |record| {
            if enough || record.sequence >= end || last.is_some_and(|last| record.sequence <= last) {
                return Ok(());
            }
            last = Some(record.sequence);
            if record.kind == Kind::Series as u8 {
                names.extend(record::read_series(record.body).flatten());
            }
            let received = match record.kind {
                kind if kind == Kind::Packed as u8 => record::read_packed(record.body, &mut rows),
                kind if kind == Kind::Samples as u8 => record::read_samples(record.body, &mut rows),
                _ => None,
            };
            let Some(received) = received.filter(|received| *received >= from) else { return Ok(()) };
            batch.clear();
            for row in &rows {
                if !names.contains_key(&row.series)
                    && let Some(labels) =
                        inner.head().labels(row.series).cloned().or_else(|| labels_in(&inner.history, row.series))
                {
                    names.insert(row.series, labels);
                }
                if let Some(labels) = names.get(&row.series) {
                    batch.push(labels, Time(row.time), row.value);
                }
            }
            enough = give(received, &batch).is_break();
            Ok(())
        })?;
        if enough {
            break;
        }
    }
    Ok(())
}
