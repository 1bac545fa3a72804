//! One job: its sources of targets, what relabelling makes of what they find, and a run for each target.
//!
//! The series of a target that is gone end as with Prometheus: as of the scrape that would have been next, and written when the
//! one behind it is due. A target that comes back until then, or goes on under another address, takes them over.

use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use model::config::{FileDiscovery, HttpDiscovery, ScrapeJob, TargetGroup};
use model::{Labels, STALE_NAN, SampleBatch, Time};
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::Instant;

use super::board::{Active, Pool, TargetBoard};
use super::discovery::{Files, FoundLabels, ask, of_static};
use super::relabel::Relabel;
use super::run::{Forced, Run, Shared};
use super::target::{Found, Target, target};
use crate::perform::outgoing::Outgoing;
use crate::telemetry::first_pause;

/// Answers of sources that wait.
const NEWS_MAX: usize = 16;
/// Shortest time between two questions to a discovery server.
const ASK_PAUSE_MIN: Duration = Duration::from_secs(1);

/// A source of targets.
#[derive(Clone, Debug, PartialEq)]
enum Source {
    Static(Vec<TargetGroup>),
    Files(FileDiscovery),
    Http(HttpDiscovery),
}

impl Source {
    fn of(job: &ScrapeJob) -> Vec<Source> {
        let files = job.file_sd_configs.iter().cloned().map(Source::Files);
        let http = job.http_sd_configs.iter().cloned().map(Source::Http);
        [Source::Static(job.static_configs.clone())].into_iter().chain(files).chain(http).collect()
    }
}

/// What a source said: its place, and what it found.
type News = (usize, Vec<FoundLabels>);

/// A run that ends when it is told to, or is dropped.
struct Running {
    active: Arc<Active>,
    stop: oneshot::Sender<()>,
    task: Task,
}

/// Ends at once where nobody waits for its end.
struct Task(JoinHandle<Vec<Labels>>);

impl Task {
    async fn end(mut self) -> Vec<Labels> {
        (&mut self.0).await.unwrap_or_default()
    }
}

impl Drop for Task {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// What is left of a run: series that end unless somebody takes them over.
struct Ending {
    /// The target's.
    labels: Labels,
    series: Vec<Labels>,
    /// As of when they end: when the next scrape would have been.
    at: Time,
    /// When that is written. Whoever scrapes them now has done so until then.
    due: Instant,
}

/// One job while it is scraped.
pub struct Job {
    shared: Shared,
    board: TargetBoard,
    config: Arc<ScrapeJob>,
    relabel: Relabel,
    sources: Vec<(Source, Vec<FoundLabels>)>,
    /// By what tells targets apart, see [`key`].
    runs: BTreeMap<String, Running>,
    /// By the same.
    endings: BTreeMap<String, Ending>,
    forced: Forced,
}

impl Job {
    /// Runs until nobody is left who could give another configuration; ends the series of its targets then.
    pub async fn run(shared: Shared, board: TargetBoard, mut config: watch::Receiver<Arc<ScrapeJob>>) {
        let now = config.borrow_and_update().clone();
        let mut job = Job {
            relabel: Relabel::new(&now.relabel_configs),
            sources: Vec::new(),
            runs: BTreeMap::new(),
            endings: BTreeMap::new(),
            forced: Forced::default(),
            config: now,
            shared,
            board,
        };
        let mut anew = false;
        loop {
            let (news, mut said) = mpsc::channel(NEWS_MAX);
            let _sources = job.listen(news);
            job.sync(anew).await;
            loop {
                tokio::select! {
                    changed = config.changed() => {
                        if changed.is_err() {
                            return job.end().await;
                        }
                        break;
                    }
                    Some((place, found)) = said.recv() => {
                        job.sources[place].1 = found;
                        job.sync(false).await;
                    }
                    () = sleep_until(job.next_ending()) => job.end_due().await,
                }
            }
            job.config = config.borrow_and_update().clone();
            job.relabel = Relabel::new(&job.config.relabel_configs);
            anew = true;
        }
    }

