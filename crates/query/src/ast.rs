//! The tree of a query: what the parser makes, the checker approves of and the evaluator walks.
//!
//! Every node knows which bytes of the text it came from. Nothing here reads samples.

use model::Time;

use crate::function::Function;
use crate::source::Matcher;

/// Where something stands in the text, in bytes; the end is excluded.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Span {
    /// First byte.
    pub start: u32,
    /// The byte after the last.
    pub end: u32,
}

impl Span {
    /// From the first byte to the one after the last.
    pub fn new(start: usize, end: usize) -> Span {
        Span { start: start as u32, end: end as u32 }
    }

    /// The smallest span that holds both.
    pub fn to(self, other: Span) -> Span {
        Span { start: self.start.min(other.start), end: self.end.max(other.end) }
    }

    /// The piece of `text` that it names, empty where it doesn't fit.
    pub fn of(self, text: &str) -> &str {
        text.get(self.start as usize..self.end as usize).unwrap_or("")
    }

    /// Line and column (in characters) of its start in `text`, both from 1.
    pub fn line_column(self, text: &str) -> (usize, usize) {
        let mut at = (self.start as usize).min(text.len());
        while !text.is_char_boundary(at) {
            at -= 1;
        }
        let before = &text[..at];
        let line_start = before.rfind('\n').map_or(0, |place| place + 1);
        (before.matches('\n').count() + 1, before[line_start..].chars().count() + 1)
    }
}

/// An expression and where it stands.
#[derive(Clone, Debug, PartialEq)]
pub struct Expr {
    /// What it is.
    pub kind: ExprKind,
    /// Where it stands.
    pub span: Span,
}

/// The kinds of expression.
#[derive(Clone, Debug, PartialEq)]
pub enum ExprKind {
    /// A number, or a duration written as one (`5m` is 300).
    Number(Number),
    /// A string.
    String(String),
    /// An instant vector selector: `up{job="shop"} offset 5m`.
    Vector(Box<VectorSelector>),
    /// A range vector selector: `up[5m]`.
    Matrix(Box<MatrixSelector>),
    /// A subquery: `rate(up[5m])[1h:1m]`.
    Subquery(Box<Subquery>),
    /// `(...)`
    Paren(Box<Expr>),
    /// `-x` or `+x`.
    Unary(Box<Unary>),
    /// `a + b`.
    Binary(Box<Binary>),
    /// `sum by (job) (x)`.
    Aggregate(Box<Aggregate>),
    /// `rate(x[5m])`.
    Call(Call),
}

/// A number literal.
#[derive(Clone, Copy, Debug)]
pub struct Number {
    /// Its value, in seconds when it was written as a duration.
    pub value: f64,
    /// True when it was written as a duration.
    pub duration: bool,
}

impl PartialEq for Number {
    /// NaN equals NaN here: this compares texts, not quantities.
    fn eq(&self, other: &Number) -> bool {
        let same = self.value == other.value && self.value.is_sign_negative() == other.value.is_sign_negative();
        self.duration == other.duration && (same || self.value.is_nan() && other.value.is_nan())
    }
}

/// An instant vector selector.
#[derive(Clone, Debug, PartialEq)]
pub struct VectorSelector {
    /// The metric's name where it stands before the braces. It is in `matchers` too.
    pub name: Option<String>,
    /// All conditions, the name's included.
    pub matchers: Vec<Matcher>,
    /// When to look.
    pub shift: Shift,
    /// `anchored` or `smoothed`, of Prometheus' experiments.
    pub edges: Option<Edges>,
    /// Where it stands, without range and modifiers.
    pub span: Span,
}

/// How a range treats its edges.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Edges {
    /// `anchored`
    Anchored,
    /// `smoothed`
    Smoothed,
}

/// The modifiers that move the instant at which a selector or a subquery looks.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Shift {
    /// `offset`: how far back.
    pub offset: Option<DurationExpr>,
    /// `@`: a fixed instant instead of each step's.
    pub at: Option<At>,
}

