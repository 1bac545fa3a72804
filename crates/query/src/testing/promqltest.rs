//! Runs tests in Prometheus' `promqltest` language: `load`, `clear`, `eval instant`, `eval range`, `expect ...`.
//!
//! Every instant query is also evaluated as the middle step of a range, so that both ways must agree.

use std::time::Duration;

use model::labels::METRIC_NAME;
use model::{Labels, Time};

use super::expect::{Expected, Wanted, compare, near, remarks};
use super::memory::MemorySource;
use super::notation::parse_series;
use crate::error::EvalError;
use crate::evaluate::{Params, evaluate};
use crate::value::{Answer, Value};

/// A check that did not hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// Line of the command in the test, from 1.
    pub line: usize,
    /// What was expected and what came.
    pub message: String,
}

/// How a test is run.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    /// As in [`Params::delayed_name_removal`]; Prometheus' own tests run with it.
    pub delayed_name_removal: bool,
    /// As in [`Params::lookback`].
    pub lookback: Duration,
}

impl Default for Options {
    fn default() -> Options {
        Options { delayed_name_removal: false, lookback: crate::evaluate::LOOKBACK }
    }
}

/// What a run did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Report {
    /// How many `eval` commands there were.
    pub evals: usize,
    /// What did not hold.
    pub failures: Vec<Failure>,
    /// Lines of `eval` commands that are about native histograms: the query reads or makes one, or a histogram is expected.
    pub native_histograms: Vec<usize>,
    /// Lines of `eval` commands refused as not yet built (or whose data could not be loaded for that reason).
    pub not_yet: Vec<usize>,
}

/// Runs a test and returns what did not hold; what is not yet built counts as a failure.
pub fn run(text: &str) -> Vec<Failure> {
    let report = run_with(text, Options::default());
    let missing = report.not_yet.into_iter().chain(report.native_histograms);
    let not_yet = missing.map(|line| Failure { line, message: "not yet built".into() });
    report.failures.into_iter().chain(not_yet).collect()
}

/// Runs a test.
pub fn run_with(text: &str, options: Options) -> Report {
    let lines: Vec<&str> = text.lines().map(|line| line.trim()).collect();
    let mut runner = Runner {
        options,
        source: MemorySource::new(),
        histograms: Vec::new(),
        start_times: Vec::new(),
        report: Report::default(),
    };
    let mut at = 0;
    while at < lines.len() {
        let line = lines[at];
        if line.is_empty() || line.starts_with('#') {
            at += 1;
            continue;
        }
        // A block ends at an empty line, or where the next command begins after a comment.
        let ends = |next: &usize| lines[*next].is_empty() || lines[*next].starts_with("eval") && lines[next - 1].starts_with('#');
        let block_end = (at + 1..lines.len()).find(ends).unwrap_or(lines.len());
        let block: Vec<&str> = lines[at + 1..block_end].iter().copied().filter(|line| !line.starts_with('#')).collect();
        let number = at + 1;
        if line == "clear" {
            runner.source.clear();
            runner.histograms.clear();
            runner.start_times.clear();
            at += 1;
            continue;
        }
        if line.starts_with("load") {
            runner.load(line, &block, number);
        } else if line.starts_with("eval") {
            runner.report.evals += 1;
            runner.eval(line, &block, number);
        } else {
            runner.fail(number, format!("`{line}` is no command: load, clear, eval"));
        }
        at = block_end;
    }
    runner.report
}

struct Runner {
    options: Options,
    source: MemorySource,
    /// Series that hold native histograms, which could not be loaded.
    histograms: Vec<Labels>,
    /// Series with start timestamps, which could not be loaded.
    start_times: Vec<Labels>,
    report: Report,
}

impl Runner {
    fn fail(&mut self, line: usize, message: impl Into<String>) {
        self.report.failures.push(Failure { line, message: message.into() });
    }

