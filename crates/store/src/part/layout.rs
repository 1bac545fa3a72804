//! Where things lie in a part's file: the header at its beginning and the foot at its end, both twice.

use std::path::Path;

use xxhash_rust::xxh3::{xxh3_64, xxh3_64_with_seed};

use crate::bits::{Reader, put_signed, put_text, put_varint};
use crate::error::StoreError;

/// The newest format that this program reads, and the one that it writes.
pub(crate) const VERSION: u8 = 1;
const MAGIC: &[u8; 8] = b"flybpart";
const HEADER_LEN: usize = 64;
/// Places of the two headers, and where blocks begin.
pub(super) const HEADERS_AT: [u64; 2] = [0, 512];
pub(super) const BLOCKS_AT: u64 = 1024;
/// A checksum stands before every block and page.
pub(super) const CHECKSUM_LEN: usize = 8;

/// The bytes of one part are never taken for another's, nor for those of another place.
pub(super) fn checksum(number: u64, at: u64, body: &[u8]) -> u64 {
    xxh3_64_with_seed(body, xxh3_64_with_seed(b"flyball part", number) ^ at)
}

/// Writes the checksum into the first bytes of a block or page that will lie at `at`.
pub(super) fn seal(number: u64, at: u64, framed: &mut [u8]) {
    let sum = checksum(number, at, &framed[CHECKSUM_LEN..]);
    framed[..CHECKSUM_LEN].copy_from_slice(&sum.to_le_bytes());
}

/// The body, where the checksum fits.
pub(super) fn open(number: u64, at: u64, framed: &[u8]) -> Option<&[u8]> {
    let (sum, body) = framed.split_first_chunk::<CHECKSUM_LEN>()?;
    (checksum(number, at, body) == u64::from_le_bytes(*sum)).then_some(body)
}

/// The first thing in the file.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Header {
    pub number: u64,
    pub foot_at: u64,
    pub foot_len: u32,
}

impl Header {
    pub fn write(&self) -> [u8; HEADER_LEN] {
        let mut out = Vec::with_capacity(HEADER_LEN);
        out.extend_from_slice(MAGIC);
        out.extend([VERSION, 0, 0, 0]);
        out.extend_from_slice(&self.foot_len.to_le_bytes());
        out.extend_from_slice(&self.number.to_le_bytes());
        out.extend_from_slice(&self.foot_at.to_le_bytes());
        out.resize(HEADER_LEN - CHECKSUM_LEN, 0);
        out.extend_from_slice(&xxh3_64(&out).to_le_bytes());
        out.try_into().expect("filled up to its length")
    }

    /// `Ok(None)` where these bytes are no good header.
    pub fn read(bytes: &[u8], file: &Path) -> Result<Option<Header>, StoreError> {
        let Some((head, sum)) = bytes.get(..HEADER_LEN).and_then(|bytes| bytes.split_last_chunk::<CHECKSUM_LEN>()) else {
            return Ok(None);
        };
        if !head.starts_with(MAGIC) || xxh3_64(head) != u64::from_le_bytes(*sum) {
            return Ok(None);
        }
        if head[8] > VERSION {
            return Err(StoreError::Newer { file: file.to_owned(), version: head[8], known: VERSION });
        }
        let mut rest = Reader::new(&head[12..]);
        let read = |rest: &mut Reader<'_>| {
            Some(Header {
                foot_len: u32::from_le_bytes(rest.array()?),
                number: u64::from_le_bytes(rest.array()?),
                foot_at: u64::from_le_bytes(rest.array()?),
            })
        };
        Ok(read(&mut rest))
    }
}

/// The kinds of index pages, in the order in which they lie in the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Section {
    /// Blocks of samples; the key of a page is its first series.
    Blocks = 0,
    /// Series: number, labels; the key is the first series.
    Series = 1,
    /// Global ids, sorted, and their series; the key is the first id.
    Ids = 2,
    /// Lists of series; no key.
    Lists = 3,
    /// Pairs of name and value, sorted, and their lists; the key is the first pair.
    Pairs = 4,
}

pub(super) const SECTIONS: usize = 5;

/// A page of the index.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct PageRef {
    pub at: u64,
    /// With its checksum.
    pub len: u32,
    pub key: u64,
}

/// A label's name.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Name {
    pub text: Box<str>,
    /// Its pairs begin here.
    pub first_pair: u32,
    pub pairs: u32,
    /// Series that have it.
    pub series: u32,
}

