//! A batch on its way in: find or make each series, judge each time, put the sample into the head, the record into line.
//!
//! A known series is found by the hash of its raw key: beside the one before it, where the sender keeps its order, else in the
//! table. Senders share only the directory's lock, for reading. A record gets in line after its samples are in memory: so all
//! records below a position that a flush takes are in what it then freezes.

use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

use ahash::{AHashMap, AHashSet};
use model::intake::{KeyHash, LabelsFault, Protocol, RawRow, Rows};
use model::{Labels, Time};
use query::source::SeriesRef;

use crate::commit::Commit;
use crate::error::StoreError;
use crate::head::slab::{Placed, SERIES, Slab};
use crate::head::{Cell, Head, cell_of, place_of};
use crate::record::{self, Row};
use crate::store::Inner;

/// How many refused samples of a batch are named.
pub const REFUSED_EXAMPLES_MAX: usize = 8;
/// So many series are made before the other senders get their turn.
const CREATE_AT_ONCE: usize = 512;

/// What became of a batch.
#[must_use = "the batch is on the disk only when the commit says so"]
pub struct Appended {
    /// How many samples were taken.
    pub accepted: usize,
    /// The samples of watched series ([`Store::watch`](crate::Store::watch)) and of new ones, in the order of the batch.
    pub touched: Vec<Touched>,
    /// Those of them that were not there before.
    pub new_series: Vec<(SeriesRef, Labels)>,
    /// What was not taken, and why.
    pub refused: Refused,
    /// Says when the batch is on the disk.
    pub commit: Commit,
    /// What is to be done in memory, when nobody waits any more.
    pub unsealed: Unsealed,
}

/// Series that have so many open samples that they are to be sealed, which is done when this is dropped. It takes about a third as
/// long as putting the batch did, so drop it behind the answer.
#[must_use = "dropped at once, it is done before the answer"]
#[derive(Default)]
pub struct Unsealed {
    inner: Option<Arc<Inner>>,
    cells: Vec<usize>,
}

impl Unsealed {
    /// Whether there is anything to do.
    pub fn is_empty(&self) -> bool {
        self.cells.is_empty()
    }
}

impl Drop for Unsealed {
    fn drop(&mut self) {
        let Some(inner) = self.inner.take() else { return };
        let head = inner.head();
        self.cells.iter().filter_map(|cell| head.cell(*cell)).for_each(|cell| cell.slab().seal_full());
    }
}

/// A sample of a watched series.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Touched {
    /// Which series.
    pub series: SeriesRef,
    /// The sample's time.
    pub time: Time,
    /// The sample's value; staleness markers are told too.
    pub value: f64,
    /// Not the newest of its series: it came late, or overwrote.
    pub late: bool,
}

/// Why a sample was not taken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reason {
    /// Older than the store keeps.
    TooOld,
    /// Older than the newest of its series by more than the out-of-order window.
    OutOfOrder,
    /// Too far in the future.
    InFuture,
    /// Its raw key makes no labels: a sentence with the place.
    BadKey(String),
    /// Too many series; `blame` is the label with most different values among the latest new series.
    TooManySeries {
        /// The label's name.
        blame: String,
        /// How many are allowed.
        limit: usize,
        /// The sender whose share is used up, as `label=value`; `None` where the whole store is full.
        source: Option<String>,
    },
    /// The series take all memory that they may.
    NoMemory {
        /// The label's name, as in [`TooManySeries`](Self::TooManySeries).
        blame: String,
        /// How many there are.
        series: usize,
        /// What they may take.
        limit_bytes: u64,
    },
}

impl Reason {
    /// Whether there is no room for another series. Known ones are taken on.
    pub fn is_no_room(&self) -> bool {
        matches!(self, Reason::TooManySeries { .. } | Reason::NoMemory { .. })
    }

    fn blame(&mut self, label: &str) {
        if let Reason::TooManySeries { blame, .. } | Reason::NoMemory { blame, .. } = self {
            label.clone_into(blame);
        }
    }
}

