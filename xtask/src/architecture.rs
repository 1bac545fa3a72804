//! Holds what ARCHITECTURE.md says: which rooms there are, who may know whom, and what the engine must never touch.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::shell::{output, program, root};

/// Who may know whom, of our own crates. What is not here is not allowed.
const MAY_KNOW: &[(&str, &[&str])] = &[
    ("model", &[]),
    ("wire", &["model"]),
    ("query", &["model"]),
    ("dial", &["model"]),
    ("store", &["model", "query"]),
    ("engine", &["model", "query"]),
    ("agent", &["model", "wire", "dial"]),
    ("server", &["model", "wire", "query", "store", "engine", "dial"]),
    ("flyball", &["model", "wire", "dial", "agent", "server", "store", "engine", "query"]),
    ("xtask", &[]),
];

/// What the engine and the pure rooms may not name, and what they do instead.
const NOT_IN_PURE_ROOMS: &[(&str, &str)] = &[
    ("SystemTime", "time comes with the event"),
    ("Instant::now", "time comes with the event"),
    ("std::thread", "the engine is synchronous"),
    ("TcpStream", "effects are performed by the server"),
    ("TcpListener", "effects are performed by the server"),
    ("UdpSocket", "effects are performed by the server"),
    ("std::fs", "files are the server's and the store's"),
    ("std::process", "effects are performed by the server and the agent"),
    ("getrandom", "ids derive from seq and an ordinal"),
    (" rand::", "ids derive from seq and an ordinal"),
    ("tokio", "the engine is synchronous"),
    ("thread_rng", "ids derive from seq and an ordinal"),
];

/// Words that no crate of ours is called, because they name no thing.
const NO_NAMES: &[&str] = &["common", "utils", "util", "helpers", "misc"];

fn crates() -> BTreeMap<String, Vec<String>> {
    let text = output("cargo metadata", &mut program("cargo", &["metadata", "--format-version", "1", "--no-deps", "--locked"]))
        .expect("cargo metadata");
    let metadata: Value = serde_json::from_str(&text).expect("JSON");
    let packages = metadata["packages"].as_array().expect("packages");
    let names: Vec<&str> = packages.iter().filter_map(|package| package["name"].as_str()).collect();
    packages
        .iter()
        .map(|package| {
            let dependencies = package["dependencies"].as_array().map(Vec::as_slice).unwrap_or_default();
            // What only tests need says nothing about the rooms.
            let normal = dependencies.iter().filter(|dependency| dependency["kind"] != "dev");
            let own = normal.filter_map(|dependency| dependency["name"].as_str()).filter(|name| names.contains(name));
            (package["name"].as_str().unwrap_or_default().to_owned(), own.map(str::to_owned).collect())
        })
        .collect()
}

fn sources(folder: &Path) -> Vec<PathBuf> {
    let mut out = Vec::new();
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        let path = entry.path();
        if path.is_dir() {
            out.extend(sources(&path));
        } else if path.extension().is_some_and(|end| end == "rs") {
            out.push(path);
        }
    }
    out
}

/// A source without its comments and its tests.
fn code(path: &Path) -> String {
    let text = fs::read_to_string(path).unwrap_or_default();
    let text = text.split("#[cfg(test)]").next().unwrap_or_default();
    text.lines().filter(|line| !line.trim_start().starts_with("//")).collect::<Vec<_>>().join("\n")
}

#[test]
fn nobody_knows_whom_they_must_not() {
    for (name, knows) in crates() {
        let (_, allowed) =
            MAY_KNOW.iter().find(|(room, _)| *room == name).unwrap_or_else(|| panic!("`{name}` is no room of ARCHITECTURE.md"));
        for other in knows {
            assert!(allowed.contains(&other.as_str()), "{name} must not know {other}");
        }
        assert!(!NO_NAMES.contains(&name.as_str()), "`{name}` names no thing");
    }
}

#[test]
fn every_room_has_its_paragraph() {
    let text = fs::read_to_string(root().join("ARCHITECTURE.md")).expect("ARCHITECTURE.md");
    for name in crates().keys() {
        assert!(text.contains(&format!("| `{name}` |")), "ARCHITECTURE.md has no row for `{name}`");
    }
    for line in text.lines().filter(|line| line.starts_with("| `")) {
        let name = line.trim_start_matches("| `").split('`').next().unwrap_or_default().trim_end_matches('/');
        let there = root().join("crates").join(name).is_dir() || root().join(name).is_dir();
        assert!(there, "ARCHITECTURE.md speaks of `{name}`, which is not there");
    }
}

#[test]
fn the_engine_knows_no_clock_thread_socket_file_or_random_source() {
    for room in ["model", "engine", "query", "wire"] {
        for path in sources(&root().join("crates").join(room).join("src")) {
            let text = code(&path);
            // Rows of a big query are made side by side, and seen in their order: the answer knows nothing of threads.
            let rows = ["stream.rs", "line.rs"].iter().any(|name| path.ends_with(format!("query/src/evaluate/{name}")));
            for (word, instead) in NOT_IN_PURE_ROOMS.iter().filter(|(word, _)| !(rows && *word == "std::thread")) {
                assert!(!text.contains(word), "{} names {word}: {instead}", path.display());
            }
        }
    }
}

#[test]
fn every_file_says_what_it_is_for() {
    for path in sources(&root().join("crates")).into_iter().chain(sources(&root().join("xtask"))) {
        let text = fs::read_to_string(&path).unwrap_or_default();
        if path.file_name().is_some_and(|name| name == "tests.rs") {
            continue;
        }
        assert!(text.starts_with("//!"), "{} has no paragraph at its head", path.display());
    }
}

#[test]
fn no_registry_host_and_no_shell_is_named() {
    let hosts = [
        concat!("registry.npm", "js.org"),
        concat!("index.crates", ".io"),
        concat!("pypi", ".org"),
        concat!("deb.debian", ".org"),
    ];
    let tracked = output("git ls-files", &mut program("git", &["ls-files"])).expect("git");
    for name in tracked.lines() {
        let Ok(text) = fs::read_to_string(root().join(name)) else { continue };
        for host in hosts.iter().filter(|_| !name.ends_with("Cargo.lock")) {
            assert!(!text.contains(host), "{name} names {host}");
        }
        if name.ends_with(".rs") && name.contains("/src/") {
            let shell =
                [concat!("Command::new(\"", "sh\")"), concat!("Command::new(\"", "bash\")"), concat!("\"-", "c\".into()")];
            assert!(!shell.iter().any(|call| text.contains(call)), "{name} runs a shell");
        }
    }
}
