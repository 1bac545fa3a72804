//! Random numbers from a seed, the same on every machine: splitmix64 (Steele, Lea, Flood 2014).

/// A source of random numbers.
#[derive(Clone, Debug)]
pub struct Random(u64);

impl Random {
    /// The same seed gives the same numbers.
    pub fn new(seed: u64) -> Random {
        Random(seed)
    }

    /// The next 64 bits.
    pub fn bits(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A number below `end`, which is at least 1.
    pub fn below(&mut self, end: u64) -> u64 {
        self.bits() % end.max(1)
    }

    /// From 0 to below 1.
    pub fn share(&mut self) -> f64 {
        (self.bits() >> 11) as f64 / (1_u64 << 53) as f64
    }

    /// True in this share of cases.
    pub fn chance(&mut self, share: f64) -> bool {
        self.share() < share
    }

    /// How many of `all` trials with this chance come out; jumps from one to the next, so rare ones cost little.
    pub fn successes(&mut self, all: u64, chance: f64) -> u64 {
        if chance <= 0.0 {
            return 0;
        }
        let (mut place, mut count) = (0_u64, 0);
        loop {
            let skip = ((1.0 - self.share()).ln() / (1.0 - chance.min(0.999_999)).ln()) as u64;
            place = place.saturating_add(skip).saturating_add(1);
            if place > all {
                return count;
            }
            count += 1;
        }
    }
}
