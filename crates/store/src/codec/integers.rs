//! Runs of integers: less what all have in common, in as few bits as the rest needs.
//!
//! One of three orders is packed: the integers themselves, their differences, or the differences of those, whichever spread least;
//! divided by what divides all differences, less the smallest (frame of reference). Where a few lie far out, their high
//! bits stand apart (patched frame of reference: Zukowski et al., "Super-Scalar RAM-CPU Cache Compression", 2006); where the spread
//! changes within the run, groups of 32 have a smallest number and a width each.
//!
//! All arithmetic wraps, so every `i64` comes back whatever the differences overflow to.

use super::bitpack::{BLOCK, Unpacker, is_width, mask, pack, packed_len, width_of};
use crate::bits::{Reader, put_signed, put_varint, unzigzag, zigzag};

/// Bits of the first byte: the order, then what follows. The three highest belong to the caller.
const SAME: u8 = 3;
const ORDER_MASK: u8 = 3;
const DIVIDED: u8 = 1 << 2;
const PATCHED: u8 = 1 << 3;
const GROUPED: u8 = 1 << 4;
/// The first of the caller's bits.
pub(super) const FIRST_FREE_BIT: u8 = 1 << 5;

/// Below this size differences, and differences of differences, do not overflow.
pub(super) const SMALL_MAX: i64 = 1 << 61;

/// What divides all differences: a power of two, times an odd number.
#[derive(Clone, Copy)]
struct Divisor {
    shift: u32,
    odd: u64,
    /// `odd * inverse == 1`: dividing without remainder is a multiplication.
    inverse: u64,
}

impl Divisor {
    const ONE: Divisor = Divisor { shift: 0, odd: 1, inverse: 1 };

    fn divide(self, number: i64) -> i64 {
        (number >> self.shift).wrapping_mul(self.inverse as i64)
    }

    fn number(self) -> u64 {
        self.odd << self.shift
    }
}

/// How a run is written.
struct Plan {
    order: usize,
    divisor: Divisor,
    layout: Layout,
}

#[derive(Clone, Copy)]
enum Layout {
    Flat { least: i64, width: u32, patched: bool },
    Grouped,
}

/// Appends a run of at least one integer. `head` are the caller's bits of the first byte, `between` what the caller writes
/// after that byte. `small` says that all are below [`SMALL_MAX`] either side of 0.
pub(crate) fn encode(numbers: &[i64], small: bool, head: u8, between: impl FnOnce(&mut Vec<u8>), out: &mut Vec<u8>) {
    debug_assert!(!numbers.is_empty());
    let ends = Ends::of(numbers);
    if ends.differences == 0 {
        out.push(head | SAME);
        between(out);
        put_signed(out, numbers[0]);
        return;
    }
    let plan = ends.plan(numbers, small);
    let Plan { order, divisor, layout } = plan;
    let flags = match layout {
        Layout::Flat { patched: true, .. } => PATCHED,
        Layout::Flat { .. } => 0,
        Layout::Grouped => GROUPED,
    };
    let divided = if divisor.number() > 1 { DIVIDED } else { 0 };
    out.push(head | order as u8 | divided | flags);
    between(out);
    put_signed(out, numbers[0]);
    if divided != 0 {
        put_varint(out, divisor.number());
    }
    if order == 2 {
        put_signed(out, divisor.divide(numbers[1].wrapping_sub(numbers[0])));
    }
    match (layout, order) {
        (Layout::Grouped, _) => write_groups(numbers, order, divisor, out),
        (Layout::Flat { least, width, patched }, _) => {
            put_signed(out, least);
            out.push(width as u8);
            match order {
                0 => pack(offsets(numbers, divisor).map(|number| number.wrapping_sub(least) as u64), width, out),
                1 => pack(differences(numbers, divisor).map(|number| number.wrapping_sub(least) as u64), width, out),
                _ => pack(second(numbers, divisor).map(|number| number.wrapping_sub(least) as u64), width, out),
            }
            if patched {
                write_patches(numbers, order, divisor, least, width, out);
            }
        }
    }
}

fn offsets(numbers: &[i64], divisor: Divisor) -> impl Iterator<Item = i64> {
    numbers[1..].iter().map(move |number| divisor.divide(number.wrapping_sub(numbers[0])))
}

fn differences(numbers: &[i64], divisor: Divisor) -> impl Iterator<Item = i64> {
    numbers.windows(2).map(move |pair| divisor.divide(pair[1].wrapping_sub(pair[0])))
}

