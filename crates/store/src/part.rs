//! Parts: the history on disk. A part is one file, written once: the samples of many series on one day, with its own symbols, its own
//! table of series and its own inverted index, all in small pieces with a checksum each.
//!
//! Nothing of a part is in memory but its foot (places of pages, names of labels) and what a cache holds within its budget.
//! A read is one positioned read. What is damaged is left out and counted: one page of the index is made again from its
//! neighbours, a block of samples is lost. docs/format.md has the bytes.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};

use model::Labels;

mod block;
mod cache;
mod layout;
mod matching;
mod missed;
mod pages;
mod read;
mod scan;
mod tables;
#[cfg(test)]
mod tests;
mod write;

pub use block::Encoded;
pub use cache::Caches;
pub use layout::Summary;
pub use missed::Missed;
pub use scan::Scan;
pub use write::{PartWriter, SERIES_MAX};

use block::{Block, BlockRef};
use cache::Page;
use layout::{Foot, HEADERS_AT, Header, PageRef, Section};
use missed::Piece;
use tables::{BlocksPage, IdsPage, PairsPage, SeriesPage};

use crate::error::StoreError;
use crate::files::{Files, ReadAt, read_exact_at, retry};

/// A foot that says that it is longer is none.
const FOOT_LEN_MAX: u32 = 256 << 20;

/// The file of a part.
pub(crate) fn path(dir: &Path, number: u64) -> PathBuf {
    dir.join(format!("{number:016x}.part"))
}

/// What reading found damaged, since the start.
#[derive(Debug, Default)]
pub struct Losses {
    /// Blocks of samples that were left out, each time one was asked for.
    pub blocks: AtomicU64,
    /// Pages of an index that were lost, each time one was asked for.
    pub pages: AtomicU64,
    /// Pages of an index that were made again from their neighbours.
    pub restored: AtomicU64,
}

/// A part, open. Stays readable when its file is removed.
pub struct Part {
    file: Box<dyn ReadAt>,
    path: PathBuf,
    number: u64,
    len: u64,
    foot: Foot,
    caches: Arc<Caches>,
    losses: Arc<Losses>,
    failures: AtomicU64,
    damaged: AtomicBool,
}

impl std::fmt::Debug for Part {
    fn fmt(&self, to: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(to, "part {:x} of day {}", self.number, self.foot.summary.day)
    }
}

/// Why a part could not be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// Neither header or neither foot is whole, or the file is missing.
    #[error("`{0}` is damaged or missing")]
    Damaged(PathBuf),
    /// The disk failed, or a newer program wrote it.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl Part {
    /// Opens the part `number` of a folder.
    pub fn open(files: &dyn Files, dir: &Path, number: u64, caches: Arc<Caches>, losses: Arc<Losses>) -> Result<Part, OpenError> {
        let path = path(dir, number);
        let file = match retry(|| files.open_read(&path)) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Err(OpenError::Damaged(path)),
            opened => opened.map_err(StoreError::io("open", &path))?,
        };
        let len = retry(|| file.len()).map_err(StoreError::io("measure", &path))?;
        let (mut foot, mut failed) = (None, None);
        for at in HEADERS_AT {
            let mut bytes = [0; 64];
            let Some(()) = read_or_end(&*file, &mut bytes, at, &path, &mut failed) else { continue };
            let Some(header) = Header::read(&bytes, &path)?.filter(|header| header.number == number) else { continue };
            foot = read_foot(&*file, &header, len, &path, &mut failed);
            if foot.is_some() {
                break;
            }
        }
        let Some(foot) = foot else { return Err(failed.map_or(OpenError::Damaged(path), OpenError::Store)) };
        Ok(Part { file, path, number, len, foot, caches, losses, failures: AtomicU64::new(0), damaged: AtomicBool::new(false) })
    }

    /// Its number: given once in a store's life.
    pub fn number(&self) -> u64 {
        self.number
    }

    /// What it is about.
    pub fn summary(&self) -> &Summary {
        &self.foot.summary
    }

    /// Bytes on the disk.
    pub fn len(&self) -> u64 {
        self.len
    }

    /// Whether it has no series.
    pub fn is_empty(&self) -> bool {
        self.foot.summary.series == 0
    }

    /// Reads of this part that the disk failed, since it was opened: what they asked for was left out.
    pub fn failures(&self) -> u64 {
        self.failures.load(Relaxed)
    }

    /// Whether something of it was asked for since it was opened that could not be read.
    pub fn is_damaged(&self) -> bool {
        self.damaged.load(Relaxed)
    }

    /// To read it.
    pub fn reading(&self) -> Reading<'_> {
        Reading { part: self, missed: None }
    }

    /// To read it for somebody who is to know what he misses.
    pub fn reading_for<'a>(&'a self, missed: &'a Missed) -> Reading<'a> {
        Reading { part: self, missed: Some(missed) }
    }

    fn failed(&self, error: &std::io::Error) {
        self.failures.fetch_add(1, Relaxed);
        tracing::error!(path = %self.path.display(), %error, "read a part");
    }

    /// Bytes in memory, without what the caches hold.
    pub fn bytes(&self) -> usize {
        let pages: usize = self.foot.sections.iter().map(Vec::len).sum::<usize>() + self.foot.parity.len();
        let texts: usize =
            self.foot.first_values.iter().chain(self.foot.names.iter().map(|name| &name.text)).map(|text| text.len() + 16).sum();
        pages * size_of::<PageRef>() + texts + self.foot.names.len() * 16
    }

    /// From where to where its index lies.
    #[cfg(test)]
    pub fn index_range(&self) -> (u64, u64) {
        let pages = || self.foot.sections.iter().flatten().chain(&self.foot.parity);
        let end = pages().map(|page| page.at + u64::from(page.len)).max().unwrap_or(0);
        (pages().map(|page| page.at).min().unwrap_or(end), end)
    }

    /// Where it lies.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The page, where it is in the cache.
    fn cached_pairs(&self, place: usize) -> Option<Arc<PairsPage>> {
        match self.caches.pages.get(self.page_key(Section::Pairs, place)) {
            Some(Page::Pairs(page)) => Some(page),
            _ => None,
        }
    }

    fn page_key(&self, section: Section, place: usize) -> cache::Key {
        let before: usize = self.foot.sections[..section as usize].iter().map(Vec::len).sum();
        (self.number, (before + place) as u64)
    }
}

