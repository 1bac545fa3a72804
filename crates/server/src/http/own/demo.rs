//! The demo's button: which good and which bad release is next, and releasing it. A server that is no demo has none.

use std::collections::BTreeMap;

use axum::extract::State;
use axum::{Extension, Json};
use model::api::{Answer, Ask, Demo};
use model::order::Artifact;
use model::rights::Right;
use model::{ArtifactDigest, EnvironmentName, ServiceName};
use serde::{Deserialize, Serialize};

use super::command::surface;
use crate::http::app::App;
use crate::http::body::JsonBody;
use crate::http::error::HttpError;
use crate::http::routes::{Access, Routes, json};
use crate::people::Caller;
use crate::verbs;

/// What the demo releases, and where.
const SERVICE: &str = "shop";
const ENVIRONMENT: &str = "prod";
/// Kinds of releases: an artifact's name begins with `shop-good` or `shop-bad`.
const KINDS: [&str; 2] = ["good", "bad"];

/// Adds its routes.
pub fn register(routes: Routes<App>) -> Routes<App> {
    routes.get("/api/flyball/v1/demo", Access::Needs(Right::View), "What the demo can release next", json::<Demo>(), demo).post(
        "/api/flyball/v1/demo/release",
        Access::Needs(Right::Release),
        "Releases the next good or bad version",
        (json::<DemoRelease>(), json::<Answer>()),
        release,
    )
}

/// POST /demo/release
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct DemoRelease {
    /// `good` or `bad`.
    pub kind: String,
}

/// The next artifact of each kind that no order has used: by version, then by when it was pushed.
fn next(app: &App) -> BTreeMap<&'static str, Artifact> {
    app.pump.read_state(|state| {
        let used: std::collections::BTreeSet<&ArtifactDigest> =
            state.orders.values().map(|order| &order.release.digest).collect();
        let first = |kind: &str| {
            let head = format!("{SERVICE}-{kind}");
            let free =
                state.artifacts.values().filter(|artifact| artifact.name.starts_with(&head) && !used.contains(&artifact.digest));
            free.min_by_key(|artifact| (version_key(&artifact.version), artifact.at)).cloned()
        };
        KINDS.into_iter().filter_map(|kind| Some((kind, first(kind)?))).collect()
    })
}

/// `4.9.0` comes before `4.12.0`.
fn version_key(version: &str) -> (Vec<u64>, String) {
    (version.split(['.', '-', '+']).map_while(|part| part.parse().ok()).collect(), version.to_owned())
}

fn names() -> Result<(ServiceName, EnvironmentName), HttpError> {
    let broken = |error: model::NameError| HttpError::internal(&error);
    Ok((ServiceName::new(SERVICE).map_err(broken)?, EnvironmentName::new(ENVIRONMENT).map_err(broken)?))
}

fn only_in_demo(app: &App) -> Result<(), HttpError> {
    if app.demo { Ok(()) } else { Err(HttpError::unknown("this server is no demo").hint(Some("flyball demo".into()))) }
}

async fn demo(State(app): State<App>) -> Result<Json<Demo>, HttpError> {
    only_in_demo(&app)?;
    let (service, environment) = names()?;
    let releases = next(&app).into_iter().map(|(kind, artifact)| (kind.to_owned(), artifact.version)).collect();
    Ok(Json(Demo { service, environment, releases }))
}

async fn release(
    State(app): State<App>,
    Extension(caller): Extension<Caller>,
    JsonBody(asked): JsonBody<DemoRelease>,
) -> Result<Json<Answer>, HttpError> {
    only_in_demo(&app)?;
    let Some(kind) = KINDS.into_iter().find(|kind| *kind == asked.kind) else {
        return Err(HttpError::bad_request("`good` or `bad`").at("kind"));
    };
    let next = next(&app).remove(kind);
    let artifact =
        next.ok_or_else(|| HttpError::conflict(format!("no {kind} release is left: start the demo anew")).at("kind"))?;
    let text = format!("deploy {SERVICE} {} {ENVIRONMENT} --reason \"demo: a {kind} release\"", artifact.digest);
    let ask = Ask { id: None, text, via: surface(&caller), yes: true, dry_run: false, room: None };
    verbs::ask(&app, &caller, ask).await.map(Json)
}

#[cfg(test)]
mod tests {
    use super::version_key;

    #[test]
    fn versions_are_numbers() {
        let mut versions = ["4.12.0", "4.9.1", "4.9", "5.0.0-rc1", "x"];
        versions.sort_by_key(|version| version_key(version));
        assert_eq!(versions, ["x", "4.9", "4.9.1", "4.12.0", "5.0.0-rc1"]);
    }
}
