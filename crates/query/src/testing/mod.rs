//! Series in memory and tests written as text, for this crate and for everyone who evaluates queries.
//!
//! The notations are Prometheus': series as in `promtool` unit tests, tests as in its `promqltest`. Not for production:
//! a lookup here walks over all series.

mod expect;
mod memory;
mod notation;
pub mod promqltest;

pub use memory::MemorySource;
pub use notation::{NotationError, SeriesLine, parse_series};
