//! Bytes that only grow, in pieces: what was written never moves, so that growing costs no copy and gives no memory back to ask for it
//! again.

/// The first piece, in bytes.
const PIECE_MIN: usize = 2 << 10;
/// The largest.
const PIECE_MAX: usize = 16 << 10;
/// A piece with less room than this is full. What is longer makes its piece longer.
const ROOM: usize = 1 << 10;
/// Bits of a place that lie within a piece.
const WITHIN: u32 = 16;

/// Pieces, or one piece.
pub(super) struct Arena {
    pieces: Vec<Vec<u8>>,
    within: u32,
}

impl Default for Arena {
    fn default() -> Arena {
        Arena { pieces: Vec::new(), within: WITHIN }
    }
}

impl Arena {
    /// One piece, with room for so many bytes.
    pub fn whole(bytes: usize) -> Arena {
        Arena { pieces: vec![Vec::with_capacity(bytes)], within: u32::BITS }
    }

    /// The piece to append to, and the place of its end. Places are below 4 GiB, and of pieces below 65,536.
    pub fn end(&mut self) -> (u32, &mut Vec<u8>) {
        let full = |last: &Vec<u8>| self.within == WITHIN && last.capacity() - last.len() < ROOM;
        if self.pieces.last().is_none_or(full) {
            // About a quarter of what is there: doubling would leave half of it empty.
            let quarter = self.pieces.iter().map(Vec::len).sum::<usize>() / 4;
            self.pieces.push(Vec::with_capacity(quarter.next_power_of_two().clamp(PIECE_MIN, PIECE_MAX)));
        }
        let number = self.pieces.len() as u64 - 1;
        let last = self.pieces.last_mut().expect("there is one");
        ((number << self.within) as u32 | last.len() as u32, last)
    }

    /// What stands from a place on, to the end of its piece.
    #[inline]
    pub fn at(&self, place: u32) -> Option<&[u8]> {
        let number = u64::from(place) >> self.within;
        let offset = u64::from(place) & ((1 << self.within) - 1);
        self.pieces.get(number as usize)?.get(offset as usize..)
    }

    /// Bytes that stand in it.
    pub fn len(&self) -> usize {
        self.pieces.iter().map(Vec::len).sum()
    }

    /// Bytes that it takes.
    pub fn capacity(&self) -> usize {
        self.pieces.iter().map(Vec::capacity).sum()
    }

    /// Gives back the room that is not used.
    pub fn shrink(&mut self) {
        self.pieces.iter_mut().for_each(Vec::shrink_to_fit);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_written_stands_where_it_was() {
        for mut arena in [Arena::default(), Arena::whole(10)] {
            let (mut places, mut written) = (Vec::new(), 0);
            for number in 0..3_000_usize {
                // Longer ones than a piece has room for, too.
                let len = if number % 500 == 499 { 20_000 } else { number % 400 };
                let (place, end) = arena.end();
                end.extend(std::iter::repeat_n(number as u8, len));
                places.push((place, number as u8, len));
                written += len;
            }
            for (place, byte, len) in places {
                assert!(arena.at(place).unwrap()[..len].iter().all(|found| *found == byte));
            }
            assert_eq!(arena.len(), written);
            assert!(arena.capacity() < written * 2);
        }
        assert!(Arena::default().at(0).is_none() && Arena::whole(8).at(9).is_none());
    }
}
