//! The samples of one series in memory: sealed chunks, then the open samples. Times rise, each instant stands once.

use crate::chunk::{CHUNK_LEN, CHUNK_LEN_MAX, Chunk, TimesCache};

/// The samples of one series.
#[derive(Default)]
pub(crate) struct Column {
    sealed: Vec<Chunk>,
    times: Vec<i64>,
    values: Vec<f64>,
}

/// A chunk that does not decode: only memory that was overwritten can do that.
#[derive(Debug, thiserror::Error)]
#[error("decode a chunk of {0} samples")]
pub(crate) struct Undecodable(u32);

impl Column {
    /// The newest time.
    pub fn last(&self) -> Option<i64> {
        self.times.last().copied().or(self.sealed.last().map(|chunk| chunk.last))
    }

    /// The oldest time.
    pub fn first(&self) -> Option<i64> {
        self.sealed.first().map(|chunk| chunk.first).or(self.times.first().copied())
    }

    /// How many samples.
    pub fn len(&self) -> usize {
        self.times.len() + self.sealed.iter().map(|chunk| chunk.count as usize).sum::<usize>()
    }

    /// Bytes in memory.
    pub fn bytes(&self) -> usize {
        self.times.capacity() * 16 + self.sealed.iter().map(Chunk::bytes).sum::<usize>()
    }

    /// Puts a sample at its place; at a time that is there the new value wins. Says whether the count has risen.
    pub fn put(&mut self, time: i64, value: f64, cache: &mut TimesCache) -> Result<bool, Undecodable> {
        if self.last().is_none_or(|last| time > last) {
            if self.times.len() >= CHUNK_LEN {
                self.seal(cache);
            }
            self.times.push(time);
            self.values.push(value);
            return Ok(true);
        }
        let in_open = self.sealed.last().is_none_or(|chunk| time > chunk.last);
        if in_open {
            return Ok(insert(&mut self.times, &mut self.values, time, value));
        }
        self.put_sealed(time, value, cache)
    }

    /// Opens the chunk that a late sample belongs to. About 3 microseconds: late samples are few.
    fn put_sealed(&mut self, time: i64, value: f64, cache: &mut TimesCache) -> Result<bool, Undecodable> {
        let place = self.sealed.partition_point(|chunk| chunk.last < time).min(self.sealed.len() - 1);
        let chunk = &self.sealed[place];
        let (mut times, mut values) = (Vec::with_capacity(CHUNK_LEN_MAX + 1), Vec::with_capacity(CHUNK_LEN_MAX + 1));
        chunk.read(&mut times, &mut values).ok_or(Undecodable(chunk.count))?;
        let risen = insert(&mut times, &mut values, time, value);
        if times.len() > CHUNK_LEN_MAX {
            let middle = times.len() / 2;
            let second = Chunk::seal(&times[middle..], &values[middle..], cache);
            self.sealed[place] = Chunk::seal(&times[..middle], &values[..middle], cache);
            self.sealed.insert(place + 1, second);
        } else {
            self.sealed[place] = Chunk::seal(&times, &values, cache);
        }
        Ok(risen)
    }

    fn seal(&mut self, cache: &mut TimesCache) {
        // Late samples can have made the open part longer than a chunk may be.
        for (times, values) in self.times.chunks(CHUNK_LEN_MAX).zip(self.values.chunks(CHUNK_LEN_MAX)) {
            self.sealed.push(Chunk::seal(times, values, cache));
        }
        self.times.clear();
        self.values.clear();
    }

    /// Appends the samples from `from` to `to`, both included.
    pub fn read(&self, from: i64, to: i64, times: &mut Vec<i64>, values: &mut Vec<f64>) -> Result<(), Undecodable> {
        if from > to {
            return Ok(());
        }
        let start = self.sealed.partition_point(|chunk| chunk.last < from);
        for chunk in self.sealed[start..].iter().take_while(|chunk| chunk.first <= to) {
            let begin = times.len();
            chunk.read(times, values).ok_or(Undecodable(chunk.count))?;
            cut_end(times, values, begin, to);
            let early = times[begin..].partition_point(|time| *time < from);
            times.drain(begin..begin + early);
            values.drain(begin..begin + early);
        }
        let first = self.times.partition_point(|time| *time < from);
        let end = self.times.partition_point(|time| *time <= to);
        times.extend_from_slice(&self.times[first..end]);
        values.extend_from_slice(&self.values[first..end]);
        Ok(())
    }

