//! Rules kept up to date element by element say exactly what rules evaluated whole say, whatever is fed to them.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Mutex;

use engine::rule::{Arrived, Kept, Live, Outside, RuleId, RuleState, Rules, Surroundings, evaluate};
use model::config::RuleGroup;
use model::sample::STALE_NAN;
use model::{Labels, SampleBatch, Time, Transition};
use proptest::prelude::*;
use query::Features;
use query::source::{Columns, Matcher, SeriesRef, Source, SourceError, TimeRange};

/// Series whose samples may come in any order.
#[derive(Default)]
struct Shelf {
    series: Vec<(Labels, BTreeMap<Time, f64>)>,
}

impl Shelf {
    fn put(&mut self, labels: &Labels, time: Time, value: f64) -> (Arrived, bool) {
        let found = self.series.iter().position(|(have, _)| have == labels);
        let place = found.unwrap_or_else(|| {
            self.series.push((labels.clone(), BTreeMap::new()));
            self.series.len() - 1
        });
        let samples = &mut self.series[place].1;
        let late = samples.last_key_value().is_some_and(|(newest, _)| time <= *newest);
        samples.insert(time, value);
        (Arrived { series: SeriesRef(place as u64), time, value, late }, found.is_none())
    }
}

impl Source for Shelf {
    fn series(&self, matchers: &[Matcher], _: TimeRange, _: usize) -> Result<Vec<(SeriesRef, Labels)>, SourceError> {
        let fits = |labels: &Labels| matchers.iter().all(|matcher| matcher.matches_labels(labels));
        let found = self.series.iter().enumerate().filter(|(_, (labels, _))| fits(labels));
        Ok(found.map(|(place, (labels, _))| (SeriesRef(place as u64), labels.clone())).collect())
    }

    fn read(&self, series: SeriesRef, range: TimeRange, into: &mut Columns) -> Result<(), SourceError> {
        if range.from <= range.to {
            for (time, value) in self.series[series.0 as usize].1.range(range.from..=range.to) {
                into.times.push(*time);
                into.values.push(*value);
            }
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

/// A store that tells of watched and of new series only, and lets go of what it has written to the disk.
#[derive(Default)]
struct Around {
    shelf: Shelf,
    /// Everything, under other numbers.
    written: Shelf,
    since: Option<Time>,
    watched: Mutex<BTreeSet<SeriesRef>>,
    recorded: Vec<String>,
}

impl Around {
    fn write(&mut self, rows: &[Row]) -> Kept {
        let mut kept = Kept::default();
        for (labels, time, value) in rows {
            let (told, _) = self.written.put(labels, *time, *value);
            let (arrived, is_new) = self.shelf.put(labels, *time, *value);
            let arrived = Arrived { late: told.late, ..arrived };
            if is_new {
                kept.new_series.push((arrived.series, labels.clone()));
            }
            if self.watched.lock().unwrap().contains(&arrived.series)
                || kept.new_series.iter().any(|(new, _)| *new == arrived.series)
            {
                kept.touched.push(arrived);
            }
        }
        kept
    }
}

impl Around {
    /// All samples go to the disk: only names stay in memory.
    fn flush(&mut self) {
        let newest = self.written.series.iter().filter_map(|(_, samples)| samples.last_key_value()).map(|(time, _)| *time).max();
        self.since = newest.map(|newest| Time(newest.0 + 1));
        self.shelf.series.iter_mut().for_each(|(_, samples)| samples.clear());
    }
}

/// The history gives series numbers of their own, by which only what lies in the range asked for can be read.
struct Renumbered<'a> {
    shelf: &'a Shelf,
    given: Mutex<Vec<(SeriesRef, TimeRange)>>,
}

const OTHERS: u64 = 1 << 40;

impl Source for Renumbered<'_> {
    fn series(&self, matchers: &[Matcher], range: TimeRange, limit: usize) -> Result<Vec<(SeriesRef, Labels)>, SourceError> {
        let mut given = self.given.lock().unwrap();
        let mut give = |series| {
            given.push((series, range));
            SeriesRef(OTHERS + given.len() as u64 - 1)
        };
        let found = self.shelf.series(matchers, range, limit)?;
        Ok(found.into_iter().map(|(series, labels)| (give(series), labels)).collect())
    }

    fn read(&self, series: SeriesRef, range: TimeRange, into: &mut Columns) -> Result<(), SourceError> {
        let (series, within) = self.given.lock().unwrap()[(series.0 - OTHERS) as usize];
        let range = TimeRange { from: range.from.max(within.from), to: range.to.min(within.to) };
        self.shelf.read(series, range, into)
    }

    fn label_names(&self, matchers: &[Matcher], range: TimeRange) -> Result<Vec<String>, SourceError> {
        self.shelf.label_names(matchers, range)
    }

    fn label_values(&self, name: &str, matchers: &[Matcher], range: TimeRange) -> Result<Vec<String>, SourceError> {
        self.shelf.label_values(name, matchers, range)
    }
}

impl Surroundings for Around {
    fn source(&self) -> &dyn Source {
        &self.shelf
    }

