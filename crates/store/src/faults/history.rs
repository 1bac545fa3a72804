//! Faults of the history on disk: the power goes within a publication, a merge, retention, deletion or a snapshot; a bit flips in a part
//! or in the manifest.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use model::{Labels, Time};
use query::source::{MatchOp, Matcher};

use super::Report;
use crate::error::StoreError;
use crate::files::{Files, Random, Simulated};
use crate::history::{DAY, History, HistoryDamage, View, none_known};
use crate::part::Missed;

const DIR: &str = "/data/history";
const SNAPSHOT: &str = "/data/snapshot";
const TODAY: i64 = 19_700;
const SERIES: u64 = 6;
const BLOCK_MAX: usize = 32 << 10;

/// The bits of each sample of each series.
type Samples = BTreeMap<u64, BTreeMap<i64, u64>>;

fn labels(id: u64) -> Labels {
    Labels::new([("__name__", "load"), ("instance", &format!("host-{id:02}"))]).expect("two labels")
}

fn open(files: &Simulated, dir: &str) -> Result<History, StoreError> {
    History::open(Arc::new(files.clone()), dir, 1 << 20)
}

/// A random batch: mostly of today, some of it of days before.
fn batch(random: &mut Random, len: u64) -> Samples {
    let mut batch = Samples::new();
    for id in 1..=SERIES {
        let day = TODAY - if random.chance(30) { random.below(3) as i64 } else { 0 };
        let mut time = day * DAY + random.below(DAY as u64 / 2) as i64;
        let samples = batch.entry(id).or_default();
        for _ in 0..=random.below(len) {
            let value = if random.chance(5) { f64::from_bits(random.bits()) } else { random.below(10_000) as f64 / 4.0 };
            samples.insert(time, value.to_bits());
            time += 1 + random.below(30_000_000) as i64;
        }
    }
    batch
}

fn publish(history: &History, batch: &Samples) -> Result<(), StoreError> {
    let written = history.write(&mut |give| {
        for (id, samples) in batch {
            let times: Vec<i64> = samples.keys().copied().collect();
            let values: Vec<f64> = samples.values().map(|bits| f64::from_bits(*bits)).collect();
            give(*id, &labels(*id), &times, &values)?;
        }
        Ok(())
    })?;
    history.publish(written, 0)
}

fn add(into: &mut Samples, batch: &Samples) {
    batch.iter().for_each(|(id, samples)| into.entry(*id).or_default().extend(samples));
}

/// All that can be read; `None` where an instant of a series comes twice.
fn everything(view: &View, missed: &Missed) -> Option<Samples> {
    let mut have = Samples::new();
    for found in view.select(&[], (i64::MIN, i64::MAX), none_known, missed) {
        let (mut times, mut values) = (Vec::new(), Vec::new());
        view.read(&found.places, (i64::MIN, i64::MAX), &mut times, &mut values, missed);
        let rises = times.windows(2).all(|pair| pair[0] < pair[1]);
        let samples: BTreeMap<i64, u64> = times.into_iter().zip(values.into_iter().map(f64::to_bits)).collect();
        if !rises || found.labels != labels(found.id) || have.contains_key(&found.id) {
            return None;
        }
        if !samples.is_empty() {
            have.insert(found.id, samples);
        }
    }
    Some(have)
}

/// What is done when the power goes.
#[derive(Clone, Copy, Debug)]
enum Deed {
    Publish,
    Compact,
    Retain,
    Delete,
    Snapshot,
}

const DEEDS: [Deed; 5] = [Deed::Publish, Deed::Compact, Deed::Retain, Deed::Delete, Deed::Snapshot];

/// What a deed works on.
struct Scene {
    batch: Samples,
    before: Samples,
}

impl Scene {
    fn perform(&self, deed: Deed, history: &History) -> Result<(), StoreError> {
        match deed {
            Deed::Publish => publish(history, &self.batch),
            Deed::Compact => {
                while history.compact(Time((TODAY + 2) * DAY))? {}
                Ok(())
            }
            Deed::Retain => history.retain(Time(TODAY * DAY), u64::MAX).map(drop),
            Deed::Delete => history.delete(&[deleted()], Time::MIN, Time::MAX).map(drop),
            Deed::Snapshot => history.snapshot(Path::new(SNAPSHOT)),
        }
    }

