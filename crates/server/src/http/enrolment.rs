//! Tokens by which hosts come in, and the word that shuts one out. Both are for administrators, and both are in the audit.

use std::collections::BTreeSet;

use axum::extract::{Path, State};
use axum::{Extension, Json};
use model::HostName;
use model::rights::Right;
use serde::{Deserialize, Serialize};

use super::app::App;
use super::audit;
use super::error::HttpError;
use super::routes::{Access, NONE, Routes, json};
use crate::people::Caller;

const TOKEN: &str = "/api/flyball/v1/hosts/{host}/enrol-token";
const REVOKE: &str = "/api/flyball/v1/hosts/{host}/revoke";

/// Adds the routes of enrolment.
pub fn register(routes: Routes<App>) -> Routes<App> {
    let administer = Access::Needs(Right::Administer);
    let token = "A one-time token by which an agent enrols as this host";
    let revoke = "Shuts a host out: its link ends, its certificate and its tokens are void until it enrols anew";
    routes.post(TOKEN, administer, token, (NONE, json::<EnrolToken>()), enrol_token).post(
        REVOKE,
        administer,
        revoke,
        (NONE, json::<HostRevoked>()),
        revoke_host,
    )
}

/// A token by which an agent enrols once.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct EnrolToken {
    /// The host.
    pub host: HostName,
    /// The token's text, kept nowhere.
    pub token: String,
}

/// A host that was shut out.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct HostRevoked {
    /// The host.
    pub host: HostName,
    /// Whether it had enrolled; else only its tokens are void now.
    pub was_enrolled: bool,
}

async fn enrol_token(
    State(app): State<App>,
    Extension(caller): Extension<Caller>,
    Path(host): Path<String>,
) -> Result<Json<EnrolToken>, HttpError> {
    app.demand_everywhere(&caller, Right::Administer, "POST", TOKEN).await?;
    let host = known_host(&app, &host)?;
    let token = app.enrol.token(&host).await.map_err(|error| HttpError::internal(&error))?;
    audit::note(&app, &caller.name, serde_json::json!({ "enrol_token_made": host })).await?;
    Ok(Json(EnrolToken { host, token }))
}

async fn revoke_host(
    State(app): State<App>,
    Extension(caller): Extension<Caller>,
    Path(host): Path<String>,
) -> Result<Json<HostRevoked>, HttpError> {
    app.demand_everywhere(&caller, Right::Administer, "POST", REVOKE).await?;
    let host = known_host(&app, &host)?;
    let was_enrolled = app.enrol.revoke(&host).await.map_err(|error| HttpError::internal(&error))?;
    audit::note(&app, &caller.name, serde_json::json!({ "host_revoked": host, "was_enrolled": was_enrolled })).await?;
    Ok(Json(HostRevoked { host, was_enrolled }))
}

/// A host that is configured or was there once; else 404 with the nearest.
fn known_host(app: &App, host: &str) -> Result<HostName, HttpError> {
    let host = HostName::new(host).map_err(|error| HttpError::bad_request(error.to_string()).at("host"))?;
    let seen = app.pump.read_state(|state| state.hosts.keys().cloned().collect::<BTreeSet<_>>());
    let config = app.config();
    if config.hosts.contains_key(&host) || seen.contains(&host) {
        return Ok(host);
    }
    let known = config.hosts.keys().chain(&seen);
    Err(app.unknown("host", host.as_str(), known.map(|name| name.as_str())))
}
