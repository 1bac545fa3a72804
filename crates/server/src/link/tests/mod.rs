//! A link on a free port of loopback with a pump on a journal in memory, and agents that say what a test wants.
//!
//! The clock stands still unless a test moves it.

mod admission;
mod real_agent;
mod talk;

use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use http::uri::PathAndQuery;
use hyper_util::rt::TokioIo;
use model::config::Config;
use model::{ArtifactDigest, Event, HostName, SampleBatch, Time};
use rcgen::{CertificateParams, KeyPair};
use rustls::RootCertStore;
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use tempfile::TempDir;
use tokio::net::TcpStream;
use tokio::sync::{Semaphore, mpsc, watch};
use tokio::task::JoinHandle;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use tokio_stream::wrappers::ReceiverStream;
use tonic::client::Grpc;
use tonic::transport::{Channel, Endpoint};
use tonic::{Code, Status, Streaming};
use tonic_prost::ProstCodec;
use wire::link::token::Token;
use wire::link::{
    ALPN, AgentBody, AgentFrame, CONNECT_PATH, ENROLL_PATH, EnrollAnswer, EnrollRequest, Hello, PROTOCOL, Pong, SERVER_NAME,
    ServerBody, ServerFrame, Welcome,
};

use super::*;
use crate::clock::{Clock, ManualClock, SystemClock};
use crate::journal::{MemoryJournal, Projections as _};
use crate::pump::{Fold, pump};

/// Nothing in these tests takes so long.
const PATIENCE: Duration = Duration::from_secs(20);

fn name(text: &str) -> HostName {
    HostName::new(text).unwrap()
}

/// Samples that arrived, by host; a test says when they are on disk.
struct FakeSamples {
    taken: Mutex<Vec<(HostName, String, f64)>>,
    arrived: Semaphore,
    disk: Semaphore,
    fails: AtomicBool,
}

#[async_trait]
impl TakeSamples for FakeSamples {
    async fn take(&self, host: &HostName, batch: &SampleBatch) -> Result<(), String> {
        let rows =
            batch.iter().map(|(key, sample)| (host.clone(), model::Labels::from_key(key).unwrap().to_string(), sample.value));
        let rows: Vec<_> = rows.collect();
        self.arrived.add_permits(1);
        self.disk.acquire().await.unwrap().forget();
        if self.fails.load(Ordering::SeqCst) {
            return Err("the disk is full".into());
        }
        self.taken.lock().unwrap().extend(rows);
        Ok(())
    }
}

struct FakeArtifacts(TempDir);

#[async_trait]
impl GiveArtifacts for FakeArtifacts {
    async fn open(&self, digest: &ArtifactDigest) -> io::Result<Option<tokio::fs::File>> {
        match tokio::fs::File::open(self.0.path().join(digest.as_str())).await {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            file => file.map(Some),
        }
    }
}

/// A server that consists of its link.
struct Rig {
    home: TempDir,
    clock: Arc<ManualClock>,
    pump: PumpHandle,
    journal: MemoryJournal,
    samples: Arc<FakeSamples>,
    artifacts: Arc<FakeArtifacts>,
    logs: Arc<Logs>,
    links: Arc<Links>,
    enrol: Arc<EnrolTokens>,
    news: mpsc::UnboundedReceiver<HostName>,
    stop: watch::Sender<bool>,
    serving: JoinHandle<()>,
}

impl Rig {
    async fn start() -> Rig {
        let clock = Arc::new(ManualClock::at(SystemClock::new().now()));
        let journal = MemoryJournal::new();
        let (fold, _) = Fold::open(Arc::new(journal.clone()), clock.clone()).await.unwrap();
        let (dues, mut owed) = mpsc::channel(64);
        tokio::spawn(async move { while owed.recv().await.is_some() {} });
        let (handle, task) = pump(fold, dues, Duration::from_secs(3_600));
        tokio::spawn(task.run());
        let home = tempfile::tempdir().unwrap();
        let samples = Arc::new(FakeSamples {
            taken: Mutex::default(),
            arrived: Semaphore::new(0),
            disk: Semaphore::new(1_000_000),
            fails: AtomicBool::new(false),
        });
        let artifacts = Arc::new(FakeArtifacts(tempfile::tempdir().unwrap()));
        let (link_news, news) = LinkNews::channel();
        let logs = Arc::new(Logs::default());
        let parts = LinkParts {
            pump: handle.clone(),
            clock: clock.clone(),
            logs: logs.clone(),
            samples: samples.clone(),
            artifacts: artifacts.clone(),
            news: link_news,
            journal: Arc::new(journal.clone()),
        };
        let options = LinkOptions {
            data: home.path().to_owned(),
            listen: "127.0.0.1:0".parse().unwrap(),
            names: Vec::new(),
            advertise: None,
            own_host: None,
        };
        let link = Link::open(options, parts).await.unwrap();
        let (links, enrol) = (link.links.clone(), link.enrol.clone());
        let (stop, stopping) = watch::channel(false);
        let serving = tokio::spawn(link.serve(stopping));
        Rig { home, clock, pump: handle, journal, samples, artifacts, logs, links, enrol, news, stop, serving }
    }

