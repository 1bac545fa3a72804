//! A file system in memory, from a seed, that loses what a real one may lose.
//!
//! A write is durable only after `sync_data`, a name only after `sync_dir`. A power cut forgets the rest, or keeps some of its
//! sectors of 512 bytes, whichever, each as it was after some of its writes. After a failed sync the pages count as clean, as Linux does: a second sync that
//! succeeds then says nothing about them. Every other handle that was open then hears of the failure once, with its next sync.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::{File, Files, Lock, ReadAt};

const SECTOR: u64 = super::SECTOR as u64;

/// What a call is made to answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// Input/output error.
    Eio,
    /// No room left.
    Enospc,
    /// Half of the data is written; for a call that writes nothing, the same as [`Fault::Eio`].
    Short,
    /// Interrupted by a signal.
    Eintr,
}

/// A small generator (splitmix64): the same seed, the same numbers, on every machine.
#[derive(Clone, Debug)]
pub struct Random(u64);

impl Random {
    /// From a seed.
    pub fn new(seed: u64) -> Random {
        Random(seed)
    }

    /// The next 64 bits.
    pub fn bits(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A number below `end`; 0 where `end` is 0.
    pub fn below(&mut self, end: u64) -> u64 {
        if end == 0 { 0 } else { self.bits() % end }
    }

    /// True in `percent` of 100 cases.
    pub fn chance(&mut self, percent: u64) -> bool {
        self.below(100) < percent
    }
}

/// The file system; clones share it.
#[derive(Clone)]
pub struct Simulated {
    shared: Arc<Shared>,
}

type Hook = Arc<dyn Fn() + Send + Sync>;

struct Shared {
    state: Mutex<State>,
    before_sync: Mutex<Option<Hook>>,
    before_write: Mutex<Option<Hook>>,
}

struct State {
    random: Random,
    /// Rises with every crash: handles of before are dead.
    epoch: u64,
    calls: u64,
    faults: BTreeMap<u64, Fault>,
    /// Every call from here on is answered with the fault.
    broken: Option<Fault>,
    /// From this call on the power is off: every call fails and does nothing.
    off_at: u64,
    capacity: Option<u64>,
    inodes: Vec<Inode>,
    names: BTreeMap<PathBuf, usize>,
    names_synced: BTreeMap<PathBuf, usize>,
    unsynced: Vec<NameChange>,
    dirs: BTreeSet<PathBuf>,
    locks: BTreeSet<PathBuf>,
}

#[derive(Default, Clone)]
struct Inode {
    seen: Vec<u8>,
    synced: Vec<u8>,
    pending: Vec<(u64, Vec<u8>)>,
    /// Failed syncs.
    errors: u64,
}

#[derive(Clone)]
struct NameChange {
    path: PathBuf,
    inode: Option<usize>,
}

impl Simulated {
    /// Empty, from a seed.
    pub fn new(seed: u64) -> Simulated {
        let state = State {
            random: Random::new(seed),
            epoch: 0,
            calls: 0,
            faults: BTreeMap::new(),
            broken: None,
            off_at: u64::MAX,
            capacity: None,
            inodes: Vec::new(),
            names: BTreeMap::new(),
            names_synced: BTreeMap::new(),
            unsynced: Vec::new(),
            dirs: BTreeSet::new(),
            locks: BTreeSet::new(),
        };
        Simulated {
            shared: Arc::new(Shared { state: Mutex::new(state), before_sync: Mutex::new(None), before_write: Mutex::new(None) }),
        }
    }

    /// How many calls were made so far.
    pub fn calls(&self) -> u64 {
        self.state().calls
    }

    /// The `nth` call from now on (1 = the next) fails once.
    pub fn fail_call(&self, nth: u64, fault: Fault) {
        let mut state = self.state();
        let at = state.calls + nth;
        state.faults.insert(at, fault);
    }

    /// After `calls` more calls the power is off: all later ones fail, until [`power_cut`](Self::power_cut) settles it.
    pub fn power_off_after(&self, calls: u64) {
        let mut state = self.state();
        state.off_at = state.calls + calls;
    }

