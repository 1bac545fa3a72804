//! The frame around every record of the log and of a checkpoint: found again after damage, never mistaken for another's.
//!
//! ```text
//!  0  marker F1 BA 11 5E        12  sequence, u64
//!  4  version, u8               20  CRC-32 of salt and body
//!  5  kind, u8                  24  CRC-32 of salt and bytes 0..24
//!  6  zero, u16                 28  body
//!  8  length of the body, u32
//! ```
//! All numbers little-endian. In the log the frames that are written together begin at a sector; what of the last sector they leave is
//! filled up with bytes that are not zero, so that a sector of zeros is one that was never written. The salt is 8 bytes that differ from file to file, so a frame that lies in the body of another
//! file's record, or in old bytes of a disk block, does not pass for a record here.

use std::ops::Range;
use std::path::Path;

use crate::error::StoreError;
use crate::files::{FILL, SECTOR};

/// The newest format that this program reads, and the one that it writes.
pub(crate) const VERSION: u8 = 2;
pub(crate) const HEADER_LEN: usize = 28;
const MARKER: [u8; 4] = [0xf1, 0xba, 0x11, 0x5e];

/// What a record says. The numbers are the format.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Kind {
    Series = 1,
    Samples = 2,
    Metadata = 3,
    Checkpointed = 4,
    Packed = 5,
    Segment = 16,
    Head = 32,
    Names = 33,
    Columns = 34,
    Foot = 35,
    PackedNames = 36,
}

/// Appends a frame whose checksums are still missing; see [`seal`].
pub(crate) fn put(out: &mut Vec<u8>, kind: Kind, sequence: u64, body: impl FnOnce(&mut Vec<u8>)) {
    let start = out.len();
    out.extend_from_slice(&MARKER);
    out.extend([VERSION, kind as u8, 0, 0, 0, 0, 0, 0]);
    out.extend_from_slice(&sequence.to_le_bytes());
    out.extend([0; 8]);
    body(out);
    let len = u32::try_from(out.len() - start - HEADER_LEN).expect("a record is below 4 GiB: batches are limited");
    out[start + 8..start + 12].copy_from_slice(&len.to_le_bytes());
}

/// Writes the checksums into frames that lie behind each other.
pub(crate) fn seal(mut frames: &mut [u8], salt: u64) {
    while frames.len() >= HEADER_LEN {
        let end = HEADER_LEN + read_u32(frames, 8) as usize;
        let body = checksum(salt, &frames[HEADER_LEN..end]);
        frames[20..24].copy_from_slice(&body.to_le_bytes());
        let head = checksum(salt, &frames[..24]);
        frames[24..28].copy_from_slice(&head.to_le_bytes());
        frames = &mut frames[end..];
    }
}

/// The sequence of the first frame.
pub(crate) fn first_sequence(frames: &[u8]) -> Option<u64> {
    (frames.len() >= HEADER_LEN).then(|| read_u64(frames, 12))
}

fn checksum(salt: u64, bytes: &[u8]) -> u32 {
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(&salt.to_le_bytes());
    hasher.update(bytes);
    hasher.finalize()
}

fn read_u32(bytes: &[u8], at: usize) -> u32 {
    u32::from_le_bytes(bytes[at..at + 4].try_into().expect("four bytes"))
}

fn read_u64(bytes: &[u8], at: usize) -> u64 {
    u64::from_le_bytes(bytes[at..at + 8].try_into().expect("eight bytes"))
}

/// A record whose checksums fit.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Record<'a> {
    pub kind: u8,
    pub version: u8,
    pub sequence: u64,
    pub body: &'a [u8],
    pub at: usize,
}

impl Record<'_> {
    /// The first byte behind it.
    pub fn end(&self) -> usize {
        self.at + HEADER_LEN + self.body.len()
    }

    /// Refuses what a newer program wrote.
    pub fn check_version(&self, file: &Path) -> Result<(), StoreError> {
        if self.version > VERSION {
            return Err(StoreError::Newer { file: file.to_owned(), version: self.version, known: VERSION });
        }
        Ok(())
    }
}

/// What lies at a place.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Piece<'a> {
    /// A good record.
    Record(Record<'a>),
    /// No record lies here.
    Damaged(Range<usize>),
    /// The file ends within a record, or nothing readable follows.
    Torn(Range<usize>),
}

/// Goes through the frames of a file, over damaged places to the next marker.
pub(crate) struct Scanner<'a> {
    bytes: &'a [u8],
    at: usize,
    salt: u64,
}

enum Header {
    Good { len: usize },
    Bad,
}

