use super::*;
use crate::number::float_text;
use expect_test::{Expect, expect};
use proptest::prelude::*;

const NOW: Time = Time(42);

fn read(body: &[u8], content: ContentType, options: &Options) -> (Report, SampleBatch, Vec<Metadata>) {
    let (mut batch, mut meta) = (SampleBatch::new(), Vec::new());
    let report = decode(body, content, NOW, options, &mut batch, &mut meta);
    (report, batch, meta)
}

fn shown(body: &str, content: ContentType, options: &Options) -> String {
    let (report, batch, meta) = read(body.as_bytes(), content, options);
    assert_eq!(report.accepted, batch.len());
    let mut text = String::new();
    for (key, sample) in batch.iter() {
        let series = Labels::from_key(key).unwrap();
        let _ = writeln!(text, "{series} {} @{}", float_text(sample.value), sample.time.0);
    }
    for known in meta {
        let _ = writeln!(text, "{} is {}: {:?} {:?}", known.family, known.kind.word(), known.help, known.unit);
    }
    for error in &report.errors {
        let _ = writeln!(text, "{error}");
    }
    text
}

fn check(body: &str, wanted: Expect) {
    wanted.assert_eq(&shown(body, ContentType::Text004, &Options::default()));
}

fn check_open(body: &str, wanted: Expect) {
    wanted.assert_eq(&shown(body, ContentType::OpenMetrics1, &Options::default()));
}

