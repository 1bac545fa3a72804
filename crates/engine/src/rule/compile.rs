//! Compiles rule groups: every mistake with its group, rule and place, all of them at once.

use std::collections::BTreeMap;

use model::RuleName;
use model::config::{Rule, RuleGroup, Span};
use query::Features;

use super::template::Template;
use super::vanish::{Need, relabels};
use super::{Bound, Compiled, Group, Kind, Rules};

/// Prometheus' interval where a group names none.
const INTERVAL: Span = Span::secs(60);

/// A mistake in a rule.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("rule group `{group}`, rule `{rule}`, {field}: {text}")]
pub struct RuleError {
    /// The group's name.
    pub group: String,
    /// The rule's name; empty where the group is meant.
    pub rule: String,
    /// The places of group and rule in what was compiled.
    pub at: (usize, usize),
    /// The key in the file that holds the mistake: `expr`, `annotations.summary`.
    pub field: String,
    /// Bytes of that key's text, where the mistake has a place in it.
    pub place: Option<query::Span>,
    /// What is wrong, and what would be right.
    pub text: String,
}

impl Rules {
    /// Compiles groups that were checked before, the experimental parts of PromQL allowed.
    pub fn compile(groups: &[RuleGroup]) -> Result<Rules, Vec<RuleError>> {
        Rules::compile_with(groups, &Features::ALL)
    }

    /// Compiles groups, or says everything that is wrong with them; an experimental part that is not allowed is wrong too.
    pub fn compile_with(groups: &[RuleGroup], allowed: &Features) -> Result<Rules, Vec<RuleError>> {
        let mut rules = Rules::default();
        let mut errors = Vec::new();
        let mut seen: BTreeMap<Identity, u32> = BTreeMap::new();
        for (group_place, group) in groups.iter().enumerate() {
            let first = rules.rules.len() as u32;
            let interval = group.interval.filter(|interval| interval.0 > 0).unwrap_or(INTERVAL);
            for (rule_place, rule) in group.rules.iter().enumerate() {
                let copies = seen.entry(Identity::of(group, rule)).or_default();
                *copies += 1;
                match one(group, rule, (group_place, rule_place), *copies - 1, allowed) {
                    Ok(compiled) => rules.rules.push(compiled),
                    Err(found) => errors.extend(found),
                }
            }
            rules.groups.push(Group { interval, rules: first..rules.rules.len() as u32 });
        }
        if !errors.is_empty() {
            return Err(errors);
        }
        rules.index();
        Ok(rules)
    }
}

