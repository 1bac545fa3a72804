//! Where series come from: the one door between a query and a store.
//!
//! A query first asks which series match, then reads the columns of each. Handles stay valid for the life of the
//! source, so a rule resolves its selectors once and afterwards only reads.

use model::{Labels, Time};
use regex::Regex;

/// How a matcher compares.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum MatchOp {
    /// `=`
    Equal,
    /// `!=`
    NotEqual,
    /// `=~`, anchored at both ends
    Regex,
    /// `!~`, anchored at both ends
    NotRegex,
}

/// One condition on one label. A label that is not there counts as empty, as in Prometheus.
#[derive(Clone, Debug)]
pub struct Matcher {
    /// The label's name.
    pub name: String,
    /// How it compares.
    pub op: MatchOp,
    /// The text or the pattern.
    pub value: String,
    regex: Option<Regex>,
}

impl Matcher {
    /// Compiles the pattern where there is one; linear-time, at most 1 MiB compiled.
    pub fn new(name: impl Into<String>, op: MatchOp, value: impl Into<String>) -> Result<Matcher, Box<regex::Error>> {
        let value = value.into();
        let regex = match op {
            MatchOp::Equal | MatchOp::NotEqual => None,
            MatchOp::Regex | MatchOp::NotRegex => {
                Some(regex::RegexBuilder::new(&format!("^(?s:{value})$")).size_limit(1 << 20).build().map_err(Box::new)?)
            }
        };
        Ok(Matcher { name: name.into(), op, value, regex })
    }

    /// Whether a label's value (empty where the label is missing) fits.
    pub fn matches(&self, value: &str) -> bool {
        match self.op {
            MatchOp::Equal => value == self.value,
            MatchOp::NotEqual => value != self.value,
            MatchOp::Regex => self.regex.as_ref().is_some_and(|regex| regex.is_match(value)),
            MatchOp::NotRegex => !self.regex.as_ref().is_some_and(|regex| regex.is_match(value)),
        }
    }

    /// Whether a set of labels fits.
    pub fn matches_labels(&self, labels: &Labels) -> bool {
        self.matches(labels.get(&self.name).unwrap_or(""))
    }
}

impl PartialEq for Matcher {
    fn eq(&self, other: &Matcher) -> bool {
        self.name == other.name && self.op == other.op && self.value == other.value
    }
}

/// From and to, both included.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TimeRange {
    /// First instant.
    pub from: Time,
    /// Last instant.
    pub to: Time,
}

/// Ranges of the same length, one behind the other and apart: what a query reads whose step is longer than its range.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Windows {
    /// The first.
    pub first: TimeRange,
    /// From the beginning of one to the beginning of the next, in microseconds; longer than a window.
    pub step: i64,
    /// How many, at least one.
    pub count: usize,
}

impl Windows {
    /// Each of them, in time order.
    pub fn iter(&self) -> impl Iterator<Item = TimeRange> + '_ {
        (0..self.count as i64).map(|place| {
            let later = |time: Time| Time(time.0.saturating_add(self.step.saturating_mul(place)));
            TimeRange { from: later(self.first.from), to: later(self.first.to) }
        })
    }

    /// From the beginning of the first to the end of the last.
    pub fn whole(&self) -> TimeRange {
        let last = self.step.saturating_mul(self.count.saturating_sub(1) as i64);
        TimeRange { from: self.first.from, to: Time(self.first.to.0.saturating_add(last)) }
    }
}

/// A handle to a series of one source. Not stable across restarts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SeriesRef(pub u64);

/// The samples of a series in time order: times and values side by side. Staleness markers are in it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Columns {
    /// When, rising.
    pub times: Vec<Time>,
    /// How much.
    pub values: Vec<f64>,
}

/// Why a source could not answer.
#[derive(Debug, thiserror::Error)]
pub enum SourceError {
    /// More series than the caller wants to hold.
    #[error("{found} series match, the limit is {limit}: narrow the selector")]
    TooManySeries {
        /// At least so many.
        found: usize,
        /// The limit.
        limit: usize,
    },
    /// The store failed.
    #[error("read samples: {0}")]
    Store(String),
}

/// Series that [`Source::warm`] is told of at a time: their first misses all fit into what a core has under way.
pub const TOGETHER: usize = 16;

/// Something that holds series. Shared by threads; a read sees a consistent state of each series.
pub trait Source: Sync {
    /// The series that fit all matchers and have, or may have, a sample in `range`; in any order.
    fn series(&self, matchers: &[Matcher], range: TimeRange, limit: usize) -> Result<Vec<(SeriesRef, Labels)>, SourceError>;

    /// Appends the samples of a series in `range` to `into`, in time order, each instant once.
    fn read(&self, series: SeriesRef, range: TimeRange, into: &mut Columns) -> Result<(), SourceError>;

    /// Appends the newest sample of a series in `range` to `into`, if there is one. What an instant selector asks for: a source
    /// that can find it without reading the whole range says so here.
    fn last(&self, series: SeriesRef, range: TimeRange, into: &mut Columns) -> Result<(), SourceError> {
        let begin = into.times.len();
        self.read(series, range, into)?;
        let newest = into.times.len().saturating_sub(1).max(begin);
        into.times.drain(begin..newest);
        into.values.drain(begin..newest);
        Ok(())
    }

    /// Appends the samples of a series in each of `windows` to `into`, in time order; samples between the windows may come
    /// along. Reads everything from the first to the last unless the source knows better.
    fn read_windows(&self, series: SeriesRef, windows: &Windows, into: &mut Columns) -> Result<(), SourceError> {
        self.read(series, windows.whole(), into)
    }

    /// These series are about to be read in `range`, one by one: a source whose samples lie far apart can fetch those of all of them
    /// together. Changes no answer.
    fn warm(&self, series: &[(SeriesRef, Labels)], range: TimeRange) {
        let _ = (series, range);
    }

    /// What this source was asked for and could not read, in a sentence for whoever gets the answer: it is missing there. `None` where
    /// nothing is.
    fn missed(&self) -> Option<String> {
        None
    }

    /// Names of labels on the matching series, sorted.
    fn label_names(&self, matchers: &[Matcher], range: TimeRange) -> Result<Vec<String>, SourceError>;

    /// Values of a label on the matching series, sorted.
    fn label_values(&self, name: &str, matchers: &[Matcher], range: TimeRange) -> Result<Vec<String>, SourceError>;
}
