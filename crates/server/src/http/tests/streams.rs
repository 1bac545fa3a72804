//! The event stream: what comes, in which order, and how it goes on after a break.

use std::time::Duration;

use axum::body::{Body, BodyDataStream};
use futures::StreamExt as _;
use model::rights::{Grant, Role};
use model::signal::LogLine;
use model::{HostName, ServiceName, TokenName};
use serde_json::{Value, json};
use tower::ServiceExt as _;

use super::{House, request};

struct Reader {
    body: BodyDataStream,
    rest: String,
}

impl Reader {
    async fn open(house: &House, token: &str, query: &str, last: Option<u64>) -> Reader {
        let (bearer, last) = (format!("Bearer {token}"), last.map(|last| last.to_string()));
        let mut headers = vec![("authorization", bearer.as_str())];
        headers.extend(last.as_deref().map(|last| ("last-event-id", last)));
        let request = request("GET", &format!("/api/flyball/v1/live{query}"), &headers, Body::empty());
        let response = house.router.clone().oneshot(request).await.unwrap();
        assert_eq!(response.status(), 200);
        assert_eq!(response.headers()["content-type"], "text/event-stream");
        Reader { body: response.into_body().into_data_stream(), rest: String::new() }
    }

    /// The next message of this name; none: the stream ended.
    async fn next(&mut self, wanted: &str) -> Option<(Option<u64>, Value)> {
        let find = async {
            loop {
                while let Some((message, rest)) = self.rest.split_once("\n\n") {
                    let field = |name: &str| message.lines().find_map(|line| line.strip_prefix(name)).map(str::trim);
                    let found = (field("event:") == Some(wanted)).then(|| {
                        (field("id:").map(|id| id.parse().unwrap()), serde_json::from_str(field("data:").unwrap()).unwrap())
                    });
                    self.rest = rest.to_owned();
                    if found.is_some() {
                        return found;
                    }
                }
                self.rest.push_str(std::str::from_utf8(&self.body.next().await?.unwrap()).unwrap());
            }
        };
        tokio::time::timeout(Duration::from_secs(20), find).await.expect("a message within 20 s")
    }
}

async fn change(house: &House, what: &str) -> u64 {
    let answer = house.post_json("/api/flyball/v1/changes", json!({ "what": what, "service": "shop" })).await;
    answer.json()["seq"].as_u64().unwrap()
}

#[tokio::test]
async fn it_goes_on_where_it_broke_off() {
    let house = House::open().await;
    let token = house.token(Role::Viewer).await;
    let mut reader = Reader::open(&house, &token, "", None).await;
    let (began, position) = reader.next("position").await.unwrap();
    assert_eq!(position, json!({ "seq": began, "complete": false }), "nothing was known before");
    assert!(reader.next("overview").await.unwrap().1["own"]["series"].is_u64());
    let first = change(&house, "one").await;
    let (id, row) = reader.next("timeline").await.unwrap();
    assert_eq!((id, row["seq"].as_u64()), (Some(first), Some(first)));
    drop(reader);
    let (second, third) = (change(&house, "two").await, change(&house, "three").await);
    let mut reader = Reader::open(&house, &token, "", Some(first)).await;
    assert_eq!(reader.next("timeline").await.unwrap().0, Some(second));
    assert_eq!(reader.next("timeline").await.unwrap().0, Some(third));
    assert_eq!(reader.next("position").await.unwrap(), (Some(third), json!({ "seq": third, "complete": true })));
    let fourth = change(&house, "four").await;
    assert_eq!(reader.next("timeline").await.unwrap().0, Some(fourth), "each once, in order");
    // Who has got nothing but the position goes on there.
    let mut reader = Reader::open(&house, &token, "", began).await;
    assert_eq!(reader.next("timeline").await.unwrap().0, Some(first));
    // A place of another journal is none.
    let mut reader = Reader::open(&house, &token, "", Some(fourth + 1_000)).await;
    assert_eq!(reader.next("position").await.unwrap(), (Some(fourth), json!({ "seq": fourth, "complete": false })));
    let fifth = change(&house, "five").await;
    assert_eq!(reader.next("timeline").await.unwrap().0, Some(fifth));
}

