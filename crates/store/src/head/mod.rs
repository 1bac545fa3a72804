//! What is in memory: every live series, found by the hash of its key, by its number, and by its labels.
//!
//! One lock covers the directory: appending and reading take it for reading, making series for writing, a thousand at most at a time.
//! The samples lie in slabs, each with a lock of its own. Numbers rise and are never given twice; series made together have
//! numbers in a row, so a sender that sends them in the same order again finds the next one beside the last.

mod arena;
mod cells;
mod postings;
pub(crate) mod slab;

use std::collections::HashMap;
use std::collections::VecDeque;
use std::hash::{BuildHasherDefault, Hasher};
use std::sync::{Mutex, MutexGuard, PoisonError, TryLockError};

use ahash::{AHashMap, AHashSet};
use model::Labels;
use model::intake::{KeyHash, KeySecret, Protocol};
use query::source::Matcher;

use crate::intake::Reason;
use cells::Cells;
use postings::Postings;
use slab::{SERIES, Slab};

/// From so many latest new series it is judged which label is to blame for too many.
const RECENT_LEN: usize = 1_000;

/// After so many more new series it is judged again: that goes over [`RECENT_LEN`] of them, and senders wait meanwhile.
const BLAME_EVERY: usize = 2 * RECENT_LEN;
/// What a series takes beside its labels, measured with the samples of one flush: slab, table, lists of the index.
const FIXED_BYTES: u64 = 600;

/// About what a series takes in memory: its labels once in its name, and once in the index where no other has their values.
fn bytes_of(labels: &Labels) -> u64 {
    FIXED_BYTES + 2 * labels.key().len() as u64
}

/// A key's hash is one already.
#[derive(Default)]
pub(crate) struct Upper(u64);

impl Hasher for Upper {
    fn finish(&self) -> u64 {
        self.0
    }
    fn write(&mut self, _: &[u8]) {}
    fn write_u64(&mut self, value: u64) {
        self.0 = value;
    }
}

/// The hash of a key as a key of a map: equal only where all 128 bits are.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Key(KeyHash);

impl std::hash::Hash for Key {
    fn hash<H: Hasher>(&self, state: &mut H) {
        state.write_u64(self.0.hi);
    }
}

/// 64 series.
pub(crate) struct Cell {
    labels: [Option<Labels>; SERIES],
    live: u8,
    slab: Mutex<Slab>,
}

impl Cell {
    pub fn slab(&self) -> MutexGuard<'_, Slab> {
        self.slab.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The same where nobody else holds it.
    pub fn try_slab(&self) -> Option<MutexGuard<'_, Slab>> {
        match self.slab.try_lock() {
            Ok(slab) => Some(slab),
            Err(TryLockError::Poisoned(slab)) => Some(slab.into_inner()),
            Err(TryLockError::WouldBlock) => None,
        }
    }

    /// Brings the slab's lock near. What it says means nothing.
    #[inline]
    pub fn touch(&self) -> bool {
        self.slab.is_poisoned()
    }

    /// The live series: place and labels.
    pub fn series(&self) -> impl Iterator<Item = (usize, &Labels)> {
        self.labels.iter().enumerate().filter_map(|(place, labels)| Some((place, labels.as_ref()?)))
    }
}

/// How many series there may be.
#[derive(Clone, Debug)]
pub(crate) struct Limits {
    pub series: usize,
    pub bytes: u64,
    pub per_source: usize,
    pub source_label: String,
}

/// All live series.
pub(crate) struct Head {
    table: HashMap<Key, u64, BuildHasherDefault<Upper>>,
    cells: Cells,
    pub postings: Postings,
    pub next_id: u64,
    live: usize,
    /// What the live series take in memory, as [`bytes_of`] counts.
    bytes: u64,
    per_source: AHashMap<Box<str>, usize>,
    recent: VecDeque<Labels>,
    /// Who was to blame, and how many were new since.
    blamed: Option<String>,
    since_blamed: usize,
}

/// The cell of a series' number.
pub(crate) fn cell_of(id: u64) -> usize {
    (id / SERIES as u64) as usize
}

/// The place in its cell.
pub(crate) fn place_of(id: u64) -> usize {
    (id % SERIES as u64) as usize
}

