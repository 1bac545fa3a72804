//! How many samples a second eight senders get rid of, and how long an answer takes at half of that, beside the disk's own sync.

use std::io::Result;

use super::Context;
use crate::encode::Form;
use crate::figures::{Seen, median, quantile};
use crate::limits::sync_times;
use crate::send::{Load, bulk, paced};
use crate::target::{Kind, Settings};

const SENDERS: usize = 8;
const SERIES: usize = 10_000;
const STEPS: usize = 960;
/// Answers are measured so long.
const SECONDS: f64 = 10.0;
/// No more steps than five hours hold.
const STEPS_MAX: usize = 1_200;

pub fn run(context: &Context) -> Result<Vec<Seen>> {
    let load = Load::ending_now(Form::Influx, SERIES, context.scaled(STEPS), SENDERS);
    let ours = bulk(&context.start(Kind::Flyball, &Settings::default())?, &load)?.samples_a_second;
    let victoria = bulk(&context.start(Kind::Victoria, &Settings::default())?, &load)?.samples_a_second;

    let target = context.start(Kind::Flyball, &Settings::default())?;
    let steps = (ours / 2.0 * SECONDS / SERIES as f64) as usize;
    let load = Load::ending_now(Form::Influx, SERIES, steps.clamp(10, STEPS_MAX), SENDERS);
    // The disk alone, right before and right after, in the same folder.
    let mut syncs = sync_times(&target.data)?;
    let answers = paced(&target, &load, ours / 2.0)?;
    syncs.extend(sync_times(&target.data)?);
    let samples_a_body = (load.samples() / answers.len().max(1)) as f64;
    Ok(vec![
        Seen::new("rate-influx", ours / 1e6).against(victoria / 1e6),
        Seen::new("answer-p50", median(answers.clone())).against(median(syncs.clone())).beside("samples a body", samples_a_body),
        Seen::new("answer-p99", quantile(answers, 0.99)).against(quantile(syncs, 0.99)),
    ])
}
