//! Worlds for tests: the whole loop on one thread from a seed, and small servers that play the outside.
//!
//! Nothing here runs in a server. The world drives the same [`Fold`](crate::pump::Fold) and
//! [`Outbox`](crate::outbox::Outbox) as the pump and the performers do, with a clock that it moves itself.

mod random;
mod receiver;
mod world;

#[cfg(test)]
mod stories;

pub use random::Random;
pub use receiver::{Received, WebhookReceiver};
pub use world::{Killed, Told, World, webhook_config};

/// No agent has a link.
pub struct NoLinks;

#[async_trait::async_trait]
impl crate::perform::outside::Links for NoLinks {
    async fn ask(&self, _: &model::plan::StepRequest) -> bool {
        false
    }
}

/// How many seeds a test runs: `FLYBALL_SEEDS`, else `default`.
pub fn seeds(default: u64) -> u64 {
    std::env::var("FLYBALL_SEEDS").ok().and_then(|text| text.parse().ok()).unwrap_or(default)
}
