//! What needs the log for itself: a group in a segment that was not prepared, what comes after a failure, a change of segments.

use std::io;
use std::sync::atomic::Ordering::SeqCst;
use std::sync::{MutexGuard, PoisonError};
use std::time::Instant;

use model::Time;

use super::flight::Flight;
use super::segments::Current;
use super::{Log, Writer};
use crate::error::StoreError;
use crate::files::{is_full, retry, sectors, write_sectors};
use crate::{frame, segment};

impl Log {
    /// Runs `change` when nothing is on its way, and keeps others from setting out meanwhile.
    pub(super) fn alone<'log, T>(&'log self, writer: MutexGuard<'log, Writer>, change: impl FnOnce(&mut Writer) -> T) -> T {
        let mut writer = self.wait_alone(writer);
        let done = change(&mut writer);
        self.changing.store(false, SeqCst);
        self.tell_landed(&writer);
        done
    }

    fn wait_alone<'log>(&'log self, writer: MutexGuard<'log, Writer>) -> MutexGuard<'log, Writer> {
        let writer = self.wait_landed(writer, |_| self.changing.load(SeqCst));
        self.changing.store(true, SeqCst);
        self.wait_landed(writer, |_| self.in_air.load(SeqCst) > 0)
    }

    pub(super) fn wait_landed<'log>(
        &'log self,
        mut writer: MutexGuard<'log, Writer>,
        waits: impl FnMut(&mut Writer) -> bool,
    ) -> MutexGuard<'log, Writer> {
        writer.waiting += 1;
        let mut writer = self.landed.wait_while(writer, waits).unwrap_or_else(PoisonError::into_inner);
        writer.waiting -= 1;
        writer
    }

    pub(super) fn tell_landed(&self, writer: &Writer) {
        if writer.waiting > 0 {
            self.landed.notify_all();
        }
    }

    /// Writes the groups that are not on the disk, this one among them, while nothing else is written. False where another thread
    /// did so meanwhile.
    pub(super) fn write_alone<'log>(&'log self, writer: MutexGuard<'log, Writer>, number: u64) -> bool {
        let mut writer = self.wait_alone(writer);
        let waits = writer.flights.iter().any(|flight| flight.number == number);
        if waits {
            let mut flights: Vec<Flight> = writer.flights.drain(..).collect();
            let outcome = self.write(&mut writer, &mut flights);
            let outcome = outcome.map_err(|error| match is_full(&error) {
                true => StoreError::Full,
                false => StoreError::ReadOnly { why: format!("write the log: {error}").into() },
            });
            self.changing.store(false, SeqCst);
            self.tell_landed(&writer);
            self.land(writer, flights, outcome);
        } else {
            self.changing.store(false, SeqCst);
            self.tell_landed(&writer);
        }
        waits
    }

    /// Into the current segment, else into a new one: after a failed sync the kernel counts the pages as clean, so a second
    /// sync of the same file would promise what is not there.
    fn write(&self, writer: &mut Writer, flights: &mut [Flight]) -> io::Result<()> {
        let (first, received) = (flights[0].first, flights[flights.len() - 1].received);
        let mut joined = Vec::new();
        let frames = match flights {
            [flight] => &mut flight.frames,
            flights => {
                flights.iter().for_each(|flight| joined.extend_from_slice(&flight.frames));
                &mut joined
            }
        };
        let probing = frames.is_empty();
        if !std::mem::take(&mut writer.failed) && !probing && writer.current.is_some() {
            match self.write_once(writer, frames, first, received) {
                Ok(()) => return Ok(()),
                Err(error) => {
                    self.failed(writer, &error);
                    writer.failed = false;
                }
            }
        }
        writer.current = None;
        let done = self.write_once(writer, frames, first, received);
        if done.is_err() {
            // Half of the group may stand there.
            writer.current = None;
        }
        done
    }

    fn write_once(&self, writer: &mut Writer, frames: &mut [u8], first: u64, received: Time) -> io::Result<()> {
        let needed = sectors(frames.len());
        let goes_on = |current: &Current| {
            current.at + needed <= current.len.max(self.segment_bytes) && (current.prepared || !self.is_prepared(needed))
        };
        if !writer.current.as_ref().is_some_and(goes_on) {
            self.renew(writer, needed, first, received)?;
        }
        let current = writer.current.as_mut().expect("just made");
        if current.at + needed > current.len {
            // Room is taken in growing steps: an idle store takes little, a busy one rarely waits for more.
            let len = (current.len * 4).max(current.at + needed).min(self.segment_bytes);
            retry(|| current.file.preallocate(len))?;
            current.len = len;
            if let Some(segment) = writer.segments.iter_mut().find(|segment| segment.number == current.number) {
                segment.bytes = len;
            }
        }
        frame::seal(frames, segment::salt(current.number));
        let started = Instant::now();
        write_sectors(&*current.file, frames, current.at)?;
        self.sync(&*current.file, started)?;
        current.at += needed;
        Ok(())
    }
}
