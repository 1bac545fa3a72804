//! Rules kept up to date: with every sample that arrives, and with the time.
//!
//! ```text
//! let mut live = Live::new(rules, state, &alerts, now, &mut surroundings);
//! live.arrive(received, &touched, &new_series, &mut surroundings);   evaluates what these samples touch
//! while live.next_due() <= now { live.tick(live.next_due(), ..) }    groups' intervals and alerts that have held long enough
//! while live.work(now, ..).is_some() {}                                        what takes longer, one rule at a time
//! live.take()                                                        transitions for the journal
//! ```
//!
//! A rule whose shape allows it is a set of *elements*, one per possible alert. An element is evaluated when a series behind it
//! is touched, and at the multiples of its group's interval from the instant on at which time alone may have changed it: a sample
//! grows older than the lookback, a window moves on. What is not due is not looked at. Any other rule is evaluated whole, by
//! the evaluator of queries, when any of its series is touched and at each multiple. Both give the same results.
//!
//! Knows no clock and no thread: the caller says when it is. Recording rules run at their interval only, in the order of the
//! files, before the alerting rules of the same instant; what they record touches those that read it.

mod elements;
mod forget;
mod graph;
mod look;
mod node;
mod past;
mod plan;
mod recording;
mod ring;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::time::Duration;

use model::{AlertKey, Labels, SampleBatch, Time, Transition};
use query::source::{Matcher, SeriesRef, Source, SourceError, TimeRange};

use super::bind::Told;
use super::evaluate::{Sources, evaluate_over};
use super::{Compiled, Evaluated, Kind, RuleId, RuleState, Rules, micros};
use elements::{Element, Own, Root};
use graph::{Graph, Placed};
use past::{Borrowed, Opened, Past, Through};

pub use look::{AlertSeen, RuleSeen};
pub(super) use plan::BOUND_REACH_US;

/// Prometheus' lookback: an older sample of a series says nothing.
pub(super) const LOOKBACK: Duration = Duration::from_secs(300);
/// Samples that are older cause no evaluation before the next multiple: they are history.
const LATE: Duration = Duration::from_secs(300);

/// A sample that the store took.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Arrived {
    /// Its series.
    pub series: SeriesRef,
    /// Its time.
    pub time: Time,
    /// Its value; a staleness marker is one too.
    pub value: f64,
    /// Not the newest of its series: it came late, or overwrote another.
    pub late: bool,
}

/// What became of samples that recording rules recorded.
#[derive(Debug, Default)]
pub struct Kept {
    /// The samples of series that rules read.
    pub touched: Vec<Arrived>,
    /// Series that were not there before.
    pub new_series: Vec<(SeriesRef, Labels)>,
}

/// Where live rules read and write.
pub trait Surroundings: Sync {
    /// The samples in memory, by the series that are told.
    fn source(&self) -> &dyn Source;

    /// Every sample that is not older is in memory.
    fn memory_since(&self) -> Time {
        Time::MIN
    }

    /// All samples; series have names of their own there.
    fn history(&self) -> Box<dyn Source + Send + '_> {
        Box::new(Borrowed(self.source()))
    }

    /// The series whose samples may be told, whether any is in memory or not.
    fn known(&self, matchers: &[Matcher]) -> Result<Vec<(SeriesRef, Labels)>, SourceError> {
        self.source().series(matchers, TimeRange { from: Time::MIN, to: Time::MAX }, usize::MAX)
    }

    /// Samples of these series are to be told from now on, or no more.
    fn watch(&self, series: &[SeriesRef], watched: bool);

    /// Puts into the store what recording rules recorded at `at`.
    fn keep(&mut self, recorded: &SampleBatch, at: Time) -> Kept;
}

/// How much was done since the start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Samples that touched a rule.
    pub touched: u64,
    /// Results that were computed for elements.
    pub results: u64,
    /// Conditions that were decided, of one rule and element each.
    pub decided: u64,
    /// Rules that were evaluated whole.
    pub whole: u64,
}

/// Groups with the same interval.
#[derive(Debug)]
struct Beat {
    every: i64,
    next: i64,
    /// The roots of its rules, and from when on each may be another.
    roots: Vec<u32>,
    deadlines: Vec<i64>,
    /// Not after any of them.
    earliest: i64,
    /// Its recording rules, and its alerting rules that are evaluated whole.
    recording: Vec<u32>,
    whole: BTreeSet<u32>,
}

