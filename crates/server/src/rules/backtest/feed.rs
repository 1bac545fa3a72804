//! The history as batches: the samples of the series that rules read, in time order, each as received at its own time.

use std::collections::{BTreeMap, HashSet};
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::time::Duration;

use model::labels::METRIC_NAME;
use model::{Labels, SampleBatch, Time};
use query::source::{Columns, Matcher, SeriesRef, Source, TimeRange};
use store::Store;

use super::BacktestError;

/// So much of the history is held at once.
const PIECE: Duration = Duration::from_secs(600);
/// Most sentences about what can't be read.
const MISSED_MAX: usize = 10;
/// Most series of one selector.
const SERIES_MAX: usize = 1_000_000;

/// Samples that come by the log, though their times lie before it: history must not tell of them early.
#[derive(Default)]
pub(super) struct InLog(HashSet<(u64, Time)>);

impl InLog {
    /// Notes those of a batch that are older than the log's begin.
    pub(super) fn note(&mut self, begin: Time, batch: &SampleBatch) {
        let early = batch.iter().filter(|(_, sample)| sample.time < begin);
        self.0.extend(early.map(|(key, sample)| (hash(key), sample.time)));
    }
}

fn hash(key: &str) -> u64 {
    let mut hasher = DefaultHasher::new();
    key.hash(&mut hasher);
    hasher.finish()
}

/// Gives the samples of `from..until` that fit any selector, memory's and the parts', but for those in the log. Says what of
/// it can't be read.
pub(super) fn history(
    kept: &Store,
    selectors: &[Vec<Matcher>],
    (from, until): (Time, Time),
    in_log: &InLog,
    stop: &dyn Fn() -> bool,
    give: &mut dyn FnMut(Time, &SampleBatch) -> Result<(), BacktestError>,
) -> Result<Vec<String>, BacktestError> {
    let mut at = from;
    let mut missed = Vec::new();
    while at < until {
        // Where nothing is kept, nothing is given that would ask.
        if stop() {
            return Err(BacktestError::Stopped);
        }
        let end = (at + PIECE).min(until);
        // A view remembers the series that it was asked for: each piece has its own.
        let view = kept.view();
        piece(&view, selectors, TimeRange { from: at, to: Time(end.0 - 1) }, in_log, give)?;
        missed.extend(view.missed().filter(|said| missed.len() < MISSED_MAX && !missed.contains(said)));
        at = end;
    }
    Ok(missed)
}

fn piece(
    source: &dyn Source,
    selectors: &[Vec<Matcher>],
    range: TimeRange,
    in_log: &InLog,
    give: &mut dyn FnMut(Time, &SampleBatch) -> Result<(), BacktestError>,
) -> Result<(), BacktestError> {
    let series = read_by(source, selectors, range)?;
    let mut samples: Vec<(Time, usize, f64)> = Vec::new();
    let mut columns = Columns::default();
    for (place, (series, labels)) in series.iter().enumerate() {
        columns.times.clear();
        columns.values.clear();
        source.read(*series, range, &mut columns)?;
        let key = hash(labels.key());
        let all = columns.times.iter().zip(&columns.values).map(|(time, value)| (*time, place, *value));
        samples.extend(all.filter(|(time, ..)| in_log.0.is_empty() || !in_log.0.contains(&(key, *time))));
    }
    samples.sort_unstable_by_key(|(time, place, _)| (*time, *place));
    let mut batch = SampleBatch::new();
    for at_once in samples.chunk_by(|one, other| one.0 == other.0) {
        batch.clear();
        for (time, place, value) in at_once {
            batch.push(&series[*place].1, *time, *value);
        }
        give(at_once[0].0, &batch)?;
    }
    Ok(())
}

/// The series that fit any selector, in the order of their labels.
fn read_by(source: &dyn Source, selectors: &[Vec<Matcher>], range: TimeRange) -> Result<Vec<(SeriesRef, Labels)>, BacktestError> {
    let mut found: BTreeMap<Labels, SeriesRef> = BTreeMap::new();
    for matchers in selectors {
        for (series, labels) in source.series(matchers, range, SERIES_MAX)? {
            // Rules remember nothing of series without a name.
            if labels.get(METRIC_NAME).is_some() {
                found.insert(labels, series);
            }
        }
    }
    Ok(found.into_iter().map(|(labels, series)| (series, labels)).collect())
}