fn one(group: &RuleGroup, rule: &Rule, at: (usize, usize), copy: u32, allowed: &Features) -> Result<Compiled, Vec<RuleError>> {
    let mut errors = Vec::new();
    let given = rule.alert.as_deref().or(rule.record.as_deref()).unwrap_or("");
    let error = |field: &str, place: Option<query::Span>, text: String| RuleError {
        group: group.name.clone(),
        rule: given.to_owned(),
        at,
        field: field.to_owned(),
        place,
        text,
    };
    let kind = match (&rule.alert, &rule.record) {
        (Some(_), None) => Kind::Alert,
        (None, Some(_)) => Kind::Record,
        (Some(_), Some(_)) => return Err(vec![error("record", None, "a rule has one of alert and record, not both".into())]),
        (None, None) => return Err(vec![error("alert", None, "a rule needs a name: alert or record".into())]),
    };
    if given.trim().is_empty() {
        errors.push(error("alert", None, "the name is empty".into()));
    }
    if kind == Kind::Record && !is_metric_name(given) {
        errors.push(error("record", None, format!("`{given}` is not a metric's name")));
    }
    if kind == Kind::Record && (rule.hold.is_some() || rule.keep_firing_for.is_some() || !rule.annotations.is_empty()) {
        errors.push(error("record", None, "a recording rule has no for, keep_firing_for or annotations".into()));
    }
    let expr = match query::parse_with(&rule.expr, allowed) {
        Ok(expr) => Some(expr),
        Err(wrong) => {
            errors.push(error("expr", Some(wrong.span), wrong.to_string()));
            None
        }
    };
    let labels = own_labels(group, rule);
    if labels.contains_key(model::labels::METRIC_NAME) {
        errors.push(error("labels.__name__", None, "a rule's label can't be __name__".into()));
    }
    let mut templates = |field: &str, texts: &BTreeMap<&str, &str>| -> Vec<(String, Template)> {
        let mut compiled = Vec::new();
        for (name, text) in texts {
            // Recording rules take labels as they stand, as in Prometheus.
            let template = if kind == Kind::Alert { Template::parse(text) } else { Ok(Template::plain(text)) };
            match template {
                Ok(template) => compiled.push(((*name).to_owned(), template)),
                Err(wrong) => errors.push(error(&format!("{field}.{name}"), Some(wrong.place), wrong.text)),
            }
        }
        compiled
    };
    let label_templates = templates("labels", &labels);
    let annotations = rule.annotations.iter().map(|(name, text)| (name.as_str(), text.as_str())).collect();
    let annotations = templates("annotations", &annotations);
    let Some(expr) = expr.filter(|_| errors.is_empty()) else { return Err(errors) };
    let selectors = query::selectors(&expr);
    let Identity { stamp, .. } = Identity::of(group, rule);
    let key = format!("{}/{given}/{stamp:016x}", group.name);
    Ok(Compiled {
        key: if copy == 0 { key } else { format!("{key}/{}", copy + 1) },
        name: RuleName::from(given),
        copy,
        kind,
        text: rule.expr.clone(),
        hold: rule.hold.unwrap_or_default(),
        keep_firing: rule.keep_firing_for.unwrap_or_default(),
        query_offset: group.query_offset.unwrap_or_default(),
        limit: group.limit,
        labels: label_templates,
        annotations,
        bound: selectors.iter().map(|_| Bound::default()).collect(),
        need: Need::of(&expr, &selectors),
        relabels: relabels(&expr),
        selectors,
        expr,
    })
}

/// What tells a rule from others over reloads: whether it alerts, its name, and its labels as they stand in the file.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Identity {
    alerts: bool,
    name: String,
    stamp: u64,
}

impl Identity {
    fn of(group: &RuleGroup, rule: &Rule) -> Identity {
        let name = rule.alert.as_deref().or(rule.record.as_deref()).unwrap_or("").to_owned();
        let stamp = model::Labels::new(own_labels(group, rule)).map(|labels| labels.fingerprint()).unwrap_or_default();
        Identity { alerts: rule.alert.is_some(), name, stamp }
    }
}

/// The labels that a rule puts on its results, as they stand in the file.
fn own_labels<'a>(group: &'a RuleGroup, rule: &'a Rule) -> BTreeMap<&'a str, &'a str> {
    group.labels.iter().chain(&rule.labels).map(|(name, text)| (name.as_str(), text.as_str())).collect()
}

/// A rule that stands there already with the same labels.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Repeated {
    /// The places of group and rule.
    pub at: (usize, usize),
    /// Those of the first.
    pub first: (usize, usize),
}

/// Rules that repeat another's kind, name and labels. Each is evaluated for itself, but their alerts look the same to whoever is
/// told of them, and their series are one.
pub fn repeated(groups: &[RuleGroup]) -> Vec<Repeated> {
    let mut seen: BTreeMap<Identity, (usize, usize)> = BTreeMap::new();
    let mut found = Vec::new();
    for (group_place, group) in groups.iter().enumerate() {
        for (rule_place, rule) in group.rules.iter().enumerate() {
            let at = (group_place, rule_place);
            let first = *seen.entry(Identity::of(group, rule)).or_insert(at);
            if first != at {
                found.push(Repeated { at, first });
            }
        }
    }
    found
}

fn is_metric_name(name: &str) -> bool {
    let first = name.bytes().next().is_some_and(|byte| byte.is_ascii_alphabetic() || matches!(byte, b'_' | b':'));
    first && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b':'))
}
