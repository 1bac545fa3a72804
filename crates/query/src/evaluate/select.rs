//! Reads selectors: the newest sample within the lookback at each step, or the window of a range.
//!
//! A series is read once into a column and the steps walk over it with pointers that only move forward.

use model::labels::sort_by_labels;
use model::sample::is_stale;
use model::{Labels, Time};

use super::stream::{Means, Scratch, Stream};
use super::table::{Row, Table};
use super::{Evaluator, Grid, resolve_duration};
use crate::ast::{At, Edges, Expr, ExprKind, MatrixSelector, Shift, Span, Subquery, VectorSelector};
use crate::error::EvalError;
use crate::source::{self, Columns, Matcher, SeriesRef, TOGETHER, TimeRange};
use crate::value::{Series, Value};

/// What of a sample to take.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Take {
    Value,
    /// Its time in seconds, for `timestamp`.
    Time,
}

/// When an instant selector looks.
#[derive(Clone, Copy, Default)]
pub(super) struct Place {
    /// Microseconds back.
    pub offset: i64,
    /// The fixed instant of `@`.
    pub at: Option<i64>,
    /// Whether it looks beyond the instant, for `smoothed`.
    pub smoothed: bool,
}

/// The samples in a window, left open: oldest first, without staleness markers.
#[derive(Clone, Copy)]
pub(super) struct Window<'a> {
    pub times: &'a [Time],
    pub values: &'a [f64],
    /// The instant that the window does not include, in microseconds.
    pub start: i64,
    /// The last instant that it includes.
    pub end: i64,
}

/// Where the windows of a range lie.
#[derive(Clone, Copy)]
pub(super) struct Windows {
    grid: Grid,
    pub range: i64,
    offset: i64,
    at: Option<i64>,
    /// How far `anchored` and `smoothed` ranges look beyond their left edge.
    before: i64,
    /// How far `smoothed` ranges look beyond their right edge.
    after: i64,
}

impl Windows {
    /// The last instant of the window at a step.
    pub fn end(&self, step: usize) -> i64 {
        self.at.unwrap_or_else(|| self.grid.time(step)).saturating_sub(self.offset)
    }

    fn all(&self) -> TimeRange {
        let (first, last) = (self.end(0), self.end(self.grid.count - 1));
        let from = first.saturating_sub(self.range).saturating_sub(self.before).saturating_add(1);
        TimeRange { from: Time(from), to: Time(last.saturating_add(self.after)) }
    }

    /// The windows apart, where the steps are so far from each other that most samples lie between.
    fn sparse(&self) -> Option<source::Windows> {
        let length = self.range.saturating_add(self.before).saturating_add(self.after);
        if self.at.is_some() || self.grid.count < 2 || self.grid.step / 2 < length {
            return None;
        }
        let end = self.end(0);
        let from = end.saturating_sub(self.range).saturating_sub(self.before).saturating_add(1);
        let first = TimeRange { from: Time(from), to: Time(end.saturating_add(self.after)) };
        Some(source::Windows { first, step: self.grid.step, count: self.grid.count })
    }

    /// Reads the samples that the windows of a series need.
    pub fn load(&self, means: &Means<'_>, series: SeriesRef, scratch: &mut Scratch) -> Result<(), EvalError> {
        let columns = &mut scratch.columns;
        columns.times.clear();
        columns.values.clear();
        match self.sparse() {
            Some(windows) => means.source.read_windows(series, &windows, columns)?,
            None => means.source.read(series, self.all(), columns)?,
        }
        means.count(scratch)
    }

    /// Reads only the newest sample of a series: one step sees no other.
    fn load_last(&self, means: &Means<'_>, series: SeriesRef, scratch: &mut Scratch) -> Result<(), EvalError> {
        let columns = &mut scratch.columns;
        columns.times.clear();
        columns.values.clear();
        means.source.last(series, self.all(), columns)?;
        means.count(scratch)
    }