/// What stands behind `@`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum At {
    /// A fixed instant.
    Time(Time),
    /// The first step of the whole query.
    Start,
    /// The last step of the whole query.
    End,
}

/// A range vector selector.
#[derive(Clone, Debug, PartialEq)]
pub struct MatrixSelector {
    /// What to look at; its modifiers stand behind the brackets.
    pub selector: VectorSelector,
    /// How far back the window reaches.
    pub range: DurationExpr,
}

/// An expression evaluated at many steps, to be read as a range.
#[derive(Clone, Debug, PartialEq)]
pub struct Subquery {
    /// What is evaluated.
    pub expr: Expr,
    /// How far back.
    pub range: DurationExpr,
    /// How often; the default interval where it is missing.
    pub step: Option<DurationExpr>,
    /// When.
    pub shift: Shift,
}

/// `-x` or `+x`
#[derive(Clone, Debug, PartialEq)]
pub struct Unary {
    /// True for `-`.
    pub negative: bool,
    /// On what.
    pub expr: Expr,
}

/// Two expressions and what joins them.
#[derive(Clone, Debug, PartialEq)]
pub struct Binary {
    /// The operator.
    pub op: BinaryOp,
    /// Left.
    pub lhs: Expr,
    /// Right.
    pub rhs: Expr,
    /// `bool`: a comparison answers 0 or 1 instead of filtering.
    pub return_bool: bool,
    /// How series of both sides find each other.
    pub matching: Matching,
    /// Where the operator stands.
    pub op_span: Span,
}

/// How the series of two sides find each other.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Matching {
    /// True for `on`, false for `ignoring` or nothing.
    pub on: bool,
    /// The labels of `on` or `ignoring`.
    pub labels: Vec<String>,
    /// One to one, or which side may have many.
    pub cardinality: Cardinality,
    /// Labels taken from the "one" side.
    pub include: Vec<String>,
    /// `fill`: a value for series missing on the left.
    pub fill_left: Option<f64>,
    /// `fill`: a value for series missing on the right.
    pub fill_right: Option<f64>,
}

/// Which side of a match may have many series.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Cardinality {
    /// Neither.
    #[default]
    OneToOne,
    /// The left: `group_left`.
    ManyToOne,
    /// The right: `group_right`.
    OneToMany,
}

/// An operator between two expressions.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[allow(missing_docs, reason = "the names are the operators")]
pub enum BinaryOp {
    Add,
    Sub,
    Mul,
    Div,
    Mod,
    Pow,
    Atan2,
    Equal,
    NotEqual,
    Less,
    LessEqual,
    Greater,
    GreaterEqual,
    And,
    Or,
    Unless,
    /// `</`, for native histograms only.
    TrimUpper,
    /// `>/`, for native histograms only.
    TrimLower,
}

impl BinaryOp {
    /// As it is written.
    pub fn text(self) -> &'static str {
        match self {
            BinaryOp::Add => "+",
            BinaryOp::Sub => "-",
            BinaryOp::Mul => "*",
            BinaryOp::Div => "/",
            BinaryOp::Mod => "%",
            BinaryOp::Pow => "^",
            BinaryOp::Atan2 => "atan2",
            BinaryOp::Equal => "==",
            BinaryOp::NotEqual => "!=",
            BinaryOp::Less => "<",
            BinaryOp::LessEqual => "<=",
            BinaryOp::Greater => ">",
            BinaryOp::GreaterEqual => ">=",
            BinaryOp::And => "and",
            BinaryOp::Or => "or",
            BinaryOp::Unless => "unless",
            BinaryOp::TrimUpper => "</",
            BinaryOp::TrimLower => ">/",
        }
    }

    /// True for `== != < <= > >=`.
    pub fn is_comparison(self) -> bool {
        use BinaryOp::*;
        matches!(self, Equal | NotEqual | Less | LessEqual | Greater | GreaterEqual)
    }

    /// True for `and or unless`.
    pub fn is_set(self) -> bool {
        matches!(self, BinaryOp::And | BinaryOp::Or | BinaryOp::Unless)
    }

    /// How strongly it binds; a higher number binds stronger.
    pub fn binding(self) -> u8 {
        use BinaryOp::*;
        match self {
            Or => 1,
            And | Unless => 2,
            Equal | NotEqual | Less | LessEqual | Greater | GreaterEqual | TrimUpper | TrimLower => 3,
            Add | Sub => 4,
            Mul | Div | Mod | Atan2 => 5,
            Pow => 6,
        }
    }
}

