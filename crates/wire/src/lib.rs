//! Bytes to the model's types and back, one file per protocol.
//!
//! Everything here is pure: no socket, no clock, no file. Each decoder has limits, never panics on any input, and its
//! errors name the place (line and column, series number, or offset). Times that a sender left out are arguments.

pub mod alertmanager;
pub mod compression;
mod decimal;
pub mod exposition;
pub mod haproxy;
pub mod influx;
pub mod link;
pub mod metadata;
pub mod number;
pub mod ping;
pub mod prom_json;
mod protobuf;
pub mod remote_write;
pub mod report;
mod text;
pub use metadata::{Metadata, MetricKind};
pub use report::{LineError, Report};

/// So many rows are decoded before the store takes them: 640 KiB of them, whatever a body holds.
pub const ROWS_AT_ONCE: usize = 16 * 1024;
