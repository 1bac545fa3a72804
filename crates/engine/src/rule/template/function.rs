//! The functions of rule templates: Go's own, and those that Prometheus adds.

use std::cmp::Ordering;

use model::Labels;
use query::source::Source;

use super::number::{general, humanize, humanize_1024, humanize_duration};
use super::{Filling, Item, number, printf, text, truth};

/// Most rows of a query that a template sees.
const ROWS_MAX: usize = 1_000;

/// What functions may look at.
pub(super) struct Around<'a> {
    pub filling: &'a Filling<'a>,
}

type Apply = fn(&[Item], &Around<'_>) -> Result<Item, String>;

/// A function.
#[derive(Debug)]
pub(super) struct Function {
    pub name: &'static str,
    /// Fewest and most arguments, the piped one counted.
    takes: (usize, usize),
    apply: Apply,
}

impl PartialEq for Function {
    fn eq(&self, other: &Function) -> bool {
        self.name == other.name
    }
}

const ANY: usize = usize::MAX;

macro_rules! of_text {
    ($name:literal, $apply:expr) => {
        Function { name: $name, takes: (1, 1), apply: |items, _| Ok(Item::Text($apply(&text(&items[0])))) }
    };
}

macro_rules! of_number {
    ($name:literal, $apply:expr) => {
        Function { name: $name, takes: (1, 1), apply: |items, _| Ok(Item::Text($apply(number(&items[0])))) }
    };
}

macro_rules! compares {
    ($name:literal, $holds:expr) => {
        Function { name: $name, takes: (2, 2), apply: |items, _| Ok(Item::Bool(order(&items[0], &items[1]).is_some_and($holds))) }
    };
}

pub(super) const FUNCTIONS: &[Function] = &[
    of_number!("humanize", humanize),
    of_number!("humanize1024", humanize_1024),
    of_number!("humanizeDuration", humanize_duration),
    of_number!("humanizePercentage", |value: f64| format!("{}%", general(value * 100.0, 4))),
    of_number!("humanizeTimestamp", humanize_timestamp),
    Function { name: "toTime", takes: (1, 1), apply: |items, _| Ok(Item::Text(go_time(number(&items[0])))) },
    Function { name: "toDuration", takes: (1, 1), apply: |items, _| Ok(Item::Text(go_duration(number(&items[0])))) },
    Function { name: "parseDuration", takes: (1, 1), apply: |items, _| parse_duration(&text(&items[0])) },
    Function { name: "now", takes: (0, 0), apply: |_, around| Ok(Item::Number(now(around))) },
    of_text!("toUpper", |text: &str| text.to_uppercase()),
    of_text!("toLower", |text: &str| text.to_lowercase()),
    of_text!("title", title),
    of_text!("stripPort", strip_port),
    of_text!("stripDomain", strip_domain),
    of_text!("safeHtml", |text: &str| text.to_owned()),
    of_text!("html", |text: &str| escaped_html(text)),
    of_text!("js", |text: &str| serde_json::to_string(text).map_or(String::new(), |quoted| quoted.trim_matches('"').to_owned())),
    of_text!("urlquery", |text: &str| percent(text)),
    of_text!("urlQueryEscape", |text: &str| percent(text)),
    of_text!("graphLink", |expr: &str| format!("/graph?g0.expr={}&g0.tab=0", percent(expr))),
    of_text!("tableLink", |expr: &str| format!("/graph?g0.expr={}&g0.tab=1", percent(expr))),
    Function { name: "externalURL", takes: (0, 0), apply: |_, around| Ok(Item::Text(around.filling.outside.url.clone())) },
    Function { name: "pathPrefix", takes: (0, 0), apply: |_, around| Ok(Item::Text(path_of(&around.filling.outside.url))) },
    Function { name: "match", takes: (2, 2), apply: |items, _| Ok(Item::Bool(regex(&items[0])?.is_match(&text(&items[1])))) },
    Function { name: "reReplaceAll", takes: (3, 3), apply: replace_all },
    Function { name: "query", takes: (1, 1), apply: |items, around| run_query(&text(&items[0]), around) },
    Function { name: "first", takes: (1, 1), apply: |items, _| first(&items[0]) },
    Function { name: "value", takes: (1, 1), apply: |items, _| Ok(Item::Number(sample(&items[0])?.1)) },
    Function { name: "strvalue", takes: (1, 1), apply: |items, _| Ok(label_of(&sample(&items[0])?.0, "__value__")) },
    Function { name: "label", takes: (2, 2), apply: |items, _| Ok(label_of(&sample(&items[1])?.0, &text(&items[0]))) },
    Function { name: "sortByLabel", takes: (2, 2), apply: sort_by_label },
    Function { name: "args", takes: (0, ANY), apply: |items, _| Ok(named(items)) },
    Function { name: "printf", takes: (1, ANY), apply: |items, _| Ok(Item::Text(printf::print(items))) },
    Function { name: "print", takes: (0, ANY), apply: |items, _| Ok(Item::Text(items.iter().map(text).collect())) },
    Function {
        name: "println",
        takes: (0, ANY),
        apply: |items, _| Ok(Item::Text(items.iter().map(text).collect::<Vec<_>>().join(" ") + "\n")),
    },
    Function { name: "and", takes: (1, ANY), apply: |items, _| Ok(decisive(items, false)) },
    Function { name: "or", takes: (1, ANY), apply: |items, _| Ok(decisive(items, true)) },
    Function { name: "not", takes: (1, 1), apply: |items, _| Ok(Item::Bool(!truth(&items[0]))) },
    Function {
        name: "eq",
        takes: (2, ANY),
        apply: |items, _| Ok(Item::Bool(items[1..].iter().any(|other| order(&items[0], other) == Some(Ordering::Equal)))),
    },
    Function {
        name: "ne",
        takes: (2, 2),
        apply: |items, _| Ok(Item::Bool(order(&items[0], &items[1]) != Some(Ordering::Equal))),
    },
    compares!("lt", Ordering::is_lt),
    compares!("le", Ordering::is_le),
    compares!("gt", Ordering::is_gt),
    compares!("ge", Ordering::is_ge),
    Function { name: "len", takes: (1, 1), apply: |items, _| len(&items[0]) },
    Function { name: "index", takes: (1, ANY), apply: index },
    Function { name: "slice", takes: (1, 3), apply: slice },
];

impl Function {
    pub fn named(name: &str) -> Option<&'static Function> {
        FUNCTIONS.iter().find(|function| function.name == name)
    }

    pub fn takes(&self, count: usize) -> bool {
        (self.takes.0..=self.takes.1).contains(&count)
    }

    pub fn takes_said(&self) -> String {
        match self.takes {
            (0, 0) => "nothing".into(),
            (1, 1) => "one value".into(),
            (fewest, ANY) => format!("{fewest} values or more"),
            (fewest, most) if fewest == most => format!("{fewest} values"),
            (fewest, most) => format!("{fewest} to {most} values"),
        }
    }

    pub fn apply(&self, items: &[Item], around: &Around<'_>) -> Result<Item, String> {
        (self.apply)(items, around)
    }

    /// Whether its result depends on nothing but what it is given.
    pub fn is_pure(&self) -> bool {
        !matches!(self.name, "query" | "now")
    }

    /// Whether the last argument decides, so that those behind it are not looked at.
    pub fn is_decided(&self, last: Option<&Item>) -> bool {
        match self.name {
            "and" => last.is_some_and(|last| !truth(last)),
            "or" => last.is_some_and(truth),
            _ => false,
        }
    }
}

