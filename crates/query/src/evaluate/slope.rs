//! `rate`, `increase` and `delta`: the growth within a window, carried on to its edges.

use model::Time;

use super::edges;
use super::select::{Even, Window, Windows};
use super::stream::Scratch;
use crate::ast::Edges;

/// How rate, increase and delta differ.
#[derive(Clone, Copy)]
pub(super) struct Slope {
    pub counter: bool,
    pub per_second: bool,
    pub edges: Option<Edges>,
}

/// How the samples lie in a window; microseconds.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
struct Shape {
    to_start: i64,
    to_end: i64,
    sampled: i64,
    count: usize,
}

/// What follows from a shape alone: a series that is sampled evenly has the same at every step.
#[derive(Clone, Copy, Default)]
struct Carried {
    shape: Shape,
    /// Seconds.
    sampled: f64,
    to_start: f64,
    to_end: f64,
    factor: f64,
}

impl Slope {
    fn factor(self, sampled: f64, to_start: f64, to_end: f64, range: f64) -> f64 {
        let factor = if sampled == 0.0 { 1.0 } else { (sampled + to_start + to_end) / sampled };
        if self.per_second { factor / range } else { factor }
    }

    fn carried(self, shape: Shape, range: f64) -> Carried {
        let seconds = |micros: i64| micros as f64 / 1e6;
        let (mut to_start, mut to_end) = (seconds(shape.to_start), seconds(shape.to_end));
        let sampled = seconds(shape.sampled);
        let between = sampled / (shape.count - 1) as f64;
        // A sample would have been expected within 1.1 intervals; else the series begins or ends inside the window, and is
        // carried on by half an interval.
        let threshold = between * 1.1;
        if to_start >= threshold {
            to_start = between / 2.0;
        }
        if to_end >= threshold {
            to_end = between / 2.0;
        }
        Carried { shape, sampled, to_start, to_end, factor: self.factor(sampled, to_start, to_end, range) }
    }

    /// The growth times what it is carried on by; `known` is what was found for the window before.
    #[inline]
    fn value(self, growth: f64, first: f64, shape: Shape, range: f64, known: &mut Carried) -> f64 {
        if known.shape != shape {
            *known = self.carried(shape, range);
        }
        // A counter was never below zero. One that stands at twice its growth was there long before the window.
        if self.counter && growth > 0.0 && first >= 0.0 && (first < growth * 2.0 || growth.is_infinite()) {
            let to_zero = known.sampled * (first / growth);
            if to_zero < known.to_start {
                return growth * self.factor(known.sampled, to_zero, known.to_end, range);
            }
        }
        growth * known.factor
    }

    /// Makes one value of each window of a series.
    pub fn fill(self, windows: &Windows, scratch: &mut Scratch, values: &mut [f64], present: &mut [bool]) {
        let Scratch { columns, places: resets, .. } = scratch;
        let (times, samples) = (&columns.times[..], &columns.values[..]);
        resets.clear();
        if self.counter {
            let pairs = samples.windows(2).enumerate();
            resets.extend(pairs.filter(|(_, pair)| pair[1] < pair[0]).map(|(place, _)| place));
        }
        let range = windows.range as f64 / 1e6;
        if let Some(edges) = self.edges {
            return windows.walk(columns, |step, window| {
                if let Some(growth) = edges::growth(window, edges, self.counter) {
                    (values[step], present[step]) = (if self.per_second { growth / range } else { growth }, true);
                }
            });
        }
        let mut known = Carried::default();
        let even = if resets.is_empty() { windows.even(times) } else { None };
        let Some(even) = even else {
            return self.fill_steps(windows, 0..values.len(), (times, samples, resets), &mut known, values, present);
        };
        let (begin, end) = (even.steps.start, even.steps.end);
        self.fill_steps(windows, 0..begin, (times, samples, resets), &mut known, values, present);
        self.fill_even(windows, &even, times, samples, &mut known, &mut values[begin..end]);
        present[begin..end].fill(even.last > even.first);
        self.fill_steps(windows, end..values.len(), (times, samples, resets), &mut known, values, present);
    }

