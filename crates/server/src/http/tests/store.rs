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
