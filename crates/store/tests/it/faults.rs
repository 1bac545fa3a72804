//! The fault campaigns: small and with fresh seeds here, in full size where FLYBALL_SEEDS is set (`cargo xtask faults`).
//! A failure names its seed; `cargo run --release -p store --example faults` takes any size.

use std::hash::{BuildHasher, RandomState};
use std::ops::Range;

use store::faults::{self, Report};

fn check(name: &str, report: Report) {
    assert!(report.runs > 0 && report.acked > 0, "{name}: {report:?}");
    assert!(report.failures.is_empty() && report.lost == 0 && report.wrong == 0, "{name}: {report:#?}");
}

/// How many seeds or steps: the full size by the environment, else the small one.
fn size(small: u64) -> u64 {
    std::env::var("FLYBALL_SEEDS").ok().and_then(|seeds| seeds.parse().ok()).unwrap_or(small)
}

fn fresh(count: u64) -> Range<u64> {
    let first = RandomState::new().hash_one(0) >> 32;
    first..first + count
}

#[test]
fn f02_power_cut() {
    check("power cut", faults::power_cut(fresh(size(300))));
}

#[test]
fn f02_power_cut_while_groups_fly_side_by_side() {
    let seeds = size(300) / 10;
    let (report, side_by_side) = faults::flights(fresh(seeds), 150);
    assert!(side_by_side > seeds / 2, "{side_by_side} of {seeds} runs synced side by side");
    check("flights", report);
}

#[test]
fn f03_cut_at_every_byte() {
    let bytes = if std::env::var_os("FLYBALL_SEEDS").is_some() { 64 << 10 } else { 8 << 10 };
    check("cut", faults::cut(bytes, 1));
}

#[test]
fn f04_a_bit_flipped_in_every_byte_of_the_log() {
    check("flip", faults::flip(6 << 10, 1));
}

#[test]
fn f04_a_bit_flipped_in_a_checkpoint() {
    check("with the log", faults::flip_checkpoint(60, true, 13));
    check("without the log", faults::flip_checkpoint(60, false, 7));
}

#[test]
fn f04_a_bit_flipped_in_the_history() {
    let (samples, stride) = if std::env::var_os("FLYBALL_SEEDS").is_some() { (400, 1) } else { (200, 11) };
    check("history", faults::flip_history(samples, stride));
}

#[test]
fn f10_crash_in_merge_retention_deletion_snapshot() {
    let stride = if std::env::var_os("FLYBALL_SEEDS").is_some() { 1 } else { 3 };
    check("history", faults::crash_in_history(fresh(size(1)), stride));
}

#[test]
fn f05_disk_full_and_room_again() {
    check("disk full", faults::disk_full((40..100).step_by(10).map(|kib| kib << 10)));
}

#[test]
fn f06_each_call_fails_once() {
    check("fail call", faults::fail_call(60, 1));
}

#[test]
fn f07_slow_disk() {
    check("slow disk", faults::slow_disk(400));
}

#[test]
fn f52_the_model() {
    check("model", faults::model(fresh(size(20)), 1_000));
}

#[test]
fn many_senders_and_checkpoints_at_once() {
    for seed in fresh(3) {
        check("senders", faults::senders(8, 200, seed));
    }
}
