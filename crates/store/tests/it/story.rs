//! What a server does with the store, told in order.

use std::ops::ControlFlow;
use std::path::Path;
use std::sync::Arc;
use std::sync::mpsc;
use std::time::Duration;

use model::{Labels, SampleBatch, Time};
use query::source::{Columns, MatchOp, Matcher, Source, SourceError, TimeRange};
use store::files::{Fault, Files, Simulated};
use store::{Metadata, Options, Reason, Store, StoreError};

const EVER: TimeRange = TimeRange { from: Time::MIN, to: Time::MAX };

fn at(secs: i64) -> Time {
    Time::from_secs(1_700_000_000 + secs)
}

fn labels(text: &str) -> Labels {
    Labels::new(text.split(',').map(|pair| pair.split_once('=').unwrap())).unwrap()
}

fn batch(rows: &[(&str, i64, f64)]) -> SampleBatch {
    let mut batch = SampleBatch::new();
    rows.iter().for_each(|(series, secs, value)| batch.push(&labels(series), at(*secs), *value));
    batch
}

fn options() -> Options {
    Options { driven_by_caller: true, segment_bytes: 64 << 10, ..Options::new("/data/metrics") }
}

fn open(files: &Simulated, options: Options) -> Store {
    Store::open(options, Arc::new(files.clone()), at(0)).unwrap()
}

fn put(store: &Store, rows: &[(&str, i64, f64)], received: i64) -> store::Refused {
    let appended = store.append(&batch(rows), at(received)).unwrap();
    appended.commit.wait().unwrap();
    appended.refused
}

fn matcher(name: &str, op: MatchOp, value: &str) -> Matcher {
    Matcher::new(name, op, value).unwrap()
}

fn read(store: &Store, series: &str) -> Vec<(i64, f64)> {
    let matchers: Vec<_> = labels(series).iter().map(|(name, value)| matcher(name, MatchOp::Equal, value)).collect();
    let mut columns = Columns::default();
    let view = store.view();
    for (found, _) in view.series(&matchers, EVER, 10).unwrap() {
        view.read(found, EVER, &mut columns).unwrap();
    }
    columns.times.iter().zip(&columns.values).map(|(time, value)| (time.micros_from(at(0)) / 1_000_000, *value)).collect()
}

#[test]
fn the_newest_sample_of_a_series_has_a_time() {
    let store = open(&Simulated::new(1), options());
    put(&store, &[("a=1", 7, 1.0), ("a=1", 5, 1.0), ("a=2", 9, 1.0)], 9);
    let newest = |series| store.newest(&labels(series));
    assert_eq!((newest("a=1"), newest("a=2"), newest("a=3")), (Some(at(7)), Some(at(9)), None));
}

#[test]
fn appended_says_what_was_touched_and_what_is_new() {
    let store = open(&Simulated::new(1), options());
    let first = store.append(&batch(&[("a=1", 0, 1.0), ("a=2", 0, 2.0), ("a=1", 1, 3.0)]), at(1)).unwrap();
    assert_eq!((first.accepted, first.touched.len(), first.new_series.len()), (3, 3, 2));
    assert_eq!(first.new_series[0].1, labels("a=1"));
    assert!(first.commit.poll().is_none(), "nothing is acknowledged before the sync");
    assert_eq!(read(&store, "a=1"), [(0, 1.0), (1, 3.0)], "but queries see it");
    assert!(store.pump());
    assert!(first.commit.poll().unwrap().is_ok());
    let second = store.append(&batch(&[("a=2", 2, 2.0)]), at(2)).unwrap();
    assert_eq!(second.touched.iter().map(|touched| touched.series).collect::<Vec<_>>(), [first.new_series[1].0]);
    assert!(second.new_series.is_empty());
    second.commit.wait().unwrap();
}

#[test]
fn a_callback_is_told_on_the_writers_thread() {
    let store = open(&Simulated::new(1), Options { driven_by_caller: false, ..options() });
    let (tell, told) = mpsc::channel();
    store.append(&batch(&[("a=1", 0, 1.0)]), at(1)).unwrap().commit.on_synced(move |outcome| tell.send(outcome).unwrap());
    told.recv_timeout(Duration::from_secs(10)).unwrap().unwrap();
    store.close().unwrap();
    assert!(matches!(store.append(&batch(&[("a=1", 1, 1.0)]), at(1)), Err(StoreError::Closed)));
}