    fn memory_since(&self) -> Time {
        self.since.unwrap_or(Time::MIN)
    }

    fn history(&self) -> Box<dyn Source + Send + '_> {
        Box::new(Renumbered { shelf: &self.written, given: Mutex::default() })
    }

    fn watch(&self, series: &[SeriesRef], watched: bool) {
        for series in series {
            match watched {
                true => self.watched.lock().unwrap().insert(*series),
                false => self.watched.lock().unwrap().remove(series),
            };
        }
    }

    fn keep(&mut self, recorded: &SampleBatch, _: Time) -> Kept {
        let rows = rows_of(recorded);
        self.recorded.extend(rows.iter().map(shown));
        self.write(&rows)
    }
}

type Row = (Labels, Time, f64);

fn rows_of(batch: &SampleBatch) -> Vec<Row> {
    batch.iter().map(|(key, sample)| (Labels::from_key(key).unwrap(), sample.time, sample.value)).collect()
}

/// The sign of what is no number comes from the order of the operands and means nothing; the marker of staleness is kept apart.
fn bits(value: f64) -> u64 {
    let bits = value.to_bits();
    if value.is_nan() { bits & !(1 << 63) } else { bits }
}

fn shown((labels, time, value): &Row) -> String {
    format!("{labels} {} {:016x}", time.0, bits(*value))
}

fn told(at: Time, transition: &Transition) -> String {
    let Transition { alert, labels, annotations, from, to, value, onset, .. } = transition;
    let value = value.map(bits);
    format!("{} {alert} {labels} {from:?}->{to:?} | {value:?} since {} {annotations:?}", at.0, onset.0)
}

/// Leaves out what rules over recorded series say between two recordings of one instant: what an alert was for no time at all, and
/// which of the values of that instant it was told with.
fn settled(said: &mut Vec<String>, texts: &[String]) {
    let change = |line: &str| line.split(" | ").next().unwrap_or_default().to_owned();
    let back = |line: &str| {
        let change = change(line);
        let (alert, states) = change.rsplit_once(' ').unwrap_or_default();
        let (from, to) = states.split_once("->").unwrap_or_default();
        format!("{alert} {to}->{from}")
    };
    let all: BTreeSet<String> = said.iter().map(|line| change(line)).collect();
    said.retain(|line| !all.contains(&back(line)));
    let over_recorded: Vec<&str> =
        texts.iter().filter(|text| text.contains("r:")).filter_map(|text| text.split('"').nth(1)).collect();
    for line in said {
        if over_recorded.iter().any(|alert| line.contains(&format!("alertname=\"{alert}\""))) {
            *line = change(line);
        }
    }
}

/// The rules by the evaluator of queries: everything that is touched or due, whole.
struct Plain {
    rules: Rules,
    state: RuleState,
    around: Around,
    said: Vec<String>,
}

impl Plain {
    fn run(&mut self, at: Time, which: &[RuleId]) -> Vec<Row> {
        let found = evaluate(&self.rules, &mut self.state, which, at, &self.around.shelf);
        self.said.extend(found.transitions.iter().map(|transition| told(at, transition)));
        rows_of(&found.recorded)
    }

