//! `/query`, `/query_range`, `/format_query`: PromQL in, an answer out.

use std::time::Duration;

use ::query::{Answer, EvalError, Expr, Params as When, ParseError, Value, evaluate, parse};
use axum::extract::State;
use axum::response::Response;
use model::{Sample, Time};
use wire::prom_json::{self, ErrorKind, Notes};

use super::running::run;
use super::{Asked, PromError, cut_off, json};
use crate::http::app::App;

/// Most steps of a range, as in Prometheus.
const STEPS_MAX: u128 = 11_000;

pub(super) async fn instant(State(app): State<App>, asked: Asked) -> Result<Response, PromError> {
    let at = asked.0.time("time")?.unwrap_or_else(|| app.clock.now());
    answer(app, asked, When::instant(at)).await
}

pub(super) async fn range(State(app): State<App>, asked: Asked) -> Result<Response, PromError> {
    let missing = |name: &str| PromError::parameter(name, "it is missing");
    let start = asked.0.time("start")?.ok_or_else(|| missing("start"))?;
    let end = asked.0.time("end")?.ok_or_else(|| missing("end"))?;
    let step = asked.span("step")?.ok_or_else(|| missing("step"))?;
    if end < start {
        return Err(PromError::parameter("end", "end timestamp must not be before start time"));
    }
    if step < Duration::from_millis(1) {
        let why = "zero or negative query resolution step widths are not accepted. Try a positive integer";
        return Err(PromError::parameter("step", why));
    }
    if end.since(start).as_micros() / step.as_micros() > STEPS_MAX {
        let text = "exceeded maximum resolution of 11,000 points per timeseries. Try decreasing the query resolution (?step=XX)";
        return Err(PromError::new(ErrorKind::BadData, text));
    }
    answer(app, asked, When::range(start, end, step)).await
}

async fn answer(app: App, asked: Asked, mut when: When<'static>) -> Result<Response, PromError> {
    let text = asked.0.required("query")?.to_owned();
    let (timeout, limit) = (asked.span("timeout")?, asked.limit("limit")?);
    if let Some(lookback) = asked.span("lookback_delta")?.filter(|lookback| !lookback.is_zero()) {
        when.lookback = lookback;
    }
    let expr = parse(&text).map_err(|error| of_parsing(&error))?;
    let shared = app.clone();
    let body = run(&app, timeout, move |stop| {
        let source = shared.telemetry.source();
        let answer = evaluate(&expr, &When { cancel: Some(stop), ..when.clone() }, &*source)?;
        Ok(written(&text, answer, when.start, limit))
    })
    .await?;
    Ok(json(body))
}

fn written(text: &str, answer: Answer, at: Time, limit: Option<usize>) -> Vec<u8> {
    let Answer { value, annotations, .. } = answer;
    let mut warnings: Vec<String> = annotations.warnings.iter().map(|note| note.render(text)).collect();
    let infos: Vec<String> = annotations.infos.iter().map(|note| note.render(text)).collect();
    let limit = limit.unwrap_or(usize::MAX);
    let rows = match &value {
        Value::Vector(samples) => samples.len(),
        Value::Matrix(series) => series.len(),
        Value::Scalar { .. } | Value::String(_) => 0,
    };
    if rows > limit {
        warnings.push(cut_off());
    }
    let notes = Notes { warnings: &warnings, infos: &infos };
    let mut out = Vec::new();
    match &value {
        Value::Scalar { time, value } => prom_json::scalar(&mut out, Sample { time: *time, value: *value }, notes),
        Value::String(text) => prom_json::string(&mut out, at, text, notes),
        Value::Vector(samples) => {
            let rows = samples.iter().take(limit);
            prom_json::vector(&mut out, rows.map(|row| (&row.labels, Sample { time: row.time, value: row.value })), notes);
        }
        Value::Matrix(series) => {
            let rows = series.iter().take(limit).map(|series| {
                let samples = series.times.iter().zip(&series.values);
                (&series.labels, samples.map(|(time, value)| Sample { time: *time, value: *value }))
            });
            prom_json::matrix(&mut out, rows, notes);
        }
    }
    out
}

pub(super) async fn format(asked: Asked) -> Result<Response, PromError> {
    let expr: Expr = parse(asked.0.required("query")?).map_err(|error| of_parsing(&error))?;
    let mut out = Vec::new();
    prom_json::data(&mut out, &expr.to_string());
    Ok(json(out))
}

/// 400 with the place in the query.
fn of_parsing(error: &ParseError) -> PromError {
    PromError::parameter("query", error)
}

/// What Prometheus calls the ways in which a query fails.
pub(super) fn of_evaluation(error: &EvalError) -> PromError {
    let kind = match error {
        EvalError::NotYet { .. } | EvalError::Failed { .. } | EvalError::Limit { .. } => ErrorKind::Execution,
        EvalError::Range(_) => ErrorKind::BadData,
        EvalError::Cancelled => ErrorKind::Timeout,
        EvalError::Source(::query::source::SourceError::TooManySeries { .. }) => ErrorKind::Execution,
        EvalError::Source(_) => ErrorKind::Internal,
    };
    PromError::new(kind, error.to_string())
}
