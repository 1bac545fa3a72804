//! `info(v, {labels})`: adds the labels of info metrics, matched by `instance` and `job`.
//!
//! Which info series stands for a target is found for each step: the one with the newest sample. The modifiers of the
//! first selector in the argument govern when the info series are looked at.

use std::collections::{BTreeMap, BTreeSet};

use ahash::AHashMap;
use model::Labels;
use model::labels::METRIC_NAME;

use super::select::{Place, Take};
use super::table::{Data, Row, Table};
use super::{Evaluator, Grid};
use crate::ast::{Call, Expr, ExprKind, Shift, Span};
use crate::error::EvalError;
use crate::source::{MatchOp, Matcher};

/// The labels by which a series finds the info series of its target.
const IDENTIFYING: [&str; 2] = ["instance", "job"];
/// The info metric where none is named.
const TARGET_INFO: &str = "target_info";
/// Longest list of targets that is told to the source; beyond it all info series are read and sorted out here.
const TARGETS_LEN_MAX: usize = 16 << 10;

/// The conditions on the names of info metrics and on their labels, as a call of `info` says them.
pub(crate) fn conditions(call: &Call) -> (Vec<Matcher>, Vec<Matcher>) {
    let named = |op, value: &str| Matcher::new(METRIC_NAME, op, value).expect("a pattern of our own compiles");
    let given = match call.args.get(1).map(|arg| &arg.kind) {
        Some(ExprKind::Vector(selector)) => selector.matchers.clone(),
        _ => Vec::new(),
    };
    let (mut names, labels): (Vec<Matcher>, Vec<Matcher>) = given.into_iter().partition(|matcher| matcher.name == METRIC_NAME);
    if names.is_empty() {
        names.push(named(MatchOp::Equal, TARGET_INFO));
    } else if !names.iter().any(|matcher| matches!(matcher.op, MatchOp::Equal | MatchOp::Regex)) {
        names.insert(0, named(MatchOp::Regex, ".+_info"));
    }
    (names, labels)
}

/// The modifiers around the first selector of an expression, outermost last.
pub(crate) fn first_selector<'a>(expr: &'a Expr, around: &mut Vec<&'a Shift>) -> bool {
    match &expr.kind {
        ExprKind::Vector(selector) => around.push(&selector.shift),
        ExprKind::Matrix(matrix) => around.push(&matrix.selector.shift),
        ExprKind::Subquery(subquery) => {
            let found = first_selector(&subquery.expr, around);
            if found {
                around.push(&subquery.shift);
            }
            return found;
        }
        ExprKind::Aggregate(aggregate) => {
            return first_selector(&aggregate.expr, around)
                || aggregate.parameter.as_ref().is_some_and(|parameter| first_selector(parameter, around));
        }
        _ => {
            let mut found = false;
            expr.each_child(|child| found = found || first_selector(child, around));
            return found;
        }
    }
    true
}

/// Who a series is about: its `instance` and `job`, empty where it has none.
fn target(labels: &Labels) -> [String; 2] {
    IDENTIFYING.map(|name| labels.get(name).unwrap_or("").to_string())
}

/// For each info metric and target, the row that stands for it at each step.
type Winners = BTreeMap<String, AHashMap<[String; 2], Vec<Option<usize>>>>;

