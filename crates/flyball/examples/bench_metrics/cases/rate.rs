//! How many samples a second eight senders get rid of, and how long an answer takes at half of that, beside the disk's own sync.

use std::io::Result;
use std::time::Duration;

use super::Context;
use crate::encode::Form;
use crate::figures::{Seen, median, quantile};
use crate::limits::sync_times;
use crate::send::{Load, bulk, paced};
use crate::target::{Kind, Settings};

const SENDERS: usize = 8;
const SERIES: usize = 10_000;
const STEPS: usize = 960;
/// Answers are measured so long, after the first second: until then series are new and files are small.
const SECONDS: f64 = 6.0;
const WARMING: f64 = 1.0;
/// The disk alone is measured as long before, and as long after: its host stalls it for 20 to 150 ms every now and then, and a shorter
/// time may or may not meet one more than its 99th percentile bears.
const SYNCS_FOR: Duration = Duration::from_secs(6);
/// Between two samples of a series: all of it lies within the last hours.
const STEP_MS: i64 = 1_000;

pub fn run(context: &Context) -> Result<Vec<Seen>> {
    let load = Load::ending_now(Form::Influx, SERIES, context.scaled(STEPS), SENDERS);
    let ours = bulk(&context.start(Kind::Flyball, &Settings::default())?, &load)?.samples_a_second;
    let victoria = bulk(&context.start(Kind::Victoria, &Settings::default())?, &load)?.samples_a_second;

    let target = context.start(Kind::Flyball, &Settings::default())?;
    let steps = (ours / 2.0 * (WARMING + SECONDS) / SERIES as f64) as usize;
    let load = Load { step_ms: STEP_MS, ..Load::ending_now(Form::Influx, SERIES, steps.max(10), SENDERS) };
    // The disk alone, right before and right after, in the same folder.
    let mut syncs = sync_times(&target.data, SYNCS_FOR)?;
    let answers = paced(&target, &load, ours / 2.0, WARMING)?;
    syncs.extend(sync_times(&target.data, SYNCS_FOR)?);
    let samples_a_body = (SERIES / SENDERS) as f64;
    Ok(vec![
        Seen::new("rate-influx", ours / 1e6).against(victoria / 1e6),
        Seen::new("answer-p50", median(answers.clone())).against(median(syncs.clone())).beside("samples a body", samples_a_body),
        Seen::new("answer-p99", quantile(answers, 0.99)).against(quantile(syncs, 0.99)),
    ])
}
