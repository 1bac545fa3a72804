//! Writes a part: blocks as the series come, then the index, the foot and at last the header.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use ahash::AHashMap;
use model::Labels;

use super::block::{BlockRef, BlockWriter, CHUNK_LEN, Encoded};
use super::layout::{self, BLOCKS_AT, CHECKSUM_LEN, Foot, HEADERS_AT, Header, Name, Section, Summary};
use super::pages::{self, PAGE_TARGET, PagesWriter};
use super::tables::{BLOCKS_IN_PAGE, BlocksPage, IDS_IN_PAGE, INLINE_MAX, IdsPage, LIST_RUN, PairsWriter, SeriesWriter, put_run};
use crate::error::StoreError;
use crate::files::{File, Files, retry, write_all_at};

/// Bytes gathered before they are written.
const WRITE_LEN: usize = 256 << 10;
/// Bytes after which they are synced.
const SYNC_EVERY: u64 = 1 << 20;
/// A part has at most so many series: their index is held while a part is written, some 250 bytes each.
pub const SERIES_MAX: u32 = 500_000;

/// A chunk with so many samples is long enough to stay as it is.
const CHUNK_KEPT: usize = CHUNK_LEN / 2;

/// What a part is called until it is whole.
const ASIDE: &str = "tmp";

/// A file that is written from its beginning to its end.
struct Out {
    file: Box<dyn File>,
    path: PathBuf,
    held: Vec<u8>,
    written: u64,
}

impl Out {
    fn at(&self) -> u64 {
        self.written + self.held.len() as u64
    }

    fn write(&mut self, bytes: &[u8]) -> Result<(), StoreError> {
        self.held.extend_from_slice(bytes);
        if self.held.len() >= WRITE_LEN { self.flush() } else { Ok(()) }
    }

    fn flush(&mut self) -> Result<(), StoreError> {
        write_all_at(&*self.file, &self.held, self.written).map_err(StoreError::io("write", &self.path))?;
        let before = self.written / SYNC_EVERY;
        self.written += self.held.len() as u64;
        self.held.clear();
        // Little at a time: the log's syncs, for which senders wait, would stand behind all of it else.
        if self.written / SYNC_EVERY > before {
            retry(|| self.file.sync_data()).map_err(StoreError::io("sync", &self.path))?;
        }
        Ok(())
    }
}

/// The values of a name, each with the number of the pair.
type Values = AHashMap<Box<str>, u32>;
/// Names with their values, all sorted.
type SortedPairs = Vec<(Box<str>, Vec<(Box<str>, u32)>)>;

/// Pairs of name and value as they come up.
#[derive(Default)]
struct Pairs {
    names: Vec<(Box<str>, Values)>,
    by_name: AHashMap<Box<str>, u32>,
    count: u32,
}

impl Pairs {
    fn intern(&mut self, name: &str, value: &str) -> u32 {
        let place = match self.by_name.get(name) {
            Some(place) => *place,
            None => {
                let place = self.names.len() as u32;
                self.names.push((name.into(), AHashMap::new()));
                self.by_name.insert(name.into(), place);
                place
            }
        };
        let values = &mut self.names[place as usize].1;
        match values.get(value) {
            Some(pair) => *pair,
            None => {
                let pair = self.count;
                self.count += 1;
                values.insert(value.into(), pair);
                pair
            }
        }
    }

    /// Sorted by name and value: per name its text and its values, each with the number that it had.
    fn sorted(self) -> SortedPairs {
        let mut names: Vec<_> = self
            .names
            .into_iter()
            .map(|(name, values)| {
                let mut values: Vec<_> = values.into_iter().collect();
                values.sort_unstable();
                (name, values)
            })
            .collect();
        names.sort_unstable_by(|one, other| one.0.cmp(&other.0));
        names
    }
}

/// Writes one part. Series come sorted by metric name, then by id; samples of a series in time order, each instant once, all of
/// one day. The file is there under its name, synced, when [`finish`](Self::finish) returns; until a manifest names it, it
/// is nothing.
pub struct PartWriter {
    files: Arc<dyn Files>,
    out: Out,
    path: PathBuf,
    number: u64,
    framed: Vec<u8>,
    block: BlockWriter,
    blocks: Vec<BlockRef>,
    pairs: Pairs,
    ids: Vec<u64>,
    /// Labels of the series as pairs, one after the other.
    labels: Vec<u32>,
    label_ends: Vec<u32>,
    current: Option<Labels>,
    times: Vec<i64>,
    values: Vec<f64>,
    summary: Summary,
    id_end: u64,
}

