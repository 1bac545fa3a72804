//! `cargo xtask bench NAME`: measures in a release build, prints a table, writes JSON. Never a test: machines are noisy.

use crate::packages::{HAPROXY, PROMETHEUS, VICTORIA_METRICS, install};
use crate::shell::{Done, Failure, program, root, run as run_program, target};

/// Runs a benchmark by its name.
pub fn run(args: &[&str]) -> Done {
    match args.split_first() {
        Some((&"loop", rest)) => {
            install(&[HAPROXY])?;
            example("loop", rest)
        }
        Some((&"metrics", rest)) => {
            install(&[VICTORIA_METRICS, PROMETHEUS])?;
            example("metrics", rest)
        }
        Some((&"query", rest)) => {
            let out = root().join("target/bench/query.json");
            let mut command =
                program("cargo", &["run", "--release", "--locked", "--quiet", "-p", "query", "--example", "bench_query", "--"]);
            run_program("bench query", command.arg("--out").arg(out).args(rest))
        }
        Some((&"decode", rest)) => decode(rest),
        Some((other, _)) => Err(Failure::Usage(format!("`{other}` is no benchmark; there is: loop, metrics, query, decode"))),
        None => Err(Failure::Usage(
            "cargo xtask bench loop [--runs N] [--quick] [--only notice,idle,bad-release,good-release]\n\
             cargo xtask bench metrics [--runs N] [--quick] [--only ingest,million,rate,query,detect,rules,month,days]\n\
             cargo xtask bench query [--only TEXT] [--times N]\n\
             cargo xtask bench decode\n\
             --help lists all"
                .into(),
        )),
    }
}

/// What the decoders of samples cost, without a server.
fn decode(args: &[&str]) -> Done {
    let mut command = program("cargo", &["run", "--release", "--locked", "--quiet", "-p", "wire", "--example", "decode", "--"]);
    command.arg("--out").arg(root().join("target/bench/decode.json"));
    run_program("bench decode", command.args(args))
}

/// Builds the release binary and runs the measuring program against it.
fn example(name: &str, args: &[&str]) -> Done {
    run_program("release binary", &mut program("cargo", &["build", "--release", "--bin", "flyball", "--locked"]))?;
    let binary = target().join("release/flyball");
    let out = root().join(format!("target/bench/{name}.json"));
    let example = format!("bench_{name}");
    let mut command =
        program("cargo", &["run", "--release", "--locked", "--quiet", "-p", "flyball", "--example", &example, "--"]);
    command.arg("--flyball").arg(binary);
    if !args.contains(&"--out") {
        command.arg("--out").arg(out);
    }
    run_program(&format!("bench {name}"), command.args(args))
}
