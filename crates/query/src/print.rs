//! Writes a tree in the canonical form, the one of `format_query`. What it writes parses to the same tree.

use std::fmt::{self, Display, Formatter, Result};

use model::labels::METRIC_NAME;

use crate::ast::{
    At, Binary, BinaryOp, Cardinality, DurationExpr, DurationKind, Edges, Expr, ExprKind, Grouping, Number, Shift, VectorSelector,
};
use crate::literal::{AsDuration, AsNumber, Quoted};
use crate::source::MatchOp;

impl Display for Expr {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        match &self.kind {
            ExprKind::Number(number) => number.fmt(f),
            ExprKind::String(text) => Quoted(text).fmt(f),
            ExprKind::Vector(selector) => {
                bare_selector(selector, f)?;
                modifiers(&selector.shift, selector.edges, f)
            }
            ExprKind::Matrix(matrix) => {
                bare_selector(&matrix.selector, f)?;
                write!(f, "[{}]", matrix.range)?;
                modifiers(&matrix.selector.shift, matrix.selector.edges, f)
            }
            ExprKind::Subquery(subquery) => {
                write!(f, "{}[{}:", subquery.expr, subquery.range)?;
                if let Some(step) = &subquery.step {
                    step.fmt(f)?;
                }
                f.write_str("]")?;
                modifiers(&subquery.shift, None, f)
            }
            ExprKind::Paren(inner) => write!(f, "({inner})"),
            ExprKind::Unary(unary) => write!(f, "{}{}", if unary.negative { "-" } else { "+" }, unary.expr),
            ExprKind::Binary(binary) => self::binary(binary, f),
            ExprKind::Aggregate(aggregate) => {
                f.write_str(aggregate.op.text())?;
                match &aggregate.grouping {
                    Grouping::By(labels) if labels.is_empty() => {}
                    Grouping::By(labels) => write!(f, " by ({}) ", Names(labels))?,
                    Grouping::Without(labels) => write!(f, " without ({}) ", Names(labels))?,
                }
                match &aggregate.parameter {
                    Some(parameter) => write!(f, "({parameter}, {})", aggregate.expr),
                    None => write!(f, "({})", aggregate.expr),
                }
            }
            ExprKind::Call(call) => {
                write!(f, "{}(", call.function.name)?;
                for (place, arg) in call.args.iter().enumerate() {
                    write!(f, "{}{arg}", if place == 0 { "" } else { ", " })?;
                }
                f.write_str(")")
            }
        }
    }
}

fn binary(binary: &Binary, f: &mut Formatter<'_>) -> Result {
    write!(f, "{} {}", binary.lhs, binary.op.text())?;
    if binary.return_bool {
        f.write_str(" bool")?;
    }
    let matching = &binary.matching;
    let grouped = matching.cardinality != Cardinality::OneToOne;
    if matching.on || grouped || !matching.labels.is_empty() {
        write!(f, " {} ({})", if matching.on { "on" } else { "ignoring" }, Names(&matching.labels))?;
    }
    match matching.cardinality {
        Cardinality::OneToOne => {}
        Cardinality::ManyToOne => write!(f, " group_left ({})", Names(&matching.include))?,
        Cardinality::OneToMany => write!(f, " group_right ({})", Names(&matching.include))?,
    }
    match (matching.fill_left, matching.fill_right) {
        (Some(left), Some(right)) if left.to_bits() == right.to_bits() => write!(f, " fill ({})", AsNumber(left))?,
        (left, right) => {
            if let Some(left) = left {
                write!(f, " fill_left ({})", AsNumber(left))?;
            }
            if let Some(right) = right {
                write!(f, " fill_right ({})", AsNumber(right))?;
            }
        }
    }
    write!(f, " {}", binary.rhs)
}

