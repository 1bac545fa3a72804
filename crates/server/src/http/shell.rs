//! What is around every handler: its time limit, headers that protect the page, counting, and what happens on a panic.

use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use axum::Router;
use axum::extract::{MatchedPath, Request, State};
use axum::http::{HeaderName, HeaderValue, header};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use tower_http::CompressionLevel;
use tower_http::catch_panic::CatchPanicLayer;
use tower_http::compression::CompressionLayer;

use super::app::App;
use super::error::HttpError;
use super::page;

/// A handler has so long, its body included.
const ANSWER_WITHIN: Duration = Duration::from_secs(150);
/// An upload of the largest artifact may take longer.
const UPLOAD_WITHIN: Duration = Duration::from_secs(1_800);

/// Puts the shell around all routes and the fallback.
pub fn around(router: Router<App>, app: App) -> Router<App> {
    let counted = app.clone();
    let panics = CatchPanicLayer::custom(move |panic: Box<dyn std::any::Any + Send + 'static>| {
        counted.metrics.panics.fetch_add(1, Ordering::Relaxed);
        let said = panic.downcast_ref::<String>().map(String::as_str).or(panic.downcast_ref::<&str>().copied());
        HttpError::internal(&Panicked(said.unwrap_or("no words").to_owned())).into_response()
    });
    router.layer(CompressionLayer::new().quality(CompressionLevel::Fastest)).layer(panics).layer(from_fn_with_state(app, shell))
}

#[derive(Debug, thiserror::Error)]
#[error("a handler panicked: {0}")]
struct Panicked(String);

async fn shell(State(app): State<App>, request: Request, next: Next) -> Response {
    let began = Instant::now();
    let route = request.extensions().get::<MatchedPath>().map(|path| path.as_str().to_owned());
    let for_programs = route.is_some();
    let within = if route.as_deref() == Some("/api/flyball/v1/artifacts") { UPLOAD_WITHIN } else { ANSWER_WITHIN };
    let mut response = match tokio::time::timeout(within, next.run(request)).await {
        Ok(response) => response,
        Err(_) => HttpError::not_now(format!("no answer within {} s", within.as_secs())).into_response(),
    };
    protect(&mut response, for_programs);
    app.metrics.answered(route.as_deref(), response.status().as_u16(), began.elapsed());
    response
}

fn protect(response: &mut Response, for_programs: bool) {
    let headers = response.headers_mut();
    let mut put = |name: HeaderName, value: &'static str| {
        headers.entry(name).or_insert(HeaderValue::from_static(value));
    };
    put(header::X_CONTENT_TYPE_OPTIONS, "nosniff");
    put(header::X_FRAME_OPTIONS, "DENY");
    put(header::REFERRER_POLICY, "same-origin");
    put(HeaderName::from_static("cross-origin-opener-policy"), "same-origin");
    put(HeaderName::from_static("cross-origin-resource-policy"), "same-origin");
    put(header::CACHE_CONTROL, "no-store");
    if for_programs {
        // Nothing that an API answers is a page.
        put(header::CONTENT_SECURITY_POLICY, "default-src 'none'; frame-ancestors 'none'");
    } else if !headers.contains_key(header::CONTENT_SECURITY_POLICY) {
        headers.insert(header::CONTENT_SECURITY_POLICY, HeaderValue::from_str(&page::policy(None)).expect("plain letters"));
    }
}
