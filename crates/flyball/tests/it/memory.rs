//! F-09: far more new series than fit, against a server in half a gigabyte. Who churns is refused and told why, who was there before
//! goes on, nothing that was acknowledged is lost, and there is room again when the churn has ended.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use crate::rig::{FLYBALL, Up, encode, report, request, with_clock_of, within};

/// What the server may have: in full size, and in the small one, where less is enough to be too little.
const LIMIT: u64 = 512 << 20;
const LIMIT_SMALL: u64 = 256 << 20;
/// Bodies of the full size, and of the small one.
const BODIES: u64 = 10_000;
const BODIES_SMALL: u64 = 210;
/// New series in a body of a sender that churns, and how many of those senders there are.
const PER_BODY: u64 = 1_000;
const CHURNERS: u64 = 4;
/// Series that are known, and how often each gets a sample.
const KNOWN: u64 = 1_000;
const KNOWN_EVERY: Duration = Duration::from_millis(250);

/// A control group with a limit of memory, removed with the test. Version 2 of control groups or version 1.
struct Group(PathBuf);

impl Group {
    /// None where this process may not make one.
    fn make(limit: u64) -> Option<Group> {
        let own = std::fs::read_to_string("/proc/self/cgroup").ok()?;
        let name = format!("flyball-f09-{}", std::process::id());
        for line in own.lines() {
            let mut parts = line.splitn(3, ':').skip(1);
            let (base, file) = match parts.next()? {
                "" => ("/sys/fs/cgroup", "memory.max"),
                "memory" => ("/sys/fs/cgroup/memory", "memory.limit_in_bytes"),
                _ => continue,
            };
            for parent in [Path::new(base).join(parts.next()?.trim_start_matches('/')), PathBuf::from(base)] {
                let group = parent.join(&name);
                if !parent.join("cgroup.procs").is_file() || std::fs::create_dir(&group).is_err() {
                    continue;
                }
                let group = Group(group);
                let limited = std::fs::write(group.0.join(file), limit.to_string());
                let read = std::fs::read_to_string(group.0.join(file)).unwrap_or_default();
                if limited.is_ok() && read.trim() == limit.to_string() {
                    return Some(group);
                }
            }
        }
        None
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        // A process that has just ended may be in it for a moment.
        for _ in 0..100 {
            if std::fs::remove_dir(&self.0).is_ok() {
                return;
            }
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}

/// Starts the server in the group; without one, with as many series as fit into its memory.
fn start(group: Option<&Group>, data: &Path, clock: Option<&Path>) -> Up {
    let mut command = Command::new("sh");
    match group {
        Some(group) => command.args(["-c", "echo $$ > \"$0/cgroup.procs\" && exec \"$@\""]).arg(&group.0).arg(FLYBALL),
        None => command.args(["-c", "exec \"$@\" --series-max 150000"]).arg("sh").arg(FLYBALL),
    };
    command.args(["up", "--listen", "127.0.0.1:0", "--data"]).arg(data);
    if let Some(shift) = clock {
        with_clock_of(&mut command, shift);
        // The monotonic clock too: flyball's own time follows that one, and the wall clock by a thousandth only.
        command.env_remove("FAKETIME_DONT_FAKE_MONOTONIC");
    }
    Up::run(command, |_| data.to_owned())
}

/// A figure of `/proc/PID/status` in bytes.
fn status(pid: u32, name: &str) -> u64 {
    let text = std::fs::read_to_string(format!("/proc/{pid}/status")).expect("the server runs");
    let line = text.lines().find_map(|line| line.strip_prefix(name)).expect("the kernel knows it");
    let kib: u64 = line.trim_start_matches(':').trim().trim_end_matches(" kB").parse().expect("in kB");
    kib << 10
}

fn varint(out: &mut Vec<u8>, mut number: u64) {
    while number >= 0x80 {
        out.push(number as u8 | 0x80);
        number >>= 7;
    }
    out.push(number as u8);
}

fn bytes(out: &mut Vec<u8>, field: u8, content: &[u8]) {
    out.push(field << 3 | 2);
    varint(out, content.len() as u64);
    out.extend_from_slice(content);
}

/// A remote-write request of one sample for each series; labels come sorted.
#[derive(Default)]
struct Body {
    plain: Vec<u8>,
    series: Vec<u8>,
    part: Vec<u8>,
}

impl Body {
    fn push(&mut self, labels: &[(&str, &str)], millis: u64, value: f64) {
        self.series.clear();
        for (name, text) in labels {
            self.part.clear();
            bytes(&mut self.part, 1, name.as_bytes());
            bytes(&mut self.part, 2, text.as_bytes());
            bytes(&mut self.series, 1, &self.part);
        }
        self.part.clear();
        self.part.push(0x09);
        self.part.extend_from_slice(&value.to_le_bytes());
        self.part.push(0x10);
        varint(&mut self.part, millis);
        bytes(&mut self.series, 2, &self.part);
        bytes(&mut self.plain, 1, &self.series);
    }

    fn send(&self, address: &str, token: &str) -> (u16, String) {
        let packed = snap::raw::Encoder::new().compress_vec(&self.plain).expect("a short body");
        let token = format!("Bearer {token}");
        let headers = [("authorization", &*token), ("content-type", "application/x-protobuf"), ("content-encoding", "snappy")];
        request(address, "POST", "/api/v1/write", &headers, &packed)
    }
}

fn now_millis() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970").as_millis() as u64
}

/// The label that makes the series of a body different from all before: what an access log's request id would be.
fn request_id(series: u64) -> String {
    format!("{:016x}", series.wrapping_mul(0x9e37_79b9_7f4a_7c15))
}

fn churn(first: u64, namespace: &str, millis: u64) -> Body {
    let mut body = Body::default();
    for series in first..first + PER_BODY {
        let (id, pod) = (request_id(series), format!("shop-7d9f8b6c5-{}", series % 40));
        let labels = [
            ("__name__", "churn_requests_total"),
            ("code", if series.is_multiple_of(9) { "500" } else { "200" }),
            ("instance", "10.11.12.13:9100"),
            ("job", "shop"),
            ("method", "GET"),
            ("namespace", namespace),
            ("pod", &pod),
            ("request_id", &id),
        ];
        body.push(&labels, millis, series as f64);
    }
    body
}

fn known(round: u64, millis: u64) -> Body {
    let mut body = Body::default();
    for series in 0..KNOWN {
        let host = format!("host-{series}");
        body.push(&[("__name__", "known_load"), ("instance", &host), ("job", "node")], millis, round as f64);
    }
    body
}

/// What became of what was sent.
#[derive(Default)]
struct Told {
    accepted: AtomicU64,
    whole: AtomicU64,
    part: AtomicU64,
    refused: AtomicU64,
    /// Series whose body was taken whole.
    examples: Mutex<Vec<u64>>,
    /// The last sentence of a 429, and all answers that nobody expects.
    sentence: Mutex<String>,
    odd: Mutex<Vec<String>>,
}

impl Told {
    fn note(&self, first: u64, (status, said): (u16, String)) {
        let kept = said.strip_prefix("partial write, ").and_then(|rest| rest.split(' ').next()?.parse().ok());
        match (status, kept) {
            (204, _) => {
                self.accepted.fetch_add(PER_BODY, Relaxed);
                self.whole.fetch_add(1, Relaxed);
                self.examples.lock().unwrap_or_else(PoisonError::into_inner).push(first);
            }
            (400, Some(kept)) if said.contains("label `request_id`") => {
                self.accepted.fetch_add(kept, Relaxed);
                self.part.fetch_add(1, Relaxed);
            }
            (429, Some(0)) if said.contains("label `request_id`") => {
                self.refused.fetch_add(1, Relaxed);
                *self.sentence.lock().unwrap_or_else(PoisonError::into_inner) = said;
            }
            _ => self.odd.lock().unwrap_or_else(PoisonError::into_inner).push(format!("{status}: {said}")),
        }
    }
}

/// The time that all but a hundredth stay below, in milliseconds.
fn p99(mut times: Vec<Duration>) -> f64 {
    times.sort_unstable();
    times.get((times.len() * 99).div_ceil(100).saturating_sub(1)).map_or(0.0, |time| time.as_secs_f64() * 1e3)
}

/// How many series that a selector names are in memory.
fn series_of(up: &Up, selector: &str) -> u64 {
    let counted = up.json(&format!("/api/flyball/v1/store/cardinality?limit=1&match[]={}", encode(selector)));
    counted["series"].as_u64().expect("a count")
}

/// How often memory was written into parts.
fn flushes(up: &Up) -> u64 {
    let (_, text) = up.get("/metrics");
    let line = text.lines().find_map(|line| line.strip_prefix("flyball_store_checkpoints_total "));
    line.and_then(|count| count.trim().parse::<f64>().ok()).expect("a figure of the store") as u64
}

/// All samples of the known series, and the samples of some that churned: what was acknowledged is there.
fn assert_all_there(up: &Up, known_rounds: u64, examples: &[u64]) {
    let rounds = known_rounds as f64;
    assert_eq!(up.value("sum(count_over_time(known_load[2h]))"), Some(rounds * KNOWN as f64));
    assert_eq!(up.value("sum(sum_over_time(known_load[2h]))"), Some(rounds * (rounds - 1.0) / 2.0 * KNOWN as f64));
    for series in examples {
        let id = request_id(*series);
        let found = up.value(&format!("last_over_time(churn_requests_total{{request_id=\"{id}\"}}[2h])"));
        assert_eq!(found, Some(*series as f64), "{id}");
    }
}

#[test]
fn f09_more_new_series_than_memory() {
    let bodies: u64 = std::env::var("FLYBALL_SEEDS").ok().and_then(|text| text.parse().ok()).unwrap_or(BODIES_SMALL);
    let is_full = bodies >= BODIES;
    let limit = if is_full { LIMIT } else { LIMIT_SMALL };
    // 480 MiB of 512.
    let rss_max = limit / 16 * 15;
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let group = Group::make(limit);
    assert!(group.is_some() || !is_full, "the full size needs a control group: run it with the right to make one");
    let up = start(group.as_ref(), &data, None);

    // Ten million in a minute, or as many of them as this size has in their part of it.
    let pause = Duration::from_secs(60) * CHURNERS as u32 / BODIES as u32;
    let (told, done) = (Told::default(), AtomicBool::new(false));
    let (known_rounds, known_times) = (AtomicU64::new(0), Mutex::new(Vec::new()));
    let (quiet, during) = (Mutex::new(Vec::new()), Mutex::new(Vec::new()));
    let (churning, began) = (AtomicBool::new(false), Mutex::new(Instant::now()));
    let (address, token) = (&up.address, &up.token);
    std::thread::scope(|scope| {
        let beside_known = scope.spawn(|| {
            while !done.load(Relaxed) {
                let (sent, round) = (Instant::now(), known_rounds.load(Relaxed));
                let (status, said) = known(round, now_millis()).send(address, token);
                assert_eq!(status, 204, "a known series in round {round}: {said}");
                known_rounds.fetch_add(1, Relaxed);
                known_times.lock().unwrap().push(sent.elapsed());
                std::thread::sleep(KNOWN_EVERY.saturating_sub(sent.elapsed()));
            }
        });
        let beside_queries = scope.spawn(|| {
            while !done.load(Relaxed) {
                let asked = Instant::now();
                let (status, said) = up.get("/api/v1/query?query=sum(known_load)");
                assert_eq!(status, 200, "{said}");
                let times = if churning.load(Relaxed) { &during } else { &quiet };
                times.lock().unwrap().push(asked.elapsed());
                std::thread::sleep(Duration::from_millis(20));
            }
        });
        std::thread::sleep(Duration::from_secs(if is_full { 10 } else { 1 }));
        churning.store(true, Relaxed);
        *began.lock().unwrap() = Instant::now();
        let start = Instant::now();
        let churners: Vec<_> = (0..CHURNERS)
            .map(|churner| {
                let told = &told;
                scope.spawn(move || {
                    for (turn, body) in (churner..bodies).step_by(CHURNERS as usize).enumerate() {
                        std::thread::sleep((start + pause * turn as u32).saturating_duration_since(Instant::now()));
                        let first = body * PER_BODY;
                        told.note(first, churn(first, "production", now_millis()).send(address, token));
                    }
                })
            })
            .collect();
        let ended: Vec<_> = churners.into_iter().map(|churner| churner.join()).collect();
        let took = start.elapsed();
        done.store(true, Relaxed);
        let ended = ended.into_iter().chain([beside_known.join(), beside_queries.join()]);
        assert_eq!(ended.filter(Result::is_err).count(), 0, "a sender failed; server: {}", up.log());
        report(&format!("{} new series sent in {:.1} s", bodies * PER_BODY, took.as_secs_f64()));
    });
    assert!(told.odd.lock().unwrap().is_empty(), "{:?}", told.odd.lock().unwrap().iter().take(5).collect::<Vec<_>>());

    let (rss, rounds) = (status(up.pid(), "VmHWM"), known_rounds.load(Relaxed));
    let (accepted, refused) = (told.accepted.load(Relaxed), told.refused.load(Relaxed));
    report(&format!("memory: {} MiB resident at most, in a group: {}", rss >> 20, group.is_some()));
    report(&format!(
        "bodies: {} whole, {} in part, {refused} answered 429; {accepted} new series taken",
        told.whole.load(Relaxed),
        told.part.load(Relaxed)
    ));
    report(&format!("429 says: {}", told.sentence.lock().unwrap().trim()));
    report(&format!(
        "known series: {} samples, each body acknowledged, p99 {:.1} ms",
        rounds * KNOWN,
        p99(known_times.into_inner().unwrap())
    ));
    let (quiet, during) = (p99(quiet.into_inner().unwrap()), p99(during.into_inner().unwrap()));
    report(&format!("queries of another: p99 {quiet:.1} ms quiet, {during:.1} ms in the churn"));
    assert!(rss <= rss_max, "{} MiB", rss >> 20);
    assert!(refused > 0, "the churn was too small to be refused: {accepted} taken");
    assert!(told.sentence.lock().unwrap().contains("the store"), "{}", told.sentence.lock().unwrap());
    assert_eq!(series_of(&up, "churn_requests_total"), accepted);
    let examples = told.examples.into_inner().unwrap();
    let examples: Vec<u64> =
        examples.iter().step_by(examples.len() / 20 + 1).map(|first| first + first / PER_BODY % PER_BODY).collect();
    assert_all_there(&up, rounds, &examples);

    // Killed, it opens within the same memory, and has everything.
    up.kill();
    let shift = folder.path().join("shift");
    std::fs::write(&shift, "+0\n").unwrap();
    let opening = Instant::now();
    let up = start(group.as_ref(), &data, Some(&shift));
    report(&format!("opened again in {:.1} s, {} MiB", opening.elapsed().as_secs_f64(), status(up.pid(), "VmHWM") >> 20));
    assert_eq!(series_of(&up, "churn_requests_total"), accepted);
    assert_all_there(&up, rounds, &examples);

    // The churn is over: who asks again finds room a while later, in the end all of it.
    let (again, mut moved, mut turn, mut room_at) = (Told::default(), 0, bodies, None);
    let refused = || again.refused.load(Relaxed) + again.part.load(Relaxed);
    within("the idle ones have left", || {
        // Where there is room nobody has to leave: it is taken.
        let before = refused();
        while refused() == before && again.odd.lock().unwrap().is_empty() {
            let first = turn * PER_BODY;
            again.note(first, churn(first, "again", now_millis() + moved * 1_000).send(&up.address, &up.token));
            turn += 1;
        }
        assert!(again.odd.lock().unwrap().is_empty(), "{:?}", again.odd.lock().unwrap());
        if again.whole.load(Relaxed) > 0 {
            room_at.get_or_insert(moved);
        }
        if series_of(&up, "churn_requests_total{namespace=\"production\"}") == 0 {
            return Some(());
        }
        let flushed = flushes(&up);
        moved += 360;
        std::fs::write(&shift, format!("+{moved}\n")).unwrap();
        // Refused as from the future until the server sees the new time; then it makes room beside what it answers.
        within("known series go on at the new time", || {
            let (status, _) = known(rounds, now_millis() + moved * 1_000).send(&up.address, &up.token);
            (status == 204).then_some(())
        });
        within("a flush for room", || (flushes(&up) > flushed).then_some(()));
        None
    });
    let room_at = room_at.expect("who left made room");
    report(&format!(
        "room again {} min after the churn, {} refusals later, for {} series; all idle ones left after {} min",
        room_at / 60,
        refused(),
        again.accepted.load(Relaxed),
        moved / 60
    ));
    assert!((600..=1_800).contains(&room_at) && moved <= 1_800, "{room_at} s, {moved} s");
    for series in &examples {
        let query = format!("last_over_time(churn_requests_total{{request_id=\"{}\"}}[2h])", request_id(*series));
        assert_eq!(up.value(&query), Some(*series as f64), "{}", encode(&query));
    }
    let rss = status(up.pid(), "VmHWM");
    report(&format!("memory after the start: {} MiB resident at most", rss >> 20));
    assert!(rss <= rss_max, "{} MiB", rss >> 20);
}
