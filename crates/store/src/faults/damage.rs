//! Damaged files: cut anywhere, one bit flipped anywhere, in the log and in a checkpoint.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use model::Time;

use super::truth::{Put, Truth};
use super::{BEGIN, DIR, Report, append_acked, sending, small_options};
use crate::files::{Files, Random, Simulated};
use crate::frame::{self, Kind};
use crate::{Options, Store, StoreError, segment};

/// A log of about `bytes` in one segment, and for each samples record its end and what it holds.
struct OneLog {
    path: PathBuf,
    bytes: Vec<u8>,
    records: Vec<(usize, Vec<Put>)>,
}

fn one_log(bytes: u64) -> OneLog {
    let files = Simulated::new(3);
    // The first segment is left for a prepared one when a sixteenth of a segment is written.
    let options = Options { segment_bytes: bytes * 16, checkpoint_bytes: u64::MAX, ..small_options() };
    let store = Store::open(options, Arc::new(files.clone()), Time::from_secs(BEGIN)).expect("a healthy disk");
    let path = segment::path(&Path::new(DIR).join("log"), 1);
    let mut random = Random::new(bytes);
    let mut sent = Vec::new();
    for step in 0.. {
        let time = Time::from_secs(BEGIN + step);
        // A few samples of each series: a batch begins at a sector, and is to fill most of one.
        let rows = (0..=random.below(12))
            .flat_map(|number| (0..4).map(move |tenth| (number, time + Duration::from_millis(tenth * 100))));
        let rows: Vec<_> = rows.map(|(number, time)| (number, time, random.below(10_000) as f64 / 4.0)).collect();
        let (batch, puts) = sending(rows);
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
        if record.kind == Kind::Packed as u8 {
            ends.push(record.end());
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
        let options = Options { segment_bytes: 1 << 20, ..small_options() };
        let store = Store::open(options, Arc::new(files.clone()), later).expect("a healthy disk");
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

/// The bytes of a segment as if a program with another format version had written its head: to test that it is refused.
pub fn as_written_by_version(mut bytes: Vec<u8>, number: u64, version: u8) -> Vec<u8> {
    for at in [0, 512] {
        let end = at + frame::HEADER_LEN + usize::from(bytes[at + 8]);
        bytes[at + 4] = version;
        frame::seal(&mut bytes[at..end], segment::salt(number));
    }
    bytes
}
