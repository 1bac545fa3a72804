//! The labels that name a series or an alert: sorted pairs of name and value in one shared string.
//!
//! The encoded form is the series' key everywhere: in the log, in the head's hash map and on the agent's link. For each
//! pair, sorted by name: the length of the name and of the value, each as one `char`, then both texts. Because a length
//! is a `char` the whole key stays valid UTF-8, so taking a label out of it needs neither a copy nor a check.

use std::cmp::Ordering;
use std::collections::BTreeMap;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// The label that holds a metric's name.
pub const METRIC_NAME: &str = "__name__";
/// Longest name or value of a label, in bytes. Below the surrogates, so every length is a `char`.
pub const LABEL_LEN_MAX: usize = 16 * 1024;
/// Most labels that one series may have.
pub const LABELS_MAX: usize = 128;

/// A sorted set of labels with different names and no empty value. Cheap to clone, compare and hash.
#[derive(Clone, PartialEq, Eq)]
pub struct Labels(Arc<str>);

/// Why labels were refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LabelsError {
    /// The same name twice.
    #[error("label `{0}` stands twice")]
    Twice(String),
    /// A name or a value is over [`LABEL_LEN_MAX`].
    #[error("label `{name}` is {len} bytes long, {LABEL_LEN_MAX} at most")]
    TooLong {
        /// Its name, cut.
        name: String,
        /// Its length in bytes.
        len: usize,
    },
    /// More than [`LABELS_MAX`].
    #[error("{0} labels, {LABELS_MAX} at most")]
    TooMany(usize),
    /// A label without a name.
    #[error("a label has no name")]
    NoName,
    /// Not a key that [`Labels`] wrote.
    #[error("not a series key")]
    NotAKey,
}

impl Labels {
    /// No labels.
    pub fn empty() -> Labels {
        Labels(Arc::from(""))
    }

    /// From pairs in any order. A pair with an empty value is the same as no pair, as in Prometheus.
    pub fn new<N: AsRef<str>, V: AsRef<str>>(pairs: impl IntoIterator<Item = (N, V)>) -> Result<Labels, LabelsError> {
        let pairs: Vec<(N, V)> = pairs.into_iter().collect();
        let mut sorted: Vec<(&str, &str)> = pairs.iter().map(|(name, value)| (name.as_ref(), value.as_ref())).collect();
        let mut key = String::new();
        encode(&mut sorted, &mut key)?;
        Ok(Labels(key.into()))
    }

    /// From a key that [`encode`] wrote; checked.
    pub fn from_key(key: &str) -> Result<Labels, LabelsError> {
        check_key(key)?;
        Ok(Labels(key.into()))
    }

    /// The encoded key.
    pub fn key(&self) -> &str {
        &self.0
    }

    /// The value of a label, if it is there.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.iter().find(|(have, _)| *have == name).map(|(_, value)| value)
    }

    /// The metric's name, empty if there is none.
    pub fn metric(&self) -> &str {
        self.get(METRIC_NAME).unwrap_or("")
    }

    /// All pairs, sorted by name.
    pub fn iter(&self) -> Pairs<'_> {
        Pairs { rest: &self.0 }
    }

    /// How many labels.
    pub fn len(&self) -> usize {
        self.iter().count()
    }

    /// True without any label.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The labels whose name `keep` approves of.
    pub fn filter(&self, keep: impl Fn(&str) -> bool) -> Labels {
        let mut key = String::with_capacity(self.0.len());
        self.filter_into(keep, &mut key);
        Labels(key.into())
    }

    /// Appends the key of the labels whose name `keep` approves of.
    pub fn filter_into(&self, keep: impl Fn(&str) -> bool, key: &mut String) {
        for (name, value) in self.iter().filter(|(name, _)| keep(name)) {
            push_pair(key, name, value);
        }
    }

    /// With one label set, or taken away where the value is empty.
    pub fn with(&self, name: &str, value: &str) -> Labels {
        let mut key = String::with_capacity(self.0.len() + name.len() + value.len() + 2);
        let mut placed = value.is_empty();
        for (have, old) in self.iter() {
            if !placed && have >= name {
                push_pair(&mut key, name, value);
                placed = true;
            }
            if have != name {
                push_pair(&mut key, have, old);
            }
        }
        if !placed {
            push_pair(&mut key, name, value);
        }
        Labels(key.into())
    }

    /// Without one label.
    pub fn without(&self, name: &str) -> Labels {
        self.with(name, "")
    }

    /// FNV-1a over Prometheus' byte sequence `name 0xff value 0xff`: the fingerprint that Alertmanager shows.
    pub fn fingerprint(&self) -> u64 {
        let mut hash: u64 = 0xcbf2_9ce4_8422_2325;
        let mut eat = |byte: u8| hash = (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3);
        for (name, value) in self.iter() {
            name.bytes().for_each(&mut eat);
            eat(0xff);
            value.bytes().for_each(&mut eat);
            eat(0xff);
        }
        hash
    }
}

