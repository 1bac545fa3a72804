//! Checks rule files: every mistake at once with its place, and what is probably meant otherwise.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use model::config::{Rule, RuleGroup};
use query::ast::{AggregateOp, BinaryOp, ExprKind};
use query::{Expr, Features};

use crate::config::{Diagnostic, RuleFile, Source, check_repeated, check_rules, files, from_file, path, read};

/// What was found in some files.
#[derive(Debug, Default)]
pub struct Checked {
    /// Files that were read.
    pub files: usize,
    /// All groups, in the order of the files.
    pub groups: Vec<RuleGroup>,
    /// What keeps these files from being used.
    pub mistakes: Vec<Diagnostic>,
    /// What is allowed and probably meant otherwise.
    pub warnings: Vec<Diagnostic>,
}

impl Checked {
    /// How many alerting rules and how many recording rules.
    pub fn rules(&self) -> (usize, usize) {
        let all = || self.groups.iter().flat_map(|group| &group.rules);
        (all().filter(|rule| rule.alert.is_some()).count(), all().filter(|rule| rule.record.is_some()).count())
    }
}

/// Checks files, and all `.yaml` and `.yml` of folders; of a configuration folder those below `rules/`. `allowed` is what may
/// stand in them of PromQL's experimental parts.
pub fn check(paths: &[PathBuf], allowed: &Features) -> Checked {
    let mut found = Checked::default();
    let mut sources = Vec::new();
    for file in listed(paths, &mut found.mistakes) {
        // People find the file under the name that they gave.
        let Some(source) = read(Path::new(""), &file, &mut found.mistakes) else { continue };
        found.files += 1;
        match serde_saphyr::from_str::<Option<RuleFile>>(&source.text) {
            Ok(part) => {
                let mut groups = part.unwrap_or_default().groups;
                from_file(&mut groups, &source, &mut found.mistakes);
                repeated(&groups, &source, &mut found.mistakes);
                sources.push((found.groups.len(), source));
                found.groups.extend(groups);
            }
            Err(error) => found.mistakes.push(Diagnostic::of_yaml(&source.name, &source.text, &error)),
        }
    }
    let of_groups: Vec<_> = sources.iter().map(|(first, source)| (*first, source)).collect();
    check_rules(&found.groups, &of_groups, allowed, &mut found.mistakes);
    check_repeated(&found.groups, &of_groups, &mut found.warnings);
    for (at, (first, source)) in sources.iter().enumerate() {
        let last = sources.get(at + 1).map_or(found.groups.len(), |(first, _)| *first);
        for (place, group) in found.groups[*first..last].iter().enumerate() {
            for (number, rule) in group.rules.iter().enumerate() {
                for (key, text) in remarks(rule) {
                    let at = path(&[&"groups", &format!("#{place}"), &"rules", &format!("#{number}"), &key]);
                    found.warnings.push(Diagnostic::at(&source.name, &source.text, source.tree.value(&at), text));
                }
            }
        }
    }
    found
}

fn listed(paths: &[PathBuf], mistakes: &mut Vec<Diagnostic>) -> Vec<PathBuf> {
    let mut all = Vec::new();
    for path in paths {
        if !path.is_dir() {
            all.push(path.clone());
            continue;
        }
        let below = path.join("rules");
        let found = files(if below.is_dir() { &below } else { path }, mistakes);
        if found.is_empty() {
            mistakes.push(Diagnostic::of_file(&path.display().to_string(), "no .yaml and no .yml is in this folder".into()));
        }
        all.extend(found);
    }
    all
}

/// Prometheus refuses a file with two groups of one name.
fn repeated(groups: &[RuleGroup], source: &Source, mistakes: &mut Vec<Diagnostic>) {
    let mut names = BTreeSet::new();
    for (place, group) in groups.iter().enumerate() {
        if !names.insert(&group.name) {
            let at = source.tree.value(&path(&[&"groups", &format!("#{place}"), &"name"]));
            let message = format!("two groups of this file are called `{}`", group.name);
            mistakes.push(Diagnostic::at(&source.name, &source.text, at, message));
        }
    }
}

