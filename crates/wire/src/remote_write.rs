//! Prometheus remote write 1.0: a snappy block with a protobuf `WriteRequest`, read without copying a label.
//!
//! A series that breaks the rules (labels sorted, different, with a name) is refused by its number and the others are
//! kept. Native histograms are counted as refused; exemplars are skipped. A body that is no request is refused whole.

use model::labels::{LABELS_MAX, METRIC_NAME};
use model::{Labels, Sample, SampleBatch, Time};
use serde::Serialize;

use crate::compression::{CompressionError, snappy_limited};
use crate::metadata::{METADATA_MAX, Metadata, MetricKind, cut};
use crate::protobuf::{Field, ProtobufError, Reader, put_bytes, put_varint};
use crate::report::{ERRORS_KEPT, excerpt};
use crate::text::PairsMemory;

/// What a request may be.
#[derive(Debug, Clone)]
pub struct Limits {
    /// Most bytes after decompression; Prometheus itself refuses more than 32 MiB.
    pub decoded_len_max: usize,
    /// Most samples in one request.
    pub samples_max: usize,
}

impl Default for Limits {
    fn default() -> Limits {
        Limits { decoded_len_max: 32 * 1024 * 1024, samples_max: 2_000_000 }
    }
}

/// The outcome of decoding a request.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct WriteReport {
    /// Samples that went into the batch.
    pub accepted: usize,
    /// Native histograms, which are not stored yet.
    pub refused_histograms: usize,
    /// Exemplars, which are not stored.
    pub skipped_exemplars: usize,
    /// Series that were refused, all of them.
    pub failed: usize,
    /// The first [`ERRORS_KEPT`] refused series.
    pub errors: Vec<SeriesError>,
}

/// One refused series.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, thiserror::Error)]
#[error("series {series} ({metric}): {reason}")]
pub struct SeriesError {
    /// Its place in the request, from 0.
    pub series: usize,
    /// Its metric's name as far as it is known, cut.
    pub metric: String,
    /// What is wrong.
    pub reason: String,
}

