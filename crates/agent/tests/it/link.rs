//! Enrolment, identity, reconnects.

use std::os::unix::fs::PermissionsExt;
use std::time::Duration;

use crate::fake::{Running, Server};

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
