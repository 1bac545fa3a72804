//! The answers of Prometheus' HTTP API as JSON, written straight into the body's bytes.
//!
//! Knows nothing of how an answer was found: takes iterators of labels and samples. Numbers are texts in shortest form,
//! times are seconds with up to three digits behind the point, as Prometheus' own encoder writes them.

use std::io::Write;

use model::{Labels, Sample, Time};
use serde::Serialize;

use crate::metadata::Metadata;
use crate::number::write_float;

/// What Prometheus calls the kinds of errors.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ErrorKind {
    /// The query or a parameter is wrong; status 400.
    BadData,
    /// The query is right and can't be executed; status 422.
    Execution,
    /// It took too long; status 503.
    Timeout,
    /// It was cancelled; status 499, as since Prometheus 2.43.
    Canceled,
    /// A fault of the server; status 500.
    Internal,
    /// Can't answer now; status 503.
    Unavailable,
    /// No such thing; status 404.
    NotFound,
}

impl ErrorKind {
    /// The word in `errorType`.
    pub fn word(self) -> &'static str {
        match self {
            ErrorKind::BadData => "bad_data",
            ErrorKind::Execution => "execution",
            ErrorKind::Timeout => "timeout",
            ErrorKind::Canceled => "canceled",
            ErrorKind::Internal => "internal",
            ErrorKind::Unavailable => "unavailable",
            ErrorKind::NotFound => "not_found",
        }
    }

    /// The HTTP status that Prometheus gives it.
    pub fn status(self) -> u16 {
        match self {
            ErrorKind::BadData => 400,
            ErrorKind::NotFound => 404,
            ErrorKind::Execution => 422,
            ErrorKind::Internal => 500,
            ErrorKind::Canceled => 499,
            ErrorKind::Timeout | ErrorKind::Unavailable => 503,
        }
    }
}

/// Within a long series what is written is passed on after so many samples.
const PASS_EVERY: usize = 1_024;

/// What is said beside the data.
#[derive(Debug, Clone, Copy, Default)]
pub struct Notes<'a> {
    /// Something may be missing or wrong.
    pub warnings: &'a [String],
    /// Something about the query that its author may want to know.
    pub infos: &'a [String],
    /// How it was answered, where that was asked for.
    pub stats: Option<&'a serde_json::Value>,
}

/// Where an answer goes as it is written: memory, or pieces that are sent while the rest is made.
pub trait Out {
    /// What is written now.
    fn bytes(&mut self) -> &mut Vec<u8>;

    /// A good place to pass on what is written. False: nobody wants the rest.
    fn pass(&mut self) -> bool {
        true
    }
}

impl Out for Vec<u8> {
    fn bytes(&mut self) -> &mut Vec<u8> {
        self
    }
}

/// Appends the answer with one sample per series.
pub fn vector<'a>(out: &mut impl Out, series: impl IntoIterator<Item = (&'a Labels, Sample)>, notes: Notes<'_>) {
    open_result(out.bytes(), "vector");
    out.bytes().push(b'[');
    for (place, (labels, sample)) in series.into_iter().enumerate() {
        let bytes = out.bytes();
        comma(bytes, place);
        bytes.extend_from_slice(b"{\"metric\":");
        write_labels(bytes, labels);
        bytes.extend_from_slice(b",\"value\":");
        write_sample(bytes, sample);
        bytes.push(b'}');
        if !out.pass() {
            return;
        }
    }
    out.bytes().push(b']');
    close_result(out.bytes(), notes);
}

/// Appends the answer with many samples per series.
pub fn matrix<'a, P: IntoIterator<Item = Sample>>(
    out: &mut impl Out,
    series: impl IntoIterator<Item = (&'a Labels, P)>,
    notes: Notes<'_>,
) {
    open_result(out.bytes(), "matrix");
    out.bytes().push(b'[');
    for (place, (labels, samples)) in series.into_iter().enumerate() {
        let bytes = out.bytes();
        comma(bytes, place);
        bytes.extend_from_slice(b"{\"metric\":");
        write_labels(bytes, labels);
        bytes.extend_from_slice(b",\"values\":[");
        for (place, sample) in samples.into_iter().enumerate() {
            if place % PASS_EVERY == PASS_EVERY - 1 && !out.pass() {
                return;
            }
            let bytes = out.bytes();
            comma(bytes, place);
            write_sample(bytes, sample);
        }
        out.bytes().extend_from_slice(b"]}");
        if !out.pass() {
            return;
        }
    }
    out.bytes().push(b']');
    close_result(out.bytes(), notes);
}