#[test]
fn what_is_sealed_late_or_never_reads_the_same() {
    let store = open(&Simulated::new(1), options());
    let mut full = Vec::new();
    for secs in 0..200 {
        let appended = store.append(&batch(&[("a=1", secs, secs as f64), ("a=2", secs, 2.0)]), at(secs)).unwrap();
        full.push(appended.unsealed);
        appended.commit.wait().unwrap();
    }
    let all: Vec<(i64, f64)> = (0..200).map(|secs| (secs, secs as f64)).collect();
    assert_eq!(read(&store, "a=1"), all);
    assert!(full.iter().any(|unsealed| !unsealed.is_empty()));
    // From the last to the first, and some when all of it is in a part.
    full.drain(100..).rev().for_each(drop);
    assert_eq!(read(&store, "a=1"), all);
    store.flush().unwrap();
    full.drain(50..).for_each(drop);
    assert_eq!(read(&store, "a=1"), all);
    drop(store);
    full.clear();
}

#[test]
fn whoever_waits_may_write_and_nobody_is_forgotten() {
    let store = Arc::new(open(&Simulated::new(1), Options { driven_by_caller: false, ..options() }));
    // With a new series the log's thread is on its way already; later on nobody is.
    put(&store, &[("a=1", 0, 1.0)], 1);
    let led = (1..200).filter(|step| {
        let commit = store.append(&batch(&[("a=1", *step, 1.0)]), at(*step)).unwrap().commit;
        let led = commit.lead(2);
        assert!(!led || commit.poll().unwrap().is_ok());
        commit.wait().unwrap();
        led
    });
    assert!(led.count() > 100);
    let senders = (0..4i64).map(|sender| {
        let store = store.clone();
        std::thread::spawn(move || {
            for step in 0..500 {
                let row = (format!("sender={sender}"), step, 1.0);
                let commit = store.append(&batch(&[(row.0.as_str(), row.1, row.2)]), at(step)).unwrap().commit;
                match (sender + step) % 4 {
                    0 => commit.wait().unwrap(),
                    1 if commit.may_lead(2) && commit.lead(2) => commit.wait().unwrap(),
                    2 => drop(commit),
                    _ => {
                        let (tell, told) = mpsc::channel();
                        commit.on_synced(move |outcome| tell.send(outcome).unwrap());
                        told.recv_timeout(Duration::from_secs(10)).unwrap().unwrap();
                    }
                }
            }
        })
    });
    senders.collect::<Vec<_>>().into_iter().for_each(|sender| sender.join().unwrap());
    store.close().unwrap();
    assert_eq!((0..4).map(|sender| read(&store, &format!("sender={sender}")).len()).sum::<usize>(), 2_000);
}

#[test]
fn bad_times_are_refused_counted_and_named() {
    let store = open(&Simulated::new(1), Options { retention: Duration::from_secs(6 * 3600), ..options() });
    put(&store, &[("a=1", 0, 1.0), ("a=1", 4000, 2.0)], 4000);
    let rows = [("a=1", 4601, 1.0), ("a=1", 2199, 1.0), ("a=1", 2200, 7.0), ("b=1", -20_000, 1.0), ("a=1", 4000, 9.0)];
    let refused = put(&store, &rows, 4000);
    assert_eq!((refused.in_future, refused.out_of_order, refused.too_old, refused.total()), (1, 1, 1, 3));
    let named: Vec<_> = refused.examples.iter().map(|row| (row.row, row.series.as_str(), row.reason.clone())).collect();
    let want = [(0, "{a=\"1\"}", Reason::InFuture), (1, "{a=\"1\"}", Reason::OutOfOrder), (3, "{b=\"1\"}", Reason::TooOld)];
    assert_eq!(named, want);
    assert_eq!(read(&store, "a=1"), [(0, 1.0), (2200, 7.0), (4000, 9.0)], "late ones find their place, the last one wins");
    assert_eq!(store.stats().refused.total(), 3);
    assert_eq!(store.stats().series, 1);
}

