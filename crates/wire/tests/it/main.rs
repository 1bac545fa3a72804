//! The decoders against the real programs whose protocols they read.

mod corpus;
mod haproxy;
mod peer;
mod prometheus;
mod reference;