    /// What is older than five minutes causes no evaluation before the next multiple.
    fn write(&mut self, at: Time, rows: &[Row]) -> Vec<RuleId> {
        let mut touched = Vec::new();
        for (labels, time, value) in rows {
            let (arrived, is_new) = self.around.shelf.put(labels, *time, *value);
            if is_new {
                self.rules.on_new_series(arrived.series, labels);
            }
            if time.0 + LATE_US >= at.0 {
                touched.push(arrived.series);
            }
        }
        self.rules.touched(touched)
    }

    fn arrive(&mut self, at: Time, rows: &[Row]) {
        let which = self.write(at, rows);
        self.run(at, &which);
    }

    /// Recording rules first, one after the other, then the alerting ones.
    fn tick(&mut self, before: Time, at: Time) {
        let due = self.rules.due(before, at);
        let mut which: BTreeSet<RuleId> = due.iter().copied().collect();
        for rule in due {
            let rows = self.run_recording(at, rule);
            if !rows.is_empty() {
                self.around.recorded.extend(rows.iter().map(shown));
                which.extend(self.write(at, &rows));
                which.remove(&rule);
            }
        }
        let which: Vec<RuleId> = which.into_iter().filter(|rule| !self.is_recording(*rule)).collect();
        self.run(at, &which);
        while let Some((due, rule)) = self.state.next_due(&self.rules).filter(|(due, _)| *due <= at) {
            self.run(due, &[rule]);
        }
    }

    fn is_recording(&self, rule: RuleId) -> bool {
        self.rules.name(rule).is_some_and(|name| name.as_str().starts_with("r:"))
    }

    fn run_recording(&mut self, at: Time, rule: RuleId) -> Vec<Row> {
        if self.is_recording(rule) { self.run(at, &[rule]) } else { Vec::new() }
    }
}

/// The same feed to both.
struct Both {
    live: Live,
    around: Around,
    said: Vec<String>,
    plain: Plain,
    /// Up to when intervals have come round.
    looked: Time,
    texts: Vec<String>,
}

impl Both {
    fn new(groups: &[RuleGroup], at: Time) -> Both {
        Both::with(groups, at, Features::STABLE)
    }

    fn with(groups: &[RuleGroup], at: Time, features: Features) -> Both {
        let mut around = Around::default();
        let compiled = || Rules::compile(groups).unwrap().with_outside(Outside { features, ..Outside::default() });
        let live = Live::new(compiled(), RuleState::default(), &BTreeMap::new(), at, &mut around);
        let rules = compiled();
        let plain = Plain { rules, state: RuleState::default(), around: Around::default(), said: Vec::new() };
        let texts =
            groups.iter().flat_map(|group| &group.rules).map(|rule| format!("{:?} {:?} {}", rule.alert, rule.hold, rule.expr));
        Both { live, around, said: Vec::new(), plain, looked: at, texts: texts.collect() }
    }

    fn note(&mut self, at: Time) {
        while self.live.work(at, &mut self.around).is_some() {}
        let found = self.live.take();
        self.said.extend(found.transitions.iter().map(|transition| told(at, transition)));
    }

    /// Everything that is due before or at an instant.
    fn until(&mut self, at: Time) {
        loop {
            let held = self.plain.state.next_due(&self.plain.rules).map(|(due, _)| due);
            let due = [self.live.next_due(), held, self.plain.rules.next_due(self.looked)].into_iter().flatten().min();
            let Some(due) = due.filter(|due| *due <= at) else { return };
            self.live.tick(due, &mut self.around);
            self.note(due);
            self.plain.tick(self.looked, due);
            self.looked = due;
        }
    }

    fn arrive(&mut self, at: Time, rows: &[Row]) {
        let kept = self.around.write(rows);
        self.live.arrive(at, kept.touched, &kept.new_series, &mut self.around);
        self.note(at);
        self.plain.arrive(at, rows);
    }

    fn check(&mut self) {
        settled(&mut self.said, &self.texts);
        settled(&mut self.plain.said, &self.texts);
        for (live, plain) in
            [(&mut self.said, &mut self.plain.said), (&mut self.around.recorded, &mut self.plain.around.recorded)]
        {
            live.sort();
            plain.sort();
            let other = live.iter().zip(plain.iter()).position(|(live, plain)| live != plain);
            if let Some(place) = other.or((live.len() != plain.len()).then_some(live.len().min(plain.len()))) {
                let around =
                    |said: &[String]| said[place.saturating_sub(1).min(said.len())..(place + 2).min(said.len())].join("\n  ");
                panic!("live:\n  {}\nplain:\n  {}\nrules: {:#?}", around(live), around(plain), self.texts);
            }
        }
    }
}

