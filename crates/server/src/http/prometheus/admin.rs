//! Prometheus' administration of its store: the same work as flyball's own routes, in Prometheus' form.

use axum::Extension;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use model::Time;
use model::rights::Right;
use serde_json::json as value;
use wire::prom_json;

use super::{Asked, PromError, json};
use crate::http::app::App;
use crate::http::own::store;
use crate::http::routes::{Access, NONE, Routes};
use crate::http::selectors::selectors;
use crate::people::Caller;

const DELETE: &str = "/api/v1/admin/tsdb/delete_series";
const CLEAN: &str = "/api/v1/admin/tsdb/clean_tombstones";
const SNAPSHOT: &str = "/api/v1/admin/tsdb/snapshot";

/// Adds the routes.
pub(super) fn register(routes: Routes<App>) -> Routes<App> {
    let administer = Access::Needs(Right::Administer);
    routes
        .post(DELETE, administer, "Deletes samples: match[], start, end; nothing brings them back", (NONE, NONE), delete)
        .post(CLEAN, administer, "Deleted samples are gone already: nothing is left to clean", (NONE, NONE), clean)
        .post(SNAPSHOT, administer, "Copies all samples up to now into a folder and says its name", (NONE, NONE), snapshot)
}

async fn delete(State(app): State<App>, Extension(caller): Extension<Caller>, asked: Asked) -> Result<Response, PromError> {
    app.demand_everywhere(&caller, Right::Administer, "POST", DELETE).await?;
    let selectors = selectors(&asked.0)?;
    if selectors.is_empty() {
        return Err(PromError::new(prom_json::ErrorKind::BadData, "no match[] parameter provided"));
    }
    let from = asked.0.time("start")?.unwrap_or(Time::MIN);
    let to = asked.0.time("end")?.unwrap_or(Time::MAX);
    store::delete_series(&app, &caller, selectors, from, to).await?;
    Ok(StatusCode::NO_CONTENT.into_response())
}

async fn clean(State(app): State<App>, Extension(caller): Extension<Caller>) -> Result<Response, PromError> {
    app.demand_everywhere(&caller, Right::Administer, "POST", CLEAN).await?;
    Ok(StatusCode::NO_CONTENT.into_response())
}

async fn snapshot(State(app): State<App>, Extension(caller): Extension<Caller>) -> Result<Response, PromError> {
    app.demand_everywhere(&caller, Right::Administer, "POST", SNAPSHOT).await?;
    let taken = store::take_snapshot(&app, &caller).await?;
    let mut out = Vec::new();
    prom_json::data(&mut out, &value!({ "name": taken.name }));
    Ok(json(out))
}
