//! For series that are known the hot decoders allocate nothing, however many samples a body brings: everything lies in memory
//! that the body before has used.
//!
//! In a program of its own, because its allocator counts.

use allocation_counter::measure;
use model::intake::{KEY_SECRET_LEN, KeySecret, RawRow, Rows};
use model::{Labels, Sample, SampleBatch, Time};
use wire::compression::snappy_limited;
use wire::exposition::{self, ContentType};
use wire::influx::{self, Lines, Precision};
use wire::remote_write::{self, PLAIN_LEN_MAX, Request};

const SERIES: usize = 20_000;

fn secret() -> KeySecret {
    KeySecret::new([5; KEY_SECRET_LEN])
}

/// How many allocations the second run of `decode` makes, and how many samples it gives.
fn second(mut decode: impl FnMut() -> usize) -> (u64, usize) {
    decode();
    let mut samples = 0;
    let counted = measure(|| samples = decode());
    (counted.count_total, samples)
}

#[test]
fn line_protocol() {
    let secret = secret();
    let body: String = (0..SERIES / 2)
        .map(|host| {
            format!("cpu,host=h{host},dc=\\ a usage=12.5,idle={host}i,name=\"a \\\"text\\\"\" 179500000000{:04}\n", host % 7)
        })
        .collect();
    let mut rows: Vec<RawRow> = Vec::new();
    let decoded = second(|| {
        let options = influx::Options::new(Precision::Milliseconds, Time(0));
        let mut lines = Lines::new(body.as_bytes(), &secret, options, std::mem::take(&mut rows));
        while lines.advance() {
            assert!(!lines.rows().is_empty());
        }
        let (memory, report) = lines.finish();
        rows = memory;
        assert_eq!((report.failed, report.refused_strings), (0, SERIES / 2));
        report.accepted
    });
    assert_eq!(decoded, (0, SERIES));
}

#[test]
fn remote_write() {
    let secret = secret();
    let samples = [Sample { time: Time::from_millis(1_795_000_000_000), value: 1.5 }; 2];
    let series: Vec<Labels> =
        (0..SERIES / 2).map(|host| Labels::new([("__name__", "up"), ("host", &format!("h{host}"))]).unwrap()).collect();
    let body = remote_write::encode(series.iter().map(|labels| (labels, &samples[..])), &[]);
    let (mut rows, mut memory): (Vec<RawRow>, Vec<u8>) = (Vec::new(), Vec::new());
    let decoded = second(|| {
        let plain = snappy_limited(&body, PLAIN_LEN_MAX, &mut memory).unwrap();
        let mut request = Request::new(plain, &secret, remote_write::Options::default(), std::mem::take(&mut rows));
        while request.advance() {
            assert!(!request.rows().is_empty());
        }
        let (memory, _, report) = request.finish();
        rows = memory;
        report.accepted
    });
    assert_eq!(decoded, (0, SERIES));
}

#[test]
fn exposition() {
    let mut body = "# TYPE up histogram\n".to_owned();
    body.extend((0..SERIES).map(|host| format!("up{{host=\"h{host}\",le=\"{host}\",quoted=\"a\\\"b\"}} {host}.25\n")));
    let (mut decoder, options) = (exposition::Decoder::default(), exposition::Options::default());
    let (mut batch, mut metadata) = (SampleBatch::new(), Vec::new());
    let decoded = second(|| {
        batch.clear();
        let content = ContentType::Text004;
        decoder.decode(body.as_bytes(), content, Time(0), &options, &mut batch, &mut metadata).accepted
    });
    assert_eq!(decoded, (0, SERIES));
}
