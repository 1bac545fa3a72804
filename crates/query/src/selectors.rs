//! What a query reads: its vector selectors, how far each looks, and whether the answer depends on time itself.
//!
//! The rule engine indexes rules by these, so that a new sample wakes only the rules that read its series.

use std::time::Duration;

use model::Time;

use crate::ast::{At, Call, DurationExpr, Expr, ExprKind, Shift, Span, VectorSelector};
use crate::evaluate::{DurationContext, first_selector, info_conditions, resolve_duration};
use crate::source::Matcher;

/// One vector selector of a query and the window that it needs, all parts around it counted.
#[derive(Clone, Debug, PartialEq)]
pub struct SelectorUse {
    /// What it selects.
    pub matchers: Vec<Matcher>,
    /// Where it stands.
    pub span: Span,
    /// How far before the instant of evaluation it reads, lookback not counted.
    pub reach: Duration,
    /// How far after the instant of evaluation it reads: a negative offset. Zero for nearly all.
    pub ahead: Duration,
    /// True when it takes the newest sample within the lookback, false when it reads a range.
    pub instant: bool,
    /// True for an `anchored` or `smoothed` range, which looks beyond its edges by up to the lookback.
    pub beyond: bool,
    /// The fixed instant of its own or an outer `@`.
    pub at: Option<At>,
}

impl SelectorUse {
    /// How far back it reads with this lookback.
    pub fn window(&self, lookback: Duration) -> Duration {
        if self.instant || self.beyond { self.reach.saturating_add(lookback) } else { self.reach }
    }

    /// The fixed instant of `@ <number>`, where there is one that does not depend on the query's own range.
    pub fn fixed(&self) -> Option<Time> {
        match self.at {
            Some(At::Time(time)) => Some(time),
            _ => None,
        }
    }
}

/// Every vector selector of the query, in the order of the text. `step()` and `range()` in durations count as of an
/// instant query.
pub fn selectors(expr: &Expr) -> Vec<SelectorUse> {
    let mut found = Vec::new();
    collect(expr, Reach::default(), &mut found);
    found
}

/// Microseconds before the instant of evaluation at which the part is looked at: from `far` to `near`.
#[derive(Clone, Copy, Default)]
struct Reach {
    far: i64,
    near: i64,
    at: Option<At>,
}

impl Reach {
    fn shifted(self, shift: &Shift) -> Reach {
        let offset = shift.offset.as_ref().map_or(0, micros);
        match shift.at {
            Some(at) => Reach { far: offset, near: offset, at: Some(at) },
            None => Reach { far: self.far.saturating_add(offset), near: self.near.saturating_add(offset), at: self.at },
        }
    }
}

fn micros(duration: &DurationExpr) -> i64 {
    resolve_duration(duration, &DurationContext::default(), true).unwrap_or(0)
}

fn collect(expr: &Expr, reach: Reach, found: &mut Vec<SelectorUse>) {
    match &expr.kind {
        ExprKind::Vector(selector) => found.push(one(selector, reach.shifted(&selector.shift), true)),
        ExprKind::Matrix(matrix) => {
            let mut reach = reach.shifted(&matrix.selector.shift);
            reach.far = reach.far.saturating_add(micros(&matrix.range));
            found.push(one(&matrix.selector, reach, false));
        }
        ExprKind::Subquery(subquery) => {
            let mut reach = reach.shifted(&subquery.shift);
            reach.far = reach.far.saturating_add(micros(&subquery.range));
            collect(&subquery.expr, reach, found);
        }
        ExprKind::Call(call) if call.function.name == "info" => {
            collect(&call.args[0], reach, found);
            found.push(info_series(call, expr.span, reach));
        }
        _ => expr.each_child(|child| collect(child, reach, found)),
    }
}

/// The info series that a call of `info` reads, at the instant of its argument's first selector.
fn info_series(call: &Call, span: Span, reach: Reach) -> SelectorUse {
    let mut around = Vec::new();
    first_selector(&call.args[0], &mut around);
    let reach = around.into_iter().rev().fold(reach, Reach::shifted);
    let (mut matchers, labels) = info_conditions(call);
    matchers.extend(labels);
    SelectorUse { matchers, ..one_at(span, reach) }
}

fn one(selector: &VectorSelector, reach: Reach, instant: bool) -> SelectorUse {
    let matchers = selector.matchers.clone();
    SelectorUse { matchers, instant, beyond: selector.edges.is_some(), ..one_at(selector.span, reach) }
}

fn one_at(span: Span, reach: Reach) -> SelectorUse {
    SelectorUse {
        matchers: Vec::new(),
        span,
        reach: Duration::from_micros(reach.far.max(0) as u64),
        ahead: Duration::from_micros(reach.near.min(0).unsigned_abs()),
        instant: true,
        beyond: false,
        at: reach.at,
    }
}

/// Whether the answer may change while no new sample comes: a range moves on, a sample grows too old, `time()` ticks.
/// An instant selector alone changes only when its sample leaves the lookback, and that is not counted here; a part
/// that looks back (`offset`), reads ranges, counts what is absent or asks for the time is.
pub fn depends_on_time(expr: &Expr) -> bool {
    match &expr.kind {
        ExprKind::Vector(selector) => selector.shift.offset.is_some(),
        ExprKind::Matrix(_) | ExprKind::Subquery(_) => true,
        ExprKind::Call(call) => {
            let clock = matches!(call.function.name, "time" | "absent" | "absent_over_time" | "start" | "end");
            let date_without_argument = call.args.is_empty() && call.function.args_max == 1;
            clock || date_without_argument || call.args.iter().any(depends_on_time)
        }
        ExprKind::Binary(binary) if binary.op == crate::ast::BinaryOp::Unless => true,
        _ => {
            let mut depends = false;
            expr.each_child(|child| depends |= depends_on_time(child));
            depends
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn windows(query: &str) -> Vec<(u64, u64, bool)> {
        let expr = crate::parse(query).unwrap();
        let lookback = Duration::from_secs(300);
        selectors(&expr).iter().map(|used| (used.window(lookback).as_secs(), used.ahead.as_secs(), used.at.is_some())).collect()
    }

    #[test]
    fn how_far_each_selector_looks() {
        assert_eq!(windows("up"), [(300, 0, false)]);
        assert_eq!(windows("rate(up[5m]) / on (job) up offset 1h"), [(300, 0, false), (3900, 0, false)]);
        assert_eq!(windows("max_over_time(rate(up[5m] offset 10s)[1h:1m] offset -30s)"), [(300 + 10 + 3600 - 30, 20, false)]);
        assert_eq!(windows("up @ 100 + topk(scalar(a), b)"), [(300, 0, true), (300, 0, false), (300, 0, false)]);
        assert_eq!(windows("rate(up[1m] smoothed)"), [(360, 0, false)]);
        assert_eq!(windows("up offset -1m"), [(300, 60, false)]);
    }

    #[test]
    fn what_changes_by_the_clock_alone() {
        let by_clock =
            ["rate(up[5m])", "time() - up", "absent(up)", "hour() > 8", "up offset 5m", "a unless b", "sum(up[1m:5s])"];
        let cases = by_clock.iter().filter(|query| crate::parse(query).is_ok());
        for query in cases {
            assert!(depends_on_time(&crate::parse(query).unwrap()), "{query}");
        }
        for query in ["up == 0", "sum by (job) (up) > 3", "hour(up)", "1 + 1"] {
            assert!(!depends_on_time(&crate::parse(query).unwrap()), "{query}");
        }
    }
}
