//! The store under faults, each from a seed: what an acknowledged sample is worth.
//!
//! Every campaign runs the real store over [`Simulated`] files (or real ones, for kill -9), remembers what was acknowledged,
//! breaks something, opens again and compares. The tests run small sizes; `cargo run -p store --example faults` any size.

use std::sync::Arc;

use model::{Labels, SampleBatch, Time};

use crate::files::{Fault, Random, Simulated};
use crate::{Commit, Metadata, Options, Store, StoreError};

mod damage;
mod flights;
mod history;
mod load;
mod process;
mod truth;

pub use damage::{as_written_by_version, cut, flip, flip_checkpoint};
pub use flights::flights;
pub use history::{crash_in_history, flip_history};
pub use load::{senders, slow_disk};
pub use process::{kill, write_until_killed};
use truth::Truth;

/// What a campaign found. `lost` and `wrong` must be zero.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Report {
    /// How many times something was broken and the store opened again.
    pub runs: u64,
    /// Samples that were acknowledged.
    pub acked: u64,
    /// Acknowledged samples that are missing, beyond what the campaign allows.
    pub lost: u64,
    /// Samples with a value that was never sent for that instant.
    pub wrong: u64,
    /// What went wrong, with seed or place: the first few.
    pub failures: Vec<String>,
}

impl Report {
    fn fail(&mut self, what: String) {
        if self.failures.len() < 10 {
            self.failures.push(what);
        }
    }

    fn compare(&mut self, truth: &Truth, store: &Store, place: &dyn std::fmt::Display) {
        let (lost, wrong) = truth.compare(store);
        self.lost += lost;
        self.wrong += wrong;
        if lost + wrong > 0 {
            self.fail(format!("{place}: {lost} lost, {wrong} wrong"));
        }
    }
}

const BEGIN: i64 = 1_700_000_000;
const DIR: &str = "/data/metrics";

fn small_options() -> Options {
    Options {
        segment_bytes: 8 << 10,
        checkpoint_bytes: 12 << 10,
        keep_log_bytes: 64 << 10,
        driven_by_caller: true,
        ..Options::new(DIR)
    }
}

/// A batch and what it sends: each row a series' number, a time and a value.
fn sending(rows: impl IntoIterator<Item = (u64, Time, f64)>) -> (SampleBatch, Vec<truth::Put>) {
    let (mut batch, mut puts) = (SampleBatch::new(), Vec::new());
    for (number, time, value) in rows {
        batch.push(&series(number), time, value);
        puts.push(truth::Put { series: number, time, bits: value.to_bits() });
    }
    (batch, puts)
}

/// Appends, waits, and notes it as acknowledged.
fn append_acked(store: &Store, truth: &mut Truth, (batch, puts): (SampleBatch, Vec<truth::Put>), received: Time) {
    let appended = store.append(&batch, received).expect("a healthy disk");
    appended.commit.wait().expect("a healthy disk");
    truth.sent(&puts);
    truth.acked(&puts);
}

fn series(number: u64) -> Labels {
    Labels::new([("__name__", "load"), ("instance", &format!("host-{number}"))]).expect("two labels")
}

/// A store under work: appends, waits for some, checkpoints, sets metadata.
struct Work {
    random: Random,
    files: Simulated,
    store: Store,
    truth: Truth,
    now: i64,
    waiting: Vec<(Commit, Vec<truth::Put>)>,
}

impl Work {
    fn begin(seed: u64, files: Simulated) -> Result<Work, StoreError> {
        let store = Store::open(small_options(), Arc::new(files.clone()), Time::from_secs(BEGIN))?;
        Ok(Work { random: Random::new(seed), files, store, truth: Truth::default(), now: BEGIN, waiting: Vec::new() })
    }

    /// One random deed. Errors of the disk are part of the game: what failed was not acknowledged.
    fn step(&mut self) {
        self.now += 1;
        match self.random.below(20) {
            0 => drop(self.store.flush()),
            1 => {
                let metadata = Metadata { help: format!("{}", self.now), ..Metadata::default() };
                let _ = self.store.set_metadata("load", metadata);
            }
            2..=7 => {
                self.store.pump();
            }
            _ => self.append(),
        }
        self.settle();
    }

    fn append(&mut self) {
        let mut batch = SampleBatch::new();
        let mut puts = Vec::new();
        let known = 2 + (self.now - BEGIN) as u64 / 4;
        for _ in 0..=self.random.below(20) {
            let number = self.random.below(known.min(30));
            let late = if self.random.chance(20) { self.random.below(600) as i64 } else { 0 };
            let time = Time::from_secs(self.now - late);
            let value = match self.random.below(3) {
                0 => self.random.below(100) as f64,
                1 => self.random.below(1_000_000) as f64 / 100.0,
                _ => f64::from_bits(self.random.bits()),
            };
            batch.push(&series(number), time, value);
            puts.push(truth::Put { series: number, time, bits: value.to_bits() });
        }
        let Ok(appended) = self.store.append(&batch, Time::from_secs(self.now)) else { return };
        assert_eq!(appended.accepted, puts.len(), "nothing here is too old: {:?}", appended.refused);
        self.truth.sent(&puts);
        self.waiting.push((appended.commit, puts));
    }

    /// Takes note of what is acknowledged by now.
    fn settle(&mut self) {
        let truth = &mut self.truth;
        self.waiting.retain(|(commit, puts)| match commit.poll() {
            None => true,
            Some(Ok(())) => {
                truth.acked(puts);
                false
            }
            Some(Err(_)) => false,
        });
    }

