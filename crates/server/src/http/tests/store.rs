//! The store as its keepers ask it.

use model::rights::Role;
use serde_json::json;

use super::House;

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
