//! Changes as people, pipelines and programs report them. The answer waits until the change is in the journal.

use axum::extract::State;
use axum::{Extension, Json};
use model::api::{Accepted, NewChange};
use model::change::{ChangeKind, Scope};
use model::rights::Right;
use model::{Change, Event, EventId, HostName, Text};

use crate::http::app::App;
use crate::http::body::JsonBody;
use crate::http::error::HttpError;
use crate::http::routes::{Access, Routes, json};
use crate::people::Caller;

/// Longest sentence, in characters.
const WHAT_LEN_MAX: usize = 500;
/// Longest detail, in bytes.
const DETAIL_LEN_MAX: usize = 16 * 1024;
/// Longest id, author, in characters.
const NAME_LEN_MAX: usize = 128;
/// Longest link, in bytes.
const LINK_LEN_MAX: usize = 2_000;
/// Most hosts of one change.
const HOSTS_MAX: usize = 1_000;

pub(super) fn register(routes: Routes<App>) -> Routes<App> {
    routes.post(
        "/api/flyball/v1/changes",
        Access::Needs(Right::Ingest),
        "Puts a change on the timeline; the same id twice is one change",
        (json::<NewChange>(), json::<Accepted>()),
        report,
    )
}

async fn report(
    State(app): State<App>,
    Extension(caller): Extension<Caller>,
    JsonBody(new): JsonBody<NewChange>,
) -> Result<Json<Accepted>, HttpError> {
    let admitted = app.limits.sender(&caller.name)?;
    let change = checked(&app, &caller, new)?;
    let id = change.id.clone();
    let submitted = app.pump.submit(Event::Changed(change)).await?;
    admitted.taken();
    Ok(Json(Accepted { seq: submitted.seq, id }))
}

fn checked(app: &App, caller: &Caller, new: NewChange) -> Result<Change, HttpError> {
    let bad = |field: &str, message: String| Err(HttpError::bad_request(message).at(field));
    let what = new.what.trim();
    if what.is_empty() || what.chars().count() > WHAT_LEN_MAX {
        return bad("what", format!("says in one sentence what was changed: 1 to {WHAT_LEN_MAX} characters"));
    }
    if new.detail.as_ref().is_some_and(|detail| detail.len() > DETAIL_LEN_MAX) {
        return bad("detail", format!("larger than {DETAIL_LEN_MAX} bytes: link to the rest"));
    }
    if let Some(link) = &new.link {
        let web = link.starts_with("https://") || link.starts_with("http://");
        if !web || link.len() > LINK_LEN_MAX || link.chars().any(char::is_control) {
            return bad("link", format!("an address that begins with https:// or http://, {LINK_LEN_MAX} bytes at most"));
        }
    }
    if new.author.as_ref().is_some_and(|author| !is_short_name(author)) {
        return bad("author", format!("1 to {NAME_LEN_MAX} characters on one line"));
    }
    if new.id.as_ref().is_some_and(|id| !is_short_name(id.as_str())) {
        return bad("id", format!("1 to {NAME_LEN_MAX} characters on one line"));
    }
    let scope = scope(app, &new)?;
    Ok(Change {
        id: new.id.unwrap_or_else(|| EventId::from(uuid::Uuid::now_v7().to_string())),
        kind: new.kind.unwrap_or(ChangeKind::Outside),
        what: Text::plain(what),
        scope,
        author: new.author.or_else(|| Some(caller.name.clone())),
        at: new.at.unwrap_or_else(|| app.clock.now()),
        detail: new.detail,
        link: new.link,
        order: None,
    })
}

fn is_short_name(text: &str) -> bool {
    !text.trim().is_empty() && text.chars().count() <= NAME_LEN_MAX && !text.chars().any(char::is_control)
}

/// Where it belongs: names that nobody knows are refused with the nearest, else the change would be on no service's page.
fn scope(app: &App, new: &NewChange) -> Result<Scope, HttpError> {
    let config = app.config();
    let mut project = None;
    if let Some(service) = &new.service {
        project =
            config.projects.iter().find(|(_, project)| project.services.contains_key(service)).map(|(name, _)| name.clone());
        if project.is_none() {
            let known = config.projects.values().flat_map(|project| project.services.keys());
            return Err(app.unknown("service", service.as_str(), known.map(|name| name.as_str())));
        }
    }
    if let Some(environment) = &new.environment
        && !config.environments.contains_key(environment)
    {
        return Err(app.unknown("environment", environment.as_str(), config.environments.keys().map(|name| name.as_str())));
    }
    if new.hosts.len() > HOSTS_MAX {
        return Err(HttpError::bad_request(format!("{} hosts, {HOSTS_MAX} at most", new.hosts.len())).at("hosts"));
    }
    let seen: Vec<HostName> = app.pump.read_state(|state| state.hosts.keys().cloned().collect());
    if let Some(host) = new.hosts.iter().find(|host| !config.hosts.contains_key(*host) && !seen.contains(host)) {
        let known = config.hosts.keys().chain(&seen);
        return Err(app.unknown("host", host.as_str(), known.map(|name| name.as_str())));
    }
    Ok(Scope { project, service: new.service.clone(), environment: new.environment.clone(), hosts: new.hosts.clone() })
}
