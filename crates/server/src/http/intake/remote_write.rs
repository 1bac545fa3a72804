//! Prometheus remote write 1.0. No 2xx if anything was not written: a 400 is never tried again, a 429 or 5xx may be.

use std::sync::atomic::Ordering;

use axum::Extension;
use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use model::rights::Right;
use wire::compression::{Encoding, snappy_limited};
use wire::remote_write::{Ended, Options, PLAIN_LEN_MAX, Request, WriteReport};

use super::samples::{self, Memory, Taken, Taking};
use crate::http::app::App;
use crate::http::body::{self, SAMPLES_WITHIN, header_text};
use crate::http::error::HttpError;
use crate::http::limits::INGEST_SENT_MAX;
use crate::http::routes::{Access, NONE, Routes};
use crate::people::Caller;

pub(super) fn register(routes: Routes<App>) -> Routes<App> {
    let ingest = Access::Needs(Right::Ingest);
    routes.post("/api/v1/write", ingest, "Prometheus remote write 1.0: snappy, protobuf", (NONE, NONE), write).post(
        "/api/v1/push",
        ingest,
        "The same under Mimir's address",
        (NONE, NONE),
        write,
    )
}

/// Prometheus logs the body's first line: a sentence, not JSON.
struct PlainError(HttpError);

impl From<HttpError> for PlainError {
    fn from(error: HttpError) -> PlainError {
        PlainError(error)
    }
}

impl IntoResponse for PlainError {
    fn into_response(self) -> Response {
        let place = self.0.body().place.as_ref().map(|place| format!("{place}: ")).unwrap_or_default();
        let sentence = format!("{place}{}\n", self.0.body().message);
        let retry_after = self.0.retry_after();
        let mut response = (self.0.status(), sentence).into_response();
        if let Some(value) = retry_after {
            response.headers_mut().insert(header::RETRY_AFTER, value);
        }
        response
    }
}

async fn write(
    State(app): State<App>,
    Extension(caller): Extension<Caller>,
    headers: HeaderMap,
    sent: Body,
) -> Result<StatusCode, PlainError> {
    check_type(&headers)?;
    let admitted = app.limits.sender(&caller.name)?;
    let (mut memory, mut room) = (app.memories.take(), app.limits.ingest_room());
    body::read_into(&headers, sent, INGEST_SENT_MAX, SAMPLES_WITHIN, (&mut memory.sent, &mut room)).await?;
    let turn = app.limits.ingest_turn().await;
    let mut taking = Taking::new(&app);
    let telemetry = app.telemetry.clone();
    let (taking, report, memory) = body::take_apart(memory.sent.len(), Encoding::Snappy, move || {
        let plain = snappy_limited(&memory.sent, PLAIN_LEN_MAX, &mut memory.plain);
        let plain = plain.map_err(|error| body::of_compression(&error))?;
        let mut request = Request::new(plain, telemetry.key_secret(), Options::default(), std::mem::take(&mut memory.rows));
        while request.advance() {
            taking.rows(&request).map_err(samples::not_taken)?;
        }
        let (rows, metadata, report) = request.finish();
        telemetry.describe(&metadata);
        Ok::<_, HttpError>((taking, report, Memory { rows, ..memory }))
    })
    .await??;
    app.memories.keep(memory);
    drop((turn, room));
    let taken = taking.settle().await?;
    app.metrics.refused.fetch_add(report.failed as u64, Ordering::Relaxed);
    let complaints = complaints(&report, &taken);
    if complaints.is_empty() {
        admitted.taken();
        return Ok(StatusCode::NO_CONTENT);
    }
    let sentence = format!("partial write, {} samples kept: {}", taken.accepted, complaints.join("; "));
    Err(match report.ended {
        Some(Ended::TooMany(_)) => HttpError::too_large(sentence).into(),
        _ if report.failed + report.refused_histograms > 0 || report.ended.is_some() => HttpError::bad_request(sentence).into(),
        _ => taken.refusal(sentence).into(),
    })
}

/// What was not taken of a request.
fn complaints(report: &WriteReport, taken: &Taken) -> Vec<String> {
    let mut complaints = Vec::new();
    complaints.extend(report.ended.as_ref().map(ToString::to_string));
    if let Some(first) = report.errors.first() {
        complaints.push(format!("{} series refused; {first}", report.failed));
    }
    if report.refused_histograms > 0 {
        complaints.push(format!("{} native histograms refused: they are not stored yet", report.refused_histograms));
    }
    if taken.refused > 0 {
        complaints.push(format!("{} samples refused; {}", taken.refused, taken.reasons));
    }
    complaints
}

/// 415 for what is not remote write 1.0, so that a sender of 2.0 falls back to it.
fn check_type(headers: &HeaderMap) -> Result<(), HttpError> {
    let kind = header_text(headers, &header::CONTENT_TYPE).to_ascii_lowercase();
    let mut parts = kind.split(';').map(str::trim);
    let proto = |part: &str| part.strip_prefix("proto=").is_some_and(|name| name != "prometheus.writerequest");
    if parts.next() != Some("application/x-protobuf") || parts.any(proto) {
        let error = HttpError::unsupported("remote write 1.0 is spoken: content-type application/x-protobuf");
        return Err(error.at("content-type"));
    }
    if !header_text(headers, &header::CONTENT_ENCODING).trim().eq_ignore_ascii_case("snappy") {
        return Err(HttpError::unsupported("remote write is packed by snappy").at("content-encoding"));
    }
    Ok(())
}
