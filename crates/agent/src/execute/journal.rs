//! The agent's own memory of steps: which were started, what came of them, and the highest epoch that was seen.
//!
//! A file that only grows, synced before a step begins and before its answer leaves. Each record is framed by its length
//! and its crc32; what a power cut left half at the end is cut off. When it has grown large it is written anew.

use std::collections::{HashMap, VecDeque};
use std::fs::{File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use model::plan::{StepAnswer, StepRequest};
use model::{EffectKey, Epoch, Time};
use serde::{Deserialize, Serialize};

use crate::folder::{FolderError, failed, sync_parent};

/// First bytes of the file: what it is, and its version.
const MAGIC: &[u8; 8] = b"FBSTEP\0\x01";
/// Longest record; a step request is a few hundred bytes.
const RECORD_LEN_MAX: usize = 256 * 1024;
/// Written anew beyond this size.
const FILE_LEN_MAX: u64 = 4 * 1024 * 1024;
/// So many answered steps are remembered at least.
const ANSWERED_KEPT: usize = 1_000;

#[derive(Serialize, Deserialize)]
#[serde(tag = "is", rename_all = "snake_case")]
enum Record {
    Epoch { epoch: Epoch },
    Started { entry: Box<Entry> },
    Answered { answer: Box<StepAnswer> },
    Told { key: EffectKey },
}

/// A step that was started.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Entry {
    /// What was asked.
    pub request: StepRequest,
    /// When it was started, on the server's clock.
    pub started_at: Time,
    /// What came of it; none while it runs, or after an end in the middle.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub answer: Option<StepAnswer>,
    /// Whether the server has the answer.
    #[serde(default)]
    pub told: bool,
}

/// The agent's memory of steps.
#[derive(Debug)]
pub struct Journal {
    path: PathBuf,
    file: File,
    len: u64,
    epoch: Epoch,
    entries: HashMap<EffectKey, Entry>,
    order: VecDeque<EffectKey>,
}

