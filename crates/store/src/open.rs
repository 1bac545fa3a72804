//! Opening a store: the newest checkpoint, then the log behind it. And reading the kept log again, for back-tests.
//!
//! Where the checkpoint is damaged or missing, the whole kept log is read instead of its end: it holds most of what was lost.
//! Never writes: a disk that is full, or read-only, opens too.

use std::collections::BTreeMap;
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

use ahash::AHashMap;
use model::{Labels, SampleBatch, Time};

use crate::Metadata;
use crate::bits::Reader;
use crate::checkpoint::{self, Loaded};
use crate::column::Column;
use crate::error::StoreError;
use crate::files::{Files, retry};
use crate::frame::Kind;
use crate::index::{Index, Series};
use crate::intake::Intake;
use crate::log::{Log, Resume};
use crate::record::{self, Row};
use crate::segment::{self, Segment};
use crate::store::{Inner, Options};

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
    /// Unreadable bytes at the end of a segment: a write that a crash cut off.
    pub torn_bytes: u64,
}

impl Damage {
    /// Whether anything that had been synced may be lost.
    pub fn any(&self) -> bool {
        self.log_places + self.checkpoint_places + self.samples_without_series > 0
    }
}

/// Builds the head again.
struct Recovery<'a> {
    options: &'a Options,
    index: Index,
    intake: Intake,
    /// Names of series, from the checkpoint and from the log.
    names: AHashMap<u64, Labels>,
    /// Last times of those that the head had dropped.
    retired: AHashMap<u64, i64>,
    slots: Vec<Slot>,
    slot_of: SlotOf,
    slot_by_labels: AHashMap<Labels, u32>,
    /// How often the log defines a series behind the checkpoint.
    defined: AHashMap<u64, u32>,
    held_back: AHashMap<u64, Vec<(i64, f64)>>,
    held_back_len: usize,
    metadata: BTreeMap<String, Metadata>,
    damage: Damage,
    position: u64,
    newest_known: i64,
    next_sequence: u64,
    last_sequence: Option<u64>,
    since_checkpoint: u64,
    samples: u64,
    rows: Vec<Row>,
}

/// A series while the log is read: no lock, no count of references, one place in a vector. Reading the log is what an opening
/// waits for, and a sample costs half of what it costs by way of the index.
struct Slot {
    id: u64,
    labels: Labels,
    column: Column,
}

/// Finds the slot of a series by its number: directly where the numbers lie close together, as they do.
#[derive(Default)]
struct SlotOf {
    base: u64,
    near: Vec<u32>,
    far: AHashMap<u64, u32>,
}

impl SlotOf {
    /// Numbers in the direct table at most: 32 MiB.
    const NEAR_MAX: u64 = 8 << 20;
    const NONE: u32 = u32::MAX;

    fn get(&self, id: u64) -> Option<u32> {
        match self.near.get(id.wrapping_sub(self.base) as usize) {
            Some(&slot) if slot != SlotOf::NONE => Some(slot),
            _ if self.far.is_empty() => None,
            _ => self.far.get(&id).copied(),
        }
    }

    fn insert(&mut self, id: u64, slot: u32) {
        if self.near.is_empty() {
            self.base = id;
        }
        let place = id.wrapping_sub(self.base);
        if place >= SlotOf::NEAR_MAX {
            self.far.insert(id, slot);
            return;
        }
        if self.near.len() as u64 <= place {
            self.near.resize(place as usize + 1, SlotOf::NONE);
        }
        self.near[place as usize] = slot;
    }
}

/// Opens a folder.
pub(crate) fn open(options: Options, files: Arc<dyn Files>, now: Time) -> Result<Inner, StoreError> {
    let (log_dir, head_dir) = (options.dir.join("log"), checkpoint::head_dir(&options.dir));
    make_dirs(&*files, &options.dir, &[&log_dir, &head_dir])?;
    let mut recovery = Recovery::new(&options, now);
    let segments = list_segments(&*files, &log_dir)?;
    let whole = recovery.load_checkpoint(&*files, &head_dir)?;
    let behind = |segment: &Segment| segment.first_sequence.is_some_and(|first| first <= recovery.position);
    let start = if whole { segments.iter().rposition(behind).unwrap_or(0) } else { 0 };
    if !whole
        && segments.first().is_some_and(|first| first.first_sequence.is_some_and(|first| first > 0))
        && recovery.position == 0
    {
        // Only a checkpoint can have made the segments before needless, and it is gone.
        recovery.damage.checkpoint_places += 1;
    }
    for segment in &segments[start..] {
        recovery.read_segment(&*files, &log_dir, segment, whole)?;
    }
    let (inner, owed) = recovery.finish(&options, files.clone(), &log_dir, segments, now);
    inner.log.owe(owed);
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
    numbers.into_iter().map(|number| segment::read_head(files, dir, number)).collect()
}

