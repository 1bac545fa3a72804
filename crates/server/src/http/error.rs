//! Errors as HTTP says them: a status for programs, a sentence with its place and hint for people. What is the server's
//! fault is logged with its whole chain under an id, and only the id goes out.

use axum::Json;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use model::api::{ApiError, ErrorBody};

use crate::journal::JournalError;
use crate::people::PeopleError;
use crate::pump::PumpError;

/// An answer that is no success.
#[derive(Debug)]
pub struct HttpError {
    status: StatusCode,
    /// Boxed: a `Result` that is nearly always good stays small.
    body: Box<ApiError>,
    retry_after_secs: Option<u32>,
}

impl HttpError {
    fn new(status: StatusCode, code: &str, message: impl Into<String>) -> HttpError {
        let body = ApiError { code: code.into(), message: message.into(), ..ApiError::default() };
        HttpError { status, body: Box::new(body), retry_after_secs: None }
    }

    /// 400: the input is wrong; name its place with [`at`](Self::at).
    pub fn bad_request(message: impl Into<String>) -> HttpError {
        HttpError::new(StatusCode::BAD_REQUEST, "bad_request", message)
    }

    /// 401: nobody known.
    pub fn who_are_you() -> HttpError {
        HttpError::new(StatusCode::UNAUTHORIZED, "unauthenticated", "log in, or send a token")
    }

    /// 401: a login that did not work.
    pub fn wrong_login(message: impl Into<String>) -> HttpError {
        HttpError::new(StatusCode::UNAUTHORIZED, "unauthenticated", message)
    }

    /// 403: known, and may not.
    pub fn not_allowed(message: impl Into<String>) -> HttpError {
        HttpError::new(StatusCode::FORBIDDEN, "not_allowed", message)
    }

    /// 404: no such thing; name the nearest with [`hint`](Self::hint).
    pub fn unknown(message: impl Into<String>) -> HttpError {
        HttpError::new(StatusCode::NOT_FOUND, "unknown", message)
    }

    /// 405: not in this way.
    pub fn not_this_way(message: impl Into<String>) -> HttpError {
        HttpError::new(StatusCode::METHOD_NOT_ALLOWED, "not_this_way", message)
    }

    /// 409: not in this state.
    pub fn conflict(message: impl Into<String>) -> HttpError {
        HttpError::new(StatusCode::CONFLICT, "conflict", message)
    }

    /// 413: over a limit.
    pub fn too_large(message: impl Into<String>) -> HttpError {
        HttpError::new(StatusCode::PAYLOAD_TOO_LARGE, "too_large", message)
    }

    /// 415: not in this form.
    pub fn unsupported(message: impl Into<String>) -> HttpError {
        HttpError::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "unsupported", message)
    }

    /// 422: Prometheus' status for a query that can't be executed.
    pub fn unprocessable(message: impl Into<String>) -> HttpError {
        HttpError::new(StatusCode::UNPROCESSABLE_ENTITY, "execution", message)
    }

    /// 429: too often.
    pub fn too_many(message: impl Into<String>, retry_after_secs: u32) -> HttpError {
        HttpError {
            retry_after_secs: Some(retry_after_secs),
            ..HttpError::new(StatusCode::TOO_MANY_REQUESTS, "too_many", message)
        }
    }

    /// 503: not now.
    pub fn not_now(message: impl Into<String>) -> HttpError {
        HttpError { retry_after_secs: Some(1), ..HttpError::new(StatusCode::SERVICE_UNAVAILABLE, "not_now", message) }
    }

    /// 507: no room on disk.
    pub fn full() -> HttpError {
        let message = "the disk is full: telemetry is refused until there is room, events are still accepted";
        HttpError { retry_after_secs: Some(5), ..HttpError::new(StatusCode::INSUFFICIENT_STORAGE, "full", message) }
    }

    /// 500: our fault. The chain goes to the log, an id to the caller.
    pub fn internal(error: &(dyn std::error::Error + 'static)) -> HttpError {
        let id = uuid::Uuid::now_v7().to_string();
        let mut chain = error.to_string();
        let mut source = error.source();
        while let Some(cause) = source {
            chain.push_str(": ");
            chain.push_str(&cause.to_string());
            source = cause.source();
        }
        tracing::error!(id, "failed to answer a request: {chain}");
        let mut out = HttpError::new(StatusCode::INTERNAL_SERVER_ERROR, "internal", "flyball failed to answer; its log says why");
        out.body.id = Some(id);
        out
    }

    /// Where: a field, `line 3, column 7`, an item of the batch.
    pub fn at(mut self, place: impl Into<String>) -> HttpError {
        self.body.place = Some(place.into());
        self
    }

    /// What would be right.
    pub fn hint(mut self, hint: Option<String>) -> HttpError {
        self.body.hint = hint;
        self
    }

    /// The header that says when to try again.
    pub fn retry_after(&self) -> Option<HeaderValue> {
        self.retry_after_secs.map(HeaderValue::from)
    }

    /// The status.
    pub fn status(&self) -> StatusCode {
        self.status
    }

    /// What is said.
    pub fn body(&self) -> &ApiError {
        &self.body
    }
}

impl From<PumpError> for HttpError {
    /// What it means for the sender that an event was not accepted.
    fn from(error: PumpError) -> HttpError {
        match error {
            PumpError::Journal(JournalError::Full { .. }) => HttpError::full(),
            PumpError::Journal(_) | PumpError::Stopping => HttpError::not_now(error.to_string()),
            PumpError::Poisoned { .. } => HttpError::internal(&error),
        }
    }
}

impl From<JournalError> for HttpError {
    fn from(error: JournalError) -> HttpError {
        HttpError::internal(&error)
    }
}

impl From<PeopleError> for HttpError {
    fn from(error: PeopleError) -> HttpError {
        match error {
            PeopleError::TokenThere(_) => HttpError::conflict(error.to_string()).at("name"),
            PeopleError::Weak => HttpError::bad_request(error.to_string()).at("password"),
            other => HttpError::internal(&other),
        }
    }
}

impl IntoResponse for HttpError {
    fn into_response(self) -> Response {
        let mut response = (self.status, Json(ErrorBody { error: *self.body })).into_response();
        if let Some(secs) = self.retry_after_secs {
            response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(secs));
        }
        if self.status == StatusCode::UNAUTHORIZED {
            // Not `Basic`: a browser would show its own dialog over the login page. It is taken all the same.
            response.headers_mut().insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        response
    }
}
