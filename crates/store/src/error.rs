//! What can go wrong in the store, for all who wait for one answer: so every error can be cloned.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Why the store refused or failed.
#[derive(Debug, Clone, thiserror::Error)]
pub enum StoreError {
    /// No room on the disk. Nothing of the batch is kept; writing goes on by itself when there is room.
    #[error("the disk is full: samples are refused until there is room")]
    Full,
    /// The disk fails, or [`pause_writes`](crate::Store::pause_writes) was called. Goes on by itself.
    #[error("the store takes no samples now: {why}")]
    ReadOnly {
        /// What failed.
        why: Arc<str>,
    },
    /// The disk is slower than the senders: come again later.
    #[error("{queued} bytes wait for the disk, {limit} at most: send again later")]
    Busy {
        /// Bytes that wait.
        queued: usize,
        /// The limit.
        limit: usize,
    },
    /// After [`close`](crate::Store::close).
    #[error("the store is closed")]
    Closed,
    /// Written by a newer flyball.
    #[error("`{file}` is in format version {version}, this flyball reads up to {known}: start the newer flyball that wrote it")]
    Newer {
        /// The file.
        file: PathBuf,
        /// Its version.
        version: u8,
        /// The newest that this program reads.
        known: u8,
    },
    /// A call to the file system failed.
    #[error("{doing} `{path}`: {source}")]
    Io {
        /// What we were doing.
        doing: &'static str,
        /// With what.
        path: PathBuf,
        /// What the system said.
        source: Arc<io::Error>,
    },
    /// A metadata text is too long, or there are too many metrics with metadata.
    #[error("metadata of `{metric}`: {why}")]
    Metadata {
        /// The metric's name, cut.
        metric: String,
        /// The limit.
        why: &'static str,
    },
    /// What is in memory does not decode: a bug or a broken memory.
    #[error("read series {series}: a chunk of it does not decode")]
    Undecodable {
        /// Which.
        series: String,
    },
}

impl StoreError {
    pub(crate) fn io(doing: &'static str, path: &Path) -> impl FnOnce(io::Error) -> StoreError {
        move |source| StoreError::Io { doing, path: path.to_owned(), source: Arc::new(source) }
    }

    /// True where a sender should come again later: full, read-only, busy.
    pub fn is_temporary(&self) -> bool {
        matches!(self, StoreError::Full | StoreError::ReadOnly { .. } | StoreError::Busy { .. })
    }
}
