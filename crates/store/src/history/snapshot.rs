//! A copy of the history as it is at one moment, in a folder of its own: opened like any other, or put in the place of one.

use std::io;
use std::path::Path;
use std::sync::PoisonError;

use super::History;
use super::manifest;
use crate::error::StoreError;
use crate::files::{Files, read_exact_at, retry, write_all_at};
use crate::part::{self, Part};

/// Bytes that are copied at a time.
const COPY_LEN: u64 = 1 << 20;

impl History {
    /// Puts the parts as they are now into the folder `to`, which must not hold a history yet: as further names of the same files
    /// where the disk can, else as copies. Durable when this returns; samples may come meanwhile.
    pub fn snapshot(&self, to: &Path) -> Result<(), StoreError> {
        // Nothing is merged or dropped meanwhile, so the files are there.
        let _work = self.work.lock().unwrap_or_else(PoisonError::into_inner);
        let files = &*self.files;
        retry(|| files.create_dir(to)).map_err(StoreError::io("create", to))?;
        let there = retry(|| files.list(to)).map_err(StoreError::io("list", to))?;
        if there.iter().any(|name| name == "manifest" || name.ends_with(".part")) {
            let taken = io::Error::new(io::ErrorKind::AlreadyExists, "a history is there: give an empty folder");
            return Err(StoreError::io("write the snapshot to", to)(taken));
        }
        let (listed, parts) = {
            let state = self.state();
            (state.manifest.clone(), state.parts.clone())
        };
        for part in parts.values() {
            let new = part::path(to, part.number());
            let copied = retry(|| files.link(part.path(), &new)).or_else(|_| copy(files, part, &new));
            copied.map_err(StoreError::io("write", &new))?;
        }
        // Those that can't be opened go along as they are, if they are there at all: whoever opens the copy is told of them as well.
        for part in listed.parts.iter().filter(|part| !parts.contains_key(&part.number)) {
            if let Err(error) = retry(|| files.link(&part::path(&self.dir, part.number), &part::path(to, part.number))) {
                tracing::warn!(part = part.number, %error, "a damaged part is not in the snapshot");
            }
        }
        retry(|| files.sync_dir(to)).map_err(StoreError::io("sync", to))?;
        listed.store(files, to)
    }

    /// Whether a folder holds a history.
    pub fn is_in(files: &dyn Files, dir: &Path) -> bool {
        retry(|| files.len(&manifest::path(dir))).is_ok()
    }
}

fn copy(files: &dyn Files, part: &Part, to: &Path) -> io::Result<()> {
    let from = retry(|| files.open_read(part.path()))?;
    let into = retry(|| files.create(to))?;
    let (mut at, len) = (0, from.len()?);
    let mut held = vec![0; COPY_LEN.min(len) as usize];
    while at < len {
        let held = &mut held[..COPY_LEN.min(len - at) as usize];
        read_exact_at(&*from, held, at)?;
        write_all_at(&*into, held, at)?;
        at += held.len() as u64;
    }
    retry(|| into.sync_data())
}
