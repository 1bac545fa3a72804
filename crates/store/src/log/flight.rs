//! Groups on their way to the disk, several at once, each by a write and a sync of its own.

use std::io;
use std::sync::atomic::Ordering::SeqCst;
use std::sync::{Arc, MutexGuard};
use std::time::Instant;

use model::Time;

use super::segments::Current;
use super::{Log, Writer};
use crate::commit::Group;
use crate::files::{File, sectors, write_sectors};
use crate::{frame, segment};

/// A group on its way.
pub(super) struct Flight {
    pub number: u64,
    pub group: Arc<Group>,
    /// With whom writes them, as long as it is in the air.
    pub frames: Vec<u8>,
    pub len: usize,
    /// Whose file it goes to; 0 before it sets out.
    pub segment: u64,
    /// It is in the file: a sync of it that begins now is good for it.
    pub written: bool,
    /// It is durable.
    pub synced: bool,
    pub first: u64,
    pub received: Time,
    /// The series that it defines, and those of earlier groups that it defines for the second time, and for the first again.
    pub defined: Vec<Vec<u8>>,
    pub once: Vec<Vec<u8>>,
    pub twice: Vec<Vec<u8>>,
}

impl Log {
    /// Takes what waits and brings it to the disk, side by side with others where the segment was prepared. False where nothing waits.
    pub(super) fn write_with<'log>(&'log self, writer: MutexGuard<'log, Writer>) -> bool {
        let full = |writer: &mut Writer| {
            let all_in_use = |current: &Current| current.prepared && current.idle.is_empty();
            self.changing.load(SeqCst) || (self.in_air.load(SeqCst) > 0 && writer.current.as_ref().is_some_and(all_in_use))
        };
        let mut writer = self.wait_landed(writer, full);
        let Some(mut flight) = self.take_group(&mut writer) else { return false };
        let number = flight.number;
        let needed = sectors(flight.len);
        let failed = writer.failed;
        let goes_on = |current: &Current| current.prepared && current.at + needed <= current.len;
        let mut head = None;
        if !failed && needed > 0 && !writer.current.as_ref().is_some_and(goes_on) {
            head = self.turn(&mut writer, &flight);
        }
        let may_fly = |current: &&mut Current| !failed && needed > 0 && goes_on(current) && !current.idle.is_empty();
        let Some(current) = writer.current.as_mut().filter(may_fly) else {
            writer.flights.push_back(flight);
            return self.write_alone(writer, number);
        };
        let (segment, at, handle) = (current.number, current.at, current.idle.pop().expect("one is idle"));
        current.at += needed;
        flight.segment = segment;
        let mut frames = std::mem::take(&mut flight.frames);
        writer.flights.push_back(flight);
        self.in_air.fetch_add(1, SeqCst);
        drop(writer);

        frame::seal(&mut frames, segment::salt(segment));
        let flown = self.fly(&*handle, head.as_deref(), &frames, at, number);

        let mut writer = self.writer();
        self.in_air.fetch_sub(1, SeqCst);
        self.tell_landed(&writer);
        if let Some(current) = writer.current.as_mut().filter(|current| current.number == segment) {
            current.idle.push(handle);
            if head.is_some() && flown.is_ok() {
                current.idle.append(&mut current.until_head);
            }
        }
        // Where it is not there any more, a later one's sync was good for it too.
        if let Ok(own) = writer.flights.binary_search_by_key(&number, |flight| flight.number) {
            writer.flights[own].frames = frames;
        }
        match flown {
            Err(error) => self.failed(&mut writer, &error),
            Ok(good_from) => {
                let good = |flight: &&mut Flight| (good_from..=number).contains(&flight.number);
                writer.flights.iter_mut().filter(good).for_each(|flight| flight.synced = true);
            }
        }
        if writer.failed {
            return self.write_alone(writer, number);
        }
        let there = writer.flights.iter().take_while(|flight| flight.synced).count();
        if there > 0 {
            let there = writer.flights.drain(..there).collect();
            self.land(writer, there, Ok(()));
        }
        true
    }

    /// Writes a group at its place and syncs it. Gives from which one on all up to it are durable now.
    fn fly(&self, file: &dyn File, head: Option<&[u8]>, frames: &[u8], at: u64, number: u64) -> io::Result<u64> {
        let started = Instant::now();
        if let Some(head) = head {
            write_sectors(file, head, 0)?;
        }
        write_sectors(file, frames, at)?;
        let mut writer = self.writer();
        let own = writer.flights.binary_search_by_key(&number, |flight| flight.number);
        let own = own.expect("nobody else makes it durable before it is written");
        writer.flights[own].written = true;
        let segment = writer.flights[own].segment;
        let with_it = |flight: &&Flight| flight.written && flight.segment == segment;
        let good_from = writer.flights.iter().take(own + 1).rev().take_while(with_it).last().map_or(number, |first| first.number);
        drop(writer);
        self.sync(file, started)?;
        Ok(good_from)
    }
}
