//! A pushed bad value until the whole webhook is there, with 1,000 rules and 50,000 live samples a second beside it; and the floor: a
//! target that only posts. Never counts a notice that did not come as a fast one.

use std::io::{Error, Result};
use std::time::{Duration, Instant};

use super::Context;
use crate::encode::Form;
use crate::figures::{Seen, median, quantile};
use crate::hook::{push_trials, receive, through_stub};
use crate::rules::thresholds;
use crate::send::Live;
use crate::target::{Kind, Settings};

const RULES: usize = 1_000;
const LIVE_SERIES: usize = 50_000;
const TRIALS: usize = 400;

pub fn run(context: &Context) -> Result<Vec<Seen>> {
    let (hook, notices) = receive()?;
    let target = context.start(Kind::Flyball, &settings(&hook))?;
    let live = Live::start(&target, LIVE_SERIES, Duration::from_secs(1));
    std::thread::sleep(Duration::from_secs(context.seconds(65)));
    let trials = context.scaled(TRIALS);
    let (began, sent) = (Instant::now(), live.sent());
    let times = push_trials(&mut target.client(), Form::Influx.path(), trials, &notices)?;
    let beside = (live.sent() - sent) as f64 / began.elapsed().as_secs_f64();
    let floor = through_stub(trials)?;
    live.stop()?;
    if times.len() < trials {
        return Err(Error::other(format!("of {trials} notices, {} came", times.len())));
    }
    Ok(vec![
        Seen::new("detect-p50", median(times.clone())).against(median(floor.clone())).beside("samples/s beside it", beside),
        Seen::new("detect-p99", quantile(times, 0.99)).against(quantile(floor, 0.99)),
    ])
}

fn settings(hook: &str) -> Settings {
    let main = format!(
        "outgoing: {{ allow: [\"{hook}\"] }}\nnotification:\n  receivers:\n    \
         hook: {{ webhook: {{ url: \"http://{hook}/\" }} }}\n  default: [hook]\n"
    );
    let bad = "groups:\n  - name: bench\n    rules:\n      - alert: BenchBad\n        expr: bench_bad > 0\n        \
               annotations: { summary: 'trial {{ $labels.trial }}' }\n";
    Settings {
        files: vec![
            ("main.yaml", main),
            ("rules/bench.yaml", bad.to_owned()),
            ("rules/fleet.yaml", thresholds(RULES - 1, LIVE_SERIES / crate::fleet::SERIES_A_HOST)),
        ],
        arguments: Vec::new(),
    }
}
