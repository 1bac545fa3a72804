//! The Overview, for its page and for the stream.

use axum::Json;
use axum::extract::State;
use model::AlertState;
use model::api::{Overview, OwnState};
use model::rights::Right;

use crate::http::app::App;
use crate::http::error::HttpError;
use crate::http::routes::{Access, Routes, json};
use crate::verbs::measured;
use crate::view::overview as view;

/// Adds its route.
pub fn register(routes: Routes<App>) -> Routes<App> {
    routes.get(
        "/api/flyball/v1/overview",
        Access::Needs(Right::View),
        "How things are, in one sentence and in numbers",
        json::<Overview>(),
        get,
    )
}

async fn get(State(app): State<App>) -> Result<Json<Overview>, HttpError> {
    compose(&app).await.map(Json)
}

/// The overview as the event stream sends it; none: it can't be composed now.
pub async fn overview(app: &App) -> Option<Overview> {
    compose(app).await.inspect_err(|error| tracing::debug!(message = error.body().message, "no overview now")).ok()
}

async fn compose(app: &App) -> Result<Overview, HttpError> {
    let config = app.config();
    let machine = app.pump.read_state(|state| state.hosts.keys().next().cloned());
    let numbers = measured(app, move |source, at| (view::measure(&config, machine.as_ref(), source, at), at));
    let (measured, at) = numbers.await?;
    let stats = app.telemetry.stats();
    let owed = (app.owed)();
    Ok(app.pump.read_state(|state| {
        let agents_up = state.hosts.values().filter(|host| host.seen.up).count() as u32;
        let agents = state.hosts.len() as u32;
        let own = OwnState {
            state: if stats.refusing.is_some() { AlertState::Bad } else { AlertState::Ok },
            agents_up,
            agents,
            saved_at: state.at,
            seq: state.seq,
            outbox: owed,
            series: stats.series,
            damaged: stats.damaged_places(),
            started_at: app.started_at,
        };
        view::overview(state, measured, at, own)
    }))
}
