//! The server's side of the link: a CA, an enrolment, one stream per agent, artifacts. It remembers what it was told.

use std::collections::HashMap;
use std::convert::Infallible;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use agent::{Options, Policy};
use ed25519_dalek::{Signer, SigningKey};
use futures::StreamExt;
use model::plan::{Action, StepAnswer, StepOutcome, StepRequest};
use model::signal::{ReleaseOnHost, ServiceSeen};
use model::{ArtifactDigest, Epoch, HostName, OrderNumber, SampleBatch, ServiceName, Time};
use rcgen::{BasicConstraints, CertificateParams, CertificateSigningRequestParams, IsCa, Issuer, KeyPair};
use rustls_pki_types::PrivateKeyDer;
use sha2::{Digest, Sha256};
use tokio::net::TcpListener;
use tokio::sync::{mpsc, oneshot};
use tokio_stream::wrappers::ReceiverStream;
use tonic::body::Body;
use tonic::transport::server::{TcpConnectInfo, TlsConnectInfo};
use tonic::{Request, Response, Status, Streaming};
use tonic_prost::ProstCodec;
use wire::link::duty::AgentNews;
use wire::link::samples::Decoder;
use wire::link::token::{Token, fingerprint};
use wire::link::*;

pub const WAIT: Duration = Duration::from_secs(20);

/// What an agent said.
#[derive(Default)]
pub struct Told {
    pub hellos: Vec<Hello>,
    pub sequences: Vec<u64>,
    pub samples: HashMap<String, f64>,
    pub sample_frames: usize,
    pub services: Vec<ServiceSeen>,
    pub lines: Vec<String>,
    pub answers: Vec<StepAnswer>,
}

struct Shared {
    ca_pem: String,
    ca_der: Vec<u8>,
    issuer: Issuer<'static, KeyPair>,
    secret: Mutex<Option<String>>,
    told: Mutex<Told>,
    down: Mutex<Option<mpsc::Sender<ServerFrame>>>,
    artifacts: Mutex<HashMap<String, Vec<u8>>>,
    duty: Mutex<serde_json::Value>,
    acknowledges: AtomicBool,
    expired: AtomicBool,
    fetched: AtomicU64,
    breaks: tokio::sync::watch::Sender<u32>,
    key: SigningKey,
}

/// A server that agents dial.
pub struct Server {
    shared: Arc<Shared>,
    pub address: String,
    listening: Option<oneshot::Sender<()>>,
    pub place: tempfile::TempDir,
}

pub fn now() -> Time {
    Time(SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_micros() as i64)
}

pub fn shop() -> ServiceName {
    ServiceName::new("shop").unwrap()
}

impl Server {
    pub async fn start() -> Server {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.distinguished_name.push(rcgen::DnType::CommonName, "flyball test CA");
        let ca = params.self_signed(&key).unwrap();
        let shared = Arc::new(Shared {
            ca_pem: ca.pem(),
            ca_der: ca.der().to_vec(),
            issuer: Issuer::new(params, key),
            secret: Mutex::new(Some("s".repeat(40))),
            told: Mutex::default(),
            down: Mutex::default(),
            artifacts: Mutex::default(),
            duty: Mutex::new(serde_json::json!({ "host": "web-1", "config": { "labels": { "zone": "a" } } })),
            acknowledges: AtomicBool::new(true),
            expired: AtomicBool::new(false),
            fetched: AtomicU64::new(0),
            breaks: tokio::sync::watch::Sender::new(0),
            key: SigningKey::from_bytes(&[7; 32]),
        });
        let mut server = Server { shared, address: "127.0.0.1:0".into(), listening: None, place: tempfile::tempdir().unwrap() };
        server.listen().await;
        server
    }

