//! The kernel's own counters: processors, load, memory, disks, pressure.
//!
//! Each function takes the text of one file and puts its samples; a line that it does not understand is left out.

use super::{Sink, TICKS_PER_SECOND};

/// Modes of /proc/stat in their order; guest times are part of user and nice and have their own metric.
const MODES: [&str; 8] = ["user", "nice", "system", "idle", "iowait", "irq", "softirq", "steal"];
const SECTOR_LEN: f64 = 512.0;

fn number(text: &str) -> Option<f64> {
    text.parse().ok()
}

/// /proc/stat
pub fn stat(text: &str, sink: &mut Sink<'_>) {
    for line in text.lines() {
        let mut words = line.split_ascii_whitespace();
        let Some(first) = words.next() else { continue };
        let single = match first {
            "intr" => "node_intr_total",
            "ctxt" => "node_context_switches_total",
            "processes" => "node_forks_total",
            "btime" => "node_boot_time_seconds",
            "procs_running" => "node_procs_running",
            "procs_blocked" => "node_procs_blocked",
            _ => {
                if let Some(cpu) = first.strip_prefix("cpu").filter(|cpu| !cpu.is_empty()) {
                    for (place, value) in words.filter_map(number).enumerate() {
                        let seconds = value / TICKS_PER_SECOND;
                        match (MODES.get(place), place) {
                            (Some(mode), _) => sink.put("node_cpu_seconds_total", &[("cpu", cpu), ("mode", mode)], seconds),
                            (None, 8) => sink.put("node_cpu_guest_seconds_total", &[("cpu", cpu), ("mode", "user")], seconds),
                            (None, 9) => sink.put("node_cpu_guest_seconds_total", &[("cpu", cpu), ("mode", "nice")], seconds),
                            _ => {}
                        }
                    }
                }
                continue;
            }
        };
        if let Some(value) = words.next().and_then(number) {
            sink.put(single, &[], value);
        }
    }
}

/// /proc/loadavg
pub fn load(text: &str, sink: &mut Sink<'_>) {
    for (metric, value) in ["node_load1", "node_load5", "node_load15"].into_iter().zip(text.split_ascii_whitespace()) {
        if let Some(value) = number(value) {
            sink.put(metric, &[], value);
        }
    }
}

/// /proc/meminfo
pub fn memory(text: &str, sink: &mut Sink<'_>) {
    let mut metric = String::new();
    for line in text.lines() {
        let Some((name, rest)) = line.split_once(':') else { continue };
        let mut words = rest.split_ascii_whitespace();
        let Some(value) = words.next().and_then(number) else { continue };
        metric.clear();
        metric.push_str("node_memory_");
        // `Active(anon)` becomes `Active_anon`.
        metric.extend(name.chars().filter(|c| *c != ')').map(|c| if c == '(' { '_' } else { c }));
        match words.next() {
            Some("kB") => {
                metric.push_str("_bytes");
                sink.put(&metric, &[], value * 1024.0);
            }
            _ => sink.put(&metric, &[], value),
        }
    }
}

/// /proc/vmstat: what node_exporter takes of it, `^(oom_kill|pgpg|pswp|pg.*fault).*`.
pub fn vmstat(text: &str, sink: &mut Sink<'_>) {
    let mut metric = String::new();
    for line in text.lines() {
        let Some((name, value)) = line.split_once(' ') else { continue };
        let wanted = ["oom_kill", "pgpg", "pswp"].iter().any(|head| name.starts_with(head))
            || (name.starts_with("pg") && name.contains("fault"));
        if let Some(value) = number(value).filter(|_| wanted) {
            metric.clear();
            metric.push_str("node_vmstat_");
            metric.push_str(name);
            sink.put(&metric, &[], value);
        }
    }
}

