//! The tests of this crate that need all of it: the cases in `tests/cases` and properties of parser and evaluator.

mod cases;
mod differential;
mod limits;
mod properties;
