//! `cargo xtask bench query`: how long queries take over series that cost nothing to read, in milliseconds and nanoseconds
//! a sample. Prints a table, and writes JSON where `--out FILE` says so; `--only TEXT` takes the queries whose name holds the
//! text, `--times N` runs each so often.

use std::collections::BTreeMap;
use std::hint::black_box;
use std::io::Write;
use std::time::{Duration, Instant};

use model::{Labels, Time};
use query::source::{Columns, MatchOp, Matcher, SeriesRef, Source, SourceError, TimeRange, Windows};
use query::{Limits, Params, evaluate, parse};

/// Microseconds between two samples.
const INTERVAL: i64 = 15_000_000;
/// First sample of every series: 2026-01-01.
const BEGIN: i64 = 1_767_225_600_000_000;

fn say(text: &str) {
    let _ = writeln!(std::io::stdout(), "{text}");
}

/// Series shaped like those of node_exporter whose samples are made when they are read.
struct Made {
    labels: Vec<Labels>,
    /// The series of each metric.
    by_name: BTreeMap<String, Vec<usize>>,
    samples: i64,
}

impl Made {
    fn new(samples: i64) -> Made {
        let mut labels = Vec::new();
        for host in 0..1000 {
            let (instance, dc) = (format!("host-{host:05}:9100"), format!("dc{}", host % 5));
            let base = [("instance", instance.as_str()), ("dc", dc.as_str()), ("env", "prod"), ("job", "node")];
            let mut add = |pairs: &[(&str, &str)]| labels.push(Labels::new(base.iter().chain(pairs).copied()).expect("labels"));
            add(&[("__name__", "node_load1")]);
            add(&[("__name__", "node_context_switches_total")]);
            for cpu in ["0", "1", "2", "3"] {
                add(&[("__name__", "node_cpu_seconds_total"), ("cpu", cpu), ("mode", "user")]);
            }
            for le in ["0.1", "0.5", "1", "5", "+Inf"] {
                add(&[("__name__", "latency_bucket"), ("le", le)]);
            }
        }
        let mut by_name: BTreeMap<String, Vec<usize>> = BTreeMap::new();
        labels.iter().enumerate().for_each(|(place, labels)| by_name.entry(labels.metric().to_string()).or_default().push(place));
        Made { labels, by_name, samples }
    }

    fn at(&self, series: u64, range: TimeRange) -> std::ops::Range<i64> {
        let phase = (series as i64 * 7_919_000) % INTERVAL;
        let first = (range.from.0 - BEGIN - phase + INTERVAL - 1).div_euclid(INTERVAL).max(0);
        let past = ((range.to.0 - BEGIN - phase).div_euclid(INTERVAL) + 1).min(self.samples);
        first..past.max(first)
    }

    fn value(series: u64, place: i64) -> f64 {
        let noise = (place.wrapping_mul(0x9e37_79b9).wrapping_add(series as i64) & 0xff) as f64;
        // A counter that begins anew after 5,000 samples.
        (place % 5_000) as f64 * 130.0 + noise * 0.5
    }
}

impl Source for Made {
    fn series(&self, matchers: &[Matcher], _: TimeRange, _: usize) -> Result<Vec<(SeriesRef, Labels)>, SourceError> {
        // As an index would: what asks for a name finds it without looking at the rest.
        let by_instance = matchers.iter().find(|matcher| matcher.op == MatchOp::Equal && matcher.name == "instance");
        let name = matchers.iter().find(|matcher| matcher.name == "__name__").map_or("", |matcher| &matcher.value);
        let places = &self.by_name[name];
        let places = match by_instance {
            Some(matcher) => {
                let host: usize = matcher.value[5..10].parse().expect("a host");
                &places[host * places.len() / 1000..(host + 1) * places.len() / 1000]
            }
            None => &places[..],
        };
        let rest: Vec<&Matcher> = matchers.iter().filter(|matcher| matcher.name != "__name__").collect();
        let fits = |place: &&usize| rest.iter().all(|matcher| matcher.matches_labels(&self.labels[**place]));
        Ok(places.iter().filter(fits).map(|place| (SeriesRef(*place as u64), self.labels[*place].clone())).collect())
    }

    fn read(&self, series: SeriesRef, range: TimeRange, into: &mut Columns) -> Result<(), SourceError> {
        let places = self.at(series.0, range);
        let phase = (series.0 as i64 * 7_919_000) % INTERVAL;
        into.times.extend(places.clone().map(|place| Time(BEGIN + phase + place * INTERVAL)));
        into.values.extend(places.map(|place| Made::value(series.0, place)));
        Ok(())
    }

    fn last(&self, series: SeriesRef, range: TimeRange, into: &mut Columns) -> Result<(), SourceError> {
        let places = self.at(series.0, range);
        let newest = places.end - 1;
        if newest >= places.start {
            let at = BEGIN + (series.0 as i64 * 7_919_000) % INTERVAL + newest * INTERVAL;
            return self.read(series, TimeRange { from: Time(at), to: Time(at) }, into);
        }
        Ok(())
    }

    fn read_windows(&self, series: SeriesRef, windows: &Windows, into: &mut Columns) -> Result<(), SourceError> {
        windows.iter().try_for_each(|range| self.read(series, range, into))
    }

    fn label_names(&self, _: &[Matcher], _: TimeRange) -> Result<Vec<String>, SourceError> {
        Ok(Vec::new())
    }

