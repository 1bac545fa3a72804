//! From a pushed sample to the receiver: store, rules on arrival, pump, webhook; and scrapes of a real listener.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, Instant};

use model::config::{Config, Rule, RuleGroup, ScrapeConfig, Span};
use model::{AlertState, Epoch, Event, Labels, SampleBatch, Time};
use query::Features;
use query::source::{MatchOp, Matcher, Source as _, TimeRange};
use store::{Options, Store, files::OnDisk};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::sync::{mpsc, watch};

use super::{BalancerBoard, OwnFigures, Telemetry};
use crate::clock::{SharedClock, SystemClock};
use crate::journal::MemoryJournal;
use crate::outbox::Outbox;
use crate::perform::outgoing::Outgoing;
use crate::perform::outside::Outside;
use crate::perform::{self, LinkNews};
use crate::pump::{Fold, PumpHandle, pump};
use crate::testing::{NoLinks, WebhookReceiver, webhook_config};

pub(super) struct Loop {
    telemetry: Telemetry,
    pub(super) pump: PumpHandle,
    stop: watch::Sender<bool>,
    _folder: tempfile::TempDir,
}

/// Everything between a sample and a webhook; only the journal is in memory.
pub(super) async fn start(configured: Event) -> Loop {
    start_by(Arc::new(SystemClock::new()), configured, |_| ()).await
}

/// By this clock, with a state that is prepared once it is configured.
pub(super) async fn start_by(clock: SharedClock, configured: Event, prepare: impl FnOnce(&mut engine::State)) -> Loop {
    start_limited(clock, configured, prepare, 100_000).await
}

/// With a store that takes so many series.
async fn start_limited(
    clock: SharedClock,
    configured: Event,
    prepare: impl FnOnce(&mut engine::State),
    series_max: usize,
) -> Loop {
    let folder = tempfile::tempdir().unwrap();
    let (fold, owed) = Fold::open(Arc::new(MemoryJournal::new()), clock.clone()).await.unwrap();
    let state = fold.state();
    let (dues, dues_out) = mpsc::channel(64);
    let (handle, running) = pump(fold, dues, Duration::from_secs(3_600));
    tokio::spawn(running.run());
    handle.submit(Event::Started { epoch: Epoch(1), version: "test".into() }).await.unwrap();
    handle.submit(configured).await.unwrap();
    prepare(&mut state.write().unwrap());
    let outgoing = Outgoing::new(handle.clone(), Vec::new());
    let performer = Outside::new(handle.clone(), clock.clone(), outgoing.clone(), Arc::new(NoLinks));
    let (_, news) = LinkNews::channel();
    tokio::spawn(perform::run(Outbox::new(owed, 1), dues_out, news, Arc::new(performer), handle.clone(), clock.clone()));
    let options = Options { series_max, ..Options::new(folder.path().join("telemetry")) };
    let store = Store::open(options, Arc::new(OnDisk), clock.now()).unwrap();
    let telemetry = Telemetry::start(Arc::new(store), clock, handle.clone(), folder.path(), Features::STABLE);
    let (stop, stopping) = watch::channel(false);
    let own = OwnFigures::new(|| vec![("flyball_test", 1.0)]);
    tokio::spawn(telemetry.clone().run(outgoing, BalancerBoard::default(), own, stopping));
    Loop { telemetry, pump: handle, stop, _folder: folder }
}

fn with_rule(event: Event) -> Event {
    with_rules(event, vec![rule("Errors", "shop_errors > 5", None)])
}

fn rule(name: &str, expr: &str, hold: Option<Span>) -> Rule {
    Rule {
        alert: Some(name.into()),
        record: None,
        expr: expr.into(),
        hold,
        keep_firing_for: None,
        labels: Default::default(),
        annotations: Default::default(),
    }
}

/// In a group whose interval is an hour: only arrivals evaluate them.
fn with_rules(event: Event, rules: Vec<Rule>) -> Event {
    let Event::Configured { mut config, change } = event else { return event };
    config.groups = vec![RuleGroup {
        name: "shop".into(),
        file: String::new(),
        interval: Some(Span::secs(3_600)),
        query_offset: None,
        limit: 0,
        labels: Default::default(),
        rules,
    }];
    Event::Configured { config, change }
}

