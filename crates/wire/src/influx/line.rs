//! One line to rows, in one pass over its bytes.
//!
//! What ends a word is looked for eight bytes at a time. Whatever is unusual (escapes, texts, words for truth, exponents) goes
//! the slow ways below, which say what is wrong and where; offsets are those in the body.

use model::Time;
use model::intake::{Protocol, RawRow};
use model::labels::LABEL_LEN_MAX;

use super::{Lines, Strings, next_line, skip_blanks};
use crate::decimal::{Decimal, chunk};
use crate::report::Fault;

const ONES: u64 = 0x0101_0101_0101_0101;
const TOPS: u64 = 0x8080_8080_8080_8080;

impl Lines<'_> {
    /// Appends the rows of the line at `start`; says where the line ends.
    #[inline]
    pub(super) fn line(&mut self, start: usize) -> Result<usize, Fault> {
        let body = self.body;
        let mut key_start = start;
        if body[start] <= b'#' {
            // Blank lines and comments; also a key that begins with a blank or a sign.
            let first = start + body[start..].iter().take_while(|byte| is_blank(**byte)).count();
            match body.get(first) {
                None | Some(b'\n') => return Ok(first),
                Some(b'#') => return Ok(next_line(body, first)),
                Some(_) => key_start = skip_blanks(body, start),
            }
        }
        let key_end = key_end(body, key_start);
        let mut at = skip_blanks(body, key_end);
        if at >= body.len() || body[at] == b'\n' || (is_blank(body[at]) && rest_is_blank(body, at)) {
            return Err(Fault::new(start + body[start..at].trim_ascii_end().len(), "the fields are missing"));
        }
        if !self.is_text {
            check_text(body, start)?;
        }
        let key = self.secret.hash(Protocol::Influx, &body[key_start..key_end]);
        let first_row = self.rows.len();
        let mut texts = 0;
        loop {
            let name_start = at;
            let name_end = name_end(body, name_start)?;
            if !self.is_text {
                // Behind a text over several lines nothing was checked yet.
                check_text(&body[..name_end], name_start)?;
            }
            if key_end - key_start + name_end - name_start >= LABEL_LEN_MAX {
                super::key::check_name(body, key_start, name_start..name_end)?;
            }
            let (value, end) = self.value(name_end + 1)?;
            match value {
                Some(value) => {
                    let key = self.secret.join(key, &body[name_start..name_end]);
                    self.rows.push(RawRow { key, time: Time(0), value, at: start as u32, part: name_start as u32 });
                }
                None => texts += 1,
            }
            if self.rows.len() - first_row + texts > self.options.fields_max {
                return Err(Fault::new(name_start, format!("more than {} fields", self.options.fields_max)));
            }
            at = end;
            if body.get(at) != Some(&b',') {
                break;
            }
            at += 1;
        }
        let (time, end) = self.stamp(at)?;
        let fields = self.rows.len() - first_row;
        self.check_limits(start, end, (key_end - key_start + 16) * fields)?;
        for row in &mut self.rows[first_row..] {
            row.time = time;
        }
        self.report.refused_strings += texts;
        Ok(end)
    }

    /// The value at `at`, nothing for a text that is no number, and where it ends.
    #[inline(always)]
    fn value(&self, at: usize) -> Result<(Option<f64>, usize), Fault> {
        let body = self.body;
        if let Some(decimal) = Decimal::read(body, at) {
            match body.get(decimal.end) {
                None | Some(b',' | b' ' | b'\n') => {
                    if let Some(value) = decimal.float() {
                        return Ok((Some(value), decimal.end));
                    }
                }
                Some(b'i') if ends(body, decimal.end + 1) => {
                    if let Some(value) = decimal.integer() {
                        return Ok((Some(value as f64), decimal.end + 1));
                    }
                }
                Some(b'u') if ends(body, decimal.end + 1) => {
                    if let Some(value) = decimal.unsigned() {
                        return Ok((Some(value as f64), decimal.end + 1));
                    }
                }
                Some(_) => {}
            }
        }
        self.slow_value(at)
    }

    #[cold]
    fn slow_value(&self, at: usize) -> Result<(Option<f64>, usize), Fault> {
        let body = self.body;
        if body.get(at) != Some(&b'"') {
            let end = word_end(body, at);
            return match parse_value(&body[at..end]) {
                Ok(value) => Ok((Some(value), end)),
                Err(reason) => Err(Fault::new(at, reason)),
            };
        }
        let window = &body[..body.len().min(at.saturating_add(self.options.line_len_max))];
        let close = string_end(window, at + 1).ok_or_else(|| Fault::new(at, "the quote is never closed"))?;
        let value = match self.options.strings {
            Strings::Refuse => None,
            Strings::Numbers => number(&body[at + 1..close]),
        };
        if !ends(body, close + 1) {
            return Err(Fault::new(close + 1, "something follows the closing quote"));
        }
        Ok((value, close + 1))
    }

    /// The line's time, and where the line ends. `at` is behind the last field.
    #[inline(always)]
    fn stamp(&self, at: usize) -> Result<(Time, usize), Fault> {
        let body = self.body;
        let at = skip_blanks(body, at);
        if let Some(decimal) = Decimal::read(body, at)
            && let Some(end) = line_end(body, decimal.end)
            && let Some(stamp) = decimal.integer()
            && let Some(time) = self.options.precision.time(stamp)
        {
            return Ok((time, end));
        }
        self.slow_stamp(at)
    }

    #[cold]
    fn slow_stamp(&self, at: usize) -> Result<(Time, usize), Fault> {
        use std::num::IntErrorKind::{NegOverflow, PosOverflow};
        const RANGE: &str = "the timestamp is out of range";
        let end = next_line(self.body, at);
        let word = self.body[at..end].trim_ascii_end();
        if word.is_empty() {
            return Ok((self.options.default_time, end));
        }
        let stamp = str::from_utf8(word).unwrap_or("?").parse::<i64>().map_err(|error| match error.kind() {
            PosOverflow | NegOverflow => RANGE,
            _ => "the timestamp is not a whole number",
        });
        let time = stamp.and_then(|stamp| self.options.precision.time(stamp).ok_or(RANGE));
        time.map(|time| (time, end)).map_err(|reason| Fault::new(at, reason))
    }

    #[inline]
    fn check_limits(&mut self, start: usize, end: usize, key_bytes: usize) -> Result<(), Fault> {
        let (len_max, key_bytes_max) = (self.options.line_len_max, self.options.key_bytes_max);
        if end - start > len_max {
            return Err(Fault::new(start, format!("a line of {} bytes, {len_max} at most", end - start)));
        }
        if self.key_bytes + key_bytes > key_bytes_max {
            return Err(Fault::new(start, format!("the body stands for more than {key_bytes_max} bytes of series keys")));
        }
        self.key_bytes += key_bytes;
        Ok(())
    }
}