    fn load(&mut self, line: &str, block: &[&str], number: usize) {
        let (command, interval) = line.split_once(char::is_whitespace).unwrap_or((line, ""));
        let Some(interval) = time(interval).filter(|micros| *micros > 0) else {
            return self.fail(number, format!("`{interval}` is no interval"));
        };
        for line in block {
            let (labels_part, values) = split_series(line);
            let start_times = labels_part.ends_with("@st");
            let labels = match parse_series(labels_part.trim_end_matches("@st")) {
                Ok(series) => series.labels,
                Err(error) => {
                    self.fail(number, error.to_string());
                    continue;
                }
            };
            if let Some(base) = labels.metric().strip_suffix("_bucket").filter(|_| command == "load_with_nhcb") {
                self.histograms.push(labels.with(METRIC_NAME, base).without("le"));
            }
            if values.contains("{{") {
                self.histograms.push(labels);
            } else if start_times {
                self.start_times.push(labels);
            } else if let Err(error) = self.source.load_line(line, Duration::from_micros(interval as u64)) {
                self.fail(number, error.to_string());
            }
        }
    }

    fn eval(&mut self, line: &str, block: &[&str], number: usize) {
        let Some(case) = Case::read(line) else { return self.fail(number, format!("`{line}` is no eval command")) };
        let mut expected = match Expected::read(block) {
            Ok(expected) => expected,
            Err(message) => return self.fail(number, message),
        };
        match case.flavour {
            "fail" if expected.fail.is_none() => expected.fail = Some(Wanted::Any),
            "warn" => expected.warn.push(Wanted::Any),
            "info" => expected.info.push(Wanted::Any),
            "ordered" => expected.ordered = true,
            _ => {}
        }
        if reads(case.query, &self.histograms) || expected.values.iter().any(|line| line.contains("{{")) {
            self.report.native_histograms.push(number);
            return;
        }
        if reads(case.query, &self.start_times) {
            self.report.not_yet.push(number);
            return;
        }
        match self.judge(&case, &expected) {
            Ok(()) => {}
            Err(Verdict::NotYet) if about_histograms(case.query) => self.report.native_histograms.push(number),
            Err(Verdict::NotYet) => self.report.not_yet.push(number),
            Err(Verdict::Wrong(message)) => self.fail(number, format!("{}: {message}", case.query)),
        }
    }

    fn params(&self, start: i64, end: i64, step: i64) -> Params<'static> {
        let mut params = Params::range(Time(start), Time(end), Duration::from_micros(step as u64));
        params.delayed_name_removal = self.options.delayed_name_removal;
        params.lookback = self.options.lookback;
        params
    }

    fn judge(&self, case: &Case<'_>, expected: &Expected) -> Result<(), Verdict> {
        let params = self.params(case.start, case.end, case.step);
        let answer = match self.answer(case.query, &params) {
            Err(Verdict::Wrong(error)) => {
                return match &expected.fail {
                    // Without the place too: where a mistake is found is our own affair.
                    Some(wanted) if wanted.fits(&error) || wanted.fits(without_place(&error)) => Ok(()),
                    Some(wanted) => wrong(format!("failed with `{error}`, expected {}", wanted.shown())),
                    None => wrong(format!("failed: {error}")),
                };
            }
            other => other?,
        };
        if expected.fail.is_some() {
            return wrong(format!("should have failed, answered {:?}", answer.value));
        }
        remarks("warning", &answer.annotations.warnings, &expected.warn, expected.no_warn, case.query)?;
        remarks("info", &answer.annotations.infos, &expected.info, expected.no_info, case.query)?;
        compare(&answer.value, expected, case).map_err(Verdict::Wrong)?;
        self.also_as_range(case, &answer, expected)
    }

    fn answer(&self, query: &str, params: &Params<'_>) -> Result<Answer, Verdict> {
        let expr = crate::parse(query).map_err(|error| Verdict::Wrong(error.to_string()))?;
        evaluate(&expr, params, &self.source).map_err(|error| match error {
            EvalError::NotYet { .. } => Verdict::NotYet,
            other => Verdict::Wrong(other.to_string()),
        })
    }

    /// The same instant as the middle step of a range.
    fn also_as_range(&self, case: &Case<'_>, answer: &Answer, expected: &Expected) -> Result<(), Verdict> {
        let Value::Vector(wanted) = &answer.value else { return Ok(()) };
        let about_the_range =
            ["start()", "end()", "step()", "range()", "sort", "limitk"].iter().any(|word| case.query.contains(word));
        if case.step != 0 || expected.ordered || about_the_range {
            return Ok(());
        }
        let minute = 60_000_000;
        let params = self.params(case.start - minute, case.start + minute, minute);
        let Ok(answer) = self.answer(case.query, &params) else {
            // Another step of the range may fail on its own; the instant is judged already.
            return Ok(());
        };
        let Value::Matrix(series) = &answer.value else { return wrong("a range query that is no matrix") };
        let at = Time(case.start);
        let mut found: Vec<(Labels, f64)> = Vec::new();
        for series in series {
            let here = series.times.iter().position(|time| *time == at);
            found.extend(here.map(|place| (series.labels.clone(), series.values[place])));
        }
        let same = found.len() == wanted.len()
            && wanted
                .iter()
                .all(|sample| found.iter().any(|(labels, value)| *labels == sample.labels && near(*value, sample.value)));
        if same { Ok(()) } else { wrong(format!("as a range {found:?}, as an instant {wanted:?}")) }
    }
}

