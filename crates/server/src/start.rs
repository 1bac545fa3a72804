//! Puts the server together and takes it apart again, in the order in which the parts need each other.

use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use model::config::Config;
use model::incident::IncidentState;
use model::{ArtifactDigest, Change, ChangeKind, Epoch, Event, EventId, HostName, SampleBatch, Scope, Text, Time};
use query::Features;
use store::Store;
use store::files::OnDisk;
use tokio::sync::{mpsc, watch};
use tokio::task::{JoinHandle, JoinSet};

use crate::artifacts::Artifacts;
use crate::clock::{SharedClock, SystemClock};
use crate::config::{self, Diagnostic};
use crate::disk::Room;
use crate::http::app::{App, Parts};
use crate::http::doors::{Enrolment, EnrolmentError};
use crate::http::serve::DoorError;
use crate::http::settings::{self, ReloadError, Reloaded};
use crate::http::tls::{self, TlsError, TlsFiles};
use crate::http::{serve, table};
use crate::journal::{Database, FolderLock, Journal, JournalError, SqliteJournal, SqliteProjections};
use crate::link::{EnrolTokens, GiveArtifacts, Link, LinkError, LinkOptions, LinkParts, Links, TakeSamples};
use crate::logs::Logs;
use crate::outbox::Outbox;
use crate::people::{People, PeopleError};
use crate::perform::outgoing::Outgoing;
use crate::perform::outside::Outside;
use crate::perform::{self, LinkNews};
use crate::pump::{self, Fold, PumpError, PumpHandle};
use crate::telemetry::{BalancerBoard, OwnFigures, Telemetry};

#[cfg(test)]
mod tests;

/// Events are kept so long in the journal behind a snapshot.
const EVENTS_KEPT: Duration = Duration::from_secs(90 * 24 * 3_600);
/// Dues that may wait for the performers.
const DUES_MAX: usize = 1_024;
/// What is owed is counted so often.
const COUNT_EVERY: Duration = Duration::from_secs(5);
/// What a series takes in memory, with some to spare.
const BYTES_PER_SERIES: u64 = 900;
/// Each part has so long to end.
const END_WITHIN: Duration = Duration::from_secs(2);

/// How a server is started.
#[derive(Clone, Debug)]
pub struct Options {
    /// The data folder; made where it is missing.
    pub data: PathBuf,
    /// Where people, tools and intake come in.
    pub listen: SocketAddr,
    /// Where agents come in; port 0 is a free one.
    pub listen_agents: SocketAddr,
    /// The configuration folder; none: without.
    pub config: Option<PathBuf>,
    /// Allow plain HTTP beyond loopback.
    pub insecure_http: bool,
    /// Speak TLS with people, tools and intake.
    pub tls: Option<TlsFiles>,
    /// The `name-or-ip:port` by which agents find this server; none: where it listens for them.
    pub advertise: Option<String>,
    /// The host on which this server runs, if it has an agent of its own.
    pub own_host: Option<HostName>,
    /// Whether this is the demo.
    pub demo: bool,
    /// Bytes kept free for events.
    pub reserve: u64,
    /// How the metric store keeps samples.
    pub store: StoreSettings,
    /// What of PromQL's experimental parts is allowed.
    pub features: Features,
}

/// How the metric store keeps samples; none: as [`store::Options::new`] has it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct StoreSettings {
    /// How long.
    pub retention: Option<Duration>,
    /// But at most so many bytes; the oldest days go first.
    pub retention_bytes: Option<u64>,
    /// How much older than the newest of its series a sample may be.
    pub out_of_order: Option<Duration>,
    /// How long the log is kept for back-tests.
    pub keep_log: Option<Duration>,
    /// But at most so many bytes of it.
    pub keep_log_bytes: Option<u64>,
    /// Most series.
    pub series_max: Option<usize>,
    /// Most series of one sender.
    pub series_per_source_max: Option<usize>,
    /// The label that names a sender.
    pub source_label: Option<String>,
}

