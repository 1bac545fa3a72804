//! The real file system, by std and rustix.

use std::fs;
use std::io::{self, Read, Seek, SeekFrom};
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::Path;

use rustix::fs::{AtFlags, OFlags, StatxFlags};

use super::{File, Files, Lock, ReadAt, SECTOR};

/// The file system of this machine. Files are made with mode 0600: samples can tell secrets.
#[derive(Clone, Copy, Debug, Default)]
pub struct OnDisk;

impl Files for OnDisk {
    fn create_dir(&self, dir: &Path) -> io::Result<()> {
        fs::create_dir_all(dir)
    }

    fn create(&self, path: &Path) -> io::Result<Box<dyn File>> {
        let file = fs::OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(path)?;
        Ok(Box::new(Open::from(file)))
    }

    fn open(&self, path: &Path) -> io::Result<Box<dyn File>> {
        Ok(Box::new(Open::from(fs::OpenOptions::new().write(true).open(path)?)))
    }

    fn open_direct(&self, path: &Path) -> io::Result<Box<dyn File>> {
        let past_the_cache = i32::try_from(OFlags::DIRECT.bits()).unwrap_or(0);
        match fs::OpenOptions::new().write(true).custom_flags(past_the_cache).open(path) {
            Ok(file) if takes_sectors(&file) => Ok(Box::new(Open { file, direct: true })),
            _ => self.open(path),
        }
    }

    fn open_read(&self, path: &Path) -> io::Result<Box<dyn ReadAt>> {
        Ok(Box::new(Open::from(fs::File::open(path)?)))
    }

    fn read(&self, path: &Path, offset: u64, len_max: u64) -> io::Result<Vec<u8>> {
        let mut file = fs::File::open(path)?;
        let len = file.metadata()?.len().saturating_sub(offset).min(len_max);
        let mut bytes = Vec::with_capacity(usize::try_from(len).unwrap_or(0));
        file.seek(SeekFrom::Start(offset))?;
        file.take(len_max).read_to_end(&mut bytes)?;
        Ok(bytes)
    }

    fn list(&self, dir: &Path) -> io::Result<Vec<String>> {
        let mut names = Vec::new();
        for entry in fs::read_dir(dir)? {
            let entry = entry?;
            if entry.file_type()?.is_file()
                && let Ok(name) = entry.file_name().into_string()
            {
                names.push(name);
            }
        }
        names.sort_unstable();
        Ok(names)
    }

    fn len(&self, path: &Path) -> io::Result<u64> {
        Ok(fs::metadata(path)?.len())
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        fs::rename(from, to)
    }

    fn link(&self, from: &Path, to: &Path) -> io::Result<()> {
        fs::hard_link(from, to)
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        fs::remove_file(path)
    }

    fn sync_dir(&self, dir: &Path) -> io::Result<()> {
        fs::File::open(dir)?.sync_all()
    }

    fn lock(&self, path: &Path) -> io::Result<Box<dyn Lock>> {
        let file = fs::OpenOptions::new().write(true).create(true).truncate(false).mode(0o600).open(path)?;
        match file.try_lock() {
            Ok(()) => Ok(Box::new(Locked { _file: file })),
            Err(fs::TryLockError::WouldBlock) => Err(io::ErrorKind::WouldBlock.into()),
            Err(fs::TryLockError::Error(error)) => Err(error),
        }
    }

    fn forget(&self, path: &Path) {
        let Ok(file) = fs::File::open(path) else { return };
        // A file system that can't keeps it in memory as long as the kernel likes.
        let _ = rustix::fs::fadvise(&file, 0, None, rustix::fs::Advice::DontNeed);
    }

    fn free(&self, dir: &Path) -> io::Result<u64> {
        let room = rustix::fs::statvfs(dir)?;
        Ok(room.f_bavail.saturating_mul(room.f_frsize))
    }
}

/// Whether single sectors can be written past the page cache, as far as the kernel says (from 6.1 on): not on disks whose sectors are
/// larger, and not on file systems that do it by way of memory.
fn takes_sectors(file: &fs::File) -> bool {
    let told = rustix::fs::statx(file, "", AtFlags::EMPTY_PATH, StatxFlags::DIOALIGN);
    told.is_ok_and(|told| {
        let fits = |align: u32| (1..=SECTOR as u32).contains(&align);
        told.stx_mask & StatxFlags::DIOALIGN.bits() != 0 && fits(told.stx_dio_offset_align) && fits(told.stx_dio_mem_align)
    })
}

struct Open {
    file: fs::File,
    /// Past the page cache.
    direct: bool,
}

impl From<fs::File> for Open {
    fn from(file: fs::File) -> Open {
        Open { file, direct: false }
    }
}

impl File for Open {
    fn write_at(&self, data: &[u8], offset: u64) -> io::Result<usize> {
        self.file.write_at(data, offset)
    }

    fn preallocate(&self, len: u64) -> io::Result<()> {
        match rustix::fs::fallocate(&self.file, rustix::fs::FallocateFlags::empty(), 0, len) {
            // A file system without fallocate (NFS, ZFS): the room is then not promised, and a later write may say full.
            Err(rustix::io::Errno::OPNOTSUPP) => self.file.set_len(len),
            done => Ok(done?),
        }
    }

    fn truncate(&self, len: u64) -> io::Result<()> {
        self.file.set_len(len)
    }

    fn sync_data(&self) -> io::Result<()> {
        self.file.sync_data()
    }

    fn is_direct(&self) -> bool {
        self.direct
    }
}

impl ReadAt for Open {
    fn read_at(&self, into: &mut [u8], offset: u64) -> io::Result<usize> {
        self.file.read_at(into, offset)
    }

    fn len(&self) -> io::Result<u64> {
        Ok(self.file.metadata()?.len())
    }
}

struct Locked {
    _file: fs::File,
}

impl Lock for Locked {}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::files::write_all_at;

    #[test]
    fn what_is_forgotten_is_still_there() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file");
        let file = OnDisk.create(&path).unwrap();
        write_all_at(&*file, &[7; 100_000], 0).unwrap();
        file.sync_data().unwrap();
        write_all_at(&*file, &[8; 50_000], 25_000).unwrap();
        OnDisk.forget(&path);
        let read = OnDisk.read(&path, 0, u64::MAX).unwrap();
        assert!(read == [vec![7; 25_000], vec![8; 50_000], vec![7; 25_000]].concat());
        OnDisk.forget(&folder.path().join("none"));
    }
}