/// Appends the answer that is a number.
pub fn scalar(out: &mut Vec<u8>, sample: Sample, notes: Notes<'_>) {
    open_result(out, "scalar");
    out.push(b'[');
    write_time(out, sample.time);
    out.extend_from_slice(b",\"");
    // Prometheus writes this one without an exponent, however long it gets.
    if sample.value.is_finite() {
        let _ = write!(out, "{}", sample.value);
    } else {
        write_float(out, sample.value);
    }
    out.extend_from_slice(b"\"]");
    close_result(out, notes);
}

/// Appends the answer that is a text.
pub fn string(out: &mut Vec<u8>, time: Time, text: &str, notes: Notes<'_>) {
    open_result(out, "string");
    out.push(b'[');
    write_time(out, time);
    out.push(b',');
    json(out, text);
    out.push(b']');
    close_result(out, notes);
}

/// Appends an answer whose data is a list of texts: label names, label values.
pub fn strings<S: AsRef<str>>(out: &mut impl Out, texts: impl IntoIterator<Item = S>, notes: Notes<'_>) {
    list(out, texts, |out, text| json(out, text.as_ref()), notes);
}

/// Appends an answer whose data is a list of series.
pub fn series<'a>(out: &mut impl Out, series: impl IntoIterator<Item = &'a Labels>, notes: Notes<'_>) {
    list(out, series, write_labels, notes);
}

/// Appends the answer of `/api/v1/metadata`; those of one family must follow each other.
pub fn metadata<'a>(out: &mut Vec<u8>, known: impl IntoIterator<Item = &'a Metadata>) {
    #[derive(Serialize)]
    struct Entry<'a> {
        #[serde(rename = "type")]
        kind: &'static str,
        help: &'a str,
        unit: &'a str,
    }
    out.extend_from_slice(b"{\"status\":\"success\",\"data\":{");
    let mut before: Option<&str> = None;
    for entry in known {
        if before == Some(entry.family.as_str()) {
            out.push(b',');
        } else {
            if before.is_some() {
                out.extend_from_slice(b"],");
            }
            json(out, entry.family.as_str());
            out.extend_from_slice(b":[");
            before = Some(&entry.family);
        }
        json(out, &Entry { kind: entry.kind.word(), help: &entry.help, unit: &entry.unit });
    }
    out.extend_from_slice(if before.is_some() { b"]}}" } else { b"}}" });
}

/// Appends an answer whose data is whatever `data` is as JSON: build information, rules, targets.
pub fn data<T: Serialize + ?Sized>(out: &mut Vec<u8>, data: &T) {
    out.extend_from_slice(b"{\"status\":\"success\",\"data\":");
    json(out, data);
    out.push(b'}');
}

/// Appends the answer to a request that failed.
pub fn error(out: &mut Vec<u8>, kind: ErrorKind, text: &str) {
    out.extend_from_slice(b"{\"status\":\"error\",\"errorType\":");
    json(out, kind.word());
    out.extend_from_slice(b",\"error\":");
    json(out, text);
    out.push(b'}');
}

fn list<T>(out: &mut impl Out, items: impl IntoIterator<Item = T>, write: impl Fn(&mut Vec<u8>, T), notes: Notes<'_>) {
    out.bytes().extend_from_slice(b"{\"status\":\"success\",\"data\":[");
    for (place, item) in items.into_iter().enumerate() {
        comma(out.bytes(), place);
        write(out.bytes(), item);
        if !out.pass() {
            return;
        }
    }
    out.bytes().push(b']');
    close(out.bytes(), notes);
}

