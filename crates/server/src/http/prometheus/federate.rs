//! `/federate`: the newest samples of what `match[]` selects, as text that another Prometheus scrapes.
//!
//! As an instant query sees them: no older than the lookback, and none of a series that has ended. Written while they are read.

use std::collections::BTreeMap;

use ::query::source::{Columns, SeriesRef, SourceError, TimeRange};
use ::query::{EvalError, Params as When};
use axum::extract::State;
use axum::http::{HeaderValue, header};
use axum::response::{IntoResponse, Response};
use model::{Labels, Sample, is_stale};
use wire::exposition::{TEXT_CONTENT_TYPE, write_federated, write_untyped};
use wire::prom_json::Out;

use super::running::{deadline, run};
use super::{Asked, PromError};
use crate::http::app::App;
use crate::http::selectors::selectors;

/// Most series of one answer.
const SERIES_MAX: usize = 200_000;
/// Whoever asked may have gone: looked at after so many series.
const LOOK_EVERY: usize = 256;

/// An error as text: who scrapes shows it as it is.
pub(super) struct Plain(PromError);

impl IntoResponse for Plain {
    fn into_response(self) -> Response {
        let PromError { status, text, retry_after, .. } = self.0;
        let mut response = (status, format!("{text}\n")).into_response();
        if let Some(value) = retry_after {
            response.headers_mut().insert(header::RETRY_AFTER, value);
        }
        response
    }
}

pub(super) async fn federate(State(app): State<App>, asked: Asked) -> Result<Response, Plain> {
    let selectors = selectors(&asked.0).map_err(|error| Plain(error.into()))?;
    let now = app.clock.now();
    let range = TimeRange { from: now - When::instant(now).lookback, to: now };
    let shared = app.clone();
    let answer = run(&app, deadline(None), move |stop, out| {
        let source = shared.telemetry.source();
        let mut found: BTreeMap<Labels, SeriesRef> = BTreeMap::new();
        for matchers in &selectors {
            let matching = source.series(matchers, range, SERIES_MAX)?;
            // Without a name it could not be written.
            found.extend(
                matching.into_iter().map(|(series, labels)| (labels, series)).filter(|(labels, _)| !labels.metric().is_empty()),
            );
            if stop() {
                return Err(EvalError::Cancelled);
            }
        }
        if found.len() > SERIES_MAX {
            return Err(SourceError::TooManySeries { found: found.len(), limit: SERIES_MAX }.into());
        }
        let mut rows: Vec<(Labels, SeriesRef)> = found.into_iter().collect();
        // A family stands together. Within it they stay sorted by their labels.
        rows.sort_by(|(one, _), (other, _)| one.metric().cmp(other.metric()));
        let mut family = "";
        let mut newest = Columns::default();
        for (place, (labels, series)) in rows.iter().enumerate() {
            if place % LOOK_EVERY == 0 && stop() {
                return Err(EvalError::Cancelled);
            }
            newest.times.clear();
            newest.values.clear();
            source.last(*series, range, &mut newest)?;
            let (Some(time), Some(value)) = (newest.times.last(), newest.values.last()) else { continue };
            if is_stale(*value) {
                continue;
            }
            if labels.metric() != family {
                family = labels.metric();
                write_untyped(out.bytes(), family);
            }
            write_federated(out.bytes(), labels, Sample { time: *time, value: *value });
            if !out.pass() {
                return Ok(());
            }
        }
        Ok(())
    });
    let mut response = answer.await.map_err(|failed| Plain(failed.into()))?;
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(TEXT_CONTENT_TYPE));
    Ok(response)
}
