//! What a demo that was killed left behind in its folder: a HAProxy that has no parent any more, and shops, which outlive
//! their agents by design. The next start ends the one and goes on with the others, on the ports that they have.
//!
//! Only processes whose command line names this very folder are meant.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

/// A process that was killed is gone within this.
const GONE_WITHIN: Duration = Duration::from_secs(2);

/// The file with the ports of the last start: the shop's and the front's.
fn ports_file(folder: &Path) -> PathBuf {
    folder.join("ports")
}

/// The ports of the last start in this folder: the shop's and the front's.
pub fn ports(folder: &Path) -> Option<(u16, u16)> {
    let text = std::fs::read_to_string(ports_file(folder)).ok()?;
    let (shop, front) = text.trim().split_once(' ')?;
    Some((shop.parse().ok()?, front.parse().ok()?))
}

/// Remembers the ports of this start.
pub fn keep_ports(folder: &Path, shop: u16, front: u16) -> std::io::Result<()> {
    std::fs::write(ports_file(folder), format!("{shop} {front}\n"))
}

/// Whether a shop of this folder still listens on the port.
pub fn shop_runs_on(folder: &Path, port: u16) -> bool {
    let (folder, port) = (folder.to_string_lossy().into_owned(), format!(":{port}"));
    processes().iter().any(|(_, words)| {
        words.iter().any(|word| word == "shop")
            && words.iter().any(|word| word.starts_with(&folder))
            && words.iter().any(|word| word.ends_with(&port))
    })
}

/// Ends the HAProxy that was started with this configuration file, and waits until it is gone. Not that of a demo that runs:
/// the second one on a folder is refused, and must have done nothing before.
pub fn end_haproxy(configuration: &Path) {
    let file = configuration.to_string_lossy().into_owned();
    let all = processes();
    for (pid, words) in &all {
        let is_haproxy = words.first().is_some_and(|program| program.ends_with("haproxy"));
        let parent = parent(*pid);
        let belongs = all.iter().any(|(other, words)| Some(*other) == parent && words.iter().any(|word| word == "--demo"));
        let Some(process) = Pid::from_raw(*pid).filter(|_| is_haproxy && !belongs && words.contains(&file)) else { continue };
        tracing::info!(pid, "ends the HAProxy of a demo that was killed");
        let _ = kill_process(process, Signal::KILL);
        let since = Instant::now();
        while Path::new(&format!("/proc/{pid}")).exists() && since.elapsed() < GONE_WITHIN {
            std::thread::sleep(Duration::from_millis(10));
        }
    }
}

fn parent(pid: i32) -> Option<i32> {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    status.lines().find_map(|line| line.strip_prefix("PPid:"))?.trim().parse().ok()
}

/// All processes with the words of their command lines. Those of others that can't be read are left out.
fn processes() -> Vec<(i32, Vec<String>)> {
    let entries = std::fs::read_dir("/proc").into_iter().flatten().flatten();
    let numbers = entries.filter_map(|entry| entry.file_name().to_str()?.parse::<i32>().ok());
    numbers
        .filter_map(|pid| {
            let line = std::fs::read(format!("/proc/{pid}/cmdline")).ok()?;
            let words = line.split(|byte| *byte == 0).filter(|word| !word.is_empty());
            Some((pid, words.map(|word| String::from_utf8_lossy(word).into_owned()).collect()))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ports_are_remembered_and_nothing_of_others_is_meant() {
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(ports(folder.path()), None);
        keep_ports(folder.path(), 8080, 8000).unwrap();
        assert_eq!(ports(folder.path()), Some((8080, 8000)));
        std::fs::write(ports_file(folder.path()), "what").unwrap();
        assert_eq!(ports(folder.path()), None);
        assert!(!shop_runs_on(folder.path(), 8080));
        assert!(processes().iter().any(|(pid, _)| *pid as u32 == std::process::id()));
    }
}
