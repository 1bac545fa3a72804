//! `cargo xtask bench metrics`: the metric store's figures on a running release binary, beside Debian's VictoriaMetrics and
//! Prometheus: the same data from the same senders in one run. Prints a table and writes JSON.
//! Never a test: machines are noisy; it says what was met, under which load, and leaves judging to the reader.

mod cases;
mod encode;
mod figures;
mod fleet;
mod hook;
mod http;
mod limits;
mod rules;
mod send;
mod target;

use std::io::{Error, Result, Write};
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Instant;

use clap::Parser;

use cases::Context;
use figures::{CASES, Figures};
use target::Binaries;

/// Measures the metric store.
#[derive(Parser)]
struct Args {
    /// The release binary
    #[arg(long)]
    flyball: PathBuf,
    /// Debian's VictoriaMetrics
    #[arg(long, default_value = "/usr/bin/victoria-metrics")]
    victoria: PathBuf,
    /// Debian's Prometheus
    #[arg(long, default_value = "/usr/bin/prometheus")]
    prometheus: PathBuf,
    /// The JSON file
    #[arg(long)]
    out: PathBuf,
    /// Where the data of the run lies; else the system's folder for what is temporary
    #[arg(long)]
    folder: Option<PathBuf>,
    /// Runs of every case; medians are shown. The case days makes three runs of its own
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..=100))]
    runs: u16,
    /// A tenth of everything: says whether it works, not how fast
    #[arg(long)]
    quick: bool,
    /// Only these cases: ingest, million, rate, query, detect, rules, month, days
    #[arg(long, value_delimiter = ',')]
    only: Vec<String>,
    /// Print a rule file with so many rules over the hosts of the made fleet, and end
    #[arg(long, value_name = "N")]
    print_rules: Option<usize>,
}

fn main() -> ExitCode {
    let args = Args::parse();
    if let Some(count) = args.print_rules {
        say(rules::thresholds(count, 100).trim_end());
        return ExitCode::SUCCESS;
    }
    match run(&args) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            say(&format!("failed to measure: {error}"));
            ExitCode::FAILURE
        }
    }
}

/// Prints a line; a closed pipe is no reason to panic.
fn say(text: &str) {
    let _ = writeln!(std::io::stdout(), "{text}");
}

fn run(args: &Args) -> Result<()> {
    if let Some(word) = args.only.iter().find(|word| !CASES.contains(&word.as_str())) {
        return Err(Error::other(format!("`{word}` is no case; there is: {}", CASES.join(", "))));
    }
    let cases: Vec<&str> =
        CASES.into_iter().filter(|case| args.only.is_empty() || args.only.iter().any(|word| word == case)).collect();
    let mut builder = tempfile::Builder::new();
    builder.prefix("bench");
    let folder = match &args.folder {
        Some(folder) => builder.tempdir_in(folder)?,
        None => builder.tempdir()?,
    };
    let context = Context {
        binaries: Binaries {
            flyball: args.flyball.canonicalize()?,
            victoria: args.victoria.clone(),
            prometheus: args.prometheus.clone(),
        },
        folder: folder.path().to_owned(),
        quick: args.quick,
    };
    let mut figures = Figures::new(limits::measure(folder.path())?);
    say(&figures.limit_lines());
    for number in 1..=args.runs {
        for case in CASES.into_iter().filter(|case| cases.contains(case)) {
            let began = Instant::now();
            // What one case can't measure is no reason not to measure the others.
            match cases::run(case, &context) {
                Ok(seen) => figures.add(seen),
                Err(error) => figures.fail(case, error.to_string()),
            }
            say(&format!("run {number}, {case}: {:.0} s, load average {}", began.elapsed().as_secs_f64(), figures::load()));
            say(&figures.table(&[case]));
        }
    }
    say(&figures.limit_lines());
    say(&figures.table(&cases));
    figures.save(&args.out, &cases, usize::from(args.runs), args.quick)?;
    let missed = figures.missed(&cases);
    say(&match missed.as_slice() {
        [] => format!("all limits are met; {}", args.out.display()),
        some => format!("limits NOT met: {}; {}", some.join(", "), args.out.display()),
    });
    Ok(())
}
