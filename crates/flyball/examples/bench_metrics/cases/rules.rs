//! What 10,000 rules cost: one server with them and one without, fed the same at the same time, so that others' work shows in both.

use std::io::Result;
use std::time::{Duration, Instant};

use super::{Context, with_rules};
use crate::figures::Seen;
use crate::fleet::SERIES_A_HOST;
use crate::send::Live;
use crate::target::{Kind, Settings};

const RULES: usize = 10_000;
const SECONDS: u64 = 60;

pub fn run(context: &Context) -> Result<Vec<Seen>> {
    let (with, without) = cores(context, 10_000, Duration::from_secs(15), 20)?;
    let slow = Seen::new("rules-slow", with - without).against(without).beside("with them", with);
    // Windows of a minute are full when it begins.
    let (with, without) = cores(context, 100_000, Duration::from_secs(1), 65)?;
    Ok(vec![slow, Seen::new("rules-live", with).against(without)])
}

/// Cores in use with the rules and without.
fn cores(context: &Context, series: usize, interval: Duration, warm: u64) -> Result<(f64, f64)> {
    let with = context.start(Kind::Flyball, &with_rules(RULES, series / SERIES_A_HOST))?;
    let without = context.start(Kind::Flyball, &Settings::default())?;
    let feeds = [Live::start(&with, series, interval), Live::start(&without, series, interval)];
    std::thread::sleep(Duration::from_secs(context.seconds(warm)));
    // A flush costs more than the rules do: from here on both have theirs at the same time.
    for server in [&with, &without] {
        server.client().well("POST", "/api/flyball/v1/store/flush")?;
    }
    let before = (with.processor_seconds()?, without.processor_seconds()?, Instant::now());
    std::thread::sleep(Duration::from_secs(context.seconds(SECONDS)));
    let seconds = before.2.elapsed().as_secs_f64();
    let used = ((with.processor_seconds()? - before.0) / seconds, (without.processor_seconds()? - before.1) / seconds);
    for feed in feeds {
        feed.stop()?;
    }
    Ok(used)
}
