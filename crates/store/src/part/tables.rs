//! The pages of the index as they are in memory: blocks, series, ids, pairs; each reads what its writer wrote.

use super::block::BlockRef;
use crate::bits::{Reader, put_signed, put_text, put_varint};
use crate::codec::{COUNT_MAX, put_integers, take_integers};

/// Blocks in a page of them.
pub(super) const BLOCKS_IN_PAGE: usize = 128;
/// Ids in a page of them.
pub(super) const IDS_IN_PAGE: usize = 512;
/// Series in one run of a list.
pub(super) const LIST_RUN: usize = 2048;
/// A list that is not longer stands beside its pair.
pub(super) const INLINE_MAX: usize = 64;

/// A page of places of blocks.
pub(super) struct BlocksPage(pub Vec<BlockRef>);

impl BlocksPage {
    pub fn write(blocks: &[BlockRef], out: &mut Vec<u8>) {
        put_varint(out, blocks.len() as u64);
        put_varint(out, blocks.first().map_or(0, |block| block.at));
        let column = |get: &dyn Fn(&BlockRef) -> i64| blocks.iter().map(get).collect::<Vec<_>>();
        put_integers(&column(&|block| i64::from(block.len)), out);
        put_integers(&column(&|block| i64::from(block.series.0)), out);
        put_integers(&column(&|block| i64::from(block.series.1 - block.series.0)), out);
        put_integers(&column(&|block| block.times.0), out);
        put_integers(&column(&|block| block.times.1.wrapping_sub(block.times.0)), out);
    }

    pub fn read(body: &[u8]) -> Option<BlocksPage> {
        let from = &mut Reader::new(body);
        let count = usize::try_from(from.varint()?).ok().filter(|count| *count <= BLOCKS_IN_PAGE)?;
        let mut at = from.varint()?;
        let mut columns: [Vec<i64>; 5] = Default::default();
        for column in &mut columns {
            take_integers(from, count, column, |number| number)?;
        }
        let [lens, firsts, more, begins, spans] = &columns;
        let mut blocks = Vec::with_capacity(count);
        for place in 0..count {
            let len = u32::try_from(lens[place]).ok()?;
            let first = u32::try_from(firsts[place]).ok()?;
            let last = first.checked_add(u32::try_from(more[place]).ok()?)?;
            let times = (begins[place], begins[place].wrapping_add(spans[place]));
            blocks.push(BlockRef { at, len, series: (first, last), times });
            at = at.checked_add(u64::from(len))?;
        }
        from.rest.is_empty().then_some(BlocksPage(blocks))
    }
}

/// Writes pages of series.
#[derive(Default)]
pub(super) struct SeriesWriter {
    id: u64,
    pairs: Vec<u32>,
}

impl SeriesWriter {
    /// Appends a series to a page; `pairs` are in the order of the labels.
    pub fn push(&mut self, id: u64, pairs: &[u32], out: &mut Vec<u8>) {
        put_signed(out, id.wrapping_sub(self.id) as i64);
        if pairs.len() == self.pairs.len() && pairs.len() < 63 {
            let changed = (0..pairs.len()).filter(|place| pairs[*place] != self.pairs[*place]);
            put_varint(out, changed.clone().fold(0, |bits, place| bits | 2 << place) | 1);
            changed.for_each(|place| put_signed(out, i64::from(pairs[place]) - i64::from(self.pairs[place])));
        } else {
            put_varint(out, (pairs.len() as u64) << 1);
            pairs.iter().for_each(|pair| put_varint(out, u64::from(*pair)));
        }
        self.id = id;
        self.pairs.clear();
        self.pairs.extend_from_slice(pairs);
    }
}

/// A page of series.
#[derive(Default)]
pub(super) struct SeriesPage {
    pub ids: Vec<u64>,
    ends: Vec<u32>,
    pairs: Vec<u32>,
}