/// Rules with everything that keeps them up to date.
#[derive(Debug)]
pub struct Live {
    rules: Rules,
    state: RuleState,
    graph: Graph,
    own: Vec<Own>,
    roots: Vec<Root>,
    root_of: HashMap<(u32, u32), u32>,
    /// The roots under which a cell lies that may take further inputs, in order.
    roots_over: HashMap<u32, Vec<u32>>,
    elements: Vec<Element>,
    beats: Vec<Beat>,
    now: Time,
    started: Time,
    /// A rule's share of the last tick.
    took: Duration,
    /// When the first pending alert of each rule has held long enough: the rule's own `hold`.
    holds: BTreeSet<(i64, u32)>,
    /// Rules that hold alerts whose condition is over: why may change with time.
    lingering: BTreeSet<u32>,
    /// Rules to evaluate whole, the one that waited longest first.
    waiting: BTreeSet<(u64, u32)>,
    turns: Vec<u64>,
    turn: u64,
    /// Roots that take long.
    slow: BTreeSet<u32>,
    dirty: Vec<u32>,
    /// Elements that changed or have to be looked at.
    changed: Vec<u32>,
    /// With so many series it is worth a look which of them are gone.
    next_look: usize,
    found: Evaluated,
    has_changed: bool,
    counts: Counts,
}

impl Live {
    /// Binds rules to the series that there are; nothing is evaluated yet. `alerts` are the engine's, with which the memory of
    /// the last run is made to agree.
    pub fn new(
        rules: Rules,
        mut state: RuleState,
        alerts: &BTreeMap<AlertKey, Transition>,
        at: Time,
        around: &mut dyn Surroundings,
    ) -> Live {
        state.agree(&rules, alerts);
        let mut live = Live {
            graph: Graph::default(),
            own: Vec::with_capacity(rules.len()),
            roots: Vec::new(),
            root_of: HashMap::new(),
            roots_over: HashMap::new(),
            elements: Vec::new(),
            beats: Vec::new(),
            now: at,
            started: at,
            took: Duration::ZERO,
            holds: BTreeSet::new(),
            lingering: BTreeSet::new(),
            waiting: BTreeSet::new(),
            turns: vec![0; rules.len()],
            turn: 0,
            slow: BTreeSet::new(),
            dirty: Vec::new(),
            changed: Vec::new(),
            next_look: 0,
            found: Evaluated::default(),
            has_changed: false,
            counts: Counts::default(),
            rules,
            state,
        };
        live.graph.epoch = 1;
        live.prepare();
        live.find(around);
        live.look_later(live.graph.memories.len());
        // Nothing has come yet: the first look is at the next multiple, or with the first sample.
        live.dirty.drain(..).for_each(|root| live.roots[root as usize].marked = false);
        live.waiting.clear();
        live.end_left(around);
        live
    }

    /// Finds the series that there are once more, as after touches were missed, and evaluates everything.
    pub fn rebind(&mut self, around: &mut dyn Surroundings) {
        self.find(around);
        let mut past = Past::new(around);
        if let Err(error) = self.find_past(&mut past) {
            self.blame_source(0, &error);
        }
        for slot in 0..self.graph.memories.len() as u32 {
            if let Err(error) = self.graph.reload(slot, &mut past, self.now) {
                self.blame_source(0, &error);
            }
        }
        self.next_event(self.now);
        for root in 0..self.roots.len() as u32 {
            self.mark(root);
        }
        self.evaluate_dirty(around.source());
        let every: Vec<u32> = self.beats.iter().flat_map(|beat| beat.whole.iter().copied()).collect();
        every.into_iter().for_each(|rule| self.wait(rule));
        self.settle(around);
    }

    fn find(&mut self, around: &mut dyn Surroundings) {
        match self.rules.found_by(|matchers| around.known(matchers)) {
            Ok(mut found) => {
                // In order, groups grow at their ends.
                model::labels::sort_by_labels(&mut found, |one| &one.1);
                self.tell_of(&found, around, true);
            }
            Err(error) => self.blame_source(0, &error),
        }
    }

    /// Where the history has what rules may look back at: all that is loaded through it lies in the range asked for.
    fn find_past(&self, past: &mut Past<'_>) -> Result<(), SourceError> {
        let is_bound = |rule: &&Compiled| !(0..rule.selectors.len()).any(|place| rule.reaches_history(place));
        let bound = self.rules.rules.iter().filter(is_bound);
        let reach = bound.map(|rule| rule.reach()).max().unwrap_or_default().max(LOOKBACK);
        let range = TimeRange { from: self.now - reach, to: self.now + ring::AHEAD };
        past.find(range.from, |history| self.rules.found_by(|matchers| history.series(matchers, range, usize::MAX)))
    }

