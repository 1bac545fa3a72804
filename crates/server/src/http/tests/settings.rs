//! Reloading: all or nothing, and what it says.

use std::time::Duration;

use model::Event;
use model::rights::Role;

use super::House;
use super::fixture::SHOP;

async fn reload(house: &House) -> super::Answer {
    house.ask(Role::Admin, "POST", "/-/reload", &[], "").await
}

#[tokio::test]
async fn a_broken_configuration_changes_nothing_and_says_where() {
    let house = House::open().await;
    let file = house.folder.path().join("config/shop.yaml");
    let (before, seq) = (house.config(), house.pump.read_state(|state| state.seq));
    std::fs::write(&file, SHOP.replace("port: 8080", "prot: 8080")).unwrap();
    let answer = reload(&house).await;
    let (status, message, place, hint) = answer.error();
    assert_eq!(
        (status, place.as_deref(), hint.as_deref()),
        (400, Some("shop.yaml:10:45"), Some("Nearest: `port`.")),
        "{message}"
    );
    assert!(
        message.contains("unknown key `prot`") && message.contains("prod: { servers: [{ host: shop-1, prot: 8080 }] }"),
        "{message}"
    );
    assert_eq!(answer.json()["mistakes"].as_array().unwrap().len(), 1);
    assert_eq!((house.config(), house.pump.read_state(|state| state.seq)), (before, seq));
}

#[tokio::test]
async fn a_reload_is_a_change_with_its_difference() {
    let house = House::open().await;
    let nothing = reload(&house).await.json();
    assert_eq!((nothing["changes"].as_u64(), nothing["seq"].is_null()), (Some(0), true), "nothing differs, nothing happens");
    let file = house.folder.path().join("config/shop.yaml");
    std::fs::write(&file, SHOP.replace("8080", "8081").replace("0123456789abcdef", "fedcba9876543210")).unwrap();
    let answer = reload(&house).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    assert_eq!(answer.json()["changes"], 2);
    let change = &house.app.projections.changes(&Default::default()).await.unwrap()[0].change;
    let detail = change.detail.as_deref().unwrap();
    assert!(detail.contains("port: 8080 to 8081") && !detail.contains("fedcba"), "{detail}");
    assert_eq!(change.author.as_deref(), Some("admin"));
    let answer = house.send(super::request("GET", "/ping/fedcba9876543210", &[], "")).await;
    assert_eq!(answer.status, 200, "in force at once");
    assert_eq!(house.send(super::request("GET", "/ping/0123456789abcdef", &[], "")).await.status, 404);
}

#[tokio::test]
async fn secrets_of_the_configuration_are_not_shown() {
    let house = House::open().await;
    let shown = house.ask(Role::Viewer, "GET", "/api/flyball/v1/config", &[], "").await;
    assert_eq!(shown.json()["projects"]["mall"]["services"]["shop"]["environments"]["prod"]["servers"][0]["port"], 8080);
    assert_eq!(shown.json()["notification"]["receivers"]["hook"]["webhook"]["url"], "https://hooks.example/****");
    assert!(!shown.text().contains("0123456789abcdef") && !shown.text().contains("secret"), "{}", shown.text());
}

#[tokio::test]
async fn whoever_changes_the_configuration_the_door_sees_it() {
    let house = House::open().await;
    let mut config = house.pump.read_state(|state| state.config.clone());
    config.flyball.bot = "governor".into();
    house.pump.submit(Event::Configured { config: Box::new(config), change: None }).await.unwrap();
    let seen = async {
        while house.get("/api/flyball/v1/me").await.json()["bot"] != "governor" {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), seen).await.expect("within 20 s");
}
