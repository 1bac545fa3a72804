//! Enrolment, identity, reconnects.

use std::os::unix::fs::PermissionsExt;
use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::fake::{Running, Server, WAIT, now};

#[tokio::test(flavor = "multi_thread")]
async fn a_token_makes_a_host_known_once_and_its_numbers_arrive() {
    let server = Server::start().await;
    let agent = Running::start(server.options());
    server.connected(1).await;
    server.until("two readings", |told| (told.sample_frames >= 2).then_some(())).await;
    server.told(|told| {
        let common = r#"host="web-1", instance="web-1", job="node""#;
        for metric in ["node_load1", "node_memory_MemTotal_bytes", "node_context_switches_total", "node_boot_time_seconds"] {
            assert!(told.samples[&format!(r#"{metric}{{{common}, zone="a"}}"#)] > 0.0, "{metric}");
        }
        let cpu = format!(r#"node_cpu_seconds_total{{cpu="0", {}, mode="idle", zone="a"}}"#, common);
        assert!(told.samples.contains_key(&cpu), "{:?}", told.samples.keys());
        for part in [
            "node_tcp_connection_states{",
            "node_network_receive_bytes_total{",
            "node_uname_info{",
            "node_filesystem_size_bytes{",
            "node_netstat_Tcp_",
            "flyball_agent_dropped_samples_total{",
        ] {
            assert!(told.samples.keys().any(|key| key.starts_with(part)), "{part}");
        }
        assert_eq!(told.hellos[0].host, "web-1");
    });
    let identity = std::fs::metadata(server.dir().join("identity.json")).unwrap();
    assert_eq!(identity.permissions().mode() & 0o777, 0o600);
    agent.end().await.unwrap();

    // Again without a token; the token itself works no second time.
    let mut options = server.options();
    options.token = None;
    let again = Running::start(options.clone());
    server.connected(2).await;
    server.told(|told| assert_ne!(told.hellos[0].run_id, told.hellos[1].run_id));
    drop(again);
    options.dir = server.place.path().join("other");
    let nobody = Running::start(options.clone()).result().await.unwrap_err();
    assert!(nobody.to_string().contains("needs a token"), "{nobody}");
    options.token = Some(server.token().to_string());
    let used = Running::start(options).result().await.unwrap_err();
    assert!(std::error::Error::source(&used).unwrap().to_string().contains("was used"), "{used:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_with_another_ca_gets_nothing() {
    let (server, other) = (Server::start().await, Server::start().await);
    let mut options = server.options();
    let mut token = server.token();
    token.server = other.address.clone();
    options.token = Some(token.to_string());
    let error = Running::start(options).result().await.unwrap_err();
    assert!(error.to_string().contains("enrol at"), "{error}");
    other.told(|told| assert!(told.hellos.is_empty()));
    // A known host does not say hello to it either.
    let agent = Running::start(server.options());
    server.connected(1).await;
    agent.end().await.unwrap();
    let mut options = server.options();
    options.server = Some(other.address.clone());
    let fooled = Running::start(options);
    tokio::time::sleep(Duration::from_millis(500)).await;
    other.told(|told| assert!(told.hellos.is_empty()));
    drop(fooled);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_not_acknowledged_comes_again_under_its_number() {
    let mut server = Server::start().await;
    server.acknowledge(false);
    let agent = Running::start(server.options());
    server.until("samples", |told| (told.sample_frames >= 2).then_some(())).await;
    server.close();
    let before = server.told(|told| std::mem::take(&mut told.sequences));
    tokio::time::sleep(Duration::from_millis(1_200)).await;
    server.acknowledge(true);
    server.listen().await;
    let last = *before.last().unwrap();
    let after = server
        .until("newer samples", |told| told.sequences.iter().any(|sequence| *sequence > last + 1).then(|| told.sequences.clone()))
        .await;
    assert_eq!(before, (1..=last).collect::<Vec<_>>());
    assert_eq!(after, (1..=*after.last().unwrap()).collect::<Vec<_>>(), "everything again, in order, without a gap");
    server.told(|told| assert_eq!(told.hellos[0].run_id, told.hellos[1].run_id));
    drop(agent);
}

/// What lies in the identity's file.
fn identity(server: &Server) -> serde_json::Value {
    serde_json::from_slice(&std::fs::read(server.dir().join("identity.json")).unwrap()).unwrap()
}

/// Makes the certificate look so many days old.
fn age(server: &Server, days: i64) {
    let mut aged = identity(server);
    aged["certified_at"] = serde_json::to_value(model::Time(now().0 - days * 86_400_000_000)).unwrap();
    std::fs::write(server.dir().join("identity.json"), serde_json::to_vec(&aged).unwrap()).unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_certificate_is_renewed_on_the_link_and_an_expired_one_beside_it() {
    let server = Server::start().await;
    let agent = Running::start(server.options());
    server.connected(1).await;
    agent.end().await.unwrap();
    let first = identity(&server);
    let mut hellos = 1;
    for (days, expired) in [(2, false), (8, true)] {
        let before = identity(&server)["certificate_pem"].clone();
        age(&server, days);
        if expired {
            server.expire();
        }
        let agent = Running::start(server.options());
        hellos += 1;
        server.connected(hellos).await;
        let begun = std::time::Instant::now();
        while identity(&server)["certificate_pem"] == before {
            assert!(begun.elapsed() < WAIT, "{days} days");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        agent.end().await.unwrap();
    }
    assert_eq!(identity(&server)["key_pem"], first["key_pem"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_peer_that_went_dead_without_a_word_is_noticed() {
    let server = Server::start().await;
    let proxy = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let mut options = server.options();
    options.server = Some(proxy.local_addr().unwrap().to_string());
    let frozen = std::sync::Arc::new(std::sync::atomic::AtomicBool::new(false));
    let (address, freeze) = (server.address.clone(), frozen.clone());
    tokio::spawn(async move {
        while let Ok((near, _)) = proxy.accept().await {
            let far = tokio::net::TcpStream::connect(&address).await.unwrap();
            let ((near_in, near_out), (far_in, far_out)) = (near.into_split(), far.into_split());
            // The first connections freeze both ways, and nobody closes them.
            let freeze = if freeze.load(Ordering::Relaxed) { Default::default() } else { freeze.clone() };
            tokio::spawn(forward(near_in, far_out, freeze.clone()));
            tokio::spawn(forward(far_in, near_out, freeze));
        }
    });
    let agent = Running::start(options);
    server.connected(1).await;
    server.until("samples", |told| (told.sample_frames > 0).then_some(())).await;
    frozen.store(true, Ordering::Relaxed);
    let begun = std::time::Instant::now();
    while server.told(|told| told.hellos.len()) < 2 {
        assert!(begun.elapsed() < Duration::from_secs(30), "a dead peer is seen within 30 s");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    drop(agent);
}

async fn forward(
    mut from: tokio::net::tcp::OwnedReadHalf,
    mut to: tokio::net::tcp::OwnedWriteHalf,
    frozen: std::sync::Arc<std::sync::atomic::AtomicBool>,
) {
    let mut buffer = vec![0; 16 * 1024];
    while let Ok(len) = from.read(&mut buffer).await {
        if frozen.load(Ordering::Relaxed) {
            std::future::pending::<()>().await;
        }
        if len == 0 || to.write_all(&buffer[..len]).await.is_err() {
            return;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_host_that_reports_its_services_only() {
    let server = Server::start().await;
    let mut duty = Server::duty_of(&["/bin/sleep", "600"]);
    duty["config"]["services_only"] = true.into();
    server.set_duty(duty);
    let agent = server.agent();
    server.connected(1).await;
    server.done("start", model::plan::Action::Start { service: crate::fake::shop() }).await;
    server
        .until("the service's figures", |told| {
            told.samples.iter().any(|(key, value)| key.starts_with("flyball_service_up{") && *value == 1.0).then_some(())
        })
        .await;
    server.told(|told| assert!(!told.samples.keys().any(|key| key.starts_with("node_")), "{:?}", told.samples.keys()));
    drop(agent);
}