    /// Every writing call fails from now on, until `None` is given.
    pub fn break_writes(&self, fault: Option<Fault>) {
        self.state().broken = fault;
    }

    /// Bytes that fit on this disk; `None` is no limit.
    pub fn set_capacity(&self, bytes: Option<u64>) {
        self.state().capacity = bytes;
    }

    /// Called before each `sync_data`, outside of any lock: a test makes the disk slow with it.
    pub fn before_sync(&self, hook: impl Fn() + Send + Sync + 'static) {
        *self.shared.before_sync.lock().unwrap_or_else(PoisonError::into_inner) = Some(Arc::new(hook));
    }

    /// The same before each `write_at`.
    pub fn before_write(&self, hook: impl Fn() + Send + Sync + 'static) {
        *self.shared.before_write.lock().unwrap_or_else(PoisonError::into_inner) = Some(Arc::new(hook));
    }

    /// The process dies: locks are free, handles are dead, all that was written stays.
    pub fn kill(&self) {
        let mut state = self.state();
        state.epoch += 1;
        state.off_at = u64::MAX;
        state.locks.clear();
    }

    /// The power goes: of what was not synced, some sectors and some names survive, in any order.
    pub fn power_cut(&self) {
        let mut state = self.state();
        let state = &mut *state;
        let mut inodes = std::mem::take(&mut state.inodes);
        for inode in &mut inodes {
            let percent = [0, 50, 90, 100][state.random.below(4) as usize];
            inode.settle(&mut state.random, percent);
            inode.seen = inode.synced.clone();
        }
        state.inodes = inodes;
        let kept = state.random.below(state.unsynced.len() as u64 + 1) as usize;
        for change in state.unsynced.drain(..).take(kept) {
            change.apply(&mut state.names_synced);
        }
        state.names = state.names_synced.clone();
        state.epoch += 1;
        state.off_at = u64::MAX;
        state.locks.clear();
    }

    /// The bytes of a file as a reader sees them; `None` where it is missing.
    pub fn contents(&self, path: &Path) -> Option<Vec<u8>> {
        let state = self.state();
        state.names.get(path).map(|&inode| state.inodes[inode].seen.clone())
    }

    /// Puts a file there, durable at once: to test cut and damaged files.
    pub fn put(&self, path: &Path, bytes: Vec<u8>) {
        let mut state = self.state();
        let inode = state.inodes.len();
        state.inodes.push(Inode { seen: bytes.clone(), synced: bytes, ..Inode::default() });
        state.names.insert(path.to_owned(), inode);
        state.names_synced.insert(path.to_owned(), inode);
        state.dirs.insert(path.parent().unwrap_or(Path::new("")).to_owned());
    }

    /// A disk of its own with the same files, all durable.
    pub fn copy(&self, seed: u64) -> Simulated {
        let state = self.state();
        let other = Simulated::new(seed);
        for (path, &inode) in &state.names {
            other.put(path, state.inodes[inode].seen.clone());
        }
        other
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.shared.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Counts a call and answers the fault meant for it. `Short` is left to the caller.
    fn call(&self, writes: bool) -> io::Result<(MutexGuard<'_, State>, bool)> {
        let mut state = self.state();
        state.calls += 1;
        let calls = state.calls;
        if calls > state.off_at {
            return Err(rustix::io::Errno::IO.into());
        }
        let fault = state.faults.remove(&calls).or(if writes { state.broken } else { None });
        match fault {
            None => Ok((state, false)),
            Some(Fault::Short) => Ok((state, true)),
            Some(Fault::Eio) => Err(rustix::io::Errno::IO.into()),
            Some(Fault::Enospc) => Err(rustix::io::Errno::NOSPC.into()),
            Some(Fault::Eintr) => Err(rustix::io::Errno::INTR.into()),
        }
    }

    fn whole(&self, writes: bool) -> io::Result<MutexGuard<'_, State>> {
        let (state, short) = self.call(writes)?;
        if short { Err(rustix::io::Errno::IO.into()) } else { Ok(state) }
    }

