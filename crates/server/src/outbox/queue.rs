//! The order in which owed notices and steps go out, so that nothing is searched for.

use std::collections::{BTreeMap, HashMap};

use model::{EffectKey, Time};

use super::Row;

/// The rows that wait, ordered: what is due is found without looking at them all, however many alerts a storm brought.
#[derive(Debug, Default)]
pub(super) struct Queue {
    /// What must not overtake each other, by thread and place. Only the first of each may go out.
    threads: HashMap<u64, BTreeMap<u64, (Time, EffectKey)>>,
    /// The first of each thread, by where it goes.
    lanes: HashMap<u64, Lane>,
    /// What waits for nothing else: steps.
    free: Heads,
}

#[derive(Debug, Default)]
struct Lane {
    /// One notice is under way.
    busy: bool,
    heads: Heads,
}

/// Rows that may go out as soon as their time has come.
#[derive(Debug, Default)]
struct Heads {
    /// By place: their time had come when this was looked at last.
    ready: BTreeMap<u64, (Time, EffectKey)>,
    later: BTreeMap<(Time, u64), EffectKey>,
}

impl Heads {
    fn insert(&mut self, place: u64, at: Time, key: EffectKey) {
        self.later.insert((at, place), key);
    }

    fn remove(&mut self, place: u64, at: Time) {
        if self.ready.remove(&place).is_none() {
            self.later.remove(&(at, place));
        }
    }

    /// Those whose time has come.
    fn ready(&mut self, now: Time) -> &BTreeMap<u64, (Time, EffectKey)> {
        while let Some(first) = self.later.first_entry().filter(|first| first.key().0 <= now) {
            let ((at, place), key) = first.remove_entry();
            self.ready.insert(place, (at, key));
        }
        &self.ready
    }

    /// When something is ready, or since when something is.
    fn next(&self) -> Option<Time> {
        let ready = self.ready.first_key_value().map(|(_, (at, _))| *at);
        ready.or_else(|| self.later.first_key_value().map(|((at, _), _)| *at))
    }

    fn is_empty(&self) -> bool {
        self.ready.is_empty() && self.later.is_empty()
    }
}

impl Queue {
    /// What may go out now, in order: all that waits for nothing else, and the first of each lane where nothing is under way.
    pub(super) fn due(&mut self, now: Time) -> Vec<EffectKey> {
        let mut due: Vec<(u64, EffectKey)> = Vec::new();
        due.extend(self.free.ready(now).iter().map(|(place, (_, key))| (*place, key.clone())));
        for lane in self.lanes.values_mut().filter(|lane| !lane.busy) {
            due.extend(lane.heads.ready(now).first_key_value().map(|(place, (_, key))| (*place, key.clone())));
        }
        due.sort_unstable_by_key(|(place, _)| *place);
        due.into_iter().map(|(_, key)| key).collect()
    }

    /// When [`due`](Self::due) has something, or since when it has.
    pub(super) fn next_due(&self) -> Option<Time> {
        let lanes = self.lanes.values().filter(|lane| !lane.busy).map(|lane| &lane.heads);
        lanes.chain([&self.free]).filter_map(Heads::next).min()
    }

    /// What would go out in a lane if its time had come.
    pub(super) fn later(&self, lane: u64) -> Vec<EffectKey> {
        self.lanes.get(&lane).map(|lane| lane.heads.later.values().cloned().collect()).unwrap_or_default()
    }

    pub(super) fn enter(&mut self, row: &Row) {
        let (place, at, key) = (row.place, row.owed.next_at, &row.owed.key);
        let (Some(lane), Some(thread)) = (row.lane, row.thread) else { return self.free.insert(place, at, key.clone()) };
        let thread = self.threads.entry(thread).or_default();
        let first = thread.first_key_value().map(|(place, (at, _))| (*place, *at));
        thread.insert(place, (at, key.clone()));
        if first.is_some_and(|(first, _)| first < place) {
            return;
        }
        let heads = &mut self.lanes.entry(lane).or_default().heads;
        if let Some((first, at)) = first {
            heads.remove(first, at);
        }
        heads.insert(place, at, key.clone());
    }

    pub(super) fn leave(&mut self, row: &Row) {
        let (place, at) = (row.place, row.owed.next_at);
        let (Some(lane), Some(thread)) = (row.lane, row.thread) else { return self.free.remove(place, at) };
        let heads = &mut self.lanes.entry(lane).or_default().heads;
        if let Some(waiting) = self.threads.get_mut(&thread) {
            let was_first = waiting.first_key_value().is_some_and(|(first, _)| *first == place);
            waiting.remove(&place);
            if was_first {
                heads.remove(place, at);
                if let Some((next, (at, key))) = waiting.first_key_value() {
                    heads.insert(*next, *at, key.clone());
                }
            }
            if waiting.is_empty() {
                self.threads.remove(&thread);
            }
        }
        self.tidy(lane);
    }

    pub(super) fn set_busy(&mut self, lane: Option<u64>, busy: bool) {
        let Some(lane) = lane else { return };
        self.lanes.entry(lane).or_default().busy = busy;
        self.tidy(lane);
    }

    fn tidy(&mut self, lane: u64) {
        if self.lanes.get(&lane).is_some_and(|lane| !lane.busy && lane.heads.is_empty()) {
            self.lanes.remove(&lane);
        }
    }
}
