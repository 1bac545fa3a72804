//! What live rules hold on to: it does not grow with time, and not with the square of the series.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicUsize, Ordering};

use model::config::RuleGroup;
use model::sample::STALE_NAN;
use query::source::Columns;

use super::*;

const BEGIN: Time = Time(1_780_000_000_000_000);

/// A store that forgets series.
#[derive(Default)]
struct Around {
    numbers: BTreeMap<Labels, u64>,
    samples: Vec<(Labels, BTreeMap<Time, f64>)>,
    gone: BTreeSet<SeriesRef>,
    /// Memory begins here; how often the history was opened.
    since: Option<Time>,
    opened: AtomicUsize,
}

impl Around {
    /// The series with these labels; true where it is new.
    fn put(&mut self, labels: &Labels, time: Time, value: f64) -> (SeriesRef, bool) {
        let many = self.samples.len() as u64;
        let number = *self.numbers.entry(labels.clone()).or_insert(many);
        if number == many {
            self.samples.push((labels.clone(), BTreeMap::new()));
        }
        self.samples[number as usize].1.insert(time, value);
        (SeriesRef(number), number == many)
    }
}

impl Source for Around {
    fn series(&self, matchers: &[Matcher], _: TimeRange, _: usize) -> Result<Vec<(SeriesRef, Labels)>, SourceError> {
        let all = self.samples.iter().enumerate().map(|(number, (labels, _))| (SeriesRef(number as u64), labels));
        let there = all.filter(|(series, _)| !self.gone.contains(series));
        let fit = there.filter(|(_, labels)| matchers.iter().all(|matcher| matcher.matches_labels(labels)));
        Ok(fit.map(|(series, labels)| (series, labels.clone())).collect())
    }

    fn read(&self, series: SeriesRef, range: TimeRange, into: &mut Columns) -> Result<(), SourceError> {
        if range.from <= range.to && !self.gone.contains(&series) {
            let samples = self.samples[series.0 as usize].1.range(range.from..=range.to);
            samples.for_each(|(time, value)| (into.times.push(*time), into.values.push(*value)).1);
        }
        Ok(())
    }

    fn label_names(&self, _: &[Matcher], _: TimeRange) -> Result<Vec<String>, SourceError> {
        Ok(Vec::new())
    }

    fn label_values(&self, _: &str, _: &[Matcher], _: TimeRange) -> Result<Vec<String>, SourceError> {
        Ok(Vec::new())
    }
}

impl Surroundings for Around {
    fn source(&self) -> &dyn Source {
        self
    }

    fn memory_since(&self) -> Time {
        self.since.unwrap_or(Time::MIN)
    }

    fn history(&self) -> Box<dyn Source + Send + '_> {
        self.opened.fetch_add(1, Ordering::Relaxed);
        Box::new(Borrowed(self))
    }

    fn watch(&self, _: &[SeriesRef], _: bool) {}

    fn keep(&mut self, _: &SampleBatch, _: Time) -> Kept {
        Kept::default()
    }
}

fn after(seconds: i64) -> Time {
    Time(BEGIN.0 + seconds * 1_000_000)
}

fn live(rules: &str, around: &mut Around) -> Live {
    let groups: Vec<RuleGroup> = serde_saphyr::from_str(&format!("[{{ name: g, rules: [{rules}] }}]")).unwrap();
    Live::new(Rules::compile(&groups).unwrap(), RuleState::default(), &BTreeMap::new(), BEGIN, around)
}

/// Samples as they come, each at this instant.
fn feed(live: &mut Live, around: &mut Around, at: Time, samples: &[(&str, String, f64)]) {
    let (mut touched, mut new_series) = (Vec::new(), Vec::new());
    for (metric, i, value) in samples {
        let labels = Labels::new([("__name__", *metric), ("i", i)]).unwrap();
        let (series, is_new) = around.put(&labels, at, *value);
        if is_new {
            new_series.push((series, labels));
        }
        touched.push(Arrived { series, time: at, value: *value, late: false });
    }
    live.arrive(at, touched, &new_series, around);
    while live.work(at, around).is_some() {}
}

#[test]
fn what_is_pending_is_noted_once() {
    for (expr, whole) in [("a > 5", 0), ("topk(1, a) > 5", 1)] {
        let mut around = Around::default();
        let mut live = live(&format!("{{ alert: A, for: 1h, expr: '{expr}' }}"), &mut around);
        for second in 1..1_000 {
            while let Some(due) = live.next_due().filter(|due| *due < after(second)) {
                live.tick(due, &mut around);
            }
            let value = if second % 300 == 0 { 1.0 } else { 6.0 + (second % 7) as f64 };
            feed(&mut live, &mut around, after(second), &[("a", "0".into(), value), ("a", "1".into(), 9.0)]);
        }
        assert_eq!((live.whole(), live.holds.len()), (whole, 1), "{expr}");
    }
}

