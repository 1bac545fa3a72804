//! Releases under real traffic on the demo's four servers: how fast bad ones are halted and back, what they cost, and how many good
//! ones are halted for nothing. Judged from outside: answers as a client gets them, HAProxy's own socket, each server asked itself.

use std::io::{Error, Read, Result, Write};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::figures::{Figure, Of, Part};
use crate::http::Client;
use crate::process::{PATIENCE, Program, within};
use crate::traffic::{Traffic, now};

/// Requests per second.
const RATE: u32 = 500;
/// Errors of a version that is well, and of one that is not.
const WELL: f64 = 0.001;
const BAD: f64 = 0.1;
/// The share of bad answers of the demo's own rule is below its limit again: nothing of the last release is left.
const CALM: &str = "100 * sum(rate(shop_bad_answers_total[5s])) / sum(rate(shop_requests_total[5s])) <= 0.5";

/// The demo's shop with our traffic.
struct Shop {
    program: Program,
    traffic: Traffic,
    socket: PathBuf,
    servers: Vec<(String, String)>,
    artifacts: PathBuf,
}

/// What became of a release.
struct Story {
    state: String,
    began: i64,
    ended: i64,
    /// Servers that were touched until it was halted.
    touched: usize,
    halted: Option<i64>,
    /// Why, as the order says it.
    because: String,
    /// The old version was in the balancer everywhere.
    back: Option<i64>,
}

/// So many bad releases, one after the other.
pub fn run_bad(flyball: &Path, folder: &Path, releases: usize, tell: fn(&str)) -> Result<Part> {
    let mut part = Part::begin("bad-release");
    let shop = Shop::start(flyball, folder, "10s")?;
    let (mut to_halt, mut to_back, mut failed, mut touched, mut cost) = (vec![], vec![], vec![], vec![], vec![]);
    let (mut old_bad, mut whats, mut others) = (0, Vec::new(), 0);
    let mut old = "5.0.0".to_owned();
    shop.on_line(&old, WELL)?;
    let mut early = 0;
    for number in 1..=releases + releases / 4 + 1 {
        // What was halted before it answered anything says nothing about the judge: another one takes its place, and it is told.
        if number > releases + early {
            break;
        }
        let bad = format!("5.{number}.0");
        shop.push(&bad, BAD)?;
        shop.calm()?;
        let story = shop.release(&bad, &old)?;
        let seen = shop.traffic.seen.bad_since(story.began);
        let of = |version: &str| -> Vec<i64> {
            seen.iter().filter(|bad| bad.release.as_deref() == Some(version)).map(|bad| bad.at).collect()
        };
        let by_bad = of(&bad);
        let first_bad = by_bad.iter().min().copied();
        if let (Some(first), Some(halted)) = (first_bad, story.halted) {
            to_halt.push((halted - first) as f64 / 1e6);
        }
        if let (Some(halted), Some(back)) = (story.halted, story.back) {
            to_back.push((back - halted) as f64 / 1e6);
        }
        let nobody: Vec<_> = seen.iter().filter(|bad| bad.release.is_none()).collect();
        whats.extend(nobody.iter().map(|bad| format!("+{:.2} s {}", (bad.at - story.began) as f64 / 1e6, bad.what)));
        failed.push(nobody.len() as f64);
        touched.push(story.touched as f64);
        cost.push(by_bad.len() as f64);
        old_bad += of(&old).len();
        tell(&format!(
            "  bad release {number} of {releases}: {}, first bad answer -> halted {:.2} s, -> back {:.2} s, {} bad answers, {} failed, {} servers touched",
            story.state,
            to_halt.last().copied().unwrap_or(f64::NAN),
            to_back.last().copied().unwrap_or(f64::NAN),
            by_bad.len(),
            nobody.len(),
            story.touched,
        ));
        if first_bad.is_none() {
            early += 1;
            tell(&format!("    it never answered badly: {}", story.because));
        }
        if story.state != "rolled_back" {
            others += 1;
            old = format!("5.{number}.1");
            shop.on_line(&old, WELL)?;
        }
    }
    part.figures.push(
        Figure::new("first bad answer -> halted", "s", to_halt).at_most(Of::Median, 1.5).at_most(Of::Max, 3.0).needs(releases).note(
            format!(
                "{releases} releases, {RATE} requests/s over {} servers, {} % of the bad and {} % of the old version's answers are errors, by chance; not rolled back: {others}, halted before any bad answer: {early}",
                shop.servers.len(),
                BAD * 100.0,
                WELL * 100.0
            ),
        ),
    );
    part.figures.push(
        Figure::new("halted -> old version in the balancer everywhere", "s", to_back).at_most(Of::Max, 5.0).needs(releases),
    );
    part.figures.push(
        Figure::new("failed requests that no version answered, per release", "", failed)
            .at_most(Of::Sum, 0.0)
            .needs(releases)
            .note(format!("the old version itself answered {old_bad} with its own errors{}", told(&whats))),
    );
    part.figures.push(Figure::new("  bad answers of the bad version, per release", "", cost));
    part.figures.push(Figure::new("  servers touched before it was halted", "", touched));
    Ok(part)
}

