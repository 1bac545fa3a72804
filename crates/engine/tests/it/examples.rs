//! The rules under `examples/` do what their names say.

use std::path::{Path, PathBuf};
use std::process::Command;

use model::AlertState;
use model::config::RuleGroup;

use crate::rules::Bench;
use crate::world::time;

#[derive(serde::Deserialize)]
struct RuleFile {
    groups: Vec<RuleGroup>,
}

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples/rules")
}

fn groups(file: &str) -> Vec<RuleGroup> {
    let text = std::fs::read_to_string(folder().join(file)).unwrap();
    serde_saphyr::from_str::<RuleFile>(&text).unwrap().groups
}

/// The story that every rule test tells: who was well, what came, who is told what, and that it ends.
#[test]
fn a_full_disk_is_told_before_it_is_full() {
    let mut bench = Bench::of(&groups("host.yaml"));
    let disk = |name: &'static str| [("__name__", name), ("instance", "db-1"), ("mountpoint", "/data"), ("fstype", "ext4")];
    let mut left = |clock: &str, gib: f64| {
        let mut told = bench.arrives(clock, &disk("node_filesystem_avail_bytes"), gib * 1e9);
        told.extend(bench.arrives(clock, &disk("node_filesystem_size_bytes"), 100e9));
        told
    };
    assert!(left("10:00:00", 40.0).is_empty());
    assert!(left("10:01:00", 4.0).is_empty(), "not yet: a minute has to pass");
    assert_eq!(left("10:02:00", 4.0), ["HostDiskFull db-1: ok -> bad"]);
    assert_eq!(left("10:03:00", 60.0), ["HostDiskFull db-1: bad -> ok"]);
}

#[test]
fn a_busy_cpu_is_told_with_its_share() {
    let mut bench = Bench::of(&groups("host.yaml"));
    let idle = |cpu: &'static str| [("__name__", "node_cpu_seconds_total"), ("instance", "db-1"), ("mode", "idle"), ("cpu", cpu)];
    let mut found = Vec::new();
    for second in 0..240 {
        bench.now = time("10:00:00") + std::time::Duration::from_secs(second);
        // Each of two cores idles for a twentieth of a second in each second.
        let mut which = bench.write(&idle("0"), second as f64 * 0.05);
        which.extend(bench.write(&idle("1"), second as f64 * 0.05));
        found.extend(bench.run(&which[..1]).transitions);
    }
    assert_eq!(found.len(), 1);
    assert_eq!((found[0].to, found[0].labels.get("instance")), (AlertState::Bad, Some("db-1")));
    assert_eq!(found[0].annotations["summary"], "db-1: CPU 95% busy");
}

#[test]
fn failing_answers_are_the_shops_incident() {
    let mut bench = Bench::of(&groups("shop.yaml"));
    let answers = |code: &'static str| [("__name__", "shop_responses_total"), ("service", "shop"), ("code", code)];
    let mut told = Vec::new();
    for second in 0..60_u32 {
        bench.now = time("10:00:00") + std::time::Duration::from_secs(u64::from(second));
        let bad = f64::from(second.saturating_sub(20)) * 50.0;
        bench.write(&answers("500"), bad);
        let which = bench.write(&answers("200"), f64::from(second) * 500.0 - bad);
        told.extend(bench.run(&which).transitions.into_iter().map(|alert| (second, alert)));
    }
    assert_eq!(told.len(), 1, "{told:?}");
    assert!((20..40).contains(&told[0].0), "{told:?}");
    assert_eq!((told[0].1.labels.get("service"), told[0].1.labels.get("severity")), (Some("shop"), Some("critical")));
}

#[test]
fn promtool_accepts_them() {
    for file in ["host.yaml", "shop.yaml"] {
        let out = Command::new("promtool").args(["check", "rules"]).arg(folder().join(file)).output();
        let out = out.expect("promtool comes with Debian's package prometheus");
        assert!(out.status.success(), "{file}: {}", String::from_utf8_lossy(&out.stderr));
    }
}
