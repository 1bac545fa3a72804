//! Samples, changes and heartbeats from the outside to where they can be seen.

use std::io::Write as _;
use std::sync::Arc;

use axum::body::Body;
use axum::http::header;
use model::rights::Role;
use model::signal::HeartbeatSign;
use model::{HeartbeatName, Labels, Sample};
use serde_json::json;
use store::files::Simulated;
use wire::{Metadata, MetricKind, remote_write};

use super::fixture::{now_secs, recent};
use super::{House, request};

pub async fn value(house: &House, promql: &str) -> Option<f64> {
    let uri = format!("/api/v1/query?query={}", promql.replace('{', "%7B").replace('}', "%7D").replace('"', "%22"));
    let answer = house.get(&uri).await.json();
    answer["data"]["result"][0]["value"][1].as_str().map(|text| text.parse().unwrap())
}

#[tokio::test]
async fn line_protocol_of_both_versions() {
    let house = House::open().await;
    let now = now_secs(&house);
    let token = house.token(Role::Sender).await;
    // Each with another way to say the token, as clients do.
    let basic = format!("Basic {}", base64::Engine::encode(&base64::engine::general_purpose::STANDARD, format!("me:{token}")));
    let cases = [
        ("/write?db=x&precision=s", ("authorization", basic), format!("cpu,host=a idle=1 {now}\n")),
        (
            "/api/v2/write?org=o&bucket=b&precision=ms",
            ("authorization", format!("Token {token}")),
            format!("cpu,host=b idle=2i {now}000\n"),
        ),
        ("/write?precision=s", ("authorization", format!("Bearer {token}")), "cpu,host=c idle=t\n".into()),
    ];
    for (uri, (name, value), body) in cases {
        let answer = house.send(request("POST", uri, &[(name, &value)], body)).await;
        assert_eq!(answer.status, 204, "{uri}: {}", answer.text());
    }
    let by_query = format!("/write?u=me&p={token}&precision=s");
    assert_eq!(house.send(request("POST", &by_query, &[], format!("cpu,host=d idle=4 {now}"))).await.status, 204);
    for (host, expected) in [("a", 1.0), ("b", 2.0), ("c", 1.0), ("d", 4.0)] {
        assert_eq!(value(&house, &format!("cpu_idle{{host=\"{host}\"}}")).await, Some(expected), "{host}");
    }
}

#[tokio::test]
async fn a_bad_line_does_not_lose_the_good_ones() {
    let house = House::open().await;
    let now = now_secs(&house);
    let body = format!("good a=1 {now}\nbad line here\nbetter a=2 {now}\n");
    let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    packed.write_all(body.as_bytes()).unwrap();
    let gzip = [("content-encoding", "gzip")];
    let answer = house.ask(Role::Sender, "POST", "/write?precision=s", &gzip, packed.finish().unwrap()).await;
    assert_eq!(answer.status, 400);
    let sentence = answer.json()["error"].as_str().unwrap().to_owned();
    assert!(sentence.starts_with("partial write: 1 line refused, 2 samples accepted; line 2, column "), "{sentence}");
    assert_eq!((value(&house, "good_a").await, value(&house, "better_a").await), (Some(1.0), Some(2.0)));

    let old = house.ask(Role::Sender, "POST", "/write?precision=s", &[], "old a=1 1000000000\n").await;
    assert_eq!(old.status, 400, "what the store refuses is said too");
    assert!(
        old.text().contains("partial write: 1 sample refused, 0 samples accepted; line 1 (old_a): older than the store keeps"),
        "{}",
        old.text()
    );
    let texts = house.ask(Role::Sender, "POST", "/write?precision=s", &[], format!("t a=\"x\",b=2 {now}\n")).await;
    assert_eq!((texts.status.as_u16(), texts.headers["x-flyball-refused-strings"].to_str().unwrap()), (204, "1"));
    let wrong = house.ask(Role::Sender, "POST", "/write?precision=day", &[], "a b=1").await;
    assert!(wrong.json()["error"].as_str().unwrap().starts_with("precision: `day` is no precision"), "{}", wrong.text());
}

#[tokio::test]
async fn what_influx_clients_ask_first() {
    let house = House::open().await;
    let ping = house.send(request("GET", "/ping", &[], Body::empty())).await;
    assert_eq!(ping.status, 204);
    assert!(ping.headers["x-influxdb-version"].to_str().unwrap().starts_with("1.8"));
    assert_eq!(house.send(request("HEAD", "/ping", &[], Body::empty())).await.status, 204);
    assert_eq!(house.send(request("GET", "/health", &[], Body::empty())).await.json()["status"], "pass");
    let form = [("content-type", "application/x-www-form-urlencoded")];
    let created = house.ask(Role::Sender, "POST", "/query", &form, "q=CREATE+DATABASE+%22telegraf%22").await;
    assert_eq!((created.status.as_u16(), created.json()["results"][0]["statement_id"].as_i64()), (200, Some(0)));
    let shown = house.ask(Role::Sender, "GET", "/query?q=SHOW%20DATABASES", &[], "").await.json();
    assert_eq!(shown["results"][0]["series"][0]["values"][0][0], "flyball");
    assert_eq!(house.ask(Role::Sender, "GET", "/query?q=SELECT%201", &[], "").await.status, 400);
}

