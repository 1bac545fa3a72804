//! Builds the web UI with npm, only when something in it is newer than what was built.

use std::fs;
use std::path::Path;
use std::time::SystemTime;

use crate::shell::{Done, have, program, root, run, say};

/// Oldest node that Vite 8 runs on.
const NODE_MIN: (u32, u32) = (20, 19);

/// Installs the UI's packages if the lock file is newer than the last installation.
pub fn install() -> Done {
    let ui = root().join("ui");
    let installed = modified(&ui.join("node_modules/.package-lock.json"));
    if installed.is_some() && installed >= modified(&ui.join("package-lock.json")) {
        return Ok(());
    }
    run("npm ci", program("npm", &["ci", "--no-audit", "--no-fund", "--loglevel=error"]).current_dir(&ui))
}

/// Builds ui/dist if it is older than its sources. Without a fitting node the binary shows a page that says so.
pub fn build() -> Done {
    let ui = root().join("ui");
    if !node_fits() {
        say(&format!("== web UI: not built, node {}.{} or newer is needed", NODE_MIN.0, NODE_MIN.1));
        return Ok(());
    }
    install()?;
    let built = modified(&ui.join("dist/index.html"));
    let newest = ["src", "public", "index.html", "package-lock.json", "vite.config.ts"]
        .iter()
        .filter_map(|name| newest(&ui.join(name)))
        .max();
    if built.is_some() && built > newest {
        return Ok(());
    }
    run("web UI", program("npm", &["run", "build", "--silent"]).current_dir(&ui))
}

/// Whether node is there and new enough.
pub fn node_fits() -> bool {
    if !have("node") || !have("npm") {
        return false;
    }
    let Ok(version) = crate::shell::output("node --version", &mut program("node", &["--version"])) else { return false };
    let mut parts = version.trim().trim_start_matches('v').split('.').map(|part| part.parse::<u32>().unwrap_or(0));
    (parts.next().unwrap_or(0), parts.next().unwrap_or(0)) >= NODE_MIN
}

fn modified(path: &Path) -> Option<SystemTime> {
    fs::metadata(path).and_then(|meta| meta.modified()).ok()
}

fn newest(path: &Path) -> Option<SystemTime> {
    if path.is_file() {
        return modified(path);
    }
    fs::read_dir(path).ok()?.flatten().filter_map(|entry| newest(&entry.path())).max()
}
