//! TypeScript types out of the OpenAPI document's schemas: what the web UI imports instead of writing them by hand.

use std::fmt::Write as _;

use serde_json::Value;

use crate::shell::{Done, failed};

/// One exported type per schema, in the document's order.
pub fn typescript(document: &Value) -> Done<String> {
    let Some(schemas) = document["components"]["schemas"].as_object() else {
        return failed("find schemas in the API document");
    };
    let mut out = String::from("// Made by `cargo xtask gen` from docs/openapi.json. Do not edit.\n");
    for (name, schema) in schemas {
        comment(schema, "", &mut out);
        let _ = writeln!(out, "export type {name} = {};", of(schema, 0));
    }
    Ok(out)
}

fn comment(schema: &Value, indent: &str, out: &mut String) {
    if let Some(text) = schema["description"].as_str() {
        let line = text.split_whitespace().collect::<Vec<_>>().join(" ").replace("*/", "* /");
        let _ = writeln!(out, "{indent}/** {line} */");
    }
}

fn of(schema: &Value, depth: usize) -> String {
    if let Some(reference) = schema["$ref"].as_str() {
        return reference.rsplit('/').next().unwrap_or("unknown").to_owned();
    }
    if let Some(values) = schema["enum"].as_array() {
        return values.iter().map(ToString::to_string).collect::<Vec<_>>().join(" | ");
    }
    if !schema["const"].is_null() {
        return schema["const"].to_string();
    }
    for (key, joint) in [("oneOf", " | "), ("anyOf", " | "), ("allOf", " & ")] {
        if let Some(parts) = schema[key].as_array() {
            let mut parts: Vec<String> = parts.iter().map(|part| of(part, depth)).collect();
            parts.dedup();
            return if parts.len() == 1 { parts.remove(0) } else { format!("({})", parts.join(joint)) };
        }
    }
    match &schema["type"] {
        Value::Array(kinds) => {
            kinds.iter().filter_map(Value::as_str).map(|kind| plain(kind, schema, depth)).collect::<Vec<_>>().join(" | ")
        }
        Value::String(kind) => plain(kind, schema, depth),
        _ if schema["properties"].is_object() => plain("object", schema, depth),
        _ => "unknown".into(),
    }
}

fn plain(kind: &str, schema: &Value, depth: usize) -> String {
    match kind {
        "string" => "string".into(),
        "integer" | "number" => "number".into(),
        "boolean" => "boolean".into(),
        "null" => "null".into(),
        "array" => {
            let item = of(&schema["items"], depth);
            if item.contains([' ', '|']) && !item.starts_with(['{', '(']) { format!("({item})[]") } else { format!("{item}[]") }
        }
        "object" => object(schema, depth),
        _ => "unknown".into(),
    }
}

fn object(schema: &Value, depth: usize) -> String {
    let Some(keys) = schema["properties"].as_object() else {
        return match &schema["additionalProperties"] {
            values @ Value::Object(_) => format!("Record<string, {}>", of(values, depth)),
            _ => "Record<string, unknown>".into(),
        };
    };
    let required: Vec<&str> = schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    let indent = "  ".repeat(depth + 1);
    let mut out = String::from("{\n");
    for (key, value) in keys {
        comment(value, &indent, &mut out);
        let name = if key.chars().all(|c| c.is_ascii_alphanumeric() || c == '_') { key.clone() } else { format!("{key:?}") };
        let mark = if required.contains(&key.as_str()) { "" } else { "?" };
        let _ = writeln!(out, "{indent}{name}{mark}: {};", of(value, depth + 1));
    }
    let _ = write!(out, "{}}}", "  ".repeat(depth));
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn schemas_become_types() {
        let document = serde_json::json!({"components": {"schemas": {
            "State": {"type": "string", "enum": ["ok", "bad"]},
            "Row": {"type": "object", "description": "A row.", "required": ["a"], "properties": {
                "a": {"$ref": "#/components/schemas/State"},
                "b": {"type": ["number", "null"]},
                "c": {"type": "array", "items": {"oneOf": [{"type": "null"}, {"type": "string"}]}},
                "d": {"type": "object", "additionalProperties": {"type": "string"}}}},
        }}});
        let text = typescript(&document).unwrap();
        assert!(text.contains("export type State = \"ok\" | \"bad\";"), "{text}");
        assert!(text.contains("/** A row. */\nexport type Row = {\n  a: State;\n  b?: number | null;\n  c?: (null | string)[];\n  d?: Record<string, string>;\n};"), "{text}");
    }
}