fn decisive(items: &[Item], wanted: bool) -> Item {
    items.iter().find(|item| truth(item) == wanted).or(items.last()).cloned().unwrap_or(Item::Nil)
}

/// Numbers by size, texts by their letters; other things are only equal or not.
fn order(a: &Item, b: &Item) -> Option<Ordering> {
    match (a, b) {
        (Item::Number(a), Item::Number(b)) => a.partial_cmp(b),
        (Item::Text(a), Item::Text(b)) => Some(a.cmp(b)),
        (a, b) => (a == b).then_some(Ordering::Equal),
    }
}

fn now(around: &Around<'_>) -> f64 {
    around.filling.source.map_or(f64::NAN, |(_, at)| at.secs_f64())
}

fn run_query(expr: &str, around: &Around<'_>) -> Result<Item, String> {
    let Some((source, at)) = around.filling.source else { return Ok(Item::List(Vec::new())) };
    let source: &dyn Source = source;
    let features = around.filling.outside.features;
    let expr = query::parse_with(expr, &features).map_err(|error| error.to_string())?;
    let limits = query::Limits { samples: 1_000_000, series: 10_000, ..query::Limits::default() };
    let delayed_name_removal = features.delayed_name_removal;
    let params = query::Params { limits, delayed_name_removal, ..query::Params::instant(at) };
    let answer = query::evaluate(&expr, &params, source).map_err(|error| error.to_string())?;
    let rows = match answer.value {
        query::Value::Vector(samples) => samples.into_iter().map(|sample| Item::Sample(sample.labels, sample.value)).collect(),
        query::Value::Scalar { value, .. } => vec![Item::Sample(Labels::empty(), value)],
        query::Value::String(text) => vec![Item::Sample(Labels::new([("__value__", text)]).unwrap_or_default(), 0.0)],
        query::Value::Matrix(_) => return Err("query result is not a vector or scalar".into()),
    };
    let mut rows: Vec<Item> = rows;
    rows.truncate(ROWS_MAX);
    Ok(Item::List(rows))
}

fn first(item: &Item) -> Result<Item, String> {
    match item {
        Item::List(items) => items.first().cloned().ok_or_else(|| "first() called on vector with no elements".into()),
        other => Err(format!("first wants a list, not {}", text(other))),
    }
}

fn sample(item: &Item) -> Result<(Labels, f64), String> {
    match item {
        Item::Sample(labels, value) => Ok((labels.clone(), *value)),
        other => Err(format!("a row of a query is wanted, not {}", text(other))),
    }
}