/// Small numbers from a seed.
struct Dice(u64);

impl Dice {
    fn below(&mut self, sides: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % sides
    }

    fn one_of<'a>(&mut self, words: &[&'a str]) -> &'a str {
        words[self.below(words.len() as u64) as usize]
    }
}

const OVER: [&str; 17] = [
    "rate",
    "rate",
    "increase",
    "delta",
    "irate",
    "idelta",
    "avg_over_time",
    "sum_over_time",
    "count_over_time",
    "min_over_time",
    "max_over_time",
    "stddev_over_time",
    "changes",
    "resets",
    "deriv",
    "last_over_time",
    "present_over_time",
];

/// A random expression. `exact`: each selector fits one series.
fn expression(dice: &mut Dice, depth: u32, exact: bool, metrics: &[&str]) -> String {
    let inner = |dice: &mut Dice| expression(dice, depth.saturating_sub(1), exact, metrics);
    let number = |dice: &mut Dice| format!("{}", dice.below(8) as f64 - 1.5);
    let compare = |dice: &mut Dice| dice.one_of(&[">", "<", ">=", "<=", "==", "!="]).to_owned();
    match if depth == 0 { dice.below(2) } else { dice.below(14) } {
        0 | 2 => selector(dice, exact, metrics, ""),
        1 | 3 => {
            let range = dice.one_of(&["[5s]", "[10s]", "[1m]", "[12s]", "[8m]"]);
            format!("{}({})", dice.one_of(&OVER), selector(dice, exact, metrics, range))
        }
        4 | 5 => {
            let (inner, compare, number) = (inner(dice), compare(dice), number(dice));
            format!("({inner} {compare} {number})")
        }
        6 => format!("({} {} {})", inner(dice), dice.one_of(&["+", "-", "*", "/", "> bool"]), number(dice)),
        7 => format!("({} {} ({}))", number(dice), dice.one_of(&["-", "*", "/", "<"]), inner(dice)),
        8 | 9 => {
            let (left, right) = (inner(dice), inner(dice));
            let by = if exact { "on ()" } else { dice.one_of(&["", "", "on (i)", "ignoring (k)"]) };
            let ops = ["+", "/", "-", ">", "<", "and", "unless", "or"];
            format!("({left} {} {by} {right})", dice.one_of(&ops[..ops.len() - usize::from(exact)]))
        }
        10 => format!("{}({})", dice.one_of(&["abs", "ceil", "-", "sqrt", "sgn"]), inner(dice)),
        11 if !exact => {
            let grouping = dice.one_of(&["", "by (i)", "by (k)", "without (k)"]);
            format!("{} {grouping} ({})", dice.one_of(&["sum", "avg", "min", "max", "count", "stddev"]), inner(dice))
        }
        12 => format!("absent({})", selector(dice, exact, metrics, "")),
        13 if !exact => format!("({} * on (i) group_left (k) {})", inner(dice), selector(dice, exact, &["b"], "")),
        _ => inner(dice),
    }
}

fn selector(dice: &mut Dice, exact: bool, metrics: &[&str], range: &str) -> String {
    let metric = dice.one_of(metrics);
    let labels = match (exact, dice.below(4)) {
        (true, which) => format!("{{i=\"{}\",k=\"{}\"}}", which % 2, which / 2),
        (false, 0) => "{i=\"1\"}".to_owned(),
        (false, 1) => "{k=~\"0|1\"}".to_owned(),
        (false, _) => String::new(),
    };
    let offset = dice.one_of(&["", "", "", "", " offset 7s", " offset 1500ms", " offset 6m"]);
    format!("{metric}{labels}{range}{offset}")
}

/// One that reads no other metric: some shapes have one of their own.
fn expression_of(dice: &mut Dice, exact: bool, metric: &str) -> String {
    loop {
        let drawn = expression(dice, 3, exact, &[metric]);
        let mut words = drawn.split(|letter: char| !letter.is_alphanumeric() && !"_:".contains(letter));
        if !words.any(|word| word.len() == 1 && word != metric && word.starts_with(char::is_alphabetic) && !"ik".contains(word)) {
            return drawn;
        }
    }
}

