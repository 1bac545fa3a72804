//! `flyball up` alone: ready, this machine live, tokens, ending, a second process, a broken configuration.

use std::process::Command;
use std::time::{Duration, Instant};

use crate::rig::{FLYBALL, Up, request, within, write};

#[test]
fn shows_this_machine_within_seconds() {
    let folder = tempfile::tempdir().unwrap();
    let began = Instant::now();
    let up = Up::start(folder.path(), &[]);
    for query in [
        "count(node_cpu_seconds_total)",
        "node_memory_MemTotal_bytes",
        "count(node_filesystem_size_bytes)",
        "count(node_network_receive_bytes_total)",
        "sum(node_tcp_connection_states)",
        "node_load1 + 1",
    ] {
        up.wait_value(query, |value| value > 0.0);
    }
    // Not a measurement of speed: a hang is what this finds.
    assert!(began.elapsed() < Duration::from_secs(30), "{:?}", began.elapsed());
    let overview = up.json("/api/flyball/v1/overview");
    assert_eq!(overview["state"], "ok", "{overview}");
    assert_eq!(overview["own"]["agents_up"], 1, "{overview}");
    let (status, page) = request(&up.address, "GET", "/", &[], b"");
    assert_eq!(status, 200);
    assert!(page.contains("<title>"), "{page}");
}

#[test]
fn ends_within_five_seconds_and_knows_everything_after() {
    let folder = tempfile::tempdir().unwrap();
    let up = Up::start(folder.path(), &[]);
    let (status, body) = up.post("/write", "text/plain", b"orders,shop=a count=41i\n");
    assert_eq!(status, 204, "{body}");
    let (status, body) = up.post("/api/flyball/v1/changes", "application/json", br#"{"what":"switched the provider"}"#);
    assert_eq!(status, 200, "{body}");
    let took = up.terminate();
    assert!(took < Duration::from_secs(5), "{took:?}");
    let up = Up::start(folder.path(), &[]);
    assert_eq!(up.value("orders_count"), Some(41.0));
    let changes = up.json("/api/flyball/v1/changes");
    assert!(changes.to_string().contains("switched the provider"), "{changes}");
}

#[test]
fn acknowledged_samples_survive_a_kill() {
    let folder = tempfile::tempdir().unwrap();
    let up = Up::start(folder.path(), &[]);
    for number in 0..50 {
        let (status, body) = up.post("/write", "text/plain", format!("kept,number={number} value={number}\n").as_bytes());
        assert_eq!(status, 204, "{body}");
    }
    up.kill();
    let up = Up::start(folder.path(), &[]);
    assert_eq!(up.value("count(kept_value)"), Some(50.0));
    assert_eq!(up.value("sum(kept_value)"), Some(1_225.0));
}

#[test]
fn a_second_process_on_the_same_folder_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let _up = Up::start(folder.path(), &[]);
    let second = Command::new(FLYBALL).args(["up", "--listen", "127.0.0.1:0", "--data"]).arg(folder.path()).output().unwrap();
    assert_eq!(second.status.code(), Some(5));
    let said = String::from_utf8_lossy(&second.stderr).into_owned();
    assert!(said.contains("data folder") || said.contains("process"), "{said}");
}

#[test]
fn plain_http_beyond_loopback_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let refused = Command::new(FLYBALL).args(["up", "--listen", "0.0.0.0:0", "--data"]).arg(folder.path()).output().unwrap();
    assert_eq!(refused.status.code(), Some(5));
    assert!(String::from_utf8_lossy(&refused.stderr).contains("--insecure-http"), "{refused:?}");
}

#[test]
fn a_broken_configuration_leaves_the_old_one_in_force() {
    let folder = tempfile::tempdir().unwrap();
    let config = folder.path().join("config");
    write(&config, "a.yaml", "heartbeats:\n  import: { id: 0123456789abcdef, every: 5m }\n");
    let data = folder.path().join("data");
    let up = Up::start(&data, &["--config", config.to_str().unwrap()]);
    write(&config, "a.yaml", "heartbeats:\n  import: { id: 0123456789abcdef, evry: 5m }\n");
    let (status, body) = up.post("/-/reload", "text/plain", b"");
    assert_eq!(status, 400, "{body}");
    assert!(body.contains("a.yaml:2") && body.contains("every"), "{body}");
    assert_eq!(request(&up.address, "POST", "/ping/0123456789abcdef", &[], b"").0, 200);
    write(&config, "a.yaml", "heartbeats:\n  import: { id: fedcba9876543210, every: 5m }\n");
    crate::rig::signal(up.pid(), "HUP");
    within("the new configuration is in force", || {
        (request(&up.address, "GET", "/ping/fedcba9876543210", &[], b"").0 == 200).then_some(())
    });
    assert_eq!(request(&up.address, "GET", "/ping/0123456789abcdef", &[], b"").0, 404);
    let changes = up.json("/api/flyball/v1/changes").to_string();
    assert!(changes.contains("change.config") && !changes.contains("fedcba9876543210"), "{changes}");
}
