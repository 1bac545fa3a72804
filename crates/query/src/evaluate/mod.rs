//! Evaluates a query: every part becomes a table of series with one cell per step, all steps at once.
//!
//! Reads the source and nothing else; what it may use is given in [`Params`]. The parts:
//! [`table`] what a part becomes, [`stream`] how its rows are made, [`select`] selectors and windows, [`window`] functions
//! over ranges, [`aggregate`], [`binary`], [`call`] functions over instants, [`buckets`] classic histograms, [`duration`].

mod aggregate;
mod arithmetic;
mod binary;
mod buckets;
mod call;
mod duration;
mod edges;
pub mod element;
mod fold;
mod info;
mod labels;
mod lanes;
mod line;
mod select;
mod slope;
mod stream;
mod table;
mod window;

pub(crate) use duration::{DurationContext, resolve_duration};
pub(crate) use info::{conditions as info_conditions, first_selector};

use std::time::Duration;

use model::{Labels, Time};

use crate::ast::{Expr, ExprKind, Span, Unary, ValueType};
use crate::error::{EvalError, ParseError};
use crate::source::Source;
use crate::value::{Annotations, Answer, Series, Value, VectorSample};
use stream::Scratch;
use table::{Data, Table, without_name};

/// What one query may use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Most cells and samples held at once.
    pub samples: u64,
    /// Most samples read from the source in all, whether held or not: for callers who have little time.
    pub read: u64,
    /// Most series of one selector.
    pub series: usize,
    /// Most steps of a range.
    pub steps: usize,
}

impl Default for Limits {
    fn default() -> Limits {
        Limits { samples: 50_000_000, read: u64::MAX, series: 1_000_000, steps: 11_000 }
    }
}

/// When to evaluate, and with what means.
#[derive(Clone)]
pub struct Params<'a> {
    /// First step.
    pub start: Time,
    /// Last step at most; included when it lies on one.
    pub end: Time,
    /// Distance of the steps. Zero: an instant query at `start`.
    pub step: Duration,
    /// How old an instant selector's sample may be; five minutes in Prometheus.
    pub lookback: Duration,
    /// The step of a subquery that names none; one minute in Prometheus.
    pub subquery_step: Duration,
    /// Keeps the metric's name until the end, as Prometheus with `promql-delayed-name-removal`. Off there by default.
    pub delayed_name_removal: bool,
    /// How much it may use.
    pub limits: Limits,
    /// Asked now and then; true stops the query with [`EvalError::Cancelled`].
    pub cancel: Option<&'a (dyn Fn() -> bool + Sync)>,
}

/// Prometheus' lookback.
pub const LOOKBACK: Duration = Duration::from_secs(300);

impl<'a> Params<'a> {
    /// An instant query.
    pub fn instant(at: Time) -> Params<'a> {
        Params::range(at, at, Duration::ZERO)
    }

    /// A query over a range.
    pub fn range(start: Time, end: Time, step: Duration) -> Params<'a> {
        Params {
            start,
            end,
            step,
            lookback: LOOKBACK,
            subquery_step: Duration::from_secs(60),
            delayed_name_removal: false,
            limits: Limits::default(),
            cancel: None,
        }
    }

    /// With a flag or deadline that is asked now and then.
    pub fn with_cancel(mut self, cancel: &'a (dyn Fn() -> bool + Sync)) -> Params<'a> {
        self.cancel = Some(cancel);
        self
    }
}

/// A parsed query and when to evaluate it, for callers who keep it.
#[derive(Clone, Debug)]
pub struct Query {
    /// What.
    pub expr: Expr,
    /// First step.
    pub start: Time,
    /// Last step at most.
    pub end: Time,
    /// Distance of the steps; zero for an instant query.
    pub step: Duration,
    /// How old an instant selector's sample may be.
    pub lookback: Duration,
}

impl Query {
    /// Parses `text`; times as in `params`.
    pub fn new(text: &str, params: &Params<'_>) -> Result<Query, ParseError> {
        let expr = crate::parse(text)?;
        Ok(Query { expr, start: params.start, end: params.end, step: params.step, lookback: params.lookback })
    }

    /// Evaluates it with the usual limits.
    pub fn run(&self, source: &dyn Source) -> Result<Answer, EvalError> {
        let params = Params { lookback: self.lookback, ..Params::range(self.start, self.end, self.step) };
        evaluate(&self.expr, &params, source)
    }
}

/// The steps at which a part is evaluated, in microseconds.
#[derive(Clone, Copy, Debug)]
struct Grid {
    start: i64,
    step: i64,
    count: usize,
}

impl Grid {
    fn time(&self, step: usize) -> i64 {
        self.start + self.step * step as i64
    }
}

