//! Prometheus remote write 1.0 to rows: a `WriteRequest` of protobuf, unpacked from its block of snappy.
//!
//! [`Request`] finds where the labels of a series lie and hashes these bytes as they were sent; only when the store does not
//! know the hash, [`Rows::labels`] reads them and holds them to the rules (sorted, different, with a name). A series that
//! breaks them, or whose message is damaged, costs only itself. Damage between series ends the request: what came before
//! is kept. Native histograms are counted as refused, exemplars are skipped.

mod encode;
mod labels;

use model::Time;
use model::intake::{KeyHash, KeySecret, LabelsFault, Protocol, RawRow, Rows};
use model::labels::Labels;
use serde::Serialize;

use crate::metadata::{METADATA_MAX, Metadata, MetricKind, cut};
use crate::protobuf::{Field, ProtobufError, Reader};
use crate::report::{ERRORS_KEPT, excerpt};

pub use encode::{encode, encode_plain};

/// What a request may be.
#[derive(Debug, Clone)]
pub struct Options {
    /// Most samples in one request; what follows is refused.
    pub samples_max: usize,
    /// Most samples of one series in one request; more cost the series.
    pub samples_of_series_max: usize,
    /// So many rows are decoded at once; a series more is.
    pub rows_at_once: usize,
}

impl Default for Options {
    fn default() -> Options {
        Options { samples_max: 2_000_000, samples_of_series_max: 100_000, rows_at_once: crate::ROWS_AT_ONCE }
    }
}

/// Most bytes of a request after decompression; Prometheus itself refuses more.
pub const PLAIN_LEN_MAX: usize = 32 * 1024 * 1024;

/// The outcome of decoding a request.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct WriteReport {
    /// Samples that became rows.
    pub accepted: usize,
    /// Native histograms, which are not stored yet.
    pub refused_histograms: usize,
    /// Exemplars, which are not stored.
    pub skipped_exemplars: usize,
    /// Series of which something was refused, all of them.
    pub failed: usize,
    /// The first [`ERRORS_KEPT`] of them.
    pub errors: Vec<SeriesError>,
    /// Why the request was not read to its end.
    pub ended: Option<Ended>,
}

/// A series of which something was refused.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, thiserror::Error)]
#[error("series {series} ({metric}): {reason}")]
pub struct SeriesError {
    /// Its place in the request, from 1.
    pub series: usize,
    /// Its metric's name as far as it is known, cut.
    pub metric: String,
    /// What is wrong.
    pub reason: String,
}

/// Why a request was not read to its end. What came before is kept.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, thiserror::Error)]
pub enum Ended {
    /// Not a `WriteRequest` from there on.
    #[error("read the write request: {0}")]
    Malformed(ProtobufError),
    /// Over [`Options::samples_max`].
    #[error("more than {0} samples in one write request: send fewer at once")]
    TooMany(usize),
}

/// A request, decoded in portions: [`advance`](Self::advance) makes the next rows, which are read by [`Rows`].
pub struct Request<'a> {
    rest: Reader<'a>,
    plain: &'a [u8],
    secret: &'a KeySecret,
    options: Options,
    rows: Vec<RawRow>,
    /// For labels that do not lie together.
    key: Vec<u8>,
    metadata: Vec<Metadata>,
    report: WriteReport,
}