#[tokio::test]
async fn who_missed_more_than_is_made_up_for_is_told_so() {
    let house = House::open().await;
    let token = house.token(Role::Viewer).await;
    let first = change(&house, "first").await;
    let bearer = format!("Bearer {}", house.token(Role::Admin).await);
    let headers = [("authorization", bearer.as_str()), ("content-type", "application/json")];
    let others = (0..999).map(|number| {
        let body = json!({ "what": format!("change {number}"), "service": "shop" }).to_string();
        house.send(request("POST", "/api/flyball/v1/changes", &headers, body))
    });
    let answers = futures::future::join_all(others).await;
    let last = answers.iter().map(|answer| answer.json()["seq"].as_u64().unwrap()).max().unwrap();
    let mut reader = Reader::open(&house, &token, "", Some(first)).await;
    assert_eq!(reader.next("position").await.unwrap(), (Some(last), json!({ "seq": last, "complete": true })));
    let mut reader = Reader::open(&house, &token, "", Some(first - 1)).await;
    assert_eq!(reader.next("position").await.unwrap().1["complete"], false);
}

#[tokio::test]
async fn what_was_said_in_a_receivers_room_is_caught_up_with() {
    let house = House::open().await;
    let mut config = model::config::Config::clone(&house.config());
    let receiver = model::config::ReceiverConfig { webhook: None, room: Some(model::RoomName::new("db").unwrap()) };
    config.notification.receivers.insert(model::ReceiverName::new("team").unwrap(), receiver);
    house.pump.submit(model::Event::Configured { config: Box::new(config), change: None }).await.unwrap();
    let first = change(&house, "one").await;
    let said = async {
        // The door follows the configuration a moment later.
        while house.post_json("/api/flyball/v1/chat/db", json!({ "text": "hello" })).await.status != 200 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), said).await.expect("the room is there within 20 s");
    let token = house.token(Role::Viewer).await;
    let mut reader = Reader::open(&house, &token, "", Some(first)).await;
    let (_, message) = reader.next("chat").await.unwrap();
    assert_eq!(message["room"], "db", "{message}");
}

#[tokio::test]
async fn it_ends_with_its_token_and_with_the_server() {
    let house = House::open().await;
    let token = house.token_of("gone-soon", Grant::everywhere(Role::Viewer)).await;
    let mut reader = Reader::open(&house, &token, "", None).await;
    reader.next("overview").await.unwrap();
    house.app.people.revoke_token(&TokenName::new("gone-soon").unwrap()).await.unwrap();
    assert!(reader.next("never").await.is_none());
    let mut reader = Reader::open(&house, &house.token(Role::Viewer).await, "", None).await;
    reader.next("overview").await.unwrap();
    house.app.stop();
    assert!(reader.next("never").await.is_none());
    assert_eq!(house.send(request("GET", "/-/ready", &[], Body::empty())).await.status, 503);
}

#[tokio::test]
async fn logs_come_to_who_asked_for_them() {
    let house = House::open().await;
    let token = house.token(Role::Viewer).await;
    let mut reader = Reader::open(&house, &token, "?service=shop", None).await;
    reader.next("overview").await.unwrap();
    for (service, text) in [("pay", "not asked for"), ("shop", "order 1")] {
        let (host, service) = (HostName::new("shop-1").unwrap(), ServiceName::new(service).unwrap());
        house.app.logs.push(LogLine { at: house.app.clock.now(), host, service, text: text.into() });
    }
    assert_eq!(reader.next("log").await.unwrap().1["text"], "order 1");
    let wrong = house.get("/api/flyball/v1/live?service=../x").await;
    assert_eq!((wrong.status.as_u16(), wrong.error().2.as_deref()), (400, Some("service")));
}

#[tokio::test]
async fn who_does_not_read_is_dropped() {
    let house = House::open().await;
    let reader = Reader::open(&house, &house.token(Role::Viewer).await, "?service=shop", None).await;
    let dropped = || house.app.metrics.streams_dropped.load(std::sync::atomic::Ordering::Relaxed);
    let fill = async {
        while dropped() == 0 {
            let (host, service) = (HostName::new("shop-1").unwrap(), ServiceName::new("shop").unwrap());
            house.app.logs.push(LogLine { at: house.app.clock.now(), host, service, text: "x".into() });
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(60), fill).await.expect("dropped within 60 s");
    assert_eq!(dropped(), 1);
    drop(reader);
}
