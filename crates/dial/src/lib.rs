//! One request out, to an address that a policy allows, with the time of each phase.
//!
//! Webhooks, probes, scrapes and checks all leave through here, so that there is one place that says where flyball may
//! connect to. A name is resolved once and the addresses that came of it are judged and dialled, nothing else: a name
//! that changes between check and use changes nothing. Redirects are never followed; a proxy is never used.

mod error;
mod policy;
mod request;
mod tls;

pub use error::{DialError, Phase};
pub use policy::{Net, NetError, Policy, Refusal, WhyNot};
pub use request::{Dialer, Request, Response, Timings, Turns};
pub use tls::RootsError;
