//! What was measured: values, their min / median / p99 / max, the limit that they have to keep, as a table and as JSON.
//! Never rounds before it compares.

use std::path::Path;

use serde_json::{Value, json};

/// Which number of a distribution is held against a limit.
#[derive(Clone, Copy)]
pub enum Of {
    Median,
    P99,
    Max,
    Sum,
}

/// One measured thing.
pub struct Figure {
    name: String,
    unit: &'static str,
    values: Vec<f64>,
    limits: Vec<(Of, f64)>,
    needed: usize,
    note: String,
}

impl Figure {
    pub fn new(name: &str, unit: &'static str, mut values: Vec<f64>) -> Figure {
        values.sort_by(f64::total_cmp);
        Figure { name: name.to_owned(), unit, values, limits: Vec::new(), needed: 1, note: String::new() }
    }

    /// Has to be at most this.
    pub fn at_most(mut self, of: Of, limit: f64) -> Figure {
        self.limits.push((of, limit));
        self
    }

    /// Only met when so many values were measured: what never came is no short time.
    pub fn needs(mut self, values: usize) -> Figure {
        self.needed = values;
        self
    }

    /// What a reader has to know.
    pub fn note(mut self, note: impl Into<String>) -> Figure {
        self.note = note.into();
        self
    }

    /// By nearest rank.
    fn quantile(&self, share: f64) -> f64 {
        let rank = (share * self.values.len() as f64).ceil() as usize;
        self.values.get(rank.clamp(1, self.values.len().max(1)) - 1).copied().unwrap_or(f64::NAN)
    }

    fn number(&self, of: Of) -> f64 {
        match of {
            Of::Median => self.quantile(0.5),
            Of::P99 => self.quantile(0.99),
            Of::Max => self.quantile(1.0),
            Of::Sum => self.values.iter().sum(),
        }
    }

    /// None where there is no limit.
    fn met(&self) -> Option<bool> {
        let enough = self.values.len() >= self.needed;
        (!self.limits.is_empty()).then(|| enough && self.limits.iter().all(|(of, limit)| self.number(*of) <= *limit))
    }

    fn limit_text(&self) -> String {
        let words: Vec<String> = self.limits.iter().map(|(of, limit)| format!("{} <= {limit}", word(*of))).collect();
        words.join(", ")
    }

    fn json(&self) -> Value {
        let limits: serde_json::Map<String, Value> =
            self.limits.iter().map(|(of, limit)| (word(*of).to_owned(), json!(limit))).collect();
        json!({
            "name": self.name, "unit": self.unit, "count": self.values.len(), "needed": self.needed,
            "min": self.quantile(0.0), "median": self.quantile(0.5), "p99": self.quantile(0.99), "max": self.quantile(1.0),
            "sum": self.number(Of::Sum), "limits": limits, "met": self.met(), "note": self.note, "values": self.values,
        })
    }
}

fn word(of: Of) -> &'static str {
    match of {
        Of::Median => "median",
        Of::P99 => "p99",
        Of::Max => "max",
        Of::Sum => "sum",
    }
}

/// Figures of one run, and under which circumstances they were taken.
pub struct Part {
    pub name: &'static str,
    pub figures: Vec<Figure>,
    load_before: String,
    at: String,
}

impl Part {
    /// Begins now: the load average of before says who else was busy.
    pub fn begin(name: &'static str) -> Part {
        Part { name, figures: Vec::new(), load_before: load(), at: jiff::Timestamp::now().to_string() }
    }

    /// True when every limit is kept.
    pub fn met(&self) -> bool {
        self.figures.iter().all(|figure| figure.met() != Some(false))
    }

    /// The figures as lines of a table.
    pub fn table(&self) -> String {
        let mut rows = vec![["figure", "n", "min", "median", "p99", "max", "unit", "limit", ""].map(str::to_owned)];
        for figure in &self.figures {
            let met = match figure.met() {
                Some(true) => "met",
                Some(false) => "NOT met",
                None => "",
            };
            rows.push([
                figure.name.clone(),
                figure.values.len().to_string(),
                short(figure.quantile(0.0)),
                short(figure.quantile(0.5)),
                short(figure.quantile(0.99)),
                short(figure.quantile(1.0)),
                figure.unit.to_owned(),
                figure.limit_text(),
                met.to_owned(),
            ]);
        }
        let widths: Vec<usize> =
            (0..9).map(|column| rows.iter().map(|row| row[column].chars().count()).max().unwrap_or(0)).collect();
        let mut out = format!("\n{}: load average before {}, after {}\n", self.name, self.load_before, load());
        for row in &rows {
            let cells: Vec<String> = row
                .iter()
                .zip(&widths)
                .enumerate()
                .map(|(column, (cell, width))| match column {
                    1..=5 => format!("{cell:>width$}"),
                    _ => format!("{cell:<width$}"),
                })
                .collect();
            out.push_str(cells.join("  ").trim_end());
            out.push('\n');
        }
        for figure in self.figures.iter().filter(|figure| !figure.note.is_empty()) {
            out.push_str(&format!("  {}: {}\n", figure.name, figure.note));
        }
        out
    }

    fn json(&self) -> Value {
        json!({
            "at": self.at, "load_before": self.load_before, "load_after": load(), "met": self.met(),
            "figures": self.figures.iter().map(Figure::json).collect::<Vec<_>>(),
        })
    }
}

fn short(value: f64) -> String {
    match value {
        value if value.is_nan() => "-".to_owned(),
        value if value == value.trunc() => format!("{value:.0}"),
        value if value.abs() < 10.0 => format!("{value:.3}"),
        value => format!("{value:.1}"),
    }
}

/// The load average over 1, 5 and 15 minutes.
pub fn load() -> String {
    let text = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
    text.split_whitespace().take(3).collect::<Vec<_>>().join(" ")
}

/// Puts the part into the file; parts of runs before stay, each with its own time and load.
pub fn save(out: &Path, part: &Part) -> std::io::Result<()> {
    let before = std::fs::read(out).ok().and_then(|bytes| serde_json::from_slice::<Value>(&bytes).ok());
    let mut parts = before.and_then(|value| value["parts"].as_object().cloned()).unwrap_or_default();
    parts.insert(part.name.to_owned(), part.json());
    let all = json!({ "bench": "loop", "machine": machine(), "parts": parts });
    if let Some(folder) = out.parent() {
        std::fs::create_dir_all(folder)?;
    }
    std::fs::write(out, format!("{all:#}\n"))
}

fn machine() -> Value {
    let read = |path: &str| std::fs::read_to_string(path).unwrap_or_default();
    let line = |text: &str, key: &str| {
        text.lines()
            .find_map(|line| line.strip_prefix(key))
            .map(|rest| rest.trim_start_matches([' ', '\t', ':']).trim().to_owned())
    };
    json!({
        "cores": std::thread::available_parallelism().map_or(0, usize::from),
        "processor": line(&read("/proc/cpuinfo"), "model name"),
        "memory": line(&read("/proc/meminfo"), "MemTotal"),
        "kernel": read("/proc/sys/kernel/osrelease").trim(),
    })
}