/// Evaluates a parsed query over a source.
pub fn evaluate(expr: &Expr, params: &Params<'_>, source: &dyn Source) -> Result<Answer, EvalError> {
    let grid = whole_grid(params)?;
    let range = (params.end.0 - params.start.0).max(0) as f64 / 1e6;
    let context = DurationContext { step: params.step.as_secs_f64(), range };
    let mut evaluator = Evaluator {
        params,
        source,
        context,
        query: grid,
        instant: params.step.is_zero(),
        annotations: Annotations::default(),
        samples_read: 0,
        cells: 0,
        scratch: Scratch::default(),
    };
    let value = evaluator.answer(expr, grid)?;
    Ok(Answer { value, annotations: evaluator.annotations, samples_read: evaluator.samples_read })
}

fn whole_grid(params: &Params<'_>) -> Result<Grid, EvalError> {
    // Far enough from the ends of 64 bits that ranges and offsets can be added without care.
    let fits = |time: Time| time.0.unsigned_abs() < 1 << 62;
    if !fits(params.start) || !fits(params.end) {
        return Err(EvalError::Range("the times of the query are out of range".into()));
    }
    if params.end < params.start {
        return Err(EvalError::Range("the end of the range lies before its start".into()));
    }
    if params.step.is_zero() {
        return Ok(Grid { start: params.start.0, step: 0, count: 1 });
    }
    let step = i64::try_from(params.step.as_micros()).unwrap_or(i64::MAX).max(1);
    let count = (params.end.0 - params.start.0) / step + 1;
    if count as u64 > params.limits.steps as u64 {
        let most = params.limits.steps;
        let grouped = if most == 11_000 { "11,000".to_string() } else { most.to_string() };
        return Err(EvalError::Range(format!(
            "exceeded maximum resolution of {grouped} points per timeseries. Try decreasing the query resolution (?step=XX)"
        )));
    }
    Ok(Grid { start: params.start.0, step, count: count as usize })
}

struct Evaluator<'a> {
    params: &'a Params<'a>,
    source: &'a dyn Source,
    context: DurationContext,
    /// The steps of the whole query, for `start()` and `end()`.
    query: Grid,
    instant: bool,
    annotations: Annotations,
    samples_read: u64,
    cells: u64,
    /// Kept for its memory.
    scratch: Scratch,
}

