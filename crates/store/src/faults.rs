//! The store under faults, each from a seed: what an acknowledged sample is worth.
//!
//! Every campaign runs the real store over [`Simulated`] files (or real ones, for kill -9), remembers what was acknowledged,
//! breaks something, opens again and compares. The tests run small sizes; `cargo run -p store --example faults` any size.

use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use model::{Labels, SampleBatch, Time};
use query::source::TimeRange;

use crate::files::{Fault, Files, OnDisk, Random, Simulated};
use crate::frame::Kind;
use crate::{Commit, Metadata, Options, Store, StoreError, segment};

mod truth;

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

/// A log of about `bytes` in one segment, and for each samples record its end and what it holds.
struct OneLog {
    path: PathBuf,
    bytes: Vec<u8>,
    records: Vec<(usize, Vec<truth::Put>)>,
}

fn one_log(bytes: u64) -> OneLog {
    let files = Simulated::new(3);
    let options = Options { segment_bytes: bytes, checkpoint_bytes: u64::MAX, ..small_options() };
    let store = Store::open(options, Arc::new(files.clone()), Time::from_secs(BEGIN)).expect("a healthy disk");
    let path = segment::path(&Path::new(DIR).join("log"), 1);
    let mut random = Random::new(bytes);
    let mut sent = Vec::new();
    for step in 0.. {
        let time = Time::from_secs(BEGIN + step);
        let (batch, puts) = sending((0..=random.below(12)).map(|number| (number, time, random.below(10_000) as f64 / 4.0)));
        let appended = store.append(&batch, time).expect("a healthy disk");
        appended.commit.wait().expect("a healthy disk");
        if store.inner.log.segments().len() > 1 {
            break;
        }
        sent.push(puts);
    }
    let bytes = files.contents(&path).expect("the first segment");
    let mut ends = Vec::new();
    let found = segment::records(&path, &bytes, 1, |record| {
        if record.kind == Kind::Samples as u8 {
            ends.push(record.end);
        }
        Ok(())
    });
    assert!(found.is_ok() && ends.len() == sent.len(), "every batch is one record");
    OneLog { path, bytes, records: ends.into_iter().zip(sent).collect() }
}

impl OneLog {
    /// After the log another segment, written by a second opening: its samples need the names in the first.
    fn later(&self, truth: &mut Truth) -> (PathBuf, Vec<u8>) {
        let files = Simulated::new(2);
        files.put(&self.path, self.bytes.clone());
        let later = Time::from_secs(BEGIN + 900);
        let store = Store::open(small_options(), Arc::new(files.clone()), later).expect("a healthy disk");
        for number in 0..13 {
            append_acked(&store, truth, sending([(number, later, 1.5)]), later);
        }
        let path = self.path.with_file_name("0000000000000002.log");
        let bytes = files.contents(&path).expect("the second segment");
        (path, bytes)
    }
}

fn open_files<'a>(contents: impl IntoIterator<Item = (&'a PathBuf, Vec<u8>)>) -> Result<Store, StoreError> {
    let files = Simulated::new(1);
    contents.into_iter().for_each(|(path, bytes)| files.put(path, bytes));
    Store::open(small_options(), Arc::new(files), Time::from_secs(BEGIN + 100))
}

/// F-03: a log of `bytes`, cut at every `stride`th offset: opens, and holds each record that ends before the cut.
pub fn cut(bytes: u64, stride: usize) -> Report {
    let log = one_log(bytes);
    let mut report = Report::default();
    let (mut truth, mut next) = (Truth::default(), 0);
    for at in (0..=log.bytes.len()).step_by(stride.max(1)) {
        while let Some((_, puts)) = log.records.get(next).filter(|(end, _)| *end <= at) {
            truth.sent(puts);
            truth.acked(puts);
            next += 1;
        }
        report.runs += 1;
        match open_files([(&log.path, log.bytes[..at].to_vec())]) {
            // The count at each place, every value at some: reading all of it 65,536 times takes minutes.
            Ok(store) if store.stats().samples != truth.acked_len() || at % 61 == 0 => {
                report.compare(&truth, &store, &format_args!("cut at {at}"));
                if store.stats().samples > truth.acked_len() {
                    report.fail(format!("cut at {at}: more samples than were sent"));
                }
            }
            Ok(_) => {}
            Err(error) => report.fail(format!("cut at {at}: does not open: {error}")),
        }
    }
    report.acked = truth.acked_len();
    report
}

