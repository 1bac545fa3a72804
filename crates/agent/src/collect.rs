//! The machine's own numbers, once a second, under node_exporter's names and labels, so that dashboards and rules fit.
//!
//! Files of /proc are opened once and read again at their beginning into one buffer. What costs more (filesystems, the
//! table of TCP connections) is read at its own, slower pace, in a thread of its own where it may hang.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use model::{Labels, Time};
use wire::link::duty::HostDuty;

use crate::clock::ServerClock;
use crate::outbox::{Outbox, SampleFrame};
use crate::supervise::{Supervisor, Usage};

mod filesystem;
mod kernel;
mod network;
mod procfile;
mod sockets;

use procfile::ProcFile;

/// How often filesystems are asked.
const FILESYSTEMS_EVERY: Duration = Duration::from_secs(15);
/// The table of connections may cost a thousandth of a core: so many times as long as its last reading took it rests.
const SOCKETS_REST: u32 = 1_000;
/// Longest rest.
const SOCKETS_REST_MAX: Duration = Duration::from_secs(30);
/// Most series that one host's agent makes up names for; beyond that the cache of names starts anew.
const SERIES_MAX: usize = 20_000;
/// Ticks of /proc/stat a second: USER_HZ is 100 on every architecture that this runs on.
pub const TICKS_PER_SECOND: f64 = 100.0;

/// Labels that are part of everything, and series by what distinguishes them.
#[derive(Default)]
pub struct Names {
    base: Vec<(String, String)>,
    known: HashMap<Box<str>, Labels>,
    scratch: String,
}

impl Names {
    /// For a host: `host`, `instance` and the labels of its configuration.
    pub fn of(duty: &HostDuty) -> Names {
        let mut base = vec![("host".to_owned(), duty.host.to_string())];
        let instance = if duty.config.address.is_empty() { duty.host.to_string() } else { duty.config.address.clone() };
        base.push(("instance".to_owned(), instance));
        for (name, value) in &duty.config.labels {
            if name != "host" && name != model::labels::METRIC_NAME {
                base.retain(|(have, _)| have != name);
                base.push((name.clone(), value.clone()));
            }
        }
        Names { base, ..Names::default() }
    }

    fn series(&mut self, metric: &str, own: &[(&str, &str)]) -> Option<Labels> {
        self.scratch.clear();
        self.scratch.push_str(metric);
        for (name, value) in own {
            for part in [name, value] {
                self.scratch.push('\0');
                self.scratch.push_str(part);
            }
        }
        if let Some(labels) = self.known.get(self.scratch.as_str()) {
            return Some(labels.clone());
        }
        let job = if metric.starts_with("node_") { "node" } else { "flyball" };
        let base = self.base.iter().map(|(name, value)| (name.as_str(), value.as_str()));
        let mut pairs: Vec<(&str, &str)> = vec![(model::labels::METRIC_NAME, metric)];
        pairs.extend_from_slice(own);
        for (name, value) in base.chain([("job", job)]) {
            if !pairs.iter().any(|(have, _)| *have == name) {
                pairs.push((name, value));
            }
        }
        match Labels::new(pairs) {
            Ok(labels) => {
                if self.known.len() >= SERIES_MAX {
                    self.known.clear();
                }
                self.known.insert(self.scratch.as_str().into(), labels.clone());
                Some(labels)
            }
            Err(error) => {
                tracing::debug!(metric, %error, "a sample was left out");
                None
            }
        }
    }
}

/// Where collectors put their samples.
pub struct Sink<'a> {
    names: &'a mut Names,
    rows: Vec<(Labels, f64)>,
}

