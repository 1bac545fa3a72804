//! Reads the samples and the labels of series out of a part.

use model::Labels;

use super::Reading;
use super::block::BlockRef;
use super::layout::Section;
use super::tables::PairsPage;

impl Reading<'_> {
    /// Appends the samples of a series from `from` to `to`, both included, in time order. Blocks that are damaged are left out and
    /// counted.
    pub fn read(&self, series: u32, from: i64, to: i64, times: &mut Vec<i64>, values: &mut Vec<f64>) {
        self.blocks_of(series, |block| {
            if block.times.0 > to || block.times.1 < from {
                return;
            }
            let at = block.at;
            let Some(block) = self.block(block, true) else { return };
            let entries = block.of(series);
            for (place, entry) in entries.iter().enumerate() {
                // The next chunk of the series begins after this one ends.
                let ends_before = entries.get(place + 1).is_some_and(|next| next.first <= from);
                if entry.first > to || ends_before {
                    continue;
                }
                let begin = times.len();
                if block.read(entry, times, values).is_none() {
                    self.lost_block(at);
                    continue;
                }
                cut(begin, from, to, times, values);
            }
        });
    }

    /// The same, but only the newest of these samples must be among those appended: whole chunks before it are passed over.
    pub fn read_last(&self, series: u32, from: i64, to: i64, times: &mut Vec<i64>, values: &mut Vec<f64>) {
        let mut blocks = Vec::new();
        self.blocks_of(series, |block| blocks.push(*block));
        let begin = times.len();
        for block in blocks.iter().rev().filter(|block| block.times.0 <= to && block.times.1 >= from) {
            let at = block.at;
            let Some(block) = self.block(block, true) else { continue };
            for entry in block.of(series).iter().rev().filter(|entry| entry.first <= to) {
                if block.read(entry, times, values).is_none() {
                    self.lost_block(at);
                    continue;
                }
                cut(begin, from, to, times, values);
                // Nothing before this chunk is newer than what it has, or than its first time.
                if times.len() > begin || entry.first < from {
                    return;
                }
            }
        }
    }

    /// Gives bytes and samples of each block of samples that is not damaged.
    pub fn blocks(&self, mut give: impl FnMut(usize, u64)) {
        for place in 0..self.foot.pages(Section::Blocks).len() {
            let page = self.blocks_page(place);
            for block in page.iter().flat_map(|page| &page.0) {
                if let Some(read) = self.block(block, false) {
                    give(block.len as usize, read.entries.iter().map(|entry| u64::from(entry.count)).sum());
                }
            }
        }
    }

    /// Gives the blocks that hold samples of a series, in time order.
    fn blocks_of(&self, series: u32, mut give: impl FnMut(&BlockRef)) {
        let pages = self.foot.pages(Section::Blocks);
        let begin = pages.partition_point(|page| page.key < u64::from(series)).saturating_sub(1);
        for place in begin..pages.partition_point(|page| page.key <= u64::from(series)) {
            let Some(page) = self.blocks_page(place) else { continue };
            let begin = page.0.partition_point(|block| block.series.1 < series);
            page.0[begin..].iter().take_while(|block| block.series.0 <= series).for_each(&mut give);
        }
    }
}

/// Leaves only what lies from `from` to `to` of what was appended at `begin`.
pub(super) fn cut(begin: usize, from: i64, to: i64, times: &mut Vec<i64>, values: &mut Vec<f64>) {
    let end = begin + times[begin..].partition_point(|time| *time <= to);
    times.truncate(end);
    values.truncate(end);
    let skip = times[begin..].partition_point(|time| *time < from);
    if skip > 0 {
        times.drain(begin..begin + skip);
        values.drain(begin..begin + skip);
    }
}

/// Makes labels out of pairs; remembers those of the series before, since neighbours have most in common.
pub(super) struct LabelReader<'a> {
    part: Reading<'a>,
    before: Vec<Text>,
}

/// A pair that was looked up.
#[derive(Default)]
pub(super) struct Text {
    pair: Option<u32>,
    name: u32,
    value: String,
    /// The page that was read without being decoded.
    page: Option<usize>,
}

impl Text {
    /// Looks up another pair. A page that is asked for twice running is decoded and kept: the pairs come in order then. Else they come
    /// in any order, as values that only one series has do, and reading on to the pair is cheaper.
    pub fn load(&mut self, part: Reading<'_>, pair: u32) -> Option<()> {
        if self.pair == Some(pair) {
            return Some(());
        }
        self.pair = None;
        let pages = part.foot.pages(Section::Pairs);
        let place = pages.partition_point(|page| page.key <= u64::from(pair)).checked_sub(1)?;
        let within = (u64::from(pair) - pages[place].key) as usize;
        let again = self.page.replace(place) == Some(place);
        match part.cached_pairs(place).or_else(|| if again { part.pairs_page(place) } else { None }) {
            Some(page) => {
                let found = page.pairs.get(within)?;
                self.name = found.name;
                page.value(found).clone_into(&mut self.value);
            }
            None if again => return None,
            None => {
                let found = part.body(Section::Pairs, place).and_then(|body| PairsPage::find(&body, within));
                (self.name, self.value) = found.or_else(|| {
                    part.lost_page(Section::Pairs, Some(place));
                    None
                })?;
            }
        }
        self.pair = Some(pair);
        Some(())
    }

    pub fn value(&self) -> &str {
        &self.value
    }
}

impl<'a> LabelReader<'a> {
    pub fn new(part: Reading<'a>) -> LabelReader<'a> {
        LabelReader { part, before: Vec::new() }
    }

    pub fn labels(&mut self, pairs: &[u32]) -> Option<Labels> {
        self.before.resize_with(pairs.len(), Text::default);
        for (pair, text) in pairs.iter().zip(&mut self.before) {
            text.load(self.part, *pair)?;
        }
        let names = &self.part.foot.names;
        let pairs = self.before.iter().map(|text| Some((&*names.get(text.name as usize)?.text, text.value())));
        Labels::new(pairs.collect::<Option<Vec<_>>>()?).ok()
    }
}
