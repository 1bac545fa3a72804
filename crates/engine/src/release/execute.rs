//! Going forward: asks the next steps, takes their answers, watches gates, halts.
//!
//! Level-triggered: [`Work::drive`] looks at where the order is and asks whatever can be asked now. It never asks a step of
//! a lane before the one before was answered, and never takes a server out of service below what the plan promises.

use std::time::Duration;

use model::order::{HostState, OrderKind, OrderState, Tone};
use model::plan::{Action, Doer, StepAnswer, StepOutcome, StepRequest};
use model::signal::{ReleaseOnHost, ServiceSeen, ServiceState};
use model::{AlertState, EffectKey, HostName, Text};

use super::run::{Asked, takes_out};
use super::story::took;
use super::work::{Work, watch};
use crate::Effect;
use crate::state::ServiceOnHost;

/// How much later than its limit an answer may come: for the way there and back.
pub const GRACE: Duration = Duration::from_secs(2);
/// A lane that waits for others to be in service looks again after this.
const LOOK_AGAIN_AFTER: Duration = Duration::from_secs(1);

impl Work<'_> {
    /// Asks whatever can be asked now.
    pub fn drive(&mut self) {
        match self.order.state {
            OrderState::Running => self.roll(),
            OrderState::RollingBack => self.undo_on(),
            OrderState::Halted => self.try_go_on(),
            OrderState::Draft
            | OrderState::Approved
            | OrderState::Done
            | OrderState::Failed
            | OrderState::RolledBack
            | OrderState::Cancelled => {}
        }
    }

    fn roll(&mut self) {
        self.run.look_again_at = None;
        while self.order.state == OrderState::Running {
            let hosts = self.hosts_of_batch();
            if let Some(since) = self.order.watching_since {
                // A host that disappears while it is watched may have taken the new release with it.
                let gone: Vec<&HostName> = hosts.iter().filter(|host| !self.is_up(host)).collect();
                for host in &gone {
                    self.wait_for_host(host, "watch");
                }
                if !gone.is_empty() || self.now() < since + watch(&self.order) || self.waits_for_figures() {
                    return;
                }
                self.close_gate();
                continue;
            }
            for host in &hosts {
                self.ask_next(host);
                if self.order.state != OrderState::Running {
                    return;
                }
            }
            let is_in = |host: &HostName| self.current_step(host).is_none();
            if !hosts.iter().all(is_in) {
                return;
            }
            self.order.watching_since = Some(self.now());
        }
    }

    fn hosts_of_batch(&self) -> Vec<HostName> {
        let batch = self.order.plan.batches.get(self.order.batch as usize);
        batch.map_or(Vec::new(), |batch| {
            batch.lanes.iter().filter(|lane| !lane.steps.is_empty()).map(|lane| lane.host.clone()).collect()
        })
    }

    /// The gate has watched long enough: next batch, or done. What it could not see is not taken for good.
    fn close_gate(&mut self) {
        let batch = self.order.batch as usize;
        let named = self.order.plan.batches.get(batch).is_some_and(|batch| !batch.gate.rules.is_empty());
        let blind = self.gate_alerts(AlertState::NoData).chain(self.gate_alerts(AlertState::SourceDown)).next();
        if let Some(rule) = blind.filter(|_| named).map(|alert| alert.rule.clone()) {
            self.halt_and_tell(Text::new("because.no_data").with("rule", rule));
            return;
        }
        let seconds = watch(&self.order).as_secs();
        self.note(Text::new("order.gate_passed").with("batch", batch + 1).with("seconds", seconds), Tone::Ok);
        self.order.watching_since = None;
        self.order.batch += 1;
        if self.order.batch as usize >= self.order.plan.batches.len() {
            self.end_done();
        } else if std::mem::take(&mut self.order.brake) {
            self.halt(Text::new("because.brake").with("batch", batch + 1));
        } else {
            self.note_batch();
        }
    }

    /// Says which batch starts.
    pub fn note_batch(&mut self) {
        let hosts: Vec<String> = self.hosts_of_batch().iter().map(HostName::to_string).collect();
        let text = Text::new("order.batch_starts")
            .with("batch", self.order.batch + 1)
            .with("batches", self.order.plan.batches.len())
            .with("hosts", hosts.join(", "));
        self.note(text, Tone::Running);
    }

    fn end_done(&mut self) {
        let now = self.now();
        self.order.state = OrderState::Done;
        self.order.because = None;
        self.order.ended_at = Some(now);
        let (count, to) = (self.run.lanes.len(), self.order.release.version.clone());
        let text = Text::new("order.done").with("count", count).with("to", &to);
        self.note(text.clone(), Tone::Ok);
        self.timeline(text, Tone::Ok, None, None);
        if self.order.kind == OrderKind::Deploy {
            let text = Text::new("chat.done").with("service", &self.order.service).with("to", to).with("count", count);
            self.tell_card(text, Tone::Ok);
        }
        self.tell_ended();
    }

    /// Asks a lane's next step, if it may be asked now.
    fn ask_next(&mut self, host: &HostName) {
        let lane = self.lane_run(host);
        if lane.asked.is_some() || lane.failed.is_some() {
            return;
        }
        let Some(step) = self.current_step(host).cloned() else { return };
        if !self.is_up(host) {
            return self.wait_for_host(host, step.action.word());
        }
        self.lane_run(host).away_since = None;
        if takes_out(&step.action) && !self.run.lanes[host].out && !self.may_go_out(host) {
            return self.wait_for_room(host);
        }
        let lane = self.lane_run(host);
        lane.tries += 1;
        let tries = lane.tries;
        lane.touched = lane.touched.max(lane.done + 1);
        let key = format!("{}/{}/{tries}", self.order.number, step.ordinal);
        self.ask(host, key, step.action, step.time_limit_ms, false);
        if let Some(progress) = self.order.hosts.get_mut(host) {
            progress.step = Some(step.ordinal);
        }
    }

    /// Owes the world a step, and waits for its answer.
    pub fn ask(&mut self, host: &HostName, key: String, action: Action, time_limit_ms: u64, undo: bool) {
        let now = self.now();
        if let Some(progress) = self.order.hosts.get_mut(host) {
            progress.state = if undo { HostState::Undoing } else { HostState::Working };
            progress.doing = Some(action.word().to_owned());
            progress.asked_at = Some(now);
            progress.ended_at = None;
        }
        if !self.run.touched.contains(host) {
            self.run.touched.push(host.clone());
        }
        let had_something = self.lane(host).is_some_and(|lane| lane.before.is_some());
        let limit = Duration::from_millis(time_limit_ms);
        let request = StepRequest {
            key: EffectKey::from(key),
            epoch: self.state.epoch,
            order: self.order.number.clone(),
            host: host.clone(),
            action,
            undo,
            time_limit_ms,
            expires_at: now + limit,
        };
        let lane = self.lane_run(host);
        lane.out |= takes_out(&request.action) && had_something;
        lane.asked = Some(Asked { request: request.clone(), until: Some(now + limit + GRACE), again_at: None });
        self.effects.push(Effect::Do(request));
    }

    /// Whether one more server may leave: the plan's promise holds without it, crashed servers of the place counted.
    fn may_go_out(&self, host: &HostName) -> bool {
        let Some(place) = self.state.config.place(&self.order.service, &self.order.environment) else { return true };
        let is_out = |host: &HostName| self.run.lanes.get(host).is_some_and(|lane| lane.out);
        let had_nothing = self.lane(host).is_some_and(|lane| lane.before.is_none());
        let others_down =
            place.servers.iter().filter(|server| self.is_crashed(&server.host) && !is_out(&server.host)).count() as u32;
        had_nothing
            || self.is_crashed(host)
            || self.run.servers.saturating_sub(self.run.out() + others_down) > self.order.plan.min_in_service
    }

    /// Whether this order's service crashed there: a server that serves nobody takes nothing away when it leaves.
    pub fn is_crashed(&self, host: &HostName) -> bool {
        let key = ServiceOnHost { service: self.order.service.clone(), host: host.clone() };
        self.state.services.get(&key).is_some_and(|seen| seen.state == ServiceState::Crashed)
    }

    fn wait_for_room(&mut self, host: &HostName) {
        let (now, min) = (self.now(), self.order.plan.min_in_service);
        self.run.look_again_at = Some(now + LOOK_AGAIN_AFTER);
        if !std::mem::replace(&mut self.lane_run(host).said_waits, true) {
            let text = Text::new("order.waits_for_room").with("host", host).with("min", min);
            self.note_on(host, text, String::new(), Tone::Running);
        }
    }

    /// A step was answered.
    pub fn answered(&mut self, answer: &StepAnswer) {
        let host = &answer.host;
        let Some(asked) = self.lane_run(host).asked.take() else { return };
        let action = asked.request.action.clone();
        match &answer.outcome {
            StepOutcome::Done { note } => {
                self.lane_run(host).away_since = None;
                self.note_on(host, action.text(), took(note, answer.took_ms), tone_of(asked.request.undo));
                self.know(host, &action);
                if asked.request.undo { self.undo_done(host) } else { self.step_done(host) }
            }
            StepOutcome::Failed { why } | StepOutcome::Refused { why } => {
                self.lane_run(host).away_since = None;
                if asked.request.undo { self.undo_failed(host, &action, why) } else { self.step_failed(host, &action, why) }
            }
            StepOutcome::Unreachable { why } => self.unreachable(host, asked, why),
        }
    }

    fn step_done(&mut self, host: &HostName) {
        let lane = self.lane_run(host);
        lane.done += 1;
        lane.tries = 0;
        if self.current_step(host).is_some() || self.order.state == OrderState::RollingBack {
            return;
        }
        self.show(host, HostState::New);
        let all = self.run.lanes.len();
        let done = self.run.lanes.keys().filter(|host| self.current_step(host).is_none()).count();
        let text = Text::new("order.batch_in").with("done", done).with("all", all).with("to", &self.order.release.version);
        self.note(text.clone(), Tone::Ok);
        self.timeline(text, Tone::Ok, None, None);
    }

    fn step_failed(&mut self, host: &HostName, action: &Action, why: &str) {
        self.lane_run(host).failed = Some(why.to_owned());
        let because = Text::new("because.step_failed").with("host", host).with("step", action.word()).with("why", why);
        self.note_on(host, action.text(), why.to_owned(), Tone::Bad);
        if self.goes_on() {
            self.bad(because);
        }
    }

    /// What a step that was done says of its host, until the agent itself says more.
    fn know(&mut self, host: &HostName, action: &Action) {
        let behind_balancer =
            self.lane(host).is_some_and(|lane| lane.steps.iter().any(|step| step.action.doer() == Doer::Balancer));
        if matches!(action, Action::BalancerIn { .. }) || (matches!(action, Action::Verify { .. }) && !behind_balancer) {
            self.lane_run(host).out = false;
        }
        match action {
            Action::Switch { to, .. } => self.know_service(host, |seen| seen.release = to.clone()),
            Action::Stop { .. } => self.know_service(host, |seen| seen.state = ServiceState::Stopped),
            Action::Start { .. } | Action::Restart { .. } => {
                self.know_service(host, |seen| seen.state = ServiceState::Running);
            }
            Action::Fetch { .. }
            | Action::Unpack { .. }
            | Action::BalancerOut { .. }
            | Action::Drain { .. }
            | Action::Verify { .. }
            | Action::BalancerIn { .. } => {}
        }
    }

    fn know_service(&mut self, host: &HostName, change: impl FnOnce(&mut ServiceSeen)) {
        let now = self.now();
        let key = ServiceOnHost { service: self.order.service.clone(), host: host.clone() };
        let seen = self.state.services.entry(key).or_insert_with_key(|key| ServiceSeen {
            host: key.host.clone(),
            service: key.service.clone(),
            state: ServiceState::Stopped,
            release: None::<ReleaseOnHost>,
            since: now,
            pid: None,
            restarts: 0,
        });
        change(seen);
    }

    /// Something of this release is bad: halts it, and takes it back where the configuration says so.
    pub fn bad(&mut self, because: Text) {
        let rolls_back = self.rolls_back_by_itself();
        self.run.pauses = false;
        self.halt_and_tell(because);
        if rolls_back {
            self.begin_undo();
        }
    }

    fn rolls_back_by_itself(&self) -> bool {
        use model::config::IfBad;
        self.state.config.service(&self.order.service).is_none_or(|(_, service)| service.release.if_bad == IfBad::RollBack)
    }

    fn halt_and_tell(&mut self, because: Text) {
        self.halt(because.clone());
        self.tell_halted(because);
    }

    /// Halted by something that may pass.
    pub fn pause(&mut self, because: Text) {
        self.halt_and_tell(because);
        self.run.pauses = true;
    }

    /// Halted only because something did not answer, and everything answers again: goes on by itself.
    fn try_go_on(&mut self) {
        let lanes = self.run.lanes.values();
        let waits = lanes.clone().any(|lane| lane.away_since.is_some()) || lanes.clone().any(|lane| lane.failed.is_some());
        if !self.run.pauses || waits || self.run.blind {
            return;
        }
        self.note(Text::new("order.goes_on"), Tone::Running);
        self.go_on();
        self.roll();
    }

    /// Running again, with nothing in its way.
    pub fn go_on(&mut self) {
        self.order.state = OrderState::Running;
        self.order.because = None;
        self.run.pauses = false;
        self.run.blind = false;
        self.tell_ended();
    }
}

fn tone_of(undo: bool) -> Tone {
    if undo { Tone::RolledBack } else { Tone::Ok }
}
