//! Recording rules: at their interval, in the order of the files; what one records is in the store before another reads it.

use std::collections::BTreeSet;

use model::{Labels, SampleBatch};
use query::source::Matcher;

use super::{Live, Surroundings};
use crate::rule::Kind;
use crate::rule::evaluate::record;

impl Live {
    /// Runs recording rules in the order of the files. What one records is in the store before another reads it.
    pub(super) fn run_recording(&mut self, recording: &[u32], around: &mut dyn Surroundings) {
        let mut batch = SampleBatch::new();
        let mut written: BTreeSet<u32> = BTreeSet::new();
        for &rule in recording {
            if !batch.is_empty() && written.iter().any(|writer| self.reads_of(rule, *writer)) {
                self.keep(&mut batch, around);
                written.clear();
            }
            self.record(rule, around);
            if !self.found.recorded.is_empty() {
                for (key, sample) in self.found.recorded.iter() {
                    if let Ok(labels) = Labels::from_key(key) {
                        batch.push(&labels, sample.time, sample.value);
                    }
                }
                self.found.recorded.clear();
                written.insert(rule);
            }
        }
        self.keep(&mut batch, around);
        self.end_left(around);
    }

    /// Ends what rules recorded that are gone: otherwise it would count for the whole lookback, beside what replaces it. A rule that
    /// was moved, or says other labels now, runs first, so that no series ends that goes on.
    pub(super) fn end_left(&mut self, around: &mut dyn Surroundings) {
        let recording = self.rules.rules.iter().zip(&self.own).filter(|(rule, _)| rule.kind == Kind::Record);
        let waits = |name: &str| recording.clone().any(|(rule, own)| rule.name.as_str() == name && own.evaluated.is_none());
        let mut batch = SampleBatch::new();
        self.has_changed |= self.state.end_left(waits, self.now, &mut batch);
        self.keep(&mut batch, around);
    }

    /// Whether a rule may read what another records.
    fn reads_of(&self, rule: u32, writer: u32) -> bool {
        let name = self.rules.rules[writer as usize].name.as_str();
        let selectors = &self.rules.rules[rule as usize].selectors;
        selectors.iter().any(|used| {
            let of_name = |matcher: &&Matcher| matcher.name == model::labels::METRIC_NAME;
            used.matchers.iter().filter(of_name).all(|matcher| matcher.matches(name))
        })
    }

    fn keep(&mut self, batch: &mut SampleBatch, around: &mut dyn Surroundings) {
        if batch.is_empty() {
            return;
        }
        let kept = around.keep(batch, self.now);
        batch.clear();
        self.tell(&kept.new_series, around);
        // What follows sees it: nothing computed so far may be taken for the newest.
        self.graph.epoch += 1;
        self.place(kept.touched, around);
    }

    /// Evaluates a recording rule.
    fn record(&mut self, rule: u32, around: &dyn Surroundings) {
        let own = &self.own[rule as usize];
        if own.is_whole() {
            return self.evaluate_whole(rule, around);
        }
        let mut rows = Vec::with_capacity(own.recorded.len());
        for (cell, labels) in &own.recorded {
            let out = self.graph.get(*cell, self.now.0, around.source());
            if let Some(value) = out.get() {
                rows.push((labels.clone(), value));
            }
        }
        self.counts.results += own.recorded.len() as u64;
        let compiled = &self.rules.rules[rule as usize];
        if rows.is_empty() && !self.state.rules.contains_key(&compiled.key) && self.graph.failed.is_none() {
            return self.note_done(rule, None);
        }
        let memory = self.state.rules.entry(compiled.key.clone()).or_default();
        let looked_at = self.now - compiled.query_offset.duration();
        let done = match self.graph.failed.take() {
            Some(why) => Err(why),
            None => record(compiled, memory, rows, looked_at, &mut self.found.recorded),
        };
        memory.failed = done.is_err();
        self.note_done(rule, done.err());
    }
}
