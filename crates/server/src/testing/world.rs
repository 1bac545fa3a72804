//! The whole loop on one thread from a seed: journal, engine, outbox, receivers, and a kill at any point between.
//!
//! Time stands until the world moves it. A kill forgets everything but the journal and what receivers have read.

use std::collections::VecDeque;
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use engine::effect::{AlertNotice, TellBody};
use model::config::{Config, NotificationConfig, ReceiverConfig, WebhookConfig};
use model::plan::StepRequest;
use model::{AlertKey, AlertState, EffectKey, Epoch, Event, Labels, Outcome, ReceiverName, RuleName, Time, Transition};

use super::Random;
use crate::clock::{Clock, ManualClock};
use crate::journal::{Journal, JournalError};
use crate::outbox::{Asked, Attempt, Job, Outbox};
use crate::pump::{Dues, Fold, FoldResult, split};

/// The process is gone; [`World::start`] begins the next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Killed;

/// What a receiver has read.
#[derive(Clone, Debug, PartialEq)]
pub struct Told {
    /// When.
    pub at: Time,
    /// The idempotency key.
    pub key: EffectKey,
    /// What.
    pub notice: AlertNotice,
}

type Steps = Box<dyn FnMut(&StepRequest) -> Asked + Send>;

/// One server and its outside.
pub struct World {
    journal: Arc<dyn Journal>,
    clock: Arc<ManualClock>,
    random: Random,
    fold: Option<Fold>,
    outbox: Outbox,
    inbox: VecDeque<Event>,
    epoch: Epoch,
    /// Points passed since the start of the world, and at which the process is killed.
    points: u64,
    kill_at: Option<u64>,
    /// How often it was killed.
    pub kills: u64,
    /// While true, receivers refuse.
    pub receiver_is_down: bool,
    /// Of so many answers of a receiver one is lost on the way back, after the body was read; 0: none.
    pub answers_lost_one_in: u64,
    /// What receivers have read.
    pub told: Vec<Told>,
    /// What was said in rooms, by key.
    pub said: Vec<EffectKey>,
    /// Tries to tell somebody, successful or not.
    pub tries: u64,
    steps: Steps,
}

impl World {
    /// A world around a journal. It stands at 2026-11-22T10:00:00Z; nothing runs before [`start`](Self::start).
    pub fn new(journal: Arc<dyn Journal>, seed: u64) -> World {
        let clock = Arc::new(ManualClock::at(Time::from_secs(1_795_341_600)));
        World {
            journal,
            clock,
            random: Random::new(seed),
            fold: None,
            outbox: Outbox::new(Vec::new(), seed),
            inbox: VecDeque::new(),
            epoch: Epoch(0),
            points: 0,
            kill_at: None,
            kills: 0,
            receiver_is_down: false,
            answers_lost_one_in: 0,
            told: Vec::new(),
            said: Vec::new(),
            tries: 0,
            steps: Box::new(|_| Asked::NoLink),
        }
    }

    /// Steps are answered by this from now on.
    pub fn steps_by(&mut self, answer: impl FnMut(&StepRequest) -> Asked + Send + 'static) {
        self.steps = Box::new(answer);
    }

    /// Kills the process at this many points from now.
    pub fn kill_after(&mut self, points: u64) {
        self.kill_at = Some(self.points + points);
    }

    /// Starts the server: reads the journal, takes over with the next epoch, takes up what is owed.
    pub async fn start(&mut self) -> Result<(), JournalError> {
        let (fold, owed) = Fold::open(self.journal.clone(), self.clock.clone()).await?;
        self.epoch = Epoch(self.read(&fold, |state| state.epoch).0 + 1);
        self.fold = Some(fold);
        self.outbox = Outbox::new(owed, self.random.number());
        self.inbox.clear();
        let started = Event::Started { epoch: self.epoch, version: "test".into() };
        // A kill or a failure here is met by the caller's next submit.
        let _ = self.batch(vec![started]).await;
        Ok(())
    }

    /// True between a start and a kill.
    pub fn is_running(&self) -> bool {
        self.fold.is_some()
    }

    /// Hands events over, as one transaction. Well only when they are on disk.
    pub async fn submit(&mut self, events: Vec<Event>) -> Result<Vec<Option<Outcome>>, Killed> {
        self.batch(events).await
    }

    /// Lets things happen for so long: what is due is performed, what came of it goes to the journal.
    pub async fn run(&mut self, span: Duration) -> Result<(), Killed> {
        let end = self.clock.now() + span;
        loop {
            self.settle().await?;
            let tick = self.fold.as_ref().and_then(|fold| self.read(fold, engine::next_due));
            let next = [self.outbox.next_due(), tick].into_iter().flatten().min().filter(|next| *next <= end);
            let Some(next) = next else { break };
            let now = self.clock.now().max(next);
            self.clock.move_to(if now > self.clock.now() { now } else { now + Duration::from_millis(1) });
            if tick.is_some_and(|tick| tick <= self.clock.now()) {
                self.batch(vec![Event::Tick]).await?;
            }
        }
        self.clock.move_to(end);
        self.settle().await
    }