    /// Calls `see` with the window of each step that holds samples.
    pub fn walk(&self, columns: &Columns, mut see: impl FnMut(usize, Window<'_>)) {
        let (times, values) = (&columns.times[..], &columns.values[..]);
        self.walk_places(times, |step, first, past| {
            let end = self.end(step);
            let start = end.saturating_sub(self.range);
            see(step, Window { times: &times[first..past], values: &values[first..past], start, end });
        });
    }

    /// Calls `see` with each step that holds samples: the place of the first in its window, and the one behind the last.
    pub fn walk_places(&self, times: &[Time], see: impl FnMut(usize, usize, usize)) {
        self.walk_steps(times, 0..self.grid.count, see);
    }

    /// The same for some of the steps.
    pub fn walk_steps(&self, times: &[Time], steps: std::ops::Range<usize>, mut see: impl FnMut(usize, usize, usize)) {
        let (mut first, mut past) = (0, 0);
        for step in steps {
            let end = self.end(step);
            let start = end.saturating_sub(self.range);
            let (low, high) = (start.saturating_sub(self.before), end.saturating_add(self.after));
            while past < times.len() && times[past].0 <= high {
                past += 1;
            }
            while first < past && times[first].0 <= low {
                first += 1;
            }
            if first < past {
                see(step, first, past);
            }
        }
    }
}

/// Steps whose windows all hold as many samples, at the same distances: those of a series that is sampled evenly, away from its ends,
/// where a step is some samples long.
pub(super) struct Even {
    /// The steps.
    pub steps: std::ops::Range<usize>,
    /// Places of the first and the last sample in the first of them.
    pub first: usize,
    pub last: usize,
    /// Samples from one step to the next.
    pub stride: usize,
}

impl Windows {
    /// The even steps of a series; `None` where there are none.
    pub fn even(&self, times: &[Time]) -> Option<Even> {
        let (&[Time(begin), Time(second), ..], Some(Time(end))) = (times, times.last()) else { return None };
        let between = second.checked_sub(begin).filter(|between| *between > 0)?;
        let plain = self.at.is_none() && self.before == 0 && self.after == 0 && self.grid.count > 1;
        if !plain || self.grid.step % between != 0 {
            return None;
        }
        let samples = times.len() as i64;
        let apart = times.windows(2).fold(0, |apart, pair| apart | (pair[1].0.wrapping_sub(pair[0].0) ^ between));
        if apart != 0 || end.checked_sub(begin)? != between.checked_mul(samples - 1)? {
            return None;
        }
        // Samples that are not after an instant, were there no ends.
        let until = |instant: i64| Some(instant.checked_sub(begin)?.div_euclid(between) + 1);
        let stride = self.grid.step / between;
        let (low, high) = (until(self.end(0).checked_sub(self.range)?)?, until(self.end(0))?);
        // From the step on where the window's left edge reaches the first sample, to where its right edge leaves the last.
        let from = if low >= 0 { 0 } else { (-low).checked_add(stride - 1)? / stride };
        let past = if high > samples { 0 } else { (samples - high) / stride + 1 };
        let past = past.min(self.grid.count as i64);
        if past - from < 2 || high - low < 1 {
            return None;
        }
        Some(Even {
            steps: from as usize..past as usize,
            first: (low + from * stride) as usize,
            last: (high + from * stride - 1) as usize,
            stride: stride as usize,
        })
    }
}

/// The series that a range function runs over.
pub(super) enum Ranged {
    /// Series of the source, read one by one.
    Stored(Vec<(SeriesRef, Labels)>),
    /// The table of a subquery and the steps that it has.
    Computed(Box<Table>, Grid),
}

impl Ranged {
    pub fn len(&self) -> usize {
        match self {
            Ranged::Stored(series) => series.len(),
            Ranged::Computed(table, _) => table.rows.len(),
        }
    }

    /// Reads the samples of one of them, without staleness markers.
    pub fn load(&self, means: &Means<'_>, windows: &Windows, place: usize, scratch: &mut Scratch) -> Result<(), EvalError> {
        match self {
            Ranged::Stored(series) => {
                if let Some(next) = next_together(series, place).filter(|_| windows.sparse().is_none()) {
                    means.source.warm(next, windows.all());
                }
                windows.load(means, series[place].0, scratch)?;
                drop_stale(&mut scratch.columns);
            }
            Ranged::Computed(table, grid) => {
                scratch.columns.times.clear();
                scratch.columns.values.clear();
                let (values, present) = table.row(place);
                for step in (0..grid.count).filter(|step| present[*step]) {
                    scratch.columns.times.push(Time(grid.time(step)));
                    scratch.columns.values.push(values[step]);
                }
            }
        }
        Ok(())
    }

    pub fn labels(&self, place: usize) -> (Labels, bool) {
        match self {
            Ranged::Stored(series) => (series[place].1.clone(), false),
            Ranged::Computed(table, _) => (table.rows[place].labels.clone(), table.rows[place].drop_name),
        }
    }
}

impl<'a> Evaluator<'a> {
    fn lookback(&self) -> i64 {
        i64::try_from(self.params.lookback.as_micros()).unwrap_or(i64::MAX)
    }

    /// How far back, and the fixed instant of `@`.
    pub fn shift(&self, shift: &Shift) -> Result<(i64, Option<i64>), EvalError> {
        let offset = match &shift.offset {
            Some(offset) => resolve_duration(offset, &self.context, true)?,
            None => 0,
        };
        let at = shift.at.map(|at| match at {
            At::Time(time) => time.0,
            At::Start => self.query.start,
            At::End => self.params.end.0,
        });
        Ok((offset, at))
    }

