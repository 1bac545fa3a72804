//! The programs that are measured: flyball's release binary, and Debian's VictoriaMetrics and Prometheus beside it, each with a
//! folder of its own and on a free port. Never leaves one running.

use std::io::{Error, Result};
use std::net::TcpListener;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use super::http::Client;

/// A start may take so long before the run fails.
const PATIENCE: Duration = Duration::from_secs(120);

/// Which program.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kind {
    Flyball,
    Victoria,
    Prometheus,
}

impl Kind {
    pub fn name(self) -> &'static str {
        match self {
            Kind::Flyball => "flyball",
            Kind::Victoria => "VictoriaMetrics",
            Kind::Prometheus => "Prometheus",
        }
    }
}

/// Where the programs are.
#[derive(Clone)]
pub struct Binaries {
    pub flyball: PathBuf,
    pub victoria: PathBuf,
    pub prometheus: PathBuf,
}

/// What flyball is started with beside the usual.
#[derive(Clone, Default)]
pub struct Settings {
    /// Files of the configuration folder, by name.
    pub files: Vec<(&'static str, String)>,
    /// More arguments.
    pub arguments: Vec<&'static str>,
}

/// A running program; ended when it is dropped.
pub struct Target {
    pub kind: Kind,
    child: Child,
    command: Command,
    log: PathBuf,
    pub data: PathBuf,
    pub address: String,
    token: String,
    /// From the process's start to the first 200 of its ready page.
    pub ready_after: Duration,
}

impl Target {
    /// Starts a program in a new folder below `folder`; returns when it is ready.
    pub fn start(kind: Kind, binaries: &Binaries, folder: &Path, settings: &Settings) -> Result<Target> {
        let own = tempfile::Builder::new().prefix(kind.name()).tempdir_in(folder)?.keep();
        let data = own.join("data");
        let address = free_address()?;
        let command = match kind {
            Kind::Flyball => flyball(&binaries.flyball, &own, &address, settings)?,
            Kind::Victoria => victoria(&binaries.victoria, &own, &address),
            Kind::Prometheus => prometheus(&binaries.prometheus, &own, &address)?,
        };
        Target::launch(kind, command, own.join("log"), data, address)
    }

    fn launch(kind: Kind, mut command: Command, log: PathBuf, data: PathBuf, address: String) -> Result<Target> {
        let began = Instant::now();
        let output = std::fs::File::options().create(true).append(true).open(&log)?;
        command.stdin(Stdio::null()).stdout(output.try_clone()?).stderr(output);
        let child = command.spawn().map_err(|error| Error::other(format!("start {}: {error}", kind.name())))?;
        let mut target = Target { kind, child, command, log, data, address, token: String::new(), ready_after: Duration::ZERO };
        target.wait_until_ready(began)?;
        if kind == Kind::Flyball {
            target.token = target.own_token()?;
        }
        Ok(target)
    }

