//! What one reader missed of the history: damaged blocks and pages, each once however often it was asked for, and whole parts.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Mutex, PoisonError};

use model::Time;

use crate::history::DAY;

/// So many places are told apart; where there are more, at least so many are missing.
const PLACES_MAX: usize = 1_000;

/// What a reader asked for and did not get. Shared by his threads.
#[derive(Debug, Default)]
pub struct Missed {
    any: AtomicBool,
    /// Day and number of the part, and the place in it.
    places: Mutex<BTreeSet<(i64, u64, Piece)>>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Piece {
    Whole,
    /// Section, and which of its pages where that is known.
    Page(u8, Option<usize>),
    /// Where the block begins.
    Block(u64),
}

impl Missed {
    /// Notes a part that can't be opened.
    pub fn part(&self, day: i64, number: u64) {
        self.note(day, number, Piece::Whole);
    }

    pub(super) fn note(&self, day: i64, number: u64, piece: Piece) {
        self.any.store(true, Relaxed);
        let mut places = self.places.lock().unwrap_or_else(PoisonError::into_inner);
        if places.len() < PLACES_MAX {
            places.insert((day, number, piece));
        }
    }

    /// A sentence for whoever reads the answer; `None` where nothing was missed.
    pub fn in_words(&self) -> Option<String> {
        if !self.any.load(Relaxed) {
            return None;
        }
        let places = self.places.lock().unwrap_or_else(PoisonError::into_inner);
        let count = |one: &str, many: &str, fits: fn(&Piece) -> bool| {
            let count = places.iter().filter(|(_, _, piece)| fits(piece)).count();
            (count > 0).then(|| format!("{count} {}", if count == 1 { one } else { many }))
        };
        let what = [
            count("part", "parts", |piece| matches!(piece, Piece::Whole)),
            count("block of samples", "blocks of samples", |piece| matches!(piece, Piece::Block(_))),
            count("page of the index", "pages of the index", |piece| matches!(piece, Piece::Page(..))),
        ];
        let what: Vec<String> = what.into_iter().flatten().collect();
        let least = if places.len() >= PLACES_MAX { "at least " } else { "" };
        let date =
            |day: i64| Time(day.saturating_mul(DAY)).to_string().chars().take_while(|char| *char != 'T').collect::<String>();
        let days = match (places.first().map(|first| first.0), places.last().map(|last| last.0)) {
            (Some(first), Some(last)) if first != last => format!("{} to {}", date(first), date(last)),
            (Some(day), _) => date(day),
            (None, _) => return None,
        };
        let what = what.join(" and ");
        Some(format!("damage on the disk: {least}{what} of {days} can't be read, and what they hold is missing here"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_place_is_told_once() {
        let missed = Missed::default();
        assert_eq!(missed.in_words(), None);
        (0..3).for_each(|_| missed.note(20_780, 7, Piece::Block(4_096)));
        let said = "damage on the disk: 1 block of samples of 2026-11-23 can't be read, and what they hold is missing here";
        assert_eq!(missed.in_words().unwrap(), said);
        missed.part(20_778, 3);
        missed.note(20_780, 8, Piece::Block(4_096));
        missed.note(20_780, 8, Piece::Page(2, None));
        let said = missed.in_words().unwrap();
        assert!(said.contains("1 part and 2 blocks of samples and 1 page of the index of 2026-11-21 to 2026-11-23 "), "{said}");
        (0..2 * PLACES_MAX as u64).for_each(|at| missed.note(20_780, 8, Piece::Block(at)));
        assert!(missed.in_words().unwrap().contains("at least "));
    }
}
