//! The thread that evaluates rules: when a series that they read was touched, and at their groups' intervals.
//!
//! Batches are evaluated one by one, in the order in which the store took them, each as of the instant at which it was received;
//! so a back-test over the log finds what was found live. Rules that take longer, evaluated whole, take turns between batches: the
//! one that was evaluated longest ago first, so that a sample that touches a quiet rule does not wait for those that every batch
//! touches. The thread alone owns the rules' memory. What it finds goes to the pump; it waits there when the pump is behind, and
//! what arrives meanwhile is evaluated afterwards.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, TryRecvError, TrySendError, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use engine::rule::{Arrived, Kept, Live, Outside, RuleId, RuleSeen, RuleState, Rules, Surroundings};
use model::config::RuleGroup;
use model::{Event, Labels, SampleBatch, Time};
use query::Features;
use query::source::{Matcher, SeriesRef, Source, SourceError};
use store::{Store, Touched};
use tokio::sync::oneshot;

use crate::clock::SharedClock;
use crate::pump::PumpHandle;

/// Batches whose touch waits; past that everything is evaluated once instead.
const QUEUE_LEN_MAX: usize = 4_096;
/// The memory is written at once when it changes: what a kill takes with it, `for` and `keep_firing_for` would wait for anew. But no
/// more often than this, and so that writing takes a twentieth of the time at most; otherwise for the values in it.
const SAVE_PAUSE_MIN: Duration = Duration::from_millis(100);
const SAVE_PAUSE_MAX: Duration = Duration::from_secs(2);
const SAVE_SHARE: u32 = 20;
const SAVE_EVERY: Duration = Duration::from_secs(60);
/// Longest sleep, so that a moved clock is noticed.
const SLEEP_MAX: Duration = Duration::from_millis(500);
/// Rules that take longer are evaluated so long before the queue is looked at again: what a sample waits at most, beside one rule.
const WORK_WHILE: Duration = Duration::from_micros(500);
/// Who is further behind than this leaves out intervals, as Prometheus does.
const BEHIND_MAX: Duration = Duration::from_secs(5);
/// Before an evaluation that came to nothing is tried again.
const STUCK_PAUSE: Duration = Duration::from_millis(50);

/// Who asks what rules are like waits so long.
const LOOK_WITHIN: Duration = Duration::from_secs(5);

enum News {
    Touched { received: Time, touched: Vec<Touched>, new_series: Vec<(SeriesRef, Labels)> },
    Rules(Vec<RuleGroup>),
    Deleted,
    Look(oneshot::Sender<RulesSeen>),
    Stop,
}

/// The rules that are evaluated now, group by group, and what each is like.
#[derive(Clone, Debug, Default)]
pub struct RulesSeen {
    /// The groups.
    pub groups: Arc<Vec<RuleGroup>>,
    /// Their rules, in the same order.
    pub rules: Vec<RuleSeen>,
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
    pub fn start(store: Arc<Store>, clock: SharedClock, pump: PumpHandle, memory: PathBuf, features: Features) -> Evaluator {
        let (news, inbox) = sync_channel(QUEUE_LEN_MAX);
        let missed = Arc::new(AtomicBool::new(false));
        let groups = pump.read_state(|state| state.config.groups.clone());
        let shared = missed.clone();
        let thread = std::thread::Builder::new().name("rules".into()).spawn(move || {
            let mut around = Around { store, pump, features };
            // Until the first call everything is told.
            around.watch(&[], true);
            let state = load(&memory);
            // It has no rules yet: of those in the memory none is gone.
            let live = around.live(Rules::default(), RuleState::default(), clock.now());
            let saved = clock.now();
            let groups_now = Arc::default();
            let failing = BTreeSet::new();
            let save_pause = SAVE_PAUSE_MIN;
            let mut work = Work { around, clock, live, groups: groups_now, missed: shared, memory, saved, save_pause, failing };
            work.configure(groups, Some(state));
            work.run(&inbox);
        });
        if let Err(error) = &thread {
            tracing::error!(%error, "failed to start the rules' thread; no rule is evaluated");
        }
        Evaluator { news, missed, thread: Mutex::new(thread.ok()) }
    }

