//! A consistent set of parts, for one query: parts that are merged or dropped meanwhile stay readable as long as it lives.

use std::collections::BTreeMap;
use std::sync::Arc;

use ahash::AHashMap;
use model::Labels;
use query::source::Matcher;

use super::DAY;
use crate::part::{Missed, Part};

/// The parts as they were at one moment, by day and then by when they were published.
#[derive(Clone, Debug, Default)]
pub struct View {
    parts: Vec<Arc<Part>>,
    /// Day and number of those that there should be and that can't be opened.
    missing: Vec<(i64, u64)>,
}

/// No labels are at hand: for [`View::select`].
pub fn none_known(ids: &[u64]) -> Vec<Option<Labels>> {
    vec![None; ids.len()]
}

/// A series in one or more parts of a view.
#[derive(Clone, Debug, PartialEq)]
pub struct Found {
    /// Its global id.
    pub id: u64,
    /// Its labels.
    pub labels: Labels,
    /// Where its samples are.
    pub places: Places,
}

/// Parts of a view and the number of a series in each, in the order of the view.
pub type Places = Vec<(u32, u32)>;

impl View {
    pub(super) fn new(parts: impl IntoIterator<Item = Arc<Part>>, missing: Vec<(i64, u64)>) -> View {
        let mut parts: Vec<Arc<Part>> = parts.into_iter().collect();
        parts.sort_unstable_by_key(|part| (part.summary().day, part.summary().published, part.number()));
        View { parts, missing }
    }

    /// All of them.
    pub fn parts(&self) -> &[Arc<Part>] {
        &self.parts
    }

    /// Whether there is nothing, and nothing missing.
    pub fn is_empty(&self) -> bool {
        self.parts.is_empty() && self.missing.is_empty()
    }

    /// Parts have no sample from this instant on, those that can't be opened neither: none of them was written after `latest`.
    pub fn end(&self, latest: i64) -> i64 {
        let parts = self.parts.iter().map(|part| part.summary().last.saturating_add(1));
        let missing = self.missing.iter().map(|(day, _)| (day + 1).saturating_mul(DAY).min(latest.saturating_add(1)));
        parts.chain(missing).max().unwrap_or(i64::MIN)
    }

    /// Places of the parts that have samples from `from` to `to`, in microseconds, both included.
    fn within(&self, from: i64, to: i64) -> impl Iterator<Item = (u32, &Arc<Part>)> {
        let touches = move |part: &&Arc<Part>| part.summary().first <= to && part.summary().last >= from;
        (0..).zip(&self.parts).filter(move |(_, part)| touches(part))
    }

    /// Notes the parts that are not there and may have had samples from `from` to `to`.
    fn note_missing(&self, from: i64, to: i64, missed: &Missed) {
        let touches = |day: i64| day.saturating_mul(DAY) <= to && (day + 1).saturating_mul(DAY) > from;
        self.missing.iter().filter(|(day, _)| touches(*day)).for_each(|(day, number)| missed.part(*day, *number));
    }

    /// The series that fit all matchers and lie in parts with samples from `from` to `to`; each once, in no order. `known` gives the
    /// labels of those ids that the caller has at hand: what it leaves out is read.
    pub fn select(
        &self,
        matchers: &[Matcher],
        (from, to): (i64, i64),
        known: impl Fn(&[u64]) -> Vec<Option<Labels>>,
        missed: &Missed,
    ) -> Vec<Found> {
        self.note_missing(from, to, missed);
        let mut found: Vec<Found> = Vec::new();
        let mut by_id: AHashMap<u64, usize> = AHashMap::new();
        for (place, part) in self.within(from, to) {
            let part = part.reading_for(missed);
            let (mut new, mut ids) = (Vec::new(), Vec::new());
            for series in part.matching(matchers) {
                let Some(id) = part.id(series) else { continue };
                match by_id.get(&id) {
                    Some(known) => found[*known].places.push((place, series)),
                    None => {
                        new.push(series);
                        ids.push(id);
                    }
                }
            }
            let mut unknown = Vec::new();
            for ((series, id), labels) in new.iter().zip(&ids).zip(known(&ids)) {
                match labels {
                    Some(labels) => {
                        by_id.insert(*id, found.len());
                        found.push(Found { id: *id, labels, places: vec![(place, *series)] });
                    }
                    None => unknown.push(*series),
                }
            }
            for (series, read) in unknown.iter().zip(part.labels_of(&unknown)) {
                if let Some((id, labels)) = read {
                    by_id.insert(id, found.len());
                    found.push(Found { id, labels, places: vec![(place, *series)] });
                }
            }
        }
        found
    }

