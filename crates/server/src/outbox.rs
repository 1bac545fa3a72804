//! What is owed to the outside, in memory: what is due, what is under way, when to try again.
//!
//! No socket, no timer, no channel: it is told what happened and asked what is due, by the performers' task in a server and
//! by the simulator in tests. The truth is the journal's table of the same name; rows leave when their answer is on disk.

mod queue;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use engine::Effect;
use engine::effect::{Tell, TellBody};
use model::incident::TellResult;
use model::plan::{StepAnswer, StepOutcome, StepRequest};
use model::{EffectKey, Event, HostName, Time};

use crate::journal::{OutboxChange, Owed};
use crate::pump::Dues;
use queue::Queue;

/// The pause after the first failed try; doubled with each.
const FIRST_PAUSE: Duration = Duration::from_millis(500);
/// The longest pause: a receiver that is down is asked at most once in so long per alert.
const LONGEST_PAUSE: Duration = Duration::from_secs(10);
/// The journal hears of failed tries at most once in so long per notice.
const REPORT_EVERY: Duration = Duration::from_secs(60);
/// A notice that could not be delivered for so long is given up.
const GIVE_UP_AFTER: Duration = Duration::from_secs(3 * 24 * 3_600);

/// What came of one try to tell somebody.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Attempt {
    /// It arrived.
    Delivered,
    /// It did not, or nobody knows: try again, not before the pause where the receiver named one.
    Again {
        /// Why.
        why: String,
        /// As the receiver asked for.
        after: Option<Duration>,
    },
    /// It never will.
    Never {
        /// Why.
        why: String,
    },
}

/// What came of asking for a step.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Asked {
    /// It has ended.
    Ended(StepOutcome),
    /// The agent has it; the answer comes as an event.
    Sent,
    /// The agent's link is down: asked again when it is up.
    NoLink,
}

/// Something to be performed now.
#[derive(Clone, Debug, PartialEq)]
pub enum Job {
    /// Tell somebody.
    Tell(Tell),
    /// Do a step.
    Do(StepRequest),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    Waiting,
    Busy,
    /// With an agent: its answer settles it.
    Sent,
    /// Performed; the event that says so is on its way to the disk.
    Performed,
}

#[derive(Debug)]
struct Row {
    owed: Owed,
    place: u64,
    phase: Phase,
    reported_at: Option<Time>,
    /// A step that was never handed to its agent.
    unsent: bool,
    /// Withdrawn or replaced while it was under way: what comes of it is no longer wanted.
    gone: bool,
    /// Where notices go one after the other.
    lane: Option<u64>,
    /// Notices that must not overtake each other even when one has to wait.
    thread: Option<u64>,
}

/// What is owed, in memory.
#[derive(Debug)]
pub struct Outbox {
    rows: BTreeMap<EffectKey, Row>,
    queue: Queue,
    places: u64,
    random: u64,
}

impl Outbox {
    /// Holds what the journal says is owed. The seed varies pauses, so that many senders do not keep step.
    pub fn new(owed: Vec<Owed>, seed: u64) -> Outbox {
        let mut outbox = Outbox { rows: BTreeMap::new(), queue: Queue::default(), places: 0, random: seed | 1 };
        owed.into_iter().for_each(|owed| outbox.owe(owed, false));
        outbox
    }

    /// How much is owed.
    pub fn len(&self) -> usize {
        self.rows.len()
    }

    /// True when nothing is owed.
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// Takes over what the pump says.
    pub fn take(&mut self, dues: Dues) {
        match dues {
            Dues::Early(owed) => owed.into_iter().for_each(|owed| self.owe(owed, true)),
            Dues::Committed(changes) => {
                for change in changes {
                    match change {
                        OutboxChange::Owe(owed) => self.owe(*owed, true),
                        OutboxChange::Delay(..) => {}
                        OutboxChange::Settle(key) => self.settle(&key),
                    }
                }
            }
            Dues::Reset(owed) => {
                let wanted: BTreeSet<EffectKey> = owed.iter().map(|owed| owed.key.clone()).collect();
                let unwanted: Vec<EffectKey> = self.rows.keys().filter(|key| !wanted.contains(*key)).cloned().collect();
                unwanted.iter().for_each(|key| self.settle(key));
                for owed in owed {
                    if !self.rows.contains_key(&owed.key) {
                        self.owe(owed, false);
                    }
                }
            }
        }
    }