/// F-04: each byte of a log of `bytes`, one bit of it flipped: opens, loses at most the record there, counts the damage.
pub fn flip(bytes: u64, stride: usize) -> Report {
    let log = one_log(bytes);
    let mut report = Report::default();
    let mut random = Random::new(4);
    let mut truth = Truth::default();
    for (_, puts) in &log.records {
        truth.sent(puts);
        truth.acked(puts);
    }
    let (later_path, later_bytes) = log.later(&mut truth);
    for at in (0..log.bytes.len()).step_by(stride.max(1)) {
        let mut broken = log.bytes.clone();
        broken[at] ^= 1 << random.below(8);
        let hit = log.records.iter().find(|(end, _)| at < *end).map_or(0, |(_, puts)| puts.len() as u64);
        report.runs += 1;
        match open_files([(&log.path, broken), (&later_path, later_bytes.clone())]) {
            Ok(store) => {
                let (lost, wrong) = truth.compare(&store);
                report.wrong += wrong;
                report.lost += lost.saturating_sub(hit);
                let damage = store.damage();
                if lost > hit || wrong > 0 || (lost > 0 && damage.log_places + damage.torn_bytes == 0) {
                    report.fail(format!("bit flip at {at}: {lost} lost of {hit}, {wrong} wrong, {damage:?}"));
                }
            }
            Err(error) => report.fail(format!("bit flip at {at}: does not open: {error}")),
        }
    }
    report.acked = truth.acked_len();
    report
}

/// F-04 on a checkpoint: each `stride`th byte, one bit flipped. With the log kept behind it nothing may be lost; without it
/// (`keep_log` false) at most one block of 32 KiB, and never a series' name.
pub fn flip_checkpoint(samples: i64, keep_log: bool, stride: usize) -> Report {
    let files = Simulated::new(5);
    let options = Options {
        keep_log_bytes: if keep_log { u64::MAX } else { 0 },
        checkpoint_bytes: u64::MAX,
        segment_bytes: 4 << 10,
        ..small_options()
    };
    let store = Store::open(options.clone(), Arc::new(files.clone()), Time::from_secs(BEGIN)).expect("a healthy disk");
    let (mut truth, mut random) = (Truth::default(), Random::new(5));
    let mut put = |step: i64, truth: &mut Truth| {
        let time = Time::from_secs(BEGIN + step);
        append_acked(&store, truth, sending((0..20).map(|number| (number, time, random.below(1 << 40) as f64))), time);
    };
    (0..samples).for_each(|step| put(step, &mut truth));
    store.inner.log.roll();
    put(samples, &mut truth);
    store.flush().expect("a healthy disk");
    // What comes after the checkpoint names series that only the checkpoint knows, once the log is gone.
    let mut after = Truth::default();
    (1..5).for_each(|step| put(samples + step, &mut after));
    let head_dir = Path::new(DIR).join("head");
    let names = files.list(&head_dir).expect("a healthy disk");
    let path = head_dir.join(names.last().expect("a checkpoint"));
    let bytes = files.contents(&path).expect("a checkpoint");
    let mut report = Report { acked: truth.acked_len() + after.acked_len(), ..Report::default() };
    for at in (0..bytes.len()).step_by(stride.max(1)) {
        let copy = files.copy(1);
        let mut broken = bytes.clone();
        broken[at] ^= 1 << random.below(8);
        copy.put(&path, broken);
        report.runs += 1;
        let opened = Store::open(options.clone(), Arc::new(copy), Time::from_secs(BEGIN + samples + 10));
        let Ok(store) = opened else {
            report.fail(format!("bit flip at {at} of the checkpoint: does not open"));
            continue;
        };
        let (lost, wrong) = truth.compare_with(&store, &after);
        let (lost_after, _) = after.compare_with(&store, &truth);
        // A block holds 32 KiB at most, a sample of this kind takes five bytes at least.
        let allowed = if keep_log { 0 } else { 32 * 1024 / 5 };
        report.wrong += wrong;
        report.lost += lost.saturating_sub(allowed) + lost_after;
        if lost > allowed || lost_after > 0 || wrong > 0 || !store.damage().any() {
            let damage = store.damage();
            report.fail(format!("flip at {at} of the checkpoint: {lost} and {lost_after} lost, {wrong} wrong, {damage:?}"));
        }
    }
    report
}