    /// Starts the sources. What an unchanged one found before stands until it says something else.
    fn listen(&mut self, news: mpsc::Sender<News>) -> JoinSet<()> {
        let before = std::mem::take(&mut self.sources);
        let mut tasks = JoinSet::new();
        for (place, source) in Source::of(&self.config).into_iter().enumerate() {
            let known = before.iter().find(|(have, _)| *have == source).map(|(_, found)| found.clone());
            let found = match &source {
                Source::Static(groups) => of_static(groups),
                Source::Files(config) => {
                    tasks.spawn(watch_files(place, Files::new(config.clone()), news.clone()));
                    known.unwrap_or_default()
                }
                Source::Http(config) => {
                    tasks.spawn(ask_again(place, self.shared.outgoing.clone(), config.clone(), news.clone()));
                    known.unwrap_or_default()
                }
            };
            self.sources.push((source, found));
        }
        tasks
    }

    /// Makes the runs those of the targets that there are now. With `anew` all of them begin again, by another configuration.
    /// A target that stays, or is asked in another way, keeps its series until its next scrape.
    async fn sync(&mut self, anew: bool) {
        let (wanted, dropped) = self.targets();
        let limit = self.config.target_limit;
        let count = wanted.len();
        let over = (limit > 0 && count as u64 > limit)
            .then(|| format!("target_limit exceeded (number of targets: {count}, limit: {limit})"));
        *self.forced.lock().unwrap_or_else(PoisonError::into_inner) = over;
        let stays = |(key, running): &(&String, &Running)| {
            !anew && wanted.get(*key).is_some_and(|target| target.is_asked_as(&running.active.target))
        };
        let (staying, gone): (Vec<_>, Vec<_>) = self.runs.iter().partition(stays);
        for (key, running) in staying {
            running.active.discover(&wanted[key].discovered);
        }
        self.stop(gone.into_iter().map(|(key, _)| key.clone()).collect()).await;
        let new = wanted.into_iter().filter(|(key, _)| !self.runs.contains_key(key));
        for (key, target, before) in take_over(&mut self.endings, new.collect()) {
            self.start(key, target, before);
        }
        self.show(dropped);
    }

    /// What the sources found, as targets; by what tells them apart.
    fn targets(&self) -> (BTreeMap<String, Target>, Vec<Labels>) {
        let (mut wanted, mut dropped) = (BTreeMap::new(), Vec::new());
        for found in self.sources.iter().flat_map(|(_, found)| found) {
            match target(&self.config, &self.relabel, found.iter().cloned()) {
                Found::Target(target) => {
                    wanted.entry(key(&target)).or_insert(target);
                }
                Found::Dropped(labels) => dropped.push(labels),
                Found::Wrong(labels, why) => {
                    tracing::warn!(job = self.config.job_name, target = %labels, why, "something that was found can't be scraped");
                }
            }
        }
        (wanted, dropped)
    }

    fn start(&mut self, key: String, target: Target, before: Vec<Labels>) {
        let active = Arc::new(Active::new(target));
        let (stop, stopped) = oneshot::channel();
        let run = Run::new(self.shared.clone(), &self.config, active.clone(), self.forced.clone(), before);
        self.runs.insert(key, Running { active, stop, task: Task(tokio::spawn(run.run(stopped))) });
    }

    /// Stops runs; their series end later.
    async fn stop(&mut self, keys: Vec<String>) {
        let mut stopping = Vec::new();
        for key in keys {
            let Some(running) = self.runs.remove(&key) else { continue };
            let _ = running.stop.send(());
            stopping.push((key, running.active, running.task));
        }
        let mut stopped = Vec::new();
        for (key, active, task) in stopping {
            stopped.push((key, active, task.end().await));
        }
        // Later than every sample of theirs.
        let (now, here) = (self.shared.telemetry.clock().now(), Instant::now());
        for (key, active, series) in stopped.into_iter().filter(|(_, _, series)| !series.is_empty()) {
            let every = active.target.interval.duration();
            let pause = first_pause(now, every, &key);
            let labels = active.target.labels.clone();
            self.endings.insert(key, Ending { labels, series, at: now + pause, due: here + pause + every + every / 10 });
        }
    }

    fn next_ending(&self) -> Option<Instant> {
        self.endings.values().map(|ending| ending.due).min()
    }