    /// Step by step, whatever the samples' times.
    fn fill_steps(
        self,
        windows: &Windows,
        steps: std::ops::Range<usize>,
        (times, samples, resets): (&[Time], &[f64], &[usize]),
        known: &mut Carried,
        values: &mut [f64],
        present: &mut [bool],
    ) {
        let range = windows.range as f64 / 1e6;
        // Places in the column after which the counter started again; walked once, like the samples.
        let mut next = 0;
        windows.walk_steps(times, steps, |step, first, past| {
            let last = past - 1;
            if first == last {
                return;
            }
            let mut growth = samples[last] - samples[first];
            while next < resets.len() && resets[next] < first {
                next += 1;
            }
            resets[next..].iter().take_while(|place| **place < last).for_each(|place| growth += samples[*place]);
            values[step] = self.value(growth, samples[first], shape(windows, step, times, first, last), range, known);
            present[step] = true;
        });
    }

    /// All even steps: what the growth is carried on by is the same for each, so a step is a difference and a product.
    fn fill_even(self, windows: &Windows, even: &Even, times: &[Time], samples: &[f64], known: &mut Carried, values: &mut [f64]) {
        let Even { first, last, stride, .. } = *even;
        if first == last {
            return;
        }
        let range = windows.range as f64 / 1e6;
        let shape = shape(windows, even.steps.start, times, first, last);
        *known = self.carried(shape, range);
        let factor = known.factor;
        // Of counters, those that were near zero are few: found on the way, and made anew.
        let mut near_zero = false;
        let mut set = |value: &mut f64, from: f64, to: f64| {
            let growth = to - from;
            *value = growth * factor;
            near_zero |= (from >= 0.0) & (growth * 2.0 > from);
        };
        if stride == 1 {
            let pairs = samples[first..].iter().zip(&samples[last..]);
            values.iter_mut().zip(pairs).for_each(|(value, (from, to))| set(value, *from, *to));
        } else {
            let pairs = samples[first..].iter().step_by(stride).zip(samples[last..].iter().step_by(stride));
            values.iter_mut().zip(pairs).for_each(|(value, (from, to))| set(value, *from, *to));
        }
        if self.counter && near_zero {
            for (step, value) in values.iter_mut().enumerate() {
                let (from, to) = (samples[first + step * stride], samples[last + step * stride]);
                *value = self.value(to - from, from, shape, range, known);
            }
        }
    }
}

/// How the samples from `first` to `last` lie in the window of a step.
fn shape(windows: &Windows, step: usize, times: &[Time], first: usize, last: usize) -> Shape {
    let end = windows.end(step);
    let start = end.saturating_sub(windows.range);
    Shape {
        to_start: times[first].0.saturating_sub(start),
        to_end: end.saturating_sub(times[last].0),
        sampled: times[last].0 - times[first].0,
        count: last - first + 1,
    }
}

/// The growth within the window, carried on to its edges where the samples come close enough to them.
pub(super) fn extrapolated(window: Window<'_>, lost: impl Iterator<Item = f64>, range: i64, slope: Slope) -> Option<f64> {
    let last = window.values.len().checked_sub(1).filter(|last| *last > 0)?;
    let mut growth = window.values[last] - window.values[0];
    lost.for_each(|value| growth += value);
    let (first_time, last_time) = (window.times[0].0, window.times[last].0);
    let shape = Shape {
        to_start: first_time.saturating_sub(window.start),
        to_end: window.end.saturating_sub(last_time),
        sampled: last_time - first_time,
        count: last + 1,
    };
    let range = range as f64 / 1e6;
    Some(slope.value(growth, window.values[0], shape, range, &mut slope.carried(shape, range)))
}
