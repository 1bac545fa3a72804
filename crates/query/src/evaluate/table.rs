//! What a part of a query becomes: a table with a row per series and a cell per step.
//!
//! Values and presence lie in two flat vectors, row behind row, so that a table costs two allocations however many
//! series it has. A cell that is not present says nothing; NaN is a value like any other.

use ahash::AHashMap;
use model::Labels;
use model::labels::METRIC_NAME;

use crate::ast::Span;
use crate::error::EvalError;

/// The value of a part of a query.
pub(super) enum Data {
    /// One number per step.
    Scalar(Vec<f64>),
    /// A string.
    Text(String),
    /// Series.
    Vector(Table),
}

/// Who a row is.
#[derive(Clone)]
pub(super) struct Row {
    pub labels: Labels,
    /// The metric's name goes away at the end: only with delayed name removal.
    pub drop_name: bool,
}

/// Series with one cell per step.
pub(super) struct Table {
    steps: usize,
    pub rows: Vec<Row>,
    pub values: Vec<f64>,
    pub present: Vec<bool>,
}

impl Table {
    pub fn new(steps: usize) -> Table {
        Table { steps, rows: Vec::new(), values: Vec::new(), present: Vec::new() }
    }

    /// Cells for so many rows, none of them present; the caller says who the rows are.
    pub fn absent(steps: usize, rows: usize) -> Table {
        Table { steps, rows: Vec::new(), values: vec![0.0; rows * steps], present: vec![false; rows * steps] }
    }

    pub fn steps(&self) -> usize {
        self.steps
    }

    /// Adds a row of absent cells and gives them out to be filled.
    pub fn push(&mut self, labels: Labels, drop_name: bool) -> (&mut [f64], &mut [bool]) {
        self.rows.push(Row { labels, drop_name });
        let start = self.values.len();
        self.values.resize(start + self.steps, 0.0);
        self.present.resize(start + self.steps, false);
        (&mut self.values[start..], &mut self.present[start..])
    }

    /// Takes the last row back when none of its cells is present.
    pub fn pop_if_empty(&mut self) {
        let start = self.values.len() - self.steps;
        if !self.present[start..].contains(&true) {
            self.rows.pop();
            self.values.truncate(start);
            self.present.truncate(start);
        }
    }

    pub fn row(&self, row: usize) -> (&[f64], &[bool]) {
        let cells = row * self.steps..(row + 1) * self.steps;
        (&self.values[cells.clone()], &self.present[cells])
    }

    pub fn row_mut(&mut self, row: usize) -> (&mut [f64], &mut [bool]) {
        let cells = row * self.steps..(row + 1) * self.steps;
        (&mut self.values[cells.clone()], &mut self.present[cells])
    }

    pub fn cell(&self, row: usize, step: usize) -> Option<f64> {
        let place = row * self.steps + step;
        self.present[place].then(|| self.values[place])
    }

    /// For each step, whether any series is present.
    pub fn any_present(&self) -> Vec<bool> {
        let mut any = vec![false; self.steps];
        for cells in self.present.chunks_exact(self.steps.max(1)) {
            any.iter_mut().zip(cells).for_each(|(any, cell)| *any |= cell);
        }
        any
    }

    /// Keeps the rows that `keep` wants, in order.
    pub fn retain(&mut self, keep: impl Fn(usize, &[bool]) -> bool) {
        let steps = self.steps;
        let mut kept = 0;
        for row in 0..self.rows.len() {
            let cells = row * steps..(row + 1) * steps;
            if keep(row, &self.present[cells.clone()]) {
                if kept != row {
                    self.values.copy_within(cells.clone(), kept * steps);
                    self.present.copy_within(cells, kept * steps);
                    self.rows.swap(kept, row);
                }
                kept += 1;
            }
        }
        self.rows.truncate(kept);
        self.values.truncate(kept * steps);
        self.present.truncate(kept * steps);
    }

    pub fn drop_empty(&mut self) {
        self.retain(|_, present| present.contains(&true));
    }