/// Fields of /proc/diskstats behind the name, with what one unit is.
const DISK: [(&str, f64); 17] = [
    ("node_disk_reads_completed_total", 1.0),
    ("node_disk_reads_merged_total", 1.0),
    ("node_disk_read_bytes_total", SECTOR_LEN),
    ("node_disk_read_time_seconds_total", 0.001),
    ("node_disk_writes_completed_total", 1.0),
    ("node_disk_writes_merged_total", 1.0),
    ("node_disk_written_bytes_total", SECTOR_LEN),
    ("node_disk_write_time_seconds_total", 0.001),
    ("node_disk_io_now", 1.0),
    ("node_disk_io_time_seconds_total", 0.001),
    ("node_disk_io_time_weighted_seconds_total", 0.001),
    ("node_disk_discards_completed_total", 1.0),
    ("node_disk_discards_merged_total", 1.0),
    ("node_disk_discarded_sectors_total", 1.0),
    ("node_disk_discard_time_seconds_total", 0.001),
    ("node_disk_flush_requests_total", 1.0),
    ("node_disk_flush_requests_time_seconds_total", 0.001),
];

/// /proc/diskstats
pub fn disks(text: &str, sink: &mut Sink<'_>) {
    for line in text.lines() {
        let mut words = line.split_ascii_whitespace().skip(2);
        let Some(device) = words.next().filter(|device| !is_left_out(device)) else { continue };
        for ((metric, unit), value) in DISK.iter().zip(words) {
            if let Some(value) = number(value) {
                sink.put(metric, &[("device", device)], value * unit);
            }
        }
    }
}

/// node_exporter's `^(z?ram|loop|fd|(h|s|v|xv)d[a-z]|nvme\d+n\d+p)\d+$`: what is no disk of its own.
fn is_left_out(device: &str) -> bool {
    let head = device.trim_end_matches(|c: char| c.is_ascii_digit());
    if head.len() == device.len() {
        return false;
    }
    let disk_letter = |prefix: &str| {
        head.strip_prefix(prefix).is_some_and(|letter| letter.len() == 1 && letter.as_bytes()[0].is_ascii_lowercase())
    };
    let nvme_partition = || {
        let rest = head.strip_prefix("nvme").and_then(|rest| rest.strip_suffix('p'));
        let digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
        rest.and_then(|rest| rest.split_once('n')).is_some_and(|(controller, space)| digits(controller) && digits(space))
    };
    matches!(head, "ram" | "zram" | "loop" | "fd") || ["hd", "sd", "vd", "xvd"].into_iter().any(disk_letter) || nvme_partition()
}

/// /proc/sys/fs/file-nr
pub fn open_files(text: &str, sink: &mut Sink<'_>) {
    let mut words = text.split_ascii_whitespace();
    if let (Some(allocated), _, Some(maximum)) = (words.next().and_then(number), words.next(), words.next().and_then(number)) {
        sink.put("node_filefd_allocated", &[], allocated);
        sink.put("node_filefd_maximum", &[], maximum);
    }
}

fn pressure(text: &str, waiting: &str, stalled: Option<&str>, sink: &mut Sink<'_>) {
    for line in text.lines() {
        let Some(total) = line.rsplit_once("total=").and_then(|(_, total)| number(total.trim())) else { continue };
        if line.starts_with("some ") {
            sink.put(waiting, &[], total / 1e6);
        } else if let Some(stalled) = stalled.filter(|_| line.starts_with("full ")) {
            sink.put(stalled, &[], total / 1e6);
        }
    }
}

/// /proc/pressure/cpu; its `full` line is always zero for a whole machine.
pub fn pressure_cpu(text: &str, sink: &mut Sink<'_>) {
    pressure(text, "node_pressure_cpu_waiting_seconds_total", None, sink);
}

/// /proc/pressure/io
pub fn pressure_io(text: &str, sink: &mut Sink<'_>) {
    pressure(text, "node_pressure_io_waiting_seconds_total", Some("node_pressure_io_stalled_seconds_total"), sink);
}

/// /proc/pressure/memory
pub fn pressure_memory(text: &str, sink: &mut Sink<'_>) {
    pressure(text, "node_pressure_memory_waiting_seconds_total", Some("node_pressure_memory_stalled_seconds_total"), sink);
}