impl<'a> Request<'a> {
    /// Begins. `rows` is memory to use again, [`finish`](Self::finish) gives it back. Requests are below 4 GiB.
    pub fn new(plain: &'a [u8], secret: &'a KeySecret, options: Options, mut rows: Vec<RawRow>) -> Request<'a> {
        rows.clear();
        let plain = &plain[..plain.len().min(u32::MAX as usize)];
        let (rest, report) = (Reader::new(plain), WriteReport::default());
        Request { rest, plain, secret, options, rows, key: Vec::new(), metadata: Vec::new(), report }
    }

    /// Decodes the next rows in place of the last. False at the end of the request, when there are none.
    pub fn advance(&mut self) -> bool {
        self.rows.clear();
        while self.rows.len() < self.options.rows_at_once && self.report.ended.is_none() {
            match self.rest.field() {
                Ok(Some((1, Field::Bytes(series)))) => self.series(series),
                Ok(Some((3, Field::Bytes(entry)))) => self.metadata(entry),
                Ok(Some(_)) => {}
                Ok(None) => break,
                Err(error) => self.report.ended = Some(Ended::Malformed(error)),
            }
        }
        self.report.accepted += self.rows.len();
        !self.rows.is_empty()
    }

    /// What was read so far: rows, and what makes none.
    pub fn report(&self) -> &WriteReport {
        &self.report
    }

    /// The rows' memory, the metadata and the report.
    pub fn finish(self) -> (Vec<RawRow>, Vec<Metadata>, WriteReport) {
        (self.rows, self.metadata, self.report)
    }

    #[inline]
    fn series(&mut self, series: Reader<'a>) {
        let first = self.rows.len();
        let (at, len) = (series.offset() as u32, series.rest().len() as u32);
        let usual = labels_end(series.rest())
            .and_then(|end| self.usual_samples(series.rest(), end, at).then(|| &series.rest()[..end]))
            .map(|labels| self.secret.hash(Protocol::RemoteWrite, labels));
        let key = match usual {
            Some(key) => key,
            None => {
                self.rows.truncate(first);
                self.unusual_series(series)
            }
        };
        for row in &mut self.rows[first..] {
            row.key = key;
            row.part = len;
        }
        if self.report.accepted + self.rows.len() > self.options.samples_max {
            self.rows.truncate(first);
            self.report.ended = Some(Ended::TooMany(self.options.samples_max));
        }
    }

    /// Reads samples as every sender writes them, to the end of the series; false where one looks otherwise.
    #[inline]
    fn usual_samples(&mut self, series: &[u8], mut at: usize, place: u32) -> bool {
        let rows_max = self.rows.len() + self.options.samples_of_series_max;
        while at < series.len() {
            if self.rows.len() == rows_max {
                return false;
            }
            let Some((millis, value, end)) = usual_sample(series, at) else { return false };
            let Some(micros) = millis.checked_mul(1_000) else { return false };
            self.rows.push(RawRow { key: KeyHash { hi: 0, lo: 0 }, time: Time(micros), value, at: place, part: 0 });
            at = end;
        }
        true
    }

    /// Any order of fields, unknown ones, samples without a value or a time: read field by field.
    #[cold]
    fn unusual_series(&mut self, series: Reader<'a>) -> KeyHash {
        let mut key = std::mem::take(&mut self.key);
        key.clear();
        let had = (self.rows.len(), self.report.refused_histograms, self.report.skipped_exemplars);
        if let Err(reason) = self.fields(series, &mut key) {
            if reason.costs_all {
                self.rows.truncate(had.0);
                (self.report.refused_histograms, self.report.skipped_exemplars) = (had.1, had.2);
            }
            self.refuse(series, reason.text);
        }
        let hash = self.secret.hash(Protocol::RemoteWrite, &key);
        self.key = key;
        hash
    }

    fn fields(&mut self, series: Reader<'a>, key: &mut Vec<u8>) -> Result<(), SeriesFault> {
        let place = series.offset() as u32;
        let (rows_max, mut misdated) = (self.rows.len() + self.options.samples_of_series_max, 0);
        let mut fields = series;
        loop {
            let from = fields;
            match fields.field()? {
                None => break,
                Some((1, Field::Bytes(_))) => {
                    key.extend_from_slice(&from.rest()[..from.rest().len() - fields.rest().len()]);
                }
                Some((2, Field::Bytes(_))) if self.rows.len() == rows_max => {
                    let text = format!("more than {} samples: send fewer at once", self.options.samples_of_series_max);
                    return Err(SeriesFault { text, costs_all: true });
                }
                Some((2, Field::Bytes(sample))) => match read_sample(sample)? {
                    (Some(time), value) => {
                        self.rows.push(RawRow { key: KeyHash { hi: 0, lo: 0 }, time, value, at: place, part: 0 });
                    }
                    (None, _) => misdated += 1,
                },
                Some((3, _)) => self.report.skipped_exemplars += 1,
                Some((4, _)) => self.report.refused_histograms += 1,
                Some(_) => {}
            }
        }
        if misdated > 0 {
            let text = format!("the timestamp of {misdated} of its samples is out of range; the other samples are taken");
            return Err(SeriesFault { text, costs_all: false });
        }
        Ok(())
    }

    fn metadata(&mut self, entry: Reader<'a>) {
        if self.metadata.len() < METADATA_MAX {
            match read_metadata(entry) {
                Ok(metadata) => self.metadata.push(metadata),
                Err(error) => self.report.ended = Some(Ended::Malformed(error)),
            }
        }
    }

    #[cold]
    fn refuse(&mut self, series: Reader<'a>, reason: String) {
        self.report.failed += 1;
        if self.report.errors.len() < ERRORS_KEPT {
            let metric = excerpt(labels::metric(series), 0);
            self.report.errors.push(SeriesError { series: self.number(series.offset()), metric, reason });
        }
    }

    /// The number of the series that lies at `at`, from 1. Counted only where somebody is told.
    fn number(&self, at: usize) -> usize {
        let mut fields = Reader::new(self.plain);
        let mut number = 0;
        while let Ok(Some(field)) = fields.field() {
            if let (1, Field::Bytes(series)) = field {
                number += 1;
                if series.offset() >= at {
                    break;
                }
            }
        }
        number
    }

    fn series_of(&self, row: usize) -> Reader<'a> {
        let RawRow { at, part, .. } = self.rows[row];
        Reader::part(self.plain, at as usize, part as usize)
    }
}