    fn handle(&self, state: &State, inode: usize) -> Box<dyn File> {
        Box::new(Handle { files: self.clone(), inode, epoch: state.epoch, errors_heard: state.inodes[inode].errors.into() })
    }
}

impl State {
    fn find(&self, path: &Path) -> io::Result<usize> {
        self.names.get(path).copied().ok_or_else(|| io::ErrorKind::NotFound.into())
    }

    fn change(&mut self, path: &Path, inode: Option<usize>) {
        let change = NameChange { path: path.to_owned(), inode };
        change.apply(&mut self.names);
        self.unsynced.push(change);
    }

    fn used(&self) -> u64 {
        self.names.values().map(|&inode| self.inodes[inode].seen.len() as u64).sum()
    }

    fn grow(&mut self, inode: usize, len: u64) -> io::Result<()> {
        let have = self.inodes[inode].seen.len() as u64;
        if len > have {
            if self.capacity.is_some_and(|capacity| self.used() + (len - have) > capacity) {
                return Err(rustix::io::Errno::NOSPC.into());
            }
            self.inodes[inode].seen.resize(len as usize, 0);
        }
        Ok(())
    }
}

impl NameChange {
    fn apply(&self, names: &mut BTreeMap<PathBuf, usize>) {
        match self.inode {
            Some(inode) => names.insert(self.path.clone(), inode),
            None => names.remove(&self.path),
        };
    }
}

impl Inode {
    /// Decides what of the pending writes reached the disk, sector by sector.
    fn settle(&mut self, random: &mut Random, percent: u64) {
        for (offset, data) in self.pending.drain(..) {
            let end = offset + data.len() as u64;
            let mut at = offset;
            while at < end {
                let stop = ((at / SECTOR + 1) * SECTOR).min(end);
                if random.chance(percent) {
                    let (from, to) = ((at - offset) as usize, (stop - offset) as usize);
                    place(&mut self.synced, at, &data[from..to]);
                }
                at = stop;
            }
        }
    }
}

fn place(bytes: &mut Vec<u8>, offset: u64, data: &[u8]) {
    let (from, to) = (offset as usize, offset as usize + data.len());
    if bytes.len() < to {
        bytes.resize(to, 0);
    }
    bytes[from..to].copy_from_slice(data);
}

impl Files for Simulated {
    fn create_dir(&self, dir: &Path) -> io::Result<()> {
        self.whole(true)?.dirs.insert(dir.to_owned());
        Ok(())
    }

    fn create(&self, path: &Path) -> io::Result<Box<dyn File>> {
        let mut state = self.whole(true)?;
        let inode = state.inodes.len();
        state.inodes.push(Inode::default());
        state.change(path, Some(inode));
        Ok(self.handle(&state, inode))
    }

    fn open(&self, path: &Path) -> io::Result<Box<dyn File>> {
        let state = self.whole(false)?;
        let inode = state.find(path)?;
        Ok(self.handle(&state, inode))
    }

    fn open_read(&self, path: &Path) -> io::Result<Box<dyn ReadAt>> {
        let state = self.whole(false)?;
        let inode = state.find(path)?;
        Ok(Box::new(Handle { files: self.clone(), inode, epoch: state.epoch, errors_heard: state.inodes[inode].errors.into() }))
    }

    fn read(&self, path: &Path, offset: u64, len_max: u64) -> io::Result<Vec<u8>> {
        let state = self.whole(false)?;
        let seen = &state.inodes[state.find(path)?].seen;
        let from = (offset as usize).min(seen.len());
        let to = offset.saturating_add(len_max).min(seen.len() as u64) as usize;
        Ok(seen[from..to.max(from)].to_vec())
    }

    fn list(&self, dir: &Path) -> io::Result<Vec<String>> {
        let state = self.whole(false)?;
        let inside = state.names.keys().filter(|path| path.parent() == Some(dir));
        Ok(inside.filter_map(|path| path.file_name()?.to_str().map(str::to_owned)).collect())
    }

