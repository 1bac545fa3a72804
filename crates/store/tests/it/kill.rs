//! F-01: a real process, killed with -9 while it writes. The test binary starts itself as the writer.

use std::io::Write as _;
use std::process::Command;

use store::faults::{self, Report};

const WRITER_DIR: &str = "FLYBALL_TEST_WRITER_DIR";

/// With the variable set this is the child, which ends when it is killed. Without it, it writes until its reader goes away.
#[test]
fn the_writer() {
    if let Some(dir) = std::env::var_os(WRITER_DIR) {
        faults::write_until_killed(dir.as_ref(), &mut std::io::stdout()).unwrap();
        return;
    }
    struct Few(usize);
    impl std::io::Write for Few {
        fn write(&mut self, data: &[u8]) -> std::io::Result<usize> {
            if self.0 == 0 {
                return Err(std::io::ErrorKind::BrokenPipe.into());
            }
            self.0 -= data.iter().filter(|byte| **byte == b'\n').count();
            Ok(data.len())
        }
        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }
    let dir = tempfile::tempdir().unwrap();
    let mut few = Few(5);
    faults::write_until_killed(dir.path(), &mut few).unwrap();
    assert_eq!(few.0, 0, "five batches were acknowledged");
}

#[test]
fn f01_kill_9_while_writing() {
    let dir = tempfile::tempdir().unwrap();
    let child = || {
        let mut command = Command::new(std::env::current_exe().unwrap());
        command.args(["kill::the_writer", "--exact", "--nocapture"]).env(WRITER_DIR, dir.path());
        command
    };
    let rounds = std::env::var("FLYBALL_SEEDS").ok().and_then(|rounds| rounds.parse().ok()).unwrap_or(6);
    let report = faults::kill(dir.path(), rounds, child).unwrap();
    let Report { runs, acked, lost, wrong, .. } = &report;
    let _ = writeln!(std::io::stdout(), "{runs} kills, {acked} samples acknowledged, {lost} lost, {wrong} wrong");
    assert_eq!(report.runs, rounds);
    assert!(report.acked > 100 && report.failures.is_empty() && report.lost == 0 && report.wrong == 0, "{report:#?}");
}
