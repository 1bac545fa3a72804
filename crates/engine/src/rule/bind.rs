//! Which series a rule reads: resolved once per series, so that an evaluation only reads columns.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use model::{Labels, Time, labels::METRIC_NAME};
use query::source::{Columns, MatchOp, Matcher, SeriesRef, Source, SourceError, TimeRange};

use super::{Compiled, Kind, RuleId, Rules};

/// Most series that are bound when a store is opened, per selector; more would be no alert but a flood.
const SERIES_MAX: usize = 1_000_000;

/// So many series of a selector are kept in the order of their labels.
const ORDERED_MAX: usize = 4_096;

/// Where more series may stand behind a result, reading them costs more than finding them.
const BEHIND_MAX: usize = 64;
/// Most results whose series are remembered.
const RESULTS_MAX: usize = 16_384;

/// No place.
const NONE: u32 = u32::MAX;
/// Numbers of series beyond this are kept in a map: the store counts from 0, so there are none.
const DENSE_MAX: u64 = 1 << 28;

/// The series that rules read, each with a place of its own: found by its number without hashing.
#[derive(Debug, Default)]
pub(super) struct Readers {
    dense: Vec<u32>,
    beyond: HashMap<u64, u32>,
    by_labels: HashMap<Labels, u32>,
    list: Vec<Reader>,
}

/// A series that rules read.
#[derive(Debug)]
pub(super) struct Reader {
    pub(super) series: SeriesRef,
    /// The selectors that it fits, as rule and place.
    pub(super) by: Vec<(u32, u32)>,
}

impl Readers {
    #[inline]
    pub(super) fn place(&self, series: SeriesRef) -> Option<u32> {
        let place = match self.dense.get(series.0 as usize) {
            Some(place) => *place,
            None if series.0 < DENSE_MAX => NONE,
            None => self.beyond.get(&series.0).copied().unwrap_or(NONE),
        };
        (place != NONE).then_some(place)
    }

    pub(super) fn get(&self, place: u32) -> &Reader {
        &self.list[place as usize]
    }

    fn set(&mut self, series: SeriesRef, place: u32) {
        if series.0 >= DENSE_MAX {
            self.beyond.insert(series.0, place);
            return;
        }
        let index = series.0 as usize;
        if index >= self.dense.len() {
            if place == NONE {
                return;
            }
            self.dense.resize((index + 1).next_power_of_two().max(1_024), NONE);
        }
        self.dense[index] = place;
    }
}

/// What a series is to the rules once it was told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Told {
    /// No rule reads it, or it is known already.
    Nothing,
    /// Rules read it: its place.
    New(u32),
    /// It has the labels of one that was dropped by the store, and takes its place.
    Again(u32),
}

/// The series of one selector.
#[derive(Debug, Default)]
pub(super) struct Bound {
    pub(super) series: Vec<(SeriesRef, Labels)>,
    /// The places of those that may stand behind a result, by its labels, where they are few.
    behind: Mutex<HashMap<Labels, Option<Arc<[u32]>>>>,
}

impl Bound {
    /// Few series stay in the order of their labels, which every evaluation wants: sorting what is sorted costs a pass. Past
    /// so many the moves would cost more than they spare, and they stay as they come.
    fn add(&mut self, series: SeriesRef, labels: &Labels) {
        let place = match self.series.len() {
            0..ORDERED_MAX => self.series.partition_point(|(_, have)| have < labels),
            many => many,
        };
        self.series.insert(place, (series, labels.clone()));
        self.forget_behind();
    }

    /// The places of the series that fit a result; none where they are many. Remembered: of a thousand alerts without data each is
    /// asked about with every other that changes.
    pub(super) fn behind(&self, read: &Labels, fits: impl Fn(&Labels) -> bool) -> Option<Arc<[u32]>> {
        let mut behind = self.behind.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = behind.get(read) {
            return known.clone();
        }
        let places = self.series.iter().zip(0..).filter(|((_, labels), _)| fits(labels)).map(|(_, place)| place);
        let few: Vec<u32> = places.take(BEHIND_MAX + 1).collect();
        let few = (few.len() <= BEHIND_MAX).then(|| Arc::from(few));
        if behind.len() >= RESULTS_MAX {
            behind.clear();
        }
        behind.insert(read.clone(), few.clone());
        few
    }

