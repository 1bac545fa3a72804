//! The demo's HAProxy: Debian's program with a configuration of its own, no system service, ended with the demo.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use tokio::process::{Child, Command};

use crate::exit::Failure;

/// One server behind it.
pub struct Behind {
    /// Its name.
    pub name: String,
    /// Where it listens.
    pub address: SocketAddr,
}

/// A running HAProxy; ends when it is dropped.
pub struct Haproxy {
    _child: Child,
}

/// Where HAProxy lies, if it is installed.
pub fn find() -> Option<PathBuf> {
    ["/usr/sbin/haproxy", "/usr/local/sbin/haproxy", "/usr/bin/haproxy", "/usr/local/bin/haproxy"]
        .into_iter()
        .map(PathBuf::from)
        .find(|path| path.is_file())
}

/// The configuration: one front, one backend, the runtime socket. Failed connections are tried at another server.
pub fn configuration(socket: &Path, front: SocketAddr, backend: &str, servers: &[Behind]) -> String {
    let mut out = format!(
        "global\n  stats socket {} mode 600 level admin\n  stats timeout 30s\n  hard-stop-after 2s\n\
         defaults\n  mode http\n  timeout connect 1s\n  timeout client 30s\n  timeout server 5s\n  timeout http-keep-alive 30s\n  \
         option redispatch\n  retries 3\n  retry-on conn-failure empty-response\n  http-reuse safe\n\
         frontend front\n  bind {front}\n  default_backend {backend}\n\
         backend {backend}\n  balance roundrobin\n  option httpchk GET /health\n",
        socket.display()
    );
    for server in servers {
        out.push_str(&format!("  server {} {} check inter 200ms fastinter 100ms fall 2 rise 1\n", server.name, server.address));
    }
    out
}

/// Its configuration file in the demo's folder.
pub fn file(folder: &Path) -> PathBuf {
    folder.join("haproxy.cfg")
}

/// Starts it in the foreground of its own, with its configuration in `folder`.
pub async fn start(folder: &Path, configuration: &str) -> Result<Haproxy, Failure> {
    let program = find().ok_or_else(|| {
        Failure::Failed("find HAProxy: install it (apt-get install haproxy), or use `cargo xtask up --demo`".into())
    })?;
    let file = file(folder);
    std::fs::write(&file, configuration).map_err(|error| Failure::Failed(format!("write `{}`: {error}", file.display())))?;
    let check = Command::new(&program)
        .arg("-c")
        .arg("-f")
        .arg(&file)
        .stdin(Stdio::null())
        .output()
        .await
        .map_err(|error| Failure::Failed(format!("start HAProxy: {error}")))?;
    if !check.status.success() {
        return Err(Failure::Failed(format!("start HAProxy: {}", String::from_utf8_lossy(&check.stderr).trim())));
    }
    let log = std::fs::File::create(folder.join("haproxy.log"))
        .map_err(|error| Failure::Failed(format!("write HAProxy's log: {error}")))?;
    let other = log.try_clone().map_err(|error| Failure::Failed(format!("write HAProxy's log: {error}")))?;
    let child = Command::new(&program)
        .arg("-db")
        .arg("-f")
        .arg(&file)
        .stdin(Stdio::null())
        .stdout(log)
        .stderr(other)
        .kill_on_drop(true)
        .spawn()
        .map_err(|error| Failure::Failed(format!("start HAProxy: {error}")))?;
    Ok(Haproxy { _child: child })
}
