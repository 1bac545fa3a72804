//! Which series a rule reads: resolved once per series, so that an evaluation only reads columns.

use model::{Labels, Time, labels::METRIC_NAME};
use query::source::{Columns, MatchOp, Matcher, SeriesRef, Source, SourceError, TimeRange};

use super::{Compiled, Kind, RuleId, Rules};

/// Most series that are bound when a store is opened, per selector; more would be no alert but a flood.
const SERIES_MAX: usize = 1_000_000;

/// So many series of a selector are kept in the order of their labels.
const ORDERED_MAX: usize = 4_096;

/// The series of one selector.
#[derive(Debug, Default)]
pub(super) struct Bound {
    pub(super) series: Vec<(SeriesRef, Labels)>,
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
        let range = TimeRange { from: Time(at.0.saturating_sub(3_600_000_000)), to: at };
        let mut found = Vec::new();
        for selector in self.rules.iter().flat_map(|rule| &rule.selectors) {
            found.extend(source.series(&selector.matchers, range, SERIES_MAX)?);
        }
        if let Ok(up) = Matcher::new(METRIC_NAME, MatchOp::Equal, "up") {
            found.extend(source.series(&[up], range, SERIES_MAX)?);
        }
        for (series, labels) in found {
            self.on_new_series(series, &labels);
        }
        Ok(())
    }

    /// A series was made: binds it to the rules that read it. The same series again changes nothing.
    pub fn on_new_series(&mut self, series: SeriesRef, labels: &Labels) {
        if labels.metric() == "up" {
            let label = |name: &str| labels.get(name).unwrap_or("").to_owned();
            self.ups.insert((label("job"), label("instance")), series);
        }
        if self.bound.contains_key(&series) {
            return;
        }
        let named = self.by_metric.get(labels.metric()).into_iter().flatten();
        let mut rules = Vec::new();
        for &(rule, place) in named.chain(&self.unnamed) {
            let compiled = &mut self.rules[rule as usize];
            if compiled.selectors[place as usize].matchers.iter().all(|matcher| matcher.matches_labels(labels)) {
                compiled.bound[place as usize].add(series, labels);
                rules.push(RuleId(rule));
            }
        }
        if !rules.is_empty() {
            rules.sort_unstable();
            rules.dedup();
            self.bound.insert(series, rules);
        }
    }

    /// A series has left the store for good.
    pub fn on_series_gone(&mut self, series: SeriesRef) {
        for rule in self.bound.remove(&series).unwrap_or_default() {
            for bound in &mut self.rules[rule.0 as usize].bound {
                bound.series.retain(|(have, _)| *have != series);
            }
        }
        self.ups.retain(|_, have| *have != series);
    }

    /// The rules that read a series.
    pub fn of(&self, series: SeriesRef) -> &[RuleId] {
        self.bound.get(&series).map(Vec::as_slice).unwrap_or_default()
    }

    /// The alerting rules that read any of these series, each once. Recording rules run at their interval only.
    pub fn touched(&self, series: impl IntoIterator<Item = SeriesRef>) -> Vec<RuleId> {
        let mut rules: Vec<RuleId> = Vec::new();
        for series in series {
            rules.extend(self.of(series).iter().filter(|rule| self.rules[rule.0 as usize].kind == Kind::Alert));
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
