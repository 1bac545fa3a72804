//! Signs of life of jobs, as curl at the end of a crontab's line sends them: `/ping/<id>[/start|/fail|/log|/<exit code>]`.
//!
//! Open: the id is the secret. It is compared without telling by time how much of it was right, and never logged.

use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderMap, Uri};
use axum::routing::MethodFilter;
use http_body_util::BodyExt;
use model::signal::{HeartbeatPing, HeartbeatSign};
use model::{Event, EventId, HeartbeatName};
use wire::ping::{self, PingError, PingKind};

use crate::http::app::App;
use crate::http::body;
use crate::http::error::HttpError;
use crate::http::routes::{Access, NONE, Routes};

/// So many bytes of what a job sends along are kept.
const KEPT_LEN_MAX: usize = 10 * 1024;
/// Largest body: what is behind the kept part is read and thrown away, so that curl does not fail.
const BODY_LEN_MAX: usize = 1 << 20;

pub(super) fn register(routes: Routes<App>) -> Routes<App> {
    let routes = add(routes, "/ping/{id}", "A job ended well");
    add(routes, "/ping/{id}/{sign}", "A job began (`start`), failed (`fail`, an exit code), or has something to tell (`log`)")
}

fn add(routes: Routes<App>, path: &'static str, summary: &'static str) -> Routes<App> {
    routes.get(path, Access::Open, summary, NONE, take).add(
        "POST",
        MethodFilter::POST,
        path,
        Access::Open,
        summary,
        (NONE, NONE),
        take,
    )
}

async fn take(State(app): State<App>, uri: Uri, headers: HeaderMap, sent: Body) -> Result<&'static str, HttpError> {
    let ping = ping::parse(uri.path()).map_err(|error| match error {
        PingError::BadExitCode => HttpError::bad_request(error.to_string()).at("path"),
        PingError::NotAPing | PingError::BadId => HttpError::unknown(error.to_string()),
    })?;
    let heartbeat = whose(&app, ping.id).ok_or_else(|| HttpError::unknown("no job has this address"))?;
    app.limits.ping(heartbeat.as_str())?;
    let text = first_bytes(&headers, sent).await?;
    let sign = match ping.kind {
        PingKind::Success | PingKind::Exit(0) => HeartbeatSign::Success,
        PingKind::Start => HeartbeatSign::Start,
        PingKind::Fail => HeartbeatSign::Fail(None),
        PingKind::Exit(code) => HeartbeatSign::Fail(Some(code)),
        // Says nothing about how the job goes, and there is no place yet where it would be read.
        PingKind::Log => return Ok("OK"),
    };
    let id = EventId::from(uuid::Uuid::now_v7().to_string());
    app.pump.submit(Event::Heartbeat(HeartbeatPing { id, heartbeat, sign, body: text })).await?;
    Ok("OK")
}

/// The job with this id. All are compared, whatever is found.
fn whose(app: &App, id: &str) -> Option<HeartbeatName> {
    let config = app.config();
    let mut found = None;
    for (name, heartbeat) in &config.heartbeats {
        if same(heartbeat.id.as_bytes(), id.as_bytes()) {
            found = Some(name.clone());
        }
    }
    found
}

/// Whether two secrets are the same; takes as long wherever they differ.
fn same(secret: &[u8], given: &[u8]) -> bool {
    secret.len() == given.len() && secret.iter().zip(given).fold(0, |differ, (a, b)| differ | (a ^ b)) == 0
}

async fn first_bytes(headers: &HeaderMap, mut sent: Body) -> Result<String, HttpError> {
    let too_large = || HttpError::too_large(format!("the body is larger than {BODY_LEN_MAX} bytes")).at("body");
    if body::content_length(headers).is_some_and(|len| len > BODY_LEN_MAX as u64) {
        return Err(too_large());
    }
    let (mut kept, mut seen) = (Vec::new(), 0);
    while let Some(frame) = sent.frame().await {
        let frame = frame.map_err(|error| HttpError::bad_request(format!("failed to read the body: {error}")).at("body"))?;
        let Ok(data) = frame.into_data() else { continue };
        seen += data.len();
        if seen > BODY_LEN_MAX {
            return Err(too_large());
        }
        let room = KEPT_LEN_MAX - kept.len();
        kept.extend_from_slice(&data[..data.len().min(room)]);
    }
    Ok(String::from_utf8_lossy(&kept).replace('\0', "\u{fffd}"))
}

#[cfg(test)]
mod tests {
    use super::same;

    #[test]
    fn secrets_are_the_same_or_not() {
        assert!(same(b"0123456789abcdef", b"0123456789abcdef"));
        for other in ["0123456789abcdeg", "0123456789abcde", "", "0123456789abcdef0"] {
            assert!(!same(b"0123456789abcdef", other.as_bytes()), "{other}");
        }
    }
}
