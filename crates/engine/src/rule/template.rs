//! The part of Go's templates that rules use in labels and annotations: values, pipes and Prometheus' functions.
//!
//! Compiled once; filling never fails. What is not in here (`if`, `range`, `query`) is refused when the rule is loaded.

use model::Labels;
use query::Span;

use super::number::{general, humanize, humanize_1024, humanize_duration, shortest};
use super::printf;

/// Longest text of a filled template, in bytes.
const FILLED_MAX: usize = 4 * 1024;

/// A compiled template.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Template {
    parts: Vec<Part>,
}

/// What fills a template.
pub(super) struct Filling<'a> {
    pub(super) labels: &'a Labels,
    pub(super) value: f64,
}

/// Where a template is wrong, and how.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct TemplateError {
    pub(super) place: Span,
    pub(super) text: String,
}

#[derive(Clone, Debug, PartialEq)]
enum Part {
    Text(String),
    /// The calls of a pipe, each taking the result before it as its last argument.
    Pipe(Vec<Call>),
}

#[derive(Clone, Debug, PartialEq)]
enum Call {
    Value(Operand),
    Function(&'static Function, Vec<Operand>),
}

#[derive(Clone, Debug, PartialEq)]
enum Operand {
    Label(String),
    Value,
    Text(String),
    Number(f64),
}

/// A value on its way through a pipe.
#[derive(Clone, Debug)]
pub(super) enum Item {
    Text(String),
    Number(f64),
}

#[derive(Debug)]
struct Function {
    name: &'static str,
    /// How many arguments, the piped one counted; `printf` takes any number.
    takes: Option<usize>,
    apply: fn(&[Item]) -> String,
}

impl PartialEq for Function {
    fn eq(&self, other: &Function) -> bool {
        self.name == other.name
    }
}

const FUNCTIONS: &[Function] = &[
    Function { name: "humanize", takes: Some(1), apply: |items| humanize(number(items)) },
    Function { name: "humanize1024", takes: Some(1), apply: |items| humanize_1024(number(items)) },
    Function { name: "humanizeDuration", takes: Some(1), apply: |items| humanize_duration(number(items)) },
    Function { name: "humanizePercentage", takes: Some(1), apply: |items| format!("{}%", general(number(items) * 100.0, 4)) },
    Function { name: "humanizeTimestamp", takes: Some(1), apply: |items| model::Time::from_secs_f64(number(items)).to_string() },
    Function { name: "printf", takes: None, apply: printf::print },
    Function { name: "toUpper", takes: Some(1), apply: |items| text(&items[0]).to_uppercase() },
    Function { name: "toLower", takes: Some(1), apply: |items| text(&items[0]).to_lowercase() },
    Function { name: "title", takes: Some(1), apply: |items| title(&text(&items[0])) },
    Function { name: "stripPort", takes: Some(1), apply: |items| strip_port(&text(&items[0])) },
    Function { name: "stripDomain", takes: Some(1), apply: |items| strip_domain(&text(&items[0])) },
];

impl Template {
    /// A text that is taken as it stands.
    pub(super) fn plain(text: &str) -> Template {
        Template { parts: vec![Part::Text(text.to_owned())] }
    }

    /// The text of a template without actions.
    pub(super) fn as_plain(&self) -> Option<&str> {
        match self.parts.as_slice() {
            [] => Some(""),
            [Part::Text(text)] => Some(text),
            _ => None,
        }
    }

    /// Whether nothing but labels goes into it: the same labels make the same text.
    pub(super) fn only_labels(&self) -> bool {
        let of_labels = |operand: &Operand| !matches!(operand, Operand::Value);
        self.parts.iter().all(|part| match part {
            Part::Text(_) => true,
            Part::Pipe(calls) => calls.iter().all(|call| match call {
                Call::Value(operand) => of_labels(operand),
                Call::Function(_, operands) => operands.iter().all(of_labels),
            }),
        })
    }

