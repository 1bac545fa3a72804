//! `cargo xtask bench loop`: the loop's figures on a running release binary, from outside. Prints a table and writes JSON.
//! Never a test: machines are noisy; it says what was met, under which load, and leaves judging to the reader.

mod figures;
mod http;
mod idle;
mod notice;
mod process;
mod release;
mod traffic;

use std::io::{Error, Result, Write};
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::Parser;

/// Measures the loop.
#[derive(Parser)]
struct Args {
    /// The release binary
    #[arg(long)]
    flyball: PathBuf,
    /// The JSON file; parts that do not run now stay in it
    #[arg(long)]
    out: PathBuf,
    /// Bad releases and starts; ten times as many pushed samples
    #[arg(long, default_value_t = 20, value_parser = clap::value_parser!(u16).range(1..=10_000))]
    runs: u16,
    /// Good releases
    #[arg(long, default_value_t = 100)]
    good: usize,
    /// Shops on which good releases are made at once
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u8).range(1..=8))]
    beside: u8,
    /// So many seconds of the load beside before notices are measured
    #[arg(long, default_value_t = 90)]
    warm: u64,
    /// Few of everything: says whether it works, not how fast
    #[arg(long)]
    quick: bool,
    /// Only these parts: notice, bad-release, good-release, idle
    #[arg(long, value_delimiter = ',')]
    only: Vec<String>,
}

const PARTS: [&str; 4] = ["notice", "idle", "bad-release", "good-release"];

fn main() -> ExitCode {
    let args = Args::parse();
    match run(&args) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            say(&format!("failed to measure: {error}"));
            ExitCode::FAILURE
        }
    }
}

fn say(text: &str) {
    let _ = writeln!(std::io::stdout(), "{text}");
}

fn run(args: &Args) -> Result<()> {
    if let Some(word) = args.only.iter().find(|word| !PARTS.contains(&word.as_str())) {
        return Err(Error::other(format!("`{word}` is no part; there is: {}", PARTS.join(", "))));
    }
    let flyball = args.flyball.canonicalize()?;
    let runs = usize::from(if args.quick { args.runs.min(3) } else { args.runs });
    let good = if args.quick { args.good.min(4) } else { args.good };
    let warm = Duration::from_secs(if args.quick { args.warm.min(3) } else { args.warm });
    let mut missed = Vec::new();
    for name in PARTS {
        if !args.only.is_empty() && !args.only.iter().any(|word| word == name) {
            continue;
        }
        say(&format!("{name} .."));
        // A short path: HAProxy's socket lies in it.
        let folder = tempfile::Builder::new().prefix("bench").tempdir()?;
        let folder = folder.path();
        let part = match name {
            "notice" => notice::run(&flyball, folder, runs * 10, warm)?,
            "idle" => idle::run(&flyball, folder, runs)?,
            "bad-release" => release::run_bad(&flyball, folder, runs, say)?,
            _ => release::run_good(&flyball, folder, good, usize::from(args.beside), say)?,
        };
        say(&part.table());
        figures::save(&args.out, &part)?;
        if !part.met() {
            missed.push(name);
        }
    }
    say(&match missed.as_slice() {
        [] => format!("all limits are met; {}", args.out.display()),
        some => format!("limits NOT met in: {}; {}", some.join(", "), args.out.display()),
    });
    Ok(())
}
