//! What does not answer: silent steps, hosts that disappear, a balancer that is gone, a server that was started anew.
//!
//! Nothing is ever assumed of a step that was not answered: it is asked again under its key, or taken back.

use std::time::Duration;

use model::order::{HostState, OrderState, Tone};
use model::plan::{Action, Doer};
use model::time::spoken;
use model::{BalancerName, EffectKey, HostName, Text, Time};

use super::execute::GRACE;
use super::run::{Asked, LaneRun};
use super::work::Work;
use crate::Effect;

/// A balancer or an agent that could not be reached is asked again after this.
const AGAIN_AFTER: Duration = Duration::from_secs(2);
/// A host whose link is down for so long halts the order: an agent that starts or dials anew is back before.
pub const LOST_AFTER: Duration = Duration::from_secs(5);

impl Work<'_> {
    /// Asks what is out once more: under the same key, so that an agent gives its recorded answer or probes; of a
    /// balancer, which keeps no record, it is the same command that changes nothing when it was done.
    fn ask_again(&mut self, host: &HostName) {
        let (now, epoch) = (self.now(), self.state.epoch);
        let Some(asked) = self.lane_run(host).asked.as_mut() else { return };
        let limit = Duration::from_millis(asked.request.time_limit_ms);
        asked.request.epoch = epoch;
        asked.request.expires_at = now + limit;
        asked.again_at = None;
        asked.until = Some(now + limit + GRACE);
        let request = asked.request.clone();
        self.effects.push(Effect::Do(request));
    }

    /// A host whose turn it is has no link: it waits, and halts the order after a while.
    pub fn wait_for_host(&mut self, host: &HostName, step: &str) {
        let since = self.miss(host, step);
        if self.now() >= since + LOST_AFTER {
            self.halt_for_lost(host, step);
        }
    }

    /// Nothing is known of the step: it is asked again until it is answered. A balancer that is gone halts the order.
    pub fn unreachable(&mut self, host: &HostName, asked: Asked, why: &str) {
        let now = self.now();
        let action = asked.request.action.clone();
        let undo = asked.request.undo;
        // Of an agent without a link nothing is asked until the link is up again.
        let is_there = action.doer() == Doer::Balancer || self.is_up(host);
        let lane = self.lane_run(host);
        lane.asked = Some(Asked { until: None, again_at: is_there.then(|| now + AGAIN_AFTER), ..asked });
        if lane.away_since.is_some() {
            return;
        }
        lane.away_since = Some(now);
        self.note_on(host, action.text(), why.to_owned(), Tone::Halted);
        let Some(balancer) = balancer_of(&action) else { return };
        let because = Text::new("because.balancer_gone").with("balancer", balancer);
        if undo {
            self.tell_halted(because);
        } else if self.order.state == OrderState::Running {
            self.pause(because);
        }
    }

    /// Silent steps, steps to be asked again, hosts that have been away for too long.
    pub fn time_passed(&mut self) {
        let now = self.now();
        for host in self.run.touched.clone() {
            let lane = &self.run.lanes[&host];
            let Some(asked) = lane.asked.clone() else { continue };
            let is_over = asked.until.is_some_and(|until| until <= now);
            let away_too_long = lane.away_since.is_some_and(|since| now >= since + LOST_AFTER);
            if away_too_long && asked.request.action.doer() == Doer::Agent && !asked.request.undo {
                self.show(&host, HostState::Unknown);
                self.halt_for_lost(&host, asked.request.action.word());
            }
            if asked.again_at.is_some_and(|at| at <= now) {
                self.reach_again(&host);
            } else if is_over {
                self.silent(&host, &asked);
            }
        }
    }

    /// A balancer is asked under a new key, an agent under the old one.
    fn reach_again(&mut self, host: &HostName) {
        let Some(asked) = self.lane_run(host).asked.clone() else { return };
        if asked.request.action.doer() == Doer::Balancer {
            let lane = self.lane_run(host);
            let tries = match (&mut lane.undo, asked.request.undo) {
                (Some(undo), true) => &mut undo.tries,
                _ => &mut lane.tries,
            };
            // Not reached is not tried: the number only makes the key another one.
            *tries += 1;
            let tries = *tries;
            let stem = asked.request.key.as_str().rsplit_once('/').map_or("", |(stem, _)| stem).to_owned();
            if let Some(asked) = self.lane_run(host).asked.as_mut() {
                asked.request.key = EffectKey::from(format!("{stem}/{tries}"));
            }
        }
        self.ask_again(host);
    }

    fn silent(&mut self, host: &HostName, asked: &Asked) {
        let action = &asked.request.action;
        let limit = spoken(Duration::from_millis(asked.request.time_limit_ms));
        self.withdraw(host);
        let because = Text::new("because.step_silent").with("host", host).with("step", action.word()).with("limit", &limit);
        if asked.request.undo {
            return self.undo_failed(host, action, &format!("no answer for {limit}"));
        }
        self.lane_run(host).failed = Some(format!("no answer for {limit}"));
        self.note_on(host, because.clone(), String::new(), Tone::Bad);
        if self.goes_on() {
            self.bad(because);
        }
    }

    /// No longer waits for what is out; a late answer changes nothing.
    pub fn withdraw(&mut self, host: &HostName) {
        if let Some(asked) = self.lane_run(host).asked.take() {
            self.effects.push(Effect::Withdraw { key: asked.request.key });
        }
    }

    /// A host's link is down. What was asked of its agent has no time limit from now on: nobody can say what came of it.
    pub fn host_lost(&mut self, host: &HostName) {
        let Some(asked) = self.lane_run(host).asked.as_mut() else { return };
        if asked.request.action.doer() == Doer::Balancer {
            return;
        }
        asked.until = None;
        asked.again_at = None;
        let step = asked.request.action.word();
        self.miss(host, step);
    }

    /// Shows that a host does not answer, and since when.
    fn miss(&mut self, host: &HostName, step: &str) -> Time {
        let now = self.now();
        let lane = self.lane_run(host);
        if let Some(since) = lane.away_since {
            return since;
        }
        lane.away_since = Some(now);
        self.show(host, HostState::Unknown);
        self.note_on(host, Text::new("order.host_lost").with("host", host).with("step", step), String::new(), Tone::Halted);
        now
    }

    /// A host that has been away for too long halts the order, until it answers.
    fn halt_for_lost(&mut self, host: &HostName, step: &str) {
        if self.order.state == OrderState::Running {
            self.pause(Text::new("because.host_lost").with("host", host).with("step", step));
        }
    }

    /// A host's link is up again: what was asked of its agent is asked again.
    pub fn host_back(&mut self, host: &HostName) {
        let Some(lane) = self.run.lanes.get(host) else { return };
        let was_away = lane.away_since.is_some();
        let outstanding = lane.asked.as_ref().filter(|asked| asked.request.action.doer() == Doer::Agent).cloned();
        if let Some(asked) = outstanding {
            self.ask_again(host);
            let doing = if asked.request.undo { HostState::Undoing } else { HostState::Working };
            self.show(host, doing);
            let text = Text::new("order.asked_again").with("host", host).with("step", asked.request.action.word());
            self.note_on(host, text, String::new(), Tone::Running);
        } else if was_away && lane.asked.is_none() {
            self.lane_run(host).away_since = None;
            let is_new = self.current_step(host).is_none();
            let touched = self.run.lanes[host].touched > 0;
            self.show(
                host,
                match (is_new, touched) {
                    (true, _) => HostState::New,
                    (false, true) => HostState::Working,
                    (false, false) => HostState::NotTouched,
                },
            );
        }
    }

    /// Another server is in charge, or the same one again: nobody watched in between.
    pub fn take_over(&mut self) {
        let now = self.now();
        if self.order.state != OrderState::Halted {
            let (step, steps) = self.progress();
            let text = Text::new("order.going_on").with("step", step).with("steps", steps);
            self.note(text.clone(), Tone::Running);
            self.timeline(text, Tone::Running, None, None);
        }
        if self.order.watching_since.is_some() {
            self.order.watching_since = Some(now);
        }
        let lanes = self.run.lanes.iter_mut();
        for (_, lane) in lanes.filter(|(_, lane)| lane.away_since.is_some()) {
            lane.away_since = Some(now);
        }
        for host in self.run.touched.clone() {
            let is_lost = self.run.lanes[&host].asked.as_ref().is_some_and(Asked::is_lost);
            if !is_lost {
                self.ask_again(&host);
            }
        }
        if self.order.state == OrderState::Running && !self.gate_is_well() {
            self.bad(Text::new("because.restart"));
        }
        self.drive();
    }

    /// Which step it is at, forward or back, and how many there are.
    fn progress(&self) -> (usize, usize) {
        let back = |lane: &LaneRun| lane.undo.as_ref().map_or((0, 0), |undo| (undo.done, undo.todo.len()));
        let lanes = self.run.lanes.values();
        let (done, all) = if self.order.state == OrderState::RollingBack {
            lanes.map(back).fold((0, 0), |sum, lane| (sum.0 + lane.0, sum.1 + lane.1))
        } else {
            (lanes.map(|lane| lane.done).sum(), self.order.plan.steps().count())
        };
        ((done + 1).min(all), all)
    }
}

fn balancer_of(action: &Action) -> Option<&BalancerName> {
    match action {
        Action::BalancerOut { balancer, .. } | Action::Drain { balancer, .. } | Action::BalancerIn { balancer, .. } => {
            Some(balancer)
        }
        _ => None,
    }
}
