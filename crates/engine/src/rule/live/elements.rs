//! Elements: what a rule says about one set of labels, and how a change of it becomes an alert's.
//!
//! Elements that share a result hang at one root, behind each other in memory: a sample that touches ten thresholds costs one
//! result and ten comparisons. Only an element that begins or ceases to hold, or whose alert is not settled, is looked at
//! further; that way is the one that rules evaluated whole take too.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::time::Duration;

use model::{AlertKey, AlertState, Labels, Time};
use query::Features;
use query::source::Source;

use super::graph::{CellId, Graph, Kind as CellKind};
use super::node::{Grown, Nodes};
use super::past::{Opened, Through};
use super::plan::{Plan, WithScalar};
use super::{LOOKBACK, Live, RuleId, Surroundings};
use crate::rule::evaluate::{Sources, alerts, labels_of};
use crate::rule::template::Filling;
use crate::rule::{Compiled, Kind};

/// What a rule has of its own.
#[derive(Debug, Default)]
pub(super) struct Own {
    pub nodes: Nodes,
    whole: bool,
    /// The condition around everything, where there is one: decided at the root.
    test: Option<WithScalar>,
    pub beat: u32,
    pub elements: Vec<u32>,
    /// Those that hold, and those whose alert is not over yet.
    active: BTreeSet<u32>,
    keys: HashSet<AlertKey>,
    /// When its first pending alert has held long enough.
    pub hold: Option<i64>,
    /// How its last evaluation ended, as of when, and how long it took.
    pub error: Option<String>,
    pub evaluated: Option<Time>,
    pub took: Duration,
    /// Of a recording rule.
    pub recorded: Vec<(CellId, Labels)>,
}

impl Own {
    pub fn new(rule: &Compiled, features: &Features, beat: u32, graph: &mut Graph) -> (Own, Grown) {
        let Some(plan) = Plan::of(rule, features) else {
            return (Own { whole: true, beat, ..Own::default() }, Grown::default());
        };
        let (test, plan) = match plan {
            Plan::Scalar { with, input } if with.filters() && rule.kind == Kind::Alert => (Some(with), *input),
            plan => (None, plan),
        };
        let (nodes, grown) = Nodes::new(plan, rule.selectors.len(), graph);
        (Own { nodes, test, beat, ..Own::default() }, grown)
    }

    /// Takes over from the one before what has nothing to do with series.
    pub fn go_on(&mut self, before: &Own) {
        (self.hold, self.evaluated, self.took) = (before.hold, before.evaluated, before.took);
        self.error.clone_from(&before.error);
    }

    /// Whether it is evaluated by the evaluator of queries.
    pub fn is_whole(&self) -> bool {
        self.whole
    }
}

/// What may become one alert.
#[derive(Debug)]
pub(super) struct Element {
    rule: u32,
    pub root: u32,
    watch: u32,
    read: Labels,
    labels: Labels,
    key: AlertKey,
}

/// An element at its root.
#[derive(Clone, Copy, Debug)]
struct Watch {
    test: Option<WithScalar>,
    /// The last value for which it held.
    value: f64,
    element: u32,
    passing: bool,
    /// It has held since the start.
    passed: bool,
    /// Its alert is there though it does not hold: each result matters.
    attention: bool,
    /// Its rule is evaluated whole meanwhile.
    dead: bool,
}

/// What an element was like before everything was bound anew.
#[derive(Debug)]
pub(super) struct Stand {
    watch: Watch,
    root: u32,
}

/// A result with the elements that hang at it, of groups with one interval.
#[derive(Debug)]
pub(super) struct Root {
    cell: CellId,
    pub beat: u32,
    /// Its place in the beat.
    pub place: u32,
    /// Fast enough for every sample.
    pub cheap: bool,
    pub marked: bool,
    watches: Vec<Watch>,
}

