//! What a query answers: the value and the remarks that came up on the way.

use model::{Labels, Time};

/// The value of a query. A query over a range answers a [`Value::Matrix`], unless it is a string.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// One number at the asked instant.
    Scalar {
        /// When.
        time: Time,
        /// How much.
        value: f64,
    },
    /// A string.
    String(String),
    /// Series with one value each, in the order of the query (`sort`, `topk`), else by labels.
    Vector(Vec<VectorSample>),
    /// Series with their values in time order, sorted by labels.
    Matrix(Vec<Series>),
}

/// One series of an instant vector.
#[derive(Clone, Debug, PartialEq)]
pub struct VectorSample {
    /// Its labels.
    pub labels: Labels,
    /// The instant asked for, or that of the sample where the query is a bare range selector.
    pub time: Time,
    /// How much.
    pub value: f64,
}

/// One series of a range.
#[derive(Clone, Debug, PartialEq)]
pub struct Series {
    /// Its labels.
    pub labels: Labels,
    /// When, rising.
    pub times: Vec<Time>,
    /// How much.
    pub values: Vec<f64>,
}

impl Value {
    /// `scalar`, `string`, `vector` or `matrix`, as the HTTP API calls it.
    pub fn kind(&self) -> &'static str {
        match self {
            Value::Scalar { .. } => "scalar",
            Value::String(_) => "string",
            Value::Vector(_) => "vector",
            Value::Matrix(_) => "matrix",
        }
    }

    /// True for a vector or matrix without series.
    pub fn is_empty(&self) -> bool {
        match self {
            Value::Scalar { .. } | Value::String(_) => false,
            Value::Vector(samples) => samples.is_empty(),
            Value::Matrix(series) => series.is_empty(),
        }
    }
}

/// Remarks about a query that was answered all the same. Each text once.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Annotations {
    /// Something is wrong with the data or the query; starts with `PromQL warning: `.
    pub warnings: Vec<Annotation>,
    /// Something may be meant otherwise; starts with `PromQL info: `.
    pub infos: Vec<Annotation>,
}

/// One remark and the part of the query that it is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Annotation {
    /// The sentence.
    pub text: String,
    /// What it is about.
    pub span: crate::Span,
}

/// Most remarks of a kind that an answer carries.
pub const ANNOTATIONS_MAX: usize = 10;

impl Annotation {
    /// The text with `(line:column)`, as Prometheus' API shows it.
    pub fn render(&self, query: &str) -> String {
        let (line, column) = self.span.line_column(query);
        format!("{} ({line}:{column})", self.text)
    }
}

impl Annotations {
    /// True without any.
    pub fn is_empty(&self) -> bool {
        self.warnings.is_empty() && self.infos.is_empty()
    }

    pub(crate) fn warn(&mut self, span: crate::Span, text: impl std::fmt::Display) {
        Annotations::push(&mut self.warnings, span, format!("PromQL warning: {text}"));
    }

    pub(crate) fn info(&mut self, span: crate::Span, text: impl std::fmt::Display) {
        Annotations::push(&mut self.infos, span, format!("PromQL info: {text}"));
    }

    fn push(into: &mut Vec<Annotation>, span: crate::Span, text: String) {
        if into.len() < ANNOTATIONS_MAX && !into.iter().any(|have| have.text == text && have.span == span) {
            into.push(Annotation { text, span });
        }
    }
}

/// A query's answer.
#[derive(Clone, Debug, PartialEq)]
pub struct Answer {
    /// The value.
    pub value: Value,
    /// What else is to be said.
    pub annotations: Annotations,
    /// How many samples were read from the source.
    pub samples_read: u64,
}
