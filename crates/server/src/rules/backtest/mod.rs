//! What rules would have told: the same live evaluation, fed with what the store kept.
//!
//! From the log batch by batch with the instants at which they were received, each evaluated as of that instant, with every interval
//! between: so it is what live rules told. For times before the log each sample of the history counts as received at its own time,
//! which is the same for a feed that came in time order. The samples go into a store of the back-test's own, in memory, so that late
//! and doubled ones are taken as they were. Nothing is written, nobody is told.

mod feed;
pub mod picture;
mod reads;
mod report;

use std::collections::{BTreeMap, BTreeSet};
use std::ops::ControlFlow;
use std::path::Path;
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use engine::rule::{Arrived, Kept, Live, Outside, RuleError, RuleState, Rules, Surroundings};
use model::backtest::BacktestReport;
use model::config::RuleGroup;
use model::labels::METRIC_NAME;
use model::{Labels, SampleBatch, Time};
use query::Features;
use query::source::{Matcher, SeriesRef, Source, SourceError};
use store::files::{InMemory, OnDisk};
use store::{Store, StoreError};

use crate::clock::{SharedClock, SystemClock};
use crate::journal::{Database, FolderLock, JournalError, SqliteJournal};
use crate::pump::Fold;
use feed::InLog;
use reads::{Reach, Reads};
use report::Book;

