//! The deterministic half of the pump: events get their places, the engine folds them in, the journal keeps them.
//!
//! Driven by the pump's task in a server and by the simulator in tests: it has no thread, no timer and no channel.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, PoisonError, RwLock};

use engine::{Effect, State, Touched};
use model::api::ChangeRow;
use model::event::EVENT_SCHEMA;
use model::incident::TellResult;
use model::{Event, EventId, Outcome, Recorded, Seq, Time};

#[cfg(test)]
use super::tests;
use crate::clock::SharedClock;
use crate::journal::{AuditOutcome, Committed, Journal, JournalError, NewAudit, OutboxChange, Owed};

/// The engine's state. Written by the pump alone; whoever reads it sees at most one batch that is not on disk yet.
pub type SharedState = Arc<RwLock<State>>;

/// The only owner of the engine's state.
pub struct Fold {
    journal: Arc<dyn Journal>,
    clock: SharedClock,
    state: SharedState,
    last: Seq,
    at: Time,
}

/// What a batch of events brought about, before it is on disk.
#[derive(Debug, Default)]
pub struct Folded {
    /// To be committed.
    pub committed: Committed,
    /// One per event, in order.
    pub results: Vec<FoldResult>,
    /// What the commit takes out of the state.
    touched: Touched,
}

/// What became of one event.
#[derive(Clone, Debug, PartialEq)]
pub enum FoldResult {
    /// Folded in; a command has an outcome.
    Done(Option<Outcome>),
    /// The engine failed on it.
    Poisoned(String),
}

impl Fold {
    /// Reads the journal: the newest snapshot and the events behind it. Says what is owed.
    pub async fn open(journal: Arc<dyn Journal>, clock: SharedClock) -> Result<(Fold, Vec<Owed>), JournalError> {
        let mut fold = Fold { journal, clock, state: Arc::new(RwLock::new(State::default())), last: Seq(0), at: Time::default() };
        let owed = fold.reload().await?;
        Ok((fold, owed))
    }

    /// Throws the state away and builds it anew from the journal. Says what is owed.
    pub async fn reload(&mut self) -> Result<Vec<Owed>, JournalError> {
        let loaded = self.journal.load().await?;
        let mut state = loaded.snapshot.map_or_else(State::default, |snapshot| *snapshot);
        let mut effects = Vec::new();
        for recorded in &loaded.tail {
            if let Err(why) = step(&mut state, recorded, &mut effects) {
                // Only a newer program can fail on what an older one folded in. Going on is better than not starting.
                tracing::error!(seq = recorded.seq.0, why, "failed to replay an event; it is left out");
            }
            // What a replay owes lies in the outbox already.
            effects.clear();
            state.touched = Default::default();
        }
        self.last = loaded.last.max(state.seq);
        self.at = state.at;
        self.clock.not_before(state.at);
        *self.state.write().unwrap_or_else(PoisonError::into_inner) = state;
        Ok(loaded.owed)
    }

    /// The state, to read.
    pub fn state(&self) -> SharedState {
        self.state.clone()
    }

    /// The last place that was given out.
    pub fn last(&self) -> Seq {
        self.last
    }

    /// Gives the events their places and folds them in.
    pub async fn fold(&mut self, events: &[Event]) -> Result<Folded, JournalError> {
        let mut recorded = Vec::with_capacity(events.len());
        for event in events {
            self.last = Seq(self.last.0 + 1);
            self.at = self.at.max(self.clock.now());
            recorded.push(Recorded { seq: self.last, at: self.at, schema: EVENT_SCHEMA, event: event.clone() });
        }
        let (last, at) = (self.last, self.at);
        let mut poisoned: Vec<(Seq, String)> = Vec::new();
        loop {
            match self.fold_once(&recorded, &poisoned) {
                Ok(mut folded) => {
                    folded.committed.recorded = recorded;
                    folded.committed.poisoned = poisoned.into_iter().map(|(seq, _)| seq).collect();
                    return Ok(folded);
                }
                Err((seq, why)) => {
                    // The state may be half changed: begin again from what is on disk, without this event.
                    tracing::error!(seq = seq.0, why, "the engine failed on an event; it is kept and left out");
                    poisoned.push((seq, why));
                    self.reload().await?;
                    (self.last, self.at) = (last, at);
                }
            }
        }
    }

