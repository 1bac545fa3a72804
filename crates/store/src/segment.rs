//! One file of the log: its name, its head, and the way through its records.
//!
//! `log/0000000000000001.log`: the number in hex, never used twice. The head stands twice, at 0 and at 512, so that one damaged
//! sector does not hide the version; records begin at 1024.

use std::io;
use std::ops::Range;
use std::path::{Path, PathBuf};

use model::Time;

use crate::bits::{Reader, put_signed, put_varint};
use crate::error::StoreError;
use crate::files::{File, Files, SECTOR, retry, write_sectors};
use crate::frame::{self, Kind, Piece, Record, Scanner};

/// Where the records begin.
pub(crate) const RECORDS_AT: u64 = 1024;
const HEAD_COPY_AT: usize = SECTOR;
const SUFFIX: &str = ".log";
/// The name of the file that becomes the next segment.
const SPARE: &str = "next.spare";
/// Zeros that are written at a time: a sync of the log that meets them waits for so many ...
const SPARE_STEP: usize = 32 << 10;
/// ... and so many where the log would have to wait for all of them soon.
const SPARE_STEP_LATE: usize = 256 << 10;

/// What the head of a segment says.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Segment {
    pub number: u64,
    /// No record in it has a lower sequence. `None` where the head is not readable.
    pub first_sequence: Option<u64>,
    pub created: Time,
    pub bytes: u64,
}

/// The file of a segment.
pub(crate) fn path(dir: &Path, number: u64) -> PathBuf {
    dir.join(format!("{number:016x}{SUFFIX}"))
}

/// The number in a file's name.
pub(crate) fn number(name: &str) -> Option<u64> {
    let digits = name.strip_suffix(SUFFIX)?;
    (digits.len() == 16).then(|| u64::from_str_radix(digits, 16).ok())?
}

/// The salt of a segment's frames.
pub(crate) fn salt(number: u64) -> u64 {
    xxhash_rust::xxh3::xxh3_64_with_seed(b"flyball log", number)
}

/// Makes a segment: room, head, name. Its first bytes are durable with the first sync of its data.
pub(crate) fn create(files: &dyn Files, dir: &Path, segment: &Segment) -> io::Result<Box<dyn File>> {
    let file = retry(|| files.create(&path(dir, segment.number)))?;
    retry(|| file.preallocate(segment.bytes))?;
    begin(files, dir, segment, file)
}

/// The file that becomes the next segment: zeros that are on the disk under its name, so that writing over them changes nothing that the
/// file system keeps about the file, and a sync waits for the data alone.
pub(crate) struct Spare {
    pub file: Box<dyn File>,
    /// For groups that are written side by side.
    pub handles: Vec<Box<dyn File>>,
    pub number: u64,
    pub bytes: u64,
}

impl Spare {
    /// Writes `bytes` zeros and syncs them, a little at a time: other syncs go on in between; more at a time once it is `late`. `None` where
    /// `stop` said so. Asks for its `number` at last, and opens so many `handles` beside the first.
    pub fn make(
        files: &dyn Files,
        dir: &Path,
        (bytes, handles): (u64, usize),
        number: impl FnOnce() -> u64,
        stop: impl Fn() -> bool,
        late: impl Fn() -> bool,
    ) -> io::Result<Option<Spare>> {
        let made = Spare::zeros(files, dir, bytes, stop, late).and_then(|zeros| {
            let Some(file) = zeros else { return Ok(None) };
            let number = number();
            let path = path(dir, number);
            retry(|| files.rename(&dir.join(SPARE), &path))?;
            // Where one can't be opened, fewer groups go side by side.
            let handles = (0..handles).map_while(|_| retry(|| files.open_direct(&path)).ok()).collect();
            let spare = Spare { file, handles, number, bytes };
            retry(|| files.sync_dir(dir)).inspect_err(|_| spare.remove(files, dir))?;
            Ok(Some(spare))
        });
        if !matches!(made, Ok(Some(_))) {
            Spare::remove_unfinished(files, dir);
        }
        made
    }

    fn zeros(
        files: &dyn Files,
        dir: &Path,
        bytes: u64,
        stop: impl Fn() -> bool,
        late: impl Fn() -> bool,
    ) -> io::Result<Option<Box<dyn File>>> {
        let path = dir.join(SPARE);
        retry(|| files.create(&path)?.preallocate(bytes))?;
        let file = retry(|| files.open_direct(&path))?;
        let zeros = vec![0; SPARE_STEP_LATE.min(bytes as usize)];
        let mut at = 0;
        while at < bytes {
            if stop() {
                return Ok(None);
            }
            let step = (bytes - at).min(if late() { SPARE_STEP_LATE } else { SPARE_STEP } as u64);
            write_sectors(&*file, &zeros[..step as usize], at)?;
            at += step;
            // Else the last sync would write all of it, and the log's would wait for it.
            if !file.is_direct() || at == bytes {
                retry(|| file.sync_data())?;
            }
        }
        Ok(Some(file))
    }

    /// Removes the file. Where that fails it takes room until the next start.
    pub fn remove(&self, files: &dyn Files, dir: &Path) {
        let _ = retry(|| files.remove(&path(dir, self.number)));
    }

