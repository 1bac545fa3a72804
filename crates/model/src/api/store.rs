//! What the store says of itself: where its series come from.

use serde::{Deserialize, Serialize};

use crate::time::Time;

/// GET /store/cardinality: the longest rows of each list, and how many rows each would have.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Cardinality {
    /// Series that were counted: those that fit, or all.
    pub series: u64,
    /// Most series that the store takes.
    pub series_max: u64,
    /// Most series of one sender.
    pub series_per_source_max: u64,
    /// The label that names a sender: `instance`.
    pub source_label: String,
    /// Metrics, most series first.
    pub metrics: Vec<SeriesCount>,
    /// Different metrics.
    pub metrics_total: u64,
    /// Labels, most different values first.
    pub labels: Vec<LabelCount>,
    /// Different labels.
    pub labels_total: u64,
    /// Pairs of label and value, most series first.
    pub pairs: Vec<PairCount>,
    /// Different pairs.
    pub pairs_total: u64,
    /// Senders, most series first: values of `source_label`.
    pub sources: Vec<SeriesCount>,
    /// Different senders.
    pub sources_total: u64,
    /// Values of the label that was asked for with `label`, most series first; else empty.
    pub values: Vec<SeriesCount>,
    /// Different values of it.
    pub values_total: u64,
}

/// POST /store/flush: what is on the disk now.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Flushed {
    /// How long it took.
    pub seconds: f64,
    /// Series in memory.
    pub series: u64,
    /// Samples in memory.
    pub samples: u64,
    /// Bytes of log before.
    pub log_bytes_before: u64,
    /// Bytes of log that are kept.
    pub log_bytes: u64,
    /// Samples on the disk.
    pub history_samples: u64,
    /// Their bytes, indexes and checksums included.
    pub history_bytes: u64,
}

/// POST /store/snapshot: a copy of all samples up to now.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Snapshot {
    /// Its name.
    pub name: String,
    /// Where it lies on the server.
    pub folder: String,
    /// How long it took.
    pub seconds: f64,
}

/// POST /store/delete: which samples.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Deletion {
    /// Samples of series that fit any of these: `up{job="shop"}`.
    pub selectors: Vec<String>,
    /// From this instant on; none: from the beginning.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<Time>,
    /// Up to this instant; none: to the end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub to: Option<Time>,
}

/// POST /store/delete: what came of it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Deleted {
    /// Samples that went.
    pub samples: u64,
    /// How long it took.
    pub seconds: f64,
}

/// Something, and how many series have it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct SeriesCount {
    /// A metric, or a label's value.
    pub name: String,
    /// Series.
    pub series: u64,
}

/// A label, how many series have it, and with how many different values.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct LabelCount {
    /// The label.
    pub name: String,
    /// Series that have it.
    pub series: u64,
    /// Different values.
    pub values: u64,
    /// Bytes of the different values.
    pub value_bytes: u64,
}

/// A label with one value, and how many series have it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct PairCount {
    /// The label.
    pub name: String,
    /// Its value.
    pub value: String,
    /// Series.
    pub series: u64,
}
