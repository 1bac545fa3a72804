//! The store as others use it, and under faults.

mod faults;
mod golden;
mod kill;
mod story;
