//! The next segment of a busy log, made while the current one is filled.

use std::sync::atomic::Ordering::{Relaxed, SeqCst};
use std::sync::{MutexGuard, PoisonError};

use super::{FLIGHTS_MAX, Log, Writer};
use crate::segment::{self, RECORDS_AT, Spare};

/// What is known of the next segment's file.
#[derive(Default)]
pub(super) struct Ahead {
    pub ready: Option<Spare>,
    /// Of so many bytes, not begun yet.
    pub wanted: Option<u64>,
    /// It is being made. There is never a second one: both would have the same name.
    pub making: bool,
    /// It is no longer wanted, whether it is there or only on the way.
    pub dropped: bool,
    /// Segments that are written to no more and may still fill memory.
    pub finished: Vec<u64>,
    pub stop: bool,
}

impl Log {
    /// Prepares segments until [`stop`](Self::stop).
    pub fn run_ahead(&self) {
        loop {
            let idle = |ahead: &mut Ahead| ahead.wanted.is_none() && !ahead.stop;
            let stop = self.ahead_wake.wait_while(self.ahead(), idle).unwrap_or_else(PoisonError::into_inner).stop;
            if stop {
                return self.drop_spare();
            }
            self.prepare();
        }
    }

    /// Makes the file of the next segment where one is wanted. Without it a segment is made when it is needed.
    fn prepare(&self) {
        let mut ahead = self.ahead();
        let Some(bytes) = ahead.wanted.take() else { return };
        ahead.making = true;
        let finished = std::mem::take(&mut ahead.finished);
        drop(ahead);
        // Zeros that take the memory of segments before cost half as much: no page of it is touched for the first time.
        finished.into_iter().for_each(|number| self.files.forget(&segment::path(&self.dir, number)));
        let stop = || {
            let ahead = self.ahead();
            ahead.stop || ahead.dropped
        };
        let number = || self.next_number.fetch_add(1, SeqCst);
        let made = Spare::make(&*self.files, &self.dir, (bytes, FLIGHTS_MAX), number, stop, || self.ahead_late.load(Relaxed));
        let mut ahead = self.ahead();
        ahead.making = false;
        match made {
            Ok(Some(spare)) if !ahead.dropped => ahead.ready = Some(spare),
            Ok(Some(spare)) => spare.remove(&*self.files, &self.dir),
            Ok(None) => {}
            Err(error) => tracing::debug!(%error, "the next log segment is not prepared"),
        }
    }

    /// Gives the room of the next segment's file back.
    pub(super) fn drop_spare(&self) {
        let mut ahead = self.ahead();
        (ahead.wanted, ahead.dropped) = (None, true);
        if let Some(spare) = ahead.ready.take() {
            spare.remove(&*self.files, &self.dir);
        }
    }

    /// Asks for the next segment's file once this one is well begun: earlier where this one is slow to write.
    pub(super) fn look_ahead(&self, writer: &mut Writer) {
        let Some(current) = &writer.current else { return };
        let begun = self.segment_bytes / if current.prepared { 8 } else { 16 };
        self.ahead_late.store(!current.prepared || current.at > self.segment_bytes / 4 * 3, Relaxed);
        if current.at < begun || writer.asked_ahead == current.number {
            return;
        }
        writer.asked_ahead = current.number;
        let mut ahead = self.ahead();
        if ahead.ready.is_some() || ahead.making {
            return;
        }
        (ahead.wanted, ahead.dropped) = (Some(self.segment_bytes), false);
        drop(ahead);
        match self.driven_by_caller {
            true => self.prepare(),
            false => self.ahead_wake.notify_one(),
        }
    }

    /// Whether the next segment's file is there, with room for so many bytes.
    pub(super) fn is_prepared(&self, needed: u64) -> bool {
        self.ahead().ready.as_ref().is_some_and(|spare| spare.bytes >= RECORDS_AT + needed)
    }

    pub(super) fn ahead(&self) -> MutexGuard<'_, Ahead> {
        self.ahead.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The next segment, if it is there, has room for so many bytes, and comes behind all others.
    pub(super) fn take_prepared(&self, writer: &Writer, needed: u64) -> Option<Spare> {
        let newest = writer.segments.last().map_or(0, |segment| segment.number);
        let spare = self.is_prepared(needed).then(|| self.ahead().ready.take()).flatten()?;
        if spare.number < newest {
            // Something failed meanwhile.
            spare.remove(&*self.files, &self.dir);
            return None;
        }
        Some(spare)
    }
}
