//! Bodies of requests: read up to a limit that the answer names, and JSON whose mistakes have a place.

use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::extract::{FromRequest, Request};
use axum::http::{HeaderMap, header};
use http_body_util::{BodyExt, LengthLimitError, Limited};
use serde::de::DeserializeOwned;
use wire::compression::{CompressionError, Encoding};

use super::error::HttpError;
use super::limits::{ROOM_UNIT, Room};

/// Largest JSON body of the own API, in bytes. The largest thing in one is a change's detail of 16 KiB.
pub const JSON_LEN_MAX: usize = 128 * 1024;

/// Reads a body of at most `limit` bytes.
pub async fn read(headers: &HeaderMap, body: Body, limit: usize) -> Result<Bytes, HttpError> {
    let too_large = || HttpError::too_large(format!("the body is larger than {limit} bytes")).at("body");
    // Said before a byte is read, so that a sender that asks first (Expect: 100-continue) sends nothing.
    if content_length(headers).is_some_and(|len| len > limit as u64) {
        return Err(too_large());
    }
    match Limited::new(body, limit).collect().await {
        Ok(collected) => Ok(collected.to_bytes()),
        Err(error) if error.is::<LengthLimitError>() => Err(too_large()),
        Err(error) => Err(HttpError::bad_request(format!("failed to read the body: {error}")).at("body")),
    }
}

/// Memory for a body is taken in advance up to this, whatever length it claims; room for one of unknown length in such steps.
const RESERVED_MAX: usize = 1 << 20;

/// A body of samples must be there within this: a sender that stops in the middle holds a place that others wait for.
pub const SAMPLES_WITHIN: Duration = Duration::from_secs(30);

/// Replaces `memory` by a body of at most `limit` bytes, which must find room and come within this. 503 where it does not: the samples
/// of it are good, and a sender gives up on what is answered 4xx.
pub async fn read_into(
    headers: &HeaderMap,
    body: Body,
    limit: usize,
    within: Duration,
    (memory, room): (&mut Vec<u8>, &mut Room),
) -> Result<(), HttpError> {
    match tokio::time::timeout(within, read_all_into(headers, body, limit, memory, room)).await {
        Ok(read) => read,
        Err(_) => Err(HttpError::not_now(format!("the body did not come within {} s", within.as_secs_f64())).at("body")),
    }
}

async fn read_all_into(
    headers: &HeaderMap,
    mut body: Body,
    limit: usize,
    memory: &mut Vec<u8>,
    room: &mut Room,
) -> Result<(), HttpError> {
    let too_large = || HttpError::too_large(format!("the body is larger than {limit} bytes")).at("body");
    memory.clear();
    let claimed = content_length(headers);
    if let Some(len) = claimed {
        if len > limit as u64 {
            return Err(too_large());
        }
        room.reach(len as usize).await;
        memory.reserve(RESERVED_MAX.min(len as usize));
    }
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|error| HttpError::bad_request(format!("failed to read the body: {error}")).at("body"))?;
        let Some(bytes) = frame.data_ref() else { continue };
        if bytes.len() > limit - memory.len() {
            return Err(too_large());
        }
        let len = memory.len() + bytes.len();
        if claimed.is_none() && len > ROOM_UNIT {
            room.reach(len.next_multiple_of(RESERVED_MAX)).await;
        }
        memory.extend_from_slice(bytes);
    }
    Ok(())
}

/// What a request says of its body's length.
pub fn content_length(headers: &HeaderMap) -> Option<u64> {
    headers.get(header::CONTENT_LENGTH)?.to_str().ok()?.parse().ok()
}

/// The header as text, empty where it is not there.
pub fn header_text<'a>(headers: &'a HeaderMap, name: &header::HeaderName) -> &'a str {
    headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or("")
}

/// The content type without its parameters, in lower case.
pub fn media_type(headers: &HeaderMap) -> String {
    header_text(headers, &header::CONTENT_TYPE).split(';').next().unwrap_or("").trim().to_ascii_lowercase()
}

/// Which packing a body says it has.
pub fn encoding(headers: &HeaderMap) -> Result<Encoding, HttpError> {
    Encoding::parse(header_text(headers, &header::CONTENT_ENCODING)).map_err(|error| of_compression(&error))
}

/// What is wrong with a packed body.
pub fn of_compression(error: &CompressionError) -> HttpError {
    match error {
        CompressionError::TooLarge { .. } => HttpError::too_large(error.to_string()).at("body"),
        CompressionError::Damaged { .. } => HttpError::bad_request(error.to_string()).at("body"),
        CompressionError::Unknown(_) => HttpError::unsupported(error.to_string()).at("content-encoding"),
    }
}

