//! Taking back: exactly what was touched, the last first, as many hosts at once as the plan's promise allows.
//!
//! A step that was asked and not answered counts as touched, because it may have been done; every undo is idempotent. An
//! undo that fails three times leaves its host as it is and says so. It always ends.

use std::time::Duration;

use model::order::{HostState, OrderState, Tone};
use model::plan::Action;
use model::time::spoken;
use model::{HostName, Text, Time};

use super::run::{UndoRun, is_harmless, takes_out, undo_step};
use super::work::Work;

/// So often an undo is tried.
const TRIES_MAX: u32 = 3;
/// Between two tries, times the number of tries.
const PAUSE: Duration = Duration::from_secs(1);
/// A host or a balancer that does not answer for so long is given up.
pub const LOST_AFTER: Duration = Duration::from_secs(600);

/// What can be done for a host's undo now.
enum Next {
    /// It is back, or given up.
    Ended,
    /// Something has to happen first; it will, or its time runs out.
    Waits,
    /// This, but it may not leave service as long as no other comes in.
    NoRoom(Asking),
    /// This.
    Ask(Asking),
}

/// One action of an undo: its place, and how long it may take.
struct Asking {
    place: (u32, usize),
    action: Action,
    time_limit_ms: u64,
}

impl Work<'_> {
    /// Decides to take back what was touched.
    pub fn begin_undo(&mut self) {
        self.order.state = OrderState::RollingBack;
        self.order.watching_since = None;
        self.order.brake = false;
        self.run.pauses = false;
        self.run.blind = false;
        self.run.look_again_at = None;
        let untouched: Vec<HostName> = self.run.lanes.keys().filter(|host| !self.run.touched.contains(host)).cloned().collect();
        for host in untouched {
            self.lane_run(&host).away_since = None;
            self.show(&host, HostState::NotTouched);
        }
        for host in self.run.touched.clone() {
            let undo = UndoRun::of(&self.order.plan, &host, self.run.lanes[&host].touched);
            self.lane_run(&host).undo = Some(undo);
        }
        let (count, to) = (self.run.touched.len(), self.goes_back_to());
        let text = Text::new("order.rolling_back").with("count", count).with("to", to);
        self.note(text.clone(), Tone::RolledBack);
        self.timeline(text, Tone::RolledBack, None, None);
    }

    /// The version that the touched servers had, all of them named where they differ.
    fn goes_back_to(&self) -> String {
        let mut versions: Vec<&str> = self
            .run
            .touched
            .iter()
            .filter_map(|host| self.lane(host))
            .map(|lane| lane.before.as_ref().map_or("-", |before| before.version.as_str()))
            .collect();
        versions.sort_unstable();
        versions.dedup();
        versions.join(", ")
    }

    /// Asks whatever can be taken back now; ends the order when nothing is left.
    pub fn undo_on(&mut self) {
        let hosts: Vec<HostName> = self.run.touched.iter().rev().cloned().collect();
        let (mut waits, mut no_room) = (false, Vec::new());
        for host in &hosts {
            match self.next_undo(host) {
                Next::Ended => {}
                Next::Waits => waits = true,
                Next::NoRoom(asking) => no_room.push((host, asking)),
                Next::Ask(asking) => {
                    waits = true;
                    self.ask_undo(host, asking);
                }
            }
        }
        if waits {
            return;
        }
        // No other will come in any more, but one that crashed takes nothing away. Not earlier: a crash may be a flap, and
        // the promise is to those who are still served.
        let (crashed, no_room): (Vec<_>, Vec<_>) = no_room.into_iter().partition(|(host, _)| self.is_crashed(host));
        let goes_on = !crashed.is_empty();
        for (host, asking) in crashed {
            self.ask_undo(host, asking);
        }
        if goes_on {
            return;
        }
        // Servers that are out and could not be brought back keep these from leaving: they stay as they are, in service.
        for (host, _) in no_room {
            let min = self.order.plan.min_in_service;
            self.give_up(host, format!("{min} servers must stay in service"));
        }
        self.end_undone();
    }

    fn next_undo(&mut self, host: &HostName) -> Next {
        let (now, up) = (self.now(), self.is_up(host));
        let lane = self.lane_run(host);
        let Some(undo) = lane.undo.clone().filter(|undo| undo.stuck.is_none()) else { return Next::Ended };
        if let Some(since) = lane.away_since
            && now >= since + LOST_AFTER
        {
            self.withdraw(host);
            self.give_up(host, format!("did not answer for {}", spoken(LOST_AFTER)));
            return Next::Ended;
        }
        if let Some(asked) = &lane.asked {
            if asked.request.undo || !is_harmless(&asked.request.action) {
                return Next::Waits;
            }
            lane.away_since = None;
            self.withdraw(host);
        }
        let Some(place) = undo.todo.get(undo.done).copied() else {
            self.back(host);
            return Next::Ended;
        };
        if undo.wait_until.is_some_and(|until| until > now) {
            return Next::Waits;
        }
        if let Some(undo) = self.lane_run(host).undo.as_mut() {
            undo.wait_until = None;
        }
        if !up {
            if lane_is_new_away(&mut self.lane_run(host).away_since, now) {
                self.show(host, HostState::Unknown);
            }
            return Next::Waits;
        }
        let Some(step) = undo_step(&self.order.plan, place) else { return Next::Ended };
        let asking = Asking { place, action: step.action.clone(), time_limit_ms: step.time_limit_ms };
        let leaves =
            takes_out(&asking.action) && !self.run.lanes[host].out && self.lane(host).is_some_and(|lane| lane.before.is_some());
        if leaves && self.run.servers.saturating_sub(self.run.out()) <= self.order.plan.min_in_service {
            return Next::NoRoom(asking);
        }
        Next::Ask(asking)
    }

    fn ask_undo(&mut self, host: &HostName, asking: Asking) {
        let Asking { place, action, time_limit_ms } = asking;
        let Some(undo) = self.lane_run(host).undo.as_mut() else { return };
        undo.tries += 1;
        let key_tail = format!("undo/{}.{}/{}", place.0, place.1, undo.tries);
        let key = format!("{}/{key_tail}", self.order.number);
        self.lane_run(host).away_since = None;
        self.ask(host, key, action, time_limit_ms, true);
        if let Some(progress) = self.order.hosts.get_mut(host) {
            progress.step = Some(place.0);
        }
    }

    /// One action of a host's undo is done.
    pub fn undo_done(&mut self, host: &HostName) {
        if let Some(undo) = self.lane_run(host).undo.as_mut() {
            undo.done += 1;
            undo.tries = 0;
            undo.failed = 0;
        }
    }

    /// One action of a host's undo failed: tried again, three times at most.
    pub fn undo_failed(&mut self, host: &HostName, action: &Action, why: &str) {
        let now = self.now();
        let Some(undo) = self.lane_run(host).undo.as_mut() else { return };
        undo.failed += 1;
        let failed = undo.failed;
        undo.wait_until = Some(now + PAUSE * failed);
        let text = Text::new("order.undo_failed")
            .with("host", host)
            .with("step", action.word())
            .with("try", failed)
            .with("tries", TRIES_MAX)
            .with("why", why);
        self.note_on(host, text, String::new(), Tone::Bad);
        if failed >= TRIES_MAX {
            self.give_up(host, format!("{}: {why}", action.word()));
        }
    }

    fn give_up(&mut self, host: &HostName, why: String) {
        let lane = self.lane_run(host);
        lane.asked = None;
        lane.away_since = None;
        if let Some(undo) = lane.undo.as_mut() {
            undo.wait_until = None;
            undo.stuck = Some(why.clone());
        }
        self.show(host, HostState::Stuck);
        let because = Text::new("because.undo_failed").with("host", host).with("why", why);
        self.note_on(host, because, String::new(), Tone::Bad);
    }

    fn back(&mut self, host: &HostName) {
        if self.order.hosts.get(host).is_some_and(|progress| progress.state != HostState::Old) {
            self.show(host, HostState::Old);
        }
    }

    fn end_undone(&mut self) {
        let now = self.now();
        let stuck: Vec<(HostName, String)> = self
            .run
            .touched
            .iter()
            .filter_map(|host| Some((host.clone(), self.run.lanes.get(host)?.undo.as_ref()?.stuck.clone()?)))
            .collect();
        let (count, to) = (self.run.touched.len() - stuck.len(), self.goes_back_to());
        self.order.ended_at = Some(now);
        self.note_rollback(&to);
        if let Some((host, why)) = stuck.first() {
            self.order.state = OrderState::Failed;
            let because = Text::new("because.undo_failed").with("host", host).with("why", why);
            self.order.because = Some(because.clone());
            let hosts: Vec<&str> = stuck.iter().map(|(host, _)| host.as_str()).collect();
            let language = self.state.config.flyball.language;
            let text = Text::new("order.failed").with("because", because.render(language)).with("hosts", hosts.join(", "));
            self.note(text.clone(), Tone::Bad);
            self.timeline(text.clone(), Tone::Bad, None, None);
            self.tell_halted(text);
        } else {
            self.order.state = OrderState::RolledBack;
            let text = Text::new("order.rolled_back").with("count", count).with("to", &to);
            self.note(text.clone(), Tone::RolledBack);
            self.timeline(text, Tone::RolledBack, None, None);
            let took = spoken(now.since(self.order.halted_at.unwrap_or(now)));
            let text = Text::new("chat.rolled_back")
                .with("service", &self.order.service)
                .with("to", to)
                .with("count", count)
                .with("took", took);
            self.tell_card(text, Tone::RolledBack);
        }
        self.tell_ended();
    }
}

/// Notes since when nobody answers; true the first time.
fn lane_is_new_away(away_since: &mut Option<Time>, now: Time) -> bool {
    let is_new = away_since.is_none();
    away_since.get_or_insert(now);
    is_new
}
