//! Pages of the index: small, each with its checksum, and for every sixteen of them one more that is the XOR of them all, so that
//! one damaged page of the sixteen costs nothing.

use super::layout::{CHECKSUM_LEN, Foot, PageRef, SECTIONS, Section, open, seal};
use crate::error::StoreError;
use crate::files::{ReadAt, read_exact_at};

/// Pages that share a parity page.
pub(super) const GROUP: usize = 16;
/// A page is closed when it is longer than this.
pub(super) const PAGE_TARGET: usize = 2048;
/// A page that says that it is longer is none: one entry can have 128 labels of 16 KiB.
const PAGE_MAX: u32 = 16 << 20;

/// Takes finished pages in the order of the file.
pub(super) struct PagesWriter {
    number: u64,
    at: u64,
    pub sections: [Vec<PageRef>; SECTIONS],
    parity: Vec<Vec<u8>>,
    in_group: usize,
}

impl PagesWriter {
    /// The first page will lie at `at`.
    pub fn new(number: u64, at: u64) -> PagesWriter {
        PagesWriter { number, at, sections: Default::default(), parity: Vec::new(), in_group: 0 }
    }

    /// Ends a page: `framed` holds room for the checksum, then the body; it is left with the room only.
    pub fn put(
        &mut self,
        section: Section,
        key: u64,
        framed: &mut Vec<u8>,
        write: &mut dyn FnMut(&[u8]) -> Result<(), StoreError>,
    ) -> Result<(), StoreError> {
        if framed.len() <= CHECKSUM_LEN {
            return Ok(());
        }
        seal(self.number, self.at, framed);
        self.sections[section as usize].push(PageRef { at: self.at, len: framed.len() as u32, key });
        if self.in_group == 0 {
            self.parity.push(vec![0; CHECKSUM_LEN]);
        }
        self.in_group = (self.in_group + 1) % GROUP;
        let parity = self.parity.last_mut().expect("one was begun");
        mix(parity, framed);
        write(framed)?;
        self.at += framed.len() as u64;
        begin(framed);
        Ok(())
    }

    /// Writes the parity pages and gives all places.
    pub fn finish(mut self, foot: &mut Foot, write: &mut dyn FnMut(&[u8]) -> Result<(), StoreError>) -> Result<u64, StoreError> {
        for mut framed in self.parity {
            seal(self.number, self.at, &mut framed);
            foot.parity.push(PageRef { at: self.at, len: framed.len() as u32, key: 0 });
            write(&framed)?;
            self.at += framed.len() as u64;
        }
        foot.sections = self.sections;
        Ok(self.at)
    }
}

/// Leaves room for the checksum.
pub(super) fn begin(framed: &mut Vec<u8>) {
    framed.clear();
    framed.resize(CHECKSUM_LEN, 0);
}

/// XORs a whole page into the body of the parity.
fn mix(parity: &mut Vec<u8>, page: &[u8]) {
    if parity.len() < CHECKSUM_LEN + page.len() {
        parity.resize(CHECKSUM_LEN + page.len(), 0);
    }
    parity[CHECKSUM_LEN..].iter_mut().zip(page).for_each(|(into, byte)| *into ^= byte);
}

/// What reading a page gave.
pub(super) enum Read {
    /// Its body.
    Good(Vec<u8>),
    /// Its body, made again from its neighbours.
    Restored(Vec<u8>),
    /// It is lost.
    Lost,
}

/// Reads a page's body.
pub(super) fn read(file: &dyn ReadAt, number: u64, foot: &Foot, section: Section, place: usize) -> std::io::Result<Read> {
    let Some(page) = foot.pages(section).get(place) else { return Ok(Read::Lost) };
    let framed = read_framed(file, page);
    if let Ok(Some(framed)) = &framed
        && let Some(body) = open(number, page.at, framed)
    {
        return Ok(Read::Good(body.to_vec()));
    }
    // A place that the disk fails to read is made again like any other.
    match (restore(file, number, foot, section, place), framed) {
        (Ok(Some(restored)), _) => Ok(Read::Restored(restored)),
        (Err(error), _) | (Ok(None), Err(error)) => Err(error),
        (Ok(None), Ok(_)) => Ok(Read::Lost),
    }
}

fn restore(file: &dyn ReadAt, number: u64, foot: &Foot, section: Section, place: usize) -> std::io::Result<Option<Vec<u8>>> {
    let all: Vec<PageRef> = foot.sections.iter().flatten().copied().collect();
    let place = foot.sections[..section as usize].iter().map(Vec::len).sum::<usize>() + place;
    let group = place / GROUP;
    let Some(parity) = foot.parity.get(group) else { return Ok(None) };
    let Some(framed) = read_framed(file, parity)? else { return Ok(None) };
    if open(number, parity.at, &framed).is_none() {
        return Ok(None);
    }
    let mut sum = framed;
    for (other, page) in all.iter().enumerate().skip(group * GROUP).take(GROUP) {
        if other != place {
            let Some(framed) = read_framed(file, page)? else { return Ok(None) };
            mix(&mut sum, &framed);
        }
    }
    let page = &all[place];
    let whole = sum.get(CHECKSUM_LEN..CHECKSUM_LEN + page.len as usize);
    Ok(whole.and_then(|whole| open(number, page.at, whole)).map(<[u8]>::to_vec))
}

/// `None` where the file ends before it.
fn read_framed(file: &dyn ReadAt, page: &PageRef) -> std::io::Result<Option<Vec<u8>>> {
    if page.len > PAGE_MAX {
        return Ok(None);
    }
    let mut framed = vec![0; page.len as usize];
    match read_exact_at(file, &mut framed, page.at) {
        Ok(()) => Ok(Some(framed)),
        Err(error) if error.kind() == std::io::ErrorKind::UnexpectedEof => Ok(None),
        Err(error) => Err(error),
    }
}
