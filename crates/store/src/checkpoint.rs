//! A checkpoint: the head on the disk, as of a position in the log, so that an opening need not read the log from its begin.
//!
//! Written beside the old one and renamed, while samples come in: it may hold some that came after its position, and
//! reading the log from the position on gives the same state, since at one instant the last value wins. Names of series
//! stand twice in it, so that a damaged block costs its samples only.

use std::path::{Path, PathBuf};
use std::sync::atomic::Ordering::Relaxed;

use ahash::AHashMap;
use model::{Labels, Time};

use crate::Metadata;
use crate::bits::{Reader, put_signed, put_varint};
use crate::chunk::{CHUNK_LEN, Chunk, TimesCache};
use crate::error::StoreError;
use crate::files::{File, Files, retry, write_all_at};
use crate::frame::{self, Kind, Piece, Scanner};
use crate::head::{cell_of, place_of};
use crate::record;
use crate::segment::Lost;
use crate::store::Inner;

/// A block is closed when it is longer than this, in bytes: with one more chunk it stays below 32 KiB.
const BLOCK_LEN: usize = 24 * 1024;
/// Blocks are written together from this many bytes on.
const WRITE_LEN: usize = 1 << 20;
const SUFFIX: &str = ".head";

/// What a checkpoint says of itself, at its begin and at its end.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Head {
    /// All records of the log below it are in.
    pub position: u64,
    pub next_id: u64,
    pub newest: i64,
    pub received: Time,
}

impl Head {
    fn put(&self, out: &mut Vec<u8>) {
        put_varint(out, self.position);
        put_varint(out, self.next_id);
        put_signed(out, self.newest);
        put_signed(out, self.received.0);
    }

    fn read(reader: &mut Reader<'_>) -> Option<Head> {
        let (position, next_id) = (reader.varint()?, reader.varint()?);
        Some(Head { position, next_id, newest: reader.signed()?, received: Time(reader.signed()?) })
    }
}

/// The file of a checkpoint.
pub(crate) fn path(dir: &Path, position: u64) -> PathBuf {
    dir.join(format!("{position:016x}{SUFFIX}"))
}

/// The position in a file's name.
pub(crate) fn position(name: &str) -> Option<u64> {
    let digits = name.strip_suffix(SUFFIX)?;
    (digits.len() == 16).then(|| u64::from_str_radix(digits, 16).ok())?
}

fn salt(position: u64) -> u64 {
    xxhash_rust::xxh3::xxh3_64_with_seed(b"flyball head", position)
}

struct Output<'a> {
    file: &'a dyn File,
    at: u64,
    frames: u64,
    salt: u64,
    buffer: Vec<u8>,
}

impl Output<'_> {
    fn put(&mut self, kind: Kind, body: impl FnOnce(&mut Vec<u8>)) -> std::io::Result<()> {
        frame::put(&mut self.buffer, kind, self.frames, body);
        self.frames += 1;
        if self.buffer.len() >= WRITE_LEN { self.write() } else { Ok(()) }
    }

    fn write(&mut self) -> std::io::Result<()> {
        frame::seal(&mut self.buffer, self.salt);
        write_all_at(self.file, &self.buffer, self.at)?;
        self.at += self.buffer.len() as u64;
        self.buffer.clear();
        Ok(())
    }
}

impl Inner {
    /// Writes a checkpoint and removes what it makes needless.
    pub fn checkpoint(&self) -> Result<(), StoreError> {
        let done = self.write_checkpoint();
        match &done {
            Ok(()) => self.checkpoints.fetch_add(1, Relaxed),
            Err(_) => self.checkpoints_failed.fetch_add(1, Relaxed),
        };
        done
    }

