//! Prometheus' query API, so that Grafana, promtool and every library that speaks it ask flyball unchanged.
//!
//! Parameters come in the query or in a form. Queries are evaluated on threads of their own, a few at a time, and end with
//! their time limit or when the caller goes away. Errors have Prometheus' own form and status.

mod admin;
mod federate;
mod info;
mod parsed;
mod pieces;
mod query;
mod rules;
mod running;
mod series;
mod targets;
mod tree;

use std::time::Duration;

use axum::body::Body;
use axum::extract::{Form, FromRequest, FromRequestParts, Request};
use axum::handler::Handler;
use axum::http::{HeaderMap, HeaderValue, StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use model::config::Span;
pub use parsed::ParsedQueries;
use running::Failed;
use wire::prom_json::{self, ErrorKind};

use super::app::App;
use super::body;
use super::error::HttpError;
use super::params::{Params, short};
use super::routes::{Access, NONE, Routes};
use model::rights::Right;

/// Largest form, in bytes: a query may have 1 MiB.
const FORM_LEN_MAX: usize = 2 << 20;

/// Adds Prometheus' routes.
pub fn register(routes: Routes<App>) -> Routes<App> {
    let view = Access::Needs(Right::View);
    let routes = admin::register(routes);
    let routes = both(routes, "/api/v1/query", "PromQL at one instant: query, time, timeout, limit", query::instant);
    let routes =
        both(routes, "/api/v1/query_range", "PromQL over a range: query, start, end, step, timeout, limit", query::range);
    let routes = both(routes, "/api/v1/series", "Series that fit match[]: start, end, limit", series::series);
    let routes = both(routes, "/api/v1/labels", "Names of labels: match[], start, end, limit", series::labels);
    let routes = both(routes, "/api/v1/format_query", "A query in its canonical form", query::format);
    let routes = both(routes, "/api/v1/parse_query", "A query as a tree", query::tree);
    let routes = both(routes, "/api/v1/query_exemplars", "Exemplars: none are stored", info::exemplars);
    routes
        .get("/api/v1/label/{name}/values", view, "Values of a label: match[], start, end, limit", NONE, series::values)
        .get("/api/v1/metadata", view, "What is known about metrics: metric, limit, limit_per_metric", NONE, series::metadata)
        .get("/api/v1/status/buildinfo", view, "The version, and which Prometheus it behaves like", NONE, info::build)
        .get("/api/v1/status/config", view, "The configuration in force, its secrets masked", NONE, info::config)
        .get("/api/v1/status/flags", view, "What the store was started with, by Prometheus' names", NONE, info::flags)
        .get("/api/v1/status/runtimeinfo", view, "The process: since when, where, how long it keeps", NONE, info::runtime)
        .get("/api/v1/status/tsdb", view, "Where series come from: limit", NONE, info::tsdb)
        .get("/api/v1/status/walreplay", view, "The log was read before the door opened", NONE, info::replay)
        .get("/api/v1/targets", view, "What is scraped and how it went: state, scrapePool", NONE, targets::targets)
        .get(
            "/api/v1/targets/metadata",
            view,
            "What targets say of their metrics: match_target, metric, limit (targets)",
            NONE,
            targets::metadata,
        )
        .get(
            "/federate",
            view,
            "The newest samples of match[], as text that another Prometheus scrapes",
            NONE,
            federate::federate,
        )
        .get("/api/v1/scrape_pools", view, "Names of the jobs that are scraped", NONE, targets::pools)
        .get(
            "/api/v1/rules",
            view,
            "Rules, how they fare, and their alerts: type, rule_name[], rule_group[], file[], exclude_alerts, match[], group_limit, group_next_token",
            NONE,
            rules::rules,
        )
        .get("/api/v1/alerts", view, "Alerts that are pending or not ok", NONE, rules::alerts)
}

/// Long queries come as a form, short ones in the address.
fn both<H, T>(routes: Routes<App>, path: &'static str, summary: &'static str, handler: H) -> Routes<App>
where
    H: Handler<T, App>,
    T: 'static,
{
    let view = Access::Needs(Right::View);
    routes.get(path, view, summary, NONE, handler.clone()).post(path, view, summary, (NONE, NONE), handler)
}

/// An error in Prometheus' form.
#[derive(Debug)]
pub struct PromError {
    kind: ErrorKind,
    status: StatusCode,
    text: String,
    retry_after: Option<HeaderValue>,
}

impl PromError {
    fn new(kind: ErrorKind, text: impl Into<String>) -> PromError {
        let status = StatusCode::from_u16(kind.status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        PromError { kind, status, text: text.into(), retry_after: None }
    }

    /// 400: a parameter is wrong, in Prometheus' words.
    fn parameter(name: &str, why: impl std::fmt::Display) -> PromError {
        PromError::new(ErrorKind::BadData, format!("invalid parameter \"{name}\": {why}"))
    }
}

impl From<HttpError> for PromError {
    fn from(error: HttpError) -> PromError {
        let body = error.body();
        let text = match &body.place {
            Some(place) => format!("invalid parameter \"{place}\": {}", body.message),
            None => body.message.clone(),
        };
        let kind = match error.status() {
            StatusCode::SERVICE_UNAVAILABLE => ErrorKind::Unavailable,
            StatusCode::NOT_FOUND => ErrorKind::NotFound,
            status if status.is_server_error() => ErrorKind::Internal,
            _ => ErrorKind::BadData,
        };
        PromError { kind, status: error.status(), text, retry_after: error.retry_after() }
    }
}

impl From<Failed> for PromError {
    fn from(failed: Failed) -> PromError {
        failed.of_query(None)
    }
}

impl Failed {
    /// As it is told to who asked this query.
    fn of_query(self, query: Option<&str>) -> PromError {
        match self {
            Failed::Query(error) => query::of_evaluation(&error, query),
            Failed::TimedOut { phase } => PromError::new(ErrorKind::Timeout, format!("query timed out in {phase}")),
            Failed::Http(error) => error.into(),
        }
    }
}

impl IntoResponse for PromError {
    fn into_response(self) -> Response {
        let mut out = Vec::new();
        prom_json::error(&mut out, self.kind, &self.text);
        let mut response = json(out);
        *response.status_mut() = self.status;
        if let Some(value) = self.retry_after {
            response.headers_mut().insert(header::RETRY_AFTER, value);
        }
        response
    }
}

/// An answer that was written already.
fn json(body: Vec<u8>) -> Response {
    ([(header::CONTENT_TYPE, "application/json")], body).into_response()
}

/// Parameters of the query, and of the form where there is one.
pub async fn form(uri: &Uri, headers: &HeaderMap, sent: Body) -> Result<Params, HttpError> {
    let params = Params::of_uri(uri)?;
    if body::media_type(headers) != "application/x-www-form-urlencoded" {
        // A body that is no form is refused, but nobody sends one with a GET.
        let bytes = body::read(headers, sent, FORM_LEN_MAX).await?;
        return match bytes.is_empty() {
            true => Ok(params),
            false => {
                let error = HttpError::unsupported("parameters come in the query or in a form").at("content-type");
                Err(error.hint(Some("content-type: application/x-www-form-urlencoded".into())))
            }
        };
    }
    let bytes = body::read(headers, sent, FORM_LEN_MAX).await?;
    let mut request = Request::new(Body::from(bytes));
    *request.method_mut() = axum::http::Method::POST;
    request.headers_mut().insert(header::CONTENT_TYPE, "application/x-www-form-urlencoded".parse().expect("a plain header"));
    let Form(pairs) = Form::<Vec<(String, String)>>::from_request(request, &())
        .await
        .map_err(|error| HttpError::bad_request(error.to_string()).at("body"))?;
    params.and(pairs)
}

/// The parameters of one of these routes.
pub struct Asked(Params);

impl FromRequest<App> for Asked {
    type Rejection = PromError;

    async fn from_request(request: Request, app: &App) -> Result<Asked, PromError> {
        let (mut parts, sent) = request.into_parts();
        let uri = Uri::from_request_parts(&mut parts, app).await.unwrap_or_else(|never| match never {});
        Ok(Asked(form(&uri, &parts.headers, sent).await?))
    }
}

impl Asked {
    /// A length of time: `5m`, or seconds.
    fn span(&self, name: &str) -> Result<Option<Duration>, PromError> {
        let Some(text) = self.0.one(name) else { return Ok(None) };
        let read = match text.parse::<f64>() {
            // A century: what is longer is a mistake, and microseconds of it still fit.
            Ok(secs) if secs.is_finite() && (0.0..3.2e9).contains(&secs) => Some(Duration::from_secs_f64(secs)),
            Ok(_) => None,
            Err(_) => Span::parse(text).filter(|span| span.0 < 3_200_000_000_000).map(Span::duration),
        };
        match read {
            Some(span) => Ok(Some(span)),
            None => Err(PromError::parameter(name, format!("cannot parse \"{}\" to a valid duration", short(text)))),
        }
    }

    /// The most rows that are wanted; none: all.
    fn limit(&self, name: &str) -> Result<Option<usize>, PromError> {
        let number = self.0.number(name)?;
        Ok(number.filter(|limit| *limit > 0).map(|limit| usize::try_from(limit).unwrap_or(usize::MAX)))
    }
}

/// What is said where a limit cut the answer off.
fn cut_off() -> String {
    "results truncated due to limit".to_owned()
}
