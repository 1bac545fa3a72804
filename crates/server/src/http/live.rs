//! The event stream of pages: what is committed, as it is committed, and the overview as it changes.
//!
//! The id of a message is its place in the journal; who comes back with `Last-Event-ID` gets what it missed out of the
//! projections. An event can have several messages: the last of them has the id, so that a stream that broke between
//! them goes on before the first. `position` says from where on a stream tells everything, so that also who has got no
//! message yet can go on there. Who reads too slowly is dropped and comes back so. A role that is taken away ends the
//! stream within 5 s.

use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use axum::Extension;
use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::{HeaderMap, HeaderName, header};
use axum::response::{IntoResponse, Response};
use model::api::LivePosition;
use model::rights::Right;
use model::signal::LogLine;
use model::{HostName, OrderNumber, Seq, ServiceName};
use serde::Serialize;
use tokio::sync::{Mutex, broadcast, mpsc};
use tokio::time::Instant;
use tokio_stream::StreamExt as _;
use tokio_stream::wrappers::ReceiverStream;

use super::app::App;
use super::body::header_text;
use super::error::HttpError;
use super::own;
use super::params::Params;
use super::routes::{Access, Credential, NONE, Routes};
use super::serve::until;
use crate::journal::{Committed, IncidentFilter, JournalError, OrderFilter, RangeFilter};
use crate::verbs;

/// Silence is broken by a comment this often; pages take 5 s of silence for "not live".
const BEAT_EVERY: Duration = Duration::from_secs(2);
/// The caller is looked up again this often; with what a lookup remembers, a role that is gone ends the stream within 5 s.
const ASK_AGAIN: Duration = Duration::from_secs(2);
/// The overview is sent at most this often ...
const OVERVIEW_GAP: Duration = Duration::from_millis(250);
/// ... and at least this often, since its numbers move without an event.
const OVERVIEW_EVERY: Duration = Duration::from_secs(1);
/// Messages that wait for a reader; when they are full for [`SLOW_AFTER`], the stream is dropped.
const WAITING_MAX: usize = 256;
const SLOW_AFTER: Duration = Duration::from_secs(5);
/// Most streams at once.
const STREAMS_MAX: i64 = 512;
/// Most lines that are made up for after a pause; who missed more is told to read its lists again.
const CATCH_UP_MAX: u32 = 1_000;

/// Adds the stream's route.
pub fn register(routes: Routes<App>) -> Routes<App> {
    routes.get(
        "/api/flyball/v1/live",
        Access::Needs(Right::View),
        "Server-sent events: position, overview, timeline, incident, order, chat; with `service` or `order` also log; see the schema Live",
        NONE,
        live,
    )
}

/// The newest overview as JSON, composed once for all streams.
#[derive(Default)]
pub struct OverviewFeed {
    newest: Mutex<Option<(Instant, Bytes)>>,
}

impl OverviewFeed {
    /// The overview, at most [`OVERVIEW_GAP`] old.
    async fn message(&self, app: &App) -> Option<Bytes> {
        let mut newest = self.newest.lock().await;
        if let Some((at, message)) = &*newest
            && at.elapsed() < OVERVIEW_GAP
        {
            return Some(message.clone());
        }
        let message = message("overview", None, &own::overview(app).await?);
        *newest = Some((Instant::now(), message.clone()));
        Some(message)
    }
}

/// Whose log is wanted too.
#[derive(Default)]
struct LogsOf {
    service: Option<ServiceName>,
    host: Option<HostName>,
    order: Option<OrderNumber>,
}

async fn live(
    State(app): State<App>,
    Extension(Credential(secret)): Extension<Credential>,
    params: Params,
    headers: HeaderMap,
) -> Result<Response, HttpError> {
    let logs = LogsOf {
        service: params.parsed("service", |text| ServiceName::new(text))?,
        host: params.parsed("host", |text| HostName::new(text))?,
        order: params.one("order").map(OrderNumber::from),
    };
    let last = header_text(&headers, &HeaderName::from_static("last-event-id"));
    let since = match last.is_empty() {
        true => None,
        false => {
            let number = last.parse().map_err(|_| HttpError::bad_request("a number is wanted").at("last-event-id"))?;
            Some(Seq(number))
        }
    };
    if app.metrics.streams.load(Ordering::Relaxed) >= STREAMS_MAX {
        return Err(HttpError::not_now(format!("{STREAMS_MAX} streams are open already")));
    }
    let (sender, receiver) = mpsc::channel(WAITING_MAX);
    let open = Open::new(&app);
    tokio::spawn(async move {
        let _open = open;
        let mut stream = Stream { app, secret, sender, logs, sent: since.unwrap_or_default() };
        if let Err(end) = stream.run(since).await {
            tracing::debug!(?end, "an event stream ended");
        }
    });
    let body = Body::from_stream(ReceiverStream::new(receiver).map(Ok::<_, Infallible>));
    let headers = [
        (header::CONTENT_TYPE, "text/event-stream"),
        (header::CACHE_CONTROL, "no-store"),
        (HeaderName::from_static("x-accel-buffering"), "no"),
    ];
    Ok((headers, body).into_response())
}

