//! Rising times in microseconds: the first is the caller's, the bytes hold the distances, in the greatest unit that fits all.

use super::COUNT_MAX;
use super::integers::{self, FIRST_FREE_BIT, SMALL_MAX};
use crate::bits::Reader;

/// What the two lowest of our bits in the first byte say.
const UNITS: [i64; 3] = [1, 1_000, 1_000_000];
const UNIT_SHIFT: u32 = FIRST_FREE_BIT.trailing_zeros();

/// Appends the distances between `times`, which rise. An even grid takes 2 to 4 bytes, one time or none takes nothing.
pub fn encode_times(times: &[i64], out: &mut Vec<u8>) {
    if times.len() < 2 {
        return;
    }
    let even = times[1].wrapping_sub(times[0]);
    if times.windows(2).all(|pair| pair[1].wrapping_sub(pair[0]) == even) {
        return encode_distances(&mut [even], out);
    }
    let mut few = [0; 64];
    let mut many = Vec::new();
    let distances = match few.get_mut(..times.len() - 1) {
        Some(distances) => distances,
        None => {
            many.resize(times.len() - 1, 0);
            &mut many[..]
        }
    };
    for (distance, pair) in distances.iter_mut().zip(times.windows(2)) {
        *distance = pair[1].wrapping_sub(pair[0]);
    }
    encode_distances(distances, out);
}

/// One distance stands for as many as there are.
fn encode_distances(distances: &mut [i64], out: &mut Vec<u8>) {
    let small = distances.iter().all(|distance| (0..SMALL_MAX).contains(distance));
    let fits = |unit: i64| small && distances.iter().all(|distance| distance % unit == 0);
    let unit = if !fits(UNITS[1]) { 0 } else { 1 + usize::from(fits(UNITS[2])) };
    if unit > 0 {
        distances.iter_mut().for_each(|distance| *distance /= UNITS[unit]);
    }
    integers::encode(distances, small, (unit as u8) << UNIT_SHIFT, |_| (), out);
}

/// Appends `count` times beginning with `first`. `None` where the bytes are not what [`encode_times`] wrote for so many: also
/// where the times do not rise.
pub fn decode_times(bytes: &[u8], first: i64, count: usize, out: &mut Vec<i64>) -> Option<()> {
    if count < 2 {
        out.extend((count == 1).then_some(first));
        return bytes.is_empty().then_some(());
    }
    let mut reader = Reader::new(bytes);
    let head = reader.byte()?;
    let unit = *UNITS.get(usize::from(head >> UNIT_SHIFT))?;
    if count > COUNT_MAX {
        return None;
    }
    if integers::is_one(head) {
        let between = reader.signed()?.wrapping_mul(unit);
        let begin = out.len();
        out.extend((0..count as i64).map(|place| first.wrapping_add(place.wrapping_mul(between))));
        let last = between.checked_mul(count as i64 - 1).and_then(|more| first.checked_add(more));
        let rising = last.is_some_and(|last| last > first) || out[begin..].windows(2).all(|pair| pair[0] < pair[1]);
        return (rising && reader.rest.is_empty()).then_some(());
    }
    let begin = out.len();
    out.reserve(count);
    out.push(first);
    integers::decode(&mut reader, head, count - 1, out, |distance| distance.wrapping_mul(unit))?;
    let (mut time, mut rising) = (first, true);
    for place in &mut out[begin + 1..] {
        let next = time.wrapping_add(*place);
        rising &= next > time;
        (*place, time) = (next, next);
    }
    (rising && reader.rest.is_empty()).then_some(())
}
