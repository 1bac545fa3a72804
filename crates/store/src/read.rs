//! The store as a query sees it.

use std::collections::BTreeSet;
use std::sync::Arc;

use model::{Labels, Time};
use query::source::{Columns, Matcher, SeriesRef, Source, SourceError, TimeRange};

use crate::error::StoreError;
use crate::index::Series;
use crate::store::Store;

impl Source for Store {
    fn series(&self, matchers: &[Matcher], range: TimeRange, limit: usize) -> Result<Vec<(SeriesRef, Labels)>, SourceError> {
        let found = self.live(matchers, range);
        if found.len() > limit {
            return Err(SourceError::TooManySeries { found: found.len(), limit });
        }
        Ok(found.into_iter().map(|series| (SeriesRef(series.id), series.labels.clone())).collect())
    }

    fn read(&self, series: SeriesRef, range: TimeRange, into: &mut Columns) -> Result<(), SourceError> {
        // A series that retention dropped since has no samples: not an error.
        let Some(series) = self.inner.index().by_id.get(&series.0).cloned() else { return Ok(()) };
        let mut times = Vec::new();
        let read = series.column().read(range.from.0, range.to.0, &mut times, &mut into.values);
        into.times.extend(times.into_iter().map(Time));
        into.values.truncate(into.times.len());
        read.map_err(|_| SourceError::Store(StoreError::Undecodable { series: series.labels.to_string() }.to_string()))
    }

    fn last(&self, series: SeriesRef, range: TimeRange, into: &mut Columns) -> Result<(), SourceError> {
        let Some(series) = self.inner.index().by_id.get(&series.0).cloned() else { return Ok(()) };
        let found = series.column().last_in(range.from.0, range.to.0);
        let found =
            found.map_err(|_| SourceError::Store(StoreError::Undecodable { series: series.labels.to_string() }.to_string()))?;
        if let Some((time, value)) = found {
            into.times.push(Time(time));
            into.values.push(value);
        }
        Ok(())
    }

    fn label_names(&self, matchers: &[Matcher], range: TimeRange) -> Result<Vec<String>, SourceError> {
        let found = self.live(matchers, range);
        let names: BTreeSet<&str> = found.iter().flat_map(|series| series.labels.iter().map(|(name, _)| name)).collect();
        Ok(names.into_iter().map(str::to_owned).collect())
    }

    fn label_values(&self, name: &str, matchers: &[Matcher], range: TimeRange) -> Result<Vec<String>, SourceError> {
        let found = self.live(matchers, range);
        let values: BTreeSet<&str> = found.iter().filter_map(|series| series.labels.get(name)).collect();
        Ok(values.into_iter().map(str::to_owned).collect())
    }
}

impl Store {
    /// Matching series with samples that may lie in the range.
    fn live(&self, matchers: &[Matcher], range: TimeRange) -> Vec<Arc<Series>> {
        let index = self.inner.index();
        let mut found: Vec<Arc<Series>> = index.matching(matchers).into_iter().cloned().collect();
        drop(index);
        found.retain(|series| {
            let column = series.column();
            let ends = column.first().zip(column.last());
            ends.is_some_and(|(first, last)| first <= range.to.0 && last >= range.from.0)
        });
        found
    }
}