/// What a part is about: known without reading anything of it but its foot.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Summary {
    /// Days since 1970-01-01 UTC: all samples lie on it.
    pub day: i64,
    /// How often what is in it was merged.
    pub level: u32,
    /// What is in it was published between these two, both included: of two parts with the same series and time the one published
    /// later is right.
    pub published: (u64, u64),
    /// Parts that were merged into this one.
    pub replaces: Vec<u64>,
    /// Time of the first sample, in microseconds.
    pub first: i64,
    /// Time of the last sample.
    pub last: i64,
    /// How many series.
    pub series: u32,
    /// How many samples.
    pub samples: u64,
}

/// The last thing in the file.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Foot {
    pub summary: Summary,
    pub names: Vec<Name>,
    pub sections: [Vec<PageRef>; SECTIONS],
    /// First value of each page of pairs.
    pub first_values: Vec<Box<str>>,
    /// Each the XOR of [`super::pages::GROUP`] pages.
    pub parity: Vec<PageRef>,
}

impl Foot {
    pub fn write(&self, out: &mut Vec<u8>) {
        let Summary { day, level, published, replaces, first, last, series, samples } = &self.summary;
        put_signed(out, *day);
        put_varint(out, u64::from(*level));
        put_varint(out, published.0);
        put_varint(out, published.1 - published.0);
        put_varint(out, replaces.len() as u64);
        replaces.iter().for_each(|number| put_varint(out, *number));
        put_signed(out, *first);
        put_signed(out, last.wrapping_sub(*first));
        put_varint(out, u64::from(*series));
        put_varint(out, *samples);
        put_varint(out, self.names.len() as u64);
        for name in &self.names {
            put_text(out, &name.text);
            put_varint(out, u64::from(name.pairs));
            put_varint(out, u64::from(name.series));
        }
        let all = self.sections.iter().chain([&self.parity]);
        let begin = all.clone().flatten().map(|page| page.at).min().unwrap_or(0);
        put_varint(out, begin);
        for section in all {
            put_varint(out, section.len() as u64);
            let mut before = 0;
            for page in section {
                put_varint(out, u64::from(page.len));
                put_varint(out, page.key.wrapping_sub(before));
                before = page.key;
            }
        }
        self.first_values.iter().for_each(|value| put_text(out, value));
    }

    pub fn read(body: &[u8]) -> Option<Foot> {
        let from = &mut Reader::new(body);
        let day = from.signed()?;
        let level = u32::try_from(from.varint()?).ok()?;
        let published = from.varint()?;
        let published = (published, published.checked_add(from.varint()?)?);
        let replaces = (0..from.count()?).map(|_| from.varint()).collect::<Option<_>>()?;
        let first = from.signed()?;
        let last = first.wrapping_add(from.signed()?);
        let series = u32::try_from(from.varint()?).ok()?;
        let samples = from.varint()?;
        let summary = Summary { day, level, published, replaces, first, last, series, samples };
        let mut first_pair = 0u32;
        let name = |from: &mut Reader<'_>| {
            let text = from.text()?.into();
            let pairs = u32::try_from(from.varint()?).ok()?;
            let series = u32::try_from(from.varint()?).ok()?;
            let name = Name { text, first_pair, pairs, series };
            first_pair = first_pair.checked_add(pairs)?;
            Some(name)
        };
        let names = read_list(from, name)?;
        let mut at = from.varint()?;
        let mut sections: [Vec<PageRef>; SECTIONS + 1] = Default::default();
        for section in &mut sections {
            let mut key = 0u64;
            *section = read_list(from, |from| {
                let len = u32::try_from(from.varint()?).ok()?;
                key = key.wrapping_add(from.varint()?);
                let page = PageRef { at, len, key };
                at = at.checked_add(u64::from(len))?;
                Some(page)
            })?;
        }
        let [blocks, series, ids, lists, pairs, parity] = sections;
        let first_values = pairs.iter().map(|_| from.text().map(Box::from)).collect::<Option<_>>()?;
        let sections = [blocks, series, ids, lists, pairs];
        from.rest.is_empty().then_some(Foot { summary, names, sections, first_values, parity })
    }

    pub fn pages(&self, section: Section) -> &[PageRef] {
        &self.sections[section as usize]
    }
}

fn read_list<T>(from: &mut Reader<'_>, mut read: impl FnMut(&mut Reader<'_>) -> Option<T>) -> Option<Vec<T>> {
    (0..from.count()?).map(|_| read(from)).collect()
}
