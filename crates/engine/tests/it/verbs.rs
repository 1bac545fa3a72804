//! What people ask of incidents and rooms, and what they get for it.

use model::command::RefusalKind;
use model::incident::{IncidentState, Priority};
use model::text::Language;
use model::{AlertState, IncidentNumber, Outcome, PersonName, RoomName, ServiceName, Verb};

use crate::world::World;

const ONE: IncidentNumber = IncidentNumber(1);

fn hurt() -> World {
    let mut world = World::new();
    world.at("10:15:00").bad("Errors", &[("service", "shop")]);
    world
}

fn refused(outcome: Outcome) -> (RefusalKind, String) {
    match outcome {
        Outcome::Refused(refusal) => (refusal.kind, refusal.text.render(Language::En)),
        Outcome::Accepted { text, .. } => panic!("accepted: {}", text.render(Language::En)),
    }
}

#[test]
fn a_person_takes_it_hands_it_on_and_ends_it() {
    let mut world = hurt();
    world.at("10:15:10").asks("a", "li", Verb::Acknowledge { incident: ONE });
    assert_eq!(world.incident(1).owner.as_deref(), Some("li"));
    world.at("10:15:20").asks("b", "li", Verb::Note { incident: ONE, text: "looking at the logs".into() });
    world.at("10:15:30").asks("c", "li", Verb::Reassign { incident: ONE, to: PersonName::new("wang").unwrap() });
    assert_eq!(world.incident(1).owner.as_deref(), Some("wang"));
    let outcome = world.at("10:15:40").asks("d", "wang", Verb::Resolve { incident: ONE });
    assert!(matches!(outcome, Outcome::Accepted { incident: Some(ONE), .. }), "{outcome:?}");
    assert_eq!((world.incident(1).state, world.incident(1).resolved_at), (IncidentState::Resolved, Some(world.now)));
    let lines = ["li acknowledged", "li: looking at the logs", "li gave it to wang", "wang resolved it"];
    assert_eq!(world.story(1)[1..], lines);
}

#[test]
fn the_same_command_twice_is_one_and_gets_the_same_answer() {
    let mut world = hurt();
    let first = world.asks("a", "li", Verb::Acknowledge { incident: ONE });
    let story = world.story(1);
    assert_eq!(world.at("10:16:00").asks("a", "li", Verb::Acknowledge { incident: ONE }), first);
    assert_eq!(world.story(1), story);
    let service = ServiceName::new("mail").unwrap();
    let verb = Verb::Trigger { service, summary: "letters are stuck".into(), priority: Priority::P2 };
    let opened = world.asks("t", "li", verb.clone());
    assert_eq!(world.asks("t", "li", verb), opened);
    assert_eq!(world.state.incidents.len(), 2);
}

#[test]
fn what_can_not_be_done_says_what_would_be_right() {
    let mut world = hurt();
    world.asks("a", "li", Verb::Acknowledge { incident: ONE });
    let room = |name| RoomName::new(name).unwrap();
    let service = |name| ServiceName::new(name).unwrap();
    let person = |name| PersonName::new(name).unwrap();
    let trigger = |name, summary: &str| Verb::Trigger { service: service(name), summary: summary.into(), priority: Priority::P3 };
    let note = |text: String| Verb::Note { incident: ONE, text };
    let cases = [
        (Verb::Acknowledge { incident: ONE }, RefusalKind::State, "Incident #1 is acknowledged: acknowledge can't be done now"),
        (Verb::Resolve { incident: IncidentNumber(9) }, RefusalKind::Unknown, "No incident is called #9. Nearest: #1"),
        (Verb::Reassign { incident: ONE, to: person("wong") }, RefusalKind::Unknown, "No person is called wong. Nearest: wang"),
        (trigger("shopp", "x"), RefusalKind::Unknown, "No service is called shopp. Nearest: shop"),
        (trigger("shop", "  "), RefusalKind::Form, "summary is empty"),
        (note("x".repeat(4097)), RefusalKind::Form, "note has 4097 bytes, 4096 at most"),
        (Verb::Say { room: room("opps"), text: "hi".into() }, RefusalKind::Unknown, "No room is called opps. Nearest: ops"),
    ];
    for (place, (verb, kind, text)) in cases.into_iter().enumerate() {
        let before = world.state.incidents.clone();
        assert_eq!(refused(world.asks(&format!("r{place}"), "li", verb)), (kind, text.to_owned()));
        assert_eq!(world.state.incidents, before);
    }
}

#[test]
fn an_incident_opened_by_hand_is_told_and_ends_by_hand_only() {
    let mut world = World::new();
    let service = ServiceName::new("shop").unwrap();
    world.at("10:15:00").asks("t", "li", Verb::Trigger { service, summary: "customers call".into(), priority: Priority::P1 });
    assert_eq!(world.told(), ["pager: Bad incident", "#shop: #1 P1: shop: customers call"]);
    // What is measured later joins it, and its end is not the end of what the person saw. What others see too as well.
    world.at("10:15:10").bad("Errors", &[("service", "shop")]).at("10:16:00").ok("Errors", &[("service", "shop")]);
    let verb =
        |id: &str| Verb::Trigger { service: ServiceName::new("shop").unwrap(), summary: id.into(), priority: Priority::P1 };
    world.asks("u", "wang", verb("carts are empty"));
    assert_eq!((world.state.incidents.len(), world.incident(1).state), (1, IncidentState::Open));
    assert_eq!(world.story(1).last().unwrap(), "wang: carts are empty");
}

#[test]
fn people_talk_in_rooms() {
    let mut world = World::new();
    world.state.touched = Default::default();
    world.asks("s", "li", Verb::Say { room: RoomName::new("shop").unwrap(), text: "hello".into() });
    let chat = &world.state.touched.chat;
    assert_eq!((chat.len(), chat[0].by.as_str(), chat[0].bot), (1, "li", false));
}

#[test]
fn a_persons_word_ends_what_has_no_data_any_more() {
    let mut world = World::new();
    world.at("10:15:00").alert("Errors", &[("service", "shop")], AlertState::NoData);
    world.asks("r", "li", Verb::Resolve { incident: ONE });
    assert!(world.state.alerts.is_empty());
    world.at("10:20:00").bad("Errors", &[("service", "shop")]);
    assert_eq!(world.state.incidents.len(), 2);
}
