//! Prints what the documentation is made of: `cargo xtask gen` writes it to files, its `--check` compares.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use clap::CommandFactory;
use model::text::CATALOGUE;
use serde_json::{Value, json};

use crate::cli::Cli;
use crate::exit::{Failure, WELL};
use crate::render::say;

/// Prints one of the references.
pub fn print(what: &str) -> Result<u8, Failure> {
    let text = match what {
        "openapi" => server::http::reference::openapi_json(),
        "api" => server::http::reference::api_markdown(),
        "config" => server::config::reference(),
        "schema" => pretty(&server::config::schema()),
        "cli" => cli(),
        "texts" => texts(),
        "promql" => server::http::reference::promql_json(),
        other => {
            let known = "openapi, api, config, schema, cli, texts, promql";
            return Err(Failure::Usage(format!("`{other}` is no reference; there are {known}")));
        }
    };
    say(text.trim_end_matches('\n'));
    Ok(WELL)
}

fn pretty(value: &Value) -> String {
    serde_json::to_string_pretty(value).unwrap_or_default()
}

/// All messages in both languages, for the page.
fn texts() -> String {
    let entries: BTreeMap<&str, Value> = CATALOGUE
        .iter()
        .flat_map(|part| part.iter())
        .map(|entry| (entry.id, json!({ "en": entry.en, "zh": entry.zh })))
        .collect();
    serde_json::to_string_pretty(&entries).unwrap_or_default()
}

/// Every command with its options.
fn cli() -> String {
    let mut out = String::from("# Command line\n\nMade by `cargo xtask gen`.\n");
    let mut command = Cli::command().max_term_width(100);
    command.build();
    section(&mut command, "flyball", &mut out);
    out
}

fn section(command: &mut clap::Command, path: &str, out: &mut String) {
    let _ = write!(out, "\n## {path}\n\n```\n{}\n```\n", command.render_long_help().to_string().trim_end());
    let names: Vec<String> = command
        .get_subcommands()
        .filter(|command| !command.is_hide_set() && command.get_name() != "help")
        .map(|command| command.get_name().to_owned())
        .collect();
    for name in names {
        if let Some(below) = command.find_subcommand_mut(&name) {
            section(below, &format!("{path} {name}"), out);
        }
    }
}
