//! Folders that older programs wrote: each opens, and holds what was sent.

use std::path::Path;
use std::sync::Arc;

use model::Time;
use query::source::{Columns, MatchOp, Matcher, Source, TimeRange};
use store::files::OnDisk;
use store::{Options, Store};

/// When the folder of format 1 was written: by a server that was closed, started again and killed.
const NOW: i64 = 1795361640;

fn read(store: &Store, metric: &str, host: &str) -> Vec<(i64, f64)> {
    let matchers = [("__name__", metric), ("host", host)].map(|(name, value)| Matcher::new(name, MatchOp::Equal, value).unwrap());
    let range = TimeRange { from: Time::from_secs(NOW - 86_400), to: Time::from_secs(NOW + 86_400) };
    let view = store.view();
    let mut columns = Columns::default();
    for (series, _) in view.series(&matchers, range, 10).unwrap() {
        view.read(series, range, &mut columns).unwrap();
    }
    columns.times.iter().zip(&columns.values).map(|(time, value)| (time.0 / 1_000_000, *value)).collect()
}

fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.path().is_dir() {
            copy(&entry.path(), &target);
        } else {
            std::fs::copy(entry.path(), target).unwrap();
        }
    }
}

fn check(store: &Store) {
    for host in 0..3 {
        let host = format!("h{host}");
        let number = f64::from(host.as_bytes()[1] - b'0');
        let steps = (0..400).map(|step| (NOW - 2_000 + step * 5, step as f64));
        let mut counter: Vec<_> = steps.clone().map(|(time, step)| (time, step * 17.0 + number)).collect();
        if host == "h0" {
            counter.push((NOW, 99_999.0));
        }
        assert_eq!(read(store, "golden_counter", &host), counter, "{host}");
        let gauge: Vec<_> = steps.clone().map(|(time, step)| (time, 20.0 + (step * 7.0 + number) % 50.0 / 4.0)).collect();
        assert_eq!(read(store, "golden_gauge", &host), gauge, "{host}");
        assert_eq!(read(store, "golden_real", &host).len(), 400);
    }
    assert_eq!(read(store, "golden_counter", "late"), [(NOW - 100, 1.0)]);
    assert_eq!(read(store, "golden_counter", "after"), [(NOW - 50, 2.0)]);
}

#[test]
fn a_folder_of_format_1_opens_and_goes_on() {
    let folder = tempfile::tempdir().unwrap();
    copy(&Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/1"), folder.path());
    let open = || Store::open(Options::new(folder.path()), Arc::new(OnDisk), Time::from_secs(NOW + 60)).unwrap();
    let store = open();
    assert_eq!(store.damage(), store::Damage::default());
    check(&store);
    store.flush().unwrap();
    check(&store);
    store.close().unwrap();
    drop(store);
    let store = open();
    check(&store);
    store.close().unwrap();
}