/// Where measurement and tags end: at a blank that is not escaped, at the end of the line at the latest.
#[inline]
fn key_end(body: &[u8], start: usize) -> usize {
    let mut at = start;
    while let Some(found) = memchr::memchr3(b' ', b'\n', b'\\', &body[at..]) {
        at += found;
        if body[at] != b'\\' {
            return at;
        }
        at += if is_escape(body, at) { 2 } else { 1 };
    }
    body.len()
}

/// Where a field's name ends, which is at its `=`.
#[inline(always)]
fn name_end(body: &[u8], start: usize) -> Result<usize, Fault> {
    let mut at = start;
    loop {
        let eight = chunk(body, at);
        let equals = eight ^ (ONES * b'=' as u64);
        let escapes = eight ^ (ONES * b'\\' as u64);
        // The lowest marked byte is right; one above a right one may be marked wrongly, which costs a second look at most.
        let marked = (equals.wrapping_sub(ONES) & !equals)
            | (escapes.wrapping_sub(ONES) & !escapes)
            | (eight.wrapping_sub(ONES * (b',' + 1) as u64) & !eight);
        let skip = ((marked & TOPS).trailing_zeros() / 8) as usize;
        at += skip;
        if skip == 8 {
            continue;
        }
        match body.get(at) {
            Some(b'=') if at > start => return Ok(at),
            Some(b'=') => return Err(Fault::new(start, "a field has no name")),
            Some(b',' | b' ' | b'\n') | None => return Err(Fault::new(trimmed(body, start, at), "a field is name=value")),
            Some(b'\\') if is_escape(body, at) => at += 2,
            Some(_) => at += 1,
        }
    }
}