    fn token(&self, host: &str) -> Token {
        Token::parse(&self.enrol.create(&name(host)).unwrap()).unwrap()
    }

    async fn configure(&self, config: serde_json::Value) {
        let config: Config = serde_json::from_value(config).unwrap();
        self.pump.submit(Event::Configured { config: Box::new(config), change: None }).await.unwrap();
    }

    async fn enrolled(&self, host: &str) -> FakeAgent {
        let mut agent = FakeAgent::new(host);
        agent.enroll(self, &self.token(host)).await.unwrap();
        agent
    }

    fn events(&self) -> Vec<Event> {
        self.journal.events().into_iter().map(|recorded| recorded.event).collect()
    }

    /// Coming and going, as the journal has it.
    fn seen(&self) -> Vec<(String, bool)> {
        let seen = self.events().into_iter().filter_map(|event| match event {
            Event::HostSeen(seen) => Some((seen.host.to_string(), seen.up)),
            _ => None,
        });
        seen.collect()
    }

    fn taken(&self) -> Vec<(String, String, f64)> {
        let taken = self.samples.taken.lock().unwrap();
        taken.iter().map(|(host, labels, value)| (host.to_string(), labels.clone(), *value)).collect()
    }
}

async fn until(what: &str, holds: impl Fn() -> bool) {
    let begun = std::time::Instant::now();
    while !holds() {
        assert!(begun.elapsed() < PATIENCE, "waited in vain until {what}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// An agent that does what a test says.
struct FakeAgent {
    host: String,
    key: KeyPair,
    certificate_pem: Option<String>,
}

impl FakeAgent {
    fn new(host: &str) -> FakeAgent {
        FakeAgent { host: host.to_owned(), key: KeyPair::generate().unwrap(), certificate_pem: None }
    }

    fn csr(&self) -> String {
        CertificateParams::new(vec!["anything.example".to_owned()]).unwrap().serialize_request(&self.key).unwrap().pem().unwrap()
    }

    /// The connection, and the server's chain.
    async fn connect(&self, rig: &Rig) -> Result<(Channel, Vec<CertificateDer<'static>>), String> {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let mut roots = RootCertStore::empty();
        let authority = std::fs::read(rig.home.path().join("ca/ca.pem")).unwrap();
        roots.add(CertificateDer::from_pem_slice(&authority).unwrap()).unwrap();
        let config = rustls::ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
        let config = config.with_root_certificates(roots);
        let mut config = match &self.certificate_pem {
            Some(pem) => {
                let chain = vec![CertificateDer::from_pem_slice(pem.as_bytes()).unwrap()];
                let key = PrivateKeyDer::from_pem_slice(self.key.serialize_pem().as_bytes()).unwrap();
                config.with_client_auth_cert(chain, key).unwrap()
            }
            None => config.with_no_client_auth(),
        };
        config.alpn_protocols = vec![ALPN.to_vec()];
        let (config, address) = (Arc::new(config), rig.enrol.address().to_owned());
        let chain = Arc::new(Mutex::new(Vec::new()));
        let seen = chain.clone();
        let connector = tower::service_fn(move |_: http::Uri| {
            let (config, address, seen) = (config.clone(), address.clone(), seen.clone());
            async move {
                let stream = TcpStream::connect(address).await?;
                let stream = TlsConnector::from(config).connect(ServerName::try_from(SERVER_NAME).unwrap(), stream).await?;
                *seen.lock().unwrap() = stream.get_ref().1.peer_certificates().unwrap_or_default().to_vec();
                Ok::<_, io::Error>(TokioIo::new(stream))
            }
        });
        let endpoint = Endpoint::from_shared(format!("http://{SERVER_NAME}")).unwrap();
        let channel = timeout(PATIENCE, endpoint.connect_with_connector(connector)).await.unwrap();
        let channel = channel.map_err(|error| format!("{error:?}"))?;
        let chain = chain.lock().unwrap().clone();
        Ok((channel, chain))
    }

    async fn call<Q, A>(&self, rig: &Rig, path: &'static str, request: Q) -> Result<A, Status>
    where
        Q: prost::Message + Send + Sync + 'static,
        A: prost::Message + Default + Send + Sync + 'static,
    {
        let (channel, _) = self.connect(rig).await.map_err(Status::unavailable)?;
        let mut grpc = Grpc::new(channel);
        grpc.ready().await.map_err(|error| Status::unavailable(format!("{error:?}")))?;
        let codec = ProstCodec::<Q, A>::default();
        let answer = timeout(PATIENCE, grpc.unary(tonic::Request::new(request), PathAndQuery::from_static(path), codec));
        Ok(answer.await.unwrap()?.into_inner())
    }

    async fn enroll(&mut self, rig: &Rig, token: &Token) -> Result<EnrollAnswer, Status> {
        let request =
            EnrollRequest { token: token.secret.clone(), csr_pem: self.csr(), host: self.host.clone(), protocol: PROTOCOL };
        let answer: EnrollAnswer = self.call(rig, ENROLL_PATH, request).await?;
        self.certificate_pem = Some(answer.certificate_pem.clone());
        Ok(answer)
    }

    /// A stream with nothing said yet.
    async fn stream(&self, rig: &Rig) -> Result<Talk, Status> {
        let (channel, _) = self.connect(rig).await.map_err(Status::unavailable)?;
        let mut grpc = Grpc::new(channel);
        grpc.ready().await.map_err(|error| Status::unavailable(format!("{error:?}")))?;
        let (up, frames) = mpsc::channel(32);
        let codec = ProstCodec::<AgentFrame, ServerFrame>::default();
        let request = tonic::Request::new(ReceiverStream::new(frames));
        let down = timeout(PATIENCE, grpc.streaming(request, PathAndQuery::from_static(CONNECT_PATH), codec)).await.unwrap()?;
        Ok(Talk { up, down: down.into_inner(), acknowledged: 0 })
    }

    fn hello(&self) -> Hello {
        Hello {
            host: self.host.clone(),
            agent_version: "test".into(),
            protocol: PROTOCOL,
            fencing_epoch_seen: 0,
            boot_id: "boot".into(),
            unanswered: Vec::new(),
            run_id: "run".into(),
        }
    }

    /// A stream on which the server has said welcome.
    async fn open(&self, rig: &Rig) -> Result<(Talk, Welcome), Status> {
        let mut talk = self.stream(rig).await?;
        talk.say(0, AgentBody::Hello(self.hello())).await;
        match talk.next().await {
            Some(ServerBody::Welcome(welcome)) => Ok((talk, welcome)),
            Some(ServerBody::Error(fault)) => Err(Status::aborted(fault.text)),
            other => panic!("no welcome: {other:?}"),
        }
    }
}

/// One open stream.
struct Talk {
    up: mpsc::Sender<AgentFrame>,
    down: Streaming<ServerFrame>,
    acknowledged: u64,
}

impl Talk {
    async fn say(&self, sequence: u64, body: AgentBody) {
        self.up.send(AgentFrame { sequence, body: Some(body) }).await.unwrap();
    }

    async fn samples(&self, sequence: u64, encoder: &mut wire::link::samples::Encoder, pairs: &[(&str, &str)], value: f64) {
        let mut batch = SampleBatch::new();
        batch.push(&model::Labels::new(pairs.iter().copied()).unwrap(), Time(1), value);
        let mut body = Vec::new();
        encoder.encode(&batch, &mut body);
        self.say(sequence, AgentBody::Samples(body)).await;
    }

    async fn news(&self, sequence: u64, json: serde_json::Value) {
        self.say(sequence, AgentBody::Event(wire::link::AgentEvent { json: json.to_string().into_bytes() })).await;
    }

    /// The next frame that says something other than a ping, which is answered; none at the end of the stream.
    async fn next(&mut self) -> Option<ServerBody> {
        loop {
            let frame = timeout(PATIENCE, self.down.message()).await.expect("the server says something").ok()??;
            self.acknowledged = self.acknowledged.max(frame.acknowledged);
            match frame.body {
                Some(ServerBody::Ping(ping)) => {
                    let pong = Pong { server_time_us: ping.server_time_us, dropped_samples: 0 };
                    let _ = self.up.send(AgentFrame { sequence: 0, body: Some(AgentBody::Pong(pong)) }).await;
                }
                Some(body) => return Some(body),
                None => {}
            }
        }
    }

    /// Waits until everything up to `sequence` is on disk.
    async fn acknowledged(&mut self, sequence: u64) {
        while self.acknowledged < sequence {
            let frame = timeout(PATIENCE, self.down.message()).await.expect("an acknowledgement");
            let frame = frame.unwrap().expect("the stream goes on");
            if let Some(ServerBody::Error(fault)) = frame.body {
                panic!("{}", fault.text);
            }
            self.acknowledged = self.acknowledged.max(frame.acknowledged);
        }
    }

    /// Why the server ended the stream.
    async fn end(&mut self) -> Option<(String, bool)> {
        let mut last = None;
        while let Some(body) = self.next().await {
            if let ServerBody::Error(fault) = body {
                last = Some((fault.text, fault.is_final));
            }
        }
        last
    }
}

fn change(id: &str) -> serde_json::Value {
    serde_json::json!({"kind": "changed", "of": {"id": id, "kind": "system", "what": {"id": "plain", "args": {}}, "scope": {"hosts": ["other"]}, "at": "2026-11-22T10:00:00Z"}})
}
