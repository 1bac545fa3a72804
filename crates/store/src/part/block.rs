//! A block of samples: the chunks of series that lie side by side, with the times that they share written once.

use super::layout::CHECKSUM_LEN;
use crate::bits::{Reader, put_signed, put_varint};
use crate::codec::{COUNT_MAX, decode_times, decode_values, encode_times, encode_values};

/// A block is closed when it is longer than this; with its last chunk it stays below 32 KiB.
pub(super) const BLOCK_TARGET: usize = 16 << 10;
/// Samples in a chunk.
pub(super) const CHUNK_LEN: usize = 512;

/// Where a block lies and what is in it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct BlockRef {
    pub at: u64,
    /// With its checksum.
    pub len: u32,
    /// The first and the last series of which it has samples.
    pub series: (u32, u32),
    /// Times of its first and its last sample.
    pub times: (i64, i64),
}

/// The bytes of a chunk.
#[derive(Clone, Copy)]
pub struct Encoded<'a> {
    pub(super) times: &'a [u8],
    pub(super) values: &'a [u8],
}

/// Chunks on their way into a block.
#[derive(Default)]
pub(super) struct BlockWriter {
    columns: Vec<(u32, Vec<u8>)>,
    columns_len: usize,
    /// Series, column, first time, length of the values.
    entries: Vec<(u32, u32, i64, u32)>,
    values: Vec<u8>,
    times: Option<(i64, i64)>,
    /// The times of the newest chunk and their column: the neighbour mostly has the same.
    last_times: Vec<i64>,
    last_column: usize,
    scratch: Vec<u8>,
}

impl BlockWriter {
    /// Adds a chunk; series come in order, and so do the chunks of each.
    pub fn push(&mut self, series: u32, times: &[i64], values: &[f64]) {
        let known = !self.columns.is_empty() && self.last_times == times;
        if !known {
            self.scratch.clear();
            let mut scratch = std::mem::take(&mut self.scratch);
            encode_times(times, &mut scratch);
            self.last_column = self.column(times.len() as u32, &scratch);
            self.scratch = scratch;
            self.last_times.clear();
            self.last_times.extend_from_slice(times);
        }
        let before = self.values.len();
        encode_values(values, &mut self.values);
        self.entry(series, self.last_column, times, before);
    }

    /// The same for a chunk that is encoded already.
    pub fn push_encoded(&mut self, series: u32, times: &[i64], chunk: Encoded<'_>) {
        let column = self.column(times.len() as u32, chunk.times);
        let before = self.values.len();
        self.values.extend_from_slice(chunk.values);
        self.entry(series, column, times, before);
    }

    /// The newest first: it is the one that the neighbour has.
    fn column(&mut self, count: u32, encoded: &[u8]) -> usize {
        self.columns.iter().rposition(|column| column.0 == count && column.1 == encoded).unwrap_or_else(|| {
            self.columns_len += encoded.len();
            self.columns.push((count, encoded.to_vec()));
            self.columns.len() - 1
        })
    }

    fn entry(&mut self, series: u32, column: usize, times: &[i64], values_at: usize) {
        let (Some(first), Some(last)) = (times.first(), times.last()) else { return };
        self.entries.push((series, column as u32, *first, (self.values.len() - values_at) as u32));
        let (from, to) = self.times.unwrap_or((*first, *last));
        self.times = Some((from.min(*first), to.max(*last)));
    }

    pub fn is_full(&self) -> bool {
        self.values.len() + self.columns_len >= BLOCK_TARGET
    }

    /// Puts the block behind the room for its checksum and begins the next. `None` where there is nothing.
    pub fn finish(&mut self, at: u64, framed: &mut Vec<u8>) -> Option<BlockRef> {
        let times = self.times.take()?;
        super::pages::begin(framed);
        put_varint(framed, self.columns.len() as u64);
        for (count, column) in &self.columns {
            put_varint(framed, u64::from(*count));
            put_varint(framed, column.len() as u64);
        }
        put_varint(framed, self.entries.len() as u64);
        let (mut series_before, mut first_before) = (0, 0i64);
        for (series, column, first, len) in &self.entries {
            put_varint(framed, u64::from(series - series_before));
            put_varint(framed, u64::from(*column));
            put_signed(framed, first.wrapping_sub(first_before));
            put_varint(framed, u64::from(*len));
            (series_before, first_before) = (*series, *first);
        }
        self.columns.iter().for_each(|(_, column)| framed.extend_from_slice(column));
        framed.extend_from_slice(&self.values);
        let series = (self.entries[0].0, series_before);
        self.columns.clear();
        self.entries.clear();
        self.values.clear();
        self.columns_len = 0;
        Some(BlockRef { at, len: framed.len() as u32, series, times })
    }
}