impl Head {
    pub fn new(next_id: u64) -> Head {
        Head {
            table: HashMap::default(),
            cells: Cells::default(),
            postings: Postings::default(),
            next_id,
            live: 0,
            bytes: 0,
            per_source: AHashMap::new(),
            recent: VecDeque::new(),
            blamed: None,
            since_blamed: 0,
        }
    }

    /// How many series.
    pub fn len(&self) -> usize {
        self.live
    }

    /// The number of the series with this key.
    #[inline]
    pub fn find(&self, key: KeyHash) -> Option<u64> {
        self.table.get(&Key(key)).copied()
    }

    #[inline]
    pub fn cell(&self, cell: usize) -> Option<&Cell> {
        self.cells.get(cell)
    }

    /// Its slab, to work on with no lock where there is only one owner.
    pub fn slab_mut(&mut self, id: u64) -> Option<&mut Slab> {
        let cell = self.cells.get_mut(cell_of(id))?;
        cell.labels[place_of(id)].as_ref()?;
        Some(cell.slab.get_mut().unwrap_or_else(PoisonError::into_inner))
    }

    pub fn cells(&self) -> impl Iterator<Item = (usize, &Cell)> {
        self.cells.iter()
    }

    pub fn labels(&self, id: u64) -> Option<&Labels> {
        self.cell(cell_of(id))?.labels[place_of(id)].as_ref()
    }

    /// All live series: number and labels.
    pub fn series(&self) -> impl Iterator<Item = (u64, &Labels)> {
        self.cells().flat_map(|(at, cell)| cell.series().map(move |(place, labels)| ((at * SERIES + place) as u64, labels)))
    }

    /// Another way to write the key of a known series.
    pub fn alias(&mut self, key: KeyHash, id: u64) {
        self.table.insert(Key(key), id);
    }

    /// Makes a series with the next number, or says why not.
    pub fn create(&mut self, key: KeyHash, by_labels: KeyHash, labels: Labels, limits: &Limits) -> Result<u64, Reason> {
        if self.recent.len() >= RECENT_LEN {
            self.recent.pop_front();
        }
        self.recent.push_back(labels.clone());
        self.since_blamed += 1;
        let source = labels.get(&limits.source_label);
        let of_source = source.and_then(|source| self.per_source.get(source)).copied().unwrap_or(0);
        if of_source >= limits.per_source {
            let named = format!("{}={}", limits.source_label, source.unwrap_or_default());
            return Err(Reason::TooManySeries { blame: String::new(), limit: limits.per_source, source: Some(named) });
        }
        if self.live >= limits.series {
            return Err(Reason::TooManySeries { blame: String::new(), limit: limits.series, source: None });
        }
        if self.bytes + bytes_of(&labels) > limits.bytes {
            return Err(Reason::NoMemory { blame: String::new(), series: self.live, limit_bytes: limits.bytes });
        }
        let id = self.next_id;
        self.next_id += 1;
        self.insert(id, by_labels, labels, limits);
        if key != by_labels {
            self.alias(key, id);
        }
        if let Some(slab) = self.slab_mut(id) {
            slab.begin(place_of(id), key);
        }
        Ok(id)
    }

    /// Takes a series in under its number.
    pub fn insert(&mut self, id: u64, by_labels: KeyHash, labels: Labels, limits: &Limits) {
        let cell = cell_of(id);
        let empty = || Box::new(Cell { labels: [const { None }; SERIES], live: 0, slab: Mutex::new(Slab::new(cell)) });
        let cell = self.cells.get_or_make(cell, empty);
        if cell.labels[place_of(id)].is_some() {
            return;
        }
        cell.slab.get_mut().unwrap_or_else(PoisonError::into_inner).begin(place_of(id), by_labels);
        cell.labels[place_of(id)] = Some(labels.clone());
        cell.live += 1;
        self.live += 1;
        self.bytes += bytes_of(&labels);
        self.next_id = self.next_id.max(id + 1);
        if let Some(source) = labels.get(&limits.source_label) {
            match self.per_source.get_mut(source) {
                Some(count) => *count += 1,
                None => drop(self.per_source.insert(source.into(), 1)),
            }
        }
        self.postings.insert(id, &labels);
        self.table.insert(Key(by_labels), id);
    }

