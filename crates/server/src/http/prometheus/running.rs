//! Runs a query on a thread of its own: in its turn, within its time, and not beyond its caller.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use query::EvalError;

use crate::http::app::App;
use crate::http::error::HttpError;

/// Longest time of a query, its wait included; a caller may ask for less.
pub const TIMEOUT_MAX: Duration = Duration::from_secs(120);

/// Why there is no answer.
#[derive(Debug)]
pub enum Failed {
    /// The query.
    Query(EvalError),
    /// The server.
    Http(HttpError),
}

impl From<EvalError> for Failed {
    fn from(error: EvalError) -> Failed {
        Failed::Query(error)
    }
}

/// Says stop when it is dropped: as when the caller hung up and the handler with it.
struct StopOnDrop(Arc<AtomicBool>);

impl Drop for StopOnDrop {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// Runs `work` on a thread that may block. It is given a flag that it must ask now and then; true means stop.
pub async fn run<T: Send + 'static>(
    app: &App,
    timeout: Option<Duration>,
    work: impl FnOnce(&(dyn Fn() -> bool + Sync)) -> Result<T, EvalError> + Send + 'static,
) -> Result<T, Failed> {
    let deadline = Instant::now() + timeout.unwrap_or(TIMEOUT_MAX).min(TIMEOUT_MAX);
    let turn = tokio::time::timeout_at(deadline.into(), app.limits.query_turn()).await;
    let turn = turn.map_err(|_| Failed::Query(EvalError::Cancelled))?.map_err(Failed::Http)?;
    let stopped = Arc::new(AtomicBool::new(false));
    let stop = StopOnDrop(stopped.clone());
    let done = tokio::task::spawn_blocking(move || {
        let _turn = turn;
        work(&|| stopped.load(Ordering::Relaxed) || Instant::now() >= deadline)
    })
    .await;
    drop(stop);
    app.metrics.queries.fetch_add(1, Ordering::Relaxed);
    done.map_err(|error| Failed::Http(HttpError::internal(&error)))?.map_err(Failed::Query)
}