    fn forget_behind(&mut self) {
        self.behind.get_mut().unwrap_or_else(PoisonError::into_inner).clear();
    }
}

impl Rules {
    pub(super) fn index(&mut self) {
        for (rule, compiled) in self.rules.iter().enumerate() {
            for (place, selector) in compiled.selectors.iter().enumerate() {
                let named = |matcher: &&Matcher| matcher.name == METRIC_NAME && matcher.op == MatchOp::Equal;
                let entry = (rule as u32, place as u32);
                match selector.matchers.iter().find(named) {
                    Some(metric) => self.by_metric.entry(metric.value.clone()).or_default().push(entry),
                    None => self.unnamed.push(entry),
                }
            }
        }
    }

    /// Binds the series that a source has already: after a start, and after the rules were read anew.
    pub fn bind(&mut self, source: &dyn Source, at: Time) -> Result<(), SourceError> {
        for (series, labels) in self.found(source, at)? {
            self.on_new_series(series, &labels);
        }
        Ok(())
    }

    /// The series of a source that rules may read.
    fn found(&self, source: &dyn Source, at: Time) -> Result<Vec<(SeriesRef, Labels)>, SourceError> {
        let range = TimeRange { from: Time(at.0.saturating_sub(3_600_000_000)), to: at };
        self.found_by(|matchers| source.series(matchers, range, SERIES_MAX))
    }

    /// The series that rules may read, found by their selectors.
    pub(super) fn found_by(
        &self,
        find: impl Fn(&[Matcher]) -> Result<Vec<(SeriesRef, Labels)>, SourceError>,
    ) -> Result<Vec<(SeriesRef, Labels)>, SourceError> {
        let mut found = Vec::new();
        for selector in self.rules.iter().flat_map(|rule| &rule.selectors) {
            found.extend(find(&selector.matchers)?);
        }
        if let Ok(up) = Matcher::new(METRIC_NAME, MatchOp::Equal, "up") {
            found.extend(find(&[up])?);
        }
        Ok(found)
    }

    /// A series was made: binds it to the rules that read it. The same series again changes nothing.
    pub fn on_new_series(&mut self, series: SeriesRef, labels: &Labels) {
        self.tell(series, labels);
    }

    pub(super) fn tell(&mut self, series: SeriesRef, labels: &Labels) -> Told {
        if labels.metric() == "up" {
            let label = |name: &str| labels.get(name).unwrap_or("").to_owned();
            let before = self.ups.insert((label("job"), label("instance")), series);
            if let Some(before) = before.filter(|before| *before != series) {
                self.up_labels.remove(&before);
            }
            self.up_labels.insert(series, labels.clone());
        }
        if self.readers.place(series).is_some() {
            return Told::Nothing;
        }
        if let Some(&place) = self.readers.by_labels.get(labels) {
            self.replace(place, series);
            return Told::Again(place);
        }
        let named = self.by_metric.get(labels.metric()).into_iter().flatten();
        let fits = |(rule, place): &&(u32, u32)| {
            let matchers = &self.rules[*rule as usize].selectors[*place as usize].matchers;
            matchers.iter().all(|matcher| matcher.matches_labels(labels))
        };
        let mut by: Vec<(u32, u32)> = named.chain(&self.unnamed).filter(fits).copied().collect();
        if by.is_empty() {
            return Told::Nothing;
        }
        by.sort_unstable();
        for &(rule, place) in &by {
            self.rules[rule as usize].bound[place as usize].add(series, labels);
        }
        let place = self.readers.list.len() as u32;
        self.readers.list.push(Reader { series, by });
        self.readers.by_labels.insert(labels.clone(), place);
        self.readers.set(series, place);
        Told::New(place)
    }

