//! A scrape's answer for who knows its series by the text that names them: no label is parsed and nothing is allocated.
//!
//! [`samples`] gives each sample with the raw text of its name and labels; [`Names`] parses that text, once per series.

use model::labels::METRIC_NAME;
use model::{Labels, Time};

use super::{ContentType, Line, Options, bound_of, is_name_byte, kind_said, parse_time, parse_value, skip_blanks, word_end};
use crate::metadata::Metadata;
use crate::report::Fault;

/// One sample of an answer.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Found<'a> {
    /// Name and labels as they were written.
    pub key: &'a str,
    /// The value.
    pub value: f64,
    /// The sample's own time, where it has one.
    pub time: Option<Time>,
    /// The label whose value is a number, by the `# TYPE` before: `le` of a histogram, `quantile` of a summary.
    pub bound: Option<&'static str>,
}

/// A line that is none.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("line {line}, column {column}: {why}")]
pub struct Mistake {
    /// From 1.
    pub line: usize,
    /// In bytes, from 1.
    pub column: usize,
    /// What is wrong.
    pub why: String,
}

/// The samples of an answer in their order; ends behind the first mistake. Remarks and metadata are left out.
pub fn samples(body: &str, content: ContentType) -> Samples<'_> {
    Samples { rest: body, content, line: 0, bound: None, state: State::Reading }
}

/// See [`samples`].
#[derive(Debug)]
pub struct Samples<'a> {
    rest: &'a str,
    content: ContentType,
    line: usize,
    bound: Option<&'static str>,
    state: State,
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum State {
    Reading,
    /// `# EOF` was there.
    Ended,
    Failed,
}

impl<'a> Samples<'a> {
    fn remark(&mut self, line: &str) {
        self.bound = kind_said(line).map_or(self.bound, bound_of);
    }

    fn mistake(&mut self, fault: Fault) -> Option<Result<Found<'a>, Mistake>> {
        self.state = State::Failed;
        Some(Err(Mistake { line: self.line, column: fault.at + 1, why: fault.reason.into_owned() }))
    }
}

impl<'a> Iterator for Samples<'a> {
    type Item = Result<Found<'a>, Mistake>;

    fn next(&mut self) -> Option<Self::Item> {
        while self.state != State::Failed && !self.rest.is_empty() {
            let text = self.rest;
            let end = memchr::memchr(b'\n', text.as_bytes()).unwrap_or(text.len());
            let line = &text[..end];
            self.rest = text.get(end + 1..).unwrap_or("");
            self.line += 1;
            if self.state == State::Ended {
                return self.mistake(Fault::new(0, "something follows `# EOF`"));
            }
            match line.as_bytes().first() {
                None if self.content == ContentType::Text004 => {}
                Some(b'#') if self.content == ContentType::OpenMetrics1 && line == "# EOF" => self.state = State::Ended,
                Some(b'#') => self.remark(line),
                Some(b' ' | b'\t' | b'\r') if is_remark(line, self.content) => self.remark(line),
                _ => {
                    return match sample(line, self.content) {
                        Ok(found) => Some(Ok(Found { bound: self.bound, ..found })),
                        Err(fault) => self.mistake(fault),
                    };
                }
            }
        }
        if self.state == State::Reading && self.content == ContentType::OpenMetrics1 {
            self.line += 1;
            return self.mistake(Fault::new(0, "`# EOF` is missing: the answer is cut"));
        }
        None
    }
}

fn is_remark(line: &str, content: ContentType) -> bool {
    let rest = line.trim_ascii();
    rest.starts_with('#') || rest.is_empty() && content == ContentType::Text004
}

fn sample(line: &str, content: ContentType) -> Result<Found<'_>, Fault> {
    let bytes = line.as_bytes();
    let start = skip_blanks(bytes, 0);
    let end = key_end(bytes, start)?;
    let at = skip_blanks(bytes, end);
    let value_end = word_end(bytes, at);
    let value = parse_value(&line[at..value_end])
        .ok_or_else(|| Fault::new(at, if at == value_end { "the value is missing" } else { "the value is not a number" }))?;
    let mut at = skip_blanks(bytes, value_end);
    let mut time = None;
    if at < bytes.len() && bytes[at] != b'#' {
        let end = word_end(bytes, at);
        time = Some(parse_time(&line[at..end], content).map_err(|why| Fault::new(at, why))?);
        at = skip_blanks(bytes, end);
    }
    let is_exemplar = content == ContentType::OpenMetrics1 && bytes.get(at) == Some(&b'#');
    if at < bytes.len() && !is_exemplar {
        return Err(Fault::new(at, "something follows the sample"));
    }
    Ok(Found { key: &line[start..end], value, time, bound: None })
}

