//! Licences and bans, read from `cargo metadata`: no AGPL or unknown licence in the product, nothing that decisions refused.

use serde_json::Value;

use crate::shell::{Done, failed, output, program, say};

/// Licences that may be in the product; an expression needs one of its alternatives in here.
const ALLOWED: &[&str] = &[
    "Apache-2.0",
    "MIT",
    "MIT-0",
    "BSD-2-Clause",
    "BSD-3-Clause",
    "ISC",
    "Zlib",
    "Unicode-3.0",
    "Unicode-DFS-2016",
    "CC0-1.0",
    "0BSD",
    "Unlicense",
    "BSL-1.0",
    "CDLA-Permissive-2.0",
    "MPL-2.0",
    "Apache-2.0 WITH LLVM-exception",
    "bzip2-1.0.6",
    "OpenSSL",
];

/// Crates that may never be in the tree, with the reason and what to use instead.
const BANNED: &[(&str, &str)] = &[
    ("aws-lc-rs", "one crypto provider: rustls with ring"),
    ("aws-lc-sys", "one crypto provider: rustls with ring"),
    ("openssl-sys", "one crypto provider: rustls with ring"),
    ("native-tls", "one crypto provider: rustls with ring"),
    ("rusqlite", "only sqlx links sqlite3"),
    ("chrono", "jiff"),
    ("serde_yaml", "serde-saphyr"),
    ("diesel", "sqlx"),
    ("sea-orm", "sqlx"),
    ("figment", "serde-saphyr into typed structs"),
    ("casbin", "model::rights"),
    ("datafusion", "45 % of a cold build; SQL over telemetry is ClickHouse's or DuckDB's"),
    ("duckdb", "SQL over telemetry is over our Parquet, from outside"),
    ("tantivy", "own log blocks"),
    ("workspace-hack", "features are asked for once, in the workspace"),
    ("promql-parser", "own parser with spans"),
];

/// Checks every package of the lock file.
pub fn run() -> Done {
    let text = output("cargo metadata", &mut program("cargo", &["metadata", "--format-version", "1", "--locked", "--quiet"]))?;
    let metadata: Value =
        serde_json::from_str(&text).map_err(|error| crate::shell::Failure::Failed(format!("read cargo metadata: {error}")))?;
    let mut wrong = Vec::new();
    let packages = metadata["packages"].as_array().map(Vec::as_slice).unwrap_or_default();
    for package in packages {
        let name = package["name"].as_str().unwrap_or("?");
        if let Some((_, reason)) = BANNED.iter().find(|(banned, _)| *banned == name) {
            wrong.push(format!("{name} is banned: {reason} (cargo tree -i {name})"));
        }
        let licence = package["license"].as_str().unwrap_or("");
        if package["source"].is_string() && !fits(licence) {
            wrong.push(format!("{name} has the licence `{licence}`"));
        }
    }
    say(&format!("== licences: {} packages", packages.len()));
    if wrong.is_empty() { Ok(()) } else { failed(format!("accept the dependencies:\n  {}", wrong.join("\n  "))) }
}

/// Whether an SPDX expression can be fulfilled by what is allowed.
fn fits(expression: &str) -> bool {
    let expression = expression.replace('/', " OR ");
    let plain = expression.replace(['(', ')'], " ");
    let term = |text: &str| ALLOWED.contains(&text.trim());
    // `A AND (B OR C)` and `(A OR B) AND C`: every part of the conjunction needs one allowed alternative.
    !plain.trim().is_empty() && plain.split(" AND ").all(|part| part.split(" OR ").any(term))
}

#[cfg(test)]
mod tests {
    use super::fits;

    #[test]
    fn expressions() {
        for good in ["MIT", "MIT OR Apache-2.0", "MIT/Apache-2.0", "(MIT OR Apache-2.0) AND Unicode-3.0", "GPL-3.0 OR MIT"] {
            assert!(fits(good), "{good}");
        }
        for bad in ["", "AGPL-3.0", "MIT AND AGPL-3.0", "GPL-3.0-only"] {
            assert!(!fits(bad), "{bad}");
        }
    }
}
