//! The store as a query sees it: memory and parts as one.
//!
//! A [`View`] is made for each query. It holds on to the parts there were, and to what memory was about to let go of, so a flush or a
//! compaction meanwhile takes nothing from it. Memory is read over the whole range, for late samples; parts only where memory does
//! not reach. At the same instant memory is right, then the part that was published later.

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::sync::{Arc, PoisonError, RwLock};

use ahash::AHashMap;
use model::{Labels, Time};
use query::source::{Columns, Matcher, SeriesRef, Source, SourceError, TOGETHER, TimeRange};

use crate::error::StoreError;
use crate::flush::Visible;
use crate::head::{Head, cell_of, place_of, slab};
use crate::history;
use crate::part::Missed;
use crate::store::{Inner, Store};
use crate::together::{Slabs, labelled, warm};

/// Handles from here on are places in a view's own list.
const LISTED: u64 = 1 << 62;

thread_local! {
    /// Columns between a slab or a part and who asked.
    static SCRATCH: RefCell<(Vec<i64>, Vec<f64>)> = const { RefCell::new((Vec::new(), Vec::new())) };
}

/// Memory alone: what rules read, whose windows lie within [`Store::in_memory_since`]. Queries ask a [`View`].
impl Source for Store {
    fn series(&self, matchers: &[Matcher], range: TimeRange, limit: usize) -> Result<Vec<(SeriesRef, Labels)>, SourceError> {
        let head = self.inner.head();
        let found = live(&head, matchers, range);
        if found.len() > limit {
            return Err(SourceError::TooManySeries { found: found.len(), limit });
        }
        Ok(labelled(&head, &found))
    }

    fn read(&self, series: SeriesRef, range: TimeRange, into: &mut Columns) -> Result<(), SourceError> {
        read_memory(&self.inner, None, series.0, range, into)
    }

    fn last(&self, series: SeriesRef, range: TimeRange, into: &mut Columns) -> Result<(), SourceError> {
        match newest_in_memory(&self.inner, series.0, range, into) {
            true => Ok(()),
            false => last_of(into, |into| self.read(series, range, into)),
        }
    }

    fn label_names(&self, matchers: &[Matcher], range: TimeRange) -> Result<Vec<String>, SourceError> {
        names(&self.series(matchers, range, usize::MAX)?)
    }

    fn label_values(&self, name: &str, matchers: &[Matcher], range: TimeRange) -> Result<Vec<String>, SourceError> {
        values(&self.series(matchers, range, usize::MAX)?, name)
    }
}

/// The whole store at one moment, for one query.
pub struct View {
    inner: Arc<Inner>,
    visible: Arc<Visible>,
    parts: Arc<history::View>,
    listed: RwLock<Vec<Listed>>,
    missed: Missed,
}

/// A series that parts know.
struct Listed {
    /// Its number in memory.
    id: Option<u64>,
    /// Place of the part, number of the series in it; in the order of the parts.
    parts: Vec<(u32, u32)>,
    /// Parts have no sample of it under another number.
    one_number: bool,
}

impl Store {
    /// Every series whose samples would go on under the number that it has, whether memory holds any of it or not: what rules
    /// watch. After a clean stop no sample of them is in memory.
    pub fn known(&self, matchers: &[Matcher]) -> Vec<(SeriesRef, Labels)> {
        let head = self.inner.head();
        labelled(&head, &head.matching(matchers))
    }

    /// The store as it is now, for one query.
    pub fn view(&self) -> View {
        let visible = self.inner.visible();
        // After it: what is not in memory by then is in these.
        let parts = self.inner.history.view();
        View { inner: self.inner.clone(), visible, parts, listed: RwLock::new(Vec::new()), missed: Missed::default() }
    }
}

impl View {
    /// Without what is older than the retention: parts and memory may have it a while longer.
    fn clip(&self, range: TimeRange) -> TimeRange {
        TimeRange { from: range.from.max(Time(self.inner.cutoff(self.inner.received()))), to: range.to }
    }

    /// Whether memory still has all that it had when the query began.
    fn holds_all(&self) -> bool {
        self.visible.gone().is_empty()
    }

    /// Of the samples of a series that are newer, memory has all, whatever parts have: its slab let go of none. A slab may let
    /// go of some right after; [`Visible::gone`] has those.
    fn left(&self, id: u64) -> i64 {
        let head = self.inner.head();
        let gone = head.cell(cell_of(id)).map_or(i64::MAX, |cell| cell.slab().gone());
        gone.max(self.inner.began_with)
    }