    fn wait_until_ready(&mut self, began: Instant) -> Result<()> {
        let page = match self.kind {
            Kind::Victoria => "/health",
            Kind::Flyball | Kind::Prometheus => "/-/ready",
        };
        loop {
            if Client::new(&self.address, "").get(page).is_ok_and(|(status, _)| status == 200) {
                self.ready_after = began.elapsed();
                return Ok(());
            }
            if let Some(status) = self.child.try_wait()? {
                return Err(Error::other(format!("{} ended: {status}: {}", self.kind.name(), self.last_words())));
            }
            if began.elapsed() > PATIENCE {
                return Err(Error::other(format!("{} is not ready in {PATIENCE:?}: {}", self.kind.name(), self.last_words())));
            }
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    /// The command line's token, which flyball writes into its folder.
    fn own_token(&self) -> Result<String> {
        let end = Instant::now() + PATIENCE;
        while Instant::now() < end {
            if let Ok(text) = std::fs::read_to_string(self.data.join("cli.token"))
                && !text.trim().is_empty()
            {
                return Ok(text.trim().to_owned());
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        Err(Error::other(format!("flyball wrote no token: {}", self.last_words())))
    }

    /// A connection that may do everything.
    pub fn client(&self) -> Client {
        Client::new(&self.address, &self.token)
    }

    /// Processor time used since the start, user and system, in seconds; good to a tick, 10 ms.
    pub fn processor_seconds(&self) -> Result<f64> {
        let text = std::fs::read_to_string(format!("/proc/{}/stat", self.child.id()))?;
        // The name in brackets may hold anything: fields are counted from behind it.
        let rest = text.rsplit_once(") ").map_or("", |(_, rest)| rest);
        let field = |number: usize| rest.split(' ').nth(number).and_then(|word| word.parse::<f64>().ok());
        match (field(11), field(12)) {
            (Some(user), Some(system)) => Ok((user + system) / 100.0),
            _ => Err(Error::other("read the processor time")),
        }
    }

    /// The largest memory that it had so far, VmHWM, in MB.
    pub fn peak_megabytes(&self) -> Result<f64> {
        let text = std::fs::read_to_string(format!("/proc/{}/status", self.child.id()))?;
        let line = text.lines().find_map(|line| line.strip_prefix("VmHWM:"));
        line.and_then(|line| line.split_whitespace().next()?.parse::<f64>().ok())
            .map(|kib| kib * 1_024.0 / 1e6)
            .ok_or_else(|| Error::other("read VmHWM"))
    }

    /// Bytes that the file system gave to its data, after everything was written out.
    pub fn disk_bytes(&self) -> u64 {
        rustix::fs::sync();
        allocated(&self.data)
    }

    /// Puts what is in memory on the disk in its final form; the bytes of it.
    pub fn flushed_bytes(&self) -> Result<f64> {
        let mut client = self.client();
        match self.kind {
            Kind::Flyball => {
                client.well("POST", "/api/flyball/v1/store/flush")?;
            }
            Kind::Victoria => {
                client.well("GET", "/internal/force_flush")?;
                client.well("GET", "/internal/force_merge")?;
                std::thread::sleep(Duration::from_secs(1));
                for _ in 0..120 {
                    let metrics = client.well("GET", "/metrics")?;
                    if String::from_utf8_lossy(&metrics).contains("vm_active_force_merges 0") {
                        break;
                    }
                    std::thread::sleep(Duration::from_millis(500));
                }
                std::thread::sleep(Duration::from_secs(2));
            }
            Kind::Prometheus => {
                let answer = client.well("POST", "/api/v1/admin/tsdb/snapshot")?;
                let answer: serde_json::Value = serde_json::from_slice(&answer)?;
                let name = answer["data"]["name"].as_str().unwrap_or_default();
                rustix::fs::sync();
                return Ok(allocated(&self.data.join("snapshots").join(name)) as f64);
            }
        }
        Ok(self.disk_bytes() as f64)
    }

    /// Ends it in this way and starts it again on the same data; ready after so long.
    pub fn restart(&mut self, signal: Signal) -> Result<Duration> {
        self.end(signal);
        let began = Instant::now();
        self.child = self.command.spawn()?;
        self.wait_until_ready(began)?;
        Ok(self.ready_after)
    }

    fn end(&mut self, signal: Signal) {
        if signal == Signal::Term {
            let _ = Command::new("kill").arg("-TERM").arg(self.child.id().to_string()).stderr(Stdio::null()).status();
            let end = Instant::now() + Duration::from_secs(60);
            while Instant::now() < end {
                if !matches!(self.child.try_wait(), Ok(None)) {
                    return;
                }
                std::thread::sleep(Duration::from_millis(10));
            }
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
    }

    fn last_words(&self) -> String {
        let text = std::fs::read_to_string(&self.log).unwrap_or_default();
        let lines: Vec<&str> = text.lines().filter(|line| !line.contains("/login?link=")).collect();
        lines[lines.len().saturating_sub(8)..].join("\n")
    }
}

/// How a program is ended.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Signal {
    Term,
    Kill,
}

impl Drop for Target {
    fn drop(&mut self) {
        self.end(Signal::Term);
        // The data of one case would be in the way of the next one's disk.
        if let Some(own) = self.data.parent() {
            let _ = std::fs::remove_dir_all(own);
        }
    }
}

fn flyball(binary: &Path, own: &Path, address: &str, settings: &Settings) -> Result<Command> {
    let config = own.join("config");
    for (name, text) in &settings.files {
        let path = config.join(name);
        if let Some(folder) = path.parent() {
            std::fs::create_dir_all(folder)?;
        }
        std::fs::write(path, text)?;
    }
    std::fs::create_dir_all(&config)?;
    let mut command = Command::new(binary);
    command.arg("server").arg("--data").arg(own.join("data")).args(["--listen", address, "--listen-agents", "127.0.0.1:0"]);
    command.arg("--config").arg(config).args(&settings.arguments);
    // What the caller's shell has set for its own flyball is not for this one.
    command.env_remove("FLYBALL_SERVER").env_remove("FLYBALL_TOKEN");
    Ok(command)
}

fn victoria(binary: &Path, own: &Path, address: &str) -> Command {
    let mut command = Command::new(binary);
    command
        .arg(format!("-storageDataPath={}", own.join("data").display()))
        .arg(format!("-httpListenAddr={address}"))
        .arg("-retentionPeriod=1y");
    command
}

fn prometheus(binary: &Path, own: &Path, address: &str) -> Result<Command> {
    let config = own.join("prometheus.yml");
    std::fs::write(&config, "global: { scrape_interval: 15s }\n")?;
    let mut command = Command::new(binary);
    command
        .arg(format!("--config.file={}", config.display()))
        .arg(format!("--storage.tsdb.path={}", own.join("data").display()))
        .arg(format!("--web.listen-address={address}"))
        .args([
            "--web.enable-remote-write-receiver",
            "--web.enable-admin-api",
            "--storage.tsdb.retention.time=60d",
            "--log.level=warn",
        ]);
    Ok(command)
}

/// An address on loopback that was free a moment ago.
pub fn free_address() -> Result<String> {
    Ok(TcpListener::bind("127.0.0.1:0")?.local_addr()?.to_string())
}

fn allocated(folder: &Path) -> u64 {
    let mut sum = 0;
    for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
        let Ok(meta) = entry.path().symlink_metadata() else { continue };
        sum += if meta.is_dir() { allocated(&entry.path()) } else { meta.blocks() * 512 };
    }
    sum
}
