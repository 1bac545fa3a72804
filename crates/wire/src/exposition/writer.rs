//! Writes Prometheus' text: for our own `/metrics`, and for whoever federates.

use std::io::Write;

use model::labels::METRIC_NAME;
use model::{Labels, Sample};

use crate::metadata::MetricKind;
use crate::number::write_float;

/// Writes Prometheus text: for our own `/metrics`.
#[derive(Debug, Default)]
pub struct Writer {
    out: Vec<u8>,
    family: String,
}

impl Writer {
    /// An empty answer.
    pub fn new() -> Writer {
        Writer::default()
    }

    /// Begins a family; its samples follow.
    pub fn family(&mut self, name: &str, kind: MetricKind, help: &str) -> &mut Writer {
        let kind = if kind == MetricKind::Unknown { "untyped" } else { kind.word() };
        let help = help.replace('\\', "\\\\").replace('\n', "\\n");
        // Writing into a Vec can't fail.
        let _ = writeln!(self.out, "# HELP {name} {help}\n# TYPE {name} {kind}");
        self.family.clear();
        self.family.push_str(name);
        self
    }

    /// A sample of the family with its own name.
    pub fn sample(&mut self, labels: &[(&str, &str)], value: f64) -> &mut Writer {
        self.suffixed("", labels, value)
    }

    /// A sample of the family with a suffix such as `_bucket`.
    pub fn suffixed(&mut self, suffix: &str, labels: &[(&str, &str)], value: f64) -> &mut Writer {
        let _ = write!(self.out, "{}{suffix}", self.family);
        for (place, (name, text)) in labels.iter().enumerate() {
            let _ = write!(self.out, "{}{name}=", if place == 0 { '{' } else { ',' });
            quoted(&mut self.out, text);
        }
        self.out.extend_from_slice(if labels.is_empty() { b" " } else { b"} " });
        write_float(&mut self.out, value);
        self.out.push(b'\n');
        self
    }

    /// The body.
    pub fn finish(self) -> Vec<u8> {
        self.out
    }
}

/// Begins a family of which only the name is told, as Prometheus' federation has them. Its samples follow, each by
/// [`write_federated`].
pub fn write_untyped(out: &mut Vec<u8>, name: &str) {
    out.extend_from_slice(b"# TYPE ");
    write_name(out, name, true);
    out.extend_from_slice(b" untyped\n");
}

/// A sample with its time, in milliseconds as this format has them. A series without `instance` gets an empty one, as in
/// Prometheus: whoever scrapes this with `honor_labels` must not give it the instance of the server that was asked.
pub fn write_federated(out: &mut Vec<u8>, labels: &Labels, sample: Sample) {
    let name = labels.metric();
    let plain = is_plain(name, true);
    let mut separator = b'{';
    if plain {
        out.extend_from_slice(name.as_bytes());
    } else {
        // A name of other letters stands in the braces.
        out.push(separator);
        quoted(out, name);
        separator = b',';
    }
    let missing = labels.get(INSTANCE).is_none().then_some((INSTANCE, ""));
    for (name, text) in labels.iter().filter(|(name, _)| *name != METRIC_NAME).chain(missing) {
        out.push(separator);
        separator = b',';
        write_name(out, name, false);
        out.push(b'=');
        quoted(out, text);
    }
    out.extend_from_slice(b"} ");
    write_float(out, sample.value);
    // Writing into a Vec can't fail.
    let _ = writeln!(out, " {}", sample.time.millis());
}

const INSTANCE: &str = "instance";

fn write_name(out: &mut Vec<u8>, name: &str, colons: bool) {
    if is_plain(name, colons) { out.extend_from_slice(name.as_bytes()) } else { quoted(out, name) }
}

/// Whether a name needs no quotes; colons are for names of metrics.
fn is_plain(name: &str, colons: bool) -> bool {
    let starts = |byte: u8| byte.is_ascii_alphabetic() || byte == b'_' || (colons && byte == b':');
    name.bytes().next().is_some_and(starts) && name.bytes().all(|byte| starts(byte) || byte.is_ascii_digit())
}

fn quoted(out: &mut Vec<u8>, text: &str) {
    out.push(b'"');
    for byte in text.bytes() {
        match byte {
            b'\\' => out.extend_from_slice(b"\\\\"),
            b'"' => out.extend_from_slice(b"\\\""),
            b'\n' => out.extend_from_slice(b"\\n"),
            byte => out.push(byte),
        }
    }
    out.push(b'"');
}

#[cfg(test)]
mod tests {
    use model::{SampleBatch, Time};

    use super::*;
    use crate::exposition::{ContentType, Options, decode};

    #[test]
    fn what_is_federated_is_read_back() {
        let all: [&[(&str, &str)]; 4] = [
            &[("__name__", "a:b"), ("instance", "x:1"), ("job", "a\\b\"c\nd")],
            &[("__name__", "up")],
            &[("__name__", "my.name"), ("a.b", "1"), ("c", "2")],
            &[("__name__", "1x"), ("Z", "z")],
        ];
        let mut out = Vec::new();
        for (place, pairs) in all.iter().enumerate() {
            let labels = Labels::new(pairs.iter().copied()).unwrap();
            write_untyped(&mut out, labels.metric());
            write_federated(&mut out, &labels, Sample { time: Time(1_500_999 + place as i64), value: 0.5 });
        }
        let text = String::from_utf8(out).unwrap();
        let wanted = [
            "# TYPE a:b untyped",
            "a:b{instance=\"x:1\",job=\"a\\\\b\\\"c\\nd\"} 0.5 1500",
            "# TYPE up untyped",
            "up{instance=\"\"} 0.5 1501",
            "# TYPE \"my.name\" untyped",
            "{\"my.name\",\"a.b\"=\"1\",c=\"2\",instance=\"\"} 0.5 1501",
            "# TYPE \"1x\" untyped",
            "{\"1x\",Z=\"z\",instance=\"\"} 0.5 1501",
        ];
        assert_eq!(text.lines().collect::<Vec<_>>(), wanted);
        let (mut batch, mut known) = (SampleBatch::new(), Vec::new());
        let report = decode(text.as_bytes(), ContentType::Text004, Time(0), &Options::default(), &mut batch, &mut known);
        assert_eq!((report.failed, known.len()), (0, 4), "{:?}", report.errors);
        let read: Vec<Labels> = batch.iter().map(|(key, _)| Labels::from_key(key).unwrap()).collect();
        assert_eq!(read, all.map(|pairs| Labels::new(pairs.iter().copied()).unwrap()));
    }
}