impl PartWriter {
    /// Begins the part `number` in a folder; `about` says its day, level and what it replaces.
    pub fn new(files: Arc<dyn Files>, dir: &Path, number: u64, about: Summary) -> Result<PartWriter, StoreError> {
        let path = super::path(dir, number);
        let aside = path.with_extension(ASIDE);
        let file = retry(|| files.create(&aside)).map_err(StoreError::io("create", &aside))?;
        // Room for the headers.
        let out = Out { file, path: aside, held: vec![0; BLOCKS_AT as usize], written: 0 };
        Ok(PartWriter {
            files,
            out,
            path,
            number,
            framed: Vec::new(),
            block: BlockWriter::default(),
            blocks: Vec::new(),
            pairs: Pairs::default(),
            ids: Vec::new(),
            labels: Vec::new(),
            label_ends: Vec::new(),
            current: None,
            times: Vec::with_capacity(CHUNK_LEN),
            values: Vec::with_capacity(CHUNK_LEN),
            summary: Summary { first: i64::MAX, last: i64::MIN, series: 0, samples: 0, ..about },
            id_end: 0,
        })
    }

    /// Whether the next series must go into another part.
    pub fn is_full(&self) -> bool {
        self.ids.len() >= SERIES_MAX as usize
    }

    /// Whether it has no sample yet.
    pub fn is_empty(&self) -> bool {
        self.summary.samples == 0
    }

    /// Its number.
    pub fn number(&self) -> u64 {
        self.number
    }

    /// One more than the greatest id that came.
    pub fn id_end(&self) -> u64 {
        self.id_end
    }

    /// Whether the last samples were of this series.
    pub fn is_at(&self, id: u64) -> bool {
        self.ids.last() == Some(&id)
    }

    /// Says which parts are needless when this one is there.
    pub fn replaces(&mut self, numbers: Vec<u64>) {
        self.summary.replaces = numbers;
    }

    /// Adds samples of a series: of the one of the call before, then later ones, or of one that comes behind it.
    pub fn push(&mut self, id: u64, labels: &Labels, times: &[i64], values: &[f64]) -> Result<(), StoreError> {
        assert_eq!(times.len(), values.len(), "a value for each time");
        let (Some(first), Some(last)) = (times.first(), times.last()) else { return Ok(()) };
        if self.ids.last() != Some(&id) || self.current.as_ref() != Some(labels) {
            self.begin_series(id, labels)?;
        }
        self.summary.first = self.summary.first.min(*first);
        self.summary.last = self.summary.last.max(*last);
        self.summary.samples += times.len() as u64;
        let mut begin = 0;
        while begin < times.len() {
            let end = times.len().min(begin + CHUNK_LEN - self.times.len());
            self.times.extend_from_slice(&times[begin..end]);
            self.values.extend_from_slice(&values[begin..end]);
            begin = end;
            if self.times.len() == CHUNK_LEN {
                self.end_chunk()?;
            }
        }
        Ok(())
    }

    /// Adds a chunk of another part as it is, without decoding it. False where that would leave a short chunk before it, or where it is
    /// short itself: then its samples must be [pushed](Self::push).
    pub fn push_encoded(&mut self, id: u64, labels: &Labels, times: &[i64], chunk: Encoded<'_>) -> Result<bool, StoreError> {
        let (Some(first), Some(last)) = (times.first(), times.last()) else { return Ok(true) };
        if !self.is_at(id) {
            self.begin_series(id, labels)?;
        }
        if times.len() < CHUNK_KEPT || (1..CHUNK_KEPT).contains(&self.times.len()) {
            return Ok(false);
        }
        self.end_chunk()?;
        self.summary.first = self.summary.first.min(*first);
        self.summary.last = self.summary.last.max(*last);
        self.summary.samples += times.len() as u64;
        self.block.push_encoded(self.ids.len() as u32 - 1, times, chunk);
        if self.block.is_full() {
            self.end_block()?;
        }
        Ok(true)
    }

    fn begin_series(&mut self, id: u64, labels: &Labels) -> Result<(), StoreError> {
        self.end_chunk()?;
        if let (Some(before), Some(last)) = (&self.current, self.ids.last()) {
            assert!((before.metric(), *last) < (labels.metric(), id), "series come sorted by metric and id");
        }
        let pairs = &mut self.pairs;
        // Neighbours have most of their labels in common: comparing is cheaper than looking up.
        let start = self.label_ends.len().checked_sub(2).map_or(0, |place| self.label_ends[place] as usize);
        let mut before = self.current.as_ref().map(|labels| labels.iter()).into_iter().flatten().zip(start..);
        for (name, value) in labels.iter() {
            let known = before.next().filter(|(pair, _)| *pair == (name, value)).map(|(_, place)| self.labels[place]);
            let pair = known.unwrap_or_else(|| pairs.intern(name, value));
            self.labels.push(pair);
        }
        drop(before);
        self.label_ends.push(self.labels.len() as u32);
        self.ids.push(id);
        self.id_end = self.id_end.max(id.saturating_add(1));
        self.current = Some(labels.clone());
        Ok(())
    }

