//! What was read and decoded lately, within a budget of bytes; shared by all parts of a store.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};

use ahash::AHashMap;

use super::block::Block;
use super::tables::{BlocksPage, IdsPage, PairsPage, SeriesPage};

const SHARDS: usize = 16;

/// Of which part, and which page of its index or the block at which place.
pub(super) type Key = (u64, u64);

/// A decoded page of the index.
#[derive(Clone)]
pub(super) enum Page {
    Blocks(Arc<BlocksPage>),
    Series(Arc<SeriesPage>),
    Ids(Arc<IdsPage>),
    Pairs(Arc<PairsPage>),
    Lists(Arc<Vec<u8>>),
}

impl Page {
    fn bytes(&self) -> usize {
        match self {
            Page::Blocks(page) => size_of_val(page.0.as_slice()),
            Page::Series(page) => page.bytes(),
            Page::Ids(page) => page.ids.len() * 12,
            Page::Pairs(page) => page.bytes(),
            Page::Lists(page) => page.len(),
        }
    }
}

/// The caches of a store's parts.
pub struct Caches {
    pub(super) pages: Cache<Page>,
    pub(super) blocks: Cache<Arc<Block>>,
}

impl Caches {
    /// With a budget in bytes for decoded pages of indexes; blocks of samples get a quarter more.
    pub fn new(bytes: usize) -> Caches {
        Caches { pages: Cache::new(bytes), blocks: Cache::new(bytes / 4) }
    }

    pub(super) fn put_page(&self, key: Key, page: &Page) {
        self.pages.put(key, page.clone(), page.bytes() + 64);
    }

    pub(super) fn put_block(&self, key: Key, block: &Arc<Block>) {
        self.blocks.put(key, block.clone(), block.bytes());
    }
}

/// A cache with second chances: what was used since the hand came by stays.
pub(super) struct Cache<T> {
    shards: [Mutex<Shard<T>>; SHARDS],
    /// Per shard.
    budget: usize,
}

struct Shard<T> {
    held: AHashMap<Key, Slot<T>>,
    hand: VecDeque<Key>,
    bytes: usize,
}

struct Slot<T> {
    value: T,
    bytes: usize,
    used: bool,
}

impl<T: Clone> Cache<T> {
    fn new(budget: usize) -> Cache<T> {
        let shard = || Mutex::new(Shard { held: AHashMap::new(), hand: VecDeque::new(), bytes: 0 });
        Cache { shards: std::array::from_fn(|_| shard()), budget: budget / SHARDS }
    }

    fn shard(&self, key: Key) -> &Mutex<Shard<T>> {
        &self.shards[(key.0 as usize).wrapping_mul(31).wrapping_add(key.1 as usize) % SHARDS]
    }

    pub fn get(&self, key: Key) -> Option<T> {
        let mut shard = self.shard(key).lock().unwrap_or_else(PoisonError::into_inner);
        let slot = shard.held.get_mut(&key)?;
        slot.used = true;
        Some(slot.value.clone())
    }

    fn put(&self, key: Key, value: T, bytes: usize) {
        let mut shard = self.shard(key).lock().unwrap_or_else(PoisonError::into_inner);
        let shard = &mut *shard;
        if let Some(before) = shard.held.insert(key, Slot { value, bytes, used: false }) {
            shard.bytes -= before.bytes;
        } else {
            shard.hand.push_back(key);
        }
        shard.bytes += bytes;
        while shard.bytes > self.budget {
            let Some(oldest) = shard.hand.pop_front() else { break };
            let Some(slot) = shard.held.get_mut(&oldest) else { continue };
            if std::mem::take(&mut slot.used) {
                shard.hand.push_back(oldest);
            } else if let Some(slot) = shard.held.remove(&oldest) {
                shard.bytes -= slot.bytes;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stays_within_its_budget_and_keeps_what_is_used() {
        let cache = Cache::new(SHARDS * 100);
        cache.put((1, 0), 7, 10);
        for number in 0..10_000 {
            cache.put((2, number), 1, 10);
            assert_eq!(cache.get((1, 0)), Some(7));
        }
        let held = |shard: &Mutex<Shard<i32>>| shard.lock().unwrap().bytes;
        assert!(cache.shards.iter().map(held).all(|bytes| (50..=100).contains(&bytes)));
        assert_eq!(cache.get((2, 0)), None);
    }
}
