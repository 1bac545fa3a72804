//! POST /command: a line in the one grammar. And how the other routes hand a verb to the engine.

use axum::extract::State;
use axum::{Extension, Json};
use model::api::{Answer, Ask};
use model::rights::Right;
use model::{EventId, Outcome, Surface, Verb};

use crate::http::app::App;
use crate::http::body::JsonBody;
use crate::http::error::HttpError;
use crate::http::routes::{Access, Routes, json};
use crate::people::{Caller, CallerKind};
use crate::verbs;

/// Adds its route.
pub fn register(routes: Routes<App>) -> Routes<App> {
    routes.post(
        "/api/flyball/v1/command",
        Access::Needs(Right::View),
        "Says a verb in the grammar of chat and terminal; what the engine refuses is an answer too, with status 200",
        (json::<Ask>(), json::<Answer>()),
        command,
    )
}

async fn command(
    State(app): State<App>,
    Extension(caller): Extension<Caller>,
    JsonBody(ask): JsonBody<Ask>,
) -> Result<Json<Answer>, HttpError> {
    verbs::ask(&app, &caller, ask).await.map(Json)
}

/// Does a verb for a route of its own: right, engine, and the engine's refusal as a status.
pub async fn perform(app: &App, caller: &Caller, id: Option<EventId>, verb: Verb, path: &str) -> Result<Outcome, HttpError> {
    let id = id.map_or_else(|| Ok(verbs::new_id()), verbs::checked_id)?;
    let wanted = app.pump.read_state(|state| verbs::wanted_of(state, verb, path.to_owned()));
    verbs::allowed(app, caller, &wanted, ("POST", path)).await?;
    match verbs::submit(app, caller, surface(caller), &id, wanted.verb).await? {
        Outcome::Refused(refusal) => Err(verbs::of_refusal(&refusal)),
        accepted => Ok(accepted),
    }
}

/// From where a caller speaks who does not say so: people have the page, programs the API.
pub fn surface(caller: &Caller) -> Surface {
    match caller.kind {
        CallerKind::Person => Surface::Page,
        CallerKind::Token => Surface::Api,
    }
}