#[test]
fn few_labels_in_common_take_no_memory_of_each_with_each() {
    let of = |metric: &'static str, many| (0..many).map(move |i| (metric, format!("{metric}{i}"), 1.0));
    for (left, op, right, whole) in
        [(50, "and", 19_000, 0), (21_000, "and", 50, 1), (50, "unless", 21_000, 1), (50, "or", 21_000, 1)]
    {
        let mut around = Around::default();
        let mut live = live(&format!("{{ alert: A, expr: 'a {op} on () b' }}"), &mut around);
        feed(&mut live, &mut around, BEGIN, &of("a", left).chain(of("b", right)).collect::<Vec<_>>());
        assert_eq!(live.whole(), whole, "{left} {op} {right}");
    }
}

/// Pods come and go; one stays, and so does its alert.
#[test]
fn series_that_are_gone_are_forgotten() {
    let mut around = Around::default();
    let mut live = live("{ alert: A, expr: 'max_over_time(a[2m]) > 5' }, { alert: B, expr: 'sum(a) > 8' }", &mut around);
    let mut said = Vec::new();
    for minute in 0..400 {
        while let Some(due) = live.next_due().filter(|due| *due < after(minute * 60)) {
            live.tick(due, &mut around);
        }
        let pods = (0..20).map(|pod| ("a", format!("{minute}-{pod}"), 0.0));
        feed(&mut live, &mut around, after(minute * 60), &pods.chain([("a", "stays".into(), 9.0)]).collect::<Vec<_>>());
        let names = around.samples.iter().enumerate();
        let old =
            names.filter(|(_, (_, samples))| samples.last_key_value().is_none_or(|(last, _)| *last < after(minute * 60 - 600)));
        around.gone = old.map(|(number, _)| SeriesRef(number as u64)).collect();
        said.extend(live.take().transitions.into_iter().map(|one| format!("{minute} {} {:?}", one.rule, one.to)));
    }
    assert_eq!(said, ["0 A Bad", "0 B Bad"]);
    let Live { graph, rules, elements, .. } = &live;
    assert!(graph.memories.len() < 4_000, "{} of 8,001 series", graph.memories.len());
    assert_eq!((elements.len() - 1, rules.rules[0].bound[0].series.len()), (graph.memories.len(), graph.memories.len()));
    // Two windows of each that stays, and what the last ones wait for until their ring's turn comes.
    assert!(graph.samples_in_rings() < 1_000, "{}", graph.samples_in_rings());
    // One that comes back is new.
    let back = [("a", "0-0".into(), 7.0)];
    feed(&mut live, &mut around, after(24_000), &back);
    assert_eq!(live.take().transitions.len(), 0);
    around.numbers.remove(&Labels::new([("__name__", "a"), ("i", "0-0")]).unwrap());
    feed(&mut live, &mut around, after(24_001), &back);
    assert_eq!(live.take().transitions.len(), 1);
}

/// A rack has lost its power: each alert that changes asks about all that have no data.
#[test]
fn why_many_alerts_are_over_is_asked_of_one_history() {
    let mut around = Around::default();
    let mut live = live("{ alert: A, expr: 'a > 5' }", &mut around);
    let all = |value| (0..500).map(move |i| ("a", format!("{i}"), value)).collect::<Vec<_>>();
    feed(&mut live, &mut around, BEGIN, &all(9.0));
    feed(&mut live, &mut around, after(1), &all(STALE_NAN)[1..]);
    assert_eq!(live.take().transitions.len(), 500 + 499);
    around.since = Some(after(1));
    feed(&mut live, &mut around, after(2), &all(1.0)[..1]);
    assert_eq!(live.take().transitions.len(), 1);
    assert_eq!(around.opened.load(Ordering::Relaxed), 1);
}

/// Which series stand behind a result is remembered, and found anew when there are others.
#[test]
fn a_new_series_behind_an_alert_counts() {
    let mut around = Around::default();
    let mut live = live("{ alert: A, expr: 'sum by (i) ({__name__=~\"a|b\"}) > 5' }", &mut around);
    let mut said = Vec::new();
    for (second, metric, value) in [(0, "a", 9.0), (1, "a", STALE_NAN), (2, "b", STALE_NAN), (3, "b", 1.0)] {
        feed(&mut live, &mut around, after(second), &[(metric, "0".into(), value)]);
        said.extend(live.take().transitions.into_iter().map(|one| format!("{second} {:?}", one.to)));
    }
    assert_eq!(said, ["0 Bad", "1 NoData", "3 Ok"]);
    let bound = &live.rules.rules[0].bound[0];
    let known = bound.behind(&Labels::new([("i", "0")]).unwrap(), |_| panic!("asked again"));
    assert_eq!(known.as_deref(), Some(&[0, 1][..]));
}
