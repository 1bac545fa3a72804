//! The one door to the disk: what the log, the checkpoint and the server's own reserve need of a file system.
//!
//! Three implementations: [`OnDisk`] is the real one, [`InMemory`] is for a store that is thrown away, and [`Simulated`] keeps
//! everything in memory, from a seed, and can cut the power, tear writes and fail any call. Nothing here retries, hides or logs an error: that is the caller's decision.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

mod disk;
mod memory;
mod simulated;

pub use disk::OnDisk;
pub use memory::InMemory;
pub use simulated::{Fault, Random, Simulated};

/// A file system, as far as the store needs one. Every call may fail with the error of the system call.
pub trait Files: Send + Sync + 'static {
    /// Makes a folder and its parents; no error where it exists.
    fn create_dir(&self, dir: &Path) -> io::Result<()>;
    /// Makes a file, empty; what stood there is gone. Its name is durable after [`sync_dir`](Self::sync_dir).
    fn create(&self, path: &Path) -> io::Result<Box<dyn File>>;
    /// Opens an existing file for writing.
    fn open(&self, path: &Path) -> io::Result<Box<dyn File>>;
    /// Opens an existing file for [`write_sectors`]: past the page cache, where the file system can.
    fn open_direct(&self, path: &Path) -> io::Result<Box<dyn File>> {
        self.open(path)
    }
    /// Opens an existing file for reading; it stays readable when its name is gone.
    fn open_read(&self, path: &Path) -> io::Result<Box<dyn ReadAt>>;
    /// At most `len_max` bytes from `offset` on; fewer at the file's end.
    fn read(&self, path: &Path, offset: u64, len_max: u64) -> io::Result<Vec<u8>>;
    /// Names of the files in a folder, sorted.
    fn list(&self, dir: &Path) -> io::Result<Vec<String>>;
    /// The length of a file in bytes.
    fn len(&self, path: &Path) -> io::Result<u64>;
    /// Renames a file, replacing what stands there.
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()>;
    /// Gives a file a second name on the same disk; what stood there must not exist.
    fn link(&self, from: &Path, to: &Path) -> io::Result<()>;
    /// Removes a file.
    fn remove(&self, path: &Path) -> io::Result<()>;
    /// Makes the names in a folder durable.
    fn sync_dir(&self, dir: &Path) -> io::Result<()>;
    /// Takes the exclusive lock on a file, made where it is missing; `WouldBlock` where another holds it.
    fn lock(&self, path: &Path) -> io::Result<Box<dyn Lock>>;
    /// Nobody reads the file soon: the memory that holds what is on the disk already may be used for something else.
    fn forget(&self, _path: &Path) {}
    /// Bytes that an ordinary user may still write there.
    fn free(&self, dir: &Path) -> io::Result<u64>;
}

/// An open file.
pub trait File: Send + Sync {
    /// Writes at a place; may write less than asked, then says how much.
    fn write_at(&self, data: &[u8], offset: u64) -> io::Result<usize>;
    /// Takes room on the disk for the first `len` bytes, which read as zeros where nothing was written.
    fn preallocate(&self, len: u64) -> io::Result<()>;
    /// Cuts the file.
    fn truncate(&self, len: u64) -> io::Result<()>;
    /// Returns when all data written so far is on the disk.
    fn sync_data(&self) -> io::Result<()>;
    /// Whether it goes past the page cache: what was written is with the disk then, though not durable.
    fn is_direct(&self) -> bool {
        false
    }
}

/// A file open for reading.
pub trait ReadAt: Send + Sync {
    /// Reads from a place; may read less than asked, 0 at the end.
    fn read_at(&self, into: &mut [u8], offset: u64) -> io::Result<usize>;
    /// The length in bytes.
    fn len(&self) -> io::Result<u64>;
    /// Whether nothing is in it.
    fn is_empty(&self) -> io::Result<bool> {
        Ok(self.len()? == 0)
    }
}

/// Held as long as it lives.
pub trait Lock: Send + Sync {}

/// Runs a call again as long as a signal interrupts it.
pub fn retry<T>(mut call: impl FnMut() -> io::Result<T>) -> io::Result<T> {
    loop {
        match call() {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            done => return done,
        }
    }
}

