//! Numbers as Go and Prometheus' templates write them.

/// `%.Ng`: so many figures that matter, with an exponent where it is far from one.
pub(super) fn general(value: f64, precision: usize) -> String {
    if !value.is_finite() || value == 0.0 {
        return shortest(value);
    }
    let precision = precision.max(1);
    let scientific = format!("{value:.*e}", precision - 1);
    let power = scientific.split_once('e').and_then(|(_, power)| power.parse::<i32>().ok()).unwrap_or(0);
    if power < -4 || power >= precision as i32 {
        let (mantissa, _) = scientific.split_once('e').unwrap_or((&scientific, ""));
        return with_power(trimmed(mantissa), power);
    }
    trimmed(&format!("{value:.*}", (precision as i32 - 1 - power).max(0) as usize)).to_owned()
}

/// `%v`: the shortest text that reads back as the same number.
pub(super) fn shortest(value: f64) -> String {
    if value.is_nan() {
        return "NaN".into();
    }
    if value.is_infinite() {
        return if value > 0.0 { "+Inf".into() } else { "-Inf".into() };
    }
    let scientific = format!("{value:e}");
    let Some((mantissa, power)) = scientific.split_once('e') else { return scientific };
    match power.parse::<i32>() {
        Ok(power) if !(-4..21).contains(&power) => with_power(mantissa, power),
        _ => format!("{value}"),
    }
}

/// `%.Ne`
pub(super) fn exponent(value: f64, precision: usize) -> String {
    let scientific = format!("{value:.precision$e}");
    match scientific.split_once('e').map(|(mantissa, power)| (mantissa, power.parse::<i32>())) {
        Some((mantissa, Ok(power))) => with_power(mantissa, power),
        _ => scientific,
    }
}

fn with_power(mantissa: &str, power: i32) -> String {
    format!("{mantissa}e{}{:02}", if power < 0 { '-' } else { '+' }, power.abs())
}

fn trimmed(text: &str) -> &str {
    if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.') } else { text }
}

const SMALL: [&str; 8] = ["m", "u", "n", "p", "f", "a", "z", "y"];

/// With a metric prefix: `1.235M`.
pub(super) fn humanize(value: f64) -> String {
    if value == 0.0 || !value.is_finite() {
        return general(value, 4);
    }
    if value.abs() >= 1.0 {
        return large(value, 1_000.0, ["k", "M", "G", "T", "P", "E", "Z", "Y"]);
    }
    let (value, prefix) = small(value);
    format!("{}{prefix}", general(value, 4))
}

/// With a binary prefix: `1.5ki`.
pub(super) fn humanize_1024(value: f64) -> String {
    if value.abs() <= 1.0 || !value.is_finite() {
        return general(value, 4);
    }
    large(value, 1_024.0, ["ki", "Mi", "Gi", "Ti", "Pi", "Ei", "Zi", "Yi"])
}

fn large(mut value: f64, step: f64, prefixes: [&str; 8]) -> String {
    let mut shown = "";
    for prefix in prefixes {
        if value.abs() < step {
            break;
        }
        shown = prefix;
        value /= step;
    }
    format!("{}{shown}", general(value, 4))
}

fn small(mut value: f64) -> (f64, &'static str) {
    let mut shown = "";
    for prefix in SMALL {
        if value.abs() >= 1.0 {
            break;
        }
        shown = prefix;
        value *= 1_000.0;
    }
    (value, shown)
}

/// Seconds as days, hours, minutes and seconds, or with a prefix below one.
pub(super) fn humanize_duration(value: f64) -> String {
    if !value.is_finite() {
        return general(value, 4);
    }
    if value == 0.0 {
        return "0s".into();
    }
    if value.abs() < 1.0 {
        let (value, prefix) = small(value);
        return format!("{}{prefix}s", general(value, 4));
    }
    let sign = if value < 0.0 { "-" } else { "" };
    let whole = value.abs() as u64;
    let (days, hours, minutes, seconds) = (whole / 86_400, whole / 3_600 % 24, whole / 60 % 60, whole % 60);
    match (days, hours, minutes) {
        (0, 0, 0) => format!("{sign}{}s", general(value.abs(), 4)),
        (0, 0, _) => format!("{sign}{minutes}m {seconds}s"),
        (0, _, _) => format!("{sign}{hours}h {minutes}m {seconds}s"),
        _ => format!("{sign}{days}d {hours}h {minutes}m {seconds}s"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn as_go_writes_them() {
        let general_cases =
            [(1234.5678, "1235"), (0.00001234, "1.234e-05"), (99_999.0, "1e+05"), (1.0, "1"), (0.5, "0.5"), (-2.50, "-2.5")];
        for (value, expected) in general_cases {
            assert_eq!(general(value, 4), expected);
        }
        for (value, expected) in
            [(1e21, "1e+21"), (1e20, "100000000000000000000"), (1.5e-7, "1.5e-07"), (0.1, "0.1"), (-3.0, "-3")]
        {
            assert_eq!(shortest(value), expected);
        }
        assert_eq!(exponent(12345.678, 2), "1.23e+04");
        assert_eq!(humanize_duration(-61.0), "-1m 1s");
        assert_eq!(humanize_1024(3.0 * 1_073_741_824.0), "3Gi");
        assert_eq!(humanize(999.99), "1000");
    }
}
