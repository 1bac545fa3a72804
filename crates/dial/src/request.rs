//! A request from the lookup of the name to the last byte of the answer, or a bare TCP connection, each phase timed.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use bytes::{Bytes, BytesMut};
use http::header::{ACCEPT_ENCODING, HOST, USER_AGENT};
use http::{HeaderMap, HeaderValue, Method, StatusCode, Uri};
use http_body_util::{BodyExt, Full};
use hyper_util::rt::TokioIo;
use rustls_pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_rustls::TlsConnector;

use crate::error::{DialError, Phase};
use crate::policy::{Policy, Refusal};
use crate::tls;

/// Largest head of an answer, in bytes.
const HEAD_LEN_MAX: usize = 64 * 1024;
/// Most addresses of one name that are tried.
const ADDRESSES_MAX: usize = 8;
/// Longest URL, in bytes.
const URL_LEN_MAX: usize = 8 * 1024;

/// What is asked.
#[derive(Clone, Debug)]
pub struct Request {
    /// GET, POST, ...
    pub method: Method,
    /// `http://` or `https://`, without a user.
    pub url: String,
    /// Headers besides Host.
    pub headers: HeaderMap,
    /// The body; empty for none.
    pub body: Bytes,
    /// For all of it, the lookup included.
    pub timeout: Duration,
    /// Longest answer, in bytes; more is an error.
    pub body_max: usize,
    /// Where a long answer waits for its turn; none: it doesn't.
    pub turns: Option<Turns>,
}

/// Bounds the memory of many requests: so many long answers are read at once. Who connects, waits for an answer or has a
/// short one needs no turn, so peers that say nothing keep nobody waiting.
#[derive(Clone, Debug)]
pub struct Turns {
    free: Arc<Semaphore>,
    /// Answers up to this length need none, in bytes.
    pub short_len_max: usize,
}

impl Turns {
    /// So many at once, for answers longer than `short_len_max` bytes.
    pub fn new(count: usize, short_len_max: usize) -> Turns {
        Turns { free: Arc::new(Semaphore::new(count)), short_len_max }
    }

    /// Waits for one; it ends when it is dropped. None: there are none any more, which does not happen.
    pub async fn take(&self) -> Option<OwnedSemaphorePermit> {
        self.free.clone().acquire_owned().await.ok()
    }
}

/// What was answered; any status.
#[derive(Debug)]
pub struct Response {
    /// 200, 404, 302 (which is not followed), ...
    pub status: StatusCode,
    /// As they came.
    pub headers: HeaderMap,
    /// As it came.
    pub body: Bytes,
    /// How long each phase took.
    pub timings: Timings,
    /// The address that answered.
    pub address: SocketAddr,
    /// Its turn, where the answer needed one: held for as long as the answer is.
    pub turn: Option<OwnedSemaphorePermit>,
}

/// How long each phase took; zero where there was none.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Timings {
    /// Looking up the name.
    pub dns: Duration,
    /// Opening the connection.
    pub connect: Duration,
    /// The TLS handshake.
    pub tls: Duration,
    /// From the request sent to the head of the answer.
    pub first_byte: Duration,
    /// The body.
    pub transfer: Duration,
    /// All of it.
    pub whole: Duration,
}

/// Sends requests within a policy. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Dialer {
    policy: Arc<Policy>,
    roots: Option<PathBuf>,
    tls: Arc<OnceLock<Arc<rustls::ClientConfig>>>,
}

impl Request {
    /// A GET with a timeout of 5 s and an answer of 1 MiB at most.
    pub fn get(url: impl Into<String>) -> Request {
        Request {
            method: Method::GET,
            url: url.into(),
            headers: HeaderMap::new(),
            body: Bytes::new(),
            timeout: Duration::from_secs(5),
            body_max: 1024 * 1024,
            turns: None,
        }
    }

    /// A POST with the same limits.
    pub fn post(url: impl Into<String>, body: impl Into<Bytes>) -> Request {
        Request { method: Method::POST, body: body.into(), ..Request::get(url) }
    }
}

/// Which phase runs, so that a timeout can name it.
struct Progress {
    phase: Phase,
}

impl Dialer {
    /// With the system's certificates.
    pub fn new(policy: Policy) -> Dialer {
        Dialer { policy: Arc::new(policy), roots: None, tls: Arc::default() }
    }

