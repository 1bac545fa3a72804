//! What Grafana asks before its first query: which Prometheus this behaves like; and what is not stored.

use axum::response::Response;
use wire::prom_json;

use super::{Asked, PromError, json};

/// The version whose query API this is: Grafana decides by it what it may ask for.
const LIKE_PROMETHEUS: &str = "3.5.0";

pub(super) async fn build() -> Response {
    let mut out = Vec::new();
    let data = serde_json::json!({
        "version": LIKE_PROMETHEUS,
        "revision": concat!("flyball-", env!("CARGO_PKG_VERSION")),
        "branch": "flyball",
        "buildUser": "",
        "buildDate": "",
        "goVersion": "",
        "features": { "flyball": env!("CARGO_PKG_VERSION") },
    });
    prom_json::data(&mut out, &data);
    json(out)
}

pub(super) async fn exemplars(asked: Asked) -> Result<Response, PromError> {
    asked.0.required("query")?;
    let mut out = Vec::new();
    prom_json::data::<[u8]>(&mut out, &[]);
    Ok(json(out))
}
