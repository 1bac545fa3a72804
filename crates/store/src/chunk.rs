//! The chunks of samples in a checkpoint of the first format: read, no longer written.
//!
//! Times are differences of differences. Values are, whichever fits: one value for all; integers times a power of ten, as
//! differences or differences of differences; or the bits XORed with those before. docs/format.md has the bytes.

use crate::bits::{Reader, unpack, unzigzag};

/// No chunk has more samples.
const CHUNK_LEN_MAX: usize = 480;

const CONSTANT: u8 = 0;
const DELTA: u8 = 1;
const DELTA_OF_DELTA: u8 = 2;
const XOR: u8 = 3;
const POWERS: [f64; 13] = [1.0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12];

/// A run of samples of one series.
pub(crate) struct Chunk {
    first: i64,
    count: usize,
    times: Box<[u8]>,
    values: Box<[u8]>,
}

impl Chunk {
    /// Appends the samples; `None` where the bytes are none.
    pub fn read(&self, times: &mut Vec<i64>, values: &mut Vec<f64>) -> Option<()> {
        decode_times(&self.times, self.first, self.count, times)?;
        decode_values(&self.values, self.count, values)
    }

    /// Reads a chunk; `None` where it is none.
    pub fn take(from: &mut Reader<'_>) -> Option<Chunk> {
        let first = from.signed()?;
        let last = first.wrapping_add(from.varint()? as i64);
        let count = usize::try_from(from.varint()?).ok().filter(|count| (1..=CHUNK_LEN_MAX).contains(count))?;
        let len = from.count()?;
        let times = from.bytes(len)?.into();
        let len = from.count()?;
        let values = from.bytes(len)?.into();
        (last >= first).then_some(Chunk { first, count, times, values })
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::files::Random;

    #[test]
    fn damaged_chunks_never_panic() {
        let mut random = Random::new(11);
        for _ in 0..5_000 {
            let bytes: Vec<u8> = (0..random.below(60)).map(|_| random.bits() as u8).collect();
            if let Some(chunk) = Chunk::take(&mut Reader::new(&bytes)) {
                let _ = chunk.read(&mut Vec::new(), &mut Vec::new());
            }
            let _ = decode_values(&bytes, 240, &mut Vec::new());
        }
    }
}
