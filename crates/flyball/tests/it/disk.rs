//! A disk that fills up, and is emptied again; a clock that is set back; a receiver that is away.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use crate::rig::{FLYBALL, Hook, Up, free_port, told_by_webhook, with_clock_of, within};

#[test]
fn a_full_disk_refuses_telemetry_keeps_events_and_alerts_and_recovers() {
    let folder = tempfile::tempdir().unwrap();
    let hook = Hook::start();
    let config = told_by_webhook(folder.path(), &hook.address);
    let small = folder.path().join("small");
    std::fs::create_dir(&small).unwrap();
    // A small filesystem in a mount namespace of its own: it needs no rights beyond this, and ends with the server.
    let mut command = Command::new("unshare");
    command.args(["--user", "--map-root-user", "--mount", "sh", "-c"]);
    command.arg("mount -t tmpfs -o size=160m tmpfs \"$1\" && exec \"$2\" up --listen 127.0.0.1:0 --data \"$1\" --config \"$3\"");
    command.arg("sh").arg(&small).arg(FLYBALL).arg(&config);
    let seen = small.clone();
    let up = Up::run(command, move |pid| {
        PathBuf::from(format!("/proc/{pid}/root")).join(seen.strip_prefix("/").expect("an absolute path"))
    });
    assert_eq!(up.post("/write", "text/plain", b"before value=1\n").0, 204);
    // The reserve is taken within a moment of the start; only then is what is left filled.
    within("the reserve is held", || std::fs::metadata(up.data.join("reserve")).ok().filter(|file| file.len() >= 64 << 20));
    let filler = up.data.join("somebody-elses-file");
    let mut file = std::fs::File::create(&filler).unwrap();
    let block = vec![0_u8; 256 << 10];
    // Until there is no room, or the reserve is given up: whoever writes on would take the reserve's room too.
    let is_held = || std::fs::metadata(up.data.join("reserve")).is_ok_and(|reserve| reserve.len() >= 64 << 20);
    while is_held() && std::io::Write::write_all(&mut file, &block).is_ok() {}
    drop(file);
    within("telemetry is refused", || (up.post("/write", "text/plain", b"during value=1\n").0 == 507).then_some(()));
    assert_eq!(up.post("/api/v2/write?bucket=b&org=o", "text/plain", b"during value=2\n").0, 507);
    // Events are taken as soon as the reserve is given to them, and alerts go out.
    let event = || up.post("/api/flyball/v1/changes", "application/json", br#"{"what":"the first"}"#).0;
    within("the reserve is released", || (event() == 200).then_some(()));
    for number in 0..20 {
        let body = format!("{{\"what\":\"change {number}\"}}");
        let (status, said) = up.post("/api/flyball/v1/changes", "application/json", body.as_bytes());
        assert_eq!(status, 200, "{said}");
    }
    assert_eq!(up.post("/ping/import-0123456789/3", "text/plain", b"").0, 200);
    let got = hook.wait("an alert while the disk is full", |got| !got.is_empty());
    assert_eq!(got[0].1["status"], "firing", "{got:?}");
    assert_eq!(up.get("/-/healthy").0, 200);
    std::fs::remove_file(&filler).unwrap();
    within("telemetry is taken again", || (up.post("/write", "text/plain", b"after value=1\n").0 == 204).then_some(()));
    assert_eq!(up.value("before_value + on() after_value"), Some(2.0));
    assert!(up.json("/api/flyball/v1/changes").to_string().contains("change 19"));
    assert_eq!(up.post("/ping/import-0123456789", "text/plain", b"").0, 200);
    hook.wait("its end", |got| got.iter().any(|(_, body)| body["status"] == "resolved"));
}

/// How long a receiver is away: a minute where `FLYBALL_TEST_SIZE` is `full`.
fn away() -> Duration {
    Duration::from_secs(if std::env::var("FLYBALL_TEST_SIZE").is_ok_and(|size| size == "full") { 60 } else { 5 })
}

/// What each alert was told, as status by trial; the same key is the same telling.
fn told(hook: &Hook) -> BTreeMap<String, Vec<String>> {
    let mut keys = std::collections::BTreeSet::new();
    let mut out: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for (key, body) in hook.got.lock().unwrap().iter() {
        if !keys.insert(key.clone().expect("a key")) {
            continue;
        }
        for alert in body["alerts"].as_array().unwrap() {
            let trial = alert["labels"]["trial"].as_str().unwrap_or("-").to_owned();
            out.entry(trial).or_default().push(alert["status"].as_str().unwrap_or("?").to_owned());
        }
    }
    out
}

#[test]
fn a_receiver_that_is_away_loses_nothing_and_is_told_nothing_twice() {
    let folder = tempfile::tempdir().unwrap();
    let address = format!("127.0.0.1:{}", free_port());
    let config = told_by_webhook(folder.path(), &address);
    let up = Up::start(&folder.path().join("data"), &["--config", config.to_str().unwrap()]);
    for trial in 0..5 {
        assert_eq!(up.post("/write", "text/plain", format!("bench,trial={trial} bad=1\n").as_bytes()).0, 204);
    }
    std::thread::sleep(away());
    for trial in 5..8 {
        assert_eq!(up.post("/write", "text/plain", format!("bench,trial={trial} bad=1\n").as_bytes()).0, 204);
    }
    let hook = Hook::on(&address);
    within("everything is told", || (told(&hook).len() >= 8).then_some(()));
    std::thread::sleep(Duration::from_secs(3));
    let told = told(&hook);
    let once: BTreeMap<String, Vec<String>> = (0..8).map(|trial| (trial.to_string(), vec!["firing".to_owned()])).collect();
    assert_eq!(told, once);
    // It never crashed, so not even the same key came twice.
    let keys: Vec<_> = hook.got.lock().unwrap().iter().map(|(key, _)| key.clone()).collect();
    let unique: std::collections::BTreeSet<_> = keys.iter().cloned().collect();
    assert_eq!(keys.len(), unique.len(), "{keys:?}");
}

#[test]
fn a_clock_that_is_set_back_an_hour_tells_nothing_twice_and_misses_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let hook = Hook::start();
    let config = told_by_webhook(folder.path(), &hook.address);
    let (data, shift) = (folder.path().join("data"), folder.path().join("shift"));
    std::fs::write(&shift, "+0\n").unwrap();
    let mut command = Command::new(FLYBALL);
    command.args(["up", "--listen", "127.0.0.1:0", "--data"]).arg(&data).arg("--config").arg(&config);
    with_clock_of(&mut command, &shift);
    let up = Up::run(command, |_| data);
    let put = |trial: u32, bad: u32| {
        let (status, said) = up.post("/write", "text/plain", format!("bench,trial={trial} bad={bad}\n").as_bytes());
        assert_eq!(status, 204, "{said}");
    };
    put(1, 1);
    put(2, 1);
    hook.wait("two alerts", |_| told(&hook).len() == 2);
    std::fs::write(&shift, "-3600\n").unwrap();
    std::thread::sleep(Duration::from_secs(3));
    // Known ones stay as they are, new ones are told, ends are told.
    put(1, 1);
    put(3, 1);
    put(2, 0);
    let firing = || vec!["firing".to_owned()];
    let ended = || vec!["firing".to_owned(), "resolved".to_owned()];
    let wanted =
        |two: Vec<String>| BTreeMap::from([("1".to_owned(), firing()), ("2".to_owned(), two), ("3".to_owned(), firing())]);
    hook.wait("what is new while the clock is back", |_| told(&hook) == wanted(ended()));
    std::fs::write(&shift, "+0\n").unwrap();
    std::thread::sleep(Duration::from_secs(3));
    put(1, 1);
    put(2, 0);
    std::thread::sleep(Duration::from_secs(1));
    assert_eq!(told(&hook), wanted(ended()));
    let keys: Vec<_> = hook.got.lock().unwrap().iter().map(|(key, _)| key.clone()).collect();
    assert_eq!(keys.len(), 4, "{keys:?}");
}
