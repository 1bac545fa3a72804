//! The history against a map: writes of any day in any order, merges, retention, deletion, snapshots and openings between.

use std::collections::BTreeMap;

use model::Labels;
use query::source::MatchOp;

use super::*;
use crate::files::{Fault, Random, Simulated};
use crate::part::Missed;

const DIR: &str = "/data/history";
const TODAY: i64 = 19_700;

fn labels(id: u64) -> Labels {
    Labels::new([("__name__", format!("metric_{}", id % 3)), ("instance", format!("host-{id}"))]).unwrap()
}

fn host(id: u64) -> Vec<Matcher> {
    vec![Matcher::new("instance", MatchOp::Equal, format!("host-{id}")).unwrap()]
}

type Samples = BTreeMap<u64, BTreeMap<i64, u64>>;

/// A history under work, and what must be in it.
struct Work {
    random: Random,
    files: Simulated,
    history: History,
    want: Samples,
    now: i64,
}

impl Work {
    fn begin(seed: u64) -> Work {
        let files = Simulated::new(seed);
        let history = History::open(Arc::new(files.clone()), DIR, 1 << 20).unwrap();
        Work { random: Random::new(seed), files, history, want: Samples::new(), now: TODAY * DAY }
    }

    fn reopen(&mut self) {
        self.history = History::open(Arc::new(self.files.clone()), DIR, 1 << 20).unwrap();
        assert_eq!(self.history.damage(), HistoryDamage::default());
    }

    /// Samples of some series from `day` on, some of them again.
    fn write(&mut self, day: i64, days: u64) {
        let mut batch = Samples::new();
        for _ in 0..=self.random.below(6) {
            let samples = batch.entry(self.random.below(9) + 1).or_default();
            let mut time = day * DAY + self.random.below(days * DAY as u64) as i64;
            for _ in 0..self.random.below(300) {
                samples.insert(time / 60_000_000 * 60_000_000, (self.random.below(1_000) as f64).to_bits());
                time += self.random.below(200_000_000) as i64;
            }
        }
        let written = self.history.write(&mut |give| feed(&batch, give)).unwrap();
        self.history.publish(written, self.now as u64).unwrap();
        for (id, samples) in batch {
            self.want.entry(id).or_default().extend(samples);
        }
    }

    fn check(&mut self) {
        self.want.retain(|_, samples| !samples.is_empty());
        let view = self.history.view();
        assert_eq!(everything(&view), self.want);
        for _ in 0..10 {
            let id = self.random.below(9) + 1;
            let from = self.now - self.random.below(5 * DAY as u64) as i64;
            let to = from + self.random.below(2 * DAY as u64) as i64;
            let empty = BTreeMap::new();
            let want = self.want.get(&id).unwrap_or(&empty).range(from..=to);
            let want: Vec<(i64, u64)> = want.map(|(time, bits)| (*time, *bits)).collect();
            let places = view.find(id, from, to);
            assert_eq!(read(&view, &places, from, to), want);
            let last = view.last(&places, from, to, &Missed::default()).map(|(time, value)| (time, value.to_bits()));
            assert_eq!(last, want.last().copied());
        }
    }
}

fn feed(batch: &Samples, give: &mut Give<'_>) -> Result<(), StoreError> {
    let mut sorted: Vec<u64> = batch.keys().copied().collect();
    sorted.sort_unstable_by_key(|id| (labels(*id).metric().to_owned(), *id));
    for id in sorted {
        let times: Vec<i64> = batch[&id].keys().copied().collect();
        let values: Vec<f64> = batch[&id].values().map(|bits| f64::from_bits(*bits)).collect();
        for (times, values) in times.chunks(70).zip(values.chunks(70)) {
            give(id, &labels(id), times, values)?;
        }
    }
    Ok(())
}

fn read(view: &View, places: &[(u32, u32)], from: i64, to: i64) -> Vec<(i64, u64)> {
    let (mut times, mut values) = (Vec::new(), Vec::new());
    view.read(places, (from, to), &mut times, &mut values, &Missed::default());
    assert!(times.windows(2).all(|pair| pair[0] < pair[1]), "each instant once");
    times.into_iter().zip(values.into_iter().map(f64::to_bits)).collect()
}

