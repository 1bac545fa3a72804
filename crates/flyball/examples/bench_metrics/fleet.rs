//! The made fleet: 100 series a host, shaped like those of a machine's exporter, the same for every target that is measured.
//!
//! 60 counters with 0 or 2 decimals, 29 gauges (memory in pages, loads with 2 decimals), 11 constants or clocks. Labels dc, env,
//! instance, job and the metric's own. Made from a fixed seed. Values are integers with a number of decimals, so that text is made fast.

/// Series of one host.
pub const SERIES_A_HOST: usize = 100;

const GIB: f64 = 1_073_741_824.0;
const PAGE: i64 = 4_096;

/// Numbers that look random and are the same in every run (splitmix64).
pub struct Random(u64);

impl Random {
    pub fn new(seed: u64) -> Random {
        Random(seed)
    }

    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    pub fn below(&mut self, end: u64) -> u64 {
        (self.next() >> 11) % end
    }

    /// From 0 to 1.
    fn share(&mut self) -> f64 {
        (self.next() >> 11) as f64 / (1_u64 << 53) as f64
    }
}

/// How a series goes on.
#[derive(Clone, Copy)]
enum Kind {
    /// Grows by so much a second.
    Counter {
        per_second: f64,
        decimals: u32,
    },
    /// Moves around a middle, by so much a step, in multiples of a quantum.
    Gauge {
        middle: f64,
        swing: f64,
        decimals: u32,
        quantum: i64,
    },
    Constant(f64),
    Clock,
}

