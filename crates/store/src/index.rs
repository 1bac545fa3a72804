//! Which series there are: by number, and by label and value.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use ahash::AHashMap;
use model::Labels;
use query::source::{MatchOp, Matcher};

use crate::column::Column;

/// A series and its samples.
pub(crate) struct Series {
    /// Given once, never again to another.
    pub id: u64,
    pub labels: Labels,
    column: Mutex<Column>,
}

impl Series {
    pub fn new(id: u64, labels: Labels, column: Column) -> Arc<Series> {
        Arc::new(Series { id, labels, column: Mutex::new(column) })
    }

    pub fn column(&self) -> MutexGuard<'_, Column> {
        self.column.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// All series. Numbers rise, so every list of them stays sorted by appending.
#[derive(Default)]
pub(crate) struct Index {
    pub by_id: AHashMap<u64, Arc<Series>>,
    postings: AHashMap<Box<str>, BTreeMap<Box<str>, Vec<u64>>>,
    /// Series that the head dropped, while the kept log may still name them: labels and last time.
    pub retired: AHashMap<u64, (Labels, i64)>,
}

impl Index {
    pub fn insert(&mut self, series: Arc<Series>) {
        for (name, value) in series.labels.iter() {
            if !self.postings.contains_key(name) {
                self.postings.insert(name.into(), BTreeMap::new());
            }
            let values = self.postings.get_mut(name).expect("just put there");
            match values.get_mut(value) {
                Some(list) => list.push(series.id),
                None => {
                    values.insert(value.into(), vec![series.id]);
                }
            }
        }
        self.by_id.insert(series.id, series);
    }

    /// Takes series out, each with its last time.
    pub fn retire(&mut self, gone: &[(u64, i64)]) {
        let mut touched: BTreeMap<(Box<str>, Box<str>), ()> = BTreeMap::new();
        for (id, last) in gone {
            let Some(series) = self.by_id.remove(id) else { continue };
            touched.extend(series.labels.iter().map(|(name, value)| ((name.into(), value.into()), ())));
            self.retired.insert(*id, (series.labels.clone(), *last));
        }
        for (name, value) in touched.into_keys() {
            let Some(values) = self.postings.get_mut(&name) else { continue };
            if let Some(list) = values.get_mut(&value) {
                list.retain(|id| self.by_id.contains_key(id));
                if list.is_empty() {
                    values.remove(&value);
                }
            }
            if values.is_empty() {
                self.postings.remove(&name);
            }
        }
    }

    /// The labels of a series that is, or was, here.
    pub fn labels(&self, id: u64) -> Option<&Labels> {
        self.by_id.get(&id).map(|series| &series.labels).or_else(|| self.retired.get(&id).map(|(labels, _)| labels))
    }

    /// The series that fit all matchers. Begins with the shortest list and checks the others on the labels.
    pub fn matching(&self, matchers: &[Matcher]) -> Vec<&Arc<Series>> {
        let shortest = matchers
            .iter()
            .enumerate()
            .filter(|(_, matcher)| !matcher.matches(""))
            .map(|(place, matcher)| (self.ids(matcher), place))
            .min_by_key(|(lists, _)| lists.iter().map(|list| list.len()).sum::<usize>());
        let fits = |series: &&Arc<Series>, known: Option<usize>| {
            matchers.iter().enumerate().all(|(place, matcher)| Some(place) == known || matcher.matches_labels(&series.labels))
        };
        match shortest {
            // A series has one value per label, so it stands in one of these lists only.
            Some((lists, known)) => {
                let ids = lists.into_iter().flatten();
                ids.filter_map(|id| self.by_id.get(id)).filter(|series| fits(series, Some(known))).collect()
            }
            None => self.by_id.values().filter(|series| fits(series, None)).collect(),
        }
    }

    fn ids(&self, matcher: &Matcher) -> Vec<&Vec<u64>> {
        let Some(values) = self.postings.get(matcher.name.as_str()) else { return Vec::new() };
        match matcher.op {
            MatchOp::Equal => values.get(matcher.value.as_str()).into_iter().collect(),
            _ => values.iter().filter(|(value, _)| matcher.matches(value)).map(|(_, ids)| ids).collect(),
        }
    }
}
