//! What runs on every host: measures it, supervises its services, and does the steps that the server signed.
//!
//! It dials out and never listens. It keeps one folder: its identity, a small synced journal of steps, the artifacts and
//! releases of its services. It runs no shell, and nothing that the host's own policy file does not allow. Samples and
//! news wait in a bounded buffer while the server is away; supervised processes outlive the agent and are found again.

mod clock;
mod collect;
mod execute;
mod folder;
mod identity;
mod link;
mod options;
mod outbox;
mod policy;
mod probe;
mod run;
mod supervise;
mod tls;
mod watch;

pub use options::{AgentError, Options};
pub use policy::{Policy, PolicyError};
pub use run::run;
