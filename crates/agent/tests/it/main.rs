//! An agent against a server's side of the link that is written by hand here: real TLS, real processes, real files.

mod fake;
mod kill;
mod link;
mod services;
mod steps;
