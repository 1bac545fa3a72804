//! Incidents: the list, each with its story, and what people do with them.

use axum::extract::{Path, State};
use axum::{Extension, Json};
use model::api::IncidentRow;
use model::incident::{Incident, IncidentState, Priority};
use model::rights::Right;
use model::{EventId, IncidentNumber, Outcome, PersonName, ServiceName, Verb};
use serde::{Deserialize, Serialize};

use super::{command, limit, word};
use crate::http::app::App;
use crate::http::body::JsonBody;
use crate::http::error::HttpError;
use crate::http::params::Params;
use crate::http::routes::{Access, Routes, json, list};
use crate::journal::IncidentFilter;
use crate::people::Caller;
use crate::verbs;
use crate::view::rows;

/// Adds their routes.
pub fn register(routes: Routes<App>) -> Routes<App> {
    let operate = Access::Needs(Right::Operate);
    routes
        .get(
            "/api/flyball/v1/incidents",
            Access::Needs(Right::View),
            "Incidents, newest first; `state` open, acknowledged, resolved or unresolved, `service`, `before` a number, `limit`",
            list::<IncidentRow>(),
            incidents,
        )
        .post(
            "/api/flyball/v1/incidents",
            operate,
            "Opens an incident by hand",
            (json::<NewIncident>(), json::<Outcome>()),
            trigger,
        )
        .get(
            "/api/flyball/v1/incidents/{number}",
            Access::Needs(Right::View),
            "An incident with its story",
            json::<Incident>(),
            incident,
        )
        .post(
            "/api/flyball/v1/incidents/{number}/acknowledge",
            operate,
            "I have it: stops paging",
            (json::<IncidentVerb>(), json::<Outcome>()),
            acknowledge,
        )
        .post(
            "/api/flyball/v1/incidents/{number}/resolve",
            operate,
            "It is over",
            (json::<IncidentVerb>(), json::<Outcome>()),
            resolve,
        )
        .post(
            "/api/flyball/v1/incidents/{number}/note",
            operate,
            "Writes into its story; `text` is needed",
            (json::<IncidentVerb>(), json::<Outcome>()),
            note,
        )
        .post(
            "/api/flyball/v1/incidents/{number}/reassign",
            operate,
            "Gives it to somebody else; `to` is needed",
            (json::<IncidentVerb>(), json::<Outcome>()),
            reassign,
        )
}

/// POST /incidents
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewIncident {
    /// The same id twice is one incident; none: made here.
    #[serde(default)]
    pub id: Option<EventId>,
    /// On which service.
    pub service: ServiceName,
    /// One sentence, 4 KiB at most.
    pub summary: String,
    /// P1 to P5; none: P3.
    #[serde(default)]
    pub priority: Priority,
}

/// POST /incidents/{number}/...
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct IncidentVerb {
    /// The same id twice is one command; none: made here.
    #[serde(default)]
    pub id: Option<EventId>,
    /// What is noted, 4 KiB at most.
    #[serde(default)]
    pub text: Option<String>,
    /// To whom it is given.
    #[serde(default)]
    pub to: Option<PersonName>,
}

async fn incidents(State(app): State<App>, params: Params) -> Result<Json<Vec<IncidentRow>>, HttpError> {
    let unresolved = params.one("state") == Some("unresolved");
    let filter = IncidentFilter {
        state: if unresolved { None } else { params.parsed("state", word::<IncidentState>)? },
        unresolved,
        service: params.parsed("service", str::parse)?,
        before: params.number("before")?.map(IncidentNumber),
        limit: limit(&params)?,
    };
    Ok(Json(app.projections.incidents(&filter).await?.iter().map(rows::incident).collect()))
}

async fn incident(State(app): State<App>, Path(number): Path<String>) -> Result<Json<Incident>, HttpError> {
    let number = verbs::incident_number(&number)?;
    let found = app.projections.incident(number).await?;
    found.map(Json).ok_or_else(|| HttpError::unknown(format!("there is no incident {number}")).at("number"))
}

async fn trigger(
    State(app): State<App>,
    Extension(caller): Extension<Caller>,
    JsonBody(new): JsonBody<NewIncident>,
) -> Result<Json<Outcome>, HttpError> {
    let verb = Verb::Trigger { service: new.service, summary: new.summary, priority: new.priority };
    command::perform(&app, &caller, new.id, verb, "trigger").await.map(Json)
}

macro_rules! verbs_on_incidents {
    ($($name:ident($incident:ident, $asked:ident) $verb:expr;)*) => {$(
        async fn $name(
            State(app): State<App>,
            Extension(caller): Extension<Caller>,
            Path(number): Path<String>,
            JsonBody(mut $asked): JsonBody<IncidentVerb>,
        ) -> Result<Json<Outcome>, HttpError> {
            let ($incident, id) = (verbs::incident_number(&number)?, $asked.id.take());
            command::perform(&app, &caller, id, $verb, stringify!($name)).await.map(Json)
        }
    )*};
}

verbs_on_incidents! {
    acknowledge(incident, asked) Verb::Acknowledge { incident };
    resolve(incident, asked) Verb::Resolve { incident };
    note(incident, asked) Verb::Note { incident, text: needed(asked.text, "text")? };
    reassign(incident, asked) Verb::Reassign { incident, to: needed(asked.to, "to")? };
}

fn needed<T>(field: Option<T>, name: &str) -> Result<T, HttpError> {
    field.ok_or_else(|| HttpError::bad_request(format!("missing field `{name}`")).at(name))
}
