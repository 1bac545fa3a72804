//! What differs between two configurations, as lines that a person reads in the change event of a reload.

use model::config::Config;
use serde_json::Value;

/// Most lines of a difference; what is beyond is counted.
const LINES_MAX: usize = 200;
/// Longest value shown, in characters.
const VALUE_LEN_MAX: usize = 120;

/// One line per value that was added (`+`), taken away (`-`) or altered (`~`), by its path. Heartbeats' ids and the paths of
/// webhooks' addresses are masked.
pub fn difference(before: &Config, after: &Config) -> Vec<String> {
    let mut lines = Vec::new();
    let (before, after) = (tree(before), tree(after));
    compare("", &before, &after, &mut lines);
    if lines.len() > LINES_MAX {
        let more = lines.len() - LINES_MAX;
        lines.truncate(LINES_MAX);
        lines.push(format!("and {more} more"));
    }
    lines
}

fn tree(config: &Config) -> Value {
    serde_json::to_value(config).expect("a configuration is JSON")
}

fn compare(path: &str, before: &Value, after: &Value, lines: &mut Vec<String>) {
    match (before, after) {
        (Value::Object(old), Value::Object(new)) => {
            for (key, value) in old {
                compare(&join(path, key), value, new.get(key).unwrap_or(&Value::Null), lines);
            }
            for (key, value) in new.iter().filter(|(key, _)| !old.contains_key(*key)) {
                compare(&join(path, key), &Value::Null, value, lines);
            }
        }
        (Value::Array(old), Value::Array(new)) if old.len() == new.len() => {
            for (index, (old, new)) in old.iter().zip(new).enumerate() {
                compare(&format!("{path}[{index}]"), old, new, lines);
            }
        }
        (before, after) if before == after => {}
        (Value::Null, value) => lines.push(format!("+ {path}: {}", shown(path, value))),
        (value, Value::Null) => lines.push(format!("- {path}: {}", shown(path, value))),
        (old, new) => lines.push(format!("~ {path}: {} to {}", shown(path, old), shown(path, new))),
    }
}

fn join(path: &str, key: &str) -> String {
    if path.is_empty() { key.to_owned() } else { format!("{path}.{key}") }
}

fn shown(path: &str, value: &Value) -> String {
    if path.starts_with("heartbeats.") && (path.ends_with(".id") || value.is_object()) {
        return "****".into();
    }
    if path.starts_with("notification.receivers.") {
        match value {
            Value::String(url) if path.ends_with(".webhook.url") => return format!("\"{}\"", masked_url(url)),
            Value::Object(_) => return "****".into(),
            _ => {}
        }
    }
    let text = value.to_string();
    match text.char_indices().nth(VALUE_LEN_MAX) {
        Some((end, _)) => format!("{}...", &text[..end]),
        None => text,
    }
}

/// An address without what may be a secret in it: who, path and query.
pub fn masked_url(url: &str) -> String {
    let Some((scheme, rest)) = url.split_once("://") else { return "****".into() };
    let (authority, path) = rest.split_at(rest.find(['/', '?', '#']).unwrap_or(rest.len()));
    let host = authority.rsplit('@').next().unwrap_or("");
    let path = if path.len() <= 1 { path } else { "/****" };
    format!("{scheme}://{host}{path}")
}
