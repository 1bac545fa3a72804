//! From an alert to people who know of it, and back to quiet.

use model::incident::{IncidentState, Priority, TellResult};
use model::{AlertState, Event, IncidentNumber, ReceiverName};

use crate::world::{World, notices};

const SHOP: [(&str, &str); 2] = [("service", "shop"), ("environment", "prod")];

#[test]
fn an_alert_opens_an_incident_and_people_are_told() {
    let mut world = World::new();
    world.at("10:15:00").bad("Errors", &SHOP);
    let incident = world.incident(1);
    assert_eq!((incident.state, incident.priority), (IncidentState::Open, Priority::P3));
    assert_eq!(incident.on_call.as_ref().map(|person| person.as_str()), Some("li"));
    assert_eq!(incident.title.render(model::text::Language::En), "shop: Errors hurts");
    assert_eq!(world.told(), ["pager: Bad Errors", "#shop: Errors is bad: Errors hurts"]);
    let (key, notice) = notices(&world.owed).remove(0);
    let onset = world.now.0;
    assert!(key.as_str().starts_with("tell/pager/Errors/") && key.as_str().ends_with(&format!("/{onset}/bad")), "{key}");
    assert_eq!((notice.starts_at, notice.ends_at), (world.now, None));
    assert_eq!(world.story(1), ["Incident #1 opened, 0 suspects"]);
}

#[test]
fn the_same_state_again_changes_nothing() {
    let mut world = World::new();
    world.at("10:15:00").bad("Errors", &SHOP);
    let before = world.state.clone();
    world.at("10:15:01").bad("Errors", &SHOP);
    assert!(world.owed.is_empty());
    assert_eq!((&world.state.incidents, &world.state.alerts), (&before.incidents, &before.alerts));
    world.at("10:15:02").ok("Other", &SHOP);
    assert!(world.owed.is_empty() && world.state.incidents == before.incidents);
}

#[test]
fn one_service_hurts_once_and_the_worst_priority_counts() {
    let mut world = World::new();
    world.at("10:15:00").bad("Errors", &SHOP);
    world.at("10:15:10").bad("Slow", &[("job", "shop"), ("instance", "10.0.0.2:80"), ("severity", "critical")]);
    assert_eq!(world.state.incidents.len(), 1);
    assert_eq!(world.incident(1).priority, Priority::P2);
    assert_eq!(world.incident(1).scope.hosts[0].as_str(), "shop-2");
    assert_eq!(world.told(), ["pager: Bad Slow", "#shop: Slow is bad: Slow hurts"]);
    // Another instance of a rule whose card is in the room: only the webhook hears of it.
    world.at("10:15:20").bad("Slow", &[("job", "shop"), ("instance", "10.0.0.1:80"), ("severity", "critical")]);
    assert_eq!(world.told(), ["pager: Bad Slow"]);
    // Another service is another incident, told to the default: the room ops.
    world.at("10:15:30").bad("Errors", &[("service", "mail"), ("priority", "p1")]);
    assert_eq!(world.told(), ["#ops: Errors is bad: Errors hurts"]);
    assert_eq!((world.state.incidents.len(), world.incident(2).priority), (2, Priority::P1));
}

#[test]
fn without_a_service_the_host_is_the_ground_else_the_rule() {
    let mut world = World::new();
    world.at("10:15:00").bad("DiskFull", &[("instance", "shop-1:9100"), ("mountpoint", "/")]);
    world.at("10:15:01").bad("LoadHigh", &[("host", "shop-1")]);
    world.at("10:15:02").bad("DiskFull", &[("instance", "shop-2:9100"), ("mountpoint", "/")]);
    world.at("10:15:03").bad("CertificateEnds", &[("domain", "a.example")]);
    world.at("10:15:04").bad("CertificateEnds", &[("domain", "b.example")]);
    let alerts: Vec<usize> = world.state.incidents.values().map(|incident| incident.alerts.len()).collect();
    assert_eq!(alerts, [2, 1, 2]);
}