    fn after(&self, deed: Deed) -> Samples {
        let mut after = self.before.clone();
        match deed {
            Deed::Publish => add(&mut after, &self.batch),
            Deed::Retain => after.values_mut().for_each(|samples| samples.retain(|time, _| *time >= TODAY * DAY)),
            Deed::Delete => drop(after.remove(&2)),
            Deed::Compact | Deed::Snapshot => {}
        }
        after.retain(|_, samples| !samples.is_empty());
        after
    }
}

fn deleted() -> Vec<Matcher> {
    vec![Matcher::new("instance", MatchOp::Equal, "host-02").expect("no pattern")]
}

/// F-10: each deed again and again; the power goes after every `stride`th of its calls, and what can be read afterwards is all of what
/// was there before, or all that the deed makes of it, each instant once.
pub fn crash_in_history(seeds: std::ops::Range<u64>, stride: u64) -> Report {
    let mut report = Report::default();
    for seed in seeds {
        let mut random = Random::new(seed);
        let disk = Simulated::new(seed);
        let Ok(history) = open(&disk, DIR) else { continue };
        let mut before = Samples::new();
        for _ in 0..9 + random.below(9) {
            let batch = batch(&mut random, 60);
            if publish(&history, &batch).is_ok() {
                add(&mut before, &batch);
            }
        }
        drop(history);
        let scene = Scene { batch: batch(&mut random, 60), before };
        report.acked += scene.before.values().map(|samples| samples.len() as u64).sum::<u64>();
        for deed in DEEDS {
            crash_in_deed(&mut report, &scene, deed, &disk, seed, stride);
        }
    }
    report
}

fn crash_in_deed(report: &mut Report, scene: &Scene, deed: Deed, disk: &Simulated, seed: u64, stride: u64) {
    let after = scene.after(deed);
    for calls in (0..).step_by(stride.max(1) as usize) {
        let files = disk.copy(seed ^ calls << 32);
        let Ok(history) = open(&files, DIR) else { return report.fail(format!("seed {seed}: does not open")) };
        let begun = files.calls();
        files.power_off_after(calls);
        let done = scene.perform(deed, &history);
        let all = files.calls() - begun <= calls;
        drop(history);
        if calls % 2 == 0 {
            files.power_cut()
        } else {
            files.kill()
        }
        report.runs += 1;
        let place = format!("{deed:?}, seed {seed}, power off after {calls} calls");
        match open(&files, DIR) {
            Err(error) => report.fail(format!("{place}: does not open: {error}")),
            Ok(history) => judge(report, scene, (deed, &after), (&history, &files), done.is_ok(), &place),
        }
        if all {
            return;
        }
    }
}

fn judge(
    report: &mut Report,
    scene: &Scene,
    (deed, after): (Deed, &Samples),
    (history, files): (&History, &Simulated),
    done: bool,
    place: &str,
) {
    let have = everything(&history.view(), &Missed::default());
    let right = match &have {
        None => false,
        Some(have) if done => have == after,
        // A deletion goes part by part: what it is to leave must be there, and nothing else but what it had not come to.
        Some(have) if matches!(deed, Deed::Delete) => {
            let mut without = have.clone();
            without.remove(&2);
            let rest = have.get(&2).into_iter().flatten();
            without == *after && rest.into_iter().all(|(time, bits)| scene.before[&2].get(time) == Some(bits))
        }
        Some(have) => *have == scene.before || have == after,
    };
    if !right || history.damage() != HistoryDamage::default() {
        let count = |samples: &Samples| samples.values().map(|samples| samples.len() as u64).sum::<u64>();
        report.lost += count(after).saturating_sub(have.as_ref().map_or(0, count)).max(1);
        report.fail(format!(
            "{place}: {} samples, {} before, {} after",
            have.map_or(0, |have| count(&have)),
            count(&scene.before),
            count(after)
        ));
    }
    if History::is_in(files, &PathBuf::from(SNAPSHOT)) {
        let copy = open(files, SNAPSHOT).ok().filter(|copy| copy.damage() == HistoryDamage::default());
        if copy.and_then(|copy| everything(&copy.view(), &Missed::default())).as_ref() != Some(&scene.before) {
            report.fail(format!("{place}: the snapshot is not what was there"));
        }
    } else if done && matches!(deed, Deed::Snapshot) {
        report.fail(format!("{place}: there is no snapshot"));
    }
    // And it goes on as if nothing had happened.
    if let Err(error) =
        scene.perform(deed, history).or_else(|error| if matches!(deed, Deed::Snapshot) { Ok(()) } else { Err(error) })
        && !right
    {
        report.fail(format!("{place}: the next try fails: {error}"));
    } else if everything(&history.view(), &Missed::default()).as_ref() != Some(after) {
        report.fail(format!("{place}: the next try does not come to its end"));
    }
}