    /// Begins to listen, again on the same port after [`Server::close`].
    pub async fn listen(&mut self) {
        let begun = Instant::now();
        let listener = loop {
            match TcpListener::bind(&self.address).await {
                Ok(listener) => break listener,
                Err(error) => assert!(begun.elapsed() < WAIT, "{error}"),
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        };
        self.address = listener.local_addr().unwrap().to_string();
        let key = KeyPair::generate().unwrap();
        let leaf = CertificateParams::new(vec![SERVER_NAME.to_owned()]).unwrap().signed_by(&key, &self.shared.issuer).unwrap();
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let mut roots = rustls::RootCertStore::empty();
        roots.add(self.shared.ca_der.clone().into()).unwrap();
        let verifier = rustls::server::WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider.clone());
        let chain = vec![leaf.der().clone(), self.shared.ca_der.clone().into()];
        let mut config = rustls::ServerConfig::builder_with_provider(provider)
            .with_protocol_versions(&[&rustls::version::TLS13])
            .unwrap()
            .with_client_cert_verifier(verifier.allow_unauthenticated().build().unwrap())
            .with_single_cert(chain, PrivateKeyDer::try_from(key.serialize_der()).unwrap())
            .unwrap();
        config.alpn_protocols = vec![ALPN.to_vec()];
        let acceptor = tokio_rustls::TlsAcceptor::from(Arc::new(config));
        let (accepted, connections) = mpsc::channel(8);
        tokio::spawn(async move {
            while let Ok((stream, _)) = tokio::select! { got = listener.accept() => got, () = accepted.closed() => return } {
                if let Ok(stream) = acceptor.accept(stream).await {
                    let _ = accepted.send(Ok::<_, std::io::Error>(stream)).await;
                }
            }
        });
        let (stop, stopped) = oneshot::channel::<()>();
        let shared = self.shared.clone();
        let service = tower::service_fn(move |request: http::Request<Body>| {
            let shared = shared.clone();
            async move { Ok::<_, Infallible>(serve(shared, request).await) }
        });
        let serving = tonic::transport::Server::builder().serve_with_incoming(service, ReceiverStream::new(connections));
        tokio::spawn(async move {
            tokio::select! { _ = serving => {}, _ = stopped => {} }
        });
        self.listening = Some(stop);
    }

    /// Stops listening and breaks every connection.
    pub fn close(&mut self) {
        self.listening = None;
        *self.shared.down.lock().unwrap() = None;
        self.shared.breaks.send_modify(|breaks| *breaks += 1);
    }

    pub fn acknowledge(&self, on: bool) {
        self.shared.acknowledges.store(on, Ordering::Relaxed);
    }

    /// Takes the agent's certificate for expired until it renews it.
    pub fn expire(&self) {
        self.shared.expired.store(true, Ordering::Relaxed);
    }

    pub fn token(&self) -> Token {
        Token { server: self.address.clone(), ca: fingerprint(&self.shared.ca_der), secret: "s".repeat(40) }
    }

    pub fn set_duty(&self, duty: serde_json::Value) {
        *self.shared.duty.lock().unwrap() = duty.clone();
        let config = HostConfig { json: serde_json::to_vec(&duty).unwrap() };
        if let Some(down) = self.shared.down.lock().unwrap().as_ref() {
            down.try_send(ServerFrame { acknowledged: 0, body: Some(ServerBody::Config(config)) }).unwrap();
        }
    }

    /// A duty with the service `shop` that runs this command.
    pub fn duty_of(command: &[&str]) -> serde_json::Value {
        serde_json::json!({
            "host": "web-1",
            "config": { "address": "127.0.0.1" },
            "services": [{
                "service": "shop", "address": "127.0.0.1", "port": 8080,
                "run": { "command": command, "environment": { "GREETING": "on {port}" }, "stop_timeout": "1s" },
            }],
        })
    }

    pub fn push(&self, bytes: &[u8], version: &str) -> (ReleaseOnHost, u64) {
        let digest = hex::encode(Sha256::digest(bytes));
        self.shared.artifacts.lock().unwrap().insert(digest.clone(), bytes.to_vec());
        (ReleaseOnHost { version: version.into(), digest: ArtifactDigest::from(digest) }, bytes.len() as u64)
    }

    /// Gives other bytes under this digest.
    pub fn tamper(&self, digest: &ArtifactDigest, bytes: &[u8]) {
        self.shared.artifacts.lock().unwrap().insert(digest.to_string(), bytes.to_vec());
    }

    pub fn fetched(&self) -> u64 {
        self.shared.fetched.load(Ordering::Relaxed)
    }

    pub fn options(&self) -> Options {
        Options {
            host: Some(HostName::new("web-1").unwrap()),
            token: Some(self.token().to_string()),
            ..Options::new(self.place.path().join("agent"))
        }
    }

