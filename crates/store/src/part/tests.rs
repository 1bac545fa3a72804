//! A part reads like the map that was written into it, whatever is asked; and damage costs a block of samples at most.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use model::Labels;
use query::source::{MatchOp, Matcher};

use super::*;
use crate::files::{Fault, Random, Simulated};

const DIR: &str = "/data/history";

/// Samples by metric name and id, and the labels of each.
#[derive(Default)]
pub(super) struct Model {
    pub series: BTreeMap<(String, u64), (Labels, BTreeMap<i64, u64>)>,
}

impl Model {
    pub fn random(seed: u64, series: u64, samples: u64) -> Model {
        let mut random = Random::new(seed);
        let mut model = Model::default();
        for id in 0..series {
            let metric = format!("metric_{}", random.below(1 + series / 7));
            let host = format!("host-{}", random.below(1 + series / 5));
            let odd = format!("value-{}-é{}", id, "x".repeat(random.below(40) as usize));
            let mut pairs = vec![("__name__", metric.as_str()), ("instance", &host), ("job", "node")];
            if random.chance(30) {
                pairs.push(("odd", &odd));
            }
            if random.chance(10) {
                pairs.retain(|(name, _)| *name != "job");
            }
            let labels = Labels::new(pairs).unwrap();
            let begin = 1_700_000_000_000_000 + if random.chance(50) { 0 } else { random.below(1_000_000) as i64 };
            let count = random.below(samples) + 1;
            let mut value = 0.0;
            let values = (0..count as i64).map(|step| {
                value = match random.below(200) {
                    0 => f64::from_bits(random.bits()),
                    _ => (step * 10 + random.below(100) as i64) as f64,
                };
                (begin + step * 15_000_000, value.to_bits())
            });
            model.series.insert((metric.clone(), id * 3 + 7), (labels, values.collect()));
        }
        model
    }

    pub fn write(&self, files: &Simulated, number: u64) -> (Summary, u64) {
        let about = Summary { day: 19_675, ..Summary::default() };
        let mut writer = PartWriter::new(Arc::new(files.clone()), Path::new(DIR), number, about).unwrap();
        for ((_, id), (labels, samples)) in &self.series {
            let times: Vec<i64> = samples.keys().copied().collect();
            let values: Vec<f64> = samples.values().map(|bits| f64::from_bits(*bits)).collect();
            for (times, values) in times.chunks(100).zip(values.chunks(100)) {
                writer.push(*id, labels, times, values).unwrap();
            }
        }
        writer.finish().unwrap()
    }
}

fn open_part(files: &Simulated, number: u64, losses: &Arc<Losses>) -> Result<Part, OpenError> {
    Part::open(files, Path::new(DIR), number, Arc::new(Caches::new(1 << 20)), losses.clone())
}

fn read(part: &Part, series: u32, from: i64, to: i64) -> BTreeMap<i64, u64> {
    let (mut times, mut values) = (Vec::new(), Vec::new());
    part.reading().read(series, from, to, &mut times, &mut values);
    assert!(times.is_sorted());
    times.into_iter().zip(values.into_iter().map(f64::to_bits)).collect()
}

#[test]
fn a_part_reads_like_the_map_written_into_it() {
    for (seed, series, samples) in [(1, 1, 1), (2, 40, 30), (3, 300, 700), (4, 5, 20_000), (5, 2_500, 3)] {
        let files = Simulated::new(seed);
        let model = Model::random(seed, series, samples);
        let (summary, bytes) = model.write(&files, seed);
        let losses = Arc::new(Losses::default());
        let part = open_part(&files, seed, &losses).unwrap();
        assert_eq!((part.summary(), part.len()), (&summary, bytes));
        assert_eq!(u64::from(summary.series), series);
        assert_eq!(summary.samples, model.series.values().map(|(_, samples)| samples.len() as u64).sum::<u64>());
        let mut random = Random::new(seed);
        for (local, ((_, id), (labels, samples))) in (0..).zip(&model.series) {
            assert_eq!(part.reading().find(*id), Some(local));
            assert_eq!((part.reading().id(local), part.reading().labels(local).as_ref()), (Some(*id), Some(labels)));
            assert_eq!(&read(&part, local, i64::MIN, i64::MAX), samples);
            let first = *samples.keys().next().unwrap();
            let from = first + random.below(samples.len() as u64 * 15_000_000) as i64 - 7;
            let to = from + random.below(10_000_000_000) as i64;
            let want: BTreeMap<i64, u64> = samples.range(from..=to).map(|(time, bits)| (*time, *bits)).collect();
            assert_eq!(read(&part, local, from, to), want);
        }
        assert_eq!(part.reading().find(8), None);
        assert_eq!((losses.blocks.load(Relaxed), losses.pages.load(Relaxed)), (0, 0));
        scanned_like(&part, &model);
    }
}

