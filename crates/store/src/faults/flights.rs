//! Senders side by side, on a disk whose syncs take their time and sometimes fail, then a power cut.
//!
//! The one campaign with the store's own threads: groups are on their way to the disk at once, segments are prepared meanwhile. A seed
//! fixes the disk, not the order of the threads: a failure is to be tried again with a range of seeds.

use std::ops::Range;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::SeqCst};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use model::Time;

use super::truth::{Put, Truth};
use super::{BEGIN, Report, sending, small_options};
use crate::files::{Fault, Random, Simulated};
use crate::{Options, Store};

const SENDERS: u64 = 4;
/// What a sync takes at most, and a write, in microseconds.
const SYNC_MAX: u64 = 300;
const WRITE_MAX: u64 = 100;

/// F-02: `batches` of each sender, and the power cut. Says too in how many runs syncs ran side by side.
pub fn flights(seeds: Range<u64>, batches: u64) -> (Report, u64) {
    let (mut report, mut side_by_side) = (Report::default(), 0);
    for seed in seeds {
        let disk = Disk::new(seed);
        let options = Options { driven_by_caller: false, checkpoint_bytes: u64::MAX, ..small_options() };
        let begin = Time::from_secs(BEGIN);
        report.runs += 1;
        let Ok(store) = Store::open(options.clone(), Arc::new(disk.files.clone()), begin) else { continue };
        disk.shaken.store(true, SeqCst);
        let told: Vec<(Vec<Put>, bool)> = std::thread::scope(|scope| {
            let senders: Vec<_> = (0..SENDERS)
                .map(|sender| {
                    scope.spawn({
                        let store = &store;
                        move || send(store, sender, batches)
                    })
                })
                .collect();
            senders.into_iter().flat_map(|sender| sender.join().expect("no panic")).collect()
        });
        disk.shaken.store(false, SeqCst);
        disk.files.power_cut();
        drop(store);
        let mut truth = Truth::default();
        for (puts, on_disk) in &told {
            truth.sent(puts);
            if *on_disk {
                truth.acked(puts);
            }
        }
        match Store::open(Options { driven_by_caller: true, ..options }, Arc::new(disk.files.clone()), begin) {
            Ok(store) => {
                report.compare(&truth, &store, &format_args!("seed {seed}"));
                if store.damage().any() {
                    report.fail(format!("seed {seed}: a power cut counts as damage: {:?}", store.damage()));
                }
            }
            Err(error) => report.fail(format!("seed {seed}: does not open: {error}")),
        }
        report.acked += truth.acked_len();
        side_by_side += u64::from(disk.most.load(SeqCst) > 1);
    }
    (report, side_by_side)
}

/// What a sender sent, and of each batch whether it was told that it is on the disk. Every other one it writes itself, where it may.
fn send(store: &Store, sender: u64, batches: u64) -> Vec<(Vec<Put>, bool)> {
    let send = |step: u64| {
        let time = Time::from_secs(BEGIN + step as i64);
        // New series come all the way.
        let (batch, puts) = sending((0..=step % 3).map(|number| (sender * 10 + (step / 15 + number) % 10, time, step as f64)));
        let Ok(appended) = store.append(&batch, time) else { return (puts, false) };
        if step.is_multiple_of(2) {
            appended.commit.lead(usize::MAX);
        }
        (puts, appended.commit.wait().is_ok())
    };
    (0..batches).map(send).collect()
}

/// A disk on which syncs last and, by the seed, fail: in no case, or in up to 3 of 100.
struct Disk {
    files: Simulated,
    shaken: Arc<AtomicBool>,
    most: Arc<AtomicU64>,
}

impl Disk {
    fn new(seed: u64) -> Disk {
        let disk = Disk { files: Simulated::new(seed), shaken: Arc::default(), most: Arc::default() };
        let (files, shaken, most) = (disk.files.clone(), disk.shaken.clone(), disk.most.clone());
        let (random, now) = (Mutex::new(Random::new(seed)), AtomicU64::new(0));
        let (writing, order) = (shaken.clone(), Mutex::new(Random::new(seed ^ 1)));
        // Who sets out first need not be written first.
        disk.files.before_write(move || {
            if writing.load(SeqCst) {
                let micros = order.lock().unwrap_or_else(PoisonError::into_inner).below(WRITE_MAX);
                std::thread::sleep(Duration::from_micros(micros));
            }
        });
        disk.files.before_sync(move || {
            if !shaken.load(SeqCst) {
                return;
            }
            most.fetch_max(now.fetch_add(1, SeqCst) + 1, SeqCst);
            let mut random = random.lock().unwrap_or_else(PoisonError::into_inner);
            let (micros, fails) = (random.below(SYNC_MAX), random.chance(seed % 4));
            drop(random);
            std::thread::sleep(Duration::from_micros(micros));
            now.fetch_sub(1, SeqCst);
            if fails {
                // The next call, whoever makes it.
                files.fail_call(1, Fault::Eio);
            }
        });
        disk
    }
}
