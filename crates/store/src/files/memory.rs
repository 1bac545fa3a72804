//! A file system in memory that is thrown away: what was removed is gone, and nothing is ever lost or cut off.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};

use super::{File, Files, Lock, ReadAt};

/// For a store that lives as long as a question. Clones share it.
#[derive(Clone, Default)]
pub struct InMemory {
    names: Arc<Mutex<BTreeMap<PathBuf, Bytes>>>,
    locks: Arc<Mutex<BTreeSet<PathBuf>>>,
}

/// A file: it lives as long as a name or a handle does.
#[derive(Clone, Default)]
struct Bytes(Arc<RwLock<Vec<u8>>>);

impl InMemory {
    fn names(&self) -> MutexGuard<'_, BTreeMap<PathBuf, Bytes>> {
        self.names.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn find(&self, path: &Path) -> io::Result<Bytes> {
        self.names().get(path).cloned().ok_or_else(|| io::ErrorKind::NotFound.into())
    }

    /// Bytes of all files that have a name.
    pub fn used(&self) -> u64 {
        self.names().values().map(Bytes::size).sum()
    }
}

impl Bytes {
    fn size(&self) -> u64 {
        self.0.read().unwrap_or_else(PoisonError::into_inner).len() as u64
    }

    fn resize(&self, change: impl FnOnce(usize) -> usize) {
        let mut bytes = self.0.write().unwrap_or_else(PoisonError::into_inner);
        let len = change(bytes.len());
        bytes.resize(len, 0);
        if bytes.capacity() > 2 * len {
            bytes.shrink_to_fit();
        }
    }
}

impl Files for InMemory {
    fn create_dir(&self, _dir: &Path) -> io::Result<()> {
        Ok(())
    }

    fn create(&self, path: &Path) -> io::Result<Box<dyn File>> {
        let bytes = Bytes::default();
        self.names().insert(path.to_owned(), bytes.clone());
        Ok(Box::new(bytes))
    }

    fn open(&self, path: &Path) -> io::Result<Box<dyn File>> {
        Ok(Box::new(self.find(path)?))
    }

    fn open_read(&self, path: &Path) -> io::Result<Box<dyn ReadAt>> {
        Ok(Box::new(self.find(path)?))
    }

    fn read(&self, path: &Path, offset: u64, len_max: u64) -> io::Result<Vec<u8>> {
        let file = self.find(path)?;
        let mut bytes = vec![0; file.size().saturating_sub(offset).min(len_max) as usize];
        let read = file.read_at(&mut bytes, offset)?;
        bytes.truncate(read);
        Ok(bytes)
    }

    fn list(&self, dir: &Path) -> io::Result<Vec<String>> {
        let names = self.names();
        let inside = names.keys().filter(|path| path.parent() == Some(dir));
        Ok(inside.filter_map(|path| path.file_name()?.to_str().map(str::to_owned)).collect())
    }

    fn len(&self, path: &Path) -> io::Result<u64> {
        Ok(self.find(path)?.size())
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        let mut names = self.names();
        let file = names.remove(from).ok_or(io::ErrorKind::NotFound)?;
        names.insert(to.to_owned(), file);
        Ok(())
    }

    fn link(&self, from: &Path, to: &Path) -> io::Result<()> {
        let mut names = self.names();
        if names.contains_key(to) {
            return Err(io::ErrorKind::AlreadyExists.into());
        }
        let file = names.get(from).cloned().ok_or(io::ErrorKind::NotFound)?;
        names.insert(to.to_owned(), file);
        Ok(())
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        self.names().remove(path).map(drop).ok_or_else(|| io::ErrorKind::NotFound.into())
    }

    fn sync_dir(&self, _dir: &Path) -> io::Result<()> {
        Ok(())
    }

    fn lock(&self, path: &Path) -> io::Result<Box<dyn Lock>> {
        if !self.locks.lock().unwrap_or_else(PoisonError::into_inner).insert(path.to_owned()) {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        Ok(Box::new(Locked { locks: self.locks.clone(), path: path.to_owned() }))
    }

    fn free(&self, _dir: &Path) -> io::Result<u64> {
        Ok(1 << 40)
    }
}

impl File for Bytes {
    fn write_at(&self, data: &[u8], offset: u64) -> io::Result<usize> {
        let mut bytes = self.0.write().unwrap_or_else(PoisonError::into_inner);
        let (from, to) = (offset as usize, offset as usize + data.len());
        if bytes.len() < to {
            bytes.resize(to, 0);
        }
        bytes[from..to].copy_from_slice(data);
        Ok(data.len())
    }

    fn preallocate(&self, len: u64) -> io::Result<()> {
        self.resize(|have| have.max(len as usize));
        Ok(())
    }

    fn truncate(&self, len: u64) -> io::Result<()> {
        self.resize(|_| len as usize);
        Ok(())
    }

    fn sync_data(&self) -> io::Result<()> {
        Ok(())
    }
}

impl ReadAt for Bytes {
    fn read_at(&self, into: &mut [u8], offset: u64) -> io::Result<usize> {
        let bytes = self.0.read().unwrap_or_else(PoisonError::into_inner);
        let rest = bytes.get(offset as usize..).unwrap_or_default();
        let len = rest.len().min(into.len());
        into[..len].copy_from_slice(&rest[..len]);
        Ok(len)
    }

    fn len(&self) -> io::Result<u64> {
        Ok(self.size())
    }
}

struct Locked {
    locks: Arc<Mutex<BTreeSet<PathBuf>>>,
    path: PathBuf,
}

impl Lock for Locked {}

impl Drop for Locked {
    fn drop(&mut self) {
        self.locks.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.path);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_removed_takes_no_room() {
        let files = InMemory::default();
        let path = Path::new("/d/a");
        let file = files.create(path).unwrap();
        file.preallocate(1_000).unwrap();
        assert_eq!(files.used(), 1_000);
        let weak = Arc::downgrade(&files.find(path).unwrap().0);
        files.remove(path).unwrap();
        assert!(files.used() == 0 && weak.upgrade().is_some(), "a handle still has it");
        drop(file);
        assert!(weak.upgrade().is_none());
    }
}
