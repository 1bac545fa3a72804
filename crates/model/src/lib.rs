//! The words of flyball: events, changes, samples, labels, typed ids, time, plans, configuration, and the API's types.
//!
//! Everything else speaks in these types. There is no IO here, no clock and no random source; what needs one of those
//! takes its answer as an argument.

pub mod alert;
pub mod api;
pub mod backtest;
pub mod change;
pub mod command;
pub mod config;
pub mod event;
pub mod id;
pub mod incident;
pub mod intake;
pub mod labels;
pub mod order;
pub mod plan;
pub mod rights;
pub mod sample;
pub mod signal;
pub mod text;
pub mod time;

pub use alert::{AlertState, Transition};
pub use change::{Change, ChangeKind, Scope};
pub use command::{Actor, Command, Outcome, Refusal, Surface, Verb};
pub use event::{Event, Recorded};
pub use id::*;
pub use labels::Labels;
pub use sample::{STALE_NAN, Sample, SampleBatch, is_stale};
pub use text::{Language, Text};
pub use time::Time;
