//! What the decoders cost: `decode [--out FILE]` reads bodies of a made fleet again and again on one core, and prints the
//! nanoseconds a sample of each, beside a naive parse of the same lines that keeps nothing.

use std::hint::black_box;
use std::io::Write;
use std::time::Instant;

use model::intake::{KEY_SECRET_LEN, KeySecret, Rows};
use model::{Labels, Sample, SampleBatch, Time};
use wire::compression::{Encoding, snappy_limited};
use wire::exposition::{self, ContentType};
use wire::influx::{self, Lines, Precision};
use wire::remote_write::{self, PLAIN_LEN_MAX, Request};

const HOSTS: usize = 100;
const ROUNDS: usize = 41;
/// A metric's measurement, its own labels, and its fields with a value to begin with and decimals.
type Group = (&'static str, &'static [(&'static str, &'static str)], &'static [(&'static str, f64, usize)]);

/// Half of the lines carry one field and the others up to ten, as senders write them: about 100 series a host.
const GROUPS: [Group; 7] = [
    (
        "node_disk",
        &[("device", "nvme0n1")],
        &[
            ("reads_completed_total", 36e6, 0),
            ("read_bytes_total", 5.9e11, 0),
            ("written_bytes_total", 1.07e12, 0),
            ("io_time_seconds_total", 16_012.25, 2),
        ],
    ),
    (
        "node_network",
        &[("device", "eth0")],
        &[
            ("receive_bytes_total", 1.2e12, 0),
            ("transmit_bytes_total", 8.4e11, 0),
            ("receive_packets_total", 1.3e9, 0),
            ("transmit_packets_total", 7.6e8, 0),
        ],
    ),
    (
        "node_memory",
        &[],
        &[
            ("MemTotal_bytes", 34_359_738_368.0, 0),
            ("MemFree_bytes", 4_294_967_296.0, 0),
            ("MemAvailable_bytes", 19_327_352_832.0, 0),
            ("Cached_bytes", 12_884_901_888.0, 0),
            ("SwapFree_bytes", 4_294_967_296.0, 0),
            ("Dirty_bytes", 2_147_483.0, 0),
        ],
    ),
    ("node", &[], &[("load1", 1.83, 2), ("load5", 1.61, 2), ("load15", 1.5, 2), ("intr_total", 3.6e9, 0)]),
    ("node_hwmon_temp", &[("sensor", "temp1")], &[("celsius", 47.3, 1)]),
    ("node_target", &[], &[("up", 1.0, 0)]),
    (
        "node_filesystem",
        &[("device", "nvme0n1p2"), ("mountpoint", "/")],
        &[("size_bytes", 107_374_182_400.0, 0), ("avail_bytes", 42_949_672_960.0, 0), ("files_free", 6e6, 0)],
    ),
];

/// The same samples in each form.
struct Bodies {
    samples: usize,
    lines: Vec<u8>,
    plain: Vec<u8>,
    packed: Vec<Vec<u8>>,
    text: Vec<u8>,
    millis: i64,
}

fn bodies() -> Bodies {
    let millis = 1_795_000_000_000;
    let mut lines = String::new();
    let mut series = Vec::new();
    for host in 0..HOSTS {
        let (dc, instance) = (format!("dc-{}", host % 5), format!("host-{host:05}:9100"));
        let base = [("dc", dc.as_str()), ("env", "prod"), ("instance", instance.as_str()), ("job", "node")];
        let mut add = |measurement: &str, own: &[(&str, &str)], fields: &[(&str, f64, usize)]| {
            let mut tags: Vec<(&str, &str)> = base.iter().chain(own).copied().collect();
            tags.sort_unstable();
            lines.push_str(measurement);
            for (name, value) in &tags {
                lines.push_str(&format!(",{name}={value}"));
            }
            for (place, (field, value, decimals)) in fields.iter().enumerate() {
                let value = format!("{:.decimals$}", value * (1.0 + host as f64 / 1_000.0));
                lines.push_str(&format!("{}{field}={value}", if place == 0 { ' ' } else { ',' }));
                let name = format!("{measurement}_{field}");
                let pairs = tags.iter().copied().chain([("__name__", name.as_str())]);
                let sample = Sample { time: Time::from_millis(millis), value: value.parse().expect("a number") };
                series.push((Labels::new(pairs).expect("labels"), [sample]));
            }
            lines.push_str(&format!(" {millis}\n"));
        };
        for cpu in ["0", "1", "2", "3"] {
            for mode in ["user", "system", "idle", "iowait", "irq", "softirq", "nice", "steal"] {
                add("node_cpu", &[("cpu", cpu), ("mode", mode)], &[("seconds_total", 88_123.45, 2)]);
            }
        }
        for (measurement, own, fields) in GROUPS {
            add(measurement, own, fields);
        }
    }
    let mut text = String::new();
    for (labels, [sample]) in &series {
        let pairs: Vec<String> =
            labels.iter().filter(|(name, _)| *name != "__name__").map(|(n, v)| format!("{n}={v:?}")).collect();
        text.push_str(&format!("{}{{{}}} {} {millis}\n", labels.metric(), pairs.join(","), sample.value));
    }
    let all = |series: &[(Labels, [Sample; 1])]| {
        remote_write::encode_plain(series.iter().map(|(labels, samples)| (labels, &samples[..])), &[])
    };
    let packed = series.chunks(2_000).map(|chunk| remote_write::encode(chunk.iter().map(|(l, s)| (l, &s[..])), &[]));
    let packed = packed.collect();
    Bodies { samples: series.len(), plain: all(&series), packed, lines: lines.into_bytes(), text: text.into_bytes(), millis }
}