/// Counts a stream as long as it is open.
struct Open(App);

impl Open {
    fn new(app: &App) -> Open {
        app.metrics.streams.fetch_add(1, Ordering::Relaxed);
        Open(app.clone())
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        self.0.metrics.streams.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Why a stream ends.
#[derive(Debug)]
enum End {
    /// Its reader hung up.
    Gone,
    /// Its reader was too slow, or missed commits.
    Slow,
    /// Its caller may not look any more.
    Refused,
    /// The server ends.
    Stopping,
    /// The projections could not be read; the log says why.
    Unreadable,
}

struct Stream {
    app: App,
    secret: String,
    sender: mpsc::Sender<Bytes>,
    logs: LogsOf,
    /// What the reader has, or was told to read again.
    sent: Seq,
}

impl Stream {
    async fn run(&mut self, since: Option<Seq>) -> Result<(), End> {
        // Subscribed before the past is read: nothing falls between both.
        let mut commits = self.app.pump.subscribe();
        let mut lines = self.app.logs.subscribe();
        let mut stopping = self.app.stopping();
        let wants_logs = self.logs.service.is_some() || self.logs.order.is_some();
        self.send(Bytes::from_static(b"retry: 1000\n\n")).await?;
        let seq = self.app.pump.on_disk();
        // A place that is not there yet is one of another journal, such as the one before a restore.
        let complete = match since.filter(|since| *since <= seq) {
            Some(since) => self.catch_up(since, seq).await?,
            None => false,
        };
        self.sent = seq;
        self.send(message("position", Some(seq), &LivePosition { seq, complete })).await?;
        self.send_overview().await?;
        let mut beat = tokio::time::interval(BEAT_EVERY);
        let mut ask = tokio::time::interval(ASK_AGAIN);
        ask.reset();
        let mut overview_at = Instant::now() + OVERVIEW_EVERY;
        loop {
            tokio::select! {
                () = until(&mut stopping) => return Err(End::Stopping),
                () = self.sender.closed() => return Err(End::Gone),
                committed = commits.recv() => {
                    self.forward(&committed.map_err(|error| self.missed(&error))?).await?;
                    overview_at = overview_at.min(Instant::now() + OVERVIEW_GAP);
                }
                line = lines.recv(), if wants_logs => match line {
                    Ok(line) if self.wants(&line) => self.send(message("log", None, &line)).await?,
                    // Of lines the newest count: who is too slow misses some.
                    Ok(_) | Err(broadcast::error::RecvError::Lagged(_)) => {}
                    Err(broadcast::error::RecvError::Closed) => return Err(End::Stopping),
                },
                () = tokio::time::sleep_until(overview_at) => {
                    self.send_overview().await?;
                    overview_at = Instant::now() + OVERVIEW_EVERY;
                }
                _ = beat.tick() => self.send(Bytes::from_static(b":\n\n")).await?,
                _ = ask.tick() => self.still_allowed().await?,
            }
        }
    }

    fn missed(&self, error: &broadcast::error::RecvError) -> End {
        match error {
            broadcast::error::RecvError::Closed => End::Stopping,
            broadcast::error::RecvError::Lagged(_) => {
                self.app.metrics.streams_dropped.fetch_add(1, Ordering::Relaxed);
                End::Slow
            }
        }
    }

    async fn still_allowed(&self) -> Result<(), End> {
        match self.app.guard.who(&self.secret).await {
            Ok(Some(caller)) if caller.may_somewhere(Right::View) => Ok(()),
            Ok(_) => Err(End::Refused),
            Err(error) => Err(unreadable(&error)),
        }
    }

    async fn send(&self, message: Bytes) -> Result<(), End> {
        match tokio::time::timeout(SLOW_AFTER, self.sender.send(message)).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(_)) => Err(End::Gone),
            Err(_) => {
                self.app.metrics.streams_dropped.fetch_add(1, Ordering::Relaxed);
                Err(End::Slow)
            }
        }
    }

    async fn send_overview(&self) -> Result<(), End> {
        match self.app.overview.message(&self.app).await {
            Some(message) => self.send(message).await,
            None => Ok(()),
        }
    }

    /// What was missed: lines and messages behind `since` up to `here`, and all that is still going on. Whether that was
    /// all. What lies behind `here` comes as it is committed.
    async fn catch_up(&mut self, since: Seq, here: Seq) -> Result<bool, End> {
        let unreadable = |error: JournalError| unreadable(&error);
        let projections = self.app.projections.clone();
        let range = RangeFilter { limit: CATCH_UP_MAX, ..RangeFilter::default() };
        let mut missed = Rows::default();
        let mut complete = true;
        let span = (since, here);
        let rows = projections.timeline(&range).await.map_err(unreadable)?;
        complete &= missed.newest_first("timeline", span, rows.iter().map(|row| (row.seq, row)));
        for room in verbs::rooms(&self.app) {
            let messages = projections.chat(&room, None, CATCH_UP_MAX).await.map_err(unreadable)?;
            complete &= missed.newest_first("chat", span, messages.iter().map(|message| (message.seq, message)));
        }
        let incidents = IncidentFilter { limit: CATCH_UP_MAX, ..IncidentFilter::default() };
        for incident in projections.incidents(&incidents).await.map_err(unreadable)? {
            self.send(message("incident", None, &incident)).await?;
        }
        let orders = OrderFilter { limit: 50, ..OrderFilter::default() };
        for order in projections.orders(&orders).await.map_err(unreadable)? {
            self.send(message("order", None, &order)).await?;
        }
        self.send_rows(missed).await?;
        Ok(complete)
    }

