//! PromQL: parse, plan, evaluate over a [`source::Source`]. Pure: no clock, no file, no socket.
//!
//! ```text
//! parse(&str) -> Result<Expr, ParseError>                                  the whole of Prometheus 3, with spans
//! parse_with(&str, &Features)                                              the same, but only what is allowed of the experimental
//! evaluate(&Expr, &Params, &dyn Source) -> Result<Answer, EvalError>       all steps at once, column by column
//! Query::new(&str, Params)?.run(&dyn Source)                               both in one
//! selectors(&Expr) -> Vec<SelectorUse>                                     what a rule reads, how far back
//! depends_on_time(&Expr) -> bool                                           whether it may change without new samples
//! completion_words() -> Vec<Word>                                          for an editor
//! element                                                                  the same, one series at a time, for rules
//! Expr: Display                                                            the canonical form (format_query)
//! ```
//!
//! An instant query is [`Params::instant`], one over a range [`Params::range`]. What is not built yet answers
//! [`EvalError::NotYet`]: never a wrong number.

pub mod ast;
mod error;
mod evaluate;
mod features;
mod function;
mod lexer;
mod literal;
mod parser;
mod print;
mod selectors;
pub mod source;
pub mod testing;
mod value;

pub use ast::{Expr, Span};
pub use error::{EvalError, ParseError, ParseErrorKind};
pub use evaluate::{Limits, Params, Query, element, evaluate};
pub use features::{Features, UnknownFeature};
pub use function::{FUNCTIONS, Function, KEYWORDS, Word, WordKind, completion_words};
pub use parser::{DEPTH_MAX, NESTING_MAX, TEXT_MAX, parse, parse_with};
pub use selectors::{SelectorUse, depends_on_time, selectors};
pub use value::{Annotation, Annotations, Answer, Series, Value, VectorSample};