    /// The clock.
    pub fn now(&self) -> Time {
        self.clock.now()
    }

    /// What is owed, by the outbox in memory.
    pub fn owed(&self) -> usize {
        self.outbox.len()
    }

    /// Reads the engine's state of the running server.
    pub fn state<T>(&self, read: impl FnOnce(&engine::State) -> T) -> Option<T> {
        self.fold.as_ref().map(|fold| self.read(fold, read))
    }

    fn read<T>(&self, fold: &Fold, read: impl FnOnce(&engine::State) -> T) -> T {
        read(&fold.state().read().unwrap_or_else(PoisonError::into_inner))
    }

    /// A place at which the process may be killed.
    fn point(&mut self) -> Result<(), Killed> {
        self.points += 1;
        if self.kill_at == Some(self.points) { Err(self.kill()) } else { Ok(()) }
    }

    fn kill(&mut self) -> Killed {
        self.kill_at = None;
        self.kills += 1;
        self.fold = None;
        self.inbox.clear();
        Killed
    }

    async fn settle(&mut self) -> Result<(), Killed> {
        loop {
            self.perform()?;
            if self.inbox.is_empty() {
                return Ok(());
            }
            let most = 1 + self.random.below(8) as usize;
            let events = self.inbox.drain(..self.inbox.len().min(most)).collect();
            self.batch(events).await?;
        }
    }

    async fn batch(&mut self, events: Vec<Event>) -> Result<Vec<Option<Outcome>>, Killed> {
        self.point()?;
        let Some(mut fold) = self.fold.take() else { return Err(Killed) };
        let mut folded = match fold.fold(&events).await {
            Ok(folded) => folded,
            Err(_) => return Err(self.kill()),
        };
        let (early, later) = split(&folded.committed.outbox);
        self.outbox.take(Dues::Early(early));
        self.fold = Some(fold);
        // Telling may begin before the commit.
        if self.random.once_in(2) {
            self.perform()?;
        }
        self.point()?;
        let Some(mut fold) = self.fold.take() else { return Err(Killed) };
        if fold.commit(&mut folded).await.is_err() {
            // The power went: whether it is on disk, the next start sees.
            return Err(self.kill());
        }
        self.fold = Some(fold);
        self.point()?;
        self.outbox.take(Dues::Committed(later));
        Ok(folded
            .results
            .into_iter()
            .map(|result| match result {
                FoldResult::Done(outcome) => outcome,
                FoldResult::Poisoned(why) => panic!("the engine failed: {why}"),
            })
            .collect())
    }

    fn perform(&mut self) -> Result<(), Killed> {
        loop {
            let jobs = self.outbox.due(self.clock.now());
            if jobs.is_empty() {
                return Ok(());
            }
            for job in jobs {
                self.point()?;
                let now = self.clock.now();
                let event = match job {
                    Job::Tell(tell) => {
                        let attempt = self.receive(&tell);
                        self.point()?;
                        self.outbox.told(&tell.key, attempt, now)
                    }
                    Job::Do(request) => {
                        let asked = (self.steps)(&request);
                        self.point()?;
                        self.outbox.asked(&request.key, asked, Duration::from_millis(5), now)
                    }
                };
                if let Some(Event::Said { key, .. }) = &event {
                    self.said.push(key.clone());
                }
                self.inbox.extend(event);
            }
        }
    }

    fn receive(&mut self, tell: &engine::Tell) -> Attempt {
        self.tries += 1;
        let TellBody::Alert(notice) = &tell.body else { return Attempt::Delivered };
        let refused = |why: &str| Attempt::Again { why: why.to_owned(), after: None };
        if self.receiver_is_down {
            return refused("connection refused");
        }
        self.told.push(Told { at: self.clock.now(), key: tell.key.clone(), notice: notice.clone() });
        if self.answers_lost_one_in > 0 && self.random.once_in(self.answers_lost_one_in) {
            return refused("the connection broke");
        }
        Attempt::Delivered
    }

    /// An alert that changes to this state now.
    pub fn alert(&self, name: &str, from: AlertState, to: AlertState) -> Event {
        let labels = Labels::new([("alertname", name)]).unwrap_or_default();
        let rule = RuleName::from(name);
        Event::Alert(Transition {
            alert: AlertKey::of(&rule, &labels),
            rule,
            labels,
            annotations: [("summary".to_owned(), format!("{name} is bad"))].into(),
            from,
            to,
            value: Some(1.0),
            onset: self.clock.now(),
            expr: "up == 0".into(),
        })
    }
}

/// A configuration with one webhook, `hook`, that is told everything.
pub fn webhook_config(url: &str, allow: &[String]) -> Event {
    let mut config = Config::default();
    let name = ReceiverName::new("hook").unwrap_or_else(|_| unreachable!("a plain name"));
    let webhook = WebhookConfig { url: url.to_owned(), authorization_file: None, send_resolved: true };
    config.notification = NotificationConfig {
        receivers: [(name.clone(), ReceiverConfig { webhook: Some(webhook), room: None })].into(),
        default: vec![name],
    };
    config.outgoing.allow = allow.to_vec();
    Event::Configured { config: Box::new(config), change: None }
}