/// Sorts `pairs`, drops those with an empty value and appends the key to `out`. On an error `out` is as it was.
pub fn encode(pairs: &mut Vec<(&str, &str)>, out: &mut String) -> Result<(), LabelsError> {
    pairs.retain(|(_, value)| !value.is_empty());
    if pairs.len() > LABELS_MAX {
        return Err(LabelsError::TooMany(pairs.len()));
    }
    pairs.sort_unstable();
    let mut before = None;
    for &(name, value) in pairs.iter() {
        if name.is_empty() {
            return Err(LabelsError::NoName);
        }
        if before == Some(name) {
            return Err(LabelsError::Twice(name.chars().take(64).collect()));
        }
        if name.len().max(value.len()) > LABEL_LEN_MAX {
            return Err(LabelsError::TooLong { name: name.chars().take(64).collect(), len: name.len().max(value.len()) });
        }
        before = Some(name);
    }
    for &(name, value) in pairs.iter() {
        push_pair(out, name, value);
    }
    Ok(())
}

/// Checks that `key` is one that [`encode`] wrote: for keys that come from disk or from a link.
pub fn check_key(key: &str) -> Result<(), LabelsError> {
    let mut pairs = Pairs { rest: key };
    let mut before: Option<&str> = None;
    let mut count = 0;
    while !pairs.rest.is_empty() {
        let (name, value) = pairs.next().ok_or(LabelsError::NotAKey)?;
        count += 1;
        if name.is_empty() || value.is_empty() || before.is_some_and(|before| before >= name) || count > LABELS_MAX {
            return Err(LabelsError::NotAKey);
        }
        before = Some(name);
    }
    Ok(())
}

fn push_pair(out: &mut String, name: &str, value: &str) {
    let length = |len: usize| char::from_u32(len as u32).expect("lengths are below the surrogates");
    out.push(length(name.len()));
    out.push(length(value.len()));
    out.push_str(name);
    out.push_str(value);
}

/// The pairs of a key, in order.
#[derive(Clone)]
pub struct Pairs<'a> {
    rest: &'a str,
}

impl<'a> Pairs<'a> {
    /// The pairs of an encoded key. What follows a damaged place is left out; see [`check_key`].
    pub fn of(key: &'a str) -> Pairs<'a> {
        Pairs { rest: key }
    }
}

impl<'a> Iterator for Pairs<'a> {
    type Item = (&'a str, &'a str);

    fn next(&mut self) -> Option<(&'a str, &'a str)> {
        let mut chars = self.rest.chars();
        let name_len = chars.next()? as usize;
        let value_len = chars.next()? as usize;
        let body = chars.as_str();
        let name = body.get(..name_len)?;
        let value = body.get(name_len..name_len + value_len)?;
        self.rest = &body[name_len + value_len..];
        Some((name, value))
    }
}

impl Hash for Labels {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.0.hash(state);
    }
}

impl Ord for Labels {
    /// By the pairs in their order, name before value.
    fn cmp(&self, other: &Labels) -> Ordering {
        let (a, b) = (self.0.as_bytes(), other.0.as_bytes());
        let mut at = 0;
        // Short pairs that are the same are stepped over as bytes: most of two series is.
        while let (Some([name, value]), Some(lens)) = (a.get(at..at + 2), b.get(at..at + 2)) {
            let end = at + 2 + usize::from(*name) + usize::from(*value);
            if *name >= 0x80 || *value >= 0x80 || [*name, *value] != *lens || a.get(at..end) != b.get(at..end) {
                break;
            }
            at = end;
        }
        Pairs { rest: &self.0[at..] }.cmp(Pairs { rest: &other.0[at..] })
    }
}

