//! The labels of a line's series: measurement and tags with their escapes taken out, and the name of one field.
//!
//! Read only for series that the store does not know.

use std::borrow::Cow;
use std::ops::Range;

use model::labels::{LABEL_LEN_MAX, LABELS_MAX, Labels, LabelsError, METRIC_NAME};

use super::line::is_escape;
use super::skip_blanks;
use crate::report::Fault;

/// Labels of the field whose name begins at `field`, in the line that begins at `start`. Faults are offsets in the line.
pub(super) fn labels(body: &[u8], start: usize, field: usize) -> Result<Labels, Fault> {
    let within = |fault: Fault| Fault::new(fault.at.saturating_sub(start), fault.reason);
    read(body, skip_blanks(body, start), field).map_err(within)
}

fn read(body: &[u8], start: usize, field: usize) -> Result<Labels, Fault> {
    let (measurement, mut at) = piece(body, start, b", ")?;
    if measurement.is_empty() {
        return Err(Fault::new(start, "the measurement is missing"));
    }
    if measurement.len() > LABEL_LEN_MAX {
        return Err(Fault::new(start, "the measurement is too long"));
    }
    let mut tags = Vec::new();
    while body.get(at) == Some(&b',') {
        at = tag(body, at + 1, &mut tags)?;
    }
    let (name, _) = piece(body, field, b"=")?;
    let name = format!("{measurement}_{name}");
    let pairs = tags.iter().map(|(_, name, value)| (name.as_ref(), value.as_ref()));
    Labels::new(pairs.chain([(METRIC_NAME, name.as_str())])).map_err(|error| fault(start, &tags, &error))
}

type Tag<'a> = (usize, Cow<'a, str>, Cow<'a, str>);

/// Reads one tag; says where it ends.
fn tag<'a>(body: &'a [u8], start: usize, tags: &mut Vec<Tag<'a>>) -> Result<usize, Fault> {
    let (name, at) = piece(body, start, b",= ")?;
    if body.get(at) != Some(&b'=') {
        return Err(Fault::new(at, "a tag is name=value"));
    }
    let (value, end) = piece(body, at + 1, b",= ")?;
    if name.is_empty() {
        return Err(Fault::new(start, "a tag has no name"));
    }
    if value.is_empty() {
        return Err(Fault::new(at + 1, "a tag has no value"));
    }
    if body.get(end) == Some(&b'=') {
        return Err(Fault::new(end, "a `=` in a tag's value must be escaped"));
    }
    if name.len().max(value.len()) > LABEL_LEN_MAX {
        return Err(Fault::new(start, "a tag is too long"));
    }
    if name == METRIC_NAME {
        return Err(Fault::new(start, "a tag can't be called __name__"));
    }
    // One is kept for the name.
    if tags.len() + 1 >= LABELS_MAX {
        return Err(Fault::new(start, format!("more than {} tags", LABELS_MAX - 1)));
    }
    tags.push((start, name, value));
    Ok(end)
}

/// The text from `start` up to one of `stops`, with escapes of `,`, `=` and blank taken out; other backslashes stay.
fn piece<'a>(body: &'a [u8], start: usize, stops: &[u8]) -> Result<(Cow<'a, str>, usize), Fault> {
    let (mut at, mut copied, mut plain) = (start, start, Vec::new());
    while at < body.len() && body[at] != b'\n' && !stops.contains(&body[at]) {
        if body[at] == b'\\' && is_escape(body, at) {
            plain.extend_from_slice(&body[copied..at]);
            copied = at + 1;
            at += 2;
        } else {
            at += 1;
        }
    }
    if plain.is_empty() && copied == start {
        let text = str::from_utf8(&body[start..at]);
        return text.map(|text| (text.into(), at)).map_err(|error| Fault::new(start + error.valid_up_to(), "not UTF-8"));
    }
    plain.extend_from_slice(&body[copied..at]);
    let text = String::from_utf8(plain).map_err(|_| Fault::new(start, "not UTF-8"))?;
    Ok((text.into(), at))
}

/// Checks the length of a metric's name: it would be a fault of one field only, and a line is never taken by half.
#[cold]
pub(super) fn check_name(body: &[u8], key_start: usize, field: Range<usize>) -> Result<(), Fault> {
    let (measurement, _) = piece(body, key_start, b", ")?;
    let (name, _) = piece(&body[..field.end], field.start, b"=")?;
    if measurement.len() <= LABEL_LEN_MAX && measurement.len() + 1 + name.len() > LABEL_LEN_MAX {
        return Err(Fault::new(field.start, "measurement and field together are too long"));
    }
    Ok(())
}

/// The place of what the labels were refused for.
fn fault(start: usize, tags: &[Tag<'_>], error: &LabelsError) -> Fault {
    let reason = error.to_string().replace("label", "tag");
    let LabelsError::Twice(twice) = error else { return Fault::new(start, reason) };
    let mut same = tags.iter().filter(|(_, name, _)| name.starts_with(twice.as_str()));
    Fault::new(same.nth(1).map_or(start, |(at, ..)| *at), reason)
}
