//! PromQL for pages: a value now, or series over a while, bounded in time and size.

use std::time::{Duration, Instant};

use model::api::PictureSeries;
use model::{Labels, Time, is_stale};
use query::source::Source;
use query::{Params, Query, Value};

/// Why a number can't be shown.
#[derive(Debug, thiserror::Error)]
pub enum NumberError {
    /// It is no PromQL.
    #[error(transparent)]
    Parse(#[from] query::ParseError),
    /// It can't be evaluated.
    #[error(transparent)]
    Evaluate(#[from] query::EvalError),
}

/// A query of a page or a verb may take so long; people don't wait longer, and others want their turn.
const LONGEST: Duration = Duration::from_secs(10);

/// All values of a query at one instant.
pub fn now(source: &dyn Source, promql: &str, at: Time) -> Result<Vec<(Labels, f64)>, NumberError> {
    let until = Instant::now() + LONGEST;
    let late = || Instant::now() >= until;
    let params = Params { cancel: Some(&late), ..Params::instant(at) };
    let answer = Query::new(promql, &params)?.run(source)?;
    Ok(match answer.value {
        Value::Scalar { value, .. } => vec![(Labels::empty(), value)],
        Value::Vector(samples) => samples.into_iter().map(|sample| (sample.labels, sample.value)).collect(),
        _ => Vec::new(),
    })
}

/// The one value of a query; none where there is none, more than one, or it is no number.
pub fn one(source: &dyn Source, promql: &str, at: Time) -> Option<f64> {
    let values = now(source, promql, at).ok()?;
    values.first().map(|(_, value)| *value).filter(|value| values.len() == 1 && value.is_finite())
}

/// A query over a while, one value per step; what is missing is a gap.
pub fn over(source: &dyn Source, promql: &str, from: Time, to: Time, step: Duration) -> Result<Vec<PictureSeries>, NumberError> {
    let until = Instant::now() + LONGEST;
    let late = || Instant::now() >= until;
    let params = Params { cancel: Some(&late), ..Params::range(from, to, step) };
    let answer = Query::new(promql, &params)?.run(source)?;
    let Value::Matrix(series) = answer.value else { return Ok(Vec::new()) };
    let step_us = (step.as_micros() as i64).max(1);
    let count = ((to.0 - from.0) / step_us + 1).clamp(1, 11_001) as usize;
    let times: Vec<f64> = (0..count).map(|at| Time(from.0 + at as i64 * step_us).secs_f64()).collect();
    Ok(series
        .into_iter()
        .map(|series| {
            let mut values = vec![None; count];
            for (time, value) in series.times.iter().zip(&series.values) {
                let at = (time.0 - from.0) / step_us;
                if let Some(slot) = usize::try_from(at).ok().and_then(|at| values.get_mut(at)) {
                    *slot = Some(*value).filter(|value| value.is_finite() && !is_stale(*value));
                }
            }
            PictureSeries { labels: series.labels, times: times.clone(), values }
        })
        .collect())
}