impl SeriesPage {
    pub fn read(body: &[u8]) -> Option<SeriesPage> {
        let mut page = SeriesPage::default();
        let from = &mut Reader::new(body);
        let (mut id, mut before) = (0u64, Vec::new());
        while !from.rest.is_empty() {
            id = id.wrapping_add(from.signed()? as u64);
            let head = from.varint()?;
            if head & 1 == 1 {
                for (place, pair) in before.iter_mut().enumerate() {
                    if head >> (place + 1) & 1 == 1 {
                        *pair = u32::try_from(i64::from(*pair).checked_add(from.signed()?)?).ok()?;
                    }
                }
            } else {
                let count = usize::try_from(head >> 1).ok().filter(|count| *count <= model::labels::LABELS_MAX)?;
                before.clear();
                for _ in 0..count {
                    before.push(u32::try_from(from.varint()?).ok()?);
                }
            }
            page.ids.push(id);
            page.pairs.extend_from_slice(&before);
            page.ends.push(page.pairs.len() as u32);
        }
        Some(page)
    }

    /// The pairs of the series at a place of the page.
    pub fn pairs(&self, place: usize) -> &[u32] {
        let begin = if place == 0 { 0 } else { self.ends[place - 1] };
        &self.pairs[begin as usize..self.ends[place] as usize]
    }

    pub fn bytes(&self) -> usize {
        self.ids.len() * 12 + self.pairs.len() * 4
    }
}

/// A page of global ids.
#[derive(Default)]
pub(super) struct IdsPage {
    pub ids: Vec<u64>,
    pub series: Vec<u32>,
}

impl IdsPage {
    pub fn write(ids: &[(u64, u32)], out: &mut Vec<u8>) {
        put_varint(out, ids.len() as u64);
        put_integers(&ids.iter().map(|(id, _)| *id as i64).collect::<Vec<_>>(), out);
        put_integers(&ids.iter().map(|(_, series)| i64::from(*series)).collect::<Vec<_>>(), out);
    }

    pub fn read(body: &[u8]) -> Option<IdsPage> {
        let from = &mut Reader::new(body);
        let mut page = IdsPage::default();
        let count = usize::try_from(from.varint()?).ok().filter(|count| *count <= IDS_IN_PAGE)?;
        take_integers(from, count, &mut page.ids, |id| id as u64)?;
        take_integers(from, count, &mut page.series, |series| series as u32)?;
        from.rest.is_empty().then_some(page)
    }
}

/// Where the list of a pair is.
#[derive(Clone, Copy, Debug)]
pub(super) enum ListAt {
    /// In the page of the pair: from, to.
    Here(u32, u32),
    /// In a page of lists.
    Page(u32, u32),
}

/// Writes pages of pairs.
#[derive(Default)]
pub(super) struct PairsWriter {
    name: u32,
    value: String,
}

impl PairsWriter {
    /// Begins a page.
    pub fn begin(&mut self) {
        *self = PairsWriter::default();
    }

    /// Appends a pair; its list is `inline`, or lies in the page and at the place of `at`.
    pub fn push(&mut self, name: u32, value: &str, count: u32, inline: &[u8], at: (u32, u32), out: &mut Vec<u8>) {
        put_varint(out, u64::from(name - self.name));
        let mut shared = self.value.bytes().zip(value.bytes()).take_while(|(one, other)| one == other).count();
        while !value.is_char_boundary(shared) {
            shared -= 1;
        }
        put_varint(out, shared as u64);
        put_text(out, &value[shared..]);
        put_varint(out, u64::from(count) << 1 | u64::from(!inline.is_empty()));
        if inline.is_empty() {
            put_varint(out, u64::from(at.0));
            put_varint(out, u64::from(at.1));
        } else {
            put_varint(out, inline.len() as u64);
            out.extend_from_slice(inline);
        }
        self.name = name;
        value.clone_into(&mut self.value);
    }
}

