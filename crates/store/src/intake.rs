//! A batch on its way in: find or make each series, judge each time, put the sample into the head, the record into line.
//!
//! One lock covers all of it: so the head, the log and a checkpoint's position agree on the order. It holds no IO. About
//! 100 ns per sample; senders decode beside it.

use std::borrow::Borrow;
use std::collections::VecDeque;
use std::hash::{Hash, Hasher};
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

use ahash::{AHashMap, AHashSet};
use model::{Labels, SampleBatch, Time};
use query::source::SeriesRef;

use crate::chunk::TimesCache;
use crate::column::Column;
use crate::commit::Commit;
use crate::error::StoreError;
use crate::index::Series;
use crate::record::{self, Row};
use crate::store::Inner;

/// How many refused samples of a batch are named.
pub const REFUSED_EXAMPLES_MAX: usize = 8;
/// From so many latest new series it is judged which label is to blame for too many.
const RECENT_LEN: usize = 1_000;

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
    /// See [`Reason::TooManySeries`].
    pub too_many_series: u64,
    /// The first few; of all batches: those of the last one that had any.
    pub examples: Vec<RefusedRow>,
}

impl Refused {
    /// How many samples.
    pub fn total(&self) -> u64 {
        self.too_old + self.out_of_order + self.in_future + self.bad_key + self.too_many_series
    }

    fn note(&mut self, row: usize, key: &str, reason: impl FnOnce() -> Reason) {
        let reason = reason();
        match reason {
            Reason::TooOld => self.too_old += 1,
            Reason::OutOfOrder => self.out_of_order += 1,
            Reason::InFuture => self.in_future += 1,
            Reason::BadKey(_) => self.bad_key += 1,
            Reason::TooManySeries { .. } => self.too_many_series += 1,
        }
        if self.examples.len() < REFUSED_EXAMPLES_MAX {
            let series = Labels::from_key(key).map_or_else(|_| "?".to_owned(), |labels| labels.to_string());
            self.examples.push(RefusedRow { row, series, reason });
        }
    }

    fn add(&mut self, other: &Refused) {
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

/// A series found by the text of its key.
struct Keyed(Arc<Series>);

impl Borrow<str> for Keyed {
    fn borrow(&self) -> &str {
        self.0.labels.key()
    }
}

impl Hash for Keyed {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.0.labels.key().hash(state);
    }
}

impl PartialEq for Keyed {
    fn eq(&self, other: &Keyed) -> bool {
        self.0.labels.key() == other.0.labels.key()
    }
}

impl Eq for Keyed {}

/// What only one batch at a time may touch.
pub(crate) struct Intake {
    keys: AHashSet<Keyed>,
    pub cache: TimesCache,
    pub next_id: u64,
    /// The newest sample of all.
    pub newest: i64,
    /// When the last batch came.
    pub received: Time,
    pub refused: Refused,
    recent: VecDeque<Labels>,
    per_source: AHashMap<String, usize>,
    rows: Vec<Row>,
    pub swept: Time,
}

impl Intake {
    pub fn new(next_id: u64, newest: i64, now: Time) -> Intake {
        Intake {
            keys: AHashSet::new(),
            cache: TimesCache::new(),
            next_id,
            newest,
            received: now,
            refused: Refused::default(),
            recent: VecDeque::new(),
            per_source: AHashMap::new(),
            rows: Vec::new(),
            swept: now,
        }
    }

    pub fn know(&mut self, series: &Arc<Series>, source_label: &str) {
        if let Some(source) = series.labels.get(source_label) {
            match self.per_source.get_mut(source) {
                Some(count) => *count += 1,
                None => {
                    self.per_source.insert(source.to_owned(), 1);
                }
            }
        }
        self.keys.insert(Keyed(series.clone()));
    }

    pub fn forget(&mut self, series: &Series, source_label: &str) {
        if self.keys.remove(series.labels.key())
            && let Some(source) = series.labels.get(source_label)
            && let Some(count) = self.per_source.get_mut(source)
        {
            *count -= 1;
            if *count == 0 {
                self.per_source.remove(source);
            }
        }
    }

    fn remember(&mut self, labels: Labels) {
        if self.recent.len() >= RECENT_LEN {
            self.recent.pop_front();
        }
        self.recent.push_back(labels);
    }

