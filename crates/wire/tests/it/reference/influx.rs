//! Line protocol, byte by byte: what each line makes, or that it makes nothing.

use std::collections::{BTreeMap, BTreeSet};

use model::labels::{LABEL_LEN_MAX, LABELS_MAX};
use model::{Labels, Time};
use wire::influx::{Lines, Options, Precision};

use super::{Sample, secret, shown};

const NOW: Time = Time(42);

/// Holds our decoder to this one.
pub fn agree(body: &[u8]) {
    let options = Options::new(Precision::Seconds, NOW);
    let (wanted, wanted_bad) = read(body, &options);
    for rows_at_once in [1, 1_000] {
        let secret = secret();
        let mut lines = Lines::new(body, &secret, Options { rows_at_once, ..options.clone() }, Vec::new());
        let (mut samples, mut faults) = (Vec::new(), Vec::new());
        while lines.advance() {
            shown(&lines, &mut samples, &mut faults);
        }
        let report = lines.finish().1;
        faults.extend(report.errors.iter().map(ToString::to_string));
        let number = |fault: &String| fault["line ".len()..].split(',').next().and_then(|word| word.parse().ok()).unwrap_or(0);
        let bad: BTreeSet<usize> = faults.iter().map(number).collect();
        let about = || String::from_utf8_lossy(body).into_owned();
        assert_eq!(samples, wanted, "{:?}", about());
        if report.failed <= report.errors.len() {
            assert_eq!(bad, wanted_bad, "{:?}", about());
        }
    }
}

fn read(body: &[u8], options: &Options) -> (Vec<Sample>, BTreeSet<usize>) {
    let (mut samples, mut bad) = (Vec::new(), BTreeSet::new());
    let mut start = 0;
    while start < body.len() {
        let number = body[..start].iter().filter(|byte| **byte == b'\n').count() + 1;
        let first_end = body[start..].iter().position(|byte| *byte == b'\n').map_or(body.len(), |len| start + len);
        let mut line = Line { body, at: start, options };
        start = match line.read(&body[start..first_end]) {
            Some(Ok(found)) => {
                samples.extend(found);
                line.at + 1
            }
            // What its tags are wrong about costs the line, and where it ends is known.
            Some(Err(())) => {
                bad.insert(number);
                line.at + 1
            }
            None => {
                bad.insert(number);
                first_end + 1
            }
        };
    }
    (samples, bad)
}

struct Line<'a> {
    body: &'a [u8],
    at: usize,
    options: &'a Options,
}