fn sample(world: &Loop, value: f64) -> SampleBatch {
    sample_of(world, "shop_errors", value)
}

fn sample_of(world: &Loop, metric: &str, value: f64) -> SampleBatch {
    let mut batch = SampleBatch::new();
    batch.push(&Labels::new([("__name__", metric), ("host", "web-1")]).unwrap(), world.telemetry.clock().now(), value);
    batch
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_bad_sample_is_told_on_arrival_and_so_is_its_end() {
    let receiver = WebhookReceiver::start().await.unwrap();
    let world = start(with_rule(webhook_config(&receiver.url(), &["127.0.0.0/8".to_owned()]))).await;
    world.telemetry.take(&sample(&world, 1.0)).await.unwrap();
    let begun = Instant::now();
    let taken = world.telemetry.take(&sample(&world, 9.0)).await.unwrap();
    assert_eq!(taken.accepted, 1);
    let received = receiver.wait_for(1).await;
    // The group's interval is an hour: only the arrival can have caused it.
    assert!(received[0].at.duration_since(begun) < Duration::from_secs(60));
    let told = wire::alertmanager::decode(received[0].body.as_bytes()).unwrap();
    assert_eq!(told.alerts[0].labels.get("alertname"), Some("Errors"));
    assert_eq!(told.alerts[0].status, wire::alertmanager::Status::Firing);
    world.telemetry.take(&sample(&world, 0.0)).await.unwrap();
    let received = receiver.wait_for(2).await;
    let told = wire::alertmanager::decode(received[1].body.as_bytes()).unwrap();
    assert_eq!(told.alerts[0].status, wire::alertmanager::Status::Resolved);
    assert_ne!(received[0].key, received[1].key);
    end(world).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rules_are_seen_as_they_are() {
    let receiver = WebhookReceiver::start().await.unwrap();
    let mut rules = vec![rule("Slow", "shop_slow > 5", Some(Span::secs(3_600))), rule("Odd", "a * on () b > 0", None)];
    rules[0].annotations.insert("summary".into(), "{{ if gt $value 8.0 }}very slow{{ end }} at {{ $externalURL }}".into());
    rules.push(Rule { alert: None, record: Some("shop:slow".into()), ..rule("", "shop_slow * 2", None) });
    let configured = with_rules(webhook_config(&receiver.url(), &["127.0.0.0/8".to_owned()]), rules);
    let world = start(configured).await;
    world.telemetry.take(&sample_of(&world, "shop_slow", 9.0)).await.unwrap();
    for (metric, host) in [("a", "1"), ("b", "1"), ("b", "2")] {
        let mut batch = SampleBatch::new();
        let labels = Labels::new([("__name__", metric), ("host", host)]).unwrap();
        batch.push(&labels, world.telemetry.clock().now(), 1.0);
        world.telemetry.take(&batch).await.unwrap();
    }
    let looked = async {
        loop {
            let seen = crate::http::doors::Samples::rules(&world.telemetry).await.unwrap();
            // A rule that is evaluated whole comes when there is time.
            if seen.rules.get(1).is_some_and(|odd| odd.error.is_some()) {
                return seen;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    let seen = tokio::time::timeout(Duration::from_secs(20), looked).await.expect("within 20 s");
    assert_eq!(seen.groups[0].rules.len(), 3);
    let [slow, odd, record] = &seen.rules[..] else { panic!("{seen:?}") };
    assert_eq!((slow.alerts[0].state, slow.alerts[0].value), (AlertState::Ok, Some(9.0)), "pending");
    assert!(slow.alerts[0].annotations["summary"].starts_with("very slow at http"));
    assert!(slow.error.is_none() && slow.evaluated.is_some());
    assert!(odd.error.as_ref().unwrap().contains("many-to-many"), "{odd:?}");
    assert_eq!((record.evaluated, record.alerts.len()), (None, 0), "its interval has not come round");
    end(world).await;
}

/// What waits out its `for:` goes on after a start: the memory is on the disk soon after it changed.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_pending_is_pending_after_a_start() {
    let receiver = WebhookReceiver::start().await.unwrap();
    let rules = vec![rule("Slow", "shop_slow > 5", Some(Span::secs(3_600)))];
    let configured = with_rules(webhook_config(&receiver.url(), &["127.0.0.0/8".to_owned()]), rules);
    let world = start(configured).await;
    world.telemetry.take(&sample_of(&world, "shop_slow", 9.0)).await.unwrap();
    let memory = world._folder.path().join("rules.json");
    let waited = async {
        while !std::fs::read_to_string(&memory).is_ok_and(|text| text.contains("since")) {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), waited).await.expect("kept within seconds");
    let before = crate::http::doors::Samples::rules(&world.telemetry).await.unwrap().rules[0].alerts[0].since;
    // As after a kill: a second evaluator over the same folder, with nothing but what the first had written.
    let (store, clock) = (world.telemetry.store().clone(), world.telemetry.clock().clone());
    let again = super::Evaluator::start(store, clock, world.pump.clone(), memory.clone(), Features::STABLE);
    let seen = again.look().await.unwrap();
    assert_eq!((seen.rules[0].alerts[0].since, seen.rules[0].alerts[0].state), (before, AlertState::Ok));
    tokio::task::spawn_blocking(move || again.stop()).await.unwrap();
    end(world).await;
}

pub(super) async fn end(world: Loop) {
    world.stop.send_replace(true);
    let telemetry = world.telemetry.clone();
    tokio::task::spawn_blocking(move || telemetry.stop()).await.unwrap();
    world.pump.stop();
}

/// The newest value of a metric.
fn newest(world: &Loop, metric: &str) -> Option<f64> {
    history(world, metric).pop()
}

/// The values of a metric within the last minute. Of its first series, where there are several.
fn history(world: &Loop, metric: &str) -> Vec<f64> {
    let now = world.telemetry.clock().now();
    let range = TimeRange { from: now - Duration::from_secs(60), to: now + Duration::from_secs(1) };
    let matcher = Matcher::new("__name__", MatchOp::Equal, metric).unwrap();
    let mut columns = query::source::Columns::default();
    if let Some((series, _)) = world.telemetry.store().series(&[matcher], range, 10).unwrap().first() {
        world.telemetry.store().read(*series, range, &mut columns).unwrap();
    }
    columns.values
}

/// Answers every request with a text that `body` makes of the request's head. Ends when it is dropped.
struct Exporter {
    address: std::net::SocketAddr,
    serving: tokio::task::JoinHandle<()>,
}

impl Exporter {
    async fn start(body: impl Fn(&str) -> String + Send + Sync + 'static) -> Exporter {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let body = Arc::new(body);
        let serving = tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                let body = body.clone();
                tokio::spawn(async move {
                    let mut request = [0; 4_096];
                    let len = stream.read(&mut request).await.unwrap_or(0);
                    let body = body(&String::from_utf8_lossy(&request[..len]));
                    let answer = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{body}", body.len());
                    let _ = stream.write_all(answer.as_bytes()).await;
                });
            }
        });
        Exporter { address, serving }
    }
}

impl Drop for Exporter {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

/// A configuration that scrapes as this YAML of `scrape_configs` says; the loopback is allowed.
fn scraping(jobs: &str) -> Event {
    let mut config: Config = serde_saphyr::from_str(&format!("scrape_configs:\n{jobs}")).unwrap();
    config.outgoing.allow = vec!["127.0.0.0/8".into()];
    Event::Configured { config: Box::new(config), change: None }
}

/// Waits until something is so, 20 s at most.
async fn until(what: &str, mut is_so: impl FnMut() -> bool) {
    let waited = async {
        while !is_so() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), waited).await.unwrap_or_else(|_| panic!("within 20 s: {what}"));
}

/// The targets that are scraped now.
fn active(world: &Loop) -> Vec<Arc<super::scrape::Active>> {
    world.telemetry.targets.pools().into_values().flat_map(|pool| pool.active).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_target_is_scraped_and_its_silence_ends_its_series() {
    let exporter = Exporter::start(|_| "# TYPE jobs gauge\njobs 7\n".into()).await;
    let mut config = Config::default();
    config.outgoing.allow = vec!["127.0.0.0/8".into()];
    let scrape = ScrapeConfig {
        targets: vec![exporter.address.to_string()],
        every: Span::secs(1),
        timeout: None,
        path: "/metrics".into(),
        labels: Default::default(),
    };
    config.scrapes.insert("jobs".into(), scrape);
    let world = start(Event::Configured { config: Box::new(config), change: None }).await;
    until("it is scraped", || newest(&world, "jobs") == Some(7.0) && newest(&world, "up") == Some(1.0)).await;
    until("own figures", || newest(&world, "flyball_test") == Some(1.0)).await;
    let known = active(&world).iter().flat_map(|active| active.known()).collect::<Vec<_>>();
    assert_eq!(known.iter().map(|one| (one.family.as_str(), one.kind.word())).collect::<Vec<_>>(), [("jobs", "gauge")]);
    drop(exporter);
    until("it ends", || newest(&world, "up") == Some(0.0) && newest(&world, "jobs").is_some_and(model::is_stale)).await;
    end(world).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_target_whose_series_find_no_room_says_so() {
    let exporter = Exporter::start(|_| (0..200).map(|n| format!("jobs{{n=\"{n}\"}} 1\n")).collect()).await;
    let job = format!("  - {{ job_name: a, scrape_interval: 1s, static_configs: [{{ targets: ['{}'] }}] }}", exporter.address);
    let world = start_limited(Arc::new(SystemClock::new()), scraping(&job), |_| (), 50).await;
    until("the lack of room is told", || active(&world).iter().any(|one| one.last().error.contains("50 series, the limit")))
        .await;
    // As in Prometheus, a target is not down because the store is full.
    assert!(active(&world).iter().any(|one| one.last().health() == "up"));
    assert!(!history(&world, "up").is_empty() && !history(&world, "scrape_samples_scraped").is_empty());
    end(world).await;
}

/// Whether one of these metrics ended within the last minute, if only for a while.
fn ended(world: &Loop, metrics: &[&str]) -> bool {
    metrics.iter().any(|metric| history(world, metric).into_iter().any(model::is_stale))
}

/// A job whose target stands in a file: what is in it, with `more` labels.
struct InFile {
    file: std::path::PathBuf,
    address: std::net::SocketAddr,
    _folder: tempfile::TempDir,
}

impl InFile {
    fn new(exporter: &Exporter) -> InFile {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("targets.yml");
        InFile { file, address: exporter.address, _folder: folder }
    }

    fn job(&self) -> Event {
        scraping(&format!(
            "  - job_name: a\n    scrape_interval: 1s\n    \
             file_sd_configs: [{{ files: ['{}'], refresh_interval: 100ms }}]\n",
            self.file.display()
        ))
    }

    fn write(&self, more: &str) {
        std::fs::write(&self.file, format!("- {{ targets: ['{}'], labels: {{ {more} }} }}\n", self.address)).unwrap();
    }

    fn empty(&self) {
        std::fs::write(&self.file, "").unwrap();
    }
}

/// Longer than series of a target that is scraped each second live on when it is gone.
const ENDED_BY: Duration = Duration::from_millis(2_500);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_target_under_another_path_keeps_its_series() {
    let exporter = Exporter::start(|head| if head.starts_with("GET /new") { "jobs 8\n" } else { "jobs 7\nold 1\n" }.into()).await;
    let found = InFile::new(&exporter);
    found.write("__metrics_path__: /old");
    let world = start(found.job()).await;
    until("the old path is asked", || newest(&world, "jobs") == Some(7.0)).await;
    found.write("__metrics_path__: /new");
    until("the new path is asked", || newest(&world, "jobs") == Some(8.0)).await;
    until("what it does not have ends", || newest(&world, "old").is_some_and(model::is_stale)).await;
    tokio::time::sleep(ENDED_BY).await;
    assert!(!ended(&world, &["jobs", "up"]), "{:?} {:?}", history(&world, "jobs"), history(&world, "up"));
    end(world).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_target_that_is_missing_for_a_moment_keeps_its_series() {
    let exporter = Exporter::start(|_| "jobs 7\n".into()).await;
    let found = InFile::new(&exporter);
    found.write("");
    let world = start(found.job()).await;
    until("it is scraped", || newest(&world, "jobs") == Some(7.0)).await;
    // Its file is caught while it is written.
    found.empty();
    until("it is gone", || active(&world).is_empty()).await;
    found.write("");
    until("it is back", || active(&world).iter().any(|one| one.last().health() == "up")).await;
    tokio::time::sleep(ENDED_BY).await;
    assert!(!ended(&world, &["jobs", "up"]), "{:?} {:?}", history(&world, "jobs"), history(&world, "up"));
    found.empty();
    until("it is gone", || active(&world).is_empty()).await;
    assert!(!ended(&world, &["jobs", "up"]));
    let is_over = |metric| newest(&world, metric).is_some_and(model::is_stale);
    until("its series end", || is_over("jobs") && is_over("up")).await;
    end(world).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_target_follows_what_discovery_says_of_it() {
    let exporter = Exporter::start(|_| "jobs 7\n".into()).await;
    let found = InFile::new(&exporter);
    found.write("__meta_rack: r1");
    let world = start(found.job()).await;
    until("it is scraped", || newest(&world, "jobs") == Some(7.0)).await;
    let before = active(&world).pop().unwrap();
    found.write("__meta_rack: r2");
    until("its rack is shown", || active(&world).iter().any(|one| one.discovered().get("__meta_rack") == Some("r2"))).await;
    assert!(Arc::ptr_eq(&before, &active(&world)[0]), "its run goes on");
    found.write("__scrape_interval__: 2s, __scrape_timeout__: 1500ms");
    let wanted = (Span::secs(2), Span(1_500));
    until("its beat is another", || active(&world).iter().any(|one| (one.target.interval, one.target.timeout) == wanted)).await;
    until("it is scraped", || active(&world).iter().any(|one| one.last().health() == "up")).await;
    tokio::time::sleep(ENDED_BY).await;
    assert!(!ended(&world, &["jobs", "up"]));
    end(world).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_target_that_moves_to_another_job_keeps_its_series() {
    let exporter = Exporter::start(|_| "jobs 7\n".into()).await;
    let job = |name: &str| {
        let target = format!("{{ targets: ['{}'], labels: {{ job: shop }} }}", exporter.address);
        scraping(&format!("  - {{ job_name: {name}, scrape_interval: 1s, static_configs: [{target}] }}\n"))
    };
    let world = start(job("a")).await;
    until("it is scraped", || newest(&world, "jobs") == Some(7.0)).await;
    world.pump.submit(job("b")).await.unwrap();
    until("the other job scrapes it", || {
        let pools = world.telemetry.targets.pools();
        !pools.contains_key("a") && pools.values().flat_map(|pool| &pool.active).any(|one| one.last().health() == "up")
    })
    .await;
    tokio::time::sleep(ENDED_BY).await;
    assert!(!ended(&world, &["jobs", "up"]), "{:?} {:?}", history(&world, "jobs"), history(&world, "up"));
    world.pump.submit(scraping("  []")).await.unwrap();
    let is_over = |metric| newest(&world, metric).is_some_and(model::is_stale);
    until("its series end with the last job", || is_over("jobs") && is_over("up")).await;
    end(world).await;
}

/// A rack that takes connections and says nothing, as behind a dead switch, is down alone.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hundred_targets_that_hang_keep_no_other_waiting() {
    let silent = std::net::TcpListener::bind("0.0.0.0:0").unwrap();
    let port = silent.local_addr().unwrap().port();
    let hanging: Vec<String> = (1..=100).map(|n| format!("'127.0.1.{n}:{port}'")).collect();
    let exporter = Exporter::start(|_| "jobs 7\n".into()).await;
    let jobs = format!(
        "  - {{ job_name: silent, scrape_interval: 2s, static_configs: [{{ targets: [{}] }}] }}\n  \
         - {{ job_name: well, scrape_interval: 1s, scrape_timeout: 500ms, static_configs: [{{ targets: ['{}'] }}] }}\n",
        hanging.join(", "),
        exporter.address
    );
    let world = start(scraping(&jobs)).await;
    let all_hang = || active(&world).iter().filter(|one| one.last().error.contains("took longer than")).count() == 100;
    until("all that hang are down", all_hang).await;
    let well = || active(&world).into_iter().find(|one| one.target.labels.get("job") == Some("well")).unwrap().last();
    let begun = Instant::now();
    while begun.elapsed() < Duration::from_secs(3) {
        assert_eq!(well().error, "");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert_eq!(well().health(), "up");
    end(world).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_scrape_beyond_its_limit_says_how_many_samples_there_are() {
    let exporter = Exporter::start(|_| "a 1\nb 1\nc 1\nx 1\n".into()).await;
    let job = format!(
        "  - job_name: a\n    scrape_interval: 1s\n    sample_limit: 2\n    static_configs: [{{ targets: ['{}'] }}]\n    \
         metric_relabel_configs: [{{ source_labels: [__name__], regex: x, action: drop }}]\n",
        exporter.address
    );
    let world = start(scraping(&job)).await;
    until("both totals are told", || {
        let kept = newest(&world, "scrape_samples_post_metric_relabeling");
        (newest(&world, "up"), newest(&world, "scrape_samples_scraped"), kept) == (Some(0.0), Some(4.0), Some(3.0))
    })
    .await;
    assert_eq!(newest(&world, "a"), None);
    end(world).await;
}

/// "clock set back an hour: nothing told twice, nothing missed", and set forward the same.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_clock_that_jumps_an_hour_tells_nothing_twice_misses_nothing_and_moves_no_wait() {
    const HOUR_US: i64 = 3_600_000_000;
    let receiver = WebhookReceiver::start().await.unwrap();
    let set_by = Arc::new(AtomicI64::new(0));
    let wall = set_by.clone();
    let clock = SystemClock::following(move || Time(crate::clock::wall().0 + wall.load(Ordering::SeqCst)));
    let rules = vec![rule("Errors", "shop_errors > 5", None), rule("Slow", "shop_slow > 5", Some(Span::secs(1)))];
    let configured = with_rules(webhook_config(&receiver.url(), &["127.0.0.0/8".to_owned()]), rules);
    let world = start_by(Arc::new(clock), configured, |_| ()).await;
    let mut told = 0;
    for to in [-HOUR_US, HOUR_US, 0] {
        // One waits out its `for:` and another is owed to a receiver that is down, while the clock jumps.
        receiver.answer(503);
        let begun = Instant::now();
        world.telemetry.take(&sample(&world, 9.0)).await.unwrap();
        world.telemetry.take(&sample_of(&world, "shop_slow", 9.0)).await.unwrap();
        set_by.store(to, Ordering::SeqCst);
        let slow_is_bad = |state: &engine::State| {
            state.alerts.values().any(|alert| alert.labels.get("alertname") == Some("Slow") && alert.to == AlertState::Bad)
        };
        while !world.pump.read_state(slow_is_bad) {
            world.telemetry.take(&sample_of(&world, "shop_slow", 9.0)).await.unwrap();
            tokio::time::sleep(Duration::from_millis(20)).await;
            assert!(begun.elapsed() < Duration::from_secs(20), "its `for:` is 1 s, the clock jumped to {to}");
        }
        // A thousandth faster at most.
        assert!(begun.elapsed() >= Duration::from_millis(998), "{:?}", begun.elapsed());
        assert_eq!(receiver.received().len(), told, "it answers 503");
        receiver.answer(200);
        told += 2;
        receiver.wait_for(told).await;
        world.telemetry.take(&sample(&world, 0.0)).await.unwrap();
        world.telemetry.take(&sample_of(&world, "shop_slow", 0.0)).await.unwrap();
        told += 2;
        receiver.wait_for(told).await;
    }
    end(world).await;
    let received = receiver.received();
    let keys: BTreeSet<&String> = received.iter().map(|received| &received.key).collect();
    assert_eq!((received.len(), keys.len()), (told, told), "each once, under a key of its own");
}

/// Waits until an alert of a rule has a state.
async fn until_told(world: &Loop, rule: &str, wanted: AlertState) {
    let told = |state: &engine::State| {
        let of_rule = |alert: &&model::Transition| alert.labels.get("alertname") == Some(rule);
        state.alerts.values().find(of_rule).map_or(AlertState::Ok, |alert| alert.to) == wanted
    };
    let waited = async {
        while !world.pump.read_state(told) {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), waited)
        .await
        .unwrap_or_else(|_| panic!("{rule} is not {wanted:?} within 20 s"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_deleted_alerts_no_more() {
    let receiver = WebhookReceiver::start().await.unwrap();
    let rules = vec![rule("Hot", "max_over_time(room_heat[1h]) > 100", None), rule("Now", "room_heat > 100", None)];
    let mut configured = with_rules(webhook_config(&receiver.url(), &["127.0.0.0/8".to_owned()]), rules);
    if let Event::Configured { config, .. } = &mut configured {
        config.groups[0].interval = Some(Span::secs(1));
    }
    let world = start(configured).await;
    let now = world.telemetry.clock().now();
    for (back_ms, value) in [(2_000, 20.0), (1_000, 9_999.0)] {
        let mut batch = SampleBatch::new();
        batch.push(&Labels::new([("__name__", "room_heat")]).unwrap(), now - Duration::from_millis(back_ms), value);
        world.telemetry.take(&batch).await.unwrap();
    }
    until_told(&world, "Hot", AlertState::Bad).await;
    until_told(&world, "Now", AlertState::Bad).await;
    let telemetry = world.telemetry.clone();
    let from = now - Duration::from_millis(1_500);
    let deleted = tokio::task::spawn_blocking(move || {
        let selector = vec![Matcher::new("__name__", MatchOp::Equal, "room_heat").unwrap()];
        crate::http::doors::Samples::delete(&telemetry, &[selector], from, Time::MAX).unwrap()
    });
    assert_eq!(deleted.await.unwrap(), 1);
    until_told(&world, "Hot", AlertState::Ok).await;
    until_told(&world, "Now", AlertState::Ok).await;
    end(world).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_found_after_touches_were_missed_is_told_at_once() {
    let receiver = WebhookReceiver::start().await.unwrap();
    let world = start(with_rule(webhook_config(&receiver.url(), &["127.0.0.0/8".to_owned()]))).await;
    let _ = world.telemetry.store().append(&sample(&world, 9.0), world.telemetry.clock().now()).unwrap();
    world.telemetry.evaluator.miss();
    until_told(&world, "Errors", AlertState::Bad).await;
    end(world).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_recorded_goes_on_over_a_start_and_ends_with_its_rule() {
    let receiver = WebhookReceiver::start().await.unwrap();
    let rules = vec![Rule { alert: None, record: Some("shop:slow".into()), ..rule("", "shop_slow * 2", None) }];
    let mut configured = with_rules(webhook_config(&receiver.url(), &["127.0.0.0/8".to_owned()]), rules);
    if let Event::Configured { config, .. } = &mut configured {
        config.groups[0].interval = Some(Span::secs(1));
    }
    let world = start(configured).await;
    world.telemetry.take(&sample_of(&world, "shop_slow", 9.0)).await.unwrap();
    let waited = async {
        while newest(&world, "shop:slow").is_none() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), waited).await.expect("recorded within 20 s");
    let (telemetry, store, clock) = (world.telemetry.clone(), world.telemetry.store().clone(), world.telemetry.clock().clone());
    let memory = world._folder.path().join("rules.json");
    let pump = world.pump.clone();
    let again = tokio::task::spawn_blocking(move || {
        telemetry.stop();
        super::Evaluator::start(store, clock, pump, memory, Features::STABLE)
    });
    let again = again.await.unwrap();
    assert_eq!(again.look().await.unwrap().rules.len(), 1);
    assert_eq!(newest(&world, "shop:slow"), Some(18.0));
    let seen = tokio::task::spawn_blocking(move || {
        again.configure(Vec::new());
        again.stop();
    });
    seen.await.unwrap();
    assert!(newest(&world, "shop:slow").is_some_and(model::is_stale));
    end(world).await;
}
