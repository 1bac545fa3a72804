//! flyball's own health, through the same door as everybody's: a few series every 10 s.

use std::sync::Arc;
use std::time::Duration;

use model::{Labels, SampleBatch};

use super::Telemetry;

/// Between two batches of own figures.
const EVERY: Duration = Duration::from_secs(10);

type Figures = Arc<dyn Fn() -> Vec<(&'static str, f64)> + Send + Sync>;

/// Where own figures come from.
#[derive(Clone)]
pub struct OwnFigures(Figures);

impl OwnFigures {
    /// Asked every 10 s: names, which begin with `flyball_`, and values.
    pub fn new(figures: impl Fn() -> Vec<(&'static str, f64)> + Send + Sync + 'static) -> OwnFigures {
        OwnFigures(Arc::new(figures))
    }

    pub(super) async fn run(self, telemetry: Telemetry) {
        let mut beat = tokio::time::interval(EVERY);
        beat.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Skip);
        loop {
            beat.tick().await;
            let figures = (self.0)();
            let now = telemetry.clock().now();
            let mut batch = SampleBatch::new();
            for (name, value) in figures {
                if let Ok(labels) = Labels::new([(model::labels::METRIC_NAME, name), ("job", "flyball")]) {
                    batch.push(&labels, now, value);
                }
            }
            if let Err(error) = telemetry.take(&batch).await {
                tracing::warn!(%error, "failed to keep own figures");
            }
        }
    }
}