/// Why a whole request was refused. The batch may hold a part of it then: throw it away.
#[derive(Debug, thiserror::Error)]
pub enum RemoteWriteError {
    /// Not a snappy block, or too large.
    #[error(transparent)]
    Compression(#[from] CompressionError),
    /// Not a `WriteRequest`.
    #[error("read the write request: {0}")]
    Malformed(#[from] ProtobufError),
    /// Over [`Limits::samples_max`].
    #[error("more than {0} samples in one write request")]
    TooMany(usize),
}

impl RemoteWriteError {
    /// True if the request is over a limit (status 413), false if it is malformed (status 400).
    pub fn is_too_large(&self) -> bool {
        matches!(self, RemoteWriteError::TooMany(_) | RemoteWriteError::Compression(CompressionError::TooLarge { .. }))
    }
}

/// Decodes a request; for many requests keep a [`Decoder`].
pub fn decode(
    body: &[u8],
    limits: &Limits,
    out: &mut SampleBatch,
    meta: &mut Vec<Metadata>,
) -> Result<WriteReport, RemoteWriteError> {
    Decoder::default().decode(body, limits, out, meta)
}

/// Decodes requests, and uses its memory again.
#[derive(Debug, Default)]
pub struct Decoder {
    plain: Vec<u8>,
    pairs: PairsMemory,
}

impl Decoder {
    /// Adds the samples of `body` to `out` and its metadata to `meta`.
    pub fn decode(
        &mut self,
        body: &[u8],
        limits: &Limits,
        out: &mut SampleBatch,
        meta: &mut Vec<Metadata>,
    ) -> Result<WriteReport, RemoteWriteError> {
        snappy_limited(body, limits.decoded_len_max, &mut self.plain)?;
        let mut pairs = self.pairs.lend();
        let outcome = read_request(&self.plain, limits, &mut pairs, out, meta);
        self.pairs.take_back(pairs);
        outcome
    }
}

fn read_request<'a>(
    plain: &'a [u8],
    limits: &Limits,
    pairs: &mut Vec<(&'a str, &'a str)>,
    out: &mut SampleBatch,
    meta: &mut Vec<Metadata>,
) -> Result<WriteReport, RemoteWriteError> {
    let mut report = WriteReport::default();
    let mut request = Reader::new(plain);
    let mut number = 0;
    while let Some(field) = request.field()? {
        match field {
            (1, Field::Bytes(series)) => {
                read_series(series, number, limits, pairs, &mut report, out)?;
                number += 1;
            }
            (3, Field::Bytes(entry)) if meta.len() < METADATA_MAX => meta.push(read_metadata(entry)?),
            _ => {}
        }
    }
    Ok(report)
}

fn read_series<'a>(
    series: Reader<'a>,
    number: usize,
    limits: &Limits,
    pairs: &mut Vec<(&'a str, &'a str)>,
    report: &mut WriteReport,
    out: &mut SampleBatch,
) -> Result<(), RemoteWriteError> {
    pairs.clear();
    let mut wrong: Option<String> = None;
    let mut samples = 0;
    // Twice over the fields: the samples' series must be known first, and protobuf promises no order.
    let mut fields = series;
    while let Some(field) = fields.field()? {
        match field {
            (1, Field::Bytes(label)) => match read_label(label)? {
                _ if wrong.is_some() => {}
                Ok(pair) => match check_label(pairs, pair) {
                    Ok(()) => pairs.push(pair),
                    Err(reason) => wrong = Some(reason),
                },
                Err(reason) => wrong = Some(reason),
            },
            (2, Field::Bytes(_)) => samples += 1,
            (3, _) => report.skipped_exemplars += 1,
            (4, _) => report.refused_histograms += 1,
            _ => {}
        }
    }
    let metric = pairs.iter().find(|(name, _)| *name == METRIC_NAME).map_or("", |(_, value)| value);
    if wrong.is_none() && metric.is_empty() {
        wrong = Some("label `__name__` is missing".into());
    }
    if report.accepted + samples > limits.samples_max {
        return Err(RemoteWriteError::TooMany(limits.samples_max));
    }
    let begun = match wrong {
        Some(reason) => Err(reason),
        None => out.begin(pairs).map_err(|error| error.to_string()),
    };
    let refused = match begun {
        Err(reason) => Some(reason),
        Ok(begun) => {
            let mut misdated = None;
            let mut fields = series;
            while let Some(field) = fields.field()? {
                let (2, Field::Bytes(sample)) = field else { continue };
                match read_sample(sample)? {
                    Some(sample) => {
                        out.push_value(begun, sample.time, sample.value);
                        report.accepted += 1;
                    }
                    None => misdated = Some("a sample's timestamp is out of range; the other samples are taken".to_owned()),
                }
            }
            misdated
        }
    };
    if let Some(reason) = refused {
        report.failed += 1;
        if report.errors.len() < ERRORS_KEPT {
            report.errors.push(SeriesError { series: number, metric: excerpt(metric.as_bytes(), 0), reason });
        }
    }
    Ok(())
}

/// What the specification demands of labels: sorted, different, with names.
fn check_label(before: &[(&str, &str)], (name, _): (&str, &str)) -> Result<(), String> {
    let shown = || excerpt(name.as_bytes(), 0);
    if name.is_empty() {
        return Err(format!("label {} has no name", before.len()));
    }
    if before.len() >= LABELS_MAX {
        return Err(format!("more than {LABELS_MAX} labels"));
    }
    match before.last() {
        Some((last, _)) if *last == name => Err(format!("label `{}` stands twice", shown())),
        Some((last, _)) if *last > name => {
            Err(format!("labels are not sorted: `{}` comes after `{}`", shown(), excerpt(last.as_bytes(), 0)))
        }
        _ => Ok(()),
    }
}

type Label<'a> = Result<(&'a str, &'a str), String>;