fn scanned_like(part: &Part, model: &Model) {
    let mut scan = Scan::new(part);
    let (mut times, mut values) = (Vec::new(), Vec::new());
    for (place, ((_, id), (labels, samples))) in model.series.iter().enumerate() {
        assert_eq!(scan.series(), Some((labels.metric(), *id)));
        assert_eq!(scan.labels().as_ref(), Some(labels));
        // Now and then a series is passed over, or left in the middle.
        let chunks = [usize::MAX, 0, 1][place % 3];
        let mut have = BTreeMap::new();
        for _ in 0..chunks {
            if !scan.next_times(&mut times) {
                break;
            }
            assert!(scan.values(&mut values));
            have.extend(times.iter().copied().zip(values.iter().map(|value| value.to_bits())));
        }
        if chunks == usize::MAX {
            assert_eq!(&have, samples);
        }
        scan.advance();
    }
    assert_eq!(scan.series(), None);
}

fn matchers() -> Vec<Vec<Matcher>> {
    let one = |name: &str, op, value: &str| Matcher::new(name, op, value).unwrap();
    use MatchOp::{Equal, NotEqual, NotRegex, Regex};
    vec![
        vec![],
        vec![one("__name__", Equal, "metric_3")],
        vec![one("__name__", Equal, "nothing")],
        vec![one("nothing", Equal, "x")],
        vec![one("nothing", Equal, "")],
        vec![one("nothing", NotEqual, "x"), one("instance", Equal, "host-2")],
        vec![one("job", Equal, "node"), one("instance", Regex, "host-[1-3].*")],
        vec![one("job", Equal, ""), one("__name__", Regex, ".+")],
        vec![one("job", NotEqual, "")],
        vec![one("odd", NotRegex, ".*x.*"), one("__name__", NotEqual, "metric_1")],
        vec![one("odd", Regex, "(|value-1.*)")],
        vec![one("odd", Regex, "value-.*xx"), one("instance", NotRegex, "host-1|host-2")],
    ]
}

#[test]
fn matchers_find_what_fits() {
    for (seed, series) in [(1, 3), (2, 200), (3, 6_000)] {
        let files = Simulated::new(seed);
        let model = Model::random(seed, series, 1);
        model.write(&files, seed);
        let part = open_part(&files, seed, &Arc::default()).unwrap();
        for matchers in matchers() {
            let want: Vec<u32> = (0..)
                .zip(model.series.values())
                .filter(|(_, (labels, _))| matchers.iter().all(|matcher| matcher.matches_labels(labels)))
                .map(|(local, _)| local)
                .collect();
            assert_eq!(part.reading().matching(&matchers), want, "{matchers:?}");
        }
        let mut counts: BTreeMap<(String, String), u32> = BTreeMap::new();
        for (name, value) in model.series.values().flat_map(|(labels, _)| labels.iter()) {
            *counts.entry((name.to_owned(), value.to_owned())).or_default() += 1;
        }
        let mut have = BTreeMap::new();
        for (name, values, series) in part.label_names() {
            let before = have.len();
            part.reading().label_values(name, |value, count| {
                have.insert((name.to_owned(), value.to_owned()), count);
            });
            assert_eq!((have.len() - before) as u32, values);
            let of_name = have.iter().filter(|((have, _), _)| have == name).map(|(_, count)| count);
            assert_eq!(of_name.sum::<u32>(), series);
        }
        assert_eq!(have, counts);
    }
}

