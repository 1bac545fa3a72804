//! What comes in by HTTP: samples in the forms that existing senders speak, changes, heartbeats.
//!
//! A 2xx means that all of it is on the disk. Good lines are kept when others are bad; the answer names those.

mod changes;
mod influx;
mod pings;
mod remote_write;
mod samples;

pub use samples::Memories;

use super::app::App;
use super::routes::Routes;

/// Adds the routes of intake.
pub fn register(routes: Routes<App>) -> Routes<App> {
    let routes = influx::register(routes);
    let routes = remote_write::register(routes);
    let routes = changes::register(routes);
    pings::register(routes)
}
