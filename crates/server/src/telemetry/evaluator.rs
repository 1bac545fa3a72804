//! The thread that evaluates rules: when a series that they read was touched, and at their groups' intervals.
//!
//! Rules take turns, the one that was evaluated longest ago first, so a sample that touches a quiet rule does not wait for the
//! rules that every batch touches. The thread alone owns the rules' memory. What it finds goes to the pump; it waits there when the pump is behind, and what
//! arrives meanwhile is evaluated together afterwards.

use std::collections::{BTreeSet, HashMap};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, TrySendError, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use engine::rule::{RuleId, RuleState, Rules, evaluate};
use model::config::RuleGroup;
use model::{Event, Labels, Time};
use query::source::SeriesRef;
use store::Store;

use crate::clock::SharedClock;
use crate::pump::PumpHandle;

/// Batches whose touch waits; past that everything is evaluated once instead.
const QUEUE_LEN_MAX: usize = 4_096;
/// The memory is written so often while rules have something to remember.
const SAVE_EVERY: Duration = Duration::from_secs(30);
/// Longest sleep, so that a moved clock is noticed.
const SLEEP_MAX: Duration = Duration::from_millis(500);

/// While rules wait, what is due by time is looked for so often.
const DUE_EVERY: Duration = Duration::from_millis(5);
/// Evaluating goes on so long before the queue is looked at again: what a rare sample waits at most, beside one rule.
const WORK_WHILE: Duration = Duration::from_micros(500);
/// Before an evaluation that came to nothing is tried again.
const STUCK_PAUSE: Duration = Duration::from_millis(50);

enum News {
    Touched { touched: Vec<SeriesRef>, new_series: Vec<(SeriesRef, Labels)> },
    Rules(Vec<RuleGroup>),
    Stop,
}

/// The door to the thread.
pub struct Evaluator {
    news: SyncSender<News>,
    /// A touch did not fit into the queue: bind and evaluate everything.
    missed: Arc<AtomicBool>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

impl Evaluator {
    /// Starts the thread with the rules of the configuration in force.
    pub fn start(store: Arc<Store>, clock: SharedClock, pump: PumpHandle, memory: PathBuf) -> Evaluator {
        let (news, inbox) = sync_channel(QUEUE_LEN_MAX);
        let missed = Arc::new(AtomicBool::new(false));
        let (groups, alerts) = pump.read_state(|state| (state.config.groups.clone(), state.alerts.clone()));
        let state = load(&memory);
        let mut work = Work {
            store,
            pump,
            rules: Rules::default(),
            state,
            missed: missed.clone(),
            memory,
            looked: clock.now(),
            saved: clock.now(),
            failing: BTreeSet::new(),
            waiting: BTreeSet::new(),
            turns: HashMap::new(),
            turn: 0,
            due_looked: Instant::now(),
            clock,
        };
        let thread = std::thread::Builder::new().name("rules".into()).spawn(move || {
            work.configure(&groups);
            work.state.agree(&work.rules, &alerts);
            work.run(&inbox);
        });
        if let Err(error) = &thread {
            tracing::error!(%error, "failed to start the rules' thread; no rule is evaluated");
        }
        Evaluator { news, missed, thread: Mutex::new(thread.ok()) }
    }

    /// Series got samples, and some are new.
    pub fn touched(&self, touched: Vec<SeriesRef>, new_series: Vec<(SeriesRef, Labels)>) {
        if touched.is_empty() && new_series.is_empty() {
            return;
        }
        if let Err(TrySendError::Full(_)) = self.news.try_send(News::Touched { touched, new_series }) {
            self.missed.store(true, Ordering::Release);
        }
    }

    /// These rules count from now on; alerts of rules that stay keep their state.
    pub fn configure(&self, groups: Vec<RuleGroup>) {
        let _ = self.news.send(News::Rules(groups));
    }

    /// Ends the thread and waits for it.
    pub fn stop(&self) {
        let _ = self.news.send(News::Stop);
        if let Some(thread) = self.thread.lock().unwrap_or_else(PoisonError::into_inner).take() {
            let _ = thread.join();
        }
    }
}

struct Work {
    store: Arc<Store>,
    clock: SharedClock,
    pump: PumpHandle,
    rules: Rules,
    state: RuleState,
    missed: Arc<AtomicBool>,
    memory: PathBuf,
    /// Up to when groups were evaluated at their intervals.
    looked: Time,
    saved: Time,
    /// Rules whose failure was logged.
    failing: BTreeSet<RuleId>,
    /// Rules that wait, by the turn in which they were evaluated last.
    waiting: BTreeSet<(u64, RuleId)>,
    turns: HashMap<RuleId, u64>,
    turn: u64,
    due_looked: Instant,
}

impl Work {
    fn run(&mut self, inbox: &Receiver<News>) {
        loop {
            let mut touched = BTreeSet::new();
            let mut next = if self.waiting.is_empty() {
                match inbox.recv_timeout(self.pause()) {
                    Ok(news) => Some(news),
                    Err(RecvTimeoutError::Timeout) => None,
                    Err(RecvTimeoutError::Disconnected) => break,
                }
            } else {
                inbox.try_recv().ok()
            };
            // What has gathered meanwhile is evaluated together, a queue's length at most.
            for _ in 0..QUEUE_LEN_MAX {
                match next.take() {
                    Some(News::Touched { touched: series, new_series }) => {
                        for (series, labels) in &new_series {
                            self.rules.on_new_series(*series, labels);
                        }
                        touched.extend(series);
                    }
                    Some(News::Rules(groups)) => {
                        self.configure(&groups);
                        let alerts = self.pump.read_state(|state| state.alerts.clone());
                        self.state.agree(&self.rules, &alerts);
                    }
                    Some(News::Stop) => {
                        self.save();
                        return;
                    }
                    None => {}
                }
                match inbox.try_recv() {
                    Ok(news) => next = Some(news),
                    Err(_) => break,
                }
            }
            self.gather(touched);
            self.work_a_while();
            if self.clock.now().since(self.saved) >= SAVE_EVERY {
                self.save();
            }
        }
        self.save();
    }

