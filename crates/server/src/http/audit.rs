//! The audit: who asked for what and what came of it, and what was refused at the door.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use futures::FutureExt;
use model::rights::Right;

use super::app::App;
use super::error::HttpError;
use super::guard::{Refusal, Refused};
use super::params::Params;
use super::routes::{Access, Routes, list};
use crate::clock::SharedClock;
use crate::journal::{AuditOutcome, AuditRow, Journal, NewAudit};

/// Adds the routes of the audit.
pub fn register(routes: Routes<App>) -> Routes<App> {
    routes.get(
        "/api/flyball/v1/audit",
        Access::Needs(Right::Administer),
        "Lines of the audit, newest first; `before` a number, `limit` at most 1,000",
        list::<AuditRow>(),
        lines,
    )
}

async fn lines(State(app): State<App>, params: Params) -> Result<Json<Vec<AuditRow>>, HttpError> {
    let limit = params.number("limit")?.unwrap_or(100).min(1_000) as u32;
    Ok(Json(app.projections.audit(params.number("before")?, limit).await?))
}

/// Where the guard's refusals go: a line in the audit each, written before the answer leaves.
pub fn refusals(journal: Arc<dyn Journal>, clock: SharedClock) -> Refused {
    Arc::new(move |refusal: Refusal| {
        let (journal, clock) = (journal.clone(), clock.clone());
        async move {
            let Refusal { by, right, method, path } = refusal;
            let what = serde_json::json!({ "method": method, "path": path, "right": right });
            let line = NewAudit { at: clock.now(), seq: None, by, what, outcome: AuditOutcome::NotAllowed };
            if let Err(error) = journal.note(&line).await {
                // The refusal stands all the same; the log has it instead.
                tracing::error!(%error, by = line.by, what = %line.what, "failed to write a refusal to the audit");
            }
        }
        .boxed()
    })
}

/// Notes something that was done at the edge and is no event: a token made or revoked.
pub async fn note(app: &App, by: &str, what: serde_json::Value) -> Result<(), HttpError> {
    let line = NewAudit { at: app.clock.now(), seq: None, by: by.to_owned(), what, outcome: AuditOutcome::Answered(None) };
    Ok(app.journal.note(&line).await?)
}
