//! What an agent says, as samples, events and lines that can only be of its own host. Never believes a name in a frame.
//!
//! One frame after the other, so order is kept. Acknowledged is what is on disk. While samples can't be written, events
//! still are; nothing is acknowledged from the first refused frame on, and what the agent sends again later is known by
//! its number.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use model::change::{Change, ChangeKind};
use model::config::Config;
use model::labels::{METRIC_NAME, Pairs};
use model::plan::{StepAnswer, StepOutcome};
use model::signal::LogLine;
use model::{Event, EventId, HostName, Labels, SampleBatch, ServiceName, Time};
use tokio::time::Instant;
use wire::link::duty::AgentNews;
use wire::link::samples::{Decoder, SERIES_MAX};
use wire::link::{self, AgentBody, Pong};

use super::links::{Fault, Links, Marks, Presence};
use crate::pump::PumpError;

/// Longest JSON of an event or an answer, in bytes. Lines of logs may fill a frame.
const JSON_LEN_MAX: usize = 256 * 1024;
/// Most lines of a log in one frame.
const LINES_MAX: usize = 10_000;
/// Longest text of an answer or a change, in bytes.
const TEXT_LEN_MAX: usize = 4 * 1024;
/// Longest details of a change, in bytes.
const DETAIL_LEN_MAX: usize = 16 * 1024;
/// Longest id of an event, in bytes.
const ID_LEN_MAX: usize = 128;
/// So many lines of our own log may a connection cause that says what can't be read.
const SAID_MAX: u32 = 20;
/// A batch that was larger gives its memory back.
const ROWS_KEPT: usize = 50_000;
/// While samples can't be written the agent is asked to come again after so long.
const STUCK_MAX: Duration = Duration::from_secs(5);
/// The metric by which an agent says how far its clock is ahead.
const CLOCK_METRIC: &str = "flyball_agent_clock_ahead_seconds";
/// A clock that moved by less is not worth an event.
const CLOCK_STEP_US: i64 = 1_000_000;
/// Nor is one that moves more often.
const CLOCK_EVERY: Duration = Duration::from_secs(60);

/// The receiving end of one connection.
pub struct Incoming {
    links: Arc<Links>,
    host: HostName,
    presence: Arc<Presence>,
    marks: Marks,
    decoder: Decoder,
    raw: SampleBatch,
    own: SampleBatch,
    /// A series as it is sent, and as it is kept; none where there is no room for our labels.
    known: HashMap<Box<str>, Option<Known>, ahash::RandomState>,
    config: Arc<Config>,
    stuck: Option<(Instant, String)>,
    dropped: u64,
    passed_over: AtomicU32,
    clock_said: Option<Instant>,
}

struct Known {
    labels: Labels,
    is_clock: bool,
}

impl Incoming {
    /// For a new connection of a run of the host's agent.
    pub fn new(links: Arc<Links>, host: HostName, run_id: &str, presence: Arc<Presence>) -> Incoming {
        let marks = links.marks(&host, run_id);
        let config = links.config.borrow().clone();
        Incoming {
            links,
            host,
            presence,
            marks,
            decoder: Decoder::new(),
            raw: SampleBatch::new(),
            own: SampleBatch::new(),
            known: HashMap::default(),
            config,
            stuck: None,
            dropped: 0,
            passed_over: AtomicU32::new(0),
            clock_said: None,
        }
    }

    /// Takes a frame in. True when everything up to it is on disk.
    pub async fn take(&mut self, sequence: u64, body: Option<AgentBody>) -> Result<bool, Fault> {
        match body {
            Some(AgentBody::Samples(body)) => self.samples(sequence, &body).await?,
            Some(AgentBody::Event(event)) => self.event(sequence, EventOf::News(event.json)).await?,
            Some(AgentBody::StepAnswer(answer)) => self.event(sequence, EventOf::Answer(answer)).await?,
            Some(AgentBody::Pong(pong)) => self.pong(&pong),
            Some(AgentBody::Hello(_)) => return Err(Fault::passing("a second hello on one connection")),
            // Something newer than this build; a renewal is the session's.
            Some(AgentBody::RenewRequest(_)) | None => {}
        }
        match &self.stuck {
            Some((since, why)) if since.elapsed() > STUCK_MAX => Err(Fault::passing(format!("samples can't be written: {why}"))),
            stuck => Ok(stuck.is_none()),
        }
    }