    fn pause(&self) -> Duration {
        let now = self.clock.now();
        // What was due and is so still, as when its rule fails, must not keep the thread busy.
        let held = self.state.next_due(&self.rules).map(|(at, _)| if at <= now { now + STUCK_PAUSE } else { at });
        let due = [self.rules.next_due(self.looked), held].into_iter().flatten().min();
        due.map_or(SLEEP_MAX, |due| due.since(now).clamp(Duration::from_millis(1), SLEEP_MAX))
    }

    fn configure(&mut self, groups: &[RuleGroup]) {
        match Rules::compile(groups) {
            Ok(rules) => {
                self.rules = rules;
                self.failing.clear();
                // Their places may be other rules' now.
                self.waiting.clear();
                self.turns.clear();
                self.bind();
            }
            // The loader checked them; an old journal may hold what this program no longer reads.
            Err(errors) => {
                for error in errors {
                    tracing::error!(error = ?error, "failed to compile a rule; the rules in force stay");
                }
            }
        }
    }

    fn bind(&mut self) {
        if let Err(error) = self.rules.bind(&*self.store, self.clock.now()) {
            tracing::error!(%error, "failed to bind the rules to the series");
        }
    }

    /// Rules that were touched or are due wait for their turn, each once.
    fn gather(&mut self, touched: BTreeSet<SeriesRef>) {
        let mut which = self.rules.touched(touched);
        if self.missed.swap(false, Ordering::AcqRel) {
            self.bind();
            which.extend(self.rules.all());
        }
        // Looking for what is due goes over all rules: not with every batch.
        if self.waiting.is_empty() || self.due_looked.elapsed() >= DUE_EVERY {
            self.due_looked = Instant::now();
            let now = self.clock.now();
            which.extend(self.rules.due(self.looked, now));
            self.looked = self.looked.max(now);
            // An alert that has held long enough, whatever arrived.
            which.extend(self.state.next_due(&self.rules).filter(|(at, _)| *at <= now).map(|(_, rule)| rule));
        }
        for rule in which {
            let turn = self.turns.get(&rule).copied().unwrap_or(0);
            self.waiting.insert((turn, rule));
        }
    }

    /// Evaluates what waits, longest not evaluated first: a rule that is seldom touched is not held up by those that every
    /// batch touches, and none of those starves. For a short while only, then the queue is looked at again.
    fn work_a_while(&mut self) {
        let began = Instant::now();
        while let Some((_, rule)) = self.waiting.pop_first() {
            self.turn += 1;
            self.turns.insert(rule, self.turn);
            self.evaluate(&[rule], self.clock.now());
            if began.elapsed() >= WORK_WHILE {
                return;
            }
        }
    }

    fn evaluate(&mut self, which: &[RuleId], now: Time) {
        if which.is_empty() {
            return;
        }
        let found = evaluate(&self.rules, &mut self.state, which, now, &*self.store);
        for transition in found.transitions {
            if let Err(error) = self.pump.enqueue_blocking(Event::Alert(transition)) {
                tracing::warn!(%error, "an alert's change comes with the next start");
            }
        }
        for (rule, why) in found.failed {
            if self.failing.insert(rule) {
                let name = self.rules.name(rule).map_or("?", |name| name.as_str());
                tracing::warn!(rule = name, why, "failed to evaluate a rule; its alerts stay as they are");
            }
        }
        if !found.recorded.is_empty() {
            self.record(found.recorded, now);
        }
    }

    /// What recording rules say goes into the store, and touches the rules that read it at their next look.
    fn record(&mut self, batch: model::SampleBatch, now: Time) {
        match self.store.append(&batch, now) {
            Ok(appended) => {
                for (series, labels) in &appended.new_series {
                    self.rules.on_new_series(*series, labels);
                }
                let which = self.rules.touched(appended.touched.iter().map(|touched| touched.series));
                // One level at once; a rule over a rule over a rule follows at its interval.
                let found = evaluate(&self.rules, &mut self.state, &which, now, &*self.store);
                for transition in found.transitions {
                    let _ = self.pump.enqueue_blocking(Event::Alert(transition));
                }
                // Nobody waits for these: they are written with the next sync.
                drop(appended.commit);
            }
            Err(error) => tracing::warn!(%error, "failed to keep what recording rules said"),
        }
    }

    fn save(&mut self) {
        self.saved = self.clock.now();
        if let Err(error) = write(&self.memory, &self.state) {
            tracing::warn!(%error, "failed to keep the rules' memory; `for` would begin anew after a start");
        }
    }
}

fn write(path: &Path, state: &RuleState) -> std::io::Result<()> {
    let text = serde_json::to_vec(state).map_err(std::io::Error::other)?;
    let fresh = path.with_extension("new");
    std::fs::write(&fresh, text)?;
    std::fs::rename(&fresh, path)
}

/// The memory of the last run; an empty one where there is none or it can't be read.
fn load(path: &Path) -> RuleState {
    let Ok(text) = std::fs::read(path) else { return RuleState::default() };
    serde_json::from_slice(&text).unwrap_or_else(|error| {
        tracing::warn!(%error, "failed to read the rules' memory; `for` begins anew");
        RuleState::default()
    })
}