impl Live {
    /// New results of a rule.
    pub(super) fn grow(&mut self, rule: u32, grown: Grown) {
        for (cell, input) in grown.fed {
            for root in self.roots_over.get(&cell).cloned().unwrap_or_default() {
                self.connect(root, input);
                self.roots[root as usize].cheap = self.graph.is_cheap(self.roots[root as usize].cell);
                self.mark(root);
            }
        }
        for row in grown.rows {
            if self.own[rule as usize].whole {
                return;
            }
            let compiled = &self.rules.rules[rule as usize];
            if compiled.kind == Kind::Record {
                self.own[rule as usize].recorded.push((row.cell, row.labels));
                continue;
            }
            let read = row.labels;
            let filling = Filling { labels: &read, value: f64::NAN, outside: &self.rules.outside, source: None };
            let Ok(labels) = labels_of(compiled, &filling) else { return self.make_whole(rule) };
            let key = compiled.alert_key(&labels);
            let is_held = self.state.rules.get(&compiled.key).is_some_and(|memory| memory.alerts.contains_key(&key));
            let own = &mut self.own[rule as usize];
            if !own.keys.insert(key.clone()) {
                return self.make_whole(rule);
            }
            let element = self.elements.len() as u32;
            own.elements.push(element);
            if is_held {
                own.active.insert(element);
            }
            let (test, beat) = (own.test, own.beat);
            let root = self.root(row.cell, beat);
            let watches = &mut self.roots[root as usize].watches;
            let watch = watches.len() as u32;
            let (passing, passed, dead) = (false, false, false);
            watches.push(Watch { test, value: 0.0, element, passing, passed, attention: is_held, dead });
            self.elements.push(Element { rule, root, watch, read, labels, key });
            self.mark(root);
        }
    }

    fn root(&mut self, cell: CellId, beat: u32) -> u32 {
        if let Some(root) = self.root_of.get(&(cell, beat)) {
            return *root;
        }
        let root = self.roots.len() as u32;
        self.root_of.insert((cell, beat), root);
        let of_beat = &mut self.beats[beat as usize];
        let place = of_beat.roots.len() as u32;
        of_beat.roots.push(root);
        of_beat.deadlines.push(i64::MIN);
        of_beat.earliest = i64::MIN;
        self.roots.push(Root { cell, beat, place, cheap: self.graph.is_cheap(cell), marked: false, watches: Vec::new() });
        self.connect(root, cell);
        root
    }

    /// A root is touched by every series under this cell.
    fn connect(&mut self, root: u32, cell: CellId) {
        let (mut slots, mut open) = (Vec::new(), Vec::new());
        self.graph.walk(cell, &mut |cell, kind| match kind {
            CellKind::Read { slot, .. } => slots.push(*slot),
            CellKind::Gate { .. } | CellKind::Fold { .. } | CellKind::Absent { .. } => open.push(cell),
            CellKind::Map { .. } | CellKind::Scalar { .. } | CellKind::Join { .. } => {}
        });
        // Thousands may hang at one series. They are kept in order: most come at the end.
        let add = |roots: &mut Vec<u32>| {
            if let Err(place) = roots.binary_search(&root) {
                roots.insert(place, root);
            }
        };
        slots.into_iter().for_each(|slot| add(&mut self.graph.memories[slot as usize].roots));
        open.into_iter().for_each(|cell| add(self.roots_over.entry(cell).or_default()));
    }

    /// From now on a rule is evaluated whole.
    pub(super) fn make_whole(&mut self, rule: u32) {
        self.note_values_of(rule);
        let own = &mut self.own[rule as usize];
        if std::mem::replace(&mut own.whole, true) {
            return;
        }
        for element in std::mem::take(&mut own.elements) {
            let Element { root, watch, .. } = self.elements[element as usize];
            self.roots[root as usize].watches[watch as usize].dead = true;
        }
        own.active.clear();
        own.nodes = Nodes::default();
        own.recorded = Vec::new();
        if self.rules.rules[rule as usize].kind == Kind::Record {
            return;
        }
        let beat = own.beat as usize;
        self.beats[beat].whole.insert(rule);
        self.lingering.remove(&rule);
        for slot in 0..self.graph.memories.len() as u32 {
            if self.rules.readers.get(slot).by.iter().any(|(reads, _)| *reads == rule) {
                self.graph.memories[slot as usize].whole.push(rule);
            }
        }
        self.wait(rule);
    }

