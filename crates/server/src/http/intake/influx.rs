//! Influx' line protocol, versions 1 and 2 of its API, and the little that its clients ask for before they write.
//!
//! `db`, `rp`, `org` and `bucket` are taken and mean nothing: one installation has one store. A name is
//! `measurement_field`, as VictoriaMetrics makes it.

use std::sync::atomic::Ordering;

use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderMap, HeaderName, StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use axum::routing::MethodFilter;
use axum::{Extension, Json};
use model::config::InfluxStrings;
use model::rights::Right;
use wire::Report;
use wire::influx::{Lines, Options, Precision};

use super::samples::{self, Memory, Taken, Taking};
use crate::http::app::App;
use crate::http::body::{self, SAMPLES_WITHIN};
use crate::http::error::HttpError;
use crate::http::limits::{INGEST_PLAIN_MAX, INGEST_SENT_MAX};
use crate::http::params::{Params, short};
use crate::http::prometheus::form;
use crate::http::routes::{Access, NONE, Routes};
use crate::people::Caller;

/// What clients that ask for a version are told: the last 1.x whose writing side this is.
const VERSION: &str = "1.8.10-flyball";

/// How many fields held a text and were left out.
const REFUSED_STRINGS: HeaderName = HeaderName::from_static("x-flyball-refused-strings");

pub(super) fn register(routes: Routes<App>) -> Routes<App> {
    let ingest = Access::Needs(Right::Ingest);
    routes
        .post("/write", ingest, "Influx line protocol, version 1: db, rp, precision", (NONE, NONE), write)
        .post("/api/v2/write", ingest, "Influx line protocol, version 2: org, bucket, precision", (NONE, NONE), write)
        .get("/query", ingest, "Influx: SHOW DATABASES", NONE, query)
        .post("/query", ingest, "Influx: CREATE DATABASE, SHOW DATABASES", (NONE, NONE), query)
        .get("/ping", Access::Open, "Influx: 204 with a version", NONE, version)
        .add("POST", MethodFilter::POST, "/ping", Access::Open, "The same", (NONE, NONE), version)
}

async fn version() -> Response {
    let header = (HeaderName::from_static("x-influxdb-version"), VERSION);
    (StatusCode::NO_CONTENT, [header], ()).into_response()
}

/// Errors as Influx' clients read them: the sentence alone under `error`, and ours beside it for `code`.
struct InfluxError(HttpError);

impl From<HttpError> for InfluxError {
    fn from(error: HttpError) -> InfluxError {
        InfluxError(error)
    }
}

impl IntoResponse for InfluxError {
    fn into_response(self) -> Response {
        let body = self.0.body();
        let place = body.place.as_ref().map(|place| format!("{place}: ")).unwrap_or_default();
        let sentence = format!("{place}{}", body.message);
        // Version 2 names its sentence `message`, version 1 `error`.
        let json = serde_json::json!({ "error": sentence, "code": body.code, "message": sentence });
        let mut response = (self.0.status(), Json(json)).into_response();
        if let Some(value) = self.0.retry_after() {
            response.headers_mut().insert(header::RETRY_AFTER, value);
        }
        response
    }
}

async fn write(
    State(app): State<App>,
    Extension(caller): Extension<Caller>,
    uri: Uri,
    headers: HeaderMap,
    sent: Body,
) -> Result<Response, InfluxError> {
    let params = Params::of_uri(&uri)?;
    let word = params.one("precision").unwrap_or("");
    let Some(precision) = Precision::parse(word) else {
        let error = HttpError::bad_request(format!("`{}` is no precision: ns, us, ms, s, m or h", short(word)));
        return Err(error.at("precision").into());
    };
    let admitted = app.limits.sender(&caller.name)?;
    let encoding = body::encoding(&headers)?;
    let (mut memory, mut room) = (app.memories.take(), app.limits.ingest_room());
    body::read_into(&headers, sent, INGEST_SENT_MAX, SAMPLES_WITHIN, (&mut memory.sent, &mut room)).await?;
    let turn = app.limits.ingest_turn().await;
    let options = Options::new(precision, app.clock.now());
    let mut taking = Taking::new(&app);
    let telemetry = app.telemetry.clone();
    let (taking, report, memory) = body::take_apart(memory.sent.len(), encoding, move || {
        let plain = encoding.open_into(&memory.sent, INGEST_PLAIN_MAX, &mut memory.plain);
        let plain = plain.map_err(|error| body::of_compression(&error))?;
        let mut lines = Lines::new(plain, telemetry.key_secret(), options, std::mem::take(&mut memory.rows));
        while lines.advance() {
            taking.rows(&lines).map_err(samples::not_taken)?;
        }
        let (rows, report) = lines.finish();
        Ok::<_, HttpError>((taking, report, Memory { rows, ..memory }))
    })
    .await??;
    app.memories.keep(memory);
    drop((turn, room));
    let taken = taking.settle().await?;
    app.metrics.refused.fetch_add(report.failed as u64, Ordering::Relaxed);
    app.metrics.refused_strings.fetch_add(report.refused_strings as u64, Ordering::Relaxed);
    match complaint(&report, &taken) {
        Some(complaint) if report.failed > 0 => Err(HttpError::bad_request(format!("partial write: {complaint}")).into()),
        Some(complaint) => Err(taken.refusal(format!("partial write: {complaint}")).into()),
        None => {
            admitted.taken();
            let mut response = StatusCode::NO_CONTENT.into_response();
            // Telegraf sends texts with every batch: an error would make it complain for ever, silence would hide the loss.
            if report.refused_strings > 0 && app.config().flyball.influx_strings == InfluxStrings::Refuse {
                response.headers_mut().insert(REFUSED_STRINGS, report.refused_strings.into());
            }
            Ok(response)
        }
    }
}

/// What was not taken of a body, none if it was taken whole; texts alone are no reason to complain.
fn complaint(report: &Report, taken: &Taken) -> Option<String> {
    let counted = |count: u64, one: &str| match count {
        0 => None,
        1 => Some(format!("1 {one} refused")),
        many => Some(format!("{many} {one}s refused")),
    };
    let counts = [counted(report.failed as u64, "line"), counted(taken.refused, "sample")];
    let counts: Vec<String> = counts.into_iter().flatten().collect();
    if counts.is_empty() {
        return None;
    }
    let first = report.errors.first().map(ToString::to_string);
    let reasons: Vec<String> = first.into_iter().chain(Some(taken.reasons.clone()).filter(|said| !said.is_empty())).collect();
    Some(format!("{}, {} samples accepted; {}", counts.join(", "), taken.accepted, reasons.join("; ")))
}

async fn query(State(_): State<App>, uri: Uri, headers: HeaderMap, sent: Body) -> Result<Response, InfluxError> {
    let params = form(&uri, &headers, sent).await?;
    let text = params.required("q")?.trim().trim_end_matches(';').to_ascii_lowercase();
    let mut words = text.split_whitespace();
    let result = match (words.next(), words.next()) {
        (Some("create"), Some("database" | "retention")) | (Some("alter"), Some("retention")) => {
            serde_json::json!({ "statement_id": 0 })
        }
        (Some("show"), Some("databases")) => serde_json::json!({
            "statement_id": 0,
            "series": [{ "name": "databases", "columns": ["name"], "values": [["flyball"]] }],
        }),
        _ => {
            let message = "InfluxQL is not spoken here: CREATE DATABASE and SHOW DATABASES are; ask /api/v1/query with PromQL";
            return Err(HttpError::bad_request(message).at("q").into());
        }
    };
    Ok(Json(serde_json::json!({ "results": [result] })).into_response())
}