    /// As if no series had been told.
    pub(super) fn unbind(&mut self) {
        self.readers = Readers::default();
        (self.ups, self.up_labels) = (HashMap::new(), HashMap::new());
        self.rules.iter_mut().flat_map(|rule| &mut rule.bound).for_each(|bound| *bound = Bound::default());
    }

    /// The store dropped a series with these labels long ago, and made them anew.
    fn replace(&mut self, place: u32, series: SeriesRef) {
        let reader = &mut self.readers.list[place as usize];
        let old = std::mem::replace(&mut reader.series, series);
        for &(rule, selector) in &reader.by {
            let bound = &mut self.rules[rule as usize].bound[selector as usize].series;
            bound.iter_mut().filter(|(have, _)| *have == old).for_each(|(have, _)| *have = series);
        }
        self.readers.set(old, NONE);
        self.readers.set(series, place);
    }

    /// A series has left the store for good.
    pub fn on_series_gone(&mut self, series: SeriesRef) {
        if self.up_labels.remove(&series).is_some() {
            self.ups.retain(|_, have| *have != series);
        }
        let Some(place) = self.readers.place(series) else { return };
        for (rule, selector) in std::mem::take(&mut self.readers.list[place as usize].by) {
            let bound = &mut self.rules[rule as usize].bound[selector as usize];
            bound.series.retain(|(have, _)| *have != series);
            bound.forget_behind();
        }
        self.readers.by_labels.retain(|_, have| *have != place);
        self.readers.set(series, NONE);
    }

    /// The rules that read a series, in the order of the files.
    pub fn of(&self, series: SeriesRef) -> Vec<RuleId> {
        let by = self.readers.place(series).map(|place| &self.readers.get(place).by);
        let mut rules: Vec<RuleId> = by.into_iter().flatten().map(|(rule, _)| RuleId(*rule)).collect();
        rules.dedup();
        rules
    }

    /// The alerting rules that read any of these series, each once. Recording rules run at their interval only.
    pub fn touched(&self, series: impl IntoIterator<Item = SeriesRef>) -> Vec<RuleId> {
        let mut rules: Vec<RuleId> = Vec::new();
        for series in series {
            rules.extend(self.of(series).into_iter().filter(|rule| self.rules[rule.0 as usize].kind == Kind::Alert));
        }
        rules.sort_unstable();
        rules.dedup();
        rules
    }
}

/// A source that knows the series of one rule: asked which match, it looks nothing up.
pub(super) struct Known<'a> {
    pub(super) rule: &'a Compiled,
    pub(super) source: &'a dyn Source,
}

impl Source for Known<'_> {
    fn series(&self, matchers: &[Matcher], range: TimeRange, limit: usize) -> Result<Vec<(SeriesRef, Labels)>, SourceError> {
        match self.rule.selectors.iter().position(|selector| selector.matchers == matchers) {
            Some(place) if self.rule.reaches_history(place) => self.source.series(matchers, range, limit),
            Some(place) => {
                let series = &self.rule.bound[place].series;
                if series.len() > limit {
                    return Err(SourceError::TooManySeries { found: series.len(), limit });
                }
                Ok(series.clone())
            }
            None => self.source.series(matchers, range, limit),
        }
    }

    fn read(&self, series: SeriesRef, range: TimeRange, into: &mut Columns) -> Result<(), SourceError> {
        self.source.read(series, range, into)
    }

    fn last(&self, series: SeriesRef, range: TimeRange, into: &mut Columns) -> Result<(), SourceError> {
        self.source.last(series, range, into)
    }

    fn label_names(&self, matchers: &[Matcher], range: TimeRange) -> Result<Vec<String>, SourceError> {
        self.source.label_names(matchers, range)
    }

    fn label_values(&self, name: &str, matchers: &[Matcher], range: TimeRange) -> Result<Vec<String>, SourceError> {
        self.source.label_values(name, matchers, range)
    }
}
