//! `cargo xtask up`: from a clone to the page, with one command.

use std::os::unix::process::CommandExt;

use crate::packages::{self, HAPROXY};
use crate::shell::{self, Done, Failure, program, root, target};
use crate::ui;

/// Builds the web UI and the release binary, then becomes `flyball up`.
pub fn run(args: &[&str]) -> Done {
    ui::build()?;
    shell::run("release binary", &mut program("cargo", &["build", "--release", "--bin", "flyball", "--locked"]))?;
    if args.contains(&"--demo") {
        packages::install(&[HAPROXY])?;
    }
    let binary = target().join("release/flyball");
    let mut command = std::process::Command::new(&binary);
    command.arg("up").args(args).current_dir(std::env::current_dir().unwrap_or_else(|_| root()));
    let error = command.exec();
    Err(Failure::Failed(format!("start {}: {error}", binary.display())))
}
