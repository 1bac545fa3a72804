//! What goes wrong in the middle of a release, and what comes of it: each with real processes that are really killed.

use std::time::Duration;

use crate::rig::within;
use crate::stand::{HOSTS, NEW, OLD, Stand, told};

/// Each host has the wanted release whole, one process of it, and none was started more often than this.
fn assert_nothing_twice(stand: &Stand, ended: &str) {
    for (host, _) in HOSTS {
        stand.assert_whole(host);
        assert_eq!(stand.shops(host).len(), 1, "{host}");
        let (old, new) = (stand.starts(host, OLD), stand.starts(host, NEW));
        match ended {
            "done" => assert_eq!((old, new), (1, 1), "{host}: starts of old and new"),
            _ => assert!((1..=2).contains(&old) && new <= 1, "{host}: starts of old and new: {old}, {new}"),
        }
    }
}

#[test]
fn other_bytes_than_the_digest_fail_before_anything_is_touched() {
    let stand = Stand::start();
    let digest = stand.push("4.13.0", "4.13.0");
    let file = stand.data().join("artifacts").join(digest.trim_start_matches("sha256:"));
    let mut bytes = std::fs::read(&file).unwrap();
    bytes[600] ^= 1;
    std::fs::write(&file, bytes).unwrap();
    let pids: Vec<_> = HOSTS.iter().map(|(host, _)| stand.shops(host)).collect();
    let number = stand.deploy("4.13.0");
    let order = stand.wait_state(&number, &["rolled_back"]);
    assert!(order["because"].to_string().contains("fetch"), "{}", told(&order));
    assert!(order["because"].to_string().contains("sha256"), "{}", told(&order));
    stand.wait_on_line(OLD);
    assert_eq!(pids, HOSTS.iter().map(|(host, _)| stand.shops(host)).collect::<Vec<_>>());
    // Not even asked: no balancer, no stop, no switch.
    for word in ["balancer_out", "drain", "stop", "switch"] {
        let story = order["story"].to_string();
        assert!(!story.contains(&format!("step.{word}")), "{word}: {}", told(&order));
    }
}

#[test]
fn a_host_that_disappears_halts_the_order_until_it_answers() {
    let mut stand = Stand::start();
    let number = stand.deploy(NEW);
    stand.wait_host(&number, "shop-2", "working");
    stand.kill_agent("shop-2");
    let halted = stand.wait_state(&number, &["halted"]);
    assert_eq!(halted["because"]["id"], "because.host_lost", "{}", told(&halted));
    assert_eq!(halted["hosts"]["shop-2"]["state"], "unknown", "{}", told(&halted));
    let incidents = stand.up().json("/api/flyball/v1/incidents").to_string();
    assert!(incidents.contains(&number) || incidents.contains("shop"), "{incidents}");
    // Not touched meanwhile, and nobody else either.
    let lines = halted["story"].as_array().map(Vec::len);
    std::thread::sleep(Duration::from_secs(2));
    let later = stand.order(&number);
    assert_eq!((later["state"].as_str(), later["story"].as_array().map(Vec::len)), (Some("halted"), lines), "{}", told(&later));
    stand.start_agent("shop-2");
    stand.wait_state(&number, &["done"]);
    stand.wait_on_line(NEW);
    assert_nothing_twice(&stand, "done");
}