fn label_of(labels: &Labels, name: &str) -> Item {
    Item::Text(labels.get(name).unwrap_or("").to_owned())
}

fn sort_by_label(items: &[Item], _: &Around<'_>) -> Result<Item, String> {
    let (name, Item::List(rows)) = (text(&items[0]), &items[1]) else { return Err("sortByLabel wants a list".into()) };
    let mut rows = rows.clone();
    rows.sort_by_key(|row| sample(row).map_or(String::new(), |(labels, _)| labels.get(&name).unwrap_or("").to_owned()));
    Ok(Item::List(rows))
}

fn named(items: &[Item]) -> Item {
    Item::Named(items.iter().enumerate().map(|(place, item)| (format!("arg{place}"), item.clone())).collect())
}

fn regex(item: &Item) -> Result<regex::Regex, String> {
    regex::RegexBuilder::new(&text(item)).size_limit(1 << 20).build().map_err(|error| error.to_string())
}

fn replace_all(items: &[Item], _: &Around<'_>) -> Result<Item, String> {
    Ok(Item::Text(regex(&items[0])?.replace_all(&text(&items[2]), text(&items[1])).into_owned()))
}

fn len(item: &Item) -> Result<Item, String> {
    Ok(Item::Number(match item {
        Item::Text(text) => text.len(),
        Item::List(items) => items.len(),
        Item::Labels(labels) => labels.len(),
        Item::Named(items) => items.len(),
        other => return Err(format!("len of {}", text(other))),
    } as f64))
}

fn index(items: &[Item], _: &Around<'_>) -> Result<Item, String> {
    items[1..].iter().try_fold(items[0].clone(), |of, key| match (&of, key) {
        (Item::Labels(labels), key) => Ok(label_of(labels, &text(key))),
        (Item::Named(items), key) => {
            let key = text(key);
            Ok(items.iter().find(|(name, _)| *name == key).map_or(Item::Nil, |(_, item)| item.clone()))
        }
        (Item::List(items), Item::Number(place)) if *place >= 0.0 => {
            items.get(*place as usize).cloned().ok_or_else(|| format!("index out of range: {place}"))
        }
        (of, _) => Err(format!("can't index {}", text(of))),
    })
}

fn slice(items: &[Item], _: &Around<'_>) -> Result<Item, String> {
    let place = |place: usize| items.get(place).map(|item| number(item).max(0.0) as usize);
    let (from, to) = (place(1).unwrap_or(0), place(2));
    match &items[0] {
        Item::Text(text) => {
            let cut = text.get(from..to.unwrap_or(text.len())).ok_or("slice out of range")?;
            Ok(Item::Text(cut.to_owned()))
        }
        Item::List(items) => {
            let cut = items.get(from..to.unwrap_or(items.len())).ok_or("slice out of range")?;
            Ok(Item::List(cut.to_vec()))
        }
        other => Err(format!("can't slice {}", text(other))),
    }
}

fn humanize_timestamp(secs: f64) -> String {
    if secs.is_finite() { go_time(secs) } else { general(secs, 4) }
}

/// As Go writes an instant: `2026-11-22 10:15:00 +0000 UTC`.
fn go_time(secs: f64) -> String {
    let millis = model::Time::from_secs_f64(secs);
    let shown = millis.to_string();
    match shown.strip_suffix('Z').and_then(|text| text.split_once('T')) {
        Some((day, clock)) => format!("{day} {clock} +0000 UTC"),
        None => shown,
    }
}

/// As Go writes a length of time: `1h2m3.5s`.
fn go_duration(secs: f64) -> String {
    if secs == 0.0 {
        return "0s".into();
    }
    if secs.abs() < 1.0 {
        let micros = (secs * 1e6).round() / 1e3;
        return format!("{micros}ms");
    }
    let sign = if secs < 0.0 { "-" } else { "" };
    let secs = secs.abs();
    let (hours, minutes) = ((secs / 3_600.0).floor(), (secs % 3_600.0 / 60.0).floor());
    let rest = (secs % 60.0 * 1e3).round() / 1e3;
    match (hours, minutes) {
        (0.0, 0.0) => format!("{sign}{rest}s"),
        (0.0, _) => format!("{sign}{minutes}m{rest}s"),
        _ => format!("{sign}{hours}h{minutes}m{rest}s"),
    }
}

fn parse_duration(text: &str) -> Result<Item, String> {
    let span = model::config::Span::parse(text).ok_or_else(|| format!("not a valid duration string: {text:?}"))?;
    Ok(Item::Number(span.0 as f64 / 1e3))
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

fn escaped_html(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&#34;"),
            '\'' => out.push_str("&#39;"),
            c => out.push(c),
        }
    }
    out
}

/// As Go escapes a query: a blank becomes `+`.
fn percent(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => out.push(byte as char),
            b' ' => out.push('+'),
            byte => out.push_str(&format!("%{byte:02X}")),
        }
    }
    out
}

fn path_of(url: &str) -> String {
    let behind = url.split_once("://").map_or("", |(_, rest)| rest);
    behind.find('/').map_or(String::new(), |slash| behind[slash..].trim_end_matches('/').to_owned())
}
