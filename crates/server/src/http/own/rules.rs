//! Rules before they are in force: what they would have told.

use std::time::{Duration, Instant};

use axum::Json;
use axum::extract::State;
use model::backtest::{BacktestReport, BacktestRequest};
use model::rights::Right;

use crate::http::app::App;
use crate::http::body::JsonBody;
use crate::http::error::HttpError;
use crate::http::routes::{Access, Routes, json};
use crate::rules::backtest::{Asked, BacktestError, run};

/// One back-test may take so long.
const PATIENCE: Duration = Duration::from_secs(120);

/// Adds the routes of rules.
pub fn register(routes: Routes<App>) -> Routes<App> {
    routes.post(
        "/api/flyball/v1/rules/backtest",
        Access::Needs(Right::View),
        "What these rules would have told: exactly over the kept log, over the history as if each sample had come at its own time",
        (json::<BacktestRequest>(), json::<BacktestReport>()),
        backtest,
    )
}

async fn backtest(
    State(app): State<App>,
    JsonBody(request): JsonBody<BacktestRequest>,
) -> Result<Json<BacktestReport>, HttpError> {
    let turn = app.limits.query_turn().await?;
    let (store, features) = (app.telemetry.store().clone(), app.features);
    let url = app.config().flyball.external_url.clone();
    let done = tokio::task::spawn_blocking(move || {
        let _turn = turn;
        let began = Instant::now();
        let stop = || began.elapsed() > PATIENCE;
        let (groups, from, to) = (&request.groups, request.from, request.to);
        run(&store, &Asked { groups, from, to, features, url: &url, stop: &stop })
    });
    match done.await.map_err(|error| HttpError::internal(&error))? {
        Ok(report) => Ok(Json(report)),
        Err(error @ (BacktestError::Rules(_) | BacktestError::Times(_))) => Err(HttpError::bad_request(error.to_string())),
        Err(error @ BacktestError::Stopped) => Err(HttpError::unprocessable(error.to_string())),
        Err(error) => Err(HttpError::internal(&error)),
    }
}
