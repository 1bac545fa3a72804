//! The notation of test series: `http_requests{job="a"} 0+10x10 stale _ 5 NaN`.

use model::Labels;
use model::labels::METRIC_NAME;
use model::sample::STALE_NAN;

use crate::literal;

/// Most values that one line may unfold to.
const VALUES_MAX: usize = 1_000_000;

/// Why a line of test series could not be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("read the series `{line}`: {reason}")]
pub struct NotationError {
    /// The line, cut.
    pub line: String,
    /// What is wrong with it.
    pub reason: String,
}

/// A series as a test writes it.
#[derive(Clone, Debug, PartialEq)]
pub struct SeriesLine {
    /// Its labels.
    pub labels: Labels,
    /// Its values, one per interval; none where there is no sample.
    pub values: Vec<Option<f64>>,
}

/// Reads `name{label="value"} values`. The name may be missing, values may unfold (`0+10x10`), `_` is no sample and
/// `stale` a staleness marker.
pub fn parse_series(line: &str) -> Result<SeriesLine, NotationError> {
    let fail = |reason: String| NotationError { line: line.chars().take(120).collect(), reason };
    let line_text = line.trim();
    let end_of_name = line_text.find(|letter: char| letter == '{' || letter.is_whitespace()).unwrap_or(line_text.len());
    let (name, mut rest) = line_text.split_at(end_of_name);
    let mut pairs: Vec<(String, String)> = Vec::new();
    if !name.is_empty() {
        pairs.push((METRIC_NAME.into(), name.into()));
    }
    if let Some(inside) = rest.strip_prefix('{') {
        rest = labels(inside, &mut pairs).map_err(fail)?;
    }
    let labels = Labels::new(pairs).map_err(|error| fail(error.to_string()))?;
    let mut values = Vec::new();
    for item in rest.split_whitespace() {
        unfold(item, &mut values).map_err(fail)?;
    }
    Ok(SeriesLine { labels, values })
}

/// Reads labels up to the closing brace and returns what follows it.
fn labels<'a>(mut rest: &'a str, pairs: &mut Vec<(String, String)>) -> Result<&'a str, String> {
    loop {
        rest = rest.trim_start();
        if let Some(after) = rest.strip_prefix('}') {
            return Ok(after);
        }
        let (name, after, quoted) = match rest.chars().next() {
            Some('"' | '\'' | '`') => {
                let (name, after) = string(rest)?;
                (name, after, true)
            }
            _ => {
                let end = rest.find(|letter: char| !(letter.is_ascii_alphanumeric() || letter == '_' || letter == ':'));
                let (name, after) = rest.split_at(end.unwrap_or(rest.len()));
                (name.to_string(), after, false)
            }
        };
        let after = after.trim_start();
        rest = match after.strip_prefix('=') {
            Some(value) => {
                let (value, after) = string(value.trim_start())?;
                pairs.push((name, value));
                after
            }
            None if quoted => {
                pairs.push((METRIC_NAME.into(), name));
                after
            }
            None => return Err("a label needs `=` and a quoted value".into()),
        }
        .trim_start();
        rest = rest.strip_prefix(',').unwrap_or(rest);
    }
}

fn string(text: &str) -> Result<(String, &str), String> {
    let quote = text.chars().next().filter(|quote| "\"'`".contains(*quote)).ok_or("a value must be quoted")?;
    let mut escaped = false;
    for (place, letter) in text.char_indices().skip(1) {
        if escaped {
            escaped = false;
        } else if letter == '\\' && quote != '`' {
            escaped = true;
        } else if letter == quote {
            let value = literal::unquote(&text[..=place]).map_err(|(_, sentence)| sentence.to_string())?;
            return Ok((value, &text[place + 1..]));
        }
    }
    Err("a quote is not closed".into())
}

fn unfold(item: &str, values: &mut Vec<Option<f64>>) -> Result<(), String> {
    if item.starts_with("{{") {
        return Err("not yet: native histograms".into());
    }
    let (base, times) = match item.rsplit_once('x') {
        Some((base, times)) => (base, Some(times.parse::<usize>().map_err(|_| format!("`{times}` is no number of times"))?)),
        None => (item, None),
    };
    if values.len() + times.unwrap_or(0) > VALUES_MAX {
        return Err(format!("more than {VALUES_MAX} values"));
    }
    if base == "_" {
        values.resize(values.len() + times.unwrap_or(1), None);
        return Ok(());
    }
    let (start, step) = match (value(base), times) {
        (Some(start), _) => (start, 0.0),
        (None, Some(_)) => start_and_step(base).ok_or_else(|| format!("`{item}` is no value"))?,
        (None, None) => return Err(format!("`{item}` is no value")),
    };
    let mut current = start;
    for place in 0..=times.unwrap_or(0) {
        if place > 0 && step != 0.0 {
            current += step;
        }
        values.push(Some(current));
    }
    Ok(())
}

/// `1+2` or `1-2`; the sign may also belong to an exponent.
fn start_and_step(text: &str) -> Option<(f64, f64)> {
    let signs = text.char_indices().skip(1).filter(|(_, letter)| matches!(letter, '+' | '-'));
    let mut split = signs.map(|(place, _)| text.split_at(place));
    split.find_map(|(start, step)| Some((value(start)?, value(step)?)))
}

fn value(text: &str) -> Option<f64> {
    if text == "stale" {
        return Some(STALE_NAN);
    }
    let (sign, digits) = match text.as_bytes().first()? {
        b'-' => (-1.0, &text[1..]),
        b'+' => (1.0, &text[1..]),
        _ => (1.0, text),
    };
    let plain = literal::number(digits).or_else(|| literal::duration(digits).map(|millis| millis as f64 / 1e3))?;
    Some(sign * plain)
}

#[cfg(test)]
mod tests {
    use model::sample::is_stale;

    use super::*;

    #[test]
    fn values_unfold() {
        let line = parse_series("x{a=\"b c\", \"d.e\"='f'} 0+10x2 1-0.5x1 5x1 _ _x2 1e-3+1x1 NaN -Inf stale 7").unwrap();
        assert_eq!(line.labels.to_string(), "x{a=\"b c\", d.e=\"f\"}");
        let shown: Vec<String> = line
            .values
            .iter()
            .map(|v| v.map_or("_".into(), |v| if is_stale(v) { "stale".into() } else { v.to_string() }))
            .collect();
        assert_eq!(shown.join(" "), "0 10 20 1 0.5 5 5 _ _ _ 0.001 1.001 NaN -inf stale 7");
    }

    #[test]
    fn bad_lines_say_why() {
        for line in ["x{a=b} 1", "x{a=\"b\" 1", "x 1z", "x 1xy", "x {{schema:0}}", "x 1x99999999"] {
            assert!(parse_series(line).is_err(), "{line}");
        }
    }
}
