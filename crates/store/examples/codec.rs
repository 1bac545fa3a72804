//! What the codec costs: `codec [LENGTH]` encodes and decodes runs of LENGTH samples (240) of a made host, of which each kind stands for
//! some of a node exporter's series; bytes and nanoseconds a sample, kind by kind.

use std::hint::black_box;
use std::io::Write;
use std::time::Instant;

use store::codec::{decode_times, decode_values, encode_times, encode_values};
use store::files::Random;

const SERIES: usize = 200;
const ROUNDS: usize = 20;

/// A kind of series: its name, how it starts, and its next value.
type Kind = (&'static str, fn(f64, f64, u64) -> f64);

/// `unit` is even between 0 and 1; `rate` is the series' own.
const KINDS: [Kind; 8] = [
    ("constant", |_, rate, _| (rate * 1e9).round()),
    ("counter", |before, rate, unit| before + (rate * 45_000.0 * (0.7 + 0.6 * as_unit(unit))).round()),
    ("slow counter", |before, rate, unit| before + (rate * 20.0 * (0.7 + 0.6 * as_unit(unit))).round()),
    ("cpu seconds", |before, rate, unit| ((before + rate * 3.3 * (0.7 + 0.6 * as_unit(unit))) * 100.0).round() / 100.0),
    ("pages", |before, rate, unit| ((before * 0.95 + rate * 2e8 + 1e7 * 2.0 * (as_unit(unit) - 0.5)) / 4096.0).round() * 4096.0),
    ("load", |before, rate, unit| ((before * 0.95 + rate * 0.1 + 0.4 * (as_unit(unit) - 0.5)) * 100.0).round() / 100.0),
    ("single", |_, rate, unit| f64::from((rate * as_unit(unit)) as f32)),
    ("double", |_, rate, unit| rate * as_unit(unit)),
];

fn as_unit(bits: u64) -> f64 {
    (bits >> 11) as f64 / (1u64 << 53) as f64
}

fn main() -> std::io::Result<()> {
    let length = std::env::args().nth(1).and_then(|word| word.parse().ok()).unwrap_or(240);
    let mut out = std::io::stdout();
    writeln!(out, "{:14} {:>10} {:>10} {:>10}", "", "bytes", "encode ns", "decode ns")?;
    for (name, next) in KINDS {
        let mut random = Random::new(3);
        let runs: Vec<Vec<f64>> = (0..SERIES)
            .map(|_| {
                let rate = 0.3 + 1.4 * as_unit(random.bits());
                let mut value = next(0.0, rate, random.bits());
                (0..length)
                    .map(|_| {
                        value = next(value, rate, random.bits());
                        value
                    })
                    .collect()
            })
            .collect();
        report(&mut out, name, &runs, encode_values, |bytes, _, out| decode_values(bytes, length, out))?;
    }
    let grids: Vec<Vec<i64>> =
        (0..SERIES as i64).map(|first| (0..length as i64).map(|step| first + step * 15_000_000).collect()).collect();
    report(&mut out, "even times", &grids, encode_times, |bytes, run, out| decode_times(bytes, run[0], length, out))?;
    let mut random = Random::new(4);
    let uneven: Vec<Vec<i64>> =
        grids.iter().map(|grid| grid.iter().map(|time| time + (random.below(5_000) * 1_000) as i64).collect()).collect();
    report(&mut out, "uneven times", &uneven, encode_times, |bytes, run, out| decode_times(bytes, run[0], length, out))
}

fn report<T>(
    to: &mut impl Write,
    name: &str,
    runs: &[Vec<T>],
    encode: impl Fn(&[T], &mut Vec<u8>),
    decode: impl Fn(&[u8], &[T], &mut Vec<T>) -> Option<()>,
) -> std::io::Result<()> {
    let samples = (runs.iter().map(Vec::len).sum::<usize>() * ROUNDS) as f64;
    let mut encoded: Vec<Vec<u8>> = Vec::new();
    let mut bytes = Vec::new();
    let began = Instant::now();
    for round in 0..ROUNDS {
        for run in runs {
            bytes.clear();
            encode(run, &mut bytes);
            if round == 0 {
                encoded.push(bytes.clone());
            }
        }
    }
    let encoding = began.elapsed().as_nanos() as f64 / samples;
    let mut back = Vec::new();
    let began = Instant::now();
    for _ in 0..ROUNDS {
        for (run, bytes) in runs.iter().zip(&encoded) {
            back.clear();
            if decode(black_box(bytes), run, &mut back).is_none() {
                return writeln!(to, "{name}: does not decode");
            }
        }
    }
    let decoding = began.elapsed().as_nanos() as f64 / samples;
    let cost = encoded.iter().map(Vec::len).sum::<usize>() as f64 * ROUNDS as f64 / samples;
    writeln!(to, "{name:14} {cost:10.3} {encoding:10.2} {decoding:10.2}")
}
