//! Runs every file of `tests/cases`. Each evaluation is a check of its own; the message names file and line.

use std::path::Path;

use query::testing::promqltest;

#[test]
fn all_cases_hold() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cases");
    let mut files: Vec<_> = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    let mut wrong = Vec::new();
    for file in &files {
        let text = std::fs::read_to_string(file).unwrap();
        assert!(text.contains("eval "), "{} checks nothing", file.display());
        let name = file.file_name().unwrap().to_string_lossy();
        wrong.extend(promqltest::run(&text).into_iter().map(|failure| format!("{name}:{}: {}", failure.line, failure.message)));
    }
    assert!(!files.is_empty());
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// A runner that never fails would prove nothing.
#[test]
fn the_runner_sees_what_is_wrong() {
    let load = "load 5m\n  up{job=\"a\"} 0+10x10\n\n";
    for (case, told) in [
        ("eval instant at 5m up\n  up{job=\"a\"} 11\n", "expected up{job=\"a\"}"),
        ("eval instant at 5m up\n", "answered 1 series, expected 0"),
        ("eval instant at 5m up{job=\"b\"}\n  up{job=\"a\"} 10\n", "answered 0 series, expected 1"),
        ("eval instant at 5m 1 + 1\n  3\n", "answered the scalar 2"),
        ("eval range from 0 to 10m step 5m up\n  up{job=\"a\"} 0 10 21\n", "expected `up{job=\"a\"} 0 10 21`"),
        ("eval instant at 5m up\n  expect fail\n", "should have failed"),
        ("eval instant at 5m up +\n", "failed: 1:5: the query ends"),
        ("eval instant at 5m rate(up[10m])\n  expect no_info\n  {job=\"a\"} 0.03333333\n", "unexpected info"),
        ("eval instant at 5m sum(up)\n  expect warn\n  {} 10\n", "no warning like any"),
        ("eval instant at 5m smoothed_rate(up[5m])\n", "there is no function"),
        ("eval sometimes\n", "is no eval command"),
        ("evaluate\n", "is no eval command"),
        ("what\n", "is no command"),
    ] {
        let failures = promqltest::run(&format!("{load}{case}"));
        assert_eq!(failures.len(), 1, "{case}: {failures:?}");
        assert!(failures[0].message.contains(told), "{case}: {}", failures[0].message);
        assert_eq!(failures[0].line, 4, "{case}");
    }
    assert_eq!(promqltest::run(&format!("{load}eval instant at 5m histogram_count(up)\n")).len(), 1);
}
