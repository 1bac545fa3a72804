//! Shares of work that several threads make and one sees, in their order, while others are still being made.
//!
//! There are only so many buffers: who makes ahead of what was seen waits for one to come back. A buffer is taken before its share, so
//! the share that is to be seen next always has one, and the line never stands still.

use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

use crate::error::EvalError;

/// The cells of a share; more of them than it has may lie behind.
#[derive(Default)]
pub(super) struct Cells {
    pub values: Vec<f64>,
    pub present: Vec<bool>,
}

impl Cells {
    /// So many zeros that are not present.
    pub fn clear(&mut self, len: usize) {
        self.values.clear();
        self.values.resize(len, 0.0);
        self.present.clear();
        self.present.resize(len, false);
    }
}

/// The shares of one query.
pub(super) struct Line {
    shares: usize,
    buffers: usize,
    state: Mutex<State>,
    /// The share to be seen next was made.
    came: Condvar,
    /// A buffer came back.
    freed: Condvar,
}

struct State {
    /// The share to be made next.
    next: usize,
    /// The share to be seen next.
    seen: usize,
    free: Vec<Cells>,
    /// What was made and not seen, a share at its number's remainder: never more than there are buffers.
    made: Vec<Option<Result<Cells, EvalError>>>,
    /// Nobody will see any more, or somebody who makes is gone.
    over: bool,
}

impl State {
    fn take(&mut self, shares: usize) -> Option<(usize, Cells)> {
        if self.next == shares {
            return None;
        }
        let cells = self.free.pop()?;
        self.next += 1;
        Some((self.next - 1, cells))
    }
}

/// Ends the line when its thread does: nobody waits for who is gone.
struct Ends<'l> {
    line: &'l Line,
    only_by_panic: bool,
}

impl Drop for Ends<'_> {
    fn drop(&mut self) {
        if !self.only_by_panic || std::thread::panicking() {
            self.line.state().over = true;
            self.line.came.notify_all();
            self.line.freed.notify_all();
        }
    }
}

impl Line {
    pub fn new(shares: usize, buffers: usize) -> Line {
        let free = (0..buffers).map(|_| Cells::default()).collect();
        let made = (0..buffers).map(|_| None).collect();
        let state = Mutex::new(State { next: 0, seen: 0, free, made, over: false });
        Line { shares, buffers, state, came: Condvar::new(), freed: Condvar::new() }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Makes shares until there are no more.
    pub fn help(&self, mut make: impl FnMut(usize, &mut Cells) -> Result<(), EvalError>) {
        let _ends = Ends { line: self, only_by_panic: true };
        let mut state = self.state();
        while !state.over && state.next < self.shares {
            let Some((share, mut cells)) = state.take(self.shares) else {
                state = self.freed.wait(state).unwrap_or_else(PoisonError::into_inner);
                continue;
            };
            drop(state);
            let made = make(share, &mut cells).map(|()| cells);
            state = self.state();
            state.made[share % self.buffers] = Some(made);
            if share == state.seen {
                self.came.notify_one();
            }
        }
    }

    /// Sees all shares in their order; makes some while none is there to be seen. Ends with the first error in that order.
    pub fn see(
        &self,
        mut make: impl FnMut(usize, &mut Cells) -> Result<(), EvalError>,
        mut see: impl FnMut(usize, &Cells) -> Result<(), EvalError>,
    ) -> Result<(), EvalError> {
        let _ends = Ends { line: self, only_by_panic: false };
        let mut state = self.state();
        while state.seen < self.shares && !state.over {
            let seen = state.seen;
            if let Some(made) = state.made[seen % self.buffers].take() {
                drop(state);
                let cells = made?;
                see(seen, &cells)?;
                state = self.state();
                state.seen += 1;
                state.free.push(cells);
                self.freed.notify_one();
            } else if let Some((share, mut cells)) = state.take(self.shares) {
                drop(state);
                let made = make(share, &mut cells).map(|()| cells);
                state = self.state();
                state.made[share % self.buffers] = Some(made);
            } else {
                state = self.came.wait(state).unwrap_or_else(PoisonError::into_inner);
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicBool, Ordering};

    use super::*;

    fn limit(share: usize) -> EvalError {
        EvalError::Limit { what: "a share", limit: share as u64 }
    }

    /// Runs a line; what was seen, and how it ended.
    fn run(shares: usize, helpers: usize, buffers: usize, bad: &[usize], ends_at: usize) -> (Vec<usize>, Result<(), EvalError>) {
        let line = Line::new(shares, buffers);
        let make = |share: usize, cells: &mut Cells| {
            cells.clear(3);
            // Some take longer than others.
            (0..share * 7919 % 50).for_each(|_| std::thread::yield_now());
            cells.values.fill(share as f64);
            if bad.contains(&share) { Err(limit(share)) } else { Ok(()) }
        };
        let mut seen = Vec::new();
        let done = std::thread::scope(|scope| {
            (0..helpers).for_each(|_| drop(scope.spawn(|| line.help(make))));
            line.see(make, |share, cells| {
                assert_eq!(cells.values, [share as f64; 3]);
                seen.push(share);
                if share == ends_at { Err(limit(1_000)) } else { Ok(()) }
            })
        });
        (seen, done)
    }

    #[test]
    fn all_are_seen_in_order_whoever_makes_them() {
        for (shares, helpers, buffers) in [(0, 0, 1), (0, 3, 12), (1, 3, 12), (40, 0, 1), (40, 1, 1), (200, 3, 2), (200, 3, 12)] {
            let (seen, done) = run(shares, helpers, buffers, &[], usize::MAX);
            assert_eq!(seen, (0..shares).collect::<Vec<_>>(), "{helpers} helpers, {buffers} buffers");
            done.unwrap();
        }
    }

    #[test]
    fn the_first_error_in_order_is_told() {
        for helpers in [0, 3] {
            let (seen, done) = run(100, helpers, 4, &[31, 30, 29, 99], usize::MAX);
            assert_eq!(seen, (0..29).collect::<Vec<_>>());
            assert!(matches!(done, Err(EvalError::Limit { limit: 29, .. })), "{done:?}");
            let (seen, done) = run(100, helpers, 4, &[31], 7);
            assert_eq!(seen, (0..=7).collect::<Vec<_>>());
            assert!(matches!(done, Err(EvalError::Limit { limit: 1_000, .. })), "{done:?}");
        }
    }

    #[test]
    fn a_panic_ends_it_on_either_side() {
        for by_helper in [false, true] {
            let line = Line::new(100, 4);
            let gone = AtomicBool::new(false);
            let ended = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
                std::thread::scope(|scope| {
                    for _ in 0..2 {
                        scope.spawn(|| {
                            line.help(|share, _| {
                                gone.fetch_or(share >= 50, Ordering::Relaxed);
                                assert!(!by_helper || share < 50, "a helper's end");
                                Ok(())
                            });
                        });
                    }
                    // Helpers have to come to the second half too.
                    let slow = |share: usize, _: &mut Cells| {
                        while by_helper && share >= 50 && !gone.load(Ordering::Relaxed) {
                            std::thread::yield_now();
                        }
                        Ok(())
                    };
                    line.see(slow, |share, _| {
                        assert!(by_helper || share < 50, "the end of who sees");
                        Ok(())
                    })
                })
            }));
            assert!(ended.is_err());
        }
    }
}