impl std::fmt::Display for Reason {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Reason::TooOld => f.write_str("older than the store keeps"),
            Reason::OutOfOrder => f.write_str("behind the newest sample of its series by more than the out-of-order window"),
            Reason::InFuture => f.write_str("too far in the future: is the sender's clock right?"),
            Reason::BadKey(why) => f.write_str(why),
            Reason::TooManySeries { blame, limit, source: None } => {
                write!(f, "the store holds {limit} series, the limit; most new values come from the label `{blame}`")
            }
            Reason::TooManySeries { blame, limit, source: Some(source) } => {
                write!(f, "{source} has {limit} series, the limit; most new values come from the label `{blame}`")
            }
            Reason::NoMemory { blame, series, limit_bytes } => {
                let limit = limit_bytes >> 20;
                write!(
                    f,
                    "the store's {series} series take {limit} MiB, the limit; most new values come from the label `{blame}`"
                )
            }
        }
    }
}

/// One refused sample.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RefusedRow {
    /// Its place in the batch, from 0.
    pub row: usize,
    /// Its series, as PromQL writes it.
    pub series: String,
    /// Why.
    pub reason: Reason,
}

/// What was not taken of a batch, or of all batches so far.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Refused {
    /// See [`Reason::TooOld`].
    pub too_old: u64,
    /// See [`Reason::OutOfOrder`].
    pub out_of_order: u64,
    /// See [`Reason::InFuture`].
    pub in_future: u64,
    /// See [`Reason::BadKey`].
    pub bad_key: u64,
    /// See [`Reason::is_no_room`].
    pub too_many_series: u64,
    /// The first few; of all batches: those of the last one that had any.
    pub examples: Vec<RefusedRow>,
}

impl Refused {
    /// How many samples.
    pub fn total(&self) -> u64 {
        self.too_old + self.out_of_order + self.in_future + self.bad_key + self.too_many_series
    }

    fn note(&mut self, row: usize, labels: impl FnOnce() -> Result<Labels, LabelsFault>, reason: Reason) {
        match reason {
            Reason::TooOld => self.too_old += 1,
            Reason::OutOfOrder => self.out_of_order += 1,
            Reason::InFuture => self.in_future += 1,
            Reason::BadKey(_) => self.bad_key += 1,
            Reason::TooManySeries { .. } | Reason::NoMemory { .. } => self.too_many_series += 1,
        }
        if self.examples.len() < REFUSED_EXAMPLES_MAX {
            let series = labels().map_or_else(|_| "?".to_owned(), |labels| labels.to_string());
            self.examples.push(RefusedRow { row, series, reason });
        }
    }

    pub(crate) fn add(&mut self, other: &Refused) {
        self.too_old += other.too_old;
        self.out_of_order += other.out_of_order;
        self.in_future += other.in_future;
        self.bad_key += other.bad_key;
        self.too_many_series += other.too_many_series;
        if !other.examples.is_empty() {
            self.examples.clone_from(&other.examples);
        }
    }
}

/// What becomes of a batch while it goes in.
struct Going<'a> {
    batch: &'a dyn Rows,
    rows: &'a [RawRow],
    received: Time,
    oldest: i64,
    future: i64,
    window: i64,
    taken: Vec<Row>,
    touched: Vec<Touched>,
    refused: Refused,
    newest: i64,
    risen: u64,
    tell_all: bool,
    /// Cells with full series.
    full: Vec<usize>,
}