    fn prepare(&mut self) {
        for group in 0..self.rules.groups.len() {
            let every = micros(self.rules.groups[group].interval);
            let beat = self.beats.iter().position(|beat| beat.every == every).unwrap_or_else(|| {
                let next = (self.now.0.div_euclid(every) + 1).saturating_mul(every);
                let (roots, deadlines, recording, whole) = Default::default();
                self.beats.push(Beat { every, next, roots, deadlines, earliest: i64::MAX, recording, whole });
                self.beats.len() - 1
            });
            for rule in self.rules.groups[group].rules.clone() {
                let features = &self.rules.outside.features;
                let (own, grown) = Own::new(&self.rules.rules[rule as usize], features, beat as u32, &mut self.graph);
                let alerting = self.rules.rules[rule as usize].kind == Kind::Alert;
                match (alerting, own.is_whole()) {
                    (false, _) => self.beats[beat].recording.push(rule),
                    (true, true) => _ = self.beats[beat].whole.insert(rule),
                    (true, false) => {}
                }
                self.own.push(own);
                self.grow(rule, grown);
            }
        }
        for (rule, compiled) in self.rules.rules.iter().enumerate() {
            if self.state.rules.get(&compiled.key).is_some_and(|memory| !memory.alerts.is_empty()) {
                self.lingering.insert(rule as u32);
            }
        }
    }

    /// Samples arrived at `at`, by the server's clock: evaluates what they touch.
    pub fn arrive(
        &mut self,
        at: Time,
        touched: impl IntoIterator<Item = Arrived>,
        new_series: &[(SeriesRef, Labels)],
        around: &mut dyn Surroundings,
    ) {
        self.next_event(at);
        if !new_series.is_empty() {
            self.tell(new_series, around);
        }
        self.place(touched, around);
        self.evaluate_dirty(around.source());
        self.settle(around);
    }

    /// When something is due next: a group's interval, or an alert that has held long enough.
    pub fn next_due(&self) -> Option<Time> {
        let idle = |beat: &&Beat| !beat.recording.is_empty() || !beat.whole.is_empty() || !beat.roots.is_empty();
        let beats = self.beats.iter().filter(idle).map(|beat| beat.next);
        let holds = self.holds.first().map(|(at, _)| *at);
        beats.chain(holds).min().map(Time)
    }

    /// Evaluates what is due up to `at`, as of `at`. To miss no multiple of an interval, call it with each
    /// [`next_due`](Self::next_due); called with a later instant it leaves out those between, as Prometheus does.
    pub fn tick(&mut self, at: Time, around: &mut dyn Surroundings) {
        self.next_event(at);
        let due: Vec<usize> = (0..self.beats.len()).filter(|beat| self.beats[*beat].next <= at.0).collect();
        let mut recording: Vec<u32> = Vec::new();
        for &beat in &due {
            let beat = &mut self.beats[beat];
            beat.next = (at.0.div_euclid(beat.every) + 1).saturating_mul(beat.every);
            recording.extend(&beat.recording);
        }
        recording.sort_unstable();
        self.run_recording(&recording, around);
        let mut looked: BTreeSet<u32> = BTreeSet::new();
        for &beat in &due {
            let waiting: Vec<u32> = self.beats[beat].whole.iter().copied().collect();
            waiting.into_iter().for_each(|rule| self.wait(rule));
            self.mark_due(beat, at);
            looked.extend(self.lingering.iter().filter(|rule| self.own[**rule as usize].beat == beat as u32));
        }
        looked.extend(self.held_long_enough(at));
        self.evaluate_dirty(around.source());
        looked.retain(|rule| !self.own[*rule as usize].is_whole());
        self.settle_also(looked, around);
        self.forget_some(around);
    }

    /// Evaluates one of the rules that take longer, and says which; none when none waits.
    pub fn work(&mut self, at: Time, around: &mut dyn Surroundings) -> Option<RuleId> {
        self.next_event(at);
        if let Some(root) = self.slow.pop_first() {
            self.evaluate_root(root, around.source());
            self.settle(around);
            return Some(RuleId(self.rule_at(root)));
        }
        let (_, rule) = self.waiting.pop_first()?;
        self.turn += 1;
        self.turns[rule as usize] = self.turn;
        self.evaluate_whole(rule, around);
        Some(RuleId(rule))
    }