    async fn send_rows(&mut self, rows: Rows) -> Result<(), End> {
        for row in rows.told() {
            self.send(row).await?;
        }
        Ok(())
    }

    /// What a batch brought, in the order of its events.
    async fn forward(&mut self, committed: &Arc<Committed>) -> Result<(), End> {
        for incident in &committed.incidents {
            self.send(message("incident", None, incident)).await?;
        }
        for order in &committed.orders {
            self.send(message("order", None, order)).await?;
        }
        let sent = self.sent;
        let mut rows = Rows::default();
        for row in committed.timeline.iter().filter(|row| row.seq > sent) {
            rows.push(row.seq, "timeline", row);
        }
        for message in committed.chat.iter().filter(|message| message.seq > sent) {
            rows.push(message.seq, "chat", message);
        }
        self.send_rows(rows).await?;
        if let Some(last) = committed.recorded.last() {
            self.sent = self.sent.max(last.seq);
        }
        Ok(())
    }

    fn wants(&self, line: &LogLine) -> bool {
        let LogsOf { service, host, order } = &self.logs;
        let of_order = order.as_ref().is_none_or(|number| {
            self.app.pump.read_state(|state| {
                state.orders.get(number).is_some_and(|order| {
                    order.hosts.contains_key(&line.host) && (line.service == order.service || line.service.as_str() == "deploy")
                })
            })
        });
        service.as_ref().is_none_or(|service| *service == line.service)
            && host.as_ref().is_none_or(|host| *host == line.host)
            && of_order
    }
}

fn unreadable(error: &(dyn std::error::Error + 'static)) -> End {
    tracing::error!(%error, "failed to read what a stream missed");
    End::Unreadable
}

/// Lines and messages on their way: place, name of the event, data.
#[derive(Default)]
struct Rows(Vec<(Seq, &'static str, String)>);

impl Rows {
    fn push(&mut self, seq: Seq, event: &'static str, data: &impl Serialize) {
        self.0.push((seq, event, data_of(data)));
    }

    /// Adds what lies behind `since` up to `here`. Whether that is all there was: a list ends after [`CATCH_UP_MAX`].
    fn newest_first<'row, Row: Serialize + 'row>(
        &mut self,
        event: &'static str,
        (since, here): (Seq, Seq),
        rows: impl DoubleEndedIterator<Item = (Seq, &'row Row)> + ExactSizeIterator,
    ) -> bool {
        let mut complete = rows.len() < CATCH_UP_MAX as usize;
        for (seq, row) in rows.rev() {
            if seq <= since {
                complete = true;
            } else if seq <= here {
                self.push(seq, event, row);
            }
        }
        complete
    }

    /// In the order of their events; the last one of an event has its id.
    fn told(mut self) -> impl Iterator<Item = Bytes> {
        self.0.sort_by_key(|(seq, ..)| *seq);
        let mut rows = self.0.into_iter().peekable();
        std::iter::from_fn(move || {
            let (seq, event, data) = rows.next()?;
            let last = rows.peek().is_none_or(|(next, ..)| *next > seq);
            Some(framed(event, last.then_some(seq), &data))
        })
    }
}

/// One message.
fn message(event: &str, id: Option<Seq>, data: &impl Serialize) -> Bytes {
    framed(event, id, &data_of(data))
}

/// JSON has no line ends inside: it is one line.
fn data_of(data: &impl Serialize) -> String {
    serde_json::to_string(data).expect("the API's types are JSON")
}

fn framed(event: &str, id: Option<Seq>, data: &str) -> Bytes {
    let id = id.map(|id| format!("id: {id}\n")).unwrap_or_default();
    Bytes::from(format!("event: {event}\n{id}data: {data}\n\n"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_last_message_of_an_event_has_its_id() {
        let span = (Seq(4), Seq(8));
        let mut rows = Rows::default();
        let lines = [(9, "later"), (7, "c"), (5, "b"), (5, "a"), (4, "known")].map(|(seq, text)| (Seq(seq), text));
        assert!(rows.newest_first("timeline", span, lines.iter().map(|(seq, text)| (*seq, text))));
        assert!(rows.newest_first("chat", span, [(Seq(5), &"said")].into_iter()));
        let told: Vec<Bytes> = rows.told().collect();
        let wanted = [
            "event: timeline\ndata: \"a\"\n\n",
            "event: timeline\ndata: \"b\"\n\n",
            "event: chat\nid: 5\ndata: \"said\"\n\n",
            "event: timeline\nid: 7\ndata: \"c\"\n\n",
        ];
        assert_eq!(told, wanted);
    }
}
