//! Opening the history: the manifest, then the parts that it names. Files that it does not name are removed: they were never
//! published, or not needed any more. Where both copies of the manifest are gone, the parts say themselves which of them count.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64};
use std::sync::{Arc, Mutex, RwLock};

use super::manifest::{Listed, Loaded, Manifest};
use super::{History, HistoryDamage, State};
use crate::error::StoreError;
use crate::files::{Files, retry};
use crate::part::{Caches, Losses, OpenError, Part};

/// The number in a file's name.
fn number_of(name: &str) -> Option<u64> {
    let digits = name.strip_suffix(".part").filter(|digits| digits.len() == 16)?;
    u64::from_str_radix(digits, 16).ok()
}

pub(super) fn open(files: Arc<dyn Files>, dir: PathBuf, cache_bytes: usize) -> Result<History, StoreError> {
    make_dir(&*files, &dir)?;
    let names = retry(|| files.list(&dir)).map_err(StoreError::io("list", &dir))?;
    let mut found = Found { files: &*files, dir: &dir, caches: Arc::new(Caches::new(cache_bytes)), losses: Arc::default() };
    let mut damage = HistoryDamage::default();
    let numbers: BTreeSet<u64> = names.iter().filter_map(|name| number_of(name)).collect();
    let loaded = match Manifest::load(&*files, &dir)? {
        // A manifest is there before the first part counts: without one, parts are a manifest's that was lost.
        Loaded::Fresh if numbers.is_empty() => Loaded::Good(Manifest::default(), false),
        Loaded::Fresh => Loaded::Damaged,
        loaded => loaded,
    };
    let (mut manifest, parts) = match loaded {
        Loaded::Good(manifest, damaged) => {
            damage.manifest_copies = u64::from(damaged);
            let parts = found.listed(&manifest, &mut damage)?;
            remove_unknown(&*files, &dir, &names, &manifest);
            (manifest, parts)
        }
        Loaded::Fresh | Loaded::Damaged => {
            damage.manifest_copies = 2;
            found.all(&numbers, &mut damage)?
        }
    };
    if damage.parts + damage.manifest_copies > 0 {
        tracing::error!(?damage, dir = %dir.display(), "a part of the history is damaged and left out");
    }
    manifest.next_number = manifest.next_number.max(numbers.last().map_or(0, |last| last + 1));
    let state = State { manifest, parts, orphans: Vec::new() };
    let Found { caches, losses, .. } = found;
    Ok(History {
        caches,
        losses,
        view: RwLock::new(Arc::new(state.view())),
        work: Mutex::new(()),
        next_number: AtomicU64::new(state.manifest.next_number),
        next_published: AtomicU64::new(state.manifest.next_published),
        merges: AtomicU64::new(0),
        merged_samples: AtomicU64::new(0),
        stopped: AtomicBool::new(false),
        damage,
        state: Mutex::new(state),
        files,
        dir,
    })
}

fn make_dir(files: &dyn Files, dir: &Path) -> Result<(), StoreError> {
    let made = retry(|| files.create_dir(dir));
    // On a disk that is full or read-only it may be there all the same.
    match made {
        Err(error) if retry(|| files.list(dir)).is_err() => Err(StoreError::io("create", dir)(error)),
        _ => Ok(()),
    }
}

fn remove_unknown(files: &dyn Files, dir: &Path, names: &[String], manifest: &Manifest) {
    let known: BTreeSet<u64> = manifest.parts.iter().map(|part| part.number).collect();
    for name in names {
        let unknown = match number_of(name) {
            Some(number) => !known.contains(&number),
            None => name.ends_with(".tmp"),
        };
        if unknown && let Err(error) = retry(|| files.remove(&dir.join(name))) {
            tracing::warn!(name, %error, "remove a file that no manifest names");
        }
    }
}

struct Found<'a> {
    files: &'a dyn Files,
    dir: &'a Path,
    caches: Arc<Caches>,
    losses: Arc<Losses>,
}

impl Found<'_> {
    fn part(&mut self, number: u64) -> Result<Option<Arc<Part>>, StoreError> {
        match Part::open(self.files, self.dir, number, self.caches.clone(), self.losses.clone()) {
            Ok(part) => Ok(Some(Arc::new(part))),
            Err(OpenError::Store(error)) => Err(error),
            Err(error) => {
                tracing::error!(%error, "a part is left out");
                Ok(None)
            }
        }
    }

    /// Those that the manifest names. One that is damaged stays in the manifest: retention drops it with its day.
    fn listed(&mut self, manifest: &Manifest, damage: &mut HistoryDamage) -> Result<BTreeMap<u64, Arc<Part>>, StoreError> {
        let mut parts = BTreeMap::new();
        for listed in &manifest.parts {
            match self.part(listed.number)? {
                Some(part) => drop(parts.insert(listed.number, part)),
                None => {
                    damage.parts += 1;
                    damage.part_bytes += listed.bytes;
                }
            }
        }
        Ok(parts)
    }

    /// All that are there, but for those that another replaces; and the manifest that this makes.
    fn all(
        &mut self,
        numbers: &BTreeSet<u64>,
        damage: &mut HistoryDamage,
    ) -> Result<(Manifest, BTreeMap<u64, Arc<Part>>), StoreError> {
        let mut parts = BTreeMap::new();
        for number in numbers {
            match self.part(*number)? {
                Some(part) => drop(parts.insert(*number, part)),
                None => damage.parts += 1,
            }
        }
        let replaced: BTreeSet<u64> = parts.values().flat_map(|part: &Arc<Part>| part.summary().replaces.clone()).collect();
        parts.retain(|number, _| !replaced.contains(number));
        let mut manifest = Manifest::default();
        for part in parts.values() {
            let about = part.summary();
            manifest.next_published = manifest.next_published.max(about.published.1 + 1);
            manifest.id_end = manifest.id_end.max(part.reading().id_end());
            manifest.parts.push(Listed { number: part.number(), day: about.day, bytes: part.len() });
        }
        Ok((manifest, parts))
    }
}
