//! The link to the server: dialled, kept, dialled again. What waits in the outbox goes up, steps and duties come down.
//!
//! A connection that breaks loses nothing: what was not acknowledged is sent again under the same numbers. The pause
//! between attempts grows from 0.2 s to 10 s and is spread by chance, so that many agents don't come back at once.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures::future::BoxFuture;
use futures::stream::{BoxStream, StreamExt};
use http::uri::PathAndQuery;
use model::{ArtifactDigest, SampleBatch, Time};
use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, sleep, timeout};
use tokio_stream::wrappers::ReceiverStream;
use tonic::client::Grpc;
use tonic::transport::Channel;
use tonic_prost::ProstCodec;
use wire::link::duty::HostDuty;
use wire::link::samples::Encoder;
use wire::link::{
    AgentBody, AgentEvent, AgentFrame, ArtifactChunk, CONNECT_PATH, ENROLL_PATH, EnrollAnswer, EnrollRequest, FETCH_PATH,
    FRAME_LEN_MAX, FetchArtifact, Hello, HostConfig, LinkFault, PROTOCOL, Pong, RENEW_PATH, RenewAnswer, RenewRequest,
    ServerBody, ServerFrame, SigningKey, StepAnswer, Welcome, common_protocol,
};

use crate::clock::ServerClock;
use crate::execute::{ArtifactSource, Executor};
use crate::folder::{Folder, write_json};
use crate::identity::Identity;
use crate::outbox::{Load, Outbox};
use crate::tls;

/// First and longest pause between attempts.
const PAUSE_MIN: Duration = Duration::from_millis(200);
const PAUSE_MAX: Duration = Duration::from_secs(10);
/// Pause after the server said that trying again can't help.
const PAUSE_FINAL: Duration = Duration::from_secs(60);
/// Longest wait for an answer to a hello, an enrolment or a renewal.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(10);
/// A connection that lived so long was a good one: the pause starts small again.
const GOOD_SESSION: Duration = Duration::from_secs(5);
/// A certificate is renewed after a day; it is valid for seven.
const RENEW_AFTER: Duration = Duration::from_secs(24 * 3600);
const VALID_FOR: Duration = Duration::from_secs(7 * 24 * 3600);