    /// Compiles a text.
    pub(super) fn parse(source: &str) -> Result<Template, TemplateError> {
        let mut parts: Vec<Part> = Vec::new();
        let mut at = 0;
        let mut trims = false;
        while at < source.len() {
            let open = source[at..].find("{{").map(|open| at + open);
            let mut text = &source[at..open.unwrap_or(source.len())];
            if trims {
                text = text.trim_start();
            }
            let Some(open) = open else {
                push_text(&mut parts, text);
                break;
            };
            let close = source[open..].find("}}").map(|close| open + close);
            let Some(close) = close else {
                return Err(wrong(open, source.len(), "`{{` without `}}`"));
            };
            let mut inside = (open + 2, close);
            if source[inside.0..inside.1].starts_with("- ") {
                text = text.trim_end();
                inside.0 += 1;
            }
            push_text(&mut parts, text);
            trims = source[inside.0..inside.1].ends_with(" -");
            if trims {
                inside.1 -= 1;
            }
            let action = source[inside.0..inside.1].trim();
            if !(action.starts_with("/*") && action.ends_with("*/")) {
                parts.push(Part::Pipe(pipe(source, inside.0, inside.1)?));
            }
            at = close + 2;
        }
        Ok(Template { parts })
    }

    /// The text with everything filled in; cut where it grows too long.
    pub(super) fn fill(&self, filling: &Filling<'_>) -> String {
        let mut out = String::new();
        for part in &self.parts {
            match part {
                Part::Text(text) => out.push_str(text),
                Part::Pipe(calls) => {
                    let mut item: Option<Item> = None;
                    for call in calls {
                        item = Some(match call {
                            Call::Value(operand) => take(operand, filling),
                            Call::Function(function, operands) => {
                                let given = operands.iter().map(|operand| take(operand, filling));
                                let items: Vec<Item> = given.chain(item).collect();
                                Item::Text((function.apply)(&items))
                            }
                        });
                    }
                    out.push_str(&item.map(|item| text(&item)).unwrap_or_default());
                }
            }
        }
        if out.len() > FILLED_MAX {
            let cut = (0..=FILLED_MAX).rev().find(|cut| out.is_char_boundary(*cut)).unwrap_or(0);
            out.truncate(cut);
        }
        out
    }
}

fn push_text(parts: &mut Vec<Part>, text: &str) {
    if !text.is_empty() {
        parts.push(Part::Text(text.to_owned()));
    }
}

fn wrong(start: usize, end: usize, text: impl Into<String>) -> TemplateError {
    TemplateError { place: Span::new(start, end), text: text.into() }
}

/// Reads the inside of `{{ }}`.
fn pipe(source: &str, start: usize, end: usize) -> Result<Vec<Call>, TemplateError> {
    let mut calls = Vec::new();
    for words in words(source, start, end)?.split(|word| word.1 == "|") {
        let Some(&(at, word)) = words.first() else {
            return Err(wrong(start, end, "nothing stands here: write a value like $labels.instance or $value"));
        };
        if let Some(operand) = operand(at, word)? {
            if words.len() > 1 || !calls.is_empty() {
                return Err(wrong(at, at + word.len(), format!("`{word}` is no function: it takes nothing")));
            }
            calls.push(Call::Value(operand));
            continue;
        }
        let Some(function) = FUNCTIONS.iter().find(|function| function.name == word) else {
            let nearest = FUNCTIONS.iter().min_by_key(|function| strsim::damerau_levenshtein(function.name, word));
            let nearest = nearest.map_or("", |function| function.name);
            return Err(wrong(at, at + word.len(), format!("`{word}` is not a function of rule templates; nearest: {nearest}")));
        };
        let mut operands = Vec::new();
        for &(at, word) in &words[1..] {
            let found = operand(at, word)?;
            operands.push(found.ok_or_else(|| wrong(at, at + word.len(), format!("`{word}` is not a value")))?);
        }
        let count = operands.len() + usize::from(!calls.is_empty());
        if function.takes.is_some_and(|takes| takes != count) {
            return Err(wrong(at, at + word.len(), format!("`{word}` takes one value, {count} are given")));
        }
        if function.name == "printf" {
            check_printf(&operands, count, at, at + word.len())?;
        }
        calls.push(Call::Function(function, operands));
    }
    Ok(calls)
}

/// Words with their places: separated by blanks, a quoted text is one, `|` stands alone.
fn words(source: &str, start: usize, end: usize) -> Result<Vec<(usize, &str)>, TemplateError> {
    let mut found = Vec::new();
    let mut at = start;
    while at < end {
        let rest = &source[at..end];
        let first = rest.chars().next().unwrap_or(' ');
        let len = match first {
            c if c.is_whitespace() => {
                at += c.len_utf8();
                continue;
            }
            '|' => 1,
            '"' | '`' => quoted_len(rest, first).ok_or_else(|| wrong(at, end, "a text without its closing quote"))?,
            _ => rest.find(|c: char| c.is_whitespace() || c == '|').unwrap_or(rest.len()),
        };
        found.push((at, &rest[..len]));
        at += len;
    }
    Ok(found)
}

fn quoted_len(text: &str, quote: char) -> Option<usize> {
    let mut escaped = false;
    text.char_indices().skip(1).find_map(|(place, c)| {
        let closes = c == quote && !escaped;
        escaped = quote == '"' && c == '\\' && !escaped;
        closes.then_some(place + 1)
    })
}

/// A value, if the word is one.
fn operand(at: usize, word: &str) -> Result<Option<Operand>, TemplateError> {
    if word == "$value" || word == ".Value" {
        return Ok(Some(Operand::Value));
    }
    if let Some(name) = word.strip_prefix("$labels.").or_else(|| word.strip_prefix(".Labels.")) {
        let plain = !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
        return if plain {
            Ok(Some(Operand::Label(name.to_owned())))
        } else {
            Err(wrong(at, at + word.len(), "not a label's name"))
        };
    }
    if let Some(inside) = word.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')) {
        let text = serde_json::from_str(word).unwrap_or_else(|_| inside.to_owned());
        return Ok(Some(Operand::Text(text)));
    }
    if let Some(inside) = word.strip_prefix('`').and_then(|rest| rest.strip_suffix('`')) {
        return Ok(Some(Operand::Text(inside.to_owned())));
    }
    if word.starts_with(['$', '.']) {
        return Err(wrong(at, at + word.len(), format!("`{word}` is not known here: there are $labels.NAME and $value")));
    }
    Ok(word.parse().ok().filter(|number: &f64| number.is_finite()).map(Operand::Number))
}

