//! Which rules can be kept up to date element by element, and how.
//!
//! A plan is a rule's expression cut down to the shapes of which each result depends on a few series that can be named when
//! the series appears. What has no plan is evaluated whole, by the evaluator of queries.

use model::Labels;
use query::ast::{AggregateOp, Binary, BinaryOp, Cardinality, ExprKind, Grouping, Number};
use query::element::{self, OverTime};
use query::source::MatchOp;
use query::{Expr, Features};

use super::super::Compiled;

/// An expression as a tree of series by series.
#[derive(Debug)]
pub(super) enum Plan {
    /// A selector, by its place among the rule's.
    Leaf { selector: usize, read: Read },
    /// A function of each value.
    Map { map: fn(f64) -> f64, input: Box<Plan> },
    /// An operator with a number.
    Scalar { with: WithScalar, input: Box<Plan> },
    /// An operator between series that find each other.
    Join { binary: Box<Binary>, left: Box<Plan>, right: Box<Plan> },
    /// `and`, `or`, `unless`.
    Set { binary: Box<Binary>, left: Box<Plan>, right: Box<Plan> },
    /// An aggregation.
    Fold { op: AggregateOp, grouping: Grouping, input: Box<Plan> },
    /// `absent` of a selector.
    Absent { labels: Labels, input: Box<Plan> },
}

/// What is read of a series. Times in microseconds; `shift` is how long ago the reading ends, the group's offset in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Read {
    Newest { shift: i64 },
    Window { over: OverTime, range: i64, shift: i64 },
}

/// An operator between a value and a number.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct WithScalar {
    pub op: BinaryOp,
    pub return_bool: bool,
    /// The number stands on the left.
    pub left: bool,
    pub scalar: f64,
}

impl WithScalar {
    /// Whether it lets values pass or not, and changes none.
    pub fn filters(self) -> bool {
        self.op.is_comparison() && !self.return_bool
    }

    #[inline]
    pub fn apply(self, value: f64) -> Option<f64> {
        let (left, right) = if self.left { (self.scalar, value) } else { (value, self.scalar) };
        let result = element::operate(self.op, self.return_bool, left, right)?;
        // The series' own value stays, on whichever side it stands.
        Some(if self.filters() { value } else { result })
    }
}

/// Selectors that look further back than series are bound for are looked up anew each time.
pub(in crate::rule) const BOUND_REACH_US: i64 = 3_600_000_000;

impl Plan {
    /// The plan of a rule; none where it has to be evaluated whole.
    pub fn of(rule: &Compiled, features: &Features) -> Option<Plan> {
        // Elements take names away at once. Only who asks for them sees the difference.
        if features.delayed_name_removal && rule.text.contains(model::labels::METRIC_NAME) {
            return None;
        }
        let offset = i64::try_from(rule.query_offset.0).ok()?.checked_mul(1_000)?;
        let reaches = |place: usize| rule.reaches_history(place);
        // The names go away on the way, and must not make two series one.
        let named = rule.selectors.iter().all(|used| {
            used.matchers.iter().any(|matcher| matcher.name == model::labels::METRIC_NAME && matcher.op == MatchOp::Equal)
        });
        if !named || rule.selectors.is_empty() || (0..rule.selectors.len()).any(reaches) || rule.labels_follow_value() {
            return None;
        }
        Planner { rule, offset }.plan(&rule.expr, true)
    }
}

struct Planner<'a> {
    rule: &'a Compiled,
    offset: i64,
}

