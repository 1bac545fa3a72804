//! Lanes: threads for the connections of those who send samples.
//!
//! A sender's body keeps a thread for a few hundred microseconds, half of which belong to the disk. On the runtime that all share, a
//! thread with something to do calls up another one that looks at the sockets meanwhile, or nobody looks at them: either costs the next
//! body. A lane is a thread with a runtime and sockets of its own: bytes wake it, it decodes, writes, syncs, answers, and waits
//! again. As long as there are no more senders than lanes, none of them waits for another.
//!
//! A connection is told by what it asks first. It may ask for anything later on; what takes long is done on other threads anyway.

use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use tokio::runtime::{Handle, RuntimeFlavor};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

/// Lanes for each core: most of a sender's time is the disk's.
const LANES_A_CORE: usize = 2;
/// There are no fewer than this where so many connections are open, and no more than that.
const LANES: (usize, usize) = (8, 32);
/// Threads of a lane for long work; begun when there is some.
const BLOCKING_MAX: usize = 32;
/// Long work that still runs when the server ends may take so long.
const END_WITHIN: Duration = Duration::from_millis(200);
/// So much of a request says where it goes.
pub const FIRST_LEN: usize = 32;
/// Where senders of samples begin: with the samples, or, Influx' clients, with a question whether somebody is there.
pub const PATHS: [&str; 6] = ["/write", "/api/v2/write", "/api/v1/write", "/api/v1/push", "/ping", "/query"];

type Connection = Pin<Box<dyn Future<Output = ()> + Send>>;

/// The lanes of a server. Dropped, they cut what is open.
pub struct Lanes {
    max: usize,
    lanes: Mutex<Vec<Lane>>,
}

struct Lane {
    open: Arc<AtomicUsize>,
    give: UnboundedSender<Connection>,
    thread: JoinHandle<()>,
}

impl Default for Lanes {
    /// None yet: a lane is begun when there is a connection for it.
    fn default() -> Lanes {
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        Lanes { max: (cores * LANES_A_CORE).clamp(LANES.0, LANES.1), lanes: Mutex::default() }
    }
}

impl Lanes {
    /// Runs a connection on the lane with the fewest. Gives it back where there is none and none can be begun.
    pub fn run<C: Future<Output = ()> + Send + 'static>(&self, connection: C) -> Result<(), C> {
        let mut lanes = self.lanes.lock().unwrap_or_else(PoisonError::into_inner);
        let fewest =
            |lanes: &[Lane]| lanes.iter().map(|lane| lane.open.load(Ordering::Relaxed)).enumerate().min_by_key(|lane| lane.1);
        if lanes.len() < self.max && fewest(&lanes).is_none_or(|(_, open)| open > 0) {
            match Lane::begin(lanes.len()) {
                Ok(lane) => lanes.push(lane),
                Err(error) => tracing::warn!(%error, "failed to begin a thread for senders"),
            }
        }
        let Some(lane) = fewest(&lanes).map(|(at, _)| &lanes[at]) else { return Err(connection) };
        let open = Open::one_more(&lane.open);
        let connection = async move {
            connection.await;
            drop(open);
        };
        // Nobody hears it where the lane has ended; then the server ends.
        let _ = lane.give.send(Box::pin(connection));
        Ok(())
    }

    /// Cuts what is open, and waits for the threads.
    pub fn end(&self) {
        let lanes = std::mem::take(&mut *self.lanes.lock().unwrap_or_else(PoisonError::into_inner));
        let threads: Vec<JoinHandle<()>> = lanes.into_iter().map(|lane| lane.thread).collect();
        for thread in threads {
            if thread.join().is_err() {
                tracing::error!("a thread for senders panicked");
            }
        }
    }
}

impl Lane {
    fn begin(number: usize) -> io::Result<Lane> {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .thread_name("lane-blocking")
            .max_blocking_threads(BLOCKING_MAX)
            .build()?;
        let (give, mut given): (_, UnboundedReceiver<Connection>) = unbounded_channel();
        let thread = std::thread::Builder::new().name(format!("lane-{number}")).spawn(move || {
            runtime.block_on(async {
                while let Some(connection) = given.recv().await {
                    tokio::spawn(connection);
                }
            });
            runtime.shutdown_timeout(END_WITHIN);
        })?;
        Ok(Lane { open: Arc::default(), give, thread })
    }
}

/// Counts a connection as long as it lives.
struct Open(Arc<AtomicUsize>);

