//! Differences as promtool prints them, so that what reads its output reads ours.

use std::collections::BTreeMap;
use std::time::Duration;

use model::Labels;
use model::config::Span;

/// An alert as a test sees it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Alert {
    pub(super) labels: BTreeMap<String, String>,
    pub(super) annotations: BTreeMap<String, String>,
}

/// `[` ... `]` with one numbered entry each.
pub(super) fn alerts(alerts: &[Alert]) -> String {
    if alerts.is_empty() {
        return "[]".to_owned();
    }
    let deep = " ".repeat(12);
    let mut out = format!("[\n{deep}");
    for (place, alert) in alerts.iter().enumerate() {
        if place > 0 {
            out.push_str(&format!(",\n{deep}"));
        }
        out.push_str(&format!(
            "{place}:\n{deep}  Labels:{}\n{deep}  Annotations:{}",
            pairs(&alert.labels),
            pairs(&alert.annotations)
        ));
    }
    out.push_str(&format!("\n{deep}]"));
    out
}

fn pairs(pairs: &BTreeMap<String, String>) -> String {
    let words: Vec<String> = pairs.iter().map(|(name, value)| format!("{name}={value:?}")).collect();
    format!("{{{}}}", words.join(", "))
}

/// Samples in one line; `nil` without any.
pub(super) fn samples(samples: &[(Labels, f64)]) -> String {
    if samples.is_empty() {
        return "nil".to_owned();
    }
    let all = |labels: &Labels| pairs(&labels.iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect());
    let words: Vec<String> = samples.iter().map(|(labels, value)| format!("{} {}", all(labels), exponent(*value))).collect();
    words.join(", ")
}

/// The shortest number with an exponent of two digits: `1.5E+01`.
fn exponent(value: f64) -> String {
    if value.is_nan() {
        return "NaN".to_owned();
    }
    if value.is_infinite() {
        return if value > 0.0 { "+Inf" } else { "-Inf" }.to_owned();
    }
    let text = format!("{value:E}");
    let (mantissa, exponent) = text.split_once('E').unwrap_or((&text, "0"));
    let (sign, digits) = exponent.strip_prefix('-').map_or(('+', exponent), |digits| ('-', digits));
    format!("{mantissa}E{sign}{digits:0>2}")
}

/// A span as Prometheus writes it: `1h30m`; `0s`.
pub(super) fn duration(span: Span) -> String {
    if span.0 == 0 { "0s".to_owned() } else { span.to_string() }
}

/// A span as Go prints it: `1h0m0s`.
pub(super) fn go_duration(span: Duration) -> String {
    let (seconds, millis) = (span.as_secs(), span.subsec_millis());
    if seconds == 0 && millis > 0 {
        return format!("{millis}ms");
    }
    let mut fraction = String::new();
    if millis > 0 {
        fraction = format!(".{millis:03}").trim_end_matches('0').to_owned();
    }
    let (hours, minutes, rest) = (seconds / 3_600, seconds / 60 % 60, seconds % 60);
    match (hours, minutes) {
        (0, 0) => format!("{rest}{fraction}s"),
        (0, _) => format!("{minutes}m{rest}{fraction}s"),
        _ => format!("{hours}h{minutes}m{rest}{fraction}s"),
    }
}
