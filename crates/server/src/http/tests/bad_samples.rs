//! Bodies of samples that are wrong in every way that was thought of: a 4xx that names the place, and nothing of the rest lost.

use std::sync::Arc;

use model::rights::Role;
use store::files::OnDisk;

use super::House;
use super::fixture::{Answer, now_secs};
use super::intake::value;

const PROTOBUF: [(&str, &str); 2] = [("content-type", "application/x-protobuf"), ("content-encoding", "snappy")];

async fn write_lines(house: &House, body: impl Into<axum::body::Body>) -> Answer {
    house.ask(Role::Sender, "POST", "/write?precision=s", &[], body).await
}

#[tokio::test]
async fn lines_between_good_ones() {
    let house = House::open().await;
    let now = now_secs(&house);
    let long = "x".repeat(16 * 1024 + 1);
    let tags: String = (0..128).map(|place| format!(",t{place}=1")).collect();
    let cases: Vec<(Vec<u8>, String)> = [
        ("m v=", "line 2, column 5: the value is missing"),
        ("m v", "line 2, column 4: a field is name=value"),
        ("m", "line 2, column 2: the fields are missing"),
        ("m v=NaN", "line 2, column 5: the value is neither a number"),
        ("m v=-Inf", "line 2, column 5: the value is neither a number"),
        ("m v=1e999", "line 2, column 5: the value is neither a number"),
        ("m v=9223372036854775808i", "line 2, column 5: not a 64 bit integer"),
        ("m v=1 soon", "line 2, column 7: the timestamp is not a whole number"),
        ("m v=1 9223372036854775807", "line 2, column 7: the timestamp is out of range"),
        ("m v=1 -9000000000000", "line 2 (m_v): older than the store keeps"),
        ("m v=1 1000000000", "line 2 (m_v): older than the store keeps"),
        ("m v=1 9000000000", "line 2 (m_v): too far in the future: is the sender's clock right?"),
        ("m,a=1,b=2,a=3 v=1,w=2", "line 2, column 11: tag `a` stands twice"),
        ("m,__name__=x v=1", "line 2, column 3: a tag can't be called __name__"),
        (",a=1 v=1", "line 2, column 1: the measurement is missing"),
        ("m v=\"text", "line 2, column 10: a quoted text reaches over the line's end"),
        (&format!("m,a={long} v=1"), "line 2, column 3: a tag is too long"),
        (&format!("m{tags} v=1"), "more than 127 tags"),
        (&format!("m v=1,{}=2", "y".repeat(1 << 20)), "line 2, column 1: a line of 1048584 bytes, 1048576 at most"),
    ]
    .into_iter()
    .map(|(line, said)| (line.as_bytes().to_vec(), said.to_owned()))
    .chain([(b"m,t=\xff v=1".to_vec(), "line 2, column 5: not UTF-8".into())])
    .chain([(b"m v\xfe=1".to_vec(), "line 2, column 4: not UTF-8".into())])
    .collect();
    for (place, (line, said)) in cases.iter().enumerate() {
        let mut body = format!("before{place} a=1 {now}\n").into_bytes();
        body.extend_from_slice(line);
        body.extend(format!("\nafter{place},quoted=\"x\" a=2,text=\"said\" {now}\n").into_bytes());
        let answer = write_lines(&house, body).await;
        let shown = String::from_utf8_lossy(line).chars().take(40).collect::<String>();
        assert_eq!(answer.status, 400, "{shown}: {}", answer.text());
        assert!(answer.json()["error"].as_str().unwrap().contains(said), "{shown}: {}", answer.text());
        let kept = (value(&house, &format!("before{place}_a")).await, value(&house, &format!("after{place}_a")).await);
        assert_eq!(kept, (Some(1.0), Some(2.0)), "{shown}");
    }
    assert_eq!(value(&house, "{__name__=~\"m_.*\"}").await, None, "nothing of a bad line is kept");
}

#[tokio::test]
async fn what_comes_too_late_and_what_is_odd_but_right() {
    let house = House::open().await;
    let now = now_secs(&house);
    let late = write_lines(&house, format!("o v=2 {now}\no v=1 {}\nin v=3 {now}\nin v=4 {}\n", now - 3_600, now - 60)).await;
    assert_eq!(late.status, 400);
    assert!(late.text().contains("1 sample refused, 3 samples accepted; line 2 (o_v): behind the newest"), "{}", late.text());
    let body = format!("# remark\r\n\r\n  odd,a=\\ x v=1e-3,w=-5i,u=18446744073709551615u,t=T {now}\r\nodder v=.5,w=5.\n\n");
    let odd = write_lines(&house, body).await;
    assert_eq!(odd.status, 204, "{}", odd.text());
    assert_eq!(value(&house, "odd_w").await, Some(-5.0));
    assert_eq!(write_lines(&house, "").await.status, 204, "an empty body is no mistake");
}

