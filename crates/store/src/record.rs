//! The bodies of the log's records, written and read. docs/format.md says the same in words.

use model::{Labels, Time};

use crate::Metadata;
use crate::bits::{Reader, put_signed, put_text, put_varint, unzigzag, zigzag};
use crate::codec::{MANTISSA_MAX, ROUNDER};

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

/// Appends the body of a samples record as the first format had it: receive time, count, then the columns.
#[cfg(test)]
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

#[cfg(test)]
fn put_value(out: &mut Vec<u8>, value: f64) {
    let whole = value as i64;
    if value.abs() < SMALL_MAX && (whole as f64).to_bits() == value.to_bits() {
        put_varint(out, zigzag(whole) + 1);
    } else {
        out.push(0);
        out.extend_from_slice(&value.to_bits().to_le_bytes());
    }
}

/// Appends the body of a packed samples record: receive time, count, series in runs of rising numbers, times in runs of the same,
/// then the values. A batch of one step costs little more than its values.
pub(crate) fn put_packed(out: &mut Vec<u8>, received: Time, rows: &[Row]) {
    put_signed(out, received.0);
    put_varint(out, rows.len() as u64);
    let mut before = 0;
    for run in rows.chunk_by(|row, next| next.series == row.series.wrapping_add(1)) {
        put_signed(out, run[0].series.wrapping_sub(before) as i64);
        put_varint(out, run.len() as u64);
        before = run[run.len() - 1].series;
    }
    let mut before = received.0;
    for run in rows.chunk_by(|row, next| next.time == row.time) {
        put_signed(out, run[0].time.wrapping_sub(before));
        put_varint(out, run.len() as u64);
        before = run[0].time;
    }
    out.reserve(rows.len() * 8);
    rows.iter().for_each(|row| put_packed_value(out, row.value));
}

/// Two low bits say what follows: the eight bytes, or a whole number of ones, of hundredths, of millionths.
const BITS: u64 = 0;
const ONES: u64 = 1;
const HUNDREDTHS: u64 = 2;
const MILLIONTHS: u64 = 3;

#[inline]
fn put_packed_value(out: &mut Vec<u8>, value: f64) {
    for (unit, parts) in [(ONES, 1.0), (HUNDREDTHS, 1e2), (MILLIONTHS, 1e6)] {
        let scaled = value * parts;
        let rounded = if scaled.abs() < MANTISSA_MAX { (scaled + ROUNDER) - ROUNDER } else { scaled.round_ties_even() };
        let whole = rounded as i64;
        // Not for zero with a sign, infinities and what is no number: their bits differ.
        if whole.unsigned_abs() < SMALL_MAX as u64 && (whole as f64 / parts).to_bits() == value.to_bits() {
            return put_varint(out, zigzag(whole) << 2 | unit);
        }
    }
    out.push(BITS as u8);
    out.extend_from_slice(&value.to_bits().to_le_bytes());
}

/// Reads the body of a packed samples record into `rows`, which is emptied first. `None` where it is none.
pub(crate) fn read_packed(body: &[u8], rows: &mut Vec<Row>) -> Option<Time> {
    rows.clear();
    let mut reader = Reader::new(body);
    let received = reader.signed()?;
    let count = reader.count()?;
    rows.reserve(count);
    let mut series = 0u64;
    while rows.len() < count {
        let start = series.wrapping_add(reader.signed()? as u64);
        let len = usize::try_from(reader.varint()?).ok().filter(|len| (1..=count - rows.len()).contains(len))? as u64;
        rows.extend((0..len).map(|nth| Row { series: start.wrapping_add(nth), time: 0, value: 0.0 }));
        series = start.wrapping_add(len - 1);
    }
    let (mut time, mut done) = (received, 0);
    while done < count {
        time = time.wrapping_add(reader.signed()?);
        let len = usize::try_from(reader.varint()?).ok().filter(|len| (1..=count - done).contains(len))?;
        rows[done..done + len].iter_mut().for_each(|row| row.time = time);
        done += len;
    }
    for row in rows.iter_mut() {
        let packed = reader.varint()?;
        let whole = unzigzag(packed >> 2) as f64;
        row.value = match packed & 3 {
            ONES => whole,
            HUNDREDTHS => whole / 1e2,
            MILLIONTHS => whole / 1e6,
            _ => f64::from_bits(u64::from_le_bytes(reader.array()?)),
        };
    }
    Some(Time(received))
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
        body.clear();
        put_packed(&mut body, Time(123), &rows);
        assert_eq!(read_packed(&body, &mut back), Some(Time(123)));
        assert_eq!(bits(&back), bits(&rows));
        for cut in (0..body.len()).step_by(7) {
            assert_eq!(read_packed(&body[..cut], &mut back), None);
        }
    }

    #[test]
    fn any_bytes_are_read_or_refused() {
        let (mut random, mut rows) = (Random::new(8), Vec::new());
        for _ in 0..20_000 {
            let bytes: Vec<u8> = (0..random.below(40)).map(|_| (random.bits() >> random.below(8)) as u8).collect();
            let _ = read_packed(&bytes, &mut rows);
            let _ = read_samples(&bytes, &mut rows);
            assert!(rows.len() <= 40);
        }
    }

    #[test]
    fn a_usual_batch_takes_few_bytes() {
        let rows: Vec<Row> = (0..1000).map(|step| Row { series: 500 + step, time: 1_000_000, value: step as f64 }).collect();
        let mut body = Vec::new();
        put_packed(&mut body, Time(1_000_100), &rows);
        assert!(body.len() < 2_020, "{}", body.len());
    }
}
