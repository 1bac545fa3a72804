//! Classic histograms: quantiles and fractions out of the counts of `le` buckets.

use ahash::AHashMap;
use model::Labels;

use super::table::{Data, Table};
use super::{Evaluator, Grid};
use crate::ast::{Call, Expr, Span};
use crate::error::EvalError;

/// Differences below this share are rounding errors of the counts, not a histogram out of order.
const TOLERANCE: f64 = 1e-12;

/// One bucket: how many observations are at most `bound`.
#[derive(Clone, Copy, Debug)]
struct Bucket {
    bound: f64,
    count: f64,
}

/// The rows of one histogram, sorted by bound.
struct Histogram {
    labels: Labels,
    drop_name: bool,
    rows: Vec<(f64, usize)>,
}

/// What had to be mended before a quantile could be taken.
#[derive(Clone, Copy)]
struct Mended {
    lowest: f64,
    highest: f64,
    difference: f64,
    times: u32,
}

impl Evaluator<'_> {
    /// `histogram_quantile(phi, v)`
    pub fn histogram_quantile(&mut self, call: &Call, span: Span, grid: Grid) -> Result<Data, EvalError> {
        let quantiles = self.scalar(&call.args[0], grid)?;
        self.warn_of_quantiles(&quantiles, call.args[0].span);
        let table = self.vector(&call.args[1], grid)?;
        let mut out = Table::new(grid.count);
        self.quantile_rows(&table, &call.args[1], &quantiles, None, &mut out);
        Ok(Data::Vector(self.renamed(out, span)?))
    }

    /// `histogram_quantiles(v, label, phi, ...)`
    pub fn histogram_quantiles(&mut self, call: &Call, span: Span, grid: Grid) -> Result<Data, EvalError> {
        let label = self.text(&call.args[1], grid)?;
        if label.is_empty() {
            return Err(EvalError::failed(call.args[1].span, "invalid label name in histogram_quantiles()"));
        }
        let table = self.vector(&call.args[0], grid)?;
        let mut out = Table::new(grid.count);
        for arg in &call.args[2..] {
            let quantiles = self.scalar(arg, grid)?;
            self.warn_of_quantiles(&quantiles, arg.span);
            self.quantile_rows(&table, &call.args[0], &quantiles, Some(&label), &mut out);
        }
        let out = self.renamed(out, span)?;
        Ok(Data::Vector(out.merge_same_labels(span, false)?))
    }

    fn quantile_rows(&mut self, table: &Table, arg: &Expr, quantiles: &[f64], label: Option<&str>, out: &mut Table) {
        let histograms = self.histograms(table, arg.span);
        let mut buckets = Vec::new();
        let mut mended: Option<Mended> = None;
        for histogram in &histograms {
            // A quantile that moves with the steps makes a row for each value that it takes.
            let mut values: Vec<f64> = quantiles.to_vec();
            if label.is_some() {
                values.sort_by(f64::total_cmp);
                values.dedup_by(|a, b| a.to_bits() == b.to_bits());
            } else {
                values.truncate(1);
            }
            for value in values {
                let labels = match label {
                    Some(label) => histogram.labels.with(label, &quantile_label(value)),
                    None => histogram.labels.clone(),
                };
                let (cells, present) = out.push(labels, histogram.drop_name);
                for step in 0..quantiles.len() {
                    if label.is_some() && quantiles[step].to_bits() != value.to_bits() {
                        continue;
                    }
                    gather(table, histogram, step, &mut buckets);
                    if !buckets.is_empty() {
                        cells[step] = quantile(quantiles[step], &mut buckets, &mut mended);
                        present[step] = true;
                    }
                }
                out.pop_if_empty();
            }
        }
        if let Some(mended) = mended {
            self.note_mended(mended, arg.span);
        }
    }

    fn note_mended(&mut self, mended: Mended, span: Span) {
        let text = "input to histogram_quantile needed to be fixed for monotonicity \
                    (see https://prometheus.io/docs/prometheus/latest/querying/functions/#histogram_quantile)";
        let Mended { lowest, highest, difference, times } = mended;
        let detail = format!("from buckets {lowest} to {highest}, with a max diff of {difference:.2}, over {times} samples");
        self.annotations.info(span, format_args!("{text}, {detail}"));
    }

    /// `histogram_fraction(lower, upper, v)`
    pub fn histogram_fraction(&mut self, call: &Call, span: Span, grid: Grid) -> Result<Data, EvalError> {
        let (lower, upper) = (self.scalar(&call.args[0], grid)?, self.scalar(&call.args[1], grid)?);
        let table = self.vector(&call.args[2], grid)?;
        let histograms = self.histograms(&table, call.args[2].span);
        let mut out = Table::new(grid.count);
        let mut buckets = Vec::new();
        for histogram in &histograms {
            let (cells, present) = out.push(histogram.labels.clone(), histogram.drop_name);
            for step in 0..grid.count {
                gather(&table, histogram, step, &mut buckets);
                if !buckets.is_empty() {
                    cells[step] = fraction(lower[step], upper[step], &mut buckets);
                    present[step] = true;
                }
            }
            out.pop_if_empty();
        }
        Ok(Data::Vector(self.renamed(out, span)?))
    }

    fn histograms(&mut self, table: &Table, span: Span) -> Vec<Histogram> {
        let mut places: AHashMap<Labels, usize> = AHashMap::new();
        let mut histograms: Vec<Histogram> = Vec::new();
        for (row, who) in table.rows.iter().enumerate() {
            let le = who.labels.get("le").unwrap_or("");
            let Some(bound) = bound(le) else {
                let text = format!("bucket label \"le\" is missing or has a malformed value of {}", crate::literal::Quoted(le));
                match self.params.delayed_name_removal && !who.labels.metric().is_empty() {
                    true => self.annotations.warn(span, format_args!("{text} for metric name {:?}", who.labels.metric())),
                    false => self.annotations.warn(span, text),
                }
                continue;
            };
            let labels = who.labels.without("le");
            let place = *places.entry(labels).or_insert_with_key(|labels| {
                histograms.push(Histogram { labels: labels.clone(), drop_name: who.drop_name, rows: Vec::new() });
                histograms.len() - 1
            });
            histograms[place].rows.push((bound, row));
        }
        for histogram in &mut histograms {
            histogram.rows.sort_by(|a, b| a.0.total_cmp(&b.0));
        }
        histograms
    }
}

