//! `anchored` and `smoothed` ranges: the growth between the very edges of a window, without extrapolation.
//!
//! Anchored takes the last sample at or before the left edge as the value there; smoothed interpolates at both edges.

use model::Time;

use super::select::Window;
use crate::ast::Edges;

/// The functions that may have such a range, as Prometheus lists them.
pub(super) fn allowed(edges: Edges) -> &'static [&'static str] {
    match edges {
        Edges::Anchored => &["changes", "delta", "increase", "rate", "resets"],
        Edges::Smoothed => &["delta", "increase", "rate"],
    }
}

/// The growth from edge to edge, resets of a counter added.
pub(super) fn growth(window: Window<'_>, edges: Edges, counter: bool) -> Option<f64> {
    let (times, values) = (window.times, window.values);
    let smoothed = edges == Edges::Smoothed;
    let (start, end) = (Time(window.start), Time(window.end));
    let mut last = times.len() - 1;
    let mut first = times[..last].partition_point(|time| *time <= start).saturating_sub(1);
    if smoothed {
        last = times[..last].partition_point(|time| *time < end);
    }
    if times[last] <= start || smoothed && times[first] > end {
        return None;
    }
    let between = |place: usize, at: Time| {
        let (before, after) = (values[place], values[place + 1]);
        // After a reset the counter is taken to have grown from zero.
        let before = if counter && after < before { 0.0 } else { before };
        let share = at.micros_from(times[place]) as f64 / times[place + 1].micros_from(times[place]) as f64;
        before + (after - before) * share
    };
    let left = if smoothed && times[first] < start { between(first, start) } else { values[first] };
    let right = if smoothed && last > 0 && times[last] > end { between(last - 1, end) } else { values[last] };
    let mut growth = right - left;
    if counter {
        // The edges are counted already; only what lies inside can bring resets.
        first += usize::from(times[first] <= start);
        let past = if times[last] >= end { last } else { last + 1 };
        let mut before = left;
        for &value in values.get(first..past).unwrap_or(&[]).iter().chain([&right]) {
            if value < before {
                growth += before;
            }
            before = value;
        }
    }
    Some(growth)
}

/// The value at the nominal end of a window that reaches beyond it: a sample, the line between two, or the last one.
pub(super) fn smoothed(window: Window<'_>) -> Option<f64> {
    let at = Time(window.end);
    let next = window.times.partition_point(|time| *time < at);
    match (next.checked_sub(1), window.times.get(next)) {
        (_, Some(time)) if *time == at => Some(window.values[next]),
        (Some(before), Some(time)) => {
            let share = at.micros_from(window.times[before]) as f64 / time.micros_from(window.times[before]) as f64;
            Some(window.values[before] + (window.values[next] - window.values[before]) * share)
        }
        (Some(before), None) => Some(window.values[before]),
        (None, _) => None,
    }
}

/// The samples of an anchored window: the one at or before its left edge and all behind it. None where nothing follows.
pub(super) fn anchored(window: Window<'_>) -> Option<&[f64]> {
    let inside = window.times.partition_point(|time| time.0 <= window.start);
    (inside < window.times.len()).then(|| &window.values[inside.saturating_sub(1)..])
}
