//! Malformed and oversized bodies on every route that takes one: refused with their place, and nothing comes of them.

use axum::body::Body;
use model::rights::Role;

use super::House;

/// Routes that read a body, from the table, with what they want it to be.
fn taking_bodies(house: &House) -> Vec<(&'static str, String, bool)> {
    let uri = |path: &str| path.replace("{room}", "ops").replace("{number}", "1").replace("{host}", "shop-1");
    house
        .docs
        .iter()
        .filter(|route| route.method == "POST" && route.request.is_some())
        .map(|route| (route.method, uri(route.path), true))
        .collect()
}

#[tokio::test]
async fn json_that_is_none() {
    let house = House::open().await;
    let seq = house.pump.read_state(|state| state.seq);
    let routes = taking_bodies(&house);
    assert!(routes.len() >= 4);
    let json = [("content-type", "application/json")];
    for (method, uri, _) in routes {
        for body in ["", "{", "[]", "null", "{\"no_such_field\":1}", "\u{0}", "{\"name\":", &"[".repeat(10_000)] {
            let answer = house.ask(Role::Admin, method, &uri, &json, body.to_owned()).await;
            let (status, message, place, _) = answer.error();
            assert_eq!(status, 400, "{uri} {body:.20}: {message}");
            assert!(place.is_some(), "{uri} {body:.20} says where: {message}");
        }
        let answer = house.ask(Role::Admin, method, &uri, &json, format!("\"{}\"", "a".repeat(200_000))).await;
        assert_eq!(answer.error().0, 413, "{uri}");
        assert!(answer.error().1.contains("131072 bytes"), "{uri} names its limit");
        for wrong in ["text/plain", "application/x-www-form-urlencoded", ""] {
            let answer = house.ask(Role::Admin, method, &uri, &[("content-type", wrong)], "{}").await;
            assert_eq!(answer.status, 415, "{uri} as {wrong}");
        }
    }
    assert_eq!(house.pump.read_state(|state| state.seq), seq, "none of it was an event");
}

#[tokio::test]
async fn telemetry_that_is_too_much() {
    let house = House::open().await;
    let protobuf = [("content-type", "application/x-protobuf"), ("content-encoding", "snappy")];
    for (uri, headers) in [("/write", &[][..]), ("/api/v2/write", &[][..]), ("/api/v1/write", &protobuf[..])] {
        let mut headers = headers.to_vec();
        let answer = house.ask(Role::Sender, "POST", uri, &headers, vec![b'a'; (32 << 20) + 1]).await;
        assert_eq!(answer.status, 413, "{uri}: {}", answer.text());
        assert!(answer.text().contains("33554432 bytes"), "{uri} names its limit: {}", answer.text());
        headers.push(("content-length", "99999999999"));
        assert_eq!(house.ask(Role::Sender, "POST", uri, &headers, Body::empty()).await.status, 413, "{uri}, said before");
    }
}

#[tokio::test]
async fn packed_bodies_that_lie() {
    let house = House::open().await;
    let bomb = {
        use std::io::Write as _;
        let mut out = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        let megabyte = vec![b'\n'; 1 << 20];
        for _ in 0..65 {
            out.write_all(&megabyte).unwrap();
        }
        out.finish().unwrap()
    };
    let gzip = [("content-encoding", "gzip")];
    assert_eq!(house.ask(Role::Sender, "POST", "/write", &gzip, bomb).await.status, 413);
    assert_eq!(house.ask(Role::Sender, "POST", "/write", &gzip, "not gzip").await.status, 400);
    let unknown = [("content-encoding", "br")];
    assert_eq!(house.ask(Role::Sender, "POST", "/write", &unknown, "a b=1").await.status, 415);
    let protobuf = [("content-type", "application/x-protobuf"), ("content-encoding", "snappy")];
    for body in [&b"\xff\xff\xff\xff\x0f"[..], b"", b"\x04\x0cabcd", b"nonsense"] {
        let answer = house.ask(Role::Sender, "POST", "/api/v1/write", &protobuf, body.to_vec()).await;
        assert!(matches!(answer.status.as_u16(), 400 | 413), "{body:?}: {} {}", answer.status, answer.text());
    }
    for (kind, encoding) in [
        ("text/plain", "snappy"),
        ("application/x-protobuf;proto=io.prometheus.write.v2.Request", "snappy"),
        ("application/x-protobuf", "gzip"),
    ] {
        let headers = [("content-type", kind), ("content-encoding", encoding)];
        assert_eq!(house.ask(Role::Sender, "POST", "/api/v1/write", &headers, "").await.status, 415, "{kind} {encoding}");
    }
}

#[tokio::test]
async fn an_artifact_without_a_name_or_bytes() {
    let house = House::open().await;
    for (query, place) in
        [("?version=1", "name"), ("?name=shop", "version"), ("?name=../x&version=1", "name"), ("?name=a&version=1..2", "version")]
    {
        let answer = house.ask(Role::Releaser, "POST", &format!("/api/flyball/v1/artifacts{query}"), &[], "bytes").await;
        assert_eq!((answer.status.as_u16(), answer.error().2.as_deref()), (400, Some(place)), "{query}");
    }
    let uri = "/api/flyball/v1/artifacts?name=shop&version=1";
    assert_eq!(house.ask(Role::Releaser, "POST", uri, &[], "").await.status, 400);
    let gzip = house.ask(Role::Releaser, "POST", uri, &[], b"\x1f\x8b\x08".to_vec()).await;
    assert_eq!(gzip.status, 400);
    assert!(gzip.text().contains("gzip") && gzip.text().contains("tar.zst"), "{}", gzip.text());
    let long = [("content-length", "1073741825")];
    assert_eq!(house.ask(Role::Releaser, "POST", uri, &long, Body::empty()).await.status, 413);
}

#[tokio::test]
async fn forms_and_parameters_that_are_none() {
    let house = House::open().await;
    let form = [("content-type", "application/x-www-form-urlencoded")];
    assert_eq!(house.ask(Role::Viewer, "POST", "/api/v1/query", &form, "a".repeat((2 << 20) + 1)).await.status, 413);
    assert_eq!(house.ask(Role::Viewer, "POST", "/api/v1/query", &[], "query=1").await.status, 415);
    for uri in
        ["/api/v1/query?query=%ff%fe", "/api/v1/query?query", "/api/flyball/v1/audit?limit=x", "/api/flyball/v1/audit?before=-1"]
    {
        assert_eq!(house.get(uri).await.status, 400, "{uri}");
    }
    let many = format!("/api/v1/series?{}", "match[]=up&".repeat(1_001));
    assert_eq!(house.get(&many).await.status, 400);
}