/// Rules share what they have in common, and the end of one's wait makes those be looked at too that share something with it. Whole
/// evaluation looks at them only when their own time comes: so one rule alone waits, over a metric that no other reads.
fn groups(dice: &mut Dice, exact: bool) -> Vec<RuleGroup> {
    let own = dice.one_of(&["a", "c"]);
    let others = if own == "a" { ["b", "c"] } else { ["a", "b"] };
    let waits = (dice.below(2), dice.below(4));
    let mut text = String::new();
    for group in 0..2 {
        let interval = if exact { ["1s", "5s"][group] } else { "1s" };
        let offset = dice.one_of(&["0s", "0s", "3s"]);
        text += &format!("- name: g{group}\n  interval: {interval}\n  query_offset: {offset}\n  rules:\n");
        for rule in 0..4 {
            let over_recorded = !exact && dice.below(4) == 0;
            let (wait, keep, expr) = if (group as u64, rule) == waits {
                let wait = dice.one_of(&["0s", "2s", "2500ms"]);
                let keep = dice.one_of(&["0s", "0s", "3s"]);
                (wait, keep, expression_of(dice, exact, own))
            } else {
                let metrics = if over_recorded { ["r:one", "r:two"] } else { others };
                ("0s", "0s", expression(dice, 3, exact, &metrics))
            };
            let summary = "'{{ $labels.__name__ }} {{ $labels.i }} {{ $value }}'";
            text += &format!(
                "    - {{alert: A{group}{rule}, for: {wait}, keep_firing_for: {keep}, expr: '{expr}', annotations: {{s: {summary}}}}}\n"
            );
        }
        if !exact {
            let record = ["r:one", "r:two"][group];
            let expr = expression(dice, 2, exact, &if group == 0 { others } else { ["r:one", others[0]] });
            text += &format!("    - {{record: '{record}', expr: '{expr}'}}\n");
        }
    }
    serde_saphyr::from_str(&text).unwrap_or_else(|error| panic!("{error}\n{text}"))
}

/// Samples with gaps, resets, markers, NaN, lateness and odd times, with `ahead` those of the next seconds too: live rules look when
/// their time has come, whole evaluation when something else is due.
fn batch(dice: &mut Dice, at: Time, ahead: bool) -> Vec<Row> {
    let mut rows: Vec<Row> = Vec::new();
    for metric in ["a", "b", "c"] {
        for (i, k) in [("0", "0"), ("1", "0"), ("0", "1"), ("1", "1")] {
            if dice.below(3) == 0 || metric == "b" && k == "1" && dice.below(40) != 0 {
                continue;
            }
            let labels = Labels::new([("__name__", metric), ("i", i), ("k", k)]).unwrap();
            let back = match dice.below(13) {
                // Older than what causes an evaluation, and still in the longest windows.
                12 => LATE_US + dice.below(240_000_000) as i64,
                0 => dice.below(20_000_000) as i64,
                1 => -(dice.below(3_000_000) as i64) * i64::from(ahead),
                _ => dice.below(700_000) as i64,
            };
            let value = match dice.below(30) {
                0 => STALE_NAN,
                1 => f64::NAN,
                2 => f64::INFINITY,
                _ if metric == "c" => (at.0 / 1_000_000 % 37) as f64 * 0.3,
                _ => dice.below(12) as f64 * 0.7 - 2.0,
            };
            rows.push((labels, Time(at.0 - back), value));
        }
    }
    rows
}

/// A sample of each series.
fn everything(at: Time) -> Vec<Row> {
    let names =
        ["a", "b", "c"].into_iter().flat_map(|metric| [("0", "0"), ("1", "0"), ("0", "1"), ("1", "1")].map(|ik| (metric, ik)));
    names.map(|(metric, (i, k))| (Labels::new([("__name__", metric), ("i", i), ("k", k)]).unwrap(), at, 1.0)).collect()
}

/// More of them: `PROPTEST_CASES=10000 cargo test --release -p engine live`.
fn cases() -> u32 {
    std::env::var("PROPTEST_CASES").ok().and_then(|cases| cases.parse().ok()).unwrap_or(24)
}

