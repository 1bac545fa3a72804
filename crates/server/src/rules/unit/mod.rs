//! Unit tests of rules in the files of Prometheus' promtool: series in, alerts and results out, with a difference where they differ.
//!
//! Rules are evaluated as Prometheus evaluates them there: at the interval only, one after the other, with `ALERTS` and
//! `ALERTS_FOR_STATE` written, and what vanished is resolved. What a server does on arrival is shown by a back-test.

mod file;
mod glob;
mod group;
mod show;

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::time::Duration;

use engine::rule::Outside;
use model::config::{RuleGroup, Span};
use model::{Labels, Time};
use query::testing::{MemorySource, parse_series};
use query::{Expr, Features, Params, Value};

use crate::config::RuleFile;
use file::{AlertTest, ExprTest, Test, TestFile};
use group::{Group, Timed};

/// Most evaluations of one test.
const EVALUATIONS_MAX: i64 = 1_000_000;

/// What became of a file of tests: nothing, or every test that failed, as promtool words it.
pub type Outcome = Result<(), Vec<String>>;

/// Runs all tests of a file. `features` are those of the server that the rules are for; what is odd but fails no test is said to
/// `warn`.
pub fn run_file(path: &Path, features: Features, warn: &mut dyn FnMut(String)) -> Outcome {
    let text = std::fs::read_to_string(path).map_err(|error| vec![format!("read {}: {error}", path.display())])?;
    let name = path.display().to_string();
    let file: TestFile = serde_saphyr::from_str(&text)
        .map_err(|error| vec![crate::config::Diagnostic::of_yaml(&name, &text, &error).to_string()])?;
    let folder = path.parent().unwrap_or(Path::new(""));
    let groups = rule_groups(folder, &file.rule_files, warn)?;
    let order = order(&file.group_eval_order)?;
    let mut failures = Vec::new();
    for test in &file.tests {
        if let Err(found) = run_test(&file, test, &groups, &order, features) {
            failures.extend(found);
        }
    }
    if failures.is_empty() { Ok(()) } else { Err(failures) }
}

fn order(names: &[String]) -> Result<BTreeMap<&str, usize>, Vec<String>> {
    let mut order = BTreeMap::new();
    for (place, name) in names.iter().enumerate() {
        if order.insert(name.as_str(), place).is_some() {
            return Err(vec![format!("group name repeated in evaluation order: {name}")]);
        }
    }
    Ok(order)
}

/// The groups of all files that the patterns name, which may be relative to the test file.
fn rule_groups(folder: &Path, patterns: &[String], warn: &mut dyn FnMut(String)) -> Result<Vec<RuleGroup>, Vec<String>> {
    let mut groups = Vec::new();
    for pattern in patterns {
        let found = glob::matching(folder, pattern).map_err(|why| vec![why])?;
        if found.is_empty() {
            warn(format!("no file match pattern {}", folder.join(pattern).display()));
        }
        for path in found {
            let text = std::fs::read_to_string(&path).map_err(|error| vec![format!("read {}: {error}", path.display())])?;
            let name = path.display().to_string();
            let part = serde_saphyr::from_str::<Option<RuleFile>>(&text)
                .map_err(|error| vec![crate::config::Diagnostic::of_yaml(&name, &text, &error).to_string()])?;
            groups.extend(part.unwrap_or_default().groups);
        }
    }
    Ok(groups)
}

/// Samples of a test that are not yet there, the latest first.
type Coming = Vec<(Time, Labels, f64)>;

fn run_test(file: &TestFile, test: &Test, groups: &[RuleGroup], order: &BTreeMap<&str, usize>, features: Features) -> Outcome {
    let every = file.evaluation_interval.filter(|every| every.0 > 0).unwrap_or(Span::secs(60));
    let interval = test.interval.filter(|interval| interval.0 > 0).unwrap_or(every);
    let start = test.start_timestamp.unwrap_or_default().0;
    let mut coming = coming(test, start, interval).map_err(|why| vec![why])?;
    let labels = Labels::new(&test.external_labels).map_err(|error| vec![format!("external_labels: {error}")])?;
    let outside = Outside { labels, url: test.external_url.trim_end_matches('/').to_owned(), features };
    let mut groups: Vec<Group> = groups.iter().map(|group| Group::new(group, &outside)).collect::<Result<_, _>>()?;
    groups.sort_by_key(|group| order.get(group.name()).copied().unwrap_or_default());
    let mut source = MemorySource::new();
    let mut failures = Vec::new();
    let times: BTreeSet<Span> = test.alert_rule_test.iter().map(|alert| alert.eval_time).collect();
    let mut times = times.into_iter().peekable();
    let last = test
        .alert_rule_test
        .iter()
        .map(|alert| alert.eval_time)
        .chain(test.promql_expr_test.iter().map(|one| one.eval_time))
        .max();
    let last = last.unwrap_or_default();
    if last.0 as i64 / every.0 as i64 > EVALUATIONS_MAX {
        return Err(vec![format!("{last} at an interval of {every} are more than {EVALUATIONS_MAX} evaluations")]);
    }
    let mut since = Duration::ZERO;
    while since <= last.duration() {
        let at = start + since;
        while coming.last().is_some_and(|(time, ..)| *time <= at) {
            let Some((time, labels, value)) = coming.pop() else { break };
            source.push(&labels, time, value);
        }
        let mut errors = Vec::new();
        for group in &mut groups {
            for Timed { rule, error } in group.evaluate(&mut source, at, every.duration()) {
                errors.push(format!("    rule: {rule}, time: {}, err: {error}", show::go_duration(since)));
            }
        }
        if !errors.is_empty() {
            failures.extend(errors);
            return Err(failures);
        }
        since += every.duration();
        while let Some(time) = times.next_if(|time| time.duration() < since) {
            let asked = test.alert_rule_test.iter().filter(|alert| alert.eval_time == time);
            failures.extend(asked.filter_map(|asked| alert_failure(test, asked, &groups)));
        }
    }
    for asked in &test.promql_expr_test {
        let read = Read { source: &source, every: every.duration(), features };
        failures.extend(expr_failure(file, asked, start, &read));
    }
    if failures.is_empty() { Ok(()) } else { Err(failures) }
}