/// F-01's child: appends to a store in `dir` for ever, and writes a line with the batch's number after each acknowledgement.
pub fn write_until_killed(dir: &Path, out: &mut dyn Write) -> Result<(), StoreError> {
    let options = Options { segment_bytes: 256 << 10, checkpoint_bytes: 256 << 10, ..Options::new(dir) };
    let store = Store::open(options, Arc::new(OnDisk), Time::from_secs(BEGIN))?;
    let whole = TimeRange { from: Time::MIN, to: Time::MAX };
    let newest = (0..20).filter_map(|number| truth::read(&store, number, whole)?.last().map(|put| put.time)).max();
    let begin = newest.map_or(0, |newest| newest.micros_from(Time::from_secs(BEGIN)) / 1_000_000 + 1);
    for number in begin.. {
        let appended = store.append(&numbered(number).0, Time::from_secs(BEGIN + number))?;
        appended.commit.wait()?;
        if writeln!(out, "{number}").and_then(|()| out.flush()).is_err() {
            break;
        }
    }
    Ok(())
}

fn numbered(number: i64) -> (SampleBatch, Vec<truth::Put>) {
    sending((0..20).map(|host| (host, Time::from_secs(BEGIN + number), (number * 31 + host as i64) as f64)))
}

/// F-01: starts the child, kills it with -9 after some acknowledgements, opens its folder; `rounds` times in one folder.
pub fn kill(dir: &Path, rounds: u64, child: impl Fn() -> Command) -> std::io::Result<Report> {
    let mut report = Report::default();
    let mut random = Random::new(rounds);
    let mut acked = Vec::new();
    for round in 0..rounds {
        let mut running = child().stdout(Stdio::piped()).spawn()?;
        let mut lines = BufReader::new(running.stdout.take().ok_or(std::io::ErrorKind::BrokenPipe)?).lines();
        let wanted = acked.len() + 1 + random.below(400) as usize;
        let number = |line: String| line.trim().parse::<i64>().ok();
        while acked.len() < wanted {
            let Some(line) = lines.next() else { break };
            acked.extend(number(line?));
        }
        running.kill()?;
        running.wait()?;
        // What it said before it died counts too.
        for line in lines.map_while(Result::ok) {
            acked.extend(number(line));
        }
        if acked.len() < wanted {
            report.fail(format!("round {round}: the writer ended by itself"));
        }
        report.runs += 1;
        let store =
            Store::open(Options { driven_by_caller: true, ..Options::new(dir) }, Arc::new(OnDisk), Time::from_secs(BEGIN));
        let store = match store {
            Ok(store) => store,
            Err(error) => {
                report.fail(format!("round {round}: does not open: {error}"));
                continue;
            }
        };
        let mut truth = Truth::default();
        let newest = acked.last().copied().unwrap_or(0);
        let kept_from = newest - store.inner.options.retention.as_secs() as i64;
        // The batch after the last acknowledged one may be there too.
        for &number in acked.iter().filter(|number| **number > kept_from).chain([&(newest + 1)]) {
            let (_, puts) = numbered(number);
            truth.sent(&puts);
            if number <= newest {
                truth.acked(&puts);
            }
        }
        // Batches that were written but not told, of rounds before.
        let (lost, wrong) = truth.compare_acked(&store);
        report.lost += lost;
        report.wrong += wrong;
        if lost + wrong > 0 {
            report.fail(format!("round {round}: {lost} lost, {wrong} wrong"));
        }
    }
    report.acked = acked.len() as u64 * 20;
    Ok(report)
}

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
    let options = Options { retention: Duration::from_secs(3600), ..small_options() };
    match Store::open(options, Arc::new(files), Time::from_secs(BEGIN)) {
        Ok(store) => report.compare(&truth, &store, &"slow disk"),
        Err(error) => report.fail(format!("does not open: {error}")),
    }
    report
}

/// The bytes of a segment as if a program with another format version had written its head: to test that it is refused.
pub fn as_written_by_version(mut bytes: Vec<u8>, number: u64, version: u8) -> Vec<u8> {
    for at in [0, 512] {
        let end = at + crate::frame::HEADER_LEN + usize::from(bytes[at + 8]);
        bytes[at + 4] = version;
        crate::frame::seal(&mut bytes[at..end], segment::salt(number));
    }
    bytes
}