    async fn samples(&mut self, sequence: u64, body: &[u8]) -> Result<(), Fault> {
        self.raw.clear();
        // Also what is known already: later bodies build on it.
        self.decoder.decode(body, &mut self.raw).map_err(Fault::passing)?;
        if self.stuck.is_some() || (sequence != 0 && sequence <= self.marks.samples) {
            return Ok(());
        }
        let clock = self.relabel();
        match self.links.parts.samples.take(&self.host, &self.own).await {
            Ok(()) => {
                self.marks.samples = self.marks.samples.max(sequence);
                self.links.keep_marks(&self.host, &self.marks);
            }
            Err(why) => {
                tracing::warn!(host = %self.host, why, "failed to write samples of a host; it sends them again");
                self.stuck = Some((Instant::now(), why));
            }
        }
        if self.raw.len() > ROWS_KEPT {
            (self.raw, self.own) = (SampleBatch::new(), SampleBatch::new());
        }
        if let Some(seconds) = clock {
            self.clock_is_ahead(seconds).await;
        }
        Ok(())
    }

    /// Fills `own` with `raw` under this host's labels. Gives how far its clock is ahead, where the samples say it.
    fn relabel(&mut self) -> Option<f64> {
        let config = self.links.config.borrow().clone();
        if !Arc::ptr_eq(&config, &self.config) || self.known.len() > SERIES_MAX {
            self.config = config;
            self.known.clear();
        }
        self.own.clear();
        let mut clock = None;
        for (key, sample) in self.raw.iter() {
            if !self.known.contains_key(key) {
                self.known.insert(key.into(), known(key, &self.host, &self.config));
            }
            if let Some(Some(known)) = self.known.get(key) {
                if known.is_clock {
                    clock = Some(sample.value);
                }
                self.own.push(&known.labels, sample.time, sample.value);
            }
        }
        clock
    }

    async fn clock_is_ahead(&mut self, seconds: f64) {
        // The cast takes NaN for 0 and ends at the limits.
        let ahead_us = (seconds * 1e6) as i64;
        let said = self.presence.clock_ahead_us.load(Ordering::Relaxed);
        let is_soon = self.clock_said.is_some_and(|said| said.elapsed() < CLOCK_EVERY);
        if ahead_us.abs_diff(said) >= CLOCK_STEP_US.unsigned_abs() && !is_soon {
            self.clock_said = Some(Instant::now());
            self.presence.clock_ahead_us.store(ahead_us, Ordering::Relaxed);
            self.links.say(&self.host, true, &self.presence).await;
        }
    }

    async fn event(&mut self, sequence: u64, said: EventOf) -> Result<(), Fault> {
        if sequence != 0 && sequence <= self.marks.events {
            return Ok(());
        }
        let event = match said {
            EventOf::News(json) => self.news(&json),
            EventOf::Answer(answer) => self.answer(&answer),
        };
        if let Some(event) = event {
            match self.links.parts.pump.submit(event).await {
                Ok(_) => {}
                // On disk, and without effect: sending it again would change nothing.
                Err(PumpError::Poisoned { seq, why }) => {
                    tracing::error!(host = %self.host, %seq, why, "an agent's event has no effect")
                }
                Err(error) => return Err(Fault::passing(error)),
            }
        }
        self.marks.events = self.marks.events.max(sequence);
        self.links.keep_marks(&self.host, &self.marks);
        Ok(())
    }

