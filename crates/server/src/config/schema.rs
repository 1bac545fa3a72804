//! The JSON Schema of the configuration, for editors, and the reference page made of it.

use std::fmt::Write as _;

use model::config::Config;
use serde_json::Value;

/// The JSON Schema of a configuration file.
pub fn schema() -> Value {
    let mut value = schemars::schema_for!(Config).to_value();
    // Rule groups come from the files under rules/; in a configuration file the key would be misleading.
    if let Some(keys) = value.pointer_mut("/properties").and_then(Value::as_object_mut) {
        keys.remove("groups");
    }
    value
}

/// The reference of all keys as Markdown: one table per object.
pub fn reference() -> String {
    let schema = schema();
    let mut out = String::from(
        "# Configuration reference\n\nMade by `cargo xtask gen` from the types in `crates/model/src/config.rs`. Every `*.yaml` in the configuration \
         folder may hold any of the top-level keys; rule files in Prometheus' own format lie under `rules/`.\n",
    );
    table("A file", &schema, &mut out);
    if let Some(parts) = schema.get("$defs").and_then(Value::as_object) {
        for (name, part) in parts {
            table(name, part, &mut out);
        }
    }
    out
}

fn table(name: &str, part: &Value, out: &mut String) {
    let _ = writeln!(out, "\n## {name}\n");
    if let Some(text) = part.get("description").and_then(Value::as_str) {
        let _ = writeln!(out, "{}\n", one_line(text));
    }
    let Some(keys) = part.get("properties").and_then(Value::as_object) else {
        for choice in ["enum", "oneOf", "anyOf"].iter().filter_map(|key| part.get(*key)).filter_map(Value::as_array).flatten() {
            let word = choice.get("const").unwrap_or(choice);
            let word = word.as_str().map_or_else(|| kind(choice), str::to_owned);
            let text = choice.get("description").and_then(Value::as_str).unwrap_or("");
            let _ = writeln!(out, "- `{word}` {}", one_line(text));
        }
        return;
    };
    let required: Vec<&str> =
        part.get("required").and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str).collect();
    out.push_str("| key | value | default | what |\n|---|---|---|---|\n");
    for (key, value) in keys {
        let default = match value.get("default") {
            Some(Value::Object(map)) if map.is_empty() => String::new(),
            Some(Value::Array(list)) if list.is_empty() => String::new(),
            Some(Value::Object(_)) | Some(Value::Null) | None if !required.contains(&key.as_str()) => String::new(),
            Some(default) => format!("`{default}`"),
            None => "required".into(),
        };
        let text = value.get("description").and_then(Value::as_str).unwrap_or("");
        let _ = writeln!(out, "| `{key}` | {} | {default} | {} |", kind(value), one_line(text).replace('|', "\\|"));
    }
}

fn kind(value: &Value) -> String {
    if let Some(reference) = value.get("$ref").and_then(Value::as_str) {
        return reference.rsplit('/').next().unwrap_or(reference).to_owned();
    }
    if let Some(choices) = value.get("anyOf").or_else(|| value.get("allOf")).and_then(Value::as_array) {
        return choices.iter().map(kind).filter(|kind| kind != "null").collect::<Vec<_>>().join(" or ");
    }
    if let Some(items) = value.get("items") {
        return format!("list of {}", kind(items));
    }
    if let Some(values) = value.get("additionalProperties").filter(|values| values.is_object()) {
        return format!("map to {}", kind(values));
    }
    if let Some(values) = value.get("patternProperties").and_then(Value::as_object).and_then(|map| map.values().next()) {
        return format!("map to {}", kind(values));
    }
    match value.get("type") {
        Some(Value::String(name)) => name.clone(),
        Some(Value::Array(names)) => {
            names.iter().filter_map(Value::as_str).filter(|name| *name != "null").collect::<Vec<_>>().join(" or ")
        }
        _ => "any".into(),
    }
}

fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}