fn bare_selector(selector: &VectorSelector, f: &mut Formatter<'_>) -> Result {
    // A name that could not stand before the braces goes into them, quoted.
    f.write_str(selector.name.as_deref().unwrap_or(""))?;
    let in_braces = |name: &str| !(name == METRIC_NAME && selector.name.is_some());
    let mut shown = selector.matchers.iter().filter(|matcher| in_braces(&matcher.name)).peekable();
    if selector.name.is_some() && shown.peek().is_none() {
        return Ok(());
    }
    f.write_str("{")?;
    for (place, matcher) in shown.enumerate() {
        if place > 0 {
            f.write_str(", ")?;
        }
        let op = match matcher.op {
            MatchOp::Equal => "=",
            MatchOp::NotEqual => "!=",
            MatchOp::Regex => "=~",
            MatchOp::NotRegex => "!~",
        };
        write!(f, "{}{op}{}", Name(&matcher.name), Quoted(&matcher.value))?;
    }
    f.write_str("}")
}

fn modifiers(shift: &Shift, edges: Option<Edges>, f: &mut Formatter<'_>) -> Result {
    match edges {
        Some(Edges::Anchored) => f.write_str(" anchored")?,
        Some(Edges::Smoothed) => f.write_str(" smoothed")?,
        None => {}
    }
    match shift.at {
        Some(At::Time(time)) => {
            let millis = time.millis();
            write!(
                f,
                " @ {}{}.{:03}",
                if millis < 0 { "-" } else { "" },
                millis.unsigned_abs() / 1000,
                millis.unsigned_abs() % 1000
            )?;
        }
        Some(At::Start) => f.write_str(" @ start()")?,
        Some(At::End) => f.write_str(" @ end()")?,
        None => {}
    }
    match &shift.offset {
        Some(offset) => write!(f, " offset {offset}"),
        None => Ok(()),
    }
}

impl Display for Number {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        if self.duration { AsDuration(self.value).fmt(f) } else { AsNumber(self.value).fmt(f) }
    }
}

impl Display for DurationExpr {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        match &self.kind {
            // A whole number of milliseconds reads better as a duration, and means the same.
            DurationKind::Number(number) if number.value.abs() < 1e10 && (number.value * 1e3).fract() == 0.0 => {
                AsDuration(number.value).fmt(f)
            }
            _ => duration(self, f),
        }
    }
}

/// A part of a duration with arithmetic, its numbers as they were written: `2m * 2`.
fn duration(expr: &DurationExpr, f: &mut Formatter<'_>) -> Result {
    match &expr.kind {
        DurationKind::Number(number) => number.fmt(f),
        DurationKind::Step => f.write_str("step()"),
        DurationKind::Range => f.write_str("range()"),
        DurationKind::Paren(of) => {
            f.write_str("(")?;
            duration(of, f)?;
            f.write_str(")")
        }
        DurationKind::Unary { negative, of } => {
            f.write_str(if *negative { "-" } else { "+" })?;
            duration(of, f)
        }
        DurationKind::Binary { op, lhs, rhs } => {
            duration(lhs, f)?;
            write!(f, " {} ", BinaryOp::text(*op))?;
            duration(rhs, f)
        }
        DurationKind::Pick { max, lhs, rhs } => {
            f.write_str(if *max { "max_of(" } else { "min_of(" })?;
            duration(lhs, f)?;
            f.write_str(", ")?;
            duration(rhs, f)?;
            f.write_str(")")
        }
    }
}

/// A label's name, quoted where it is none by the old rules.
struct Name<'a>(&'a str);

impl Display for Name<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        let plain = self
            .0
            .bytes()
            .enumerate()
            .all(|(place, byte)| byte == b'_' || byte.is_ascii_alphabetic() || place > 0 && byte.is_ascii_digit());
        if plain && !self.0.is_empty() { f.write_str(self.0) } else { Quoted(self.0).fmt(f) }
    }
}

struct Names<'a>(&'a [String]);

impl Display for Names<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> Result {
        for (place, name) in self.0.iter().enumerate() {
            write!(f, "{}{}", if place == 0 { "" } else { ", " }, Name(name))?;
        }
        Ok(())
    }
}
