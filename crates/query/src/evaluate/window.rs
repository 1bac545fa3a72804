//! Functions over time: each takes the window of samples before a step and makes one value of it.

use model::Time;

use super::select::{Take, Window, Windows};
pub(super) use super::slope::{Slope, extrapolated};
use super::stream::{Scratch, Stream};
use super::table::{Data, Row, Table};
use super::{Evaluator, Grid, arithmetic, edges, lanes};
use crate::ast::{Call, Edges, Expr, ExprKind, Span, ValueType};
use crate::error::EvalError;

impl<'a> Evaluator<'a> {
    /// A function with a range vector among its arguments.
    pub fn over_time(&mut self, call: &Call, span: Span, grid: Grid) -> Result<Data, EvalError> {
        if call.function.name == "absent_over_time" {
            let found = self.rolled(&call.args[0], grid, span, false, |_, _, _| Some(1.0))?;
            let found = self.collect(found, grid.count)?;
            return Ok(Data::Vector(super::labels::absent(&call.args[0], &found)));
        }
        let stream = self.over_time_rows(call, span, grid)?;
        Ok(Data::Vector(self.collect(stream, grid.count)?))
    }

    /// A function over time that makes one row of each row.
    pub fn over_time_rows(&mut self, call: &Call, span: Span, grid: Grid) -> Result<Stream<'a>, EvalError> {
        let name = call.function.name;
        let range = call.args.iter().find(|arg| arg.value_type() == ValueType::Matrix).expect("the type check saw one");
        let edges = match &range.unparenthesized().kind {
            ExprKind::Matrix(matrix) => matrix.selector.edges,
            _ => None,
        };
        if let Some(edges) = edges {
            let allowed = edges::allowed(edges);
            if !allowed.contains(&name) {
                let word = if edges == Edges::Anchored { "anchored" } else { "smoothed" };
                let message = format!("{word} modifier can only be used with: {} - not with {name}", allowed.join(", "));
                return Err(EvalError::failed(span, message));
            }
        }
        let slope = |counter, per_second| Slope { counter, per_second, edges };
        match name {
            "changes" if edges.is_some() => self.roll(range, span, grid, |_, _, window| edges::anchored(window).map(changes)),
            "resets" if edges.is_some() => self.roll(range, span, grid, |_, _, window| edges::anchored(window).map(resets)),
            "rate" => self.slope(range, span, grid, slope(true, true)),
            "increase" => self.slope(range, span, grid, slope(true, false)),
            "delta" => self.slope(range, span, grid, slope(false, false)),
            "irate" => self.roll(range, span, grid, |_, _, window| last_two(window, true)),
            "idelta" => self.roll(range, span, grid, |_, _, window| last_two(window, false)),
            "avg_over_time" => self.columns(range, span, grid, lanes::means),
            "sum_over_time" => self.columns(range, span, grid, lanes::sums),
            "stdvar_over_time" => self.columns(range, span, grid, |windows, scratch, values, present| {
                lanes::variances(windows, scratch, values, present, |variance| variance);
            }),
            "stddev_over_time" => self.columns(range, span, grid, |windows, scratch, values, present| {
                lanes::variances(windows, scratch, values, present, f64::sqrt);
            }),
            "min_over_time" => self.columns(range, span, grid, |windows, scratch, values, present| {
                lanes::extremes(windows, scratch, values, present, |a, b| a < b);
            }),
            "max_over_time" => self.columns(range, span, grid, |windows, scratch, values, present| {
                lanes::extremes(windows, scratch, values, present, |a, b| a > b);
            }),
            "count_over_time" => self.roll(range, span, grid, |_, _, window| Some(window.values.len() as f64)),
            "present_over_time" => self.roll(range, span, grid, |_, _, _| Some(1.0)),
            // The time functions take the last of equal samples, the value functions don't care.
            "ts_of_min_over_time" => self.roll(range, span, grid, |_, _, w| Some(w.times[extreme(w, |a, b| a <= b)].secs_f64())),
            "ts_of_max_over_time" => self.roll(range, span, grid, |_, _, w| Some(w.times[extreme(w, |a, b| a >= b)].secs_f64())),
            "ts_of_first_over_time" => self.roll(range, span, grid, |_, _, w| w.times.first().map(|time| time.secs_f64())),
            "ts_of_last_over_time" => self.roll(range, span, grid, |_, _, w| w.times.last().map(|time| time.secs_f64())),
            "changes" => self.roll(range, span, grid, |_, _, window| Some(changes(window.values))),
            "resets" => self.roll(range, span, grid, |_, _, window| Some(resets(window.values))),
            "deriv" => self.roll(range, span, grid, |_, _, window| {
                (window.values.len() > 1).then(|| arithmetic::linear_regression(window.times, window.values, window.times[0].0).0)
            }),
            "last_over_time" => self.rolled(range, grid, span, false, |_, _, window| window.values.last().copied()),
            "first_over_time" => self.rolled(range, grid, span, false, |_, _, window| window.values.first().copied()),
            "predict_linear" => {
                let ahead = self.scalar(&call.args[1], grid)?;
                self.roll(range, span, grid, move |_, step, window| {
                    (window.values.len() > 1).then(|| {
                        let (slope, now) = arithmetic::linear_regression(window.times, window.values, grid.time(step));
                        slope * ahead[step] + now
                    })
                })
            }
            "quantile_over_time" => {
                let quantiles = self.scalar(&call.args[0], grid)?;
                self.warn_of_quantiles(&quantiles, call.args[0].span);
                self.roll(range, span, grid, move |sorted, step, window| {
                    sorted.clear();
                    sorted.extend_from_slice(window.values);
                    Some(arithmetic::quantile(quantiles[step], sorted))
                })
            }
            "mad_over_time" => self.roll(range, span, grid, |sorted, _, window| Some(median_deviation(window.values, sorted))),
            "double_exponential_smoothing" => {
                let (smoothing, trend) = (self.scalar(&call.args[1], grid)?, self.scalar(&call.args[2], grid)?);
                for (factors, what, arg) in [(&smoothing, "smoothing", 1), (&trend, "trend", 2)] {
                    if let Some(bad) = factors.iter().find(|factor| **factor <= 0.0 || **factor >= 1.0) {
                        let short = if arg == 1 { "sf" } else { "tf" };
                        let message = format!("invalid {what} factor. Expected: 0 < {short} < 1, got: {bad:.6}");
                        return Err(EvalError::failed(call.args[arg].span, message));
                    }
                }
                self.roll(range, span, grid, move |_, step, window| double_smoothed(window.values, smoothing[step], trend[step]))
            }
            other => Err(EvalError::not_yet(span, format!("the function `{other}`"))),
        }
    }

    /// Makes one value of each window, and takes the metric's name off. The numbers are a buffer to use.
    fn roll(
        &mut self,
        range: &Expr,
        span: Span,
        grid: Grid,
        make: impl Fn(&mut Vec<f64>, usize, Window<'_>) -> Option<f64> + Sync + 'a,
    ) -> Result<Stream<'a>, EvalError> {
        self.rolled(range, grid, span, true, make)
    }

    fn rolled(
        &mut self,
        range: &Expr,
        grid: Grid,
        span: Span,
        unnamed: bool,
        make: impl Fn(&mut Vec<f64>, usize, Window<'_>) -> Option<f64> + Sync + 'a,
    ) -> Result<Stream<'a>, EvalError> {
        let stream = self.columns(range, span, grid, move |windows, scratch, values, present| {
            let Scratch { columns, numbers, .. } = scratch;
            windows.walk(columns, |step, window| {
                if let Some(value) = make(numbers, step, window) {
                    (values[step], present[step]) = (value, true);
                }
            });
        })?;
        Ok(Stream { unnamed, ..stream })
    }

    /// Makes the cells of a series out of its samples, all windows at once.
    fn columns(
        &mut self,
        range: &Expr,
        span: Span,
        grid: Grid,
        make: impl Fn(&Windows, &mut Scratch, &mut [f64], &mut [bool]) + Sync + 'a,
    ) -> Result<Stream<'a>, EvalError> {
        let (ranged, windows) = self.ranged(range, grid)?;
        let means = self.means();
        let rows =
            (0..ranged.len()).map(|place| ranged.labels(place)).map(|(labels, drop_name)| Row { labels, drop_name }).collect();
        let fill = move |row: usize, scratch: &mut Scratch, values: &mut [f64], present: &mut [bool]| {
            ranged.load(&means, &windows, row, scratch)?;
            make(&windows, scratch, values, present);
            Ok(())
        };
        Ok(Stream { rows, fill: Box::new(fill), unnamed: true, counters: None, span })
    }

    /// As [`Self::renamed`], but two series may not have the same labels even where they never meet.
    pub fn renamed_strictly(&self, mut table: Table, span: Span) -> Result<Table, EvalError> {
        let delayed = self.params.delayed_name_removal;
        let one_name = table.rows.windows(2).all(|pair| pair[0].labels.metric() == pair[1].labels.metric());
        table.drop_names(delayed);
        if delayed || one_name { Ok(table) } else { table.merge_same_labels(span, true) }
    }

    fn slope(&mut self, range: &Expr, span: Span, grid: Grid, slope: Slope) -> Result<Stream<'a>, EvalError> {
        let stream = self.columns(range, span, grid, move |windows, scratch, values, present| {
            slope.fill(windows, scratch, values, present);
        })?;
        Ok(Stream { counters: slope.counter.then_some(range.span), ..stream })
    }

    /// Says of each metric that is read as a counter but not named like one. Rows that made no value say nothing.
    pub fn note_non_counters<'r>(&mut self, rows: impl Iterator<Item = &'r Row>, span: Span) {
        let mut told = "";
        for row in rows.filter(|row| !row.drop_name) {
            let name = row.labels.metric();
            let counter = ["_total", "_sum", "_count", "_bucket"].iter().any(|end| name.ends_with(end));
            if !counter && !name.is_empty() && name != told {
                let text = "metric might not be a counter, name does not end in _total/_sum/_count/_bucket";
                self.annotations.info(span, format_args!("{text}: {name:?}"));
                told = name;
            }
        }
    }

    pub fn warn_of_quantiles(&mut self, quantiles: &[f64], span: Span) {
        for quantile in quantiles.iter().filter(|quantile| !(0.0..=1.0).contains(*quantile)) {
            let shown = crate::literal::AsNumber(*quantile);
            self.annotations.warn(span, format_args!("quantile value should be between 0 and 1, got {shown}"));
        }
    }

    /// `timestamp(x)`: the samples' own times where `x` is a selector, else the steps.
    pub fn timestamps(&mut self, arg: &Expr, span: Span, grid: Grid) -> Result<Data, EvalError> {
        let table = match &arg.unparenthesized().kind {
            ExprKind::Vector(selector) => {
                let stream = self.select(selector, grid, Take::Time)?;
                self.collect(stream, grid.count)?
            }
            _ => {
                let mut table = self.vector(arg, grid)?;
                for row in 0..table.rows.len() {
                    let (values, _) = table.row_mut(row);
                    values.iter_mut().enumerate().for_each(|(step, value)| *value = Time(grid.time(step)).secs_f64());
                }
                table
            }
        };
        Ok(Data::Vector(self.renamed(table, span)?))
    }
}

