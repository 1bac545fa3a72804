//! The own API of pages and verbs under `/api/flyball/v1`: one file per resource.

mod chat;
mod command;
mod completion;
mod demo;
mod hosts;
mod incidents;
mod orders;
mod overview;
mod rules;
mod services;
pub mod store;
mod timeline;

use super::app::App;
use super::error::HttpError;
use super::params::Params;
use super::routes::Routes;

pub use overview::overview;

/// Rows of a list where nobody said how many.
const ROWS: u64 = 100;
/// Most rows of a list.
const ROWS_MAX: u64 = 500;

/// Adds the routes of pages and verbs to the table.
pub fn register(routes: Routes<App>) -> Routes<App> {
    let routes = overview::register(routes);
    let routes = timeline::register(routes);
    let routes = incidents::register(routes);
    let routes = orders::register(routes);
    let routes = services::register(routes);
    let routes = hosts::register(routes);
    let routes = chat::register(routes);
    let routes = command::register(routes);
    let routes = completion::register(routes);
    let routes = store::register(routes);
    let routes = rules::register(routes);
    demo::register(routes)
}

/// How many rows are wanted: 1 to 500.
fn limit(params: &Params) -> Result<u32, HttpError> {
    match params.number("limit")?.unwrap_or(ROWS) {
        limit @ 1..=ROWS_MAX => Ok(limit as u32),
        _ => Err(HttpError::bad_request(format!("1 to {ROWS_MAX}")).at("limit")),
    }
}

/// A word of a closed list, as JSON writes it: `acknowledged`.
fn word<T: serde::de::DeserializeOwned>(text: &str) -> Result<T, String> {
    serde_json::from_value(serde_json::Value::String(text.to_owned())).map_err(|error| error.to_string())
}