    /// Opens again after a crash.
    fn reopen(&mut self) -> Result<(), StoreError> {
        self.settle();
        self.waiting.clear();
        self.store = Store::open(small_options(), Arc::new(self.files.clone()), Time::from_secs(self.now))?;
        Ok(())
    }
}

/// F-02: works, cuts the power somewhere within a call, opens, compares, works on: three times per seed.
pub fn power_cut(seeds: std::ops::Range<u64>) -> Report {
    let mut report = Report::default();
    for seed in seeds {
        let Ok(mut work) = Work::begin(seed, Simulated::new(seed)) else { continue };
        for _ in 0..3 {
            let calls = work.random.below(120);
            work.files.power_off_after(calls);
            for _ in 0..40 {
                work.step();
            }
            work.files.power_cut();
            report.runs += 1;
            match work.reopen() {
                Ok(()) => report.compare(&work.truth, &work.store, &format_args!("power cut, seed {seed}")),
                Err(error) => report.fail(format!("seed {seed} does not open: {error}")),
            }
        }
        report.acked += work.truth.acked_len();
    }
    report
}

/// F-52: random work against a map, with kills, power cuts and clean closes between; compared after each.
pub fn model(seeds: std::ops::Range<u64>, steps: u64) -> Report {
    let mut report = Report::default();
    for seed in seeds {
        let Ok(mut work) = Work::begin(seed, Simulated::new(seed)) else { continue };
        for step in 0..steps {
            // Now and then the disk fails for a while: what is acknowledged after it must not depend on what it lost.
            match work.random.below(60) {
                0 => work.files.break_writes(Some(Fault::Enospc)),
                1..8 => work.files.break_writes(None),
                _ => {}
            }
            work.step();
            if work.random.below(40) > 0 {
                continue;
            }
            work.files.break_writes(None);
            match work.random.below(3) {
                0 => {
                    if let Err(error) = work.store.close() {
                        report.fail(format!("seed {seed} step {step} does not close: {error}"));
                    }
                    work.settle();
                    work.files.kill();
                }
                1 => work.files.kill(),
                _ => work.files.power_cut(),
            }
            report.runs += 1;
            match work.reopen() {
                Ok(()) => report.compare(&work.truth, &work.store, &format_args!("model, seed {seed}, step {step}")),
                Err(error) => report.fail(format!("seed {seed} step {step} does not open: {error}")),
            }
        }
        report.compare(&work.truth, &work.store, &format_args!("model, seed {seed}, live"));
        report.acked += work.truth.acked_len();
    }
    report
}

/// F-06: the same work again and again, and each time another call fails, in each of four ways. Then the power is cut.
pub fn fail_call(steps: u64, stride: u64) -> Report {
    let mut report = Report::default();
    let calls = {
        let files = Simulated::new(6);
        let mut work = Work::begin(6, files.clone()).expect("a healthy disk");
        (0..steps).for_each(|_| work.step());
        files.calls()
    };
    for nth in (1..=calls).step_by(stride.max(1) as usize) {
        for fault in [Fault::Eio, Fault::Enospc, Fault::Short, Fault::Eintr] {
            let files = Simulated::new(nth);
            files.fail_call(nth, fault);
            // A fault at the opening itself is an error, and the next try succeeds.
            let began = Work::begin(6, files.clone()).or_else(|_| Work::begin(6, files.clone()));
            let Ok(mut work) = began else {
                report.fail(format!("{fault:?} at call {nth}: does not open the second time"));
                continue;
            };
            (0..steps).for_each(|_| work.step());
            work.now += 2;
            let before = work.truth.acked_len();
            work.append();
            work.store.pump();
            work.settle();
            if work.truth.acked_len() == before {
                report.fail(format!("{fault:?} at call {nth}: takes nothing afterwards"));
            }
            files.power_cut();
            report.runs += 1;
            match work.reopen() {
                Ok(()) => report.compare(&work.truth, &work.store, &format_args!("{fault:?} at call {nth}")),
                Err(error) => report.fail(format!("{fault:?} at call {nth}: does not open: {error}")),
            }
            report.acked += work.truth.acked_len();
        }
    }
    report
}

/// F-05: a disk of each size in steps; filled until samples are refused, then there is room again, without a restart.
pub fn disk_full(sizes: impl Iterator<Item = u64>) -> Report {
    let mut report = Report::default();
    for size in sizes {
        let files = Simulated::new(size);
        files.set_capacity(Some(size));
        let Ok(mut work) = Work::begin(size, files.clone()) else {
            report.fail(format!("{size} bytes: does not open on an empty disk"));
            continue;
        };
        let mut refused = 0;
        for _ in 0..5_000 {
            work.step();
            refused += u64::from(work.store.stats().refusing.is_some());
            if refused > 20 {
                break;
            }
        }
        if refused == 0 {
            report.fail(format!("{size} bytes: never full"));
        }
        files.set_capacity(None);
        // The first append asks for a probe, and goes through where it succeeds.
        work.now += 2;
        let before = work.truth.acked_len();
        work.append();
        work.store.pump();
        work.settle();
        if work.truth.acked_len() == before {
            report.fail(format!("{size} bytes: there is room again, but nothing is taken"));
        }
        files.power_cut();
        report.runs += 1;
        match work.reopen() {
            Ok(()) => report.compare(&work.truth, &work.store, &format_args!("full at {size} bytes")),
            Err(error) => report.fail(format!("{size} bytes: does not open: {error}")),
        }
        report.acked += work.truth.acked_len();
    }
    report
}
