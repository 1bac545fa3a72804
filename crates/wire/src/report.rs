//! What a decoder of lines says about a body: how much it took, what it left, and where the bad lines are.
//!
//! A bad line never costs the good ones. All bad lines are counted, the first [`ERRORS_KEPT`] are kept with their place.

use std::borrow::Cow;

use serde::Serialize;

/// How many errors are kept with their place; the others are only counted.
pub const ERRORS_KEPT: usize = 20;
/// Most bytes of a bad line that are shown.
pub const EXCERPT_LEN_MAX: usize = 80;

/// The outcome of decoding a body of lines.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Report {
    /// Samples that went into the batch.
    pub accepted: usize,
    /// Fields that hold a text where a number is wanted; not an error of their line.
    pub refused_strings: usize,
    /// Lines that were refused, all of them.
    pub failed: usize,
    /// The first [`ERRORS_KEPT`] refused lines.
    pub errors: Vec<LineError>,
}

/// One refused line.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, thiserror::Error)]
#[error("line {line}, column {column}: {reason}, near `{excerpt}`")]
pub struct LineError {
    /// Counted from 1.
    pub line: usize,
    /// The byte in the line, counted from 1.
    pub column: usize,
    /// What is wrong, lower case.
    pub reason: Cow<'static, str>,
    /// The text around the place, cut, without control characters.
    pub excerpt: String,
}

/// A place in a line and what is wrong there.
#[derive(Debug)]
pub(crate) struct Fault {
    pub(crate) at: usize,
    pub(crate) reason: Cow<'static, str>,
}

impl Fault {
    pub(crate) fn new(at: usize, reason: impl Into<Cow<'static, str>>) -> Fault {
        Fault { at, reason: reason.into() }
    }
}

impl Report {
    /// What was refused in one sentence for the sender, `None` if nothing was; texts alone are no reason to complain.
    pub fn complaint(&self) -> Option<String> {
        let first = self.errors.first()?;
        let lines = if self.failed == 1 { "line" } else { "lines" };
        Some(format!("{} {lines} refused, {} samples accepted; {first}", self.failed, self.accepted))
    }

    /// Counts a refused line, and keeps it if it is among the first.
    pub(crate) fn refuse(&mut self, line: usize, text: &[u8], fault: Fault) {
        self.failed += 1;
        if self.errors.len() < ERRORS_KEPT {
            let excerpt = excerpt(text, fault.at);
            self.errors.push(LineError { line, column: fault.at + 1, reason: fault.reason, excerpt });
        }
    }
}

/// Up to [`EXCERPT_LEN_MAX`] bytes of `text`, beginning a little before `at`.
pub(crate) fn excerpt(text: &[u8], at: usize) -> String {
    let start = at.min(text.len()).saturating_sub(EXCERPT_LEN_MAX / 2);
    let end = text.len().min(start + EXCERPT_LEN_MAX);
    let shown = String::from_utf8_lossy(&text[start..end]);
    shown.chars().map(|c| if c.is_control() { '\u{b7}' } else { c }).collect()
}
