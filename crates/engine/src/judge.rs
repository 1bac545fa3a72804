//! The judge: is the new release worse than the old one, by the share of bad answers? It may look as often as it likes.
//!
//! Pure: gets counts, gives a verdict. A test that is looked at every 200 ms and stops at the first "significant" would
//! halt nearly every good release; this one bounds the chance that it *ever* halts a good one, however often it looks.
//!
//! For each look the e-variable of Turner, Ly and Grünwald ("Generic e-variables for exact sequential k-sample tests that
//! allow for optional stopping", 2021): with an alternative (new, old) and their pooled share p0, weighted by this look's
//! counts, the likelihood ratio of the alternative to p0 has an expectation of at most 1 if new is not worse. Its factor
//! for a new server's answer grows with the true share, so the bound also holds where new is better than old. Products
//! over looks are a test martingale, and so is their average over alternatives that differ by [`EFFECTS`]; by Ville's
//! inequality it ever reaches `bound` with a chance of at most 1 / `bound`. The old share in the alternative is learned
//! from earlier looks only. Release gates by such tests: Lindon, Sanden, Shirikian, KDD 2022.
//!
//! What it assumes: answers are independent given the shares, and how many there are does not depend on how good they are.

use model::order::{JudgeEvidence, JudgeVerdict};

/// By how much new is worse in each of the alternatives: from one point in a hundred to half of all answers.
const EFFECTS: [f64; 6] = [0.01, 0.03, 0.08, 0.15, 0.30, 0.60];
/// A difference below this does not halt, however sure it is.
const EFFECT_MIN: f64 = 0.005;
/// What is thought of the old share before anything was seen: 0.5 bad of 500 answers.
const BEFORE: (f64, f64) = (0.5, 500.0);
/// Share of cases in which a band ever misses the truth.
const BAND_MISSES: f64 = 0.05;

/// Compares new with old while a release rolls.
#[derive(Clone, Debug)]
pub struct Judge {
    bound: f64,
    /// The logarithm of each alternative's martingale.
    logs: [f64; EFFECTS.len()],
    seen: JudgeEvidence,
    verdict: JudgeVerdict,
}

/// The judge has changed its mind.
#[derive(Clone, Debug, PartialEq)]
pub struct Verdict {
    /// What it says now.
    pub verdict: JudgeVerdict,
    /// The counts behind it.
    pub evidence: JudgeEvidence,
}

impl Judge {
    /// Halts a good release at most once in `bound`.
    pub fn new(bound: u32) -> Judge {
        Judge {
            bound: f64::from(bound.max(2)),
            logs: [0.0; EFFECTS.len()],
            seen: JudgeEvidence::default(),
            verdict: JudgeVerdict::Undecided,
        }
    }

    /// The same, with what the old release answered before the first new server was in.
    pub fn knowing(bound: u32, old_bad: u64, old_all: u64) -> Judge {
        let mut judge = Judge::new(bound);
        judge.seen.old_bad = old_bad.min(old_all);
        judge.seen.old_all = old_all;
        judge
    }

    /// What came since the last look: bad answers and all answers, of new and of old servers. Says so once when new is worse.
    pub fn observe(&mut self, new_bad: u64, new_all: u64, old_bad: u64, old_all: u64) -> Option<Verdict> {
        let (new_bad, old_bad) = (new_bad.min(new_all), old_bad.min(old_all));
        if old_all > 0 {
            self.compare(new_bad, new_all, old_bad, old_all);
        } else {
            self.compare_with_memory(new_bad, new_all);
        }
        let seen = &mut self.seen;
        seen.new_bad += new_bad;
        seen.new_all += new_all;
        seen.old_bad += old_bad;
        seen.old_all += old_all;
        seen.e_value = e_value(&self.logs);
        let effect = share(seen.new_bad, seen.new_all) - share(seen.old_bad, seen.old_all);
        let is_worse = seen.e_value >= self.bound && effect >= EFFECT_MIN;
        if !is_worse || self.verdict == JudgeVerdict::Worse {
            return None;
        }
        self.verdict = JudgeVerdict::Worse;
        Some(Verdict { verdict: self.verdict, evidence: self.seen.clone() })
    }

    /// The counts so far.
    pub fn evidence(&self) -> &JudgeEvidence {
        &self.seen
    }

    /// What it says now.
    pub fn verdict(&self) -> JudgeVerdict {
        self.verdict
    }

