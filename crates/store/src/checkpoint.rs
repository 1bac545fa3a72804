//! A checkpoint: the names of the series in memory, as of a position in the log, so that an opening need not read the log from its
//! begin.
//!
//! Written beside the old one and renamed, while samples come in: it may name series that came after its position. A name whose block is
//! damaged stands in the parts too. Those of the first format hold samples as well: they are read, not written.

use std::path::{Path, PathBuf};
use std::sync::atomic::Ordering::Relaxed;

use ahash::AHashMap;
use model::{Labels, Time};

use crate::Metadata;
use crate::bits::{Reader, put_signed, put_varint};
use crate::chunk::Chunk;
use crate::error::StoreError;
use crate::files::{File, Files, retry, write_all_at};
use crate::frame::{self, Kind, Piece, Scanner};
use crate::head::slab::SERIES;
use crate::record;
use crate::segment::Lost;
use crate::store::Inner;

/// A block is closed when it is longer than this, in bytes before it is compressed.
const BLOCK_LEN: usize = 64 * 1024;
/// No block of names is longer: one cell more than [`BLOCK_LEN`].
const UNPACKED_MAX: usize = 256 << 20;
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

    /// The same compressed by zstd: neighbours' names have most in common.
    fn put_packed(&mut self, kind: Kind, block: &mut Vec<u8>) -> std::io::Result<()> {
        let packed = zstd::bulk::compress(block, 1)?;
        let len = block.len() as u64;
        block.clear();
        self.put(kind, |out| {
            put_varint(out, len);
            out.extend_from_slice(&packed);
        })
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
    /// Writes the names of all series of memory and removes the log that is needless now: the samples of all records below
    /// `below` are in parts.
    pub fn write_checkpoint(&self, below: u64) -> Result<(), StoreError> {
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
        for left in names.iter().filter(|name| name.ends_with(".tmp")) {
            // Of a start that was killed while it wrote one.
            let _ = self.files.remove(&dir.join(left));
        }
        for older in names.iter().filter_map(|name| position(name)).filter(|older| *older < head.position) {
            if let Err(error) = retry(|| self.files.remove(&path(&dir, older))) {
                tracing::warn!(%error, "an old checkpoint stays");
            }
        }
        let keep_from = Time(head.received.0.saturating_sub(self.options.keep_log.as_micros() as i64));
        self.log.checkpointed(head.position, keep_from, self.options.keep_log_bytes);
        Ok(())
    }

    fn write_blocks(&self, output: &mut Output<'_>, head: Head) -> std::io::Result<()> {
        output.put(Kind::Head, |out| head.put(out))?;
        let mut block = Vec::new();
        let cells: Vec<usize> = self.head().cells().map(|(cell, _)| cell).collect();
        for cell in cells {
            // Copied under the lock, a cell at a time; written without it.
            if let Some(cell_of_names) = self.head().cell(cell) {
                for (place, labels) in cell_of_names.series() {
                    record::put_series(&mut block, (cell * SERIES + place) as u64, labels);
                    block.push(0);
                    put_signed(&mut block, 0);
                }
            }
            if block.len() >= BLOCK_LEN {
                output.put_packed(Kind::PackedNames, &mut block)?;
            }
        }
        output.put_packed(Kind::PackedNames, &mut block)?;
        let metadata = self.metadata.read().unwrap_or_else(std::sync::PoisonError::into_inner).clone();
        for (metric, metadata) in &metadata {
            output.put(Kind::Metadata, |out| record::put_metadata(out, metric, metadata))?;
        }
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
    let (mut head, mut lost, mut frames, mut promised) = (None, Lost::default(), 0u64, None);
    let (mut names, mut columns, mut metadata) = (AHashMap::new(), AHashMap::new(), Vec::new());
    for piece in Scanner::new(&bytes, 0, salt(position)) {
        let record = match piece {
            Piece::Record(record) => record,
            Piece::Damaged(place) | Piece::Torn(place) => {
                lost.places += 1;
                lost.bytes += place.len() as u64;
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
            kind if kind == Kind::PackedNames as u8 => unpack_names(&mut reader, &mut names),
            kind if kind == Kind::Columns as u8 => read_columns(&mut reader, &mut names, &mut columns),
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

fn unpack_names(reader: &mut Reader<'_>, names: &mut AHashMap<u64, (Labels, Option<i64>)>) -> Option<()> {
    let len = usize::try_from(reader.varint()?).ok().filter(|len| *len <= UNPACKED_MAX)?;
    let block = zstd::bulk::decompress(reader.rest, len).ok()?;
    read_names(&mut Reader::new(&block), names)
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
            chunks.push(Chunk::take(reader)?);
        }
    }
    Some(())
}
