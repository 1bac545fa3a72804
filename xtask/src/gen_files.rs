//! `cargo xtask gen`: the files that are made from the program itself. `--check` fails when one of them is stale.

use std::fs;

use serde_json::Value;

use crate::shell::{Done, Failure, failed, output, program, root, run as run_program, say, target};
use crate::types;

/// Writes the generated files, or compares them.
pub fn run(args: &[&str]) -> Done {
    let check = match args {
        [] => false,
        ["--check"] => true,
        other => return Err(Failure::Usage(format!("`gen` takes --check, not `{}`", other.join(" ")))),
    };
    run_program("flyball for its references", &mut program("cargo", &["build", "--bin", "flyball", "--locked", "--quiet"]))?;
    let binary = target().join("debug/flyball");
    let ask = |what: &str| output(&format!("flyball reference {what}"), &mut program(&binary, &["reference", what]));
    let openapi = ask("openapi")?;
    let document: Value =
        serde_json::from_str(&openapi).map_err(|error| Failure::Failed(format!("read the API document: {error}")))?;
    let files = [
        ("docs/openapi.json", openapi),
        ("docs/api.md", ask("api")?),
        ("docs/configuration.md", ask("config")?),
        ("docs/configuration.schema.json", ask("schema")?),
        ("docs/cli.md", ask("cli")?),
        ("ui/src/data/texts.json", ask("texts")?),
        ("ui/src/data/promql.json", ask("promql")?),
        ("ui/src/data/api.ts", types::typescript(&document)?),
    ];
    let mut stale = Vec::new();
    for (name, text) in files {
        let path = root().join(name);
        if fs::read_to_string(&path).is_ok_and(|have| have == text) {
            continue;
        }
        if check {
            stale.push(name);
        } else {
            if let Some(folder) = path.parent() {
                fs::create_dir_all(folder).map_err(|error| Failure::Failed(format!("make {}: {error}", folder.display())))?;
            }
            fs::write(&path, text).map_err(|error| Failure::Failed(format!("write {}: {error}", path.display())))?;
            say(&format!("wrote {name}"));
        }
    }
    if stale.is_empty() { Ok(()) } else { failed(format!("find these up to date: {}; run `cargo xtask gen`", stale.join(", "))) }
}
