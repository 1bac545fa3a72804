//! The bodies of the log's records, written and read. docs/format.md says the same in words.

use model::{Labels, Time};

use crate::Metadata;
use crate::bits::{Reader, put_signed, put_text, put_varint, unzigzag, zigzag};

/// An integer up to this size is written as a varint, anything else as its eight bytes.
const SMALL_MAX: f64 = (1u64 << 40) as f64;

/// One accepted sample.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Row {
    pub series: u64,
    pub time: i64,
    pub value: f64,
}

/// Appends one entry of a series record.
pub(crate) fn put_series(out: &mut Vec<u8>, series: u64, labels: &Labels) {
    put_varint(out, series);
    put_text(out, labels.key());
}

/// The entries of a series record; `None` at what is none.
pub(crate) fn read_series(body: &[u8]) -> impl Iterator<Item = Option<(u64, Labels)>> {
    let mut reader = Reader::new(body);
    std::iter::from_fn(move || {
        if reader.rest.is_empty() {
            return None;
        }
        let entry = (|| Some((reader.varint()?, Labels::from_key(reader.text()?).ok()?)))();
        if entry.is_none() {
            reader.rest = &[];
        }
        Some(entry)
    })
}

/// Appends the body of a samples record: receive time, count, then the columns.
pub(crate) fn put_samples(out: &mut Vec<u8>, received: Time, rows: &[Row]) {
    put_signed(out, received.0);
    put_varint(out, rows.len() as u64);
    let mut before = 0;
    for row in rows {
        put_signed(out, row.series.wrapping_sub(before) as i64);
        before = row.series;
    }
    let mut before = received.0;
    for row in rows {
        put_signed(out, row.time.wrapping_sub(before));
        before = row.time;
    }
    for row in rows {
        put_value(out, row.value);
    }
}

fn put_value(out: &mut Vec<u8>, value: f64) {
    let whole = value as i64;
    if value.abs() < SMALL_MAX && (whole as f64).to_bits() == value.to_bits() {
        put_varint(out, zigzag(whole) + 1);
    } else {
        out.push(0);
        out.extend_from_slice(&value.to_bits().to_le_bytes());
    }
}

/// Reads the body of a samples record into `rows`, which is emptied first. `None` where it is none.
pub(crate) fn read_samples(body: &[u8], rows: &mut Vec<Row>) -> Option<Time> {
    rows.clear();
    let mut reader = Reader::new(body);
    let received = reader.signed()?;
    let count = reader.count()?;
    rows.reserve(count);
    let mut series = 0u64;
    for _ in 0..count {
        series = series.wrapping_add(reader.signed()? as u64);
        rows.push(Row { series, time: 0, value: 0.0 });
    }
    let mut time = received;
    for row in rows.iter_mut() {
        time = time.wrapping_add(reader.signed()?);
        row.time = time;
    }
    for row in rows.iter_mut() {
        row.value = match reader.varint()? {
            0 => f64::from_bits(u64::from_le_bytes(reader.array()?)),
            whole => unzigzag(whole - 1) as f64,
        };
    }
    Some(Time(received))
}

/// Appends the body of a metadata record.
pub(crate) fn put_metadata(out: &mut Vec<u8>, metric: &str, metadata: &Metadata) {
    for text in [metric, &metadata.kind, &metadata.help, &metadata.unit] {
        put_text(out, text);
    }
}

/// Reads one metadata entry from the front; `None` where it is none.
pub(crate) fn read_metadata(reader: &mut Reader<'_>) -> Option<(String, Metadata)> {
    let mut text = || reader.text().map(str::to_owned);
    let (metric, kind, help, unit) = (text()?, text()?, text()?, text()?);
    Some((metric, Metadata { kind, help, unit }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::files::Random;

    #[test]
    fn rows_come_back_bit_for_bit() {
        let mut random = Random::new(1);
        let special =
            [0.0, -0.0, 1.0, -1.0, 1.5, f64::NAN, model::sample::STALE_NAN, f64::INFINITY, 1e15, SMALL_MAX, -SMALL_MAX + 1.0];
        let rows: Vec<Row> = (0..500)
            .map(|step| Row {
                series: random.bits() >> random.below(64),
                time: random.bits() as i64 >> random.below(64),
                value: special[step % special.len()],
            })
            .collect();
        let mut body = Vec::new();
        put_samples(&mut body, Time(123), &rows);
        let mut back = Vec::new();
        assert_eq!(read_samples(&body, &mut back), Some(Time(123)));
        let bits = |rows: &[Row]| rows.iter().map(|row| (row.series, row.time, row.value.to_bits())).collect::<Vec<_>>();
        assert_eq!(bits(&back), bits(&rows));
        for cut in (0..body.len()).step_by(7) {
            assert_eq!(read_samples(&body[..cut], &mut back), None);
        }
    }

    #[test]
    fn a_usual_batch_takes_few_bytes() {
        let rows: Vec<Row> = (0..1000).map(|step| Row { series: 500 + step, time: 1_000_000, value: step as f64 }).collect();
        let mut body = Vec::new();
        put_samples(&mut body, Time(1_000_100), &rows);
        assert!(body.len() < 4_020, "{}", body.len());
    }
}
