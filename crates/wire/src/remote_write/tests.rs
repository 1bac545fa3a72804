use super::*;
use crate::protobuf::{put_bytes, put_varint};
use model::Sample;
use model::intake::KEY_SECRET_LEN;
use model::labels::METRIC_NAME;
use proptest::prelude::*;

fn secret() -> KeySecret {
    KeySecret::new(std::array::from_fn::<u8, KEY_SECRET_LEN, _>(|place| (place * 89 + 7) as u8))
}

/// What a store would make of a request: samples, and the faults of series.
#[derive(Debug, Default)]
struct Seen {
    samples: Vec<(Labels, i64, u64)>,
    faults: Vec<String>,
    metadata: Vec<Metadata>,
    report: WriteReport,
}

fn decoded(plain: &[u8], options: &Options) -> Seen {
    let secret = secret();
    let mut request = Request::new(plain, &secret, options.clone(), Vec::new());
    let mut seen = Seen::default();
    while request.advance() {
        for (row, RawRow { value, time, .. }) in request.rows().iter().enumerate() {
            match request.labels(row) {
                Ok(labels) => seen.samples.push((labels, time.0, value.to_bits())),
                Err(fault) => seen.faults.push(fault.to_string()),
            }
        }
    }
    let (_, metadata, report) = request.finish();
    seen.faults.extend(report.errors.iter().map(SeriesError::to_string));
    seen.faults.extend(report.ended.as_ref().map(Ended::to_string));
    Seen { metadata, report, ..seen }
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
    let down = Labels::new([("__name__", "down"), ("long", &"x".repeat(5_000))]).unwrap();
    let help = Metadata { family: "up".into(), kind: MetricKind::Gauge, help: "1 or 0".into(), unit: "u".into() };
    let samples = [sample(1, 0.5), sample(-2, model::STALE_NAN)];
    let plain = encode_plain([(&up, &samples[..]), (&down, &samples[..1])], std::slice::from_ref(&help));
    for rows_at_once in [1, 1_000] {
        let seen = decoded(&plain, &Options { rows_at_once, ..Options::default() });
        assert_eq!(seen.report, WriteReport { accepted: 3, ..WriteReport::default() });
        assert_eq!(seen.metadata, std::slice::from_ref(&help));
        let wanted = [
            (up.clone(), 1_000, 0.5f64.to_bits()),
            (up.clone(), -2_000, model::STALE_NAN.to_bits()),
            (down.clone(), 1_000, 0.5f64.to_bits()),
        ];
        assert_eq!(seen.samples, wanted);
    }
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
    // A length that lies, within one series only.
    put_bytes(&mut request, 1, &[0x0a, 9, 1]);
    put_bytes(&mut request, 1, &raw(&[(b"__name__", b"last")]));
    let seen = decoded(&request, &Options::default());
    assert_eq!((seen.samples.len(), seen.report.accepted, seen.report.failed), (3, 9, 1));
    let wanted = [
        "series 2 (m): labels are not sorted: `a` comes after `b`",
        "series 3 (m): label `a` stands twice",
        "series 4 (): label `__name__` is missing",
        "series 5 (m): label 1 has no name",
        "series 6 (m): the value of label `a` is not UTF-8",
        "series 7 (): label `__name__` is missing",
        "series 9 (): a length reaches over the end at byte 286",
    ];
    assert_eq!(seen.faults, wanted);
}

