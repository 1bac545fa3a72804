//! A real HAProxy on free ports: our commands are understood, its answers are, and our samples are its exporter's.

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::process::Command as Program;

use model::{Labels, SampleBatch, Time};
use tempfile::TempDir;
use wire::exposition::{self, ContentType};
use wire::haproxy::stat::{self, RowState};
use wire::haproxy::{Command, Operation, RuntimeError, ServerName, WantedState, parse_servers_state};

use crate::peer::{Peer, free_port, get};

struct HaProxy {
    _program: Peer,
    folder: TempDir,
    front: u16,
    exporter: u16,
}

impl HaProxy {
    fn start() -> HaProxy {
        let folder = tempfile::tempdir().unwrap();
        let ports = [free_port(), free_port(), free_port()];
        let config = format!(
            "global\n  stats socket {socket} level admin\n\
             defaults\n  mode http\n  timeout connect 1s\n  timeout client 5s\n  timeout server 5s\n\
             frontend in\n  bind 127.0.0.1:{}\n  use_backend shop\n\
             frontend exporter\n  bind 127.0.0.1:{}\n  http-request use-service prometheus-exporter if {{ path /metrics }}\n\
             backend shop\n  retries 0\n  server web-1 127.0.0.11:{dead} weight 10\n  server web-2 127.0.0.12:{dead} disabled\n",
            ports[0],
            ports[1],
            socket = folder.path().join("socket").display(),
            dead = ports[2],
        );
        let path = folder.path().join("haproxy.cfg");
        std::fs::write(&path, config).unwrap();
        let program = Peer::start(Program::new("/usr/sbin/haproxy").arg("-db").arg("-f").arg(&path), ports[1]);
        HaProxy { _program: program, folder, front: ports[0], exporter: ports[1] }
    }

    fn ask(&self, command: &Command) -> String {
        // It gets its name when the ports are bound already.
        let path = self.folder.path().join("socket");
        let tries = (0..500).find_map(|_| {
            let connected = UnixStream::connect(&path).ok();
            if connected.is_none() {
                std::thread::sleep(std::time::Duration::from_millis(20));
            }
            connected
        });
        let mut socket = tries.expect("a socket within 10 s");
        socket.write_all(command.line().as_bytes()).unwrap();
        let mut answer = String::new();
        socket.read_to_string(&mut answer).unwrap();
        answer
    }
}

fn values(batch: &SampleBatch) -> BTreeMap<String, f64> {
    let series = batch.iter().map(|(key, sample)| (Labels::from_key(key).unwrap(), sample.value));
    series
        .filter(|(labels, _)| labels.get("proxy") != Some("exporter"))
        .map(|(labels, value)| (labels.to_string(), value))
        .collect()
}

#[test]
fn commands_are_understood() {
    let haproxy = HaProxy::start();
    let server = ServerName::new("shop", "web-1").unwrap();
    let state = |wanted| Command::SetState { server: server.clone(), state: wanted };
    let seen = || {
        let rows = stat::parse(&haproxy.ask(&Command::ShowStat)).unwrap();
        rows.into_iter().find(|row| row.server == "web-1").unwrap()
    };
    for (wanted, becomes) in
        [(WantedState::Drain, RowState::Drain), (WantedState::Maint, RowState::Maint), (WantedState::Ready, RowState::Up)]
    {
        let command = state(wanted);
        assert_eq!(command.check_answer(&haproxy.ask(&command)), Ok(()), "{command}");
        assert_eq!(seen().state, Some(becomes));
    }
    let moved = Command::SetAddr { server: server.clone(), address: "127.0.0.14".parse().unwrap(), port: 81 };
    for _ in 0..2 {
        assert_eq!(moved.check_answer(&haproxy.ask(&moved)), Ok(()));
        assert_eq!(seen().address, "127.0.0.14:81");
    }
    let weight = Command::SetWeight { server: server.clone(), weight: 20 };
    assert_eq!(weight.check_answer(&haproxy.ask(&weight)), Ok(()));
    let heavy = Command::SetWeight { server, weight: 300 };
    assert!(matches!(heavy.check_answer(&haproxy.ask(&heavy)), Err(RuntimeError::Refused(_))));

    let servers = parse_servers_state(&haproxy.ask(&Command::ShowServersState)).unwrap();
    let shown: Vec<_> = servers.iter().map(|s| (s.server.as_str(), s.port, s.operation, s.is_maintained, s.weight)).collect();
    assert_eq!(shown[0], ("web-1", 81, Operation::Running, false, 20));
    assert_eq!((shown[1].0, shown[1].2, shown[1].3), ("web-2", Operation::Stopped, true));

    for (backend, server) in [("shop", "nobody"), ("nobody", "web-1")] {
        let command = Command::SetState { server: ServerName::new(backend, server).unwrap(), state: WantedState::Ready };
        let error = command.check_answer(&haproxy.ask(&command)).unwrap_err();
        assert_eq!(matches!(error, RuntimeError::NoSuchServer(_)), server == "nobody", "{error}");
        assert_eq!(matches!(error, RuntimeError::NoSuchBackend(_)), backend == "nobody", "{error}");
    }
}

#[test]
fn samples_are_those_of_its_own_exporter() {
    let haproxy = HaProxy::start();
    for _ in 0..3 {
        get(haproxy.front, "/", "*/*");
    }
    // Two looks at a program that works: until the last answer is counted they may differ.
    let begun = std::time::Instant::now();
    let (theirs, meta) = loop {
        let rows = stat::parse(&haproxy.ask(&Command::ShowStat)).unwrap();
        let mut ours = SampleBatch::new();
        assert!(stat::to_samples(&rows, &[], Time(0), &mut ours) > 50);
        let (content, body) = get(haproxy.exporter, "/metrics", exposition::ACCEPT);
        let (mut theirs, mut meta) = (SampleBatch::new(), Vec::new());
        let options = exposition::Options::default();
        let report = exposition::decode(body.as_bytes(), ContentType::parse(&content), Time(0), &options, &mut theirs, &mut meta);
        assert_eq!(report.errors, []);
        let theirs = values(&theirs);
        let other: Vec<_> = values(&ours).into_iter().filter(|(series, value)| theirs.get(series) != Some(value)).collect();
        if other.is_empty() {
            break (theirs, meta);
        }
        assert!(begun.elapsed() < std::time::Duration::from_secs(10), "{other:?}");
        std::thread::sleep(std::time::Duration::from_millis(50));
    };
    assert_eq!(theirs[r#"haproxy_frontend_http_responses_total{code="5xx", proxy="in"}"#], 3.0);
    assert!(meta.iter().any(|known| known.family == "haproxy_server_status" && known.kind == wire::MetricKind::Gauge));
}
