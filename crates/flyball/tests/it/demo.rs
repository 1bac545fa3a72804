//! The loop on a real machine: HAProxy, four agents, real traffic, releases that are good and bad.

use std::time::Duration;

use serde_json::Value;

use crate::rig::{Up, within};

const ARGS: &[&str] = &["--demo", "--demo-watch", "2s", "--demo-rate", "200"];

fn demo(folder: &tempfile::TempDir) -> Up {
    let up = Up::start(folder.path(), ARGS);
    within("the first release is on line", || {
        let orders = up.json("/api/flyball/v1/orders");
        let first = orders.as_array()?.first()?.clone();
        assert_ne!(first["state"], "failed", "{first}");
        (first["state"] == "done").then_some(())
    });
    up
}

fn order(up: &Up) -> Value {
    up.json("/api/flyball/v1/orders").as_array().and_then(|orders| orders.first().cloned()).expect("there is an order")
}

fn on_line(up: &Up) -> Vec<String> {
    let place = up.json("/api/flyball/v1/services/mall/shop/prod");
    let servers = place["servers"].as_array().cloned().unwrap_or_default();
    servers
        .iter()
        .map(|server| {
            format!("{} {}", server["release"]["version"].as_str().unwrap_or("none"), server["balancer"].as_str().unwrap_or("?"))
        })
        .collect()
}

#[test]
fn a_good_release_is_done_and_a_bad_one_comes_back_by_itself() {
    let folder = tempfile::tempdir().unwrap();
    let up = demo(&folder);
    let good = up.cli(&["demo", "release", "good", "--wait"]);
    assert_eq!(good.status.code(), Some(0), "{}\n{}", String::from_utf8_lossy(&good.stdout), up.log());
    assert_eq!(within("all servers have it", || (on_line(&up) == vec!["4.12.0 in"; 4]).then_some(4)), 4);

    let bad = up.cli(&["demo", "release", "bad", "--wait"]);
    let story = String::from_utf8_lossy(&bad.stdout).into_owned();
    assert_eq!(bad.status.code(), Some(0), "{story}\n{}", up.log());
    assert!(story.contains("alted"), "{story}");
    within("all servers are back", || (on_line(&up) == vec!["4.12.0 in"; 4]).then_some(()));
    let bad = order(&up);
    assert_eq!(bad["state"], "rolled_back", "{bad}");

    // The incident names the release first, and its author is called in chat with the figures.
    let incident = within("an incident with a suspect", || {
        let rows = up.json("/api/flyball/v1/incidents");
        let number = rows.as_array()?.first()?["number"].as_u64()?;
        let incident = up.json(&format!("/api/flyball/v1/incidents/{number}"));
        incident["suspects"].as_array().is_some_and(|suspects| !suspects.is_empty()).then_some(incident)
    });
    assert_eq!(incident["suspects"][0]["change"]["order"], bad["number"], "{incident}");
    let chat = up.json("/api/flyball/v1/chat/ops").to_string();
    assert!(chat.contains("chat.halted") && chat.contains("chat.rolled_back"), "{chat}");
    assert!(chat.contains("calls_author"), "{chat}");
    within("it has recovered", || {
        let number = incident["number"].as_u64()?;
        let now = up.json(&format!("/api/flyball/v1/incidents/{number}"));
        (!now["recovered_at"].is_null()).then_some(())
    });
    let timeline = up.json("/api/flyball/v1/timeline").to_string();
    for id in ["change.release", "order.halted", "order.rolled_back"] {
        assert!(timeline.contains(id), "{id}: {timeline}");
    }
    let check = up.cli(&["check", "shop"]);
    assert_eq!(check.status.code(), Some(0), "{}", String::from_utf8_lossy(&check.stdout));
    assert!(String::from_utf8_lossy(&check.stdout).contains("4 of 4 up"), "{}", String::from_utf8_lossy(&check.stdout));
}

#[test]
fn killed_in_the_middle_of_a_release_it_ends_well_or_takes_it_back() {
    let folder = tempfile::tempdir().unwrap();
    let up = demo(&folder);
    let made = up.cli(&["demo", "release", "good"]);
    assert_eq!(made.status.code(), Some(0), "{}", String::from_utf8_lossy(&made.stderr));
    within("it is running", || (order(&up)["state"] == "running").then_some(()));
    std::thread::sleep(Duration::from_millis(700));
    // Server and agents at once: what a power cut would do to this machine's processes.
    up.kill();
    let up = Up::start(folder.path(), ARGS);
    let end = within("it ends", || {
        let order = order(&up);
        ["done", "rolled_back", "failed"].contains(&order["state"].as_str()?).then_some(order)
    });
    assert_ne!(end["state"], "failed", "{end}\n{}", up.log());
    let wanted = if end["state"] == "done" { "4.12.0 in" } else { "4.11.3 in" };
    within("all servers are the same", || (on_line(&up) == vec![wanted; 4]).then_some(()));
}

#[test]
fn halt_resume_rollback_and_the_queue() {
    let folder = tempfile::tempdir().unwrap();
    let up = demo(&folder);
    assert_eq!(up.cli(&["demo", "release", "good"]).status.code(), Some(0));
    within("it is running", || (order(&up)["state"] == "running").then_some(()));
    assert_eq!(up.cli(&["halt"]).status.code(), Some(0));
    let halted = within("it is halted", || Some(order(&up)).filter(|order| order["state"] == "halted"));
    // A second order on the same target waits, and says behind whom.
    let second = up.cli(&["demo", "release", "good"]);
    assert_eq!(second.status.code(), Some(0), "{}", String::from_utf8_lossy(&second.stderr));
    // From what it said: two orders of one second have no order among them by their numbers.
    let said = String::from_utf8_lossy(&second.stdout).into_owned();
    let second = said.split([' ', ':']).nth(1).expect("order NUMBER: ...").to_owned();
    let waiting = up.json(&format!("/api/flyball/v1/orders/{second}"));
    assert_eq!(waiting["behind"], halted["number"], "{waiting}");
    let number = halted["number"].as_str().unwrap();
    assert_eq!(up.cli(&["rollback", number, "--yes"]).status.code(), Some(0));
    within("it is rolled back", || {
        (up.json(&format!("/api/flyball/v1/orders/{number}"))["state"] == "rolled_back").then_some(())
    });
    within("the second one is done", || (up.json(&format!("/api/flyball/v1/orders/{second}"))["state"] == "done").then_some(()));
}
