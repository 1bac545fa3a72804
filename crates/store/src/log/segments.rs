//! From segment to segment: how the log goes on in the next, and which of the old are let go.

use std::io;
use std::sync::atomic::Ordering::SeqCst;

use model::Time;

use super::flight::Flight;
use super::{Log, SEGMENT_BEGIN, Writer};
use crate::files::{File, retry, sectors, write_sectors};
use crate::segment::{self, RECORDS_AT, Segment, Spare};

/// The segment that is written to.
pub(super) struct Current {
    pub file: Box<dyn File>,
    pub number: u64,
    pub at: u64,
    pub len: u64,
    /// It was made of zeros that were on the disk before.
    pub prepared: bool,
    /// Other handles of the file that nobody syncs with now; none where it was not prepared.
    pub idle: Vec<Box<dyn File>>,
    /// Those that wait until the head is durable: records behind a lost head would hide those that are written again before them.
    pub until_head: Vec<Box<dyn File>>,
}

impl Log {
    /// Goes on in the segment that was prepared, where there is one with room for a group, while others are still on their way in the one
    /// before. Gives the head that is to be written before the group.
    pub(super) fn turn(&self, writer: &mut Writer, flight: &Flight) -> Option<Vec<u8>> {
        if self.ahead().ready.as_ref().is_none_or(|spare| spare.handles.is_empty()) {
            return None;
        }
        let spare = self.take_prepared(writer, sectors(flight.len))?;
        match &writer.current {
            // Who is on his way still writes into it: what is left of it stays with it.
            Some(left) if left.prepared => self.ahead().finished.push(left.number),
            _ => self.finish(writer),
        }
        let head = segment::head(writer.go_on(spare, flight.first, flight.received));
        let current = writer.current.as_mut().expect("just made");
        current.until_head = current.idle.split_off(1);
        Some(head)
    }

    pub(super) fn renew(&self, writer: &mut Writer, needed: u64, first: u64, received: Time) -> io::Result<()> {
        self.finish(writer);
        if let Some(spare) = self.take_prepared(writer, needed) {
            let head = segment::head(writer.go_on(spare, first, received));
            let current = writer.current.as_ref().expect("just made");
            return write_sectors(&*current.file, &head, 0);
        }
        let bytes = SEGMENT_BEGIN.min(self.segment_bytes).max(RECORDS_AT + needed);
        let number = self.next_number.fetch_add(1, SeqCst);
        let segment = Segment { number, first_sequence: Some(first), created: received, bytes };
        match segment::create(&*self.files, &self.dir, &segment) {
            Ok(file) => {
                writer.segments.push(segment);
                let (idle, until_head) = (Vec::new(), Vec::new());
                writer.current = Some(Current { file, number, at: RECORDS_AT, len: bytes, prepared: false, idle, until_head });
                Ok(())
            }
            Err(error) => {
                // Half a segment does no harm, but its room is needed. If removing fails too, it is removed with the others.
                if self.files.remove(&segment::path(&self.dir, number)).is_err() {
                    writer.segments.push(Segment { bytes: 0, ..segment });
                }
                Err(error)
            }
        }
    }

    /// Gives back the room that the current segment did not use.
    pub(super) fn finish(&self, writer: &mut Writer) {
        let Some(current) = writer.current.take() else { return };
        if current.file.truncate(current.at).is_ok()
            && let Some(segment) = writer.segments.iter_mut().find(|segment| segment.number == current.number)
        {
            segment.bytes = current.at;
        }
        self.ahead().finished.push(current.number);
    }

    /// Ends the current segment; the next group begins a new one.
    pub fn roll(&self) {
        self.alone(self.writer(), |writer| self.finish(writer));
    }

    /// The same, unless the next segment would be slower to write than this one.
    pub fn roll_unless_slower(&self) {
        self.alone(self.writer(), |writer| {
            if !writer.current.as_ref().is_some_and(|current| current.prepared) || self.is_prepared(0) {
                self.finish(writer);
            }
        });
    }

    /// A checkpoint holds all records below `position`: removes segments that hold only such ones and are older than
    /// `keep_from`, or beyond `keep_bytes`.
    pub fn checkpointed(&self, position: u64, keep_from: Time, keep_bytes: u64) {
        let mut writer = self.writer();
        writer.since_checkpoint = 0;
        writer.position = position;
        while let Some(number) = writer.needless(keep_from, keep_bytes) {
            // Removing takes its time, and senders wait for who writes.
            drop(writer);
            let removed = retry(|| self.files.remove(&segment::path(&self.dir, number)));
            writer = self.writer();
            if removed.is_err_and(|error| error.kind() != io::ErrorKind::NotFound) {
                break;
            }
            writer.segments.retain(|segment| segment.number != number);
        }
        self.note_sizes(&writer);
    }

    /// Removes all segments that a flush has made needless, those too that were kept for back-tests.
    pub fn forget_kept(&self) {
        self.drop_spare();
        let mut writer = self.writer();
        let position = writer.position;
        if writer.current.is_none() && self.queue().next_sequence == position {
            // Nothing came since: not even the last one is needed. The next one says where it begins.
            writer.segments.retain(|segment| match retry(|| self.files.remove(&segment::path(&self.dir, segment.number))) {
                Err(error) => error.kind() != io::ErrorKind::NotFound,
                Ok(()) => false,
            });
        }
        drop(writer);
        self.checkpointed(position, Time::MAX, 0);
    }
}

impl Writer {
    /// Makes what was prepared the current segment. Its head is not written yet.
    fn go_on(&mut self, spare: Spare, first: u64, received: Time) -> &Segment {
        let Spare { file, handles, number, bytes } = spare;
        self.segments.push(Segment { number, first_sequence: Some(first), created: received, bytes });
        self.current =
            Some(Current { file, number, at: RECORDS_AT, len: bytes, prepared: true, idle: handles, until_head: Vec::new() });
        self.segments.last().expect("just put")
    }

    /// The oldest segment, where a checkpoint holds all of it and it is too old or one too many.
    fn needless(&self, keep_from: Time, keep_bytes: u64) -> Option<u64> {
        let total: u64 = self.segments.iter().map(|segment| segment.bytes).sum();
        // A segment whose head is damaged says nothing: the one behind it does.
        let next = self.segments.iter().skip(1).find(|segment| segment.first_sequence.is_some())?;
        let covered = next.first_sequence.is_some_and(|first| first <= self.position);
        (covered && (next.created < keep_from || total > keep_bytes)).then(|| self.segments[0].number)
    }
}
