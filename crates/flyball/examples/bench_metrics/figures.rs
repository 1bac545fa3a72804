//! The rows of the table: what each figure is held against, its aim and its limit; medians over runs; as a table and as JSON.
//!
//! A figure that was not measured is not met. Never rounds before it compares.

use std::collections::BTreeMap;
use std::path::Path;

use serde_json::{Value, json};

/// Which number is held against aim and limit.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Judged {
    /// Ours; less is better.
    Value,
    /// Ours by the other; less is better.
    Ratio,
    /// Ours by the other; more is better.
    RatioMore,
}
use Judged::{Ratio, RatioMore, Value as Own};

/// A row of the table.
struct Row {
    case: &'static str,
    key: &'static str,
    title: &'static str,
    unit: &'static str,
    judged: Judged,
    /// What ours is divided by, or shown beside.
    against: &'static str,
    aim: f64,
    limit: f64,
}

const fn row(
    place: (&'static str, &'static str),
    title: &'static str,
    unit: &'static str,
    judged: Judged,
    against: &'static str,
    (aim, limit): (f64, f64),
) -> Row {
    Row { case: place.0, key: place.1, title, unit, judged, against, aim, limit }
}

const VM: &str = "VictoriaMetrics";
const FIFTH: f64 = 0.2;
const THIRD: f64 = 1.0 / 3.0;

#[rustfmt::skip]
const ROWS: &[Row] = &[
    row(("ingest", "cpu-influx-10k"), "line protocol, 10,000 x 480, 1,000 rules", "CPU-s/M", Ratio, VM, (FIFTH, THIRD)),
    row(("ingest", "cpu-rw-10k"), "remote write, 10,000 x 480, 1,000 rules", "CPU-s/M", Ratio, VM, (FIFTH, THIRD)),
    row(("ingest", "cpu-influx-100k"), "line protocol, 100,000 x 100, 1,000 rules", "CPU-s/M", Ratio, VM, (FIFTH, THIRD)),
    row(("ingest", "cpu-rw-100k"), "remote write, 100,000 x 100, 1,000 rules", "CPU-s/M", Ratio, VM, (FIFTH, THIRD)),
    row(("ingest", "memory-rw-100k"), "  its peak memory", "MB", Own, VM, (100.0, 200.0)),
    row(("ingest", "disk-10k"), "bytes per sample after flush, 10,000 x 480", "bytes", Own, VM, (1.10, 1.40)),
    row(("million", "cpu-rw-1m"), "remote write, 1,000,000 x 20, 8 senders", "CPU-s/M", Ratio, VM, (FIFTH, 0.5)),
    row(("million", "memory-rw-1m"), "  its memory a series", "KB", Own, VM, (0.8, 1.5)),
    row(("million", "ready-kill"), "ready after kill -9, 1,000,000 x 20 in the log", "s", Own, "", (5.0, 10.0)),
    row(("million", "ready-term"), "ready after SIGTERM", "s", Own, "", (1.0, 3.0)),
    row(("rate", "rate-influx"), "line protocol, 10,000 series, 8 senders", "M/s", RatioMore, VM, (3.0, 1.5)),
    row(("rate", "answer-p50"), "answer at half of that rate, p50", "ms", Ratio, "fdatasync", (1.5, 2.0)),
    row(("rate", "answer-p99"), "answer at half of that rate, p99", "ms", Ratio, "fdatasync", (2.0, 3.0)),
    row(("query", "range-1"), "range 1 h of 100,000 x 260: rate of 1 series", "ms", Own, VM, (0.10, 0.3)),
    row(("query", "range-1000"), "  sum by (dc) of 1,000 rates", "ms", Own, VM, (1.3, 3.3)),
    row(("query", "range-4000"), "  topk(10) of 4,000 rates", "ms", Own, VM, (10.0, 40.0)),
    row(("query", "instant-1"), "instant: 1 series", "ms", Own, VM, (0.07, 0.13)),
    row(("query", "instant-1000"), "  sum by (dc) of 1,000 series", "ms", Own, VM, (0.25, 1.0)),
    row(("detect", "detect-p50"), "pushed bad value -> webhook, 1,000 rules, 50,000/s, p50", "ms", Own, "ideal stub", (0.5, 5.0)),
    row(("detect", "detect-p99"), "  p99", "ms", Own, "ideal stub", (5.0, 50.0)),
    row(("rules", "rules-slow"), "10,000 rules, 10,000 series every 15 s: what they add", "cores", Own, "without rules", (0.01, 0.1)),
    row(("rules", "rules-live"), "100,000 series at 1 s with 10,000 rules", "cores", Ratio, "without rules", (1.15, 1.30)),
    row(("month", "month"), "sum(rate) of 1,000 series, 30 days, step 1 h", "s", Own, VM, (1.0, 4.0)),
    row(("days", "days"), "CPU per sample, 10,000 series: 30th day by the 1st", "CPU-s/M", Ratio, "first day", (1.0, 1.3)),
];