    /// The range where parts must be asked: `None` where memory has it all.
    fn on_disk(&self, range: TimeRange) -> Option<(i64, i64)> {
        let to = range.to.0.min(self.visible.since.saturating_sub(1));
        (range.from.0 <= to && !self.parts.is_empty()).then_some((range.from.0, to))
    }

    /// Finds what parts know about the matching series and joins it with what memory does.
    fn joined(
        &self,
        matchers: &[Matcher],
        range: TimeRange,
        on_disk: (i64, i64),
        limit: usize,
    ) -> Result<Vec<(SeriesRef, Labels)>, SourceError> {
        let mut found: Vec<(Labels, Listed)> = Vec::new();
        let mut by_labels: AHashMap<Labels, usize> = AHashMap::new();
        let mut by_id: AHashMap<u64, usize> = AHashMap::new();
        let at_hand = |ids: &[u64]| {
            let head = self.inner.head();
            ids.iter().map(|id| head.labels(*id).cloned()).collect()
        };
        for one in self.parts.select(matchers, on_disk, at_hand, &self.missed) {
            // A series that left memory and came back has another number.
            let at = *by_labels.entry(one.labels.clone()).or_insert(found.len());
            match found.get_mut(at) {
                None => found.push((one.labels, Listed { id: None, parts: one.places, one_number: true })),
                Some((_, listed)) => {
                    listed.one_number = false;
                    listed.parts.extend(one.places);
                    listed.parts.sort_unstable();
                }
            }
            by_id.insert(one.id, at);
        }
        {
            let head = self.inner.head();
            for id in live(&head, matchers, range) {
                let Some(labels) = head.labels(id) else { continue };
                match by_id.get(&id) {
                    Some(at) => found[*at].1.id = Some(id),
                    None => match by_labels.get(labels) {
                        Some(at) => {
                            let listed = &mut found[*at].1;
                            (listed.id, listed.one_number) = (Some(id), false);
                        }
                        None => found.push((labels.clone(), Listed { id: Some(id), parts: Vec::new(), one_number: true })),
                    },
                }
            }
        }
        if found.len() > limit {
            return Err(SourceError::TooManySeries { found: found.len(), limit });
        }
        let mut listed = self.listed.write().unwrap_or_else(PoisonError::into_inner);
        let told = found.into_iter().map(|(labels, one)| match one {
            Listed { id: Some(id), parts, .. } if parts.is_empty() => (SeriesRef(id), labels),
            one => {
                listed.push(one);
                (SeriesRef(LISTED + listed.len() as u64 - 1), labels)
            }
        });
        Ok(told.collect())
    }
}

impl Source for View {
    fn series(&self, matchers: &[Matcher], range: TimeRange, limit: usize) -> Result<Vec<(SeriesRef, Labels)>, SourceError> {
        let range = self.clip(range);
        if let Some(on_disk) = self.on_disk(range) {
            return self.joined(matchers, range, on_disk, limit);
        }
        let head = self.inner.head();
        let found = live(&head, matchers, range);
        if found.len() > limit {
            return Err(SourceError::TooManySeries { found: found.len(), limit });
        }
        Ok(labelled(&head, &found))
    }

    fn read(&self, series: SeriesRef, range: TimeRange, into: &mut Columns) -> Result<(), SourceError> {
        let range = self.clip(range);
        if series.0 < LISTED {
            return read_memory(&self.inner, Some(&self.visible), series.0, range, into);
        }
        let listed = self.listed.read().unwrap_or_else(PoisonError::into_inner);
        let Some(one) = listed.get((series.0 - LISTED) as usize) else { return Ok(()) };
        let left = one.id.filter(|_| one.one_number).map_or(i64::MAX, |id| self.left(id));
        if let Some(id) = one.id.filter(|_| range.from.0 > left) {
            return read_memory(&self.inner, Some(&self.visible), id, range, into);
        }
        let begin = into.times.len();
        let to = range.to.0.min(self.visible.since.saturating_sub(1)).min(left);
        SCRATCH.with_borrow_mut(|(times, values)| {
            times.clear();
            values.clear();
            self.parts.read(&one.parts, (range.from.0, to), times, values, &self.missed);
            add(begin, times, values, into);
        });
        match one.id {
            Some(id) => read_memory_over(&self.inner, Some(&self.visible), id, range, begin, into),
            None => Ok(()),
        }
    }

