//! The API document, OpenAPI 3.1, made of the table of routes and the types' schemas; and the same as a page for people.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use serde_json::{Map, Value, json};
use utoipa::openapi::RefOr;
use utoipa::openapi::schema::Schema;

use super::routes::{Access, RouteDoc};

/// The document as JSON.
pub fn document(docs: &[RouteDoc], schemas: Vec<(String, RefOr<Schema>)>) -> Value {
    let mut paths: BTreeMap<&str, Map<String, Value>> = BTreeMap::new();
    for route in docs {
        paths.entry(route.path).or_default().insert(route.method.to_lowercase(), operation(route));
    }
    let schemas: BTreeMap<String, Value> =
        schemas.into_iter().map(|(name, schema)| (name, serde_json::to_value(schema).expect("a schema is JSON"))).collect();
    json!({
        "openapi": "3.1.0",
        "info": { "title": "flyball", "version": env!("CARGO_PKG_VERSION"), "license": { "name": "Apache-2.0", "identifier": "Apache-2.0" } },
        "paths": paths,
        "components": {
            "schemas": schemas,
            "securitySchemes": { "token": { "type": "http", "scheme": "bearer" } },
        },
    })
}

fn operation(route: &RouteDoc) -> Value {
    let content = |schema: &RefOr<Schema>| json!({ "application/json": { "schema": schema } });
    let parameters: Vec<Value> = route
        .path
        .split('{')
        .skip(1)
        .filter_map(|part| part.split_once('}'))
        .map(|(name, _)| {
            json!({ "name": name.trim_start_matches('*'), "in": "path", "required": true, "schema": { "type": "string" } })
        })
        .collect();
    let mut good = json!({ "description": "well" });
    if let Some(schema) = &route.response {
        good["content"] = content(schema);
    }
    let mut out = json!({
        "summary": route.summary,
        "responses": {
            "200": good,
            "default": { "description": "not well", "content": { "application/json": { "schema": { "$ref": "#/components/schemas/ErrorBody" } } } },
        },
        "x-access": access(route.access),
    });
    if !parameters.is_empty() {
        out["parameters"] = Value::Array(parameters);
    }
    if let Some(schema) = &route.request {
        out["requestBody"] = json!({ "required": true, "content": content(schema) });
    }
    if route.access != Access::Open {
        out["security"] = json!([{ "token": [] }]);
    }
    out
}

fn access(access: Access) -> String {
    match access {
        Access::Open => "open".into(),
        Access::Known => "known caller".into(),
        Access::Needs(right) => right.to_string(),
    }
}

/// The same as a table in Markdown.
pub fn reference(docs: &[RouteDoc]) -> String {
    let mut out = String::from(
        "# API reference\n\nMade by `cargo xtask gen` from the table of routes. Types are in `openapi.json`. Tokens are taken as `Bearer`, \
         `Token`, Basic password and `p=`.\n\n| method | path | right | what |\n|---|---|---|---|\n",
    );
    for route in docs {
        let _ = writeln!(out, "| {} | `{}` | {} | {} |", route.method, route.path, access(route.access), route.summary);
    }
    out
}
