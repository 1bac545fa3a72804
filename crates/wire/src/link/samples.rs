//! Samples on the agent's link: a series' key is sent once per connection, later only its number.
//!
//! A body: version, flags, base time; new keys (length, text), numbered on from those before; then per sample the
//! distance of its series' number to the one expected, the distance of its time to the sample's before, and its value
//! against the series' value before. With the same series in the same order each second, as an agent sends them, a
//! sample costs 2 bytes beside its value, and an unchanged value 1. Bodies must be decoded in the order in which they
//! were encoded; what is sent again after a reconnect is encoded again, with a dictionary that starts anew.

use std::collections::HashMap;

use model::{Labels, Sample, SampleBatch, Time};

use crate::protobuf::{ProtobufError, Reader, put_varint, unzigzag, zigzag};

/// The version of this form.
pub const VERSION: u8 = 1;
/// Most series in the dictionary of one connection.
pub const SERIES_MAX: usize = 200_000;
/// Most bytes of keys in the dictionary of one connection.
pub const KEYS_LEN_MAX: usize = 64 * 1024 * 1024;
/// Most samples in one body; a reader gives each 32 bytes of memory.
pub const BODY_SAMPLES_MAX: usize = 500_000;

/// Most bytes of keys that the samples of one body may stand for.
pub const BODY_KEYS_LEN_MAX: usize = 256 * 1024 * 1024;

/// Where [`Encoder::encode_split`] begins the next body. One key alone may have 4.2 MB; this and 25 bytes for each of
/// the samples stay below a frame in any case.
const SPLIT_KEYS_LEN: usize = 2 * 1024 * 1024;
const SPLIT_SAMPLES: usize = 50_000;

/// Flag: the dictionary starts anew with this body.
const ANEW: u8 = 1;

/// The sender's side of a connection. A new one, or [`reset`](Self::reset), for each connection.
#[derive(Debug, Default)]
pub struct Encoder {
    numbers: HashMap<Box<str>, u32, ahash::RandomState>,
    values: Vec<u64>,
    keys_len: usize,
    keys: Vec<u8>,
    rows: Vec<u8>,
}

/// The receiver's side of a connection. After an error the connection must be closed: the dictionary may be half.
#[derive(Debug, Default)]
pub struct Decoder {
    series: Vec<(Labels, u64)>,
    keys_len: usize,
}

/// Why a body of samples was refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SamplesError {
    /// Written by something newer.
    #[error("samples of version {0}, this build reads {VERSION}")]
    Version(u8),
    /// Ends early or has a wrong number.
    #[error("read samples: {0}")]
    Malformed(#[from] ProtobufError),
    /// A key that no [`Encoder`] writes.
    #[error("new series {place}: {reason}")]
    Key {
        /// Its place among the new series of this body, from 0.
        place: usize,
        /// What is wrong.
        reason: String,
    },
    /// A number that no key was sent for.
    #[error("sample {place} is of series {number}, which was never sent")]
    UnknownSeries {
        /// Its place in this body, from 0.
        place: usize,
        /// The number.
        number: i64,
    },
    /// Over a limit.
    #[error("more than {max} {what}")]
    TooMuch {
        /// Of what.
        what: &'static str,
        /// The limit.
        max: usize,
    },
}

impl Encoder {
    /// For a new connection.
    pub fn new() -> Encoder {
        Encoder::default()
    }

    /// Forgets the dictionary; the next body says so.
    pub fn reset(&mut self) {
        self.numbers.clear();
        self.values.clear();
        self.keys_len = 0;
    }

    /// Appends the body for `batch` to `out`. For small batches, such as a second of a host: a reader refuses a body over
    /// its limits. See [`encode_split`](Self::encode_split) for batches of any size.
    pub fn encode(&mut self, batch: &SampleBatch, out: &mut Vec<u8>) {
        let keys_len = batch.iter().map(|(key, _)| key.len()).sum();
        self.encode_rows(batch.iter(), keys_len, out);
    }

