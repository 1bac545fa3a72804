//! Looks at several series at the same time, so that the processor waits for their memory once and not for each.
//!
//! The series of a query lie far apart: each has its labels, its slab and its runs in places of their own, and what leads to a run
//! stands in the run behind it. Read one by one, a query waits for memory most of its time. Here the first bytes of all of them
//! are asked for before the first is needed, and chains are walked side by side. Nothing that is seen here counts: a slab that
//! somebody else holds is left out.

use std::hint::black_box;
use std::sync::MutexGuard;

use model::Labels;
use query::source::{SeriesRef, TOGETHER};

use crate::head::slab::{Slab, Walk};
use crate::head::{Head, cell_of, place_of};

/// The slabs of some series, held at the same time.
pub(crate) struct Slabs<'h> {
    held: Vec<MutexGuard<'h, Slab>>,
    /// Of each series, the place in `held`.
    of: [Option<u8>; TOGETHER],
}

impl<'h> Slabs<'h> {
    /// Takes those that are free. Waits for none: who waits here for one while holding others could be waited for.
    pub fn hold(head: &'h Head, ids: &[u64]) -> Slabs<'h> {
        let cells: [_; TOGETHER] = std::array::from_fn(|nth| head.cell(cell_of(*ids.get(nth)?)));
        black_box(cells.iter().flatten().filter(|cell| cell.touch()).count());
        let mut slabs = Slabs { held: Vec::with_capacity(TOGETHER), of: [None; TOGETHER] };
        for (nth, cell) in cells.iter().enumerate() {
            let Some(cell) = cell else { continue };
            // Neighbours share one.
            if nth > 0 && cell_of(ids[nth]) == cell_of(ids[nth - 1]) {
                slabs.of[nth] = slabs.of[nth - 1];
            } else if let Some(slab) = cell.try_slab() {
                slabs.of[nth] = Some(slabs.held.len() as u8);
                slabs.held.push(slab);
            }
        }
        slabs
    }

    /// The slab of a series; `None` where it was not free.
    pub fn get(&self, nth: usize) -> Option<&Slab> {
        self.of.get(nth).copied().flatten().and_then(|at| self.held.get(usize::from(at))).map(|slab| &**slab)
    }
}

/// Brings what a read of the series from `from` on needs near, [`TOGETHER`] of them at most.
pub(crate) fn warm(head: &Head, ids: &[u64], from: i64) {
    let slabs = Slabs::hold(head, ids);
    let mut walks: Vec<Walk<'_>> = Vec::with_capacity(2 * TOGETHER);
    for (nth, id) in ids.iter().take(TOGETHER).enumerate() {
        if let Some(slab) = slabs.get(nth) {
            slab.walk(place_of(*id), from, &mut walks);
        }
    }
    while !walks.is_empty() {
        walks.retain_mut(Walk::step);
    }
}

/// Series with their labels, those that are still there.
pub(crate) fn labelled(head: &Head, ids: &[u64]) -> Vec<(SeriesRef, Labels)> {
    let mut found = Vec::with_capacity(ids.len());
    for ids in ids.chunks(TOGETHER) {
        let labels: [_; TOGETHER] = std::array::from_fn(|nth| head.labels(*ids.get(nth)?));
        black_box(labels.iter().flatten().fold(0, |seen, labels| seen ^ labels.touch()));
        found.extend(ids.iter().zip(labels).filter_map(|(id, labels)| Some((SeriesRef(*id), labels?.clone()))));
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::head::tests::insert;

    #[test]
    fn a_slab_that_somebody_holds_is_left_out() {
        let mut head = Head::new(0);
        insert(&mut head, 0..200);
        let ids = [3, 5, 70, 199, 4, 1_000];
        let lent = head.cell(1).unwrap().slab();
        let slabs = Slabs::hold(&head, &ids);
        let had: Vec<bool> = (0..ids.len()).map(|nth| slabs.get(nth).is_some()).collect();
        // The last but one comes back to a slab that is held here, the last is nowhere.
        assert_eq!(had, [true, true, false, true, false, false]);
        drop(slabs);
        warm(&head, &ids, 0);
        drop(lent);
        warm(&head, &ids, 0);
        let told: Vec<u64> = labelled(&head, &ids).iter().map(|(series, _)| series.0).collect();
        assert_eq!(told, [3, 5, 70, 199, 4]);
    }
}
