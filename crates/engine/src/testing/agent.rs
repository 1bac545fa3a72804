//! An agent in memory: a process, a link to the current release, and the journal that makes it answer instead of repeat.

use std::collections::{BTreeMap, BTreeSet};

use model::plan::{Action, StepOutcome, StepRequest};
use model::signal::{ReleaseOnHost, ServiceState};
use model::{ArtifactDigest, EffectKey, Epoch, Time};

/// An agent with one service.
#[derive(Clone, Debug, Default)]
pub struct SimulatedAgent {
    /// What `current` points to.
    pub current: Option<ReleaseOnHost>,
    /// What its process runs.
    pub running: Option<ReleaseOnHost>,
    /// Whether its link is up.
    pub up: bool,
    /// Words of actions that fail, and why; those of an undo are named `undo stop`.
    pub fails: BTreeMap<String, String>,
    /// Words of actions that it begins and never answers.
    pub hangs: BTreeSet<String>,
    /// How often each request altered something: never more than once.
    pub effects: BTreeMap<EffectKey, u32>,
    /// Requests refused because a newer server has been seen.
    pub refused: u32,
    unpacked: BTreeSet<ArtifactDigest>,
    epoch: Epoch,
    journal: BTreeMap<EffectKey, Option<StepOutcome>>,
}

/// What an agent does with a request.
#[derive(Clone, Debug, PartialEq)]
pub enum Accepted {
    /// Answers at once: refused, or done before.
    Answer(StepOutcome),
    /// Begins; ends later.
    Begins,
    /// Is at it already.
    Busy,
}

impl SimulatedAgent {
    /// An agent whose service runs this release.
    pub fn running(release: Option<ReleaseOnHost>) -> SimulatedAgent {
        let unpacked = release.iter().map(|release| release.digest.clone()).collect();
        SimulatedAgent { current: release.clone(), running: release, up: true, unpacked, ..SimulatedAgent::default() }
    }

    /// A request arrives. Written down before anything is done.
    pub fn accept(&mut self, request: &StepRequest, now: Time) -> Accepted {
        if request.epoch < self.epoch {
            self.refused += 1;
            return Accepted::Answer(StepOutcome::Refused { why: "an older server asks".into() });
        }
        self.epoch = request.epoch;
        match self.journal.get(&request.key) {
            Some(Some(answer)) => return Accepted::Answer(answer.clone()),
            Some(None) => return Accepted::Busy,
            None => {}
        }
        if now > request.expires_at {
            return Accepted::Answer(StepOutcome::Refused { why: "expired".into() });
        }
        self.journal.insert(request.key.clone(), None);
        Accepted::Begins
    }

    /// What was begun ends: done and written down. None: it hangs.
    pub fn finish(&mut self, request: &StepRequest) -> Option<StepOutcome> {
        let word = request.action.word();
        let name = if request.undo { format!("undo {word}") } else { word.to_owned() };
        if self.hangs.contains(&name) {
            return None;
        }
        let outcome = match self.fails.get(&name) {
            Some(why) => StepOutcome::Failed { why: why.clone() },
            None => self.act(request),
        };
        self.journal.insert(request.key.clone(), Some(outcome.clone()));
        Some(outcome)
    }

    /// Killed and started anew. What was begun may have been done or not: the caller draws lots. It is probed by its
    /// verification; only what is known not to have happened is done.
    pub fn recover(&mut self, begun: &StepRequest, was_done: bool) {
        if was_done && self.fails.is_empty() {
            self.act(begun);
        }
        let outcome =
            if self.holds(&begun.action) { StepOutcome::Done { note: "probed after a restart".into() } } else { self.act(begun) };
        self.journal.insert(begun.key.clone(), Some(outcome));
    }

    /// The state of its process.
    pub fn service_state(&self) -> ServiceState {
        if self.running.is_some() { ServiceState::Running } else { ServiceState::Stopped }
    }

    /// The verification of an action.
    fn holds(&self, action: &Action) -> bool {
        match action {
            Action::Fetch { .. } => false,
            Action::Unpack { release, .. } => self.unpacked.contains(&release.digest),
            Action::Stop { .. } => self.running.is_none(),
            Action::Switch { to, .. } => self.current == *to,
            Action::Start { .. } => self.running.is_some() && self.running == self.current,
            Action::Verify { version, .. } => self.running.as_ref().is_some_and(|running| running.version == *version),
            Action::Restart { .. } => self.running.is_some(),
            Action::BalancerOut { .. } | Action::Drain { .. } | Action::BalancerIn { .. } => unreachable!("a balancer's"),
        }
    }

    fn act(&mut self, request: &StepRequest) -> StepOutcome {
        let before = (self.current.clone(), self.running.clone());
        let mut restarted = false;
        match &request.action {
            Action::Unpack { release, .. } => drop(self.unpacked.insert(release.digest.clone())),
            Action::Stop { .. } => self.running = None,
            Action::Switch { to: Some(to), .. } if !self.unpacked.contains(&to.digest) => {
                return StepOutcome::Failed { why: format!("{} is not here", to.version) };
            }
            Action::Switch { to, .. } => self.current = to.clone(),
            Action::Start { .. } if self.current.is_none() => return StepOutcome::Failed { why: "nothing to start".into() },
            Action::Start { .. } => self.running = self.running.take().or_else(|| self.current.clone()),
            Action::Verify { version, .. } if !self.holds(&request.action) => {
                return StepOutcome::Failed { why: format!("did not see {version}") };
            }
            Action::Restart { .. } => {
                restarted = true;
                self.running = self.current.clone();
            }
            Action::Fetch { .. }
            | Action::Verify { .. }
            | Action::BalancerOut { .. }
            | Action::Drain { .. }
            | Action::BalancerIn { .. } => {}
        }
        if restarted || before != (self.current.clone(), self.running.clone()) {
            *self.effects.entry(request.key.clone()).or_default() += 1;
        }
        StepOutcome::Done { note: String::new() }
    }
}
