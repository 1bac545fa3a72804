//! Operators between two parts: scalars, a vector and a scalar, two vectors whose series find each other by labels.
//!
//! Who meets whom is found once for all steps; a step at which a side is ambiguous is an error, as in Prometheus.

use ahash::AHashMap;
use model::Labels;
use model::labels::METRIC_NAME;

use super::table::{Data, Table, is_metadata};
use super::{Evaluator, Grid};
use crate::ast::{Binary, BinaryOp, Cardinality, Matching, Span};
use crate::error::EvalError;

/// The value of `op`, and for a comparison whether it holds.
#[inline]
pub(super) fn apply(op: BinaryOp, left: f64, right: f64) -> (f64, bool) {
    match op {
        BinaryOp::Add => (left + right, true),
        BinaryOp::Sub => (left - right, true),
        BinaryOp::Mul => (left * right, true),
        BinaryOp::Div => (left / right, true),
        BinaryOp::Mod => (left % right, true),
        BinaryOp::Pow => (left.powf(right), true),
        BinaryOp::Atan2 => (left.atan2(right), true),
        BinaryOp::Equal => (left, left == right),
        BinaryOp::NotEqual => (left, left != right),
        BinaryOp::Less => (left, left < right),
        BinaryOp::LessEqual => (left, left <= right),
        BinaryOp::Greater => (left, left > right),
        BinaryOp::GreaterEqual => (left, left >= right),
        // Set operators never come here; trimming is refused before.
        BinaryOp::And | BinaryOp::Or | BinaryOp::Unless | BinaryOp::TrimUpper | BinaryOp::TrimLower => (left, false),
    }
}

pub(super) fn truth(holds: bool) -> f64 {
    f64::from(u8::from(holds))
}

/// Rows of both sides with the same values of the matching labels.
#[derive(Default)]
struct Meeting {
    left: Vec<usize>,
    right: Vec<usize>,
}

impl Matching {
    pub(super) fn signature(&self, labels: &Labels) -> Labels {
        let listed = |name: &str| self.labels.iter().any(|label| label == name);
        if self.on { labels.filter(listed) } else { labels.filter(|name| name != METRIC_NAME && !listed(name)) }
    }

    fn meetings(&self, left: &Table, right: &Table) -> Vec<(Labels, Meeting)> {
        let mut places: AHashMap<Labels, usize> = AHashMap::new();
        let mut meetings: Vec<(Labels, Meeting)> = Vec::new();
        let mut place_of = |labels: &Labels, meetings: &mut Vec<(Labels, Meeting)>| {
            *places.entry(self.signature(labels)).or_insert_with_key(|signature| {
                meetings.push((signature.clone(), Meeting::default()));
                meetings.len() - 1
            })
        };
        for (row, who) in left.rows.iter().enumerate() {
            let place = place_of(&who.labels, &mut meetings);
            meetings[place].1.left.push(row);
        }
        for (row, who) in right.rows.iter().enumerate() {
            let place = place_of(&who.labels, &mut meetings);
            meetings[place].1.right.push(row);
        }
        meetings
    }
}

