//! `flyball up --demo`: HAProxy, four agents, the shop's first release, and traffic, beside the server.

use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use model::HostName;
use model::api::{Answer, Ask};
use model::order::Artifact;
use model::{Outcome, Surface};
use server::Server;
use tokio::sync::watch;
use tokio::task::JoinSet;

use super::before;
use super::haproxy::{self, Haproxy};
use super::setup::{FIRST, HOSTS, Setup};
use super::shop::Release;
use super::traffic::{self, Seen, TrafficArgs};
use crate::cli;
use crate::client::Client;
use crate::exit::Failure;
use crate::remote::encoded;
use crate::render::mention;
use crate::up::{UpArgs, spawn_agent};

/// Where the shop is reached; another free port where this one is taken.
const FRONT: u16 = 8000;
/// The port of each server of the shop; another free one where it is taken.
const SHOP_PORT: u16 = 8080;
/// Longest path of a socket that HAProxy takes.
const SOCKET_LEN_MAX: usize = 90;

/// A demo whose surroundings are ready.
pub struct Demo {
    setup: Setup,
    configuration: PathBuf,
    haproxy: Haproxy,
    rate: u32,
}

impl Demo {
    /// Writes the configuration and starts HAProxy.
    pub async fn prepare(data: &Path, args: &UpArgs) -> Result<Demo, Failure> {
        server::make_data_folder(data).map_err(|error| Failure::Failed(error.to_string()))?;
        let data = data.canonicalize().map_err(|error| Failure::Failed(format!("find `{}`: {error}", data.display())))?;
        let program = std::env::current_exe().map_err(|error| Failure::Failed(format!("find this program: {error}")))?;
        let folder = data.join("demo");
        std::fs::create_dir_all(&folder).map_err(|error| Failure::Failed(format!("make `{}`: {error}", folder.display())))?;
        if folder.join("haproxy.sock").as_os_str().len() > SOCKET_LEN_MAX {
            return Err(Failure::Failed(format!(
                "start the demo: `{}` is too long for HAProxy's socket; name a shorter --data",
                folder.display()
            )));
        }
        // Killed, the last start may have left its HAProxy and its shops.
        before::end_haproxy(&haproxy::file(&folder));
        let known = before::ports(&folder);
        let shop_port = match known {
            Some((port, _)) if before::shop_runs_on(&folder, port) => port,
            known => free(known.map_or(SHOP_PORT, |(port, _)| port), &HOSTS.map(|(_, address)| address))?,
        };
        let front = free(known.map_or(FRONT, |(_, port)| port), &[Ipv4Addr::LOCALHOST])?;
        before::keep_ports(&folder, shop_port, front)
            .map_err(|error| Failure::Failed(format!("write in `{}`: {error}", folder.display())))?;
        let setup = Setup {
            folder,
            program,
            shop_port,
            front: SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), front),
            watch: args.demo_watch.clone(),
            external_url: format!("http://{}", args.server.listen),
        };
        let configuration = setup.write_configuration()?;
        let haproxy =
            haproxy::start(&setup.folder, &haproxy::configuration(&setup.socket(), setup.front, "shop", &setup.behind())).await?;
        Ok(Demo { setup, configuration, haproxy, rate: args.demo_rate })
    }

    /// The configuration folder.
    pub fn configuration(&self) -> &Path {
        &self.configuration
    }

    /// Starts the agents, pushes what can be released, releases the first version, and sends traffic.
    pub async fn start(
        self,
        server: &Server,
        data: &Path,
        beside: &mut JoinSet<()>,
        stopping: watch::Receiver<bool>,
    ) -> Result<(), Failure> {
        for (name, _) in HOSTS {
            let host = HostName::new(name).map_err(|error| Failure::Failed(error.to_string()))?;
            let folder = self.setup.folder.join(name);
            std::fs::create_dir_all(&folder).map_err(|error| Failure::Failed(format!("make `{}`: {error}", folder.display())))?;
            let policy = folder.join("policy.yaml");
            agent::Policy::everything_for(["shop".to_owned()], [self.setup.program.display().to_string()])
                .save(&policy)
                .map_err(|error| Failure::Failed(error.to_string()))?;
            let mut options = agent::Options::new(folder);
            options.host = Some(host.clone());
            options.policy = Some(policy);
            options.stop_services_at_exit = true;
            spawn_agent(beside, server, options, &host, stopping.clone())?;
        }
        let ask = cli::Server {
            server: Some(format!("http://{}", server.http)),
            data: Some(data.to_path_buf()),
            language: None,
            json: false,
            yes: true,
        };
        let client = Client::new(&ask)?;
        self.push(&client).await?;
        mention(&format!("  shop    http://{}/  (HAProxy in front of shop-1 to shop-4)", self.setup.front));
        let seen = Arc::new(Seen::default());
        let args = TrafficArgs { to: self.setup.front, rate: self.rate, seconds: u64::MAX };
        let mut stop = stopping.clone();
        let first_needed = !first_is_on_line(&client).await;
        let haproxy = self.haproxy;
        beside.spawn(async move {
            // Held until the end: HAProxy ends when it is dropped.
            let _haproxy = haproxy;
            if first_needed && let Err(error) = first_release(&client).await {
                tracing::error!(%error, "the demo's first release was not made");
            }
            tokio::select! {
                () = traffic::send(args, seen) => {}
                _ = stop.wait_for(|stop| *stop) => {}
            }
        });
        Ok(())
    }

    /// Pushes what is not there yet.
    async fn push(&self, client: &Client) -> Result<(), Failure> {
        let there: Vec<Artifact> = client.get("/api/flyball/v1/artifacts").await?;
        let first = ("shop-good", Release { version: FIRST.into(), bad_share: 0.0005, ..Release::default() });
        for (name, release) in std::iter::once(first).chain(Setup::ready()) {
            if there.iter().any(|artifact| artifact.version == release.version) {
                continue;
            }
            let path = self.setup.artifact(name, &release)?;
            let bytes = std::fs::read(&path).map_err(|error| Failure::Failed(format!("read `{}`: {error}", path.display())))?;
            let file = path.file_name().and_then(|name| name.to_str()).unwrap_or(name);
            let at = format!("/api/flyball/v1/artifacts?name={}&version={}", encoded(file), encoded(&release.version));
            let _: Artifact = client.post_bytes(&at, bytes).await?;
        }
        Ok(())
    }
}