    fn find(&self, matchers: &[Matcher], range: TimeRange) -> Result<Vec<(SeriesRef, Labels)>, EvalError> {
        let limit = self.params.limits.series;
        let mut series = self.source.series(matchers, range, limit)?;
        if series.len() > limit {
            return Err(EvalError::Limit { what: "too many series match a selector", limit: limit as u64 });
        }
        if !series.is_sorted_by(|a, b| a.1 <= b.1) {
            sort_by_labels(&mut series, |one| &one.1);
        }
        Ok(series)
    }

    /// An instant vector selector.
    pub fn select(&mut self, selector: &VectorSelector, grid: Grid, take: Take) -> Result<Stream<'a>, EvalError> {
        if selector.edges == Some(Edges::Anchored) {
            return Err(EvalError::failed(selector.span, "anchored modifier can only be used with a range"));
        }
        let smoothed = selector.edges == Some(Edges::Smoothed);
        if smoothed && take == Take::Time {
            return Err(EvalError::not_yet(selector.span, "the timestamp of a `smoothed` selector"));
        }
        let (offset, at) = self.shift(&selector.shift)?;
        self.select_at(&selector.matchers, Place { offset, at, smoothed }, grid, take)
    }

    /// The newest sample within the lookback at each step, of the series that fit.
    pub fn select_at(&mut self, matchers: &[Matcher], place: Place, grid: Grid, take: Take) -> Result<Stream<'a>, EvalError> {
        let Place { offset, at, smoothed } = place;
        let after = if smoothed { self.lookback() } else { 0 };
        let windows = Windows { grid, range: self.lookback(), offset, at, before: 0, after };
        let series = self.find(matchers, windows.all())?;
        let means = self.means();
        let rows = series.iter().map(|(_, labels)| Row { labels: labels.clone(), drop_name: false }).collect();
        let fill = move |row: usize, scratch: &mut Scratch, values: &mut [f64], present: &mut [bool]| {
            let handle = series[row].0;
            if let Some(next) = next_together(&series, row) {
                let all = windows.all();
                let from = if grid.count == 1 && !smoothed { all.to } else { all.from };
                means.source.warm(next, TimeRange { from, to: all.to });
            }
            if smoothed {
                windows.load(&means, handle, scratch)?;
                drop_stale(&mut scratch.columns);
                windows.walk(&scratch.columns, |step, window| {
                    if let Some(value) = super::edges::smoothed(window) {
                        (values[step], present[step]) = (value, true);
                    }
                });
                return Ok(());
            }
            if grid.count == 1 {
                windows.load_last(&means, handle, scratch)?;
            } else {
                windows.load(&means, handle, scratch)?;
            }
            let Columns { times, values: samples } = &scratch.columns;
            windows.walk_places(times, |step, _, past| {
                if !is_stale(samples[past - 1]) {
                    present[step] = true;
                    values[step] = if take == Take::Value { samples[past - 1] } else { times[past - 1].secs_f64() };
                }
            });
            Ok(())
        };
        Ok(Stream { rows, fill: Box::new(fill), unnamed: false, counters: None, span: Span::default() })
    }

    /// Prepares the argument of a range function.
    pub fn ranged(&mut self, expr: &Expr, grid: Grid) -> Result<(Ranged, Windows), EvalError> {
        match &expr.unparenthesized().kind {
            ExprKind::Matrix(matrix) => self.stored(matrix, grid),
            ExprKind::Subquery(subquery) => self.computed(subquery, expr.span, grid),
            _ => Err(EvalError::failed(expr.span, "a range vector was expected here")),
        }
    }

    fn stored(&mut self, matrix: &MatrixSelector, grid: Grid) -> Result<(Ranged, Windows), EvalError> {
        let range = resolve_duration(&matrix.range, &self.context, false)?;
        let (offset, at) = self.shift(&matrix.selector.shift)?;
        let (before, after) = match matrix.selector.edges {
            None => (0, 0),
            Some(Edges::Anchored) => (self.lookback(), 0),
            Some(Edges::Smoothed) => (self.lookback(), self.lookback()),
        };
        let windows = Windows { grid, range, offset, at, before, after };
        let all = windows.all();
        Ok((Ranged::Stored(self.find(&matrix.selector.matchers, all)?), windows))
    }

    fn computed(&mut self, subquery: &Subquery, span: Span, grid: Grid) -> Result<(Ranged, Windows), EvalError> {
        let range = resolve_duration(&subquery.range, &self.context, false)?;
        let step = match &subquery.step {
            Some(step) => resolve_duration(step, &self.context, false)?,
            None => i64::try_from(self.params.subquery_step.as_micros()).unwrap_or(i64::MAX),
        }
        .max(1);
        let (offset, at) = self.shift(&subquery.shift)?;
        let windows = Windows { grid, range, offset, at, before: 0, after: 0 };
        let TimeRange { from: Time(from), to: Time(to) } = windows.all();
        // The first multiple of the step inside: subqueries are aligned whatever the query's own steps.
        let start = from.saturating_sub(1).div_euclid(step).saturating_add(1).saturating_mul(step);
        let count = if start > to { 0 } else { (to.saturating_sub(start) / step).saturating_add(1) };
        if count as u64 > self.params.limits.samples {
            return Err(EvalError::failed(span, "this subquery has too many steps"));
        }
        self.charge_cells(count as usize)?;
        let inner = Grid { start, step, count: count as usize };
        let table = if count == 0 { Table::new(0) } else { self.vector(&subquery.expr, inner)? };
        Ok((Ranged::Computed(Box::new(table), inner), windows))
    }

    /// An instant query for a range: each series with the samples of its window, at their own times.
    pub fn bare_range(&mut self, expr: &Expr, grid: Grid) -> Result<Value, EvalError> {
        if let ExprKind::Matrix(matrix) = &expr.kind
            && matrix.selector.edges.is_some()
        {
            return Err(EvalError::not_yet(expr.span, "`anchored` and `smoothed` ranges without a function"));
        }
        let (ranged, windows) = self.ranged(expr, grid)?;
        let mut out = Vec::new();
        let means = self.means();
        let mut scratch = Scratch::default();
        for place in 0..ranged.len() {
            if place % 64 == 63 {
                self.check_cancel()?;
            }
            ranged.load(&means, &windows, place, &mut scratch)?;
            let (mut labels, drop_name) = ranged.labels(place);
            if drop_name {
                labels = super::without_name(&labels);
            }
            let mut series = Series { labels, times: Vec::new(), values: Vec::new() };
            windows.walk(&scratch.columns, |_, window| {
                series.times.extend_from_slice(window.times);
                series.values.extend_from_slice(window.values);
            });
            self.charge_cells(series.times.len())?;
            if !series.times.is_empty() {
                out.push(series);
            }
        }
        self.samples_read += scratch.read;
        out.sort_by(|a, b| a.labels.cmp(&b.labels));
        Ok(Value::Matrix(out))
    }
}