const BEGIN: Time = Time(1_780_000_000_000_000);
/// Samples that are older cause no evaluation.
const LATE_US: i64 = 300_000_000;
/// After so long the rules of this file see nothing of a sample any more.
const LONGEST_US: i64 = 900_000_000;

proptest! {
    #![proptest_config(ProptestConfig::with_cases(cases()))]

    /// Batches come at the multiples, so that all of a rule is due whenever a part of it is touched.
    #[test]
    fn rules_over_many_series_agree_with_whole_evaluation(seed in 1..u64::MAX) {
        let mut dice = Dice(seed);
        let (flushes, forgets) = (seed % 3 == 0, seed % 4 < 2);
        let mut both = Both::new(&groups(&mut dice, false), BEGIN);
        let mut at = BEGIN;
        for _ in 0..40 {
            at = Time(at.0 + 1_000_000 * (1 + dice.below(4) as i64 / 3 * dice.below(30) as i64));
            both.until(Time(at.0 - 1));
            if flushes && dice.below(10) == 0 {
                both.around.flush();
            }
            if forgets && dice.below(5) == 0 {
                both.live.forget(&mut both.around);
            }
            let rows = batch(&mut dice, at, false);
            both.arrive(at, &rows);
            both.until(at);
        }
        both.until(Time(at.0 + LONGEST_US));
        both.check();
    }

    /// Batches come at any time; each rule is one element, and every series is there from the beginning: one that is not behind
    /// any element yet makes no element be looked at.
    #[test]
    fn rules_over_one_series_each_agree_at_any_instant(seed in 1..u64::MAX) {
        let mut dice = Dice(seed);
        let mut both = Both::new(&groups(&mut dice, true), BEGIN);
        let mut at = BEGIN;
        both.arrive(at, &everything(at));
        for _ in 0..60 {
            at = Time(at.0 + 1 + dice.below(2_500_000) as i64);
            both.until(at);
            if seed % 2 == 0 && dice.below(5) == 0 {
                both.live.forget(&mut both.around);
            }
            let rows = batch(&mut dice, at, true);
            both.arrive(at, &rows);
        }
        both.until(Time(at.0 + LONGEST_US));
        both.check();
    }
}

/// Where names go away at the end only, elements must not take them away before.
#[test]
fn names_go_away_when_the_server_says() {
    let groups: Vec<RuleGroup> = serde_saphyr::from_str(
        "[{ name: g, rules: [{ alert: A, expr: 'a * 2 + on (__name__) b * 2 > 0' }, { alert: B, expr: 'a * 2 + on () b * 2 > 0' }] }]",
    )
    .unwrap();
    let delayed = Features { delayed_name_removal: true, ..Features::STABLE };
    for (features, told) in [(Features::STABLE, 2), (delayed, 1)] {
        let mut both = Both::with(&groups, BEGIN, features);
        let row = |name: &str| (Labels::new([("__name__", name)]).unwrap(), BEGIN, 1.0);
        both.arrive(BEGIN, &[row("a"), row("b")]);
        both.until(Time(BEGIN.0 + 60_000_000));
        both.check();
        assert_eq!(both.said.len(), told, "{:?}", both.said);
    }
}

/// A job that pushes once a day with a time ten minutes back: what is late beyond the lookback is seen at the next multiple.
#[test]
fn what_comes_very_late_is_seen_at_the_next_multiple() {
    for expr in ["last_over_time(batch_result[1h]) != 0", "batch_result offset 10m != 0"] {
        let groups = format!("[{{ name: g, rules: [{{ alert: Batch, expr: '{expr}' }}] }}]");
        let mut both = Both::new(&serde_saphyr::from_str::<Vec<RuleGroup>>(&groups).unwrap(), BEGIN);
        for (day, result) in [(0, 0.0), (1, 1.0), (2, 0.0)] {
            let at = Time(BEGIN.0 + day * 86_400_000_000 + 20_000_000);
            both.until(at);
            both.arrive(at, &[(Labels::new([("__name__", "batch_result")]).unwrap(), Time(at.0 - 600_000_000), result)]);
        }
        both.check();
        assert_eq!(both.said.len(), 2, "{expr}: {:?}", both.said);
    }
}