fn read_label<'a>(mut label: Reader<'a>) -> Result<Label<'a>, ProtobufError> {
    let (mut name, mut value): (&[u8], &[u8]) = (b"", b"");
    while let Some(field) = label.field()? {
        match field {
            (1, Field::Bytes(text)) => name = text.rest(),
            (2, Field::Bytes(text)) => value = text.rest(),
            _ => {}
        }
    }
    let Ok(name) = str::from_utf8(name) else {
        return Ok(Err(format!("the label name `{}` is not UTF-8", excerpt(name, 0))));
    };
    let Ok(value) = str::from_utf8(value) else {
        return Ok(Err(format!("the value of label `{}` is not UTF-8", excerpt(name.as_bytes(), 0))));
    };
    Ok(Ok((name, value)))
}

/// `None` for a time that no [`Time`] can hold.
fn read_sample(mut sample: Reader<'_>) -> Result<Option<Sample>, ProtobufError> {
    let (mut value, mut millis) = (0.0, 0i64);
    while let Some(field) = sample.field()? {
        match field {
            (1, Field::Fixed64(bits)) => value = f64::from_bits(bits),
            (2, Field::Varint(number)) => millis = number as i64,
            _ => {}
        }
    }
    Ok(millis.checked_mul(1_000).map(|micros| Sample { time: Time(micros), value }))
}

fn read_metadata(mut entry: Reader<'_>) -> Result<Metadata, ProtobufError> {
    let mut known = Metadata { family: String::new(), kind: MetricKind::Unknown, help: String::new(), unit: String::new() };
    while let Some(field) = entry.field()? {
        match field {
            (1, Field::Varint(number)) => known.kind = MetricKind::from_number(number),
            (place @ (2 | 4 | 5), Field::Bytes(text)) => {
                let text = String::from_utf8_lossy(text.rest());
                let text = cut(&text).to_owned();
                *(match place {
                    2 => &mut known.family,
                    4 => &mut known.help,
                    _ => &mut known.unit,
                }) = text;
            }
            _ => {}
        }
    }
    Ok(known)
}

/// Writes a request as a snappy block: series with their samples, and metadata.
pub fn encode<'a>(series: impl IntoIterator<Item = (&'a Labels, &'a [Sample])>, meta: &[Metadata]) -> Vec<u8> {
    compress(&encode_plain(series, meta))
}

fn compress(plain: &[u8]) -> Vec<u8> {
    snap::raw::Encoder::new().compress_vec(plain).expect("a request is far below the 4 GiB of a snappy block")
}

