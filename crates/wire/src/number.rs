//! Numbers as Prometheus writes them: shortest digits, an exponent only where it is shorter to read.

use std::fmt::Write as _;
use std::io::Write;

/// Appends `value` as Prometheus' API and text format write it: `NaN`, `+Inf`, `1e+21`, `0.1`.
pub fn write_float(out: &mut Vec<u8>, value: f64) {
    let size = value.abs();
    // Writing into a Vec can't fail.
    let _ = if value.is_nan() {
        out.write_all(b"NaN")
    } else if value.is_infinite() {
        out.write_all(if value > 0.0 { b"+Inf" } else { b"-Inf" })
    } else if size >= 1e21 {
        let text = format!("{value:e}");
        let (digits, exponent) = text.split_once('e').unwrap_or((&text, "0"));
        write!(out, "{digits}e+{exponent}")
    } else if size != 0.0 && size < 1e-6 {
        // Two digits of exponent at least, as Go has it.
        let text = format!("{value:e}");
        let (digits, exponent) = text.split_once("e-").unwrap_or((&text, "0"));
        write!(out, "{digits}e-{exponent:0>2}")
    } else {
        write!(out, "{value}")
    };
}

/// Appends `value` as OpenMetrics writes the bounds of buckets and quantiles: `1.0`, `0.25`, `1e+06`, `+Inf`.
///
/// Go's shortest form with an exponent below 1e-4 and from 1e6 on, and `.0` where neither point nor exponent says that it is
/// a float. Allocates nothing where `out` has room.
pub(crate) fn push_bound(out: &mut String, value: f64) {
    let size = value.abs();
    let start = out.len();
    // Writing into a String can't fail.
    let _ = if value.is_nan() {
        out.write_str("NaN")
    } else if value.is_infinite() {
        out.write_str(if value > 0.0 { "+Inf" } else { "-Inf" })
    } else if size == 0.0 {
        out.write_str("0.0")
    } else if (1e-4..1e6).contains(&size) {
        let whole = if value.fract() == 0.0 { ".0" } else { "" };
        write!(out, "{value}{whole}")
    } else {
        let _ = write!(out, "{value:e}");
        let digits_end = out[start..].find('e').map_or(out.len(), |at| start + at);
        let exponent: i32 = out.get(digits_end + 1..).and_then(|text| text.parse().ok()).unwrap_or(0);
        out.truncate(digits_end);
        write!(out, "e{}{:02}", if exponent < 0 { '-' } else { '+' }, exponent.abs())
    };
}

/// `value` as text; see [`write_float`].
pub fn float_text(value: f64) -> String {
    let mut out = Vec::with_capacity(24);
    write_float(&mut out, value);
    String::from_utf8_lossy(&out).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As Prometheus' `labels.FormatOpenMetricsFloat` writes them.
    #[test]
    fn bounds_as_open_metrics_writes_them() {
        let cases = [
            (0.0, "0.0"),
            (-0.0, "0.0"),
            (1.0, "1.0"),
            (-1.0, "-1.0"),
            (0.25, "0.25"),
            (0.0001, "0.0001"),
            (0.00001, "1e-05"),
            (999_999.0, "999999.0"),
            (1e6, "1e+06"),
            (1_234_567.0, "1.234567e+06"),
            (1_234_567.5, "1.2345675e+06"),
            (-2.5e-7, "-2.5e-07"),
            (1e100, "1e+100"),
            (f64::NAN, "NaN"),
            (f64::INFINITY, "+Inf"),
            (f64::NEG_INFINITY, "-Inf"),
        ];
        for (value, text) in cases {
            let mut out = "le=".to_owned();
            push_bound(&mut out, value);
            assert_eq!(out, format!("le={text}"));
        }
    }

    #[test]
    fn floats_as_prometheus_writes_them() {
        let cases = [
            (0.0, "0"),
            (-0.0, "-0"),
            (1.0, "1"),
            (0.1, "0.1"),
            (-12.5, "-12.5"),
            (1e20, "100000000000000000000"),
            (1e21, "1e+21"),
            (-1.5e300, "-1.5e+300"),
            (1e-6, "0.000001"),
            (2.5e-7, "2.5e-07"),
            (-1e-300, "-1e-300"),
            (f64::NAN, "NaN"),
            (f64::INFINITY, "+Inf"),
            (f64::NEG_INFINITY, "-Inf"),
        ];
        for (value, text) in cases {
            assert_eq!(float_text(value), text);
        }
    }
}