/// Why a connection ended or an enrolment failed.
#[derive(Debug, thiserror::Error)]
pub enum LinkError {
    /// No connection.
    #[error("connect to the server")]
    Connect(#[from] tonic::transport::Error),
    /// TLS can't be set up.
    #[error("set up TLS")]
    Tls(#[from] rustls::Error),
    /// A certificate or key that can't be read.
    #[error("read a certificate: {0}")]
    Certificate(String),
    /// The server answered with an error.
    #[error("talk with the server: {} ({:?})", .0.message(), .0.code())]
    Status(Box<tonic::Status>),
    /// Nothing came.
    #[error("wait for {0}: nothing came within 10 s")]
    Silent(&'static str),
    /// The server closed.
    #[error("the server closed the link")]
    Closed,
    /// The server said why it closes.
    #[error("the server says: {}", .0.text)]
    Fault(LinkFault),
    /// The server is too old or too new.
    #[error("speak with the server: it speaks version {theirs}, this agent {PROTOCOL}")]
    Protocol {
        /// Its version.
        theirs: u32,
    },
}

impl From<tonic::Status> for LinkError {
    fn from(status: tonic::Status) -> LinkError {
        LinkError::Status(Box::new(status))
    }
}

impl LinkError {
    /// Trying again soon can't help.
    fn is_final(&self) -> bool {
        match self {
            LinkError::Fault(fault) => fault.is_final,
            LinkError::Protocol { .. } => true,
            LinkError::Status(status) => matches!(status.code(), tonic::Code::Unauthenticated | tonic::Code::PermissionDenied),
            _ => false,
        }
    }
}

/// What the link works with.
pub struct Link {
    /// Where the identity and the duty are kept.
    pub folder: Arc<Folder>,
    /// Set by what the server says.
    pub clock: Arc<ServerClock>,
    /// What goes up.
    pub outbox: Arc<Outbox>,
    /// Does the steps.
    pub executor: Arc<Executor>,
    /// What the host shall do.
    pub duty: watch::Sender<Option<Arc<HostDuty>>>,
    /// The connection that artifacts are fetched over.
    pub channel: watch::Sender<Option<Channel>>,
    /// Who this host is.
    pub identity: Mutex<Identity>,
    /// Changes with each start of the agent.
    pub run_id: String,
    /// Changes with each boot.
    pub boot_id: String,
}

fn grpc(channel: Channel) -> Grpc<Channel> {
    Grpc::new(channel).max_decoding_message_size(FRAME_LEN_MAX).max_encoding_message_size(FRAME_LEN_MAX)
}

async fn call<Q, A>(channel: Channel, path: &'static str, request: Q) -> Result<A, LinkError>
where
    Q: prost::Message + Send + Sync + 'static,
    A: prost::Message + Default + Send + Sync + 'static,
{
    let mut grpc = grpc(channel);
    let asked = async {
        grpc.ready().await?;
        let codec = ProstCodec::<Q, A>::default();
        let answer = grpc.unary(tonic::Request::new(request), PathAndQuery::from_static(path), codec).await?;
        Ok(answer.into_inner())
    };
    timeout(ANSWER_TIMEOUT, asked).await.map_err(|_| LinkError::Silent("an answer"))?
}

/// Makes a host known, trusting only the server whose CA has this fingerprint.
pub async fn enroll(server: &str, ca: [u8; 32], request: EnrollRequest) -> Result<EnrollAnswer, LinkError> {
    let channel = tls::connect(server, tls::of_token(ca)?).await?;
    call(channel, ENROLL_PATH, request).await
}

impl Link {
    fn identity(&self) -> Identity {
        self.identity.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Keeps the link until it is dropped.
    pub async fn keep(&self) {
        let mut pause = PAUSE_MIN;
        loop {
            let begun = Instant::now();
            let ended = self.session().await;
            self.channel.send_replace(None);
            if begun.elapsed() > GOOD_SESSION {
                pause = PAUSE_MIN;
            }
            let wait = if ended.is_final() { PAUSE_FINAL.max(pause) } else { spread(pause) };
            tracing::warn!(error = %chain(&ended), wait_ms = wait.as_millis() as u64, "the link is down");
            if (ended.is_final() || self.certified_for() > VALID_FOR) && self.renew_alone().await {
                pause = PAUSE_MIN;
                sleep(spread(pause)).await;
            } else {
                sleep(wait).await;
            }
            pause = (pause * 2).min(PAUSE_MAX);
        }
    }

    fn certified_for(&self) -> Duration {
        self.clock.now().since(self.identity().certified_at)
    }

    /// Renews outside of the stream: an expired certificate is good for nothing else. True if there is a new one.
    async fn renew_alone(&self) -> bool {
        // A young certificate was refused for another reason, and a new one would be refused too.
        if self.certified_for() < RENEW_AFTER {
            return false;
        }
        let identity = self.identity();
        let renewed = async {
            let csr_pem = identity.renewal().map_err(|error| LinkError::Certificate(error.to_string()))?;
            let channel = tls::connect(&identity.server, tls::of_host(&identity)?).await?;
            let answer: RenewAnswer = call(channel, RENEW_PATH, RenewRequest { csr_pem }).await?;
            self.take_renewed(answer)
        };
        let renewed = renewed.await;
        if let Err(error) = &renewed {
            tracing::warn!(error = %chain(error), "failed to renew the certificate");
        }
        renewed.is_ok()
    }

    fn take_renewed(&self, answer: RenewAnswer) -> Result<(), LinkError> {
        let renewed = self.identity().renewed(answer, self.clock.now())?;
        if let Err(error) = renewed.save(&self.folder) {
            tracing::error!(error = %chain(&error), "failed to keep the new certificate");
        }
        *self.identity.lock().unwrap_or_else(PoisonError::into_inner) = renewed;
        tracing::info!("the certificate was renewed");
        Ok(())
    }

    /// One connection, from hello to its end.
    async fn session(&self) -> LinkError {
        match self.session_until_error().await {
            Ok(never) => match never {},
            Err(error) => error,
        }
    }

    async fn session_until_error(&self) -> Result<std::convert::Infallible, LinkError> {
        let identity = self.identity();
        let channel = tls::connect(&identity.server, tls::of_host(&identity)?).await?;
        let (up, frames) = mpsc::channel::<AgentFrame>(32);
        let _ = up.send(frame(0, AgentBody::Hello(self.hello(&identity)))).await;
        let mut grpc = grpc(channel.clone());
        let opened = async {
            grpc.ready().await?;
            let codec = ProstCodec::<AgentFrame, ServerFrame>::default();
            let request = tonic::Request::new(ReceiverStream::new(frames));
            let mut down = grpc.streaming(request, PathAndQuery::from_static(CONNECT_PATH), codec).await?.into_inner();
            let welcome = loop {
                match down.message().await?.ok_or(LinkError::Closed)?.body {
                    Some(ServerBody::Welcome(welcome)) => break welcome,
                    Some(ServerBody::Error(fault)) => return Err(LinkError::Fault(fault)),
                    _ => {}
                }
            };
            Ok::<_, LinkError>((down, welcome))
        };
        let (mut down, welcome) = timeout(ANSWER_TIMEOUT, opened).await.map_err(|_| LinkError::Silent("a welcome"))??;
        self.welcome(&identity, welcome)?;
        self.channel.send_replace(Some(channel));
        tracing::info!(server = %identity.server, "the link is up");

        let mut encoder = Encoder::new();
        let mut batch = SampleBatch::new();
        let mut sent = 0;
        let mut renew = tokio::time::interval(Duration::from_secs(3600));
        loop {
            let next = self.outbox.after(sent);
            tokio::select! {
                biased;
                message = down.message() => {
                    let message = message?.ok_or(LinkError::Closed)?;
                    self.acknowledged(message.acknowledged);
                    self.hear(&identity, message.body, &up).await?;
                }
                permit = up.reserve(), if next.is_some() => {
                    let permit = permit.map_err(|_| LinkError::Closed)?;
                    if let Some((sequence, load)) = next {
                        permit.send(frame(sequence, body(load, &mut encoder, &mut batch)));
                        sent = sequence;
                    }
                }
                () = self.outbox.added(), if next.is_none() => {}
                _ = renew.tick() => {
                    if self.certified_for() > RENEW_AFTER {
                        let csr_pem = identity.renewal().map_err(|error| LinkError::Certificate(error.to_string()))?;
                        let _ = up.send(frame(0, AgentBody::RenewRequest(RenewRequest { csr_pem }))).await;
                    }
                }
            }
        }
    }

    fn hello(&self, identity: &Identity) -> Hello {
        Hello {
            host: identity.host.to_string(),
            agent_version: env!("CARGO_PKG_VERSION").into(),
            protocol: PROTOCOL,
            fencing_epoch_seen: self.executor.epoch_seen(),
            boot_id: self.boot_id.clone(),
            unanswered: self.executor.unanswered(),
            run_id: self.run_id.clone(),
        }
    }

    fn welcome(&self, identity: &Identity, welcome: Welcome) -> Result<(), LinkError> {
        if common_protocol(welcome.protocol).is_none() {
            return Err(LinkError::Protocol { theirs: welcome.protocol });
        }
        self.clock.hear(Time(welcome.server_time_us));
        self.executor.trust(welcome.signing_keys.into_iter().map(|SigningKey { key_id, public_key }| (key_id, public_key)));
        // Not noted as seen: only a signed step proves an epoch.
        if let Some(config) = welcome.config {
            self.configure(identity, &config);
        }
        // The server may have marked this host as unknown while it was away.
        self.executor.tell_services();
        Ok(())
    }

    fn configure(&self, identity: &Identity, config: &HostConfig) {
        match serde_json::from_slice::<HostDuty>(&config.json) {
            Ok(duty) if duty.host != identity.host => {
                tracing::error!(theirs = %duty.host, ours = %identity.host, "a duty for another host was ignored");
            }
            Ok(duty) => {
                if let Err(error) = write_json(&self.folder.file(DUTY_FILE), &duty) {
                    tracing::error!(error = %chain(&error), "failed to keep the host's duty");
                }
                self.duty.send_replace(Some(Arc::new(duty)));
            }
            Err(error) => tracing::error!(%error, "failed to read the host's duty; the one before stays in force"),
        }
    }

    fn acknowledged(&self, sequence: u64) {
        for key in self.outbox.acknowledged(sequence) {
            self.executor.told(&key);
        }
    }

    async fn hear(&self, identity: &Identity, body: Option<ServerBody>, up: &mpsc::Sender<AgentFrame>) -> Result<(), LinkError> {
        match body {
            Some(ServerBody::Ping(ping)) => {
                self.clock.hear(Time(ping.server_time_us));
                let pong = Pong { server_time_us: ping.server_time_us, dropped_samples: self.outbox.samples_dropped() };
                let _ = up.send(frame(0, AgentBody::Pong(pong))).await;
            }
            Some(ServerBody::Step(step)) => {
                let executor = self.executor.clone();
                tokio::spawn(async move { executor.ask(step).await });
            }
            Some(ServerBody::Config(config)) => self.configure(identity, &config),
            Some(ServerBody::Renew(answer)) => self.take_renewed(answer)?,
            Some(ServerBody::Error(fault)) => return Err(LinkError::Fault(fault)),
            Some(ServerBody::Welcome(_)) | None => {}
        }
        Ok(())
    }
}

/// Where the last duty is kept, for a start while the server is away.
pub const DUTY_FILE: &str = "duty.json";

fn frame(sequence: u64, body: AgentBody) -> AgentFrame {
    AgentFrame { sequence, body: Some(body) }
}

fn body(load: Load, encoder: &mut Encoder, batch: &mut SampleBatch) -> AgentBody {
    match load {
        Load::Samples(frame) => {
            batch.clear();
            for (labels, value) in &frame.rows {
                batch.push(labels, frame.time, *value);
            }
            let mut bytes = Vec::new();
            encoder.encode(batch, &mut bytes);
            AgentBody::Samples(bytes)
        }
        Load::News(json) => AgentBody::Event(AgentEvent { json: json.to_vec() }),
        Load::Answer { key, json } => AgentBody::StepAnswer(StepAnswer { key, json: json.to_vec() }),
    }
}

/// Between half of it and all of it.
fn spread(pause: Duration) -> Duration {
    let mut bytes = [0; 4];
    // Without randomness agents only come back closer together.
    let _ = getrandom::fill(&mut bytes);
    pause / 2 + pause.mul_f64(f64::from(u32::from_le_bytes(bytes)) / f64::from(u32::MAX) / 2.0)
}

/// An error with everything behind it, in one line.
pub fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(source) = next {
        let part = source.to_string();
        if !text.ends_with(&part) {
            text.push_str(": ");
            text.push_str(&part);
        }
        next = source.source();
    }
    text
}

/// Artifacts over whatever connection is up.
pub struct LinkArtifacts {
    /// The connection.
    pub channel: watch::Receiver<Option<Channel>>,
}

impl ArtifactSource for LinkArtifacts {
    fn fetch(
        &self,
        digest: &ArtifactDigest,
        offset: u64,
    ) -> BoxFuture<'static, Result<BoxStream<'static, Result<Vec<u8>, String>>, String>> {
        let mut watched = self.channel.clone();
        let request = FetchArtifact { digest: digest.to_string(), offset };
        Box::pin(async move {
            // The step's own time limit ends this wait.
            let channel = watched.wait_for(Option::is_some).await.map_err(|_| "the agent ends".to_owned())?.clone();
            let mut grpc = grpc(channel.ok_or("the link is down")?);
            grpc.ready().await.map_err(|error| chain(&error))?;
            let codec = ProstCodec::<FetchArtifact, ArtifactChunk>::default();
            let path = PathAndQuery::from_static(FETCH_PATH);
            let chunks = grpc.server_streaming(tonic::Request::new(request), path, codec).await;
            let chunks = chunks.map_err(|status| status.message().to_owned())?.into_inner();
            Ok(chunks.map(|chunk| chunk.map(|chunk| chunk.data).map_err(|status| status.message().to_owned())).boxed())
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_are_spread() {
        let pauses: Vec<Duration> = (0..100).map(|_| spread(PAUSE_MAX)).collect();
        assert!(pauses.iter().all(|pause| (PAUSE_MAX / 2..=PAUSE_MAX).contains(pause)));
        assert!(pauses.iter().max().unwrap().abs_diff(*pauses.iter().min().unwrap()) > Duration::from_secs(1));
    }
}
