//! Merges parts of one day into one: series by series, chunk by chunk, so that memory holds a block of each and the index of the new
//! one. Where two have the same instant of a series the one that was published later is right.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

use model::Labels;

use super::write::Written;
use crate::error::StoreError;
use crate::files::Files;
use crate::part::{Part, PartWriter, Scan, Summary};

/// Samples to leave out of a part.
#[derive(Clone, Debug, Default)]
pub(super) struct Without {
    /// Series of the part, sorted.
    pub series: Vec<u32>,
    /// From and to, both included.
    pub from: i64,
    pub to: i64,
}

/// A part that is read, and where its current chunk stands.
struct Input<'a> {
    scan: Scan<'a>,
    without: Option<&'a Without>,
    times: Vec<i64>,
    /// Empty until somebody needs them: most chunks go over as they are.
    values: Vec<f64>,
    at: usize,
}

impl Input<'_> {
    fn key(&self) -> Option<(&str, u64)> {
        self.scan.series()
    }

    /// Time of the next sample of the series; `None` where there is none any more.
    fn head(&mut self) -> Option<i64> {
        while self.at >= self.times.len() {
            self.values.clear();
            self.at = 0;
            if !self.scan.next_times(&mut self.times) {
                return None;
            }
            self.leave_out();
        }
        Some(self.times[self.at])
    }

    /// Reads the values of the current chunk; where they do not decode the chunk is left out.
    fn decode(&mut self) -> bool {
        if self.values.is_empty() && !self.scan.values(&mut self.values) {
            self.times.clear();
            self.at = 0;
        }
        !self.values.is_empty()
    }

    fn leave_out(&mut self) {
        let Some(Without { series, from, to }) = self.without else { return };
        if series.binary_search(&self.scan.local()).is_err() {
            return;
        }
        let begin = self.times.partition_point(|time| time < from);
        let end = self.times.partition_point(|time| time <= to);
        if begin < end && self.decode() {
            self.times.drain(begin..end);
            self.values.drain(begin..end);
        }
    }
}

/// Where new parts go.
pub(super) struct Target<'a> {
    pub files: &'a Arc<dyn Files>,
    pub dir: &'a Path,
    /// Gives numbers for new parts.
    pub number: &'a dyn Fn() -> u64,
}

/// Writes what `parts` hold into a new part, or into more than one where there are too many series; none where nothing is left.
/// `parts` are in the order in which they were published. Files that were written are removed again on an error.
/// Ends with an error once it is `stopped`; and where a part is damaged, unless something is taken out of it.
pub(super) fn merge(
    target: &Target<'_>,
    parts: &[(&Part, Option<&Without>)],
    level: u32,
    stopped: &AtomicBool,
) -> Result<Vec<Written>, StoreError> {
    let mut written = Vec::new();
    let done = Merge::new(target, parts, level, stopped).and_then(|merge| merge.run(parts, &mut written));
    if let Err(error) = done {
        written.iter().for_each(|part: &Written| part.remove(target.files, target.dir));
        return Err(error);
    }
    Ok(written)
}

struct Merge<'a> {
    target: &'a Target<'a>,
    about: Summary,
    replaces: Vec<u64>,
    writer: PartWriter,
    stopped: &'a AtomicBool,
}