impl Open {
    fn one_more(open: &Arc<AtomicUsize>) -> Open {
        open.fetch_add(1, Ordering::Relaxed);
        Open(open.clone())
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Whether the first bytes of a connection are those of a sender.
pub fn is_sender(first: &[u8]) -> bool {
    let method = first.iter().take_while(|byte| byte.is_ascii_uppercase()).count();
    let Some(target) = first[method..].strip_prefix(b" ").filter(|_| method > 0) else { return false };
    let path = target.split(|byte| matches!(byte, b' ' | b'?')).next().unwrap_or_default();
    path.len() < target.len() && PATHS.iter().any(|known| known.as_bytes() == path)
}

/// Whether a thread may wait for the disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AtTheDisk {
    /// A lane: it is there to wait.
    AsLongAsItTakes,
    /// A thread of the runtime that all share: while the disk is quick, and no more wait than this, so that one is always free.
    Shortly {
        /// How many others may wait.
        others_max: usize,
    },
}

/// Whether the thread that asks may wait for the disk.
pub fn at_the_disk() -> AtTheDisk {
    let runtime = Handle::current();
    match runtime.runtime_flavor() {
        RuntimeFlavor::CurrentThread => AtTheDisk::AsLongAsItTakes,
        _ => AtTheDisk::Shortly { others_max: (runtime.metrics().num_workers() - 1).clamp(1, 2) },
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use tokio::sync::{Barrier, mpsc};

    use super::*;

    #[test]
    fn a_sender_is_known_by_its_first_line() {
        for path in PATHS {
            for (method, rest) in [("POST", "?db=a HTTP/1.1\r\n"), ("GET", " HTTP/1.1\r\n"), ("OPTIONS", "?")] {
                let line = format!("{method} {path}{rest}");
                assert!(is_sender(&line.as_bytes()[..line.len().min(FIRST_LEN)]), "{line}");
            }
        }
        let others: [&[u8]; 8] = [
            b"",
            b"POST",
            b"POST ",
            b"POST /write",
            b"POST /writer HTTP/1.1",
            b"GET /api/v1/query?query=up",
            b"\x16\x03\x01\x02\x00\x01\x00\x01 /write ",
            b"GET / HTTP/1.1\r\nx: /write ",
        ];
        others.into_iter().for_each(|other| assert!(!is_sender(other), "{}", other.escape_ascii()));
    }

    #[tokio::test]
    async fn connections_have_lanes_of_their_own_and_share_them_when_there_are_more() {
        let lanes = Lanes { max: 3, ..Lanes::default() };
        let (tell, mut told) = mpsc::unbounded_channel();
        let all_there = Arc::new(Barrier::new(7));
        for _ in 0..6 {
            let (tell, all_there) = (tell.clone(), all_there.clone());
            let connection = async move {
                tell.send(std::thread::current().name().map(str::to_owned)).unwrap();
                all_there.wait().await;
            };
            assert!(lanes.run(connection).is_ok());
        }
        all_there.wait().await;
        let names: Vec<_> = std::iter::from_fn(|| told.try_recv().ok()).flatten().collect();
        let used: BTreeSet<_> = names.iter().map(String::as_str).collect();
        assert_eq!((names.len(), used), (6, BTreeSet::from(["lane-0", "lane-1", "lane-2"])));
        // What never ends is cut, and what was counted is given back.
        let open = lanes.lanes.lock().unwrap()[0].open.clone();
        assert!(lanes.run(std::future::pending()).is_ok());
        lanes.end();
        assert_eq!(open.load(Ordering::Relaxed), 0);
    }

    #[tokio::test]
    async fn who_comes_after_another_gets_its_lane() {
        let lanes = Lanes::default();
        for _ in 0..20 {
            let (ended, end) = tokio::sync::oneshot::channel::<()>();
            let connection = async move {
                let _ended = ended;
            };
            assert!(lanes.run(connection).is_ok());
            assert!(end.await.is_err());
            while lanes.lanes.lock().unwrap()[0].open.load(Ordering::Relaxed) > 0 {
                tokio::task::yield_now().await;
            }
        }
        assert_eq!(lanes.lanes.lock().unwrap().len(), 1);
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn a_shared_thread_is_left_free_of_the_disk() {
        assert_eq!(at_the_disk(), AtTheDisk::Shortly { others_max: 1 });
        let lanes = Lanes::default();
        let (tell, told) = tokio::sync::oneshot::channel();
        assert!(lanes.run(async move { tell.send(at_the_disk()).unwrap() }).is_ok());
        assert_eq!(told.await, Ok(AtTheDisk::AsLongAsItTakes));
    }
}
