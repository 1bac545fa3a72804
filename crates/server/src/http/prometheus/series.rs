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

/// `match[]`, each a selector; and the range.
struct What {
    selectors: Vec<Vec<Matcher>>,
    range: TimeRange,
    limit: Option<usize>,
}

fn what(asked: &Asked) -> Result<What, PromError> {
    let selectors = selectors(&asked.0)?;
    let from = asked.0.time("start")?.unwrap_or(Time::MIN);
    let to = asked.0.time("end")?.unwrap_or(Time::MAX);
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
            let matching = source.series(matchers, range, SERIES_MAX)?;
            if stop() {
                return Err(EvalError::Cancelled);
            }
            found.extend(matching.into_iter().map(|(_, labels)| labels));
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
    texts(app, asked, move |source, matchers, range| source.label_values(&name, matchers, range)).await
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
