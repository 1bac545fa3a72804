//! What goes in comes out, costs little, and what was damaged never panics.

use model::sample::STALE_NAN;
use proptest::prelude::*;

use super::*;
use crate::files::Random;

fn encoded(values: &[f64]) -> Vec<u8> {
    let mut out = Vec::new();
    encode_values(values, &mut out);
    out
}

/// The cost in bytes, after a round trip.
fn round_trip(values: &[f64]) -> usize {
    let bytes = encoded(values);
    let mut back = vec![7.0];
    decode_values(&bytes, values.len(), &mut back).expect("just encoded");
    let bits = |values: &[f64]| values.iter().map(|value| value.to_bits()).collect::<Vec<_>>();
    assert_eq!(bits(&back[1..]), bits(values));
    bytes.len()
}

fn round_trip_times(times: &[i64]) -> usize {
    let mut bytes = Vec::new();
    encode_times(times, &mut bytes);
    let mut back = Vec::new();
    decode_times(&bytes, times.first().copied().unwrap_or(0), times.len(), &mut back).expect("just encoded");
    assert_eq!(back, times);
    bytes.len()
}

#[test]
fn values_cost_little() {
    let mut random = Random::new(5);
    let mut check = |name: &str, limit: usize, make: &mut dyn FnMut(u64, &mut Random) -> f64| {
        let values: Vec<f64> = (0..240).map(|step| make(step, &mut random)).collect();
        let cost = round_trip(&values);
        assert!(cost <= limit, "{name}: {cost} bytes for 240, {limit} at most");
    };
    check("constant", 3, &mut |_, _| 0.25);
    check("one", 2, &mut |_, _| 1.0);
    check("steady counter", 8, &mut |step, _| (step * 17) as f64);
    check("clock", 8, &mut |step, _| 1.7e9 + (step * 15) as f64);
    let mut total = 0;
    check("counter", 240 * 7 / 8 + 8, &mut |_, random| (total += random.below(100), total as f64).1);
    let mut total = 1_000_000;
    check("counter with a reset", 240 * 7 / 8 + 16, &mut |step, random| {
        total = if step == 100 { 0 } else { total + random.below(100) };
        total as f64
    });
    check("cpu seconds", 240 * 4 / 8 + 8, &mut |step, random| (step * 100 + random.below(8)) as f64 / 100.0);
    check("memory in pages", 240 * 10 / 8 + 16, &mut |_, random| 4e9 + (random.below(1000) * 4096) as f64);
    check("steps of 250", 240 * 3 / 8 + 10, &mut |_, random| 1e6 + (random.below(8) * 250) as f64);
    check("a spike", 240 * 3 / 8 + 16, &mut |step, random| random.below(8) as f64 + if step == 77 { 1e9 } else { 0.0 });
    check("stale at the end", 240 * 7 / 8 + 24, &mut |step, random| {
        if step == 239 { STALE_NAN } else { random.below(100) as f64 }
    });
    check("changes once", 16, &mut |step, _| if step < 100 { 8e9 } else { 9e9 });
    check("one long fraction", 240 * 10 / 8 + 24, &mut |step, random| {
        if step == 9 { 0.1 + 0.2 } else { random.below(1000) as f64 / 100.0 }
    });
    check("quiet, then busy", 280, &mut |step, random| random.below(if step < 180 { 4 } else { 1 << 20 }) as f64);
    check("singles", 240 * 4, &mut |_, random| f64::from(random.below(1 << 24) as f32 / 16_777_216.0));
    check("doubles", 240 * 8 + 24, &mut |_, random| random.bits() as f64 / u64::MAX as f64);
    check("any bits", 240 * 8 + 24, &mut |_, random| f64::from_bits(random.bits()));
}

#[test]
fn odd_values_come_back() {
    let odd =
        [0.0, -0.0, f64::INFINITY, f64::NEG_INFINITY, STALE_NAN, f64::NAN, f64::MIN, f64::MAX, 5e-324, 1e300, 9e15, -9.3e18];
    for count in 1..odd.len() {
        for begin in 0..=odd.len() - count {
            round_trip(&odd[begin..begin + count]);
        }
    }
    for value in odd {
        for place in 0..20 {
            let mut values: Vec<f64> = (0..20).map(|step| f64::from(step) / 8.0).collect();
            values[place] = value;
            assert!(round_trip(&values) < 20 * 8, "{value} at {place}");
        }
    }
}

