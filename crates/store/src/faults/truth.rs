//! What a store must hold, may hold, and must not hold: a plain map beside it.

use std::collections::BTreeMap;

use model::Time;
use query::source::{Columns, MatchOp, Matcher, Source, TimeRange};

use crate::Store;

/// One sample that was sent.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Put {
    pub series: u64,
    pub time: Time,
    pub bits: u64,
}

/// For each series and instant: the values that may be read there, the oldest first.
#[derive(Default)]
pub(super) struct Truth {
    instants: BTreeMap<(u64, Time), Instant>,
    acked: u64,
}

#[derive(Default)]
struct Instant {
    may_be: Vec<u64>,
    must_be: bool,
}

impl Truth {
    /// From now on these may be read.
    pub fn sent(&mut self, puts: &[Put]) {
        for put in puts {
            self.instants.entry((put.series, put.time)).or_default().may_be.push(put.bits);
        }
    }

    /// From now on these, or what was sent later for the same instant, must be read.
    pub fn acked(&mut self, puts: &[Put]) {
        for put in puts {
            let Some(instant) = self.instants.get_mut(&(put.series, put.time)) else { continue };
            if let Some(place) = instant.may_be.iter().position(|bits| *bits == put.bits) {
                instant.may_be.drain(..place);
                self.acked += u64::from(!instant.must_be);
                instant.must_be = true;
            }
        }
    }

    /// How many instants must be read.
    pub fn acked_len(&self) -> u64 {
        self.acked
    }

    /// How many acknowledged samples are missing, and how many values were never sent.
    pub fn compare(&self, store: &Store) -> (u64, u64) {
        self.compare_with(store, &Truth::default())
    }

    /// The same, where a second map says what else may be there.
    pub fn compare_with(&self, store: &Store, other: &Truth) -> (u64, u64) {
        self.differences(store, |put| other.instants.get(&(put.series, put.time)).is_some_and(|at| at.may_be.contains(&put.bits)))
    }

    /// The same, where instants that this map does not know may hold anything.
    pub fn compare_acked(&self, store: &Store) -> (u64, u64) {
        self.differences(store, |put| !self.instants.contains_key(&(put.series, put.time)))
    }

    fn differences(&self, store: &Store, may_be_too: impl Fn(&Put) -> bool) -> (u64, u64) {
        let whole = TimeRange { from: Time::MIN, to: Time::MAX };
        let (mut found, mut wrong) = (0, 0);
        for number in 0..40 {
            for put in read(store, number, whole).unwrap_or_default() {
                match self.instants.get(&(put.series, put.time)) {
                    Some(instant) if instant.may_be.contains(&put.bits) => found += u64::from(instant.must_be),
                    _ if may_be_too(&put) => {}
                    _ => wrong += 1,
                }
            }
        }
        (self.acked.saturating_sub(found), wrong)
    }
}

/// What the store says about a series; `None` where it does not know it, or knows it twice.
pub(super) fn read(store: &Store, number: u64, range: TimeRange) -> Option<Vec<Put>> {
    let matcher = Matcher::new("instance", MatchOp::Equal, format!("host-{number}")).ok()?;
    let view = store.view();
    let found = view.series(&[matcher], range, 10).ok()?;
    let [(series, _)] = found[..] else { return None };
    let mut columns = Columns::default();
    view.read(series, range, &mut columns).ok()?;
    let put = |(time, value): (&Time, &f64)| Put { series: number, time: *time, bits: value.to_bits() };
    Some(columns.times.iter().zip(&columns.values).map(put).collect())
}
