//! What a scrape answers: Prometheus' text format 0.0.4 and OpenMetrics 1.0, with quoted UTF-8 names in both.
//!
//! A bad line is reported and the others are read; whether a scrape with bad lines counts is the caller's decision
//! (Prometheus refuses it whole). Exemplars are checked and skipped. [`Writer`] writes flyball's own `/metrics`,
//! [`write_federated`] samples for another Prometheus.

pub mod keyed;
mod writer;

use std::fmt::Write as _;

use model::config::ScrapeProtocol;
use model::labels::{LABELS_MAX, METRIC_NAME};
use model::{Labels, SampleBatch, Time};

use crate::decimal::Decimal;
use crate::metadata::{METADATA_MAX, Metadata, MetricKind, cut};
use crate::number::push_bound;
use crate::report::{Fault, Report};
use crate::text::{PairsMemory, Piece};

pub use writer::{Writer, write_federated, write_untyped};

/// Prometheus' text format, as our `/metrics` announces it.
pub const TEXT_CONTENT_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";
/// What a scrape asks for where nothing else is configured: [`accept`] of all protocols.
pub const ACCEPT: &str = "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.6,\
    application/openmetrics-text;version=0.0.1;q=0.5,\
    text/plain;version=1.0.0;escaping=allow-utf-8;q=0.4,\
    text/plain;version=0.0.4;q=0.3,\
    */*;q=0.2";

/// The header `Accept` that asks for these formats, the first one most, and for anything else after them; as Prometheus 3
/// writes it.
pub fn accept(protocols: &[ScrapeProtocol]) -> String {
    let mut out = String::new();
    let mut tenths = 6;
    for protocol in protocols.iter().take(ScrapeProtocol::ALL.len()) {
        let kind = match protocol {
            ScrapeProtocol::OpenMetricsText1_0_0 => "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8",
            ScrapeProtocol::OpenMetricsText0_0_1 => "application/openmetrics-text;version=0.0.1",
            ScrapeProtocol::PrometheusText1_0_0 => "text/plain;version=1.0.0;escaping=allow-utf-8",
            ScrapeProtocol::PrometheusText0_0_4 => "text/plain;version=0.0.4",
        };
        let _ = write!(out, "{kind};q=0.{tenths},");
        tenths -= 1;
    }
    let _ = write!(out, "*/*;q=0.{tenths}");
    out
}

/// Which of the two formats.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ContentType {
    /// Prometheus text; timestamps are milliseconds.
    Text004,
    /// OpenMetrics; timestamps are seconds, `# EOF` must be the last line.
    OpenMetrics1,
}

impl ContentType {
    /// From the answer's header; whatever is not OpenMetrics is taken for Prometheus text, as Prometheus did until 3.0.
    pub fn parse(header: &str) -> ContentType {
        ContentType::parse_or(header, ContentType::Text004)
    }

    /// The same with another format for what the header doesn't name, or where there is none.
    pub fn parse_or(header: &str, fallback: ContentType) -> ContentType {
        match header.split(';').next().unwrap_or("").trim() {
            kind if kind.eq_ignore_ascii_case("application/openmetrics-text") => ContentType::OpenMetrics1,
            kind if kind.eq_ignore_ascii_case("text/plain") => ContentType::Text004,
            _ => fallback,
        }
    }

    /// How answers in this protocol are read.
    pub fn of(protocol: ScrapeProtocol) -> ContentType {
        match protocol {
            ScrapeProtocol::OpenMetricsText1_0_0 | ScrapeProtocol::OpenMetricsText0_0_1 => ContentType::OpenMetrics1,
            ScrapeProtocol::PrometheusText1_0_0 | ScrapeProtocol::PrometheusText0_0_4 => ContentType::Text004,
        }
    }
}

/// How to decode.
#[derive(Debug, Clone)]
pub struct Options {
    /// Labels of the target, given to every series.
    pub target: Labels,
    /// What happens if a series has a label of the target: true keeps the series' own, false renames it `exported_...`.
    pub honor_labels: bool,
    /// False takes the scrape's time for every sample.
    pub honor_timestamps: bool,
    /// Longest line, in bytes.
    pub line_len_max: usize,
    /// Most samples in one answer; the others are errors.
    pub samples_max: usize,
}

impl Default for Options {
    fn default() -> Options {
        Options {
            target: Labels::empty(),
            honor_labels: false,
            honor_timestamps: true,
            line_len_max: 1024 * 1024,
            samples_max: 500_000,
        }
    }
}

