//! The own API of pages and verbs under `/api/flyball/v1`: overview, timeline, incidents, orders, services, chat, command.

use model::AlertState;
use model::api::{Overview, OwnState};

use super::app::App;
use super::routes::Routes;

/// Adds the routes of pages and verbs to the table.
pub fn register(routes: Routes<App>) -> Routes<App> {
    routes
}

/// The overview at this moment; none: it can't be composed, and the log says why.
pub async fn overview(app: &App) -> Option<Overview> {
    let app = app.clone();
    // Its numbers are queries: not on a thread that others wait for, and not while the pump waits for the state.
    let composed = tokio::task::spawn_blocking(move || {
        let state = app.pump.read_state(Clone::clone);
        let (source, at) = (app.telemetry.source(), app.clock.now());
        crate::view::overview::overview(&state, &*source, at, own_state(&app, &state))
    });
    composed.await.inspect_err(|error| tracing::error!(%error, "failed to compose the overview")).ok()
}

/// What only the server knows of itself.
pub fn own_state(app: &App, state: &engine::State) -> OwnState {
    let stats = app.telemetry.stats();
    let agents_up = state.hosts.values().filter(|host| host.seen.up).count();
    OwnState {
        state: if stats.refusing.is_some() { AlertState::Bad } else { AlertState::Ok },
        agents_up: u32::try_from(agents_up).unwrap_or(u32::MAX),
        agents: u32::try_from(state.hosts.len()).unwrap_or(u32::MAX),
        saved_at: app.clock.now(),
        seq: state.seq,
        outbox: (app.owed)(),
        series: stats.series,
        started_at: app.started_at,
    }
}
