//! Verbs: one grammar and one executor for every surface.

pub mod grammar;
pub mod picture;
