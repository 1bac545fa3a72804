//! A sealed run of samples of one series, compressed. Immutable; reading it back gives the very same bits.
//!
//! Times are differences of differences. Values are, whichever fits: one value for all; integers times a power of ten, as
//! differences or differences of differences; or the bits XORed with those before. docs/format.md has the bytes.

use std::sync::Arc;

use crate::bits::{Reader, pack, put_signed, put_varint, unpack, unzigzag, zigzag};

/// Samples in a chunk. More save head bytes per chunk, fewer save the open samples, 16 bytes each: 240 costs 0.3 bytes
/// of head per sample and at most 3.8 KB of open samples per series.
pub(crate) const CHUNK_LEN: usize = 240;
/// A chunk that late samples made longer than this is split.
pub(crate) const CHUNK_LEN_MAX: usize = 2 * CHUNK_LEN;

const CONSTANT: u8 = 0;
const DELTA: u8 = 1;
const DELTA_OF_DELTA: u8 = 2;
const XOR: u8 = 3;
/// Beyond it not every integer is a float.
const MANTISSA_MAX: f64 = 9_007_199_254_740_992.0;
const EXPONENT_MAX: usize = 12;
const POWERS: [f64; EXPONENT_MAX + 1] = [1.0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12];

/// A sealed run of samples.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Chunk {
    pub first: i64,
    pub last: i64,
    pub count: u32,
    /// Shared: series that come together have the same distances.
    pub times: Arc<[u8]>,
    pub values: Box<[u8]>,
}

/// Finds an equal encoding of times that another series already holds. At most [`TimesCache::SLOTS`] are remembered.
pub(crate) struct TimesCache {
    slots: Box<[Option<Arc<[u8]>>]>,
}

impl TimesCache {
    const SLOTS: usize = 512;

    pub fn new() -> TimesCache {
        TimesCache { slots: vec![None; TimesCache::SLOTS].into() }
    }

    pub fn share(&mut self, times: &[u8]) -> Arc<[u8]> {
        let slot = xxhash_rust::xxh3::xxh3_64(times) as usize % TimesCache::SLOTS;
        match &self.slots[slot] {
            Some(have) if **have == *times => have.clone(),
            _ => {
                let fresh: Arc<[u8]> = times.into();
                self.slots[slot] = Some(fresh.clone());
                fresh
            }
        }
    }
}

impl Chunk {
    /// Compresses samples whose times rise. `times` must not be empty.
    pub fn seal(times: &[i64], values: &[f64], cache: &mut TimesCache) -> Chunk {
        debug_assert!(!times.is_empty() && times.len() == values.len());
        let mut scratch = Vec::with_capacity(64);
        encode_times(times, &mut scratch);
        let shared = cache.share(&scratch);
        scratch.clear();
        encode_values(values, &mut scratch);
        Chunk {
            first: times[0],
            last: times[times.len() - 1],
            count: times.len() as u32,
            times: shared,
            values: scratch.as_slice().into(),
        }
    }

    /// Appends the samples; `None` where the bytes are not what [`seal`](Self::seal) wrote.
    pub fn read(&self, times: &mut Vec<i64>, values: &mut Vec<f64>) -> Option<()> {
        let count = self.count as usize;
        decode_times(&self.times, self.first, count, times)?;
        decode_values(&self.values, count, values)
    }

    /// Appends the chunk as the checkpoint keeps it.
    pub fn write(&self, out: &mut Vec<u8>) {
        put_signed(out, self.first);
        put_varint(out, self.last.wrapping_sub(self.first) as u64);
        put_varint(out, u64::from(self.count));
        for part in [&*self.times, &*self.values] {
            put_varint(out, part.len() as u64);
            out.extend_from_slice(part);
        }
    }

    /// Reads what [`write`](Self::write) wrote; `None` where it is not that.
    pub fn take(from: &mut Reader<'_>, cache: &mut TimesCache) -> Option<Chunk> {
        let first = from.signed()?;
        let last = first.wrapping_add(from.varint()? as i64);
        let count = u32::try_from(from.varint()?).ok().filter(|count| (1..=CHUNK_LEN_MAX as u32).contains(count))?;
        let len = from.count()?;
        let times = cache.share(from.bytes(len)?);
        let len = from.count()?;
        let values = from.bytes(len)?.into();
        (last >= first).then_some(Chunk { first, last, count, times, values })
    }
}