impl Evaluator<'_> {
    pub fn info(&mut self, call: &Call, span: Span, grid: Grid) -> Result<Data, EvalError> {
        let base = self.vector(&call.args[0], grid)?;
        let (names, data) = conditions(call);
        let is_info = |labels: &Labels| names.iter().all(|matcher| matcher.matches(labels.metric()));
        let info = self.info_series(call, &base, &names, &data, grid)?;
        let winners = winners(&info, &base.any_present(), span)?;
        // Without any matching info series the series goes on as it is, unless a label was demanded.
        let optional = data.iter().all(|matcher| matcher.matches(""));
        let mut out = Table::new(grid.count);
        for (place, row) in base.rows.iter().enumerate() {
            if place % 64 == 63 {
                self.check_cancel()?;
            }
            let (values, present) = base.row(place);
            if is_info(&row.labels) {
                out.push(row.labels.clone(), row.drop_name);
                let (into, here) = out.row_mut(out.rows.len() - 1);
                into.copy_from_slice(values);
                here.copy_from_slice(present);
                continue;
            }
            let who = target(&row.labels);
            let columns: Vec<&Vec<Option<usize>>> = winners.values().filter_map(|targets| targets.get(&who)).collect();
            let mut made: AHashMap<Vec<Option<usize>>, Option<usize>> = AHashMap::new();
            for step in (0..grid.count).filter(|step| present[*step]) {
                let found: Vec<Option<usize>> = columns.iter().map(|column| column[step]).collect();
                let into = match made.get(&found) {
                    Some(into) => *into,
                    None => {
                        let nothing = found.iter().all(Option::is_none);
                        let into = if nothing && !optional {
                            None
                        } else {
                            let infos = found.iter().flatten().map(|row| &info.rows[*row].labels);
                            out.push(enriched(row, infos, &data, span)?, row.drop_name);
                            Some(out.rows.len() - 1)
                        };
                        self.charge_cells(grid.count)?;
                        made.insert(found, into);
                        into
                    }
                };
                if let Some(into) = into {
                    let (into_values, into_present) = out.row_mut(into);
                    (into_values[step], into_present[step]) = (values[step], true);
                }
            }
        }
        out.drop_empty();
        Ok(Data::Vector(out.merge_same_labels(span, false)?))
    }

    /// The info series of all targets in `base`, with the times of their samples as values.
    fn info_series(
        &mut self,
        call: &Call,
        base: &Table,
        names: &[Matcher],
        data: &[Matcher],
        grid: Grid,
    ) -> Result<Table, EvalError> {
        let mut targets: [BTreeSet<&str>; 2] = Default::default();
        for row in base.rows.iter().filter(|row| !names.iter().all(|matcher| matcher.matches(row.labels.metric()))) {
            for (name, values) in IDENTIFYING.iter().zip(&mut targets) {
                values.extend(row.labels.get(name));
            }
        }
        if targets.iter().all(BTreeSet::is_empty) {
            return Ok(Table::new(grid.count));
        }
        let mut matchers: Vec<Matcher> = names.iter().chain(data).cloned().collect();
        for (name, values) in IDENTIFYING.iter().zip(&targets).filter(|(_, values)| !values.is_empty()) {
            let patterns: Vec<String> = values.iter().map(|value| regex::escape(value)).collect();
            let pattern = patterns.join("|");
            if pattern.len() <= TARGETS_LEN_MAX
                && let Ok(matcher) = Matcher::new(*name, MatchOp::Regex, pattern)
            {
                matchers.push(matcher);
            }
        }
        let mut around = Vec::new();
        first_selector(&call.args[0], &mut around);
        let mut place = Place::default();
        for shift in around {
            if place.at.is_none() {
                let (offset, at) = self.shift(shift)?;
                place = Place { offset: place.offset.saturating_add(offset), at, smoothed: false };
            }
        }
        let stream = self.select_at(&matchers, place, grid, Take::Time)?;
        let mut info = self.collect(stream, grid.count)?;
        let wanted = |labels: &Labels| {
            let fits =
                |(name, values): (&&str, &BTreeSet<&str>)| values.is_empty() || values.contains(labels.get(name).unwrap_or(""));
            IDENTIFYING.iter().zip(&targets).all(fits)
        };
        let keep: Vec<bool> = info.rows.iter().map(|row| wanted(&row.labels)).collect();
        info.retain(|row, _| keep[row]);
        Ok(info)
    }
}

/// For each info metric and target the row with the newest sample at each step.
fn winners(info: &Table, live: &[bool], span: Span) -> Result<Winners, EvalError> {
    let mut winners = Winners::new();
    for (place, row) in info.rows.iter().enumerate() {
        let (times, present) = info.row(place);
        let targets = winners.entry(row.labels.metric().to_string()).or_default();
        let column = targets.entry(target(&row.labels)).or_insert_with(|| vec![None; live.len()]);
        for step in (0..live.len()).filter(|step| live[*step] && present[*step]) {
            let before = column[step].and_then(|row| info.cell(row, step)).unwrap_or(f64::NEG_INFINITY);
            if before == times[step] {
                let other = column[step].map_or(&row.labels, |row| &info.rows[row].labels);
                let millis = (times[step] * 1e3).round();
                let message =
                    format!("found duplicate series for info metric: existing {other} @ {millis}, new {} @ {millis}", row.labels);
                return Err(EvalError::failed(span, message));
            }
            if before < times[step] {
                column[step] = Some(place);
            }
        }
    }
    Ok(winners)
}

/// The labels of a series with those of its info series that it does not have itself.
fn enriched<'a>(base: &Row, infos: impl Iterator<Item = &'a Labels>, data: &[Matcher], span: Span) -> Result<Labels, EvalError> {
    let mut added: BTreeMap<&str, &str> = BTreeMap::new();
    for labels in infos {
        let asked = |name: &str| name != METRIC_NAME && (data.is_empty() || data.iter().any(|matcher| matcher.name == name));
        for (name, value) in labels.iter().filter(|(name, _)| asked(name)) {
            if added.get(name).is_some_and(|have| *have != value) {
                return Err(EvalError::failed(span, format!("conflicting label: {name}")));
            }
            if base.labels.get(name).is_none() {
                added.insert(name, value);
            }
        }
    }
    let mut labels = base.labels.clone();
    for (name, value) in added {
        labels = super::labels::set_label(&labels, name, value, span)?;
    }
    Ok(labels)
}