/// Metrics of one host that share their labels.
struct Group {
    measurement: &'static str,
    labels: Vec<(&'static str, String)>,
    fields: Vec<(&'static str, Kind)>,
}

const fn counter(per_second: f64, decimals: u32) -> Kind {
    Kind::Counter { per_second, decimals }
}

const fn gauge(middle: f64, swing: f64, decimals: u32) -> Kind {
    Kind::Gauge { middle, swing, decimals, quantum: 1 }
}

const fn pages(middle: f64, swing: f64) -> Kind {
    Kind::Gauge { middle: middle * GIB, swing: swing * GIB, decimals: 0, quantum: PAGE }
}

fn host() -> Vec<Group> {
    let mut groups = Vec::new();
    let mut add = |measurement, labels: &[(&'static str, &str)], fields: &[(&'static str, Kind)]| {
        let labels = labels.iter().map(|(name, value)| (*name, (*value).to_owned())).collect();
        groups.push(Group { measurement, labels, fields: fields.to_vec() });
    };
    let modes = [
        ("user", 0.22),
        ("system", 0.08),
        ("idle", 0.66),
        ("iowait", 0.02),
        ("irq", 0.0),
        ("softirq", 0.01),
        ("nice", 0.001),
        ("steal", 0.0),
    ];
    for cpu in ["0", "1", "2", "3"] {
        for (mode, share) in modes {
            add("node_cpu", &[("cpu", cpu), ("mode", mode)], &[("seconds_total", counter(share, 2))]);
        }
    }
    for (device, bytes) in [("eth0", 3e6), ("eth1", 4e5), ("lo", 9e4)] {
        add(
            "node_network",
            &[("device", device)],
            &[
                ("receive_bytes_total", counter(bytes, 0)),
                ("transmit_bytes_total", counter(bytes * 0.7, 0)),
                ("receive_packets_total", counter(bytes / 900.0, 0)),
                ("transmit_packets_total", counter(bytes / 1_100.0, 0)),
            ],
        );
    }
    for (device, reads) in [("nvme0n1", 90.0), ("nvme1n1", 7.0)] {
        add(
            "node_disk",
            &[("device", device)],
            &[
                ("reads_completed_total", counter(reads, 0)),
                ("writes_completed_total", counter(reads * 2.0, 0)),
                ("read_bytes_total", counter(reads * 16_384.0, 0)),
                ("written_bytes_total", counter(reads * 30_000.0, 0)),
                ("io_time_seconds_total", counter(0.04, 2)),
            ],
        );
    }
    add("node_memory", &[], &MEMORY);
    add("node", &[], &MACHINE);
    let mounts =
        [("/", "nvme0n1p2", 100.0), ("/boot", "nvme0n1p1", 1.0), ("/data", "nvme1n1p1", 800.0), ("/var", "nvme0n1p3", 200.0)];
    for (mount, device, size) in mounts {
        add(
            "node_filesystem",
            &[("device", device), ("mountpoint", mount)],
            &[
                ("size_bytes", Kind::Constant(size * GIB)),
                ("avail_bytes", pages(size * 0.4, size * 1e-5)),
                ("files_free", gauge(6e6, 3.0, 0)),
            ],
        );
    }
    add("node_netstat_Tcp", &[], &TCP);
    add("node_sockstat", &[], &SOCKETS);
    for sensor in ["temp1", "temp2", "temp3"] {
        add("node_hwmon_temp", &[("sensor", sensor)], &[("celsius", gauge(47.0, 0.4, 1))]);
    }
    add("node_target", &[], &[("up", Kind::Constant(1.0))]);
    groups
}

const MEMORY: [(&str, Kind); 12] = [
    ("MemTotal_bytes", Kind::Constant(32.0 * GIB)),
    ("MemFree_bytes", pages(4.0, 0.01)),
    ("MemAvailable_bytes", pages(18.0, 0.01)),
    ("Cached_bytes", pages(12.0, 0.003)),
    ("Buffers_bytes", pages(0.5, 0.0001)),
    ("Active_bytes", pages(13.0, 0.01)),
    ("Inactive_bytes", pages(9.0, 0.005)),
    ("SwapTotal_bytes", Kind::Constant(4.0 * GIB)),
    ("SwapFree_bytes", Kind::Constant(4.0 * GIB)),
    ("Dirty_bytes", pages(0.002, 0.0005)),
    ("Slab_bytes", pages(1.2, 0.0005)),
    ("Mapped_bytes", pages(0.8, 0.0005)),
];

const MACHINE: [(&str, Kind); 10] = [
    ("load1", gauge(1.8, 0.2, 2)),
    ("load5", gauge(1.6, 0.05, 2)),
    ("load15", gauge(1.5, 0.02, 2)),
    ("context_switches_total", counter(14_000.0, 0)),
    ("intr_total", counter(9_000.0, 0)),
    ("forks_total", counter(6.0, 0)),
    ("procs_running", gauge(3.0, 1.5, 0)),
    ("procs_blocked", Kind::Constant(0.0)),
    ("time_seconds", Kind::Clock),
    ("boot_time_seconds", Kind::Constant(1.79e9)),
];

const TCP: [(&str, Kind); 4] = [
    ("CurrEstab", gauge(420.0, 6.0, 0)),
    ("RetransSegs", counter(0.3, 0)),
    ("InSegs", counter(5_200.0, 0)),
    ("OutSegs", counter(6_100.0, 0)),
];

const SOCKETS: [(&str, Kind); 4] = [
    ("TCP_inuse", gauge(450.0, 5.0, 0)),
    ("TCP_tw", gauge(900.0, 40.0, 0)),
    ("TCP_mem", gauge(120.0, 9.0, 0)),
    ("sockets_used", gauge(700.0, 5.0, 0)),
];

/// One series: its value now is `number / 10^decimals`.
pub struct Series {
    kind: Kind,
    number: i64,
    pub decimals: u32,
    /// What a counter grows by a second; where a gauge is drawn to.
    pace: f64,
    /// Its labels with its name, as remote write carries them.
    pub labels: Vec<u8>,
}

impl Series {
    pub fn number(&self) -> i64 {
        self.number
    }

    pub fn value(&self) -> f64 {
        self.number as f64 / POWERS[self.decimals as usize]
    }
}

const POWERS: [f64; 4] = [1.0, 10.0, 100.0, 1_000.0];

/// Series that one line of line protocol carries.
pub struct Line {
    /// Measurement and tags.
    pub head: String,
    pub fields: Vec<&'static str>,
    /// The place of its first series.
    pub first: usize,
}

/// Which part of a fleet.
#[derive(Clone, Copy)]
pub struct Shard {
    pub number: usize,
    pub of: usize,
}

/// All series of one sender.
pub struct Fleet {
    pub series: Vec<Series>,
    pub lines: Vec<Line>,
    random: Random,
}

impl Fleet {
    /// The hosts of one shard: those whose number leaves the shard's when divided. `only` leaves one metric of each.
    pub fn new(hosts: usize, shard: Shard, only: Option<&str>) -> Fleet {
        let random = Random::new(0x5eed ^ ((shard.number as u64) << 32));
        let mut fleet = Fleet { series: Vec::new(), lines: Vec::new(), random };
        let groups = host();
        for number in (0..hosts).filter(|number| number % shard.of == shard.number) {
            for group in &groups {
                fleet.add(number, group, only);
            }
        }
        fleet
    }

    fn add(&mut self, host: usize, group: &Group, only: Option<&str>) {
        let mut labels = vec![
            ("dc", format!("dc-{}", host % 5)),
            ("env", "prod".to_owned()),
            ("instance", format!("host-{host:05}:9100")),
            ("job", "node".to_owned()),
        ];
        labels.extend(group.labels.iter().cloned());
        labels.sort();
        let mut line = Line { head: group.measurement.to_owned(), fields: Vec::new(), first: self.series.len() };
        for (name, value) in &labels {
            line.head.push_str(&format!(",{name}={value}"));
        }
        for (field, kind) in &group.fields {
            let metric = format!("{}_{field}", group.measurement);
            if only.is_some_and(|only| only != metric) {
                continue;
            }
            let mut all = labels.clone();
            all.push(("__name__", metric));
            all.sort();
            line.fields.push(field);
            let series = self.begin(*kind, super::encode::labels(&all));
            self.series.push(series);
        }
        if !line.fields.is_empty() {
            self.lines.push(line);
        }
    }

    fn begin(&mut self, kind: Kind, labels: Vec<u8>) -> Series {
        let (share, other) = (self.random.share(), self.random.share());
        let (number, decimals, pace) = match kind {
            Kind::Counter { per_second, decimals } => {
                ((per_second * 4e5 * (0.5 + share)).round(), decimals, per_second * (0.3 + 1.4 * other))
            }
            Kind::Gauge { middle, decimals, .. } => {
                let middle = middle * (0.6 + 0.8 * share);
                ((middle * POWERS[decimals as usize]).round(), decimals, middle)
            }
            Kind::Constant(value) => (value, 0, 0.0),
            Kind::Clock => (0.0, 0, 0.0),
        };
        let number = if matches!(kind, Kind::Counter { .. }) { number * POWERS[decimals as usize] } else { number };
        Series { kind, number: number as i64, decimals, pace, labels }
    }

    /// Moves every series on by so many seconds, to a time in milliseconds.
    pub fn step(&mut self, seconds: f64, time_ms: i64) {
        for series in &mut self.series {
            match series.kind {
                Kind::Counter { decimals, .. } => {
                    let grown = series.pace * seconds * (0.7 + 0.6 * self.random.share());
                    series.number += (grown * POWERS[decimals as usize]).round() as i64;
                }
                Kind::Gauge { swing, decimals, quantum, .. } => {
                    let value = series.number as f64 / POWERS[decimals as usize];
                    let back = (series.pace - value) * 0.05;
                    let value = (value + back + swing * 2.0 * (self.random.share() - 0.5)).max(0.0);
                    let scale = POWERS[decimals as usize] / quantum as f64;
                    series.number = (value * scale).round() as i64 * quantum;
                }
                // Whole seconds: a clock that is asked every 15 s says no more.
                Kind::Clock => series.number = time_ms / 1_000,
                Kind::Constant(_) => {}
            }
        }
    }
}