#[tokio::test]
async fn remote_write_there_and_back() {
    let house = House::open().await;
    let at = recent(&house);
    let labels = Labels::new([("__name__", "orders_total"), ("service", "shop")]).unwrap();
    let samples = [Sample { time: at, value: 41.0 }];
    let known =
        Metadata { family: "orders_total".into(), kind: MetricKind::Counter, help: "Orders.".into(), unit: String::new() };
    let body = remote_write::encode([(&labels, &samples[..])], &[known]);
    let headers = [
        ("content-type", "application/x-protobuf"),
        ("content-encoding", "snappy"),
        ("x-prometheus-remote-write-version", "0.1.0"),
    ];
    for uri in ["/api/v1/write", "/api/v1/push"] {
        let answer = house.ask(Role::Sender, "POST", uri, &headers, body.clone()).await;
        assert_eq!(answer.status, 204, "{uri}: {}", answer.text());
    }
    assert_eq!(value(&house, "orders_total{service=\"shop\"}").await, Some(41.0));
    let metadata = house.get("/api/v1/metadata?metric=orders_total").await.json();
    assert_eq!(metadata["data"]["orders_total"][0], json!({ "type": "counter", "help": "Orders.", "unit": "" }));
    // One sample that is far too old: no 2xx, and a 400 so that it is not tried for ever.
    let old = [Sample { time: model::Time::from_secs(1_000_000_000), value: 1.0 }];
    let other = Labels::new([("__name__", "fresh")]).unwrap();
    let body = remote_write::encode([(&labels, &old[..]), (&other, &samples[..])], &[]);
    let answer = house.ask(Role::Sender, "POST", "/api/v1/write", &headers, body).await;
    assert_eq!(answer.status, 400);
    assert!(
        answer.text().starts_with("partial write, 1 samples kept: 1 samples refused; series 1 (orders_total{service="),
        "{}",
        answer.text()
    );
    assert_eq!(value(&house, "fresh").await, Some(41.0));
}

