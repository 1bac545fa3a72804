//! Samples as few bytes: a run of values and a run of times, each encoded on its own, each coming back bit for bit.
//!
//! Values that are decimals become integers with one power of ten (`values`), times become distances (`times`); both are then
//! written by `integers`: divided by what divides all, as they are or as differences or as differences of differences,
//! each less the smallest, in as many bits as the largest needs (`bitpack`), with a few that would widen all the others
//! patched in. docs/format.md has the bytes. Decoding trusts nothing: what was not written here gives `None`, never a panic,
//! and memory is taken for the count that the caller gives, never for one in the bytes.

mod bitpack;
mod integers;
#[cfg(test)]
mod tests;
mod times;
mod values;

use crate::bits::Reader;

pub use times::{decode_times, encode_times};
pub(crate) use values::{MANTISSA_MAX, ROUNDER};
pub use values::{decode_values, encode_values};

/// The longest run that can be decoded.
pub const COUNT_MAX: usize = 1 << 16;

/// Appends integers that the store keeps beside the samples. None takes no byte.
pub(crate) fn put_integers(numbers: &[i64], out: &mut Vec<u8>) {
    if !numbers.is_empty() {
        let small = numbers.iter().all(|number| (-integers::SMALL_MAX..integers::SMALL_MAX).contains(number));
        integers::encode(numbers, small, 0, |_| (), out);
    }
}

/// Appends `count` integers that [`put_integers`] wrote. `count` comes from the caller, who bounds it.
pub(crate) fn take_integers<T>(from: &mut Reader<'_>, count: usize, out: &mut Vec<T>, map: impl Fn(i64) -> T) -> Option<()> {
    if count == 0 {
        return Some(());
    }
    let head = from.byte()?;
    if count > COUNT_MAX {
        return None;
    }
    out.reserve(count);
    integers::decode(from, head, count, out, map)
}