impl Evaluator<'_> {
    pub fn binary(&mut self, binary: &Binary, span: Span, grid: Grid) -> Result<Data, EvalError> {
        if matches!(binary.op, BinaryOp::TrimUpper | BinaryOp::TrimLower) {
            return Err(EvalError::not_yet(binary.op_span, format!("`{}` on native histograms", binary.op.text())));
        }
        let (left, right) = (self.eval(&binary.lhs, grid)?, self.eval(&binary.rhs, grid)?);
        match (left, right) {
            (Data::Scalar(mut left), Data::Scalar(right)) => {
                for (left, right) in left.iter_mut().zip(&right) {
                    let (value, holds) = apply(binary.op, *left, *right);
                    *left = if binary.op.is_comparison() { truth(holds) } else { value };
                }
                Ok(Data::Scalar(left))
            }
            (Data::Vector(table), Data::Scalar(scalar)) => self.with_scalar(binary, span, table, &scalar, false),
            (Data::Scalar(scalar), Data::Vector(table)) => self.with_scalar(binary, span, table, &scalar, true),
            (Data::Vector(left), Data::Vector(right)) if binary.op.is_set() => {
                Ok(Data::Vector(set_operation(binary, left, right).merge_same_labels(span, false)?))
            }
            (Data::Vector(left), Data::Vector(right)) => Ok(Data::Vector(self.matched(binary, span, left, right)?)),
            _ => Err(EvalError::failed(span, "operators work on scalars and instant vectors")),
        }
    }

    fn with_scalar(
        &self,
        binary: &Binary,
        span: Span,
        mut table: Table,
        scalar: &[f64],
        scalar_left: bool,
    ) -> Result<Data, EvalError> {
        let filters = binary.op.is_comparison() && !binary.return_bool;
        for row in 0..table.rows.len() {
            let (values, present) = table.row_mut(row);
            for step in 0..values.len() {
                let (left, right) = if scalar_left { (scalar[step], values[step]) } else { (values[step], scalar[step]) };
                let (value, holds) = apply(binary.op, left, right);
                if filters {
                    // The series' own value stays, on whichever side it stands.
                    present[step] &= holds;
                } else {
                    values[step] = if binary.return_bool { truth(holds) } else { value };
                }
            }
        }
        if filters {
            table.drop_empty();
            return Ok(Data::Vector(table));
        }
        Ok(Data::Vector(self.renamed(table, span)?))
    }

    /// An operator between two vectors. From here on "many" is the side that may have several series per meeting, and
    /// "one" the other; they are left and right unless `group_right` swaps them.
    fn matched(&mut self, binary: &Binary, span: Span, left: Table, right: Table) -> Result<Table, EvalError> {
        let matching = &binary.matching;
        let swapped = matching.cardinality == Cardinality::OneToMany;
        let (many, one) = if swapped { (right, left) } else { (left, right) };
        // As Prometheus does it: with `group_right` too, `fill_left` is for the "many" side.
        let (fill_many, fill_one) = (matching.fill_left, matching.fill_right);
        let sides = Sides { binary, swapped, fill_many, fill_one, delayed: self.params.delayed_name_removal, many, one };
        let filled = fill_many.is_some() || fill_one.is_some();
        let (any_many, any_one) = (sides.many.any_present(), sides.one.any_present());
        // Where a side is empty altogether nothing can be ambiguous.
        let live: Vec<bool> =
            any_many.iter().zip(&any_one).map(|(many, one)| if filled { many | one } else { many & one }).collect();
        let mut out = Table::new(sides.many.steps());
        for (place, (signature, meeting)) in matching.meetings(&sides.many, &sides.one).into_iter().enumerate() {
            if place % 256 == 255 {
                self.check_cancel()?;
            }
            if meeting.right.is_empty() && fill_one.is_none()
                || meeting.left.is_empty() && fill_many.is_none() && meeting.right.len() < 2
            {
                continue;
            }
            sides.meet(&signature, &meeting, &live, &mut out)?;
        }
        out.drop_empty();
        out.merge_same_labels(span, false)
    }
}

/// Two vectors about to be joined.
struct Sides<'a> {
    binary: &'a Binary,
    swapped: bool,
    /// What stands in where the "many" side has no series.
    fill_many: Option<f64>,
    /// What stands in where the "one" side has no series.
    fill_one: Option<f64>,
    delayed: bool,
    many: Table,
    one: Table,
}