#[tokio::test]
async fn a_full_disk_refuses_samples_and_takes_events() {
    let files = Simulated::new(7);
    let house = House::with_files(Arc::new(files.clone())).await;
    let now = now_secs(&house);
    files.set_capacity(Some(0));
    let answer = house.ask(Role::Sender, "POST", "/write?precision=s", &[], format!("a b=1 {now}\n")).await;
    assert_eq!(answer.status, 507, "{}", answer.text());
    assert!(answer.headers.contains_key(header::RETRY_AFTER));
    let change = house.post_json("/api/flyball/v1/changes", json!({ "what": "freed the disk" })).await;
    assert_eq!(change.status, 200, "{}", change.text());
    files.set_capacity(None);
    let mut last = 0;
    for _ in 0..100 {
        last = house.ask(Role::Sender, "POST", "/write?precision=s", &[], format!("a b=1 {now}\n")).await.status.as_u16();
        if last == 204 {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
    assert_eq!(last, 204, "goes on by itself when there is room");
}

#[tokio::test]
async fn a_change_is_on_the_timeline_when_it_is_answered() {
    let house = House::open().await;
    let body = json!({
        "id": "deploy-17", "kind": "configuration", "what": "raised the pool to 200", "service": "shop", "environment": "prod",
        "hosts": ["shop-1"], "author": "zhao", "detail": "-100\n+200", "link": "https://git.example/17",
    });
    let answer = house.post_json("/api/flyball/v1/changes", body.clone()).await;
    assert_eq!((answer.status.as_u16(), answer.json()["id"].as_str()), (200, Some("deploy-17")));
    let again = house.post_json("/api/flyball/v1/changes", body).await;
    assert_eq!(again.status, 200, "the same id twice is one change");
    let changes = house.app.projections.changes(&Default::default()).await.unwrap();
    assert_eq!(changes.len(), 1);
    assert_eq!(changes[0].change.scope.project.as_ref().unwrap().as_str(), "mall");
    assert_eq!(changes[0].change.author.as_deref(), Some("zhao"));
}

#[tokio::test]
async fn changes_are_checked_field_by_field() {
    let house = House::open().await;
    let long = "x".repeat(16 * 1024 + 1);
    for (body, status, place, hint) in [
        (json!({ "what": " " }), 400, "what", None),
        (json!({ "what": "a", "detail": long }), 400, "detail", None),
        (json!({ "what": "a", "link": "javascript:alert(1)" }), 400, "link", None),
        (json!({ "what": "a", "author": "a\nb" }), 400, "author", None),
        (json!({ "what": "a", "id": "" }), 400, "id", None),
        (json!({ "what": "a", "service": "shpo" }), 404, "service", Some("Nearest: `shop`.")),
        (json!({ "what": "a", "environment": "prd" }), 404, "environment", Some("Nearest: `prod`.")),
        (json!({ "what": "a", "hosts": ["shop-2"] }), 404, "host", Some("Nearest: `shop-1`.")),
    ] {
        let error = house.post_json("/api/flyball/v1/changes", body.clone()).await.error();
        assert_eq!((error.0, error.2.as_deref(), error.3.as_deref()), (status, Some(place), hint), "{body}");
    }
}

#[tokio::test]
async fn heartbeats_are_open_and_their_id_is_the_secret() {
    let house = House::open().await;
    let import = HeartbeatName::new("import").unwrap();
    let last = |house: &House| {
        house.pump.read_state(|state| state.heartbeats[&import].last.clone().map(|(_, ping)| (ping.sign, ping.body)))
    };
    for (method, path, body, sign) in [
        ("GET", "", "", HeartbeatSign::Success),
        ("POST", "/start", "begun", HeartbeatSign::Start),
        ("HEAD", "/0", "", HeartbeatSign::Success),
        ("POST", "/fail", "no such table", HeartbeatSign::Fail(None)),
        ("GET", "/137", "", HeartbeatSign::Fail(Some(137))),
    ] {
        let answer = house.send(request(method, &format!("/ping/0123456789abcdef{path}"), &[], body)).await;
        assert_eq!(answer.status, 200, "{path}: {}", answer.text());
        assert_eq!(answer.text(), if method == "HEAD" { "" } else { "OK" });
        assert_eq!(last(&house), Some((sign, body.to_owned())), "{path}");
    }
    let seq = house.pump.read_state(|state| state.seq);
    for (path, status) in [
        ("/ping/0123456789abcdee", 404),
        ("/ping/0123456789abcde", 404),
        ("/ping/import", 404),
        ("/ping/0123456789abcdef/256", 400),
        ("/ping/0123456789abcdef/stop", 404),
        ("/ping/a%2f..%2fb", 404),
    ] {
        assert_eq!(house.send(request("GET", path, &[], Body::empty())).await.status, status, "{path}");
    }
    assert_eq!(house.pump.read_state(|state| state.seq), seq);
    let long = house.send(request("POST", "/ping/0123456789abcdef", &[], "y".repeat(100_000))).await;
    assert_eq!(long.status, 200);
    assert_eq!(last(&house).unwrap().1.len(), 10 * 1024, "the first bytes are kept");
    assert_eq!(house.send(request("POST", "/ping/0123456789abcdef", &[], "y".repeat((1 << 20) + 1))).await.status, 413);
}

#[tokio::test]
async fn the_same_bytes_are_one_artifact() {
    let house = House::open().await;
    let uri = "/api/flyball/v1/artifacts?name=shop&version=4.12.1";
    let first = house.ask(Role::Releaser, "POST", uri, &[], "program").await;
    assert_eq!(first.status, 200, "{}", first.text());
    assert_eq!(first.json()["digest"].as_str().unwrap().len(), 64);
    assert_eq!(house.ask(Role::Releaser, "POST", uri, &[], "program").await.json(), first.json());
    let renamed = "/api/flyball/v1/artifacts?name=shop&version=5";
    assert_eq!(house.ask(Role::Releaser, "POST", renamed, &[], "program").await.status, 409);
    assert_eq!(house.get("/api/flyball/v1/artifacts").await.json().as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn who_let_a_host_in_or_shut_it_out_is_in_the_audit() {
    let house = House::open().await;
    let token = house.post_json("/api/flyball/v1/hosts/shop-1/enrol-token", json!({})).await;
    assert_eq!(token.json()["token"], "token-of-shop-1");
    let revoked = house.post_json("/api/flyball/v1/hosts/shop-1/revoke", json!({})).await;
    assert_eq!(revoked.json(), json!({ "host": "shop-1", "was_enrolled": true }));
    for verb in ["enrol-token", "revoke"] {
        let (status, _, _, hint) = house.post_json(&format!("/api/flyball/v1/hosts/shop-9/{verb}"), json!({})).await.error();
        assert_eq!((status, hint.as_deref()), (404, Some("Nearest: `shop-1`.")), "{verb}");
    }
    assert_eq!(house.ask(Role::Operator, "POST", "/api/flyball/v1/hosts/shop-1/revoke", &[], "").await.status, 403);
    let lines = house.get("/api/flyball/v1/audit").await.json();
    let what: Vec<_> = lines.as_array().unwrap().iter().map(|line| line["what"].to_string()).collect();
    assert_eq!(what[1], json!({ "host_revoked": "shop-1", "was_enrolled": true }).to_string());
    assert_eq!(what[2], json!({ "enrol_token_made": "shop-1" }).to_string());
    assert!(what[0].contains("administer") && lines[1]["by"] == "admin", "{lines}");
}
