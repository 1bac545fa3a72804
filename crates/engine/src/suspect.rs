//! Decides which recent change is suspected of an alert.
use crate::State;
use model::{Change, Recorded};
/// Remembers a change.
pub fn note(_state: &mut State, _recorded: &Recorded, _change: &Change) {}
