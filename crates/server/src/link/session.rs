//! One connection of an agent, from its hello to its end.
//!
//! Beside what comes in, somebody looks after the connection: pings, a changed duty, a revoked host, a certificate that
//! ran out. Whichever ends first ends the connection, and the agent is told why.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use model::HostName;
use rustls_pki_types::CertificateDer;
use tokio::time::{MissedTickBehavior, interval, timeout};
use tonic::{Status, Streaming};
use wire::link::{
    AgentBody, AgentFrame, Hello, HostConfig, Ping, RenewAnswer, RenewRequest, ServerBody, ServerFrame, Welcome, common_protocol,
};

use super::authority::key_of_request;
use super::incoming::Incoming;
use super::links::{Down, Fault, Links, Presence};
use super::service::Member;
use super::tls::{Standing, unix_time};

/// Longest wait for a hello.
const HELLO_WITHIN: Duration = Duration::from_secs(10);
/// How often agents hear the server's time.
const PING_EVERY: Duration = Duration::from_secs(5);
/// An agent that says nothing for so long, not even to pings, is gone. A dead peer is seen within 30 s.
const SILENT_MAX: Duration = Duration::from_secs(25);
/// A certificate is looked at with each so many pings: once a minute.
const PINGS_PER_LOOK: u32 = 12;
/// A last word waits no longer than this for room.
const LAST_WORD_WITHIN: Duration = Duration::from_secs(1);
/// Longest word of an agent about itself, in bytes.
const WORD_LEN_MAX: usize = 64;

struct Session {
    links: Arc<Links>,
    member: Member,
    down: Down,
    /// Everything up to this frame is on disk.
    acknowledged: AtomicU64,
    /// The newest: the agent renews it while it is connected.
    certificate: Mutex<CertificateDer<'static>>,
}

/// Runs a connection to its end.
pub async fn run(links: Arc<Links>, member: Member, mut up: Streaming<AgentFrame>, down: Down) {
    let certificate = Mutex::new(member.certificate.clone());
    let session = Session { links, member, down, acknowledged: AtomicU64::new(0), certificate };
    let host = &session.member.host;
    let fault = match session.welcome(&mut up).await {
        Ok((hello, said)) => session.talk(up, hello, said).await,
        Err(fault) => Some(fault),
    };
    if let Some(fault) = fault {
        tracing::info!(%host, why = fault.text, "the link of a host ends");
        let _ = timeout(LAST_WORD_WITHIN, session.down.send(Ok(fault.frame()))).await;
    }
}

impl Session {
    async fn send(&self, body: ServerBody) -> Result<(), Fault> {
        let acknowledged = self.acknowledged.load(Ordering::Relaxed);
        let sent = timeout(SILENT_MAX, self.down.send(Ok(ServerFrame { acknowledged, body: Some(body) }))).await;
        match sent {
            Ok(Ok(())) => Ok(()),
            Ok(Err(_)) => Err(Fault::passing("the agent is gone")),
            Err(_) => Err(Fault::passing("the agent reads nothing")),
        }
    }

    /// The hello, and the duty that was answered to it.
    async fn welcome(&self, up: &mut Streaming<AgentFrame>) -> Result<(Hello, Vec<u8>), Fault> {
        let first = timeout(HELLO_WITHIN, up.message()).await.map_err(|_| Fault::passing("no hello within 10 s"))?;
        let first = first.map_err(|status| unreadable(&status))?;
        let Some(AgentBody::Hello(hello)) = first.and_then(|frame| frame.body) else {
            return Err(Fault::passing("the first frame is no hello"));
        };
        let host = &self.member.host;
        if hello.host != host.as_str() {
            return Err(Fault::lasting(format!("this key is known as the host {host}, not as {:?}", word(&hello.host))));
        }
        let theirs = hello.protocol;
        let protocol =
            common_protocol(theirs).ok_or_else(|| Fault::lasting(format!("version {theirs} of the link is not spoken here")))?;
        if !self.links.may_come(host) {
            return Err(Fault::lasting("it came too often within a minute"));
        }
        let duty = self.duty();
        let welcome = Welcome {
            server_time_us: self.links.parts.clock.now().0,
            epoch: self.links.parts.pump.read_state(|state| state.epoch).0,
            config: Some(HostConfig { json: duty.clone() }),
            signing_keys: vec![self.links.signing_key()],
            protocol,
        };
        self.send(ServerBody::Welcome(welcome)).await?;
        Ok((hello, duty))
    }

    async fn talk(&self, up: Streaming<AgentFrame>, hello: Hello, said: Vec<u8>) -> Option<Fault> {
        let host = &self.member.host;
        let presence = Arc::new(Presence {
            agent_version: word(&hello.agent_version).to_owned(),
            boot_id: word(&hello.boot_id).to_owned(),
            clock_ahead_us: self.links.parts.pump.read_state(|state| clock_ahead(state, host)).into(),
        });
        let incoming = Incoming::new(self.links.clone(), host.clone(), word(&hello.run_id), presence.clone());
        let (number, mut closing) = self.links.join(host, &self.down, presence).await;
        let mut stopping = self.links.stopping.subscribe();
        tracing::info!(%host, version = word(&hello.agent_version), "the link of a host is up");
        let fault = tokio::select! {
            biased;
            _ = stopping.wait_for(|stopping| *stopping) => None,
            fault = closing.recv() => fault,
            fault = self.look_after(said) => Some(fault),
            fault = self.listen(up, incoming) => Some(fault),
            () = self.down.closed() => Some(Fault::passing("the agent is gone")),
        };
        self.links.leave(host, number).await;
        fault
    }

