//! A month of samples, loaded in time order: what a query over all of it takes from blocks, and whether the 30th day costs more
//! than the first.

use std::io::{Error, Result};
use std::time::Instant;

use super::Context;
use crate::encode::Form;
use crate::figures::{Seen, median};
use crate::http::escaped;
use crate::send::{Load, STEP_MS, bulk, in_parts};
use crate::target::{Kind, Settings, Target};

const DAY_MS: i64 = 86_400_000;
const DAYS: usize = 30;
const METRIC: &str = "node_context_switches_total";
const TIMES: usize = 5;

/// History of any age is taken.
fn settings() -> Settings {
    Settings { files: Vec::new(), arguments: vec!["--retention", "100y"] }
}

fn load(days: usize, series: usize, only: Option<&'static str>) -> Load {
    let steps = days * (DAY_MS / STEP_MS) as usize;
    Load { steps, only, ..Load::ending_now(Form::Influx, series, steps, 4) }
}

/// `sum(rate(x[5m]))` over 1,000 series and 30 days.
pub fn month(context: &Context) -> Result<Vec<Seen>> {
    let days = context.scaled(DAYS);
    let load = load(days, 1_000, Some(METRIC));
    let target = context.start(Kind::Flyball, &settings())?;
    bulk(&target, &load)?;
    target.flushed_bytes()?;
    let ours = asked(&target, &load, days)?;
    drop(target);
    let target = context.start(Kind::Victoria, &Settings::default())?;
    bulk(&target, &load)?;
    target.flushed_bytes()?;
    let victoria = asked(&target, &load, days)?;
    Ok(vec![Seen::new("month", ours).against(victoria)])
}

fn asked(target: &Target, load: &Load, days: usize) -> Result<f64> {
    let end = load.end_ms / 1_000;
    let start = end - days as i64 * 86_400 + 3_600;
    let text = escaped(&format!("sum(rate({METRIC}[5m]))"));
    let more = if target.kind == Kind::Victoria { "&nocache=1" } else { "" };
    let path = format!("/api/v1/query_range?start={start}&end={end}&step=3600&query={text}{more}");
    let mut client = target.client();
    let mut times = Vec::new();
    for _ in 0..TIMES {
        let began = Instant::now();
        let body = client.well("GET", &path)?;
        times.push(began.elapsed().as_secs_f64());
        let answer: serde_json::Value = serde_json::from_slice(&body)?;
        let points = answer["data"]["result"][0]["values"].as_array().map_or(0, Vec::len);
        if points != days * 24 {
            return Err(Error::other(format!("{}: {points} points of {}", target.kind.name(), days * 24)));
        }
    }
    Ok(median(times))
}

/// Processor time per million samples of the first day and of the last.
pub fn days(context: &Context) -> Result<Vec<Seen>> {
    let (days, runs) = if context.quick { (3, 1) } else { (DAYS, 3) };
    let load = load(days, context.scaled(10_000), None);
    let mut seen = Vec::new();
    for _ in 0..runs {
        let target = context.start(Kind::Flyball, &settings())?;
        let each = in_parts(&target, &load, days)?;
        let (Some(first), Some(last)) = (each.first(), each.last()) else { continue };
        seen.push(Seen::new("days", *last).against(*first).beside("dearest day", each.iter().copied().fold(0.0, f64::max)));
    }
    Ok(seen)
}
