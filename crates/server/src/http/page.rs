//! The web page: what `ui/dist` held when the program was built, served from memory.
//!
//! Files under `assets/` have a hash in their names and are kept for a year; the page itself is asked for every time. Its
//! policy lets scripts come from here only, and styles from here or with the nonce that each answer draws anew: the page
//! reads it from `<meta name="csp-nonce">`.

use axum::body::Body;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use rust_embed::RustEmbed;

use super::body::header_text;
use super::error::HttpError;

#[derive(RustEmbed)]
#[folder = "../../ui/dist"]
struct Dist;

/// The page where the UI was not built: says so, and how to build it.
const NOT_BUILT: &str = "<!doctype html>\n<html lang=\"en\">\n<head><meta charset=\"utf-8\">\
<meta name=\"viewport\" content=\"width=device-width,initial-scale=1\"><title>flyball</title></head>\n\
<body>\n<h1>flyball runs</h1>\n<p>This program was built without its web page. To have it, with node 20.19 or newer:</p>\n\
<pre>cargo xtask up</pre>\n<p>The API, the verbs of the command line and all intake work without it: see <code>flyball help</code>.</p>\n\
</body>\n</html>\n";

/// What a page may do where no answer says otherwise: nothing from elsewhere, no script in the text, no frame around it.
pub fn policy(nonce: Option<&str>) -> String {
    let nonce = nonce.map(|nonce| format!(" 'nonce-{nonce}'")).unwrap_or_default();
    format!(
        "default-src 'none'; script-src 'self'; style-src 'self'{nonce}; img-src 'self' data:; font-src 'self'; \
         connect-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
    )
}

/// A file of the UI; an address without one is a page of the UI, which finds its way itself.
pub fn answer(path: &str, headers: &HeaderMap) -> Response {
    let name = path.trim_start_matches('/');
    if name != "index.html"
        && let Some(response) = file(name, headers)
    {
        return response;
    }
    let last = name.rsplit('/').next().unwrap_or("");
    let climbs = name.split('/').any(|part| part == "..");
    if climbs || name.starts_with("assets/") || (last.contains('.') && name != "index.html" && !name.contains('/')) {
        return HttpError::unknown("there is no such file").into_response();
    }
    match Dist::get("index.html") {
        Some(index) => index_page(&index.data),
        None => html(NOT_BUILT.to_owned(), policy(None)),
    }
}

fn index_page(text: &[u8]) -> Response {
    let mut drawn = [0_u8; 16];
    if getrandom::fill(&mut drawn).is_err() {
        return HttpError::not_now("no random bytes").into_response();
    }
    let nonce = STANDARD_NO_PAD.encode(drawn);
    let meta = format!("<head>\n    <meta name=\"csp-nonce\" content=\"{nonce}\" />");
    html(String::from_utf8_lossy(text).replacen("<head>", &meta, 1), policy(Some(&nonce)))
}

fn html(text: String, policy: String) -> Response {
    let headers = [
        (header::CONTENT_TYPE, HeaderValue::from_static("text/html; charset=utf-8")),
        (header::CACHE_CONTROL, HeaderValue::from_static("no-store")),
        (header::CONTENT_SECURITY_POLICY, HeaderValue::from_str(&policy).expect("plain letters")),
    ];
    (headers, text).into_response()
}

fn file(name: &str, headers: &HeaderMap) -> Option<Response> {
    if name.ends_with(".gz") || name.starts_with('.') {
        return None;
    }
    let plain = Dist::get(name)?;
    let packed = Dist::get(&format!("{name}.gz"));
    let gzip_taken = header_text(headers, &header::ACCEPT_ENCODING).split(',').any(|one| {
        one.trim().split(';').next().is_some_and(|name| name.trim() == "gzip") && !one.replace(' ', "").ends_with("q=0")
    });
    let tag = hex::encode(&plain.metadata.sha256_hash()[..16]);
    let cache = if name.starts_with("assets/") { "public, max-age=31536000, immutable" } else { "no-cache" };
    let mut response = Response::new(Body::empty());
    let out = response.headers_mut();
    out.insert(header::CONTENT_TYPE, HeaderValue::from_static(media_type(name)));
    out.insert(header::CACHE_CONTROL, HeaderValue::from_static(cache));
    out.insert(header::VARY, HeaderValue::from_static("accept-encoding"));
    out.insert(header::ETAG, HeaderValue::from_str(&format!("\"{tag}\"")).expect("hexadecimal digits"));
    if header_text(headers, &header::IF_NONE_MATCH).contains(&tag) {
        *response.status_mut() = StatusCode::NOT_MODIFIED;
        return Some(response);
    }
    let data = match packed.filter(|_| gzip_taken) {
        Some(packed) => {
            out.insert(header::CONTENT_ENCODING, HeaderValue::from_static("gzip"));
            packed.data
        }
        None => plain.data,
    };
    *response.body_mut() = Body::from(data.into_owned());
    Some(response)
}

fn media_type(name: &str) -> &'static str {
    match name.rsplit('.').next().unwrap_or("") {
        "js" | "mjs" => "text/javascript; charset=utf-8",
        "css" => "text/css; charset=utf-8",
        "html" => "text/html; charset=utf-8",
        "svg" => "image/svg+xml",
        "png" => "image/png",
        "ico" => "image/x-icon",
        "woff2" => "font/woff2",
        "json" | "map" => "application/json",
        "webmanifest" => "application/manifest+json",
        "txt" => "text/plain; charset=utf-8",
        _ => "application/octet-stream",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_of_pages_get_the_page_and_missing_files_nothing() {
        for path in ["/", "/incidents/3727", "/login", "/services/mall/shop/prod", "/index.html"] {
            let response = answer(path, &HeaderMap::new());
            assert_eq!(response.status(), 200, "{path}");
            assert_eq!(response.headers()[header::CONTENT_TYPE], "text/html; charset=utf-8", "{path}");
            let policy = response.headers()[header::CONTENT_SECURITY_POLICY].to_str().unwrap();
            assert!(policy.contains("script-src 'self';") && !policy.contains("unsafe"), "{policy}");
        }
        for path in ["/assets/none-1234.js", "/favicon.ico", "/../Cargo.toml", "/assets/../../Cargo.toml"] {
            assert_eq!(answer(path, &HeaderMap::new()).status(), 404, "{path}");
        }
    }

    #[test]
    fn what_was_built_is_served_packed_where_that_is_taken() {
        // Without a built UI there is none of these, and the loop has nothing to look at.
        for name in Dist::iter().filter(|name| name.starts_with("assets/") && name.ends_with(".js")) {
            let mut headers = HeaderMap::new();
            assert_eq!(answer(&format!("/{name}"), &headers).headers().get(header::CONTENT_ENCODING), None);
            headers.insert(header::ACCEPT_ENCODING, HeaderValue::from_static("br, gzip;q=0.8"));
            let response = answer(&format!("/{name}"), &headers);
            assert_eq!(response.headers()[header::CONTENT_ENCODING], "gzip", "{name}");
            assert_eq!(response.headers()[header::CACHE_CONTROL], "public, max-age=31536000, immutable");
            headers.insert(header::IF_NONE_MATCH, response.headers()[header::ETAG].clone());
            assert_eq!(answer(&format!("/{name}"), &headers).status(), 304);
        }
    }
}
