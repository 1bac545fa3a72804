//! Functions over time: each takes the window of samples before a step and makes one value of it.

use model::Time;

use super::select::{Take, Window, Windows};
use super::table::{Data, Table};
use super::{Evaluator, Grid, arithmetic, edges};
use crate::ast::{Call, Edges, Expr, ExprKind, Span, ValueType};
use crate::error::EvalError;
use crate::source::Columns;

/// How rate, increase and delta differ.
#[derive(Clone, Copy)]
pub(super) struct Slope {
    pub counter: bool,
    pub per_second: bool,
    pub edges: Option<Edges>,
}

impl Evaluator<'_> {
    /// A function with a range vector among its arguments.
    pub fn over_time(&mut self, call: &Call, span: Span, grid: Grid) -> Result<Data, EvalError> {
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
        match name {
            "changes" if edges.is_some() => self.roll(range, span, grid, |_, window| edges::anchored(window).map(changes)),
            "resets" if edges.is_some() => self.roll(range, span, grid, |_, window| edges::anchored(window).map(resets)),
            "rate" => self.slope(range, span, grid, Slope { counter: true, per_second: true, edges }),
            "increase" => self.slope(range, span, grid, Slope { counter: true, per_second: false, edges }),
            "delta" => self.slope(range, span, grid, Slope { counter: false, per_second: false, edges }),
            "irate" => self.roll(range, span, grid, |_, window| last_two(window, true)),
            "idelta" => self.roll(range, span, grid, |_, window| last_two(window, false)),
            "avg_over_time" => self.roll(range, span, grid, |_, window| Some(arithmetic::mean(window.values))),
            "sum_over_time" => self.roll(range, span, grid, |_, window| Some(arithmetic::sum(window.values))),
            "count_over_time" => self.roll(range, span, grid, |_, window| Some(window.values.len() as f64)),
            "present_over_time" => self.roll(range, span, grid, |_, _| Some(1.0)),
            "min_over_time" => self.roll(range, span, grid, |_, window| Some(window.values[extreme(window, |a, b| a < b)])),
            "max_over_time" => self.roll(range, span, grid, |_, window| Some(window.values[extreme(window, |a, b| a > b)])),
            // The time functions take the last of equal samples, the value functions don't care.
            "ts_of_min_over_time" => self.roll(range, span, grid, |_, w| Some(w.times[extreme(w, |a, b| a <= b)].secs_f64())),
            "ts_of_max_over_time" => self.roll(range, span, grid, |_, w| Some(w.times[extreme(w, |a, b| a >= b)].secs_f64())),
            "ts_of_first_over_time" => self.roll(range, span, grid, |_, w| w.times.first().map(|time| time.secs_f64())),
            "ts_of_last_over_time" => self.roll(range, span, grid, |_, w| w.times.last().map(|time| time.secs_f64())),
            "stdvar_over_time" => self.roll(range, span, grid, |_, window| Some(arithmetic::variance(window.values))),
            "stddev_over_time" => self.roll(range, span, grid, |_, window| Some(arithmetic::variance(window.values).sqrt())),
            "changes" => self.roll(range, span, grid, |_, window| Some(changes(window.values))),
            "resets" => self.roll(range, span, grid, |_, window| Some(resets(window.values))),
            "deriv" => self.roll(range, span, grid, |_, window| {
                (window.values.len() > 1).then(|| arithmetic::linear_regression(window.times, window.values, window.times[0].0).0)
            }),
            "last_over_time" => self.roll_named(range, grid, |_, window| window.values.last().copied()),
            "first_over_time" => self.roll_named(range, grid, |_, window| window.values.first().copied()),
            "predict_linear" => {
                let ahead = self.scalar(&call.args[1], grid)?;
                self.roll(range, span, grid, |step, window| {
                    (window.values.len() > 1).then(|| {
                        let (slope, now) = arithmetic::linear_regression(window.times, window.values, grid.time(step));
                        slope * ahead[step] + now
                    })
                })
            }
            "quantile_over_time" => {
                let quantiles = self.scalar(&call.args[0], grid)?;
                self.warn_of_quantiles(&quantiles, call.args[0].span);
                let mut sorted = Vec::new();
                self.roll(range, span, grid, |step, window| {
                    sorted.clear();
                    sorted.extend_from_slice(window.values);
                    Some(arithmetic::quantile(quantiles[step], &mut sorted))
                })
            }
            "mad_over_time" => {
                let mut sorted = Vec::new();
                self.roll(range, span, grid, |_, window| Some(median_deviation(window.values, &mut sorted)))
            }
            "double_exponential_smoothing" => {
                let (smoothing, trend) = (self.scalar(&call.args[1], grid)?, self.scalar(&call.args[2], grid)?);
                for (factors, what, arg) in [(&smoothing, "smoothing", 1), (&trend, "trend", 2)] {
                    if let Some(bad) = factors.iter().find(|factor| **factor <= 0.0 || **factor >= 1.0) {
                        let short = if arg == 1 { "sf" } else { "tf" };
                        let message = format!("invalid {what} factor. Expected: 0 < {short} < 1, got: {bad:.6}");
                        return Err(EvalError::failed(call.args[arg].span, message));
                    }
                }
                self.roll(range, span, grid, |step, window| double_smoothed(window.values, smoothing[step], trend[step]))
            }
            "absent_over_time" => self.absent_over_time(range, grid),
            other => Err(EvalError::not_yet(span, format!("the function `{other}`"))),
        }
    }

    /// Makes one value of each window, and takes the metric's name off.
    fn roll(
        &mut self,
        range: &Expr,
        span: Span,
        grid: Grid,
        make: impl FnMut(usize, Window<'_>) -> Option<f64>,
    ) -> Result<Data, EvalError> {
        let Data::Vector(table) = self.roll_named(range, grid, make)? else { unreachable!("rolling makes a vector") };
        Ok(Data::Vector(self.renamed_strictly(table, span)?))
    }

    /// As [`Self::renamed`], but two series may not have the same labels even where they never meet.
    pub fn renamed_strictly(&self, mut table: Table, span: Span) -> Result<Table, EvalError> {
        let delayed = self.params.delayed_name_removal;
        let one_name = table.rows.windows(2).all(|pair| pair[0].labels.metric() == pair[1].labels.metric());
        table.drop_names(delayed);
        if delayed || one_name { Ok(table) } else { table.merge_same_labels(span, true) }
    }

    fn roll_named(
        &mut self,
        range: &Expr,
        grid: Grid,
        mut make: impl FnMut(usize, Window<'_>) -> Option<f64>,
    ) -> Result<Data, EvalError> {
        self.roll_columns(range, grid, |windows, columns, values, present| {
            windows.walk(columns, |step, window| {
                if let Some(value) = make(step, window) {
                    values[step] = value;
                    present[step] = true;
                }
            });
        })
    }

    fn roll_columns(
        &mut self,
        range: &Expr,
        grid: Grid,
        mut fill: impl FnMut(&Windows, &Columns, &mut [f64], &mut [bool]),
    ) -> Result<Data, EvalError> {
        let (ranged, windows) = self.ranged(range, grid)?;
        self.charge_cells(ranged.len() * grid.count)?;
        let mut table = Table::new(grid.count);
        for place in 0..ranged.len() {
            self.load_ranged(&ranged, place)?;
            let (labels, drop_name) = ranged.labels(place);
            let (values, present) = table.push(labels, drop_name);
            fill(&windows, &self.columns, values, present);
            table.pop_if_empty();
        }
        Ok(Data::Vector(table))
    }

    fn slope(&mut self, range: &Expr, span: Span, grid: Grid, slope: Slope) -> Result<Data, EvalError> {
        let mut resets = Vec::new();
        let data = self.roll_columns(range, grid, |windows, columns, values, present| {
            resets.clear();
            if slope.counter {
                let pairs = columns.values.windows(2).enumerate();
                resets.extend(pairs.filter(|(_, pair)| pair[1] < pair[0]).map(|(place, _)| place));
            }
            // Places in the column after which the counter started again; walked once, like the samples.
            let mut next = 0;
            windows.walk(columns, |step, window| {
                while next < resets.len() && resets[next] < window.first {
                    next += 1;
                }
                let last = window.first + window.values.len() - 1;
                let lost = resets[next..].iter().take_while(|place| **place < last).map(|place| columns.values[*place]);
                let value = match slope.edges {
                    None => extrapolated(window, lost, windows.range, slope),
                    Some(edges) => edges::growth(window, edges, slope.counter).map(|growth| {
                        let seconds = windows.range as f64 / 1e6;
                        if slope.per_second { growth / seconds } else { growth }
                    }),
                };
                if let Some(value) = value {
                    values[step] = value;
                    present[step] = true;
                }
            });
        })?;
        let Data::Vector(table) = data else { unreachable!("rolling makes a vector") };
        if slope.counter {
            self.note_non_counters(&table, range.span);
        }
        Ok(Data::Vector(self.renamed_strictly(table, span)?))
    }

    fn note_non_counters(&mut self, table: &Table, span: Span) {
        let mut told = "";
        for row in table.rows.iter().filter(|row| !row.drop_name) {
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

    fn absent_over_time(&mut self, range: &Expr, grid: Grid) -> Result<Data, EvalError> {
        let Data::Vector(found) = self.roll_named(range, grid, |_, _| Some(1.0))? else { unreachable!("rolling makes a vector") };
        Ok(Data::Vector(super::labels::absent(range, &found)))
    }

    /// `timestamp(x)`: the samples' own times where `x` is a selector, else the steps.
    pub fn timestamps(&mut self, arg: &Expr, span: Span, grid: Grid) -> Result<Data, EvalError> {
        let table = match &arg.unparenthesized().kind {
            ExprKind::Vector(selector) => self.select(selector, grid, Take::Time)?,
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

/// The growth within the window, carried on to its edges where the samples come close enough to them.
pub(super) fn extrapolated(window: Window<'_>, lost: impl Iterator<Item = f64>, range: i64, slope: Slope) -> Option<f64> {
    let count = window.values.len();
    if count < 2 {
        return None;
    }
    let (first, last) = (window.values[0], window.values[count - 1]);
    let mut growth = last - first;
    lost.for_each(|value| growth += value);
    let (first_time, last_time) = (window.times[0].0, window.times[count - 1].0);
    let seconds = |micros: i64| micros as f64 / 1e6;
    let mut to_start = seconds(first_time.saturating_sub(window.start));
    let mut to_end = seconds(window.end.saturating_sub(last_time));
    let sampled = seconds(last_time - first_time);
    let between = sampled / (count - 1) as f64;
    // A sample would have been expected within 1.1 intervals; else the series begins or ends inside the window, and is
    // carried on by half an interval.
    let threshold = between * 1.1;
    if to_start >= threshold {
        to_start = between / 2.0;
    }
    if slope.counter && growth > 0.0 && first >= 0.0 {
        // A counter was never below zero.
        let to_zero = sampled * (first / growth);
        if to_zero < to_start {
            to_start = to_zero;
        }
    }
    if to_end >= threshold {
        to_end = between / 2.0;
    }
    let mut factor = if sampled == 0.0 { 1.0 } else { (sampled + to_start + to_end) / sampled };
    if slope.per_second {
        factor /= seconds(range);
    }
    Some(growth * factor)
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
