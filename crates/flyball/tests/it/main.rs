//! The program as its users run it: real processes, real peers, free ports, temporary folders.

mod approval;
mod backtest;
mod cli;
mod demo;
mod disk;
mod faults;
mod intake;
mod kill;
mod memory;
mod peers;
mod prometheus;
mod rig;
mod rules;
mod stand;
mod store;
mod up;
