//! The HTTP door: routes, access, errors, the API document; intake, queries, people, the page.

pub mod access;
pub mod account;
pub mod app;
pub mod artifacts;
pub mod audit;
pub mod body;
pub mod doors;
pub mod enrolment;
pub mod error;
pub mod guard;
pub mod health;
pub mod intake;
pub mod lanes;
pub mod limits;
pub mod live;
pub mod metrics;
pub mod openapi;
pub mod own;
pub mod page;
pub mod params;
pub mod prometheus;
pub mod reference;
pub mod routes;
pub mod selectors;
pub mod serve;
pub mod settings;
pub mod shell;
pub mod table;
pub mod tls;

#[cfg(test)]
mod tests;
