//! What Prometheus has behind `--enable-feature`: which parts of the language a caller allows, and how names go away.
//!
//! The parser knows all of it; a caller who serves people asks [`crate::parse_with`], so that a query that runs here runs
//! on a Prometheus started with the same features.

use crate::ast::{AggregateOp, DurationExpr, DurationKind, Expr, ExprKind, Shift, Span, VectorSelector};

/// The experimental parts of the language that are allowed. By default none is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Features {
    /// Functions like `info` and `mad_over_time`, and the aggregations `limitk` and `limit_ratio`.
    pub functions: bool,
    /// Arithmetic, `step()` and `range()` in durations.
    pub durations: bool,
    /// `anchored` and `smoothed` ranges.
    pub ranges: bool,
    /// `fill`, `fill_left` and `fill_right` between vectors.
    pub fill: bool,
    /// No part of the language: a metric's name goes away at the end only, see [`crate::Params::delayed_name_removal`].
    pub delayed_name_removal: bool,
}

/// The names that Prometheus gives them, in the order of the fields.
const NAMES: [&str; 5] = [
    "promql-experimental-functions",
    "promql-duration-expr",
    "promql-extended-range-selectors",
    "promql-binop-fill-modifiers",
    "promql-delayed-name-removal",
];

/// A name that is none of [`Features::names`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("no feature is called `{0}`; there are {known}", known = NAMES.join(", "))]
pub struct UnknownFeature(pub String);

impl Features {
    /// The whole language, evaluated as is stable.
    pub const ALL: Features =
        Features { functions: true, durations: true, ranges: true, fill: true, delayed_name_removal: false };
    /// Only what is stable in Prometheus.
    pub const STABLE: Features =
        Features { functions: false, durations: false, ranges: false, fill: false, delayed_name_removal: false };

    /// The names of all, as Prometheus' `--enable-feature` takes them.
    pub const fn names() -> &'static [&'static str] {
        &NAMES
    }

    /// Those of these names.
    pub fn of<'a>(names: impl IntoIterator<Item = &'a str>) -> Result<Features, UnknownFeature> {
        let mut features = Features::STABLE;
        names.into_iter().try_for_each(|name| features.allow(name))?;
        Ok(features)
    }

    /// Allows the one of that name.
    pub fn allow(&mut self, name: &str) -> Result<(), UnknownFeature> {
        let place = NAMES.iter().position(|known| *known == name).ok_or_else(|| UnknownFeature(name.to_owned()))?;
        *self.each()[place] = true;
        Ok(())
    }

    /// The names of those that are allowed.
    pub fn allowed(mut self) -> Vec<&'static str> {
        let each = self.each();
        NAMES.into_iter().zip(each).filter(|(_, allowed)| **allowed).map(|(name, _)| name).collect()
    }

    fn each(&mut self) -> [&mut bool; NAMES.len()] {
        let Features { functions, durations, ranges, fill, delayed_name_removal } = self;
        [functions, durations, ranges, fill, delayed_name_removal]
    }
}

/// A part of a query that is experimental: where, what, and the feature that allows it.
pub(crate) struct Experimental {
    pub span: Span,
    pub what: String,
    pub feature: &'static str,
}

/// The first part of a query that is not allowed.
pub(crate) fn first_refused(expr: &Expr, allowed: &Features) -> Option<Experimental> {
    own(expr, allowed).or_else(|| {
        let mut found = None;
        expr.each_child(|child| {
            if found.is_none() {
                found = first_refused(child, allowed);
            }
        });
        found
    })
}

fn own(expr: &Expr, allowed: &Features) -> Option<Experimental> {
    let refused = |place: usize, span: Span, what: String| Some(Experimental { span, what, feature: NAMES[place] });
    match &expr.kind {
        ExprKind::Call(call) if call.function.experimental && !allowed.functions => {
            refused(0, expr.span, format!("the function `{}`", call.function.name))
        }
        ExprKind::Aggregate(aggregate) if !allowed.functions => match aggregate.op {
            op @ (AggregateOp::Limitk | AggregateOp::LimitRatio) => refused(0, expr.span, format!("`{}`", op.text())),
            _ => None,
        },
        ExprKind::Binary(binary) if !allowed.fill => {
            let fills = binary.matching.fill_left.is_some() || binary.matching.fill_right.is_some();
            if fills { refused(3, binary.op_span, "`fill`".into()) } else { None }
        }
        ExprKind::Vector(selector) => selected(selector, &[], allowed),
        ExprKind::Matrix(matrix) => selected(&matrix.selector, &[&matrix.range], allowed),
        ExprKind::Subquery(subquery) => {
            let durations = [Some(&subquery.range), subquery.step.as_ref(), subquery.shift.offset.as_ref()];
            computed(durations.into_iter().flatten(), allowed)
        }
        _ => None,
    }
}

fn selected(selector: &VectorSelector, ranges: &[&DurationExpr], allowed: &Features) -> Option<Experimental> {
    if selector.edges.is_some() && !allowed.ranges {
        let what = "`anchored` and `smoothed`".into();
        return Some(Experimental { span: selector.span, what, feature: NAMES[2] });
    }
    let Shift { offset, .. } = &selector.shift;
    computed(ranges.iter().copied().chain(offset), allowed)
}

fn computed<'a>(durations: impl Iterator<Item = &'a DurationExpr>, allowed: &Features) -> Option<Experimental> {
    let mut computed = durations.filter(|duration| !matches!(duration.kind, DurationKind::Number(_)));
    let first = computed.next().filter(|_| !allowed.durations)?;
    Some(Experimental { span: first.span, what: "arithmetic in durations".into(), feature: NAMES[1] })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{ParseErrorKind, parse, parse_with};

    #[test]
    fn each_feature_allows_its_part() {
        for (query, place) in [
            ("info(up)", 0),
            ("sum(mad_over_time(up[5m]))", 0),
            ("limitk(3, up) + on () up", 0),
            ("limit_ratio(0.5, up)", 0),
            ("rate(up[5m * 2])", 1),
            ("up offset (1m + 1m)", 1),
            ("max_over_time(up[1h:step()])", 1),
            ("rate(up[5m] anchored)", 2),
            ("up + fill(0) up", 3),
        ] {
            assert!(parse(query).is_ok(), "{query}");
            let error = parse_with(query, &Features::STABLE).unwrap_err();
            assert_eq!(error.kind, ParseErrorKind::Experimental, "{query}");
            assert!(error.hint.unwrap().contains(NAMES[place]), "{query}");
            let mut features = Features::STABLE;
            features.allow(NAMES[place]).unwrap();
            assert!(parse_with(query, &features).is_ok(), "{query}");
        }
        for query in ["rate(up[5m] offset -5m)", "rate(up[300])", "topk(3, up @ end())", "max_over_time(up[1h:5m])"] {
            assert!(parse_with(query, &Features::STABLE).is_ok(), "{query}");
        }
    }
    #[test]
    fn names_there_and_back() {
        assert_eq!(Features::of([]), Ok(Features::STABLE));
        assert_eq!(Features::of(NAMES), Ok(Features { delayed_name_removal: true, ..Features::ALL }));
        for name in NAMES {
            assert_eq!(Features::of([name]).unwrap().allowed(), [name]);
        }
        let wrong = Features::of(["promql-duration-expr", "promql-durations"]).unwrap_err().to_string();
        assert!(wrong.contains("`promql-durations`") && NAMES.iter().all(|name| wrong.contains(name)), "{wrong}");
    }
}