/// Bodies up to this length are taken apart where they are: the way to a thread of its own and back would cost more than the
/// half millisecond that this takes.
const HERE_LEN_MAX: usize = 96 * 1024;
/// How much longer bodies get that are packed, as a rule.
const UNPACKED_TIMES: usize = 12;

/// Takes a body of `len` bytes apart, on a thread that may block where it is long. The packings that make bombs count as
/// much more than they are; snappy can't.
pub async fn take_apart<T: Send + 'static>(
    len: usize,
    encoding: Encoding,
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, HttpError> {
    let len = match encoding {
        Encoding::Identity | Encoding::Snappy => len,
        Encoding::Gzip | Encoding::Deflate | Encoding::Zstd => len.saturating_mul(UNPACKED_TIMES),
    };
    if len <= HERE_LEN_MAX {
        return Ok(work());
    }
    tokio::task::spawn_blocking(work).await.map_err(|error| HttpError::internal(&error))
}

/// A body that is JSON of this type.
pub struct JsonBody<T>(pub T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequest<S> for JsonBody<T> {
    type Rejection = HttpError;

    async fn from_request(request: Request, _: &S) -> Result<JsonBody<T>, HttpError> {
        let (parts, body) = request.into_parts();
        // A form of a foreign page can't say so: it has three types, none of which is this.
        if media_type(&parts.headers) != "application/json" {
            let error = HttpError::unsupported("the body is wanted as JSON").at("content-type");
            return Err(error.hint(Some("content-type: application/json".into())));
        }
        let bytes = read(&parts.headers, body, JSON_LEN_MAX).await?;
        parse_object(&bytes).map(JsonBody)
    }
}

/// Reads a JSON object: serde would take a list for a struct too, field by field.
fn parse_object<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, HttpError> {
    match bytes.iter().find(|byte| !byte.is_ascii_whitespace()) {
        Some(b'{') | None => parse_json(bytes),
        Some(_) => Err(HttpError::bad_request("a JSON object is wanted").at("line 1, column 1")),
    }
}

/// Reads JSON; a mistake is named by line and column.
pub fn parse_json<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, HttpError> {
    serde_json::from_slice(bytes).map_err(|error| {
        let place = format!("line {}, column {}", error.line(), error.column());
        let text = error.to_string();
        let sentence = text.rsplit_once(" at line ").map_or(text.as_str(), |(sentence, _)| sentence);
        HttpError::bad_request(sentence).at(place)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::limits::Limits;
    use model::api::Login;

    #[test]
    fn mistakes_in_json_have_a_place() {
        for (text, message, place) in [
            ("{\"name\":1}", "invalid type: integer `1`, expected a string", "line 1, column 9"),
            ("{\"name\":\"a\"}", "missing field `password`", "line 1, column 12"),
            ("{\"name\":\"a\",\n \"pass\":\"\"}", "unknown field `pass`, expected `name` or `password`", "line 2, column 7"),
            ("", "EOF while parsing a value", "line 1, column 0"),
        ] {
            let error = parse_json::<Login>(text.as_bytes()).unwrap_err();
            assert_eq!(error.body().message, message, "{text}");
            assert_eq!(error.body().place.as_deref(), Some(place), "{text}");
        }
    }

    #[tokio::test]
    async fn a_body_that_never_ends_is_given_up() {
        let begun = futures::stream::once(async { Ok::<_, std::io::Error>(Bytes::from("m a=1")) });
        let stuck = Body::from_stream(futures::StreamExt::chain(begun, futures::stream::pending()));
        let within = Duration::from_millis(20);
        let mut room = Limits::new().ingest_room();
        let error = read_into(&HeaderMap::new(), stuck, 100, within, (&mut Vec::new(), &mut room)).await.unwrap_err();
        assert_eq!((error.status().as_u16(), error.body().message.as_str()), (503, "the body did not come within 0.02 s"));
    }

    #[tokio::test]
    async fn a_body_lies_in_memory_that_is_used_again() {
        let (headers, mut memory) = (HeaderMap::new(), b"from before".to_vec());
        let mut room = Limits::new().ingest_room();
        read_into(&headers, Body::from("12345"), 5, SAMPLES_WITHIN, (&mut memory, &mut room)).await.unwrap();
        assert_eq!(memory, b"12345");
        let body = Body::from("123456");
        let error = read_into(&headers, body, 5, SAMPLES_WITHIN, (&mut memory, &mut room)).await.unwrap_err();
        assert_eq!(error.status().as_u16(), 413);
    }

    #[tokio::test]
    async fn a_body_ends_at_its_limit() {
        let headers = HeaderMap::new();
        assert_eq!(read(&headers, Body::from("12345"), 5).await.unwrap(), "12345");
        let error = read(&headers, Body::from("123456"), 5).await.unwrap_err();
        assert_eq!((error.status().as_u16(), error.body().message.as_str()), (413, "the body is larger than 5 bytes"));
    }
}
