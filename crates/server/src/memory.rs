//! How much memory this process may take: what the machine has, or what its control groups leave it.

use std::path::Path;

/// Bytes that this process may take; `None` where the system does not say.
pub fn limit() -> Option<u64> {
    let machine = std::fs::read_to_string("/proc/meminfo").ok().and_then(|text| total_of(&text));
    let own = std::fs::read_to_string("/proc/self/cgroup").ok();
    let group = own.and_then(|text| of_groups(&text, Path::new("/sys/fs/cgroup")));
    [machine, group].into_iter().flatten().min()
}

/// `MemTotal:       24573492 kB`
fn total_of(meminfo: &str) -> Option<u64> {
    let line = meminfo.lines().find_map(|line| line.strip_prefix("MemTotal:"))?;
    let kib: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kib * 1024)
}

/// The least limit on the way from the process' group up to the root: version 2 (`0::/a/b`) and version 1 (`4:memory:/a/b`).
fn of_groups(own: &str, root: &Path) -> Option<u64> {
    let mut least: Option<u64> = None;
    for line in own.lines() {
        let mut parts = line.splitn(3, ':');
        let (Some(_), Some(controllers), Some(path)) = (parts.next(), parts.next(), parts.next()) else { continue };
        let (base, file) = match controllers {
            "" => (root.to_owned(), "memory.max"),
            names if names.split(',').any(|name| name == "memory") => (root.join("memory"), "memory.limit_in_bytes"),
            _ => continue,
        };
        for ancestor in Path::new(path.trim_start_matches('/')).ancestors() {
            let text = std::fs::read_to_string(base.join(ancestor).join(file)).unwrap_or_default();
            // `max`, and numbers near the end of 64 bits, mean no limit.
            if let Ok(bytes) = text.trim().parse::<u64>()
                && bytes < 1 << 60
            {
                least = Some(least.map_or(bytes, |least| least.min(bytes)));
            }
        }
    }
    least
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_machine_has_some_memory() {
        assert!(limit().is_some_and(|bytes| bytes > 64 << 20));
        assert_eq!(total_of("MemTotal:       1024 kB\nMemFree: 3 kB\n"), Some(1 << 20));
        assert_eq!(total_of("nothing"), None);
    }

    #[test]
    fn the_least_limit_on_the_way_up_counts() {
        let root = tempfile::tempdir().unwrap();
        let write = |path: &str, text: &str| {
            let path = root.path().join(path);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        };
        write("a/memory.max", "1000000\n");
        write("a/b/memory.max", "max\n");
        assert_eq!(of_groups("0::/a/b\n", root.path()), Some(1_000_000));
        write("memory/c/memory.limit_in_bytes", "9223372036854771712\n");
        assert_eq!(of_groups("4:cpu,memory:/c\n", root.path()), None);
        write("memory/c/memory.limit_in_bytes", "500000\n");
        assert_eq!(of_groups("0::/a/b\n4:cpu,memory:/c\n", root.path()), Some(500_000));
    }
}