    fn len(&self, path: &Path) -> io::Result<u64> {
        let state = self.whole(false)?;
        Ok(state.inodes[state.find(path)?].seen.len() as u64)
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        let mut state = self.whole(true)?;
        let inode = state.find(from)?;
        state.change(to, Some(inode));
        state.change(from, None);
        Ok(())
    }

    fn link(&self, from: &Path, to: &Path) -> io::Result<()> {
        let mut state = self.whole(true)?;
        let inode = state.find(from)?;
        if state.names.contains_key(to) {
            return Err(io::ErrorKind::AlreadyExists.into());
        }
        state.change(to, Some(inode));
        Ok(())
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        let mut state = self.whole(true)?;
        state.find(path)?;
        state.change(path, None);
        Ok(())
    }

    fn sync_dir(&self, dir: &Path) -> io::Result<()> {
        let mut state = self.whole(true)?;
        let state = &mut *state;
        let (here, rest): (Vec<_>, Vec<_>) = state.unsynced.drain(..).partition(|change| change.path.parent() == Some(dir));
        here.iter().for_each(|change| change.apply(&mut state.names_synced));
        state.unsynced = rest;
        Ok(())
    }

    fn lock(&self, path: &Path) -> io::Result<Box<dyn Lock>> {
        let mut state = self.whole(true)?;
        if !state.locks.insert(path.to_owned()) {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        Ok(Box::new(Locked { files: self.clone(), path: path.to_owned(), epoch: state.epoch }))
    }

    fn free(&self, _dir: &Path) -> io::Result<u64> {
        let state = self.whole(false)?;
        Ok(state.capacity.map_or(1 << 40, |capacity| capacity.saturating_sub(state.used())))
    }
}

fn run(hook: &Mutex<Option<Hook>>) {
    let hook = hook.lock().unwrap_or_else(PoisonError::into_inner).clone();
    if let Some(hook) = hook {
        hook();
    }
}

struct Handle {
    files: Simulated,
    inode: usize,
    epoch: u64,
    /// Failed syncs of the file that this handle knows of.
    errors_heard: AtomicU64,
}

impl Handle {
    fn alive(&self, state: &State) -> io::Result<()> {
        if state.epoch == self.epoch { Ok(()) } else { Err(rustix::io::Errno::IO.into()) }
    }
}

impl File for Handle {
    fn write_at(&self, data: &[u8], offset: u64) -> io::Result<usize> {
        run(&self.files.shared.before_write);
        let (mut state, short) = self.files.call(true)?;
        self.alive(&state)?;
        let data = if short && data.len() > 1 { &data[..data.len() / 2] } else { data };
        state.grow(self.inode, offset + data.len() as u64)?;
        let inode = &mut state.inodes[self.inode];
        place(&mut inode.seen, offset, data);
        // The disk gets whole sectors, with what was written to them before.
        let from = offset / SECTOR * SECTOR;
        let to = (offset + data.len() as u64).next_multiple_of(SECTOR).min(inode.seen.len() as u64);
        inode.pending.push((from, inode.seen[from as usize..to as usize].to_vec()));
        Ok(data.len())
    }

    fn preallocate(&self, len: u64) -> io::Result<()> {
        let mut state = self.files.whole(true)?;
        self.alive(&state)?;
        state.grow(self.inode, len)
    }

    fn truncate(&self, len: u64) -> io::Result<()> {
        let mut state = self.files.whole(true)?;
        self.alive(&state)?;
        let inode = &mut state.inodes[self.inode];
        inode.seen.resize(len as usize, 0);
        // Reaches the disk with the next sync; what was written beyond it is gone at once, which is the worse case.
        inode.pending.retain(|(offset, data)| offset + data.len() as u64 <= len);
        Ok(())
    }

