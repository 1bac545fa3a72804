//! What a test expects of a query, and whether the answer is that.

use model::Time;

use super::notation::parse_series;
use super::promqltest::{Case, Verdict, time, word, wrong};
use crate::value::{Annotation, Value};

/// What a test expects of a query.
#[derive(Default)]
pub(super) struct Expected {
    pub(super) fail: Option<Wanted>,
    pub(super) ordered: bool,
    pub(super) warn: Vec<Wanted>,
    pub(super) info: Vec<Wanted>,
    pub(super) no_warn: bool,
    pub(super) no_info: bool,
    pub(super) text: Option<String>,
    /// Start, end and step of an expected range vector, microseconds.
    pub(super) range: Option<(i64, i64, i64)>,
    /// Lines of series, or one number.
    pub(super) values: Vec<String>,
}

pub(super) enum Wanted {
    Any,
    Exactly(String),
    Regex(regex::Regex),
}

impl Wanted {
    pub(super) fn fits(&self, text: &str) -> bool {
        match self {
            Wanted::Any => true,
            Wanted::Exactly(wanted) => text == wanted,
            Wanted::Regex(pattern) => pattern.is_match(text),
        }
    }

    pub(super) fn shown(&self) -> String {
        match self {
            Wanted::Any => "any".into(),
            Wanted::Exactly(wanted) => format!("`{wanted}`"),
            Wanted::Regex(pattern) => format!("/{pattern}/"),
        }
    }
}

impl Expected {
    pub(super) fn read(block: &[&str]) -> Result<Expected, String> {
        let mut expected = Expected::default();
        for line in block {
            if let Some(rest) = line.strip_prefix("expect string ") {
                let text = crate::literal::unquote(rest.trim()).map_err(|(_, sentence)| sentence.to_string())?;
                expected.text = Some(text);
            } else if let Some(rest) = line.strip_prefix("expect range vector ") {
                let words: Vec<&str> = rest.split_whitespace().collect();
                let times = match words[..] {
                    ["from", start, "to", end, "step", step] => [time(start), time(end), time(step)],
                    _ => [None; 3],
                };
                let [Some(start), Some(end), Some(step)] = times else { return Err(format!("`{line}` is no expectation")) };
                expected.range = Some((start, end, step));
            } else if let Some(rest) = line.strip_prefix("expect ") {
                expected.read_one(rest)?;
            } else if let Some(rest) = line.strip_prefix("expected_fail_message ") {
                expected.fail = Some(Wanted::Exactly(rest.trim().into()));
            } else if let Some(rest) = line.strip_prefix("expected_fail_regexp ") {
                expected.fail = Some(Wanted::Regex(pattern(rest)?));
            } else {
                expected.values.push(line.to_string());
            }
        }
        Ok(expected)
    }

    fn read_one(&mut self, rest: &str) -> Result<(), String> {
        let (kind, how) = word(rest);
        let wanted = match how.split_once(':') {
            Some(("msg", text)) => Wanted::Exactly(text.trim().into()),
            Some(("regex", text)) => Wanted::Regex(pattern(text)?),
            _ => Wanted::Any,
        };
        match kind {
            "ordered" => self.ordered = true,
            "fail" => self.fail = Some(wanted),
            "warn" => self.warn.push(wanted),
            "info" => self.info.push(wanted),
            "no_warn" => self.no_warn = true,
            "no_info" => self.no_info = true,
            other => return Err(format!("`expect {other}` is not known")),
        }
        Ok(())
    }
}

fn pattern(text: &str) -> Result<regex::Regex, String> {
    regex::Regex::new(text.trim()).map_err(|error| error.to_string())
}

pub(super) fn remarks(what: &str, found: &[Annotation], wanted: &[Wanted], none: bool, query: &str) -> Result<(), Verdict> {
    let rendered: Vec<String> = found.iter().map(|remark| remark.render(query)).collect();
    if none && !found.is_empty() {
        return wrong(format!("unexpected {what}: {rendered:?}"));
    }
    // Older tests name the sentence only, newer ones its place too.
    let fits = |wanted: &Wanted, (remark, rendered): (&Annotation, &String)| wanted.fits(rendered) || wanted.fits(&remark.text);
    let all = || found.iter().zip(&rendered);
    if let Some(missing) = wanted.iter().find(|wanted| !all().any(|remark| fits(wanted, remark))) {
        return wrong(format!("no {what} like {}, only {rendered:?}", missing.shown()));
    }
    if !wanted.is_empty() && all().any(|remark| !wanted.iter().any(|wanted| fits(wanted, remark))) {
        return wrong(format!("a {what} too many: {rendered:?}"));
    }
    Ok(())
}

