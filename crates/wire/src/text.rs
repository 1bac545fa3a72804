//! Pieces of a line: borrowed from it, or, where escapes had to be taken out, from a scratch that is used again.

use model::labels::LABEL_LEN_MAX;

/// Where a text lies: in the line, or in the scratch.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Piece {
    start: usize,
    end: usize,
    in_scratch: bool,
}

impl Piece {
    pub(crate) fn line(start: usize, end: usize) -> Piece {
        Piece { start, end, in_scratch: false }
    }

    pub(crate) fn scratch(start: usize, end: usize) -> Piece {
        Piece { start, end, in_scratch: true }
    }

    pub(crate) fn of<'a>(self, line: &'a str, scratch: &'a str) -> &'a str {
        &(if self.in_scratch { scratch } else { line })[self.start..self.end]
    }

    pub(crate) fn len(self) -> usize {
        self.end - self.start
    }

    pub(crate) fn is_empty(self) -> bool {
        self.start == self.end
    }

    pub(crate) fn is_too_long(self) -> bool {
        self.len() > LABEL_LEN_MAX
    }
}

/// Pairs whose memory outlives the texts that they point at.
#[derive(Debug, Default)]
pub(crate) struct PairsMemory(Vec<(&'static str, &'static str)>);

impl PairsMemory {
    /// The memory, for pairs of any lifetime.
    pub(crate) fn lend<'a>(&mut self) -> Vec<(&'a str, &'a str)> {
        std::mem::take(&mut self.0)
    }

    /// Takes the memory back. The collect runs in place, over no element: it costs no allocation.
    pub(crate) fn take_back(&mut self, mut pairs: Vec<(&str, &str)>) {
        pairs.clear();
        self.0 = pairs.into_iter().map(|_| ("", "")).collect();
    }
}
