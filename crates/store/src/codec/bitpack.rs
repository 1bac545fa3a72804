//! Numbers of one width side by side, low bits first, over byte borders; the last byte is filled up with zeros.
//!
//! Widths are 0 to 56, and 64: then every number lies within 8 bytes from the byte in which it begins, and reading it is one
//! load, one shift and one mask.

/// Numbers unpacked at a time: they begin at a whole byte for every width.
pub(super) const BLOCK: usize = 32;
const WIDTH_MAX: u32 = 56;
/// The bytes of a block of the greatest width, and room for the last load.
const BLOCK_BYTES: usize = BLOCK * 8 + 8;

/// Bits that the number needs, as a width that can be packed.
pub(super) fn width_of(number: u64) -> u32 {
    let bits = 64 - number.leading_zeros();
    if bits > WIDTH_MAX { 64 } else { bits }
}

/// Whether [`width_of`] gives such a width.
pub(super) fn is_width(width: u32) -> bool {
    width <= WIDTH_MAX || width == 64
}

/// How many bytes `count` numbers take.
pub(super) fn packed_len(count: usize, width: u32) -> usize {
    (count * width as usize).div_ceil(8)
}

/// The lowest `width` bits.
pub(super) fn mask(width: u32) -> u64 {
    if width >= 64 { u64::MAX } else { (1 << width) - 1 }
}

/// Appends the lowest `width` bits of each number.
pub(super) fn pack(numbers: impl Iterator<Item = u64>, width: u32, out: &mut Vec<u8>) {
    if width == 0 {
        return;
    }
    let mask = mask(width);
    let (mut held, mut bits) = (0u64, 0);
    for number in numbers {
        let number = number & mask;
        held |= number << bits;
        bits += width;
        if bits >= 64 {
            out.extend_from_slice(&held.to_le_bytes());
            bits -= 64;
            held = if bits == 0 { 0 } else { number >> (width - bits) };
        }
    }
    out.extend_from_slice(&held.to_le_bytes()[..(bits as usize).div_ceil(8)]);
}

/// Reads numbers in blocks of [`BLOCK`]; bytes that are missing read as zeros, so the caller checks the length before.
pub(super) struct Unpacker<'a> {
    rest: &'a [u8],
    width: u32,
}

impl<'a> Unpacker<'a> {
    pub fn new(bytes: &'a [u8], width: u32) -> Unpacker<'a> {
        debug_assert!(is_width(width));
        Unpacker { rest: bytes, width }
    }

    /// The next numbers: a whole block is written, whatever of it was packed.
    pub fn next_block(&mut self, out: &mut [u64; BLOCK]) {
        let len = BLOCK / 8 * self.width as usize;
        match self.rest.get(..len + 8) {
            Some(bytes) => unpack_block(bytes, self.width, out),
            None => {
                let mut padded = [0; BLOCK_BYTES];
                let here = self.rest.len().min(BLOCK_BYTES);
                padded[..here].copy_from_slice(&self.rest[..here]);
                unpack_block(&padded[..len + 8], self.width, out);
            }
        }
        self.rest = self.rest.get(len..).unwrap_or_default();
    }
}

/// `bytes` are those of the block and 8 more.
fn unpack_block(bytes: &[u8], width: u32, out: &mut [u64; BLOCK]) {
    let mask = mask(width);
    let width = width as usize;
    if width == 0 {
        out.fill(0);
        return;
    }
    for (eight, out) in out.chunks_exact_mut(8).enumerate() {
        // Eight numbers take `width` whole bytes.
        let bytes = &bytes[eight * width..eight * width + width + 8];
        for (place, number) in out.iter_mut().enumerate() {
            let bit = place * width;
            let loaded = bytes[bit / 8..].first_chunk().map_or(0, |eight| u64::from_le_bytes(*eight));
            *number = (loaded >> (bit % 8)) & mask;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::files::Random;

    #[test]
    fn every_width_and_count_comes_back() {
        let mut random = Random::new(4);
        for width in (0..=64).filter(|width| is_width(*width)) {
            for count in 0..100 {
                let numbers: Vec<u64> = (0..count).map(|_| random.bits() & mask(width)).collect();
                let mut out = Vec::new();
                pack(numbers.iter().copied(), width, &mut out);
                assert_eq!(out.len(), packed_len(count, width));
                let (mut unpacker, mut back, mut block) = (Unpacker::new(&out, width), Vec::new(), [0; BLOCK]);
                while back.len() < count {
                    unpacker.next_block(&mut block);
                    back.extend_from_slice(&block);
                }
                assert_eq!(&back[..count], numbers, "width {width}, {count} numbers");
            }
        }
    }
}
