//! The whole door over a real store, a real journal and real accounts in a folder of its own.

mod access;
mod bad_samples;
mod bodies;
mod fixture;
mod intake;
mod peers;
mod people;
mod queries;
mod settings;
mod sockets;
mod store;
mod streams;
mod verbs;

pub(super) use fixture::House;
use fixture::{Answer, request};