/// Decodes an answer; for many answers keep a [`Decoder`].
pub fn decode(
    body: &[u8],
    content: ContentType,
    default_time: Time,
    options: &Options,
    out: &mut SampleBatch,
    meta: &mut Vec<Metadata>,
) -> Report {
    Decoder::default().decode(body, content, default_time, options, out, meta)
}

/// Decodes answers, and uses its memory again.
#[derive(Debug, Default)]
pub struct Decoder {
    line: Line,
    pairs: PairsMemory,
    /// The label that is a number by the last `# TYPE`.
    bound: Option<&'static str>,
}

impl Decoder {
    /// Adds the samples of `body` to `out` and its metadata to `meta`. Samples without a timestamp get `default_time`.
    pub fn decode(
        &mut self,
        body: &[u8],
        content: ContentType,
        default_time: Time,
        options: &Options,
        out: &mut SampleBatch,
        meta: &mut Vec<Metadata>,
    ) -> Report {
        let mut report = Report::default();
        self.bound = None;
        let mut ended = false;
        // Checked at once, which is quick; where that fails each line is.
        let whole = str::from_utf8(body).ok();
        let (mut start, mut number) = (0, 0);
        while start < body.len() {
            let end = memchr::memchr(b'\n', &body[start..]).map_or(body.len(), |at| start + at);
            let bytes = &body[start..end];
            let text = whole.map_or_else(|| str::from_utf8(bytes), |whole| Ok(&whole[start..end]));
            number += 1;
            start = end + 1;
            let taken = if ended {
                Err(Fault::new(0, "something follows `# EOF`"))
            } else if bytes.len() > options.line_len_max {
                Err(Fault::new(0, format!("a line of {} bytes, {} at most", bytes.len(), options.line_len_max)))
            } else {
                match text {
                    Err(error) => Err(Fault::new(error.valid_up_to(), "not UTF-8")),
                    Ok(text) if content == ContentType::OpenMetrics1 && text == "# EOF" => {
                        ended = true;
                        Ok(())
                    }
                    Ok(text) if text.trim_start_matches([' ', '\t']).starts_with('#') => {
                        self.bound = kind_said(text).map_or(self.bound, bound_of);
                        self.line.comment(text, meta)
                    }
                    Ok(text) if text.trim_ascii().is_empty() && content == ContentType::Text004 => Ok(()),
                    Ok(_) if report.accepted >= options.samples_max => {
                        Err(Fault::new(0, format!("more than {} samples", options.samples_max)))
                    }
                    Ok(text) => self.take_sample(text, content, default_time, options, out).map(|()| report.accepted += 1),
                }
            };
            if let Err(fault) = taken {
                report.refuse(number, bytes, fault);
            }
        }
        if content == ContentType::OpenMetrics1 && !ended {
            report.refuse(number + 1, b"", Fault::new(0, "`# EOF` is missing: the answer is cut"));
        }
        report
    }

    fn take_sample(
        &mut self,
        text: &str,
        content: ContentType,
        default_time: Time,
        options: &Options,
        out: &mut SampleBatch,
    ) -> Result<(), Fault> {
        self.line.sample(text, content)?;
        self.line.write_bound(text, self.bound);
        self.line.rename(text, options);
        let time = self.line.time.filter(|_| options.honor_timestamps).unwrap_or(default_time);
        let line = &self.line;
        let mut pairs = self.pairs.lend();
        pairs.push((METRIC_NAME, line.name.of(text, &line.scratch)));
        pairs.extend(line.labels.iter().map(|(name, value)| (name.of(text, &line.scratch), value.of(text, &line.scratch))));
        for (name, value) in options.target.iter() {
            if !options.honor_labels || !pairs.iter().any(|(have, _)| *have == name) {
                pairs.push((name, value));
            }
        }
        let begun = out.begin(&mut pairs);
        self.pairs.take_back(pairs);
        let series = begun.map_err(|error| Fault::new(0, error.to_string()))?;
        out.push_value(series, time, self.line.value);
        Ok(())
    }
}

/// The parts of one line; its memory is used again for the next.
#[derive(Debug, Default)]
struct Line {
    scratch: String,
    name: Piece,
    labels: Vec<(Piece, Piece)>,
    value: f64,
    time: Option<Time>,
}

