//! Bodies as senders make them: Influx line protocol, and remote write 1.0 (protobuf in snappy). Written for the measurement,
//! knows nothing of what flyball's decoders do.

use super::fleet::Fleet;

/// How samples are sent.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Form {
    Influx,
    RemoteWrite,
}

impl Form {
    /// Where they go; VictoriaMetrics, Prometheus and flyball agree on it.
    pub fn path(self) -> &'static str {
        match self {
            Form::Influx => "/write?precision=ms",
            Form::RemoteWrite => "/api/v1/write",
        }
    }

    /// The head's lines that say what a body is.
    pub fn headers(self) -> &'static str {
        match self {
            Form::Influx => "content-type: text/plain; charset=utf-8\r\n",
            Form::RemoteWrite => {
                "content-type: application/x-protobuf\r\ncontent-encoding: snappy\r\n\
                 x-prometheus-remote-write-version: 0.1.0\r\n"
            }
        }
    }
}

/// Lines of a body of line protocol; samples of a body of remote write.
const LINES: usize = 5_000;
const SAMPLES: usize = 2_000;

/// Appends the bodies of the fleet's present step.
pub fn bodies(fleet: &Fleet, form: Form, time_ms: i64, out: &mut Vec<Vec<u8>>) {
    match form {
        Form::Influx => out.extend(fleet.lines.chunks(LINES).map(|lines| influx(fleet, lines, time_ms))),
        Form::RemoteWrite => {
            let mut plain = Vec::new();
            for series in fleet.series.chunks(SAMPLES) {
                plain.clear();
                for one in series {
                    time_series(&mut plain, &one.labels, one.value(), time_ms);
                }
                out.push(compress(&plain));
            }
        }
    }
}

fn influx(fleet: &Fleet, lines: &[super::fleet::Line], time_ms: i64) -> Vec<u8> {
    let mut out = Vec::with_capacity(lines.len() * 150);
    let mut time = Vec::new();
    integer(&mut time, time_ms);
    for line in lines {
        out.extend_from_slice(line.head.as_bytes());
        for (place, field) in line.fields.iter().enumerate() {
            let series = &fleet.series[line.first + place];
            out.push(if place == 0 { b' ' } else { b',' });
            out.extend_from_slice(field.as_bytes());
            out.push(b'=');
            decimal(&mut out, series.number(), series.decimals);
        }
        out.push(b' ');
        out.extend_from_slice(&time);
        out.push(b'\n');
    }
    out
}

fn integer(out: &mut Vec<u8>, number: i64) {
    let mut digits = [0_u8; 20];
    let (mut rest, mut at) = (number.unsigned_abs(), digits.len());
    loop {
        at -= 1;
        digits[at] = b'0' + (rest % 10) as u8;
        rest /= 10;
        if rest == 0 {
            break;
        }
    }
    if number < 0 {
        out.push(b'-');
    }
    out.extend_from_slice(&digits[at..]);
}

/// Never a zero at the end of a fraction, as programs print floats.
fn decimal(out: &mut Vec<u8>, mut number: i64, mut decimals: u32) {
    while decimals > 0 && number % 10 == 0 {
        number /= 10;
        decimals -= 1;
    }
    if decimals == 0 {
        return integer(out, number);
    }
    let scale = 10_i64.pow(decimals);
    integer(out, number / scale);
    out.push(b'.');
    let mut place = scale / 10;
    while place > 0 {
        out.push(b'0' + (number / place % 10) as u8);
        place /= 10;
    }
}

/// A protobuf varint.
fn varint(out: &mut Vec<u8>, mut number: u64) {
    while number >= 0x80 {
        out.push(number as u8 | 0x80);
        number >>= 7;
    }
    out.push(number as u8);
}

fn bytes(out: &mut Vec<u8>, field: u8, value: &[u8]) {
    out.push(field << 3 | 2);
    varint(out, value.len() as u64);
    out.extend_from_slice(value);
}

/// Sorted labels as the fields 1 of a `TimeSeries`.
pub fn labels(labels: &[(&str, String)]) -> Vec<u8> {
    let (mut out, mut one) = (Vec::new(), Vec::new());
    for (name, value) in labels {
        one.clear();
        bytes(&mut one, 1, name.as_bytes());
        bytes(&mut one, 2, value.as_bytes());
        bytes(&mut out, 1, &one);
    }
    out
}

/// A `TimeSeries` with one sample.
fn time_series(out: &mut Vec<u8>, labels: &[u8], value: f64, time_ms: i64) {
    let mut sample = Vec::with_capacity(20);
    sample.push(0x09);
    sample.extend_from_slice(&value.to_le_bytes());
    sample.push(0x10);
    varint(&mut sample, time_ms as u64);
    out.push(1 << 3 | 2);
    varint(out, (labels.len() + 2 + sample.len()) as u64);
    out.extend_from_slice(labels);
    bytes(out, 2, &sample);
}

fn compress(plain: &[u8]) -> Vec<u8> {
    let mut packed = vec![0; snap::raw::max_compress_len(plain.len())];
    // The room is as the library asks for it.
    let length = snap::raw::Encoder::new().compress(plain, &mut packed).unwrap_or_default();
    packed.truncate(length);
    packed.shrink_to_fit();
    packed
}
