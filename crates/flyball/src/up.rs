//! `flyball up`, `flyball server`, `flyball agent`: what runs until it is told to end.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::Args;
use model::config::{Size, Span};
use model::rights::{Grant, Role};
use model::{HostName, PersonName, TokenName};
use server::people::{ADMIN, PeopleError};
use server::{Server, TlsFiles};
use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::cli::Promql;
use crate::client;
use crate::demo::up::Demo;
use crate::exit::{Failure, WELL, chain};
use crate::local::DATA;
use crate::render::mention;
use crate::signals::{Asked, Signals};

/// The demo's data folder where no other is named.
const DEMO_DATA: &str = "flyball-demo";
/// Everything has so long to end.
const END_WITHIN: Duration = Duration::from_millis(4_500);
/// An agent that could not start tries again after this.
const AGENT_PAUSE: Duration = Duration::from_secs(2);

/// What a server is started with.
#[derive(Args, Clone, Debug)]
pub struct ServerArgs {
    /// The data folder; made where it is missing
    #[arg(long, value_name = "DIR")]
    pub data: Option<PathBuf>,
    /// Where people, tools and intake come in
    #[arg(long, default_value = "127.0.0.1:7070", value_name = "ADDRESS:PORT")]
    pub listen: SocketAddr,
    /// Where agents come in; port 0 is a free one
    #[arg(long, value_name = "ADDRESS:PORT")]
    pub listen_agents: Option<SocketAddr>,
    /// The configuration folder; works without one
    #[arg(long, value_name = "DIR")]
    pub config: Option<PathBuf>,
    /// Speak plain HTTP beyond loopback, where something in front of flyball speaks TLS
    #[arg(long)]
    pub insecure_http: bool,
    /// Speak TLS with people, tools and intake: the certificate in PEM, its own first
    #[arg(long, value_name = "FILE", requires = "tls_key", conflicts_with = "insecure_http")]
    pub tls_certificate: Option<PathBuf>,
    /// The certificate's key, in PEM
    #[arg(long, value_name = "FILE", requires = "tls_certificate")]
    pub tls_key: Option<PathBuf>,
    /// Where agents find this server; enrolment tokens carry it. Else where it listens for them
    #[arg(long, value_name = "NAME:PORT", value_parser = name_and_port)]
    pub advertise: Option<String>,
    #[command(flatten)]
    pub promql: Promql,
    /// Settings of the metric store
    #[command(flatten)]
    pub store: StoreArgs,
}

/// How the metric store keeps samples.
#[derive(Args, Clone, Debug)]
pub struct StoreArgs {
    /// Samples are kept so long, as 36h or 100y; 30d where nothing is said
    #[arg(long, value_name = "SPAN", value_parser = span, env = "FLYBALL_RETENTION")]
    pub retention: Option<Span>,
    /// But at most so many bytes of them, as 50GiB; the oldest days go first
    #[arg(long, value_name = "SIZE", value_parser = size, env = "FLYBALL_RETENTION_SIZE")]
    pub retention_size: Option<Size>,
    /// A sample may be so much older than the newest of its series; 30m where nothing is said
    #[arg(long, value_name = "SPAN", value_parser = span_or_none, env = "FLYBALL_OUT_OF_ORDER")]
    pub out_of_order: Option<Span>,
    /// The log is kept so long for back-tests; 3d where nothing is said
    #[arg(long, value_name = "SPAN", value_parser = span_or_none, env = "FLYBALL_KEEP_LOG")]
    pub keep_log: Option<Span>,
    /// But at most so many bytes of it, as 2GiB
    #[arg(long, value_name = "SIZE", value_parser = size, env = "FLYBALL_KEEP_LOG_SIZE")]
    pub keep_log_size: Option<Size>,
    /// Most series
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..), env = "FLYBALL_SERIES_MAX")]
    pub series_max: Option<u64>,
    /// Most series of one sender
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..), env = "FLYBALL_SERIES_PER_SOURCE_MAX")]
    pub series_per_source_max: Option<u64>,
    /// The label that names a sender
    #[arg(long, value_name = "LABEL", env = "FLYBALL_SOURCE_LABEL")]
    pub source_label: Option<String>,
}

/// What `flyball up` is started with.
#[derive(Args, Clone, Debug)]
pub struct UpArgs {
    #[command(flatten)]
    pub server: ServerArgs,
    /// Show the loop: a shop on four local hosts behind HAProxy, with traffic
    #[arg(long)]
    pub demo: bool,
    /// The demo's requests per second
    #[arg(long, default_value_t = 200, value_name = "N", requires = "demo")]
    pub demo_rate: u32,
    /// How long the demo watches a batch
    #[arg(long, default_value = "8s", value_name = "SPAN", requires = "demo")]
    pub demo_watch: String,
}