    async fn listen(&self, mut up: Streaming<AgentFrame>, mut incoming: Incoming) -> Fault {
        loop {
            let frame = match timeout(SILENT_MAX, up.message()).await {
                Ok(Ok(Some(frame))) => frame,
                Ok(Ok(None)) => return Fault::passing("the agent closed the link"),
                Ok(Err(status)) => return unreadable(&status),
                Err(_) => return Fault::passing("the agent says nothing"),
            };
            let AgentFrame { sequence, body } = frame;
            if let Some(AgentBody::RenewRequest(request)) = &body
                && let Err(fault) = self.renew(request).await
            {
                return fault;
            }
            match incoming.take(sequence, body).await {
                Ok(true) if sequence > self.acknowledged.load(Ordering::Relaxed) => {
                    self.acknowledged.store(sequence, Ordering::Relaxed);
                    if self.down.send(Ok(ServerFrame { acknowledged: sequence, body: None })).await.is_err() {
                        return Fault::passing("the agent is gone");
                    }
                }
                Ok(_) => {}
                Err(fault) => return fault,
            }
        }
    }

    async fn look_after(&self, mut said: Vec<u8>) -> Fault {
        let mut pings = interval(PING_EVERY);
        pings.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut count = 0u32;
        let mut config = self.links.config.subscribe();
        // What was changed since the welcome is seen at once.
        config.mark_changed();
        let mut book = self.links.book.changes();
        book.mark_changed();
        loop {
            let sent = tokio::select! {
                biased;
                changed = book.changed() => {
                    if changed.is_err() {
                        return Fault::passing("the server is stopping");
                    }
                    match self.links.book.host_of_key(&self.member.key) {
                        Ok(host) if host == self.member.host => Ok(()),
                        Ok(_) => Err(Fault::lasting("this key belongs to another host now")),
                        Err(error) => Err(Fault::lasting(error)),
                    }
                }
                changed = config.changed() => {
                    let duty = self.duty();
                    if changed.is_err() || duty == said {
                        Ok(())
                    } else {
                        said.clone_from(&duty);
                        self.send(ServerBody::Config(HostConfig { json: duty })).await
                    }
                }
                _ = pings.tick() => {
                    count = count.wrapping_add(1);
                    if count.is_multiple_of(PINGS_PER_LOOK) && !self.is_certified() {
                        return Fault::lasting("the certificate has expired; it can be renewed");
                    }
                    self.send(ServerBody::Ping(Ping { server_time_us: self.links.parts.clock.now().0 })).await
                }
            };
            if let Err(fault) = sent {
                return fault;
            }
        }
    }

    fn duty(&self) -> Vec<u8> {
        let config = self.links.config.borrow().clone();
        let duty = super::duty::duty(&config, &self.member.host, self.links.own_host.as_ref());
        serde_json::to_vec(&duty).unwrap_or_default()
    }

    fn is_certified(&self) -> bool {
        let certificate = self.certificate.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let standing = self.links.hosts.standing(&certificate, unix_time(&self.links.parts.clock));
        matches!(standing, Ok(Standing::Valid))
    }

    async fn renew(&self, request: &RenewRequest) -> Result<(), Fault> {
        let (answer, certificate) =
            renewed(&self.links, &self.member.host, &self.member.key, &request.csr_pem).map_err(Fault::passing)?;
        *self.certificate.lock().unwrap_or_else(PoisonError::into_inner) = certificate;
        self.send(ServerBody::Renew(answer)).await
    }
}

/// A new certificate for the key that the host has; no other.
pub fn renewed(
    links: &Links,
    host: &HostName,
    key: &str,
    csr_pem: &str,
) -> Result<(RenewAnswer, CertificateDer<'static>), String> {
    if key_of_request(csr_pem).as_deref() != Some(key) {
        return Err("the request for a certificate is not of the key that this host is known by".into());
    }
    let (certificate_pem, certificate) = links.authority.certify(host, csr_pem).map_err(|error| error.to_string())?;
    Ok((RenewAnswer { certificate_pem, ca_pem: links.authority.pem().to_owned() }, certificate))
}

fn clock_ahead(state: &engine::State, host: &HostName) -> i64 {
    state.hosts.get(host).map_or(0, |known| known.seen.clock_ahead_us)
}

fn unreadable(status: &Status) -> Fault {
    Fault::passing(format!("read a frame: {}", status.message()))
}

fn word(text: &str) -> &str {
    let end = (0..=WORD_LEN_MAX.min(text.len())).rev().find(|end| text.is_char_boundary(*end)).unwrap_or(0);
    &text[..end]
}
