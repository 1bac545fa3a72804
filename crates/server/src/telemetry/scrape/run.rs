//! The scrapes of one target: on its beat, within its time, its answer into the store, and figures about the scrape itself.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use dial::Turns;
use model::config::{Authorization, ScrapeJob, ScrapeProtocol};
use model::intake::{KeyHash, Protocol, RawRow};
use model::labels::METRIC_NAME;
use model::{Labels, Time};
use store::Refused;
use tokio::sync::{Semaphore, oneshot};
use wire::exposition::keyed::Names;
use wire::exposition::{ContentType, accept};

use super::board::{Active, Last};
use super::cache::{ABOUT, Cache, Rules, ScrapeRows, Scraped};
use super::discovery::seconds;
use super::fetch::{Asking, FetchError, Fetched, fetch};
use super::job::key;
use crate::http::doors::Samples as _;
use crate::perform::outgoing::Outgoing;
use crate::perform::webhook::chain;
use crate::telemetry::{Telemetry, first_pause};

/// Largest answer where no limit is configured, in bytes.
const ANSWER_LEN_MAX: usize = 64 << 20;
/// Larger answers are read on a thread that may take its time.
const READ_HERE_LEN_MAX: usize = 256 << 10;
/// What the answer says of its metrics is read when it has new series, and every so many scrapes.
const DESCRIBE_EVERY: u32 = 100;

/// Series about a scrape, in the order of [`Run::about`].
const ABOUT_NAMES: [&str; 8] = [
    "up",
    "scrape_duration_seconds",
    "scrape_samples_scraped",
    "scrape_samples_post_metric_relabeling",
    "scrape_series_added",
    "scrape_timeout_seconds",
    "scrape_sample_limit",
    "scrape_body_size_bytes",
];

/// What all scrapes of a server share.
#[derive(Clone)]
pub struct Shared {
    /// Where samples go.
    pub telemetry: Telemetry,
    /// Where requests leave.
    pub outgoing: Outgoing,
    /// So many scrapes run at once.
    pub scrapes: Arc<Semaphore>,
    /// So many long answers are read at once.
    pub turns: Turns,
}

/// Why every scrape of a job fails, if it does.
pub type Forced = Arc<Mutex<Option<String>>>;

/// The scrapes of one target.
pub struct Run {
    shared: Shared,
    active: Arc<Active>,
    reading: Option<Box<Reading>>,
    about: Vec<(Labels, KeyHash)>,
    /// Whether there is a sample of those, by this run or the one before it.
    told: bool,
    asking: Asking,
    sample_limit: u64,
    forced: Forced,
    until_described: u32,
}

/// What reads an answer: sent to another thread with a large one.
struct Reading {
    cache: Cache,
    rules: Rules,
    names: Names,
    /// How an answer is read whose content type says nothing.
    fallback: ContentType,
}

/// What was read of an answer, and the mistake in it.
type Read = (Scraped, Result<(), String>);

/// What a scrape came to.
struct Outcome {
    error: String,
    scraped: Scraped,
    body_len: f64,
}

impl Run {
    /// For a target; `before` are series that somebody else scraped from it until now.
    pub fn new(shared: Shared, job: &ScrapeJob, active: Arc<Active>, forced: Forced, before: Vec<Labels>) -> Run {
        let target = &active.target;
        let secret = shared.telemetry.key_secret();
        let about = ABOUT_NAMES.map(|name| {
            let labels = target.labels.with(METRIC_NAME, name);
            let hash = secret.hash(Protocol::Labels, labels.key().as_bytes());
            (labels, hash)
        });
        let (told, before): (Vec<Labels>, Vec<Labels>) =
            before.into_iter().partition(|labels| about.iter().any(|(own, _)| own == labels));
        let body_max = match usize::try_from(job.body_size_limit.0).unwrap_or(usize::MAX) {
            0 => ANSWER_LEN_MAX,
            limit => limit,
        };
        let bearer = |file: &String| Authorization { kind: "Bearer".into(), credentials_file: file.clone() };
        let asking = Asking {
            basic: job.basic_auth.clone(),
            authorization: job.authorization.clone().or_else(|| job.bearer_token_file.as_ref().map(bearer)),
            tls: job.tls_config.clone(),
            packed: job.enable_compression,
            accept: accept(job.scrape_protocols.as_deref().unwrap_or(&ScrapeProtocol::ALL)),
            limits: (target.timeout.duration(), body_max),
            said: Some(("x-prometheus-scrape-timeout-seconds", seconds(target.timeout))),
            turns: Some(shared.turns.clone()),
        };
        let reading = Reading {
            cache: Cache::new(secret, before),
            rules: Rules::new(job, &target.labels),
            names: Names::default(),
            fallback: job.fallback_scrape_protocol.map_or(ContentType::Text004, ContentType::of),
        };
        Run {
            about: about.into(),
            told: !told.is_empty(),
            reading: Some(Box::new(reading)),
            asking,
            sample_limit: job.sample_limit,
            forced,
            until_described: 0,
            shared,
            active,
        }
    }

