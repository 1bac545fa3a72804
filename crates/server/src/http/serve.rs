//! Connections: how many, how long, how large their heads may be; and how they end when the server does.

use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use axum::Router;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;
use tower::ServiceExt as _;

use super::app::App;
use super::lanes::{self, Lanes};

/// Most connections at once; further ones wait in the system's queue.
pub const CONNECTIONS_MAX: usize = 4_096;
/// Largest head of a request, in bytes; beyond it 431.
const HEAD_LEN_MAX: usize = 64 * 1024;
/// Most bytes read ahead of a connection.
const READ_LEN_MAX: usize = 256 * 1024;
/// Most headers of a request; beyond it 431.
const HEADERS_MAX: usize = 128;
/// The head of a request must be there within this; also how long an idle connection is kept.
const HEAD_WITHIN: Duration = Duration::from_secs(75);
/// The handshake must be done within this.
const HANDSHAKE_WITHIN: Duration = Duration::from_secs(10);
/// What runs when the server ends may take so long.
const END_WITHIN: Duration = Duration::from_secs(3);
/// After accepting failed, as when files are exhausted.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// From where a request came.
#[derive(Clone, Copy, Debug)]
pub struct Peer(pub SocketAddr);

/// A door: where, and with which certificate.
pub struct Door {
    /// Bound already.
    pub listener: TcpListener,
    /// TLS; none: plain HTTP.
    pub tls: Option<Arc<rustls::ServerConfig>>,
}

/// Why a door can't be opened.
#[derive(Debug, thiserror::Error)]
pub enum DoorError {
    /// Passwords and tokens would cross a network in the open.
    #[error(
        "listen on {0}: without TLS only on loopback; name --tls-certificate and --tls-key, or say --insecure-http where \
         something in front of flyball speaks TLS"
    )]
    Insecure(SocketAddr),
    /// The system refused.
    #[error("listen on {0}: {1}")]
    Listen(SocketAddr, #[source] io::Error),
}

/// Binds a door, refused where passwords would cross a network in the open.
pub async fn bind(address: SocketAddr, tls: Option<Arc<rustls::ServerConfig>>, insecure: bool) -> Result<Door, DoorError> {
    if tls.is_none() && !address.ip().to_canonical().is_loopback() && !insecure {
        return Err(DoorError::Insecure(address));
    }
    let listener = TcpListener::bind(address).await.map_err(|error| DoorError::Listen(address, error))?;
    Ok(Door { listener, tls })
}

/// Serves until `stop` turns true, then lets what runs end, for 3 s at most.
pub async fn serve(doors: Vec<Door>, app: App, router: Router, mut stop: watch::Receiver<bool>) {
    let places = Arc::new(Semaphore::new(CONNECTIONS_MAX));
    let mut accepting = JoinSet::new();
    let (ending, _) = watch::channel(false);
    let ending = Arc::new(ending);
    let lanes = Arc::new(Lanes::default());
    for door in doors {
        accepting.spawn(accept(door, app.clone(), router.clone(), places.clone(), ending.clone(), lanes.clone()));
    }
    until(&mut stop).await;
    accepting.shutdown().await;
    app.stop();
    ending.send_replace(true);
    let all = u32::try_from(CONNECTIONS_MAX).unwrap_or(u32::MAX);
    if tokio::time::timeout(END_WITHIN, places.acquire_many(all)).await.is_err() {
        let open = app.metrics.connections.load(Ordering::Relaxed);
        tracing::warn!(open, "connections did not end in time and are cut");
    }
    let _ = tokio::task::spawn_blocking(move || lanes.end()).await;
}

async fn accept(
    door: Door,
    app: App,
    router: Router,
    places: Arc<Semaphore>,
    ending: Arc<watch::Sender<bool>>,
    lanes: Arc<Lanes>,
) {
    let tls = door.tls.map(TlsAcceptor::from);
    loop {
        let place = places.clone().acquire_owned().await.expect("never closed");
        let (stream, from) = match door.listener.accept().await {
            Ok(accepted) => accepted,
            Err(error) => {
                tracing::warn!(%error, "failed to accept a connection");
                tokio::time::sleep(ACCEPT_PAUSE).await;
                continue;
            }
        };
        // An answer is written in one or two pieces: waiting for more costs 40 ms.
        let _ = stream.set_nodelay(true);
        let caller = Caller { from, router: router.clone(), ending: ending.subscribe(), _counted: Counted::new(&app, place) };
        match tls.clone() {
            Some(tls) => tokio::spawn(secure(stream, tls, caller)),
            None => tokio::spawn(plain(stream, caller, lanes.clone())),
        };
    }
}