/// Longest time that one back-test goes over.
const SPAN_MAX: Duration = Duration::from_secs(366 * 86_400);
/// After so many batches and evaluations it is asked whether to give up.
const ASK_EVERY: u64 = 256;
/// The back-test's own log is thrown away after so many bytes.
const LOG_BYTES: u64 = 16 << 20;

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub enum BacktestError {
    /// The rules are wrong.
    #[error("{}", .0.join("\n"))]
    Rules(Vec<String>),
    /// The times make no sense.
    #[error("{0}")]
    Times(String),
    /// A running server has the folder, or it can't be opened.
    #[error(transparent)]
    Folder(#[from] JournalError),
    /// The store failed.
    #[error("read the samples")]
    Store(#[from] StoreError),
    /// The history failed.
    #[error("read the history")]
    Source(#[from] SourceError),
    /// It was told to stop.
    #[error("the back-test takes too long: ask for a shorter time or fewer rules")]
    Stopped,
}

/// What is asked.
#[derive(Clone, Copy)]
pub struct Asked<'a> {
    /// The rules.
    pub groups: &'a [RuleGroup],
    /// From when on transitions are reported.
    pub from: Time,
    /// Until when.
    pub to: Time,
    /// What may stand in them of PromQL's experimental parts.
    pub features: Features,
    /// The server's own address as the configuration has it: `$externalURL` of annotations.
    pub url: &'a str,
    /// Asked now and then: whether to give up.
    pub stop: &'a dyn Fn() -> bool,
}

/// Runs rules over what a store kept.
pub fn run(kept: &Store, asked: &Asked<'_>) -> Result<BacktestReport, BacktestError> {
    if asked.to <= asked.from {
        return Err(BacktestError::Times(format!("from {} to {}: the end is not after the beginning", asked.from, asked.to)));
    }
    if asked.to.since(asked.from) > SPAN_MAX {
        return Err(BacktestError::Times(format!("from {} to {} is longer than a year: ask for less", asked.from, asked.to)));
    }
    let said = |errors: Vec<RuleError>| BacktestError::Rules(errors.iter().map(ToString::to_string).collect());
    let rules = Rules::compile_with(asked.groups, &asked.features).map_err(said)?;
    let url = asked.url.trim_end_matches('/').to_owned();
    let rules = rules.with_outside(Outside { features: asked.features, url, ..Outside::default() });
    let reads = Reads::of(&rules, asked.groups, &asked.features);
    let reach = reads.reach(asked.from);
    let mut play = Play::new(rules, asked, &reach, kept.options())?;
    let data_from = reach.data_from(asked.from);
    let log_from = log_begin(kept, data_from)?;
    match log_from {
        None => play.history(kept, &reads, &reach, Time(asked.to.0 + 1), &InLog::default())?,
        Some(begin) if begin > data_from => {
            let mut in_log = InLog::default();
            kept.replay_log(begin, &mut |_, batch| {
                in_log.note(begin, batch);
                if (asked.stop)() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
            })?;
            play.history(kept, &reads, &reach, begin, &in_log)?;
        }
        Some(_) => {}
    }
    let mut failed = None;
    kept.replay_log(data_from, &mut |received, batch| {
        if received > asked.to {
            return ControlFlow::Break(());
        }
        failed = play.batch(received, batch).err();
        if failed.is_some() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    })?;
    if let Some(error) = failed {
        return Err(error);
    }
    play.tick(asked.to)?;
    // Rules see nothing of before the log: exact once their windows lie in it, and what they remember is of it.
    let exact_from = log_from.map(|begin| match begin {
        begin if begin <= data_from => asked.from,
        // Nothing was received before, and the live rules knew no more.
        begin if kept.keeps_whole_log() => begin.max(asked.from),
        begin => begin + reach.window + reach.warm,
    });
    Ok(play.book.finish(exact_from.filter(|exact| *exact < asked.to)))
}

/// When the first batch of the kept log came that is not older than `from`; `from` itself where the log begins before.
fn log_begin(kept: &Store, from: Time) -> Result<Option<Time>, BacktestError> {
    let first = |from: Time| {
        let mut first = None;
        kept.replay_log(from, &mut |received, _| {
            first = Some(received);
            ControlFlow::Break(())
        })?;
        Ok::<_, BacktestError>(first)
    };
    let Some(begin) = first(Time::MIN)? else { return Ok(None) };
    if begin >= from { Ok(Some(begin)) } else { Ok(first(from)?.map(|_| from)) }
}

/// Runs rules over the data folder of a server that does not run. Its address is that of the folder's last configuration.
pub async fn run_folder(data: &Path, now: Time, asked: &Asked<'_>) -> Result<BacktestReport, BacktestError> {
    let _lock = FolderLock::take(data)?;
    let url = external_url(data).await?;
    let kept = Store::open(store::Options::new(data.join("telemetry")), Arc::new(OnDisk), now)?;
    run(&kept, &Asked { url: &url, ..*asked })
}

async fn external_url(data: &Path) -> Result<String, JournalError> {
    let clock: SharedClock = Arc::new(SystemClock::new());
    let journal = SqliteJournal::open(Database::open(data).await?).await?;
    let (fold, _) = Fold::open(Arc::new(journal), clock).await?;
    let state = fold.state();
    let state = state.read().unwrap_or_else(PoisonError::into_inner);
    Ok(state.config.flyball.external_url.clone())
}

impl Reach {
    /// Rules are evaluated from here on, so that at `from` they remember what they would.
    fn live_from(&self, from: Time) -> Time {
        from - self.warm
    }

    /// Samples are needed from here on.
    fn data_from(&self, from: Time) -> Time {
        from - self.warm - self.window
    }
}

/// A back-test while it goes on.
struct Play<'a> {
    asked: &'a Asked<'a>,
    around: Around,
    /// None until the first instant at which rules are evaluated.
    live: Option<Live>,
    rules: Option<Rules>,
    live_from: Time,
    /// Metrics that the rules record: they do that anew.
    recorded: BTreeSet<String>,
    book: Book,
    now: Time,
    steps: u64,
}

impl<'a> Play<'a> {
    fn new(rules: Rules, asked: &'a Asked<'a>, reach: &Reach, options: &store::Options) -> Result<Play<'a>, BacktestError> {
        let options = store::Options {
            dir: "/backtest".into(),
            keep_log: Duration::ZERO,
            keep_log_bytes: 0,
            checkpoint_bytes: LOG_BYTES.min(options.checkpoint_bytes),
            driven_by_caller: true,
            retention: options.retention.min(reach.window + reach.warm + options.out_of_order),
            retention_bytes: None,
            ..options.clone()
        };
        let begin = reach.data_from(asked.from);
        let store = Store::open(options, Arc::new(InMemory::default()), begin)?;
        // Until the first call everything is told.
        store.watch(&[], true);
        let names = asked.groups.iter().flat_map(|group| &group.rules);
        let book = Book::new(asked);
        Ok(Play {
            asked,
            around: Around { store, recorded: BTreeMap::new(), refused: None },
            live: None,
            rules: Some(rules),
            live_from: reach.live_from(asked.from),
            recorded: names.filter_map(|rule| rule.record.clone()).collect(),
            book,
            now: begin,
            steps: 0,
        })
    }

    /// Each sample of the history as received at its own time, up to where the log begins.
    fn history(&mut self, kept: &Store, reads: &Reads, reach: &Reach, until: Time, in_log: &InLog) -> Result<(), BacktestError> {
        let from = reach.data_from(self.asked.from);
        let until = until.min(Time(self.asked.to.0 + 1));
        let (selectors, stop) = (reads.selectors(), self.asked.stop);
        let give = &mut |time, batch: &SampleBatch| self.batch(time, batch);
        let missed = feed::history(kept, &selectors, (from, until), in_log, stop, give)?;
        self.book.missed(missed);
        Ok(())
    }

    /// A batch as it was received.
    fn batch(&mut self, received: Time, batch: &SampleBatch) -> Result<(), BacktestError> {
        self.step()?;
        if received >= self.live_from {
            // What was due before it came is as if it had not come.
            self.tick(Time(received.0 - 1))?;
        }
        self.now = self.now.max(received);
        let batch = self.without_recorded(batch);
        let appended = self.around.store.append(&batch, received)?;
        self.around.store.pump();
        let (touched, new_series) = (appended.touched, appended.new_series);
        if let Some(live) = &mut self.live {
            live.arrive(received, touched.iter().copied().map(arrived), &new_series, &mut self.around);
            // The first sample of every series is told, whoever reads it.
            let read = || touched.iter().filter(|one| live.reads(one.series));
            self.book.count(read().count() as u64, read().filter(|one| one.late).count() as u64);
            self.settle(received);
        }
        self.around.refused.take().map_or(Ok(()), |error| Err(error.into()))
    }

    /// Batches and instants at which rules are due count alike: a long time without samples takes long, too.
    fn step(&mut self) -> Result<(), BacktestError> {
        self.steps += 1;
        let stops = self.steps.is_multiple_of(ASK_EVERY) && (self.asked.stop)();
        if stops { Err(BacktestError::Stopped) } else { Ok(()) }
    }

    /// What the log has of rules that are tested they say themselves.
    fn without_recorded(&self, batch: &SampleBatch) -> SampleBatch {
        if self.recorded.is_empty() {
            return batch.clone();
        }
        let mut kept = SampleBatch::new();
        for (key, sample) in batch.iter() {
            let Ok(labels) = Labels::from_key(key) else { continue };
            if !labels.get(METRIC_NAME).is_some_and(|name| self.recorded.contains(name)) {
                kept.push(&labels, sample.time, sample.value);
            }
        }
        kept
    }

    /// Evaluates what is due up to an instant, at each instant at which it is.
    fn tick(&mut self, until: Time) -> Result<(), BacktestError> {
        if until < self.live_from {
            return Ok(());
        }
        if let Some(rules) = self.rules.take() {
            let begin = Time(self.live_from.0 - 1);
            self.live = Some(Live::new(rules, RuleState::default(), &BTreeMap::new(), begin, &mut self.around));
        }
        while let Some(due) = self.live.as_ref().and_then(Live::next_due).filter(|due| *due <= until) {
            self.step()?;
            if let Some(live) = &mut self.live {
                live.tick(due, &mut self.around);
            }
            self.settle(due);
        }
        Ok(())
    }

    fn settle(&mut self, at: Time) {
        let Some(live) = &mut self.live else { return };
        while live.work(at, &mut self.around).is_some() {}
        if live.has_found() {
            let found = live.take();
            for (rule, why) in found.failed {
                self.book.failed(live.rules().name(rule).map_or("", |name| name.as_str()), why);
            }
            self.book.told(at, found.transitions);
        }
        for (name, count) in std::mem::take(&mut self.around.recorded) {
            self.book.recorded(&name, count);
        }
    }
}

/// The back-test's own store as rules see it, which lets go of what no rule looks at any more.
struct Around {
    store: Store,
    recorded: BTreeMap<String, u64>,
    refused: Option<StoreError>,
}

impl Surroundings for Around {
    fn source(&self) -> &dyn Source {
        &self.store
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
        for (key, _) in recorded.iter() {
            let name = Labels::from_key(key).map(|labels| labels.metric().to_owned()).unwrap_or_default();
            *self.recorded.entry(name).or_default() += 1;
        }
        match self.store.append(recorded, at) {
            Ok(appended) => {
                self.store.pump();
                Kept { touched: appended.touched.into_iter().map(arrived).collect(), new_series: appended.new_series }
            }
            Err(error) => {
                self.refused = Some(error);
                Kept::default()
            }
        }
    }
}

fn arrived(touched: store::Touched) -> Arrived {
    Arrived { series: touched.series, time: touched.time, value: touched.value, late: touched.late }
}

#[cfg(test)]
mod tests;