/// What an agent is started with.
#[derive(Args, Clone, Debug)]
pub struct AgentArgs {
    /// The agent's own folder: identity, journal, releases
    #[arg(long, default_value = "flyball-agent", value_name = "DIR")]
    pub data: PathBuf,
    /// The server's address for agents; else what the token or the identity says
    #[arg(long, value_name = "NAME:PORT")]
    pub server: Option<String>,
    /// The one-time token of `flyball enrol`, for the first start
    #[arg(long, env = "FLYBALL_ENROL_TOKEN", hide_env_values = true)]
    pub token: Option<String>,
    /// The host's name; else the machine's
    #[arg(long)]
    pub host: Option<String>,
    /// The host's policy file; else policy.yaml in the folder. Without one the agent only observes
    #[arg(long, value_name = "FILE")]
    pub policy: Option<PathBuf>,
}

/// `flyball up`
pub fn up(args: UpArgs) -> Result<u8, Failure> {
    on_runtime(async move {
        let mut signals = Signals::listen()?;
        let data = args.server.data.clone().unwrap_or_else(|| PathBuf::from(if args.demo { DEMO_DATA } else { DATA }));
        let demo = if args.demo { Some(Demo::prepare(&data, &args).await?) } else { None };
        let mut options = options(&args.server, &data);
        let host = own_host();
        options.own_host = Some(host.clone());
        if let Some(demo) = &demo {
            options.config = Some(demo.configuration().to_path_buf());
            options.demo = true;
        }
        let server = Server::start(options).await.map_err(|error| Failure::Failed(format!("start: {}", chain(&error))))?;
        let (stop, stopping) = watch::channel(false);
        let mut beside = JoinSet::new();
        let mut own = agent::Options::new(data.join("agent"));
        own.host = Some(host.clone());
        spawn_agent(&mut beside, &server, own, &host, stopping.clone())?;
        announce(&server, &data).await?;
        if let Some(demo) = demo {
            demo.start(&server, &data, &mut beside, stopping.clone()).await?;
        }
        until_stopped(&mut signals, &server).await;
        stop.send_replace(true);
        end(beside, server).await
    })
}

/// `flyball server`
pub fn server(args: ServerArgs) -> Result<u8, Failure> {
    on_runtime(async move {
        let mut signals = Signals::listen()?;
        let data = args.data.clone().unwrap_or_else(|| PathBuf::from(DATA));
        let server =
            Server::start(options(&args, &data)).await.map_err(|error| Failure::Failed(format!("start: {}", chain(&error))))?;
        announce(&server, &data).await?;
        until_stopped(&mut signals, &server).await;
        end(JoinSet::new(), server).await
    })
}

/// `flyball agent`
pub fn agent(args: AgentArgs) -> Result<u8, Failure> {
    let host = args.host.map(HostName::new).transpose().map_err(|error| Failure::Usage(error.to_string()))?;
    on_small_runtime(async move {
        let mut signals = Signals::listen()?;
        let options = agent::Options {
            host,
            server: args.server,
            token: args.token,
            policy: args.policy,
            ..agent::Options::new(args.data)
        };
        let stop = async { while signals.next().await != Asked::Stop {} };
        agent::run(options, stop).await.map_err(|error| Failure::Failed(chain(&error)))?;
        Ok(WELL)
    })
}

fn options(args: &ServerArgs, data: &Path) -> server::Options {
    let mut options = server::Options::new(data);
    options.listen = args.listen;
    // Beside a server on another port, agents come in next to it; port 0 stays a free one.
    let next = SocketAddr::new(
        args.listen.ip(),
        match args.listen.port() {
            0 => 0,
            port => port.saturating_add(1),
        },
    );
    options.listen_agents = args.listen_agents.unwrap_or(next);
    options.config = args.config.clone();
    options.insecure_http = args.insecure_http;
    options.tls = args.tls_certificate.clone().zip(args.tls_key.clone()).map(|(certificate, key)| TlsFiles { certificate, key });
    options.advertise = args.advertise.clone();
    options.features = args.promql.features();
    let StoreArgs {
        retention,
        retention_size,
        out_of_order,
        keep_log,
        keep_log_size,
        series_max,
        series_per_source_max,
        source_label,
    } = args.store.clone();
    let count = |count: u64| usize::try_from(count).unwrap_or(usize::MAX);
    options.store = server::StoreSettings {
        retention: retention.map(Span::duration),
        retention_bytes: retention_size.map(|size| size.0),
        out_of_order: out_of_order.map(Span::duration),
        keep_log: keep_log.map(Span::duration),
        keep_log_bytes: keep_log_size.map(|size| size.0),
        series_max: series_max.map(count),
        series_per_source_max: series_per_source_max.map(count),
        source_label,
    };
    options
}

