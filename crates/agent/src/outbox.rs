//! What waits for the server: in order, numbered, kept until the server says that it is on disk.
//!
//! Everything is bounded. When room runs short samples go first (the oldest), then lines of logs, then states of services
//! that a newer one follows; changes and the answers to steps never. What is dropped is counted.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use model::change::Change;
use model::signal::{LogLine, ServiceSeen};
use model::{Labels, Time};
use tokio::sync::Notify;
use wire::link::duty::AgentNews;

/// Samples older than this are dropped while the server is away.
pub const SAMPLES_AGE_MAX: Duration = Duration::from_secs(600);
/// Most samples that wait: 10 minutes of 2,500 series; 24 bytes each.
pub const SAMPLES_MAX: usize = 1_500_000;
/// Most bytes of log lines that wait.
pub const LOGS_LEN_MAX: usize = 4 * 1024 * 1024;
/// Most states of services that wait.
pub const STATES_MAX: usize = 1_000;

/// Samples that were taken at the same instant.
#[derive(Debug, Default, PartialEq)]
pub struct SampleFrame {
    /// When, on the server's clock.
    pub time: Time,
    /// Series and value.
    pub rows: Vec<(Labels, f64)>,
}

/// What is sent.
#[derive(Clone, Debug)]
pub enum Load {
    /// Samples.
    Samples(std::sync::Arc<SampleFrame>),
    /// News, as JSON.
    News(std::sync::Arc<[u8]>),
    /// The answer to a step, as JSON.
    Answer {
        /// Its key.
        key: String,
        /// The model's answer.
        json: std::sync::Arc<[u8]>,
    },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Rank {
    Samples,
    Logs,
    State,
    Kept,
}

#[derive(Debug)]
struct Item {
    sequence: u64,
    rank: Rank,
    load: Load,
}

/// What waits for the server.
#[derive(Debug, Default)]
pub struct Outbox {
    inner: Mutex<Inner>,
    news: Notify,
}

#[derive(Debug, Default)]
struct Inner {
    items: VecDeque<Item>,
    last: u64,
    samples: usize,
    logs_len: usize,
    states: usize,
    samples_dropped: u64,
    lines_dropped: u64,
}

impl Outbox {
    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn push(&self, rank: Rank, load: Load) {
        {
            let mut inner = self.lock();
            inner.last += 1;
            let sequence = inner.last;
            inner.count(rank, &load, true);
            inner.items.push_back(Item { sequence, rank, load });
            inner.shrink();
        }
        self.news.notify_one();
    }

    /// Samples of one instant.
    pub fn samples(&self, frame: SampleFrame) {
        if !frame.rows.is_empty() {
            self.push(Rank::Samples, Load::Samples(frame.into()));
        }
    }

    /// Something was altered.
    pub fn change(&self, change: Change) {
        self.news(Rank::Kept, &AgentNews::Changed(change));
    }

    /// A service changed its state.
    pub fn service(&self, seen: ServiceSeen) {
        self.news(Rank::State, &AgentNews::ServiceSeen(seen));
    }

    /// Lines that services wrote.
    pub fn log(&self, lines: Vec<LogLine>) {
        if !lines.is_empty() {
            self.news(Rank::Logs, &AgentNews::Log(lines));
        }
    }

    fn news(&self, rank: Rank, news: &AgentNews) {
        match serde_json::to_vec(news) {
            Ok(json) => self.push(rank, Load::News(json.into())),
            Err(error) => tracing::error!(%error, "news that can't be written"),
        }
    }

    /// The answer to a step.
    pub fn answer(&self, key: &str, json: Vec<u8>) {
        self.push(Rank::Kept, Load::Answer { key: key.to_owned(), json: json.into() });
    }

    /// The first item after `sequence`.
    pub fn after(&self, sequence: u64) -> Option<(u64, Load)> {
        let inner = self.lock();
        let place = inner.items.partition_point(|item| item.sequence <= sequence);
        inner.items.get(place).map(|item| (item.sequence, item.load.clone()))
    }

    /// Waits until something was added since the last call.
    pub async fn added(&self) {
        self.news.notified().await;
    }

    /// The server has everything up to `sequence` on disk. Gives back the keys of answers among it.
    pub fn acknowledged(&self, sequence: u64) -> Vec<String> {
        let mut inner = self.lock();
        let mut answered = Vec::new();
        while inner.items.front().is_some_and(|item| item.sequence <= sequence) {
            let item = inner.items.pop_front().expect("looked at just now");
            inner.count(item.rank, &item.load, false);
            if let Load::Answer { key, .. } = item.load {
                answered.push(key);
            }
        }
        answered
    }

