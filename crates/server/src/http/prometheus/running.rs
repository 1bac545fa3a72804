//! Runs a query: in its turn, within its time, and not beyond its caller. A small one where it came in, others on a thread of
//! their own.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use axum::response::Response;
use query::EvalError;
use tokio::sync::oneshot;

use super::pieces::Pieces;
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
struct StopOnDrop(Option<Arc<AtomicBool>>);

impl StopOnDrop {
    fn disarm(mut self) {
        self.0 = None;
    }
}

impl Drop for StopOnDrop {
    fn drop(&mut self) {
        if let Some(stopped) = &self.0 {
            stopped.store(true, Ordering::Relaxed);
        }
    }
}

/// When a query that begins now must have ended.
pub fn deadline(timeout: Option<Duration>) -> Instant {
    Instant::now() + timeout.unwrap_or(TIMEOUT_MAX).min(TIMEOUT_MAX)
}

/// Runs `work` here, where a turn is free and it says that it is small: a switch of threads would cost more. None: run it
/// elsewhere. `work` must end within a millisecond or so, or give up.
pub fn run_here<T>(app: &App, deadline: Instant, work: impl FnOnce() -> Option<T>) -> Option<T> {
    if Instant::now() >= deadline {
        return None;
    }
    let _turn = app.limits.query_turn_now()?;
    let done = work()?;
    app.metrics.queries.fetch_add(1, Ordering::Relaxed);
    Some(done)
}

/// Runs `work` on a thread that may block. It is given a flag that it must ask now and then, true means stop; and where to
/// write its answer.
pub async fn run(
    app: &App,
    deadline: Instant,
    work: impl FnOnce(&(dyn Fn() -> bool + Sync), &mut Pieces) -> Result<(), EvalError> + Send + 'static,
) -> Result<Response, Failed> {
    let turn = tokio::time::timeout_at(deadline.into(), app.limits.query_turn()).await;
    let turn = turn.map_err(|_| Failed::Query(EvalError::Cancelled))?.map_err(Failed::Http)?;
    let stopped = Arc::new(AtomicBool::new(false));
    let stop = StopOnDrop(Some(stopped.clone()));
    let (head, response) = oneshot::channel();
    let done = tokio::task::spawn_blocking(move || {
        let _turn = turn;
        let mut out = Pieces::new(head, deadline);
        work(&|| stopped.load(Ordering::Relaxed) || Instant::now() >= deadline, &mut out)?;
        out.finish();
        Ok(())
    });
    let begun = response.await;
    app.metrics.queries.fetch_add(1, Ordering::Relaxed);
    match begun {
        // From here on the writer hears by the body of a caller who hung up.
        Ok(response) => {
            stop.disarm();
            Ok(response)
        }
        Err(_) => match done.await {
            Ok(Ok(())) => Err(Failed::Query(EvalError::Cancelled)),
            Ok(Err(error)) => Err(Failed::Query(error)),
            Err(error) => Err(Failed::Http(HttpError::internal(&error))),
        },
    }
}