    /// Trusts the certificates in this PEM file instead of the system's.
    pub fn with_roots(mut self, file: impl Into<PathBuf>) -> Dialer {
        self.roots = Some(file.into());
        self.tls = Arc::default();
        self
    }

    /// The policy.
    pub fn policy(&self) -> &Policy {
        &self.policy
    }

    /// Sends one request on its own connection and reads its answer.
    pub async fn send(&self, request: &Request) -> Result<Response, DialError> {
        let mut progress = Progress { phase: Phase::Resolve };
        let limit = request.timeout;
        match tokio::time::timeout(limit, self.send_within(request, &mut progress)).await {
            Ok(result) => result,
            Err(_) => Err(DialError::Timeout { phase: progress.phase, limit }),
        }
    }

    /// Opens a connection to `host:port` and closes it: what a TCP probe wants to know.
    pub async fn tcp(&self, target: &str, timeout: Duration) -> Result<(SocketAddr, Timings), DialError> {
        let wrong = |why| DialError::Address { url: cut(target), why };
        let (host, port) = target.rsplit_once(':').ok_or(wrong("no port"))?;
        let port: u16 = port.parse().map_err(|_| wrong("its port is no number below 65536"))?;
        let mut progress = Progress { phase: Phase::Resolve };
        let mut timings = Timings::default();
        let start = Instant::now();
        let connected = self.connect(strip_brackets(host), port, &mut timings, &mut progress);
        let stream = match tokio::time::timeout(timeout, connected).await {
            Ok(result) => result?,
            Err(_) => return Err(DialError::Timeout { phase: progress.phase, limit: timeout }),
        };
        timings.whole = start.elapsed();
        let address = stream.1;
        Ok((address, timings))
    }

    async fn send_within(&self, request: &Request, progress: &mut Progress) -> Result<Response, DialError> {
        let start = Instant::now();
        let target = Target::of(&request.url)?;
        let mut timings = Timings::default();
        let (stream, address) = self.connect(&target.host, target.port, &mut timings, progress).await?;
        let mut response = if target.secure {
            progress.phase = Phase::Tls;
            let begun = Instant::now();
            let name = ServerName::try_from(target.host.clone())
                .map_err(|_| DialError::Address { url: cut(&request.url), why: "its host is no name for TLS" })?;
            let connector = TlsConnector::from(self.tls()?);
            let stream = connector.connect(name, stream).await;
            let stream = stream.map_err(|source| DialError::Tls { host: target.host.clone(), source })?;
            timings.tls = begun.elapsed();
            progress.phase = Phase::Answer;
            exchange(stream, request, &target, timings, address, progress).await?
        } else {
            progress.phase = Phase::Answer;
            exchange(stream, request, &target, timings, address, progress).await?
        };
        response.timings.whole = start.elapsed();
        Ok(response)
    }

    fn tls(&self) -> Result<Arc<rustls::ClientConfig>, DialError> {
        if let Some(config) = self.tls.get() {
            return Ok(config.clone());
        }
        let config = tls::client(self.roots.as_deref())?;
        Ok(self.tls.get_or_init(|| config).clone())
    }

    /// Looks the name up once, and dials what came of it, as far as the policy allows, one address after the other.
    async fn connect(
        &self,
        host: &str,
        port: u16,
        timings: &mut Timings,
        progress: &mut Progress,
    ) -> Result<(TcpStream, SocketAddr), DialError> {
        let begun = Instant::now();
        let unknown = |why: String| DialError::Resolve { host: host.to_owned(), why };
        let found = tokio::net::lookup_host((host, port)).await.map_err(|error| unknown(error.to_string()))?;
        let addresses: Vec<SocketAddr> = found.take(ADDRESSES_MAX).collect();
        timings.dns = begun.elapsed();

        progress.phase = Phase::Connect;
        let begun = Instant::now();
        let mut last: Option<DialError> = None;
        let mut refused: Option<Refusal> = None;
        for address in addresses {
            if let Err(refusal) = self.policy.judge(address) {
                refused = Some(refusal);
                continue;
            }
            match TcpStream::connect(address).await {
                Ok(stream) => {
                    let ends = stream.local_addr().and_then(|local| Ok((local, stream.peer_addr()?)));
                    let (local, peer) = ends.map_err(|source| DialError::Connect { address, source })?;
                    self.policy.judge_connected(local, peer)?;
                    let _ = stream.set_nodelay(true);
                    timings.connect = begun.elapsed();
                    return Ok((stream, peer));
                }
                Err(source) => last = Some(DialError::Connect { address, source }),
            }
        }
        Err(last.or(refused.map(DialError::Refused)).unwrap_or_else(|| unknown("no address".into())))
    }
}

