//! What the history costs: `history DIR HOSTS SAMPLES DAYS` writes 100 series for each host, SAMPLES values each at 15 s, a flush every
//! two hours, for DAYS days; merges as the store does, reads, and says bytes, nanoseconds and CPU a sample, day by day.
//! With 100 480 1 it is the case of ten thousand series over two hours.

use std::io::Write;
use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use model::{Labels, Time};
use query::source::{MatchOp, Matcher};
use store::files::{OnDisk, Random};
use store::history::{DAY, History, none_known};
use store::part::Missed;

const BEGIN: i64 = 20_000 * DAY;
const STEP: i64 = 15_000_000;
/// A flush every two hours.
const FLUSH: usize = 480;

/// How a series moves.
#[derive(Clone, Copy)]
enum Kind {
    /// Units a second, and how many decimals.
    Counter(f64, i32),
    /// Its middle, its swing, how many decimals, and what divides it.
    Gauge(f64, f64, i32, f64),
    Constant(f64),
}

/// Kinds as a node exporter has them, and how often: a hundred in all.
const KINDS: [(&str, usize, Kind); 16] = [
    ("cpu_busy_seconds_total", 12, Kind::Counter(0.2, 2)),
    ("cpu_idle_seconds_total", 4, Kind::Counter(0.66, 2)),
    ("cpu_rare_seconds_total", 8, Kind::Counter(0.005, 2)),
    ("cpu_never_seconds_total", 8, Kind::Constant(0.0)),
    ("network_bytes_total", 6, Kind::Counter(1e6, 0)),
    ("network_packets_total", 6, Kind::Counter(1e3, 0)),
    ("disk_operations_total", 4, Kind::Counter(60.0, 0)),
    ("disk_bytes_total", 4, Kind::Counter(1e6, 0)),
    ("disk_seconds_total", 2, Kind::Counter(0.04, 2)),
    ("memory_bytes", 10, Kind::Gauge(8e9, 2e7, 0, 4096.0)),
    ("load", 3, Kind::Gauge(1.6, 0.1, 2, 1.0)),
    ("filesystem_size_bytes", 9, Kind::Constant(1e11)),
    ("filesystem_available_bytes", 4, Kind::Gauge(4e10, 1e6, 0, 4096.0)),
    ("interrupts_total", 6, Kind::Counter(9e3, 0)),
    ("sockets", 11, Kind::Gauge(500.0, 9.0, 0, 1.0)),
    ("temperature_celsius", 3, Kind::Gauge(47.0, 0.4, 1, 1.0)),
];

struct Series {
    labels: Labels,
    kind: Kind,
    value: f64,
    rate: f64,
}

fn unit(random: &mut Random) -> f64 {
    (random.bits() >> 11) as f64 / (1u64 << 53) as f64
}

impl Series {
    fn next(&mut self, random: &mut Random) -> f64 {
        match self.kind {
            Kind::Counter(_, decimals) => {
                let power = 10f64.powi(decimals);
                self.value = ((self.value + self.rate * 15.0 * (0.7 + 0.6 * unit(random))) * power).round() / power;
            }
            Kind::Gauge(_, swing, decimals, divisor) => {
                let power = 10f64.powi(decimals) / divisor;
                let back = (self.rate - self.value) * 0.05;
                self.value = ((self.value + back + swing * 2.0 * (unit(random) - 0.5)).max(0.0) * power).round() / power;
            }
            Kind::Constant(_) => {}
        }
        self.value
    }
}

fn fleet(hosts: usize, random: &mut Random) -> Result<Vec<Series>, model::labels::LabelsError> {
    let mut all = Vec::new();
    for host in 0..hosts {
        for (name, count, kind) in KINDS {
            for device in 0..count {
                let pairs = [
                    ("__name__", format!("node_{name}")),
                    ("dc", format!("dc-{}", host % 5)),
                    ("device", format!("device-{device}")),
                    ("env", "prod".to_owned()),
                    ("instance", format!("host-{host:05}:9100")),
                    ("job", "node".to_owned()),
                ];
                let (value, rate) = match kind {
                    Kind::Counter(rate, _) => ((rate * 4e5 * (0.5 + unit(random))).round(), rate * (0.3 + 1.4 * unit(random))),
                    Kind::Gauge(middle, ..) => (middle, middle * (0.6 + 0.8 * unit(random))),
                    Kind::Constant(value) => (value, 0.0),
                };
                all.push(Series { labels: Labels::new(pairs)?, kind, value, rate });
            }
        }
    }
    Ok(all)
}

