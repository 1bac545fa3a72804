//! What this door counts of itself, for `/metrics` and for flyball's own store.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use wire::MetricKind;
use wire::exposition::Writer;

/// Upper bounds of answer times, in seconds.
const BUCKETS: [f64; 8] = [0.001, 0.005, 0.025, 0.1, 0.5, 2.5, 10.0, 60.0];

/// Counters of the door.
#[derive(Default)]
pub struct Metrics {
    requests: Mutex<BTreeMap<(String, u16), u64>>,
    buckets: [AtomicU64; BUCKETS.len()],
    answered: AtomicU64,
    answered_us: AtomicU64,
    /// Handlers that panicked.
    pub panics: AtomicU64,
    /// Connections that are open.
    pub connections: AtomicI64,
    /// Streams that are open.
    pub streams: AtomicI64,
    /// Streams that were dropped because their reader was too slow.
    pub streams_dropped: AtomicU64,
    /// Samples that came in.
    pub samples: AtomicU64,
    /// Lines and series of bodies that were refused.
    pub refused: AtomicU64,
    /// Texts in the line protocol that were refused.
    pub refused_strings: AtomicU64,
    /// Queries that were answered.
    pub queries: AtomicU64,
}

impl Metrics {
    /// A request was answered; `route` is the table's path; none: a page of the UI.
    pub fn answered(&self, route: Option<&str>, status: u16, took: Duration) {
        *self
            .requests
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .entry((route.unwrap_or("page").to_owned(), status))
            .or_default() += 1;
        self.answered.fetch_add(1, Ordering::Relaxed);
        self.answered_us.fetch_add(took.as_micros() as u64, Ordering::Relaxed);
        if let Some(place) = BUCKETS.iter().position(|bound| took.as_secs_f64() <= *bound) {
            self.buckets[place].fetch_add(1, Ordering::Relaxed);
        }
    }

    /// The figures that go into flyball's own store: sums, without a series per route.
    pub fn figures(&self) -> [(&'static str, f64); 7] {
        let count = |counter: &AtomicU64| counter.load(Ordering::Relaxed) as f64;
        [
            ("flyball_http_answers_total", count(&self.answered)),
            ("flyball_http_answers_seconds_total", count(&self.answered_us) / 1e6),
            ("flyball_http_panics_total", count(&self.panics)),
            ("flyball_http_connections", self.connections.load(Ordering::Relaxed) as f64),
            ("flyball_http_streams", self.streams.load(Ordering::Relaxed) as f64),
            ("flyball_http_streams_dropped_total", count(&self.streams_dropped)),
            ("flyball_intake_refused_total", count(&self.refused)),
        ]
    }

    /// Adds its families to an exposition.
    pub fn write(&self, out: &mut Writer) {
        out.family("flyball_http_requests_total", MetricKind::Counter, "Requests that were answered.");
        for ((route, status), count) in self.requests.lock().unwrap_or_else(PoisonError::into_inner).iter() {
            out.sample(&[("route", route), ("status", &status.to_string())], *count as f64);
        }
        out.family("flyball_http_answer_seconds", MetricKind::Histogram, "Time until the head of the answer was ready.");
        let mut sum = 0;
        for (bound, count) in BUCKETS.iter().zip(&self.buckets) {
            sum += count.load(Ordering::Relaxed);
            out.suffixed("_bucket", &[("le", &bound.to_string())], sum as f64);
        }
        let answered = self.answered.load(Ordering::Relaxed) as f64;
        out.suffixed("_bucket", &[("le", "+Inf")], answered);
        out.suffixed("_sum", &[], self.answered_us.load(Ordering::Relaxed) as f64 / 1e6);
        out.suffixed("_count", &[], answered);
        let counters = [
            ("flyball_http_panics_total", "Handlers that panicked.", &self.panics),
            ("flyball_http_streams_dropped_total", "Streams whose reader was too slow.", &self.streams_dropped),
            ("flyball_intake_samples_total", "Samples that came in by HTTP.", &self.samples),
            ("flyball_intake_refused_total", "Lines and series that were refused.", &self.refused),
            ("flyball_intake_refused_strings_total", "Texts in the line protocol that were refused.", &self.refused_strings),
            ("flyball_queries_total", "PromQL queries that were answered.", &self.queries),
        ];
        for (name, help, value) in counters {
            out.family(name, MetricKind::Counter, help).sample(&[], value.load(Ordering::Relaxed) as f64);
        }
        for (name, help, value) in [
            ("flyball_http_connections", "Connections that are open.", &self.connections),
            ("flyball_http_streams", "Event streams that are open.", &self.streams),
        ] {
            out.family(name, MetricKind::Gauge, help).sample(&[], value.load(Ordering::Relaxed) as f64);
        }
    }
}