/// What of a rule is probably meant otherwise: the key, and a sentence.
fn remarks(rule: &Rule) -> Vec<(&'static str, String)> {
    let mut out = Vec::new();
    let Ok(expr) = query::parse(&rule.expr) else { return out };
    if rule.alert.is_some() && !decides(&expr) && !is_number(&expr) {
        out.push(("expr", "nothing is compared here: this is bad whenever the series are there".to_owned()));
    }
    if let Some(name) = &rule.record
        && !name.contains(':')
    {
        out.push((
            "record",
            format!("`{name}` looks like a metric that something sends; recorded ones are named level:metric:operations"),
        ));
    }
    if let (Some(hold), Some(keep)) = (rule.hold, rule.keep_firing_for)
        && hold.0 == 0
        && keep.0 == 0
    {
        out.push(("for", "`for: 0s` and `keep_firing_for: 0s` are what is without them".to_owned()));
    }
    out
}

/// A number alone is bad on purpose: an alert that shows that alerts arrive.
fn is_number(expr: &Expr) -> bool {
    match &expr.kind {
        ExprKind::Number(_) => true,
        ExprKind::Call(call) => call.function.name == "vector",
        _ => false,
    }
}

/// Whether an expression leaves out what is well: by a comparison, a set, an absence, or the state of another alert.
fn decides(expr: &Expr) -> bool {
    let here = match &expr.kind {
        ExprKind::Binary(binary) => {
            matches!(binary.op, BinaryOp::And | BinaryOp::Unless) || (binary.op.is_comparison() && !binary.return_bool)
        }
        ExprKind::Call(call) => call.function.name.starts_with("absent"),
        ExprKind::Aggregate(aggregate) => matches!(aggregate.op, AggregateOp::Topk | AggregateOp::Bottomk),
        ExprKind::Vector(selector) => selector.name.as_deref() == Some("ALERTS"),
        _ => false,
    };
    let mut found = here;
    expr.each_child(|child| found |= decides(child));
    found
}

#[cfg(test)]
mod tests {
    use expect_test::{Expect, expect};

    use super::*;

