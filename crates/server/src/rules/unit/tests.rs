//! Our verdicts beside promtool's own, on the files in `cases/`.

use std::path::PathBuf;
use std::process::Command;

use super::*;

/// A file's verdict; its warnings are of no concern.
fn run(path: &Path, features: Features) -> Outcome {
    run_file(path, features, &mut |_| ())
}

fn case(name: &str) -> PathBuf {
    PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/src/rules/unit/cases")).join(name)
}

/// What promtool says of a file, without its first line.
fn promtool(name: &str) -> (bool, String) {
    let out = Command::new("promtool").args(["test", "rules"]).arg(case(name)).output();
    let out = out.expect("promtool comes with Debian's package prometheus");
    let said =
        String::from_utf8_lossy(&out.stderr).lines().filter(|line| line.trim() != "FAILED:").collect::<Vec<_>>().join("\n");
    (out.status.success(), said.trim_end().to_owned())
}

#[test]
fn what_passes_there_passes_here() {
    assert_eq!(promtool("passes.yml"), (true, String::new()));
    assert_eq!(run(&case("passes.yml"), Features::STABLE), Ok(()));
}

#[test]
fn what_fails_there_fails_here_in_the_same_words() {
    let (passed, theirs) = promtool("fails.yml");
    let ours = run(&case("fails.yml"), Features::STABLE).unwrap_err().join("\n");
    assert!(!passed);
    // The parsers word their mistakes differently.
    let words = |text: &str| text.lines().filter(|line| !line.contains("up ==")).map(str::to_owned).collect::<Vec<_>>();
    assert_eq!(words(&ours), words(&theirs));
    assert!(ours.contains(r#"expr: "up ==", time: 1m, err: 1:6:"#), "{ours}");
}

#[test]
fn a_rule_that_fails_ends_its_test() {
    let (passed, theirs) = promtool("many.yml");
    let ours = run(&case("many.yml"), Features::STABLE).unwrap_err().join("\n");
    assert!(
        !passed && theirs.contains("rule: a:many, time: 0s, err:") && ours.contains("rule: a:many, time: 0s, err:"),
        "{ours}"
    );
}

#[test]
fn a_test_may_begin_at_a_time_of_its_own_and_forgive_the_last_bit() {
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str, text: &str| std::fs::write(folder.path().join(name), text).unwrap();
    let test = |start: &str, value: &str, fuzzy: bool| {
        file(
            "test.yml",
            &format!(
                "fuzzy_compare: {fuzzy}\ntests:\n  - start_timestamp: {start}\n    input_series:\n      - {{ series: a, values: 0.1 }}\n    \
                 promql_expr_test:\n      - expr: a + 0.2 + timestamp(a) * 0\n        exp_samples: [{{ labels: '{{}}', value: {value} }}]\n      - \
                 expr: time()\n        exp_samples: [{{ labels: '{{}}', value: 1609459200 }}]\n"
            ),
        );
        run(&folder.path().join("test.yml"), Features::STABLE)
    };
    assert_eq!(test("1609459200", "0.30000000000000004", false), Ok(()));
    assert_eq!(test("2021-01-01T00:00:00Z", "0.3", true), Ok(()));
    assert!(test("\"2021-01-01T00:00:00Z\"", "0.3", false).is_err());
    assert!(test("yesterday", "0.3", true).unwrap_err()[0].contains("yesterday"));
}

#[test]
fn a_mistake_in_a_file_has_its_place() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("test.yml");
    std::fs::write(&path, "tests:\n  - input_serie: []\n").unwrap();
    let said = run(&path, Features::STABLE).unwrap_err().join("\n");
    assert!(said.contains("test.yml:2:5: unknown key `input_serie`") && said.contains("`input_series`"), "{said}");
    std::fs::write(&path, "rule_files: ['[a.yml']\ntests: []\n").unwrap();
    assert!(run(&path, Features::STABLE).unwrap_err()[0].contains("[a.yml: syntax error in pattern"));
    std::fs::write(&path, "group_eval_order: [a, a]\n").unwrap();
    assert!(run(&path, Features::STABLE).unwrap_err()[0].contains("repeated"));
}

#[test]
fn a_pattern_that_names_nothing_is_a_warning() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("test.yml");
    std::fs::write(&path, "rule_files: [nothing.yml, 'rules/*/*.yml']\ntests: []\n").unwrap();
    let theirs = Command::new("promtool").args(["test", "rules"]).arg(&path).output().unwrap();
    let mut warnings = Vec::new();
    assert_eq!((run_file(&path, Features::STABLE, &mut |said| warnings.push(said)), theirs.status.success()), (Ok(()), true));
    let said: Vec<String> = warnings.iter().map(|said| format!("  WARNING: {said}")).collect();
    assert_eq!(said, String::from_utf8_lossy(&theirs.stderr).lines().collect::<Vec<_>>());
}

#[test]
fn rules_and_expressions_are_those_of_the_server_that_they_are_for() {
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str, text: &str| std::fs::write(folder.path().join(name), text).unwrap();
    file("rules.yml", "groups: [{ name: g, rules: [{ record: a:b, expr: 'count(limitk(1, a))' }] }]\n");
    let test = |rules: &str, expr: &str, features: &[&str]| {
        let sample = "exp_samples: [{ labels: '{}', value: 1 }]";
        file(
            "test.yml",
            &format!(
                "{rules}\ntests:\n  - input_series: [{{ series: 'a{{x=\"1\"}}', values: 1 }}, {{ series: b, values: 1 }}]\n    \
                 promql_expr_test: [{{ expr: '{expr}', {sample} }}]\n"
            ),
        );
        run(&folder.path().join("test.yml"), Features::of(features.iter().copied()).unwrap())
    };
    let (functions, names) = (["promql-experimental-functions"], ["promql-delayed-name-removal"]);
    for (rules, expr) in [("rule_files: [rules.yml]", "sum(a:b)"), ("", "count(limitk(1, a))")] {
        let refused = test(rules, expr, &[]).unwrap_err().join("\n");
        assert!(refused.contains("--enable-feature=promql-experimental-functions"), "{refused}");
        assert_eq!(test(rules, expr, &functions), Ok(()), "{expr}");
    }
    assert_eq!(test("", "sum(-a + on (__name__) -b) + 3", &[]), Ok(()));
    assert!(test("", "sum(-a + on (__name__) -b) + 3", &names).is_err(), "the names differ until the end");
}