    /// Series got samples, and some are new.
    pub fn touched(&self, received: Time, touched: Vec<Touched>, new_series: Vec<(SeriesRef, Labels)>) {
        if touched.is_empty() && new_series.is_empty() {
            return;
        }
        if let Err(TrySendError::Full(_)) = self.news.try_send(News::Touched { received, touched, new_series }) {
            self.miss();
        }
    }

    /// Something was not told: the thread finds out by itself what there is.
    pub(super) fn miss(&self) {
        self.missed.store(true, Ordering::Release);
    }

    /// These rules count from now on; alerts of rules that stay keep their state.
    pub fn configure(&self, groups: Vec<RuleGroup>) {
        let _ = self.news.send(News::Rules(groups));
    }

    /// Samples were deleted: what rules remember of samples they read anew. What they remember of alerts they keep.
    pub fn deleted(&self) {
        let _ = self.news.send(News::Deleted);
    }

    /// What the rules are like now; none where the thread is too busy to say.
    pub async fn look(&self) -> Option<RulesSeen> {
        let (answer, answered) = oneshot::channel();
        self.news.try_send(News::Look(answer)).ok()?;
        tokio::time::timeout(LOOK_WITHIN, answered).await.ok()?.ok()
    }

    /// Ends the thread and waits for it.
    pub fn stop(&self) {
        let _ = self.news.send(News::Stop);
        if let Some(thread) = self.thread.lock().unwrap_or_else(PoisonError::into_inner).take() {
            let _ = thread.join();
        }
    }
}

/// The store as rules see it.
struct Around {
    store: Arc<Store>,
    pump: PumpHandle,
    features: Features,
}

impl Around {
    /// What rules know of this server.
    fn outside(&self) -> Outside {
        let url = self.pump.read_state(|state| state.config.flyball.external_url.trim_end_matches('/').to_owned());
        Outside { url, features: self.features, ..Outside::default() }
    }

    /// Rules bound to the store's series, their memory in agreement with the engine's.
    fn live(&mut self, rules: Rules, state: RuleState, now: Time) -> Live {
        let alerts = self.pump.read_state(|state| state.alerts.clone());
        Live::new(rules, state, &alerts, now, self)
    }
}

impl Surroundings for Around {
    fn source(&self) -> &dyn Source {
        &*self.store
    }

    fn memory_since(&self) -> Time {
        self.store.in_memory_since()
    }

    fn history(&self) -> Box<dyn Source + Send + '_> {
        Box::new(self.store.view())
    }

    fn known(&self, matchers: &[Matcher]) -> Result<Vec<(SeriesRef, Labels)>, SourceError> {
        Ok(self.store.known(matchers))
    }

    fn watch(&self, series: &[SeriesRef], watched: bool) {
        self.store.watch(series, watched);
    }

    fn keep(&mut self, recorded: &SampleBatch, at: Time) -> Kept {
        match self.store.append(recorded, at) {
            // Nobody waits for these: they are written with the next sync.
            Ok(appended) => {
                Kept { touched: appended.touched.into_iter().map(arrived).collect(), new_series: appended.new_series }
            }
            Err(error) => {
                tracing::warn!(%error, "failed to keep what recording rules said");
                Kept::default()
            }
        }
    }
}

fn arrived(touched: Touched) -> Arrived {
    Arrived { series: touched.series, time: touched.time, value: touched.value, late: touched.late }
}

struct Work {
    around: Around,
    clock: SharedClock,
    live: Live,
    groups: Arc<Vec<RuleGroup>>,
    missed: Arc<AtomicBool>,
    memory: PathBuf,
    saved: Time,
    save_pause: Duration,
    /// Rules whose failure was logged.
    failing: BTreeSet<RuleId>,
}

