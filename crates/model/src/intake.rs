//! Samples as the decoders of the hot protocols leave them: no label is parsed, a series is known by a hash of its raw bytes.
//!
//! A decoder makes one [`RawRow`] per sample. The store looks the row's [`KeyHash`] up; only for a series that it does not
//! know it asks [`Rows::labels`], which parses the raw bytes then. So a known series costs a hash and no allocation.

use xxhash_rust::xxh3::xxh3_128_with_secret;

use crate::labels::{Labels, LabelsError};
use crate::sample::SampleBatch;
use crate::time::Time;

/// The length of a [`KeySecret`] in bytes.
pub const KEY_SECRET_LEN: usize = 192;

/// 128 bits of keyed hash over the raw bytes that name a series in a protocol. Two different keys meet with a probability of
/// 2^-128 each: a sender who does not know the secret can't make them meet.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct KeyHash {
    /// Upper half: picks the place in a table.
    pub hi: u64,
    /// Lower half.
    pub lo: u64,
}

/// What hashes are made with: random bytes of the process, never written anywhere. XXH3 with a custom secret
/// (xxHash specification 0.2.0).
#[derive(Clone)]
pub struct KeySecret {
    bytes: [u8; KEY_SECRET_LEN],
    multiplier: u128,
}

impl KeySecret {
    /// From random bytes.
    pub fn new(random: [u8; KEY_SECRET_LEN]) -> KeySecret {
        let multiplier = xxh3_128_with_secret(b"flyball key", &random) | 1;
        KeySecret { bytes: random, multiplier }
    }

    /// Hashes the raw bytes of a key. `protocol` keeps apart keys of different protocols that happen to look alike.
    #[inline]
    pub fn hash(&self, protocol: Protocol, raw: &[u8]) -> KeyHash {
        let hash = xxh3_128_with_secret(raw, &self.bytes) ^ (protocol as u128);
        KeyHash { hi: (hash >> 64) as u64, lo: hash as u64 }
    }

    /// Hashes a key of two parts, of which the first was hashed already: the fields of a line share the line's tags.
    #[inline]
    pub fn join(&self, first: KeyHash, second: &[u8]) -> KeyHash {
        let first = (u128::from(first.hi) << 64) | u128::from(first.lo);
        let hash = first.wrapping_mul(self.multiplier).wrapping_add(xxh3_128_with_secret(second, &self.bytes));
        KeyHash { hi: (hash >> 64) as u64, lo: hash as u64 }
    }
}

impl std::fmt::Debug for KeySecret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("KeySecret")
    }
}

/// Whose raw bytes a key is made of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Protocol {
    /// [`Labels::key`].
    Labels = 1,
    /// Influx line protocol: measurement and tags as sent, joined with the field's name as sent.
    Influx = 2,
    /// Remote write 1.0: the label messages of a series as sent.
    RemoteWrite = 3,
}

/// One sample as a decoder left it.
#[derive(Clone, Copy, Debug)]
pub struct RawRow {
    /// Which series.
    pub key: KeyHash,
    /// When.
    pub time: Time,
    /// How much.
    pub value: f64,
    /// Where the raw key lies: the decoder knows what it means.
    pub at: u32,
    /// The same, a second part where the key has two.
    pub part: u32,
}

/// Decoded samples, and the way back from a row to what was sent.
pub trait Rows {
    /// The samples in the order in which they were sent.
    fn rows(&self) -> &[RawRow];

    /// The labels of a row's series, parsed now. Called for series that the store does not know.
    fn labels(&self, row: usize) -> Result<Labels, LabelsFault>;

    /// The place of a row in what was sent, for people: `line 12`, `series 3`.
    fn place(&self, row: usize) -> String;
}

/// Why the raw bytes of a key make no labels: a sentence with the place.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct LabelsFault(pub String);

impl From<LabelsError> for LabelsFault {
    fn from(error: LabelsError) -> LabelsFault {
        LabelsFault(error.to_string())
    }
}

/// A [`SampleBatch`] with its keys hashed.
pub struct KeyedBatch<'a> {
    batch: &'a SampleBatch,
    rows: Vec<RawRow>,
}

impl<'a> KeyedBatch<'a> {
    /// Hashes the keys.
    pub fn new(batch: &'a SampleBatch, secret: &KeySecret) -> KeyedBatch<'a> {
        let mut last: Option<(&str, KeyHash)> = None;
        let rows = batch.iter().enumerate().map(|(place, (key, sample))| {
            let hash = match last {
                Some((have, hash)) if have == key => hash,
                _ => secret.hash(Protocol::Labels, key.as_bytes()),
            };
            last = Some((key, hash));
            RawRow { key: hash, time: sample.time, value: sample.value, at: place as u32, part: 0 }
        });
        KeyedBatch { batch, rows: rows.collect() }
    }
}

impl Rows for KeyedBatch<'_> {
    fn rows(&self) -> &[RawRow] {
        &self.rows
    }

    fn labels(&self, row: usize) -> Result<Labels, LabelsFault> {
        let key = self.batch.key(row).unwrap_or_default();
        Ok(Labels::from_key(key)?)
    }

    fn place(&self, row: usize) -> String {
        format!("sample {}", row + 1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_of_other_protocols_and_other_parts_differ() {
        let secret = KeySecret::new(std::array::from_fn(|place| (place * 37 + 11) as u8));
        let one = secret.hash(Protocol::Influx, b"cpu,host=a");
        assert_ne!(one, secret.hash(Protocol::RemoteWrite, b"cpu,host=a"));
        assert_ne!(secret.join(one, b"user"), secret.join(one, b"idle"));
        assert_ne!(secret.join(one, b"user"), secret.join(secret.hash(Protocol::Influx, b"cpu,host=b"), b"user"));
        assert_eq!(one, secret.hash(Protocol::Influx, b"cpu,host=a"));
    }

    #[test]
    fn a_batch_gives_its_labels_back() {
        let secret = KeySecret::new([7; KEY_SECRET_LEN]);
        let labels = Labels::new([("__name__", "up"), ("job", "a")]).unwrap();
        let mut batch = SampleBatch::new();
        batch.push(&labels, Time(1), 1.0);
        batch.push(&labels, Time(2), 2.0);
        let keyed = KeyedBatch::new(&batch, &secret);
        assert_eq!(keyed.rows()[0].key, keyed.rows()[1].key);
        assert_eq!(keyed.labels(1), Ok(labels));
    }
}
