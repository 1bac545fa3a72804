//! Series that the store no longer knows: what is kept of them is let go.
//!
//! Rows, cells and groups know who feeds them, not whom they feed, and places are places in lists. So nothing is taken out:
//! everything is bound anew, as after a reload, but for what is remembered of the series that stay, which is neither read again
//! nor evaluated again before its time.

use std::collections::{HashMap, HashSet};

use model::Labels;
use query::source::SeriesRef;

use super::graph::Graph;
use super::plan::BOUND_REACH_US;
use super::ring::LOOKBACK_US;
use super::{Live, Surroundings};

/// Fewer than these are not worth a look.
const GONE_MIN: usize = 1_000;

impl Live {
    /// Forgets what the store has forgotten, where that may be the larger part.
    pub(super) fn forget_some(&mut self, around: &mut dyn Surroundings) {
        self.graph.trim_some(self.now);
        if self.graph.memories.len() >= self.next_look {
            self.forget_if(around, |bound, known| bound > known * 2);
        }
    }

    /// Forgets the series that the store no longer knows, once no rule can see a sample of them.
    pub fn forget(&mut self, around: &mut dyn Surroundings) {
        self.forget_if(around, |_, _| true);
    }

    fn forget_if(&mut self, around: &mut dyn Surroundings, is_worth_it: impl Fn(usize, usize) -> bool) {
        let mut known = match self.rules.found_by(|matchers| around.known(matchers)) {
            Ok(known) => known,
            Err(error) => return self.blame_source(0, &error),
        };
        known.extend(self.still_seen(&known));
        model::labels::sort_by_labels(&mut known, |one| &one.1);
        known.dedup_by_key(|(series, _)| *series);
        if is_worth_it(self.graph.memories.len(), known.len()) {
            self.note_values();
            self.bind_anew(&known, around);
        }
        self.look_later(known.len());
    }

    /// There is no need to look again before there are twice as many as are known.
    pub(super) fn look_later(&mut self, known: usize) {
        self.next_look = self.graph.memories.len().max(known * 2) + GONE_MIN;
    }

    /// Series that the store no longer knows, with samples at which a rule may look still.
    fn still_seen(&self, known: &[(SeriesRef, Labels)]) -> Vec<(SeriesRef, Labels)> {
        let known: HashSet<&Labels> = known.iter().map(|(_, labels)| labels).collect();
        let since = self.now.0 - BOUND_REACH_US - LOOKBACK_US;
        let seen = self.graph.memories.iter().filter(|memory| memory.is_newer(since) && !known.contains(&memory.labels));
        seen.map(|memory| (memory.series, memory.labels.clone())).collect()
    }

    fn bind_anew(&mut self, known: &[(SeriesRef, Labels)], around: &mut dyn Surroundings) {
        let standing = self.standing();
        self.graph = Graph::after(std::mem::take(&mut self.graph));
        self.rules.unbind();
        let (own, beats) = (std::mem::take(&mut self.own), std::mem::take(&mut self.beats));
        let (waiting, slow) = (std::mem::take(&mut self.waiting), std::mem::take(&mut self.slow));
        self.roots = Vec::new();
        self.elements = Vec::new();
        (self.root_of, self.roots_over) = (HashMap::new(), HashMap::new());
        self.prepare();
        let nexts: HashMap<i64, i64> = beats.iter().map(|beat| (beat.every, beat.next)).collect();
        self.beats.iter_mut().for_each(|beat| beat.next = nexts.get(&beat.every).copied().unwrap_or(beat.next));
        self.own.iter_mut().zip(&own).for_each(|(new, old)| new.go_on(old));
        self.tell_of(known, around, false);
        self.graph.let_go();
        self.stand(&standing, &slow);
        // Who waited waits on. A rule that was evaluated whole, and need not be any more, is looked at now: it may have waited.
        self.waiting.retain(|(_, rule)| !own[*rule as usize].is_whole());
        self.waiting.extend(waiting.into_iter().filter(|(_, rule)| self.own[*rule as usize].is_whole()));
        for root in std::mem::take(&mut self.dirty) {
            self.roots[root as usize].marked = false;
            if self.rules_at(root).any(|rule| own[rule as usize].is_whole()) {
                self.mark(root);
            }
        }
        self.evaluate_dirty(around.source());
        self.settle(around);
    }
}
