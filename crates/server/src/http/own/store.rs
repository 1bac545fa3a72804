//! The store for its keepers: where its series come from, and what they tell it to do.

use std::time::{Duration, Instant};

use axum::extract::State;
use axum::{Extension, Json};
use model::Time;
use model::api::store::{Cardinality, Deleted, Deletion, Flushed, Snapshot};
use model::rights::Right;
use query::source::{MatchOp, Matcher};
use store::{Counting, Store, StoreError};

use crate::http::app::App;
use crate::http::audit;
use crate::http::body::JsonBody;
use crate::http::error::HttpError;
use crate::http::params::Params;
use crate::http::routes::{Access, NONE, Routes, json};
use crate::http::selectors::{self, selectors};
use crate::people::Caller;

/// Rows of each list where nobody said how many.
const ROWS: u64 = 20;
/// Most rows of each list.
const ROWS_MAX: u64 = 1_000;
/// Longest name of a label, in bytes.
const LABEL_LEN_MAX: usize = 1_024;

/// Adds the routes of the store.
pub fn register(routes: Routes<App>) -> Routes<App> {
    routes
        .get(
            "/api/flyball/v1/store/cardinality",
            Access::Needs(Right::View),
            "Series by metric, label, pair and sender: `match[]` which series, `label` whose values, `limit` rows of each list",
            json::<Cardinality>(),
            cardinality,
        )
        .post(
            FLUSH,
            Access::Needs(Right::Administer),
            "Seals what is in memory, syncs it and drops the log behind it; answers when it is done",
            (NONE, json::<Flushed>()),
            flush,
        )
        .post(
            SNAPSHOT,
            Access::Needs(Right::Administer),
            "Copies all samples up to now into a new folder under `snapshots` in the data folder",
            (NONE, json::<Snapshot>()),
            snapshot,
        )
        .post(
            DELETE,
            Access::Needs(Right::Administer),
            "Deletes the samples of series that fit any selector, from and to included; nothing brings them back",
            (json::<Deletion>(), json::<Deleted>()),
            delete,
        )
}

const FLUSH: &str = "/api/flyball/v1/store/flush";
const SNAPSHOT: &str = "/api/flyball/v1/store/snapshot";
const DELETE: &str = "/api/flyball/v1/store/delete";

async fn flush(State(app): State<App>, Extension(caller): Extension<Caller>) -> Result<Json<Flushed>, HttpError> {
    app.demand_everywhere(&caller, Right::Administer, "POST", FLUSH).await?;
    let before = app.telemetry.stats().log_bytes;
    let (stats, took) = on_store(&app, |store| store.flush().map(|()| store.stats())).await?;
    Ok(Json(Flushed {
        seconds: took.as_secs_f64(),
        series: stats.series,
        samples: stats.samples,
        log_bytes_before: before,
        log_bytes: stats.log_bytes,
        history_samples: stats.history.samples,
        history_bytes: stats.history.bytes,
    }))
}

async fn snapshot(State(app): State<App>, Extension(caller): Extension<Caller>) -> Result<Json<Snapshot>, HttpError> {
    app.demand_everywhere(&caller, Right::Administer, "POST", SNAPSHOT).await?;
    Ok(Json(take_snapshot(&app, &caller).await?))
}

async fn delete(
    State(app): State<App>,
    Extension(caller): Extension<Caller>,
    JsonBody(what): JsonBody<Deletion>,
) -> Result<Json<Deleted>, HttpError> {
    app.demand_everywhere(&caller, Right::Administer, "POST", DELETE).await?;
    let selectors = selectors::read(what.selectors.iter().map(String::as_str), "selectors")?;
    let (from, to) = (what.from.unwrap_or(Time::MIN), what.to.unwrap_or(Time::MAX));
    Ok(Json(delete_series(&app, &caller, selectors, from, to).await?))
}