/// Whether the shop has had a release before.
async fn first_is_on_line(client: &Client) -> bool {
    let orders: Result<Vec<model::api::OrderRow>, _> = client.get("/api/flyball/v1/orders").await;
    orders.is_ok_and(|orders| !orders.is_empty())
}

/// The first release, once the agents are there.
async fn first_release(client: &Client) -> Result<(), Failure> {
    for _ in 0..100 {
        let hosts: Vec<model::api::HostRow> = client.get("/api/flyball/v1/hosts").await?;
        let up = hosts.iter().filter(|row| row.state == model::AlertState::Ok && row.host.as_str().starts_with("shop-")).count();
        if up == HOSTS.len() {
            break;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    let text = format!("deploy shop {FIRST} prod --reason \"demo: the first release\"");
    let ask = Ask { id: None, text, via: Surface::Cli, yes: true, dry_run: false, room: None };
    let answer: Answer = client.post("/api/flyball/v1/command", &ask).await?;
    match answer.outcome {
        Some(Outcome::Accepted { .. }) => Ok(()),
        other => Err(Failure::Failed(format!("make the first release: {other:?}"))),
    }
}

/// The port if it is free on all addresses, else one that is.
fn free(wanted: u16, addresses: &[Ipv4Addr]) -> Result<u16, Failure> {
    let fits = |port: u16| addresses.iter().all(|address| TcpListener::bind((*address, port)).is_ok());
    if fits(wanted) {
        return Ok(wanted);
    }
    for _ in 0..100 {
        let port = TcpListener::bind((addresses[0], 0)).and_then(|listener| listener.local_addr()).map(|address| address.port());
        if let Ok(port) = port
            && fits(port)
        {
            return Ok(port);
        }
    }
    Err(Failure::Failed("find a free port for the demo".into()))
}
