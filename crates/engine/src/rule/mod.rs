//! Rules on arrival: Prometheus' rule files, compiled once, evaluated when a series that they read was touched.
//!
//! ```text
//! Rules::compile(&groups) -> Rules | Vec<RuleError>     parses, checks templates, indexes selectors
//! Rules::compile_with(&groups, &features)               the same for a loader: refuses what of PromQL is not allowed
//! rules.bind(&source, at)                               the series that there are already
//! rules.on_new_series(series, &labels)                  each series as the store makes it
//! rules.touched(series) + rules.due(after, at)          which rules to evaluate
//! evaluate(&rules, &mut state, &which, at, &source)     transitions for the journal, samples of recording rules
//! ```
//!
//! After a start and after a reload: compile, bind, then `state.agree(&rules, &alerts)` with the engine's alerts.
//!
//! Knows no clock: the caller says when it is. Samples that are older than five minutes should cause no evaluation; that is
//! the caller's concern, like putting the recorded samples into the store (which touches the rules that read them).

mod bind;
mod compile;
mod evaluate;
mod live;
mod template;
mod vanish;
mod words;

use std::collections::HashMap;
use std::time::Duration;

use model::config::Span;
use model::{AlertKey, Labels, RuleName, Time};
use query::source::SeriesRef;
use query::{Expr, SelectorUse};

pub use compile::{Repeated, RuleError, repeated};
pub use evaluate::{ALERTS_MAX, Evaluated, RuleState, evaluate};
pub use live::{AlertSeen, Arrived, Counts, Kept, Live, RuleSeen, Surroundings};
pub use template::Outside;
pub use words::Words;

use bind::{Bound, Readers};
use template::Template;
use vanish::Need;

/// A compiled rule's place. Valid for the [`Rules`] that gave it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RuleId(pub u32);

/// All rules, compiled, with the series that they read.
#[derive(Debug, Default)]
pub struct Rules {
    rules: Vec<Compiled>,
    groups: Vec<Group>,
    /// The series that rules read.
    readers: Readers,
    /// Selectors by the metric that they name, as rule and place.
    by_metric: HashMap<String, Vec<(u32, u32)>>,
    /// Selectors that name no metric.
    unnamed: Vec<(u32, u32)>,
    /// What is known of the server.
    outside: Outside,
    /// `up` of each job and instance.
    ups: HashMap<(String, String), SeriesRef>,
    /// Labels of these, by which the history knows them.
    up_labels: HashMap<SeriesRef, Labels>,
}

#[derive(Debug)]
struct Group {
    interval: Span,
    rules: std::ops::Range<u32>,
}

#[derive(Debug)]
struct Compiled {
    /// Stays the same over restarts and reloads as long as the rule does: its group, name and labels.
    key: String,
    name: RuleName,
    /// How many rules before it have its kind, its name and its labels.
    copy: u32,
    kind: Kind,
    expr: Expr,
    text: String,
    hold: Span,
    keep_firing: Span,
    query_offset: Span,
    limit: u32,
    labels: Vec<(String, Template)>,
    annotations: Vec<(String, Template)>,
    selectors: Vec<SelectorUse>,
    /// The series of each selector.
    bound: Vec<Bound>,
    need: Need,
    /// Whether labels may be made up by the expression, so that a result's labels say nothing about the series behind.
    relabels: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Alert,
    Record,
}

impl Compiled {
    /// What tells one of its alerts from all others. Rules that stand several times count as different ones: what one says is
    /// over may still hold for another.
    fn alert_key(&self, labels: &Labels) -> AlertKey {
        let key = AlertKey::of(&self.name, labels);
        if self.copy == 0 { key } else { AlertKey::from(format!("{key}/{}", self.copy + 1)) }
    }

    /// Whether an alert of a rule of this name is one of this copy's, by its key.
    fn is_of_copy(&self, alert: &AlertKey) -> bool {
        let plain_len = AlertKey::of(&self.name, &Labels::empty()).as_str().len();
        let copy = alert.as_str().get(plain_len + 1..).and_then(|number| number.parse::<u32>().ok());
        copy.map_or(0, |number| number.saturating_sub(1)) == self.copy
    }
}

impl Rules {
    /// How many rules.
    pub fn len(&self) -> usize {
        self.rules.len()
    }

    /// True without rules.
    pub fn is_empty(&self) -> bool {
        self.rules.is_empty()
    }

    /// Says what is known of the server.
    pub fn with_outside(mut self, outside: Outside) -> Rules {
        self.outside = outside;
        self
    }

    /// A rule's name: of its alert, or of the metric that it records.
    pub fn name(&self, rule: RuleId) -> Option<&RuleName> {
        self.rules.get(rule.0 as usize).map(|rule| &rule.name)
    }

    /// The queries that stand as they are in a rule's templates; one that a template puts together is not known before it is filled.
    pub fn template_queries(&self, rule: RuleId) -> Vec<&str> {
        let rule = self.rules.get(rule.0 as usize);
        let templates = rule.into_iter().flat_map(|rule| rule.labels.iter().chain(&rule.annotations));
        templates.flat_map(|(_, template)| template.queries()).collect()
    }

    /// All rules, for an evaluation of everything.
    pub fn all(&self) -> Vec<RuleId> {
        (0..self.rules.len() as u32).map(RuleId).collect()
    }

    /// The rules whose group's interval has a multiple after `after` and not after `at`, in the order of the files.
    pub fn due(&self, after: Time, at: Time) -> Vec<RuleId> {
        let is_due = |group: &&Group| {
            let every = micros(group.interval);
            at > after && at.0.div_euclid(every) > after.0.div_euclid(every)
        };
        self.groups.iter().filter(is_due).flat_map(|group| group.rules.clone()).map(RuleId).collect()
    }

    /// The first instant after `after` at which a group is due.
    pub fn next_due(&self, after: Time) -> Option<Time> {
        let next = |group: &Group| {
            let every = micros(group.interval);
            Time((after.0.div_euclid(every) + 1).saturating_mul(every))
        };
        self.groups.iter().filter(|group| !group.rules.is_empty()).map(next).min()
    }
}

impl Compiled {
    /// Whether a selector looks further back than series are bound for: then the source is asked which there were.
    fn reaches_history(&self, place: usize) -> bool {
        let used = &self.selectors[place];
        let reach = used.window(Duration::ZERO) + self.query_offset.duration();
        used.at.is_some() || reach.as_micros() > live::BOUND_REACH_US as u128
    }

    /// How far before an evaluation it reads.
    fn reach(&self) -> Duration {
        let fixed = self.selectors.iter().any(|used| used.at.is_some());
        let longest = self.selectors.iter().map(|used| used.window(live::LOOKBACK)).max().unwrap_or_default();
        // An instant that is written down may lie anywhere.
        if fixed { Duration::from_secs(u64::from(u32::MAX)) } else { longest + self.query_offset.duration() }
    }

    /// Whether the value is part of an alert's labels, so that its key follows the value.
    fn labels_follow_value(&self) -> bool {
        self.kind == Kind::Alert
            && self.labels.iter().any(|(_, template)| template.as_plain().is_none() && !template.only_labels())
    }
}

fn micros(span: Span) -> i64 {
    (span.0.max(1) as i64).saturating_mul(1_000)
}