#[test]
fn too_many_series_name_the_label_to_blame() {
    let store = open(&Simulated::new(1), Options { series_per_source_max: 5, series_max: 8, ..options() });
    let rows: Vec<String> = (0..7).map(|user| format!("instance=web,user={user},zone=a")).collect();
    let rows: Vec<_> = rows.iter().map(|series| (series.as_str(), 0, 1.0)).collect();
    let refused = put(&store, &rows, 0);
    assert_eq!(refused.too_many_series, 2);
    assert_eq!(
        refused.examples[0].reason.to_string(),
        "instance=web has 5 series, the limit; most new values come from the label `user`"
    );
    assert_eq!(put(&store, &rows[..5], 1).total(), 0, "known series are still taken");
    let refused = put(&store, &[("x=1", 0, 1.0), ("x=2", 0, 1.0), ("x=3", 0, 1.0), ("x=4", 0, 1.0)], 0);
    assert_eq!(refused.too_many_series, 1);
}

/// Few samples come, so a flush for their sake would be days away; and what they froze would hold the idle series for as long.
#[test]
fn room_for_new_series_comes_back_when_the_others_have_been_idle() {
    let store = open(&Simulated::new(1), Options { series_max: 10, ..options() });
    let pods: Vec<String> = (0..9).map(|pod| format!("pod={pod}")).collect();
    put(&store, &[("known=1", 0, 1.0)], 0);
    put(&store, &pods.iter().map(|pod| (pod.as_str(), 0, 2.0)).collect::<Vec<_>>(), 0);
    let mut taken_at = None;
    for minute in 1..60 {
        let secs = minute * 60;
        assert_eq!(put(&store, &[("known=1", secs, 1.0)], secs).total(), 0, "known series go on");
        let refused = put(&store, &[("fresh=1", secs, 3.0)], secs);
        assert_eq!(refused.total(), refused.too_many_series);
        if refused.total() == 0 {
            taken_at = Some(minute);
            break;
        }
    }
    assert!(taken_at.is_some_and(|minute| (10..=25).contains(&minute)), "{taken_at:?}");
    assert_eq!(store.stats().series, 2, "the idle ones have left");
    assert_eq!(read(&store, "pod=7"), [(0, 2.0)], "and can be read all the same");
    assert_eq!(read(&store, "known=1").len() as i64, taken_at.unwrap() + 1);
}

#[test]
fn a_start_leaves_known_series_their_room() {
    let files = Simulated::new(1);
    let limited = || Options { series_max: 3, ..options() };
    let store = open(&files, limited());
    put(&store, &[("a=1", 0, 1.0), ("b=1", 0, 1.0), ("c=1", 0, 1.0)], 0);
    store.close().unwrap();
    drop(store);
    let store = open(&files, limited());
    put(&store, &[("a=1", 60, 2.0)], 60);
    let churn = [("job=churn,pod=1", 60, 1.0), ("job=churn,pod=2", 60, 1.0), ("job=churn,pod=3", 60, 1.0)];
    let refused = put(&store, &churn, 60);
    assert_eq!(refused.too_many_series, 3);
    let blames = |reason: &Reason| matches!(reason, Reason::TooManySeries { blame, limit: 3, .. } if blame == "pod");
    assert!(refused.examples.iter().all(|one| blames(&one.reason)), "known from the first body on: {refused:?}");
    store.flush().unwrap();
    assert_eq!(put(&store, &[("churn=2", 61, 1.0)], 61).too_many_series, 1, "the others have not sent since the start");
    assert_eq!(put(&store, &[("b=1", 62, 2.0), ("c=1", 62, 2.0)], 62).total(), 0);
}

#[test]
fn long_labels_use_up_the_memory_before_the_number() {
    let store = open(&Simulated::new(1), Options { series_bytes_max: 8_000, ..options() });
    let long = format!("a=1,why={}", "x".repeat(3_000));
    assert_eq!(put(&store, &[(&long, 0, 1.0)], 0).total(), 0);
    let refused = put(&store, &[(&format!("{long}y"), 0, 1.0), ("a=1", 0, 1.0), (&long, 1, 2.0)], 1);
    assert_eq!((refused.total(), refused.too_many_series), (1, 1));
    let reason = &refused.examples[0].reason;
    assert!(matches!(reason, Reason::NoMemory { blame, series: 1, limit_bytes: 8_000 } if blame == "why"), "{reason}");
}

