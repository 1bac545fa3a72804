//! Vectors whose rows are made when they are wanted: each row by itself, several at once on several threads.
//!
//! A [`Stream`] knows its rows and how to fill the cells of one. It becomes a table, or goes block by block into an
//! aggregation that never holds all of it. Rows are always seen in their order, so that nothing depends on the threads.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, OnceLock};

use super::line::{Cells, Line};
use super::table::{Row, Table};
use super::{Evaluator, Limits};
use crate::ast::Span;
use crate::error::EvalError;
use crate::source::{Columns, Source, TOGETHER};

/// Rows that a thread takes at a time, or a multiple.
const SHARE: usize = TOGETHER;
/// Cells that a thread takes at a time where rows are short.
const SHARE_CELLS: usize = 2_048;
/// Shares under way for each thread: being made, waiting to be seen, waiting to be made again.
const BUFFERS_PER_THREAD: usize = 3;
/// Fewer cells than this are not worth a thread's start.
const CELLS_FOR_A_THREAD: usize = 20_000;
/// More threads than this help one query little and hurt the others much.
const THREADS_MAX: usize = 4;

/// What one thread keeps from row to row, for its memory.
#[derive(Default)]
pub(super) struct Scratch {
    /// The samples of the series at hand.
    pub columns: Columns,
    /// Numbers of a window, sorted or not.
    pub numbers: Vec<f64>,
    /// Places in the columns.
    pub places: Vec<usize>,
    /// The step, the first place and the one behind the last of each window.
    pub windows: Vec<(usize, usize, usize)>,
    /// Samples read so far.
    pub read: u64,
}

/// Fills the cells of one row. They come as zeros that are not present.
pub(super) type Fill<'a> = Box<dyn Fn(usize, &mut Scratch, &mut [f64], &mut [bool]) -> Result<(), EvalError> + Sync + 'a>;

/// A vector to be made.
pub(super) struct Stream<'a> {
    /// Who the rows are; some may turn out to be empty.
    pub rows: Vec<Row>,
    /// Makes one.
    pub fill: Fill<'a>,
    /// The values are no longer the metric's: its name goes away.
    pub unnamed: bool,
    /// The rows should be counters; where to say so if they are not.
    pub counters: Option<Span>,
    /// What it was made of.
    pub span: Span,
}

impl Stream<'_> {
    /// Whether taking the names off can't make two series one.
    pub fn stays_apart(&self) -> bool {
        let same = |pair: &[Row]| pair[0].labels.metric() == pair[1].labels.metric();
        !self.unnamed || self.rows.windows(2).all(same)
    }
}

fn threads() -> usize {
    static THREADS: OnceLock<usize> = OnceLock::new();
    *THREADS.get_or_init(|| std::thread::available_parallelism().map_or(1, usize::from).min(THREADS_MAX))
}

/// What all threads of a query share.
#[derive(Clone, Copy)]
pub(super) struct Means<'a> {
    pub source: &'a dyn Source,
    cancel: Option<&'a (dyn Fn() -> bool + Sync)>,
    limits: Limits,
}

impl Means<'_> {
    /// Counts what was read of a series; stops a row whose samples alone are too many to hold, or one too many.
    pub fn count(&self, scratch: &mut Scratch) -> Result<(), EvalError> {
        let held = scratch.columns.times.len() as u64;
        scratch.read += held;
        let Limits { samples: limit, read, .. } = self.limits;
        if held > limit {
            return Err(EvalError::Limit { what: "the query holds too many samples at once", limit });
        }
        if scratch.read > read {
            return Err(EvalError::Limit { what: "the query reads too many samples", limit: read });
        }
        Ok(())
    }

    fn check_cancel(&self) -> Result<(), EvalError> {
        if self.cancel.is_some_and(|cancel| cancel()) { Err(EvalError::Cancelled) } else { Ok(()) }
    }
}

