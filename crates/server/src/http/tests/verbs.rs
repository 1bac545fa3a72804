//! Verbs from the command line, the page and the room: one grammar, the same rights, the same answers.

use std::time::Duration;

use model::config::Config;
use model::order::{Artifact, OrderState};
use model::plan::{StepAnswer, StepOutcome};
use model::rights::{Grant, Role};
use model::signal::{HostSeen, ReleaseOnHost, ServiceSeen, ServiceState};
use model::{ArtifactDigest, EnvironmentName, Event, HostName, OrderNumber, ProjectName, ServiceName};
use serde_json::{Value, json};

use super::{Answer, House, request};

const MALL: &str = "\
hosts: { shop-1: {}, shop-2: {}, shop-3: {}, shop-4: {}, uat-1: {} }
environments:
  prod: { confirm: true }
  uat: {}
projects:
  mall:
    services:
      shop:
        run: { command: ['{release}/shop'] }
        release: { watch: 1s, judge: false, strategy: serial }
        environments:
          prod: { servers: [{ host: shop-1, port: 80 }, { host: shop-2, port: 80 }, { host: shop-3, port: 80 }, { host: shop-4, port: 80 }] }
          uat: { servers: [{ host: uat-1, port: 80 }] }
      pay:
        environments:
          prod: { servers: [{ host: shop-1, port: 81 }] }
flyball: { rooms: [db] }
";

const JSON: (&str, &str) = ("content-type", "application/json");

fn digest(letter: &str) -> ArtifactDigest {
    ArtifactDigest::from(letter.repeat(64))
}

/// A mall whose five hosts are up with 4.11.3, and 4.12.0 and 4.13.0 to be released.
async fn mall() -> House {
    let house = House::open().await;
    let config: Config = serde_saphyr::from_str(MALL).unwrap();
    house.pump.submit(Event::Configured { config: Box::new(config.clone()), change: None }).await.unwrap();
    for name in config.hosts.keys() {
        let seen =
            HostSeen { host: name.clone(), up: true, agent_version: "1".into(), boot_id: "boot".into(), clock_ahead_us: 0 };
        house.pump.submit(Event::HostSeen(seen)).await.unwrap();
        let release = ReleaseOnHost { version: "4.11.3".into(), digest: digest("a") };
        let seen = ServiceSeen {
            host: name.clone(),
            service: ServiceName::new("shop").unwrap(),
            state: ServiceState::Running,
            release: Some(release),
            since: house.app.clock.now(),
            pid: Some(1),
            restarts: 0,
        };
        house.pump.submit(Event::ServiceSeen(seen)).await.unwrap();
    }
    for (letter, version) in [("b", "4.12.0"), ("c", "4.13.0")] {
        let name = format!("shop-good-{version}.tar.gz");
        let at = house.app.clock.now();
        let artifact = Artifact { digest: digest(letter), name, version: version.into(), size: 10, by: "ci".into(), at };
        house.pump.submit(Event::ArtifactPushed(artifact)).await.unwrap();
    }
    until(&house, |house| {
        house.config().place(&name("shop"), &environment("prod")).is_some_and(|place| place.servers.len() == 4)
    })
    .await;
    house
}

fn name(text: &str) -> ServiceName {
    ServiceName::new(text).unwrap()
}

fn environment(text: &str) -> EnvironmentName {
    EnvironmentName::new(text).unwrap()
}