#[test]
fn matchers_find_as_in_prometheus() {
    let store = open(&Simulated::new(1), options());
    let rows = [("__name__=up,job=web,host=a", 0, 1.0), ("__name__=up,job=db", 0, 1.0), ("__name__=load,job=web", 50, 1.0)];
    put(&store, &rows, 0);
    let find = |matchers: &[Matcher], range| {
        let mut found: Vec<_> =
            store.series(matchers, range, 10).unwrap().into_iter().map(|(_, labels)| labels.to_string()).collect();
        found.sort();
        found
    };
    let up = matcher("__name__", MatchOp::Equal, "up");
    assert_eq!(find(std::slice::from_ref(&up), EVER), [r#"up{host="a", job="web"}"#, r#"up{job="db"}"#]);
    assert_eq!(find(&[up.clone(), matcher("host", MatchOp::Equal, "")], EVER), [r#"up{job="db"}"#]);
    assert_eq!(find(&[up.clone(), matcher("job", MatchOp::NotEqual, "db")], EVER), [r#"up{host="a", job="web"}"#]);
    assert_eq!(find(&[matcher("job", MatchOp::Regex, "we.|x"), matcher("host", MatchOp::Regex, ".+")], EVER).len(), 1);
    assert_eq!(find(&[matcher("host", MatchOp::NotRegex, "a")], EVER).len(), 2);
    assert_eq!(find(&[], TimeRange { from: at(10), to: at(60) }), [r#"load{job="web"}"#]);
    assert!(find(&[matcher("none", MatchOp::Equal, "x")], EVER).is_empty());
    assert!(matches!(store.series(&[], EVER, 2), Err(SourceError::TooManySeries { found: 3, limit: 2 })));
    assert_eq!(store.label_names(&[], EVER).unwrap(), ["__name__", "host", "job"]);
    assert_eq!(store.label_values("job", &[up], EVER).unwrap(), ["db", "web"]);
}

#[test]
fn closed_and_opened_it_is_the_same_and_the_log_replays() {
    let files = Simulated::new(1);
    let store = open(&files, options());
    for step in 0..1000 {
        put(&store, &[("a=1", step, step as f64), ("b=2", step, 0.5)], step);
    }
    let metadata = Metadata { kind: "counter".into(), help: "what it is".into(), unit: "seconds".into() };
    store.set_metadata("a", metadata.clone()).unwrap().unwrap().wait().unwrap();
    assert!(store.set_metadata("a", metadata.clone()).unwrap().is_none(), "known already");
    put(&store, &[("a=1", 900, -1.0)], 1000);
    let before = (read(&store, "a=1"), read(&store, "b=2"));
    store.close().unwrap();
    drop(store);
    let store = open(&files, options());
    assert_eq!((read(&store, "a=1"), read(&store, "b=2")), before);
    assert_eq!(store.metadata().get("a"), Some(&metadata));
    assert_eq!(store.damage(), store::Damage::default());
    let mut seen = Vec::new();
    let mut see = |received: Time, batch: &SampleBatch| {
        seen.push((received.micros_from(at(0)) / 1_000_000, batch.len()));
        ControlFlow::Continue(())
    };
    store.replay_log(at(998), &mut see).unwrap();
    assert_eq!(seen, [(998, 2), (999, 2), (1000, 1)]);
}

#[test]
fn retention_drops_samples_and_series_but_the_log_still_names_them() {
    let files = Simulated::new(1);
    let store = open(
        &files,
        Options {
            retention: Duration::from_secs(86_400),
            keep_log: Duration::from_secs(864_000),
            checkpoint_bytes: 4 << 10,
            memory_bytes: 0,
            ..options()
        },
    );
    for step in 0..300 {
        put(&store, &[("gone=1", step, 1.0)], step);
    }
    for step in 3..2000 {
        put(&store, &[("stays=1", step * 200, 1.0)], step * 200);
    }
    assert!(read(&store, "gone=1").is_empty());
    assert_eq!(store.stats().series, 1);
    assert!(read(&store, "stays=1").len() < 900, "two days at most: whole days go");
    drop(store);
    let store = open(&files, options());
    let mut named = 0;
    let mut count = |_: Time, batch: &SampleBatch| {
        named += batch.iter().filter(|(key, _)| *key == labels("gone=1").key()).count();
        ControlFlow::Continue(())
    };
    store.replay_log(Time::MIN, &mut count).unwrap();
    assert_eq!(named, 300);
    put(&store, &[("gone=1", 400_000, 2.0)], 400_000);
    assert_eq!(read(&store, "gone=1"), [(400_000, 2.0)]);
}

#[test]
fn a_full_disk_refuses_and_goes_on_by_itself() {
    let files = Simulated::new(1);
    let store = open(&files, options());
    put(&store, &[("a=1", 0, 1.0)], 0);
    files.break_writes(Some(Fault::Enospc));
    let appended = store.append(&batch(&[("a=1", 1, 1.0), ("failed=1", 1, 1.0)]), at(1)).unwrap();
    assert!(matches!(appended.commit.wait(), Err(StoreError::Full)));
    assert!(matches!(store.append(&batch(&[("a=1", 2, 1.0)]), at(2)), Err(StoreError::Full)));
    assert!(store.stats().refusing.is_some());
    files.break_writes(None);
    assert!(matches!(store.append(&batch(&[("a=1", 2, 1.0)]), at(2)), Err(StoreError::Full)), "one probe a second");
    put(&store, &[("a=1", 3, 3.0), ("new=1", 3, 3.0), ("failed=1", 3, 3.0)], 3);
    store.pause_writes(true);
    assert!(store.append(&batch(&[("a=1", 4, 1.0)]), at(4)).err().unwrap().is_temporary());
    store.pause_writes(false);
    put(&store, &[("a=1", 4, 4.0)], 4);
    files.power_cut();
    drop(store);
    let store = open(&files, options());
    assert_eq!(read(&store, "new=1"), [(3, 3.0)]);
    assert_eq!(read(&store, "failed=1"), [(3, 3.0)], "its name was in a group that never reached the disk");
    assert_eq!(&read(&store, "a=1")[read(&store, "a=1").len() - 2..], [(3, 3.0), (4, 4.0)]);
}

#[test]
fn a_group_written_again_after_a_failed_sync_replays_once() {
    let files = Simulated::new(1);
    let store = open(&files, options());
    put(&store, &[("a=1", 0, 1.0)], 0);
    // The next group is one write and one sync: the sync fails, so the group goes into a second segment.
    files.fail_call(2, Fault::Eio);
    put(&store, &[("a=1", 1, 2.0), ("b=1", 1, 2.0)], 1);
    put(&store, &[("b=1", 2, 3.0)], 2);
    drop(store);
    assert_eq!(store::files::Files::list(&files, std::path::Path::new("/data/metrics/log")).unwrap().len(), 2);
    let store = open(&files, options());
    let mut seen = Vec::new();
    let mut see = |_: Time, batch: &SampleBatch| {
        seen.push(batch.len());
        ControlFlow::Continue(())
    };
    store.replay_log(Time::MIN, &mut see).unwrap();
    assert_eq!(seen, [1, 2, 1]);
    assert_eq!(read(&store, "b=1"), [(1, 2.0), (2, 3.0)]);
}

#[test]
fn a_name_written_once_is_written_again_by_the_next_opening() {
    let files = Simulated::new(1);
    put(&open(&files, options()), &[("only=1", 0, 1.0)], 0);
    put(&open(&files, options()), &[("only=1", 1, 2.0), ("only=1", 2, 3.0)], 2);
    // The record with the name, the first of the first segment, gets a damaged byte.
    let path = std::path::Path::new("/data/metrics/log/0000000000000001.log");
    let mut bytes = files.contents(path).unwrap();
    bytes[1024 + 30] ^= 4;
    files.put(path, bytes);
    let store = open(&files, options());
    assert_eq!(store.damage().log_places, 1);
    assert_eq!(read(&store, "only=1"), [(0, 1.0), (1, 2.0), (2, 3.0)]);
}

#[test]
fn a_newer_format_is_refused_with_a_sentence() {
    let files = Simulated::new(1);
    let store = open(&files, options());
    put(&store, &[("a=1", 0, 1.0)], 0);
    drop(store);
    let path = std::path::Path::new("/data/metrics/log/0000000000000001.log");
    let bytes = store::faults::as_written_by_version(files.contents(path).unwrap(), 1, 9);
    files.put(path, bytes);
    let error = Store::open(options(), Arc::new(files), at(0)).err().unwrap().to_string();
    assert!(
        error.ends_with("is in format version 9, this flyball reads up to 2: start the newer flyball that wrote it"),
        "{error}"
    );
}

#[test]
fn six_hours_of_a_usual_host_cost_few_bytes() {
    let store = open(&Simulated::new(1), Options { segment_bytes: 1 << 20, ..options() });
    let names: Vec<Labels> = (0..20).map(|number| labels(&format!("__name__=m{number},instance=a"))).collect();
    let mut random = store::files::Random::new(1);
    let mut counters = [0.0; 20];
    for step in 0..4_000 {
        let mut batch = SampleBatch::new();
        for (number, name) in names.iter().enumerate() {
            // Of a host's series some are constant, most are counters, some gauges with many digits.
            counters[number] = match number {
                0..8 => 42.0,
                8..16 => counters[number] + random.below(50) as f64,
                _ => 8e9 + (random.below(4_000) * 4096) as f64,
            };
            batch.push(name, at(step), counters[number]);
        }
        drop(store.append(&batch, at(step)).unwrap());
        store.pump();
    }
    store.flush().unwrap();
    let stats = store.stats();
    let cost = stats.sample_bytes as f64 / stats.samples as f64;
    // The open samples of each series, 16 bytes each, weigh a fifth of this here, and 1/30 of it in six hours.
    assert!(cost < 2.6, "{cost:.2} bytes per sample");
}

/// Found by a server that stood still: figures are read while series are new. A deadlock is what this finds, by not ending.
#[test]
fn figures_are_read_while_series_are_new() {
    let files = Simulated::new(9);
    let store = Arc::new(open(&files, Options { driven_by_caller: false, ..options() }));
    let reads = {
        let reader = store.clone();
        let (done, is_done) = mpsc::channel::<()>();
        let thread = std::thread::spawn(move || {
            let mut most = 0;
            while is_done.try_recv() == Err(mpsc::TryRecvError::Empty) {
                most = reader.stats().series.max(most);
            }
            most
        });
        for number in 0..3_000 {
            let one = format!("a={number}");
            drop(store.append(&batch(&[(one.as_str(), 0, 1.0)]), at(1)).unwrap());
        }
        drop(done);
        thread.join().unwrap()
    };
    assert!(reads <= 3_000);
    assert_eq!(store.stats().series, 3_000);
}

#[test]
fn deleted_is_gone_from_memory_and_disk() {
    let files = Simulated::new(1);
    let store = open(&files, options());
    for step in 0..100 {
        put(&store, &[("a=1", step, step as f64), ("b=2", step, 0.5)], step);
    }
    store.flush().unwrap();
    let gone = store.delete(&[vec![matcher("a", MatchOp::Equal, "1")]], at(40), Time::MAX).unwrap();
    assert_eq!(gone, 60);
    assert_eq!(read(&store, "a=1").last(), Some(&(39, 39.0)));
    assert_eq!(read(&store, "b=2").len(), 100);
    let view = store.view();
    let (series, _) = view.series(&[matcher("a", MatchOp::Equal, "1")], EVER, 10).unwrap().remove(0);
    let mut last = Columns::default();
    view.last(series, EVER, &mut last).unwrap();
    assert_eq!(last.values, [39.0], "the newest that is left");
    drop((view, store));
    assert_eq!(read(&open(&files, options()), "a=1").len(), 40);
}

#[test]
fn a_snapshot_is_a_store_of_its_own() {
    let files = Simulated::new(1);
    let store = open(&files, options());
    for step in 0..100 {
        put(&store, &[("a=1", step, step as f64)], step);
    }
    store.snapshot(std::path::Path::new("/snapshot")).unwrap();
    put(&store, &[("a=1", 100, 100.0)], 100);
    assert!(store.snapshot(std::path::Path::new("/snapshot")).is_err(), "one is there");
    let copy = open(&files, Options { dir: "/snapshot".into(), ..options() });
    assert_eq!(read(&copy, "a=1").len(), 100);
    put(&copy, &[("a=1", 200, 1.0), ("new=1", 200, 1.0)], 200);
    assert_eq!((read(&copy, "a=1").len(), read(&copy, "new=1").len(), read(&store, "a=1").len()), (101, 1, 101));
}

#[test]
fn damage_to_the_newest_part_is_told_after_a_start() {
    let files = Simulated::new(1);
    let store = open(&files, options());
    put(&store, &[("of=yesterday", -86_400, 1.0)], -86_400);
    put(&store, &[("of=today", 0, 1.0)], 0);
    store.close().unwrap();
    drop(store);
    let dir = std::path::Path::new("/data/metrics/history");
    let newest = files.list(dir).unwrap().into_iter().filter(|name| name.ends_with(".part")).max().unwrap();
    files.put(&dir.join(newest), vec![0; 100]);
    let store = open(&files, options());
    assert_eq!(store.damage().parts, 1);
    for (from, told) in [(-600, true), (-2 * 86_400, true), (-1_000_000, true)] {
        let view = store.view();
        let range = TimeRange { from: at(from), to: at(0) };
        view.series(&[matcher("of", MatchOp::Regex, ".*")], range, 10).unwrap();
        assert_eq!(view.missed().is_some(), told, "{from}");
    }
    let view = store.view();
    view.series(&[], TimeRange { from: at(-1_000_000), to: at(-90_000) }, 10).unwrap();
    assert_eq!(view.missed(), None, "nothing of that day is missing");
}

#[test]
fn a_query_keeps_the_series_that_a_flush_takes_out_of_memory() {
    let store = open(&Simulated::new(1), Options { memory_bytes: 0, ..options() });
    // As many as lie together.
    let names: Vec<String> = (1..=64).map(|number| format!("ends={number}")).collect();
    for secs in 0..2 {
        put(&store, &names.iter().map(|name| (name.as_str(), secs, secs as f64)).collect::<Vec<_>>(), secs);
    }
    let view = store.view();
    let found = view.series(&[matcher("ends", MatchOp::Equal, "1")], EVER, 10).unwrap();
    // Two hours later nothing of them is in memory.
    for hour in 1..4 {
        put(&store, &[("other=1", hour * 3_600, 1.0)], hour * 3_600);
        store.flush().unwrap();
    }
    assert_eq!(store.stats().series, 1);
    let mut columns = Columns::default();
    view.read(found[0].0, EVER, &mut columns).unwrap();
    assert_eq!(columns.values, [0.0, 1.0]);
}

#[test]
fn a_store_is_tidied_up_though_no_flush_comes() {
    let files = Simulated::new(1);
    let running = || Options { driven_by_caller: false, ..options() };
    let store = open(&files, running());
    for day in 0..5 {
        put(&store, &[("a=1", day * 86_400, day as f64)], day * 86_400);
    }
    store.close().unwrap();
    drop(store);
    let options = Options { retention: Duration::from_secs(2 * 86_400), ..running() };
    let store = Store::open(options, Arc::new(files.clone()), at(4 * 86_400)).unwrap();
    let begun = std::time::Instant::now();
    while store.stats().history.days > 3 {
        assert!(begun.elapsed() < Duration::from_secs(20), "{:?}", store.stats().history);
        std::thread::sleep(Duration::from_millis(5));
    }
}

#[test]
fn a_busy_log_goes_on_in_segments_that_were_prepared_and_leaves_none_behind() {
    let files = Simulated::new(1);
    let store = open(&files, options());
    let dir = Path::new("/data/metrics/log");
    let of_zeros = || {
        let names = files.list(dir).unwrap();
        let zeros = |name: &String| files.contents(&dir.join(name)).unwrap().iter().all(|byte| *byte == 0);
        names.into_iter().filter(zeros).collect::<Vec<String>>()
    };
    // Each batch takes a sector, so they fill a few segments.
    let batches = 400;
    for step in 0..batches {
        put(&store, &[("a=1", step, step as f64)], step);
    }
    // As a prepared segment gets its number beforehand, they follow each other without a gap, and the one behind all is the next.
    let names = files.list(dir).unwrap();
    let count = names.len();
    assert!(count > 4, "{names:?}");
    assert_eq!(names, (1..=count).map(|number| format!("{number:016x}.log")).collect::<Vec<_>>());
    assert_eq!(of_zeros(), names[count - 1..]);
    files.kill();
    drop(store);
    let store = open(&files, options());
    assert!(!store.damage().any(), "{:?}", store.damage());
    assert!(of_zeros().is_empty());
    assert_eq!(read(&store, "a=1").len(), batches as usize);
    put(&store, &[("a=1", batches, 1.0)], batches);
    assert_eq!(read(&store, "a=1").len(), batches as usize + 1);
}