fn everything(view: &View) -> Samples {
    let mut have = Samples::new();
    for found in view.select(&[], (i64::MIN, i64::MAX), none_known, &Missed::default()) {
        assert_eq!(found.labels, labels(found.id));
        assert_eq!(found.places, view.find(found.id, i64::MIN, i64::MAX));
        let samples = read(view, &found.places, i64::MIN, i64::MAX);
        assert!(have.insert(found.id, samples.into_iter().collect()).is_none(), "each series once");
    }
    have
}

#[test]
fn the_history_reads_like_a_map() {
    for seed in 0..6 {
        let mut work = Work::begin(seed);
        for step in 0..60 {
            work.now += DAY / 12;
            match work.random.below(12) {
                0 => work.reopen(),
                1 => {
                    work.files.kill();
                    work.reopen();
                }
                2 => while work.history.compact(Time(work.now)).unwrap() {},
                3 => {
                    let (id, from) = (work.random.below(9) + 1, work.now - work.random.below(3 * DAY as u64) as i64);
                    let to = from + DAY;
                    let before: usize = work.want.values().map(BTreeMap::len).sum();
                    if let Some(samples) = work.want.get_mut(&id) {
                        samples.retain(|time, _| !(from..=to).contains(time));
                    }
                    let after: usize = work.want.values().map(BTreeMap::len).sum();
                    let gone = work.history.delete(&[host(id)], Time(from), Time(to)).unwrap();
                    assert!(gone >= (before - after) as u64, "step {step}: {gone} went, {before} - {after} had to");
                }
                4 => {
                    let cutoff = work.now - 4 * DAY;
                    work.history.retain(Time(cutoff), u64::MAX).unwrap();
                    let kept = |time: &i64| (day_of(*time) + 1) * DAY > cutoff;
                    work.want.values_mut().for_each(|samples| samples.retain(|time, _| kept(time)));
                }
                5 => {
                    let day = TODAY - work.random.below(3) as i64;
                    work.write(day, 3);
                }
                6 => {
                    let to = PathBuf::from(format!("/data/snapshot-{step}"));
                    work.history.snapshot(&to).unwrap();
                    assert!(History::is_in(&work.files, &to));
                    let copy = History::open(Arc::new(work.files.clone()), &to, 1 << 20).unwrap();
                    assert_eq!(everything(&copy.view()), everything(&work.history.view()));
                    assert!(work.history.snapshot(&to).is_err(), "never over another");
                }
                _ => {
                    let day = day_of(work.now);
                    work.write(day, 1);
                }
            }
            work.check();
        }
        let stats = work.history.stats();
        assert!(stats.parts > 0 && stats.damaged_blocks == 0);
        assert_eq!(work.history.id_end(), 10);
    }
}

#[test]
fn a_view_reads_on_when_its_parts_are_gone() {
    let mut work = Work::begin(1);
    (0..20).for_each(|_| work.write(TODAY, 1));
    let view = work.history.view();
    let before = everything(&view);
    work.history.delete(&[vec![]], Time::MIN, Time::MAX).unwrap();
    assert!(everything(&work.history.view()).is_empty());
    assert!(work.files.list(Path::new(DIR)).unwrap().iter().all(|name| !name.ends_with(".part")));
    assert_eq!(everything(&view), before);
}

#[test]
fn by_size_the_oldest_days_go_first() {
    let mut work = Work::begin(2);
    (0..5).for_each(|day| work.write(TODAY + day, 1));
    let bytes = work.history.stats().bytes;
    assert_eq!(work.history.retain(Time::MIN, bytes).unwrap(), 0);
    let days = |work: &Work| work.history.view().parts().iter().map(|part| part.summary().day).collect::<BTreeSet<_>>();
    let before = days(&work);
    assert!(work.history.retain(Time::MIN, bytes - 1).unwrap() > 0);
    assert_eq!(days(&work), before.iter().skip(1).copied().collect::<BTreeSet<_>>());
    work.history.retain(Time::MIN, 0).unwrap();
    assert_eq!(days(&work), BTreeSet::from([*before.last().unwrap()]), "the newest day stays");
    work.history.retain(Time::MAX, u64::MAX).unwrap();
    assert!(days(&work).is_empty());
}

