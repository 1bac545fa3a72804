//! Sums over windows that overlap, many windows at a time.
//!
//! A sum by Kahan waits for its own last addition; eight sums side by side do not wait for each other. Each window is
//! still summed from its first sample to its last, so that the result is the same to the last bit as one window alone.

use super::arithmetic;
use super::select::Windows;
use super::stream::Scratch;

/// How many windows side by side.
const LANES: usize = 8;

/// Something that is summed up, in N windows side by side.
trait Running<const N: usize>: Copy {
    /// One of the windows alone.
    type One: Running<1>;
    fn begin() -> Self;
    /// Adds the sample number `count` (from 1) of each.
    fn add(&mut self, values: &[f64; N], count: f64);
    fn lane(&self, lane: usize) -> Self::One;
}

#[derive(Clone, Copy)]
struct Kahan<const N: usize> {
    sum: [f64; N],
    lost: [f64; N],
}

impl<const N: usize> Kahan<N> {
    /// As [`arithmetic::kahan_add`], without branches.
    #[inline(always)]
    fn plus(&mut self, values: &[f64; N]) {
        for (lane, value) in values.iter().enumerate() {
            let (sum, value) = (self.sum[lane], *value);
            let total = sum + value;
            let (large, small) = if sum.abs() >= value.abs() { (sum, value) } else { (value, sum) };
            let lost = self.lost[lane] + ((large - total) + small);
            self.lost[lane] = if total.is_infinite() { 0.0 } else { lost };
            self.sum[lane] = total;
        }
    }

    fn begin() -> Self {
        Kahan { sum: [0.0; N], lost: [0.0; N] }
    }

    fn lane(&self, lane: usize) -> Kahan<1> {
        Kahan { sum: [self.sum[lane]], lost: [self.lost[lane]] }
    }
}

impl<const N: usize> Running<N> for Kahan<N> {
    type One = Kahan<1>;

    fn begin() -> Self {
        Kahan::begin()
    }

    #[inline(always)]
    fn add(&mut self, values: &[f64; N], _: f64) {
        self.plus(values);
    }

    fn lane(&self, lane: usize) -> Kahan<1> {
        Kahan::lane(self, lane)
    }
}

/// The variance by Welford with Kahan sums, as [`arithmetic::variance`].
#[derive(Clone, Copy)]
struct Welford<const N: usize> {
    mean: Kahan<N>,
    squares: Kahan<N>,
}

impl<const N: usize> Running<N> for Welford<N> {
    type One = Welford<1>;

    fn begin() -> Self {
        Welford { mean: Kahan::begin(), squares: Kahan::begin() }
    }

    #[inline(always)]
    fn add(&mut self, values: &[f64; N], count: f64) {
        let mut delta = [0.0; N];
        let mut share = [0.0; N];
        for lane in 0..N {
            delta[lane] = values[lane] - (self.mean.sum[lane] + self.mean.lost[lane]);
            share[lane] = delta[lane] / count;
        }
        self.mean.plus(&share);
        for lane in 0..N {
            delta[lane] *= values[lane] - (self.mean.sum[lane] + self.mean.lost[lane]);
        }
        self.squares.plus(&delta);
    }

    fn lane(&self, lane: usize) -> Welford<1> {
        Welford { mean: self.mean.lane(lane), squares: self.squares.lane(lane) }
    }
}

/// Runs over the windows of the series at hand; `put` is told each step, its window and what it sums up to.
fn over<R: Running<LANES>>(windows: &Windows, scratch: &mut Scratch, mut put: impl FnMut(usize, &[f64], R::One)) {
    let Scratch { columns, windows: found, .. } = scratch;
    let samples = &columns.values[..];
    found.clear();
    windows.walk_places(&columns.times, |step, first, past| found.push((step, first, past)));
    let mut groups = found.chunks_exact(LANES);
    for group in &mut groups {
        let mut running = R::begin();
        let common = group.iter().map(|(_, first, past)| past - first).min().unwrap_or(0);
        let begin = group[0].1;
        let neighbours = group.iter().enumerate().all(|(lane, (_, first, _))| *first == begin + lane);
        if neighbours {
            let together = &samples[begin..begin + common + LANES - 1];
            for (place, values) in together.windows(LANES).enumerate() {
                running.add(values.try_into().expect("as many as there are lanes"), (place + 1) as f64);
            }
        } else {
            let lanes: [&[f64]; LANES] = std::array::from_fn(|lane| &samples[group[lane].1..group[lane].1 + common]);
            for place in 0..common {
                running.add(&lanes.map(|lane| lane[place]), (place + 1) as f64);
            }
        }
        for (lane, &(step, first, past)) in group.iter().enumerate() {
            let mut one = running.lane(lane);
            for (place, value) in samples[first + common..past].iter().enumerate() {
                one.add(&[*value], (common + place + 1) as f64);
            }
            put(step, &samples[first..past], one);
        }
    }
    for &(step, first, past) in groups.remainder() {
        let mut one = R::begin().lane(0);
        samples[first..past].iter().enumerate().for_each(|(place, value)| one.add(&[*value], (place + 1) as f64));
        put(step, &samples[first..past], one);
    }
}