impl Planner<'_> {
    /// `outermost`: only filters stand around it, so two results may share labels as long as one of them is there.
    fn plan(&self, expr: &Expr, outermost: bool) -> Option<Plan> {
        match &expr.kind {
            ExprKind::Paren(inner) => self.plan(inner, outermost),
            ExprKind::Vector(selector) if selector.edges.is_none() => {
                let shift = element::offset_of(&selector.shift)?;
                self.leaf(selector.span, Read::Newest { shift: self.shift(shift)? })
            }
            ExprKind::Unary(unary) if !unary.negative => self.plan(&unary.expr, outermost),
            ExprKind::Unary(unary) => Some(Plan::Map { map: |value| -value, input: Box::new(self.plan(&unary.expr, false)?) }),
            ExprKind::Binary(binary) => self.binary(binary, outermost),
            ExprKind::Aggregate(aggregate) => {
                let input = self.plan(&aggregate.expr, false)?;
                // The order in which groups come, and so the rounding of a sum of sums, depends on who is there.
                let plain = element::folds(aggregate.op) && aggregate.parameter.is_none() && !input.folds();
                let grouping = aggregate.grouping.clone();
                plain.then(|| Plan::Fold { op: aggregate.op, grouping, input: Box::new(input) })
            }
            ExprKind::Call(call) if call.args.len() == 1 => self.call(expr, call),
            _ => None,
        }
    }

    fn call(&self, expr: &Expr, call: &query::ast::Call) -> Option<Plan> {
        let arg = call.args[0].unparenthesized();
        if let ExprKind::Matrix(matrix) = &arg.kind {
            let over = OverTime::named(call.function.name)?;
            let shift = element::offset_of(&matrix.selector.shift)?;
            let read = Read::Window { over, range: element::range_of(matrix)?, shift: self.shift(shift)? };
            return if matrix.selector.edges.is_none() { self.leaf(matrix.selector.span, read) } else { None };
        }
        if call.function.name == "absent" {
            let input = self.plan(arg, false)?;
            let selects = matches!(input, Plan::Leaf { .. });
            return selects.then(|| Plan::Absent { labels: absent_labels(expr), input: Box::new(input) });
        }
        let map = element::plain_function(call)?;
        Some(Plan::Map { map, input: Box::new(self.plan(arg, false)?) })
    }

    fn binary(&self, binary: &Binary, outermost: bool) -> Option<Plan> {
        let (left, right) = (element::constant(&binary.lhs), element::constant(&binary.rhs));
        let with = |scalar, left| WithScalar { op: binary.op, return_bool: binary.return_bool, left, scalar };
        if let (Some(_), None) | (None, Some(_)) = (left, right) {
            let (with, input) = match (left, right) {
                (Some(scalar), _) => (with(scalar, true), &binary.rhs),
                (_, scalar) => (with(scalar?, false), &binary.lhs),
            };
            let input = Box::new(self.plan(input, outermost && with.filters())?);
            return Some(Plan::Scalar { with, input });
        }
        let matching = &binary.matching;
        if matching.fill_left.is_some() || matching.fill_right.is_some() {
            return None;
        }
        let bare = || ExprKind::Number(Number { value: 0.0, duration: false });
        let empty = |expr: &Expr| Expr { kind: bare(), span: expr.span };
        let only = Box::new(Binary { lhs: empty(&binary.lhs), rhs: empty(&binary.rhs), ..binary.clone() });
        let or = binary.op == BinaryOp::Or;
        if or && !outermost || matches!(binary.op, BinaryOp::TrimUpper | BinaryOp::TrimLower) {
            return None;
        }
        let left = Box::new(self.plan(&binary.lhs, outermost && binary.op.is_set())?);
        let right = Box::new(self.plan(&binary.rhs, or)?);
        Some(if binary.op.is_set() { Plan::Set { binary: only, left, right } } else { Plan::Join { binary: only, left, right } })
    }

    fn shift(&self, offset: i64) -> Option<i64> {
        // What looks ahead is evaluated whole.
        self.offset.checked_add(offset).filter(|shift| *shift >= 0)
    }

    fn leaf(&self, span: query::Span, read: Read) -> Option<Plan> {
        let selector = self.rule.selectors.iter().position(|used| used.span == span)?;
        Some(Plan::Leaf { selector, read })
    }
}

impl Plan {
    fn folds(&self) -> bool {
        match self {
            Plan::Fold { .. } | Plan::Absent { .. } => true,
            Plan::Leaf { .. } => false,
            Plan::Map { input, .. } | Plan::Scalar { input, .. } => input.folds(),
            Plan::Join { left, right, .. } | Plan::Set { left, right, .. } => left.folds() || right.folds(),
        }
    }
}

/// True where the many of an operator stand on its right.
pub(super) fn swapped(binary: &Binary) -> bool {
    binary.matching.cardinality == Cardinality::OneToMany
}

/// The labels that `absent` makes up: it is asked about nothing.
fn absent_labels(expr: &Expr) -> Labels {
    let nothing = query::testing::MemorySource::new();
    let answer = query::evaluate(expr, &query::Params::instant(model::Time(0)), &nothing);
    match answer.map(|answer| answer.value) {
        Ok(query::Value::Vector(samples)) => samples.into_iter().next().map_or_else(Labels::empty, |sample| sample.labels),
        _ => Labels::empty(),
    }
}