#[test]
fn recovered_is_not_resolved_and_bad_again_is_the_same_incident() {
    let mut world = World::new();
    world.at("10:15:00").bad("Errors", &SHOP);
    world.at("10:15:05").bad("Slow", &SHOP);
    world.at("10:16:00").ok("Slow", &SHOP);
    assert_eq!(world.told(), ["pager: Ok Slow"]);
    assert_eq!(world.incident(1).recovered_at, None);
    world.at("10:16:30").ok("Errors", &SHOP);
    assert_eq!(world.told(), ["#shop: #1 recovered after 1 min 30 s", "pager: Ok Errors"]);
    let (key, notice) = notices(&world.owed).remove(0);
    assert!(key.as_str().ends_with("/ok"), "{key}");
    assert_eq!((notice.starts_at, notice.ends_at), (crate::world::time("10:15:00"), Some(world.now)));
    assert_eq!((world.incident(1).recovered_at, world.incident(1).state), (Some(world.now), IncidentState::Open));
    world.at("10:20:00").bad("Errors", &SHOP);
    assert_eq!((world.state.incidents.len(), world.incident(1).recovered_at), (1, None));
    assert_eq!(world.story(1).last().unwrap(), "Bad again");
    // Four minutes were well in between: they did not hurt.
    world.at("10:20:07").ok("Errors", &SHOP);
    assert_eq!(world.told(), ["#shop: #1 recovered after 7.0 s", "pager: Ok Errors"]);
}

#[test]
fn an_incident_is_called_by_the_worst_of_its_causes_and_by_what_brought_it_back() {
    let title = |world: &World| world.incident(1).title.render(model::text::Language::En);
    let mut world = World::new();
    world.at("10:15:00").bad("Errors", &SHOP);
    world.at("10:15:05").bad("Full", &[("service", "shop"), ("environment", "prod"), ("priority", "p4")]);
    assert_eq!(title(&world), "shop: Errors hurts", "what is no worse does not rename it");
    world.at("10:15:10").bad("Slow", &[("service", "shop"), ("environment", "prod"), ("severity", "critical")]);
    assert_eq!(title(&world), "shop: Slow hurts");
    world.at("10:16:00").ok("Errors", &SHOP);
    world.at("10:16:00").ok("Full", &[("service", "shop"), ("environment", "prod"), ("priority", "p4")]);
    world.at("10:16:00").ok("Slow", &[("service", "shop"), ("environment", "prod"), ("severity", "critical")]);
    assert!(world.incident(1).recovered_at.is_some());
    world.at("10:20:00").bad("Errors", &SHOP);
    assert_eq!((title(&world), world.state.incidents.len()), ("shop: Errors hurts".to_owned(), 1));
}

#[test]
fn after_recovery_and_a_persons_word_it_is_a_new_incident() {
    let mut world = World::new();
    world.at("10:15:00").bad("Errors", &SHOP);
    world.at("10:16:00").ok("Errors", &SHOP);
    world.asks("c1", "li", model::Verb::Resolve { incident: IncidentNumber(1) });
    world.at("10:20:00").bad("Errors", &SHOP);
    assert_eq!(world.state.incidents.len(), 2);
    // Resolved while it still hurts: what comes then opens it again.
    world.asks("c2", "li", model::Verb::Resolve { incident: IncidentNumber(2) });
    world.at("10:21:00").bad("Slow", &SHOP);
    assert_eq!((world.state.incidents.len(), world.incident(2).state), (2, IncidentState::Open));
    assert!(world.story(2).contains(&"Opened again".to_owned()));
}