pub(super) fn last_two(window: Window<'_>, counter_rate: bool) -> Option<f64> {
    let count = window.values.len();
    if count < 2 {
        return None;
    }
    let (before, last) = (window.values[count - 2], window.values[count - 1]);
    let micros = window.times[count - 1].0 - window.times[count - 2].0;
    if micros == 0 {
        return None;
    }
    let growth = if counter_rate && last < before { last } else { last - before };
    Some(if counter_rate { growth / (micros as f64 / 1e6) } else { growth })
}

/// Where the extreme stands. NaN only wins when there is nothing else.
pub(super) fn extreme(window: Window<'_>, better: impl Fn(f64, f64) -> bool) -> usize {
    let mut best = 0;
    for (place, &value) in window.values.iter().enumerate() {
        if better(value, window.values[best]) || window.values[best].is_nan() {
            best = place;
        }
    }
    best
}

pub(super) fn changes(values: &[f64]) -> f64 {
    let changed = |pair: &&[f64]| pair[0] != pair[1] && !(pair[0].is_nan() && pair[1].is_nan());
    values.windows(2).filter(changed).count() as f64
}

pub(super) fn resets(values: &[f64]) -> f64 {
    values.windows(2).filter(|pair| pair[1] < pair[0]).count() as f64
}

fn median_deviation(values: &[f64], sorted: &mut Vec<f64>) -> f64 {
    if values.iter().any(|value| value.is_nan()) {
        return f64::NAN;
    }
    sorted.clear();
    sorted.extend_from_slice(values);
    let median = arithmetic::quantile(0.5, sorted);
    sorted.iter_mut().for_each(|value| *value = (*value - median).abs());
    arithmetic::quantile(0.5, sorted)
}

fn double_smoothed(values: &[f64], smoothing: f64, trend: f64) -> Option<f64> {
    let [first, second, ..] = values else { return None };
    let (mut before, mut level, mut slope) = (0.0, *first, second - first);
    for (place, value) in values.iter().enumerate().skip(1) {
        if place > 1 {
            slope = trend * (level - before) + (1.0 - trend) * slope;
        }
        let next = smoothing * value + (1.0 - smoothing) * (level + slope);
        (before, level) = (level, next);
    }
    Some(level)
}
