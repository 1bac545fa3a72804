//! Random queries, asked of us and of a real Prometheus 2.42 over the same made data: no difference.
//!
//! Where the two versions mean different things, the questions stay away from it, and only there: ranges are left open
//! since 3.0 (so no sample and no step of a subquery lies on an edge), `rate` looks at zero after the threshold and not
//! before (so counters with gaps are negative), deviations of NaN and Inf are NaN (so those are not asked for).
//!
//! Answers must be the same to the last bit, but where sums are made with another error (Kahan's since 3.0) or a function
//! comes from another mathematical library: there up to a billionth. `loose` queries in [`generate`] are those.

mod compare;
mod data;
mod generate;
mod peer;
mod random;

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use model::Time;
use query::{Params, evaluate, parse};

use generate::{Question, question};
use peer::Prometheus;
use random::Random;

/// Questions for each seed.
const QUESTIONS: usize = 500;

fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok()?.parse().ok()
}

#[test]
fn promql_differential_against_prometheus() {
    let seeds: Vec<u64> = match number("FLYBALL_SEED") {
        Some(seed) => vec![seed],
        None => {
            let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_nanos() as u64 % 1_000_000_000;
            (now..now + number("FLYBALL_SEEDS").unwrap_or(1)).collect()
        }
    };
    let (mut asked, mut failed, mut empty) = (0, 0, 0);
    let mut differences = Vec::new();
    for seed in seeds {
        let mut random = Random::new(seed);
        let data = data::make(&mut random);
        let source = data::source(&data);
        let prometheus = Prometheus::start();
        prometheus.write(&data);
        for _ in 0..QUESTIONS {
            let question = question(&mut random);
            let theirs = prometheus.ask(&question);
            let ours = ours(&question, &source);
            asked += 1;
            failed += u32::from(theirs.is_err());
            empty += u32::from(theirs.as_ref().is_ok_and(|answer| answer.is_empty()));
            if let Some(difference) = compare::difference(&question, ours, theirs) {
                differences.push(format!("seed {seed}: {question}\n  {difference}"));
            }
        }
    }
    eprint_counts(asked, failed, empty, differences.len());
    assert!(differences.is_empty(), "{} of {asked} differ:\n{}", differences.len(), differences.join("\n"));
    // A generator that only makes nonsense would prove nothing.
    assert!(failed * 5 < asked && empty * 2 < asked, "{failed} failed and {empty} empty of {asked}");
}

fn ours(question: &Question, source: &query::testing::MemorySource) -> Result<compare::Answer, String> {
    let millis = |millis: i64| Time(millis * 1_000);
    let params = Params::range(millis(question.start), millis(question.end), Duration::from_millis(question.step as u64));
    let expr = parse(&question.query).map_err(|error| error.to_string())?;
    evaluate(&expr, &params, source).map(|answer| compare::Answer::of(answer.value)).map_err(|error| error.to_string())
}

fn eprint_counts(asked: u32, failed: u32, empty: u32, different: usize) {
    use std::io::Write;
    let line = format!("{asked} queries, {different} differences ({failed} refused by both, {empty} without series)");
    let _ = writeln!(std::io::stderr(), "{line}");
}
