//! The data: counters, gauges and buckets over two hours, with gaps, resets, NaN, Inf and staleness markers.
//!
//! Times are milliseconds that are odd, and thus on no edge of a range. Values are multiples of 1/64, so that most sums are
//! exact however they are made.

use model::labels::METRIC_NAME;
use model::sample::STALE_NAN;
use model::{Labels, Time};
use query::testing::MemorySource;

use super::random::Random;

/// First instant, in milliseconds since 1970; a multiple of every step.
pub const BEGIN: i64 = 1_700_000_400_000;
/// How long the data are.
pub const LENGTH: i64 = 120 * 60_000;
/// Distance of the samples.
const INTERVAL: i64 = 15_000;

/// A series and its samples, times in milliseconds.
pub struct Made {
    pub labels: Vec<(String, String)>,
    pub samples: Vec<(i64, f64)>,
}

/// What happens to a series on its way.
#[derive(Clone, Copy)]
struct Fate {
    gaps: bool,
    /// NaN and Inf among the values.
    wild: bool,
}

pub fn make(random: &mut Random) -> Vec<Made> {
    let mut made = Vec::new();
    for place in 0..8u64 {
        let (job, instance) = ([["web", "api"], ["db", "api"]][place as usize % 2][place as usize / 4], place.to_string());
        let labels = |name: &str| labels(name, &[("job", job), ("instance", &instance)]);
        if place < 6 {
            made.push(series(random, labels("steady_total"), Fate { gaps: false, wild: false }, counter(4096.0)));
            made.push(series(random, labels("gappy_total"), Fate { gaps: true, wild: false }, counter(-1_048_576.0)));
            made.push(series(random, labels("wild"), Fate { gaps: true, wild: true }, steps(512)));
        }
        made.push(series(random, labels("temperature"), Fate { gaps: true, wild: false }, walk(place)));
        made.push(series(random, labels("state"), Fate { gaps: true, wild: false }, steps(4)));
    }
    for job in ["web", "api", "db"] {
        made.push(series(
            random,
            labels("limit", &[("job", job), ("team", "ops")]),
            Fate { gaps: job == "db", wild: false },
            steps(9),
        ));
    }
    for job in ["web", "api"] {
        buckets(random, job, &mut made);
    }
    made
}

fn labels(name: &str, pairs: &[(&str, &str)]) -> Vec<(String, String)> {
    let mut all = vec![(METRIC_NAME.to_string(), name.to_string())];
    all.extend(pairs.iter().map(|(name, value)| (name.to_string(), value.to_string())));
    all.sort();
    all
}

/// Grows, and now and then starts anew.
fn counter(start: f64) -> impl FnMut(&mut Random) -> f64 {
    let mut value = start;
    move |random| {
        value += random.below(256) as f64 / 64.0;
        if random.one_in(60) {
            value = start;
        }
        value
    }
}

/// Goes up and down; no two series ever have the same value.
fn walk(place: u64) -> impl FnMut(&mut Random) -> f64 {
    let mut value = 20.0;
    move |random| {
        value += random.below(129) as f64 / 16.0 - 4.0;
        value + place as f64 / 256.0
    }
}

/// One of a few whole numbers, the same for a while.
fn steps(values: u64) -> impl FnMut(&mut Random) -> f64 {
    let mut value = 1.0;
    move |random| {
        if random.one_in(4) {
            value = random.below(values) as f64;
        }
        value
    }
}

fn series(random: &mut Random, labels: Vec<(String, String)>, fate: Fate, mut value: impl FnMut(&mut Random) -> f64) -> Made {
    let phase = random.below(INTERVAL as u64) as i64;
    let mut samples = Vec::new();
    let mut absent = 0;
    for place in 0..LENGTH / INTERVAL {
        let at = (BEGIN + place * INTERVAL + (phase + random.below(400) as i64).min(INTERVAL - 1)) | 1;
        let value = value(random);
        if fate.gaps && random.one_in(40) {
            // A gap begins, half of them with a marker.
            absent = 1 + random.below(60);
            if random.one_in(2) {
                samples.push((at, STALE_NAN));
                continue;
            }
        }
        if absent > 0 {
            absent -= 1;
            continue;
        }
        let strange = fate.wild && random.one_in(12);
        samples.push((at, if strange { *random.pick(&[&f64::NAN, &f64::INFINITY, &f64::NEG_INFINITY]) } else { value }));
    }
    Made { labels, samples }
}

/// A classic histogram: all of its buckets are scraped, and start anew, at once.
fn buckets(random: &mut Random, job: &str, made: &mut Vec<Made>) {
    const BOUNDS: [&str; 5] = ["0.1", "0.5", "1", "5", "+Inf"];
    let mut counts = [0.0; 5];
    let mut samples: [Vec<(i64, f64)>; 5] = Default::default();
    let phase = random.below(INTERVAL as u64 - 500) as i64;
    for place in 0..LENGTH / INTERVAL {
        let at = (BEGIN + place * INTERVAL + phase + random.below(400) as i64) | 1;
        if random.one_in(80) {
            counts = [0.0; 5];
        }
        for bound in 0..5 {
            let grown = random.below(20) as f64;
            counts[bound..].iter_mut().for_each(|count| *count += grown);
        }
        samples.iter_mut().zip(counts).for_each(|(samples, count)| samples.push((at, count)));
    }
    for (bound, samples) in BOUNDS.iter().zip(samples) {
        made.push(Made { labels: labels("latency_bucket", &[("job", job), ("le", bound)]), samples });
    }
}

/// The same for us.
pub fn source(made: &[Made]) -> MemorySource {
    let mut source = MemorySource::new();
    for Made { labels, samples } in made {
        let labels = Labels::new(labels.iter().map(|(name, value)| (name, value))).unwrap();
        samples.iter().for_each(|(millis, value)| source.push(&labels, Time(millis * 1_000), *value));
    }
    source
}
