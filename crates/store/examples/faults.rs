//! The store's fault campaigns in any size: `faults power-cut 10000`, `faults flights 1000`,
//! `faults cut 65536`, `faults flip 65536`, `faults fail-call 500`,
//! `faults model 100 10000`, `faults crash-in-history 100`,
//! `faults flip-history 400`, `faults kill 200`, `faults slow 1000`, `faults full`. One line of JSON; exit code 1 where something is lost.

use std::io::Write;
use std::process::{Command, ExitCode};
use std::time::Instant;

use store::faults::{self, Report};

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let size = |place: usize, usual: u64| words.get(place).and_then(|word| word.parse().ok()).unwrap_or(usual);
    let started = Instant::now();
    let name = words.first().map_or("", String::as_str);
    let report = match name {
        "power-cut" => faults::power_cut(size(2, 0)..size(2, 0) + size(1, 10_000)),
        "flights" => faults::flights(size(2, 0)..size(2, 0) + size(1, 10_000), 150).0,
        "cut" => faults::cut(size(1, 65_536), 1),
        "flip" => faults::flip(size(1, 65_536), 1),
        "flip-checkpoint" => faults::flip_checkpoint(size(1, 200) as i64, size(2, 0) > 0, 1),
        "crash-in-history" => faults::crash_in_history(0..size(1, 100), 1),
        "flip-history" => faults::flip_history(size(1, 400), 1),
        "fail-call" => faults::fail_call(size(1, 500), size(2, 1)),
        "model" => faults::model(0..size(1, 100), size(2, 10_000)),
        "slow" => faults::slow_disk(size(1, 1_000)),
        "full" => faults::disk_full((40..400).step_by(10).map(|kib| kib << 10)),
        "kill" => kill(size(1, 200)),
        "writer" if words.len() == 2 => {
            return match faults::write_until_killed(words[1].as_ref(), &mut std::io::stdout()) {
                Ok(()) => ExitCode::SUCCESS,
                Err(_) => ExitCode::FAILURE,
            };
        }
        _ => return ExitCode::from(2),
    };
    let Report { runs, acked, lost, wrong, failures } = &report;
    let secs = started.elapsed().as_secs_f64();
    let failed = failures.len();
    let mut out = std::io::stdout();
    let line = format!(
        r#"{{"case":"{name}","runs":{runs},"acked":{acked},"lost":{lost},"wrong":{wrong},"failures":{failed},"secs":{secs:.1}}}"#
    );
    let _ = writeln!(out, "{line}");
    for failure in failures {
        let _ = writeln!(std::io::stderr(), "{failure}");
    }
    ExitCode::from(u8::from(failed > 0 || lost + wrong > 0))
}

fn kill(rounds: u64) -> Report {
    let dir = std::env::temp_dir().join(format!("flyball-faults-{}", std::process::id()));
    let program = std::env::current_exe();
    let run = program.and_then(|program| {
        std::fs::create_dir_all(&dir)?;
        faults::kill(&dir, rounds, || {
            let mut command = Command::new(&program);
            command.arg("writer").arg(&dir);
            command
        })
    });
    let _ = std::fs::remove_dir_all(&dir);
    run.unwrap_or_else(|error| Report { failures: vec![format!("run the writer: {error}")], ..Report::default() })
}
