//! Functions on labels: label_replace, label_join, absent, and sorting.

use std::cmp::Ordering;

use ahash::AHashMap;
use model::Labels;
use model::labels::METRIC_NAME;

use super::table::{Data, Table};
use super::{Evaluator, Grid};
use crate::ast::{Call, Expr, ExprKind, Span};
use crate::error::EvalError;
use crate::source::MatchOp;

impl Evaluator<'_> {
    pub fn label_replace(&mut self, call: &Call, span: Span, grid: Grid) -> Result<Data, EvalError> {
        let mut texts = Vec::with_capacity(4);
        for arg in &call.args[1..] {
            texts.push(self.text(arg, grid)?);
        }
        let [target, replacement, source, pattern] = &texts[..] else {
            return Err(EvalError::failed(span, "label_replace takes four strings"));
        };
        let pattern = regex::RegexBuilder::new(&format!("^(?s:{pattern})$")).size_limit(1 << 20).build().map_err(|_| {
            EvalError::failed(call.args[4].span, format!("invalid regular expression in label_replace(): {pattern}"))
        })?;
        if target.is_empty() {
            let message = format!("invalid destination label name in label_replace(): {target}");
            return Err(EvalError::failed(call.args[1].span, message));
        }
        let mut table = self.vector(&call.args[0], grid)?;
        let mut written = String::new();
        for row in &mut table.rows {
            let value = row.labels.get(source).unwrap_or("");
            if let Some(found) = pattern.captures(value) {
                written.clear();
                found.expand(replacement, &mut written);
                row.labels = set_label(&row.labels, target, &written, span)?;
                row.drop_name &= target != METRIC_NAME;
            }
        }
        Ok(Data::Vector(table.merge_same_labels(span, false)?))
    }

    pub fn label_join(&mut self, call: &Call, span: Span, grid: Grid) -> Result<Data, EvalError> {
        let mut texts = Vec::with_capacity(call.args.len());
        for arg in &call.args[1..] {
            texts.push(self.text(arg, grid)?);
        }
        let [target, separator, sources @ ..] = &texts[..] else {
            return Err(EvalError::failed(span, "label_join takes a label and a separator"));
        };
        if let Some(place) = sources.iter().position(String::is_empty) {
            return Err(EvalError::failed(call.args[place + 3].span, "invalid source label name in label_join(): "));
        }
        if target.is_empty() {
            return Err(EvalError::failed(call.args[1].span, "invalid destination label name in label_join(): "));
        }
        let mut table = self.vector(&call.args[0], grid)?;
        for row in &mut table.rows {
            let values: Vec<&str> = sources.iter().map(|source| row.labels.get(source).unwrap_or("")).collect();
            row.labels = set_label(&row.labels, target, &values.join(separator), span)?;
            row.drop_name &= target != METRIC_NAME;
        }
        Ok(Data::Vector(table.merge_same_labels(span, false)?))
    }

    /// `sort`, `sort_desc`, `sort_by_label`, `sort_by_label_desc`: only an instant query has an order.
    pub fn sort(&mut self, call: &Call, span: Span, grid: Grid) -> Result<Data, EvalError> {
        let table = self.vector(&call.args[0], grid)?;
        if !self.instant {
            let text = "sort is ineffective for range queries since results are always ordered by labels";
            self.annotations.warn(span, text);
            return Ok(Data::Vector(table));
        }
        let mut names = Vec::with_capacity(call.args.len() - 1);
        for arg in &call.args[1..] {
            let name = self.text(arg, grid)?;
            if name.is_empty() {
                return Err(EvalError::failed(arg.span, format!("invalid label name in {}(): ", call.function.name)));
            }
            names.push(name);
        }
        let mut order: Vec<usize> = (0..table.rows.len()).collect();
        let value = |row: usize| table.cell(row, 0).unwrap_or(f64::NAN);
        let by_value = |a: usize, b: usize| value(a).partial_cmp(&value(b)).unwrap_or(Ordering::Equal);
        let nan_last = |a: usize, b: usize| value(a).is_nan().cmp(&value(b).is_nan());
        let by_labels = |a: usize, b: usize| {
            let (a, b) = (&table.rows[a].labels, &table.rows[b].labels);
            let listed = names.iter().map(|name| natural(a.get(name).unwrap_or(""), b.get(name).unwrap_or("")));
            listed.fold(Ordering::Equal, Ordering::then).then_with(|| a.cmp(b))
        };
        match call.function.name {
            "sort" => order.sort_by(|a, b| nan_last(*a, *b).then(by_value(*a, *b))),
            "sort_desc" => order.sort_by(|a, b| nan_last(*a, *b).then(by_value(*b, *a))),
            "sort_by_label" => order.sort_by(|a, b| by_labels(*a, *b)),
            _ => order.sort_by(|a, b| by_labels(*b, *a)),
        }
        Ok(Data::Vector(table.reordered(&order)))
    }
}

