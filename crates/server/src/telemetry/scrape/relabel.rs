//! Relabelling as Prometheus does it: steps that look at labels, alter them, or drop what has them.

use model::config::{RelabelAction, RelabelConfig};
use regex::{Regex, RegexBuilder};

use super::md5;

/// Largest compiled regex, in bytes.
const REGEX_LEN_MAX: usize = 1 << 20;

/// Labels that are being altered: names are unique, a label without a value is none.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Working(Vec<(String, String)>);

impl Working {
    /// From pairs; of two with one name the later counts.
    pub fn new<N: Into<String>, V: Into<String>>(pairs: impl IntoIterator<Item = (N, V)>) -> Working {
        let mut labels = Working::default();
        for (name, value) in pairs {
            labels.set(&name.into(), value.into());
        }
        labels
    }

    /// A label's value; empty where there is none.
    pub fn get(&self, name: &str) -> &str {
        self.0.iter().find(|(have, _)| have == name).map_or("", |(_, value)| value)
    }

    /// Sets a label; an empty value takes it away.
    pub fn set(&mut self, name: &str, value: String) {
        let place = self.0.iter().position(|(have, _)| have == name);
        match (place, value.is_empty()) {
            (Some(place), true) => drop(self.0.remove(place)),
            (Some(place), false) => self.0[place].1 = value,
            (None, true) => {}
            (None, false) => self.0.push((name.to_owned(), value)),
        }
    }

    /// Keeps the labels that are wanted.
    pub fn retain(&mut self, keep: impl Fn(&str) -> bool) {
        self.0.retain(|(name, _)| keep(name));
    }

    /// Names and values in no order.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (&str, &str)> {
        self.0.iter().map(|(name, value)| (name.as_str(), value.as_str()))
    }
}

