//! Filesystems: how large, how full, by statvfs(2), which may hang on a dead file server and is called in a thread of its own.

use std::collections::BTreeSet;

use super::Sink;

/// Kinds that hold nothing, as node_exporter leaves them out.
const KINDS_LEFT_OUT: [&str; 25] = [
    "autofs",
    "binfmt_misc",
    "bpf",
    "cgroup",
    "cgroup2",
    "configfs",
    "debugfs",
    "devpts",
    "devtmpfs",
    "fusectl",
    "hugetlbfs",
    "iso9660",
    "mqueue",
    "nsfs",
    "overlay",
    "proc",
    "procfs",
    "pstore",
    "rpc_pipefs",
    "securityfs",
    "selinuxfs",
    "squashfs",
    "erofs",
    "sysfs",
    "tracefs",
];
/// Most filesystems that are asked.
const MOUNTS_MAX: usize = 500;

/// One filesystem.
#[derive(Clone, Debug, PartialEq)]
pub struct Filesystem {
    mount: Mount,
    numbers: Option<Numbers>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Mount {
    device: String,
    mountpoint: String,
    fstype: String,
    readonly: bool,
}

#[derive(Clone, Copy, Debug, PartialEq)]
struct Numbers {
    size: f64,
    free: f64,
    available: f64,
    files: f64,
    files_free: f64,
}

/// Asks every filesystem that counts.
pub fn read() -> Vec<Filesystem> {
    // The first process's view is the machine's; a container may not look at it.
    let text = std::fs::read_to_string("/proc/1/mounts").or_else(|_| std::fs::read_to_string("/proc/self/mounts"));
    let ask = |mount: Mount| {
        let numbers = rustix::fs::statvfs(mount.mountpoint.as_str()).ok().map(|found| {
            let block = found.f_frsize as f64;
            Numbers {
                size: found.f_blocks as f64 * block,
                free: found.f_bfree as f64 * block,
                available: found.f_bavail as f64 * block,
                files: found.f_files as f64,
                files_free: found.f_ffree as f64,
            }
        });
        Filesystem { mount, numbers }
    };
    mounts(&text.unwrap_or_default()).into_iter().map(ask).collect()
}

fn mounts(text: &str) -> Vec<Mount> {
    let mut seen = BTreeSet::new();
    let mut found = Vec::new();
    for line in text.lines() {
        let mut words = line.split(' ');
        let (Some(device), Some(mountpoint), Some(fstype), Some(options)) =
            (words.next(), words.next(), words.next(), words.next())
        else {
            continue;
        };
        let (device, mountpoint) = (unescape(device), unescape(mountpoint));
        let counts = !KINDS_LEFT_OUT.contains(&fstype) && !is_left_out(&mountpoint);
        if counts && found.len() < MOUNTS_MAX && seen.insert((device.clone(), mountpoint.clone())) {
            let readonly = options.split(',').any(|option| option == "ro");
            found.push(Mount { device, mountpoint, fstype: fstype.to_owned(), readonly });
        }
    }
    found
}

/// node_exporter's `^/(dev|proc|run/credentials/.+|sys|var/lib/docker/.+|var/lib/containers/storage/.+)($|/)`.
fn is_left_out(mountpoint: &str) -> bool {
    let under = |folder: &str| mountpoint.strip_prefix(folder).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'));
    let within = |folder: &str| mountpoint.strip_prefix(folder).is_some_and(|rest| !rest.is_empty());
    under("/dev")
        || under("/proc")
        || under("/sys")
        || within("/run/credentials/")
        || within("/var/lib/docker/")
        || within("/var/lib/containers/storage/")
}

/// The kernel writes a space as `\040`.
fn unescape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(place) = rest.find('\\') {
        out.push_str(&rest[..place]);
        let code = rest.get(place + 1..place + 4).and_then(|digits| u8::from_str_radix(digits, 8).ok());
        match code.filter(u8::is_ascii) {
            Some(code) => {
                out.push(char::from(code));
                rest = &rest[place + 4..];
            }
            None => {
                out.push('\\');
                rest = &rest[place + 1..];
            }
        }
    }
    out.push_str(rest);
    out
}

impl Filesystem {
    /// Puts its samples.
    pub fn put(&self, sink: &mut Sink<'_>) {
        let Mount { device, mountpoint, fstype, readonly } = &self.mount;
        let labels = [("device", device.as_str()), ("mountpoint", mountpoint), ("fstype", fstype)];
        sink.put("node_filesystem_device_error", &labels, if self.numbers.is_none() { 1.0 } else { 0.0 });
        sink.put("node_filesystem_readonly", &labels, if *readonly { 1.0 } else { 0.0 });
        if let Some(numbers) = &self.numbers {
            sink.put("node_filesystem_size_bytes", &labels, numbers.size);
            sink.put("node_filesystem_free_bytes", &labels, numbers.free);
            sink.put("node_filesystem_avail_bytes", &labels, numbers.available);
            sink.put("node_filesystem_files", &labels, numbers.files);
            sink.put("node_filesystem_files_free", &labels, numbers.files_free);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::collect::fixture::samples;

    #[test]
    fn what_counts_and_how_it_is_written() {
        let text = "/dev/sda1 / ext4 rw,relatime 0 0\nproc /proc proc rw 0 0\ntmpfs /dev/shm tmpfs rw 0 0\n/dev/sdb1 /mnt/my\\040disk xfs ro,noatime 0 0\n/dev/sda1 / ext4 rw 0 0\noverlay /var/lib/docker/overlay2/x/merged overlay rw 0 0\n/dev/sdc /var/lib/docker ext4 rw 0 0\ntmpfs /run tmpfs rw 0 0\nbroken\n";
        let found: Vec<_> = mounts(text).into_iter().map(|mount| (mount.mountpoint, mount.readonly)).collect();
        assert_eq!(
            found,
            [("/".into(), false), ("/mnt/my disk".into(), true), ("/var/lib/docker".into(), false), ("/run".into(), false)]
        );
        assert_eq!(unescape(r"a\134b\x\04"), r"a\b\x\04");
    }

    #[test]
    fn one_that_does_not_answer_says_so() {
        let lines = samples("/dev/x /nowhere/at/all ext4 rw 0 0", |text, sink| {
            for mount in mounts(text) {
                Filesystem { mount, numbers: None }.put(sink);
            }
        });
        assert_eq!(lines[0], r#"node_filesystem_device_error{device="/dev/x", fstype="ext4", mountpoint="/nowhere/at/all"} 1"#);
        assert_eq!(lines.len(), 2);
    }
}
