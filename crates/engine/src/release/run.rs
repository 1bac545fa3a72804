//! How far a release is, step by step: what the order's own fields are too coarse for.
//!
//! Part of the state, so a snapshot holds it and replay rebuilds it. Kept only until the order ends.

use std::collections::{BTreeMap, BTreeSet};

use model::plan::{Action, Plan, StepRequest, UndoStep};
use model::{AlertKey, HostName, OrderNumber, Seq, Time};
use serde::{Deserialize, Serialize};

/// Everything that releases keep besides the orders themselves.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Releases {
    /// Orders that have not ended.
    pub runs: BTreeMap<OrderNumber, Run>,
}

/// How far an order is.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Run {
    /// When it was approved: its place in the queue.
    pub approved: Seq,
    /// Servers that are in service while none of this order is out.
    pub servers: u32,
    /// By host, those with steps only.
    pub lanes: BTreeMap<HostName, LaneRun>,
    /// Hosts in the order in which they were touched first.
    pub touched: Vec<HostName>,
    /// Halted by itself because of something that may pass: it goes on when everything answers again.
    pub pauses: bool,
    /// Halted because the judge got no figures: it goes on when they come, with a new watch.
    #[serde(default)]
    pub blind: bool,
    /// Alerts that were bad when it began or when a person let it go on: they do not halt it.
    pub excused: BTreeSet<AlertKey>,
    /// A lane waits until enough servers are in service; looked at again then.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub look_again_at: Option<Time>,
}

/// How far one host is.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct LaneRun {
    /// Steps that are done.
    pub done: usize,
    /// How often the step after those was asked.
    pub tries: u32,
    /// What is being done now.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub asked: Option<Asked>,
    /// Why the step after those that are done failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failed: Option<String>,
    /// Steps that were asked at least once: what an undo has to look at.
    pub touched: usize,
    /// Taken out of service by this order, from the asking until it is in again.
    pub out: bool,
    /// Since when the host or the balancer in front of it does not answer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub away_since: Option<Time>,
    /// Said already that it waits for others to be in service.
    #[serde(default)]
    pub said_waits: bool,
    /// The undo, once it was decided.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub undo: Option<UndoRun>,
}

/// A request that waits for its answer.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Asked {
    /// What was asked.
    pub request: StepRequest,
    /// Silent after this; none while it is not known to have arrived.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<Time>,
    /// It was not reached: asked again then.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub again_at: Option<Time>,
}

/// How far a host's undo is.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct UndoRun {
    /// What has to be done, in order: a step's ordinal and the place in its undo.
    pub todo: Vec<(u32, usize)>,
    /// How many of them are done.
    pub done: usize,
    /// How often the one after those was asked.
    pub tries: u32,
    /// How often it failed; not being reached is no failure.
    #[serde(default)]
    pub failed: u32,
    /// Not asked again before this.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub wait_until: Option<Time>,
    /// Given up, and why.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stuck: Option<String>,
}

impl Asked {
    /// Nobody can say what came of it until its host's link is up again.
    pub fn is_lost(&self) -> bool {
        self.until.is_none() && self.again_at.is_none()
    }
}

impl UndoRun {
    /// The undo of a lane of which so many steps were touched: the last first.
    pub fn of(plan: &Plan, host: &HostName, touched: usize) -> UndoRun {
        let steps = plan.steps().filter(|(on, _)| *on == host).map(|(_, step)| step).take(touched);
        let mut todo: Vec<Vec<(u32, usize)>> =
            steps.map(|step| (0..step.undo.len()).map(|place| (step.ordinal, place)).collect()).collect();
        todo.reverse();
        UndoRun { todo: todo.concat(), ..UndoRun::default() }
    }

    /// Nothing is left to be done.
    pub fn ended(&self) -> bool {
        self.done >= self.todo.len()
    }
}

impl Run {
    /// Servers that this order has out of service.
    pub fn out(&self) -> u32 {
        self.lanes.values().filter(|lane| lane.out).count() as u32
    }

    /// When something has to be looked at, whatever the order's state.
    pub fn next_due(&self) -> Option<Time> {
        let lanes = self.lanes.values().flat_map(|lane| {
            let asked = lane.asked.as_ref();
            [asked.and_then(|asked| asked.again_at.or(asked.until)), lane.undo.as_ref().and_then(|undo| undo.wait_until)]
        });
        lanes.chain([self.look_again_at]).flatten().min()
    }
}

/// One action of an undo, by its place.
pub fn undo_step(plan: &Plan, (ordinal, place): (u32, usize)) -> Option<&UndoStep> {
    plan.steps().find(|(_, step)| step.ordinal == ordinal)?.1.undo.get(place)
}

/// True for what makes a server stop answering requests.
pub fn takes_out(action: &Action) -> bool {
    matches!(
        action,
        Action::BalancerOut { .. } | Action::Drain { .. } | Action::Stop { .. } | Action::Switch { .. } | Action::Restart { .. }
    )
}

/// True for what may still be going on while its undo begins: it alters nothing that serves.
pub fn is_harmless(action: &Action) -> bool {
    matches!(action, Action::Fetch { .. } | Action::Unpack { .. } | Action::Drain { .. } | Action::Verify { .. })
}
