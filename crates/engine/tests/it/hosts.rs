//! Hosts that come, go, flap and reboot.

use model::signal::{HostSeen, ReleaseOnHost, ServiceSeen, ServiceState};
use model::{ArtifactDigest, ChangeKind, Epoch, Event, HostName, ServiceName};

use crate::world::{World, change, said, time};

fn link(host: &str, up: bool, boot_id: &str) -> Event {
    let host = HostName::new(host).unwrap();
    Event::HostSeen(HostSeen { host, up, agent_version: "0.1.0".into(), boot_id: boot_id.into(), clock_ahead_us: 0 })
}

#[test]
fn a_host_that_stays_away_is_told_after_thirty_seconds() {
    let mut world = World::new();
    world.at("10:10:00").does(link("shop-1", true, "a"));
    world.at("10:15:00").does(link("shop-1", false, ""));
    assert!(world.told().is_empty() && world.passes_to("10:15:29").is_empty());
    assert_eq!(said(&world.passes_to("10:15:30")), ["#ops: host/shop-1: source down: shop-1: source down"]);
    assert_eq!(world.incident(1).onset, time("10:15:00"));
    world.at("10:16:00").does(link("shop-1", false, ""));
    assert!(world.passes_to("10:20:00").is_empty(), "known already");
    world.does(link("shop-1", true, "a"));
    assert!(world.incident(1).recovered_at.is_some());
    assert_eq!(world.state.changes.len(), 1, "joined once, no reboot");
}

#[test]
fn a_link_that_flaps_opens_nothing() {
    let mut world = World::new();
    for second in 0..50 {
        world.at(&format!("10:10:{second:02}")).does(link("shop-1", second % 2 == 0, "a"));
    }
    world.at("10:10:50").does(link("shop-1", true, "a"));
    world.passes_to("10:30:00");
    assert!(world.state.incidents.is_empty());
}

#[test]
fn a_host_that_does_not_come_back_after_the_servers_restart_is_lost() {
    let mut world = World::new();
    world.at("10:10:00").does(link("shop-1", true, "a")).does(link("shop-2", true, "b"));
    world.at("10:15:00").does(Event::Started { epoch: Epoch(2), version: "0.1.0".into() });
    world.at("10:15:02").does(link("shop-1", true, "a"));
    assert_eq!(said(&world.passes_to("10:30:00")), ["#ops: host/shop-2: source down: shop-2: source down"]);
    assert!(!world.state.hosts["shop-2"].seen.up && world.state.hosts["shop-1"].seen.up);
}

#[test]
fn another_boot_id_is_a_reboot_noted_once() {
    let mut world = World::new();
    world.at("10:10:00").does(link("shop-1", true, "a"));
    world.at("10:15:00").does(link("shop-1", false, ""));
    world.at("10:15:20").does(link("shop-1", true, "b"));
    let mut reported = change("agent-1", ChangeKind::System, "", "shop-1");
    reported.what = model::Text::new("change.reboot").with("host", "shop-1");
    world.at("10:15:21").changes(reported);
    let ids: Vec<&str> = world.state.changes.iter().map(|seen| seen.change.what.id.as_str()).collect();
    assert_eq!(ids, ["change.host_new", "change.reboot"]);
    world.at("10:16:00").bad("Errors", &[("service", "shop")]);
    assert_eq!(world.incident(1).suspects[0].change.what.id, "change.reboot");
}

#[test]
fn a_crash_is_a_line_on_the_timeline() {
    let mut world = World::new();
    let seen = |state| {
        let digest = ArtifactDigest::from("ab");
        Event::ServiceSeen(ServiceSeen {
            host: HostName::new("shop-1").unwrap(),
            service: ServiceName::new("shop").unwrap(),
            state,
            release: Some(ReleaseOnHost { version: "1".into(), digest }),
            since: time("10:00:00"),
            pid: None,
            restarts: 0,
        })
    };
    world.at("10:10:00").does(seen(ServiceState::Running));
    world.state.touched = Default::default();
    world.at("10:10:01").does(seen(ServiceState::Crashed)).does(seen(ServiceState::Crashed));
    assert_eq!(world.state.touched.timeline.len(), 1);
    assert_eq!(world.state.services.len(), 1);
}
