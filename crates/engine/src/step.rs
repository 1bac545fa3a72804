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
        Event::Started { epoch, version } => {
            host::take_over(state, recorded);
            release::take_over(state, recorded, *epoch, version, effects);
        }
        Event::Configured { config, change } => {
            state.config = (**config).clone();
            if let Some(change) = change {
                suspect::changed(state, recorded, change, effects);
            }
            heartbeat::configure(state, recorded, effects);
            alert::configure(state, recorded, effects);
        }
        Event::Changed(change) => suspect::changed(state, recorded, change, effects),
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
        Event::Told { key, receiver, incident: Some(number), result } => {
            incident::told(state, recorded, *number, key, receiver, result)
        }
        Event::Told { incident: None, .. } => {}
        Event::Said { key, room, card } => incident::said(state, recorded, key, room, card),
        Event::Answered { room, asked, answer, .. } => incident::answered(state, recorded, room, asked, answer),
        Event::Tick => {
            heartbeat::late(state, recorded, effects);
            host::lost(state, recorded, effects);
            release::due(state, recorded, effects);
        }
    }
}

/// When the next [`Event::Tick`] is wanted: the pump sends one at that time, or at once if it has passed.
pub fn next_due(state: &State) -> Option<Time> {
    [heartbeat::next_due(state), host::next_due(state), release::next_due(state)].into_iter().flatten().min()
}