    fn last(&self, series: SeriesRef, range: TimeRange, into: &mut Columns) -> Result<(), SourceError> {
        let range = self.clip(range);
        let listed = self.listed.read().unwrap_or_else(PoisonError::into_inner);
        let one = series.0.checked_sub(LISTED).and_then(|place| listed.get(place as usize));
        let id = if series.0 < LISTED { Some(series.0) } else { one.and_then(|one| one.id) };
        let newest = match id {
            None => None,
            Some(id) => match newest_until(&self.inner, id, range).filter(|_| self.holds_all()) {
                Some(newest) => newest,
                // Only a whole look can tell.
                None => {
                    drop(listed);
                    return last_of(into, |into| self.read(series, range, into));
                }
            },
        };
        // Parts are asked for what is newer than what memory has, where they may have such.
        let after = newest.map_or(range.from.0, |(time, _)| time.saturating_add(1));
        let to = range.to.0.min(self.visible.since.saturating_sub(1));
        let parts = one.filter(|one| {
            let left = id.filter(|_| one.one_number).map_or(i64::MAX, |id| self.left(id));
            after <= to && after <= left
        });
        let newer = parts.and_then(|one| self.parts.last(&one.parts, after, to, &self.missed));
        if let Some((time, value)) = newer.or(newest) {
            into.times.push(Time(time));
            into.values.push(value);
        }
        Ok(())
    }

    fn warm(&self, series: &[(SeriesRef, Labels)], range: TimeRange) {
        let listed = self.listed.read().unwrap_or_else(PoisonError::into_inner);
        let number = |series: u64| match series.checked_sub(LISTED) {
            None => Some(series),
            Some(place) => listed.get(place as usize).and_then(|one| one.id),
        };
        let head = self.inner.head();
        for series in series.chunks(TOGETHER) {
            let ids: Vec<u64> = series.iter().filter_map(|(series, _)| number(series.0)).collect();
            warm(&head, &ids, range.from.0);
        }
    }

    fn missed(&self) -> Option<String> {
        self.missed.in_words()
    }

    fn label_names(&self, matchers: &[Matcher], range: TimeRange) -> Result<Vec<String>, SourceError> {
        if !matchers.is_empty() {
            return names(&self.series(matchers, range, usize::MAX)?);
        }
        let mut found: BTreeSet<String> = self.inner.head().postings.names().map(str::to_owned).collect();
        if let Some((from, to)) = self.on_disk(range) {
            found.extend(self.parts.label_names(from, to, &self.missed));
        }
        Ok(found.into_iter().collect())
    }

    fn label_values(&self, name: &str, matchers: &[Matcher], range: TimeRange) -> Result<Vec<String>, SourceError> {
        if !matchers.is_empty() {
            return values(&self.series(matchers, range, usize::MAX)?, name);
        }
        let mut found: BTreeSet<String> = self.inner.head().postings.values(name).map(|(value, _)| value.to_owned()).collect();
        if let Some((from, to)) = self.on_disk(range) {
            found.extend(self.parts.label_values(name, from, to, &self.missed));
        }
        Ok(found.into_iter().collect())
    }
}

fn names(found: &[(SeriesRef, Labels)]) -> Result<Vec<String>, SourceError> {
    let names: BTreeSet<&str> = found.iter().flat_map(|(_, labels)| labels.iter().map(|(name, _)| name)).collect();
    Ok(names.into_iter().map(str::to_owned).collect())
}

fn values(found: &[(SeriesRef, Labels)], name: &str) -> Result<Vec<String>, SourceError> {
    let values: BTreeSet<&str> = found.iter().filter_map(|(_, labels)| labels.get(name)).collect();
    Ok(values.into_iter().map(str::to_owned).collect())
}

/// Matching series of memory with samples that may lie in the range.
fn live(head: &Head, matchers: &[Matcher], range: TimeRange) -> Vec<u64> {
    // Beyond the range's end only a whole look can tell, and reading it is one.
    let fits = |slab: &slab::Slab, id: u64| {
        let last = slab.last(place_of(id));
        last >= range.from.0 && last > i64::MIN
    };
    let mut found = head.matching(matchers);
    let mut kept = 0;
    for first in (0..found.len()).step_by(TOGETHER) {
        let mut ids = [0; TOGETHER];
        let count = TOGETHER.min(found.len() - first);
        ids[..count].copy_from_slice(&found[first..first + count]);
        let slabs = Slabs::hold(head, &ids[..count]);
        let known: [Option<bool>; TOGETHER] = std::array::from_fn(|nth| slabs.get(nth).map(|slab| fits(slab, ids[nth])));
        // They are given back before another is waited for.
        drop(slabs);
        for (id, known) in ids.into_iter().zip(known).take(count) {
            if known.unwrap_or_else(|| head.cell(cell_of(id)).is_some_and(|cell| fits(&cell.slab(), id))) {
                found[kept] = id;
                kept += 1;
            }
        }
    }
    found.truncate(kept);
    found
}