#[tokio::test]
async fn too_many_series_name_the_label_to_blame() {
    let house = House::with_store(Arc::new(OnDisk), |options| options.series_per_source_max = 50).await;
    let now = now_secs(&house);
    let body: String = (0..200).map(|pod| format!("up,instance=a,pod=p{pod} v=1 {now}\n")).collect();
    let answer = write_lines(&house, body + &format!("up,instance=b v=1 {now}\n")).await;
    assert_eq!(answer.status, 400);
    let said = "150 samples refused, 51 samples accepted; line 51 (up_v{instance=\\\"a\\\", pod=\\\"p50\\\"}): instance=a has 50 series, \
                the limit; most new values come from the label `pod`";
    assert!(answer.text().contains(said), "{}", answer.text());
    assert_eq!(value(&house, "up_v{instance=\"b\"}").await, Some(1.0), "others are not harmed");
    let body: String = (200..210).map(|pod| format!("up,instance=a,pod=p{pod} v=1 {now}\n")).collect();
    let answer = write_lines(&house, body.clone()).await;
    assert_eq!((answer.status.as_u16(), answer.text().contains("label `pod`")), (429, true), "{}", answer.text());
    let wrong = write_lines(&house, body + "no line\n").await;
    assert_eq!(wrong.status, 400, "a wrong line stays wrong: {}", wrong.text());
    let name = |pod: &str| series(&[(b"__name__", b"up"), (b"instance", b"a"), (b"pod", pod.as_bytes())], now * 1_000, 1.0);
    let answer = write_request(&house, &[name("q1"), name("q2")].concat()).await;
    let said = "2 samples refused; series 1 (up{instance=\"a\", pod=\"q1\"}): instance=a has 50 series";
    assert_eq!((answer.status.as_u16(), answer.text().contains(said)), (429, true), "{}", answer.text());
}

#[tokio::test]
async fn long_labels_are_refused_before_they_take_all_memory() {
    let house = House::with_store(Arc::new(OnDisk), |options| options.series_bytes_max = 1 << 20).await;
    let now = now_secs(&house);
    let long = "x".repeat(15_000);
    let body: String = (0..60).map(|pod| format!("up,pod=p{pod},why={long}{pod} v=1 {now}\n")).collect();
    let answer = write_lines(&house, body).await;
    assert_eq!(answer.status, 400);
    assert!(
        answer.text().contains("26 samples refused, 34 samples accepted"),
        "{}",
        answer.text().chars().take(200).collect::<String>()
    );
    let said = "the store's 34 series take 1 MiB, the limit; most new values come from the label `pod`";
    assert!(answer.text().contains(said), "{}", answer.text().chars().rev().take(200).collect::<String>());
    assert_eq!(write_lines(&house, format!("up,pod=p0,why={long}0 v=2 {now}\n")).await.status, 204, "known series go on");
}

fn varint(mut number: u64) -> Vec<u8> {
    let mut out = Vec::new();
    while number >= 0x80 {
        out.push(number as u8 | 0x80);
        number >>= 7;
    }
    out.push(number as u8);
    out
}

fn bytes(field: u8, content: &[u8]) -> Vec<u8> {
    [vec![field << 3 | 2], varint(content.len() as u64), content.to_vec()].concat()
}

fn series(labels: &[(&[u8], &[u8])], millis: i64, value: f64) -> Vec<u8> {
    let mut content = Vec::new();
    for (name, value) in labels {
        content.extend(bytes(1, &[bytes(1, name), bytes(2, value)].concat()));
    }
    content.extend(bytes(2, &[vec![0x09], value.to_le_bytes().to_vec(), vec![0x10], varint(millis as u64)].concat()));
    bytes(1, &content)
}

async fn write_request(house: &House, plain: &[u8]) -> Answer {
    let body = snap::raw::Encoder::new().compress_vec(plain).unwrap();
    house.ask(Role::Sender, "POST", "/api/v1/write", &PROTOBUF, body).await
}