fn second(numbers: &[i64], divisor: Divisor) -> impl Iterator<Item = i64> {
    numbers.windows(3).map(move |three| {
        let (before, after) = (three[1].wrapping_sub(three[0]), three[2].wrapping_sub(three[1]));
        divisor.divide(after).wrapping_sub(divisor.divide(before))
    })
}

fn residuals(numbers: &[i64], order: usize, divisor: Divisor) -> Vec<i64> {
    match order {
        0 => offsets(numbers, divisor).collect(),
        1 => differences(numbers, divisor).collect(),
        _ => second(numbers, divisor).collect(),
    }
}

fn write_groups(numbers: &[i64], order: usize, divisor: Divisor, out: &mut Vec<u8>) {
    for group in residuals(numbers, order, divisor).chunks(BLOCK) {
        let (least, width) = frame(group);
        out.push(width as u8);
        put_signed(out, least);
        pack(group.iter().map(|number| number.wrapping_sub(least) as u64), width, out);
    }
}

fn frame(group: &[i64]) -> (i64, u32) {
    let (least, most) = group.iter().fold((i64::MAX, i64::MIN), |(least, most), number| (least.min(*number), most.max(*number)));
    (least, width_of(most.wrapping_sub(least) as u64))
}

fn write_patches(numbers: &[i64], order: usize, divisor: Divisor, least: i64, width: u32, out: &mut Vec<u8>) {
    let far: Vec<(usize, i64)> = residuals(numbers, order, divisor)
        .into_iter()
        .map(|number| number.wrapping_sub(least))
        .enumerate()
        .filter(|(_, above)| *above as u64 > mask(width))
        .collect();
    put_varint(out, far.len() as u64);
    let mut next = 0;
    for (place, above) in far {
        put_varint(out, (place - next) as u64);
        put_signed(out, above >> width);
        next = place + 1;
    }
}

/// The smallest and the largest of each order.
struct Ends {
    least: [i64; 3],
    most: [i64; 3],
    /// All bits that differences have: 0 where all numbers are the same.
    differences: u64,
}

impl Ends {
    fn of(numbers: &[i64]) -> Ends {
        let mut ends = Ends { least: [0, i64::MAX, i64::MAX], most: [0, i64::MIN, i64::MIN], differences: 0 };
        let Some(first_difference) = numbers.get(1).map(|second| second.wrapping_sub(numbers[0])) else { return ends };
        let (mut last, mut before) = (numbers[0], first_difference);
        for number in &numbers[1..] {
            let offset = number.wrapping_sub(numbers[0]);
            let difference = number.wrapping_sub(last);
            let second = difference.wrapping_sub(before);
            ends.least[0] = ends.least[0].min(offset);
            ends.most[0] = ends.most[0].max(offset);
            ends.least[1] = ends.least[1].min(difference);
            ends.most[1] = ends.most[1].max(difference);
            // The first is 0 and not packed: it widens nothing by much.
            ends.least[2] = ends.least[2].min(second);
            ends.most[2] = ends.most[2].max(second);
            ends.differences |= difference as u64;
            (last, before) = (*number, difference);
        }
        ends
    }

    fn width(&self, order: usize) -> u32 {
        width_of(self.most[order].wrapping_sub(self.least[order]) as u64)
    }

    fn plan(&self, numbers: &[i64], small: bool) -> Plan {
        let widths = [self.width(0), self.width(1), self.width(2)];
        // A higher order must win by what its head costs more.
        let mut order = 0;
        for other in 1..=2.min(numbers.len() - 1) {
            let saved = widths[order].saturating_sub(widths[other]) as usize * numbers.len();
            if saved > 16 {
                order = other;
            }
        }
        let uneven = is_uneven(numbers, widths[order]);
        let divisor = if widths[order] == 0 && !uneven { Divisor::ONE } else { self.divisor(numbers, small) };
        if uneven {
            return uneven_plan(numbers, divisor);
        }
        let (least, most) = (divisor.divide(self.least[order]), divisor.divide(self.most[order]));
        let layout = Layout::Flat { least, width: width_of(most.wrapping_sub(least) as u64), patched: false };
        Plan { order, divisor, layout }
    }

    fn divisor(&self, numbers: &[i64], small: bool) -> Divisor {
        let shift = self.differences.trailing_zeros();
        let mut odd = 1;
        if small {
            odd = 0;
            for pair in numbers.windows(2) {
                odd = common(odd, (pair[1] - pair[0]).unsigned_abs() >> shift);
                if odd == 1 {
                    break;
                }
            }
            odd >>= odd.trailing_zeros();
        }
        // Newton: each step doubles the bits that are right, of which an odd number has three.
        let mut inverse = odd;
        for _ in 0..5 {
            inverse = inverse.wrapping_mul(2u64.wrapping_sub(odd.wrapping_mul(inverse)));
        }
        Divisor { shift, odd, inverse }
    }
}

