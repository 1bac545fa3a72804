//! Aggregations: rows find their group once, then each group's cells are folded for all steps.

use ahash::AHashMap;
use model::Labels;
use model::labels::METRIC_NAME;

use super::arithmetic::{self, Mean};
use super::table::{Row, Table};
use super::{Evaluator, Grid};
use crate::ast::{Aggregate, AggregateOp, Grouping, Span};
use crate::error::EvalError;

/// Which group each row belongs to, and who the groups are.
struct Groups {
    of_row: Vec<usize>,
    rows: Vec<Row>,
}

pub(super) fn group_labels(labels: &Labels, grouping: &Grouping) -> Labels {
    match grouping {
        Grouping::By(names) if names.is_empty() => Labels::empty(),
        Grouping::By(names) => labels.filter(|name| names.iter().any(|wanted| wanted == name)),
        Grouping::Without(names) => labels.filter(|name| name != METRIC_NAME && !names.iter().any(|gone| gone == name)),
    }
}

fn group(table: &Table, grouping: &Grouping) -> Groups {
    let mut places: AHashMap<Labels, usize> = AHashMap::new();
    let mut groups = Groups { of_row: Vec::with_capacity(table.rows.len()), rows: Vec::new() };
    for row in &table.rows {
        let labels = group_labels(&row.labels, grouping);
        let place = *places.entry(labels).or_insert_with_key(|labels| {
            groups.rows.push(Row { labels: labels.clone(), drop_name: false });
            groups.rows.len() - 1
        });
        groups.rows[place].drop_name |= row.drop_name;
        groups.of_row.push(place);
    }
    groups
}

impl Evaluator<'_> {
    pub fn aggregate(&mut self, aggregate: &Aggregate, span: Span, grid: Grid) -> Result<Table, EvalError> {
        let parameter = match &aggregate.parameter {
            Some(parameter) if aggregate.op != AggregateOp::CountValues => Some(self.scalar(parameter, grid)?),
            _ => None,
        };
        let label = match &aggregate.parameter {
            Some(parameter) if aggregate.op == AggregateOp::CountValues => self.text(parameter, grid)?,
            _ => String::new(),
        };
        let table = self.vector(&aggregate.expr, grid)?;
        let parameter_span = aggregate.parameter.as_ref().map_or(span, |parameter| parameter.span);
        let parameter = parameter.unwrap_or_default();
        match aggregate.op {
            AggregateOp::CountValues => self.count_values(&table, &aggregate.grouping, &label, parameter_span),
            AggregateOp::Topk | AggregateOp::Bottomk | AggregateOp::Limitk => {
                let wanted = whole_numbers(&parameter, parameter_span)?;
                Ok(self.some_of_each(table, aggregate, |step| wanted[step]))
            }
            AggregateOp::LimitRatio => self.limit_ratio(table, &parameter, parameter_span),
            AggregateOp::Quantile => {
                self.warn_of_quantiles(&parameter, parameter_span);
                Ok(quantiles(&table, group(&table, &aggregate.grouping), &parameter))
            }
            op => Ok(fold(&table, group(&table, &aggregate.grouping), op)),
        }
    }

    /// `topk`, `bottomk` and `limitk`: the same rows with fewer cells.
    fn some_of_each(&self, mut table: Table, aggregate: &Aggregate, wanted: impl Fn(usize) -> i64) -> Table {
        let groups = group(&table, &aggregate.grouping);
        let mut members: Vec<Vec<usize>> = vec![Vec::new(); groups.rows.len()];
        groups.of_row.iter().enumerate().for_each(|(row, place)| members[*place].push(row));
        let mut order = Vec::new();
        let mut picked: Vec<(f64, usize)> = Vec::new();
        for step in 0..table.steps() {
            for rows in &members {
                picked.clear();
                picked.extend(rows.iter().filter_map(|row| table.cell(*row, step).map(|value| (value, *row))));
                // NaN loses against everything; of equals the first wins.
                match aggregate.op {
                    AggregateOp::Topk => picked.sort_by(|(a, _), (b, _)| nan_last(*a, *b, b.partial_cmp(a))),
                    AggregateOp::Bottomk => picked.sort_by(|(a, _), (b, _)| nan_last(*a, *b, a.partial_cmp(b))),
                    _ => {}
                }
                let keep = usize::try_from(wanted(step)).unwrap_or(0).min(picked.len());
                for (_, row) in picked.drain(keep..) {
                    table.row_mut(row).1[step] = false;
                }
                if self.instant {
                    order.extend(picked.iter().map(|(_, row)| *row));
                }
            }
        }
        if self.instant && table.steps() == 1 {
            return table.reordered(&order);
        }
        table.drop_empty();
        table
    }

    /// A share of the series, chosen by a hash of their labels, so that it is the same one each time and that `r` and
    /// `r - 1` complement each other. Prometheus chooses in the same way with another hash, hence other series.
    fn limit_ratio(&mut self, mut table: Table, ratios: &[f64], span: Span) -> Result<Table, EvalError> {
        if ratios.iter().any(|ratio| ratio.is_nan()) {
            return Err(EvalError::failed(span, "Ratio value is NaN"));
        }
        for ratio in ratios.iter().filter(|ratio| ratio.abs() > 1.0) {
            let shown = crate::literal::AsNumber(*ratio);
            let text = format_args!("ratio value should be between -1 and 1, got {shown}, capping to {}", ratio.signum());
            self.annotations.warn(span, text);
        }
        for row in 0..table.rows.len() {
            let place = spread(table.rows[row].labels.fingerprint());
            let (_, present) = table.row_mut(row);
            for (here, ratio) in present.iter_mut().zip(ratios) {
                *here &= if *ratio >= 0.0 { place < *ratio } else { place >= 1.0 + ratio };
            }
        }
        table.drop_empty();
        Ok(table)
    }

    fn count_values(&self, table: &Table, grouping: &Grouping, label: &str, span: Span) -> Result<Table, EvalError> {
        if label.is_empty() {
            return Err(EvalError::failed(span, format!("invalid label name {label:?}")));
        }
        let mut counted = Table::new(table.steps());
        let mut places: AHashMap<Labels, usize> = AHashMap::new();
        let mut known: AHashMap<(usize, u64), usize> = AHashMap::new();
        for row in 0..table.rows.len() {
            for step in 0..table.steps() {
                let Some(value) = table.cell(row, step) else { continue };
                let place = *known.entry((row, value.to_bits())).or_insert_with(|| {
                    let labels = table.rows[row].labels.with(label, &written(value));
                    // The value's label stays, whatever the grouping says of others.
                    let grouped = match grouping {
                        Grouping::By(names) if !names.iter().any(|name| name == label) => {
                            group_labels(&labels, grouping).with(label, &written(value))
                        }
                        _ => group_labels(&labels, grouping),
                    };
                    *places.entry(grouped).or_insert_with_key(|labels| {
                        counted.push(labels.clone(), false);
                        counted.rows.len() - 1
                    })
                });
                let (values, present) = counted.row_mut(place);
                values[step] += 1.0;
                present[step] = true;
            }
        }
        Ok(counted)
    }
}