    fn sync_data(&self) -> io::Result<()> {
        run(&self.files.shared.before_sync);
        let done = self.files.whole(true);
        let failed = done.is_err();
        let interrupted = done.as_ref().is_err_and(|error| error.kind() == io::ErrorKind::Interrupted);
        let answer = done.map(drop);
        let mut state = self.files.state();
        self.alive(&state)?;
        let state = &mut *state;
        let inode = &mut state.inodes[self.inode];
        if !failed {
            inode.settle(&mut state.random, 100);
            inode.synced.resize(inode.seen.len(), 0);
        } else if !interrupted {
            inode.settle(&mut state.random, 50);
            inode.errors += 1;
        }
        let unheard = !interrupted && self.errors_heard.swap(inode.errors, Relaxed) != inode.errors;
        answer.and(if unheard { Err(rustix::io::Errno::IO.into()) } else { Ok(()) })
    }
}

impl ReadAt for Handle {
    fn read_at(&self, into: &mut [u8], offset: u64) -> io::Result<usize> {
        let state = self.files.whole(false)?;
        self.alive(&state)?;
        let seen = state.inodes[self.inode].seen.get(offset as usize..).unwrap_or_default();
        let len = seen.len().min(into.len());
        into[..len].copy_from_slice(&seen[..len]);
        Ok(len)
    }

    fn len(&self) -> io::Result<u64> {
        let state = self.files.whole(false)?;
        self.alive(&state)?;
        Ok(state.inodes[self.inode].seen.len() as u64)
    }
}

struct Locked {
    files: Simulated,
    path: PathBuf,
    epoch: u64,
}

impl Lock for Locked {}

impl Drop for Locked {
    fn drop(&mut self) {
        let mut state = self.files.state();
        if state.epoch == self.epoch {
            state.locks.remove(&self.path);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_power_cut_keeps_what_was_synced_and_only_sectors_of_the_rest() {
        let mut torn = false;
        for seed in 0..50 {
            let files = Simulated::new(seed);
            let path = Path::new("/d/a");
            let file = files.create(path).unwrap();
            file.write_at(&[1; 1024], 0).unwrap();
            file.sync_data().unwrap();
            files.sync_dir(Path::new("/d")).unwrap();
            file.write_at(&[2; 4096], 0).unwrap();
            files.power_cut();
            assert!(file.write_at(b"x", 0).is_err(), "the handle is dead");
            let left = files.contents(path).unwrap();
            assert!(left.len() >= 1024);
            for sector in left.chunks(512) {
                assert!(sector.iter().all(|byte| *byte == sector[0]), "a sector is whole");
            }
            torn |= left[0] != left[512];
        }
        assert!(torn);
    }

    #[test]
    fn a_name_that_was_not_synced_may_be_gone() {
        let gone = (0..50).filter(|seed| {
            let files = Simulated::new(*seed);
            files.create(Path::new("/d/a")).unwrap().sync_data().unwrap();
            files.power_cut();
            files.contents(Path::new("/d/a")).is_none()
        });
        assert!((1..50).contains(&gone.count()));
    }

    #[test]
    fn each_open_handle_hears_of_a_failed_sync_once() {
        let files = Simulated::new(1);
        let path = Path::new("/d/a");
        let file = files.create(path).unwrap();
        let other = files.open(path).unwrap();
        file.write_at(&[7; 512], 0).unwrap();
        files.fail_call(1, Fault::Eio);
        assert!(file.sync_data().is_err());
        let later = files.open(path).unwrap();
        assert!(file.sync_data().is_ok() && later.sync_data().is_ok());
        assert!(other.sync_data().is_err());
        assert!(other.sync_data().is_ok());
    }

    #[test]
    fn after_a_failed_sync_the_next_one_promises_nothing() {
        let lost = (0..50).filter(|seed| {
            let files = Simulated::new(*seed);
            let file = files.create(Path::new("/d/a")).unwrap();
            files.sync_dir(Path::new("/d")).unwrap();
            file.write_at(&[7; 512], 0).unwrap();
            files.fail_call(1, Fault::Eio);
            assert!(file.sync_data().is_err());
            file.sync_data().unwrap();
            files.power_cut();
            files.contents(Path::new("/d/a")).unwrap() == [0; 512]
        });
        assert!((1..50).contains(&lost.count()));
    }
}
