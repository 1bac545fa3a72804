//! Why an alert's condition no longer holds: it is really over, its series have vanished, or their source does not answer.
//!
//! A vanished series is never an "ok". What a rule needs is read off its expression: of `a unless b` only `a`, of `a or b`
//! either, of `absent(a)` nothing, of anything else every part.

use model::sample::is_stale;
use model::{AlertState, Labels, Time, labels::METRIC_NAME};
use query::ast::{BinaryOp, ExprKind};
use query::source::{Columns, SeriesRef, Source, SourceError, TimeRange};
use query::{Expr, SelectorUse};

use super::{Compiled, Rules};

/// The selectors without whose series a rule can say nothing.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Need {
    One(usize),
    All(Vec<Need>),
    Any(Vec<Need>),
}

impl Need {
    pub(super) fn of(expr: &Expr, selectors: &[SelectorUse]) -> Need {
        let of = |expr: &Expr| Need::of(expr, selectors);
        let one = |span| selectors.iter().position(|used| used.span == span).map_or(Need::All(Vec::new()), Need::One);
        match &expr.kind {
            ExprKind::Number(_) | ExprKind::String(_) => Need::All(Vec::new()),
            ExprKind::Vector(selector) => one(selector.span),
            ExprKind::Matrix(matrix) => one(matrix.selector.span),
            ExprKind::Subquery(subquery) => of(&subquery.expr),
            ExprKind::Paren(inner) => of(inner),
            ExprKind::Unary(unary) => of(&unary.expr),
            ExprKind::Binary(binary) => match binary.op {
                BinaryOp::Unless => of(&binary.lhs),
                BinaryOp::Or => Need::Any(vec![of(&binary.lhs), of(&binary.rhs)]),
                _ => Need::All(vec![of(&binary.lhs), of(&binary.rhs)]),
            },
            ExprKind::Aggregate(aggregate) => of(&aggregate.expr),
            ExprKind::Call(call) if call.function.name.starts_with("absent") => Need::All(Vec::new()),
            ExprKind::Call(call) => Need::All(call.args.iter().map(of).collect()),
        }
    }
}

/// Whether an expression makes up labels.
pub(super) fn relabels(expr: &Expr) -> bool {
    let here = match &expr.kind {
        ExprKind::Call(call) => call.function.name.starts_with("label_"),
        ExprKind::Aggregate(aggregate) => aggregate.op == query::ast::AggregateOp::CountValues,
        ExprKind::Binary(binary) => !binary.matching.include.is_empty(),
        _ => false,
    };
    let mut found = here;
    expr.each_child(|child| found |= relabels(child));
    found
}

/// What became of an alert whose condition does not hold any more. `read` are the labels of its result.
pub(super) fn became(
    rules: &Rules,
    rule: &Compiled,
    read: &Labels,
    at: Time,
    source: &dyn Source,
) -> Result<AlertState, SourceError> {
    let mut look = Look { rule, read, at, source, dead: Vec::new() };
    if look.is_fed(&rule.need)? {
        return Ok(AlertState::Ok);
    }
    let named = |labels: &Labels| Some((labels.get("job")?.to_owned(), labels.get("instance")?.to_owned()));
    for target in look.dead.iter().filter_map(named).chain(named(read)) {
        let Some(up) = rules.ups.get(&target) else { continue };
        if newest(source, *up, TimeRange { from: at - query_lookback(), to: at })? == Some(0.0) {
            return Ok(AlertState::SourceDown);
        }
    }
    Ok(AlertState::NoData)
}

/// Prometheus' lookback: after it a series without a marker has vanished.
fn query_lookback() -> std::time::Duration {
    std::time::Duration::from_secs(300)
}

struct Look<'a> {
    rule: &'a Compiled,
    read: &'a Labels,
    at: Time,
    source: &'a dyn Source,
    dead: Vec<Labels>,
}

impl Look<'_> {
    fn is_fed(&mut self, need: &Need) -> Result<bool, SourceError> {
        match need {
            Need::One(selector) => self.is_alive(*selector),
            Need::All(parts) => {
                for part in parts {
                    if !self.is_fed(part)? {
                        return Ok(false);
                    }
                }
                Ok(true)
            }
            Need::Any(parts) => {
                for part in parts {
                    if self.is_fed(part)? {
                        return Ok(true);
                    }
                }
                Ok(parts.is_empty())
            }
        }
    }

    /// Whether any series of a selector that may stand behind the alert still has a value.
    fn is_alive(&mut self, selector: usize) -> Result<bool, SourceError> {
        let used = &self.rule.selectors[selector];
        if used.at.is_some() {
            return Ok(true);
        }
        let range = TimeRange { from: self.at - used.window(query_lookback()), to: self.at };
        let (rule, read) = (self.rule, self.read);
        let bound = &rule.bound[selector];
        let fits = |labels: &Labels| rule.relabels || may_stand_behind(read, labels);
        match bound.behind(read, fits) {
            Some(few) => self.any_alive(few.iter().map(|place| &bound.series[*place as usize]), range),
            None => self.any_alive(bound.series.iter().filter(|(_, labels)| fits(labels)), range),
        }
    }

    fn any_alive<'b>(
        &mut self,
        series: impl Iterator<Item = &'b (SeriesRef, Labels)>,
        range: TimeRange,
    ) -> Result<bool, SourceError> {
        for (series, labels) in series {
            if newest(self.source, *series, range)?.is_some() {
                return Ok(true);
            }
            if self.dead.len() < 100 {
                self.dead.push(labels.clone());
            }
        }
        Ok(false)
    }
}

/// A series fits a result when no label that both have differs.
fn may_stand_behind(read: &Labels, series: &Labels) -> bool {
    read.iter().filter(|(name, _)| *name != METRIC_NAME).all(|(name, value)| series.get(name).is_none_or(|have| have == value))
}

/// The newest value; none where there is none in the range or the series has ended.
fn newest(source: &dyn Source, series: SeriesRef, range: TimeRange) -> Result<Option<f64>, SourceError> {
    let mut columns = Columns::default();
    source.read(series, range, &mut columns)?;
    Ok(columns.values.last().copied().filter(|value| !is_stale(*value)))
}
