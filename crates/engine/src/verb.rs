//! Performs what people ask to be changed.
use crate::{Effect, State};
use model::{Command, Recorded};
/// Performs a command.
pub fn perform(_state: &mut State, _recorded: &Recorded, _command: &Command, _effects: &mut Vec<Effect>) {}
