//! Which series of a part fit: sorted lists from the inverted index, the shortest first.

use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

use model::labels::METRIC_NAME;
use query::source::{MatchOp, Matcher};

use super::Part;
use super::layout::{Name, Section};
use super::tables::{LIST_RUN, ListAt, Pair, PairsPage, take_run};
use crate::bits::Reader;

/// The series that a matcher leaves.
enum Lists {
    /// These.
    Some { lists: Vec<(ListPlace, u32)> },
    /// All but these.
    AllBut { lists: Vec<(ListPlace, u32)> },
}

/// A list of series: where it is and how long.
#[derive(Clone)]
struct ListPlace {
    page: Arc<PairsPage>,
    at: ListAt,
}

impl Part {
    /// The series that fit all matchers, sorted. Those whose pages are lost are missing.
    pub fn matching(&self, matchers: &[Matcher]) -> Vec<u32> {
        let count = self.foot.summary.series;
        let mut wanted: Vec<Lists> = matchers.iter().map(|matcher| self.lists_of(matcher)).collect();
        wanted.sort_by_key(|lists| match lists {
            Lists::Some { lists } => lists.iter().map(|(_, count)| u64::from(*count)).sum(),
            Lists::AllBut { .. } => u64::MAX,
        });
        let mut found: Option<Vec<u32>> = None;
        for lists in wanted {
            found = Some(match (lists, found) {
                (Lists::Some { lists }, None) => self.union(&lists, count),
                (Lists::Some { lists }, Some(found)) => common(&found, &self.union(&lists, count)),
                (Lists::AllBut { lists }, None) => without((0..count).collect(), &self.union(&lists, count)),
                (Lists::AllBut { lists }, Some(found)) => without(found, &self.union(&lists, count)),
            });
            if found.as_ref().is_some_and(Vec::is_empty) {
                break;
            }
        }
        found.unwrap_or_else(|| (0..count).collect())
    }

    fn lists_of(&self, matcher: &Matcher) -> Lists {
        let with_missing = matcher.matches("");
        let Some((number, name)) = self.name(&matcher.name) else {
            return if with_missing { Lists::AllBut { lists: Vec::new() } } else { Lists::Some { lists: Vec::new() } };
        };
        let mut lists = Vec::new();
        let mut take = |page: &Arc<PairsPage>, pair: &Pair| {
            lists.push((ListPlace { page: page.clone(), at: pair.list }, pair.count));
        };
        match matcher.op {
            MatchOp::Equal if !with_missing => self.pair(number, name, &matcher.value, &mut take),
            MatchOp::NotEqual if with_missing => self.pair(number, name, &matcher.value, &mut take),
            // With the missing: take away those whose value does not fit. Without: take those whose value does.
            _ => self.pairs(number, name, |page, pair| {
                if matcher.matches(page.value(pair)) != with_missing {
                    take(page, pair);
                }
            }),
        }
        if with_missing { Lists::AllBut { lists } } else { Lists::Some { lists } }
    }

    fn name(&self, text: &str) -> Option<(u32, &Name)> {
        let names = &self.foot.names;
        let place = names.binary_search_by(|name| (*name.text).cmp(text)).ok()?;
        Some((place as u32, &names[place]))
    }

    /// The pairs that are metric names: from and to.
    pub(super) fn metrics(&self) -> (u32, u32) {
        self.name(METRIC_NAME).map_or((0, 0), |(_, name)| (name.first_pair, name.first_pair.saturating_add(name.pairs)))
    }

    /// Gives the pairs of a name, sorted by value.
    fn pairs(&self, number: u32, name: &Name, mut give: impl FnMut(&Arc<PairsPage>, &Pair)) {
        let pages = self.foot.pages(Section::Pairs);
        let end = u64::from(name.first_pair) + u64::from(name.pairs);
        let begin = pages.partition_point(|page| page.key <= u64::from(name.first_pair)).saturating_sub(1);
        for place in begin..pages.partition_point(|page| page.key < end) {
            let Some(page) = self.pairs_page(place) else { continue };
            page.pairs.iter().filter(|pair| pair.name == number).for_each(|pair| give(&page, pair));
        }
    }

    fn pair(&self, number: u32, name: &Name, value: &str, give: &mut impl FnMut(&Arc<PairsPage>, &Pair)) {
        let pages = self.foot.pages(Section::Pairs);
        let end = u64::from(name.first_pair) + u64::from(name.pairs);
        let begin = pages.partition_point(|page| page.key <= u64::from(name.first_pair)).saturating_sub(1);
        let end = pages.partition_point(|page| page.key < end);
        // All pages but the first begin within the name.
        let firsts = self.foot.first_values.get(begin + 1..end).unwrap_or_default();
        let place = begin + firsts.partition_point(|first| **first <= *value);
        let Some(page) = self.pairs_page(place) else { return };
        let found = page.pairs.binary_search_by(|pair| (pair.name, page.value(pair)).cmp(&(number, value)));
        if let Ok(found) = found {
            give(&page, &page.pairs[found]);
        }
    }

    /// The labels that the series of this part have, each with how many values and how many series it has.
    pub fn label_names(&self) -> impl Iterator<Item = (&str, u32, u32)> {
        self.foot.names.iter().map(|name| (&*name.text, name.pairs, name.series))
    }

    /// Gives the values of a label, sorted, each with how many series have it.
    pub fn label_values(&self, name: &str, mut give: impl FnMut(&str, u32)) {
        if let Some((number, name)) = self.name(name) {
            self.pairs(number, name, |page, pair| give(page.value(pair), pair.count));
        }
    }

    fn union(&self, lists: &[(ListPlace, u32)], end: u32) -> Vec<u32> {
        let mut all = Vec::with_capacity(lists.iter().map(|(_, count)| *count as usize).sum::<usize>().min(end as usize));
        for (place, count) in lists {
            let before = all.len();
            if self.read_list(place, *count, end, &mut all).is_none() {
                all.truncate(before);
                self.losses.pages.fetch_add(1, Relaxed);
            }
        }
        if lists.len() > 1 {
            all.sort_unstable();
            all.dedup();
        }
        all
    }

    fn read_list(&self, place: &ListPlace, count: u32, end: u32, into: &mut Vec<u32>) -> Option<()> {
        let mut left = count as usize;
        match place.at {
            ListAt::Here(from, to) => take_run(&mut Reader::new(place.page.inline(from, to)), left, end, into),
            ListAt::Page(page, at) => {
                let (mut number, mut at) = (page as usize, at as usize);
                while left > 0 {
                    let page = self.lists_page(number)?;
                    let mut from = Reader::new(page.get(at..)?);
                    while left > 0 && !from.rest.is_empty() {
                        let here = left.min(LIST_RUN);
                        take_run(&mut from, here, end, into)?;
                        left -= here;
                    }
                    (number, at) = (number + 1, 0);
                }
                Some(())
            }
        }
    }
}

/// What is in both, which are sorted.
fn common(one: &[u32], other: &[u32]) -> Vec<u32> {
    let mut out = Vec::with_capacity(one.len().min(other.len()));
    let mut rest = other.iter().peekable();
    for series in one {
        while rest.next_if(|next| *next < series).is_some() {}
        if rest.peek() == Some(&series) {
            out.push(*series);
        }
    }
    out
}

fn without(mut from: Vec<u32>, taken: &[u32]) -> Vec<u32> {
    let mut rest = taken.iter().peekable();
    from.retain(|series| {
        while rest.next_if(|next| *next < series).is_some() {}
        rest.peek() != Some(&series)
    });
    from
}