fn take(operand: &Operand, filling: &Filling<'_>) -> Item {
    match operand {
        Operand::Label(name) => Item::Text(filling.labels.get(name).unwrap_or("").to_owned()),
        Operand::Value => Item::Number(filling.value),
        Operand::Text(text) => Item::Text(text.clone()),
        Operand::Number(number) => Item::Number(*number),
    }
}

pub(super) fn text(item: &Item) -> String {
    match item {
        Item::Text(text) => text.clone(),
        Item::Number(number) => shortest(*number),
    }
}

/// The only item as a number; a text that is none counts as not a number.
pub(super) fn number(items: &[Item]) -> f64 {
    match items.first() {
        Some(Item::Number(number)) => *number,
        Some(Item::Text(text)) => text.trim().parse().unwrap_or(f64::NAN),
        None => f64::NAN,
    }
}

fn title(text: &str) -> String {
    let mut start = true;
    text.chars()
        .map(|c| {
            let shown = if start { c.to_ascii_uppercase() } else { c };
            start = !c.is_alphanumeric();
            shown
        })
        .collect()
}

fn strip_port(text: &str) -> String {
    let port = |(_, port): &(&str, &str)| !port.is_empty() && port.bytes().all(|byte| byte.is_ascii_digit());
    text.rsplit_once(':').filter(port).map_or(text, |(host, _)| host).to_owned()
}

fn strip_domain(text: &str) -> String {
    let (host, port) = text.split_once(':').map_or((text, None), |(host, port)| (host, Some(port)));
    let is_address = host.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.');
    let short = if is_address { host } else { host.split('.').next().unwrap_or(host) };
    port.map_or(short.to_owned(), |port| format!("{short}:{port}"))
}