impl Journal {
    /// Opens the file, makes it if it is not there, and cuts off what is half at its end.
    pub fn open(path: &Path) -> Result<Journal, FolderError> {
        let mut options = OpenOptions::new();
        let file = options.create(true).truncate(false).read(true).write(true).mode(0o600).open(path);
        let mut file = file.map_err(failed("open the journal", path))?;
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes).map_err(failed("read the journal", path))?;
        let mut journal =
            Journal { path: path.to_owned(), file, len: 0, epoch: Epoch(0), entries: HashMap::new(), order: VecDeque::new() };
        if bytes.len() < MAGIC.len() {
            journal.begin().map_err(failed("begin the journal", path))?;
            sync_parent(path)?;
            return Ok(journal);
        }
        if bytes[..MAGIC.len()] != *MAGIC {
            let why = "it is no journal of this version".to_owned();
            return Err(FolderError::Content { path: path.to_owned(), why });
        }
        let mut place = MAGIC.len();
        while let Some((record, next)) = read_record(&bytes, place) {
            journal.apply(record);
            place = next;
        }
        if place < bytes.len() {
            tracing::warn!(bytes = bytes.len() - place, "the journal's end was half written and is cut off");
        }
        journal.len = place as u64;
        journal.cut().map_err(failed("cut the journal", path))?;
        Ok(journal)
    }

    fn begin(&mut self) -> io::Result<()> {
        self.file.set_len(0)?;
        self.file.seek(SeekFrom::Start(0))?;
        self.file.write_all(MAGIC)?;
        self.len = MAGIC.len() as u64;
        self.file.sync_all()
    }

    /// Makes the file as long as what is known to be whole.
    fn cut(&mut self) -> io::Result<()> {
        self.file.set_len(self.len)?;
        self.file.seek(SeekFrom::Start(self.len))?;
        self.file.sync_all()
    }

    fn apply(&mut self, record: Record) {
        match record {
            Record::Epoch { epoch } => self.epoch = self.epoch.max(epoch),
            Record::Started { entry } => {
                let key = entry.request.key.clone();
                if self.entries.insert(key.clone(), *entry).is_none() {
                    self.order.push_back(key);
                }
            }
            Record::Answered { answer } => {
                if let Some(entry) = self.entries.get_mut(&answer.key) {
                    entry.answer = Some(*answer);
                }
            }
            Record::Told { key } => {
                if let Some(entry) = self.entries.get_mut(&key) {
                    entry.told = true;
                }
            }
        }
    }

    fn write(&mut self, record: Record, sync: bool) -> Result<(), FolderError> {
        let path = self.path.clone();
        let frame = frame_of(&record).map_err(failed("write the journal", &path))?;
        let mut written = self.file.write_all(&frame);
        if sync && written.is_ok() {
            written = self.file.sync_data();
        }
        if let Err(error) = written {
            // Whatever part of it arrived must not stand before the next record.
            let _ = self.cut();
            return Err(failed("write the journal", &path)(error));
        }
        self.len += frame.len() as u64;
        self.apply(record);
        if self.len > FILE_LEN_MAX { self.write_anew() } else { Ok(()) }
    }

    /// Keeps what is open and the newest of what was answered.
    fn write_anew(&mut self) -> Result<(), FolderError> {
        let mut spare = self.order.len().saturating_sub(ANSWERED_KEPT);
        let entries = &mut self.entries;
        self.order.retain(|key| {
            let drop = spare > 0 && entries.get(key).is_none_or(|entry| entry.answer.is_some());
            if drop {
                spare -= 1;
                entries.remove(key);
            }
            !drop
        });
        let path = self.path.clone();
        let writing = failed("write the journal anew", &path);
        let mut bytes = MAGIC.to_vec();
        let mut all = vec![Record::Epoch { epoch: self.epoch }];
        all.extend(
            self.order.iter().filter_map(|key| entries.get(key)).map(|entry| Record::Started { entry: entry.clone().into() }),
        );
        for record in all {
            match frame_of(&record) {
                Ok(frame) => bytes.extend_from_slice(&frame),
                Err(error) => return Err(writing(error)),
            }
        }
        crate::folder::write_atomic(&path, &bytes)?;
        self.len = bytes.len() as u64;
        let reopened = OpenOptions::new().read(true).write(true).open(&path);
        self.file = reopened.map_err(failed("open the journal", &path))?;
        self.cut().map_err(failed("open the journal", &path))
    }

    /// The highest epoch that was seen.
    pub fn epoch(&self) -> Epoch {
        self.epoch
    }

    /// Remembers a higher epoch; on disk when this returns.
    pub fn see_epoch(&mut self, epoch: Epoch) -> Result<(), FolderError> {
        if epoch > self.epoch { self.write(Record::Epoch { epoch }, true) } else { Ok(()) }
    }

    /// A step begins; on disk when this returns. What was known of its key before stays.
    pub fn start(&mut self, request: StepRequest, started_at: Time) -> Result<(), FolderError> {
        if self.entries.contains_key(&request.key) {
            return Ok(());
        }
        self.write(Record::Started { entry: Box::new(Entry { request, started_at, answer: None, told: false }) }, true)
    }

    /// A step has its answer; on disk when this returns.
    pub fn answer(&mut self, answer: StepAnswer) -> Result<(), FolderError> {
        self.write(Record::Answered { answer: answer.into() }, true)
    }

    /// The server has an answer. Not synced: told twice is told the same.
    pub fn told(&mut self, key: &EffectKey) -> Result<(), FolderError> {
        if self.entries.get(key).is_some_and(|entry| !entry.told) {
            self.write(Record::Told { key: key.clone() }, false)?;
        }
        Ok(())
    }

    /// A step by its key.
    pub fn get(&self, key: &EffectKey) -> Option<&Entry> {
        self.entries.get(key)
    }

    /// All that are remembered, oldest first.
    pub fn entries(&self) -> impl Iterator<Item = &Entry> {
        self.order.iter().filter_map(|key| self.entries.get(key))
    }
}

fn frame_of(record: &Record) -> io::Result<Vec<u8>> {
    let json = serde_json::to_vec(record)?;
    let mut frame = Vec::with_capacity(json.len() + 8);
    frame.extend_from_slice(&(json.len() as u32).to_le_bytes());
    frame.extend_from_slice(&crc32fast::hash(&json).to_le_bytes());
    frame.extend_from_slice(&json);
    Ok(frame)
}