    /// `new`: never performed yet. What comes from the journal may have been, before a crash.
    fn owe(&mut self, owed: Owed, new: bool) {
        self.places += 1;
        let place = self.places;
        match self.rows.get_mut(&owed.key) {
            // The same notice again is one notice.
            Some(row) if matches!(owed.effect, Effect::Tell(_)) => row.gone = false,
            // A step asked again: what is asked now counts, from now on.
            Some(row) => {
                let phase = if row.phase == Phase::Busy { Phase::Busy } else { Phase::Waiting };
                if row.phase == Phase::Waiting {
                    self.queue.leave(row);
                }
                *row = Row { owed, place, phase, reported_at: None, unsent: new, gone: false, lane: None, thread: None };
                if row.phase == Phase::Waiting {
                    self.queue.enter(row);
                }
            }
            None => {
                let (lane, thread) = match &owed.effect {
                    Effect::Tell(tell) => (Some(lane(tell)), Some(thread(tell))),
                    _ => (None, None),
                };
                let phase = Phase::Waiting;
                let row = Row { owed, place, phase, reported_at: None, unsent: new, gone: false, lane, thread };
                self.queue.enter(&row);
                self.rows.insert(row.owed.key.clone(), row);
            }
        }
    }

    fn settle(&mut self, key: &EffectKey) {
        match self.rows.get_mut(key) {
            Some(row) if row.phase == Phase::Busy => row.gone = true,
            Some(row) => {
                if row.phase == Phase::Waiting {
                    self.queue.leave(row);
                }
                self.rows.remove(key);
            }
            None => {}
        }
    }

    /// What is to be performed now; it counts as under way from here on. A receiver gets one notice at a time, in order.
    pub fn due(&mut self, now: Time) -> Vec<Job> {
        let due = self.queue.due(now);
        let mut jobs = Vec::with_capacity(due.len());
        for key in due {
            let Some(row) = self.rows.get_mut(&key) else { continue };
            self.queue.set_busy(row.lane, true);
            self.queue.leave(row);
            row.phase = Phase::Busy;
            match &row.owed.effect {
                Effect::Tell(tell) => jobs.push(Job::Tell(tell.clone())),
                Effect::Do(request) => jobs.push(Job::Do(request.clone())),
                Effect::Answer { .. } | Effect::Withdraw { .. } => {}
            }
        }
        jobs
    }

    /// When [`due`](Self::due) has something again, if nothing else happens.
    pub fn next_due(&self) -> Option<Time> {
        self.queue.next_due()
    }

    /// A try to tell somebody ended. Gives the event that says so, where the journal has to know.
    pub fn told(&mut self, key: &EffectKey, attempt: Attempt, now: Time) -> Option<Event> {
        let jitter = self.jitter();
        let row = self.rows.get_mut(key).filter(|row| row.phase == Phase::Busy)?;
        self.queue.set_busy(row.lane, false);
        if row.gone {
            self.rows.remove(key);
            return None;
        }
        let Effect::Tell(tell) = &row.owed.effect else { return None };
        let tell = tell.clone();
        row.owed.tries += 1;
        let tries = row.owed.tries;
        let event = |result| Event::Told { key: key.clone(), receiver: tell.receiver.clone(), incident: tell.incident, result };
        match attempt {
            Attempt::Delivered => {
                row.phase = Phase::Performed;
                self.receiver_is_back(&tell, now);
                if let TellBody::Card { room, card } = &tell.body {
                    return Some(Event::Said { key: key.clone(), room: room.clone(), card: card.clone() });
                }
                Some(event(TellResult::Delivered { at: now, tries }))
            }
            Attempt::Never { why } => {
                row.phase = Phase::Performed;
                Some(event(TellResult::Failed { why }))
            }
            Attempt::Again { why, .. } if now.since(row.owed.at) > GIVE_UP_AFTER => {
                row.phase = Phase::Performed;
                Some(event(TellResult::Failed { why: format!("given up after {tries} tries: {why}") }))
            }
            Attempt::Again { why, after } => {
                row.phase = Phase::Waiting;
                row.owed.next_at = now + pause(tries, jitter).max(after.unwrap_or_default().min(LONGEST_PAUSE * 30));
                self.queue.enter(row);
                if row.reported_at.is_some_and(|reported| now.since(reported) < REPORT_EVERY) {
                    return None;
                }
                row.reported_at = Some(now);
                Some(event(TellResult::Retrying { tries, next_at: row.owed.next_at, why }))
            }
        }
    }

