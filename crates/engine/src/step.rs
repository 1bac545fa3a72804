//! One event in, a new state and a list of effects out. The only way in which anything in flyball comes to be.
//!
//! Never sees telemetry, never looks at a clock, never fails: what can't be done is an answer or an event's effect, and
//! what only a bug can cause is an `assert!`.

use model::{Event, Recorded, Time};

use crate::effect::Effect;
use crate::state::State;
use crate::{alert, heartbeat, host, incident, release, suspect, verb};

/// Folds one journalled event into the state and says what is owed to the world.
pub fn step(state: &mut State, recorded: &Recorded, effects: &mut Vec<Effect>) {
    assert!(recorded.seq > state.seq, "event {} after {}", recorded.seq, state.seq);
    state.seq = recorded.seq;
    state.at = state.at.max(recorded.at);
    match &recorded.event {
        Event::Started { epoch, version } => release::take_over(state, recorded, *epoch, version, effects),
        Event::Configured { config, change } => {
            state.config = (**config).clone();
            if let Some(change) = change {
                suspect::note(state, recorded, change);
            }
            heartbeat::configure(state, recorded);
        }
        Event::Changed(change) => suspect::note(state, recorded, change),
        Event::Alert(transition) => alert::observe(state, recorded, transition, effects),
        Event::Command(command) => verb::perform(state, recorded, command, effects),
        Event::StepAnswered(answer) => release::advance(state, recorded, answer, effects),
        Event::Judged(judged) => release::judged(state, recorded, judged, effects),
        Event::HostSeen(seen) => host::seen(state, recorded, seen, effects),
        Event::ServiceSeen(seen) => host::service_seen(state, recorded, seen),
        Event::Heartbeat(ping) => heartbeat::ping(state, recorded, ping, effects),
        Event::ArtifactPushed(artifact) => {
            state.artifacts.insert(artifact.digest.clone(), artifact.clone());
        }
        Event::Told { incident: Some(number), receiver, result, .. } => incident::told(state, *number, receiver, result),
        Event::Told { incident: None, .. } => {}
        Event::Said { key, room, card } => incident::said(state, recorded, key, room, card),
        Event::Tick => {
            heartbeat::late(state, recorded, effects);
            release::due(state, recorded, effects);
        }
    }
}

/// When the next [`Event::Tick`] is wanted: the pump sends one at that time, or at once if it has passed.
pub fn next_due(state: &State) -> Option<Time> {
    [heartbeat::next_due(state), release::next_due(state)].into_iter().flatten().min()
}