impl Going<'_> {
    /// Puts rows from `at` on, as long as they are of one slab and in the order of its series, or of the same one again. The first is of
    /// `id`; gives where it ended, and the series of the last.
    fn place_run(&mut self, head: &Head, slab: &mut Slab, mut at: usize, mut id: u64) -> (usize, u64) {
        let rows = self.rows;
        loop {
            let row = &rows[at];
            if self.judge(at) {
                self.place(head, slab, at, id);
            }
            at += 1;
            match rows.get(at) {
                Some(next) if next.key == row.key => {}
                Some(next) if cell_of(id + 1) == cell_of(id) && slab.key(place_of(id + 1)) == next.key => id += 1,
                _ => break,
            }
        }
        if slab.is_full() {
            self.full.push(cell_of(id));
        }
        (at, id)
    }

    #[inline]
    fn place(&mut self, head: &Head, slab: &mut Slab, at: usize, id: u64) {
        let row = &self.rows[at];
        let (time, place) = (row.time.0, place_of(id));
        let last = slab.last(place);
        if time < last && time < last.saturating_sub(self.window) {
            let labels = head.labels(id).cloned().ok_or_else(|| LabelsFault("gone".into()));
            self.refused.note(at, || labels, Reason::OutOfOrder);
            return;
        }
        let placed = slab.put(place, time, row.value);
        self.risen += u64::from(placed != Placed::Replaced);
        if self.tell_all || slab.is_watched(place) {
            let late = placed != Placed::Newest;
            self.touched.push(Touched { series: SeriesRef(id), time: row.time, value: row.value, late });
        }
        self.newest = self.newest.max(time);
        self.taken.push(Row { series: id, time, value: row.value });
    }

    /// Whether the time of a row can be taken at all.
    #[inline]
    fn judge(&mut self, at: usize) -> bool {
        let time = self.rows[at].time.0;
        time <= self.future && time >= self.oldest || self.refuse_time(at)
    }

    #[cold]
    fn refuse_time(&mut self, at: usize) -> bool {
        let reason = if self.rows[at].time.0 > self.future { Reason::InFuture } else { Reason::TooOld };
        let batch = self.batch;
        self.refused.note(at, || batch.labels(at), reason);
        false
    }
}

/// A series that a batch names and nobody knows.
struct Unknown {
    key: KeyHash,
    by_labels: KeyHash,
    labels: Result<Labels, LabelsFault>,
}

impl Inner {
    pub(crate) fn append(self: &Arc<Inner>, rows: &dyn Rows, received: Time) -> Result<Appended, StoreError> {
        self.log.admit(received).inspect_err(|error| {
            if matches!(error, StoreError::Full | StoreError::ReadOnly { .. }) {
                self.tidy_for_room(received);
            }
        })?;
        self.received.store(received.0, Relaxed);
        let options = &self.options;
        let mut going = Going {
            batch: rows,
            rows: rows.rows(),
            received,
            oldest: self.cutoff(received),
            future: (received + options.future_max).0,
            window: options.out_of_order.as_micros() as i64,
            taken: self.rows_pool.take(),
            touched: Vec::new(),
            refused: Refused::default(),
            newest: i64::MIN,
            risen: 0,
            tell_all: self.watches_all.load(Relaxed),
            full: Vec::new(),
        };
        going.taken.reserve(going.rows.len());
        let unknown = self.place_known(&mut going);
        let new_series = if unknown.is_empty() { Vec::new() } else { self.place_unknown(&mut going, &unknown) };
        self.newest.fetch_max(going.newest, Relaxed);
        self.samples.fetch_add(going.risen, Relaxed);
        if going.refused.total() > 0 {
            self.refused.lock().unwrap_or_else(std::sync::PoisonError::into_inner).add(&going.refused);
        }
        let accepted = going.taken.len();
        let commit = self.log.append_samples(going.received, &going.taken);
        self.rows_pool.give(going.taken);
        let unsealed = Unsealed { inner: (!going.full.is_empty()).then(|| self.clone()), cells: going.full };
        Ok(Appended { accepted, touched: going.touched, new_series, refused: going.refused, commit, unsealed })
    }

    /// Puts the samples of known series; gives the rows of the others.
    fn place_known(&self, going: &mut Going<'_>) -> Vec<usize> {
        let head = self.head();
        let mut unknown = Vec::new();
        // The series of the last row that was placed: where the sender keeps its order, the next one's lies beside it.
        let mut before = u64::MAX - 1;
        let mut at = 0;
        while let Some(row) = going.rows.get(at) {
            if !going.judge(at) {
                at += 1;
                continue;
            }
            let next = before.wrapping_add(1);
            let neighbours = head.cell(cell_of(next)).map(Cell::slab).filter(|slab| slab.key(place_of(next)) == row.key);
            let found = match neighbours {
                Some(slab) => Some((next, slab)),
                // The lock before is given back by now: nobody ever holds two.
                None => head.find(row.key).and_then(|id| Some((id, head.cell(cell_of(id))?.slab()))),
            };
            match found {
                Some((id, mut slab)) => (at, before) = going.place_run(&head, &mut slab, at, id),
                None => {
                    unknown.push(at);
                    at += 1;
                }
            }
        }
        unknown
    }

