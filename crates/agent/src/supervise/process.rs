//! A process that can be told apart from a later one with the same number, and found again by whoever comes after.
//!
//! A process is its number, the tick of its start and the boot. Supervised processes have a group of their own and carry two
//! marks in their environment, so that an agent that was killed between a start and the note about it finds them still.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use rustix::process::{Pid, Signal, kill_process_group};
use serde::{Deserialize, Serialize};

/// Marks in a process's environment: which agent's folder, which service.
pub const MARK_AGENT: &str = "FLYBALL_AGENT";
/// The mark that names the service.
pub const MARK_SERVICE: &str = "FLYBALL_SERVICE";

/// One process and no other.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProcessId {
    /// Its number, also its group's.
    pub pid: u32,
    /// When it was started, in ticks since the boot.
    pub start_ticks: u64,
    /// In which boot.
    pub boot_id: String,
}

/// What /proc says of a process.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Seen {
    /// `R`, `S`, `Z`, ...
    pub state: u8,
    /// Its group.
    pub group: u32,
    /// User and system time in ticks.
    pub cpu_ticks: u64,
    /// How many threads.
    pub threads: u64,
    /// When it was started, in ticks since the boot.
    pub start_ticks: u64,
    /// Resident memory in pages.
    pub resident_pages: u64,
}

/// The kernel's boot id, empty where it has none.
pub fn boot_id() -> String {
    fs::read_to_string("/proc/sys/kernel/random/boot_id").map(|text| text.trim().to_owned()).unwrap_or_default()
}

/// The text of /proc/PID/stat.
pub fn parse_stat(text: &str) -> Option<Seen> {
    // The name in parentheses may hold anything, parentheses too.
    let rest = text.get(text.rfind(')')? + 2..)?;
    let fields: Vec<&str> = rest.split_ascii_whitespace().collect();
    let number = |place: usize| fields.get(place)?.parse::<u64>().ok();
    Some(Seen {
        state: *fields.first()?.as_bytes().first()?,
        group: number(2)? as u32,
        cpu_ticks: number(11)? + number(12)?,
        threads: number(17)?,
        start_ticks: number(19)?,
        resident_pages: number(21)?,
    })
}

/// What /proc says of a process, if it is there.
pub fn look(pid: u32) -> Option<Seen> {
    parse_stat(&fs::read_to_string(format!("/proc/{pid}/stat")).ok()?)
}

impl ProcessId {
    /// Of a process that runs now.
    pub fn of(pid: u32, boot_id: &str) -> Option<ProcessId> {
        let seen = look(pid)?;
        Some(ProcessId { pid, start_ticks: seen.start_ticks, boot_id: boot_id.to_owned() })
    }

    /// What it looks like now; `None` when it ended. A zombie has ended.
    pub fn alive(&self, boot_id: &str) -> Option<Seen> {
        let seen = look(self.pid)?;
        let same = seen.start_ticks == self.start_ticks && self.boot_id == boot_id;
        (same && !matches!(seen.state, b'Z' | b'X')).then_some(seen)
    }
}

/// Signals a whole group. The group's number must be one that was looked at just now.
pub fn signal_group(pid: u32, signal: Signal) {
    if let Some(group) = i32::try_from(pid).ok().and_then(Pid::from_raw).filter(|group| !group.is_init()) {
        // Gone already is as good.
        let _ = kill_process_group(group, signal);
    }
}

/// The supervised processes of an agent that still run, by the marks in their environment: service to process.
pub fn find_marked(agent: &Path, boot_id: &str) -> BTreeMap<String, ProcessId> {
    let mut found = BTreeMap::new();
    let Ok(entries) = fs::read_dir("/proc") else { return found };
    let agent = format!("{MARK_AGENT}={}", agent.display());
    for entry in entries.flatten() {
        let Some(pid) = entry.file_name().to_str().and_then(|name| name.parse::<u32>().ok()) else { continue };
        let Ok(environment) = fs::read(entry.path().join("environ")) else { continue };
        let mut marks = environment.split(|byte| *byte == 0).filter_map(|pair| str::from_utf8(pair).ok());
        if !marks.clone().any(|pair| pair == agent) {
            continue;
        }
        let service = marks.find_map(|pair| pair.strip_prefix(MARK_SERVICE)?.strip_prefix('='));
        // Only the leader of its group: its children inherit the marks.
        if let (Some(service), Some(seen)) = (service, look(pid))
            && seen.group == pid
            && !matches!(seen.state, b'Z' | b'X')
        {
            found.insert(service.to_owned(), ProcessId { pid, start_ticks: seen.start_ticks, boot_id: boot_id.to_owned() });
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_may_hold_anything() {
        let text = "42 (a) R 1 (b)) S 1 42 42 0 -1 4194560 1 2 3 4 50 7 0 0 20 0 3 0 12345 4096 99 18446744073709551615";
        let seen = Seen { state: b'S', group: 42, cpu_ticks: 57, threads: 3, start_ticks: 12345, resident_pages: 99 };
        assert_eq!(parse_stat(text), Some(seen));
        for bad in ["", "42", "42 (a)", "42 (a) S", "42 (a) S 1 x"] {
            assert_eq!(parse_stat(bad), None, "{bad}");
        }
    }

    #[test]
    fn this_process_is_itself_and_no_other() {
        let boot = boot_id();
        let me = ProcessId::of(std::process::id(), &boot).unwrap();
        assert!(me.alive(&boot).is_some());
        assert!(ProcessId { start_ticks: me.start_ticks + 1, ..me.clone() }.alive(&boot).is_none());
        assert!(me.alive("another boot").is_none());
        assert!(ProcessId::of(u32::MAX, &boot).is_none());
    }
}
