//! A query's tree as JSON, in the form in which Prometheus 3 answers `/parse_query`.

use ::query::ast::{
    Aggregate, At, Binary, Call, Cardinality, Expr, ExprKind, Grouping, Matching, Shift, ValueType, VectorSelector,
};
use ::query::ast::{DurationExpr, DurationKind};
use ::query::source::{MatchOp, Matcher};
use serde_json::{Value, json};
use wire::number::float_text;

/// The tree of an expression.
pub fn of(expr: &Expr) -> Value {
    match &expr.kind {
        ExprKind::Number(number) => json!({ "type": "numberLiteral", "val": float_text(number.value) }),
        ExprKind::String(text) => json!({ "type": "stringLiteral", "val": text }),
        ExprKind::Vector(selector) => {
            let mut node = json!({ "type": "vectorSelector" });
            select(&mut node, selector);
            node
        }
        ExprKind::Matrix(matrix) => {
            let mut node = json!({ "type": "matrixSelector", "range": millis(&matrix.range) });
            select(&mut node, &matrix.selector);
            node
        }
        ExprKind::Subquery(subquery) => {
            let step = subquery.step.as_ref().map_or(json!(0), millis);
            let mut node =
                json!({ "type": "subquery", "expr": of(&subquery.expr), "range": millis(&subquery.range), "step": step });
            shift(&mut node, &subquery.shift);
            node
        }
        ExprKind::Paren(inner) => json!({ "type": "parenExpr", "expr": of(inner) }),
        ExprKind::Unary(unary) => {
            json!({ "type": "unaryExpr", "op": if unary.negative { "-" } else { "+" }, "expr": of(&unary.expr) })
        }
        ExprKind::Binary(binary) => of_binary(binary),
        ExprKind::Aggregate(aggregate) => of_aggregate(aggregate),
        ExprKind::Call(call) => of_call(call),
    }
}

fn select(node: &mut Value, selector: &VectorSelector) {
    node["name"] = json!(selector.name.as_deref().unwrap_or(""));
    node["matchers"] = selector.matchers.iter().map(of_matcher).collect();
    shift(node, &selector.shift);
}

fn of_matcher(matcher: &Matcher) -> Value {
    let op = match matcher.op {
        MatchOp::Equal => "=",
        MatchOp::NotEqual => "!=",
        MatchOp::Regex => "=~",
        MatchOp::NotRegex => "!~",
    };
    json!({ "name": matcher.name, "value": matcher.value, "type": op })
}

fn shift(node: &mut Value, shift: &Shift) {
    let (timestamp, start_or_end) = match shift.at {
        Some(At::Time(time)) => (json!(time.millis()), Value::Null),
        Some(At::Start) => (Value::Null, json!("start")),
        Some(At::End) => (Value::Null, json!("end")),
        None => (Value::Null, Value::Null),
    };
    node["offset"] = shift.offset.as_ref().map_or(json!(0), millis);
    node["timestamp"] = timestamp;
    node["startOrEnd"] = start_or_end;
}

/// A duration in milliseconds; one that depends on the query's times as it is written.
fn millis(duration: &DurationExpr) -> Value {
    match &duration.kind {
        DurationKind::Number(number) => json!((number.value * 1e3).round() as i64),
        DurationKind::Unary { negative, of } => match millis(of).as_i64() {
            Some(of) => json!(if *negative { -of } else { of }),
            None => json!(duration.to_string()),
        },
        DurationKind::Paren(inner) => millis(inner),
        _ => json!(duration.to_string()),
    }
}

fn of_binary(binary: &Binary) -> Value {
    let vectors = binary.lhs.value_type() == ValueType::Vector && binary.rhs.value_type() == ValueType::Vector;
    json!({
        "type": "binaryExpr", "op": binary.op.text(), "lhs": of(&binary.lhs), "rhs": of(&binary.rhs),
        "matching": vectors.then(|| of_matching(&binary.matching, binary.op.is_set())), "bool": binary.return_bool,
    })
}

