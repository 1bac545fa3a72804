//! Logging in and out, who one is, and the tokens of programs.

use std::time::Duration;

use axum::extract::{Path, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::MethodFilter;
use axum::{Extension, Json};
use model::api::{Login, LoginLink, Me};
use model::rights::{Grant, Right, Role};
use model::{Time, TokenName};
use serde::{Deserialize, Serialize};

use super::access;
use super::app::App;
use super::audit;
use super::body::JsonBody;
use super::error::HttpError;
use super::routes::{Access, NONE, Routes, json, list};
use super::serve::Peer;
use crate::people::{Caller, CallerKind, LoginError, Secret};

/// A browser forgets the session after so long; the server does so by itself too.
const COOKIE_FOR: Duration = Duration::from_secs(30 * 24 * 3600);

/// Adds the routes of accounts.
pub fn register(routes: Routes<App>) -> Routes<App> {
    routes
        .post(
            "/api/flyball/v1/login",
            Access::Open,
            "Opens a session by name and password",
            (json::<Login>(), json::<Me>()),
            login,
        )
        .post(
            "/api/flyball/v1/login/link",
            Access::Open,
            "Opens a session by a one-time link",
            (json::<LoginLink>(), json::<Me>()),
            login_link,
        )
        .post("/api/flyball/v1/logout", Access::Known, "Ends the session", (NONE, NONE), logout)
        .get("/api/flyball/v1/me", Access::Known, "Who the caller is and may do", json::<Me>(), me)
        .get(
            "/api/flyball/v1/tokens",
            Access::Needs(Right::Administer),
            "All tokens by name, without their texts",
            list::<Token>(),
            tokens,
        )
        .post(
            "/api/flyball/v1/tokens",
            Access::Needs(Right::Administer),
            "Makes a token; its text is shown this once",
            (json::<NewToken>(), json::<TokenMade>()),
            create_token,
        )
        .add(
            "DELETE",
            MethodFilter::DELETE,
            "/api/flyball/v1/tokens/{name}",
            Access::Needs(Right::Administer),
            "Takes a token away",
            (NONE, NONE),
            revoke_token,
        )
}

/// A token as the list shows it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Token {
    /// Its name.
    pub name: String,
    /// What it may do.
    pub grants: Vec<Grant>,
    /// When it was made.
    pub created_at: Time,
}

/// POST /tokens
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewToken {
    /// Its name.
    pub name: TokenName,
    /// A role everywhere; or name `grants`.
    #[serde(default)]
    pub role: Option<Role>,
    /// What it may do.
    #[serde(default)]
    pub grants: Vec<Grant>,
}

/// A token that was just made.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct TokenMade {
    /// Its name.
    pub name: TokenName,
    /// Its text, kept nowhere.
    pub token: String,
}

async fn login(
    State(app): State<App>,
    peer: Option<Extension<Peer>>,
    JsonBody(login): JsonBody<Login>,
) -> Result<Response, HttpError> {
    app.limits.login(peer.map(|Extension(Peer(address))| address.ip()))?;
    let session =
        app.people.login(&login.name, &login.password).await.map_err(|error| refused(error, "name or password is wrong"))?;
    entered(&app, &session).await
}

async fn login_link(
    State(app): State<App>,
    peer: Option<Extension<Peer>>,
    JsonBody(link): JsonBody<LoginLink>,
) -> Result<Response, HttpError> {
    app.limits.login(peer.map(|Extension(Peer(address))| address.ip()))?;
    let wrong = "this link was used already, or it is older than an hour";
    let session = app.people.redeem_link(&link.token).await.map_err(|error| refused(error, wrong))?;
    entered(&app, &session).await
}

fn refused(error: LoginError, wrong: &str) -> HttpError {
    match error {
        LoginError::Wrong => HttpError::wrong_login(wrong),
        LoginError::Wait(secs) => HttpError::too_many(error.to_string(), u32::try_from(secs).unwrap_or(30)),
        LoginError::People(error) => error.into(),
    }
}

