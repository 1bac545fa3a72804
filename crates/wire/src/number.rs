//! Numbers as Prometheus writes them: shortest digits, an exponent only where it is shorter to read.

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

/// `value` as text; see [`write_float`].
pub fn float_text(value: f64) -> String {
    let mut out = Vec::with_capacity(24);
    write_float(&mut out, value);
    String::from_utf8_lossy(&out).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

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