    /// Whether [`take`](Self::take) has anything to give.
    pub fn has_found(&self) -> bool {
        !self.found.transitions.is_empty() || !self.found.failed.is_empty()
    }

    /// What was found since the last call.
    pub fn take(&mut self) -> Evaluated {
        std::mem::take(&mut self.found)
    }

    /// The rules.
    pub fn rules(&self) -> &Rules {
        &self.rules
    }

    /// Whether alerts have begun, changed, ended or begun to be kept since [`state`](Self::state) was asked for.
    pub fn has_changed(&self) -> bool {
        self.has_changed
    }

    /// What the rules remember, as it is to be kept for the next start.
    pub fn state(&mut self) -> &RuleState {
        self.note_values();
        self.has_changed = false;
        &self.state
    }

    /// The series that are read, to be watched no more.
    pub fn series(&self) -> Vec<SeriesRef> {
        self.graph.memories.iter().map(|memory| memory.series).collect()
    }

    /// Whether any rule reads a series.
    pub fn reads(&self, series: SeriesRef) -> bool {
        self.rules.readers.place(series).is_some()
    }

    /// How much was done.
    pub fn counts(&self) -> Counts {
        self.counts
    }

    /// Of how many rules each sample and each multiple costs an evaluation of the whole.
    pub fn whole(&self) -> usize {
        self.own.iter().filter(|own| own.is_whole()).count()
    }

    fn next_event(&mut self, at: Time) {
        self.now = self.now.max(at);
        self.graph.epoch += 1;
    }

    /// Series that are new to the store.
    fn tell(&mut self, series: &[(SeriesRef, Labels)], around: &mut dyn Surroundings) {
        self.tell_of(series, around, false);
    }

    /// `at_once`: they are many, and the history is asked for all of them together.
    fn tell_of(&mut self, series: &[(SeriesRef, Labels)], around: &mut dyn Surroundings, at_once: bool) {
        let mut bound: Vec<(u32, bool, SeriesRef, &Labels)> = Vec::new();
        for (series, labels) in series {
            match self.rules.tell(*series, labels) {
                Told::Nothing => {}
                Told::New(slot) => bound.push((slot, true, *series, labels)),
                Told::Again(slot) => bound.push((slot, false, *series, labels)),
            }
        }
        if bound.is_empty() {
            return;
        }
        // Watched before they are read, so that no sample is missed in between.
        let watched: Vec<SeriesRef> = bound.iter().map(|(_, _, series, _)| *series).collect();
        around.watch(&watched, true);
        let mut past = Past::new(around);
        if at_once && let Err(error) = self.find_past(&mut past) {
            self.blame_source(0, &error);
        }
        for (slot, is_new, series, labels) in bound {
            if let Err(error) = self.graph.know(slot, (series, labels), &mut past, self.now) {
                self.blame_source(0, &error);
            }
            match is_new {
                true => self.bind(slot, labels, &mut past),
                false => self.mark_series(slot),
            }
        }
    }

    fn bind(&mut self, slot: u32, labels: &Labels, past: &mut Past<'_>) {
        for (rule, selector) in self.rules.readers.get(slot).by.clone() {
            let own = &mut self.own[rule as usize];
            if own.is_whole() {
                if self.rules.rules[rule as usize].kind == Kind::Alert {
                    self.graph.memories[slot as usize].whole.push(rule);
                }
                continue;
            }
            match own.nodes.series(selector, slot, labels, &mut self.graph, (&mut *past, self.now)) {
                Ok(grown) => self.grow(rule, grown),
                Err(_) => self.make_whole(rule),
            }
        }
    }

    /// Puts samples where they belong, and marks what they touch.
    fn place(&mut self, touched: impl IntoIterator<Item = Arrived>, around: &dyn Surroundings) {
        let mut past = Past::new(around);
        for arrived in touched {
            let Some(slot) = self.rules.readers.place(arrived.series) else { continue };
            self.counts.touched += 1;
            match self.graph.place(slot, (arrived.time, arrived.value), arrived.late, &mut past, self.now) {
                // It was read with its series; what it touches was marked then, or is by this.
                Ok(Placed::New | Placed::Known) => {}
                Err(error) => self.blame_source(0, &error),
            }
            match arrived.time + LATE >= self.now {
                true => self.mark_series(slot),
                false => self.put_off(slot),
            }
        }
    }

