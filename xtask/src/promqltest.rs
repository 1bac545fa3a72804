//! `cargo xtask promqltest DIR`: Prometheus' own tests of PromQL against our evaluator.
//!
//! The files are Prometheus' (its repository, `promql/promqltest/testdata`) and not part of this one; our own cases in the
//! same format are in `crates/query/tests/cases` and run with every test.

use crate::shell::{Done, Failure, program, run as run_program};

/// Runs every `.test` file of a folder and prints a count per file.
pub fn run(args: &[&str]) -> Done {
    let Some(folder) = args.first().filter(|word| !word.starts_with("--")) else {
        return Err(Failure::Usage(
            "cargo xtask promqltest DIR [--eager]\n\nDIR holds Prometheus' promql/promqltest/testdata; --eager drops names at once".into(),
        ));
    };
    let folder = std::path::absolute(folder).map_err(|error| Failure::Failed(format!("find {folder}: {error}")))?;
    let mut command =
        program("cargo", &["run", "--release", "--locked", "--quiet", "-p", "query", "--example", "promqltest", "--"]);
    run_program("promqltest", command.arg(folder).args(&args[1..]))
}
