//! The program as its users run it: real processes, real peers, free ports, temporary folders.

mod cli;
mod demo;
mod intake;
mod peers;
mod rig;
mod up;
