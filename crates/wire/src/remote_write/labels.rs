//! The labels of one series of a write request, held to the specification's rules: sorted, different, with names.
//!
//! Read only for series that the store does not know.

use model::labels::{LABELS_MAX, Labels, METRIC_NAME};

use crate::protobuf::{Field, ProtobufError, Reader};
use crate::report::excerpt;

/// Reads them, or says what is wrong with them.
pub(super) fn read(series: Reader<'_>) -> Result<Labels, String> {
    let mut pairs: Vec<(&str, &str)> = Vec::new();
    let mut fields = series;
    while let Some(field) = fields.field().map_err(|error| error.to_string())? {
        let (1, Field::Bytes(label)) = field else { continue };
        let (name, value) = bytes(label).map_err(|error| error.to_string())?;
        let name = str::from_utf8(name).map_err(|_| format!("the label name `{}` is not UTF-8", excerpt(name, 0)))?;
        let value =
            str::from_utf8(value).map_err(|_| format!("the value of label `{}` is not UTF-8", excerpt(name.as_bytes(), 0)))?;
        check(&pairs, name)?;
        pairs.push((name, value));
    }
    if !pairs.iter().any(|(name, value)| *name == METRIC_NAME && !value.is_empty()) {
        return Err("label `__name__` is missing".into());
    }
    Labels::new(pairs).map_err(|error| error.to_string())
}

/// The metric's name as it was sent, for messages; empty where there is none.
pub(super) fn metric(series: Reader<'_>) -> &[u8] {
    let mut fields = series;
    while let Ok(Some(field)) = fields.field() {
        if let (1, Field::Bytes(label)) = field
            && let Ok((name, value)) = bytes(label)
            && name == METRIC_NAME.as_bytes()
        {
            return value;
        }
    }
    b""
}

fn bytes(mut label: Reader<'_>) -> Result<(&[u8], &[u8]), ProtobufError> {
    let (mut name, mut value): (&[u8], &[u8]) = (b"", b"");
    while let Some(field) = label.field()? {
        match field {
            (1, Field::Bytes(text)) => name = text.rest(),
            (2, Field::Bytes(text)) => value = text.rest(),
            _ => {}
        }
    }
    Ok((name, value))
}

fn check(before: &[(&str, &str)], name: &str) -> Result<(), String> {
    let shown = || excerpt(name.as_bytes(), 0);
    if name.is_empty() {
        return Err(format!("label {} has no name", before.len() + 1));
    }
    if before.len() >= LABELS_MAX {
        return Err(format!("more than {LABELS_MAX} labels"));
    }
    match before.last() {
        Some((last, _)) if *last == name => Err(format!("label `{}` stands twice", shown())),
        Some((last, _)) if *last > name => {
            Err(format!("labels are not sorted: `{}` comes after `{}`", shown(), excerpt(last.as_bytes(), 0)))
        }
        _ => Ok(()),
    }
}
