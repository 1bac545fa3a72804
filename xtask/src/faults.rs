//! `cargo xtask faults NAME`: a fault at its full size. The small, freshly seeded size of each is in `cargo xtask test`.

use crate::shell::{Done, Failure, have, program, run as run_program, say};

/// A fault: its name, what it does, the tests that hold it and the seeds of its full size.
struct Fault {
    name: &'static str,
    what: &'static str,
    package: &'static str,
    filter: &'static str,
    seeds: u32,
}

const FAULTS: &[Fault] = &[
    fault("F-01", "killed while writing samples", "store", "f01_", 200),
    fault("F-01-server", "the server killed while senders write", "flyball", "f01_", 200),
    fault("F-02", "power cut of the store: unsynced writes forgotten, torn, reordered", "store", "f02_power_cut", 10000),
    fault("F-02-journal", "power cut during a commit of the journal", "server", "f02_", 10000),
    fault("F-03", "log cut at every byte offset", "store", "f03_", 1),
    fault("F-04", "a bit flipped in every byte of log, checkpoint and history", "store", "f04_", 1),
    fault("F-05", "disk full, and room again", "store", "f05_", 1),
    fault("F-06", "each call to the file system fails once", "store", "f06_", 1),
    fault("F-07", "slow disk", "store", "f07_", 1),
    fault(
        "F-09",
        "ten million new series in a minute against 512 MiB of memory; the count is of bodies",
        "flyball",
        "f09_",
        10000,
    ),
    fault("F-10", "power cut within a merge, retention, deletion, snapshot", "store", "f10_", 100),
    fault("F-20", "receiver down for an hour", "server", "f20_", 50),
    fault("F-21", "killed between accept and send", "server", "f21_", 1000),
    fault("F-22", "the answer of a receiver is lost", "server", "f22_", 1000),
    fault("F-30", "server killed at any moment of a release of twenty hosts", "engine", "f30_", 1000),
    fault("F-31", "agent killed at any moment", "engine", "f31_", 1000),
    fault("F-34", "an older server's steps after a newer one's", "engine", "f34_", 1000),
    fault("F-35", "taken back at any moment", "engine", "f35_", 1000),
    fault("F-36", "never fewer in service than promised", "engine", "f36_", 10000),
    fault("F-37", "bad releases halt, good ones do not", "engine", "f37_", 1000),
    fault("F-40", "many orders on the same hosts", "engine", "f40_", 100),
    fault("rules", "killed while alerts are pending, firing and kept", "flyball", "rules_killed_", 100),
    fault("fuzz", "mutated bodies of samples, against slow decoders", "wire", "fuzz_", 50),
    fault("F-52", "store against a model", "store", "f52_", 100),
    fault(
        "backtest",
        "1,000 generated rule files over recorded feeds: a back-test against live rules",
        "server",
        "backtest_equals_live",
        1000,
    ),
    fault("promql-differential", "10,000 random queries, ours against Prometheus 2.42", "query", "promql_differential", 20),
];

const fn fault(name: &'static str, what: &'static str, package: &'static str, filter: &'static str, seeds: u32) -> Fault {
    Fault { name, what, package, filter, seeds }
}

/// Runs one at its full size, in a release build.
pub fn run(args: &[&str]) -> Done {
    let [name] = args else {
        say("cargo xtask faults NAME\n");
        for fault in FAULTS {
            say(&format!("  {:<20} {} ({} seeds)", fault.name, fault.what, fault.seeds));
        }
        return if args.is_empty() { Ok(()) } else { Err(Failure::Usage("one name at a time".into())) };
    };
    let Some(fault) = FAULTS.iter().find(|fault| fault.name.eq_ignore_ascii_case(name)) else {
        let names: Vec<&str> = FAULTS.iter().map(|fault| fault.name).collect();
        return Err(Failure::Usage(format!("`{name}` is no fault; there are {}", names.join(", "))));
    };
    if fault.name == "promql-differential" {
        crate::packages::install(&[crate::packages::PROMETHEUS])?;
    }
    let mut command = if have("cargo-nextest") {
        program("cargo", &["nextest", "run", "--release", "--no-capture", "--profile", "full", "-p", fault.package, fault.filter])
    } else {
        program("cargo", &["test", "--release", "-p", fault.package, fault.filter, "--", "--nocapture"])
    };
    run_program(fault.name, command.env("FLYBALL_SEEDS", fault.seeds.to_string()))
}