#[test]
fn days_of_fifty_years_in_one_write() {
    let files = Simulated::new(3);
    let history = History::open(Arc::new(files.clone()), DIR, 1 << 20).unwrap();
    let times: Vec<i64> = (0..200).map(|step| step * 91 * DAY + 5).collect();
    let values: Vec<f64> = times.iter().map(|time| *time as f64).collect();
    let mut asked = 0;
    let written = history.write(&mut |give| {
        asked += 1;
        (1..4).try_for_each(|id| give(id * 3, &labels(id * 3), &times, &values))
    });
    history.publish(written.unwrap(), 0).unwrap();
    assert_eq!((asked, history.stats().days), (7, 200));
    let have = everything(&history.view());
    assert!(have.len() == 3 && have.values().all(|samples| samples.keys().copied().eq(times.iter().copied())));
}

#[test]
fn a_damaged_part_is_left_out_and_the_rest_reads() {
    let mut work = Work::begin(4);
    (0..3).for_each(|day| work.write(TODAY + day, 1));
    let view = work.history.view();
    let lost = view.parts()[1].clone();
    let mut bytes = work.files.contents(lost.path()).unwrap();
    bytes.truncate(bytes.len() / 2);
    work.files.put(lost.path(), bytes);
    let history = History::open(Arc::new(work.files.clone()), DIR, 1 << 20).unwrap();
    assert_eq!(history.damage(), HistoryDamage { parts: 1, part_bytes: lost.len(), manifest_copies: 0 });
    assert_eq!(history.view().parts().len(), view.parts().len() - 1);
    // And it stays so until its day is dropped.
    drop(history);
    let history = History::open(Arc::new(work.files.clone()), DIR, 1 << 20).unwrap();
    assert_eq!(history.damage().parts, 1);
    history.retain(Time::MAX, u64::MAX).unwrap();
    let history = History::open(Arc::new(work.files.clone()), DIR, 1 << 20).unwrap();
    assert_eq!(history.damage(), HistoryDamage::default());
}

#[test]
fn without_a_manifest_the_parts_say_which_are_there() {
    let mut work = Work::begin(5);
    (0..9).for_each(|_| work.write(TODAY, 1));
    let inputs: Vec<(PathBuf, Vec<u8>)> = work
        .history
        .view()
        .parts()
        .iter()
        .map(|part| (part.path().to_owned(), work.files.contents(part.path()).unwrap()))
        .collect();
    while work.history.compact(Time((TODAY + 3) * DAY)).unwrap() {}
    let merged = work.history.view().parts().len();
    assert!(merged < inputs.len());
    // As after a crash before the files were removed, and then both copies are gone.
    inputs.into_iter().for_each(|(path, bytes)| work.files.put(&path, bytes));
    let manifest = manifest::path(Path::new(DIR));
    for damage in [vec![0; 9_000], Vec::new()] {
        work.files.put(&manifest, damage);
        let history = History::open(Arc::new(work.files.clone()), DIR, 1 << 20).unwrap();
        assert_eq!(history.damage().manifest_copies, 2);
        work.want.retain(|_, samples| !samples.is_empty());
        assert_eq!(everything(&history.view()), work.want);
        assert_eq!(history.view().parts().len(), merged, "what was merged is not there twice");
    }
    work.files.remove(&manifest).unwrap();
    let history = History::open(Arc::new(work.files.clone()), DIR, 1 << 20).unwrap();
    work.want.retain(|_, samples| !samples.is_empty());
    assert_eq!(everything(&history.view()), work.want);
    // It heals with the next change.
    let written = history.write(&mut |give| give(1, &labels(1), &[5], &[1.0])).unwrap();
    history.publish(written, 0).unwrap();
    let history = History::open(Arc::new(work.files.clone()), DIR, 1 << 20).unwrap();
    assert_eq!(history.damage(), HistoryDamage::default());
}

#[test]
fn a_disk_that_fails_to_read_stops_a_merge_and_loses_nothing() {
    for nth in 1.. {
        let mut work = Work::begin(7);
        (0..9).for_each(|_| work.write(TODAY, 1));
        work.want.retain(|_, samples| !samples.is_empty());
        work.files.fail_call(nth, crate::files::Fault::Eio);
        let calls = work.files.calls();
        let done = work.history.compact(Time((TODAY + 3) * DAY));
        if work.files.calls() < calls + nth {
            assert!(nth > 20 && done.unwrap());
            break;
        }
        work.files.kill();
        work.reopen();
        assert_eq!(everything(&work.history.view()), work.want, "call {nth}");
    }
}

/// Cuts a part's file, or writes over what lies `from` a place on.
fn spoil(files: &Simulated, part: &Part, from: usize) {
    let mut bytes = files.contents(part.path()).unwrap();
    bytes[from..from + 40].fill(0xff);
    files.put(part.path(), bytes);
}