#[test]
fn missing_data_are_an_incident_in_working_hours() {
    let mut world = World::new();
    world.at("10:15:00").alert("Errors", &SHOP, AlertState::NoData);
    assert_eq!(world.incident(1).priority, Priority::P4);
    assert_eq!(world.told(), ["pager: NoData Errors", "#shop: Errors has no data: Errors hurts"]);
    world.at("10:15:30").bad("Errors", &SHOP);
    assert_eq!(world.incident(1).priority, Priority::P3);
    assert_eq!(world.told(), ["pager: Bad Errors", "#shop: Errors is bad: Errors hurts"]);
    // Bad, and then its data vanish: that is no news that anybody has to be told.
    world.at("10:15:40").alert("Errors", &SHOP, AlertState::SourceDown);
    assert!(world.told().is_empty());
    assert_eq!(world.story(1).last().unwrap(), "Errors: bad to source down");
    world.at("10:15:50").ok("Errors", &SHOP);
    assert_eq!(notices(&world.owed)[0].1.starts_at, crate::world::time("10:15:00"));
    assert!(world.incident(1).recovered_at.is_some());
}

#[test]
fn a_flapping_alert_falls_silent_after_four() {
    let mut world = World::new();
    let mut told = 0;
    let mut flapping = 0;
    for minute in 0..50 {
        world.at(&format!("10:{minute:02}:00")).bad("Errors", &SHOP);
        told += notices(&world.owed).len();
        flapping += world.told().iter().filter(|said| said.contains("flapping")).count();
        world.at(&format!("10:{minute:02}:30")).ok("Errors", &SHOP);
    }
    assert_eq!((told, flapping), (4, 1));
    world.at("12:00:00").bad("Errors", &SHOP);
    assert_eq!(world.told().len(), 2);
    assert_eq!(world.state.incidents.len(), 1);
}

#[test]
fn how_often_alerts_were_told_is_forgotten_after_an_hour() {
    let mut world = World::new();
    for instance in 0..200 {
        world.at("10:15:00").bad("Errors", &[("service", "shop"), ("instance", &instance.to_string())]);
    }
    assert_eq!(world.state.tells.len(), 200);
    world.at("11:14:59").bad("Latency", &SHOP);
    assert_eq!(world.state.tells.len(), 201);
    // Looked at a minute later at the latest, with the next alert.
    world.at("11:16:00").bad("Load", &SHOP);
    assert_eq!(world.state.tells.len(), 2);
}

#[test]
fn who_was_told_and_what_came_of_it() {
    let mut world = World::new();
    world.at("10:15:00").bad("Errors", &SHOP);
    let keys: Vec<_> = world.owed.iter().filter_map(|effect| effect.key().cloned()).collect();
    let receiver = |name| ReceiverName::new(name).unwrap();
    let incident = Some(IncidentNumber(1));
    let delivered = TellResult::Delivered { at: world.now, tries: 2 };
    let told = |key: usize, name, result| Event::Told { key: keys[key].clone(), receiver: receiver(name), incident, result };
    world.at("10:15:01").does(told(0, "pager", delivered.clone()));
    world.at("10:15:02").does(told(1, "shop-room", TellResult::Failed { why: "no such room".into() }));
    let results: Vec<_> = world.incident(1).told.iter().map(|told| (told.channel.as_str(), told.result.clone())).collect();
    assert_eq!(results, [("webhook", delivered), ("chat", TellResult::Failed { why: "no such room".into() })]);
    assert_eq!(world.story(1)[1..], ["pager was told", "shop-room could not be told: no such room"]);
}

#[test]
fn rules_that_are_gone_take_their_alerts_with_them() {
    let mut world = World::new();
    world.at("10:15:00").bad("Errors", &SHOP);
    let config = world.state.config.clone();
    world.at("10:16:00").does(Event::Configured { config: Box::new(config), change: None });
    assert!(world.state.alerts.is_empty());
    assert!(world.told().contains(&"pager: Ok Errors".to_owned()));
}

#[test]
fn the_page_gets_every_line() {
    let mut world = World::new();
    world.state.touched = Default::default();
    world.at("10:15:00").bad("Errors", &SHOP);
    let rows: Vec<String> = world.state.touched.timeline.iter().map(|row| row.text.render(model::text::Language::En)).collect();
    assert_eq!(rows, ["Incident #1 opened, 0 suspects", "Errors is bad: 0.31"]);
    assert!(world.state.touched.incidents.contains(&IncidentNumber(1)));
}