    /// The rows in another order.
    pub fn reordered(&self, order: &[usize]) -> Table {
        let mut table = Table::new(self.steps);
        for &row in order {
            let (values, present) = self.row(row);
            table.rows.push(self.rows[row].clone());
            table.values.extend_from_slice(values);
            table.present.extend_from_slice(present);
        }
        table
    }

    /// A one-step table with its cell repeated.
    pub fn repeated(self, steps: usize) -> Table {
        let repeat_value = |value: f64| std::iter::repeat_n(value, steps);
        let repeat_flag = |flag: bool| std::iter::repeat_n(flag, steps);
        Table {
            steps,
            rows: self.rows,
            values: self.values.into_iter().flat_map(repeat_value).collect(),
            present: self.present.into_iter().flat_map(repeat_flag).collect(),
        }
    }

    /// Makes one row of those with the same labels. Two of them present at the same step is an error, and with `strict`
    /// two of them at all.
    pub fn merge_same_labels(self, span: Span, strict: bool) -> Result<Table, EvalError> {
        let mut places: AHashMap<&str, usize> = AHashMap::with_capacity(self.rows.len());
        let mut target = Vec::with_capacity(self.rows.len());
        for row in &self.rows {
            let next = places.len();
            target.push(*places.entry(row.labels.key()).or_insert(next));
        }
        let count = places.len();
        if count == self.rows.len() {
            return Ok(self);
        }
        let same = || EvalError::failed(span, "vector cannot contain metrics with the same labelset");
        if strict {
            return Err(same());
        }
        let mut merged = Table::new(self.steps);
        for (row, &into) in target.iter().enumerate() {
            let (values, present) = self.row(row);
            if into == merged.rows.len() {
                merged.rows.push(self.rows[row].clone());
                merged.values.extend_from_slice(values);
                merged.present.extend_from_slice(present);
                continue;
            }
            let (into_values, into_present) = merged.row_mut(into);
            for step in 0..values.len() {
                if present[step] {
                    if into_present[step] {
                        return Err(same());
                    }
                    into_present[step] = true;
                    into_values[step] = values[step];
                }
            }
        }
        debug_assert_eq!(merged.rows.len(), count);
        Ok(merged)
    }

    /// Takes the metric's name off each row, or marks it to go at the end. The caller merges afterwards.
    pub fn drop_names(&mut self, delayed: bool) {
        for row in &mut self.rows {
            if delayed {
                row.drop_name = true;
            } else {
                row.labels = without_name(&row.labels);
            }
        }
    }
}

/// The labels that say what a metric is; a computed value is no longer that metric.
pub(super) fn is_metadata(name: &str) -> bool {
    matches!(name, METRIC_NAME | "__type__" | "__unit__")
}

/// Without the metric's name, type and unit.
pub(super) fn without_name(labels: &Labels) -> Labels {
    if labels.iter().any(|(name, _)| is_metadata(name)) { labels.filter(|name| !is_metadata(name)) } else { labels.clone() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table(rows: &[(&str, &[Option<f64>])]) -> Table {
        let mut table = Table::new(rows[0].1.len());
        for (name, cells) in rows {
            let (values, present) = table.push(Labels::new([("a", *name)]).unwrap(), false);
            for (step, cell) in cells.iter().enumerate() {
                values[step] = cell.unwrap_or(0.0);
                present[step] = cell.is_some();
            }
        }
        table
    }

    #[test]
    fn same_labels_merge_where_they_do_not_meet() {
        let apart = table(&[("x", &[Some(1.0), None]), ("y", &[None, None]), ("x", &[None, Some(2.0)])]);
        let mut merged = apart.merge_same_labels(Span::default(), false).unwrap();
        assert_eq!((merged.rows.len(), merged.cell(0, 0), merged.cell(0, 1)), (2, Some(1.0), Some(2.0)));
        merged.drop_empty();
        assert_eq!(merged.rows.len(), 1);
        let meeting = table(&[("x", &[Some(1.0)]), ("x", &[Some(2.0)])]);
        assert!(meeting.merge_same_labels(Span::default(), false).is_err());
        let apart = table(&[("x", &[Some(1.0), None]), ("x", &[None, Some(2.0)])]);
        assert!(apart.merge_same_labels(Span::default(), true).is_err());
    }
}
