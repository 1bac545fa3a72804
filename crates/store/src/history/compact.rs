//! Which parts to merge. Pure: looks at what there is and at the time.
//!
//! While a day lasts, eight of a kind become one of the next kind. When it is over, all of it becomes one part; what comes late then
//! waits until it is worth rewriting the day, or is many. So a sample is written some three times, however old the history is.

use std::sync::Arc;

use super::{DAY, View};
use crate::part::Part;

/// Parts of one level that are merged while their day lasts.
const SAME_LEVEL: usize = 8;
/// A day is over so long after its end: late samples come with the next write.
const DAY_OVER_AFTER: i64 = 3_600_000_000;
/// What came late is merged into its day when the day is at most so many times as large.
const LATE_SHARE: u64 = 4;
/// Late parts that are merged with each other, however small.
const LATE_PARTS: usize = 8;
/// Parts that are merged at a time: each takes a block and some pages of memory.
const PARTS_MAX: usize = 64;

/// Parts to merge, in the order in which they were published, and the level of the new one.
pub(super) struct Due {
    pub parts: Vec<Arc<Part>>,
    pub level: u32,
}

/// Parts that were published by one write or merge: they have different series.
struct Group {
    parts: Vec<Arc<Part>>,
    level: u32,
    bytes: u64,
    /// One of them is known to be damaged: they stay as they are, so that whoever reads them is told.
    damaged: bool,
}

/// The most useful merge, where one pays.
pub(super) fn due(view: &View, now: i64) -> Option<Due> {
    let days: Vec<&[Arc<Part>]> = view.parts().chunk_by(|one, other| one.summary().day == other.summary().day).collect();
    // Newest first: there the next parts come soon.
    days.into_iter().rev().find_map(|day| {
        let groups = group(day);
        let over = (day[0].summary().day + 1).saturating_mul(DAY).saturating_add(DAY_OVER_AFTER) <= now;
        let mut whole = groups.split(|group| group.damaged);
        let run = whole.find_map(|groups| if over { run_of_day_over(groups) } else { run_of_one_level(groups) })?;
        let level = run.iter().map(|group| group.level).max().unwrap_or(0) + 1;
        let parts: Vec<Arc<Part>> = run.iter().flat_map(|group| group.parts.iter().cloned()).collect();
        Some(Due { parts, level })
    })
}

fn group(day: &[Arc<Part>]) -> Vec<Group> {
    let same = |one: &Arc<Part>, other: &Arc<Part>| one.summary().published == other.summary().published;
    day.chunk_by(same)
        .map(|parts| Group {
            parts: parts.to_vec(),
            level: parts.iter().map(|part| part.summary().level).max().unwrap_or(0),
            bytes: parts.iter().map(|part| part.len()).sum(),
            damaged: parts.iter().any(|part| part.is_damaged()),
        })
        .collect()
}

fn run_of_one_level(groups: &[Group]) -> Option<&[Group]> {
    groups.chunk_by(|one, other| one.level == other.level).find(|run| run.len() >= SAME_LEVEL).map(cut)
}

fn run_of_day_over(groups: &[Group]) -> Option<&[Group]> {
    if groups.len() < 2 {
        return None;
    }
    let all = groups.iter().map(|group| group.bytes).sum::<u64>();
    let (largest, bytes) =
        groups.iter().enumerate().max_by_key(|(_, group)| group.bytes).map(|(place, group)| (place, group.bytes))?;
    if (all - bytes).saturating_mul(LATE_SHARE) >= bytes {
        return Some(cut(groups));
    }
    // Only neighbours are merged: else an older value could come out as the newer one.
    let (before, after) = (&groups[..largest], &groups[largest + 1..]);
    [after, before].into_iter().find(|run| run.len() >= LATE_PARTS).map(cut)
}

/// As many as may be read at a time, two at least.
fn cut(run: &[Group]) -> &[Group] {
    let mut parts = 0;
    let fits = run.iter().take_while(|group| {
        parts += group.parts.len();
        parts <= PARTS_MAX
    });
    &run[..fits.count().max(2).min(run.len())]
}