    /// Scrapes until it is told to stop; gives the series that are there then.
    pub async fn run(mut self, mut stop: oneshot::Receiver<()>) -> Vec<Labels> {
        let every = self.active.target.interval.duration().max(Duration::from_millis(100));
        let pause = first_pause(self.shared.telemetry.clock().now(), every, &key(&self.active.target));
        let stopped = tokio::time::timeout(pause, &mut stop).await.is_ok();
        let mut beat = tokio::time::interval(every);
        beat.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Skip);
        loop {
            if stopped {
                break;
            }
            tokio::select! {
                _ = &mut stop => break,
                _ = beat.tick() => {}
            }
            if !self.once(&mut stop).await {
                break;
            }
            self.told = true;
        }
        let mut live = self.reading.map_or_else(Vec::new, |reading| reading.cache.live());
        if self.told {
            live.extend(self.about.into_iter().map(|(labels, _)| labels));
        }
        live
    }

    /// One scrape; false: it was told to stop in the middle, and nothing was kept.
    async fn once(&mut self, stop: &mut oneshot::Receiver<()>) -> bool {
        let at = self.shared.telemetry.clock().now();
        let begun = Instant::now();
        let scrapes = self.shared.scrapes.clone();
        let forced = self.forced.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let fetched = async {
            if let Some(why) = forced {
                return Err(FetchError::Failed(why));
            }
            let waiting = tokio::time::timeout(self.asking.limits.0, scrapes.acquire()).await;
            let Ok(Ok(_one)) = waiting else { return Err(FetchError::Failed("too many scrapes run at once".into())) };
            fetch(&self.shared.outgoing, &self.active.target.url, &self.asking).await
        };
        let fetched = tokio::select! {
            fetched = fetched => fetched,
            _ = stop => return false,
        };
        let outcome = match fetched {
            Ok(fetched) => self.read(fetched, at).await,
            Err(error) => {
                let body_len = if matches!(error, FetchError::TooLarge(_)) { -1.0 } else { 0.0 };
                self.failed(error.to_string(), Scraped::default(), body_len, at)
            }
        };
        let took = begun.elapsed();
        let last = Last { at: Some(at), took, is_up: outcome.error.is_empty(), error: outcome.error.clone() };
        self.active.scraped(last.clone());
        if !outcome.error.is_empty() {
            tracing::debug!(url = self.active.target.url, why = outcome.error, "a scrape failed");
        }
        if let Some(refused) = self.keep(outcome, at, took).await
            && last.is_up
        {
            self.active.scraped(Last { error: refused, ..last });
        }
        true
    }

    /// A scrape that failed, with what was `counted` until then. All series of the target end.
    fn failed(&mut self, error: String, counted: Scraped, body_len: f64, at: Time) -> Outcome {
        let rows = self.reading.as_mut().map_or_else(Vec::new, |reading| reading.cache.failed(at));
        Outcome { error, scraped: Scraped { rows, ..counted }, body_len }
    }

    async fn read(&mut self, fetched: Fetched, at: Time) -> Outcome {
        let Some(mut reading) = self.reading.take() else {
            return self.failed("its reader panicked".into(), Scraped::default(), 0.0, at);
        };
        let len = fetched.body.len();
        let describe = self.until_described == 0;
        self.until_described = if describe { DESCRIBE_EVERY } else { self.until_described - 1 };
        let read = move || {
            let outcome = reading.read(&fetched, at, describe);
            drop(fetched.body);
            drop(fetched.turn);
            (reading, outcome)
        };
        let (reading, (outcome, known)) = if len <= READ_HERE_LEN_MAX {
            read()
        } else {
            match tokio::task::spawn_blocking(read).await {
                Ok(read) => read,
                Err(error) => return self.failed(error.to_string(), Scraped::default(), 0.0, at),
            }
        };
        self.reading = Some(reading);
        if let Some(known) = known {
            self.shared.telemetry.describe(&known);
            self.active.describe(self.shared.telemetry.targets.share(&known));
        }
        match outcome {
            (scraped, Ok(())) => Outcome { error: String::new(), scraped, body_len: len as f64 },
            (scraped, Err(why)) => self.failed(why, scraped, len as f64, at),
        }
    }

    /// Puts the rows and the figures about the scrape into the store. Gives why the store had no room for some, or took none;
    /// samples of a wrong time are logged alone, as in Prometheus.
    async fn keep(&mut self, outcome: Outcome, at: Time, took: Duration) -> Option<String> {
        let reading = self.reading.as_mut()?;
        let Outcome { error, scraped: Scraped { mut rows, found, kept, added }, body_len } = outcome;
        let about = [
            f64::from(u8::from(error.is_empty())),
            took.as_secs_f64(),
            found as f64,
            kept as f64,
            added as f64,
            self.active.target.timeout.0 as f64 / 1_000.0,
            self.sample_limit as f64,
            body_len,
        ];
        for (place, ((_, key), value)) in self.about.iter().zip(about).enumerate() {
            rows.push(RawRow { key: *key, time: at, value, at: ABOUT + place as u32, part: 0 });
        }
        // First: a target that fills the room for its series is still known to be up.
        rows.rotate_right(about.len());
        let placed = self.shared.telemetry.place(&ScrapeRows { cache: &reading.cache, rows: &rows, about: &self.about });
        reading.cache.forget();
        let kept = match placed {
            Ok(placed) => placed.settle().await,
            Err(error) => Err(error),
        };
        match kept {
            Ok(kept) if kept.refused.total() > 0 => {
                let first = kept.refused.examples.first().map(|row| format!("{}: {}", row.series, row.reason));
                tracing::warn!(
                    url = self.active.target.url,
                    samples = kept.refused.total(),
                    first,
                    "samples of a scrape were refused"
                );
                no_room(&kept.refused)
            }
            Ok(_) => None,
            Err(error) => {
                tracing::warn!(url = self.active.target.url, %error, "failed to keep a scrape");
                Some(format!("the scrape was not kept: {}", chain(&error)))
            }
        }
    }
}