/// A length of time above 0; a thousand years at most, of which microseconds still fit.
fn span(text: &str) -> Result<Span, String> {
    span_or_none(text).and_then(|span| if span == Span(0) { Err("longer than nothing".into()) } else { Ok(span) })
}

fn span_or_none(text: &str) -> Result<Span, String> {
    let read = Span::parse(text).filter(|span| span.0 <= 1_000 * 365 * 86_400_000);
    read.ok_or_else(|| format!("`{text}` is not a length of time: write it like 36h, 30d or 10y"))
}

fn size(text: &str) -> Result<Size, String> {
    Size::parse(text).ok_or_else(|| format!("`{text}` is no amount of bytes: write it like 512MB or 2GiB"))
}

/// `name:port`, as a token carries it.
fn name_and_port(text: &str) -> Result<String, String> {
    let (name, port) = text.rsplit_once(':').ok_or("a name and a port, as `flyball.example:7071`")?;
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '.' | '_' | ':' | '[' | ']');
    if name.is_empty() || name.len() > 253 || !name.chars().all(plain) {
        return Err(format!("`{name}` is no name of a machine"));
    }
    port.parse::<u16>().ok().filter(|port| *port != 0).ok_or_else(|| format!("`{port}` is no port"))?;
    Ok(text.to_owned())
}

/// Says where the server is, for people by a one-time link, for command lines by files in the data folder.
async fn announce(server: &Server, data: &Path) -> Result<(), Failure> {
    let failed = |error: PeopleError| Failure::Failed(chain(&error));
    let address = address(server.http, server.secure);
    write_own_token(server, data).await?;
    client::write_address(data, &address).map_err(|error| Failure::Failed(format!("write the address: {error}")))?;
    let admin = PersonName::new(ADMIN).map_err(|error| Failure::Failed(error.to_string()))?;
    let link = server.people.create_link(&admin).await.map_err(failed)?;
    mention(&format!(
        "flyball {}\n  page    {address}/login?link={}\n          (works once, within an hour; another: flyball link --data {})\n  agents  {}\n  data    {}",
        env!("CARGO_PKG_VERSION"),
        link.text(),
        data.display(),
        server.agents,
        data.display()
    ));
    Ok(())
}

/// Where a browser on this machine finds the page: what listens everywhere is found on loopback, too.
fn address(listens: SocketAddr, secure: bool) -> String {
    let ip = match listens.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => IpAddr::V4(Ipv4Addr::LOCALHOST),
        IpAddr::V6(ip) if ip.is_unspecified() => IpAddr::V6(Ipv6Addr::LOCALHOST),
        ip => ip,
    };
    format!("{}://{}", if secure { "https" } else { "http" }, SocketAddr::new(ip, listens.port()))
}

/// The command line's own token, readable by the folder's owner only.
async fn write_own_token(server: &Server, data: &Path) -> Result<(), Failure> {
    use std::io::Write as _;
    use std::os::unix::fs::OpenOptionsExt as _;
    let path = client::token_file(data);
    if path.is_file() {
        return Ok(());
    }
    let name = TokenName::new("cli").map_err(|error| Failure::Failed(error.to_string()))?;
    let _ = server.people.revoke_token(&name).await;
    let secret = server
        .people
        .create_token(&name, &[Grant::everywhere(Role::Admin)])
        .await
        .map_err(|error| Failure::Failed(chain(&error)))?;
    let write = || -> std::io::Result<()> {
        let mut file = std::fs::OpenOptions::new().create(true).truncate(true).write(true).mode(0o600).open(&path)?;
        writeln!(file, "{}", secret.text())?;
        file.sync_all()
    };
    write().map_err(|error| Failure::Failed(format!("write `{}`: {error}", path.display())))
}