async fn until(house: &House, fits: impl Fn(&House) -> bool) {
    let waited = tokio::time::timeout(Duration::from_secs(20), async {
        while !fits(house) {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    });
    waited.await.expect("it comes within 20 s");
}

async fn ask_with(house: &House, role: Role, mut body: Value) -> Answer {
    if body.get("via").is_none() {
        body["via"] = json!("cli");
    }
    house.ask(role, "POST", "/api/flyball/v1/command", &[JSON], body.to_string()).await
}

async fn ask(house: &House, role: Role, text: &str) -> Answer {
    ask_with(house, role, json!({ "text": text })).await
}

/// What the audit says of the newest lines: who, and which verb where there is one.
async fn audit(house: &House) -> Vec<(String, Value, Value)> {
    let rows = house.get("/api/flyball/v1/audit").await.json();
    let row = |row: &Value| (row["by"].as_str().unwrap().to_owned(), row["what"].clone(), row["outcome"].clone());
    rows.as_array().unwrap().iter().map(row).collect()
}

fn only_order(house: &House) -> OrderNumber {
    house.pump.read_state(|state| state.orders.keys().next().cloned()).unwrap()
}

fn state_of(house: &House, number: &OrderNumber) -> OrderState {
    house.pump.read_state(|state| state.orders[number].state)
}

#[tokio::test]
async fn unknown_names_are_answered_with_the_nearest() {
    let house = mall().await;
    for (text, status, hint) in [
        ("check shpo", 404, "Nearest: `shop`."),
        ("check shop-11", 404, "Nearest: `shop-1`."),
        ("check shop prd", 404, "Nearest: `prod`."),
        ("chekc shop", 400, "Nearest: `check`. Try: help"),
        ("deploy shop 4.12.1 prod", 404, "Nearest: `4.12.0`."),
        ("deploy shop 4.12.0", 400, "Add `prod`."),
        ("deploy shop 4.12.0 prod --hosts shop-9", 404, "Nearest: `shop-1`."),
        ("log shpo", 404, "Nearest: `shop`."),
        ("graph shpo", 404, "Nearest: `shop`."),
        ("check", 400, "check SERVICE|HOST [ENVIRONMENT]"),
    ] {
        let (have, message, _, have_hint) = ask(&house, Role::Admin, text).await.error();
        assert_eq!((have, have_hint.as_deref()), (status, Some(hint)), "{text}: {message}");
    }
    let (status, message, place, _) = ask(&house, Role::Admin, "ack").await.error();
    assert_eq!((status, message.as_str(), place.as_deref()), (404, "no incident waits for that", Some("incident")));
    assert_eq!(ask(&house, Role::Admin, "halt").await.status, 404);
    assert_eq!(ask(&house, Role::Admin, "graph sum(").await.status, 400);
}

#[tokio::test]
async fn check_shows_wanted_and_each_server() {
    let house = mall().await;
    for text in ["check shop prod", "检查 SHOP prod", "@flyball check shop PROD"] {
        let answer = ask(&house, Role::Viewer, text).await.json();
        assert_eq!(answer["well"], true, "{answer}");
        assert_eq!(answer["understood"], "check shop prod");
        let part = &answer["parts"][0];
        assert_eq!(
            (&part["is"], &part["wanted"], &part["up"], &part["of"]),
            (&json!("servers"), &json!("4.11.3"), &json!(4), &json!(4))
        );
    }
    let down = HostSeen {
        host: HostName::new("shop-2").unwrap(),
        up: false,
        agent_version: "1".into(),
        boot_id: "boot".into(),
        clock_ahead_us: 0,
    };
    house.pump.submit(Event::HostSeen(down)).await.unwrap();
    let answer = ask(&house, Role::Viewer, "check shop prod").await.json();
    assert_eq!((&answer["well"], &answer["parts"][0]["up"]), (&json!(false), &json!(3)), "{answer}");
    let both = ask(&house, Role::Viewer, "check shop").await.json();
    assert_eq!(both["parts"].as_array().unwrap().len(), 2, "{both}");
    let host = ask(&house, Role::Viewer, "check shop-2").await.json();
    assert_eq!((&host["well"], &host["text"]["id"]), (&json!(false), &json!("verb.host_down")), "{host}");
    let status = ask(&house, Role::Viewer, "status").await.json();
    assert_eq!(status["parts"][0]["rows"].as_array().unwrap().len(), 3, "{status}");
    assert_eq!(ask(&house, Role::Viewer, "status shop").await.json()["parts"][0]["rows"].as_array().unwrap().len(), 2);
    assert!(ask(&house, Role::Viewer, "help").await.json()["parts"][0]["verbs"].as_array().unwrap().len() > 15);
}

#[tokio::test]
async fn deploy_is_confirmed_by_the_same_person_and_halt_never_asks() {
    let house = mall().await;
    let shown = ask(&house, Role::Releaser, "deploy shop 4.12.0 prod --reason cache").await.json();
    let id = shown["confirm"]["id"].as_str().unwrap().to_owned();
    let figures = &shown["confirm"]["what"]["args"];
    let expected = ("4", "4.11.3", "4.12.0", "4");
    let have = ["count", "from", "to", "of"].map(|name| figures[name].as_str().unwrap());
    assert_eq!((have[0], have[1], have[2], have[3]), expected, "{shown}");
    assert!(shown["outcome"].is_null() && house.pump.read_state(|state| state.orders.is_empty()));

    let again = json!({ "id": id, "text": "deploy shop 4.12.0 prod --reason cache", "yes": true });
    assert_eq!(ask_with(&house, Role::Admin, again.clone()).await.status, 403, "somebody else");
    let other = json!({ "id": id, "text": "deploy shop 4.13.0 prod", "yes": true });
    assert_eq!(ask_with(&house, Role::Releaser, other).await.status, 409, "something else");
    let done = ask_with(&house, Role::Releaser, again.clone()).await.json();
    assert_eq!(done["outcome"]["is"], "accepted", "{done}");
    let number = only_order(&house);
    assert_eq!(done["outcome"]["order"], number.as_str());
    let order = house.pump.read_state(|state| state.orders[&number].clone());
    assert_eq!((order.author.as_str(), order.reason.as_str(), order.size), ("releaser", "cache", 10));
    let repeat = ask_with(&house, Role::Releaser, again).await.json();
    assert_eq!(repeat["outcome"], done["outcome"], "the same id is one command");
    assert_eq!(house.pump.read_state(|state| state.orders.len()), 1);

    let halted = ask(&house, Role::Operator, "中止").await.json();
    assert!(halted["confirm"].is_null() && halted["outcome"]["is"] == "accepted", "{halted}");
    assert_eq!(state_of(&house, &number), OrderState::Halted);
    let tail = number.tail();
    let back = ask(&house, Role::Releaser, &format!("rollback {tail}")).await.json();
    assert_eq!(back["understood"], format!("rollback {number}"), "{back}");
    assert!(back["confirm"].is_object(), "{back}");
    let back = ask_with(&house, Role::Releaser, json!({ "text": format!("rollback {tail}"), "yes": true })).await.json();
    assert_eq!(back["outcome"]["is"], "accepted", "{back}");
    let story = ask(&house, Role::Viewer, &format!("log {tail}")).await.json();
    assert!(
        story["parts"][0]["lines"]
            .as_array()
            .unwrap()
            .iter()
            .any(|line| line["text"] == "operator halted it" || line["text"] == "Halted: operator halted it"),
        "{story}"
    );

    let verbs: Vec<(String, String)> = audit(&house)
        .await
        .into_iter()
        .filter(|(_, what, _)| what.get("verb").is_some())
        .map(|(by, what, _)| (by, what["verb"]["verb"].as_str().unwrap().to_owned()))
        .collect();
    let expected = [("releaser", "rollback"), ("operator", "halt"), ("releaser", "deploy")];
    assert_eq!(verbs, expected.map(|(by, verb)| (by.to_owned(), verb.to_owned())));
}

#[tokio::test]
async fn a_dry_run_shows_the_plan_and_makes_nothing() {
    let house = mall().await;
    let text = "deploy shop 4.12.0 prod --halves";
    let would = ask_with(&house, Role::Releaser, json!({ "text": text, "dry_run": true, "yes": true })).await.json();
    assert_eq!(would["text"]["id"], "verb.would", "{would}");
    let rows = would["parts"][0]["rows"].as_array().unwrap();
    assert!(rows.iter().any(|row| row[0]["text"].as_str().unwrap().contains("fetch shop sha256")), "{would}");
    let new = json!({ "service": "shop", "environment": "prod", "artifact": "bbbbbbbb", "dry_run": true });
    let preview = house.post_json("/api/flyball/v1/orders", new.clone()).await;
    assert_eq!((preview.status.as_u16(), &preview.json()["servers"]), (200, &json!(4)), "{}", preview.text());
    assert!(house.pump.read_state(|state| state.orders.is_empty()));

    let mut real = new;
    real["dry_run"] = json!(false);
    let made = house.post_json("/api/flyball/v1/orders", real.clone()).await;
    assert_eq!(made.status, 201, "{}", made.text());
    let number = made.json()["number"].as_str().unwrap().to_owned();
    assert_eq!(house.get(&format!("/api/flyball/v1/orders/{number}")).await.json()["number"], number.as_str());
    let plan = house.get(&format!("/api/flyball/v1/orders/{number}/plan?format=text")).await;
    assert!(plan.text().starts_with(&format!("plan {number} schema 1\n")), "{}", plan.text());
    assert_eq!(house.get(&format!("/api/flyball/v1/orders/{number}/plan")).await.json()["order"], number.as_str());
    assert!(!house.get(&format!("/api/flyball/v1/orders/{number}/log")).await.json().as_array().unwrap().is_empty());
    let page = house.get("/api/flyball/v1/services/mall/shop/prod").await.json();
    assert_eq!((page["servers"].as_array().unwrap().len(), page["confirm"].as_bool()), (4, Some(true)), "{page}");
    let path = format!("/api/flyball/v1/orders/{number}/approve");
    assert_eq!(house.post_json(&path, json!({ "digest": "short" })).await.error().2.as_deref(), Some("digest"));
    assert_eq!(house.post_json(&path, json!({ "digest": "a".repeat(64) })).await.status, 409, "it runs already");
    assert_eq!(house.post_json("/api/flyball/v1/orders/none/halt", json!({})).await.status, 404);
    real["artifact"] = json!("9.9.9");
    assert_eq!(house.post_json("/api/flyball/v1/orders", real).await.status, 404);
}

#[tokio::test]
async fn rights_end_at_their_place_and_refusals_are_in_the_audit() {
    let house = mall().await;
    let grant =
        Grant { role: Role::Releaser, project: Some(ProjectName::new("mall").unwrap()), environment: Some(environment("uat")) };
    let bearer = format!("Bearer {}", house.token_of("lin", grant).await);
    let say = |text: &str| {
        let body = json!({ "text": text, "via": "api", "yes": true }).to_string();
        house.send(request("POST", "/api/flyball/v1/command", &[("authorization", &bearer), JSON], body))
    };
    let (status, message, ..) = say("deploy shop 4.12.0 prod").await.error();
    assert_eq!((status, message.as_str()), (403, "needs the right `release` in mall / prod"));
    assert_eq!(say("deploy shop 4.12.0 uat").await.json()["outcome"]["is"], "accepted");
    assert_eq!(ask(&house, Role::Viewer, "restart shop uat").await.status, 403);
    let refused: Vec<(String, Value)> = audit(&house)
        .await
        .into_iter()
        .filter(|(_, _, outcome)| outcome["is"] == "not_allowed")
        .map(|(by, what, _)| (by, what))
        .collect();
    let names: Vec<(&str, &str)> = refused.iter().map(|(by, what)| (by.as_str(), what["right"].as_str().unwrap())).collect();
    assert_eq!(names, [("viewer", "operate"), ("lin", "release")], "{refused:?}");
    assert_eq!(refused[1].1["path"], "deploy shop 4.12.0 prod");
}

#[tokio::test]
async fn a_restart_ends_with_the_table() {
    let house = mall().await;
    let (pump, stop) = (house.pump.clone(), std::sync::Arc::<std::sync::atomic::AtomicBool>::default());
    let answering = stop.clone();
    let agents = tokio::spawn(async move {
        while !answering.load(std::sync::atomic::Ordering::Relaxed) {
            let asked: Vec<_> = pump.read_state(|state| {
                let lanes = state.releases.runs.values().flat_map(|run| run.lanes.values());
                lanes.filter_map(|lane| lane.asked.as_ref().map(|asked| asked.request.clone())).collect()
            });
            for request in asked {
                let answer = StepAnswer {
                    key: request.key.clone(),
                    order: request.order.clone(),
                    host: request.host.clone(),
                    outcome: StepOutcome::Done { note: String::new() },
                    took_ms: 1,
                };
                pump.submit(Event::StepAnswered(answer)).await.unwrap();
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    });
    let answer = ask(&house, Role::Operator, "重启 shop uat").await.json();
    stop.store(true, std::sync::atomic::Ordering::Relaxed);
    agents.await.unwrap();
    assert_eq!(answer["understood"], "restart shop uat", "{answer}");
    assert!(answer["confirm"].is_null(), "one server is not asked about");
    assert_eq!((&answer["outcome"]["is"], &answer["parts"][0]["is"]), (&json!("accepted"), &json!("servers")), "{answer}");
    assert_eq!((&answer["parts"][0]["up"], &answer["well"]), (&json!(1), &json!(true)), "{answer}");
    assert_eq!(state_of(&house, &only_order(&house)), OrderState::Done);
    assert!(ask(&house, Role::Operator, "restart shop prod").await.json()["confirm"].is_object(), "four are");
}

#[tokio::test]
async fn incidents_are_handled_by_number_or_as_the_only_one() {
    let house = mall().await;
    let open = json!({ "service": "shop", "summary": "orders fall", "priority": "P2" });
    let opened = house.post_json("/api/flyball/v1/incidents", open.clone()).await;
    assert_eq!((opened.status.as_u16(), &opened.json()["incident"]), (200, &json!(1)), "{}", opened.text());
    let mut nowhere = open.clone();
    nowhere["service"] = json!("shpo");
    assert_eq!(house.post_json("/api/flyball/v1/incidents", nowhere).await.status, 404);
    let taken = ask(&house, Role::Operator, "认领").await.json();
    assert_eq!((&taken["understood"], &taken["outcome"]["is"]), (&json!("ack 1"), &json!("accepted")), "{taken}");
    let twice = ask(&house, Role::Operator, "ack 1").await.json();
    assert_eq!((&twice["well"], &twice["outcome"]["kind"]), (&json!(false), &json!("state")), "{twice}");
    assert_eq!(house.post_json("/api/flyball/v1/incidents/1/acknowledge", json!({})).await.status, 409);
    assert_eq!(house.post_json("/api/flyball/v1/incidents/1/note", json!({})).await.error().2.as_deref(), Some("text"));
    let long = json!({ "text": "x".repeat(5_000) });
    assert_eq!(house.post_json("/api/flyball/v1/incidents/1/note", long).await.status, 400);
    assert_eq!(ask(&house, Role::Operator, "note 1 pool is too large").await.json()["outcome"]["is"], "accepted");
    let mut elsewhere = open;
    elsewhere["service"] = json!("pay");
    let second = house.post_json("/api/flyball/v1/incidents", elsewhere).await;
    assert_eq!(second.json()["incident"], 2, "{}", second.text());
    let either = ask(&house, Role::Operator, "resolve").await;
    assert_eq!(either.status, 400, "two are open: {}", either.text());
    assert_eq!(ask(&house, Role::Operator, "resolve #2").await.json()["outcome"]["is"], "accepted");
    assert_eq!(ask(&house, Role::Operator, "解决").await.json()["outcome"]["incident"], 1);
    let story = house.get("/api/flyball/v1/incidents/1").await.json();
    assert_eq!((&story["state"], &story["owner"]), (&json!("resolved"), &json!("operator")), "{story}");
    assert_eq!(house.get("/api/flyball/v1/incidents?state=resolved&limit=1").await.json().as_array().unwrap().len(), 1);
    assert_eq!(house.get("/api/flyball/v1/incidents/7").await.status, 404);
    assert_eq!(ask(&house, Role::Viewer, "incidents all").await.json()["parts"][0]["incidents"].as_array().unwrap().len(), 2);
}

async fn room(house: &House, room: &str) -> Vec<Value> {
    house.get(&format!("/api/flyball/v1/chat/{room}")).await.json().as_array().unwrap().clone()
}

async fn messages(house: &House, name: &str, count: usize) -> Vec<Value> {
    let waited = tokio::time::timeout(Duration::from_secs(20), async {
        loop {
            let messages = room(house, name).await;
            if messages.len() >= count {
                return messages;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    });
    waited.await.expect("the bot answers within 20 s")
}

#[tokio::test]
async fn the_bot_answers_in_the_room() {
    let house = mall().await;
    let say = |role: Role, text: &'static str| {
        let body = json!({ "text": text }).to_string();
        let house = &house;
        async move { house.ask(role, "POST", "/api/flyball/v1/chat/db", &[JSON], body).await }
    };
    assert_eq!(say(Role::Viewer, "is it slow?").await.status, 200);
    assert_eq!(say(Role::Viewer, "@flyball check shop").await.status, 200);
    let seen = messages(&house, "db", 4).await;
    let bodies: Vec<&str> = seen.iter().map(|message| message["body"]["is"].as_str().unwrap()).collect();
    assert_eq!(bodies, ["said", "said", "answer", "answer"], "{seen:?}");
    assert_eq!((&seen[2]["body"]["answer"]["text"]["id"], &seen[2]["bot"]), (&json!("verb.looking"), &json!(true)));
    assert_eq!(seen[3]["body"]["answer"]["parts"][0]["is"], "servers");

    say(Role::Releaser, "/部署 shop 4.12.0 prod").await;
    let seen = messages(&house, "db", 6).await;
    let asked = &seen[5]["body"]["answer"];
    let id = asked["confirm"]["id"].as_str().unwrap_or_else(|| panic!("{asked}")).to_owned();
    let press = json!({ "id": id, "text": seen[5]["body"]["asked"], "yes": true, "room": "db", "via": "page" });
    assert_eq!(ask_with(&house, Role::Admin, press.clone()).await.status, 403, "not the person who asked");
    assert_eq!(ask_with(&house, Role::Releaser, press).await.json()["outcome"]["is"], "accepted");
    let seen = messages(&house, "db", 7).await;
    assert_eq!(seen[6]["body"]["answer"]["outcome"]["is"], "accepted");

    say(Role::Viewer, "@flyball halt").await;
    let refused = messages(&house, "db", 9).await[8]["body"]["answer"].clone();
    assert_eq!(refused["well"], false, "{refused}");
    assert!(refused["text"]["args"]["text"].as_str().unwrap().starts_with("needs the right `operate` in mall / prod"));
    assert_eq!(
        house.post_json("/api/flyball/v1/chat/dba", json!({ "text": "x" })).await.error().3.as_deref(),
        Some("Nearest: `db`.")
    );
    assert_eq!(say(Role::Viewer, " ").await.status, 400);
    let rooms = house.get("/api/flyball/v1/chat").await.json();
    assert_eq!(rooms.as_array().unwrap().iter().map(|room| room["name"].as_str().unwrap()).collect::<Vec<_>>(), ["db", "ops"]);
}

#[tokio::test]
async fn graphs_of_a_service_a_host_and_any_query() {
    let house = mall().await;
    let now = house.app.clock.now().millis() / 1_000;
    let lines: String = (0..60)
        .map(|back| {
            let at = now - back;
            format!("flyball_service,service=shop,host=shop-1 memory_bytes={} {at}000000000\n", 1_000 + back)
        })
        .collect();
    let sent = house.ask(Role::Sender, "POST", "/write", &[], lines).await;
    assert_eq!(sent.status, 204, "{}", sent.text());
    for (text, pictures) in
        [("graph shop 10m", 1), ("graph flyball_service_memory_bytes * 2 now-5m", 1), ("graph flyball_service_memory_bytes", 1)]
    {
        let answer = ask(&house, Role::Viewer, text).await.json();
        let parts = answer["parts"].as_array().unwrap();
        assert_eq!(parts.len(), pictures, "{text}: {answer}");
        assert!(parts[0]["svg"].as_str().unwrap().starts_with("<svg"));
        assert!(parts[0]["series"][0]["times"].as_array().unwrap().len() <= 200);
        assert!(parts[0]["series"][0]["values"].as_array().unwrap().iter().any(|value| value.is_number()));
    }
    let none = ask(&house, Role::Viewer, "graph shop-2 10m").await.json();
    assert_eq!((&none["text"]["id"], &none["well"]), (&json!("verb.no_series"), &json!(false)));
    let words = house.get("/api/flyball/v1/completion?prefix=flyball_service").await.json();
    assert_eq!(words["metrics"], json!(["flyball_service_memory_bytes"]));
    assert_eq!(house.get("/api/flyball/v1/completion?prefix=sh").await.json()["services"], json!(["shop"]));
}

#[tokio::test]
async fn lists_and_their_limits() {
    let house = mall().await;
    let base = "/api/flyball/v1";
    for path in ["overview", "services", "hosts", "heartbeats", "timeline", "changes", "orders", "incidents", "chat"] {
        let answer = house.get(&format!("{base}/{path}")).await;
        assert_eq!(answer.status, 200, "{path}: {}", answer.text());
    }
    for (path, place) in [
        ("timeline?limit=501", "limit"),
        ("timeline?from=5&to=4", "to"),
        ("changes?limit=0", "limit"),
        ("orders?state=gone", "state"),
        ("incidents?service=a/b", "service"),
        ("chat/db?before=x", "before"),
    ] {
        let (status, message, at, _) = house.get(&format!("{base}/{path}")).await.error();
        assert_eq!((status, at.as_deref()), (400, Some(place)), "{path}: {message}");
    }
    let overview = house.get(&format!("{base}/overview")).await.json();
    assert_eq!((&overview["own"]["agents_up"], overview["services"].as_array().unwrap().len()), (&json!(5), 3), "{overview}");
    assert_eq!(house.get(&format!("{base}/services/mall/shpo/prod")).await.error().3.as_deref(), Some("Nearest: `shop`."));
    assert_eq!(house.get(&format!("{base}/demo")).await.status, 404, "this is no demo");
    let bare = json!({ "text": "check shop" }).to_string();
    let json = [("content-type", "application/json")];
    assert_eq!(
        house.ask(Role::Viewer, "POST", &format!("{base}/command"), &json, bare).await.status,
        200,
        "a program needs no `via`"
    );
    let ask = json!({ "text": "check shop", "via": "cli", "id": "a b" });
    assert_eq!(ask_with(&house, Role::Viewer, ask).await.error().2.as_deref(), Some("id"));
}