    fn end_chunk(&mut self) -> Result<(), StoreError> {
        if self.times.is_empty() {
            return Ok(());
        }
        debug_assert!(self.times.windows(2).all(|pair| pair[0] < pair[1]), "times rise");
        self.block.push(self.ids.len() as u32 - 1, &self.times, &self.values);
        self.times.clear();
        self.values.clear();
        if self.block.is_full() { self.end_block() } else { Ok(()) }
    }

    fn end_block(&mut self) -> Result<(), StoreError> {
        let at = self.out.at();
        if let Some(block) = self.block.finish(at, &mut self.framed) {
            layout::seal(self.number, at, &mut self.framed);
            self.out.write(&self.framed)?;
            self.blocks.push(block);
        }
        Ok(())
    }

    /// Writes the rest, syncs and gives the file its name. What it is about, and its length in bytes. Leaves nothing behind on an error.
    pub fn finish(mut self) -> Result<(Summary, u64), StoreError> {
        let done = self.write_rest();
        if done.is_err() {
            self.abandon();
        }
        done
    }

    fn write_rest(&mut self) -> Result<(Summary, u64), StoreError> {
        self.end_chunk()?;
        self.end_block()?;
        self.summary.series = self.ids.len() as u32;
        let index_at = self.out.at();
        let mut foot = Foot { summary: std::mem::take(&mut self.summary), ..Foot::default() };
        let pages = Index { pages: PagesWriter::new(self.number, index_at), framed: Vec::new(), out: &mut self.out };
        let foot_at = pages.write(
            &self.blocks,
            &self.ids,
            &mut self.labels,
            &self.label_ends,
            std::mem::take(&mut self.pairs),
            &mut foot,
        )?;
        let header = self.write_foot(&foot, foot_at)?;
        let path = &self.out.path;
        let header = header.write();
        for at in HEADERS_AT {
            write_all_at(&*self.out.file, &header, at).map_err(StoreError::io("write", path))?;
        }
        retry(|| self.out.file.sync_data()).map_err(StoreError::io("sync", path))?;
        retry(|| self.files.rename(path, &self.path)).map_err(StoreError::io("rename", path))?;
        Ok((foot.summary, self.out.written))
    }

    fn write_foot(&mut self, foot: &Foot, foot_at: u64) -> Result<Header, StoreError> {
        let mut foot_len = 0;
        for _ in HEADERS_AT {
            let at = self.out.at();
            pages::begin(&mut self.framed);
            foot.write(&mut self.framed);
            layout::seal(self.number, at, &mut self.framed);
            foot_len = self.framed.len() as u32;
            self.out.write(&self.framed)?;
        }
        self.out.flush()?;
        Ok(Header { number: self.number, foot_at, foot_len })
    }

    /// Leaves nothing behind.
    pub fn abandon(self) {
        drop(self.out.file);
        let _ = self.files.remove(&self.out.path);
    }
}

/// The index on its way into the file.
struct Index<'a> {
    pages: PagesWriter,
    framed: Vec<u8>,
    out: &'a mut Out,
}

