//! What comes in and what goes out: pushes, bad lines, rules on arrival, webhooks, heartbeats.

use std::path::Path;
use std::process::Command;

use crate::rig::{Hook, Up, program, request, told_by_webhook};

fn with_rule(folder: &Path, hook: &str) -> Up {
    let config = told_by_webhook(folder, hook);
    Up::start(&folder.join("data"), &["--config", config.to_str().unwrap()])
}

#[test]
fn a_bad_sample_is_told_and_its_end_too_once_each() {
    let folder = tempfile::tempdir().unwrap();
    let hook = Hook::start();
    let up = with_rule(folder.path(), &hook.address);
    assert_eq!(up.post("/write", "text/plain", b"bench,trial=1 bad=1\n").0, 204);
    let got = hook.wait("a firing webhook", |got| !got.is_empty());
    let (key, body) = &got[0];
    assert!(key.as_ref().is_some_and(|key| !key.is_empty()), "{got:?}");
    assert_eq!(body["version"], "4");
    assert_eq!(body["status"], "firing");
    assert_eq!(body["alerts"][0]["labels"]["alertname"], "Bad");
    assert_eq!(body["alerts"][0]["labels"]["trial"], "1");
    assert_eq!(body["alerts"][0]["annotations"]["summary"], "bad is 1");
    assert_eq!(up.post("/write", "text/plain", b"bench,trial=1 bad=0\n").0, 204);
    let got = hook.wait("a resolved webhook", |got| got.len() >= 2);
    assert_eq!(got[1].1["status"], "resolved");
    assert_ne!(got[0].0, got[1].0);
    // Again the same value: nothing more is told.
    assert_eq!(up.post("/write", "text/plain", b"bench,trial=1 bad=0\n").0, 204);
    let incidents = up.json("/api/flyball/v1/incidents");
    assert_eq!(incidents.as_array().map(Vec::len), Some(1), "{incidents}");
    assert_eq!(hook.got.lock().unwrap().len(), 2);
}

#[test]
fn a_receiver_that_was_away_is_told_when_it_is_back() {
    let folder = tempfile::tempdir().unwrap();
    let address = format!("127.0.0.1:{}", crate::rig::free_port());
    let up = with_rule(folder.path(), &address);
    assert_eq!(up.post("/write", "text/plain", b"bench,trial=7 bad=1\n").0, 204);
    std::thread::sleep(std::time::Duration::from_secs(3));
    // Killed meanwhile: what is owed is on disk.
    up.kill();
    let up = Up::start(&folder.path().join("data"), &["--config", folder.path().join("config").to_str().unwrap()]);
    let hook = Hook::on(&address);
    let got = hook.wait("the notice of before the kill", |got| !got.is_empty());
    assert_eq!(got[0].1["alerts"][0]["labels"]["trial"], "7");
    std::thread::sleep(std::time::Duration::from_secs(2));
    let keys: std::collections::BTreeSet<_> = hook.got.lock().unwrap().iter().map(|(key, _)| key.clone()).collect();
    assert_eq!(keys.len(), 1, "told under different keys");
    drop(up);
}

#[test]
fn a_bad_line_does_not_lose_the_good_ones() {
    let folder = tempfile::tempdir().unwrap();
    let up = Up::start(folder.path(), &[]);
    let (status, body) = up.post("/write", "text/plain", b"good,a=1 value=1\nthis is no line\ngood,a=2 value=2\n");
    assert_eq!(status, 400);
    assert!(body.contains("line 2"), "{body}");
    assert_eq!(up.value("count(good_value)"), Some(2.0));
    let (status, body) = up.post("/api/v1/write", "application/x-protobuf", b"\xff\xff\xff\xff\x7fgarbage");
    assert!((400..500).contains(&status), "{status} {body}");
    let (status, body) = up.post("/api/flyball/v1/changes", "application/json", br#"{"what": 5}"#);
    assert_eq!(status, 400, "{body}");
    assert!(body.contains("what") || body.contains("line 1"), "{body}");
}

#[test]
fn heartbeats_by_curl() {
    let folder = tempfile::tempdir().unwrap();
    let hook = Hook::start();
    let up = with_rule(folder.path(), &hook.address);
    let curl = |path: &str| {
        let url = format!("http://{}{path}", up.address);
        let done = Command::new(program("curl")).args(["-fsS", "-m", "10", "--retry", "0", &url]).output().unwrap();
        (done.status.success(), String::from_utf8_lossy(&done.stdout).into_owned())
    };
    assert_eq!(curl("/ping/import-0123456789/start"), (true, "OK".into()));
    assert_eq!(curl("/ping/import-0123456789"), (true, "OK".into()));
    assert!(!curl("/ping/import-0123456780").0);
    assert!(curl("/ping/import-0123456789/3").0);
    let got = hook.wait("a failed job is told", |got| !got.is_empty());
    assert_eq!(got[0].1["status"], "firing");
    assert!(got[0].1.to_string().contains("import"), "{}", got[0].1);
    assert_eq!(request(&up.address, "HEAD", "/ping/import-0123456789", &[], b"").0, 200);
    hook.wait("its end is told", |got| got.iter().any(|(_, body)| body["status"] == "resolved"));
}
