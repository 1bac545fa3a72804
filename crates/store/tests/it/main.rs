//! The store as others use it, and under faults.

mod faults;
mod kill;
mod story;
