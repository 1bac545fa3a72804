//! Traffic: real requests at a steady rate over a few connections, with what came back counted by status and release.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use clap::Args;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;
use tokio::time::{Instant, MissedTickBehavior};

use crate::exit::{Failure, NOT_WELL, WELL};
use crate::render::say;

/// Connections that share the rate.
const CONNECTIONS: u32 = 20;
/// One answer in this time, or it counts as failed.
const PATIENCE: Duration = Duration::from_secs(5);

/// `flyball demo traffic`
#[derive(Args, Clone)]
pub struct TrafficArgs {
    /// The shop's address at the load balancer
    #[arg(long)]
    pub to: SocketAddr,
    /// Requests per second
    #[arg(long, default_value_t = 500)]
    pub rate: u32,
    /// Ends after so many seconds
    #[arg(long, default_value_t = 60)]
    pub seconds: u64,
}

/// What came back.
#[derive(Default)]
pub struct Seen {
    /// 2xx and 3xx.
    pub good: AtomicU64,
    /// 5xx with the shop's own header: the release answered badly.
    pub bad: AtomicU64,
    /// 5xx of the balancer, refused or broken connections: nobody's answer.
    pub failed: AtomicU64,
    /// When the first bad answer was read, in microseconds since the start; zero: none.
    pub first_bad_us: AtomicU64,
}

/// Sends for a while and says what came back.
pub fn run(args: TrafficArgs) -> Result<u8, Failure> {
    crate::local::block_on(async {
        let seen = Arc::new(Seen::default());
        let sending = send(args.clone(), seen.clone());
        let _ = tokio::time::timeout(Duration::from_secs(args.seconds.clamp(1, 86_400)), sending).await;
        let read = |value: &AtomicU64| value.load(Ordering::Relaxed);
        say(&format!("{} good, {} bad, {} failed", read(&seen.good), read(&seen.bad), read(&seen.failed)));
        Ok(if read(&seen.failed) == 0 { WELL } else { NOT_WELL })
    })?
}

/// Sends until it is dropped.
pub async fn send(args: TrafficArgs, seen: Arc<Seen>) {
    let began = Instant::now();
    let mut tasks = tokio::task::JoinSet::new();
    for number in 0..CONNECTIONS {
        let seen = seen.clone();
        let pause = Duration::from_secs_f64(f64::from(CONNECTIONS) / f64::from(args.rate.max(1)));
        let to = args.to;
        tasks.spawn(async move {
            tokio::time::sleep(pause * number / CONNECTIONS).await;
            let mut ticks = tokio::time::interval(pause);
            ticks.set_missed_tick_behavior(MissedTickBehavior::Skip);
            let mut connection: Option<BufReader<TcpStream>> = None;
            for request in 0_u64.. {
                ticks.tick().await;
                // One request in five places an order.
                let order = (request + u64::from(number)) % 5 == 0;
                let outcome = tokio::time::timeout(PATIENCE, ask(&mut connection, to, order)).await;
                match outcome {
                    Ok(Ok((status, _))) if status < 500 => seen.good.fetch_add(1, Ordering::Relaxed),
                    Ok(Ok((_, true))) => {
                        let _ = seen.first_bad_us.compare_exchange(
                            0,
                            began.elapsed().as_micros() as u64,
                            Ordering::Relaxed,
                            Ordering::Relaxed,
                        );
                        seen.bad.fetch_add(1, Ordering::Relaxed)
                    }
                    _ => {
                        connection = None;
                        seen.failed.fetch_add(1, Ordering::Relaxed)
                    }
                };
            }
        });
    }
    while tasks.join_next().await.is_some() {}
}

/// One request; its status, and whether the shop itself answered. A connection that was closed while idle is opened anew once.
async fn ask(connection: &mut Option<BufReader<TcpStream>>, to: SocketAddr, order: bool) -> std::io::Result<(u16, bool)> {
    let head = if order {
        "POST /api/orders HTTP/1.1\r\nhost: shop\r\ncontent-length: 0\r\n\r\n"
    } else {
        "GET / HTTP/1.1\r\nhost: shop\r\n\r\n"
    };
    let reused = connection.is_some();
    let mut stream = match connection.take() {
        Some(stream) => stream,
        None => open(to).await?,
    };
    if stream.write_all(head.as_bytes()).await.is_err() || stream.fill_buf().await.is_ok_and(|bytes| bytes.is_empty()) {
        if !reused {
            return Err(std::io::ErrorKind::ConnectionReset.into());
        }
        stream = open(to).await?;
        stream.write_all(head.as_bytes()).await?;
    }
    let mut status = 0;
    let mut length = 0_usize;
    let mut by_shop = false;
    let mut close = false;
    loop {
        let mut line = String::new();
        if stream.read_line(&mut line).await? == 0 {
            return Err(std::io::ErrorKind::UnexpectedEof.into());
        }
        let line = line.trim_end();
        if status == 0 {
            status = line.split(' ').nth(1).and_then(|word| word.parse().ok()).ok_or(std::io::ErrorKind::InvalidData)?;
        } else if line.is_empty() {
            break;
        } else if let Some((name, value)) = line.split_once(':') {
            match name.to_ascii_lowercase().as_str() {
                "content-length" => length = value.trim().parse().unwrap_or(0),
                "x-release" => by_shop = true,
                "connection" => close = value.trim().eq_ignore_ascii_case("close"),
                _ => {}
            }
        }
    }
    let mut body = vec![0; length.min(64 * 1024)];
    stream.read_exact(&mut body).await?;
    if !close {
        *connection = Some(stream);
    }
    Ok((status, by_shop))
}

async fn open(to: SocketAddr) -> std::io::Result<BufReader<TcpStream>> {
    let stream = TcpStream::connect(to).await?;
    stream.set_nodelay(true)?;
    Ok(BufReader::new(stream))
}
