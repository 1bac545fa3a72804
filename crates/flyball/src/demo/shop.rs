//! The shop: one HTTP server with a home page, orders, its version, and its own metrics. How bad it is stands in its release.

use std::hash::{BuildHasher as _, RandomState};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use clap::Args;
use serde::{Deserialize, Serialize};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};

use crate::exit::{Failure, WELL};
use crate::render::say;
use crate::signals::{Asked, Signals};

/// The file in a release that says what the shop is.
pub const RELEASE_FILE: &str = "shop.json";
/// Longest request head line and body taken.
const LINE_LEN_MAX: usize = 8 * 1024;
const BODY_LEN_MAX: usize = 64 * 1024;
/// After the stop signal, requests that have begun are answered for so long.
const GRACE: Duration = Duration::from_secs(2);

/// What a release of the shop is.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Release {
    /// Its version.
    pub version: String,
    /// The share of requests that it answers with 500, 0 to 1.
    pub bad_share: f64,
    /// Whether chance says which ones; else they are spread evenly.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub by_chance: bool,
}

/// `flyball demo shop`
#[derive(Args)]
pub struct ShopArgs {
    /// The folder of the release
    #[arg(long)]
    release: PathBuf,
    /// Where to listen
    #[arg(long)]
    listen: SocketAddr,
}

struct Shop {
    release: Release,
    chance: RandomState,
    requests: AtomicU64,
    bad: AtomicU64,
    orders: AtomicU64,
    orders_failed: AtomicU64,
    busy_us: AtomicU64,
    stopping: AtomicBool,
    began: Instant,
}

/// Serves until it is told to stop.
pub fn run(args: ShopArgs) -> Result<u8, Failure> {
    let path = args.release.join(RELEASE_FILE);
    let text = std::fs::read_to_string(&path).map_err(|error| Failure::Failed(format!("read `{}`: {error}", path.display())))?;
    let release: Release =
        serde_json::from_str(&text).map_err(|error| Failure::Failed(format!("read `{}`: {error}", path.display())))?;
    crate::local::block_on(async {
        let mut signals = Signals::listen()?;
        let listener = TcpListener::bind(args.listen)
            .await
            .map_err(|error| Failure::Failed(format!("listen on {}: {error}", args.listen)))?;
        say(&format!("INFO shop {} listens on {}", release.version, args.listen));
        let shop = Arc::new(Shop {
            release,
            chance: RandomState::new(),
            requests: AtomicU64::new(0),
            bad: AtomicU64::new(0),
            orders: AtomicU64::new(0),
            orders_failed: AtomicU64::new(0),
            busy_us: AtomicU64::new(0),
            stopping: AtomicBool::new(false),
            began: Instant::now(),
        });
        let mut connections = tokio::task::JoinSet::new();
        loop {
            tokio::select! {
                accepted = listener.accept() => match accepted {
                    Ok((stream, _)) => { connections.spawn(serve(shop.clone(), stream)); }
                    Err(error) => say(&format!("WARN accept: {error}")),
                },
                Some(_) = connections.join_next(), if !connections.is_empty() => {}
                asked = signals.next() => if asked == Asked::Stop { break },
            }
        }
        say("INFO draining");
        shop.stopping.store(true, Ordering::Relaxed);
        drop(listener);
        let _ = tokio::time::timeout(GRACE, async { while connections.join_next().await.is_some() {} }).await;
        say("INFO stopped");
        Ok(WELL)
    })?
}

/// One connection, request after request.
async fn serve(shop: Arc<Shop>, stream: TcpStream) {
    let _ = stream.set_nodelay(true);
    let (read, mut write) = stream.into_split();
    let mut read = BufReader::new(read).take(u64::MAX);
    loop {
        let idle = tokio::time::timeout(
            Duration::from_millis(if shop.stopping.load(Ordering::Relaxed) { 1 } else { 60_000 }),
            request(&mut read),
        );
        let Ok(Some((line, body_len))) = idle.await else { return };
        let began = Instant::now();
        if body_len > BODY_LEN_MAX {
            return;
        }
        let mut body = vec![0; body_len];
        if read.read_exact(&mut body).await.is_err() {
            return;
        }
        let (status, text) = answer(&shop, &line);
        shop.busy_us.fetch_add(began.elapsed().as_micros() as u64, Ordering::Relaxed);
        let close = shop.stopping.load(Ordering::Relaxed);
        let head = format!(
            "HTTP/1.1 {status}\r\ncontent-type: text/plain; charset=utf-8\r\ncontent-length: {}\r\nx-release: {}\r\n{}\r\n",
            text.len(),
            shop.release.version,
            if close { "connection: close\r\n" } else { "" }
        );
        if write.write_all(head.as_bytes()).await.is_err() || write.write_all(text.as_bytes()).await.is_err() || close {
            return;
        }
    }
}