/// The first sample of a series is told after it was read with its series, however old it is.
#[test]
fn an_old_sample_of_a_new_series_is_there_once() {
    let groups = "[{ name: g, rules: [{ alert: Twice, expr: 'count_over_time(a[1h]) != 1' }] }]";
    let mut both = Both::new(&serde_saphyr::from_str::<Vec<RuleGroup>>(groups).unwrap(), BEGIN);
    both.arrive(BEGIN, &[(Labels::new([("__name__", "a")]).unwrap(), Time(BEGIN.0 - 600_000_000), 1.0)]);
    both.until(Time(BEGIN.0 + 120_000_000));
    both.check();
    assert_eq!(both.said, [""; 0]);
}

/// Rules over samples that all lie on the disk, as after a start, with what was told before; what they tell then.
fn after_a_start(expr: &str, told_before: bool, samples: &[(i64, f64)]) -> Vec<String> {
    let groups = format!("[{{ name: g, rules: [{{ alert: A, expr: '{expr}' }}] }}]");
    let groups: Vec<RuleGroup> = serde_saphyr::from_str(&groups).unwrap();
    let mut around = Around::default();
    let labels = Labels::new([("__name__", "a")]).unwrap();
    around.write(
        &samples.iter().map(|(second, value)| (labels.clone(), Time(BEGIN.0 + *second * 1_000_000), *value)).collect::<Vec<_>>(),
    );
    let at = Time(BEGIN.0 + 1);
    let mut state = RuleState::default();
    let mut alerts = BTreeMap::new();
    if told_before {
        let mut rules = Rules::compile(&groups).unwrap();
        rules.bind(&around.shelf, at).unwrap();
        let found = evaluate(&rules, &mut state, &rules.all(), at, &around.shelf);
        alerts.extend(found.transitions.into_iter().map(|told| (told.alert.clone(), told)));
        assert_eq!(alerts.len(), 1);
    }
    around.flush();
    let mut live = Live::new(Rules::compile(&groups).unwrap(), state, &alerts, at, &mut around);
    let mut said = Vec::new();
    while let Some(due) = live.next_due().filter(|due| *due <= Time(BEGIN.0 + 150_000_000)) {
        live.tick(due, &mut around);
        said.extend(live.take().transitions.into_iter().map(|one| format!("{:?}->{:?}", one.from, one.to)));
    }
    assert_eq!(live.whole(), 0, "{expr}");
    said
}

/// Selectors that look back an hour are kept by element, and look for a value five minutes further.
#[test]
fn an_offset_of_an_hour_is_there_after_a_start() {
    let samples: Vec<(i64, f64)> = (-70..=0).map(|minute| (minute * 60, if minute < -30 { 1.0 } else { 10.0 })).collect();
    for expr in ["a - a offset 1h > 5", "a - avg_over_time(a[1h]) > 1"] {
        assert_eq!(after_a_start(expr, false, &samples), ["Ok->Bad"], "{expr}");
        assert_eq!(after_a_start(expr, true, &samples), [""; 0], "{expr}");
    }
}

/// A sender's clock is two minutes ahead: its newest sample does not count yet, and the one before it lies on the disk.
#[test]
fn a_sample_from_the_future_takes_nothing_away_after_a_start() {
    let samples = [(-60, 10.0), (-1, 10.0), (120, 10.0)];
    assert_eq!(after_a_start("a > 5", false, &samples), ["Ok->Bad"]);
    assert_eq!(after_a_start("a > 5", true, &samples), [""; 0]);
}

