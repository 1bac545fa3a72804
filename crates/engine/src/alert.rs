//! Folds alert transitions into incidents.
use crate::{Effect, State};
use model::{Recorded, Transition};
/// An alert changed its state.
pub fn observe(_state: &mut State, _recorded: &Recorded, _transition: &Transition, _effects: &mut Vec<Effect>) {}