impl<'a> Sink<'a> {
    /// An empty one.
    pub fn new(names: &'a mut Names) -> Sink<'a> {
        Sink { names, rows: Vec::new() }
    }

    /// One sample.
    pub fn put(&mut self, metric: &str, labels: &[(&str, &str)], value: f64) {
        if let Some(series) = self.names.series(metric, labels) {
            self.rows.push((series, value));
        }
    }

    /// All of it, taken at one instant.
    pub fn frame(self, time: Time) -> SampleFrame {
        SampleFrame { time, rows: self.rows }
    }
}

/// A file and what makes samples of its text.
type Reader = (ProcFile, fn(&str, &mut Sink<'_>));

/// Collects once a second.
pub struct Collector {
    clock: Arc<ServerClock>,
    outbox: Arc<Outbox>,
    supervisor: Arc<Supervisor>,
    readers: Vec<Reader>,
    buffer: String,
    names: Names,
    duty: Option<Arc<HostDuty>>,
    sockets: SlowReader<sockets::States>,
    filesystems: SlowReader<Vec<filesystem::Filesystem>>,
    last: Time,
}

/// Something that is read in a thread of its own, at its own pace.
struct SlowReader<T> {
    running: Option<tokio::task::JoinHandle<(T, Duration)>>,
    due: Instant,
}

impl<T: Send + 'static> SlowReader<T> {
    fn new() -> SlowReader<T> {
        SlowReader { running: None, due: Instant::now() }
    }

    /// What was read since the last call. A reading that hangs (a filesystem of a dead server) is waited for in its
    /// thread; no second one is started.
    async fn turn(&mut self, read: fn() -> T, rest: fn(Duration) -> Duration) -> Option<T> {
        if self.running.is_none() && Instant::now() >= self.due {
            self.running = Some(tokio::task::spawn_blocking(move || {
                let begun = Instant::now();
                (read(), begun.elapsed())
            }));
        }
        let running = self.running.as_mut()?;
        // Most readings take less than this, and then belong to this second.
        let (value, took) = tokio::time::timeout(Duration::from_millis(20), running).await.ok()?.ok()?;
        self.running = None;
        self.due = Instant::now() + rest(took);
        Some(value)
    }
}

impl Collector {
    /// Opens what is there; a kernel without some file has no such numbers.
    pub fn new(clock: Arc<ServerClock>, outbox: Arc<Outbox>, supervisor: Arc<Supervisor>) -> Collector {
        let readers: Vec<Reader> = vec![
            (ProcFile::new("/proc/stat"), kernel::stat),
            (ProcFile::new("/proc/loadavg"), kernel::load),
            (ProcFile::new("/proc/meminfo"), kernel::memory),
            (ProcFile::new("/proc/vmstat"), kernel::vmstat),
            (ProcFile::new("/proc/diskstats"), kernel::disks),
            (ProcFile::new("/proc/sys/fs/file-nr"), kernel::open_files),
            (ProcFile::new("/proc/pressure/cpu"), kernel::pressure_cpu),
            (ProcFile::new("/proc/pressure/io"), kernel::pressure_io),
            (ProcFile::new("/proc/pressure/memory"), kernel::pressure_memory),
            (ProcFile::new("/proc/net/dev"), network::devices),
            (ProcFile::new("/proc/net/snmp"), network::table),
            (ProcFile::new("/proc/net/netstat"), network::table),
            (ProcFile::new("/proc/net/snmp6"), network::list),
            (ProcFile::new("/proc/net/sockstat"), network::sockstat),
            (ProcFile::new("/proc/net/sockstat6"), network::sockstat),
        ];
        Collector {
            clock,
            outbox,
            supervisor,
            readers,
            buffer: String::new(),
            names: Names::default(),
            duty: None,
            sockets: SlowReader::new(),
            filesystems: SlowReader::new(),
            last: Time::MIN,
        }
    }

    /// Takes everything once and puts it into the outbox.
    pub async fn collect(&mut self, duty: &Arc<HostDuty>) {
        if self.duty.as_ref() != Some(duty) {
            self.names = Names::of(duty);
            self.duty = Some(duty.clone());
        }
        let machine = !duty.config.services_only;
        let (mut sockets, mut filesystems) = (None, None);
        if machine {
            sockets = self.sockets.turn(sockets::read, |took| (took * SOCKETS_REST).min(SOCKETS_REST_MAX)).await;
            filesystems = self.filesystems.turn(filesystem::read, |_| FILESYSTEMS_EVERY).await;
        }
        // The clock may be set back a little by the server; a series never goes back.
        let now = self.clock.now().max(Time(self.last.0.saturating_add(1)));
        self.last = now;
        let mut sink = Sink::new(&mut self.names);
        if machine {
            for (file, parse) in &mut self.readers {
                if file.read(&mut self.buffer) {
                    parse(&self.buffer, &mut sink);
                }
            }
            kernel::uname(&mut sink);
            sink.put("node_time_seconds", &[], crate::clock::host_now().secs_f64());
            if let Some(states) = sockets {
                states.put(&mut sink);
            }
            for filesystem in filesystems.iter().flatten() {
                filesystem.put(&mut sink);
            }
        }
        for usage in self.supervisor.usage() {
            service(&usage, &mut sink);
        }
        own(&self.clock, &self.outbox, &mut sink);
        self.outbox.samples(sink.frame(now));
    }
}

/// What a managed service uses: its own process, not those that it started.
fn service(usage: &Usage, sink: &mut Sink<'_>) {
    let labels = [("service", usage.service.as_str())];
    sink.put("flyball_service_up", &labels, if usage.process.is_some() { 1.0 } else { 0.0 });
    sink.put("flyball_service_restarts", &labels, f64::from(usage.restarts));
    if let Some((pid, seen)) = &usage.process {
        sink.put("flyball_service_cpu_seconds_total", &labels, seen.cpu_ticks as f64 / TICKS_PER_SECOND);
        sink.put("flyball_service_memory_bytes", &labels, (seen.resident_pages * page_size()) as f64);
        if let Some(limit) = memory_limit(*pid) {
            sink.put("flyball_service_memory_limit_bytes", &labels, limit as f64);
        }
        if let Some(share) = disk_share(*pid) {
            sink.put("flyball_service_disk_used_ratio", &labels, share);
        }
        sink.put("flyball_service_threads", &labels, seen.threads as f64);
        if let Ok(files) = std::fs::read_dir(format!("/proc/{pid}/fd")) {
            sink.put("flyball_service_open_files", &labels, files.count() as f64);
        }
    }
}

/// How much memory a process may use: what its control group allows, else what the machine has. In bytes.
fn memory_limit(pid: u32) -> Option<u64> {
    let machine = rustix::system::sysinfo();
    let machine = (machine.totalram as u64).checked_mul(u64::from(machine.mem_unit))?;
    let group = std::fs::read_to_string(format!("/proc/{pid}/cgroup")).ok();
    let group = group.as_deref().and_then(|text| text.lines().find_map(|line| line.strip_prefix("0::")));
    let allowed = group.and_then(|path| std::fs::read_to_string(format!("/sys/fs/cgroup{path}/memory.max")).ok());
    let allowed = allowed.and_then(|text| text.trim().parse::<u64>().ok());
    Some(allowed.map_or(machine, |allowed| allowed.min(machine)))
}

/// How much of the filesystem in which a process works is in use, 0 to 1, as programs without special rights see it.
fn disk_share(pid: u32) -> Option<f64> {
    let stat = rustix::fs::statvfs(format!("/proc/{pid}/cwd")).ok()?;
    let used = stat.f_blocks.checked_sub(stat.f_bfree)?;
    let all = used + stat.f_bavail;
    (all > 0).then(|| used as f64 / all as f64)
}

/// The agent's own health.
fn own(clock: &ServerClock, outbox: &Outbox, sink: &mut Sink<'_>) {
    sink.put("flyball_agent_dropped_samples_total", &[], outbox.samples_dropped() as f64);
    sink.put("flyball_agent_dropped_log_messages_total", &[], outbox.lines_dropped() as f64);
    sink.put("flyball_agent_clock_ahead_seconds", &[], clock.host_ahead_us() as f64 / 1e6);
    if let Some(seen) = crate::supervise::process::look(std::process::id()) {
        sink.put("flyball_agent_cpu_seconds_total", &[], seen.cpu_ticks as f64 / TICKS_PER_SECOND);
        sink.put("flyball_agent_memory_bytes", &[], (seen.resident_pages * page_size()) as f64);
    }
}

fn page_size() -> u64 {
    rustix::param::page_size() as u64
}

#[cfg(test)]
mod limits {
    use super::*;

    #[test]
    fn a_process_has_a_limit_and_a_disk() {
        let own = std::process::id();
        assert!(memory_limit(own).is_some_and(|limit| limit > 1 << 20));
        assert!(disk_share(own).is_some_and(|share| (0.0..=1.0).contains(&share)));
        assert_eq!(disk_share(u32::MAX), None);
    }
}

#[cfg(test)]
pub mod fixture {
    //! Text in, samples out.
    use super::{Names, Sink};

    /// What a parser makes of a text, one line per sample.
    pub fn samples(text: &str, parse: fn(&str, &mut Sink<'_>)) -> Vec<String> {
        let mut names = Names::default();
        let mut sink = Sink::new(&mut names);
        parse(text, &mut sink);
        let show = |(labels, value): &(model::Labels, f64)| format!("{} {value}", labels.without("job"));
        sink.rows.iter().map(show).collect()
    }

    /// Asserts that each of `expected` is among the samples.
    pub fn check(text: &str, parse: fn(&str, &mut Sink<'_>), expected: &[&str]) {
        let found = samples(text, parse);
        for line in expected {
            assert!(found.iter().any(|have| have == line), "no `{line}` in {found:#?}");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_of_the_host_and_its_configuration() {
        let json = r#"{"host":"web-1","config":{"address":"127.0.0.11","labels":{"zone":"a","host":"other","instance":"x"}}}"#;
        let duty: HostDuty = serde_json::from_str(json).unwrap();
        let mut names = Names::of(&duty);
        let series = names.series("node_load1", &[]).unwrap();
        assert_eq!(series.to_string(), r#"node_load1{host="web-1", instance="x", job="node", zone="a"}"#);
        assert_eq!(names.series("up", &[("zone", "b")]).unwrap().get("zone"), Some("b"));
        assert_eq!(names.series("node_load1", &[]).unwrap(), series);
    }
}