/// CPU seconds of this process so far.
fn cpu() -> f64 {
    let text = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let after = text.rsplit(')').next().unwrap_or_default();
    let ticks: f64 = after.split_whitespace().skip(11).take(2).filter_map(|word| word.parse::<f64>().ok()).sum();
    ticks / 100.0
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let [dir, hosts, samples, days] = &words[..] else { return Err("history DIR HOSTS SAMPLES DAYS".into()) };
    let (hosts, samples, days): (usize, usize, i64) = (hosts.parse()?, samples.parse()?, days.parse()?);
    let mut out = std::io::stdout();
    let mut random = Random::new(1);
    let mut series = fleet(hosts, &mut random)?;
    let mut order: Vec<usize> = (0..series.len()).collect();
    order.sort_by_key(|place| (series[*place].labels.metric().to_owned(), *place));
    let history = History::open(Arc::new(OnDisk), Path::new(dir), 64 << 20)?;
    for day in 0..days {
        let (mut writing, mut merging, mut written) = (0.0, 0.0, 0u64);
        for first in (0..samples).step_by(FLUSH) {
            let count = FLUSH.min(samples - first);
            let begin = BEGIN + day * DAY + first as i64 * STEP;
            let times: Vec<i64> = (0..count as i64).map(|step| begin + step * STEP).collect();
            let values: Vec<Vec<f64>> =
                series.iter_mut().map(|series| (0..count).map(|_| series.next(&mut random)).collect()).collect();
            let before = cpu();
            let parts = history.write(&mut |give| {
                order.iter().try_for_each(|place| give(*place as u64 + 1, &series[*place].labels, &times, &values[*place]))
            })?;
            history.publish(parts, 0)?;
            let between = cpu();
            while history.compact(Time(begin))? {}
            writing += between - before;
            merging += cpu() - between;
            written += (count * series.len()) as u64;
        }
        let stats = history.stats();
        writeln!(
            out,
            "day {day}: {:.3} bytes a sample, {} parts, write {:.1} ns CPU a sample, merge {:.1}",
            stats.bytes as f64 / stats.samples as f64,
            stats.parts,
            writing * 1e9 / written as f64,
            merging * 1e9 / written as f64
        )?;
    }
    while history.compact(Time(BEGIN + (days + 1) * DAY))? {}
    let stats = history.stats();
    writeln!(out, "at the end: {:.3} bytes a sample, {} parts", stats.bytes as f64 / stats.samples as f64, stats.parts)?;
    read(&history, &mut out)
}

fn read(history: &History, out: &mut impl Write) -> Result<(), Box<dyn std::error::Error>> {
    let (view, missed) = (history.view(), Missed::default());
    let memory: usize = view.parts().iter().map(|part| part.bytes()).sum();
    writeln!(out, "{memory} bytes of index always in memory")?;
    for name in ["node_load", "node_sockets", "node_network_bytes_total"] {
        let matchers = [Matcher::new("__name__", MatchOp::Equal, name)?];
        for round in ["first", "again"] {
            let began = Instant::now();
            let found = view.select(&matchers, (i64::MIN, i64::MAX), none_known, &missed);
            let selecting = began.elapsed();
            let began = Instant::now();
            let (mut times, mut values, mut samples) = (Vec::new(), Vec::new(), 0);
            for found in &found {
                times.clear();
                values.clear();
                view.read(&found.places, (i64::MIN, i64::MAX), &mut times, &mut values, &missed);
                samples += times.len();
            }
            writeln!(
                out,
                "{name}, {round}: {} series in {:.2} ms, {samples} samples in {:.2} ms, {:.2} ns a sample",
                found.len(),
                selecting.as_secs_f64() * 1e3,
                began.elapsed().as_secs_f64() * 1e3,
                began.elapsed().as_nanos() as f64 / samples as f64
            )?;
        }
    }
    Ok(())
}