impl Sides<'_> {
    fn failed<T>(&self, message: impl Into<String>) -> Result<T, EvalError> {
        // The operator: both its sides are well.
        Err(EvalError::failed(self.binary.op_span, message))
    }

    fn meet(&self, signature: &Labels, meeting: &Meeting, live: &[bool], out: &mut Table) -> Result<(), EvalError> {
        let partners = self.partners(signature, meeting, live)?;
        let one_to_one = self.binary.matching.cardinality == Cardinality::OneToOne;
        let steps = live.len();
        // Steps at which a result exists already: for the pair's labels in many-to-one, for the meeting in one-to-one.
        let mut taken: AHashMap<Labels, Vec<bool>> = AHashMap::new();
        let (mut matched, mut kept) = (vec![false; steps], vec![false; steps]);
        for &row in &meeting.left {
            let (values, present) = self.many.row(row);
            let mut step = 0;
            // A series of the "one" side holds for a stretch of steps; nearly always for all.
            while step < steps {
                let partner = partners[step];
                let stretch = partners[step..].iter().position(|other| *other != partner).map_or(steps, |len| step + len);
                let cells = step..stretch;
                step = stretch;
                if partner.is_none() && self.fill_one.is_none() || !present[cells.clone()].contains(&true) {
                    continue;
                }
                let stand_in = signature.clone();
                let partner_labels = partner.map_or(&stand_in, |row| &self.one.rows[row].labels);
                let labels = self.result_labels(&self.many.rows[row].labels, partner_labels);
                let other = |step: usize| partner.map_or(self.fill_one, |row| self.one.cell(row, step));
                let meets = |step: &usize| present[*step] && other(*step).is_some();
                // What a comparison filters out is in nobody's way.
                let stays = |step: &usize| meets(step) && other(*step).is_some_and(|other| self.value(values[*step], other).1);
                cells.clone().filter(meets).for_each(|step| matched[step] = true);
                for step in cells.clone().filter(stays) {
                    if one_to_one && std::mem::replace(&mut kept[step], true) {
                        return self.failed(
                            "multiple matches for labels: many-to-one matching must be explicit (group_left/group_right)",
                        );
                    }
                }
                if !one_to_one && meeting.left.len() > 1 {
                    let taken = taken.entry(labels.clone()).or_insert_with(|| vec![false; steps]);
                    for step in cells.clone().filter(stays) {
                        if std::mem::replace(&mut taken[step], true) {
                            return self.failed("multiple matches for labels: grouping labels must ensure unique matches");
                        }
                    }
                }
                let (result, here) = out.push(labels, self.binary.return_bool && self.delayed);
                for step in cells.filter(|step| present[*step]) {
                    if let Some(other) = other(step) {
                        (result[step], here[step]) = self.value(values[step], other);
                    }
                }
                out.pop_if_empty();
            }
        }
        let Some(fill) = self.fill_many else { return Ok(()) };
        for &row in &meeting.right {
            let labels = self.result_labels(signature, &self.one.rows[row].labels);
            let (result, here) = out.push(labels, self.binary.return_bool && self.delayed);
            for step in (0..steps).filter(|step| !matched[*step]) {
                if let Some(other) = self.one.cell(row, step) {
                    (result[step], here[step]) = self.value(fill, other);
                }
            }
            out.pop_if_empty();
        }
        Ok(())
    }

    /// For each step the series of the "one" side, which must be one.
    fn partners(&self, signature: &Labels, meeting: &Meeting, live: &[bool]) -> Result<Vec<Option<usize>>, EvalError> {
        let mut partners: Vec<Option<usize>> = vec![None; live.len()];
        if let ([row], None) = (&meeting.right[..], self.fill_one) {
            // Absent cells are seen later; one stretch for all steps.
            return Ok(vec![Some(*row); live.len()]);
        }
        for &row in &meeting.right {
            let (_, present) = self.one.row(row);
            for step in (0..live.len()).filter(|step| present[*step] && live[*step]) {
                if let Some(before) = partners[step].replace(row) {
                    return self.duplicate(signature, before, row);
                }
            }
        }
        Ok(partners)
    }

    fn duplicate<T>(&self, signature: &Labels, before: usize, row: usize) -> Result<T, EvalError> {
        let side = if self.swapped { "left" } else { "right" };
        let mut pair = [before, row].map(|row| braced(&self.one.rows[row].labels));
        pair.sort();
        self.failed(format!(
            "found duplicate series for the match group {} on the {side} hand-side of the operation: [{}, {}]\
             ;many-to-many matching not allowed: matching labels must be unique on one side",
            braced(signature),
            pair[0],
            pair[1]
        ))
    }

    fn value(&self, many: f64, one: f64) -> (f64, bool) {
        let (left, right) = if self.swapped { (one, many) } else { (many, one) };
        let (value, holds) = apply(self.binary.op, left, right);
        if self.binary.return_bool { (truth(holds), true) } else { (value, holds) }
    }

    fn result_labels(&self, many: &Labels, one: &Labels) -> Labels {
        joined_labels(self.binary, self.delayed, many, one)
    }
}

/// The labels of an operator's result; `many` is the side that may have several series per meeting.
pub(super) fn joined_labels(binary: &Binary, delayed: bool, many: &Labels, one: &Labels) -> Labels {
    let matching = &binary.matching;
    let unnamed = !binary.op.is_comparison() || binary.return_bool && !delayed;
    let listed = |name: &str| matching.labels.iter().any(|label| label == name);
    let mut labels = many.filter(|name| {
        let kept = match (matching.cardinality, matching.on) {
            (Cardinality::OneToOne, true) => listed(name),
            (Cardinality::OneToOne, false) => !listed(name),
            _ => true,
        };
        kept && !(unnamed && is_metadata(name))
    });
    for name in &matching.include {
        labels = labels.with(name, one.get(name).unwrap_or(""));
    }
    labels
}

/// Labels as Prometheus' messages show them: the name inside of the braces.
fn braced(labels: &Labels) -> String {
    let pairs: Vec<String> = labels.iter().map(|(name, value)| format!("{name}={}", crate::literal::Quoted(value))).collect();
    format!("{{{}}}", pairs.join(", "))
}

/// `and`, `or`, `unless`.
fn set_operation(binary: &Binary, mut left: Table, mut right: Table) -> Table {
    let steps = left.steps();
    let meetings = binary.matching.meetings(&left, &right);
    let union = |table: &Table, rows: &[usize]| {
        let mut any = vec![false; steps];
        for row in rows {
            any.iter_mut().zip(table.row(*row).1).for_each(|(any, cell)| *any |= cell);
        }
        any
    };
    for (_, meeting) in &meetings {
        match binary.op {
            BinaryOp::Or => {
                let any = union(&left, &meeting.left);
                for row in &meeting.right {
                    right.row_mut(*row).1.iter_mut().zip(&any).for_each(|(cell, any)| *cell &= !any);
                }
            }
            op => {
                let any = union(&right, &meeting.right);
                for row in &meeting.left {
                    let cells = left.row_mut(*row).1.iter_mut().zip(&any);
                    cells.for_each(|(cell, any)| *cell &= *any == (op == BinaryOp::And));
                }
            }
        }
    }
    if binary.op == BinaryOp::Or {
        left.rows.append(&mut right.rows);
        left.values.append(&mut right.values);
        left.present.append(&mut right.present);
    }
    left.drop_empty();
    left
}
