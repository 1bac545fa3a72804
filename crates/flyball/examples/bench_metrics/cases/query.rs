//! How long queries take over the last hour of 100,000 series: one kept connection, one at a time, another host and end each time.

use std::io::{Error, Result};
use std::time::Instant;

use super::Context;
use crate::encode::Form;
use crate::figures::{Seen, median};
use crate::fleet::{Random, SERIES_A_HOST};
use crate::http::escaped;
use crate::send::{Load, bulk};
use crate::target::{Kind, Settings, Target};

const TIMES: usize = 100;
const HOUR: i64 = 3_600;
const STEP: i64 = 15;

/// One query of the set, by its figure; a host and a processor make it another one each time.
struct Query {
    key: &'static str,
    range: bool,
    text: fn(host: &str, cpu: u64) -> String,
}

const QUERIES: [Query; 5] = [
    Query {
        key: "range-1",
        range: true,
        text: |host, cpu| format!("rate(node_cpu_seconds_total{{instance=\"{host}\",cpu=\"{cpu}\",mode=\"user\"}}[5m])"),
    },
    Query { key: "range-1000", range: true, text: |_, _| "sum by (dc) (rate(node_context_switches_total[5m]))".into() },
    Query { key: "range-4000", range: true, text: |_, _| "topk(10, rate(node_cpu_seconds_total{mode=\"user\"}[5m]))".into() },
    Query { key: "instant-1", range: false, text: |host, _| format!("node_load1{{instance=\"{host}\"}}") },
    Query { key: "instant-1000", range: false, text: |_, _| "sum by (dc) (node_load1)".into() },
];

/// What a query came to: milliseconds at the median, and series in all answers.
struct Asked {
    millis: f64,
    series: usize,
}

pub fn run(context: &Context) -> Result<Vec<Seen>> {
    let load = Load::ending_now(Form::RemoteWrite, 100_000, context.scaled(260).max(30), 2);
    let target = context.start(Kind::Flyball, &Settings::default())?;
    bulk(&target, &load)?;
    let ours = ask_all(&target, &load)?;
    let flushed = match target.flushed_bytes() {
        Ok(_) => ask_all(&target, &load)?.into_iter().map(|asked| asked.millis).collect(),
        Err(_) => Vec::new(),
    };
    drop(target);
    let mut peers = Vec::new();
    for kind in [Kind::Victoria, Kind::Prometheus] {
        let target = context.start(kind, &Settings::default())?;
        bulk(&target, &load)?;
        if kind == Kind::Victoria {
            target.client().well("GET", "/internal/force_flush")?;
        }
        peers.push(ask_all(&target, &load)?);
    }
    let mut seen = Vec::new();
    for (place, query) in QUERIES.iter().enumerate() {
        let (victoria, prometheus) = (&peers[0][place], &peers[1][place]);
        // Which are the ten largest depends on whether a window holds its first instant; Prometheus 2.42 counts it in.
        if query.key != "range-4000" && ours[place].series != prometheus.series {
            return Err(Error::other(format!(
                "{}: {} series in our answers, {} in Prometheus'",
                query.key, ours[place].series, prometheus.series
            )));
        }
        let mut one = Seen::new(query.key, ours[place].millis).against(victoria.millis).beside("Prometheus", prometheus.millis);
        if let Some(millis) = flushed.get(place) {
            one = one.beside("after a flush", *millis);
        }
        seen.push(one);
    }
    Ok(seen)
}

fn ask_all(target: &Target, load: &Load) -> Result<Vec<Asked>> {
    QUERIES.iter().map(|query| ask(target, query, load)).collect()
}

fn ask(target: &Target, query: &Query, load: &Load) -> Result<Asked> {
    let mut random = Random::new(17);
    let mut client = target.client();
    // Its cache of answers would be measured instead of its queries.
    let more = if target.kind == Kind::Victoria { "&nocache=1" } else { "" };
    let (mut times, mut series) = (Vec::new(), 0);
    for _ in 0..TIMES {
        let host = format!("host-{:05}:9100", random.below((load.series / SERIES_A_HOST) as u64));
        let text = escaped(&(query.text)(&host, random.below(4)));
        let end = load.end_ms / 1_000 - random.below(300) as i64;
        let path = match query.range {
            true => format!("/api/v1/query_range?start={}&end={end}&step={STEP}&query={text}{more}", end - HOUR),
            false => format!("/api/v1/query?time={end}&query={text}{more}"),
        };
        let began = Instant::now();
        let body = client.well("GET", &path)?;
        times.push(began.elapsed().as_secs_f64() * 1e3);
        series += String::from_utf8_lossy(&body).matches("\"metric\":").count();
    }
    Ok(Asked { millis: median(times), series })
}