impl Line {
    fn sample(&mut self, text: &str, content: ContentType) -> Result<(), Fault> {
        self.scratch.clear();
        self.labels.clear();
        self.time = None;
        let bytes = text.as_bytes();
        let is_open_metrics = content == ContentType::OpenMetrics1;

        let start = skip_blanks(bytes, 0);
        let name_end = name_end(bytes, start);
        self.name = Piece::line(start, name_end);
        let mut at = skip_blanks(bytes, name_end);
        if bytes.get(start).is_some_and(u8::is_ascii_digit) {
            return Err(Fault::new(start, "a metric's name can't begin with a digit"));
        }
        if bytes.get(at) == Some(&b'{') {
            at = self.braces(text, at + 1)?;
        } else if at == name_end && at < bytes.len() {
            return Err(Fault::new(at, "a metric's name has a strange character"));
        }
        if self.name.is_empty() {
            return Err(Fault::new(start, "the metric's name is missing"));
        }

        at = skip_blanks(bytes, at);
        let end = word_end(bytes, at);
        self.value = parse_value(&text[at..end])
            .ok_or_else(|| Fault::new(at, if at == end { "the value is missing" } else { "the value is not a number" }))?;
        at = skip_blanks(bytes, end);
        if at < bytes.len() && bytes[at] != b'#' {
            let end = word_end(bytes, at);
            self.time = Some(parse_time(&text[at..end], content).map_err(|reason| Fault::new(at, reason))?);
            at = skip_blanks(bytes, end);
        }
        if is_open_metrics && bytes.get(at) == Some(&b'#') {
            at = self.exemplar(text, at + 1)?;
        }
        if at < bytes.len() {
            return Err(Fault::new(at, "something follows the sample"));
        }
        Ok(())
    }

    /// Labels up to the closing brace; a quoted text without a value is the metric's name.
    fn braces(&mut self, text: &str, mut at: usize) -> Result<usize, Fault> {
        let bytes = text.as_bytes();
        loop {
            at = skip_blanks(bytes, at);
            if bytes.get(at) == Some(&b'}') {
                return Ok(at + 1);
            }
            let start = at;
            let is_quoted = bytes.get(at) == Some(&b'"');
            let name = if is_quoted {
                let (name, end) = self.quoted(text, at)?;
                at = end;
                name
            } else {
                at = name_end(bytes, at);
                // A colon belongs to names of metrics only.
                at = memchr::memchr(b':', &bytes[start..at]).map_or(at, |colon| start + colon);
                Piece::line(start, at)
            };
            at = skip_blanks(bytes, at);
            match bytes.get(at) {
                Some(b'=') => at = self.label(text, start, name, skip_blanks(bytes, at + 1))?,
                Some(b',' | b'}') if is_quoted && self.name.is_empty() => {
                    if name.is_empty() {
                        return Err(Fault::new(start, "the metric's name is empty"));
                    }
                    self.name = name;
                }
                Some(b',' | b'}') if is_quoted => return Err(Fault::new(start, "the metric has a second name")),
                None => return Err(Fault::new(at, "the `}` is missing")),
                _ => return Err(Fault::new(at, "a label is name=\"value\"")),
            }
            at = skip_blanks(bytes, at);
            match bytes.get(at) {
                Some(b',') => at += 1,
                Some(b'}') => {}
                None => return Err(Fault::new(at, "the `}` is missing")),
                _ => return Err(Fault::new(at, "a `,` or `}` is missing")),
            }
        }
    }

    fn label(&mut self, text: &str, start: usize, name: Piece, at: usize) -> Result<usize, Fault> {
        if name.is_empty() {
            return Err(Fault::new(start, "a label has no name"));
        }
        let (value, end) = self.quoted(text, at)?;
        if name.is_too_long() || value.is_too_long() {
            return Err(Fault::new(start, "a label is too long"));
        }
        if self.labels.len() + 1 >= LABELS_MAX {
            return Err(Fault::new(start, format!("more than {} labels", LABELS_MAX - 1)));
        }
        let shown = name.of(text, &self.scratch);
        if shown == METRIC_NAME {
            return Err(Fault::new(start, "a label can't be called __name__"));
        }
        // Also those with an empty value, which the batch would leave out unseen.
        if self.labels.iter().any(|(have, _)| have.of(text, &self.scratch) == shown) {
            return Err(Fault::new(start, "the label stands twice"));
        }
        self.labels.push((name, value));
        Ok(end)
    }

