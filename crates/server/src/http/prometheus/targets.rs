//! What is scraped and how it went, as Prometheus lists it.

use std::sync::Arc;

use axum::extract::State;
use axum::response::Response;
use model::Time;
use serde_json::{Value, json as value};
use wire::{Metadata, prom_json};

use super::{Asked, PromError, json};
use crate::http::app::App;
use crate::http::params::short;
use crate::http::selectors;
use crate::telemetry::scrape::{Active, Pool};

/// What Go writes for a time that never was.
const NEVER: &str = "0001-01-01T00:00:00Z";

pub(super) async fn targets(State(app): State<App>, asked: Asked) -> Result<Response, PromError> {
    let (active, dropped) = match asked.0.one("state").unwrap_or("any").to_ascii_lowercase().as_str() {
        "any" => (true, true),
        "active" => (true, false),
        "dropped" => (false, true),
        other => return Err(PromError::parameter("state", format!("`{}` is none of active, dropped, any", short(other)))),
    };
    let mut pools = app.telemetry.targets().pools();
    if let Some(wanted) = asked.0.one("scrapePool") {
        pools.retain(|name, _| name == wanted);
    }
    let actives: Vec<Value> = pools
        .iter()
        .filter(|_| active)
        .flat_map(|(name, pool)| pool.active.iter().map(move |target| of_active(name, target)))
        .collect();
    let shown = pools.values().filter(|_| dropped).flat_map(|pool| &pool.dropped);
    let droppeds: Vec<Value> = shown.map(|labels| value!({ "discoveredLabels": labels })).collect();
    let counts = pools.iter().map(|(name, pool): (_, &Pool)| (name.clone(), value!(pool.dropped_total)));
    let mut out = Vec::new();
    let data = value!({
        "activeTargets": actives, "droppedTargets": droppeds,
        "droppedTargetCounts": counts.collect::<serde_json::Map<_, _>>(),
    });
    prom_json::data(&mut out, &data);
    Ok(json(out))
}

fn of_active(pool: &str, active: &Active) -> Value {
    let (target, last) = (&active.target, active.last());
    value!({
        "discoveredLabels": active.discovered(), "labels": target.labels, "scrapePool": pool, "scrapeUrl": target.url,
        "globalUrl": target.url, "lastError": last.error, "lastScrape": last.at.map_or_else(|| NEVER.to_owned(), |at: Time| at.to_string()),
        "lastScrapeDuration": last.took.as_secs_f64(), "health": last.health(),
        "scrapeInterval": target.interval, "scrapeTimeout": target.timeout,
    })
}

/// What each target that fits `match_target` says of its metrics, or of the one that is asked for.
pub(super) async fn metadata(State(app): State<App>, asked: Asked) -> Result<Response, PromError> {
    let selectors = selectors::read(asked.0.one("match_target").into_iter(), "match_target")?;
    let fits = |active: &&Arc<Active>| selectors.iter().flatten().all(|matcher| matcher.matches_labels(&active.target.labels));
    let metric = asked.0.one("metric");
    let rows = |active: Arc<Active>| {
        let known = active.known().into_iter().filter(|one| metric.is_none_or(|metric| metric == one.family));
        let row = |one: Arc<Metadata>| {
            let named = metric.is_none().then(|| ("metric", value!(one.family)));
            let said = [("type", value!(one.kind.word())), ("help", value!(one.help)), ("unit", value!(one.unit))];
            let pairs = [("target", value!(active.target.labels))].into_iter().chain(named).chain(said);
            pairs.map(|(key, value)| (key.to_owned(), value)).collect()
        };
        known.map(row).collect::<Vec<Value>>()
    };
    let limit = asked.limit("limit")?.unwrap_or(usize::MAX);
    let pools = app.telemetry.targets().pools();
    let targets = pools.values().flat_map(|pool| &pool.active).filter(fits).cloned();
    let data: Vec<Value> = targets.map(rows).filter(|rows| !rows.is_empty()).take(limit).flatten().collect();
    let mut out = Vec::new();
    prom_json::data(&mut out, &data);
    Ok(json(out))
}

pub(super) async fn pools(State(app): State<App>) -> Response {
    let names: Vec<String> = app.telemetry.targets().pools().into_keys().collect();
    let mut out = Vec::new();
    prom_json::data(&mut out, &value!({ "scrapePools": names }));
    json(out)
}
