//! Releases: order, plan, steps, gate, halt, undo.
use crate::{Effect, State};
use model::plan::StepAnswer;
use model::signal::Judged;
use model::{Epoch, Recorded, Time};
/// A server took over.
pub fn take_over(_state: &mut State, _recorded: &Recorded, _epoch: Epoch, _version: &str, _effects: &mut Vec<Effect>) {}
/// A step ended.
pub fn advance(_state: &mut State, _recorded: &Recorded, _answer: &StepAnswer, _effects: &mut Vec<Effect>) {}
/// The judge changed its mind.
pub fn judged(_state: &mut State, _recorded: &Recorded, _judged: &Judged, _effects: &mut Vec<Effect>) {}
/// Time has passed.
pub fn due(_state: &mut State, _recorded: &Recorded, _effects: &mut Vec<Effect>) {}
/// When a step or a gate is due.
pub fn next_due(_state: &State) -> Option<Time> {
    None
}
