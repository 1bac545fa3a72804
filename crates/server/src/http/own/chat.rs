//! The built-in chat: rooms, what was said in them, and saying something.

use axum::extract::{Path, State};
use axum::{Extension, Json};
use model::api::{Accepted, ChatMessage};
use model::rights::Right;
use model::{RoomName, Seq};
use serde::{Deserialize, Serialize};

use super::limit;
use crate::http::app::App;
use crate::http::body::JsonBody;
use crate::http::error::HttpError;
use crate::http::params::Params;
use crate::http::routes::{Access, Routes, json, list};
use crate::people::Caller;
use crate::verbs;

/// Adds its routes.
pub fn register(routes: Routes<App>) -> Routes<App> {
    let view = Access::Needs(Right::View);
    routes
        .get("/api/flyball/v1/chat", view, "The rooms", list::<Room>(), rooms)
        .get(
            "/api/flyball/v1/chat/{room}",
            view,
            "The newest messages, oldest first; `before` a place for those before them, `limit`",
            list::<ChatMessage>(),
            messages,
        )
        .post(
            "/api/flyball/v1/chat/{room}",
            view,
            "Says something; `@flyball check shop` or `/check shop` is answered in the room",
            (json::<Saying>(), json::<Accepted>()),
            say,
        )
}

/// A room.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Room {
    /// Its name.
    pub name: RoomName,
    /// Its newest message.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub newest: Option<ChatMessage>,
}

/// POST /chat/{room}
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Saying {
    /// What, 4 KiB at most.
    pub text: String,
}

async fn rooms(State(app): State<App>) -> Result<Json<Vec<Room>>, HttpError> {
    let mut rooms = Vec::new();
    for name in verbs::rooms(&app) {
        let newest = app.projections.chat(&name, None, 1).await?.into_iter().next();
        rooms.push(Room { name, newest });
    }
    Ok(Json(rooms))
}

async fn messages(State(app): State<App>, Path(room): Path<String>, params: Params) -> Result<Json<Vec<ChatMessage>>, HttpError> {
    let room = verbs::room(&room)?;
    verbs::known_room(&app, &room)?;
    let mut messages = app.projections.chat(&room, params.number("before")?.map(Seq), limit(&params)?).await?;
    messages.reverse();
    Ok(Json(messages))
}

async fn say(
    State(app): State<App>,
    Extension(caller): Extension<Caller>,
    Path(room): Path<String>,
    JsonBody(saying): JsonBody<Saying>,
) -> Result<Json<Accepted>, HttpError> {
    verbs::say(&app, &caller, &verbs::room(&room)?, &saying.text).await.map(Json)
}