    /// The newest sample from `from` to `to`, both included. Decodes nothing where it is an open one, as the newest of all is.
    pub fn last_in(&self, from: i64, to: i64) -> Result<Option<(i64, f64)>, Undecodable> {
        let end = self.times.partition_point(|time| *time <= to);
        if let Some(place) = end.checked_sub(1) {
            return Ok((self.times[place] >= from).then(|| (self.times[place], self.values[place])));
        }
        let Some(place) = self.sealed.partition_point(|chunk| chunk.first <= to).checked_sub(1) else { return Ok(None) };
        let chunk = &self.sealed[place];
        if chunk.last < from {
            return Ok(None);
        }
        let (mut times, mut values) = (Vec::with_capacity(CHUNK_LEN_MAX), Vec::with_capacity(CHUNK_LEN_MAX));
        chunk.read(&mut times, &mut values).ok_or(Undecodable(chunk.count))?;
        cut_end(&mut times, &mut values, 0, to);
        Ok(times.pop().zip(values.pop()).filter(|(time, _)| *time >= from))
    }

    /// Drops chunks that end before `cutoff`, and the open samples where all are older. Says how many samples went.
    pub fn drop_before(&mut self, cutoff: i64) -> usize {
        let before = self.len();
        let old = self.sealed.partition_point(|chunk| chunk.last < cutoff);
        self.sealed.drain(..old);
        if self.times.last().is_some_and(|last| *last < cutoff) {
            self.times = Vec::new();
            self.values = Vec::new();
        }
        before - self.len()
    }

    /// All samples as chunks, the open ones last.
    pub fn chunks(&self, cache: &mut TimesCache, mut give: impl FnMut(&Chunk)) {
        self.sealed.iter().for_each(&mut give);
        for (times, values) in self.times.chunks(CHUNK_LEN_MAX).zip(self.values.chunks(CHUNK_LEN_MAX)) {
            give(&Chunk::seal(times, values, cache));
        }
    }

    /// From the chunks of a checkpoint; `None` where they are not in order. A short last one is opened again.
    pub fn from_chunks(mut chunks: Vec<Chunk>) -> Option<Column> {
        if chunks.windows(2).any(|pair| pair[0].last >= pair[1].first) {
            return None;
        }
        let mut column = Column::default();
        if let Some(last) = chunks.pop_if(|last| (last.count as usize) < CHUNK_LEN) {
            last.read(&mut column.times, &mut column.values)?;
        }
        column.sealed = chunks;
        Some(column)
    }
}

fn insert(times: &mut Vec<i64>, values: &mut Vec<f64>, time: i64, value: f64) -> bool {
    match times.binary_search(&time) {
        Ok(place) => {
            values[place] = value;
            false
        }
        Err(place) => {
            times.insert(place, time);
            values.insert(place, value);
            true
        }
    }
}

fn cut_end(times: &mut Vec<i64>, values: &mut Vec<f64>, begin: usize, to: i64) {
    let keep = begin + times[begin..].partition_point(|time| *time <= to);
    times.truncate(keep);
    values.truncate(keep);
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::files::Random;

    #[test]
    fn any_order_reads_like_a_map() {
        for seed in 0..8 {
            let mut random = Random::new(seed);
            let (mut column, mut cache) = (Column::default(), TimesCache::new());
            let mut map = BTreeMap::new();
            for step in 0..3_000i64 {
                let time = if random.chance(20) { random.below(3_000) as i64 } else { step };
                let value = random.below(50) as f64;
                assert_eq!(column.put(time, value, &mut cache).unwrap(), map.insert(time, value).is_none());
            }
            if random.chance(50) {
                let mut chunks = Vec::new();
                column.chunks(&mut cache, |chunk| chunks.push(chunk.clone()));
                column = Column::from_chunks(chunks).unwrap();
            }
            assert_eq!(column.len(), map.len());
            assert_eq!(column.first(), map.keys().next().copied());
            assert_eq!(column.last(), map.keys().last().copied());
            for _ in 0..50 {
                let (from, to) = (random.below(3_100) as i64 - 50, random.below(3_100) as i64 - 50);
                let (mut times, mut values) = (Vec::new(), Vec::new());
                column.read(from, to, &mut times, &mut values).unwrap();
                let want: Vec<_> = map.iter().filter(|(time, _)| (from..=to).contains(*time)).map(|(t, v)| (*t, *v)).collect();
                assert_eq!(column.last_in(from, to).unwrap(), want.last().copied(), "seed {seed}");
                assert_eq!(times.into_iter().zip(values).collect::<Vec<_>>(), want, "seed {seed}");
            }
            let before = column.len();
            let dropped = column.drop_before(1_500);
            assert!(dropped > 0 && column.len() == before - dropped);
        }
    }
}