fn nan_last(a: f64, b: f64, order: Option<std::cmp::Ordering>) -> std::cmp::Ordering {
    a.is_nan().cmp(&b.is_nan()).then(order.unwrap_or(std::cmp::Ordering::Equal))
}

/// A value as the label of `count_values` shows it.
fn written(value: f64) -> String {
    if value.is_infinite() {
        return if value > 0.0 { "+Inf".into() } else { "-Inf".into() };
    }
    format!("{value}")
}

/// Spreads a fingerprint evenly over 0 to 1.
fn spread(fingerprint: u64) -> f64 {
    let mut hash = fingerprint;
    hash = (hash ^ (hash >> 33)).wrapping_mul(0xff51_afd7_ed55_8ccd);
    hash = (hash ^ (hash >> 33)).wrapping_mul(0xc4ce_b9fe_1a85_ec53);
    (hash ^ (hash >> 33)) as f64 / u64::MAX as f64
}

fn whole_numbers(values: &[f64], span: Span) -> Result<Vec<i64>, EvalError> {
    let whole = |value: &f64| {
        if value.is_nan() {
            return Err(EvalError::failed(span, "Parameter value is NaN"));
        }
        if value.abs() >= 9.223_372_036_854_776e18 {
            let shown = crate::literal::AsNumber(*value);
            return Err(EvalError::failed(span, format!("Scalar value {shown} overflows int64")));
        }
        Ok(*value as i64)
    };
    values.iter().map(whole).collect()
}

fn quantiles(table: &Table, groups: Groups, parameter: &[f64]) -> Table {
    let mut members: Vec<Vec<usize>> = vec![Vec::new(); groups.rows.len()];
    groups.of_row.iter().enumerate().for_each(|(row, place)| members[*place].push(row));
    let mut out = Table::new(table.steps());
    let mut gathered = Vec::new();
    for (row, rows) in groups.rows.into_iter().zip(&members) {
        let (values, present) = out.push(row.labels, row.drop_name);
        for step in 0..table.steps() {
            gathered.clear();
            gathered.extend(rows.iter().filter_map(|row| table.cell(*row, step)));
            if !gathered.is_empty() {
                values[step] = arithmetic::quantile(parameter[step], &mut gathered);
                present[step] = true;
            }
        }
        out.pop_if_empty();
    }
    out
}

/// What a fold of one cell after the other keeps per step.
trait Fold: Default + Clone {
    fn add(&mut self, value: f64, first: bool);
    fn get(&self) -> f64;
}

