//! Scrapes one target: its samples, whether it answered, and an end to every series that it no longer has.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use dial::Request;
use http::{HeaderValue, StatusCode, header};
use model::config::ScrapeConfig;
use model::{Labels, STALE_NAN, SampleBatch, Time};
use wire::exposition::{ACCEPT, ContentType, Decoder, Options};

use super::{Telemetry, first_pause};
use crate::http::doors::Samples as _;
use crate::perform::outgoing::Outgoing;
use crate::perform::webhook::chain;

/// Largest answer, in bytes.
const ANSWER_LEN_MAX: usize = 64 * 1024 * 1024;
/// Longest wait for an answer where the configuration names none.
const TIMEOUT_MAX: Duration = Duration::from_secs(10);

/// Runs until it is aborted.
pub async fn run(telemetry: Telemetry, outgoing: Outgoing, job: String, target: String, config: ScrapeConfig) {
    let every = config.every.duration().max(Duration::from_millis(100));
    let extra = config.labels.iter().map(|(name, value)| (name.as_str(), value.as_str()));
    let labels = Labels::new([("job", job.as_str()), ("instance", target.as_str())].into_iter().chain(extra));
    let Ok(labels) = labels else {
        tracing::error!(job, target, "failed to label a target; it is not scraped");
        return;
    };
    let mut scrape = Scrape { telemetry, outgoing, target, labels, config, seen: BTreeSet::new(), decoder: Decoder::default() };
    tokio::time::sleep(first_pause(scrape.telemetry.clock().now(), every, &format!("{job} {}", scrape.target))).await;
    let mut beat = tokio::time::interval(every);
    beat.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Skip);
    loop {
        beat.tick().await;
        scrape.once().await;
    }
}

struct Scrape {
    telemetry: Telemetry,
    outgoing: Outgoing,
    target: String,
    labels: Labels,
    config: ScrapeConfig,
    /// Keys of the series of the last answer.
    seen: BTreeSet<String>,
    decoder: Decoder,
}

impl Scrape {
    async fn once(&mut self) {
        let at = self.telemetry.clock().now();
        let begun = Instant::now();
        let mut batch = SampleBatch::new();
        let mut metadata = Vec::new();
        let up = match self.fetch(at, &mut batch, &mut metadata).await {
            Ok(()) => true,
            Err(why) => {
                tracing::debug!(target = self.target, why, "failed to scrape");
                batch.clear();
                false
            }
        };
        let samples = batch.len();
        let now: BTreeSet<String> = batch.iter().map(|(key, _)| key.to_owned()).collect();
        for gone in self.seen.difference(&now) {
            if let Ok(labels) = Labels::from_key(gone) {
                batch.push(&labels, at, STALE_NAN);
            }
        }
        self.seen = now;
        for (name, value) in [
            ("up", f64::from(u8::from(up))),
            ("scrape_duration_seconds", begun.elapsed().as_secs_f64()),
            ("scrape_samples_scraped", samples as f64),
        ] {
            batch.push(&self.labels.with(model::labels::METRIC_NAME, name), at, value);
        }
        if let Err(error) = self.telemetry.ingest(batch, metadata).await {
            tracing::warn!(target = self.target, %error, "failed to keep a scrape");
        }
    }

    async fn fetch(&mut self, at: Time, batch: &mut SampleBatch, metadata: &mut Vec<wire::Metadata>) -> Result<(), String> {
        let mut request = Request::get(format!("http://{}{}", self.target, self.config.path));
        let limit = self.config.timeout.unwrap_or(self.config.every).duration();
        request.timeout = if self.config.timeout.is_some() { limit } else { limit.min(TIMEOUT_MAX) };
        request.body_max = ANSWER_LEN_MAX;
        request.headers.insert(header::ACCEPT, HeaderValue::from_static(ACCEPT));
        let response = self.outgoing.dialer().send(&request).await.map_err(|error| chain(&error))?;
        if response.status != StatusCode::OK {
            return Err(format!("it answered {}", response.status));
        }
        let content = response.headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
        let options = Options { target: self.labels.clone(), ..Options::default() };
        let report = self.decoder.decode(&response.body, ContentType::parse(content), at, &options, batch, metadata);
        if report.accepted == 0 && report.failed > 0 {
            return Err(format!("{} lines, none of them a sample", report.failed));
        }
        Ok(())
    }
}
