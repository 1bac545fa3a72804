//! Series in memory: a source for tests and previews. Keeps each series in time order, walks over all to find some.

use std::collections::BTreeMap;
use std::time::Duration;

use model::{Labels, Time};

use super::notation::{NotationError, parse_series};
use crate::source::{Columns, Matcher, SeriesRef, Source, SourceError, TimeRange};

/// Series in memory.
#[derive(Clone, Debug, Default)]
pub struct MemorySource {
    series: Vec<(Labels, BTreeMap<Time, f64>)>,
}

impl MemorySource {
    /// Without any series.
    pub fn new() -> MemorySource {
        MemorySource::default()
    }

    /// From `load` blocks as in `promqltest`.
    pub fn from_text(text: &str) -> Result<MemorySource, NotationError> {
        let mut source = MemorySource::new();
        source.load(text)?;
        Ok(source)
    }

    /// Adds `load` blocks: `load <interval>`, then a series per line. The first value lies at 1970, the others follow by
    /// the interval.
    pub fn load(&mut self, text: &str) -> Result<(), NotationError> {
        let mut interval = None;
        for line in text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#')) {
            let fail = |reason: &str| NotationError { line: line.chars().take(120).collect(), reason: reason.into() };
            if let Some(every) = line.strip_prefix("load ") {
                let millis = crate::literal::duration(every.trim()).filter(|millis| *millis > 0);
                interval = Some(Duration::from_millis(millis.ok_or_else(|| fail("`load` needs a duration"))?));
            } else {
                self.load_line(line, interval.ok_or_else(|| fail("series come after `load <interval>`"))?)?;
            }
        }
        Ok(())
    }

    /// Adds one series in the test notation, its values `interval` apart from 1970 on.
    pub fn load_line(&mut self, line: &str, interval: Duration) -> Result<(), NotationError> {
        let series = parse_series(line)?;
        for (place, value) in series.values.iter().enumerate() {
            let place = u32::try_from(place).unwrap_or(u32::MAX);
            if let Some(value) = value {
                self.push(&series.labels, Time(0) + interval * place, *value);
            }
        }
        Ok(())
    }

    /// Adds a sample; a second one at the same instant replaces the first.
    pub fn push(&mut self, labels: &Labels, time: Time, value: f64) {
        let place = self.series.iter().position(|(have, _)| have == labels).unwrap_or_else(|| {
            self.series.push((labels.clone(), BTreeMap::new()));
            self.series.len() - 1
        });
        self.series[place].1.insert(time, value);
    }

    /// Forgets everything.
    pub fn clear(&mut self) {
        self.series.clear();
    }

    fn matching(&self, matchers: &[Matcher], range: TimeRange) -> impl Iterator<Item = (usize, &Labels)> {
        let fits = move |(place, (labels, samples)): (usize, &'_ (Labels, BTreeMap<Time, f64>))| {
            let here = range.from <= range.to && samples.range(range.from..=range.to).next().is_some();
            (here && matchers.iter().all(|matcher| matcher.matches_labels(labels))).then_some(place)
        };
        self.series.iter().enumerate().filter_map(fits).map(|place| (place, &self.series[place].0))
    }
}

impl Source for MemorySource {
    fn series(&self, matchers: &[Matcher], range: TimeRange, limit: usize) -> Result<Vec<(SeriesRef, Labels)>, SourceError> {
        let found: Vec<_> =
            self.matching(matchers, range).map(|(place, labels)| (SeriesRef(place as u64), labels.clone())).collect();
        if found.len() > limit {
            return Err(SourceError::TooManySeries { found: found.len(), limit });
        }
        Ok(found)
    }

    fn read(&self, series: SeriesRef, range: TimeRange, into: &mut Columns) -> Result<(), SourceError> {
        let unknown = || SourceError::Store(format!("there is no series {}", series.0));
        let (_, samples) = self.series.get(series.0 as usize).ok_or_else(unknown)?;
        if range.from <= range.to {
            for (time, value) in samples.range(range.from..=range.to) {
                into.times.push(*time);
                into.values.push(*value);
            }
        }
        Ok(())
    }

    fn label_names(&self, matchers: &[Matcher], range: TimeRange) -> Result<Vec<String>, SourceError> {
        let mut names: Vec<String> =
            self.matching(matchers, range).flat_map(|(_, labels)| labels.iter().map(|(name, _)| name.to_string())).collect();
        names.sort();
        names.dedup();
        Ok(names)
    }

    fn label_values(&self, name: &str, matchers: &[Matcher], range: TimeRange) -> Result<Vec<String>, SourceError> {
        let mut values: Vec<String> =
            self.matching(matchers, range).filter_map(|(_, labels)| labels.get(name).map(str::to_string)).collect();
        values.sort();
        values.dedup();
        Ok(values)
    }
}
