//! How a rule words one result as an alert: for those who test rules, and for those who show what would be said.

use std::collections::BTreeMap;

use model::{Labels, Time};
use query::source::Source;

use super::evaluate::labels_of;
use super::template::Filling;
use super::{RuleId, Rules};

/// An alert's labels and annotations.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Words {
    /// Labels of the result, those of the rule filled in, and `alertname`.
    pub labels: Labels,
    /// Annotations, filled in.
    pub annotations: BTreeMap<String, String>,
}

impl Rules {
    /// What an alerting rule makes of a result with these labels and this value. `source` and an instant are for templates that
    /// query. None for a rule that is not there; an error
    /// where a filled template is longer than a label may be.
    pub fn words(
        &self,
        rule: RuleId,
        read: &Labels,
        value: f64,
        source: Option<(&dyn Source, Time)>,
    ) -> Option<Result<Words, String>> {
        let rule = self.rules.get(rule.0 as usize)?;
        let filling = Filling { labels: read, value, outside: &self.outside, source };
        let annotations = rule.annotations.iter().map(|(name, template)| (name.clone(), template.fill(&filling))).collect();
        Some(labels_of(rule, &filling).map(|labels| Words { labels, annotations }))
    }
}