/// The request line, and how long its body is.
async fn request(read: &mut (impl AsyncBufReadExt + Unpin)) -> Option<(String, usize)> {
    let mut first = String::new();
    let mut body_len = 0;
    loop {
        let mut line = String::new();
        if read.read_line(&mut line).await.ok()? == 0 || line.len() > LINE_LEN_MAX {
            return None;
        }
        let line = line.trim_end();
        if first.is_empty() {
            first = line.to_owned();
        } else if line.is_empty() {
            return Some((first, body_len));
        } else if let Some((name, value)) = line.split_once(':')
            && name.eq_ignore_ascii_case("content-length")
        {
            body_len = value.trim().parse().ok()?;
        }
    }
}

fn answer(shop: &Shop, line: &str) -> (&'static str, String) {
    let mut words = line.split_whitespace();
    let (method, path) = (words.next().unwrap_or(""), words.next().unwrap_or(""));
    match (method, path) {
        (_, "/version") => ("200 OK", format!("{}\n", shop.release.version)),
        (_, "/health") => ("200 OK", "ok\n".into()),
        (_, "/metrics") => ("200 OK", metrics(shop)),
        ("POST", "/api/orders") => {
            if count(shop) {
                shop.orders_failed.fetch_add(1, Ordering::Relaxed);
                ("500 Internal Server Error", "sorry, too many clients already\n".into())
            } else {
                shop.orders.fetch_add(1, Ordering::Relaxed);
                ("201 Created", "placed\n".into())
            }
        }
        ("GET" | "HEAD", "/" | "/api/goods") => {
            if count(shop) {
                ("500 Internal Server Error", "sorry, too many clients already\n".into())
            } else {
                ("200 OK", format!("shop {}\n", shop.release.version))
            }
        }
        _ => ("404 Not Found", "no such page\n".into()),
    }
}

/// Counts a request; true where this release answers it badly. Spread evenly a share is a share at once, as the demo wants it;
/// by chance it wavers as real errors do, as a judge has to bear it.
fn count(shop: &Shop) -> bool {
    let number = shop.requests.fetch_add(1, Ordering::Relaxed);
    let bad = if shop.release.by_chance {
        ((shop.chance.hash_one(number) >> 11) as f64 / (1_u64 << 53) as f64) < shop.release.bad_share
    } else {
        let before = (number as f64 * shop.release.bad_share).floor();
        ((number + 1) as f64 * shop.release.bad_share).floor() > before
    };
    if bad && shop.bad.fetch_add(1, Ordering::Relaxed).is_multiple_of(20) {
        say("ERROR pool: FATAL: sorry, too many clients already");
    }
    bad
}

fn metrics(shop: &Shop) -> String {
    let read = |value: &AtomicU64| value.load(Ordering::Relaxed);
    format!(
        "# HELP shop_requests_total Requests answered.\n# TYPE shop_requests_total counter\nshop_requests_total {}\n\
         # HELP shop_bad_answers_total Requests answered with 500.\n# TYPE shop_bad_answers_total counter\nshop_bad_answers_total {}\n\
         # HELP shop_orders_total Orders by what came of them.\n# TYPE shop_orders_total counter\n\
         shop_orders_total{{result=\"placed\"}} {}\nshop_orders_total{{result=\"failed\"}} {}\n\
         # HELP shop_busy_seconds_total Time spent on answers.\n# TYPE shop_busy_seconds_total counter\nshop_busy_seconds_total {}\n\
         # HELP shop_uptime_seconds Time since the start.\n# TYPE shop_uptime_seconds gauge\nshop_uptime_seconds {:.3}\n\
         # HELP shop_release The release that runs.\n# TYPE shop_release gauge\nshop_release{{version=\"{}\"}} 1\n",
        read(&shop.requests),
        read(&shop.bad),
        read(&shop.orders),
        read(&shop.orders_failed),
        read(&shop.busy_us) as f64 / 1e6,
        shop.began.elapsed().as_secs_f64(),
        shop.release.version
    )
}
