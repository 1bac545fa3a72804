//! Who sends a request: Bearer, `Token`, Basic password, Influx's `p=`, or the session's cookie.
//!
//! A cookie is taken for a changing request only with an `Origin` that is this server's own, so that no foreign page can
//! use it. Everything else is an explicit header, which no browser adds by itself.

use axum::http::request::Parts;
use axum::http::{HeaderMap, Method, header};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

/// The session's cookie.
pub const COOKIE: &str = "flyball_session";
/// Longest secret looked at.
const SECRET_LEN_MAX: usize = 512;

/// A secret and how it came.
pub struct Presented {
    /// Its text.
    pub secret: String,
    /// True when a browser sent it by itself.
    pub by_cookie: bool,
}

/// The secret of a request, if it brings one.
pub fn presented(parts: &Parts) -> Option<Presented> {
    let explicit = |secret: String| Some(Presented { secret, by_cookie: false });
    if let Some(value) = parts.headers.get(header::AUTHORIZATION) {
        // A header that says nothing known is nobody, whatever the cookie says.
        return from_header(value.to_str().ok()?).and_then(explicit);
    }
    if let Some(secret) = from_query(parts.uri.query().unwrap_or("")) {
        return explicit(secret);
    }
    cookie(&parts.headers).map(|secret| Presented { secret, by_cookie: true })
}

fn from_header(value: &str) -> Option<String> {
    let (scheme, rest) = value.split_once(' ')?;
    let rest = rest.trim();
    let secret = if scheme.eq_ignore_ascii_case("bearer") || scheme.eq_ignore_ascii_case("token") {
        // Influx' v1 writes `Token user:password`.
        rest.rsplit_once(':').map_or(rest, |(_, password)| password).to_owned()
    } else if scheme.eq_ignore_ascii_case("basic") {
        let text = String::from_utf8(STANDARD.decode(rest).ok()?).ok()?;
        text.split_once(':')?.1.to_owned()
    } else {
        return None;
    };
    sensible(secret)
}

/// Influx's `p=`. A token has no character that a query would escape.
fn from_query(query: &str) -> Option<String> {
    query.split('&').find_map(|pair| pair.strip_prefix("p=")).map(str::to_owned).and_then(sensible)
}

/// The session in the cookies.
pub fn cookie(headers: &HeaderMap) -> Option<String> {
    headers
        .get_all(header::COOKIE)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(';'))
        .find_map(|pair| pair.trim().strip_prefix(COOKIE)?.strip_prefix('=').map(str::to_owned))
        .and_then(sensible)
}

fn sensible(secret: String) -> Option<String> {
    (!secret.is_empty() && secret.len() <= SECRET_LEN_MAX).then_some(secret)
}

/// Whether a cookie may be taken for this request: reading always, changing only from this server's own pages.
pub fn same_origin(parts: &Parts) -> bool {
    if parts.method == Method::GET || parts.method == Method::HEAD {
        return true;
    }
    let host = parts.headers.get(header::HOST).and_then(|host| host.to_str().ok());
    let origin = parts.headers.get(header::ORIGIN).and_then(|origin| origin.to_str().ok());
    match (host, origin) {
        (Some(host), Some(origin)) => origin.split_once("://").is_some_and(|(_, from)| from == host),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::http::Request;

    fn parts(method: &str, uri: &str, headers: &[(&str, &str)]) -> Parts {
        let mut request = Request::builder().method(method).uri(uri);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        request.body(()).unwrap().into_parts().0
    }

    #[test]
    fn where_secrets_are_taken_from() {
        type Case = (&'static str, &'static [(&'static str, &'static str)], Option<(&'static str, bool)>);
        let cases: [Case; 9] = [
            ("/", &[("authorization", "Bearer abc")], Some(("abc", false))),
            ("/", &[("authorization", "Token abc")], Some(("abc", false))),
            ("/", &[("authorization", "Token user:abc")], Some(("abc", false))),
            ("/", &[("authorization", "Basic dTphYmM=")], Some(("abc", false))),
            ("/write?u=x&p=abc", &[], Some(("abc", false))),
            ("/", &[("cookie", "a=b; flyball_session=abc")], Some(("abc", true))),
            ("/", &[("authorization", "Nothing abc"), ("cookie", "flyball_session=abc")], None),
            ("/", &[("authorization", "Bearer")], None),
            ("/", &[], None),
        ];
        for (uri, headers, expected) in cases {
            let found = presented(&parts("GET", uri, headers));
            assert_eq!(found.as_ref().map(|found| (found.secret.as_str(), found.by_cookie)), expected, "{uri} {headers:?}");
        }
    }

    #[test]
    fn foreign_pages_change_nothing() {
        assert!(same_origin(&parts("GET", "/", &[])));
        assert!(same_origin(&parts("POST", "/", &[("host", "a:1"), ("origin", "http://a:1")])));
        for origin in ["null", "http://b:1", "http://a:2", "a:1"] {
            assert!(!same_origin(&parts("POST", "/", &[("host", "a:1"), ("origin", origin)])), "{origin}");
        }
        assert!(!same_origin(&parts("POST", "/", &[("host", "a:1")])));
    }
}
