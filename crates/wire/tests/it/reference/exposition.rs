//! Prometheus' text and OpenMetrics, character by character: what each line makes, or that it makes nothing.

use std::collections::BTreeMap;

use model::{Labels, SampleBatch, Time};
use wire::exposition::{self, ContentType, Options};

use super::Sample;

const NOW: Time = Time(42);

/// Holds our decoder to this one.
pub fn agree(body: &[u8]) {
    for content in [ContentType::Text004, ContentType::OpenMetrics1] {
        let (mut batch, mut metadata) = (SampleBatch::new(), Vec::new());
        let report = exposition::decode(body, content, NOW, &Options::default(), &mut batch, &mut metadata);
        let seen: Vec<Sample> = batch
            .iter()
            .map(|(key, sample)| (Labels::from_key(key).unwrap().to_string(), sample.time.0, sample.value.to_bits()))
            .collect();
        let (wanted, bad) = read(body, content == ContentType::OpenMetrics1);
        let about = || String::from_utf8_lossy(body).into_owned();
        assert_eq!(seen, wanted, "{content:?} {:?}", about());
        assert_eq!((report.failed, report.accepted), (bad, wanted.len()), "{content:?} {:?}: {:?}", about(), report.errors);
    }
}

fn read(body: &[u8], open: bool) -> (Vec<Sample>, usize) {
    let (mut samples, mut bad, mut ended) = (Vec::new(), 0, false);
    let mut lines: Vec<&[u8]> = body.split(|byte| *byte == b'\n').collect();
    // What follows the last end of a line is no line.
    lines.pop_if(|line| line.is_empty());
    for line in lines {
        let Ok(text) = str::from_utf8(line) else {
            bad += 1;
            continue;
        };
        if ended {
            bad += 1;
        } else if open && text == "# EOF" {
            ended = true;
        } else if text.trim_start_matches([' ', '\t']).starts_with('#') {
            bad += usize::from(comment(text).is_none());
        } else if open || !text.trim_ascii().is_empty() {
            match sample(text, open) {
                Some(sample) => samples.push(sample),
                None => bad += 1,
            }
        }
    }
    (samples, bad + usize::from(open && !ended))
}

struct Cursor {
    chars: Vec<char>,
    at: usize,
}

impl Cursor {
    fn new(text: &str) -> Cursor {
        Cursor { chars: text.chars().collect(), at: 0 }
    }

    fn peek(&self) -> Option<char> {
        self.chars.get(self.at).copied()
    }

    fn take(&mut self, wanted: char) -> Option<()> {
        (self.peek() == Some(wanted)).then(|| self.at += 1)
    }

    fn skip_blanks(&mut self) {
        while matches!(self.peek(), Some(' ' | '\t' | '\r')) {
            self.at += 1;
        }
    }

    fn word(&mut self) -> String {
        self.skip_blanks();
        let start = self.at;
        while !matches!(self.peek(), None | Some(' ' | '\t' | '\r')) {
            self.at += 1;
        }
        self.chars[start..self.at].iter().collect()
    }

    fn name(&mut self, colon: bool) -> String {
        let start = self.at;
        while self.peek().is_some_and(|c| c.is_ascii_alphanumeric() || c == '_' || (colon && c == ':')) {
            self.at += 1;
        }
        self.chars[start..self.at].iter().collect()
    }

    fn quoted(&mut self) -> Option<String> {
        self.take('"')?;
        let mut text = String::new();
        loop {
            let c = self.peek()?;
            self.at += 1;
            match c {
                '"' => return Some(text),
                '\\' => {
                    text.push(match self.peek()? {
                        'n' => '\n',
                        c @ ('"' | '\\') => c,
                        _ => return None,
                    });
                    self.at += 1;
                }
                c => text.push(c),
            }
        }
    }

    /// Labels behind the `{`; the metric's name may be among them.
    fn braces(&mut self, metric: &mut String) -> Option<BTreeMap<String, String>> {
        let mut labels = BTreeMap::new();
        loop {
            self.skip_blanks();
            if self.take('}').is_some() {
                return Some(labels);
            }
            let is_quoted = self.peek() == Some('"');
            let name = if is_quoted { self.quoted()? } else { self.name(false) };
            self.skip_blanks();
            if self.take('=').is_some() {
                self.skip_blanks();
                let value = self.quoted()?;
                if name.is_empty() || name == "__name__" || labels.insert(name, value).is_some() || labels.len() > 127 {
                    return None;
                }
            } else if is_quoted && metric.is_empty() && !name.is_empty() && matches!(self.peek(), Some(',' | '}')) {
                *metric = name;
            } else {
                return None;
            }
            self.skip_blanks();
            if self.peek() != Some('}') {
                self.take(',')?;
            }
        }
    }
}

fn sample(text: &str, open: bool) -> Option<Sample> {
    let mut cursor = Cursor::new(text);
    cursor.skip_blanks();
    if cursor.peek().is_some_and(|c| c.is_ascii_digit()) {
        return None;
    }
    let mut metric = cursor.name(true);
    let named = cursor.at;
    cursor.skip_blanks();
    let mut labels = BTreeMap::new();
    if cursor.take('{').is_some() {
        labels = cursor.braces(&mut metric)?;
    } else if cursor.at == named && cursor.peek().is_some() {
        return None;
    }
    if metric.is_empty() {
        return None;
    }
    let value: f64 = cursor.word().parse().ok()?;
    cursor.skip_blanks();
    let mut time = NOW;
    if !matches!(cursor.peek(), None | Some('#')) {
        time = instant(&cursor.word(), open)?;
        cursor.skip_blanks();
    }
    if open && cursor.take('#').is_some() {
        exemplar(&mut cursor)?;
    }
    cursor.skip_blanks();
    if cursor.peek().is_some() {
        return None;
    }
    labels.insert("__name__".into(), metric);
    Some((Labels::new(labels).ok()?.to_string(), time.0, value.to_bits()))
}

fn exemplar(cursor: &mut Cursor) -> Option<()> {
    cursor.skip_blanks();
    cursor.take('{')?;
    // The name of the metric is there already.
    cursor.braces(&mut "metric".to_owned())?;
    cursor.word().parse::<f64>().ok()?;
    match cursor.word().as_str() {
        "" => Some(()),
        word => instant(word, true).map(drop),
    }
}

fn instant(word: &str, open: bool) -> Option<Time> {
    if !open {
        return word.parse::<i64>().ok()?.checked_mul(1_000).map(Time);
    }
    let secs: f64 = word.parse().ok()?;
    (secs.abs() < 9.2e12).then(|| Time((secs * 1e6).round() as i64))
}

fn comment(text: &str) -> Option<()> {
    const KINDS: [&str; 9] =
        ["counter", "gauge", "histogram", "gaugehistogram", "summary", "info", "stateset", "unknown", "untyped"];
    let mut cursor = Cursor::new(text);
    cursor.skip_blanks();
    cursor.at += 1;
    let word = cursor.word();
    if !["HELP", "TYPE", "UNIT"].contains(&word.as_str()) {
        return Some(());
    }
    cursor.skip_blanks();
    let family = if cursor.peek() == Some('"') { cursor.quoted()? } else { cursor.word() };
    cursor.skip_blanks();
    let rest: String = cursor.chars[cursor.at..].iter().collect();
    (!family.is_empty() && (word != "TYPE" || KINDS.contains(&rest.trim_end()))).then_some(())
}