    fn write_checkpoint(&self) -> Result<(), StoreError> {
        let _one = self.checkpointing.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let below = self.log.next_sequence();
        let next_id = self.head().next_id;
        let head = Head { position: below, next_id, newest: self.newest.load(Relaxed), received: self.received() };
        let dir = self.head_dir();
        let file_path = path(&dir, head.position);
        let aside = file_path.with_extension("tmp");
        let write = || -> std::io::Result<()> {
            let file = retry(|| self.files.create(&aside))?;
            let mut output = Output { file: &*file, at: 0, frames: 0, salt: salt(head.position), buffer: Vec::new() };
            self.write_blocks(&mut output, head)?;
            retry(|| file.sync_data())?;
            retry(|| self.files.rename(&aside, &file_path))?;
            retry(|| self.files.sync_dir(&dir))
        };
        if let Err(error) = write() {
            let _ = self.files.remove(&aside);
            return Err(StoreError::io("write the checkpoint", &file_path)(error));
        }
        let names = retry(|| self.files.list(&dir)).unwrap_or_default();
        for older in names.iter().filter_map(|name| position(name)).filter(|older| *older < head.position) {
            if let Err(error) = retry(|| self.files.remove(&path(&dir, older))) {
                tracing::warn!(%error, "an old checkpoint stays");
            }
        }
        let keep_from = Time(head.received.0.saturating_sub(self.options.keep_log.as_micros() as i64));
        self.log.checkpointed(head.position, keep_from, self.options.keep_log_bytes);
        // Not waited for: it only lets an opening see that a checkpoint is missing.
        drop(self.log.append_record(Kind::Checkpointed, |out| put_varint(out, head.position)));
        Ok(())
    }

    fn write_blocks(&self, output: &mut Output<'_>, head: Head) -> std::io::Result<()> {
        output.put(Kind::Head, |out| head.put(out))?;
        let mut block = Vec::new();
        let all: Vec<(u64, Labels)> = self.head().series().map(|(id, labels)| (id, labels.clone())).collect();
        for (id, labels) in &all {
            record::put_series(&mut block, *id, labels);
            block.push(0);
            put_signed(&mut block, 0);
            if block.len() >= BLOCK_LEN {
                output.put(Kind::Names, |out| out.append(&mut block))?;
            }
        }
        output.put(Kind::Names, |out| out.append(&mut block))?;
        let metadata = self.metadata.read().unwrap_or_else(std::sync::PoisonError::into_inner).clone();
        for (metric, metadata) in &metadata {
            output.put(Kind::Metadata, |out| record::put_metadata(out, metric, metadata))?;
        }
        let (mut cache, mut chunks) = (TimesCache::new(), Vec::new());
        let (mut times, mut values) = (Vec::new(), Vec::new());
        for (id, labels) in &all {
            times.clear();
            values.clear();
            if let Some(cell) = self.head().cell(cell_of(*id)) {
                let _ = cell.slab().read(place_of(*id), i64::MIN, i64::MAX, &mut times, &mut values);
            }
            let mut runs: Vec<(usize, Vec<u8>)> = Vec::new();
            let mut count = 0;
            for (times, values) in times.chunks(CHUNK_LEN).zip(values.chunks(CHUNK_LEN)) {
                Chunk::seal(times, values, &mut cache).write(&mut chunks);
                count += 1;
                if chunks.len() >= BLOCK_LEN / 2 {
                    runs.push((std::mem::take(&mut count), std::mem::take(&mut chunks)));
                }
            }
            if count > 0 {
                runs.push((count, std::mem::take(&mut chunks)));
            }
            for (count, chunks) in runs {
                record::put_series(&mut block, *id, labels);
                put_varint(&mut block, count as u64);
                block.extend_from_slice(&chunks);
                if block.len() >= BLOCK_LEN / 2 {
                    output.put(Kind::Columns, |out| out.append(&mut block))?;
                }
            }
        }
        output.put(Kind::Columns, |out| out.append(&mut block))?;
        let frames = output.frames + 1;
        output.put(Kind::Foot, |out| {
            head.put(out);
            put_varint(out, frames);
        })?;
        output.write()
    }