/// A part as one reader sees it: what he misses is noted for him, too.
#[derive(Clone, Copy)]
pub struct Reading<'a> {
    part: &'a Part,
    missed: Option<&'a Missed>,
}

impl std::ops::Deref for Reading<'_> {
    type Target = Part;

    fn deref(&self) -> &Part {
        self.part
    }
}

impl<'a> Reading<'a> {
    fn lost_block(&self, at: u64) {
        self.losses.blocks.fetch_add(1, Relaxed);
        self.note(Piece::Block(at));
    }

    fn lost_page(&self, section: Section, place: Option<usize>) {
        self.losses.pages.fetch_add(1, Relaxed);
        self.note(Piece::Page(section as u8, place));
    }

    fn note(&self, piece: Piece) {
        self.damaged.store(true, Relaxed);
        if let Some(missed) = self.missed {
            missed.note(self.foot.summary.day, self.number, piece);
        }
    }

    fn page<T>(
        &self,
        section: Section,
        place: usize,
        take: impl Fn(Page) -> Option<Arc<T>>,
        decode: impl Fn(Vec<u8>) -> Option<T>,
        wrap: impl Fn(Arc<T>) -> Page,
    ) -> Option<Arc<T>> {
        let key = self.page_key(section, place);
        if let Some(page) = self.caches.pages.get(key) {
            return take(page);
        }
        let Some(page) = self.body(section, place).and_then(decode) else {
            self.lost_page(section, Some(place));
            return None;
        };
        let page = Arc::new(page);
        self.caches.put_page(key, &wrap(page.clone()));
        Some(page)
    }

    /// The body of a page as it is in the file.
    fn body(&self, section: Section, place: usize) -> Option<Vec<u8>> {
        match pages::read(&*self.file, self.number, &self.foot, section, place) {
            Ok(pages::Read::Good(body)) => Some(body),
            Ok(pages::Read::Restored(body)) => {
                self.losses.restored.fetch_add(1, Relaxed);
                Some(body)
            }
            Ok(pages::Read::Lost) => None,
            Err(error) => {
                self.failed(&error);
                None
            }
        }
    }

    fn blocks_page(&self, place: usize) -> Option<Arc<BlocksPage>> {
        let take = |page| if let Page::Blocks(page) = page { Some(page) } else { None };
        self.page(Section::Blocks, place, take, |body| BlocksPage::read(&body), Page::Blocks)
    }

    fn series_page(&self, place: usize) -> Option<Arc<SeriesPage>> {
        let take = |page| if let Page::Series(page) = page { Some(page) } else { None };
        self.page(Section::Series, place, take, |body| SeriesPage::read(&body), Page::Series)
    }

    fn ids_page(&self, place: usize) -> Option<Arc<IdsPage>> {
        let take = |page| if let Page::Ids(page) = page { Some(page) } else { None };
        self.page(Section::Ids, place, take, |body| IdsPage::read(&body), Page::Ids)
    }

