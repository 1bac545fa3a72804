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
    Fault {
        name: "F-02",
        what: "power cut of the store: unsynced writes forgotten, torn, reordered",
        package: "store",
        filter: "power_cut",
        seeds: 10_000,
    },
    Fault { name: "F-03", what: "log cut at every byte offset", package: "store", filter: "every_byte", seeds: 1 },
    Fault { name: "F-21", what: "killed between accept and send", package: "server", filter: "f21", seeds: 1_000 },
    Fault { name: "F-30", what: "server killed in the middle of a release", package: "engine", filter: "f30", seeds: 1_000 },
    Fault { name: "F-36", what: "never fewer in service than promised", package: "engine", filter: "f36", seeds: 10_000 },
];

/// Runs one at its full size, in a release build.
pub fn run(args: &[&str]) -> Done {
    let [name] = args else {
        say("cargo xtask faults NAME\n");
        for fault in FAULTS {
            say(&format!("  {:<6} {} ({} seeds)", fault.name, fault.what, fault.seeds));
        }
        return if args.is_empty() { Ok(()) } else { Err(Failure::Usage("one name at a time".into())) };
    };
    let Some(fault) = FAULTS.iter().find(|fault| fault.name.eq_ignore_ascii_case(name)) else {
        let names: Vec<&str> = FAULTS.iter().map(|fault| fault.name).collect();
        return Err(Failure::Usage(format!("`{name}` is no fault; there are {}", names.join(", "))));
    };
    let mut command = if have("cargo-nextest") {
        program("cargo", &["nextest", "run", "--release", "--no-capture", "-p", fault.package, fault.filter])
    } else {
        program("cargo", &["test", "--release", "-p", fault.package, fault.filter, "--", "--nocapture"])
    };
    run_program(fault.name, command.env("FLYBALL_SEEDS", fault.seeds.to_string()))
}
