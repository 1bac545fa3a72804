//! The four calls of the link, and who may make them: enrolment needs a token, everything else a certificate whose key
//! the book of hosts knows, and an expired one is good for its renewal only.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::task::{Context, Poll};

use futures::future::BoxFuture;
use model::{ArtifactDigest, HostName};
use rustls_pki_types::CertificateDer;
use tokio::io::{AsyncReadExt, AsyncSeekExt};
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::body::Body;
use tonic::server::Grpc;
use tonic::{Request, Response, Status, Streaming};
use tonic_prost::ProstCodec;
use wire::link::{
    AgentFrame, ArtifactChunk, CHUNK_LEN_MAX, CONNECT_PATH, ENROLL_PATH, EnrollAnswer, EnrollRequest, FETCH_PATH, FRAME_LEN_MAX,
    FetchArtifact, RENEW_PATH, RenewAnswer, RenewRequest, ServerFrame, common_protocol,
};

use super::authority::{CSR_LEN_MAX, key_of, key_of_request};
use super::book::BookError;
use super::links::{FRAMES_MAX, Links};
use super::session;
use super::tls::{Standing, unix_time};
use crate::journal::{AuditOutcome, NewAudit};

/// Largest message of the small calls, in bytes.
const SMALL_LEN_MAX: usize = CSR_LEN_MAX + 4 * 1024;
/// Chunks of an artifact that wait for a slow agent.
const CHUNKS_MAX: usize = 4;

/// Whoever is at the other end of a connection.
#[derive(Clone)]
pub struct Peer {
    /// From where.
    pub address: SocketAddr,
    /// Made by our authority, and not expired for long; none: a stranger.
    pub certificate: Option<CertificateDer<'static>>,
}

/// A host that may come in.
#[derive(Clone)]
pub struct Member {
    /// Its name, by its key.
    pub host: HostName,
    /// Its key.
    pub key: String,
    /// The certificate it came with.
    pub certificate: CertificateDer<'static>,
}

/// The link's service.
#[derive(Clone)]
pub struct AgentLink(pub Arc<Links>);

impl tower::Service<http::Request<Body>> for AgentLink {
    type Response = http::Response<Body>;
    type Error = Infallible;
    type Future = BoxFuture<'static, Result<Self::Response, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: http::Request<Body>) -> Self::Future {
        let links = self.0.clone();
        Box::pin(async move { Ok(answer(links, request).await) })
    }
}

async fn answer(links: Arc<Links>, request: http::Request<Body>) -> http::Response<Body> {
    let Some(peer) = request.extensions().get::<Peer>().cloned() else {
        return Status::internal("the connection is not known").into_http();
    };
    match request.uri().path() {
        ENROLL_PATH => {
            let mut grpc =
                Grpc::new(ProstCodec::<EnrollAnswer, EnrollRequest>::default()).max_decoding_message_size(SMALL_LEN_MAX);
            let call = move |request: Request<EnrollRequest>| enroll(links.clone(), peer.clone(), request.into_inner());
            grpc.unary(tower::service_fn(call), request).await
        }
        RENEW_PATH => {
            let mut grpc = Grpc::new(ProstCodec::<RenewAnswer, RenewRequest>::default()).max_decoding_message_size(SMALL_LEN_MAX);
            let call = move |request: Request<RenewRequest>| renew(links.clone(), peer.clone(), request.into_inner());
            grpc.unary(tower::service_fn(call), request).await
        }
        CONNECT_PATH => {
            let codec = ProstCodec::<ServerFrame, AgentFrame>::default();
            let mut grpc = Grpc::new(codec).max_decoding_message_size(FRAME_LEN_MAX).max_encoding_message_size(FRAME_LEN_MAX);
            let call = move |request: Request<Streaming<AgentFrame>>| connect(links.clone(), peer.clone(), request.into_inner());
            grpc.streaming(tower::service_fn(call), request).await
        }
        FETCH_PATH => {
            let mut grpc =
                Grpc::new(ProstCodec::<ArtifactChunk, FetchArtifact>::default()).max_decoding_message_size(SMALL_LEN_MAX);
            let call = move |request: Request<FetchArtifact>| fetch(links.clone(), peer.clone(), request.into_inner());
            grpc.server_streaming(tower::service_fn(call), request).await
        }
        _ => Status::unimplemented("there is no such call").into_http(),
    }
}

/// Who this is, if it may do more than enrol.
fn member(links: &Links, peer: &Peer, may_be_expired: bool) -> Result<Member, Status> {
    let certificate = peer.certificate.as_ref().ok_or_else(|| Status::unauthenticated("this call needs a host's certificate"))?;
    let standing = links.hosts.standing(certificate, unix_time(&links.parts.clock));
    match standing.map_err(|error| Status::unauthenticated(format!("the certificate is not good: {error}")))? {
        Standing::Expired if !may_be_expired => {
            return Err(Status::unauthenticated("the certificate has expired; it can be renewed"));
        }
        Standing::Valid | Standing::Expired => {}
    }
    let key = key_of(certificate).ok_or_else(|| Status::unauthenticated("the certificate has no key"))?;
    let host = links.book.host_of_key(&key).map_err(|error| refused(&error, peer))?;
    Ok(Member { host, key, certificate: certificate.clone() })
}