    /// What can't be read may be of a newer agent: it is noted and passed over, or it would stand in the way for ever.
    fn news(&self, json: &[u8]) -> Option<Event> {
        let now = self.links.parts.clock.now();
        match serde_json::from_slice::<AgentNews>(json) {
            Ok(AgentNews::Log(lines)) => {
                self.lines(lines, now);
                None
            }
            _ if json.len() > JSON_LEN_MAX => self.pass_over("news", format!("{} bytes, {JSON_LEN_MAX} at most", json.len())),
            Ok(AgentNews::Changed(change)) => match own_change(change, &self.host, &self.config, now) {
                Ok(change) => Some(Event::Changed(change)),
                Err(why) => self.pass_over("a change", why),
            },
            Ok(AgentNews::ServiceSeen(mut seen)) => {
                seen.host = self.host.clone();
                seen.since = seen.since.min(now);
                Some(Event::ServiceSeen(seen))
            }
            Err(error) => self.pass_over("news", error),
        }
    }

    fn lines(&self, lines: Vec<LogLine>, now: Time) {
        if lines.len() > LINES_MAX {
            self.pass_over("lines of a log", format!("{} at once, the first {LINES_MAX} are kept", lines.len()));
        }
        for line in lines.into_iter().take(LINES_MAX) {
            self.links.parts.logs.push(LogLine { host: self.host.clone(), at: line.at.min(now), ..line });
        }
    }

    fn answer(&self, answer: &link::StepAnswer) -> Option<Event> {
        if answer.json.len() > JSON_LEN_MAX {
            return self.pass_over("an answer", format!("{} bytes, {JSON_LEN_MAX} at most", answer.json.len()));
        }
        let mut of = match serde_json::from_slice::<StepAnswer>(&answer.json) {
            Ok(of) => of,
            Err(error) => return self.pass_over("an answer", error),
        };
        if of.key.as_str() != answer.key || of.host != self.host || !self.links.was_asked(&self.host, &of.order, &of.key) {
            return self.pass_over("an answer", format!("this host was not asked the step {:?}", short(&answer.key)));
        }
        match &mut of.outcome {
            StepOutcome::Done { note: text }
            | StepOutcome::Failed { why: text }
            | StepOutcome::Refused { why: text }
            | StepOutcome::Unreachable { why: text } => cut(text, TEXT_LEN_MAX),
        }
        Some(Event::StepAnswered(of))
    }

    fn pass_over(&self, what: &str, why: impl ToString) -> Option<Event> {
        if self.passed_over.fetch_add(1, Ordering::Relaxed) < SAID_MAX {
            tracing::warn!(host = %self.host, what, why = why.to_string(), "something an agent said was passed over");
        }
        None
    }

    fn pong(&mut self, pong: &Pong) {
        if pong.dropped_samples > self.dropped {
            tracing::warn!(host = %self.host, dropped = pong.dropped_samples, "an agent had to drop samples");
        }
        self.dropped = pong.dropped_samples;
    }
}

enum EventOf {
    News(Vec<u8>),
    Answer(link::StepAnswer),
}

/// `host` is always this host; `instance` and the configured labels are added where they are missing.
fn known(key: &str, host: &HostName, config: &Config) -> Option<Known> {
    let mut pairs: Vec<(&str, &str)> = Pairs::of(key).filter(|(name, _)| *name != "host").collect();
    let is_clock = pairs.contains(&(METRIC_NAME, CLOCK_METRIC));
    let extra = config.hosts.get(host).into_iter().flat_map(|entry| &entry.labels);
    let extra =
        extra.map(|(name, value)| (name.as_str(), value.as_str())).filter(|(name, _)| !matches!(*name, "host" | METRIC_NAME));
    for (name, value) in extra.chain([("instance", host.as_str())]) {
        if !pairs.iter().any(|(have, _)| *have == name) {
            pairs.push((name, value));
        }
    }
    pairs.push(("host", host.as_str()));
    match Labels::new(pairs) {
        Ok(labels) => Some(Known { labels, is_clock }),
        Err(error) => {
            tracing::warn!(%host, %error, "a series of an agent is left out");
            None
        }
    }
}

