//! The API document without a running server: `flyball reference openapi` and `flyball reference api`.

use model::api::{ErrorBody, Live};
use utoipa::ToSchema;

use super::app::App;
use super::guard::Guard;
use super::openapi;
use super::routes::{RouteDoc, Routes, Schemas};
use super::table::table;

/// The table of routes as documents need it, and the schemas of its types.
pub fn router_docs() -> (Vec<RouteDoc>, Schemas) {
    let (_, docs, mut schemas) = table(Routes::<App>::new(Guard::without_accounts())).finish();
    add::<ErrorBody>(&mut schemas);
    // What streams carry has no route that answers it as JSON.
    add::<Live>(&mut schemas);
    (docs, schemas)
}

fn add<T: ToSchema>(schemas: &mut Schemas) {
    T::schemas(schemas);
    schemas.push((T::name().into_owned(), T::schema()));
}

/// OpenAPI 3.1 as JSON.
pub fn openapi_json() -> String {
    let (docs, schemas) = router_docs();
    let mut text = serde_json::to_string_pretty(&openapi::document(&docs, schemas)).expect("a document is JSON");
    text.push('\n');
    text
}

/// The same as a page in Markdown.
pub fn api_markdown() -> String {
    openapi::reference(&router_docs().0)
}

/// Every word of PromQL with its signature and a line of help as JSON: what the page's editor completes and explains.
pub fn promql_json() -> String {
    serde_json::to_string_pretty(&query::completion_words()).expect("words are JSON")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every `$ref` of the document leads somewhere: else the UI's types could not be made of it.
    #[test]
    fn every_reference_is_there() {
        let document: serde_json::Value = serde_json::from_str(&openapi_json()).unwrap();
        let mut references = Vec::new();
        collect(&document, &mut references);
        assert!(references.len() > 20);
        for reference in references {
            let pointer = reference.strip_prefix('#').unwrap();
            assert!(document.pointer(pointer).is_some(), "{reference} leads nowhere");
        }
    }

    fn collect(value: &serde_json::Value, into: &mut Vec<String>) {
        match value {
            serde_json::Value::Object(map) => {
                for (key, value) in map {
                    match value.as_str() {
                        Some(text) if key == "$ref" => into.push(text.to_owned()),
                        _ => collect(value, into),
                    }
                }
            }
            serde_json::Value::Array(list) => list.iter().for_each(|value| collect(value, into)),
            _ => {}
        }
    }
}