    /// Makes the series that are missing, a few hundred at a time, and puts their samples under the same lock: a series
    /// without samples could be retired in between.
    fn place_unknown(&self, going: &mut Going<'_>, unknown: &[usize]) -> Vec<(SeriesRef, Labels)> {
        let mut new_series = Vec::new();
        let mut blame: Option<String> = None;
        for rows in unknown.chunks(CREATE_AT_ONCE) {
            let mut place_of_key: AHashMap<KeyHash, usize> = AHashMap::new();
            let mut missing: Vec<Unknown> = Vec::new();
            for &at in rows {
                let key = going.rows[at].key;
                place_of_key.entry(key).or_insert_with(|| {
                    let labels = going.batch.labels(at);
                    let text = labels.as_ref().map_or("", Labels::key);
                    missing.push(Unknown { key, by_labels: self.secret.hash(Protocol::Labels, text.as_bytes()), labels });
                    missing.len() - 1
                });
            }
            let mut defined = Vec::new();
            let mut head = self.head_mut();
            let create = |one| self.find_or_create(&mut head, one, &mut defined, &mut new_series);
            let mut made: Vec<Result<u64, Reason>> = missing.iter().map(create).collect();
            if made.iter().flat_map(|one| one.as_ref().err()).any(Reason::is_no_room) {
                // Judged when all of these are known: one new series alone has no label that differs.
                let label = blame.get_or_insert_with(|| head.blame());
                made.iter_mut().flat_map(|one| one.as_mut().err()).for_each(|reason| reason.blame(label));
            }
            if !defined.is_empty() {
                // In line before any sample of theirs can be: whoever finds these series must wait for this lock.
                self.log.define(defined);
            }
            for &at in rows {
                match &made[place_of_key[&going.rows[at].key]] {
                    Ok(id) => {
                        let Some(cell) = head.cell(cell_of(*id)) else { continue };
                        going.place(&head, &mut cell.slab(), at, *id);
                    }
                    Err(reason) => {
                        let batch = going.batch;
                        going.refused.note(at, || batch.labels(at), reason.clone());
                    }
                }
            }
        }
        if blame.is_some() {
            self.no_room.store(true, Relaxed);
        }
        // A new series is nobody's to watch yet: its samples are told once, so that rules can take it up.
        if !new_series.is_empty() && !going.tell_all {
            let fresh: AHashSet<u64> = new_series.iter().map(|(series, _): &(SeriesRef, Labels)| series.0).collect();
            let told = going.taken.iter().filter(|row| fresh.contains(&row.series));
            let told =
                told.map(|row| Touched { series: SeriesRef(row.series), time: Time(row.time), value: row.value, late: false });
            going.touched.extend(told);
        }
        new_series
    }

    fn find_or_create(
        &self,
        head: &mut Head,
        one: &Unknown,
        defined: &mut Vec<u8>,
        new_series: &mut Vec<(SeriesRef, Labels)>,
    ) -> Result<u64, Reason> {
        // Another sender may have been quicker.
        if let Some(id) = head.find(one.key) {
            return Ok(id);
        }
        let labels = one.labels.as_ref().map_err(|fault| Reason::BadKey(fault.to_string()))?;
        if let Some(id) = head.find(one.by_labels) {
            head.alias(one.key, id);
            return Ok(id);
        }
        let id = head.create(one.key, one.by_labels, labels.clone(), &self.limits)?;
        record::put_series(defined, id, labels);
        new_series.push((SeriesRef(id), labels.clone()));
        Ok(id)
    }
}

/// Vectors of rows that are used again: the memory of a batch is not asked for anew.
#[derive(Default)]
pub(crate) struct RowsPool(std::sync::Mutex<Vec<Vec<Row>>>);

impl RowsPool {
    const KEPT: usize = 8;
    const ROWS_MAX: usize = 32 * 1024;

    fn take(&self) -> Vec<Row> {
        self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner).pop().unwrap_or_default()
    }

    fn give(&self, mut rows: Vec<Row>) {
        rows.clear();
        let mut pool = self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        if pool.len() < RowsPool::KEPT && rows.capacity() <= RowsPool::ROWS_MAX {
            pool.push(rows);
        }
    }
}

const _: () = assert!(SERIES == 64, "a slab's set of watched series is 64 bits");
