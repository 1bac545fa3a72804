//! Traffic through the balancer at a steady rate over a few connections; what came back is kept by the release that answered.
//! A request that nobody's release answered (the balancer's own error, a broken connection) is counted as failed, never left out.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use crate::http::Client;

/// Connections that share the rate.
const CONNECTIONS: u32 = 20;

/// An answer that was none, or a bad one.
#[derive(Clone)]
pub struct Bad {
    /// When its head was read, in microseconds since the epoch.
    pub at: i64,
    /// The release that answered; none: the balancer's own error or a broken connection.
    pub release: Option<String>,
    /// What it was.
    pub what: String,
}

/// What came back.
#[derive(Default)]
pub struct Seen {
    pub all: AtomicU64,
    bad: Mutex<Vec<Bad>>,
}

impl Seen {
    /// All that was bad since then.
    pub fn bad_since(&self, at: i64) -> Vec<Bad> {
        let bad = self.bad.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        bad.iter().filter(|bad| bad.at >= at).cloned().collect()
    }
}

/// Running traffic; ends when it is dropped.
pub struct Traffic {
    pub seen: Arc<Seen>,
    stop: Arc<AtomicBool>,
    senders: Vec<JoinHandle<()>>,
}

impl Traffic {
    pub fn start(to: &str, rate: u32) -> Traffic {
        let (seen, stop) = (Arc::new(Seen::default()), Arc::new(AtomicBool::new(false)));
        let pause = Duration::from_secs_f64(f64::from(CONNECTIONS) / f64::from(rate));
        let began = Instant::now();
        let senders = (0..CONNECTIONS)
            .map(|number| {
                let (seen, stop, client) = (seen.clone(), stop.clone(), Client::new(to, None));
                let begin = began + pause * number / CONNECTIONS;
                std::thread::spawn(move || send(client, begin, pause, &seen, &stop))
            })
            .collect();
        Traffic { seen, stop, senders }
    }
}

impl Drop for Traffic {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        for sender in self.senders.drain(..) {
            let _ = sender.join();
        }
    }
}

fn send(mut client: Client, begin: Instant, pause: Duration, seen: &Seen, stop: &AtomicBool) {
    let mut next = begin;
    for request in 0_u64.. {
        if stop.load(Ordering::Relaxed) {
            return;
        }
        std::thread::sleep(next.saturating_duration_since(Instant::now()));
        // After a stall the rate is kept, not caught up with.
        next = (next + pause).max(Instant::now());
        // One request in five places an order.
        let (method, path) = if request % 5 == 0 { ("POST", "/api/orders") } else { ("GET", "/") };
        let bad = match client.send(method, path, "", b"") {
            Ok((_, reply)) if reply.status < 500 => None,
            Ok((_, reply)) => Some((reply.release, format!("{} {}", reply.status, String::from_utf8_lossy(&reply.body).trim()))),
            Err(error) => Some((None, error.to_string())),
        };
        seen.all.fetch_add(1, Ordering::Relaxed);
        if let Some((release, what)) = bad
            && let Ok(mut kept) = seen.bad.lock()
        {
            kept.push(Bad { at: now(), release, what });
        }
    }
}

/// Microseconds since the epoch, by the clock that the server reads too.
pub fn now() -> i64 {
    jiff::Timestamp::now().as_microsecond()
}