#[derive(Clone, Default)]
struct Sum(f64, f64);

impl Fold for Sum {
    #[inline]
    fn add(&mut self, value: f64, first: bool) {
        if first {
            self.0 = value;
        } else {
            arithmetic::kahan_add(value, &mut self.0, &mut self.1);
        }
    }

    fn get(&self) -> f64 {
        self.0 + self.1
    }
}

impl Fold for Mean {
    #[inline]
    fn add(&mut self, value: f64, _: bool) {
        Mean::add(self, value);
    }

    fn get(&self) -> f64 {
        Mean::get(self)
    }
}

#[derive(Clone, Default)]
struct Smallest(f64);

impl Fold for Smallest {
    #[inline]
    fn add(&mut self, value: f64, first: bool) {
        if first || value < self.0 || self.0.is_nan() {
            self.0 = value;
        }
    }

    fn get(&self) -> f64 {
        self.0
    }
}

#[derive(Clone, Default)]
struct Largest(f64);

impl Fold for Largest {
    #[inline]
    fn add(&mut self, value: f64, first: bool) {
        if first || value > self.0 || self.0.is_nan() {
            self.0 = value;
        }
    }

    fn get(&self) -> f64 {
        self.0
    }
}

#[derive(Clone, Default)]
struct Count(f64);

impl Fold for Count {
    #[inline]
    fn add(&mut self, _: f64, _: bool) {
        self.0 += 1.0;
    }

    fn get(&self) -> f64 {
        self.0
    }
}

#[derive(Clone, Default)]
struct One;

impl Fold for One {
    fn add(&mut self, _: f64, _: bool) {}

    fn get(&self) -> f64 {
        1.0
    }
}

#[derive(Clone, Default)]
struct Variance {
    count: f64,
    mean: f64,
    squares: f64,
}

impl Fold for Variance {
    #[inline]
    fn add(&mut self, value: f64, first: bool) {
        self.count += 1.0;
        if first {
            self.mean = value;
            self.squares = if value.is_finite() { 0.0 } else { f64::NAN };
            return;
        }
        let delta = value - self.mean;
        self.mean += delta / self.count;
        self.squares += delta * (value - self.mean);
    }

    fn get(&self) -> f64 {
        self.squares / self.count
    }
}

fn fold(table: &Table, groups: Groups, op: AggregateOp) -> Table {
    match op {
        AggregateOp::Sum => fold_with::<Sum>(table, groups, |value| value),
        AggregateOp::Avg => fold_with::<Mean>(table, groups, |value| value),
        AggregateOp::Min => fold_with::<Smallest>(table, groups, |value| value),
        AggregateOp::Max => fold_with::<Largest>(table, groups, |value| value),
        AggregateOp::Count => fold_with::<Count>(table, groups, |value| value),
        AggregateOp::Stddev => fold_with::<Variance>(table, groups, f64::sqrt),
        AggregateOp::Stdvar => fold_with::<Variance>(table, groups, |value| value),
        _ => fold_with::<One>(table, groups, |value| value),
    }
}

/// One group's cells at one step.
pub(super) fn fold_one(op: AggregateOp, values: &[f64]) -> Option<f64> {
    fn run<F: Fold>(values: &[f64]) -> f64 {
        let mut state = F::default();
        values.iter().enumerate().for_each(|(place, value)| state.add(*value, place == 0));
        state.get()
    }
    Some(match op {
        AggregateOp::Sum => run::<Sum>(values),
        AggregateOp::Avg => run::<Mean>(values),
        AggregateOp::Min => run::<Smallest>(values),
        AggregateOp::Max => run::<Largest>(values),
        AggregateOp::Count => run::<Count>(values),
        AggregateOp::Group => run::<One>(values),
        AggregateOp::Stddev => run::<Variance>(values).sqrt(),
        AggregateOp::Stdvar => run::<Variance>(values),
        _ => return None,
    })
}

fn fold_with<F: Fold>(table: &Table, groups: Groups, finish: impl Fn(f64) -> f64) -> Table {
    let steps = table.steps();
    let mut states = vec![F::default(); groups.rows.len() * steps];
    let mut out = Table::new(steps);
    for row in groups.rows {
        out.push(row.labels, row.drop_name);
    }
    for (row, &place) in groups.of_row.iter().enumerate() {
        let (values, here) = table.row(row);
        let states = &mut states[place * steps..(place + 1) * steps];
        let (_, present) = out.row_mut(place);
        for step in 0..steps {
            if here[step] {
                states[step].add(values[step], !present[step]);
                present[step] = true;
            }
        }
    }
    for ((value, state), present) in out.values.iter_mut().zip(&states).zip(&out.present) {
        if *present {
            *value = finish(state.get());
        }
    }
    out.drop_empty();
    out
}