fn open_result(out: &mut Vec<u8>, kind: &str) {
    // Writing into a Vec can't fail.
    let _ = write!(out, "{{\"status\":\"success\",\"data\":{{\"resultType\":\"{kind}\",\"result\":");
}

fn close_result(out: &mut Vec<u8>, notes: Notes<'_>) {
    if let Some(stats) = notes.stats {
        out.extend_from_slice(b",\"stats\":");
        json(out, stats);
    }
    out.push(b'}');
    close(out, notes);
}

fn close(out: &mut Vec<u8>, notes: Notes<'_>) {
    for (name, texts) in [("warnings", notes.warnings), ("infos", notes.infos)] {
        if !texts.is_empty() {
            let _ = write!(out, ",\"{name}\":");
            json(out, texts);
        }
    }
    out.push(b'}');
}

fn write_sample(out: &mut Vec<u8>, sample: Sample) {
    out.push(b'[');
    write_time(out, sample.time);
    out.extend_from_slice(b",\"");
    write_float(out, sample.value);
    out.extend_from_slice(b"\"]");
}

fn write_time(out: &mut Vec<u8>, time: Time) {
    let millis = time.millis();
    let (mut secs, rest) = (millis.unsigned_abs() / 1_000, millis.unsigned_abs() % 1_000);
    if millis < 0 {
        out.push(b'-');
    }
    let mut digits = [0; 20];
    let mut first = digits.len();
    loop {
        first -= 1;
        digits[first] = b'0' + (secs % 10) as u8;
        secs /= 10;
        if secs == 0 {
            break;
        }
    }
    out.extend_from_slice(&digits[first..]);
    if rest > 0 {
        let digit = |unit: u64| b'0' + (rest / unit % 10) as u8;
        out.extend_from_slice(&[b'.', digit(100), digit(10), digit(1)]);
    }
}

/// Labels as an object; what most texts are, plain ASCII, is copied as it is.
fn write_labels(out: &mut Vec<u8>, labels: &Labels) {
    out.push(b'{');
    for (place, (name, value)) in labels.iter().enumerate() {
        comma(out, place);
        write_text(out, name);
        out.push(b':');
        write_text(out, value);
    }
    out.push(b'}');
}

fn write_text(out: &mut Vec<u8>, text: &str) {
    if text.bytes().any(|byte| byte < 0x20 || byte == b'"' || byte == b'\\') {
        json(out, text);
    } else {
        out.push(b'"');
        out.extend_from_slice(text.as_bytes());
        out.push(b'"');
    }
}

fn comma(out: &mut Vec<u8>, place: usize) {
    if place > 0 {
        out.push(b',');
    }
}