#[test]
fn what_is_damaged_is_not_merged_and_its_copy_tells_of_it() {
    let mut work = Work::begin(7);
    (0..10).for_each(|_| work.write(TODAY, 1));
    let view = work.history.view();
    let (damaged, missing) = (view.parts()[1].clone(), view.parts()[2].clone());
    spoil(&work.files, &damaged, 1_100);
    let mut bytes = work.files.contents(missing.path()).unwrap();
    bytes.truncate(bytes.len() / 2);
    work.files.put(missing.path(), bytes);
    let history = History::open(Arc::new(work.files.clone()), DIR, 1 << 20).unwrap();
    while history.compact(Time((TODAY + 3) * DAY)).unwrap() {}
    let numbers: Vec<u64> = history.view().parts().iter().map(|part| part.number()).collect();
    assert!(numbers.contains(&damaged.number()), "{numbers:?}");
    assert!(numbers.len() < view.parts().len() - 1, "the others are merged: {numbers:?}");
    let told = |history: &History| {
        let missed = Missed::default();
        for found in history.view().select(&[], (i64::MIN, i64::MAX), none_known, &missed) {
            let (mut times, mut values) = (Vec::new(), Vec::new());
            history.view().read(&found.places, (i64::MIN, i64::MAX), &mut times, &mut values, &missed);
        }
        missed.in_words().unwrap()
    };
    assert!(told(&history).contains("1 part and 1 block of samples of 2023-12-09 "), "{}", told(&history));
    history.snapshot(Path::new("/copy/history")).unwrap();
    let copy = History::open(Arc::new(work.files.clone()), "/copy/history", 1 << 20).unwrap();
    assert_eq!((copy.damage().parts, told(&copy)), (1, told(&history)));
}

#[test]
fn a_merge_leaves_room_and_ends_when_it_is_told_to() {
    let mut work = Work::begin(8);
    (0..10).for_each(|_| work.write(TODAY, 1));
    let parts = work.history.view().parts().len();
    let over = Time((TODAY + 3) * DAY);
    let used: u64 = work.history.view().parts().iter().map(|part| part.len()).sum();
    work.files.set_capacity(Some(2 * used + FREE_BESIDE_MERGE / 2));
    assert!(!work.history.compact(over).unwrap());
    work.files.set_capacity(None);
    work.history.stop();
    assert!(work.history.compact(over).is_err());
    assert_eq!(work.history.view().parts().len(), parts);
    work.reopen();
    assert!(work.history.compact(over).unwrap());
    work.want.retain(|_, samples| !samples.is_empty());
    assert_eq!(everything(&work.history.view()), work.want);
}

#[test]
fn a_write_that_fails_leaves_no_file_behind() {
    let mut failed = 0;
    for call in 1.. {
        let files = Simulated::new(9);
        let history = History::open(Arc::new(files.clone()), DIR, 1 << 20).unwrap();
        let batch: Samples = (1..4).map(|id| (id, (0..300).map(|n| (TODAY * DAY + n * 1_000_000, n as u64)).collect())).collect();
        files.fail_call(call, Fault::Enospc);
        let before = files.calls();
        let outcome = history.write(&mut |give| feed(&batch, give));
        if files.calls() - before < call {
            break;
        }
        if outcome.is_err() {
            failed += 1;
            let left = files.list(Path::new(DIR)).unwrap();
            assert!(!left.iter().any(|name| name.ends_with(".tmp") || name.ends_with(".part")), "call {call}: {left:?}");
        }
    }
    assert!(failed > 3, "{failed}");
}

#[test]
fn what_can_not_be_found_is_not_said_to_be_deleted() {
    let mut work = Work::begin(10);
    work.write(TODAY, 1);
    let part = work.history.view().parts()[0].clone();
    let bytes = work.files.contents(part.path()).unwrap();
    // All between the blocks and the feet: the index with its parity.
    let (from, to) = (part.index_range().0 as usize, part.index_range().1 as usize);
    let mut spoilt = bytes;
    spoilt[from..to].fill(0xff);
    work.files.put(part.path(), spoilt);
    let history = History::open(Arc::new(work.files.clone()), DIR, 1 << 20).unwrap();
    let error = history.delete(&[host(1)], Time::MIN, Time::MAX).unwrap_err().to_string();
    assert!(error.contains("find what to delete"), "{error}");
}