    /// Asking for a step came to something. Gives the event where the step has ended.
    pub fn asked(&mut self, key: &EffectKey, asked: Asked, took: Duration, now: Time) -> Option<Event> {
        let row = self.rows.get_mut(key).filter(|row| row.phase == Phase::Busy)?;
        if row.gone {
            self.rows.remove(key);
            return None;
        }
        let Effect::Do(request) = &row.owed.effect else { return None };
        let outcome = match asked {
            Asked::Ended(outcome) => outcome,
            Asked::Sent => {
                (row.phase, row.unsent) = (Phase::Sent, false);
                return None;
            }
            Asked::NoLink if now < request.expires_at || !row.unsent => {
                row.phase = Phase::Waiting;
                // Asked before, its agent may have begun: only the agent can say, however late.
                row.owed.next_at = if row.unsent { request.expires_at } else { Time::MAX };
                self.queue.enter(row);
                return None;
            }
            Asked::NoLink => StepOutcome::Unreachable { why: format!("the agent of {} has no link", request.host) },
        };
        let answer = StepAnswer {
            key: key.clone(),
            order: request.order.clone(),
            host: request.host.clone(),
            outcome,
            took_ms: u64::try_from(took.as_millis()).unwrap_or(u64::MAX),
        };
        row.phase = Phase::Performed;
        Some(Event::StepAnswered(answer))
    }

    /// An agent's link is up: steps that it was asked or should have been asked are asked now. Not those that expired
    /// while it was away: it would refuse them, and the engine, which hears of the link too, asks them anew.
    pub fn link_up(&mut self, host: &HostName, now: Time) {
        for row in self.rows.values_mut() {
            if let Effect::Do(request) = &row.owed.effect
                && request.host == *host
                && now < request.expires_at
                && matches!(row.phase, Phase::Waiting | Phase::Sent)
            {
                if row.phase == Phase::Waiting {
                    self.queue.leave(row);
                }
                (row.phase, row.owed.next_at) = (Phase::Waiting, now);
                self.queue.enter(row);
            }
        }
    }

    /// One notice arrived: those that wait for the same receiver need not wait longer. Who waits behind another has no pause
    /// of its own.
    fn receiver_is_back(&mut self, told: &Tell, now: Time) {
        for key in self.queue.later(lane(told)) {
            let Some(row) = self.rows.get_mut(&key) else { continue };
            self.queue.leave(row);
            row.owed.next_at = row.owed.next_at.min(now);
            self.queue.enter(row);
        }
    }

    /// 0 to 255: xorshift, the same for the same seed.
    fn jitter(&mut self) -> u64 {
        self.random ^= self.random << 13;
        self.random ^= self.random >> 7;
        self.random ^= self.random << 17;
        self.random >> 56
    }
}

fn lane(tell: &Tell) -> u64 {
    match &tell.body {
        TellBody::Alert(_) => number(("receiver", tell.receiver.as_str(), 0)),
        TellBody::Card { room, .. } => number(("room", room.as_str(), 0)),
    }
}

fn thread(tell: &Tell) -> u64 {
    match &tell.body {
        TellBody::Alert(notice) => number(("receiver", tell.receiver.as_str(), notice.labels.fingerprint())),
        TellBody::Card { room, .. } => number(("room", room.as_str(), 0)),
    }
}

/// A name as a number: the same in every process.
fn number(name: (&str, &str, u64)) -> u64 {
    use std::hash::{Hash as _, Hasher as _};
    let mut hasher = std::hash::DefaultHasher::new();
    name.hash(&mut hasher);
    hasher.finish()
}

