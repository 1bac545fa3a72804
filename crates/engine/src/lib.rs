//! The brain: folds journalled events into a state and says what is owed to the world; evaluates rules; plans and judges.
//!
//! Synchronous and deterministic. It knows no clock, thread, socket, file or random source: time comes with the event,
//! ids made here derive from the event's `seq` and an ordinal, ids made at the edge come with the event.

pub mod alert;
pub mod effect;
pub mod heartbeat;
pub mod host;
pub mod incident;
pub mod judge;
pub mod release;
pub mod rule;
pub mod state;
pub mod step;
pub mod suspect;
pub mod tell;
pub mod testing;
pub mod verb;

pub use effect::{Effect, Tell, TellBody};
pub use state::{State, Touched};
pub use step::{next_due, step};
