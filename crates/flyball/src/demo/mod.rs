//! The demo: a small shop behind HAProxy on four local hosts, real traffic, and releases that are good or bad.

mod before;
pub mod haproxy;
pub mod release;
pub mod setup;
pub mod shop;
pub mod traffic;
pub mod up;

use clap::Subcommand;

use crate::cli::Server;
use crate::exit::Failure;

/// Parts of the demo.
#[derive(Subcommand)]
pub enum DemoCommand {
    /// Release a good or a bad version of the shop
    Release {
        /// Which
        kind: release::Kind,
        /// Wait until the good one is done, or the bad one has been taken back
        #[arg(long)]
        wait: bool,
        #[command(flatten)]
        server: Server,
    },
    /// Run one server of the shop (the demo's agents do this)
    Shop(shop::ShopArgs),
    /// Send traffic to the shop (the demo does this)
    Traffic(traffic::TrafficArgs),
}

/// Runs one of them.
pub fn run(command: DemoCommand) -> Result<u8, Failure> {
    match command {
        DemoCommand::Release { kind, wait, server } => release::run(&server, kind, wait),
        DemoCommand::Shop(args) => shop::run(args),
        DemoCommand::Traffic(args) => traffic::run(args),
    }
}