/// A mistake in one step: the key that has it, and a sentence.
pub type StepMistake = (&'static str, String);

/// Steps, ready to run.
#[derive(Debug, Default)]
pub struct Relabel(Vec<Step>);

#[derive(Debug)]
struct Step {
    config: RelabelConfig,
    regex: Regex,
    /// A replacement of everything: no regex has to run.
    is_plain: bool,
}

impl Relabel {
    /// Compiles the steps; steps with a mistake are left out, which the check of the configuration rules out.
    pub fn new(steps: &[RelabelConfig]) -> Relabel {
        Relabel(steps.iter().filter_map(|config| compile(config).ok()).collect())
    }

    /// Whether there is nothing to do.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Alters the labels; false: what has them is dropped.
    pub fn apply(&self, labels: &mut Working) -> bool {
        self.0.iter().all(|step| step.apply(labels))
    }
}

/// What is wrong with a step, if something is.
pub fn check(config: &RelabelConfig) -> Result<(), StepMistake> {
    compile(config).map(|_| ())
}

fn compile(config: &RelabelConfig) -> Result<Step, StepMistake> {
    use RelabelAction::{DropEqual, HashMod, KeepEqual, LabelDrop, LabelKeep, LabelMap, Lowercase, Replace, Uppercase};
    let regex = RegexBuilder::new(&format!("^(?s:{})$", config.regex))
        .size_limit(REGEX_LEN_MAX)
        .build()
        .map_err(|error| ("regex", format!("the regex can't be read: {}", last_line(&error.to_string()))))?;
    let action = config.action;
    let name = serde_json::to_value(action).ok().and_then(|word| word.as_str().map(str::to_owned)).unwrap_or_default();
    if matches!(action, Replace | HashMod | Lowercase | Uppercase | KeepEqual | DropEqual) && config.target_label.is_empty() {
        return Err(("action", format!("`{name}` needs a `target_label`")));
    }
    if action == HashMod && config.modulus == 0 {
        return Err(("action", "`hashmod` needs a `modulus` above 0".into()));
    }
    let has_regex = config.regex != RelabelConfig::REGEX;
    let has_replacement = config.replacement != RelabelConfig::REPLACEMENT;
    let has_separator = config.separator != RelabelConfig::SEPARATOR;
    let unused: &[(&'static str, bool)] = match action {
        LabelDrop | LabelKeep => &[
            ("source_labels", !config.source_labels.is_empty()),
            ("target_label", !config.target_label.is_empty()),
            ("modulus", config.modulus != 0),
            ("separator", has_separator),
            ("replacement", has_replacement),
        ],
        KeepEqual | DropEqual => &[
            ("regex", has_regex),
            ("modulus", config.modulus != 0),
            ("separator", has_separator),
            ("replacement", has_replacement),
        ],
        Lowercase | Uppercase | HashMod => &[("replacement", has_replacement)],
        _ => &[],
    };
    if let Some((key, _)) = unused.iter().find(|(_, is_there)| *is_there) {
        return Err((key, format!("`{name}` has no `{key}`")));
    }
    if action == LabelMap && config.replacement.is_empty() {
        return Err(("replacement", "`labelmap` needs a `replacement` that makes a name".into()));
    }
    let is_plain = action == Replace && !has_regex && !config.target_label.contains('$') && !config.replacement.contains('$');
    Ok(Step { config: config.clone(), regex, is_plain })
}

/// The regex crate draws a picture; its last line says what is wrong.
fn last_line(text: &str) -> &str {
    text.lines().last().unwrap_or(text).trim_start_matches("error: ")
}

impl Step {
    fn apply(&self, labels: &mut Working) -> bool {
        let config = &self.config;
        let joined = match config.source_labels.as_slice() {
            [] => String::new(),
            [one] => labels.get(one).to_owned(),
            many => many.iter().map(|name| labels.get(name)).collect::<Vec<_>>().join(&config.separator),
        };
        match config.action {
            RelabelAction::Keep => return self.regex.is_match(&joined),
            RelabelAction::Drop => return !self.regex.is_match(&joined),
            RelabelAction::KeepEqual => return labels.get(&config.target_label) == joined,
            RelabelAction::DropEqual => return labels.get(&config.target_label) != joined,
            RelabelAction::Replace if self.is_plain => labels.set(&config.target_label, config.replacement.clone()),
            RelabelAction::Replace => self.replace(&joined, labels),
            RelabelAction::Lowercase => labels.set(&config.target_label, joined.to_lowercase()),
            RelabelAction::Uppercase => labels.set(&config.target_label, joined.to_uppercase()),
            RelabelAction::HashMod => {
                let digest = md5::digest(joined.as_bytes());
                let mut low = [0; 8];
                low.copy_from_slice(&digest[8..]);
                labels.set(&config.target_label, (u64::from_be_bytes(low) % config.modulus).to_string());
            }
            RelabelAction::LabelMap => {
                for (name, value) in labels.clone().iter() {
                    if let Some(found) = self.regex.captures(name) {
                        labels.set(&expand(&found, &config.replacement), value.to_owned());
                    }
                }
            }
            RelabelAction::LabelDrop => labels.retain(|name| !self.regex.is_match(name)),
            RelabelAction::LabelKeep => labels.retain(|name| self.regex.is_match(name)),
        }
        true
    }

    fn replace(&self, joined: &str, labels: &mut Working) {
        let Some(found) = self.regex.captures(joined) else { return };
        let target = expand(&found, &self.config.target_label);
        if !target.is_empty() {
            labels.set(&target, expand(&found, &self.config.replacement));
        }
    }
}

/// Puts the groups in the place of `$1`, `${name}`; `$$` is a dollar. The same rules as Go's `regexp.Expand`.
fn expand(found: &regex::Captures<'_>, template: &str) -> String {
    let mut out = String::new();
    found.expand(template, &mut out);
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(yaml: &str, labels: &[(&str, &str)]) -> String {
        let steps: Vec<RelabelConfig> = serde_saphyr::from_str(yaml).unwrap();
        for step in &steps {
            check(step).unwrap();
        }
        let mut working = Working::new(labels.iter().copied());
        if !Relabel::new(&steps).apply(&mut working) {
            return "dropped".into();
        }
        let mut all: Vec<_> = working.iter().map(|(name, value)| format!("{name}={value}")).collect();
        all.sort();
        all.join(" ")
    }

    #[test]
    fn every_action() {
        let labels = [("a", "foo"), ("b", "bar"), ("__meta_c", "Baz")];
        for (yaml, wanted) in [
            (
                "[{source_labels: [a], regex: 'f(.*)', target_label: d, replacement: 'x${1}y$1'}]",
                "__meta_c=Baz a=foo b=bar d=xooyoo",
            ),
            ("[{source_labels: [a, b], separator: '-', target_label: d}]", "__meta_c=Baz a=foo b=bar d=foo-bar"),
            ("[{source_labels: [a], regex: 'o+', target_label: d}]", "__meta_c=Baz a=foo b=bar"),
            ("[{source_labels: [a], regex: 'f(.*)', target_label: '${1}_x', replacement: z}]", "__meta_c=Baz a=foo b=bar oo_x=z"),
            ("[{target_label: a, replacement: ''}]", "__meta_c=Baz b=bar"),
            ("[{source_labels: [none], target_label: a}]", "__meta_c=Baz b=bar"),
            ("[{source_labels: [a], target_label: d, replacement: '$$1'}]", "__meta_c=Baz a=foo b=bar d=$1"),
            ("[{source_labels: [a], regex: fo+, action: keep}]", "__meta_c=Baz a=foo b=bar"),
            ("[{source_labels: [a], regex: fo, action: keep}]", "dropped"),
            ("[{source_labels: [a, b], regex: 'foo;bar', action: drop}]", "dropped"),
            ("[{source_labels: [a], target_label: b, action: keepequal}]", "dropped"),
            ("[{source_labels: [a], target_label: b, action: dropequal}]", "__meta_c=Baz a=foo b=bar"),
            ("[{source_labels: [a], target_label: d, modulus: 1000, action: hashmod}]", "__meta_c=Baz a=foo b=bar d=696"),
            ("[{regex: '__meta_(.+)', action: labelmap}]", "__meta_c=Baz a=foo b=bar c=Baz"),
            ("[{regex: '__meta_(.+)', replacement: 'm_$1', action: labelmap}]", "__meta_c=Baz a=foo b=bar m_c=Baz"),
            ("[{regex: '[ab]', action: labeldrop}]", "__meta_c=Baz"),
            ("[{regex: '[ab]', action: labelkeep}]", "a=foo b=bar"),
            ("[{source_labels: [__meta_c], target_label: c, action: lowercase}]", "__meta_c=Baz a=foo b=bar c=baz"),
            ("[{source_labels: [__meta_c], target_label: c, action: uppercase}]", "__meta_c=Baz a=foo b=bar c=BAZ"),
        ] {
            assert_eq!(run(yaml, &labels), wanted, "{yaml}");
        }
    }

    #[test]
    fn a_step_that_means_nothing_is_a_mistake() {
        for (yaml, key) in [
            ("{regex: '('}", "regex"),
            ("{source_labels: [a]}", "action"),
            ("{action: hashmod, target_label: a}", "action"),
            ("{action: labeldrop, regex: a, target_label: b}", "target_label"),
            ("{action: keepequal, target_label: b, regex: c}", "regex"),
            ("{action: labelmap, replacement: ''}", "replacement"),
        ] {
            let step: RelabelConfig = serde_saphyr::from_str(yaml).unwrap();
            assert_eq!(check(&step).unwrap_err().0, key, "{yaml}");
        }
    }
}