#[test]
fn times_cost_little() {
    let mut random = Random::new(6);
    let grid = |step: i64| (0..240).map(|place| 1_700_000_000_123_456 + place * step).collect::<Vec<_>>();
    assert!(round_trip_times(&grid(15_000_000)) <= 3);
    assert!(round_trip_times(&grid(1_000_000)) <= 3);
    assert!(round_trip_times(&grid(250_000)) <= 4);
    let jitter: Vec<i64> = grid(15_000_000).iter().map(|time| time + random.below(8) as i64 * 1_000).collect();
    assert!(round_trip_times(&jitter) <= 240 * 4 / 8 + 10);
    let gap: Vec<i64> =
        grid(15_000_000).into_iter().enumerate().filter(|(place, _)| *place != 100).map(|(_, time)| time).collect();
    assert!(round_trip_times(&gap) <= 16);
    round_trip_times(&[]);
    round_trip_times(&[5]);
    round_trip_times(&[i64::MIN, -1, i64::MAX]);
}

#[test]
fn damaged_bytes_never_panic_and_never_give_too_much() {
    let mut random = Random::new(11);
    for round in 0..20_000u64 {
        let bytes: Vec<u8> = match round % 2 {
            0 => (0..random.below(60)).map(|_| random.bits() as u8).collect(),
            _ => {
                let values: Vec<f64> = (0..=random.below(100)).map(|_| random.below(1 << (round % 30)) as f64 / 4.0).collect();
                let mut bytes = encoded(&values);
                let place = random.below(bytes.len() as u64) as usize;
                bytes[place] ^= 1 << random.below(8);
                bytes
            }
        };
        let count = random.below(300) as usize;
        let (mut values, mut times) = (Vec::new(), Vec::new());
        if decode_values(&bytes, count, &mut values).is_some() {
            assert_eq!(values.len(), count);
        }
        if decode_times(&bytes, 0, count, &mut times).is_some() {
            assert!(times.len() == count && times.is_sorted());
        }
        assert!(values.len() <= 300 && times.len() <= 300);
    }
    assert_eq!(decode_values(&[3, 0], COUNT_MAX + 1, &mut Vec::new()), None);
    assert_eq!(decode_times(&[3, 2], 0, usize::MAX, &mut Vec::new()), None);
}

/// Runs as they come, and odd ones among them.
fn runs() -> impl Strategy<Value = Vec<f64>> {
    let odd = prop_oneof![Just(STALE_NAN), Just(-0.0), Just(f64::NAN), Just(f64::INFINITY), any::<f64>()];
    let shape = (any::<i32>(), 0..4i32, 1..40u32, 0..2_000usize);
    (shape, proptest::collection::vec((any::<u64>(), 0..100u8), 1..600), odd).prop_map(
        |((base, exponent, bits, odd_share), steps, odd)| {
            let mut sum = i64::from(base);
            let value = |(step, kind): (u64, u8)| {
                let step = (step >> (64 - bits)) as i64;
                sum = if kind < 50 { sum + step } else { i64::from(base) + step };
                if usize::from(kind) * 100 < odd_share { odd } else { sum as f64 / 10f64.powi(exponent) }
            };
            steps.into_iter().map(value).collect()
        },
    )
}

proptest! {
    #[test]
    fn values_come_back_bit_for_bit(values in runs()) {
        round_trip(&values);
    }

    #[test]
    fn any_doubles_come_back(bits in proptest::collection::vec(any::<u64>(), 1..100)) {
        round_trip(&bits.into_iter().map(f64::from_bits).collect::<Vec<_>>());
    }

    #[test]
    fn times_come_back(first in any::<i32>(), bits in 1..44u32, steps in proptest::collection::vec(any::<u64>(), 0..600)) {
        let times = steps.iter().scan(i64::from(first), |time, step| {
            *time += 1 + (step >> (64 - bits)) as i64;
            Some(*time)
        });
        round_trip_times(&times.collect::<Vec<_>>());
    }
}
