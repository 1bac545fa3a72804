//! The whole table of routes, and the router that is made of it.

use axum::Router;
use axum::extract::Request;
use axum::http::{Method, Uri};
use axum::response::{IntoResponse, Response};

use super::app::App;
use super::error::HttpError;
use super::routes::{RouteDoc, Routes};
use super::{account, artifacts, audit, enrolment, health, intake, live, own, page, prometheus, settings, shell};
use crate::config::nearest;

/// Every route of the server, in the order of the reference.
pub fn table(routes: Routes<App>) -> Routes<App> {
    let routes = health::register(routes);
    let routes = intake::register(routes);
    let routes = prometheus::register(routes);
    let routes = account::register(routes);
    let routes = audit::register(routes);
    let routes = settings::register(routes);
    let routes = artifacts::register(routes);
    let routes = enrolment::register(routes);
    let routes = live::register(routes);
    own::register(routes)
}

/// The router over open parts, and its table.
pub fn router(app: App) -> (Router, Vec<RouteDoc>) {
    let (router, docs, _) = table(Routes::new(app.guard.clone())).finish();
    let paths: Vec<&'static str> = docs.iter().map(|route| route.path).collect();
    let router = router.method_not_allowed_fallback(not_this_way).fallback(move |method: Method, uri: Uri, request: Request| {
        let answer = elsewhere(&paths, &method, &uri, &request);
        async move { answer }
    });
    (shell::around(router, app.clone()).with_state(app), docs)
}

async fn not_this_way(method: Method, uri: Uri) -> HttpError {
    HttpError::not_this_way(format!("{method} is not known at {}", super::params::short(uri.path())))
}

/// What is no route is a page of the UI, or nothing; of programs' addresses the nearest is named.
fn elsewhere(paths: &[&'static str], method: &Method, uri: &Uri, request: &Request) -> Response {
    let path = uri.path();
    if is_for_programs(path) {
        let error = HttpError::unknown(format!("there is nothing at {}", super::params::short(path)));
        return error.hint(nearest(path, paths.iter().copied()).map(|near| format!("Nearest: `{near}`."))).into_response();
    }
    if method != Method::GET && method != Method::HEAD {
        return HttpError::not_this_way(format!("{method} is not known at {}", super::params::short(path))).into_response();
    }
    page::answer(path, request.headers())
}

fn is_for_programs(path: &str) -> bool {
    ["/api", "/-", "/ping", "/write", "/query", "/metrics", "/health"]
        .iter()
        .any(|head| path.strip_prefix(head).is_some_and(|rest| rest.is_empty() || rest.starts_with('/')))
}