    fn pairs_page(&self, place: usize) -> Option<Arc<PairsPage>> {
        let take = |page| if let Page::Pairs(page) = page { Some(page) } else { None };
        self.page(Section::Pairs, place, take, |body| PairsPage::read(&body), Page::Pairs)
    }

    fn lists_page(&self, place: usize) -> Option<Arc<Vec<u8>>> {
        let take = |page| if let Page::Lists(page) = page { Some(page) } else { None };
        self.page(Section::Lists, place, take, Some, Page::Lists)
    }

    /// The block, where it is not damaged. `keep` puts it into the cache, for the neighbours that come next.
    fn block(&self, block: &BlockRef, keep: bool) -> Option<Arc<Block>> {
        let key = (self.number, block.at);
        if keep && let Some(found) = self.caches.blocks.get(key) {
            return Some(found);
        }
        // What a damaged index says is not believed: blocks are small.
        let parsed = (block.len <= 1 << 20).then(|| {
            let mut framed = vec![0; block.len as usize];
            match read_exact_at(&*self.file, &mut framed, block.at) {
                Err(error) if error.kind() != std::io::ErrorKind::UnexpectedEof => self.failed(&error),
                _ => {}
            }
            layout::open(self.number, block.at, &framed)?;
            Block::parse(framed)
        });
        let Some(parsed) = parsed.flatten() else {
            self.lost_block(block.at);
            return None;
        };
        let parsed = Arc::new(parsed);
        if keep {
            self.caches.put_block(key, &parsed);
        }
        Some(parsed)
    }

    /// One more than the greatest id of a series in it; 0 where that is not readable.
    pub fn id_end(&self) -> u64 {
        let last = self.foot.pages(Section::Ids).len().checked_sub(1).and_then(|place| self.ids_page(place));
        last.and_then(|page| page.ids.last().map(|id| id.saturating_add(1))).unwrap_or(0)
    }

    /// The labels of a series; `None` where the page that holds them is lost.
    pub fn labels(&self, series: u32) -> Option<Labels> {
        self.labels_of(&[series]).next()?.map(|(_, labels)| labels)
    }

    /// The global id of a series.
    pub fn id(&self, series: u32) -> Option<u64> {
        let (page, place) = self.series_place(series)?;
        page.ids.get(place).copied()
    }

    fn series_place(&self, series: u32) -> Option<(Arc<SeriesPage>, usize)> {
        let pages = self.foot.pages(Section::Series);
        let place = pages.partition_point(|page| page.key <= u64::from(series)).checked_sub(1)?;
        let within = (u64::from(series) - pages[place].key) as usize;
        let page = self.series_page(place)?;
        (within < page.ids.len()).then_some((page, within))
    }

    /// The series with a global id.
    pub fn find(&self, id: u64) -> Option<u32> {
        let pages = self.foot.pages(Section::Ids);
        let place = pages.partition_point(|page| page.key <= id).checked_sub(1)?;
        let page = self.ids_page(place)?;
        let place = page.ids.binary_search(&id).ok()?;
        page.series.get(place).copied()
    }

    /// Id and labels of each of these series, which should be sorted; `None` for each whose page is lost.
    pub fn labels_of<'s>(self, series: &'s [u32]) -> impl Iterator<Item = Option<(u64, Labels)>> + use<'a, 's> {
        let mut names = read::LabelReader::new(self);
        series.iter().map(move |series| {
            let (page, place) = self.series_place(*series)?;
            Some((page.ids[place], names.labels(page.pairs(place))?))
        })
    }
}

/// `None` where the file ends before, and where the disk fails to read: there may be another copy. The failure is kept in `failed`.
fn read_or_end(file: &dyn ReadAt, into: &mut [u8], at: u64, path: &Path, failed: &mut Option<StoreError>) -> Option<()> {
    match read_exact_at(file, into, at) {
        Ok(()) => Some(()),
        Err(error) if error.kind() == std::io::ErrorKind::UnexpectedEof => None,
        Err(error) => {
            *failed = Some(StoreError::io("read", path)(error));
            None
        }
    }
}

fn read_foot(file: &dyn ReadAt, header: &Header, len: u64, path: &Path, failed: &mut Option<StoreError>) -> Option<Foot> {
    (0..2).find_map(|copy| {
        let at = header.foot_at.saturating_add(copy * u64::from(header.foot_len));
        if header.foot_len > FOOT_LEN_MAX || at.saturating_add(u64::from(header.foot_len)) > len {
            return None;
        }
        let mut framed = vec![0; header.foot_len as usize];
        read_or_end(file, &mut framed, at, path, failed)?;
        layout::open(header.number, at, &framed).and_then(Foot::read)
    })
}
