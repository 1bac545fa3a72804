//! Starts flyball as a process of its own, asks it over HTTP, and ends it with the test.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use serde_json::Value;

/// The program under test.
pub const FLYBALL: &str = env!("CARGO_BIN_EXE_flyball");
/// How long anything may take before a test fails. Generous: these machines are shared.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// A running `flyball up`; killed when it is dropped.
pub struct Up {
    pub data: PathBuf,
    pub address: String,
    pub token: String,
    child: Child,
    log: Arc<Mutex<String>>,
}

impl Up {
    /// Starts it on free ports and waits until it is ready.
    pub fn start(data: &Path, args: &[&str]) -> Up {
        let mut command = Command::new(FLYBALL);
        command.args(["up", "--data", data.to_str().expect("a path is text"), "--listen", "127.0.0.1:0"]).args(args);
        Up::run(command, |_| data.to_owned())
    }

    /// Starts a server by a command of the test's own; `data` says where its folder is seen from here, by its process.
    pub fn run(mut command: Command, data: impl FnOnce(u32) -> PathBuf) -> Up {
        let mut child =
            command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped()).spawn().expect("the program starts");
        let data = data(child.id());
        let log = Arc::new(Mutex::new(String::new()));
        let (lines, kept) = (BufReader::new(child.stderr.take().expect("piped")), log.clone());
        std::thread::spawn(move || {
            for line in lines.lines().map_while(Result::ok) {
                let mut kept = kept.lock().unwrap();
                kept.push_str(&line);
                kept.push('\n');
            }
        });
        // The page's line is written last but for the demo's: it has the address of this very start.
        let address = within("flyball says where it is", || {
            if let Some(status) = child.try_wait().ok().flatten() {
                panic!("flyball ended with {status}:\n{}", log.lock().unwrap());
            }
            let text = log.lock().unwrap().clone();
            let line = text.lines().find_map(|line| line.trim().strip_prefix("page").map(str::trim))?;
            Some(line.split("/login").next()?.trim_start_matches("http://").to_owned())
        });
        let token = within("the command line has its token", || {
            std::fs::read_to_string(data.join("cli.token"))
                .ok()
                .map(|text| text.trim().to_owned())
                .filter(|text| !text.is_empty())
        });
        let up = Up { data, address, token, child, log };
        within("ready", || (up.get("/-/ready").0 == 200).then_some(()));
        up
    }

    /// GET with the admin's token: status and body.
    pub fn get(&self, path: &str) -> (u16, String) {
        request(&self.address, "GET", path, &[("authorization", &format!("Bearer {}", self.token))], b"")
    }

    /// GET of JSON that has to be well.
    pub fn json(&self, path: &str) -> Value {
        let (status, body) = self.get(path);
        assert_eq!(status, 200, "GET {path}: {body}");
        serde_json::from_str(&body).unwrap_or_else(|error| panic!("GET {path}: {error}: {body}"))
    }

    /// POST with the admin's token.
    pub fn post(&self, path: &str, content: &str, body: &[u8]) -> (u16, String) {
        let token = format!("Bearer {}", self.token);
        request(&self.address, "POST", path, &[("authorization", &token), ("content-type", content)], body)
    }

    /// The one value of a PromQL query, if there is one.
    pub fn value(&self, promql: &str) -> Option<f64> {
        let answer = self.json(&format!("/api/v1/query?query={}", encode(promql)));
        let result = answer["data"]["result"].as_array()?;
        result.first()?["value"][1].as_str()?.parse().ok()
    }

    /// Waits until a query has one value that fits.
    pub fn wait_value(&self, promql: &str, fits: impl Fn(f64) -> bool) -> f64 {
        within(promql, || self.value(promql).filter(|value| fits(*value)))
    }

    /// The command line against this server.
    pub fn cli(&self, args: &[&str]) -> Output {
        let mut command = Command::new(FLYBALL);
        command.args(args).arg("--data").arg(&self.data).env_remove("FLYBALL_TOKEN").env_remove("FLYBALL_SERVER");
        command.stdin(Stdio::null()).output().expect("the program starts")
    }

    /// The command line as somebody else.
    pub fn cli_as(&self, token: &str, args: &[&str]) -> Output {
        let mut command = Command::new(FLYBALL);
        command.args(args).args(["--server", &self.address]).env("FLYBALL_TOKEN", token);
        command.stdin(Stdio::null()).output().expect("the program starts")
    }

    /// A new token with this role.
    pub fn token_of(&self, name: &str, role: &str) -> String {
        let made = self.cli(&["token", "create", name, "--role", role]);
        assert_eq!(made.status.code(), Some(0), "{}", String::from_utf8_lossy(&made.stderr));
        String::from_utf8_lossy(&made.stdout).trim().to_owned()
    }

    /// Its process.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// What it wrote to standard error so far.
    pub fn log(&self) -> String {
        self.log.lock().unwrap().clone()
    }

    /// Kills it as a power cut of the process: no last words.
    pub fn kill(mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }

    /// Asks it to end, and says how long that took.
    pub fn terminate(mut self) -> Duration {
        let began = Instant::now();
        signal(self.pid(), "TERM");
        within("flyball ends", || self.child.try_wait().ok().flatten());
        began.elapsed()
    }
}