/// The greatest common divisor; 0 is divided by everything.
fn common(mut of: u64, mut and: u64) -> u64 {
    if of != 0 && and != 0 && of.max(and) <= u64::from(u32::MAX) {
        let (mut of, mut and) = (of as u32, and as u32);
        while and != 0 {
            (of, and) = (and, of % and);
        }
        return u64::from(of);
    }
    while and != 0 {
        (of, and) = (and, of % and);
    }
    of
}

/// Looks at up to 16 places: whether a usual step is so much smaller than the widest that a few patches or groups may pay.
fn is_uneven(numbers: &[i64], width: u32) -> bool {
    let stride = (numbers.len() / 16).max(1);
    let (mut once, mut twice, mut looked) = (0, 0, 0);
    for place in (0..numbers.len().saturating_sub(2)).step_by(stride) {
        let difference = numbers[place + 1].wrapping_sub(numbers[place]);
        let after = numbers[place + 2].wrapping_sub(numbers[place + 1]);
        once += 64 - zigzag(difference).leading_zeros();
        twice += 64 - zigzag(after.wrapping_sub(difference)).leading_zeros();
        looked += 1;
    }
    let usual = once.min(twice);
    looked > 0 && (2 * usual < width * looked || usual + 3 * looked < width * looked)
}

/// The cheapest of all orders, flat with patches or grouped.
fn uneven_plan(numbers: &[i64], divisor: Divisor) -> Plan {
    let mut best: Option<(usize, Plan)> = None;
    for order in 0..=2.min(numbers.len() - 1) {
        let residuals = residuals(numbers, order, divisor);
        let (flat_cost, layout) = patched(&residuals);
        let grouped_cost: usize = residuals
            .chunks(BLOCK)
            .map(|group| {
                let (least, width) = frame(group);
                1 + signed_len(least) + packed_len(group.len(), width)
            })
            .sum();
        let (cost, layout) = if grouped_cost < flat_cost { (grouped_cost, Layout::Grouped) } else { (flat_cost, layout) };
        let cost = cost + 2 * order;
        if best.as_ref().is_none_or(|(least, _)| cost < *least) {
            best = Some((cost, Plan { order, divisor, layout }));
        }
    }
    best.expect("order 0 is always tried").1
}

fn signed_len(number: i64) -> usize {
    (width_of(zigzag(number)) as usize).div_ceil(7).max(1)
}

/// A frame around the middle of the residuals, the far ones patched, and what it costs in bytes.
fn patched(residuals: &[i64]) -> (usize, Layout) {
    let stride = (residuals.len() / 9).max(1);
    let mut some: Vec<i64> = residuals.iter().step_by(stride).copied().collect();
    some.sort_unstable();
    let middle = some.get(some.len() / 2).copied().unwrap_or(0);
    // How many lie how many bits from the middle.
    let mut at = [0usize; 65];
    for number in residuals {
        at[(64 - zigzag(number.wrapping_sub(middle)).leading_zeros()) as usize] += 1;
    }
    let widest = at.iter().rposition(|count| *count > 0).unwrap_or(0);
    let (mut reach, mut least_cost, mut far) = (widest as u32, usize::MAX, 0);
    for width in (0..=widest).rev() {
        let patches = at[width + 1..=widest].iter().enumerate();
        let patches: usize = patches.map(|(more, count)| count * (2 + (more + 1).div_ceil(7))).sum();
        let cost = packed_len(residuals.len(), width as u32) + patches;
        if cost <= least_cost {
            (reach, least_cost) = (width as u32, cost);
        }
        far += at[width];
        if far > residuals.len() / 8 {
            break;
        }
    }
    let near = |number: &&i64| 64 - zigzag(number.wrapping_sub(middle)).leading_zeros() <= reach;
    let (mut least, mut most) = (i64::MAX, i64::MIN);
    for number in residuals.iter().filter(near) {
        (least, most) = (least.min(*number), most.max(*number));
    }
    let width = if least > most { 0 } else { width_of(most.wrapping_sub(least) as u64) };
    let least = if least > most { middle } else { least };
    let patched = residuals.iter().any(|number| number.wrapping_sub(least) as u64 > mask(width));
    (least_cost + signed_len(least) + 2, Layout::Flat { least, width, patched })
}

