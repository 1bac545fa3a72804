//! Influx line protocol to rows: `measurement,tag=a field=1,other=2i 1795000000000000000`.
//!
//! A field is a sample of the series `measurement_field` with the tags as labels, as VictoriaMetrics names it. A line is
//! taken whole or not at all. [`Lines`] reads a body where it lies, in one pass: it hashes the bytes of measurement and tags
//! as they were sent and does not look into them; only when the store does not know the hash, [`Rows::labels`] does. So a
//! sample of a known series costs its digits and a hash, and no memory but the rows', which are used again.

mod key;
mod line;

use model::Time;
use model::intake::{KeySecret, LabelsFault, RawRow, Rows};
use model::labels::Labels;

use crate::report::{Fault, LineError, Report, excerpt};

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

    #[inline]
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
    /// The unit of timestamps.
    pub precision: Precision,
    /// The time of lines without a timestamp.
    pub default_time: Time,
    /// What becomes of texts.
    pub strings: Strings,
    /// Longest line, in bytes.
    pub line_len_max: usize,
    /// Most fields in one line.
    pub fields_max: usize,
    /// Most bytes of series keys that one body may stand for: each field repeats its line's tags.
    pub key_bytes_max: usize,
    /// So many rows are decoded at once; a line more is.
    pub rows_at_once: usize,
}

impl Options {
    /// The usual limits.
    pub fn new(precision: Precision, default_time: Time) -> Options {
        Options {
            precision,
            default_time,
            strings: Strings::Refuse,
            line_len_max: 1024 * 1024,
            fields_max: 4_096,
            key_bytes_max: 256 * 1024 * 1024,
            rows_at_once: crate::ROWS_AT_ONCE,
        }
    }
}

/// A body of lines, decoded in portions: [`advance`](Self::advance) makes the next rows, which are read by [`Rows`].
pub struct Lines<'a> {
    body: &'a [u8],
    /// The whole body is UTF-8: no line need be checked.
    is_text: bool,
    secret: &'a KeySecret,
    options: Options,
    at: usize,
    key_bytes: usize,
    rows: Vec<RawRow>,
    report: Report,
}

impl<'a> Lines<'a> {
    /// Begins. `rows` is memory to use again, [`finish`](Self::finish) gives it back. Bodies are below 4 GiB.
    pub fn new(body: &'a [u8], secret: &'a KeySecret, options: Options, mut rows: Vec<RawRow>) -> Lines<'a> {
        rows.clear();
        let body = &body[..body.len().min(u32::MAX as usize)];
        let is_text = body.is_ascii() || str::from_utf8(body).is_ok();
        Lines { body, is_text, secret, options, at: 0, key_bytes: 0, rows, report: Report::default() }
    }

    /// Decodes the next rows in place of the last. False at the end of the body, when there are none.
    pub fn advance(&mut self) -> bool {
        self.rows.clear();
        while self.at < self.body.len() && self.rows.len() < self.options.rows_at_once {
            let start = self.at;
            let had = (self.rows.len(), self.report.refused_strings);
            match self.line(start) {
                Ok(end) => self.at = end + 1,
                Err(fault) => {
                    self.rows.truncate(had.0);
                    self.report.refused_strings = had.1;
                    self.refuse(start, fault);
                }
            }
        }
        self.report.accepted += self.rows.len();
        !self.rows.is_empty()
    }

    /// What was read so far: rows, and lines that make none.
    pub fn report(&self) -> &Report {
        &self.report
    }

    /// The rows' memory and the report.
    pub fn finish(self) -> (Vec<RawRow>, Report) {
        (self.rows, self.report)
    }

    #[cold]
    fn refuse(&mut self, start: usize, fault: Fault) {
        // A text over several lines may be a quote that was forgotten: what follows gets its own chance.
        let end = next_line(self.body, start);
        self.at = end + 1;
        let shown = self.body[start..end].trim_ascii_end();
        let (len, len_max) = (end - start, self.options.line_len_max);
        let fault = match fault.at.checked_sub(start) {
            _ if len > len_max => Fault::new(0, format!("a line of {len} bytes, {len_max} at most")),
            Some(at) if at <= shown.len() => Fault::new(at, fault.reason),
            _ => Fault::new(shown.len(), "a quoted text reaches over the line's end and does not fit there"),
        };
        self.report.refuse(self.number(start), shown, fault);
    }

    /// The number of the line that lies at `at`, from 1. Counted only where somebody is told.
    fn number(&self, at: usize) -> usize {
        memchr::memchr_iter(b'\n', &self.body[..at]).count() + 1
    }
}

impl Rows for Lines<'_> {
    fn rows(&self) -> &[RawRow] {
        &self.rows
    }

    fn labels(&self, row: usize) -> Result<Labels, LabelsFault> {
        let RawRow { at, part, .. } = self.rows[row];
        let start = at as usize;
        key::labels(self.body, start, part as usize).map_err(|fault| {
            let shown = &self.body[start..next_line(self.body, start)];
            let excerpt = excerpt(shown, fault.at);
            let error = LineError { line: self.number(start), column: fault.at + 1, reason: fault.reason, excerpt };
            LabelsFault(error.to_string())
        })
    }

    fn place(&self, row: usize) -> String {
        format!("line {}", self.number(self.rows[row].at as usize))
    }
}

/// Where the line that lies at `at` ends.
fn next_line(body: &[u8], at: usize) -> usize {
    memchr::memchr(b'\n', &body[at..]).map_or(body.len(), |len| at + len)
}

fn skip_blanks(bytes: &[u8], at: usize) -> usize {
    at + bytes[at..].iter().take_while(|byte| **byte == b' ').count()
}

#[cfg(test)]
mod tests;
