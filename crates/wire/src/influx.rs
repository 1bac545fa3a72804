//! Influx line protocol to samples: `measurement,tag=a field=1,other=2i 1795000000000000000`.
//!
//! A field becomes the series `measurement_field` with the tags as labels, as VictoriaMetrics names it. A line is taken
//! whole or not at all. Works on the body as it lies there: texts are copied only where an escape must be taken out,
//! into memory that the [`Decoder`] uses again, so a sample costs no allocation beside the batch's own growth.

use std::fmt::Write;

use model::labels::{LABELS_MAX, LabelsError, METRIC_NAME};
use model::{SampleBatch, Time};

use crate::report::{Fault, Report};
use crate::text::{PairsMemory, Piece};

/// The unit of a body's timestamps.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Precision {
    /// Billionths of a second; what is below a microsecond is cut off.
    #[default]
    Nanoseconds,
    /// Millionths.
    Microseconds,
    /// Thousandths.
    Milliseconds,
    /// Seconds.
    Seconds,
    /// Minutes.
    Minutes,
    /// Hours.
    Hours,
}

impl Precision {
    /// Reads the `precision` parameter of any version of the API; an empty one means nanoseconds.
    pub fn parse(word: &str) -> Option<Precision> {
        Some(match word {
            "" | "n" | "ns" | "nanosecond" => Precision::Nanoseconds,
            "u" | "us" | "µ" | "µs" | "microsecond" => Precision::Microseconds,
            "ms" | "millisecond" => Precision::Milliseconds,
            "s" | "second" => Precision::Seconds,
            "m" => Precision::Minutes,
            "h" => Precision::Hours,
            _ => return None,
        })
    }

    fn time(self, stamp: i64) -> Option<Time> {
        let micros = match self {
            Precision::Nanoseconds => return Some(Time(stamp.div_euclid(1_000))),
            Precision::Microseconds => return Some(Time(stamp)),
            Precision::Milliseconds => 1_000,
            Precision::Seconds => 1_000_000,
            Precision::Minutes => 60_000_000,
            Precision::Hours => 3_600_000_000,
        };
        stamp.checked_mul(micros).map(Time)
    }
}

/// What becomes of fields that hold a text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Strings {
    /// Left out and counted; the line's other fields are taken.
    #[default]
    Refuse,
    /// Taken if the text is a number, else left out and counted.
    Numbers,
}

/// How to decode.
#[derive(Debug, Clone)]
pub struct Options {
    /// What becomes of texts.
    pub strings: Strings,
    /// Longest line, in bytes.
    pub line_len_max: usize,
    /// Most fields in one line.
    pub fields_max: usize,
    /// Most bytes of series keys that one body may stand for: each field repeats its line's tags.
    pub key_bytes_max: usize,
}

impl Default for Options {
    fn default() -> Options {
        Options { strings: Strings::Refuse, line_len_max: 1024 * 1024, fields_max: 4_096, key_bytes_max: 256 * 1024 * 1024 }
    }
}

/// Decodes a body; for many bodies keep a [`Decoder`].
pub fn decode(body: &[u8], precision: Precision, default_time: Time, options: &Options, out: &mut SampleBatch) -> Report {
    Decoder::default().decode(body, precision, default_time, options, out)
}

/// Decodes bodies, and uses its memory again.
#[derive(Debug, Default)]
pub struct Decoder {
    line: Line,
    pairs: PairsMemory,
}

impl Decoder {
    /// Adds the samples of `body` to `out`. Lines without a timestamp get `default_time`.
    pub fn decode(
        &mut self,
        body: &[u8],
        precision: Precision,
        default_time: Time,
        options: &Options,
        out: &mut SampleBatch,
    ) -> Report {
        let mut report = Report::default();
        let mut key_bytes = 0;
        let (mut start, mut number) = (0, 1);
        while start < body.len() {
            let first_end = next(b'\n', body, start);
            let end = line_end(body, start, first_end, options.line_len_max);
            let text = body[start..end].trim_ascii_end();
            let mut went_to = end;
            if !matches!(text.trim_ascii_start().first(), None | Some(b'#')) {
                let taken = self.take_line(text, precision, default_time, options, &mut key_bytes, &mut report, out);
                if let Err(mut fault) = taken {
                    // A text over several lines may be a quote that was forgotten: what follows gets its own chance.
                    went_to = first_end;
                    let shown = body[start..first_end].trim_ascii_end();
                    if fault.at > shown.len() {
                        fault = Fault::new(shown.len(), "a quoted text reaches over the line's end and does not fit there");
                    }
                    report.refuse(number, shown, fault);
                }
            }
            number += memchr::memchr_iter(b'\n', &body[start..went_to]).count() + 1;
            start = went_to + 1;
        }
        report
    }