fn coming(test: &Test, start: Time, interval: Span) -> Result<Coming, String> {
    let mut coming = Coming::new();
    for series in &test.input_series {
        let line = parse_series(&format!("{} {}", series.series, series.values.0)).map_err(|error| error.to_string())?;
        for (place, value) in line.values.iter().enumerate() {
            if let Some(value) = value {
                let place = u32::try_from(place).unwrap_or(u32::MAX);
                coming.push((start + interval.duration() * place, line.labels.clone(), *value));
            }
        }
    }
    coming.sort_by_key(|one| std::cmp::Reverse(one.0));
    Ok(coming)
}

fn alert_failure(test: &Test, asked: &AlertTest, groups: &[Group]) -> Option<String> {
    let mut got: Vec<show::Alert> = groups.iter().flat_map(|group| group.firing(&asked.alertname)).collect();
    let mut wanted: Vec<show::Alert> = asked
        .exp_alerts
        .iter()
        .map(|alert| {
            let mut labels = alert.exp_labels.clone();
            labels.insert("alertname".to_owned(), asked.alertname.clone());
            show::Alert { labels, annotations: alert.exp_annotations.clone() }
        })
        .collect();
    got.sort();
    wanted.sort();
    if got == wanted {
        return None;
    }
    let name = if test.name.is_empty() { String::new() } else { format!("    name: {},\n", test.name) };
    Some(format!(
        "{name}    alertname: {}, time: {}, \n        exp:{}, \n        got:{}",
        asked.alertname,
        show::duration(asked.eval_time),
        show::alerts(&wanted),
        show::alerts(&got)
    ))
}

fn expr_failure(file: &TestFile, asked: &ExprTest, start: Time, read: &Read<'_>) -> Option<String> {
    let head = format!("    expr: {:?}, time: {},", asked.expr, show::duration(asked.eval_time));
    let mut got = match read.parsed(&asked.expr).and_then(|expr| read.rows(&expr, start + asked.eval_time.duration())) {
        Ok(rows) => rows,
        Err(error) => return Some(format!("{head} err: {error}")),
    };
    let mut wanted = Vec::new();
    for sample in &asked.exp_samples {
        match (parse_series(&sample.labels), &sample.histogram) {
            (_, Some(_)) => return Some(format!("{head} err: native histograms are not built yet")),
            (Ok(line), None) if line.values.is_empty() => wanted.push((line.labels, sample.value)),
            (Ok(_), None) => return Some(format!("{head} err: labels {:?}: only labels stand here", sample.labels)),
            (Err(error), None) => return Some(format!("{head} err: labels {:?}: {}", sample.labels, error.reason)),
        }
    }
    got.sort_by(|one, other| one.0.cmp(&other.0));
    wanted.sort_by(|one, other| one.0.cmp(&other.0));
    let same = |(one, other): (&(Labels, f64), &(Labels, f64))| one.0 == other.0 && equal(one.1, other.1, file.fuzzy_compare);
    if got.len() == wanted.len() && got.iter().zip(&wanted).all(same) {
        return None;
    }
    Some(format!("{head}\n        exp: {}\n        got: {}", show::samples(&wanted), show::samples(&got)))
}

/// With `fuzzy` the last bit does not count, and what is no number equals what is none.
fn equal(one: f64, other: f64, fuzzy: bool) -> bool {
    one == other || (fuzzy && ((one.is_nan() && other.is_nan()) || one.next_up() == other || one.next_down() == other))
}

/// Evaluates instant queries as the server would for which the rules are.
struct Read<'a> {
    source: &'a MemorySource,
    /// The step of a subquery that names none.
    every: Duration,
    features: Features,
}

impl Read<'_> {
    fn parsed(&self, expr: &str) -> Result<Expr, String> {
        query::parse_with(expr, &self.features).map_err(|error| error.to_string())
    }

    /// The rows of an answer; a number is one row without labels.
    fn rows(&self, expr: &Expr, at: Time) -> Result<Vec<(Labels, f64)>, String> {
        let delayed_name_removal = self.features.delayed_name_removal;
        let params = Params { subquery_step: self.every, delayed_name_removal, ..Params::instant(at) };
        match query::evaluate(expr, &params, self.source).map_err(|error| error.to_string())?.value {
            Value::Vector(samples) => Ok(samples.into_iter().map(|sample| (sample.labels, sample.value)).collect()),
            Value::Scalar { value, .. } => Ok(vec![(Labels::empty(), value)]),
            Value::String(_) | Value::Matrix(_) => Err("rule result is not a vector or scalar".to_owned()),
        }
    }
}

#[cfg(test)]
mod tests;