/// Series that are fetched together, where this is the first of them. Few would cost more than they save.
fn next_together(series: &[(SeriesRef, Labels)], place: usize) -> Option<&[(SeriesRef, Labels)]> {
    let next = &series[place..series.len().min(place + TOGETHER)];
    (place.is_multiple_of(TOGETHER) && next.len() > 1).then_some(next)
}

/// Takes the staleness markers out: inside a range they say nothing.
fn drop_stale(columns: &mut Columns) {
    if columns.values.iter().fold(0, |found, value| found + usize::from(is_stale(*value))) == 0 {
        return;
    }
    let mut kept = 0;
    for place in 0..columns.values.len() {
        if !is_stale(columns.values[place]) {
            columns.times[kept] = columns.times[place];
            columns.values[kept] = columns.values[place];
            kept += 1;
        }
    }
    columns.times.truncate(kept);
    columns.values.truncate(kept);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn even_steps_are_what_a_walk_sees() {
        let mut seed = 7_u64;
        let mut below = |end: i64| {
            seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            ((seed >> 33) % end as u64) as i64
        };
        let mut seen = 0;
        for _ in 0..20_000 {
            let between = 1 + below(6);
            let (begin, samples) = (below(40) - 20, 2 + below(30));
            let times: Vec<Time> = (0..samples).map(|nth| Time(begin + nth * between)).collect();
            let grid = Grid { start: below(60) - 30, step: between * (1 + below(3)), count: 1 + below(20) as usize };
            let windows = Windows { grid, range: below(20), offset: below(5), at: None, before: 0, after: 0 };
            let Some(even) = windows.even(&times) else { continue };
            seen += 1;
            let mut places = vec![None; grid.count];
            windows.walk_places(&times, |step, first, past| places[step] = Some((first, past - 1)));
            for (nth, step) in even.steps.clone().enumerate() {
                let on = nth * even.stride;
                assert_eq!(places[step], Some((even.first + on, even.last + on)), "{grid:?} {times:?} {step}");
                let edges = |step: usize, first: usize, last: usize| {
                    (windows.end(step) - times[last].0, times[first].0 - windows.end(step))
                };
                assert_eq!(edges(step, even.first + on, even.last + on), edges(even.steps.start, even.first, even.last));
            }
        }
        assert!(seen > 3_000, "{seen}");
        let uneven = [Time(0), Time(10), Time(21)];
        let grid = Grid { start: 0, step: 10, count: 3 };
        assert!(Windows { grid, range: 20, offset: 0, at: None, before: 0, after: 0 }.even(&uneven).is_none());
    }
}
