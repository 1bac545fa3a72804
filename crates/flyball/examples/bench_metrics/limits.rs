//! What this machine can do at most, measured in the same run: parsing without keeping, unpacking, the disk's sync.

use std::fs::File;
use std::hint::black_box;
use std::io::{Result, Write};
use std::path::Path;
use std::time::{Duration, Instant};

use super::encode::{Form, bodies};
use super::figures::{Limit, median, quantile};
use super::fleet::{Fleet, Shard};
use super::hook::through_stub;

const HOSTS: usize = 200;
const STEPS: i64 = 20;
const SYNCS_FOR: Duration = Duration::from_millis(2_300);
/// From the end of one sync to the next append.
const SYNC_PAUSE: Duration = Duration::from_millis(2);
const PUSHES: usize = 50;

/// All of them.
pub fn measure(folder: &Path) -> Result<Vec<Limit>> {
    let (text, packed, samples) = data();
    let naive = best_of(7, || parse(&text));
    let snappy = best_of(7, || packed.iter().map(|body| unpack(body)).sum());
    let syncs = sync_times(folder, SYNCS_FOR)?;
    Ok(vec![
        ("naive scalar parse of line protocol, one core", "M samples/s", samples / naive / 1e6),
        ("snappy of remote write", "CPU-s/M", snappy / (samples / 1e6)),
        ("fdatasync after 4 KiB, p50", "ms", median(syncs.clone())),
        ("fdatasync after 4 KiB, p99", "ms", quantile(syncs, 0.99)),
        ("push -> webhook through an ideal stub, p50", "ms", median(through_stub(PUSHES)?)),
    ])
}

fn data() -> (Vec<u8>, Vec<Vec<u8>>, f64) {
    let mut fleet = Fleet::new(HOSTS, Shard { number: 0, of: 1 }, None);
    let (mut text, mut packed) = (Vec::new(), Vec::new());
    for step in 0..STEPS {
        let time = 1_700_000_000_000 + step * 15_000;
        fleet.step(15.0, time);
        bodies(&fleet, Form::Influx, time, &mut text);
        bodies(&fleet, Form::RemoteWrite, time, &mut packed);
    }
    (text.concat(), packed, (fleet.series.len() as i64 * STEPS) as f64)
}

/// The fastest of some, in seconds.
fn best_of(times: usize, mut run: impl FnMut() -> u64) -> f64 {
    let mut best = f64::INFINITY;
    for _ in 0..times {
        let began = Instant::now();
        black_box(run());
        best = best.min(began.elapsed().as_secs_f64());
    }
    best
}

fn unpack(body: &[u8]) -> u64 {
    snap::raw::Decoder::new().decompress_vec(body).map_or(0, |plain| plain.len() as u64)
}

/// Byte by byte: finds each line's key, hashes it, reads its numbers, keeps nothing.
fn parse(text: &[u8]) -> u64 {
    let mut sum = 0_u64;
    for line in text.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()) {
        let blank = line.iter().position(|byte| *byte == b' ').unwrap_or(line.len());
        let mut hash = 0xcbf2_9ce4_8422_2325_u64;
        for eight in line[..blank].chunks(8) {
            let mut word = [0; 8];
            word[..eight.len()].copy_from_slice(eight);
            hash = (hash ^ u64::from_le_bytes(word)).wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(29);
        }
        sum ^= hash;
        let end = line.iter().rposition(|byte| *byte == b' ').unwrap_or(line.len());
        for field in line[(blank + 1).min(end)..end].split(|byte| *byte == b',') {
            let equals = field.iter().position(|byte| *byte == b'=').unwrap_or(0);
            let (mut number, mut decimals, mut dot) = (0_u64, 0, false);
            for byte in &field[equals + 1..] {
                match byte {
                    b'.' => dot = true,
                    digit => {
                        number = number.wrapping_mul(10).wrapping_add(u64::from(digit.wrapping_sub(b'0')));
                        decimals += i32::from(dot);
                    }
                }
            }
            sum ^= (number as f64 / 10_f64.powi(decimals)).to_bits();
        }
    }
    sum
}

/// How long fdatasync takes after an append of 4 KiB, in milliseconds.
pub fn sync_times(folder: &Path, lasting: Duration) -> Result<Vec<f64>> {
    let path = folder.join("bench-sync");
    let mut file = File::create(&path)?;
    let block = [5_u8; 4_096];
    let mut times = Vec::new();
    let end = Instant::now() + lasting;
    while Instant::now() < end {
        file.write_all(&block)?;
        let began = Instant::now();
        file.sync_data()?;
        times.push(began.elapsed().as_secs_f64() * 1e3);
        std::thread::sleep(SYNC_PAUSE);
    }
    drop(file);
    std::fs::remove_file(path)?;
    Ok(times)
}
