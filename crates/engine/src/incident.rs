//! Incidents: opened, told, recovered, resolved.
use crate::State;
use model::event::Card;
use model::incident::TellResult;
use model::{EffectKey, IncidentNumber, ReceiverName, Recorded, RoomName};
/// Telling somebody came to something.
pub fn told(_state: &mut State, _number: IncidentNumber, _receiver: &ReceiverName, _result: &TellResult) {}
/// The bot said something in a room.
pub fn said(_state: &mut State, _recorded: &Recorded, _key: &EffectKey, _room: &RoomName, _card: &Card) {}