/// Where name and labels end.
fn key_end(bytes: &[u8], start: usize) -> Result<usize, Fault> {
    let name_end = start + bytes[start..].iter().take_while(|byte| is_name_byte(**byte)).count();
    let mut at = skip_blanks(bytes, name_end);
    if bytes.get(at) != Some(&b'{') {
        return match name_end > start && (at > name_end || at == bytes.len()) {
            true => Ok(name_end),
            false => Err(Fault::new(name_end, "a metric's name is missing or has a strange character")),
        };
    }
    let open = at;
    at += 1;
    let unclosed = || Fault::new(open, "the `}` is missing");
    loop {
        at += memchr::memchr2(b'"', b'}', bytes.get(at..).unwrap_or(&[])).ok_or_else(unclosed)?;
        if bytes[at] == b'}' {
            return Ok(at + 1);
        }
        let quote = at;
        at += 1;
        loop {
            let found = memchr::memchr2(b'"', b'\\', bytes.get(at..).unwrap_or(&[]));
            at += found.ok_or_else(|| Fault::new(quote, "the quote is never closed"))?;
            if bytes[at] == b'"' {
                at += 1;
                break;
            }
            at += 2;
        }
    }
}

/// Parses what [`samples`] leaves unparsed; uses its memory again.
#[derive(Debug, Default)]
pub struct Names {
    line: Line,
    text: String,
}

impl Names {
    /// The labels of a series that was written so, with those of the target; the value of `bound` as OpenMetrics has it, see
    /// [`Found::bound`].
    pub fn labels(&mut self, key: &str, bound: Option<&str>, options: &Options) -> Result<Labels, String> {
        self.text.clear();
        self.text.push_str(key);
        self.text.push_str(" 0");
        let said = |fault: Fault| format!("column {} of the series: {}", fault.at + 1, fault.reason);
        self.line.sample(&self.text, ContentType::Text004).map_err(said)?;
        self.line.write_bound(&self.text, bound);
        self.line.rename(&self.text, options);
        let (line, text) = (&self.line, self.text.as_str());
        let mut pairs = vec![(METRIC_NAME, line.name.of(text, &line.scratch))];
        pairs.extend(line.labels.iter().map(|(name, value)| (name.of(text, &line.scratch), value.of(text, &line.scratch))));
        for (name, value) in options.target.iter() {
            if !options.honor_labels || !pairs.iter().any(|(have, _)| *have == name) {
                pairs.push((name, value));
            }
        }
        Labels::new(pairs).map_err(|error| error.to_string())
    }