/// `sum_over_time`
pub(super) fn sums(windows: &Windows, scratch: &mut Scratch, values: &mut [f64], present: &mut [bool]) {
    over::<Kahan<LANES>>(windows, scratch, |step, _, Kahan { sum: [sum], lost: [lost] }| {
        values[step] = if sum.is_infinite() { sum } else { sum + lost };
        present[step] = true;
    });
}

/// `avg_over_time`
pub(super) fn means(windows: &Windows, scratch: &mut Scratch, values: &mut [f64], present: &mut [bool]) {
    over::<Kahan<LANES>>(windows, scratch, |step, window, Kahan { sum: [sum], lost: [lost] }| {
        let count = window.len() as f64;
        // A sum that overflows goes another way.
        values[step] = if sum.is_finite() { sum / count + lost / count } else { arithmetic::mean(window) };
        present[step] = true;
    });
}

/// `stdvar_over_time`, and by `finish` `stddev_over_time`
pub(super) fn variances(
    windows: &Windows,
    scratch: &mut Scratch,
    values: &mut [f64],
    present: &mut [bool],
    finish: fn(f64) -> f64,
) {
    over::<Welford<LANES>>(windows, scratch, |step, window, Welford { squares, .. }| {
        values[step] = finish((squares.sum[0] + squares.lost[0]) / window.len() as f64);
        present[step] = true;
    });
}

/// `min_over_time` and `max_over_time`: the places of the samples that may still become the extreme, best first.
pub(super) fn extremes(
    windows: &Windows,
    scratch: &mut Scratch,
    values: &mut [f64],
    present: &mut [bool],
    better: impl Fn(f64, f64) -> bool,
) {
    let Scratch { columns, places, .. } = scratch;
    let samples = &columns.values[..];
    places.clear();
    let (mut front, mut seen) = (0, 0);
    windows.walk_places(&columns.times, |step, first, past| {
        // NaN only wins when there is nothing else.
        for place in (seen.max(first)..past).filter(|place| !samples[*place].is_nan()) {
            while places.len() > front && places.last().is_some_and(|last| better(samples[place], samples[*last])) {
                places.pop();
            }
            places.push(place);
        }
        seen = past;
        while front < places.len() && places[front] < first {
            front += 1;
        }
        values[step] = places.get(front).map_or(f64::NAN, |place| samples[*place]);
        present[step] = true;
    });
}

#[cfg(test)]
mod tests {
    use super::super::arithmetic::kahan_add;
    use super::*;

    #[test]
    fn side_by_side_is_the_same_to_the_last_bit() {
        let mut state = 7u64;
        let mut next = || {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            match state >> 59 {
                0 => f64::NAN,
                1 => 1e300,
                2 => -1e300,
                _ => (state >> 20) as f64 / 1e7 - 800.0,
            }
        };
        let samples: Vec<[f64; 4]> = (0..200).map(|_| std::array::from_fn(|_| next())).collect();
        let mut lanes = Kahan::<4>::begin();
        let mut spread = Welford::<4>::begin();
        for (place, values) in samples.iter().enumerate() {
            lanes.plus(values);
            spread.add(values, (place + 1) as f64);
        }
        for lane in 0..4 {
            let (mut sum, mut lost) = (0.0, 0.0);
            samples.iter().for_each(|values| kahan_add(values[lane], &mut sum, &mut lost));
            let one = lanes.lane(lane);
            assert_eq!((one.sum[0].to_bits(), one.lost[0].to_bits()), (sum.to_bits(), lost.to_bits()));
            let column: Vec<f64> = samples.iter().map(|values| values[lane]).collect();
            let one = spread.lane(lane).squares;
            let variance = (one.sum[0] + one.lost[0]) / 200.0;
            assert!(variance == arithmetic::variance(&column) || variance.is_nan() && arithmetic::variance(&column).is_nan());
        }
    }
}
