//! The server's clock as the host knows it: everything that the agent reports is stamped by it.
//!
//! It is the server's last word plus what the monotonic clock counted since, so setting the host's own clock changes
//! nothing. Until the server has spoken it is the host's clock at the start plus the monotonic clock.

use std::sync::Mutex;
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use model::Time;

/// The server's clock.
#[derive(Debug)]
pub struct ServerClock {
    base: Mutex<Base>,
}

#[derive(Clone, Copy, Debug)]
struct Base {
    at: Instant,
    time: Time,
    heard: bool,
}

/// The host's own clock.
pub fn host_now() -> Time {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Time(i64::try_from(since.as_micros()).unwrap_or(i64::MAX))
}

impl Default for ServerClock {
    fn default() -> ServerClock {
        ServerClock { base: Mutex::new(Base { at: Instant::now(), time: host_now(), heard: false }) }
    }
}

impl ServerClock {
    fn base(&self) -> Base {
        *self.base.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    /// Now.
    pub fn now(&self) -> Time {
        let base = self.base();
        base.time + base.at.elapsed()
    }

    /// The server said what time it is.
    pub fn hear(&self, server_time: Time) {
        let base = Base { at: Instant::now(), time: server_time, heard: true };
        *self.base.lock().unwrap_or_else(std::sync::PoisonError::into_inner) = base;
    }

    /// Now, if the server has said it at least once since the start: only by this clock a step's expiry is judged.
    pub fn heard_now(&self) -> Option<Time> {
        let base = self.base();
        base.heard.then(|| base.time + base.at.elapsed())
    }

    /// How far the host's clock is ahead, in microseconds.
    pub fn host_ahead_us(&self) -> i64 {
        host_now().micros_from(self.now())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_server_counts() {
        let clock = ServerClock::default();
        assert!(clock.heard_now().is_none() && clock.host_ahead_us().abs() < 1_000_000);
        let hour_ago = Time(host_now().0 - 3_600_000_000);
        clock.hear(hour_ago);
        assert!(clock.heard_now().unwrap() >= hour_ago && clock.now().since(hour_ago).as_secs() < 60);
        assert!((clock.host_ahead_us() - 3_600_000_000).abs() < 60_000_000);
    }
}
