//! The cases: what is started, what is sent or asked, what of it becomes a figure.

mod detect;
mod history;
mod ingest;
mod query;
mod rate;
mod rules;

use std::io::Result;
use std::path::PathBuf;

use super::figures::Seen;
use super::rules::thresholds;
use super::target::{Binaries, Kind, Settings, Target};

/// What every case is given.
pub struct Context {
    pub binaries: Binaries,
    pub folder: PathBuf,
    /// A tenth of everything: says whether it works, not how fast.
    pub quick: bool,
}

impl Context {
    /// A program in a new folder.
    pub fn start(&self, kind: Kind, settings: &Settings) -> Result<Target> {
        Target::start(kind, &self.binaries, &self.folder, settings)
    }

    /// A tenth where it is to be quick.
    pub fn scaled(&self, number: usize) -> usize {
        if self.quick { number.div_ceil(10) } else { number }
    }

    /// Fewer seconds where it is to be quick.
    pub fn seconds(&self, number: u64) -> u64 {
        if self.quick { number.min(5) } else { number }
    }
}

/// Runs a case by its name.
pub fn run(case: &str, context: &Context) -> Result<Vec<Seen>> {
    match case {
        "ingest" => ingest::run(context),
        "million" => ingest::million(context),
        "rate" => rate::run(context),
        "query" => query::run(context),
        "detect" => detect::run(context),
        "rules" => rules::run(context),
        "month" => history::month(context),
        _ => history::days(context),
    }
}

/// flyball with so many rules over so many hosts.
pub fn with_rules(count: usize, hosts: usize) -> Settings {
    Settings { files: vec![("rules/fleet.yaml", thresholds(count, hosts))], arguments: Vec::new() }
}

/// Any number out of an answer to an instant query with one result.
pub fn one_value(target: &Target, query: &str, at_seconds: i64) -> Result<f64> {
    let path = format!("/api/v1/query?time={at_seconds}&query={}", super::http::escaped(query));
    let answer: serde_json::Value = serde_json::from_slice(&target.client().well("GET", &path)?)?;
    let text = answer["data"]["result"][0]["value"][1].as_str().unwrap_or("NaN");
    Ok(text.parse().unwrap_or(f64::NAN))
}