    /// Where the samples of a series from `from` to `to` may be.
    pub fn find(&self, id: u64, from: i64, to: i64) -> Places {
        self.within(from, to).filter_map(|(place, part)| Some((place, part.reading().find(id)?))).collect()
    }

    /// Appends the samples of a series from `from` to `to`, both included: in time order, each instant once. Where two parts have the
    /// same instant, the one that was published later is right. Damaged blocks are left out and counted.
    pub fn read(
        &self,
        places: &[(u32, u32)],
        (from, to): (i64, i64),
        times: &mut Vec<i64>,
        values: &mut Vec<f64>,
        missed: &Missed,
    ) {
        let begin = times.len();
        let (mut more_times, mut more_values) = (Vec::new(), Vec::new());
        for (part, series) in places {
            let Some(part) = self.parts.get(*part as usize) else { continue };
            let part = part.reading_for(missed);
            let about = part.summary();
            if about.first > to || about.last < from {
                continue;
            }
            if times.len() == begin || times.last().is_some_and(|last| *last < about.first) {
                part.read(*series, from, to, times, values);
                continue;
            }
            more_times.clear();
            more_values.clear();
            part.read(*series, from, to, &mut more_times, &mut more_values);
            overlay(begin, times, values, &more_times, &more_values);
        }
    }

    /// The newest sample of a series from `from` to `to`.
    pub fn last(&self, places: &[(u32, u32)], from: i64, to: i64, missed: &Missed) -> Option<(i64, f64)> {
        let (mut times, mut values) = (Vec::new(), Vec::new());
        let mut best: Option<(i64, f64)> = None;
        for (part, series) in places.iter().rev() {
            let Some(part) = self.parts.get(*part as usize) else { continue };
            let begin = best.map_or(from, |(time, _)| time.saturating_add(1));
            if part.summary().first > to || part.summary().last < begin {
                continue;
            }
            times.clear();
            values.clear();
            part.reading_for(missed).read_last(*series, begin, to, &mut times, &mut values);
            if let (Some(time), Some(value)) = (times.last(), values.last()) {
                best = Some((*time, *value));
            }
        }
        best
    }

    /// Names of labels in parts with samples from `from` to `to`, sorted.
    pub fn label_names(&self, from: i64, to: i64, missed: &Missed) -> Vec<String> {
        self.note_missing(from, to, missed);
        let mut names = BTreeMap::new();
        for (_, part) in self.within(from, to) {
            for (name, _, _) in part.label_names() {
                if !names.contains_key(name) {
                    names.insert(name.to_owned(), ());
                }
            }
        }
        names.into_keys().collect()
    }

    /// Values of a label in parts with samples from `from` to `to`, sorted.
    pub fn label_values(&self, name: &str, from: i64, to: i64, missed: &Missed) -> Vec<String> {
        self.note_missing(from, to, missed);
        let mut values = BTreeMap::new();
        for (_, part) in self.within(from, to) {
            part.reading_for(missed).label_values(name, |value, _| {
                if !values.contains_key(value) {
                    values.insert(value.to_owned(), ());
                }
            });
        }
        values.into_keys().collect()
    }
}

/// Merges samples into those from `begin` on; at the same instant the new ones stay.
fn overlay(begin: usize, times: &mut Vec<i64>, values: &mut Vec<f64>, more_times: &[i64], more_values: &[f64]) {
    let Some(first) = more_times.first() else { return };
    let split = begin + times[begin..].partition_point(|time| time < first);
    let (old_times, old_values) = (times.split_off(split), values.split_off(split));
    let mut old = 0;
    for (time, value) in more_times.iter().zip(more_values) {
        let end = old + old_times[old..].partition_point(|before| before < time);
        times.extend_from_slice(&old_times[old..end]);
        values.extend_from_slice(&old_values[old..end]);
        times.push(*time);
        values.push(*value);
        old = end + usize::from(old_times.get(end) == Some(time));
    }
    times.extend_from_slice(&old_times[old..]);
    values.extend_from_slice(&old_values[old..]);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_comes_later_wins() {
        let (mut times, mut values) = (vec![9, 1, 3, 5], vec![0.0, 1.0, 3.0, 5.0]);
        overlay(1, &mut times, &mut values, &[2, 3, 7], &[20.0, 30.0, 70.0]);
        assert_eq!(times, [9, 1, 2, 3, 5, 7]);
        assert_eq!(values, [0.0, 1.0, 20.0, 30.0, 5.0, 70.0]);
        overlay(1, &mut times, &mut values, &[], &[]);
        assert_eq!(times.len(), 6);
    }
}