/// So few items are compared label by label.
const FEW: usize = 8;

/// Sorts by labels, as [`Labels::cmp`] has it: made for the series of one selector, which differ in little.
pub fn sort_by_labels<T>(items: &mut Vec<T>, labels: impl Fn(&T) -> &Labels) {
    let mut keyed: Vec<(u128, T)> = std::mem::take(items).into_iter().map(|item| (0, item)).collect();
    sort_keyed(&mut keyed, &labels, 0);
    items.extend(keyed.into_iter().map(|(_, item)| item));
}

/// Sorts items whose labels begin with the same bytes, `known` of them: pairs that are not looked at again.
fn sort_keyed<T>(items: &mut [(u128, T)], labels: &impl Fn(&T) -> &Labels, known: usize) {
    if items.len() <= FEW {
        return items.sort_by(|a, b| labels(&a.1).cmp(labels(&b.1)));
    }
    let first = labels(&items[0].1).clone();
    let rest = |labels: &Labels| shared_pairs(&first.0[known..], &labels.0[known..]);
    let shared = known + items[1..].iter().map(|item| rest(labels(&item.1))).min().unwrap_or(0);
    // Where all have the same name behind what they share, most are told apart by the value that follows.
    let named = Pairs { rest: &first.0[shared..] }.next().map(|(name, _)| name);
    let mut same = true;
    for (key, item) in &mut *items {
        let next = Pairs { rest: &labels(item).0[shared..] }.next();
        same &= next.map(|(name, _)| name) == named;
        *key = next.map_or(0, |(_, value)| leading(value));
    }
    let tied = items.iter().all(|(key, _)| *key == items[0].0);
    if tied || !same {
        return items.sort_by(|a, b| labels(&a.1).cmp(labels(&b.1)));
    }
    items.sort_by_key(|(key, _)| *key);
    items.chunk_by_mut(|a, b| a.0 == b.0).for_each(|tied| sort_keyed(tied, labels, shared));
}

/// The first bytes of a value as a number that sorts like it. What a shorter one lacks counts as zero, so equals are looked at whole.
fn leading(value: &str) -> u128 {
    let mut bytes = [0; 16];
    let len = value.len().min(16);
    bytes[..len].copy_from_slice(&value.as_bytes()[..len]);
    u128::from_be_bytes(bytes)
}

/// Bytes of the whole pairs that both begin with.
fn shared_pairs(a: &str, b: &str) -> usize {
    let (mut left, mut right) = (Pairs { rest: a }, Pairs { rest: b });
    let mut shared = 0;
    while let (Some(one), Some(other)) = (left.next(), right.next())
        && one == other
    {
        shared = a.len() - left.rest.len();
    }
    shared
}

impl Labels {
    /// Brings the first bytes near, for who will look at many. What it says means nothing.
    #[inline]
    pub fn touch(&self) -> u8 {
        self.0.as_bytes().first().copied().unwrap_or(0) ^ self.0.as_bytes().get(64).copied().unwrap_or(0)
    }
}

impl PartialOrd for Labels {
    fn partial_cmp(&self, other: &Labels) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Default for Labels {
    fn default() -> Labels {
        Labels::empty()
    }
}

impl fmt::Display for Labels {
    /// `name{a="b",c="d"}`, as PromQL writes it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.metric())?;
        let mut rest = self.iter().filter(|(name, _)| *name != METRIC_NAME).peekable();
        if rest.peek().is_none() && !self.metric().is_empty() {
            return Ok(());
        }
        f.write_str("{")?;
        for (place, (name, value)) in rest.enumerate() {
            let comma = if place == 0 { "" } else { ", " };
            write!(f, "{comma}{name}={value:?}")?;
        }
        f.write_str("}")
    }
}

impl fmt::Debug for Labels {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl Serialize for Labels {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.iter())
    }
}

impl<'de> Deserialize<'de> for Labels {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Labels, D::Error> {
        let map = BTreeMap::<String, String>::deserialize(deserializer)?;
        Labels::new(map).map_err(serde::de::Error::custom)
    }
}

impl utoipa::PartialSchema for Labels {
    fn schema() -> utoipa::openapi::RefOr<utoipa::openapi::schema::Schema> {
        <BTreeMap<String, String> as utoipa::PartialSchema>::schema()
    }
}
impl utoipa::ToSchema for Labels {}

