//! Logging in and out, and tokens.

use axum::body::Body;
use axum::http::header;
use model::PersonName;
use model::rights::Role;
use serde_json::json;

use super::{House, request};
use crate::http::serve::Peer;

const JSON: [(&str, &str); 1] = [("content-type", "application/json")];

#[tokio::test]
async fn a_password_opens_a_session_until_it_is_closed() {
    let house = House::open().await;
    house.app.people.set_password(&PersonName::new("zhao").unwrap(), "correct horse").await.unwrap();
    let body = json!({ "name": "zhao", "password": "correct horse" }).to_string();
    let answer = house.send(request("POST", "/api/flyball/v1/login", &JSON, body)).await;
    assert_eq!(answer.status, 200);
    let me = answer.json();
    assert_eq!(
        (me["shown"].as_str(), me["language"].as_str(), &me["rights"]),
        (Some("Zhao Wei"), Some("zh"), &json!(["view", "operate"]))
    );
    let cookie = answer.header(header::SET_COOKIE).to_owned();
    for part in ["HttpOnly", "SameSite=Strict", "Path=/"] {
        assert!(cookie.contains(part), "{cookie}");
    }
    assert!(!cookie.contains("Secure"), "not by TLS here: a browser would not send it back");
    let session = cookie.split(';').next().unwrap().to_owned();
    let with = [("cookie", session.as_str()), ("host", "a"), ("origin", "http://a")];
    assert_eq!(house.send(request("GET", "/api/flyball/v1/me", &with, Body::empty())).await.json()["name"], "zhao");
    let out = house.send(request("POST", "/api/flyball/v1/logout", &with, "")).await;
    assert_eq!(out.status, 204);
    assert!(out.header(header::SET_COOKIE).contains("Max-Age=0"));
    assert_eq!(house.send(request("GET", "/api/flyball/v1/me", &with, Body::empty())).await.status, 401);
}

#[tokio::test]
async fn wrong_logins_say_nothing_and_end() {
    let house = House::open().await;
    let try_as = |name: &str, from: u8| {
        let body = json!({ "name": name, "password": "wrong" }).to_string();
        let mut request = request("POST", "/api/flyball/v1/login", &JSON, body);
        request.extensions_mut().insert(Peer(([192, 0, 2, from], 1).into()));
        house.send(request)
    };
    house.app.people.set_password(&PersonName::new("zhao").unwrap(), "correct horse").await.unwrap();
    assert_eq!(try_as("zhao", 1).await.text(), try_as("nobody", 1).await.text());
    assert_eq!(try_as("zhao", 1).await.status, 401);
    let mut refused = None;
    for number in 0..40 {
        let answer = try_as(&format!("guess-{number}"), 2).await;
        if answer.status == 429 {
            refused = answer.headers.get(header::RETRY_AFTER).cloned();
            break;
        }
    }
    assert!(refused.is_some(), "a guesser of many names is slowed by address");
    let link = json!({ "token": "fbl_none" }).to_string();
    assert_eq!(house.send(request("POST", "/api/flyball/v1/login/link", &JSON, link)).await.status, 401);
}

#[tokio::test]
async fn tokens_are_made_listed_and_revoked_and_it_is_in_the_audit() {
    let house = House::open().await;
    let made = house.post_json("/api/flyball/v1/tokens", json!({ "name": "bench", "role": "sender" })).await;
    assert_eq!(made.status, 201, "{}", made.text());
    let text = made.json()["token"].as_str().unwrap().to_owned();
    let listed = house.get("/api/flyball/v1/tokens").await;
    assert!(listed.text().contains("\"bench\"") && !listed.text().contains(&text));
    let again = house.post_json("/api/flyball/v1/tokens", json!({ "name": "bench", "role": "sender" })).await;
    assert_eq!(again.status, 409);
    assert_eq!(house.post_json("/api/flyball/v1/tokens", json!({ "name": "x" })).await.error().2.as_deref(), Some("role"));
    let bearer = format!("Bearer {text}");
    let me = request("GET", "/api/flyball/v1/me", &[("authorization", &bearer)], Body::empty());
    assert_eq!(house.send(me).await.json()["name"], "bench");
    assert_eq!(house.ask(Role::Admin, "DELETE", "/api/flyball/v1/tokens/bench", &[], "").await.status, 204);
    let (status, _, _, hint) = house.ask(Role::Admin, "DELETE", "/api/flyball/v1/tokens/amdin", &[], "").await.error();
    assert_eq!((status, hint.as_deref()), (404, Some("Nearest: `admin`.")));
    let me = request("GET", "/api/flyball/v1/me", &[("authorization", &bearer)], Body::empty());
    assert_eq!(house.send(me).await.status, 401, "gone at once");
    let audit = house.get("/api/flyball/v1/audit?limit=2").await.json();
    assert_eq!((&audit[0]["what"]["token_revoked"], &audit[1]["what"]["token_made"]), (&json!("bench"), &json!("bench")));
}