    fn said(text: &str, wanted: Expect) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("r.yml");
        std::fs::write(&path, text).unwrap();
        let found = check(&[path], &Features::STABLE);
        let all = found
            .mistakes
            .iter()
            .map(ToString::to_string)
            .chain(found.warnings.iter().map(|warning| format!("warning: {warning}")));
        let all: Vec<String> = all.map(|line| line.replace(&folder.path().display().to_string(), "")).collect();
        wanted.assert_eq(&all.join("\n"));
    }

    #[test]
    fn every_mistake_is_said_at_once_with_its_place() {
        said(
            r#"groups:
  - name: a
    rules:
      - alert: Rate
        expr: reate(x[5m]) > 1
      - alert: Quoted
        expr: "sum(x) by (y"
        annotations: { summary: "{{ $labels.a | nothing }}" }
      - alert: Block
        expr: |
          sum by (job) (
            rate(x[5)
          ) > 1
      - record: not a name
        expr: sum(x)
  - name: a
    rules:
      - alert: Twice
        expr: x > 1
      - alert: Twice
        expr: x > 2
"#,
            expect![[r#"
                /r.yml:16:11: two groups of this file are called `a`.
                   16 |   - name: a
                      |           ^
                /r.yml:5:15: PromQL: 1:1: there is no function `reate`; did you mean `rate`?
                    5 |         expr: reate(x[5m]) > 1
                      |               ^
                /r.yml:7:28: PromQL: 1:13: the query ends where `,` or `)` was expected; a `(` is not closed.
                    7 |         expr: "sum(x) by (y"
                      |                            ^
                /r.yml:8:49: `nothing` is not a function of rule templates; nearest: not.
                    8 |         annotations: { summary: "{{ $labels.a | nothing }}" }
                      |                                                 ^
                /r.yml:12:21: PromQL: 2:11: `)` stands where `:` or `]` was expected.
                   12 |             rate(x[5)
                      |                     ^
                /r.yml:14:17: `not a name` is not a metric's name.
                   14 |       - record: not a name
                      |                 ^
                warning: /r.yml:20:16: `Twice` stands in line 18 already with the same labels: their alerts look the same.
                   20 |       - alert: Twice
                      |                ^
                warning: /r.yml:14:17: `not a name` looks like a metric that something sends; recorded ones are named level:metric:operations.
                   14 |       - record: not a name
                      |                 ^"#]],
        );
    }

    #[test]
    fn what_is_probably_meant_otherwise_is_a_warning() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("r.yml");
        let text = "groups:\n  - name: a\n    rules:\n      - { alert: Always, expr: up }\n      - { record: up_sum, expr: sum(up) }\n      \
                    - { alert: Down, expr: up == bool 0 }\n      - { alert: Well, expr: up == 0 }\n";
        std::fs::write(&path, text).unwrap();
        let found = check(&[path], &Features::STABLE);
        assert!(found.mistakes.is_empty());
        let said: Vec<(u64, &str)> =
            found.warnings.iter().map(|warning| (warning.line, warning.message.split(':').next().unwrap())).collect();
        let compared = "nothing is compared here";
        let named = "`up_sum` looks like a metric that something sends; recorded ones are named level";
        assert_eq!(said, [(4, compared), (5, named), (6, compared)]);
    }

    #[test]
    fn what_stands_twice_is_a_warning_in_whatever_file() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        std::fs::write(path("a.yml"), "groups: [{ name: a, rules: [{ alert: A, expr: x > 1 }, { record: 'r:r', expr: x }] }]\n")
            .unwrap();
        std::fs::write(path("b.yml"), "groups:\n- name: b\n  rules: [{ alert: A, expr: y > 1 }, { record: 'r:r', expr: y }]\n")
            .unwrap();
        let found = check(&[folder.path().into()], &Features::STABLE);
        assert!(found.mistakes.is_empty(), "{:?}", found.mistakes);
        let said: Vec<String> =
            found.warnings.iter().map(|warning| warning.message.replace(&path("").display().to_string(), "")).collect();
        let first = "stands in a.yml:1 already with the same labels";
        assert_eq!(
            said,
            [format!("`A` {first}: their alerts look the same"), format!("`r:r` {first}: both write the same series")]
        );
        // promtool says the same of one file, and takes it.
        std::fs::write(
            path("both.yml"),
            "groups: [{ name: a, rules: [{ alert: A, expr: x > 1 }, { alert: A, expr: y > 1 }] }]\n",
        )
        .unwrap();
        let theirs = std::process::Command::new("promtool").args(["check", "rules"]).arg(path("both.yml")).output().unwrap();
        let told = format!("{}{}", String::from_utf8_lossy(&theirs.stdout), String::from_utf8_lossy(&theirs.stderr));
        assert!(theirs.status.success() && told.contains("1 duplicate rule(s) found"), "{told}");
        let ours = check(&[path("both.yml")], &Features::STABLE);
        assert_eq!((ours.mistakes.len(), ours.warnings.len()), (0, 1));
        std::fs::write(path("both.yml"), "groups: [{ name: a, file: b, rules: [] }]\n").unwrap();
        assert_eq!(check(&[path("both.yml")], &Features::STABLE).mistakes[0].message, "unknown key `file`");
    }

    #[test]
    fn what_is_experimental_is_a_mistake_unless_it_is_allowed() {
        let text = "groups:\n  - name: a\n    rules:\n      - alert: A\n        expr: sum(x) > 1\n      - alert: B\n        expr: x > sum(x + fill(0) y)\n";
        said(
            text,
            expect![[r"
                /r.yml:7:25: PromQL: 1:11: not enabled here, since it is experimental: `fill`; `--enable-feature=promql-binop-fill-modifiers` allows it.
                    7 |         expr: x > sum(x + fill(0) y)
                      |                         ^"]],
        );
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("r.yml");
        std::fs::write(&path, text).unwrap();
        let found = check(&[path], &Features::of(["promql-binop-fill-modifiers"]).unwrap());
        assert!(found.mistakes.is_empty() && found.warnings.is_empty(), "{:?}", found.mistakes);
    }

    #[test]
    fn a_folder_is_all_of_its_files() {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../../examples");
        let found = check(&[folder.into()], &Features::STABLE);
        assert!(found.mistakes.is_empty() && found.warnings.is_empty(), "{:?} {:?}", found.mistakes, found.warnings);
        assert_eq!(found.files, 2);
        assert!(found.rules().0 > 3);
    }
}