fn read_record(bytes: &[u8], place: usize) -> Option<(Record, usize)> {
    let head = bytes.get(place..place + 8)?;
    let len = u32::from_le_bytes(head[..4].try_into().ok()?) as usize;
    let crc = u32::from_le_bytes(head[4..].try_into().ok()?);
    if len > RECORD_LEN_MAX {
        return None;
    }
    let json = bytes.get(place + 8..place + 8 + len)?;
    if crc32fast::hash(json) != crc {
        return None;
    }
    Some((serde_json::from_slice(json).ok()?, place + 8 + len))
}

#[cfg(test)]
mod tests {
    use super::*;
    use model::plan::{Action, StepOutcome};
    use model::{HostName, OrderNumber, ServiceName};

    fn request(key: &str) -> StepRequest {
        StepRequest {
            key: key.into(),
            epoch: Epoch(3),
            order: OrderNumber::from("20261122-101500-7K"),
            host: HostName::new("web-1").unwrap(),
            action: Action::Stop { service: ServiceName::new("shop").unwrap() },
            undo: false,
            time_limit_ms: 1_000,
            expires_at: Time::MAX,
        }
    }

    fn answer(key: &str) -> StepAnswer {
        let request = request(key);
        let outcome = StepOutcome::Done { note: "x".repeat(1_000) };
        StepAnswer { key: request.key, order: request.order, host: request.host, outcome, took_ms: 1 }
    }

    #[test]
    fn cut_at_every_byte_it_opens_with_all_that_was_whole() {
        let place = tempfile::tempdir().unwrap();
        let path = place.path().join("journal.log");
        let mut journal = Journal::open(&path).unwrap();
        journal.see_epoch(Epoch(7)).unwrap();
        journal.start(request("a"), Time(1)).unwrap();
        let two = journal.len as usize;
        journal.answer(answer("a")).unwrap();
        drop(journal);
        let whole = std::fs::read(&path).unwrap();
        for cut in 0..=whole.len() {
            std::fs::write(&path, &whole[..cut]).unwrap();
            let mut journal = Journal::open(&path).unwrap();
            assert_eq!(journal.get(&"a".into()).is_some(), cut >= two, "{cut}");
            assert_eq!(journal.get(&"a".into()).is_some_and(|entry| entry.answer.is_some()), cut == whole.len(), "{cut}");
            journal.start(request("b"), Time(2)).unwrap();
            drop(journal);
            assert!(Journal::open(&path).unwrap().get(&"b".into()).is_some(), "{cut}");
        }
        let mut flipped = whole.clone();
        flipped[two + 20] ^= 1;
        std::fs::write(&path, &flipped).unwrap();
        assert!(Journal::open(&path).unwrap().get(&"a".into()).unwrap().answer.is_none());
        std::fs::write(&path, b"something else entirely").unwrap();
        assert!(matches!(Journal::open(&path), Err(FolderError::Content { .. })));
    }

    #[test]
    fn it_stays_small_and_keeps_what_is_open() {
        let place = tempfile::tempdir().unwrap();
        let path = place.path().join("journal.log");
        let mut journal = Journal::open(&path).unwrap();
        journal.see_epoch(Epoch(9)).unwrap();
        journal.start(request("open"), Time(1)).unwrap();
        journal.start(request("told"), Time(1)).unwrap();
        for number in 0..2_500 {
            let key = format!("k{number}");
            journal
                .write(
                    Record::Started {
                        entry: Box::new(Entry { request: request(&key), started_at: Time(2), answer: None, told: false }),
                    },
                    false,
                )
                .unwrap();
            journal.write(Record::Answered { answer: answer(&key).into() }, false).unwrap();
        }
        let before = journal.len;
        journal.write_anew().unwrap();
        assert!(journal.len < before && std::fs::metadata(&path).unwrap().len() == journal.len);
        journal.answer(answer("told")).unwrap();
        journal.told(&"told".into()).unwrap();
        drop(journal);
        let journal = Journal::open(&path).unwrap();
        assert_eq!(journal.epoch(), Epoch(9));
        assert!(journal.get(&"open".into()).is_some() && journal.get(&"k0".into()).is_none());
        assert!(journal.get(&"k2499".into()).unwrap().answer.is_some() && journal.get(&"told".into()).unwrap().told);
        assert!(journal.entries().count() <= ANSWERED_KEPT + 2);
    }
}