impl Line<'_> {
    fn peek(&self) -> u8 {
        // The end of the body is the end of a line.
        self.body.get(self.at).copied().unwrap_or(b'\n')
    }

    fn skip(&mut self, which: &[u8]) {
        while self.at < self.body.len() && which.contains(&self.peek()) {
            self.at += 1;
        }
    }

    /// Raw bytes up to one of `stops` that is not escaped.
    fn raw(&mut self, stops: &[u8]) -> Vec<u8> {
        let mut raw = Vec::new();
        while self.peek() != b'\n' && !stops.contains(&self.peek()) {
            raw.push(self.peek());
            if self.peek() == b'\\' && matches!(self.body.get(self.at + 1), Some(b',' | b'=' | b' ')) {
                self.at += 1;
                raw.push(self.peek());
            }
            self.at += 1;
        }
        raw
    }

    /// Samples of one line; `Err` for tags that are wrong, `None` for anything else.
    fn read(&mut self, shown: &[u8]) -> Option<Result<Vec<Sample>, ()>> {
        if shown.trim_ascii_start().is_empty() {
            self.skip(b" \t\r\x0c");
            return Some(Ok(Vec::new()));
        }
        if shown.trim_ascii_start()[0] == b'#' {
            self.at += shown.len();
            return Some(Ok(Vec::new()));
        }
        if str::from_utf8(self.body).is_err() {
            str::from_utf8(shown).ok()?;
        }
        self.skip(b" ");
        let key = self.raw(b" ");
        self.skip(b" ");
        let mut fields = Vec::new();
        let mut count = 0;
        loop {
            count += 1;
            if count > self.options.fields_max {
                return None;
            }
            let name = self.raw(b",= ");
            if name.is_empty() || self.peek() != b'=' || str::from_utf8(&name).is_err() {
                return None;
            }
            let measurement = parts(&key, b',').remove(0);
            let longest = measurement.len() + 1 + plain(&name).len();
            if measurement.len() <= LABEL_LEN_MAX && longest > LABEL_LEN_MAX {
                return None;
            }
            self.at += 1;
            if let Some(value) = self.value()? {
                fields.push((plain(&name), value));
            }
            if self.peek() != b',' {
                break;
            }
            self.at += 1;
        }
        let time = self.time()?;
        if fields.is_empty() {
            return Some(Ok(Vec::new()));
        }
        Some(labels(&key).and_then(|(measurement, tags)| {
            let series = |field: &str| {
                let mut pairs = tags.clone();
                pairs.insert("__name__".into(), format!("{measurement}_{field}"));
                Labels::new(pairs).map(|labels| labels.to_string()).map_err(drop)
            };
            fields.iter().map(|(field, value)| Ok((series(field)?, time.0, value.to_bits()))).collect()
        }))
    }

    /// A value; `Some(None)` for a text.
    fn value(&mut self) -> Option<Option<f64>> {
        if self.peek() == b'"' && self.at < self.body.len() {
            loop {
                self.at += 1;
                match self.body.get(self.at)? {
                    b'"' => break,
                    b'\\' => self.at += 1,
                    _ => {}
                }
            }
            self.at += 1;
            return self.value_ends().then_some(None);
        }
        let start = self.at;
        while !matches!(self.peek(), b',' | b' ' | b'\n') {
            self.at += 1;
        }
        let mut word = &self.body[start..self.at];
        if self.peek() == b'\n' {
            word = word.trim_ascii_end();
            self.at = start + word.len();
        }
        let word = str::from_utf8(word).ok()?;
        Some(Some(match word {
            "t" | "T" | "true" | "True" | "TRUE" => 1.0,
            "f" | "F" | "false" | "False" | "FALSE" => 0.0,
            _ if word.ends_with('i') => word[..word.len() - 1].parse::<i64>().ok()? as f64,
            _ if word.ends_with('u') => word[..word.len() - 1].parse::<u64>().ok()? as f64,
            _ => word.parse::<f64>().ok().filter(|value| value.is_finite())?,
        }))
    }

    fn value_ends(&self) -> bool {
        let rest = &self.body[self.at..];
        let line = rest.split(|byte| *byte == b'\n').next().unwrap_or_default();
        matches!(self.peek(), b',' | b' ' | b'\n') || line.trim_ascii().is_empty()
    }

    fn time(&mut self) -> Option<Time> {
        self.skip(b" ");
        let start = self.at;
        while self.peek() != b'\n' {
            self.at += 1;
        }
        let word = str::from_utf8(self.body[start..self.at].trim_ascii_end()).ok()?;
        if word.is_empty() {
            return Some(self.options.default_time);
        }
        word.parse::<i64>().ok()?.checked_mul(1_000_000).map(Time)
    }
}

/// Raw bytes cut at a byte that is not escaped.
fn parts(raw: &[u8], at: u8) -> Vec<Vec<u8>> {
    let (mut parts, mut place) = (vec![Vec::new()], 0);
    while place < raw.len() {
        let escaped = raw[place] == b'\\' && matches!(raw.get(place + 1), Some(b',' | b'=' | b' '));
        if escaped {
            parts.last_mut().unwrap().extend([raw[place], raw[place + 1]]);
            place += 2;
            continue;
        }
        match raw[place] == at {
            true => parts.push(Vec::new()),
            false => parts.last_mut().unwrap().push(raw[place]),
        }
        place += 1;
    }
    parts
}

/// Without escapes.
fn plain(raw: &[u8]) -> String {
    let mut plain = Vec::new();
    let mut place = 0;
    while place < raw.len() {
        if raw[place] == b'\\' && matches!(raw.get(place + 1), Some(b',' | b'=' | b' ')) {
            place += 1;
        }
        plain.push(raw[place]);
        place += 1;
    }
    String::from_utf8_lossy(&plain).into_owned()
}

fn labels(key: &[u8]) -> Result<(String, BTreeMap<String, String>), ()> {
    let mut parts = parts(key, b',').into_iter();
    let measurement = plain(&parts.next().unwrap_or_default());
    if measurement.is_empty() || measurement.len() > LABEL_LEN_MAX {
        return Err(());
    }
    let mut tags = BTreeMap::new();
    for part in parts {
        let pair = self::parts(&part, b'=');
        let [name, value] = pair.as_slice() else { return Err(()) };
        let (name, value) = (plain(name), plain(value));
        let too_long = name.len().max(value.len()) > LABEL_LEN_MAX;
        if name.is_empty() || value.is_empty() || name == "__name__" || too_long || tags.insert(name, value).is_some() {
            return Err(());
        }
    }
    if tags.len() >= LABELS_MAX {
        return Err(());
    }
    Ok((measurement, tags))
}
