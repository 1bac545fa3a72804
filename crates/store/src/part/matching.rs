//! Which series of a part fit: sorted lists from the inverted index, the shortest first.

use std::sync::Arc;

use model::labels::METRIC_NAME;
use query::source::{MatchOp, Matcher};

use super::layout::{Name, Section};
use super::tables::{LIST_RUN, ListAt, Pair, PairsPage, take_run};
use super::{Part, Reading};
use crate::bits::Reader;

/// So many candidates are checked on their labels rather than by another list that is longer.
const CHECK_MAX: usize = 256;

/// The series that a matcher leaves: those of these lists, or all but those.
struct Lists {
    all_but: bool,
    lists: Vec<(ListPlace, u32)>,
    /// The numbers of the pairs whose lists they are, rising.
    pairs: Vec<u32>,
}

/// A list of series: where it is and how long.
#[derive(Clone)]
struct ListPlace {
    page: Arc<PairsPage>,
    at: ListAt,
}

impl Part {
    fn name(&self, text: &str) -> Option<(u32, &Name)> {
        let names = &self.foot.names;
        let place = names.binary_search_by(|name| (*name.text).cmp(text)).ok()?;
        Some((place as u32, &names[place]))
    }

    /// The pairs that are metric names: from and to.
    pub(super) fn metrics(&self) -> (u32, u32) {
        self.name(METRIC_NAME).map_or((0, 0), |(_, name)| (name.first_pair, name.first_pair.saturating_add(name.pairs)))
    }

    /// The labels that the series of this part have, each with how many values and how many series it has.
    pub fn label_names(&self) -> impl Iterator<Item = (&str, u32, u32)> {
        self.foot.names.iter().map(|name| (&*name.text, name.pairs, name.series))
    }
}

impl Reading<'_> {
    /// The series that fit all matchers, sorted. Those whose pages are lost are missing.
    pub fn matching(&self, matchers: &[Matcher]) -> Vec<u32> {
        let count = self.foot.summary.series;
        let mut wanted: Vec<Lists> = matchers.iter().map(|matcher| self.lists_of(matcher)).collect();
        let len = |lists: &Lists| lists.lists.iter().map(|(_, count)| u64::from(*count)).sum::<u64>();
        wanted.sort_by_key(|lists| if lists.all_but { u64::MAX } else { len(lists) });
        let mut found: Option<Vec<u32>> = None;
        for lists in wanted {
            let few = found.as_mut().filter(|found| found.len() <= CHECK_MAX && len(&lists) > found.len() as u64);
            if few.is_none_or(|found| self.check(found, &lists).is_none()) {
                let union = self.union(&lists.lists, count);
                found = Some(match (lists.all_but, found) {
                    (false, None) => union,
                    (false, Some(found)) => common(&found, &union),
                    (true, found) => without(found.unwrap_or_else(|| (0..count).collect()), &union),
                });
            }
            if found.as_ref().is_some_and(Vec::is_empty) {
                break;
            }
        }
        found.unwrap_or_else(|| (0..count).collect())
    }

    /// Leaves those whose labels fit. `None`, and all as they were, where a page of labels is lost.
    fn check(&self, found: &mut Vec<u32>, lists: &Lists) -> Option<()> {
        let mut fitting = Vec::with_capacity(found.len());
        for series in found.iter() {
            let (page, place) = self.series_place(*series)?;
            if page.pairs(place).iter().any(|pair| lists.pairs.binary_search(pair).is_ok()) != lists.all_but {
                fitting.push(*series);
            }
        }
        *found = fitting;
        Some(())
    }

    fn lists_of(&self, matcher: &Matcher) -> Lists {
        let with_missing = matcher.matches("");
        let Some((number, name)) = self.name(&matcher.name) else {
            return Lists { all_but: with_missing, lists: Vec::new(), pairs: Vec::new() };
        };
        let (mut lists, mut pairs) = (Vec::new(), Vec::new());
        let mut take = |page: &Arc<PairsPage>, number: u32, pair: &Pair| {
            lists.push((ListPlace { page: page.clone(), at: pair.list }, pair.count));
            pairs.push(number);
        };
        match matcher.op {
            MatchOp::Equal if !with_missing => self.pair(number, name, &matcher.value, &mut take),
            MatchOp::NotEqual if with_missing => self.pair(number, name, &matcher.value, &mut take),
            // With the missing: take away those whose value does not fit. Without: take those whose value does.
            _ => self.pairs(number, name, |page, number, pair| {
                if matcher.matches(page.value(pair)) != with_missing {
                    take(page, number, pair);
                }
            }),
        }
        Lists { all_but: with_missing, lists, pairs }
    }

    /// Gives the pairs of a name with their numbers, sorted by value.
    fn pairs(&self, number: u32, name: &Name, mut give: impl FnMut(&Arc<PairsPage>, u32, &Pair)) {
        let pages = self.foot.pages(Section::Pairs);
        let end = u64::from(name.first_pair) + u64::from(name.pairs);
        let begin = pages.partition_point(|page| page.key <= u64::from(name.first_pair)).saturating_sub(1);
        let past = pages.partition_point(|page| page.key < end);
        for (place, first) in pages.iter().enumerate().take(past).skip(begin) {
            let Some(page) = self.pairs_page(place) else { continue };
            let numbers = first.key as u32..;
            let all = numbers.zip(&page.pairs);
            all.filter(|(_, pair)| pair.name == number).for_each(|(number, pair)| give(&page, number, pair));
        }
    }

    fn pair(&self, number: u32, name: &Name, value: &str, give: &mut impl FnMut(&Arc<PairsPage>, u32, &Pair)) {
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
            give(&page, pages[place].key as u32 + found as u32, &page.pairs[found]);
        }
    }

    /// Gives the values of a label, sorted, each with how many series have it.
    pub fn label_values(&self, name: &str, mut give: impl FnMut(&str, u32)) {
        if let Some((number, name)) = self.name(name) {
            self.pairs(number, name, |page, _, pair| give(page.value(pair), pair.count));
        }
    }

    fn union(&self, lists: &[(ListPlace, u32)], end: u32) -> Vec<u32> {
        let mut all = Vec::with_capacity(lists.iter().map(|(_, count)| *count as usize).sum::<usize>().min(end as usize));
        for (place, count) in lists {
            let before = all.len();
            if self.read_list(place, *count, end, &mut all).is_none() {
                all.truncate(before);
                self.lost_page(Section::Lists, None);
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
