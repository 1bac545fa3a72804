//! What the store costs: `load DIR SERIES SECONDS` sends SERIES values for each of SECONDS instants, closes, opens again from the
//! checkpoint and from the log alone. One line of JSON. The values are a host's: constants, counters, gauges, some with decimals.

use std::io::Write;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use model::{Labels, SampleBatch, Time};
use store::files::{OnDisk, Random};
use store::{Options, Store};

const BEGIN: i64 = 1_700_000_000;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let [dir, series, seconds] = &words[..] else { return Err("load DIR SERIES SECONDS".into()) };
    let (series, seconds): (usize, i64) = (series.parse()?, seconds.parse()?);
    let dir = Path::new(dir);
    let options = Options { keep_log_bytes: u64::MAX, checkpoint_bytes: u64::MAX, ..Options::new(dir) };
    let store = Store::open(options.clone(), Arc::new(OnDisk), Time::from_secs(BEGIN))?;
    let name = |number: usize| {
        let metric = format!("node_metric_{}", number % 100);
        Labels::new([("__name__", metric.as_str()), ("instance", &format!("host-{}", number / 100)), ("job", "node")])
    };
    let names = (0..series).map(name).collect::<Result<Vec<_>, _>>()?;
    let mut random = Random::new(1);
    let mut values = vec![0.0f64; series];
    let (mut batch, mut appending) = (SampleBatch::new(), Duration::ZERO);
    let started = Instant::now();
    let mut last = None;
    for second in 0..seconds {
        batch.clear();
        for (number, value) in values.iter_mut().enumerate() {
            *value = match number % 10 {
                0..4 => 4096.0,
                4..7 => *value + random.below(200) as f64,
                7 => ((*value + random.below(5) as f64 / 100.0) * 100.0).round() / 100.0,
                8 => 8e9 + (random.below(4_000) * 4096) as f64,
                _ => random.below(10_000) as f64 / 100.0,
            };
            batch.push(&names[number], Time::from_secs(BEGIN + second), *value);
        }
        let began = Instant::now();
        let appended = loop {
            match store.append(&batch, Time::from_secs(BEGIN + second)) {
                Ok(appended) => break appended,
                Err(error) if error.is_temporary() => std::thread::yield_now(),
                Err(error) => return Err(error.into()),
            }
        };
        appending += began.elapsed();
        last = Some(appended.commit);
    }
    if let Some(commit) = last {
        commit.wait()?;
    }
    let wall = started.elapsed();
    let resident = resident_kib();
    let stats = store.stats();
    // Without a close: the log alone.
    drop(store);
    let began = Instant::now();
    let store = Store::open(options.clone(), Arc::new(OnDisk), Time::from_secs(BEGIN + seconds))?;
    let from_log = began.elapsed();
    let began = Instant::now();
    store.close()?;
    let closing = began.elapsed();
    let kept = store.stats();
    drop(store);
    let began = Instant::now();
    let store = Store::open(options, Arc::new(OnDisk), Time::from_secs(BEGIN + seconds))?;
    let from_checkpoint = began.elapsed();
    let samples = series as f64 * seconds as f64;
    let line = format!(
        r#"{{"samples":{samples},"ns_per_sample_append":{:.1},"wall_s":{:.2},"log_bytes_per_sample":{:.2},"memory_bytes_per_sample":{:.2},"rss_mib":{:.1},"open_log_s":{:.3},"log_mib":{:.1},"close_s":{:.3},"open_checkpoint_s":{:.3},"last_sync_ms":{:.2},"damage":{}}}"#,
        appending.as_nanos() as f64 / samples,
        wall.as_secs_f64(),
        stats.log_bytes as f64 / samples,
        kept.sample_bytes as f64 / kept.samples as f64,
        resident as f64 / 1024.0,
        from_log.as_secs_f64(),
        stats.log_bytes as f64 / 1048576.0,
        closing.as_secs_f64(),
        from_checkpoint.as_secs_f64(),
        stats.last_sync.as_secs_f64() * 1e3,
        store.damage().any(),
    );
    writeln!(std::io::stdout(), "{line}")?;
    Ok(())
}

fn resident_kib() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    line.and_then(|line| line.split_whitespace().next()?.parse().ok()).unwrap_or(0)
}
