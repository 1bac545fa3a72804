//! How much, how often and how many at once: so that one sender, one query or one guesser does not take all.

use std::net::{IpAddr, Ipv4Addr};
use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use governor::clock::{Clock, DefaultClock};
use governor::{DefaultKeyedRateLimiter, Quota, RateLimiter};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::error::HttpError;

/// Logins of one address: so many at once, then one every [`LOGIN_EVERY`].
const LOGIN_BURST: u32 = 20;
const LOGIN_EVERY: Duration = Duration::from_secs(3);
/// Bodies of one sender per second: more than one sender can fill, however small they are, and an end for who sends in a loop.
const INGEST_PER_SEC: u32 = 100_000;
/// A body that is not taken whole counts as so many: 2,000 of them a second.
const REFUSED_COST: u32 = 50;
/// Signs of life of one job: so many at once, then one a second.
const PING_BURST: u32 = 60;
/// Bodies that are decoded at once; each may be [`INGEST_PLAIN_MAX`] large.
const INGEST_AT_ONCE: usize = 16;
/// A body of telemetry up to this length needs no room but its connection's, in bytes.
pub const ROOM_UNIT: usize = 64 << 10;
/// Room for longer ones that are read, in units: 256 MiB.
const ROOM_UNITS: usize = 4_096;
/// Queries that are evaluated at once.
const QUERIES_AT_ONCE: usize = 4;
/// Long answers that are on their way to their readers at once, beside the queries that are evaluated.
const ANSWERS_AT_ONCE: usize = 32;
/// Queries that wait for their turn.
const QUERIES_WAITING: usize = 64;
/// After so many checks, callers that are long gone are forgotten.
const FORGET_EVERY: usize = 10_000;

/// Largest body of telemetry as it is sent, in bytes.
pub const INGEST_SENT_MAX: usize = 32 << 20;
/// Largest body of telemetry unpacked, in bytes.
pub const INGEST_PLAIN_MAX: usize = 64 << 20;
/// Largest artifact, in bytes.
pub const ARTIFACT_LEN_MAX: u64 = 1 << 30;

/// The limits of one server.
pub struct Limits {
    logins: DefaultKeyedRateLimiter<IpAddr>,
    senders: DefaultKeyedRateLimiter<String>,
    pings: DefaultKeyedRateLimiter<String>,
    ingest: Arc<Semaphore>,
    room: Arc<Semaphore>,
    queries: Arc<Semaphore>,
    queries_waiting: Arc<Semaphore>,
    answers: Arc<Semaphore>,
    checks: std::sync::atomic::AtomicUsize,
}

impl Limits {
    /// Nobody has asked yet.
    pub fn new() -> Limits {
        let times = |count: u32| NonZeroU32::new(count).expect("not zero");
        let logins = Quota::with_period(LOGIN_EVERY).expect("not zero").allow_burst(times(LOGIN_BURST));
        let senders = Quota::per_second(times(INGEST_PER_SEC));
        let pings = Quota::per_second(times(1)).allow_burst(times(PING_BURST));
        Limits {
            logins: RateLimiter::keyed(logins),
            senders: RateLimiter::keyed(senders),
            pings: RateLimiter::keyed(pings),
            ingest: Arc::new(Semaphore::new(INGEST_AT_ONCE)),
            room: Arc::new(Semaphore::new(ROOM_UNITS)),
            queries: Arc::new(Semaphore::new(QUERIES_AT_ONCE)),
            queries_waiting: Arc::new(Semaphore::new(QUERIES_WAITING)),
            answers: Arc::new(Semaphore::new(ANSWERS_AT_ONCE)),
            checks: Default::default(),
        }
    }

    /// A try to log in from this address.
    pub fn login(&self, from: Option<IpAddr>) -> Result<(), HttpError> {
        let from = from.unwrap_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED));
        self.forget_now_and_then();
        self.logins.check_key(&from).map_err(|until| wait("tries to log in", until.wait_time_from(DefaultClock::default().now())))
    }

    /// A body of telemetry of this sender. Say [`Admitted::taken`] when all of it was taken; else it costs the sender more.
    pub fn sender(&self, name: &str) -> Result<Admitted<'_>, HttpError> {
        self.forget_now_and_then();
        let name = name.to_owned();
        self.senders
            .check_key(&name)
            .map_err(|until| wait("requests of this sender", until.wait_time_from(DefaultClock::default().now())))?;
        Ok(Admitted { limits: self, name, taken: false })
    }

    /// A sign of life of this job.
    pub fn ping(&self, job: &str) -> Result<(), HttpError> {
        self.pings
            .check_key(&job.to_owned())
            .map_err(|until| wait("signs of life of this job", until.wait_time_from(DefaultClock::default().now())))
    }

    /// Room for a body that is to be read: none yet.
    pub fn ingest_room(&self) -> Room {
        Room { all: self.room.clone(), held: None, units: 0 }
    }

    /// A place among those who are decoded now, once the body is there: who sends slowly keeps nobody from it.
    pub async fn ingest_turn(&self) -> OwnedSemaphorePermit {
        self.ingest.clone().acquire_owned().await.expect("never closed")
    }

    /// A place among the queries that run now; 503 where too many wait already.
    pub async fn query_turn(&self) -> Result<OwnedSemaphorePermit, HttpError> {
        let waiting = self.queries_waiting.clone().try_acquire_owned();
        let _waiting = waiting.map_err(|_| HttpError::not_now(format!("{QUERIES_WAITING} queries wait already")))?;
        Ok(self.queries.clone().acquire_owned().await.expect("never closed"))
    }

    /// The same without waiting, where a place is free and nobody waits for it.
    pub fn query_turn_now(&self) -> Option<OwnedSemaphorePermit> {
        self.queries.clone().try_acquire_owned().ok()
    }

    /// A place for an answer that is evaluated and waits for its reader; none: all are taken.
    pub fn answer_place_now(&self) -> Option<OwnedSemaphorePermit> {
        self.answers.clone().try_acquire_owned().ok()
    }

    fn forget_now_and_then(&self) {
        if self.checks.fetch_add(1, std::sync::atomic::Ordering::Relaxed) % FORGET_EVERY == FORGET_EVERY - 1 {
            self.logins.retain_recent();
            self.senders.retain_recent();
        }
    }
}