pub(super) fn compare(value: &Value, expected: &Expected, case: &Case<'_>) -> Result<(), String> {
    match value {
        Value::String(text) => match &expected.text {
            Some(wanted) if wanted == text => Ok(()),
            wanted => Err(format!("answered {text:?}, expected {wanted:?}")),
        },
        Value::Scalar { value, .. } => {
            let [wanted] = &expected.values[..] else { return Err(format!("answered the scalar {value}, expected none")) };
            let wanted = parse_series(&format!("{{}} {wanted}")).map_err(|error| error.to_string())?.values;
            match wanted[..] {
                [Some(wanted)] if near(wanted, *value) => Ok(()),
                _ => Err(format!("answered the scalar {value}, expected {wanted:?}")),
            }
        }
        Value::Vector(samples) => compare_vector(samples, expected),
        Value::Matrix(series) => {
            let (start, step) = match expected.range {
                Some((start, _, step)) => (start, step),
                None if case.step == 0 => return Err("answered a range vector, expected none".into()),
                None => (case.start, case.step),
            };
            compare_matrix(series, expected, start, step)
        }
    }
}

fn compare_vector(samples: &[crate::value::VectorSample], expected: &Expected) -> Result<(), String> {
    let mut wanted = Vec::new();
    for line in &expected.values {
        let series = parse_series(line).map_err(|error| error.to_string())?;
        let [value] = series.values[..] else { return Err(format!("`{line}` needs one value for an instant")) };
        wanted.push((series.labels, value));
    }
    let shown = || -> Vec<String> { samples.iter().map(|sample| format!("{} {}", sample.labels, sample.value)).collect() };
    if wanted.len() != samples.len() {
        return Err(format!("answered {} series, expected {}: {:?}", samples.len(), wanted.len(), shown()));
    }
    for (place, (labels, value)) in wanted.iter().enumerate() {
        let found = match expected.ordered {
            true => samples.get(place).filter(|sample| sample.labels == *labels),
            false => samples.iter().find(|sample| sample.labels == *labels),
        };
        let fits = found.zip(*value).is_some_and(|(sample, value)| near(value, sample.value));
        if !fits {
            return Err(format!("expected {labels} {value:?}, answered {:?}", shown()));
        }
    }
    Ok(())
}

fn compare_matrix(found: &[crate::value::Series], expected: &Expected, start: i64, step: i64) -> Result<(), String> {
    let shown = || -> Vec<String> {
        let cell = |(time, value): (&Time, &f64)| format!("{value}@{}", time.0 / 1_000_000);
        let cells =
            |series: &crate::value::Series| series.times.iter().zip(&series.values).map(cell).collect::<Vec<_>>().join(" ");
        found.iter().map(|series| format!("{} {}", series.labels, cells(series))).collect()
    };
    if expected.values.len() != found.len() {
        return Err(format!("answered {} series, expected {}: {:?}", found.len(), expected.values.len(), shown()));
    }
    for line in &expected.values {
        let wanted = parse_series(line).map_err(|error| error.to_string())?;
        let Some(series) = found.iter().find(|series| series.labels == wanted.labels) else {
            return Err(format!("expected {}, answered {:?}", wanted.labels, shown()));
        };
        let cells =
            wanted.values.iter().enumerate().filter_map(|(place, value)| value.map(|value| (start + step * place as i64, value)));
        let cells: Vec<(i64, f64)> = cells.collect();
        let same = cells.len() == series.times.len()
            && cells
                .iter()
                .zip(series.times.iter().zip(&series.values))
                .all(|(want, (time, value))| want.0 == time.0 && near(want.1, *value));
        if !same {
            return Err(format!("expected `{line}`, answered {:?}", shown()));
        }
    }
    Ok(())
}

/// Equal up to a millionth; NaN equals NaN.
pub(super) fn near(a: f64, b: f64) -> bool {
    const SHARE: f64 = 1e-6;
    if a.is_nan() || b.is_nan() {
        return a.is_nan() && b.is_nan();
    }
    if a == b {
        return true;
    }
    if a.is_infinite() || b.is_infinite() {
        return false;
    }
    let difference = (a - b).abs();
    if a == 0.0 || b == 0.0 {
        return difference < SHARE * f64::MIN_POSITIVE;
    }
    difference / (a.abs() + b.abs()).min(f64::MAX) < SHARE
}