    /// A quoted text at `start`, and where it ends.
    fn quoted(&mut self, text: &str, start: usize) -> Result<(Piece, usize), Fault> {
        const OPEN: &str = "the quote is never closed";
        let bytes = text.as_bytes();
        if bytes.get(start) != Some(&b'"') {
            return Err(Fault::new(start, "a `\"` is missing"));
        }
        let scratch_start = self.scratch.len();
        let mut copied = start + 1;
        loop {
            let found = memchr::memchr2(b'"', b'\\', &bytes[copied..]).ok_or_else(|| Fault::new(start, OPEN))? + copied;
            if bytes[found] == b'"' {
                if self.scratch.len() == scratch_start && copied == start + 1 {
                    return Ok((Piece::line(copied, found), found + 1));
                }
                self.scratch.push_str(&text[copied..found]);
                return Ok((Piece::scratch(scratch_start, self.scratch.len()), found + 1));
            }
            self.scratch.push_str(&text[copied..found]);
            self.scratch.push(match bytes.get(found + 1) {
                Some(b'n') => '\n',
                Some(b'"') => '"',
                Some(b'\\') => '\\',
                _ => return Err(Fault::new(found, "an unknown escape; \\\\, \\\" and \\n are known")),
            });
            copied = found + 2;
        }
    }

    /// ` # {labels} value [time]`: read for its form, then forgotten.
    fn exemplar(&mut self, text: &str, at: usize) -> Result<usize, Fault> {
        let bytes = text.as_bytes();
        let at = skip_blanks(bytes, at);
        if bytes.get(at) != Some(&b'{') {
            return Err(Fault::new(at, "an exemplar begins with `{`"));
        }
        // Its labels may be those of the series again, and it has no name of its own.
        let had = std::mem::take(&mut self.labels);
        let end = self.braces(text, at + 1);
        self.labels = had;
        let at = skip_blanks(bytes, end?);
        let end = word_end(bytes, at);
        parse_value(&text[at..end]).ok_or_else(|| Fault::new(at, "the exemplar's value is not a number"))?;
        let at = skip_blanks(bytes, end);
        let end = word_end(bytes, at);
        if at < end {
            parse_time(&text[at..end], ContentType::OpenMetrics1).map_err(|reason| Fault::new(at, reason))?;
        }
        Ok(skip_blanks(bytes, end))
    }

    /// Writes the value of the label `bound` as OpenMetrics has it, where it is a number: `le="1"` and `le="1.0"` are one series.
    fn write_bound(&mut self, text: &str, bound: Option<&str>) {
        let Some(bound) = bound else { return };
        let Some(place) = self.labels.iter().position(|(name, _)| name.of(text, &self.scratch) == bound) else { return };
        let Some(number) = bound_value(self.labels[place].1.of(text, &self.scratch)) else { return };
        let start = self.scratch.len();
        push_bound(&mut self.scratch, number);
        self.labels[place].1 = Piece::scratch(start, self.scratch.len());
    }

    /// Gives labels that the target has too the name `exported_...`, again and again until it is free.
    fn rename(&mut self, text: &str, options: &Options) {
        if options.honor_labels {
            return;
        }
        for (target, _) in options.target.iter() {
            let same =
                |line: &Line, wanted: &str| line.labels.iter().position(|(name, _)| name.of(text, &line.scratch) == wanted);
            let Some(place) = same(self, target) else { continue };
            let mut renamed = format!("exported_{target}");
            while same(self, &renamed).is_some() || options.target.get(&renamed).is_some() {
                renamed.insert_str(0, "exported_");
            }
            let start = self.scratch.len();
            self.scratch.push_str(&renamed);
            self.labels[place].0 = Piece::scratch(start, self.scratch.len());
        }
    }

    /// `# HELP name text`, `# TYPE name word`, `# UNIT name word`; anything else behind a `#` is a remark.
    fn comment(&mut self, text: &str, meta: &mut Vec<Metadata>) -> Result<(), Fault> {
        self.scratch.clear();
        let bytes = text.as_bytes();
        let at = skip_blanks(bytes, skip_blanks(bytes, 0) + 1);
        let end = word_end(bytes, at);
        let word = &text[at..end];
        if !matches!(word, "HELP" | "TYPE" | "UNIT") {
            return Ok(());
        }
        let at = skip_blanks(bytes, end);
        let (family, end) = if bytes.get(at) == Some(&b'"') {
            self.quoted(text, at)?
        } else {
            (Piece::line(at, word_end(bytes, at)), word_end(bytes, at))
        };
        if family.is_empty() || family.is_too_long() {
            return Err(Fault::new(at, "the family's name is missing or too long"));
        }
        let at = skip_blanks(bytes, end);
        let rest = text[at..].trim_end_matches('\r');
        let kind = match word {
            "TYPE" => Some(MetricKind::parse(rest.trim_end()).ok_or_else(|| Fault::new(at, "an unknown type of metric"))?),
            _ => None,
        };
        let family = family.of(text, &self.scratch);
        // The lines of a family follow each other; looking further back would make long answers slow.
        let place = match meta.last() {
            Some(last) if last.family == family => meta.len() - 1,
            _ if meta.len() >= METADATA_MAX => return Ok(()),
            _ => {
                meta.push(Metadata {
                    family: family.to_owned(),
                    kind: MetricKind::Unknown,
                    help: String::new(),
                    unit: String::new(),
                });
                meta.len() - 1
            }
        };
        match (word, kind) {
            (_, Some(kind)) => meta[place].kind = kind,
            ("HELP", _) => meta[place].help = unescape_help(cut(rest)),
            _ => meta[place].unit = cut(rest).to_owned(),
        }
        Ok(())
    }
}

