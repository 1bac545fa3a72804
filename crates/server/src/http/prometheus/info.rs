//! What Grafana asks before its first query: which Prometheus this behaves like; the rest of `/status`; and what is not stored.

use axum::extract::State;
use axum::response::Response;
use serde_json::{Value, json as value};
use store::Counting;
use wire::prom_json;

use super::{Asked, PromError, json};
use crate::http::app::App;
use crate::http::error::HttpError;
use crate::http::settings;

/// The version whose query API this is: Grafana decides by it what it may ask for.
const LIKE_PROMETHEUS: &str = "3.5.0";
/// Rows of the lists of `/status/tsdb` where nobody said how many.
const TSDB_ROWS: usize = 10;
/// Most of them.
const TSDB_ROWS_MAX: usize = 1_000;

fn answer(data: &Value) -> Response {
    let mut out = Vec::new();
    prom_json::data(&mut out, data);
    json(out)
}

/// Without `features`: Grafana takes whoever has some for Mimir.
pub(super) async fn build() -> Response {
    answer(&value!({
        "version": LIKE_PROMETHEUS,
        "revision": concat!("flyball-", env!("CARGO_PKG_VERSION")),
        "branch": "flyball",
        "buildUser": "",
        "buildDate": "",
        "goVersion": "",
    }))
}

pub(super) async fn exemplars(asked: Asked) -> Result<Response, PromError> {
    asked.0.required("query")?;
    Ok(answer(&value!([])))
}

/// The configuration, secrets masked. JSON is YAML.
pub(super) async fn config(State(app): State<App>) -> Response {
    let text = serde_json::to_string_pretty(&settings::shown(&app)).unwrap_or_default();
    answer(&value!({ "yaml": text }))
}

/// What the store was started with, under the names that Prometheus has for it.
pub(super) async fn flags(State(app): State<App>) -> Response {
    let options = app.telemetry.store().options().clone();
    let span = |span: std::time::Duration| model::config::Span(u64::try_from(span.as_millis()).unwrap_or(u64::MAX)).to_string();
    answer(&value!({
        "enable-feature": app.features.allowed().join(","),
        "query.lookback-delta": span(query::Params::instant(model::Time(0)).lookback),
        "query.max-samples": query::Limits::default().samples.to_string(),
        "query.timeout": span(super::running::TIMEOUT_MAX),
        "storage.tsdb.path": options.dir.display().to_string(),
        "storage.tsdb.retention.time": span(options.retention),
        "storage.tsdb.out-of-order-time-window": span(options.out_of_order),
    }))
}

pub(super) async fn runtime(State(app): State<App>) -> Response {
    let stats = app.telemetry.stats();
    let retention = u64::try_from(app.telemetry.store().options().retention.as_millis()).unwrap_or(u64::MAX);
    let folder = std::env::current_dir().map_or_else(|_| String::new(), |folder| folder.display().to_string());
    answer(&value!({
        "startTime": app.started_at,
        "CWD": folder,
        "hostname": "",
        "serverTime": app.clock.now(),
        "reloadConfigSuccess": true,
        "lastConfigTime": app.started_at,
        "corruptionCount": stats.damage.log_places + stats.damage.checkpoint_places,
        "goroutineCount": 0,
        "GOMAXPROCS": std::thread::available_parallelism().map_or(1, std::num::NonZero::get),
        "GOMEMLIMIT": 0,
        "GOGC": "",
        "GODEBUG": "",
        "storageRetention": model::config::Span(retention).to_string(),
    }))
}

/// The log was read before the door opened.
pub(super) async fn replay() -> Response {
    answer(&value!({ "min": 0, "max": 0, "current": 0, "state": "done" }))
}

/// Where series come from, in Prometheus' form.
pub(super) async fn tsdb(State(app): State<App>, asked: Asked) -> Result<Response, PromError> {
    let limit = asked.limit("limit")?.unwrap_or(TSDB_ROWS);
    if limit > TSDB_ROWS_MAX {
        return Err(PromError::parameter("limit", format!("{TSDB_ROWS_MAX} at most")));
    }
    let turn = app.limits.query_turn().await?;
    let store = app.telemetry.store().clone();
    let counted = tokio::task::spawn_blocking(move || {
        let _turn = turn;
        store.cardinality(&Counting { limit, ..Counting::default() })
    });
    let counted = counted.await.map_err(|error| HttpError::internal(&error))?;
    let stats = app.telemetry.stats();
    let row = |name: &str, count: u64| value!({ "name": name, "value": count });
    let data = value!({
        "headStats": {
            "numSeries": stats.series, "numLabelPairs": counted.pairs_total, "chunkCount": stats.series,
            "minTime": app.telemetry.store().in_memory_since().millis(), "maxTime": app.clock.now().millis(),
        },
        "seriesCountByMetricName": counted.metrics.iter().map(|one| row(&one.name, one.series)).collect::<Vec<_>>(),
        "labelValueCountByLabelName": counted.labels.iter().map(|one| row(&one.name, one.values)).collect::<Vec<_>>(),
        "memoryInBytesByLabelName": counted.labels.iter().map(|one| row(&one.name, one.value_bytes)).collect::<Vec<_>>(),
        "seriesCountByLabelValuePair":
            counted.pairs.iter().map(|one| row(&format!("{}={}", one.name, one.value), one.series)).collect::<Vec<_>>(),
    });
    Ok(answer(&data))
}