/// A quantile as a label, in the notation of OpenMetrics: `0.0`, `0.25`, `1.0`.
fn quantile_label(value: f64) -> String {
    let text = crate::literal::AsNumber(value).to_string();
    if text.contains(['.', 'e', 'N', 'I']) { text } else { format!("{text}.0") }
}

/// Reads a bucket's bound as Go reads floats.
fn bound(text: &str) -> Option<f64> {
    match text {
        "+Inf" | "Inf" | "+inf" | "inf" => Some(f64::INFINITY),
        "-Inf" | "-inf" => Some(f64::NEG_INFINITY),
        _ => text.parse().ok().filter(|bound: &f64| !bound.is_nan()),
    }
}

/// The buckets present at a step, those with the same bound as one.
fn gather(table: &Table, histogram: &Histogram, step: usize, into: &mut Vec<Bucket>) {
    into.clear();
    for &(bound, row) in &histogram.rows {
        let Some(count) = table.cell(row, step) else { continue };
        match into.last_mut() {
            Some(last) if last.bound == bound => last.count += count,
            _ => into.push(Bucket { bound, count }),
        }
    }
}

fn quantile(q: f64, buckets: &mut [Bucket], mended: &mut Option<Mended>) -> f64 {
    if q.is_nan() {
        return f64::NAN;
    }
    if !(0.0..=1.0).contains(&q) {
        return if q < 0.0 { f64::NEG_INFINITY } else { f64::INFINITY };
    }
    let last = buckets.len() - 1;
    if buckets[last].bound != f64::INFINITY {
        return f64::NAN;
    }
    mend(buckets, mended);
    let observations = buckets[last].count;
    if last == 0 || observations == 0.0 {
        return f64::NAN;
    }
    let mut rank = q * observations;
    // A comparison with NaN never holds, so the search runs on to the last bucket.
    let found = buckets[..last].partition_point(|bucket| rank.is_nan() || bucket.count.is_nan() || bucket.count < rank);
    if found == last {
        return buckets[last - 1].bound;
    }
    if found == 0 && buckets[0].bound <= 0.0 {
        return buckets[0].bound;
    }
    let (end, mut count, mut start) = (buckets[found].bound, buckets[found].count, 0.0);
    if found > 0 {
        let below = buckets[found - 1];
        start = below.bound;
        count -= below.count;
        rank -= below.count;
    }
    start + (end - start) * (rank / count)
}

/// Lets counts rise with the bounds: small decreases are rounding, larger ones are noted.
fn mend(buckets: &mut [Bucket], mended: &mut Option<Mended>) {
    let mut before = buckets[0].count;
    let mut decreased = false;
    for bucket in &mut buckets[1..] {
        let count = bucket.count;
        if count == before {
            continue;
        }
        if almost_equal(before, count) {
            bucket.count = before;
            continue;
        }
        if count < before {
            bucket.count = before;
            let noted =
                mended.get_or_insert(Mended { lowest: f64::INFINITY, highest: f64::NEG_INFINITY, difference: 0.0, times: 0 });
            noted.lowest = noted.lowest.min(bucket.bound);
            noted.highest = noted.highest.max(bucket.bound);
            noted.difference = noted.difference.max(before - count);
            noted.times += u32::from(!decreased);
            decreased = true;
            continue;
        }
        before = count;
    }
}

fn almost_equal(a: f64, b: f64) -> bool {
    if a.is_nan() && b.is_nan() || a == b {
        return true;
    }
    let (sum, difference) = (a.abs() + b.abs(), (a - b).abs());
    if a == 0.0 || b == 0.0 || sum < f64::MIN_POSITIVE {
        return difference < TOLERANCE * f64::MIN_POSITIVE;
    }
    difference / sum.min(f64::MAX) < TOLERANCE
}

/// The share of observations between two values.
fn fraction(lower: f64, upper: f64, buckets: &mut [Bucket]) -> f64 {
    let last = buckets.len() - 1;
    let count = buckets[last].count;
    if buckets[last].bound != f64::INFINITY || count == 0.0 || lower.is_nan() || upper.is_nan() {
        return f64::NAN;
    }
    if lower >= upper {
        return 0.0;
    }
    let (mut below_lower, mut below_upper) = (None, None);
    let mut below = 0.0;
    let mut start = if buckets[0].bound <= 0.0 { f64::NEG_INFINITY } else { 0.0 };
    for bucket in buckets.iter() {
        let rank_of = |value: f64| {
            if start == f64::NEG_INFINITY {
                bucket.count
            } else {
                below + (bucket.count - below) * (value - start) / (bucket.bound - start)
            }
        };
        for (found, value) in [(&mut below_lower, lower), (&mut below_upper, upper)] {
            if found.is_none() && start >= value {
                *found = Some(below);
            } else if found.is_none() && bucket.bound > value {
                *found = Some(rank_of(value));
            }
        }
        below = bucket.count;
        start = bucket.bound;
    }
    let most = |rank: Option<f64>| rank.map_or(count, |rank| if rank > count { count } else { rank });
    (most(below_upper) - most(below_lower)) / count
}
