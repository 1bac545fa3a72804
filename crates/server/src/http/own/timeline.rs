//! The timeline and its changes.

use axum::Json;
use axum::extract::State;
use model::Seq;
use model::api::{ChangeRow, TimelineRow};
use model::rights::Right;

use super::limit;
use crate::http::app::App;
use crate::http::error::HttpError;
use crate::http::params::Params;
use crate::http::routes::{Access, Routes, list};
use crate::journal::RangeFilter;

/// Adds their routes. POST /changes is the intake's.
pub fn register(routes: Routes<App>) -> Routes<App> {
    routes
        .get(
            "/api/flyball/v1/timeline",
            Access::Needs(Right::View),
            "The newest lines of what happened, oldest first; `from`, `to`, `service`, `environment`, `before` a place, `limit`",
            list::<TimelineRow>(),
            timeline,
        )
        .get(
            "/api/flyball/v1/changes",
            Access::Needs(Right::View),
            "What was altered, newest first; `from`, `to`, `service`, `environment`, `before` a place, `limit`",
            list::<ChangeRow>(),
            changes,
        )
}

async fn timeline(State(app): State<App>, params: Params) -> Result<Json<Vec<TimelineRow>>, HttpError> {
    let mut rows = app.projections.timeline(&range(&params)?).await?;
    // The newest so many, in the order in which they are read.
    rows.reverse();
    Ok(Json(rows))
}

async fn changes(State(app): State<App>, params: Params) -> Result<Json<Vec<ChangeRow>>, HttpError> {
    Ok(Json(app.projections.changes(&range(&params)?).await?))
}

fn range(params: &Params) -> Result<RangeFilter, HttpError> {
    let (from, to) = (params.time("from")?, params.time("to")?);
    if let (Some(from), Some(to)) = (from, to)
        && to < from
    {
        return Err(HttpError::bad_request("`to` is before `from`").at("to"));
    }
    Ok(RangeFilter {
        from,
        to,
        service: params.parsed("service", str::parse)?,
        environment: params.parsed("environment", str::parse)?,
        before: params.number("before")?.map(Seq),
        limit: limit(params)?,
    })
}