    #[inline]
    pub(super) fn mark(&mut self, root: u32) {
        let marked = &mut self.roots[root as usize].marked;
        if !std::mem::replace(marked, true) {
            self.dirty.push(root);
        }
    }

    /// Evaluates every root that is marked.
    pub(super) fn evaluate_dirty(&mut self, source: &dyn Source) {
        let mut dirty = std::mem::take(&mut self.dirty);
        for root in dirty.drain(..) {
            self.evaluate_root(root, source);
        }
        self.dirty = dirty;
    }

    #[inline]
    pub(super) fn evaluate_root(&mut self, root: u32, source: &dyn Source) {
        let root = &mut self.roots[root as usize];
        root.marked = false;
        let out = self.graph.get(root.cell, self.now.0, source);
        let beat = &mut self.beats[root.beat as usize];
        beat.deadlines[root.place as usize] = out.until;
        beat.earliest = beat.earliest.min(out.until);
        self.counts.results += 1;
        self.counts.decided += root.watches.len() as u64;
        for watch in &mut root.watches {
            let passes = out.present && watch.test.is_none_or(|test| test.apply(out.value).is_some());
            if passes {
                watch.value = out.value;
            }
            if (passes != watch.passing || watch.attention) && !watch.dead {
                watch.passing = passes;
                watch.passed |= passes;
                self.changed.push(watch.element);
            }
        }
        if let Some(why) = self.graph.failed.take()
            && let Some(watch) = root.watches.first()
        {
            let rule = self.elements[watch.element as usize].rule;
            if self.found.failed.len() < 16 {
                self.found.failed.push((RuleId(rule), why));
            }
        }
    }

    /// Makes alerts of what changed.
    pub(super) fn settle(&mut self, around: &dyn Surroundings) {
        if !self.changed.is_empty() {
            self.settle_also(BTreeSet::new(), around);
        }
    }

    /// Also of rules of which only time may have changed something.
    pub(super) fn settle_also(&mut self, rules: BTreeSet<u32>, around: &dyn Surroundings) {
        let mut looked: BTreeSet<u32> = BTreeSet::new();
        let mut next = rules;
        loop {
            for element in std::mem::take(&mut self.changed) {
                let rule = self.elements[element as usize].rule;
                if !self.own[rule as usize].whole {
                    self.own[rule as usize].active.insert(element);
                    next.insert(rule);
                }
            }
            // What became of an alert is judged by its element as it is now, not as it was at its last turn.
            let fresh: Vec<u32> = next.iter().copied().filter(|rule| looked.insert(*rule)).collect();
            for rule in &fresh {
                self.mark_held(*rule);
            }
            self.evaluate_dirty(around.source());
            if fresh.is_empty() && self.changed.is_empty() {
                break;
            }
        }
        next.into_iter().for_each(|rule| self.settle_rule(rule, around));
    }

    /// Marks the elements of a rule whose alerts are there though they do not hold, and all that hold where one has now held
    /// long enough.
    fn mark_held(&mut self, rule: u32) {
        let mut roots = Vec::new();
        let long_enough = self.next_hold(rule).is_some_and(|due| due <= self.now.0);
        for element in &self.own[rule as usize].active {
            let element = &self.elements[*element as usize];
            let root = &self.roots[element.root as usize];
            if long_enough || root.watches[element.watch as usize].attention {
                roots.push(element.root);
            }
        }
        roots.into_iter().for_each(|root| self.mark(root));
    }

