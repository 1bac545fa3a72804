//! `printf` of rule templates: Go's verbs `%s %v %d %f %e %g %q %t %x` with flags, width and precision.
//!
//! A format is checked when the rule is loaded, so that printing never fails; one that is computed says what it lacks, as in Go.

use super::number::{exponent, general, shortest};
use super::{Item, number, text};

/// How many values a format prints; none where a verb is not known here.
pub(super) fn places(format: &str) -> Option<usize> {
    format_parts(format).map(|parts| parts.iter().filter(|part| part.is_ok()).count())
}

/// Prints the values behind the format, which comes first.
pub(super) fn print(items: &[Item]) -> String {
    let Some((format, mut items)) = items.split_first() else { return String::new() };
    let format = text(format);
    let mut out = String::new();
    let Some(parts) = format_parts(&format) else { return format };
    for part in parts {
        let verb = match part {
            Ok(verb) => verb,
            Err(plain) => {
                out.push_str(&plain);
                continue;
            }
        };
        let Some((item, rest)) = items.split_first() else {
            out.push_str(&format!("%!{}(MISSING)", verb.verb));
            continue;
        };
        items = rest;
        let value = number(item);
        let mut shown = match verb.verb {
            's' | 'v' | 't' => text(item),
            'x' => format!("{:x}", value as i64),
            'q' => format!("{:?}", text(item)),
            'd' => format!("{}", value as i64),
            'f' if value.is_finite() => format!("{value:.*}", verb.precision.unwrap_or(6)),
            'e' if value.is_finite() => exponent(value, verb.precision.unwrap_or(6)),
            'g' => verb.precision.map_or_else(|| shortest(value), |precision| general(value, precision)),
            _ => shortest(value),
        };
        if verb.plus && !shown.starts_with(['-', '+']) && matches!(verb.verb, 'd' | 'f' | 'e' | 'g') {
            shown.insert(0, '+');
        }
        let missing = verb.width.saturating_sub(shown.chars().count());
        match (verb.minus, verb.zero && !shown.starts_with(['-', '+'])) {
            (true, _) => shown.push_str(&" ".repeat(missing)),
            (false, true) => shown.insert_str(0, &"0".repeat(missing)),
            (false, false) => shown.insert_str(0, &" ".repeat(missing)),
        }
        out.push_str(&shown);
    }
    out
}

/// One `%` of a format: flags, width, precision, verb.
struct Verb {
    minus: bool,
    zero: bool,
    plus: bool,
    width: usize,
    precision: Option<usize>,
    verb: char,
}

/// Cuts a format into texts and verbs; none where a verb is not one of `s v d f e g q t x`.
fn format_parts(format: &str) -> Option<Vec<Result<Verb, String>>> {
    let mut parts: Vec<Result<Verb, String>> = Vec::new();
    let mut chars = format.chars().peekable();
    let mut plain = String::new();
    while let Some(c) = chars.next() {
        if c != '%' {
            plain.push(c);
            continue;
        }
        let mut verb = Verb { minus: false, zero: false, plus: false, width: 0, precision: None, verb: '%' };
        while let Some(flag) = chars.next_if(|c| matches!(c, '-' | '0' | '+')) {
            match flag {
                '-' => verb.minus = true,
                '0' => verb.zero = true,
                _ => verb.plus = true,
            }
        }
        while let Some(digit) = chars.next_if(char::is_ascii_digit) {
            verb.width = (verb.width * 10 + digit as usize - '0' as usize).min(100);
        }
        if chars.next_if_eq(&'.').is_some() {
            let mut precision = 0;
            while let Some(digit) = chars.next_if(char::is_ascii_digit) {
                precision = (precision * 10 + digit as usize - '0' as usize).min(100);
            }
            verb.precision = Some(precision);
        }
        match chars.next()? {
            '%' => plain.push('%'),
            c @ ('s' | 'v' | 'd' | 'f' | 'e' | 'g' | 'q' | 't' | 'x') => {
                parts.push(Err(std::mem::take(&mut plain)));
                verb.verb = c;
                parts.push(Ok(verb));
            }
            _ => return None,
        }
    }
    parts.push(Err(plain));
    Some(parts)
}