    fn compare(&mut self, new_bad: u64, new_all: u64, old_bad: u64, old_all: u64) {
        let old = self.old_share();
        let (new_all, old_all) = (new_all as f64, old_all as f64);
        for (log, effect) in self.logs.iter_mut().zip(EFFECTS) {
            let new = (old + effect).min(0.999);
            let pooled = (new_all * new + old_all * old) / (new_all + old_all);
            *log += ratio(new_bad as f64, new_all, new, pooled) + ratio(old_bad as f64, old_all, old, pooled);
        }
    }

    /// Nobody runs the old release any more. New is compared with the most that the old share can have been; without any
    /// memory of it nothing can be said.
    fn compare_with_memory(&mut self, new_bad: u64, new_all: u64) {
        if self.seen.old_all == 0 {
            return;
        }
        let (_, old) = band(self.seen.old_bad, self.seen.old_all);
        for (log, effect) in self.logs.iter_mut().zip(EFFECTS) {
            let new = (old + effect).min(0.999);
            *log += ratio(new_bad as f64, new_all as f64, new, old.min(0.99));
        }
    }

    fn old_share(&self) -> f64 {
        let (bad, all) = BEFORE;
        ((self.seen.old_bad as f64 + bad) / (self.seen.old_all as f64 + all)).clamp(1e-6, 0.99)
    }
}

/// The logarithm of the likelihood of `bad` of `all` under `share`, against `other`.
fn ratio(bad: f64, all: f64, share: f64, other: f64) -> f64 {
    bad * (share / other).ln() + (all - bad) * ((1.0 - share) / (1.0 - other)).ln()
}

/// The average of the alternatives' martingales; cut where a double ends, so that it stays a number in JSON.
fn e_value(logs: &[f64]) -> f64 {
    let most = logs.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let sum: f64 = logs.iter().map(|log| (log - most).exp()).sum();
    (most + (sum / logs.len() as f64).ln()).min(690.0).exp()
}

fn share(bad: u64, all: u64) -> f64 {
    if all == 0 { 0.0 } else { bad as f64 / all as f64 }
}

/// Where the true share lies, valid at all times at once: 19 of 20 such bands never miss it, however long one looks.
/// Robbins' mixture: all shares whose likelihood is at least a twentieth of the likelihood averaged over all shares.
pub fn band(bad: u64, all: u64) -> (f64, f64) {
    if all == 0 {
        return (0.0, 1.0);
    }
    let (bad, good) = (bad.min(all) as f64, (all - bad.min(all)) as f64);
    let average = ln_gamma(bad + 1.0) + ln_gamma(good + 1.0) - ln_gamma(bad + good + 2.0);
    let least = average + BAND_MISSES.ln();
    let log = |count: f64, share: f64| if count == 0.0 { 0.0 } else { count * share.ln() };
    let is_in = |share: f64| log(bad, share) + log(good, 1.0 - share) >= least;
    let middle = bad / (bad + good);
    (edge(middle, 0.0, is_in), edge(middle, 1.0, is_in))
}

/// The last share on the way from `inside` to `end` that is still in; 60 halvings are exact to the last bit of a double.
fn edge(inside: f64, end: f64, is_in: impl Fn(f64) -> bool) -> f64 {
    if is_in(end) {
        return end;
    }
    let (mut inside, mut outside) = (inside, end);
    for _ in 0..60 {
        let middle = (inside + outside) / 2.0;
        if is_in(middle) { inside = middle } else { outside = middle }
    }
    inside
}