/// The room that a body takes while it is read and taken apart. Short ones take none: connections are limited.
pub struct Room {
    all: Arc<Semaphore>,
    held: Option<OwnedSemaphorePermit>,
    units: usize,
}

impl Room {
    /// Waits for room for `len` bytes in all.
    pub async fn reach(&mut self, len: usize) {
        let wanted = (len.div_ceil(ROOM_UNIT).saturating_sub(1)).min(ROOM_UNITS);
        if wanted <= self.units {
            return;
        }
        let more = u32::try_from(wanted - self.units).expect("a few thousand");
        let more = self.all.clone().acquire_many_owned(more).await.expect("never closed");
        match &mut self.held {
            Some(held) => held.merge(more),
            held => *held = Some(more),
        }
        self.units = wanted;
    }
}

/// A body that is let in. Dropped without [`taken`](Self::taken) it was refused, and counts many times: who sends rubbish in a loop
/// is slowed long before who sends samples.
#[must_use = "a body that is not said to be taken counts as refused"]
pub struct Admitted<'a> {
    limits: &'a Limits,
    name: String,
    taken: bool,
}

impl Admitted<'_> {
    /// All of the body was taken.
    pub fn taken(mut self) {
        self.taken = true;
    }
}

impl Drop for Admitted<'_> {
    fn drop(&mut self) {
        if !self.taken {
            let more = NonZeroU32::new(REFUSED_COST - 1).expect("not zero");
            // Where not so many are left, the next body is refused anyway.
            let _ = self.limits.senders.check_key_n(&self.name, more);
        }
    }
}

impl Default for Limits {
    fn default() -> Limits {
        Limits::new()
    }
}

fn wait(of_what: &str, left: Duration) -> HttpError {
    let secs = u32::try_from(left.as_secs()).unwrap_or(u32::MAX).saturating_add(1);
    HttpError::too_many(format!("too many {of_what}: try again in {secs} s"), secs)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn guessing_ends_after_a_burst_and_only_for_its_address() {
        let limits = Limits::new();
        let from = |last| Some(IpAddr::V4(Ipv4Addr::new(192, 0, 2, last)));
        let refused = (0..LOGIN_BURST + 2).filter(|_| limits.login(from(1)).is_err()).count();
        assert!(refused >= 1);
        assert!(limits.login(from(2)).is_ok());
        assert_eq!(limits.login(from(1)).unwrap_err().status(), 429);
    }

    #[test]
    fn rubbish_costs_a_sender_more_than_samples() {
        let limits = Limits::new();
        let bodies = INGEST_PER_SEC / REFUSED_COST;
        for _ in 0..2 * bodies {
            limits.sender("shop").unwrap().taken();
        }
        let refused = (0..2 * bodies).filter(|_| limits.sender("broken").map(drop).is_err()).count();
        // A slow machine gives some back meanwhile.
        assert!(refused > 0, "{bodies} bad bodies in a moment are enough");
        assert!(limits.sender("shop").is_ok());
    }

    #[tokio::test]
    async fn long_bodies_wait_for_room_and_short_ones_do_not() {
        let limits = Limits::new();
        let mut rooms: Vec<Room> = (0..8).map(|_| limits.ingest_room()).collect();
        for room in &mut rooms {
            room.reach(INGEST_SENT_MAX).await;
            room.reach(1_000).await;
        }
        let (mut short, mut long) = (limits.ingest_room(), limits.ingest_room());
        short.reach(ROOM_UNIT).await;
        let waits = tokio::time::timeout(Duration::from_millis(20), long.reach(2 << 20)).await;
        assert!(waits.is_err(), "{} units are left", limits.room.available_permits());
        drop(rooms.pop());
        long.reach(1 << 20).await;
        long.reach(2 << 20).await;
        drop((rooms, short, long));
        assert_eq!(limits.room.available_permits(), ROOM_UNITS);
    }

    #[tokio::test]
    async fn queries_take_turns_and_the_queue_has_an_end() {
        let limits = Arc::new(Limits::new());
        let mut running = Vec::new();
        for _ in 0..QUERIES_AT_ONCE {
            running.push(limits.query_turn().await.unwrap());
        }
        let waiting: Vec<_> = (0..QUERIES_WAITING)
            .map(|_| {
                let limits = limits.clone();
                tokio::spawn(async move { limits.query_turn().await.map(drop) })
            })
            .collect();
        while limits.queries_waiting.available_permits() > 0 {
            tokio::task::yield_now().await;
        }
        assert_eq!(limits.query_turn().await.unwrap_err().status(), 503);
        drop(running);
        for turn in waiting {
            turn.await.unwrap().unwrap();
        }
    }
}
