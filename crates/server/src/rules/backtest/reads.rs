//! What rules read: which series, how far back, and how long rules have to run until they remember what live ones would.

use std::time::Duration;

use engine::rule::{RuleId, Rules};
use model::Time;
use model::config::{RuleGroup, Span};
use model::labels::METRIC_NAME;
use query::source::Matcher;
use query::{Features, SelectorUse};

/// Prometheus' lookback: what an instant selector reads.
const LOOKBACK: Duration = Duration::from_secs(300);
/// Nothing reaches further, so that sums of windows stay times.
const REACH_MAX: Duration = Duration::from_secs(100 * 366 * 86_400);

/// What each rule reads, its templates' queries among it as far as their text is written down.
pub(super) struct Reads(Vec<Read>);

struct Read {
    records: Option<String>,
    interval: Duration,
    offset: Duration,
    remembers: Duration,
    selectors: Vec<SelectorUse>,
}

/// How far back rules look, and how long they remember.
pub(super) struct Reach {
    pub window: Duration,
    pub warm: Duration,
}

impl Reads {
    /// `rules` are those of `groups`, compiled.
    pub(super) fn of(rules: &Rules, groups: &[RuleGroup], features: &Features) -> Reads {
        let given = groups.iter().flat_map(|group| group.rules.iter().map(move |rule| (group, rule)));
        let read = |(id, (group, rule)): (RuleId, (&RuleGroup, &model::config::Rule))| {
            let texts = std::iter::once(rule.expr.as_str()).chain(rules.template_queries(id));
            Read {
                records: rule.record.clone(),
                interval: group.interval.unwrap_or(Span::secs(60)).duration(),
                offset: group.query_offset.unwrap_or_default().duration(),
                remembers: rule.hold.unwrap_or_default().duration() + rule.keep_firing_for.unwrap_or_default().duration(),
                // Rules parse; a query of a template that does not says so where it stands.
                selectors: texts
                    .filter_map(|text| query::parse_with(text, features).ok())
                    .flat_map(|expr| query::selectors(&expr))
                    .collect(),
            }
        };
        Reads(rules.all().into_iter().zip(given).map(read).collect())
    }

    /// How far these rules reach where transitions are reported from `from` on.
    pub(super) fn reach(&self, from: Time) -> Reach {
        let (mut window, mut warm) = (LOOKBACK, LOOKBACK);
        let mut known = vec![None; self.0.len()];
        for (place, rule) in self.0.iter().enumerate() {
            let reads = rule.selectors.iter().map(|used| rule.window(used, from)).max();
            window = window.max(reads.unwrap_or_default());
            warm = warm.max(LOOKBACK + rule.remembers + rule.interval * 2 + self.recorded_reach(place, from, &mut known));
        }
        Reach { window: window.min(REACH_MAX), warm: warm.min(REACH_MAX) }
    }

    /// How long recording rules have to run until a rule finds in what they recorded all that it looks at. What it reads of a rule
    /// that reads others in turn comes on top; of a rule that reads itself one round counts.
    fn recorded_reach(&self, place: usize, from: Time, known: &mut [Option<Duration>]) -> Duration {
        if let Some(reach) = known[place] {
            return reach;
        }
        known[place] = Some(Duration::ZERO);
        let rule = &self.0[place];
        let mut longest = Duration::ZERO;
        for used in &rule.selectors {
            for (writer, recording) in self.0.iter().enumerate() {
                if recording.records.as_ref().is_some_and(|name| may_read(&used.matchers, name)) {
                    let before = self.recorded_reach(writer, from, known) + recording.interval * 2;
                    longest = longest.max(rule.window(used, from).saturating_add(before));
                }
            }
        }
        let reach = longest.min(REACH_MAX);
        known[place] = Some(reach);
        reach
    }

    /// The selectors, each once, and `up`: rules look at it when a series vanishes.
    pub(super) fn selectors(&self) -> Vec<Vec<Matcher>> {
        let up = query::parse("up").map(|expr| query::selectors(&expr)).unwrap_or_default();
        let mut asked: Vec<Vec<Matcher>> = Vec::new();
        for used in self.0.iter().flat_map(|rule| &rule.selectors).chain(&up) {
            if !asked.contains(&used.matchers) {
                asked.push(used.matchers.clone());
            }
        }
        asked
    }
}

impl Read {
    /// How far before an evaluation a selector reads. What looks at an instant of its own needs all from there on.
    fn window(&self, used: &SelectorUse, from: Time) -> Duration {
        let back = used.fixed().map_or(Duration::ZERO, |fixed| from.since(fixed));
        used.window(LOOKBACK).saturating_add(back).saturating_add(self.offset).min(REACH_MAX)
    }
}

/// Whether series of a metric may fit.
fn may_read(matchers: &[Matcher], metric: &str) -> bool {
    matchers.iter().filter(|matcher| matcher.name == METRIC_NAME).all(|matcher| matcher.matches(metric))
}
