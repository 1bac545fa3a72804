//! Runs programs, never a shell: argument lists only. Says on stderr-free stdout what it does, with how long it took.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Instant;

/// Why a command of xtask ended.
#[derive(Debug)]
pub enum Failure {
    /// Called in a wrong way.
    Usage(String),
    /// "failed to ...": what did not work.
    Failed(String),
}

/// What a command comes to.
pub type Done<T = ()> = Result<T, Failure>;

/// A failure of doing something.
pub fn failed<T>(what: impl Into<String>) -> Done<T> {
    Err(Failure::Failed(what.into()))
}

/// Prints a line; a closed pipe is no reason to panic.
pub fn say(text: &str) {
    let _ = writeln!(std::io::stdout(), "{text}");
}

/// The root of the checkout.
pub fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().map(Path::to_path_buf).unwrap_or_default()
}

/// Where cargo puts what it builds.
pub fn target() -> PathBuf {
    std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root().join("target"), PathBuf::from)
}

/// A folder for tools that outlive a checkout.
pub fn cache() -> PathBuf {
    let base = std::env::var_os("XDG_CACHE_HOME")
        .map(PathBuf::from)
        .or_else(|| std::env::var_os("HOME").map(|home| PathBuf::from(home).join(".cache")))
        .unwrap_or_else(std::env::temp_dir);
    base.join("flyball")
}

/// A program with arguments, run in the root of the checkout.
pub fn program(name: impl AsRef<std::ffi::OsStr>, args: &[&str]) -> Command {
    let mut command = Command::new(name);
    command.args(args).current_dir(root());
    command
}

/// Runs it with its output shown.
pub fn run(what: &str, command: &mut Command) -> Done {
    let began = Instant::now();
    say(&format!("== {what}"));
    let status = command.stdin(Stdio::null()).status().map_err(|error| Failure::Failed(format!("{what}: {error}")))?;
    say(&format!("== {what}: {} in {:.0} s", if status.success() { "done" } else { "FAILED" }, began.elapsed().as_secs_f64()));
    if status.success() { Ok(()) } else { failed(format!("{what}: {status}")) }
}

/// Runs it with its output shown and kept.
pub fn run_kept(what: &str, command: &mut Command) -> Done<(bool, String)> {
    use std::io::{BufRead, BufReader};
    let began = Instant::now();
    say(&format!("== {what}"));
    let (reader, writer) = std::io::pipe().map_err(|error| Failure::Failed(format!("{what}: {error}")))?;
    let copy = writer.try_clone().map_err(|error| Failure::Failed(format!("{what}: {error}")))?;
    let mut child = command
        .stdin(Stdio::null())
        .stdout(writer)
        .stderr(copy)
        .spawn()
        .map_err(|error| Failure::Failed(format!("{what}: {error}")))?;
    command.stdout(Stdio::null()).stderr(Stdio::null());
    let mut kept = String::new();
    let mut lines = BufReader::new(reader);
    let mut line = Vec::new();
    while lines.read_until(b'\n', &mut line).unwrap_or(0) > 0 {
        let text = String::from_utf8_lossy(&line);
        let _ = write!(std::io::stdout(), "{text}");
        kept.push_str(&without_colour(&text));
        line.clear();
    }
    let status = child.wait().map_err(|error| Failure::Failed(format!("{what}: {error}")))?;
    say(&format!("== {what}: {} in {:.0} s", if status.success() { "done" } else { "FAILED" }, began.elapsed().as_secs_f64()));
    Ok((status.success(), kept))
}

/// A text without the sequences by which terminals colour it: some runners colour wherever CI is set.
pub fn without_colour(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(start) = rest.find("\u{1b}[") {
        out.push_str(&rest[..start]);
        let tail = &rest[start + 2..];
        let end = tail.find(|c: char| c.is_ascii_alphabetic()).map_or(tail.len(), |end| end + 1);
        rest = &tail[end..];
    }
    out.push_str(rest);
    out
}

/// Its output, if it ends well.
pub fn output(what: &str, command: &mut Command) -> Done<String> {
    let out = command.stdin(Stdio::null()).output().map_err(|error| Failure::Failed(format!("{what}: {error}")))?;
    if out.status.success() {
        Ok(String::from_utf8_lossy(&out.stdout).into_owned())
    } else {
        failed(format!("{what}: {}", String::from_utf8_lossy(&out.stderr).trim()))
    }
}

/// Whether a program can be found.
pub fn have(name: &str) -> bool {
    let folders = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&folders)
        .chain([PathBuf::from("/usr/sbin"), PathBuf::from("/sbin")])
        .any(|folder| folder.join(name).is_file())
}
