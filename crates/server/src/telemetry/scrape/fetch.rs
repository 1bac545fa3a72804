//! One request to a target or to a discovery server: its secret from a file, its answer unpacked, both within limits.
//!
//! Whoever connects or waits for an answer holds nobody up: a turn is needed only for what takes memory.

use std::io::Read as _;
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use dial::{Dialer, Request, Response, Turns};
use flate2::read::MultiGzDecoder;
use http::{HeaderName, HeaderValue, StatusCode, header};
use model::config::{Authorization, BasicAuth, ScrapeTls};
use tokio::sync::OwnedSemaphorePermit;

use crate::perform::outgoing::Outgoing;
use crate::perform::webhook::chain;

/// Largest file with a secret, in bytes.
const SECRET_LEN_MAX: u64 = 64 * 1024;

/// How somebody is asked: what a scrape and a discovery have in common.
#[derive(Clone, Debug, Default)]
pub struct Asking {
    /// User and password.
    pub basic: Option<BasicAuth>,
    /// The header `Authorization`.
    pub authorization: Option<Authorization>,
    /// Whom to trust.
    pub tls: Option<ScrapeTls>,
    /// Whether the answer may be packed.
    pub packed: bool,
    /// What is asked for.
    pub accept: String,
    /// How long, and how many bytes unpacked at most.
    pub limits: (Duration, usize),
    /// The header that says how the asking is timed.
    pub said: Option<(&'static str, String)>,
    /// Where an answer that takes much memory waits; none: it doesn't.
    pub turns: Option<Turns>,
}

/// An answer with status 200.
pub struct Fetched {
    /// The header `Content-Type`.
    pub content_type: String,
    /// Unpacked.
    pub body: Vec<u8>,
    /// Its turn, where it needed one: held until it is read.
    pub turn: Option<OwnedSemaphorePermit>,
}

/// Why there is none.
#[derive(Debug, thiserror::Error)]
pub enum FetchError {
    /// Larger than allowed.
    #[error("the answer has more than {0} bytes, the limit")]
    TooLarge(usize),
    /// Anything else.
    #[error("{0}")]
    Failed(String),
}

/// Asks.
pub async fn fetch(outgoing: &Outgoing, url: &str, asking: &Asking) -> Result<Fetched, FetchError> {
    let (timeout, body_max) = asking.limits;
    let mut request = Request::get(url);
    request.timeout = timeout;
    request.body_max = body_max;
    request.turns = asking.turns.clone();
    let begun = Instant::now();
    let headers = &mut request.headers;
    if let Ok(accept) = HeaderValue::from_str(&asking.accept) {
        headers.insert(header::ACCEPT, accept);
    }
    if asking.packed {
        headers.insert(header::ACCEPT_ENCODING, HeaderValue::from_static("gzip"));
    }
    if let Some((name, value)) = &asking.said
        && let Ok(value) = HeaderValue::from_str(value)
    {
        headers.insert(HeaderName::from_static(name), value);
    }
    if let Some(secret) = secret(asking).await.map_err(FetchError::Failed)? {
        headers.insert(header::AUTHORIZATION, secret);
    }
    let mut response = dialer(outgoing, asking.tls.as_ref()).send(&request).await.map_err(|error| match error {
        dial::DialError::TooLarge { limit } => FetchError::TooLarge(limit),
        error => FetchError::Failed(chain(&error)),
    })?;
    if response.status != StatusCode::OK {
        return Err(FetchError::Failed(format!("server returned HTTP status {}", response.status)));
    }
    let content_type = response.headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
    let content_type = content_type.unwrap_or_default().to_owned();
    let mut turn = response.turn.take();
    if let Some(turns) = &asking.turns
        && turn.is_none()
        && response.headers.contains_key(header::CONTENT_ENCODING)
    {
        // A short answer that is packed may be a long one.
        let left = timeout.saturating_sub(begun.elapsed());
        let waited = tokio::time::timeout(left, turns.take()).await;
        turn = waited.map_err(|_| FetchError::Failed("too many answers are read at once".into()))?;
    }
    Ok(Fetched { content_type, body: unpacked(response, body_max)?, turn })
}

fn dialer(outgoing: &Outgoing, tls: Option<&ScrapeTls>) -> Dialer {
    match tls.and_then(|tls| tls.ca_file.as_ref()) {
        Some(file) => outgoing.dialer().with_roots(file),
        None => outgoing.dialer(),
    }
}

fn unpacked(response: Response, body_max: usize) -> Result<Vec<u8>, FetchError> {
    let encoding = response.headers.get(header::CONTENT_ENCODING).map_or(&b""[..], |value| value.as_bytes());
    if !encoding.eq_ignore_ascii_case(b"gzip") {
        return match encoding.is_empty() || encoding.eq_ignore_ascii_case(b"identity") {
            true => Ok(response.body.into()),
            false => Err(FetchError::Failed("the answer is packed by something else than gzip".into())),
        };
    }
    let mut body = Vec::new();
    let unpacking = MultiGzDecoder::new(&response.body[..]).take(body_max as u64 + 1).read_to_end(&mut body);
    unpacking.map_err(|error| FetchError::Failed(format!("unpack the answer: {error}")))?;
    if body.len() > body_max { Err(FetchError::TooLarge(body_max)) } else { Ok(body) }
}

/// The header `Authorization`, read anew each time: a secret that is renewed needs no restart.
async fn secret(asking: &Asking) -> Result<Option<HeaderValue>, String> {
    let text = match (&asking.basic, &asking.authorization) {
        (Some(basic), _) => {
            let user = match &basic.username_file {
                Some(file) => read(file).await?,
                None => basic.username.clone(),
            };
            let password = match &basic.password_file {
                Some(file) => read(file).await?,
                None => String::new(),
            };
            format!("Basic {}", STANDARD.encode(format!("{user}:{password}")))
        }
        (None, Some(authorization)) => format!("{} {}", authorization.kind, read(&authorization.credentials_file).await?),
        (None, None) => return Ok(None),
    };
    let mut value = HeaderValue::from_str(&text).map_err(|_| "the secret has characters that no header may have".to_owned())?;
    value.set_sensitive(true);
    Ok(Some(value))
}

async fn read(file: &str) -> Result<String, String> {
    let failed = |error: std::io::Error| format!("read the secret in `{file}`: {error}");
    let len = tokio::fs::metadata(file).await.map_err(failed)?.len();
    if len > SECRET_LEN_MAX {
        return Err(format!("the secret in `{file}` has {len} bytes, {SECRET_LEN_MAX} at most"));
    }
    Ok(tokio::fs::read_to_string(file).await.map_err(failed)?.trim().to_owned())
}