/// Texts, maps of texts and plain structs: what can't fail to be JSON.
fn json<T: Serialize + ?Sized>(out: &mut Vec<u8>, value: &T) {
    let start = out.len();
    if serde_json::to_writer(&mut *out, value).is_err() {
        out.truncate(start);
        out.extend_from_slice(b"null");
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metadata::MetricKind;
    use expect_test::{Expect, expect};
    use proptest::prelude::*;

    /// Passes everything on at once.
    struct Piecewise(Vec<u8>, Vec<Vec<u8>>);

    impl Out for Piecewise {
        fn bytes(&mut self) -> &mut Vec<u8> {
            &mut self.0
        }

        fn pass(&mut self) -> bool {
            self.1.push(std::mem::take(&mut self.0));
            self.1.len() < 10
        }
    }

    #[test]
    fn in_pieces_it_is_the_same_and_ends_where_nobody_wants_more() {
        let up = Labels::new([("__name__", "up")]).unwrap();
        let rows = |count: usize| (0..count).map(|_| (&up, (0..1_030).map(|n| sample(n, n as f64))));
        let (mut whole, mut pieces) = (Vec::new(), Piecewise(Vec::new(), Vec::new()));
        matrix(&mut whole, rows(2), Notes::default());
        matrix(&mut pieces, rows(2), Notes::default());
        assert_eq!(pieces.1.len(), 4);
        assert_eq!([pieces.1.concat(), pieces.0].concat(), whole);
        let mut cut = Piecewise(Vec::new(), Vec::new());
        matrix(&mut cut, rows(1_000), Notes::default());
        assert_eq!(cut.1.len(), 10);
    }

    fn check(write: impl Fn(&mut Vec<u8>), wanted: Expect) {
        let mut out = Vec::new();
        write(&mut out);
        serde_json::from_slice::<serde_json::Value>(&out).unwrap();
        wanted.assert_eq(&String::from_utf8(out).unwrap());
    }

    fn sample(millis: i64, value: f64) -> Sample {
        Sample { time: Time::from_millis(millis), value }
    }

    #[test]
    fn every_result() {
        let up = Labels::new([("__name__", "up"), ("job", "sh\"op")]).unwrap();
        let none = Labels::empty();
        let plain = Notes::default();
        check(
            |out| vector(out, [(&up, sample(1_435_781_451_781, 1.0)), (&none, sample(1_000, f64::NAN))], plain),
            expect![[
                r#"{"status":"success","data":{"resultType":"vector","result":[{"metric":{"__name__":"up","job":"sh\"op"},"value":[1435781451.781,"1"]},{"metric":{},"value":[1,"NaN"]}]}}"#
            ]],
        );
        check(
            |out| matrix(out, [(&up, vec![sample(0, 0.5), sample(50, f64::INFINITY)]), (&none, vec![])], plain),
            expect![[
                r#"{"status":"success","data":{"resultType":"matrix","result":[{"metric":{"__name__":"up","job":"sh\"op"},"values":[[0,"0.5"],[0.050,"+Inf"]]},{"metric":{},"values":[]}]}}"#
            ]],
        );
        let warnings = ["late".to_owned()];
        check(
            |out| scalar(out, sample(-1_500, 1e21), Notes { warnings: &warnings, ..Notes::default() }),
            expect![[
                r#"{"status":"success","data":{"resultType":"scalar","result":[-1.500,"1000000000000000000000"]},"warnings":["late"]}"#
            ]],
        );
        check(
            |out| string(out, Time::from_secs(5), "a\nb", plain),
            expect![[r#"{"status":"success","data":{"resultType":"string","result":[5,"a\nb"]}}"#]],
        );
    }

    #[test]
    fn lists_and_errors() {
        check(|out| strings(out, ["a", "b"], Notes::default()), expect![[r#"{"status":"success","data":["a","b"]}"#]]);
        check(
            |out| series(out, &[Labels::new([("__name__", "up")]).unwrap()], Notes::default()),
            expect![[r#"{"status":"success","data":[{"__name__":"up"}]}"#]],
        );
        check(
            |out| error(out, ErrorKind::BadData, "1:3: what"),
            expect![[r#"{"status":"error","errorType":"bad_data","error":"1:3: what"}"#]],
        );
        check(|out| data(out, &[1, 2]), expect![[r#"{"status":"success","data":[1,2]}"#]]);
        let one = Metadata { family: "up".into(), kind: MetricKind::Gauge, help: "h".into(), unit: String::new() };
        let two = Metadata { family: "x".into(), kind: MetricKind::Counter, help: String::new(), unit: "s".into() };
        check(
            |out| metadata(out, [&one, &one, &two]),
            expect![[
                r#"{"status":"success","data":{"up":[{"type":"gauge","help":"h","unit":""},{"type":"gauge","help":"h","unit":""}],"x":[{"type":"counter","help":"","unit":"s"}]}}"#
            ]],
        );
        check(|out| metadata(out, []), expect![[r#"{"status":"success","data":{}}"#]]);
    }

    proptest! {
        #[test]
        fn any_answer_is_json(name in ".{1,20}", value in ".{1,20}", time in any::<i64>(), bits in any::<u64>()) {
            let labels = Labels::new([(name, value)]).unwrap();
            let mut out = Vec::new();
            vector(&mut out, [(&labels, Sample { time: Time(time), value: f64::from_bits(bits) })], Notes::default());
            prop_assert!(serde_json::from_slice::<serde_json::Value>(&out).is_ok());
        }
    }
}
