//! `cargo xtask bench NAME`: measures in a release build, prints a table, writes JSON. Never a test: machines are noisy.

use crate::shell::{Done, Failure, program, root, run as run_program, target};

/// Runs a benchmark by its name.
pub fn run(args: &[&str]) -> Done {
    match args.split_first() {
        Some((&"loop", rest)) => {
            crate::packages::install(&[crate::packages::HAPROXY])?;
            run_program("release binary", &mut program("cargo", &["build", "--release", "--bin", "flyball", "--locked"]))?;
            let binary = target().join("release/flyball");
            let out = root().join("target/bench/loop.json");
            let mut command =
                program("cargo", &["run", "--release", "--locked", "--quiet", "-p", "flyball", "--example", "bench_loop", "--"]);
            command.arg("--flyball").arg(binary).arg("--out").arg(out).args(rest);
            run_program("bench loop", &mut command)
        }
        Some((other, _)) => Err(Failure::Usage(format!("`{other}` is no benchmark; there is: loop"))),
        None => Err(Failure::Usage(
            "cargo xtask bench loop [--runs N] [--quick] [--only notice,idle,bad-release,good-release]; --help lists all".into(),
        )),
    }
}
