//! The bodies of `tests/corpus`, as they are and mutated: no decoder panics, takes more memory than its limit, or disagrees with the
//! slow ones of `reference`.
//!
//! Each run mutates anew with seeds that it prints with a failure; `FLYBALL_SEEDS` says how many, `FLYBALL_SEED` which is the first.

use std::path::Path;

use wire::compression::Encoding;

use crate::reference::{exposition, influx, remote_write};

/// Mutated bodies of one seed.
const MUTATIONS: u64 = 20_000;
/// Longest mutated body.
const LEN_MAX: usize = 4_096;
/// What is put into bodies beside other bytes of them: what means something in one of the formats.
const PIECES: &[&[u8]] = &[
    b"\n",
    b"\r\n",
    b" ",
    b",",
    b"=",
    b"\\",
    b"\"",
    b"\\\"",
    b"\\ ",
    b"=\"",
    b"#",
    b"{",
    b"}",
    b"# EOF\n",
    b"NaN",
    b"-",
    b".",
    b"i",
    b"u",
    b"t",
    b"1e9",
    b"9223372036854775807",
    b"18446744073709551616",
    b"0.1",
    b"\xff",
    b"\xc3",
    b"\xc3\xa4",
    b"\0",
    b"\x0a",
    b"\x12",
    b"\x80\x80\x80\x80\x80\x80\x80\x80\x80\x01",
    b"\xff\xff\xff\xff\x0f",
    b"\x7f",
    b"__name__",
    b"# TYPE ",
    b"\t",
];

/// Numbers that look random and are the same for a seed (splitmix64).
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    fn below(&mut self, end: usize) -> usize {
        (self.next() % end.max(1) as u64) as usize
    }
}

fn mutated(bodies: &[Vec<u8>], random: &mut Random) -> Vec<u8> {
    let mut body = bodies[random.below(bodies.len())].clone();
    for _ in 0..=random.below(4) {
        let at = random.below(body.len() + 1);
        let end = (at + random.below(24)).min(body.len());
        match random.below(7) {
            0 if at < body.len() => body[at] ^= 1 << random.below(8),
            1 if at < body.len() => body[at] = random.next() as u8,
            2 => drop(body.drain(at..end)),
            3 => drop(body.splice(at..at, PIECES[random.below(PIECES.len())].iter().copied())),
            4 => body.truncate(at),
            5 => {
                let copy = body[at..end].to_vec();
                let to = random.below(body.len() + 1);
                drop(body.splice(to..to, copy));
            }
            _ => {
                let other = &bodies[random.below(bodies.len())];
                let from = random.below(other.len() + 1);
                let piece = other[from..(from + random.below(40)).min(other.len())].to_vec();
                drop(body.splice(at..end, piece));
            }
        }
    }
    body.truncate(LEN_MAX);
    body
}

fn bodies(folder: &str) -> Vec<Vec<u8>> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/corpus").join(folder);
    let mut files: Vec<_> = std::fs::read_dir(path).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    assert!(!files.is_empty());
    files.into_iter().map(|file| std::fs::read(file).unwrap()).collect()
}

fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok()?.parse().ok()
}

/// Runs `check` over the bodies of a folder and their mutations.
fn fuzz(folder: &str, check: fn(&[u8])) {
    let bodies = bodies(folder);
    for body in &bodies {
        check(body);
        for cut in 0..body.len() {
            check(&body[..cut]);
        }
    }
    let first = number("FLYBALL_SEED").unwrap_or_else(|| u64::from(std::process::id()));
    for seed in first..first + number("FLYBALL_SEEDS").unwrap_or(1) {
        let mut random = Random(seed);
        for nth in 0..MUTATIONS {
            let body = mutated(&bodies, &mut random);
            let done = std::panic::catch_unwind(|| check(&body));
            assert!(done.is_ok(), "FLYBALL_SEED={seed}, mutation {nth} of {folder}: {:?}", String::from_utf8_lossy(&body));
        }
    }
}

#[test]
fn fuzz_line_protocol() {
    fuzz("influx", influx::agree);
}

#[test]
fn fuzz_remote_write() {
    fuzz("remote_write", remote_write::agree);
}

#[test]
fn fuzz_exposition() {
    fuzz("exposition", exposition::agree);
}

#[test]
fn fuzz_packed_bodies() {
    fuzz("packed", |body| {
        const LIMIT: usize = 10_000;
        let mut memory = Vec::new();
        for encoding in [Encoding::Gzip, Encoding::Deflate, Encoding::Snappy, Encoding::Zstd] {
            if let Ok(plain) = encoding.open_into(body, LIMIT, &mut memory) {
                assert!(plain.len() <= LIMIT);
            }
            assert!(memory.capacity() <= 4 * LIMIT, "{encoding:?} took {} bytes", memory.capacity());
        }
    });
}
