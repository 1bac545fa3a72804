//! What people do with rule files before they are in force: check them, run their unit tests, see what they would have told.
//!
//! Knows no running server; every surface may call it. Nothing here writes.

pub mod backtest;
pub mod check;
pub mod unit;