    /// Gives `send` the bodies for `batch`, in order, each below the limits of a reader and of a frame.
    pub fn encode_split(&mut self, batch: &SampleBatch, mut send: impl FnMut(Vec<u8>)) {
        let mut start = 0;
        while start < batch.len() {
            let (mut count, mut keys_len) = (0, 0);
            for (key, _) in batch.iter().skip(start) {
                // As if each key was new: how many are is known only afterwards.
                if count > 0 && (keys_len + key.len() > SPLIT_KEYS_LEN || count == SPLIT_SAMPLES) {
                    break;
                }
                count += 1;
                keys_len += key.len();
            }
            let mut body = Vec::new();
            self.encode_rows(batch.iter().skip(start).take(count), keys_len, &mut body);
            send(body);
            start += count;
        }
    }

    fn encode_rows<'a>(&mut self, rows: impl ExactSizeIterator<Item = (&'a str, Sample)>, keys_len: usize, out: &mut Vec<u8>) {
        let count = rows.len();
        // Room for a batch of only new series, so that the dictionary never has to start anew in the middle of a body.
        if self.values.len() + count > SERIES_MAX || self.keys_len + keys_len > KEYS_LEN_MAX {
            self.reset();
        }
        let flags = if self.values.is_empty() { ANEW } else { 0 };
        self.keys.clear();
        self.rows.clear();
        let known = self.values.len();
        let (mut base, mut time_before, mut expected) = (0, None, 0);
        for (key, sample) in rows {
            let number = self.number(key);
            let value = sample.value.to_bits();
            let time = sample.time.0;
            let before = time_before.unwrap_or_else(|| {
                base = time;
                time
            });
            put_varint(&mut self.rows, zigzag(i64::from(number) - expected));
            put_varint(&mut self.rows, zigzag(time.wrapping_sub(before)));
            // Numbers of few digits end in zero bits: turned around, they are small.
            put_varint(&mut self.rows, (value ^ self.values[number as usize]).swap_bytes());
            self.values[number as usize] = value;
            (time_before, expected) = (Some(time), i64::from(number) + 1);
        }
        out.extend_from_slice(&[VERSION, flags]);
        put_varint(out, zigzag(base));
        put_varint(out, (self.values.len() - known) as u64);
        out.extend_from_slice(&self.keys);
        put_varint(out, count as u64);
        out.extend_from_slice(&self.rows);
    }

    fn number(&mut self, key: &str) -> u32 {
        if let Some(number) = self.numbers.get(key) {
            return *number;
        }
        let number = self.values.len() as u32;
        self.numbers.insert(key.into(), number);
        self.values.push(0);
        self.keys_len += key.len();
        put_varint(&mut self.keys, key.len() as u64);
        self.keys.extend_from_slice(key.as_bytes());
        number
    }
}

impl Decoder {
    /// For a new connection.
    pub fn new() -> Decoder {
        Decoder::default()
    }

    /// Adds the samples of a body to `out` and says how many they are. On an error `out` may hold some of them.
    pub fn decode(&mut self, body: &[u8], out: &mut SampleBatch) -> Result<usize, SamplesError> {
        let mut reader = Reader::new(body);
        let version = reader.byte()?;
        if version != VERSION {
            return Err(SamplesError::Version(version));
        }
        if reader.byte()? & ANEW != 0 {
            self.series.clear();
            self.keys_len = 0;
        }
        let mut time = unzigzag(reader.varint()?);
        self.read_keys(&mut reader)?;

        let count = reader.varint()?;
        if count > BODY_SAMPLES_MAX as u64 {
            return Err(SamplesError::TooMuch { what: "samples in one body", max: BODY_SAMPLES_MAX });
        }
        let (mut expected, mut copied) = (0i64, 0);
        for place in 0..count as usize {
            let number = expected.wrapping_add(unzigzag(reader.varint()?));
            time = time.wrapping_add(unzigzag(reader.varint()?));
            let change = reader.varint()?.swap_bytes();
            let series = usize::try_from(number).ok().and_then(|number| self.series.get_mut(number));
            let (labels, bits) = series.ok_or(SamplesError::UnknownSeries { place, number })?;
            *bits ^= change;
            // The batch gets a copy of the key for each sample: three bytes here could become kilobytes there.
            copied += labels.key().len();
            if copied > BODY_KEYS_LEN_MAX {
                return Err(SamplesError::TooMuch { what: "bytes of series keys in one body", max: BODY_KEYS_LEN_MAX });
            }
            out.push(labels, Time(time), f64::from_bits(*bits));
            expected = number.wrapping_add(1);
        }
        if !reader.is_done() {
            return Err(reader.error("something follows the last sample").into());
        }
        Ok(count as usize)
    }

