//! Goes through a part from its beginning to its end, chunk by chunk, as merging does: nothing of it goes into the cache, and
//! no more than a block is in memory.

use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

use model::Labels;

use super::block::{Block, BlockRef, Encoded, Entry};
use super::layout::Section;
use super::read::{LabelReader, Text};
use super::tables::SeriesPage;
use super::{Part, Reading};

/// Where a scan stands: at a series, before one of its chunks.
pub struct Scan<'a> {
    part: Reading<'a>,
    names: LabelReader<'a>,
    series: u32,
    page: Option<(usize, Arc<SeriesPage>)>,
    id: Option<u64>,
    /// The pairs that are metric names, from and to, and the one of this series.
    metrics: (u32, u32),
    metric: Text,
    has_metric: bool,
    /// Blocks that were not begun, newest page.
    blocks: std::vec::IntoIter<BlockRef>,
    next_blocks_page: usize,
    block: Option<Block>,
    next_entry: usize,
    /// The one whose times were read last.
    entry: Option<Entry>,
}

impl<'a> Scan<'a> {
    /// Stands at the first series.
    pub fn new(part: &'a Part) -> Scan<'a> {
        let part = part.reading();
        let mut scan = Scan {
            part,
            names: LabelReader::new(part),
            series: 0,
            page: None,
            id: None,
            metrics: part.metrics(),
            metric: Text::default(),
            has_metric: false,
            blocks: Vec::new().into_iter(),
            next_blocks_page: 0,
            block: None,
            next_entry: 0,
            entry: None,
        };
        scan.load_series();
        scan
    }

    /// Metric name and id of the series; `None` at the end.
    pub fn series(&self) -> Option<(&str, u64)> {
        self.id.map(|id| (if self.has_metric { self.metric.value() } else { "" }, id))
    }

    /// Its labels; `None` where the page that holds them is lost.
    pub fn labels(&mut self) -> Option<Labels> {
        let (page, within) = self.place()?;
        self.names.labels(page.pairs(within))
    }

    /// Its number in the part.
    pub fn local(&self) -> u32 {
        self.series
    }

    /// Goes to the next series; chunks of this one that were not read are passed over.
    pub fn advance(&mut self) {
        self.series += 1;
        self.load_series();
    }

    fn load_series(&mut self) {
        self.id = None;
        while self.series < self.part.foot.summary.series {
            self.id = self.read_series();
            if self.id.is_some() {
                return;
            }
            self.series += 1;
        }
    }

    fn place(&mut self) -> Option<(Arc<SeriesPage>, usize)> {
        let part = self.part;
        let pages = part.foot.pages(Section::Series);
        let place = pages.partition_point(|page| page.key <= u64::from(self.series)).checked_sub(1)?;
        if self.page.as_ref().is_none_or(|(have, _)| *have != place) {
            self.page = Some((place, part.series_page(place)?));
        }
        let (_, page) = self.page.as_ref()?;
        let within = (u64::from(self.series) - pages[place].key) as usize;
        (within < page.ids.len()).then(|| (page.clone(), within))
    }

    fn read_series(&mut self) -> Option<u64> {
        let (page, within) = self.place()?;
        let (from, to) = self.metrics;
        let metric = page.pairs(within).iter().find(|pair| (from..to).contains(*pair));
        self.has_metric = metric.is_some();
        if let Some(metric) = metric {
            self.metric.load(self.part, *metric)?;
        }
        Some(page.ids[within])
    }

    /// Puts the times of the series' next chunk into `times`, which is emptied before. False where there is none any more.
    pub fn next_times(&mut self, times: &mut Vec<i64>) -> bool {
        times.clear();
        self.entry = None;
        loop {
            if self.block.is_none() && !self.next_block() {
                return false;
            }
            let Some(block) = &self.block else { return false };
            let Some(entry) = block.entries.get(self.next_entry) else {
                self.block = None;
                continue;
            };
            if entry.series > self.series {
                return false;
            }
            self.next_entry += 1;
            if entry.series < self.series {
                continue;
            }
            if block.read_times(entry, times).is_some() {
                self.entry = Some(*entry);
                return true;
            }
            self.part.losses.blocks.fetch_add(1, Relaxed);
        }
    }

    /// The bytes of the chunk whose times were read last.
    pub fn encoded(&self) -> Option<Encoded<'_>> {
        self.block.as_ref()?.encoded(self.entry.as_ref()?)
    }

    /// Puts the values of the chunk whose times were read last into `values`, which is emptied before. False where they do not decode.
    pub fn values(&mut self, values: &mut Vec<f64>) -> bool {
        values.clear();
        let read = self.block.as_ref().zip(self.entry.as_ref()).and_then(|(block, entry)| block.read_values(entry, values));
        if read.is_none() {
            self.part.losses.blocks.fetch_add(1, Relaxed);
        }
        read.is_some()
    }

    /// Loads the next block that may have something of this series or a later one. False where there is none, or where the
    /// next one is for later series only.
    fn next_block(&mut self) -> bool {
        loop {
            let Some(block) = self.blocks.as_slice().first().copied() else {
                if self.next_blocks_page >= self.part.foot.pages(Section::Blocks).len() {
                    return false;
                }
                let page = self.part.blocks_page(self.next_blocks_page);
                self.next_blocks_page += 1;
                if let Some(page) = page {
                    self.blocks = page.0.clone().into_iter();
                }
                continue;
            };
            if block.series.0 > self.series {
                return false;
            }
            self.blocks.next();
            if block.series.1 < self.series {
                continue;
            }
            self.next_entry = 0;
            self.block = self.part.block(&block, false).and_then(|block| Arc::try_unwrap(block).ok());
            if self.block.is_some() {
                return true;
            }
        }
    }
}
