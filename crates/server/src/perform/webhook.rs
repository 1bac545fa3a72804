//! Tells a receiver by Alertmanager's webhook, version 4, one alert per request.
//!
//! The header `Idempotency-Key` is made of content, so that a repeat after a crash carries the same one.

use std::time::Duration;

use dial::{DialError, Dialer, Request, Response};
use engine::effect::{AlertNotice, Tell};
use http::{HeaderName, HeaderValue, StatusCode, header};
use model::config::WebhookConfig;
use model::{AlertState, Labels};
use wire::alertmanager::{Alert, Fingerprint, NO_TIME, Status, Webhook, encode};

use crate::outbox::Attempt;

/// For all of one request.
const TIMEOUT: Duration = Duration::from_secs(10);
/// Most of an answer that is read: only its status counts.
const ANSWER_MAX: usize = 1024 * 1024;

/// Sends one notice.
pub async fn send(dialer: &Dialer, config: &WebhookConfig, external_url: &str, tell: &Tell, notice: &AlertNotice) -> Attempt {
    let mut request = Request::post(config.url.clone(), body(external_url, tell, notice));
    request.timeout = TIMEOUT;
    request.body_max = ANSWER_MAX;
    request.headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    // A rule's name may be in any script; a header may not.
    let key = HeaderValue::from_str(tell.key.as_str()).or_else(|_| HeaderValue::from_str(&percent(tell.key.as_str())));
    if let Ok(key) = key {
        request.headers.insert(HeaderName::from_static("idempotency-key"), key);
    }
    if let Some(file) = &config.authorization_file {
        match tokio::fs::read_to_string(file).await.map(|text| HeaderValue::from_str(text.trim())) {
            Ok(Ok(mut value)) => {
                value.set_sensitive(true);
                request.headers.insert(header::AUTHORIZATION, value);
            }
            Ok(Err(_)) => return Attempt::Never { why: format!("`{file}` holds no value for a header") },
            Err(error) => return Attempt::Again { why: format!("read `{file}`: {error}"), after: None },
        }
    }
    judge(dialer.send(&request).await)
}

/// The body of the request.
fn body(external_url: &str, tell: &Tell, notice: &AlertNotice) -> Vec<u8> {
    let fires = notice.state != AlertState::Ok;
    let alert = Alert {
        status: if fires { Status::Firing } else { Status::Resolved },
        labels: notice.labels.clone(),
        annotations: notice.annotations.clone(),
        starts_at: notice.starts_at,
        ends_at: notice.ends_at.filter(|_| !fires).unwrap_or(NO_TIME),
        generator_url: format!("{external_url}/explore?q={}", percent(&notice.expr)),
        fingerprint: Fingerprint(notice.labels.fingerprint()),
    };
    let name = notice.labels.get("alertname").unwrap_or_default();
    let group = Labels::new([("alertname", name)]).unwrap_or_else(|_| Labels::empty());
    let group_key = format!("{{}}:{group}");
    encode(&Webhook::new(group_key, tell.receiver.to_string(), group, external_url.to_owned(), vec![alert]))
}

/// What an answer means: 2xx arrived; 408, 429 and 5xx later again; every other status never.
fn judge(answer: Result<Response, DialError>) -> Attempt {
    let response = match answer {
        Ok(response) => response,
        Err(error @ (DialError::Address { .. } | DialError::Refused(_))) => return Attempt::Never { why: chain(&error) },
        // It was read, and a repeat would be answered the same way.
        Err(error @ DialError::TooLarge { .. }) => return Attempt::Never { why: chain(&error) },
        Err(error) => return Attempt::Again { why: chain(&error), after: None },
    };
    let status = response.status;
    if status.is_success() {
        return Attempt::Delivered;
    }
    let why = format!("it answered {status}");
    let later = status.is_server_error() || matches!(status, StatusCode::REQUEST_TIMEOUT | StatusCode::TOO_MANY_REQUESTS);
    if !later {
        return Attempt::Never { why };
    }
    let named = response.headers.get(header::RETRY_AFTER).and_then(|value| value.to_str().ok()?.parse().ok());
    Attempt::Again { why, after: named.map(Duration::from_secs) }
}

/// An error with its sources, in one line.
pub(crate) fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(error) = source {
        text = format!("{text}: {error}");
        source = error.source();
    }
    text
}

/// Percent-encodes for a query string.
fn percent(text: &str) -> String {
    use std::fmt::Write as _;
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.' | b'~') {
            out.push(char::from(byte));
        } else {
            let _ = write!(out, "%{byte:02X}");
        }
    }
    out
}
