//! The README's commands and the generators: `cargo xtask up | test | bench | faults | promqltest | gen |
//! licences`.
//!
//! Depends on no other crate of the workspace, so that it builds in seconds; what it needs to know of flyball it asks the
//! built binary (`flyball reference ...`).

#[cfg(test)]
mod architecture;
mod bench;
mod faults;
mod gen_files;
mod licences;
mod packages;
mod promqltest;
mod shell;
mod test;
mod types;
mod ui;
mod up;

use std::process::ExitCode;

use shell::{Failure, say};

const HELP: &str = "\
cargo xtask COMMAND

  up [--demo] [ARGS..]   build the web UI and the release binary, then start flyball; --demo shows the loop
  test [--quick]         install what the tests need, build, run everything; ends with `N passed, N failed`
                         --quick leaves out the browser, the real peers' installation and the release build
  bench NAME [--runs N]  measure: loop, metrics, query, decode; prints a table and writes target/bench/NAME.json
  faults NAME            run a fault at its full size; without a name: the list
  promqltest DIR         run Prometheus' own PromQL tests, given as a folder of .test files, and count what holds
  gen [--check]          write the generated files (API document, UI types, references); --check only compares
  licences               check licences and bans of all dependencies
";

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = args.iter().map(String::as_str).collect();
    let done = match words.split_first() {
        Some((&"up", rest)) => up::run(rest),
        Some((&"test", rest)) => test::run(rest),
        Some((&"bench", rest)) => bench::run(rest),
        Some((&"faults", rest)) => faults::run(rest),
        Some((&"promqltest", rest)) => promqltest::run(rest),
        Some((&"gen", rest)) => gen_files::run(rest),
        Some((&"licences", [])) => licences::run(),
        Some((&("help" | "--help" | "-h"), _)) | None => {
            say(HELP);
            return ExitCode::SUCCESS;
        }
        Some((other, _)) => Err(Failure::Usage(format!("`{other}` is no command\n\n{HELP}"))),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(Failure::Usage(text)) => {
            say(&text);
            ExitCode::from(2)
        }
        Err(Failure::Failed(text)) => {
            say(&format!("failed to {text}"));
            ExitCode::FAILURE
        }
    }
}