    fn label_values(&self, _: &str, _: &[Matcher], _: TimeRange) -> Result<Vec<String>, SourceError> {
        Ok(Vec::new())
    }
}

const HOUR: i64 = 3_600_000_000;
/// Name, query, length and step in microseconds (0: an instant), samples in a series.
const CASES: &[(&str, &str, i64, i64, i64)] = &[
    (
        "rate of 1, 1 h",
        "rate(node_cpu_seconds_total{instance=\"host-00500:9100\",cpu=\"2\",mode=\"user\"}[5m])",
        HOUR,
        INTERVAL,
        260,
    ),
    ("sum by of 1,000 rates, 1 h", "sum by (dc) (rate(node_context_switches_total[5m]))", HOUR, INTERVAL, 260),
    ("topk of 4,000 rates, 1 h", "topk(10, rate(node_cpu_seconds_total{mode=\"user\"}[5m]))", HOUR, INTERVAL, 260),
    ("instant of 1", "node_load1{instance=\"host-00500:9100\"}", 0, 0, 260),
    ("instant rate of 1", "rate(node_cpu_seconds_total{instance=\"host-00500:9100\",cpu=\"2\",mode=\"user\"}[5m])", 0, 0, 260),
    ("instant sum by of 1,000", "sum by (dc) (node_load1)", 0, 0, 260),
    ("instant topk of 1,000", "topk(10, node_load1)", 0, 0, 260),
    ("instant of 1,000", "node_load1", 0, 0, 260),
    ("raw of 1,000, 1 h", "node_load1", HOUR, INTERVAL, 260),
    ("30 days, step 1 h, 1,000 rates", "sum(rate(node_context_switches_total[5m]))", 719 * HOUR, HOUR, 172_800),
    ("avg over 1 h of 1,000, 1 h", "avg by (dc) (avg_over_time(node_load1[1h]))", HOUR, INTERVAL, 520),
    ("sum over 1 h of 1,000, 1 h", "sum by (dc) (sum_over_time(node_load1[1h]))", HOUR, INTERVAL, 520),
    ("max over 1 h of 1,000, 1 h", "max by (dc) (max_over_time(node_load1[1h]))", HOUR, INTERVAL, 520),
    ("stddev over 1 h of 1,000, 1 h", "max by (dc) (stddev_over_time(node_load1[1h]))", HOUR, INTERVAL, 520),
    ("quantile over 1 h of 1,000, 1 h", "max by (dc) (quantile_over_time(0.9, node_load1[1h]))", HOUR, INTERVAL, 520),
    ("histogram_quantile of 5,000", "histogram_quantile(0.99, sum by (le, dc) (rate(latency_bucket[5m])))", HOUR, INTERVAL, 260),
    ("1,000 by 1,000, 1 h", "node_load1 / on (instance) node_context_switches_total", HOUR, INTERVAL, 260),
    ("1,000 > scalar, 1 h", "node_load1 * 100 > 5", HOUR, INTERVAL, 260),
];

fn main() {
    let args: Vec<String> = std::env::args().collect();
    let option = |name: &str| args.iter().position(|word| word == name).and_then(|place| args.get(place + 1)).cloned();
    let only = option("--only").unwrap_or_default();
    let times: Option<usize> = option("--times").and_then(|times| times.parse().ok());
    let mut rows = Vec::new();
    say(&format!("{:<34} {:>10} {:>10} {:>12} {:>12}", "query", "p50 ms", "min ms", "samples", "ns a sample"));
    for (name, text, length, step, samples) in CASES.iter().filter(|case| case.0.contains(&only)) {
        let source = Made::new(*samples);
        let expr = parse(text).expect("a query");
        let end = Time(BEGIN + samples * INTERVAL - 20_000_000);
        let mut params = Params::range(Time(end.0 - length), end, Duration::from_micros(*step as u64));
        params.limits = Limits { samples: u64::MAX, ..Limits::default() };
        let mut took = Vec::new();
        let mut read = 0;
        let until = Instant::now() + Duration::from_millis(1500);
        let enough = |done: usize| times.map_or(done >= 5 && (done >= 500 || Instant::now() >= until), |times| done >= times);
        while !enough(took.len()) {
            let began = Instant::now();
            let answer = black_box(evaluate(&expr, &params, &source).expect("an answer"));
            took.push(began.elapsed().as_secs_f64() * 1e3);
            read = answer.samples_read;
        }
        took.sort_by(f64::total_cmp);
        let p50 = took[took.len() / 2];
        let nanos = p50 * 1e6 / read.max(1) as f64;
        say(&format!("{name:<34} {p50:>10.3} {:>10.3} {read:>12} {nanos:>12.1}", took[0]));
        rows.push(format!(
            "  {{\"query\": {:?}, \"p50_ms\": {p50:.4}, \"min_ms\": {:.4}, \"samples\": {read}, \"ns_per_sample\": {nanos:.2}}}",
            name, took[0]
        ));
    }
    if let Some(path) = option("--out") {
        let _ = std::fs::create_dir_all(std::path::Path::new(&path).parent().unwrap_or(std::path::Path::new(".")));
        let written = std::fs::write(&path, format!("[\n{}\n]\n", rows.join(",\n")));
        say(&written.map_or_else(|error| format!("failed to write {path}: {error}"), |()| format!("written to {path}")));
    }
}