/// The newest sample of a series in memory within the range; `None` where only reading the range can tell.
fn newest_until(inner: &Inner, id: u64, range: TimeRange) -> Option<Option<(i64, f64)>> {
    let head = inner.head();
    // A series that retention dropped since has no samples.
    let Some(cell) = head.cell(cell_of(id)) else { return Some(None) };
    let (slab, place) = (cell.slab(), place_of(id));
    slab.newest(place, range.from.0, range.to.0)
        .or_else(|| SCRATCH.with_borrow_mut(|columns| slab.newest_until(place, range.from.0, range.to.0, columns)))
}

fn newest_in_memory(inner: &Inner, id: u64, range: TimeRange, into: &mut Columns) -> bool {
    let head = inner.head();
    let Some(cell) = head.cell(cell_of(id)) else { return false };
    match cell.slab().newest(place_of(id), range.from.0, range.to.0) {
        Some(found) => {
            if let Some((time, value)) = found {
                into.times.push(Time(time));
                into.values.push(value);
            }
            true
        }
        None => false,
    }
}

fn last_of(into: &mut Columns, read: impl FnOnce(&mut Columns) -> Result<(), SourceError>) -> Result<(), SourceError> {
    let begin = into.times.len();
    read(into)?;
    let newest = into.times.len().saturating_sub(1).max(begin);
    into.times.drain(begin..newest);
    into.values.drain(begin..newest);
    Ok(())
}

fn read_memory(inner: &Inner, seen: Option<&Visible>, id: u64, range: TimeRange, into: &mut Columns) -> Result<(), SourceError> {
    let begin = into.times.len();
    read_memory_over(inner, seen, id, range, begin, into)
}

/// Reads memory over what was appended since `begin`.
fn read_memory_over(
    inner: &Inner,
    seen: Option<&Visible>,
    id: u64,
    range: TimeRange,
    begin: usize,
    into: &mut Columns,
) -> Result<(), SourceError> {
    SCRATCH.with_borrow_mut(|(times, values)| {
        times.clear();
        values.clear();
        let head = inner.head();
        // One that a flush or retention took out of memory since has samples at most where the query holds on to them.
        let cell = head.cell(cell_of(id));
        let undecodable = || {
            let series = head.labels(id).map_or_else(|| "?".to_owned(), Labels::to_string);
            SourceError::Store(StoreError::Undecodable { series }.to_string())
        };
        // Nothing to be put over: straight to where the samples go.
        let alone = into.times.len() == begin;
        let target = if alone { &mut into.values } else { &mut *values };
        if let Some(cell) = cell {
            let read = cell.slab().read(place_of(id), range.from.0, range.to.0, times, target);
            read.ok_or_else(undecodable)?;
        }
        // Looked at after the slab was read: what it had let go of by then is taken from where the query holds on to it.
        let gone: Vec<_> = seen.map(|seen| seen.gone()).unwrap_or_default();
        let gone: Vec<_> = gone.into_iter().filter_map(|kept| kept.of(cell_of(id))).collect();
        if alone && gone.is_empty() {
            into.times.extend(times.iter().map(|time| Time(*time)));
            return Ok(());
        }
        if alone {
            values.extend(into.values.drain(begin..));
        }
        for runs in gone {
            let mut older = (Vec::new(), Vec::new());
            runs.read(place_of(id), range.from.0, range.to.0, &mut older.0, &mut older.1).ok_or_else(undecodable)?;
            add(begin, &older.0, &older.1, into);
        }
        add(begin, times, values, into);
        Ok(())
    })
}

/// Puts samples over what was appended since `begin`; at the same time they win.
fn add(begin: usize, times: &[i64], values: &[f64], into: &mut Columns) {
    let Some(first) = times.first() else { return };
    if into.times[begin..].last().is_none_or(|last| last.0 < *first) {
        into.times.extend(times.iter().map(|time| Time(*time)));
        into.values.extend_from_slice(values);
        return;
    }
    let over: Vec<(i64, f64)> = times.iter().copied().zip(values.iter().copied()).collect();
    let mut had: (Vec<i64>, Vec<f64>) = (into.times.drain(begin..).map(|time| time.0).collect(), into.values.split_off(begin));
    slab::merge(&over, 0, &mut had.0, &mut had.1);
    into.times.extend(had.0.into_iter().map(Time));
    into.values.append(&mut had.1);
}