#[test]
fn an_agent_killed_at_any_moment_leaves_old_or_new_and_its_shop_running() {
    let mut stand = Stand::start();
    let mut before = OLD.to_owned();
    for (round, delay_ms) in [0, 120, 350, 700, 1_200].into_iter().enumerate() {
        let version = format!("5.{round}.0");
        stand.push(&version, &version);
        let number = stand.deploy(&version);
        stand.wait_host(&number, "shop-1", "working");
        std::thread::sleep(Duration::from_millis(delay_ms));
        let pids = stand.shops("shop-1");
        stand.kill_agent("shop-1");
        // What runs goes on without its agent, and is the same afterwards.
        assert!(stand.shops("shop-1").iter().all(|pid| pids.contains(pid)) || pids.is_empty());
        stand.start_agent("shop-1");
        let order = stand.wait_state(&number, &["done", "rolled_back"]);
        let wanted = if order["state"] == "done" { version } else { before };
        stand.wait_on_line(&wanted);
        for (host, _) in HOSTS {
            stand.assert_whole(host);
            assert_eq!(stand.shops(host).len(), 1, "{host} after {delay_ms} ms: {}", told(&order));
            assert!(stand.starts(host, &wanted) <= 2, "{host} after {delay_ms} ms: {}", told(&order));
        }
        before = wanted;
    }
    // Between releases: the shop is found running by the next agent, and not started again.
    let pids = stand.shops("shop-3");
    stand.kill_agent("shop-3");
    std::thread::sleep(Duration::from_millis(300));
    assert_eq!(stand.shops("shop-3"), pids);
    stand.start_agent("shop-3");
    within("the same process is seen", || {
        let log = stand.up().json("/api/flyball/v1/services/mall/shop/prod");
        (log["servers"][2]["state"] == "running" && log["servers"][2]["host_up"] == true).then_some(())
    });
    assert_eq!(stand.shops("shop-3"), pids);
}

#[test]
fn a_step_that_never_answers_runs_out_of_time_and_is_taken_back() {
    let stand = Stand::start();
    let number = stand.deploy(NEW);
    stand.wait_host(&number, "shop-2", "working");
    // The link stays up: only the answer does not come.
    stand.signal_agent("shop-2", "STOP");
    let order = stand.wait_state(&number, &["rolling_back", "halted"]);
    assert_eq!(order["because"]["id"], "because.step_silent", "{}", told(&order));
    stand.signal_agent("shop-2", "CONT");
    stand.wait_state(&number, &["rolled_back"]);
    stand.wait_on_line(OLD);
    assert_nothing_twice(&stand, "rolled_back");
}

#[test]
fn a_version_that_never_shows_is_taken_back() {
    let stand = Stand::start();
    stand.push("4.14.0", "something else");
    let number = stand.deploy("4.14.0");
    let order = stand.wait_state(&number, &["rolled_back"]);
    assert_eq!(order["because"]["id"], "because.step_failed", "{}", told(&order));
    assert!(order["because"].to_string().contains("verify"), "{}", told(&order));
    assert!(order["because"].to_string().contains("shop-1"), "{}", told(&order));
    stand.wait_on_line(OLD);
    for (host, _) in &HOSTS[1..] {
        assert_eq!(stand.starts(host, "something else"), 0);
        assert_eq!(stand.starts(host, OLD), 1);
    }
}

#[test]
fn a_balancer_that_is_gone_halts_the_order_until_it_is_back() {
    let mut stand = Stand::start();
    let number = stand.deploy(NEW);
    stand.wait_host(&number, "shop-1", "new");
    stand.kill_haproxy();
    let halted = stand.wait_state(&number, &["halted"]);
    assert_eq!(halted["because"]["id"], "because.balancer_gone", "{}", told(&halted));
    let incidents = stand.up().json("/api/flyball/v1/incidents");
    assert_eq!(incidents.as_array().map(Vec::len), Some(1), "{incidents}");
    assert_eq!(incidents[0]["state"], "open", "{incidents}");
    stand.start_haproxy();
    stand.wait_state(&number, &["done"]);
    stand.wait_on_line(NEW);
    assert_nothing_twice(&stand, "done");
}

#[test]
fn a_server_killed_in_the_middle_goes_on_or_takes_back_and_does_nothing_twice() {
    let mut stand = Stand::start();
    let number = stand.deploy(NEW);
    for (host, state) in [("shop-1", "working"), ("shop-2", "working"), ("shop-2", "new")] {
        let ended = within(&format!("{host} is {state}"), || {
            let order = stand.order(&number);
            let ended = ["done", "rolled_back"].contains(&order["state"].as_str()?);
            (ended || order["hosts"][host]["state"] == state).then_some(ended)
        });
        if ended {
            break;
        }
        stand.kill_server();
        stand.start_server();
    }
    let order = stand.wait_state(&number, &["done", "rolled_back"]);
    let ended = order["state"].as_str().unwrap().to_owned();
    stand.wait_on_line(if ended == "done" { NEW } else { OLD });
    assert_nothing_twice(&stand, &ended);
}
