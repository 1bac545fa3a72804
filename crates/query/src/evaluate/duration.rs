//! Durations with arithmetic, resolved to microseconds once per query.

use crate::ast::{BinaryOp, DurationExpr, DurationKind};
use crate::error::EvalError;

/// What `step()` and `range()` stand for, in seconds.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct DurationContext {
    pub step: f64,
    pub range: f64,
}

/// The largest duration in seconds: what fits Prometheus' nanoseconds, 292 years.
const SECONDS_MAX: f64 = 9_223_372_036.0;

/// In microseconds, cut to the millisecond as Prometheus counts.
pub(crate) fn resolve_duration(duration: &DurationExpr, context: &DurationContext, negative: bool) -> Result<i64, EvalError> {
    let seconds = seconds(duration, context)?;
    let fail = |what: &str| Err(EvalError::failed(duration.span, format!("duration {what}")));
    if !seconds.is_finite() {
        return fail("is NaN or infinite");
    }
    if seconds <= 0.0 && !negative {
        return fail("must be greater than 0");
    }
    if seconds.abs() > SECONDS_MAX {
        return fail("is out of range");
    }
    let millis = match duration.kind {
        DurationKind::Number(_) => (seconds * 1e9).round() as i64 / 1_000_000,
        _ => (seconds * 1e3) as i64,
    };
    Ok(millis * 1_000)
}

fn seconds(duration: &DurationExpr, context: &DurationContext) -> Result<f64, EvalError> {
    Ok(match &duration.kind {
        DurationKind::Number(number) => number.value,
        DurationKind::Step => context.step,
        DurationKind::Range => context.range,
        DurationKind::Paren(of) => seconds(of, context)?,
        DurationKind::Unary { negative, of } => {
            let value = seconds(of, context)?;
            if *negative { -value } else { value }
        }
        DurationKind::Pick { max, lhs, rhs } => {
            let (lhs, rhs) = (seconds(lhs, context)?, seconds(rhs, context)?);
            if *max { lhs.max(rhs) } else { lhs.min(rhs) }
        }
        DurationKind::Binary { op, lhs, rhs } => {
            let (lhs, rhs) = (seconds(lhs, context)?, seconds(rhs, context)?);
            match op {
                BinaryOp::Add => lhs + rhs,
                BinaryOp::Sub => lhs - rhs,
                BinaryOp::Mul => lhs * rhs,
                BinaryOp::Div if rhs == 0.0 => return Err(EvalError::failed(duration.span, "division by zero")),
                BinaryOp::Div => lhs / rhs,
                BinaryOp::Mod if rhs == 0.0 => return Err(EvalError::failed(duration.span, "modulo by zero")),
                BinaryOp::Mod => lhs % rhs,
                BinaryOp::Pow => lhs.powf(rhs),
                _ => return Err(EvalError::not_yet(duration.span, format!("`{}` between durations", op.text()))),
            }
        }
    })
}