/// So many good releases, on `beside` shops at once.
pub fn run_good(flyball: &Path, folder: &Path, releases: usize, beside: usize, tell: fn(&str)) -> Result<Part> {
    let mut part = Part::begin("good-release");
    let next = AtomicUsize::new(1);
    let results = Mutex::new(Vec::new());
    std::thread::scope(|scope| -> Result<()> {
        let mut shops = Vec::new();
        for number in 0..beside {
            let folder = folder.join(number.to_string());
            std::fs::create_dir_all(&folder)?;
            let shop = Shop::start(flyball, &folder, "2s")?;
            shops.push(scope.spawn({
                let (next, results) = (&next, &results);
                move || releases_on(&shop, next, releases, results, tell)
            }));
        }
        for shop in shops {
            shop.join().map_err(|_| Error::other("a shop's run broke"))??;
        }
        Ok(())
    })?;
    let results = results.into_inner().unwrap_or_else(|poisoned| poisoned.into_inner());
    let whats: Vec<String> = results.iter().flat_map(|(_, _, _, whats)| whats.clone()).collect();
    part.figures.push(
        Figure::new("good releases halted", "", results.iter().map(|(halted, ..)| *halted).collect())
            .at_most(Of::Sum, 1.0)
            .needs(releases)
            .note(format!(
                "{releases} releases watched for 2 s a batch, {} % of both versions' answers are errors, by chance; {beside} shops at once, {RATE} requests/s each",
                WELL * 100.0
            )),
    );
    part.figures.push(
        Figure::new(
            "failed requests that no version answered, per release",
            "",
            results.iter().map(|(_, failed, ..)| *failed).collect(),
        )
        .at_most(Of::Sum, 0.0)
        .needs(releases)
        .note(told(&whats)),
    );
    part.figures.push(Figure::new(
        "  a good release on four servers",
        "s",
        results.iter().map(|(_, _, took, _)| *took).collect(),
    ));
    Ok(part)
}

/// Halted (1 or 0), failed requests, seconds, what failed.
type Good = (f64, f64, f64, Vec<String>);

