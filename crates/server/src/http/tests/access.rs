//! Who may come in: generated from the table of routes, so that a new route is in it by itself.

use axum::body::Body;
use axum::http::header;
use model::EnvironmentName;
use model::rights::{Grant, Right, Role};

use super::{House, request};
use crate::http::routes::Access;
use crate::journal::AuditOutcome;

/// An address that fits a route's path.
fn uri_of(path: &str) -> String {
    let filled = path.replace("{number}", "1").replace("{id}", "none").replace("{sign}", "start").replace("{host}", "shop-1");
    let mut out = String::new();
    let mut rest = filled.as_str();
    while let Some((head, tail)) = rest.split_once('{') {
        out.push_str(head);
        out.push('x');
        rest = tail.split_once('}').map_or("", |(_, rest)| rest);
    }
    out + rest
}

fn role_without(right: Right) -> Role {
    Role::ALL.into_iter().find(|role| !role.rights().contains(&right)).unwrap()
}

#[tokio::test]
async fn every_route_asks_who_it_is_and_what_they_may() {
    let house = House::open().await;
    let seq = house.pump.read_state(|state| state.seq);
    let sender_in_one_place = {
        let environment = Some(EnvironmentName::new("prod").unwrap());
        house.token_of("narrow", Grant { role: Role::Viewer, project: None, environment }).await
    };
    let wrong: Vec<Vec<(&str, String)>> = vec![
        vec![],
        vec![("authorization", "Bearer nothing".into())],
        vec![("authorization", "Bearer fbt_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA".into())],
        vec![("authorization", "Bearer ".into())],
        vec![("authorization", "Nonsense".into())],
        vec![("authorization", "Basic bm8=".into())],
        vec![("cookie", "flyball_session=fbs_none".into())],
        vec![("authorization", "Bearer \u{7f}".into())],
    ];
    let mut asked = 0;
    for route in house.docs.iter().filter(|route| route.access != Access::Open) {
        let uri = uri_of(route.path);
        for headers in &wrong {
            let headers: Vec<(&str, &str)> = headers.iter().map(|(name, value)| (*name, value.as_str())).collect();
            if headers.iter().any(|(_, value)| value.contains('\u{7f}')) {
                // No client's library sends it; the header's own type refuses it.
                continue;
            }
            let answer = house.send(request(route.method, &uri, &headers, "{}")).await;
            assert_eq!(answer.status, 401, "{} {uri} with {headers:?}", route.method);
            assert!(!answer.headers.contains_key(header::SET_COOKIE));
            asked += 1;
        }
        if let Access::Needs(right) = route.access {
            let answer = house.ask(role_without(right), route.method, &uri, &[], "{}").await;
            assert_eq!(answer.status, 403, "{} {uri} without {right}", route.method);
            let newest = &house.app.projections.audit(None, 1).await.unwrap()[0];
            assert_eq!(
                (newest.by.as_str(), &newest.outcome),
                (role_without(right).to_string().as_str(), &AuditOutcome::NotAllowed)
            );
            assert_eq!(newest.what["path"], uri.as_str(), "the audit has it");
        }
    }
    assert!(asked > 150, "{asked}");
    // Whose grant ends at a place has no say over what has none.
    for route in house.docs.iter().filter(|route| route.access == Access::Needs(Right::Administer)) {
        let answer = house
            .send(request(
                route.method,
                &uri_of(route.path),
                &[("authorization", &format!("Bearer {sender_in_one_place}"))],
                "{}",
            ))
            .await;
        assert_eq!(answer.status, 403, "{} {}", route.method, route.path);
    }
    assert_eq!(house.pump.read_state(|state| state.seq), seq, "none of it was an event");
}