/// The answer to a login: who it is, and the cookie.
async fn entered(app: &App, session: &Secret) -> Result<Response, HttpError> {
    let config = app.config();
    let Some(caller) = app.people.authenticate(session.text(), &config).await? else {
        app.people.logout(session.text()).await?;
        // A password of somebody who is no longer in the configuration.
        return Err(HttpError::wrong_login("name or password is wrong"));
    };
    let mut response = Json(who(app, &caller)).into_response();
    response.headers_mut().append(header::SET_COOKIE, cookie(app, session.text(), COOKIE_FOR));
    Ok(response)
}

fn cookie(app: &App, value: &str, keep: Duration) -> HeaderValue {
    let secure = if app.secure { "; Secure" } else { "" };
    let text = format!("{}={value}; HttpOnly; SameSite=Strict; Path=/; Max-Age={}{secure}", access::COOKIE, keep.as_secs());
    HeaderValue::from_str(&text).expect("a session's text is letters, digits, `-` and `_`")
}

async fn logout(State(app): State<App>, headers: HeaderMap) -> Result<Response, HttpError> {
    if let Some(session) = access::cookie(&headers) {
        app.people.logout(&session).await?;
    }
    let mut response = StatusCode::NO_CONTENT.into_response();
    response.headers_mut().append(header::SET_COOKIE, cookie(&app, "", Duration::ZERO));
    Ok(response)
}

async fn me(State(app): State<App>, Extension(caller): Extension<Caller>) -> Json<Me> {
    Json(who(&app, &caller))
}

fn who(app: &App, caller: &Caller) -> Me {
    let config = app.config();
    let user = match caller.kind {
        CallerKind::Person => config.users.get(caller.name.as_str()),
        CallerKind::Token => None,
    };
    let shown = user.map(|user| user.name.clone()).filter(|name| !name.is_empty()).unwrap_or_else(|| caller.name.clone());
    let mut rights: Vec<Right> = caller.grants.iter().flat_map(|grant| grant.role.rights()).copied().collect();
    rights.sort();
    rights.dedup();
    Me {
        name: caller.name.clone(),
        shown,
        language: user.map_or(config.flyball.language, |user| user.language),
        grants: caller.grants.clone(),
        rights,
        version: env!("CARGO_PKG_VERSION").into(),
        bot: config.flyball.bot.clone(),
        demo: app.demo,
    }
}

async fn tokens(State(app): State<App>) -> Result<Json<Vec<Token>>, HttpError> {
    let rows = app.people.tokens().await?;
    Ok(Json(rows.into_iter().map(|row| Token { name: row.name, grants: row.grants, created_at: Time(row.created_at) }).collect()))
}

async fn create_token(
    State(app): State<App>,
    Extension(caller): Extension<Caller>,
    JsonBody(new): JsonBody<NewToken>,
) -> Result<(StatusCode, Json<TokenMade>), HttpError> {
    app.demand_everywhere(&caller, Right::Administer, "POST", "/api/flyball/v1/tokens").await?;
    let mut grants = new.grants;
    grants.extend(new.role.map(Grant::everywhere));
    if grants.is_empty() || grants.len() > 100 {
        let error = HttpError::bad_request("a token has 1 to 100 grants: name a `role`, or `grants`").at("role");
        return Err(error.hint(Some("viewer, sender, operator, releaser, approver, admin".into())));
    }
    let secret = app.people.create_token(&new.name, &grants).await?;
    audit::note(&app, &caller.name, serde_json::json!({ "token_made": new.name, "grants": grants })).await?;
    Ok((StatusCode::CREATED, Json(TokenMade { name: new.name, token: secret.text().to_owned() })))
}

async fn revoke_token(
    State(app): State<App>,
    Extension(caller): Extension<Caller>,
    Path(name): Path<String>,
) -> Result<StatusCode, HttpError> {
    app.demand_everywhere(&caller, Right::Administer, "DELETE", "/api/flyball/v1/tokens").await?;
    let name = TokenName::new(&name).map_err(|error| HttpError::bad_request(error.to_string()).at("name"))?;
    if !app.people.revoke_token(&name).await? {
        let known: Vec<String> = app.people.tokens().await?.into_iter().map(|row| row.name).collect();
        return Err(app.unknown("token", name.as_str(), known.iter().map(String::as_str)));
    }
    audit::note(&app, &caller.name, serde_json::json!({ "token_revoked": name })).await?;
    Ok(StatusCode::NO_CONTENT)
}
