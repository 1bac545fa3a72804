//! Numbers as few bytes: varints, and groups of 16 numbers packed with as many bits as the widest of them needs.
//!
//! Reading never trusts its input: a short or lying buffer gives `None`, never a panic or a large allocation.

const GROUP: usize = 16;

/// Appends a number, 7 bits to the byte, low bits first; without a loop or a branch below 2^56.
#[inline]
pub(crate) fn put_varint(out: &mut Vec<u8>, value: u64) {
    const MORE: u64 = 0x8080_8080_8080_8080;
    if value >> 56 != 0 {
        return put_long_varint(out, value);
    }
    // Each seven bits move to a byte of their own: halves first, then quarters, then eighths.
    let spread = (value & 0x0fff_ffff) | ((value & 0x00ff_ffff_f000_0000) << 4);
    let spread = (spread & 0x0000_3fff_0000_3fff) | ((spread & 0x0fff_c000_0fff_c000) << 2);
    let spread = (spread & 0x007f_007f_007f_007f) | ((spread & 0x3f80_3f80_3f80_3f80) << 1);
    let last = (63 - (spread | 1).leading_zeros() as usize) / 8;
    let bytes = spread | (MORE & ((1 << (8 * last)) - 1));
    out.extend_from_slice(&bytes.to_le_bytes());
    out.truncate(out.len() - (7 - last));
}

#[cold]
fn put_long_varint(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

/// Small numbers of either sign to small numbers.
pub(crate) fn zigzag(value: i64) -> u64 {
    ((value << 1) ^ (value >> 63)) as u64
}

/// The reverse of [`zigzag`].
pub(crate) fn unzigzag(value: u64) -> i64 {
    (value >> 1) as i64 ^ -((value & 1) as i64)
}

/// Appends a number of either sign.
pub(crate) fn put_signed(out: &mut Vec<u8>, value: i64) {
    put_varint(out, zigzag(value));
}

/// Reads from the front of a buffer.
#[derive(Clone)]
pub(crate) struct Reader<'a> {
    pub rest: &'a [u8],
}

impl<'a> Reader<'a> {
    pub fn new(rest: &'a [u8]) -> Reader<'a> {
        Reader { rest }
    }

    pub fn byte(&mut self) -> Option<u8> {
        let (&first, rest) = self.rest.split_first()?;
        self.rest = rest;
        Some(first)
    }

    pub fn bytes(&mut self, len: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.rest.split_at_checked(len)?;
        self.rest = rest;
        Some(taken)
    }

    pub fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        self.bytes(N)?.try_into().ok()
    }

    pub fn varint(&mut self) -> Option<u64> {
        let first = self.byte()?;
        if first < 0x80 {
            return Some(u64::from(first));
        }
        let mut value = u64::from(first & 0x7f);
        for shift in (7..70).step_by(7) {
            let byte = self.byte()?;
            if shift == 63 && byte > 1 {
                return None;
            }
            value |= u64::from(byte & 0x7f) << shift;
            if byte < 0x80 {
                return Some(value);
            }
        }
        None
    }

    pub fn signed(&mut self) -> Option<i64> {
        self.varint().map(unzigzag)
    }

    /// A length or a count that can't be more than the bytes that follow.
    pub fn count(&mut self) -> Option<usize> {
        let count = usize::try_from(self.varint()?).ok()?;
        (count <= self.rest.len()).then_some(count)
    }

    pub fn text(&mut self) -> Option<&'a str> {
        let len = self.count()?;
        std::str::from_utf8(self.bytes(len)?).ok()
    }
}

/// Appends a text with its length before it.
pub(crate) fn put_text(out: &mut Vec<u8>, text: &str) {
    put_varint(out, text.len() as u64);
    out.extend_from_slice(text.as_bytes());
}

#[cfg(test)]
/// Appends `values` in groups of 16: one byte with the width in bits, then the numbers, low bits first, to a whole byte.
pub(crate) fn pack(values: &[u64], out: &mut Vec<u8>) {
    for group in values.chunks(GROUP) {
        let width = 64 - group.iter().fold(0, |all, value| all | value).leading_zeros();
        out.push(width as u8);
        let (mut held, mut bits) = (0u128, 0);
        for value in group {
            held |= u128::from(*value) << bits;
            bits += width;
            while bits >= 8 {
                out.push(held as u8);
                held >>= 8;
                bits -= 8;
            }
        }
        if bits > 0 {
            out.push(held as u8);
        }
    }
}

/// Reads `count` numbers that [`pack`] wrote, appending them to `into`.
pub(crate) fn unpack(from: &mut Reader<'_>, count: usize, into: &mut Vec<u64>) -> Option<()> {
    let mut left = count;
    while left > 0 {
        let here = left.min(GROUP);
        let width = u32::from(from.byte()?);
        if width > 64 {
            return None;
        }
        let bytes = from.bytes((here * width as usize).div_ceil(8))?;
        let mask = if width == 64 { u64::MAX } else { (1 << width) - 1 };
        let (mut held, mut bits, mut next) = (0u128, 0, bytes.iter());
        for _ in 0..here {
            while bits < width {
                held |= u128::from(*next.next()?) << bits;
                bits += 8;
            }
            into.push(held as u64 & mask);
            held >>= width;
            bits -= width;
        }
        left -= here;
    }
    Some(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::files::Random;

    #[test]
    fn numbers_come_back() {
        let mut random = Random::new(3);
        for round in 0..200 {
            let values: Vec<u64> = (0..round).map(|_| random.bits() >> random.below(65).min(63)).collect();
            let mut out = Vec::new();
            pack(&values, &mut out);
            values.iter().for_each(|value| put_varint(&mut out, *value));
            values.iter().for_each(|value| put_signed(&mut out, *value as i64));
            let mut reader = Reader::new(&out);
            let mut back = Vec::new();
            unpack(&mut reader, values.len(), &mut back).unwrap();
            assert_eq!(back, values);
            assert!(values.iter().all(|value| reader.varint() == Some(*value)));
            assert!(values.iter().all(|value| reader.signed() == Some(*value as i64)));
            assert!(reader.rest.is_empty());
        }
    }

    #[test]
    fn varints_of_any_length_are_the_same_without_a_loop() {
        for bits in 0..64 {
            for value in [1u64 << bits, (1 << bits) - 1, 0x5555_5555_5555_5555 >> bits, u64::MAX >> bits] {
                let (mut quick, mut slow) = (vec![9], vec![9]);
                put_varint(&mut quick, value);
                put_long_varint(&mut slow, value);
                assert_eq!(quick, slow, "{value:#x}");
            }
        }
    }

    #[test]
    fn lying_buffers_give_nothing() {
        assert_eq!(Reader::new(&[0xff; 11]).varint(), None);
        assert_eq!(Reader::new(&[0x80]).varint(), None);
        assert_eq!(Reader::new(&[5, b'a']).text(), None);
        assert_eq!(unpack(&mut Reader::new(&[65, 0, 0]), 1, &mut Vec::new()), None);
        assert_eq!(unpack(&mut Reader::new(&[64, 0, 0]), 16, &mut Vec::new()), None);
    }
}