fn encode_times(times: &[i64], out: &mut Vec<u8>) {
    let mut packed = Vec::with_capacity(times.len());
    let mut before = 0;
    for pair in times.windows(2) {
        let delta = pair[1].wrapping_sub(pair[0]);
        packed.push(zigzag(delta.wrapping_sub(before)));
        before = delta;
    }
    if let Some((first, rest)) = packed.split_first() {
        put_varint(out, *first);
        if rest.iter().any(|step| *step != 0) {
            pack(rest, out);
        }
    }
}

fn decode_times(bytes: &[u8], first: i64, count: usize, into: &mut Vec<i64>) -> Option<()> {
    let mut reader = Reader::new(bytes);
    let mut packed = Vec::with_capacity(count.min(CHUNK_LEN_MAX));
    if count > 1 {
        packed.push(reader.varint()?);
        // Nothing behind the first distance: all the others are the same.
        if reader.rest.is_empty() {
            packed.resize(count - 1, 0);
        } else {
            unpack(&mut reader, count - 2, &mut packed)?;
        }
    }
    let (mut time, mut delta) = (first, 0i64);
    into.push(time);
    for step in packed {
        delta = delta.wrapping_add(unzigzag(step));
        time = time.wrapping_add(delta);
        into.push(time);
    }
    Some(())
}

fn encode_values(values: &[f64], out: &mut Vec<u8>) {
    let first = values[0].to_bits();
    if values.iter().all(|value| value.to_bits() == first) {
        out.push(CONSTANT);
        out.extend_from_slice(&first.to_le_bytes());
        return;
    }
    match decimals(values) {
        Some((exponent, mantissas)) => {
            let deltas: Vec<i64> = mantissas.windows(2).map(|pair| pair[1] - pair[0]).collect();
            let once: Vec<u64> = deltas.iter().map(|delta| zigzag(*delta)).collect();
            let mut before = 0;
            let step = |delta: &i64| zigzag(delta - std::mem::replace(&mut before, *delta));
            let twice: Vec<u64> = deltas.iter().map(step).collect();
            let (mut packed, mut other) = (Vec::new(), Vec::new());
            pack(&once, &mut packed);
            pack(&twice, &mut other);
            let order = if other.len() < packed.len() { DELTA_OF_DELTA } else { DELTA };
            out.extend([order, exponent as u8]);
            put_signed(out, mantissas[0]);
            out.extend_from_slice(if order == DELTA { &packed } else { &other });
        }
        None => {
            let mixed: Vec<u64> = values.windows(2).map(|pair| pair[0].to_bits() ^ pair[1].to_bits()).collect();
            let shift = mixed.iter().fold(0, |all, bits| all | bits).trailing_zeros();
            let shifted: Vec<u64> = mixed.iter().map(|bits| bits >> shift).collect();
            out.extend([XOR, shift as u8]);
            out.extend_from_slice(&first.to_le_bytes());
            pack(&shifted, out);
        }
    }
}

fn decode_values(bytes: &[u8], count: usize, into: &mut Vec<f64>) -> Option<()> {
    let mut reader = Reader::new(bytes);
    let mut packed = Vec::with_capacity(count.min(CHUNK_LEN_MAX));
    match reader.byte()? {
        CONSTANT => {
            let value = f64::from_le_bytes(reader.array()?);
            into.extend(std::iter::repeat_n(value, count));
        }
        order @ (DELTA | DELTA_OF_DELTA) => {
            let power = *POWERS.get(usize::from(reader.byte()?))?;
            let mut mantissa = reader.signed()?;
            unpack(&mut reader, count.checked_sub(1)?, &mut packed)?;
            into.push(mantissa as f64 / power);
            let mut delta = 0i64;
            for step in packed {
                let step = unzigzag(step);
                delta = if order == DELTA { step } else { delta.wrapping_add(step) };
                mantissa = mantissa.wrapping_add(delta);
                into.push(mantissa as f64 / power);
            }
        }
        XOR => {
            let shift = u32::from(reader.byte()?);
            let mut bits = u64::from_le_bytes(reader.array()?);
            unpack(&mut reader, count.checked_sub(1)?, &mut packed)?;
            into.push(f64::from_bits(bits));
            for mixed in packed {
                bits ^= mixed.checked_shl(shift)?;
                into.push(f64::from_bits(bits));
            }
        }
        _ => return None,
    }
    Some(())
}

