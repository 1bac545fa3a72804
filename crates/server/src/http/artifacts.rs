//! Programs that are pushed to be released.

use std::io;

use axum::Extension;
use axum::Json;
use axum::body::Body;
use axum::extract::State;
use axum::http::HeaderMap;
use futures::StreamExt;
use model::Event;
use model::order::Artifact;
use model::rights::Right;

use super::app::App;
use super::body;
use super::doors::PutError;
use super::error::HttpError;
use super::limits::ARTIFACT_LEN_MAX;
use super::params::Params;
use super::routes::{Access, NONE, Routes, json, list};
use crate::people::Caller;

/// Longest name or version of an artifact, in bytes.
const NAME_LEN_MAX: usize = 63;

/// Adds the routes of artifacts.
pub fn register(routes: Routes<App>) -> Routes<App> {
    routes
        .get(
            "/api/flyball/v1/artifacts",
            Access::Needs(Right::View),
            "Artifacts that can be released, newest first",
            list::<Artifact>(),
            artifacts,
        )
        .post(
            "/api/flyball/v1/artifacts",
            Access::Needs(Right::Release),
            "Pushes an artifact: `name`, `version` in the query, the bytes as body; the same bytes twice are one artifact",
            (NONE, json::<Artifact>()),
            push,
        )
}

async fn artifacts(State(app): State<App>) -> Json<Vec<Artifact>> {
    let mut all: Vec<Artifact> = app.pump.read_state(|state| state.artifacts.values().cloned().collect());
    all.sort_by(|a, b| b.at.cmp(&a.at).then_with(|| a.digest.cmp(&b.digest)));
    Json(all)
}

async fn push(
    State(app): State<App>,
    Extension(caller): Extension<Caller>,
    params: Params,
    headers: HeaderMap,
    sent: Body,
) -> Result<Json<Artifact>, HttpError> {
    let name = word(&params, "name")?;
    let version = word(&params, "version")?;
    if body::content_length(&headers) == Some(0) {
        return Err(HttpError::bad_request("the artifact's bytes are wanted as body").at("body"));
    }
    let too_large = || HttpError::too_large(format!("an artifact has {ARTIFACT_LEN_MAX} bytes at most")).at("body");
    if body::content_length(&headers).is_some_and(|len| len > ARTIFACT_LEN_MAX) {
        return Err(too_large());
    }
    let bytes = sent.into_data_stream().map(|chunk| chunk.map_err(io::Error::other)).boxed();
    let stored = app.artifacts.put(bytes, ARTIFACT_LEN_MAX).await.map_err(|error| match error {
        PutError::TooLarge(_) => too_large(),
        PutError::Gzip => HttpError::bad_request(error.to_string())
            .at("body")
            .hint(Some("Push a tar or a tar.zst, or the program itself".into())),
        PutError::Cut(_) => HttpError::bad_request(error.to_string()).at("body"),
        PutError::Full => HttpError::full(),
        PutError::Write(_) => HttpError::internal(&error),
    })?;
    if stored.size == 0 {
        return Err(HttpError::bad_request("the artifact's bytes are wanted as body").at("body"));
    }
    let known = app.pump.read_state(|state| state.artifacts.get(&stored.digest).cloned());
    if let Some(known) = known {
        if known.name == name && known.version == version {
            return Ok(Json(known));
        }
        let message =
            format!("these bytes were pushed before as {} {}: give them that name and version", known.name, known.version);
        return Err(HttpError::conflict(message).at("version"));
    }
    let artifact =
        Artifact { digest: stored.digest, name, version, size: stored.size, by: caller.name.clone(), at: app.clock.now() };
    app.pump.submit(Event::ArtifactPushed(artifact.clone())).await?;
    Ok(Json(artifact))
}

/// A name or version: what may stand in a path, a table and a command without quotes.
fn word(params: &Params, name: &str) -> Result<String, HttpError> {
    let text = params.required(name)?;
    let plain = text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"._-+".contains(&byte));
    if !plain || text.len() > NAME_LEN_MAX || !text.starts_with(|c: char| c.is_ascii_alphanumeric()) || text.contains("..") {
        let message = format!("1 to {NAME_LEN_MAX} letters, digits, `.`, `_`, `-` or `+`, a letter or digit first");
        return Err(HttpError::bad_request(message).at(name));
    }
    Ok(text.to_owned())
}