/// A parse error without its `line:column: `.
fn without_place(error: &str) -> &str {
    error.trim_start_matches(|letter: char| letter.is_ascii_digit() || letter == ':').trim_start()
}

/// Whether a query reads one of these series.
fn reads(query: &str, series: &[Labels]) -> bool {
    let selectors = crate::parse(query).map(|expr| crate::selectors(&expr)).unwrap_or_default();
    let read = |labels: &Labels| selectors.iter().any(|used| used.matchers.iter().all(|matcher| matcher.matches_labels(labels)));
    series.iter().any(read)
}

/// Whether a query calls what only native histograms have.
fn about_histograms(query: &str) -> bool {
    const ONLY: [&str; 5] = ["histogram_count", "histogram_sum", "histogram_avg", "histogram_stddev", "histogram_stdvar"];
    ONLY.iter().chain(&["</", ">/"]).any(|word| query.contains(word))
}

pub(super) enum Verdict {
    NotYet,
    Wrong(String),
}

pub(super) fn wrong<T>(message: impl Into<String>) -> Result<T, Verdict> {
    Err(Verdict::Wrong(message.into()))
}

/// A query of a test and when to evaluate it, in microseconds; the step is 0 for an instant.
pub(super) struct Case<'a> {
    pub(super) flavour: &'a str,
    pub(super) start: i64,
    pub(super) end: i64,
    pub(super) step: i64,
    pub(super) query: &'a str,
}

impl<'a> Case<'a> {
    fn read(line: &'a str) -> Option<Case<'a>> {
        let (command, rest) = word(line);
        let flavour = command.strip_prefix("eval")?.trim_start_matches('_');
        let (kind, rest) = word(rest);
        match kind {
            "instant" => {
                let (at, query) = match rest.strip_prefix("at ") {
                    Some(rest) => word(rest),
                    None => ("0", rest),
                };
                let at = time(at)?;
                Some(Case { flavour, start: at, end: at, step: 0, query })
            }
            "range" => {
                let mut times = [0; 3];
                let mut rest = rest;
                for (place, name) in ["from", "to", "step"].into_iter().enumerate() {
                    let (found, after) = word(rest);
                    let (value, after) = word(after);
                    times[place] = time(value).filter(|_| found == name)?;
                    rest = after;
                }
                Some(Case { flavour, start: times[0], end: times[1], step: times[2], query: rest })
            }
            _ => None,
        }
    }
}

pub(super) fn word(text: &str) -> (&str, &str) {
    let text = text.trim_start();
    let end = text.find(char::is_whitespace).unwrap_or(text.len());
    (&text[..end], text[end..].trim_start())
}

/// The labels of a series line, and its values.
fn split_series(line: &str) -> (&str, &str) {
    let mut quote = None;
    let mut depth = 0;
    for (place, letter) in line.char_indices() {
        match (quote, letter) {
            (Some(open), _) if open == letter => quote = None,
            (Some(_), _) => {}
            (None, '"' | '\'' | '`') => quote = Some(letter),
            (None, '{') => depth += 1,
            (None, '}') => depth -= 1,
            (None, _) if letter.is_whitespace() && depth == 0 => return line.split_at(place),
            _ => {}
        }
    }
    (line, "")
}

/// Microseconds of `5m`, `-10s` or a number of seconds.
pub(super) fn time(text: &str) -> Option<i64> {
    let text = text.trim();
    let (sign, digits) = text.strip_prefix('-').map_or((1, text), |rest| (-1, rest));
    let millis = crate::literal::duration(digits).map(|millis| millis as f64);
    let millis = millis.or_else(|| crate::literal::number(digits).map(|seconds| seconds * 1e3))?;
    Some(sign * (millis * 1e3).round() as i64)
}
