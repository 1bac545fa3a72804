//! Against Debian's HAProxy, started here with a configuration of its own on a free port.

use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use model::config::{BalancerConfig, Span};
use model::plan::{Action, StepOutcome, StepRequest};
use model::{BalancerName, EffectKey, Epoch, HostName, Time};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::process::{Child, Command};

use super::{counters, perform};

fn start(folder: &Path, front: u16, back: u16) -> (Child, BalancerConfig) {
    let socket = folder.join("s");
    let text = format!(
        "global\n  stats socket {} mode 600 level admin\ndefaults\n  mode http\n  timeout connect 1s\n  timeout client 20s\n  \
         timeout server 20s\nfrontend f\n  bind 127.0.0.1:{front}\n  default_backend shop\nbackend shop\n  \
         server shop-1 127.0.0.1:{back} check inter 100\n  server shop-2 127.0.0.1:{back} check inter 100\n",
        socket.display()
    );
    std::fs::write(folder.join("haproxy.cfg"), text).unwrap();
    let child = Command::new("haproxy")
        .args(["-db", "-q", "-f"])
        .arg(folder.join("haproxy.cfg"))
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .kill_on_drop(true)
        .spawn()
        .expect("haproxy is installed");
    let haproxy = socket.display().to_string();
    (child, BalancerConfig { haproxy, every: Span::secs(5), every_while_rolling: Span(200) })
}

fn request(action: Action, time_limit_ms: u64) -> StepRequest {
    StepRequest {
        key: EffectKey::from("o/1"),
        epoch: Epoch(1),
        order: "o".into(),
        host: HostName::new("shop-1").unwrap(),
        action,
        undo: false,
        time_limit_ms,
        expires_at: Time::MAX,
    }
}

fn names(server: &str) -> (BalancerName, String, String) {
    (BalancerName::new("front").unwrap(), "shop".into(), server.into())
}

fn out(server: &str) -> StepRequest {
    let (balancer, backend, server) = names(server);
    request(Action::BalancerOut { balancer, backend, server }, 5_000)
}

fn drain(server: &str, at_most_ms: u64) -> StepRequest {
    let (balancer, backend, server) = names(server);
    request(Action::Drain { balancer, backend, server, at_most_ms }, 10_000)
}

fn back_in(server: &str) -> StepRequest {
    let (balancer, backend, server) = names(server);
    request(Action::BalancerIn { balancer, backend, server }, 10_000)
}

fn note(outcome: StepOutcome) -> String {
    match outcome {
        StepOutcome::Done { note } => note,
        other => panic!("{other:?}"),
    }
}

/// The words that HAProxy has for its two servers.
async fn states(config: &BalancerConfig) -> Vec<String> {
    let rows = counters(config).await.unwrap();
    let is_server = |row: &&wire::haproxy::stat::StatRow| row.kind == wire::haproxy::stat::RowKind::Server;
    rows.iter().filter(is_server).map(|row| row.state.unwrap().word().to_owned()).collect()
}

/// Answers every request at once but `/slow`, which waits for a second byte on the line.
async fn serve(listener: TcpListener) {
    while let Ok((mut stream, _)) = listener.accept().await {
        tokio::spawn(async move {
            let mut request = [0; 4_096];
            let read = stream.read(&mut request).await.unwrap_or(0);
            if request[..read].starts_with(b"GET /slow") {
                tokio::time::sleep(Duration::from_secs(15)).await;
            }
            let _ = stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\nconnection: close\r\n\r\n").await;
        });
    }
}

#[tokio::test]
async fn a_server_leaves_without_new_requests_and_comes_back_up() {
    let folder = tempfile::tempdir().unwrap();
    let backend = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let back = backend.local_addr().unwrap().port();
    let front = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap().port();
    tokio::spawn(serve(backend));
    let (mut haproxy, config) = start(folder.path(), front, back);
    // Asked while it still starts: in is patient.
    assert_eq!(note(perform(&config, &back_in("shop-1")).await), "shop/shop-1 is in and up");

    for _ in 0..2 {
        assert_eq!(note(perform(&config, &out("shop-1")).await), "shop/shop-1 takes no new requests");
    }
    assert_eq!(states(&config).await, ["DRAIN", "UP"]);
    assert_eq!(note(perform(&config, &drain("shop-1", 5_000)).await), "0 sessions left at shop/shop-1");
    assert_eq!(states(&config).await, ["MAINT", "UP"]);

    // The other one has a session that does not end: it is waited for, and then no longer.
    let mut slow = TcpStream::connect(("127.0.0.1", front)).await.unwrap();
    slow.write_all(b"GET /slow HTTP/1.1\r\nhost: a\r\n\r\n").await.unwrap();
    let has_session = async {
        while !counters(&config).await.unwrap().iter().any(|row| row.server == "shop-2" && row.sessions == Some(1)) {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(10), has_session).await.unwrap();
    note(perform(&config, &out("shop-2")).await);
    assert_eq!(note(perform(&config, &drain("shop-2", 300)).await), "1 sessions left at shop/shop-2");

    for server in ["shop-1", "shop-2", "shop-1"] {
        assert_eq!(note(perform(&config, &back_in(server)).await), format!("shop/{server} is in and up"));
    }
    assert_eq!(states(&config).await, ["UP", "UP"]);

    let unknown = perform(&config, &out("shop-9")).await;
    assert!(matches!(&unknown, StepOutcome::Failed { why } if why.contains("No such server")), "{unknown:?}");
    let hostile = perform(&config, &out("shop-1; shutdown")).await;
    assert!(matches!(&hostile, StepOutcome::Failed { .. }), "{hostile:?}");

    haproxy.kill().await.unwrap();
    let gone = perform(&config, &out("shop-1")).await;
    assert!(matches!(gone, StepOutcome::Unreachable { .. }), "{gone:?}");
}