/// An aggregation over the series of a vector.
#[derive(Clone, Debug, PartialEq)]
pub struct Aggregate {
    /// Which.
    pub op: AggregateOp,
    /// Over what.
    pub expr: Expr,
    /// `topk(3, x)`, `quantile(0.9, x)`, `count_values("v", x)`.
    pub parameter: Option<Expr>,
    /// `by` or `without`.
    pub grouping: Grouping,
}

/// Which labels a group keeps.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Grouping {
    /// These; none at all where nothing was said.
    By(Vec<String>),
    /// All but these and the metric's name.
    Without(Vec<String>),
}

/// The aggregations.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[allow(missing_docs, reason = "the names are PromQL's")]
pub enum AggregateOp {
    Sum,
    Avg,
    Min,
    Max,
    Count,
    Group,
    Stddev,
    Stdvar,
    Topk,
    Bottomk,
    Quantile,
    CountValues,
    Limitk,
    LimitRatio,
}

impl AggregateOp {
    /// All, in the order of the documentation.
    pub const ALL: [AggregateOp; 14] = [
        AggregateOp::Sum,
        AggregateOp::Avg,
        AggregateOp::Min,
        AggregateOp::Max,
        AggregateOp::Count,
        AggregateOp::Group,
        AggregateOp::Stddev,
        AggregateOp::Stdvar,
        AggregateOp::Topk,
        AggregateOp::Bottomk,
        AggregateOp::Quantile,
        AggregateOp::CountValues,
        AggregateOp::Limitk,
        AggregateOp::LimitRatio,
    ];

    /// As it is written.
    pub fn text(self) -> &'static str {
        match self {
            AggregateOp::Sum => "sum",
            AggregateOp::Avg => "avg",
            AggregateOp::Min => "min",
            AggregateOp::Max => "max",
            AggregateOp::Count => "count",
            AggregateOp::Group => "group",
            AggregateOp::Stddev => "stddev",
            AggregateOp::Stdvar => "stdvar",
            AggregateOp::Topk => "topk",
            AggregateOp::Bottomk => "bottomk",
            AggregateOp::Quantile => "quantile",
            AggregateOp::CountValues => "count_values",
            AggregateOp::Limitk => "limitk",
            AggregateOp::LimitRatio => "limit_ratio",
        }
    }

    /// The aggregation of that name; case does not matter.
    pub fn named(name: &str) -> Option<AggregateOp> {
        AggregateOp::ALL.into_iter().find(|op| op.text().eq_ignore_ascii_case(name))
    }

    /// What its parameter must be, if it has one.
    pub fn parameter(self) -> Option<ValueType> {
        match self {
            AggregateOp::CountValues => Some(ValueType::String),
            AggregateOp::Topk | AggregateOp::Bottomk | AggregateOp::Quantile | AggregateOp::Limitk | AggregateOp::LimitRatio => {
                Some(ValueType::Scalar)
            }
            _ => None,
        }
    }
}

/// A function call.
#[derive(Clone, Debug, PartialEq)]
pub struct Call {
    /// Which function.
    pub function: &'static Function,
    /// Its arguments, checked.
    pub args: Vec<Expr>,
}