impl<'a> Evaluator<'a> {
    pub fn means(&self) -> Means<'a> {
        Means { source: self.source, cancel: self.params.cancel, limits: self.params.limits }
    }

    /// All rows as a table.
    pub fn collect(&mut self, stream: Stream<'_>, steps: usize) -> Result<Table, EvalError> {
        self.charge_cells(stream.rows.len() * steps)?;
        let mut table = Table::absent(steps, stream.rows.len());
        self.fill_rows(&stream.fill, 0, steps, &mut table.values, &mut table.present)?;
        let Stream { rows, unnamed, counters, span, .. } = stream;
        table.rows = rows;
        table.drop_empty();
        if let Some(counters) = counters {
            self.note_non_counters(table.rows.iter(), counters);
        }
        if unnamed { self.renamed_strictly(table, span) } else { Ok(table) }
    }

    /// Shows the rows in their order to `see`, with their cells.
    ///
    /// Shares of them are made by several threads and seen by this one, one after the other as they are ready: nothing waits for
    /// all to be made, and the cells of a share are still near the core when they are seen and made anew.
    pub fn each_row(
        &mut self,
        stream: &Stream<'_>,
        steps: usize,
        mut see: impl FnMut(&mut Self, usize, &[f64], &[bool]) -> Result<(), EvalError>,
    ) -> Result<(), EvalError> {
        let rows = stream.rows.len();
        let share = (SHARE_CELLS / steps.max(1)).clamp(1, rows.max(1)).next_multiple_of(SHARE);
        let shares = rows.div_ceil(share);
        let helpers = threads().min(rows * steps / CELLS_FOR_A_THREAD).min(shares).saturating_sub(1);
        let buffers = if helpers == 0 { 1 } else { BUFFERS_PER_THREAD * (helpers + 1) };
        self.charge_cells(buffers * share.min(rows) * steps)?;
        let means = self.means();
        let count = |at: usize| share.min(rows - at * share);
        let make = |at: usize, cells: &mut Cells, scratch: &mut Scratch| {
            let len = count(at) * steps;
            cells.clear(len);
            let filled = (0, (&mut cells.values[..len], &mut cells.present[..len]));
            work(&means, &stream.fill, at * share, steps, scratch, std::iter::once(filled)).map_err(|(_, error)| error)
        };
        let line = Line::new(shares, buffers);
        let read = AtomicU64::new(0);
        let mut scratch = std::mem::take(&mut self.scratch);
        let done = std::thread::scope(|scope| {
            for _ in 0..helpers {
                scope.spawn(|| {
                    let mut scratch = Scratch::default();
                    line.help(|at, cells| make(at, cells, &mut scratch));
                    read.fetch_add(scratch.read, Ordering::Relaxed);
                });
            }
            let make = |at: usize, cells: &mut Cells| make(at, cells, &mut scratch);
            line.see(make, |at, cells| {
                for place in 0..count(at) {
                    let row = place * steps..(place + 1) * steps;
                    see(self, at * share + place, &cells.values[row.clone()], &cells.present[row])?;
                }
                Ok(())
            })
        });
        self.samples_read += read.into_inner() + std::mem::take(&mut scratch.read);
        self.scratch = scratch;
        done.and_then(|()| self.check_limits())
    }

    /// Fills the cells of the rows from `first` on, on several threads where it is worth it.
    fn fill_rows(
        &mut self,
        fill: &Fill<'_>,
        first: usize,
        steps: usize,
        values: &mut [f64],
        present: &mut [bool],
    ) -> Result<(), EvalError> {
        if values.is_empty() {
            return self.check_cancel();
        }
        let means = self.means();
        let helpers = threads().min(values.len() / CELLS_FOR_A_THREAD).saturating_sub(1);
        let read = AtomicU64::new(0);
        let shares = values.chunks_mut(SHARE * steps).zip(present.chunks_mut(SHARE * steps)).enumerate();
        if helpers == 0 {
            let mut scratch = std::mem::take(&mut self.scratch);
            let done = work(&means, fill, first, steps, &mut scratch, shares);
            self.samples_read += std::mem::take(&mut scratch.read);
            self.scratch = scratch;
            return done.map_err(|(_, error)| error).and_then(|()| self.check_limits());
        }
        let queue = Mutex::new(shares);
        let failed: Mutex<Option<(usize, EvalError)>> = Mutex::new(None);
        let run = |scratch: &mut Scratch| {
            let next = || queue.lock().unwrap_or_else(std::sync::PoisonError::into_inner).next();
            if let Err(error) = work(&means, fill, first, steps, scratch, std::iter::from_fn(next)) {
                let mut failed = failed.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
                // Of several errors the first row's is told, whoever found it.
                if failed.as_ref().is_none_or(|(row, _)| *row > error.0) {
                    *failed = Some(error);
                }
            }
            read.fetch_add(std::mem::take(&mut scratch.read), Ordering::Relaxed);
        };
        std::thread::scope(|scope| {
            for _ in 0..helpers {
                scope.spawn(|| run(&mut Scratch::default()));
            }
            run(&mut self.scratch);
        });
        self.samples_read += read.into_inner();
        match failed.into_inner().unwrap_or_else(std::sync::PoisonError::into_inner) {
            Some((_, error)) => Err(error),
            None => self.check_limits(),
        }
    }
}

/// Fills share after share. An error comes with its row.
fn work<'v>(
    means: &Means<'_>,
    fill: &Fill<'_>,
    first: usize,
    steps: usize,
    scratch: &mut Scratch,
    shares: impl Iterator<Item = (usize, (&'v mut [f64], &'v mut [bool]))>,
) -> Result<(), (usize, EvalError)> {
    for (share, (values, present)) in shares {
        let row = first + share * SHARE;
        means.check_cancel().map_err(|error| (row, error))?;
        for (place, (values, present)) in values.chunks_mut(steps).zip(present.chunks_mut(steps)).enumerate() {
            fill(row + place, scratch, values, present).map_err(|error| (row + place, error))?;
        }
    }
    Ok(())
}
