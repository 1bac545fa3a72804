//! The configuration: shown with its secrets masked, and read again from its folder, all of it or nothing.

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::{Extension, Json};
use model::change::ChangeKind;
use model::config::Config;
use model::rights::Right;
use model::{Change, Event, EventId, Scope, Seq, Text};
use serde::{Deserialize, Serialize};

use super::app::App;
use super::error::HttpError;
use super::routes::{Access, NONE, Routes, json};
use crate::config::{self, Diagnostic};
use crate::people::Caller;
use crate::pump::PumpError;

/// Longest difference kept with the change, in bytes.
const DETAIL_LEN_MAX: usize = 16 * 1024;

/// Adds the routes of the configuration.
pub fn register(routes: Routes<App>) -> Routes<App> {
    routes
        .get(
            "/api/flyball/v1/config",
            Access::Needs(Right::View),
            "The configuration in force, its secrets masked",
            json::<Config>(),
            show,
        )
        .post(
            "/-/reload",
            Access::Needs(Right::Administer),
            "Reads the configuration again: all or nothing; the old one stays on a mistake",
            (NONE, json::<Reloaded>()),
            reload_now,
        )
}

/// What a reload came to.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Reloaded {
    /// Values that are different now.
    pub changes: usize,
    /// Each of them.
    pub difference: Vec<String>,
    /// The event's place; none: nothing is different, nothing happened.
    pub seq: Option<Seq>,
}

/// Why a reload changed nothing.
#[derive(Debug, thiserror::Error)]
pub enum ReloadError {
    /// The server was started without a folder.
    #[error("read the configuration again: this server was started without a configuration folder")]
    NoFolder,
    /// The folder has mistakes: all of them.
    #[error("read the configuration again: the old one stays in force; mistakes: {n}", n = .0.len())]
    Mistakes(Vec<Diagnostic>),
    /// Not on disk.
    #[error(transparent)]
    Pump(#[from] PumpError),
}

/// Reads the folder again and puts it in force, as one event with its difference. For SIGHUP and for the route.
pub async fn reload(app: &App, by: &str) -> Result<Reloaded, ReloadError> {
    // One after the other: each difference is to the one before.
    let _turn = app.reloading.lock().await;
    let Some(folder) = app.config_folder.clone() else { return Err(ReloadError::NoFolder) };
    let features = app.features;
    let loaded = tokio::task::spawn_blocking(move || config::load(&folder, &features)).await;
    let config = loaded.expect("loading the configuration does not panic").map_err(ReloadError::Mistakes)?;
    let before = app.pump.read_state(|state| state.config.clone());
    let difference = config::difference(&before, &config);
    if config == before {
        return Ok(Reloaded { changes: 0, difference, seq: None });
    }
    let change = Change {
        id: EventId::from(uuid::Uuid::now_v7().to_string()),
        kind: ChangeKind::Configuration,
        what: Text::new("change.config").with("count", difference.len()),
        scope: Scope::default(),
        author: Some(by.to_owned()),
        at: app.clock.now(),
        detail: Some(cut(difference.join("\n"))),
        link: None,
        order: None,
    };
    let event = Event::Configured { config: Box::new(config.clone()), change: Some(Box::new(change)) };
    let submitted = app.pump.submit(event).await?;
    app.put_config(config);
    Ok(Reloaded { changes: difference.len(), difference, seq: Some(submitted.seq) })
}

fn cut(mut text: String) -> String {
    if text.len() > DETAIL_LEN_MAX {
        text.truncate(text.floor_char_boundary(DETAIL_LEN_MAX));
    }
    text
}

async fn reload_now(State(app): State<App>, Extension(caller): Extension<Caller>) -> Result<Response, HttpError> {
    app.demand_everywhere(&caller, Right::Administer, "POST", "/-/reload").await?;
    match reload(&app, &caller.name).await {
        Ok(reloaded) => Ok(Json(reloaded).into_response()),
        Err(ReloadError::Mistakes(mistakes)) => Ok((StatusCode::BAD_REQUEST, Json(refusal(&mistakes))).into_response()),
        Err(ReloadError::NoFolder) => Err(HttpError::conflict(ReloadError::NoFolder.to_string())),
        Err(ReloadError::Pump(error)) => Err(error.into()),
    }
}

/// The usual error, whose sentence holds all mistakes as people read them, and beside it the same for programs.
fn refusal(mistakes: &[Diagnostic]) -> serde_json::Value {
    let text = mistakes.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n");
    let first = mistakes.first();
    let rows: Vec<_> = mistakes
        .iter()
        .map(|mistake| {
            serde_json::json!({
                "file": mistake.file, "line": mistake.line, "column": mistake.column,
                "message": mistake.message, "hint": mistake.hint, "source_line": mistake.source_line,
            })
        })
        .collect();
    serde_json::json!({
        "error": {
            "code": "bad_request",
            "message": format!("the old configuration stays in force:\n{text}"),
            "place": first.map(|mistake| format!("{}:{}:{}", mistake.file, mistake.line, mistake.column)),
            "hint": first.and_then(|mistake| mistake.hint.clone()),
        },
        "mistakes": rows,
    })
}

async fn show(State(app): State<App>) -> Json<Config> {
    Json(shown(&app))
}

/// The configuration in force, its secrets masked.
pub(super) fn shown(app: &App) -> Config {
    let mut config = Config::clone(&app.config());
    for heartbeat in config.heartbeats.values_mut() {
        heartbeat.id = "****".into();
    }
    for receiver in config.notification.receivers.values_mut() {
        if let Some(webhook) = &mut receiver.webhook {
            webhook.url = config::masked_url(&webhook.url);
        }
    }
    config
}
