//! A webhook's receiver on a free port: keeps what it was told, answers what the test wants.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicU16, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Notify;
use tokio::task::JoinHandle;

/// Largest request that is read, in bytes.
const REQUEST_LEN_MAX: usize = 1024 * 1024;

/// One request.
#[derive(Clone, Debug)]
pub struct Received {
    /// The header `Idempotency-Key`.
    pub key: String,
    /// The body.
    pub body: String,
    /// When its last byte was read.
    pub at: Instant,
}

/// A receiver. Stops when it is dropped.
pub struct WebhookReceiver {
    address: SocketAddr,
    shared: Arc<Shared>,
    task: JoinHandle<()>,
}

#[derive(Default)]
struct Shared {
    received: Mutex<Vec<Received>>,
    status: AtomicU16,
    news: Notify,
}

impl WebhookReceiver {
    /// Listens on a free port of loopback and answers 200.
    pub async fn start() -> std::io::Result<WebhookReceiver> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?;
        let shared = Arc::new(Shared { status: AtomicU16::new(200), ..Shared::default() });
        let served = shared.clone();
        let task = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(serve(stream, served.clone()));
            }
        });
        Ok(WebhookReceiver { address, shared, task })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Its URL.
    pub fn url(&self) -> String {
        format!("http://{}/hook", self.address)
    }

    /// From now on answers this; what gets no 2xx is not kept.
    pub fn answer(&self, status: u16) {
        self.shared.status.store(status, Ordering::SeqCst);
    }

    /// What it took so far.
    pub fn received(&self) -> Vec<Received> {
        self.shared.received.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Waits until it took so many.
    pub async fn wait_for(&self, count: usize) -> Vec<Received> {
        loop {
            let news = self.shared.news.notified();
            let received = self.received();
            if received.len() >= count {
                return received;
            }
            news.await;
        }
    }
}

impl Drop for WebhookReceiver {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn serve(mut stream: TcpStream, shared: Arc<Shared>) {
    let mut bytes = Vec::new();
    let mut buffer = [0; 8 * 1024];
    loop {
        let Some((head, body_at, length)) = head_of(&bytes) else {
            match stream.read(&mut buffer).await {
                Ok(read) if read > 0 && bytes.len() < REQUEST_LEN_MAX => bytes.extend_from_slice(&buffer[..read]),
                _ => return,
            }
            continue;
        };
        if bytes.len() < body_at + length {
            match stream.read(&mut buffer).await {
                Ok(read) if read > 0 => bytes.extend_from_slice(&buffer[..read]),
                _ => return,
            }
            continue;
        }
        let at = Instant::now();
        let key = header(&head, "idempotency-key").unwrap_or_default();
        let body = String::from_utf8_lossy(&bytes[body_at..body_at + length]).into_owned();
        let status = shared.status.load(Ordering::SeqCst);
        if (200..300).contains(&status) {
            shared.received.lock().unwrap_or_else(PoisonError::into_inner).push(Received { key, body, at });
            shared.news.notify_waiters();
        }
        let answer = format!("HTTP/1.1 {status} test\r\ncontent-length: 0\r\n\r\n");
        if stream.write_all(answer.as_bytes()).await.is_err() {
            return;
        }
        bytes.drain(..body_at + length);
    }
}

/// The head, where the body begins, and how long it is; none while the head is not whole.
fn head_of(bytes: &[u8]) -> Option<(String, usize, usize)> {
    let end = bytes.windows(4).position(|window| window == b"\r\n\r\n")?;
    let head = String::from_utf8_lossy(&bytes[..end]).into_owned();
    let length = header(&head, "content-length").and_then(|text| text.parse().ok()).unwrap_or(0);
    Some((head, end + 4, length))
}

fn header(head: &str, name: &str) -> Option<String> {
    head.lines().find_map(|line| {
        let (have, value) = line.split_once(':')?;
        have.trim().eq_ignore_ascii_case(name).then(|| value.trim().to_owned())
    })
}
