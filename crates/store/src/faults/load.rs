//! The store with its own threads: many senders at once, and a disk that does not answer.

use std::sync::Arc;

use model::Time;
use query::source::TimeRange;

use super::truth::{self, Truth};
use super::{BEGIN, Report, sending, small_options};
use crate::files::Simulated;
use crate::{Options, Store, StoreError};

/// Many senders at once, each with its series, while checkpoints are written and the log is cut: then the power goes.
pub fn senders(threads: u64, batches: i64, seed: u64) -> Report {
    let files = Simulated::new(seed);
    let mut report = Report { runs: 1, ..Report::default() };
    let options = Options { driven_by_caller: false, keep_log_bytes: 0, ..small_options() };
    let opened = Store::open(options, Arc::new(files.clone()), Time::from_secs(BEGIN));
    let Ok(store) = opened else { return report };
    let send = &|sender: u64| {
        let mut acked = Vec::new();
        for number in 0..batches {
            let time = Time::from_secs(BEGIN + number);
            // Each second series comes later, so that names are made all the time.
            let rows = (0..3).filter(|place| number > *place as i64 * 20).map(|place| (sender * 3 + place, time, number as f64));
            let (batch, puts) = sending(rows);
            if let Ok(appended) = store.append(&batch, time)
                && appended.commit.wait().is_ok()
            {
                acked.push(puts);
            }
        }
        acked
    };
    let mut truth = Truth::default();
    std::thread::scope(|scope| {
        let running: Vec<_> = (0..threads.min(13)).map(|sender| scope.spawn(move || send(sender))).collect();
        for sender in running {
            match sender.join() {
                Ok(acked) => acked.iter().for_each(|puts| {
                    truth.sent(puts);
                    truth.acked(puts);
                }),
                Err(_) => report.fail("a sender panicked".to_owned()),
            }
        }
    });
    if store.stats().checkpoints == 0 {
        report.fail("no checkpoint was written meanwhile".to_owned());
    }
    report.compare(&truth, &store, &"senders, before");
    files.power_cut();
    drop(store);
    report.acked = truth.acked_len();
    match Store::open(small_options(), Arc::new(files), Time::from_secs(BEGIN + batches)) {
        Ok(store) => report.compare(&truth, &store, &"senders, after the power cut"),
        Err(error) => report.fail(format!("does not open: {error}")),
    }
    report
}

/// F-07: a disk that does not answer: samples are seen at once and acknowledged only when it does; too many: come again.
pub fn slow_disk(batches: u64) -> Report {
    let mut report = Report::default();
    let files = Simulated::new(7);
    let (open_gate, gate) = std::sync::mpsc::channel::<()>();
    let gate = std::sync::Mutex::new(gate);
    let options = Options { driven_by_caller: false, queue_bytes_max: 16 << 10, ..small_options() };
    let Ok(store) = Store::open(options, Arc::new(files.clone()), Time::from_secs(BEGIN)) else { return report };
    // Blocks until the gate is dropped, then lets everything through.
    files.before_sync(move || drop(gate.lock().map(|gate| gate.recv())));
    let (mut truth, mut waiting, mut busy) = (Truth::default(), Vec::new(), 0);
    for step in 0..batches {
        let (time, value) = (Time::from_secs(BEGIN + step as i64), step as f64);
        let (batch, puts) = sending((0..20).map(|number| (number, time, value)));
        match store.append(&batch, time) {
            Ok(appended) => {
                truth.sent(&puts);
                if truth::read(&store, 0, TimeRange { from: time, to: time }).is_none_or(|seen| seen.len() != 1) {
                    report.fail(format!("batch {step}: not seen at once"));
                }
                waiting.push((appended.commit, puts));
            }
            Err(StoreError::Busy { .. }) => busy += 1,
            Err(error) => report.fail(format!("batch {step}: {error}")),
        }
    }
    if busy == 0 {
        report.fail("the queue has no end".to_owned());
    }
    if waiting.iter().any(|(commit, _)| commit.poll().is_some()) {
        report.fail("acknowledged before the sync".to_owned());
    }
    drop(open_gate);
    for (commit, puts) in waiting {
        match commit.wait() {
            Ok(()) => truth.acked(&puts),
            Err(error) => report.fail(format!("after the disk came back: {error}")),
        }
    }
    files.power_cut();
    drop(store);
    report.runs = 1;
    report.acked = truth.acked_len();
    match Store::open(small_options(), Arc::new(files), Time::from_secs(BEGIN)) {
        Ok(store) => report.compare(&truth, &store, &"slow disk"),
        Err(error) => report.fail(format!("does not open: {error}")),
    }
    report
}
