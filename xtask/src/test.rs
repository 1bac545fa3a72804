//! `cargo xtask test`: everything, from installing what is missing to the browser; ends with `N passed, N failed`.

use crate::packages::{self, FOR_TESTS};
use crate::shell::{Done, Failure, failed, have, program, root, run_kept, say, target};
use crate::{gen_files, licences, ui};

/// What was counted so far.
#[derive(Default)]
struct Count {
    passed: u64,
    failed: u64,
}

impl Count {
    /// One thing that passes or fails as a whole.
    fn whole(&mut self, name: &str, done: Done) {
        match done {
            Ok(()) => self.passed += 1,
            Err(Failure::Failed(text) | Failure::Usage(text)) => {
                say(&format!("FAILED {name}: {text}"));
                self.failed += 1;
            }
        }
    }

    /// What a runner counted itself; a runner that failed without a failed test counts as one.
    fn counted(&mut self, name: &str, well: bool, counted: Option<(u64, u64)>) {
        let (passed, mut failed) = counted.unwrap_or_default();
        if (!well || counted.is_none()) && failed == 0 {
            say(&format!("FAILED {name}: it ended without counting"));
            failed = 1;
        }
        self.passed += passed;
        self.failed += failed;
    }
}

/// Runs everything.
pub fn run(args: &[&str]) -> Done {
    let quick = match args {
        [] => false,
        ["--quick"] => true,
        other => return Err(Failure::Usage(format!("`test` takes --quick, not `{}`", other.join(" ")))),
    };
    let mut count = Count::default();
    if !quick {
        packages::install(FOR_TESTS)?;
    }
    count.whole("licences", licences::run());
    let ui_there = root().join("ui/package.json").is_file() && ui::node_fits();
    if ui_there {
        count.whole("web UI", ui::build());
        let (well, text) =
            run_kept("web UI: types", program("npm", &["run", "--silent", "check"]).current_dir(root().join("ui")))?;
        count.whole("web UI: types", if well { Ok(()) } else { failed(last_line(&text)) });
        let (well, text) = run_kept("web UI: tests", program("npm", &["test", "--silent"]).current_dir(root().join("ui")))?;
        count.counted("web UI: tests", well, vitest(&text));
    }
    let clippy =
        program("cargo", &["clippy", "--workspace", "--all-targets", "--locked", "--quiet", "--", "-D", "warnings"]).status();
    count.whole("clippy", if clippy.is_ok_and(|status| status.success()) { Ok(()) } else { failed("pass clippy") });
    let python = if quick { None } else { Some(packages::python()?) };
    let mut tests = if have("cargo-nextest") {
        program("cargo", &["nextest", "run", "--workspace", "--locked", "--no-fail-fast", "--color=never", "--status-level=fail"])
    } else {
        program("cargo", &["test", "--workspace", "--locked", "--no-fail-fast"])
    };
    if let Some(python) = &python {
        tests.env("FLYBALL_TEST_PYTHON", python);
    }
    let (well, text) = run_kept("tests", &mut tests)?;
    count.counted("tests", well, nextest(&text).or_else(|| cargo_test(&text)));
    count.whole("generated files", gen_files::run(&["--check"]));
    if ui_there && !quick {
        browser(&mut count)?;
    }
    say(&format!("{} passed, {} failed", count.passed, count.failed));
    if count.failed == 0 { Ok(()) } else { failed("pass all tests") }
}

/// The pages in a real browser, against a real server with the demo's loop.
fn browser(count: &mut Count) -> Done {
    let script = root().join("ui/tests/run.mjs");
    if !script.is_file() {
        return Ok(());
    }
    let binary = target().join("debug/flyball");
    let mut command = program("node", &[&script.to_string_lossy(), "--flyball", &binary.to_string_lossy()]);
    let (well, text) = run_kept("browser", command.current_dir(root().join("ui")))?;
    count.counted("browser", well, plain(&text));
    Ok(())
}

fn last_line(text: &str) -> String {
    text.lines().last().unwrap_or("").to_owned()
}

/// `Summary [   0.029s] 14 tests run: 14 passed, 0 skipped`, with `, 1 failed` or `1 timed out` in it if there was one.
fn nextest(text: &str) -> Option<(u64, u64)> {
    let line = text.lines().rev().find(|line| line.contains("Summary [") && line.contains("run:"))?;
    let run = before(line, " tests run:").or_else(|| before(line, " test run:"))?;
    let passed = before(line, " passed").unwrap_or(0);
    Some((passed, run.saturating_sub(passed)))
}

/// `test result: ok. 5 passed; 0 failed; ...`, once per binary.
fn cargo_test(text: &str) -> Option<(u64, u64)> {
    let lines: Vec<&str> = text.lines().filter(|line| line.starts_with("test result:")).collect();
    let sum = |word: &str| lines.iter().filter_map(|line| before(line, word)).sum();
    (!lines.is_empty()).then(|| (sum(" passed"), sum(" failed")))
}

/// `Tests  12 passed (12)`, with `1 failed |` in it if there was one.
fn vitest(text: &str) -> Option<(u64, u64)> {
    let line = text.lines().rev().find(|line| line.trim_start().starts_with("Tests "))?;
    Some((before(line, " passed").unwrap_or(0), before(line, " failed").unwrap_or(0)))
}

/// `N passed, N failed` alone on a line.
fn plain(text: &str) -> Option<(u64, u64)> {
    let line = text.lines().rev().find(|line| line.contains(" passed, ") && line.trim_end().ends_with(" failed"))?;
    Some((before(line, " passed")?, before(line, " failed")?))
}

/// The number directly before a word.
fn before(line: &str, word: &str) -> Option<u64> {
    let head = &line[..line.find(word)?];
    let digits: String = head.chars().rev().take_while(char::is_ascii_digit).collect();
    digits.chars().rev().collect::<String>().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_of_the_runners() {
        assert_eq!(nextest("     Summary [   0.029s] 14 tests run: 14 passed, 0 skipped"), Some((14, 0)));
        assert_eq!(
            nextest("     Summary [  12.1s] 14 tests run: 12 passed (1 slow), 1 failed, 1 timed out, 0 skipped"),
            Some((12, 2))
        );
        assert_eq!(vitest(" Test Files  2 passed (2)\n      Tests  1 failed | 12 passed (13)"), Some((12, 1)));
        assert_eq!(plain("browser\n31 passed, 2 failed\n"), Some((31, 2)));
        assert_eq!(
            cargo_test("test result: ok. 5 passed; 0 failed; 0 ignored\ntest result: FAILED. 1 passed; 2 failed;"),
            Some((6, 2))
        );
        assert_eq!(plain("no count"), None);
        let coloured = "\u{1b}[2m      Tests \u{1b}[22m \u{1b}[1m\u{1b}[32m729 passed\u{1b}[39m\u{1b}[22m (729)";
        assert_eq!(vitest(&crate::shell::without_colour(coloured)), Some((729, 0)));
    }
}
