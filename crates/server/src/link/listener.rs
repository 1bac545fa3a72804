//! Takes connections of agents: TLS first, then HTTP/2. Strangers are few and stay short; a peer that is gone is noticed.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, watch};
use tokio::time::{Instant, Sleep, sleep, timeout};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;
use tokio_stream::wrappers::ReceiverStream;
use tonic::transport::Server;
use tonic::transport::server::Connected;

use super::links::Links;
use super::service::{AgentLink, Peer};

/// Most connections of hosts.
const HOSTS_MAX: usize = 10_000;
/// Most connections that have not shown a certificate, in the handshake or after it.
const STRANGERS_MAX: usize = 256;
/// A handshake takes no longer.
const HANDSHAKE_WITHIN: Duration = Duration::from_secs(10);
/// An enrolment takes no longer: then the connection of a stranger ends.
const STRANGER_WITHIN: Duration = Duration::from_secs(30);
/// With the wait below a peer that is gone is noticed within 30 s.
const KEEP_ALIVE_EVERY: Duration = Duration::from_secs(10);
const KEEP_ALIVE_WITHIN: Duration = Duration::from_secs(20);
/// Calls at once on one connection: the stream, artifacts, a renewal.
const CALLS_MAX: u32 = 16;
/// Largest header list, in bytes.
const HEADERS_LEN_MAX: u32 = 16 * 1024;
/// After a failed accept, as without free file descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);
/// Connections that were closed for want of room are counted in a line every so often.
const SAY_EVERY: Duration = Duration::from_secs(1);
/// Connections that were told to end get so long.
const END_WITHIN: Duration = Duration::from_secs(2);

/// Serves until `stopping` says true.
pub async fn serve(
    listener: TcpListener,
    tls: Arc<rustls::ServerConfig>,
    links: Arc<Links>,
    mut stopping: watch::Receiver<bool>,
) {
    let (sender, lines) = mpsc::channel::<Result<Line, io::Error>>(64);
    let mut accepting = tokio::spawn(accept(listener, TlsAcceptor::from(tls), sender));
    let server = Server::builder()
        .http2_keepalive_interval(Some(KEEP_ALIVE_EVERY))
        .http2_keepalive_timeout(Some(KEEP_ALIVE_WITHIN))
        .max_concurrent_streams(CALLS_MAX)
        .http2_max_header_list_size(HEADERS_LEN_MAX);
    let mut stop = stopping.clone();
    let stopped = async move {
        // A sender that is gone stops it too.
        let _ = stop.wait_for(|stopping| *stopping).await;
    };
    let service = AgentLink(links.clone());
    let mut serving = tokio::spawn(server.serve_with_incoming_shutdown(service, ReceiverStream::new(lines), stopped));
    let asked = stopping.clone();
    // Both may see the flag; what has ended must not be waited for again.
    let has_ended = tokio::select! {
        biased;
        ended = &mut serving => {
            if !*asked.borrow() {
                tracing::error!(?ended, "serving agents ended");
            }
            true
        }
        ended = &mut accepting => {
            tracing::error!(?ended, "the agents' listener ended");
            false
        }
        _ = stopping.wait_for(|stopping| *stopping) => false,
    };
    links.stopping.send_replace(true);
    accepting.abort();
    if !has_ended && timeout(END_WITHIN, &mut serving).await.is_err() {
        serving.abort();
    }
}

async fn accept(listener: TcpListener, tls: TlsAcceptor, lines: mpsc::Sender<Result<Line, io::Error>>) {
    let strangers = Arc::new(Semaphore::new(STRANGERS_MAX));
    let hosts = Arc::new(Semaphore::new(HOSTS_MAX));
    let (mut closed, mut said) = (0u64, None::<Instant>);
    loop {
        let (stream, address) = match listener.accept().await {
            Ok(accepted) => accepted,
            Err(error) => {
                tracing::warn!(%error, "failed to accept a connection of an agent");
                sleep(ACCEPT_PAUSE).await;
                continue;
            }
        };
        let Ok(permit) = strangers.clone().try_acquire_owned() else {
            // After a restart thousands of agents come at once, and come again: one line a second says it.
            closed += 1;
            if said.is_none_or(|said| said.elapsed() > SAY_EVERY) {
                tracing::warn!(%address, closed, "too many connections that have shown no certificate yet; some were closed");
                said = Some(Instant::now());
            }
            continue;
        };
        let (tls, hosts, lines) = (tls.clone(), hosts.clone(), lines.clone());
        tokio::spawn(async move {
            match timeout(HANDSHAKE_WITHIN, shake_hands(stream, tls, hosts, permit)).await {
                Ok(Ok(Some(line))) => {
                    let _ = lines.send(Ok(line)).await;
                }
                Ok(Ok(None)) => tracing::warn!(%address, "too many connections of hosts; one was closed"),
                Ok(Err(error)) => tracing::debug!(%address, %error, "no TLS with a peer"),
                Err(_) => tracing::debug!(%address, "no TLS with a peer within 10 s"),
            }
        });
    }
}

/// None where there are too many.
async fn shake_hands(
    stream: TcpStream,
    tls: TlsAcceptor,
    hosts: Arc<Semaphore>,
    mut permit: OwnedSemaphorePermit,
) -> io::Result<Option<Line>> {
    let address = stream.peer_addr()?;
    stream.set_nodelay(true)?;
    let stream = tls.accept(stream).await?;
    let certificate =
        stream.get_ref().1.peer_certificates().and_then(|chain| chain.first()).map(|first| first.clone().into_owned());
    if certificate.is_some() {
        match hosts.try_acquire_owned() {
            Ok(place) => permit = place,
            Err(_) => return Ok(None),
        }
    }
    let until = certificate.is_none().then(|| Box::pin(sleep(STRANGER_WITHIN)));
    Ok(Some(Line { stream, peer: Peer { address, certificate }, until, _permit: permit }))
}

/// A connection with its handshake done.
struct Line {
    stream: TlsStream<TcpStream>,
    peer: Peer,
    /// A stranger's end.
    until: Option<Pin<Box<Sleep>>>,
    _permit: OwnedSemaphorePermit,
}

impl Connected for Line {
    type ConnectInfo = Peer;

    fn connect_info(&self) -> Peer {
        self.peer.clone()
    }
}

impl AsyncRead for Line {
    fn poll_read(mut self: Pin<&mut Self>, context: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        if let Some(until) = &mut self.until
            && until.as_mut().poll(context).is_ready()
        {
            return Poll::Ready(Err(io::ErrorKind::TimedOut.into()));
        }
        let read = ready!(Pin::new(&mut self.stream).poll_read(context, buffer));
        Poll::Ready(read)
    }
}

impl AsyncWrite for Line {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(context, bytes)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }
}