pub(super) fn set_label(labels: &Labels, name: &str, value: &str, span: Span) -> Result<Labels, EvalError> {
    if name.len().max(value.len()) > model::labels::LABEL_LEN_MAX {
        return Err(EvalError::failed(
            span,
            format!("label `{}` would grow too long", name.chars().take(64).collect::<String>()),
        ));
    }
    if labels.len() >= model::labels::LABELS_MAX && labels.get(name).is_none() {
        return Err(EvalError::failed(span, "a series would get too many labels"));
    }
    Ok(labels.with(name, value))
}

/// Compares texts so that `a2` comes before `a10`.
fn natural(a: &str, b: &str) -> Ordering {
    let (mut a, mut b) = (a.as_bytes(), b.as_bytes());
    while !a.is_empty() && !b.is_empty() {
        let digits = |text: &[u8]| text.iter().take_while(|byte| byte.is_ascii_digit()).count();
        let (a_len, b_len) = (digits(a), digits(b));
        if a_len > 0 && b_len > 0 {
            let (a_number, b_number) = (&a[..a_len], &b[..b_len]);
            let strip = |number: &[u8]| number.iter().take_while(|byte| **byte == b'0').count().min(number.len());
            let (a_plain, b_plain) = (&a_number[strip(a_number)..], &b_number[strip(b_number)..]);
            let order = a_plain.len().cmp(&b_plain.len()).then(a_plain.cmp(b_plain)).then(a_len.cmp(&b_len));
            if order != Ordering::Equal {
                return order;
            }
            (a, b) = (&a[a_len..], &b[b_len..]);
            continue;
        }
        if a[0] != b[0] {
            return a[0].cmp(&b[0]);
        }
        (a, b) = (&a[1..], &b[1..]);
    }
    a.len().cmp(&b.len())
}

/// 1 at the steps at which `found` has nothing, with the labels that the selector `arg` asks for by `=`.
pub(super) fn absent(arg: &Expr, found: &Table) -> Table {
    let mut out = Table::new(found.steps());
    let any = found.any_present();
    let (values, present) = out.push(absent_labels(arg), false);
    for step in 0..any.len() {
        values[step] = 1.0;
        present[step] = !any[step];
    }
    out.pop_if_empty();
    out
}

fn absent_labels(arg: &Expr) -> Labels {
    let matchers = match &arg.unparenthesized().kind {
        ExprKind::Vector(selector) => &selector.matchers,
        ExprKind::Matrix(matrix) => &matrix.selector.matchers,
        _ => return Labels::empty(),
    };
    let mut seen: AHashMap<&str, Option<&str>> = AHashMap::new();
    for matcher in matchers.iter().filter(|matcher| matcher.name != METRIC_NAME) {
        // A label asked for twice, or not by `=`, is not known.
        let known = matcher.op == MatchOp::Equal && !seen.contains_key(matcher.name.as_str());
        seen.insert(&matcher.name, known.then_some(&matcher.value));
    }
    let known = seen.into_iter().filter_map(|(name, value)| value.map(|value| (name, value)));
    Labels::new(known).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_in_texts_sort_as_numbers() {
        for (a, b) in [("a2", "a10"), ("a", "a1"), ("1", "a"), ("node-2-x", "node-10-a"), ("a09", "a10"), ("", "a")] {
            assert_eq!(natural(a, b), Ordering::Less, "{a} {b}");
            assert_eq!(natural(b, a), Ordering::Greater, "{a} {b}");
        }
        assert_eq!(natural("a10", "a10"), Ordering::Equal);
    }
}