/// The kind that a line `# TYPE name kind` says; none: it is another remark, or no kind that is known.
fn kind_said(line: &str) -> Option<MetricKind> {
    let rest = line.trim_start_matches([' ', '\t']).strip_prefix('#')?.trim_start_matches([' ', '\t']);
    let rest = rest.strip_prefix("TYPE")?;
    if !rest.starts_with([' ', '\t']) {
        return None;
    }
    MetricKind::parse(rest.split_ascii_whitespace().next_back()?)
}

/// The label whose value is a number in series of this kind.
fn bound_of(kind: MetricKind) -> Option<&'static str> {
    match kind {
        MetricKind::Histogram => Some("le"),
        MetricKind::Summary => Some("quantile"),
        _ => None,
    }
}

/// A bound as Go reads it; none: no number, or too large for one.
fn bound_value(text: &str) -> Option<f64> {
    let value: f64 = text.parse().ok()?;
    (value.is_finite() || !text.bytes().any(|byte| byte.is_ascii_digit())).then_some(value)
}

fn unescape_help(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find('\\') {
        out.push_str(&rest[..at]);
        let (known, len) = match rest.as_bytes().get(at + 1) {
            Some(b'n') => ("\n", 2),
            Some(b'\\') => ("\\", 2),
            Some(b'"') => ("\"", 2),
            _ => ("\\", 1),
        };
        out.push_str(known);
        rest = &rest[at + len..];
    }
    out.push_str(rest);
    out
}

/// Which bytes a name may have that is not quoted.
const IS_NAME: [bool; 256] = {
    let mut is_name = [false; 256];
    let mut byte = 0;
    while byte < 256 {
        is_name[byte] = (byte as u8).is_ascii_alphanumeric() || byte as u8 == b'_' || byte as u8 == b':';
        byte += 1;
    }
    is_name
};

fn is_name_byte(byte: u8) -> bool {
    IS_NAME[usize::from(byte)]
}

fn name_end(bytes: &[u8], mut at: usize) -> usize {
    while at < bytes.len() && is_name_byte(bytes[at]) {
        at += 1;
    }
    at
}

fn skip_blanks(bytes: &[u8], at: usize) -> usize {
    at + bytes.get(at..).unwrap_or(&[]).iter().take_while(|byte| matches!(byte, b' ' | b'\t' | b'\r')).count()
}

fn word_end(bytes: &[u8], at: usize) -> usize {
    at + bytes[at..].iter().take_while(|byte| !matches!(byte, b' ' | b'\t' | b'\r')).count()
}

/// As Go reads it: `NaN`, `+Inf`, `-Inf` in any case, and decimal numbers.
fn parse_value(text: &str) -> Option<f64> {
    match Decimal::read(text.as_bytes(), 0).filter(|decimal| decimal.end == text.len()).and_then(Decimal::float) {
        Some(value) => Some(value),
        None => text.parse().ok(),
    }
}

fn parse_time(text: &str, content: ContentType) -> Result<Time, &'static str> {
    const RANGE: &str = "the timestamp is out of range";
    match content {
        ContentType::Text004 => {
            let quick = Decimal::read(text.as_bytes(), 0).filter(|decimal| decimal.end == text.len()).and_then(Decimal::integer);
            let millis = quick.map_or_else(|| text.parse(), Ok);
            let millis: i64 = millis.map_err(|_| "the timestamp is not a whole number of milliseconds")?;
            millis.checked_mul(1_000).map(Time).ok_or(RANGE)
        }
        ContentType::OpenMetrics1 => {
            let secs: f64 = text.parse().map_err(|_| "the timestamp is not a number of seconds")?;
            // Above this a float no longer knows microseconds of an i64.
            if secs.abs() < 9.2e12 { Ok(Time((secs * 1e6).round() as i64)) } else { Err(RANGE) }
        }
    }
}

#[cfg(test)]
mod tests;
