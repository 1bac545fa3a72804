//! The edge: where telemetry and events come in, what is owed to the outside goes out, and people and programs ask.
//!
//! Nothing here decides: the engine does, event by event, in the pump. Nothing here changes the engine's state but by
//! handing the pump an event.

pub mod artifacts;
pub mod clock;
pub mod config;
pub mod disk;
pub mod http;
pub mod journal;
pub mod link;
pub mod logs;
mod memory;
pub mod outbox;
pub mod people;
pub mod perform;
pub mod pump;
pub mod rules;
pub mod start;
pub mod telemetry;
pub mod testing;
pub mod verbs;
pub mod view;

pub use http::tls::TlsFiles;
pub use query::Features;
pub use start::{Options, Server, StartError, StoreSettings, make_data_folder, people_file};