/// A URL in its parts.
#[derive(Debug)]
struct Target {
    secure: bool,
    host: String,
    port: u16,
    /// For the Host header.
    authority: String,
    path: String,
}

impl Target {
    fn of(url: &str) -> Result<Target, DialError> {
        let wrong = |why| DialError::Address { url: cut(url), why };
        if url.len() > URL_LEN_MAX {
            return Err(wrong("it is too long"));
        }
        let uri: Uri = url.parse().map_err(|_| wrong("it is no URL"))?;
        let secure = match uri.scheme_str() {
            Some("http") => false,
            Some("https") => true,
            _ => return Err(wrong("it begins neither with http:// nor with https://")),
        };
        let authority = uri.authority().ok_or(wrong("it has no host"))?;
        if authority.as_str().contains('@') {
            return Err(wrong("it has a user in it; a secret belongs into a header from a file"));
        }
        let port = match authority.as_str().rsplit_once(':') {
            Some((_, port)) if !port.contains(']') => port.parse().map_err(|_| wrong("its port is no number below 65536"))?,
            _ => {
                if secure {
                    443
                } else {
                    80
                }
            }
        };
        let host = strip_brackets(authority.host());
        if host.is_empty() {
            return Err(wrong("it has no host"));
        }
        let path = uri.path_and_query().map_or("/", |path| path.as_str());
        Ok(Target { secure, host: host.to_owned(), port, authority: authority.as_str().to_owned(), path: path.to_owned() })
    }
}

fn strip_brackets(host: &str) -> &str {
    host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host)
}

fn cut(url: &str) -> String {
    // What stands before an `@` may be a password.
    url.rsplit('@').next().unwrap_or(url).chars().take(120).collect()
}

/// Ends the task that drives a connection when the request is over or given up.
struct Driver(tokio::task::JoinHandle<()>);

impl Drop for Driver {
    fn drop(&mut self) {
        self.0.abort();
    }
}