/// A change can only be of this host and of a service on it, and its id can't be one that somebody else may use.
fn own_change(change: Change, host: &HostName, config: &Config, now: Time) -> Result<Change, String> {
    if change.id.as_str().is_empty() || change.id.as_str().len() > ID_LEN_MAX {
        return Err(format!("its id has {} bytes, 1 to {ID_LEN_MAX} are right", change.id.as_str().len()));
    }
    let mut scope = change.scope;
    let is_here =
        |service: &ServiceName| super::duty::duty(config, host, None).services.iter().any(|duty| duty.service == *service);
    if !scope.service.as_ref().is_some_and(is_here) {
        (scope.project, scope.service, scope.environment) = (None, None, None);
    }
    scope.hosts = vec![host.clone()];
    let shorter = |text: Option<String>, len| text.map(|mut text| (cut(&mut text, len), text).1);
    Ok(Change {
        id: EventId::from(format!("agent/{host}/{}", change.id)),
        // The others are said by whoever makes them, not noticed by an agent.
        kind: if change.kind == ChangeKind::Configuration { change.kind } else { ChangeKind::System },
        what: change.what,
        scope,
        author: shorter(change.author, ID_LEN_MAX),
        at: change.at.min(now),
        detail: shorter(change.detail, DETAIL_LEN_MAX),
        link: None,
        order: None,
    })
}

fn short(text: &str) -> &str {
    text.get(..ID_LEN_MAX.min(text.len())).unwrap_or("")
}

fn cut(text: &mut String, len: usize) {
    let end = (0..=len.min(text.len())).rev().find(|end| text.is_char_boundary(*end)).unwrap_or(0);
    text.truncate(end);
}

#[cfg(test)]
mod tests {
    use super::*;
    use model::{Scope, Text};

    fn config() -> Config {
        serde_json::from_value(serde_json::json!({
            "hosts": {"web-1": {"labels": {"zone": "b", "host": "x", "mode": "y"}}},
            "projects": {"shop": {"services": {"shop": {"environments": {"prod": {"servers": [{"host": "web-1", "port": 1}]}}}}}}
        }))
        .unwrap()
    }

    #[test]
    fn every_series_is_of_the_own_host() {
        let host = HostName::new("web-1").unwrap();
        let say = |pairs: &[(&str, &str)]| {
            let labels = Labels::new(pairs.iter().copied()).unwrap();
            known(labels.key(), &host, &config()).map(|known| known.labels.to_string())
        };
        assert_eq!(
            say(&[("__name__", "up"), ("host", "web-2")]).unwrap(),
            r#"up{host="web-1", instance="web-1", mode="y", zone="b"}"#
        );
        assert_eq!(
            say(&[("instance", "shop-1:80"), ("mode", "a")]).unwrap(),
            r#"{host="web-1", instance="shop-1:80", mode="a", zone="b"}"#
        );
        let many: Vec<(String, &str)> = (0..128).map(|place| (format!("l{place}"), "v")).collect();
        let many = Labels::new(many).unwrap();
        assert!(known(many.key(), &host, &config()).is_none());
    }

    #[test]
    fn a_change_is_of_the_own_host_and_its_services() {
        let host = HostName::new("web-1").unwrap();
        let change = |id: &str, service: &str| Change {
            id: EventId::from(id),
            kind: ChangeKind::Release,
            what: Text::plain("x"),
            scope: Scope {
                service: Some(ServiceName::new(service).unwrap()),
                hosts: vec![HostName::new("web-2").unwrap()],
                ..Scope::default()
            },
            author: Some("ü".repeat(100)),
            at: Time(100),
            detail: None,
            link: Some("http://x".into()),
            order: Some("20261122-101500-7K".to_owned().into()),
        };
        let own = own_change(change("1", "shop"), &host, &config(), Time(7)).unwrap();
        assert_eq!((own.id.as_str(), own.kind, own.at), ("agent/web-1/1", ChangeKind::System, Time(7)));
        assert_eq!(own.scope.hosts, std::slice::from_ref(&host));
        assert!(own.scope.service.is_some() && own.order.is_none() && own.link.is_none());
        assert_eq!(own.author.unwrap().len(), 128);
        assert!(own_change(change("1", "pay"), &host, &config(), Time(7)).unwrap().scope.service.is_none());
        assert!(own_change(change("", "shop"), &host, &config(), Time(7)).is_err());
        assert!(own_change(change(&"x".repeat(129), "shop"), &host, &config(), Time(7)).is_err());
    }
}