impl<'a> Scanner<'a> {
    pub fn new(bytes: &'a [u8], from: usize, salt: u64) -> Scanner<'a> {
        Scanner { bytes, at: from.min(bytes.len()), salt }
    }

    fn header(&self, at: usize) -> Header {
        match self.bytes.get(at..at + HEADER_LEN) {
            Some(head) if head[..4] == MARKER && read_u32(head, 24) == checksum(self.salt, &head[..24]) => {
                Header::Good { len: read_u32(head, 8) as usize }
            }
            _ => Header::Bad,
        }
    }

    /// Goes to the next sector where what is left of this one is filled up.
    fn skip_filled(&mut self) -> bool {
        let next = self.at.next_multiple_of(SECTOR);
        let filled = next > self.at && self.bytes.get(self.at..next).is_some_and(|left| left.iter().all(|byte| *byte == FILL));
        if filled {
            self.at = next;
        }
        filled
    }

    fn next_good(&self, from: usize) -> Option<usize> {
        memchr::memmem::find_iter(self.bytes.get(from..)?, &MARKER)
            .map(|found| from + found)
            .find(|at| matches!(self.header(*at), Header::Good { .. }))
    }
}

impl<'a> Iterator for Scanner<'a> {
    type Item = Piece<'a>;

    fn next(&mut self) -> Option<Piece<'a>> {
        let start = self.at;
        let rest = &self.bytes[start..];
        match self.header(start) {
            Header::Good { len } => {
                let Some(body) = rest.get(HEADER_LEN..HEADER_LEN + len) else {
                    self.at = self.bytes.len();
                    return Some(Piece::Torn(start..self.at));
                };
                self.at = start + HEADER_LEN + len;
                if read_u32(rest, 20) != checksum(self.salt, body) {
                    return Some(Piece::Damaged(start..self.at));
                }
                let (version, kind, sequence) = (rest[4], rest[5], read_u64(rest, 12));
                Some(Piece::Record(Record { kind, version, sequence, body, at: start }))
            }
            Header::Bad if self.skip_filled() => self.next(),
            Header::Bad if rest.iter().all(|byte| *byte == 0) => None,
            Header::Bad => {
                let found = self.next_good(start + 1);
                self.at = found.unwrap_or(self.bytes.len());
                Some(if found.is_some() { Piece::Damaged(start..self.at) } else { Piece::Torn(start..self.at) })
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn three() -> Vec<u8> {
        let mut out = Vec::new();
        for (sequence, body) in [(1, "one"), (2, "the second"), (3, "3")] {
            put(&mut out, Kind::Samples, sequence, |out| out.extend_from_slice(body.as_bytes()));
        }
        seal(&mut out, 7);
        out.resize(out.len() + 100, 0);
        out
    }

    fn sequences(bytes: &[u8], salt: u64) -> Vec<u64> {
        let pieces = Scanner::new(bytes, 0, salt);
        pieces.filter_map(|piece| if let Piece::Record(record) = piece { Some(record.sequence) } else { None }).collect()
    }

    #[test]
    fn a_flipped_bit_costs_one_record() {
        let good = three();
        assert_eq!(sequences(&good, 7), [1, 2, 3]);
        assert!(sequences(&good, 8).is_empty(), "the frames of another file");
        for bit in 0..(good.len() - 100) * 8 {
            let mut bytes = good.clone();
            bytes[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(sequences(&bytes, 7).len(), 2, "bit {bit}");
        }
    }

    #[test]
    fn what_of_a_sector_is_filled_up_is_skipped() {
        let mut bytes = three();
        bytes.truncate(bytes.len() - 100);
        let end = bytes.len();
        bytes.resize(SECTOR, FILL);
        put(&mut bytes, Kind::Samples, 4, |out| out.extend([0; SECTOR - HEADER_LEN]));
        put(&mut bytes, Kind::Samples, 5, |out| out.push(5));
        seal(&mut bytes[..end], 7);
        seal(&mut bytes[SECTOR..], 7);
        bytes.resize(3 * SECTOR, FILL);
        bytes.resize(8 * SECTOR, 0);
        assert_eq!(sequences(&bytes, 7), [1, 2, 3, 4, 5]);
        assert!(Scanner::new(&bytes, 0, 7).all(|piece| matches!(piece, Piece::Record(_))));
        // A flipped bit of it hides nothing.
        for bit in end * 8..SECTOR * 8 {
            let mut bytes = bytes.clone();
            bytes[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(sequences(&bytes, 7), [1, 2, 3, 4, 5]);
        }
        // What is missing is told with its place, without what is filled up before.
        bytes[SECTOR] = 0;
        let missing: Vec<Piece<'_>> = Scanner::new(&bytes, 0, 7).filter(|piece| !matches!(piece, Piece::Record(_))).collect();
        assert_eq!(missing, [Piece::Damaged(SECTOR..2 * SECTOR)]);
    }

    #[test]
    fn a_cut_keeps_what_lies_wholly_before() {
        let good = three();
        let ends: Vec<usize> = [3, 10, 1].iter().scan(0, |at, len| Some((*at += HEADER_LEN + len, *at).1)).collect();
        for cut in 0..good.len() {
            assert_eq!(sequences(&good[..cut], 7).len(), ends.iter().filter(|end| **end <= cut).count());
        }
    }
}