impl StoreSettings {
    /// The store's options, for a folder.
    fn options(&self, folder: PathBuf) -> store::Options {
        let known = store::Options::new(folder);
        // Three fifths of the memory are for series: usual ones by their number, those with long labels by what they take. An
        // eighth at most is for samples that are in parts too.
        let limit = crate::memory::limit();
        let bytes = limit.map_or(u64::MAX, |limit| limit / 5 * 3);
        let eighth = limit.and_then(|limit| usize::try_from(limit / 8).ok()).unwrap_or(usize::MAX);
        let fits = usize::try_from(bytes / BYTES_PER_SERIES).unwrap_or(usize::MAX);
        store::Options {
            memory_bytes: known.memory_bytes.min(eighth),
            retention: self.retention.unwrap_or(known.retention),
            retention_bytes: self.retention_bytes.or(known.retention_bytes),
            out_of_order: self.out_of_order.unwrap_or(known.out_of_order),
            keep_log: self.keep_log.unwrap_or(known.keep_log),
            keep_log_bytes: self.keep_log_bytes.unwrap_or(known.keep_log_bytes),
            series_max: self.series_max.unwrap_or(known.series_max.min(fits)),
            series_bytes_max: bytes,
            series_per_source_max: self.series_per_source_max.unwrap_or(known.series_per_source_max),
            source_label: self.source_label.clone().unwrap_or_else(|| known.source_label.clone()),
            ..known
        }
    }
}

impl Options {
    /// The defaults for a data folder: loopback only.
    pub fn new(data: impl Into<PathBuf>) -> Options {
        Options {
            data: data.into(),
            listen: SocketAddr::from(([127, 0, 0, 1], 7070)),
            listen_agents: SocketAddr::from(([127, 0, 0, 1], 7071)),
            config: None,
            insecure_http: false,
            tls: None,
            advertise: None,
            own_host: None,
            demo: false,
            reserve: store::files::Reserve::LEN_DEFAULT,
            store: StoreSettings::default(),
            features: Features::STABLE,
        }
    }
}