/// A pair of a page.
#[derive(Clone, Copy, Debug)]
pub(super) struct Pair {
    pub name: u32,
    text: (u32, u32),
    /// Series that have it.
    pub count: u32,
    pub list: ListAt,
}

/// A page of pairs.
#[derive(Default)]
pub(super) struct PairsPage {
    pub pairs: Vec<Pair>,
    text: String,
    inline: Vec<u8>,
}

impl PairsPage {
    pub fn read(body: &[u8]) -> Option<PairsPage> {
        let mut page = PairsPage::default();
        let from = &mut Reader::new(body);
        let (mut name, mut before) = (0u32, (0, 0));
        while !from.rest.is_empty() {
            name = name.checked_add(u32::try_from(from.varint()?).ok()?)?;
            let shared = usize::try_from(from.varint()?).ok()?;
            let begin = page.text.len();
            let whole = page.text.get(before.0 as usize..before.1 as usize)?.get(..shared)?.to_owned();
            page.text.push_str(&whole);
            page.text.push_str(from.text()?);
            let text = (begin as u32, u32::try_from(page.text.len()).ok()?);
            let head = from.varint()?;
            let count = u32::try_from(head >> 1).ok()?;
            let list = if head & 1 == 1 {
                let len = from.count()?;
                let begin = page.inline.len() as u32;
                page.inline.extend_from_slice(from.bytes(len)?);
                ListAt::Here(begin, begin + len as u32)
            } else {
                ListAt::Page(u32::try_from(from.varint()?).ok()?, u32::try_from(from.varint()?).ok()?)
            };
            page.pairs.push(Pair { name, text, count, list });
            before = text;
        }
        Some(page)
    }

    /// Name and value of one pair of a page, without decoding the others.
    pub fn find(body: &[u8], place: usize) -> Option<(u32, String)> {
        let from = &mut Reader::new(body);
        let (mut name, mut value) = (0u32, Vec::new());
        for _ in 0..=place {
            name = name.checked_add(u32::try_from(from.varint()?).ok()?)?;
            let shared = usize::try_from(from.varint()?).ok().filter(|shared| *shared <= value.len())?;
            let len = from.count()?;
            value.truncate(shared);
            value.extend_from_slice(from.bytes(len)?);
            let inline = from.varint()? & 1 == 1;
            if inline {
                let len = from.count()?;
                from.bytes(len)?;
            } else {
                from.varint()?;
                from.varint()?;
            }
        }
        Some((name, String::from_utf8(value).ok()?))
    }

    pub fn value(&self, pair: &Pair) -> &str {
        self.text.get(pair.text.0 as usize..pair.text.1 as usize).unwrap_or_default()
    }

    pub fn inline(&self, from: u32, to: u32) -> &[u8] {
        self.inline.get(from as usize..to as usize).unwrap_or_default()
    }

    pub fn bytes(&self) -> usize {
        self.pairs.len() * size_of::<Pair>() + self.text.len() + self.inline.len()
    }
}

/// Appends runs of a sorted list of series to `out`; `next` is asked before each, and may begin another page.
pub(super) fn put_run(run: &[u32], out: &mut Vec<u8>) {
    debug_assert!(run.len() <= LIST_RUN);
    put_integers(&run.iter().map(|series| i64::from(*series)).collect::<Vec<_>>(), out);
}

/// Appends a run of `count` series, each below `end`. `None` where they do not rise.
pub(super) fn take_run(from: &mut Reader<'_>, count: usize, end: u32, out: &mut Vec<u32>) -> Option<()> {
    let begin = out.len();
    take_integers(from, count.min(COUNT_MAX), out, |series| u32::try_from(series).unwrap_or(u32::MAX))?;
    let run = &out[begin..];
    let rises = run.windows(2).all(|pair| pair[0] < pair[1]) && run.last().is_none_or(|last| *last < end);
    rises.then_some(())
}