impl Evaluator<'_> {
    fn answer(&mut self, expr: &Expr, grid: Grid) -> Result<Value, EvalError> {
        if self.instant && matches!(expr.unparenthesized().kind, ExprKind::Matrix(_) | ExprKind::Subquery(_)) {
            return self.bare_range(expr.unparenthesized(), grid);
        }
        if !self.instant && matches!(expr.value_type(), ValueType::Matrix | ValueType::String) {
            let message =
                format!("a query over a range must be a scalar or an instant vector, this is {}", expr.value_type().said());
            return Err(EvalError::failed(expr.span, message));
        }
        Ok(match self.eval(expr, grid)? {
            Data::Text(text) => Value::String(text),
            Data::Scalar(values) if self.instant => Value::Scalar { time: Time(grid.start), value: values[0] },
            Data::Scalar(values) => {
                let times = (0..grid.count).map(|step| Time(grid.time(step))).collect();
                Value::Matrix(vec![Series { labels: Labels::empty(), times, values }])
            }
            Data::Vector(mut table) => {
                for row in table.rows.iter_mut().filter(|row| row.drop_name) {
                    row.labels = without_name(&row.labels);
                }
                let table = table.merge_same_labels(expr.span, false)?;
                if self.instant { vector(&table, grid) } else { matrix(&table, grid) }
            }
        })
    }

    /// Stops the query when the caller wants that.
    fn check_cancel(&self) -> Result<(), EvalError> {
        match self.params.cancel {
            Some(cancel) if cancel() => Err(EvalError::Cancelled),
            _ => Ok(()),
        }
    }

    /// Counts the cells that a selector is about to hold.
    fn charge_cells(&mut self, count: usize) -> Result<(), EvalError> {
        self.cells += count as u64;
        self.check_limits()
    }

    fn check_limits(&self) -> Result<(), EvalError> {
        let Limits { samples: limit, read, .. } = self.params.limits;
        if self.cells > limit {
            return Err(EvalError::Limit { what: "the query holds too many samples at once", limit });
        }
        if self.samples_read > read {
            return Err(EvalError::Limit { what: "the query reads too many samples", limit: read });
        }
        Ok(())
    }

    fn eval(&mut self, expr: &Expr, grid: Grid) -> Result<Data, EvalError> {
        self.check_cancel()?;
        // What does not move with the steps is computed once.
        if grid.count > 1 && stands_still(expr) {
            let once = Grid { count: 1, ..grid };
            return Ok(match self.eval(expr, once)? {
                Data::Scalar(values) => Data::Scalar(vec![values[0]; grid.count]),
                Data::Text(text) => Data::Text(text),
                Data::Vector(table) => {
                    self.charge_cells(table.rows.len() * grid.count)?;
                    Data::Vector(table.repeated(grid.count))
                }
            });
        }
        match &expr.kind {
            ExprKind::Number(number) => Ok(Data::Scalar(vec![number.value; grid.count])),
            ExprKind::String(text) => Ok(Data::Text(text.clone())),
            ExprKind::Paren(inner) => self.eval(inner, grid),
            ExprKind::Vector(selector) => {
                let stream = self.select(selector, grid, select::Take::Value)?;
                Ok(Data::Vector(self.collect(stream, grid.count)?))
            }
            ExprKind::Unary(unary) => self.unary(unary, expr.span, grid),
            ExprKind::Binary(binary) => self.binary(binary, expr.span, grid),
            ExprKind::Aggregate(aggregate) => Ok(Data::Vector(self.aggregate(aggregate, expr.span, grid)?)),
            ExprKind::Call(call) => self.call(call, expr.span, grid),
            ExprKind::Matrix(_) | ExprKind::Subquery(_) => {
                Err(EvalError::failed(expr.span, "a range vector needs a function over time around it"))
            }
        }
    }

    fn unary(&mut self, unary: &Unary, span: Span, grid: Grid) -> Result<Data, EvalError> {
        let data = self.eval(&unary.expr, grid)?;
        if !unary.negative {
            return Ok(data);
        }
        Ok(match data {
            Data::Scalar(mut values) => {
                values.iter_mut().for_each(|value| *value = -*value);
                Data::Scalar(values)
            }
            Data::Vector(mut table) => {
                table.values.iter_mut().for_each(|value| *value = -*value);
                Data::Vector(self.renamed_strictly(table, span)?)
            }
            text => text,
        })
    }

    /// Takes the names off, since the value is no longer the metric's.
    fn renamed(&self, mut table: Table, span: Span) -> Result<Table, EvalError> {
        let delayed = self.params.delayed_name_removal;
        let one_name = table.rows.windows(2).all(|pair| pair[0].labels.metric() == pair[1].labels.metric());
        table.drop_names(delayed);
        if delayed || one_name { Ok(table) } else { table.merge_same_labels(span, false) }
    }

    fn vector(&mut self, expr: &Expr, grid: Grid) -> Result<Table, EvalError> {
        match self.eval(expr, grid)? {
            Data::Vector(table) => Ok(table),
            _ => Err(EvalError::failed(expr.span, "an instant vector was expected here")),
        }
    }

    fn scalar(&mut self, expr: &Expr, grid: Grid) -> Result<Vec<f64>, EvalError> {
        match self.eval(expr, grid)? {
            Data::Scalar(values) => Ok(values),
            _ => Err(EvalError::failed(expr.span, "a scalar was expected here")),
        }
    }

    fn text(&mut self, expr: &Expr, grid: Grid) -> Result<String, EvalError> {
        match self.eval(expr, grid)? {
            Data::Text(text) => Ok(text),
            _ => Err(EvalError::failed(expr.span, "a string was expected here")),
        }
    }
}

/// Whether an expression has the same value at every step: all its selectors are pinned and nothing asks the clock.
fn stands_still(expr: &Expr) -> bool {
    fn still(expr: &Expr, pinned: &mut bool) -> bool {
        match &expr.kind {
            ExprKind::Vector(selector) => {
                *pinned |= selector.shift.at.is_some();
                selector.shift.at.is_some()
            }
            ExprKind::Matrix(matrix) => {
                *pinned |= matrix.selector.shift.at.is_some();
                matrix.selector.shift.at.is_some()
            }
            ExprKind::Subquery(subquery) => {
                *pinned |= subquery.shift.at.is_some();
                subquery.shift.at.is_some()
            }
            ExprKind::Call(call) if call::asks_the_clock(call.function.name) => false,
            _ => {
                let mut all = true;
                expr.each_child(|child| all &= still(child, pinned));
                all
            }
        }
    }
    let mut pinned = false;
    still(expr, &mut pinned) && pinned
}

fn vector(table: &Table, grid: Grid) -> Value {
    let time = Time(grid.start);
    let samples =
        table.rows.iter().enumerate().filter_map(|(place, row)| {
            table.cell(place, 0).map(|value| VectorSample { labels: row.labels.clone(), time, value })
        });
    Value::Vector(samples.collect())
}

fn matrix(table: &Table, grid: Grid) -> Value {
    let mut series: Vec<Series> = Vec::with_capacity(table.rows.len());
    for (place, row) in table.rows.iter().enumerate() {
        let (values, present) = table.row(place);
        let here = |step: &usize| present[*step];
        let times: Vec<Time> = (0..grid.count).filter(here).map(|step| Time(grid.time(step))).collect();
        if !times.is_empty() {
            let values = (0..grid.count).filter(here).map(|step| values[step]).collect();
            series.push(Series { labels: row.labels.clone(), times, values });
        }
    }
    series.sort_by(|a, b| a.labels.cmp(&b.labels));
    Value::Matrix(series)
}