#[test]
fn histograms_are_counted_and_exemplars_skipped() {
    let mut series = raw(&[(b"__name__", b"m")]);
    put_bytes(&mut series, 3, b"");
    put_bytes(&mut series, 4, b"");
    // Labels behind the sample are labels too, and unknown fields are none.
    put_bytes(&mut series, 1, &[1 << 3 | 2, 1, b'z', 2 << 3 | 2, 1, b'1']);
    put_bytes(&mut series, 77, b"new");
    let mut request = Vec::new();
    put_bytes(&mut request, 1, &series);
    put_bytes(&mut request, 99, b"newer");
    let seen = decoded(&request, &Options::default());
    let report = &seen.report;
    assert_eq!((report.accepted, report.refused_histograms, report.skipped_exemplars), (1, 1, 1));
    assert_eq!(seen.samples[0].0.to_string(), r#"m{z="1"}"#);
}

#[test]
fn labels_are_the_same_key_wherever_they_lie() {
    let label = |name: u8| [1 << 3 | 2, 1, name, 2 << 3 | 2, 1, b'1'];
    let sample = [1 << 3 | 1, 0, 0, 0, 0, 0, 0, 0xf0, 0x3f, 2 << 3, 5];
    let mut request = Vec::new();
    for order in [[1, 1, 2], [1, 2, 1], [2, 1, 1]] {
        let (mut series, mut names) = (Vec::new(), [b'a', b'b'].into_iter());
        for field in order {
            match field {
                1 => put_bytes(&mut series, 1, &label(names.next().unwrap())),
                _ => put_bytes(&mut series, 2, &sample),
            }
        }
        put_bytes(&mut request, 1, &series);
    }
    let secret = secret();
    let mut request = Request::new(&request, &secret, Options::default(), Vec::new());
    assert!(request.advance());
    let keys: Vec<_> = request.rows().iter().map(|row| row.key).collect();
    assert!(keys.len() == 3 && keys.iter().all(|key| *key == keys[0]));
    assert_eq!(request.place(2), "series 3");
}

#[test]
fn samples_of_any_form() {
    // No value, no time, an unknown field, the time first, a number longer than it need be.
    let forms: [(&[u8], i64, f64); 5] = [
        (&[2 << 3, 5], 5_000, 0.0),
        (&[1 << 3 | 1, 0, 0, 0, 0, 0, 0, 0xf0, 0x3f], 0, 1.0),
        (&[1 << 3 | 1, 0, 0, 0, 0, 0, 0, 0xf0, 0x3f, 2 << 3, 5, 3 << 3, 9], 5_000, 1.0),
        (&[2 << 3, 5, 1 << 3 | 1, 0, 0, 0, 0, 0, 0, 0xf0, 0x3f], 5_000, 1.0),
        (&[1 << 3 | 1, 0, 0, 0, 0, 0, 0, 0xf0, 0x3f, 2 << 3, 0x85, 0x80, 0], 5_000, 1.0),
    ];
    let mut series = raw(&[(b"__name__", b"m")]);
    for (form, ..) in forms {
        put_bytes(&mut series, 2, form);
    }
    let mut request = Vec::new();
    put_bytes(&mut request, 1, &series);
    let seen = decoded(&request, &Options::default());
    let found: Vec<_> = seen.samples[1..].iter().map(|(_, time, bits)| (*time, f64::from_bits(*bits))).collect();
    assert_eq!(found, forms.map(|(_, time, value)| (time, value)));
}

#[test]
fn a_time_that_cant_be_does_not_lose_the_others() {
    let mut series = raw(&[(b"__name__", b"m")]);
    let mut sample = vec![1 << 3 | 1, 0, 0, 0, 0, 0, 0, 0, 0, 2 << 3];
    put_varint(&mut sample, i64::MAX as u64);
    put_bytes(&mut series, 2, &sample);
    let mut request = Vec::new();
    put_bytes(&mut request, 1, &series);
    let seen = decoded(&request, &Options::default());
    assert_eq!((seen.samples.len(), seen.report.failed), (1, 1));
    assert!(seen.faults[0].starts_with("series 1 (m): the timestamp of 1 of its samples is out of range"));
}

#[test]
fn limits_and_damage() {
    let mut cut = Vec::new();
    put_bytes(&mut cut, 1, &raw(&[(b"__name__", b"m")]));
    cut.extend([0x0a, 5, 1]);
    let cases: [(&[u8], usize, &str); 4] = [
        (&cut, 1, "read the write request: a length reaches over the end at byte 32"),
        (&[0x0f], 0, "read the write request: an unknown wire type at byte 1"),
        (&[0x08; 12], 0, ""),
        (&[0x02, 0], 0, "read the write request: field number 0 at byte 2"),
    ];
    for (body, samples, said) in cases {
        let seen = decoded(body, &Options::default());
        assert_eq!((seen.samples.len(), seen.faults.join(" ").as_str()), (samples, said), "what came before is kept");
    }
    let up = Labels::new([("__name__", "up")]).unwrap();
    let body = encode_plain([(&up, &[sample(1, 1.0); 2][..]), (&up, &[sample(1, 1.0); 2][..])], &[]);
    let seen = decoded(&body, &Options { samples_max: 3, ..Options::default() });
    assert_eq!((seen.samples.len(), seen.report.ended), (2, Some(Ended::TooMany(3))));
    let seen = decoded(&body, &Options { samples_of_series_max: 1, ..Options::default() });
    assert_eq!((seen.samples.len(), seen.report.failed), (0, 2));
    assert_eq!(seen.faults[0], "series 1 (up): more than 1 samples: send fewer at once");
}

proptest! {
    #[test]
    fn any_bytes_are_read_or_refused(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        let seen = decoded(&bytes, &Options::default());
        prop_assert!(seen.samples.len() <= seen.report.accepted);
    }

    #[test]
    fn what_goes_in_comes_out_and_a_cut_never_panics(
        all in proptest::collection::vec((proptest::collection::btree_map("[a-zä]{1,3}", ".{1,200}", 0..4),
            proptest::collection::vec((any::<i32>(), any::<u64>()), 0..4)), 0..4)) {
        let all: Vec<(Labels, Vec<Sample>)> = all.into_iter().map(|(pairs, samples)| {
            let labels = Labels::new(pairs).unwrap().with(METRIC_NAME, "m");
            (labels, samples.into_iter().map(|(time, bits)| sample(time.into(), f64::from_bits(bits))).collect())
        }).collect();
        let plain = encode_plain(all.iter().map(|(labels, samples)| (labels, samples.as_slice())), &[]);
        let seen = decoded(&plain, &Options::default());
        prop_assert_eq!(&seen.faults, &Vec::<String>::new());
        let sent: Vec<_> = all.iter().flat_map(|(labels, samples)| {
            samples.iter().map(|sample| (labels.clone(), sample.time.0, sample.value.to_bits()))
        }).collect();
        prop_assert_eq!(seen.samples, sent);
        for cut in 0..plain.len().min(400) {
            decoded(&plain[..cut], &Options::default());
        }
    }
}
