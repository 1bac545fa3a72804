use super::*;
use expect_test::{Expect, expect};
use model::intake::KEY_SECRET_LEN;
use model::labels::{LABEL_LEN_MAX, LABELS_MAX, METRIC_NAME};
use proptest::prelude::*;
use std::fmt::Write;

const NOW: Time = Time(42);

fn secret() -> KeySecret {
    KeySecret::new(std::array::from_fn::<u8, KEY_SECRET_LEN, _>(|place| (place * 89 + 7) as u8))
}

/// What a store would make of a body: samples, and the faults of lines and of keys.
#[derive(Debug, Default)]
struct Seen {
    samples: Vec<(Labels, f64, Time)>,
    faults: Vec<String>,
    report: Report,
}

fn decoded(body: &[u8], options: &Options) -> Seen {
    let secret = secret();
    let mut lines = Lines::new(body, &secret, options.clone(), Vec::new());
    let mut seen = Seen::default();
    while lines.advance() {
        for (row, RawRow { value, time, .. }) in lines.rows().iter().enumerate() {
            match lines.labels(row) {
                Ok(labels) => seen.samples.push((labels, *value, *time)),
                Err(fault) => seen.faults.push(fault.to_string()),
            }
        }
    }
    seen.report = lines.finish().1;
    seen.faults.dedup();
    seen.faults.extend(seen.report.errors.iter().map(LineError::to_string));
    let number = |fault: &String| fault["line ".len()..fault.find(',').unwrap()].parse::<usize>().unwrap();
    seen.faults.sort_by_key(number);
    seen
}

fn options(precision: Precision) -> Options {
    Options::new(precision, NOW)
}

impl Seen {
    fn shown(&self) -> String {
        let mut text = String::new();
        for (labels, value, time) in &self.samples {
            let _ = writeln!(text, "{labels} {value} @{}", time.0);
        }
        for fault in &self.faults {
            let _ = writeln!(text, "{fault}");
        }
        if self.report.refused_strings > 0 {
            let _ = writeln!(text, "{} texts refused", self.report.refused_strings);
        }
        text
    }
}

fn check(body: &str, wanted: Expect) {
    wanted.assert_eq(&decoded(body.as_bytes(), &options(Precision::Nanoseconds)).shown());
    // In portions of a line each it is the same.
    let small = Options { rows_at_once: 1, ..options(Precision::Nanoseconds) };
    wanted.assert_eq(&decoded(body.as_bytes(), &small).shown());
    let windows = body.replace('\n', "\r\n");
    if !body.contains('"') {
        wanted.assert_eq(&decoded(windows.as_bytes(), &small).shown());
    }
}