#[tokio::test]
async fn an_administrator_of_one_place_does_not_administer_the_server() {
    let house = House::open().await;
    let environment = Some(EnvironmentName::new("prod").unwrap());
    let token = house.token_of("local", Grant { role: Role::Admin, project: None, environment }).await;
    let bearer = format!("Bearer {token}");
    let headers = [("authorization", bearer.as_str()), ("content-type", "application/json")];
    for (method, uri, body) in [
        ("POST", "/-/reload", ""),
        ("POST", "/api/flyball/v1/tokens", "{\"name\":\"mine\",\"role\":\"admin\"}"),
        ("DELETE", "/api/flyball/v1/tokens/local", ""),
        ("POST", "/api/flyball/v1/hosts/shop-1/enrol-token", ""),
        ("POST", "/api/flyball/v1/hosts/shop-1/revoke", ""),
    ] {
        let answer = house.send(request(method, uri, &headers, body)).await;
        assert_eq!(answer.status, 403, "{method} {uri}: {}", answer.text());
    }
}

#[tokio::test]
async fn what_is_open_is_this_and_nothing_else() {
    let house = House::open().await;
    let mut open: Vec<String> = house
        .docs
        .iter()
        .filter(|route| route.access == Access::Open)
        .map(|route| format!("{} {}", route.method, route.path))
        .collect();
    open.sort();
    assert_eq!(
        open,
        [
            "GET /-/healthy",
            "GET /-/ready",
            "GET /health",
            "GET /ping",
            "GET /ping/{id}",
            "GET /ping/{id}/{sign}",
            "POST /api/flyball/v1/login",
            "POST /api/flyball/v1/login/link",
            "POST /ping",
            "POST /ping/{id}",
            "POST /ping/{id}/{sign}",
        ]
    );
    assert_eq!(house.docs.iter().filter(|route| route.access == Access::Known).count(), 2, "logout and me");
}

#[tokio::test]
async fn a_session_changes_things_from_its_own_page_only() {
    let house = House::open().await;
    let link = house.app.people.create_link(&model::PersonName::new("admin").unwrap()).await.unwrap();
    let session = house.app.people.redeem_link(link.text()).await.unwrap();
    let cookie = format!("flyball_session={}", session.text());
    for (origin, status) in
        [(None, 403), (Some("http://evil.example"), 403), (Some("null"), 403), (Some("http://here:7070"), 200)]
    {
        let mut headers = vec![("cookie", cookie.as_str()), ("host", "here:7070")];
        headers.extend(origin.map(|origin| ("origin", origin)));
        assert_eq!(house.send(request("POST", "/-/reload", &headers, "")).await.status, status, "{origin:?}");
    }
    let reading = [("cookie", cookie.as_str())];
    assert_eq!(house.send(request("GET", "/api/flyball/v1/me", &reading, Body::empty())).await.status, 200);
}

#[tokio::test]
async fn answers_protect_the_page() {
    let house = House::open().await;
    for uri in ["/", "/-/healthy", "/api/flyball/v1/me", "/api/none", "/assets/none.js"] {
        let answer = house.get(uri).await;
        assert_eq!(answer.header(header::X_CONTENT_TYPE_OPTIONS), "nosniff", "{uri}");
        assert_eq!(answer.header(header::X_FRAME_OPTIONS), "DENY", "{uri}");
        let policy = answer.header(header::CONTENT_SECURITY_POLICY);
        assert!(policy.contains("default-src 'none'") && !policy.contains("unsafe"), "{uri}: {policy}");
    }
    assert_eq!(house.get("/api/flyball/v1/me").await.header(header::CACHE_CONTROL), "no-store");
    let answer = house.send(request("GET", "/", &[("accept-encoding", "gzip")], Body::empty())).await;
    assert_eq!(answer.header(header::CONTENT_ENCODING), "gzip");
}

#[tokio::test]
async fn what_is_nowhere_names_the_nearest() {
    let house = House::open().await;
    let (status, _, _, hint) = house.get("/api/v1/querry").await.error();
    assert_eq!((status, hint.as_deref()), (404, Some("Nearest: `/api/v1/query`.")));
    assert_eq!(house.get("/incidents/3727").await.status, 200, "a page of the UI");
    assert_eq!(house.ask(Role::Admin, "POST", "/incidents/3727", &[], "").await.status, 405);
    let (status, message, ..) = house.ask(Role::Admin, "PUT", "/write", &[], "").await.error();
    assert_eq!((status, message.as_str()), (405, "PUT is not known at /write"));
}
