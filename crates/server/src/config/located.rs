//! A YAML text as a tree of places, so that what a check finds by its path can be shown in its file.

use std::fmt;

use serde::Deserialize;
use serde::de::{Deserializer, MapAccess, SeqAccess, Visitor};
use serde_saphyr::{Location, Spanned};

/// A place and what lies below it.
#[derive(Debug, Default)]
pub(crate) struct Located {
    keys: Vec<(String, Location, Location, Located)>,
    items: Vec<(Location, Located)>,
}

/// One part of a path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Part {
    Key(String),
    Item(usize),
}

/// A path from text: `projects.mall.services`, with numbers for items of lists.
pub(crate) fn path(parts: &[&dyn fmt::Display]) -> Vec<Part> {
    parts
        .iter()
        .map(|part| part.to_string())
        .map(|text| {
            text.strip_prefix('#').and_then(|number| number.parse().ok()).map_or_else(|| Part::Key(text.clone()), Part::Item)
        })
        .collect()
}

impl Located {
    /// Where the value at `path` stands: line and column, from 1. The deepest part that is there, where not all is.
    pub(crate) fn value(&self, path: &[Part]) -> Option<(u64, u64)> {
        self.find(path, false)
    }

    /// Where the key at the end of `path` stands.
    pub(crate) fn key(&self, path: &[Part]) -> Option<(u64, u64)> {
        self.find(path, true)
    }

    /// Where the value at `path` stands, if all of the path is there.
    pub(crate) fn exactly(&self, path: &[Part]) -> Option<(u64, u64)> {
        let mut tree = self;
        let mut place = None;
        for part in path {
            let (here, below) = match part {
                Part::Key(name) => {
                    tree.keys.iter().find(|(have, ..)| have == name).map(|(_, _, value, below)| (*value, below))?
                }
                Part::Item(index) => tree.items.get(*index).map(|(place, below)| (*place, below))?,
            };
            place = Some((here.line(), here.column()));
            tree = below;
        }
        place
    }

    fn find(&self, path: &[Part], key: bool) -> Option<(u64, u64)> {
        let (first, rest) = path.split_first()?;
        let (key_place, value_place, below) = match first {
            Part::Key(name) => {
                self.keys.iter().find(|(have, ..)| have == name).map(|(_, key, value, below)| (*key, *value, below))?
            }
            Part::Item(index) => self.items.get(*index).map(|(place, below)| (*place, *place, below))?,
        };
        let here = if key && rest.is_empty() { key_place } else { value_place };
        below.find(rest, key).or(Some((here.line(), here.column())))
    }
}

impl<'de> Deserialize<'de> for Located {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Located, D::Error> {
        struct Tree;
        impl<'de> Visitor<'de> for Tree {
            type Value = Located;
            fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
                f.write_str("YAML")
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Located, A::Error> {
                let mut keys = Vec::new();
                while let Some(key) = map.next_key::<Spanned<String>>()? {
                    let value = map.next_value::<Spanned<Located>>()?;
                    keys.push((key.value, key.referenced, value.referenced, value.value));
                }
                Ok(Located { keys, items: Vec::new() })
            }
            fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Located, A::Error> {
                let mut items = Vec::new();
                while let Some(item) = seq.next_element::<Spanned<Located>>()? {
                    items.push((item.referenced, item.value));
                }
                Ok(Located { keys: Vec::new(), items })
            }
            fn visit_str<E>(self, _: &str) -> Result<Located, E> {
                Ok(Located::default())
            }
            fn visit_bool<E>(self, _: bool) -> Result<Located, E> {
                Ok(Located::default())
            }
            fn visit_i64<E>(self, _: i64) -> Result<Located, E> {
                Ok(Located::default())
            }
            fn visit_u64<E>(self, _: u64) -> Result<Located, E> {
                Ok(Located::default())
            }
            fn visit_f64<E>(self, _: f64) -> Result<Located, E> {
                Ok(Located::default())
            }
            fn visit_unit<E>(self) -> Result<Located, E> {
                Ok(Located::default())
            }
            fn visit_none<E>(self) -> Result<Located, E> {
                Ok(Located::default())
            }
        }
        deserializer.deserialize_any(Tree)
    }
}