/// Why a server did not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The data folder.
    #[error("make the data folder `{path}`: {source}")]
    Folder {
        /// Which.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// A configuration folder was named that is not there: without it nothing would be watched, and nobody told.
    #[error("read the configuration folder `{}`: there is no such folder", .0.display())]
    NoConfig(PathBuf),
    /// The configuration has mistakes, and there is none from before to go on with.
    #[error("read the configuration:\n{}", .0.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"))]
    Config(Vec<Diagnostic>),
    /// The journal.
    #[error(transparent)]
    Journal(#[from] JournalError),
    /// The store.
    #[error(transparent)]
    Store(#[from] store::StoreError),
    /// The accounts.
    #[error(transparent)]
    People(#[from] PeopleError),
    /// The pump refused its first event.
    #[error(transparent)]
    Pump(#[from] PumpError),
    /// The agents' door.
    #[error(transparent)]
    Link(#[from] LinkError),
    /// The people's door.
    #[error(transparent)]
    Door(#[from] DoorError),
    /// The certificate of the people's door.
    #[error(transparent)]
    Certificate(#[from] TlsError),
    /// A thread or a file.
    #[error("{doing}: {source}")]
    System {
        /// What we were doing.
        doing: &'static str,
        /// Why.
        source: std::io::Error,
    },
}

/// A running server.
pub struct Server {
    /// Where people, tools and intake come in.
    pub http: SocketAddr,
    /// Whether they come by TLS.
    pub secure: bool,
    /// Where agents come in.
    pub agents: SocketAddr,
    /// The accounts.
    pub people: Arc<People>,
    /// The pump's door.
    pub pump: PumpHandle,
    app: App,
    enrol: Arc<EnrolTokens>,
    telemetry: Telemetry,
    store: Arc<Store>,
    database: Database,
    stop: watch::Sender<bool>,
    doors: JoinSet<()>,
    pumping: JoinHandle<()>,
    beside: JoinSet<()>,
    _lock: FolderLock,
}

/// Makes a data folder that only its owner can read.
pub fn make_data_folder(data: &Path) -> Result<(), StartError> {
    let failed = |source| StartError::Folder { path: data.to_owned(), source };
    let there = data.is_dir();
    std::fs::create_dir_all(data).map_err(failed)?;
    if !there {
        std::fs::set_permissions(data, std::fs::Permissions::from_mode(0o700)).map_err(failed)?;
    }
    Ok(())
}

/// The accounts' file in a data folder.
pub fn people_file(data: &Path) -> PathBuf {
    data.join("people.sqlite")
}

impl Server {
    /// Starts everything; when it answers, the server is ready.
    pub async fn start(options: Options) -> Result<Server, StartError> {
        if let Some(folder) = options.config.as_ref().filter(|folder| !folder.is_dir()) {
            return Err(StartError::NoConfig(folder.clone()));
        }
        allow_open_files();
        make_data_folder(&options.data)?;
        let lock = FolderLock::take(&options.data)?;
        let clock: SharedClock = Arc::new(SystemClock::new());
        let database = Database::open(&options.data).await?;
        let journal: Arc<dyn Journal> = Arc::new(SqliteJournal::open(database.clone()).await?);
        let people = Arc::new(People::open(&people_file(&options.data)).await?);
        let (fold, owed) = Fold::open(journal.clone(), clock.clone()).await?;
        let store = open_store(&options, clock.now()).await?;

        let (dues, dues_out) = mpsc::channel(DUES_MAX);
        let (pump, pumping) = pump::pump(fold, dues, EVENTS_KEPT);
        let pumping = tokio::spawn(pumping.run());
        take_over(&pump, &options, &clock).await?;
        // After the configuration of this start is in force: the rules' thread begins with its rules.
        let telemetry = Telemetry::start(store.clone(), clock.clone(), pump.clone(), &options.data, options.features);

        let logs = Arc::new(Logs::default());
        let artifacts = Arc::new(
            Artifacts::open(&options.data.join("artifacts"))
                .map_err(|source| StartError::System { doing: "open the folder of artifacts", source })?,
        );
        let (news, news_out) = LinkNews::channel();
        let link = Link::open(
            LinkOptions {
                data: options.data.clone(),
                listen: options.listen_agents,
                names: advertised_name(options.advertise.as_deref()).into_iter().collect(),
                advertise: options.advertise.clone(),
                own_host: options.own_host.clone(),
            },
            LinkParts {
                pump: pump.clone(),
                clock: clock.clone(),
                logs: logs.clone(),
                samples: Arc::new(telemetry.clone()),
                artifacts: artifacts.clone(),
                news,
                journal: journal.clone(),
            },
        )
        .await?;
        let tls = options.tls.as_ref().map(tls::server_config).transpose()?;
        let secure = tls.is_some();
        let door = serve::bind(options.listen, tls, options.insecure_http).await?;
        let http = door.listener.local_addr().map_err(|source| StartError::System { doing: "read the address", source })?;
        let (agents, enrol, links) = (link.address, link.enrol.clone(), link.links.clone());

        let (stop, stopping) = watch::channel(false);
        let mut beside = JoinSet::new();
        let outgoing = Outgoing::new(pump.clone(), vec![http, agents]);
        let performer = Arc::new(Outside::new(pump.clone(), clock.clone(), outgoing.clone(), links.clone()));
        let seed = clock.now().0 as u64;
        beside.spawn(perform::run(Outbox::new(owed, seed), dues_out, news_out, performer, pump.clone(), clock.clone()));
        let owed_now = Arc::new(AtomicU64::new(0));
        beside.spawn(count_owed(database.clone(), owed_now.clone()));
        let owed: Arc<dyn Fn() -> u64 + Send + Sync> = Arc::new(move || owed_now.load(Ordering::Relaxed));
        beside.spawn(Room::new(&options.data, options.reserve, store.clone()).run());

        let app = App::new(Parts {
            pump: pump.clone(),
            projections: Arc::new(SqliteProjections::new(database.clone())),
            journal,
            people: people.clone(),
            telemetry: Arc::new(telemetry.clone()),
            logs,
            artifacts,
            enrol: Arc::new(Hosts { enrol: enrol.clone(), links }),
            owed,
            started_at: clock.now(),
            clock,
            config_folder: options.config.clone(),
            features: options.features,
            demo: options.demo,
            secure,
        });
        let figures = own_figures(app.clone(), store.clone());
        beside.spawn(telemetry.clone().run(outgoing, BalancerBoard::default(), figures, stopping.clone()));
        let (router, _) = table::router(app.clone());
        let mut doors = JoinSet::new();
        doors.spawn(link.serve(stopping.clone()));
        doors.spawn(serve::serve(vec![door], app.clone(), router, stopping));
        Ok(Server {
            http,
            secure,
            agents,
            people,
            pump,
            app,
            enrol,
            telemetry,
            store,
            database,
            stop,
            doors,
            pumping,
            beside,
            _lock: lock,
        })
    }

    /// A one-time token by which an agent enrols as this host.
    pub fn enrol_token(&self, host: &HostName) -> Result<String, String> {
        self.enrol.create(host).map_err(|error| error.to_string())
    }

    /// Reads the configuration again; all or nothing.
    pub async fn reload(&self, by: &str) -> Result<Reloaded, ReloadError> {
        settings::reload(&self.app, by).await
    }

    /// Ends: no new requests, what was taken is on disk, what is owed is kept. Within five seconds.
    pub async fn stop(mut self) {
        self.stop.send_replace(true);
        let _ = tokio::time::timeout(END_WITHIN, async { while self.doors.join_next().await.is_some() {} }).await;
        self.doors.shutdown().await;
        let telemetry = self.telemetry.clone();
        let _ = tokio::time::timeout(END_WITHIN, tokio::task::spawn_blocking(move || telemetry.stop())).await;
        self.pump.stop();
        let _ = tokio::time::timeout(END_WITHIN, &mut self.pumping).await;
        self.beside.shutdown().await;
        let store = self.store.clone();
        match tokio::task::spawn_blocking(move || store.close()).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => tracing::error!(%error, "failed to close the store; its log holds everything"),
            Err(error) => tracing::error!(%error, "failed to close the store; its log holds everything"),
        }
        self.database.close().await;
    }
}

async fn open_store(options: &Options, now: Time) -> Result<Arc<Store>, StartError> {
    let options = options.store.options(options.data.join("telemetry"));
    let opened = tokio::task::spawn_blocking(move || Store::open(options, Arc::new(OnDisk), now)).await;
    let store =
        opened.map_err(|error| StartError::System { doing: "open the store", source: std::io::Error::other(error) })??;
    if store.damage().any() {
        tracing::error!(damage = ?store.damage(), "the store's files were damaged; what was whole is there");
    }
    Ok(Arc::new(store))
}

/// The first events of a start: a new epoch, and the configuration where it differs from what the journal knows.
async fn take_over(pump: &PumpHandle, options: &Options, clock: &SharedClock) -> Result<(), StartError> {
    let (epoch, before) = pump.read_state(|state| (Epoch(state.epoch.0 + 1), state.config.clone()));
    pump.submit(Event::Started { epoch, version: env!("CARGO_PKG_VERSION").to_owned() }).await?;
    let Some(folder) = options.config.clone() else {
        // Without a folder nothing is configured, whatever was before.
        if before != Config::default() {
            pump.submit(configured(&before, Config::default(), clock.now())).await?;
        }
        return Ok(());
    };
    let features = options.features;
    let loaded = tokio::task::spawn_blocking(move || config::load(&folder, &features)).await;
    let loaded =
        loaded.map_err(|error| StartError::System { doing: "read the configuration", source: std::io::Error::other(error) })?;
    match loaded {
        Ok(config) if config == before => Ok(()),
        Ok(config) => {
            pump.submit(configured(&before, config, clock.now())).await?;
            Ok(())
        }
        // At three in the morning an old configuration watches better than none.
        Err(mistakes) if before != Config::default() => {
            for mistake in mistakes {
                tracing::error!("the configuration from before stays in force: {mistake}");
            }
            Ok(())
        }
        Err(mistakes) => Err(StartError::Config(mistakes)),
    }
}

fn configured(before: &Config, config: Config, at: Time) -> Event {
    let difference = config::difference(before, &config);
    let change = (*before != Config::default()).then(|| {
        let mut detail = difference.join("\n");
        detail.truncate(detail.floor_char_boundary(16 * 1024));
        Box::new(Change {
            id: EventId::from(uuid::Uuid::now_v7().to_string()),
            kind: ChangeKind::Configuration,
            what: Text::new("change.config").with("count", difference.len()),
            scope: Scope::default(),
            author: Some("flyball".into()),
            at,
            detail: Some(detail),
            link: None,
            order: None,
        })
    });
    Event::Configured { config: Box::new(config), change }
}

/// flyball's own health: through the same door as everybody's.
fn own_figures(app: App, store: Arc<Store>) -> OwnFigures {
    OwnFigures::new(move || {
        let stats = store.stats();
        let (seq, up, hosts, incidents) = app.pump.read_state(|state| {
            let up = state.hosts.values().filter(|host| host.seen.up).count();
            let open = state.incidents.values().filter(|incident| incident.state != IncidentState::Resolved).count();
            (state.seq.0, up, state.hosts.len(), open)
        });
        let mut figures = vec![
            ("flyball_store_series", stats.series as f64),
            ("flyball_store_samples", stats.samples as f64),
            ("flyball_store_sample_bytes", stats.sample_bytes as f64),
            ("flyball_store_log_bytes", stats.log_bytes as f64),
            ("flyball_store_queued_bytes", stats.queued_bytes as f64),
            ("flyball_store_last_sync_seconds", stats.last_sync.as_secs_f64()),
            ("flyball_store_refused_samples_total", stats.refused.total() as f64),
            ("flyball_store_damaged_places", stats.damage.places() as f64),
            ("flyball_store_damaged_reads_total", (stats.history.damaged_blocks + stats.history.damaged_pages) as f64),
            ("flyball_store_restored_pages_total", stats.history.restored_pages as f64),
            ("flyball_journal_seq", seq as f64),
            ("flyball_outbox_owed", (app.owed)() as f64),
            ("flyball_agents_up", up as f64),
            ("flyball_agents", hosts as f64),
            ("flyball_incidents_open", incidents as f64),
        ];
        figures.extend(app.metrics.figures());
        figures
    })
}

/// As many open files as the system allows: each part of the history is one, each connection another.
fn allow_open_files() {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let limit = getrlimit(Resource::Nofile);
    if limit.current != limit.maximum
        && let Err(error) = setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, maximum: limit.maximum })
    {
        tracing::warn!(%error, "the number of open files stays limited");
    }
}

/// How many effects are owed to the outside.
async fn count_owed(database: Database, owed: Arc<AtomicU64>) {
    loop {
        let count: Result<i64, _> = sqlx::query_scalar("SELECT count(*) FROM outbox").fetch_one(database.reader()).await;
        if let Ok(count) = count {
            owed.store(count as u64, Ordering::Relaxed);
        }
        tokio::time::sleep(COUNT_EVERY).await;
    }
}

/// The name of `name:port`, for the certificate that agents see.
fn advertised_name(address: Option<&str>) -> Option<String> {
    let (name, _) = address?.rsplit_once(':')?;
    Some(name.trim_start_matches('[').trim_end_matches(']').to_owned())
}

/// Who may come in, for the people's door.
struct Hosts {
    enrol: Arc<EnrolTokens>,
    links: Arc<Links>,
}

#[async_trait]
impl Enrolment for Hosts {
    async fn token(&self, host: &HostName) -> Result<String, EnrolmentError> {
        self.enrol.create(host).map_err(|error| EnrolmentError(error.to_string()))
    }

    async fn revoke(&self, host: &HostName) -> Result<bool, EnrolmentError> {
        self.links.revoke(host).map_err(|error| EnrolmentError(error.to_string()))
    }
}

#[async_trait]
impl TakeSamples for Telemetry {
    async fn take(&self, _host: &HostName, batch: &SampleBatch) -> Result<(), String> {
        Telemetry::take(self, batch).await.map(|_| ()).map_err(|error| error.to_string())
    }
}

#[async_trait]
impl GiveArtifacts for Artifacts {
    async fn open(&self, digest: &ArtifactDigest) -> std::io::Result<Option<tokio::fs::File>> {
        self.file(digest).await
    }
}