fn releases_on(shop: &Shop, next: &AtomicUsize, releases: usize, results: &Mutex<Vec<Good>>, tell: fn(&str)) -> Result<()> {
    let mut old = "6.0.0".to_owned();
    shop.on_line(&old, WELL)?;
    loop {
        let number = next.fetch_add(1, Ordering::Relaxed);
        if number > releases {
            return Ok(());
        }
        let version = format!("6.{number}.0");
        shop.push(&version, WELL)?;
        shop.calm()?;
        let story = shop.release(&version, &old)?;
        let nobody: Vec<_> = shop.traffic.seen.bad_since(story.began).into_iter().filter(|bad| bad.release.is_none()).collect();
        let whats: Vec<String> =
            nobody.iter().map(|bad| format!("+{:.2} s {}", (bad.at - story.began) as f64 / 1e6, bad.what)).collect();
        let halted = story.halted.is_some() || story.state != "done";
        let took = (story.ended - story.began) as f64 / 1e6;
        tell(&format!(
            "  good release {number} of {releases}: {} in {took:.1} s, {} failed {}",
            story.state,
            nobody.len(),
            story.because
        ));
        let result = (f64::from(u8::from(halted)), nobody.len() as f64, took, whats);
        results.lock().unwrap_or_else(|poisoned| poisoned.into_inner()).push(result);
        if !halted {
            old = version;
        }
    }
}

fn told(whats: &[String]) -> String {
    match whats {
        [] => String::new(),
        some => format!("; failed: {}{}", some[..some.len().min(8)].join("; "), if some.len() > 8 { " .." } else { "" }),
    }
}

impl Shop {
    fn start(flyball: &Path, folder: &Path, watch: &str) -> Result<Shop> {
        // The demo's own traffic stays at its least: ours is counted.
        let args = ["--demo", "--demo-watch", watch, "--demo-rate", "1"];
        let program = Program::serve(flyball, "up", &folder.join("d"), &args)?;
        let text = std::fs::read_to_string(program.data.join("demo/haproxy.cfg"))?;
        let front = text.lines().find_map(|line| line.trim().strip_prefix("bind ")).unwrap_or_default().to_owned();
        let servers: Vec<(String, String)> = text
            .lines()
            .filter_map(|line| {
                let mut words = line.trim().strip_prefix("server ")?.split(' ');
                Some((words.next()?.to_owned(), words.next()?.to_owned()))
            })
            .collect();
        let mut client = program.client();
        within("the demo's first release", || {
            let orders = client.json("/api/flyball/v1/orders").ok()?;
            (orders.as_array()?.last()?["state"] == "done").then_some(())
        })
        .map_err(|error| Error::other(format!("{error}: {}", program.last_words())))?;
        let traffic = Traffic::start(&front, RATE);
        let socket = program.data.join("demo/haproxy.sock");
        Ok(Shop { traffic, socket, servers, artifacts: folder.to_owned(), program })
    }

    /// Makes this version, well, the one that the next release is compared with.
    fn on_line(&self, version: &str, share: f64) -> Result<()> {
        self.push(version, share)?;
        self.calm()?;
        let story = self.release(version, "")?;
        if story.state == "done" {
            return Ok(());
        }
        Err(Error::other(format!("the version to begin with is {}: {}", story.state, self.program.last_words())))
    }

    fn calm(&self) -> Result<()> {
        let path = format!("/api/v1/query?query={}", encoded(CALM));
        let mut client = self.program.client();
        within("the shop is calm", || {
            let answer = client.json(&path).ok()?;
            answer["data"]["result"].as_array().is_some_and(|result| !result.is_empty()).then_some(())
        })?;
        // One turn more of the rule, so that its alert has ended too.
        std::thread::sleep(Duration::from_millis(1_500));
        Ok(())
    }

    fn push(&self, version: &str, share: f64) -> Result<()> {
        let name = format!("shop-{version}.tar");
        let path = self.artifacts.join(&name);
        let release = serde_json::to_vec(&json!({ "version": version, "bad_share": share, "by_chance": true }))?;
        let mut header = tar::Header::new_gnu();
        header.set_size(release.len() as u64);
        header.set_mode(0o644);
        header.set_cksum();
        let mut builder = tar::Builder::new(std::fs::File::create(&path)?);
        builder.append_data(&mut header, "shop.json", release.as_slice())?;
        builder.into_inner()?.sync_all()?;
        let at = format!("/api/flyball/v1/artifacts?name={name}&version={version}");
        self.program.client().post_json(&at, "application/octet-stream", &std::fs::read(&path)?)?;
        Ok(())
    }