/// Reads `count` integers (one at least) whose first byte was `head`, and appends what `map` makes of each.
pub(crate) fn decode<T>(from: &mut Reader<'_>, head: u8, count: usize, out: &mut Vec<T>, map: impl Fn(i64) -> T) -> Option<()> {
    let first = from.signed()?;
    let order = head & ORDER_MASK;
    if is_one(head) {
        out.extend((0..count).map(|_| map(first)));
        return Some(());
    }
    let divisor = if head & DIVIDED != 0 { from.varint()? as i64 } else { 1 };
    let mut sum = Sum { number: first, divisor, difference: 0, order };
    out.push(map(first));
    if order == 2 {
        sum.difference = from.signed()?;
        out.push(map(sum.number.wrapping_add(sum.difference.wrapping_mul(divisor))));
        sum.number = sum.number.wrapping_add(sum.difference.wrapping_mul(divisor));
    }
    let left = count.checked_sub(usize::from(order).max(1))?;
    if head & GROUPED != 0 { decode_groups(from, left, sum, out, map) } else { decode_flat(from, head, left, sum, out, map) }
}

/// Whether a run that begins with this byte holds one number only, however many there are.
pub(super) fn is_one(head: u8) -> bool {
    head & ORDER_MASK == SAME
}

/// Where the sums stand.
struct Sum {
    number: i64,
    divisor: i64,
    difference: i64,
    order: u8,
}

impl Sum {
    fn append<T>(&mut self, packed: &[u64], least: i64, out: &mut Vec<T>, map: &impl Fn(i64) -> T) {
        let Sum { mut number, divisor, mut difference, order } = *self;
        match order {
            0 => out.extend(packed.iter().map(|above| {
                let offset = least.wrapping_add(*above as i64);
                map(number.wrapping_add(offset.wrapping_mul(divisor)))
            })),
            1 => out.extend(packed.iter().map(|above| {
                number = number.wrapping_add(least.wrapping_add(*above as i64).wrapping_mul(divisor));
                map(number)
            })),
            _ => out.extend(packed.iter().map(|above| {
                difference = difference.wrapping_add(least.wrapping_add(*above as i64));
                number = number.wrapping_add(difference.wrapping_mul(divisor));
                map(number)
            })),
        }
        (self.number, self.difference) = (number, difference);
    }
}

fn decode_groups<T>(
    from: &mut Reader<'_>,
    mut left: usize,
    mut sum: Sum,
    out: &mut Vec<T>,
    map: impl Fn(i64) -> T,
) -> Option<()> {
    let mut block = [0; BLOCK];
    while left > 0 {
        let here = left.min(BLOCK);
        let width = u32::from(from.byte()?);
        let least = from.signed()?;
        if !is_width(width) {
            return None;
        }
        Unpacker::new(from.bytes(packed_len(here, width))?, width).next_block(&mut block);
        sum.append(&block[..here], least, out, &map);
        left -= here;
    }
    Some(())
}

fn decode_flat<T>(
    from: &mut Reader<'_>,
    head: u8,
    mut left: usize,
    mut sum: Sum,
    out: &mut Vec<T>,
    map: impl Fn(i64) -> T,
) -> Option<()> {
    let least = from.signed()?;
    let width = u32::from(from.byte()?);
    if !is_width(width) {
        return None;
    }
    let mut unpacker = Unpacker::new(from.bytes(packed_len(left, width))?, width);
    let mut patches = Patches { from, left: 0, next: usize::MAX, width };
    if head & PATCHED != 0 {
        patches.begin(left)?;
    }
    let (mut block, mut done) = ([0; BLOCK], 0);
    while left > 0 {
        let here = left.min(BLOCK);
        unpacker.next_block(&mut block);
        while patches.next < done + here {
            patches.apply(&mut block[patches.next - done])?;
        }
        sum.append(&block[..here], least, out, &map);
        (left, done) = (left - here, done + here);
    }
    // A patch beyond the end is none that was written here.
    (patches.left == 0).then_some(())
}

/// The numbers that lie outside of the frame, in order.
struct Patches<'r, 'a> {
    from: &'r mut Reader<'a>,
    left: usize,
    /// The place of the next one.
    next: usize,
    width: u32,
}

impl Patches<'_, '_> {
    fn begin(&mut self, numbers: usize) -> Option<()> {
        self.left = usize::try_from(self.from.varint()?).ok().filter(|count| *count <= numbers)?;
        if self.left > 0 {
            self.next = usize::try_from(self.from.varint()?).ok()?;
        }
        Some(())
    }

    fn apply(&mut self, number: &mut u64) -> Option<()> {
        let high = unzigzag(self.from.varint()?);
        *number |= (high as u64).checked_shl(self.width)?;
        self.left -= 1;
        self.next = match self.left {
            0 => usize::MAX,
            _ => usize::try_from(self.from.varint()?).ok()?.checked_add(self.next)?.checked_add(1)?,
        };
        Some(())
    }
}
