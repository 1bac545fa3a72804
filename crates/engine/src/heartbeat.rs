//! Did the job run?
use crate::{Effect, State};
use model::signal::HeartbeatPing;
use model::{Recorded, Time};
/// The configuration changed.
pub fn configure(_state: &mut State, _recorded: &Recorded) {}
/// A job gave a sign of life.
pub fn ping(_state: &mut State, _recorded: &Recorded, _ping: &HeartbeatPing, _effects: &mut Vec<Effect>) {}
/// Looks for jobs that are late.
pub fn late(_state: &mut State, _recorded: &Recorded, _effects: &mut Vec<Effect>) {}
/// When the next job would be late.
pub fn next_due(_state: &State) -> Option<Time> {
    None
}