/// Writes all of `data`, in as many calls as it takes.
pub fn write_all_at(file: &dyn File, mut data: &[u8], mut offset: u64) -> io::Result<()> {
    while !data.is_empty() {
        let wrote = retry(|| file.write_at(data, offset))?;
        if wrote == 0 {
            return Err(io::ErrorKind::WriteZero.into());
        }
        data = data.get(wrote..).unwrap_or_default();
        offset += wrote as u64;
    }
    Ok(())
}

/// What a disk writes whole or not at all, in bytes.
pub const SECTOR: usize = 512;
/// What stands behind the data in the last sector of it. Not zero: so a sector of zeros was never written.
pub const FILL: u8 = 0x5a;

/// How many bytes the sectors of so much data are.
pub fn sectors(len: usize) -> u64 {
    len.next_multiple_of(SECTOR) as u64
}

/// Writes `data` from the beginning of a sector on, and fills its last one up with [`FILL`].
pub fn write_sectors(file: &dyn File, data: &[u8], offset: u64) -> io::Result<()> {
    debug_assert!(offset.is_multiple_of(SECTOR as u64), "at {offset}");
    // What goes past the page cache must begin at a sector in memory too.
    let len = sectors(data.len()) as usize;
    let mut memory: Vec<u8> = Vec::with_capacity(SECTOR + len);
    let from = memory.as_ptr().align_offset(SECTOR).min(SECTOR);
    memory.resize(from, FILL);
    memory.extend_from_slice(data);
    memory.resize(from + len, FILL);
    write_all_at(file, &memory[from..], offset)
}

/// Fills `into`; `UnexpectedEof` where the file ends before.
pub fn read_exact_at(file: &dyn ReadAt, mut into: &mut [u8], mut offset: u64) -> io::Result<()> {
    while !into.is_empty() {
        let read = retry(|| file.read_at(into, offset))?;
        if read == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        into = into.get_mut(read..).unwrap_or_default();
        offset += read as u64;
    }
    Ok(())
}

/// Writes a whole file so that after a crash either the old or the new one is there.
pub fn replace(files: &dyn Files, path: &Path, data: &[u8]) -> io::Result<()> {
    let aside = path.with_extension("tmp");
    let file = retry(|| files.create(&aside))?;
    write_all_at(&*file, data, 0)?;
    retry(|| file.sync_data())?;
    retry(|| files.rename(&aside, path))?;
    retry(|| files.sync_dir(path.parent().unwrap_or(Path::new("."))))
}

/// The lock on a data folder: a second process that asks for it is refused with `WouldBlock`.
pub fn lock(files: &dyn Files, dir: &Path) -> io::Result<Box<dyn Lock>> {
    retry(|| files.lock(&dir.join("lock")))
}

/// Whether the disk, the quota or the file size limit is at its end.
pub fn is_full(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded | io::ErrorKind::FileTooLarge)
}

/// Room kept on the disk for what must be written when the disk is full: released then, taken again when there is room.
pub struct Reserve {
    files: Arc<dyn Files>,
    path: PathBuf,
    len: u64,
}

impl Reserve {
    /// The usual size: 64 MiB.
    pub const LEN_DEFAULT: u64 = 64 << 20;

    /// A reserve of `len` bytes in the file `path`. Takes no room yet: see [`hold`](Self::hold).
    pub fn new(files: Arc<dyn Files>, path: PathBuf, len: u64) -> Reserve {
        Reserve { files, path, len }
    }

    /// Takes the room; nothing happens where it is held. On an error none is held.
    pub fn hold(&self) -> io::Result<()> {
        if self.is_held() {
            return Ok(());
        }
        let take = || {
            let file = retry(|| self.files.create(&self.path))?;
            retry(|| file.preallocate(self.len))?;
            retry(|| file.sync_data())?;
            retry(|| self.files.sync_dir(self.dir()))
        };
        take().inspect_err(|_| {
            let _ = self.files.remove(&self.path);
        })
    }

