//! Samples on their way in: a column-like batch without one allocation per sample.

use crate::labels::{self, Labels, LabelsError};
use crate::time::Time;

/// The bits of Prometheus' staleness marker: "this series ended here". See prometheus `model/value/value.go`.
pub const STALE_NAN: f64 = f64::from_bits(0x7ff0_0000_0000_0002);

/// True for the staleness marker and for no other NaN.
pub fn is_stale(value: f64) -> bool {
    value.to_bits() == STALE_NAN.to_bits()
}

/// One value of a series at one instant.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Sample {
    /// When.
    pub time: Time,
    /// How much.
    pub value: f64,
}

/// Samples of many series, as a decoder found them. Keys lie behind each other in one string; `clear` keeps the memory.
#[derive(Clone, Default, Debug)]
pub struct SampleBatch {
    keys: String,
    rows: Vec<Row>,
}

#[derive(Clone, Copy, Debug)]
struct Row {
    key_start: u32,
    key_end: u32,
    time: Time,
    value: f64,
}

/// Most bytes of keys in one batch.
pub const BATCH_KEYS_MAX: usize = u32::MAX as usize / 2;

impl SampleBatch {
    /// An empty batch.
    pub fn new() -> SampleBatch {
        SampleBatch::default()
    }

    /// Forgets the samples and keeps the memory.
    pub fn clear(&mut self) {
        self.keys.clear();
        self.rows.clear();
    }

    /// Sorts `pairs` and begins a series with them; the samples that follow by [`push_value`](Self::push_value) are its.
    pub fn begin(&mut self, pairs: &mut Vec<(&str, &str)>) -> Result<SeriesStart, LabelsError> {
        let start = self.keys.len();
        if start > BATCH_KEYS_MAX {
            return Err(LabelsError::TooMany(self.rows.len()));
        }
        labels::encode(pairs, &mut self.keys)?;
        Ok(SeriesStart { key_start: start as u32, key_end: self.keys.len() as u32 })
    }

    /// Adds a sample to a series of this batch.
    pub fn push_value(&mut self, series: SeriesStart, time: Time, value: f64) {
        self.rows.push(Row { key_start: series.key_start, key_end: series.key_end, time, value });
    }

    /// Adds one sample of a series whose labels are known.
    pub fn push(&mut self, series: &Labels, time: Time, value: f64) {
        let key_start = self.keys.len() as u32;
        self.keys.push_str(series.key());
        let key_end = self.keys.len() as u32;
        self.rows.push(Row { key_start, key_end, time, value });
    }

    /// How many samples.
    pub fn len(&self) -> usize {
        self.rows.len()
    }

    /// True without samples.
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// The key of a sample's series, by the sample's place.
    pub fn key(&self, place: usize) -> Option<&str> {
        self.rows.get(place).map(|row| &self.keys[row.key_start as usize..row.key_end as usize])
    }

    /// The samples in the order in which they came: key, time, value.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (&str, Sample)> {
        self.rows
            .iter()
            .map(|row| (&self.keys[row.key_start as usize..row.key_end as usize], Sample { time: row.time, value: row.value }))
    }
}

/// A series begun in a batch.
#[derive(Clone, Copy, Debug)]
pub struct SeriesStart {
    key_start: u32,
    key_end: u32,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_batch_gives_back_what_went_in() {
        let mut batch = SampleBatch::new();
        let series = batch.begin(&mut vec![("b", "2"), ("a", "1")]).unwrap();
        batch.push_value(series, Time(1), 1.0);
        batch.push_value(series, Time(2), 2.0);
        batch.push(&Labels::new([("c", "3")]).unwrap(), Time(3), STALE_NAN);
        let seen: Vec<_> =
            batch.iter().map(|(key, sample)| (Labels::from_key(key).unwrap().to_string(), sample.time.0)).collect();
        assert_eq!(seen, [(r#"{a="1", b="2"}"#.into(), 1), (r#"{a="1", b="2"}"#.into(), 2), (r#"{c="3"}"#.into(), 3)]);
        assert!(is_stale(batch.iter().last().unwrap().1.value) && !is_stale(f64::NAN));
    }
}
