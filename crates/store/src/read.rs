//! The store as a query sees it.

use std::collections::BTreeSet;

use model::{Labels, Time};
use query::source::{Columns, Matcher, SeriesRef, Source, SourceError, TimeRange};

use crate::error::StoreError;
use crate::head::{cell_of, place_of};
use crate::store::Store;

impl Source for Store {
    fn series(&self, matchers: &[Matcher], range: TimeRange, limit: usize) -> Result<Vec<(SeriesRef, Labels)>, SourceError> {
        let found = self.live(matchers, range);
        if found.len() > limit {
            return Err(SourceError::TooManySeries { found: found.len(), limit });
        }
        Ok(found)
    }

    fn read(&self, series: SeriesRef, range: TimeRange, into: &mut Columns) -> Result<(), SourceError> {
        let head = self.inner.head();
        // A series that retention dropped since has no samples: not an error.
        let Some(cell) = head.cell(cell_of(series.0)) else { return Ok(()) };
        let mut times = Vec::new();
        let read = cell.slab().read(place_of(series.0), range.from.0, range.to.0, &mut times, &mut into.values);
        into.times.extend(times.into_iter().map(Time));
        into.values.truncate(into.times.len());
        read.ok_or_else(|| undecodable(head.labels(series.0)))
    }

    fn last(&self, series: SeriesRef, range: TimeRange, into: &mut Columns) -> Result<(), SourceError> {
        let head = self.inner.head();
        let Some(cell) = head.cell(cell_of(series.0)) else { return Ok(()) };
        let slab = cell.slab();
        let found = match slab.newest(place_of(series.0), range.from.0, range.to.0) {
            Some(found) => found,
            None => {
                let (mut times, mut values) = (Vec::new(), Vec::new());
                slab.read(place_of(series.0), range.from.0, range.to.0, &mut times, &mut values)
                    .ok_or_else(|| undecodable(head.labels(series.0)))?;
                times.pop().zip(values.pop())
            }
        };
        if let Some((time, value)) = found {
            into.times.push(Time(time));
            into.values.push(value);
        }
        Ok(())
    }

    fn label_names(&self, matchers: &[Matcher], range: TimeRange) -> Result<Vec<String>, SourceError> {
        let found = self.live(matchers, range);
        let names: BTreeSet<&str> = found.iter().flat_map(|(_, labels)| labels.iter().map(|(name, _)| name)).collect();
        Ok(names.into_iter().map(str::to_owned).collect())
    }

    fn label_values(&self, name: &str, matchers: &[Matcher], range: TimeRange) -> Result<Vec<String>, SourceError> {
        let found = self.live(matchers, range);
        let values: BTreeSet<&str> = found.iter().filter_map(|(_, labels)| labels.get(name)).collect();
        Ok(values.into_iter().map(str::to_owned).collect())
    }
}

fn undecodable(labels: Option<&Labels>) -> SourceError {
    let series = labels.map_or_else(|| "?".to_owned(), Labels::to_string);
    SourceError::Store(StoreError::Undecodable { series }.to_string())
}

impl Store {
    /// Matching series with samples that may lie in the range.
    fn live(&self, matchers: &[Matcher], range: TimeRange) -> Vec<(SeriesRef, Labels)> {
        let head = self.inner.head();
        let found = head.matching(matchers).into_iter();
        let mut at = (usize::MAX, None);
        found
            .filter(|id| {
                if at.0 != cell_of(*id) {
                    at = (usize::MAX, None);
                    at = (cell_of(*id), head.cell(cell_of(*id)).map(|cell| cell.slab()));
                }
                let Some(slab) = &at.1 else { return false };
                let last = slab.last(place_of(*id));
                last >= range.from.0
                    && last > i64::MIN
                    && (last <= range.to.0 || slab.first(place_of(*id)).is_none_or(|first| first <= range.to.0))
            })
            .filter_map(|id| Some((SeriesRef(id), head.labels(id)?.clone())))
            .collect()
    }
}
