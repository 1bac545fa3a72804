//! One job: its sources of targets, what relabelling makes of what they find, and a run for each target.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use model::config::{FileDiscovery, HttpDiscovery, ScrapeJob, TargetGroup};
use model::{Labels, STALE_NAN, SampleBatch};
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::{JoinHandle, JoinSet};

use super::board::{Active, Pool, TargetBoard};
use super::discovery::{Files, FoundLabels, ask, of_static};
use super::relabel::Relabel;
use super::run::{Forced, Run, Shared};
use super::target::{Found, Target, target};
use crate::perform::outgoing::Outgoing;

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

/// One job while it is scraped.
pub struct Job {
    shared: Shared,
    board: TargetBoard,
    config: Arc<ScrapeJob>,
    relabel: Relabel,
    sources: Vec<(Source, Vec<FoundLabels>)>,
    runs: BTreeMap<String, Running>,
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

    /// Makes the runs those of the targets that there are now. With `anew` all of them begin again, by another configuration:
    /// a target that stays keeps its series until its next scrape.
    async fn sync(&mut self, anew: bool) {
        let (wanted, dropped) = self.targets();
        let limit = self.config.target_limit;
        let count = wanted.len();
        let over = (limit > 0 && count as u64 > limit)
            .then(|| format!("target_limit exceeded (number of targets: {count}, limit: {limit})"));
        *self.forced.lock().unwrap_or_else(PoisonError::into_inner) = over;
        let gone: Vec<String> = self.runs.keys().filter(|key| anew || !wanted.contains_key(*key)).cloned().collect();
        let mut ended = self.stop(gone).await;
        for (key, target) in wanted {
            if !self.runs.contains_key(&key) {
                let before = ended.remove(&key).unwrap_or_default();
                self.start(key, target, before);
            }
        }
        self.show(dropped);
        end_series(&self.shared, ended.into_values().flatten()).await;
    }

    /// What the sources found, as targets; by what tells them apart.
    fn targets(&self) -> (BTreeMap<String, Target>, Vec<Labels>) {
        let (mut wanted, mut dropped) = (BTreeMap::new(), Vec::new());
        for found in self.sources.iter().flat_map(|(_, found)| found) {
            match target(&self.config, &self.relabel, found.iter().cloned()) {
                Found::Target(target) => {
                    wanted.entry(format!("{} {}", target.url, target.labels)).or_insert(target);
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

    /// Ends runs; gives the series that each had.
    async fn stop(&mut self, keys: Vec<String>) -> BTreeMap<String, Vec<Labels>> {
        let mut ending = Vec::new();
        for key in keys {
            let Some(running) = self.runs.remove(&key) else { continue };
            let _ = running.stop.send(());
            ending.push((key, running.task));
        }
        let mut ended = BTreeMap::new();
        for (key, task) in ending {
            ended.insert(key, task.end().await);
        }
        ended
    }

    fn show(&self, dropped: Vec<Labels>) {
        let active = self.runs.values().map(|running| running.active.clone()).collect();
        self.board.put(&self.config.job_name, Pool { active, dropped, dropped_total: 0 });
    }

    async fn end(mut self) {
        let ended = self.stop(self.runs.keys().cloned().collect()).await;
        self.board.remove(&self.config.job_name);
        end_series(&self.shared, ended.into_values().flatten()).await;
    }
}

/// Ends series whose target is gone.
async fn end_series(shared: &Shared, series: impl Iterator<Item = Labels>) {
    let at = shared.telemetry.clock().now();
    let mut batch = SampleBatch::new();
    for labels in series.collect::<BTreeSet<Labels>>() {
        batch.push(&labels, at, STALE_NAN);
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
