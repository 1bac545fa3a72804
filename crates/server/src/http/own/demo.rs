//! The demo's button: which good and which bad release is next, and releasing it. A server that is no demo has none.

use std::collections::{BTreeMap, BTreeSet};

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
fn next(state: &engine::State) -> BTreeMap<&'static str, Artifact> {
    let used: BTreeSet<&ArtifactDigest> = state.orders.values().map(|order| &order.release.digest).collect();
    let first = |kind: &str| {
        let head = format!("{SERVICE}-{kind}");
        let of_kind = state.artifacts.values().filter(|artifact| artifact.name.starts_with(&head));
        let free = of_kind.filter(|artifact| !used.contains(&artifact.digest));
        free.min_by_key(|artifact| (version_key(&artifact.version), artifact.at)).cloned()
    };
    KINDS.into_iter().filter_map(|kind| Some((kind, first(kind)?))).collect()
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
    let next = app.pump.read_state(next);
    let releases = next.into_iter().map(|(kind, artifact)| (kind.to_owned(), artifact.version)).collect();
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
    let next = app.pump.read_state(next).remove(kind);
    let artifact =
        next.ok_or_else(|| HttpError::conflict(format!("no {kind} release is left: start the demo anew")).at("kind"))?;
    let text = format!("deploy {SERVICE} {} {ENVIRONMENT} --reason \"demo: a {kind} release\"", artifact.digest);
    let ask = Ask { id: None, text, via: surface(&caller), yes: true, dry_run: false, room: None };
    verbs::ask(&app, &caller, ask).await.map(Json)
}

#[cfg(test)]
mod tests {
    use model::order::Artifact;
    use model::{ArtifactDigest, Time};

    use super::{next, version_key};

    #[test]
    fn the_lowest_version_of_each_kind_is_next() {
        let mut state = engine::State::default();
        for (digest, name, version) in [
            ("1", "shop-good-a", "4.13.0"),
            ("2", "shop-good-b", "4.9.0"),
            ("3", "shop-bad", "4.12.1"),
            ("4", "pay-bad", "1.0.0"),
        ] {
            let digest = ArtifactDigest::from(digest);
            let (name, version) = (name.to_owned(), version.to_owned());
            let artifact = Artifact { digest: digest.clone(), name, version, size: 1, by: "demo".into(), at: Time(0) };
            state.artifacts.insert(digest, artifact);
        }
        let versions: Vec<_> = next(&state).into_iter().map(|(kind, artifact)| (kind, artifact.version)).collect();
        assert_eq!(versions, [("bad", "4.12.1".to_owned()), ("good", "4.9.0".to_owned())]);
    }

    #[test]
    fn versions_are_numbers() {
        let mut versions = ["4.12.0", "4.9.1", "4.9", "5.0.0-rc1", "x"];
        versions.sort_by_key(|version| version_key(version));
        assert_eq!(versions, ["x", "4.9", "4.9.1", "4.12.0", "5.0.0-rc1"]);
    }
}
