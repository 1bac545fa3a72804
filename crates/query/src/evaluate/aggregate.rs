//! Aggregations: rows find their group once, then each group's cells are folded for all steps.

use ahash::AHashMap;
use model::Labels;
use model::labels::METRIC_NAME;

use super::arithmetic;
pub(super) use super::fold::fold_one;
use super::fold::{self, Rows};
use super::select::Take;
use super::table::{Row, Table};
use super::{Evaluator, Grid};
use crate::ast::{Aggregate, AggregateOp, Expr, ExprKind, Grouping, Span, ValueType};
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

impl<'a> Evaluator<'a> {
    pub fn aggregate(&mut self, aggregate: &Aggregate, span: Span, grid: Grid) -> Result<Table, EvalError> {
        let parameter = match &aggregate.parameter {
            Some(parameter) if aggregate.op != AggregateOp::CountValues => Some(self.scalar(parameter, grid)?),
            _ => None,
        };
        let label = match &aggregate.parameter {
            Some(parameter) if aggregate.op == AggregateOp::CountValues => self.text(parameter, grid)?,
            _ => String::new(),
        };
        let rows = self.rows(&aggregate.expr, grid)?;
        let parameter_span = aggregate.parameter.as_ref().map_or(span, |parameter| parameter.span);
        let parameter = parameter.unwrap_or_default();
        if let Some(folded) = self.fold(aggregate, &rows, grid)? {
            return Ok(folded);
        }
        if matches!(aggregate.op, AggregateOp::Topk | AggregateOp::Bottomk) {
            let wanted = whole_numbers(&parameter, parameter_span)?;
            if wanted.iter().all(|wanted| *wanted <= fold::RANKED_MAX as i64) {
                return self.rank(aggregate, &rows, &wanted, grid);
            }
        }
        let table = match rows {
            Rows::Made(table) => table,
            Rows::ToMake(stream) => self.collect(stream, grid.count)?,
        };
        match aggregate.op {
            AggregateOp::CountValues => self.count_values(&table, &aggregate.grouping, &label, parameter_span),
            AggregateOp::LimitRatio => self.limit_ratio(table, &parameter, parameter_span),
            AggregateOp::Quantile => {
                self.warn_of_quantiles(&parameter, parameter_span);
                Ok(quantiles(&table, group(&table, &aggregate.grouping), &parameter))
            }
            _ => {
                let wanted = whole_numbers(&parameter, parameter_span)?;
                Ok(self.some_of_each(table, aggregate, |step| wanted[step]))
            }
        }
    }

    /// What an expression's rows are made of: by themselves where that is possible, without a table of all.
    fn rows(&mut self, expr: &Expr, grid: Grid) -> Result<Rows<'a>, EvalError> {
        self.check_cancel()?;
        let inner = expr.unparenthesized();
        let still = grid.count > 1 && super::stands_still(inner);
        let stream = match &inner.kind {
            _ if still => None,
            ExprKind::Vector(selector) => Some(self.select(selector, grid, Take::Value)?),
            ExprKind::Call(call) if call.function.name == "absent_over_time" => None,
            ExprKind::Call(call) if call.args.iter().any(|arg| arg.value_type() == ValueType::Matrix) => {
                Some(self.over_time_rows(call, inner.span, grid)?)
            }
            _ => None,
        };
        Ok(match stream {
            Some(stream) if self.params.delayed_name_removal || stream.stays_apart() => Rows::ToMake(stream),
            Some(stream) => Rows::Made(self.collect(stream, grid.count)?),
            None => Rows::Made(self.vector(expr, grid)?),
        })
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
    let shortest = format!("{value}");
    let decimals = shortest.split_once('.').map_or(0, |(_, decimals)| decimals.len());
    // Of two shortest texts equally near, Go takes the even one.
    let even = format!("{value:.decimals$}");
    if even.parse() == Ok(value) { even } else { shortest }
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