    #[inline]
    fn mark_series(&mut self, slot: u32) {
        for place in 0..self.graph.memories[slot as usize].roots.len() {
            let root = self.graph.memories[slot as usize].roots[place];
            match self.roots[root as usize].cheap {
                true => self.mark(root),
                false => _ = self.slow.insert(root),
            }
        }
        for place in 0..self.graph.memories[slot as usize].whole.len() {
            self.wait(self.graph.memories[slot as usize].whole[place]);
        }
    }

    /// What came late may still lie in a window: the next multiple sees it. Rules evaluated whole see each multiple anyway.
    fn put_off(&mut self, slot: u32) {
        for root in &self.graph.memories[slot as usize].roots {
            let root = &self.roots[*root as usize];
            let beat = &mut self.beats[root.beat as usize];
            beat.deadlines[root.place as usize] = i64::MIN;
            beat.earliest = i64::MIN;
        }
    }

    fn wait(&mut self, rule: u32) {
        self.waiting.insert((self.turns[rule as usize], rule));
    }

    fn mark_due(&mut self, beat: usize, at: Time) {
        if self.beats[beat].earliest > at.0 {
            return;
        }
        self.beats[beat].earliest = i64::MAX;
        for place in 0..self.beats[beat].roots.len() {
            let deadline = self.beats[beat].deadlines[place];
            if deadline <= at.0 {
                self.mark(self.beats[beat].roots[place]);
            } else {
                self.beats[beat].earliest = self.beats[beat].earliest.min(deadline);
            }
        }
    }

    /// Marks everything of rules with an alert that has now held long enough.
    fn held_long_enough(&mut self, at: Time) -> Vec<u32> {
        let mut rules = Vec::new();
        while let Some((_, rule)) = self.holds.first().copied().filter(|(due, _)| *due <= at.0) {
            self.holds.pop_first();
            self.own[rule as usize].hold = None;
            if self.next_hold(rule).is_none_or(|due| due > at.0) {
                continue;
            }
            rules.push(rule);
            if self.own[rule as usize].is_whole() {
                self.wait(rule);
            }
            for place in 0..self.own[rule as usize].elements.len() {
                let element = self.own[rule as usize].elements[place];
                self.mark(self.elements[element as usize].root);
            }
        }
        rules
    }

    /// When the first pending alert of a rule has held long enough.
    fn next_hold(&self, rule: u32) -> Option<i64> {
        let rule = &self.rules.rules[rule as usize];
        let memory = self.state.rules.get(&rule.key).filter(|memory| !memory.failed)?;
        let pending = memory.alerts.values().filter(|held| held.said == model::AlertState::Ok);
        pending.map(|held| (held.since + rule.hold.duration()).0).min()
    }

    /// One per rule: it is noted with every evaluation, and a day of them was 17 million.
    fn note_hold(&mut self, rule: u32) {
        let due = self.next_hold(rule).filter(|due| *due > self.now.0);
        let before = std::mem::replace(&mut self.own[rule as usize].hold, due);
        if before == due {
            return;
        }
        if let Some(before) = before {
            self.holds.remove(&(before, rule));
        }
        if let Some(due) = due {
            self.holds.insert((due, rule));
        }
    }

    fn evaluate_whole(&mut self, rule: u32, around: &dyn Surroundings) {
        self.counts.whole += 1;
        let reach = self.rules.rules[rule as usize].reach();
        let beyond = reach.as_micros() > BOUND_REACH_US as u128 || self.now - reach < around.memory_since();
        let history = beyond.then(|| around.history());
        let history = history.as_ref().map(|history| &**history as &dyn Source);
        let through = Through { around, rules: &self.rules, graph: &self.graph, history };
        let opened = Opened::new(around);
        let sources = Sources { bound: &through, history, templates: &opened };
        let mut found = evaluate_over(&self.rules, &mut self.state, &[RuleId(rule)], self.now, sources);
        self.has_changed |= found.changed || !found.transitions.is_empty();
        let error = found.failed.pop().map(|(_, why)| why);
        self.found.add(found);
        self.note_done(rule, error);
        self.note_hold(rule);
    }

    fn blame_source(&mut self, rule: u32, error: &SourceError) {
        if self.found.failed.len() < 16 {
            self.found.failed.push((RuleId(rule), error.to_string()));
        }
    }
}

impl Evaluated {
    fn add(&mut self, other: Evaluated) {
        self.transitions.extend(other.transitions);
        self.failed.extend(other.failed);
        for (key, sample) in other.recorded.iter() {
            if let Ok(labels) = Labels::from_key(key) {
                self.recorded.push(&labels, sample.time, sample.value);
            }
        }
    }
}