#[cfg(test)]
mod tests {
    use super::*;

    fn labels(pairs: &[(&str, &str)]) -> Labels {
        Labels::new(pairs.iter().copied()).unwrap()
    }

    #[test]
    fn sorted_shown_and_found() {
        let series = labels(&[("job", "shop"), ("__name__", "up"), ("a", "")]);
        assert_eq!(series.to_string(), r#"up{job="shop"}"#);
        assert_eq!(series.get("job"), Some("shop"));
        assert_eq!(series.get("a"), None);
        assert_eq!(series.with("b", "1").with("job", "x").to_string(), r#"up{b="1", job="x"}"#);
        assert_eq!(series.without("job").to_string(), "up");
        assert_eq!(series.with("z", "9").to_string(), r#"up{job="shop", z="9"}"#);
    }

    #[test]
    fn bad_labels_say_which() {
        assert_eq!(Labels::new([("a", "1"), ("a", "2")]), Err(LabelsError::Twice("a".into())));
        assert!(matches!(Labels::new([("a", "x".repeat(LABEL_LEN_MAX + 1))]), Err(LabelsError::TooLong { .. })));
        assert_eq!(Labels::new([("", "1")]), Err(LabelsError::NoName));
    }

    #[test]
    fn keys_from_outside_are_checked() {
        let long = "ü".repeat(900);
        let series = labels(&[("long", &long), ("x", "y")]);
        assert_eq!(Labels::from_key(series.key()).unwrap(), series);
        for bad in ["\u{1}", "\u{1}\u{1}a", "\u{9}\u{1}ab", "\u{1}\u{0}a", "\u{1}\u{1}ab\u{1}\u{1}ab"] {
            assert!(Labels::from_key(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn sorting_is_by_pairs_whatever_they_share() {
        let mut names: Vec<Labels> = Vec::new();
        for host in
            ["a", "b", "host-00000000000000001", "host-00000000000000002", "host-0000000000000000", "é", "\0", "a\0", "a\0\0"]
        {
            for (name, value) in [("dc", "x"), ("dc", "xx"), ("zone", "1"), ("mode", &"long".repeat(60)), ("", "")] {
                names.push(labels(&[("__name__", "up"), ("host", host)]).with(name, value));
            }
        }
        let by_pairs = |a: &Labels, b: &Labels| a.iter().cmp(b.iter());
        // Many that tie in one label, and in the first sixteen bytes of another.
        for number in (0..400).rev() {
            let (dc, host) = (format!("dc{}", number % 3), format!("a-name-of-sixteen-{}", number % 50));
            let mode = format!("{}", number * 7 % 11);
            names.push(labels(&[("__name__", "up"), ("dc", &dc), ("host", &host), ("mode", &mode)]));
        }
        for from in [0, 5, 17, 40, 46] {
            let mut some: Vec<(usize, Labels)> = names.iter().cloned().enumerate().skip(from).collect();
            some.reverse();
            let mut expected = some.clone();
            expected.sort_by(|a, b| by_pairs(&a.1, &b.1));
            sort_by_labels(&mut some, |item| &item.1);
            assert_eq!(some, expected);
        }
        for (a, b) in names[..60].iter().flat_map(|a| names.iter().map(move |b| (a, b))) {
            assert_eq!(a.cmp(b), by_pairs(a, b), "{a} {b}");
        }
        let mut mixed = vec![labels(&[("b", "1")]), labels(&[("a", "2")]), Labels::empty(), labels(&[("a", "1"), ("b", "1")])];
        sort_by_labels(&mut mixed, |item| item);
        let said: Vec<String> = mixed.iter().map(Labels::to_string).collect();
        assert_eq!(said, ["{}", r#"{a="1", b="1"}"#, r#"{a="2"}"#, r#"{b="1"}"#]);
    }

    #[test]
    fn json_is_a_map() {
        let series = labels(&[("b", "2"), ("a", "1")]);
        assert_eq!(serde_json::to_string(&series).unwrap(), r#"{"a":"1","b":"2"}"#);
        assert_eq!(serde_json::from_str::<Labels>(r#"{"b":"2","a":"1"}"#).unwrap(), series);
    }
}
