//! Hosts and heartbeats as rows.

use axum::Json;
use axum::extract::State;
use model::api::{HeartbeatRow, HostRow};
use model::rights::Right;

use crate::http::app::App;
use crate::http::routes::{Access, Routes, list};
use crate::view::rows;

/// Adds their routes.
pub fn register(routes: Routes<App>) -> Routes<App> {
    let view = Access::Needs(Right::View);
    routes.get("/api/flyball/v1/hosts", view, "Every host and whether its agent answers", list::<HostRow>(), hosts).get(
        "/api/flyball/v1/heartbeats",
        view,
        "Jobs that report, late ones first",
        list::<HeartbeatRow>(),
        heartbeats,
    )
}

async fn hosts(State(app): State<App>) -> Json<Vec<HostRow>> {
    Json(app.pump.read_state(rows::hosts))
}

async fn heartbeats(State(app): State<App>) -> Json<Vec<HeartbeatRow>> {
    let now = app.clock.now();
    Json(app.pump.read_state(|state| rows::heartbeats(state, now)))
}
