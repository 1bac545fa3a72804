//! Values as integers: decimals by a power of ten, all others by their bits.
//!
//! A decimal is `mantissa / 10^exponent`, divided as doubles, where that gives the very same bits. (The idea of one decimal exponent per
//! block: VictoriaMetrics; that most doubles in databases are decimals: Afroozeh and Boncz, "ALP: Adaptive Lossless floating-Point
//! Compression", 2023.) What is no such decimal, as -0.0, NaN, staleness markers and infinities, stands apart with its place.

use super::COUNT_MAX;
use super::integers::{self, FIRST_FREE_BIT, SMALL_MAX};
use crate::bits::{Reader, put_varint};

/// The integers are the bits of the doubles, in an order in which greater doubles have greater numbers.
const BITS: u8 = FIRST_FREE_BIT;
/// A byte with the exponent follows.
const DECIMALS: u8 = FIRST_FREE_BIT << 1;
/// Values that stand apart follow.
const APART: u8 = FIRST_FREE_BIT << 2;

const EXPONENT_MAX: usize = 18;
const POWERS: [f64; EXPONENT_MAX + 1] =
    [1.0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18];
/// 1.5 * 2^52: adding it and taking it away rounds what is below [`MANTISSA_MAX`] to a whole number, without a call.
pub(crate) const ROUNDER: f64 = 6_755_399_441_055_744.0;
/// 2^51.
pub(crate) const MANTISSA_MAX: f64 = 2_251_799_813_685_248.0;
/// Runs up to here need no heap.
const FEW: usize = 64;

/// Appends `values`. None takes no byte.
pub fn encode_values(values: &[f64], out: &mut Vec<u8>) {
    if values.is_empty() {
        return;
    }
    let mut few = [0; FEW];
    let mut many = Vec::new();
    let numbers = match few.get_mut(..values.len()) {
        Some(numbers) => numbers,
        None => {
            many.resize(values.len(), 0);
            &mut many[..]
        }
    };
    let begin = out.len();
    if let Some(found) = decimals(values, numbers) {
        found.write(values, &numbers[..found.count], out);
        // Beyond it the bits may be as short.
        if out.len() - begin <= values.len() * 6 {
            return;
        }
    }
    let middle = out.len();
    for (number, value) in numbers.iter_mut().zip(values) {
        *number = in_order(value.to_bits() as i64);
    }
    integers::encode(numbers, false, BITS, |_| (), out);
    if middle > begin && out.len() - middle >= middle - begin {
        out.truncate(middle);
    } else {
        out.drain(begin..middle);
    }
}

/// Appends `count` values. `None` where the bytes are not what [`encode_values`] wrote for so many.
pub fn decode_values(bytes: &[u8], count: usize, out: &mut Vec<f64>) -> Option<()> {
    if count == 0 {
        return bytes.is_empty().then_some(());
    }
    let mut reader = Reader::new(bytes);
    let head = reader.byte()?;
    if count > COUNT_MAX {
        return None;
    }
    out.reserve(count);
    let begin = out.len();
    if head & BITS != 0 {
        integers::decode(&mut reader, head, count, out, |number| f64::from_bits(in_order(number) as u64))?;
        return reader.rest.is_empty().then_some(());
    }
    let exponent = if head & DECIMALS != 0 { reader.byte()? } else { 0 };
    let power = *POWERS.get(usize::from(exponent))?;
    let apart = if head & APART != 0 { Apart::read(&mut reader, count)? } else { Apart::default() };
    let count = count - apart.0.len();
    if exponent == 0 {
        integers::decode(&mut reader, head, count, out, |number| number as f64)?;
    } else {
        integers::decode(&mut reader, head, count, out, |number| number as f64 / power)?;
    }
    apart.put_back(begin, out);
    reader.rest.is_empty().then_some(())
}

/// Greater doubles to greater integers; its own reverse.
fn in_order(bits: i64) -> i64 {
    if bits < 0 { bits ^ i64::MAX } else { bits }
}

/// A run as decimals.
struct Decimals {
    exponent: usize,
    /// How many are decimals.
    count: usize,
    /// Places of those that are not.
    apart: Vec<usize>,
}

impl Decimals {
    fn write(&self, values: &[f64], mantissas: &[i64], out: &mut Vec<u8>) {
        let head = if self.exponent > 0 { DECIMALS } else { 0 } | if self.apart.is_empty() { 0 } else { APART };
        let between = |out: &mut Vec<u8>| {
            if self.exponent > 0 {
                out.push(self.exponent as u8);
            }
            if !self.apart.is_empty() {
                write_apart(values, &self.apart, out);
            }
        };
        integers::encode(mantissas, true, head, between, out);
    }
}

