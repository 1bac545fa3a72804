//! Sums, quantiles and regressions on plain slices of numbers, with the rounding that Prometheus has.

/// One step of a sum by Kahan with Neumaier's improvement: adds `value` to `sum`, the lost part to `lost`.
#[inline]
pub(super) fn kahan_add(value: f64, sum: &mut f64, lost: &mut f64) {
    let total = *sum + value;
    if total.is_infinite() {
        *lost = 0.0;
    } else if sum.abs() >= value.abs() {
        *lost += (*sum - total) + value;
    } else {
        *lost += (value - total) + *sum;
    }
    *sum = total;
}

/// A mean that sums as long as the sum does not overflow, and from there on moves the mean itself.
#[derive(Clone, Copy, Default)]
pub(super) struct Mean {
    value: f64,
    lost: f64,
    count: f64,
    moving: bool,
}

impl Mean {
    #[inline]
    pub fn add(&mut self, value: f64) {
        self.count += 1.0;
        if self.count == 1.0 {
            self.value = value;
            return;
        }
        if !self.moving {
            let (mut sum, mut lost) = (self.value, self.lost);
            kahan_add(value, &mut sum, &mut lost);
            if !sum.is_infinite() {
                (self.value, self.lost) = (sum, lost);
                return;
            }
            self.moving = true;
            self.value /= self.count - 1.0;
            self.lost /= self.count - 1.0;
        }
        let share = (self.count - 1.0) / self.count;
        self.value *= share;
        self.lost *= share;
        kahan_add(value / self.count, &mut self.value, &mut self.lost);
    }

    pub fn get(&self) -> f64 {
        if self.moving { self.value + self.lost } else { self.value / self.count + self.lost / self.count }
    }
}

/// The sum of a window.
pub(super) fn sum(values: &[f64]) -> f64 {
    let (mut sum, mut lost) = (0.0, 0.0);
    values.iter().for_each(|value| kahan_add(*value, &mut sum, &mut lost));
    if sum.is_infinite() { sum } else { sum + lost }
}

/// The mean of a window.
pub(super) fn mean(values: &[f64]) -> f64 {
    let mut mean = Mean::default();
    values.iter().for_each(|value| mean.add(*value));
    mean.get()
}

/// The population variance of a window, by Welford with Kahan sums.
pub(super) fn variance(values: &[f64]) -> f64 {
    let (mut count, mut mean, mut mean_lost, mut squares, mut squares_lost) = (0.0, 0.0, 0.0, 0.0, 0.0);
    for &value in values {
        count += 1.0;
        let delta = value - (mean + mean_lost);
        kahan_add(delta / count, &mut mean, &mut mean_lost);
        kahan_add(delta * (value - (mean + mean_lost)), &mut squares, &mut squares_lost);
    }
    (squares + squares_lost) / count
}

/// The quantile of `values`, which it sorts; NaN sorts first. Outside of 0 to 1 it is infinite.
pub(super) fn quantile(q: f64, values: &mut [f64]) -> f64 {
    if values.is_empty() || q.is_nan() {
        return f64::NAN;
    }
    if q < 0.0 {
        return f64::NEG_INFINITY;
    }
    if q > 1.0 {
        return f64::INFINITY;
    }
    values.sort_unstable_by(|a, b| b.is_nan().cmp(&a.is_nan()).then(a.partial_cmp(b).unwrap_or(std::cmp::Ordering::Equal)));
    let last = values.len() - 1;
    let rank = q * last as f64;
    let lower = rank.floor().max(0.0);
    let upper = (lower + 1.0).min(last as f64);
    let weight = rank - rank.floor();
    values[lower as usize] * (1.0 - weight) + values[upper as usize] * weight
}

/// Slope per second and value at `zero` (microseconds) of the line through the samples.
pub(super) fn linear_regression(times: &[model::Time], values: &[f64], zero: i64) -> (f64, f64) {
    let (mut x_sum, mut x_lost, mut y_sum, mut y_lost) = (0.0, 0.0, 0.0, 0.0);
    let (mut xy_sum, mut xy_lost, mut xx_sum, mut xx_lost) = (0.0, 0.0, 0.0, 0.0);
    let mut constant = true;
    for (time, &y) in times.iter().zip(values) {
        constant &= y == values[0];
        let x = time.0.saturating_sub(zero) as f64 / 1e6;
        kahan_add(x, &mut x_sum, &mut x_lost);
        kahan_add(y, &mut y_sum, &mut y_lost);
        kahan_add(x * y, &mut xy_sum, &mut xy_lost);
        kahan_add(x * x, &mut xx_sum, &mut xx_lost);
    }
    // The first sample counts as equal to itself, even if it is NaN.
    let constant = constant || values.len() == 1;
    if constant {
        return if values[0].is_infinite() { (f64::NAN, f64::NAN) } else { (0.0, values[0]) };
    }
    let n = values.len() as f64;
    let (x_sum, y_sum, xy_sum, xx_sum) = (x_sum + x_lost, y_sum + y_lost, xy_sum + xy_lost, xx_sum + xx_lost);
    let covariance = xy_sum - x_sum * y_sum / n;
    let variance = xx_sum - x_sum * x_sum / n;
    let slope = covariance / variance;
    (slope, y_sum / n - slope * x_sum / n)
}

/// The larger, as Go has it: infinity wins, then NaN.
pub(super) fn larger(a: f64, b: f64) -> f64 {
    if a == f64::INFINITY || b == f64::INFINITY {
        return f64::INFINITY;
    }
    if a.is_nan() || b.is_nan() { f64::NAN } else { a.max(b) }
}

/// The smaller, as Go has it: minus infinity wins, then NaN.
pub(super) fn smaller(a: f64, b: f64) -> f64 {
    if a == f64::NEG_INFINITY || b == f64::NEG_INFINITY {
        return f64::NEG_INFINITY;
    }
    if a.is_nan() || b.is_nan() { f64::NAN } else { a.min(b) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sums_lose_nothing() {
        assert_eq!(sum(&[1e100, 1.0, -1e100]), 1.0);
        assert_eq!(sum(&[f64::INFINITY, 1.0]), f64::INFINITY);
        assert_eq!(mean(&[f64::MAX, f64::MAX]), f64::MAX);
        assert_eq!(mean(&[1e100, 1.0, -1e100, 2.0]), 0.75);
        assert_eq!(variance(&[1e9 + 4.0, 1e9 + 7.0, 1e9 + 13.0, 1e9 + 16.0]), 22.5);
    }

    #[test]
    fn quantiles_between_samples() {
        assert_eq!(quantile(0.5, &mut [3.0, 1.0, 2.0, 4.0]), 2.5);
        assert_eq!(quantile(1.0, &mut [3.0, f64::NAN, 2.0]), 3.0);
        assert_eq!(quantile(-1.0, &mut [1.0]), f64::NEG_INFINITY);
        assert!(quantile(0.5, &mut []).is_nan());
    }
}