fn encode_plain<'a>(series: impl IntoIterator<Item = (&'a Labels, &'a [Sample])>, meta: &[Metadata]) -> Vec<u8> {
    let (mut request, mut message, mut part) = (Vec::new(), Vec::new(), Vec::new());
    for (labels, samples) in series {
        message.clear();
        for (name, value) in labels.iter() {
            part.clear();
            put_bytes(&mut part, 1, name.as_bytes());
            put_bytes(&mut part, 2, value.as_bytes());
            put_bytes(&mut message, 1, &part);
        }
        for sample in samples {
            part.clear();
            part.push(1 << 3 | 1);
            part.extend_from_slice(&sample.value.to_bits().to_le_bytes());
            part.push(2 << 3);
            put_varint(&mut part, sample.time.millis() as u64);
            put_bytes(&mut message, 2, &part);
        }
        put_bytes(&mut request, 1, &message);
    }
    for entry in meta {
        message.clear();
        message.push(1 << 3);
        put_varint(&mut message, entry.kind.number());
        put_bytes(&mut message, 2, entry.family.as_bytes());
        put_bytes(&mut message, 4, entry.help.as_bytes());
        put_bytes(&mut message, 5, entry.unit.as_bytes());
        put_bytes(&mut request, 3, &message);
    }
    request
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    type Decoded = (Result<WriteReport, RemoteWriteError>, SampleBatch, Vec<Metadata>);

    fn decoded(body: &[u8]) -> Decoded {
        let (mut batch, mut meta) = (SampleBatch::new(), Vec::new());
        (decode(body, &Limits::default(), &mut batch, &mut meta), batch, meta)
    }

    fn sample(millis: i64, value: f64) -> Sample {
        Sample { time: Time::from_millis(millis), value }
    }

    /// A series of raw labels and one sample, as a sender that breaks the rules would write it.
    fn raw(labels: &[(&[u8], &[u8])]) -> Vec<u8> {
        let mut series = Vec::new();
        for (name, value) in labels {
            let mut label = Vec::new();
            put_bytes(&mut label, 1, name);
            put_bytes(&mut label, 2, value);
            put_bytes(&mut series, 1, &label);
        }
        put_bytes(&mut series, 2, &[1 << 3 | 1, 0, 0, 0, 0, 0, 0, 0xf0, 0x3f, 2 << 3, 5]);
        series
    }

    #[test]
    fn there_and_back() {
        let up = Labels::new([("__name__", "up"), ("job", "shop"), ("ä", "ö")]).unwrap();
        let down = Labels::new([("__name__", "down")]).unwrap();
        let help = Metadata { family: "up".into(), kind: MetricKind::Gauge, help: "1 or 0".into(), unit: "u".into() };
        let samples = [sample(1, 0.5), sample(-2, model::STALE_NAN)];
        let (report, batch, meta) = decoded(&encode([(&up, &samples[..]), (&down, &samples[..1])], std::slice::from_ref(&help)));
        assert_eq!(report.unwrap(), WriteReport { accepted: 3, ..WriteReport::default() });
        assert_eq!(meta, [help]);
        let rows: Vec<_> = batch.iter().map(|(key, sample)| (key, sample.time.0, sample.value.to_bits())).collect();
        let wanted = [
            (up.key(), 1_000, 0.5f64.to_bits()),
            (up.key(), -2_000, model::STALE_NAN.to_bits()),
            (down.key(), 1_000, 0.5f64.to_bits()),
        ];
        assert_eq!(rows, wanted);
    }

    #[test]
    fn a_bad_series_does_not_lose_the_good_ones() {
        let mut request = Vec::new();
        let all: [&[(&[u8], &[u8])]; 8] = [
            &[(b"__name__", b"good")],
            &[(b"__name__", b"m"), (b"b", b"1"), (b"a", b"1")],
            &[(b"__name__", b"m"), (b"a", b"1"), (b"a", b"2")],
            &[(b"a", b"1")],
            &[(b"", b"1"), (b"__name__", b"m")],
            &[(b"__name__", b"m"), (b"a", b"\xff")],
            &[],
            &[(b"__name__", b"good"), (b"empty", b"")],
        ];
        for labels in all {
            put_bytes(&mut request, 1, &raw(labels));
        }
        let (report, batch, _) = decoded(&compress(&request));
        let report = report.unwrap();
        assert_eq!((report.accepted, batch.len(), report.failed), (2, 2, 6));
        let said: Vec<String> = report.errors.iter().map(SeriesError::to_string).collect();
        let wanted = [
            "series 1 (m): labels are not sorted: `a` comes after `b`",
            "series 2 (m): label `a` stands twice",
            "series 3 (): label `__name__` is missing",
            "series 4 (): label 0 has no name",
            "series 5 (m): the value of label `a` is not UTF-8",
            "series 6 (): label `__name__` is missing",
        ];
        assert_eq!(said, wanted);
    }

    #[test]
    fn histograms_are_counted_and_exemplars_skipped() {
        let mut series = raw(&[(b"__name__", b"m")]);
        put_bytes(&mut series, 3, b"");
        put_bytes(&mut series, 4, b"");
        // Labels behind the sample are labels too.
        put_bytes(&mut series, 1, &[1 << 3 | 2, 1, b'z', 2 << 3 | 2, 1, b'1']);
        let mut request = Vec::new();
        put_bytes(&mut request, 1, &series);
        let (report, batch, _) = decoded(&compress(&request));
        let report = report.unwrap();
        assert_eq!((report.accepted, report.refused_histograms, report.skipped_exemplars), (1, 1, 1));
        assert_eq!(Labels::from_key(batch.iter().next().unwrap().0).unwrap().to_string(), r#"m{z="1"}"#);
    }

    #[test]
    fn a_time_that_cant_be_does_not_lose_the_others() {
        let mut series = raw(&[(b"__name__", b"m")]);
        let mut sample = vec![2 << 3];
        put_varint(&mut sample, i64::MAX as u64);
        put_bytes(&mut series, 2, &sample);
        let mut request = Vec::new();
        put_bytes(&mut request, 1, &series);
        let (report, batch, _) = decoded(&compress(&request));
        let report = report.unwrap();
        assert_eq!((report.accepted, report.failed, batch.len()), (1, 1, 1));
        assert!(report.errors[0].reason.starts_with("a sample's timestamp is out of range"));
    }

    #[test]
    fn limits_and_damage() {
        let cases = [
            (vec![0xff, 0xff, 0xff, 0xff, 0x07], "the snappy body is larger than 33554432 bytes when decompressed", true),
            (vec![0xff, 0xff, 0xff, 0x0f], "decompress the snappy body: claims 33554431 bytes, which 4 bytes can't hold", false),
            (compress(&[0x0a, 5, 1]), "read the write request: a length reaches over the end at byte 2", false),
            (compress(&[0x0f]), "read the write request: an unknown wire type at byte 1", false),
            (compress(&[0x08; 12]), "", false),
        ];
        for (body, said, too_large) in cases {
            match decoded(&body).0 {
                Ok(_) => assert!(said.is_empty()),
                Err(error) => assert_eq!((error.to_string().as_str(), error.is_too_large()), (said, too_large)),
            }
        }
        let up = Labels::new([("__name__", "up")]).unwrap();
        let body = encode([(&up, &[sample(1, 1.0); 3][..])], &[]);
        let limits = Limits { samples_max: 2, ..Limits::default() };
        let error = decode(&body, &limits, &mut SampleBatch::new(), &mut Vec::new()).unwrap_err();
        assert!(error.is_too_large() && error.to_string() == "more than 2 samples in one write request");
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_or_refused(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = decoded(&bytes);
            let (report, batch, _) = decoded(&compress(&bytes));
            if let Ok(report) = report {
                prop_assert_eq!(report.accepted, batch.len());
            }
        }

        #[test]
        fn what_goes_in_comes_out_and_a_cut_never_panics(
            all in proptest::collection::vec((proptest::collection::btree_map("[a-zä]{1,3}", ".{1,5}", 0..4),
                proptest::collection::vec((any::<i32>(), any::<u64>()), 0..4)), 0..4)) {
            let all: Vec<(Labels, Vec<Sample>)> = all.into_iter().map(|(pairs, samples)| {
                let labels = Labels::new(pairs).unwrap().with(METRIC_NAME, "m");
                (labels, samples.into_iter().map(|(time, bits)| sample(time.into(), f64::from_bits(bits))).collect())
            }).collect();
            let plain = encode_plain(all.iter().map(|(labels, samples)| (labels, samples.as_slice())), &[]);
            let (report, batch, _) = decoded(&compress(&plain));
            prop_assert_eq!(report.unwrap().failed, 0);
            let seen: Vec<_> = batch.iter().map(|(key, sample)| (key.to_owned(), sample.time, sample.value.to_bits())).collect();
            let sent: Vec<_> = all.iter().flat_map(|(labels, samples)| {
                samples.iter().map(|sample| (labels.key().to_owned(), sample.time, sample.value.to_bits()))
            }).collect();
            prop_assert_eq!(seen, sent);
            for cut in 0..plain.len() {
                let _ = decoded(&compress(&plain[..cut]));
            }
        }
    }
}