/// The least that reading these lines can be: a scan byte by byte, a hash, and numbers of digits only.
fn naive(lines: &[u8]) -> usize {
    let (mut kept, mut samples) = (0u64, 0);
    for line in lines.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()) {
        let blank = line.iter().position(|byte| *byte == b' ').unwrap_or(line.len());
        let mut hash = 0xcbf2_9ce4_8422_2325u64;
        for piece in line[..blank].chunks(8) {
            let mut eight = [0; 8];
            eight[..piece.len()].copy_from_slice(piece);
            hash = (hash ^ u64::from_le_bytes(eight)).wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(29);
        }
        kept ^= hash;
        let end = line.iter().rposition(|byte| *byte == b' ').unwrap_or(line.len());
        for field in line[blank + 1..end].split(|byte| *byte == b',') {
            let equals = field.iter().position(|byte| *byte == b'=').unwrap_or(0);
            let (mut number, mut decimals, mut point) = (0u64, 0, false);
            for byte in &field[equals + 1..] {
                match byte {
                    b'.' => point = true,
                    byte => {
                        number = number * 10 + u64::from(byte - b'0');
                        decimals += i32::from(point);
                    }
                }
            }
            kept ^= (number as f64 / 10f64.powi(decimals)).to_bits();
            samples += 1;
        }
    }
    black_box(kept);
    samples
}

/// Nanoseconds a sample: the best and the middle of all rounds.
fn measure(samples: usize, mut round: impl FnMut() -> usize) -> (f64, f64) {
    let mut took: Vec<f64> = (0..ROUNDS)
        .map(|_| {
            let began = Instant::now();
            assert_eq!(black_box(round()), samples);
            began.elapsed().as_secs_f64() * 1e9 / samples as f64
        })
        .collect();
    took.sort_by(f64::total_cmp);
    (took[0], took[ROUNDS / 2])
}

fn read_lines(body: &[u8], secret: &KeySecret, rows: &mut Vec<model::intake::RawRow>) -> usize {
    let options = influx::Options::new(Precision::Milliseconds, Time(0));
    let mut lines = Lines::new(body, secret, options, std::mem::take(rows));
    while lines.advance() {
        black_box(lines.rows());
    }
    let (memory, report) = lines.finish();
    *rows = memory;
    report.accepted
}

fn read_request(body: &[u8], secret: &KeySecret, rows: &mut Vec<model::intake::RawRow>) -> usize {
    let mut request = Request::new(body, secret, remote_write::Options::default(), std::mem::take(rows));
    while request.advance() {
        black_box(request.rows());
    }
    let (memory, _, report) = request.finish();
    *rows = memory;
    report.accepted
}

fn main() -> std::io::Result<()> {
    let bodies = bodies();
    assert!(bodies.millis > 0);
    let secret = KeySecret::new(std::array::from_fn::<u8, KEY_SECRET_LEN, _>(|place| (place * 89 + 7) as u8));
    let (mut rows, mut plain) = (Vec::new(), Vec::new());
    let count = bodies.samples;
    let zipped = {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        encoder.write_all(&bodies.lines)?;
        encoder.finish()?
    };
    let (mut decoder, options) = (exposition::Decoder::default(), exposition::Options::default());
    let (mut batch, mut metadata) = (SampleBatch::new(), Vec::new());
    let figures = [
        ("naive scalar parse of lines", measure(count, || naive(&bodies.lines))),
        ("line protocol", measure(count, || read_lines(&bodies.lines, &secret, &mut rows))),
        ("line protocol, gzip", {
            measure(count, || {
                let lines = Encoding::Gzip.open_into(&zipped, PLAIN_LEN_MAX, &mut plain).expect("gzip");
                read_lines(lines, &secret, &mut rows)
            })
        }),
        ("remote write, unpacked", measure(count, || read_request(&bodies.plain, &secret, &mut rows))),
        ("snappy alone", {
            measure(count, || {
                for body in &bodies.packed {
                    black_box(snappy_limited(body, PLAIN_LEN_MAX, &mut plain).expect("snappy"));
                }
                count
            })
        }),
        ("remote write", {
            measure(count, || {
                let read = |body: &Vec<u8>| {
                    let request = snappy_limited(body, PLAIN_LEN_MAX, &mut plain).expect("snappy");
                    read_request(request, &secret, &mut rows)
                };
                bodies.packed.iter().map(read).sum()
            })
        }),
        ("exposition", {
            measure(count, || {
                batch.clear();
                let kind = ContentType::Text004;
                decoder.decode(&bodies.text, kind, Time(0), &options, &mut batch, &mut metadata).accepted
            })
        }),
    ];
    let mut out = std::io::stdout();
    writeln!(out, "{count} samples a round, {:.1} bytes of line protocol each\n", bodies.lines.len() as f64 / count as f64)?;
    writeln!(out, "{:30} {:>10} {:>10} {:>14}", "ns a sample, one core", "best", "median", "naive / it")?;
    let naive = figures[0].1.1;
    for (name, (best, median)) in figures {
        writeln!(out, "{name:30} {best:>10.1} {median:>10.1} {:>14.2}", naive / median)?;
    }
    let mut args = std::env::args().skip(1);
    while let Some(word) = args.next() {
        if let ("--out", Some(path)) = (word.as_str(), args.next()) {
            let figures: Vec<_> = figures.map(|(name, (best, median))| {
                serde_json::json!({ "decoder": name, "ns_a_sample_best": best, "ns_a_sample_median": median })
            }).into();
            if let Some(folder) = std::path::Path::new(&path).parent() {
                std::fs::create_dir_all(folder)?;
            }
            std::fs::write(path, format!("{:#}\n", serde_json::json!({ "samples": count, "figures": figures })))?;
        }
    }
    Ok(())
}