    /// True when no change and no answer waits.
    pub fn is_settled(&self) -> bool {
        self.lock().items.iter().all(|item| item.rank != Rank::Kept)
    }

    /// Samples that were dropped since the start.
    pub fn samples_dropped(&self) -> u64 {
        self.lock().samples_dropped
    }

    /// Messages with lines that were dropped since the start.
    pub fn lines_dropped(&self) -> u64 {
        self.lock().lines_dropped
    }
}

impl Inner {
    fn count(&mut self, rank: Rank, load: &Load, more: bool) {
        let (place, by) = match (rank, load) {
            (Rank::Samples, Load::Samples(frame)) => (&mut self.samples, frame.rows.len()),
            (Rank::Logs, Load::News(json)) => (&mut self.logs_len, json.len()),
            (Rank::State, _) => (&mut self.states, 1),
            _ => return,
        };
        *place = if more { *place + by } else { place.saturating_sub(by) };
    }

    fn shrink(&mut self) {
        let samples = |item: &Item| match &item.load {
            Load::Samples(frame) => Some(frame.time),
            _ => None,
        };
        let newest = self.items.iter().rev().find_map(samples).unwrap_or(Time::MIN);
        let is_old =
            |inner: &Inner| inner.items.iter().find_map(samples).is_some_and(|time| newest.since(time) > SAMPLES_AGE_MAX);
        while self.samples > SAMPLES_MAX || is_old(self) {
            self.samples_dropped += self.drop_oldest(Rank::Samples);
        }
        while self.logs_len > LOGS_LEN_MAX {
            self.lines_dropped += self.drop_oldest(Rank::Logs);
        }
        while self.states > STATES_MAX {
            self.drop_oldest(Rank::State);
        }
    }

    fn drop_oldest(&mut self, rank: Rank) -> u64 {
        let Some(place) = self.items.iter().position(|item| item.rank == rank) else { return 0 };
        let Some(item) = self.items.remove(place) else { return 0 };
        self.count(item.rank, &item.load, false);
        match item.load {
            Load::Samples(frame) => frame.rows.len() as u64,
            _ => 1,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use model::{EventId, HostName, ServiceName, Text};

    fn frame(second: i64, rows: usize) -> SampleFrame {
        SampleFrame { time: Time::from_secs(second), rows: vec![(Labels::new([("__name__", "x")]).unwrap(), 1.0); rows] }
    }

    fn change(id: &str) -> Change {
        Change {
            id: EventId::from(id),
            kind: model::ChangeKind::System,
            what: Text::plain("x"),
            scope: model::Scope::default(),
            author: None,
            at: Time(0),
            detail: None,
            link: None,
            order: None,
        }
    }

    #[test]
    fn ten_minutes_of_samples_and_every_change() {
        let outbox = Outbox::default();
        outbox.change(change("first"));
        for second in 0..700 {
            outbox.samples(frame(second, 3));
        }
        assert_eq!(outbox.samples_dropped(), 99 * 3);
        let (first, load) = outbox.after(0).unwrap();
        assert!(first == 1 && matches!(load, Load::News(_)) && !outbox.is_settled());
        let (second, load) = outbox.after(first).unwrap();
        assert!(second == 101 && matches!(load, Load::Samples(frame) if frame.time == Time::from_secs(99)));
        outbox.answer("k", b"{}".to_vec());
        assert_eq!(outbox.acknowledged(700), Vec::<String>::new());
        assert!(matches!(outbox.after(0), Some((701, Load::Samples(_)))));
        assert_eq!(outbox.acknowledged(702), ["k"]);
        assert!(outbox.after(0).is_none() && outbox.is_settled());
        assert_eq!(outbox.lock().samples, 0);
    }

    #[test]
    fn too_many_samples_or_lines_go_and_answers_stay() {
        let outbox = Outbox::default();
        outbox.answer("k", b"{}".to_vec());
        for _ in 0..4 {
            outbox.samples(frame(0, SAMPLES_MAX / 3));
        }
        assert_eq!(outbox.samples_dropped(), (SAMPLES_MAX / 3) as u64);
        let line = LogLine {
            at: Time(0),
            host: HostName::new("h").unwrap(),
            service: ServiceName::new("s").unwrap(),
            text: "x".repeat(1024),
        };
        for _ in 0..10 {
            outbox.log(vec![line.clone(); 512]);
        }
        assert!(outbox.lines_dropped() >= 2 && outbox.lock().logs_len <= LOGS_LEN_MAX);
        assert!(matches!(outbox.after(0), Some((1, Load::Answer { .. }))));
    }
}
