//! The store's keeper at work: flush, snapshot, delete, and a snapshot put back into a stopped server's folder.

use std::process::Output;

use crate::rig::Up;

fn said(output: &Output) -> String {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).trim().to_owned();
    format!("{}{}", text(&output.stdout), text(&output.stderr))
}

#[test]
fn what_was_deleted_comes_back_with_a_snapshot() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let up = Up::start(&data, &["--retention", "10y", "--series-max", "100000"]);
    let (status, body) = up.post("/write", "text/plain", b"orders,shop=a count=41\norders,shop=b count=1\n");
    assert_eq!(status, 204, "{body}");
    up.wait_value("sum(orders_count)", |sum| sum == 42.0);
    let flushed = up.cli(&["store", "flush"]);
    assert!(flushed.status.code() == Some(0) && said(&flushed).contains("on the disk"), "{}", said(&flushed));
    let counted = up.cli(&["store", "cardinality", "--match", "orders_count", "--label", "shop"]);
    assert!(said(&counted).contains("Values of `shop` (2)"), "{}", said(&counted));
    let taken = up.cli(&["store", "snapshot"]);
    let snapshot = String::from_utf8_lossy(&taken.stdout).trim().to_owned();
    assert!(taken.status.code() == Some(0) && snapshot.contains("/snapshots/"), "{}", said(&taken));

    let asked = up.cli(&["store", "delete", "--match", "orders_count{shop=\"a\"}"]);
    assert!(asked.status.code() == Some(1) && said(&asked).contains("1 of the series"), "{}", said(&asked));
    let deleted = up.cli(&["store", "delete", "--match", "orders_count{shop=\"a\"}", "--yes"]);
    assert!(said(&deleted).contains("1 samples deleted"), "{}", said(&deleted));
    up.wait_value("sum(orders_count)", |sum| sum == 1.0);

    let running = up.cli(&["store", "restore", &snapshot, "--yes"]);
    assert!(running.status.code() == Some(5), "a running server's folder is locked: {}", said(&running));
    up.terminate();
    let restored = std::process::Command::new(crate::rig::FLYBALL)
        .args(["store", "restore", &snapshot, "--yes", "--data", data.to_str().unwrap()])
        .output()
        .unwrap();
    assert_eq!(restored.status.code(), Some(0), "{}", said(&restored));
    let up = Up::start(&data, &["--retention", "10y"]);
    up.wait_value("sum(last_over_time(orders_count[1h]))", |sum| sum == 42.0);
}
