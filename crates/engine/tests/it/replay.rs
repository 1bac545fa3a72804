//! State = snapshot + fold: wherever the journal is cut, and however often it is replayed, the state is the same.

use engine::{State, step};
use model::signal::{HeartbeatPing, HeartbeatSign, HostSeen};
use model::*;
use proptest::prelude::*;

use crate::world::{World, change, transition};

/// What may happen, as a small number and a pause in seconds.
fn happens(world: &mut World, what: u8, pause: u16, place: usize) {
    world.now = world.now + std::time::Duration::from_secs(u64::from(pause));
    let states = [AlertState::Ok, AlertState::Bad, AlertState::NoData, AlertState::SourceDown];
    let services = ["shop", "db", "mail", ""];
    let (state, service) = (states[usize::from(what) % 4], services[usize::from(what) / 4 % 4]);
    let incident = IncidentNumber(u64::from(what % 5));
    let by = model::command::Actor { name: "li".into(), via: model::command::Surface::Page };
    let command = |verb| Event::Command(Command { id: EventId::from(format!("v{what}")), by: by.clone(), verb });
    let host = HostName::new(if what.is_multiple_of(2) { "shop-1" } else { "db-1" }).unwrap();
    let event = match what / 16 {
        0..=5 => Event::Alert(transition(
            ["Errors", "Slow", "Full"][usize::from(what / 64) % 3],
            &[("service", service)],
            state,
            world.now,
        )),
        6 | 7 => Event::Changed(change(&format!("c{place}"), ChangeKind::System, service, host.as_str())),
        8 => command(Verb::Acknowledge { incident }),
        9 => command(Verb::Resolve { incident }),
        10 => command(Verb::Note { incident, text: "n".into() }),
        11 => Event::HostSeen(HostSeen {
            host,
            up: what.is_multiple_of(3),
            agent_version: String::new(),
            boot_id: (what % 4).to_string(),
            clock_ahead_us: 0,
        }),
        12 => Event::Heartbeat(HeartbeatPing {
            id: EventId::from(format!("h{place}")),
            heartbeat: HeartbeatName::new("backup").unwrap(),
            sign: if what.is_multiple_of(2) { HeartbeatSign::Success } else { HeartbeatSign::Fail(Some(1)) },
            body: String::new(),
        }),
        _ => Event::Tick,
    };
    world.does(event);
}

fn fold(book: &[Recorded], mut state: State) -> (State, Vec<engine::Effect>) {
    let mut effects = Vec::new();
    for recorded in book {
        step(&mut state, recorded, &mut effects);
    }
    state.touched = Default::default();
    (state, effects)
}

fn through_disk(state: &State) -> State {
    serde_json::from_slice(&serde_json::to_vec(state).unwrap()).unwrap()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_split_gives_the_same_state_and_effects(
        story in prop::collection::vec((any::<u8>(), 0_u16..600), 1..80),
        cut in 0_usize..80,
    ) {
        let mut world = World::new();
        for (place, (what, pause)) in story.iter().enumerate() {
            happens(&mut world, *what, *pause, place);
        }
        let (straight, effects) = fold(&world.book, State::default());
        let (again, effects_again) = fold(&world.book, State::default());
        prop_assert_eq!(&straight, &again);
        prop_assert_eq!(&effects, &effects_again);

        let cut = cut.min(world.book.len());
        let (half, mut first) = fold(&world.book[..cut], State::default());
        let (other, second) = fold(&world.book[cut..], through_disk(&half));
        first.extend(second);
        prop_assert_eq!(serde_json::to_string(&straight).unwrap(), serde_json::to_string(&other).unwrap());
        prop_assert_eq!(straight, other);
        prop_assert_eq!(effects, first);
    }

    #[test]
    fn what_is_told_has_a_key_of_its_own(story in prop::collection::vec((any::<u8>(), 1_u16..600), 1..80)) {
        let mut world = World::new();
        let mut keys = std::collections::BTreeSet::new();
        for (place, (what, pause)) in story.iter().enumerate() {
            happens(&mut world, *what, *pause, place);
            for effect in &world.owed {
                if let Some(key) = effect.key() {
                    prop_assert!(keys.insert(key.clone()), "{key} twice");
                }
            }
            for incident in world.state.incidents.values() {
                prop_assert!(incident.suspects.iter().map(|suspect| u32::from(suspect.percent)).sum::<u32>() <= 100);
            }
        }
    }
}