impl Drop for Up {
    fn drop(&mut self) {
        // A demo ends its shops when it is asked to; killed, they would stay.
        signal(self.child.id(), "TERM");
        let end = Instant::now() + Duration::from_secs(8);
        while Instant::now() < end {
            if !matches!(self.child.try_wait(), Ok(None)) {
                return;
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Says a figure: seen where a fault is run at its full size, or a test fails.
pub fn report(text: &str) {
    let _ = writeln!(std::io::stdout(), "{text}");
}

/// Sends a signal by its name.
pub fn signal(pid: u32, name: &str) {
    let _ = Command::new("kill").arg(format!("-{name}")).arg(pid.to_string()).stderr(Stdio::null()).status();
}

/// Asks until there is an answer; fails the test when there is none in time.
pub fn within<T>(what: &str, mut ask: impl FnMut() -> Option<T>) -> T {
    let end = Instant::now() + PATIENCE;
    loop {
        if let Some(answer) = ask() {
            return answer;
        }
        assert!(Instant::now() < end, "not within {PATIENCE:?}: {what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// One request on a connection of its own: status and body. Status 0: no connection.
pub fn request(address: &str, method: &str, path: &str, headers: &[(&str, &str)], body: &[u8]) -> (u16, String) {
    let ask = || -> std::io::Result<(u16, String)> {
        let mut stream = TcpStream::connect(address)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        let mut head =
            format!("{method} {path} HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\ncontent-length: {}\r\n", body.len());
        for (name, value) in headers {
            head.push_str(&format!("{name}: {value}\r\n"));
        }
        head.push_str("\r\n");
        stream.write_all(head.as_bytes())?;
        // A server that refuses may close before it has read all: its answer counts.
        let _ = stream.write_all(body);
        let mut answer = Vec::new();
        let _ = stream.read_to_end(&mut answer);
        let text = String::from_utf8_lossy(&answer).into_owned();
        let status = text.split(' ').nth(1).and_then(|word| word.parse().ok()).unwrap_or(0);
        let (head, rest) = text.split_once("\r\n\r\n").unwrap_or((&text, ""));
        let chunked = head.to_ascii_lowercase().contains("transfer-encoding: chunked");
        Ok((status, if chunked { unchunk(rest) } else { rest.to_owned() }))
    };
    ask().unwrap_or((0, String::new()))
}

fn unchunk(mut rest: &str) -> String {
    let mut out = String::new();
    while let Some((len, tail)) = rest.split_once("\r\n") {
        let Ok(len) = usize::from_str_radix(len.trim(), 16) else { break };
        if len == 0 || tail.len() < len {
            break;
        }
        out.push_str(&tail[..len]);
        rest = tail[len..].trim_start_matches("\r\n");
    }
    out
}

/// Percent-encodes everything that is no letter or digit.
pub fn encode(text: &str) -> String {
    text.bytes()
        .map(|byte| if byte.is_ascii_alphanumeric() { (byte as char).to_string() } else { format!("%{byte:02X}") })
        .collect()
}

/// A port that was free a moment ago on these addresses. Below those that the system gives to connections by itself, and
/// in an order that differs by process: tests run side by side.
pub fn free_port_on(addresses: &[&str]) -> u16 {
    use std::sync::atomic::{AtomicU32, Ordering};
    static NEXT: AtomicU32 = AtomicU32::new(0);
    const FIRST: u32 = 20_000;
    const COUNT: u32 = 12_000;
    for _ in 0..COUNT {
        let turn = NEXT.fetch_add(1, Ordering::Relaxed);
        let port = (FIRST + (std::process::id().wrapping_mul(97).wrapping_add(turn)) % COUNT) as u16;
        if addresses.iter().all(|address| TcpListener::bind((*address, port)).is_ok()) {
            return port;
        }
    }
    panic!("no free port on {addresses:?}");
}

/// A port that was free a moment ago.
pub fn free_port() -> u16 {
    free_port_on(&["127.0.0.1"])
}

/// A process that is killed with the test.
pub struct Beside(pub Child);

impl Drop for Beside {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A program of Debian's; `cargo xtask test` installs it.
pub fn program(name: &str) -> PathBuf {
    ["/usr/bin", "/usr/sbin", "/usr/local/bin", "/usr/local/sbin"]
        .iter()
        .map(|folder| Path::new(folder).join(name))
        .find(|path| path.is_file())
        .unwrap_or_else(|| panic!("{name} is not installed: run `cargo xtask test`, which installs it"))
}

/// Gives a program a wall clock that is moved by what stands in a file, as `-3600`: by Debian's libfaketime, which
/// `cargo xtask test` installs.
pub fn with_clock_of(command: &mut Command, shift: &Path) {
    let folders = std::fs::read_dir("/usr/lib").into_iter().flatten().flatten();
    let found = folders.map(|entry| entry.path().join("faketime/libfaketimeMT.so.1")).find(|path| path.is_file());
    let library = found.unwrap_or_else(|| panic!("faketime is not installed: run `cargo xtask test`, which installs it"));
    command.env("LD_PRELOAD", library).env("FAKETIME_TIMESTAMP_FILE", shift);
    command.env("FAKETIME_CACHE_DURATION", "1").env("FAKETIME_DONT_FAKE_MONOTONIC", "1");
}

/// What a receiver was told: its idempotency key and the body.
pub type Told = (Option<String>, Value);

/// A webhook's receiver: keeps the bodies that it got, answers with a status.
pub struct Hook {
    pub address: String,
    pub got: Arc<Mutex<Vec<Told>>>,
}

impl Hook {
    /// Listens on a free port and answers 200.
    pub fn start() -> Hook {
        Hook::on(&format!("127.0.0.1:{}", free_port()))
    }

    /// Listens on this address.
    pub fn on(address: &str) -> Hook {
        let listener = TcpListener::bind(address).expect("the hook's port is free");
        let address = listener.local_addr().expect("bound").to_string();
        let got = Arc::new(Mutex::new(Vec::new()));
        let kept = got.clone();
        std::thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let kept = kept.clone();
                std::thread::spawn(move || serve(stream, &kept));
            }
        });
        Hook { address, got }
    }

    /// Waits until what came fits.
    pub fn wait(&self, what: &str, fits: impl Fn(&[Told]) -> bool) -> Vec<Told> {
        within(what, || {
            let got = self.got.lock().unwrap().clone();
            fits(&got).then_some(got)
        })
    }
}

fn serve(stream: TcpStream, kept: &Mutex<Vec<Told>>) {
    let Ok(mut write) = stream.try_clone() else { return };
    let mut read = BufReader::new(stream);
    loop {
        let (mut length, mut key, mut first) = (0, None, true);
        loop {
            let mut line = String::new();
            if read.read_line(&mut line).unwrap_or(0) == 0 {
                return;
            }
            let line = line.trim_end();
            if line.is_empty() && !first {
                break;
            }
            first = false;
            if let Some((name, value)) = line.split_once(':') {
                match name.to_ascii_lowercase().as_str() {
                    "content-length" => length = value.trim().parse().unwrap_or(0),
                    "idempotency-key" => key = Some(value.trim().to_owned()),
                    _ => {}
                }
            }
        }
        let mut body = vec![0; length];
        if read.read_exact(&mut body).is_err() {
            return;
        }
        if let Ok(value) = serde_json::from_slice(&body) {
            kept.lock().unwrap().push((key, value));
        }
        if write.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n").is_err() {
            return;
        }
    }
}

/// Writes a file of a configuration folder.
pub fn write(folder: &Path, name: &str, text: &str) {
    let path = folder.join(name);
    std::fs::create_dir_all(path.parent().expect("below the folder")).expect("the folder can be made");
    std::fs::write(path, text).expect("the file can be written");
}

/// A configuration with one rule over pushed samples and one heartbeat, told by webhook to `hook`. Gives its folder.
pub fn told_by_webhook(folder: &Path, hook: &str) -> PathBuf {
    let config = folder.join("config");
    let main = format!(
        "outgoing: {{ allow: [\"{hook}\"] }}\nnotification:\n  receivers:\n    hook: {{ webhook: {{ url: \"http://{hook}/\" }} }}\n  \
         default: [hook]\nheartbeats:\n  import: {{ id: import-0123456789, every: 1h }}\n"
    );
    write(&config, "main.yaml", &main);
    let rule = "groups:\n  - name: a\n    rules:\n      - alert: Bad\n        expr: bench_bad > 0\n        \
                annotations: { summary: 'bad is {{ $value }}' }\n";
    write(&config, "rules/a.yaml", rule);
    config
}