#[test]
fn prometheus_text() {
    check(
        "# HELP http_requests_total Requests \\\\ by\\ncode.\n# TYPE http_requests_total counter\n\
         http_requests_total{method=\"post\",code=\"200\"} 1027 1395066363000\n\
         http_requests_total{method=\"post\",code=\"400\",}    3 -5\n\n# just a remark\n#nothing\n\
         \tmsdos_file{path=\"C:\\\\DIR\\\\FILE.TXT\",error=\"say:\\n\\\"hi\\\"\"} 1.458255915e9\r\n\
         plain 12.47\nodd:name {} NaN\ninf{ a = \"+Inf\" , b=\"\" } +Inf\nless -Inf\n",
        expect![[r#"
            http_requests_total{code="200", method="post"} 1027 @1395066363000000
            http_requests_total{code="400", method="post"} 3 @-5000
            msdos_file{error="say:\n\"hi\"", path="C:\\DIR\\FILE.TXT"} 1458255915 @42
            plain 12.47 @42
            odd:name NaN @42
            inf{a="+Inf"} +Inf @42
            less -Inf @42
            http_requests_total is counter: "Requests \\ by\ncode." ""
        "#]],
    );
}

#[test]
fn quoted_names() {
    check(
        "{\"http.status\",\"k\u{fc}rzel\"=\"\u{4f60}\"} 1\n# TYPE \"a b\" gauge\n{\"a b\"} 2\n{x=\"1\",\"later\"} 3\nm{\"a.b\"=\"c\"} 4",
        expect![[r#"
            http.status{kürzel="你"} 1 @42
            a b 2 @42
            later{x="1"} 3 @42
            m{a.b="c"} 4 @42
            a b is gauge: "" ""
        "#]],
    );
}

#[test]
fn open_metrics() {
    check_open(
        "# TYPE req counter\n# UNIT req_seconds seconds\n# HELP req Say \\\"hi\\\".\n\
         req_total{a=\"b\"} 17.0 1520879607.789 # {trace_id=\"KOO\",a=\"b\"} 0.67 1520879607.5\n\
         req_created 1520430000.123\nbucket{le=\"+Inf\"} 5 # {} 1\n# EOF\n",
        expect![[r#"
            req_total{a="b"} 17 @1520879607789000
            req_created 1520430000.123 @42
            bucket{le="+Inf"} 5 @42
            req is counter: "" ""
            req_seconds is unknown: "" "seconds"
            req is unknown: "Say \"hi\"." ""
        "#]],
    );
    check_open(
        "a 1\n",
        expect![[r#"
        a 1 @42
        line 2, column 1: `# EOF` is missing: the answer is cut, near ``
    "#]],
    );
    check_open(
        "a 1\n# EOF\nb 2\n",
        expect![[r#"
        a 1 @42
        line 3, column 1: something follows `# EOF`, near `b 2`
    "#]],
    );
    check_open(
        "a 1\n\nb 2 1e300\nc 3 # x\nd 4 # {} x\n# EOF",
        expect![[r#"
        a 1 @42
        line 2, column 1: the metric's name is missing, near ``
        line 3, column 5: the timestamp is out of range, near `b 2 1e300`
        line 4, column 7: an exemplar begins with `{`, near `c 3 # x`
        line 5, column 10: the exemplar's value is not a number, near `d 4 # {} x`
    "#]],
    );
}

#[test]
fn each_error_names_its_place() {
    check(
        concat!(
            "good 1\n",
            "no_value\n",
            "m x\n",
            "m 1 1.5\n",
            "m 1 9223372036854775807\n",
            "m 1 2 3\n",
            "1m 1\n",
            "m-x 1\n",
            "{} 1\n",
            "{\"\"} 1\n",
            "m{\"n\"} 1\n",
            "m{a=\"1\" 1\n",
            "m{a=\"1\n",
            "m{a=1} 1\n",
            "m{a} 1\n",
            "m{=\"1\"} 1\n",
            "m{a=\"\\x\"} 1\n",
            "m{a=\"1\",a=\"2\"} 1\n",
            "m{__name__=\"1\"} 1\n",
            "m{a=\"1\"b=\"2\"} 1\n",
        ),
        expect![[r#"
            good 1 @42
            line 2, column 9: the value is missing, near `no_value`
            line 3, column 3: the value is not a number, near `m x`
            line 4, column 5: the timestamp is not a whole number of milliseconds, near `m 1 1.5`
            line 5, column 5: the timestamp is out of range, near `m 1 9223372036854775807`
            line 6, column 7: something follows the sample, near `m 1 2 3`
            line 7, column 1: a metric's name can't begin with a digit, near `1m 1`
            line 8, column 2: a metric's name has a strange character, near `m-x 1`
            line 9, column 1: the metric's name is missing, near `{} 1`
            line 10, column 2: the metric's name is empty, near `{""} 1`
            line 11, column 3: the metric has a second name, near `m{"n"} 1`
            line 12, column 9: a `,` or `}` is missing, near `m{a="1" 1`
            line 13, column 5: the quote is never closed, near `m{a="1`
            line 14, column 5: a `"` is missing, near `m{a=1} 1`
            line 15, column 4: a label is name="value", near `m{a} 1`
            line 16, column 3: a label has no name, near `m{="1"} 1`
            line 17, column 6: an unknown escape; \\, \" and \n are known, near `m{a="\x"} 1`
            line 18, column 9: the label stands twice, near `m{a="1",a="2"} 1`
            line 19, column 3: a label can't be called __name__, near `m{__name__="1"} 1`
            line 20, column 8: a `,` or `}` is missing, near `m{a="1"b="2"} 1`
        "#]],
    );
    check(
        "# TYPE m strange\n# TYPE\n# HELP\nm 1 # {} 1\n",
        expect![[r#"
        line 1, column 10: an unknown type of metric, near `# TYPE m strange`
        line 2, column 7: the family's name is missing or too long, near `# TYPE`
        line 3, column 7: the family's name is missing or too long, near `# HELP`
        line 4, column 5: something follows the sample, near `m 1 # {} 1`
    "#]],
    );
}

#[test]
fn labels_of_the_target() {
    let target = Labels::new([("job", "node"), ("instance", "a:9100")]).unwrap();
    let body = "m{job=\"own\",x=\"1\"} 1\nm{job=\"\"} 2\nm{job=\"a\",exported_job=\"b\"} 3\nm{__x=\"1\"} 4 1000\n";
    let renamed = Options { target: target.clone(), honor_timestamps: false, ..Options::default() };
    expect![[r#"
        m{exported_job="own", instance="a:9100", job="node", x="1"} 1 @42
        m{instance="a:9100", job="node"} 2 @42
        m{exported_exported_job="a", exported_job="b", instance="a:9100", job="node"} 3 @42
        m{__x="1", instance="a:9100", job="node"} 4 @42
    "#]]
    .assert_eq(&shown(body, ContentType::Text004, &renamed));
    let honored = Options { target, honor_labels: true, ..Options::default() };
    expect![[r#"
        m{instance="a:9100", job="own", x="1"} 1 @42
        m{instance="a:9100"} 2 @42
        m{exported_job="b", instance="a:9100", job="a"} 3 @42
        m{__x="1", instance="a:9100", job="node"} 4 @1000000
    "#]]
    .assert_eq(&shown(body, ContentType::Text004, &honored));
}

#[test]
fn limits() {
    let labels: String = (0..LABELS_MAX).map(|place| format!("l{place}=\"1\",")).collect();
    let long = "x".repeat(model::labels::LABEL_LEN_MAX + 1);
    for (line, reason) in [
        (format!("m{{{labels}}} 1"), "more than 127 labels"),
        (format!("m{{a=\"{long}\"}} 1"), "a label is too long"),
        (format!("{long} 1"), "label `__name__` is 16385 bytes long, 16384 at most"),
        ("y".repeat(1024 * 1024 + 1), "a line of 1048577 bytes, 1048576 at most"),
    ] {
        let (report, ..) = read(format!("{line}\nm 1").as_bytes(), ContentType::Text004, &Options::default());
        assert_eq!((report.accepted, report.errors[0].reason.as_ref()), (1, reason));
    }
    let few = Options { samples_max: 2, ..Options::default() };
    let (report, batch, _) = read(b"a 1\nb 2\nc 3\nd 4\n# a remark", ContentType::Text004, &few);
    assert_eq!((report.accepted, report.failed, batch.len()), (2, 2, 2));
}

#[test]
fn content_types() {
    assert_eq!(ContentType::parse("application/openmetrics-text; version=1.0.0; charset=utf-8"), ContentType::OpenMetrics1);
    assert_eq!(ContentType::parse(TEXT_CONTENT_TYPE), ContentType::Text004);
    assert_eq!(ContentType::parse(""), ContentType::Text004);
    let names = "text/plain; version=1.0.0; escaping=allow-utf-8";
    assert_eq!(ContentType::parse_or(names, ContentType::OpenMetrics1), ContentType::Text004);
    let names = "Application/OpenMetrics-Text; version=1.0.0; charset=utf-8; escaping=allow-utf-8";
    assert_eq!(ContentType::parse(names), ContentType::OpenMetrics1);
    for other in ["", "application/json"] {
        assert_eq!(ContentType::parse_or(other, ContentType::OpenMetrics1), ContentType::OpenMetrics1);
    }
}

#[test]
fn what_is_asked_for() {
    assert_eq!(accept(&ScrapeProtocol::ALL), ACCEPT);
    // As Prometheus 3 asks.
    assert_eq!(
        ACCEPT,
        "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.6,application/openmetrics-text;version=0.0.1;q=0.5,text/plain;version=1.0.0;escaping=allow-utf-8;q=0.4,text/plain;version=0.0.4;q=0.3,*/*;q=0.2"
    );
    assert_eq!(accept(&[ScrapeProtocol::PrometheusText0_0_4]), "text/plain;version=0.0.4;q=0.6,*/*;q=0.5");
}

#[test]
fn our_own_metrics() {
    let mut writer = Writer::new();
    writer.family("flyball_samples_total", MetricKind::Counter, "Samples\ntaken.").sample(&[("door", "in\"flux\\")], 12.0);
    writer.family("flyball_up", MetricKind::Unknown, "1.").sample(&[], 1.0);
    writer.family("flyball_commit_seconds", MetricKind::Histogram, "Time.").suffixed(
        "_bucket",
        &[("le", "+Inf"), ("x", "a\nb")],
        f64::INFINITY,
    );
    let text = String::from_utf8(writer.finish()).unwrap();
    expect![[r##"
        # HELP flyball_samples_total Samples\ntaken.
        # TYPE flyball_samples_total counter
        flyball_samples_total{door="in\"flux\\"} 12
        # HELP flyball_up 1.
        # TYPE flyball_up untyped
        flyball_up 1
        # HELP flyball_commit_seconds Time.
        # TYPE flyball_commit_seconds histogram
        flyball_commit_seconds_bucket{le="+Inf",x="a\nb"} +Inf
    "##]]
    .assert_eq(&text);
    check(
        &text,
        expect![[r#"
        flyball_samples_total{door="in\"flux\\"} 12 @42
        flyball_up 1 @42
        flyball_commit_seconds_bucket{le="+Inf", x="a\nb"} +Inf @42
        flyball_samples_total is counter: "Samples\ntaken." ""
        flyball_up is unknown: "1." ""
        flyball_commit_seconds is histogram: "Time." ""
    "#]],
    );
}

proptest! {
    #[test]
    fn any_bytes_are_taken_or_refused(body in proptest::collection::vec(any::<u8>(), 0..300)) {
        for content in [ContentType::Text004, ContentType::OpenMetrics1] {
            let (report, batch, _) = read(&body, content, &Options::default());
            prop_assert_eq!(report.accepted, batch.len());
        }
    }

    #[test]
    fn any_near_line_is_taken_or_refused(body in "([a-b{}=,\"\\\\# \n1eö]|m\\{a=\"x\"\\} 1|# TYPE |# HELP a |# UNIT |# EOF\n){0,40}") {
        let mut decoder = Decoder::default();
        let target = Labels::new([("a", "1"), ("exported_a", "2")]).unwrap();
        let options = Options { target, ..Options::default() };
        for end in (0..=body.len()).filter(|end| body.is_char_boundary(*end)) {
            for content in [ContentType::Text004, ContentType::OpenMetrics1] {
                let (mut batch, mut meta) = (SampleBatch::new(), Vec::new());
                let report = decoder.decode(&body.as_bytes()[..end], content, NOW, &options, &mut batch, &mut meta);
                prop_assert_eq!(report.accepted, batch.len());
            }
        }
    }

    #[test]
    fn what_is_written_is_read_again(
        labels in proptest::collection::btree_map("[a-z]{1,4}", ".{1,9}", 0..4), bits in any::<u64>(), help in ".{0,20}") {
        let value = f64::from_bits(bits);
        let pairs: Vec<(&str, &str)> = labels.iter().map(|(name, text)| (name.as_str(), text.as_str())).collect();
        let mut writer = Writer::new();
        writer.family("m", MetricKind::Gauge, help.trim()).sample(&pairs, value);
        let (report, batch, meta) = read(&writer.finish(), ContentType::Text004, &Options::default());
        prop_assert_eq!(&report.errors, &vec![]);
        let (key, sample) = batch.iter().next().unwrap();
        let wanted = Labels::new(pairs).unwrap().with(METRIC_NAME, "m");
        prop_assert_eq!(key, wanted.key());
        prop_assert!(sample.value == value || value.is_nan() && sample.value.is_nan());
        prop_assert_eq!(meta[0].kind, MetricKind::Gauge);
        prop_assert_eq!(&meta[0].help, help.trim());
    }
}