/// Copies all samples into a new folder beside the store's own, `snapshots/<name>`.
pub async fn take_snapshot(app: &App, caller: &Caller) -> Result<Snapshot, HttpError> {
    let stamp: String = app.clock.now().to_string().chars().take(19).filter(|c| *c != '-' && *c != ':').collect();
    let random = uuid::Uuid::now_v7().simple().to_string();
    let name = format!("{stamp}Z-{}", &random[16..]);
    let folder = match app.telemetry.store().options().dir.parent() {
        Some(data) => data.join("snapshots").join(&name),
        None => return Err(HttpError::conflict("the store's folder is the root: there is no place beside it")),
    };
    let into = folder.clone();
    let ((), took) = on_store(app, move |store| store.snapshot(&into)).await?;
    audit::note(app, &caller.name, serde_json::json!({ "store": "snapshot", "name": name })).await?;
    Ok(Snapshot { name, folder: folder.display().to_string(), seconds: took.as_secs_f64() })
}

/// Deletes samples; who did is in the audit before anything is gone.
pub async fn delete_series(
    app: &App,
    caller: &Caller,
    selectors: Vec<Vec<Matcher>>,
    from: Time,
    to: Time,
) -> Result<Deleted, HttpError> {
    if selectors.is_empty() {
        return Err(HttpError::bad_request("a selector says which series: without one nothing is deleted").at("selectors"));
    }
    if to < from {
        return Err(HttpError::bad_request("`to` is before `from`").at("to"));
    }
    let shown: Vec<String> = selectors.iter().map(|matchers| shown(matchers)).collect();
    let what = serde_json::json!({
        "store": "delete", "selectors": shown,
        "from": (from != Time::MIN).then_some(from), "to": (to != Time::MAX).then_some(to),
    });
    audit::note(app, &caller.name, what).await?;
    let telemetry = app.telemetry.clone();
    let (samples, took) = on_store(app, move |_| telemetry.delete(&selectors, from, to)).await?;
    tracing::info!(by = caller.name, samples, "samples were deleted");
    Ok(Deleted { samples, seconds: took.as_secs_f64() })
}

fn shown(matchers: &[Matcher]) -> String {
    let parts: Vec<String> = matchers
        .iter()
        .map(|matcher| {
            let op = match matcher.op {
                MatchOp::Equal => "=",
                MatchOp::NotEqual => "!=",
                MatchOp::Regex => "=~",
                MatchOp::NotRegex => "!~",
            };
            format!("{}{op}{:?}", matcher.name, matcher.value)
        })
        .collect();
    format!("{{{}}}", parts.join(","))
}

/// Works on the store on a thread that may block. Goes on to its end even if whoever asked hangs up.
async fn on_store<T: Send + 'static>(
    app: &App,
    work: impl FnOnce(&Store) -> Result<T, StoreError> + Send + 'static,
) -> Result<(T, Duration), HttpError> {
    let store = app.telemetry.store().clone();
    let begun = Instant::now();
    let done = tokio::task::spawn_blocking(move || work(&store)).await;
    let done = done.map_err(|error| HttpError::internal(&error))?.map_err(of_store)?;
    Ok((done, begun.elapsed()))
}

/// The disk is full: 507 in our words; anything else is the server's fault.
fn of_store(error: StoreError) -> HttpError {
    match error {
        StoreError::Full | StoreError::ReadOnly { .. } => HttpError::full(),
        error => HttpError::internal(&error),
    }
}

async fn cardinality(State(app): State<App>, params: Params) -> Result<Json<Cardinality>, HttpError> {
    let limit = match params.number("limit")?.unwrap_or(ROWS) {
        limit @ 1..=ROWS_MAX => limit as usize,
        _ => return Err(HttpError::bad_request(format!("1 to {ROWS_MAX}")).at("limit")),
    };
    let label = params.one("label").map(str::to_owned);
    if label.as_ref().is_some_and(|label| label.len() > LABEL_LEN_MAX) {
        return Err(HttpError::bad_request(format!("a label's name has {LABEL_LEN_MAX} bytes at most")).at("label"));
    }
    let what = Counting { selectors: selectors(&params)?, limit, label };
    let turn = app.limits.query_turn().await?;
    let store = app.telemetry.store().clone();
    let counted = tokio::task::spawn_blocking(move || {
        let _turn = turn;
        store.cardinality(&what)
    });
    Ok(Json(counted.await.map_err(|error| HttpError::internal(&error))?))
}