    fn read_keys(&mut self, reader: &mut Reader<'_>) -> Result<(), SamplesError> {
        let count = reader.varint()?;
        if count > (SERIES_MAX - self.series.len()) as u64 {
            return Err(SamplesError::TooMuch { what: "series on one connection", max: SERIES_MAX });
        }
        for place in 0..count as usize {
            let len = reader.varint()?;
            let bytes = reader.take(len)?;
            let key = str::from_utf8(bytes).map_err(|error| SamplesError::Key { place, reason: error.to_string() })?;
            let labels = Labels::from_key(key).map_err(|error| SamplesError::Key { place, reason: error.to_string() })?;
            self.keys_len += key.len();
            if self.keys_len > KEYS_LEN_MAX {
                return Err(SamplesError::TooMuch { what: "bytes of series keys on one connection", max: KEYS_LEN_MAX });
            }
            self.series.push((labels, 0));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use model::STALE_NAN;
    use proptest::prelude::*;

    fn batch(rows: &[(&str, i64, f64)]) -> SampleBatch {
        let mut batch = SampleBatch::new();
        for (name, time, value) in rows {
            batch.push(&Labels::new([("__name__", *name)]).unwrap(), Time(*time), *value);
        }
        batch
    }

    fn rows(batch: &SampleBatch) -> Vec<(String, i64, u64)> {
        batch.iter().map(|(key, sample)| (key.to_owned(), sample.time.0, sample.value.to_bits())).collect()
    }

    #[test]
    fn a_known_series_costs_few_bytes() {
        let (mut encoder, mut decoder) = (Encoder::new(), Decoder::new());
        let first = batch(&[("up", 1_000_000, 1.0), ("load", 1_000_000, 0.25)]);
        let second = batch(&[("up", 2_000_000, 1.0), ("load", 2_000_000, STALE_NAN)]);
        let mut sizes = Vec::new();
        let mut seen = SampleBatch::new();
        for sent in [&first, &second] {
            let mut body = Vec::new();
            encoder.encode(sent, &mut body);
            sizes.push(body.len());
            seen.clear();
            assert_eq!(decoder.decode(&body, &mut seen), Ok(2));
            assert_eq!(rows(&seen), rows(sent));
        }
        assert_eq!(sizes, [45, 22]);
    }

    #[test]
    fn a_reset_encoder_meets_an_old_decoder() {
        let (mut encoder, mut decoder) = (Encoder::new(), Decoder::new());
        for _ in 0..2 {
            encoder.reset();
            let mut body = Vec::new();
            encoder.encode(&batch(&[("a", 1, 1.0), ("b", 2, 2.0)]), &mut body);
            decoder.decode(&body, &mut SampleBatch::new()).unwrap();
            assert_eq!(decoder.series.len(), 2);
        }
    }

    #[test]
    fn bad_bodies_say_why() {
        let mut known = Vec::new();
        let mut encoder = Encoder::new();
        encoder.encode(&batch(&[("a", 1, 1.0)]), &mut known);
        let mut later = Vec::new();
        encoder.encode(&batch(&[("a", 2, 1.0)]), &mut later);
        let cases: [(&[u8], &str); 7] = [
            (&[], "read samples: the body ends early at byte 0"),
            (&[9, 0], "samples of version 9, this build reads 1"),
            (&[1, 1, 0, 1, 1, b'x'], "new series 0: not a series key"),
            (&[1, 1, 0, 1, 9, b'x'], "read samples: a length reaches over the end at byte 5"),
            (&later, "sample 0 is of series 0, which was never sent"),
            (&[1, 1, 0, 0xff, 0xff, 0xff, 0x7f], "more than 200000 series on one connection"),
            (&[1, 1, 0, 0, 0xff, 0xff, 0xff, 0x7f], "more than 500000 samples in one body"),
        ];
        for (body, said) in cases {
            assert_eq!(Decoder::new().decode(body, &mut SampleBatch::new()).unwrap_err().to_string(), said);
        }
        known.push(0);
        assert!(Decoder::new().decode(&known, &mut SampleBatch::new()).is_err());
    }

    #[test]
    fn a_small_body_never_becomes_gigabytes() {
        let long = Labels::new([("__name__", "m"), ("a", &"x".repeat(16_000)), ("b", &"y".repeat(16_000))]).unwrap();
        let mut sent = SampleBatch::new();
        for time in 0..10_000 {
            sent.push(&long, Time(time), 1.0);
        }
        let mut body = Vec::new();
        Encoder::new().encode(&sent, &mut body);
        assert!(
            matches!(Decoder::new().decode(&body, &mut SampleBatch::new()), Err(SamplesError::TooMuch { .. })),
            "{}",
            body.len()
        );
    }

    #[test]
    fn a_large_batch_is_split_into_frames() {
        let long = "x".repeat(model::labels::LABEL_LEN_MAX);
        let longest: Vec<(String, &str)> =
            (0..model::labels::LABELS_MAX).map(|place| (format!("{}{place:03}", &long[3..]), long.as_str())).collect();
        let mut sent = SampleBatch::new();
        sent.push(&Labels::new(longest).unwrap(), Time(0), 1.0);
        for place in 0..120_000u32 {
            let labels = Labels::new([("__name__", format!("m{place}"))]).unwrap();
            sent.push(&labels, Time(i64::MAX - i64::from(place)), f64::from(place).sqrt());
        }
        let (mut encoder, mut decoder) = (Encoder::new(), Decoder::new());
        for _ in 0..2 {
            let mut seen = SampleBatch::new();
            let mut frames = 0;
            encoder.encode_split(&sent, |body| {
                assert!(body.len() < crate::link::FRAME_LEN_MAX - 1024, "{}", body.len());
                decoder.decode(&body, &mut seen).unwrap();
                frames += 1;
            });
            assert_eq!(frames, 4);
            assert_eq!(rows(&seen), rows(&sent));
        }
    }

    proptest! {
        #[test]
        fn what_goes_in_comes_out(bodies in proptest::collection::vec(
            proptest::collection::vec(("[a-e]", any::<i64>(), any::<u64>()), 0..20), 1..5)) {
            let (mut encoder, mut decoder) = (Encoder::new(), Decoder::new());
            for body in bodies {
                let mut sent = SampleBatch::new();
                for (name, time, bits) in &body {
                    sent.push(&Labels::new([("__name__", name)]).unwrap(), Time(*time), f64::from_bits(*bits));
                }
                let mut bytes = Vec::new();
                encoder.encode(&sent, &mut bytes);
                for cut in 0..bytes.len() {
                    // A decoder of its own: an error leaves its dictionary half.
                    prop_assert!(Decoder::new().decode(&bytes[..cut], &mut SampleBatch::new()).is_err());
                }
                let mut seen = SampleBatch::new();
                prop_assert_eq!(decoder.decode(&bytes, &mut seen), Ok(body.len()));
                prop_assert_eq!(rows(&seen), rows(&sent));
            }
        }

        #[test]
        fn any_bytes_are_read_or_refused(bytes in proptest::collection::vec(any::<u8>(), 0..100)) {
            let mut body = vec![VERSION, ANEW];
            body.extend_from_slice(&bytes);
            let mut seen = SampleBatch::new();
            if let Ok(count) = Decoder::new().decode(&body, &mut seen) {
                prop_assert_eq!(count, seen.len());
            }
        }
    }
}
