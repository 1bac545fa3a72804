//! The server's end of the line to the agents: its own certificate authority, enrolment by single-use token,
//! the listener (TLS 1.3, HTTP/2), the registry of connected hosts, and what goes over the line in both directions.
//! It never decides: what an agent says becomes events for the pump and samples for the telemetry, and what an agent is
//! asked to do comes from the outbox. A host is its public key: the certificate's text only repeats it.

mod authority;
mod book;
mod duty;
mod incoming;
mod links;
mod listener;
mod sealed;
mod service;
mod session;
mod signer;
mod tls;

#[cfg(test)]
mod tests;

use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

use async_trait::async_trait;
use model::{ArtifactDigest, HostName, SampleBatch};
use tokio::net::TcpListener;
use tokio::sync::watch;

pub use book::{BookError, EnrolTokens, TOKEN_LIFE};
pub use links::Links;

use crate::clock::SharedClock;
use crate::journal::Journal;
use crate::logs::Logs;
use crate::perform::LinkNews;
use crate::pump::PumpHandle;

/// Takes samples that a host reported; its labels are the host's own already.
#[async_trait]
pub trait TakeSamples: Send + Sync + 'static {
    /// Done when they are on disk; an error says why they are not, and the host sends them again.
    async fn take(&self, host: &HostName, batch: &SampleBatch) -> Result<(), String>;
}

/// Gives the bytes of artifacts.
#[async_trait]
pub trait GiveArtifacts: Send + Sync + 'static {
    /// The artifact's file, open for reading; none where there is no such artifact.
    async fn open(&self, digest: &ArtifactDigest) -> io::Result<Option<tokio::fs::File>>;
}

/// Where the link listens and who it is.
#[derive(Clone, Debug)]
pub struct LinkOptions {
    /// The data folder; the link keeps `ca/` and `keys/` in it.
    pub data: PathBuf,
    /// Where agents connect to; port 0 is a free one.
    pub listen: SocketAddr,
    /// More names and addresses for the server's certificate.
    pub names: Vec<String>,
    /// The `name-or-ip:port` that tokens carry; none: where it listens, by the machine's name if that is everywhere.
    pub advertise: Option<String>,
    /// The host on which this server runs: probes that start from nowhere else start there.
    pub own_host: Option<HostName>,
}

/// What the link works with.
#[derive(Clone)]
pub struct LinkParts {
    /// Takes events; its state has the configuration.
    pub pump: PumpHandle,
    /// The server's clock: tokens, certificates and steps expire by it.
    pub clock: SharedClock,
    /// Takes lines of logs.
    pub logs: Arc<Logs>,
    /// Takes samples.
    pub samples: Arc<dyn TakeSamples>,
    /// Gives artifacts.
    pub artifacts: Arc<dyn GiveArtifacts>,
    /// Is told which host's link came up.
    pub news: LinkNews,
    /// Its audit says which hosts enrolled.
    pub journal: Arc<dyn Journal>,
}

/// Why the link could not be opened.
#[derive(Debug, thiserror::Error)]
pub enum LinkError {
    /// A file of ours.
    #[error("use `{path}`")]
    File {
        /// Which.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// A file of ours has something else in it.
    #[error("read `{path}`: {why}")]
    Content {
        /// Which.
        path: PathBuf,
        /// What is wrong with it.
        why: String,
    },
    /// A key or a certificate.
    #[error("make a certificate")]
    Certificate(#[from] rcgen::Error),
    /// The system gives no random numbers.
    #[error("draw a random number: {0}")]
    Random(getrandom::Error),
    /// TLS can't be set up.
    #[error("set up TLS")]
    Tls(#[from] rustls::Error),
    /// The address is not free, or not ours.
    #[error("listen for agents on {address}")]
    Listen {
        /// Where.
        address: SocketAddr,
        /// Why.
        #[source]
        source: io::Error,
    },
}

/// An open link: it listens, and [`serve`](Link::serve) answers.
pub struct Link {
    /// The registry of connected hosts; it hands steps to agents.
    pub links: Arc<Links>,
    /// Makes tokens.
    pub enrol: Arc<EnrolTokens>,
    /// Where it listens.
    pub address: SocketAddr,
    listener: TcpListener,
    tls: Arc<rustls::ServerConfig>,
}

impl Link {
    /// Opens the folders, makes what is missing in them, and listens. Must be called within a runtime.
    pub async fn open(options: LinkOptions, parts: LinkParts) -> Result<Link, LinkError> {
        let listen = options.listen;
        let listener = TcpListener::bind(listen).await.map_err(|source| LinkError::Listen { address: listen, source })?;
        let address = listener.local_addr().map_err(|source| LinkError::Listen { address: listen, source })?;
        let mut names = options.names.clone();
        names.extend(["localhost".to_owned(), "127.0.0.1".to_owned()]);
        names.extend((!address.ip().is_unspecified()).then(|| address.ip().to_string()));
        let authority = Arc::new(authority::Authority::open(&options.data.join("ca"), names, parts.clock.clone())?);
        let signer = signer::StepSigner::open(&options.data.join("keys"))?;
        let book = Arc::new(book::Book::open(&options.data.join("ca"))?);
        let advertised = options.advertise.clone().unwrap_or_else(|| advertised(address));
        let enrol = EnrolTokens::new(book.clone(), parts.clock.clone(), authority.fingerprint(), advertised);
        let hosts = tls::HostVerifier::new(authority.certificate())?;
        let tls = tls::server_config(authority.clone(), hosts.clone(), parts.clock.clone())?;
        let links = Links::new(parts, options.own_host, authority, book, signer, hosts);
        Ok(Link { links, enrol: Arc::new(enrol), address, listener, tls })
    }

    /// Serves agents until `stopping` says true; then streams end and at most two seconds pass.
    pub async fn serve(self, stopping: watch::Receiver<bool>) {
        listener::serve(self.listener, self.tls, self.links, stopping).await;
    }
}

fn advertised(address: SocketAddr) -> String {
    if !address.ip().is_unspecified() {
        return address.to_string();
    }
    let uname = rustix::system::uname();
    format!("{}:{}", uname.nodename().to_string_lossy(), address.port())
}
