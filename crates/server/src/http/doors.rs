//! What the HTTP door asks of the rooms behind it: where samples go, where programs lie, who lets hosts in.
//!
//! Traits, so that the door is tested with a full disk or a slow one, and so that a room may be rebuilt behind it.

use std::collections::BTreeMap;
use std::io;
use std::sync::Arc;

use async_trait::async_trait;
use axum::body::Bytes;
use futures::stream::BoxStream;
use model::intake::{KeySecret, Rows};
use model::{ArtifactDigest, HostName, SampleBatch, Time};
use query::source::{Matcher, Source};
use store::StoreError;
use tokio::sync::oneshot;
use wire::Metadata;

use super::lanes::{AtTheDisk, at_the_disk};
use crate::telemetry::RulesSeen;
use crate::telemetry::scrape::TargetBoard;

/// Takes samples and answers queries.
#[async_trait]
pub trait Samples: Send + Sync + 'static {
    /// Takes a batch; answers when what was accepted is on the disk.
    async fn ingest(&self, batch: SampleBatch, metadata: Vec<Metadata>) -> Result<Ingested, IngestError>;

    /// What decoders hash the keys of rows with.
    fn key_secret(&self) -> &KeySecret;

    /// Puts decoded rows into memory, where queries and rules see them at once, and in line for the disk. Waits for no
    /// disk: they may be acknowledged when [`Placed::commit`] says so.
    fn place(&self, rows: &dyn Rows) -> Result<Placed, IngestError>;

    /// Keeps what a sender said about its metrics. Not worth failing a batch for.
    fn describe(&self, metadata: &[Metadata]);

    /// What queries read.
    fn source(&self) -> Arc<dyn Source + Send + Sync>;

    /// The rules and what they are like now; none where nobody evaluates any, or is too busy to say.
    async fn rules(&self) -> Option<RulesSeen> {
        None
    }

    /// What is known about metrics, by name.
    fn metadata(&self) -> BTreeMap<String, store::Metadata>;

    /// Figures of the store.
    fn stats(&self) -> store::Stats;

    /// The store itself, for what its keepers ask of it.
    fn store(&self) -> &Arc<store::Store>;

    /// Deletes the samples of series that fit any selector, and says how many they were. Blocks.
    fn delete(&self, selectors: &[Vec<Matcher>], from: Time, to: Time) -> Result<u64, StoreError> {
        self.store().delete(selectors, from, to)
    }

    /// What is scraped, and how it went.
    fn targets(&self) -> TargetBoard;
}

/// What became of a batch.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Ingested {
    /// Samples on the disk.
    pub accepted: u64,
    /// Samples that were not taken, with the reasons of the first.
    pub refused: store::Refused,
}

/// What became of rows: what was taken is in memory, and not yet on the disk.
#[must_use = "rows may be acknowledged only after their commit"]
pub struct Placed {
    /// Samples in memory.
    pub accepted: u64,
    /// Samples that were not taken, with the reasons of the first.
    pub refused: store::Refused,
    /// Says when the others are on the disk.
    pub commit: store::Commit,
    /// What is left to do in memory.
    pub unsealed: store::Unsealed,
}

impl Placed {
    /// Waits until what was taken is on the disk.
    pub async fn settle(self) -> Result<Ingested, IngestError> {
        // It is written here, and answered without another thread in between. On a runtime that others need only where the disk
        // is quick and has time: should it once be slow, the next goes the other way.
        match at_the_disk() {
            AtTheDisk::AsLongAsItTakes => drop(self.commit.lead(usize::MAX)),
            AtTheDisk::Shortly { others_max } if self.commit.may_lead(others_max) => drop(self.commit.lead(others_max)),
            AtTheDisk::Shortly { .. } => {}
        }
        let (synced, on_disk) = oneshot::channel();
        self.commit.on_synced(move |outcome| {
            let _ = synced.send(outcome);
        });
        on_disk.await.map_err(|_| IngestError::NotNow("the store has stopped".into()))??;
        if !self.unsealed.is_empty() {
            // Behind the answer: this thread looks at a task that is begun now when this one waits for its sender again. A thread that
            // has nothing to do may take it before, at no cost to the answer.
            let unsealed = self.unsealed;
            tokio::spawn(async move { drop(unsealed) });
        }
        Ok(Ingested { accepted: self.accepted, refused: self.refused })
    }
}

impl From<StoreError> for IngestError {
    fn from(error: StoreError) -> IngestError {
        match error {
            StoreError::Full | StoreError::ReadOnly { .. } => IngestError::Full,
            error => IngestError::NotNow(error.to_string()),
        }
    }
}

/// Why nothing of a batch was taken.
#[derive(Clone, Debug, thiserror::Error)]
pub enum IngestError {
    /// No room on the disk.
    #[error("the disk is full")]
    Full,
    /// The disk is slower than the senders, or the server ends: later again.
    #[error("take the samples: {0}")]
    NotNow(String),
}

/// Programs that can be released, by the sha256 of their bytes.
#[async_trait]
pub trait ArtifactStore: Send + Sync + 'static {
    /// Writes what comes, at most `len_max` bytes; when it answers well, it is on the disk under its digest.
    async fn put(&self, bytes: BoxStream<'static, io::Result<Bytes>>, len_max: u64) -> Result<Stored, PutError>;
}

/// An artifact on the disk.
#[derive(Clone, Debug, PartialEq)]
pub struct Stored {
    /// The sha256 of its bytes.
    pub digest: ArtifactDigest,
    /// Its length in bytes.
    pub size: u64,
}

/// Why an artifact was not stored.
#[derive(Debug, thiserror::Error)]
pub enum PutError {
    /// Larger than allowed.
    #[error("the artifact is larger than {0} bytes")]
    TooLarge(u64),
    /// Bytes that no agent unpacks.
    #[error("the artifact is packed by gzip, which agents don't unpack")]
    Gzip,
    /// The sender stopped in the middle.
    #[error("read the artifact: {0}")]
    Cut(io::Error),
    /// No room on the disk.
    #[error("the disk is full")]
    Full,
    /// The disk.
    #[error("write the artifact: {0}")]
    Write(io::Error),
}

/// Lets hosts in.
#[async_trait]
pub trait Enrolment: Send + Sync + 'static {
    /// Makes a one-time token by which an agent enrols as this host.
    async fn token(&self, host: &HostName) -> Result<String, EnrolmentError>;

    /// From now on the host is refused, its link ends and its tokens are void. False for one that never enrolled.
    async fn revoke(&self, host: &HostName) -> Result<bool, EnrolmentError>;
}

/// Why a host was not let in or shut out.
#[derive(Debug, thiserror::Error)]
#[error("write the book of hosts: {0}")]
pub struct EnrolmentError(pub String);
