//! What can go wrong with a query, each with the place in its text.

use std::fmt;

use crate::ast::Span;
use crate::source::SourceError;

/// Why a text is no query. Shows as `line:column: sentence; hint`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ParseError {
    /// What kind of mistake.
    pub kind: ParseErrorKind,
    /// A sentence in plain words.
    pub message: String,
    /// What to do about it, or the nearest known word.
    pub hint: Option<String>,
    /// Where.
    pub span: Span,
    /// Line of the place, from 1.
    pub line: usize,
    /// Column of the place in characters, from 1.
    pub column: usize,
}

/// The kinds of mistake in a query.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ParseErrorKind {
    /// A character, number or string that PromQL does not have.
    Lexical,
    /// Something stands where something else was expected.
    Unexpected,
    /// A function that does not exist.
    UnknownFunction,
    /// A function or operator got something of the wrong type or number.
    Type,
    /// A matcher, label, duration or modifier that means nothing.
    Meaning,
    /// Longer or deeper than allowed.
    Limit,
    /// A part of the language that Prometheus has behind a feature which is not allowed here.
    Experimental,
}

impl fmt::Display for ParseError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}: {}", self.line, self.column, self.message)?;
        match &self.hint {
            Some(hint) => write!(f, "; {hint}"),
            None => Ok(()),
        }
    }
}

impl std::error::Error for ParseError {}

/// Why a query has no answer.
#[derive(Debug, thiserror::Error)]
pub enum EvalError {
    /// Part of PromQL that is not built yet. Never answered wrongly instead.
    #[error("not yet: {what}")]
    NotYet {
        /// Which part.
        what: String,
        /// Where it stands.
        span: Span,
    },
    /// The query makes no sense with these data (many-to-many, the same labels twice, ...).
    #[error("{message}")]
    Failed {
        /// What happened, in Prometheus' words where it has some.
        message: String,
        /// Where it stands.
        span: Span,
    },
    /// The times asked for make no sense.
    #[error("{0}")]
    Range(String),
    /// More than one of the [`Limits`](crate::Limits) allows.
    #[error("{what}: {limit} at most")]
    Limit {
        /// Too many of what.
        what: &'static str,
        /// The limit.
        limit: u64,
    },
    /// The caller's flag or deadline said stop.
    #[error("the query was cancelled or took too long")]
    Cancelled,
    /// The source could not answer.
    #[error(transparent)]
    Source(#[from] SourceError),
}

impl EvalError {
    pub(crate) fn failed(span: Span, message: impl Into<String>) -> EvalError {
        EvalError::Failed { message: message.into(), span }
    }

    pub(crate) fn not_yet(span: Span, what: impl Into<String>) -> EvalError {
        EvalError::NotYet { what: what.into(), span }
    }

    /// Where in the query's text, if it is about one place.
    pub fn span(&self) -> Option<Span> {
        match self {
            EvalError::NotYet { span, .. } | EvalError::Failed { span, .. } => Some(*span),
            _ => None,
        }
    }
}