/// Says that there was no room for new series, where that is so.
fn no_room(refused: &Refused) -> Option<String> {
    let why = refused.examples.iter().find(|row| row.reason.is_no_room()).map(|row| format!(": {}", row.reason));
    let count = refused.too_many_series;
    (count > 0).then(|| format!("{count} samples of new series were refused{}", why.unwrap_or_default()))
}

impl Reading {
    /// Reads an answer, and, where it is looked at, what it says of its metrics.
    fn read(&mut self, fetched: &Fetched, at: Time, describe: bool) -> (Read, Option<Vec<wire::Metadata>>) {
        let mut known = None;
        let body = match str::from_utf8(&fetched.body) {
            Ok(body) => body,
            Err(error) => {
                let why = format!("byte {}: not UTF-8", error.valid_up_to() + 1);
                return ((Scraped::default(), Err(why)), known);
            }
        };
        let (mut scraped, read) =
            self.cache.read(body, ContentType::parse_or(&fetched.content_type, self.fallback), at, &self.rules);
        if read.is_ok() {
            if describe || scraped.added > 0 {
                self.names.metadata(body, known.insert(Vec::new()));
            }
            self.cache.well(at, &mut scraped.rows);
        }
        ((scraped, read), known)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use store::{Reason, RefusedRow};

    #[test]
    fn only_a_lack_of_room_is_told() {
        let mut refused = Refused { out_of_order: 3, in_future: 1, ..Refused::default() };
        let row = |reason| RefusedRow { row: 0, series: "a".into(), reason };
        refused.examples.push(row(Reason::OutOfOrder));
        assert_eq!(no_room(&refused), None);
        refused.too_many_series = 2;
        assert_eq!(no_room(&refused).unwrap(), "2 samples of new series were refused");
        refused.examples.push(row(Reason::TooManySeries { blame: "path".into(), limit: 9, source: None }));
        let why = no_room(&refused).unwrap();
        assert!(why.contains("the store holds 9 series, the limit"), "{why}");
    }
}