    /// An agent that runs until it is dropped, with a policy that allows everything for `shop`.
    pub fn agent(&self) -> Running {
        let options = self.options();
        std::fs::create_dir_all(&options.dir).unwrap();
        let policy = Policy::everything_for(["shop".to_owned()], ["/bin/sleep".to_owned()]);
        policy.save(&options.dir.join("policy.yaml")).unwrap();
        Running::start(options)
    }

    pub fn told<T>(&self, look: impl FnOnce(&mut Told) -> T) -> T {
        look(&mut self.shared.told.lock().unwrap())
    }

    /// Waits until something was told.
    pub async fn until<T>(&self, what: &str, mut look: impl FnMut(&mut Told) -> Option<T>) -> T {
        let begun = Instant::now();
        loop {
            if let Some(found) = self.told(&mut look) {
                return found;
            }
            assert!(begun.elapsed() < WAIT, "waited for {what}");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    pub async fn connected(&self, hellos: usize) {
        self.until("a hello", |told| (told.hellos.len() >= hellos).then_some(())).await;
    }

    pub fn request(&self, key: &str, action: Action) -> StepRequest {
        StepRequest {
            key: key.into(),
            epoch: Epoch(1),
            order: OrderNumber::from("20261122-101500-7K"),
            host: HostName::new("web-1").unwrap(),
            action,
            undo: false,
            time_limit_ms: 10_000,
            expires_at: now() + Duration::from_secs(60),
        }
    }

    pub fn sign(&self, request: &StepRequest) -> SignedStep {
        let payload = serde_json::to_vec(request).unwrap();
        let signature = self.shared.key.sign(&payload).to_bytes().to_vec();
        SignedStep { payload, signature, key_id: "k1".into() }
    }

    pub async fn send(&self, step: SignedStep) {
        let begun = Instant::now();
        loop {
            let down = self.shared.down.lock().unwrap().clone();
            let frame = ServerFrame { acknowledged: 0, body: Some(ServerBody::Step(step.clone())) };
            if let Some(down) = down
                && down.send(frame).await.is_ok()
            {
                return;
            }
            assert!(begun.elapsed() < WAIT, "no agent is connected");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    /// Sends a step and waits for its next answer.
    pub async fn ask_signed(&self, key: &str, step: SignedStep) -> StepOutcome {
        let before = self.told(|told| told.answers.iter().filter(|answer| answer.key.as_str() == key).count());
        self.send(step).await;
        self.until("an answer", |told| {
            told.answers.iter().filter(|answer| answer.key.as_str() == key).nth(before).map(|answer| answer.outcome.clone())
        })
        .await
    }

    pub async fn ask(&self, key: &str, action: Action) -> StepOutcome {
        self.ask_signed(key, self.sign(&self.request(key, action))).await
    }

    pub async fn done(&self, key: &str, action: Action) -> String {
        match self.ask(key, action).await {
            StepOutcome::Done { note } => note,
            other => panic!("{key}: {other:?}"),
        }
    }

    /// Fetches and unpacks a release.
    pub async fn bring(&self, key: &str, bytes: &[u8], version: &str) -> ReleaseOnHost {
        let (release, size) = self.push(bytes, version);
        let fetch = Action::Fetch { service: shop(), digest: release.digest.clone(), size };
        self.done(&format!("{key}/fetch"), fetch).await;
        self.done(&format!("{key}/unpack"), Action::Unpack { service: shop(), release: release.clone() }).await;
        release
    }

    pub fn dir(&self) -> std::path::PathBuf {
        self.place.path().join("agent")
    }
}

/// Processes of this folder's services: number by service.
pub fn processes(dir: &Path) -> Vec<u32> {
    let mark = format!("FLYBALL_AGENT={}", dir.canonicalize().unwrap().display());
    let entries = std::fs::read_dir("/proc").unwrap().flatten();
    let pids = entries.filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok());
    let runs = |pid: &u32| {
        let environment = std::fs::read(format!("/proc/{pid}/environ")).unwrap_or_default();
        environment.split(|byte| *byte == 0).any(|pair| pair == mark.as_bytes())
    };
    pids.filter(runs).collect()
}

/// Kills what a test left behind.
pub fn sweep(dir: &Path) {
    for pid in processes(dir) {
        if let Some(pid) = rustix::process::Pid::from_raw(pid as i32) {
            let _ = rustix::process::kill_process(pid, rustix::process::Signal::KILL);
        }
    }
}

/// An agent in this process. Dropped, it ends as suddenly as a future can.
pub struct Running {
    dir: std::path::PathBuf,
    task: tokio::task::JoinHandle<Result<(), agent::AgentError>>,
    stop: Option<oneshot::Sender<()>>,
    pub keeps_services: bool,
}

impl Running {
    pub fn start(options: Options) -> Running {
        let (stop, stopped) = oneshot::channel::<()>();
        let dir = options.dir.clone();
        let task = tokio::spawn(agent::run(options, async {
            let _ = stopped.await;
        }));
        Running { dir, task, stop: Some(stop), keeps_services: false }
    }

    /// Ends it in order.
    pub async fn end(mut self) -> Result<(), agent::AgentError> {
        self.keeps_services = true;
        self.stop.take();
        (&mut self.task).await.unwrap()
    }

    /// Its result, when it ends by itself.
    pub async fn result(mut self) -> Result<(), agent::AgentError> {
        tokio::time::timeout(WAIT, &mut self.task).await.unwrap().unwrap()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.task.abort();
        if !self.keeps_services && self.dir.exists() {
            sweep(&self.dir);
        }
    }
}

async fn serve(shared: Arc<Shared>, request: http::Request<Body>) -> http::Response<Body> {
    let certificates = request.extensions().get::<TlsConnectInfo<TcpConnectInfo>>().and_then(|info| info.peer_certs());
    let known = certificates.is_some_and(|chain| {
        let uri = host_uri(&HostName::new("web-1").unwrap());
        chain[0].windows(uri.len()).any(|window| window == uri.as_bytes())
    });
    let path = request.uri().path().to_owned();
    let refused = path != ENROLL_PATH && !known;
    match path.as_str() {
        _ if refused => Status::unauthenticated("no certificate").into_http(),
        ENROLL_PATH => {
            let enroll = tower::service_fn(move |request: Request<EnrollRequest>| {
                let shared = shared.clone();
                async move { shared.enroll(request.into_inner()).map(Response::new) }
            });
            tonic::server::Grpc::new(ProstCodec::<EnrollAnswer, EnrollRequest>::default()).unary(enroll, request).await
        }
        FETCH_PATH => {
            let fetch = tower::service_fn(move |request: Request<FetchArtifact>| {
                let shared = shared.clone();
                async move { shared.fetch(request.into_inner()) }
            });
            tonic::server::Grpc::new(ProstCodec::<ArtifactChunk, FetchArtifact>::default()).server_streaming(fetch, request).await
        }
        CONNECT_PATH if shared.expired.load(Ordering::Relaxed) => Status::unauthenticated("the certificate expired").into_http(),
        RENEW_PATH => {
            let renew = tower::service_fn(move |request: Request<RenewRequest>| {
                let shared = shared.clone();
                async move {
                    shared.expired.store(false, Ordering::Relaxed);
                    Ok::<_, Status>(Response::new(shared.renew(&request.into_inner())))
                }
            });
            tonic::server::Grpc::new(ProstCodec::<RenewAnswer, RenewRequest>::default()).unary(renew, request).await
        }
        CONNECT_PATH => {
            let connect = tower::service_fn(move |request: Request<Streaming<AgentFrame>>| {
                let shared = shared.clone();
                async move { Ok::<_, Status>(Response::new(connect(shared, request.into_inner()))) }
            });
            tonic::server::Grpc::new(ProstCodec::<ServerFrame, AgentFrame>::default()).streaming(connect, request).await
        }
        _ => Status::unimplemented(path).into_http(),
    }
}

type Frames = std::pin::Pin<Box<dyn futures::Stream<Item = Result<ServerFrame, Status>> + Send>>;
type Bytes = std::pin::Pin<Box<dyn futures::Stream<Item = Result<ArtifactChunk, Status>> + Send>>;

fn connect(shared: Arc<Shared>, mut up: Streaming<AgentFrame>) -> Frames {
    let (down, frames) = mpsc::channel(64);
    tokio::spawn(async move {
        let mut decoder = Decoder::new();
        let mut breaks = shared.breaks.subscribe();
        while let Ok(Some(frame)) = tokio::select! { got = up.message() => got, _ = breaks.changed() => return } {
            shared.hear(frame, &mut decoder, &down).await;
        }
    });
    ReceiverStream::new(frames).map(Ok).boxed()
}

impl Shared {
    fn enroll(&self, request: EnrollRequest) -> Result<EnrollAnswer, Status> {
        if self.secret.lock().unwrap().take_if(|secret| *secret == request.token).is_none() {
            return Err(Status::permission_denied("the token is unknown or was used"));
        }
        let certificate = CertificateSigningRequestParams::from_pem(&request.csr_pem).unwrap().signed_by(&self.issuer).unwrap();
        Ok(EnrollAnswer { host: request.host, certificate_pem: certificate.pem(), ca_pem: self.ca_pem.clone() })
    }

    fn renew(&self, request: &RenewRequest) -> RenewAnswer {
        let certificate = CertificateSigningRequestParams::from_pem(&request.csr_pem).unwrap().signed_by(&self.issuer).unwrap();
        RenewAnswer { certificate_pem: certificate.pem(), ca_pem: self.ca_pem.clone() }
    }

    fn fetch(&self, request: FetchArtifact) -> Result<Response<Bytes>, Status> {
        let artifacts = self.artifacts.lock().unwrap();
        let bytes = artifacts.get(&request.digest).ok_or(Status::not_found("no such artifact"))?;
        let rest = bytes[(request.offset as usize).min(bytes.len())..].to_vec();
        self.fetched.fetch_add(rest.len() as u64, Ordering::Relaxed);
        let chunks: Vec<_> = rest.chunks(CHUNK_LEN_MAX).map(|data| Ok(ArtifactChunk { data: data.to_vec() })).collect();
        Ok(Response::new(futures::stream::iter(chunks).boxed()))
    }

    async fn hear(&self, frame: AgentFrame, decoder: &mut Decoder, down: &mpsc::Sender<ServerFrame>) {
        let mut reply = None;
        {
            let mut told = self.told.lock().unwrap();
            if frame.sequence > 0 {
                told.sequences.push(frame.sequence);
            }
            match frame.body {
                Some(AgentBody::Hello(hello)) => {
                    told.hellos.push(hello);
                    reply = Some(ServerBody::Welcome(Welcome {
                        server_time_us: now().0,
                        epoch: 1,
                        config: Some(HostConfig { json: serde_json::to_vec(&*self.duty.lock().unwrap()).unwrap() }),
                        signing_keys: vec![wire::link::SigningKey {
                            key_id: "k1".into(),
                            public_key: self.key.verifying_key().to_bytes().to_vec(),
                        }],
                        protocol: PROTOCOL,
                    }));
                }
                Some(AgentBody::Samples(body)) => {
                    let mut batch = SampleBatch::new();
                    decoder.decode(&body, &mut batch).unwrap();
                    told.sample_frames += 1;
                    for (key, sample) in batch.iter() {
                        told.samples.insert(model::Labels::from_key(key).unwrap().to_string(), sample.value);
                    }
                }
                Some(AgentBody::Event(event)) => match serde_json::from_slice(&event.json).unwrap() {
                    AgentNews::ServiceSeen(seen) => told.services.push(seen),
                    AgentNews::Log(lines) => {
                        told.lines.extend(lines.into_iter().map(|line| format!("{}: {}", line.service, line.text)))
                    }
                    AgentNews::Changed(_) => {}
                },
                Some(AgentBody::RenewRequest(request)) => reply = Some(ServerBody::Renew(self.renew(&request))),
                Some(AgentBody::StepAnswer(answer)) => {
                    told.answers.push(serde_json::from_slice(&answer.json).unwrap());
                }
                _ => {}
            }
        }
        let acknowledged = if self.acknowledges.load(Ordering::Relaxed) { frame.sequence } else { 0 };
        let welcomed = matches!(reply, Some(ServerBody::Welcome(_)));
        let _ = down.send(ServerFrame { acknowledged, body: reply }).await;
        if welcomed {
            *self.down.lock().unwrap() = Some(down.clone());
        }
    }
}