/// Who called, and what a connection with him needs.
struct Caller {
    from: SocketAddr,
    router: Router,
    ending: watch::Receiver<bool>,
    _counted: Counted,
}

/// Counts a connection, and keeps its place, as long as it lives.
struct Counted {
    app: App,
    _place: OwnedSemaphorePermit,
}

impl Counted {
    fn new(app: &App, place: OwnedSemaphorePermit) -> Counted {
        app.metrics.connections.fetch_add(1, Ordering::Relaxed);
        Counted { app: app.clone(), _place: place }
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.app.metrics.connections.fetch_sub(1, Ordering::Relaxed);
    }
}

async fn secure(stream: TcpStream, tls: TlsAcceptor, caller: Caller) {
    let from = caller.from;
    match tokio::time::timeout(HANDSHAKE_WITHIN, tls.accept(stream)).await {
        Ok(Ok(stream)) => speak(stream, caller).await,
        Ok(Err(error)) => tracing::debug!(%from, %error, "a TLS handshake failed"),
        Err(_) => tracing::debug!(%from, "a TLS handshake took too long"),
    }
}

/// Looks who it is: those who send samples get a lane.
async fn plain(stream: TcpStream, mut caller: Caller, lanes: Arc<Lanes>) {
    let mut first = [0; lanes::FIRST_LEN];
    let looked = tokio::select! {
        looked = tokio::time::timeout(HEAD_WITHIN, stream.peek(&mut first)) => looked,
        () = until(&mut caller.ending) => return,
    };
    let Ok(Ok(len)) = looked else { return };
    if !lanes::is_sender(&first[..len]) {
        return speak(stream, caller).await;
    }
    // A socket belongs to the runtime that waits for it.
    let moved = match stream.into_std() {
        Ok(stream) => lanes.run(async move {
            match TcpStream::from_std(stream) {
                Ok(stream) => speak(stream, caller).await,
                Err(error) => tracing::warn!(%error, "failed to take a connection over"),
            }
        }),
        Err(error) => return tracing::warn!(%error, "failed to hand a connection over"),
    };
    if let Err(connection) = moved {
        connection.await;
    }
}

async fn speak<S>(stream: S, caller: Caller)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let Caller { from, router, mut ending, _counted } = caller;
    let service = service_fn(move |mut request: hyper::Request<Incoming>| {
        request.extensions_mut().insert(Peer(from));
        let router = router.clone();
        async move { Ok::<_, Infallible>(router.oneshot(request).await.unwrap_or_else(|never| match never {})) }
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_WITHIN)
        .max_headers(HEADERS_MAX)
        .max_header_size(HEAD_LEN_MAX)
        .max_buf_size(READ_LEN_MAX)
        .keep_alive(true)
        .serve_connection(TokioIo::new(stream), service);
    tokio::pin!(connection);
    let ended = tokio::select! {
        ended = connection.as_mut() => ended,
        () = until(&mut ending) => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = ended {
        tracing::debug!(%from, %error, "a connection ended early");
    }
}

/// Waits until a flag is true, or nobody is left who could set it.
pub(super) async fn until(flag: &mut watch::Receiver<bool>) {
    let _ = flag.wait_for(|set| *set).await;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn without_tls_only_loopback_unless_somebody_says_so() {
        let any: SocketAddr = "0.0.0.0:0".parse().unwrap();
        assert!(matches!(bind(any, None, false).await, Err(DoorError::Insecure(_))));
        assert!(bind(any, None, true).await.is_ok());
        for loopback in ["127.0.0.1:0", "127.0.0.11:0", "[::ffff:127.0.0.1]:0"] {
            let bound = bind(loopback.parse().unwrap(), None, false).await;
            assert!(!matches!(bound, Err(DoorError::Insecure(_))), "{loopback}");
        }
    }
}
