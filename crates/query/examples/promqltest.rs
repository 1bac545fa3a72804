//! Runs a folder of files in Prometheus' `promqltest` format and counts what holds: `cargo xtask promqltest DIR`.
//!
//! Prometheus' own files are made for an engine with delayed name removal; `--eager` leaves that out. Ends with 1 when a
//! case without native histograms does not hold.

use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;

use query::testing::promqltest::{Options, run_with};

fn say(text: &str) {
    let _ = writeln!(std::io::stdout(), "{text}");
}

fn main() -> ExitCode {
    let mut options = Options { delayed_name_removal: true, ..Options::default() };
    let mut folder = None;
    for word in std::env::args().skip(1) {
        match word.as_str() {
            "--eager" => options.delayed_name_removal = false,
            _ => folder = Some(PathBuf::from(word)),
        }
    }
    let Some(entries) = folder.as_ref().and_then(|folder| std::fs::read_dir(folder).ok()) else {
        say("promqltest DIR [--eager]: DIR holds files that end in .test");
        return ExitCode::from(2);
    };
    let mut files: Vec<PathBuf> = entries.flatten().map(|entry| entry.path()).collect();
    files.retain(|path| path.extension().is_some_and(|end| end == "test"));
    files.sort();
    let mut total = [0; 5];
    let row = |name: &str, counts: [String; 5]| {
        let [evals, hold, native, not_yet, wrong] = counts;
        say(&format!("{name:<28} {evals:>6} {hold:>6} {native:>18} {not_yet:>8} {wrong:>6}"));
    };
    row("file", ["evals", "hold", "native histograms", "not yet", "wrong"].map(str::to_string));
    let mut told = Vec::new();
    for path in &files {
        let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        let Ok(text) = std::fs::read_to_string(path) else {
            say(&format!("failed to read {}", path.display()));
            return ExitCode::FAILURE;
        };
        let report = run_with(&text, options);
        let (native, not_yet, wrong) = (report.native_histograms.len(), report.not_yet.len(), report.failures.len());
        let counts = [report.evals, report.evals.saturating_sub(native + not_yet + wrong), native, not_yet, wrong];
        row(&name, counts.map(|count| count.to_string()));
        total.iter_mut().zip(counts).for_each(|(total, count)| *total += count);
        told.extend(report.failures.iter().map(|failure| format!("{name}:{}: {}", failure.line, failure.message)));
        told.extend(report.not_yet.iter().map(|line| format!("{name}:{line}: not yet")));
    }
    row("all", total.map(|count| count.to_string()));
    told.iter().for_each(|line| say(line));
    if told.is_empty() && !files.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