impl<'a> Merge<'a> {
    fn new(
        target: &'a Target<'a>,
        parts: &[(&Part, Option<&Without>)],
        level: u32,
        stopped: &'a AtomicBool,
    ) -> Result<Merge<'a>, StoreError> {
        let summaries = parts.iter().map(|(part, _)| part.summary());
        let published = summaries
            .clone()
            .fold((u64::MAX, 0), |(first, last), about| (first.min(about.published.0), last.max(about.published.1)));
        let day = summaries.map(|about| about.day).next().unwrap_or(0);
        let about = Summary { day, level, published, ..Summary::default() };
        let writer = PartWriter::new(target.files.clone(), target.dir, (target.number)(), about.clone())?;
        Ok(Merge { target, about, replaces: parts.iter().map(|(part, _)| part.number()).collect(), writer, stopped })
    }

    fn run(mut self, parts: &[(&Part, Option<&Without>)], written: &mut Vec<Written>) -> Result<(), StoreError> {
        let failures: Vec<u64> = parts.iter().map(|(part, _)| part.failures()).collect();
        let mut inputs: Vec<Input<'_>> = parts
            .iter()
            .map(|(part, without)| Input {
                scan: Scan::new(part),
                without: *without,
                times: Vec::new(),
                values: Vec::new(),
                at: 0,
            })
            .collect();
        let done = self.all_series(&mut inputs, written);
        drop(inputs);
        // A disk that failed to read is not a part that has nothing: what it has must not be dropped.
        let failed = parts.iter().zip(failures).find(|((part, _), before)| part.failures() != *before);
        let done = match failed {
            Some(((part, _), _)) => Err(StoreError::io("read", part.path())(std::io::ErrorKind::Other.into())),
            None => done,
        };
        let damaged = parts.iter().find(|(part, without)| without.is_none() && part.is_damaged());
        let done = match damaged {
            Some((part, _)) => Err(StoreError::io("merge", part.path())(std::io::ErrorKind::InvalidData.into())),
            None => done,
        };
        if done.is_err() || self.writer.is_empty() {
            self.writer.abandon();
            return done;
        }
        // Only the last one says what it replaces: with it all of them are there.
        self.writer.replaces(std::mem::take(&mut self.replaces));
        written.push(Written::finish(self.writer)?);
        Ok(())
    }

    fn all_series(&mut self, inputs: &mut [Input<'_>], written: &mut Vec<Written>) -> Result<(), StoreError> {
        loop {
            let Some(least) = inputs.iter().filter_map(Input::key).min() else { return Ok(()) };
            if self.stopped.load(Relaxed) {
                return Err(StoreError::Closed);
            }
            let id = least.1;
            let has: Vec<bool> = inputs.iter().map(|input| input.key() == Some(least)).collect();
            let labels = inputs.iter_mut().zip(&has).filter(|(_, has)| **has).find_map(|(input, _)| input.scan.labels());
            if self.writer.is_full() {
                let number = (self.target.number)();
                let next = PartWriter::new(self.target.files.clone(), self.target.dir, number, self.about.clone())?;
                written.push(Written::finish(std::mem::replace(&mut self.writer, next))?);
            }
            let mut of_series: Vec<&mut Input<'_>> =
                inputs.iter_mut().zip(&has).filter(|(_, has)| **has).map(|(input, _)| input).collect();
            // Where all pages with its labels are lost, nothing can be said of the series.
            if let Some(labels) = labels {
                self.one_series(&mut of_series, id, &labels)?;
            }
            for input in of_series {
                input.scan.advance();
                input.times.clear();
                input.at = 0;
            }
        }
    }

    fn one_series(&mut self, inputs: &mut [&mut Input<'_>], id: u64, labels: &Labels) -> Result<(), StoreError> {
        loop {
            let Some(least) = inputs.iter_mut().filter_map(|input| input.head()).min() else { return Ok(()) };
            let mut winner = None;
            for (place, input) in inputs.iter_mut().enumerate().rev() {
                if input.head() == Some(least) {
                    match winner {
                        None => winner = Some(place),
                        // An older one says something else of this instant.
                        Some(_) => input.at += 1,
                    }
                }
            }
            let Some(winner) = winner else { return Ok(()) };
            let others = inputs.iter_mut().enumerate().filter(|(place, _)| *place != winner);
            let bound = others.filter_map(|(_, input)| input.head()).min();
            let input = &mut inputs[winner];
            let end = match bound {
                Some(bound) => input.at + input.times[input.at..].partition_point(|time| *time < bound),
                None => input.times.len(),
            };
            let whole = input.at == 0 && end == input.times.len() && input.values.is_empty();
            if whole
                && let Some(chunk) = input.scan.encoded()
                && self.writer.push_encoded(id, labels, &input.times, chunk)?
            {
                input.at = end;
            } else if input.decode() {
                self.writer.push(id, labels, &input.times[input.at..end], &input.values[input.at..end])?;
                input.at = end;
            }
        }
    }
}