impl Work {
    fn run(&mut self, inbox: &Receiver<News>) {
        let mut waits = false;
        loop {
            let next = match waits {
                true => match inbox.try_recv() {
                    Ok(news) => Some(news),
                    Err(TryRecvError::Empty) => None,
                    Err(TryRecvError::Disconnected) => break,
                },
                false => match inbox.recv_timeout(self.pause()) {
                    Ok(news) => Some(news),
                    Err(RecvTimeoutError::Timeout) => None,
                    Err(RecvTimeoutError::Disconnected) => break,
                },
            };
            // What has gathered meanwhile, a queue's length at most.
            for news in next.into_iter().chain(std::iter::from_fn(|| inbox.try_recv().ok()).take(QUEUE_LEN_MAX)) {
                match news {
                    News::Touched { received, touched, new_series } => self.arrive(received, touched, &new_series),
                    News::Rules(groups) => self.configure(groups, None),
                    // As after a reload. To read it again into what is there would not do: what was told is not taken back.
                    News::Deleted => self.configure(self.groups.to_vec(), None),
                    News::Look(answer) => {
                        let seen = RulesSeen { groups: self.groups.clone(), rules: self.live.look() };
                        // Who asked may have gone.
                        let _ = answer.send(seen);
                    }
                    News::Stop => return self.save(),
                }
            }
            if self.missed.swap(false, Ordering::AcqRel) {
                self.live.rebind(&mut self.around);
                self.tell();
            }
            self.tick(self.clock.now());
            waits = self.work_a_while();
            if self.until_save().is_zero() {
                self.save();
            }
        }
        self.save();
    }

    fn pause(&self) -> Duration {
        let now = self.clock.now();
        // What was due and is so still, as when its rule fails, must not keep the thread busy.
        let due = self.live.next_due().map(|due| if due <= now { now + STUCK_PAUSE } else { due });
        let sleep = due.map_or(SLEEP_MAX, |due| due.since(now).min(SLEEP_MAX));
        sleep.min(self.until_save()).max(Duration::from_millis(1))
    }

    /// How long until the memory is to be written.
    fn until_save(&self) -> Duration {
        let every = if self.live.has_changed() { self.save_pause } else { SAVE_EVERY };
        every.saturating_sub(self.clock.now().since(self.saved))
    }

    fn configure(&mut self, groups: Vec<RuleGroup>, state: Option<RuleState>) {
        match Rules::compile(&groups) {
            Ok(rules) => {
                self.failing.clear();
                let state = state.unwrap_or_else(|| self.live.state().clone());
                self.around.watch(&self.live.series(), false);
                let rules = rules.with_outside(self.around.outside());
                self.live = self.around.live(rules, state, self.clock.now());
                self.groups = Arc::new(groups);
            }
            // The loader checked them; an old journal may hold what this program no longer reads.
            Err(errors) => {
                for error in errors {
                    tracing::error!(error = ?error, "failed to compile a rule; the rules in force stay");
                }
            }
        }
    }

    fn arrive(&mut self, received: Time, touched: Vec<Touched>, new_series: &[(SeriesRef, Labels)]) {
        // What was due before it came is as if it had not come.
        self.tick(Time(received.0 - 1));
        self.live.arrive(received, touched.into_iter().map(arrived), new_series, &mut self.around);
        self.tell();
    }

    fn tick(&mut self, now: Time) {
        while let Some(due) = self.live.next_due().filter(|due| *due <= now) {
            let at = if now.since(due) > BEHIND_MAX { now } else { due };
            let began = Instant::now();
            self.live.tick(at, &mut self.around);
            self.live.note_tick_took(began.elapsed());
            self.tell();
        }
    }

    /// Evaluates rules that take longer, for a short while only. True where some are left.
    fn work_a_while(&mut self) -> bool {
        let began = Instant::now();
        let mut done = Duration::ZERO;
        while let Some(rule) = self.live.work(self.clock.now(), &mut self.around) {
            self.tell();
            let elapsed = began.elapsed();
            self.live.note_took(rule, elapsed - done);
            if elapsed >= WORK_WHILE {
                return true;
            }
            done = elapsed;
        }
        false
    }

    fn tell(&mut self) {
        if !self.live.has_found() {
            return;
        }
        let found = self.live.take();
        for transition in found.transitions {
            if let Err(error) = self.around.pump.enqueue_blocking(Event::Alert(transition)) {
                tracing::warn!(%error, "an alert's change comes with the next start");
            }
        }
        for (rule, why) in found.failed {
            if self.failing.insert(rule) {
                let name = self.live.rules().name(rule).map_or("?", |name| name.as_str());
                tracing::warn!(rule = name, why, "failed to evaluate a rule; its alerts stay as they are");
            }
        }
    }

    fn save(&mut self) {
        self.saved = self.clock.now();
        let began = Instant::now();
        let written = write(&self.memory, self.live.state());
        self.save_pause = (began.elapsed() * SAVE_SHARE).clamp(SAVE_PAUSE_MIN, SAVE_PAUSE_MAX);
        if let Err(error) = written {
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
