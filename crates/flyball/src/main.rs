//! The binary: starts the server and the agent, and speaks every verb. Exit codes are in [`exit`].

mod cli;
mod client;
mod demo;
mod exit;
mod local;
mod reference;
mod remote;
mod render;
mod rules;
mod signals;
mod store;
mod up;

use std::process::ExitCode;

use clap::Parser;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    let cli = match cli::Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => {
            let _ = error.print();
            return ExitCode::from(if error.use_stderr() { exit::USAGE } else { exit::WELL });
        }
    };
    match cli::run(cli) {
        Ok(code) => ExitCode::from(code),
        Err(failure) => {
            render::complain(&failure);
            ExitCode::from(failure.code())
        }
    }
}
