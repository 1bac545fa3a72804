//! The decoders once more, written for reading and not for speed; and that ours agree with them on any bytes.
//!
//! The mutated corpus runs through these, and so do the fuzz targets.

pub mod exposition;
pub mod influx;
pub mod remote_write;

use model::intake::{KEY_SECRET_LEN, KeySecret, Rows};

/// A sample as both sides show it: labels, microseconds, bits of the value.
pub type Sample = (String, i64, u64);

/// The secret of these comparisons.
pub fn secret() -> KeySecret {
    KeySecret::new(std::array::from_fn::<u8, KEY_SECRET_LEN, _>(|place| (place * 89 + 7) as u8))
}

/// What a store would make of decoded rows: samples, and the faults of those whose key makes no labels.
pub fn shown(rows: &dyn Rows, samples: &mut Vec<Sample>, faults: &mut Vec<String>) {
    for (place, row) in rows.rows().iter().enumerate() {
        assert!(!rows.place(place).is_empty());
        match rows.labels(place) {
            Ok(labels) => samples.push((labels.to_string(), row.time.0, row.value.to_bits())),
            Err(fault) => faults.push(fault.to_string()),
        }
    }
}