/// The cases that a run may be made of, in their order.
pub const CASES: [&str; 8] = ["ingest", "million", "rate", "query", "detect", "rules", "month", "days"];

/// One measured figure of one run.
#[derive(Clone)]
pub struct Seen {
    key: &'static str,
    ours: f64,
    against: f64,
    beside: Vec<(&'static str, f64)>,
}

impl Seen {
    pub fn new(key: &'static str, ours: f64) -> Seen {
        debug_assert!(ROWS.iter().any(|row| row.key == key), "{key}");
        Seen { key, ours, against: f64::NAN, beside: Vec::new() }
    }

    /// What it is compared with in the same run.
    pub fn against(mut self, value: f64) -> Seen {
        self.against = value;
        self
    }

    /// What else is worth a look.
    pub fn beside(mut self, what: &'static str, value: f64) -> Seen {
        self.beside.push((what, value));
        self
    }
}

/// All figures of all runs.
pub struct Figures {
    seen: Vec<Seen>,
    failed: Vec<(&'static str, String)>,
    limits: Vec<Limit>,
}

/// What a machine like this can do at most: what, its unit, its value.
pub type Limit = (&'static str, &'static str, f64);

struct Judgement {
    ours: f64,
    against: f64,
    judged: f64,
    aim: bool,
    met: bool,
}

impl Figures {
    /// Begins with the limits that were measured in the same run.
    pub fn new(limits: Vec<Limit>) -> Figures {
        Figures { seen: Vec::new(), failed: Vec::new(), limits }
    }

    pub fn add(&mut self, seen: Vec<Seen>) {
        self.seen.extend(seen);
    }

    /// A case that could not be measured.
    pub fn fail(&mut self, case: &'static str, why: String) {
        self.failed.push((case, why));
    }

    fn judge(&self, row: &Row) -> Judgement {
        let all: Vec<&Seen> = self.seen.iter().filter(|seen| seen.key == row.key).collect();
        let of = |value: &dyn Fn(&Seen) -> f64| median(all.iter().map(|seen| value(seen)).collect());
        let judged = match row.judged {
            Own => of(&|seen| seen.ours),
            Ratio | RatioMore => of(&|seen| seen.ours / seen.against),
        };
        // What was not measured is NaN, and that is neither less nor more.
        let keeps = |bound: f64| if row.judged == RatioMore { judged >= bound } else { judged <= bound };
        Judgement {
            ours: of(&|seen| seen.ours),
            against: of(&|seen| seen.against),
            judged,
            aim: keeps(row.aim),
            met: keeps(row.limit),
        }
    }

    fn beside(&self, key: &str) -> BTreeMap<&'static str, f64> {
        let mut by_name: BTreeMap<&'static str, Vec<f64>> = BTreeMap::new();
        for (what, value) in self.seen.iter().filter(|seen| seen.key == key).flat_map(|seen| &seen.beside) {
            by_name.entry(what).or_default().push(*value);
        }
        by_name.into_iter().map(|(what, values)| (what, median(values))).collect()
    }

    /// The rows of these cases whose limit is not met.
    pub fn missed(&self, cases: &[&str]) -> Vec<&'static str> {
        rows_of(cases).filter(|row| !self.judge(row).met).map(|row| row.key).collect()
    }

    /// The rows of these cases as a table.
    pub fn table(&self, cases: &[&str]) -> String {
        let mut lines = vec![["figure", "", "unit", "flyball", "against", "", "ratio", "aim", "not done", ""].map(str::to_owned)];
        for row in rows_of(cases) {
            let judged = self.judge(row);
            let ratio = judged.ours / judged.against;
            let sign = if row.judged == RatioMore { "<" } else { ">" };
            lines.push([
                row.key.to_owned(),
                row.title.to_owned(),
                row.unit.to_owned(),
                short(judged.ours),
                short(judged.against),
                if judged.against.is_nan() { String::new() } else { row.against.to_owned() },
                short(if row.judged == Own { ratio } else { judged.judged }),
                format!("{}{}", short(row.aim), if row.judged == Own { "" } else { " x" }),
                format!("{sign} {}{}", short(row.limit), if row.judged == Own { "" } else { " x" }),
                match (judged.met, judged.aim) {
                    (false, _) if judged.judged.is_nan() => "NOT MEASURED",
                    (false, _) => "NOT met",
                    (true, false) => "met",
                    (true, true) => "met, aim too",
                }
                .to_owned(),
            ]);
        }
        let mut out = aligned(&lines);
        for row in rows_of(cases) {
            let beside = self.beside(row.key);
            if !beside.is_empty() {
                let words: Vec<String> = beside.iter().map(|(what, value)| format!("{what} {}", short(*value))).collect();
                out.push_str(&format!("  {}: {}\n", row.key, words.join(", ")));
            }
        }
        for (case, why) in self.failed.iter().filter(|(case, _)| cases.contains(case)) {
            out.push_str(&format!("  {case} failed: {why}\n"));
        }
        out
    }

