//! The type check: what may stand where. Runs while the tree is built, so that a mistake is told at its place.

use crate::ast::{Aggregate, Binary, Call, Cardinality, Expr, ExprKind, Span, ValueType};
use crate::error::ParseErrorKind;
use crate::lexer::Mistake;

fn wrong<T>(span: Span, message: String, hint: Option<&str>) -> Result<T, Mistake> {
    Err((ParseErrorKind::Type, span, message, hint.map(str::to_string)))
}

/// What helps a person who mixed up two types.
fn conversion(wanted: ValueType, found: ValueType) -> Option<&'static str> {
    match (wanted, found) {
        (ValueType::Matrix, ValueType::Vector) => Some("add a range, like [5m], or a subquery, like [5m:1m]"),
        (ValueType::Vector, ValueType::Matrix) => Some("put it into a function over time, like rate(...)"),
        (ValueType::Vector, ValueType::Scalar) => Some("use vector(...)"),
        (ValueType::Scalar, ValueType::Vector) => Some("use scalar(...)"),
        (ValueType::String, _) => Some("quote it"),
        _ => None,
    }
}

fn expect(expr: &Expr, wanted: ValueType, place: &str) -> Result<(), Mistake> {
    let found = expr.value_type();
    if found == wanted {
        return Ok(());
    }
    wrong(expr.span, format!("{place} must be {}, this is {}", wanted.said(), found.said()), conversion(wanted, found))
}

pub(super) fn unary(expr: &Expr) -> Result<(), Mistake> {
    match expr.value_type() {
        ValueType::Scalar | ValueType::Vector => Ok(()),
        other => wrong(expr.span, format!("a sign can't stand before {}", other.said()), conversion(ValueType::Vector, other)),
    }
}

pub(super) fn subquery(expr: &Expr) -> Result<(), Mistake> {
    expect(expr, ValueType::Vector, "what a subquery runs over")
}

pub(super) fn binary(binary: &Binary, span: Span) -> Result<(), Mistake> {
    let op = binary.op.text();
    let (left, right) = (binary.lhs.value_type(), binary.rhs.value_type());
    for (side, found) in [(&binary.lhs, left), (&binary.rhs, right)] {
        if !matches!(found, ValueType::Scalar | ValueType::Vector) {
            let message = format!("`{op}` works on scalars and instant vectors, this is {}", found.said());
            return wrong(side.span, message, conversion(ValueType::Vector, found));
        }
    }
    if binary.return_bool && !binary.op.is_comparison() {
        return wrong(binary.op_span, "`bool` belongs to comparisons only".into(), None);
    }
    let scalars = left == ValueType::Scalar && right == ValueType::Scalar;
    if scalars && binary.op.is_comparison() && !binary.return_bool {
        let hint = Some("without it there would be nothing to filter");
        return wrong(binary.op_span, format!("a comparison of two scalars needs `bool`: `{op} bool`"), hint);
    }
    let matching = &binary.matching;
    let one_scalar = left == ValueType::Scalar || right == ValueType::Scalar;
    if binary.op.is_set() {
        if one_scalar {
            return wrong(span, format!("`{op}` works on two instant vectors, not on a scalar"), Some("use vector(...)"));
        }
        if matching.cardinality != Cardinality::OneToOne {
            return wrong(binary.op_span, format!("`{op}` can't have group_left or group_right"), None);
        }
        if matching.fill_left.is_some() || matching.fill_right.is_some() {
            return wrong(binary.op_span, format!("`{op}` can't have fill"), None);
        }
    }
    let plain = matching.labels.is_empty() && !matching.on && matching.fill_left.is_none() && matching.fill_right.is_none();
    if one_scalar && !plain {
        return wrong(span, "matching labels makes sense between two instant vectors only".into(), None);
    }
    if matching.on
        && let Some(label) = matching.include.iter().find(|label| matching.labels.contains(label))
    {
        return wrong(binary.op_span, format!("label `{label}` stands in `on` and in the group at once"), None);
    }
    Ok(())
}

pub(super) fn aggregate(aggregate: &Aggregate) -> Result<(), Mistake> {
    let name = aggregate.op.text();
    expect(&aggregate.expr, ValueType::Vector, &format!("what `{name}` aggregates"))?;
    if let (Some(wanted), Some(parameter)) = (aggregate.op.parameter(), &aggregate.parameter) {
        expect(parameter, wanted, &format!("the first argument of `{name}`"))?;
    }
    Ok(())
}

pub(super) fn call(call: &Call, span: Span) -> Result<(), Mistake> {
    let function = call.function;
    let count = call.args.len();
    if count < function.args_min || count > function.args_max {
        let wanted = match (function.args_min, function.args_max) {
            (least, most) if least == most => format!("{least}"),
            (least, most) if most > 20 => format!("at least {least}"),
            (least, most) => format!("{least} to {most}"),
        };
        let message = format!("`{}` takes {wanted} argument{}, not {count}", function.name, if wanted == "1" { "" } else { "s" });
        return Err((ParseErrorKind::Type, span, message, Some(format!("{function}"))));
    }
    for (place, arg) in call.args.iter().enumerate() {
        if let Some(wanted) = function.arg(place) {
            expect(arg, wanted, &format!("argument {} of `{}`", place + 1, function.name))?;
        }
    }
    if function.name == "info" && count > 1 && !matches!(call.args[1].kind, ExprKind::Vector(_)) {
        return wrong(call.args[1].span, "argument 2 of `info` must be a selector in braces".into(), None);
    }
    Ok(())
}