    /// Orders it and looks on until it has ended and, where it was halted, `old` is back.
    fn release(&self, version: &str, old: &str) -> Result<Story> {
        let mut client = self.program.client();
        let began = now();
        let text = format!("deploy shop {version} prod --reason bench");
        let ask = json!({ "text": text, "via": "cli", "yes": true });
        let answer = client.post_json("/api/flyball/v1/command", "application/json", &serde_json::to_vec(&ask)?)?;
        let number = answer["outcome"]["order"].as_str().ok_or_else(|| Error::other(format!("no order: {answer}")))?;
        let path = format!("/api/flyball/v1/orders/{number}");
        let mut story =
            Story { state: String::new(), began, ended: 0, touched: 0, halted: None, because: String::new(), back: None };
        let end = Instant::now() + PATIENCE;
        loop {
            let order = client.json(&path)?;
            story.state = order["state"].as_str().unwrap_or_default().to_owned();
            if story.halted.is_none() {
                story.halted = instant(&order["halted_at"]);
                story.because = if story.halted.is_some() { order["because"].to_string() } else { String::new() };
                let hosts = order["hosts"].as_object();
                story.touched = hosts.map_or(0, |hosts| hosts.values().filter(|host| host["state"] != "not_touched").count());
            }
            if story.halted.is_some() && story.back.is_none() && self.all_in(old) {
                story.back = Some(now());
            }
            let over = ["done", "failed", "rolled_back", "cancelled"].contains(&story.state.as_str());
            if over && (story.halted.is_none() || story.back.is_some() || old.is_empty()) {
                story.ended = instant(&order["ended_at"]).unwrap_or_else(now);
                return Ok(story);
            }
            if Instant::now() > end {
                return Err(Error::other(format!(
                    "order {number} is {} after {PATIENCE:?}; last said: {}; {}",
                    story.state,
                    order["story"].as_array().and_then(|story| story.last()).unwrap_or(&Value::Null),
                    self.program.last_words()
                )));
            }
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// Whether every server runs this version, as it says itself, and HAProxy sends requests to it, as HAProxy says.
    fn all_in(&self, version: &str) -> bool {
        let runs = |address: &String| {
            Client::new(address, None).get("/health").is_ok_and(|reply| reply.release.as_deref() == Some(version))
        };
        self.servers.iter().all(|(_, address)| runs(address))
            && self.statuses().is_ok_and(|statuses| {
                statuses.len() == self.servers.len() && statuses.iter().all(|status| status.starts_with("UP"))
            })
    }

    /// The servers' statuses as HAProxy's runtime socket gives them.
    fn statuses(&self) -> Result<Vec<String>> {
        let mut stream = UnixStream::connect(&self.socket)?;
        stream.set_read_timeout(Some(Duration::from_secs(5)))?;
        stream.write_all(b"show stat\n")?;
        let mut text = String::new();
        stream.read_to_string(&mut text)?;
        let mut lines = text.lines();
        let names: Vec<&str> = lines.next().unwrap_or_default().trim_start_matches("# ").split(',').collect();
        let column = |name: &str| names.iter().position(|other| *other == name).ok_or_else(|| Error::other("no such column"));
        let (server, status) = (column("svname")?, column("status")?);
        Ok(lines
            .map(|line| line.split(',').collect::<Vec<_>>())
            .filter(|row| row.get(server).is_some_and(|name| self.servers.iter().any(|(known, _)| known == name)))
            .filter_map(|row| row.get(status).map(|status| (*status).to_owned()))
            .collect())
    }
}

/// A time as the API writes it, in microseconds since the epoch.
fn instant(value: &Value) -> Option<i64> {
    value.as_str()?.parse::<jiff::Timestamp>().ok().map(|at| at.as_microsecond())
}

fn encoded(text: &str) -> String {
    text.bytes()
        .map(|byte| if byte.is_ascii_alphanumeric() { (byte as char).to_string() } else { format!("%{byte:02X}") })
        .collect()
}
