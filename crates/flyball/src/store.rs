//! `flyball store ...`: what a keeper asks of a server's store, and tells it to do.

use std::path::{Path, PathBuf};

use clap::Subcommand;
use model::Time;
use model::api::store::{Cardinality, Deleted, Deletion, Flushed, Snapshot};
use serde_json::Value;

use crate::cli::Server;
use crate::client::Client;
use crate::exit::{Failure, NOT_WELL, WELL};
use crate::local::{DATA, block_on};
use crate::remote::encoded;
use crate::render::{ask, mention, say, table};

/// What can be done with a store.
#[derive(Subcommand)]
pub enum StoreCommand {
    /// Seal what is in memory, sync it and drop the log behind it; ends when it is done
    Flush {
        #[command(flatten)]
        server: Server,
    },
    /// Copy all samples up to now into a new folder under `snapshots` in the server's data folder
    Snapshot {
        #[command(flatten)]
        server: Server,
    },
    /// Put a snapshot in the place of the store of a data folder whose server is stopped; the store that was there is kept
    Restore {
        /// The snapshot's folder
        snapshot: PathBuf,
        /// The data folder
        #[arg(long, default_value = DATA, value_name = "DIR")]
        data: PathBuf,
        /// Confirm what would be asked about
        #[arg(long)]
        yes: bool,
    },
    /// Delete samples, from memory and disk; nothing brings them back
    Delete {
        /// Of series that fit a selector, as `up{job="shop"}`; several: that fit any
        #[arg(long = "match", value_name = "SELECTOR", required = true)]
        selectors: Vec<String>,
        /// From this instant on, as 2026-11-22T10:00:00Z; else from the beginning
        #[arg(long, value_name = "TIME", value_parser = time)]
        from: Option<Time>,
        /// Up to this instant; else to the end
        #[arg(long, value_name = "TIME", value_parser = time)]
        to: Option<Time>,
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
        StoreCommand::Snapshot { server } => snapshot(&server),
        StoreCommand::Restore { snapshot, data, yes } => restore(&snapshot, &data, yes),
        StoreCommand::Delete { selectors, from, to, server } => delete(&server, Deletion { selectors, from, to }),
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
            "done in {:.2} s: {} samples in {} MiB on the disk, {} series, log {} MiB (before: {} MiB)",
            done.seconds,
            done.history_samples,
            done.history_bytes >> 20,
            done.series,
            done.log_bytes >> 20,
            done.log_bytes_before >> 20
        ));
    }
    Ok(WELL)
}

fn snapshot(server: &Server) -> Result<u8, Failure> {
    mention("copying all samples up to now");
    let taken: Snapshot = block_on(async { Client::new(server)?.post("/api/flyball/v1/store/snapshot", &Value::Null).await })??;
    if server.json {
        as_json(&taken);
    } else {
        say(&taken.folder);
        mention(&format!(
            "done in {:.2} s; flyball store restore {} --data DIR puts it into a stopped server's folder",
            taken.seconds, taken.folder
        ));
    }
    Ok(WELL)
}

fn delete(server: &Server, what: Deletion) -> Result<u8, Failure> {
    let until = |time: Option<Time>, else_: &str| time.map_or_else(|| else_.to_owned(), |time| time.to_string());
    if !server.yes {
        // How many series, so that a slip in a selector is seen before and not after.
        let mut path = "/api/flyball/v1/store/cardinality?limit=1".to_owned();
        for selector in &what.selectors {
            path.push_str(&format!("&match[]={}", encoded(selector)));
        }
        let counted: Cardinality = block_on(async { Client::new(server)?.get(&path).await })??;
        let question = format!(
            "delete all samples of {}, from {} to {} ({} of the series are known now)",
            what.selectors.join(" and "),
            until(what.from, "the beginning"),
            until(what.to, "the end"),
            counted.series
        );
        if !ask(&question) {
            say("not done; --yes answers for you");
            return Ok(NOT_WELL);
        }
    }
    let done: Deleted = block_on(async { Client::new(server)?.post("/api/flyball/v1/store/delete", &what).await })??;
    if server.json {
        as_json(&done);
    } else {
        say(&format!("{} samples deleted in {:.2} s", done.samples, done.seconds));
    }
    Ok(WELL)
}

/// Puts a snapshot in the place of a stopped server's store.
fn restore(snapshot: &Path, data: &Path, yes: bool) -> Result<u8, Failure> {
    let failed = |doing: &str, path: &Path| {
        let said = format!("{doing} `{}`", path.display());
        move |error: std::io::Error| Failure::Failed(format!("{said}: {error}"))
    };
    let from = snapshot.join("history");
    if !from.join("manifest").is_file() && !from.is_dir() {
        return Err(Failure::Usage(format!("`{}` is no snapshot: it has no folder `history`", snapshot.display())));
    }
    let _lock = server::journal::FolderLock::take(data).map_err(|error| Failure::Failed(crate::exit::chain(&error)))?;
    let store = data.join("telemetry");
    let is_there = std::fs::read_dir(&store).is_ok_and(|mut entries| entries.next().is_some());
    if is_there {
        let stamp = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).map_or(0, |since| since.as_secs());
        let aside = data.join(format!("telemetry.before-{stamp}"));
        let question =
            format!("{} has a store: move it to {} and put the snapshot in its place", data.display(), aside.display());
        if !yes && !ask(&question) {
            say("not done; --yes answers for you");
            return Ok(NOT_WELL);
        }
        std::fs::rename(&store, &aside).map_err(failed("move", &store))?;
    }
    // Under another name until it is whole: a copy that is cut off is never taken for a store.
    let making = data.join("telemetry.restoring");
    if making.exists() {
        std::fs::remove_dir_all(&making).map_err(failed("remove", &making))?;
    }
    let into = making.join("history");
    std::fs::create_dir_all(&into).map_err(failed("make", &into))?;
    let entries = std::fs::read_dir(&from).map_err(failed("read", &from))?;
    let (mut files, mut bytes) = (0, 0);
    for entry in entries {
        let path = entry.map_err(failed("read", &from))?.path();
        if let Some(name) = path.file_name().filter(|_| path.is_file()) {
            let to = into.join(name);
            bytes += std::fs::copy(&path, &to).map_err(failed("copy", &path))?;
            std::fs::File::open(&to).and_then(|file| file.sync_all()).map_err(failed("sync", &to))?;
            files += 1;
            mention(&format!("{} MiB", bytes >> 20));
        }
    }
    for folder in [&into, &making] {
        std::fs::File::open(folder).and_then(|file| file.sync_all()).map_err(failed("sync", folder))?;
    }
    std::fs::rename(&making, &store).map_err(failed("move", &making))?;
    std::fs::File::open(data).and_then(|file| file.sync_all()).map_err(failed("sync", data))?;
    say(&format!("{files} files, {} MiB restored", bytes >> 20));
    Ok(WELL)
}

/// RFC 3339, or seconds since the epoch.
fn time(text: &str) -> Result<Time, String> {
    server::http::params::parse_time(text)
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
