//! Samples that memory may no longer hold: read from the history, under the names that series have there.

use std::collections::HashMap;
use std::sync::OnceLock;

use model::{Labels, Time};
use query::source::{Columns, MatchOp, Matcher, SeriesRef, Source, SourceError, TimeRange, Windows};

use super::Surroundings;
use super::graph::Graph;
use crate::rule::Rules;

/// So many series may fit the labels of one: more labels than asked for are none of its own.
const ALIKE_MAX: usize = 100_000;

/// Memory, and behind it the history, opened when it is asked for.
pub(super) struct Past<'a> {
    around: &'a dyn Surroundings,
    since: Time,
    history: Option<Box<dyn Source + 'a>>,
    /// Where the history has the series that were found at once.
    known: Option<HashMap<Labels, SeriesRef>>,
}

impl<'a> Past<'a> {
    pub fn new(around: &'a dyn Surroundings) -> Past<'a> {
        Past { around, since: around.memory_since(), history: None, known: None }
    }

    /// Over a history that is open already.
    fn over(around: &'a dyn Surroundings, history: Option<&'a dyn Source>) -> Past<'a> {
        Past { history: history.map(|history| Box::new(Borrowed(history)) as Box<dyn Source + 'a>), ..Past::new(around) }
    }

    /// Finds series of the history at once, before many are read.
    pub fn find(
        &mut self,
        from: Time,
        find: impl FnOnce(&dyn Source) -> Result<Vec<(SeriesRef, Labels)>, SourceError>,
    ) -> Result<(), SourceError> {
        if from < self.since {
            let history = self.history.get_or_insert_with(|| self.around.history());
            self.known = Some(find(&**history)?.into_iter().map(|(series, labels)| (labels, series)).collect());
        }
        Ok(())
    }

    /// Appends the samples of a series in a range.
    pub fn read(&mut self, series: SeriesRef, labels: &Labels, range: TimeRange, into: &mut Columns) -> Result<(), SourceError> {
        if range.from >= self.since {
            return self.around.source().read(series, range, into);
        }
        let history = self.history.get_or_insert_with(|| self.around.history());
        let found = match &self.known {
            Some(known) => known.get(labels).copied(),
            None => one(&**history, labels, range)?,
        };
        match found {
            Some(series) => history.read(series, range, into),
            None => self.around.source().read(series, range, into),
        }
    }

    /// Appends the newest sample of a series in a range.
    pub fn last(&mut self, series: SeriesRef, labels: &Labels, range: TimeRange, into: &mut Columns) -> Result<(), SourceError> {
        let begin = into.times.len();
        self.around.source().last(series, range, into)?;
        if into.times.len() > begin || range.from >= self.since {
            return Ok(());
        }
        self.read(series, labels, range, into)?;
        let newest = into.times.len().saturating_sub(1).max(begin);
        into.times.drain(begin..newest);
        into.values.drain(begin..newest);
        Ok(())
    }
}

/// The series with exactly these labels.
fn one(source: &dyn Source, labels: &Labels, range: TimeRange) -> Result<Option<SeriesRef>, SourceError> {
    let matchers = labels.iter().filter_map(|(name, value)| Matcher::new(name, MatchOp::Equal, value).ok());
    let found = source.series(&matchers.collect::<Vec<_>>(), range, ALIKE_MAX)?;
    Ok(found.into_iter().find(|(_, have)| have == labels).map(|(series, _)| series))
}

/// Memory as those see it who ask why an alert's condition is over: what memory let go of is read from the history.
pub(super) struct Through<'a> {
    pub around: &'a dyn Surroundings,
    pub rules: &'a Rules,
    pub graph: &'a Graph,
    /// Opened once for all that is asked; otherwise once for each.
    pub history: Option<&'a dyn Source>,
}

impl Source for Through<'_> {
    fn series(&self, matchers: &[Matcher], range: TimeRange, limit: usize) -> Result<Vec<(SeriesRef, Labels)>, SourceError> {
        self.around.source().series(matchers, range, limit)
    }

    fn read(&self, series: SeriesRef, range: TimeRange, into: &mut Columns) -> Result<(), SourceError> {
        let read = self.rules.readers.place(series).map(|slot| &self.graph.memories[slot as usize].labels);
        // Of a target's `up` no rule need read anything.
        match read.or_else(|| self.rules.up_labels.get(&series)) {
            Some(labels) => Past::over(self.around, self.history).read(series, labels, range, into),
            None => self.around.source().read(series, range, into),
        }
    }

    fn label_names(&self, matchers: &[Matcher], range: TimeRange) -> Result<Vec<String>, SourceError> {
        self.around.source().label_names(matchers, range)
    }

    fn label_values(&self, name: &str, matchers: &[Matcher], range: TimeRange) -> Result<Vec<String>, SourceError> {
        self.around.source().label_values(name, matchers, range)
    }
}

/// All samples, memory's and the disk's: what `query` of templates reads, which no rule need have read before. Opened by the first
/// query; most alerts have none.
pub(super) struct Opened<'a> {
    around: &'a dyn Surroundings,
    history: OnceLock<Box<dyn Source + Send + 'a>>,
}

impl<'a> Opened<'a> {
    pub fn new(around: &'a dyn Surroundings) -> Opened<'a> {
        Opened { around, history: OnceLock::new() }
    }

    fn source(&self) -> &dyn Source {
        &**self.history.get_or_init(|| self.around.history())
    }
}

impl Source for Opened<'_> {
    fn series(&self, matchers: &[Matcher], range: TimeRange, limit: usize) -> Result<Vec<(SeriesRef, Labels)>, SourceError> {
        self.source().series(matchers, range, limit)
    }

    fn read(&self, series: SeriesRef, range: TimeRange, into: &mut Columns) -> Result<(), SourceError> {
        self.source().read(series, range, into)
    }

    fn last(&self, series: SeriesRef, range: TimeRange, into: &mut Columns) -> Result<(), SourceError> {
        self.source().last(series, range, into)
    }

    fn read_windows(&self, series: SeriesRef, windows: &Windows, into: &mut Columns) -> Result<(), SourceError> {
        self.source().read_windows(series, windows, into)
    }

    fn label_names(&self, matchers: &[Matcher], range: TimeRange) -> Result<Vec<String>, SourceError> {
        self.source().label_names(matchers, range)
    }

    fn label_values(&self, name: &str, matchers: &[Matcher], range: TimeRange) -> Result<Vec<String>, SourceError> {
        self.source().label_values(name, matchers, range)
    }
}

/// A source that is borrowed.
pub(super) struct Borrowed<'a>(pub &'a dyn Source);

impl Source for Borrowed<'_> {
    fn series(&self, matchers: &[Matcher], range: TimeRange, limit: usize) -> Result<Vec<(SeriesRef, Labels)>, SourceError> {
        self.0.series(matchers, range, limit)
    }

    fn read(&self, series: SeriesRef, range: TimeRange, into: &mut Columns) -> Result<(), SourceError> {
        self.0.read(series, range, into)
    }

    fn last(&self, series: SeriesRef, range: TimeRange, into: &mut Columns) -> Result<(), SourceError> {
        self.0.last(series, range, into)
    }

    fn label_names(&self, matchers: &[Matcher], range: TimeRange) -> Result<Vec<String>, SourceError> {
        self.0.label_names(matchers, range)
    }

    fn label_values(&self, name: &str, matchers: &[Matcher], range: TimeRange) -> Result<Vec<String>, SourceError> {
        self.0.label_values(name, matchers, range)
    }
}