impl Index<'_> {
    /// Says where the index ends.
    fn write(
        mut self,
        blocks: &[BlockRef],
        ids: &[u64],
        labels: &mut [u32],
        label_ends: &[u32],
        pairs: Pairs,
        foot: &mut Foot,
    ) -> Result<u64, StoreError> {
        pages::begin(&mut self.framed);
        for blocks in blocks.chunks(BLOCKS_IN_PAGE) {
            BlocksPage::write(blocks, &mut self.framed);
            self.end_page(Section::Blocks, u64::from(blocks[0].series.0))?;
        }
        let pair_count = pairs.count as usize;
        let names = pairs.sorted();
        let mut rank_of = vec![0; pair_count];
        for (rank, (_, number)) in names.iter().flat_map(|(_, values)| values).enumerate() {
            rank_of[*number as usize] = rank as u32;
        }
        labels.iter_mut().for_each(|pair| *pair = rank_of[*pair as usize]);
        drop(rank_of);
        self.write_series(ids, labels, label_ends)?;
        let mut sorted: Vec<(u64, u32)> = ids.iter().zip(0..).map(|(id, series)| (*id, series)).collect();
        sorted.sort_unstable();
        for ids in sorted.chunks(IDS_IN_PAGE) {
            IdsPage::write(ids, &mut self.framed);
            self.end_page(Section::Ids, ids[0].0)?;
        }
        drop(sorted);
        let lists = Lists::of(pair_count, labels, label_ends);
        let at = self.write_lists(&lists)?;
        self.write_pairs(names, &lists, &at, foot)?;
        let Index { pages, out, .. } = self;
        pages.finish(foot, &mut |bytes| out.write(bytes))
    }

    fn end_page(&mut self, section: Section, key: u64) -> Result<(), StoreError> {
        let out = &mut *self.out;
        self.pages.put(section, key, &mut self.framed, &mut |bytes| out.write(bytes))
    }

    fn is_page_full(&self) -> bool {
        self.framed.len() >= PAGE_TARGET
    }

    fn write_series(&mut self, ids: &[u64], labels: &[u32], label_ends: &[u32]) -> Result<(), StoreError> {
        let (mut writer, mut first, mut begin) = (SeriesWriter::default(), 0, 0);
        for (place, (id, end)) in ids.iter().zip(label_ends).enumerate() {
            writer.push(*id, &labels[begin..*end as usize], &mut self.framed);
            begin = *end as usize;
            if self.is_page_full() {
                self.end_page(Section::Series, first)?;
                (writer, first) = (SeriesWriter::default(), place as u64 + 1);
            }
        }
        self.end_page(Section::Series, first)
    }

    /// Long lists go into pages of their own: page and place of each, by pair.
    fn write_lists(&mut self, lists: &Lists) -> Result<Vec<(u32, u32)>, StoreError> {
        let (mut at, mut page, mut run) = (vec![(0, 0); lists.ends.len()], 0, Vec::new());
        for (pair, at) in at.iter_mut().enumerate() {
            let list = lists.of_pair(pair);
            if inline(list, &mut run) {
                continue;
            }
            *at = (page, (self.framed.len() - CHECKSUM_LEN) as u32);
            for run in list.chunks(LIST_RUN) {
                put_run(run, &mut self.framed);
                if self.is_page_full() {
                    self.end_page(Section::Lists, 0)?;
                    page += 1;
                }
            }
        }
        self.end_page(Section::Lists, 0)?;
        Ok(at)
    }

    fn write_pairs(&mut self, names: SortedPairs, lists: &Lists, at: &[(u32, u32)], foot: &mut Foot) -> Result<(), StoreError> {
        let (mut writer, mut rank, mut first, mut run) = (PairsWriter::default(), 0, 0, Vec::new());
        for (place, (name, values)) in names.into_iter().enumerate() {
            let mut series = 0;
            let first_pair = rank as u32;
            let pairs = values.len() as u32;
            for (value, _) in values {
                let list = lists.of_pair(rank);
                series += list.len() as u32;
                if self.framed.len() == CHECKSUM_LEN {
                    writer.begin();
                    first = rank as u64;
                    foot.first_values.push(value.clone());
                }
                if !inline(list, &mut run) {
                    run.clear();
                }
                writer.push(place as u32, &value, list.len() as u32, &run, at[rank], &mut self.framed);
                rank += 1;
                if self.is_page_full() {
                    self.end_page(Section::Pairs, first)?;
                }
            }
            foot.names.push(Name { text: name, first_pair, pairs, series });
        }
        self.end_page(Section::Pairs, first)
    }
}

/// Whether the list is short enough to stand beside its pair; then it is in `run`.
fn inline(list: &[u32], run: &mut Vec<u8>) -> bool {
    run.clear();
    if list.len() <= LIST_RUN {
        put_run(list, run);
    }
    !run.is_empty() && run.len() <= INLINE_MAX
}

/// The series of each pair.
struct Lists {
    ends: Vec<u32>,
    series: Vec<u32>,
}

impl Lists {
    fn of(pairs: usize, labels: &[u32], label_ends: &[u32]) -> Lists {
        let mut ends = vec![0u32; pairs];
        labels.iter().for_each(|pair| ends[*pair as usize] += 1);
        let mut sum = 0;
        for end in &mut ends {
            // For now where the list begins: filling moves it to where it ends.
            (*end, sum) = (sum, sum + *end);
        }
        let mut series = vec![0; labels.len()];
        let mut begin = 0;
        for (place, end) in (0..).zip(label_ends) {
            for pair in &labels[begin..*end as usize] {
                let at = &mut ends[*pair as usize];
                series[*at as usize] = place;
                *at += 1;
            }
            begin = *end as usize;
        }
        Lists { ends, series }
    }

    fn of_pair(&self, pair: usize) -> &[u32] {
        let begin = if pair == 0 { 0 } else { self.ends[pair - 1] };
        &self.series[begin as usize..self.ends[pair] as usize]
    }
}