    /// The folder of the checkpoints.
    pub fn head_dir(&self) -> PathBuf {
        head_dir(&self.options.dir)
    }
}

/// The folder of the checkpoints.
pub(crate) fn head_dir(dir: &Path) -> PathBuf {
    dir.join("head")
}

/// What was read of a checkpoint.
pub(crate) struct Loaded {
    pub head: Head,
    pub names: AHashMap<u64, (Labels, Option<i64>)>,
    pub columns: AHashMap<u64, Vec<Chunk>>,
    pub metadata: Vec<(String, Metadata)>,
    pub lost: Lost,
}

/// Reads a checkpoint; `None` where neither its begin nor its end is readable.
pub(crate) fn load(files: &dyn Files, dir: &Path, position: u64) -> Result<Option<Loaded>, StoreError> {
    let file = path(dir, position);
    let bytes = retry(|| files.read(&file, 0, u64::MAX)).map_err(StoreError::io("read the checkpoint", &file))?;
    let cache = &mut TimesCache::new();
    let (mut head, mut lost, mut frames, mut promised) = (None, Lost::default(), 0u64, None);
    let (mut names, mut columns, mut metadata) = (AHashMap::new(), AHashMap::new(), Vec::new());
    for piece in Scanner::new(&bytes, 0, salt(position)) {
        let record = match piece {
            Piece::Record(record) => record,
            Piece::Damaged(len) | Piece::Torn(len) => {
                lost.places += 1;
                lost.bytes += len as u64;
                continue;
            }
        };
        record.check_version(&file)?;
        frames += 1;
        let mut reader = Reader::new(record.body);
        let read = match record.kind {
            kind if kind == Kind::Head as u8 => Head::read(&mut reader).map(|found| head = Some(found)),
            kind if kind == Kind::Foot as u8 => (|| {
                head = Some(Head::read(&mut reader)?);
                promised = Some(reader.varint()?);
                Some(())
            })(),
            kind if kind == Kind::Names as u8 => read_names(&mut reader, &mut names),
            kind if kind == Kind::Columns as u8 => read_columns(&mut reader, &mut names, &mut columns, cache),
            kind if kind == Kind::Metadata as u8 => record::read_metadata(&mut reader).map(|entry| metadata.push(entry)),
            _ => Some(()),
        };
        if read.is_none() {
            lost.places += 1;
            lost.bytes += record.body.len() as u64;
        }
    }
    if promised != Some(frames) && lost.places == 0 {
        lost.places = 1;
    }
    Ok(head.map(|head| Loaded { head, names, columns, metadata, lost }))
}

fn read_entry(reader: &mut Reader<'_>) -> Option<(u64, Labels)> {
    Some((reader.varint()?, Labels::from_key(reader.text()?).ok()?))
}

fn read_names(reader: &mut Reader<'_>, names: &mut AHashMap<u64, (Labels, Option<i64>)>) -> Option<()> {
    while !reader.rest.is_empty() {
        let (id, labels) = read_entry(reader)?;
        let retired = reader.byte()? != 0;
        let last = reader.signed()?;
        names.insert(id, (labels, retired.then_some(last)));
    }
    Some(())
}

fn read_columns(
    reader: &mut Reader<'_>,
    names: &mut AHashMap<u64, (Labels, Option<i64>)>,
    columns: &mut AHashMap<u64, Vec<Chunk>>,
    cache: &mut TimesCache,
) -> Option<()> {
    while !reader.rest.is_empty() {
        let id = reader.varint()?;
        let key = reader.text()?;
        if let std::collections::hash_map::Entry::Vacant(vacant) = names.entry(id) {
            vacant.insert((Labels::from_key(key).ok()?, None));
        }
        let count = reader.count()?;
        let chunks: &mut Vec<Chunk> = columns.entry(id).or_default();
        for _ in 0..count {
            chunks.push(Chunk::take(reader, cache)?);
        }
    }
    Some(())
}