    /// Gives the room back to the disk; nothing happens where it is not held.
    pub fn release(&self) -> io::Result<()> {
        match retry(|| self.files.remove(&self.path)) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            done => done?,
        }
        retry(|| self.files.sync_dir(self.dir()))
    }

    /// Whether the whole room is held.
    pub fn is_held(&self) -> bool {
        retry(|| self.files.len(&self.path)).is_ok_and(|len| len >= self.len)
    }

    fn dir(&self) -> &Path {
        self.path.parent().unwrap_or(Path::new("."))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(test: impl Fn(Arc<dyn Files>, &Path)) {
        let dir = tempfile::tempdir().unwrap();
        test(Arc::new(OnDisk), dir.path());
        test(Arc::new(Simulated::new(1)), Path::new("/data"));
        test(Arc::new(InMemory::default()), Path::new("/data"));
    }

    #[test]
    fn all_implementations_behave_alike() {
        all(|files, dir| {
            files.create_dir(dir).unwrap();
            let file = files.create(&dir.join("a")).unwrap();
            file.preallocate(10).unwrap();
            write_all_at(&*file, b"xyz", 2).unwrap();
            file.sync_data().unwrap();
            assert_eq!(files.read(&dir.join("a"), 0, 100).unwrap(), b"\0\0xyz\0\0\0\0\0");
            assert_eq!(files.read(&dir.join("a"), 3, 2).unwrap(), b"yz");
            file.truncate(4).unwrap();
            assert_eq!(files.len(&dir.join("a")).unwrap(), 4);
            replace(&*files, &dir.join("b"), b"whole").unwrap();
            assert_eq!(files.list(dir).unwrap(), ["a", "b"]);
            files.rename(&dir.join("a"), &dir.join("b")).unwrap();
            assert_eq!(files.list(dir).unwrap(), ["b"]);
            assert_eq!(files.open(&dir.join("a")).err().unwrap().kind(), io::ErrorKind::NotFound);
            assert!(files.free(dir).unwrap() > 0);
            files.link(&dir.join("b"), &dir.join("c")).unwrap();
            assert_eq!(files.link(&dir.join("b"), &dir.join("c")).err().unwrap().kind(), io::ErrorKind::AlreadyExists);
            let open = files.open_read(&dir.join("b")).unwrap();
            files.remove(&dir.join("b")).unwrap();
            let mut read = [0; 2];
            read_exact_at(&*open, &mut read, 1).unwrap();
            assert_eq!((&read, open.len().unwrap()), (b"\0x", 4));
            assert_eq!(read_exact_at(&*open, &mut read, 3).err().unwrap().kind(), io::ErrorKind::UnexpectedEof);
            assert_eq!(files.read(&dir.join("c"), 0, 9).unwrap(), b"\0\0xy");
            files.remove(&dir.join("c")).unwrap();
            assert!(files.list(dir).unwrap().is_empty());
        });
    }

    #[test]
    fn whole_sectors_are_written_and_read_as_they_were() {
        all(|files, dir| {
            files.create_dir(dir).unwrap();
            let path = dir.join("a");
            files.create(&path).unwrap().preallocate(4096).unwrap();
            let file = files.open_direct(&path).unwrap();
            write_sectors(&*file, &[7; 600], 512).unwrap();
            write_sectors(&*file, &[8; 512], 2048).unwrap();
            file.sync_data().unwrap();
            let expected = [vec![0; 512], vec![7; 600], vec![FILL; 424], vec![0; 512], vec![8; 512], vec![0; 1536]].concat();
            assert!(files.read(&path, 0, u64::MAX).unwrap() == expected);
            // Beside handles of both kinds: neither overwrites what the other wrote.
            write_all_at(&*files.open(&path).unwrap(), b"x", 0).unwrap();
            write_sectors(&*file, &[9; 1], 1536).unwrap();
            let read = files.read(&path, 0, u64::MAX).unwrap();
            assert_eq!((read[0], read[600], &read[1536..1538]), (b'x', 7, &[9, FILL][..]));
        });
    }

    #[test]
    fn one_holds_the_lock() {
        all(|files, dir| {
            files.create_dir(dir).unwrap();
            let held = lock(&*files, dir).unwrap();
            assert_eq!(lock(&*files, dir).err().unwrap().kind(), io::ErrorKind::WouldBlock);
            drop(held);
            assert!(lock(&*files, dir).is_ok());
        });
    }

    #[test]
    fn a_reserve_is_held_released_and_held_again() {
        all(|files, dir| {
            files.create_dir(dir).unwrap();
            let reserve = Reserve::new(files.clone(), dir.join("reserve"), 1 << 16);
            assert!(!reserve.is_held());
            reserve.hold().unwrap();
            assert!(reserve.is_held());
            reserve.release().unwrap();
            reserve.release().unwrap();
            assert!(!reserve.is_held());
            reserve.hold().unwrap();
            assert!(reserve.is_held());
        });
    }
}