/// What an expression's value is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ValueType {
    /// One number per step.
    Scalar,
    /// A string.
    String,
    /// Series with one value each.
    Vector,
    /// Series with a window of values each.
    Matrix,
}

impl ValueType {
    /// As people say it.
    pub fn text(self) -> &'static str {
        match self {
            ValueType::Scalar => "scalar",
            ValueType::String => "string",
            ValueType::Vector => "instant vector",
            ValueType::Matrix => "range vector",
        }
    }

    /// With its article.
    pub fn said(self) -> &'static str {
        match self {
            ValueType::Scalar => "a scalar",
            ValueType::String => "a string",
            ValueType::Vector => "an instant vector",
            ValueType::Matrix => "a range vector",
        }
    }
}

/// A duration with arithmetic: `5m`, `300`, `-(2 * step())`.
#[derive(Clone, Debug, PartialEq)]
pub struct DurationExpr {
    /// What it is.
    pub kind: DurationKind,
    /// Where it stands.
    pub span: Span,
}

/// The kinds of duration.
#[derive(Clone, Debug, PartialEq)]
pub enum DurationKind {
    /// Seconds.
    Number(Number),
    /// The query's step.
    Step,
    /// The query's length.
    Range,
    /// `-d` or `+d`
    Unary {
        /// True for `-`.
        negative: bool,
        /// On what.
        of: Box<DurationExpr>,
    },
    /// `(d)`
    Paren(Box<DurationExpr>),
    /// `+ - * / % ^`
    Binary {
        /// The operator.
        op: BinaryOp,
        /// Left.
        lhs: Box<DurationExpr>,
        /// Right.
        rhs: Box<DurationExpr>,
    },
    /// `min_of(a, b)` or `max_of(a, b)`
    Pick {
        /// True for `max_of`.
        max: bool,
        /// First.
        lhs: Box<DurationExpr>,
        /// Second.
        rhs: Box<DurationExpr>,
    },
}

impl Expr {
    /// What its value is.
    pub fn value_type(&self) -> ValueType {
        match &self.kind {
            ExprKind::Number(_) => ValueType::Scalar,
            ExprKind::String(_) => ValueType::String,
            ExprKind::Vector(_) | ExprKind::Aggregate(_) => ValueType::Vector,
            ExprKind::Matrix(_) | ExprKind::Subquery(_) => ValueType::Matrix,
            ExprKind::Paren(inner) => inner.value_type(),
            ExprKind::Unary(unary) => unary.expr.value_type(),
            ExprKind::Binary(binary) => match (binary.lhs.value_type(), binary.rhs.value_type()) {
                (ValueType::Scalar, ValueType::Scalar) => ValueType::Scalar,
                _ => ValueType::Vector,
            },
            ExprKind::Call(call) => call.function.returns,
        }
    }

    /// The expression without the parentheses around it.
    pub fn unparenthesized(&self) -> &Expr {
        let mut expr = self;
        while let ExprKind::Paren(inner) = &expr.kind {
            expr = inner;
        }
        expr
    }

    /// Calls `see` with each direct part.
    pub fn each_child<'a>(&'a self, mut see: impl FnMut(&'a Expr)) {
        match &self.kind {
            ExprKind::Number(_) | ExprKind::String(_) | ExprKind::Vector(_) | ExprKind::Matrix(_) => {}
            ExprKind::Subquery(subquery) => see(&subquery.expr),
            ExprKind::Paren(inner) => see(inner),
            ExprKind::Unary(unary) => see(&unary.expr),
            ExprKind::Binary(binary) => {
                see(&binary.lhs);
                see(&binary.rhs);
            }
            ExprKind::Aggregate(aggregate) => {
                aggregate.parameter.iter().for_each(&mut see);
                see(&aggregate.expr);
            }
            ExprKind::Call(call) => call.args.iter().for_each(see),
        }
    }
}
