//! Writes samples of any days into new parts, one for each day.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;

use model::Labels;

use super::day_of;
use super::merge::Target;
use crate::error::StoreError;
use crate::files::Files;
use crate::part::{self, PartWriter, Summary};

/// Days that are written at the same time: each takes up to half a megabyte, and its index.
const DAYS_AT_ONCE: usize = 32;

/// Takes samples of a series: id, labels, times in microseconds, values. Series come sorted by metric name and then by id; a
/// series may come in several calls, one after the other, its times rise.
pub type Give<'a> = dyn FnMut(u64, &Labels, &[i64], &[f64]) -> Result<(), StoreError> + 'a;

/// A part that is on the disk, but that no manifest names yet.
#[derive(Debug)]
pub struct Written {
    pub(super) number: u64,
    /// What is in it.
    pub summary: Summary,
    /// Its length.
    pub bytes: u64,
    /// One more than the greatest id of a series in it.
    pub(super) id_end: u64,
}

impl Written {
    pub(super) fn finish(writer: PartWriter) -> Result<Written, StoreError> {
        let (number, id_end) = (writer.number(), writer.id_end());
        let (summary, bytes) = writer.finish()?;
        Ok(Written { number, summary, bytes, id_end })
    }

    pub(super) fn remove(&self, files: &Arc<dyn Files>, dir: &Path) {
        let _ = files.remove(&part::path(dir, self.number));
    }
}

/// Writes everything that `feed` gives. It is asked again, for the days that did not fit, as long as there are some.
pub(super) fn write(
    target: &Target<'_>,
    published: u64,
    feed: &mut dyn FnMut(&mut Give<'_>) -> Result<(), StoreError>,
) -> Result<Vec<Written>, StoreError> {
    let mut done = BTreeSet::new();
    let mut written = Vec::new();
    loop {
        let mut days = Days { target, published, done: &done, open: BTreeMap::new(), later: false, written: &mut written };
        let fed = feed(&mut |id, labels, times, values| days.push(id, labels, times, values));
        let later = days.later;
        let finished = match fed {
            Ok(()) => days.finish(),
            Err(error) => {
                days.abandon();
                Err(error)
            }
        };
        match finished {
            Ok(days) if later => done.extend(days),
            Ok(_) => return Ok(written),
            Err(error) => {
                written.iter().for_each(|part| part.remove(target.files, target.dir));
                return Err(error);
            }
        }
    }
}

struct Days<'a> {
    target: &'a Target<'a>,
    published: u64,
    done: &'a BTreeSet<i64>,
    open: BTreeMap<i64, PartWriter>,
    /// There are samples of days that are neither done nor open.
    later: bool,
    written: &'a mut Vec<Written>,
}

impl Days<'_> {
    fn push(&mut self, id: u64, labels: &Labels, mut times: &[i64], mut values: &[f64]) -> Result<(), StoreError> {
        while let Some(first) = times.first() {
            let day = day_of(*first);
            let end = times.partition_point(|time| day_of(*time) <= day);
            self.push_day(day, id, labels, &times[..end], &values[..end])?;
            (times, values) = (&times[end..], &values[end..]);
        }
        Ok(())
    }

    fn push_day(&mut self, day: i64, id: u64, labels: &Labels, times: &[i64], values: &[f64]) -> Result<(), StoreError> {
        if self.done.contains(&day) {
            return Ok(());
        }
        if !self.open.contains_key(&day) && self.open.len() >= DAYS_AT_ONCE {
            self.later = true;
            return Ok(());
        }
        if self.open.get(&day).is_some_and(|writer| writer.is_full() && !writer.is_at(id))
            && let Some(full) = self.open.remove(&day)
        {
            self.written.push(Written::finish(full)?);
        }
        let writer = match self.open.entry(day) {
            std::collections::btree_map::Entry::Occupied(entry) => entry.into_mut(),
            std::collections::btree_map::Entry::Vacant(entry) => {
                let about = Summary { day, published: (self.published, self.published), ..Summary::default() };
                let Target { files, dir, number } = self.target;
                entry.insert(PartWriter::new((*files).clone(), dir, number(), about)?)
            }
        };
        writer.push(id, labels, times, values)
    }

    fn finish(mut self) -> Result<Vec<i64>, StoreError> {
        let mut days = Vec::new();
        while let Some((day, writer)) = self.open.pop_first() {
            match Written::finish(writer) {
                Ok(part) => self.written.push(part),
                Err(error) => {
                    self.abandon();
                    return Err(error);
                }
            }
            days.push(day);
        }
        Ok(days)
    }

    fn abandon(self) {
        self.open.into_values().for_each(PartWriter::abandon);
    }
}