impl Rows for Request<'_> {
    fn rows(&self) -> &[RawRow] {
        &self.rows
    }

    fn labels(&self, row: usize) -> Result<Labels, LabelsFault> {
        let series = self.series_of(row);
        labels::read(series).map_err(|reason| {
            let metric = excerpt(labels::metric(series), 0);
            LabelsFault(SeriesError { series: self.number(series.offset()), metric, reason }.to_string())
        })
    }

    fn place(&self, row: usize) -> String {
        format!("series {}", self.number(self.rows[row].at as usize))
    }
}

/// Why something of a series was refused.
struct SeriesFault {
    text: String,
    /// All of it, not some samples only.
    costs_all: bool,
}

impl From<ProtobufError> for SeriesFault {
    fn from(error: ProtobufError) -> SeriesFault {
        SeriesFault { text: error.to_string(), costs_all: true }
    }
}

/// Where the labels end that a series begins with, if each is shorter than 16 KiB.
#[inline]
fn labels_end(series: &[u8]) -> Option<usize> {
    let mut at = 0;
    while let Some(&[tag, len]) = series.get(at..at + 2) {
        if tag != 1 << 3 | 2 {
            break;
        }
        at += if len < 0x80 {
            2 + usize::from(len)
        } else {
            let high = *series.get(at + 2).filter(|high| **high < 0x80)?;
            3 + usize::from(len & 0x7f) + (usize::from(high) << 7)
        };
    }
    (at <= series.len()).then_some(at)
}

/// A sample of a value and a positive time: milliseconds, value, and where it ends.
#[inline(always)]
fn usual_sample(series: &[u8], at: usize) -> Option<(i64, f64, usize)> {
    let head: &[u8; 12] = series.get(at..at + 12)?.try_into().ok()?;
    let (len, end) = (usize::from(head[1]), at + 2 + usize::from(head[1]));
    let value = f64::from_le_bytes(head[3..11].try_into().ok()?);
    if head[0] != 2 << 3 | 2 || head[2] != 1 << 3 | 1 || head[11] != 2 << 3 || !(11..=20).contains(&len) {
        return None;
    }
    let (mut millis, mut shift) = (0, 0);
    let (last, rest) = series.get(at + 12..end)?.split_last()?;
    for byte in rest {
        if *byte < 0x80 {
            return None;
        }
        millis |= u64::from(byte & 0x7f) << shift;
        shift += 7;
    }
    if *last >= 0x80 || (shift == 63 && *last > 1) {
        return None;
    }
    Some(((millis | u64::from(*last) << shift) as i64, value, end))
}

/// A sample's time, `None` for one that no [`Time`] can hold, and its value.
fn read_sample(mut sample: Reader<'_>) -> Result<(Option<Time>, f64), ProtobufError> {
    let (mut value, mut millis) = (0.0, 0i64);
    while let Some(field) = sample.field()? {
        match field {
            (1, Field::Fixed64(bits)) => value = f64::from_bits(bits),
            (2, Field::Varint(number)) => millis = number as i64,
            _ => {}
        }
    }
    Ok((millis.checked_mul(1_000).map(Time), value))
}

fn read_metadata(mut entry: Reader<'_>) -> Result<Metadata, ProtobufError> {
    let mut known = Metadata { family: String::new(), kind: MetricKind::Unknown, help: String::new(), unit: String::new() };
    while let Some(field) = entry.field()? {
        match field {
            (1, Field::Varint(number)) => known.kind = MetricKind::from_number(number),
            (place @ (2 | 4 | 5), Field::Bytes(text)) => {
                let text = String::from_utf8_lossy(text.rest());
                let text = cut(&text).to_owned();
                *(match place {
                    2 => &mut known.family,
                    4 => &mut known.help,
                    _ => &mut known.unit,
                }) = text;
            }
            _ => {}
        }
    }
    Ok(known)
}

#[cfg(test)]
mod tests;