    #[allow(clippy::too_many_arguments)]
    fn take_line(
        &mut self,
        text: &[u8],
        precision: Precision,
        default_time: Time,
        options: &Options,
        key_bytes: &mut usize,
        report: &mut Report,
        out: &mut SampleBatch,
    ) -> Result<(), Fault> {
        if text.len() > options.line_len_max {
            return Err(Fault::new(0, format!("a line of {} bytes, {} at most", text.len(), options.line_len_max)));
        }
        let text = str::from_utf8(text).map_err(|error| Fault::new(error.valid_up_to(), "not UTF-8"))?;
        self.line.parse(text, options)?;
        let time = match self.line.stamp {
            None => default_time,
            Some((at, stamp)) => precision.time(stamp).ok_or_else(|| Fault::new(at, "the timestamp is out of range"))?,
        };
        *key_bytes += self.line.key_bytes();
        if *key_bytes > options.key_bytes_max {
            return Err(Fault::new(0, format!("the body stands for more than {} bytes of series keys", options.key_bytes_max)));
        }
        self.line.name_series(text);
        let mut pairs = self.pairs.lend();
        let pushed = self.line.push(text, time, &mut pairs, out);
        self.pairs.take_back(pairs);
        report.accepted += pushed?;
        report.refused_strings += self.line.texts;
        Ok(())
    }
}

/// The parts of one line; its vectors are used again for the next.
#[derive(Debug, Default)]
struct Line {
    scratch: String,
    measurement: Piece,
    tags: Vec<(Piece, Piece)>,
    fields: Vec<(Piece, f64)>,
    /// `measurement_field` of all fields, one behind the other, and where each ends.
    names: String,
    name_ends: Vec<usize>,
    stamp: Option<(usize, i64)>,
    /// How many fields hold a text and are left out.
    texts: usize,
}

impl Line {
    fn parse(&mut self, text: &str, options: &Options) -> Result<(), Fault> {
        self.scratch.clear();
        self.tags.clear();
        self.fields.clear();
        self.texts = 0;
        self.stamp = None;
        let bytes = text.as_bytes();

        let start = skip_blanks(bytes, 0);
        let (measurement, mut at) = self.piece(text, start, b", ");
        if measurement.is_empty() {
            return Err(Fault::new(start, "the measurement is missing"));
        }
        if measurement.is_too_long() {
            return Err(Fault::new(start, "the measurement is too long"));
        }
        self.measurement = measurement;
        while bytes.get(at) == Some(&b',') {
            at = self.tag(text, at + 1)?;
        }
        at = skip_blanks(bytes, at);
        if at == bytes.len() {
            return Err(Fault::new(at, "the fields are missing"));
        }
        loop {
            if self.fields.len() + self.texts >= options.fields_max {
                return Err(Fault::new(at, format!("more than {} fields", options.fields_max)));
            }
            at = self.field(text, at, options.strings)?;
            match bytes.get(at) {
                Some(b',') => at += 1,
                _ => break,
            }
        }
        at = skip_blanks(bytes, at);
        if at < bytes.len() {
            let stamp = parse_stamp(&text[at..]).map_err(|reason| Fault::new(at, reason))?;
            self.stamp = Some((at, stamp));
        }
        Ok(())
    }

