//! `flyball store ...`: what a keeper asks of a server's store, and tells it to do.

use clap::Subcommand;
use model::api::store::{Cardinality, Flushed};
use serde_json::Value;

use crate::cli::Server;
use crate::client::Client;
use crate::exit::{Failure, WELL};
use crate::local::block_on;
use crate::remote::encoded;
use crate::render::{mention, say, table};

/// What can be done with a store.
#[derive(Subcommand)]
pub enum StoreCommand {
    /// Seal what is in memory, sync it and drop the log behind it; ends when it is done
    Flush {
        #[command(flatten)]
        server: Server,
    },
    /// Say where series come from: by metric, label, pair of label and value, and sender
    Cardinality {
        /// Only series that fit a selector, as `up{job="shop"}`; several: those that fit any
        #[arg(long = "match", value_name = "SELECTOR")]
        selectors: Vec<String>,
        /// The values of this label too
        #[arg(long, value_name = "NAME")]
        label: Option<String>,
        /// Rows of each list
        #[arg(long, default_value_t = 10, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=1_000))]
        limit: u32,
        #[command(flatten)]
        server: Server,
    },
}

/// Runs one.
pub fn run(command: StoreCommand) -> Result<u8, Failure> {
    match command {
        StoreCommand::Flush { server } => flush(&server),
        StoreCommand::Cardinality { selectors, label, limit, server } => {
            cardinality(&server, &selectors, label.as_deref(), limit)
        }
    }
}

fn as_json<T: serde::Serialize>(answer: &T) {
    say(&serde_json::to_string_pretty(answer).unwrap_or_default());
}

fn flush(server: &Server) -> Result<u8, Failure> {
    mention("flushing: what is in memory goes to the disk");
    let done: Flushed = block_on(async { Client::new(server)?.post("/api/flyball/v1/store/flush", &Value::Null).await })??;
    if server.json {
        as_json(&done);
    } else {
        say(&format!(
            "done in {:.2} s: {} samples of {} series, log {} MiB (before: {} MiB)",
            done.seconds,
            done.samples,
            done.series,
            done.log_bytes >> 20,
            done.log_bytes_before >> 20
        ));
    }
    Ok(WELL)
}

fn cardinality(server: &Server, selectors: &[String], label: Option<&str>, limit: u32) -> Result<u8, Failure> {
    let mut path = format!("/api/flyball/v1/store/cardinality?limit={limit}");
    for selector in selectors {
        path.push_str(&format!("&match[]={}", encoded(selector)));
    }
    if let Some(label) = label {
        path.push_str(&format!("&label={}", encoded(label)));
    }
    let counted: Cardinality = block_on(async { Client::new(server)?.get(&path).await })??;
    if server.json {
        as_json(&counted);
    } else {
        say(&shown(&counted, label));
    }
    Ok(WELL)
}

fn shown(counted: &Cardinality, label: Option<&str>) -> String {
    let number = |count: u64| count.to_string();
    let mut parts = vec![format!("{} series, {} at most", counted.series, counted.series_max)];
    let mut part = |head: String, heads: &[&str], rows: Vec<Vec<String>>| {
        if !rows.is_empty() {
            parts.push(format!("{head}\n{}", table(heads, &rows)));
        }
    };
    let rows =
        |list: &[model::api::store::SeriesCount]| list.iter().map(|row| vec![row.name.clone(), number(row.series)]).collect();
    part(format!("Metrics ({})", counted.metrics_total), &["metric", "series"], rows(&counted.metrics));
    part(
        format!("Labels ({}), most different values first", counted.labels_total),
        &["label", "values", "series"],
        counted.labels.iter().map(|row| vec![row.name.clone(), number(row.values), number(row.series)]).collect(),
    );
    part(
        format!("Pairs ({})", counted.pairs_total),
        &["label", "value", "series"],
        counted.pairs.iter().map(|row| vec![row.name.clone(), row.value.clone(), number(row.series)]).collect(),
    );
    part(
        format!(
            "Senders ({}) by `{}`, {} series each at most",
            counted.sources_total, counted.source_label, counted.series_per_source_max
        ),
        &[counted.source_label.as_str(), "series"],
        rows(&counted.sources),
    );
    if let Some(label) = label {
        part(format!("Values of `{label}` ({})", counted.values_total), &["value", "series"], rows(&counted.values));
    }
    parts.join("\n\n")
}

#[cfg(test)]
mod tests {
    use super::*;
    use model::api::store::{PairCount, SeriesCount};

    #[test]
    fn a_table_for_each_list_that_has_rows() {
        let one = |name: &str| SeriesCount { name: name.into(), series: 3 };
        let counted = Cardinality {
            series: 3,
            series_max: 10,
            source_label: "instance".into(),
            metrics: vec![one("up")],
            metrics_total: 1,
            pairs: vec![PairCount { name: "job".into(), value: "shop".into(), series: 3 }],
            values: vec![one("/a")],
            values_total: 7,
            ..Cardinality::default()
        };
        let text = shown(&counted, Some("path"));
        for wanted in ["3 series, 10 at most", "Metrics (1)", "up", "shop", "Values of `path` (7)", "/a"] {
            assert!(text.contains(wanted), "{wanted}: {text}");
        }
        assert!(!text.contains("Senders"), "{text}");
    }
}