/// 0.5 s, doubled with each try up to 10 s; up to a quarter longer by chance.
fn pause(tries: u32, jitter: u64) -> Duration {
    let plain = FIRST_PAUSE.saturating_mul(1 << tries.saturating_sub(1).min(10)).min(LONGEST_PAUSE);
    plain + plain.mul_f64(jitter as f64 / 1_024.0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use model::{AlertState, Labels, ReceiverName, Seq};

    fn notice(key: &str, alert: &str, at: Time) -> Owed {
        let tell = Tell {
            key: EffectKey::from(key),
            receiver: ReceiverName::new("hook").unwrap(),
            incident: None,
            at,
            body: TellBody::Alert(engine::effect::AlertNotice {
                state: AlertState::Bad,
                labels: Labels::new([("alertname", alert)]).unwrap(),
                annotations: Default::default(),
                starts_at: at,
                ends_at: None,
                expr: "up == 0".into(),
            }),
        };
        Owed { key: tell.key.clone(), seq: Seq(1), at, tries: 0, next_at: at, effect: Effect::Tell(tell) }
    }

    fn keys(jobs: &[Job]) -> Vec<String> {
        jobs.iter()
            .map(|job| match job {
                Job::Tell(tell) => tell.key.to_string(),
                Job::Do(request) => request.key.to_string(),
            })
            .collect()
    }

    fn again() -> Attempt {
        Attempt::Again { why: "refused".into(), after: None }
    }

    #[test]
    fn one_receiver_gets_one_notice_at_a_time_in_order() {
        let start = Time::from_secs(1_000);
        let mut outbox = Outbox::new(vec![notice("b", "x", start), notice("a", "y", start)], 1);
        assert_eq!(keys(&outbox.due(start)), ["b"]);
        assert_eq!(keys(&outbox.due(start)), Vec::<String>::new());
        assert!(matches!(
            outbox.told(&"b".into(), Attempt::Delivered, start),
            Some(Event::Told { result: TellResult::Delivered { tries: 1, .. }, .. })
        ));
        assert_eq!(keys(&outbox.due(start)), ["a"]);
        outbox.take(Dues::Committed(vec![OutboxChange::Settle("b".into())]));
        assert_eq!(outbox.len(), 1);
    }

    #[test]
    fn the_end_of_an_alert_never_overtakes_its_beginning() {
        let start = Time::from_secs(1_000);
        let mut outbox = Outbox::new(vec![notice("1-on", "x", start), notice("2-off", "x", start)], 1);
        assert_eq!(keys(&outbox.due(start)), ["1-on"]);
        outbox.told(&"1-on".into(), again(), start);
        assert_eq!(keys(&outbox.due(start)), Vec::<String>::new());
        assert_eq!(keys(&outbox.due(start + Duration::from_secs(1))), ["1-on"]);
    }

    #[test]
    fn a_receiver_that_is_down_an_hour_is_asked_seldom_and_gets_everything_within_seconds_when_it_is_back() {
        let start = Time::from_secs(1_000);
        let back = start + Duration::from_secs(3_600);
        let mut outbox = Outbox::new((0..60).map(|n| notice(&format!("{n:03}"), &format!("a{n}"), start)).collect(), 7);
        let (mut now, mut tries, mut reports, mut delivered) = (start, 0_u32, 0_u32, Vec::new());
        while outbox.len() > delivered.len() && now < back + Duration::from_secs(60) {
            for key in keys(&outbox.due(now)) {
                tries += 1;
                let key = EffectKey::from(key);
                let attempt = if now >= back { Attempt::Delivered } else { again() };
                let event = outbox.told(&key, attempt, now);
                match event {
                    Some(Event::Told { result: TellResult::Delivered { .. }, .. }) => delivered.push((key, now)),
                    Some(_) => reports += 1,
                    None => {}
                }
            }
            now = outbox.next_due().unwrap_or(now).max(now + Duration::from_millis(5));
        }
        let mut told: Vec<_> = delivered.iter().map(|(key, _)| key.clone()).collect();
        told.sort();
        told.dedup();
        assert_eq!((delivered.len(), told.len()), (60, 60));
        let first = delivered[0].1.since(back);
        assert!(first <= Duration::from_secs(5), "{first:?}");
        // At most one per alert in 10 s, and those of the first seconds.
        assert!(tries <= 60 * (360 + 7), "{tries}");
        assert!(reports <= 60 * 61, "{reports}");
    }

    #[test]
    fn what_a_failed_commit_took_back_is_no_longer_owed() {
        let start = Time::from_secs(1_000);
        let mut outbox = Outbox::new(vec![notice("kept", "x", start)], 1);
        outbox.take(Dues::Early(vec![notice("early", "y", start), notice("under way", "z", start)]));
        outbox.take(Dues::Reset(vec![notice("kept", "x", start)]));
        assert_eq!(keys(&outbox.due(start)), ["kept"]);
        assert_eq!(outbox.len(), 1);
    }

    fn step(host: &str, expires_at: Time) -> Owed {
        let request = StepRequest {
            key: EffectKey::from("o/1"),
            epoch: model::Epoch(1),
            order: "o".into(),
            host: HostName::new(host).unwrap(),
            action: model::plan::Action::Stop { service: model::ServiceName::new("shop").unwrap() },
            undo: false,
            time_limit_ms: 1_000,
            expires_at,
        };
        let at = Time::from_secs(1_000);
        Owed { key: request.key.clone(), seq: Seq(1), at, tries: 0, next_at: at, effect: Effect::Do(request) }
    }

    #[test]
    fn a_step_waits_for_its_agent_and_is_answered_for_it_once_it_has_expired() {
        let start = Time::from_secs(1_000);
        let expires = start + Duration::from_secs(30);
        let mut outbox = Outbox::new(Vec::new(), 1);
        outbox.take(Dues::Committed(vec![OutboxChange::Owe(Box::new(step("web-1", expires)))]));
        assert_eq!(keys(&outbox.due(start)), ["o/1"]);
        assert_eq!(outbox.asked(&"o/1".into(), Asked::NoLink, Duration::ZERO, start), None);
        assert_eq!(outbox.next_due(), Some(expires));
        outbox.link_up(&HostName::new("web-1").unwrap(), start + Duration::from_secs(5));
        assert_eq!(keys(&outbox.due(start + Duration::from_secs(5))), ["o/1"]);
        assert_eq!(outbox.asked(&"o/1".into(), Asked::NoLink, Duration::ZERO, start + Duration::from_secs(5)), None);
        assert_eq!(keys(&outbox.due(expires)), ["o/1"]);
        let event = outbox.asked(&"o/1".into(), Asked::NoLink, Duration::ZERO, expires);
        assert!(matches!(event, Some(Event::StepAnswered(StepAnswer { outcome: StepOutcome::Unreachable { .. }, .. }))));
    }

    #[test]
    fn a_step_that_an_agent_may_have_begun_is_answered_by_nobody_else() {
        let start = Time::from_secs(1_000);
        let expires = start + Duration::from_secs(30);
        let web = HostName::new("web-1").unwrap();
        let mut outbox = Outbox::new(vec![step("web-1", expires)], 1);
        outbox.due(start);
        outbox.asked(&"o/1".into(), Asked::Sent, Duration::ZERO, start);
        outbox.link_up(&web, start + Duration::from_secs(1));
        assert_eq!(keys(&outbox.due(start + Duration::from_secs(1))), ["o/1"]);
        assert_eq!(outbox.asked(&"o/1".into(), Asked::NoLink, Duration::ZERO, expires + Duration::from_secs(1)), None);
        assert_eq!(keys(&outbox.due(expires + Duration::from_secs(3_600))), Vec::<String>::new());
        // Expired, it would be refused. Asked anew, it goes out.
        let later = expires + Duration::from_secs(60);
        outbox.link_up(&web, later);
        assert_eq!(keys(&outbox.due(later)), Vec::<String>::new());
        let again = Owed { next_at: later, ..step("web-1", later + Duration::from_secs(30)) };
        outbox.take(Dues::Committed(vec![OutboxChange::Owe(Box::new(again))]));
        assert_eq!(keys(&outbox.due(later)), ["o/1"]);
        outbox.asked(&"o/1".into(), Asked::Sent, Duration::ZERO, later);
        outbox.take(Dues::Committed(vec![OutboxChange::Settle("o/1".into())]));
        assert!(outbox.is_empty());
    }

    impl Outbox {
        /// What is due and what is next, found by looking at every row.
        fn plainly(&self, now: Time) -> (Vec<String>, Option<Time>) {
            let mut waiting: Vec<&Row> = self.rows.values().filter(|row| row.phase == Phase::Waiting).collect();
            waiting.sort_by_key(|row| row.place);
            let mut threads = BTreeSet::new();
            waiting.retain(|row| row.thread.is_none_or(|thread| threads.insert(thread)));
            let busy = self.rows.values().filter(|row| row.phase == Phase::Busy).filter_map(|row| row.lane);
            let mut busy: BTreeSet<u64> = busy.collect();
            let free = |row: &&&Row| row.lane.is_none_or(|lane| !busy.contains(&lane));
            let next = waiting.iter().filter(free).map(|row| row.owed.next_at.max(now)).min();
            let takes = |row: &&Row| row.owed.next_at <= now && row.lane.is_none_or(|lane| busy.insert(lane));
            (waiting.into_iter().filter(takes).map(|row| row.owed.key.to_string()).collect(), next)
        }
    }

    #[test]
    fn what_is_due_is_what_a_look_at_every_row_finds() {
        for seed in 1..=100_u64 {
            let mut random = crate::testing::Random::new(seed);
            let mut now = Time::from_secs(1_000);
            let (mut outbox, mut under_way, mut owed) = (Outbox::new(Vec::new(), seed), Vec::new(), 0_u32);
            for _ in 0..200 {
                match random.below(8) {
                    0..=2 => {
                        for _ in 0..=random.below(4) {
                            owed += 1;
                            let (alert, receiver) = (random.below(6), random.below(3));
                            let mut one = match random.once_in(6) {
                                true => step(&format!("web-{alert}"), now + Duration::from_secs(random.below(60))),
                                false => notice(&format!("{owed:04}"), &format!("a{alert}"), now),
                            };
                            match &mut one.effect {
                                Effect::Tell(tell) => tell.receiver = ReceiverName::new(format!("hook{receiver}")).unwrap(),
                                Effect::Do(request) => {
                                    one.key = EffectKey::from(format!("step/{}", request.host));
                                    request.key = one.key.clone();
                                }
                                _ => {}
                            }
                            outbox.take(Dues::Committed(vec![OutboxChange::Owe(Box::new(one))]));
                        }
                    }
                    3 => {
                        let keys: Vec<EffectKey> = outbox.rows.keys().cloned().collect();
                        if !keys.is_empty() {
                            let key = keys[random.below(keys.len() as u64) as usize].clone();
                            outbox.take(Dues::Committed(vec![OutboxChange::Settle(key)]));
                        }
                    }
                    4 => outbox.link_up(&HostName::new(format!("web-{}", random.below(6))).unwrap(), now),
                    5..=6 if !under_way.is_empty() => {
                        let job: Job = under_way.swap_remove(random.below(under_way.len() as u64) as usize);
                        match job {
                            Job::Tell(tell) => {
                                let attempt = if random.once_in(2) { again() } else { Attempt::Delivered };
                                outbox.told(&tell.key, attempt, now);
                            }
                            Job::Do(request) => {
                                let asked = if random.once_in(2) { Asked::NoLink } else { Asked::Sent };
                                outbox.asked(&request.key, asked, Duration::ZERO, now);
                            }
                        }
                    }
                    _ => now = now + Duration::from_millis(random.below(3_000)),
                }
                let (wanted, next) = outbox.plainly(now);
                assert_eq!(outbox.next_due().map(|next| next.max(now)), next, "{seed}");
                let jobs = outbox.due(now);
                assert_eq!(keys(&jobs), wanted, "{seed}");
                under_way.extend(jobs);
            }
            assert!(owed > 50, "{seed}");
        }
    }
}
