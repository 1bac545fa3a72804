//! `/query`, `/query_range`, `/format_query`: PromQL in, an answer out.

use std::sync::Arc;
use std::time::{Duration, Instant};

use ::query::source::{Source, SourceError};
use ::query::{Answer, EvalError, Limits, Params as When, ParseError, Value, evaluate};
use axum::extract::State;
use axum::response::Response;
use model::{Sample, Time};
use wire::prom_json::{self, ErrorKind, Notes, Out};

use super::parsed::{LOOKBACK_MAX, ParsedQuery};
use super::running::{deadline, run, run_here};
use super::{Asked, PromError, cut_off, json};
use crate::http::app::App;

/// Most steps of a range, as in Prometheus.
const STEPS_MAX: u128 = 11_000;
/// A query that reads and holds at most so many samples is answered where it came in.
const SMALL_SAMPLES: u64 = 20_000;
/// And finds at most so many series.
const SMALL_SERIES: usize = 2_000;

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

/// A query with all that was asked beside it.
struct Asking {
    text: String,
    parsed: Arc<ParsedQuery>,
    when: When<'static>,
    limit: Option<usize>,
    with_stats: bool,
    begun: Instant,
}

async fn answer(app: App, asked: Asked, mut when: When<'static>) -> Result<Response, PromError> {
    let begun = Instant::now();
    let text = asked.0.required("query")?.to_owned();
    let (timeout, limit) = (asked.span("timeout")?, asked.limit("limit")?);
    let with_stats = asked.0.one("stats").is_some();
    if let Some(lookback) = asked.span("lookback_delta")?.filter(|lookback| !lookback.is_zero()) {
        when.lookback = lookback;
    }
    let parsed = app.parsed.get(&text).map_err(|error| of_parsing(&error))?;
    when.delayed_name_removal = app.features.delayed_name_removal;
    let said = text.clone();
    let asking = Asking { text, parsed, when, limit, with_stats, begun };
    let deadline = deadline(timeout);
    if asking.is_in_memory(app.telemetry.store().in_memory_since())
        && let source = app.telemetry.source()
        && let Some(answer) = run_here(&app, deadline, || asking.small(&*source))
    {
        let mut out = Vec::with_capacity(512);
        asking.write(&mut out, answer?, &*source, Duration::ZERO);
        return Ok(json(out));
    }
    let shared = app.clone();
    let done = run(&app, deadline, move |stop, out| {
        let waited = asking.begun.elapsed();
        let source = shared.telemetry.source();
        let answer = evaluate(&asking.parsed.expr, &When { cancel: Some(stop), ..asking.when.clone() }, &*source)?;
        asking.write(out, answer, &*source, waited);
        Ok(())
    });
    done.await.map_err(|failed| failed.of_query(Some(&said)))
}

impl Asking {
    /// Whether its series are found quickly, and asking for their samples reads no disk.
    fn is_in_memory(&self, since: Time) -> bool {
        let reach = self.parsed.reach.filter(|_| self.parsed.is_narrow && self.when.lookback <= LOOKBACK_MAX);
        reach.is_some_and(|reach| {
            let reach = i64::try_from(reach.as_micros()).unwrap_or(i64::MAX);
            self.when.start.0.saturating_sub(reach) >= since.0
        })
    }

    /// The answer, if it takes little; none: it needs a thread of its own.
    fn small(&self, source: &(dyn Source + Send + Sync)) -> Option<Result<Answer, PromError>> {
        // Each series has at least a cell per step: too many are noticed before any of their samples is read.
        let steps = self.when.end.since(self.when.start).as_micros() / self.when.step.as_micros().max(1) + 1;
        let series = usize::try_from(u128::from(SMALL_SAMPLES) / steps).unwrap_or(usize::MAX).clamp(1, SMALL_SERIES);
        let limits = Limits { samples: SMALL_SAMPLES, read: SMALL_SAMPLES, series, ..self.when.limits };
        match evaluate(&self.parsed.expr, &When { limits, ..self.when.clone() }, source) {
            Err(EvalError::Limit { .. } | EvalError::Source(SourceError::TooManySeries { .. })) => None,
            Err(error) => Some(Err(of_evaluation(&error, Some(&self.text)))),
            Ok(answer) => Some(Ok(answer)),
        }
    }

