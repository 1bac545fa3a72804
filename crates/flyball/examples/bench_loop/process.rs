//! Starts the program that is measured, finds its address and token, says what it uses, and ends it. Never leaves one running.

use std::io::{Error, Result};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use crate::http::Client;

/// Anything may take so long before the run fails.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// A running flyball; ended when it is dropped.
pub struct Program {
    child: Child,
    pub data: PathBuf,
    pub address: String,
    pub agents: String,
    pub token: String,
    /// From the process's start to the first 200 of `/-/ready`.
    pub ready_after: Duration,
}

impl Program {
    /// `flyball up` or `flyball server` on free ports; returns when it is ready.
    pub fn serve(flyball: &Path, verb: &str, data: &Path, args: &[&str]) -> Result<Program> {
        let (address, agents) = free_addresses()?;
        let mut command = Command::new(flyball);
        command.arg(verb).arg("--data").arg(data).args(["--listen", &address, "--listen-agents", &agents]).args(args);
        let began = Instant::now();
        let mut child = logged(&mut command, &log_of(data))?;
        loop {
            if TcpStream::connect(&address).is_ok()
                && Client::new(&address, None).get("/-/ready").is_ok_and(|reply| reply.status == 200)
            {
                break;
            }
            if let Some(status) = child.try_wait()? {
                return Err(Error::other(format!("flyball {verb} ended: {status}: {}", last_words(data))));
            }
            if began.elapsed() > PATIENCE {
                let _ = child.kill();
                return Err(Error::other(format!("flyball {verb} is not ready in {PATIENCE:?}: {}", last_words(data))));
            }
            std::thread::sleep(Duration::from_millis(1));
        }
        let ready_after = began.elapsed();
        let mut program = Program { child, data: data.to_owned(), address, agents, token: String::new(), ready_after };
        program.token = within("the command line has its token", || {
            let text = std::fs::read_to_string(data.join("cli.token")).ok()?.trim().to_owned();
            (!text.is_empty()).then_some(text)
        })?;
        Ok(program)
    }

    /// `flyball agent` against a server.
    pub fn agent(flyball: &Path, data: &Path, server: &Program, host: &str) -> Result<Program> {
        let path = format!("/api/flyball/v1/hosts/{host}/enrol-token");
        let answer = server.client().post_json(&path, "application/json", b"null")?;
        let token = answer["token"].as_str().ok_or_else(|| Error::other(format!("no token: {answer}")))?;
        let mut command = Command::new(flyball);
        command.args(["agent", "--server", &server.agents, "--host", host, "--data"]).arg(data).env("FLYBALL_ENROL_TOKEN", token);
        let child = logged(&mut command, &log_of(data))?;
        Ok(Program {
            child,
            data: data.to_owned(),
            address: String::new(),
            agents: String::new(),
            token: String::new(),
            ready_after: Duration::ZERO,
        })
    }

    /// A connection with the admin's token.
    pub fn client(&self) -> Client {
        Client::new(&self.address, Some(&self.token))
    }

    /// Processor time used since the start, user and system, in seconds; good to a tick, 10 ms.
    pub fn processor_seconds(&self) -> Result<f64> {
        let text = std::fs::read_to_string(format!("/proc/{}/stat", self.child.id()))?;
        // The name in brackets may hold anything: fields are counted from behind it.
        let rest = text.rsplit_once(") ").map_or("", |(_, rest)| rest);
        let field = |number: usize| rest.split(' ').nth(number).and_then(|word| word.parse::<f64>().ok());
        match (field(11), field(12)) {
            (Some(user), Some(system)) => Ok((user + system) / 100.0),
            _ => Err(Error::other("read the processor time")),
        }
    }

    /// VmRSS in MiB.
    pub fn resident_mib(&self) -> Result<f64> {
        let text = std::fs::read_to_string(format!("/proc/{}/status", self.child.id()))?;
        let line = text.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        line.and_then(|line| line.split_whitespace().next()?.parse::<f64>().ok())
            .map(|kib| kib / 1024.0)
            .ok_or_else(|| Error::other("read VmRSS"))
    }

    /// The end of what it wrote to standard error.
    pub fn last_words(&self) -> String {
        last_words(&self.data)
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        let _ = Command::new("kill").arg("-TERM").arg(self.child.id().to_string()).stderr(Stdio::null()).status();
        let end = Instant::now() + Duration::from_secs(8);
        while Instant::now() < end {
            if !matches!(self.child.try_wait(), Ok(None)) {
                return;
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn logged(command: &mut Command, log: &Path) -> Result<Child> {
    let log = std::fs::File::create(log)?;
    // What the caller's shell has set for its own flyball is not for this one.
    command.env_remove("FLYBALL_SERVER").env_remove("FLYBALL_TOKEN");
    command.stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log).spawn()
}

fn log_of(data: &Path) -> PathBuf {
    data.with_extension("log")
}

fn last_words(data: &Path) -> String {
    let text = std::fs::read_to_string(log_of(data)).unwrap_or_default();
    let lines: Vec<&str> = text.lines().filter(|line| !line.contains("/login?link=")).collect();
    lines[lines.len().saturating_sub(8)..].join("\n")
}

/// Two addresses on loopback that were free a moment ago.
fn free_addresses() -> Result<(String, String)> {
    let (one, other) = (TcpListener::bind("127.0.0.1:0")?, TcpListener::bind("127.0.0.1:0")?);
    Ok((one.local_addr()?.to_string(), other.local_addr()?.to_string()))
}

/// Asks every 10 ms until there is an answer.
pub fn within<T>(what: &str, mut ask: impl FnMut() -> Option<T>) -> Result<T> {
    let end = Instant::now() + PATIENCE;
    loop {
        if let Some(answer) = ask() {
            return Ok(answer);
        }
        if Instant::now() > end {
            return Err(Error::other(format!("not within {PATIENCE:?}: {what}")));
        }
        std::thread::sleep(Duration::from_millis(10));
    }
}