    /// What an answer says of its metrics. Lines that say it wrongly are left out.
    pub fn metadata(&mut self, body: &str, out: &mut Vec<Metadata>) {
        for line in body.lines().filter(|line| line.starts_with('#')) {
            let _ = self.line.comment(line, out);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::exposition::Decoder;
    use model::SampleBatch;

    type Sampled = (Labels, i64, u64);

    /// What both readings make of a text: the decoder's samples, and ours.
    fn both(body: &str, content: ContentType) -> (Vec<Sampled>, Result<Vec<Sampled>, Mistake>) {
        let options = Options { target: Labels::new([("job", "a"), ("instance", "b:1")]).unwrap(), ..Options::default() };
        let now = Time(7_000);
        let (mut batch, mut known) = (SampleBatch::new(), Vec::new());
        Decoder::default().decode(body.as_bytes(), content, now, &options, &mut batch, &mut known);
        let theirs = batch.iter().map(|(key, one)| (Labels::from_key(key).unwrap(), one.time.0, one.value.to_bits())).collect();
        let mut names = Names::default();
        let ours = samples(body, content)
            .map(|found| {
                let found = found?;
                let labels = names.labels(found.key, found.bound, &options).map_err(|why| Mistake { line: 0, column: 0, why })?;
                Ok((labels, found.time.unwrap_or(now).0, found.value.to_bits()))
            })
            .collect();
        (theirs, ours)
    }

    #[test]
    fn the_same_as_the_decoder() {
        let text = "# HELP up is it\n# TYPE up gauge\nup 1\nup{} 2\n  up { a = \"b\" , } 3 1000\n\nx{a=\"}\",b=\"\\\"}\\\\\"} NaN\r\n\
                    x{job=\"own\",exported_job=\"c\"} +Inf\n{\"utf é\",\"la bel\"=\"1\"} 1e3\n # a remark\ny\t4\t-5\n";
        let (theirs, ours) = both(text, ContentType::Text004);
        assert_eq!((theirs.len(), ours.as_ref()), (7, Ok(&theirs)));
        let text = "# TYPE a counter\na_total{b=\"c\"} 1 1.5 # {trace=\"}\"} 3\na_created 2\n# EOF\n";
        let (theirs, ours) = both(text, ContentType::OpenMetrics1);
        assert_eq!((theirs.len(), ours.as_ref()), (2, Ok(&theirs)));
    }

    /// As Prometheus 3 reads them: a bound is a number, however its text looks.
    #[test]
    fn bounds_of_histograms_and_summaries_are_numbers() {
        let text = "# HELP h a histogram\n# TYPE h histogram\nh_bucket{le=\"1\"} 1\nh_bucket{le=\"1.0\"} 1\nh_bucket{le=\"1000000\"} 2\n\
                    h_bucket{le=\"+Inf\"} 2\nh_bucket{le=\"inf\"} 2\nh_bucket{le=\"1e999\"} 2\nh_bucket{le=\"many\"} 2\n\
                    h_bucket{quantile=\"1\"} 2\nh_count 2\n  # TYPE s \tsummary \ns{quantile=\"0.990\",le=\"1\"} 1\n\
                    # TYPE g gauge\ng{le=\"1\",quantile=\"1\"} 1\n";
        let wanted = [
            "h_bucket{le=\"1.0\"}",
            "h_bucket{le=\"1.0\"}",
            "h_bucket{le=\"1e+06\"}",
            "h_bucket{le=\"+Inf\"}",
            "h_bucket{le=\"+Inf\"}",
            "h_bucket{le=\"1e999\"}",
            "h_bucket{le=\"many\"}",
            "h_bucket{quantile=\"1\"}",
            "h_count",
            "s{le=\"1\", quantile=\"0.99\"}",
            "g{le=\"1\", quantile=\"1\"}",
        ];
        let (theirs, ours) = both(text, ContentType::Text004);
        assert_eq!(ours.as_ref(), Ok(&theirs));
        let own = |labels: &Labels| labels.filter(|name| name != "job" && name != "instance").to_string();
        assert_eq!(theirs.iter().map(|(labels, ..)| own(labels)).collect::<Vec<_>>(), wanted);
        let (theirs, ours) = both("# TYPE h histogram\nh_bucket{le=\"5\"} 1\n# EOF\n", ContentType::OpenMetrics1);
        assert_eq!((own(&theirs[0].0), ours.as_ref()), ("h_bucket{le=\"5.0\"}".to_owned(), Ok(&theirs)));
    }

    #[test]
    fn a_mistake_has_its_place_and_ends_the_reading() {
        for (text, content, line, column) in [
            ("a 1\nb\nc 1\n", ContentType::Text004, 2, 2),
            ("a 1\nb x\n", ContentType::Text004, 2, 3),
            ("a{b=\"c\" 1\n", ContentType::Text004, 1, 2),
            ("a{b=\"c} 1\n", ContentType::Text004, 1, 5),
            ("a{b=\"c\\", ContentType::Text004, 1, 5),
            ("a 1 2 3\n", ContentType::Text004, 1, 7),
            ("a 1 x\n", ContentType::Text004, 1, 5),
            ("a-b 1\n", ContentType::Text004, 1, 2),
            ("a 1\n", ContentType::OpenMetrics1, 2, 1),
            ("a 1\n\n# EOF\n", ContentType::OpenMetrics1, 2, 1),
            ("a 1\n# EOF\nb 1\n", ContentType::OpenMetrics1, 3, 1),
        ] {
            let mut read = samples(text, content);
            let mistake = read.by_ref().find_map(Result::err).unwrap();
            assert_eq!((mistake.line, mistake.column), (line, column), "{text:?}: {mistake}");
            assert_eq!(read.next(), None);
        }
        let why = Names::default().labels("a{b=1}", None, &Options::default()).unwrap_err();
        assert!(why.contains("column 5"), "{why}");
    }

    proptest::proptest! {
        #[test]
        fn anything_can_be_read(body in "[a-c{}=\"\\\\ \\n#0-9.é\\t,]{0,80}") {
            for content in [ContentType::Text004, ContentType::OpenMetrics1] {
                let mut names = Names::default();
                for found in samples(&body, content).flatten() {
                    let _ = names.labels(found.key, found.bound, &Options::default());
                }
            }
        }
    }
}
