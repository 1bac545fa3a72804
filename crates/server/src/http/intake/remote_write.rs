//! Prometheus remote write 1.0. No 2xx if anything was not written: a 400 is never tried again, a 429 or 5xx is.

use std::sync::atomic::Ordering;

use axum::Extension;
use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use model::SampleBatch;
use model::rights::Right;
use wire::remote_write::{self, Limits, RemoteWriteError};

use super::samples;
use crate::http::app::App;
use crate::http::body::{self, header_text};
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
    app.limits.sender(&caller.name)?;
    let _turn = app.limits.ingest_turn().await;
    let packed = body::read(&headers, sent, INGEST_SENT_MAX).await?;
    let (batch, metadata, report) = body::take_apart(packed.len(), move || {
        let (mut batch, mut metadata) = (SampleBatch::new(), Vec::new());
        let report = remote_write::decode(&packed, &Limits::default(), &mut batch, &mut metadata)?;
        Ok((batch, metadata, report))
    })
    .await?
    .map_err(|error: RemoteWriteError| match error.is_too_large() {
        true => HttpError::too_large(error.to_string()),
        false => HttpError::bad_request(error.to_string()),
    })?;
    let taken = samples::take(&app, batch, metadata).await?;
    app.metrics.refused.fetch_add(report.failed as u64, Ordering::Relaxed);
    let mut complaints = Vec::new();
    if let Some(first) = report.errors.first() {
        complaints.push(format!("{} series refused; {first}", report.failed));
    }
    if report.refused_histograms > 0 {
        complaints.push(format!("{} native histograms refused: they are not stored yet", report.refused_histograms));
    }
    complaints.extend(taken.complaint);
    if complaints.is_empty() {
        return Ok(StatusCode::NO_CONTENT);
    }
    Err(HttpError::bad_request(format!("partial write, {} samples kept: {}", taken.accepted, complaints.join("; "))).into())
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
