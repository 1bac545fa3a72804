//! F-01 with the whole server: killed while several senders write, it has every sample that it acknowledged.

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use crate::rig::{Up, encode, report, request};

const SENDERS: usize = 4;
/// Series of each sender.
const SERIES: usize = 25;

fn now_nanos() -> u128 {
    SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970").as_nanos()
}

/// Sends until told to stop or nobody answers. Each body is the next number, for each series; gives the numbers that were acknowledged,
/// with the one that nobody answered for.
fn send(up: &(String, String), sender: usize, first: u64, stop: &AtomicBool) -> (Vec<u64>, u64) {
    let token = format!("Bearer {}", up.1);
    let (mut acked, mut number) = (Vec::new(), first);
    while !stop.load(Relaxed) {
        let now = now_nanos();
        let lines: String =
            (0..SERIES).map(|series| format!("sent,sender=s{sender},series=n{series} number={number} {now}\n")).collect();
        let (status, said) = request(&up.0, "POST", "/write", &[("authorization", &token)], lines.as_bytes());
        match status {
            204 => acked.push(number),
            0 => break,
            // More often than a sender may: nothing of it was taken.
            429 => {
                std::thread::sleep(Duration::from_millis(20));
                continue;
            }
            _ => panic!("{status}: {said}"),
        }
        number += 1;
    }
    (acked, number)
}

/// The numbers that a series has, by an own query each: nothing is added up that might hide a loss.
fn numbers(up: &Up, sender: usize, series: usize) -> Vec<u64> {
    let query = format!("sent_number{{sender=\"s{sender}\",series=\"n{series}\"}}[2h]");
    let answer = up.json(&format!("/api/v1/query?query={}", encode(&query)));
    let values = answer["data"]["result"][0]["values"].as_array().cloned().unwrap_or_default();
    values.iter().map(|pair| pair[1].as_str().and_then(|text| text.parse().ok()).expect("a whole number")).collect()
}

#[test]
fn f01_the_server_is_killed_under_load() {
    let rounds: u64 = std::env::var("FLYBALL_SEEDS").ok().and_then(|text| text.parse().ok()).unwrap_or(3);
    let seed = now_nanos() as u64;
    report(&format!("seed {seed}, {rounds} kills"));
    let folder = tempfile::tempdir().unwrap();
    let mut acked: BTreeMap<usize, Vec<u64>> = BTreeMap::new();
    let mut next = [0; SENDERS];
    let (mut lost, mut wrong) = (0, 0);
    let mut up = Up::start(folder.path(), &[]);
    for round in 0..rounds {
        let lives = Duration::from_millis(300 + (seed ^ round.wrapping_mul(0x9e37_79b9_7f4a_7c15)) % 1_500);
        let (stop, got) = (AtomicBool::new(false), Mutex::new(Vec::new()));
        let place = (up.address.clone(), up.token.clone());
        std::thread::scope(|scope| {
            for (sender, first) in next.iter().enumerate() {
                let (place, stop, got) = (&place, &stop, &got);
                scope.spawn(move || {
                    let sent = send(place, sender, *first, stop);
                    got.lock().unwrap().push((sender, sent));
                });
            }
            std::thread::sleep(lives);
            up.kill();
            stop.store(true, Relaxed);
        });
        for (sender, (numbers, last)) in got.into_inner().unwrap() {
            assert!(!numbers.is_empty(), "sender {sender} was never answered in {lives:?}");
            acked.entry(sender).or_default().extend(numbers);
            next[sender] = last + 1;
        }
        up = Up::start(folder.path(), &[]);
        // All of it now and then, and at the end; else one series of each sender.
        let which = if round + 1 == rounds || round % 50 == 0 { 0..SERIES } else { 0..1 };
        for (sender, acked) in &acked {
            for series in which.clone() {
                let found = numbers(&up, *sender, series);
                lost += acked.iter().filter(|number| found.binary_search(number).is_err()).count();
                wrong += found.iter().filter(|number| **number >= next[*sender]).count();
                wrong += found.windows(2).filter(|pair| pair[0] >= pair[1]).count();
            }
        }
        assert_eq!((lost, wrong), (0, 0), "round {round}");
    }
    let bodies: usize = acked.values().map(Vec::len).sum();
    report(&format!("{rounds} kills, {} samples acknowledged, {lost} lost, {wrong} wrong", bodies * SERIES));
}