/// The mantissas, with the smallest power of ten that fits all but a few. `None` where too many are no decimals.
fn decimals(values: &[f64], mantissas: &mut [i64]) -> Option<Decimals> {
    if values.len() <= FEW
        && let Some(exponent) = exponent_of(values[values.len() - 1], 0)
        && all_fit(values, exponent, mantissas)
    {
        return Some(Decimals { exponent, count: values.len(), apart: Vec::new() });
    }
    let apart_max = 1 + values.len() / 16;
    let some = [values[0], values[values.len() / 2], values[values.len() - 1]];
    // The middle one of three, so that one odd value does not decide.
    let mut needed = some.map(|value| exponent_of(value, 0));
    needed.sort_unstable();
    let mut exponent = needed[1].or(needed[2])?;
    loop {
        let found = try_exponent(values, exponent, apart_max, mantissas);
        // What would fit if the power were greater.
        let raised: Vec<usize> = found.apart.iter().filter_map(|place| exponent_of(values[*place], exponent)).collect();
        let greatest = raised.iter().copied().max().unwrap_or(exponent);
        let whole = found.count + found.apart.len() == values.len();
        let none = found.apart.len() - raised.len();
        if none > apart_max || (greatest == exponent && !whole) {
            return None;
        }
        // Apart costs some 9 bytes a value, a greater power some 3.3 bits on every one.
        let dearer_bits = (greatest - exponent) * values.len() * 10 / 3;
        if whole && raised.len() * 72 <= dearer_bits {
            return (found.count > 0).then_some(found);
        }
        exponent = greatest;
    }
}

/// Fills in all mantissas; false where one does not fit. No branch depends on a value, so that a few are done at once.
fn all_fit(values: &[f64], exponent: usize, mantissas: &mut [i64]) -> bool {
    let power = POWERS[exponent];
    let mut fit = true;
    for (value, mantissa) in values.iter().zip(mantissas) {
        let scaled = value * power;
        let moved = scaled + ROUNDER;
        fit &= ((moved - ROUNDER) / power).to_bits() == value.to_bits() && scaled.abs() < MANTISSA_MAX;
        // The lowest 52 bits of what was rounded so are a whole number.
        *mantissa = (moved.to_bits() as i64).wrapping_sub(ROUNDER.to_bits() as i64);
    }
    fit
}

/// Fills in mantissas; ends early where more than `apart_max` do not fit.
fn try_exponent(values: &[f64], exponent: usize, apart_max: usize, mantissas: &mut [i64]) -> Decimals {
    let mut found = Decimals { exponent, count: 0, apart: Vec::new() };
    for (place, value) in values.iter().enumerate() {
        match if exponent == 0 { whole(*value) } else { scaled(*value, exponent) } {
            Some(mantissa) => {
                mantissas[found.count] = mantissa;
                found.count += 1;
            }
            None => {
                found.apart.push(place);
                if found.apart.len() > apart_max {
                    break;
                }
            }
        }
    }
    found
}

fn whole(value: f64) -> Option<i64> {
    let number = value as i64;
    ((number as f64).to_bits() == value.to_bits() && (-SMALL_MAX..SMALL_MAX).contains(&number)).then_some(number)
}

fn scaled(value: f64, exponent: usize) -> Option<i64> {
    let scaled = value * POWERS[exponent];
    let rounded = (scaled + ROUNDER) - ROUNDER;
    ((rounded / POWERS[exponent]).to_bits() == value.to_bits() && scaled.abs() < MANTISSA_MAX).then_some(rounded as i64)
}

/// The smallest exponent from `least` on that fits.
fn exponent_of(value: f64, least: usize) -> Option<usize> {
    if least == 0 && whole(value).is_some() {
        return Some(0);
    }
    if !value.is_finite() {
        return None;
    }
    let possible = least.max(1)..=EXPONENT_MAX;
    possible.take_while(|exponent| (value * POWERS[*exponent]).abs() < MANTISSA_MAX).find(|e| scaled(value, *e).is_some())
}

fn write_apart(values: &[f64], places: &[usize], out: &mut Vec<u8>) {
    let first = values[places[0]].to_bits();
    let same = places.iter().all(|place| values[*place].to_bits() == first);
    put_varint(out, (places.len() as u64) << 1 | u64::from(same));
    let mut next = 0;
    for place in places {
        put_varint(out, (place - next) as u64);
        next = place + 1;
    }
    for place in &places[..if same { 1 } else { places.len() }] {
        out.extend_from_slice(&values[*place].to_le_bytes());
    }
}

/// Values that are no decimals, with their places.
#[derive(Default)]
struct Apart(Vec<(usize, f64)>);

impl Apart {
    fn read(from: &mut Reader<'_>, count: usize) -> Option<Apart> {
        let head = from.varint()?;
        let (apart, same) = (usize::try_from(head >> 1).ok()?, head & 1 != 0);
        // Each place takes a byte at least, so this also bounds the memory.
        if apart == 0 || apart >= count || apart > from.rest.len() {
            return None;
        }
        let (mut list, mut next) = (Vec::with_capacity(apart), 0usize);
        for _ in 0..apart {
            let place = next.checked_add(usize::try_from(from.varint()?).ok()?).filter(|place| *place < count)?;
            list.push((place, 0.0));
            next = place + 1;
        }
        let mut value = 0.0;
        for (place, (_, into)) in list.iter_mut().enumerate() {
            if place == 0 || !same {
                value = f64::from_le_bytes(from.array()?);
            }
            *into = value;
        }
        Some(Apart(list))
    }

    fn put_back(&self, begin: usize, out: &mut Vec<f64>) {
        if self.0.is_empty() {
            return;
        }
        let decimals = out.split_off(begin);
        let mut rest = decimals.as_slice();
        for (place, value) in &self.0 {
            let (before, after) = rest.split_at((place - (out.len() - begin)).min(rest.len()));
            out.extend_from_slice(before);
            out.push(*value);
            rest = after;
        }
        out.extend_from_slice(rest);
    }
}