#[tokio::test]
async fn series_between_good_ones() {
    let house = House::open().await;
    let millis = now_secs(&house) * 1_000;
    let good = |name: &str| series(&[(b"__name__", name.as_bytes())], millis, 1.0);
    let name: (&[u8], &[u8]) = (b"__name__", b"m");
    let long = "x".repeat(16 * 1024 + 1);
    let histogram = bytes(1, &[bytes(1, &[bytes(1, b"__name__"), bytes(2, b"h")].concat()), bytes(4, b"")].concat());
    let cases = [
        (series(&[name, (b"b", b"1"), (b"a", b"1")], millis, 1.0), "series 2 (m): labels are not sorted: `a` comes after `b`"),
        (series(&[name, (b"a", b"1"), (b"a", b"2")], millis, 1.0), "series 2 (m): label `a` stands twice"),
        (series(&[(b"a", b"1")], millis, 1.0), "series 2 (): label `__name__` is missing"),
        (series(&[(b"", b"1"), name], millis, 1.0), "series 2 (m): label 1 has no name"),
        (series(&[name, (b"a", b"\xff")], millis, 1.0), "series 2 (m): the value of label `a` is not UTF-8"),
        (series(&[name, (b"a", long.as_bytes())], millis, 1.0), "series 2 (m): label `a` is 16385 bytes long, 16384 at most"),
        (series(&[name], 1_000_000_000_000, 1.0), "series 2 (m): older than the store keeps"),
        (series(&[name], 9_000_000_000_000, 1.0), "series 2 (m): too far in the future: is the sender's clock right?"),
        (series(&[name], i64::MAX, 1.0), "series 2 (m): the timestamp of 1 of its samples is out of range"),
        (bytes(1, &[0x0a, 0x7f, 1]), "series 2 (): a length reaches over the end at byte"),
        (bytes(1, &[0x0f]), "series 2 (): an unknown wire type at byte"),
        (histogram, "1 native histograms refused: they are not stored yet"),
    ];
    for (place, (bad, said)) in cases.iter().enumerate() {
        let body = [good(&format!("before{place}")), bad.clone(), good(&format!("after{place}"))].concat();
        let answer = write_request(&house, &body).await;
        assert_eq!(answer.status, 400, "{said}: {}", answer.text());
        assert!(
            answer.text().starts_with("partial write, 2 samples kept: ") && answer.text().contains(said),
            "{}",
            answer.text()
        );
        for name in ["before", "after"] {
            assert_eq!(value(&house, &format!("{name}{place}")).await, Some(1.0), "{said}");
        }
    }
    assert_eq!(value(&house, "m").await, None);
}

#[tokio::test]
async fn requests_that_end_early_or_lie() {
    let house = House::open().await;
    let millis = now_secs(&house) * 1_000;
    let plain = [series(&[(b"__name__", b"whole")], millis, 1.0), series(&[(b"__name__", b"cut")], millis, 1.0)].concat();
    let answer = write_request(&house, &plain[..plain.len() - 1]).await;
    assert_eq!(answer.status, 400);
    let said = "partial write, 1 samples kept: read the write request: a length reaches over the end at byte ";
    assert!(answer.text().starts_with(said), "{}", answer.text());
    assert_eq!((value(&house, "whole").await, value(&house, "cut").await), (Some(1.0), None));

    let special = [
        series(&[(b"__name__", b"infinite")], millis, f64::INFINITY),
        series(&[(b"__name__", b"no_number")], millis, f64::NAN),
        bytes(9, b"from the future"),
    ];
    let answer = write_request(&house, &special.concat()).await;
    assert_eq!(answer.status, 204, "NaN, Inf and unknown fields are no mistakes: {}", answer.text());
    assert_eq!(value(&house, "infinite").await, Some(f64::INFINITY));
    assert!(value(&house, "no_number").await.is_some_and(f64::is_nan));
}

#[tokio::test]
async fn packed_bodies_that_would_be_too_large() {
    let house = House::open().await;
    let zeros = vec![b'\n'; 65 << 20];
    let zstd = zstd::stream::encode_all(&zeros[..], 1).unwrap();
    assert!(zstd.len() < 100_000);
    let answer = house.ask(Role::Sender, "POST", "/write", &[("content-encoding", "zstd")], zstd).await;
    assert_eq!((answer.status.as_u16(), answer.text().contains("67108864 bytes")), (413, true), "{}", answer.text());
    let snappy = snap::raw::Encoder::new().compress_vec(&zeros[..33 << 20]).unwrap();
    let answer = house.ask(Role::Sender, "POST", "/api/v1/write", &PROTOBUF, snappy).await;
    assert_eq!((answer.status.as_u16(), answer.text().contains("33554432 bytes")), (413, true), "{}", answer.text());
    let claims = [0xff, 0xff, 0xff, 0x0f, 0];
    let answer = house.ask(Role::Sender, "POST", "/api/v1/write", &PROTOBUF, claims.to_vec()).await;
    assert_eq!((answer.status.as_u16(), answer.text().contains("which 5 bytes can't hold")), (400, true), "{}", answer.text());
    let gzip = house.ask(Role::Sender, "POST", "/write", &[("content-encoding", "gzip")], vec![0x1f, 0x8b, 8]).await;
    assert_eq!((gzip.status.as_u16(), gzip.text().contains("body: decompress the gzip body")), (400, true), "{}", gzip.text());
    let text = format!("m a=1 {}\n", now_secs(&house));
    let packed = zstd::stream::encode_all(text.as_bytes(), 1).unwrap();
    let sent = house.ask(Role::Sender, "POST", "/write?precision=s", &[("content-encoding", "zstd")], packed).await;
    assert_eq!(sent.status, 204, "{}", sent.text());
    assert_eq!(value(&house, "m_a").await, Some(1.0));
}
