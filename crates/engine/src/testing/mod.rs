//! A fleet in memory for tests: agents, a load balancer, a journal and an outbox on one thread, from a seed.
//!
//! Every run of one seed is the same run. Nothing here sleeps, opens a socket or looks at a clock.

mod agent;
mod balancer;
mod random;
mod world;

pub use agent::{Accepted, SimulatedAgent};
pub use balancer::SimulatedBalancer;
pub use random::Random;
pub use world::{Faults, World, release};
