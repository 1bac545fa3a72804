//! What time it is, for the edge: the engine gets times only with events.
//!
//! The system's clock is looked at once, at the start; from then on a monotonic counter runs, which follows the system's
//! clock by at most a thousandth. So a clock that somebody sets back by an hour moves no timer and no order of events.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use model::Time;

/// Tells the time. Never goes back.
pub trait Clock: Send + Sync {
    /// Now.
    fn now(&self) -> Time;

    /// From now on never earlier than `time`: where the journal ended last, so that a restart does not go back.
    fn not_before(&self, time: Time);
}

/// A clock that all parts share.
pub type SharedClock = Arc<dyn Clock>;

/// The machine's clock.
pub struct SystemClock {
    inner: Mutex<Anchor>,
    wall: Wall,
}

/// What the system says that it is.
type Wall = Box<dyn Fn() -> Time + Send + Sync>;

struct Anchor {
    at: Instant,
    time: Time,
    /// What was said last.
    said: Time,
}

/// The anchor is moved so often. Not with each look: what is lost to whole microseconds would add up to milliseconds a second.
const ANCHOR_EVERY: Duration = Duration::from_millis(100);

/// How much faster or slower than the monotonic counter time may run to follow the system's clock: one in so many.
const FOLLOW: i64 = 1_000;

impl SystemClock {
    /// Anchored at the system's clock as it is now.
    pub fn new() -> SystemClock {
        SystemClock::following(wall)
    }

    /// Anchored at another wall clock, as one that somebody sets back.
    pub fn following(wall: impl Fn() -> Time + Send + Sync + 'static) -> SystemClock {
        let time = wall();
        let inner = Mutex::new(Anchor { at: Instant::now(), time, said: time });
        SystemClock { inner, wall: Box::new(wall) }
    }
}

impl Default for SystemClock {
    fn default() -> SystemClock {
        SystemClock::new()
    }
}

impl Clock for SystemClock {
    fn now(&self) -> Time {
        let mut anchor = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        let passed = anchor.at.elapsed();
        let mut time = anchor.time + passed;
        if passed >= ANCHOR_EVERY {
            time = follow(anchor.time, passed, (self.wall)());
            anchor.at += passed;
            anchor.time = time;
        }
        anchor.said = anchor.said.max(time);
        anchor.said
    }

    fn not_before(&self, time: Time) {
        let mut anchor = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        let now = Instant::now();
        anchor.time = (anchor.time + now.duration_since(anchor.at)).max(time);
        anchor.at = now;
    }
}

/// `passed` later than `time`, and a little nearer to what the system's clock says.
fn follow(time: Time, passed: Duration, wall: Time) -> Time {
    let next = time + passed;
    let pace = i64::try_from(passed.as_micros()).unwrap_or(i64::MAX) / FOLLOW;
    Time(next.0 + wall.micros_from(next).clamp(-pace, pace))
}

/// The machine's wall clock, which may jump.
pub fn wall() -> Time {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Time(i64::try_from(since.as_micros()).unwrap_or(i64::MAX))
}

/// A clock that stands until it is moved: for tests and the simulator.
#[derive(Default)]
pub struct ManualClock {
    now: Mutex<Time>,
}

impl ManualClock {
    /// Stands at `time`.
    pub fn at(time: Time) -> ManualClock {
        ManualClock { now: Mutex::new(time) }
    }

    /// Moves it forward to `time`; never back.
    pub fn move_to(&self, time: Time) {
        self.not_before(time);
    }
}

impl Clock for ManualClock {
    fn now(&self) -> Time {
        *self.now.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn not_before(&self, time: Time) {
        let mut now = self.now.lock().unwrap_or_else(PoisonError::into_inner);
        *now = (*now).max(time);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_set_back_an_hour_moves_time_by_a_thousandth_at_most() {
        let start = Time::from_secs(1_800_000_000);
        let hour = Duration::from_secs(3_600);
        let second = Duration::from_secs(1);
        assert_eq!(follow(start, second, start - hour), start + Duration::from_micros(999_000));
        assert_eq!(follow(start, second, start + hour), start + Duration::from_micros(1_001_000));
        assert_eq!(follow(start, second, start + second + Duration::from_micros(7)), start + Duration::from_micros(1_000_007));
        assert_eq!(follow(start, Duration::ZERO, start - hour), start);
    }

    #[test]
    fn looking_often_does_not_slow_the_clock() {
        let clock = SystemClock::new();
        let (began, from) = (Instant::now(), clock.now());
        let mut last = from;
        while began.elapsed() < Duration::from_millis(300) {
            let now = clock.now();
            assert!(now >= last, "{last} then {now}");
            last = now;
        }
        // Some 100,000 looks: half a microsecond lost with each would be 50 ms.
        let passed = clock.now().since(from);
        assert!(passed >= Duration::from_millis(299), "{passed:?}");
    }

    #[test]
    fn time_does_not_go_back_behind_the_journal() {
        let clock = SystemClock::new();
        let ahead = clock.now() + Duration::from_secs(600);
        clock.not_before(ahead);
        assert!(clock.now() >= ahead);
    }
}
