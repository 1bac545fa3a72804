//! The inverted index of the live series: for each label and value the numbers of the series that have it, rising.

use ahash::AHashMap;
use model::Labels;
use query::source::{MatchOp, Matcher};

use super::Head;

/// So many candidates are checked on their labels rather than by another list.
const CHECK_MAX: usize = 64;

type Values = AHashMap<Box<str>, Vec<u64>>;

/// The index.
#[derive(Default)]
pub(crate) struct Postings {
    names: AHashMap<Box<str>, Values>,
    /// Lists from which numbers were taken away, by name and value.
    thinned: AHashMap<(Box<str>, Box<str>), Vec<u64>>,
}

impl Postings {
    pub fn insert(&mut self, id: u64, labels: &Labels) {
        for (name, value) in labels.iter() {
            if !self.names.contains_key(name) {
                self.names.insert(name.into(), Values::new());
            }
            let Some(values) = self.names.get_mut(name) else { continue };
            match values.get_mut(value) {
                Some(list) => insert_sorted(list, id),
                None => drop(values.insert(value.into(), vec![id])),
            }
        }
    }

    /// Notes that a number has gone; it stays in the lists until [`sweep`](Self::sweep).
    pub fn remove(&mut self, id: u64, labels: &Labels) {
        for (name, value) in labels.iter() {
            self.thinned.entry((name.into(), value.into())).or_default().push(id);
        }
    }

    /// Takes out what [`remove`](Self::remove) noted: each list is gone through once.
    pub fn sweep(&mut self) {
        for ((name, value), mut gone) in std::mem::take(&mut self.thinned) {
            let Some(values) = self.names.get_mut(&name) else { continue };
            if let Some(list) = values.get_mut(&value) {
                gone.sort_unstable();
                list.retain(|id| gone.binary_search(id).is_err());
                list.shrink_to_fit();
                if list.is_empty() {
                    values.remove(&value);
                }
            }
            if values.is_empty() {
                self.names.remove(&name);
            }
        }
    }

    /// Names of labels.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.names.keys().map(|name| &**name)
    }

    /// Values of a label, each with its number of series.
    pub fn values(&self, name: &str) -> impl Iterator<Item = (&str, usize)> {
        self.names.get(name).into_iter().flatten().map(|(value, list)| (&**value, list.len()))
    }

    /// The series of a label's value.
    pub fn list(&self, name: &str, value: &str) -> &[u64] {
        self.names.get(name).and_then(|values| values.get(value)).map_or(&[], Vec::as_slice)
    }

    /// The series that fit all matchers: the shortest list, met with the others.
    pub fn matching(&self, matchers: &[Matcher], head: &Head) -> Vec<u64> {
        let mut lists: Vec<(usize, &[u64])> = Vec::new();
        let mut narrow: Option<(Vec<u64>, usize)> = None;
        for (at, matcher) in matchers.iter().enumerate().filter(|(_, matcher)| !matcher.matches("")) {
            match matcher.op {
                MatchOp::Equal => lists.push((at, self.list(&matcher.name, &matcher.value))),
                _ => {
                    let union = self.union(matcher);
                    if narrow.as_ref().is_none_or(|(have, _)| union.len() < have.len()) {
                        narrow = Some((union, at));
                    }
                }
            }
        }
        lists.sort_by_key(|(_, list)| list.len());
        let shortest = lists.first().map_or(usize::MAX, |(_, list)| list.len());
        let mut done = vec![false; matchers.len()];
        let mut found: Vec<u64> = match narrow {
            Some((union, at)) if union.len() < shortest => {
                done[at] = true;
                union
            }
            _ => match lists.first() {
                Some((at, list)) => {
                    done[*at] = true;
                    list.to_vec()
                }
                None => return self.all(matchers, head),
            },
        };
        for (at, list) in &lists {
            if !done[*at] && found.len() > CHECK_MAX {
                done[*at] = true;
                meet(&mut found, list);
            }
        }
        let rest: Vec<&Matcher> = matchers.iter().zip(&done).filter(|(_, done)| !**done).map(|(matcher, _)| matcher).collect();
        let fits = |id: &u64| head.labels(*id).is_some_and(|labels| rest.iter().all(|matcher| matcher.matches_labels(labels)));
        found.into_iter().filter(|id| rest.is_empty() || fits(id)).collect()
    }

    fn all(&self, matchers: &[Matcher], head: &Head) -> Vec<u64> {
        let fits = |labels: &Labels| matchers.iter().all(|matcher| matcher.matches_labels(labels));
        head.series().filter(|(_, labels)| fits(labels)).map(|(id, _)| id).collect()
    }

    /// A series has one value per label, so it stands in one of these lists only.
    fn union(&self, matcher: &Matcher) -> Vec<u64> {
        let values = self.names.get(matcher.name.as_str()).into_iter().flatten();
        let mut union: Vec<u64> =
            values.filter(|(value, _)| matcher.matches(value)).flat_map(|(_, list)| list).copied().collect();
        union.sort_unstable();
        union
    }
}

fn insert_sorted(list: &mut Vec<u64>, id: u64) {
    match list.last() {
        Some(last) if *last >= id => {
            if let Err(place) = list.binary_search(&id) {
                list.insert(place, id);
            }
        }
        _ => list.push(id),
    }
}

/// Keeps of `found` what is in `list` too; both rise.
fn meet(found: &mut Vec<u64>, list: &[u64]) {
    let mut rest = list;
    found.retain(|id| {
        // Doubling steps: the list may be far longer than what is looked for.
        let mut reach = 1;
        while reach < rest.len() && rest[reach] < *id {
            reach *= 2;
        }
        let place = rest[..rest.len().min(reach + 1)].partition_point(|have| have < id);
        rest = &rest[place..];
        rest.first() == Some(id)
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_meet() {
        let mut found = vec![1, 5, 9, 200];
        meet(&mut found, &[0, 1, 2, 3, 5, 6, 7, 100, 200, 300]);
        assert_eq!(found, [1, 5, 200]);
        meet(&mut found, &[]);
        assert!(found.is_empty());
    }
}