    /// The label with most different values among the latest new series.
    fn blame(&self) -> String {
        let mut values: AHashMap<&str, AHashSet<&str>> = AHashMap::new();
        for (name, value) in self.recent.iter().flat_map(Labels::iter) {
            values.entry(name).or_default().insert(value);
        }
        let most = values.into_iter().max_by(|a, b| (a.1.len(), b.0).cmp(&(b.1.len(), a.0)));
        most.map_or_else(String::new, |(name, _)| name.to_owned())
    }
}

impl Inner {
    pub(crate) fn append(&self, batch: &SampleBatch, received: Time) -> Result<Appended, StoreError> {
        let mut intake = self.intake();
        let intake = &mut *intake;
        self.log.admit(received)?;
        intake.received = received;
        intake.rows.clear();
        let options = &self.options;
        let future = received + options.future_max;
        let oldest = self.cutoff(intake.newest, received);
        let (mut touched, mut new_series, mut refused, mut defined) = (Vec::new(), Vec::new(), Refused::default(), Vec::new());
        let (mut full, mut risen) = (None, 0);
        let mut current: Option<Arc<Series>> = None;
        for (row, (key, sample)) in batch.iter().enumerate() {
            if sample.time > future {
                refused.note(row, key, || Reason::InFuture);
                continue;
            }
            if sample.time.0 < oldest {
                refused.note(row, key, || Reason::TooOld);
                continue;
            }
            if current.as_ref().is_none_or(|series| series.labels.key() != key) {
                current = intake.keys.get(key).map(|known| known.0.clone());
            }
            let series = match &current {
                Some(series) => series,
                None => match self.new_series(intake, key, &mut full) {
                    Ok(series) => {
                        record::put_series(&mut defined, series.id, &series.labels);
                        new_series.push((SeriesRef(series.id), series.labels.clone()));
                        current.insert(series)
                    }
                    Err(reason) => {
                        refused.note(row, key, || reason);
                        continue;
                    }
                },
            };
            let mut column = series.column();
            let window = options.out_of_order.as_micros() as i64;
            let column_last = column.last();
            if column_last.is_some_and(|last| sample.time.0 < last.saturating_sub(window)) {
                refused.note(row, key, || Reason::OutOfOrder);
                continue;
            }
            let placed = column.put(sample.time.0, sample.value, &mut intake.cache);
            drop(column);
            match placed {
                Ok(new) => risen += u64::from(new),
                Err(error) => {
                    tracing::error!(series = %series.labels, %error, "a late sample is lost");
                    refused.note(row, key, || Reason::OutOfOrder);
                    continue;
                }
            }
            let late = column_last.is_some_and(|last| sample.time.0 <= last);
            touched.push(Touched { series: SeriesRef(series.id), time: sample.time, value: sample.value, late });
            intake.newest = intake.newest.max(sample.time.0);
            intake.rows.push(Row { series: series.id, time: sample.time.0, value: sample.value });
        }
        self.samples.fetch_add(risen, Relaxed);
        intake.refused.add(&refused);
        let accepted = intake.rows.len();
        let commit = self.log.append(received, defined, &intake.rows);
        intake.rows.shrink_to(1 << 16);
        self.sweep_if_due(intake);
        Ok(Appended { accepted, touched, new_series, refused, commit })
    }

    /// Makes a series, or says why not. `full` keeps the blame, which costs a millisecond, for the rest of the batch.
    fn new_series(&self, intake: &mut Intake, key: &str, full: &mut Option<String>) -> Result<Arc<Series>, Reason> {
        let labels = Labels::from_key(key).map_err(|error| Reason::BadKey(error.to_string()))?;
        intake.remember(labels.clone());
        let options = &self.options;
        let source = labels.get(&options.source_label);
        let of_source = source.and_then(|source| intake.per_source.get(source)).copied().unwrap_or(0);
        let limit = if of_source >= options.series_per_source_max {
            let named = format!("{}={}", options.source_label, source.unwrap_or_default());
            Some((options.series_per_source_max, Some(named)))
        } else if intake.keys.len() >= options.series_max {
            Some((options.series_max, None))
        } else {
            None
        };
        if let Some((limit, source)) = limit {
            let blame = full.get_or_insert_with(|| intake.blame()).clone();
            return Err(Reason::TooManySeries { blame, limit, source });
        }
        let series = Series::new(intake.next_id, labels, Column::default());
        intake.next_id += 1;
        intake.know(&series, &options.source_label);
        self.index_mut().insert(series.clone());
        Ok(series)
    }
}
