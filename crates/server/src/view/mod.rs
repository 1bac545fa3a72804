//! Puts together what pages and verbs show: the engine's state, the projections and the numbers, in the API's types.
//!
//! Reads only. Nothing here is kept: what is shown is what is so at this moment.

pub mod numbers;
pub mod overview;
pub mod place;
pub mod rows;
pub mod servers;
