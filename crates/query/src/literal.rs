//! Numbers, durations and quoted strings of PromQL, both ways.

use std::fmt;

/// Reads a number: decimal, hexadecimal, octal with a leading zero, with underscores between digits, `Inf` or `NaN`.
pub(crate) fn number(text: &str) -> Option<f64> {
    if text.eq_ignore_ascii_case("inf") || text.eq_ignore_ascii_case("nan") {
        return text.parse().ok();
    }
    let bytes = text.as_bytes();
    if !bytes.first().is_some_and(|byte| byte.is_ascii_digit() || *byte == b'.') || bytes.last() == Some(&b'_') {
        return None;
    }
    if text.contains("__") || text.contains("_.") || text.contains("._") || text.contains("e_") && !text.starts_with("0x") {
        return None;
    }
    let plain: String = text.chars().filter(|letter| *letter != '_').collect();
    if let Some(hex) = plain.strip_prefix("0x").or_else(|| plain.strip_prefix("0X")) {
        return radix(hex, 16);
    }
    if plain.len() > 1 && plain.starts_with('0') && plain.bytes().all(|byte| (b'0'..=b'7').contains(&byte)) {
        return radix(&plain[1..], 8);
    }
    if !plain.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'.' | b'e' | b'E' | b'+' | b'-')) {
        return None;
    }
    plain.parse().ok()
}

fn radix(digits: &str, radix: u32) -> Option<f64> {
    if digits.is_empty() || !digits.chars().all(|digit| digit.is_digit(radix)) {
        return None;
    }
    u64::from_str_radix(digits, radix).ok().map(|value| value as f64)
}

/// Milliseconds in each unit, largest first.
const UNITS: [(&str, u64); 7] =
    [("y", 365 * 86_400_000), ("w", 7 * 86_400_000), ("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1_000), ("ms", 1)];

/// Reads a duration such as `1h30m` as milliseconds. Each unit once, largest first, as in Prometheus.
pub(crate) fn duration(text: &str) -> Option<u64> {
    let mut rest = text;
    let mut total: u64 = 0;
    let mut units = &UNITS[..];
    while !rest.is_empty() {
        let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
        let letters = rest[digits..].bytes().take_while(u8::is_ascii_alphabetic).count();
        let (count, unit) = (rest[..digits].parse::<u64>().ok()?, &rest[digits..digits + letters]);
        let place = units.iter().position(|(name, _)| *name == unit)?;
        total = total.checked_add(count.checked_mul(units[place].1)?)?;
        units = &units[place + 1..];
        rest = &rest[digits + letters..];
    }
    // Prometheus keeps nanoseconds in an int64.
    (!text.is_empty() && total <= i64::MAX as u64 / 1_000_000).then_some(total)
}

/// Writes seconds as the shortest duration that reads back the same: `1h30m`, `500ms`, `-5m`.
pub(crate) struct AsDuration(pub f64);

impl fmt::Display for AsDuration {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0 < 0.0 {
            f.write_str("-")?;
        }
        let mut millis = (self.0.abs() * 1e3).round() as u64;
        if millis == 0 {
            return f.write_str("0s");
        }
        for (place, (name, size)) in UNITS.into_iter().enumerate() {
            // As in Prometheus: years and weeks only where nothing is left over.
            let whole_only = place < 2;
            if millis >= size && (!whole_only || millis.is_multiple_of(size)) {
                write!(f, "{}{name}", millis / size)?;
                millis %= size;
            }
        }
        Ok(())
    }
}

/// Writes a number so that it reads back the same: `1`, `1.5`, `1e+21`, `+Inf`, `NaN`.
pub(crate) struct AsNumber(pub f64);

impl fmt::Display for AsNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let value = self.0;
        if value.is_nan() {
            return f.write_str("NaN");
        }
        if value.is_infinite() {
            return f.write_str(if value > 0.0 { "+Inf" } else { "-Inf" });
        }
        let size = value.abs();
        if size != 0.0 && !(1e-4..1e21).contains(&size) {
            let text = format!("{value:e}");
            let (digits, exponent) = text.split_once('e').unwrap_or((&text, "0"));
            let (sign, exponent) = exponent.strip_prefix('-').map_or(("+", exponent), |rest| ("-", rest));
            return write!(f, "{digits}e{sign}{exponent:0>2}");
        }
        write!(f, "{value}")
    }
}

/// What is wrong with a string like `"\xff"`.
pub(crate) const NOT_UTF8: &str = "the escapes in this string do not make valid UTF-8";

/// Takes the quotes and escapes off a string token. The error is the byte in `text` and a sentence.
pub(crate) fn unquote(text: &str) -> Result<String, (usize, &'static str)> {
    let inner = text.get(1..text.len().saturating_sub(1)).unwrap_or("");
    if text.starts_with('`') {
        return Ok(inner.replace('\r', ""));
    }
    let mut out = Vec::with_capacity(inner.len());
    let mut rest = inner;
    while let Some(place) = rest.find('\\') {
        out.extend_from_slice(&rest.as_bytes()[..place]);
        rest = &rest[place + 1..];
        let at = text.len() - 1 - rest.len() - 1;
        rest = escape(rest, text, &mut out).map_err(|sentence| (at, sentence))?;
    }
    out.extend_from_slice(rest.as_bytes());
    String::from_utf8(out).map_err(|_| (0, NOT_UTF8))
}

