//! The decoders against the real programs whose protocols they read.

mod haproxy;
mod peer;
mod prometheus;