fn of_matching(matching: &Matching, is_set: bool) -> Value {
    let card = match matching.cardinality {
        _ if is_set => "many-to-many",
        Cardinality::OneToOne => "one-to-one",
        Cardinality::ManyToOne => "many-to-one",
        Cardinality::OneToMany => "one-to-many",
    };
    json!({ "card": card, "labels": matching.labels, "on": matching.on, "include": matching.include })
}

fn of_aggregate(aggregate: &Aggregate) -> Value {
    let (grouping, without) = match &aggregate.grouping {
        Grouping::By(labels) => (labels, false),
        Grouping::Without(labels) => (labels, true),
    };
    json!({
        "type": "aggregation", "op": aggregate.op.text(), "expr": of(&aggregate.expr),
        "param": aggregate.parameter.as_ref().map(of), "grouping": grouping, "without": without,
    })
}

fn of_call(call: &Call) -> Value {
    let function = call.function;
    let word = |kind: ValueType| match kind {
        ValueType::Scalar => "scalar",
        ValueType::String => "string",
        ValueType::Vector => "vector",
        ValueType::Matrix => "matrix",
    };
    // Prometheus counts the optional arguments, or says -1 for any number.
    let optional = function.args_max - function.args_min;
    let variadic = if function.args_max > 16 { -1 } else { optional as i64 };
    json!({
        "type": "call",
        "func": {
            "name": function.name, "argTypes": function.args.iter().map(|kind| word(*kind)).collect::<Vec<_>>(),
            "variadic": variadic, "returnType": word(function.returns),
        },
        "args": call.args.iter().map(of).collect::<Vec<_>>(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn trees_as_prometheus_answers_them() {
        for (query, tree) in [
            ("1.5", json!({ "type": "numberLiteral", "val": "1.5" })),
            (
                "rate(a{b=~\"c\"}[5m] offset -1m)",
                json!({
                    "type": "call",
                    "func": { "name": "rate", "argTypes": ["matrix"], "variadic": 0, "returnType": "vector" },
                    "args": [{
                        "type": "matrixSelector", "name": "a", "range": 300_000, "offset": -60_000,
                        "matchers": [
                            { "name": "b", "value": "c", "type": "=~" }, { "name": "__name__", "value": "a", "type": "=" },
                        ],
                        "timestamp": null, "startOrEnd": null,
                    }],
                }),
            ),
            (
                "-(x @ end()) and on(a) y",
                json!({
                    "type": "binaryExpr", "op": "and", "bool": false,
                    "matching": { "card": "many-to-many", "labels": ["a"], "on": true, "include": [] },
                    "lhs": { "type": "unaryExpr", "op": "-", "expr": { "type": "parenExpr", "expr": {
                        "type": "vectorSelector", "name": "x", "offset": 0, "timestamp": null, "startOrEnd": "end",
                        "matchers": [{ "name": "__name__", "value": "x", "type": "=" }],
                    } } },
                    "rhs": {
                        "type": "vectorSelector", "name": "y", "offset": 0, "timestamp": null, "startOrEnd": null,
                        "matchers": [{ "name": "__name__", "value": "y", "type": "=" }],
                    },
                }),
            ),
        ] {
            let mut made = of(&::query::parse(query).unwrap());
            let mut tree = tree;
            sort_matchers(&mut made);
            sort_matchers(&mut tree);
            assert_eq!(made, tree, "{query}");
        }
        let made = of(&::query::parse("topk without(a) (3, max_over_time(b[1h:5m]))").unwrap());
        assert_eq!((&made["op"], &made["without"], &made["param"]["val"]), (&json!("topk"), &json!(true), &json!("3")));
        assert_eq!((&made["expr"]["args"][0]["range"], &made["expr"]["args"][0]["step"]), (&json!(3_600_000), &json!(300_000)));
        assert_eq!(of(&::query::parse("1 + 1").unwrap())["matching"], Value::Null);
    }

    fn sort_matchers(node: &mut Value) {
        match node {
            Value::Array(items) => items.iter_mut().for_each(sort_matchers),
            Value::Object(map) => {
                if let Some(Value::Array(matchers)) = map.get_mut("matchers") {
                    matchers.sort_by_key(|matcher| matcher["name"].to_string());
                }
                map.values_mut().for_each(sort_matchers);
            }
            _ => {}
        }
    }
}
