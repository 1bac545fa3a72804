//! What there is: series, names and values of labels, metadata.

use std::collections::BTreeSet;

use ::query::EvalError;
use ::query::source::{Matcher, Source, TimeRange};
use axum::extract::{Path, State};
use axum::response::Response;
use model::{Labels, Time};
use wire::prom_json::{self, ErrorKind, Notes};
use wire::{Metadata, MetricKind};

use super::running::{deadline, run};
use super::{Asked, PromError, cut_off, json};
use crate::http::app::App;
use crate::http::selectors::selectors;

/// Most series that one request holds.
const SERIES_MAX: usize = 200_000;
/// Most that are looked through for the first of them, where no more than that are asked for.
const SERIES_SEEN_MAX: usize = 5_000_000;
/// How Prometheus and its clients write the earliest and the latest time there is.
const EDGES: [&str; 2] = ["-292273086-05-16T16:47:06Z", "292277025-08-18T07:12:54.999999999Z"];

/// `match[]`, each a selector; and the range.
struct What {
    selectors: Vec<Vec<Matcher>>,
    range: TimeRange,
    limit: Option<usize>,
}

fn what(asked: &Asked) -> Result<What, PromError> {
    let selectors = selectors(&asked.0)?;
    let edge = |name: &str, edge: usize| asked.0.one(name).is_some_and(|text| text == EDGES[edge]);
    let from = if edge("start", 0) { None } else { asked.0.time("start")? }.unwrap_or(Time::MIN);
    let to = if edge("end", 1) { None } else { asked.0.time("end")? }.unwrap_or(Time::MAX);
    if to < from {
        return Err(PromError::parameter("end", "end timestamp must not be before start time"));
    }
    Ok(What { selectors, range: TimeRange { from, to }, limit: asked.limit("limit")? })
}

pub(super) async fn series(State(app): State<App>, asked: Asked) -> Result<Response, PromError> {
    let What { selectors, range, limit } = what(&asked)?;
    if selectors.is_empty() {
        return Err(PromError::new(ErrorKind::BadData, "no match[] parameter provided"));
    }
    let shared = app.clone();
    let deadline = deadline(asked.span("timeout")?);
    let answer = run(&app, deadline, move |stop, out| {
        let source = shared.telemetry.source();
        let mut found: BTreeSet<Labels> = BTreeSet::new();
        for matchers in &selectors {
            let seen_max = if limit.is_some_and(|limit| limit <= SERIES_MAX) { SERIES_SEEN_MAX } else { SERIES_MAX };
            let matching = source.series(matchers, range, seen_max)?;
            if stop() {
                return Err(EvalError::Cancelled);
            }
            for (_, labels) in matching {
                found.insert(labels);
                // One more says that there are more.
                if limit.is_some_and(|limit| found.len() > limit.saturating_add(1)) {
                    found.pop_last();
                }
            }
        }
        let (limit, mut warnings) = (limit.unwrap_or(usize::MAX), Vec::from_iter(source.missed()));
        if found.len() > limit {
            warnings.push(cut_off());
        }
        prom_json::series(out, found.iter().take(limit), Notes { warnings: &warnings, ..Notes::default() });
        Ok(())
    });
    Ok(answer.await?)
}

pub(super) async fn labels(State(app): State<App>, asked: Asked) -> Result<Response, PromError> {
    texts(app, asked, |source, matchers, range| source.label_names(matchers, range)).await
}

pub(super) async fn values(State(app): State<App>, Path(name): Path<String>, asked: Asked) -> Result<Response, PromError> {
    if name.is_empty() || name.len() > 1_024 {
        return Err(PromError::parameter("name", "1 to 1,024 bytes"));
    }
    let name = unescaped(&name).unwrap_or(name);
    texts(app, asked, move |source, matchers, range| source.label_values(&name, matchers, range)).await
}

/// The name that Prometheus' value encoding stands for: `U__http_2e_status` is `http.status`. `None` where it is not so encoded.
fn unescaped(name: &str) -> Option<String> {
    let mut rest = name.strip_prefix("U__")?;
    let mut out = String::with_capacity(name.len());
    while let Some(at) = rest.find('_') {
        out.push_str(&rest[..at]);
        rest = &rest[at + 1..];
        if let Some(after) = rest.strip_prefix('_') {
            out.push('_');
            rest = after;
            continue;
        }
        let end = rest.find('_').filter(|end| (1..=6).contains(end))?;
        out.push(char::from_u32(u32::from_str_radix(&rest[..end], 16).ok()?)?);
        rest = &rest[end + 1..];
    }
    out.push_str(rest);
    Some(out)
}

async fn texts(
    app: App,
    asked: Asked,
    read: impl Fn(&dyn Source, &[Matcher], TimeRange) -> Result<Vec<String>, ::query::source::SourceError> + Send + 'static,
) -> Result<Response, PromError> {
    let What { selectors, range, limit } = what(&asked)?;
    let shared = app.clone();
    let deadline = deadline(asked.span("timeout")?);
    let answer = run(&app, deadline, move |stop, out| {
        let source = shared.telemetry.source();
        let mut found: BTreeSet<String> = BTreeSet::new();
        let all: &[Vec<Matcher>] = if selectors.is_empty() { &[Vec::new()] } else { &selectors };
        for matchers in all {
            found.extend(read(&*source, matchers, range)?);
            if stop() {
                return Err(EvalError::Cancelled);
            }
        }
        let (limit, mut warnings) = (limit.unwrap_or(usize::MAX), Vec::from_iter(source.missed()));
        if found.len() > limit {
            warnings.push(cut_off());
        }
        prom_json::strings(out, found.iter().take(limit), Notes { warnings: &warnings, ..Notes::default() });
        Ok(())
    });
    Ok(answer.await?)
}

pub(super) async fn metadata(State(app): State<App>, asked: Asked) -> Result<Response, PromError> {
    let wanted = asked.0.one("metric");
    let limit = asked.limit("limit")?.unwrap_or(usize::MAX);
    // A metric has one description here.
    asked.limit("limit_per_metric")?;
    let known = app.telemetry.metadata();
    let known = known.into_iter().filter(|(metric, _)| wanted.is_none_or(|wanted| wanted == metric)).take(limit);
    let known: Vec<Metadata> = known
        .map(|(family, known)| {
            let kind = MetricKind::parse(&known.kind).unwrap_or(MetricKind::Unknown);
            Metadata { family, kind, help: known.help, unit: known.unit }
        })
        .collect();
    let mut out = Vec::new();
    prom_json::metadata(&mut out, &known);
    Ok(json(out))
}

#[cfg(test)]
mod tests {
    use super::unescaped;

    #[test]
    fn names_in_value_encoding() {
        for (name, plain) in [
            ("U__http_2e_status", Some("http.status")),
            ("U__a__b_2F_c", Some("a_b/c")),
            ("U___1f600_", Some("😀")),
            ("U__plain", Some("plain")),
            ("U__broken_2e", None),
            ("U__broken_zz_", None),
            ("U__broken_110000_", None),
            ("http_2e_status", None),
        ] {
            assert_eq!(unescaped(name).as_deref(), plain, "{name}");
        }
    }
}