    /// Forgets series that have nothing in memory.
    pub fn retire(&mut self, gone: &AHashSet<u64>, secret: &KeySecret, limits: &Limits) {
        if gone.is_empty() {
            return;
        }
        for &id in gone {
            let Some(cell) = self.cells.get_mut(cell_of(id)) else { continue };
            let Some(labels) = cell.labels[place_of(id)].take() else { continue };
            let slab = cell.slab.get_mut().unwrap_or_else(PoisonError::into_inner);
            let key = slab.key(place_of(id));
            slab.end(place_of(id));
            cell.live -= 1;
            if cell.live == 0 {
                self.cells.remove(cell_of(id));
            }
            self.live -= 1;
            self.bytes -= bytes_of(&labels);
            self.table.remove(&Key(key));
            self.table.remove(&Key(secret.hash(Protocol::Labels, labels.key().as_bytes())));
            if let Some(source) = labels.get(&limits.source_label)
                && let Some(count) = self.per_source.get_mut(source)
            {
                *count -= 1;
                if *count == 0 {
                    self.per_source.remove(source);
                }
            }
            self.postings.remove(id, &labels);
        }
        // Other spellings of a key that is gone.
        self.table.retain(|_, id| !gone.contains(id));
        self.postings.sweep();
    }

    /// The label with most different values among the latest new series.
    pub fn blame(&mut self) -> String {
        let is_sure = self.since_blamed < BLAME_EVERY && self.recent.len() == RECENT_LEN;
        if let Some(blamed) = self.blamed.as_ref().filter(|_| is_sure) {
            return blamed.clone();
        }
        let blame = self.judge();
        self.blamed = Some(blame.clone());
        self.since_blamed = 0;
        blame
    }

    fn judge(&self) -> String {
        let mut values: AHashMap<&str, AHashSet<&str>> = AHashMap::new();
        for (name, value) in self.recent.iter().flat_map(Labels::iter) {
            values.entry(name).or_default().insert(value);
        }
        let most = values.into_iter().max_by(|a, b| (a.1.len(), b.0).cmp(&(b.1.len(), a.0)));
        most.map_or_else(String::new, |(name, _)| name.to_owned())
    }

    /// The numbers of the series that fit all matchers, rising.
    pub fn matching(&self, matchers: &[Matcher]) -> Vec<u64> {
        self.postings.matching(matchers, self)
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use model::intake::KEY_SECRET_LEN;
    use query::source::MatchOp;

    /// Series `up` with their number as a label.
    pub(crate) fn insert(head: &mut Head, ids: impl IntoIterator<Item = u64>) -> (KeySecret, Limits) {
        let secret = KeySecret::new([7; KEY_SECRET_LEN]);
        let limits = Limits { series: 1_000, bytes: u64::MAX, per_source: 1_000, source_label: "instance".into() };
        for id in ids {
            let labels = Labels::new([("__name__", "up"), ("pod", &format!("{id}"))]).unwrap();
            head.insert(id, secret.hash(Protocol::Labels, labels.key().as_bytes()), labels, &limits);
        }
        (secret, limits)
    }

    /// Years of series that came and went: numbers beyond 32 bits beside one that has been there from the beginning.
    #[test]
    fn numbers_rise_beyond_four_billion_and_take_no_room() {
        let mut head = Head::new(0);
        let last = 3 * (1 << 32) + 5;
        let (secret, limits) = insert(&mut head, [3, (1 << 32) - 1, 1 << 32, (1 << 32) + 3, last]);
        let all = head.matching(&[Matcher::new("__name__", MatchOp::Equal, "up").unwrap()]);
        assert_eq!(all, [3, (1 << 32) - 1, 1 << 32, (1 << 32) + 3, last]);
        assert!(all.iter().all(|id| head.labels(*id).is_some_and(|labels| labels.get("pod") == Some(&id.to_string()))));
        assert_eq!(head.cells().map(|(cell, _)| cell as u64).collect::<Vec<_>>(), [0, (1 << 26) - 1, 1 << 26, 3 << 26]);
        head.retire(&AHashSet::from_iter([(1 << 32) - 1, 1 << 32]), &secret, &limits);
        assert_eq!(head.matching(&[Matcher::new("pod", MatchOp::Regex, ".+").unwrap()]), [3, (1 << 32) + 3, last]);
        assert_eq!((head.len(), head.next_id), (3, last + 1));
    }
}