fn refused(error: &BookError, peer: &Peer) -> Status {
    tracing::warn!(address = %peer.address, %error, "a host was refused");
    match error {
        BookError::Token | BookError::Revoked(_) | BookError::KeyOfAnother { .. } => Status::permission_denied(error.to_string()),
        BookError::Unknown => Status::unauthenticated(error.to_string()),
        BookError::Full(..) => Status::resource_exhausted(error.to_string()),
        BookError::Write(_) => Status::unavailable("the book of hosts can't be written"),
    }
}

async fn enroll(links: Arc<Links>, peer: Peer, request: EnrollRequest) -> Result<Response<EnrollAnswer>, Status> {
    if common_protocol(request.protocol).is_none() {
        return Err(Status::failed_precondition(format!("version {} of the link is not spoken here", request.protocol)));
    }
    let (journal, clock, address) = (links.parts.journal.clone(), links.parts.clock.clone(), peer.address);
    let work = move || {
        let now = links.parts.clock.now();
        // The token says which host this is; the name that the agent would like is only a wish.
        let host = links.book.host_of_token(&request.token, now).map_err(|error| refused(&error, &peer))?;
        let key = key_of_request(&request.csr_pem)
            .ok_or_else(|| Status::invalid_argument("the request for a certificate can't be read"))?;
        let certified = links.authority.certify(&host, &request.csr_pem);
        let (certificate_pem, _) = certified.map_err(|error| Status::invalid_argument(error.to_string()))?;
        let host = links.book.enter(&request.token, &key, now).map_err(|error| refused(&error, &peer))?;
        tracing::info!(%host, address = %peer.address, "a host was enrolled");
        let ca_pem = links.authority.pem().to_owned();
        Ok::<_, Status>(EnrollAnswer { host: host.to_string(), certificate_pem, ca_pem })
    };
    // It waits for the disk.
    let answer = tokio::task::spawn_blocking(work).await.map_err(|_| Status::internal("the enrolment failed"))??;
    let what = serde_json::json!({ "host_enrolled": answer.host, "from": address.ip() });
    let outcome = AuditOutcome::Answered(None);
    let line = NewAudit { at: clock.now(), seq: None, by: answer.host.clone(), what, outcome };
    if let Err(error) = journal.note(&line).await {
        // The book of hosts has it, and the token is used up: the host is let in all the same.
        tracing::error!(%error, by = line.by, what = %line.what, "failed to write an enrolment to the audit");
    }
    Ok(Response::new(answer))
}

async fn renew(links: Arc<Links>, peer: Peer, request: RenewRequest) -> Result<Response<RenewAnswer>, Status> {
    let member = member(&links, &peer, true)?;
    let (answer, _) = session::renewed(&links, &member.host, &member.key, &request.csr_pem).map_err(Status::permission_denied)?;
    tracing::info!(host = %member.host, "a certificate was renewed");
    Ok(Response::new(answer))
}

type Frames = ReceiverStream<Result<ServerFrame, Status>>;

async fn connect(links: Arc<Links>, peer: Peer, up: Streaming<AgentFrame>) -> Result<Response<Frames>, Status> {
    let member = member(&links, &peer, false)?;
    let (down, frames) = mpsc::channel(FRAMES_MAX);
    tokio::spawn(session::run(links, member, up, down));
    Ok(Response::new(ReceiverStream::new(frames)))
}

type Chunks = ReceiverStream<Result<ArtifactChunk, Status>>;

async fn fetch(links: Arc<Links>, peer: Peer, request: FetchArtifact) -> Result<Response<Chunks>, Status> {
    let member = member(&links, &peer, false)?;
    let is_digest = request.digest.len() == 64 && request.digest.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
    let digest = ArtifactDigest::from(request.digest);
    // The same answer whether it is not there or not for this host: nobody learns what others run.
    let missing = || Status::not_found("there is no such artifact for this host");
    if !is_digest || !links.may_fetch(&member.host, &digest) {
        return Err(missing());
    }
    let unreadable = |error: std::io::Error| Status::unavailable(format!("read the artifact: {error}"));
    let mut file = links.parts.artifacts.open(&digest).await.map_err(unreadable)?.ok_or_else(missing)?;
    file.seek(std::io::SeekFrom::Start(request.offset)).await.map_err(unreadable)?;
    let (down, chunks) = mpsc::channel(CHUNKS_MAX);
    tokio::spawn(async move {
        let mut stopping = links.stopping.subscribe();
        loop {
            let mut data = Vec::with_capacity(CHUNK_LEN_MAX);
            let chunk = match (&mut file).take(CHUNK_LEN_MAX as u64).read_to_end(&mut data).await {
                Ok(0) => return,
                // A host that was revoked meanwhile gets no more.
                Ok(_) => {
                    links.book.host_of_key(&member.key).map(|_| ArtifactChunk { data }).map_err(|error| refused(&error, &peer))
                }
                Err(error) => Err(unreadable(error)),
            };
            let is_last = chunk.is_err();
            let sent = tokio::select! {
                sent = down.send(chunk) => sent.is_ok(),
                _ = stopping.wait_for(|stopping| *stopping) => false,
            };
            if is_last || !sent {
                return;
            }
        }
    });
    Ok(Response::new(ReceiverStream::new(chunks)))
}
