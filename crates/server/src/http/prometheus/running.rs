//! Runs a query: in its turn, within its time, and not beyond its caller. A small one where it came in, others on a thread of
//! their own.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use axum::response::Response;
use query::EvalError;
use tokio::sync::oneshot;

use super::pieces::{Pieces, Turn};
use crate::http::app::App;
use crate::http::error::HttpError;

/// Longest time of a query, its wait included; a caller may ask for less.
pub const TIMEOUT_MAX: Duration = Duration::from_secs(120);

/// Why there is no answer.
#[derive(Debug)]
pub enum Failed {
    /// The query. [`EvalError::Cancelled`]: nobody wanted the answer any more, or the server ends.
    Query(EvalError),
    /// Its time was up, while it waited or was evaluated.
    TimedOut {
        /// In what, as Prometheus says it.
        phase: &'static str,
    },
    /// The server.
    Http(HttpError),
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
    let mut ending = app.stopping();
    let turn = tokio::select! {
        turn = tokio::time::timeout_at(deadline.into(), app.limits.query_turn()) => turn,
        _ = ending.wait_for(|ending| *ending) => return Err(Failed::Query(EvalError::Cancelled)),
    };
    let held = turn.map_err(|_| Failed::TimedOut { phase: "query queue" })?.map_err(Failed::Http)?;
    let turn = Turn { held, limits: app.limits.clone() };
    let stopped = Arc::new(AtomicBool::new(false));
    let stop = StopOnDrop(Some(stopped.clone()));
    let (head, response) = oneshot::channel();
    let done = tokio::task::spawn_blocking(move || {
        let mut out = Pieces::new(head, deadline, turn);
        work(&|| stopped.load(Ordering::Relaxed) || *ending.borrow() || Instant::now() >= deadline, &mut out)?;
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
            // It was told to stop. Past its deadline that was the reason, whatever came after.
            Ok(Ok(()) | Err(EvalError::Cancelled)) if Instant::now() >= deadline => {
                Err(Failed::TimedOut { phase: "expression evaluation" })
            }
            Ok(Ok(())) => Err(Failed::Query(EvalError::Cancelled)),
            Ok(Err(error)) => Err(Failed::Query(error)),
            Err(error) => Err(Failed::Http(HttpError::internal(&error))),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::tests::House;

    async fn told_to_stop(house: &House, within: Duration) -> Failed {
        let work = |stop: &(dyn Fn() -> bool + Sync), _: &mut Pieces| {
            while !stop() {
                std::thread::sleep(Duration::from_millis(1));
            }
            Err(EvalError::Cancelled)
        };
        run(&house.app, Instant::now() + within, work).await.unwrap_err()
    }

    #[tokio::test]
    async fn a_timeout_is_none_but_the_deadline() {
        let house = House::open().await;
        let late = told_to_stop(&house, Duration::from_millis(20)).await;
        assert!(matches!(late, Failed::TimedOut { phase: "expression evaluation" }), "{late:?}");
        let turns: Vec<_> = std::iter::from_fn(|| house.app.limits.query_turn_now()).collect();
        let queued = told_to_stop(&house, Duration::from_millis(20)).await;
        assert!(matches!(queued, Failed::TimedOut { phase: "query queue" }), "{queued:?}");
        // The server ends while one query waits and, once there is room, one runs.
        let hour = Duration::from_secs(3_600);
        let end = async {
            tokio::time::sleep(Duration::from_millis(20)).await;
            house.app.stop();
        };
        let (waiting, ()) = tokio::join!(told_to_stop(&house, hour), end);
        assert!(matches!(waiting, Failed::Query(EvalError::Cancelled)), "{waiting:?}");
        drop((turns, house));
        let house = House::open().await;
        let end = async {
            tokio::time::sleep(Duration::from_millis(20)).await;
            house.app.stop();
        };
        let (running, ()) = tokio::join!(told_to_stop(&house, hour), end);
        assert!(matches!(running, Failed::Query(EvalError::Cancelled)), "{running:?}");
    }
}
