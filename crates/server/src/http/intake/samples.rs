//! The way of a decoded batch to the disk, and what its sender is told.

use std::sync::atomic::Ordering;

use model::SampleBatch;
use wire::Metadata;

use crate::http::app::App;
use crate::http::doors::IngestError;
use crate::http::error::HttpError;

/// What became of a batch, for its sender.
#[derive(Default)]
pub(super) struct Taken {
    /// Samples on the disk.
    pub accepted: u64,
    /// What was refused and why; none: nothing.
    pub complaint: Option<String>,
}

/// Hands a batch over and waits until it is on the disk.
pub(super) async fn take(app: &App, batch: SampleBatch, metadata: Vec<Metadata>) -> Result<Taken, HttpError> {
    if batch.is_empty() && metadata.is_empty() {
        return Ok(Taken::default());
    }
    let ingested = app.telemetry.ingest(batch, metadata).await.map_err(|error| match error {
        IngestError::Full => HttpError::full(),
        IngestError::NotNow(_) => HttpError::not_now(error.to_string()),
    })?;
    app.metrics.samples.fetch_add(ingested.accepted, Ordering::Relaxed);
    let refused = ingested.refused.total();
    app.metrics.refused.fetch_add(refused, Ordering::Relaxed);
    let complaint = (refused > 0).then(|| {
        let first = ingested.refused.examples.first();
        let first = first.map(|row| format!("; sample {} of {}: {}", row.row + 1, row.series, row.reason)).unwrap_or_default();
        format!("{refused} samples refused, {} accepted{first}", ingested.accepted)
    });
    Ok(Taken { accepted: ingested.accepted, complaint })
}
