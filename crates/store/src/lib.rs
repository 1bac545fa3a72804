//! The metric store: samples go into memory at once and into a synced log before anybody is told that they are safe.
//!
//! What is kept: a log of everything that came, in order (`log`), what is newest compressed in memory (`head`), and all history in parts
//! of one day each (`history`, `part`), which a flush writes (`flush`). A checkpoint (`checkpoint`) has the names of the live series. A
//! query sees all of it through a [`View`]. The store has no clock and no async runtime: times come as arguments, a [`Commit`] can be waited for, polled
//! or given a callback. It never acknowledges before a sync, never gives a value that was not sent, and never stops
//! opening because of damage: what is damaged is left out and counted.
//!
//! ```
//! use std::sync::Arc;
//! use model::{Labels, SampleBatch, Time};
//!
//! let files = store::files::Simulated::new(1);
//! let store = store::Store::open(store::Options::new("/data/metrics"), Arc::new(files), Time::from_secs(100))?;
//! let mut batch = SampleBatch::new();
//! batch.push(&Labels::new([("__name__", "up")]).unwrap(), Time::from_secs(99), 1.0);
//! let appended = store.append(&batch, Time::from_secs(100))?;
//! appended.commit.wait()?;
//! store.close()?;
//! # Ok::<(), store::StoreError>(())
//! ```

mod bits;
mod cardinality;
mod checkpoint;
mod chunk;
pub mod codec;
mod commit;
mod error;
pub mod faults;
pub mod files;
mod flush;
mod frame;
mod head;
pub mod history;
mod intake;
mod log;
mod open;
pub mod part;
mod read;
mod record;
mod segment;
mod store;
mod together;

pub use cardinality::Counting;
pub use commit::Commit;
pub use error::StoreError;
pub use history::{HistoryDamage, HistoryStats};
pub use intake::{Appended, REFUSED_EXAMPLES_MAX, Reason, Refused, RefusedRow, Touched, Unsealed};
pub use open::Damage;
pub use read::View;
pub use store::{Metadata, Options, Stats, Store};
