//! One series at a time: the pieces of an evaluation for callers who keep samples and results between evaluations.
//!
//! A rule that is evaluated with every sample can't afford tables. It keeps the window of each series, applies the very
//! functions that a query applies, and so finds the very same bits.

use model::{Labels, Time};

use super::aggregate::{fold_one, group_labels};
use super::arithmetic;
use super::binary::{apply, joined_labels, truth};
use super::select::Window;
use super::window::{Slope, changes, extrapolated, extreme, last_two, resets};
use super::{DurationContext, resolve_duration, without_name};
use crate::ast::{AggregateOp, Binary, BinaryOp, Call, Cardinality, Expr, ExprKind, Grouping, MatrixSelector, Shift};

/// A function of the samples in a window.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[allow(missing_docs, reason = "the names are PromQL's")]
pub enum OverTime {
    Rate,
    Increase,
    Delta,
    Irate,
    Idelta,
    Avg,
    Sum,
    Count,
    Present,
    Min,
    Max,
    Stdvar,
    Stddev,
    Changes,
    Resets,
    Deriv,
    Last,
    First,
}

impl OverTime {
    /// The function of that name, where it is one of these.
    pub fn named(name: &str) -> Option<OverTime> {
        Some(match name {
            "rate" => OverTime::Rate,
            "increase" => OverTime::Increase,
            "delta" => OverTime::Delta,
            "irate" => OverTime::Irate,
            "idelta" => OverTime::Idelta,
            "avg_over_time" => OverTime::Avg,
            "sum_over_time" => OverTime::Sum,
            "count_over_time" => OverTime::Count,
            "present_over_time" => OverTime::Present,
            "min_over_time" => OverTime::Min,
            "max_over_time" => OverTime::Max,
            "stdvar_over_time" => OverTime::Stdvar,
            "stddev_over_time" => OverTime::Stddev,
            "changes" => OverTime::Changes,
            "resets" => OverTime::Resets,
            "deriv" => OverTime::Deriv,
            "last_over_time" => OverTime::Last,
            "first_over_time" => OverTime::First,
            _ => return None,
        })
    }

    /// Whether the result is still that metric.
    pub fn keeps_name(self) -> bool {
        matches!(self, OverTime::Last | OverTime::First)
    }

    /// Whether the result moves with the instant although the samples in the window stay the same.
    pub fn moves(self) -> bool {
        matches!(self, OverTime::Rate | OverTime::Increase | OverTime::Delta)
    }

    /// Whether a falling value means that a counter began anew.
    pub fn counts(self) -> bool {
        matches!(self, OverTime::Rate | OverTime::Increase)
    }

    /// The value of a window: the samples after `start` and up to `end`, without staleness markers. `lost` are the values
    /// in it after which the counter began anew; only [`counts`](Self::counts) asks for them.
    pub fn apply(self, times: &[Time], values: &[f64], start: Time, end: Time, lost: impl Iterator<Item = f64>) -> Option<f64> {
        if values.is_empty() {
            return None;
        }
        let window = Window { times, values, start: start.0, end: end.0 };
        let slope = |counter, per_second| Slope { counter, per_second, edges: None };
        let range = end.0.saturating_sub(start.0);
        match self {
            OverTime::Rate => extrapolated(window, lost, range, slope(true, true)),
            OverTime::Increase => extrapolated(window, lost, range, slope(true, false)),
            OverTime::Delta => extrapolated(window, std::iter::empty(), range, slope(false, false)),
            OverTime::Irate => last_two(window, true),
            OverTime::Idelta => last_two(window, false),
            OverTime::Avg => Some(arithmetic::mean(values)),
            OverTime::Sum => Some(arithmetic::sum(values)),
            OverTime::Count => Some(values.len() as f64),
            OverTime::Present => Some(1.0),
            OverTime::Min => Some(values[extreme(window, |a, b| a < b)]),
            OverTime::Max => Some(values[extreme(window, |a, b| a > b)]),
            OverTime::Stdvar => Some(arithmetic::variance(values)),
            OverTime::Stddev => Some(arithmetic::variance(values).sqrt()),
            OverTime::Changes => Some(changes(values)),
            OverTime::Resets => Some(resets(values)),
            OverTime::Deriv => (values.len() > 1).then(|| arithmetic::linear_regression(times, values, times[0].0).0),
            OverTime::Last => values.last().copied(),
            OverTime::First => values.first().copied(),
        }
    }
}

/// Microseconds that a plain selector looks back; none with `@`.
pub fn offset_of(shift: &Shift) -> Option<i64> {
    let context = DurationContext::default();
    match (&shift.at, &shift.offset) {
        (Some(_), _) => None,
        (None, None) => Some(0),
        (None, Some(offset)) => resolve_duration(offset, &context, true).ok(),
    }
}

/// Microseconds of a range, as of an instant query.
pub fn range_of(matrix: &MatrixSelector) -> Option<i64> {
    resolve_duration(&matrix.range, &DurationContext::default(), false).ok()
}

/// A function of one value, as `abs`.
pub fn plain_function(call: &Call) -> Option<fn(f64) -> f64> {
    super::call::plain_function(call.function.name)
}

/// The number that an expression is, where it is one that reads nothing and asks no clock.
pub fn constant(expr: &Expr) -> Option<f64> {
    Some(match &expr.kind {
        ExprKind::Number(number) => number.value,
        ExprKind::Paren(inner) => constant(inner)?,
        ExprKind::Unary(unary) => {
            let value = constant(&unary.expr)?;
            if unary.negative { -value } else { value }
        }
        ExprKind::Binary(binary) => {
            let (value, holds) = apply(binary.op, constant(&binary.lhs)?, constant(&binary.rhs)?);
            if binary.op.is_comparison() { truth(holds) } else { value }
        }
        _ => return None,
    })
}

/// An operator between two values. None where a comparison without `bool` does not hold, else the value: of a comparison
/// the left one.
#[inline]
pub fn operate(op: BinaryOp, return_bool: bool, left: f64, right: f64) -> Option<f64> {
    let (value, holds) = apply(op, left, right);
    if return_bool { Some(truth(holds)) } else { holds.then_some(value) }
}

/// The labels by which the sides of an operator find each other.
pub fn signature(binary: &Binary, labels: &Labels) -> Labels {
    binary.matching.signature(labels)
}

/// The labels of an operator's result. `many` is the right side with `group_right`, else the left.
pub fn result_labels(binary: &Binary, many: &Labels, one: &Labels) -> Labels {
    joined_labels(binary, false, many, one)
}

/// True where the right side may have several series for one of the left.
pub fn is_swapped(binary: &Binary) -> bool {
    binary.matching.cardinality == Cardinality::OneToMany
}

/// The labels of a series' group.
pub fn grouped(labels: &Labels, grouping: &Grouping) -> Labels {
    group_labels(labels, grouping)
}

/// Without the metric's name: the labels of a computed value.
pub fn unnamed(labels: &Labels) -> Labels {
    without_name(labels)
}

/// Folds the values of one group, in the order of its series. None without values, or where `op` is none that folds one
/// value after the other.
pub fn fold(op: AggregateOp, values: &[f64]) -> Option<f64> {
    if values.is_empty() { None } else { fold_one(op, values) }
}

/// Whether [`fold`] knows this aggregation.
pub fn folds(op: AggregateOp) -> bool {
    use AggregateOp::*;
    matches!(op, Sum | Avg | Min | Max | Count | Group | Stddev | Stdvar)
}