    /// Ends the series whose time it is.
    async fn end_due(&mut self) {
        let now = Instant::now();
        let due = self.endings.extract_if(.., |_, ending| ending.due <= now);
        let series = due.flat_map(|(_, ending)| ending.series.into_iter().map(move |labels| (labels, ending.at)));
        let series: BTreeMap<Labels, Time> = series.collect();
        end_series(&self.shared, series).await;
    }

    fn show(&self, dropped: Vec<Labels>) {
        let active = self.runs.values().map(|running| running.active.clone()).collect();
        self.board.put(&self.config.job_name, Pool { active, dropped, dropped_total: 0 });
    }

    /// Stops all runs, and ends their series when it is time. Whoever ends the server does not wait for that: it drops this.
    async fn end(mut self) {
        self.stop(self.runs.keys().cloned().collect()).await;
        self.board.remove(&self.config.job_name);
        while let Some(due) = self.next_ending() {
            tokio::time::sleep_until(due).await;
            self.end_due().await;
        }
    }
}

/// What tells targets of a job apart; its scrapes are spread by it, too.
pub(super) fn key(target: &Target) -> String {
    format!("{} {}", target.url, target.labels)
}

/// Gives each new target the series that it goes on with: those of the run that was the same, or else those of one with the
/// same labels. Its address, path or parameters were others, its series are the same.
fn take_over(endings: &mut BTreeMap<String, Ending>, new: BTreeMap<String, Target>) -> Vec<(String, Target, Vec<Labels>)> {
    let mut all: Vec<(String, Target, Vec<Labels>)> = Vec::with_capacity(new.len());
    let mut same_labels: BTreeMap<Labels, Vec<usize>> = BTreeMap::new();
    for (key, target) in new {
        let before = endings.remove(&key).map(|ending| ending.series);
        if before.is_none() && !endings.is_empty() {
            same_labels.entry(target.labels.clone()).or_default().push(all.len());
        }
        all.push((key, target, before.unwrap_or_default()));
    }
    let taken = |_: &String, ending: &mut Ending| {
        let Some(place) = same_labels.get_mut(&ending.labels).and_then(Vec::pop) else { return false };
        all[place].2 = std::mem::take(&mut ending.series);
        true
    };
    endings.extract_if(.., taken).for_each(drop);
    all
}

/// Never, where there is no instant.
async fn sleep_until(instant: Option<Instant>) {
    match instant {
        Some(instant) => tokio::time::sleep_until(instant).await,
        None => std::future::pending().await,
    }
}

/// Ends series whose target is gone, each as of a time; but those that somebody has sent since: they live.
async fn end_series(shared: &Shared, series: BTreeMap<Labels, Time>) {
    let store = shared.telemetry.store();
    let mut batch = SampleBatch::new();
    for (labels, at) in series {
        if store.newest(&labels).is_none_or(|newest| newest < at) {
            batch.push(&labels, at, STALE_NAN);
        }
    }
    if batch.is_empty() {
        return;
    }
    if let Err(error) = shared.telemetry.take(&batch).await {
        tracing::warn!(%error, "failed to end the series of targets that are gone");
    }
}

async fn watch_files(place: usize, mut files: Files, news: mpsc::Sender<News>) {
    loop {
        let looked = tokio::task::spawn_blocking(move || {
            let changed = files.look();
            (files, changed)
        });
        let Ok((back, changed)) = looked.await else { return };
        files = back;
        if changed && news.send((place, files.found().cloned().collect())).await.is_err() {
            return;
        }
        tokio::time::sleep(files.pause()).await;
    }
}

async fn ask_again(place: usize, outgoing: Outgoing, config: HttpDiscovery, news: mpsc::Sender<News>) {
    let mut before: Option<Vec<FoundLabels>> = None;
    loop {
        match ask(&outgoing, &config).await {
            Ok(found) if before.as_ref() != Some(&found) => {
                before = Some(found.clone());
                if news.send((place, found)).await.is_err() {
                    return;
                }
            }
            Ok(_) => {}
            Err(why) => tracing::warn!(url = config.url, why, "failed to ask for targets; those from before stay"),
        }
        tokio::time::sleep(config.refresh_interval.duration().max(ASK_PAUSE_MIN)).await;
    }
}