async fn exchange<S>(
    stream: S,
    request: &Request,
    target: &Target,
    mut timings: Timings,
    address: SocketAddr,
    progress: &mut Progress,
) -> Result<Response, DialError>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let http = |source| DialError::Http { host: target.host.clone(), source };
    let begun = Instant::now();
    let handshake = hyper::client::conn::http1::Builder::new().max_buf_size(HEAD_LEN_MAX).handshake(TokioIo::new(stream)).await;
    let (mut sender, connection) = handshake.map_err(http)?;
    let _driver = Driver(tokio::spawn(async move {
        let _ = connection.await;
    }));
    let wrong = |why| DialError::Address { url: cut(&request.url), why };
    let mut message = http::Request::new(Full::new(request.body.clone()));
    *message.method_mut() = request.method.clone();
    *message.uri_mut() = target.path.parse().map_err(|_| wrong("its path can't be sent"))?;
    let headers = message.headers_mut();
    headers.insert(USER_AGENT, HeaderValue::from_static(concat!("flyball/", env!("CARGO_PKG_VERSION"))));
    headers.insert(ACCEPT_ENCODING, HeaderValue::from_static("identity"));
    for (name, value) in &request.headers {
        headers.append(name, value.clone());
    }
    headers.insert(HOST, HeaderValue::from_str(&target.authority).map_err(|_| wrong("its host can't be sent"))?);

    let answer = sender.send_request(message).await.map_err(http)?;
    timings.first_byte = begun.elapsed();
    let begun = Instant::now();
    let (head, mut incoming) = answer.into_parts();
    let mut body = BytesMut::new();
    let mut turn = None;
    while let Some(frame) = incoming.frame().await {
        if let Ok(data) = frame.map_err(http)?.into_data() {
            if body.len() + data.len() > request.body_max {
                return Err(DialError::TooLarge { limit: request.body_max });
            }
            if turn.is_none()
                && let Some(turns) = &request.turns
                && body.len() + data.len() > turns.short_len_max
            {
                progress.phase = Phase::Turn;
                turn = turns.take().await;
                progress.phase = Phase::Answer;
            }
            body.extend_from_slice(&data);
        }
    }
    timings.transfer = begun.elapsed();
    Ok(Response { status: head.status, headers: head.headers, body: body.freeze(), timings, address, turn })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::WhyNot;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpListener;

    /// Answers each connection with `answer` after the head of its request; gives back what was asked.
    async fn peer(answer: &'static str) -> (SocketAddr, tokio::sync::mpsc::UnboundedReceiver<String>) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (tell, asked) = tokio::sync::mpsc::unbounded_channel();
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                let tell = tell.clone();
                tokio::spawn(async move {
                    let mut head = Vec::new();
                    while !head.windows(4).any(|end| end == b"\r\n\r\n") {
                        if stream.read_buf(&mut head).await.unwrap_or(0) == 0 {
                            return;
                        }
                    }
                    let _ = tell.send(String::from_utf8_lossy(&head).into_owned());
                    let _ = stream.write_all(answer.as_bytes()).await;
                    if answer.is_empty() {
                        std::future::pending::<()>().await;
                    }
                });
            }
        });
        (address, asked)
    }

    fn anywhere() -> Dialer {
        Dialer::new(Policy::new(["127.0.0.0/8"]).unwrap())
    }

    #[tokio::test]
    async fn a_request_and_its_answer() {
        let (address, mut asked) = peer("HTTP/1.1 200 OK\r\nx-release: 4.12.0\r\ncontent-length: 5\r\n\r\nhello").await;
        let mut request = Request::post(format!("http://{address}/a?b=c"), "body");
        request.headers.insert("x-key", HeaderValue::from_static("1"));
        let response = anywhere().send(&request).await.unwrap();
        assert_eq!((response.status.as_u16(), &response.body[..], response.address), (200, &b"hello"[..], address));
        assert_eq!(response.headers["x-release"], "4.12.0");
        assert!(response.timings.connect > Duration::ZERO && response.timings.first_byte > Duration::ZERO);
        assert!(response.timings.whole >= response.timings.first_byte && response.timings.tls == Duration::ZERO);
        let head = asked.recv().await.unwrap().to_lowercase();
        assert!(head.starts_with("post /a?b=c http/1.1\r\n") && head.contains(&format!("host: {address}")), "{head}");
        assert!(head.contains("x-key: 1") && head.contains("content-length: 4"), "{head}");
    }

    #[tokio::test]
    async fn a_redirect_is_an_answer() {
        let (address, mut asked) = peer("HTTP/1.1 302 Found\r\nlocation: /x\r\ncontent-length: 0\r\n\r\n").await;
        let response = anywhere().send(&Request::get(format!("http://{address}/"))).await.unwrap();
        assert_eq!(response.status, 302);
        asked.recv().await.unwrap();
        assert!(asked.try_recv().is_err());
    }

    #[tokio::test]
    async fn too_long_too_slow_and_not_http() {
        let (address, _asked) = peer("HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\n123456789").await;
        let request = Request { body_max: 8, ..Request::get(format!("http://{address}/")) };
        assert!(matches!(anywhere().send(&request).await, Err(DialError::TooLarge { limit: 8 })));

        let (address, _asked) = peer("").await;
        let request = Request { timeout: Duration::from_millis(50), ..Request::get(format!("http://{address}/")) };
        assert!(matches!(anywhere().send(&request).await, Err(DialError::Timeout { phase: Phase::Answer, .. })));

        let (address, _asked) = peer("SSH-2.0-x\r\n\r\n").await;
        assert!(matches!(anywhere().send(&Request::get(format!("http://{address}/"))).await, Err(DialError::Http { .. })));
    }

    #[tokio::test]
    async fn only_a_long_answer_waits_for_its_turn() {
        let (address, _asked) = peer("HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\n123456789").await;
        let turns = Turns::new(1, 8);
        let request = |short_len_max| Request {
            timeout: Duration::from_millis(500),
            turns: Some(Turns { short_len_max, ..turns.clone() }),
            ..Request::get(format!("http://{address}/"))
        };
        let first = anywhere().send(&request(8)).await.unwrap();
        assert!(first.turn.is_some());
        assert!(anywhere().send(&request(9)).await.unwrap().turn.is_none());
        assert!(matches!(anywhere().send(&request(8)).await, Err(DialError::Timeout { phase: Phase::Turn, .. })));
        drop(first);
        assert!(anywhere().send(&request(8)).await.is_ok());
    }

    #[tokio::test]
    async fn however_the_address_is_written() {
        let (address, mut asked) = peer("HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n").await;
        let port = address.port();
        let nobody = Dialer::new(Policy::default());
        for host in [
            "127.0.0.1",
            "2130706433",
            "0x7f000001",
            "0x7f.0.0.1",
            "0177.0.0.1",
            "127.1",
            "127.0.1",
            "localhost",
            "[::ffff:127.0.0.1]",
            "[::ffff:7f00:1]",
            "[0:0:0:0:0:ffff:127.0.0.1]",
            "[64:ff9b::7f00:1]",
            "[::1]",
            "0",
            "0.0.0.0",
        ] {
            let error = nobody.send(&Request::get(format!("http://{host}:{port}/"))).await.unwrap_err();
            assert!(matches!(error, DialError::Refused(_)), "{host}: {error}");
        }
        for host in ["169.254.169.254", "2852039166", "0xa9fea9fe", "[::ffff:a9fe:a9fe]", "[fd00:ec2::254]"] {
            let error = anywhere().send(&Request::get(format!("http://{host}/latest"))).await.unwrap_err();
            assert!(matches!(error, DialError::Refused(_)), "{host}: {error}");
        }
        for url in [
            format!("http://user:pw@127.0.0.1:{port}/"),
            format!("http://93.184.216.34@127.0.0.1:{port}/"),
            format!("ftp://127.0.0.1:{port}/"),
            "file:///etc/passwd".into(),
            "http:///x".into(),
            "//127.0.0.1/".into(),
            format!("http://127.0.0.1:{port}5555/"),
            "http://127.0.0.1 /".into(),
            "gopher://127.0.0.1/".into(),
        ] {
            let error = anywhere().send(&Request::get(url.clone())).await.unwrap_err();
            assert!(matches!(error, DialError::Address { .. }), "{url}: {error}");
            assert!(!error.to_string().contains("pw@"), "{error}");
        }
        assert!(asked.try_recv().is_err(), "somebody got through");
    }

    #[tokio::test]
    async fn a_tcp_probe() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let second = Duration::from_secs(5);
        let (seen, timings) = anywhere().tcp(&address.to_string(), second).await.unwrap();
        assert!(seen == address && timings.connect > Duration::ZERO);
        drop(listener);
        assert!(matches!(anywhere().tcp(&address.to_string(), second).await, Err(DialError::Connect { .. })));
        let refused = Dialer::new(Policy::default()).tcp(&address.to_string(), second).await.unwrap_err();
        assert!(matches!(refused, DialError::Refused(Refusal { why: WhyNot::Loopback, .. })));
        assert!(matches!(anywhere().tcp("127.0.0.1", second).await, Err(DialError::Address { .. })));
    }

    #[tokio::test]
    async fn tls_with_a_given_root_and_without() {
        let signed = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
        let folder = tempfile::tempdir().unwrap();
        let roots = folder.path().join("roots.pem");
        std::fs::write(&roots, signed.cert.pem()).unwrap();
        let key = rustls_pki_types::PrivateKeyDer::try_from(signed.signing_key.serialize_der()).unwrap();
        let config = rustls::ServerConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![signed.cert.der().clone()], key)
            .unwrap();
        let acceptor = tokio_rustls::TlsAcceptor::from(Arc::new(config));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                if let Ok(mut stream) = acceptor.accept(stream).await {
                    let mut head = [0; 1024];
                    let _ = stream.read(&mut head).await;
                    let _ = stream.write_all(b"HTTP/1.1 204 No Content\r\n\r\n").await;
                    let _ = stream.flush().await;
                }
            }
        });
        let dialer = Dialer::new(Policy::new(["127.0.0.0/8", "::1"]).unwrap());
        let url = format!("https://localhost:{port}/");
        let response = dialer.clone().with_roots(&roots).send(&Request::get(&url)).await.unwrap();
        assert!(response.status == 204 && response.timings.tls > Duration::ZERO);
        let wrong_name = format!("https://127.0.0.1:{port}/");
        let error = dialer.clone().with_roots(&roots).send(&Request::get(wrong_name)).await.unwrap_err();
        assert!(matches!(error, DialError::Tls { .. }), "{error}");
        let other = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
        std::fs::write(&roots, other.cert.pem()).unwrap();
        let error = dialer.clone().with_roots(&roots).send(&Request::get(&url)).await.unwrap_err();
        assert!(matches!(error, DialError::Tls { .. }), "{error}");
        std::fs::write(&roots, "").unwrap();
        assert!(matches!(dialer.with_roots(&roots).send(&Request::get(&url)).await, Err(DialError::Roots(_))));
    }
}