/// What memory has let go of is there for them, whether rules read it or not; element by element, and whole.
#[test]
fn queries_of_templates_read_what_memory_has_let_go_of() {
    let summary = "{{ with query \"node_info\" }}{{ . | first | label \"kernel\" }}{{ end }} \
                   {{ query \"count_over_time(load[10m])\" | first | value }}";
    for expr in ["load > 5", "sort(load) > 5"] {
        let text = format!("[{{ name: g, rules: [{{ alert: A, expr: '{expr}', annotations: {{ s: '{summary}' }} }}] }}]");
        let groups: Vec<RuleGroup> = serde_saphyr::from_str(&text).unwrap();
        let mut around = Around::default();
        let rules = Rules::compile(&groups).unwrap();
        let mut live = Live::new(rules, RuleState::default(), &BTreeMap::new(), BEGIN, &mut around);
        assert_eq!(live.whole(), usize::from(expr != "load > 5"), "{expr}");
        let row = |labels: &[(&str, &str)], second: i64, value: f64| {
            (Labels::new(labels.iter().copied()).unwrap(), Time(BEGIN.0 + second * 1_000_000), value)
        };
        let mut arrive = |around: &mut Around, rows: &[Row]| {
            let kept = around.write(rows);
            let at = rows[0].1;
            live.arrive(at, kept.touched, &kept.new_series, around);
            while live.work(at, around).is_some() {}
            live.take().transitions
        };
        arrive(
            &mut around,
            &[row(&[("__name__", "node_info"), ("kernel", "6.12")], 0, 1.0), row(&[("__name__", "load")], 0, 1.0)],
        );
        around.flush();
        let told = arrive(&mut around, &[row(&[("__name__", "load")], 60, 9.0)]);
        assert_eq!(told[0].annotations["s"], "6.12 2", "{expr}");
    }
}

/// How each recorded series stands: its label, and its newest value or that it has ended.
fn recorded(around: &Around) -> Vec<String> {
    let of_rules = around.written.series.iter().filter(|(labels, _)| labels.metric().starts_with("r:"));
    let mut shown: Vec<String> = of_rules
        .map(|(labels, samples)| match samples.last_key_value() {
            Some((_, value)) if model::is_stale(*value) => format!("{labels} ends"),
            Some((time, _)) => format!("{labels} at {}", (time.0 - BEGIN.0) / 1_000_000),
            None => format!("{labels} is empty"),
        })
        .collect();
    shown.sort();
    shown
}

/// A recording rule is replaced while the server is down, too: each time before its successors' turn has come, and after it.
#[test]
fn what_rules_recorded_that_are_gone_ends() {
    let compiled = |groups: &str| Rules::compile(&serde_saphyr::from_str::<Vec<RuleGroup>>(groups).unwrap()).unwrap();
    let first = "[{ name: g, interval: 10s, rules: [{ record: 'r:x', expr: load, labels: { team: a } }] }]";
    for (then, before, after) in [
        // The same rule in another group goes on.
        (
            "[{ name: h, interval: 1m, rules: [{ record: 'r:x', expr: load, labels: { team: a } }] }]",
            "r:x{team=\"a\"} at 10",
            "r:x{team=\"a\"} at 60",
        ),
        // One with another label takes over at its first turn.
        (
            "[{ name: g, interval: 1m, rules: [{ record: 'r:x', expr: load, labels: { team: b } }] }]",
            "r:x{team=\"a\"} at 10",
            "r:x{team=\"a\"} ends, r:x{team=\"b\"} at 60",
        ),
        // One that finds nothing has had its turn, too.
        (
            "[{ name: h, interval: 1m, rules: [{ record: 'r:x', expr: load > 7, labels: { team: a } }] }]",
            "r:x{team=\"a\"} at 10",
            "r:x{team=\"a\"} ends",
        ),
        // Nobody else records it.
        (
            "[{ name: g, interval: 1m, rules: [{ record: 'r:y', expr: load }] }]",
            "r:x{team=\"a\"} ends",
            "r:x{team=\"a\"} ends, r:y at 60",
        ),
        ("[]", "r:x{team=\"a\"} ends", "r:x{team=\"a\"} ends"),
    ] {
        let mut around = Around::default();
        let mut live = Live::new(compiled(first), RuleState::default(), &BTreeMap::new(), BEGIN, &mut around);
        let kept = around.write(&[(Labels::new([("__name__", "load")]).unwrap(), BEGIN, 1.0)]);
        live.arrive(BEGIN, kept.touched, &kept.new_series, &mut around);
        live.tick(Time(BEGIN.0 + 10_000_000), &mut around);
        for second in [11, 12] {
            let state = serde_json::from_str(&serde_json::to_string(live.state()).unwrap()).unwrap();
            live = Live::new(compiled(then), state, &BTreeMap::new(), Time(BEGIN.0 + second * 1_000_000), &mut around);
            assert_eq!(recorded(&around).join(", "), before, "{then}");
        }
        live.tick(Time(BEGIN.0 + 60_000_000), &mut around);
        assert_eq!(recorded(&around).join(", "), after, "{then}");
    }
}