/// F-04 of the history: in every `stride`th byte of each of its files a random bit flips, while it is closed. It opens, no value is
/// wrong, what is missing lay in one block, and that is counted.
pub fn flip_history(samples: u64, stride: usize) -> Report {
    let mut report = Report::default();
    let mut random = Random::new(samples);
    let disk = Simulated::new(samples);
    let Ok(history) = open(&disk, DIR) else { return report };
    let (mut truth, mut block_samples) = (Samples::new(), 0);
    for _ in 0..2 {
        let batch = batch(&mut random, samples);
        if publish(&history, &batch).is_ok() {
            add(&mut truth, &batch);
        }
    }
    while history.compact(Time((TODAY + 2) * DAY)).is_ok_and(|more| more) {}
    for part in history.view().parts() {
        part.reading().blocks(|bytes, samples| {
            block_samples = block_samples.max(samples);
            if bytes > BLOCK_MAX {
                report.fail(format!("a block has {bytes} bytes"));
            }
        });
    }
    report.acked = truth.values().map(|samples| samples.len() as u64).sum();
    drop(history);
    for name in disk.list(Path::new(DIR)).unwrap_or_default() {
        let path = Path::new(DIR).join(&name);
        let good = disk.contents(&path).unwrap_or_default();
        for at in (0..good.len()).step_by(stride.max(1)) {
            let mut bytes = good.clone();
            bytes[at] ^= 1 << random.below(8);
            let files = disk.copy(at as u64);
            files.put(&path, bytes);
            report.runs += 1;
            flipped(&mut report, &files, &truth, block_samples, &format!("byte {at} of {name}"));
        }
    }
    report
}

fn flipped(report: &mut Report, files: &Simulated, truth: &Samples, block_samples: u64, place: &str) {
    let history = match open(files, DIR) {
        Ok(history) => history,
        Err(error) => return report.fail(format!("{place}: does not open: {error}")),
    };
    let missed = Missed::default();
    let Some(have) = everything(&history.view(), &missed) else {
        return report.fail(format!("{place}: a series or an instant comes twice"));
    };
    let (mut missing, mut wrong) = (0u64, 0);
    for (id, samples) in truth {
        let have = have.get(id);
        for (time, bits) in samples {
            match have.and_then(|have| have.get(time)) {
                None => missing += 1,
                Some(read) => wrong += u64::from(read != bits),
            }
        }
    }
    let stats = history.stats();
    report.wrong += wrong;
    report.lost += missing.saturating_sub(block_samples);
    if wrong > 0 || missing > block_samples || history.damage().parts > 0 {
        report.fail(format!("{place}: {missing} missing, {wrong} wrong, {:?}", history.damage()));
    }
    if missing > 0 && stats.damaged_blocks == 0 {
        report.fail(format!("{place}: {missing} are missing, and nothing is counted"));
    }
    // Whoever reads is told, and nobody is told without a reason.
    if (missing > 0) != missed.in_words().is_some() {
        report.fail(format!("{place}: {missing} are missing, and the reader is told {:?}", missed.in_words()));
    }
}
