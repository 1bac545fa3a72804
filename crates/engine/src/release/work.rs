//! One order in hand: the order, its run and everything that a change of them needs, taken out of the state and put back.
//!
//! What has to be told is collected and told when the order lies in the state again, because whoever is told looks there.

use std::time::Duration;

use model::change::Change;
use model::event::Card;
use model::order::{HostState, Order, OrderNote, OrderState, Tone};
use model::plan::{Lane, Step};
use model::{HostName, OrderNumber, Recorded, Text, Time};

use super::run::{LaneRun, Run};
use crate::{Effect, State, incident, suspect};

/// Most lines of an order's story; more, and the middle is left out.
pub const STORY_MAX: usize = 500;

/// One order in hand.
pub struct Work<'a> {
    /// Everything else.
    pub state: &'a mut State,
    /// The event that is folded in.
    pub recorded: &'a Recorded,
    /// What is owed to the world.
    pub effects: &'a mut Vec<Effect>,
    /// The order.
    pub order: Order,
    /// How far it is.
    pub run: Run,
    tellings: Vec<Telling>,
}

enum Telling {
    Halted(Text),
    Ended,
    Changed(Change),
    Card(Card),
}

/// Takes an order in hand, and puts it back.
pub fn with_order(
    state: &mut State,
    recorded: &Recorded,
    number: &OrderNumber,
    effects: &mut Vec<Effect>,
    change: impl FnOnce(&mut Work<'_>),
) {
    let Some(order) = state.orders.remove(number) else { return };
    let run = state.releases.runs.remove(number).unwrap_or_default();
    let mut work = Work { state, recorded, effects, order, run, tellings: Vec::new() };
    change(&mut work);
    let Work { order, run, tellings, .. } = work;
    if !order.state.is_final() {
        state.releases.runs.insert(number.clone(), run);
    }
    let service = order.service.clone();
    state.orders.insert(number.clone(), order);
    state.touched.orders.insert(number.clone());
    for telling in tellings {
        match telling {
            Telling::Halted(because) => incident::release_halted(state, recorded, number, &because, effects),
            Telling::Ended => incident::release_ended(state, recorded, number, effects),
            Telling::Changed(change) => suspect::note(state, recorded, &change),
            Telling::Card(card) => incident::tell(state, recorded, Some(&service), card, None, effects),
        }
    }
}

impl Work<'_> {
    /// Now.
    pub fn now(&self) -> Time {
        self.state.at
    }

    /// Runs, or would if what does not answer answered: something bad now halts it and takes it back.
    pub fn goes_on(&self) -> bool {
        self.order.state == OrderState::Running || (self.order.state == OrderState::Halted && self.run.pauses)
    }

    /// Whether the plan says that the judge may halt it: a restart, say, has no new release to compare.
    pub fn heeds_judge(&self) -> bool {
        self.order.plan.batches.get(self.order.batch as usize).is_some_and(|batch| batch.gate.judge)
    }

    /// The lane of a host in the plan.
    pub fn lane(&self, host: &HostName) -> Option<&Lane> {
        self.order.plan.batches.iter().flat_map(|batch| &batch.lanes).find(|lane| lane.host == *host)
    }

    /// The step that a lane does or would do next.
    pub fn current_step(&self, host: &HostName) -> Option<&Step> {
        self.lane(host)?.steps.get(self.run.lanes.get(host)?.done)
    }

    /// A host's run; every host with steps has one from the start on.
    pub fn lane_run(&mut self, host: &HostName) -> &mut LaneRun {
        self.run.lanes.entry(host.clone()).or_default()
    }

    /// Whether the host's agent is linked. A host that was never seen counts as linked: asking it will tell.
    pub fn is_up(&self, host: &HostName) -> bool {
        self.state.hosts.get(host).is_none_or(|known| known.seen.up)
    }

    /// Shows a host in a state.
    pub fn show(&mut self, host: &HostName, state: HostState) {
        let now = self.now();
        let Some(progress) = self.order.hosts.get_mut(host) else { return };
        progress.state = state;
        if matches!(state, HostState::New | HostState::Old | HostState::Stuck) {
            progress.doing = None;
            progress.ended_at = Some(now);
        }
    }

    /// Adds a line to the story.
    pub fn note(&mut self, text: Text, tone: Tone) {
        self.write(None, text, String::new(), tone);
    }

    /// Adds a line to the deploy log of a host.
    pub fn note_on(&mut self, host: &HostName, text: Text, note: String, tone: Tone) {
        self.write(Some(host.clone()), text, note, tone);
    }

    fn write(&mut self, host: Option<HostName>, text: Text, note: String, tone: Tone) {
        if self.order.story.len() >= STORY_MAX {
            self.order.story.remove(STORY_MAX / 2);
        }
        let at = self.now();
        self.order.story.push(OrderNote { at, host, text, note, tone });
    }

    /// Tells once the order lies in the state: it was halted by itself.
    pub fn tell_halted(&mut self, because: Text) {
        self.tellings.push(Telling::Halted(because));
    }

    /// Tells once the order lies in the state: it has ended, or goes on.
    pub fn tell_ended(&mut self) {
        self.tellings.push(Telling::Ended);
    }

    /// Notes a change once the order lies in the state.
    pub fn tell_change(&mut self, change: Change) {
        self.tellings.push(Telling::Changed(change));
    }

    /// Says something in the service's rooms once the order lies in the state.
    pub fn tell_card(&mut self, text: Text, tone: Tone) {
        let card = Card { text, tone, calls: None, incident: None, order: Some(self.order.number.clone()) };
        self.tellings.push(Telling::Card(card));
    }
}

/// How long the gate of the current batch watches.
pub fn watch(order: &Order) -> Duration {
    Duration::from_millis(order.plan.batches.get(order.batch as usize).map_or(0, |batch| batch.gate.watch_ms))
}