    fn tag(&mut self, text: &str, start: usize) -> Result<usize, Fault> {
        let bytes = text.as_bytes();
        let (name, at) = self.piece(text, start, b",= ");
        if bytes.get(at) != Some(&b'=') {
            return Err(Fault::new(at, "a tag is name=value"));
        }
        let (value, end) = self.piece(text, at + 1, b",= ");
        if name.is_empty() {
            return Err(Fault::new(start, "a tag has no name"));
        }
        if value.is_empty() {
            return Err(Fault::new(at + 1, "a tag has no value"));
        }
        if bytes.get(end) == Some(&b'=') {
            return Err(Fault::new(end, "a `=` in a tag's value must be escaped"));
        }
        if name.is_too_long() || value.is_too_long() {
            return Err(Fault::new(start, "a tag is too long"));
        }
        if name.of(text, &self.scratch) == METRIC_NAME {
            return Err(Fault::new(start, "a tag can't be called __name__"));
        }
        // One is kept for the name.
        if self.tags.len() + 1 >= LABELS_MAX {
            return Err(Fault::new(start, format!("more than {} tags", LABELS_MAX - 1)));
        }
        self.tags.push((name, value));
        Ok(end)
    }

    fn field(&mut self, text: &str, start: usize, strings: Strings) -> Result<usize, Fault> {
        let bytes = text.as_bytes();
        let (name, at) = self.piece(text, start, b",= ");
        if bytes.get(at) != Some(&b'=') {
            return Err(Fault::new(at, "a field is name=value"));
        }
        if name.is_empty() {
            return Err(Fault::new(start, "a field has no name"));
        }
        if self.measurement.len() + 1 + name.len() > model::labels::LABEL_LEN_MAX {
            return Err(Fault::new(start, "measurement and field together are too long"));
        }
        let from = at + 1;
        if bytes.get(from) == Some(&b'"') {
            let end = string_end(bytes, from + 1).ok_or_else(|| Fault::new(from, "the quote is never closed"))?;
            let number = match strings {
                Strings::Refuse => None,
                Strings::Numbers => number(&text[from + 1..end]),
            };
            match number {
                Some(value) => self.fields.push((name, value)),
                None => self.texts += 1,
            }
            if !matches!(bytes.get(end + 1), None | Some(b',' | b' ')) {
                return Err(Fault::new(end + 1, "something follows the closing quote"));
            }
            return Ok(end + 1);
        }
        let len = bytes[from..].iter().position(|byte| matches!(byte, b',' | b' ')).unwrap_or(bytes.len() - from);
        let value = parse_value(&text[from..from + len]).map_err(|reason| Fault::new(from, reason))?;
        self.fields.push((name, value));
        Ok(from + len)
    }

    /// The text from `start` up to one of `stops`, with escapes of `,`, `=` and blank taken out; other backslashes stay.
    fn piece(&mut self, text: &str, start: usize, stops: &[u8]) -> (Piece, usize) {
        let bytes = text.as_bytes();
        let mut at = start;
        while at < bytes.len() && bytes[at] != b'\\' && !stops.contains(&bytes[at]) {
            at += 1;
        }
        if bytes.get(at) != Some(&b'\\') {
            return (Piece::line(start, at), at);
        }
        let scratch_start = self.scratch.len();
        let mut copied = start;
        while at < bytes.len() && !stops.contains(&bytes[at]) {
            if bytes[at] == b'\\' && matches!(bytes.get(at + 1), Some(b',' | b'=' | b' ')) {
                self.scratch.push_str(&text[copied..at]);
                copied = at + 1;
                at += 2;
            } else {
                at += 1;
            }
        }
        self.scratch.push_str(&text[copied..at]);
        (Piece::scratch(scratch_start, self.scratch.len()), at)
    }

    fn key_bytes(&self) -> usize {
        let tags: usize = self.tags.iter().map(|(name, value)| name.len() + value.len() + 4).sum();
        let names: usize = self.fields.iter().map(|(name, _)| self.measurement.len() + name.len() + 16).sum();
        tags * self.fields.len() + names
    }

    fn name_series(&mut self, text: &str) {
        self.names.clear();
        self.name_ends.clear();
        let measurement = self.measurement.of(text, &self.scratch);
        for (field, _) in &self.fields {
            // Writing into a String can't fail.
            let _ = write!(self.names, "{measurement}_{}", field.of(text, &self.scratch));
            self.name_ends.push(self.names.len());
        }
    }