/// Starts an agent beside the server, over the same link as any other.
pub fn spawn_agent(
    beside: &mut JoinSet<()>,
    server: &Server,
    mut options: agent::Options,
    host: &HostName,
    stopping: watch::Receiver<bool>,
) -> Result<(), Failure> {
    options.server = Some(server.agents.to_string());
    options.token = Some(server.enrol_token(host).map_err(Failure::Failed)?);
    let host = host.clone();
    beside.spawn(async move {
        loop {
            let mut stop = stopping.clone();
            let stopped = async move {
                let _ = stop.wait_for(|stop| *stop).await;
            };
            match agent::run(options.clone(), stopped).await {
                Ok(()) => return,
                Err(error) => tracing::error!(%host, "failed to start the agent: {}", chain(&error)),
            }
            let mut stop = stopping.clone();
            if tokio::time::timeout(AGENT_PAUSE, stop.wait_for(|stop| *stop)).await.is_ok() {
                return;
            }
        }
    });
    Ok(())
}

async fn until_stopped(signals: &mut Signals, server: &Server) {
    loop {
        match signals.next().await {
            Asked::Stop => return,
            Asked::Reload => match server.reload("SIGHUP").await {
                Ok(done) => mention(&format!("configuration: {} differences", done.changes)),
                Err(error) => mention(&describe(&error)),
            },
        }
    }
}

fn describe(error: &server::http::settings::ReloadError) -> String {
    match error {
        server::http::settings::ReloadError::Mistakes(mistakes) => {
            let lines: Vec<String> = mistakes.iter().map(ToString::to_string).collect();
            format!("{error}\n{}", lines.join("\n"))
        }
        other => chain(other),
    }
}

async fn end(mut beside: JoinSet<()>, server: Server) -> Result<u8, Failure> {
    let all = async {
        let agents = async { while beside.join_next().await.is_some() {} };
        // Agents first: what they still have to say is heard.
        let _ = tokio::time::timeout(Duration::from_millis(1_500), agents).await;
        beside.abort_all();
        server.stop().await;
    };
    if tokio::time::timeout(END_WITHIN, all).await.is_err() {
        mention("not everything ended in time; what was accepted is on disk");
    }
    Ok(WELL)
}

/// The machine's name as a host's name.
fn own_host() -> HostName {
    let text = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    let plain: String =
        text.trim().chars().map(|c| if c.is_ascii_alphanumeric() || c == '-' || c == '.' { c } else { '-' }).take(60).collect();
    HostName::new(plain.trim_start_matches(['-', '.']))
        .or_else(|_| HostName::new("localhost"))
        .unwrap_or_else(|_| unreachable!("a name"))
}

/// Runs on all cores, with the log on standard error.
fn on_runtime(future: impl Future<Output = Result<u8, Failure>>) -> Result<u8, Failure> {
    start_log();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(std::thread::available_parallelism().map_or(2, usize::from).clamp(2, 4))
        .enable_all()
        .build()
        .map_err(|error| Failure::Failed(format!("start a runtime: {error}")))?;
    let done = runtime.block_on(future);
    runtime.shutdown_timeout(Duration::from_millis(200));
    done
}

/// Runs on one thread: an agent is a guest on its host.
fn on_small_runtime(future: impl Future<Output = Result<u8, Failure>>) -> Result<u8, Failure> {
    start_log();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .max_blocking_threads(4)
        .build()
        .map_err(|error| Failure::Failed(format!("start a runtime: {error}")))?;
    let done = runtime.block_on(future);
    runtime.shutdown_timeout(Duration::from_millis(200));
    done
}

fn start_log() {
    use tracing_subscriber::EnvFilter;
    let filter = EnvFilter::try_from_env("FLYBALL_LOG").unwrap_or_else(|_| EnvFilter::new("warn"));
    let _ = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).with_target(true).try_init();
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_agents_are_told_is_a_name_and_a_port() {
        for well in ["flyball.example:7071", "10.0.0.1:1", "[::1]:7071"] {
            assert_eq!(name_and_port(well).as_deref(), Ok(well));
        }
        for wrong in ["flyball.example", ":7071", "a b:1", "a:0", "a:65536", "a:b", "http://a:1"] {
            assert!(name_and_port(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn the_page_of_a_server_that_listens_everywhere_is_found_on_loopback() {
        for (listens, secure, page) in [
            ("127.0.0.1:7070", false, "http://127.0.0.1:7070"),
            ("0.0.0.0:7070", true, "https://127.0.0.1:7070"),
            ("[::]:7070", true, "https://[::1]:7070"),
            ("10.0.0.1:443", true, "https://10.0.0.1:443"),
        ] {
            assert_eq!(address(listens.parse().unwrap(), secure), page);
        }
    }
}
