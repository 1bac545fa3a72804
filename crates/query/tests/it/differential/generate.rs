//! Makes questions: queries of the language that Prometheus 2.42 and 3 share, over the data of [`super::data`].
//!
//! `exact` expressions must agree to the last bit. `loose` ones sum or use a mathematical library; they are never put where
//! a last bit decides (a comparison, a rounding, a rank).

use std::fmt;

use super::data::{BEGIN, LENGTH};
use super::random::Random;

/// A query and when to ask it, in milliseconds; the step is 0 for an instant.
pub struct Question {
    pub query: String,
    pub start: i64,
    pub end: i64,
    pub step: i64,
    /// May differ by a billionth.
    pub loose: bool,
    /// The order of the answer counts.
    pub ordered: bool,
}

impl fmt::Display for Question {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Question { query, start, end, step, .. } = self;
        match step {
            0 => write!(f, "{query} at {start}"),
            _ => write!(f, "{query} from {start} to {end} step {step}"),
        }
    }
}

/// The longest range with the longest offset: counters are not asked for the time before they begin.
const REACH: i64 = 30 * 60_000;

/// An instant on no step of a subquery: those lie on multiples of ten seconds.
fn instant(random: &mut Random) -> i64 {
    BEGIN + REACH + 7_000 + random.below(((LENGTH - REACH) / 10_000) as u64) as i64 * 10_000
}

pub fn question(random: &mut Random) -> Question {
    let loose = random.one_in(2);
    let mut maker = Maker { random, subqueries: true };
    let query = match (loose, maker.random.below(20)) {
        (true, _) => maker.loose(3),
        (false, 0) => maker.scalar(2),
        (false, 1) => format!("{}({})", maker.random.pick(&["sort", "sort_desc"]), maker.ranked(1)),
        (false, _) => maker.exact(3),
    };
    let ordered = query.starts_with("sort");
    let start = instant(random);
    if ordered || random.one_in(3) {
        return Question { query, start, end: start, step: 0, loose, ordered };
    }
    let step = *random.pick(&[&10_000, &30_000, &60_000, &150_000, &600_000]);
    let end = start + step * random.below(40) as i64;
    Question { query, start, end, step, loose, ordered }
}

struct Maker<'a> {
    random: &'a mut Random,
    /// Whether a subquery may stand here: inside of another its edges could meet the outer one's steps.
    subqueries: bool,
}