    /// Removes one that was not finished, if there is one.
    pub fn remove_unfinished(files: &dyn Files, dir: &Path) {
        let _ = retry(|| files.remove(&dir.join(SPARE)));
    }
}

fn begin(files: &dyn Files, dir: &Path, segment: &Segment, file: Box<dyn File>) -> io::Result<Box<dyn File>> {
    write_sectors(&*file, &head(segment), 0)?;
    retry(|| files.sync_dir(dir))?;
    Ok(file)
}

/// What stands before the records.
pub(crate) fn head(segment: &Segment) -> Vec<u8> {
    let mut copy = Vec::new();
    frame::put(&mut copy, Kind::Segment, segment.first_sequence.unwrap_or(0), |out| {
        put_varint(out, segment.number);
        put_signed(out, segment.created.0);
    });
    frame::seal(&mut copy, salt(segment.number));
    copy.resize(HEAD_COPY_AT, 0);
    copy.repeat(2)
}

/// Whether a file was prepared and nothing was written into it: it holds nothing but zeros.
pub(crate) fn is_prepared_only(files: &dyn Files, dir: &Path, segment: &Segment) -> io::Result<bool> {
    let zeros = |bytes: Vec<u8>| bytes.iter().all(|byte| *byte == 0);
    let path = path(dir, segment.number);
    Ok(segment.first_sequence.is_none()
        && zeros(retry(|| files.read(&path, 0, RECORDS_AT))?)
        && zeros(retry(|| files.read(&path, 0, u64::MAX))?))
}

/// Reads the head of a segment. A damaged one is no error: its records can still be read.
pub(crate) fn read_head(files: &dyn Files, dir: &Path, number: u64) -> Result<Segment, StoreError> {
    let file = path(dir, number);
    let head = retry(|| files.read(&file, 0, RECORDS_AT)).map_err(StoreError::io("read", &file))?;
    let bytes = retry(|| files.len(&file)).map_err(StoreError::io("read the length of", &file))?;
    let mut segment = Segment { number, first_sequence: None, created: Time::MIN, bytes };
    for at in [0, HEAD_COPY_AT] {
        let copy = head.get(at..head.len().min(at + HEAD_COPY_AT)).unwrap_or_default();
        let Some(Piece::Record(record)) = Scanner::new(copy, 0, salt(number)).next() else { continue };
        record.check_version(&file)?;
        let mut reader = Reader::new(record.body);
        if let (Some(_), Some(created)) = (reader.varint(), reader.signed()) {
            segment.first_sequence = Some(record.sequence);
            segment.created = Time(created);
            break;
        }
    }
    Ok(segment)
}

/// For each segment the sequence from which on later ones hold the records: after a failed sync a group is written again, into a
/// new segment.
pub(crate) fn ends(segments: &[Segment]) -> Vec<u64> {
    let mut end = u64::MAX;
    let from_behind = segments.iter().rev().map(|segment| {
        let later = end;
        end = segment.first_sequence.map_or(end, |first| first.min(end));
        later
    });
    let mut ends: Vec<u64> = from_behind.collect();
    ends.reverse();
    ends
}

/// What was lost in a segment.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Lost {
    pub places: u64,
    pub bytes: u64,
    /// Of writes that a crash cut off, or of damage at the very end.
    pub torn_bytes: u64,
    /// Such a write stood before one that got there: both were on their way, and nobody was told of either.
    pub torn_within: bool,
}

/// Whether a write never reached all of a place: a sector, or what of the first one belongs to it, is zero as it was before. The
/// last one need not be looked at where the place ends within: what follows shares it, and got there. Records hold no such zeros: the
/// first byte of each is another, so many of them are packed into fewer, and what is left of a sector is filled up.
fn is_torn(bytes: &[u8], place: Range<usize>) -> bool {
    let sectors = place.start / SECTOR..place.end / SECTOR;
    let of_place = |sector: usize| bytes.get((sector * SECTOR).max(place.start)..(sector + 1) * SECTOR);
    sectors.into_iter().filter_map(of_place).any(|part| part.iter().all(|byte| *byte == 0))
}

/// Gives the good records of a segment in order.
pub(crate) fn records(
    file: &Path,
    bytes: &[u8],
    number: u64,
    mut give: impl FnMut(Record<'_>) -> Result<(), StoreError>,
) -> Result<Lost, StoreError> {
    let mut lost = Lost::default();
    // Places that may be damaged, with their bytes, and where the first of them begins.
    let (mut places, mut open, mut begin) = (0, 0, None);
    for piece in Scanner::new(bytes, RECORDS_AT as usize, salt(number)) {
        match piece {
            Piece::Record(record) => {
                record.check_version(file)?;
                let (places, open) = (std::mem::take(&mut places), std::mem::take(&mut open));
                if begin.take().is_some_and(|begin| is_torn(bytes, begin..record.at)) {
                    lost.torn_within = true;
                    lost.torn_bytes += open as u64;
                } else {
                    lost.places += places;
                    lost.bytes += open as u64;
                }
                give(record)?;
            }
            Piece::Damaged(place) => {
                places += 1;
                open += place.len();
                begin.get_or_insert(place.start);
            }
            Piece::Torn(place) => open += place.len(),
        }
    }
    // Damage that no good record follows is the end of what was written: a cut-off write, not a broken disk.
    lost.torn_bytes += open as u64;
    Ok(lost)
}
