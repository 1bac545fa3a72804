//! The HTTP door: routes, access, errors, the API document.

pub mod access;
pub mod error;
pub mod guard;
pub mod openapi;
pub mod routes;