/// Reads what follows a backslash and returns what is behind it.
fn escape<'a>(rest: &'a str, quoted: &str, out: &mut Vec<u8>) -> Result<&'a str, &'static str> {
    let letter = rest.chars().next().ok_or("the escape does not end")?;
    let simple = match letter {
        'a' => 7,
        'b' => 8,
        'f' => 12,
        'n' => b'\n',
        'r' => b'\r',
        't' => b'\t',
        'v' => 11,
        '\\' => b'\\',
        '"' | '\'' if quoted.starts_with(letter) => letter as u8,
        _ => 0,
    };
    if simple != 0 {
        out.push(simple);
        return Ok(&rest[1..]);
    }
    let (skip, digits, radix) = match letter {
        '0'..='7' => (0, 3, 8),
        'x' => (1, 2, 16),
        'u' => (1, 4, 16),
        'U' => (1, 8, 16),
        _ => {
            return Err(
                "unknown escape: known are \\a \\b \\f \\n \\r \\t \\v \\\\ \\x41 \\101 \\u00e9 \\U0001f600 and the quote itself",
            );
        }
    };
    let text = rest.get(skip..skip + digits).ok_or("the escape does not end")?;
    let code = u32::from_str_radix(text, radix).ok().filter(|_| !text.starts_with('+')).ok_or("not a digit in an escape")?;
    if letter == 'u' || letter == 'U' {
        let letter = char::from_u32(code).ok_or("the escape is no Unicode character")?;
        out.extend_from_slice(letter.encode_utf8(&mut [0; 4]).as_bytes());
    } else {
        out.push(u8::try_from(code).map_err(|_| "the escape is above one byte")?);
    }
    Ok(&rest[skip + digits..])
}

/// Writes a string in double quotes so that [`unquote`] gives it back.
pub(crate) struct Quoted<'a>(pub &'a str);

impl fmt::Display for Quoted<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("\"")?;
        for letter in self.0.chars() {
            match letter {
                '"' => f.write_str("\\\"")?,
                '\\' => f.write_str("\\\\")?,
                '\n' => f.write_str("\\n")?,
                '\r' => f.write_str("\\r")?,
                '\t' => f.write_str("\\t")?,
                control if control.is_control() => write!(f, "\\u{:04x}", control as u32)?,
                other => write!(f, "{other}")?,
            }
        }
        f.write_str("\"")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers() {
        for (text, value) in [
            ("1", 1.0),
            (".5", 0.5),
            ("5.", 5.0),
            ("1e3", 1e3),
            ("1.5E-3", 1.5e-3),
            ("0x1F", 31.0),
            ("0755", 493.0),
            ("08", 8.0),
            ("1_000_000", 1e6),
            ("0x_1f", 31.0),
            ("Inf", f64::INFINITY),
            ("inF", f64::INFINITY),
        ] {
            assert_eq!(number(text), Some(value), "{text}");
        }
        assert!(number("NaN").unwrap().is_nan());
        for bad in ["1__0", "1_", "_1", "1_.5", "0x", "0xg", "1e", "1.2.3", "infinity", "5m", "1a", ""] {
            assert_eq!(number(bad), None, "{bad}");
        }
    }

    #[test]
    fn durations_both_ways() {
        for (text, millis, back) in [
            ("5m", 300_000, "5m"),
            ("1h30m", 5_400_000, "1h30m"),
            ("90s", 90_000, "1m30s"),
            ("1y", 31_536_000_000, "1y"),
            ("14d", 1_209_600_000, "2w"),
            ("15d", 1_296_000_000, "15d"),
            ("1s500ms", 1_500, "1s500ms"),
        ] {
            assert_eq!(duration(text), Some(millis), "{text}");
            assert_eq!(AsDuration(millis as f64 / 1e3).to_string(), back, "{text}");
        }
        for bad in ["", "5", "m", "5mm", "1m1h", "5m5m", "1.5h", "99999999999y", "5x"] {
            assert_eq!(duration(bad), None, "{bad}");
        }
    }

    #[test]
    fn strings_both_ways() {
        assert_eq!(unquote(r#""a\"b\n\x41\101\u00e9""#).unwrap(), "a\"b\nAA\u{e9}");
        assert_eq!(unquote("'it\\'s'").unwrap(), "it's");
        assert_eq!(unquote("`a\\n`").unwrap(), "a\\n");
        assert_eq!(unquote(r#""ab\q""#).unwrap_err().0, 3);
        assert!(unquote(r#""\xff""#).is_err());
        for text in ["", "a\"\\\n\t\u{1}ü\u{7f}", "{}"] {
            assert_eq!(unquote(&Quoted(text).to_string()).unwrap(), text);
        }
    }
}