/// F-04 of a part: each byte with a random bit flipped. It opens, no value is wrong, and what is missing fits into one block.
#[test]
fn a_flipped_bit_costs_a_block_at_most() {
    let files = Simulated::new(1);
    let model = Model::random(9, 60, 120);
    model.write(&files, 1);
    let path = path(Path::new(DIR), 1);
    let good = files.contents(&path).unwrap();
    let mut random = Random::new(4);
    let (mut restored, mut lost_most) = (0, 0);
    for place in (0..good.len()).step_by(7) {
        let mut bytes = good.clone();
        bytes[place] ^= 1 << random.below(8);
        let files = Simulated::new(1);
        files.put(&path, bytes);
        let losses = Arc::new(Losses::default());
        let part = open_part(&files, 1, &losses).unwrap_or_else(|error| panic!("byte {place}: {error}"));
        let all = part.reading().matching(&[Matcher::new("__name__", MatchOp::Regex, ".+").unwrap()]);
        assert_eq!(all.len(), model.series.len(), "byte {place}: the index is whole");
        let mut lost = 0;
        for (local, ((_, id), (labels, samples))) in (0..).zip(&model.series) {
            assert_eq!(
                (part.reading().find(*id), part.reading().labels(local).as_ref()),
                (Some(local), Some(labels)),
                "byte {place}"
            );
            let have = read(&part, local, i64::MIN, i64::MAX);
            assert!(have.iter().all(|(time, bits)| samples.get(time) == Some(bits)), "byte {place}: a wrong value");
            lost += samples.len() - have.len();
        }
        assert_eq!(lost > 0, losses.blocks.load(Relaxed) > 0, "byte {place}: damage is counted");
        assert_eq!(losses.pages.load(Relaxed), 0);
        restored += losses.restored.load(Relaxed);
        lost_most = lost_most.max(lost);
    }
    assert!(restored > 0 && lost_most > 0);
}

/// F-03 of a part: cut anywhere it does not open, for its end tells where everything is. It never panics, and nothing is made up.
#[test]
fn a_cut_part_does_not_open() {
    let files = Simulated::new(1);
    Model::random(9, 20, 20).write(&files, 1);
    let path = path(Path::new(DIR), 1);
    let good = files.contents(&path).unwrap();
    let foot_len = Header::read(&good, &path).unwrap().unwrap().foot_len as usize;
    for cut in 0..good.len() {
        let files = Simulated::new(1);
        files.put(&path, good[..cut].to_vec());
        let opened = open_part(&files, 1, &Arc::default());
        assert_eq!(opened.is_ok(), cut >= good.len() - foot_len, "cut at {cut} of {}", good.len());
    }
}

#[test]
fn a_newer_part_is_refused_in_words() {
    let files = Simulated::new(1);
    Model::random(9, 2, 2).write(&files, 1);
    let path = path(Path::new(DIR), 1);
    let mut bytes = files.contents(&path).unwrap();
    bytes[8] = layout::VERSION + 1;
    let sum = xxhash_rust::xxh3::xxh3_64(&bytes[..56]).to_le_bytes();
    bytes[56..64].copy_from_slice(&sum);
    files.put(&path, bytes);
    let refused = open_part(&files, 1, &Arc::default()).unwrap_err().to_string();
    assert!(refused.contains("format version 2, this flyball reads up to 1"), "{refused}");
}

#[test]
fn a_place_that_the_disk_fails_to_read_is_read_from_its_copy() {
    let files = Simulated::new(1);
    let model = Model::random(1, 20, 30);
    model.write(&files, 1);
    // Opened, measured, and then the header is read, and the foot.
    for (call, opens) in [(1, false), (2, false), (3, true), (4, true)] {
        files.fail_call(call, Fault::Eio);
        assert_eq!(open_part(&files, 1, &Arc::default()).is_ok(), opens, "call {call}");
    }
    let part = open_part(&files, 1, &Arc::default()).unwrap();
    files.fail_call(1, Fault::Eio);
    let first = model.series.keys().next().unwrap().1;
    assert_eq!(part.reading().find(first), Some(0), "the page is made again from its neighbours");
    assert!(!part.is_damaged() && part.failures() == 0);
}