/// Whether a backslash takes the meaning from what follows; before anything else it is a letter.
pub(super) fn is_escape(body: &[u8], backslash: usize) -> bool {
    matches!(body.get(backslash + 1), Some(b',' | b'=' | b' '))
}

/// Whether a value may end here.
fn ends(body: &[u8], at: usize) -> bool {
    match body.get(at) {
        None | Some(b',' | b' ' | b'\n') => true,
        Some(_) => rest_is_blank(body, at),
    }
}

fn is_blank(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\r' | b'\x0c')
}

/// The end of the line, if it is right here.
#[inline(always)]
fn line_end(body: &[u8], at: usize) -> Option<usize> {
    match body.get(at) {
        None | Some(b'\n') => Some(at),
        Some(b'\r') if body.get(at + 1) == Some(&b'\n') => Some(at + 1),
        Some(_) => None,
    }
}

/// Whether nothing but blanks follows in the line, as the `\r` of other systems.
fn rest_is_blank(body: &[u8], at: usize) -> bool {
    body[at..].iter().find(|byte| !is_blank(**byte)).is_none_or(|byte| *byte == b'\n')
}

/// `at`, or where the blanks before it begin.
fn trimmed(body: &[u8], start: usize, at: usize) -> usize {
    match body.get(at) {
        None | Some(b'\n' | b'\r') => start + body[start..at].trim_ascii_end().len(),
        Some(_) => at,
    }
}

/// The end of a value that is no text.
fn word_end(body: &[u8], at: usize) -> usize {
    let len = body[at..].iter().position(|byte| matches!(byte, b',' | b' ' | b'\n')).unwrap_or(body.len() - at);
    match body.get(at + len) {
        None | Some(b'\n') => at + body[at..at + len].trim_ascii_end().len(),
        Some(_) => at + len,
    }
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

#[cold]
fn check_text(body: &[u8], start: usize) -> Result<(), Fault> {
    let line = &body[start..next_line(body, start)];
    str::from_utf8(line).map(drop).map_err(|error| Fault::new(start + error.valid_up_to(), "not UTF-8"))
}

fn parse_value(word: &[u8]) -> Result<f64, &'static str> {
    match word {
        b"" => return Err("the value is missing"),
        b"t" | b"T" | b"true" | b"True" | b"TRUE" => return Ok(1.0),
        b"f" | b"F" | b"false" | b"False" | b"FALSE" => return Ok(0.0),
        _ => {}
    }
    let text = |bytes| str::from_utf8(bytes).unwrap_or("?");
    if let Some(digits) = word.strip_suffix(b"i") {
        return text(digits).parse::<i64>().map(|value| value as f64).map_err(|_| "not a 64 bit integer");
    }
    if let Some(digits) = word.strip_suffix(b"u") {
        return text(digits).parse::<u64>().map(|value| value as f64).map_err(|_| "not a 64 bit unsigned integer");
    }
    number(word).ok_or("the value is neither a number, a truth value nor a quoted text")
}

/// A finite number; `NaN` and `inf` are none in this protocol.
fn number(word: &[u8]) -> Option<f64> {
    str::from_utf8(word).ok()?.parse::<f64>().ok().filter(|value| value.is_finite())
}
