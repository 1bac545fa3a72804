//! Remote write by the common library for protobuf: where that reads a request, ours reads the same.

use model::{Labels, Time};
use prost::Message;
use wire::remote_write::{Options, Request};

use super::{Sample, secret, shown};

#[derive(Clone, PartialEq, Message)]
struct WriteRequest {
    #[prost(message, repeated, tag = "1")]
    series: Vec<TimeSeries>,
}

#[derive(Clone, PartialEq, Message)]
struct TimeSeries {
    #[prost(message, repeated, tag = "1")]
    labels: Vec<Label>,
    #[prost(message, repeated, tag = "2")]
    samples: Vec<Value>,
}

#[derive(Clone, PartialEq, Message)]
struct Label {
    #[prost(bytes = "vec", tag = "1")]
    name: Vec<u8>,
    #[prost(bytes = "vec", tag = "2")]
    value: Vec<u8>,
}

#[derive(Clone, PartialEq, Message)]
struct Value {
    #[prost(double, tag = "1")]
    value: f64,
    #[prost(int64, tag = "2")]
    millis: i64,
}

/// Holds our decoder to the library.
pub fn agree(plain: &[u8]) {
    let secret = secret();
    let mut seen: Vec<(Vec<Sample>, Vec<String>)> = Vec::new();
    let mut read_all = true;
    for rows_at_once in [1, 1_000] {
        let mut request = Request::new(plain, &secret, Options { rows_at_once, ..Options::default() }, Vec::new());
        let (mut samples, mut faults) = (Vec::new(), Vec::new());
        while request.advance() {
            shown(&request, &mut samples, &mut faults);
        }
        let report = request.finish().2;
        read_all &= report.ended.is_none();
        faults.extend(report.errors.iter().map(ToString::to_string));
        seen.push((samples, faults));
    }
    assert_eq!(seen[0], seen[1], "portions change nothing");
    let Ok(request) = WriteRequest::decode(plain) else { return };
    // Groups are skipped there and refused here; nobody has sent one since 2008.
    let (samples, faults) = seen.remove(0);
    if !read_all || faults.iter().any(|fault| fault.contains("wire type")) {
        return;
    }
    let wanted: Vec<Sample> = request.series.iter().filter_map(samples_of).flatten().collect();
    assert_eq!(samples, wanted, "{plain:?}");
}

/// The samples of a series whose labels follow the rules.
fn samples_of(series: &TimeSeries) -> Option<Vec<Sample>> {
    let pairs: Option<Vec<(&str, &str)>> =
        series.labels.iter().map(|label| Some((str::from_utf8(&label.name).ok()?, str::from_utf8(&label.value).ok()?))).collect();
    let pairs = pairs?;
    let sorted = pairs.windows(2).all(|two| two[0].0 < two[1].0);
    let named = pairs.iter().any(|(name, value)| *name == "__name__" && !value.is_empty());
    if !sorted || !named || pairs[0].0.is_empty() {
        return None;
    }
    let labels = Labels::new(pairs).ok()?.to_string();
    let sample = |value: &Value| {
        let micros = value.millis.checked_mul(1_000)?;
        Some((labels.clone(), Time(micros).0, value.value.to_bits()))
    };
    Some(series.samples.iter().filter_map(sample).collect())
}