impl Maker<'_> {
    fn shift(&mut self) -> String {
        let offset = match self.random.below(12) {
            0 => " offset 30s",
            1 => " offset 5m",
            2 => " offset -2m",
            _ => "",
        };
        let at = match self.random.below(16) {
            0 => format!(" @ {}", instant(self.random) / 1_000),
            1 => " @ start()".into(),
            2 => " @ end()".into(),
            _ => String::new(),
        };
        format!("{at}{offset}")
    }

    fn matchers(&mut self) -> &'static str {
        let conditions = [
            "",
            "",
            "",
            "{job=\"web\"}",
            "{job!=\"api\"}",
            "{instance=~\"[0-3]\"}",
            "{instance!~\"1|2\", job=~\"web|db\"}",
            "{team=\"\"}",
            "{nothing=~\".+\"}",
        ];
        self.random.pick(&conditions)
    }

    fn of(&mut self, names: &[&'static str]) -> String {
        format!("{}{}", self.random.pick(names), self.matchers())
    }

    fn any(&mut self) -> String {
        self.of(&["steady_total", "gappy_total", "temperature", "state", "wild", "limit", "latency_bucket"])
    }

    fn tame(&mut self) -> String {
        self.of(&["steady_total", "gappy_total", "temperature", "state", "limit", "latency_bucket"])
    }

    fn window(&mut self) -> &'static str {
        self.random.pick(&["[30s]", "[1m]", "[2m]", "[5m]", "[10m]", "[20m]"])
    }

    /// A range of samples, or of an exact expression.
    fn range(&mut self, depth: u32) -> String {
        if self.subqueries && depth > 0 && self.random.one_in(4) {
            self.subqueries = false;
            let inner = self.exact(depth - 1);
            self.subqueries = true;
            let steps = self.random.pick(&["[2m:10s]", "[5m:30s]", "[10m:1m]", "[10m:]", "[3m:20s]"]);
            return format!("({inner}){steps}{}", self.shift());
        }
        format!("{}{}{}", self.any(), self.window(), self.shift())
    }

    fn offset(&mut self) -> &'static str {
        self.random.pick(&["", "", " offset 30s", " offset -2m"])
    }

    fn tame_range(&mut self) -> String {
        format!("{}{}{}", self.tame(), self.window(), self.shift())
    }

    fn slope(&mut self) -> String {
        let counter = self.of(&["steady_total", "gappy_total", "latency_bucket"]);
        format!("{}({counter}{}{})", self.random.pick(&["rate", "increase"]), self.window(), self.shift())
    }

    fn grouping(&mut self) -> &'static str {
        self.random.pick(&[
            "",
            "by (job)",
            "by (job, instance)",
            "without (instance)",
            "without (job)",
            "by (nothing)",
            "by (__name__)",
        ])
    }

    fn number(&mut self) -> &'static str {
        self.random.pick(&["0", "1", "2", "0.5", "-3", "100", "1e3", "0x10", "Inf", "NaN", "20.25"])
    }

    fn scalar(&mut self, depth: u32) -> String {
        if depth == 0 {
            return self.number().into();
        }
        match self.random.below(6) {
            0 => "time()".into(),
            1 => format!("scalar({})", self.exact(depth - 1)),
            2 => {
                let op = self.random.pick(&["+", "-", "*", "/", "%"]);
                format!("({} {op} {})", self.scalar(depth - 1), self.scalar(depth - 1))
            }
            3 => {
                let op = self.random.pick(&["==", "!=", "<", ">", "<=", ">="]);
                format!("({} {op} bool {})", self.scalar(depth - 1), self.scalar(depth - 1))
            }
            4 => format!("-{}", self.number()),
            _ => self.number().into(),
        }
    }

    /// Series of which no two have the same value at once.
    fn ranked(&mut self, depth: u32) -> String {
        let leaf = format!("temperature{}{}", self.matchers(), self.shift());
        match (depth, self.random.below(4)) {
            (0, _) | (_, 0) => leaf,
            (_, 1) => format!("({leaf} * 2)"),
            (_, 2) => format!("-{leaf}"),
            _ => format!("({leaf} > 10)"),
        }
    }

    fn matching(&mut self) -> &'static str {
        self.random.pick(&["", "on (job, instance)", "ignoring (nothing)", "on (instance)", "ignoring (le)", "on (job)"])
    }

    fn exact(&mut self, depth: u32) -> String {
        if depth == 0 {
            return format!("{}{}", self.any(), self.shift());
        }
        let less = depth - 1;
        match self.random.below(17) {
            0 => format!("{}{}", self.any(), self.shift()),
            1 | 2 => {
                let function = self.random.pick(&[
                    "max_over_time",
                    "min_over_time",
                    "last_over_time",
                    "count_over_time",
                    "present_over_time",
                    "changes",
                    "resets",
                    "idelta",
                    "irate",
                    "delta",
                    "absent_over_time",
                ]);
                format!("{function}({})", self.range(depth))
            }
            3 => format!(
                "quantile_over_time({}, {})",
                self.random.pick(&["0", "0.3", "0.5", "0.99", "1", "2", "-1"]),
                self.range(depth)
            ),
            4 | 5 => self.slope(),
            6 => {
                let function = self.random.pick(&["abs", "ceil", "floor", "sgn", "round", "sqrt", "-", "+", ""]);
                format!("{function}({})", self.exact(less))
            }
            7 => match self.random.below(3) {
                0 => format!("clamp({}, {}, {})", self.exact(less), self.number(), self.number()),
                1 => format!("clamp_min({}, {})", self.exact(less), self.number()),
                _ => format!("round({}, {})", self.exact(less), self.random.pick(&["0.5", "10", "0.125"])),
            },
            // Without `@`, with which Prometheus leaves the offset out of account.
            8 => format!("timestamp({}{})", self.any(), self.offset()),
            9 => {
                let part = self.random.pick(&[
                    "hour",
                    "minute",
                    "month",
                    "year",
                    "day_of_week",
                    "day_of_month",
                    "days_in_month",
                    "day_of_year",
                ]);
                format!("{part}(state * {})", self.random.pick(&["1e5", "1e7", "1e9"]))
            }
            10 => {
                let op = self.random.pick(&["==", "!=", "<", ">", "<=", ">="]);
                let bool = self.random.pick(&["", "", "bool"]);
                if self.random.one_in(2) {
                    return format!("({} {op} {bool} {})", self.exact(less), self.number());
                }
                format!("({} {op} {bool} {} {})", self.exact(less), self.matching(), self.exact(less))
            }
            11 => {
                let op = self.random.pick(&["+", "-", "*", "/", "%"]);
                match self.random.below(3) {
                    0 => format!("({} {op} {})", self.exact(less), self.scalar(less)),
                    1 => format!("({} {op} {})", self.scalar(less), self.exact(less)),
                    _ => format!("({} {op} {} {})", self.exact(less), self.matching(), self.exact(less)),
                }
            }
            12 => {
                let op = self.random.pick(&["and", "or", "unless"]);
                format!("({} {op} {} {})", self.exact(less), self.matching(), self.exact(less))
            }
            13 => {
                let group = self.random.pick(&["group_left", "group_left (team)", "group_right", "group_right (team)"]);
                let (many, one) = (self.exact(less), format!("limit{}", self.shift()));
                let op = self.random.pick(&["*", "+", ">", "== bool"]);
                if group.starts_with("group_left") {
                    format!("({many} {op} on (job) {group} {one})")
                } else {
                    format!("({one} {op} on (job) {group} {many})")
                }
            }
            14 => {
                let op = self.random.pick(&["min", "max", "count", "group"]);
                format!("{op} {} ({})", self.grouping(), self.exact(less))
            }
            15 => match self.random.below(4) {
                0 => format!(
                    "{} {} ({}, {})",
                    self.random.pick(&["topk", "bottomk"]),
                    self.grouping(),
                    self.random.below(4),
                    self.ranked(less)
                ),
                1 => format!(
                    "quantile {} ({}, {})",
                    self.grouping(),
                    self.random.pick(&["0.25", "0.9", "0", "1", "3"]),
                    self.exact(less)
                ),
                _ => format!("count_values {} (\"value\", {})", self.grouping(), self.exact(less)),
            },
            _ => match self.random.below(5) {
                0 => format!(
                    "label_replace({}, \"{}\", \"x-$1\", \"job\", \"(.)(.*)\")",
                    self.exact(less),
                    self.random.pick(&["new", "instance"])
                ),
                1 => format!("label_join({}, \"both\", \"/\", \"job\", \"instance\")", self.exact(less)),
                2 => format!("absent({})", self.exact(less)),
                3 => format!("vector({})", self.scalar(less)),
                _ => format!("({})", self.exact(less)),
            },
        }
    }

    fn loose(&mut self, depth: u32) -> String {
        if depth == 0 {
            let function = self.random.pick(&["avg_over_time", "sum_over_time", "stddev_over_time", "deriv"]);
            return format!("{function}({})", self.tame_range());
        }
        let less = depth - 1;
        match self.random.below(12) {
            0 | 1 => format!("{} {} ({})", self.random.pick(&["sum", "avg"]), self.grouping(), self.exact(less)),
            2 => format!("{} {} ({})", self.random.pick(&["sum", "avg", "min", "max"]), self.grouping(), self.loose(less)),
            3 => format!("{} {} ({})", self.random.pick(&["stddev", "stdvar"]), self.grouping(), self.ranked(less)),
            4 => format!("{}({})", self.random.pick(&["avg_over_time", "sum_over_time"]), self.range(depth)),
            5 => {
                let function = self.random.pick(&["stddev_over_time", "stdvar_over_time", "deriv"]);
                format!("{function}({})", self.tame_range())
            }
            6 => {
                // Without `@`: 2.42 moved the window with the steps all the same.
                let range = format!("{}{}{}", self.tame(), self.window(), self.offset());
                format!("predict_linear({range}, {})", self.random.pick(&["0", "60", "-600"]))
            }
            7 => {
                let function = self.random.pick(&["exp", "ln", "log2", "log10", "sin", "cos", "atan", "tanh", "deg", "rad"]);
                format!("{function}(temperature{} / 16)", self.shift())
            }
            8 => {
                let inner = self.random.pick(&[
                    "rate(latency_bucket[5m])",
                    "latency_bucket",
                    "sum by (le) (rate(latency_bucket[10m]))",
                    "sum by (job, le) (increase(latency_bucket[2m]))",
                ]);
                format!("histogram_quantile({}, {inner})", self.random.pick(&["0.5", "0.9", "0.99", "0", "1", "-1", "2"]))
            }
            9 => {
                let op = self.random.pick(&["+", "-", "*"]);
                format!("({} {op} {} {})", self.loose(less), self.matching(), self.loose(less))
            }
            10 => {
                let op = self.random.pick(&["and", "or", "unless"]);
                format!("({} {op} {} {})", self.loose(less), self.matching(), self.exact(less))
            }
            _ => {
                let function = self.random.pick(&["abs", "-", "label_replace"]);
                match function {
                    "label_replace" => format!("label_replace({}, \"new\", \"$1\", \"job\", \"(.*)\")", self.loose(less)),
                    _ => format!("{function}({})", self.loose(less)),
                }
            }
        }
    }
}
