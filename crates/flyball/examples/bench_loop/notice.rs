//! First byte of a pushed bad sample sent -> whole webhook received, with 100 rules loaded and 20,000 samples/s beside it; the floor
//! (a target that only parses and posts) and the disk's fdatasync in the same run. Never counts a notice that did not come as a fast one.

use std::collections::HashMap;
use std::fs::File;
use std::io::{BufReader, Error, Read, Result, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use crate::figures::{Figure, Of, Part};
use crate::http::{Client, read_head};
use crate::process::Program;

const HOSTS: usize = 200;
const METRICS: usize = 50;
const CONNECTIONS: usize = 2;
/// Every host is pushed once a second: 200 hosts x 50 metrics x 2 fields = 20,000 samples/s in bodies of 1,000.
const ROUND: Duration = Duration::from_secs(1);
const BODIES_A_ROUND: usize = 10;
const LINES: &str = "text/plain; charset=utf-8";
/// What has not come so long after the last push does not come.
const WAIT: Duration = Duration::from_secs(20);

/// Runs it with so many trials, after so long a time of the load beside: rules read windows, and those fill up.
pub fn run(flyball: &Path, folder: &Path, trials: usize, warm: Duration) -> Result<Part> {
    let mut part = Part::begin("notice");
    let (hook, notices) = receive()?;
    let config = folder.join("config");
    std::fs::create_dir_all(config.join("rules"))?;
    std::fs::write(
        config.join("main.yaml"),
        format!(
            "outgoing: {{ allow: [\"{hook}\"] }}\nnotification:\n  receivers:\n    \
             hook: {{ webhook: {{ url: \"http://{hook}/\" }} }}\n  default: [hook]\n"
        ),
    )?;
    std::fs::write(config.join("rules/bench.yaml"), rules())?;
    let data = folder.join("data");
    let config = config.to_str().ok_or_else(|| Error::other("the folder is no text"))?;
    let program = Program::serve(flyball, "up", &data, &["--config", config])?;
    let side = Side::start(&program);
    std::thread::sleep(warm);

    let sent_before = (side.sent.load(Ordering::Relaxed), Instant::now());
    let busy_before = program.processor_seconds()?;
    let mut client = program.client();
    let measured = measure(&mut client, "/write?precision=ms", trials, &notices)?;
    let seconds = sent_before.1.elapsed().as_secs_f64();
    let rate = (side.sent.load(Ordering::Relaxed) - sent_before.0) as f64 / seconds;
    let busy = (program.processor_seconds()? - busy_before) / seconds;

    // A receiver of its own: what flyball still has to say is no notice of the stub's.
    let (hook, notices) = receive()?;
    let stub = stub(&hook)?;
    let floor = measure(&mut Client::new(&stub, None), "/write", trials, &notices)?;
    let disk = sync_times(&data)?;
    let answers = side.stop()?;

    part.figures.push(
        Figure::new("pushed bad sample -> whole webhook", "ms", measured.noticed)
            .at_most(Of::Median, 5.0)
            .at_most(Of::P99, 50.0)
            .needs(trials)
            .note(format!(
                "{trials} trials after {} s of the load, 100 rules, {rate:.0} samples/s beside it over {CONNECTIONS} connections; the program used {busy:.2} cores",
                warm.as_secs()
            )),
    );
    part.figures.push(Figure::new("  the push's own answer (it is on disk)", "ms", measured.answered));
    part.figures.push(
        Figure::new("  floor: a stub that posts directly", "ms", floor.noticed)
            .note("same sender, same receiver, same load beside it"),
    );
    part.figures.push(
        Figure::new("  fdatasync after 4 KiB on the data folder's disk", "ms", disk)
            .note("with the same load beside it, which syncs too"),
    );
    part.figures.push(Figure::new("  a body of 1,000 samples beside it, answered", "ms", answers));
    Ok(part)
}

/// One rule over the trials, 99 over what is pushed beside them: thresholds, rates, sums; none of these ever holds.
fn rules() -> String {
    let mut out = String::from(
        "groups:\n  - name: bench\n    rules:\n      - alert: BenchBad\n        expr: bench_bad > 0\n        \
         annotations: { summary: 'trial {{ $labels.trial }}' }\n",
    );
    for number in 0..99 {
        let (metric, field) = (number / 2, if number % 2 == 0 { "a" } else { "b" });
        let expr = match number % 3 {
            0 => format!("m{metric:02}_{field} > 1e12"),
            1 => format!("rate(m{metric:02}_{field}[1m]) > 1e12"),
            _ => format!("sum by (dc) (m{metric:02}_{field}) > 1e12"),
        };
        out.push_str(&format!("      - alert: Side{number}\n        expr: {expr}\n"));
    }
    out
}

/// What trials came to, in milliseconds.
struct Measured {
    noticed: Vec<f64>,
    answered: Vec<f64>,
}

/// Pushes each trial's bad sample over one warm connection and waits for the notices that name them.
fn measure(client: &mut Client, path: &str, trials: usize, notices: &Receiver<(u64, Instant)>) -> Result<Measured> {
    let push = |client: &mut Client, body: String| -> Result<(Instant, Instant)> {
        let (began, reply) = client.send("POST", path, LINES, body.as_bytes())?;
        if reply.status / 100 != 2 {
            return Err(Error::other(format!("push: {} {}", reply.status, String::from_utf8_lossy(&reply.body))));
        }
        Ok((began, Instant::now()))
    };
    let point = |trial: usize, bad: u8| format!("bench,trial={trial} bad={bad} {}\n", jiff::Timestamp::now().as_millisecond());
    push(client, (0..trials).map(|trial| point(trial, 0)).collect())?;
    std::thread::sleep(Duration::from_secs(2));
    let mut measured = Measured { noticed: Vec::new(), answered: Vec::new() };
    let mut began = HashMap::new();
    for trial in 0..trials {
        // 25 to 75 ms apart, never in step with the load beside it.
        std::thread::sleep(Duration::from_millis(25 + (trial as u64 * 7_919) % 51));
        let (sent, answered) = push(client, point(trial, 1))?;
        began.insert(trial as u64, sent);
        measured.answered.push(millis(answered - sent));
    }
    let end = Instant::now() + WAIT;
    while !began.is_empty() {
        let Ok((trial, arrived)) = notices.recv_timeout(end.saturating_duration_since(Instant::now())) else { break };
        if let Some(sent) = began.remove(&trial) {
            measured.noticed.push(millis(arrived - sent));
        }
    }
    Ok(measured)
}

fn millis(span: Duration) -> f64 {
    span.as_secs_f64() * 1e3
}

/// The webhook's receiver: its address, and each trial that a whole body names, with the instant of the body's last byte.
fn receive() -> Result<(String, Receiver<(u64, Instant)>)> {
    let (sender, receiver) = channel();
    let address = serve(move |body, arrived| named(body, arrived, &sender))?;
    Ok((address, receiver))
}

fn named(body: &str, arrived: Instant, sender: &Sender<(u64, Instant)>) {
    for rest in body.split("\"trial\":").skip(1) {
        let digits: String = rest.chars().skip_while(|c| !c.is_ascii_digit()).take_while(char::is_ascii_digit).collect();
        if let Ok(trial) = digits.parse() {
            let _ = sender.send((trial, arrived));
        }
    }
}

/// The ideal target: posts what is bad at once, keeps nothing.
fn stub(hook: &str) -> Result<String> {
    let hook = Mutex::new(Client::new(hook, None));
    serve(move |body, _| {
        for line in body.lines().filter(|line| line.contains(" bad=1 ")) {
            let trial = line.split("trial=").nth(1).and_then(|rest| rest.split(' ').next()).unwrap_or("");
            let notice = format!("{{\"alerts\":[{{\"labels\":{{\"trial\":\"{trial}\"}}}}]}}");
            if let Ok(mut hook) = hook.lock() {
                let _ = hook.send("POST", "/", "application/json", notice.as_bytes());
            }
        }
    })
}

/// A server whose every body goes to `got`; answers 204 after that.
fn serve(got: impl Fn(&str, Instant) + Send + Sync + 'static) -> Result<String> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let address = listener.local_addr()?.to_string();
    let got = Arc::new(got);
    std::thread::spawn(move || {
        for stream in listener.incoming().map_while(Result::ok) {
            let got = got.clone();
            std::thread::spawn(move || serve_connection(stream, &*got));
        }
    });
    Ok(address)
}

fn serve_connection(stream: TcpStream, got: &(impl Fn(&str, Instant) + Send + Sync)) -> Result<()> {
    stream.set_nodelay(true)?;
    let mut stream = BufReader::new(stream);
    loop {
        let head = read_head(&mut stream)?;
        let mut body = vec![0; head.length.min(16 << 20)];
        stream.read_exact(&mut body)?;
        got(&String::from_utf8_lossy(&body), Instant::now());
        stream.get_mut().write_all(b"HTTP/1.1 204 No Content\r\n\r\n")?;
    }
}

/// The load beside: hosts that are pushed once a second each.
struct Side {
    stop: Arc<AtomicBool>,
    sent: Arc<AtomicU64>,
    senders: Vec<JoinHandle<Result<Vec<f64>>>>,
}

impl Side {
    fn start(program: &Program) -> Side {
        let (stop, sent) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
        let senders = (0..CONNECTIONS)
            .map(|connection| {
                let (stop, sent, client) = (stop.clone(), sent.clone(), program.client());
                std::thread::spawn(move || push_side(client, connection, &stop, &sent))
            })
            .collect();
        Side { stop, sent, senders }
    }

    /// Ends it; how long its bodies took to be answered, in milliseconds.
    fn stop(self) -> Result<Vec<f64>> {
        self.stop.store(true, Ordering::Relaxed);
        let mut all = Vec::new();
        for sender in self.senders {
            all.extend(sender.join().map_err(|_| Error::other("the load beside it broke"))??);
        }
        Ok(all)
    }
}

fn push_side(mut client: Client, connection: usize, stop: &AtomicBool, sent: &AtomicU64) -> Result<Vec<f64>> {
    let hosts_a_body = HOSTS / CONNECTIONS / BODIES_A_ROUND;
    let pause = ROUND / BODIES_A_ROUND as u32;
    let began = Instant::now() + pause / 2 * connection as u32;
    let mut answers = Vec::new();
    for body in 0_u64.. {
        if stop.load(Ordering::Relaxed) {
            break;
        }
        std::thread::sleep((began + pause * body as u32).saturating_duration_since(Instant::now()));
        let now = jiff::Timestamp::now().as_millisecond();
        let first = connection * HOSTS / CONNECTIONS + body as usize % BODIES_A_ROUND * hosts_a_body;
        let mut text = String::with_capacity(80 << 10);
        for host in first..first + hosts_a_body {
            for metric in 0..METRICS {
                let value = (body * 37 + (host * metric) as u64) as f64 / 4.0;
                text.push_str(&format!(
                    "m{metric:02},dc=dc{},env=prod,instance=host-{host:03},job=node a={value},b={body} {now}\n",
                    host % 4
                ));
            }
        }
        let (sent_at, reply) = client.send("POST", "/write?precision=ms", LINES, text.as_bytes())?;
        if reply.status / 100 != 2 {
            return Err(Error::other(format!("push beside it: {} {}", reply.status, String::from_utf8_lossy(&reply.body))));
        }
        answers.push(millis(sent_at.elapsed()));
        sent.fetch_add((hosts_a_body * METRICS * 2) as u64, Ordering::Relaxed);
    }
    Ok(answers)
}

/// How long fdatasync takes after an append of 4 KiB, 200 times.
fn sync_times(folder: &Path) -> Result<Vec<f64>> {
    let path = folder.join("bench-sync");
    let mut file = File::create(&path)?;
    let block = [5_u8; 4096];
    let mut times = Vec::new();
    for _ in 0..200 {
        file.write_all(&block)?;
        let began = Instant::now();
        file.sync_data()?;
        times.push(millis(began.elapsed()));
        std::thread::sleep(Duration::from_millis(5));
    }
    drop(file);
    std::fs::remove_file(path)?;
    Ok(times)
}