    fn settle_rule(&mut self, rule: u32, around: &dyn Surroundings) {
        self.note_values_of(rule);
        let compiled = &self.rules.rules[rule as usize];
        let own = &mut self.own[rule as usize];
        let mut now = BTreeMap::new();
        for element in &own.active {
            let element = &self.elements[*element as usize];
            let watch = &self.roots[element.root as usize].watches[element.watch as usize];
            if watch.passing {
                now.insert(element.key.clone(), (element.labels.clone(), element.read.clone(), watch.value));
            }
        }
        if now.is_empty() && !self.state.rules.contains_key(&compiled.key) {
            own.active.clear();
            return;
        }
        let memory = self.state.rules.entry(compiled.key.clone()).or_default();
        let looked_at = self.now - compiled.query_offset.duration();
        let transitions = &mut self.found.transitions;
        let before = transitions.len();
        // Why a condition is over is asked of the samples, of each alert anew.
        let asks = memory.alerts.iter().any(|(key, held)| held.said != AlertState::Ok && !now.contains_key(key));
        let reach = compiled.reach().max(LOOKBACK);
        let history = (asks && looked_at - reach < around.memory_since()).then(|| around.history());
        let history = history.as_ref().map(|history| &**history as &dyn Source);
        let through = Through { around, rules: &self.rules, graph: &self.graph, history };
        let opened = Opened::new(around);
        let sources = Sources { bound: &through, history: None, templates: &opened };
        let done = alerts(&self.rules, compiled, memory, now, self.now, looked_at, sources, transitions);
        memory.failed = done.is_err();
        self.has_changed |= before != self.found.transitions.len() || done.as_ref().is_ok_and(|changed| *changed);
        let mut over = 0;
        own.active.retain(|element| {
            let element = &self.elements[*element as usize];
            let watch = &mut self.roots[element.root as usize].watches[element.watch as usize];
            let is_held = memory.alerts.contains_key(&element.key);
            watch.attention = is_held && !watch.passing;
            over += usize::from(is_held && watch.passing);
            watch.passing || is_held
        });
        match memory.alerts.len() > over || memory.failed {
            true => _ = self.lingering.insert(rule),
            false => _ = self.lingering.remove(&rule),
        }
        self.note_done(rule, done.err());
        self.note_hold(rule);
    }

    /// What the elements are like, by their rule and alert.
    pub(super) fn standing(&self) -> HashMap<(u32, AlertKey), Stand> {
        let stand = |element: &Element| Stand { watch: self.watch_of(element), root: element.root };
        let there = self.elements.iter().filter(|element| !self.watch_of(element).dead);
        there.map(|element| ((element.rule, element.key.clone()), stand(element))).collect()
    }

    fn watch_of(&self, element: &Element) -> Watch {
        self.roots[element.root as usize].watches[element.watch as usize]
    }

    /// Makes the elements what they were, and those of roots that had to wait for their turn wait for it.
    pub(super) fn stand(&mut self, before: &HashMap<(u32, AlertKey), Stand>, slow: &BTreeSet<u32>) {
        for (place, element) in self.elements.iter().enumerate() {
            let Some(stand) = before.get(&(element.rule, element.key.clone())) else { continue };
            let Watch { value, passing, passed, attention, .. } = stand.watch;
            let watch = &mut self.roots[element.root as usize].watches[element.watch as usize];
            if watch.dead {
                continue;
            }
            *watch = Watch { value, passing, passed, attention, ..*watch };
            if passing {
                self.own[element.rule as usize].active.insert(place as u32);
            }
            if slow.contains(&stand.root) {
                self.slow.insert(element.root);
            }
        }
    }

    /// The rules that ask for a result.
    pub(super) fn rules_at(&self, root: u32) -> impl Iterator<Item = u32> {
        self.roots[root as usize].watches.iter().map(|watch| self.elements[watch.element as usize].rule)
    }

    /// The first rule that asks for a result.
    pub(super) fn rule_at(&self, root: u32) -> u32 {
        self.roots[root as usize].watches.first().map_or(0, |watch| self.elements[watch.element as usize].rule)
    }

    /// Alerts remember the last value for which they held.
    fn note_values_of(&mut self, rule: u32) {
        let Some(memory) = self.state.rules.get_mut(&self.rules.rules[rule as usize].key) else { return };
        for element in &self.own[rule as usize].active {
            let element = &self.elements[*element as usize];
            let watch = &self.roots[element.root as usize].watches[element.watch as usize];
            if let Some(held) = memory.alerts.get_mut(&element.key).filter(|_| watch.passed) {
                held.value = Some(watch.value).filter(|value| value.is_finite());
            }
        }
    }

    pub(super) fn note_values(&mut self) {
        (0..self.own.len() as u32).for_each(|rule| self.note_values_of(rule));
    }
}