/// What uname(2) says, as labels.
pub fn uname(sink: &mut Sink<'_>) {
    let uname = rustix::system::uname();
    let text = |text: &std::ffi::CStr| text.to_string_lossy().into_owned();
    let (sysname, release, version) = (text(uname.sysname()), text(uname.release()), text(uname.version()));
    let (machine, nodename) = (text(uname.machine()), text(uname.nodename()));
    let labels = [
        ("sysname", sysname.as_str()),
        ("release", &release),
        ("version", &version),
        ("machine", &machine),
        ("nodename", &nodename),
        ("domainname", "(none)"),
    ];
    sink.put("node_uname_info", &labels, 1.0);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::collect::fixture::{check, samples};

    #[test]
    fn processors_and_processes() {
        let text = "cpu  10 0 20 30 0 0 0 0 0 0\ncpu0 1050 2 300 98765 40 5 6 7 8 9\nintr 123456 0 9\nctxt 777\nbtime 1700000000\nprocesses 42\nprocs_running 3\nprocs_blocked 1\nsoftirq 1 2 3\n";
        check(
            text,
            stat,
            &[
                r#"node_cpu_seconds_total{cpu="0", mode="user"} 10.5"#,
                r#"node_cpu_seconds_total{cpu="0", mode="idle"} 987.65"#,
                r#"node_cpu_seconds_total{cpu="0", mode="steal"} 0.07"#,
                r#"node_cpu_guest_seconds_total{cpu="0", mode="nice"} 0.09"#,
                "node_intr_total 123456",
                "node_context_switches_total 777",
                "node_boot_time_seconds 1700000000",
                "node_forks_total 42",
                "node_procs_running 3",
                "node_procs_blocked 1",
            ],
        );
        assert_eq!(samples(text, stat).len(), 16);
        assert!(samples("cpu0 x y\nintr\n\n", stat).is_empty());
    }

    #[test]
    fn load_memory_files_and_pressure() {
        check("0.52 0.58 1.59 1/389 12345\n", load, &["node_load1 0.52", "node_load5 0.58", "node_load15 1.59"]);
        check(
            "MemTotal:       16384 kB\nActive(anon):    10 kB\nHugePages_Total:       3\nbroken\n",
            memory,
            &["node_memory_MemTotal_bytes 16777216", "node_memory_Active_anon_bytes 10240", "node_memory_HugePages_Total 3"],
        );
        check(
            "1024\t0\t9223372036854775807\n",
            open_files,
            &["node_filefd_allocated 1024", "node_filefd_maximum 9223372036854776000"],
        );
        let text = "some avg10=0.00 avg60=0.00 avg300=0.00 total=1500000\nfull avg10=0.00 avg60=0.00 avg300=0.00 total=500000\n";
        check(text, pressure_io, &["node_pressure_io_waiting_seconds_total 1.5", "node_pressure_io_stalled_seconds_total 0.5"]);
        assert_eq!(samples(text, pressure_cpu), ["node_pressure_cpu_waiting_seconds_total 1.5"]);
        let text = "nr_free_pages 5\npgpgin 1\npswpout 2\npgmajfault 3\noom_kill 4\npgalloc_dma 9\n";
        assert_eq!(
            samples(text, vmstat),
            ["node_vmstat_pgpgin 1", "node_vmstat_pswpout 2", "node_vmstat_pgmajfault 3", "node_vmstat_oom_kill 4"]
        );
    }

    #[test]
    fn disks_without_partitions() {
        let text = "   8       0 sda 100 1 2000 3000 50 2 1000 500 0 700 3500 1 2 3 4 5 6\n   8       1 sda1 1 1 1 1 1 1 1 1 1 1 1\n   7       0 loop0 1 0 2 3 0 0 0 0 0 0 0\n";
        let found = samples(text, disks);
        assert_eq!(found.len(), DISK.len());
        check(
            text,
            disks,
            &[
                r#"node_disk_read_bytes_total{device="sda"} 1024000"#,
                r#"node_disk_io_time_seconds_total{device="sda"} 0.7000000000000001"#,
                r#"node_disk_flush_requests_total{device="sda"} 5"#,
            ],
        );
        for (device, out) in [
            ("sda", false),
            ("sda1", true),
            ("vdb2", true),
            ("xvda1", true),
            ("nvme0n1", false),
            ("nvme0n1p2", true),
            ("dm-0", false),
            ("md127", false),
            ("zram0", true),
            ("sdaa1", false),
            ("mmcblk0", false),
        ] {
            assert_eq!(is_left_out(device), out, "{device}");
        }
    }
}
