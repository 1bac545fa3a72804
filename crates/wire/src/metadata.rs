//! What is known about a metric beside its samples: kind, help, unit. Comes with scrapes and with remote write.

use serde::{Deserialize, Serialize};

/// Longest help text or unit, in bytes; a longer one is cut at a character.
pub const METADATA_TEXT_MAX: usize = 4 * 1024;
/// Most metadata that one body may bring; more is left out.
pub const METADATA_MAX: usize = 10_000;

/// What a metric family is.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Metadata {
    /// The family's name, without suffixes such as `_bucket`.
    pub family: String,
    /// Its kind.
    pub kind: MetricKind,
    /// What it means, for people; may be empty.
    pub help: String,
    /// Its unit; may be empty.
    pub unit: String,
}

/// The kinds of Prometheus and OpenMetrics.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum MetricKind {
    /// Only rises, but for restarts.
    Counter,
    /// Rises and falls.
    Gauge,
    /// Buckets, sum and count.
    Histogram,
    /// Buckets of a state, sum and count.
    GaugeHistogram,
    /// Quantiles, sum and count.
    Summary,
    /// The value is 1, the labels say something.
    Info,
    /// One series per state, 1 for the present one.
    StateSet,
    /// Not said.
    #[default]
    Unknown,
}

impl MetricKind {
    /// Reads the word behind `# TYPE`; `untyped` is Prometheus' older word for unknown.
    pub fn parse(word: &str) -> Option<MetricKind> {
        Some(match word {
            "counter" => MetricKind::Counter,
            "gauge" => MetricKind::Gauge,
            "histogram" => MetricKind::Histogram,
            "gaugehistogram" => MetricKind::GaugeHistogram,
            "summary" => MetricKind::Summary,
            "info" => MetricKind::Info,
            "stateset" => MetricKind::StateSet,
            "unknown" | "untyped" => MetricKind::Unknown,
            _ => return None,
        })
    }

    /// The word of OpenMetrics and of Prometheus' metadata API.
    pub fn word(self) -> &'static str {
        match self {
            MetricKind::Counter => "counter",
            MetricKind::Gauge => "gauge",
            MetricKind::Histogram => "histogram",
            MetricKind::GaugeHistogram => "gaugehistogram",
            MetricKind::Summary => "summary",
            MetricKind::Info => "info",
            MetricKind::StateSet => "stateset",
            MetricKind::Unknown => "unknown",
        }
    }

    /// The number in remote write's `MetricMetadata.type`.
    pub(crate) fn from_number(number: u64) -> MetricKind {
        match number {
            1 => MetricKind::Counter,
            2 => MetricKind::Gauge,
            3 => MetricKind::Histogram,
            4 => MetricKind::GaugeHistogram,
            5 => MetricKind::Summary,
            6 => MetricKind::Info,
            7 => MetricKind::StateSet,
            _ => MetricKind::Unknown,
        }
    }

    pub(crate) fn number(self) -> u64 {
        match self {
            MetricKind::Unknown => 0,
            MetricKind::Counter => 1,
            MetricKind::Gauge => 2,
            MetricKind::Histogram => 3,
            MetricKind::GaugeHistogram => 4,
            MetricKind::Summary => 5,
            MetricKind::Info => 6,
            MetricKind::StateSet => 7,
        }
    }
}

/// `text`, cut at a character to [`METADATA_TEXT_MAX`] bytes.
pub(crate) fn cut(text: &str) -> &str {
    &text[..text.floor_char_boundary(METADATA_TEXT_MAX)]
}