/// One chunk in a block.
#[derive(Clone, Copy, Debug)]
pub(super) struct Entry {
    pub series: u32,
    pub first: i64,
    pub count: u32,
    times: (u32, u32),
    values: (u32, u32),
}

/// A block that was read.
pub(super) struct Block {
    bytes: Vec<u8>,
    pub entries: Vec<Entry>,
}

impl Block {
    /// From the bytes with their checksum, which was compared. `None` where they are no block.
    pub fn parse(framed: Vec<u8>) -> Option<Block> {
        let mut from = Reader::new(framed.get(CHECKSUM_LEN..)?);
        let mut columns = Vec::with_capacity(from.clone().count()?.min(1024));
        let mut columns_len = 0u32;
        for _ in 0..from.count()? {
            let count = u32::try_from(from.varint()?).ok().filter(|count| *count > 0 && *count as usize <= COUNT_MAX)?;
            let len = u32::try_from(from.varint()?).ok()?;
            columns.push((count, (columns_len, len)));
            columns_len = columns_len.checked_add(len)?;
        }
        let count = from.count()?;
        let mut entries = Vec::with_capacity(count.min(4096));
        let (mut series, mut first, mut values_at) = (0u32, 0i64, columns_len);
        for _ in 0..count {
            series = series.checked_add(u32::try_from(from.varint()?).ok()?)?;
            let (count, times) = *columns.get(usize::try_from(from.varint()?).ok()?)?;
            first = first.wrapping_add(from.signed()?);
            let len = u32::try_from(from.varint()?).ok()?;
            entries.push(Entry { series, first, count, times, values: (values_at, len) });
            values_at = values_at.checked_add(len)?;
        }
        if from.rest.len() != values_at as usize {
            return None;
        }
        let begin = (framed.len() - from.rest.len()) as u32;
        for entry in &mut entries {
            entry.times.0 += begin;
            entry.values.0 += begin;
        }
        Some(Block { bytes: framed, entries })
    }

    /// The chunks of a series, in order.
    pub fn of(&self, series: u32) -> &[Entry] {
        let begin = self.entries.partition_point(|entry| entry.series < series);
        let len = self.entries[begin..].partition_point(|entry| entry.series == series);
        &self.entries[begin..begin + len]
    }

    fn slice(&self, (at, len): (u32, u32)) -> Option<&[u8]> {
        self.bytes.get(at as usize..at as usize + len as usize)
    }

    /// Appends a chunk. Where it does not decode both are as before, and the answer is `None`.
    pub fn read(&self, entry: &Entry, times: &mut Vec<i64>, values: &mut Vec<f64>) -> Option<()> {
        let before = times.len();
        let done = self.read_times(entry, times).and_then(|()| self.read_values(entry, values));
        if done.is_none() {
            times.truncate(before);
        }
        done
    }

    /// Appends the times of a chunk, or nothing.
    pub fn read_times(&self, entry: &Entry, times: &mut Vec<i64>) -> Option<()> {
        let before = times.len();
        let decode = |times: &mut _| decode_times(self.slice(entry.times)?, entry.first, entry.count as usize, times);
        decode(times).or_else(|| {
            times.truncate(before);
            None
        })
    }

    /// Appends the values of a chunk, or nothing.
    pub fn read_values(&self, entry: &Entry, values: &mut Vec<f64>) -> Option<()> {
        let before = values.len();
        let decode = |values: &mut _| decode_values(self.slice(entry.values)?, entry.count as usize, values);
        decode(values).or_else(|| {
            values.truncate(before);
            None
        })
    }

    /// The bytes of a chunk.
    pub fn encoded(&self, entry: &Entry) -> Option<Encoded<'_>> {
        Some(Encoded { times: self.slice(entry.times)?, values: self.slice(entry.values)? })
    }

    pub fn bytes(&self) -> usize {
        self.bytes.capacity() + self.entries.len() * size_of::<Entry>()
    }
}
