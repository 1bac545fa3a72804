//! Writes Prometheus' text: for our own `/metrics`.

use std::io::Write;

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
            let _ = write!(self.out, "{}{name}=\"", if place == 0 { '{' } else { ',' });
            for byte in text.bytes() {
                match byte {
                    b'\\' => self.out.extend_from_slice(b"\\\\"),
                    b'"' => self.out.extend_from_slice(b"\\\""),
                    b'\n' => self.out.extend_from_slice(b"\\n"),
                    byte => self.out.push(byte),
                }
            }
            self.out.push(b'"');
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