    fn push<'a>(
        &'a self,
        text: &'a str,
        time: Time,
        pairs: &mut Vec<(&'a str, &'a str)>,
        out: &mut SampleBatch,
    ) -> Result<usize, Fault> {
        let mut name_start = 0;
        for (&name_end, (_, value)) in self.name_ends.iter().zip(&self.fields) {
            pairs.clear();
            pairs.push((METRIC_NAME, &self.names[name_start..name_end]));
            pairs.extend(self.tags.iter().map(|(name, value)| (name.of(text, &self.scratch), value.of(text, &self.scratch))));
            // Only the first field's series can fail, as all have the same tags: a line is never taken by half. A full
            // batch is the exception, and there the body is refused by the caller's limits long before.
            let series = out.begin(pairs).map_err(|error| self.fault(text, &error))?;
            out.push_value(series, time, *value);
            name_start = name_end;
        }
        Ok(self.fields.len())
    }

    /// The place of what the labels were refused for.
    fn fault(&self, text: &str, error: &LabelsError) -> Fault {
        let reason = error.to_string().replace("label", "tag");
        let LabelsError::Twice(twice) = error else { return Fault::new(0, reason) };
        let mut same = self.tags.iter().filter(|(name, _)| name.of(text, &self.scratch).starts_with(twice.as_str()));
        let second = same.nth(1).map_or(0, |(name, _)| name.start_in_line());
        Fault::new(second, reason)
    }
}

fn parse_value(text: &str) -> Result<f64, &'static str> {
    const NOT_A_NUMBER: &str = "the value is neither a number, a truth value nor a quoted text";
    match text {
        "" => return Err("the value is missing"),
        "t" | "T" | "true" | "True" | "TRUE" => return Ok(1.0),
        "f" | "F" | "false" | "False" | "FALSE" => return Ok(0.0),
        _ => {}
    }
    if let Some(digits) = text.strip_suffix('i') {
        return digits.parse::<i64>().map(|value| value as f64).map_err(|_| "not a 64 bit integer");
    }
    if let Some(digits) = text.strip_suffix('u') {
        return digits.parse::<u64>().map(|value| value as f64).map_err(|_| "not a 64 bit unsigned integer");
    }
    number(text).ok_or(NOT_A_NUMBER)
}

/// A finite number; `NaN` and `inf` are none in this protocol.
fn number(text: &str) -> Option<f64> {
    text.parse::<f64>().ok().filter(|value| value.is_finite())
}

fn parse_stamp(text: &str) -> Result<i64, &'static str> {
    use std::num::IntErrorKind::{NegOverflow, PosOverflow};
    text.parse::<i64>().map_err(|error| match error.kind() {
        PosOverflow | NegOverflow => "the timestamp is out of range",
        _ => "the timestamp is not a whole number",
    })
}

/// The place of `byte` from `from` on, or the end.
fn next(byte: u8, bytes: &[u8], from: usize) -> usize {
    memchr::memchr(byte, &bytes[from..]).map_or(bytes.len(), |at| from + at)
}

/// Where the line that begins at `start` ends: at `first_end`, but behind it if a quoted text reaches over it.
fn line_end(body: &[u8], start: usize, first_end: usize, line_len_max: usize) -> usize {
    if memchr::memchr(b'"', &body[start..first_end]).is_none() || matches!(body[start], b'#' | b'\n') {
        return first_end;
    }
    // Quotes mean something only behind the blank that ends the tags, at the beginning of a value.
    let bytes = &body[..body.len().min(start.saturating_add(line_len_max))];
    let mut at = start;
    while at < first_end && bytes.get(at).is_some_and(|byte| *byte != b' ') {
        at += if bytes[at] == b'\\' { 2 } else { 1 };
    }
    let mut end = first_end;
    while let Some(quote) = bytes.get(at..end.min(bytes.len())).and_then(|rest| memchr::memmem::find(rest, b"=\"")) {
        let Some(close) = string_end(bytes, at + quote + 2) else { return first_end };
        at = close + 1;
        if close > end {
            end = next(b'\n', body, close);
        }
    }
    end
}

/// The closing quote of a text whose content begins at `at`.
fn string_end(bytes: &[u8], mut at: usize) -> Option<usize> {
    loop {
        let found = at + memchr::memchr2(b'"', b'\\', bytes.get(at..)?)?;
        if bytes[found] == b'"' {
            return Some(found);
        }
        at = found + 2;
    }
}

fn skip_blanks(bytes: &[u8], at: usize) -> usize {
    at + bytes[at..].iter().take_while(|byte| **byte == b' ').count()
}

#[cfg(test)]
mod tests;