impl<'a> Recovery<'a> {
    fn new(options: &'a Options, now: Time) -> Recovery<'a> {
        Recovery {
            options,
            index: Index::default(),
            intake: Intake::new(1, i64::MIN, now),
            names: AHashMap::new(),
            retired: AHashMap::new(),
            slots: Vec::new(),
            slot_of: SlotOf::default(),
            slot_by_labels: AHashMap::new(),
            defined: AHashMap::new(),
            held_back: AHashMap::new(),
            held_back_len: 0,
            metadata: BTreeMap::new(),
            damage: Damage::default(),
            position: 0,
            newest_known: i64::MIN,
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
            let loaded = checkpoint::load(files, dir, position, &mut self.intake.cache)?;
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
        self.intake.next_id = head.next_id;
        self.intake.newest = head.newest;
        self.newest_known = head.newest;
        self.damage.checkpoint_places += loaded.lost.places;
        self.damage.checkpoint_bytes += loaded.lost.bytes;
        self.metadata.extend(loaded.metadata);
        for (id, (labels, retired)) in loaded.names {
            self.note_id(id);
            if let Some(last) = retired {
                self.retired.insert(id, last);
            }
            self.names.insert(id, labels);
        }
        let mut columns: Vec<_> = loaded.columns.into_iter().collect();
        columns.sort_unstable_by_key(|(id, _)| *id);
        for (id, chunks) in columns {
            let Some(slot) = self.find(id) else { continue };
            match Column::from_chunks(chunks) {
                Some(column) => {
                    self.samples += column.len() as u64;
                    self.slots[slot as usize].column = column;
                }
                None => self.damage.checkpoint_places += 1,
            }
        }
    }

    fn note_id(&mut self, id: u64) {
        self.intake.next_id = self.intake.next_id.max(id.saturating_add(1));
    }

    fn read_segment(&mut self, files: &dyn Files, dir: &Path, segment: &Segment, whole: bool) -> Result<(), StoreError> {
        let file = segment::path(dir, segment.number);
        let bytes = match retry(|| files.read(&file, 0, u64::MAX)) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            read => read.map_err(StoreError::io("read the log", &file))?,
        };
        let from = if whole { self.position } else { 0 };
        let lost = segment::records(&file, &bytes, segment.number, |record| {
            // A group that was written again after a failed sync may stand in two segments.
            if self.last_sequence.is_some_and(|last| record.sequence <= last) {
                return Ok(());
            }
            self.last_sequence = Some(record.sequence);
            self.next_sequence = self.next_sequence.max(record.sequence + 1);
            let behind = record.sequence >= self.position;
            if behind {
                self.since_checkpoint += record.body.len() as u64;
            }
            let read = match record.kind {
                kind if kind == Kind::Series as u8 => self.define(record.body, behind),
                kind if kind == Kind::Samples as u8 && record.sequence >= from => self.take_samples(record.body),
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
        Ok(())
    }

    fn define(&mut self, body: &[u8], behind: bool) -> Option<()> {
        for entry in record::read_series(body) {
            let (id, labels) = entry?;
            self.note_id(id);
            if behind {
                *self.defined.entry(id).or_insert(0) += 1;
            }
            self.names.entry(id).or_insert(labels);
            if let Some(held) = self.held_back.remove(&id) {
                self.held_back_len -= held.len();
                for (time, value) in held {
                    self.put(id, time, value);
                }
            }
        }
        Some(())
    }

    fn take_samples(&mut self, body: &[u8]) -> Option<()> {
        let mut rows = std::mem::take(&mut self.rows);
        let read = record::read_samples(body, &mut rows);
        if let Some(received) = read {
            self.intake.received = received;
            rows.iter().for_each(|row| self.put(row.series, row.time, row.value));
        }
        self.rows = rows;
        read.map(drop)
    }

    fn put(&mut self, id: u64, time: i64, value: f64) {
        let cutoff = self.newest_known.saturating_sub(self.options.retention.as_micros() as i64);
        if time < cutoff {
            return;
        }
        let Some(slot) = self.find(id) else {
            self.note_id(id);
            if self.held_back_len < HELD_BACK_MAX {
                self.held_back.entry(id).or_default().push((time, value));
                self.held_back_len += 1;
            } else {
                self.damage.samples_without_series += 1;
            }
            return;
        };
        let slot = &mut self.slots[slot as usize];
        match slot.column.put(time, value, &mut self.intake.cache) {
            Ok(new) => self.samples += u64::from(new),
            Err(error) => tracing::error!(series = %slot.labels, %error, "a sample of the log is lost"),
        }
        self.intake.newest = self.intake.newest.max(time);
    }

    /// The slot of the series with this number. Two numbers with the same labels, one of before the head had dropped it, are one.
    fn find(&mut self, id: u64) -> Option<u32> {
        if let Some(slot) = self.slot_of.get(id) {
            return Some(slot);
        }
        let labels = self.names.get(&id)?;
        let slot = *self.slot_by_labels.entry(labels.clone()).or_insert_with(|| {
            self.slots.push(Slot { id, labels: labels.clone(), column: Column::default() });
            self.slots.len() as u32 - 1
        });
        self.slot_of.insert(id, slot);
        Some(slot)
    }

    fn finish(
        mut self,
        options: &Options,
        files: Arc<dyn Files>,
        log_dir: &Path,
        segments: Vec<Segment>,
        now: Time,
    ) -> (Inner, Vec<Vec<u8>>) {
        self.damage.samples_without_series += self.held_back_len as u64;
        self.slots.sort_unstable_by_key(|slot| slot.id);
        for Slot { id, labels, column } in self.slots {
            let series = Series::new(id, labels, column);
            self.intake.know(&series, &options.source_label);
            self.index.insert(series);
        }
        let mut owed = Vec::new();
        for (id, labels) in self.names {
            // What the log says once only, it must say again: one damaged place must not cost all later samples.
            if self.defined.get(&id) == Some(&1) {
                let mut entry = Vec::new();
                record::put_series(&mut entry, id, &labels);
                owed.push(entry);
            }
            if !self.index.by_id.contains_key(&id) {
                let last = self.retired.get(&id).copied().unwrap_or(self.intake.newest);
                self.index.retired.insert(id, (labels, last));
            }
        }
        let mut intake = self.intake;
        intake.received = now;
        intake.swept = now;
        let resume = Resume { segments, next_sequence: self.next_sequence, since_checkpoint: self.since_checkpoint, now };
        let log = Arc::new(Log::new(files.clone(), log_dir.to_owned(), options, resume));
        let inner = Inner::new(options.clone(), files, log, intake, self.index, self.metadata, self.damage);
        inner.samples.store(self.samples, Relaxed);
        inner.sweep(&mut inner.intake());
        (inner, owed)
    }
}

/// Gives the kept batches from `from` on.
pub(crate) fn replay(inner: &Inner, from: Time, give: &mut dyn FnMut(Time, &SampleBatch)) -> Result<(), StoreError> {
    let dir = inner.log.dir();
    let segments = inner.log.segments();
    let start = segments.iter().rposition(|segment| segment.created < from).unwrap_or(0);
    let mut names: AHashMap<u64, Labels> = AHashMap::new();
    let (mut rows, mut batch, mut last) = (Vec::new(), SampleBatch::new(), None);
    for segment in &segments[start..] {
        let file = segment::path(dir, segment.number);
        let bytes = match retry(|| inner.files.read(&file, 0, u64::MAX)) {
            // A checkpoint removed it since.
            Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
            read => read.map_err(StoreError::io("read the log", &file))?,
        };
        segment::records(&file, &bytes, segment.number, |record| {
            if last.is_some_and(|last| record.sequence <= last) {
                return Ok(());
            }
            last = Some(record.sequence);
            if record.kind == Kind::Series as u8 {
                names.extend(record::read_series(record.body).flatten());
            }
            if record.kind != Kind::Samples as u8 {
                return Ok(());
            }
            let Some(received) = record::read_samples(record.body, &mut rows).filter(|received| *received >= from) else {
                return Ok(());
            };
            batch.clear();
            for row in &rows {
                if !names.contains_key(&row.series)
                    && let Some(labels) = inner.index().labels(row.series)
                {
                    names.insert(row.series, labels.clone());
                }
                if let Some(labels) = names.get(&row.series) {
                    batch.push(labels, Time(row.time), row.value);
                }
            }
            give(received, &batch);
            Ok(())
        })?;
    }
    Ok(())
}