fn check_printf(operands: &[Operand], count: usize, start: usize, end: usize) -> Result<(), TemplateError> {
    let Some(Operand::Text(format)) = operands.first() else {
        return Err(wrong(start, end, "printf needs a format first: printf \"%.2f\" $value"));
    };
    let Some(verbs) = printf::places(format) else {
        return Err(wrong(start, end, "printf knows %s %v %d %f %e %g %q and %%, with flags, width and precision"));
    };
    if verbs != count - 1 {
        return Err(wrong(start, end, format!("the format has {verbs} places, {} values are given", count - 1)));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn filled(template: &str, value: f64) -> String {
        let labels = Labels::new([("instance", "shop-1.example:9100"), ("mountpoint", "/data"), ("service", "shop")]).unwrap();
        Template::parse(template).unwrap().fill(&Filling { labels: &labels, value })
    }

    #[test]
    fn templates_as_prometheus_fills_them() {
        let cases = [
            ("plain", 0.0, "plain"),
            ("{{ $labels.service }} on {{$labels.instance}}", 0.0, "shop on shop-1.example:9100"),
            ("{{ $labels.nothing }}!", 0.0, "!"),
            ("{{ $value }}", 0.25, "0.25"),
            ("{{ .Value }} {{ .Labels.service }}", 3.0, "3 shop"),
            ("{{ $value | humanize }}", 1_234_567.0, "1.235M"),
            ("{{ humanize $value }}", 0.000_123, "123u"),
            ("{{ $value | humanize1024 }}B", 1_536.0, "1.5kiB"),
            ("{{ $value | humanizePercentage }}", 0.123_45, "12.35%"),
            ("{{ $value | humanizeDuration }}", 93_784.0, "1d 2h 3m 4s"),
            ("{{ $value | humanizeDuration }}", 0.0042, "4.2ms"),
            ("{{ printf \"%.2f\" $value }} %", 1.005_9, "1.01 %"),
            ("{{ $value | printf \"%.1f of %%\" }}", 12.34, "12.3 of %"),
            ("{{ printf \"%s: %5.1f|%-4d|%04d\" $labels.service $value $value $value }}", 7.5, "shop:   7.5|7   |0007"),
            ("{{ $labels.service | toUpper | printf \"<%s>\" }}", 0.0, "<SHOP>"),
            ("{{ $labels.instance | stripPort }} {{ stripDomain $labels.instance }}", 0.0, "shop-1.example shop-1:9100"),
            ("a {{- /* nothing */ -}} b {{ `raw` }}", 0.0, "ab raw"),
            ("{{ \"a \\\"b\\\" | c\" | title }}", 0.0, "A \"B\" | C"),
            ("{{ $value }}", f64::INFINITY, "+Inf"),
        ];
        for (template, value, expected) in cases {
            assert_eq!(filled(template, value), expected, "{template}");
        }
    }

    #[test]
    fn mistakes_name_their_place() {
        let cases = [
            ("x {{ $value", 2, "without `}}`"),
            ("{{ humanise $value }}", 3, "nearest: humanize"),
            ("{{ if $value }}a{{ end }}", 3, "not a function"),
            ("{{ $value | printf \"%.2f %s\" }}", 12, "2 places, 1 values"),
            ("{{ printf \"%x\" $value }}", 3, "printf knows"),
            ("{{ }}", 2, "nothing stands here"),
            ("{{ $externalURL }}", 3, "not known here"),
            ("{{ \"a }}", 3, "closing quote"),
            ("{{ $value | $labels.a }}", 12, "no function"),
        ];
        for (template, start, text) in cases {
            let error = Template::parse(template).unwrap_err();
            assert_eq!(error.place.start, start, "{template}");
            assert!(error.text.contains(text), "{template}: {}", error.text);
        }
    }

    proptest::proptest! {
        #[test]
        fn no_text_is_too_odd(text in "[{}|$%.\"`a-zü \\\\/*-]{0,40}", value in proptest::num::f64::ANY) {
            for text in [text.clone(), format!("{{{{ printf \"{text}\" $value }}}}"), format!("{{{{ $value | humanize }}}}{text}")] {
                if let Ok(template) = Template::parse(&text) {
                    template.fill(&Filling { labels: &Labels::empty(), value });
                }
            }
        }
    }

    #[test]
    fn a_filled_template_stays_short() {
        let labels = Labels::new([("a", "ü".repeat(5_000))]).unwrap();
        let filled = Template::parse("x{{ $labels.a }}").unwrap().fill(&Filling { labels: &labels, value: 0.0 });
        assert_eq!(filled.len(), FILLED_MAX - 1);
    }
}
