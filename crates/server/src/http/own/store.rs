//! The store for its keepers: where its series come from, and what they tell it to do.

use std::time::Instant;

use axum::extract::State;
use axum::{Extension, Json};
use model::api::store::{Cardinality, Flushed};
use model::rights::Right;
use store::{Counting, StoreError};

use crate::http::app::App;
use crate::http::error::HttpError;
use crate::http::params::Params;
use crate::http::routes::{Access, NONE, Routes, json};
use crate::http::selectors::selectors;
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
}

/// Where the store is flushed.
const FLUSH: &str = "/api/flyball/v1/store/flush";

async fn flush(State(app): State<App>, Extension(caller): Extension<Caller>) -> Result<Json<Flushed>, HttpError> {
    app.demand_everywhere(&caller, Right::Administer, "POST", FLUSH).await?;
    let store = app.telemetry.store().clone();
    let log_bytes_before = store.stats().log_bytes;
    let begun = Instant::now();
    let flushed = tokio::task::spawn_blocking(move || store.flush().map(|()| store.stats())).await;
    let stats = flushed.map_err(|error| HttpError::internal(&error))?.map_err(of_store)?;
    Ok(Json(Flushed {
        seconds: begun.elapsed().as_secs_f64(),
        series: stats.series,
        samples: stats.samples,
        log_bytes_before,
        log_bytes: stats.log_bytes,
    }))
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
