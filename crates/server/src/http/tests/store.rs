//! The store as its keepers ask it.

use std::sync::Arc;

use ::store::files::OnDisk;
use model::rights::Role;
use serde_json::json;

use super::House;
use super::fixture::now_secs;

#[tokio::test]
async fn where_series_come_from() {
    let house = House::open().await;
    let lines: String = (0..5).map(|n| format!("http,path=/{n},instance=web-{} requests=1\n", n % 2)).collect();
    assert_eq!(house.ask(Role::Sender, "POST", "/write", &[], lines).await.status, 204);
    let counted = house.get("/api/flyball/v1/store/cardinality?limit=2&label=path").await.json();
    assert_eq!((&counted["series"], &counted["source_label"]), (&json!(5), &json!("instance")));
    assert_eq!(counted["metrics"], json!([{ "name": "http_requests", "series": 5 }]));
    assert_eq!(counted["labels"][0], json!({ "name": "path", "series": 5, "values": 5, "value_bytes": 10 }));
    assert_eq!(counted["sources"], json!([{ "name": "web-0", "series": 3 }, { "name": "web-1", "series": 2 }]));
    assert_eq!((counted["values"].as_array().unwrap().len(), &counted["values_total"]), (2, &json!(5)));
    let narrow = "/api/flyball/v1/store/cardinality?match[]=http_requests%7Binstance%3D%22web-1%22%7D";
    assert_eq!(house.get(narrow).await.json()["series"], 2);
    for (wrong, place) in
        [("limit=0", "limit"), ("limit=1001", "limit"), ("match[]=sum(up)", "match[]"), ("match[]=%7B", "match[]")]
    {
        let (status, _, at, _) = house.get(&format!("/api/flyball/v1/store/cardinality?{wrong}")).await.error();
        assert_eq!((status, at.as_deref()), (400, Some(place)), "{wrong}");
    }
}

#[tokio::test]
async fn a_flush_needs_the_right_and_answers_when_it_is_done() {
    let house = House::open().await;
    assert_eq!(house.ask(Role::Sender, "POST", "/write", &[], "a b=1\na c=2\n").await.status, 204);
    let path = "/api/flyball/v1/store/flush";
    for role in [Role::Viewer, Role::Sender, Role::Operator] {
        assert_eq!(house.ask(role, "POST", path, &[], "").await.status, 403, "{role}");
    }
    let flushed = house.ask(Role::Admin, "POST", path, &[], "").await;
    assert_eq!(flushed.status, 200, "{}", flushed.text());
    let flushed = flushed.json();
    assert!(flushed["seconds"].as_f64().unwrap() > 0.0 && flushed["log_bytes"].is_u64(), "{flushed}");
    assert_eq!(house.get("/api/v1/query?query=a_b").await.json()["data"]["result"][0]["value"][1], "1");
}

#[tokio::test]
async fn samples_are_deleted_and_copied_by_who_may() {
    let house = House::open().await;
    assert_eq!(house.ask(Role::Sender, "POST", "/write", &[], "a,x=1 b=1\na,x=2 b=2\nc d=3\n").await.status, 204);
    let delete = "/api/flyball/v1/store/delete";
    for path in [
        delete,
        "/api/flyball/v1/store/snapshot",
        "/api/v1/admin/tsdb/delete_series?match[]=c_d",
        "/api/v1/admin/tsdb/clean_tombstones",
        "/api/v1/admin/tsdb/snapshot",
    ] {
        assert_eq!(house.ask(Role::Operator, "POST", path, &[], "").await.status, 403, "{path}");
    }
    for (wrong, place) in [
        (json!({ "selectors": [] }), "selectors"),
        (json!({ "selectors": ["sum(a_b)"] }), "selectors"),
        (json!({ "selectors": ["a_b"], "from": "2026-01-02T00:00:00Z", "to": "2026-01-01T00:00:00Z" }), "to"),
    ] {
        let (status, _, at, _) = house.post_json(delete, wrong.clone()).await.error();
        assert_eq!((status, at.as_deref()), (400, Some(place)), "{wrong}");
    }
    let count = async |query: &str| {
        let answer = house.get(&format!("/api/v1/query?query=count({query})")).await.json();
        answer["data"]["result"][0]["value"][1].as_str().unwrap_or("0").to_owned()
    };
    assert_eq!((count("a_b").await, count("c_d").await), ("2".into(), "1".into()));
    let before = house.ask(Role::Admin, "POST", "/api/v1/admin/tsdb/snapshot", &[], "").await.json();
    let name = before["data"]["name"].as_str().unwrap();
    assert!(house.folder.path().join("snapshots").join(name).join("history").is_dir(), "{before}");
    let deleted = house.post_json(delete, json!({ "selectors": ["a_b{x=\"1\"}"] })).await;
    assert_eq!((deleted.status.as_u16(), &deleted.json()["samples"]), (200, &json!(1)), "{}", deleted.text());
    assert_eq!((count("a_b").await, count("c_d").await), ("1".into(), "1".into()));
    let theirs = house.ask(Role::Admin, "POST", "/api/v1/admin/tsdb/delete_series?match[]=c_d&end=4e9", &[], "").await;
    assert_eq!(theirs.status, 204, "{}", theirs.text());
    assert_eq!((count("a_b").await, count("c_d").await), ("1".into(), "0".into()));
    assert_eq!(house.ask(Role::Admin, "POST", "/api/v1/admin/tsdb/delete_series", &[], "").await.status, 400);
    assert_eq!(house.ask(Role::Admin, "POST", "/api/v1/admin/tsdb/clean_tombstones", &[], "").await.status, 204);
    let audit = house.get("/api/flyball/v1/audit?limit=10").await.text();
    assert!(audit.contains("\"store\":\"delete\"") && audit.contains("c_d"), "{audit}");
}

#[tokio::test]
async fn who_asks_for_what_is_damaged_is_told() {
    let house = House::with_store(Arc::new(OnDisk), |options| options.memory_bytes = 0).await;
    let now = now_secs(&house);
    let lines: String = (0..600).map(|back| format!("room,of=a heat={back} {}\n", now - back)).collect();
    assert_eq!(house.ask(Role::Sender, "POST", "/write?precision=s", &[], lines).await.status, 204);
    assert_eq!(house.ask(Role::Admin, "POST", "/api/flyball/v1/store/flush", &[], "").await.status, 200);
    let range = format!("/api/v1/query_range?query=room_heat&start={}&end={now}&step=10", now - 500);
    for entry in std::fs::read_dir(house.folder.path().join("metrics/history")).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|end| end == "part") {
            let mut bytes = std::fs::read(&path).unwrap();
            // The blocks of samples come first.
            bytes[1_024..1_100].fill(0xff);
            std::fs::write(&path, bytes).unwrap();
        }
    }
    let answer = house.get(&range).await.json();
    let warning = answer["warnings"][0].as_str().unwrap();
    assert!(
        warning.starts_with("damage on the disk: 1 block of samples of 20") && warning.ends_with(" is missing here"),
        "{answer}"
    );
    // The names of the series are elsewhere: nothing of them is missing.
    assert_eq!(house.get("/api/v1/series?match[]=room_heat").await.json()["warnings"], json!(null));
    let own = house.get("/api/flyball/v1/overview").await.json()["own"].clone();
    assert!(own["damaged"].as_u64().unwrap() > 0, "{own}");
    let metrics = house.get("/metrics").await.text();
    assert!(metrics.contains("flyball_store_damaged_reads_total{what=\"block\"} "), "{metrics}");
    assert!(!metrics.contains("flyball_store_damaged_reads_total{what=\"block\"} 0\n"), "{metrics}");
}
