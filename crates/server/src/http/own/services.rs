//! Services: the list, the Deploy page of each, and their logs.

use axum::Json;
use axum::extract::{Path, State};
use model::api::{Place, ServiceRow};
use model::rights::Right;
use model::signal::LogLine;
use model::{EnvironmentName, ProjectName, ServiceName};

use super::limit;
use crate::http::app::App;
use crate::http::error::HttpError;
use crate::http::params::Params;
use crate::http::routes::{Access, Routes, json, list};
use crate::verbs::{measured, unknown};
use crate::view::overview::{measure, services as rows};
use crate::view::{place as view, servers};

/// Adds their routes.
pub fn register(routes: Routes<App>) -> Routes<App> {
    let view = Access::Needs(Right::View);
    routes
        .get("/api/flyball/v1/services", view, "Every service in every environment", list::<ServiceRow>(), services)
        .get(
            "/api/flyball/v1/services/{project}/{service}/{environment}",
            view,
            "The Deploy page of a service in one environment",
            json::<Place>(),
            place,
        )
        .get(
            "/api/flyball/v1/services/{service}/log",
            view,
            "The newest lines of its log, oldest first; `host`, `limit`",
            list::<LogLine>(),
            log,
        )
}

async fn services(State(app): State<App>) -> Result<Json<Vec<ServiceRow>>, HttpError> {
    let config = app.config();
    let measured = measured(&app, move |source, at| measure(&config, None, source, at)).await?;
    Ok(Json(app.pump.read_state(|state| rows(state, &measured))))
}

async fn place(
    State(app): State<App>,
    Path((project, service, environment)): Path<(String, String, String)>,
) -> Result<Json<Place>, HttpError> {
    let config = app.config();
    let (projects, no_project) =
        (&config.projects, || unknown("project", &project, config.projects.keys().map(ProjectName::as_str)));
    let (project_name, of) = projects.get_key_value(project.as_str()).ok_or_else(no_project)?;
    let no_service = || unknown("service", &service, of.services.keys().map(ServiceName::as_str));
    let (service_name, of) = of.services.get_key_value(service.as_str()).ok_or_else(no_service)?;
    let no_environment = || unknown("environment", &environment, of.environments.keys().map(EnvironmentName::as_str));
    let (environment_name, here) = of.environments.get_key_value(environment.as_str()).ok_or_else(no_environment)?;
    let (name, here) = (service_name.clone(), here.clone());
    let figures = measured(&app, move |source, at| servers::Figures::read(source, at, &name, &here)).await?;
    let found = app.pump.read_state(|state| view::place(state, &figures, project_name, service_name, environment_name));
    found.map(Json).ok_or_else(no_environment)
}

async fn log(State(app): State<App>, Path(service): Path<String>, params: Params) -> Result<Json<Vec<LogLine>>, HttpError> {
    let config = app.config();
    let names = || config.services().map(|(_, name, _)| name).filter(|name| name.as_str() == service);
    let known = config.services().map(|(_, name, _)| name.as_str());
    let service = names().next().cloned().ok_or_else(|| unknown("service", &service, known))?;
    let host = params.parsed("host", str::parse)?;
    let limit = limit(&params)? as usize;
    Ok(Json(app.logs.last(Some(&service), host.as_ref(), limit)))
}
