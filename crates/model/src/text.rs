//! Messages as data: an id with arguments, rendered in English or Chinese at the edge.
//!
//! The engine never writes a sentence. Pages, chat, mail and the command line render the same id; the catalogue is one
//! table with both languages, and a test holds that both use the same arguments.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

mod catalogue;

pub use catalogue::CATALOGUE;

/// A message: its id in the catalogue and what fills its places.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Text {
    /// Its id, like `order.halted`.
    pub id: String,
    /// What fills the places, as text with its unit.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub args: BTreeMap<String, String>,
}

/// The languages that every surface has.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Language {
    /// English.
    #[default]
    En,
    /// Chinese.
    Zh,
}

/// One line of the catalogue.
#[derive(Clone, Copy, Debug)]
pub struct Entry {
    /// The id.
    pub id: &'static str,
    /// English, with `{name}` for an argument.
    pub en: &'static str,
    /// Chinese, with the same arguments.
    pub zh: &'static str,
}

/// The id of a text that somebody typed: shown as it is.
pub const PLAIN: &str = "plain";

impl Text {
    /// A message without arguments.
    pub fn new(id: &str) -> Text {
        debug_assert!(entry(id).is_some(), "no message `{id}` in the catalogue");
        Text { id: id.to_owned(), args: BTreeMap::new() }
    }

    /// A text that somebody typed.
    pub fn plain(text: impl Into<String>) -> Text {
        Text::new(PLAIN).with("text", text.into())
    }

    /// Fills a place.
    pub fn with(mut self, name: &str, value: impl ToString) -> Text {
        self.args.insert(name.to_owned(), value.to_string());
        self
    }

    /// The sentence. An id that this version does not know shows itself with its arguments.
    pub fn render(&self, language: Language) -> String {
        let Some(entry) = entry(&self.id) else {
            let args: Vec<String> = self.args.iter().map(|(name, value)| format!("{name}={value}")).collect();
            return format!("{} {}", self.id, args.join(" ")).trim_end().to_owned();
        };
        fill(
            match language {
                Language::En => entry.en,
                Language::Zh => entry.zh,
            },
            &self.args,
        )
    }
}

fn entry(id: &str) -> Option<&'static Entry> {
    CATALOGUE.iter().flat_map(|part| part.iter()).find(|entry| entry.id == id)
}

/// Fills `{name}` places. Values are only ever values: a brace inside one is not looked at again.
fn fill(template: &str, args: &BTreeMap<String, String>) -> String {
    let mut out = String::with_capacity(template.len() + 32);
    let mut rest = template;
    while let Some(open) = rest.find('{') {
        out.push_str(&rest[..open]);
        let Some(close) = rest[open..].find('}') else { break };
        let name = &rest[open + 1..open + close];
        match args.get(name) {
            Some(value) => out.push_str(value),
            None => out.push('?'),
        }
        rest = &rest[open + close + 1..];
    }
    out.push_str(rest);
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    fn places(template: &str) -> BTreeSet<&str> {
        template.split('{').skip(1).filter_map(|part| part.split_once('}').map(|(name, _)| name)).collect()
    }

    #[test]
    fn both_languages_use_the_same_arguments_and_ids_are_unique() {
        let mut seen = BTreeSet::new();
        for entry in CATALOGUE.iter().flat_map(|part| part.iter()) {
            assert!(seen.insert(entry.id), "{} stands twice", entry.id);
            assert_eq!(places(entry.en), places(entry.zh), "{}", entry.id);
            assert!(!entry.en.is_empty() && !entry.zh.is_empty(), "{}", entry.id);
        }
    }

    #[test]
    fn values_are_only_values() {
        let text = Text::plain("{text} {{7*7}}");
        assert_eq!(text.render(Language::En), "{text} {{7*7}}");
        assert_eq!(
            Text { id: "from.tomorrow".into(), args: [("a".into(), "1".into())].into() }.render(Language::En),
            "from.tomorrow a=1"
        );
    }
}
