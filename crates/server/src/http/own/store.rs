//! The store for its keepers: where its series come from.

use axum::Json;
use axum::extract::State;
use model::api::store::Cardinality;
use model::rights::Right;
use store::Counting;

use crate::http::app::App;
use crate::http::error::HttpError;
use crate::http::params::Params;
use crate::http::routes::{Access, Routes, json};
use crate::http::selectors::selectors;

/// Rows of each list where nobody said how many.
const ROWS: u64 = 20;
/// Most rows of each list.
const ROWS_MAX: u64 = 1_000;
/// Longest name of a label, in bytes.
const LABEL_LEN_MAX: usize = 1_024;

/// Adds the routes of the store.
pub fn register(routes: Routes<App>) -> Routes<App> {
    routes.get(
        "/api/flyball/v1/store/cardinality",
        Access::Needs(Right::View),
        "Series by metric, label, pair and sender: `match[]` which series, `label` whose values, `limit` rows of each list",
        json::<Cardinality>(),
        cardinality,
    )
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
