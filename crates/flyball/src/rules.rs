//! `flyball rules`: rule files before they are in force. Checks them and runs their unit tests; asks no server.

use std::path::PathBuf;

use clap::Subcommand;
use server::rules::{check, unit};

use crate::exit::{Failure, NOT_WELL, WELL};
use crate::render::say;

/// What can be done with rule files.
#[derive(Subcommand)]
pub enum RulesCommand {
    /// Say everything that is wrong in rule files, with its place: 0 well, 1 mistakes
    Check {
        /// Rule files, and folders of them
        #[arg(required = true, value_name = "FILE|DIR")]
        paths: Vec<PathBuf>,
    },
    /// Run unit tests in promtool's format: 0 all passed, 1 some did not
    Test {
        /// Files of tests; they name the rule files
        #[arg(required = true, value_name = "FILE")]
        files: Vec<PathBuf>,
    },
}

/// Runs what was written.
pub fn run(command: RulesCommand) -> Result<u8, Failure> {
    match command {
        RulesCommand::Check { paths } => check_files(&paths),
        RulesCommand::Test { files } => test_files(&files),
    }
}

fn check_files(paths: &[PathBuf]) -> Result<u8, Failure> {
    if let Some(path) = paths.iter().find(|path| !path.exists()) {
        return Err(Failure::Usage(format!("`{}` is neither a file nor a folder", path.display())));
    }
    let checked = check::check(paths);
    for mistake in &checked.mistakes {
        say(&mistake.to_string());
    }
    for warning in &checked.warnings {
        say(&format!("warning: {warning}"));
    }
    let (alerts, records) = checked.rules();
    let read = format!(
        "{}, {}, {}, {}",
        count(checked.files, "file", "files"),
        count(checked.groups.len(), "group", "groups"),
        count(alerts, "alerting rule", "alerting rules"),
        count(records, "recording rule", "recording rules")
    );
    let warnings = match checked.warnings.len() {
        0 => String::new(),
        some => format!("; {}", count(some, "warning", "warnings")),
    };
    if checked.mistakes.is_empty() {
        say(&format!("well: {read}{warnings}"));
        return Ok(WELL);
    }
    say(&format!("{} in {read}{warnings}", count(checked.mistakes.len(), "mistake", "mistakes")));
    Ok(NOT_WELL)
}

fn test_files(files: &[PathBuf]) -> Result<u8, Failure> {
    if let Some(path) = files.iter().find(|path| !path.is_file()) {
        return Err(Failure::Usage(format!("`{}` is no file", path.display())));
    }
    let mut code = WELL;
    for file in files {
        say(&format!("Unit Testing:  {}", file.display()));
        match unit::run_file(file) {
            Ok(()) => say("  SUCCESS\n"),
            Err(failures) => {
                say(&format!("  FAILED:\n{}\n", failures.join("\n")));
                code = NOT_WELL;
            }
        }
    }
    Ok(code)
}

fn count(number: usize, one: &str, many: &str) -> String {
    format!("{number} {}", if number == 1 { one } else { many })
}