#[test]
fn names_and_values() {
    check(
        "cpu,host=a,core=1 usage=0.5,idle=-1e3 1795000000000000999",
        expect![[r#"
        cpu_usage{core="1", host="a"} 0.5 @1795000000000000
        cpu_idle{core="1", host="a"} -1000 @1795000000000000
    "#]],
    );
    check(
        "m value=1",
        expect![[r#"
        m_value 1 @42
    "#]],
    );
    check(
        "m i=1i,n=-9223372036854775808i,u=18446744073709551615u",
        expect![[r#"
        m_i 1 @42
        m_n -9223372036854776000 @42
        m_u 18446744073709552000 @42
    "#]],
    );
    check(
        "m a=t,b=T,c=true,d=True,e=TRUE,f=f,g=F,h=false,i=False,j=FALSE",
        expect![[r#"
        m_a 1 @42
        m_b 1 @42
        m_c 1 @42
        m_d 1 @42
        m_e 1 @42
        m_f 0 @42
        m_g 0 @42
        m_h 0 @42
        m_i 0 @42
        m_j 0 @42
    "#]],
    );
    check(
        "m a=.5,b=5.,c=+1,d=1E2 -1000",
        expect![[r#"
        m_a 0.5 @-1
        m_b 5 @-1
        m_c 1 @-1
        m_d 100 @-1
    "#]],
    );
    check(
        "\n# a comment, with \"quotes\n  \r\nm a=1\r\n   m b=2   7000  \n",
        expect![[r#"
        m_a 1 @42
        m_b 2 @7
    "#]],
    );
}

#[test]
fn escapes() {
    check(
        r"a\ b\,c=d,t\=a\,g=v\ a\=l\,ue f\ ie\=ld=1",
        expect![[r#"
        a b,c=d_f ie=ld{t=a,g="v a=l,ue"} 1 @42
    "#]],
    );
    check(
        r"m\x,tag=C:\dir\,x a\b=1",
        expect![[r#"
        m\x_a\b{tag="C:\\dir,x"} 1 @42
    "#]],
    );
    check(
        "m\u{e4}sure,stra\u{df}e=\u{4f60}\u{597d} f\u{fc}r=1",
        expect![[r#"
        mäsure_für{straße="你好"} 1 @42
    "#]],
    );
}

#[test]
fn texts_are_refused_but_not_their_line() {
    check(
        r#"m,host=a text="a b,c=d",n=1,more="say \"hi\" \\" 5000"#,
        expect![[r#"
        m_n{host="a"} 1 @5
        2 texts refused
    "#]],
    );
    check(
        "m only=\"text\"\nm a=1",
        expect![[r#"
        m_a 1 @42
        1 texts refused
    "#]],
    );
    check(
        "m text=\"over\ntwo lines\",n=1\nm a=oops\nm b=2",
        expect![[r#"
        m_n 1 @42
        m_b 2 @42
        line 3, column 5: the value is neither a number, a truth value nor a quoted text, near `m a=oops`
        1 texts refused
    "#]],
    );
    check(
        "m,quote=\"a b=1\nm c=\"x\"\nm d=4",
        expect![[r#"
        m_b{quote="\"a"} 1 @42
        m_d 4 @42
        1 texts refused
    "#]],
    );
}

#[test]
fn texts_that_are_numbers_may_be_taken() {
    let options = Options { strings: Strings::Numbers, ..options(Precision::Seconds) };
    let seen = decoded(br#"m a="12.5",b="x",c="NaN""#, &options);
    expect![[r#"
        m_a 12.5 @42
        2 texts refused
    "#]]
    .assert_eq(&seen.shown());
}

#[test]
fn a_bad_line_does_not_lose_the_good_ones() {
    check(
        "a v=1\nb\nc v=3",
        expect![[r#"
        a_v 1 @42
        c_v 3 @42
        line 2, column 2: the fields are missing, near `b`
    "#]],
    );
    check(
        "a v=1\nm text=\"never closed\nb v=2\nc text=\"closed\",v=3",
        expect![[r#"
        a_v 1 @42
        b_v 2 @42
        c_v 3 @42
        line 2, column 21: a quoted text reaches over the line's end and does not fit there, near `m text="never closed`
        1 texts refused
    "#]],
    );
}

#[test]
fn each_error_names_its_place() {
    check(
        concat!(
            ",a=b v=1\n",
            "m,a v=1\n",
            "m,=b v=1\n",
            "m,a= v=1\n",
            "m,a=b=c v=1\n",
            "m,a=1,b=2,a=3 v=1\n",
            "m,__name__=x v=1\n",
            "m,a=b\n",
            "m v\n",
            "m v=\n",
            "m =1\n",
            "m v=1x\n",
            "m v=NaN\n",
            "m v=1,inf=-inf\n",
            "m v=9223372036854775808i\n",
            "m v=-1u\n",
            "m v=1 12.5\n",
            "m v=1 9223372036854775808\n",
            "m v=\"a\"b\n",
            "m v=1, 5\n",
        ),
        expect![[r#"
            line 1, column 1: the measurement is missing, near `,a=b v=1`
            line 2, column 4: a tag is name=value, near `m,a v=1`
            line 3, column 3: a tag has no name, near `m,=b v=1`
            line 4, column 5: a tag has no value, near `m,a= v=1`
            line 5, column 6: a `=` in a tag's value must be escaped, near `m,a=b=c v=1`
            line 6, column 11: tag `a` stands twice, near `m,a=1,b=2,a=3 v=1`
            line 7, column 3: a tag can't be called __name__, near `m,__name__=x v=1`
            line 8, column 6: the fields are missing, near `m,a=b`
            line 9, column 4: a field is name=value, near `m v`
            line 10, column 5: the value is missing, near `m v=`
            line 11, column 3: a field has no name, near `m =1`
            line 12, column 5: the value is neither a number, a truth value nor a quoted text, near `m v=1x`
            line 13, column 5: the value is neither a number, a truth value nor a quoted text, near `m v=NaN`
            line 14, column 11: the value is neither a number, a truth value nor a quoted text, near `m v=1,inf=-inf`
            line 15, column 5: not a 64 bit integer, near `m v=9223372036854775808i`
            line 16, column 5: not a 64 bit unsigned integer, near `m v=-1u`
            line 17, column 7: the timestamp is not a whole number, near `m v=1 12.5`
            line 18, column 7: the timestamp is out of range, near `m v=1 9223372036854775808`
            line 19, column 8: something follows the closing quote, near `m v="a"b`
            line 20, column 7: a field is name=value, near `m v=1, 5`
        "#]],
    );
}

#[test]
fn errors_are_counted_beyond_those_kept() {
    let report = decoded("bad\n".repeat(1_000).as_bytes(), &options(Precision::Seconds)).report;
    assert_eq!((report.failed, report.errors.len()), (1_000, crate::report::ERRORS_KEPT));
    assert_eq!(report.errors[19].line, 20);
    let said = "1000 lines refused, 0 samples accepted; line 1, column 4: the fields are missing, near `bad`";
    assert_eq!(report.complaint().as_deref(), Some(said));
    assert_eq!(Report::default().complaint(), None);
}

#[test]
fn bytes_that_are_no_text() {
    let report = decoded(b"m a=1\nm,t=\xff a=1\nm b=1", &options(Precision::Seconds)).report;
    assert_eq!(
        (report.accepted, report.errors[0].to_string()),
        (2, "line 2, column 5: not UTF-8, near `m,t=\u{fffd} a=1`".into())
    );
}

#[test]
fn precisions() {
    let cases = [
        ("", 1_500, Some(1)),
        ("ns", -1, Some(-1)),
        ("n", 1_500, Some(1)),
        ("u", 5, Some(5)),
        ("us", 5, Some(5)),
        ("µ", 5, Some(5)),
        ("ms", 5, Some(5_000)),
        ("s", 5, Some(5_000_000)),
        ("m", 5, Some(300_000_000)),
        ("h", 1, Some(3_600_000_000)),
        ("second", 5, Some(5_000_000)),
        ("s", i64::MAX / 1_000_000 + 1, None),
        ("h", i64::MIN, None),
    ];
    for (word, stamp, wanted) in cases {
        let seen = decoded(format!("m v=1 {stamp}").as_bytes(), &options(Precision::parse(word).unwrap()));
        assert_eq!(seen.samples.first().map(|(.., time)| time.0), wanted, "{word}");
        assert_eq!(seen.faults.is_empty(), wanted.is_some());
    }
    assert_eq!(Precision::parse("d"), None);
}

#[test]
fn limits() {
    let many_tags: String = (0..LABELS_MAX).map(|place| format!(",t{place}=1")).collect();
    let many_fields: String = (0..=4_096).map(|place| format!("f{place}=1,")).collect();
    let long = "x".repeat(LABEL_LEN_MAX + 1);
    let cases = [
        (format!("m{many_tags} v=1"), "more than 127 tags"),
        (format!("m {many_fields}z=1"), "more than 4096 fields"),
        (format!("{long} v=1"), "the measurement is too long"),
        (format!("m,a={long} v=1"), "a tag is too long"),
        (format!("m {long}=1"), "measurement and field together are too long"),
        (format!("m v=1,{}", "y".repeat(1024 * 1024)), "a line of 1048582 bytes, 1048576 at most"),
    ];
    for (line, reason) in cases {
        let seen = decoded(format!("{line}\nm a=1").as_bytes(), &options(Precision::Seconds));
        assert_eq!(seen.samples.len(), 1);
        assert!(seen.faults[0].contains(&format!(": {reason}, near ")), "{}", seen.faults[0]);
    }
}

#[test]
fn a_small_body_never_becomes_gigabytes() {
    let tags: String = (0..60).map(|place| format!(",t{place}={}", "x".repeat(10_000))).collect();
    let fields: Vec<String> = (0..4_000).map(|place| format!("f{place}=1")).collect();
    let body = format!("m{tags} {}\nm a=1", fields.join(","));
    let seen = decoded(body.as_bytes(), &options(Precision::Seconds));
    assert_eq!((seen.samples.len(), seen.report.failed), (1, 1));
}

#[test]
fn the_same_bytes_are_the_same_key_and_others_are_not() {
    let secret = secret();
    let body = "m,a=1 x=1,y=2\nm,a=1 x=3,y=4 5\nm,a=2 x=1\n";
    let mut lines = Lines::new(body.as_bytes(), &secret, options(Precision::Seconds), Vec::new());
    assert!(lines.advance());
    let keys: Vec<_> = lines.rows().iter().map(|row| row.key).collect();
    assert_eq!((keys[0], keys[1]), (keys[2], keys[3]));
    assert!(keys[0] != keys[1] && keys[0] != keys[4]);
    assert_eq!((lines.place(0), lines.place(4)), ("line 1".into(), "line 3".into()));
    assert!(!lines.advance());
}

proptest! {
    #[test]
    fn any_bytes_are_taken_or_refused(body in proptest::collection::vec(any::<u8>(), 0..300)) {
        let seen = decoded(&body, &options(Precision::Seconds));
        prop_assert!(seen.samples.len() <= seen.report.accepted);
    }

    #[test]
    fn any_near_line_is_taken_or_refused(body in "([a-c,= \"\\\\#\n1tiu.µ-]|m v=1\n|,t=a){0,60}") {
        for end in (0..=body.len()).filter(|end| body.is_char_boundary(*end)) {
            decoded(&body.as_bytes()[..end], &options(Precision::Seconds));
        }
    }

    #[test]
    fn a_written_line_is_read_again(
        measurement in "[a-z ,=ü]{1,8}", tags in proptest::collection::btree_map("[a-z ,=]{1,6}", "[a-z ,=ü]{1,6}", 0..4),
        field in "[a-z ,=]{1,6}", bits in any::<u64>(), stamp in -1_000_000i64..1_000_000) {
        let value = f64::from_bits(bits);
        prop_assume!(value.is_finite());
        let escape = |text: &str| text.replace(',', "\\,").replace('=', "\\=").replace(' ', "\\ ");
        // A measurement that begins with a blank is one that ends there.
        prop_assume!(!measurement.starts_with(' '));
        let written: String = tags.iter().map(|(name, text)| format!(",{}={}", escape(name), escape(text))).collect();
        let body = format!("{}{written} {}={value} {stamp}", escape(&measurement), escape(&field));
        let seen = decoded(body.as_bytes(), &options(Precision::Seconds));
        prop_assert_eq!(&seen.faults, &Vec::<String>::new(), "{}", body);
        let wanted = Labels::new(tags.iter().map(|(a, b)| (a.clone(), b.clone()))
            .chain([(METRIC_NAME.to_owned(), format!("{measurement}_{field}"))])).unwrap();
        prop_assert_eq!(&seen.samples, &vec![(wanted, value, Time::from_secs(stamp))]);
    }
}