    fn write(&self, out: &mut impl Out, answer: Answer, source: &dyn Source, waited: Duration) {
        let Answer { value, annotations, samples_read } = answer;
        let mut warnings: Vec<String> = annotations.warnings.iter().map(|note| note.render(&self.text)).collect();
        warnings.extend(source.missed());
        let infos: Vec<String> = annotations.infos.iter().map(|note| note.render(&self.text)).collect();
        let limit = self.limit.unwrap_or(usize::MAX);
        let rows = match &value {
            Value::Vector(samples) => samples.len(),
            Value::Matrix(series) => series.len(),
            Value::Scalar { .. } | Value::String(_) => 0,
        };
        if rows > limit {
            warnings.push(cut_off());
        }
        let stats = self.with_stats.then(|| self.stats(samples_read, waited));
        let notes = Notes { warnings: &warnings, infos: &infos, stats: stats.as_ref() };
        match &value {
            Value::Scalar { time, value } => {
                prom_json::scalar(out.bytes(), Sample { time: *time, value: *value }, notes);
            }
            Value::String(text) => prom_json::string(out.bytes(), self.when.start, text, notes),
            Value::Vector(samples) => {
                let rows = samples.iter().take(limit);
                prom_json::vector(out, rows.map(|row| (&row.labels, Sample { time: row.time, value: row.value })), notes);
            }
            Value::Matrix(series) => {
                let rows = series.iter().take(limit).map(|series| {
                    let samples = series.times.iter().zip(&series.values);
                    (&series.labels, samples.map(|(time, value)| Sample { time: *time, value: *value }))
                });
                prom_json::matrix(out, rows, notes);
            }
        }
    }

    /// How it went. What is evaluated at once is not told apart further.
    fn stats(&self, samples_read: u64, waited: Duration) -> serde_json::Value {
        let (whole, queued) = (self.begun.elapsed().as_secs_f64(), waited.as_secs_f64());
        serde_json::json!({
            "timings": {
                "evalTotalTime": whole - queued, "resultSortTime": 0.0, "queryPreparationTime": 0.0,
                "innerEvalTime": whole - queued, "execQueueTime": queued, "execTotalTime": whole,
            },
            "samples": { "totalQueryableSamples": samples_read, "peakSamples": samples_read },
        })
    }
}

pub(super) async fn format(State(app): State<App>, asked: Asked) -> Result<Response, PromError> {
    let parsed = app.parsed.get(asked.0.required("query")?).map_err(|error| of_parsing(&error))?;
    let mut out = Vec::new();
    prom_json::data(&mut out, &parsed.expr.to_string());
    Ok(json(out))
}

pub(super) async fn tree(State(app): State<App>, asked: Asked) -> Result<Response, PromError> {
    let parsed = app.parsed.get(asked.0.required("query")?).map_err(|error| of_parsing(&error))?;
    let mut out = Vec::new();
    prom_json::data(&mut out, &super::tree::of(&parsed.expr));
    Ok(json(out))
}

/// 400 with the place in the query.
fn of_parsing(error: &ParseError) -> PromError {
    PromError::parameter("query", error)
}

/// What Prometheus calls the ways in which a query fails; where in its text, as for one that can't be read.
pub(super) fn of_evaluation(error: &EvalError, query: Option<&str>) -> PromError {
    let kind = match error {
        EvalError::NotYet { .. } | EvalError::Failed { .. } | EvalError::Limit { .. } => ErrorKind::Execution,
        EvalError::Range(_) => ErrorKind::BadData,
        EvalError::Cancelled => return PromError::new(ErrorKind::Canceled, "query was canceled in expression evaluation"),
        EvalError::Source(::query::source::SourceError::TooManySeries { .. }) => ErrorKind::Execution,
        EvalError::Source(_) => ErrorKind::Internal,
    };
    match error.span().zip(query) {
        Some((span, query)) => {
            let (line, column) = span.line_column(query);
            PromError::new(kind, format!("{line}:{column}: {error}"))
        }
        None => PromError::new(kind, error.to_string()),
    }
}
