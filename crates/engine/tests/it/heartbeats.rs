//! Did the job run?

use model::incident::Priority;
use model::signal::{HeartbeatPing, HeartbeatSign};
use model::{Event, EventId, HeartbeatName};

use crate::world::{SHOP, World, said};

fn ping(id: &str, sign: HeartbeatSign) -> Event {
    let heartbeat = HeartbeatName::new("backup").unwrap();
    Event::Heartbeat(HeartbeatPing { id: EventId::from(id), heartbeat, sign, body: String::new() })
}

fn backup(world: &World) -> &engine::state::HeartbeatState {
    &world.state.heartbeats["backup"]
}

#[test]
fn a_job_that_reports_is_quiet_and_one_that_does_not_is_told_once() {
    let mut world = World::new();
    world.at("10:10:00").does(ping("1", HeartbeatSign::Start));
    world.at("10:12:00").does(ping("2", HeartbeatSign::Success));
    assert_eq!(backup(&world).took_ms, Some(120_000));
    assert!(world.passes_to("11:16:59").is_empty());
    let owed = world.passes_to("11:17:00");
    assert_eq!(said(&owed), ["#ops: heartbeat/backup is bad: backup is late by 5 min 00 s"]);
    assert_eq!(world.incident(1).onset, crate::world::time("11:12:00"));
    assert_eq!((world.incident(1).priority, world.incident(1).scope.service.as_ref().unwrap().as_str()), (Priority::P2, "db"));
    assert!(world.passes_to("15:00:00").is_empty());
    world.does(ping("3", HeartbeatSign::Success));
    assert!(world.incident(1).recovered_at.is_some());
    assert_eq!(engine::next_due(&world.state), Some(crate::world::time("16:05:00")));
}

#[test]
fn a_failed_job_is_bad_at_once_and_a_success_ends_it() {
    let mut world = World::new();
    world.at("10:10:00").does(ping("1", HeartbeatSign::Fail(Some(3))));
    assert_eq!(world.told(), ["#ops: heartbeat/backup is bad: backup failed with exit code 3"]);
    world.at("10:10:00").does(ping("1", HeartbeatSign::Fail(Some(3))));
    assert!(world.owed.is_empty());
    assert!(world.passes_to("14:00:00").is_empty(), "bad already");
    world.does(ping("2", HeartbeatSign::Success));
    assert!(world.state.alerts.is_empty());
}

#[test]
fn a_server_that_was_away_across_the_due_time_tells_once() {
    let mut world = World::new();
    world.at("10:10:00").does(ping("1", HeartbeatSign::Success));
    // Killed, and started again five hours later from its snapshot.
    world.state = serde_json::from_str(&serde_json::to_string(&world.state).unwrap()).unwrap();
    world.at("15:00:00");
    let owed = world.passes_to("15:00:00");
    assert_eq!(said(&owed).len(), 1, "{owed:?}");
    assert!(world.passes_to("23:00:00").is_empty());
}

#[test]
fn a_reload_keeps_due_times_and_takes_gone_jobs_away() {
    let mut world = World::new();
    let config = world.state.config.clone();
    world.at("10:30:00").does(Event::Configured { config: Box::new(config.clone()), change: None });
    assert_eq!(backup(&world).due_at, Some(crate::world::time("11:00:00")), "a reload does not put it off");
    world.passes_to("11:05:00");
    assert_eq!(world.state.alerts.len(), 1);
    let longer = serde_saphyr::from_str(&SHOP.replace("every: 1h", "every: 3h")).unwrap();
    world.at("11:06:00").does(Event::Configured { config: Box::new(longer), change: None });
    assert_eq!(world.state.alerts.len(), 1, "never had a success: still late");
    let mut without = config;
    without.heartbeats.clear();
    world.at("11:07:00").does(Event::Configured { config: Box::new(without), change: None });
    assert!(world.state.alerts.is_empty() && world.state.heartbeats.is_empty());
    world.at("11:08:00").does(ping("9", HeartbeatSign::Fail(None)));
    assert!(world.owed.is_empty(), "nobody's job");
}
