//! The latest samples of one series, as far back as the rules that read it look.
//!
//! Samples come at the end and go at the front; both cost next to nothing. A late sample is not put in its place: the ring is
//! read anew from the store.

use std::collections::VecDeque;
use std::time::Duration;

use model::sample::is_stale;
use model::{Labels, Time};
use query::element::OverTime;
use query::source::{Columns, SeriesRef, SourceError, TimeRange};

use super::past::Past;

/// Samples may lie so far ahead of the server's clock.
pub(super) const AHEAD: Duration = Duration::from_secs(3_600);
/// Prometheus' lookback, in microseconds.
pub(super) const LOOKBACK_US: i64 = super::LOOKBACK.as_micros() as i64;

/// What a reading found.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Out {
    pub value: f64,
    pub present: bool,
    /// The first instant at which it may be another without any new sample.
    pub until: i64,
}

impl Out {
    pub const NEVER: i64 = i64::MAX;

    pub fn absent(until: i64) -> Out {
        Out { value: 0.0, present: false, until }
    }

    pub fn of(value: Option<f64>, until: i64) -> Out {
        Out { value: value.unwrap_or(0.0), present: value.is_some(), until }
    }

    pub fn get(self) -> Option<f64> {
        self.present.then_some(self.value)
    }
}

#[derive(Debug, Default)]
pub(super) struct Ring {
    times: Vec<Time>,
    values: Vec<f64>,
    /// What lies before is gone.
    first: usize,
    /// Samples that were taken off the front for good.
    dropped: u64,
    /// Samples, counted from the very first, after which the counter began anew.
    resets: VecDeque<u64>,
    /// Times of staleness markers.
    markers: VecDeque<i64>,
    /// How far back somebody looks, in microseconds.
    reach: i64,
}

impl Ring {
    /// Looks at least so far back from now on. True where it has to be read anew for that.
    pub fn reach_to(&mut self, reach: i64) -> bool {
        let grows = reach > self.reach;
        self.reach = self.reach.max(reach);
        grows
    }

    /// Whether it looks so far back.
    pub fn reaches(&self, reach: i64) -> bool {
        self.reach >= reach
    }

    /// How many samples it holds.
    pub fn len(&self) -> usize {
        self.times.len() - self.first
    }

    /// Reads it anew, and gives the newest sample; a staleness marker is one too.
    pub fn load(
        &mut self,
        past: &mut Past<'_>,
        series: SeriesRef,
        labels: &Labels,
        at: Time,
    ) -> Result<Option<(Time, f64)>, SourceError> {
        let mut columns = Columns::default();
        let from = Time(at.0.saturating_sub(self.reach).saturating_add(1));
        past.read(series, labels, TimeRange { from, to: at + AHEAD }, &mut columns)?;
        *self = Ring { reach: self.reach, ..Ring::default() };
        let newest = columns.times.last().copied().zip(columns.values.last().copied());
        for (time, value) in columns.times.into_iter().zip(columns.values) {
            self.push(time, value);
        }
        Ok(newest)
    }

    /// Appends a sample that is newer than all.
    pub fn push(&mut self, time: Time, value: f64) {
        if is_stale(value) {
            self.markers.push_back(time.0);
            return;
        }
        if self.values.len() > self.first && value < self.values[self.values.len() - 1] {
            self.resets.push_back(self.dropped + self.values.len() as u64 - 1);
        }
        self.times.push(time);
        self.values.push(value);
    }

    /// Forgets what nobody looks at from `at` on.
    pub fn trim(&mut self, at: Time) {
        let cutoff = at.0.saturating_sub(self.reach);
        while self.first < self.times.len() && self.times[self.first].0 <= cutoff {
            self.first += 1;
        }
        if self.first == self.times.len() {
            // It may stay empty: its room is given back.
            self.dropped += self.first as u64;
            (self.times, self.values, self.first) = (Vec::new(), Vec::new(), 0);
        }
        if self.first >= 32 && self.first * 2 >= self.times.len() {
            self.times.drain(..self.first);
            self.values.drain(..self.first);
            self.dropped += self.first as u64;
            self.first = 0;
        }
        let begin = self.dropped + self.first as u64;
        while self.resets.front().is_some_and(|place| *place < begin) {
            self.resets.pop_front();
        }
        while self.markers.front().is_some_and(|marker| *marker <= cutoff) {
            self.markers.pop_front();
        }
    }

    /// The places of the samples after `start` and up to `end`.
    fn window(&self, start: i64, end: i64) -> (usize, usize) {
        let mut past = self.times.len();
        while past > self.first && self.times[past - 1].0 > end {
            past -= 1;
        }
        let mut first = self.first;
        if first < past && self.times[first].0 <= start {
            first += self.times[first..past].partition_point(|time| time.0 <= start);
        }
        (first, past)
    }

    /// The newest value at `end`, none where it is older than the lookback or the series has ended.
    pub fn newest(&self, end: i64) -> Out {
        let start = end.saturating_sub(LOOKBACK_US);
        let (first, past) = self.window(start, end);
        let marker = self.markers.iter().rev().find(|marker| **marker <= end).copied().unwrap_or(i64::MIN);
        let next_marker = self.markers.iter().find(|marker| **marker > end).copied().unwrap_or(Out::NEVER);
        let next = self.times.get(past).map_or(Out::NEVER, |time| time.0).min(next_marker);
        if first == past || self.times[past - 1].0 <= marker {
            return Out::absent(next);
        }
        Out::of(Some(self.values[past - 1]), next.min(self.times[past - 1].0.saturating_add(LOOKBACK_US)))
    }

    /// A function of the samples in `range` before `end`.
    pub fn over(&self, over: OverTime, range: i64, end: i64) -> Out {
        let start = end.saturating_sub(range);
        let (first, past) = self.window(start, end);
        let next = self.times.get(past).map_or(Out::NEVER, |time| time.0);
        if first == past {
            return Out::absent(next);
        }
        let (times, values) = (&self.times[first..past], &self.values[first..past]);
        let (begin, last) = (self.dropped + first as u64, self.dropped + past as u64 - 1);
        let lost = self.resets.iter().filter(|place| (begin..last).contains(place));
        let lost = lost.map(|place| self.values[(place - self.dropped) as usize]);
        let value = over.apply(times, values, Time(start), Time(end), lost);
        let until = if over.moves() && value.is_some() { end } else { times[0].0.saturating_add(range).min(next) };
        Out::of(value, until)
    }
}