    fn fold_once(&self, recorded: &[Recorded], poisoned: &[(Seq, String)]) -> Result<Folded, (Seq, String)> {
        let mut state = self.state.write().unwrap_or_else(PoisonError::into_inner);
        let mut folded = Folded::default();
        let mut effects = Vec::new();
        for recorded in recorded {
            if let Some((_, why)) = poisoned.iter().find(|(seq, _)| *seq == recorded.seq) {
                folded.results.push(FoldResult::Poisoned(why.clone()));
                continue;
            }
            folded.committed.outbox.extend(settled_by(&recorded.event));
            step(&mut state, recorded, &mut effects).map_err(|why| (recorded.seq, why))?;
            folded.committed.changes.extend(changes_of(&state, recorded.seq));
            let outcome = take_effects(recorded, &mut effects, &mut folded.committed.outbox);
            folded.committed.audit.extend(audit_of(recorded, &outcome));
            folded.results.push(FoldResult::Done(outcome));
        }
        folded.touched = std::mem::take(&mut state.touched);
        Ok(folded)
    }

    /// Puts on disk what was folded in last. After an error the state is to be built anew.
    pub async fn commit(&mut self, folded: &mut Folded) -> Result<(), JournalError> {
        let (touched, committed) = (std::mem::take(&mut folded.touched), &mut folded.committed);
        {
            // Only now: telling need not wait until a long incident is copied.
            let state = self.state.read().unwrap_or_else(PoisonError::into_inner);
            committed.incidents = touched.incidents.iter().filter_map(|number| state.incidents.get(number)).cloned().collect();
            committed.orders = touched.orders.iter().filter_map(|number| state.orders.get(number)).cloned().collect();
        }
        committed.timeline = touched.timeline;
        committed.chat = touched.chat;
        self.journal.commit(committed).await
    }

    /// The journal.
    pub fn journal(&self) -> &Arc<dyn Journal> {
        &self.journal
    }

    /// The clock.
    pub fn clock(&self) -> &SharedClock {
        &self.clock
    }
}

/// One step of the engine, with a panic as an error.
fn step(state: &mut State, recorded: &Recorded, effects: &mut Vec<Effect>) -> Result<(), String> {
    let folded = catch_unwind(AssertUnwindSafe(|| {
        engine::step(state, recorded, effects);
        #[cfg(test)]
        assert!(!tests::is_poison(&recorded.event), "poisoned by a test");
    }));
    folded.map_err(|panic| {
        let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
        text.or_else(|| panic.downcast_ref::<String>().cloned()).unwrap_or_else(|| "it panicked".to_owned())
    })
}

/// What an event says of the outbox by itself: an answer ends what it answers, a failed try delays it.
fn settled_by(event: &Event) -> Option<OutboxChange> {
    match event {
        Event::StepAnswered(answer) => Some(OutboxChange::Settle(answer.key.clone())),
        Event::Said { key, .. } => Some(OutboxChange::Settle(key.clone())),
        Event::Told { key, result, .. } => match result {
            TellResult::Delivered { .. } | TellResult::Failed { .. } => Some(OutboxChange::Settle(key.clone())),
            TellResult::Retrying { tries, next_at, .. } => Some(OutboxChange::Delay(key.clone(), *tries, *next_at)),
            TellResult::Asked => None,
        },
        _ => None,
    }
}

fn take_effects(recorded: &Recorded, effects: &mut Vec<Effect>, outbox: &mut Vec<OutboxChange>) -> Option<Outcome> {
    let asked: Option<&EventId> = match &recorded.event {
        Event::Command(command) => Some(&command.id),
        _ => None,
    };
    let mut answered = None;
    for effect in effects.drain(..) {
        match effect {
            Effect::Answer { command, outcome } if asked == Some(&command) => answered = Some(outcome),
            Effect::Answer { .. } => {}
            Effect::Withdraw { key } => outbox.push(OutboxChange::Settle(key)),
            Effect::Do(_) | Effect::Tell(_) => {
                let Some(key) = effect.key().cloned() else { continue };
                let (seq, at) = (recorded.seq, recorded.at);
                outbox.push(OutboxChange::Owe(Box::new(Owed { key, seq, at, tries: 0, next_at: at, effect })));
            }
        }
    }
    answered
}

/// The changes that this event brought: reported ones, and those that the engine noted itself.
fn changes_of(state: &State, seq: Seq) -> Vec<ChangeRow> {
    let mut rows: Vec<ChangeRow> = state
        .changes
        .iter()
        .rev()
        .take_while(|seen| seen.seq == seq)
        .map(|seen| ChangeRow { seq, received_at: seen.at, change: seen.change.clone() })
        .collect();
    rows.reverse();
    rows
}

fn audit_of(recorded: &Recorded, outcome: &Option<Outcome>) -> Option<NewAudit> {
    let Event::Command(command) = &recorded.event else { return None };
    Some(NewAudit {
        at: recorded.at,
        seq: Some(recorded.seq),
        by: command.by.name.clone(),
        what: serde_json::to_value(command).unwrap_or_default(),
        outcome: AuditOutcome::Answered(outcome.clone()),
    })
}
