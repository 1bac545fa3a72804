//! Samples in memory: a source whose every number the test has written.

use std::cell::Cell;
use std::sync::Mutex;

use model::{Labels, Time};
use query::source::{Columns, Matcher, SeriesRef, Source, SourceError, TimeRange};

#[derive(Default)]
pub struct Book {
    series: Vec<(Labels, Columns)>,
    /// How often series were looked up, and columns read.
    pub looked_up: Mutex<Cell<u32>>,
    pub read: Mutex<Cell<u32>>,
}

impl Book {
    /// Writes a sample; the series is made where it is new, which is said.
    pub fn write(&mut self, labels: &Labels, at: Time, value: f64) -> (SeriesRef, bool) {
        let place = self.series.iter().position(|(have, _)| have == labels);
        let is_new = place.is_none();
        let place = place.unwrap_or_else(|| {
            self.series.push((labels.clone(), Columns::default()));
            self.series.len() - 1
        });
        self.series[place].1.times.push(at);
        self.series[place].1.values.push(value);
        (SeriesRef(place as u64), is_new)
    }
}

impl Source for Book {
    fn series(&self, matchers: &[Matcher], _: TimeRange, _: usize) -> Result<Vec<(SeriesRef, Labels)>, SourceError> {
        let count = self.looked_up.lock().unwrap();
        count.set(count.get() + 1);
        let fits = |labels: &Labels| matchers.iter().all(|matcher| matcher.matches_labels(labels));
        let found = self.series.iter().enumerate().filter(|(_, (labels, _))| fits(labels));
        Ok(found.map(|(place, (labels, _))| (SeriesRef(place as u64), labels.clone())).collect())
    }

    fn read(&self, series: SeriesRef, range: TimeRange, into: &mut Columns) -> Result<(), SourceError> {
        let count = self.read.lock().unwrap();
        count.set(count.get() + 1);
        let columns = &self.series[series.0 as usize].1;
        for (time, value) in columns.times.iter().zip(&columns.values) {
            if (range.from..=range.to).contains(time) {
                into.times.push(*time);
                into.values.push(*value);
            }
        }
        Ok(())
    }

    fn label_names(&self, _: &[Matcher], _: TimeRange) -> Result<Vec<String>, SourceError> {
        Ok(Vec::new())
    }

    fn label_values(&self, _: &str, _: &[Matcher], _: TimeRange) -> Result<Vec<String>, SourceError> {
        Ok(Vec::new())
    }
}