/// The smallest power of ten that makes all values integers from which the same bits come back.
fn decimals(values: &[f64]) -> Option<(usize, Vec<i64>)> {
    let mut exponent = 0;
    for value in values {
        while mantissa(*value, exponent).is_none() {
            exponent += 1;
            if exponent > EXPONENT_MAX {
                return None;
            }
        }
    }
    let mantissas: Option<Vec<i64>> = values.iter().map(|value| mantissa(*value, exponent)).collect();
    Some((exponent, mantissas?))
}

fn mantissa(value: f64, exponent: usize) -> Option<i64> {
    let scaled = (value * POWERS[exponent]).round();
    if scaled.is_nan() || scaled.abs() >= MANTISSA_MAX {
        return None;
    }
    let whole = scaled as i64;
    ((whole as f64 / POWERS[exponent]).to_bits() == value.to_bits()).then_some(whole)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::files::Random;

    fn bytes_per_sample(name: &str, values: impl IntoIterator<Item = f64>, limit: f64) {
        let values: Vec<f64> = values.into_iter().take(CHUNK_LEN).collect();
        let times: Vec<i64> = (0..values.len() as i64).map(|step| 1_000_000_000 + step * 1_000_000).collect();
        let chunk = Chunk::seal(&times, &values, &mut TimesCache::new());
        let (mut times_back, mut values_back) = (Vec::new(), Vec::new());
        chunk.read(&mut times_back, &mut values_back).unwrap();
        assert_eq!(times_back, times, "{name}");
        let bits = |values: &[f64]| values.iter().map(|value| value.to_bits()).collect::<Vec<_>>();
        assert_eq!(bits(&values_back), bits(&values), "{name}");
        let cost = (chunk.values.len() + chunk.times.len()) as f64 / values.len() as f64;
        assert!(cost <= limit, "{name}: {cost:.2} bytes per sample");
        let mut out = Vec::new();
        chunk.write(&mut out);
        assert_eq!(Chunk::take(&mut Reader::new(&out), &mut TimesCache::new()), Some(chunk), "{name}");
    }

    #[test]
    fn values_come_back_and_cost_little() {
        let mut random = Random::new(5);
        bytes_per_sample("constant", std::iter::repeat_n(0.25, 240), 0.06);
        bytes_per_sample("steady counter", (0..240).map(|step| f64::from(step) * 17.0), 0.15);
        let mut total = 0;
        let counter: Vec<f64> = (0..240).map(|_| (total += random.below(100), total as f64).1).collect();
        bytes_per_sample("counter", counter, 1.1);
        let seconds: Vec<f64> = (0..240).map(|step| (f64::from(step) * 100.0 + random.below(8) as f64).round() / 100.0).collect();
        bytes_per_sample("cpu seconds", seconds, 0.8);
        let gauge: Vec<f64> = (0..240).map(|_| 4e9 + (random.below(1000) * 4096) as f64).collect();
        bytes_per_sample("memory", gauge, 3.2);
        let any: Vec<f64> = (0..240).map(|_| f64::from_bits(random.bits())).collect();
        bytes_per_sample("any bits", any, 8.2);
        bytes_per_sample(
            "specials",
            [0.0, -0.0, f64::INFINITY, model::sample::STALE_NAN, f64::MIN, 5e-324, 1e300, f64::NAN],
            11.0,
        );
        bytes_per_sample("one", [1.5], 11.0);
        bytes_per_sample("two", [1.5, 2.5], 11.0);
    }

    #[test]
    fn times_of_any_shape_come_back() {
        let mut random = Random::new(9);
        for round in 1..300 {
            let mut times: Vec<i64> =
                (0..=random.below(CHUNK_LEN as u64)).map(|_| random.bits() as i64 >> (round % 50)).collect();
            times.sort_unstable();
            times.dedup();
            let chunk = Chunk::seal(&times, &vec![1.0; times.len()], &mut TimesCache::new());
            let (mut back, mut values) = (Vec::new(), Vec::new());
            chunk.read(&mut back, &mut values).unwrap();
            assert_eq!(back, times);
        }
    }

    #[test]
    fn damaged_chunks_never_panic() {
        let mut random = Random::new(11);
        for _ in 0..5_000 {
            let bytes: Vec<u8> = (0..random.below(60)).map(|_| random.bits() as u8).collect();
            if let Some(chunk) = Chunk::take(&mut Reader::new(&bytes), &mut TimesCache::new()) {
                let _ = chunk.read(&mut Vec::new(), &mut Vec::new());
            }
            let _ = decode_values(&bytes, 240, &mut Vec::new());
        }
    }
}