    /// The machine's limits in this run as lines.
    pub fn limit_lines(&self) -> String {
        let lines = self.limits.iter().map(|(what, unit, value)| format!("  {what}: {} {unit}\n", short(*value)));
        format!("limits of this machine in this run (load average {})\n{}", load(), lines.collect::<String>())
    }

    /// Everything, for programs.
    pub fn save(&self, out: &Path, cases: &[&str], runs: usize, quick: bool) -> std::io::Result<()> {
        let rows = rows_of(cases).map(|row| {
            let judged = self.judge(row);
            let all: Vec<Value> = self
                .seen
                .iter()
                .filter(|seen| seen.key == row.key)
                .map(|seen| json!({ "flyball": seen.ours, "against": number(seen.against) }))
                .collect();
            json!({
                "case": row.case, "figure": row.key, "title": row.title.trim(), "unit": row.unit, "flyball": number(judged.ours),
                "against": row.against, "other": number(judged.against), "ratio": number(judged.ours / judged.against),
                "judged": number(judged.judged), "aim": row.aim, "not_done": row.limit, "aim_met": judged.aim, "met": judged.met,
                "beside": self.beside(row.key), "runs": all,
            })
        });
        let limits =
            self.limits.iter().map(|(what, unit, value)| json!({ "limit": what, "unit": unit, "value": number(*value) }));
        let failed = self.failed.iter().map(|(case, why)| json!({ "case": case, "why": why }));
        let all = json!({
            "bench": "metrics", "at": jiff::Timestamp::now().to_string(), "load": load(), "runs": runs, "quick": quick,
            "machine": machine(), "limits": limits.collect::<Vec<_>>(), "figures": rows.collect::<Vec<_>>(),
            "failed": failed.collect::<Vec<_>>(),
        });
        if let Some(folder) = out.parent() {
            std::fs::create_dir_all(folder)?;
        }
        std::fs::write(out, format!("{all:#}\n"))
    }
}

fn rows_of<'a>(cases: &'a [&str]) -> impl Iterator<Item = &'static Row> + 'a {
    ROWS.iter().filter(move |row| cases.contains(&row.case))
}

/// JSON knows no NaN.
fn number(value: f64) -> Option<f64> {
    value.is_finite().then_some(value)
}

/// The middle one; NaN where there is none.
pub fn median(values: Vec<f64>) -> f64 {
    quantile(values, 0.5)
}

/// By nearest rank; NaN where there is no value.
pub fn quantile(mut values: Vec<f64>, share: f64) -> f64 {
    values.retain(|value| value.is_finite());
    values.sort_by(f64::total_cmp);
    let rank = (share * values.len() as f64).ceil() as usize;
    values.get(rank.clamp(1, values.len().max(1)) - 1).copied().unwrap_or(f64::NAN)
}

fn aligned<const N: usize>(lines: &[[String; N]]) -> String {
    let width = |column: usize| lines.iter().map(|line| line[column].chars().count()).max().unwrap_or(0);
    let widths: Vec<usize> = (0..N).map(width).collect();
    let mut out = String::new();
    for line in lines {
        let cells = line.iter().zip(&widths).enumerate().map(|(column, (cell, width))| match column {
            3 | 4 | 6 => format!("{cell:>width$}"),
            _ => format!("{cell:<width$}"),
        });
        out.push_str(cells.collect::<Vec<_>>().join("  ").trim_end());
        out.push('\n');
    }
    out
}

fn short(value: f64) -> String {
    match value {
        value if !value.is_finite() => "-".to_owned(),
        value if value == value.trunc() && value.abs() < 1e6 => format!("{value:.0}"),
        value if value.abs() < 10.0 => format!("{value:.3}"),
        value => format!("{value:.1}"),
    }
}

/// The load average over 1, 5 and 15 minutes: who else was busy.
pub fn load() -> String {
    let text = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
    text.split_whitespace().take(3).collect::<Vec<_>>().join(" ")
}

fn machine() -> Value {
    let read = |path: &str| std::fs::read_to_string(path).unwrap_or_default();
    let line = |text: &str, key: &str| {
        let rest = text.lines().find_map(|line| line.strip_prefix(key));
        rest.map(|rest| rest.trim_start_matches([' ', '\t', ':']).trim().to_owned())
    };
    json!({
        "cores": std::thread::available_parallelism().map_or(0, usize::from),
        "processor": line(&read("/proc/cpuinfo"), "model name"),
        "memory": line(&read("/proc/meminfo"), "MemTotal"),
        "kernel": read("/proc/sys/kernel/osrelease").trim(),
    })
}