/// The logarithm of the gamma function for arguments of at least 1: Stirling's series, shifted to where it is exact to 1e-12.
fn ln_gamma(mut x: f64) -> f64 {
    let mut shift = 0.0;
    while x < 10.0 {
        shift += x.ln();
        x += 1.0;
    }
    let inverse = 1.0 / (x * x);
    let series = (1.0 / 12.0 - inverse * (1.0 / 360.0 - inverse * (1.0 / 1_260.0 - inverse / 1_680.0))) / x;
    (x - 0.5) * x.ln() - x + 0.5 * (2.0 * std::f64::consts::PI).ln() + series - shift
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::Random;

    /// Looks every 200 ms at one new server of four with 500 requests/s; says after how many looks it was halted.
    fn looks_until_halt(random: &mut Random, new: f64, old: f64, looks: u32) -> Option<u32> {
        let mut judge = Judge::new(1_000);
        (1..=looks).find(|_| judge.observe(random.successes(25, new), 25, random.successes(75, old), 75).is_some())
    }

    #[test]
    fn a_good_release_is_hardly_ever_halted_however_often_it_is_looked_at() {
        for share in [0.001, 0.02, 0.2] {
            let mut random = Random::new(1);
            let halted = (0..2_000).filter(|_| looks_until_halt(&mut random, share, share, 300).is_some()).count();
            // The bound allows 2 of 2,000 on average; 8 or more would be seen once in a thousand such tests.
            assert!(halted <= 7, "{halted} of 2,000 good releases with {share} bad answers were halted");
        }
    }

    #[test]
    fn a_better_release_is_never_halted() {
        let mut random = Random::new(2);
        let halted = (0..500).filter(|_| looks_until_halt(&mut random, 0.01, 0.05, 300).is_some()).count();
        assert_eq!(halted, 0);
    }

    #[test]
    fn a_bad_release_is_halted_within_a_second() {
        let mut random = Random::new(3);
        let mut looks: Vec<u32> =
            (0..500).map(|_| looks_until_halt(&mut random, 0.10, 0.000_1, 300).expect("10 % bad answers are seen")).collect();
        looks.sort_unstable();
        assert!(looks[250] <= 4, "median of {} looks", looks[250]);
        assert!(looks[499] <= 12, "at most {} looks", looks[499]);
    }

    #[test]
    fn a_difference_too_small_to_matter_hardly_ever_halts() {
        let mut random = Random::new(4);
        let halted = (0..200).filter(|_| looks_until_halt(&mut random, 0.003, 0.001, 500).is_some()).count();
        // The release is worse, by a fifth of a point: no bound speaks of that, but it should not often be stopped for it.
        assert!(halted <= 20, "{halted} of 200");
    }

    #[test]
    fn without_old_servers_it_remembers_the_old_share() {
        let mut judge = Judge::knowing(1_000, 4, 10_000);
        let mut random = Random::new(5);
        assert!((0..20).any(|_| judge.observe(random.successes(125, 0.1), 125, 0, 0).is_some()));
        let mut good = Judge::knowing(1_000, 4, 10_000);
        assert!((0..2_000).all(|_| good.observe(random.successes(125, 0.000_4), 125, 0, 0).is_none()));
        let mut blind = Judge::new(1_000);
        assert!((0..100).all(|_| blind.observe(100, 100, 0, 0).is_none()), "nothing to compare with");
    }

    #[test]
    fn it_says_so_once_with_the_counts() {
        let mut judge = Judge::new(1_000);
        let said = judge.observe(50, 100, 0, 300).expect("half of all answers bad");
        assert_eq!((said.evidence.new_bad, said.evidence.old_all), (50, 300));
        assert!(said.evidence.e_value >= 1_000.0 && said.evidence.e_value.is_finite());
        assert_eq!(judge.observe(50, 100, 0, 300), None);
        assert_eq!(judge.observe(7, 3, 9, 3), None, "more bad answers than answers are cut");
    }

    #[test]
    fn bands_hold_at_all_times() {
        for (bad, all) in [(0, 10), (1, 10), (5, 10), (10, 10), (209, 4_680), (3, 100_000)] {
            let (low, high) = band(bad, all);
            let share = bad as f64 / all as f64;
            assert!(0.0 <= low && low <= share && share <= high && high <= 1.0, "{bad} of {all}: {low} to {high}");
        }
        assert_eq!(band(0, 0), (0.0, 1.0));
        assert!(band(0, 10_000).1 < 0.002);
        let mut random = Random::new(6);
        let missed = (0..400).filter(|_| {
            let (mut bad, mut all) = (0, 0);
            (0..100).any(|_| {
                bad += random.successes(20, 0.03);
                all += 20;
                let (low, high) = band(bad, all);
                !(low..=high).contains(&0.03)
            })
        });
        assert!(missed.count() <= 30, "a twentieth of 400 is 20");
    }

    #[test]
    fn ln_gamma_is_the_factorial() {
        let mut product = 0.0;
        for number in 1..60 {
            assert!((ln_gamma(f64::from(number)) - product).abs() < 1e-9, "{number}");
            product += f64::from(number).ln();
        }
    }
}
